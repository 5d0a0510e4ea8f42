"""`fpemu demo`: a small network and a sine in several formats, as tables and pictures."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fpemu.cli.options import JsonOption
from fpemu.cli.output import console, print_json, progress
from fpemu.demo import canvas, network, sine
from fpemu.demo.network import FormatResult, Network
from fpemu.files.atomic import replacing

__all__ = ["demo"]

NO_PICTURES = "No pictures: matplotlib is not installed (pip install 'fpemu[plot]')."
SQNR_NOTE = "SQNR: the signal to quantization noise ratio. 6 dB are one bit."
ABSMAX_NOTE = (
    "absmax: each tensor is divided by a scale, so that its largest magnitude becomes the format's largest value."
)
BOTH_NOTE = "both cast: the weights, and the activations (the input of each layer). Products are summed in float64."
CLOSE = 0.01  # of the test images: an accuracy within this of float32's counts as equal in the conclusion


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the pictures and the network's weights.")] = Path(
        "fpemu-demo"
    ),
    json: JsonOption = False,
) -> None:
    """Show formats at work: a network that reads digits, and a sine, each cast to several formats.

    For example:

        fpemu demo

        fpemu demo --out pictures

        fpemu demo --json
    """
    digits = network.load()
    out.mkdir(parents=True, exist_ok=True)
    files = [_write_weights(digits, out / "weights.npy")]
    casts = network.casts()
    results = []
    with progress("casting the network (the first run also compiles the kernels)", len(casts)) as advance:
        for name, scaled in casts:
            results.append(network.evaluate_format(digits, name, scaled))
            advance(1)
    quantized = [sine.quantize_signal(sine.sample()[1], bits) for bits in sine.SINE_BITS]
    with progress("drawing the pictures", None):
        files += _draw_pictures(digits, results, out)
    if json:
        print_json(_to_dict(results, quantized, files))
        return
    output = console()
    _print_errors(output, digits, results)
    _print_network(output, digits, results)
    output.print(_draw_sine(quantized, output))
    if len(files) == 1:
        output.print(NO_PICTURES, markup=False)
    output.print("Written: " + ", ".join(map(str, files)), markup=False, soft_wrap=True)
    output.print("\nIn words", style="bold")
    for line in _conclusion(results):
        output.print(line, markup=False)
    output.print("\nTry next:")
    for command in _next_commands(files[0]):
        output.print(f"  {command}", style="bold", markup=False, soft_wrap=True)


def _write_weights(digits: Network, path: Path) -> Path:
    with replacing(path) as stream:
        np.save(stream, digits.all_weights.astype(np.float32))
    return path


def _draw_pictures(digits: Network, results: Sequence[FormatResult], out: Path) -> list[Path]:
    """Draw the pictures and return their files; none without matplotlib."""
    try:
        from fpemu.demo.pictures import write_pictures
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        return []
    return write_pictures(out, digits, results)


def _print_errors(output: Console, digits: Network, results: Sequence[FormatResult]) -> None:
    title = f"The network's {digits.all_weights.size} weights"
    columns = {
        "smallest value": ["" if r.scale else _five_digits(r.smallest) for r in results],
        "largest value": ["" if r.scale else _five_digits(r.largest) for r in results],
        "SQNR dB": [_decibels(r.weights.sqnr) for r in results],
        "overflow": [f"{r.weights.overflow:.1%}" for r in results],
        "underflow": [f"{r.weights.underflow:.1%}" for r in results],
    }
    _print_table(output, title, results, columns)
    output.print(f"{SQNR_NOTE}\n{ABSMAX_NOTE}\n", markup=False)


def _print_network(output: Console, digits: Network, results: Sequence[FormatResult]) -> None:
    title = f"The network reads {len(digits.labels)} handwritten digits that it never saw"
    columns = {
        "accuracy, weights cast": [f"{r.accuracy_weights:.1%}" for r in results],
        "activations overflow": [f"{r.activations.overflow:.1%}" for r in results],
        "activations underflow": [f"{r.activations.underflow:.1%}" for r in results],
        "accuracy, both cast": [f"{r.accuracy:.1%}" for r in results],
        "logits' SQNR dB": [_decibels(r.logits_sqnr) for r in results],
        "same answer as float32": [f"{r.agreement:.1%}" for r in results],
    }
    _print_table(output, title, results, columns)
    output.print(f"{BOTH_NOTE}\n", markup=False)


def _print_table(output: Console, title: str, results: Sequence[FormatResult], columns: dict[str, list[str]]) -> None:
    """Print a table with a row for each result; columns that do not fit go into further tables below."""
    names = ["  absmax" if r.scale == "absmax" else r.format for r in results]
    first = max(map(len, names))
    output.print(f"{title}\n", style="bold")
    tables: list[tuple[list[str], list[int]]] = []
    left = 0
    for header, cells in columns.items():
        needs = max(map(len, [*header.split(), *cells]))
        if needs + 2 > left:
            tables.append(([], []))
            left = output.width - first
        tables[-1][0].append(header)
        tables[-1][1].append(needs)
        left -= needs + 2
    for headers, widths in tables:
        output.print(_result_table(names, {h: columns[h] for h in headers}, [first, *widths]))
        output.print()


def _result_table(names: list[str], columns: dict[str, list[str]], widths: list[int]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False, show_edge=False)
    for header, width in zip(["format", *columns], widths, strict=True):
        table.add_column(header, justify="right" if header in columns else "left", vertical="bottom", width=width)
    for row in zip(names, *columns.values(), strict=True):
        table.add_row(*row)
    return table


def _five_digits(value: float) -> str:
    return f"{value:.5g}" if 1e-3 < value < 1e6 else f"{value:.1e}"


def _decibels(ratio: float) -> str:
    return "exact" if ratio == float("inf") else f"{ratio:.1f}"


def _draw_sine(quantized: Sequence[sine.QuantizedSignal], output: Console) -> Table:
    """The samples, then each quantized signal above its error, side by side as the terminal's width allows."""
    side_by_side = 4 if output.width >= 76 else 2 if output.width >= 36 else 1
    width = min(40, (output.width - 2 * (side_by_side - 1)) // side_by_side)
    ascii_only = output.options.ascii_only
    signal = sine.sample()[1]
    limit = quantized[0].step / 2

    def curve(y: NDArray[np.float64], limit: float, height: int, joined: bool = True) -> list[str]:
        return canvas.draw(y, limit, width, height, joined=joined, ascii_only=ascii_only)

    panels = [[f"A sine, {signal.size} samples", *curve(signal, 1, 7, joined=False)]]
    for q in quantized:
        error = f"error, to {q.max_error:.2g}"
        signal_lines, error_lines = curve(q.values, 1, 7), curve(q.error, limit, 3)
        panels.append([f"{q.bits} bits: {q.sqnr:.1f} dB", *signal_lines, error, *error_lines])
    table = Table.grid(padding=(1, 2, 0, 0))
    for first in range(0, len(panels), side_by_side):
        table.add_row(*(_panel(lines) for lines in panels[first : first + side_by_side]))
    return table


def _panel(lines: Sequence[str]) -> Text:
    """A panel: the title in bold, the signal in blue, the error below in orange."""
    text = Text(lines[0], style="bold", no_wrap=True)
    for line in lines[1:8]:
        text.append(f"\n{line}", style="not bold blue")
    for line in lines[8:]:
        text.append(f"\n{line}", style="not bold orange3")
    return text


def _conclusion(results: Sequence[FormatResult]) -> list[str]:
    """The result in words: which formats read as well as float32, and with which scale."""
    reference = next(r.accuracy for r in results if r.format == "float32")
    close = [r for r in results if r.accuracy >= reference - CLOSE]
    unscaled = [r.format for r in close if r.scale is None and r.format != "float32"]
    scaled = [r.format for r in close if r.scale == "absmax" and r.format not in unscaled]
    schemes = [r.format for r in close if r.scale == "own"]
    worst = min(results, key=lambda r: r.accuracy)
    groups = {"no scale": unscaled, "one scale for each tensor": scaled, "a scheme with scales of its own": schemes}
    return [
        f"The network reads {reference:.1%} of the digits in float32. Within {CLOSE:.0%} of that:",
        *(f"  with {scale}: {', '.join(names) or 'none'}" for scale, names in groups.items()),
        f"The worst is {worst.format}{f' ({worst.scale})' if worst.scale else ''}: {worst.accuracy:.1%}.",
    ]


def _next_commands(weights: Path) -> list[str]:
    return [
        "fpemu inspect 0.1 -f float8_e5m2",
        "fpemu compare float16 bfloat16 float8_e4m3fn float8_e5m2",
        f"fpemu report {shlex.quote(str(weights))} -f float8_e4m3fn -f int8 --scale absmax",
    ]


def _to_dict(
    results: Sequence[FormatResult], quantized: Sequence[sine.QuantizedSignal], files: Sequence[Path]
) -> dict[str, Any]:
    return {
        "formats": [dataclasses.asdict(r) for r in results],
        "sine": [{"bits": q.bits, "step": q.step, "sqnr": q.sqnr, "max_error": q.max_error} for q in quantized],
        "files": [str(f) for f in files],
    }

"""The demo's pictures, drawn by matplotlib without a display; ``python -m fpemu.demo.pictures FOLDER`` draws them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from fpemu.demo import network, sine
from fpemu.demo.network import FormatResult, Network
from fpemu.files.atomic import replacing

__all__ = ["formats_picture", "sine_picture", "write_pictures"]

# Okabe and Ito's palette, distinct with every kind of colour vision
BLUE, ORANGE, GREY, GREEN = "#0072B2", "#D55E00", "#7F7F7F", "#009E73"

BLOCK_FORMATS = ("mxfp8_e4m3", "mxfp4", "nvfp4", "nf4_64")


def write_pictures(folder: Path, digits: Network, results: Sequence[FormatResult]) -> list[Path]:
    """Write sine.png and formats.png into a folder, each atomically.

    Parameters
    ----------
    folder : Path
    digits : Network
    results : sequence of FormatResult

    Returns
    -------
    list of Path
    """
    figures = {"sine.png": sine_picture(), "formats.png": formats_picture(digits, results)}
    for name, figure in figures.items():
        with replacing(folder / name) as stream:
            figure.savefig(stream, metadata={"Software": None})  # matplotlib's version would change the file
    return [folder / name for name in figures]


def sine_picture() -> Figure:
    """Draw a sampled sine, quantized to 3, 4 and 8 bits, with its error below.

    Returns
    -------
    matplotlib.figure.Figure
    """
    time, signal = sine.sample()
    figure = Figure(figsize=(9, 4), dpi=120, layout="constrained")
    axes: NDArray[Any] = figure.subplots(
        2, len(sine.SINE_BITS), sharex=True, sharey="row", squeeze=False, gridspec_kw={"height_ratios": [2, 1]}
    )
    for column, bits in enumerate(sine.SINE_BITS):
        quantized = sine.quantize_signal(signal, bits)
        above, below = axes[:, column]
        above.plot(time, signal, ".", color=GREY, markersize=3, label="samples")
        above.step(time, quantized.values, where="mid", color=BLUE, linewidth=1.5, label="quantized")
        above.set_title(f"{bits} bits: SQNR {quantized.sqnr:.1f} dB", fontsize=11)
        if bits <= 4:
            above.hlines(np.linspace(-1, 1, 2**bits), 0, 1, color=GREY, linewidth=0.4, alpha=0.5)
        below.axhline(0, color=GREY, linewidth=0.5)
        below.vlines(time, 0, quantized.error, color=ORANGE, linewidth=1.2)
        below.set_xlabel("time, periods")
        below.set_title(f"at most {quantized.max_error:.2g}", fontsize=9, loc="right")
        for axis in (above, below):
            axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_ylabel("signal")
    axes[1, 0].set_ylabel("error")
    axes[0, -1].legend(frameon=False, fontsize=9)
    return figure


def formats_picture(digits: Network, results: Sequence[FormatResult]) -> Figure:
    """Draw the range of each format beside the network's weights, and the network's accuracy in it.

    Parameters
    ----------
    digits : Network
    results : sequence of FormatResult
        Of formats, with a scale for each tensor or without, and of block formats.

    Returns
    -------
    matplotlib.figure.Figure
    """
    results = [result for result in results if result.scale != "own" or result.format in BLOCK_FORMATS]
    figure = Figure(figsize=(9, 6), dpi=120, layout="constrained")
    ranges, noise = figure.subplots(1, 2, sharey=True)
    names = list(dict.fromkeys(r.format for r in results))
    _draw_format_ranges(ranges, digits, {r.format: r for r in results})
    _draw_noise(noise, names, results)
    ranges.set_yticks(range(len(names)), names)
    ranges.invert_yaxis()
    for axis in (ranges, noise):
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(axis="y", length=0)
    return figure


def _draw_format_ranges(axis: Axes, digits: Network, formats: dict[str, FormatResult]) -> None:
    reach = 40  # powers of two shown; longer bars are labelled with their ends
    low, high = np.percentile(np.log2(np.abs(digits.all_weights)), [1, 100])
    axis.axvspan(low, high, color=ORANGE, alpha=0.25, linewidth=0, label="99 % of\nthe weights")
    for row, result in enumerate(formats.values()):
        if result.scale == "own":
            axis.text(0, row, "scales with each block", color=GREEN, va="center", ha="center", fontsize=8)
            continue
        left, right = np.log2([result.smallest, result.largest])
        axis.barh(row, right - left, left=left, height=0.55, color=BLUE)
        for end, where in ((left, "left"), (right, "right")):
            if abs(end) > reach:
                x = np.copysign(reach - 1, end)
                axis.text(x, row, f"$2^{{{end:.0f}}}$", color="white", va="center", ha=where, fontsize=9)
    axis.set_xlim(-reach, reach)
    axis.set_xlabel("smallest to largest magnitude, powers of two")
    axis.set_title("Range of the format, unscaled", fontsize=11)
    axis.legend(frameon=False, fontsize=9, loc="center left")


def _draw_noise(axis: Axes, names: list[str], results: Sequence[FormatResult]) -> None:
    colours = {None: BLUE, "absmax": ORANGE, "own": GREEN}
    paired = {result.format for result in results if result.scale == "absmax"}
    for result in results:
        shift = 0.0 if result.format not in paired else 0.2 if result.scale else -0.2
        row = names.index(result.format) + shift
        exact = np.isinf(result.logits_sqnr)
        length = 0 if exact else result.logits_sqnr
        label = f"exact: {result.accuracy:.1%} read" if exact else f"{result.accuracy:.1%} read"
        axis.barh(row, length, height=0.36, color=colours[result.scale])
        axis.text(length + 1, row, label, va="center", fontsize=8)
    axis.set_xlim(0, 95)
    axis.set_xlabel("SQNR of the network's outputs in dB; % of digits read")
    axis.set_title("Weights and activations cast", fontsize=11)
    labels = {BLUE: "unscaled", ORANGE: "one scale a tensor (absmax)", GREEN: "one scale a block"}
    handles = [Patch(color=colour, label=label) for colour, label in labels.items()]
    axis.legend(handles=handles, frameon=False, fontsize=9, loc="lower right")


if __name__ == "__main__":
    loaded = network.load()
    write_pictures(Path(sys.argv[1]), loaded, [network.evaluate_format(loaded, *cast) for cast in network.casts()])

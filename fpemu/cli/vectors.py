"""`fpemu vectors`: golden vectors of an operation or a cast, written to a file or to standard output."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from fpemu.cli.options import ClaimOptions, JsonOption, format_of_claim
from fpemu.cli.output import console, print_json, print_table, progress, summary, wrong_usage
from fpemu.verification import Claim, given_arguments
from fpemu.verification.vectors import SITUATIONS, Vectors, generate, write, write_bench
from fpemu.verification.vectors.layouts import LAYOUTS, find_layout
from fpemu.verification.vectors.verilog import check_unit
from fpemu.verification.vectors.writing import write_lines

__all__ = ["vectors"]


def vectors(
    operation: Annotated[
        str, typer.Argument(metavar="OPERATION", help="add, fma, sqrt, exp, less, cast ...", show_default=False)
    ],
    format: Annotated[str, format_of_claim],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="The file to write; default: standard output.")
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option("--layout", help="testfloat, readmemh, csv, jsonl, npz; default: by the ending, else testfloat."),
    ] = None,
    word_bits: Annotated[
        int | None, typer.Option("--word-bits", min=4, help="readmemh: the width of a word, for a bus.")
    ] = None,
    *,
    claim_options: ClaimOptions,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Take all operands if there are no more than this.")] = 1
    << 18,
    per_cell: Annotated[int, typer.Option("--per-cell", min=0, help="Cases for each cell.")] = 4,
    random: Annotated[int, typer.Option("--random", min=0, help="Random cases, after the cells.")] = 10_000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the cases, the same on every machine.")] = 0,
    bench: Annotated[
        str | None, typer.Option("--bench", metavar="verilog", help="readmemh: write a test bench beside the file.")
    ] = None,
    module: Annotated[
        str | None, typer.Option("--module", metavar="NAME", help="Bench: the unit's module; default unit.")
    ] = None,
    ports: Annotated[
        list[str] | None,
        typer.Option("--port", metavar="PORT=NAME", help="Bench: a port's name, if not x, y, z, result, flags or clk."),
    ] = None,
    latency: Annotated[
        int | None, typer.Option("--latency", min=0, help="Bench: the unit has a clock; its latency in cycles.")
    ] = None,
    flags: Annotated[bool, typer.Option("--flags", help="Bench: compare the unit's flags too.")] = False,
    coverage: Annotated[
        bool, typer.Option("--coverage", help="Print the number of cells and cases in each situation, not the vectors.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Generate test vectors for an operation or a cast: inputs worth testing, with correct results and flags.

    The inputs are all operands, if there are few; else cases for each cell (classes of operands and result, and the
    position of the exact result), then random cases. Standard output has the lines that testfloat_gen prints.
    --json prints the number of cases in every cell.

    For example:

        fpemu vectors multiply -f float8_e4m3fn -o multiply.hex

        fpemu vectors cast --from float32 -f float8_e5m2 -o convert.tv --random 100000 --seed 1

        fpemu vectors fma -f bfloat16 --rounding toward_zero --layout readmemh --word-bits 128

        fpemu vectors fma -f bfloat16 -o fma.hex --bench verilog --module bf16_fma --latency 3

        fpemu vectors add -f float16 --coverage
    """
    with wrong_usage("OPERATION, '--format' and the rules"):
        claim = Claim.of(operation, format, **claim_options.given)
        cases = generate(claim, limit=limit, per_cell=per_cell, random=random, seed=seed)
    if json or coverage:
        _print_coverage(cases, json)
        return
    try:
        kind = find_layout(
            "testfloat" if layout is None and output is None else layout, "" if output is None else output.suffix
        )
        if word_bits is not None and kind != "readmemh":
            raise ValueError(f"--word-bits is for the layout readmemh, not for {kind}")
        if output is None and kind not in LAYOUTS:
            raise ValueError(f"the layout {kind} needs a file: -o FILE")
        unit = _bench_unit(bench, kind, output, module=module, ports=ports, latency=latency, flags=flags or None)
        if unit is not None:
            check_unit(claim, **unit)
    except ValueError as wrong:
        words = str(wrong).replace("layout=", "--layout")
        raise typer.BadParameter(words, param_hint="'--layout', '--output', '--word-bits', '--bench'") from None
    with progress(f"cells of {claim}", None):
        count = cases.count
    with progress(str(claim), count) as advance:
        if output is None:
            write_lines(sys.stdout.buffer, cases, kind, word_bits=word_bits, progress=advance)
        else:
            write(output, cases, kind, word_bits=word_bits, progress=advance)
    if output is not None:
        summary(output).print(f"{count:,} vectors: {output}", soft_wrap=True)
        if unit is not None:
            bench_path = write_bench(output.with_name(f"{output.stem}_bench.v"), output, **unit)
            summary(output).print(f"test bench: {bench_path}", soft_wrap=True)


def _bench_unit(bench: str | None, kind: str, output: Path | None, **options: Any) -> dict[str, Any] | None:
    """Arguments of `write_bench`, or None without --bench."""
    unit = given_arguments(**options)
    if bench is None:
        if unit:
            names = ", ".join(f"--{name.removesuffix('s') if name == 'ports' else name}" for name in unit)
            raise ValueError(f"{names} is for a bench: add --bench verilog")
        return None
    if bench != "verilog":
        raise ValueError(f"unknown bench {bench!r}: there is verilog")
    if output is None or kind != "readmemh":
        raise ValueError("a bench reads a file of the layout readmemh: -o FILE.hex")
    if "ports" in unit:
        unit["ports"] = {port: name for port, _, name in (pair.partition("=") for pair in unit["ports"])}
    return unit


def _print_coverage(cases: Vectors, json: bool) -> None:
    with progress(f"cells of {cases.claim}", None):
        cells, impossible = cases.coverage, cases.impossible
    if json:
        facts = [{**cell._asdict(), "cases": count} for cell, count in cells.items()]
        count = None if impossible is None else len(impossible)
        print_json({"claim": cases.claim.described(), "vectors": cases.count, "impossible": count, "cells": facts})
        return
    filled, counts = Counter(cell.situation for cell in cells), Counter[str]()
    for cell, count in cells.items():
        counts[cell.situation] += count
    out = console()
    out.print(f"{cases.claim}: {cases.count:,} vectors, {len(cells):,} cells", soft_wrap=True, markup=False)
    if impossible is not None:
        out.print(f"{len(impossible):,} cells are impossible: no operands reach them")
    out.print()
    rows = [[name, f"{filled[name]:,}", f"{counts[name]:,}"] for name in SITUATIONS]
    print_table(out, [["situation", "cells", "cases"], *rows])

"""`fpemu compare`: formats side by side."""

from __future__ import annotations

import typer
from rich.text import Text

from fpemu.cli.options import FormatsArgument, FormatsOption, JsonOption, PlotOption, formats_of
from fpemu.cli.output import console, picture_path, print_json, print_table, save_picture, wrong_usage
from fpemu.formats.facts import comparison_table
from fpemu.reports import plotting

__all__ = ["compare"]

MAX_WIDTH = 90  # columns of the ranges drawn in a terminal


def compare(
    names: FormatsArgument = None, format: FormatsOption = None, plot: PlotOption = None, json: JsonOption = False
) -> None:
    """Compare formats: precision, limits, special codes, and their ranges on one line of powers of two.

    For example:

        fpemu compare float16 bfloat16 float8_e4m3fn

        fpemu compare -f e4m3fn -f e5m2 --plot formats.png
    """
    chosen = formats_of(format, names)
    if not chosen:
        raise typer.BadParameter("name one format or more, as `fpemu compare fp16 bf16`", param_hint="'FORMAT'")
    picture_path(plot)
    with wrong_usage("'FORMAT'"):
        comparison = comparison_table.compare(*chosen)
    if json:
        print_json(comparison.rows)
    else:
        out = console()
        print_table(out, comparison.cells())
        out.print()
        width = min(out.width - 2 - max(len(fmt.name) for fmt in chosen), MAX_WIDTH)
        for line in plotting.range_lines(chosen, max(width, 20), ascii_only=out.options.ascii_only):
            out.print(Text(line), soft_wrap=True)
    if plot is not None:
        save_picture(plotting.number_line(chosen), plot)

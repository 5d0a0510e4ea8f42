"""`fpemu error`: errors of a function over all codes of a format."""

from __future__ import annotations

import math
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from fpemu.cli.options import (
    FormatOption,
    JsonOption,
    OverflowOption,
    PlotOption,
    ProfileOption,
    RoundingOption,
    float_number,
    formats_of,
    rounding_word,
    rules_of,
)
from fpemu.cli.output import console, picture_path, print_json, print_table, progress, save_picture
from fpemu.inspection.accuracy import MAX_BITS, Accuracy, measure, usual_methods
from fpemu.inspection.operations import find_operation
from fpemu.reports import plotting

__all__ = ["error"]


def error(
    function: Annotated[
        str, typer.Argument(metavar="FUNCTION", help="sin, exp, sigmoid, sqrt, divide, pow ...", show_default=False)
    ],
    format: FormatOption,
    against: Annotated[
        list[str] | None,
        typer.Option(
            "--against",
            metavar="WAY",
            help="float32, numpy, or an expression in x (and y). Can be given again; none: what is usual.",
        ),
    ] = None,
    low: Annotated[str | None, typer.Option("--from", metavar="X", help="The smallest operand.")] = None,
    high: Annotated[str | None, typer.Option("--to", metavar="X", help="The largest operand.")] = None,
    binades: Annotated[bool, typer.Option("--binades", help="Also the largest error of each binade.")] = False,
    rounding: RoundingOption = None,
    overflow: OverflowOption = None,
    profile: ProfileOption = None,
    plot: PlotOption = None,
    json: JsonOption = False,
) -> None:
    """Measure the error of a function over every code of a format, in ulp: correctly rounded, and by other ways.

    float32: correctly rounded to float32, then to the format. numpy: numpy's function of float32, then rounded to the
    format. An expression: every step is rounded to the format. Errors count where the operands are finite and the
    exact value is within the format's range; results that differ count everywhere.

    For example:

        fpemu error sigmoid -f float8_e4m3fn

        fpemu error exp -f float8_e5m2 --against "exp2(x * 1.4427)" --from -8 --to 8 --binades

        fpemu error sqrt -f bfloat16 --against numpy --plot errors.png
    """
    (fmt,) = formats_of([format])
    rules = rules_of(fmt, profile, rounding, overflow)
    least = None if low is None else float_number(low, "'--from'", "toward_positive")  # the first one inside
    most = None if high is None else float_number(high, "'--to'", "toward_negative")
    picture_path(plot)
    try:
        operation = find_operation(function)
        ways = against or usual_methods(function, fmt)
        total = fmt.code_count**operation.operands if fmt.bits <= MAX_BITS.get(operation.operands, 0) else 0
        with progress(f"{operation.name} of {fmt.name}", (1 + len(ways)) * total) as advance:
            found = measure(function, fmt, ways, rules, least, most, advance)
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong), param_hint="'FUNCTION', '--against'") from None
    if json:
        print_json({"rounding": rounding_word(rules.rounding), **found.to_dict()})
    else:
        _print(console(), found, binades)
    if plot is not None:
        save_picture(plotting.accuracy_picture(found), plot)


def _print(out: Console, found: Accuracy, binades: bool) -> None:
    title = Text.assemble((f"{found.operation.name} of {found.format.name}", "bold"))
    title.append(f"  profile {found.profile.name}, {rounding_word(found.profile.rounding)}", "dim")
    out.print(title, soft_wrap=True)
    out.print(f"{found.exact.size} results, errors of {int(found.measured.sum())}")
    out.print()
    rows: list[list[str | Text]] = [["computed", "max ulp", "at", "mean ulp", "differ", "distance", "special"]]
    for method in found.methods:
        at = ", ".join(f"{x:.6g}" for x in found.where(method.worst)) or "-"
        share = f"{100 * method.differs:.3g} %"
        rows.append(
            [
                *(method.name, _number(method.max_ulp), at, _number(method.mean_ulp)),
                *(share, str(method.distance), str(method.special)),
            ]
        )
    print_table(out, rows)
    if binades:
        out.print()
        of = "x" if len(found.operands) == 1 else "exact"
        header = [f"binade of {of}", "count", *(f"max ulp: {method.name}" for method in found.methods)]
        lines = [[f"2**{row['binade']}", str(row["count"]), *map(_number, row["max_ulp"])] for row in found.binades()]
        print_table(out, [header, *lines])


def _number(x: float) -> str:
    return "-" if math.isnan(x) else f"{x:.6g}"

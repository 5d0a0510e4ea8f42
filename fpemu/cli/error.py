"""`fpemu error`: errors of a function over all codes of a format."""

from __future__ import annotations

import math
from typing import Annotated

import typer
from rich.console import Console

from fpemu.cli.options import (
    FormatOption,
    JsonOption,
    PlotOption,
    RuleOptions,
    float_number,
    formats_of,
    rounding_word,
    rules_of,
    title,
)
from fpemu.cli.output import console, picture_path, print_json, print_table, progress, save_picture, wrong_usage
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
            help="float32, numpy, or an expression in x (and y). Repeatable; default: the usual ways.",
        ),
    ] = None,
    low: Annotated[str | None, typer.Option("--from", metavar="X", help="The smallest operand.")] = None,
    high: Annotated[str | None, typer.Option("--to", metavar="X", help="The largest operand.")] = None,
    binades: Annotated[bool, typer.Option("--binades", help="Also print the largest error in each binade.")] = False,
    *,
    rule_options: RuleOptions,
    plot: PlotOption = None,
    json: JsonOption = False,
) -> None:
    """Measure the error in ulp of a function over all codes of a format: correctly rounded, and computed in other ways.

    float32: correctly rounded to float32, then to the format. numpy: numpy's function of float32, then rounded to the
    format. An expression: every step is rounded to the format. Errors are measured where the operands are finite and
    the exact value is within the format's range; differing results are counted everywhere.

    For example:

        fpemu error sigmoid -f float8_e4m3fn

        fpemu error exp -f float8_e5m2 --against "exp2(x * 1.4427)" --from -8 --to 8 --binades

        fpemu error sqrt -f bfloat16 --against numpy --plot errors.png
    """
    (fmt,) = formats_of([format])
    rules = rules_of(fmt, *rule_options)
    least = None if low is None else float_number(low, "'--from'", "toward_positive")  # the first float64 in the range
    most = None if high is None else float_number(high, "'--to'", "toward_negative")
    picture_path(plot)
    with wrong_usage("'FUNCTION', '--against'"):
        operation = find_operation(function)
        ways = against or usual_methods(function, fmt)
        total = fmt.code_count**operation.operands if fmt.bits <= MAX_BITS.get(operation.operands, 0) else 0
        with progress(f"{operation.name} of {fmt.name}", (1 + len(ways)) * total) as advance:
            accuracy = measure(function, fmt, ways, rules, least, most, advance)
    if json:
        print_json({"rounding": rounding_word(rules.rounding), **accuracy.to_dict()})
    else:
        _print_accuracy(console(), accuracy, binades)
    if plot is not None:
        save_picture(plotting.accuracy_picture(accuracy), plot)


def _print_accuracy(out: Console, accuracy: Accuracy, binades: bool) -> None:
    out.print(title(f"{accuracy.operation.name} of {accuracy.format.name}", accuracy.profile), soft_wrap=True)
    out.print(f"{accuracy.exact.size} results, errors of {int(accuracy.measured.sum())}")
    out.print()
    rows: list[list[str]] = [["computed", "max ulp", "at", "mean ulp", "differ", "distance", "special"]]
    for method in accuracy.methods:
        at = ", ".join(f"{x:.6g}" for x in accuracy.where(method.worst)) or "-"
        share = f"{100 * method.differs:.3g} %"
        rows.append(
            [
                *(method.name, _six_digits(method.max_ulp), at, _six_digits(method.mean_ulp)),
                *(share, str(method.distance), str(method.special)),
            ]
        )
    print_table(out, rows)
    if binades:
        out.print()
        of = "x" if len(accuracy.operands) == 1 else "exact"
        header = [f"binade of {of}", "count", *(f"max ulp: {method.name}" for method in accuracy.methods)]
        lines = [
            [f"2**{row['binade']}", str(row["count"]), *map(_six_digits, row["max_ulp"])] for row in accuracy.binades()
        ]
        print_table(out, [header, *lines])


def _six_digits(x: float) -> str:
    return "-" if math.isnan(x) else f"{x:.6g}"

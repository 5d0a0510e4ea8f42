"""`fpemu table`: every result of an operation."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.text import Text

from fpemu.arithmetic.flags import Flags, flag_names
from fpemu.cli.options import (
    FormatOption,
    JsonOption,
    PlotOption,
    RuleOptions,
    formats_of,
    rounding_word,
    rules_of,
    title,
)
from fpemu.cli.output import (
    console,
    json_text,
    picture_path,
    print_json,
    print_table,
    save_picture,
    summary,
    wrong_usage,
)
from fpemu.files.atomic import replacing
from fpemu.formats import FloatFormat, IntFormat
from fpemu.inspection import Code
from fpemu.inspection.accuracy import OperationTable, operation_table, tabulated
from fpemu.reports import plotting

__all__ = ["table"]

ON_SCREEN = {1: 8, 2: 6}  # number of operands -> most bits of their format
FILES = (".csv", ".json", ".npy")
LETTERS = dict(zip(Flags.NAMES, "xuozi", strict=True))
INEXACT, SPECIAL = "yellow", "bold red"


def table(
    operation: Annotated[
        str, typer.Argument(metavar="OPERATION", help="add, multiply, fmod, pow, sqrt, exp ...", show_default=False)
    ],
    format: FormatOption,
    result: Annotated[
        str | None, typer.Option("--result", metavar="FORMAT", help="The results' format; default: the operands'.")
    ] = None,
    codes: Annotated[bool, typer.Option("--codes", help="Codes instead of values.")] = False,
    flags: Annotated[
        bool, typer.Option("--flags", help="Flags after results: inexact, underflow, overflow, zero divide, invalid.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write a .csv, .json or .npy file.")
    ] = None,
    *,
    rule_options: RuleOptions,
    plot: PlotOption = None,
    json: JsonOption = False,
) -> None:
    """Show every result of an operation of one or two operands.

    Results that are inexact, not finite or overflow are coloured.

    Formats of up to 6 bits (8 for one operand) fit the screen; files take up to 8 bits (16). --plot draws the relative
    errors.

    For example:

        fpemu table add -f float4_e2m1fn

        fpemu table sqrt -f fp6_e2m3 --flags

        fpemu table multiply -f float8_e4m3fn --result float16 -o products.csv
    """
    (fmt,) = formats_of([format])
    target = fmt if result is None else formats_of([result])[0]
    if not (isinstance(fmt, FloatFormat | IntFormat) and isinstance(target, FloatFormat | IntFormat)):
        raise typer.BadParameter("operations are of float and integer formats, not codebooks", param_hint="'-f'")
    rules = rules_of(target, *rule_options)
    with wrong_usage("'OPERATION'"):
        operands = tabulated(operation, fmt)[0].operands
    picture_path(plot)
    if output is not None and output.suffix.lower() not in FILES:
        raise typer.BadParameter(f"{output}: a table's name ends in {', '.join(FILES)}", param_hint="'--output'")
    if output is not None and output.suffix.lower() == ".npy" and flags:
        raise typer.BadParameter("an .npy file has no flags: write .csv or .json", param_hint="'--flags'")
    shown = output is None and not json and plot is None
    if shown and fmt.bits > ON_SCREEN[operands]:
        raise typer.BadParameter(
            f"{fmt.code_count}{f' x {fmt.code_count}' * (operands - 1)} results do not fit the screen: write them to a "
            "file, -o table.csv",
            param_hint="'--output'",
        )
    with wrong_usage("'OPERATION'"):
        tabulation = operation_table(operation, fmt, target, rules)
    if flags and tabulation.flags is None:
        raise typer.BadParameter(f"profile {rules.name} rounds twice: it has no flags", param_hint="'--flags'")

    if output is not None:
        _write_table(tabulation, output, codes, flags)
    if json:
        print_json(_table_facts(tabulation, flags), output)
    elif shown:
        _print_results(tabulation, codes, flags)
    else:
        summary(output).print(Text(_summary(tabulation, output)), soft_wrap=True)
    if plot is not None:
        save_picture(plotting.operation_picture(tabulation), plot)


def _print_results(tabulation: OperationTable, codes: bool, flags: bool) -> None:
    out = console()
    to = "" if tabulation.result is tabulation.format else f" to {tabulation.result.name}"
    out.print(title(f"{tabulation.operation.name} of {tabulation.format.name}{to}", tabulation.profile), soft_wrap=True)
    out.print()
    heads = [Code(tabulation.format, code) for code in range(tabulation.format.code_count)]
    names = [head.hex if codes else head.text for head in heads]
    results = {code: Code(tabulation.result, code) for code in np.unique(tabulation.codes).tolist()}
    bits = None if tabulation.flags is None else tabulation.flags.bits
    cells = np.empty(tabulation.codes.shape, object)
    for index, code in np.ndenumerate(tabulation.codes):
        raised = _letters(int(bits[index])) if bits is not None else ""
        result = results[int(code)]
        text = result.hex if codes else result.text
        special = result.special is not None or any(letter in raised for letter in "ozi")
        style = SPECIAL if special else INEXACT if "x" in raised else ""
        cells[index] = Text(text + f" {raised}" * bool(flags and raised), style)
    if tabulation.codes.ndim == 1:
        rows = [[head.hex, head.text, results[int(tabulation.codes[x])].hex, cells[x]] for x, head in enumerate(heads)]
        print_table(out, [["code", "x", "code of result", "result"], *rows], texts=())
    else:
        rows = [[Text(names[x], "bold"), *cells[x]] for x in range(len(heads))]
        print_table(out, [["x \\ y", *names], *rows], texts=())
    words = [Text("inexact", INEXACT), Text("no finite result, or overflow", SPECIAL)] if out.is_terminal else []
    if flags:
        words.append(Text(", ".join(f"{letter} {name.replace('_', ' ')}" for name, letter in LETTERS.items())))
    if words:
        out.print()
        out.print(Text(", ").join(words))


def _summary(tabulation: OperationTable, output: Path | None) -> str:
    file = "" if output is None else f"{output}: "
    to = "" if tabulation.result is tabulation.format else f" to {tabulation.result.name}"
    counts = "" if tabulation.flags is None else f", flags {str(tabulation.flags)[6:-1].rpartition(' of ')[0]}"
    return f"{file}{tabulation.operation.name} of {tabulation.format.name}{to}, {tabulation.codes.size} results{counts}"


def _letters(bits: int) -> str:
    return "".join(letter for bit, letter in enumerate(LETTERS.values()) if bits >> bit & 1)


def _table_facts(tabulation: OperationTable, flags: bool) -> dict[str, Any]:
    """All results for JSON; for two operands, a list for each x."""
    words = {code: Code(tabulation.result, code).data for code in np.unique(tabulation.codes).tolist()}

    def mapped(read: Callable[[int], Any], numbers: Any) -> Any:
        return [mapped(read, each) for each in numbers] if isinstance(numbers, list) else read(numbers)

    facts: dict[str, Any] = {
        "operation": tabulation.operation.name,
        "format": tabulation.format.name,
        "result": tabulation.result.name,
        "profile": tabulation.profile.name,
        "rounding": rounding_word(tabulation.profile.rounding),
        "operands": [Code(tabulation.format, code).data for code in range(tabulation.format.code_count)],
        "codes": tabulation.codes.tolist(),
        "values": mapped(words.__getitem__, tabulation.codes.tolist()),
    }
    if flags and tabulation.flags is not None:
        facts["flags"] = mapped(flag_names, tabulation.flags.bits.tolist())
    return facts


def _write_table(tabulation: OperationTable, path: Path, codes: bool, flags: bool) -> None:
    """Write the table: rows of results (.csv), named lists (.json), or an array indexed by codes (.npy)."""
    kind = path.suffix.lower()
    with replacing(path) as stream:
        if kind == ".npy":
            np.save(stream, tabulation.codes if codes else tabulation.values())
        elif kind == ".json":
            stream.write(json_text(_table_facts(tabulation, flags)).encode())
        else:
            text = io.StringIO()
            _write_rows(csv.writer(text, lineterminator="\n"), tabulation, codes, flags)
            stream.write(text.getvalue().encode())


def _write_rows(rows: Any, tabulation: OperationTable, codes: bool, flags: bool) -> None:
    names = ("x", "y")[: tabulation.codes.ndim]
    rows.writerow([*names, "result", *["flags"] * flags])
    heads = [Code(tabulation.format, code) for code in range(tabulation.format.code_count)]
    texts = [head.hex if codes else head.data for head in heads]
    decoded = {code: Code(tabulation.result, code) for code in np.unique(tabulation.codes).tolist()}
    results = {code: result.hex if codes else result.data for code, result in decoded.items()}
    for index, code in np.ndenumerate(tabulation.codes):
        raised = " ".join(flag_names(int(tabulation.flags.bits[index]))) if tabulation.flags is not None else ""
        rows.writerow([*(texts[x] for x in index), results[int(code)], *[raised] * flags])

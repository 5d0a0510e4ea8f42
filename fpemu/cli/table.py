"""`fpemu table`: every result of an operation."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.text import Text

from fpemu.arithmetic.flags import Flags
from fpemu.cli.options import (
    FormatOption,
    JsonOption,
    OverflowOption,
    PlotOption,
    ProfileOption,
    RoundingOption,
    formats_of,
    rounding_word,
    rules_of,
)
from fpemu.cli.output import console, json_text, picture_path, print_json, print_table, save_picture, summary
from fpemu.files.atomic import replacing
from fpemu.formats import FloatFormat, IntFormat
from fpemu.inspection import Code
from fpemu.inspection.accuracy import OperationTable, operation_table, tabulated
from fpemu.reports import plotting

__all__ = ["table"]

ON_SCREEN = {1: 8, 2: 6}  # bits of operands, by how many there are
FILES = (".csv", ".json", ".npy")
LETTERS = dict(zip(Flags.NAMES, "xuozi", strict=True))
INEXACT, SPECIAL = "yellow", "bold red"


def table(
    operation: Annotated[
        str, typer.Argument(metavar="OPERATION", help="add, multiply, fmod, pow, sqrt, exp ...", show_default=False)
    ],
    format: FormatOption,
    result: Annotated[
        str | None, typer.Option("--result", metavar="FORMAT", help="The results' format; default the operands'.")
    ] = None,
    codes: Annotated[bool, typer.Option("--codes", help="Codes in place of values.")] = False,
    flags: Annotated[
        bool, typer.Option("--flags", help="Flags beside results: inexact, underflow, overflow, zero divide, invalid.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write a .csv, .json or .npy file.")
    ] = None,
    rounding: RoundingOption = None,
    overflow: OverflowOption = None,
    profile: ProfileOption = None,
    plot: PlotOption = None,
    json: JsonOption = False,
) -> None:
    """Show every result of an operation of one or two operands.

    What is inexact, and what is not finite or overflows, is coloured.

    On the screen formats of 6 bits at most (8 for one operand), in files of 8 (16). --plot draws the relative errors.

    For example:

        fpemu table add -f float4_e2m1fn

        fpemu table sqrt -f fp6_e2m3 --flags

        fpemu table multiply -f float8_e4m3fn --result float16 -o products.csv
    """
    (fmt,) = formats_of([format])
    target = fmt if result is None else formats_of([result])[0]
    if not (isinstance(fmt, FloatFormat | IntFormat) and isinstance(target, FloatFormat | IntFormat)):
        raise typer.BadParameter("operations are of float and integer formats, not codebooks", param_hint="'-f'")
    rules = rules_of(target, profile, rounding, overflow)
    try:
        operands = tabulated(operation, fmt)[0].operands
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="'OPERATION'") from None
    picture_path(plot)
    if output is not None and output.suffix.lower() not in FILES:
        raise typer.BadParameter(f"{output}: a table's name ends in {', '.join(FILES)}", param_hint="'--output'")
    if output is not None and output.suffix.lower() == ".npy" and flags:
        raise typer.BadParameter("an .npy file has no flags: write .csv or .json", param_hint="'--flags'")
    shown = output is None and not json and plot is None
    if shown and fmt.bits > ON_SCREEN[operands]:
        raise typer.BadParameter(
            f"{fmt.code_count}{f' x {fmt.code_count}' * (operands - 1)} results do not fit a screen: write them to a "
            "file, -o table.csv",
            param_hint="'--output'",
        )
    try:
        made = operation_table(operation, fmt, target, rules)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="'OPERATION'") from None
    if flags and made.flags is None:
        raise typer.BadParameter(f"profile {rules.name} rounds twice: it has no flags", param_hint="'--flags'")

    if output is not None:
        _write(made, output, codes, flags)
    if json:
        print_json(_facts(made, flags), output)
    elif shown:
        _print(made, codes, flags)
    else:
        summary(output).print(Text(_summary(made, output)), soft_wrap=True)
    if plot is not None:
        save_picture(plotting.operation_picture(made), plot)


def _print(made: OperationTable, codes: bool, flags: bool) -> None:
    out = console()
    to = "" if made.result is made.format else f" to {made.result.name}"
    title = Text.assemble((f"{made.operation.name} of {made.format.name}{to}", "bold"))
    title.append(f"  profile {made.profile.name}, {rounding_word(made.profile.rounding)}", "dim")
    out.print(title, soft_wrap=True)
    out.print()
    heads = [Code(made.format, code) for code in range(made.format.code_count)]
    names = [head.hex if codes else head.text for head in heads]
    known = {code: Code(made.result, code) for code in np.unique(made.codes).tolist()}
    bits = None if made.flags is None else made.flags.bits
    cells = np.empty(made.codes.shape, object)
    for place, code in np.ndenumerate(made.codes):
        raised = _letters(int(bits[place])) if bits is not None else ""
        text = known[int(code)].hex if codes else known[int(code)].text
        special = known[int(code)].special is not None or any(letter in raised for letter in "ozi")
        style = SPECIAL if special else INEXACT if "x" in raised else ""
        cells[place] = Text(text + f" {raised}" * bool(flags and raised), style)
    if made.codes.ndim == 1:
        rows = [[head.hex, head.text, known[int(made.codes[x])].hex, cells[x]] for x, head in enumerate(heads)]
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


def _summary(made: OperationTable, output: Path | None) -> str:
    file = "" if output is None else f"{output}: "
    to = "" if made.result is made.format else f" to {made.result.name}"
    counts = "" if made.flags is None else f", flags {str(made.flags)[6:-1].rpartition(' of ')[0]}"
    return f"{file}{made.operation.name} of {made.format.name}{to}, {made.codes.size} results{counts}"


def _letters(bits: int) -> str:
    return "".join(letter for place, letter in enumerate(LETTERS.values()) if bits >> place & 1)


def _flag_names(bits: int) -> list[str]:
    return [name for place, name in enumerate(Flags.NAMES) if bits >> place & 1]


def _facts(made: OperationTable, flags: bool) -> dict[str, Any]:
    """All results by name, fit for JSON; lists of lists for two operands, x outside."""
    words = {code: Code(made.result, code).data for code in np.unique(made.codes).tolist()}

    def nested(cell: Any) -> Any:
        rows = [cell(place) for place in np.ndindex(made.codes.shape)]
        count = made.format.code_count
        return rows if made.codes.ndim == 1 else [rows[start : start + count] for start in range(0, len(rows), count)]

    facts: dict[str, Any] = {
        "operation": made.operation.name,
        "format": made.format.name,
        "result": made.result.name,
        "profile": made.profile.name,
        "rounding": rounding_word(made.profile.rounding),
        "operands": [Code(made.format, code).data for code in range(made.format.code_count)],
        "codes": made.codes.tolist(),
        "values": nested(lambda place: words[int(made.codes[place])]),
    }
    if flags and made.flags is not None:
        bits = made.flags.bits
        facts["flags"] = nested(lambda place: _flag_names(int(bits[place])))
    return facts


def _write(made: OperationTable, path: Path, codes: bool, flags: bool) -> None:
    """The table as a file: results in rows (.csv), by name (.json), or as an array by codes (.npy)."""
    kind = path.suffix.lower()
    with replacing(path) as stream:
        if kind == ".npy":
            np.save(stream, made.codes if codes else made.values())
        elif kind == ".json":
            stream.write(json_text(_facts(made, flags)).encode())
        else:
            text = io.StringIO()
            _write_rows(csv.writer(text, lineterminator="\n"), made, codes, flags)
            stream.write(text.getvalue().encode())


def _write_rows(rows: Any, made: OperationTable, codes: bool, flags: bool) -> None:
    names = ("x", "y")[: made.codes.ndim]
    rows.writerow([*names, "result", *["flags"] * flags])
    heads = [Code(made.format, code) for code in range(made.format.code_count)]
    texts = [head.hex if codes else head.data for head in heads]
    known = {code: Code(made.result, code) for code in np.unique(made.codes).tolist()}
    results = {code: one.hex if codes else one.data for code, one in known.items()}
    for place, code in np.ndenumerate(made.codes):
        raised = " ".join(_flag_names(int(made.flags.bits[place]))) if made.flags is not None else ""
        rows.writerow([*(texts[x] for x in place), results[int(code)], *[raised] * flags])

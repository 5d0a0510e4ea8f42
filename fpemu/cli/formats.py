"""`fpemu formats`: what is registered."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from fpemu.cli.options import FormatsArgument, FormatsOption, JsonOption, formats_of
from fpemu.cli.output import console, print_json, print_table
from fpemu.formats import FloatFormat, Format
from fpemu.info import describe
from fpemu.infotext import decimal_text
from fpemu.registry import aliases, dtypes, note

__all__ = ["formats"]

HEADER = ("format", "bits", "p", "exponent", "largest", "smallest", "Inf", "NaN", "other names and notes")


def formats(names: FormatsArgument = None, format: FormatsOption = None, json: JsonOption = False) -> None:
    """List the formats that have names, with their aliases.

    Many more describe themselves: e5m10, float12_e5m6, int5, q3.12, uq8.8, and binary8p4se (P3109).

    For example:

        fpemu formats

        fpemu formats e4m3 fp4 --json
    """
    chosen = formats_of(format, names) or dtypes()
    if json:
        print_json([_facts(fmt) for fmt in chosen])
        return
    print_table(console(), [HEADER, *(_row(fmt) for fmt in chosen)], texts=(0, len(HEADER) - 1))


def _facts(fmt: Format) -> dict[str, Any]:
    return {**describe(fmt).to_dict(), "aliases": aliases(fmt), "note": note(fmt)}


def _row(fmt: Format) -> list[str | Text]:
    facts = describe(fmt).to_dict()
    floats = isinstance(fmt, FloatFormat)
    names = ", ".join(aliases(fmt))
    remarks = Text(names + (". " if names and note(fmt) else ""))
    remarks.append(note(fmt), style="italic")
    return [
        fmt.name,
        str(fmt.bits),
        str(fmt.precision) if isinstance(fmt, FloatFormat) else "-",
        str(fmt.exponent_bits) if isinstance(fmt, FloatFormat) else "-",
        decimal_text(facts["max"]),
        decimal_text(facts.get("smallest_subnormal") or facts.get("smallest_positive") or facts.get("quantum")),
        "yes" if floats and fmt.has("infinity") else "-",
        "yes" if floats and fmt.has("nan") else "-",
        remarks,
    ]

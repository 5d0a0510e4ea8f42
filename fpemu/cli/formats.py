"""`fpemu formats`: the registered formats."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from fpemu.cli.options import FormatsArgument, FormatsOption, JsonOption, targets_of
from fpemu.cli.output import console, print_json, print_table
from fpemu.formats import FloatFormat, Format, aliases, dtypes, note
from fpemu.formats.facts.info import describe
from fpemu.formats.facts.text import decimal_text
from fpemu.quantization.definition.registry import schemes
from fpemu.quantization.definition.scaled_format import ScaledFormat
from fpemu.quantization.definition.text import SCHEME_HEADER, scheme_cells, scheme_facts

__all__ = ["formats"]

FORMAT_HEADER = ("format", "bits", "p", "exponent", "largest", "smallest", "Inf", "NaN", "other names and notes")


def formats(names: FormatsArgument = None, format: FormatsOption = None, json: JsonOption = False) -> None:
    """List the registered formats, with their aliases, and the scaled formats.

    Many other formats need no registration: e5m10, float12_e5m6, int5, q3.12, uq8.8, and binary8p4se (P3109).

    For example:

        fpemu formats

        fpemu formats e4m3 fp4 --json
    """
    chosen = targets_of(format, names) or [*dtypes(), *schemes()]
    if json:
        print_json([scheme_facts(fmt) if isinstance(fmt, ScaledFormat) else format_facts(fmt) for fmt in chosen])
        return
    out = console()
    rows = [_format_cells(fmt) for fmt in chosen if not isinstance(fmt, ScaledFormat)]
    scaled = [scheme_cells(fmt) for fmt in chosen if isinstance(fmt, ScaledFormat)]
    if rows:
        print_table(out, [FORMAT_HEADER, *rows], texts=(0, len(FORMAT_HEADER) - 1))
    if rows and scaled:
        out.print()
    if scaled:
        print_table(out, [SCHEME_HEADER, *scaled], texts=range(len(SCHEME_HEADER)))


def format_facts(fmt: Format) -> dict[str, Any]:
    """A format's description, aliases and note."""
    return {**describe(fmt).to_dict(), "aliases": aliases(fmt), "note": note(fmt)}


def _format_cells(fmt: Format) -> list[str | Text]:
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

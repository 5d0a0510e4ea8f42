"""`fpemu info`: everything about a format."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from fpemu.cli.formats import format_facts
from fpemu.cli.options import FormatsArgument, FormatsOption, JsonOption, targets_of
from fpemu.cli.output import bits, console, print_json, print_table
from fpemu.formats import Format
from fpemu.formats.facts.info import describe
from fpemu.inspection import Code
from fpemu.quantization.definition.scaled_format import ScaledFormat
from fpemu.quantization.definition.text import scheme_facts, scheme_lines

__all__ = ["info"]

MOST_BITS = 16  # of formats whose values are listed


def info(
    names: FormatsArgument = None,
    format: FormatsOption = None,
    values: Annotated[bool, typer.Option("--values", help=f"List every code, up to {MOST_BITS} bits.")] = False,
    json: JsonOption = False,
) -> None:
    """Describe a format: layout, limits, special codes, names, and the default rules of a cast to it.

    For a scaled format: elements, scales and blocks.

    For example:

        fpemu info bfloat16

        fpemu info e4m3fn e5m2

        fpemu info fp4 --values

        fpemu info mxfp4

        fpemu info -f q3.12 --json
    """
    chosen = targets_of(format, names)
    if not chosen:
        raise typer.BadParameter("name one format or more, as `fpemu info bfloat16`", param_hint="'[FORMAT]...'")
    for fmt in chosen:
        if values and isinstance(fmt, ScaledFormat):
            raise typer.BadParameter(f"{fmt} has no codes of its own, but {fmt.element}", param_hint="'--values'")
        if values and not isinstance(fmt, ScaledFormat) and fmt.bits > MOST_BITS:
            raise typer.BadParameter(f"{fmt.name} has 2^{fmt.bits} codes: too many to list", param_hint="'--values'")
    if json:
        print_json([scheme_facts(fmt) if isinstance(fmt, ScaledFormat) else _all_facts(fmt, values) for fmt in chosen])
        return
    out = console()
    for index, fmt in enumerate(chosen):
        if index:
            out.print()
        head, *lines = scheme_lines(fmt) if isinstance(fmt, ScaledFormat) else str(describe(fmt)).splitlines()
        out.print(Text(head, "bold"))
        for line in lines:
            out.print(Text(line), soft_wrap=True)
        if isinstance(fmt, ScaledFormat):
            continue
        fields = Code(fmt, 0).fields
        out.print(
            Text("  ") + bits([(name, name[0] * len(digits)) for name, digits in fields]), bits(fields, names=True)
        )
        if values:
            rows = [_value(Code(fmt, code)) for code in range(fmt.code_count)]
            print_table(out, [("code", "bits", "value", "kind"), *rows], texts=(0, 3))


def _value(code: Code) -> list[str | Text]:
    return [code.hex, bits(code.fields), code.text, code.kind]


def _all_facts(fmt: Format, values: bool) -> dict[str, Any]:
    facts = {**format_facts(fmt), "profiles": fmt.profiles()}
    if values:
        facts["values"] = [Code(fmt, code).data for code in range(fmt.code_count)]
    return facts

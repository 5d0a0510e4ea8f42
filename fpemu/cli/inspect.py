"""`fpemu inspect`: one number or code in a format, and why it rounds so."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fpemu.cli.options import (
    FormatsArgument,
    FormatsOption,
    JsonOption,
    OverflowOption,
    ProfileOption,
    RoundingOption,
    SeedOption,
    code,
    formats_of,
    number,
    rounding_word,
    rules_of,
    seed_of,
)
from fpemu.cli.output import bits, console, print_json
from fpemu.formats import FloatFormat, Profile
from fpemu.formats.facts.literals import is_code
from fpemu.formats.facts.text import number_text, text
from fpemu.formats.rules import Stochastic
from fpemu.inspection import Explanation, explain, explain_code

__all__ = ["inspect"]


def inspect(
    value: Annotated[
        str,
        typer.Argument(
            metavar="VALUE", help="0.1, -1.5, -inf, nan, 0x1.8p3: a number. 0x7E, 0b101: a code.", show_default=False
        ),
    ],
    names: FormatsArgument = None,
    format: FormatsOption = None,
    as_code: Annotated[bool, typer.Option("--code", help="VALUE is a code, even 126.")] = False,
    as_value: Annotated[bool, typer.Option("--value", help="VALUE is a number, even 0x7E.")] = False,
    rounding: RoundingOption = None,
    overflow: OverflowOption = None,
    profile: ProfileOption = None,
    seed: SeedOption = None,
    json: JsonOption = False,
) -> None:
    """Show a number in a format bit by bit, its neighbours, its error, and step by step why it rounds so.

    A number keeps all its digits, decimal or hexadecimal: it is rounded once, from exactly what is written.

    For example:

        fpemu inspect 0.1 -f e5m2

        fpemu inspect -1.5 -f int4 --rounding toward_zero

        fpemu inspect 0x7E -f e4m3fn

        fpemu inspect 500 -f e4m3fn --profile torch
    """
    value = value.replace("\u2212", "-")
    chosen = formats_of(format, names)
    if not chosen:
        raise typer.BadParameter("name a format, as -f float8_e5m2", param_hint="'-f' / '--format'")
    if as_code and as_value:
        raise typer.BadParameter("a code or a number, not both", param_hint="'--code', '--value'")
    if as_code or (is_code(value) and not as_value):
        written, rules, seed = code(value), [], None
        for fmt in chosen:
            if not 0 <= written < fmt.code_count:
                raise typer.BadParameter(
                    f"code {value} is out of range: the codes of {fmt.name} are 0 to {fmt.code_count - 1:#x}",
                    param_hint="'VALUE'",
                )
    else:
        given = number(value)
        rules = [rules_of(fmt, profile, rounding, overflow) for fmt in chosen]
        seed = seed_of(seed, rules)

    if rules:
        told = [explain(given, fmt, rule, seed) for fmt, rule in zip(chosen, rules, strict=True)]
    else:
        told = [explain_code(written, fmt) for fmt in chosen]
    if json:
        print_json([_facts(one, rules[place] if rules else None, seed) for place, one in enumerate(told)])
        return
    out = console()
    for place, (one, fmt) in enumerate(zip(told, chosen, strict=True)):
        if place:
            out.print()
        title = Text.assemble((f"{value} in {fmt.name}", "bold"))
        if rules:
            title.append(
                f"  profile {rules[place].name}, {rounding_word(rules[place].rounding)}{_seed(rules[place], seed)}",
                "dim",
            )
        out.print(title, soft_wrap=True)
        _print_one(out, one)


def _print_one(out: Console, one: Explanation) -> None:
    result = one.result
    out.print()
    out.print(Text("  ") + bits(result.fields), Text(result.hex, "bold"), bits(result.fields, names=True))
    out.print()
    kind = f"  ({result.kind})" if isinstance(result.format, FloatFormat) else ""
    lines = [("value", result.text + kind)]
    if one.error is not None:
        share = "" if one.relative_error is None else f"  ({number_text(100 * one.relative_error, 3)} % of the number)"
        lines.append(("error", "none, it is exact" if one.error == 0 else text(one.error) + share))
    for name, beside in zip(("below", "above"), one.neighbours, strict=True):
        lines.append((name, "-" if beside is None else f"{beside.text}  ({beside.hex})"))
    out.print(_pairs(lines))
    out.print()
    out.print(_pairs([(step.title, step.text) for step in one.steps], numbered=True))


def _pairs(lines: list[tuple[str, str]], numbered: bool = False) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(justify="right")
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for place, (title, what) in enumerate(lines, 1):
        grid.add_row(f"  {place}" if numbered else " ", title, Text(what))
    return grid


def _seed(rules: Profile, seed: int | None) -> str:
    return f", seed {seed}" if isinstance(rules.rounding, Stochastic) else ""


def _facts(one: Explanation, rules: Profile | None, seed: int | None) -> dict[str, Any]:
    if rules is None:
        return one.to_dict()
    return {"profile": rules.name, "rounding": rounding_word(rules.rounding), "seed": seed, **one.to_dict()}

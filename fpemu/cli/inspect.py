"""`fpemu inspect`: one number or code in a format, and the steps of its rounding."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fpemu.cli.options import (
    FormatsArgument,
    FormatsOption,
    JsonOption,
    RuleOptions,
    SeedOption,
    code,
    formats_of,
    number,
    rule_facts,
    rules_of,
    seed_of,
    title,
)
from fpemu.cli.output import bits, console, print_json
from fpemu.formats import FloatFormat, Profile
from fpemu.formats.facts.literals import is_code
from fpemu.formats.facts.text import number_text, text
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
    *,
    rule_options: RuleOptions,
    seed: SeedOption = None,
    json: JsonOption = False,
) -> None:
    """Show a number in a format bit by bit: its neighbours, its error, and its rounding step by step.

    All digits of a number count, decimal or hexadecimal: it is rounded once, from its exact value.

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
        written, seed = code(value), None
        for fmt in chosen:
            if not 0 <= written < fmt.code_count:
                raise typer.BadParameter(
                    f"code {value} is out of range: the codes of {fmt.name} are 0 to {fmt.code_count - 1:#x}",
                    param_hint="'VALUE'",
                )
        facts: list[tuple[Explanation, Profile | None]] = [(explain_code(written, fmt), None) for fmt in chosen]
    else:
        given = number(value)
        rules = [rules_of(fmt, *rule_options) for fmt in chosen]
        seed = seed_of(seed, rules)
        facts = [(explain(given, fmt, rule, seed), rule) for fmt, rule in zip(chosen, rules, strict=True)]
    if json:
        print_json([{**({} if rule is None else rule_facts(rule, seed)), **one.to_dict()} for one, rule in facts])
        return
    out = console()
    for index, (one, rule) in enumerate(facts):
        if index:
            out.print()
        out.print(title(f"{value} in {chosen[index].name}", rule, seed), soft_wrap=True)
        _print_explanation(out, one)


def _print_explanation(out: Console, one: Explanation) -> None:
    result = one.result
    out.print()
    out.print(Text("  ") + bits(result.fields), Text(result.hex, "bold"), bits(result.fields, names=True))
    out.print()
    kind = f"  ({result.kind})" if isinstance(result.format, FloatFormat) else ""
    lines = [("value", result.text + kind)]
    if one.error is not None:
        share = "" if one.relative_error is None else f"  ({number_text(100 * one.relative_error, 3)} % of the number)"
        lines.append(("error", "none, it is exact" if one.error == 0 else text(one.error) + share))
    for name, neighbour in zip(("below", "above"), one.neighbours, strict=True):
        lines.append((name, "-" if neighbour is None else f"{neighbour.text}  ({neighbour.hex})"))
    out.print(_grid(lines))
    out.print()
    out.print(_grid([(step.title, step.text) for step in one.steps], numbered=True))


def _grid(lines: list[tuple[str, str]], numbered: bool = False) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(justify="right")
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for line, (name, words) in enumerate(lines, 1):
        grid.add_row(f"  {line}" if numbered else " ", name, Text(words))
    return grid

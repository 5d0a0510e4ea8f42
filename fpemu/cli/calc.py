"""`fpemu calc`: an expression in a format, step by step."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from fpemu.cli.options import (
    FormatsOption,
    JsonOption,
    RuleOptions,
    SeedOption,
    formats_of,
    rule_facts,
    rules_of,
    seed_of,
    title,
)
from fpemu.cli.output import bits, console, print_json, print_table, wrong_usage
from fpemu.formats import Profile, TableFormat
from fpemu.formats.facts.text import number_text
from fpemu.inspection import Evaluation, EvaluationStep, ExpressionError, evaluate

__all__ = ["calc"]

STYLES = {"exact": "green", "overflow": "bold red", "-": "red"}


def calc(
    expression: Annotated[
        str,
        typer.Argument(
            metavar="EXPRESSION",
            help="Numbers (0.1, 0x1.8p-3), codes (0x3C, 0b101), + - * / **, ( ), and functions: sqrt, fma, exp ...",
            show_default=False,
        ),
    ],
    format: FormatsOption = None,
    exact_literals: Annotated[
        bool, typer.Option("--exact-literals", help="Use numbers exactly as written, not rounded first.")
    ] = False,
    *,
    rule_options: RuleOptions,
    seed: SeedOption = None,
    json: JsonOption = False,
) -> None:
    """Evaluate an expression in a format: each operation with its exact value, its rounding, flags and code.

    Numbers are rounded to the format first. No operations are contracted: write fma(a, b, c) for a fused one.
    "~" precedes exact values with infinitely many digits.

    For example:

        fpemu calc "1.5 * 3.25 + 0x1.8p-3" -f float8_e4m3fn

        fpemu calc "0.1 + 0.2" -f float16 -f bfloat16 --rounding toward_zero

        fpemu calc "1 / (1 + exp(-2))" -f e5m2 --json
    """
    text = expression.replace("\u2212", "-")
    chosen = formats_of(format)
    if not chosen:
        raise typer.BadParameter("name a format, as -f float8_e4m3fn", param_hint="'-f' / '--format'")
    for fmt in chosen:
        if isinstance(fmt, TableFormat):
            raise typer.BadParameter(
                f"{fmt.name} is a codebook: operations have results in float and integer formats", param_hint="'-f'"
            )
    rules = [rules_of(fmt, *rule_options) for fmt in chosen]
    seed = seed_of(seed, rules)
    with wrong_usage("'EXPRESSION'", ExpressionError):
        results = [evaluate(text, fmt, rule, seed, exact_literals) for fmt, rule in zip(chosen, rules, strict=True)]
    if json:
        print_json([{**rule_facts(rule, seed), **one.to_dict()} for one, rule in zip(results, rules, strict=True)])
        return
    out = console()
    for index, (one, rule) in enumerate(zip(results, rules, strict=True)):
        if index:
            out.print()
        _print_evaluation(out, one, rule, seed, summary=len(results) == 1)
    if len(results) > 1:
        out.print()
        _print_side_by_side(out, results)


def _print_evaluation(out: Console, one: Evaluation, rules: Profile, seed: int | None, summary: bool) -> None:
    out.print(title(f"{one.text.strip()} in {one.result.format.name}", rules, seed), soft_wrap=True)
    out.print()
    if one.steps:
        header = ["step", "operation", "exact", "rounds", "error", "ulp", "flags", "result", "code", "bits"]
        rows = [[str(number), *_step_cells(step)] for number, step in enumerate(one.steps, 1)]
        print_table(out, [header, *rows], texts=(1, 2, 3, 6, 9))
    else:
        out.print(f"no steps: {one.result.format.name} has this number")
    if summary:
        out.print()
        for name, cell in zip(_TITLES, _column(one), strict=True):
            out.print(Text(f"  {name:<6} ", "bold") + cell, soft_wrap=True)


def _step_cells(step: EvaluationStep) -> list[str | Text]:
    result = step.result
    return [
        step.text,
        _exact_words(step),
        Text(step.rounding, STYLES.get(step.rounding, "yellow")),
        number_text(step.error),
        number_text(step.ulps),
        flag_words(step.flags),
        result.text,
        result.hex,
        bits(result.fields),
    ]


def _exact_words(one: EvaluationStep | Evaluation) -> str:
    """The exact value; the infinity or NaN if there is no exact value, "-" if it is unknown."""
    if one.exact is not None:
        return one.exact.text
    unknown = one.flags is None or "overflow" in one.flags  # the infinity stands for an unknown number
    return one.result.text if one.result.text in ("inf", "-inf", "NaN") and not unknown else "-"


def flag_words(flags: tuple[str, ...] | None) -> str:
    """Flags in words; "-" under rules without flags."""
    return "-" if flags is None else ", ".join(flags).replace("_", " ")


_TITLES = ("result", "code", "exact", "error", "flags")


def _column(one: Evaluation) -> list[Text]:
    """The cells for an expression: result, code, exact value, error, flags."""
    error = Text("-")
    if one.error is not None and one.exact is not None:
        share = f", {number_text(100 * abs(one.error / one.exact.number), 3)} %" if one.exact.number else ""
        ulps = "-" if one.ulps is None else f"{number_text(one.ulps)} ulp"
        error = Text(f"{number_text(one.error)} ({ulps}{share})" if one.error else "none")
    return [
        Text(one.result.text, "bold"),
        Text(one.result.hex + " ") + bits(one.result.fields),
        Text(_exact_words(one)),
        error,
        Text(flag_words(one.flags) or "none"),
    ]


def _print_side_by_side(out: Console, results: list[Evaluation]) -> None:
    columns = [_column(one) for one in results]
    header: list[str | Text] = ["", *(one.result.format.name for one in results)]
    rows: list[list[str | Text]] = [[name, *cells] for name, *cells in zip(_TITLES, *columns, strict=True)]
    print_table(out, [header, *rows], texts=range(len(header)))

"""Expressions evaluated in a format, step by step, beside their exact values."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from fpemu.arithmetic import round_literal
from fpemu.arithmetic.flags import Flags
from fpemu.arrays import Array
from fpemu.casting.stochastic import streamed
from fpemu.formats import FloatFormat, Format, IntFormat, Profile, TableFormat, dtype
from fpemu.formats.facts.exactness import floor_log2, power_of_two, quantum
from fpemu.formats.facts.text import Exact, exact_literal, number_fact, ratio_text
from fpemu.formats.rules import Stochastic, Through
from fpemu.inspection.code import Code, neighbour
from fpemu.inspection.expressions import Call, ExpressionError, Number, Part, Place, Variable, Written, parse
from fpemu.inspection.operations import exact_value
from fpemu.kernels import columns

__all__ = ["Evaluation", "Step", "compute", "evaluate"]


@dataclasses.dataclass(frozen=True)
class Step:
    """One operation, or the rounding of a number that is written out.

    Parameters
    ----------
    text : str
        The operation with its operands' values.
    operation : str
        Its name; "literal" for a number.
    exact : Exact or None
        Its exact value; None if that is no number.
    result : Code
    flags : tuple of str or None
        The names of those raised; None under rules that round twice, which have none.
    place : tuple of int
        Where in the expression it stands.
    """

    text: str
    operation: str
    exact: Exact | None
    result: Code
    flags: tuple[str, ...] | None
    place: Place

    @property
    def error(self) -> Fraction | None:
        """The result less the exact value; None if one of them is no number."""
        return _error(self.result, self.exact)

    @property
    def ulps(self) -> Fraction | None:
        """The error's magnitude in units of the quantum at the exact value."""
        return _ulps(self.result, self.exact)

    @property
    def rounding(self) -> str:
        """Where it went: "exact", "up" or "down" (in value), "tie, up", "tie, down", "overflow", or "-"."""
        if self.exact is None:
            return "-"
        value, number = self.result.exact, self.exact.number
        if value is None:
            return "overflow" if self.flags and "overflow" in self.flags else "-"
        if self.exact.scale:  # then there is no such tie in any format: the numbers beside it have as many digits
            return _beside(value, self.exact)
        if value == number and not self.exact.more:
            return "exact"
        up = value > number if value != number else number < 0
        other = neighbour(self.result.format, self.result.code, not up)
        beyond = None if other is None else Code(self.result.format, other).exact
        gap = quantum(value, self.result.format) if beyond is None else abs(value - beyond)
        tie = not self.exact.more and 2 * abs(value - number) == gap
        return f"{'tie, ' * tie}{'up' if up else 'down'}"

    def to_dict(self) -> dict[str, Any]:
        """Everything by name, fit for JSON; exact numbers as fractions in text."""
        return {
            "text": self.text,
            "operation": self.operation,
            "exact": _exact_facts(self.exact),
            "rounding": self.rounding,
            "error": number_fact(self.error),
            "ulps": number_fact(self.ulps),
            "flags": self.flags,
            "result": self.result.to_dict(),
            "place": list(self.place),
        }


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """An expression's value in a format, how it came to be, and what it should be.

    Parameters
    ----------
    text : str
    result : Code
    steps : tuple of Step
        In the order in which they are carried out; numbers that the format holds are none.
    exact : Exact or None
        The whole expression in exact arithmetic, from the numbers as they are written; None if that is no number.
    """

    text: str
    result: Code
    steps: tuple[Step, ...]
    exact: Exact | None

    @property
    def error(self) -> Fraction | None:
        """The result less the exact value; None if one of them is no number."""
        return _error(self.result, self.exact)

    @property
    def ulps(self) -> Fraction | None:
        """The error's magnitude in units of the quantum at the exact value."""
        return _ulps(self.result, self.exact)

    @property
    def flags(self) -> tuple[str, ...] | None:
        """The names of the flags that any step raised; None under rules that round twice, which have none."""
        raised = set[str]()
        for step in self.steps:
            if step.flags is None:
                return None
            raised.update(step.flags)
        return tuple(name for name in Flags.NAMES if name in raised)

    def to_dict(self) -> dict[str, Any]:
        """Everything by name, fit for JSON; exact numbers as fractions in text."""
        return {
            "expression": self.text,
            "format": self.result.format.name,
            "result": self.result.to_dict(),
            "exact": _exact_facts(self.exact),
            "error": number_fact(self.error),
            "ulps": number_fact(self.ulps),
            "flags": self.flags,
            "steps": [step.to_dict() for step in self.steps],
        }


def _exact_facts(exact: Exact | None) -> dict[str, Any] | None:
    if exact is None:
        return None
    ratio = None if exact.scale else ratio_text(exact.number)
    return {"text": exact.text, "ratio": ratio, "approximate": exact.more or exact.scale != 0}


def _error(result: Code, exact: Exact | None) -> Fraction | None:
    value = result.exact
    return None if value is None or exact is None or exact.scale else value - exact.number


def _ulps(result: Code, exact: Exact | None) -> Fraction | None:
    error = _error(result, exact)
    if error is None or exact is None or (error and not exact.number):  # no quantum to measure by
        return None
    return abs(error) / quantum(exact.number, result.format)


def _beside(value: Fraction, exact: Exact) -> str:
    """Where a value lies beside a far exact one: "exact", "up" or "down"."""
    if not value or (value < 0) != (exact.number < 0):
        return "up" if exact.number < 0 else "down"
    if exact.beyond:
        return "up" if (exact.number < 0) == (exact.scale > 0) else "down"
    binade = floor_log2(abs(value))
    if binade != exact.scale:
        return "up" if (binade > exact.scale) == (value > 0) else "down"
    one = value / power_of_two(binade)
    if one == exact.number:
        return "exact" if not exact.more else "down" if value > 0 else "up"
    return "up" if one > exact.number else "down"


class _Operand(NamedTuple):
    """A part's value: what the operation takes, as text, exactly; and the part in exact arithmetic."""

    given: Any
    text: str
    exact: Exact | None
    whole: Exact | None
    code: Code | None


def evaluate(
    text: str,
    fmt: Any,
    profile: Profile | None = None,
    seed: int | None = None,
    exact_literals: bool = False,
) -> Evaluation:
    """Evaluate an expression in a format: every number is rounded to it, then every operation's result.

    Parameters
    ----------
    text : str
        See `fpemu.inspection.expressions.parse`.
    fmt : str, Format or dtype
    profile : Profile, optional
        The rules; default the format's own.
    seed : int, optional
        For stochastic rounding.
    exact_literals : bool
        Numbers enter operations as they are, from all their digits.

    Returns
    -------
    Evaluation

    Raises
    ------
    ExpressionError
        A ValueError that points at what cannot be read or carried out.
    ValueError
        If the format is a codebook or the rules do not apply to it.

    Examples
    --------
    >>> from fpemu.inspection.evaluation import evaluate
    >>> found = evaluate("0.1 + 1.5 * 3.25", "float8_e4m3fn")
    >>> for step in found.steps:
    ...     print(f"{step.text} = {step.exact.text}: {step.rounding}, {step.result.text}")
    0.1 = 0.1: up, 0.1015625
    1.5 * 3.25 = 4.875: up, 5
    0.1015625 + 5 = 5.1015625: down, 5
    """
    target = dtype(fmt)
    if isinstance(target, TableFormat):
        raise ValueError(f"{target.name} is a codebook: results of operations are of float or integer formats")
    rules = target.profile if profile is None else profile
    return _Run(parse(text), re.sub(r"\s", " ", text), target, rules, seed, exact_literals).evaluation()


class _Run:
    """One evaluation."""

    def __init__(
        self,
        tree: Part,
        text: str,
        fmt: FloatFormat | IntFormat,
        rules: Profile,
        seed: int | None,
        exact_literals: bool,
    ) -> None:
        self.tree, self.text, self.format = tree, text, fmt
        self.rules, self.written_rules = fmt.check_profile(rules), rules  # the latter with rows for casts of float64
        self.seed = seed if isinstance(self.rules.rounding, Stochastic) else None
        self.exact_literals = exact_literals
        self.steps: list[Step] = []

    def evaluation(self) -> Evaluation:
        # a number alone enters no operation
        found = self.rounded(self.tree) if isinstance(self.tree, Number) else self.part(self.tree)
        assert found.code is not None
        return Evaluation(self.text, found.code, tuple(self.steps), found.whole)

    def wrong(self, error: Exception | str, place: Place) -> ExpressionError:
        return ExpressionError(str(error), self.text, *place)

    def part(self, part: Part) -> _Operand:
        if isinstance(part, Number):
            return self.exactly(part) if self.exact_literals else self.rounded(part)
        if isinstance(part, Written):
            code = Code(self.format, _checked(part, self.format, self.text))
            return self.known(code, None if code.exact is None else Exact(code.exact))
        assert isinstance(part, Call)
        return self.call(part)

    def known(self, code: Code, whole: Exact | None) -> _Operand:
        given = Array.from_codes(np.array(code.code, self.format.code_dtype), self.format)
        return _Operand(given, code.text, None if code.exact is None else Exact(code.exact), whole, code)

    def exactly(self, part: Number) -> _Operand:
        exact, special = exact_literal(part.value), part.value.special()
        if exact is not None and part.value.fraction() is None:
            raise self.wrong("too far away to enter an operation exactly: leave out --exact-literals", part.place)
        text = repr(special) if special is not None or exact is None else exact.text
        return _Operand(part.value, text, exact, exact, None)

    def rounded(self, part: Number) -> _Operand:
        value, written = part.value, self.text[slice(*part.place)]
        try:
            code, bits = round_literal(value, self.format, self.written_rules, self.seed, len(self.steps))
        except ValueError as error:
            raise self.wrong(error, part.place) from None
        result = Code(self.format, code)
        found = self.known(result, exact_literal(value))
        special = value.kind != columns.NUMBER and result.special != _SPECIAL.get(repr(value.special()))
        if found.exact != found.whole or bits or special:
            self.add(written, "literal", found.whole, code, bits, part.place)
        return found

    def add(self, text: str, name: str, exact: Exact | None, code: int, bits: int | None, place: Place) -> None:
        flags = None
        if bits is not None:
            flags = tuple(name for name in Flags.NAMES if getattr(Flags(np.array(bits, np.uint8)), name))
        self.steps.append(Step(text, name, exact, Code(self.format, code), flags, place))

    def call(self, part: Call) -> _Operand:
        operands = [self.part(argument) for argument in part.arguments[: -1 if _scales(part) else None]]
        if _scales(part):
            operands.append(self.count(part.arguments[-1]))
        operation, out = part.operation, np.empty((), self.format.code_dtype)
        twice = self.rules.through is Through.FLOAT32
        options: dict[str, Any] = {"result": self.format, "profile": self.rules, "out": out, "return_flags": not twice}
        options |= streamed(self.rules.rounding, self.seed, len(self.steps))
        try:
            found = operation.call(*(operand.given for operand in operands), **options)
        except (ValueError, ArithmeticError) as error:
            raise self.wrong(error, part.place) from None
        bits = None if twice else int(found[1].bits)
        exact = exact_value(operation, tuple(operand.exact for operand in operands), self.rules.rounding)
        whole = exact_value(operation, tuple(operand.whole for operand in operands), self.rules.rounding)
        self.add(
            _words(part, [operand.text for operand in operands]), operation.name, exact, int(out), bits, part.place
        )
        return self.known(Code(self.format, int(out)), whole)

    def count(self, part: Part) -> _Operand:
        """An exponent, the second operand of `scaleb`."""
        n = _exponent(part, self.text)
        return _Operand(n, str(n), Exact(Fraction(n)), Exact(Fraction(n)), None)


def _checked(part: Written, fmt: Format, text: str) -> int:
    """A code that is one of the format's."""
    if part.code >= fmt.code_count:
        words = f"the codes of {fmt.name} are 0 to {fmt.code_count - 1:#x}"
        raise ExpressionError(f"code {part.code:#x} is out of range: {words}", text, *part.place)
    return part.code


def _exponent(part: Part, text: str) -> int:
    number = part.value.plain() if isinstance(part, Number) else math.nan
    if number is None or not math.isfinite(number) or int(number) != number:
        raise ExpressionError("the exponent is a whole number of 64 bits, written out", text, *part.place)
    return int(number)


def _scales(part: Call) -> bool:
    return part.operation.name == "scaleb"


def _words(part: Call, operands: list[str]) -> str:
    """An operation with its operands, as one writes it."""
    if not part.symbol:
        return f"{part.operation.name}({', '.join(operands)})"
    if len(operands) == 1:
        return f"-({operands[0]})" if operands[0].startswith("-") else f"-{operands[0]}"
    left, right = (f"({text})" if text.startswith("-") else text for text in operands)
    if not operands[0].startswith("-") or part.symbol != "**":
        left = operands[0]
    return f"{left} {part.symbol} {right}"


_SPECIAL = {"inf": "inf", "-inf": "-inf", "nan": "NaN"}


def compute(text: str, fmt: Any, variables: Mapping[str, Array], profile: Profile | None = None) -> Array:
    """An expression of arrays in a format: every number and every operation's result is rounded to it.

    Parameters
    ----------
    text : str
        See `fpemu.inspection.expressions.parse`; one of the variables is in it.
    fmt : str, Format or dtype
    variables : mapping of str to Array
    profile : Profile, optional
        The rules; default the format's own.

    Returns
    -------
    Array

    Raises
    ------
    ExpressionError
        A ValueError that points at what cannot be read or carried out.

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.inspection.evaluation import compute
    >>> compute("1 / (1 + exp(-x))", "bfloat16", {"x": fe.array([0.0, -3.0], "bfloat16")})
    Array([0.5       , 0.04736328], format='bfloat16')
    """
    target = dtype(fmt)
    assert not isinstance(target, TableFormat)
    written_rules = target.profile if profile is None else profile
    rules = target.check_profile(written_rules)
    text = re.sub(r"\s", " ", text)

    def value(part: Part) -> Any:
        if isinstance(part, Variable):
            return variables[part.name]
        if isinstance(part, Written):
            return Array.from_codes(np.array(_checked(part, target, text), target.code_dtype), target)
        if isinstance(part, Number):
            code, _ = round_literal(part.value, target, written_rules)
            return Array.from_codes(np.array(code, target.code_dtype), target)
        operands = [value(argument) for argument in part.arguments[: -1 if _scales(part) else None]]
        if _scales(part):
            operands.append(_exponent(part.arguments[-1], text))
        try:
            return part.operation.call(*operands, result=target, profile=rules)
        except ValueError as error:
            raise ExpressionError(str(error), text, *part.place) from None

    found = value(parse(text, tuple(variables)))
    assert isinstance(found, Array)
    return found

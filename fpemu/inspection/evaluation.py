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
from fpemu.inspection.expressions import (
    CodeNode,
    ExpressionError,
    Node,
    NumberNode,
    OperationNode,
    TextRange,
    VariableNode,
    parse_expression,
)
from fpemu.inspection.operations import exact_value
from fpemu.kernels import columns

__all__ = ["Evaluation", "EvaluationStep", "compute", "evaluate"]


class _Approximation:
    """A result in a format beside its exact value."""

    result: Code
    exact: Exact | None

    @property
    def error(self) -> Fraction | None:
        """The result minus the exact value; None if either is not a number."""
        value, exact = self.result.exact, self.exact
        return None if value is None or exact is None or exact.scale else value - exact.number

    @property
    def ulps(self) -> Fraction | None:
        """The error's magnitude in units of the quantum at the exact value."""
        error, exact = self.error, self.exact
        if error is None or exact is None or (error and not exact.number):  # no quantum at the exact value 0
            return None
        return abs(error) / quantum(exact.number, self.result.format)


@dataclasses.dataclass(frozen=True)
class EvaluationStep(_Approximation):
    """One operation, or the rounding of a literal number.

    Parameters
    ----------
    text : str
        The operation, with the values of its operands.
    operation : str
        Its name; "literal" for a number.
    exact : Exact or None
        Its exact value; None if there is no such number.
    result : Code
    flags : tuple of str or None
        The names of the raised flags; None under rules that round twice, which have none.
    place : tuple of int
        The characters of the expression that it comes from.
    """

    text: str
    operation: str
    exact: Exact | None
    result: Code
    flags: tuple[str, ...] | None
    place: TextRange

    @property
    def rounding(self) -> str:
        """The direction of rounding: "exact", "up" or "down" (in value), "tie, up", "tie, down", "overflow", or "-"."""
        if self.exact is None:
            return "-"
        value, number = self.result.exact, self.exact.number
        if value is None:
            return "overflow" if self.flags and "overflow" in self.flags else "-"
        if self.exact.scale:  # beyond the exponents of every format, hence never a tie
            return _direction(value, self.exact)
        if value == number and not self.exact.more:
            return "exact"
        up = value > number if value != number else number < 0
        other = neighbour(self.result.format, self.result.code, not up)
        candidate = None if other is None else Code(self.result.format, other).exact
        gap = quantum(value, self.result.format) if candidate is None else abs(value - candidate)
        tie = not self.exact.more and 2 * abs(value - number) == gap
        return f"{'tie, ' * tie}{'up' if up else 'down'}"

    def to_dict(self) -> dict[str, Any]:
        """All properties by name, ready for JSON; exact numbers are fractions in text."""
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
class Evaluation(_Approximation):
    """The value of an expression in a format, the steps to it, and the exact value.

    Parameters
    ----------
    text : str
    result : Code
    steps : tuple of EvaluationStep
        In the order of evaluation; a number that is a value of the format takes no step.
    exact : Exact or None
        The value in exact arithmetic, from the literal numbers; None if there is no such number.
    """

    text: str
    result: Code
    steps: tuple[EvaluationStep, ...]
    exact: Exact | None

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
        """All properties by name, ready for JSON; exact numbers are fractions in text."""
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


def _direction(value: Fraction, exact: Exact) -> str:
    """The direction from an exact value of large exponent to a value: "exact", "up" or "down"."""
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
    """The value of a node: as the argument of an operation, as text, and exactly.

    `exact`: the exact value of the argument; `whole`: the value of the node in exact arithmetic throughout.
    """

    argument: Any
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
    """Evaluate an expression in a format: every literal number and every result is rounded to it.

    Parameters
    ----------
    text : str
        See `fpemu.inspection.expressions.parse_expression`.
    fmt : str, Format or dtype
    profile : Profile, optional
        The rules; default: the format's own.
    seed : int, optional
        For stochastic rounding.
    exact_literals : bool
        Whether operations use literal numbers with all their digits, instead of rounding them first.

    Returns
    -------
    Evaluation

    Raises
    ------
    ExpressionError
        A ValueError whose message points at the part that cannot be read or evaluated.
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
        raise ValueError(f"{target.name} is a codebook: results of operations must be in a float or integer format")
    rules = target.profile if profile is None else profile
    return _Run(parse_expression(text), re.sub(r"\s", " ", text), target, rules, seed, exact_literals).evaluation()


class _Run:
    """The evaluation of one expression."""

    def __init__(
        self,
        tree: Node,
        text: str,
        fmt: FloatFormat | IntFormat,
        rules: Profile,
        seed: int | None,
        exact_literals: bool,
    ) -> None:
        self.tree, self.text, self.format = tree, text, fmt
        # literals are cast from float64, for which a profile may have a row that the checked rules lack
        self.rules, self.written_rules = fmt.check_profile(rules), rules
        self.seed = seed if isinstance(self.rules.rounding, Stochastic) else None
        self.exact_literals = exact_literals
        self.steps: list[EvaluationStep] = []

    def evaluation(self) -> Evaluation:
        # a literal alone is not an operand, so it is rounded
        value = self.rounded(self.tree) if isinstance(self.tree, NumberNode) else self.value_of(self.tree)
        assert value.code is not None
        return Evaluation(self.text, value.code, tuple(self.steps), value.whole)

    def error(self, error: Exception | str, extent: TextRange) -> ExpressionError:
        return ExpressionError(str(error), self.text, *extent)

    def value_of(self, node: Node) -> _Operand:
        if isinstance(node, NumberNode):
            return self.exactly(node) if self.exact_literals else self.rounded(node)
        if isinstance(node, CodeNode):
            code = Code(self.format, _code_in_format(node, self.format, self.text))
            return self.operand(code, None if code.exact is None else Exact(code.exact))
        assert isinstance(node, OperationNode)
        return self.call(node)

    def operand(self, code: Code, whole: Exact | None) -> _Operand:
        argument = Array.from_codes(np.array(code.code, self.format.code_dtype), self.format)
        return _Operand(argument, code.text, None if code.exact is None else Exact(code.exact), whole, code)

    def exactly(self, node: NumberNode) -> _Operand:
        exact, special = exact_literal(node.value), node.value.special()
        if exact is not None and node.value.fraction() is None:
            raise self.error("too large or too small for an exact operand: leave out --exact-literals", node.extent)
        text = repr(special) if special is not None or exact is None else exact.text
        return _Operand(node.value, text, exact, exact, None)

    def rounded(self, node: NumberNode) -> _Operand:
        value, written = node.value, self.text[slice(*node.extent)]
        try:
            code, bits = round_literal(value, self.format, self.written_rules, self.seed, len(self.steps))
        except ValueError as error:
            raise self.error(error, node.extent) from None
        result = Code(self.format, code)
        operand = self.operand(result, exact_literal(value))
        special = value.kind != columns.NUMBER and result.special != _SPECIAL_WORDS.get(repr(value.special()))
        if operand.exact != operand.whole or bits or special:
            self.add_step(written, "literal", operand.whole, code, bits, node.extent)
        return operand

    def add_step(
        self, text: str, name: str, exact: Exact | None, code: int, bits: int | None, extent: TextRange
    ) -> None:
        flags = None
        if bits is not None:
            flags = tuple(name for name in Flags.NAMES if getattr(Flags(np.array(bits, np.uint8)), name))
        self.steps.append(EvaluationStep(text, name, exact, Code(self.format, code), flags, extent))

    def call(self, node: OperationNode) -> _Operand:
        operands = [self.value_of(argument) for argument in node.arguments[: -1 if _is_scaleb(node) else None]]
        if _is_scaleb(node):
            operands.append(self.count(node.arguments[-1]))
        operation, out = node.operation, np.empty((), self.format.code_dtype)
        twice = self.rules.through is Through.FLOAT32
        options: dict[str, Any] = {"result": self.format, "profile": self.rules, "out": out, "return_flags": not twice}
        options |= streamed(self.rules.rounding, self.seed, len(self.steps))
        try:
            returned = operation.call(*(operand.argument for operand in operands), **options)
        except (ValueError, ArithmeticError) as error:
            raise self.error(error, node.extent) from None
        bits = None if twice else int(returned[1].bits)
        exact = exact_value(operation, tuple(operand.exact for operand in operands), self.rules.rounding)
        whole = exact_value(operation, tuple(operand.whole for operand in operands), self.rules.rounding)
        self.add_step(
            _in_words(node, [operand.text for operand in operands]), operation.name, exact, int(out), bits, node.extent
        )
        return self.operand(Code(self.format, int(out)), whole)

    def count(self, node: Node) -> _Operand:
        """An exponent, the second operand of `scaleb`."""
        n = _integer_exponent(node, self.text)
        return _Operand(n, str(n), Exact(Fraction(n)), Exact(Fraction(n)), None)


def _code_in_format(node: CodeNode, fmt: Format, text: str) -> int:
    """The code of a node; an ExpressionError if the format has no such code."""
    if node.code >= fmt.code_count:
        words = f"the codes of {fmt.name} are 0 to {fmt.code_count - 1:#x}"
        raise ExpressionError(f"code {node.code:#x} is out of range: {words}", text, *node.extent)
    return node.code


def _integer_exponent(node: Node, text: str) -> int:
    number = node.value.plain() if isinstance(node, NumberNode) else math.nan
    if number is None or not math.isfinite(number) or int(number) != number:
        raise ExpressionError("the exponent must be a literal integer of 64 bits", text, *node.extent)
    return int(number)


def _is_scaleb(node: OperationNode) -> bool:
    return node.operation.name == "scaleb"


def _in_words(node: OperationNode, operands: list[str]) -> str:
    """The text of an operation with its operands."""
    if not node.symbol:
        return f"{node.operation.name}({', '.join(operands)})"
    if len(operands) == 1:
        return f"-({operands[0]})" if operands[0].startswith("-") else f"-{operands[0]}"
    left, right = (f"({text})" if text.startswith("-") else text for text in operands)
    if not operands[0].startswith("-") or node.symbol != "**":
        left = operands[0]
    return f"{left} {node.symbol} {right}"


_SPECIAL_WORDS = {"inf": "inf", "-inf": "-inf", "nan": "NaN"}


def compute(text: str, fmt: Any, variables: Mapping[str, Array], profile: Profile | None = None) -> Array:
    """Evaluate an expression of arrays in a format: every literal number and every result is rounded to it.

    Parameters
    ----------
    text : str
        See `fpemu.inspection.expressions.parse_expression`; it contains at least one variable.
    fmt : str, Format or dtype
    variables : mapping of str to Array
    profile : Profile, optional
        The rules; default: the format's own.

    Returns
    -------
    Array

    Raises
    ------
    ExpressionError
        A ValueError whose message points at the part that cannot be read or evaluated.

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

    def value(node: Node) -> Any:
        if isinstance(node, VariableNode):
            return variables[node.name]
        if isinstance(node, CodeNode):
            return Array.from_codes(np.array(_code_in_format(node, target, text), target.code_dtype), target)
        if isinstance(node, NumberNode):
            code, _ = round_literal(node.value, target, written_rules)
            return Array.from_codes(np.array(code, target.code_dtype), target)
        operands = [value(argument) for argument in node.arguments[: -1 if _is_scaleb(node) else None]]
        if _is_scaleb(node):
            operands.append(_integer_exponent(node.arguments[-1], text))
        try:
            return node.operation.call(*operands, result=target, profile=rules)
        except ValueError as error:
            raise ExpressionError(str(error), text, *node.extent) from None

    result = value(parse_expression(text, tuple(variables)))
    assert isinstance(result, Array)
    return result

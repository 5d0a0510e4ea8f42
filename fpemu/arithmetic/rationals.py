"""Results of operations on numbers that no format holds: exact values, as fractions, rounded once."""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fpemu.arithmetic.elementary.rational_functions import rational_power, root, value_at_rational
from fpemu.arithmetic.elementary.ziv import FUNCTIONS, INVALID
from fpemu.casting.lowering import Rules, lower_rules, with_rules
from fpemu.casting.significands import WRAPPED, Digits128, infinite, operands_of, round_values, value_of, wrapped, zero
from fpemu.formats import IEEE, INT64, IntFormat
from fpemu.formats.facts.literals import FAR, LARGEST_EXPONENT, Literal
from fpemu.formats.facts.reals import exact_text
from fpemu.kernels import columns, opcodes, spec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from fpemu.arithmetic.task import Target
    from fpemu.casting import Rest
    from fpemu.casting.stochastic import Randoms
    from fpemu.formats import FloatFormat
    from fpemu.formats.facts.reals import Exact

__all__ = [
    "EXACT_OPERATIONS",
    "Real",
    "exact_results",
    "fraction_of",
    "integer_rest",
    "order",
    "reals_at",
    "slots_of",
    "truncated_quotient",
]

_MOST_SHIFT = 1 << 40  # powers of two by which an operand is multiplied
_COMPARABLE = 1 << 22  # binary digits up to which two numbers are compared as fractions


class Real(NamedTuple):
    """An operand: a kind (of `fpemu.kernels.columns`), a sign, its number if finite, whether it is a signalling NaN."""

    kind: int
    negative: bool
    number: Exact = Fraction(0)
    signalling: bool = False

    @property
    def finite(self) -> bool:
        """Whether it is a number."""
        return self.kind == columns.NUMBER

    @property
    def unsigned(self) -> Real:
        """The operand without its sign."""
        return self._replace(negative=False, number=with_sign(self.number, False))


# A number, a value of another kind, or None if 1 or -1 in place of a number that no format holds gives the result
ExactResult = Fraction | Literal | Digits128 | None


def truncated_quotient(x: Fraction, y: Fraction) -> int:
    """The integer part of x / y."""
    return math.trunc(x / y)


def _sum(target: Target, x: Fraction, y: Fraction) -> ExactResult:
    total = x + y
    return total if total else zero(goes_down(target))


def goes_down(target: Target) -> bool:
    """Whether rounding is toward negative, so that a sum of opposite numbers is -0 (IEEE 754-2019 clause 6.3)."""
    return bool(target.rules[spec.ROUNDING] == spec.TOWARD_NEGATIVE)


def _add(target: Target, x: Real, y: Real) -> ExactResult:
    return _sum(target, fraction_of(x), fraction_of(y)) if x.finite and y.finite else None


def _subtract(target: Target, x: Real, y: Real) -> ExactResult:
    return _sum(target, fraction_of(x), -fraction_of(y)) if x.finite and y.finite else None


def _multiply(_: Target, x: Real, y: Real) -> ExactResult:
    return (fraction_of(x) * fraction_of(y) or None) if x.finite and y.finite else None


def _divide(_: Target, x: Real, y: Real) -> ExactResult:
    if not (x.finite and y.finite and x.number and y.number):
        return None
    return fraction_of(x) / fraction_of(y)


def _fma(target: Target, x: Real, y: Real, z: Real) -> ExactResult:
    if not (x.finite and y.finite and z.finite):
        return None
    product = fraction_of(x) * fraction_of(y)
    return _sum(target, product, fraction_of(z)) if product or z.number else None


def _sqrt_result(_: Target, x: Real) -> ExactResult:
    return None if x.negative else root(fraction_of(x))


def _remainder(quotient: Callable[[Fraction, Fraction], int]) -> Callable[[Target, Real, Real], ExactResult]:
    def result(_: Target, x: Real, y: Real) -> ExactResult:
        if x.finite and y.kind == columns.INFINITE:
            return x.number
        if not (x.finite and y.finite and x.number and y.number):
            return None
        rest = fraction_of(x) - fraction_of(y) * quotient(fraction_of(x), fraction_of(y))
        return rest if rest else zero(x.negative)

    return result


def _scaleb_result(target: Target, x: Real, n: Real) -> ExactResult:
    if not isinstance(x.number, Literal) and not x.number:
        return None
    return _rounded_later(target, x, max(-_MOST_SHIFT, min(_MOST_SHIFT, int(fraction_of(n)))))


def _logb(_: Target, x: Real) -> ExactResult:
    top = _exponent_known(x).top
    return Fraction(top) if top else zero()


def _exponent_known(x: Real) -> Digits128:
    """An operand's leading digits; raises ValueError if it is too large or small to compute its exponent."""
    value = value_of(x.number)
    if abs(value.top) >= FAR:
        fraction_of(x)
    return value


def _rounded_later(target: Target, x: Real, shift: int = 0, flags: int = 0) -> Digits128:
    """An operand times 2^shift, and flags; modulo 2^64 quanta where overflow wraps."""
    if target.rules[spec.WRAP]:
        rest, beyond = wrapped(x.number, target.format, target.rules, shift)
        if beyond:
            value = rest if isinstance(rest, Digits128) else value_of(rest)
            return value._replace(flags=flags | WRAPPED)
    value = _exponent_known(x) if shift else value_of(x.number)
    return value._replace(top=value.top + shift, flags=flags)


def _copysign_result(_: Target, x: Real, y: Real) -> ExactResult:
    return None if not x.finite or not x.number else with_sign(x.number, y.negative)


def _extremum_result(larger: bool, numbers: bool) -> Callable[[Target, Real, Real], ExactResult]:
    def result(target: Target, x: Real, y: Real) -> ExactResult:
        nan, which = columns.NOT_A_NUMBER, target.rules[spec.EXTREMUM]
        if nan in (x.kind, y.kind):
            signalling = x.signalling or y.signalling
            if which == spec.EXTREMUM_X86:  # the second operand, and a NaN is invalid
                return _rounded_later(target, y, flags=opcodes.INVALID_FLAG) if x.kind == nan else None
            if not (not signalling if which == spec.EXTREMUM_2008 else numbers):
                return None
            other = y if x.kind == nan else x
            return _rounded_later(target, other, flags=opcodes.INVALID_FLAG if signalling else 0)
        chosen = y if (order(x, y) < 0) == larger else x
        if chosen.kind == columns.INFINITE:
            return infinite(chosen.negative)
        return chosen.number if isinstance(chosen.number, Literal) or chosen.number else zero(chosen.negative)

    return result


def _pow(_: Target, x: Real, y: Real) -> ExactResult:
    """x^y if no format holds one of them; None if 2 or -2 in its place gives the result.

    Special values as in `fpemu.arithmetic.elementary.ziv.dyadic_power`, for IEEE 754-2019 clause 9.2.1.
    """
    if columns.NOT_A_NUMBER in (x.kind, y.kind) or (x.finite and x.number == 1) or (y.finite and y.number == 0):
        return None
    whole = y.finite and not isinstance(y.number, Literal) and fraction_of(y).denominator == 1
    odd = whole and fraction_of(y).numerator % 2 == 1
    negative = x.negative and odd
    if x.kind == columns.INFINITE:
        return zero(negative) if y.negative else infinite(negative)
    if y.kind == columns.INFINITE:
        large = value_of(x.number).top >= 0
        return zero() if large == y.negative else infinite(False)
    if not isinstance(x.number, Literal) and not x.number:
        return infinite(negative, opcodes.DIVIDE_BY_ZERO_FLAG) if y.negative else zero(negative)
    base, exponent = fraction_of(x), fraction_of(y)
    if x.negative and not whole:
        return INVALID
    return rational_power(abs(base), exponent)._replace(negative=negative)


def _function(name: str) -> Callable[[Target, Real], ExactResult]:
    return lambda _, x: value_at_rational(name, fraction_of(x))


# name -> the result of a target and operands
EXACT_OPERATIONS: dict[str, Callable[..., ExactResult]] = {
    "add": _add,
    "subtract": _subtract,
    "multiply": _multiply,
    "divide": _divide,
    "fma": _fma,
    "sqrt": _sqrt_result,
    "fmod": _remainder(truncated_quotient),
    "ieee_remainder": _remainder(lambda x, y: round(x / y)),
    "scaleb": _scaleb_result,
    "logb": _logb,
    "convert": lambda _, x: x.number,
    "round_to_integral": lambda _, x: x.number,
    "absolute": lambda _, x: with_sign(x.number, False),
    "negative": lambda _, x: with_sign(x.number, not x.negative),
    "copysign": _copysign_result,
    "minimum": _extremum_result(False, False),
    "maximum": _extremum_result(True, False),
    "minimum_number": _extremum_result(False, True),
    "maximum_number": _extremum_result(True, True),
    "pow": _pow,
    **{name: _function(name) for name in FUNCTIONS},
}
# Operations that return an operand: from a float to an integer format, numbers out of range raise only invalid
_RETURN_AN_OPERAND = {
    *("convert", "round_to_integral", "scaleb", "absolute", "negative", "copysign"),
    *("minimum", "maximum", "minimum_number", "maximum_number"),
}


def fraction_of(x: Real) -> Fraction:
    """An operand as a fraction; raises ValueError if that is too long."""
    if isinstance(x.number, Literal):
        raise ValueError(
            f"{exact_text(x.number)} is too far away for an exact result: round it to a format first, fe.array(x, fmt)"
        )
    return x.number


def with_sign(x: Exact, negative: bool) -> Exact:
    """A number with this sign."""
    if isinstance(x, Literal):
        return x._replace(negative=negative)
    return -abs(x) if negative else abs(x)


def order(x: Real, y: Real) -> int:
    """Negative, 0 or positive: the order of two numbers or infinities; -0 is less than +0."""
    if x.negative != y.negative:
        return -1 if x.negative else 1
    if columns.INFINITE in (x.kind, y.kind):
        magnitudes = (x.kind == columns.INFINITE) - (y.kind == columns.INFINITE)
    elif not isinstance(x.number, Literal) and not isinstance(y.number, Literal):
        magnitudes = (abs(x.number) > abs(y.number)) - (abs(x.number) < abs(y.number))
    else:
        magnitudes = _order_literals(x.number, y.number)
    return -magnitudes if x.negative else magnitudes


def _order_literals(x: Exact, y: Exact) -> int:
    """As `order`, for the magnitudes of two numbers of which one is a literal."""
    x, y = with_sign(x, False), with_sign(y, False)
    if (not isinstance(x, Literal) and not x) or (not isinstance(y, Literal) and not y):
        return 1 if isinstance(x, Literal) else -1
    tops = _approximate_exponent(x), _approximate_exponent(y)
    if min(map(abs, tops)) > LARGEST_EXPONENT / 2 and (tops[0] > 0) == (
        tops[1] > 0
    ):  # larger exponents are not distinguished
        raise ValueError(f"{exact_text(x)} and {exact_text(y)} are too far away to be compared")
    if abs(tops[0] - tops[1]) > 2 + max(map(abs, tops)) * 1e-12:
        return 1 if tops[0] > tops[1] else -1
    if isinstance(x, Literal) and isinstance(y, Literal) and x.base == y.base:
        apart = x.exponent - y.exponent
        if abs(apart) > _COMPARABLE > 2 * max(x.significand, y.significand).bit_length():
            return 1 if apart > 0 else -1
        if abs(apart) <= _COMPARABLE:
            a, b = x.significand * x.base ** max(apart, 0), y.significand * y.base ** max(-apart, 0)
            return int(a > b) - int(a < b)
    if max(map(abs, tops)) > _COMPARABLE:
        raise ValueError(f"{exact_text(x)} and {exact_text(y)} are too far away to be compared")
    one, other = (
        Fraction(n.significand) * Fraction(n.base) ** n.exponent if isinstance(n, Literal) else n for n in (x, y)
    )
    return (one > other) - (one < other)


def _approximate_exponent(x: Exact) -> float:
    """The exponent of the leading digit, approximately."""
    if isinstance(x, Literal):
        return x.significand.bit_length() + x.exponent * math.log2(x.base)
    return float(x.numerator.bit_length() - x.denominator.bit_length())


def slots_of(rest: Rest | None, shape: tuple[int, ...], whole: tuple[int, ...]) -> NDArray[np.intp]:
    """For each element of a broadcast array, flat, its index in the rest, counted from 1, or 0."""
    slots = np.zeros(int(np.prod(shape, dtype=int)), np.intp)
    if rest is not None:
        slots[rest.indices] = np.arange(1, len(rest.numbers) + 1)
    return np.broadcast_to(slots.reshape(shape), whole).reshape(-1)


def reals_at(
    codes: NDArray[Any], fmt: FloatFormat | IntFormat, rest: Rest | None, slots: NDArray[np.intp], rules: Rules
) -> list[Real]:
    """Operands: numbers of the rest by `slots`, else the values of codes."""
    operands = []
    for slot, x in zip(slots.tolist(), operands_of(codes, fmt, rules), strict=True):
        if slot:
            assert rest is not None
            number = rest.numbers[slot - 1]
            negative = number.negative if isinstance(number, Literal) else number < 0
            operands.append(Real(columns.NUMBER, negative, number))
        else:
            number = Fraction(x.m << x.e) if x.e >= 0 else Fraction(x.m, 1 << -x.e)
            operands.append(Real(x.kind, x.negative, -number if x.negative else number, x.signalling))
    return operands


def exact_results(
    name: str, operands: Sequence[list[Real]], positions: NDArray[np.intp], target: Target, randoms: Randoms
) -> tuple[NDArray[np.intp], NDArray[Any], NDArray[np.uint8]]:
    """An operation on operands some of which no format holds.

    Parameters
    ----------
    name : str
    operands : sequence of list of Real
    positions : numpy.ndarray of int
        Of the results, in C order: for stochastic rounding.
    target : Target
    randoms : Randoms

    Returns
    -------
    tuple of numpy.ndarray
        The positions of the results that 1 and -1 do not give, their codes and their flags.
    """
    values = [EXACT_OPERATIONS[name](target, *each) for each in zip(*operands, strict=True)]
    given = np.array([value is not None for value in values], np.bool_)
    positions, exact = positions[given], [value for value in values if value is not None]
    inexact = np.zeros(len(exact), np.bool_)
    if name == "round_to_integral":
        exact, inexact = _round_to_integers(exact, positions, target.rules, randoms)
    codes, flags = round_values(exact, positions, target.format, target.rules, randoms)
    for i, value in enumerate(exact):
        if isinstance(value, Digits128):
            flags[i] |= value.flags
    if target.rules[spec.FLOAT_TO_INTEGER] and name in _RETURN_AN_OPERAND:
        beyond = [isinstance(value, Digits128) and value.kind == columns.INFINITE for value in exact]
        flags[((flags & opcodes.OVERFLOW_FLAG) != 0) | np.array(beyond, np.bool_)] = opcodes.INVALID_FLAG
    if name == "convert" and not target.rules[spec.RAISES_INEXACT]:
        flags &= np.uint8(0xFF - opcodes.INEXACT_FLAG)
    if target.rules[spec.RAISES_INEXACT]:
        flags[inexact & ((flags & opcodes.INVALID_FLAG) == 0)] |= opcodes.INEXACT_FLAG
    return positions, codes.astype(target.format.code_dtype), flags


def integer_rest(number: Exact) -> tuple[int, Exact]:
    """A number's magnitude as a multiple of 2^32, and the rest with the sign, which is 0 for an integer."""
    if isinstance(number, Literal):
        return 0, Fraction(0) if number.exponent > 0 else number
    magnitude = abs(number)
    if magnitude.denominator == 1:
        return 0, Fraction(0)
    high = math.floor(magnitude) >> 32 << 32
    return high, magnitude - high if number > 0 else high - magnitude


def _round_to_integers(
    numbers: list[Any], positions: NDArray[np.intp], rules: Rules, randoms: Randoms
) -> tuple[list[Any], NDArray[np.bool_]]:
    """Numbers rounded to integers, and which of them were not integers."""
    halves = [integer_rest(number) for number in numbers]
    inexact = np.array([isinstance(low, Literal) or low != 0 for _, low in halves], np.bool_)
    which = np.flatnonzero(inexact)
    lows = [halves[i][1] for i in which.tolist()]
    to_integers = _to_integers(rules[spec.INTEGRAL_ROUNDING], rules[spec.INTEGRAL_BITS])
    codes, _ = round_values(lows, positions[which], INT64, to_integers, randoms)
    integers = list(numbers)
    for i, code in zip(which.tolist(), codes.view(np.int64).tolist(), strict=True):
        minus = numbers[i].negative if isinstance(numbers[i], Literal) else numbers[i] < 0
        whole = abs(code) + halves[i][0]
        integers[i] = Fraction(-whole if minus else whole) if whole else zero(minus)
    return integers, inexact


@functools.cache
def _to_integers(rounding: int, bits: int) -> Rules:
    rules = lower_rules(INT64, INT64.check_profile(IEEE), False, False)
    return with_rules(rules, {spec.ROUNDING: rounding, spec.RANDOM_BITS: bits})

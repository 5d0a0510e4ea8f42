"""Results of operations on numbers that no format holds: the exact value, of fractions, then one rounding."""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fpemu.arithmetic.elementary.rational_functions import power, root, value_at
from fpemu.arithmetic.elementary.ziv import FUNCTIONS, INVALID
from fpemu.casting.lowering import Rules, lower_rules, with_rules
from fpemu.casting.significands import WRAPPED, Digits128, infinite, operands_of, round_values, value_of, wrapped, zero
from fpemu.casting.stochastic import Randoms
from fpemu.formats import IEEE, INT64, IntFormat
from fpemu.formats.facts.literals import FAR, LARGEST_EXPONENT, Literal
from fpemu.formats.facts.reals import exact_text
from fpemu.kernels import columns
from fpemu.kernels import opcodes as operations
from fpemu.kernels import spec as places_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from fpemu.arithmetic.task import Target
    from fpemu.casting import Rest
    from fpemu.formats import FloatFormat
    from fpemu.formats.facts.reals import Exact

__all__ = [
    "OPERATIONS",
    "Real",
    "fraction_of",
    "integer_rest",
    "order",
    "reals_at",
    "results",
    "slots_of",
    "truncated_quotient",
]

_FARTHEST = 1 << 40  # powers of two that an operand is multiplied by
_CLOSE = 1 << 22  # binary digits of two numbers that are compared as fractions, though they are long


class Real(NamedTuple):
    """An operand: a kind (of `fpemu.kernels.columns`), a sign, the number where it is one, a signalling NaN."""

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
        """It without its sign."""
        return self._replace(negative=False, number=with_sign(self.number, False))


# What operands give: a number, a value of another kind, or None: what 1 or -1 in place of a number that no format holds
# gives is the result.
Result = Fraction | Literal | Digits128 | None


def truncated_quotient(x: Fraction, y: Fraction) -> int:
    """X / y without its fraction."""
    return math.trunc(x / y)


def _sum(task: Target, x: Fraction, y: Fraction) -> Result:
    total = x + y
    return total if total else zero(goes_down(task))


def goes_down(task: Target) -> bool:
    """Whether the rounding is toward negative: then a sum of opposite numbers is -0 (IEEE 754-2019 clause 6.3)."""
    return bool(task.rules[places_of.ROUNDING] == places_of.TOWARD_NEGATIVE)


def _add(task: Target, x: Real, y: Real) -> Result:
    return _sum(task, fraction_of(x), fraction_of(y)) if x.finite and y.finite else None


def _subtract(task: Target, x: Real, y: Real) -> Result:
    return _sum(task, fraction_of(x), -fraction_of(y)) if x.finite and y.finite else None


def _multiply(_: Target, x: Real, y: Real) -> Result:
    return (fraction_of(x) * fraction_of(y) or None) if x.finite and y.finite else None


def _divide(_: Target, x: Real, y: Real) -> Result:
    if not (x.finite and y.finite and x.number and y.number):
        return None
    return fraction_of(x) / fraction_of(y)


def _fma(task: Target, x: Real, y: Real, z: Real) -> Result:
    if not (x.finite and y.finite and z.finite):
        return None
    product = fraction_of(x) * fraction_of(y)
    return _sum(task, product, fraction_of(z)) if product or z.number else None


def _sqrt(_: Target, x: Real) -> Result:
    return None if x.negative else root(fraction_of(x))


def _remainder(quotient: Callable[[Fraction, Fraction], int]) -> Callable[[Target, Real, Real], Result]:
    def result(_: Target, x: Real, y: Real) -> Result:
        if x.finite and y.kind == columns.INFINITE:
            return x.number
        if not (x.finite and y.finite and x.number and y.number):
            return None
        rest = fraction_of(x) - fraction_of(y) * quotient(fraction_of(x), fraction_of(y))
        return rest if rest else zero(x.negative)

    return result


def _scaleb(task: Target, x: Real, n: Real) -> Result:
    if not isinstance(x.number, Literal) and not x.number:
        return None
    return _rounded_later(task, x, max(-_FARTHEST, min(_FARTHEST, int(fraction_of(n)))))


def _logb(_: Target, x: Real) -> Result:
    top = _known(x).top
    return Fraction(top) if top else zero()


def _known(x: Real) -> Digits128:
    """An operand's first digits; a ValueError where it is so far away that not even its exponent is known."""
    value = value_of(x.number)
    if abs(value.top) >= FAR:
        fraction_of(x)
    return value


def _rounded_later(task: Target, x: Real, shift: int = 0, flags: int = 0) -> Digits128:
    """An operand times 2^shift, and flags; where overflow wraps, less what that takes away."""
    if task.rules[places_of.WRAP]:
        rest, beyond = wrapped(x.number, task.target, task.rules, shift)
        if beyond:
            value = rest if isinstance(rest, Digits128) else value_of(rest)
            return value._replace(flags=flags | WRAPPED)
    value = _known(x) if shift else value_of(x.number)
    return value._replace(top=value.top + shift, flags=flags)


def _copysign(_: Target, x: Real, y: Real) -> Result:
    return None if not x.finite or not x.number else with_sign(x.number, y.negative)


def _extreme(larger: bool, numbers: bool) -> Callable[[Target, Real, Real], Result]:
    def result(task: Target, x: Real, y: Real) -> Result:
        nan, which = columns.NOT_A_NUMBER, task.rules[places_of.EXTREMUM]
        if nan in (x.kind, y.kind):
            signalling = x.signalling or y.signalling
            if which == places_of.EXTREMUM_X86:  # the second one, and a NaN is invalid
                return _rounded_later(task, y, flags=operations.INVALID_FLAG) if x.kind == nan else None
            if not (not signalling if which == places_of.EXTREMUM_2008 else numbers):
                return None
            other = y if x.kind == nan else x
            return _rounded_later(task, other, flags=operations.INVALID_FLAG if signalling else 0)
        chosen = y if (order(x, y) < 0) == larger else x
        if chosen.kind == columns.INFINITE:
            return infinite(chosen.negative)
        return chosen.number if isinstance(chosen.number, Literal) or chosen.number else zero(chosen.negative)

    return result


def _pow(_: Target, x: Real, y: Real) -> Result:
    """x^y where one of the two is a number that no format holds; None where what 2 or -2 in its place gives is it.

    Special values as in `fpemu.arithmetic.elementary.ziv.power`, for IEEE 754-2019 clause 9.2.1.
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
        return infinite(negative, operations.DIVIDE_BY_ZERO_FLAG) if y.negative else zero(negative)
    base, exponent = fraction_of(x), fraction_of(y)
    if x.negative and not whole:
        return INVALID
    return power(abs(base), exponent)._replace(negative=negative)


def _function(name: str) -> Callable[[Target, Real], Result]:
    return lambda _, x: value_at(name, fraction_of(x))


# name -> the result of a task and operands
OPERATIONS: dict[str, Callable[..., Result]] = {
    "add": _add,
    "subtract": _subtract,
    "multiply": _multiply,
    "divide": _divide,
    "fma": _fma,
    "sqrt": _sqrt,
    "fmod": _remainder(truncated_quotient),
    "ieee_remainder": _remainder(lambda x, y: round(x / y)),
    "scaleb": _scaleb,
    "logb": _logb,
    "convert": lambda _, x: x.number,
    "round_to_integral": lambda _, x: x.number,
    "absolute": lambda _, x: with_sign(x.number, False),
    "negative": lambda _, x: with_sign(x.number, not x.negative),
    "copysign": _copysign,
    "minimum": _extreme(False, False),
    "maximum": _extreme(True, False),
    "minimum_number": _extreme(False, True),
    "maximum_number": _extreme(True, True),
    "pow": _pow,
    **{name: _function(name) for name in FUNCTIONS},
}
# What passes an operand on: from a float to an integer format what is out of range is invalid and nothing else
_PASSED_ON = {
    *("convert", "round_to_integral", "scaleb", "absolute", "negative", "copysign"),
    *("minimum", "maximum", "minimum_number", "maximum_number"),
}


def fraction_of(x: Real) -> Fraction:
    """An operand as a fraction; a ValueError where that is too long."""
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
    """Below 0, 0 or above 0: which of two numbers or infinities is less; -0 below +0."""
    if x.negative != y.negative:
        return -1 if x.negative else 1
    if columns.INFINITE in (x.kind, y.kind):
        found = (x.kind == columns.INFINITE) - (y.kind == columns.INFINITE)
    elif not isinstance(x.number, Literal) and not isinstance(y.number, Literal):
        found = (abs(x.number) > abs(y.number)) - (abs(x.number) < abs(y.number))
    else:
        found = _order_far(x.number, y.number)
    return -found if x.negative else found


def _order_far(x: Exact, y: Exact) -> int:
    """As `order`, of the magnitudes of numbers of which one is as it is written."""
    x, y = with_sign(x, False), with_sign(y, False)
    if (not isinstance(x, Literal) and not x) or (not isinstance(y, Literal) and not y):
        return 1 if isinstance(x, Literal) else -1
    tops = _top(x), _top(y)
    if min(map(abs, tops)) > LARGEST_EXPONENT / 2 and (tops[0] > 0) == (tops[1] > 0):  # exponents beyond are read alike
        raise ValueError(f"{exact_text(x)} and {exact_text(y)} are too far away to be compared")
    if abs(tops[0] - tops[1]) > 2 + max(map(abs, tops)) * 1e-12:
        return 1 if tops[0] > tops[1] else -1
    if isinstance(x, Literal) and isinstance(y, Literal) and x.base == y.base:
        apart = x.exponent - y.exponent
        if abs(apart) > _CLOSE > 2 * max(x.significand, y.significand).bit_length():
            return 1 if apart > 0 else -1
        if abs(apart) <= _CLOSE:
            a, b = x.significand * x.base ** max(apart, 0), y.significand * y.base ** max(-apart, 0)
            return int(a > b) - int(a < b)
    if max(map(abs, tops)) > _CLOSE:
        raise ValueError(f"{exact_text(x)} and {exact_text(y)} are too far away to be compared")
    one, other = (
        Fraction(n.significand) * Fraction(n.base) ** n.exponent if isinstance(n, Literal) else n for n in (x, y)
    )
    return (one > other) - (one < other)


def _top(x: Exact) -> float:
    """About the exponent of the first digit."""
    if isinstance(x, Literal):
        return x.significand.bit_length() + x.exponent * math.log2(x.base)
    return float(x.numerator.bit_length() - x.denominator.bit_length())


def slots_of(rest: Rest | None, shape: tuple[int, ...], whole: tuple[int, ...]) -> NDArray[np.intp]:
    """For each place of a broadcast array, flat: which of the rest's numbers is there, counted from 1, or 0."""
    slots = np.zeros(int(np.prod(shape, dtype=int)), np.intp)
    if rest is not None:
        slots[rest.places] = np.arange(1, len(rest.numbers) + 1)
    return np.broadcast_to(slots.reshape(shape), whole).reshape(-1)


def reals_at(
    codes: NDArray[Any], fmt: FloatFormat | IntFormat, rest: Rest | None, slots: NDArray[np.intp], rules: Rules
) -> list[Real]:
    """Operands: numbers of the rest where `slots` says so, else what codes stand for."""
    found = []
    for slot, x in zip(slots.tolist(), operands_of(codes, fmt, rules), strict=True):
        if slot:
            assert rest is not None
            number = rest.numbers[slot - 1]
            found.append(Real(columns.NUMBER, number.negative if isinstance(number, Literal) else number < 0, number))
        else:
            number = Fraction(x.m << x.e) if x.e >= 0 else Fraction(x.m, 1 << -x.e)
            found.append(Real(x.kind, x.negative, -number if x.negative else number, x.signalling))
    return found


def results(
    name: str,
    operands: Sequence[list[Real]],
    places: NDArray[np.intp],
    task: Target,
    randoms: Randoms,
) -> tuple[NDArray[np.intp], NDArray[Any], NDArray[np.uint8]]:
    """An operation on operands some of which no format holds.

    Parameters
    ----------
    name : str
    operands : sequence of list of Real
    places : numpy.ndarray of int
        Where the results are: for stochastic rounding.
    task, randoms
        As operations have them.

    Returns
    -------
    tuple of numpy.ndarray
        Which of the places have results that 1 and -1 do not give: those, their codes and their flags.
    """
    found = [OPERATIONS[name](task, *each) for each in zip(*operands, strict=True)]
    kept = np.array([result is not None for result in found], np.bool_)
    places, exact = places[kept], [result for result in found if result is not None]
    inexact = np.zeros(len(exact), np.bool_)
    if name == "round_to_integral":
        exact, inexact = _integers(exact, places, task.rules, randoms)
    how = (places, task.target, task.rules, randoms)
    codes, flags = round_values(exact, *how)
    for i, value in enumerate(exact):
        if isinstance(value, Digits128):
            flags[i] |= value.flags
    if task.rules[places_of.FLOAT_TO_INTEGER] and name in _PASSED_ON:
        beyond = [isinstance(value, Digits128) and value.kind == columns.INFINITE for value in exact]
        flags[((flags & operations.OVERFLOW_FLAG) != 0) | np.array(beyond, np.bool_)] = operations.INVALID_FLAG
    if name == "convert" and not task.rules[places_of.RAISES_INEXACT]:
        flags &= np.uint8(0xFF - operations.INEXACT_FLAG)
    if task.rules[places_of.RAISES_INEXACT]:
        flags[inexact & ((flags & operations.INVALID_FLAG) == 0)] |= operations.INEXACT_FLAG
    return places, codes.astype(task.target.code_dtype), flags


def integer_rest(number: Exact) -> tuple[int, Exact]:
    """A number's magnitude in two: a multiple of 2^32, and what is left, with the sign; that is 0 for an integer."""
    if isinstance(number, Literal):
        return 0, Fraction(0) if number.exponent > 0 else number
    magnitude = abs(number)
    if magnitude.denominator == 1:
        return 0, Fraction(0)
    high = math.floor(magnitude) >> 32 << 32
    return high, magnitude - high if number > 0 else high - magnitude


def _integers(
    numbers: list[Any],
    places: NDArray[np.intp],
    rules: Rules,
    randoms: Randoms,
) -> tuple[list[Any], NDArray[np.bool_]]:
    """Numbers rounded to integers, and which of them were none."""
    parts = [integer_rest(number) for number in numbers]
    inexact = np.array([isinstance(low, Literal) or low != 0 for _, low in parts], np.bool_)
    which = np.flatnonzero(inexact)
    lows = [parts[i][1] for i in which.tolist()]
    to_integers = _to_integers(rules[places_of.INTEGRAL_ROUNDING], rules[places_of.INTEGRAL_BITS])
    codes, _ = round_values(lows, places[which], INT64, to_integers, randoms)
    found = list(numbers)
    for i, code in zip(which.tolist(), codes.view(np.int64).tolist(), strict=True):
        minus = numbers[i].negative if isinstance(numbers[i], Literal) else numbers[i] < 0
        whole = abs(code) + parts[i][0]
        found[i] = Fraction(-whole if minus else whole) if whole else zero(minus)
    return found, inexact


@functools.cache
def _to_integers(rounding: int, bits: int) -> Rules:
    rules = lower_rules(INT64, INT64.check_profile(IEEE), False, False)
    return with_rules(rules, {places_of.ROUNDING: rounding, places_of.RANDOM_BITS: bits})

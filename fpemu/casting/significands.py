"""Round exact numbers to a format once, given their first 128 digits and whether more follow.

This serves the numbers that an array's format does not hold (`fpemu.casting.sequences.Rest`) and elementary functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fpemu.casting.lowering import lower_rules
from fpemu.casting.plans import plan
from fpemu.casting.stochastic import NO_RANDOMS, Randoms
from fpemu.formats import FLOAT32, IEEE, FloatFormat, Format, IntFormat, Profile, TableFormat, odd_scaled
from fpemu.formats.facts.literals import Literal, leading_of
from fpemu.formats.rules import Stochastic, Through
from fpemu.kernels import columns, opcodes, spec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from fpemu.casting.lowering import Rules
    from fpemu.casting.sequences import Rest
    from fpemu.formats.facts.reals import Exact

LOW_WORD = (1 << 64) - 1
WRAPPED = opcodes.OVERFLOW_FLAG | opcodes.INEXACT_FLAG
_PIECE = 1 << 16  # rows that a loop takes at once


class Dyadic(NamedTuple):
    """A number: (-1)^negative m 2^e with m odd or 0, an infinity or NaN."""

    kind: int  # one of columns.NUMBER, INFINITE, NOT_A_NUMBER
    negative: bool
    m: int = 0
    e: int = 0
    signalling: bool = False

    @property
    def zero(self) -> bool:
        return self.kind == columns.NUMBER and self.m == 0


class Digits128(NamedTuple):
    """A function's value: a kind, a sign, the exponent of the top digit, 128 digits, whether more follow; and flags."""

    kind: int  # one of columns.NUMBER, ZERO, INFINITE, NOT_A_NUMBER
    negative: bool = False
    top: int = 0
    digits: int = 0
    more: bool = False
    flags: int = 0


def zero(negative: bool = False) -> Digits128:
    return Digits128(columns.ZERO, negative)


def infinite(negative: bool, flags: int = 0) -> Digits128:
    return Digits128(columns.INFINITE, negative, flags=flags)


def value_of(number: Exact) -> Digits128:
    """A number's first 128 digits, and whether more follow.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from fpemu.casting.significands import value_of
    >>> value_of(Fraction(3, 4)).top, value_of(Fraction(3, 4)).more, value_of(Fraction(1, 3)).more
    (-1, False, True)
    """
    if isinstance(number, Literal):
        return Digits128(columns.NUMBER, number.negative, *number.leading())
    if not number:
        return zero()
    return Digits128(columns.NUMBER, number < 0, *leading_of(abs(number.numerator), number.denominator))


def row(value: Digits128) -> tuple[int, int, int, int]:
    """A value as a row of a table (`fpemu.kernels.columns`)."""
    tag = value.kind | value.flags << columns.FLAGS
    tag |= columns.MINUS_SIGN * value.negative | columns.MORE * value.more
    return tag, value.top & LOW_WORD, value.digits >> 64, value.digits & LOW_WORD


def operands_of(codes: NDArray[Any], fmt: FloatFormat | IntFormat, rules: Rules) -> list[Dyadic]:
    """The values of codes of a format; `rules`: whether subnormals count as zero."""
    from fpemu.kernels.cpu.elementary import operands_array

    table = np.empty((codes.size, 3), np.uint64)
    operands_array(codes, fmt.spec, rules, table)
    return [_operand(*each) for each in table.tolist()]


def _operand(tag: int, exponent: int, significand: int) -> Dyadic:
    """An operand from a row of a table; its significand is odd or 0."""
    kind, negative = tag & columns.KINDS, tag & columns.MINUS_SIGN != 0
    if significand == 0 or kind == columns.NOT_A_NUMBER:
        return Dyadic(kind, negative, signalling=tag & columns.MORE != 0)
    if exponent >> 63:
        exponent -= 1 << 64
    return Dyadic(kind, negative, *odd_scaled(significand, exponent))


def round_values(
    numbers: Sequence[Exact | Digits128],
    indices: NDArray[np.intp],
    target: FloatFormat | IntFormat,
    rules: Rules,
    randoms: Randoms = NO_RANDOMS,
) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    """Codes and flags of exact numbers, each rounded once.

    Parameters
    ----------
    numbers : sequence of Fraction, Literal or Digits128
    indices : numpy.ndarray of int
        Their indices in the result, for stochastic rounding.
    target : FloatFormat or IntFormat
    rules : tuple of int
        As kernels have them.
    randoms : Randoms
        Of the whole result.

    Returns
    -------
    tuple of numpy.ndarray
        Codes as uint64, and flags.
    """
    from fpemu.kernels.cpu.elementary import round_values_array

    out, flags = np.empty(len(numbers), np.uint64), np.empty(len(numbers), np.uint8)
    beyond = np.zeros(len(numbers), np.bool_)
    values: list[tuple[int, int, int, int]] = []
    for number in numbers:
        if not isinstance(number, Digits128) and rules[spec.WRAP]:
            number, beyond[len(values)] = wrapped(number, target, rules)
        values.append(row(number if isinstance(number, Digits128) else value_of(number)))
    table = np.array(values, np.uint64).reshape(-1, 4)
    stochastic = rules[spec.ROUNDING] >= spec.STOCHASTIC_A
    given, key, first = randoms
    step = 1 if stochastic and not given.size else _PIECE  # the stream goes on index by index
    for start in range(0, len(numbers), step):
        chunk = slice(start, start + step)
        drawn = given[indices[chunk]] if stochastic and given.size else NO_RANDOMS.given
        round_values_array(
            *(np.arange(len(table[chunk]), dtype=np.uint16), table[chunk], target.spec, rules),
            *(drawn, np.uint64(key), np.uint64(first + int(indices[start])), out[chunk], flags[chunk]),
        )
    flags[beyond] |= WRAPPED
    return out, flags


def wrapped(
    number: Exact, target: FloatFormat | IntFormat, rules: Rules, shift: int = 0
) -> tuple[Exact | Digits128, bool]:
    """A number times 2^shift minus a multiple of 2^64 quanta, and True, if overflow wraps and the number is that large.

    Otherwise the number itself, without the shift, and False.
    """
    from fractions import Fraction  # imported late: `import fpemu` stays light

    minus = number.negative if isinstance(number, Literal) else number < 0
    positive = not minus or rules[spec.DROP_SIGN]
    which = rules[spec.WRAP]
    if which > spec.WRAP_POSITIVE or (which == spec.WRAP_POSITIVE and not positive):
        return number, False
    quantum = target.spec[spec.QUANTUM]
    lowest = quantum - shift - 64  # exponent of the last of the 128 digits that count
    if value_of(number).top < lowest + 128:
        return number, False
    if isinstance(number, Literal):
        digits, fraction = number.digits_at(lowest, 128)
    else:
        top, bottom = abs(number.numerator), number.denominator << max(lowest, 0)
        whole = top * pow(2, max(-lowest, 0), bottom << 128) % (bottom << 128)
        digits, fraction = whole // bottom, whole % bottom != 0
    if not digits and not fraction:
        return zero(minus), True
    rest = (2 * Fraction(digits) + fraction) * Fraction(2) ** (quantum - 65)  # one digit stands for all that follow
    return -rest if minus else rest, True


def cast_rest(rest: Rest, target: Format, rules: Profile, floats: bool, randoms: Randoms = NO_RANDOMS) -> NDArray[Any]:
    """The codes of numbers that no format holds, by a cast's rules.

    Parameters
    ----------
    rest : Rest
    target : Format
    rules : Profile
        As the target's `check_profile` returns it.
    floats : bool
        Whether the numbers count as floats, not as integers.
    randoms : Randoms
        Of the whole result.

    Returns
    -------
    numpy.ndarray
        Of the target's code dtype.
    """
    if rules.through is Through.FLOAT32:
        singles, _ = round_values(rest.numbers, rest.indices, FLOAT32, lower_rules(FLOAT32, IEEE, False, floats))
        work = plan(FLOAT32, target, rules.replace(through="none", subnormals_in="keep"), None)
        codes = singles.astype(np.uint32)
        out = np.empty(codes.size, target.code_dtype)
        for i, index in enumerate(rest.indices.tolist()):  # each at its own index in the stream
            work(codes[i : i + 1], out[i : i + 1], randoms.chunk(index, index + 1))
        return out
    if isinstance(target, TableFormat):
        from fpemu.casting.thresholds import interval_code  # imported late: it loads fractions

        assert not isinstance(rules.rounding, Stochastic)
        return np.array([interval_code(target, rules, number) for number in rest.numbers], target.code_dtype)
    numbers = lower_rules(target, rules, False, floats)
    codes64, _ = round_values(rest.numbers, rest.indices, target, numbers, randoms)
    return codes64.astype(target.code_dtype)

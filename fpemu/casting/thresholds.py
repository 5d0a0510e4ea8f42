"""The rounding intervals of a codebook: the exact thresholds between them, and their codes."""

from __future__ import annotations

import bisect
import functools
import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fpemu.casting.fast_paths import last_bits_below
from fpemu.formats import FLOAT32, FLOAT64, FloatFormat, Profile, TableFormat
from fpemu.formats.facts.literals import Literal
from fpemu.formats.rules import InfinityRule, NanRule, Rounding
from fpemu.kernels.spec import BINADE_OFFSET

if TYPE_CHECKING:
    from fractions import Fraction

    from fpemu.formats.facts.reals import Exact

MASK = (1 << 64) - 1
_BEYOND = 2000  # a binary exponent beyond float64's numbers and the means of two

Number = tuple[int, int]  # significand 2^exponent, as `TableFormat.scaled` returns it: equal numbers are equal pairs


class Codebook(NamedTuple):
    """Sorted thresholds as `fpemu.kernels.cpu.lookup` compares them, and the codes of the intervals between them.

    `inclusive`: whether a number at the threshold is above it; `specials`: the codes of +NaN, -NaN, +infinity and
    -infinity.
    """

    binades: NDArray[np.int64]
    digits: NDArray[np.uint64]
    inclusive: NDArray[np.uint8]
    codes: NDArray[np.uint16]
    specials: tuple[int, int, int, int]


class _Threshold(NamedTuple):
    """The start of an interval, as numbers are compared, and whether it belongs to the interval."""

    binade: int
    digits: int
    inclusive: bool


class Bins(NamedTuple):
    """A codebook's thresholds in equal bins, as `fpemu.kernels.cpu.lookup` takes them."""

    ends: NDArray[Any]
    below: NDArray[np.int32]
    thresholds: NDArray[Any]


MOST_BINS = 1 << 12


def bins(book: Codebook, dtype: np.dtype[Any]) -> Bins | None:
    """The bins of a codebook for numbers of a float dtype; None if its thresholds are too close.

    Parameters
    ----------
    book : Codebook
    dtype : numpy.dtype
        float32 or float64.

    Returns
    -------
    Bins or None
    """
    carrier = FLOAT32 if dtype.itemsize == 4 else FLOAT64
    thresholds = zip(book.binades.tolist(), book.digits.tolist(), book.inclusive.astype(bool).tolist(), strict=True)
    return bins_of(np.array([_last_below(_Threshold(*each), carrier) for each in thresholds], dtype))


def bins_of(marks: NDArray[Any]) -> Bins | None:
    """The bins of ascending numbers, each the last one below a threshold; None if they are too close.

    Call it while the FPU is in its default modes, as `fpemu.kernels.cpu.lookup` uses it.
    """
    dtype, kind = marks.dtype, marks.dtype.type
    if not marks.size or not np.isfinite(marks).all() or (np.diff(marks) <= 0).any():
        return None
    with np.errstate(all="ignore"):
        beyond = (marks[-1] - marks[0]) / 64 if len(marks) > 1 else max(abs(marks[0]), kind(1))
        lowest, highest = marks[0] - beyond, marks[-1] + beyond
    if not lowest < marks[0] <= marks[-1] < highest:
        return None
    count = 16
    while count <= MOST_BINS:
        with np.errstate(all="ignore"):
            ends = np.array([lowest, highest, kind(count) / (highest - lowest)], dtype)
            if not np.isfinite(ends).all():
                return None
            indices = ((marks - ends[0]) * ends[2]).astype(np.int32)
            last = int((ends[1] - ends[0]) * ends[2])
        if (np.diff(indices) > 0).all():
            thresholds = np.full(last + 1, np.inf, dtype)
            thresholds[indices] = marks
            return Bins(ends, np.searchsorted(indices, np.arange(last + 1)).astype(np.int32), thresholds)
        count *= 2
    return None


def _last_below(threshold: _Threshold, carrier: FloatFormat) -> Any:
    """The largest number of a float type below a threshold; computed from bits, independent of the FPU's modes."""
    from fractions import Fraction

    binade, digits, inclusive = threshold
    negative = binade < 0
    significand = digits ^ MASK if negative else digits
    exact = Fraction(significand) * Fraction(2) ** (abs(binade) - BINADE_OFFSET - 64) if binade else Fraction(0)
    low = last_bits_below(carrier, exact)
    is_held = carrier.exact(low) == exact
    if negative:
        bits, sign = low + (not is_held) + (is_held and inclusive), True
    else:
        bits, sign = (low - 1, False) if is_held and inclusive else (low, False)
        bits, sign = (1, True) if bits < 0 else (bits, sign)  # below zero
    code = np.array(bits | (carrier.sign_mask if sign else 0), carrier.code_dtype)
    return code.view(f"f{carrier.bits // 8}")[()]


def _place(number: Number, inclusive: bool) -> _Threshold:
    """The threshold significand 2^exponent, cut to the 64 digits that numbers have at most."""
    significand, exponent = number
    if significand == 0:
        return _Threshold(0, 0, inclusive)
    length = abs(significand).bit_length()
    digits = (abs(significand) << 64) >> length
    if digits << length != abs(significand) << 64:  # more digits: the number of the first 64 is nearer to zero
        inclusive = significand < 0
    binade = exponent + length + BINADE_OFFSET
    return _Threshold(binade, digits, inclusive) if significand > 0 else _Threshold(-binade, digits ^ MASK, inclusive)


def _mean(low: Number, high: Number) -> Number:
    """The exact mean."""
    (a, i), (b, j) = low, high
    exponent = min(i, j)
    return (a << (i - exponent)) + (b << (j - exponent)), exponent - 1


def _size(number: Number) -> tuple[int, int]:
    """A key that orders magnitudes."""
    return _place((abs(number[0]), number[1]), False)[:2]


def _nearer_tie(low: Number, high: Number, low_code: int, high_code: int, rounding: Rounding) -> bool:
    """Whether the mean of two neighbours goes to the upper one."""
    if rounding is Rounding.NEAREST_TOWARD_POSITIVE:
        return True
    if rounding is Rounding.NEAREST_TOWARD_NEGATIVE:
        return False
    if rounding in (Rounding.NEAREST_AWAY, Rounding.NEAREST_TOWARD_ZERO) and _size(low) != _size(high):
        return (_size(high) > _size(low)) is (rounding is Rounding.NEAREST_AWAY)
    return high_code < low_code


def _bound(low: Number, high: Number, low_code: int, high_code: int, rounding: Rounding) -> tuple[Number, bool]:
    """The lower end of `high`'s interval, and whether the interval includes it."""
    above = low, False  # everything beyond `low` goes to `high`
    below = high, True  # nothing below `high` does
    straddles = low[0] < 0 < high[0]
    if rounding is Rounding.TOWARD_POSITIVE:
        return above
    if rounding is Rounding.TOWARD_NEGATIVE:
        return below
    if rounding is Rounding.AWAY_FROM_ZERO:
        return ((0, 0), high_code < low_code) if straddles else above if low[0] >= 0 else below
    if rounding is Rounding.TOWARD_ZERO and not straddles:
        return below if low[0] >= 0 else above
    if rounding is Rounding.TO_ODD and low_code % 2 != high_code % 2:
        return above if high_code % 2 else below
    return _mean(low, high), _nearer_tie(low, high, low_code, high_code, rounding)


@functools.lru_cache(maxsize=64)
def _bounds(fmt: TableFormat, rules: Profile) -> tuple[list[tuple[Number, bool]], list[int]]:
    """The starts of all intervals of a codebook but the first, and the codes of all."""
    rounding = rules.rounding
    assert isinstance(rounding, Rounding)
    lowest: dict[Number, int] = {}
    for code in range(fmt.code_count):
        lowest.setdefault(fmt.scaled(code), code)
    steps = sorted(lowest.items(), key=lambda step: _place(step[0], False)[:2])
    bounds = [
        _bound(low, high, low_code, high_code, rounding)
        for (low, low_code), (high, high_code) in itertools.pairwise(steps)
    ]
    return bounds, [code for _, code in steps]


def interval_code(fmt: TableFormat, rules: Profile, number: Exact) -> int:
    """The code of an exact number other than 0, of any number of digits.

    Parameters
    ----------
    fmt : TableFormat
    rules : Profile
    number : Fraction or Literal

    Returns
    -------
    int
    """
    from fractions import Fraction

    bounds, codes = _bounds(fmt, rules)
    if isinstance(number, Literal):  # beyond all thresholds
        large = number.leading().top > 0
        x = Fraction(2) ** (_BEYOND if large else -_BEYOND) * (-1 if number.negative else 1)
    else:
        x = number

    def begins(bound: tuple[Number, bool]) -> tuple[Fraction, bool]:
        (significand, exponent), inclusive = bound
        return significand * Fraction(2) ** exponent, not inclusive

    return codes[bisect.bisect_right(bounds, (x, False), key=begins)]


@functools.lru_cache(maxsize=64)
def codebook(fmt: TableFormat, rules: Profile) -> Codebook:
    """The intervals of a codebook under a profile (as `check_profile` returns it).

    Parameters
    ----------
    fmt : TableFormat
    rules : Profile

    Returns
    -------
    Codebook
    """
    exact, codes = _bounds(fmt, rules)
    bounds = [_place(*bound) for bound in exact]
    zero = codes[sum(b[:2] < (0, 0) or (b[:2] == (0, 0) and b.inclusive) for b in bounds)]
    nan = {NanRule.MAX: codes[-1], NanRule.MIN: codes[0]}.get(rules.nan, zero)
    infinities = (zero, zero) if rules.infinity is InfinityRule.ZERO else (codes[-1], codes[0])
    return Codebook(
        np.array([b.binade for b in bounds], np.int64),
        np.array([b.digits for b in bounds], np.uint64),
        np.array([b.inclusive for b in bounds], np.uint8),
        np.array(codes, np.uint16),
        (nan, nan, *infinities),
    )

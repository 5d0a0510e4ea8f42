"""How values fall into a codebook: its intervals, their codes, and the thresholds between them, exactly."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fpemu.formats import TableFormat
from fpemu.profiles import InfinityRule, NanRule, Profile, Rounding


class Codebook(NamedTuple):
    """Sorted thresholds (doubled, as high + rest), whether each belongs to the interval above, and the codes.

    ``codes[i]`` is the code of the i-th interval; `specials`: what +NaN, -NaN, +infinity and -infinity give.
    """

    thresholds: NDArray[np.float64]
    rests: NDArray[np.float64]
    inclusive: NDArray[np.uint8]
    codes: NDArray[np.uint16]
    specials: tuple[int, int, int, int]


def _nearer_tie(low: float, high: float, low_code: int, high_code: int, rounding: Rounding) -> bool:
    """Whether the mean of two neighbours goes to the upper one."""
    if rounding is Rounding.NEAREST_TOWARD_POSITIVE:
        return True
    if rounding is Rounding.NEAREST_TOWARD_NEGATIVE:
        return False
    if rounding in (Rounding.NEAREST_AWAY, Rounding.NEAREST_TOWARD_ZERO) and abs(low) != abs(high):
        return (abs(high) > abs(low)) is (rounding is Rounding.NEAREST_AWAY)
    return high_code < low_code


def _threshold(low: float, high: float, low_code: int, high_code: int, rounding: Rounding) -> tuple[float, float, bool]:
    """Where the interval of `high` begins: (twice the number as a sum of two floats, whether it belongs to it)."""
    above = low * 2, 0.0, False  # everything beyond `low` goes to `high`
    below = high * 2, 0.0, True  # nothing below `high` does
    straddles = low < 0 < high
    if rounding is Rounding.TOWARD_POSITIVE:
        return above
    if rounding is Rounding.TOWARD_NEGATIVE:
        return below
    if rounding is Rounding.AWAY_FROM_ZERO:
        return (0.0, 0.0, high_code < low_code) if straddles else above if low >= 0 else below
    if rounding is Rounding.TOWARD_ZERO and not straddles:
        return below if low >= 0 else above
    if rounding is Rounding.TO_ODD and low_code % 2 != high_code % 2:
        return above if high_code % 2 else below
    total = low + high
    part = total - low  # Knuth's two-sum: total + rest is low + high exactly
    rest = (low - (total - part)) + (high - part)
    return total, rest, _nearer_tie(low, high, low_code, high_code, rounding)


@functools.lru_cache(maxsize=64)
def codebook(fmt: TableFormat, rules: Profile) -> Codebook:
    """The intervals of a codebook under a profile (as `check_profile` gives it).

    Parameters
    ----------
    fmt : TableFormat
    rules : Profile

    Returns
    -------
    Codebook
    """
    rounding = rules.rounding
    assert isinstance(rounding, Rounding)
    lowest: dict[float, int] = {}
    for code, value in enumerate(fmt.entries):
        lowest.setdefault(value + 0.0, code)  # + 0.0: zeros of both signs are one value
    steps = sorted(lowest.items())
    bounds = [
        _threshold(low, high, low_code, high_code, rounding)
        for (low, low_code), (high, high_code) in zip(steps, steps[1:], strict=False)
    ]
    codes = [code for _, code in steps]
    thresholds = np.array([b[0] for b in bounds])
    rests = np.array([b[1] for b in bounds])
    inclusive = np.array([b[2] for b in bounds], np.uint8)

    def nearest(value: float) -> int:
        above = (thresholds < value * 2) | ((thresholds == value * 2) & ((rests < 0) | ((rests == 0) & (inclusive != 0))))
        return codes[int(above.sum())]

    nan = {NanRule.MAX: codes[-1], NanRule.MIN: codes[0]}.get(rules.nan)
    if nan is None:
        nan = nearest(0.0)
    infinities = (nearest(0.0),) * 2 if rules.infinity is InfinityRule.ZERO else (codes[-1], codes[0])
    return Codebook(thresholds, rests, inclusive, np.array(codes, np.uint16), (nan, nan, *infinities))

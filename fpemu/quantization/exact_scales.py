"""Exact scales: statistics of blocks divided by divisors, each quotient rounded once to the scales' format."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu.arithmetic import divide, multiply, scaleb
from fpemu.arrays import Array
from fpemu.casting import cast, decode, encode
from fpemu.casting.fpu import fpu_is_fit
from fpemu.formats import IEEE, FloatFormat, IntFormat, Profile
from fpemu.formats.facts.exactness import floor_log2, quotients_round_once, with_digits
from fpemu.formats.rules import Rounding
from fpemu.quantization.definition.profiles import SCALE_RULES
from fpemu.quantization.definition.scaled_format import ScaledFormat
from fpemu.quantization.floats import is_float_zero, wide
from fpemu.quantization.statistics import Scales, Statistics, extent_of

__all__ = ["ExactScales", "by_fractions", "codes_of_quotients", "rounded_quotients"]

TINY = 2.0**-960  # below this float64 quotients may lack digits
FLOAT32_DIGITS = 22  # of scales that are rounded from float32, at most
FLOAT32_EMIN = -100  # of their formats, at least
FRACTION_DIGITS = 60  # digits of a fraction rounded to odd

_AWAY = IEEE.replace(rounding="nearest_away", overflow="saturate")


class ExactScales:
    """Scales of a scheme, each rounded once from the exact statistic of its block.

    Parameters
    ----------
    scheme : ScaledFormat
    """

    def __init__(self, scheme: ScaledFormat) -> None:
        self.scheme = scheme

    @property
    def statistic(self) -> str:
        """The statistic from which scales are computed: the scale rule's."""
        return self.scheme.scale_rule.statistic

    def second_scale(self, statistics: Statistics) -> float:
        """The second level's scale: the largest scale divided by the scale format's largest value; never 0.

        It is 1 where all scales are 0, and the format's smallest positive number where it would round to 0.
        """
        scheme = self.scheme
        level = scheme.second_level
        assert isinstance(level, FloatFormat)
        extent = extent_of(statistics).reshape(-1)
        words = np.where(np.isfinite(extent), extent.view(np.uint64), np.uint64(0))  # in order: none is negative
        if not words.any():
            return 1.0
        most = slice(np.argmax(words), np.argmax(words) + 1)
        divisors = scheme.divisor, scheme.largest_scale
        if quotients_round_once(divisors, level):
            code = codes_of_quotients(extent[most], divisors[0] * divisors[1], level, Rounding.NEAREST_EVEN)
        else:
            low, high = (numbers.reshape(-1)[most] for numbers in statistics.ends)
            code = by_fractions(low, high, divisors, level, Rounding.NEAREST_EVEN)
        scale = np.asarray(decode(code, level, dtype=np.float64))
        if is_float_zero(scale).all():  # the smallest, so that numbers do not all become 0
            scale = np.asarray(decode(code + code.dtype.type(1), level, dtype=np.float64))
        return float(scale[0])

    def stored_second_scale(self, second: float | None) -> float | None:
        """The second level's scale as it is stored: itself."""
        return second

    def scales(self, statistics: Statistics, second: float | None, short_last: bool = False) -> Scales:
        """Each block's scale; `second`: the second level's.  A shorter last block is treated like the others."""
        scheme, rule = self.scheme, self.scheme.scale_rule
        extent, (low, high) = extent_of(statistics), statistics.ends
        infinite = {"nan": np.nan, "power": 2.0**128}.get(scheme.own_profile.infinite_block)
        is_infinite = np.isinf(extent)
        if infinite is not None and is_infinite.any():
            extent = np.where(is_infinite, np.copysign(infinite, extent), extent)
            low, high = np.where(is_infinite, 0.0, low), np.where(is_infinite, extent, high)
        if rule.digits:
            element: Any = scheme.element
            digits = element.precision if isinstance(element, FloatFormat) else element.bits - element.signed
            rounded = np.asarray(cast(extent, with_digits(digits), profile=_AWAY, dtype=np.float64))
            extent = np.where(np.isfinite(extent), rounded, extent)
            low, high = np.zeros_like(extent), extent
        if not scheme.scale.has("nan") and np.isnan(extent).any():
            raise ValueError(f"a block has a NaN or an infinity: its scale must be NaN, but {scheme.scale} has no NaN")
        divisors = scheme.divisor, 1.0 if second is None else second
        if quotients_round_once(divisors, scheme.scale):
            codes = codes_of_quotients(extent, divisors[0] * divisors[1], scheme.scale, rule.rounding)
        else:
            codes = by_fractions(low, high, divisors, scheme.scale, rule.rounding)
        return self.given(codes, second)

    def given(self, codes: NDArray[Any], second: float | None) -> Scales:
        """Scales from their codes."""
        values = decode(codes, self.scheme.scale)
        divisors = wide(np.asarray(values))
        if second is not None:  # exact: both have at most 24 digits
            fit = fpu_is_fit()
            divisors = divisors * second if fit else np.asarray(multiply(divisors, second, result="float64"))
        if self.scheme.scale.zero:
            divisors = np.where(is_float_zero(divisors), np.inf, divisors)
        return Scales(codes, values, divisors)

    def zero_points(self, statistics: Statistics, scales: Scales) -> NDArray[np.int64]:
        """Each block's zero point: lowest integer - (smallest number / scale), rounded and clipped to the range."""
        if self.statistic != "minmax":
            return np.full(scales.values.shape, self.scheme.middle, np.int64)
        lowest, least, most = self.zero_point_ends
        digits = self.scheme.scale.precision + self.scheme.element.bits + 2
        whole = rounded_quotients(statistics.ends[0], scales.divisors, digits)
        return np.asarray(np.clip(lowest - whole, least, most), np.int64)

    @property
    def zero_point_ends(self) -> tuple[int, int, int]:
        """The lowest integer of the elements, and the smallest and the largest zero point."""
        element, fmt = self.scheme.element, self.scheme.zero_point
        assert isinstance(element, IntFormat)
        assert isinstance(fmt, IntFormat)
        return element.min_int, max(element.min_int, fmt.min_int), min(element.max_int, fmt.max_int)

    def choice(self, statistics: Statistics, second: float | None) -> None:
        """Return None: no larger scales are tried."""


def codes_of_quotients(
    extent: NDArray[np.float64], divisor: float, fmt: FloatFormat, rounding: Rounding
) -> NDArray[Any]:
    """Return the codes of quotients of extents, which are rounded to odd, and a divisor; see `quotients_round_once`."""
    rules = SCALE_RULES.replace(rounding=rounding)
    if not fpu_is_fit():
        return _by_kernels(extent, divisor, fmt, rules)
    with np.errstate(all="ignore"):
        ratio = extent / divisor
        inexact = np.flatnonzero((np.abs(ratio) < TINY) & (extent != 0))
    short = fmt.precision <= FLOAT32_DIGITS and fmt.emin > FLOAT32_EMIN
    codes = np.asarray(encode(_float32_to_odd(ratio) if short else ratio, fmt, profile=rules))
    if inexact.size:
        codes.flat[inexact] = _by_kernels(extent.flat[inexact], divisor, fmt, rules)
    return codes


def _float32_to_odd(x: NDArray[np.float64]) -> NDArray[np.float32]:
    """Round numbers to odd in float32, for which elements' loop is compiled already."""
    with np.errstate(all="ignore"):
        nearest = x.astype(np.float32)
        error = np.abs(nearest) - np.abs(x)
    words = nearest.view(np.int32)
    words += ((error < 0).view(np.int8) - (error > 0).view(np.int8)) * (words & 1 == 0)
    return nearest


def _by_kernels(extent: NDArray[np.float64], divisor: float, fmt: FloatFormat, rules: Profile) -> NDArray[Any]:
    """The same codes by the general kernel."""
    return np.asarray(divide(Array(extent.view(np.uint64), "float64"), divisor, result=fmt, profile=rules).codes)


def by_fractions(
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    divisors: tuple[float, float],
    fmt: FloatFormat,
    rounding: Rounding,
) -> NDArray[Any]:
    """Return the codes of (high - low) / (product of two divisors), in exact fractions, one by one."""
    from fractions import Fraction

    divisor = Fraction(divisors[0]) * Fraction(divisors[1])
    ends = np.stack([low, high], axis=-1).reshape(-1, 2)
    finite = np.isfinite(ends).all(axis=1)
    integers, exponents = np.zeros(len(ends), np.int64), np.zeros(len(ends), np.int64)
    for i in np.flatnonzero(finite):
        exact = (Fraction(float(ends[i, 1])) - Fraction(float(ends[i, 0]))) / divisor
        if exact:
            exponents[i] = exponent = floor_log2(abs(exact)) - FRACTION_DIGITS
            scaled = exact / Fraction(2) ** exponent
            whole = math.trunc(scaled)
            integers[i] = whole if whole % 2 or scaled == whole else whole + (1 if exact > 0 else -1)  # to odd
    rules = SCALE_RULES.replace(rounding=rounding)
    codes = np.asarray(scaleb(Array(integers.view(np.uint64), "int64"), exponents, result=fmt, profile=rules).codes)
    if not finite.all():
        with np.errstate(all="ignore"):
            codes[~finite] = encode(ends[~finite, 1] - ends[~finite, 0], fmt, profile=rules)
    return codes.reshape(high.shape)


def rounded_quotients(low: NDArray[np.float64], divisors: NDArray[np.float64], digits: int) -> NDArray[np.int64]:
    """Return quotients rounded to nearest integers, ties to even; NaN is 0, and magnitudes may be clipped to 2^40.

    `digits`: the digits of a divisor plus those of the ties within the range.
    """
    if digits > 52 or not fpu_is_fit():
        return np.asarray(divide(low, divisors, result="int64", rounding="nearest_even"))
    with np.errstate(all="ignore"):
        whole: NDArray[np.int64] = np.nan_to_num(np.clip(np.rint(low / divisors), -(2.0**40), 2.0**40)).astype(np.int64)
    return whole

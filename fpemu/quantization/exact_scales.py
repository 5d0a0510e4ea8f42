"""The stages of a quantization, over arrays of blocks: statistics, scales, quotients.

`Numbers` are float32 or float64 in rows, each row in blocks, as `fpemu.kernels.cpu.blocks` takes them.  Every stage
rounds once, from exact numbers, or says that it cannot by FPU (then `fpemu.quantization.quantizer` divides by the
general kernel).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu.arithmetic import multiply, subtract
from fpemu.casting import cast, decode
from fpemu.casting.fpu import fpu_is_fit
from fpemu.formats import IEEE, FloatFormat, Format, IntFormat
from fpemu.formats.facts.exactness import quotients_round_once, with_digits
from fpemu.formats.rules import Rounding
from fpemu.quantization.definition.scale_rules import ScaleRule
from fpemu.quantization.definition.scaled_format import ScaledFormat
from fpemu.quantization.ratios import by_fractions, quotients, rounded_quotients
from fpemu.quantization.tool_scales import Scales, Statistics, Stepped, is_zero, wide

__all__ = ["Exact", "extremes", "of_whole_rows", "stages_of", "statistics"]

Floats = NDArray[Any]

_AWAY = IEEE.replace(rounding="nearest_away", overflow="saturate")


def extremes(x: Floats, block: int, statistic: str) -> tuple[Floats, Floats]:
    """The smallest and the largest number of each block of `x`, shape (rows, length), zero among them.

    Or 0 and the largest magnitude, for "absmax"; one is a NaN if there is one.
    """
    from fpemu.kernels.cpu import blocks as kernels

    words = x.view(f"u{x.itemsize}")
    sign = words.dtype.type(1 << (8 * x.itemsize - 1))
    shape = x.shape[0], -(-x.shape[1] // block)
    low, high = np.zeros(shape, words.dtype), np.empty(shape, words.dtype)
    if statistic == "absmax":
        kernels.largest_magnitudes(words, block, ~sign, high)
    else:
        kernels.extremes(words, block, sign, low, high)
    return low.view(x.dtype), high.view(x.dtype)


def statistics(x: Floats, block: int, rule: ScaleRule) -> Statistics:
    """The statistics of each block of `x`, shape (rows, length)."""
    low, high = extremes(x, block, rule.statistic)
    if rule.statistic == "signed_absmax":
        low, high = np.zeros_like(low), _farther(x, block, low, high)
    return Statistics(wide(low), wide(high))


def _farther(x: Floats, block: int, low: Floats, high: Floats) -> Floats:
    """Of each block's smallest and largest number the one farther from zero; the first in the block of equals."""
    kind = f"u{x.itemsize}"
    magnitudes = np.array((1 << (8 * x.itemsize - 1)) - 1, kind)
    below, above = (ends.view(kind) & magnitudes for ends in (low, high))
    found = np.where(below > above, low, high)
    row, k = np.nonzero(below == above)
    if row.size:
        places = np.minimum(k[:, None] * block + np.arange(block), x.shape[1] - 1)
        numbers = x[row[:, None], places]
        first = np.argmax(numbers.view(kind) & magnitudes == above[row, k][:, None], axis=1)
        found[row, k] = numbers[np.arange(row.size), first]
    return found


def of_whole_rows(found: Statistics, rule: ScaleRule) -> Statistics:
    """The statistics of rows from those of their parts."""
    if rule.statistic == "signed_absmax":
        first = np.argmax(np.abs(found.high).view(np.uint64), axis=1, keepdims=True)  # of NaN too
        return Statistics(found.low[:, :1], np.take_along_axis(found.high, first, axis=1))
    # Numbers of one sign are in their bits' order, whatever the FPU takes subnormals for.
    low, high = (ends.view(np.uint64).max(axis=1, keepdims=True).view(np.float64) for ends in found)
    return Statistics(low, high)


def _extent(found: Statistics) -> NDArray[np.float64]:
    """The largest number less the smallest, rounded to odd in float64, so that what is rounded next rounds once.

    What is too large for float64 is its largest number.
    """
    if is_zero(found.low).all():
        return found.high
    if not fpu_is_fit():
        rules = IEEE.replace(rounding="to_odd", overflow="saturate")
        return np.asarray(subtract(found.high, found.low, result="float64", profile=rules))
    with np.errstate(all="ignore"):  # TwoSum: the error of the difference, exactly
        total = found.high - found.low
        back = total - found.high
        error = (found.high - (total - back)) + (-found.low - back)
        beside = np.nextafter(total, np.where(error > 0, np.inf, -np.inf))
    even = total.view(np.uint64) & np.uint64(1) == 0
    total = np.where(np.isfinite(total) & (error != 0) & even, beside, total)
    beyond = np.isinf(total) & np.isfinite(found.high) & np.isfinite(found.low)
    return np.where(beyond, np.finfo(np.float64).max, total)


class Exact:
    """The stages of a scheme, each rounded once from exact numbers.

    Parameters
    ----------
    scheme : ScaledFormat
    """

    steps = None

    def __init__(self, scheme: ScaledFormat) -> None:
        self.scheme = scheme

    def second_scale(self, found: Statistics) -> float:
        """The second level's scale: the largest scale over the scale format's largest value, and never 0.

        It is 1 where all are 0, and the format's smallest positive number where it would round to 0.
        """
        scheme = self.scheme
        assert isinstance(scheme.second_level, FloatFormat)
        extent = _extent(found).reshape(-1)
        words = np.where(np.isfinite(extent), extent.view(np.uint64), np.uint64(0))  # in order: none is negative
        if not words.any():
            return 1.0
        most = slice(np.argmax(words), np.argmax(words) + 1)
        divisors = scheme.divisor, scheme.largest_scale
        if quotients_round_once(divisors, scheme.second_level):
            code = quotients(extent[most], divisors[0] * divisors[1], scheme.second_level, Rounding.NEAREST_EVEN)
        else:
            low, high = (part.reshape(-1)[most] for part in found)
            code = by_fractions(low, high, divisors, scheme.second_level, Rounding.NEAREST_EVEN)
        found_scale = np.asarray(decode(code, scheme.second_level, dtype=np.float64))
        if is_zero(found_scale).all():  # the smallest, so that numbers do not all become 0
            found_scale = np.asarray(decode(code + code.dtype.type(1), scheme.second_level, dtype=np.float64))
        return float(found_scale[0])

    def kept(self, second: float | None) -> float | None:
        """The second level's scale as it is kept."""
        return second

    def scales(self, found: Statistics, second: float | None, ragged: bool = False) -> Scales:
        """Each block's scale; `second`: the second level's."""
        scheme, rule = self.scheme, self.scheme.scale_rule
        extent = _extent(found)
        infinite = {"nan": np.nan, "power": 2.0**128}.get(scheme.own_profile.infinite_block)
        lost = np.isinf(extent)
        if infinite is not None and lost.any():
            extent = np.where(lost, np.copysign(infinite, extent), extent)
            found = Statistics(np.where(lost, 0.0, found.low), np.where(lost, extent, found.high))
        if rule.digits:
            element: Any = scheme.element
            digits = element.precision if isinstance(element, FloatFormat) else element.bits - element.signed
            few = np.asarray(cast(extent, with_digits(digits), profile=_AWAY, dtype=np.float64))
            extent = np.where(np.isfinite(extent), few, extent)
            found = Statistics(np.zeros_like(extent), extent)
        if not scheme.scale.has("nan") and np.isnan(extent).any():
            raise ValueError(f"a block has a NaN or an infinity: its scale is to be a NaN, which {scheme.scale} lacks")
        divisors = scheme.divisor, 1.0 if second is None else second
        if quotients_round_once(divisors, scheme.scale):
            codes = quotients(extent, divisors[0] * divisors[1], scheme.scale, rule.rounding)
        else:
            codes = by_fractions(*found, divisors, scheme.scale, rule.rounding)
        return self.given(codes, second)

    def given(self, codes: NDArray[Any], second: float | None) -> Scales:
        """Scales from their codes."""
        values = decode(codes, self.scheme.scale)
        divisors = wide(np.asarray(values))
        if second is not None:  # exact: of at most 24 digits each
            fit = fpu_is_fit()
            divisors = divisors * second if fit else np.asarray(multiply(divisors, second, result="float64"))
        if self.scheme.scale.zero:
            divisors = np.where(is_zero(divisors), np.inf, divisors)
        return Scales(codes, values, divisors)

    def zero_points(self, found: Statistics, made: Scales) -> NDArray[np.int64]:
        """Each block's zero point: the lowest integer less the smallest number over the scale, rounded, in range."""
        if self.scheme.scale_rule.statistic != "minmax":
            return np.full(made.values.shape, self.scheme.middle, np.int64)
        first, least, most = self.zero_ends
        digits = self.scheme.scale.precision + self.scheme.element.bits + 2
        whole = rounded_quotients(found.low, made.divisors, digits)
        return np.asarray(np.clip(first - whole, least, most), np.int64)

    @property
    def zero_ends(self) -> tuple[int, int, int]:
        """The lowest integer, and the ends of zero points."""
        element, fmt = self.scheme.element, self.scheme.zero_point
        assert isinstance(element, IntFormat)
        assert isinstance(fmt, IntFormat)
        return element.min_int, max(element.min_int, fmt.min_int), min(element.max_int, fmt.max_int)


class ByRule(Stepped):
    """Steps whose scales are those of the scheme's rule, exact."""

    def scales(self, found: Statistics, second: float | None, ragged: bool, larger: float = 1.0) -> Scales:
        """Each block's scale."""
        return self.given(Exact(self.scheme).scales(found, second).codes, second)


def stages_of(scheme: ScaledFormat, source: Format) -> Exact | Stepped:
    """The stages of a scheme under its profile, for numbers of a format."""
    steps = scheme.own_profile.steps
    if steps is None:
        return Exact(scheme)
    return (ByRule if steps.scale == "rule" else Stepped)(scheme, steps, source)

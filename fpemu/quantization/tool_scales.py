"""Scales, second levels and zero points in a tool's arithmetic, each operation rounded as `Steps` specifies."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu.arithmetic import divide
from fpemu.casting import decode, encode
from fpemu.casting.fpu import fpu_is_fit
from fpemu.formats import BFLOAT16, FLOAT16, FLOAT32, Format, IntFormat
from fpemu.formats.facts.exactness import finite_ends
from fpemu.quantization.definition.profiles import SCALE_RULES
from fpemu.quantization.definition.scaled_format import ScaledFormat
from fpemu.quantization.definition.tool_arithmetic import Steps
from fpemu.quantization.exact_scales import ExactScales
from fpemu.quantization.floats import (
    FLOAT32_MAX,
    Arithmetic,
    Single,
    in_order,
    is_float_zero,
    single,
    wide,
)
from fpemu.quantization.scale_choice import ScaleChoice
from fpemu.quantization.scale_method import ScaleMethod
from fpemu.quantization.statistics import Scales, Statistics

__all__ = ["RuleScales", "ToolScales", "arithmetic_of", "scales_of"]

CHOSEN = 1.5  # the factor of larger scales, under which 4 is the largest element instead of 6
_WITH_INFINITY = SCALE_RULES.replace(overflow="standard", infinity="standard")


def arithmetic_of(steps: Steps, source: Format) -> Arithmetic:
    """Return the arithmetic of a tool's steps, for numbers of a format."""
    narrow = steps.arithmetic == "input" and source in (BFLOAT16, FLOAT16)
    return Arithmetic(source if narrow else FLOAT32)


class ToolScales:
    """Scales of a scheme in the arithmetic of its profile's `Steps`.

    Parameters
    ----------
    scheme : ScaledFormat
        Of a profile with steps.
    source : Format
        The numbers' format.
    """

    def __init__(self, scheme: ScaledFormat, source: Format) -> None:
        steps = scheme.own_profile.steps
        assert steps is not None
        self.scheme, self.steps = scheme, steps
        self.arithmetic = arithmetic_of(steps, source)
        self.divisor = scheme.divisor
        element = scheme.element
        if isinstance(element, IntFormat):
            half = 2 if steps.reduce_range else 1
            self.ends = element.min_int // half, element.max_int // half
            span = self.ends[1] - self.ends[0]
            if steps.divisor == "half_span":
                self.divisor = span / 2
            elif scheme.scale_rule.divisor == "span":
                self.divisor = float(span)
        self.rules = _WITH_INFINITY if scheme.scale.has("infinity") else SCALE_RULES

    @property
    def statistic(self) -> str:
        """The statistic from which scales are computed: the tool's, or the scale rule's."""
        return "minmax" if self.steps.statistic == "minmax" else self.scheme.scale_rule.statistic

    def _extent(self, statistics: Statistics) -> Single:
        """The largest magnitude, or the largest number minus the smallest; NaN if the block has a NaN."""
        low, high = statistics.ends
        return single(high) if is_float_zero(low).all() else self.arithmetic.subtract(high, low)

    # -- the second level ---------------------------------------------------------------------------------------------

    def second_scale(self, statistics: Statistics) -> float:
        """The second level's scale, in the form from which blocks' scales are computed."""
        steps, ops = self.steps, self.arithmetic
        extent = np.max(wide(self._extent(statistics)))
        top = steps.second_top or self.scheme.largest_scale
        whole = np.float32(finite_ends(self.scheme.element)[1] * int(top))
        if steps.second == "quotient":
            return float(wide(ops.divide(extent, whole))) or 1.0
        scale = float(wide(ops.divide(whole, extent)))
        return 1.0 if extent == 0 or scale == 0 else float(_saturated(scale))

    def stored_second_scale(self, second: float | None) -> float | None:
        """Convert the second level's scale of `second_scale` to the one that multiplies elements, or back."""
        if second is None or self.steps.second != "inverse_quotient":
            return second
        return float(wide(self.arithmetic.divide(1, second)))

    # -- scales -------------------------------------------------------------------------------------------------------

    def scales(
        self, statistics: Statistics, second: float | None, short_last: bool = False, factor: float = 1.0
    ) -> Scales:
        """Each block's scale, times a factor; `short_last`: the last block of a row is shorter."""
        steps, ops = self.steps, self.arithmetic
        real = self._unrounded(statistics, second)
        if factor != 1:
            real = ops.multiply(real, factor)
        least = steps.least
        if isinstance(least, str):
            least = math.ldexp(1.0, ops.fmt.emin)
        if least:
            real = _at_least(real, least)
        if steps.powers:
            powers = (wide(real).view(np.uint64) & np.uint64(0x7FF << 52)).view(np.float64)
            real = np.where(np.isfinite(real), single(powers), real)
        divisors = None  # None: computed from the scales' codes
        if steps.factor == "scale_kept_as_reciprocal":
            divisors, real = real, ops.divide(1, real)
        elif steps.factor == "reciprocal_of_unrounded":
            divisors = _infinite_for_zero(real)
        if steps.ragged and short_last:
            real = real.copy()
            real[..., -1] = self._bounded(real[..., -1])
        rounding = self.scheme.scale_rule.rounding
        codes = np.asarray(encode(real, self.scheme.scale, profile=self.rules, rounding=rounding))
        scales = self.given(codes, second)
        return scales if divisors is None else scales._replace(divisors=divisors)

    def _unrounded(self, statistics: Statistics, second: float | None) -> Single:
        """Each block's scale in the arithmetic's type, before it is rounded to the scales' format."""
        steps, ops, divisor = self.steps, self.arithmetic, self.divisor
        extent = self._extent(statistics)
        if steps.scale == "larger_side":
            low, high = statistics.ends
            is_nan = np.isnan(low) | np.isnan(high)
            below, above = ops.divide(low, self.ends[0]), ops.divide(high, self.ends[1])
            return np.where(is_nan, np.float32(np.nan), np.where(below > above, below, above))
        if steps.scale == "inverse_quotient":
            bounded = np.maximum(wide(extent), steps.least_statistic)
            if ops.native:
                with np.errstate(all="ignore"):
                    return (divisor / bounded).astype(np.float32)
            return ops.rounded(divide(np.full(bounded.shape, divisor), bounded, result="float64"))
        if steps.scale == "product_with_second_over_divisor":
            return ops.multiply(extent, ops.multiply(second, ops.divide(1, divisor)))
        scale = ops.divide(extent, divisor)
        if second is None:
            return scale
        return ops.multiply(scale, second) if steps.scale == "quotient_times_second" else ops.divide(scale, second)

    def given(self, codes: NDArray[Any], second: float | None) -> Scales:
        """Scales from their codes."""
        ops, factor = self.arithmetic, self.steps.factor
        values = np.asarray(decode(codes, self.scheme.scale))
        by = single(values)
        if factor == "scale_kept_as_reciprocal":
            by = ops.divide(1, by)
        elif factor == "reciprocal_of_unrounded":
            by = _infinite_for_zero(by)
        elif factor == "inverse_second_over_scale":
            by = ops.divide(ops.divide(1, second), by)
        elif factor == "reciprocal_of_product":
            by = _saturated(ops.divide(1, ops.multiply(by, ops.divide(1, second))))
        elif factor in ("reciprocal_of_normal", "reciprocal_or_one"):  # powers of two
            normal = factor == "reciprocal_of_normal"
            nonzero = np.where(codes == 0, np.float32(2.0**-126 if normal else 1), by)
            by = ops.divide(1, np.where(np.isnan(by) & normal, np.float32(np.inf), nonzero))
        else:
            by = self._bounded(by)
        return Scales(codes, values, by)

    def _bounded(self, scales: Single) -> Single:
        least = self.steps.least_divisor
        return _at_least(scales, least) if least else scales

    def zero_points(self, statistics: Statistics, scales: Scales) -> NDArray[np.int64]:
        """Each block's zero point: lowest integer - (smallest number / scale), rounded and clipped to the range."""
        if self.scheme.scale_rule.statistic != "minmax":
            return np.full(scales.values.shape, self.scheme.middle, np.int64)
        lowest, highest = self.ends
        low, high = statistics.ends
        ratio = np.rint(wide(self.arithmetic.divide(low, scales.values)))
        is_nan = np.isnan(ratio) | np.isnan(high)
        points = np.clip(lowest - np.where(is_nan, 0, ratio), lowest, highest)
        return np.where(is_nan, self.steps.lost_zero_point, points).astype(np.int64)

    def choice(self, statistics: Statistics, second: float | None) -> ScaleChoice | None:
        """The larger scales that the tool tries as well; None if it tries none."""
        if self.steps.choose == "no" or second is None:
            return None
        larger = self.scales(statistics, second, factor=CHOSEN)
        return ScaleChoice(self.scheme, self.arithmetic, larger, float(np.max(statistics.ends[1])))


class RuleScales(ToolScales):
    """Exact scales by the scheme's rule, for quotients computed by a tool's steps."""

    def scales(
        self, statistics: Statistics, second: float | None, short_last: bool = False, factor: float = 1.0
    ) -> Scales:
        """Each block's scale."""
        return self.given(ExactScales(self.scheme).scales(statistics, second).codes, second)


def scales_of(scheme: ScaledFormat, source: Format) -> ScaleMethod:
    """Return the method that computes a scheme's scales under its profile, for numbers of a format."""
    steps = scheme.own_profile.steps
    if steps is None:
        return ExactScales(scheme)
    return (RuleScales if steps.scale == "rule" else ToolScales)(scheme, source)


def _at_least(scales: Single, least: float) -> Single:
    """Raise scales below `least` to it; NaN is unchanged, and subnormal numbers are exact in any mode of the FPU."""
    if fpu_is_fit():
        return np.maximum(scales, np.float32(least))
    bound = single(np.full(1, least))
    return np.where((in_order(scales) < in_order(bound)) & ~np.isnan(scales), bound, scales)


def _saturated(scales: Any) -> Any:
    """Replace numbers beyond float32's largest number by that number."""
    return np.where(scales > FLOAT32_MAX, FLOAT32_MAX, scales)


def _infinite_for_zero(scales: Single) -> Single:
    """Replace zeros by infinity, which makes quotients 0; subnormal numbers are unchanged, in any mode of the FPU."""
    return np.where(is_float_zero(scales), np.float32(np.inf), scales)

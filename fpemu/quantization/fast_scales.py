"""Fast path for float32 data: kernels compute scale codes and inverse scales from blocks' extremes."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fpemu.formats import FLOAT32, FloatFormat, IntFormat, same_codes
from fpemu.formats import dtype as find_format
from fpemu.formats.facts.exactness import digits_of
from fpemu.formats.rules import Rounding
from fpemu.quantization.definition.scaled_format import ScaledFormat
from fpemu.quantization.elements import QuotientMethod
from fpemu.quantization.exact_scales import ExactScales
from fpemu.quantization.statistics import AbsMax, extremes

__all__ = ["Factors", "Float32Scales", "PowerOfTwoScales", "fast_scales"]

_E8M0 = find_format("float8_e8m0fnu")
DIVISOR_DIGITS = 24


class Factors(NamedTuple):
    """Inverses of blocks' scales, and the scales where their inverses are not exact, as `Elements` takes them."""

    inverses: NDArray[Any]
    divisors: NDArray[np.float64] | None


class PowerOfTwoScales:
    """Power-of-two scales, computed in integers from the bits of blocks' largest magnitudes.

    Parameters
    ----------
    carry, emax, infinite : int
        As `fpemu.kernels.cpu.blocks.power_scales` takes them.
    """

    def __init__(self, carry: int, emax: int, infinite: int) -> None:
        self.carry, self.emax, self.infinite = np.uint32(carry), np.int32(emax), np.int32(infinite)

    @classmethod
    def of(cls, scheme: ScaledFormat) -> PowerOfTwoScales | None:
        """Return the scales of a scheme; None if it has other scales or computes them differently."""
        rule, element = scheme.scale_rule, scheme.element
        if not isinstance(element, FloatFormat) or not same_codes(scheme.scale, _E8M0) or rule.statistic != "absmax":
            return None
        significand, exponent = element.scaled(element.max_code)
        emax = exponent + significand.bit_length() - 1
        fraction = (significand << (24 - significand.bit_length())) - (1 << 23)
        carries = {
            ("power", Rounding.TOWARD_ZERO, False): 0,
            ("power", Rounding.AWAY_FROM_ZERO, False): (1 << 23) - 1,
            ("power", Rounding.TOWARD_ZERO, True): 1 << (23 - element.precision),
            ("largest", Rounding.AWAY_FROM_ZERO, False): (1 << 23) - 1 - fraction,
        }
        carry = carries.get((str(rule.divisor), Rounding(rule.rounding), rule.digits))
        if carry is None or emax < 1 or element.precision > 23:
            return None
        infinite = {"nan": 255, "saturate": 254, "power": 255 - emax}[scheme.own_profile.infinite_block]
        return cls(carry, emax, infinite)

    def __call__(self, x: NDArray[np.float32], block: int, codes: NDArray[Any], zeros: NDArray[Any] | None) -> Factors:
        """Write the scales' codes into `codes`; return their inverses.  There are no zero points."""
        from fpemu.kernels.cpu import blocks

        _, largest = extremes(x, block, "absmax")
        inverses = largest.view(np.uint32)
        blocks.power_scales(inverses, self.carry, self.emax, self.infinite, codes, inverses)
        return Factors(largest, None)


class Float32Scales:
    """float32 scales rounded to nearest, and zero points of integers.

    Parameters
    ----------
    scheme : ScaledFormat
    """

    def __init__(self, scheme: ScaledFormat) -> None:
        element = scheme.element
        assert isinstance(element, IntFormat)
        self.statistic = scheme.scale_rule.statistic
        self.divisor = scheme.divisor
        exact = ExactScales(scheme)
        self.infinite = np.float32(exact.scales(AbsMax(np.array([np.inf])), None).values[0])
        ends = exact.zero_point_ends if self.statistic == "minmax" and scheme.zero_point is not None else None
        self.ends = ends and tuple(map(float, ends))
        self.middle = 0 if ends or scheme.zero_point is None else scheme.middle

    @classmethod
    def of(cls, scheme: ScaledFormat) -> Float32Scales | None:
        """Return the scales of a scheme; None if it has other scales or computes them differently."""
        rule = scheme.scale_rule
        if rule.signed:
            return None
        plain = same_codes(scheme.scale, FLOAT32) and rule.rounding == Rounding.NEAREST_EVEN and not rule.digits
        return cls(scheme) if plain and digits_of(scheme.divisor) <= DIVISOR_DIGITS else None

    def __call__(self, x: NDArray[np.float32], block: int, codes: NDArray[Any], zeros: NDArray[Any] | None) -> Factors:
        """Write the scales' codes into `codes` and the zero points into `zeros`; return the scales' inverses."""
        from fpemu.kernels.cpu import blocks

        low, high = extremes(x, block, self.statistic)
        inverses, divisors = np.empty_like(low), np.empty(low.shape)
        blocks.nearest_scales(low, high, self.divisor, self.infinite, codes, inverses, divisors)
        if zeros is not None:
            if self.ends is None:
                zeros[...] = self.middle
            else:
                blocks.zero_points(low, divisors, *self.ends, zeros)
        return Factors(inverses, divisors)


@functools.lru_cache(maxsize=64)
def fast_scales(scheme: ScaledFormat, method: QuotientMethod) -> PowerOfTwoScales | Float32Scales | None:
    """Return the fast path to the scales of a scheme; None if it needs the general methods.

    Parameters
    ----------
    scheme : ScaledFormat
    method : QuotientMethod
        How quotients are computed.

    Returns
    -------
    PowerOfTwoScales or Float32Scales or None
    """
    if scheme.own_profile.steps is not None or scheme.second_level is not None:
        return None
    if method is QuotientMethod.RECIPROCAL_FLOAT32:
        return PowerOfTwoScales.of(scheme)
    return Float32Scales.of(scheme) if method is QuotientMethod.INTEGERS else None

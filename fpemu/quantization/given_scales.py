"""Scales given by the caller of `quantize`, validated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fpemu.casting import cast, decode, encode
from fpemu.formats import FloatFormat, IntFormat
from fpemu.formats.facts.exactness import with_digits
from fpemu.quantization.floats import is_float_zero

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from fpemu.quantization.blocks import Layout
    from fpemu.quantization.definition.scaled_format import ScaledFormat

__all__ = ["GivenScales", "check_given_scales"]


class GivenScales(NamedTuple):
    """Codes of scales, zero points and the second level's scale; None for those computed from the numbers."""

    scales: NDArray[Any] | None
    zeros: NDArray[np.int64] | None
    second: float | None


def check_given_scales(
    scheme: ScaledFormat,
    layout: Layout,
    scales: ArrayLike | None,
    zero_points: ArrayLike | None,
    second_scale: float | None,
) -> GivenScales:
    """Check scales, zero points and the second level's scale as `quantize` takes them.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If an argument does not fit the scheme, the blocks or its format.
    """
    if second_scale is not None and scheme.second_level is None:
        raise ValueError(f"{scheme} has no second level: leave second_scale out")
    if zero_points is not None and (not isinstance(scheme.zero_point, IntFormat) or scales is None):
        why = "has no zero points" if scheme.zero_point is None else "needs scales together with zero_points"
        if scheme.fixed_zero_point is not None:
            why = f"has the zero point {scheme.zero_point} in all blocks: leave zero_points out"
        raise ValueError(f"{scheme} {why}")
    second = None
    if second_scale is not None:
        assert scheme.second_level is not None
        second = _second_scale(second_scale, scheme)
        if scheme.nested is None:
            level = scheme.second_level
            assert isinstance(level, FloatFormat)
            codes = _encode_in_range(_positive(second, "second_scale"), level, "second_scale")
            second = float(decode(codes, level, dtype=np.float64))
            if scheme.own_profile.steps is not None and scheme.own_profile.steps.choose != "no":
                raise ValueError(f"the profile {scheme.profile} computes the second level's scale itself")
    if scales is None:
        return GivenScales(None, None, second)
    if scheme.second_level is not None and scheme.nested is None and second is None:
        raise ValueError(f"{scheme} needs second_scale together with scales")
    if isinstance(scheme.zero_point, IntFormat) and zero_points is None:
        raise ValueError(f"{scheme} needs zero_points together with scales")
    values = _broadcast_to_blocks(_positive(scales, "scales", scheme.scale_rule.signed), layout, "scales")
    codes = _encode_in_range(values, scheme.scale, "scales").reshape(layout.blocks)
    return GivenScales(codes, None if zero_points is None else _zero_points(scheme, layout, zero_points), second)


def _positive(x: ArrayLike, name: str, signed: bool = False) -> NDArray[np.float64]:
    """Check that numbers are positive and finite, or nonzero and finite if they may be negative; return them."""
    numbers = np.asarray(cast(x, "float64"))
    if not (np.isfinite(numbers) & ~is_float_zero(numbers) & (signed | ~np.signbit(numbers))).all():
        raise ValueError(f"{name} must be {'finite and not 0' if signed else 'positive and finite'}")
    return numbers


def _second_scale(second_scale: Any, scheme: ScaledFormat) -> float:
    """The second level's scale, or the offset of nested scales in float32."""
    number = np.asarray(cast(second_scale, "float64" if scheme.nested is None else "float32", dtype=np.float64))
    if number.ndim:
        raise ValueError(f"second_scale is one number for the whole array, not an array of shape {number.shape}")
    if not np.isfinite(number):
        raise ValueError(f"second_scale must be finite, not {number}")
    return float(number)


def _encode_in_range(values: NDArray[np.float64], fmt: FloatFormat, name: str) -> NDArray[Any]:
    """Return the codes of scales; raise ValueError if one rounds to 0 or is out of the format's range."""
    least, most = (fmt.value(code) for code in (fmt.min_code, fmt.max_code))
    magnitudes = np.abs(cast(values, with_digits(fmt.precision), overflow="saturate", dtype=np.float64))
    codes = np.asarray(encode(values, fmt, overflow="saturate"))
    zero = is_float_zero(np.asarray(decode(codes, fmt, dtype=np.float64)))
    wrong = zero | (magnitudes > most) | (magnitudes < (0 if fmt.zero else least))
    if wrong.any():
        fault = "rounds to 0" if zero[wrong].flat[0] else "is out of range"
        raise ValueError(f"{name}: {values[wrong].flat[0]:g} {fault} in {fmt}, which has {least:g} to {most:g}")
    return codes


def _broadcast_to_blocks(values: NDArray[Any], layout: Layout, name: str) -> NDArray[Any]:
    try:
        # writable, since kernels would be compiled again for read-only arrays
        return np.broadcast_to(values, layout.blocks).copy()
    except ValueError:
        raise ValueError(f"{name} of shape {values.shape} do not fit blocks of shape {layout.blocks}") from None


def _zero_points(scheme: ScaledFormat, layout: Layout, zero_points: ArrayLike) -> NDArray[np.int64]:
    integers = np.asarray(zero_points)
    if integers.dtype.kind not in "iu":
        raise TypeError(f"zero points must be integers, not {integers.dtype}")
    assert isinstance(scheme.zero_point, IntFormat)
    low, high = scheme.zero_point.min_int, scheme.zero_point.max_int
    if integers.size and not (low <= integers.min() and integers.max() <= high):
        raise ValueError(f"zero points must be {low} to {high}, the range of {scheme.zero_point}")
    return _broadcast_to_blocks(integers, layout, "zero_points").astype(np.int64)

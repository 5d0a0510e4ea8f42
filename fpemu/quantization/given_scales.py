"""What the caller of `quantize` knows beforehand: scales, zero points, the second level's scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fpemu.casting import cast, decode, encode
from fpemu.formats import FloatFormat, IntFormat
from fpemu.formats.facts.exactness import with_digits
from fpemu.quantization.tool_scales import is_zero

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from fpemu.quantization.blocks import Layout
    from fpemu.quantization.definition.scaled_format import ScaledFormat

__all__ = ["Known", "known_parts"]


class Known(NamedTuple):
    """What need not be worked out: scales' codes, zero points, the second level's scale."""

    scales: NDArray[Any] | None
    zeros: NDArray[np.int64] | None
    second: float | None


def known_parts(
    scheme: ScaledFormat,
    layout: Layout,
    scales: ArrayLike | None,
    zero_points: ArrayLike | None,
    second_scale: float | None,
) -> Known:
    """Scales, zero points and the second level's scale as `quantize` takes them, checked; see there.

    Raises
    ------
    TypeError
        If something is of the wrong kind.
    ValueError
        If something does not fit the scheme, the blocks or its format.
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
        second = _one(second_scale, scheme)
        if scheme.nested is None:
            level = scheme.second_level
            assert isinstance(level, FloatFormat)
            codes = _within(_positive(second, "second_scale"), level, "second_scale")
            second = float(decode(codes, level, dtype=np.float64))
            if scheme.own_profile.steps is not None and scheme.own_profile.steps.choose != "no":
                raise ValueError(f"the profile {scheme.profile} works out the second level's scale itself")
    if scales is None:
        return Known(None, None, second)
    if scheme.second_level is not None and scheme.nested is None and second is None:
        raise ValueError(f"{scheme} needs second_scale together with scales")
    if isinstance(scheme.zero_point, IntFormat) and zero_points is None:
        raise ValueError(f"{scheme} needs zero_points together with scales")
    values = _of_blocks(_positive(scales, "scales", scheme.scale_rule.signed), layout, "scales")
    codes = _within(values, scheme.scale, "scales").reshape(layout.blocks)
    return Known(codes, None if zero_points is None else _zeros(scheme, layout, zero_points), second)


def _positive(x: ArrayLike, what: str, signed: bool = False) -> NDArray[np.float64]:
    """Numbers that are positive, or not zero if they may have a sign."""
    found = np.asarray(cast(x, "float64"))
    if not (np.isfinite(found) & ~is_zero(found) & (signed | ~np.signbit(found))).all():
        raise ValueError(f"{what} must be {'finite and not 0' if signed else 'positive and finite'}")
    return found


def _one(second_scale: Any, scheme: ScaledFormat) -> float:
    """The second level's scale, or what scales in a scheme of their own are less by, in float32."""
    found = np.asarray(cast(second_scale, "float64" if scheme.nested is None else "float32", dtype=np.float64))
    if found.ndim:
        raise ValueError(f"second_scale is one number for the whole array, not an array of shape {found.shape}")
    if not np.isfinite(found):
        raise ValueError(f"second_scale must be finite, not {found}")
    return float(found)


def _within(values: NDArray[np.float64], fmt: FloatFormat, what: str) -> NDArray[Any]:
    """Codes of scales, none of which may round to something beyond the format's ends."""
    least, most = (fmt.value(code) for code in (fmt.min_code, fmt.max_code))
    digits = np.abs(cast(values, with_digits(fmt.precision), overflow="saturate", dtype=np.float64))
    codes = np.asarray(encode(values, fmt, overflow="saturate"))
    zero = is_zero(np.asarray(decode(codes, fmt, dtype=np.float64)))
    beyond = zero | (digits > most) | (digits < (0 if fmt.zero else least))
    if beyond.any():
        fault = "rounds to 0" if zero[beyond].flat[0] else "is out of range"
        raise ValueError(f"{what}: {values[beyond].flat[0]:g} {fault} in {fmt}, which has {least:g} to {most:g}")
    return codes


def _of_blocks(found: NDArray[Any], layout: Layout, what: str) -> NDArray[Any]:
    try:
        return np.broadcast_to(found, layout.blocks).copy()  # not read-only, which kernels would be compiled for anew
    except ValueError:
        raise ValueError(f"{what} of shape {found.shape} do not fit blocks of shape {layout.blocks}") from None


def _zeros(scheme: ScaledFormat, layout: Layout, zero_points: ArrayLike) -> NDArray[np.int64]:
    found = np.asarray(zero_points)
    if found.dtype.kind not in "iu":
        raise TypeError(f"zero points are integers, not {found.dtype}")
    assert isinstance(scheme.zero_point, IntFormat)
    low, high = scheme.zero_point.min_int, scheme.zero_point.max_int
    if found.size and not (low <= found.min() and found.max() <= high):
        raise ValueError(f"zero points are {low} to {high}, as {scheme.zero_point} has them")
    return _of_blocks(found, layout, "zero_points").astype(np.int64)

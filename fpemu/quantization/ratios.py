"""Statistics over divisors, as codes of scales: each rounded once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu.arithmetic import divide, scaleb
from fpemu.arrays import Array
from fpemu.casting import encode
from fpemu.casting.fpu import fpu_is_fit
from fpemu.formats import FloatFormat
from fpemu.formats.facts.exactness import floor_log2
from fpemu.formats.rules import Rounding
from fpemu.quantization.definition.profiles import SCALE_RULES

__all__ = ["by_fractions", "quotients", "rounded_quotients"]

TINY = 2.0**-960  # below it float64 may lack digits of a quotient
SHORT, LOWEST = 22, -100  # digits, and the exponent of the smallest normal number, of scales that float32 rounds to
EXACT = 60  # digits of a fraction rounded to odd


def quotients(extent: NDArray[np.float64], divisor: float, fmt: FloatFormat, rounding: Rounding) -> NDArray[Any]:
    """Codes of extents, rounded to odd, over a divisor; see `quotients_round_once`."""
    how: dict[str, Any] = {"profile": SCALE_RULES, "rounding": rounding}
    if not fpu_is_fit():
        return _divided(extent, divisor, fmt, how)
    with np.errstate(all="ignore"):
        ratio = extent / divisor
        lost = np.flatnonzero((np.abs(ratio) < TINY) & (extent != 0))
    short = fmt.precision <= SHORT and fmt.emin > LOWEST
    codes = np.asarray(encode(_single(ratio) if short else ratio, fmt, **how))
    if lost.size:
        codes.flat[lost] = _divided(extent.flat[lost], divisor, fmt, how)
    return codes


def _single(x: NDArray[np.float64]) -> NDArray[np.float32]:
    """Numbers rounded to odd to float32, for whose casts the loop is that of elements."""
    with np.errstate(all="ignore"):
        near = x.astype(np.float32)
        off = np.abs(near) - np.abs(x)
    words = near.view(np.int32)
    words += ((off < 0).view(np.int8) - (off > 0).view(np.int8)) * (words & 1 == 0)
    return near


def _divided(extent: NDArray[np.float64], divisor: float, fmt: FloatFormat, how: dict[str, Any]) -> NDArray[Any]:
    """The same by the general kernel."""
    return np.asarray(divide(Array(extent.view(np.uint64), "float64"), divisor, result=fmt, **how).codes)


def by_fractions(
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    divisors: tuple[float, float],
    fmt: FloatFormat,
    rounding: Rounding,
) -> NDArray[Any]:
    """Codes of high - low over the product of two divisors, in exact fractions, one after the other."""
    from fractions import Fraction

    divisor = Fraction(divisors[0]) * Fraction(divisors[1])
    ends = np.stack([low, high], axis=-1).reshape(-1, 2)
    finite = np.isfinite(ends).all(axis=1)
    integers, exponents = np.zeros(len(ends), np.int64), np.zeros(len(ends), np.int64)
    for i in np.flatnonzero(finite):
        exact = (Fraction(float(ends[i, 1])) - Fraction(float(ends[i, 0]))) / divisor
        if exact:
            exponents[i] = exponent = floor_log2(abs(exact)) - EXACT
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
    """Quotients to the nearest integers, ties to even, and beyond 2^40 to some of that size; NaN to 0.

    `digits`: those of a divisor, and of all ties within the range, together; see `quotients_round_once`.
    """
    if digits > 52 or not fpu_is_fit():
        return np.asarray(divide(low, divisors, result="int64", rounding="nearest_even"))
    with np.errstate(all="ignore"):
        whole: NDArray[np.int64] = np.nan_to_num(np.clip(np.rint(low / divisors), -(2.0**40), 2.0**40)).astype(np.int64)
    return whole

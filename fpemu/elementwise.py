"""What needs no rounding, on the codes of any format: comparisons, signs, classes, and an order."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu.arithmetic import subtract
from fpemu.classes import is_nan as nan_codes
from fpemu.classes import split
from fpemu.formats import FloatFormat, Format, IntFormat, TableFormat
from fpemu.registry import dtype as find_format
from fpemu.sources import as_source, carries_codes

__all__ = [
    "absolute",
    "equal",
    "greater",
    "greater_equal",
    "isfinite",
    "isinf",
    "isnan",
    "less",
    "less_equal",
    "negative",
    "not_equal",
    "positive",
    "signbit",
]

# -- comparisons of exact values, of any two formats ------------------------------------------------------------------


def _difference(x: Any, y: Any) -> tuple[Any, Any]:
    """The difference x - y with its exact sign, as float64, and where an operand is NaN."""
    # Rounded away from zero no difference becomes 0, and none has the other sign.
    found = subtract(x, y, result="float64", profile="ieee", rounding="away_from_zero")
    values = found.codes.view(np.float64) if carries_codes(found) else found
    unordered = isnan(x) | isnan(y)
    return np.where(np.isnan(values) & ~unordered, 0.0, values), unordered  # NaN of numbers: two equal infinities


def equal(x: Any, y: Any) -> Any:
    """Whether x = y (IEEE 754-2019 clause 5.11); false where an operand is NaN."""
    difference, unordered = _difference(x, y)
    return (difference == 0) & ~unordered


def not_equal(x: Any, y: Any) -> Any:
    """Not x = y; true where an operand is NaN."""
    return ~equal(x, y)


def less(x: Any, y: Any) -> Any:
    """Whether x < y; false where an operand is NaN."""
    difference, unordered = _difference(x, y)
    return (difference < 0) & ~unordered


def less_equal(x: Any, y: Any) -> Any:
    """Whether x <= y; false where an operand is NaN."""
    difference, unordered = _difference(x, y)
    return (difference <= 0) & ~unordered


def greater(x: Any, y: Any) -> Any:
    """Whether x > y; false where an operand is NaN."""
    return less(y, x)


def greater_equal(x: Any, y: Any) -> Any:
    """Whether x >= y; false where an operand is NaN."""
    return less_equal(y, x)


# -- classes of values ------------------------------------------------------------------------------------------------


def _codes(x: Any) -> tuple[NDArray[Any], Format]:
    """Codes in the machine's byte order, and their format."""
    source = as_source(x)
    return source.codes.astype(source.codes.dtype.newbyteorder("="), copy=False), source.format


def isnan(x: Any) -> Any:
    """Which elements are NaN."""
    codes, fmt = _codes(x)
    found = nan_codes(codes, fmt) if isinstance(fmt, FloatFormat) else np.zeros(codes.shape, np.bool_)
    return found[()]


def isinf(x: Any) -> Any:
    """Which elements are infinite."""
    codes, fmt = _codes(x)
    if not isinstance(fmt, FloatFormat) or fmt.infinity_code is None:
        return np.zeros(codes.shape, np.bool_)[()]
    return (split(codes, fmt)[1] == np.uint64(fmt.infinity_code)) & ~isnan(x)


def isfinite(x: Any) -> Any:
    """Which elements are neither infinite nor NaN."""
    return ~(isnan(x) | isinf(x))


def signbit(x: Any) -> Any:
    """Which elements have a minus sign: negative numbers, -0 where there is one, NaN with a sign bit of its own."""
    codes, fmt = _codes(x)
    if isinstance(fmt, TableFormat):
        return np.take(np.signbit(np.array(fmt.entries)), codes)
    negative, magnitude = split(codes, fmt)
    if isinstance(fmt, FloatFormat) and fmt.nan == "negative_zero":
        negative &= magnitude != 0  # the NaN in the place of -0
    return negative[()]


# -- signs ------------------------------------------------------------------------------------------------------------


def positive(x: Any) -> Any:
    """A copy."""
    return type(x)(x.codes.copy(), x.format, x.profile)


def negative(x: Any) -> Any:
    """The sign bit turned over, NaN's too (IEEE 754-2019 clause 5.5.1); where there is none, 0 - x by the profile."""
    fmt = x.format
    if not _signed_magnitude(fmt):
        return subtract(0, x)
    mask = x.codes.dtype.type(fmt.sign_mask)
    turned = x.codes ^ mask
    if not fmt.has("negative_zero") and fmt.has("zero"):  # 0 stays 0, and NaN is in the place of -0
        turned = np.where(x.codes & ~mask, turned, x.codes)
    return type(x)(turned, fmt, x.profile)


def absolute(x: Any) -> Any:
    """The sign bit cleared, NaN's too (IEEE 754-2019 clause 5.5.1); where there is none, 0 - x of negative numbers."""
    minus = signbit(x)
    if not np.any(minus):
        return positive(x)
    return type(x)(np.where(minus, negative(x).codes, x.codes), x.format, x.profile)


def _signed_magnitude(fmt: Format) -> bool:
    """Whether a code is a sign bit and a magnitude."""
    if isinstance(fmt, IntFormat):
        return fmt.encoding == "sign_magnitude"
    return isinstance(fmt, FloatFormat) and fmt.signed


# -- order ------------------------------------------------------------------------------------------------------------


def ranks(codes: NDArray[Any], fmt: Format) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """Numbers in the order of the values, -0 below +0; and which codes are NaN, whose numbers mean nothing."""
    if isinstance(fmt, TableFormat):
        return ranks(np.take(np.array(fmt.entries), codes).view(np.uint64), find_format("float64"))
    nans = nan_codes(codes, fmt) if isinstance(fmt, FloatFormat) else np.zeros(codes.shape, np.bool_)
    if not _signed_magnitude(fmt):
        return codes.astype(np.uint64) ^ np.uint64(fmt.sign_mask), nans
    negative, magnitude = split(codes, fmt)
    middle = np.uint64(1 << 63)
    return np.where(negative, middle - np.uint64(1) - magnitude, middle + magnitude), nans


def nonzero(codes: NDArray[Any], fmt: Format) -> NDArray[np.bool_]:
    """Which codes are no zero; NaN is none, as in numpy."""
    if isinstance(fmt, TableFormat):
        return np.asarray(np.take(np.array(fmt.entries) != 0, codes))
    zero = (codes == 0) & fmt.has("zero")
    if fmt.has("negative_zero"):
        zero |= codes == fmt.sign_mask
    return np.asarray(~zero)

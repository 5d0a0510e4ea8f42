"""Codes in the order of their values, and which of them are no zero."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu.formats import FloatFormat, Format, IntFormat, TableFormat
from fpemu.formats.facts.codes import is_nan as nan_codes
from fpemu.formats.facts.codes import split
from fpemu.formats.registry import dtype as find_format


def _signed_magnitude(fmt: Format) -> bool:
    """Whether a code is a sign bit and a magnitude."""
    if isinstance(fmt, IntFormat):
        return fmt.encoding == "sign_magnitude"
    return isinstance(fmt, FloatFormat) and fmt.signed


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

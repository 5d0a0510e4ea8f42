"""Codes of a format: classes (IEEE 754-2019 clause 5.7.2), NaN and zero masks, order, fields."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

import numpy as np

from fpemu.formats.codebook import TableFormat
from fpemu.formats.floats import FLOAT64, FloatFormat
from fpemu.formats.integers import IntFormat
from fpemu.formats.kinds import Format

if TYPE_CHECKING:
    from numpy.typing import NDArray


class NumberClass(enum.IntEnum):
    """Classes of codes: IEEE 754's ten, numbered as by RISC-V's fclass, and the codes that are never produced."""

    NEGATIVE_INFINITY = 0
    NEGATIVE_NORMAL = 1
    NEGATIVE_SUBNORMAL = 2
    NEGATIVE_ZERO = 3
    POSITIVE_ZERO = 4
    POSITIVE_SUBNORMAL = 5
    POSITIVE_NORMAL = 6
    POSITIVE_INFINITY = 7
    SIGNALING_NAN = 8
    QUIET_NAN = 9
    NONCANONICAL = 10

    @property
    def words(self) -> str:
        """The name in words: "positive normal", "quiet NaN"."""
        return self.name.lower().replace("_", " ").replace("nan", "NaN")


ZEROS = NumberClass.NEGATIVE_ZERO, NumberClass.POSITIVE_ZERO
INFINITIES = NumberClass.NEGATIVE_INFINITY, NumberClass.POSITIVE_INFINITY
NANS = NumberClass.SIGNALING_NAN, NumberClass.QUIET_NAN


def split(codes: NDArray[Any], fmt: FloatFormat | IntFormat) -> tuple[NDArray[np.bool_], NDArray[np.uint64]]:
    """Split codes into the sign bit and the other bits."""
    wide = codes.astype(np.uint64)
    return (wide & np.uint64(fmt.sign_mask)) != 0, wide & np.uint64((1 << fmt.bits) - 1 - fmt.sign_mask)


def classes_of(codes: NDArray[Any], fmt: Format) -> NDArray[np.uint8]:
    """The class number of each code; all codes must be in range."""
    if isinstance(fmt, TableFormat):
        return np.take(np.array([_of_entry(code, fmt) for code in range(fmt.code_count)], np.uint8), codes)
    negative, magnitude = split(codes, fmt)
    if isinstance(fmt, IntFormat):
        # Two's complement: the sign bit alone is the lowest value, not a zero.
        zero = magnitude == 0 if fmt.encoding == "sign_magnitude" else codes == 0
        classes = _signed(negative, np.where(zero, NumberClass.POSITIVE_ZERO, NumberClass.POSITIVE_NORMAL))
        if fmt.symmetric:
            classes[codes == fmt.sign_mask] = NumberClass.NONCANONICAL
        return classes
    positive = np.full(codes.shape, NumberClass.POSITIVE_NORMAL, np.uint8)
    positive[magnitude < fmt.min_normal_code] = NumberClass.POSITIVE_SUBNORMAL
    if fmt.zero:
        positive[magnitude == 0] = NumberClass.POSITIVE_ZERO
    if fmt.infinity_code is not None:
        positive[magnitude == fmt.infinity_code] = NumberClass.POSITIVE_INFINITY
    classes = _signed(negative, positive)
    classes[nan_mask(codes, fmt)] = NumberClass.QUIET_NAN
    if fmt.nan == "ieee" and fmt.nan_code is not None:
        signaling = (magnitude >= fmt.nan_codes[0]) & (magnitude < fmt.nan_code)
        classes[signaling] = NumberClass.SIGNALING_NAN
    return classes


def _signed(negative: NDArray[np.bool_], positive: NDArray[Any]) -> NDArray[np.uint8]:
    """Class numbers of signed values: those of both signs add up to 7."""
    return np.where(negative, 7 - positive, positive).astype(np.uint8)


def _of_entry(code: int, fmt: TableFormat) -> NumberClass:
    value = fmt.entries[code]
    if fmt.entries.index(value) < code:
        return NumberClass.NONCANONICAL
    if value == 0:
        return NumberClass.POSITIVE_ZERO if str(value) == "0.0" else NumberClass.NEGATIVE_ZERO
    return NumberClass.POSITIVE_NORMAL if value > 0 else NumberClass.NEGATIVE_NORMAL


def nan_mask(codes: NDArray[Any], fmt: Format) -> NDArray[np.bool_]:
    """A mask of the codes that are NaN."""
    if not isinstance(fmt, FloatFormat) or fmt.nan == "none":
        return np.zeros(codes.shape, np.bool_)
    if fmt.nan == "negative_zero":
        return np.asarray(codes == fmt.sign_mask)
    return np.asarray(split(codes, fmt)[1] >= fmt.nan_codes[0])


def zero_mask(codes: NDArray[Any], fmt: Format) -> NDArray[np.bool_]:
    """A mask of the codes that are zeros, of either sign."""
    if isinstance(fmt, TableFormat):
        return np.asarray(np.take(np.array(fmt.entries) == 0, codes))
    zero = (codes == 0) & fmt.has("zero")
    if fmt.has("negative_zero"):
        zero |= codes == fmt.sign_mask
    return np.asarray(zero)


def ranks(codes: NDArray[Any], fmt: Format) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """Integers in the order of the values (-0 below +0), and a mask of NaNs, whose integers are meaningless."""
    if isinstance(fmt, TableFormat):
        return ranks(np.take(np.array(fmt.entries), codes).view(np.uint64), FLOAT64)
    nans = nan_mask(codes, fmt)
    signed = fmt.encoding == "sign_magnitude" if isinstance(fmt, IntFormat) else fmt.signed
    if not signed:
        return codes.astype(np.uint64) ^ np.uint64(fmt.sign_mask), nans
    negative, magnitude = split(codes, fmt)
    middle = np.uint64(1 << 63)
    return np.where(negative, middle - np.uint64(1) - magnitude, middle + magnitude), nans


def positions(codes: NDArray[Any], fmt: Format) -> NDArray[np.uint64]:
    """The position of each code's value in the order of the format's values; equal values have the same one."""
    if isinstance(fmt, TableFormat):
        return np.take(entries_in_order(fmt)[2].astype(np.uint64), codes)
    sign = np.uint64(fmt.sign_mask)
    if isinstance(fmt, IntFormat) and fmt.encoding == "twos_complement":
        return codes.astype(np.uint64) ^ sign
    negative, magnitude = split(codes, fmt)
    gap = np.uint64(not fmt.has("zero"))  # without a zero, the smallest values of both signs are neighbours
    return np.where(negative, sign - magnitude - gap, sign + magnitude)


def entries_in_order(book: TableFormat) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.intp]]:
    """A codebook's different values in order, the lowest code of each, and each code's position among them."""
    return np.unique(np.array(book.entries), return_index=True, return_inverse=True)


def code_fields(fmt: Format) -> list[tuple[str, int]]:
    """The non-empty fields of a code and their widths, from the top bit down.

    Parameters
    ----------
    fmt : Format

    Returns
    -------
    list of (str, int)

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.formats.facts.codes import code_fields
    >>> code_fields(fe.dtype("float8_e5m2"))
    [('sign', 1), ('exponent', 5), ('trailing', 2)]
    """
    if isinstance(fmt, TableFormat):
        return [("index", fmt.bits)]
    if isinstance(fmt, FloatFormat):
        widths = [("sign", int(fmt.signed)), ("exponent", fmt.exponent_bits), ("trailing", fmt.trailing_bits)]
    else:
        magnitude = fmt.bits - fmt.signed
        fraction = fmt.fraction_bits if 0 < fmt.fraction_bits <= magnitude else 0
        widths = [("sign", int(fmt.signed)), ("integer", magnitude - fraction), ("fraction", fraction)]
    return [(name, width) for name, width in widths if width]

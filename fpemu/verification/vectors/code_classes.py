"""Classes of codes, finer than IEEE 754's: the codes in each class, and the exponents of their values."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu.formats import FloatFormat, Format, IntFormat, TableFormat
from fpemu.formats.facts.codes import NumberClass, classes_of, split

__all__ = ["CLASSES", "bit_lengths", "class_ranges", "classes_in", "exponents", "fine_classes", "significands"]

# In the order of values; then codes without a value; then truth values.
CLASSES = (
    *("-infinity", "-largest", "-normal", "-smallest normal", "-subnormal", "-0"),
    *("+0", "+subnormal", "+smallest normal", "+normal", "+largest", "+infinity"),
    *("signaling NaN", "quiet NaN", "noncanonical", "false", "true"),
)
CLASS_NUMBER = {name: number for number, name in enumerate(CLASSES)}
FALSE_CLASS = CLASS_NUMBER["false"]
LARGEST_CLASSES = CLASS_NUMBER["-largest"], CLASS_NUMBER["+largest"]
SMALLEST_NORMAL_CLASSES = CLASS_NUMBER["-smallest normal"], CLASS_NUMBER["+smallest normal"]
NORMAL_CLASSES = CLASS_NUMBER["-normal"], CLASS_NUMBER["+normal"]
SUBNORMAL_CLASSES = CLASS_NUMBER["-subnormal"], CLASS_NUMBER["+subnormal"]
ZERO_CLASSES = CLASS_NUMBER["-0"], CLASS_NUMBER["+0"]
INFINITY_CLASSES = CLASS_NUMBER["-infinity"], CLASS_NUMBER["+infinity"]
NAN_CLASSES = CLASS_NUMBER["signaling NaN"], CLASS_NUMBER["quiet NaN"]

_CLASS_OF_NUMBER_CLASS = np.array([0, 2, 4, 5, 6, 7, 9, 11, 12, 13, 14], np.uint8)
assert len(_CLASS_OF_NUMBER_CLASS) == len(NumberClass)

Range = tuple[int, int]


def fine_classes(codes: NDArray[Any], fmt: Format | None) -> NDArray[np.uint8]:
    """Return the class of each code of a format (None: of each truth value), as an index of CLASSES.

    Examples
    --------
    >>> import numpy as np
    >>> import fpemu as fe
    >>> from fpemu.verification.vectors.code_classes import CLASSES, fine_classes
    >>> [CLASSES[number] for number in fine_classes(np.uint8([0, 1, 8, 9, 0xFE, 0x7F]), fe.dtype("float8_e4m3fn"))]
    ['+0', '+subnormal', '+smallest normal', '+normal', '-largest', 'quiet NaN']
    """
    if fmt is None:
        return codes.astype(np.uint8) + np.uint8(FALSE_CLASS)
    numbers = _CLASS_OF_NUMBER_CLASS[classes_of(codes, fmt)]
    for number, ranges in class_ranges(fmt).items():
        if number in LARGEST_CLASSES or number in SMALLEST_NORMAL_CLASSES:
            for low, _ in ranges:
                numbers[codes == low] = number
    return numbers


def classes_in(fmt: Format | None) -> list[int]:
    """The classes of a format's codes, or of truth values, as indices of CLASSES."""
    return [FALSE_CLASS, FALSE_CLASS + 1] if fmt is None else sorted(class_ranges(fmt))


@functools.lru_cache(maxsize=64)
def class_ranges(fmt: Format) -> dict[int, tuple[Range, ...]]:
    """The codes in each class of a format, as ranges that include both ends."""
    if isinstance(fmt, TableFormat):
        return _codebook_ranges(fmt)
    by_class: dict[int, list[Range]] = {}

    def add(name: str, low: int, high: int) -> None:
        if low <= high:
            by_class.setdefault(CLASS_NUMBER[name], []).append((low, high))

    if isinstance(fmt, IntFormat):
        _add_integers(fmt, add)
    else:
        for sign, mask in (("+", 0), ("-", fmt.sign_mask))[: 1 + fmt.signed]:
            _add_floats(fmt, sign, mask, add)
        if fmt.nan == "negative_zero":
            add("quiet NaN", fmt.sign_mask, fmt.sign_mask)
    return {number: tuple(ranges) for number, ranges in by_class.items()}


def _codebook_ranges(fmt: TableFormat) -> dict[int, tuple[Range, ...]]:
    codes = np.arange(fmt.code_count, dtype=fmt.code_dtype)
    numbers = _CLASS_OF_NUMBER_CLASS[classes_of(codes, fmt)]
    by_class: dict[int, list[Range]] = {}
    for code, number in enumerate(numbers.tolist()):
        value = fmt.entries[code]
        if number == CLASS_NUMBER["+normal"] and value == max(fmt.entries):
            number = CLASS_NUMBER["+largest"]
        if number == CLASS_NUMBER["-normal"] and value == min(fmt.entries):
            number = CLASS_NUMBER["-largest"]
        by_class.setdefault(number, []).append((code, code))
    return {number: tuple(ranges) for number, ranges in by_class.items()}


def _add_integers(fmt: IntFormat, add: Any) -> None:
    add("+0", 0, 0)
    add("+normal", 1, fmt.max_int - 1)
    add("+largest", fmt.max_int, fmt.max_int if fmt.max_int else -1)
    if fmt.encoding == "sign_magnitude":
        add("-0", fmt.sign_mask, fmt.sign_mask)
        add("-normal", fmt.sign_mask + 1, fmt.sign_mask - fmt.min_int - 1)
        add("-largest", fmt.sign_mask - fmt.min_int, fmt.sign_mask - fmt.min_int)
    elif fmt.signed:
        lowest = fmt.code_count + fmt.min_int
        add("-normal", lowest + 1, fmt.code_count - 1)
        add("-largest", lowest, lowest)
        add("noncanonical", fmt.sign_mask, lowest - 1)


def _add_floats(fmt: FloatFormat, sign: str, mask: int, add: Any) -> None:
    least, largest = fmt.min_normal_code, fmt.max_code
    if fmt.zero and (not mask or fmt.negative_zero):
        add(f"{sign}0", mask, mask)
    add(f"{sign}subnormal", mask + 1 if fmt.zero else mask, mask + min(least, largest) - 1)
    if least < largest:
        add(f"{sign}smallest normal", mask + least, mask + least)
        add(f"{sign}normal", mask + least + 1, mask + largest - 1)
    add(f"{sign}largest", mask + largest, mask + largest)
    if fmt.infinity_code is not None:
        add(f"{sign}infinity", mask + fmt.infinity_code, mask + fmt.infinity_code)
    if fmt.nan == "ieee":
        assert fmt.nan_code is not None
        add("signaling NaN", mask + fmt.nan_codes[0], mask + fmt.nan_code - 1)
        add("quiet NaN", mask + fmt.nan_code, mask + fmt.nan_codes[-1])
    elif fmt.nan == "all_ones":
        add("quiet NaN", mask + fmt.nan_codes[0], mask + fmt.nan_codes[0])


def bit_lengths(x: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The number of bits of each integer; 0 for 0."""
    high = x >> np.uint64(32)
    half = np.where(high != 0, high, x).astype(np.float64)
    return np.asarray(np.frexp(half)[1] + np.where(high != 0, 32, 0), np.int64)


def significands(codes: NDArray[Any], fmt: FloatFormat | IntFormat) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The magnitudes of finite codes, as integers and exponents: magnitude = integer * 2^exponent."""
    wide = codes.astype(np.uint64)
    if isinstance(fmt, IntFormat):
        negative, magnitude = split(codes, fmt)
        if fmt.encoding == "twos_complement" and fmt.signed:
            magnitude = np.where(negative, np.uint64(fmt.sign_mask) - magnitude, magnitude)
        return magnitude, np.full(codes.shape, -fmt.fraction_bits, np.int64)
    magnitude = wide & np.uint64(fmt.magnitude_mask)
    field = (magnitude >> np.uint64(fmt.trailing_bits)).astype(np.int64)
    trailing = magnitude & np.uint64((1 << fmt.trailing_bits) - 1)
    below = (field == 0) & fmt.subnormals | (magnitude == 0) & fmt.zero
    significand = np.where(below, trailing, trailing | np.uint64(1 << fmt.trailing_bits))
    lowest = fmt.quantum_exponent
    return significand, np.where(below, lowest, field - fmt.bias - fmt.trailing_bits)


def exponents(codes: NDArray[Any], fmt: FloatFormat | IntFormat) -> NDArray[np.int64]:
    """The exponents of finite codes' values: e with 2^e <= |x| < 2^(e+1); meaningless for zero."""
    significand, exponent = significands(codes, fmt)
    return exponent + bit_lengths(significand) - 1

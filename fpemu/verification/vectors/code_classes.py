"""Classes of codes, finer than IEEE 754's, the codes of each class, and the exponents of their values."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu.formats import FloatFormat, Format, IntFormat, TableFormat
from fpemu.formats.facts.codes import NumberClass, classes_of, split

__all__ = ["CLASSES", "bit_length", "classes_in", "exponents", "fine_classes", "ranges", "significands"]

# From the lowest value to the highest; then what is no value, and truth values.
CLASSES = (
    *("-infinity", "-largest", "-normal", "-smallest normal", "-subnormal", "-0"),
    *("+0", "+subnormal", "+smallest normal", "+normal", "+largest", "+infinity"),
    *("signaling NaN", "quiet NaN", "noncanonical", "false", "true"),
)
NUMBER = {name: number for number, name in enumerate(CLASSES)}
TRUTH = NUMBER["false"]
LARGEST = NUMBER["-largest"], NUMBER["+largest"]
SMALLEST = NUMBER["-smallest normal"], NUMBER["+smallest normal"]
SUBNORMAL = NUMBER["-subnormal"], NUMBER["+subnormal"]
ZERO = NUMBER["-0"], NUMBER["+0"]
INFINITE = NUMBER["-infinity"], NUMBER["+infinity"]
NAN = NUMBER["signaling NaN"], NUMBER["quiet NaN"]

_COARSE = np.array([0, 2, 4, 5, 6, 7, 9, 11, 12, 13, 14], np.uint8)  # by NumberClass
assert len(_COARSE) == len(NumberClass)

Range = tuple[int, int]


def fine_classes(codes: NDArray[Any], fmt: Format | None) -> NDArray[np.uint8]:
    """The numbers in CLASSES of codes of a format; of truth values where there is none.

    Examples
    --------
    >>> import numpy as np
    >>> import fpemu as fe
    >>> from fpemu.verification.vectors.code_classes import CLASSES, fine_classes
    >>> [CLASSES[found] for found in fine_classes(np.uint8([0, 1, 8, 9, 0xFE, 0x7F]), fe.dtype("float8_e4m3fn"))]
    ['+0', '+subnormal', '+smallest normal', '+normal', '-largest', 'quiet NaN']
    """
    if fmt is None:
        return codes.astype(np.uint8) + np.uint8(TRUTH)
    found = _COARSE[classes_of(codes, fmt)]
    for number, members in ranges(fmt).items():
        if number in LARGEST or number in SMALLEST:
            for low, _ in members:
                found[codes == low] = number
    return found


def classes_in(fmt: Format | None) -> list[int]:
    """The numbers of the classes that a format has codes of."""
    return [TRUTH, TRUTH + 1] if fmt is None else sorted(ranges(fmt))


@functools.lru_cache(maxsize=64)
def ranges(fmt: Format) -> dict[int, tuple[Range, ...]]:
    """The codes of each class that a format has, as ranges, both ends included."""
    if isinstance(fmt, TableFormat):
        return _of_codebook(fmt)
    found: dict[int, list[Range]] = {}

    def add(name: str, low: int, high: int) -> None:
        if low <= high:
            found.setdefault(NUMBER[name], []).append((low, high))

    if isinstance(fmt, IntFormat):
        _add_integers(fmt, add)
    else:
        for sign, mask in (("+", 0), ("-", fmt.sign_mask))[: 1 + fmt.signed]:
            _add_floats(fmt, sign, mask, add)
        if fmt.nan == "negative_zero":
            add("quiet NaN", fmt.sign_mask, fmt.sign_mask)
    return {number: tuple(members) for number, members in found.items()}


def _of_codebook(fmt: TableFormat) -> dict[int, tuple[Range, ...]]:
    every = np.arange(fmt.code_count, dtype=fmt.code_dtype)
    numbers = _COARSE[classes_of(every, fmt)]
    found: dict[int, list[Range]] = {}
    for code, number in enumerate(numbers.tolist()):
        value = fmt.entries[code]
        if number == NUMBER["+normal"] and value == max(fmt.entries):
            number = NUMBER["+largest"]
        if number == NUMBER["-normal"] and value == min(fmt.entries):
            number = NUMBER["-largest"]
        found.setdefault(number, []).append((code, code))
    return {number: tuple(members) for number, members in found.items()}


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


def bit_length(x: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The number of bits of each integer; 0 of 0."""
    high = x >> np.uint64(32)
    half = np.where(high != 0, high, x).astype(np.float64)
    return np.asarray(np.frexp(half)[1] + np.where(high != 0, 32, 0), np.int64)


def significands(codes: NDArray[Any], fmt: FloatFormat | IntFormat) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The magnitudes of finite codes: integers, and the exponents of two to take them by."""
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
    """The exponents of finite codes' values: e with 2^e <= |x| < 2^(e+1); of zero one that means nothing."""
    significand, exponent = significands(codes, fmt)
    return exponent + bit_length(significand) - 1

"""Random codes by class and exponent, with patterns of digits near ties.

The random words are raw 64-bit words of Philox 4x64-10, which are by definition the same on every machine and in every
version of numpy; numpy's `Generator` does not guarantee that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu.formats import FloatFormat, Format, IntFormat
from fpemu.verification.vectors.code_classes import NORMAL_CLASSES, SUBNORMAL_CLASSES, class_ranges, fine_classes

__all__ = ["RandomWords", "in_classes", "uniform", "with_exponents"]

UInt64s = NDArray[np.uint64]
_PATTERNS = 8


class RandomWords:
    """A stream of random 64-bit words, determined by a seed and a stream number.

    Parameters
    ----------
    seed : int
        Below 2^64.
    stream : int
        Below 2^64.

    Examples
    --------
    >>> from fpemu.verification.vectors.random_codes import RandomWords
    >>> RandomWords(1, 2).below(6, 10)
    array([1, 4, 3, 2, 1, 4, 3, 0, 3, 1])
    """

    def __init__(self, seed: int, stream: int) -> None:
        self._source = np.random.Philox(key=np.array([seed, stream], np.uint64))

    def take(self, count: int) -> UInt64s:
        """The next `count` words."""
        return np.asarray(self._source.random_raw(count), np.uint64)

    def below(self, end: int, count: int) -> NDArray[np.int64]:
        """`count` integers from 0 to end - 1: words modulo `end`."""
        return (self.take(count) % np.uint64(end)).astype(np.int64)

    def permutation(self, count: int) -> NDArray[np.int64]:
        """0 to count - 1 in random order."""
        return np.argsort(self.take(count), kind="stable")


def uniform(fmt: Format, words: RandomWords, count: int) -> NDArray[Any]:
    """Uniformly random codes."""
    codes = words.take(count)
    if fmt.code_count < 1 << 64:
        codes = codes % np.uint64(fmt.code_count)
    return codes.astype(fmt.code_dtype)


def in_classes(fmt: Format, numbers: NDArray[np.uint8], words: RandomWords) -> NDArray[Any]:
    """A random code in each of the classes `numbers`, which the format must have."""
    choices, patterns = words.take(numbers.size), words.take(numbers.size)
    codes = np.zeros(numbers.size, np.uint64)
    for number, ranges in class_ranges(fmt).items():
        rows = np.flatnonzero(numbers == number)
        if not rows.size:
            continue
        lows, highs = np.array(ranges, np.uint64).T
        chosen = (choices[rows] >> np.uint64(48)) % np.uint64(lows.size)
        low, high = lows[chosen], highs[chosen]
        drawn = low + choices[rows] % (high - low + np.uint64(1))
        if not isinstance(fmt, FloatFormat | IntFormat) or (lows == highs).all():
            codes[rows] = drawn
            continue
        digits = fmt.trailing_bits if isinstance(fmt, FloatFormat) else fmt.bits - 1
        codes[rows] = np.clip(_patterned(drawn, patterns[rows], digits), low, high)
    return codes.astype(fmt.code_dtype)


def _patterned(codes: UInt64s, words: UInt64s, digits: int) -> UInt64s:
    """Replace the trailing digits of five of eight codes by digits near a tie: all 0, all 1, or all but one."""
    one = np.uint64(1)
    last = (words >> np.uint64(8)) % np.uint64(digits + 1)
    last = np.where(words >> np.uint64(62) == 0, np.uint64(digits), last)  # a quarter: all digits
    low = (one << last) - one
    middle = low >> one
    pattern = words % np.uint64(_PATTERNS)
    for number, changed in (
        (3, codes & ~low),
        (4, codes | low),
        (5, (codes & ~low) | np.minimum(low, one)),
        (6, (codes | low) ^ np.minimum(low, one)),
        (7, (codes & ~low) | (low ^ middle)),
    ):
        codes = np.where(pattern == number, changed, codes)
    return codes


def with_exponents(codes: NDArray[Any], fmt: Format, wanted: NDArray[np.int64]) -> NDArray[Any]:
    """Change the exponents of finite floats to the nearest that their classes allow; other codes are unchanged."""
    if not isinstance(fmt, FloatFormat):
        return codes
    one, trailing = np.uint64(1), np.uint64(fmt.trailing_bits)
    numbers = fine_classes(codes, fmt)
    wide = codes.astype(np.uint64)
    sign, magnitude = wide & np.uint64(fmt.sign_mask), wide & np.uint64(fmt.magnitude_mask)
    digits = magnitude & ((one << trailing) - one)
    fields = np.clip(wanted + fmt.bias, 0, (1 << fmt.exponent_bits) - 1).astype(np.uint64)
    normal = np.clip(
        fields << trailing | digits, np.uint64(fmt.min_normal_code + 1), np.uint64(max(fmt.max_code - 1, 0))
    )
    top = np.clip(wanted - fmt.quantum_exponent, 0, max(fmt.trailing_bits - 1, 0)).astype(np.uint64)
    subnormal = (digits & ((one << top) - one)) | (one << top)
    is_normal = np.isin(numbers, NORMAL_CLASSES)
    changed = np.where(is_normal, normal, np.where(np.isin(numbers, SUBNORMAL_CLASSES), subnormal, magnitude))
    return (sign | changed).astype(codes.dtype)

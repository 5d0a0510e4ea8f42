"""Random codes: of stated classes, with the digits that roundings stumble over, and of stated exponents.

All randomness is 64-bit words of Philox 4x64-10, raw: by its definition the same on every machine and in every numpy,
which its `Generator` does not promise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu.formats import FloatFormat, Format, IntFormat
from fpemu.verification.vectors import code_classes as kinds

__all__ = ["Words", "in_classes", "uniform", "with_exponents"]

Words64 = NDArray[np.uint64]
_PATTERNS = 8


class Words:
    """A stream of random words: one for each pair of a seed and a number.

    Parameters
    ----------
    seed : int
        Below 2^64.
    stream : int
        Below 2^64.

    Examples
    --------
    >>> from fpemu.verification.vectors.random_codes import Words
    >>> Words(1, 2).below(6, 10)
    array([1, 4, 3, 2, 1, 4, 3, 0, 3, 1])
    """

    def __init__(self, seed: int, stream: int) -> None:
        self._source = np.random.Philox(key=np.array([seed, stream], np.uint64))

    def take(self, count: int) -> Words64:
        """So many words."""
        return np.asarray(self._source.random_raw(count), np.uint64)

    def below(self, end: int, count: int) -> NDArray[np.int64]:
        """So many integers from 0 to end - 1: words modulo `end`."""
        return (self.take(count) % np.uint64(end)).astype(np.int64)

    def order(self, count: int) -> NDArray[np.int64]:
        """0 to count - 1 in random order."""
        return np.argsort(self.take(count), kind="stable")


def uniform(fmt: Format, words: Words, count: int) -> NDArray[Any]:
    """Codes, each as likely as any other."""
    found = words.take(count)
    if fmt.code_count < 1 << 64:
        found = found % np.uint64(fmt.code_count)
    return found.astype(fmt.code_dtype)


def in_classes(fmt: Format, numbers: NDArray[np.uint8], words: Words) -> NDArray[Any]:
    """A code of each of the classes, which the format has."""
    places, patterns = words.take(numbers.size), words.take(numbers.size)
    found = np.zeros(numbers.size, np.uint64)
    for number, members in kinds.ranges(fmt).items():
        where = np.flatnonzero(numbers == number)
        if not where.size:
            continue
        lows, highs = np.array(members, np.uint64).T
        which = (places[where] >> np.uint64(48)) % np.uint64(lows.size)
        low, high = lows[which], highs[which]
        drawn = low + places[where] % (high - low + np.uint64(1))
        if not isinstance(fmt, FloatFormat | IntFormat) or (lows == highs).all():
            found[where] = drawn
            continue
        digits = fmt.trailing_bits if isinstance(fmt, FloatFormat) else fmt.bits - 1
        found[where] = np.clip(_patterned(drawn, patterns[where], digits), low, high)
    return found.astype(fmt.code_dtype)


def _patterned(codes: Words64, words: Words64, digits: int) -> Words64:
    """Codes, three of eight as they are, the others' last digits made all 0, all 1, or that but for one of them."""
    one = np.uint64(1)
    last = (words >> np.uint64(8)) % np.uint64(digits + 1)
    last = np.where(words >> np.uint64(62) == 0, np.uint64(digits), last)  # a fourth: all digits
    low = (one << last) - one
    middle = low >> one
    how = words % np.uint64(_PATTERNS)
    for number, changed in (
        (3, codes & ~low),
        (4, codes | low),
        (5, (codes & ~low) | np.minimum(low, one)),
        (6, (codes | low) ^ np.minimum(low, one)),
        (7, (codes & ~low) | (low ^ middle)),
    ):
        codes = np.where(how == number, changed, codes)
    return codes


def with_exponents(codes: NDArray[Any], fmt: Format, wanted: NDArray[np.int64]) -> NDArray[Any]:
    """Finite codes of floats with the exponents changed to the nearest that their classes allow; others as they are."""
    if not isinstance(fmt, FloatFormat):
        return codes
    one, trailing = np.uint64(1), np.uint64(fmt.trailing_bits)
    numbers = kinds.fine_classes(codes, fmt)
    wide = codes.astype(np.uint64)
    sign, magnitude = wide & np.uint64(fmt.sign_mask), wide & np.uint64(fmt.magnitude_mask)
    digits = magnitude & ((one << trailing) - one)
    fields = np.clip(wanted + fmt.bias, 0, (1 << fmt.exponent_bits) - 1).astype(np.uint64)
    normal = np.clip(
        fields << trailing | digits, np.uint64(fmt.min_normal_code + 1), np.uint64(max(fmt.max_code - 1, 0))
    )
    top = np.clip(wanted - fmt.quantum_exponent, 0, max(fmt.trailing_bits - 1, 0)).astype(np.uint64)
    subnormal = (digits & ((one << top) - one)) | (one << top)
    is_normal = (numbers == kinds.NUMBER["+normal"]) | (numbers == kinds.NUMBER["-normal"])
    changed = np.where(is_normal, normal, np.where(np.isin(numbers, kinds.SUBNORMAL), subnormal, magnitude))
    return (sign | changed).astype(codes.dtype)

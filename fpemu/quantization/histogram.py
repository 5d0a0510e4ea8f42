"""Histogram: counts in bins of the numbers of many blocks, which `calibrate` collects from batches."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fpemu.casting import cast

if TYPE_CHECKING:
    from fractions import Fraction

__all__ = ["LAST_BIN", "SIGN", "Ends", "Histogram", "Integers", "bin_ranks", "histograms", "upper_ends"]

Ends = NDArray[np.float64]
Integers = NDArray[np.int64]

BINS = 1 << 16  # the upper halves of float32's bits
SIGN = 1 << 15
LAST_BIN = 0x7F7F  # the bin of float32's largest number
COUNTED_AT_A_TIME = 1 << 20  # numbers


class Histogram(NamedTuple):
    """Counts of numbers in the bins of some blocks.

    `keys`: block x BINS + bin, ascending; `counts`: the count of numbers in each bin; `sums`: the sum, over the bin's
    numbers, of their bits minus those of the bin's lowest number.
    """

    keys: Integers
    counts: Integers
    sums: Integers

    @classmethod
    def empty(cls) -> Histogram:
        """An empty histogram."""
        return cls(*np.zeros((3, 0), np.int64))

    @classmethod
    def merge(cls, histograms: list[Histogram]) -> Histogram:
        """Merge several histograms into one."""
        keys, counts, sums = (np.concatenate(column) for column in zip(*histograms, strict=True))
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        first = np.flatnonzero(np.diff(keys, prepend=-1))
        if not first.size:
            return cls.empty()
        return cls(keys[first], np.add.reduceat(counts[order], first), np.add.reduceat(sums[order], first))

    @property
    def bins(self) -> Integers:
        """Bin numbers without their block."""
        return self.keys & (BINS - 1)

    def starts(self, blocks: int) -> Integers:
        """The index of each block's first bin, and the end of the last block's bins."""
        return np.searchsorted(self.keys, np.arange(blocks + 1) * BINS)

    @property
    def means(self) -> NDArray[np.float32]:
        """The mean of each bin's numbers."""
        magnitudes = ((self.bins & ~SIGN) << 16).astype(np.uint32).view(np.float32)
        units = np.spacing(magnitudes).astype(np.float64)
        means = magnitudes.astype(np.float64) + units * (self.sums / np.maximum(self.counts, 1))
        return np.where(self.bins & SIGN, -means, means).astype(np.float32)

    def quantile(self, ranks: Integers, share: Fraction, blocks: int) -> Ends:
        """The upper end of the bin where a share of each block's numbers is reached; 0 if its rank is below 0.

        `ranks`: the order of the bins, from -BINS on; bins of negative numbers have ranks below 0.
        """
        order = np.argsort((self.keys >> 16) * (2 * BINS) + ranks + BINS, kind="stable")
        sums = np.cumsum(np.concatenate([[0], self.counts[order]]))
        ends = sums[self.starts(blocks)]
        # Python's integers, since products with a share's numerator may exceed 64 bits.
        needed = [
            first - (-(last - first) * share.numerator // share.denominator)
            for first, last in itertools.pairwise(ends.tolist())
        ]
        index = np.searchsorted(sums[1:], np.array(needed, np.int64))
        rank = np.append(ranks[order], 0)[index]
        return np.where((rank >= 0) & (np.diff(ends) > 0), upper_ends(np.maximum(rank, 0)), 0.0)


def histograms(rows: NDArray[np.float64], selected: NDArray[np.bool_]) -> Iterator[Histogram]:
    """Histograms of the selected numbers of some rows, each of which is a block."""
    flat, mask, length = rows.reshape(-1), selected.reshape(-1), rows.shape[1]
    for start in range(0, flat.size, COUNTED_AT_A_TIME):
        index = start + np.flatnonzero(mask[start : start + COUNTED_AT_A_TIME])
        numbers = np.asarray(cast(flat[index], "float32", rounding="toward_zero", dtype=np.float32))
        words = np.sort((index // length << 32) + numbers.view(np.uint32))
        first = np.flatnonzero(np.diff(words >> 16, prepend=-1))
        if first.size:
            counts = np.diff(first, append=words.size)
            yield Histogram(words[first] >> 16, counts, np.add.reduceat(words & (BINS - 1), first))


def upper_ends(bins: Integers) -> Ends:
    """The upper ends of bins of positive numbers."""
    return ((bins + 1) << 16).astype(np.uint32).view(np.float32).astype(np.float64)


def bin_ranks(bins: Integers) -> Integers:
    """Ranks of bins in the order of their numbers; bins of negative numbers are below 0."""
    return np.where(bins & SIGN, -1 - (bins & ~SIGN), bins)

"""Numbers counted in bins, those of many blocks at once: what `calibrate` keeps of batches."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fpemu.casting import cast

if TYPE_CHECKING:
    from fractions import Fraction

__all__ = ["LAST", "SIGN", "Counted", "Ends", "Integers", "counted", "places_of", "upper"]

Ends = NDArray[np.float64]
Integers = NDArray[np.int64]

BINS = 1 << 16  # the upper halves of float32's bits
SIGN = 1 << 15
LAST = 0x7F7F  # the bin of float32's largest number
AT_ONCE = 1 << 20  # numbers that are counted at a time


class Counted(NamedTuple):
    """How many numbers lie in the bins of some blocks.

    `keys`: block times BINS plus bin, ascending; `counts`: numbers there; `sums`: of what their bits are above the
    bin's lowest number's.
    """

    keys: Integers
    counts: Integers
    sums: Integers

    @classmethod
    def nothing(cls) -> Counted:
        """Before any numbers."""
        return cls(*np.zeros((3, 0), np.int64))

    @classmethod
    def together(cls, parts: list[Counted]) -> Counted:
        """All that some have counted."""
        keys, counts, sums = (np.concatenate(each) for each in zip(*parts, strict=True))
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        first = np.flatnonzero(np.diff(keys, prepend=-1))
        if not first.size:
            return cls.nothing()
        return cls(keys[first], np.add.reduceat(counts[order], first), np.add.reduceat(sums[order], first))

    @property
    def bins(self) -> Integers:
        """The bins, whosever they are."""
        return self.keys & (BINS - 1)

    def starts(self, blocks: int) -> Integers:
        """Where each block's bins start, and the end of the last one's."""
        return np.searchsorted(self.keys, np.arange(blocks + 1) * BINS)

    @property
    def means(self) -> NDArray[np.float32]:
        """The mean of each bin's numbers."""
        magnitudes = ((self.bins & ~SIGN) << 16).astype(np.uint32).view(np.float32)
        units = np.spacing(magnitudes).astype(np.float64)
        means = magnitudes.astype(np.float64) + units * (self.sums / np.maximum(self.counts, 1))
        return np.where(self.bins & SIGN, -means, means).astype(np.float32)

    def reached(self, places: Integers, share: Fraction, blocks: int) -> Ends:
        """The upper ends of the bins where a share of a block's numbers is reached; 0 where that is below 0.

        `places`: the order of the bins, from -BINS on; those below 0 are those of negative numbers.
        """
        order = np.argsort((self.keys >> 16) * (2 * BINS) + places + BINS, kind="stable")
        sums = np.cumsum(np.concatenate([[0], self.counts[order]]))
        ends = sums[self.starts(blocks)]
        needed = [first - (-(last - first) * share.numerator // share.denominator) for first, last in _pairs(ends)]
        found = np.searchsorted(sums[1:], np.array(needed, np.int64))
        reached = np.append(places[order], 0)[found]
        return np.where((reached >= 0) & (np.diff(ends) > 0), upper(np.maximum(reached, 0)), 0.0)


def _pairs(ends: Integers) -> Iterator[tuple[int, int]]:
    """Neighbours, as Python's integers: their products with a share's parts may be long."""
    yield from itertools.pairwise(ends.tolist())


def counted(rows: NDArray[np.float64], chosen: NDArray[np.bool_]) -> Iterator[Counted]:
    """The numbers that are chosen of some rows, which are blocks, in their bins."""
    flat, wanted, length = rows.reshape(-1), chosen.reshape(-1), rows.shape[1]
    for start in range(0, flat.size, AT_ONCE):
        places = start + np.flatnonzero(wanted[start : start + AT_ONCE])
        single = np.asarray(cast(flat[places], "float32", rounding="toward_zero", dtype=np.float32))
        words = np.sort((places // length << 32) + single.view(np.uint32))
        first = np.flatnonzero(np.diff(words >> 16, prepend=-1))
        if first.size:
            counts = np.diff(first, append=words.size)
            yield Counted(words[first] >> 16, counts, np.add.reduceat(words & (BINS - 1), first))


def upper(magnitudes: Integers) -> Ends:
    """The upper ends of bins of positive numbers."""
    return ((magnitudes + 1) << 16).astype(np.uint32).view(np.float32).astype(np.float64)


def places_of(bins: Integers) -> Integers:
    """Bins in the order of their numbers: those of negative ones below 0."""
    return np.where(bins & SIGN, -1 - (bins & ~SIGN), bins)

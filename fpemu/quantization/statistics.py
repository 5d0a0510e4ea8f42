"""Statistics of blocks, and the scales computed from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fpemu.arithmetic import subtract
from fpemu.casting.fpu import fpu_is_fit
from fpemu.formats import IEEE
from fpemu.quantization.floats import Floats, is_float_zero, wide

if TYPE_CHECKING:
    from fpemu.quantization.blocks import BlockChunk, BlockedArray

__all__ = ["AbsMax", "Extremes", "Scales", "Statistics", "extent_of", "extremes", "statistics_of", "statistics_of_rows"]


class Extremes(NamedTuple):
    """The smallest and the largest number of each block, zero included; one of them is NaN if the block has a NaN."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @property
    def ends(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The two numbers whose difference determines the scale."""
        return self

    def of_whole_rows(self) -> Extremes:
        """The extremes of each row, from those of its blocks."""
        # Numbers of one sign sort as their bits do, even if the FPU flushes subnormals.
        low, high = (ends.view(np.uint64).max(axis=1, keepdims=True).view(np.float64) for ends in self)
        return Extremes(low, high)


class AbsMax(NamedTuple):
    """The largest magnitude of each block, or the number of that magnitude with its sign; NaN if the block has one."""

    number: NDArray[np.float64]

    @property
    def ends(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The two numbers whose difference determines the scale."""
        return np.zeros_like(self.number), self.number

    def of_whole_rows(self) -> AbsMax:
        """The statistics of each row from those of its blocks; the first of equal magnitudes."""
        first = np.argmax(np.abs(self.number).view(np.uint64), axis=1, keepdims=True)  # of NaN too
        return AbsMax(np.take_along_axis(self.number, first, axis=1))


Statistics = Extremes | AbsMax


class Scales(NamedTuple):
    """Scales as codes, as values, and as the numbers that elements are divided or multiplied by.

    `divisors` include the second level's scale.  Those of exact scales are float64, infinity where a scale is 0, so
    that quotients are 0.
    """

    codes: NDArray[Any]
    values: NDArray[Any]
    divisors: NDArray[Any]


def extremes(x: Floats, block: int, statistic: str) -> tuple[Floats, Floats]:
    """The smallest and the largest number of each block of `x`, shape (rows, length), zero included.

    For "absmax": 0 and the largest magnitude.  One of the two is NaN if the block has a NaN.
    """
    from fpemu.kernels.cpu import blocks

    words = x.view(f"u{x.itemsize}")
    sign = words.dtype.type(1 << (8 * x.itemsize - 1))
    shape = x.shape[0], -(-x.shape[1] // block)
    low, high = np.zeros(shape, words.dtype), np.empty(shape, words.dtype)
    if statistic == "absmax":
        blocks.largest_magnitudes(words, block, ~sign, high)
    else:
        blocks.extremes(words, block, sign, low, high)
    return low.view(x.dtype), high.view(x.dtype)


def statistics_of_rows(x: Floats, block: int, statistic: str) -> Statistics:
    """The statistics of each block of `x`, shape (rows, length), in float64."""
    low, high = extremes(x, block, statistic)
    if statistic == "minmax":
        return Extremes(wide(low), wide(high))
    return AbsMax(wide(_farther(x, block, low, high) if statistic == "signed_absmax" else high))


def _farther(x: Floats, block: int, low: Floats, high: Floats) -> Floats:
    """Each block's number farthest from zero, with its sign; the first one if magnitudes are equal."""
    kind = f"u{x.itemsize}"
    magnitudes = np.array((1 << (8 * x.itemsize - 1)) - 1, kind)
    below, above = (ends.view(kind) & magnitudes for ends in (low, high))
    farther = np.where(below > above, low, high)
    row, k = np.nonzero(below == above)
    if row.size:
        columns = np.minimum(k[:, None] * block + np.arange(block), x.shape[1] - 1)
        numbers = x[row[:, None], columns]
        first = np.argmax(numbers.view(kind) & magnitudes == above[row, k][:, None], axis=1)
        farther[row, k] = numbers[np.arange(row.size), first]
    return farther


def statistics_of(blocked: BlockedArray, statistic: str) -> Statistics:
    """The statistics of all blocks of an array, in the shape of its blocks in rows."""
    kind = Extremes if statistic == "minmax" else AbsMax
    cut = blocked.cut
    statistics = kind(*(np.empty((cut.height, cut.blocks)) for _ in kind._fields))

    def work(chunk: BlockChunk) -> None:
        of_chunk = statistics_of_rows(blocked.x[chunk.rows, chunk.columns], cut.block, statistic)
        for whole, numbers in zip(statistics, of_chunk, strict=True):
            whole[chunk.rows, chunk.blocks] = numbers

    cut.for_each_chunk(work)
    return statistics if cut is blocked.rows else statistics.of_whole_rows()


def extent_of(statistics: Statistics) -> NDArray[np.float64]:
    """The largest number minus the smallest, rounded to odd in float64 to avoid double rounding later.

    An extent beyond float64's range becomes float64's largest number.
    """
    low, high = statistics.ends
    if is_float_zero(low).all():
        return high
    if not fpu_is_fit():
        rules = IEEE.replace(rounding="to_odd", overflow="saturate")
        return np.asarray(subtract(high, low, result="float64", profile=rules))
    with np.errstate(all="ignore"):  # TwoSum: the error of the difference, exactly
        total = high - low
        back = total - high
        error = (high - (total - back)) + (-low - back)
        neighbour = np.nextafter(total, np.where(error > 0, np.inf, -np.inf))
    even = total.view(np.uint64) & np.uint64(1) == 0
    total = np.where(np.isfinite(total) & (error != 0) & even, neighbour, total)
    overflowed = np.isinf(total) & np.isfinite(high) & np.isfinite(low)
    return np.where(overflowed, np.finfo(np.float64).max, total)

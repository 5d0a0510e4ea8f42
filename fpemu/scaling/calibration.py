"""calibrate: scales that are known beforehand, from the numbers of many batches."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fpemu.casting import cast
from fpemu.formats import IntFormat
from fpemu.info import finfo
from fpemu.scaling.layout import block_shape
from fpemu.scaling.names import scheme as find_scheme
from fpemu.scaling.quantizing import quantize
from fpemu.scaling.rules import check_word
from fpemu.sources import as_source

if TYPE_CHECKING:
    from fractions import Fraction

    from numpy.typing import ArrayLike

    from fpemu.scaling.quantized import Quantized
    from fpemu.scaling.scheme import ScaledFormat

__all__ = ["Calibration", "calibrate", "narrow"]

METHODS = ("minmax", "percentile", "mse")
BINS = 1 << 16  # the upper halves of float32's bits
SIGN = 1 << 15
FEW = 64  # rows counted at a time
COARSE = 16  # bins of a binade that are one step of the first search
REACH = 16  # binades of that search


def calibrate(
    x: ArrayLike | Iterable[ArrayLike],
    scheme: str | ScaledFormat,
    method: str = "minmax",
    *,
    percentile: float = 99.9,
    source: Any = None,
) -> Calibration:
    """Find scales, and zero points, for numbers that are like those given.

    Parameters
    ----------
    x : array_like, or iterable of arrays
        One batch; or batches one after the other: an iterator, or a list or tuple of arrays.
    scheme : str or ScaledFormat
        One whose scales are of a tensor, of channels or of rows: "tensor", "channel", "row".
    method : {"minmax", "percentile", "mse"}
        The range that the elements are to span: of all numbers; of this percentage of them; the one whose mean squared
        error is the least.
    percentile : float
        For "percentile": above 0, at most 100.
    source : str, Format or dtype, optional
        x holds codes of this format.

    Returns
    -------
    Calibration
        `.scales`, `.zero_points`, `.quantize(x)`; takes more batches.

    Raises
    ------
    TypeError
        If something is of the wrong kind.
    ValueError
        If a name is unknown, the scheme has blocks that come with the data, or batches do not fit together.

    Examples
    --------
    >>> import fpemu as fe
    >>> found = fe.calibrate([[0.5, -2.0], [1.0, 0.25]], "absmax_int8")
    >>> found.scales
    array(0.01574803, dtype=float32)
    >>> found.quantize([2.0, 1.0, -300.0]).elements
    array([ 127,   64, -128], dtype=int8)
    """
    found = Calibration(scheme, method, percentile=percentile)
    for batch in _batches(x):
        found.update(batch, source=source)
    return found


def _batches(x: Any) -> Iterator[Any]:
    """One array, or the arrays that an iterator gives or a list or tuple holds."""
    several = isinstance(x, list | tuple) and len(x) and all(getattr(part, "ndim", 0) for part in x)
    yield from x if several or isinstance(x, Iterator) else (x,)


class Calibration:
    """What is known of the numbers of batches so far, and the scales that follow.

    Batches may come in any order, and to several calibrations that are merged: no bit of the result depends on that.

    Parameters
    ----------
    scheme : str or ScaledFormat
        Of blocks "tensor", "channel" or "row".
    method : {"minmax", "percentile", "mse"}
        See `calibrate`.
    percentile : float
        For "percentile".

    Attributes
    ----------
    scheme : ScaledFormat
    method : str
    percentile : float
    count : int
        Numbers so far, the others left out.
    nan, infinite : int
        Those others, which count for nothing.

    Raises
    ------
    TypeError
        If something is of the wrong kind.
    ValueError
        If a name is unknown, or the method does not fit the scheme.

    Notes
    -----
    "minmax" keeps the smallest and the largest number of each row, channel or tensor, zero among them, and the scales
    are bit for bit those that `quantize` gives all numbers at once.  The others count numbers, as float32 toward zero,
    in bins of equal sign, exponent and first seven bits of the trailing significand: 128 to a binade, so that a bin's
    ends differ by less than 0.8 percent.  "percentile" takes the upper end of the bin in which that percentage is
    reached (as numpy's "inverted_cdf"), at most the largest number: of magnitudes, or for a rule "minmax" half of the
    rest off each end.  "mse" takes each bin for its middle, tries limits for magnitudes in steps of an eighth of a
    binade, over 16 binades, then the bins' ends around the best; for a rule "minmax" then for each end alone.

    Where all numbers are 0, the scale is 1; a scale that rounds to 0 becomes the smallest.

    Examples
    --------
    >>> import fpemu as fe
    >>> half, rest = fe.Calibration("zeropoint_uint8"), fe.Calibration("zeropoint_uint8")
    >>> half.update([0.0, 3.0]).merge(rest.update([-1.0, 4.1]))
    <Calibration zeropoint_uint8 minmax: 4 numbers>
    >>> half.scales, half.zero_points
    (array(0.02, dtype=float32), array(50))
    """

    def __init__(self, scheme: str | ScaledFormat, method: str = "minmax", *, percentile: float = 99.9) -> None:
        self.scheme = find_scheme(scheme)
        check_word(method, METHODS, "method")
        if isinstance(percentile, bool) or not isinstance(percentile, int | float | np.number):
            raise TypeError(f"percentile must be a number, not {type(percentile).__name__}")
        if not 0 < percentile <= 100:
            raise ValueError(f"percentile must be above 0 and at most 100, not {percentile}")
        if not isinstance(self.scheme.block, str):
            raise ValueError(
                f"{self.scheme} has blocks of {self.scheme.block}, whose scales come with each array: quantize alone; "
                "calibrate is for blocks 'tensor', 'channel' and 'row'"
            )
        if self.scheme.nested is not None:
            raise ValueError(f"{self.scheme} quantizes its scales too: quantize alone")
        if self.scheme.scale_rule.signed:
            raise ValueError(f"{self.scheme} has scales with signs, which depend on the numbers' order: quantize alone")
        if method == "mse" and self.scheme.second_level is not None:
            raise ValueError(f"{self.scheme} has scales of two levels: 'mse' searches for one, 'minmax' fits")
        self.method, self.percentile = method, float(percentile)
        self.count = self.nan = self.infinite = 0
        self._shape: tuple[int, ...] | None = None  # of what belongs to blocks
        self._low = self._high = np.zeros(0)
        self._keys = self._counts = np.zeros(0, np.int64)  # row times BINS plus bin, ascending; numbers there

    # -- numbers ------------------------------------------------------------------------------------------------------

    def update(self, x: ArrayLike, *, source: Any = None) -> Calibration:
        """Take a batch.

        Parameters
        ----------
        x : array_like
            Numbers, as `cast` takes them; the axes that have scales of their own are as long in each batch.
        source : str, Format or dtype, optional
            x holds codes of this format.

        Returns
        -------
        Calibration
            Itself.

        Raises
        ------
        TypeError
            If x holds no real numbers.
        ValueError
            If its shape does not fit the scheme, or the batches before.

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.Calibration("fp8_e4m3_tensor").update([1.0, 2.0]).update([-896.0]).scales
        array(2., dtype=float32)
        """
        self.__dict__.pop("_result", None)
        given = as_source(x, source)
        numbers = np.asarray(cast(given.codes, "float64", source=given.format))
        apart: list[int] = []  # axes whose places have scales of their own
        if self.scheme.block != "tensor":
            block_shape(self.scheme.block, self.scheme.axis, numbers.shape)  # refuses an axis that is not there
            own = self.scheme.axis % numbers.ndim
            apart = [own] if self.scheme.block == "channel" else [axis for axis in range(numbers.ndim) if axis != own]
        shape = tuple(length if axis in apart else 1 for axis, length in enumerate(numbers.shape))
        self._meet(() if self.scheme.block == "tensor" else shape)
        rows = np.moveaxis(numbers, apart, range(len(apart))).reshape(math.prod(shape) if apart else 1, -1)
        finite = np.isfinite(rows)
        infinite = np.isinf(rows)
        self.count += int(finite.sum())
        self.infinite += int(infinite.sum())
        self.nan += int(rows.size - finite.sum() - infinite.sum())
        if rows.size:
            self._low = np.minimum(self._low, rows.min(axis=1, initial=0.0, where=finite))
            self._high = np.maximum(self._high, rows.max(axis=1, initial=0.0, where=finite))
            if self.method != "minmax":
                for start in range(0, len(rows), FEW):
                    part = slice(start, start + FEW)
                    self._add(*_counted(rows[part], finite[part], start))
        return self

    def merge(self, other: Calibration) -> Calibration:
        """Take what another calibration of the same kind has seen.

        Parameters
        ----------
        other : Calibration

        Returns
        -------
        Calibration
            Itself.

        Raises
        ------
        TypeError
            If it is none.
        ValueError
            If it is for another scheme or method, or its batches have another shape.

        Examples
        --------
        >>> import fpemu as fe
        >>> one, other = fe.calibrate([448.0], "fp8_e4m3_tensor"), fe.calibrate([896.0], "fp8_e4m3_tensor")
        >>> one.merge(other).scales
        array(2., dtype=float32)
        """
        if not isinstance(other, Calibration):
            raise TypeError(f"merge takes a Calibration, not {type(other).__name__}")
        if (other.scheme, other.method, other.percentile) != (self.scheme, self.method, self.percentile):
            raise ValueError(f"{other!r} does not fit {self!r}: scheme, method and percentile must be the same")
        self.__dict__.pop("_result", None)
        if other._shape is not None:
            self._meet(other._shape)
            self._low, self._high = np.minimum(self._low, other._low), np.maximum(self._high, other._high)
            self._add(other._keys, other._counts)
        self.count += other.count
        self.nan += other.nan
        self.infinite += other.infinite
        return self

    def _meet(self, shape: tuple[int, ...]) -> None:
        """Remember the shape of scales, or refuse another one."""
        if self._shape is None:
            self._shape = shape
            self._low = self._high = np.zeros(math.prod(shape))
        elif self._shape != shape:
            raise ValueError(f"scales of shape {shape} do not fit those of the batches before, {self._shape}")

    def _add(self, keys: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
        every, places = np.unique(np.concatenate([self._keys, keys]), return_inverse=True)
        total = np.zeros(every.size, np.int64)
        np.add.at(total, places.reshape(-1), np.concatenate([self._counts, counts]))
        self._keys, self._counts = every, total

    # -- scales -------------------------------------------------------------------------------------------------------

    @property
    def ranges(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The smallest and the largest number that elements are to span, by `method`; zero is among them."""
        if self._shape is None or not self.count:
            raise ValueError("there are no numbers yet: update(batch)")
        low, high = self._low.copy(), self._high.copy()
        if self.method != "minmax":
            search = self._quantile if self.method == "percentile" else self._least_error
            ends = np.searchsorted(self._keys, np.arange(len(low) + 1) * BINS)
            for row, (start, stop) in enumerate(itertools.pairwise(ends)):
                if low[row] < high[row]:
                    bins = self._keys[start:stop] - row * BINS
                    low[row], high[row] = search(bins, self._counts[start:stop], low[row], high[row])
        return low.reshape(self._shape), high.reshape(self._shape)

    @property
    def scales(self) -> NDArray[Any]:
        """The scales, as `decode` gives them, in a shape that fits blocks; without the second level's."""
        return self._result[0]

    @property
    def zero_points(self) -> NDArray[np.int64] | None:
        """The zero points, where the scheme has some of its blocks' own."""
        return self._result[1]

    @property
    def second_scale(self) -> float | None:
        """The second level's scale, where the scheme has one."""
        return self._result[2]

    @functools.cached_property
    def _result(self) -> tuple[NDArray[Any], NDArray[np.int64] | None, float | None]:
        low, high = self.ranges
        scales, zeros, second = _of_ranges(self.scheme, low.reshape(-1), high.reshape(-1))
        return scales.reshape(low.shape), None if zeros is None else zeros.reshape(low.shape), second

    def quantize(self, x: ArrayLike, **how: Any) -> Quantized:
        """Quantize with these scales and zero points.

        Parameters
        ----------
        x : array_like
        **how
            As for `quantize`, but for what is known.

        Returns
        -------
        Quantized

        Raises
        ------
        ValueError
            If there were no numbers, or x does not fit them.

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.calibrate([896.0], "fp8_e4m3_tensor").quantize([3.0, 1000.0]).dequantize()
        array([  3., 896.], dtype=float32)
        """
        scales, zeros, second = self._result
        return quantize(x, self.scheme, scales=scales, zero_points=zeros, second_scale=second, **how)

    # -- methods ------------------------------------------------------------------------------------------------------

    def _quantile(
        self, bins: NDArray[np.int64], counts: NDArray[np.int64], low: float, high: float
    ) -> tuple[float, float]:
        from fractions import Fraction  # `import fpemu` goes without it

        share = Fraction(str(self.percentile)) / 100
        if self.scheme.scale_rule.statistic == "minmax":
            keep = (1 + share) / 2
            return max(low, -_reached(_places(bins ^ SIGN), counts, keep)), min(
                high, _reached(_places(bins), counts, keep)
            )
        limit = _reached(bins & ~SIGN, counts, share)
        return max(low, -limit), min(high, limit)

    def _least_error(
        self, bins: NDArray[np.int64], counts: NDArray[np.int64], low: float, high: float
    ) -> tuple[float, float]:
        numbers = np.clip(_middles(bins), low, high)
        top = int(np.float32(max(-low, high)).view(np.uint32)) >> 16  # the bin of the largest magnitude
        lowest = max(top - REACH * 128, 0)

        def best(limits: NDArray[np.float64], below: bool = True, above: bool = True) -> int:
            lows = np.maximum(low, -limits) if below else np.full(limits.shape, low)
            highs = np.minimum(high, limits) if above else np.full(limits.shape, high)
            return int(np.argmin(_errors(self.scheme, numbers, counts, lows, highs)))

        ways = [(True, True)]
        if self.scheme.scale_rule.statistic == "minmax" and low < 0 < high:
            ways += [(True, False), (False, True)]
        for below, above in ways:
            steps = np.arange(top, lowest - 1, -COARSE)
            found = int(steps[best(_upper(steps), below, above)])
            fine = np.arange(min(found + COARSE, top), max(found - COARSE, lowest) - 1, -1)
            limit = float(_upper(fine)[best(_upper(fine), below, above)])
            low, high = (max(low, -limit) if below else low), (min(high, limit) if above else high)
        return low, high

    def __repr__(self) -> str:
        return f"<Calibration {self.scheme} {self.method}: {self.count} numbers>"


def narrow(x: NDArray[np.float64]) -> NDArray[Any]:
    """The same numbers as float32 where that holds them, which is faster to quantize."""
    with np.errstate(over="ignore"):
        single = x.astype(np.float32)
    return single if np.array_equal(single, x) else x


def _of_ranges(
    scheme: ScaledFormat, low: NDArray[np.float64], high: NDArray[np.float64]
) -> tuple[NDArray[Any], NDArray[np.int64] | None, float | None]:
    """Scales, zero points and the second level's scale of blocks that reach from low to high."""
    q = quantize(narrow(np.stack([low, high], axis=-1)), scheme.replace(block="row", axis=-1))
    scales = np.asarray(q.scale_values)[:, 0]
    if not (scales > 0).all():
        least = finfo(scheme.scale).smallest_subnormal
        scales = np.where((low == 0) & (high == 0), 1.0, np.maximum(scales, least)).astype(scales.dtype)
    second = q.second_scale if isinstance(q.second_scale, float) else None
    own = isinstance(scheme.zero_point, IntFormat)
    return scales, np.asarray(q.zero_points)[:, 0] if own else None, second


def _counted(
    x: NDArray[np.float64], chosen: NDArray[np.bool_], first: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The bins of some rows' numbers, from row `first` on, and how many numbers lie there."""
    words = np.asarray(cast(x, "float32", rounding="toward_zero", dtype=np.float32)).view(np.uint32)
    keys = (words >> 16).astype(np.int64) + BINS * np.arange(len(x))[:, None]
    counts = np.bincount(keys[chosen], minlength=1)
    found = np.flatnonzero(counts)
    return found + first * BINS, counts[found]


def _upper(magnitudes: NDArray[np.int64]) -> NDArray[np.float64]:
    """The upper ends of bins of positive numbers."""
    return ((magnitudes + 1) << 16).astype(np.uint32).view(np.float32).astype(np.float64)


def _middles(bins: NDArray[np.int64]) -> NDArray[np.float64]:
    """The numbers in the middle of bins; 0 of zero's."""
    words = ((bins << 16) + np.where(bins & ~SIGN, 1 << 15, 0)).astype(np.uint32)
    return words.view(np.float32).astype(np.float64)


def _places(bins: NDArray[np.int64]) -> NDArray[np.int64]:
    """Bins in the order of their numbers: those of negative ones below 0."""
    return np.where(bins & SIGN, -1 - (bins & ~SIGN), bins)


def _reached(places: NDArray[np.int64], counts: NDArray[np.int64], share: Fraction) -> float:
    """The upper end of the bin where a share of all numbers is reached; 0 where that is among the negative ones."""
    order = np.argsort(places, kind="stable")
    sums = np.cumsum(counts[order])
    needed = math.ceil(share * int(sums[-1]))
    place = places[order][np.searchsorted(sums, needed)]
    return float(_upper(place[None])[0]) if place >= 0 else 0.0


def _errors(
    scheme: ScaledFormat,
    numbers: NDArray[np.float64],
    counts: NDArray[np.int64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The sum of squared errors of numbers, so often each, for each range from low to high."""
    scales, zeros, _ = _of_ranges(scheme, low, high)
    x = np.broadcast_to(numbers.astype(np.float32), (len(low), numbers.size))
    zeros = None if zeros is None else zeros[:, None]
    q = quantize(x, scheme.replace(block="row", axis=-1), scales=scales[:, None], zero_points=zeros)
    return np.asarray((np.square(q.dequantize(np.float64) - numbers) * counts).sum(axis=1))

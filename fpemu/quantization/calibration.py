"""calibrate: scales for future numbers, computed from batches of sample numbers."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fpemu.arithmetic import switch
from fpemu.casting import as_numbers
from fpemu.formats import IntFormat
from fpemu.formats.facts.info import finfo
from fpemu.formats.keywords import hinted
from fpemu.formats.lookup import check_word
from fpemu.formats.rules import Stochastic
from fpemu.quantization.blocks import Layout, block_shape, layout_of
from fpemu.quantization.definition.registry import scheme as find_scheme
from fpemu.quantization.floats import is_float_zero
from fpemu.quantization.histogram import LAST_BIN, SIGN, Ends, Histogram, Integers, bin_ranks, histograms, upper_ends
from fpemu.quantization.quantizer import as_floats, quantize

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from fpemu.quantization.definition.scaled_format import ScaledFormat
    from fpemu.quantization.quantized import Quantized

__all__ = ["Calibration", "calibrate", "narrow"]

METHODS = ("minmax", "percentile", "mse")
PERCENTILE = 99.9
TRIED = 1 << 22  # quotients computed at a time
COARSE = 16  # bins in a step of the first search
BINADES = 16  # that the first search covers


def calibrate(
    x: ArrayLike | Iterable[ArrayLike],
    scheme: str | ScaledFormat,
    method: str = "minmax",
    *,
    percentile: float | None = None,
    source: Any = None,
    pad: bool = False,
) -> Calibration:
    """Compute scales and zero points from sample numbers, for numbers like them.

    Parameters
    ----------
    x : array_like, or iterable of arrays
        One batch; or several: an iterator or an object that returns one, such as torch's DataLoader, or a list or tuple
        of arrays.
    scheme : str or ScaledFormat
        One scale is computed for each of its blocks: "tensor", "channel" or "row"; or blocks of a length, or tiles, for
        which all batches must have the same shape, such as a weight's.  For blocks of a length and tiles with two
        levels of scales (nvfp4), only the tensor's second scale is computed; `Calibration.quantize` computes the
        blocks' scales from each array, of any shape.
    method : {"minmax", "percentile", "mse"}
        The range that the elements cover: that of all numbers; that of a percentage of them; or the range with the
        smallest mean squared error.
    percentile : float
        For "percentile" only: above 0, at most 100; default 99.9.
    source : str, Format or dtype, optional
        If given, x contains codes of this format.
    pad : bool
        Whether the last block of an axis may be shorter.

    Returns
    -------
    Calibration
        Has `.scales`, `.zero_points` and `.quantize(x)`; `.update(x)` adds batches.  NaN and infinities are left out,
        and counted in `.nan` and `.infinite`.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If a name is unknown, the method does not fit the scheme or has no percentile, blocks do not divide an axis,
        or batches do not fit together.

    Examples
    --------
    >>> import fpemu as fe
    >>> found = fe.calibrate([[0.5, -2.0], [1.0, 0.25]], "absmax_int8")
    >>> found.scales
    array(0.01574803, dtype=float32)
    >>> found.quantize([2.0, 1.0, -300.0]).elements
    array([ 127,   64, -128], dtype=int8)
    >>> weights = [[0.5, -6.0, 1.0, 9.0], [1.0, 2.0, 0.0, 0.25]]
    >>> fe.calibrate(weights, fe.scheme("mxfp4").replace(block=4), "mse").scales
    array([[2. ],
           [0.5]], dtype=float32)
    >>> fe.calibrate([[2688.0], [1.0]], "nvfp4").second_scale
    1.0
    """
    calibration = Calibration(scheme, method, percentile=percentile)
    for batch in _iter_batches(x):
        calibration.update(batch, source=source, pad=pad)
    return calibration


def _iter_batches(x: Any) -> Iterator[Any]:
    """Yield the array itself, or the arrays of an iterator, a list or a tuple."""
    if isinstance(x, list | tuple):
        several = len(x) > 0 and all(getattr(array, "ndim", 0) for array in x)
    else:
        itself = isinstance(x, Sequence | Mapping | Set) or hasattr(x, "shape") or hasattr(x, "__array__")
        several = isinstance(x, Iterable) and not itself
    yield from x if several else (x,)


class Calibration:
    """Statistics of the batches so far, and the scales computed from them.

    No bit of the result depends on the order of the batches, or on whether they are added to one calibration or to
    several that are merged.

    Parameters
    ----------
    scheme : str or ScaledFormat
        See `calibrate`.
    method : {"minmax", "percentile", "mse"}
        See `calibrate`.
    percentile : float
        For "percentile"; default 99.9.

    Attributes
    ----------
    scheme : ScaledFormat
    method : str
    percentile : float
    count : int
        Finite numbers so far.
    nan, infinite : int
        NaN and infinities so far, which do not affect the scales.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If a name is unknown, or the method does not fit the scheme.

    Notes
    -----
    "minmax" records the smallest and the largest number of each block, zero included; the scales are bit for bit those
    that `quantize` computes for all numbers in one array.  The other methods round numbers to float32, toward zero, and
    count them in bins; numbers in a bin have the same sign, exponent and first seven bits of the trailing significand.
    There are 128 bins in a binade, and the ends of a bin differ by less than 0.8 percent.  Each bin of a block that
    contains numbers takes 24 bytes; an array has at most as many such bins as numbers.

    "percentile" finds the bin in which that percentage of the magnitudes is reached (as numpy's "inverted_cdf"), and
    returns its upper end, or the largest number if that is smaller.  If the rule's statistic is "minmax", numbers take
    the place of magnitudes, and half of the remaining percentage is cut off at each end.

    "mse" represents each bin by the mean of its numbers, and minimises the sum of their squared errors; this is exact
    for float32 numbers if no two numbers of a block share a bin.  It tries limits for magnitudes in steps of an eighth
    of a binade over 16 binades, then the ends of the bins around the best limit; if the rule's statistic is "minmax",
    it then does the same for each end alone.  It also tries larger ranges: twice the range if scales are powers of two;
    up to twice the range, in steps of a sixteenth, for other scales unless elements are integers.  The whole range is
    tried first, so by this measure the result is never worse than that of "minmax".

    If all numbers are 0, the scale is 1; a scale that would round to 0 becomes the smallest positive one.

    No method uses NaN and infinities: the scales are those of the finite numbers, whereas `quantize` without a
    calibration makes the scale of their block NaN.  `nan` and `infinite` count them.  A block without finite numbers is
    treated like zeros; if no batch has a finite number, reading the scales raises ValueError.  `Calibration.quantize`
    rounds infinities to the ends of the range, and NaN as the rules of the elements specify.

    If the FPU treats subnormal numbers as zero, so do the statistics of batches.

    Examples
    --------
    >>> import fpemu as fe
    >>> half, rest = fe.Calibration("zeropoint_uint8"), fe.Calibration("zeropoint_uint8")
    >>> half.update([0.0, 3.0]).merge(rest.update([-1.0, 4.1]))
    <Calibration zeropoint_uint8 minmax: 4 numbers>
    >>> half.scales, half.zero_points
    (array(0.02, dtype=float32), array(50))
    """

    def __init__(self, scheme: str | ScaledFormat, method: str = "minmax", *, percentile: float | None = None) -> None:
        self.scheme = find_scheme(scheme)
        check_word(method, METHODS, "method")
        if percentile is None:
            percentile = PERCENTILE
        elif method != "percentile":
            raise ValueError(f"percentile= is for the method 'percentile', not for {method!r}: leave it out")
        if isinstance(percentile, bool) or not isinstance(percentile, int | float | np.integer | np.floating):
            raise TypeError(f"percentile must be a number, not {type(percentile).__name__}")
        if not 0 < percentile <= 100:
            raise ValueError(f"percentile must be above 0 and at most 100, not {percentile}")
        if self.scheme.scale_rule.signed:
            raise ValueError(
                f"{self.scheme} has signed scales, which depend on the order of the numbers: use quantize without a "
                "calibration, or calibrate with scale_rule='absmax'"
            )
        two = self.scheme.second_level is not None and self.scheme.nested is None
        if method == "mse" and two:
            raise ValueError(
                f"{self.scheme} has scales of two levels, which 'mse' cannot find: use 'minmax' or 'percentile'"
            )
        self._second_alone = two and not isinstance(self.scheme.block, str)
        if self._second_alone:
            _check_second(self.scheme)
        self.method, self.percentile = method, float(percentile)
        self.count = self.nan = self.infinite = 0
        self._shape: tuple[int, ...] | None = None  # of per-block values
        self._low = self._high = np.zeros(0)
        self._histogram = Histogram.empty()

    # -- numbers ------------------------------------------------------------------------------------------------------

    def update(self, x: ArrayLike, *, source: Any = None, pad: bool = False) -> Calibration:
        """Add a batch.

        Parameters
        ----------
        x : array_like
            Numbers, as for `cast`; axes along which scales differ must have the same length in each batch.
        source : str, Format or dtype, optional
            If given, x contains codes of this format.
        pad : bool
            Whether the last block of an axis may be shorter.

        Returns
        -------
        Calibration
            Itself.

        Raises
        ------
        TypeError
            If x does not contain real numbers.
        ValueError
            If its shape does not fit the scheme or the earlier batches.

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.Calibration("fp8_e4m3_tensor").update([1.0, 2.0]).update([-896.0]).scales
        array(2., dtype=float32)
        """
        self.__dict__.pop("_result", None)
        pad = switch("calibrate", "pad", pad)
        numbers = np.asarray(as_floats(as_numbers(x, source), self.scheme), np.float64)
        layout, shape = self._layout(numbers.shape, pad)
        self._check_shape(shape)
        finite, infinite = np.isfinite(numbers), np.isinf(numbers)
        count = int(finite.sum())
        self.count += count
        self.infinite += int(infinite.sum())
        self.nan += int(numbers.size - count - infinite.sum())
        if numbers.size:
            rows, selected = layout.to_blocks(numbers), layout.to_blocks(finite)
            self._low = np.minimum(self._low, rows.min(axis=1, initial=0.0, where=selected))
            self._high = np.maximum(self._high, rows.max(axis=1, initial=0.0, where=selected))
            if self.method != "minmax":
                self._histogram = Histogram.merge([self._histogram, *histograms(rows, selected)])
        return self

    def _layout(self, shape: tuple[int, ...], pad: bool) -> tuple[Layout, tuple[int, ...]]:
        """Return the layout of the blocks whose statistics are recorded, and the shape of scales."""
        block, axis = self.scheme.block, self.scheme.axis
        whole = block == "tensor" or self._second_alone
        layout = layout_of("tensor" if whole else block, axis, shape, pad)
        if whole:
            return layout, ()
        if isinstance(block, str):
            axis %= len(shape)
            return layout, tuple(n if (i == axis) == (block == "channel") else 1 for i, n in enumerate(shape))
        return layout, layout.blocks

    def merge(self, other: Calibration) -> Calibration:
        """Add the batches of another calibration of the same kind.

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
            If `other` is not a Calibration.
        ValueError
            If `other` has another scheme or method, or batches of another shape.

        Examples
        --------
        >>> import fpemu as fe
        >>> one, other = fe.calibrate([448.0], "fp8_e4m3_tensor"), fe.calibrate([896.0], "fp8_e4m3_tensor")
        >>> one.merge(other).scales
        array(2., dtype=float32)
        """
        if not isinstance(other, Calibration):
            raise TypeError(f"other must be a Calibration, not {type(other).__name__}")
        if (other.scheme, other.method, other.percentile) != (self.scheme, self.method, self.percentile):
            raise ValueError(f"{other!r} cannot be merged into {self!r}: scheme, method and percentile must match")
        self.__dict__.pop("_result", None)
        if other._shape is not None:
            self._check_shape(other._shape)
            self._low, self._high = np.minimum(self._low, other._low), np.maximum(self._high, other._high)
            self._histogram = Histogram.merge([self._histogram, other._histogram])
        self.count += other.count
        self.nan += other.nan
        self.infinite += other.infinite
        return self

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        """Record the first shape of scales, and raise ValueError for any other shape."""
        if self._shape is None:
            self._shape = shape
            self._low = self._high = np.zeros(math.prod(shape))
        elif self._shape != shape:
            why = ""
            if not isinstance(self.scheme.block, str):
                why = (
                    f"; for blocks of {self.scheme.block} all batches must have the same shape: for arrays of "
                    "different shapes use quantize, which computes scales for each array"
                )
            raise ValueError(f"scales of shape {shape} do not fit those of earlier batches, {self._shape}{why}")

    # -- scales -------------------------------------------------------------------------------------------------------

    @property
    def ranges(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The lower and the upper end of the range that each block's elements cover; it contains zero."""
        if self._shape is None or not self.count:
            raise ValueError("there are no numbers yet: use update(batch)")
        low, high = self._low, self._high
        if self.method == "percentile":
            low, high = self._quantiles(low, high)
        elif self.method == "mse":
            low, high = self._least_errors(low, high)
        return low.reshape(self._shape), high.reshape(self._shape)

    @property
    def scales(self) -> NDArray[Any] | None:
        """The first level's scales, as `decode` returns them, in a shape that fits the blocks.

        None if only the second level's scale is computed.
        """
        return self._result[0]

    @property
    def zero_points(self) -> NDArray[np.int64] | None:
        """The zero points; None unless the scheme has one for each block."""
        return self._result[1]

    @property
    def second_scale(self) -> float | None:
        """The second level's scale; None if the scheme has none."""
        return self._result[2]

    @functools.cached_property
    def _result(self) -> tuple[NDArray[Any] | None, NDArray[np.int64] | None, float | None]:
        low, high = self.ranges
        scales, zeros, second = _of_ranges(self.scheme, low.reshape(-1), high.reshape(-1))
        if self._second_alone:
            return None, None, second
        return scales.reshape(low.shape), None if zeros is None else zeros.reshape(low.shape), second

    def quantize(self, x: ArrayLike, **options: Any) -> Quantized:
        """Quantize with these scales and zero points.

        Parameters
        ----------
        x : array_like
        **options
            As for `quantize`, except scales, zero points, `axis`, `block` and `scale_rule`, which the calibration
            determines.

        Returns
        -------
        Quantized

        Raises
        ------
        ValueError
            If there were no numbers, or x does not fit the scales.

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.calibrate([896.0], "fp8_e4m3_tensor").quantize([3.0, 1000.0]).dequantize()
        array([  3., 896.], dtype=float32)
        """
        for name in ("scales", "zero_points", "second_scale", "axis", "block", "scale_rule"):
            if name in options:
                raise TypeError(f"the calibration determines {name}: use fpemu.quantize to specify another one")
        scales, zeros, second = self._result
        if scales is not None and not isinstance(self.scheme.block, str):
            shape = as_numbers(x, options.get("source")).codes.shape
            blocks = Layout(shape, block_shape(self.scheme.block, self.scheme.axis, shape)).blocks
            if blocks != scales.shape:
                raise ValueError(f"scales of shape {scales.shape} do not fit blocks of shape {blocks}")
        return hinted(quantize)(x, self.scheme, scales=scales, zero_points=zeros, second_scale=second, **options)

    # -- methods ------------------------------------------------------------------------------------------------------

    def _quantiles(self, low: Ends, high: Ends) -> tuple[Ends, Ends]:
        from fractions import Fraction  # imported late: `import fpemu` stays light

        share, histogram = Fraction(str(self.percentile)) / 100, self._histogram
        if self.scheme.scale_rule.statistic == "minmax":
            keep = (1 + share) / 2
            below, above = (
                histogram.quantile(bin_ranks(bins), keep, low.size) for bins in (histogram.bins ^ SIGN, histogram.bins)
            )
        else:
            below = above = histogram.quantile(histogram.bins & ~SIGN, share, low.size)
        return np.maximum(low, -below), np.minimum(high, above)

    def _least_errors(self, low: Ends, high: Ends) -> tuple[Ends, Ends]:
        low, high, histogram = low.copy(), high.copy(), self._histogram
        starts, means = histogram.starts(low.size), histogram.means
        widths = np.diff(starts)
        steps = BINADES * 128 // COARSE + 1
        first = 0
        while first < low.size:  # as many rows as TRIED allows
            widest = np.maximum.accumulate(widths[first : first + TRIED // steps])
            count = max(int(np.count_nonzero(widest * np.arange(1, widest.size + 1) * steps <= TRIED)), 1)
            rows = slice(first, first + count)
            index = starts[rows, None] + np.arange(widest[count - 1])
            in_row = index < starts[first + 1 : first + count + 1, None]
            index = np.where(in_row, index, 0)
            numbers = np.where(in_row, means[index], np.float32(0))
            counts = np.where(in_row, histogram.counts[index], 0)
            low[rows], high[rows] = _least_error_ranges(self.scheme, numbers, counts, low[rows], high[rows])
            first += count
        return low, high

    def __repr__(self) -> str:
        others = [f"{self.nan} NaN"] * (self.nan > 0) + [f"{self.infinite} infinite"] * (self.infinite > 0)
        left_out = f", {' and '.join(others)} left out" if others else ""
        return f"<Calibration {self.scheme} {self.method}: {self.count} numbers{left_out}>"


def narrow(x: NDArray[np.float64]) -> NDArray[Any]:
    """Return numbers as float32, which is faster to quantize, if none of them changes."""
    with np.errstate(over="ignore"):
        single = x.astype(np.float32)
    return single if np.array_equal(single, x) else x


def _check_second(scheme: ScaledFormat) -> None:
    """Raise ValueError if the second level's scale cannot be computed from the tensor's range alone."""
    steps = scheme.own_profile.steps
    if steps is not None and steps.choose != "no":
        raise ValueError(
            f"the profile {scheme.profile} computes the second level's scale itself: use quantize without a calibration"
        )
    if scheme.scale_rule.statistic == "minmax":
        raise ValueError(
            f"the second level's scale of {scheme} depends on each block's range, not on the tensor's: use quantize "
            "without a calibration"
        )


def _in_rows(scheme: ScaledFormat) -> ScaledFormat:
    """Return the scheme with one block for each row, and with rounding to nearest instead of stochastic rounding."""
    profile = scheme.own_profile.replace(name=scheme.profile.name)
    if isinstance(profile.elements.rounding, Stochastic):
        profile = profile.replace(name=profile.name, rounding="nearest_even")
    second = None if scheme.nested is not None else scheme.second_level
    return scheme.replace(block="row", axis=-1, second_level=second, profile=profile)


def _of_ranges(
    scheme: ScaledFormat, low: NDArray[np.float64], high: NDArray[np.float64]
) -> tuple[NDArray[Any], NDArray[np.int64] | None, float | None]:
    """Return scales, zero points and the second level's scale of blocks whose numbers are `low` to `high`."""
    q = quantize(narrow(np.stack([low, high], axis=-1)), _in_rows(scheme))
    scales = np.asarray(q.scale_values)[:, 0]
    all_zeros, underflowed = is_float_zero(low) & is_float_zero(high), is_float_zero(scales)
    if all_zeros.any() or underflowed.any():
        least, one = scales.dtype.type(finfo(scheme.scale).smallest_subnormal), scales.dtype.type(1)
        scales = np.where(all_zeros, one, np.where(underflowed, least, scales))
    second = q.second_scale if isinstance(q.second_scale, float) else None
    zeros = np.asarray(q.zero_points)[:, 0] if isinstance(scheme.zero_point, IntFormat) else None
    return scales, zeros, second


def _least_error_ranges(
    scheme: ScaledFormat, numbers: NDArray[np.float32], counts: Integers, low: Ends, high: Ends
) -> tuple[Ends, Ends]:
    """Return each block's range with the least sum of squared errors; a block is a row of numbers and their counts."""
    whole = low, high
    with np.errstate(over="ignore"):
        largest = np.maximum(-low, high).astype(np.float32)
    top = np.minimum(largest.view(np.uint32).astype(np.int64) >> 16, LAST_BIN)  # the bin of the largest magnitude
    lowest = np.maximum(top - BINADES * 128, 0)

    def best(bins: Integers, below: bool, above: bool) -> Integers:
        limits = upper_ends(bins)
        lows = np.maximum(low, -limits) if below else np.broadcast_to(low, limits.shape)
        highs = np.minimum(high, limits) if above else np.broadcast_to(high, limits.shape)
        least = np.argmin(_errors(scheme, numbers, counts, lows, highs), axis=0)
        return np.asarray(np.take_along_axis(bins, least[None], axis=0)[0])

    sides = [(True, True)]  # whether the low end and the high end are limited
    if scheme.scale_rule.statistic == "minmax":
        sides += [(True, False), (False, True)]
    for below, above in sides:
        coarse = best(np.maximum(top - np.arange(0, BINADES * 128 + 1, COARSE)[:, None], lowest), below, above)
        fine = coarse + np.arange(COARSE, -COARSE - 1, -1)[:, None]
        limit = upper_ends(best(np.clip(fine, lowest, top), below, above))
        low, high = (np.maximum(low, -limit) if below else low), (np.minimum(high, limit) if above else high)
    # Larger ranges too: power-of-two scales that are rounded down leave numbers out of range; floats are denser near 0.
    larger = [2.0] if scheme.scale.precision == 1 else []
    if not larger and not isinstance(scheme.element, IntFormat):
        larger = [1 + step / 16 for step in range(1, 17)]
    if larger:
        half = np.finfo(np.float64).max / 2
        lows, highs = (
            np.stack([end, *(by * np.clip(side, -half, half) for by in larger)])
            for end, side in zip((low, high), whole, strict=True)
        )
        least = np.argmin(_errors(scheme, numbers, counts, lows, highs), axis=0)[None]
        low, high = (np.take_along_axis(ends, least, axis=0)[0] for ends in (lows, highs))
    return low, high


def _errors(
    scheme: ScaledFormat, numbers: NDArray[np.float32], counts: Integers, low: Ends, high: Ends
) -> NDArray[np.float64]:
    """Return each block's sum of squared errors for each of its ranges `low` to `high`: shape (ranges, blocks)."""
    scales, zeros, _ = _of_ranges(scheme, low.reshape(-1), high.reshape(-1))
    x = np.broadcast_to(numbers, (len(low), *numbers.shape))
    zeros = None if zeros is None else zeros[:, None]
    q = quantize(x.reshape(scales.size, -1), _in_rows(scheme), scales=scales[:, None], zero_points=zeros)
    errors = q.dequantize(np.float64).reshape(x.shape) - numbers
    return np.asarray((np.square(errors) * counts).sum(axis=2))

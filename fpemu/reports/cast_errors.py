"""Statistics of the errors of a cast, updated chunk by chunk."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fpemu.formats import Format, Scheme
from fpemu.formats.facts.exactness import finite_range

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ERROR_COLUMNS", "Errors", "Row"]

# The columns of `Row.cells`
ERROR_COLUMNS = ("format", "MSE", "max error", "max rel", "SQNR dB", "overflow", "underflow", "saturated", "NaN")

SUMMED = 1 << 13  # elements summed at a time; the intermediate arrays fit the CPU's cache

STRIDE = 512  # the exponents of sums are multiples of it


@dataclasses.dataclass(frozen=True)
class Row:
    """The errors in one format; shares are relative to the number of finite elements.

    Parameters
    ----------
    format : str
    bits : float
        Stored bits for each element, including its share of the scales.
    scale : float or None
        The divisor of all elements; None without a divisor, or if elements have different ones.
    mse : float
        Mean squared error under saturation, over the finite elements.
    max_error : float
        Largest absolute error.
    max_relative_error : float
        Largest error relative to its element; 1 for an element that became zero.
    sqnr : float
        Signal to quantization noise ratio in dB; infinite without errors, NaN without a signal.
    overflow : float
        Share of the elements whose rounded value is beyond the finite range.
    underflow : float
        Share of the nonzero elements that became zero, relative to all finite elements.
    saturation : float
        Share of the elements beyond the finite range; their errors are the distances to its end.
    nan : int
        Number of NaN results.
    note : str
        The reason why a row has no statistics; its numbers are NaN.
    """

    format: str
    bits: float
    scale: float | None
    mse: float
    max_error: float
    max_relative_error: float
    sqnr: float
    overflow: float
    underflow: float
    saturation: float
    nan: int
    note: str = ""

    @classmethod
    def marked(cls, name: str, note: str) -> Row:
        """Make the row of a format that the numbers do not fit.

        Examples
        --------
        >>> from fpemu.reports.cast_errors import Row
        >>> Row.marked("mxfp4", "one number has no axis").cells()[:3]
        ['mxfp4', '-', '-']
        """
        mse = max_error = relative = sqnr = overflow = underflow = saturation = math.nan
        return cls(
            *(name, math.nan, None, mse, max_error, relative, sqnr, overflow, underflow, saturation), nan=0, note=note
        )

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, without an empty note."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name != "note" or value}

    def cells(self) -> list[str]:
        """The fields except bits and scale, as text under `ERROR_COLUMNS`."""
        numbers = [_number_cell(x, ".4g") for x in (self.mse, self.max_error, self.max_relative_error)]
        shares = [_number_cell(100 * x, ".3g", " %") for x in (self.overflow, self.underflow, self.saturation)]
        return [self.format, *numbers, _number_cell(self.sqnr, ".2f"), *shares, "-" if self.note else str(self.nan)]


def _number_cell(number: float, digits: str, unit: str = "") -> str:
    return "-" if math.isnan(number) else f"{number:{digits}}{unit}"


class _SumOfSquares:
    """A sum of squares of float64 numbers that cannot overflow or underflow: `total` times 4^exponent.

    `exponent` is a multiple of `STRIDE`; numbers of ordinary size are squared without scaling.
    """

    def __init__(self) -> None:
        self.total = 0.0
        self.exponent = 0

    def add(self, x: NDArray[np.float64]) -> None:
        top = float(np.max(np.abs(x), initial=0.0))
        if top == 0:
            return
        exponent = STRIDE * round(math.frexp(top)[1] / STRIDE)
        if exponent > self.exponent or self.total == 0:
            self.total = math.ldexp(self.total, 2 * (self.exponent - exponent))
            self.exponent = exponent
        for _ in range(abs(self.exponent) // STRIDE):
            x = x * 2.0 ** (-STRIDE if self.exponent > 0 else STRIDE)  # exact, except for negligible numbers
        self.total += float(np.square(x).sum())

    def __float__(self) -> float:
        try:
            return math.ldexp(self.total, 2 * self.exponent)
        except OverflowError:
            return math.inf

    def decibels_over(self, noise: _SumOfSquares) -> float:
        """10 log10 of the ratio of this sum to another."""
        if self.total == 0:
            return math.nan
        if noise.total == 0:
            return math.inf
        ratio = math.log10(self.total) - math.log10(noise.total)
        return 10 * (ratio + 2 * (self.exponent - noise.exponent) * math.log10(2))


class Errors:
    """Statistics of the errors of a cast to one format, updated chunk by chunk.

    Parameters
    ----------
    fmt : Format or Scheme
        The target.  A scaled format has no range: its caller counts overflows and saturation.

    Examples
    --------
    >>> import fpemu as fe, numpy as np
    >>> from fpemu.reports.cast_errors import Errors
    >>> x = np.array([0.25, 3.0, 100.0])
    >>> errors = Errors(fe.dtype("float4_e2m1fn"))
    >>> errors.update(x, fe.cast(x, "float4_e2m1fn"))
    >>> errors.row().saturation, errors.row().underflow, errors.row().max_error
    (0.3333333333333333, 0.3333333333333333, 94.0)
    """

    def __init__(self, fmt: Format | Scheme) -> None:
        self.format = fmt
        self.lowest, self.largest = (-math.inf, math.inf) if isinstance(fmt, Scheme) else finite_range(fmt)
        self.finite = self.nan = self.overflows = self.underflows = self.saturated = self.inexact = 0
        self.max_error = self.max_relative_error = 0.0
        self._signal, self._noise = _SumOfSquares(), _SumOfSquares()

    def update(self, x: NDArray[Any], y: NDArray[Any], scale: Any = 1.0, more: NDArray[Any] | None = None) -> None:
        """Add a chunk.

        Parameters
        ----------
        x : numpy.ndarray
            The elements, divided by `scale`.
        y : numpy.ndarray
            The results, in the same units.  A result outside the finite range (an infinity, NaN for an overflow, a
            value of a wider format) is an overflow, with the error of the range's end.
        scale : float or numpy.ndarray
            The factor that converts both to the elements' own units.
        more : numpy.ndarray, optional
            The elements minus `x`, if elements are not float64 values (`fpemu.arithmetic.doubles`); much smaller.
        """
        x, y = np.asarray(x).reshape(-1), np.asarray(y).reshape(-1)
        scale = np.broadcast_to(np.reshape(scale, -1), x.shape)
        for start in range(0, x.size, SUMMED):
            span = slice(start, start + SUMMED)
            rest = None if more is None else more.reshape(-1)[span]
            self._add(x[span].astype(np.float64), y[span].astype(np.float64), scale[span], rest)

    def _add(
        self,
        x: NDArray[np.float64],
        y: NDArray[np.float64],
        scale: NDArray[np.float64],
        more: NDArray[np.float64] | None,
    ) -> None:
        self.nan += int(np.count_nonzero(np.isnan(y)))
        finite = np.isfinite(x)
        if not finite.all():
            x, y, scale = x[finite], y[finite], scale[finite]
            more = None if more is None else more[finite]
        self.finite += x.size
        above, below = x > self.largest, x < self.lowest
        if more is not None:
            above |= (x == self.largest) & (more > 0)
            below |= (x == self.lowest) & (more < 0)
        inside = (y >= self.lowest) & (y <= self.largest)
        # A negative number in an unsigned format that becomes NaN is invalid, not an overflow.
        overflow = (above | below if self.lowest < 0 else above) & ~inside
        self.overflows += int(np.count_nonzero(overflow))
        if overflow.any():
            y = np.where(overflow, np.clip(x, self.lowest, self.largest), y)
        self.saturated += int(np.count_nonzero((above & (y == self.largest)) | (below & (y == self.lowest))))
        self.underflows += int(np.count_nonzero((y == 0) & (x != 0)))
        valid = ~np.isnan(y)
        if not valid.all():
            x, y, scale = x[valid], y[valid], scale[valid]
            more = None if more is None else more[valid]
        error = np.abs(y - x if more is None else (y - x) - more)
        self.inexact += int(np.count_nonzero(error))
        with np.errstate(over="ignore"):  # a subnormal element makes it infinite
            relative = np.divide(error, np.abs(x), out=np.zeros_like(error), where=x != 0)
        self.max_relative_error = max(self.max_relative_error, float(np.max(relative, initial=0.0)))
        error *= scale
        self.max_error = max(self.max_error, float(np.max(error, initial=0.0)))
        self._signal.add(x * scale)
        self._noise.add(error)

    def row(self, scale: float | None = None, bits: float | None = None) -> Row:
        """The statistics so far, as a row of a report; for a scaled format, with `bits` per element."""
        share = 1 / self.finite if self.finite else math.nan
        return Row(
            format=self.format.name,
            bits=self.format.bits if not isinstance(self.format, Scheme) else math.nan if bits is None else bits,
            scale=scale,
            mse=float(self._noise) * share,
            max_error=self.max_error,
            max_relative_error=self.max_relative_error,
            sqnr=self._signal.decibels_over(self._noise),
            overflow=self.overflows * share,
            underflow=self.underflows * share,
            saturation=self.saturated * share,
            nan=self.nan,
        )

"""What a cast costs: errors, overflow and underflow of an array in one format after another."""

from __future__ import annotations

import dataclasses
import math
import operator
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from fpemu.casting import cast
from fpemu.chunks import flat_chunks
from fpemu.formats import Format, TableFormat
from fpemu.info import describe
from fpemu.profiles import Profile
from fpemu.profiles import profile as named_profile
from fpemu.registry import dtype as lookup
from fpemu.sources import as_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import ArrayLike, NDArray

__all__ = ["Errors", "Report", "Row", "finite_range", "report", "report_stream"]


@dataclasses.dataclass(frozen=True)
class Row:
    """The errors of one format; shares are of the finite elements.

    Parameters
    ----------
    format : str
    scale : float or None
        What the elements were divided by, None without one scale for all.
    mse : float
        Mean squared error under saturation, over the finite elements.
    max_error : float
        Largest absolute error.
    max_relative_error : float
        Largest error relative to its element; 1 where an element became zero.
    sqnr : float
        Signal to quantization noise ratio in dB; infinite without errors, NaN without a signal.
    overflow : float
        Share whose rounded value is beyond the finite range.
    underflow : float
        Share that is not zero and became zero.
    saturation : float
        Share beyond the finite range, for which the errors take the range's end.
    nan : int
        Results that are NaN.
    """

    format: str
    scale: float | None
    mse: float
    max_error: float
    max_relative_error: float
    sqnr: float
    overflow: float
    underflow: float
    saturation: float
    nan: int

    def to_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Report:
    """A table of errors, a row for each format; prints as text.

    Parameters
    ----------
    rows : tuple of Row
    count : int
        Elements.
    nan, infinite : int
        Elements that are not finite; errors and shares leave them out.
    """

    rows: tuple[Row, ...]
    count: int
    nan: int
    infinite: int

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain dictionaries, lists and numbers."""
        return {
            "count": self.count,
            "nan": self.nan,
            "infinite": self.infinite,
            "rows": [row.to_dict() for row in self.rows],
        }

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """The table as text: its header, and a list of cells for each format."""
        header = ["format", "MSE", "max error", "max rel", "SQNR dB", "overflow", "underflow", "saturated", "NaN"]
        scaled = any(row.scale is not None for row in self.rows)
        rows = []
        for row in self.rows:
            cells = [row.format, *(_cell(x, ".4g") for x in (row.mse, row.max_error, row.max_relative_error))]
            shares = (row.overflow, row.underflow, row.saturation)
            cells += [_cell(row.sqnr, ".2f"), *(_cell(100 * share, ".3g", " %") for share in shares), f"{row.nan}"]
            if scaled:
                cells.insert(1, "" if row.scale is None else f"{row.scale:.4g}")
            rows.append(cells)
        if scaled:
            header.insert(1, "scale")
        return header, rows

    def __str__(self) -> str:
        header, rows = self.cells()
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        lines = [
            "  ".join([cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))])
            for cells in (header, *rows)
        ]
        return "\n".join(line.rstrip() for line in lines)


def _cell(number: float, digits: str, unit: str = "") -> str:
    return "-" if math.isnan(number) else f"{number:{digits}}{unit}"


class _SumOfSquares:
    """A sum of squares of float64 numbers that neither overflows nor underflows: `total` times 4^exponent."""

    def __init__(self) -> None:
        self.total = 0.0
        self.exponent = 0

    def add(self, x: NDArray[np.float64]) -> None:
        top = float(np.max(np.abs(x), initial=0.0))
        if top == 0:
            return
        exponent = math.frexp(top)[1]
        if exponent > self.exponent or self.total == 0:
            self.total = math.ldexp(self.total, 2 * (self.exponent - exponent))
            self.exponent = exponent
        scaled = np.ldexp(x, -self.exponent)  # at most 1; what falls below float64's range here cannot count
        self.total += float(np.dot(scaled, scaled))

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


def finite_range(fmt: Format) -> tuple[float, float]:
    """The smallest (most negative) and the largest finite value, as floats; infinite where float64 cannot hold them.

    Parameters
    ----------
    fmt : Format

    Returns
    -------
    tuple of float

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.report import finite_range
    >>> finite_range(fe.dtype("int4")), finite_range(fe.dtype("float8_e4m3fn"))
    ((-8.0, 7.0), (-448.0, 448.0))
    """
    limits = describe(fmt)
    lowest, largest = (_float(*(limits.dyadic(field) or (0, 0))) for field in ("min", "max"))
    return lowest, largest


def _float(significand: int, exponent: int) -> float:
    try:
        return math.ldexp(significand, exponent)
    except OverflowError:
        return math.copysign(math.inf, significand)


class Errors:
    """Sums over the errors of a cast to one format, fed piece by piece.

    Parameters
    ----------
    fmt : Format
        The target.

    Examples
    --------
    >>> import fpemu as fe, numpy as np
    >>> from fpemu.report import Errors
    >>> x = np.array([0.25, 3.0, 100.0])
    >>> errors = Errors(fe.dtype("float4_e2m1fn"))
    >>> errors.update(x, fe.cast(x, "float4_e2m1fn"))
    >>> errors.row().saturation, errors.row().underflow, errors.row().max_error
    (0.3333333333333333, 0.3333333333333333, 94.0)
    """

    def __init__(self, fmt: Format) -> None:
        self.format = fmt
        self.lowest, self.largest = finite_range(fmt)
        self.finite = self.nan = self.overflows = self.underflows = self.saturated = self.inexact = 0
        self.max_error = self.max_relative_error = 0.0
        self._signal, self._noise = _SumOfSquares(), _SumOfSquares()

    def update(self, x: NDArray[Any], y: NDArray[Any], scale: Any = 1.0) -> None:
        """Add a piece.

        Parameters
        ----------
        x : numpy.ndarray
            The elements, divided by `scale`.
        y : numpy.ndarray
            What they became, in the same units.  A result outside the finite range (an infinity, NaN for an overflow,
            a value of a wider format) counts as an overflow, and for the errors as the range's end.
        scale : float or numpy.ndarray
            The factor that takes both back to the elements' own units.
        """
        x, y = np.asarray(x, np.float64).reshape(-1), np.asarray(y, np.float64).reshape(-1)
        self.nan += int(np.count_nonzero(np.isnan(y)))
        finite = np.isfinite(x)
        if not finite.all():
            x, y = x[finite], y[finite]
            scale = scale if np.ndim(scale) == 0 else np.reshape(scale, -1)[finite]
        self.finite += x.size
        above, below = x > self.largest, x < self.lowest
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
            x, y = x[valid], y[valid]
            scale = scale if np.ndim(scale) == 0 else np.reshape(scale, -1)[valid]
        error = np.abs(y - x)
        self.inexact += int(np.count_nonzero(error))
        with np.errstate(over="ignore"):  # infinitely large beside a subnormal element
            relative = np.divide(error, np.abs(x), out=np.zeros_like(error), where=x != 0)
        self.max_relative_error = max(self.max_relative_error, float(np.max(relative, initial=0.0)))
        error *= scale
        self.max_error = max(self.max_error, float(np.max(error, initial=0.0)))
        self._signal.add(x * scale)
        self._noise.add(error)

    def row(self, scale: float | None = None) -> Row:
        """The sums so far, as a row of a report."""
        share = 1 / self.finite if self.finite else math.nan
        return Row(
            format=self.format.name,
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


class _Trial:
    """One format of a report: a cast under saturation that still shows which elements overflow."""

    def __init__(self, fmt: Format, rules: Profile | None, scale: float | None, rng: Any) -> None:
        self.errors = Errors(fmt)
        self.rules = fmt.check_profile(rules or fmt.profile).replace(
            overflow="saturate", infinity="saturate", nan="standard", nan_code=None
        )
        self.target = _wider(fmt)
        self.scale, self.rng = scale, rng

    def update(
        self, x: NDArray[Any], source: Format | None, values: NDArray[np.float64], offset: int, scale: Any
    ) -> None:
        """Add a piece: `x` are codes of `source`, `values` the same as float64; `scale` differs by element."""
        if self.scale is not None:
            scale = self.scale
        if scale is not None:
            with np.errstate(over="ignore"):
                scaled = values / scale
            limit = sys.float_info.max
            x = values = np.clip(scaled, -limit, limit, out=scaled, where=np.isfinite(values))
            source = None
        y = cast(x, self.target, source=source, profile=self.rules, rng=self.rng, rng_offset=offset, dtype=np.float64)
        self.errors.update(values, y, 1.0 if scale is None else scale)


def _wider(fmt: Format) -> Format:
    """The format with twice the range and the same values below: what overflows in `fmt` is beyond its range there.

    The format itself where there is no such thing (codebooks, 64 bits, float64's own exponents); what lies beyond
    those saturates.
    """
    if isinstance(fmt, TableFormat):
        return fmt
    try:
        wide = dataclasses.replace(fmt, bits=fmt.bits + 1, name=f"{fmt.name}, unbounded")
    except ValueError:
        return fmt
    return wide if math.isfinite(finite_range(wide)[1]) else fmt


def report(
    x: ArrayLike | Any,
    formats: Any,
    scale: str | ArrayLike | None = None,
    *,
    profile: str | Profile | None = None,
    rounding: Any = None,
    rng: Any = None,
    source: Any = None,
) -> Report:
    """What casting an array costs: its errors in each of some formats, all under saturation.

    Parameters
    ----------
    x : array_like
        As `cast` takes it; shape (...).
    formats : format or sequence of formats
        One row for each.
    scale : "absmax" or array_like, optional
        What x is divided by before the cast, and the result multiplied by after it, in float64; shape broadcast to x's.
        "absmax": for each format the number that takes the largest magnitude of x to the format's largest value.
    profile : str or Profile, optional
        The rules of the casts, but for overflow; default each format's own.
    rounding : str, Rounding or Stochastic, optional
        Overrides the profile's.
    rng : None, int or numpy.random.Generator
        For stochastic rounding, as in `cast`.
    source : format, optional
        The format whose codes x holds.

    Returns
    -------
    Report
        Prints as a table; ``.rows``, ``.to_dict()``.

    Raises
    ------
    ValueError
        If a format or a rule is unknown, or a scale is not positive and finite.
    TypeError
        If x holds no real numbers.

    Examples
    --------
    >>> import fpemu as fe
    >>> print(fe.report([0.001, 0.3, 1.0, 500.0], ["float16", "float8_e4m3fn", "int8"]))
    format               MSE  max error    max rel  SQNR dB  overflow  underflow  saturated  NaN
    float16        5.961e-10  4.883e-05  0.0004044   140.21       0 %        0 %        0 %    0
    float8_e4m3fn        676         52     0.9531    19.66      25 %        0 %       25 %    0
    int8           3.478e+04        373          1     2.55      25 %       50 %       25 %    0
    """
    found = as_source(x, source)
    if scale is not None and np.ndim(scale):  # neither a word nor one number
        scale = np.broadcast_to(np.asarray(scale, np.float64), found.codes.shape)
    return report_stream(
        lambda: flat_chunks(found.codes),
        formats,
        scale,
        profile=profile,
        rounding=rounding,
        rng=rng,
        source=found.format,
    )


def report_stream(
    pieces: Callable[[], Iterable[NDArray[Any]]],
    formats: Any,
    scale: str | ArrayLike | None = None,
    *,
    profile: str | Profile | None = None,
    rounding: Any = None,
    rng: Any = None,
    source: Any = None,
) -> Report:
    """`report` for what does not fit in memory.

    Parameters
    ----------
    pieces : callable
        Gives the elements in order, in one-dimensional arrays; called twice for "absmax".
    formats, scale, profile, rounding, rng, source
        As in `report`; an array of scales has as many elements as the pieces together.

    Returns
    -------
    Report

    Examples
    --------
    >>> import fpemu as fe, numpy as np
    >>> from fpemu.report import report_stream
    >>> report_stream(lambda: (np.full(10, i) for i in range(3)), "int8").count
    30
    """
    if isinstance(formats, str | Format) or not np.iterable(formats):
        formats = [formats]
    targets = [lookup(fmt) for fmt in formats]
    if not targets:
        raise ValueError("a report needs one format or more")
    rules = None if profile is None else named_profile(profile)
    seed = operator.index(rng) if hasattr(rng, "__index__") else int(np.random.default_rng(rng).integers(1 << 63))
    scales: list[float | None] = [None] * len(targets)
    if isinstance(scale, str):
        if scale != "absmax":
            raise ValueError(f"unknown scale {scale!r}: allowed are 'absmax', numbers, and None")
        amax = _largest_magnitude(pieces, source)
        scales = [_absmax(fmt, amax) for fmt in targets]
        scale = None
    if scale is not None:
        scale = np.asarray(scale, np.float64)
        if not (np.isfinite(scale) & (scale > 0)).all():
            raise ValueError("scales must be positive and finite")
        if scale.ndim == 0:
            scales, scale = [float(scale)] * len(targets), None
    trials = []
    for fmt, factor in zip(targets, scales, strict=True):
        chosen = rules or fmt.profile
        trials.append(_Trial(fmt, chosen if rounding is None else chosen.replace(rounding=rounding), factor, seed))
    count = nan = infinite = 0
    for piece in pieces():
        found = as_source(piece, source)
        values = cast(found.codes, "float64", source=found.format)
        nan += int(np.count_nonzero(np.isnan(values)))
        infinite += int(np.count_nonzero(np.isinf(values)))
        factors = None if scale is None else scale.flat[count : count + values.size]
        for trial in trials:
            trial.update(found.codes, found.format, values, count, factors)
        count += values.size
    return Report(tuple(trial.errors.row(trial.scale) for trial in trials), count, nan, infinite)


def _largest_magnitude(pieces: Callable[[], Iterable[NDArray[Any]]], source: Any) -> float:
    amax = 0.0
    for piece in pieces():
        values = np.abs(cast(piece, "float64", source=source))
        amax = max(amax, float(np.max(values, initial=0.0, where=np.isfinite(values))))
    return amax


def _absmax(fmt: Format, amax: float) -> float:
    """The scale that takes `amax` to the largest value, and not beyond it."""
    largest = finite_range(fmt)[1]
    if not 0 < largest < math.inf:
        raise ValueError(f"scale='absmax' does not apply to {fmt.name}: its largest value is no positive float64")
    if amax == 0:
        return 1.0
    scale = min(max(amax / largest, sys.float_info.min), sys.float_info.max)
    while amax / scale > largest:  # the divisions round
        scale = math.nextafter(scale, math.inf)
    return scale

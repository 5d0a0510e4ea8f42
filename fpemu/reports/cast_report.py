"""Reports of casts: errors, overflow and underflow of an array in several formats."""

from __future__ import annotations

import dataclasses
import math
import operator
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import numpy as np

from fpemu.arithmetic import switch
from fpemu.arithmetic.doubles import Doubles, difference, double_quotients, doubles
from fpemu.casting import Source, as_numbers, as_source, cast, encode
from fpemu.casting.buffers import iter_chunks
from fpemu.casting.stochastic import check_randoms, streamed
from fpemu.formats import Format, IntFormat, Profile, Scheme, TableFormat, dtype
from fpemu.formats.facts.exactness import finite_range
from fpemu.formats.facts.text import text_table
from fpemu.formats.lookup import brief
from fpemu.formats.rules import Stochastic
from fpemu.quantization import Stream, as_floats, layout_of, quantize
from fpemu.quantization.definition.scaled_format import ScaledFormat
from fpemu.quantization.definition.targets import (
    check_scaled,
    format_or_scheme,
    targets_under,
    with_axis,
    with_scale_rule,
)
from fpemu.reports.cast_errors import ERROR_COLUMNS, Errors, Row

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from fpemu.quantization import Quantized
    from fpemu.quantization.definition.profiles import ScaleProfile
    from fpemu.quantization.definition.scale_rules import ScaleRule

__all__ = ["Report", "Row", "cast_to_float64", "report", "report_stream"]


@dataclasses.dataclass(frozen=True)
class Report:
    """A table of errors with a row for each format, printed as text.

    Parameters
    ----------
    rows : tuple of Row
    count : int
        The number of elements.
    nan, infinite : int
        The numbers of NaNs and infinities; errors and shares exclude them.
    scaled : bool
        Whether a row is of a scaled format; the table then has a column of bits per element.
    """

    rows: tuple[Row, ...]
    count: int
    nan: int
    infinite: int
    scaled: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The report as plain dictionaries, lists and numbers."""
        return {
            "count": self.count,
            "nan": self.nan,
            "infinite": self.infinite,
            "rows": [row.to_dict() for row in self.rows],
        }

    def cells(self) -> list[list[str]]:
        """Return the table as text: a header and a row for each format.

        Returns
        -------
        list of list of str
        """
        lines = [list(ERROR_COLUMNS), *(row.cells() for row in self.rows)]
        if any(row.scale is not None for row in self.rows):
            scales = ["-" if row.scale is None else f"{row.scale:.4g}" for row in self.rows]
            for cells, scale in zip(lines, ["scale", *scales], strict=True):
                cells.insert(1, scale)
        if self.scaled:
            bit_counts = ["-" if row.note else f"{row.bits:.4g}" for row in self.rows]
            for cells, bits in zip(lines, ["bits", *bit_counts], strict=True):
                cells.insert(1, bits)
        return lines

    def __str__(self) -> str:
        return text_table(self.cells())


class _Trial:
    """One format of a report: a cast under saturation, to a wider format, which shows overflows."""

    def __init__(self, fmt: Format, rules: Profile | None, scale: float | None, rng: Any) -> None:
        self.errors = Errors(fmt)
        self.rules = fmt.check_profile(rules or fmt.profile).replace(
            overflow="saturate", infinity="saturate", nan="standard", nan_code=None
        )
        self.target = _wider(fmt)
        self.scale, self.rng = scale, rng

    def row(self) -> Row:
        """The row of the report."""
        return self.errors.row(self.scale)

    def update(self, x: Source, numbers: Doubles, offset: int, scale: Any) -> None:
        """Add a chunk: `numbers` are the numbers of `x` in float64; `scale` has a scale for each element."""
        if self.scale is not None:
            scale = self.scale
        given: Any = x
        if scale is not None:
            scaled = double_quotients(x, numbers, scale)
            limit = sys.float_info.max
            given = np.clip(scaled, -limit, limit, out=scaled, where=np.isfinite(numbers.values))
            numbers = Doubles(given, None)
        random = streamed(self.rules.rounding, self.rng, offset)
        if numbers.more is None:
            y = cast_to_float64(given, self.target, profile=self.rules, **random)
            self.errors.update(numbers.values, y, 1.0 if scale is None else scale)
            return
        codes = encode(given, self.target, profile=self.rules, **random)
        results = doubles(as_source(codes, self.target), limited=False)
        self.errors.update(numbers.values, results.values, more=difference(numbers, results))


class _ScaledTrial:
    """One scaled format of a report."""

    def __init__(self, scheme: ScaledFormat, rules: Profile | None, rounding: Any, rng: Any, pad: bool) -> None:
        element = scheme.element
        changes: dict[str, Any] = {"overflow": "saturate", "infinity": "saturate"}
        changes |= {} if rules is None else {"elements": rules}
        changes |= {} if rounding is None else {"rounding": rounding}
        self.scheme = scheme.replace(profile=scheme.profile.replace(name=scheme.profile.name, **changes))
        self.rules = element.check_profile(self.scheme.own_profile.elements)
        self.errors = Errors(scheme)
        self.lowest, self.largest = finite_range(element)
        self.wider = _wider(element) if scheme.zero_point is None else _signed_format(element.bits + 2)
        self.wider_rules = self.rules.replace(overflow="saturate")
        self.rng, self.pad = rng, pad
        self.stream: Stream | None = None
        self.position = 0  # of the next element
        self.numbers: Doubles | None = None  # numbers that are in no format's values; all in one chunk

    def begin(self, shape: tuple[int, ...], source: Format) -> Stream:
        """Prepare for the first chunk."""
        self.stream = Stream(self.scheme, shape, source, self.pad)
        return self.stream

    def row(self) -> Row:
        """The row of the report."""
        assert self.stream is not None
        return self.errors.row(bits=self.stream.bits_per_element)

    def finish(self) -> None:
        """Process the remaining elements after the last chunk."""
        assert self.stream is not None
        self.update(np.zeros(0, self.stream.source.code_dtype), last=True)

    def update(self, codes: NDArray[Any], last: bool = False) -> None:
        """Add a chunk of codes."""
        assert self.stream is not None
        for block_codes, q in self.stream.quantized(codes, last, rng=self.rng):
            if self.numbers is None:
                values, more = doubles(as_source(block_codes, self.stream.source))
            else:
                span = slice(self.position, self.position + block_codes.size)
                values, more = (array[span] for array in self.numbers if array is not None)
            self.errors.update(values, q.dequantize(np.float64), more=more)
            quotients = self._quotients(values, q)
            zeros = 0 if q.zero_points is None else q.layout.per_element(q.zero_points).reshape(-1)
            finite = np.isfinite(values) & np.isfinite(quotients)
            self.errors.saturated += self._beyond(quotients + zeros, finite)
            if not isinstance(self.wider, TableFormat):  # codebooks do not overflow
                random = streamed(self.wider_rules.rounding, self.rng, self.position)
                quantized = cast_to_float64(np.nan_to_num(quotients), self.wider, profile=self.wider_rules, **random)
                self.errors.overflows += self._beyond(quantized + zeros, finite)
            self.position += block_codes.size

    def _quotients(self, values: NDArray[np.float64], q: Quantized) -> NDArray[np.float64]:
        """Numbers divided by their blocks' scales; nested scales are the ones before their quantization."""
        steps, second = self.scheme.own_profile.steps, q.second_scale if isinstance(q.second_scale, float) else 1.0
        of_blocks = q.scale_values
        if self.scheme.nested is not None:
            plain = self.scheme.replace(second_level=None)
            of_blocks = quantize(values.reshape(q.shape), plain, pad=True).scale_values
        scales = np.asarray(q.layout.per_element(of_blocks), np.float64).reshape(-1) * second
        with np.errstate(all="ignore"):
            if steps is not None and steps.decode == "quotient":
                return np.asarray(values * scales)
            return np.asarray(values / np.where(scales == 0, np.inf, scales))

    def _beyond(self, quotients: NDArray[np.float64], finite: NDArray[np.bool_]) -> int:
        """The number of finite quotients beyond the elements' range."""
        return int(np.count_nonzero(finite & ((quotients > self.largest) | (quotients < self.lowest))))


def cast_to_float64(x: Any, fmt: Format, **rules: Any) -> NDArray[np.float64]:
    """`cast` to float64; values beyond float64 are rounded or become infinities."""
    try:
        return np.asarray(cast(x, fmt, dtype=np.float64, **rules))
    except ValueError:
        return np.asarray(cast(encode(x, fmt, **rules), "float64", source=fmt))


def _wider(fmt: Format) -> Format:
    """The format with one more bit and twice the range, which has a value for an overflow of `fmt`.

    The format itself if it cannot be wider (codebooks, 64 bits, the exponents of float64): overflows then saturate.
    """
    if isinstance(fmt, TableFormat):
        return fmt
    try:
        wide = dataclasses.replace(fmt, bits=fmt.bits + 1, name=f"{fmt.name[:900]}, unbounded")
    except ValueError:
        return fmt
    return wide if math.isfinite(finite_range(wide)[1]) else fmt


def _signed_format(bits: int) -> IntFormat:
    """A signed integer format that is not registered, for differences of narrower integers."""
    return IntFormat(f"int{bits}", bits)


def report(
    x: ArrayLike | Any,
    formats: Any,
    scale: str | ArrayLike | None = None,
    *,
    profile: str | Profile | ScaleProfile | None = None,
    scale_rule: str | ScaleRule | None = None,
    rounding: Any = None,
    rng: Any = None,
    source: Any = None,
    axis: int | None = None,
    pad: bool = False,
) -> Report:
    """Report the cost of casting an array: its errors in each of several formats, under saturation.

    Parameters
    ----------
    x : array_like
        As in `cast`; shape (...).
    formats : format, scaled format or sequence of them
        The formats of the rows.
    scale : "absmax" or array_like, optional
        The divisor of x before the cast and the factor of the result after it, in float64; broadcast to x's shape.
        "absmax": for each format, the number that maps the largest magnitude of x to the format's largest value.
        Not for scaled formats, which compute their scales.
    profile : str, Profile or ScaleProfile, optional
        The rules of the casts, except for overflow; default: each format's own.  A profile of scaled formats
        ("torchao") applies only to these.  A profile of casts also applies to the elements of scaled formats; a name
        of both kinds ("torch", "onnx") selects the one for each kind of format.
    scale_rule : str or ScaleRule, optional
        The scale rule of scaled formats; default: their own.
    rounding : str, Rounding or Stochastic, optional
        Replaces the profile's.
    rng : None, int or numpy.random.Generator
        For stochastic rounding, as in `cast`.
    source : format, optional
        The format of the codes in x.
    axis : int, optional
        The axis along which the blocks of scaled formats lie; default: their own.
    pad : bool
        Whether the last block of an axis may be shorter, in scaled formats.

    Returns
    -------
    Report
        Printed as a table; see also its ``rows`` and ``to_dict()``.

    Raises
    ------
    ValueError
        If a format or a rule is unknown, a profile or a rule does not apply to a scaled format, a scale is not positive
        and finite, or x does not fit a scaled format, as in `quantize`.
    TypeError
        If x contains no real numbers.

    Notes
    -----
    In scaled formats "overflow" and "saturated" count numbers divided by their scales: the stored scales or, if these
    are nested, the scales before their quantization.  One scale for a whole array, or for an index of its last axis, is
    computed from the finite numbers; blocks with infinities or NaN are quantized as by `quantize`.

    Examples
    --------
    >>> import fpemu as fe
    >>> print(fe.report([0.001, 0.3, 1.0, 500.0], ["float16", "float8_e4m3fn", "int8"]))
    format               MSE  max error    max rel  SQNR dB  overflow  underflow  saturated  NaN
    -------------  ---------  ---------  ---------  -------  --------  ---------  ---------  ---
    float16        5.961e-10  4.883e-05  0.0004044   140.21       0 %        0 %        0 %    0
    float8_e4m3fn        676         52     0.9531    19.66      25 %        0 %       25 %    0
    int8           3.478e+04        373          1     2.55      25 %       50 %       25 %    0
    """
    numbers = as_numbers(x, source)
    chosen = _chosen_formats(formats)
    if scale_rule is not None:
        chosen = with_scale_rule(chosen, scale_rule)
    if axis is not None:
        chosen = with_axis(chosen, axis)
    if scale is not None and np.ndim(scale):  # an array
        factors = _checked_scales(scale)
        try:
            scale = np.broadcast_to(factors, numbers.codes.shape)
        except ValueError:
            raise ValueError(f"scale of shape {factors.shape} does not fit x of shape {numbers.codes.shape}") from None
    return report_stream(
        (lambda: iter_chunks(numbers.codes)) if numbers.rest is None else (lambda: [_flat(numbers)]),
        chosen,
        scale,
        profile=profile,
        rounding=rounding,
        rng=rng,
        source=numbers.format if numbers.rest is None else None,
        shape=numbers.codes.shape,
        pad=pad,
    )


Chunks = Callable[[], Iterable["NDArray[Any] | Source"]]


class StreamOptions(TypedDict, total=False):
    """Options of `report_stream` besides the formats and the scale."""

    profile: str | Profile | ScaleProfile | None
    rounding: Any
    rng: Any
    pad: bool
    marked: bool


def report_stream(
    chunks: Chunks,
    formats: Any,
    scale: str | ArrayLike | None = None,
    *,
    source: Any = None,
    shape: tuple[int, ...] | None = None,
    **options: Unpack[StreamOptions],
) -> Report:
    """Report the cost of a cast, as `report` does, for arrays that do not fit in memory.

    Parameters
    ----------
    chunks : callable
        Returns the elements in order, in one-dimensional arrays; called twice for "absmax" and for some scaled formats.
        Formats with nested scales keep all elements in memory.
    formats, scale, source
        As in `report`; an array of scales has as many elements as all chunks together.
    shape : tuple of int, optional
        The shape of the whole array, needed for scaled formats.
    **options
        `profile`, `rounding`, `rng`, `pad` as in `report`; `marked`: whether, for a single number, a scaled format
        whose blocks need an axis has a row with a note; otherwise it is an error.

    Returns
    -------
    Report

    Examples
    --------
    >>> import fpemu as fe, numpy as np
    >>> from fpemu.reports.cast_report import report_stream
    >>> report_stream(lambda: (np.full(10, i) for i in range(3)), "int8").count
    30
    """
    rounding, pad = options.get("rounding"), options.get("pad", False)
    rng: Any = options.get("rng")
    chosen_formats, rules, element_rules = targets_under(_chosen_formats(formats), options.get("profile"))
    targets = [fmt for fmt in chosen_formats if not isinstance(fmt, ScaledFormat)]
    if scale is not None and not targets:
        raise ValueError("scale is for formats without scales of their own")
    if shape is None and len(targets) < len(chosen_formats):
        raise ValueError("a report of scaled formats needs the shape of the array: shape=")
    if switch("report", "pad", pad):
        check_scaled(chosen_formats, "pad")
    notes = _notes(chosen_formats) if options.get("marked") and shape == () else {}
    seed = operator.index(rng) if hasattr(rng, "__index__") else int(np.random.default_rng(rng).integers(1 << 63))
    scales, element_scales = _resolve_scales(scale, targets, chunks, source)
    fitting = [fmt for fmt in chosen_formats if isinstance(fmt, ScaledFormat) and fmt not in notes]
    scaled = [_ScaledTrial(fmt, element_rules, rounding, seed, pad) for fmt in fitting]
    _begin(scaled, chunks, source, shape or ())
    trials = []
    for fmt, factor in zip(targets, scales, strict=True):
        chosen = rules or fmt.profile
        trials.append(_Trial(fmt, chosen if rounding is None else chosen.replace(rounding=rounding), factor, seed))
    roundings = [rules.rounding for rules in (*(trial.rules for trial in trials), *(trial.rules for trial in scaled))]
    if roundings and not any(isinstance(mode, Stochastic) for mode in roundings):
        check_randoms(roundings[0], rng, None, 0)
    count = nan = infinite = 0
    for chunk in chunks():
        x = as_numbers(chunk, source)
        numbers = doubles(x)
        nan += int(np.count_nonzero(np.isnan(numbers.values)))
        infinite += int(np.count_nonzero(np.isinf(numbers.values)))
        factors = None if element_scales is None else element_scales.flat[count : count + numbers.values.size]
        for trial in trials:
            trial.update(x, numbers, count, factors)
        for other in scaled:
            other.numbers = None if x.rest is None else numbers
            other.update(_encoded(x, other.scheme).codes)
        count += numbers.values.size
    for other in scaled:
        other.finish()
    plain, with_scales = iter(trials), iter(scaled)
    rows = [
        Row.marked(fmt.name, notes[fmt])
        if fmt in notes
        else (next(with_scales).row() if isinstance(fmt, ScaledFormat) else next(plain).row())
        for fmt in chosen_formats
    ]
    return Report(tuple(rows), count, nan, infinite, len(targets) < len(chosen_formats))


def _notes(formats: list[Format | ScaledFormat]) -> dict[Format | ScaledFormat, str]:
    """For scaled formats whose blocks need an axis, the reason why a single number does not fit."""
    notes: dict[Format | ScaledFormat, str] = {}
    for fmt in formats:
        if isinstance(fmt, ScaledFormat):
            try:
                layout_of(fmt.block, fmt.axis, ())
            except ValueError as error:
                notes[fmt] = str(error)
    return notes


def _resolve_scales(
    scale: str | ArrayLike | None, targets: list[Format], chunks: Chunks, source: Any
) -> tuple[list[float | None], NDArray[np.float64] | None]:
    """The scale for each format, and the scales of the elements if these differ."""
    if scale is None:
        return [None] * len(targets), None
    if isinstance(scale, str):
        if scale != "absmax":
            raise ValueError(f"unknown scale {brief(scale)}: allowed are 'absmax', numbers, and None")
        amax = _largest_magnitude(chunks, source)
        return [_absmax(fmt, amax) for fmt in targets], None
    factors = _checked_scales(scale)
    if not (np.isfinite(factors) & (factors > 0)).all():
        raise ValueError("scales must be positive and finite")
    if factors.ndim == 0:
        return [float(factors)] * len(targets), None
    return [None] * len(targets), factors


def _checked_scales(scale: Any) -> NDArray[np.float64]:
    """Scales as float64; a TypeError if they are not real numbers."""
    factors = np.asarray(scale)
    if factors.dtype.kind not in "biuf":
        raise TypeError(f"scale must be 'absmax' or real numbers, not {factors.dtype}")
    return factors.astype(np.float64)


def _chosen_formats(formats: Any) -> list[Format | ScaledFormat]:
    """The formats and scaled formats with these names, or with one name."""
    if isinstance(formats, str | Format | Scheme) or not np.iterable(formats):
        formats = [formats]
    chosen = [format_or_scheme(fmt) for fmt in formats]
    if not chosen:
        raise ValueError("a report needs one format or more")
    return chosen


def _begin(
    trials: list[_ScaledTrial],
    chunks: Chunks,
    source: Any,
    shape: tuple[int, ...],
) -> None:
    """Prepare scaled formats, with the first pass if they need two."""
    if not trials:
        return
    first = next(iter(chunks()), None)
    fmt = dtype("float32" if source is None else source)
    if first is not None:
        fmt = _encoded(as_numbers(first, source), trials[0].scheme).format
    streams = [stream for stream in (trial.begin(shape, fmt) for trial in trials) if stream.needs_two_passes]
    if not streams:
        return
    for chunk in chunks():
        codes = _encoded(as_numbers(chunk, source), streams[0].scheme).codes
        for stream in streams:
            stream.observe(codes)
    for stream in streams:
        stream.freeze()


def _flat(x: Source) -> Source:
    """The numbers in one dimension."""
    return x._replace(codes=x.codes.reshape(-1))


def _encoded(x: Source, scheme: ScaledFormat) -> Source:
    """Numbers as codes; numbers that have none become float64 numbers with the same results."""
    return x if x.rest is None else as_numbers(as_floats(x, scheme))


def _largest_magnitude(chunks: Callable[[], Iterable[Any]], source: Any) -> float:
    amax = 0.0
    for chunk in chunks():
        # away from zero: no number divided by the scale may be beyond the largest value
        values = np.abs(cast(chunk, "float64", source=source, rounding="away_from_zero"))
        amax = max(amax, float(np.max(values, initial=0.0, where=np.isfinite(values))))
    return amax


def _absmax(fmt: Format, amax: float) -> float:
    """The scale that maps `amax` to the largest value, or just below it."""
    largest = finite_range(fmt)[1]
    if not 0 < largest < math.inf:
        raise ValueError(f"scale='absmax' does not apply to {fmt.name}: its largest value is not a positive float64")
    if amax == 0:
        return 1.0
    scale = min(max(amax / largest, sys.float_info.min), sys.float_info.max)
    while amax / scale > largest:  # both divisions are rounded
        scale = math.nextafter(scale, math.inf)
    return scale

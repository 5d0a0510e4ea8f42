"""What a cast costs: errors, overflow and underflow of an array in one format after another."""

from __future__ import annotations

import dataclasses
import math
import operator
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from fpemu.arithmetic import switch
from fpemu.arithmetic.doubles import Doubles, difference, double_quotients, doubles
from fpemu.casting import Source, as_numbers, as_source, cast, encode
from fpemu.casting.buffers import iter_chunks
from fpemu.casting.stochastic import check_randoms, streamed
from fpemu.formats import Format, IntFormat, Profile, Scheme, TableFormat
from fpemu.formats import dtype as lookup
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
from fpemu.reports.cast_errors import HEADER, Errors, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import ArrayLike, NDArray

    from fpemu.quantization import Quantized
    from fpemu.quantization.definition.profiles import ScaleProfile
    from fpemu.quantization.definition.scale_rules import ScaleRule

__all__ = ["Report", "Row", "cast_to_float64", "report", "report_stream"]


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
    scaled : bool
        Whether a row is of a scaled format: then the table says how many bits there are to an element.
    """

    rows: tuple[Row, ...]
    count: int
    nan: int
    infinite: int
    scaled: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain dictionaries, lists and numbers."""
        return {
            "count": self.count,
            "nan": self.nan,
            "infinite": self.infinite,
            "rows": [row.to_dict() for row in self.rows],
        }

    def cells(self) -> list[list[str]]:
        """The table as text, cell by cell: its header, and a row for each format.

        Returns
        -------
        list of list of str
        """
        lines = [list(HEADER), *(row.cells() for row in self.rows)]
        if any(row.scale is not None for row in self.rows):
            scales = ["-" if row.scale is None else f"{row.scale:.4g}" for row in self.rows]
            for cells, scale in zip(lines, ["scale", *scales], strict=True):
                cells.insert(1, scale)
        if self.scaled:
            every = ["-" if row.note else f"{row.bits:.4g}" for row in self.rows]
            for cells, bits in zip(lines, ["bits", *every], strict=True):
                cells.insert(1, bits)
        return lines

    def __str__(self) -> str:
        return text_table(self.cells())


class _Trial:
    """One format of a report: a cast under saturation that still shows which elements overflow."""

    def __init__(self, fmt: Format, rules: Profile | None, scale: float | None, rng: Any) -> None:
        self.errors = Errors(fmt)
        self.rules = fmt.check_profile(rules or fmt.profile).replace(
            overflow="saturate", infinity="saturate", nan="standard", nan_code=None
        )
        self.target = _wider(fmt)
        self.scale, self.rng = scale, rng

    def row(self) -> Row:
        """What was counted."""
        return self.errors.row(self.scale)

    def update(self, x: Source, numbers: Doubles, offset: int, scale: Any) -> None:
        """Add a piece: `numbers` are x as float64; `scale` differs by element."""
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
        there = doubles(as_source(codes, self.target), limited=False)
        self.errors.update(numbers.values, there.values, more=difference(numbers, there))


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
        self.wider = _wider(element) if scheme.zero_point is None else _signed(element.bits + 2)
        self.wider_rules = self.rules.replace(overflow="saturate")
        self.rng, self.pad = rng, pad
        self.stream: Stream | None = None
        self.place = 0
        self.numbers: Doubles | None = None  # of those that no format holds, which come in one piece

    def begin(self, shape: tuple[int, ...], source: Format) -> Stream:
        """Before the first piece."""
        self.stream = Stream(self.scheme, shape, source, self.pad)
        return self.stream

    def row(self) -> Row:
        """What was counted."""
        assert self.stream is not None
        return self.errors.row(bits=self.stream.bits_per_element)

    def finish(self) -> None:
        """After the last piece."""
        assert self.stream is not None
        self.update(np.zeros(0, self.stream.source.code_dtype), last=True)

    def update(self, codes: NDArray[Any], last: bool = False) -> None:
        """Add a piece of codes."""
        assert self.stream is not None
        for part, q in self.stream.quantized(codes, last, rng=self.rng):
            if self.numbers is None:
                values, more = doubles(as_source(part, self.stream.source))
            else:
                values, more = (each[self.place : self.place + part.size] for each in self.numbers if each is not None)
            self.errors.update(values, q.dequantize(np.float64), more=more)
            quotients = self._quotients(values, q)
            zeros = 0 if q.zero_points is None else q.layout.per_element(q.zero_points).reshape(-1)
            finite = np.isfinite(values) & np.isfinite(quotients)
            self.errors.saturated += self._beyond(quotients + zeros, finite)
            if not isinstance(self.wider, TableFormat):  # else nothing is beyond
                random = streamed(self.wider_rules.rounding, self.rng, self.place)
                places = cast_to_float64(np.nan_to_num(quotients), self.wider, profile=self.wider_rules, **random)
                self.errors.overflows += self._beyond(places + zeros, finite)
            self.place += part.size

    def _quotients(self, values: NDArray[np.float64], q: Quantized) -> NDArray[np.float64]:
        """Numbers over their blocks' scales; where those are quantized themselves, over the scales before."""
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
        """How many are beyond the elements' range."""
        return int(np.count_nonzero(finite & ((quotients > self.largest) | (quotients < self.lowest))))


def cast_to_float64(x: Any, fmt: Format, **how: Any) -> NDArray[np.float64]:
    """What `cast` gives, as float64; rounded, or an infinity, where float64 does not hold a value of the format."""
    try:
        return np.asarray(cast(x, fmt, dtype=np.float64, **how))
    except ValueError:
        return np.asarray(cast(encode(x, fmt, **how), "float64", source=fmt))


def _wider(fmt: Format) -> Format:
    """The format with twice the range and the same values below: what overflows in `fmt` is beyond its range there.

    The format itself where there is no such thing (codebooks, 64 bits, float64's own exponents); what lies beyond
    those saturates.
    """
    if isinstance(fmt, TableFormat):
        return fmt
    try:
        wide = dataclasses.replace(fmt, bits=fmt.bits + 1, name=f"{fmt.name[:900]}, unbounded")
    except ValueError:
        return fmt
    return wide if math.isfinite(finite_range(wide)[1]) else fmt


def _signed(bits: int) -> IntFormat:
    """Integers that hold the differences of narrower ones, and what is beyond those."""
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
    """What casting an array costs: its errors in each of some formats, all under saturation.

    Parameters
    ----------
    x : array_like
        As `cast` takes it; shape (...).
    formats : format, scaled format or sequence of them
        One row for each.
    scale : "absmax" or array_like, optional
        What x is divided by before the cast, and the result multiplied by after it, in float64; shape broadcast to x's.
        "absmax": for each format the number that takes the largest magnitude of x to the format's largest value.
        Scaled formats have scales of their own.
    profile : str, Profile or ScaleProfile, optional
        The rules of the casts, but for overflow; default each format's own.  A profile of scaled formats ("torchao")
        is for those alone.  One of casts is, in scaled formats, for elements; a name that both have ("torch", "onnx")
        means in each what it is there.
    scale_rule : str or ScaleRule, optional
        Of scaled formats, instead of their own.
    rounding : str, Rounding or Stochastic, optional
        Overrides the profile's.
    rng : None, int or numpy.random.Generator
        For stochastic rounding, as in `cast`.
    source : format, optional
        The format whose codes x holds.
    axis : int, optional
        The axis that blocks of scaled formats lie along, instead of their own.
    pad : bool
        Whether the last block of an axis may be shorter, in scaled formats.

    Returns
    -------
    Report
        Prints as a table; ``.rows``, ``.to_dict()``.

    Raises
    ------
    ValueError
        If a format or a rule is unknown, a profile or a rule does not apply to a scaled format, a scale is not positive
        and finite, or x does not fit a scaled format: as `quantize` refuses it.
    TypeError
        If x holds no real numbers.

    Notes
    -----
    In scaled formats "overflow" and "saturated" are of numbers over their scales as they are stored, or as they were
    before they were quantized themselves.  One scale for a whole array, or for
    a place of its last axis, is that of its finite numbers; blocks with others become what `quantize` makes of them.

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
    found = as_numbers(x, source)
    chosen = _chosen(formats)
    if scale_rule is not None:
        chosen = with_scale_rule(chosen, scale_rule)
    if axis is not None:
        chosen = with_axis(chosen, axis)
    if scale is not None and np.ndim(scale):  # neither a word nor one number
        given = _scales(scale)
        try:
            scale = np.broadcast_to(given, found.codes.shape)
        except ValueError:
            raise ValueError(f"scale of shape {given.shape} does not fit x of shape {found.codes.shape}") from None
    return report_stream(
        (lambda: iter_chunks(found.codes)) if found.rest is None else (lambda: [_flat(found)]),
        chosen,
        scale,
        profile=profile,
        rounding=rounding,
        rng=rng,
        source=found.format if found.rest is None else None,
        shape=found.codes.shape,
        pad=pad,
    )


def report_stream(
    pieces: Callable[[], Iterable[NDArray[Any] | Source]],
    formats: Any,
    scale: str | ArrayLike | None = None,
    *,
    profile: str | Profile | ScaleProfile | None = None,
    rounding: Any = None,
    rng: Any = None,
    source: Any = None,
    shape: tuple[int, ...] | None = None,
    pad: bool = False,
    marked: bool = False,
) -> Report:
    """`report` for what does not fit in memory.

    Parameters
    ----------
    pieces : callable
        Gives the elements in order, in one-dimensional arrays; called twice for "absmax" and for some scaled formats.
        Those with scales that are quantized themselves keep them all.
    formats, scale, profile, rounding, rng, source, pad
        As in `report`; an array of scales has as many elements as the pieces together.
    shape : tuple of int, optional
        Of the whole array; for scaled formats.
    marked : bool
        Whether a scaled format whose blocks need an axis gets a row that says so where there is one number, instead of
        an error.

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
    chosen_formats, rules, of_elements = targets_under(_chosen(formats), profile)
    targets = [fmt for fmt in chosen_formats if not isinstance(fmt, ScaledFormat)]
    if scale is not None and not targets:
        raise ValueError("scale is for formats without scales of their own")
    if shape is None and len(targets) < len(chosen_formats):
        raise ValueError("a report of scaled formats needs the shape of the array: shape=")
    if switch("report", "pad", pad):
        check_scaled(chosen_formats, "pad")
    notes = _notes(chosen_formats) if marked and shape == () else {}
    seed = operator.index(rng) if hasattr(rng, "__index__") else int(np.random.default_rng(rng).integers(1 << 63))
    scales: list[float | None] = [None] * len(targets)
    if isinstance(scale, str):
        if scale != "absmax":
            raise ValueError(f"unknown scale {brief(scale)}: allowed are 'absmax', numbers, and None")
        amax = _largest_magnitude(pieces, source)
        scales = [_absmax(fmt, amax) for fmt in targets]
        scale = None
    if scale is not None:
        scale = _scales(scale)
        if not (np.isfinite(scale) & (scale > 0)).all():
            raise ValueError("scales must be positive and finite")
        if scale.ndim == 0:
            scales, scale = [float(scale)] * len(targets), None
    fitting = [fmt for fmt in chosen_formats if isinstance(fmt, ScaledFormat) and fmt not in notes]
    scaled = [_ScaledTrial(fmt, of_elements, rounding, seed, pad) for fmt in fitting]
    _begin(scaled, pieces, source, shape or ())
    trials = []
    for fmt, factor in zip(targets, scales, strict=True):
        chosen = rules or fmt.profile
        trials.append(_Trial(fmt, chosen if rounding is None else chosen.replace(rounding=rounding), factor, seed))
    roundings = [rules.rounding for rules in (*(trial.rules for trial in trials), *(trial.rules for trial in scaled))]
    if roundings and not any(isinstance(one, Stochastic) for one in roundings):
        check_randoms(roundings[0], rng, None, 0)
    count = nan = infinite = 0
    for piece in pieces():
        found = as_numbers(piece, source)
        numbers = doubles(found)
        nan += int(np.count_nonzero(np.isnan(numbers.values)))
        infinite += int(np.count_nonzero(np.isinf(numbers.values)))
        factors = None if scale is None else scale.flat[count : count + numbers.values.size]
        for trial in trials:
            trial.update(found, numbers, count, factors)
        for other in scaled:
            other.numbers = None if found.rest is None else numbers
            other.update(_as_codes(found, other.scheme).codes)
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
    """Why one number does not fit scaled formats whose blocks need an axis."""
    found: dict[Format | ScaledFormat, str] = {}
    for fmt in formats:
        if isinstance(fmt, ScaledFormat):
            try:
                layout_of(fmt.block, fmt.axis, ())
            except ValueError as error:
                found[fmt] = str(error)
    return found


def _scales(scale: Any) -> NDArray[np.float64]:
    """Scales as float64; a TypeError if they are no real numbers."""
    given = np.asarray(scale)
    if given.dtype.kind not in "biuf":
        raise TypeError(f"scale must be 'absmax' or real numbers, not {given.dtype}")
    return given.astype(np.float64)


def _chosen(formats: Any) -> list[Format | ScaledFormat]:
    """The formats and scaled formats of one name or several."""
    if isinstance(formats, str | Format | Scheme) or not np.iterable(formats):
        formats = [formats]
    found = [format_or_scheme(fmt) for fmt in formats]
    if not found:
        raise ValueError("a report needs one format or more")
    return found


def _begin(
    trials: list[_ScaledTrial],
    pieces: Callable[[], Iterable[NDArray[Any] | Source]],
    source: Any,
    shape: tuple[int, ...],
) -> None:
    """Let scaled formats look at all elements, if one has to."""
    if not trials:
        return
    first = next(iter(pieces()), None)
    own = lookup("float32" if source is None else source)
    if first is not None:
        own = _as_codes(as_numbers(first, source), trials[0].scheme).format
    streams = [stream for stream in (trial.begin(shape, own) for trial in trials) if stream.needs_two_passes]
    if not streams:
        return
    for piece in pieces():
        codes = _as_codes(as_numbers(piece, source), streams[0].scheme).codes
        for stream in streams:
            stream.observe(codes)
    for stream in streams:
        stream.freeze()


def _flat(x: Source) -> Source:
    """Numbers in one dimension."""
    return x._replace(codes=x.codes.reshape(-1))


def _as_codes(x: Source, scheme: ScaledFormat) -> Source:
    """Numbers as codes; what no format holds as the float64 of which a scaled format makes the same."""
    return x if x.rest is None else as_numbers(as_floats(x, scheme))


def _largest_magnitude(pieces: Callable[[], Iterable[Any]], source: Any) -> float:
    amax = 0.0
    for piece in pieces():
        # away from zero, so that no number over the scale is beyond the largest value
        values = np.abs(cast(piece, "float64", source=source, rounding="away_from_zero"))
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

"""quantize: numbers to codes and scales."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fpemu.arithmetic import divide, mean, switch
from fpemu.arithmetic.doubles import to_odd
from fpemu.arrays import Array
from fpemu.casting import as_numbers, cast, decode, encode
from fpemu.casting.buffers import check_out
from fpemu.casting.fpu import fpu_is_fit
from fpemu.casting.stochastic import check_randoms, randomness
from fpemu.formats import FLOAT32, FLOAT64, IEEE, FloatFormat, Format, TableFormat
from fpemu.formats.facts.exactness import carrier_of, deciding_digits, deciding_format, digits, digits_of, span
from fpemu.formats.keywords import hinted
from fpemu.formats.rules import NanRule, Rounding
from fpemu.quantization.blocks import Layout, layout_of
from fpemu.quantization.definition.registry import scheme as find_scheme
from fpemu.quantization.elements import Elements, SteppedElements, shifted, way
from fpemu.quantization.exact_scales import Exact, of_whole_rows, stages_of, statistics
from fpemu.quantization.fast_scales import direct
from fpemu.quantization.given_scales import Known, known_parts
from fpemu.quantization.pieces import Chunk, Rows
from fpemu.quantization.quantized import Quantized
from fpemu.quantization.tool_scales import Arithmetic, Scales, Statistics, Stepped, wide

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from fpemu.casting import Source
    from fpemu.formats import Scheme
    from fpemu.formats.rules import Stochastic
    from fpemu.quantization.blocks import Block
    from fpemu.quantization.definition.profiles import ScaleProfile
    from fpemu.quantization.definition.scale_rules import ScaleRule
    from fpemu.quantization.definition.scaled_format import ScaledFormat

__all__ = ["as_floats", "fake_quantize", "quantize"]

LEAST, LARGEST = -1000, 1000  # exponents of what decides, well within float64
_WITHIN = IEEE.replace(overflow="saturate")


def quantize(
    x: ArrayLike,
    scheme: str | ScaledFormat,
    *,
    scale_rule: str | ScaleRule | None = None,
    axis: int | None = None,
    block: Block | None = None,
    profile: str | ScaleProfile | None = None,
    rounding: str | Rounding | Stochastic | None = None,
    rng: int | np.random.Generator | None = None,
    random_bits: ArrayLike | None = None,
    rng_offset: int = 0,
    scales: ArrayLike | None = None,
    zero_points: ArrayLike | None = None,
    second_scale: float | None = None,
    pad: bool = False,
    source: Any = None,
    out: Quantized | None = None,
) -> Quantized:
    """Quantize: each block's scale, and each number over its block's scale, rounded to the element format.

    Scales are rounded once, from the exact statistic of their blocks, and elements once, from the exact quotient.

    Parameters
    ----------
    x : array_like
        Numbers, as `cast` takes them; shape (...).
    scheme : str or ScaledFormat
        Which: see `schemes`.
    scale_rule, axis, block
        Instead of the scheme's; see `ScaledFormat`.
    profile : str or ScaleProfile, optional
        Instead of the scheme's.
    rounding : str, Rounding or Stochastic, optional
        Of elements, instead of the profile's.
    rng, random_bits, rng_offset
        Stochastic rounding, as for `cast`.
    scales : array_like of float, optional
        Scales that are known: broadcast to one for each block, rounded to the scales' format.
    zero_points : array_like of int, optional
        Zero points that are known; with `scales`.
    second_scale : float, optional
        The second level's scale, where it is known; where scales have a scheme of their own, its offset.
    pad : bool
        Whether the last block of an axis may be shorter, as though zeros followed.
    source : str, Format or dtype, optional
        x holds codes of this format.
    out : Quantized, optional
        Whose memory to use: one of a scheme with these formats, and with these shapes; its old contents are lost.

    Returns
    -------
    Quantized

    Raises
    ------
    TypeError
        If something is of the wrong kind, or x is quantized already.
    ValueError
        If a name is unknown, blocks do not divide an axis and `pad` is not set, there is no such axis, float64 (or
        float32, where a profile computes in it) does not hold a number of x, a scale is not positive and finite or
        beyond the ends of its format, or a zero point is out of range; if the profile does not apply to the scheme.

    See Also
    --------
    fake_quantize : the numbers that the codes stand for.

    Notes
    -----
    A block with a NaN gets a NaN as its scale.  A scale that rounds to zero makes zeros of its block.  A second level's
    scale that would round to zero is its format's smallest positive number instead, one beyond its range the largest.

    Examples
    --------
    >>> import fpemu as fe
    >>> q = fe.quantize([0.1, -0.7, 3.0, 7.0], "mxfp4", block=4, scale_rule="rceil")
    >>> q.codes, q.scales
    (array([0, 9, 3, 6], dtype=uint8), array([128], dtype=uint8))
    >>> q.dequantize()
    array([ 0., -1.,  3.,  8.], dtype=float32)
    """
    if isinstance(x, Quantized):
        raise TypeError("x is quantized already: hand in the numbers that it stands for, x.dequantize()")
    if not isinstance(out, Quantized | None):
        raise TypeError(f"out must be a Quantized, as quantize gives, not {type(out).__name__}")
    chosen = _changed(scheme, scale_rule=scale_rule, axis=axis, block=block, profile=profile)
    if rounding is not None:
        own = chosen.profile.replace(name=chosen.profile.name, rounding=rounding)
        chosen = chosen.replace(profile=own)
    check_randoms(chosen.own_profile.elements.rounding, rng, random_bits, rng_offset)
    given = as_numbers(x, source)
    numbers = as_floats(given, chosen)
    layout = layout_of(chosen.block, chosen.axis, numbers.shape, switch("quantize", "pad", pad))
    if chosen.own_profile.steps is not None:
        numbers = _singles(numbers, chosen)
    if chosen.scale_rule.offset is not None:
        raise ValueError(f"the rule {chosen.scale_rule} has an offset, which is for the scales of scales")
    carried_out = chosen
    if chosen.own_profile.elements.nan is NanRule.ERROR:
        carried_out = _without_nan(chosen, numbers, scales is None)
    known = known_parts(chosen, layout, scales, zero_points, second_scale)
    found = _Job(carried_out, numbers, layout, _Random(rng, random_bits, rng_offset), out, given.format).run(known)
    return found if carried_out is chosen else found._under(chosen)


def fake_quantize(x: ArrayLike, scheme: str | ScaledFormat, **how: Any) -> NDArray[Any]:
    """Quantize and dequantize: the numbers that a scheme makes of an array.

    Parameters
    ----------
    x : array_like
        Numbers, as `cast` takes them.
    scheme : str or ScaledFormat
    **how
        As for `quantize`.

    Returns
    -------
    numpy.ndarray
        Of x's shape; float64 if x is, else float32.

    Raises
    ------
    TypeError
        If something is of the wrong kind; if `dtype` or a result's memory is given, which `Quantized.dequantize` takes.
    ValueError
        As `quantize` raises it.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.fake_quantize([1.0, -2.0, 0.3], "absmax_int8")
    array([ 1.00787401, -1.99999999,  0.2992126 ])
    """
    for name in ("dtype", "out"):
        if name in how and not isinstance(how[name], Quantized | None):
            call = f"fpemu.quantize(x, scheme).dequantize({name}=...)"
            raise TypeError(f"fake_quantize() got an unexpected keyword argument '{name}': say {call}")
    found = hinted(quantize)(x, scheme, **how)
    own = as_numbers(x, how.get("source")).dtype
    return found.dequantize(np.float64 if own == np.float64 else np.float32)


def _changed(scheme: str | ScaledFormat | Scheme, **changes: Any) -> ScaledFormat:
    asked = {name: value for name, value in changes.items() if value is not None}
    found = find_scheme(scheme)
    return found.replace(**asked) if asked else found


def as_floats(given: Source, scheme: ScaledFormat) -> NDArray[Any]:
    """Numbers as float32 or else float64, C-ordered, in native byte order; a scheme makes the same of both.

    What float64 does not hold is rounded to odd, where no rounding of the scheme decides at numbers of so many digits.

    Raises
    ------
    ValueError
        If one does.
    """
    codes, fmt = given.codes, given.format
    if given.rest is None:
        found = _held(codes, fmt)
        if found is not None:
            return found
    numbers, held = to_odd(given)
    if not held:
        why = _why_not_odd(scheme)
        if why:
            carrier = "float64" if scheme.own_profile.steps is None else "float32"
            raise ValueError(
                f"{carrier} does not hold each of these numbers, and {why}: cast them to it first, "
                f"fe.cast(x, {carrier!r})"
            )
    return np.ascontiguousarray(numbers).reshape(codes.shape)


def _held(codes: NDArray[Any], fmt: Format) -> NDArray[Any] | None:
    """Codes as float32 or else float64, if one holds all values of the format."""
    for carrier in (FLOAT32, FLOAT64):
        if fmt.codes_key == carrier.codes_key:
            words = np.ascontiguousarray(codes, codes.dtype.newbyteorder("="))
            return words.view(carrier.name).reshape(codes.shape)
    wide = carrier_of(fmt)
    return None if wide is None else np.ascontiguousarray(decode(codes, fmt, dtype=wide.name)).reshape(codes.shape)


def _why_not_odd(scheme: ScaledFormat) -> str:
    """Why a scheme may make something else of float64 rounded to odd than of the numbers themselves; "" if it does not.

    Scales and elements are decided at products of values: of the divisor, scales, elements and the middles between two.
    A product that has a digit less than float64, and no smaller unit, is itself no odd number.
    """
    element, rule, own = scheme.element, scheme.scale_rule, scheme.own_profile
    if own.steps is not None:
        return f"the profile {scheme.profile} computes in float32"
    if rule.statistic != "absmax":
        return f"the scale rule {rule} takes two numbers of a block at once"
    if not isinstance(own.elements.rounding, Rounding):
        return "stochastic rounding takes all of their digits"
    levels = [scheme.scale, *([scheme.second_level] if isinstance(scheme.second_level, FloatFormat) else [])]
    most = sum(map(digits, levels)) + max(deciding_digits(element), digits_of(scheme.divisor) + 1)
    if most > 52:
        return f"{scheme} is decided at numbers of {most} digits"
    product = span(element).times(*map(span, levels))
    return f"{scheme} reaches beyond its range" if product.low < LEAST or product.high > LARGEST else ""


def _singles(numbers: NDArray[Any], scheme: ScaledFormat) -> NDArray[Any]:
    """Numbers as float32, in which a tool computes."""
    if numbers.dtype == np.float32:
        return numbers
    found = np.ascontiguousarray(cast(numbers, "float32", dtype=np.float32)).reshape(numbers.shape)
    if not ((wide(found).view(np.uint64) == numbers.view(np.uint64)) | np.isnan(numbers)).all():
        raise ValueError(
            f"the profile {scheme.profile} computes in float32, which does not hold each of these numbers: "
            "cast them to it first, fe.cast(x, 'float32')"
        )
    return found


def _without_nan(scheme: ScaledFormat, numbers: NDArray[Any], own_scales: bool) -> ScaledFormat:
    """The scheme where no quotient is a NaN, its profile saying nan='error'; a ValueError where one would be.

    Under a tool's own arithmetic its quotients have to show that.
    """
    if np.isnan(numbers).any():
        raise ValueError("x has a NaN, and the profile says nan='error'")
    own = scheme.own_profile
    if own.steps is not None:
        return scheme
    if own.infinite_block == "nan" and own_scales and np.isinf(numbers).any():
        raise ValueError("x has an infinity, the scale of its block would be NaN, and the profile says nan='error'")
    return scheme.replace(profile=scheme.profile.replace(name=scheme.profile.name, nan=NanRule.STANDARD))


class _Random(NamedTuple):
    """What the caller says of stochastic rounding; see `cast`."""

    rng: int | np.random.Generator | None
    random_bits: ArrayLike | None
    first: int


class _Job:
    """One call of `quantize`: its numbers in rows, and the way from quotients to codes."""

    def __init__(
        self,
        scheme: ScaledFormat,
        numbers: NDArray[Any],
        layout: Layout,
        random: _Random,
        out: Quantized | None,
        source: Format,
    ) -> None:
        self.scheme, self.numbers, self.layout, self.random, self.out = scheme, numbers, layout, random, out
        self.stages = stages_of(scheme, source)
        self.rule = scheme.scale_rule
        if self.stages.steps is not None and self.stages.steps.statistic == "minmax":
            self.rule = dataclasses.replace(self.rule, statistic="minmax")
        self.two_levels = scheme.second_level is not None and scheme.nested is None
        self.stochastic = not isinstance(scheme.own_profile.elements.rounding, Rounding)
        own = layout.rows
        self.gathered = own is None
        # A tool's stochastic rounding of gathered blocks goes through x in C order, as the random integers do.
        self.in_order = self.stochastic and self.gathered and self.stages.steps is not None
        if own is None:
            x = layout.gathered(numbers)
            self.rows = Rows(x.shape[0], x.shape[1], x.shape[1]).joined
        else:
            x, self.rows = numbers, Rows(*own).joined
        self.x = x.reshape(self.rows.height, self.rows.length)
        self.cut = self.rows.cut
        self.shape = self.rows.height, self.rows.blocks

    # -- scales -------------------------------------------------------------------------------------------------------

    def run(self, known: Known) -> Quantized:
        codes, scales = self._memory()
        fixed = self.scheme.fixed_zero_point or 0
        zeros = None if self.scheme.zero_point is None else np.full(self.shape, fixed, np.int64)
        second = known.second if self.two_levels else None
        if second is not None and isinstance(self.stages, Stepped):
            second = self.stages.kept(second)  # as the scales need it
        if not self.x.size:
            return self._finished(codes, scales, zeros, known.second or (1.0 if self.two_levels else None))
        found, whole = None, None
        ragged = bool(self.rows.length % self.rows.block)
        if known.scales is not None:
            scales[...] = known.scales.reshape(self.shape)
            if known.zeros is not None:
                zeros = known.zeros.reshape(self.shape)
        elif self.two_levels or self.in_order or self.cut is not self.rows:
            found = self._statistics()
            if self.two_levels and second is None:
                second = self.stages.second_scale(found)
            whole = self._scales(found, second, ragged, scales, zeros)
        way = self._way(known.scales is None)
        kept = known.second if self.scheme.nested is not None else self.stages.kept(second)
        amax = None  # where larger scales are tried too
        if found is not None and self.stages.steps is not None and self.stages.steps.choose != "no":
            amax = float(np.max(found.high))
        if self.in_order and way is not None:
            made = self.stages.given(scales, second) if whole is None else whole
            in_order = self._in_order(way, made, zeros)
            if amax is not None and found is not None and second is not None:
                self._choose_in_order(way, found, made, (amax, second), in_order, scales)
            return self._finished(in_order, scales, zeros, kept, whole=True)
        by_kernels = known.scales is None and whole is None and way is not None
        at_once = direct(self.scheme, way.how) if by_kernels and way is not None else None

        def work(chunk: Chunk) -> None:
            own = chunk.rows, chunk.blocks if self.cut is self.rows else slice(None)
            x = self.x[chunk.rows, chunk.columns]
            own_zeros = None if zeros is None else zeros[own]
            if at_once is not None and way is not None:
                factors = at_once(x, self.rows.block, scales[own], own_zeros)
                first = chunk.rows.start * self.rows.length + chunk.columns.start
                way.by_inverses(x, *factors, own_zeros, first, codes[chunk.rows, chunk.columns])
                return
            if whole is not None:
                made = Scales(*(part[own] for part in whole))
            elif known.scales is None:
                here = statistics(x, self.rows.block, self.rule)
                short = ragged and chunk.columns.stop == self.rows.length
                made = self._scales(here, None, short, scales[own], own_zeros)
            else:
                made = self.stages.given(scales[own], second)
            if way is not None:
                own_zeros = None if own_zeros is None else self._cut(own_zeros, chunk)
                first = chunk.rows.start * self.rows.length + chunk.columns.start
                to = codes[chunk.rows, chunk.columns]
                way(x, self._cut(made.divisors, chunk), own_zeros, first, to)
                if amax is not None and found is not None and second is not None:
                    here = Statistics(*(part[own] for part in found))

                    def again(larger: Scales) -> NDArray[Any]:
                        others = np.empty_like(to)
                        way(x, larger.divisors, None, first, others)
                        return others

                    self._choose(x, here, made, (again, amax, second), to, scales[own])

        self.cut.for_each_chunk(work)
        if way is None:
            return self._finished(self._divided(scales, zeros, second), scales, zeros, kept, whole=True)
        return self._finished(codes, scales, zeros, kept)

    def _scales(
        self, found: Statistics, second: float | None, ragged: bool, codes: NDArray[Any], zeros: NDArray[Any] | None
    ) -> Scales:
        """Scales of statistics; their codes and the zero points into `codes` and `zeros`."""
        made = self.stages.scales(found, second, ragged)
        codes[...] = made.codes
        if zeros is not None:
            zeros[...] = self.stages.zero_points(found, made)
        return made

    def _choose(
        self,
        x: NDArray[Any],
        found: Statistics,
        made: Scales,
        how: tuple[Callable[[Scales], NDArray[Any]], float, float],
        codes: NDArray[Any],
        scales: NDArray[Any],
    ) -> None:
        """Where a profile tries larger scales too: take those blocks' whose error is smaller.

        `how`: from scales to codes; the largest magnitude of all; the second level's scale.
        """
        stages, block = self.stages, self.cut.block
        if not isinstance(stages, Stepped):
            return
        from fpemu.kernels.cpu.blocks import replace_blocks

        again, amax, second = how
        larger = stages.scales(found, second, False, larger=1.5)
        others = again(larger)
        errors = (stages.error(x, *each, amax, block) for each in ((codes, made.values), (others, larger.values)))
        better = np.greater(*map(wide, errors))
        scales[better] = larger.codes[better]
        replace_blocks(better, others, block, codes)

    def _in_order(self, way: Elements, made: Scales, zeros: NDArray[Any] | None) -> NDArray[Any]:
        """Codes in the order of x, each number a block of its own."""
        layout = self.layout
        x = self.numbers.reshape(1, -1)
        of_blocks = (made.divisors, np.zeros(self.shape, np.int64) if zeros is None else zeros)
        by, points = (layout.spread(each.reshape(layout.blocks)).reshape(1, -1) for each in of_blocks)
        codes = np.empty(x.shape, self.scheme.element.code_dtype)

        def work(chunk: Chunk) -> None:
            part = slice(None), chunk.columns
            own_zeros = None if zeros is None else points[part]
            way(x[part], by[part], own_zeros, chunk.columns.start, codes[part])

        Rows(1, x.size, 1).for_each_chunk(work)
        return codes.reshape(layout.shape)

    def _choose_in_order(
        self,
        way: Elements,
        found: Statistics,
        made: Scales,
        how: tuple[float, float],
        codes: NDArray[Any],
        scales: NDArray[Any],
    ) -> None:
        """`_choose` for codes in the order of x."""

        def gathered(codes: NDArray[Any]) -> NDArray[Any]:
            return self.layout.gathered(codes).reshape(self.x.shape)

        def again(larger: Scales) -> NDArray[Any]:
            return gathered(self._in_order(way, larger, None))

        chosen = gathered(codes)
        self._choose(self.x, found, made, (again, *how), chosen, scales)
        rows = math.prod(self.layout.blocks), math.prod(self.layout.steps)
        codes[...] = self.layout.scattered(chosen.reshape(rows))

    def _memory(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Where codes and scales go."""
        kinds = np.dtype(self.scheme.element.code_dtype), np.dtype(self.scheme.scale.code_dtype)
        if self.out is None:
            return np.empty(self.x.shape, kinds[0]), np.empty(self.shape, kinds[1])
        if self.scheme.nested is not None:
            raise ValueError(f"out is of no use for {self.scheme}, whose scales are quantized themselves")
        if (self.out.shape, self.out.scales.shape) != (self.numbers.shape, self.layout.blocks):
            raise ValueError(
                f"out must be of shape {self.numbers.shape}, as {self.scheme} has it, with scales of shape "
                f"{self.layout.blocks}, not {self.out!r} with {self.out.scales.shape}"
            )
        check_out(self.out.codes, self.numbers.shape, kinds[0])
        check_out(self.out.scales, self.layout.blocks, kinds[1])
        if self.gathered or not (self.out.codes.flags.c_contiguous and self.out.scales.flags.c_contiguous):
            raise ValueError("out is of use only where both lie in one piece, and so do the blocks of x")
        return self.out.codes.reshape(self.x.shape), self.out.scales.reshape(self.shape)

    def _cut(self, of_blocks: NDArray[Any], chunk: Chunk) -> NDArray[Any]:
        """What belongs to blocks, for the parts that a chunk has of them."""
        if self.cut is self.rows:
            return of_blocks
        return np.repeat(of_blocks, chunk.blocks.stop - chunk.blocks.start, axis=1)

    def _statistics(self) -> Statistics:
        found = Statistics(*(np.empty((self.cut.height, self.cut.blocks)) for _ in "lh"))

        def work(chunk: Chunk) -> None:
            part = statistics(self.x[chunk.rows, chunk.columns], self.cut.block, self.rule)
            found.low[chunk.rows, chunk.blocks], found.high[chunk.rows, chunk.blocks] = part

        self.cut.for_each_chunk(work)
        if self.cut is self.rows:
            return found
        return of_whole_rows(found, self.rule)

    def _finished(
        self,
        codes: NDArray[Any],
        scales: NDArray[Any],
        zeros: NDArray[np.int64] | None,
        second: float | None,
        whole: bool = False,
    ) -> Quantized:
        if not whole:
            rows = math.prod(self.layout.blocks), math.prod(self.layout.steps)
            codes = self.layout.scattered(codes.reshape(rows)) if self.gathered else codes.reshape(self.layout.shape)
        blocks = self.layout.blocks
        zeros = None if zeros is None else zeros.reshape(blocks)
        if self.scheme.nested is None:
            return Quantized._of(self.scheme, codes, scales.reshape(blocks), zeros, second, self.layout)
        level = _scales_of_scales(self.scheme.nested, scales.view(np.float32).reshape(-1), second)
        return Quantized._of(self.scheme, codes, level.codes.reshape(blocks), zeros, level, self.layout)

    # -- elements -----------------------------------------------------------------------------------------------------

    def _way(self, own_scales: bool) -> Elements | None:
        """From a chunk's numbers to its codes; None where only the general kernel rounds once."""
        if self.stages.steps is None and (not fpu_is_fit() or (self.stochastic and self.gathered)):
            return None
        rng, random_bits, first = self.random
        rounding = self.scheme.own_profile.elements.rounding
        randoms = randomness(rounding, rng, random_bits, first, self.numbers.shape)
        if isinstance(self.stages, Stepped):
            return SteppedElements(self.stages, 1 if self.in_order else self.cut.block, randoms)
        how = way(self.scheme, self.numbers.dtype, own_scales)
        return None if how is None else Elements(self.scheme, how, self.cut.block, randoms)

    def _divided(self, scales: NDArray[Any], zeros: NDArray[Any] | None, second: float | None) -> NDArray[Any]:
        """All codes by the general kernel's division."""
        scheme, layout = self.scheme, self.layout
        divisors = layout.spread(Exact(scheme).given(scales.reshape(layout.blocks), second).divisors)
        x = Array(self.numbers.view(f"u{self.numbers.itemsize}"), self.numbers.dtype.name)
        rng, random_bits, first = self.random
        how: dict[str, Any] = {"profile": scheme.own_profile.elements}
        if self.stochastic:
            how |= {"rng": rng, "random_bits": random_bits, "rng_offset": first}
        if isinstance(scheme.element, TableFormat):
            between = deciding_format(scheme.element)
            odd = divide(x, divisors, result=between, rounding="to_odd", profile=_WITHIN).codes
            return np.asarray(encode(odd, scheme.element, source=between, profile=scheme.own_profile.elements))
        if zeros is None:
            return np.asarray(divide(x, divisors, result=scheme.element, **how).codes)
        quotient = divide(x, divisors, result="int64", **how)
        return shifted(quotient.values, layout.spread(zeros.reshape(layout.blocks)), scheme)


def _scales_of_scales(scheme: ScaledFormat, values: NDArray[Any], offset: float | None) -> Quantized:
    """Scales, flat, less their offset, in a scheme of their own."""
    if scheme.scale_rule.offset is not None:
        if offset is None:
            offset = float(wide(np.asarray(mean(values, result="float32")))) if values.size else 0.0
        values = Arithmetic(FLOAT32).subtract(values, offset)
    assert isinstance(scheme.block, int)
    found = _Job(scheme, values, Layout(values.shape, (scheme.block,)), _Random(None, None, 0), None, FLOAT32).run(
        Known(None, None, None)
    )
    return found if offset is None else found._under(found.scheme, offset)

"""quantize: numbers to codes and scales."""

from __future__ import annotations

import functools
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
from fpemu.quantization.blocks import BlockChunk, BlockedArray, Layout, Rows, layout_of
from fpemu.quantization.definition.registry import scheme as find_scheme
from fpemu.quantization.elements import Elements, add_zero_points, quotient_method
from fpemu.quantization.fast_scales import fast_scales
from fpemu.quantization.floats import Arithmetic, wide
from fpemu.quantization.given_scales import GivenScales, check_given_scales
from fpemu.quantization.quantized import Quantized
from fpemu.quantization.statistics import Scales, Statistics, statistics_of, statistics_of_rows
from fpemu.quantization.tool_elements import ToolElements
from fpemu.quantization.tool_scales import scales_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from fpemu.casting import Source
    from fpemu.formats import Scheme
    from fpemu.formats.rules import Stochastic
    from fpemu.quantization.definition.profiles import ScaleProfile
    from fpemu.quantization.definition.scale_rules import ScaleRule
    from fpemu.quantization.definition.scaled_format import Block, ScaledFormat
    from fpemu.quantization.scale_choice import ScaleChoice

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
    known = check_given_scales(chosen, layout, scales, zero_points, second_scale)
    found = _Quantization(carried_out, numbers, layout, _Random(rng, random_bits, rng_offset), out, given.format).run(
        known
    )
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
    """The arguments of stochastic rounding; see `cast`."""

    rng: int | np.random.Generator | None
    random_bits: ArrayLike | None
    offset: int


class _Quantization:
    """One call of `quantize`: its numbers in rows of blocks, and the arrays of the result."""

    def __init__(
        self,
        scheme: ScaledFormat,
        numbers: NDArray[Any],
        layout: Layout,
        random: _Random,
        out: Quantized | None,
        source: Format,
    ) -> None:
        self.scheme, self.numbers, self.random, self.source = scheme, numbers, random, source
        self.method = scales_of(scheme, source)
        self.blocked = BlockedArray(numbers, layout)
        self.codes, self.scales = self._memory(out)
        self.zeros: NDArray[np.int64] | None = None
        if scheme.zero_point is not None:
            self.zeros = np.full(self.blocked.shape, scheme.fixed_zero_point or 0, np.int64)

    def run(self, given: GivenScales) -> Quantized:
        """Quantize by given scales, or by the scales that follow from the numbers."""
        scheme, blocked = self.scheme, self.blocked
        two_levels = scheme.second_level is not None and scheme.nested is None
        if not self.numbers.size:
            return self._result(blocked.restored(self.codes), given.second or (1.0 if two_levels else None))
        scales, choice, second = None, None, None
        if two_levels:
            second = self.method.stored_second_scale(given.second)  # as scales follow from it
        if given.scales is not None:
            self.scales[...] = given.scales.reshape(self.scales.shape)
            if given.zeros is not None:
                self.zeros = given.zeros.reshape(self.scales.shape)
            scales = self.method.given(self.scales, second)
        elif two_levels or self._rounds_in_order or blocked.cut is not blocked.rows:
            statistics = statistics_of(blocked, self.method.statistic)
            if two_levels and second is None:
                second = self.method.second_scale(statistics)
            scales = self._scales(statistics, second, blocked.short_last, ...)
            choice = self.method.choice(statistics, second)
        elements = self._elements(given.scales is None)
        if elements is None:
            codes = self._codes_by_division(scales, second)
        elif self._rounds_in_order and scales is not None:
            codes = self._codes_in_order(elements, scales, choice)
        else:
            codes = self._codes_by_chunks(elements, scales, choice)
        stored = given.second if scheme.nested is not None else self.method.stored_second_scale(second)
        return self._result(codes, stored)

    @property
    def _is_stochastic(self) -> bool:
        return not isinstance(self.scheme.own_profile.elements.rounding, Rounding)

    @property
    def _rounds_in_order(self) -> bool:
        """Whether a tool's random integers go through x in C order, while blocks do not."""
        return self._is_stochastic and self.blocked.is_copy and self.scheme.own_profile.steps is not None

    def _memory(self, out: Quantized | None) -> tuple[NDArray[Any], NDArray[Any]]:
        """The arrays that codes and scales are written into."""
        blocked, layout, shape = self.blocked, self.blocked.layout, self.numbers.shape
        code_dtype, scale_dtype = np.dtype(self.scheme.element.code_dtype), np.dtype(self.scheme.scale.code_dtype)
        if out is None:
            return np.empty(blocked.x.shape, code_dtype), np.empty(blocked.shape, scale_dtype)
        if self.scheme.nested is not None:
            raise ValueError(f"out is of no use for {self.scheme}, whose scales are quantized themselves")
        if (out.shape, out.scales.shape) != (shape, layout.blocks):
            raise ValueError(
                f"out must be of shape {shape}, as {self.scheme} has it, with scales of shape "
                f"{layout.blocks}, not {out!r} with {out.scales.shape}"
            )
        check_out(out.codes, shape, code_dtype)
        check_out(out.scales, layout.blocks, scale_dtype)
        if blocked.is_copy or not (out.codes.flags.c_contiguous and out.scales.flags.c_contiguous):
            raise ValueError("out is of use only where both lie in one piece, and so do the blocks of x")
        return out.codes.reshape(blocked.x.shape), out.scales.reshape(blocked.shape)

    def _result(self, codes: NDArray[Any], second: float | None) -> Quantized:
        scheme, layout = self.scheme, self.blocked.layout
        zeros = None if self.zeros is None else self.zeros.reshape(layout.blocks)
        if scheme.nested is None:
            return Quantized._of(scheme, codes, self.scales.reshape(layout.blocks), zeros, second, layout)
        level = _scales_of_scales(scheme.nested, self.scales.view(np.float32).reshape(-1), second)
        return Quantized._of(scheme, codes, level.codes.reshape(layout.blocks), zeros, level, layout)

    def _scales(self, statistics: Statistics, second: float | None, short_last: bool, blocks: Any) -> Scales:
        """The scales of some blocks from their statistics; writes their codes and zero points."""
        scales = self.method.scales(statistics, second, short_last)
        self.scales[blocks] = scales.codes
        if self.zeros is not None:
            self.zeros[blocks] = self.method.zero_points(statistics, scales)
        return scales

    def _scales_of_chunk(self, chunk: BlockChunk, scales: Scales | None) -> Scales:
        """A chunk's part of all scales, or the scales that follow from its numbers."""
        blocked, blocks = self.blocked, self.blocked.blocks_of(chunk)
        if scales is not None:
            return Scales(*(numbers[blocks] for numbers in scales))
        x = blocked.x[chunk.rows, chunk.columns]
        statistics = statistics_of_rows(x, blocked.rows.block, self.method.statistic)
        short_last = blocked.short_last and chunk.columns.stop == blocked.rows.length
        return self._scales(statistics, None, short_last, blocks)

    # -- three ways to codes ------------------------------------------------------------------------------------------

    def _elements(self, scales_follow: bool) -> Elements | None:
        """From numbers and scales to codes; None where only the general kernel rounds once."""
        scheme, is_tool = self.scheme, self.scheme.own_profile.steps is not None
        if not is_tool and (not fpu_is_fit() or (self._is_stochastic and self.blocked.is_copy)):
            return None
        rng, random_bits, offset = self.random
        rounding = scheme.own_profile.elements.rounding
        randoms = randomness(rounding, rng, random_bits, offset, self.numbers.shape)
        if is_tool:
            return ToolElements(scheme, self.source, 1 if self._rounds_in_order else self.blocked.cut.block, randoms)
        method = quotient_method(scheme, self.numbers.dtype, scales_follow)
        return None if method is None else Elements(scheme, method, self.blocked.cut.block, randoms)

    def _codes_by_chunks(self, elements: Elements, scales: Scales | None, choice: ScaleChoice | None) -> NDArray[Any]:
        """Codes of rows of blocks, on several threads; by kernels alone where there is such a fast path."""
        blocked = self.blocked
        fast = fast_scales(self.scheme, elements.method) if scales is None else None

        def work(chunk: BlockChunk) -> None:
            blocks = blocked.blocks_of(chunk)
            x, codes = blocked.x[chunk.rows, chunk.columns], self.codes[chunk.rows, chunk.columns]
            if fast is not None:
                zeros = None if self.zeros is None else self.zeros[blocks]
                factors = fast(x, blocked.rows.block, self.scales[blocks], zeros)
                elements.by_inverses(x, *factors, zeros, blocked.position(chunk), codes)
                return
            of_chunk = self._scales_of_chunk(chunk, scales)
            zeros = None if self.zeros is None else blocked.per_cut_block(self.zeros[blocks], chunk)

            def encode_by(scales: Scales, codes: NDArray[Any]) -> NDArray[Any]:
                elements(x, blocked.per_cut_block(scales.divisors, chunk), zeros, blocked.position(chunk), codes)
                return codes

            encode_by(of_chunk, codes)
            if choice is not None:
                again = functools.partial(encode_by, codes=np.empty_like(codes))
                self.scales[blocks] = choice.keep_smaller_error(x, blocked.cut.block, blocks, of_chunk, again, codes)

        blocked.cut.for_each_chunk(work)
        return blocked.restored(self.codes)

    def _codes_in_order(self, elements: Elements, scales: Scales, choice: ScaleChoice | None) -> NDArray[Any]:
        """Codes in the C order of x, each number a block of its own."""
        blocked, layout = self.blocked, self.blocked.layout
        x = self.numbers.reshape(1, -1)

        def per_element(of_blocks: NDArray[Any]) -> NDArray[Any]:
            return layout.per_element(of_blocks.reshape(layout.blocks)).reshape(1, -1)

        zeros = None if self.zeros is None else per_element(self.zeros)

        def encode_by(scales: Scales) -> NDArray[Any]:
            divisors, codes = per_element(scales.divisors), np.empty(x.shape, self.scheme.element.code_dtype)

            def work(chunk: BlockChunk) -> None:
                columns = slice(None), chunk.columns
                points = None if zeros is None else zeros[columns]
                elements(x[columns], divisors[columns], points, chunk.columns.start, codes[columns])

            Rows(1, x.size, 1).for_each_chunk(work)
            return blocked.arranged(codes.reshape(layout.shape))

        codes = encode_by(scales)
        if choice is not None:
            self.scales[...] = choice.keep_smaller_error(blocked.x, blocked.cut.block, ..., scales, encode_by, codes)
        return blocked.restored(codes)

    def _codes_by_division(self, scales: Scales | None, second: float | None) -> NDArray[Any]:
        """All codes by the general kernel's division."""
        scheme, layout = self.scheme, self.blocked.layout
        if scales is None:

            def work(chunk: BlockChunk) -> None:
                self._scales_of_chunk(chunk, None)

            self.blocked.cut.for_each_chunk(work)
        divisors = layout.per_element(self.method.given(self.scales.reshape(layout.blocks), second).divisors)
        x = Array(self.numbers.view(f"u{self.numbers.itemsize}"), self.numbers.dtype.name)
        rng, random_bits, offset = self.random
        rules: dict[str, Any] = {"profile": scheme.own_profile.elements}
        if self._is_stochastic:
            rules |= {"rng": rng, "random_bits": random_bits, "rng_offset": offset}
        if isinstance(scheme.element, TableFormat):
            between = deciding_format(scheme.element)
            odd = divide(x, divisors, result=between, rounding="to_odd", profile=_WITHIN).codes
            return np.asarray(encode(odd, scheme.element, source=between, profile=scheme.own_profile.elements))
        if self.zeros is None:
            return np.asarray(divide(x, divisors, result=scheme.element, **rules).codes)
        quotient = divide(x, divisors, result="int64", **rules)
        return add_zero_points(quotient.values, layout.per_element(self.zeros.reshape(layout.blocks)), scheme)


def _scales_of_scales(scheme: ScaledFormat, values: NDArray[Any], offset: float | None) -> Quantized:
    """Scales, flat, less their offset, in a scheme of their own."""
    if scheme.scale_rule.offset is not None:
        if offset is None:
            offset = float(wide(np.asarray(mean(values, result="float32")))) if values.size else 0.0
        values = Arithmetic(FLOAT32).subtract(values, offset)
    assert isinstance(scheme.block, int)
    found = _Quantization(
        scheme, values, Layout(values.shape, (scheme.block,)), _Random(None, None, 0), None, FLOAT32
    ).run(GivenScales(None, None, None))
    return found if offset is None else found._under(found.scheme, offset)

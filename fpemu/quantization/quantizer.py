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
from fpemu.quantization.blocks import LONGEST_BLOCK, BlockChunk, BlockedArray, BlockRows, Layout, layout_of
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

LEAST, LARGEST = -1000, 1000  # exponents of rounding boundaries, well within float64's
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
    """Compute each block's scale, and round each number divided by its block's scale to the element format.

    Scales are rounded once, from the exact statistic of their blocks, and elements once, from the exact quotient.

    Parameters
    ----------
    x : array_like
        Numbers, as for `cast`; shape (...).
    scheme : str or ScaledFormat
        See `schemes`.
    scale_rule, axis, block
        Replace the scheme's; see `ScaledFormat`.
    profile : str or ScaleProfile, optional
        Replaces the scheme's.
    rounding : str, Rounding or Stochastic, optional
        The rounding of elements; replaces the profile's.
    rng, random_bits, rng_offset
        Stochastic rounding, as for `cast`.
    scales : array_like of float, optional
        The scales to use: broadcast to one for each block, and rounded to the scales' format.
    zero_points : array_like of int, optional
        The zero points to use; only with `scales`.
    second_scale : float, optional
        The scale of the second level to use; for a nested scheme the offset.
    pad : bool
        Whether the last block of an axis may be shorter; it is quantized as if zeros followed.
    source : str, Format or dtype, optional
        If given, x contains codes of this format.
    out : Quantized, optional
        An array to overwrite: of a scheme with the same formats, and of the same shapes.

    Returns
    -------
    Quantized

    Raises
    ------
    TypeError
        If an argument is of the wrong kind, or x is already quantized.
    ValueError
        If a name is unknown, the axis is out of range, blocks do not divide it and `pad` is not set, the profile does
        not apply to the scheme, a number of x is not exact in float64 (or in float32, if the profile computes in it)
        and its code depends on that, or a given scale or zero point is out of range.

    See Also
    --------
    fake_quantize : quantizes and dequantizes.

    Notes
    -----
    The scale of a block with a NaN is NaN.  If a scale rounds to zero, so do the numbers of its block.  A second
    level's scale that would round to zero becomes its format's smallest positive number; one beyond its range becomes
    the largest.

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
        raise TypeError("x is already quantized: use its numbers, x.dequantize()")
    if not isinstance(out, Quantized | None):
        raise TypeError(f"out must be a Quantized, as returned by quantize, not {type(out).__name__}")
    target = _with_changes(scheme, scale_rule=scale_rule, axis=axis, block=block, profile=profile)
    if rounding is not None:
        target = target.replace(profile=target.profile.replace(name=target.profile.name, rounding=rounding))
    check_randoms(target.own_profile.elements.rounding, rng, random_bits, rng_offset)
    operand = as_numbers(x, source)
    numbers = as_floats(operand, target)
    layout = layout_of(target.block, target.axis, numbers.shape, switch("quantize", "pad", pad))
    if target.own_profile.steps is not None:
        numbers = _in_float32(numbers, target)
    if target.scale_rule.offset is not None:
        raise ValueError(f"the rule {target.scale_rule} has an offset, which is only for scales of scales")
    without_nan = target
    if target.own_profile.elements.nan is NanRule.ERROR:
        without_nan = _without_nan(target, numbers, scales is None)
    given = check_given_scales(target, layout, scales, zero_points, second_scale)
    random = _Random(rng, random_bits, rng_offset)
    q = _Quantization(without_nan, numbers, layout, random, out, operand.format).run(given)
    return q if without_nan is target else q._under(target)


def fake_quantize(x: ArrayLike, scheme: str | ScaledFormat, **options: Any) -> NDArray[Any]:
    """Quantize and dequantize: round an array to the numbers of a scheme.

    Parameters
    ----------
    x : array_like
        Numbers, as for `cast`.
    scheme : str or ScaledFormat
    **options
        As for `quantize`.

    Returns
    -------
    numpy.ndarray
        Of x's shape; float64 if x is float64, else float32.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind; if `dtype` or an array as `out` is given: see `Quantized.dequantize`.
    ValueError
        As for `quantize`.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.fake_quantize([1.0, -2.0, 0.3], "absmax_int8")
    array([ 1.00787401, -1.99999999,  0.2992126 ])
    """
    for name in ("dtype", "out"):
        if name in options and not isinstance(options[name], Quantized | None):
            call = f"fpemu.quantize(x, scheme).dequantize({name}=...)"
            raise TypeError(f"fake_quantize() got an unexpected keyword argument '{name}': use {call}")
    q = hinted(quantize)(x, scheme, **options)
    dtype = as_numbers(x, options.get("source")).dtype
    return q.dequantize(np.float64 if dtype == np.float64 else np.float32)


def _with_changes(scheme: str | ScaledFormat | Scheme, **changes: Any) -> ScaledFormat:
    """Return the scheme with all changes that are not None."""
    changes = {name: value for name, value in changes.items() if value is not None}
    target = find_scheme(scheme)
    return target.replace(**changes) if changes else target


def as_floats(given: Source, scheme: ScaledFormat) -> NDArray[Any]:
    """Return floats, C-ordered and in native byte order, that have the same codes in the scheme as the numbers.

    They are float32 if that represents the source format, else float64.  Numbers that are not exact in float64 are
    rounded to odd, if all rounding boundaries of the scheme have fewer digits.

    Raises
    ------
    ValueError
        If a number is not exact in float64, and rounding to odd may change its code.
    """
    codes, fmt = given.codes, given.format
    if given.rest is None:
        floats = _decoded(codes, fmt)
        if floats is not None:
            return floats
    numbers, exact = to_odd(given)
    if not exact:
        why = _why_not_odd(scheme)
        if why:
            carrier = "float64" if scheme.own_profile.steps is None else "float32"
            raise ValueError(
                f"some of these numbers are not exact in {carrier}, and {why}: use fe.cast(x, {carrier!r}) first"
            )
    return np.ascontiguousarray(numbers).reshape(codes.shape)


def _decoded(codes: NDArray[Any], fmt: Format) -> NDArray[Any] | None:
    """Decode codes to float32 or else float64; return None if neither represents all values of the format."""
    for carrier in (FLOAT32, FLOAT64):
        if fmt.codes_key == carrier.codes_key:
            words = np.ascontiguousarray(codes, codes.dtype.newbyteorder("="))
            return words.view(carrier.name).reshape(codes.shape)
    wide = carrier_of(fmt)
    return None if wide is None else np.ascontiguousarray(decode(codes, fmt, dtype=wide.name)).reshape(codes.shape)


def _why_not_odd(scheme: ScaledFormat) -> str:
    """Return why rounding to odd in float64 may change the result of a scheme; "" if it cannot.

    The rounding boundaries of scales and elements are products of the divisor, scales, elements and midpoints of
    elements.  A number that is rounded to odd stays on its side of a boundary that has fewer digits than float64 and
    lies in its range.
    """
    element, rule, own = scheme.element, scheme.scale_rule, scheme.own_profile
    if own.steps is not None:
        return f"the profile {scheme.profile} computes in float32"
    if rule.statistic != "absmax":
        return f"the scale rule {rule} compares or subtracts two numbers of a block"
    if not isinstance(own.elements.rounding, Rounding):
        return "stochastic rounding depends on all of their digits"
    levels = [scheme.scale, *([scheme.second_level] if isinstance(scheme.second_level, FloatFormat) else [])]
    most = sum(map(digits, levels)) + max(deciding_digits(element), digits_of(scheme.divisor) + 1)
    if most > 52:
        return f"the rounding boundaries of {scheme} have {most} digits"
    product = span(element).times(*map(span, levels))
    return f"the boundaries of {scheme} exceed its range" if product.low < LEAST or product.high > LARGEST else ""


def _in_float32(numbers: NDArray[Any], scheme: ScaledFormat) -> NDArray[Any]:
    """Return numbers as float32, in which a tool computes; raise ValueError if that changes one."""
    if numbers.dtype == np.float32:
        return numbers
    rounded = np.ascontiguousarray(cast(numbers, "float32", dtype=np.float32)).reshape(numbers.shape)
    if not ((wide(rounded).view(np.uint64) == numbers.view(np.uint64)) | np.isnan(numbers)).all():
        raise ValueError(
            f"the profile {scheme.profile} computes in float32, but some of these numbers are not exact in it: "
            "use fe.cast(x, 'float32') first"
        )
    return rounded


def _without_nan(scheme: ScaledFormat, numbers: NDArray[Any], scales_follow: bool) -> ScaledFormat:
    """Return the scheme with the standard NaN rule instead of nan='error'; raise ValueError if a quotient would be NaN.

    In a tool's arithmetic only the quotients themselves show that, so the scheme is returned unchanged.
    """
    if np.isnan(numbers).any():
        raise ValueError("x contains a NaN, and the profile has nan='error'")
    own = scheme.own_profile
    if own.steps is not None:
        return scheme
    if own.infinite_block == "nan" and scales_follow and np.isinf(numbers).any():
        raise ValueError("x contains an infinity, whose block's scale would be NaN, and the profile has nan='error'")
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
        """Quantize with the given scales, or with scales computed from the numbers."""
        scheme, blocked = self.scheme, self.blocked
        two_levels = scheme.second_level is not None and scheme.nested is None
        if not self.numbers.size:
            return self._result(blocked.restored(self.codes), given.second or (1.0 if two_levels else None))
        scales, choice, second = None, None, None
        if two_levels:
            second = self.method.stored_second_scale(given.second)  # in the form from which scales are computed
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
            if choice is not None and blocked.cut is not blocked.rows:
                raise ValueError(
                    f"the profile {scheme.profile} chooses scales by the errors of whole blocks, which must have "
                    f"at most {LONGEST_BLOCK:,} elements"
                )
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
        """Whether a tool uses its random integers in the C order of x, while blocks are not contiguous."""
        return self._is_stochastic and self.blocked.is_copy and self.scheme.own_profile.steps is not None

    def _memory(self, out: Quantized | None) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the arrays for codes and scales."""
        blocked, layout, shape = self.blocked, self.blocked.layout, self.numbers.shape
        code_dtype, scale_dtype = np.dtype(self.scheme.element.code_dtype), np.dtype(self.scheme.scale.code_dtype)
        if out is None:
            return np.empty(blocked.x.shape, code_dtype), np.empty(blocked.shape, scale_dtype)
        if self.scheme.nested is not None:
            raise ValueError(f"out is not supported for {self.scheme}, whose scales are themselves quantized")
        if (out.shape, out.scales.shape) != (shape, layout.blocks):
            raise ValueError(
                f"for {self.scheme} out must have shape {shape} and scales of shape {layout.blocks}, not "
                f"{out!r} with scales of shape {out.scales.shape}"
            )
        check_out(out.codes, shape, code_dtype)
        check_out(out.scales, layout.blocks, scale_dtype)
        if blocked.is_copy or not (out.codes.flags.c_contiguous and out.scales.flags.c_contiguous):
            raise ValueError("out is supported only if its codes and scales and each block of x are C-contiguous")
        return out.codes.reshape(blocked.x.shape), out.scales.reshape(blocked.shape)

    def _result(self, codes: NDArray[Any], second: float | None) -> Quantized:
        scheme, layout = self.scheme, self.blocked.layout
        zeros = None if self.zeros is None else self.zeros.reshape(layout.blocks)
        if scheme.nested is None:
            return Quantized._of(scheme, codes, self.scales.reshape(layout.blocks), zeros, second, layout)
        level = _scales_of_scales(scheme.nested, self.scales.view(np.float32).reshape(-1), second)
        return Quantized._of(scheme, codes, level.codes.reshape(layout.blocks), zeros, level, layout)

    def _scales(self, statistics: Statistics, second: float | None, short_last: bool, blocks: Any) -> Scales:
        """Compute the scales of some blocks from their statistics, and write their codes and zero points."""
        scales = self.method.scales(statistics, second, short_last)
        self.scales[blocks] = scales.codes
        if self.zeros is not None:
            self.zeros[blocks] = self.method.zero_points(statistics, scales)
        return scales

    def _scales_of_chunk(self, chunk: BlockChunk, scales: Scales | None) -> Scales:
        """Return a chunk's part of all scales, or the scales computed from its numbers."""
        blocked, blocks = self.blocked, self.blocked.blocks_of(chunk)
        if scales is not None:
            return Scales(*(numbers[blocks] for numbers in scales))
        x = blocked.x[chunk.rows, chunk.columns]
        statistics = statistics_of_rows(x, blocked.rows.block, self.method.statistic)
        short_last = blocked.short_last and chunk.columns.stop == blocked.rows.length
        return self._scales(statistics, None, short_last, blocks)

    # -- codes, in three ways ------------------------------------------------------------------------------------------

    def _elements(self, scales_follow: bool) -> Elements | None:
        """Return the method that computes codes; None if only the general kernel rounds once."""
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
        """Compute the codes of rows of blocks, on several threads; entirely in kernels if there is such a fast path."""
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
        """Compute codes in the C order of x, treating each number as a block."""
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

            BlockRows(1, x.size, 1).for_each_chunk(work)
            return blocked.arranged(codes.reshape(layout.shape))

        codes = encode_by(scales)
        if choice is not None:
            self.scales[...] = choice.keep_smaller_error(blocked.x, blocked.cut.block, ..., scales, encode_by, codes)
        return blocked.restored(codes)

    def _codes_by_division(self, scales: Scales | None, second: float | None) -> NDArray[Any]:
        """Compute all codes by the general kernel's division."""
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
    """Quantize flat scales, minus their offset, to the nested scheme."""
    if scheme.scale_rule.offset is not None:
        if offset is None:
            offset = float(wide(np.asarray(mean(values, result="float32")))) if values.size else 0.0
        values = Arithmetic(FLOAT32).subtract(values, offset)
    assert isinstance(scheme.block, int)
    layout = Layout(values.shape, (scheme.block,))
    random, given = _Random(None, None, 0), GivenScales(None, None, None)
    q = _Quantization(scheme, values, layout, random, None, FLOAT32).run(given)
    return q if offset is None else q._under(q.scheme, offset)

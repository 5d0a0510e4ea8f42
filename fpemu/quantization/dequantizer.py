"""Dequantization: numbers from codes and scales, each product rounded once."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu.arithmetic import divide, fma, is_finite, is_zero, multiply, subtract, vecdot
from fpemu.arrays import Array
from fpemu.casting import decode
from fpemu.casting.buffers import Scratch, check_out
from fpemu.casting.fast_paths import widening
from fpemu.casting.fpu import fpu_is_fit
from fpemu.casting.plans import Plan, plan
from fpemu.formats import EXACT, FLOAT32, FLOAT64, FloatFormat, Format, IntFormat
from fpemu.formats.facts.exactness import Span, carrier_of, holds, span, span_of
from fpemu.quantization.blocks import BlockChunk, BlockRows
from fpemu.quantization.floats import Arithmetic
from fpemu.quantization.parts import QuantizedParts

__all__ = ["dequantize"]

_FLOAT_FORMATS: dict[np.dtype[Any], FloatFormat] = {np.dtype(np.float32): FLOAT32, np.dtype(np.float64): FLOAT64}
_DTYPES = tuple(_FLOAT_FORMATS)
DIFFERENCE_BITS = 31  # most bits of the differences of integers that kernels accept
PRODUCT = FloatFormat("product", 64, 49)  # two such numbers represent a product of 53 and 24 digits, in any range
LEAST_ZERO_POINT = -(1 << 30)  # a zero point far below all integers, for scales that are not finite
LOOKED_UP = 4  # most bits of elements whose values fit into a register


def dequantize(q: QuantizedParts, dtype: np.dtype[Any], out: NDArray[Any] | None) -> NDArray[Any]:
    """(element - zero point) x scale x the second level's scale, rounded once to float32 or float64.

    Parameters
    ----------
    q : Quantized
    dtype : numpy.dtype
    out : numpy.ndarray or None

    Returns
    -------
    numpy.ndarray
        Of q's shape.
    """
    if dtype not in _DTYPES:
        raise TypeError(f"numbers are dequantized to float32 or float64, not {dtype}")
    if out is None:
        out = np.empty(q.shape, dtype)
    check_out(out, q.shape, dtype)
    if q.offset is not None:
        out[...] = _with_offset(q, q.offset, dtype)
        return out
    factors = _factors(q, dtype) if fpu_is_fit() else None
    if factors is None:
        out[...] = _by_exact_arithmetic(q, dtype)
        return out
    rows = q.layout.rows if q.codes.flags.c_contiguous and out.flags.c_contiguous else None
    if rows is None:
        _by_element(q, *factors, out)
    elif out.size:
        _by_rows(q, *factors, BlockRows(*rows).joined, out)
    return out


def _with_offset(q: QuantizedParts, offset: float, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Element x scale + offset, rounded once; the product is rounded first if the profile's `Steps` do that."""
    if _decode(q) == "product_plus_offset":
        plain = q.without_offset()
        product = dequantize(plain, np.dtype(np.float32), None)
        return Arithmetic(FLOAT32).add(product, offset)
    scales = q.layout.per_element(decode(q.scales, q.scheme.scale))
    return np.asarray(fma(Array(q.codes, q.scheme.element), scales, offset, result=dtype.name).values)


def _decode(q: QuantizedParts) -> str:
    steps = q.scheme.own_profile.steps
    return "product" if steps is None else steps.decode


def _span_of_second(second: float | None) -> Span:
    """The span of the second level's scale; that of 1 if there is none, or it multiplies exactly: 0, NaN, infinity."""
    if second is None or not 0 < second < math.inf:
        return Span(0, 0, 0)
    integer, divisor = second.as_integer_ratio()
    return span_of(integer, 1 - divisor.bit_length())


@functools.lru_cache(maxsize=64)
def _span_of_differences(element: IntFormat, zero_point: IntFormat | int) -> Span:
    """The span of elements minus zero points."""
    ends = (zero_point, zero_point) if isinstance(zero_point, int) else (zero_point.min_int, zero_point.max_int)
    lowest = element.min_int - element.symmetric  # it decodes, but casts never produce it
    bits = max(element.max_int - ends[0], ends[1] - lowest).bit_length()
    return Span(bits, 0, bits)


def _is_integer(element: Format) -> bool:
    """Whether `_elements` returns integers, ignoring fraction bits."""
    return isinstance(element, IntFormat) and (not element.signed or element.encoding == "twos_complement")


def _factors(q: QuantizedParts, dtype: np.dtype[Any]) -> tuple[NDArray[Any], Any] | None:
    """Two factors by which the results of `_elements` are multiplied, one after the other, and rounded once.

    They are float32 or float64: either all products but the last are exact in that type, or all are, and the rounding
    is to float32.  The second factor is None if elements are divided by the first.  None if neither type suffices.
    """
    scheme, second, decoding = q.scheme, q.second_scale, _decode(q)
    element, scale, unit = span(scheme.element), span(scheme.scale), 0
    if scheme.zero_point is not None:
        assert isinstance(scheme.element, IntFormat)
        element = _span_of_differences(scheme.element, scheme.zero_point)
        if element.digits > DIFFERENCE_BITS:
            return None
    elif _is_integer(scheme.element):
        element, unit = Span(element.digits, 0, element.bits), element.low
    own = _FLOAT_FORMATS[dtype]
    plain = not unit and element.fits(own) and scale.fits(own)
    if decoding == "quotient":
        return (np.asarray(decode(q.scales, scheme.scale, dtype=dtype)), None) if plain else None
    if not (second is None or isinstance(second, float)):
        return (q.scale_values.astype(dtype), dtype.type(1)) if plain else None
    if decoding == "scales_first":
        first = Arithmetic(FLOAT32).multiply(decode(q.scales, scheme.scale), second)
        return (first.astype(dtype), dtype.type(1)) if plain else None
    last, moved = _span_of_second(second), Span(scale.digits, scale.low + unit, scale.high + unit)
    for kind in _DTYPES[_DTYPES.index(dtype) :]:
        own = _FLOAT_FORMATS[kind]
        if not all(numbers.fits(own) for numbers in (element, scale, moved, last)):
            continue
        if kind != dtype and not element.times(moved, last).fits(own):
            continue
        with np.errstate(all="ignore"):  # signalling NaNs
            values = np.asarray(decode(q.scales, scheme.scale, dtype=kind))
            values = np.ldexp(values, unit) if unit else values
            if second is None:
                return values, kind.type(1)
            if moved.times(last).fits(own):
                return values * kind.type(second), kind.type(1)
        if q.zero_points is None and element.times(moved).fits(own):
            return values, kind.type(second)
    return None


def _elements(codes: NDArray[Any], element: Format, scratch: Scratch) -> NDArray[Any]:
    """Codes as numbers; as integers, ignoring fraction bits, for formats that `_is_integer` accepts."""
    from fpemu.kernels.cpu.blocks import sign_extended

    flat = np.ascontiguousarray(codes).reshape(-1)
    if isinstance(element, IntFormat) and _is_integer(element):
        if not element.signed:
            return codes
        kind = np.dtype(f"i{codes.itemsize}")
        if element.bits == 8 * codes.itemsize:
            return codes.view(kind)
        numbers = scratch.of("elements", flat.size, kind)
        sign_extended(flat, codes.dtype.type(1 << (element.bits - 1)), numbers)
        return numbers.reshape(codes.shape)
    work = _decoding(element)
    numbers = scratch.of("elements", flat.size, work.target.name)
    work.prepare(flat.size)
    work(flat, numbers.view(work.out_dtype))
    return numbers.reshape(codes.shape)


@functools.lru_cache(maxsize=64)
def _decoding(element: Format) -> Plan:
    carrier = carrier_of(element)
    assert carrier is not None
    return plan(element, carrier, carrier.check_profile(EXACT), None)


@functools.lru_cache(maxsize=64)
def _lookup_kernel(element: Format, dtype: np.dtype[Any]) -> Callable[..., None] | None:
    """A kernel that decodes and multiplies by factors in one pass; None if there is none for the format."""
    from fpemu.kernels.cpu import blocks

    if isinstance(element, IntFormat) or element.bits > 8 or not holds(FLOAT32, element) or dtype != np.float32:
        return None
    if element.bits <= LOOKED_UP:
        codes = np.minimum(np.arange(1 << LOOKED_UP, dtype=np.uint8), element.code_count - 1)  # above: never looked up
        table = np.asarray(decode(codes, element), np.float32)
        return lambda codes, *rest: blocks.looked_up(codes, table, blocks.PERMUTES, *rest)
    words = widening(element) if isinstance(element, FloatFormat) else None
    if words is None:
        return None
    return lambda codes, *rest: blocks.widened_times(codes, words, *rest)


def _by_rows(q: QuantizedParts, factors: NDArray[Any], last: Any, rows: BlockRows, out: NDArray[Any]) -> None:
    from fpemu.kernels.cpu import blocks

    shape = rows.height, rows.blocks
    codes, to = q.codes.reshape(rows.height, rows.length), out.reshape(rows.height, rows.length)
    factors = factors.reshape(shape)
    zeros = None if q.zero_points is None else _bounded_zero_points(q.zero_points).reshape(shape)
    cut, scratch, element = rows.cut, Scratch(), q.scheme.element
    lookup = None if zeros is not None or last is None else _lookup_kernel(element, out.dtype)

    def per_cut_block(of_blocks: NDArray[Any], chunk: BlockChunk) -> NDArray[Any]:
        if cut is rows:
            return of_blocks[chunk.rows, chunk.blocks]
        return np.repeat(of_blocks[chunk.rows], chunk.blocks.stop - chunk.blocks.start, axis=1)

    def work(chunk: BlockChunk) -> None:
        of_chunk, target = codes[chunk.rows, chunk.columns], to[chunk.rows, chunk.columns]
        by = per_cut_block(factors, chunk)
        if lookup is not None:
            lookup(of_chunk, by, cut.block, last, target)
            return
        numbers = _elements(of_chunk, element, scratch)
        if last is None:
            blocks.divided(numbers, by, cut.block, target)
        elif zeros is None:
            blocks.multiplied(numbers, by, cut.block, last, target)
        else:
            blocks.shifted_back(numbers, per_cut_block(zeros, chunk), by, cut.block, target)

    cut.for_each_chunk(work)


def _bounded_zero_points(zeros: NDArray[Any]) -> NDArray[np.int32]:
    return np.maximum(np.asarray(zeros, np.int64), LEAST_ZERO_POINT).astype(np.int32)


def _by_element(q: QuantizedParts, factors: NDArray[Any], last: Any, out: NDArray[Any]) -> None:
    numbers = _elements(q.codes, q.scheme.element, Scratch())
    if q.zero_points is not None:
        numbers = numbers.astype(np.int32) - q.layout.per_element(_bounded_zero_points(q.zero_points))
    with np.errstate(all="ignore"):
        numbers, by = numbers.astype(factors.dtype), q.layout.per_element(factors)
        out[...] = numbers / by if last is None else numbers * by * last


def _by_exact_arithmetic(q: QuantizedParts, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The same numbers by the general kernels, for any number of digits and any modes of the FPU."""
    lefts, scales = _differences(q), _as_array(np.asarray(q.scale_values))
    decoding, second = _decode(q), q.second_scale
    if decoding == "quotient":
        return np.asarray(divide(lefts[0], _per_element(q, scales), result=dtype.name).values)
    rights = [scales]
    if isinstance(second, float):
        first = decoding == "scales_first"
        rights = [multiply(scales, second, result="float32")] if first else _products_of_scales(scales, second)
    rights = [_per_element(q, right) for right in rights]
    products = np.asarray(multiply(lefts[0], rights[0], result=dtype.name).values)
    if len(lefts) == len(rights) == 1:
        return products
    left, right = zip(*itertools.product(lefts[1:] or lefts, rights), strict=True)
    exact = vecdot(
        *(Array(np.stack([x.codes for x in side], -1), side[0].format) for side in (left, right)), result=dtype.name
    )
    plain = [is_finite(side[0]) & ~is_zero(side[0]) for side in (lefts, rights)]
    return np.where(plain[0] & plain[1], exact.values, products)


def _as_array(x: NDArray[Any]) -> Array:
    return Array(x.view(f"u{x.itemsize}"), x.dtype.name)


def _per_element(q: QuantizedParts, of_blocks: Array) -> Array:
    return Array(q.layout.per_element(of_blocks.codes), of_blocks.format)


def _differences(q: QuantizedParts) -> list[Array]:
    """Elements minus their zero points: exact, or the rounded difference and two numbers whose sum is the exact one."""
    element, zero_point = q.scheme.element, q.scheme.zero_point
    numbers = Array(q.codes, element)
    if zero_point is None or q.zero_points is None:
        return [numbers]
    zeros = q.layout.per_element(q.zero_points)
    assert isinstance(element, IntFormat)
    if _span_of_differences(element, zero_point).digits < 64:
        return [subtract(numbers, zeros, result="int64")]
    integers = numbers.values.astype(np.int64)  # of 32 bits at most
    upper, lower = (-(zeros >> 32)) * 2.0**32, (integers - (zeros & 0xFFFFFFFF)).astype(np.float64)
    return [_as_array(upper + lower), _as_array(upper), _as_array(lower)]


def _products_of_scales(scales: Array, second: float) -> list[Array]:
    """Scales times the second level's scale: one or two numbers whose sum is the exact product."""
    high = multiply(scales, second, result=PRODUCT, rounding="toward_zero")
    low = fma(scales, second, -high, result=PRODUCT)
    return [high] if is_zero(low).all() else [high, low]

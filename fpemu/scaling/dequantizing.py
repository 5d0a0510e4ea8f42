"""From codes and scales back to numbers, each product rounded once."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fpemu.arithmetic import divide, fma, multiply, subtract
from fpemu.array import Array
from fpemu.casting import decode
from fpemu.chunks import Scratch
from fpemu.formats import FloatFormat, Format, IntFormat, TableFormat
from fpemu.plans import Plan, plan
from fpemu.profiles import IEEE
from fpemu.registry import dtype as find_format
from fpemu.running import check_out
from fpemu.scaling.pieces import Piece, Rows, in_pieces
from fpemu.scaling.stepping import FLOAT32, Arithmetic, fpu_is_fit

if TYPE_CHECKING:
    from fractions import Fraction

    from fpemu.scaling.quantized import Quantized

__all__ = ["deciding_digits", "deciding_format", "dequantize", "digits"]

_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
LEAST = -(1 << 30)  # a zero point far below all integers, of scales that are not finite
SHORT = 24  # bits of integers whose differences float32 and int32 have
LOOKED_UP = 4  # bits of elements whose values fit a register


def digits(fmt: Format) -> int:
    """The most binary digits that a value of a format has."""
    if isinstance(fmt, FloatFormat):
        return fmt.precision
    if isinstance(fmt, IntFormat):
        return fmt.bits
    return max(abs(fmt.scaled(code)[0]).bit_length() for code in range(fmt.code_count))


def deciding_digits(fmt: Format) -> int:
    """The most binary digits of the numbers at which a rounding to a format decides: its values, and their middles."""
    if not isinstance(fmt, TableFormat):
        return digits(fmt) + 1
    return max(abs(mark.numerator).bit_length() for mark in _marks(fmt))


def _marks(book: TableFormat) -> list[Fraction]:
    """A codebook's values, and the middles between two."""
    values = sorted({book.exact(code) for code in range(book.code_count)})
    return values + [(low + high) / 2 for low, high in itertools.pairwise(values)]


@functools.lru_cache(maxsize=16)
def deciding_format(book: TableFormat) -> FloatFormat:
    """A format of 64 bits with a digit more than all at which a rounding to a codebook decides.

    A number rounded to odd to it falls where the number itself does.

    Raises
    ------
    ValueError
        If there is none.
    """
    marks = [(abs(mark.numerator).bit_length(), mark.denominator.bit_length() - 1) for mark in _marks(book)]
    deepest = max(places for _, places in marks)
    for exponent_bits in range(4, 12):
        fmt = FloatFormat(f"{book.name} and between", 64, 64 - exponent_bits)
        few = all(length < fmt.precision and length - places <= fmt.bias for length, places in marks)
        if few and -deepest > fmt.quantum_exponent:
            return fmt
    raise ValueError(f"{book}'s values lie too close to what decides between them")


def dequantize(q: Quantized, dtype: np.dtype[Any], out: NDArray[Any] | None) -> NDArray[Any]:
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
    found = _factors(q, dtype) if fpu_is_fit() else None
    if found is None:
        out[...] = _general(q, dtype)
        return out
    rows = q.layout.rows if q.codes.flags.c_contiguous and out.flags.c_contiguous else None
    if rows is None:
        _spread(q, *found, out)
    elif out.size:
        _by_rows(q, *found, Rows(*rows).joined, out)
    return out


def _with_offset(q: Quantized, offset: float, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Element x scale + offset, rounded once; or the product too, as `Steps` says."""
    if _decode(q) == "plain_sum":
        plain = type(q)(q.scheme, q.codes, q.scales, q.zero_points, q.second_scale, q.layout)
        product = dequantize(plain, np.dtype(np.float32), None)
        return Arithmetic(FLOAT32).add(product, offset)
    scales = q.layout.spread(decode(q.scales, q.scheme.scale))
    return np.asarray(fma(Array(q.codes, q.scheme.element), scales, offset, result=dtype.name).values)


def _decode(q: Quantized) -> str:
    steps = q.scheme.own_profile.steps
    return "product" if steps is None else steps.decode


def _factors(q: Quantized, dtype: np.dtype[Any]) -> tuple[NDArray[Any], Any] | None:
    """What elements (integers, not fixed point) are multiplied by, one after the other, to be rounded once.

    float32 or float64: either everything but the last product is exact there, or all is and the rounding is to float32.
    The second is None where elements are divided by the first.
    """
    scheme, second = q.scheme, q.second_scale
    if _decode(q) == "quotient":
        return np.asarray(decode(q.scales, scheme.scale, dtype=dtype)), None
    if not (second is None or isinstance(second, float)):
        return (q.scale_values.astype(dtype), dtype.type(1)) if digits(scheme.element) <= 24 else None
    if _decode(q) == "scales_first":
        first = Arithmetic(FLOAT32).multiply(decode(q.scales, scheme.scale), second)
        return first.astype(dtype), dtype.type(1)
    if q.zero_points is not None and scheme.element.bits > SHORT:
        return None
    element = digits(scheme.element) + (q.zero_points is not None)  # an integer less a zero point has one digit more
    scale = digits(scheme.scale)
    fits = element <= 24 and scale <= 24 and (second is None or element + scale <= 24)
    single = dtype == np.float32 and fits
    kind = np.dtype(np.float32 if single else np.float64)
    if not single and element + scale + (0 if second is None else 24) > 53:
        return None
    values = np.asarray(decode(q.scales, scheme.scale, dtype=kind))
    unit = -scheme.element.fraction_bits if isinstance(scheme.element, IntFormat) else 0
    if unit:
        exactly = values
        values = np.ldexp(exactly, unit)
        if not np.array_equal(np.ldexp(values, -unit), exactly, equal_nan=True):
            return None
    return values, kind.type(1.0 if second is None else second)


def _elements(codes: NDArray[Any], element: Format, scratch: Scratch) -> NDArray[Any]:
    """Codes, all of the format, as numbers; as integers in integer formats, whatever their fraction bits."""
    from fpemu.kernels.scaling import sign_extended

    flat = np.ascontiguousarray(codes).reshape(-1)
    if isinstance(element, IntFormat) and (not element.signed or element.encoding == "twos_complement"):
        if not element.signed:
            return codes
        kind = np.dtype(f"i{codes.itemsize}")
        if element.bits == 8 * codes.itemsize:
            return codes.view(kind)
        numbers = scratch.of("elements", flat.size, kind)
        sign_extended(flat, codes.dtype.type(1 << (element.bits - 1)), numbers)
        return numbers.reshape(codes.shape)
    numbers = scratch.of("elements", flat.size, _carrier(element).name)
    work = _decoding(element)
    work.prepare(flat.size)
    work(flat, numbers.view(work.out_dtype))
    return numbers.reshape(codes.shape)


@functools.lru_cache(maxsize=64)
def _carrier(element: Format) -> FloatFormat:
    """The narrower of float32 and float64 that has a format's values."""
    found = find_format(decode(np.zeros(0, element.code_dtype), element).dtype)
    assert isinstance(found, FloatFormat)
    return found


@functools.lru_cache(maxsize=64)
def _decoding(element: Format) -> Plan:
    carrier = _carrier(element)
    return plan(element, carrier, carrier.check_profile(IEEE.replace(nan_payload="keep")), None)


def _at_once(element: Format, dtype: np.dtype[Any]) -> Callable[..., None] | None:
    """A kernel from codes to numbers times factors, without the elements between; None where there is none."""
    from fpemu.grids import widening
    from fpemu.kernels import narrow

    if isinstance(element, IntFormat) or element.bits > 8 or _carrier(element).bits != 32 or dtype != np.float32:
        return None
    if element.bits <= LOOKED_UP:
        codes = np.minimum(np.arange(1 << LOOKED_UP, dtype=np.uint8), element.code_count - 1)  # above: never looked up
        table = np.asarray(decode(codes, element), np.float32)
        return lambda codes, *rest: narrow.looked_up(codes, table, narrow.PERMUTES, *rest)
    words = widening(element) if isinstance(element, FloatFormat) else None
    if words is None:
        return None
    return lambda codes, *rest: narrow.widened_times(codes, words, *rest)


def _by_rows(q: Quantized, factors: NDArray[Any], last: Any, rows: Rows, out: NDArray[Any]) -> None:
    from fpemu.kernels import scaling as kernels

    shape = rows.height, rows.blocks
    codes, to = q.codes.reshape(rows.height, rows.length), out.reshape(rows.height, rows.length)
    factors = factors.reshape(shape)
    zeros = None if q.zero_points is None else np.maximum(q.zero_points, LEAST).reshape(shape).astype(np.int32)
    cut, scratch, element = rows.cut, Scratch(), q.scheme.element
    at_once = None if zeros is not None or last is None else _at_once(element, out.dtype)

    def of_piece(of_blocks: NDArray[Any], piece: Piece) -> NDArray[Any]:
        if cut is rows:
            return of_blocks[piece.rows, piece.blocks]
        return np.repeat(of_blocks[piece.rows], piece.blocks.stop - piece.blocks.start, axis=1)

    def work(piece: Piece) -> None:
        few = codes[piece.rows, piece.columns]
        own, target = of_piece(factors, piece), to[piece.rows, piece.columns]
        if at_once is not None:
            at_once(few, own, cut.block, last, target)
            return
        numbers = _elements(few, element, scratch)
        if last is None:
            kernels.divided(numbers, own, cut.block, target)
        elif zeros is None:
            kernels.multiplied(numbers, own, cut.block, last, target)
        else:
            kernels.shifted_back(numbers, of_piece(zeros, piece), own, cut.block, target)

    in_pieces(work, cut)


def _spread(q: Quantized, factors: NDArray[Any], last: Any, out: NDArray[Any]) -> None:
    numbers = _elements(q.codes, q.scheme.element, Scratch())
    if q.zero_points is not None:
        numbers = numbers.astype(np.int32) - q.layout.spread(np.maximum(q.zero_points, LEAST)).astype(np.int32)
    with np.errstate(all="ignore"):
        numbers, by = numbers.astype(factors.dtype), q.layout.spread(factors)
        out[...] = numbers / by if last is None else numbers * by * last


def _general(q: Quantized, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The same by the general kernels: any number of digits, and whatever the FPU's modes are."""
    numbers: Any = Array(q.codes, q.scheme.element)
    if q.zero_points is not None:
        numbers = subtract(numbers, q.layout.spread(q.zero_points), result="int64")
    scales: Any = q.layout.spread(q.scale_values.astype(np.float64))
    if isinstance(q.second_scale, float):
        by = "float32" if _decode(q) == "scales_first" else "float64"
        scales = multiply(scales, q.second_scale, result=by)
    product = (divide if _decode(q) == "quotient" else multiply)(numbers, scales, result=dtype.name)
    return np.asarray(product.values if isinstance(product, Array) else product)

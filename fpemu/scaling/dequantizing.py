"""From codes and scales back to numbers, each product rounded once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fpemu.arithmetic import multiply, subtract
from fpemu.array import Array
from fpemu.casting import decode
from fpemu.chunks import Scratch
from fpemu.formats import FloatFormat, Format, IntFormat
from fpemu.scaling.pieces import Piece, Rows, in_pieces
from fpemu.scaling.stages import fpu_is_fit

if TYPE_CHECKING:
    from fpemu.scaling.quantized import Quantized

__all__ = ["dequantize", "digits"]

_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


def digits(fmt: Format) -> int:
    """The most binary digits that a value of a format has."""
    if isinstance(fmt, FloatFormat):
        return fmt.precision
    if isinstance(fmt, IntFormat):
        return fmt.bits
    return max(abs(fmt.scaled(code)[0]).bit_length() for code in range(fmt.code_count))


def dequantize(q: Quantized, dtype: np.dtype[Any]) -> NDArray[Any]:
    """(element - zero point) x scale x the second level's scale, rounded once to float32 or float64.

    Parameters
    ----------
    q : Quantized
    dtype : numpy.dtype

    Returns
    -------
    numpy.ndarray
        Of q's shape.
    """
    if dtype not in _DTYPES:
        raise TypeError(f"numbers are dequantized to float32 or float64, not {dtype}")
    scheme, second = q.scheme, q.second_scale
    spare = 1 if q.zero_points is not None else 0  # an integer less a zero point has one digit more
    element, scale = digits(scheme.element) + spare, digits(scheme.scale)
    single = second is None and dtype == np.float32 and element <= 24 and scale <= 24
    exact = element + scale + (0 if second is None else 24) <= 53
    if not (fpu_is_fit() and (single or exact)):
        return _general(q, dtype)
    factors = np.asarray(decode(q.scales, scheme.scale, dtype=np.float32 if single else np.float64))
    if second is not None:
        factors = factors * second  # exact: 48 digits at most
    out = np.empty(q.shape, dtype)
    rows = q.layout.rows if q.codes.flags.c_contiguous else None
    if rows is None:
        _spread(q, factors, out)
    elif out.size:
        _by_rows(q, factors, Rows(*rows), out)
    return out


def _elements(codes: NDArray[Any], element: Format, scratch: Scratch) -> NDArray[Any]:
    """Codes as numbers: integers where they are."""
    if isinstance(element, IntFormat) and element.fraction_bits == 0 and element.bits == 8 * codes.itemsize:
        if not element.signed:
            return codes
        if element.encoding == "twos_complement":
            return codes.view(f"i{codes.itemsize}")
    kind = decode(codes[:0], element).dtype
    return np.asarray(decode(codes, element, out=scratch.of("elements", codes.size, kind).reshape(codes.shape)))


def _by_rows(q: Quantized, factors: NDArray[Any], rows: Rows, out: NDArray[Any]) -> None:
    from fpemu.kernels import scaling as kernels

    codes, to = q.codes.reshape(rows.height, rows.length), out.reshape(rows.height, rows.length)
    factors = factors.reshape(rows.height, rows.blocks)
    zeros = None if q.zero_points is None else q.zero_points.reshape(factors.shape).astype(np.int32)

    scratch = Scratch()

    def work(piece: Piece) -> None:
        numbers = _elements(codes[piece.rows, piece.columns], q.scheme.element, scratch)
        own, target = factors[piece.rows, piece.blocks], to[piece.rows, piece.columns]
        if zeros is None:
            kernels.multiplied(numbers, own, rows.block, target)
        else:
            kernels.shifted_back(numbers, zeros[piece.rows, piece.blocks], own, rows.block, target)

    in_pieces(work, rows)


def _spread(q: Quantized, factors: NDArray[Any], out: NDArray[Any]) -> None:
    numbers = _elements(q.codes, q.scheme.element, Scratch())
    if q.zero_points is not None:
        numbers = numbers.astype(np.int32) - q.layout.spread(q.zero_points).astype(np.int32)
    with np.errstate(all="ignore"):
        out[...] = numbers.astype(factors.dtype) * q.layout.spread(factors)


def _general(q: Quantized, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The same by the general kernels: any number of digits, and whatever the FPU's modes are."""
    numbers: Any = Array(q.codes, q.scheme.element)
    if q.zero_points is not None:
        numbers = subtract(numbers, q.layout.spread(q.zero_points), result="int64")
    scales: Any = q.layout.spread(decode(q.scales, q.scheme.scale, dtype=np.float64))
    if q.second_scale is not None:
        scales = multiply(scales, q.second_scale, result="float64")
    product = multiply(numbers, scales, result=dtype.name)
    return np.asarray(product.values if isinstance(product, Array) else product)

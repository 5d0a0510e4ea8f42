"""Checks of a quantized array's parts against its scheme: codes, scales, zero points, the second level."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from fpemu.arithmetic import exact_codes
from fpemu.casting import as_source, carries_codes, decode, encode, in_range, pack, unpack
from fpemu.formats import FLOAT32, FloatFormat, Format, IntFormat, same_codes
from fpemu.formats.lookup import brief
from fpemu.quantization.blocks import Layout

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fpemu.quantization.definition.scaled_format import ScaledFormat

WORD_BITS = (8, 16, 32, 64)  # of packed words

__all__ = [
    "QuantizedParts",
    "check_layout",
    "check_memory",
    "element_codes",
    "exact_number",
    "offset_of",
    "packed_zero_points",
    "scale_codes",
    "sizes_of",
    "unpacked",
    "unpacked_zero_points",
    "zero_points_in",
]


class QuantizedParts(Protocol):
    """The parts of a quantized array that this module reads; `fpemu.Quantized` has them."""

    @property
    def scheme(self) -> ScaledFormat:
        """The scheme of codes and scales."""

    @property
    def layout(self) -> Layout:
        """The array's shape and its blocks."""

    @property
    def codes(self) -> NDArray[Any]:
        """The elements' codes, in the array's shape."""

    @property
    def scales(self) -> NDArray[Any]:
        """The scales' codes, one for each block."""

    @property
    def zero_points(self) -> NDArray[Any] | None:
        """The zero points, one for each block."""

    @property
    def second_scale(self) -> Any:
        """The second level's scale, or the scales quantized to the nested scheme."""

    @property
    def offset(self) -> float | None:
        """The number subtracted from nested scales before they are quantized."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The array's shape."""

    @property
    def scale_values(self) -> Any:
        """The scales as numbers."""

    def without_offset(self) -> QuantizedParts:
        """The same array with no offset."""


def element_codes(x: Any, fmt: Format) -> NDArray[Any]:
    """The elements' codes in their format's dtype, from unsigned integers or an array of the format.

    Raises
    ------
    TypeError
        If x is of another kind.
    ValueError
        If a code is out of range, or an Array has another format.
    """
    if isinstance(x, list | tuple | int):
        return _in_code_dtype(as_source(x, fmt).codes, fmt)
    given = as_source(x)
    if same_codes(given.format, fmt):
        return _in_code_dtype(given.codes, fmt)
    if carries_codes(x):
        raise ValueError(f"codes: an Array of {given.format.name}, not of {fmt.name}")
    if given.dtype is None or given.dtype.kind not in "iu":
        kind = given.format.name if given.dtype is None else given.dtype
        raise TypeError(f"codes of {fmt.name} must be unsigned integers, not {kind}: use quantize for numbers")
    try:
        return _in_code_dtype(as_source(x, fmt).codes, fmt)
    except ValueError as error:
        raise ValueError(f"codes: {error}") from None


def scale_codes(x: Any, scheme: ScaledFormat, layout: Layout) -> NDArray[Any]:
    """The scales' codes, one for each block, from unsigned integers, which are codes, or from floats.

    Raises
    ------
    TypeError
        If x contains signed integers, which could be codes or numbers, or no numbers.
    ValueError
        If a code is out of range, a number is not a value of the scales' format, or the shape is not the blocks'.
    """
    fmt, given = scheme.scale_format, as_source(x)
    if same_codes(given.format, fmt):
        codes = given.codes
    elif isinstance(given.format, FloatFormat):
        codes, exact = exact_codes(x, given, fmt)
        if not exact.all():
            wrong = given.format.value(int(np.asarray(given.codes)[~exact].flat[0]))
            raise ValueError(
                f"scales: {wrong!r} is not a value of {fmt.name}; use quantize(x, scheme, scales=...) to round scales"
            )
    elif given.dtype is not None and given.dtype.kind == "u":
        try:
            codes = as_source(x, fmt).codes
        except ValueError as error:
            raise ValueError(f"scales: {error}") from None
    else:
        kind = given.format.name if given.dtype is None else given.dtype
        raise TypeError(
            f"scales must be codes (unsigned integers, as np.{np.dtype(fmt.code_dtype)}) or numbers (floats), "
            f"not {kind}"
        )
    codes = _in_block_shape(_in_code_dtype(codes, fmt), layout, "scales")
    return codes if codes.flags.writeable else codes.copy()  # kernels would be compiled again for read-only arrays


def zero_points_in(x: Any, scheme: ScaledFormat, layout: Layout, scales: NDArray[Any]) -> NDArray[np.int64] | None:
    """The zero points, one for each block; None where the scheme has none.

    In blocks whose scale is not finite they may be out of range, as in some tools: no number depends on them.

    Raises
    ------
    TypeError
        If they are not integers.
    ValueError
        If they are missing, superfluous, out of range, or not of the blocks' shape.
    """
    fixed = scheme.fixed_zero_point
    if scheme.zero_point is None:
        if x is not None:
            raise ValueError(f"{scheme} has no zero points: leave zero_points out")
        return None
    if x is None:
        if fixed is None:
            raise ValueError(f"{scheme} needs zero_points, one for each block")
        return np.full(layout.blocks, fixed, np.int64)
    given = as_source(x)
    fmt = given.format
    boolean = given.dtype is not None and given.dtype.kind == "b"
    if boolean or not isinstance(fmt, IntFormat) or fmt.fraction_bits != 0:
        raise TypeError(f"zero points must be integers, not {fmt.name if given.dtype is None else given.dtype}")
    zeros = _in_block_shape(np.asarray(decode(given.codes, fmt)), layout, "zero_points")
    _check_zero_points(zeros, scheme, scales)
    return zeros.astype(np.int64)


def _check_zero_points(zeros: NDArray[Any], scheme: ScaledFormat, scales: NDArray[Any]) -> None:
    fmt = scheme.zero_point
    low, high = (fmt.min_int, fmt.max_int) if isinstance(fmt, IntFormat) else (fmt, fmt)
    if not zeros.size or (low <= zeros.min() and zeros.max() <= high):
        return
    wrong = (zeros < low) | (zeros > high)
    if scheme.nested is None:
        wrong &= np.isfinite(decode(scales, scheme.scale))
    if wrong.any():
        raise ValueError(
            f"the zero point {zeros[wrong].flat[0]} of a block is not {low} to {high}, the range of {scheme}"
        )


def exact_number(x: Any, fmt: FloatFormat, name: str) -> float:
    """A value of a format as a float.

    Raises
    ------
    TypeError
        If x is not a number.
    ValueError
        If x is an array, or not a value of the format.
    """
    if isinstance(x, bool | np.bool_):
        raise TypeError(f"{name} must be a number, not {type(x).__name__}")
    given = as_source(x)
    if given.codes.ndim:
        raise ValueError(f"{name} is one number for the whole array, not an array of shape {given.codes.shape}")
    codes, exact = exact_codes(x, given, fmt)
    if not exact.all():
        raise ValueError(f"{name}: {x!r} is not a value of {fmt.name}")
    return float(decode(codes, fmt, dtype=np.float64))


def check_layout(layout: Any, scheme: ScaledFormat, shape: tuple[int, ...]) -> None:
    """Raise TypeError or ValueError unless a layout has this shape and the scheme's blocks."""
    if not isinstance(layout, Layout):
        raise TypeError(f"layout must be a Layout, such as a Quantized's, not {type(layout).__name__}")
    steps = tuple(layout.block_shape)
    if tuple(layout.shape) != shape or len(steps) != len(shape):
        raise ValueError(f"a layout of shape {layout.shape} and blocks {steps} does not fit codes of shape {shape}")
    if not all(isinstance(step, int | np.integer) and step >= 1 for step in steps):
        raise ValueError(f"lengths of blocks must be integers, 1 or more, not {steps}")
    block = scheme.block
    if isinstance(block, str):
        return
    lengths = block if isinstance(block, tuple) else (block,)
    if [step for step in steps if step > 1] != [length for length in lengths if length > 1]:
        raise ValueError(f"blocks of {' x '.join(map(str, steps))} are not those of {scheme}, {block}")


def check_memory(q: QuantizedParts) -> None:
    """Raise ValueError if arrays of a quantized array were written to and contain a code or zero point out of range."""
    scheme = q.scheme
    in_range(q.codes, scheme.element)
    in_range(q.scales, scheme.scale_format)
    if q.zero_points is not None:
        _check_zero_points(q.zero_points, scheme, q.scales)


def _in_code_dtype(codes: NDArray[Any], fmt: Format) -> NDArray[Any]:
    """Codes in their format's dtype, in native byte order."""
    return codes.astype(fmt.code_dtype, copy=False)


def _in_block_shape(x: NDArray[Any], layout: Layout, name: str) -> NDArray[Any]:
    if x.shape == layout.blocks:
        return x
    if x.size == 1 == math.prod(layout.blocks):
        return x.reshape(layout.blocks)
    raise ValueError(f"{name} of shape {x.shape} do not fit blocks of shape {layout.blocks}")


def sizes_of(shape: Any) -> tuple[int, ...]:
    """A shape as a tuple of int, checked."""
    sizes = shape if isinstance(shape, tuple | list) else (shape,)
    if not all(hasattr(n, "__index__") and not isinstance(n, bool) for n in sizes):
        raise TypeError(f"shape must be an int or a tuple of int, not {brief(shape)}")
    return tuple(int(n.__index__()) for n in sizes)


def unpacked(
    packed: Any, scheme: ScaledFormat, shape: int | tuple[int, ...], order: str = "low_first", word_bits: int = 8
) -> NDArray[Any]:
    """The elements' codes from packed words, signed or unsigned."""
    if isinstance(word_bits, int | np.integer) and not isinstance(word_bits, bool) and word_bits not in WORD_BITS:
        raise ValueError(f"word_bits must be one of {', '.join(map(str, WORD_BITS))}, not {word_bits}")
    words = np.asarray(packed)
    if words.dtype.kind == "i":
        words = words.view(words.dtype.str.replace("i", "u"))
    sizes = sizes_of(shape)
    return unpack(words, scheme.element, sizes or (1,), order=order, word_bits=word_bits).reshape(sizes)


def packed_zero_points(zeros: NDArray[Any], fmt: IntFormat, order: str = "low_first") -> NDArray[np.uint8]:
    """The codes of zero points, packed in C order.

    Raises
    ------
    ValueError
        If one does not fit the format, such as torchao's for a block with a NaN.
    """
    wrong = (zeros < fmt.min_int) | (zeros > fmt.max_int)
    if wrong.any():
        raise ValueError(f"the zero point {zeros[wrong].flat[0]} of a block does not fit {fmt}")
    return pack(np.asarray(encode(zeros, fmt)).reshape(-1), fmt, order=order)


def unpacked_zero_points(
    packed: NDArray[np.uint8], fmt: IntFormat, blocks: tuple[int, ...], order: str = "low_first"
) -> NDArray[np.int64]:
    """Zero points from their packed codes, as returned by `packed_zero_points`."""
    codes = unpack(packed, fmt, math.prod(blocks), order=order)
    return np.asarray(decode(codes, fmt)).astype(np.int64).reshape(blocks)


def offset_of(x: Any, scheme: ScaledFormat) -> float | None:
    """The number added to all dequantized numbers, checked; None where the scheme has none."""
    if scheme.scale_rule.offset is None:
        if x is not None:
            raise ValueError(f"{scheme} has no offset")
        return None
    if x is None:
        raise ValueError(f"{scheme} needs an offset")
    return exact_number(x, FLOAT32, "offset")

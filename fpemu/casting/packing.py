"""Pack codes narrower than a byte into a little-endian bit stream, and unpack them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpemu.casting.inputs import as_source
from fpemu.formats import as_int
from fpemu.formats import dtype as find_format
from fpemu.formats.lookup import brief, check_word

_ORDERS = ("low_first", "high_first")


def _word_bits(word_bits: int) -> int:
    word_bits = as_int(word_bits, "word_bits")
    if word_bits < 8 or word_bits % 8:
        raise ValueError(f"word_bits must be a multiple of 8, not {word_bits}")
    return word_bits


def _axis(axis: int, ndim: int) -> int:
    axis = as_int(axis, "axis")
    if not -ndim <= axis < ndim:
        raise ValueError(f"axis {brief(axis)} is out of range for {ndim} dimensions")
    return axis % ndim


def _word_dtype(word_bits: int) -> np.dtype[Any]:
    """The unsigned type of a word; words beyond 64 bits are given as their bytes."""
    return np.dtype(f"<u{word_bits // 8}") if word_bits in (8, 16, 32, 64) else np.dtype(np.uint8)


def pack(codes: ArrayLike, fmt: Any, *, order: str = "low_first", axis: int = -1, word_bits: int = 8) -> NDArray[Any]:
    """Pack codes: each row along `axis` becomes a bit stream, padded with zeros to a whole word.

    Parameters
    ----------
    codes : array_like of unsigned int
        Codes of `fmt`, or an `Array`; one dimension or more.
    fmt : str, Format or dtype
        Their format: each takes ``fmt.bits`` bits.
    order : {"low_first", "high_first"}
        The bits of a word that the first code takes: the lowest (ONNX, torch, CUDA) or the highest (bitsandbytes).
    axis : int
        The axis along which codes are packed.
    word_bits : int
        Bits of a word, a multiple of 8.

    Returns
    -------
    numpy.ndarray
        Words: uint8, or for 16, 32 and 64 bits that unsigned type; other widths (buses) as uint8 with the bytes of
        each word in little-endian order.

    Raises
    ------
    TypeError
        If the codes are not integers or an option is of the wrong kind.
    ValueError
        If a code is out of range, or `order`, `axis` or `word_bits` is impossible.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.pack([1, 2, 3], "float4_e2m1fn")
    array([33,  3], dtype=uint8)
    >>> fe.pack([1, 2, 3], "float4_e2m1fn", order="high_first")
    array([18, 48], dtype=uint8)
    """
    target = find_format(fmt)
    check_word(order, _ORDERS, "order")
    word_bits = _word_bits(word_bits)
    given = as_source(codes, target).codes
    if given.ndim == 0:
        raise ValueError("pack needs codes of one dimension or more")
    axis = _axis(axis, given.ndim)
    rows = np.moveaxis(given, axis, -1)
    length = rows.shape[-1] * target.bits
    words = -(-length // word_bits)
    bits = np.zeros((*rows.shape[:-1], words * word_bits), np.uint8)
    bits[..., :length] = _to_bits(rows, target.bits, order).reshape(*rows.shape[:-1], length)
    if order == "high_first":  # the stream fills each word from its top
        bits = bits.reshape(*rows.shape[:-1], words, word_bits)[..., ::-1].reshape(bits.shape)
    packed = np.packbits(bits, axis=-1, bitorder="little").view(_word_dtype(word_bits))
    return np.moveaxis(packed.astype(packed.dtype.newbyteorder("="), copy=False), -1, axis)


def _to_bits(codes: NDArray[Any], width: int, order: str) -> NDArray[np.uint8]:
    """The bits of each code on a new last axis: lowest first, or highest first for words filled from the top."""
    wide = codes.astype("<u8").reshape(*codes.shape, 1).view(np.uint8)
    bits = np.unpackbits(wide, axis=-1, bitorder="little")[..., :width]
    return bits[..., ::-1] if order == "high_first" else bits


def unpack(
    packed: ArrayLike,
    fmt: Any,
    shape: int | tuple[int, ...],
    *,
    order: str = "low_first",
    axis: int = -1,
    word_bits: int = 8,
) -> NDArray[Any]:
    """The codes that `pack` packed.

    Parameters
    ----------
    packed : array_like of unsigned int
        Words as `pack` returns them.
    fmt : str, Format or dtype
        The codes' format.
    shape : int or tuple of int
        The codes' shape; an int is a shape of one dimension.
    order : {"low_first", "high_first"}
        As for `pack`.
    axis : int
        As for `pack`.
    word_bits : int
        As for `pack`.

    Returns
    -------
    numpy.ndarray of unsigned integers
        Codes of that shape.

    Raises
    ------
    TypeError
        If `packed` is not of the words' dtype or an option is of the wrong kind.
    ValueError
        If `packed` does not have the shape that `pack` returns for these codes, or an option is impossible.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.unpack(fe.pack([1, 2, 3], "int5"), "int5", 3)
    array([1, 2, 3], dtype=uint8)
    """
    target = find_format(fmt)
    check_word(order, _ORDERS, "order")
    word_bits = _word_bits(word_bits)
    words = np.asarray(packed)
    dtype = _word_dtype(word_bits).newbyteorder("=")
    if words.dtype.newbyteorder("=") != dtype:
        raise TypeError(f"packed must be of dtype {dtype}, not {words.dtype}")
    sizes = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    if not all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in sizes):
        raise TypeError(f"shape must be an int or a tuple of int, not {brief(shape)}")
    if not sizes or any(n < 0 for n in sizes):
        raise ValueError(f"shape must have one dimension or more, none negative, not {brief(shape)}")
    axis = _axis(axis, len(sizes))
    row = [n for i, n in enumerate(sizes) if i != axis]
    length = sizes[axis] * target.bits
    in_row = -(-length // word_bits)
    count = in_row * (word_bits // 8) // dtype.itemsize
    expected = (*row[:axis], count, *row[axis:])
    if words.shape != expected:
        raise ValueError(f"packed must have shape {expected} for codes of shape {sizes}, not {words.shape}")
    rows = np.ascontiguousarray(np.moveaxis(words, axis, -1).astype(dtype.newbyteorder("<"), copy=False))
    bits = np.unpackbits(rows.view(np.uint8), axis=-1, bitorder="little")
    if order == "high_first":
        bits = bits.reshape(*row, in_row, word_bits)[..., ::-1].reshape(*row, in_row * word_bits)
    each = bits[..., :length].reshape(*row, sizes[axis], target.bits)
    each = each[..., ::-1] if order == "high_first" else each
    wide = np.zeros((*each.shape[:-1], 64), np.uint8)
    wide[..., : target.bits] = each
    codes = np.packbits(wide, axis=-1, bitorder="little").view("<u8")[..., 0].astype(target.code_dtype)
    return np.moveaxis(codes, -1, axis)

"""Codes in memory wider than their format: spare bits are cleared or refused before any look-up."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu.formats import Format

FEW = 64  # bytes: a search of so few is faster than numpy's reductions


def truths(x: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The bytes of a bool array, 0 or 1: its own memory, or a copy if other bytes stand for True.

    Examples
    --------
    >>> import numpy as np
    >>> from fpemu.casting.storage import truths
    >>> truths(np.array([0, 255, 1], np.uint8).view(bool))
    array([0, 1, 1], dtype=uint8)
    """
    bits = x.view(np.uint8)
    clean = not x.tobytes().strip(b"\0\1") if x.size <= FEW else np.maximum.reduce(bits, axis=None) <= 1
    return bits if clean else (bits != 0).view(np.uint8)


def cleared(codes: NDArray[Any], fmt: Format) -> NDArray[Any]:
    """Codes without the bits above the format's width; a copy if the memory is wider.

    Examples
    --------
    >>> import fpemu as fe, numpy as np
    >>> from fpemu.casting.storage import cleared
    >>> cleared(np.array([0xF8, 0x08], np.uint8), fe.dtype("int4"))
    array([8, 8], dtype=uint8)
    """
    if fmt.bits >= 8 * codes.itemsize:
        return codes
    return np.asarray(codes & codes.dtype.type((1 << fmt.bits) - 1))


def in_range(codes: NDArray[Any], fmt: Format) -> NDArray[Any]:
    """Return the codes after a range check, which is needed only if the memory is wider than the format.

    Parameters
    ----------
    codes : numpy.ndarray of int
    fmt : Format

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    ValueError
        If a number is not a code of the format.

    Examples
    --------
    >>> import fpemu as fe, numpy as np
    >>> from fpemu.casting.storage import in_range
    >>> in_range(np.array([1, 15], np.uint8), fe.dtype("int4"))
    array([ 1, 15], dtype=uint8)
    """
    signed = codes.dtype.kind == "i"
    if not codes.size or not (signed or fmt.code_count < 1 << 8 * codes.itemsize):
        return codes
    low = int(codes.min()) if signed else 0
    high = int(codes.item() if codes.size == 1 else codes.max())
    if low < 0 or high >= fmt.code_count:
        wrong = hex(low if low < 0 else high)
        raise ValueError(f"code {wrong} is out of range: the codes of {fmt.name} are 0 to {fmt.code_count - 1:#x}")
    return codes

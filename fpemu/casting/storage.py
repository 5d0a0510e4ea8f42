"""Codes in memory that is wider than they are: spare bits are cleared, or refused, before anything is looked up."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu.formats import Format

__all__ = ["cleared", "in_range", "truths"]

FEW = 64  # bytes: from here on numpy's reductions are faster than a search of the bytes


def truths(x: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The bytes of a bool array, 0 or 1: the array's own memory, or a copy where other bytes stand for True.

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
    """The low bits, which are a format's codes; a copy where the memory has more.

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
    """Codes of a format, as they are, each of them looked at where the memory could hold another number.

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
        If a number is no code of the format.

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

"""Arrays a piece at a time, in the order of their elements."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["CHUNK", "Scratch", "flat_chunks"]

CHUNK = 1 << 20  # elements: a few megabytes, so that what is done with a piece stays in the cache


def flat_chunks(x: NDArray[Any], size: int = CHUNK) -> Iterator[NDArray[Any]]:
    """The elements of an array in C order, as one-dimensional pieces.

    Parameters
    ----------
    x : numpy.ndarray
        Of any layout and any number of dimensions.
    size : int
        Elements of a piece; the last one may be shorter.

    Yields
    ------
    numpy.ndarray
        Views where the memory's order is the elements' order, else copies.

    Examples
    --------
    >>> import numpy as np
    >>> [piece.tolist() for piece in flat_chunks(np.arange(5), 2)]
    [[0, 1], [2, 3], [4]]
    """
    flat = x.reshape(-1) if x.flags.c_contiguous else x.flat  # a flatiter's slices are copies
    for start in range(0, x.size, size):
        yield flat[start : start + size]


class Scratch(threading.local):
    """Arrays that a thread uses again and again: to get them anew for each piece takes longer than to fill them.

    Examples
    --------
    >>> from fpemu.casting.buffers import Scratch
    >>> scratch = Scratch()
    >>> scratch.of("between", 3, "uint8").base is scratch.of("between", 2, "uint8").base
    True
    """

    def __init__(self) -> None:
        self._arrays: dict[tuple[Any, np.dtype[Any]], NDArray[Any]] = {}

    def of(self, what: str | int, size: int, dtype: Any) -> NDArray[Any]:
        """An array for a purpose, its numbers left over."""
        key = what, np.dtype(dtype)
        if key not in self._arrays or self._arrays[key].size < size:
            self._arrays[key] = np.empty(size, dtype)
        return self._arrays[key][:size]

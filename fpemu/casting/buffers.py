"""Arrays in chunks, over threads, and in place: what memory a loop reads and writes, and in which order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu.kernels import threads

CHUNK = 1 << 20  # elements: a few megabytes, which stay in the cache from one step to the next
CACHED = 1 << 14  # elements: their 64-bit codes stay in the first-level cache

threads.requested_count()  # refuses an impossible FPEMU_NUM_THREADS on import, not only where an array is large


def for_each_chunk(work: Callable[[int, int], None], size: int) -> None:
    """Call work(start, stop) for pieces that cover range(size), on several threads where it is worth it."""
    if size > 0:
        threads.run_chunks(work, size)


def iter_chunks(x: NDArray[Any], size: int = CHUNK) -> Iterator[NDArray[Any]]:
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
    >>> [piece.tolist() for piece in iter_chunks(np.arange(5), 2)]
    [[0, 1], [2, 3], [4]]
    """
    flat = x.reshape(-1) if x.flags.c_contiguous else x.flat  # a flatiter's slices are copies
    for start in range(0, x.size, size):
        yield flat[start : start + size]


def cache_chunks(start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Parts so small that codes can be made 64 bits wide on the way: one compiled loop then serves all formats."""
    for begin in range(start, stop, CACHED):
        yield begin, min(begin + CACHED, stop)


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


def check_out(out: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a numpy array, not {type(out).__name__}")
    if out.dtype != dtype:
        raise TypeError(f"out must be of dtype {dtype}, not {out.dtype}")
    if out.shape != shape:
        raise ValueError(f"out must have x's shape {shape}, not {out.shape}")
    if not out.flags.writeable:
        raise ValueError("out is read-only")


def flat(codes: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Codes broadcast to a shape, in one dimension and native byte order."""
    if codes.shape == shape and codes.flags.c_contiguous and codes.dtype.isnative:
        return codes.reshape(-1)
    return np.ascontiguousarray(np.broadcast_to(codes, shape), codes.dtype.newbyteorder("=")).reshape(-1)


def is_same_memory(codes: NDArray[Any], bits: NDArray[Any]) -> bool:
    """Whether each element is read from where its result is written: then nothing is overwritten too early."""
    return (
        codes.itemsize == bits.itemsize
        and codes.strides == bits.strides
        and codes.__array_interface__["data"] == bits.__array_interface__["data"]
        and codes.flags.c_contiguous
    )


def can_write_in_place(out: NDArray[Any], codes: list[NDArray[Any]]) -> bool:
    """Whether results can go straight to their place: nothing is overwritten before it is read."""
    if not (out.flags.c_contiguous and out.dtype.isnative):
        return False
    whole = out.reshape(-1)
    return all(is_same_memory(part, whole) or not np.may_share_memory(part, whole) for part in codes)

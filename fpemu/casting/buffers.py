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

threads.requested_count()  # raises for an invalid FPEMU_NUM_THREADS at import, not only at the first large array


def for_each_chunk(work: Callable[[int, int], None], size: int) -> None:
    """Call work(start, stop) for chunks that cover range(size), on several threads if there are many elements."""
    if size > 0:
        threads.run_chunks(work, size)


def iter_chunks(x: NDArray[Any], size: int = CHUNK) -> Iterator[NDArray[Any]]:
    """Iterate over the elements of an array in C order, as one-dimensional chunks.

    Parameters
    ----------
    x : numpy.ndarray
        Of any layout and any number of dimensions.
    size : int
        Elements of a chunk; the last one may be shorter.

    Yields
    ------
    numpy.ndarray
        Views of contiguous arrays, else copies.

    Examples
    --------
    >>> import numpy as np
    >>> [chunk.tolist() for chunk in iter_chunks(np.arange(5), 2)]
    [[0, 1], [2, 3], [4]]
    """
    flat = x.reshape(-1) if x.flags.c_contiguous else x.flat  # a flatiter's slices are copies
    for start in range(0, x.size, size):
        yield flat[start : start + size]


def cache_chunks(start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Iterate over chunks, (start, stop), so small that their codes can be made 64 bits wide within the cache."""
    for begin in range(start, stop, CACHED):
        yield begin, min(begin + CACHED, stop)


class Scratch(threading.local):
    """Per-thread scratch buffers; allocating one per chunk costs more than filling it.

    Examples
    --------
    >>> from fpemu.casting.buffers import Scratch
    >>> scratch = Scratch()
    >>> scratch.of("between", 3, "uint8").base is scratch.of("between", 2, "uint8").base
    True
    """

    def __init__(self) -> None:
        self._arrays: dict[tuple[Any, np.dtype[Any]], NDArray[Any]] = {}

    def of(self, purpose: str | int, size: int, dtype: Any) -> NDArray[Any]:
        """The buffer for a purpose, with the contents of its last use."""
        key = purpose, np.dtype(dtype)
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
    """Whether each result overwrites the element that it is computed from, which has been read by then."""
    return (
        codes.itemsize == bits.itemsize
        and codes.strides == bits.strides
        and codes.__array_interface__["data"] == bits.__array_interface__["data"]
        and codes.flags.c_contiguous
    )


def can_write_in_place(out: NDArray[Any], codes: list[NDArray[Any]]) -> bool:
    """Whether results may be written in place: no operand's element is overwritten before it is read."""
    if not (out.flags.c_contiguous and out.dtype.isnative):
        return False
    whole = out.reshape(-1)
    return all(is_same_memory(operand, whole) or not np.may_share_memory(operand, whole) for operand in codes)

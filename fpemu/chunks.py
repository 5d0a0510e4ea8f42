"""Arrays a piece at a time, in the order of their elements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["CHUNK", "flat_chunks"]

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

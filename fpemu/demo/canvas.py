"""Curves in a terminal: each character is a cell of 2 x 4 braille dots, or a star in ASCII."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["draw"]

# The bit of each dot of a braille character (U+2800 plus the bits), by row and column.
_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])


def draw(
    y: ArrayLike, limit: float, width: int, height: int, *, joined: bool = True, ascii_only: bool = False
) -> list[str]:
    """Draw a curve as lines of text.

    Parameters
    ----------
    y : array_like
        The curve's values, from left to right.
    limit : float
        The picture extends from -limit to limit; values outside are drawn on its edge.
    width, height : int
        In characters.
    joined : bool
        Join neighbours by vertical lines, as a staircase; else draw points.
    ascii_only : bool

    Returns
    -------
    list of str

    Examples
    --------
    >>> from fpemu.demo import canvas
    >>> print("|".join(canvas.draw([1, 1, -1, -1], limit=1, width=4, height=3, ascii_only=True)))
    *** |  * |  **
    """
    values = np.asarray(y, dtype=np.float64)
    across, down = (1, 1) if ascii_only else (2, 4)
    columns, rows = width * across, height * down
    dots = np.zeros((rows, columns), dtype=bool)
    x = np.arange(columns) * len(values) // columns if joined else np.arange(len(values))
    row = np.rint((1 - np.clip(values[x] / limit, -1, 1)) / 2 * (rows - 1)).astype(int)
    column = np.arange(columns) if joined else x * columns // len(values)
    dots[row, column] = True
    if joined:
        for left, (a, b) in enumerate(itertools.pairwise(row)):
            dots[min(a, b) : max(a, b) + 1, left + (b != a)] = True
    if ascii_only:
        return ["".join("*" if dot else " " for dot in line) for line in dots]
    cells = (dots.reshape(height, 4, width, 2) * _DOTS[:, None, :]).sum(axis=(1, 3))
    return ["".join(chr(0x2800 + cell) for cell in line) for line in cells]

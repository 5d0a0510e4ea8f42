"""Rows of blocks cut into pieces that stay in the cache, on several threads where there are many."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from fpemu.casting.execution import in_pieces as in_ranges

__all__ = ["Piece", "Rows", "in_pieces"]

PIECE = 1 << 18  # elements
APART = 1 << 16  # a block so long is cut


class Piece(NamedTuple):
    """A part of rows: slices of the rows, of their elements, of their blocks."""

    rows: slice
    columns: slice
    blocks: slice


class Rows(NamedTuple):
    """`height` rows of `length` elements, each in blocks of `block`, the last of which may be shorter."""

    height: int
    length: int
    block: int

    @property
    def blocks(self) -> int:
        """Blocks of a row."""
        return -(-self.length // self.block)

    @property
    def joined(self) -> Rows:
        """The same in one row, where blocks are neighbours all along and short enough for pieces."""
        whole = self.length % self.block == 0 and self.block <= APART
        return Rows(1, self.height * self.length, self.block) if whole else self

    @property
    def cut(self) -> Rows:
        """The same with blocks that are short enough for pieces, where rows are a block."""
        return self._replace(block=APART) if self.block > APART and self.block == self.length else self

    def pieces(self) -> Iterator[Piece]:
        """All of them, in order."""
        if self.length <= PIECE:
            step = max(1, PIECE // max(self.length, 1))
            for start in range(0, self.height, step):
                yield Piece(slice(start, min(start + step, self.height)), slice(0, self.length), slice(0, self.blocks))
            return
        step = max(1, PIECE // self.block)
        for row in range(self.height):
            for first in range(0, self.blocks, step):
                last = min(first + step, self.blocks)
                columns = slice(first * self.block, min(last * self.block, self.length))
                yield Piece(slice(row, row + 1), columns, slice(first, last))


def in_pieces(work: Callable[[Piece], None], rows: Rows) -> None:
    """Call work for each piece, on several threads where there are many."""
    todo = list(rows.pieces())

    def some(start: int, stop: int) -> None:
        for piece in todo[start // PIECE : stop // PIECE]:
            work(piece)

    in_ranges(some, len(todo) * PIECE)

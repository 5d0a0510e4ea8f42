"""Rows of blocks in chunks that stay in the cache, on several threads where there are many."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from fpemu.casting.buffers import for_each_chunk

__all__ = ["Chunk", "Rows"]

CHUNK = 1 << 18  # elements
APART = 1 << 16  # longer blocks are cut


class Chunk(NamedTuple):
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
        """The same in one row, where blocks are neighbours all along and short enough for chunks."""
        whole = self.length % self.block == 0 and self.block <= APART
        return Rows(1, self.height * self.length, self.block) if whole else self

    @property
    def cut(self) -> Rows:
        """The same with blocks that are short enough for chunks, where rows are a block."""
        return self._replace(block=APART) if self.block > APART and self.block == self.length else self

    def chunks(self) -> Iterator[Chunk]:
        """All of them, in order."""
        if self.length <= CHUNK:
            step = max(1, CHUNK // max(self.length, 1))
            for start in range(0, self.height, step):
                yield Chunk(slice(start, min(start + step, self.height)), slice(0, self.length), slice(0, self.blocks))
            return
        step = max(1, CHUNK // self.block)
        for row in range(self.height):
            for first in range(0, self.blocks, step):
                last = min(first + step, self.blocks)
                columns = slice(first * self.block, min(last * self.block, self.length))
                yield Chunk(slice(row, row + 1), columns, slice(first, last))

    def for_each_chunk(self, work: Callable[[Chunk], None]) -> None:
        """Call work for each chunk, on several threads where there are many."""
        chunks = list(self.chunks())

        def work_on(start: int, stop: int) -> None:
            for chunk in chunks[start // CHUNK : stop // CHUNK]:
                work(chunk)

        for_each_chunk(work_on, len(chunks) * CHUNK)

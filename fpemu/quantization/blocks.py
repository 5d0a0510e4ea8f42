"""Blocks: how an array is divided into blocks that share a scale, and its elements in rows of blocks."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fpemu.casting.buffers import for_each_chunk
from fpemu.formats.lookup import brief
from fpemu.quantization.definition.scaled_format import Block

__all__ = ["BlockChunk", "BlockRows", "BlockedArray", "Layout", "block_shape", "layout_of"]

MANY_DIMENSIONS = 6  # messages leave out shapes of more dimensions


def block_shape(block: Block, axis: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The lengths of a block along each axis of an array.

    "tensor": the array's; "row": all along `axis`, else 1; "channel": 1 along `axis`, else all; a length: that length
    along `axis`; (rows, columns): columns along `axis`, rows along the axis before.

    Raises
    ------
    ValueError
        If the axis is out of range.
    """
    ndim = len(shape)
    if block == "tensor":
        return tuple(max(length, 1) for length in shape)
    if not ndim:
        raise ValueError(f"one number has no axis for blocks ({block}): use x.reshape(1)")
    if not -ndim <= axis < ndim:
        raise ValueError(f"axis {brief(axis)} is out of range for {ndim} dimensions")
    axis %= ndim
    whole = [max(length, 1) for length in shape]
    if block == "channel":
        whole[axis] = 1
        return tuple(whole)
    steps = [1] * ndim
    if block == "row":
        steps[axis] = whole[axis]
    elif isinstance(block, tuple):
        if axis == 0:
            raise ValueError(f"a block of {block[0]} x {block[1]} needs an axis before axis {axis}")
        steps[axis - 1 : axis + 1] = block
    else:
        assert isinstance(block, int)
        steps[axis] = block
    return tuple(steps)


@dataclasses.dataclass(frozen=True)
class Layout:
    """An array's shape and its blocks' lengths along each axis; the last block of an axis may be shorter.

    Parameters
    ----------
    shape : tuple of int
    block_shape : tuple of int
        One length for each axis.
    """

    shape: tuple[int, ...]
    block_shape: tuple[int, ...]

    @functools.cached_property
    def blocks(self) -> tuple[int, ...]:
        """The number of blocks along each axis: the shape of per-block values."""
        return tuple(-(-length // step) for length, step in zip(self.shape, self.block_shape, strict=True))

    @property
    def is_whole(self) -> bool:
        """Whether blocks divide the array: none is shorter than the others."""
        return all(length % step == 0 for length, step in zip(self.shape, self.block_shape, strict=True))

    @functools.cached_property
    def rows(self) -> tuple[int, int, int] | None:
        """(rows, their length, the block's length) if each block is contiguous in a C-ordered array; else None."""
        split = next((axis for axis, step in enumerate(self.block_shape) if step > 1), len(self.shape))
        inner = math.prod(self.shape[split + 1 :])
        if any(
            step != length for step, length in zip(self.block_shape[split + 1 :], self.shape[split + 1 :], strict=True)
        ):
            return None
        if split == len(self.shape):
            return 1, math.prod(self.shape), 1
        return math.prod(self.shape[:split]), self.shape[split] * inner, self.block_shape[split] * inner

    # -- between an array and its blocks ------------------------------------------------------------------------------

    def to_blocks(self, x: NDArray[Any]) -> NDArray[Any]:
        """The elements of each block in a row; shorter blocks are padded with zeros."""
        if not self.is_whole:
            ends = [
                (0, count * step - length)
                for count, step, length in zip(self.blocks, self.block_shape, self.shape, strict=True)
            ]
            x = np.pad(x, ends)
        parted = x.reshape([length for pair in zip(self.blocks, self.block_shape, strict=True) for length in pair])
        ndim = len(self.shape)
        parted = parted.transpose([*range(0, 2 * ndim, 2), *range(1, 2 * ndim, 2)])
        return np.ascontiguousarray(parted.reshape(math.prod(self.blocks), math.prod(self.block_shape)))

    def from_blocks(self, rows: NDArray[Any]) -> NDArray[Any]:
        """An array from its blocks' rows, as returned by `to_blocks`; C-ordered."""
        ndim = len(self.shape)
        parted = rows.reshape([*self.blocks, *self.block_shape])
        parted = parted.transpose(
            [axis for pair in zip(range(ndim), range(ndim, 2 * ndim), strict=True) for axis in pair]
        )
        whole = parted.reshape([count * step for count, step in zip(self.blocks, self.block_shape, strict=True)])
        return np.ascontiguousarray(whole[tuple(map(slice, self.shape))])

    def per_element(self, of_blocks: NDArray[Any]) -> NDArray[Any]:
        """Repeat per-block values for each element."""
        for axis, (step, length) in enumerate(zip(self.block_shape, self.shape, strict=True)):
            if of_blocks.shape[axis] == 1:
                continue  # broadcast below
            if step > 1:
                of_blocks = np.repeat(of_blocks, step, axis=axis)[(slice(None),) * axis + (slice(length),)]
        return np.broadcast_to(of_blocks, self.shape)

    def part(self, index: Any) -> tuple[tuple[Any, ...], tuple[Any, ...], Layout]:
        """Return the indices of elements and of blocks, and the layout, of a part of whole blocks.

        Raises
        ------
        TypeError
            If `index` has items other than slices and integers.
        ValueError
            If it skips elements or cuts a block.
        IndexError
            If it is out of range.
        """
        words = list(index) if isinstance(index, tuple) else [index]
        if any(word is Ellipsis for word in words):
            position = next(k for k, word in enumerate(words) if word is Ellipsis)
            words[position : position + 1] = [slice(None)] * (len(self.shape) - len(words) + 1)
        words += [slice(None)] * (len(self.shape) - len(words))
        if len(words) > len(self.shape):
            raise IndexError(f"too many indices: there are {len(self.shape)} dimensions")
        elements: list[Any] = []
        blocks: list[Any] = []
        shape, steps = [], []
        for axis, (word, length, step) in enumerate(zip(words, self.shape, self.block_shape, strict=True)):
            start, stop = _bounds(word, length, axis)
            if (start % step and start != stop) or (stop % step and stop != length):
                raise ValueError(f"{start}:{stop} cuts a block of axis {axis}, whose blocks have {step} elements")
            if isinstance(word, slice):
                elements.append(slice(start, stop))
                blocks.append(slice(start // step, -(-stop // step)))
                shape.append(stop - start)
                steps.append(step)
            else:
                elements.append(start)
                blocks.append(start // step)
        return tuple(elements), tuple(blocks), Layout(tuple(shape), tuple(steps))


def _bounds(word: Any, length: int, axis: int) -> tuple[int, int]:
    """The start and the stop of a slice without steps, or of an integer as a slice."""
    if isinstance(word, slice):
        start, stop, step = word.indices(length)
        if step != 1:
            raise ValueError(f"a step of {step} along axis {axis} would split blocks")
        return start, max(start, stop)
    if isinstance(word, bool | np.ndarray) or not hasattr(word, "__index__"):
        raise TypeError(f"an index must consist of slices and integers, not {type(word).__name__}")
    index = int(word.__index__())
    if not -length <= index < length:
        raise IndexError(f"index {index} is out of range for axis {axis} with {length} elements")
    return index % length, index % length + 1


def layout_of(block: Block, axis: int, shape: tuple[int, ...], pad: bool = False) -> Layout:
    """The layout of an array's blocks.

    Parameters
    ----------
    block : int, (int, int) or str
    axis : int
    shape : tuple of int
    pad : bool
        Whether the last block of an axis may be shorter.

    Raises
    ------
    ValueError
        If the axis is out of range, or blocks do not divide it and `pad` is not set; the message names alternatives.

    Examples
    --------
    >>> from fpemu.quantization.blocks import layout_of
    >>> layout_of(32, -1, (4, 64)).blocks
    (4, 2)
    """
    layout = Layout(shape, block_shape(block, axis, shape))
    if layout.is_whole or pad:
        return layout
    ways = [f"x.reshape({', '.join(map(str, other))})" for other in _reshaped(block, axis, shape)[:1]]
    ways += [f"axis={other}" for other in range(len(shape)) if _divide(block, other, shape)][:2]
    text = f"; {', '.join(ways[:-1])}{' or ' * (len(ways) > 1)}{ways[-1]} avoids that" if ways else ""
    if len(shape) > MANY_DIMENSIONS:
        blocks, array, text = str(block), f"{len(shape)} dimensions", ""
    else:
        blocks, array = " x ".join(map(str, layout.block_shape)), f"shape {shape}"
    raise ValueError(f"blocks of {blocks} do not divide an array of {array}: pad=True allows shorter last blocks{text}")


def _divide(block: Block, axis: int, shape: tuple[int, ...]) -> bool:
    """Whether blocks along an axis divide an array."""
    if isinstance(block, tuple) and axis % max(len(shape), 1) == 0:
        return False
    return Layout(shape, block_shape(block, axis, shape)).is_whole


def _reshaped(block: Block, axis: int, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Shapes that blocks along the last axis divide: without axes of length 1, then with the last axes joined."""
    if axis % len(shape) != len(shape) - 1:
        return []
    few = tuple(length for length in shape if length != 1)
    others = [few, *((*few[:first], math.prod(few[first:])) for first in range(len(few) - 2, -1, -1))]
    return [other for other in others if other and other != shape and _divide(block, -1, other)]


# -- rows of blocks, in chunks ----------------------------------------------------------------------------------------

CHUNK_ELEMENTS = 1 << 18  # elements of a chunk, which stays in the cache
LONGEST_BLOCK = 1 << 16  # elements of a block; a longer one is cut


class BlockChunk(NamedTuple):
    """A chunk of rows of blocks: slices of the rows, of their elements and of their blocks."""

    rows: slice
    columns: slice
    blocks: slice


class BlockRows(NamedTuple):
    """`height` rows of `length` elements, each in blocks of `block`, the last of which may be shorter."""

    height: int
    length: int
    block: int

    @property
    def blocks(self) -> int:
        """Blocks of a row."""
        return -(-self.length // self.block)

    @property
    def joined(self) -> BlockRows:
        """The same elements in one row, if whole blocks follow one another and are short enough for a chunk."""
        joins = self.length % self.block == 0 and self.block <= LONGEST_BLOCK
        return BlockRows(1, self.height * self.length, self.block) if joins else self

    @property
    def cut(self) -> BlockRows:
        """The same rows in blocks short enough for a chunk, if each row is one long block."""
        return self._replace(block=LONGEST_BLOCK) if self.block > LONGEST_BLOCK and self.block == self.length else self

    def chunks(self) -> Iterator[BlockChunk]:
        """All chunks, in C order."""
        if self.length <= CHUNK_ELEMENTS:
            step = max(1, CHUNK_ELEMENTS // max(self.length, 1))
            for start in range(0, self.height, step):
                rows = slice(start, min(start + step, self.height))
                yield BlockChunk(rows, slice(0, self.length), slice(0, self.blocks))
            return
        step = max(1, CHUNK_ELEMENTS // self.block)
        for row in range(self.height):
            for first in range(0, self.blocks, step):
                last = min(first + step, self.blocks)
                columns = slice(first * self.block, min(last * self.block, self.length))
                yield BlockChunk(slice(row, row + 1), columns, slice(first, last))

    def for_each_chunk(self, work: Callable[[BlockChunk], None]) -> None:
        """Call `work` for each chunk, on several threads if there are many."""
        chunks = list(self.chunks())

        def run(start: int, stop: int) -> None:
            for chunk in chunks[start // CHUNK_ELEMENTS : stop // CHUNK_ELEMENTS]:
                work(chunk)

        for_each_chunk(run, len(chunks) * CHUNK_ELEMENTS)


class BlockedArray:
    """An array's elements in rows of blocks: its own memory if each block is contiguous, else a copy.

    Parameters
    ----------
    array : numpy.ndarray
        C-ordered.
    layout : Layout

    Attributes
    ----------
    layout : Layout
    is_copy : bool
    rows : BlockRows
        BlockRows of whole blocks.
    cut : BlockRows
        The same rows in blocks short enough for a chunk.
    x : numpy.ndarray
        The elements, in the rows.
    """

    def __init__(self, array: NDArray[Any], layout: Layout) -> None:
        self.layout, rows = layout, layout.rows
        self.is_copy = rows is None
        if rows is None:
            array = layout.to_blocks(array)
            rows = *array.shape, array.shape[1]
        self.rows = BlockRows(*rows).joined
        self.cut = self.rows.cut
        self.x = array.reshape(self.rows.height, self.rows.length)

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of per-block values: rows and blocks of a row."""
        return self.rows.height, self.rows.blocks

    @property
    def short_last(self) -> bool:
        """Whether the last block of each row is shorter."""
        return self.rows.length % self.rows.block != 0

    def blocks_of(self, chunk: BlockChunk) -> tuple[slice, slice]:
        """The indices of a chunk's blocks among per-block values."""
        return chunk.rows, chunk.blocks if self.cut is self.rows else slice(None)

    def per_cut_block(self, of_blocks: NDArray[Any], chunk: BlockChunk) -> NDArray[Any]:
        """Per-block values of a chunk, for its blocks as they are cut."""
        if self.cut is self.rows:
            return of_blocks
        return np.repeat(of_blocks, chunk.blocks.stop - chunk.blocks.start, axis=1)

    def position(self, chunk: BlockChunk) -> int:
        """The position of a chunk's first element among those of `x`, in C order."""
        return int(chunk.rows.start * self.rows.length + chunk.columns.start)

    def arranged(self, array: NDArray[Any]) -> NDArray[Any]:
        """Another array of the layout's shape in the same rows."""
        return (self.layout.to_blocks(array) if self.is_copy else array).reshape(self.x.shape)

    def restored(self, x: NDArray[Any]) -> NDArray[Any]:
        """An array of the layout's shape from its elements in the rows."""
        layout = self.layout
        if not self.is_copy:
            return x.reshape(layout.shape)
        return layout.from_blocks(x.reshape(math.prod(layout.blocks), math.prod(layout.block_shape)))

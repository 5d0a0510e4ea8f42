"""Cells filled to a number of cases each: from all operands there are, or by construction."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fpemu.formats import FloatFormat
from fpemu.verification.claims import Claim
from fpemu.verification.vectors.construction import construct
from fpemu.verification.vectors.coverage import Counts
from fpemu.verification.vectors.random_codes import Words
from fpemu.verification.vectors.situations import classify

__all__ = ["Codes", "by_construction", "every", "from_all", "numbered", "tuples"]

Codes = tuple[NDArray[np.unsignedinteger], ...]

ROUND = 1 << 15  # cases constructed at once
ROUNDS = 400
PATIENCE = 16  # rounds without a new case in a cell that wants one
PIECE = 1 << 16


def tuples(claim: Claim) -> int:
    """How many ways there are to choose the operands."""
    return math.prod(fmt.code_count for fmt in claim.operands)


def numbered(claim: Claim, numbers: NDArray[np.uint64]) -> Codes:
    """The operands with these numbers: the last operand's code counts fastest."""
    rest = numbers
    found = []
    for fmt in reversed(claim.operands):
        if fmt.code_count < 1 << 64:
            rest, code = np.divmod(rest, np.uint64(fmt.code_count))
        else:
            rest, code = np.zeros_like(rest), rest
        found.append(code.astype(fmt.code_dtype))
    return tuple(reversed(found))


def every(claim: Claim, start: int, stop: int, out: NDArray[np.unsignedinteger] | None = None) -> Codes:
    """All operands from one number to another; a single one in `out` where that is given."""
    if len(claim.operands) == 1:
        first = _first(stop - start, claim.operands[0].code_dtype)
        return (np.add(first, first.dtype.type(start), out=out),)
    return numbered(claim, np.arange(start, stop, dtype=np.uint64))


@functools.lru_cache(maxsize=8)
def _first(count: int, dtype: str) -> NDArray[np.unsignedinteger]:
    """0 to count - 1: what is added to it is there faster than a range made anew."""
    found = np.arange(count, dtype=dtype)
    found.flags.writeable = False
    return found


def census(claim: Claim) -> Counts:
    """All operands counted."""
    counts = Counts(claim)
    for start in range(0, tuples(claim), PIECE):
        codes = every(claim, start, min(start + PIECE, tuples(claim)))
        counts.add(counts.memberships(classify(claim, codes))[1])
    return counts


class Fill:
    """Cases taken until each cell has enough.

    Parameters
    ----------
    claim : Claim
    per_cell : int
        How many are enough.
    most : int, optional
        How many there may be in all.
    """

    def __init__(self, claim: Claim, per_cell: int, most: int | None = None) -> None:
        self.claim, self.per_cell, self.most = claim, per_cell, most
        self.counts = Counts(claim)
        self.size = 0
        self._seen: set[tuple[int, ...]] = set()
        self._parts: list[list[NDArray[np.unsignedinteger]]] = [[] for _ in claim.operands]

    def offer(self, codes: Codes) -> Codes:
        """Take those cases that a cell still wants, none twice; give those that were taken."""
        counts = self.counts
        rows, cells = counts.memberships(classify(self.claim, codes))
        open_ = np.unique(rows[counts.numbers[cells] < self.per_cell])
        fresh = [row for row, case in zip(open_.tolist(), _rows(codes, open_), strict=True) if self._new(case)]
        inside = np.isin(rows, fresh)
        rows, cells = rows[inside], cells[inside]
        order = np.argsort(cells, kind="stable")
        sorted_cells = cells[order]
        starts = np.searchsorted(sorted_cells, sorted_cells)
        wanted = np.arange(cells.size) - starts < self.per_cell - counts.numbers[sorted_cells]
        taken = np.unique(rows[order][wanted])
        counts.add(cells[np.isin(rows, taken)])
        self._seen.difference_update(_rows(codes, np.setdiff1d(fresh, taken).astype(np.int64)))
        chosen = tuple(part[taken] for part in codes)
        self.size += taken.size
        for parts, part in zip(self._parts, chosen, strict=True):
            parts.append(part)
        return chosen

    @property
    def full(self) -> bool:
        """Whether there are more cases than there may be."""
        return self.most is not None and self.size > self.most

    def _new(self, case: tuple[int, ...]) -> bool:
        known = case in self._seen
        self._seen.add(case)
        return not known

    @property
    def codes(self) -> Codes:
        """The operands of the cases taken."""
        return tuple(
            np.concatenate([np.zeros(0, fmt.code_dtype), *parts])
            for fmt, parts in zip(self.claim.operands, self._parts, strict=True)
        )


def _rows(codes: Codes, rows: NDArray[np.int64]) -> list[tuple[int, ...]]:
    return list(zip(*(part[rows].tolist() for part in codes), strict=True))


def from_all(claim: Claim, per_cell: int, words: Words, most: int | None = None) -> Fill:
    """Fill from all operands, in random order."""
    fill = Fill(claim, per_cell, most)
    codes = every(claim, 0, tuples(claim))
    order = words.order(tuples(claim))
    for start in range(0, order.size, PIECE):
        fill.offer(tuple(part[order[start : start + PIECE]] for part in codes))
        if fill.full:
            break
    return fill


def by_construction(claim: Claim, per_cell: int, words: Words, most: int | None = None) -> Fill:
    """Fill by construction, until nothing new comes.

    Half of each round goes through all the ways that the operands' classes can meet, half to those among which a cell
    has cases but not enough.
    """
    fill = Fill(claim, per_cell, most)
    ways = fill.counts.every_operand_class()
    idle = place = 0
    for _ in range(ROUNDS):
        begun = np.flatnonzero((fill.counts.numbers > 0) & (fill.counts.numbers < per_cell))
        half = ROUND // 2 if begun.size else ROUND
        parts = [ways[:, (place + np.arange(half)) % ways.shape[1]]]
        place = (place + half) % ways.shape[1]
        if begun.size:
            parts.append(fill.counts.operand_classes(begun[words.below(begun.size, ROUND - half)]))
        taken = fill.offer(tuple(construct(claim, np.concatenate(parts, axis=1), words)))
        for codes in mirrored(claim, taken):
            fill.offer(codes)
        idle = 0 if taken[0].size else idle + 1
        if idle == PATIENCE or fill.full:
            break
    return fill


def mirrored(claim: Claim, codes: Codes) -> Iterator[Codes]:
    """Cases with other signs, and with the first two operands in the other order: what is rare stays so there."""
    masks = [fmt.sign_mask if isinstance(fmt, FloatFormat) else 0 for fmt in claim.operands]
    orders = [codes]
    if len(codes) > 1 and claim.operands[0] == claim.operands[1]:
        orders.append((codes[1], codes[0], *codes[2:]))
    for order, signs in itertools.product(orders, itertools.product((0, 1), repeat=len(codes))):
        yield tuple(part ^ part.dtype.type(mask * sign) for part, mask, sign in zip(order, masks, signs, strict=True))

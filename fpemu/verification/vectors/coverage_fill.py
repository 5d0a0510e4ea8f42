"""The cases that fill the cells, a number for each cell: selected from all operands, or constructed."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fpemu.formats import FloatFormat
from fpemu.verification.claims import Claim, Operands
from fpemu.verification.vectors.construction import construct
from fpemu.verification.vectors.coverage import CellCounts
from fpemu.verification.vectors.random_codes import RandomWords
from fpemu.verification.vectors.situations import classify_cases

__all__ = ["fill_by_construction", "fill_from_all", "input_count", "numbered_operands", "operand_range"]

ROUND = 1 << 15  # cases constructed in a round
ROUNDS = 400
PATIENCE_ROUNDS = 16  # rounds without a new case before giving up
CASES_AT_ONCE = 1 << 16  # cases classified at once


def input_count(claim: Claim) -> int:
    """Number of combinations of the operands' codes."""
    return math.prod(fmt.code_count for fmt in claim.operands)


def numbered_operands(claim: Claim, numbers: NDArray[np.uint64]) -> Operands:
    """The combinations with these numbers; the last operand's code changes fastest."""
    rest = numbers
    operands = []
    for fmt in reversed(claim.operands):
        if fmt.code_count < 1 << 64:
            rest, codes = np.divmod(rest, np.uint64(fmt.code_count))
        else:
            rest, codes = np.zeros_like(rest), rest
        operands.append(codes.astype(fmt.code_dtype))
    return tuple(reversed(operands))


def operand_range(claim: Claim, start: int, stop: int, out: NDArray[np.unsignedinteger] | None = None) -> Operands:
    """The combinations from number `start` to before `stop`; the codes of a single operand are written into `out`."""
    if len(claim.operands) == 1:
        count_up = _count_up(stop - start, claim.operands[0].code_dtype)
        return (np.add(count_up, count_up.dtype.type(start), out=out),)
    return numbered_operands(claim, np.arange(start, stop, dtype=np.uint64))


@functools.lru_cache(maxsize=8)
def _count_up(count: int, dtype: str) -> NDArray[np.unsignedinteger]:
    """0 to count - 1, cached: adding to it is faster than a new np.arange."""
    numbers = np.arange(count, dtype=dtype)
    numbers.flags.writeable = False
    return numbers


def census(claim: Claim) -> CellCounts:
    """Count the cases of all operands."""
    counts = CellCounts(claim)
    for start in range(0, input_count(claim), CASES_AT_ONCE):
        codes = operand_range(claim, start, min(start + CASES_AT_ONCE, input_count(claim)))
        counts.add(counts.memberships(classify_cases(claim, codes))[1])
    return counts


class Fill:
    """Cases accepted until each cell has enough.

    Parameters
    ----------
    claim : Claim
    per_cell : int
        The number of cases that is enough for a cell.
    most : int, optional
        The number of cases beyond which the fill is full.
    """

    def __init__(self, claim: Claim, per_cell: int, most: int | None = None) -> None:
        self.claim, self.per_cell, self.most = claim, per_cell, most
        self.counts = CellCounts(claim)
        self.size = 0
        self._seen: set[tuple[int, ...]] = set()
        self._chunks: list[Operands] = [tuple(np.zeros(0, fmt.code_dtype) for fmt in claim.operands)]

    def offer(self, codes: Operands) -> Operands:
        """Accept the new cases that unfilled cells need, and return them."""
        counts = self.counts
        rows, cells = counts.memberships(classify_cases(self.claim, codes))
        useful = np.unique(rows[counts.cases[cells] < self.per_cell])
        fresh = [row for row, case in zip(useful.tolist(), _cases(codes, useful), strict=True) if self._is_new(case)]
        inside = np.isin(rows, fresh)
        rows, cells = rows[inside], cells[inside]
        order = np.argsort(cells, kind="stable")
        sorted_cells = cells[order]
        starts = np.searchsorted(sorted_cells, sorted_cells)
        needed = np.arange(cells.size) - starts < self.per_cell - counts.cases[sorted_cells]
        accepted = np.unique(rows[order][needed])
        counts.add(cells[np.isin(rows, accepted)])
        self._seen.difference_update(_cases(codes, np.setdiff1d(fresh, accepted).astype(np.int64)))
        self.size += accepted.size
        self._chunks.append(tuple(each[accepted] for each in codes))
        return self._chunks[-1]

    @property
    def full(self) -> bool:
        """Whether there are more than `most` cases."""
        return self.most is not None and self.size > self.most

    def _is_new(self, case: tuple[int, ...]) -> bool:
        known = case in self._seen
        self._seen.add(case)
        return not known

    @property
    def codes(self) -> Operands:
        """The operands of the accepted cases."""
        return tuple(map(np.concatenate, zip(*self._chunks, strict=True)))


def _cases(codes: Operands, rows: NDArray[np.int64]) -> list[tuple[int, ...]]:
    return list(zip(*(each[rows].tolist() for each in codes), strict=True))


def fill_from_all(claim: Claim, per_cell: int, words: RandomWords, most: int | None = None) -> Fill:
    """Fill from all operands, in random order."""
    fill = Fill(claim, per_cell, most)
    codes = operand_range(claim, 0, input_count(claim))
    order = words.permutation(input_count(claim))
    for start in range(0, order.size, CASES_AT_ONCE):
        fill.offer(tuple(each[order[start : start + CASES_AT_ONCE]] for each in codes))
        if fill.full:
            break
    return fill


def fill_by_construction(claim: Claim, per_cell: int, words: RandomWords, most: int | None = None) -> Fill:
    """Fill by construction, until a number of rounds have no new case.

    Half of each round cycles through all combinations of the operands' classes; the other half is for the combinations
    in cells that have cases, but not enough.
    """
    fill = Fill(claim, per_cell, most)
    combinations = fill.counts.class_combinations()
    idle = start = 0
    for _ in range(ROUNDS):
        partial = np.flatnonzero((fill.counts.cases > 0) & (fill.counts.cases < per_cell))
        half = ROUND // 2 if partial.size else ROUND
        classes = combinations[:, (start + np.arange(half)) % combinations.shape[1]]
        start = (start + half) % combinations.shape[1]
        if partial.size:
            needed = fill.counts.operand_classes(partial[words.below(partial.size, ROUND - half)])
            classes = np.concatenate([classes, needed], axis=1)
        accepted = fill.offer(tuple(construct(claim, classes, words)))
        for codes in mirrored(claim, accepted):
            fill.offer(codes)
        idle = 0 if accepted[0].size else idle + 1
        if idle == PATIENCE_ROUNDS or fill.full:
            break
    return fill


def mirrored(claim: Claim, codes: Operands) -> Iterator[Operands]:
    """The cases with all combinations of signs, and with the first two operands swapped: these tend to be as rare."""
    masks = [fmt.sign_mask if isinstance(fmt, FloatFormat) else 0 for fmt in claim.operands]
    orders = [codes]
    if len(codes) > 1 and claim.operands[0] == claim.operands[1]:
        orders.append((codes[1], codes[0], *codes[2:]))
    for order, signs in itertools.product(orders, itertools.product((0, 1), repeat=len(codes))):
        yield tuple(each ^ each.dtype.type(mask * sign) for each, mask, sign in zip(order, masks, signs, strict=True))

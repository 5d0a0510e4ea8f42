"""Cells: every operand's class with the result's class and a situation; which are filled, and by how many cases."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fpemu.verification.claims import Claim
from fpemu.verification.vectors.code_classes import CLASSES, classes_in
from fpemu.verification.vectors.situations import SITUATIONS, Cases

__all__ = ["Cell", "Counts"]


class Cell(NamedTuple):
    """What cases have in common: the classes of the operands and of the result, and a situation, by name.

    Examples
    --------
    >>> from fpemu.verification.vectors import Cell
    >>> print(Cell(("+normal", "-normal"), "+0", "cancellation"))
    +normal, -normal -> +0: cancellation
    """

    operands: tuple[str, ...]
    result: str
    situation: str

    def __str__(self) -> str:
        return f"{', '.join(self.operands)} -> {self.result}: {self.situation}"


class Counts:
    """How many cases each cell of a claim has.

    Parameters
    ----------
    claim : Claim

    Attributes
    ----------
    numbers : numpy.ndarray of int64
        By the cells' numbers.
    """

    def __init__(self, claim: Claim) -> None:
        self._axes = [classes_in(fmt) for fmt in (*claim.operands, claim.result)]
        self._shape = (*map(len, self._axes), len(SITUATIONS))
        self._places = [np.zeros(len(CLASSES), np.int64) for _ in self._axes]
        for places, members in zip(self._places, self._axes, strict=True):
            places[members] = np.arange(len(members))
        self.numbers = np.zeros(int(np.prod(self._shape)), np.int64)

    def memberships(self, cases: Cases) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The cases (by place, ascending) and the cells (by number) that they are in."""
        base = np.zeros(cases.classes.shape[1], np.int64)
        for places, kind, size in zip(self._places, cases.classes, self._shape, strict=False):
            base = base * size + places[kind]
        rows, which = np.nonzero(cases.situations.T)
        return rows, base[rows] * len(SITUATIONS) + which

    def add(self, cells: NDArray[np.int64]) -> None:
        """Count memberships."""
        self.numbers += np.bincount(cells, minlength=self.numbers.size)

    def operand_classes(self, cells: NDArray[np.int64]) -> NDArray[np.uint8]:
        """For each operand (in rows) the classes of cells."""
        places = np.unravel_index(cells, self._shape)[:-2]
        return np.array(
            [np.array(axis, np.uint8)[place] for axis, place in zip(self._axes, places, strict=False)], np.uint8
        )

    def every_operand_class(self) -> NDArray[np.uint8]:
        """For each operand (in rows) its class in all the ways that classes can meet."""
        return np.array(list(itertools.product(*self._axes[:-1])), np.uint8).T

    def filled(self) -> dict[Cell, int]:
        """The cells that have cases, with how many."""
        places = np.flatnonzero(self.numbers)
        return dict(zip(self._cells(places), self.numbers[places].tolist(), strict=True))

    def empty(self) -> list[Cell]:
        """The cells that have none."""
        return list(self._cells(np.flatnonzero(self.numbers == 0)))

    def _cells(self, numbers: NDArray[np.int64]) -> Iterator[Cell]:
        *places, situations = (place.tolist() for place in np.unravel_index(numbers, self._shape))
        names: list[Any] = [
            [CLASSES[axis[each]] for each in place] for axis, place in zip(self._axes, places, strict=True)
        ]
        for *operands, result, situation in zip(*names, situations, strict=True):
            yield Cell(tuple(operands), result, SITUATIONS[situation])

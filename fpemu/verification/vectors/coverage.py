"""Coverage: the number of cases in each cell.  A cell is a class for each operand and the result, and a situation."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fpemu.verification.claims import Claim
from fpemu.verification.vectors.code_classes import CLASSES, classes_in
from fpemu.verification.vectors.situations import SITUATIONS, Cases

__all__ = ["Cell", "CellCounts"]


class Cell(NamedTuple):
    """A kind of case: the names of the operands' classes, of the result's class and of a situation.

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


class CellCounts:
    """Number of cases in each cell of a claim.

    Parameters
    ----------
    claim : Claim

    Attributes
    ----------
    cases : numpy.ndarray of int64
        By cell number.
    """

    def __init__(self, claim: Claim) -> None:
        self._axes = [np.array(classes_in(fmt), np.uint8) for fmt in (*claim.operands, claim.result)]
        self._shape = (*map(len, self._axes), len(SITUATIONS))
        self._coordinates = [np.zeros(len(CLASSES), np.int64) for _ in self._axes]  # of each class, on each axis
        for coordinates, axis in zip(self._coordinates, self._axes, strict=True):
            coordinates[axis] = np.arange(axis.size)
        self.cases = np.zeros(int(np.prod(self._shape)), np.int64)

    def memberships(self, cases: Cases) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Pairs of a case and a cell that contains it: the rows of cases, ascending, and the numbers of cells."""
        base = np.zeros(cases.classes.shape[1], np.int64)
        for coordinates, classes, size in zip(self._coordinates, cases.classes, self._shape, strict=False):
            base = base * size + coordinates[classes]
        rows, situations = np.nonzero(cases.situations.T)
        return rows, base[rows] * len(SITUATIONS) + situations

    def add(self, cells: NDArray[np.int64]) -> None:
        """Count memberships."""
        self.cases += np.bincount(cells, minlength=self.cases.size)

    def operand_classes(self, cells: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The operands' classes in some cells, with a row for each operand."""
        coordinates = np.unravel_index(cells, self._shape)[:-2]
        return np.array([axis[each] for axis, each in zip(self._axes, coordinates, strict=False)], np.uint8)

    def class_combinations(self) -> NDArray[np.uint8]:
        """All combinations of the operands' classes, with a row for each operand."""
        return np.array(list(itertools.product(*self._axes[:-1])), np.uint8).T

    def filled(self) -> dict[Cell, int]:
        """The cells that have cases, and the number of cases in each."""
        cells = np.flatnonzero(self.cases)
        return dict(zip(self._named(cells), self.cases[cells].tolist(), strict=True))

    def empty(self) -> list[Cell]:
        """The cells without cases."""
        return list(self._named(np.flatnonzero(self.cases == 0)))

    def _named(self, cells: NDArray[np.int64]) -> Iterator[Cell]:
        *coordinates, situations = np.unravel_index(cells, self._shape)
        names = [[CLASSES[each] for each in axis[row]] for axis, row in zip(self._axes, coordinates, strict=True)]
        for *operands, result, situation in zip(*names, situations, strict=True):
            yield Cell(tuple(operands), result, SITUATIONS[situation])

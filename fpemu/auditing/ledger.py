"""What an audit has found so far: counts, the first differences, and evidence to explain them with; kept in a file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fpemu.auditing.fitting import Evidence, same
from fpemu.files import replacing

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from fpemu.auditing.subjects import Answer
    from fpemu.claims import Batch, Claim

__all__ = ["Difference", "Ledger"]

KEPT = 1 << 17  # inputs kept as evidence: all where there are no more
KEPT_WRONG = 1 << 16
SHOWN = 100  # differences listed


class Difference(NamedTuple):
    """An input at which a subject differs: codes, and flags where they were audited."""

    operands: tuple[int, ...]
    expected: int
    actual: int
    expected_flags: int | None
    actual_flags: int | None


class Ledger:
    """Counts, differences and evidence of an audit of a claim.

    Parameters
    ----------
    claim : Claim
    nan : {"class", "exact"}
    flags : bool
    total : int or None
        How many inputs there will be.

    Attributes
    ----------
    checked, different : int
        Inputs so far, and those at which the subject differs.
    differences : list of Difference
        The first ones.
    """

    def __init__(self, claim: Claim, nan: str, flags: bool, total: int | None) -> None:
        self.claim, self.nan, self.flags = claim, nan, flags
        self.checked = self.different = 0
        self.differences: list[Difference] = []
        self._stride = 1 if total is None else max(1, total // (KEPT - KEPT_WRONG))  # between agreements that are kept
        self._wrong = 0
        self._kept: list[list[NDArray[Any]]] = []

    def enter(self, batch: Batch, answer: Answer) -> None:
        """Take a batch of right answers and what the subject gave, as much as that is."""
        size = answer.codes.size
        operands = tuple(part[:size] for part in batch.operands)
        expected, wanted = batch.result[:size], None if batch.flags is None else batch.flags[:size]
        agree = None
        if not np.array_equal(expected, answer.codes) or self.flags:
            agree = same(expected, answer.codes, self.claim, self.nan)
            if self.flags:
                assert wanted is not None
                assert answer.flags is not None
                agree &= wanted == answer.flags
        wrong = np.flatnonzero(~agree) if agree is not None else np.zeros(0, np.intp)
        columns = [*operands, expected, answer.codes, *([wanted, answer.flags] if self.flags else [])]
        self.different += wrong.size
        for row in wrong[: SHOWN - len(self.differences)].tolist():
            given = [int(column[row]) for column in columns if column is not None]
            flags = given[-2:] if self.flags else [None, None]
            count = len(operands)
            self.differences.append(Difference(tuple(given[:count]), given[count], given[count + 1], *flags))
        rows = self._chosen(size, wrong)
        if rows.size:
            self._kept.append([column[rows].copy() for column in columns if column is not None])
        self.checked += size

    def _chosen(self, size: int, wrong: NDArray[np.intp]) -> NDArray[np.intp]:
        """The rows of a batch to keep."""
        phase = -self.checked % self._stride
        if self._stride == 1 and self.checked + size <= KEPT:
            return np.arange(size)
        kept = wrong[: max(0, KEPT_WRONG - self._wrong)]
        self._wrong += kept.size
        if self._stride == 1 and self.checked >= KEPT:  # nobody said how many there would be
            return kept
        return np.union1d(kept, np.arange(phase, size, max(self._stride, 1)))

    @property
    def evidence(self) -> Evidence:
        """What is kept, to explain the differences with."""
        arity = self.claim.arity
        columns = [np.concatenate(parts) for parts in zip(*self._kept, strict=True)]
        wanted, given = columns[arity + 2 :] if self.flags else (None, None)
        expected, actual = columns[arity : arity + 2]
        return Evidence(self.claim, tuple(columns[:arity]), expected, actual, wanted, given, self.nan)

    # -- in a file ----------------------------------------------------------------------------------------------------

    def save(self, path: Path, about: dict[str, Any]) -> None:
        """Write all to a file, whole or not at all."""
        state = {
            "about": about,
            "checked": self.checked,
            "different": self.different,
            "wrong": self._wrong,
            "differences": self.differences,
        }
        columns = [np.concatenate(parts) for parts in zip(*self._kept, strict=True)]
        arrays: dict[str, Any] = {str(place): column for place, column in enumerate(columns)}
        with replacing(path) as file:
            np.savez(file, state=np.array(json.dumps(state)), **arrays)

    def restore(self, path: Path, about: dict[str, Any]) -> None:
        """Go on from a file; a ValueError where it is not this audit's."""
        try:
            with np.load(path) as file:
                state = json.loads(str(file["state"]))
                columns = [file[str(k)] for k in range(len(file.files) - 1)]
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(f"{path} is no audit to go on with: {error}") from None
        for word, value in about.items():
            if state["about"].get(word) != value:
                raise ValueError(
                    f"{path} is of another audit: its {word} is {state['about'].get(word)!r}, here {value!r}"
                )
        self.checked, self.different, self._wrong = state["checked"], state["different"], state["wrong"]
        self.differences = [Difference(tuple(operands), *rest) for operands, *rest in state["differences"]]
        self._kept = [columns] if columns else []

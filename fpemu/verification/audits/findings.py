"""The findings of an audit: counts, the first differences, and evidence to explain them; saved to files."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fpemu.files import archives
from fpemu.files.atomic import replacing
from fpemu.files.boundary import Budget, reading
from fpemu.verification.audits.rule_search import Evidence, same
from fpemu.verification.differences import ALL_FLAGS

if TYPE_CHECKING:
    from pathlib import Path

    from fpemu.verification.audits.subjects import Answer
    from fpemu.verification.claims import Claim

__all__ = ["ComparedBatch", "Difference", "Findings"]

MAX_EVIDENCE = 1 << 17  # inputs in the evidence; of a smaller audit, all
MAX_WRONG = 1 << 16  # differences among them
LISTED = 100  # differences in the list


class Difference(NamedTuple):
    """An input at which the subject's answer is wrong: codes, and flags if they were audited."""

    operands: tuple[int, ...]
    expected: int
    actual: int
    expected_flags: int | None
    actual_flags: int | None


OperandsAt = Callable[[NDArray[np.intp]], tuple[NDArray[Any], ...]]


class ComparedBatch(NamedTuple):
    """One batch compared: its size, the number of differences, and rows for the evidence, as columns.

    `wrong`: differences; `agreeing`: other inputs, at even distances.  The columns are the operands, expected and
    actual codes, and, if flags are audited, expected and actual flags.
    """

    size: int
    different: int
    wrong: list[NDArray[Any]]
    agreeing: list[NDArray[Any]]


class Findings:
    """Counts, differences and evidence from the audit of a claim.

    Parameters
    ----------
    claim : Claim
    nan : {"class", "exact"}
    flags : bool
    total : int or None
        Number of inputs of the whole audit; None if unknown.

    Attributes
    ----------
    checked, different : int
        Number of inputs so far, and of differences among them.
    differences : list of Difference
        The first differences.
    """

    def __init__(self, claim: Claim, nan: str, flags: bool, total: int | None) -> None:
        self.claim, self.nan, self.flags, self._total = claim, nan, flags, total
        self.checked = self.different = 0
        self.differences: list[Difference] = []
        self._stride = 1 if total is None or total <= MAX_EVIDENCE else -(-total // (MAX_EVIDENCE - MAX_WRONG))
        self._wrong = 0
        self._chunks: list[list[NDArray[Any]]] = []

    def compare(self, first: int, expected: Answer, answer: Answer, operands: OperandsAt) -> ComparedBatch:
        """Compare correct answers with the subject's, up to where the subject stopped.

        Parameters
        ----------
        first : int
            The first input's number.
        expected, answer : Answer
        operands : callable
            Returns the operands' codes in some rows of the batch.

        Returns
        -------
        ComparedBatch
        """
        size = answer.codes.size
        columns = [expected.codes[:size], answer.codes]
        sampled = np.arange(-first % self._stride, size, self._stride)
        if self.flags:
            assert expected.flags is not None
            assert answer.flags is not None
            columns += [expected.flags[:size], answer.flags]
            agree = same(columns[0], answer.codes, self.claim, self.nan) & (columns[2] == answer.flags)
        elif _identical(*columns):
            return ComparedBatch(size, 0, [], [*operands(sampled), *(column[sampled] for column in columns)])
        else:
            agree = same(columns[0], answer.codes, self.claim, self.nan)
        wrong, agreeing = np.flatnonzero(~agree), sampled[agree[sampled]]
        samples = [[*operands(rows), *(column[rows] for column in columns)] for rows in (wrong[:MAX_WRONG], agreeing)]
        return ComparedBatch(size, wrong.size, *samples)

    def add(self, batch: ComparedBatch) -> None:
        """Add the next batch."""
        if batch.different:
            room = LISTED - len(self.differences)
            for row in zip(*(column[:room].tolist() for column in batch.wrong), strict=True):
                flags = row[-2:] if self.flags else (None, None)
                count = self.claim.arity
                self.differences.append(Difference(row[:count], row[count], row[count + 1], *flags))
            room = max(0, MAX_WRONG - self._wrong)
            self._keep([column[:room] for column in batch.wrong])
            self._wrong += min(room, batch.wrong[0].size)
        if self._stride > 1 or self.checked < MAX_EVIDENCE:  # if the total is unknown, the first inputs are kept
            self._keep(batch.agreeing)
        self.different += batch.different
        self.checked += batch.size

    def _keep(self, columns: list[NDArray[Any]]) -> None:
        if columns[0].size:
            self._chunks.append(columns)

    def _columns(self) -> list[NDArray[Any]]:
        return [np.concatenate(chunks) for chunks in zip(*self._chunks, strict=True)]

    @property
    def evidence(self) -> Evidence:
        """The differences and agreeing inputs kept so far."""
        arity, columns = self.claim.arity, self._columns()
        expected, actual = columns[arity : arity + 2]
        expected_flags, actual_flags = columns[arity + 2 :] if self.flags else (None, None)
        operands = tuple(columns[:arity])
        return Evidence(self.claim, operands, expected, actual, expected_flags, actual_flags, self.nan)

    # -- in a file ----------------------------------------------------------------------------------------------------

    def save(self, path: Path, about: dict[str, Any]) -> None:
        """Write all findings to a file, whole or not at all."""
        state = {
            "about": about,
            "checked": self.checked,
            "different": self.different,
            "wrong": self._wrong,
            "differences": self.differences,
        }
        arrays: dict[str, Any] = {str(index): column for index, column in enumerate(self._columns())}
        with replacing(path) as file:
            np.savez(file, state=np.array(json.dumps(state)), **arrays)

    def restore(self, path: Path, about: dict[str, Any]) -> None:
        """Load the findings of an earlier run; a ValueError if the file belongs to another audit."""
        with reading(path, "not an audit to resume"):
            budget = Budget.of(path)
            with archives.open_archive(path) as archive:
                members = archives.entries(archive, budget.size)
                arrays = {name: archives.member_array(archive, entry, budget) for name, entry in members.items()}
            state = budget.json(str(arrays.pop("state.npy")[()]).encode(), "its state")
            for word, value in about.items():
                if state["about"].get(word) != value:
                    raise ValueError(
                        f"{path} belongs to another audit: its {word} is {state['about'].get(word)!r}, here {value!r}"
                    )
            self._load(state, [arrays[f"{index}.npy"] for index in range(len(arrays))])

    def _load(self, state: dict[str, Any], columns: list[NDArray[Any]]) -> None:
        """Take over a file's contents; a ValueError if they contradict each other."""
        numbers = [state[word] for word in ("checked", "different", "wrong")]
        if not all(type(number) is int and number >= 0 for number in numbers):
            raise ValueError(f"its counts are {numbers}")
        checked, different, wrong = numbers
        if different > checked or checked > (checked if self._total is None else self._total):
            raise ValueError(f"it has {different} differences in {checked} inputs of {self._total}")
        limits = self._limits()
        if columns and (len(columns) != len(limits) or any(each.dtype.kind != "u" for each in columns)):
            raise ValueError("its columns do not fit this audit")
        if any(column.ndim != 1 or column.size != columns[0].size for column in columns):
            raise ValueError("its columns differ in length")
        if any(int(column.max(initial=0)) >= limit for column, limit in zip(columns, limits, strict=False)):
            raise ValueError("its columns have invalid codes")
        differences = [self._difference(row, limits) for row in state["differences"]]
        self.checked, self.different, self._wrong = numbers
        self.differences = differences
        self._chunks = [columns] if columns else []
        retained = self.evidence.wrong.size if columns else 0
        if (len(differences), wrong, retained) != (min(different, LISTED), *2 * (min(different, MAX_WRONG),)):
            raise ValueError(f"it has {different} differences, but lists {len(differences)} and contains {retained}")

    def _limits(self) -> list[int]:
        """Exclusive upper bounds of a row's numbers: the operands' codes, two results, two sets of flags."""
        operands = [fmt.code_count for fmt in self.claim.operands]
        return [*operands, *[self.claim.result_count] * 2, *[ALL_FLAGS + 1] * (2 * self.flags)]

    def _difference(self, row: Any, limits: list[int]) -> Difference:
        """A difference read from a file and checked."""
        operands, expected, actual, *flags = row
        numbers = [*operands, expected, actual, *(flags if self.flags else ())]
        fits = len(numbers) == len(limits) and len(flags) == 2 and (self.flags or flags == [None, None])
        if not fits or not all(type(n) is int and 0 <= n < limit for n, limit in zip(numbers, limits, strict=True)):
            raise ValueError(f"one of its differences is {str(row)[:80]}")
        return Difference(tuple(operands), expected, actual, *flags)


def _identical(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Whether two arrays of codes are equal; compares eight bytes at a time."""
    if a.nbytes % 8 or a.dtype != b.dtype or not (a.flags.c_contiguous and b.flags.c_contiguous):
        return np.array_equal(a, b)
    return np.array_equal(a.view(np.uint64), b.view(np.uint64))

"""What an audit has found so far: counts, the first differences, and evidence to explain them with; kept in a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fpemu.arithmetic.flags import Flags
from fpemu.files import archives
from fpemu.files.atomic import replacing
from fpemu.files.boundary import Budget, reading
from fpemu.verification.audits.rule_search import Evidence, same

if TYPE_CHECKING:
    from pathlib import Path

    from fpemu.verification.audits.subjects import Answer
    from fpemu.verification.claims import Claim

__all__ = ["Comparison", "Difference", "Expected", "Findings"]

KEPT = 1 << 17  # inputs kept as evidence: all where there are no more
KEPT_WRONG = 1 << 16
SHOWN = 100  # differences listed
ALL_FLAGS = (1 << len(Flags.NAMES)) - 1


class Difference(NamedTuple):
    """An input at which a subject differs: codes, and flags where they were audited."""

    operands: tuple[int, ...]
    expected: int
    actual: int
    expected_flags: int | None
    actual_flags: int | None


class Expected(NamedTuple):
    """Expected answers: codes, and flags or None."""

    codes: NDArray[Any]
    flags: NDArray[np.uint8] | None


At = Callable[[NDArray[np.intp]], tuple[NDArray[Any], ...]]


class Comparison(NamedTuple):
    """What there was to see in a batch: its size, the number of differences, and the columns of the rows to keep.

    `wrong` and `kept`: the operands, expected and actual codes, and the flags if they are audited, of differences and
    of other inputs at even distances.
    """

    size: int
    different: int
    wrong: list[NDArray[Any]]
    kept: list[NDArray[Any]]


class Findings:
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
        self.claim, self.nan, self.flags, self._total = claim, nan, flags, total
        self.checked = self.different = 0
        self.differences: list[Difference] = []
        self._stride = 1 if total is None or total <= KEPT else -(-total // (KEPT - KEPT_WRONG))
        self._wrong = 0
        self._kept: list[list[NDArray[Any]]] = []

    def compare(self, first: int, right: Expected, answer: Answer, operands: At) -> Comparison:
        """Compare right answers with what the subject gave, as much as that is.

        Parameters
        ----------
        first : int
            The first input's number.
        right : Expected
        answer : Answer
        operands : callable
            Gives the operands' codes at some places of the batch.

        Returns
        -------
        Comparison
        """
        size = answer.codes.size
        columns = [right.codes[:size], answer.codes]
        chosen = np.arange(-first % self._stride, size, self._stride)
        if self.flags:
            assert right.flags is not None
            assert answer.flags is not None
            columns += [right.flags[:size], answer.flags]
            agree = same(columns[0], answer.codes, self.claim, self.nan) & (columns[2] == answer.flags)
        elif _identical(*columns):
            return Comparison(size, 0, [], [*operands(chosen), *(part[chosen] for part in columns)])
        else:
            agree = same(columns[0], answer.codes, self.claim, self.nan)
        wrong, others = np.flatnonzero(~agree), chosen[agree[chosen]]
        kept = [[*operands(rows), *(part[rows] for part in columns)] for rows in (wrong[:KEPT_WRONG], others)]
        return Comparison(size, wrong.size, *kept)

    def add(self, seen: Comparison) -> None:
        """Take what there was to see in the next batch."""
        if seen.different:
            for row in zip(*(part[: SHOWN - len(self.differences)].tolist() for part in seen.wrong), strict=True):
                flags = row[-2:] if self.flags else (None, None)
                count = self.claim.arity
                self.differences.append(Difference(row[:count], row[count], row[count + 1], *flags))
            room = max(0, KEPT_WRONG - self._wrong)
            self._keep([part[:room] for part in seen.wrong])
            self._wrong += min(room, seen.wrong[0].size)
        if self._stride > 1 or self.checked < KEPT:  # else nobody said how many there would be
            self._keep(seen.kept)
        self.different += seen.different
        self.checked += seen.size

    def _keep(self, columns: list[NDArray[Any]]) -> None:
        if columns[0].size:
            self._kept.append(columns)

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
        with reading(path, "no audit to go on with"):
            budget = Budget.of(path)
            with archives.open_archive(path) as archive:
                members = archives.entries(archive, budget.size)
                arrays = {name: archives.member_array(archive, entry, budget) for name, entry in members.items()}
            state = budget.json(str(arrays.pop("state.npy")[()]).encode(), "its state")
            for word, value in about.items():
                if state["about"].get(word) != value:
                    raise ValueError(
                        f"{path} is of another audit: its {word} is {state['about'].get(word)!r}, here {value!r}"
                    )
            self._enter(state, [arrays[f"{place}.npy"] for place in range(len(arrays))])

    def _enter(self, state: dict[str, Any], columns: list[NDArray[Any]]) -> None:
        """All that a file has, where it fits together."""
        numbers = [state[word] for word in ("checked", "different", "wrong")]
        if not all(type(number) is int and number >= 0 for number in numbers):
            raise ValueError(f"its counts are {numbers}")
        checked, different, wrong = numbers
        if different > checked or checked > (checked if self._total is None else self._total):
            raise ValueError(f"it has {different} differences in {checked} inputs of {self._total}")
        limits = self._limits()
        if columns and (len(columns) != len(limits) or any(each.dtype.kind != "u" for each in columns)):
            raise ValueError("its columns are not those of this audit")
        if any(column.ndim != 1 or column.size != columns[0].size for column in columns):
            raise ValueError("its columns are not of one length")
        if any(int(column.max(initial=0)) >= limit for column, limit in zip(columns, limits, strict=False)):
            raise ValueError("its columns have codes that are none")
        differences = [self._difference(row, limits) for row in state["differences"]]
        self.checked, self.different, self._wrong = numbers
        self.differences = differences
        self._kept = [columns] if columns else []
        found = int(np.count_nonzero(~self._agrees())) if columns else 0
        if (len(differences), wrong, found) != (min(different, SHOWN), *2 * (min(different, KEPT_WRONG),)):
            raise ValueError(f"it has {different} differences, but lists {len(differences)} and keeps {found}")

    def _agrees(self) -> NDArray[np.bool_]:
        """Where what is kept is right."""
        evidence = self.evidence
        return evidence.agrees(evidence.expected, evidence.expected_flags)

    def _limits(self) -> list[int]:
        """What the numbers of a row are below: the operands' codes, two results, two sets of flags."""
        result = 2 if self.claim.result is None else self.claim.result.code_count
        operands = [fmt.code_count for fmt in self.claim.operands]
        return [*operands, result, result, *[ALL_FLAGS + 1] * (2 * self.flags)]

    def _difference(self, row: Any, limits: list[int]) -> Difference:
        """A difference that a file has, its numbers checked."""
        operands, expected, actual, *flags = row
        numbers = [*operands, expected, actual, *(flags if self.flags else ())]
        fits = len(numbers) == len(limits) and len(flags) == 2 and (self.flags or flags == [None, None])
        if not fits or not all(type(n) is int and 0 <= n < limit for n, limit in zip(numbers, limits, strict=True)):
            raise ValueError(f"one of its differences is {str(row)[:80]}")
        return Difference(tuple(operands), expected, actual, *flags)


def _identical(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Whether two arrays of codes are the same, eight bytes at a time."""
    if a.nbytes % 8 or a.dtype != b.dtype or not (a.flags.c_contiguous and b.flags.c_contiguous):
        return np.array_equal(a, b)
    return np.array_equal(a.view(np.uint64), b.view(np.uint64))

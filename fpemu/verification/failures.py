"""Messages of failed assertions: counts by class, the likely cause, the first and the largest differences."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from fpemu.arithmetic.flags import Flags, flag_names
from fpemu.formats.facts.codes import NumberClass, classes_of, code_fields, nan_mask
from fpemu.formats.facts.text import fraction_text, number_text
from fpemu.inspection import Code
from fpemu.verification.diagnosis import cause_of_flags
from fpemu.verification.differences import aligned, distances, index_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from fpemu.formats import Format

    Codes = NDArray[np.unsignedinteger[Any]]

__all__ = ["Failure", "code_failure", "flag_failure", "ulp_failure"]

MESSAGE_ROWS = 5  # differences in each table of a message
REPORT_ROWS = 30  # differences in the table of a report
_PAIRS = 8  # pairs of classes with a line each


@dataclasses.dataclass(frozen=True)
class Failure:
    """A failed assertion, for reports: the attribute `fpemu_failure` of its exception.

    `predicate`: the statement that is true of `count` of `size` elements ("codes of float16 differ"); `lines`: counts
    by class and similar facts; `head`: the columns of the tables; `row`: a failing element's lines in a table; `cause`:
    the one rule that explains all, if there is one; `worst`: the failing elements in the message's second table.
    """

    predicate: str
    count: int
    size: int
    lines: list[str]
    head: list[str]
    row: Callable[[int], list[list[str]]]
    cause: str | None = None
    worst: tuple[int, ...] = ()

    @property
    def summary(self) -> str:
        """One line: the number of failing elements."""
        return f"{self.count:,} of {self.size:,} {self.predicate} ({100 * self.count / self.size:.3g}%)"

    @property
    def message(self) -> str:
        """The exception's message."""
        lines = [self.summary, *self.lines, *([f"  likely cause: {self.cause}"] if self.cause else [])]
        if self.count <= 2 * MESSAGE_ROWS:
            return "\n".join([*lines, "all of them", *self.table(range(self.count))])
        lines += [f"the first {MESSAGE_ROWS}", *self.table(range(MESSAGE_ROWS))]
        if self.worst:
            lines += [f"the worst {len(self.worst)}", *self.table(self.worst)]
        return "\n".join(lines)

    @property
    def listing(self) -> str:
        """A longer table, for a report."""
        shown = min(self.count, REPORT_ROWS)
        return "\n".join([self.summary, f"the first {shown} of {self.count:,}", *self.table(range(shown))])

    @property
    def error(self) -> AssertionError:
        """An AssertionError with the failure as its attribute."""
        error = AssertionError(self.message)
        error.__dict__["fpemu_failure"] = self
        return error

    def table(self, elements: Iterable[int]) -> list[str]:
        """Some of the failing elements, in columns."""
        return aligned([self.head, *(line for i in elements for line in self.row(i))])


def _code_cells(fmt: Format, number: Any) -> list[str]:
    """A code's cells in a table: hexadecimal, fields, value."""
    code = Code(fmt, int(number))
    return [code.hex, "|".join(bits for _, bits in code.fields), code.text]


def code_failure(
    got: Codes,
    want: Codes,
    differs: NDArray[np.bool_],
    shape: tuple[int, ...],
    fmt: Format,
    predicate: str,
    cause: str | None = None,
) -> Failure:
    """The failure of codes that differ: counts by pairs of classes, the first and the largest differences."""
    indices = np.flatnonzero(differs)
    a, b = got[differs], want[differs]
    apart, distance = distances(a, b, fmt)
    lines = []
    counts = np.bincount(len(NumberClass) * classes_of(a, fmt).astype(np.intp) + classes_of(b, fmt))
    pairs = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    for pair in pairs[:_PAIRS]:
        actual, expected = (NumberClass(kind).words for kind in divmod(int(pair), len(NumberClass)))
        lines.append(f"  actual {actual}, expected {expected}: {counts[pair]:,}")
    if len(pairs) > _PAIRS:
        lines.append(f"  {len(pairs) - _PAIRS} other pairs of classes: {counts[pairs[_PAIRS:]].sum():,}")
    if distance.any():
        farthest = int(np.argmax(distance))
        lines.append(f"  largest distance: {distance[farthest]} ulp at {index_text(int(indices[farthest]), shape)}")
    undefined = nan_mask(a, fmt) | nan_mask(b, fmt)

    def row(i: int) -> list[list[str]]:
        steps = "-" if undefined[i] else str(distance[i])
        index = index_text(int(indices[i]), shape)
        return [[index, "actual", *_code_cells(fmt, a[i]), steps], ["", "expected", *_code_cells(fmt, b[i]), ""]]

    head = ["index", "", "code", "|".join(name for name, _ in code_fields(fmt)), "value", "ulp"]
    by_distance = np.lexsort((indices, ~distance, apart))[:MESSAGE_ROWS]
    nans = np.flatnonzero(apart)[:2]  # NaN against a number is worst, but must not fill the table
    worst = tuple(dict.fromkeys([*map(int, nans), *map(int, by_distance)]))[:MESSAGE_ROWS]
    return Failure(predicate, indices.size, differs.size, lines, head, row, cause, worst)


def ulp_failure(
    fmt: Format,
    got: Codes,
    exact: NDArray[np.object_],
    errors: list[Fraction | None],
    wrong: list[int],
    shape: tuple[int, ...],
    predicate: str,
) -> Failure:
    """The failure of values too far from the exact ones: the first and the largest errors."""

    def row(i: int) -> list[list[str]]:
        index = wrong[i]
        number = exact[index]
        desired = fraction_text(number) if isinstance(number, Fraction) else str(number)
        return [[index_text(index, shape), Code(fmt, int(got[index])).text, desired, number_text(errors[index])]]

    order = sorted(range(len(wrong)), key=lambda i: (errors[wrong[i]] is not None, -(errors[wrong[i]] or 0), i))
    finite = [i for i in order if errors[wrong[i]] is not None]
    lines = []
    if finite:
        index = wrong[finite[0]]
        lines.append(f"  largest error: {number_text(errors[index])} ulps at {index_text(index, shape)}")
    if len(finite) < len(wrong):
        lines.append(f"  NaN or infinity against a number: {len(wrong) - len(finite):,}")
    head = ["index", "actual", "exact", "error in ulps"]
    return Failure(predicate, len(wrong), got.size, lines, head, row, worst=tuple(order[:MESSAGE_ROWS]))


def flag_failure(
    got: NDArray[np.uint8],
    want: NDArray[np.uint8],
    shape: tuple[int, ...],
    operands: list[tuple[NDArray[Any], Format]],
) -> Failure:
    """The failure of flags that differ: counts by flag, the likely cause, the first elements."""
    indices = np.flatnonzero(got != want)
    lines = []
    for number, name in enumerate(Flags.NAMES):
        bit = np.uint8(1 << number)
        extra, missing = (np.count_nonzero(a & ~b & bit) for a, b in ((got, want), (want, got)))
        if extra or missing:
            lines.append(f"  {name}: {extra:,} raised needlessly, {missing:,} not raised")

    def row(i: int) -> list[list[str]]:
        index = int(indices[i])
        values = ", ".join(Code(fmt, int(codes[index])).text for codes, fmt in operands)
        flags = ["|".join(flag_names(int(each[index]))) or "none" for each in (got, want)]
        return [[index_text(index, shape), *([values] if operands else []), *flags]]

    head = ["index", *(["operands"] if operands else []), "actual", "expected"]
    cause = cause_of_flags(got, want)
    return Failure("elements raised other flags", indices.size, got.size, lines, head, row, cause)

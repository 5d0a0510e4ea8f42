"""What a failed assertion says: counts by class, the likely cause, the first elements that differ, the worst ones."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from fpemu.arithmetic.flags import Flags
from fpemu.formats.facts.codes import NumberClass, classes_of, code_fields, nan_mask
from fpemu.formats.facts.text import fraction_text, number_text
from fpemu.inspection import Code
from fpemu.verification.diagnosis import cause_of_flags
from fpemu.verification.differences import distances, index_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from fpemu.formats import Format

    Codes = NDArray[np.unsignedinteger[Any]]

__all__ = ["Failure", "code_failure", "flag_failure", "ulp_failure"]

SHOWN = 5  # differences in each table of a message
LISTED = 30  # differences in the table of a report
_PAIRS = 8  # pairs of classes that are counted apart


@dataclasses.dataclass(frozen=True)
class Failure:
    """What an assertion found; its exception carries it as the attribute `fpemu_failure`, for reports.

    `what`: what was asked ("codes of float16 differ"); `count` of `size` elements fail; `lines`: counts by class and
    the like; `cause`: what all have in common, where one rule is that; `head`: the columns of the tables; `row`: the
    lines that tell of a failing element; `worst`: the failing elements that a message shows beside the first.
    """

    what: str
    count: int
    size: int
    lines: list[str]
    head: list[str]
    row: Callable[[int], list[list[str]]]
    cause: str | None = None
    worst: tuple[int, ...] = ()

    @property
    def summary(self) -> str:
        """One line: how many differ."""
        return f"{self.count:,} of {self.size:,} {self.what} ({100 * self.count / self.size:.3g}%)"

    @property
    def message(self) -> str:
        """What the exception says."""
        lines = [self.summary, *self.lines, *([f"  likely cause: {self.cause}"] if self.cause else [])]
        if self.count <= 2 * SHOWN:
            return "\n".join([*lines, "all of them", *self.table(range(self.count))])
        lines += [f"the first {SHOWN}", *self.table(range(SHOWN))]
        if self.worst:
            lines += [f"the worst {len(self.worst)}", *self.table(self.worst)]
        return "\n".join(lines)

    @property
    def listing(self) -> str:
        """A longer table, for a report."""
        shown = min(self.count, LISTED)
        return "\n".join([self.summary, f"the first {shown} of {self.count:,}", *self.table(range(shown))])

    @property
    def error(self) -> AssertionError:
        """The exception: a plain AssertionError, which carries the failure."""
        error = AssertionError(self.message)
        error.__dict__["fpemu_failure"] = self
        return error

    def table(self, chosen: Iterable[int]) -> list[str]:
        """Some of the elements that fail, in columns."""
        cells = [self.head, *(line for i in chosen for line in self.row(i))]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        return [
            "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in cells
        ]


def _side(fmt: Format, code: Any) -> list[str]:
    """One code in a table: hexadecimal, its fields, its value."""
    one = Code(fmt, int(code))
    return [one.hex, "|".join(bits for _, bits in one.fields), one.text]


def code_failure(
    got: Codes,
    want: Codes,
    differs: NDArray[np.bool_],
    shape: tuple[int, ...],
    fmt: Format,
    what: str,
    cause: str | None = None,
) -> Failure:
    """Codes that differ: counts by pairs of classes, the first, the farthest apart."""
    where = np.flatnonzero(differs)
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
        lines.append(f"  largest distance: {distance[farthest]} ulp at {index_text(int(where[farthest]), shape)}")
    undefined = nan_mask(a, fmt) | nan_mask(b, fmt)

    def row(i: int) -> list[list[str]]:
        steps = "-" if undefined[i] else str(distance[i])
        index = index_text(int(where[i]), shape)
        return [[index, "actual", *_side(fmt, a[i]), steps], ["", "expected", *_side(fmt, b[i]), ""]]

    head = ["index", "", "code", "|".join(name for name, _ in code_fields(fmt)), "value", "ulp"]
    by_distance = np.lexsort((where, ~distance, apart))[:SHOWN]
    nans = np.flatnonzero(apart)[:2]  # NaN against a number is worst, but must not be all that one sees
    worst = tuple(dict.fromkeys([*map(int, nans), *map(int, by_distance)]))[:SHOWN]
    return Failure(what, where.size, differs.size, lines, head, row, cause, worst)


def ulp_failure(
    fmt: Format,
    got: Codes,
    exact: NDArray[np.object_],
    errors: list[Fraction | None],
    wrong: list[int],
    shape: tuple[int, ...],
    what: str,
) -> Failure:
    """Values that are too far from the exact ones: the largest error, the first, the worst."""

    def row(i: int) -> list[list[str]]:
        number, place = exact[wrong[i]], wrong[i]
        desired = fraction_text(number) if isinstance(number, Fraction) else str(number)
        return [[index_text(place, shape), Code(fmt, int(got[place])).text, desired, number_text(errors[place])]]

    order = sorted(range(len(wrong)), key=lambda i: (errors[wrong[i]] is not None, -(errors[wrong[i]] or 0), i))
    finite = [i for i in order if errors[wrong[i]] is not None]
    lines = []
    if finite:
        place = wrong[finite[0]]
        lines.append(f"  largest error: {number_text(errors[place])} ulps at {index_text(place, shape)}")
    if len(finite) < len(wrong):
        lines.append(f"  NaN or infinity against a number: {len(wrong) - len(finite):,}")
    head = ["index", "actual", "exact", "error in ulps"]
    return Failure(what, len(wrong), got.size, lines, head, row, worst=tuple(order[:SHOWN]))


def flag_failure(
    got: NDArray[np.uint8],
    want: NDArray[np.uint8],
    shape: tuple[int, ...],
    operands: list[tuple[NDArray[Any], Format]],
) -> Failure:
    """Flags that differ: counts by flag, the likely cause, the first elements."""
    where = np.flatnonzero(got != want)
    lines = []
    for place, name in enumerate(Flags.NAMES):
        bit = np.uint8(1 << place)
        extra, missing = (np.count_nonzero(a & ~b & bit) for a, b in ((got, want), (want, got)))
        if extra or missing:
            lines.append(f"  {name}: {extra:,} raised needlessly, {missing:,} not raised")

    def words(bits: np.uint8) -> str:
        return "|".join(name for place, name in enumerate(Flags.NAMES) if int(bits) >> place & 1) or "none"

    def row(i: int) -> list[list[str]]:
        place = int(where[i])
        values = ", ".join(Code(fmt, int(codes[place])).text for codes, fmt in operands)
        return [[index_text(place, shape), *([values] if operands else []), words(got[place]), words(want[place])]]

    head = ["index", *(["operands"] if operands else []), "actual", "expected"]
    what = "elements raised other flags"
    return Failure(what, where.size, got.size, lines, head, row, cause_of_flags(got, want))

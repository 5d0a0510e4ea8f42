"""What an audit found, as an object and as a report."""

from __future__ import annotations

import functools
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from fpemu.arithmetic.flags import Flags
from fpemu.files.boundary import line
from fpemu.inspection import Code
from fpemu.verification.audits.findings import Difference
from fpemu.verification.differences import distances
from fpemu.verification.vectors.code_classes import CLASSES
from fpemu.verification.vectors.situations import SITUATIONS, classify

if TYPE_CHECKING:
    from fpemu.formats import Format
    from fpemu.verification.audits.findings import Findings
    from fpemu.verification.audits.rule_search import RuleSet

__all__ = ["Audit"]

ROWS = 10  # differences that the report shows
CELLS = 6  # and classes of input


class Audit:
    """What an audit found; `print` shows the report.

    Attributes
    ----------
    subject : str
        Its name.
    claim : Claim
    checked, different : int
        Inputs that were tried, and those at which the subject differs.
    exhaustive : bool
        Whether these were all the inputs that there are.
    recorded : bool
        Whether the answers were recorded elsewhere.
    problem : str or None
        What kept the subject from answering everything.
    explanations : list of RuleSet
        Rules that the subject follows instead, the best first.
    """

    def __init__(
        self,
        subject: str,
        ledger: Findings,
        problem: str | None,
        exhaustive: bool,
        explanations: list[RuleSet],
        recorded: bool = False,
        in_order: bool = False,
    ) -> None:
        self.subject, self.claim = line(subject), ledger.claim
        self.checked, self.different = ledger.checked, ledger.different
        self.problem = None if problem is None else line(problem)
        self.exhaustive, self.explanations = exhaustive, explanations
        self.recorded, self._in_order, self._ledger = recorded, in_order, ledger

    @property
    def passed(self) -> bool:
        """Whether every input was answered, and rightly."""
        return not self.different and self.problem is None and self.checked > 0

    @property
    def differences(self) -> list[Difference]:
        """The first hundred differences."""
        return list(self._ledger.differences)

    @property
    def cause(self) -> str | None:
        """The name of the rules that explain all differences, "unexplained" where none do, None without differences."""
        if not self.different:
            return None
        best = self.explanations[0] if self.explanations else None
        return best.name if best is not None and best.share == 1 else "unexplained"

    @functools.cached_property
    def distance(self) -> int | None:
        """How far off the farthest of the differences that were kept is, in steps along the format's values.

        Infinity is a step beyond the largest.  None without differences, where in all of them one result is NaN and the
        other is not, and for truth values.
        """
        fmt = self.claim.result
        if fmt is None or not self.different:
            return None
        evidence = self._ledger.evidence
        wrong = ~evidence.agrees(evidence.expected, evidence.expected_flags)
        apart, steps = distances(evidence.actual[wrong], evidence.expected[wrong], fmt)
        return None if apart.all() else int(steps.max())

    @functools.cached_property
    def failing(self) -> dict[str, int]:
        """How many of the differences that were kept lie in each class of inputs, the most frequent first.

        A class is those of the operands, and where the exact result lies.
        """
        evidence = self._ledger.evidence
        wrong = np.flatnonzero(~evidence.agrees(evidence.expected, evidence.expected_flags))
        if not wrong.size:
            return {}
        codes = tuple(part[wrong] for part in evidence.operands)
        cases = classify(self.claim, codes)
        first = np.argmax(cases.situations, axis=0)
        counts: Counter[str] = Counter()
        for *kinds, situation in zip(*cases.classes[:-1].tolist(), first.tolist(), strict=True):
            counts[f"{', '.join(CLASSES[kind] for kind in kinds)}: {SITUATIONS[situation]}"] += 1
        return dict(counts.most_common())

    def to_dict(self) -> dict[str, object]:
        """Everything as plain data, for JSON.

        Returns
        -------
        dict
        """
        return {
            "subject": self.subject,
            "claim": self.claim.described(),
            "passed": self.passed,
            "checked": self.checked,
            "different": self.different,
            "exhaustive": self.exhaustive,
            "problem": self.problem,
            "cause": self.cause,
            "distance": self.distance,
            "explanations": [each._asdict() for each in self.explanations],
            "failing": self.failing if self.different else {},
            "differences": [each._asdict() for each in self.differences],
        }

    def __repr__(self) -> str:
        outcome = "passed" if self.passed else f"{self.different:,} differences"
        return f"<Audit of {self.subject}: {outcome} in {self.checked:,} inputs>"

    def __str__(self) -> str:
        """The report."""
        lines = [f"{self.subject}: {self.claim}", self._verdict()]
        if self.problem is not None:
            lines.append(f"  stopped after {self.checked:,} inputs: it {self.problem}")
        if not self.different:
            return "\n".join(lines)
        lines += self._explained()
        lines.append("differences by the operands' classes and where the exact result lies")
        kept = sum(self.failing.values())
        for name, count in list(self.failing.items())[:CELLS]:
            lines.append(f"  {count:>9,}  {name}")
        rest = kept - sum(list(self.failing.values())[:CELLS])
        if rest:
            lines.append(f"  {rest:>9,}  in {len(self.failing) - CELLS} others")
        if kept < self.different:
            lines.append(f"  (of the {kept:,} differences that were kept)")
        lines.append(f"the first {min(ROWS, self.different)}" if self.different > ROWS else "all of them")
        return "\n".join([*lines, *self._table()])

    def _verdict(self) -> str:
        chosen = "the first of all" if self._in_order else "chosen by cells, and at random"
        chosen = "as recorded" if self.recorded else chosen
        of = "all there are" if self.exhaustive else chosen
        if self.passed:
            return f"PASSED: {self.checked:,} inputs ({of})"
        if not self.different:
            return f"NOT PASSED: no difference in {self.checked:,} inputs, but not all were answered"
        return f"FAILED: {self.different:,} of {self.checked:,} inputs differ ({of})"

    def _explained(self) -> list[str]:
        if not self.explanations:
            return ["unexplained: no rule explains any of the differences"]
        best = self.explanations[0]
        if best.share == 1:
            what = f"{best.words} ({best.name})" if "rounding" in best.knobs else best.name
            lines = [f"looks like {what}: explains every difference, and everything that agrees"]
            lines += [f"  or {name}, which gives the same everywhere" for name in best.alike]
            return lines + self._separated(best)
        lines = ["unexplained: no rule explains all; those that explain most"]
        lines += [f"  {100 * each.share:5.1f} %  {each.name}" for each in self.explanations]
        return lines

    def _separated(self, best: RuleSet) -> list[str]:
        if best.separating_input is None:
            return []
        codes = ", ".join(
            f"{Code(fmt, code).hex} ({Code(fmt, code).text})"
            for fmt, code in zip(self.claim.operands, best.separating_input, strict=True)
        )
        return [f"  told apart from the claim by {codes}"]

    def _table(self) -> list[str]:
        fmt = self.claim.result
        heads = (
            [f"operand {place}" for place in range(1, self.claim.arity + 1)] if self.claim.arity > 1 else ["operand"]
        )
        rows = [[*heads, "expected", "actual"]]
        for each in self.differences[:ROWS]:
            row = [_shown(own, code) for own, code in zip(self.claim.operands, each.operands, strict=True)]
            expected, actual = (_shown(fmt, code) for code in (each.expected, each.actual))
            if each.expected_flags is not None:
                expected, actual = (
                    f"{text} {_raised(bits)}"
                    for text, bits in ((expected, each.expected_flags), (actual, each.actual_flags))
                )
            rows.append([*row, expected, actual])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return [
            "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]


def _shown(fmt: Format | None, code: int) -> str:
    """A code and its value; a truth value as it is."""
    return str(bool(code)) if fmt is None else f"{Code(fmt, code).hex} {Code(fmt, code).text}"


def _raised(bits: int | None) -> str:
    names = [name for place, name in enumerate(Flags.NAMES) if (bits or 0) >> place & 1]
    return f"[{', '.join(names)}]"

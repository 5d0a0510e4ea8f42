"""The outcome of an audit, as an object and as a report."""

from __future__ import annotations

import functools
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from fpemu.arithmetic.flags import flag_names
from fpemu.files.boundary import line
from fpemu.inspection import Code
from fpemu.verification.audits.findings import Difference
from fpemu.verification.differences import aligned, distances
from fpemu.verification.vectors.code_classes import CLASSES
from fpemu.verification.vectors.situations import SITUATIONS, classify_cases

if TYPE_CHECKING:
    from fpemu.formats import Format
    from fpemu.verification.audits.findings import Findings
    from fpemu.verification.audits.rule_search import Evidence, RuleSet

__all__ = ["Audit"]

ROWS = 10  # differences in the report
CELLS = 6  # classes of inputs in the report


class Audit:
    """The outcome of an audit; `print` shows the report.

    Attributes
    ----------
    subject : str
        The subject's name.
    claim : Claim
    checked, different : int
        Number of inputs tried, and of inputs at which the subject differs.
    exhaustive : bool
        Whether all possible inputs were tried.
    recorded : bool
        Whether the answers come from a recording.
    problem : str or None
        The reason why the subject did not answer everything.
    explanations : list of RuleSet
        Rules that the subject follows instead, the best first.
    """

    def __init__(
        self,
        subject: str,
        findings: Findings,
        problem: str | None,
        exhaustive: bool,
        explanations: list[RuleSet],
        recorded: bool = False,
        in_order: bool = False,
    ) -> None:
        self.subject, self.claim = line(subject), findings.claim
        self.checked, self.different = findings.checked, findings.different
        self.problem = None if problem is None else line(problem)
        self.exhaustive, self.explanations = exhaustive, explanations
        self.recorded, self._in_order, self._findings = recorded, in_order, findings

    @property
    def passed(self) -> bool:
        """Whether the subject answered every input correctly."""
        return not self.different and self.problem is None and self.checked > 0

    @property
    def differences(self) -> list[Difference]:
        """The first hundred differences."""
        return list(self._findings.differences)

    @property
    def cause(self) -> str | None:
        """Name of the rules that explain all differences, "unexplained" if none do, None if nothing differs."""
        if not self.different:
            return None
        best = self.explanations[0] if self.explanations else None
        return best.name if best is not None and best.share == 1 else "unexplained"

    @functools.cached_property
    def distance(self) -> int | None:
        """The largest distance between an expected and an actual result, in steps along the format's values.

        Only differences kept as evidence count; infinity is one step beyond the largest value.  None without
        differences, for truth values, and if every difference is between a NaN and a number.
        """
        fmt = self.claim.result
        if fmt is None or not self.different:
            return None
        wrong = self._wrong
        apart, steps = distances(wrong.actual, wrong.expected, fmt)
        return None if apart.all() else int(steps.max())

    @functools.cached_property
    def failing(self) -> dict[str, int]:
        """Number of differences, of the ones kept as evidence, in each class of inputs; the most frequent first.

        A class combines the operands' classes and the situation of the exact result.
        """
        operands = self._wrong.operands
        if not operands[0].size:
            return {}
        cases = classify_cases(self.claim, operands)
        first = np.argmax(cases.situations, axis=0)
        counts: Counter[str] = Counter()
        for *classes, situation in zip(*cases.classes[:-1].tolist(), first.tolist(), strict=True):
            counts[f"{', '.join(CLASSES[each] for each in classes)}: {SITUATIONS[situation]}"] += 1
        return dict(counts.most_common())

    @property
    def _wrong(self) -> Evidence:
        """The differences kept as evidence."""
        evidence = self._findings.evidence
        return evidence.at(evidence.wrong)

    def to_dict(self) -> dict[str, object]:
        """Return everything as plain data, for JSON.

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
            lines.append(f"  stopped after {self.checked:,} inputs: {'' if self.recorded else 'it '}{self.problem}")
        if not self.different:
            return "\n".join(lines)
        lines += self._explained()
        lines.append("differences by the operands' classes and where the exact result lies")
        classified = sum(self.failing.values())
        for name, count in list(self.failing.items())[:CELLS]:
            lines.append(f"  {count:>9,}  {name}")
        rest = classified - sum(list(self.failing.values())[:CELLS])
        if rest:
            lines.append(f"  {rest:>9,}  in {len(self.failing) - CELLS} other classes")
        if classified < self.different:
            lines.append(f"  (of the {classified:,} differences kept as evidence)")
        lines.append(f"the first {min(ROWS, self.different)}" if self.different > ROWS else "all of them")
        return "\n".join([*lines, *self._table()])

    def _verdict(self) -> str:
        selection = "the first of all" if self._in_order else "chosen by cells, and at random"
        selection = "as recorded" if self.recorded else selection
        selection = "all there are" if self.exhaustive else selection
        if self.passed:
            return f"PASSED: {self.checked:,} inputs ({selection})"
        if not self.different:
            return f"NOT PASSED: no difference in {self.checked:,} inputs, but not all were answered"
        return f"FAILED: {self.different:,} of {self.checked:,} inputs differ ({selection})"

    def _explained(self) -> list[str]:
        if not self.explanations:
            return ["unexplained: no rule explains any of the differences"]
        best = self.explanations[0]
        if best.share == 1:
            rules = f"{best.words} ({best.name})" if "rounding" in best.knobs else best.name
            lines = [f"looks like {rules}: explains every difference and every agreement"]
            lines += [f"  or {name}, which has the same results everywhere" for name in best.alike]
            return lines + self._separated(best)
        lines = ["unexplained: no rules explain all differences; the best are"]
        lines += [f"  {100 * each.share:5.1f} %  {each.name}" for each in self.explanations]
        return lines

    def _separated(self, best: RuleSet) -> list[str]:
        if best.separating_input is None:
            return []
        codes = [Code(fmt, code) for fmt, code in zip(self.claim.operands, best.separating_input, strict=True)]
        return [f"  differs from the claim at {', '.join(f'{code.hex} ({code.text})' for code in codes)}"]

    def _table(self) -> list[str]:
        operands, result = self.claim.operands, self.claim.result
        numbers = [f" {number}" for number in range(1, self.claim.arity + 1)] if self.claim.arity > 1 else [""]
        rows = [[*(f"operand{number}" for number in numbers), "expected", "actual"]]
        for each in self.differences[:ROWS]:
            row = [_code_cell(fmt, code, None) for fmt, code in zip(operands, each.operands, strict=True)]
            row.append(_code_cell(result, each.expected, each.expected_flags))
            rows.append([*row, _code_cell(result, each.actual, each.actual_flags)])
        return aligned(rows)


def _code_cell(fmt: Format | None, code: int, flags: int | None) -> str:
    """A code with its value, or a truth value; then the flags, if they are audited."""
    text = str(bool(code)) if fmt is None else f"{Code(fmt, code).hex} {Code(fmt, code).text}"
    return text if flags is None else f"{text} [{', '.join(flag_names(flags))}]"

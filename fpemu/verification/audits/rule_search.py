"""Which rules a subject follows instead: a claim's, changed one by one and then together, until all is explained."""

from __future__ import annotations

import enum
import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fpemu.casting import encode
from fpemu.formats import FloatFormat
from fpemu.formats.facts.codes import nan_mask
from fpemu.formats.rules import RULE_TYPES, NanRule, Rounding, Stochastic, SubnormalsIn, Through
from fpemu.verification.claims import CASTS, Claim
from fpemu.verification.diagnosis import words_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Codes = NDArray[Any]

__all__ = ["Evidence", "RuleSet", "find_rules"]

BEAM = 20  # sets of changes that are tried with one more
CHANGES = 4  # knobs that may differ from the claim's together
SMALL = 1 << 11  # differences, and as many agreements, that the search looks at; what it finds is held to all
SHOWN = 5  # rule sets listed where none explains all
_HALF = "float16"
_OWN_CODES = 4  # codes of NaN that are tried, the most frequent ones of the subject's

Value = enum.Enum | int | str
Change = tuple[str, Value]
Changes = tuple[Change, ...]


class Evidence(NamedTuple):
    """Inputs with what was expected and what a subject answered, as codes, and flags where they are audited.

    `nan`: "class" where any NaN equals any other, "exact" where codes are compared.
    """

    claim: Claim
    operands: tuple[Codes, ...]
    expected: Codes
    actual: Codes
    expected_flags: NDArray[np.uint8] | None
    actual_flags: NDArray[np.uint8] | None
    nan: str

    def agrees(self, codes: Codes, flags: NDArray[np.uint8] | None) -> NDArray[np.bool_]:
        """Where the subject answered with these codes and flags."""
        found = same(codes, self.actual, self.claim, self.nan)
        if flags is not None and self.actual_flags is not None:
            found = found & (flags == self.actual_flags)
        return found

    def at(self, rows: NDArray[np.intp]) -> Evidence:
        """Some of it."""
        wanted, given = (None if part is None else part[rows] for part in (self.expected_flags, self.actual_flags))
        operands = tuple(part[rows] for part in self.operands)
        return Evidence(self.claim, operands, self.expected[rows], self.actual[rows], wanted, given, self.nan)


class RuleSet(NamedTuple):
    """Rules other than the claim's, and how much of its differences they explain.

    `name`: the changed knobs; `knobs`: them with their values; `share`: of the differences, those that the rules
    explain less the agreements that they would undo, 1 where they explain all and undo none; `alike`: the names of
    rules, no more changed, that give the same results everywhere; `separating_input`: operands' codes at which the next
    explanation, or else the claim, gives another result, or None.
    """

    name: str
    knobs: dict[str, str | int]
    share: float
    alike: tuple[str, ...]
    separating_input: tuple[int, ...] | None

    @property
    def words(self) -> str:
        """The name, in words where there are some."""
        return words_of(self.knobs)


def same(a: Codes, b: Codes, claim: Claim, nan: str) -> NDArray[np.bool_]:
    """Where two arrays of a claim's results are the same."""
    equal: NDArray[np.bool_] = a == b
    if nan == "class" and claim.result is not None and not equal.all():
        equal |= nan_mask(a, claim.result) & nan_mask(b, claim.result)
    return equal


class _Scored(NamedTuple):
    """A set of changes and how it fares: `gain` in differences explained less agreements undone."""

    changes: Changes
    gain: int
    complete: bool


def find_rules(evidence: Evidence) -> list[RuleSet]:
    """Rules that explain the differences, the best first.

    Parameters
    ----------
    evidence : Evidence

    Returns
    -------
    list of RuleSet
        Where the first one's share is 1 it explains all; none where no rule explains anything.

    Notes
    -----
    The space: the ten roundings, each other knob of `Profile` with all its values, the codes of NaN that the subject
    gives, and results that pass through float32 or float16.  Each change alone; then the best twenty sets of changes,
    each with every further change, up to four.

    Examples
    --------
    >>> import numpy as np
    >>> from fpemu.verification.audits.rule_search import Evidence, find_rules
    >>> from fpemu.verification.claims import Claim
    >>> claim = Claim.of("add", "float8_e5m2")
    >>> x, y = (part.astype(np.uint8) for part in np.divmod(np.arange(1 << 16), 256))
    >>> other = claim.replaced(rounding="toward_zero", subnormals_out="flush_before").answer(x, y)
    >>> evidence = Evidence(claim, (x, y), claim.answer(x, y), other, None, None, "class")
    >>> [(found.name, found.share) for found in find_rules(evidence)]
    [('rounding=toward_zero, subnormals_out=flush_before', 1.0)]
    """
    claim = evidence.claim
    agree = evidence.agrees(evidence.expected, evidence.expected_flags)
    wrong = np.flatnonzero(~agree)
    if not wrong.size or claim.stochastic:
        return []
    small = evidence.at(np.sort(np.concatenate([_spread(wrong), _spread(np.flatnonzero(agree))])))
    singles = list(_singles(evidence))
    found = _search(small, singles)
    scored = [score for changes in found if (score := _score(evidence, changes)) is not None and score.gain > 0]
    return _ranked(evidence, sorted(scored, key=_order), wrong.size)


def _spread(rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Of many rows some, at even distances."""
    return rows if rows.size <= SMALL else rows[np.linspace(0, rows.size - 1, SMALL).astype(np.intp)]


def _order(score: _Scored) -> tuple[Any, ...]:
    return (not score.complete, -score.gain, len(score.changes))


def _singles(evidence: Evidence) -> Iterator[Change]:
    """Every knob with every value that is not the claim's."""
    claim = evidence.claim
    kinds: dict[str, type[enum.Enum]] = {"rounding": Rounding, **RULE_TYPES}
    if evidence.actual_flags is None:
        del kinds["flush_flags"]
    for knob, kind in kinds.items():
        for value in kind:
            if value is not getattr(claim.profile, knob) and value is not NanRule.ERROR:
                yield knob, value
    yield "through", _HALF
    if evidence.nan == "exact" and isinstance(claim.result, FloatFormat):
        sign = np.asarray(claim.result.sign_mask, evidence.actual.dtype)
        nans = evidence.actual[nan_mask(evidence.actual, claim.result)]
        if claim.result.nan != "negative_zero":
            nans = nans & ~sign
        codes, counts = np.unique(nans, return_counts=True)
        for place in np.argsort(-counts, kind="stable")[:_OWN_CODES]:
            if int(codes[place]) != claim.profile.nan_code:
                yield "nan_code", int(codes[place])


def _search(evidence: Evidence, singles: list[Change]) -> list[Changes]:
    """Sets of changes worth a look: rounds of the best so far with one change more, until one explains all."""
    beam: list[_Scored] = [_Scored((), 0, False)]
    seen: set[Changes] = set()
    best: list[_Scored] = []
    for _ in range(CHANGES):
        found = []
        for score in beam:
            for change in singles:
                changes = tuple(sorted([*score.changes, change], key=lambda each: each[0]))
                if change[0] in dict(score.changes) or changes in seen:
                    continue
                seen.add(changes)
                further = _score(evidence, changes)
                if further is not None and (further.gain > score.gain or further.complete):
                    found.append(further)
        best += found
        if any(score.complete for score in best):
            break
        beam = sorted(found, key=_order)[:BEAM]
    best.sort(key=_order)
    return [score.changes for score in best[: 2 * BEAM]]


def _score(evidence: Evidence, changes: Changes) -> _Scored | None:
    """How a set of changes fares; None where it does not apply."""
    answered = answers(evidence.claim, changes, evidence.operands, evidence.actual_flags is not None)
    if answered is None:
        return None
    agree = evidence.agrees(evidence.expected, evidence.expected_flags)
    match = evidence.agrees(*answered)
    gain = int(np.count_nonzero(match & ~agree)) - int(np.count_nonzero(agree & ~match))
    return _Scored(changes, gain, bool(match.all()))


def answers(
    claim: Claim, changes: Changes, operands: tuple[Codes, ...], flags: bool
) -> tuple[Codes, NDArray[np.uint8] | None] | None:
    """What a claim with changed rules answers; None where the rules don't apply, or have no flags to compare."""
    other = _changed(claim, changes)
    if other is None or (flags and not other.has_flags):
        return None
    if ("through", _HALF) in changes:
        if flags or claim.result is None:
            return None
        return _through_half(other, operands), None
    return other.answer_with_flags(*operands) if flags else (other.answer(*operands), None)


@functools.lru_cache(maxsize=1 << 12)
def _changed(claim: Claim, changes: Changes) -> Claim | None:
    knobs = {knob: value for knob, value in changes if value != _HALF}
    if ("through", _HALF) in changes:
        knobs["through"] = Through.NONE
    try:
        return claim.replaced(**knobs)
    except (ValueError, TypeError):  # the rule is none of this format, or of this operation
        return None


def _through_half(claim: Claim, operands: tuple[Codes, ...]) -> Codes:
    """Results rounded to float16 first."""
    how: dict[str, Any] = {"subnormals_in": claim.profile.subnormals_in}
    if claim.operation in CASTS:
        how["nan_payload"] = "keep"
    if claim.operation == "round_to_integral":  # its rounding is what it computes
        how["rounding"] = claim.profile.rounding
    own = dict(claim.arguments)
    first = Claim.of(claim.operation, operands=claim.operands, result=_HALF, profile="ieee", **how, **own)
    rules = claim.profile.replace(subnormals_in=SubnormalsIn.KEEP)
    assert not isinstance(rules.rounding, Stochastic)
    return np.asarray(encode(first.answer(*operands), claim.result, source=_HALF, profile=rules))


def _ranked(evidence: Evidence, scored: list[_Scored], differences: int) -> list[RuleSet]:
    """Distinct rule sets, without those that change more rules and explain no more."""
    flags = evidence.actual_flags is not None
    classes: dict[bytes, list[_Scored]] = {}
    results: dict[bytes, Codes] = {}
    for score in scored:
        answered = answers(evidence.claim, score.changes, evidence.operands, flags)
        assert answered is not None
        key = b"all" if score.complete else b"".join(part.tobytes() for part in answered if part is not None)
        fewest = classes.setdefault(key, [score])
        results.setdefault(key, answered[0])
        if score is not fewest[0] and len(score.changes) == len(fewest[0].changes):
            fewest.append(score)
    complete = b"all" in classes
    keys = [b"all"] if complete else list(classes)[:SHOWN]
    found = []
    for place, key in enumerate(keys):
        first, *others = classes[key]
        other = results[keys[place + 1]] if place + 1 < len(keys) else evidence.expected
        apart = np.flatnonzero(~same(results[key], other, evidence.claim, evidence.nan))
        found.append(
            RuleSet(
                name_of(first.changes),
                {knob: _plain(value) for knob, value in first.changes},
                min(1.0, first.gain / differences),
                tuple(name_of(each.changes) for each in others),
                tuple(int(part[apart[0]]) for part in evidence.operands) if apart.size else None,
            )
        )
    return found


def _plain(value: Value) -> str | int:
    return value if isinstance(value, str | int) else str(value.value)


def name_of(changes: Changes) -> str:
    """Changes as a name: "overflow=saturate, rounding=toward_zero"."""
    return ", ".join(
        f"{knob}={value:#x}" if isinstance(value, int) else f"{knob}={_plain(value)}" for knob, value in changes
    )

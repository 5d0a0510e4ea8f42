"""The search for the rules that a subject follows: the claim's rules with one knob changed, then with several."""

from __future__ import annotations

import enum
import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fpemu.casting import encode
from fpemu.formats import FloatFormat
from fpemu.formats.facts.codes import nan_mask
from fpemu.formats.rules import NanRule, Stochastic, SubnormalsIn, Through
from fpemu.verification.claims import CASTS, Claim
from fpemu.verification.diagnosis import KNOB_VALUES, words_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Codes = NDArray[Any]

__all__ = ["Evidence", "RuleSet", "find_rules"]

BEAM = 20  # sets of changes that go on to the next round
MAX_CHANGES = 4  # knobs changed together
SAMPLE = 1 << 11  # differences, and as many agreements, in the search; its candidates are then checked on all evidence
MAX_PARTIAL = 5  # rule sets listed where none explains all
MAX_NAN_CODES = 4  # the subject's most frequent NaN codes, tried as `nan_code`
_HALF = "float16"

KnobValue = enum.Enum | int | str
Change = tuple[str, KnobValue]
Changes = tuple[Change, ...]


class Evidence(NamedTuple):
    """Inputs with expected and actual answers, as codes, and flags if they are audited.

    `nan`: "class" if any NaN equals any other, "exact" if their codes are compared.
    """

    claim: Claim
    operands: tuple[Codes, ...]
    expected: Codes
    actual: Codes
    expected_flags: NDArray[np.uint8] | None
    actual_flags: NDArray[np.uint8] | None
    nan: str

    def agrees(self, codes: Codes, flags: NDArray[np.uint8] | None) -> NDArray[np.bool_]:
        """Mask of the inputs at which these codes and flags are the subject's."""
        agree = same(codes, self.actual, self.claim, self.nan)
        if flags is not None and self.actual_flags is not None:
            agree = agree & (flags == self.actual_flags)
        return agree

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Mask of the inputs at which the subject's answer is the expected one."""
        return self.agrees(self.expected, self.expected_flags)

    @property
    def wrong(self) -> NDArray[np.intp]:
        """Rows of the differences."""
        return np.flatnonzero(~self.correct)

    def at(self, rows: NDArray[np.intp]) -> Evidence:
        """The evidence at some rows."""
        operands = tuple(codes[rows] for codes in self.operands)
        expected = None if self.expected_flags is None else self.expected_flags[rows]
        actual = None if self.actual_flags is None else self.actual_flags[rows]
        return Evidence(self.claim, operands, self.expected[rows], self.actual[rows], expected, actual, self.nan)


class RuleSet(NamedTuple):
    """Rules other than the claim's, and the share of the differences that they explain.

    `name`: the changed knobs as text; `knobs`: their values by name; `share`: the fraction of the differences that
    these rules explain, minus the agreements that they would undo; 1 if they explain all and undo none; `alike`: names
    of equally small changes with the same results everywhere; `separating_input`: operands' codes at which the result
    differs from that of the next rule set or, if there is none, of the claim; None if there are no such operands.
    """

    name: str
    knobs: dict[str, str | int]
    share: float
    alike: tuple[str, ...]
    separating_input: tuple[int, ...] | None

    @property
    def words(self) -> str:
        """The name, with roundings in plain words."""
        return words_of(self.knobs)


def same(a: Codes, b: Codes, claim: Claim, nan: str) -> NDArray[np.bool_]:
    """Mask of equal results in two arrays of a claim's results."""
    equal: NDArray[np.bool_] = a == b
    if nan == "class" and claim.result is not None and not equal.all():
        equal |= nan_mask(a, claim.result) & nan_mask(b, claim.result)
    return equal


class _Scored(NamedTuple):
    """A set of changes and its score: `gain` is the differences explained minus the agreements undone."""

    changes: Changes
    gain: int
    complete: bool


def find_rules(evidence: Evidence) -> list[RuleSet]:
    """Find rules that explain the differences, the best first.

    Parameters
    ----------
    evidence : Evidence

    Returns
    -------
    list of RuleSet
        If the first share is 1, that rule set explains all; the list is empty if no rule explains anything.

    Notes
    -----
    Candidate changes: the ten roundings, each other knob of `Profile` with all its values, the subject's NaN codes,
    and results rounded to float32 or float16 first.  Each change is tried alone; then each of the best twenty sets with
    one more change, up to four changes.

    Examples
    --------
    >>> import numpy as np
    >>> from fpemu.verification.audits.rule_search import Evidence, find_rules
    >>> from fpemu.verification.claims import Claim
    >>> claim = Claim.of("add", "float8_e5m2")
    >>> x, y = (codes.astype(np.uint8) for codes in np.divmod(np.arange(1 << 16), 256))
    >>> other = claim.replaced(rounding="toward_zero", subnormals_out="flush_before").answer(x, y)
    >>> evidence = Evidence(claim, (x, y), claim.answer(x, y), other, None, None, "class")
    >>> [(rules.name, rules.share) for rules in find_rules(evidence)]
    [('rounding=toward_zero, subnormals_out=flush_before', 1.0)]
    """
    wrong = evidence.wrong
    if not wrong.size or evidence.claim.stochastic:
        return []
    sample = evidence.at(np.sort(np.concatenate([_sampled(wrong), _sampled(np.flatnonzero(evidence.correct))])))
    candidates = _search(sample, list(_single_changes(evidence)))
    scored = [score for changes in candidates if (score := _score(evidence, changes)) is not None and score.gain > 0]
    return _ranked(evidence, sorted(scored, key=_order), wrong.size)


def _sampled(rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """At most SAMPLE rows, at even distances."""
    return rows if rows.size <= SAMPLE else rows[np.linspace(0, rows.size - 1, SAMPLE).astype(np.intp)]


def _order(score: _Scored) -> tuple[Any, ...]:
    return (not score.complete, -score.gain, len(score.changes))


def _single_changes(evidence: Evidence) -> Iterator[Change]:
    """Each knob with each value other than the claim's."""
    claim = evidence.claim
    for knob, values in KNOB_VALUES.items():
        if knob == "flush_flags" and evidence.actual_flags is None:
            continue
        for value in values:
            if value is not getattr(claim.profile, knob) and value is not NanRule.ERROR:
                yield knob, value
    yield "through", _HALF
    if evidence.nan == "exact" and isinstance(claim.result, FloatFormat):
        sign = np.asarray(claim.result.sign_mask, evidence.actual.dtype)
        nans = evidence.actual[nan_mask(evidence.actual, claim.result)]
        if claim.result.nan != "negative_zero":
            nans = nans & ~sign
        codes, counts = np.unique(nans, return_counts=True)
        for code in codes[np.argsort(-counts, kind="stable")[:MAX_NAN_CODES]].tolist():
            if code != claim.profile.nan_code:
                yield "nan_code", code


def _search(evidence: Evidence, singles: list[Change]) -> list[Changes]:
    """The best sets of changes, by beam search: each round adds one change, until a set explains all."""
    beam: list[_Scored] = [_Scored((), 0, False)]
    tried: set[Changes] = set()
    best: list[_Scored] = []
    for _ in range(MAX_CHANGES):
        improved = []
        for score in beam:
            for change in singles:
                changes = tuple(sorted([*score.changes, change], key=lambda each: each[0]))
                if change[0] in dict(score.changes) or changes in tried:
                    continue
                tried.add(changes)
                further = _score(evidence, changes)
                if further is not None and (further.gain > score.gain or further.complete):
                    improved.append(further)
        best += improved
        if any(score.complete for score in best):
            break
        beam = sorted(improved, key=_order)[:BEAM]
    best.sort(key=_order)
    return [score.changes for score in best[: 2 * BEAM]]


def _score(evidence: Evidence, changes: Changes) -> _Scored | None:
    """Score a set of changes; None if it does not apply."""
    answered = answers(evidence.claim, changes, evidence.operands, evidence.actual_flags is not None)
    if answered is None:
        return None
    correct, explained = evidence.correct, evidence.agrees(*answered)
    gain = int(np.count_nonzero(explained & ~correct)) - int(np.count_nonzero(correct & ~explained))
    return _Scored(changes, gain, bool(explained.all()))


def answers(
    claim: Claim, changes: Changes, operands: tuple[Codes, ...], flags: bool
) -> tuple[Codes, NDArray[np.uint8] | None] | None:
    """Answers of a claim under changed rules; None if the rules don't apply, or have no flags to compare."""
    other = _changed_claim(claim, changes)
    if other is None or (flags and not other.has_flags):
        return None
    if ("through", _HALF) in changes:
        if flags or claim.result is None:
            return None
        return _through_half(other, operands), None
    return other.answer_with_flags(*operands) if flags else (other.answer(*operands), None)


@functools.lru_cache(maxsize=1 << 12)
def _changed_claim(claim: Claim, changes: Changes) -> Claim | None:
    knobs = {knob: value for knob, value in changes if value != _HALF}
    if ("through", _HALF) in changes:
        knobs["through"] = Through.NONE
    try:
        return claim.replaced(**knobs)
    except (ValueError, TypeError):  # the rule does not apply to this format or operation
        return None


def _through_half(claim: Claim, operands: tuple[Codes, ...]) -> Codes:
    """Results rounded to float16 first."""
    options: dict[str, Any] = {"subnormals_in": claim.profile.subnormals_in, **dict(claim.arguments)}
    if claim.operation in CASTS:
        options["nan_payload"] = "keep"
    if claim.operation == "round_to_integral":  # the rounding belongs to the operation, not to its result
        options["rounding"] = claim.profile.rounding
    first = Claim.of(claim.operation, operands=claim.operands, result=_HALF, profile="ieee", **options)
    rules = claim.profile.replace(subnormals_in=SubnormalsIn.KEEP)
    assert not isinstance(rules.rounding, Stochastic)
    return np.asarray(encode(first.answer(*operands), claim.result, source=_HALF, profile=rules))


def _ranked(evidence: Evidence, scored: list[_Scored], differences: int) -> list[RuleSet]:
    """The distinct rule sets; one that changes more rules without explaining more is left out."""
    flags = evidence.actual_flags is not None
    classes: dict[bytes, list[_Scored]] = {}  # sets with the same answers, by these
    results: dict[bytes, Codes] = {}
    for score in scored:
        answered = answers(evidence.claim, score.changes, evidence.operands, flags)
        assert answered is not None
        key = b"all" if score.complete else b"".join(each.tobytes() for each in answered if each is not None)
        fewest = classes.setdefault(key, [score])
        results.setdefault(key, answered[0])
        if score is not fewest[0] and len(score.changes) == len(fewest[0].changes):
            fewest.append(score)
    keys = [b"all"] if b"all" in classes else list(classes)[:MAX_PARTIAL]
    ranked = []
    following = [*(results[key] for key in keys[1:]), evidence.expected]
    for key, other in zip(keys, following, strict=False):
        first, *others = classes[key]
        apart = np.flatnonzero(~same(results[key], other, evidence.claim, evidence.nan))
        ranked.append(
            RuleSet(
                name_of(first.changes),
                {knob: _plain_value(value) for knob, value in first.changes},
                min(1.0, first.gain / differences),
                tuple(name_of(each.changes) for each in others),
                tuple(int(codes[apart[0]]) for codes in evidence.operands) if apart.size else None,
            )
        )
    return ranked


def _plain_value(value: KnobValue) -> str | int:
    return value if isinstance(value, str | int) else str(value.value)


def name_of(changes: Changes) -> str:
    """The name of a set of changes: "overflow=saturate, rounding=toward_zero"."""
    return ", ".join(
        f"{knob}={value:#x}" if isinstance(value, int) else f"{knob}={_plain_value(value)}" for knob, value in changes
    )

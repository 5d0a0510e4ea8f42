"""Diagnosis of differences: the one property or rule that explains all of them.

With a claim and its operands, each rule is tried; a rule whose answers equal the actual codes everywhere is the cause.
Without a claim, the classes of the differing codes may suffice: the largest value instead of infinity, zero instead of
a subnormal.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fpemu.arithmetic.flags import Flags
from fpemu.formats import TableFormat
from fpemu.formats.facts.codes import INFINITIES, NANS, ZEROS, NumberClass, classes_of, nan_mask, positions
from fpemu.formats.facts.exactness import end_codes, largest_code
from fpemu.formats.rules import RULE_TYPES, Rounding, Stochastic

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fpemu.formats import Format
    from fpemu.verification.claims import Claim

    Codes = NDArray[np.unsignedinteger[Any]]
    Differs = Callable[[Codes, Codes], NDArray[np.bool_]]  # mask of the elements that count as different

__all__ = ["KNOB_VALUES", "cause_by_class", "cause_by_rule", "cause_of_flags", "words_of"]

_ROUNDING_WORDS: dict[enum.Enum, str] = {
    Rounding.NEAREST_EVEN: "ties to even",
    Rounding.NEAREST_AWAY: "ties away from zero",
    Rounding.NEAREST_TOWARD_ZERO: "ties toward zero",
    Rounding.NEAREST_TOWARD_POSITIVE: "ties upward",
    Rounding.NEAREST_TOWARD_NEGATIVE: "ties downward",
    Rounding.TOWARD_ZERO: "rounding toward zero (truncation)",
    Rounding.TOWARD_POSITIVE: "rounding upward",
    Rounding.TOWARD_NEGATIVE: "rounding downward",
    Rounding.AWAY_FROM_ZERO: "rounding away from zero",
    Rounding.TO_ODD: "rounding to odd",
}
KNOB_VALUES: dict[str, type[enum.Enum]] = {"rounding": Rounding, **RULE_TYPES}
_FIRST_DIFFERENCES = 256  # a rule must explain these before it is tried on all elements

_SUBNORMALS = (NumberClass.POSITIVE_SUBNORMAL, NumberClass.NEGATIVE_SUBNORMAL)


def words_of(knobs: Mapping[str, str | int]) -> str:
    """Return changed rules in plain words.

    Examples
    --------
    >>> from fpemu.verification.diagnosis import words_of
    >>> words_of({"overflow": "saturate", "rounding": "nearest_away"})
    "overflow='saturate' and ties away from zero"
    """
    words = [
        _ROUNDING_WORDS[Rounding(value)] if knob == "rounding" and isinstance(value, str) else f"{knob}={value!r}"
        for knob, value in knobs.items()
    ]
    return " and ".join(words)


def cause_by_class(got: Codes, want: Codes, fmt: Format) -> str | None:
    """Return the common property of all differences, judged by the codes alone.

    Parameters
    ----------
    got, want : numpy.ndarray of unsigned int
        The elements that differ, one-dimensional.
    fmt : Format

    Returns
    -------
    str or None
        None if no single kind of difference covers all.

    Examples
    --------
    >>> import numpy as np
    >>> import fpemu as fe
    >>> from fpemu.verification.diagnosis import cause_by_class
    >>> cause_by_class(np.uint8([0x7B, 0xFB]), np.uint8([0x7C, 0xFC]), fe.dtype("float8_e5m2"))
    'all 2 differences: the largest value instead of infinity; looks like saturation'
    """
    words = _common_class(got, want, fmt)
    return f"{_all(got.size)}: {words}" if words else None


def cause_by_rule(
    got: Codes, want: Codes, claim: Claim, operands: Sequence[NDArray[Any]], differs: Differs
) -> str | None:
    """Return the one change of a claim's rules that reproduces every actual code.

    Parameters
    ----------
    got, want : numpy.ndarray of unsigned int
        All elements, one-dimensional.
    claim : Claim
        The claim whose answers are `want`.
    operands : sequence of numpy.ndarray of unsigned int
        The operands' codes, one-dimensional.
    differs : callable
        Takes two arrays of codes; returns a mask of the elements that count as different.

    Returns
    -------
    str or None
        None if no single rule explains all.

    Examples
    --------
    >>> import numpy as np
    >>> import fpemu as fe
    >>> from fpemu.verification.diagnosis import cause_by_rule
    >>> from fpemu.verification.claims import Claim
    >>> claim = Claim.of("add", "float8_e5m2")
    >>> x, y = (codes.astype(np.uint8) for codes in np.divmod(np.arange(1 << 16), 256))
    >>> got = claim.replaced(rounding="nearest_away").answer(x, y)
    >>> cause_by_rule(got, claim.answer(x, y), claim, [x, y], np.not_equal)
    "all 1,728 differences are ties: looks like ties away from zero (rounding='nearest_away')"
    """
    if claim.result is None or isinstance(claim.profile.rounding, Stochastic):
        return None
    wrong = np.flatnonzero(differs(got, want))
    changes = [
        (knob, value)
        for knob, values in KNOB_VALUES.items()
        for value in values
        if value is not getattr(claim.profile, knob) and _explains(claim, knob, value, got, operands, wrong, differs)
    ]
    if not changes:
        return None
    if _all_ties(claim, [codes[wrong] for codes in operands]):
        text = f"{_all(wrong.size)} {'are ties' if wrong.size > 1 else 'is a tie'}:"
    else:
        common = _common_class(got[wrong], want[wrong], claim.result)
        text = f"{_all(wrong.size)}: {common.partition(';')[0]};" if common else f"{_all(wrong.size)};"
    texts = [f"{knob}={value.value!r}" for knob, value in changes]
    words = _ROUNDING_WORDS.get(changes[0][1])
    text += f" looks like {f'{words} ({texts[0]})' if words else texts[0]}"
    if texts[1:]:
        text += f"; these operands do not distinguish it from {' or '.join(texts[1:4])}"
    return text


def cause_of_flags(got: NDArray[np.uint8], want: NDArray[np.uint8]) -> str | None:
    """Return the common property of all differences of flags.

    Parameters
    ----------
    got, want : numpy.ndarray of uint8
        All elements, one-dimensional, in TestFloat's numbering.

    Returns
    -------
    str or None
        None if no single rule explains all.

    Notes
    -----
    Underflow: IEEE 754-2019, clause 7.5.  Arm's FPSR has the exceptions in the opposite order.

    Examples
    --------
    >>> import numpy as np
    >>> from fpemu.verification.diagnosis import cause_of_flags
    >>> cause_of_flags(np.uint8([1, 3]), np.uint8([1, 1]))
    'the one difference: underflow raised beside inexact; looks like tininess detected before rounding'
    """
    inexact, underflow = (np.uint8(1 << Flags.NAMES.index(name)) for name in ("inexact", "underflow"))
    wrong = got != want
    a, b = got[wrong], want[wrong]
    several = got.size > 1 and np.count_nonzero(want)
    if several and np.array_equal(got, np.packbits(np.unpackbits(want[:, None], axis=1)[:, :2:-1], axis=1)[:, 0] >> 3):
        return f"{_all(a.size)}: the bits are numbered the other way, as in Arm's FPSR"
    if several and np.array_equal(got, np.bitwise_or.accumulate(want)):
        return f"{_all(a.size)}: flags of earlier elements; looks like sticky flags that are not cleared"
    if not got.any():
        return f"{_all(a.size)}: no flag is ever raised"
    if ((a ^ b) == underflow).all():
        if ((a & ~inexact) == (b & ~inexact) | underflow).all():
            if (a & inexact).all():
                return f"{_all(a.size)}: underflow raised beside inexact; looks like tininess detected before rounding"
            if not (a & inexact).any():
                return f"{_all(a.size)}: underflow raised where the result is exact"
        elif (b & underflow).all():
            return f"{_all(a.size)}: underflow not raised; looks like tininess detected after rounding"
    for number, flag in enumerate(Flags.NAMES):
        bit = np.uint8(1 << number)
        if ((a ^ b) == bit).all() and len(np.unique(a & bit)) == 1:
            return f"{_all(a.size)}: {flag} {'raised needlessly' if a[0] & bit else 'not raised'}"
    return None


def _all(count: int) -> str:
    return f"all {count:,} differences" if count > 1 else "the one difference"


def _explains(
    claim: Claim,
    knob: str,
    value: enum.Enum,
    got: Codes,
    operands: Sequence[NDArray[Any]],
    wrong: NDArray[np.intp],
    differs: Differs,
) -> bool:
    """Whether the claim with one changed rule has the actual codes as its answers, everywhere."""
    try:
        other = claim.replaced(**{knob: value})
        for rows in (wrong[:_FIRST_DIFFERENCES], slice(None)):
            if differs(got[rows], other.answer(*(codes[rows] for codes in operands))).any():
                return False
    except (ValueError, TypeError):  # the rule does not apply to this format or operation
        return False
    return True


def _all_ties(claim: Claim, operands: Sequence[NDArray[Any]]) -> bool:
    """Whether every result is a tie: the two rules for ties disagree."""
    away, toward = (claim.replaced(rounding=mode) for mode in (Rounding.NEAREST_AWAY, Rounding.NEAREST_TOWARD_ZERO))
    return bool((away.answer(*operands) != toward.answer(*operands)).all())


def _common_class(got: Codes, want: Codes, fmt: Format) -> str | None:
    """The first kind of difference that all have in common, or None."""
    a, b = classes_of(got, fmt), classes_of(want, fmt)
    pairs = (
        (ZEROS, ZEROS, "the sign of zero"),
        ((NumberClass.SIGNALING_NAN,), (NumberClass.QUIET_NAN,), "signaling NaNs that were not made quiet"),
        (NANS, NANS, "the code of a NaN (its sign or payload)"),
        (ZEROS, _SUBNORMALS, "zero instead of a subnormal; looks like flush to zero"),
        (INFINITIES, NANS, "infinity instead of NaN"),
        (NANS, INFINITIES, "NaN instead of infinity"),
        (ZEROS, NANS, "zero instead of NaN"),
    )
    for actual, expected, words in pairs:
        if np.isin(a, actual).all() and np.isin(b, expected).all():
            return words
    if isinstance(fmt, TableFormat):
        return None
    largest, wanted = (np.isin(_magnitudes(codes, fmt), _largest(fmt)) for codes in (got, want))
    for classes, name in ((INFINITIES, "infinity"), (NANS, "NaN")):
        if largest.all() and np.isin(b, classes).all():
            return f"the largest value instead of {name}; looks like saturation"
        if wanted.all() and np.isin(a, classes).all():
            return f"{name} instead of the largest value; looks like no saturation"
    if fmt.signed and (got == want ^ np.asarray(fmt.sign_mask, want.dtype)).all():
        return "the sign bit"
    return _one_step(got, want, a, b, fmt)


def _largest(fmt: Any) -> list[int]:
    """The codes of the largest values; for floats, without the sign."""
    return [largest_code(fmt)] if fmt.kind == "float" else list(end_codes(fmt))


def _one_step(got: Codes, want: Codes, a: NDArray[np.uint8], b: NDArray[np.uint8], fmt: Format) -> str | None:
    """The direction of the differences, if each is one step between finite values; else None."""
    special = (*INFINITIES, *NANS)
    if nan_mask(got, fmt).any() or nan_mask(want, fmt).any() or np.isin((a, b), special).any():
        return None
    actual, expected = positions(got, fmt), positions(want, fmt)
    up, down = actual == expected + np.uint64(1), actual + np.uint64(1) == expected
    if not (up | down).all():
        return None
    zero = positions(np.zeros(1, want.dtype), fmt)[0]  # the values' sign changes here
    inward = np.where(np.maximum(actual, expected) > zero, down, up)
    directions = ((inward, "toward zero"), (~inward, "away from zero"), (up, "upward"), (down, "downward"))
    return next((f"one ulp {words}" for mask, words in directions if mask.all()), "one ulp, either way")


def _magnitudes(codes: Codes, fmt: Any) -> NDArray[np.uint64]:
    return codes.astype(np.uint64) & ~np.uint64(fmt.sign_mask if fmt.kind == "float" else 0)

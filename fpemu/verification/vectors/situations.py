"""The situation of cases: the position of the exact result between two values, and special cases of its rounding.

The classification needs only the operation's results and flags in five rounding modes.  Rounding toward zero and away
from zero returns the neighbours; the rules for ties show which neighbour is nearer; the overflow flag toward zero shows
whether the result is beyond the largest value by a quantum or more.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fpemu.arithmetic import exact_codes
from fpemu.arithmetic.flags import Flags
from fpemu.arrays import Array
from fpemu.casting import as_source
from fpemu.casting.lowering import zeroes_subnormals
from fpemu.formats import FloatFormat, Format, IntFormat, Profile, TableFormat
from fpemu.formats.rules import Overflow, Rounding
from fpemu.verification.claims import CASTS, Claim, Operands
from fpemu.verification.vectors.code_classes import (
    INFINITY_CLASSES,
    NAN_CLASSES,
    SUBNORMAL_CLASSES,
    ZERO_CLASSES,
    bit_lengths,
    fine_classes,
    significands,
)

__all__ = ["SITUATIONS", "Cases", "classify_cases"]

# The first seven are mutually exclusive.
SITUATIONS = (
    *("not rounded", "exact", "below tie", "tie even", "tie odd", "above tie", "beyond"),
    *("overflow threshold", "carry", "to subnormal", "from subnormal", "cancellation"),
    *("apart p-1", "apart p", "apart p+1", "apart p+2"),
)
_ADDENDS = ("add", "subtract", "fma")
_ROUNDINGS = (
    *(Rounding.TOWARD_ZERO, Rounding.AWAY_FROM_ZERO),
    *(Rounding.NEAREST_TOWARD_ZERO, Rounding.NEAREST_AWAY, Rounding.NEAREST_EVEN),
)

Mask = NDArray[np.bool_]


class Cases(NamedTuple):
    """Classified cases.

    `classes`: indices of CLASSES, with a row for each operand and a last row for the result; `situations`: for each of
    SITUATIONS, the mask of the cases in it.
    """

    classes: NDArray[np.uint8]
    situations: Mask


class _Rounded(NamedTuple):
    """The exact result rounded in one mode: its code, whether it is beyond the largest value, and the flags."""

    code: NDArray[Any]
    beyond: Mask
    flags: Flags


def classify_cases(claim: Claim, codes: Operands, result: NDArray[Any] | None = None) -> Cases:
    """Classify the cases of a claim.

    Parameters
    ----------
    claim : Claim
    codes : tuple of numpy.ndarray
        One-dimensional, one for each operand.
    result : numpy.ndarray, optional
        The results of ``claim.answer``, if known.

    Returns
    -------
    Cases

    Examples
    --------
    >>> import numpy as np
    >>> from fpemu.verification.claims import Claim
    >>> from fpemu.verification.vectors.situations import SITUATIONS, classify_cases
    >>> add = Claim.of("add", "float8_e4m3fn")
    >>> cases = classify_cases(add, (np.uint8([0x38, 0x7E]), np.uint8([0x18, 0x7E])))  # 1 + 2**-4, 448 + 448
    >>> [[SITUATIONS[number] for number in np.flatnonzero(case)] for case in cases.situations.T]
    [['tie even', 'apart p'], ['beyond']]
    """
    result = claim.answer(*codes) if result is None else result
    classes = [fine_classes(each, fmt) for each, fmt in zip(codes, claim.operands, strict=True)]
    special: Mask = np.any(np.isin(classes, (*INFINITY_CLASSES, *NAN_CLASSES)), axis=0)
    if claim.result is None:
        masks = {"not rounded": np.ones(result.shape, np.bool_)}
    elif isinstance(claim.result, TableFormat):
        masks = _codebook_situations(claim, claim.result, codes[0], special)
    else:
        masks = _number_situations(claim, claim.result, codes, special, result)
    situations = np.zeros((len(SITUATIONS), result.size), np.bool_)
    for name, mask in masks.items():
        situations[SITUATIONS.index(name)] = mask
    return Cases(np.array([*classes, fine_classes(result, claim.result)]), situations)


@functools.lru_cache(maxsize=64)
def _in_all_roundings(claim: Claim) -> tuple[Claim, ...]:
    """The claim in each of _ROUNDINGS: saturating, otherwise under IEEE 754's rules; the result is signed."""
    target: Format | None = claim.result
    assert target is not None
    if isinstance(target, FloatFormat) and not target.signed and target.bits < 64:
        changes: dict[str, Any] = {"bits": target.bits + 1, "signed": True, "negative_zero": None}
        target = dataclasses.replace(target, **changes)
    rules = Profile(overflow=Overflow.SATURATE, subnormals_in=claim.profile.subnormals_in)
    return tuple(
        dataclasses.replace(claim, result=target, profile=target.check_profile(rules.replace(rounding=mode)))
        for mode in _ROUNDINGS
    )


def _number_situations(
    claim: Claim, fmt: FloatFormat | IntFormat, codes: Operands, special: Mask, result: NDArray[Any]
) -> dict[str, Mask]:
    """Masks of the situations of cases whose result is a float or an integer."""
    low, high, toward, away, even = (_round_in(each, codes) for each in _in_all_roundings(claim))
    flags = low.flags
    unrounded = special | flags.divide_by_zero
    if claim.operation not in CASTS:
        unrounded |= flags.invalid & ~low.beyond
    if not fmt.signed and isinstance(fmt, FloatFormat):
        unrounded |= low.code > fmt.magnitude_mask  # negative results have their own rule

    def up(other: _Rounded) -> Mask:
        return np.asarray((other.code != low.code) | (other.beyond & ~low.beyond))

    beyond = low.beyond & ~unrounded
    moved = flags.inexact | up(high)
    rounded = ~unrounded & ~low.beyond & moved
    tie = rounded & up(away) & ~up(toward)
    masks = {
        "not rounded": unrounded,
        "exact": ~unrounded & ~low.beyond & ~moved,
        "below tie": rounded & ~up(away) & up(high),
        "tie even": tie & ~up(even),
        "tie odd": tie & up(even),
        "above tie": rounded & (up(toward) | ~up(high)),  # in a format without zero, results below all values round up
        "beyond": beyond,
        "overflow threshold": rounded & high.beyond,
    }
    if isinstance(fmt, FloatFormat):
        masks |= _binade_changes(claim, fmt, low, high, rounded, result)
        if claim.operation in _ADDENDS:
            masks |= _alignments(claim, fmt, codes, ~unrounded, low, moved)
    return masks


def _round_in(claim: Claim, codes: Operands) -> _Rounded:
    code, bits = claim.answer_with_flags(*codes)
    flags = Flags(bits)
    beyond = flags.overflow
    if isinstance(claim.result, IntFormat):  # a float out of range is invalid; so is NaN, whose result is 0
        beyond = beyond | (flags.invalid & ((code != 0) | np.bool_(claim.operation in CASTS)))
    return _Rounded(code, beyond, flags)


def _binade_changes(
    claim: Claim, fmt: FloatFormat, low: _Rounded, high: _Rounded, rounded: Mask, result: NDArray[Any]
) -> dict[str, Mask]:
    """Masks of roundings into another binade, or to or from subnormals."""
    mask = np.uint64(fmt.magnitude_mask)
    below, above, rounded_to = (each.astype(np.uint64) & mask for each in (low.code, high.code, result))
    least = np.uint64(fmt.min_normal_code)
    upward = rounded & (rounded_to == above) & (above != below) & ~high.beyond
    power = (above & np.uint64((1 << fmt.trailing_bits) - 1)) == 0
    tiny = rounded & (below < least) & (claim.operation != "round_to_integral")
    classes = fine_classes(result, fmt)
    return {
        "carry": upward & power & (above > least),
        "to subnormal": tiny & np.isin(classes, (*SUBNORMAL_CLASSES, *ZERO_CLASSES)),
        "from subnormal": tiny & upward & (above == least),
    }


def _alignments(
    claim: Claim, fmt: FloatFormat, codes: Operands, rounded: Mask, low: _Rounded, moved: Mask
) -> dict[str, Mask]:
    """Masks for the distances of two addends' exponents, and for the cancellation of their leading digits."""
    both = rounded.copy()
    magnitudes, exponents = [], []
    for each, own in zip(codes, claim.operands, strict=True):
        if isinstance(own, TableFormat):  # operations take a codebook's values, which are float64
            return {}
        significand, scale = significands(each, own)
        both &= significand != 0
        if zeroes_subnormals(own, claim.profile):
            both &= ~np.isin(fine_classes(each, own), SUBNORMAL_CLASSES)
        magnitudes.append(significand)
        exponents.append(scale + bit_lengths(significand) - 1)
    *_, first, second = exponents
    if claim.operation == "fma":
        first = exponents[0] + exponents[1] + _carries(magnitudes[0], magnitudes[1])
    apart = np.abs(first - second)
    p, lowest = fmt.precision, fmt.quantum_exponent - 1
    significand, scale = significands(low.code & low.code.dtype.type(fmt.magnitude_mask), fmt)
    exponent = np.where(significand == 0, lowest, scale + bit_lengths(significand) - 1)
    vanished = (significand == 0) & ~moved
    masks = {f"apart p{more:+d}".removesuffix("+0"): both & (apart == p + more) for more in (-1, 0, 1, 2)}
    masks["cancellation"] = both & ~low.beyond & (vanished | (exponent <= np.maximum(first, second) - (p - 1)))
    return masks


def _carries(x: NDArray[np.uint64], y: NDArray[np.uint64]) -> NDArray[np.int64]:
    """1 if the product of two significands has as many digits as both together, 0 if it has one digit less."""
    half = np.uint64(32)
    x, y = (each << (np.uint64(64) - bit_lengths(np.maximum(each, 1)).astype(np.uint64)) for each in (x, y))
    x_high, x_low = x >> half, x & np.uint64(0xFFFFFFFF)
    y_high, y_low = y >> half, y & np.uint64(0xFFFFFFFF)
    middle = x_high * y_low + ((x_low * y_low) >> half)
    other = x_low * y_high + (middle & np.uint64(0xFFFFFFFF))
    top = x_high * y_high + (middle >> half) + (other >> half)
    return np.asarray(top >> np.uint64(63), np.int64)


def _codebook_situations(claim: Claim, fmt: TableFormat, codes: NDArray[Any], special: Mask) -> dict[str, Mask]:
    """Masks of the situations of casts to a codebook: they have no flags, and only the codebook's values are exact."""
    low, high, toward, away, even = (each.answer(codes) for each in _in_all_roundings(claim))
    source = Array.from_codes(codes, claim.operands[0])
    exact = exact_codes(source, as_source(source), fmt)[1]
    rounded = ~special & ~exact & (low != high)
    tie = rounded & (away == high) & (toward == low)
    return {
        "not rounded": special,
        "exact": ~special & exact,
        "below tie": rounded & (away == low),
        "tie even": tie & (even == low),
        "tie odd": tie & (even == high),
        "above tie": rounded & (toward == high),
        "beyond": ~special & ~exact & (low == high),
    }

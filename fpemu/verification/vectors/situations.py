"""Where the exact result of each case lies, and what its rounding meets.

Nothing here knows an operation's arithmetic: a case is placed by the operation's own results in four rounding modes,
with their flags.  Toward zero and away from zero give the neighbours, the two ways to break a tie show which one is
nearer, and the overflow flag toward zero parts what is beyond the largest value by a quantum from what is not.
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
from fpemu.verification.claims import CASTS, Claim
from fpemu.verification.vectors import code_classes as kinds

__all__ = ["SITUATIONS", "Cases", "classify"]

# The first seven exclude each other.
SITUATIONS = (
    *("not rounded", "exact", "below tie", "tie even", "tie odd", "above tie", "beyond"),
    *("overflow threshold", "carry", "to subnormal", "from subnormal", "cancellation"),
    *("apart p-1", "apart p", "apart p+1", "apart p+2"),
)
_ADDENDS = ("add", "subtract", "fma")
_MODES = (
    *(Rounding.TOWARD_ZERO, Rounding.AWAY_FROM_ZERO),
    *(Rounding.NEAREST_TOWARD_ZERO, Rounding.NEAREST_AWAY, Rounding.NEAREST_EVEN),
)

Bools = NDArray[np.bool_]


class Cases(NamedTuple):
    """Cases classified.

    `classes`: for each operand, and last for the result, the numbers in CLASSES; `situations`: for each of SITUATIONS
    which cases are in it.
    """

    classes: NDArray[np.uint8]
    situations: NDArray[np.bool_]


class _Placed(NamedTuple):
    """One rounding of the exact result: the code, whether it lies beyond the largest value, and the flags."""

    code: NDArray[Any]
    beyond: Bools
    flags: Flags


def classify(claim: Claim, codes: tuple[NDArray[Any], ...], result: NDArray[Any] | None = None) -> Cases:
    """Classify cases of a claim.

    Parameters
    ----------
    claim : Claim
    codes : tuple of numpy.ndarray
        One-dimensional, one for each operand.
    result : numpy.ndarray, optional
        What ``claim.answer`` gives.

    Returns
    -------
    Cases

    Examples
    --------
    >>> import numpy as np
    >>> from fpemu.verification.claims import Claim
    >>> from fpemu.verification.vectors.situations import SITUATIONS, classify
    >>> add = Claim.of("add", "float8_e4m3fn")
    >>> found = classify(add, (np.uint8([0x38, 0x7E]), np.uint8([0x18, 0x7E])))  # 1 + 2**-4, 448 + 448
    >>> [[SITUATIONS[which] for which in np.flatnonzero(case)] for case in found.situations.T]
    [['tie even', 'apart p'], ['beyond']]
    """
    result = claim.answer(*codes) if result is None else result
    operands = [kinds.fine_classes(part, fmt) for part, fmt in zip(codes, claim.operands, strict=True)]
    found: dict[str, Bools] = {}
    special = np.zeros(result.shape, np.bool_)
    for each in operands:
        special |= np.isin(each, (*kinds.INFINITE, *kinds.NAN))
    if claim.result is None:
        found["not rounded"] = np.ones(result.shape, np.bool_)
    elif isinstance(claim.result, TableFormat):
        found = _in_codebook(claim, claim.result, codes[0], special)
    else:
        found = _placed(claim, claim.result, codes, special, result)
    situations = np.zeros((len(SITUATIONS), result.size), np.bool_)
    for name, where in found.items():
        situations[SITUATIONS.index(name)] = where
    return Cases(np.array([*operands, kinds.fine_classes(result, claim.result)]), situations)


@functools.lru_cache(maxsize=64)
def _modes(claim: Claim) -> tuple[Claim, ...]:
    """The claim in each of _MODES, saturating and otherwise by IEEE 754's rules, on a result format with a sign."""
    target: Format | None = claim.result
    assert target is not None
    if isinstance(target, FloatFormat) and not target.signed and target.bits < 64:
        changes: dict[str, Any] = {"bits": target.bits + 1, "signed": True, "negative_zero": None}
        target = dataclasses.replace(target, **changes)
    rules = Profile(overflow=Overflow.SATURATE, subnormals_in=claim.profile.subnormals_in)
    return tuple(
        dataclasses.replace(claim, result=target, profile=target.check_profile(rules.replace(rounding=mode)))
        for mode in _MODES
    )


def _placed(
    claim: Claim,
    fmt: FloatFormat | IntFormat,
    codes: tuple[NDArray[Any], ...],
    special: Bools,
    result: NDArray[Any],
) -> dict[str, Bools]:
    """What there is to say of cases whose result is a float or an integer."""
    low, high, toward, away, even = (_place(mode, codes) for mode in _modes(claim))
    flags = low.flags
    unrounded = special | flags.divide_by_zero
    if claim.operation not in CASTS:
        unrounded |= flags.invalid & ~low.beyond
    if not fmt.signed and isinstance(fmt, FloatFormat):
        unrounded |= low.code > fmt.magnitude_mask  # negative: rounded by a rule of its own

    def up(other: _Placed) -> Bools:
        return np.asarray((other.code != low.code) | (other.beyond & ~low.beyond))

    beyond = low.beyond & ~unrounded
    moved = flags.inexact | up(high)
    rounded = ~unrounded & ~low.beyond & moved
    tie = rounded & up(away) & ~up(toward)
    found = {
        "not rounded": unrounded,
        "exact": ~unrounded & ~low.beyond & ~moved,
        "below tie": rounded & ~up(away) & up(high),
        "tie even": tie & ~up(even),
        "tie odd": tie & up(even),
        "above tie": rounded & (up(toward) | ~up(high)),  # without a zero, what is below all values goes up
        "beyond": beyond,
        "overflow threshold": rounded & high.beyond,
    }
    if isinstance(fmt, FloatFormat):
        found |= _binades(claim, fmt, low, high, rounded, result)
        if claim.operation in _ADDENDS:
            found |= _aligned(claim, fmt, codes, ~unrounded, low, moved)
    return found


def _place(claim: Claim, codes: tuple[NDArray[Any], ...]) -> _Placed:
    code, bits = claim.answer_with_flags(*codes)
    flags = Flags(bits)
    beyond = flags.overflow
    if isinstance(claim.result, IntFormat):  # a float's number that is out of range is invalid; NaN give 0
        beyond = beyond | (flags.invalid & ((code != 0) | np.bool_(claim.operation in CASTS)))
    return _Placed(code, beyond, flags)


def _binades(
    claim: Claim, fmt: FloatFormat, low: _Placed, high: _Placed, rounded: Bools, result: NDArray[Any]
) -> dict[str, Bools]:
    """Roundings that end in another binade, or among the subnormals."""
    mask = np.uint64(fmt.magnitude_mask)
    below, above = (each.code.astype(np.uint64) & mask for each in (low, high))
    given = result.astype(np.uint64) & mask
    least = np.uint64(fmt.min_normal_code)
    upward = rounded & (given == above) & (above != below) & ~high.beyond
    power = (above & np.uint64((1 << fmt.trailing_bits) - 1)) == 0
    tiny = rounded & (below < least) & (claim.operation != "round_to_integral")
    kind = kinds.fine_classes(result, fmt)
    return {
        "carry": upward & power & (above > least),
        "to subnormal": tiny & np.isin(kind, (*kinds.SUBNORMAL, *kinds.ZERO)),
        "from subnormal": tiny & upward & (above == least),
    }


def _aligned(
    claim: Claim, fmt: FloatFormat, codes: tuple[NDArray[Any], ...], rounded: Bools, low: _Placed, moved: Bools
) -> dict[str, Bools]:
    """How far apart the exponents of two addends are, and whether their leading digits cancel."""
    both = rounded.copy()
    parts = []
    for part, given in zip(codes, claim.operands, strict=True):
        if isinstance(given, TableFormat):  # operations take a codebook's values, which are float64
            return {}
        significand, exponent = kinds.significands(part, given)
        both &= significand != 0
        if zeroes_subnormals(given, claim.profile):
            both &= ~np.isin(kinds.fine_classes(part, given), kinds.SUBNORMAL)
        parts.append((significand, exponent + kinds.bit_length(significand) - 1))
    if claim.operation == "fma":
        (x, x_exponent), (y, y_exponent), _ = parts
        first, second = x_exponent + y_exponent + _carries(x, y), parts[2][1]
    else:
        first, second = parts[0][1], parts[1][1]
    apart = np.abs(first - second)
    p, lowest = fmt.precision, fmt.quantum_exponent - 1
    significand, exponent = kinds.significands(low.code & low.code.dtype.type(fmt.magnitude_mask), fmt)
    kept = np.where(significand == 0, lowest, exponent + kinds.bit_length(significand) - 1)
    gone = (significand == 0) & ~moved
    found = {f"apart p{more:+d}".removesuffix("+0"): both & (apart == p + more) for more in (-1, 0, 1, 2)}
    found["cancellation"] = both & ~low.beyond & (gone | (kept <= np.maximum(first, second) - (p - 1)))
    return found


def _carries(x: NDArray[np.uint64], y: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Whether the product of two significands has as many digits as both have together, not one less; 1 or 0."""
    half = np.uint64(32)
    x, y = (each << (np.uint64(64) - kinds.bit_length(np.maximum(each, 1)).astype(np.uint64)) for each in (x, y))
    x_high, x_low = x >> half, x & np.uint64(0xFFFFFFFF)
    y_high, y_low = y >> half, y & np.uint64(0xFFFFFFFF)
    middle = x_high * y_low + ((x_low * y_low) >> half)
    other = x_low * y_high + (middle & np.uint64(0xFFFFFFFF))
    top = x_high * y_high + (middle >> half) + (other >> half)
    return np.asarray(top >> np.uint64(63), np.int64)


def _in_codebook(claim: Claim, fmt: TableFormat, codes: NDArray[Any], special: Bools) -> dict[str, Bools]:
    """Cases of a cast to a codebook, which has no flags: values that it lacks are inexact, or beyond its ends."""
    low, high, toward, away, even = (mode.answer(codes) for mode in _modes(claim))
    given = Array.from_codes(codes, claim.operands[0])
    exact = exact_codes(given, as_source(given), fmt)[1]
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

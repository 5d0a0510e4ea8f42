"""Cases by construction: operands of stated classes whose result lies where it is hard to round.

Four ways, each for a part of the cases, none of which is trusted: whoever takes a case classifies it.

- *steered*: exponents are chosen so that the result falls to a chosen binade, or the addends stand a chosen distance
  apart;
- *solved*: a result halfway between two codes, or at one, is chosen, and an operand is solved for (y = t / x; of fma
  z = t - x y), rounded to its format, and moved by a code or none;
- *closest*: quotients and products as near to a tie as there are, from an inverse modulo a power of two, which finds
  what the continued fraction of x / (2 q + 1) would;
- *alike*: an operand, its negation, or a neighbour as the other operand.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu import arithmetic
from fpemu.arithmetic import convert, negative
from fpemu.arithmetic.flags import errstate
from fpemu.arrays import Array
from fpemu.formats import FloatFormat, Format, IntFormat
from fpemu.verification.claims import CASTS, Claim
from fpemu.verification.vectors import code_classes as kinds
from fpemu.verification.vectors.random_codes import Words, in_classes, with_exponents

__all__ = ["construct"]

Codes = list[NDArray[Any]]
Rows = NDArray[np.int64]


def _for_factor(t: Any, other: Any, z: Any, **to: Any) -> Any:
    return arithmetic.divide(arithmetic.subtract(t, z, result=t.format), other, **to)


# operation -> for each operand its value for a result t and the operands
_SOLVE: dict[str, tuple[Callable[..., Any], ...]] = {
    "add": (
        lambda t, x, y, **to: arithmetic.subtract(t, y, **to),
        lambda t, x, y, **to: arithmetic.subtract(t, x, **to),
    ),
    "subtract": (
        lambda t, x, y, **to: arithmetic.add(t, y, **to),
        lambda t, x, y, **to: arithmetic.subtract(x, t, **to),
    ),
    "multiply": (
        lambda t, x, y, **to: arithmetic.divide(t, y, **to),
        lambda t, x, y, **to: arithmetic.divide(t, x, **to),
    ),
    "divide": (
        lambda t, x, y, **to: arithmetic.multiply(t, y, **to),
        lambda t, x, y, **to: arithmetic.divide(x, t, **to),
    ),
    "fma": (
        lambda t, x, y, z, **to: _for_factor(t, y, z, **to),
        lambda t, x, y, z, **to: _for_factor(t, x, z, **to),
        lambda t, x, y, z, **to: arithmetic.fma(negative(x), y, t, **to),
    ),
    "sqrt": (lambda t, x, **to: arithmetic.multiply(t, t, **to),),
    **{cast: (lambda t, x, **to: convert(t, to["result"], rounding=to["rounding"]),) for cast in CASTS},
}


def construct(claim: Claim, numbers: NDArray[np.uint8], words: Words) -> Codes:
    """Operands of classes, made hard for the operation; what is solved for may fall into another class.

    Parameters
    ----------
    claim : Claim
    numbers : numpy.ndarray, shape (operands, cases)
        The classes.
    words : Words

    Returns
    -------
    list of numpy.ndarray
        Codes of each operand.
    """
    codes = [in_classes(fmt, part, words) for fmt, part in zip(claim.operands, numbers, strict=True)]
    ways = [_solved, _closest, _alike]
    how = words.below(2 + 2 * len(ways), numbers.shape[1])
    steered = np.flatnonzero(how != 0)
    _put(codes, steered, _steered(claim, [part[steered] for part in codes], words))
    for number, way in enumerate(ways):
        rows = np.flatnonzero(how // 2 == number + 1)
        _put(codes, rows, way(claim, [part[rows] for part in codes], words))
    return codes


def _put(codes: Codes, rows: Rows, changed: Codes) -> None:
    for part, new in zip(codes, changed, strict=True):
        part[rows] = new


# -- steered ----------------------------------------------------------------------------------------------------------


def _steered(claim: Claim, codes: Codes, words: Words) -> Codes:
    count = codes[0].size
    goal, apart = _goals(claim.result, words, count), _distances(claim.result, words, count)
    known = [_exponents(part, fmt) for part, fmt in zip(codes, claim.operands, strict=True)]
    if claim.operation == "multiply":
        wanted = [goal - known[1], goal - known[0]]
    elif claim.operation == "divide":
        wanted = [goal + known[1], known[0] - goal]
    elif claim.operation == "fma":  # the product at the goal, or the addends beside each other
        product = np.where(words.below(3, count) == 0, goal, known[2] + apart)
        wanted = [product - known[1], product - known[0], known[0] + known[1] + apart]
    elif len(codes) == 2:
        wanted = [known[1] + apart, known[0] + apart]
    else:
        wanted = [goal]
    which = words.below(len(codes), count)
    return [
        np.where(which == place, with_exponents(part, fmt, wanted[place]), part)
        for place, (part, fmt) in enumerate(zip(codes, claim.operands, strict=True))
    ]


def _exponents(codes: NDArray[Any], fmt: Format) -> NDArray[np.int64]:
    if isinstance(fmt, FloatFormat | IntFormat):
        return kinds.exponents(codes, fmt)
    return np.zeros(codes.shape, np.int64)


def _goals(fmt: Format | None, words: Words, count: int) -> NDArray[np.int64]:
    """Exponents for results: a third at the lower end of a format, a third at the upper, a third anywhere."""
    if not isinstance(fmt, FloatFormat):
        top = fmt.bits - (fmt.fraction_bits if isinstance(fmt, IntFormat) else 0) if fmt is not None else 16
        return top + 1 - words.below(2 * (fmt.bits if fmt is not None else 16) + 2, count)
    emax = int(kinds.exponents(np.array([fmt.max_code], np.uint64), fmt)[0])
    low = fmt.emin - fmt.precision - 1 + words.below(fmt.precision + 3, count)
    high = emax - 1 + words.below(3, count)
    middle = fmt.emin + words.below(emax - fmt.emin + 1, count)
    return np.choose(words.below(3, count), [low, high, middle])


def _distances(fmt: Format | None, words: Words, count: int) -> NDArray[np.int64]:
    """How far the exponents of addends are apart, either way: to three digits more than the precision."""
    p = fmt.precision if isinstance(fmt, FloatFormat) else 8
    return words.below(2 * p + 7, count) - (p + 3)


# -- solved -----------------------------------------------------------------------------------------------------------


def _solved(claim: Claim, codes: Codes, words: Words) -> Codes:
    ways = _SOLVE.get(claim.operation)
    fmt = claim.result
    if ways is None or not isinstance(fmt, FloatFormat | IntFormat):
        return codes
    count = codes[0].size
    brief = words.below(2, count) == 0
    codes = [
        np.where(brief, _brief(part, given, words), part) for part, given in zip(codes, claim.operands, strict=True)
    ]
    which, step = words.below(len(ways), count), np.array([0, 0, 1, -1])[words.below(4, count)]
    for targets, rows in _targets(fmt, words, count):
        arrays = [as_array(part[rows], given) for part, given in zip(codes, claim.operands, strict=True)]
        for place, (way, given) in enumerate(zip(ways, claim.operands, strict=True)):
            if not isinstance(given, FloatFormat | IntFormat):
                continue
            with errstate(all="ignore"):
                found = way(targets, *arrays, result=given, rounding="nearest_even")
            moved = found.codes.astype(np.uint64) + step[rows].astype(np.uint64) & np.uint64(given.code_count - 1)
            codes[place][rows] = np.where(which[rows] == place, moved.astype(given.code_dtype), codes[place][rows])
    return codes


def as_array(codes: NDArray[Any], fmt: Format) -> Array:
    """Codes as an operand."""
    return Array.from_codes(codes, fmt)


def _brief(codes: NDArray[Any], fmt: Format, words: Words) -> NDArray[Any]:
    """Codes with few digits, where they are normal, or those of a divisor of an edge: only such have exact products."""
    count = codes.size
    how, cut, place = words.below(2, count), words.below(6, count), words.take(count)
    if not isinstance(fmt, FloatFormat):
        return codes
    wide, trailing = codes.astype(np.uint64), fmt.trailing_bits
    shift = np.maximum(trailing - cut, 0).astype(np.uint64)
    known = _divisors(fmt.precision)
    digits = known[(place % np.uint64(known.size)).astype(np.int64)]
    shorter = np.where(how == 0, wide >> shift << shift, wide >> np.uint64(trailing) << np.uint64(trailing) | digits)
    number = kinds.fine_classes(codes, fmt)
    normal = (number == kinds.NUMBER["+normal"]) | (number == kinds.NUMBER["-normal"])
    least = np.uint64(fmt.min_normal_code)  # with its digits gone, a code may be another class's
    return np.where(normal & (shorter & np.uint64(fmt.magnitude_mask) > least), shorter, wide).astype(codes.dtype)


@functools.lru_cache(maxsize=64)
def _divisors(p: int) -> NDArray[np.uint64]:
    """The trailing digits of p-digit numbers that divide an edge: what is halfway beside a power of two, as an integer.

    Found by division by what is below 2^12; what that leaves counts as prime.
    """
    found = {1}
    for edge in ((1 << p) - 1, (1 << p) + 1, (1 << (p + 1)) - 1):
        rest, own = edge, {1}
        for factor in range(3, 1 << 12, 2):
            while rest % factor == 0:
                rest //= factor
                own |= {known * factor for known in own}
        found |= own | {known * rest for known in own}
    fitting = [known << (p - known.bit_length()) for known in sorted(found) if known.bit_length() <= p]
    return np.array(fitting, np.uint64) & np.uint64((1 << (p - 1)) - 1)


@functools.lru_cache(maxsize=64)
def _finer(fmt: FloatFormat | IntFormat, upper: bool = False) -> FloatFormat | IntFormat:
    """The format with one digit more at the end: it has the numbers halfway between the values.

    Of 64 bits it has only the values below or above half of all the exponents.
    """
    if isinstance(fmt, IntFormat):
        more = fmt.bits < 64
        return dataclasses.replace(fmt, name="halves", bits=fmt.bits + more, fraction_bits=fmt.fraction_bits + more)
    changes: dict[str, Any] = {"precision": fmt.precision + 1, "infinities": False, "nan": "none"}
    changes |= {"name": "halves", "negative_zero": None, "bits": min(fmt.bits + 1, 64)}
    if upper:
        changes |= {"bias": fmt.bias - (1 << (fmt.exponent_bits - 1)), "subnormals": False, "zero": False}
    return dataclasses.replace(fmt, **changes)


def _targets(fmt: FloatFormat | IntFormat, words: Words, count: int) -> list[tuple[Array, Rows]]:
    """Results to aim at, with the cases that they are for: finite values of the format and halfway to the next ones.

    A third are at the edges: zero, the largest subnormal, the smallest normal, the two largest.
    """
    members = [n for n in kinds.classes_in(fmt) if n not in (*kinds.INFINITE, *kinds.NAN)]
    codes = in_classes(fmt, np.array(members, np.uint8)[words.below(len(members), count)], words).astype(np.uint64)
    halves = words.below(2, count).astype(np.uint64)
    if isinstance(fmt, IntFormat):
        finer = _finer(fmt)
        moved = codes << np.uint64(1) | halves if finer.bits > fmt.bits else codes
        return [(as_array(moved.astype(finer.code_dtype), finer), np.arange(count))]
    edges = np.array(
        [0, max(fmt.min_normal_code - 1, 0), fmt.min_normal_code, fmt.max_code - 1, fmt.max_code], np.uint64
    )
    edge = edges[words.below(edges.size, count)] | (codes & np.uint64(fmt.sign_mask))
    codes = np.where(words.below(3, count) == 0, edge, codes)
    if fmt.bits < 64:
        return [
            (as_array((codes << np.uint64(1) | halves).astype(_finer(fmt).code_dtype), _finer(fmt)), np.arange(count))
        ]
    sign, middle = codes & np.uint64(fmt.sign_mask), np.uint64(1 << (fmt.trailing_bits + fmt.exponent_bits - 1))
    magnitude = codes & np.uint64(fmt.magnitude_mask)
    found = []
    for upper in (False, True):
        rows = np.flatnonzero((magnitude >= middle) == upper)
        rest = magnitude[rows] - middle if upper else magnitude[rows]
        found.append((as_array(sign[rows] | rest << np.uint64(1) | halves[rows], _finer(fmt, upper)), rows))
    return found


# -- closest ----------------------------------------------------------------------------------------------------------


def _closest(claim: Claim, codes: Codes, words: Words) -> Codes:
    fmt = claim.result
    if claim.operation not in ("multiply", "divide") or not isinstance(fmt, FloatFormat) or fmt.precision < 3:
        return codes
    if any(not isinstance(given, FloatFormat) or given.precision != fmt.precision for given in claim.operands):
        return codes
    p, one = np.uint64(fmt.precision), np.uint64(1)
    count = codes[0].size
    top, mask = one << (p - one), (one << p) - one
    rest = np.array([1, 3, -1, -3], np.int64)[words.below(4, count)].astype(np.uint64)  # beside the tie
    x = (words.take(count) & mask) | top | one
    if claim.operation == "multiply":
        # x y = 2^(p-2) + rest modulo 2^(p-1): the digits below a product of 2 p - 1 digits are all but half
        y = (((top >> one) + rest) * _inverse(x)) & (top - one) | top
    else:
        # x 2^p = (2 q + 1) y + rest: x / y is all but halfway between q and q + 1
        odd = (words.take(count) & (mask << one)) | (one << p) | one
        y = (np.uint64(0) - rest * _inverse(odd)) & mask
        x = _shifted_product(odd, y, rest.astype(np.int64), int(p))
    fits = (x >= top) & (x <= mask) & (y >= top) & (y <= mask)
    found = []
    for significand, part, given in zip((x, y), codes, claim.operands, strict=True):
        assert isinstance(given, FloatFormat)
        number = kinds.fine_classes(part, given)
        normal = fits & ((number == kinds.NUMBER["+normal"]) | (number == kinds.NUMBER["-normal"]))
        changed = (part.astype(np.uint64) & ~(top - one)) | (significand & (top - one))
        found.append(np.where(normal, changed, part.astype(np.uint64)).astype(part.dtype))
    return found


def _inverse(odd: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The inverse of odd numbers modulo 2^64, by Newton's steps: each doubles the digits that are right."""
    found = odd
    for _ in range(5):
        found = found * (np.uint64(2) - odd * found)
    return found


def _shifted_product(
    x: NDArray[np.uint64], y: NDArray[np.uint64], plus: NDArray[np.int64], places: int
) -> NDArray[np.uint64]:
    """(x y + plus) / 2^places, where that is an integer; in Python's integers where 64 bits are too few."""
    if 2 * places + 2 <= 63:
        return (x * y + plus.astype(np.uint64)) >> np.uint64(places)
    whole = x.astype(object) * y.astype(object) + plus.astype(object)
    return np.asarray(whole >> places, np.uint64)


# -- alike ------------------------------------------------------------------------------------------------------------


def _alike(claim: Claim, codes: Codes, words: Words) -> Codes:
    """One operand made the other: itself, negated, or the next code."""
    count = codes[0].size
    how = words.below(4, count)
    for place in range(1, len(codes)):
        fmt = claim.operands[place]
        if fmt != claim.operands[place - 1] or fmt.code_count != 1 << fmt.bits:
            continue
        changes = np.array([0, getattr(fmt, "sign_mask", 0), 1, 0], np.uint64)[how]
        other = (codes[place - 1].astype(np.uint64) ^ changes).astype(codes[place].dtype)
        codes[place] = np.where(how == 3, codes[place], other)
    return codes

"""The construction of cases: operands of given classes whose result is hard to round.

Each of four methods constructs a share of the cases.  None has to succeed: the caller classifies every case.

- *steer*: choose exponents for a result in a chosen binade, or for addends at a chosen distance;
- *solve*: choose a result at a code or halfway between two, solve for an operand (y = t / x; for fma z = t - x y),
  round it to its format, and move it by at most one code;
- *near tie*: find quotients and products as near to a tie as possible, by an inverse modulo a power of two, which is
  equivalent to the continued fraction of x / (2 q + 1);
- *copy*: take an operand, its negation, or a neighbour as the other operand.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu.arithmetic import add, convert, divide, fma, multiply, negative, subtract
from fpemu.arithmetic.flags import errstate
from fpemu.arrays import Array
from fpemu.formats import FloatFormat, Format, IntFormat
from fpemu.verification.claims import CASTS, Claim
from fpemu.verification.vectors.code_classes import (
    INFINITY_CLASSES,
    NAN_CLASSES,
    NORMAL_CLASSES,
    classes_in,
    exponents,
    fine_classes,
)
from fpemu.verification.vectors.random_codes import RandomWords, in_classes, with_exponents

__all__ = ["construct"]

OperandList = list[NDArray[Any]]  # operands that are changed in place
RowNumbers = NDArray[np.int64]


def _divide_difference(t: Any, other: Any, z: Any, **to: Any) -> Any:
    return divide(subtract(t, z, result=t.format), other, **to)


# operation -> for each operand, its value for a result t and the other operands
_SOLUTIONS: dict[str, tuple[Callable[..., Any], ...]] = {
    "add": (
        lambda t, x, y, **to: subtract(t, y, **to),
        lambda t, x, y, **to: subtract(t, x, **to),
    ),
    "subtract": (
        lambda t, x, y, **to: add(t, y, **to),
        lambda t, x, y, **to: subtract(x, t, **to),
    ),
    "multiply": (
        lambda t, x, y, **to: divide(t, y, **to),
        lambda t, x, y, **to: divide(t, x, **to),
    ),
    "divide": (
        lambda t, x, y, **to: multiply(t, y, **to),
        lambda t, x, y, **to: divide(x, t, **to),
    ),
    "fma": (
        lambda t, x, y, z, **to: _divide_difference(t, y, z, **to),
        lambda t, x, y, z, **to: _divide_difference(t, x, z, **to),
        lambda t, x, y, z, **to: fma(negative(x), y, t, **to),
    ),
    "sqrt": (lambda t, x, **to: multiply(t, t, **to),),
    **{cast: (lambda t, x, **to: convert(t, to["result"], rounding=to["rounding"]),) for cast in CASTS},
}


def construct(claim: Claim, classes: NDArray[np.uint8], words: RandomWords) -> OperandList:
    """Construct operands of given classes that are hard for the operation; solving may change an operand's class.

    Parameters
    ----------
    claim : Claim
    classes : numpy.ndarray, shape (operands, cases)
        Indices of CLASSES.
    words : RandomWords

    Returns
    -------
    list of numpy.ndarray
        Codes of each operand.
    """
    codes = [in_classes(fmt, row, words) for fmt, row in zip(claim.operands, classes, strict=True)]
    methods = [_solve, _near_ties, _copy_operands]
    drawn = words.below(2 + 2 * len(methods), classes.shape[1])
    steered = np.flatnonzero(drawn != 0)
    _put(codes, steered, _steer(claim, [each[steered] for each in codes], words))
    for number, method in enumerate(methods, 1):
        rows = np.flatnonzero(drawn // 2 == number)
        _put(codes, rows, method(claim, [each[rows] for each in codes], words))
    return codes


def _put(codes: OperandList, rows: RowNumbers, changed: OperandList) -> None:
    for each, new in zip(codes, changed, strict=True):
        each[rows] = new


# -- steer ------------------------------------------------------------------------------------------------------------


def _steer(claim: Claim, codes: OperandList, words: RandomWords) -> OperandList:
    count = codes[0].size
    goal, apart = _goal_exponents(claim.result, words, count), _addend_distances(claim.result, words, count)
    given = [_exponents_or_zero(each, fmt) for each, fmt in zip(codes, claim.operands, strict=True)]
    if claim.operation == "multiply":
        steered = [goal - given[1], goal - given[0]]
    elif claim.operation == "divide":
        steered = [goal + given[1], given[0] - goal]
    elif claim.operation == "fma":  # the product at the goal, or at a distance from the addend
        product = np.where(words.below(3, count) == 0, goal, given[2] + apart)
        steered = [product - given[1], product - given[0], given[0] + given[1] + apart]
    elif len(codes) == 2:
        steered = [given[1] + apart, given[0] + apart]
    else:
        steered = [goal]
    chosen = words.below(len(codes), count)
    return [
        np.where(chosen == index, with_exponents(each, fmt, steered[index]), each)
        for index, (each, fmt) in enumerate(zip(codes, claim.operands, strict=True))
    ]


def _exponents_or_zero(codes: NDArray[Any], fmt: Format) -> NDArray[np.int64]:
    if isinstance(fmt, FloatFormat | IntFormat):
        return exponents(codes, fmt)
    return np.zeros(codes.shape, np.int64)


def _goal_exponents(fmt: Format | None, words: RandomWords, count: int) -> NDArray[np.int64]:
    """Exponents of results: a third near a format's lower end, a third near its upper end, a third anywhere."""
    if not isinstance(fmt, FloatFormat):
        top = fmt.bits - (fmt.fraction_bits if isinstance(fmt, IntFormat) else 0) if fmt is not None else 16
        return top + 1 - words.below(2 * (fmt.bits if fmt is not None else 16) + 2, count)
    emax = int(exponents(np.array([fmt.max_code], np.uint64), fmt)[0])
    low = fmt.emin - fmt.precision - 1 + words.below(fmt.precision + 3, count)
    high = emax - 1 + words.below(3, count)
    middle = fmt.emin + words.below(emax - fmt.emin + 1, count)
    return np.choose(words.below(3, count), [low, high, middle])


def _addend_distances(fmt: Format | None, words: RandomWords, count: int) -> NDArray[np.int64]:
    """Differences of two addends' exponents, of both signs: up to three more than the precision."""
    p = fmt.precision if isinstance(fmt, FloatFormat) else 8
    return words.below(2 * p + 7, count) - (p + 3)


# -- solve ------------------------------------------------------------------------------------------------------------


def _solve(claim: Claim, codes: OperandList, words: RandomWords) -> OperandList:
    solutions = _SOLUTIONS.get(claim.operation)
    fmt = claim.result
    if solutions is None or not isinstance(fmt, FloatFormat | IntFormat):
        return codes
    count = codes[0].size
    shortened = words.below(2, count) == 0
    codes = [
        np.where(shortened, _shortened(each, own, words), each) for each, own in zip(codes, claim.operands, strict=True)
    ]
    chosen, step = words.below(len(solutions), count), np.array([0, 0, 1, -1])[words.below(4, count)]
    for results, rows in _chosen_results(fmt, words, count):
        arrays = [Array.from_codes(each[rows], own) for each, own in zip(codes, claim.operands, strict=True)]
        for index, (solution, own) in enumerate(zip(solutions, claim.operands, strict=True)):
            if not isinstance(own, FloatFormat | IntFormat):
                continue
            with errstate(all="ignore"):
                solved = solution(results, *arrays, result=own, rounding="nearest_even")
            moved = solved.codes.astype(np.uint64) + step[rows].astype(np.uint64) & np.uint64(own.code_count - 1)
            codes[index][rows] = np.where(chosen[rows] == index, moved.astype(own.code_dtype), codes[index][rows])
    return codes


def _shortened(codes: NDArray[Any], fmt: Format, words: RandomWords) -> NDArray[Any]:
    """Normal codes with few digits, or with the digits of a divisor of an edge: only such codes have exact products."""
    count = codes.size
    method, cut, choice = words.below(2, count), words.below(6, count), words.take(count)
    if not isinstance(fmt, FloatFormat):
        return codes
    wide, trailing = codes.astype(np.uint64), fmt.trailing_bits
    shift = np.maximum(trailing - cut, 0).astype(np.uint64)
    divisors = _divisors(fmt.precision)
    digits = divisors[(choice % np.uint64(divisors.size)).astype(np.int64)]
    few, of_divisor = wide >> shift << shift, wide >> np.uint64(trailing) << np.uint64(trailing) | digits
    shorter = np.where(method == 0, few, of_divisor)
    number = fine_classes(codes, fmt)
    normal = np.isin(number, NORMAL_CLASSES)
    least = np.uint64(fmt.min_normal_code)  # without its digits, a code may be in another class
    return np.where(normal & (shorter & np.uint64(fmt.magnitude_mask) > least), shorter, wide).astype(codes.dtype)


@functools.lru_cache(maxsize=64)
def _divisors(p: int) -> NDArray[np.uint64]:
    """The trailing digits of the p-digit numbers that divide an edge: a tie next to a power of two, as an integer.

    Edges are factored by trial division below 2^12; the cofactor is treated as prime.
    """
    divisors = {1}
    for edge in ((1 << p) - 1, (1 << p) + 1, (1 << (p + 1)) - 1):
        cofactor, smooth = edge, {1}
        for factor in range(3, 1 << 12, 2):
            while cofactor % factor == 0:
                cofactor //= factor
                smooth |= {divisor * factor for divisor in smooth}
        divisors |= smooth | {divisor * cofactor for divisor in smooth}
    fitting = [divisor << (p - divisor.bit_length()) for divisor in sorted(divisors) if divisor.bit_length() <= p]
    return np.array(fitting, np.uint64) & np.uint64((1 << (p - 1)) - 1)


@functools.lru_cache(maxsize=64)
def _with_ties(fmt: FloatFormat | IntFormat, upper: bool = False) -> FloatFormat | IntFormat:
    """The format with one more trailing digit, whose values include the ties.

    For a format of 64 bits, it has only the lower or the upper half of the exponents.
    """
    if isinstance(fmt, IntFormat):
        more = fmt.bits < 64
        return dataclasses.replace(fmt, name="halves", bits=fmt.bits + more, fraction_bits=fmt.fraction_bits + more)
    changes: dict[str, Any] = {"precision": fmt.precision + 1, "infinities": False, "nan": "none"}
    changes |= {"name": "halves", "negative_zero": None, "bits": min(fmt.bits + 1, 64)}
    if upper:
        changes |= {"bias": fmt.bias - (1 << (fmt.exponent_bits - 1)), "subnormals": False, "zero": False}
    return dataclasses.replace(fmt, **changes)


def _chosen_results(fmt: FloatFormat | IntFormat, words: RandomWords, count: int) -> list[tuple[Array, RowNumbers]]:
    """Results to solve for, and the rows of their cases: finite values of the format, and ties.

    A third are at the edges: zero, the largest subnormal, the smallest normal, the two largest.
    """
    members = [n for n in classes_in(fmt) if n not in (*INFINITY_CLASSES, *NAN_CLASSES)]
    codes = in_classes(fmt, np.array(members, np.uint8)[words.below(len(members), count)], words).astype(np.uint64)
    halves = words.below(2, count).astype(np.uint64)
    if isinstance(fmt, IntFormat):
        finer = _with_ties(fmt)
        moved = codes << np.uint64(1) | halves if finer.bits > fmt.bits else codes
        return [(Array.from_codes(moved.astype(finer.code_dtype), finer), np.arange(count))]
    edges = np.array(
        [0, max(fmt.min_normal_code - 1, 0), fmt.min_normal_code, fmt.max_code - 1, fmt.max_code], np.uint64
    )
    edge = edges[words.below(edges.size, count)] | (codes & np.uint64(fmt.sign_mask))
    codes = np.where(words.below(3, count) == 0, edge, codes)
    if fmt.bits < 64:
        finer = _with_ties(fmt)
        moved = (codes << np.uint64(1) | halves).astype(finer.code_dtype)
        return [(Array.from_codes(moved, finer), np.arange(count))]
    sign, middle = codes & np.uint64(fmt.sign_mask), np.uint64(1 << (fmt.trailing_bits + fmt.exponent_bits - 1))
    magnitude = codes & np.uint64(fmt.magnitude_mask)
    chosen = []
    for upper in (False, True):
        rows = np.flatnonzero((magnitude >= middle) == upper)
        offset = magnitude[rows] - middle if upper else magnitude[rows]
        moved = sign[rows] | offset << np.uint64(1) | halves[rows]
        chosen.append((Array.from_codes(moved, _with_ties(fmt, upper)), rows))
    return chosen


# -- near ties --------------------------------------------------------------------------------------------------------


def _near_ties(claim: Claim, codes: OperandList, words: RandomWords) -> OperandList:
    fmt = claim.result
    if claim.operation not in ("multiply", "divide") or not isinstance(fmt, FloatFormat) or fmt.precision < 3:
        return codes
    if any(not isinstance(own, FloatFormat) or own.precision != fmt.precision for own in claim.operands):
        return codes
    p, one = np.uint64(fmt.precision), np.uint64(1)
    count = codes[0].size
    top, mask = one << (p - one), (one << p) - one
    miss = np.array([1, 3, -1, -3], np.int64)[words.below(4, count)].astype(np.uint64)  # distance from the tie
    x = (words.take(count) & mask) | top | one
    if claim.operation == "multiply":
        # x y = 2^(p-2) + miss modulo 2^(p-1): the low digits of a product of 2 p - 1 digits are nearly half
        y = (((top >> one) + miss) * _inverse(x)) & (top - one) | top
    else:
        # x 2^p = (2 q + 1) y + miss: x / y is nearly halfway between q and q + 1
        odd = (words.take(count) & (mask << one)) | (one << p) | one
        y = (np.uint64(0) - miss * _inverse(odd)) & mask
        x = _shifted_product(odd, y, miss.astype(np.int64), int(p))
    fits = (x >= top) & (x <= mask) & (y >= top) & (y <= mask)
    near = []
    for significand, each, own in zip((x, y), codes, claim.operands, strict=True):
        assert isinstance(own, FloatFormat)
        normal = fits & np.isin(fine_classes(each, own), NORMAL_CLASSES)
        changed = (each.astype(np.uint64) & ~(top - one)) | (significand & (top - one))
        near.append(np.where(normal, changed, each.astype(np.uint64)).astype(each.dtype))
    return near


def _inverse(odd: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The inverses of odd numbers modulo 2^64, by Newton's method; each step doubles the number of correct digits."""
    inverse = odd
    for _ in range(5):
        inverse = inverse * (np.uint64(2) - odd * inverse)
    return inverse


def _shifted_product(
    x: NDArray[np.uint64], y: NDArray[np.uint64], plus: NDArray[np.int64], shift: int
) -> NDArray[np.uint64]:
    """(x y + plus) / 2^shift, an integer; in Python's integers if 64 bits are too few."""
    if 2 * shift + 2 <= 63:
        return (x * y + plus.astype(np.uint64)) >> np.uint64(shift)
    exact = x.astype(object) * y.astype(object) + plus.astype(object)
    return np.asarray(exact >> shift, np.uint64)


# -- copy -------------------------------------------------------------------------------------------------------------


def _copy_operands(claim: Claim, codes: OperandList, words: RandomWords) -> OperandList:
    """Replace each operand by the previous one, its negation or its neighbour, or leave it unchanged."""
    drawn = words.below(4, codes[0].size)
    for index in range(1, len(codes)):
        fmt = claim.operands[index]
        if fmt != claim.operands[index - 1] or fmt.code_count != 1 << fmt.bits:
            continue
        changes = np.array([0, getattr(fmt, "sign_mask", 0), 1, 0], np.uint64)[drawn]
        copied = (codes[index - 1].astype(np.uint64) ^ changes).astype(codes[index].dtype)
        codes[index] = np.where(drawn == 3, codes[index], copied)
    return codes

"""Operations by MPFR (through gmpy2) on arrays, and their rounding once more, in numpy's integers: no code of fpemu.

MPFR gives the exact result cut to `DIGITS` digits, and whether anything was cut off; that goes into a last, odd bit
(rounding to odd), from which every rounding to at most two digits fewer is the exact result's (Boldo and Melquiond,
IEEE Transactions on Computers 57(4), 2008).  `rounded` rounds that to a format in every mode, with IEEE 754's flags.
"""

from __future__ import annotations

from typing import NamedTuple

import gmpy2
import numpy as np

INEXACT, UNDERFLOW, OVERFLOW, DIVIDE_BY_ZERO, INVALID = 1, 2, 4, 8, 16
DIGITS = 60  # with the last bit, and one that a carry may take, they fit into an int64

CUT = gmpy2.context(
    precision=DIGITS, round=gmpy2.RoundToZero, emax=gmpy2.get_emax_max(), emin=gmpy2.get_emin_min(), subnormalize=False
)
SHORT = CUT.copy()
SHORT.precision = 53  # what is left of float64 is enough for formats of half as many digits: much faster

OPERATIONS = {
    "add": "add",
    "subtract": "sub",
    "multiply": "mul",
    "divide": "div",
    "fma": "fma",
    "sqrt": "sqrt",
    "fmod": "fmod",
    "ieee_remainder": "remainder",
}
OPERANDS = {name: {"fma": 3, "sqrt": 1}.get(name, 2) for name in OPERATIONS}


class Layout(NamedTuple):
    """An IEEE 754 format: bits, digits, largest exponent."""

    bits: int
    precision: int
    emax: int

    @property
    def trailing(self):
        return self.precision - 1

    @property
    def emin(self):
        return 1 - self.emax

    @property
    def quantum(self):
        """The exponent of the smallest quantum."""
        return self.emin - self.trailing

    @property
    def sign(self):
        return 1 << (self.bits - 1)

    @property
    def infinity(self):
        return (2 * self.emax + 1) << self.trailing

    @property
    def quiet(self):
        return 1 << (self.trailing - 1)


LAYOUTS = {
    "float16": Layout(16, 11, 15),
    "bfloat16": Layout(16, 8, 127),
    "tfloat32": Layout(19, 11, 127),
    "float32": Layout(32, 24, 127),
    "float64": Layout(64, 53, 1023),
}


def values(codes, name):
    """The float64 values of codes (uint64)."""
    if name == "float16":
        return codes.astype(np.uint16).view(np.float16).astype(np.float64)
    if name == "float64":
        return codes.astype(np.uint64).view(np.float64)
    with np.errstate(invalid="ignore"):  # signalling NaN
        return (codes.astype(np.uint32) << np.uint32(32 - LAYOUTS[name].bits)).view(np.float32).astype(np.float64)


class Exact(NamedTuple):
    """Exact results: finite ones are (-1)^negative significand 2^exponent, odd where digits are cut off."""

    significand: np.ndarray  # int64, 0 for zeros and what is not finite
    exponent: np.ndarray
    negative: np.ndarray
    infinite: np.ndarray
    nan: np.ndarray
    cancelled: np.ndarray  # a zero sum of terms of different signs: its sign depends on the mode
    flags: np.ndarray  # those that no rounding raises


def exact(operation, codes, name):
    """What MPFR says of an operation on codes (uint64) of one format."""
    layout = LAYOUTS[name]
    reals = [values(part, name) for part in codes]
    context = CUT if layout.precision > 24 else SHORT
    results = list(map(getattr(context, OPERATIONS[operation]), *(part.tolist() for part in reals)))
    count = len(results)
    lost = np.fromiter((result.rc != 0 for result in results), bool, count)
    if context is SHORT:
        floats = np.fromiter(map(float, results), np.float64, count)
        parts, exponent = np.frexp(np.where(np.isfinite(floats), np.abs(floats), 0))
        significand = (parts * 2.0**53).astype(np.int64) | lost
        exponent = exponent.astype(np.int64) - 53
        negative, infinite, nan = np.signbit(floats), np.isinf(floats), np.isnan(floats)
    else:
        pairs = [result.as_mantissa_exp() if gmpy2.is_finite(result) else (0, 1) for result in results]
        significand = np.fromiter((abs(int(digits)) for digits, _ in pairs), np.int64, count)
        exponent = np.fromiter((int(power) for _, power in pairs), np.int64, count)
        shift = DIGITS + 1 - bit_length(significand)  # room for the last bit
        shift[significand == 0] = 0
        significand, exponent = (significand << shift) | lost, exponent - shift
        negative = np.fromiter(map(gmpy2.is_signed, results), bool, count)
        infinite = np.fromiter(map(gmpy2.is_infinite, results), bool, count)
        nan = np.fromiter(map(gmpy2.is_nan, results), bool, count)
    zero = ~infinite & ~nan & (significand == 0)
    cancelled, flags = zero & opposed(operation, reals), raised(operation, codes, reals, nan, layout)
    return Exact(significand, exponent, negative, infinite, nan, cancelled, flags)


def opposed(operation, reals):
    """Where the two terms of a sum have different signs."""
    signs = [np.signbit(part) for part in reals]
    if operation == "fma":
        return (signs[0] ^ signs[1]) != signs[2]
    if operation in ("add", "subtract"):
        return (signs[0] != signs[1]) != (operation == "subtract")
    return np.zeros(reals[0].size, bool)


def raised(operation, codes, reals, nan, layout):
    """Invalid and divide by zero (IEEE 754-2019 clauses 7.2, 7.3)."""
    operand_nan, signals = np.zeros(nan.size, bool), np.zeros(nan.size, bool)
    for part, real in zip(codes, reals, strict=True):
        operand_nan |= np.isnan(real)
        signals |= np.isnan(real) & (part & np.uint64(layout.quiet) == 0)
    invalid = signals | (nan & ~operand_nan)
    if operation == "fma":
        x, y = reals[:2]
        invalid |= (np.isinf(x) & (y == 0)) | (np.isinf(y) & (x == 0))
    flags = np.where(invalid, INVALID, 0)
    if operation == "divide":
        flags |= np.where((reals[1] == 0) & (reals[0] != 0) & np.isfinite(reals[0]), DIVIDE_BY_ZERO, 0)
    return flags


def bit_length(x):
    """The number of bits of int64 numbers that are not negative."""
    size = np.frexp(x.astype(np.float64))[1].astype(np.int64)  # one too many where the float64 rounded up
    return size - ((x != 0) & (x < np.int64(1) << np.maximum(size - 1, 0)))


def cut_off(significand, places, negative, mode):
    """A significand without its last places, rounded to an integer; and whether that is inexact."""
    places = np.minimum(places, 63)
    up = np.maximum(places, 0)
    kept = (significand >> up) << np.maximum(-places, 0)
    rest = significand - ((significand >> up) << up)
    half = np.where(up > 0, np.int64(1) << np.maximum(up - 1, 0), 1)
    odd = kept & 1 == 1
    inexact = rest > 0
    ties = {
        "nearest_even": odd,
        "nearest_away": True,
        "nearest_toward_zero": False,
        "nearest_toward_positive": ~negative,
        "nearest_toward_negative": negative,
    }
    directed = {
        "toward_zero": False,
        "away_from_zero": True,
        "toward_positive": ~negative,
        "toward_negative": negative,
        "to_odd": ~odd,
    }
    goes_up = (rest > half) | ((rest == half) & ties[mode]) if mode in ties else directed[mode]
    return kept + (inexact & goes_up), inexact


def rounded(results, name, mode, before=False):
    """The codes (uint64) of exact results in a format, and all flags; `before`: tininess before rounding."""
    layout = LAYOUTS[name]
    significand, negative = results.significand, results.negative
    top = results.exponent + bit_length(significand)  # below 2^top
    quantum = np.maximum(top - layout.precision, layout.quantum)
    kept, inexact = cut_off(significand, quantum - results.exponent, negative, mode)
    binade = np.where(significand != 0, quantum - layout.quantum, 0)
    too_large = binade > 2 * layout.emax  # and so would the code be
    magnitude = kept + (np.where(too_large, 0, binade) << layout.trailing)
    overflow = (too_large | (magnitude >= layout.infinity)) & (significand != 0)
    stops = {"toward_zero": True, "to_odd": True, "toward_positive": negative, "toward_negative": ~negative}
    largest = np.where(stops.get(mode, False), layout.infinity - 1, layout.infinity)
    magnitude = np.where(overflow, largest, magnitude)
    magnitude = np.where(results.infinite, layout.infinity, magnitude)
    negative = np.where(results.cancelled, mode == "toward_negative", negative)
    codes = magnitude.astype(np.uint64) | np.where(negative, np.uint64(layout.sign), np.uint64(0))
    codes = np.where(results.nan, np.uint64(layout.infinity | layout.quiet), codes)
    tiny = (top <= layout.emin) & (significand != 0)
    if not before:  # with unbounded exponents it may become 2^emin
        normal, _ = cut_off(significand, top - layout.precision - results.exponent, results.negative, mode)
        tiny &= ~((top == layout.emin) & (normal == 1 << layout.precision))
    flags = results.flags | np.where(inexact | overflow, INEXACT, 0) | np.where(overflow, OVERFLOW, 0)
    return codes, (flags | np.where(tiny & inexact, UNDERFLOW, 0)).astype(np.uint8)

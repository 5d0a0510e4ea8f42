"""fpemu.strategies.hard_cases: the cases it reaches, classified by exact rationals, and the examples it shrinks to."""

from __future__ import annotations

import collections
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

import fpemu as fe
from fpemu import strategies as fst
from fpemu.verification.hard_cases import nearest_code
from tests.verification.test_strategies import drawn, simplest

EXACT = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / y if y else None,
    "fma": lambda x, y, z: x * y + z,
}
LIMITS = {  # precision, emin, largest value
    "float8_e4m3fn": (4, -6, Fraction(448)),
    "float8_e5m2": (3, -14, Fraction(57344)),
    "bfloat16": (8, -126, (2 - Fraction(1, 128)) * 2**127),
    "float32": (24, -126, (2 - Fraction(1, 2**23)) * 2**127),
}


def number(code, fmt):
    """A code's value, or None."""
    value = float(np.array(code, fmt.code_dtype).view(np.float32)) if fmt.name == "float32" else fmt.value(code)
    return Fraction(value) if np.isfinite(value) else None


def situations(exact, parts, limits):
    """The position of an exact result, in words."""
    p, emin, largest = limits
    magnitude, unit = abs(exact), Fraction(2) ** emin
    while unit * 2 <= magnitude:
        unit *= 2
    rest = magnitude / unit * 2 ** (p - 1) % 1
    if magnitude and magnitude < Fraction(2) ** emin:
        yield "subnormal"
    if magnitude > largest:
        yield "beyond"
    if rest == Fraction(1, 2):
        yield "tie"
        if magnitude > largest and magnitude < largest * 2:
            yield "threshold"
    elif abs(rest - Fraction(1, 2)) <= Fraction(1, 8):
        yield "near tie"
    elif rest == 0:
        yield "exact"
    if magnitude < max(map(abs, parts)) / 2 ** (p - 1):
        yield "cancelled"


WANTED = {
    "add": ["tie", "threshold", "near tie", "exact", "cancelled", "beyond"],
    "subtract": ["tie", "threshold", "near tie", "exact", "cancelled", "beyond"],
    "multiply": ["tie", "near tie", "exact", "beyond", "subnormal"],
    "divide": ["near tie", "exact", "beyond", "subnormal"],
    "fma": ["tie", "near tie", "exact", "cancelled", "beyond", "subnormal"],
}


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("operation", EXACT)
def test_every_situation_is_reached_often(operation, name):
    fmt, limits, found = fe.dtype(name), LIMITS[name], collections.Counter()
    cases = drawn(fst.hard_cases(operation, fmt), 1000)
    for case in cases:
        assert all(0 <= code < fmt.code_count for code in case)
        x = [number(code, fmt) for code in case]
        exact = EXACT[operation](*x) if None not in x else None
        if exact is None:
            found["special"] += 1
        else:
            parts = (x[0] * x[1], x[2]) if operation == "fma" else x
            found.update(situations(exact, parts, limits))
    for situation in (*WANTED[operation], "special"):
        assert found[situation] >= (2 if situation == "threshold" else 5), (situation, found)


@pytest.mark.parametrize("name", ["float8_e5m2", "float32"])
def test_square_roots_come_close_to_ties_and_are_exact(name):
    fmt, (p, _, _) = fe.dtype(name), LIMITS[name]
    exact = close = 0
    for (code,) in drawn(fst.hard_cases("sqrt", fmt), 400):
        x = number(code, fmt)
        if x is None or x <= 0:
            continue
        even = x / Fraction(4) ** ((x.numerator.bit_length() - x.denominator.bit_length()) // 2)  # about 1/2 to 4
        root = Fraction(math.isqrt(int(even * 4**60)), 2**60)
        unit = Fraction(2) ** (1 - p) if root >= 1 else Fraction(2) ** -p
        rest = root / unit % 1
        exact += root * root == even
        close += abs(rest - Fraction(1, 2)) < Fraction(1, 16)
    assert exact >= 20
    assert close >= 20


@pytest.mark.parametrize("operation", ["cast", "encode"])
def test_casts_meet_ties_and_their_neighbours(operation):
    values = np.sort(fe.dtype("float8_e4m3fn").values())
    values = np.unique(values[np.isfinite(values)]).astype(np.float32)
    middles = (values[1:] + values[:-1]) / 2
    cases = np.array([case[0] for case in drawn(fst.hard_cases(operation, "float8_e4m3fn"), 1000)], np.uint32)
    x = cases.view(np.float32)
    for places in (middles, np.nextafter(middles, np.float32(9e9)), np.nextafter(middles, np.float32(-9e9))):
        assert np.count_nonzero(np.isin(x, places)) >= 20
    assert np.isin(np.float32([464, -464]), x).any()
    assert np.isnan(x).any()


@pytest.mark.parametrize(
    "operation", ["add", "fma", "sqrt", "minimum", "copysign", "ieee_remainder", "pow", "exp", "*"]
)
@pytest.mark.parametrize("name", ["float8_e4m3fnuz", "float8_e8m0fnu", "float8_e5m3fnu", "int8", "uq3.4", "float64"])
def test_cases_of_every_operation_and_format_are_codes_and_shrink(operation, name):
    fmt, strategy = fe.dtype(name), fst.hard_cases(operation, name)
    for case in drawn(strategy, 60):
        assert all(isinstance(code, int) and 0 <= code < fmt.code_count for code in case)
    assert set(simplest(strategy)) == {0}


def test_a_failure_shrinks():
    """The simplest sum of float8_e5m2 that is not one of its values."""
    fmt = fe.dtype("float8_e5m2")
    values = {Fraction(v) for v in fmt.values() if np.isfinite(v)}

    def inexact(case):
        x, y = (number(code, fmt) for code in case)
        return x is not None and y is not None and x + y not in values

    small = simplest(fst.hard_cases("add", fmt), inexact)
    assert max(small) <= 0x11


def test_it_finds_a_wrong_tie():
    """Few examples always find an implementation that is wrong only in ties."""
    fmt = fe.dtype("float32")

    def differs(case):
        x, y = (fe.Array.from_codes(np.array([code], np.uint32), fmt) for code in case)
        return (fe.multiply(x, y, rounding="nearest_away").codes != fe.multiply(x, y).codes).any()

    find(fst.hard_cases("multiply", fmt), differs, settings=settings(max_examples=300, derandomize=True, deadline=None))


@pytest.mark.parametrize("name", ["float8_e4m3fn", "float8_e4m3fnuz", "float8_e8m0fnu", "int8", "q3.4", "uint4"])
def test_the_nearest_code_is_the_nearest(name):
    fmt = fe.dtype(name)
    values = {code: Fraction(v) for code, v in enumerate(fmt.values().tolist()) if np.isfinite(v)}

    @settings(deadline=None, derandomize=True, database=None)
    @given(st.fractions(-600, 600), st.integers(-20, 5))
    def check(x, power):
        x *= Fraction(2) ** power
        found = nearest_code(x, fmt)
        assert abs(values[found] - x) == min(abs(value - x) for value in values.values())

    check()


@pytest.mark.parametrize(
    ("args", "error", "words"),
    [
        (("addd", "float16"), ValueError, "no operation 'addd'"),
        (("add", "float61"), ValueError, "unknown format"),
        (("add", "nf4"), ValueError, "nf4 is a codebook"),
        (("cast", "float16", "nf4"), ValueError, "nf4 is a codebook"),
        (("add", 3), TypeError, "format"),
    ],
)
def test_bad_input(args, error, words):
    with pytest.raises(error, match=words):
        fst.hard_cases(*args)

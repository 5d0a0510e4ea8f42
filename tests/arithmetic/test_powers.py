"""Powers with small exponents of any format: the exact power in rationals, rounded once, in every mode, with flags."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

import fpemu as fe
from fpemu.kernels.opcodes import DIVIDE_BY_ZERO_FLAG, INVALID_FLAG
from tests.kernels.test_arithmetic import some
from tests.kernels.test_elementary import assert_function
from tests.oracle import spec, spec_arithmetic
from tests.oracle.compare import DETERMINISTIC, assert_same_codes, profile

EXPONENTS = [*range(-8, 9), 0.5]
FORMATS = ["float16", "bfloat16", "float32", "float64", "tfloat32", "float24_e7m16f", "binary16p5se", "int16", "q7.8"]
NAN, ONE = spec.Number("nan", False), spec.Number("finite", False, 1, 0)


def power(x, y):
    """x^y by IEEE 754-2019 clause 9.2.1: a number of the specification, and flags."""
    if x.kind == "nan" and spec_arithmetic.signals(x):
        return NAN, INVALID_FLAG
    if y == 0:
        return ONE, 0
    if x.kind == "nan":
        return NAN, 0
    negative = x.negative and Fraction(y) % 2 == 1
    if x.kind == "infinite":
        return (spec.Number("finite", negative, 0, 0) if y < 0 else spec.Number("infinite", negative)), 0
    if x.significand == 0:
        if y < 0:
            return spec.Number("infinite", negative), DIVIDE_BY_ZERO_FLAG
        return spec.Number("finite", negative, 0, 0), 0
    if y == 0.5:
        return spec_arithmetic.sqrt(x)
    number = (Fraction(x.significand) * Fraction(2) ** x.exponent) ** y
    # to more digits than any format has, and whether more follow
    up = 600 + max(number.denominator.bit_length() - number.numerator.bit_length(), 0)
    whole, rest = divmod(number.numerator << up, number.denominator)
    return spec.Number("finite", negative, *spec_arithmetic.sticky(whole, -up, rest != 0)), 0


def operands(fmt, seed):
    """Codes of all kinds, and numbers around 1, whose powers are in range."""
    near = np.array([1, -1, 1.5, -3, 0.5, 0.75, 1.0625, -7 / 8, 10, 0, -0.0, np.inf, -np.inf])
    near = near if fmt.kind == "float" else near[:-2]
    more = np.random.default_rng(seed).uniform(-4, 4, 40)
    codes = fe.encode(np.concatenate([near, more]), fmt, overflow="saturate")
    return np.concatenate([codes, some(fmt, 40, seed)]).astype(fmt.code_dtype)


def check(x, fmt, y, target, rules, given=None):
    numbers = [spec.decode(code, fmt) for code in x.tolist()]
    if rules.subnormals_in.value == "zero":
        numbers = [n._replace(significand=0) if n.subnormal else n for n in numbers]
    expected = [power(number, y) for number in numbers]
    codes, flags = spec_arithmetic.rounded([n for n, _ in expected], [f for _, f in expected], target, rules)
    exponent = y if given is None else given
    found, raised = fe.pow(fe.Array(x, fmt), exponent, result=target, profile=rules, return_flags=True)
    label = (fmt.name, y, target.name, rules)
    assert_same_codes(found.codes.astype(np.uint64), codes, np.arange(codes.size), target, label)
    if flags is not None:
        wrong = np.flatnonzero(raised.bits != flags)[:5]
        assert not wrong.size, [(label, numbers[i], raised.bits[i], flags[i]) for i in wrong.tolist()]


@pytest.mark.parametrize("fmt", FORMATS)
def test_against_rationals(fmt):
    """Every exponent and every mode, in the format itself and in others."""
    fmt = fe.dtype(fmt)
    modes = itertools.cycle(DETERMINISTIC)
    for seed, y in enumerate(EXPONENTS):
        x = operands(fmt, seed)
        for target in (fmt, fe.dtype("bfloat16"), fe.dtype("float32"), fe.dtype("int8")):
            for _ in range(2):
                check(x, fmt, y, target, profile(target, rounding=next(modes)))
    for mode, y in itertools.product(DETERMINISTIC, (-3, 0.5, 2, 5)):
        check(operands(fmt, 99), fmt, y, fmt, profile(fmt, rounding=mode))


def test_wide_exponents():
    """In any format that has them, several of them in one call."""
    x = fe.array([[1.5], [-0.3], [7.0], [0.0]], "float32")
    for y in (fe.array(EXPONENTS, "float16"), np.array(EXPONENTS), np.array(EXPONENTS, np.float32)):
        found = fe.pow(x, y, result="float32")
        assert found.shape == (4, len(EXPONENTS))
        for place, exponent in enumerate(EXPONENTS):
            assert np.array_equal(found.codes[:, place], (x[:, 0] ** exponent).codes)
    for fmt in ("float16", "float64"):
        check(
            operands(fe.dtype(fmt), 5), fe.dtype(fmt), 0.5, fe.dtype(fmt), fe.profile("ieee"), fe.array(0.5, "float64")
        )


def test_rules():
    """Subnormals as zero, NaN passed on, through float32; each as in the table of the specification or the product."""
    fmt = fe.dtype("float32")
    zeros = fe.profile("ieee").replace(subnormals_in="zero")
    for y in EXPONENTS:
        x = np.concatenate([operands(fmt, 3), np.array([1, 0x80000001, 0x7FFFFF], np.uint32)])
        check(x, fmt, y, fmt, zeros)
    nans = np.array([0x7FC12345, 0x7F812345, 0xFFC00001, 0xFF800001], np.uint32)
    first = fe.profile("x86-sse")
    for y in (2, 3, -2, 0.5):
        found = fe.pow(fe.Array(nans, fmt, first), y).codes
        assert np.array_equal(found, fe.multiply(fe.Array(nans, fmt, first), 1.0).codes), y
    assert fe.pow(fe.Array(nans[:1], fmt, first), 0).values == 1
    through = fe.profile("ieee").replace(through="float32")
    x = fe.array([1.1, 1.7, -3.3], "float64")
    twice = fe.cast(fe.pow(x, 3, result="float32"), "bfloat16")
    assert np.array_equal(fe.pow(x, 3, result="bfloat16", profile=through).values, twice)


@pytest.mark.parametrize("y", [0.5, 2, 3, -2])
def test_stochastic(y):
    """An element's random integer belongs to its place; results lie at both sides of the exact power, as often."""
    x = fe.Array(np.full(4000, fe.encode(1.37, "float32")), "float32")
    found = fe.pow(x, y, result="bfloat16", rounding="stochastic", rng=3)
    low, high = (fe.pow(x[:1], y, result="bfloat16", rounding=f"toward_{w}").item() for w in ("negative", "positive"))
    assert set(np.unique(found.values)) == {low, high}
    exact = float(x[0].item()) ** y
    share, expected = np.mean(found.values == high), (exact - low) / (high - low)
    assert abs(share - expected) < 5 * np.sqrt(expected * (1 - expected) / x.size)
    again = fe.pow(x[1000:], y, result="bfloat16", rounding="stochastic", rng=3, rng_offset=1000)
    assert np.array_equal(again.codes, found.codes[1000:])
    randoms = np.random.default_rng(0).integers(0, 1 << 8, x.size, dtype=np.uint32)
    mode = fe.Stochastic(bits=8)
    assert np.isin(fe.pow(x, y, result="bfloat16", rounding=mode, random_bits=randoms).values, (low, high)).all()


def test_operators_and_ufuncs():
    x = fe.array([[2.0, -3.0], [0.5, 1.1]], "float16")
    assert np.array_equal((x**3).codes, fe.pow(x, 3).codes)
    assert np.array_equal(np.power(x, 3).codes, fe.pow(x, 3).codes)
    assert np.array_equal((x**2).codes, np.square(x).codes)
    y = x.copy()
    y **= 2
    assert np.array_equal(y.codes, (x**2).codes)
    out = fe.array(np.zeros((2, 2)), "float16")
    for exponent in (0.5, 2, 3):
        assert np.power(x, exponent, out=out) is out
        assert np.array_equal(out.codes, (x**exponent).codes)
    codes = np.empty((2, 2), np.uint16)
    assert fe.pow(x.T, -3, out=codes) is codes
    assert np.array_equal(codes, (x.T**-3).codes)
    assert (x[:0] ** 3).shape == (0, 2)
    assert (fe.array(1.5, "float32") ** 3).item() == 3.375
    assert fe.pow(1.1, 3, result="float64") == float(Fraction(1.1) ** 3)
    assert ((-0.0) ** fe.array(0.5, "float16")).codes == 0
    assert 2 ** fe.array(3.0, "bfloat16") == 8
    with fe.errstate(divide_by_zero="raise"), pytest.raises(fe.FlagError, match=r"pow\(0.0, -1\) = inf in float32"):
        fe.array(0.0, "float32") ** -1


def test_special_values():
    """Clause 9.2.1: -0 and -infinity to the power 0.5 are +0 and +infinity."""
    for fmt in ("float16", "bfloat16", "float32", "float64"):
        x = fe.array([-0.0, -np.inf, 0.0, np.inf], fmt)
        root, flags = fe.pow(x, 0.5, return_flags=True)
        assert np.array_equal(np.signbit(root.values), [False] * 4)
        assert root.values.tolist() == [0, np.inf, 0, np.inf]
        assert not flags.bits.any()


def test_other_exponents():
    """Of operands of many bits, in every mode, beside MPFR."""
    rng = np.random.default_rng(0)
    modes = itertools.cycle(DETERMINISTIC)
    for x_name, y_name in (
        ("float16", "float16"),
        ("float32", "float64"),
        ("float64", "float8_e5m2"),
        ("int16", "q7.8"),
    ):
        formats = fe.dtype(x_name), fe.dtype(y_name)
        x = operands(formats[0], 7)
        near = fe.encode(rng.choice([9, -9, 2.5, -0.5, 0.25, 1.3, -70, 3], x.size), y_name, overflow="saturate")
        y = np.where(rng.random(x.size) < 0.8, near, some(formats[1], x.size, 8)).astype(formats[1].code_dtype)
        for target in map(fe.dtype, (x_name, "bfloat16", "float64")):
            assert_function("pow", [x, y], formats, target, profile(target, rounding=next(modes)))
    x = fe.array([1.5, 2.0], "float16")
    assert np.array_equal((2**x).codes, fe.exp2(x).codes)
    assert np.isnan((x**np.nan).values).all()
    assert (x**np.inf).values.tolist() == [np.inf, np.inf]


def test_refused():
    with pytest.raises(ValueError, match="sums and products of integers"):
        fe.pow(fe.array([1, 2], "int16"), 2, overflow="wrap")

"""Remainders, roundings to integers, scaling, conversions, signs, comparisons: against the specification."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import fpemu as fe
from tests.kernels.test_arithmetic import assert_operates, pairs, some
from tests.oracle import spec
from tests.oracle.compare import DETERMINISTIC, profile
from tests.oracle.spec import stochastic_up
from tests.oracle.spec_arithmetic import EXTREMA, goes_up, order

BINARY = ("fmod", "ieee_remainder", *EXTREMA)
UNARY = ("round_to_integral", "logb", "convert")
SMALL = ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float6_e2m3fn"]
WIDE = ["float16", "bfloat16", "float32", "float64", "float8_e3m4", "binary8p3se", "float8_e5m3fnu"]
N = fe.dtype("int16")


@pytest.mark.parametrize("operation", BINARY)
@pytest.mark.parametrize("name", SMALL[1:])
def test_every_pair(name, operation):
    """To nearest even."""
    fmt = fe.dtype(name)
    assert_operates(operation, pairs(fmt), (fmt, fmt), fmt, profile(fmt))


@pytest.mark.parametrize("operation", UNARY)
@pytest.mark.parametrize("name", [*SMALL, "float8_e3m4", "float8_e8m0fnu", "binary8p1se"])
def test_every_code(name, operation):
    """In every mode; to the same format and to others."""
    fmt = fe.dtype(name)
    codes = (np.arange(fmt.code_count, dtype=fmt.code_dtype),)
    for mode, other in itertools.product(DETERMINISTIC, (name, "float8_e5m2", "float4_e2m1fn")):
        target = fe.dtype(other)
        exact = mode != "nearest_even"
        assert_operates(operation, codes, (fmt,), target, profile(target, rounding=mode), exact=exact or target != fmt)


@pytest.mark.parametrize("name", WIDE)
def test_some(name):
    """Codes by chance and at edges, every mode."""
    fmt = fe.dtype(name)
    for i, mode in enumerate(DETERMINISTIC):
        x, y = some(fmt, 150, 10 * i), some(fmt, 150, 10 * i + 1)
        n = some(N, 150, i) // np.uint16(1 << i)  # far and near
        rules = profile(fmt, rounding=mode)
        for operation in BINARY:
            assert_operates(operation, (x, y), (fmt, fmt), fmt, rules)
        for operation in UNARY:
            assert_operates(operation, (x,), (fmt,), fmt, rules)
        assert_operates("scaleb", (x, n), (fmt, N), fmt, rules)


MIXED = [
    (("float8_e4m3fn", "float8_e5m2"), "float16"),
    (("float64", "float8_e4m3fn"), "bfloat16"),
    (("int8", "float16"), "float32"),
    (("int64", "uint64"), "float64"),
    (("q3.12", "q7.8"), "float16"),
    (("float32", "float64"), "float8_e4m3fn"),
]


@pytest.mark.parametrize(("names", "target"), MIXED, ids=str)
def test_mixed_formats(names, target):
    formats, target = [fe.dtype(name) for name in names], fe.dtype(target)
    operands = [some(fmt, 300, i) for i, fmt in enumerate(formats)]
    for mode in ("nearest_even", "toward_positive", "to_odd"):
        rules = profile(target, rounding=mode)
        for operation in BINARY:
            assert_operates(operation, operands, formats, target, rules)
        for operation in UNARY:
            assert_operates(operation, operands[:1], formats[:1], target, rules)


def test_remainders_of_near_multiples():
    """X about odd and even multiples of half of y, far apart in magnitude."""
    rng = np.random.default_rng(3)
    for name in ("float16", "float32", "float64"):
        fmt = fe.dtype(name)
        y = some(fmt, 400, 5)
        halves = fe.scaleb(fe.Array(y, fmt), -1, result="float64")
        times = rng.integers(0, 1 << rng.integers(1, 12, 400), dtype=np.int64)
        x = fe.multiply(halves, times, result=fmt).codes
        for operation in ("fmod", "ieee_remainder"):
            assert_operates(operation, (x, y), (fmt, fmt), fmt, profile(fmt))


def test_subnormal_operands_may_be_zero():
    fmt = fe.dtype("float8_e5m2")
    rules = profile(fmt, subnormals_in="zero")
    few = np.random.default_rng(1).choice(1 << 16, 3000, replace=False)
    x, y = (codes[few] for codes in pairs(fmt))
    for operation in BINARY:
        assert_operates(operation, (x, y), (fmt, fmt), fmt, rules)
    assert_operates("logb", (x,), (fmt,), fmt, rules)


@pytest.mark.parametrize("mode", [fe.Stochastic("A", 4), fe.Stochastic("B", 3), fe.Stochastic("C", 2)], ids=str)
def test_stochastic_rounding_to_integers(mode):
    fmt = fe.dtype("float8_e3m4")
    codes = np.repeat(np.arange(112, dtype=np.uint8), 1 << mode.bits)  # finite and not negative
    randoms = np.tile(np.arange(1 << mode.bits), 112)
    found = fe.round_to_integral(fe.Array(codes, fmt), rounding=mode, random_bits=randoms)
    expected = []
    for code, random in zip(codes.tolist(), randoms.tolist(), strict=True):
        number = spec.decode(code, fmt)
        integer, rest = divmod(number.significand << 10, 1 << (10 - number.exponent))
        unit = 1 << (10 - number.exponent)
        integer += rest and stochastic_up(rest, unit, mode, random)
        expected.append(integer if integer < 16 else math.inf)
    np.testing.assert_array_equal(found.values, expected)


@pytest.mark.parametrize("mode", ["nearest_even", "toward_zero", "toward_positive", "away_from_zero"])
@pytest.mark.parametrize("target", ["int8", "uint8", "int32", "uint64", "q3.4"])
@pytest.mark.parametrize("source", ["float8_e5m2", "float16", "float64", "int16"])
def test_conversions_to_integers(source, target, mode):
    """Values by the specification; flags from exact integers (IEEE 754-2019 clause 5.8)."""
    fmt, into = fe.dtype(source), fe.dtype(target)
    codes = some(fmt, 300, 4)
    rules = profile(into, rounding=mode)
    assert_operates("convert", (codes,), (fmt,), into, rules)
    for exact in (True, False):
        found, flags = fe.convert(fe.Array(codes, fmt), into, rounding=mode, exact=exact, return_flags=True)
        assert found.format == into
        for code, bits in zip(codes.tolist(), flags.bits.tolist(), strict=True):
            number = spec.decode(code, fmt)
            if number.kind != "finite":
                assert bits == 16
                continue
            unit = 1 << max(-number.exponent - into.fraction_bits, 0)
            scaled = number.significand << max(number.exponent + into.fraction_bits, 0)
            integer, rest = divmod(scaled, unit)
            integer += goes_up(mode, number.negative, integer % 2 == 1, 2 * rest, unit)
            integer = -integer if number.negative else integer
            if not into.min_int <= integer <= into.max_int:
                assert bits == (16 if fmt.kind == "float" else 4 + exact)
            else:
                assert bits == (1 if rest and exact else 0)


@pytest.mark.parametrize("name", ["int8", "uint8", "q3.12", "int64", "uint64"])
def test_shifts(name):
    """Against Python's integers: saturating, wrapping, rounding, up to where nothing is left."""
    fmt = fe.dtype(name)
    codes = some(fmt, 60, 1)
    integers = [fmt.scaled(code)[0] for code in codes.tolist()]
    counts = np.array([0, 1, 3, 7, 8, 31, 63, 64, 70, 200, 1 << 40])
    array = fe.Array(codes[:, None], fmt)

    def ints(x):
        return [[fmt.scaled(code)[0] for code in row] for row in x.codes.tolist()]

    reach = np.minimum(counts, 300).tolist()
    wrapped = [[(i << n) % (1 << fmt.bits) for n in reach] for i in integers]
    assert fe.left_shift(array, counts, overflow="wrap").codes.tolist() == wrapped
    saturated = [[max(fmt.min_int, min(fmt.max_int, i << n)) for n in reach] for i in integers]
    found, flags = fe.left_shift(array, counts, return_flags=True)
    assert ints(found) == saturated
    assert flags.overflow.tolist() == [[not fmt.min_int <= i << n <= fmt.max_int for n in reach] for i in integers]
    found, flags = fe.right_shift(array, counts, return_flags=True)
    assert ints(found) == [[i >> n for n in reach] for i in integers]
    assert flags.inexact.tolist() == [[i % (1 << n) != 0 for n in reach] for i in integers]
    found = fe.right_shift(array, counts, rounding="nearest_away")
    away = [[(abs(i) + (1 << n >> 1) >> n) * (1 if i > 0 else -1) for n in reach] for i in integers]
    assert ints(found) == away


@pytest.mark.parametrize("rule", ["wrap", "saturate"])
def test_multiply_accumulate_in_fixed_point(rule):
    """Q3.12 by Q3.12 into accumulators of 24 and 40 bits and back, against integers."""
    fmt = fe.dtype("q3.12")
    wide = [fe.IntFormat("q.24", 40, fraction_bits=24), fe.IntFormat("q.12", 24, fraction_bits=12)]
    for target, mode in itertools.product([*wide, fmt], ("nearest_even", "toward_negative", "nearest_away")):
        operands = some(fmt, 200, 1), some(fmt, 200, 2), some(wide[0], 200, 3)
        rules = profile(target, overflow=rule, rounding=mode)
        assert_operates("fma", operands, [fmt, fmt, wide[0]], target, rules)
        expected = []
        for x, y, z in zip(*(c.tolist() for c in operands), strict=True):
            total = fmt.scaled(x)[0] * fmt.scaled(y)[0] + wide[0].scaled(z)[0]
            unit = 1 << (24 - target.fraction_bits)
            integer, rest = divmod(abs(total), unit)
            integer += goes_up(mode, total < 0, integer % 2 == 1, 2 * rest, unit)
            integer = -integer if total < 0 else integer
            if rule == "saturate":
                integer = max(target.min_int, min(target.max_int, integer))
            expected.append(integer % (1 << target.bits))
        arrays = [fe.Array(c, f) for c, f in zip(operands, [fmt, fmt, wide[0]], strict=True)]
        assert fe.fma(*arrays, result=target, profile=rules).codes.tolist() == expected


COMPARED = {"equal": (0,), "not_equal": (-1, 1, None), "less": (-1,), "less_equal": (-1, 0), "greater": (1,)}
COMPARED |= {"greater_equal": (0, 1), "unordered": (None,)}
QUIET = ("equal", "not_equal", "unordered")


@pytest.mark.parametrize(
    "names",
    [
        ("float8_e4m3fn", "float8_e5m2"),
        ("float8_e4m3fnuz", "float6_e2m3fn"),
        ("float16", "bfloat16"),
        ("float32", "float64"),
        ("int64", "float64"),
        ("uint64", "int8"),
        ("q3.12", "float8_e8m0fnu"),
    ],
    ids=str,
)
def test_comparisons(names):
    """Between formats, exact; flags for NaN."""
    formats = [fe.dtype(name) for name in names]
    if all(fmt.bits <= 8 for fmt in formats):
        left, right = (np.arange(fmt.code_count, dtype=fmt.code_dtype) for fmt in formats)
        x, y = np.repeat(left, right.size), np.tile(right, left.size)
    else:
        x, y = (some(fmt, 600, i) for i, fmt in enumerate(formats))
        near = fe.encode(fe.Array(x[:200], formats[0]), formats[1])  # equal, or next to it
        y[:200] = near + np.arange(200, dtype=near.dtype) % near.dtype.type(2)
    found = []
    for codes in zip(x.tolist(), y.tolist(), strict=True):
        numbers = [spec.decode(code, fmt) for code, fmt in zip(codes, formats, strict=True)]
        signals = any(n.payload and n.payload[0] < 1 << (n.payload[1] - 1) for n in numbers)
        found.append((None if any(n.kind == "nan" for n in numbers) else order(*numbers), signals))
    left, right = fe.Array(x, formats[0]), fe.Array(y, formats[1])
    for name, wanted in COMPARED.items():
        result, flags = getattr(fe, name)(left, right, return_flags=True)
        assert result.dtype == np.bool_
        assert result.tolist() == [kind in wanted for kind, _ in found]
        invalid = [signals if name in QUIET else kind is None for kind, signals in found]
        assert flags.bits.tolist() == [16 * raised for raised in invalid]


@pytest.mark.parametrize("name", ["float8_e4m3fn", "float8_e5m2", "float6_e2m3fn", "float8_e4m3fnuz", "int8"])
def test_total_order(name):
    """The order of sign and magnitude, as which each pair of codes stands."""
    fmt = fe.dtype(name)
    x, y = pairs(fmt)
    half = 1 << (fmt.bits - 1)
    keys = np.arange(fmt.code_count)
    keys = (keys + half) % fmt.code_count if name == "int8" else np.where(keys < half, keys, half - 1 - keys)
    if name.endswith("fnuz"):
        keys[half] = half  # its NaN has no sign
    np.testing.assert_array_equal(fe.total_order(fe.Array(x, fmt), fe.Array(y, fmt)), keys[x] <= keys[y])
    if name != "int8":
        magnitudes = np.where(keys < 0, -1 - keys, keys)
        by_magnitude = fe.total_order_magnitude(fe.Array(x, fmt), fe.Array(y, fmt))
        np.testing.assert_array_equal(by_magnitude, magnitudes[x] <= magnitudes[y])


def test_total_order_between_formats():
    wide, narrow = fe.Array([0x7FC00000, 0x7F800001, 0xFFC00000], "float32"), fe.Array([0x7E00], "float16")
    assert fe.total_order(wide, narrow).tolist() == [True, True, True]
    assert fe.total_order(narrow, wide).tolist() == [True, False, False]
    assert not fe.total_order(fe.array(1.0, "float16"), 1 - 2**-40)
    _, flags = fe.total_order(wide, wide, return_flags=True)
    assert not flags.bits.any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_cpu(dtype):
    """The CPU's, numpy's and Python's own."""
    fmt = fe.dtype(dtype)
    x, y = (some(fmt, 20_000, seed).view(dtype) for seed in (1, 2))
    same = np.testing.assert_array_equal
    with np.errstate(all="ignore"):
        same(fe.fmod(x, y, result=dtype), np.fmod(x, y))
        for mode, function in {
            "nearest_even": np.rint,
            "toward_zero": np.trunc,
            "toward_positive": np.ceil,
            "toward_negative": np.floor,
        }.items():
            ours = fe.round_to_integral(x, rounding=mode)
            same(ours, function(x))
            same(np.signbit(ours), np.signbit(function(x)) & ~np.isnan(x))
        n = np.random.default_rng(1).integers(-2000, 2000, x.size)
        same(fe.scaleb(x, n), np.ldexp(x, n))
        finite = np.isfinite(x) & (x != 0)
        same(fe.logb(x[finite]), np.frexp(x[finite])[1] - 1)
        for name in ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal"):
            same(getattr(fe, name)(x, y), getattr(np, name)(x, y))
        bits = fmt.code_dtype
        for name in ("absolute", "negative"):
            same(getattr(fe, name)(fe.Array(x.view(bits), fmt)).codes, getattr(np, name)(x).view(bits))
        copied = fe.copysign(fe.Array(x.view(bits), fmt), fe.Array(y.view(bits), fmt)).codes
        same(copied, np.copysign(x, y).view(bits))
    numbers = np.isfinite(x) & (y != 0) & ~np.isnan(y)
    x, y = x[numbers][:5000], y[numbers][:5000]
    ours = fe.ieee_remainder(x, y, result=dtype)
    theirs = np.array([math.remainder(a, b) for a, b in zip(x.tolist(), y.tolist(), strict=True)])
    same(ours, theirs)
    same(np.signbit(ours), np.signbit(theirs))


SIGNED = ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float6_e2m3fn", "int8"]


@pytest.mark.parametrize("name", SIGNED)
def test_signs(name):
    """Bits alone where there is a sign bit; two's complement by its values."""
    fmt = fe.dtype(name)
    x, y = pairs(fmt)
    half = 1 << (fmt.bits - 1)
    flags = []
    for operation, wanted in (("negative", x < half), ("absolute", x < 0), ("copysign", y >= half)):
        operands = [fe.Array(x, fmt), fe.Array(y, fmt)][: 1 + (operation == "copysign")]
        found, raised = getattr(fe, operation)(*operands, return_flags=True)
        if name == "int8":
            magnitude = np.abs(x.view(np.int8).astype(int))
            expected = np.minimum(np.where(wanted, -magnitude, magnitude), 127)
            np.testing.assert_array_equal(found.values, expected)
            np.testing.assert_array_equal(raised.overflow, (magnitude == 128) & ~wanted)
            continue
        expected = np.where(wanted, x | half, x & (half - 1))
        if name.endswith("fnuz"):
            expected = np.where(x & (half - 1) == 0, x, expected)
            wanted_nan = y == half
            if operation == "copysign":  # a NaN without a sign counts as positive
                expected = np.where(wanted_nan, np.where(x == half, x, x & (half - 1)), expected)
        np.testing.assert_array_equal(found.codes, expected)
        flags.append(raised.bits)
    assert not np.concatenate([*flags, [0]]).any()


@pytest.mark.parametrize("mode", ["nearest_even", "toward_zero", "toward_positive"])
def test_some_halves_of_64_digits(mode):
    """Fixed point whose last of 64 bits is a half."""
    fmt = fe.dtype("uq63.1")
    codes = np.array([1, 2, 3, 2**62 + 1, 2**63 + 1, 2**63 + 3, 2**64 - 3], np.uint64)
    rounded = {
        "nearest_even": lambda n: n // 2 + (n % 2 and n // 2 % 2),
        "toward_zero": lambda n: n // 2,
        "toward_positive": lambda n: (n + 1) // 2,
    }
    found = fe.round_to_integral(fe.Array(codes, fmt), rounding=mode)
    assert found.codes.tolist() == [2 * rounded[mode](n) for n in codes.tolist()]

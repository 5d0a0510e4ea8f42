"""Elementary functions against MPFR: digits of their values, and what they are rounded to; with flags."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest

import fpemu as fe
from fpemu.arithmetic.elementary import tables
from fpemu.kernels import columns
from fpemu.kernels.spec import NO_RULES
from tests.kernels.test_arithmetic import some
from tests.oracle import mpfr, spec
from tests.oracle.compare import DETERMINISTIC, assert_same_codes, profile
from tests.oracle.spec_arithmetic import rounded
from tests.oracle.spec_values import read

KINDS = {"infinite": columns.INFINITE, "nan": columns.NOT_A_NUMBER}


def oracle(name, operands, formats, subnormals="keep"):
    """Values by MPFR, to be rounded: (numbers, flags)."""
    found = []
    for codes in zip(*(c.tolist() for c in operands), strict=True):
        given = [read(spec.decode(code, fmt), subnormals) for code, fmt in zip(codes, formats, strict=True)]
        found.append(mpfr.power(*given) if name == "pow" else mpfr.evaluate(name, *given))
    return [number for number, _ in found], [flags for _, flags in found]


def divided(name, numbers, flags, rules):
    """Values under the rule on divisions by zero: NaN where `division_by_zero` says so."""
    if rules.division_by_zero.value == "nan" and name in ("reciprocal", "rsqrt"):
        return [spec.Number("nan", False) if f & 8 else n for n, f in zip(numbers, flags, strict=True)]
    return numbers


def assert_function(name, operands, formats, target, rules, random_bits=None):
    """Fpemu gives MPFR's values, rounded by the specification, and the flags."""
    numbers, flags = oracle(name, operands, formats, rules.subnormals_in.value)
    numbers = divided(name, numbers, flags, rules)
    codes, flags = rounded(numbers, flags, target, rules.replace(subnormals_in="keep"), random_bits)
    arrays = [fe.Array(c, fmt) for c, fmt in zip(operands, formats, strict=True)]
    more = {} if random_bits is None else {"random_bits": random_bits}
    actual, found = getattr(fe, name)(*arrays, result=target, profile=rules, return_flags=True, **more)
    assert actual.format == target
    assert_same_codes(actual.codes.astype(np.uint64), codes, np.arange(codes.size), target, f"{name}, {rules}")
    if flags is not None:
        wrong = np.flatnonzero(found.bits != flags)
        first = wrong[:3].tolist()
        assert not first, [(name, [hex(c[i]) for c in operands], found.bits[i], flags[i], rules) for i in first]


def every(fmt):
    """All codes of a format."""
    return np.arange(fmt.code_count, dtype=fmt.code_dtype)


def row(number, flags):
    """A value of MPFR's as a table of exact values has it; what is too far away only by its sign."""
    kind = KINDS.get(number.kind, columns.NUMBER if number.significand else columns.ZERO)
    what = kind | flags << columns.FLAGS | columns.MINUS_SIGN * (number.negative and number.kind != "nan")
    if kind != columns.NUMBER:
        return what, 0, 0, 0
    size = number.significand.bit_length()
    kept, rest = divmod(number.significand << 128, 1 << size)
    top = number.exponent + size - 1
    if abs(top) > mpfr.FAR // 2:
        return what, top > 0, 0, 0
    return what | columns.MORE * (rest != 0), top & (1 << 64) - 1, kept >> 64, kept & (1 << 64) - 1


def assert_digits(name, formats, numbers, flags):
    """Fpemu's exact values are MPFR's, to 128 digits and whether more follow."""
    values = tables._exact_values(name, formats, NO_RULES)
    values.fill(np.arange(values.known.size))
    rows = values.rows.copy()
    tops = rows[:, columns.EXPONENT].view(np.int64)
    far = np.abs(tops) > mpfr.FAR // 2
    rows[far, columns.STATUS] &= np.uint64(~columns.MORE & 0xFF)
    rows[far, columns.EXPONENT] = tops[far] > 0
    rows[far, columns.HIGH :] = 0
    expected = np.array([row(*value) for value in zip(numbers, flags, strict=True)], np.uint64)
    wrong = np.flatnonzero((rows != expected).any(1))
    assert not wrong.size, (name, [hex(i) for i in wrong[:3]], rows[wrong[:3]], expected[wrong[:3]])


def to_odd(number, digits, quantum):
    """A number as a float64 of `digits` digits, none below 2^quantum, the last one set where anything is lost."""
    sign = -1.0 if number.negative else 1.0
    if number.kind != "finite":
        return sign * math.inf if number.kind == "infinite" else math.nan
    cut = max(number.significand.bit_length() - digits, quantum - number.exponent)
    if cut <= 0:
        return sign * math.ldexp(number.significand, number.exponent)
    kept, rest = divmod(number.significand, 1 << cut)
    if number.exponent + cut > 1000:
        return sign * 2.0**1000
    return sign * math.ldexp(kept | (rest != 0), number.exponent + cut)


@pytest.mark.parametrize("name", mpfr.FUNCTIONS)
@pytest.mark.parametrize("format_name", ["float16", "bfloat16"])
def test_every_16_bit_operand(format_name, name):
    """Each value's digits, and the results to nearest even as numpy or ml_dtypes round MPFR's."""
    fmt = fe.dtype(format_name)
    numbers, flags = oracle(name, [every(fmt)], [fmt])
    assert_digits(name, (fmt,), numbers, flags)
    # Rounded to odd with two digits more than float16 or bfloat16 have, then to nearest even: as rounded once.
    digits, quantum, dtype = {"float16": (24, -30, np.float16), "bfloat16": (24, -149, ml_dtypes.bfloat16)}[format_name]
    with np.errstate(over="ignore"):
        exact = np.array([to_odd(number, digits, quantum) for number in numbers]).astype(np.float32)
        expected = exact.astype(dtype)
    found = getattr(fe, name)(fe.Array(every(fmt), fmt)).codes
    nan = np.isnan(exact)
    np.testing.assert_array_equal(found[~nan], expected.view(np.uint16)[~nan])
    assert (found[nan] == fmt.nan_code).all()


NARROW = [
    *("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e8m0fnu", "float6_e3m2fn", "float4_e2m1fn"),
    *("binary8p3se", "float8_e5m3fnu", "int8", "uint8", "q3.4"),
]


@pytest.mark.parametrize("name", [*mpfr.FUNCTIONS, "pow"])
def test_functions_of_narrow_formats(name):
    """Every code of formats with and without infinities, NaN, zeros, signs; all modes, taking turns."""
    for i, format_name in enumerate(NARROW):
        fmt = fe.dtype(format_name)
        operands = [every(fmt)]
        if name == "pow":
            chosen = np.random.default_rng(i).integers(0, fmt.code_count, (2, 500))
            operands = list(chosen.astype(fmt.code_dtype))
        for mode in ("nearest_even", DETERMINISTIC[1 + i % 9], DETERMINISTIC[1 + (i + 4) % 9]):
            rules = profile(fmt, rounding=mode)
            assert_function(name, operands, [fmt] * len(operands), fmt, rules)


TARGETS = ["float32", "float64", "float16", "bfloat16", "float8_e4m3fn", "float8_e8m0fnu", "int16", "q3.12", "uint8"]


@pytest.mark.parametrize("name", mpfr.FUNCTIONS)
@pytest.mark.parametrize("format_name", ["float32", "float64", "float24_e7m16f", "int32", "q15.16"])
def test_functions_of_wide_formats(format_name, name):
    """Operands that have no table: of all kinds, and numbers around 1; to three targets, all modes taking turns."""
    fmt = fe.dtype(format_name)
    near = fe.encode(np.random.default_rng(2).uniform(-8, 8, 100), fmt)
    codes = np.concatenate([some(fmt, 100, 1), near]).astype(fmt.code_dtype)
    for i, target in enumerate(map(fe.dtype, (fmt.name, "bfloat16", "float64"))):
        for mode in DETERMINISTIC[i::3]:
            assert_function(name, [codes], [fmt], target, profile(target, rounding=mode))


@pytest.mark.parametrize("name", mpfr.FUNCTIONS)
def test_functions_to_other_formats(name):
    """Wider and narrower results, under every mode."""
    rng = np.random.default_rng(5)
    for i, target in enumerate(map(fe.dtype, TARGETS)):
        for source in map(fe.dtype, ("float16", "bfloat16", "int16", "q3.12")):
            codes = rng.integers(0, 1 << source.bits, 40, dtype=np.uint16)
            for mode in (DETERMINISTIC[i], DETERMINISTIC[-1 - i]):
                assert_function(name, [codes], [source], target, profile(target, rounding=mode))


@pytest.mark.parametrize("name", [*mpfr.FUNCTIONS, "pow"])
def test_functions_of_subnormals(name):
    """Subnormal operands as zeros; subnormal results; tiny before rounding."""
    for format_name in ("float8_e5m2", "float8_e4m3fnuz", "uint8"):
        fmt = fe.dtype(format_name)
        operands = [every(fmt)] if name != "pow" else [every(fmt), np.roll(every(fmt), 77)]
        into = fe.dtype("float8_e5m2")
        rules = profile(into, subnormals_in="zero", tininess="before")
        assert_function(name, operands, [fmt] * len(operands), into, rules)
    codes = np.arange(0x80, 0x100, dtype=np.uint8)  # negative numbers: tiny exponentials
    fmt = fe.dtype("float8_e5m2")
    flushed = {"subnormals_out": "flush_tiny"}
    for knobs in ({"tininess": "before"}, {"tininess": "after"}, flushed, {**flushed, "flush_flags": "underflow"}):
        rules = profile(fmt, **knobs)
        assert_function(name, [codes] * (1 + (name == "pow")), [fmt] * (1 + (name == "pow")), fmt, rules)


@pytest.mark.parametrize("mode", [fe.Stochastic("A", 8), fe.Stochastic("B", 32), fe.Stochastic("C", 5)], ids=str)
@pytest.mark.parametrize("name", [*mpfr.FUNCTIONS, "pow"])
def test_stochastic_functions(name, mode):
    """With random integers from outside; and the stream's do not depend on pieces."""
    fmt = fe.dtype("float8_e4m3fn")
    operands = [every(fmt)] if name != "pow" else [every(fmt), np.roll(every(fmt), 33)]
    randoms = np.random.default_rng(3).integers(0, 1 << mode.bits, 256, dtype=np.uint64)
    for target in map(fe.dtype, ("float8_e4m3fn", "float32", "int16")):
        rules = profile(target, rounding=mode)
        assert_function(name, operands, [fmt] * len(operands), target, rules, randoms)
    function, arrays = getattr(fe, name), [fe.Array(codes, fmt) for codes in operands]
    whole = function(*arrays, rounding=mode, rng=5).codes
    tail = function(*(fe.Array(a.codes[20:], fmt) for a in arrays), rounding=mode, rng=5, rng_offset=20)
    np.testing.assert_array_equal(tail.codes, whole[20:])
    given = function(*arrays, rounding=mode, random_bits=randoms).codes
    assert not np.array_equal(given, whole)  # the stream is not those integers


@pytest.mark.parametrize("format_name", ["float8_e4m3fn", "float8_e5m2"])
def test_every_power(format_name):
    """Every pair of codes: digits, results to nearest even, flags."""
    fmt = fe.dtype(format_name)
    operands = [np.repeat(every(fmt), 256), np.tile(every(fmt), 256)]
    numbers, flags = oracle("pow", operands, [fmt, fmt])
    assert_digits("pow", (fmt, fmt), numbers, flags)
    codes, flags = rounded(numbers, flags, fmt, fmt.profile)
    found, raised = fe.pow(*(fe.Array(c, fmt) for c in operands), return_flags=True)
    np.testing.assert_array_equal(found.codes, codes)
    np.testing.assert_array_equal(raised.bits, flags)


MIXED = [("uint8", "float8_e8m0fnu"), ("float8_e8m0fnu", "float8_e5m2"), ("int8", "int8"), ("float4_e2m1fn", "q3.4")]


@pytest.mark.parametrize("names", MIXED, ids=str)
def test_powers_of_mixed_formats(names):
    formats = [fe.dtype(name) for name in names]
    rng = np.random.default_rng(1)
    operands = [rng.integers(0, fmt.code_count, 300).astype(fmt.code_dtype) for fmt in formats]
    for target, mode in (("float32", "nearest_even"), ("float16", "to_odd"), ("int16", "away_from_zero")):
        assert_function("pow", operands, formats, fe.dtype(target), profile(fe.dtype(target), rounding=mode))

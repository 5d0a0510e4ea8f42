"""Every core and loop of fpemu.kernels by itself, beside plain integers and the specification.

Few sources, chosen where cores decide: `tests.proofs.mutants` runs this module once for every mutant of a kernel.
"""

from __future__ import annotations

import functools
import itertools
from fractions import Fraction

import numba
import numpy as np
import pytest

import fpemu as fe
from fpemu.casting.lowering import ROUNDING_NUMBERS, lower_rules
from fpemu.casting.thresholds import codebook
from fpemu.kernels.cpu import general as general_module
from fpemu.kernels.cpu import lookup
from fpemu.kernels.scalar import bits, convert, random_bits, rounding
from fpemu.kernels.spec import INEXACT, OVERFLOW, TINY_AFTER, TINY_BEFORE
from tests.cases import grids, number_sources
from tests.oracle import spec
from tests.oracle.compare import DETERMINISTIC, MODES, Sources, assert_same_codes, profile

ONES = (1 << 64) - 1
WORDS = [0, 1, 2, 3, 5, (1 << 63) - 1, 1 << 63, (1 << 63) + 1, ONES, 0x0123456789ABCDEF, 0xF000000000000001, 6 << 60]


# -- rounding: plain Python, exact ------------------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [*range(0, 132)])
def test_shift_right_jam(shift):
    for high, low, sticky in itertools.product(WORDS[::2], WORDS, (False, True)):
        kept, rest = divmod(high << 64 | low, 1 << shift)
        expected = kept >> 64, kept & ONES, sticky or rest != 0
        for jam in (rounding.shift_right_jam.py_func, rounding.shift_right_jam):  # as plain Python, and compiled
            assert jam(np.uint64(high), np.uint64(low), sticky, shift) == expected


FRACTIONS = [*WORDS, (1 << 63) + 2, 1 << 62, 1 << 31, (1 << 32) - 1, 1 << 32, 3 << 31, 3 << 62, ONES - 1]


@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("mode", DETERMINISTIC)
def test_rounds_up(mode, negative):
    fmt = fe.dtype("float8_e4m3fn")
    into = spec.target(fmt, profile(fmt, rounding=mode))
    for fraction, sticky, odd in itertools.product(FRACTIONS, (False, True), (False, True)):
        part, half = 2 * fraction + sticky, 1 << 64
        place = spec.EXACT if not part else spec.TIE if part == half else spec.BELOW if part < half else spec.ABOVE
        expected = into.goes_up(spec.Case("finite", negative, 1 if odd else 2, place))
        number = ROUNDING_NUMBERS[fe.Rounding(mode)]
        actual = rounding.rounds_up.py_func(odd, np.uint64(fraction), sticky, negative, number, 0, np.uint64(0))
        assert bool(actual) == expected, (fraction, sticky, odd)


@pytest.mark.parametrize("count", [1, 2, 5, 8, 31, 32])
@pytest.mark.parametrize("variant", "ABC")
def test_rounds_up_by_chance(variant, count):
    mode = fe.Stochastic(variant, count)
    fmt = fe.dtype("float8_e4m3fn")
    number = lower_rules(fmt, profile(fmt, rounding=mode), False)[0]
    steps = {(n << 64 >> count) + d & ONES for n in (0, 1, 2, 3, (1 << count) - 1) for d in (-1, 0, 1, 1 << 63 - count)}
    for fraction, sticky in itertools.product([*FRACTIONS, *steps], (False, True)):
        if not fraction and not sticky:
            continue
        least = (1 << count) - (fraction >> 64 - count)
        tried = {0, 1, 2, (1 << count) - 1, (1 << count) - 2, least, least - 1, least - 2}
        for random in (n for n in tried if 0 <= n < 1 << count):
            part = (fraction << 1 | sticky), 1 << 65
            actual = rounding.rounds_up.py_func(
                False, np.uint64(fraction), sticky, False, number, count, np.uint64(random)
            )
            assert bool(actual) == spec.stochastic_up(*part, mode, random), (fraction, sticky, random)


# -- bits and the stream ----------------------------------------------------------------------------------------------


def test_bit_length():
    for word in [*WORDS, *(1 << n for n in range(64))]:
        assert bits.bit_length(np.uint64(word)) == word.bit_length()


@numba.njit
def bit_helpers(x, count, out):
    out[0] = bits.shifted_left(x, count)
    out[1] = bits.shifted_right(x, count)
    out[2] = bits.like(x, x + x)
    out[3] = bits.leading_zeros(x)
    out[4] = bits.bits_of(-bits.float_of(x))


@pytest.mark.parametrize("width", [32, 64])
def test_bit_helpers(width):
    dtype = np.dtype(f"u{width // 8}")
    mask = (1 << width) - 1
    for word, count in itertools.product([1, 3, 0x12345678, mask >> 4, 0x3F800000], [0, 1, width - 1]):
        out = np.zeros(5, dtype)
        bit_helpers(dtype.type(word), dtype.type(count), out)
        sign = 1 << (width - 1)
        expected = [word << count & mask, word >> count, 2 * word & mask, width - word.bit_length(), word ^ sign]
        assert out.tolist() == expected


@numba.njit
def to_halves(x, out):
    for i in range(x.size):
        out[i] = bits.half_of(x[i])


@pytest.mark.skipif(not bits.converts_halves(), reason="this CPU has no conversion to float16")
def test_bit_half_of():
    halves = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)  # all finite ones
    ties = (halves[1:] + halves[:-1]) / 2
    x = np.concatenate([halves, ties, np.nextafter(ties, np.float32(0)), np.nextafter(ties, np.float32(1e5)), [65520]])
    x = np.concatenate([x, -x, [np.inf, -np.inf]]).astype(np.float32)
    out = np.zeros(x.size, np.uint16)
    to_halves(x, out)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(out, x.astype(np.float16).view(np.uint16))


@pytest.mark.parametrize("machine", ["x86_64", "AMD64", "aarch64", "arm64", "riscv64"])
@pytest.mark.parametrize("has", [False, True])
def test_bit_converts_halves(machine, has, monkeypatch):
    """By the CPU's own account, and only where code is compiled for this CPU."""
    monkeypatch.setattr(bits.platform, "machine", lambda: machine)
    monkeypatch.setattr(bits.binding, "get_host_cpu_features", lambda: {"f16c": has, "avx2": True})
    arm = machine in ("aarch64", "arm64")
    for name, value in (("CPU_NAME", None), ("CPU_FEATURES", None), ("ENABLE_AVX", True)):
        monkeypatch.setattr(bits.config, name, value)
    assert bits.converts_halves() == (arm or has)
    for name, value in (("CPU_NAME", "generic"), ("CPU_FEATURES", "+sse2"), ("ENABLE_AVX", False)):
        with monkeypatch.context() as patch:
            patch.setattr(bits.config, name, value)
            assert bits.converts_halves() == arm
    monkeypatch.setattr(bits.config, "CPU_NAME", "host")
    assert bits.converts_halves() == (arm or has)


def expected_word(key, index):
    """splitmix64's finaliser gives two keys of 32 bits; triple32 is keyed with them."""
    high, x = divmod(index, 1 << 32)
    z = (key + (high + 1) * 0x9E3779B97F4A7C15) & ONES
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ z >> shift) * factor & ONES
    z ^= z >> 31
    x ^= z & 0xFFFFFFFF
    for shift, factor, added in ((17, 0xED5AD4BB, z >> 32), (11, 0xAC4C1B51, 0), (15, 0x31848BAB, 0)):
        x = (x ^ x >> shift) * factor + added & 0xFFFFFFFF
    return x ^ x >> 14


@functools.lru_cache(maxsize=8)
def words(key, first, size):
    """The stream's words from a place on."""
    return np.array([expected_word(key, first + i) for i in range(size)], np.uint32)


INDICES = [0, 1, 2, 0xFFFFFFFF, 1 << 32, (1 << 32) + 1, (5 << 32) + 77, (1 << 63) - 1]


def test_random_words():
    for key, index in itertools.product([0, 1, ONES, 0x0123456789ABCDEF], INDICES):
        assert random_bits.random_word(np.uint64(key), np.uint64(index)) == expected_word(key, index)


# -- the general kernel -----------------------------------------------------------------------------------------------

NONE = np.empty(0, np.uint32)


def general(codes, source, target, rules, randoms=NONE, key=0, first=0):
    """Codes to codes by `convert_array`, all in uint64, so that it is compiled once."""
    out = np.empty(codes.size, np.uint64)
    numbers = lower_rules(target, rules.for_codes(target.codes_key), getattr(source, "nan", "") == "ieee")
    general_module.convert_array(
        codes.astype(np.uint64), source.spec, target.spec, numbers, randoms, np.uint64(key), np.uint64(first), out
    )
    return out


def assert_converts(given, rules):
    """The general kernel's codes are the specification's."""
    random = given.random_bits(rules)
    actual = general(given.x, given.source, given.fmt, rules, NONE if random is None else random)
    assert_same_codes(actual, given.codes(rules), given.x, given.fmt, rules)


PLAIN = [
    *map(fe.dtype, ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e8m0fnu", "float4_e2m1fn", "float32"]),
    *map(fe.dtype, ["int8", "uint8", "uint1", "int64", "uint64", "q3.12", "binary8p1se", "binary8p1uf", "float64"]),
    *(fmt for fmt in grids.ODD_FORMATS if fmt.kind != "table"),
]


FLOAT64 = fe.dtype("float64")


def doubles(fmt, x):
    """The codes of float64 numbers, to be cast to a format."""
    return Sources(x.view(np.uint64), fmt, FLOAT64)


def near(fmt, count, seed):
    """Codes of float64 about the values of a format."""
    return doubles(fmt, grids.near(fmt, np.random.default_rng(seed), count))


@pytest.mark.parametrize("fmt", PLAIN, ids=str)
def test_general_kernel(fmt):
    """Every mode near the values of the format."""
    x = near(fmt, 40, 1)
    for mode in MODES:
        assert_converts(x, profile(fmt, rounding=mode))


@pytest.mark.parametrize("fmt", PLAIN, ids=str)
def test_general_kernel_knobs(fmt):
    x = near(fmt, 24, 2)
    modes = ("nearest_even", "away_from_zero", "toward_negative")
    knobs = [{knob: word} for knob, words in grids.KNOBS.items() if knob != "through" for word in words]
    for mode, turned in itertools.product(modes, knobs):
        rules = profile(fmt, rounding=mode, **turned)
        if rules is not None:
            assert_converts(x, rules)


@pytest.mark.parametrize("fmt", PLAIN, ids=str)
def test_general_kernel_from_codes(fmt):
    """Every kind of source: into itself, into float64 and into integers."""
    codes = grids.codes(fmt, np.random.default_rng(3), 80)
    for target in (fmt, fe.dtype("float64"), fe.dtype("float8_e5m2"), fe.dtype("int8")):
        zero = {"subnormals_in": "zero"} if fmt.kind == "float" else {}  # plans never ask it of integers
        given = Sources(codes, target, fmt)
        for knobs in ({}, zero, {"rounding": "to_odd"}):
            assert_converts(given, profile(target, **knobs))


@pytest.mark.parametrize("target", ["float8_e5m2", "bfloat16", "float64", "float8_e3m4"])
def test_general_kernel_nan_payloads(target):
    fmt = fe.dtype(target)
    for name in ("float64", "float16", "float8_e5m2"):
        source = fe.dtype(name)
        field = ((1 << source.exponent_bits) - 1) << source.trailing_bits
        payloads = [0, *(1 << i for i in range(source.trailing_bits)), (1 << source.trailing_bits) - 1]
        codes = [field | payload | sign for payload in payloads for sign in (0, source.sign_mask)]
        given = Sources(np.array(codes, np.uint64), fmt, source)
        for knob in ("drop", "quiet", "keep"):
            assert_converts(given, profile(fmt, nan_payload=knob))


@pytest.mark.parametrize("fmt", [*grids.formats_of_little_precision()][::5], ids=str)
def test_general_kernel_little_precision(fmt):
    """Eighths of the steps between values of formats with precision 1 and 2."""
    edges = np.array([s * 2.0**e for s, e in number_sources.magnitudes(fmt)])
    x = (edges[:-1, None] + (edges[1:] - edges[:-1])[:, None] * np.arange(8) / 8).ravel()
    x = doubles(fmt, np.concatenate([x, -x]))
    for mode in (*DETERMINISTIC, fe.Stochastic("A", 2), fe.Stochastic("C", 2)):
        assert_converts(x, profile(fmt, rounding=mode))


def test_general_kernel_of_63_digits():
    """The most digits that a float has; all finite numbers are subnormal, in quanta of 2^-61."""
    fmt = fe.dtype("e1m62")
    quanta = [1, 2, 3, 2**40 + 1, 2**61 + 1, 2**62 - 2]
    exact = [Fraction(n, 2**61) + Fraction(1, 2**70) for n in quanta]
    assert fe.encode(exact, fmt, rounding="toward_zero").tolist() == quanta
    assert fe.encode(exact, fmt, rounding="toward_positive").tolist() == [n + 1 for n in quanta]
    codes = np.empty(len(exact), np.uint64)
    _, flags = fe.convert(exact, fmt, out=codes, return_flags=True)
    assert codes.tolist() == quanta
    assert flags.underflow.all()


@pytest.mark.parametrize("name", ["int4", "uint8", "int64", "uint64", "q3.12"])
def test_general_kernel_wraps(name):
    fmt = fe.dtype(name)
    powers = np.array([2.0**n * f for n in range(-3, 70) for f in (1, 1.25, 1.5, 1.96875)])
    x = doubles(fmt, np.concatenate([powers, -powers]))
    for mode, rule in itertools.product(("toward_zero", "nearest_even"), ("standard", "zero", "magnitude")):
        rules = profile(fmt, rounding=mode, overflow="wrap", unsigned_negative=rule)
        if rules is not None:
            assert_converts(x, rules)


@pytest.mark.parametrize("mode", [fe.Stochastic("A", 8), fe.Stochastic("B", 32), fe.Stochastic("C", 1)], ids=str)
def test_general_kernel_draws_the_stream(mode):
    """Element i's integer is the top of the stream's word first + i."""
    fmt = fe.dtype("float8_e4m3fn")
    rules = profile(fmt, rounding=mode)
    x = near(fmt, 60, 4).x
    first = (1 << 32) - 50
    handed = general(x, FLOAT64, fmt, rules, words(9, first, x.size) >> (32 - mode.bits))
    np.testing.assert_array_equal(general(x, FLOAT64, fmt, rules, NONE, 9, first), handed)


@numba.njit
def encode_all(negative, tops, high, low, sticky, spec, rules, codes, flags):
    for i in range(tops.size):
        codes[i], flags[i] = convert.encode(negative, tops[i], high[i], low[i], sticky[i], spec, rules, np.uint64(0))


def unbounded(fmt):
    """A format of the same values, and of many more below and above them; codes keep their parity."""
    more = 1 << (fmt.exponent_bits + 3)
    name = f"{fmt.name}, unbounded"
    return fe.FloatFormat(name, fmt.bits + 4, fmt.precision, bias=fmt.bias + more, infinities=False, nan="none")


FLAGGED = [*map(fe.dtype, ["float8_e4m3fn", "float8_e5m2", "float4_e2m1fn", "float16", "binary8p1se", "e3m2fn"])]
FLAGGED += [fmt for fmt in grids.ODD_FORMATS if fmt.kind == "float" and fmt.bits <= 16 and fmt.signed]


@pytest.mark.parametrize("fmt", FLAGGED, ids=str)
def test_general_kernel_flags(fmt):
    """From two words and a sticky bit: the code, inexact, overflow, and tininess before and after rounding."""
    p, emin = fmt.precision, fmt.emin
    bits_ = [1 << 127, (1 << 128) - 1, 3 << 126, (1 << 127) + 1]
    for n in (p, p + 1, p - 1):  # about values and midpoints of p, p + 1 digits and of one less
        step = 1 << 128 - n if n else 1 << 127
        near_ = (k * step + d for k in (1, 2, 3, (1 << n) - 1) for d in (-1, 0, 1))
        bits_ += [x for x in near_ if x >> 127 == 1]
    exponent = fmt.scaled(fmt.max_code)[1] + fmt.scaled(fmt.max_code)[0].bit_length() - 1
    tops = {*range(emin - p - 3, emin + 4), *range(exponent - 2, exponent + 4), emin - 70, emin - 130, exponent + 70}
    words = [(top, x, sticky) for top in sorted(tops) for x in sorted(set(bits_)) for sticky in (False, True)]
    top, high, low, sticky = (
        np.array(column, dtype)
        for column, dtype in zip(
            zip(*((t, x >> 64, x & ONES, s) for t, x, s in words), strict=True),
            (np.int64, np.uint64, np.uint64, np.bool_),
            strict=True,
        )
    )
    wide = unbounded(fmt)
    codes, flags = np.empty(top.size, np.uint64), np.empty(top.size, np.int64)
    for mode, negative in itertools.product(DETERMINISTIC, (False, True)):
        rules = profile(fmt, rounding=mode)
        exact = [spec.Number("finite", negative, 2 * x + s, t - 128) for t, x, s in words]
        numbers = lower_rules(fmt, rules.for_codes(fmt.codes_key), False)
        encode_all(negative, top, high, low, sticky, fmt.spec, numbers, codes, flags)
        np.testing.assert_array_equal(codes, spec.encode(exact, fmt, rules))
        into, beyond = spec.target(fmt, rules), spec.target(wide, profile(wide, rounding=mode))
        for i, number in enumerate(exact):
            case, far = into.classify(number), beyond.classify(number)
            overflow = case.low + into.goes_up(case) > into.max_code
            tiny = number.significand.bit_length() + number.exponent <= emin
            significand, quantum = beyond.value(far.low + beyond.goes_up(far))
            still = tiny and significand.bit_length() + quantum <= emin
            expected = (
                INEXACT * (case.position != spec.EXACT or overflow)
                | OVERFLOW * overflow
                | TINY_BEFORE * tiny
                | TINY_AFTER * (still if top[i] >= emin - p - 3 else tiny)
            )
            assert flags[i] == expected, (mode, negative, words[i])


# -- tables and codebooks ---------------------------------------------------------------------------------------------


def test_take():
    table, codes = np.array([7, 8, 9], np.uint8), np.array([2, 0, 1, 2], np.uint16)
    out = np.zeros(5, np.uint8)
    lookup.take_array(table, codes, out)
    assert out.tolist() == [9, 7, 8, 9, 0]


BOOKS = [fmt for fmt in [*grids.ODD_FORMATS, fe.dtype("nf4")] if fmt.kind == "table"]


@pytest.mark.parametrize("fmt", BOOKS, ids=str)
def test_codebooks(fmt):
    given = near(fmt, 60, 5)
    x = given.x
    for mode in DETERMINISTIC:
        for knobs in ({}, {"subnormals_in": "zero"}, {"nan": "max"}, {"nan": "min"}):
            rules = profile(fmt, rounding=mode, **knobs)
            book, out = codebook(fmt, rules), np.empty(x.size, np.uint64)
            specials = np.array(book.specials, np.uint16)
            daz = rules.subnormals_in.value == "zero"
            lookup.codebook_array(
                x, FLOAT64.spec, daz, book.binades, book.digits, book.inclusive, book.codes, specials, out
            )
            assert_same_codes(out, given.codes(rules), x, fmt, rules)


def test_codebook_specials():
    """Each special source has a place of its own."""
    fmt = fe.TableFormat("two", [0, 1])
    book, out = codebook(fmt, profile(fmt)), np.empty(4, np.uint64)
    x = np.array([np.nan, -np.nan, np.inf, -np.inf]).view(np.uint64)
    specials = np.array([10, 11, 12, 13], np.uint16)
    lookup.codebook_array(x, FLOAT64.spec, False, book.binades, book.digits, book.inclusive, book.codes, specials, out)
    assert out.tolist() == [10, 11, 12, 13]

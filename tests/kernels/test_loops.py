"""Every fast loop of fpemu.kernels.cpu.fast_casts by itself, beside the specification."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

import fpemu as fe
from fpemu.casting.fast_paths import choose_loop, native, values, widening
from fpemu.casting.lowering import lower_rules
from fpemu.casting.plans import Plan, plan
from fpemu.casting.stochastic import NO_RANDOMS, Randoms
from fpemu.kernels.cpu import fast_casts
from fpemu.kernels.cpu import float_environment as float_environment_module
from tests.cases import float_environment, grids, number_sources
from tests.casting.test_cast_loops import FORMATS, OUTCOMES, exact_bits
from tests.kernels.test_kernels import NONE, words
from tests.oracle import spec
from tests.oracle.compare import DETERMINISTIC, DifferenceError, Sources, assert_same_codes, profile
from tests.proofs import exhaustive_native


def loop_rules(fmt):
    """All deterministic modes, and other outcomes."""
    rules = [profile(fmt, rounding=mode) for mode in DETERMINISTIC]
    if fmt.bits <= 16:
        modes = ("nearest_even", "toward_positive", "nearest_toward_negative")
        rules += [profile(fmt, rounding=mode, **knobs) for knobs in OUTCOMES for mode in modes]
    return [these for these in rules if these is not None]


def loop_sources(fmt, dtype):
    """Each exponent field with a few significands, and what is about the format's values."""
    few = number_sources.float32_few()[1::24] if dtype == "float32" else number_sources.float64_few()[2::31]
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan], dtype)
    return np.concatenate([grids.near(fmt, np.random.default_rng(6), 60, dtype), few, special])


def run_loop(fmt, rules, x, kind, first=0, key=0):
    """The words that a fast loop gives, as its plan calls it."""
    source = fe.dtype(x.dtype)
    work = plan(source, fmt, rules, source if kind == "values" else None)
    out = np.empty(x.size, work.out_dtype)
    work(x.view(f"u{x.itemsize}"), out, Randoms(NONE, key, first))
    return out.astype(np.uint64)


def expected_words(codes, fmt, kind, dtype):
    """Codes, or the bits of their values."""
    if kind == "codes":
        return codes
    distinct, places = np.unique(codes, return_inverse=True)
    found = [exact_bits(spec.decode(code, fmt), dtype) for code in distinct.tolist()]
    return np.array(found, np.uint64)[places]


def levels(fmt, x):
    """The places of x by what a block of them asks for: nothing beyond rounding, overflow too, everything."""
    largest = fmt.value(fmt.max_int if fmt.kind == "int" else fmt.max_code)
    magnitudes = np.where(np.isnan(x), np.inf, np.abs(x))
    order = np.argsort(magnitudes, kind="stable")
    harmless = (magnitudes[order] <= largest) & (fmt.signed | ~np.signbit(x[order]))
    return order[harmless], order[np.isfinite(magnitudes[order])], order


def blocks(*places):
    """Some blocks of each."""
    return np.concatenate([np.resize(some, 2 * fast_casts.BLOCK_SIZE) for some in places if some.size])


def pieces(fmt, x):
    """Places of x that a loop gets at a time: loops may take whole blocks, or arrays, for harmless."""
    calm, finite, every = levels(fmt, x)
    yield np.arange(x.size)
    yield calm
    yield finite
    yield blocks(calm, every, calm, finite, every[-40:], calm)
    for i in range(max(calm.size - 5, 0), min(calm.size + 5, x.size)):  # one by one about the limit
        yield every[i : i + 1]


@pytest.mark.parametrize("kind", ["codes", "values"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loop", ["addition", "shift", "uniform"])
def test_fast_loop(loop, dtype, kind):
    """What a loop gives under every rule that it takes is what the specification says."""
    tried = 0
    for fmt in FORMATS:
        given = None
        for rules in loop_rules(fmt):
            found = choose_loop(fmt, lower_rules(fmt, rules, True), fe.dtype(dtype), kind == "codes")
            if found is None or found.loop != loop:
                continue
            given = given or Sources(loop_sources(fmt, dtype), fmt)
            expected = expected_words(given.codes(rules), fmt, kind, dtype)
            for places in pieces(fmt, given.x):
                x = given.x[places]
                assert_same_codes(run_loop(fmt, rules, x, kind), expected[places], x, fmt, rules)
            tried += 1
    assert tried > 30


@float_environment.needed
@pytest.mark.parametrize("kind", ["codes", "values"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_addition_leaves_it_to_others(dtype, kind):
    """Where the FPU is unfit."""
    fmt = fe.dtype("float8_e4m3fn")
    rules, x = profile(fmt), loop_sources(fmt, dtype)
    expected = run_loop(fmt, rules, x, kind)
    for name in float_environment.CHANGED:
        with float_environment.changed(name):
            found = run_loop(fmt, rules, x, kind)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", ["codes", "values"])
@pytest.mark.parametrize("uniform", [False, True])
def test_stochastic_loop(uniform, kind):
    tried = 0
    for fmt, count in itertools.product(FORMATS, (1, 8, 23, 32)):
        rules = profile(fmt, rounding=fe.Stochastic("A", count))
        found = choose_loop(fmt, lower_rules(fmt, rules, True), fe.dtype("float32"), kind == "codes")
        if found is None or (found.loop == "uniform") != uniform:
            continue
        x = loop_sources(fmt, "float32")[::2]
        calm, _, every = levels(fmt, x)
        x = x[np.concatenate([blocks(calm), every])]
        known = spec.classify(spec.numbers(x), spec.target(fmt, rules))
        for first in (0, (3 << 32) - x.size):
            random = words(5, first, x.size) >> (32 - count)
            expected = expected_words(spec.encode(known, fmt, rules, random), fmt, kind, "float32")
            assert_same_codes(run_loop(fmt, rules, x, kind, first, 5), expected, x, fmt, rules)
        tried += 1
    assert tried >= 4


PROBE = np.array([1, 2**-24, 1 + 2**-23, 1 + 2**-22, 2**-126, 0.5, 2], np.float32)


WIDE = [fe.dtype(name) for name in ("float16", "bfloat16", "float8_e4m3fn", "float8_e5m3fnu", "e3m2fn", "e7m8", "e2m7")]


@pytest.mark.parametrize("fmt", WIDE, ids=str)
def test_widening(fmt):
    """Every code, NaN payloads included."""
    codes, float32 = np.arange(fmt.code_count, dtype=fmt.code_dtype), fe.dtype("float32")
    out = np.empty(codes.size, np.uint32)
    fast_casts.widen_array(codes, widening(fmt), out)
    rules = float32.check_profile(profile(float32, nan_payload="keep"))
    np.testing.assert_array_equal(out, Sources(codes.astype(np.uint64), float32, fmt).codes(rules))


KNOBS = [
    {},
    *OUTCOMES,
    {"rounding": "toward_zero"},
    {"subnormals_out": "flush_after"},
    {"subnormals_out": "flush_tiny"},
]
KNOBS += [{"nan_payload": rule, "nan_sign": sign} for rule in ("quiet", "keep") for sign in ("keep", "drop")]


@pytest.mark.parametrize(("source", "target", "served"), [("float64", "float32", 7), ("float32", "float64", 12)])
def test_native(source, target, served):
    """The CPU's conversions, in blocks with and without special sources; NaN payloads included."""
    wide, fmt = fe.dtype(source), fe.dtype(target)
    x = loop_sources(fmt, source)
    x = x.view(f"u{x.itemsize}")
    nans = [wide.infinity_code | payload for payload in (1, wide.nan_code & ~1, (1 << wide.trailing_bits) - 1)]
    nans = np.array(nans + [nan | wide.sign_mask for nan in nans], x.dtype)
    calm = np.full(700, fe.encode(-1.1, wide))
    given = Sources(np.concatenate([calm, x, nans]).astype(np.uint64), fmt, wide)
    tried = 0
    for knobs in KNOBS:
        rules = profile(fmt, **knobs)
        if rules is None or native(fmt, lower_rules(fmt, rules, True, True), fmt.bits < wide.bits) is None:
            continue
        found = run_loop(fmt, rules, given.x.astype(x.dtype).view(source), "codes")
        assert_same_codes(found, given.codes(rules), given.x, fmt, rules)
        tried += 1
    assert tried == served


def native_sources():
    """Float32s of every sign and exponent field: the first and the last, powers of two, some of those between."""
    ends = [*range(12), *range(-12, 0), *(1 << n for n in range(4, 23))]
    ends = np.tile(np.array(ends, np.int64) % (1 << 23), (512, 1))
    drawn = np.random.default_rng(8).integers(0, 1 << 23, (512, 20))
    fields = np.arange(512)[:, None] << 23
    return (np.concatenate([ends, drawn], 1) | fields).astype(np.uint32).ravel()


def test_native_slices():
    """Slices of what `python -m tests.proofs.exhaustive native` compares."""
    codes = native_sources()
    assert exhaustive_native.widen(codes) == 6 * codes.size
    assert exhaustive_native.narrow(codes) == 4 * (codes.size - codes.size // 256)
    fractions = codes[: codes.size // 512]  # those of the first field
    for target, served in (("float32", 28), ("float64", 46)):
        assert len(exhaustive_native.rules_of_outcomes(target)) == served
        assert exhaustive_native.decide(target, fractions) >= served * 2 * fractions.size


def test_native_slices_are_right():
    """What those are held to, in fractions."""

    def exact(code, fmt):
        number = spec.decode(int(code), fe.dtype(fmt))
        return Fraction(2**128) if number.kind == "infinite" else number.significand * Fraction(2) ** number.exponent

    codes = native_sources()
    codes = np.unique(codes[codes < exhaustive_native.INFINITY])[::9]
    codes = np.append(codes, exhaustive_native.INFINITY - 1).astype(np.uint32)
    wide, half = exhaustive_native.widened(codes), exhaustive_native.middles(codes)
    for code, its, middle in zip(codes, wide, half, strict=True):
        below, above = exact(code, "float32"), exact(code + 1, "float32")
        assert exact(its, "float64") == below
        assert 2 * exact(middle, "float64") == below + above


@pytest.mark.parametrize("size", [1, 511, 512, 513, 1025])
def test_native_blocks(size):
    """One NaN among numbers, at either end of its block."""
    rules = profile(fe.dtype("float32"), nan_payload="drop")
    for place in {0, size // 2, size - 1}:
        codes = np.full(size, 0xBF8CCCCD, np.uint32)
        codes[place] = 0xFFA00001
        assert exhaustive_native.widen(codes) == 6 * size
        x = exhaustive_native.as_float64(codes, "keep", "keep")
        codes[place] = 0xFFC00000
        assert exhaustive_native.compare("float32", rules, x, codes, "a block") == size


def test_native_differences_are_seen():
    x, rules = np.array([1 << 52], np.uint64), profile(fe.dtype("float32"))
    with pytest.raises(DifferenceError, match="zero to float32: 1 of 1 differ: 0x10000000000000: 0x0 for 0x1"):
        exhaustive_native.compare("float32", rules, x, np.ones(1, np.uint32), "zero")


@pytest.mark.parametrize(("source", "target"), [("float64", "float32"), ("float32", "float64")])
def test_native_is_what_plans_take(source, target, monkeypatch):
    fmt, seen = fe.dtype(target), []
    monkeypatch.setattr("fpemu.kernels.cpu.fast_casts.native_array", lambda *given: seen.append(given) or True)
    x = np.zeros(3, fe.dtype(source).code_dtype)
    Plan(fe.dtype(source), fmt, profile(fmt), None)(x, np.zeros(3, fmt.code_dtype))
    assert len(seen) == 1


@float_environment.needed
@pytest.mark.parametrize("target", ["float32", "float64"])
def test_native_leaves_it_to_others(target, monkeypatch):
    """Where the FPU is unfit: nothing is written, and the general kernel is asked (which is integers only)."""
    fmt, asked = fe.dtype(target), []
    monkeypatch.setattr(exhaustive_native, "refuse", lambda *given: asked.append(given))
    work = exhaustive_native.conversion.__wrapped__(target, profile(fmt))
    x = np.zeros(600, fe.dtype(exhaustive_native.OTHER[target]).code_dtype)
    out = np.ones(x.size, fmt.code_dtype)
    for name in float_environment.CHANGED:
        with float_environment.changed(name):
            work(x, out, NO_RANDOMS)
        assert (out == 1).all()
        assert [given[0] is x and given[1] is out for given in asked] == [True]
        asked.clear()
    work(x, out, NO_RANDOMS)
    assert not asked
    assert not out.any()


@pytest.mark.parametrize("carrier", ["float32", "float64"])
def test_tables_of_values(carrier):
    """Short formats' values, read off their codes: what the general kernel gives."""
    target = fe.dtype(carrier)
    rules = target.check_profile(profile(target, nan_payload="keep"))
    for name in ("float8_e8m0fnu", "float8_e4m3fnuz", "float8_e5m2", "e4m3", "binary8p1uf", "float4_e2m1fn"):
        fmt = fe.dtype(name)
        codes = np.arange(fmt.code_count, dtype=np.uint64)
        np.testing.assert_array_equal(values(fmt, fe.dtype(carrier)), Sources(codes, target, fmt).codes(rules))


def test_float_environment_is_standard():
    assert float_environment_module.float_environment_is_standard(PROBE)
    for place, value in enumerate([2**-30, 2**-20, 1, 1, 2**-149, 0.3, 3]):  # each makes one answer wrong
        wrong = PROBE.copy()
        wrong[place] = value
        assert not float_environment_module.float_environment_is_standard(wrong)


@float_environment.needed
@pytest.mark.parametrize("name", float_environment.CHANGED)
def test_float_environment_is_not_standard(name):
    float_environment_module.float_environment_is_standard(PROBE)
    with float_environment.changed(name):
        found = float_environment_module.float_environment_is_standard(PROBE)
    assert not found

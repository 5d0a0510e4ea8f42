"""The loops for float32 and float64 sources, to codes and to values, and the stream of stochastic rounding."""

from __future__ import annotations

import numpy as np
import pytest

import fpemu as fe
from tests.cases import grids, number_sources
from tests.oracle import spec
from tests.oracle.compare import DETERMINISTIC, profile, set_of_sources

# Formats whose exponents, precisions and special codes lie everywhere in and around float32 and float64.
FORMATS = [
    *map(
        fe.dtype,
        [
            *["float8_e4m3fn", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu", "float8_e5m3fnu", "float7_e4m3fnu"],
            *["float6_e2m3fn", "float4_e2m1fn", "bfloat16", "float16", "tfloat32", "float32", "e8m3", "e8m22", "e9m4"],
            *["e4m10", "e5m20", "e11m4", "e11m20", "e3m12", "binary8p1se", "binary8p1uf", "binary9p2ue", "binary6p5sf"],
            *["int8", "uint8", "int4", "uint1", "int16", "int32", "q3.12", "uq0.8"],
        ],
    ),
    *(fmt for fmt in grids.ODD_FORMATS if fmt.kind != "table"),
    fe.FloatFormat("float32s_emin", 7, 3, bias=127),
    fe.FloatFormat("float32s_emax", 8, 4, bias=-112),
    fe.FloatFormat("precise_just_below_float32s_emax", 29, 22, bias=8),
    fe.FloatFormat("beyond_float32", 8, 4, bias=-120),
    fe.FloatFormat("in_float32s_subnormals", 8, 4, bias=140),
    fe.FloatFormat("below_float32", 8, 3, bias=180),
    fe.FloatFormat("powers", 7, 1, bias=60, infinities=False, nan="all_ones"),
    fe.FloatFormat("low_powers", 8, 1, bias=149, signed=False, infinities=False, nan="none"),
    fe.FloatFormat("float64s_emin", 9, 3, bias=1023),
    fe.FloatFormat("no_zero_at_the_bottom", 8, 3, bias=126, subnormals=False, zero=False, infinities=False, nan="none"),
]


def exact_bits(value, dtype):
    """The bits of a float that holds a number; a NaN's are those of the canonical one."""
    number = np.array([spec.as_float(value)], dtype)
    if value.kind == "nan":
        number = np.array([np.copysign(np.nan, -1.0 if value.negative else 1.0)], dtype)
    return int(number.view(f"u{number.itemsize}")[0])


def assert_casts(x, fmt, rules, codes):
    """Values of x's own type, those of the codes, bit for bit; of a NaN only the sign."""
    codes, places = np.unique(codes, return_inverse=True)
    numbers = [spec.decode(code, fmt) for code in codes.tolist()]
    expected = np.array([exact_bits(number, x.dtype) for number in numbers], f"u{x.itemsize}")[places].view(x.dtype)
    actual = fe.cast(x, fmt, profile=rules, dtype=x.dtype)
    assert actual.dtype == x.dtype
    same = (actual == expected) | (np.isnan(actual) & np.isnan(expected))
    same &= np.signbit(actual) == np.signbit(expected)
    wrong = np.nonzero(~same)[0]
    lines = [f"{wrong.size} of {x.size} differ: {fmt!r} under {rules}"]
    lines += [f"  {float(x[i]).hex()}: {actual[i]!r}, but the specification says {expected[i]!r}" for i in wrong[:6]]
    assert wrong.size == 0, "\n".join(lines)


def holds(dtype, fmt):
    """Whether a float type has the format's values: tried with the ends."""
    try:
        fe.cast(np.zeros(1, dtype), fmt, dtype=dtype)
    except ValueError:
        return False
    info = np.finfo(dtype)
    return abs(getattr(fmt, "bias", 0)) < info.maxexp


# Rules that the loops take as outcomes: each with these roundings, where they apply.
OUTCOMES = [
    {"overflow": "saturate", "infinity": "saturate", "nan_sign": "drop"},
    {"overflow": "nan", "infinity": "nan"},
    {"overflow": "p3109", "infinity": "p3109", "unsigned_negative": "p3109"},
    {"unsigned_negative": "magnitude", "missing_zero": "smallest"},
    {"negative_zero": "drop", "nan": "max"},
    {"nan": "zero", "infinity": "zero", "unsigned_negative": "zero"},
    {"missing_zero": "nan"},
]
WITH = ["nearest_even", "toward_positive", "to_odd", "nearest_toward_negative"]


@pytest.mark.parametrize("source", ["float32_few", "float64_few"])
@pytest.mark.parametrize("fmt", FORMATS, ids=str)
def test_codes_and_values(fmt, source):
    """Every exponent field, every deterministic mode; other outcomes in formats of few codes."""
    x = getattr(number_sources, source)()
    rules = [profile(fmt, rounding=mode) for mode in DETERMINISTIC]
    if fmt.bits <= 9:
        rules += [profile(fmt, rounding=mode, **knobs) for knobs in OUTCOMES for mode in WITH]
    values = holds(x.dtype, fmt)
    for these in filter(None, rules):
        codes = set_of_sources(source, fmt).assert_encodes(these)
        if values:
            assert_casts(x, fmt, these, codes)


def drawn(size, mode, rng, offset):
    """The random integers that elements get, found by halving: 1 - nu just goes up in variant A."""
    found = np.zeros(size, np.uint64)
    one = 1 << mode.bits
    variant_a = fe.Stochastic("A", mode.bits)
    for bit in reversed(range(mode.bits)):
        tried = found + np.uint64(1 << bit)  # goes up where the random integer is at least this
        x = (one - tried).astype(np.float64) / one * np.where(tried < one, 1, 0)
        up = fe.encode(x, "uint1", rounding=variant_a, rng=rng, rng_offset=offset) == 1
        found = np.where(up, tried, found)
    return found.astype(np.uint32)


@pytest.mark.parametrize("mode", [fe.Stochastic("A", bits) for bits in (1, 8, 13, 24, 32)], ids=str)
def test_the_stream_is_random_bits(mode):
    """What a seed gives is what the same integers give when they are handed in: codes and values."""
    x32 = number_sources.float32_few()
    offset = (1 << 32) - 5_000 if mode.bits == 8 else 3  # where the stream's upper word changes
    random = drawn(x32.size, mode, 7, offset)
    assert np.unique(random >> max(mode.bits - 8, 0)).size == min(256, 1 << mode.bits)
    for fmt in FORMATS:
        if fmt.bits > 20:
            continue
        rules = profile(fmt, rounding=mode)
        for x in (x32, x32[:2_000].astype(np.float64), number_sources.float16()[: x32.size]):
            handed = fe.encode(x, fmt, profile=rules, random_bits=random[: x.size])
            np.testing.assert_array_equal(fe.encode(x, fmt, profile=rules, rng=7, rng_offset=offset), handed)
        if holds(np.float32, fmt):
            handed = fe.cast(x32, fmt, profile=rules, random_bits=random)
            seeded = fe.cast(x32, fmt, profile=rules, rng=7, rng_offset=offset)
            np.testing.assert_array_equal(seeded.view(np.uint32), handed.view(np.uint32))


@pytest.mark.parametrize("variant", ["B", "C"])
def test_other_variants_draw_the_same_stream(variant):
    x = number_sources.float32_few()
    random = drawn(x.size, fe.Stochastic("A", 11), 8, 0)
    for name in ("float8_e4m3fn", "bfloat16", "int8"):
        rules = profile(fe.dtype(name), rounding=fe.Stochastic(variant, 11))
        handed = fe.encode(x, name, profile=rules, random_bits=random)
        np.testing.assert_array_equal(fe.encode(x, name, profile=rules, rng=8), handed)


@pytest.mark.parametrize("rounding", ["nearest_even", "nearest_away", "toward_positive", "to_odd", "stochastic"])
@pytest.mark.parametrize("name", ["float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m3fnu", "bfloat16", "int8", "e4m3b-3"])
def test_a_special_neighbour_changes_nothing(name, rounding):
    """Blocks without special elements take a shorter way; one special element sends its block the long way."""
    x = np.random.default_rng(5).uniform(0 if name.endswith("fnu") else -6, 6, 10_000).astype(np.float32)
    x[::97] = 0
    mixed = x.copy()
    mixed[::500] = np.nan
    kept = ~np.isnan(mixed)
    for convert in (fe.encode, fe.cast):
        how = {"rng": 1} if rounding == "stochastic" else {}
        calm = convert(x, name, rounding=rounding, **how)
        assert calm[kept].tobytes() == convert(mixed, name, rounding=rounding, **how)[kept].tobytes()

"""Casts to the main formats from whole sets of sources, under every rounding mode, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

import fpemu as fe
from tests.cases import number_sources
from tests.oracle.compare import (
    DETERMINISTIC,
    MAIN,
    MODES,
    STOCHASTIC,
    Sources,
    assert_encodes,
    profile,
    set_of_sources,
)

WIDE = ["float32", "float64", "tfloat32", "int32", "uint32", "uint64", "int64", "q3.12"]
NARROW_INTEGERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "bool", "int4", "uint4", "int2"]


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("name", MAIN)
@pytest.mark.parametrize("source", ["float16", "bfloat16"])
def test_every_16_bit_source(source, name, mode):
    """All 65,536 float16 and bfloat16."""
    fmt = fe.dtype(name)
    set_of_sources(source, fmt).assert_encodes(profile(fmt, rounding=mode))


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("name", MAIN)
def test_every_float32_exponent(name, mode):
    """Every sign and exponent field of float32, with each bit of the significand alone and beside others."""
    fmt = fe.dtype(name)
    set_of_sources("float32", fmt).assert_encodes(profile(fmt, rounding=mode))


@pytest.mark.parametrize("mode", ["nearest_even", "toward_positive", "to_odd", STOCHASTIC[2]], ids=str)
@pytest.mark.parametrize("name", [*MAIN, "float32"])
def test_every_float64_exponent(name, mode):
    """Every sign and exponent field of float64."""
    fmt = fe.dtype(name)
    set_of_sources("float64", fmt).assert_encodes(profile(fmt, rounding=mode))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", MAIN)
def test_ties_and_their_neighbours(name, dtype):
    """Every midpoint of the format, and the numbers just below and above it."""
    fmt = fe.dtype(name)
    x = number_sources.midpoints(fmt, dtype)
    assert x.size > 20
    modes = DETERMINISTIC if fmt.bits <= 8 else ["nearest_even", "nearest_away", "toward_negative"]
    ties = Sources(x, fmt)
    for mode in modes:
        ties.assert_encodes(profile(fmt, rounding=mode))


@pytest.mark.parametrize("source", ["int64", "uint64"])
@pytest.mark.parametrize(
    "name", [*MAIN, *["float32", "float64", "tfloat32", "int32", "uint32", "uint64", "int64", "q3.12"]]
)
def test_integer_sources(name, source):
    """Integers about all powers of two: rounded once, from the exact integer."""
    fmt = fe.dtype(name)
    for mode in ("nearest_even", "toward_negative", "to_odd", STOCHASTIC[0]):
        set_of_sources(source, fmt).assert_encodes(profile(fmt, rounding=mode))


@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "bool", "int4", "uint4", "int2"]
)
def test_narrow_integer_sources(dtype):
    """The other integer types are their values too."""
    x = number_sources.narrow_integers(dtype)
    for name in ("float8_e4m3fn", "bfloat16", "float32", "int4", "uint8"):
        fmt = fe.dtype(name)
        assert_encodes(x, fmt, profile(fmt))


@pytest.mark.parametrize("mode", ["nearest_even", "toward_positive", STOCHASTIC[1]], ids=str)
@pytest.mark.parametrize("name", [*MAIN, "float8_e5m2fnuz", "int4"])
def test_through_float32(name, mode):
    """Tools that round twice: to float32 first, to nearest even."""
    fmt = fe.dtype(name)
    rules = profile(fmt, rounding=mode, through="float32")
    for x in (
        number_sources.sample(number_sources.float64(), 6_000, 1),
        double_rounders(fmt),
        number_sources.int64()[::5],
    ):
        assert_encodes(x, fmt, rules)


def double_rounders(fmt):
    """What float32 rounds onto a tie of the format: its ties, moved by less than half a float32 quantum."""
    ties = number_sources.midpoints(fmt, np.float32)[::3][:1_000].astype(np.float64)
    return np.concatenate([ties * (1 + sign * 2.0**-e) for sign in (-1, 1) for e in (25, 26, 40, 52)])


@pytest.mark.parametrize("knob", ["flush_before", "flush_after", "flush_tiny"])
@pytest.mark.parametrize("name", MAIN)
def test_flushed_results(name, knob):
    """Flush to zero, all float16 sources and those near the smallest normal of wide formats."""
    fmt = fe.dtype(name)
    for mode in ("nearest_even", "away_from_zero", "toward_negative", STOCHASTIC[0]):
        rules = profile(fmt, rounding=mode, subnormals_out=knob)
        set_of_sources("float16", fmt).assert_encodes(rules)
        set_of_sources("float32_few", fmt).assert_encodes(rules)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_subnormal_sources_are_zero(dtype):
    """Denormals are zero: a source that is subnormal in its own type."""
    x = number_sources.sample(getattr(number_sources, dtype)(), 20_000, 3)
    tiny = number_sources.subnormals(x.dtype)
    for name in ("float32", "bfloat16", "float8_e5m2", "float64", "float8_e8m0fnu"):
        fmt = fe.dtype(name)
        for these in (Sources(x, fmt), Sources(tiny, fmt)):
            for mode in ("nearest_even", "away_from_zero"):
                these.assert_encodes(profile(fmt, rounding=mode, subnormals_in="zero"))


@pytest.mark.parametrize("name", ["int8", "uint8", "int4", "uint1", "int64", "uint64", "q3.12"])
def test_integers_wrap(name):
    fmt = fe.dtype(name)
    for source in ("float32_few", "float64_few", "int64", "uint64"):
        for mode in ("toward_zero", "nearest_even", STOCHASTIC[0]):
            set_of_sources(source, fmt).assert_encodes(profile(fmt, rounding=mode, overflow="wrap"))

"""Casts of hypothesis' choosing: formats of every kind, profiles, sources; each against the specification."""

from __future__ import annotations

import functools

import numpy as np
from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st

import fpemu as fe
from tests.cases import grids
from tests.oracle import spec
from tests.oracle.compare import assert_encodes, profile

quick = functools.partial(
    settings, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow]
)
SOURCES = [np.float32, np.float64, np.float16, np.int64, np.uint64, np.int32, np.uint8]


@st.composite
def floats(draw, most_bits=64):
    """Any consistent float with an exponent field of up to 12 bits."""
    bits = draw(st.integers(2, most_bits))
    signed, zero = draw(st.booleans()), draw(st.booleans())
    precision = draw(st.integers(max(1, bits - signed - 12), bits - signed))
    nan = draw(st.sampled_from(grids.NAN_KINDS))
    middle = (1 << (bits - signed - precision + 1)) // 2
    bias = draw(st.one_of(st.just(None), st.integers(-200, 400), st.integers(middle - 3, middle + 3)))
    try:
        return fe.FloatFormat(
            "drawn",
            bits,
            precision,
            bias=bias,
            signed=signed,
            subnormals=zero and draw(st.booleans()),
            zero=zero,
            infinities=nan == "ieee" or draw(st.booleans()),
            nan=nan,
        )
    except ValueError:  # nothing but zero left, or a NaN without a code
        assume(False)


@st.composite
def integers(draw):
    """Any integer or fixed-point format."""
    bits = draw(st.integers(1, 64))
    signed, encoding = draw(
        st.sampled_from([(True, "twos_complement"), (True, "sign_magnitude"), (False, "twos_complement")])
    )
    assume(bits > 1 or encoding == "twos_complement")
    symmetric = signed and bits > 1 and encoding == "twos_complement" and draw(st.booleans())
    return fe.IntFormat("drawn", bits, signed, draw(st.integers(-70, 140)), symmetric, encoding)


entries = st.one_of(st.integers(-8, 8).map(float), st.floats(allow_nan=False, allow_infinity=False))
tables = st.lists(entries, min_size=2, max_size=20).map(lambda values: fe.TableFormat("drawn", values))
formats = st.one_of(floats(), floats(12), integers(), tables)


@st.composite
def rules_for(draw, fmt):
    """A profile with a few knobs turned, one that applies to the format."""
    stochastic = st.builds(fe.Stochastic, st.sampled_from("ABC"), st.integers(1, 32))
    mode = draw(
        st.sampled_from(list(fe.Rounding))
        if fmt.kind == "table"
        else st.one_of(stochastic, st.sampled_from(fe.Rounding))
    )
    knobs = draw(st.dictionaries(st.sampled_from(sorted(grids.KNOBS)), st.integers(0, 5), max_size=4))
    turned = {}
    for knob, number in knobs.items():
        word = grids.KNOBS[knob][number % len(grids.KNOBS[knob])]
        if profile(fmt, **turned, **{knob: word}) is not None:
            turned[knob] = word
    return profile(fmt, rounding=mode, **turned)


def sources_near(fmt, dtype, seed):
    """Numbers of a type about the values of a format, others of any bits."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return grids.near(fmt, rng, 30, dtype)
    limits = np.iinfo(dtype)
    near = grids.near(fmt, rng, 30)
    near = near[np.isfinite(near)].clip(-(2.0**62), 2.0**62).astype(np.int64)
    near = near[(near >= limits.min) & (near.astype(object) <= limits.max)].astype(dtype)
    wild = rng.integers(0, 256, 16 * near.itemsize, dtype=np.uint8).view(dtype)
    return np.concatenate([near, wild, np.array([limits.min, limits.max, 0, 1], dtype)])


@quick(max_examples=700)
@given(st.data(), formats, st.sampled_from(SOURCES), st.integers(0, 1 << 20))
def test_numbers_to_any_format(data, fmt, dtype, seed):
    rules = data.draw(rules_for(fmt))
    x = sources_near(fmt, dtype, seed)
    note(f"{fmt!r} from {np.dtype(dtype)}")
    assert_encodes(x, fmt, rules)


@quick(max_examples=300)
@given(st.data(), formats, formats, st.integers(0, 1 << 20))
def test_codes_to_any_format(data, source, target, seed):
    rules = data.draw(rules_for(target))
    note(f"{source!r} to {target!r}")
    assert_encodes(grids.codes(source, np.random.default_rng(seed), 40), target, rules, source=source)


@quick(max_examples=400)
@given(formats, st.lists(st.floats(), min_size=1, max_size=8), st.sampled_from(list(fe.Rounding)))
def test_drawn_floats(fmt, drawn, mode):
    """Floats of hypothesis' own choosing, which shrink."""
    assert_encodes(np.array(drawn), fmt, profile(fmt, rounding=mode))


@quick(max_examples=300)
@given(formats, st.integers(0, 1 << 20))
def test_all_codes_are_their_own_codes(fmt, seed):
    """encode(decode(code)) in every format: the code, but for NaNs and codes that are never produced."""
    codes = grids.codes(fmt, np.random.default_rng(seed), 60)
    assert_encodes(codes, fmt, profile(fmt), source=fmt)
    numbers = [spec.decode(code, fmt) for code in codes.tolist()]
    again = fe.encode(codes, fmt, source=fmt)
    if fmt.kind == "float":
        finite = np.array([number.kind != "nan" for number in numbers])
        np.testing.assert_array_equal(again[finite], codes[finite])

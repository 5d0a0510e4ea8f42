"""Every format, every knob: seeded slices of what `tests.proofs.exhaustive` runs whole."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import fpemu as fe
from tests.cases import grids, number_sources
from tests.oracle import spec
from tests.oracle.compare import DETERMINISTIC, MODES, STOCHASTIC, Sources, assert_encodes, profile

FORMATS = [*fe.dtypes(), *grids.ODD_FORMATS]
NARROW = [fmt for fmt in FORMATS if fmt.bits <= 16]


def held_by_float64(fmt):
    """Whether float64 holds every value."""
    if fmt.kind == "table":
        return True
    largest, smallest = (1024, -1074)
    if fmt.kind == "int":
        return fmt.bits <= 53
    return fmt.precision <= 53 and fmt.emin - fmt.precision + 1 >= smallest and fmt.bias > -largest


def seeded(fmt, salt=0):
    """A generator that is the same in every run, another for each format."""
    return np.random.default_rng([salt, *fmt.name.encode()])


def assert_values(actual, numbers):
    """Decoded values: equal, zeros of the same sign, NaN for NaN."""
    expected = np.array([spec.as_float(number) for number in numbers])
    with np.errstate(invalid="ignore"):  # signalling NaNs
        actual = actual.astype(np.float64)
    same = (actual == expected) & (np.signbit(actual) == np.signbit(expected)) | np.isnan(actual) & np.isnan(expected)
    assert same.all(), f"{actual[~same][:5]}, but the specification says {expected[~same][:5]}"


@pytest.mark.parametrize("fmt", NARROW, ids=str)
def test_all_codes_decode_and_return(fmt):
    """Each code's value, and the code again from the value and from the code; NaNs and twins by the rules."""
    codes = np.arange(fmt.code_count).astype(fmt.code_dtype)
    numbers = [spec.decode(code, fmt) for code in codes.tolist()]
    assert_encodes(codes, fmt, profile(fmt), source=fmt)
    if fmt.name == "beyond_float64":
        return
    decoded = fe.decode(codes, fmt)
    if decoded.dtype.kind in "iu":  # numpy's integers have no -0
        numbers = [number._replace(negative=number.negative and number.significand > 0) for number in numbers]
    assert_values(decoded, numbers)
    rules = profile(fmt, nan_sign="drop")
    back = spec.encode(numbers, fmt, rules)
    np.testing.assert_array_equal(fe.encode(decoded, fmt, profile=rules), back)
    if fmt.kind == "float":
        finite = [number.kind != "nan" for number in numbers]
        np.testing.assert_array_equal(back[finite], codes[finite])


@pytest.mark.parametrize("fmt", [fmt for fmt in FORMATS if fmt.bits > 16], ids=str)
def test_codes_of_wide_formats_return(fmt):
    codes = grids.codes(fmt, seeded(fmt), 4_000)
    assert_encodes(codes, fmt, profile(fmt), source=fmt)


@pytest.mark.parametrize("fmt", FORMATS, ids=str)
def test_every_mode_near_every_format(fmt):
    """float64, float32 and float16 sources at, between and beyond the format's values."""
    for dtype in (np.float64, np.float32, np.float16):
        near = Sources(grids.near(fmt, seeded(fmt, 1), 300, dtype), fmt)
        for mode in DETERMINISTIC if fmt.kind == "table" else MODES:
            near.assert_encodes(profile(fmt, rounding=mode))


@pytest.mark.parametrize("fmt", FORMATS, ids=str)
def test_every_value_of_every_knob(fmt):
    """One knob at a time, under three roundings."""
    near = Sources(grids.near(fmt, seeded(fmt, 2), 120), fmt)
    tried = 0
    for knob, words in grids.KNOBS.items():
        for word, mode in itertools.product(words, ("nearest_even", "toward_zero", "toward_negative")):
            rules = profile(fmt, rounding=mode, **{knob: word})
            if rules is not None:
                near.assert_encodes(rules)
                tried += 1
    assert tried >= 60


@pytest.mark.parametrize("fmt", FORMATS, ids=str)
def test_knobs_together(fmt):
    """Some knobs turned by chance, sources of several types."""
    rng = seeded(fmt, 3)
    tried = 0
    while tried < 40:
        mode = MODES[rng.integers(len(DETERMINISTIC if fmt.kind == "table" else MODES))]
        rules = grids.random_rules(fmt, rng, mode)
        if rules is not None:
            assert_encodes(grids.near(fmt, rng, 60, rng.choice([np.float64, np.float32])), fmt, rules)
            tried += 1


@pytest.mark.parametrize("fmt", FORMATS, ids=str)
def test_named_profiles(fmt):
    for dtype in (np.float32, np.float64):
        near = Sources(grids.near(fmt, seeded(fmt, 4), 200, dtype), fmt)
        for name in fmt.profiles():
            near.assert_encodes(fe.profile(name))


def test_codes_of_any_format_to_any_other():
    """Pairs by chance, source= codes, knobs turned."""
    rng = np.random.default_rng(5)
    for source in FORMATS:
        for target in rng.choice(np.array(FORMATS, object), 12, replace=False):
            mode = MODES[rng.integers(len(DETERMINISTIC if target.kind == "table" else MODES))]
            rules = grids.random_rules(target, rng, mode) or profile(target, rounding=mode)
            assert_encodes(grids.codes(source, rng, 150), target, rules, source=source)


def test_nan_payloads():
    """Between IEEE-like formats: the payload's leading bits, made quiet or not, never an infinity."""
    rng = np.random.default_rng(6)
    names = ["float64", "float32", "tfloat32", "bfloat16", "float16", "float8_e5m2", "float8_e3m4", "float8_e4m3fn"]
    wide = [fe.dtype(name) for name in names]
    wide += [fe.FloatFormat("one_payload_bit", 6, 2), fe.FloatFormat("unsigned", 9, 4, signed=False)]
    for source, target in itertools.product(wide, wide):
        if source.nan == "ieee":
            field = ((1 << source.exponent_bits) - 1) << source.trailing_bits
            payloads = rng.integers(0, 1 << source.trailing_bits, 60)
            payloads[:20] = 1 << rng.integers(0, source.trailing_bits, 20)
            signs = {0, source.sign_mask}
            codes = np.array([field | p | sign for p in payloads.tolist() for sign in signs], source.code_dtype)
            for knob, sign in itertools.product(("drop", "quiet", "keep"), ("keep", "drop")):
                rules = profile(target, nan_payload=knob, nan_sign=sign)
                assert_encodes(codes, target, rules, source=source)


@pytest.mark.parametrize("name", ["float8_e5m2", "bfloat16", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e8m0fnu"])
def test_a_nan_code_of_ones_own(name):
    fmt = fe.dtype(name)
    for sign in ("keep", "drop"):
        for mode in ("nearest_even", "toward_zero"):
            rules = profile(fmt, nan_code=fmt.nan_codes[-1], nan_sign=sign, rounding=mode)
            assert_encodes(grids.near(fmt, seeded(fmt, 7), 100), fmt, rules)


@pytest.mark.parametrize("name", ["float8_e4m3fn", "float4_e2m1fn", "int8", "nf4"])
def test_nan_can_be_an_error(name):
    fmt = fe.dtype(name)
    rules = profile(fmt, nan="error")
    assert_encodes(np.array([1.0, np.inf, -0.0]), fmt, rules)
    with pytest.raises(ValueError, match="NaN"):
        fe.encode(np.array([1.0, np.nan]), fmt, profile=rules)
    with pytest.raises(ValueError, match="NaN"):
        fe.cast(np.array([1.0, np.nan]), fmt, profile=rules)


LITTLE = list(grids.formats_of_little_precision())


@pytest.mark.parametrize("mode", [*DETERMINISTIC, *(fe.Stochastic(variant, 2) for variant in "ABC")], ids=str)
def test_precision_one_and_two(mode):
    """Every combination of sign, subnormals, zero, infinities and NaN; eighths between the values, and far above."""
    assert len(LITTLE) > 150
    for fmt in LITTLE:
        these = Sources(eighths(fmt), fmt)
        these.assert_encodes(profile(fmt, rounding=mode))
        these.assert_encodes(profile(fmt, rounding=mode, overflow="p3109", infinity="p3109"))


def eighths(fmt):
    """The magnitudes of a small format with seven numbers between neighbours, and both signs."""
    edges = np.array([s * 2.0**e for s, e in number_sources.magnitudes(fmt)])
    edges = np.append(edges, edges[-1] * 16)
    between = edges[:-1, None] + (edges[1:] - edges[:-1])[:, None] * np.arange(8) / 8
    x = np.append(between.ravel(), [np.inf, np.nan])
    return np.concatenate([x, -x])


@pytest.mark.parametrize("name", ["p3109-satfinite", "p3109-satpropagate", "p3109-satnone"])
@pytest.mark.parametrize("bits", [3, 4, 5, 6, 8])
def test_p3109(bits, name):
    """Every P3109 format with so many bits: saturation by rounding."""
    for fmt in grids.p3109(bits):
        near = Sources(grids.near(fmt, seeded(fmt, 8), 100), fmt)
        for mode in [*DETERMINISTIC[:2], *DETERMINISTIC[5:8], "to_odd", *STOCHASTIC[:3]]:
            near.assert_encodes(fe.profile(name).replace(rounding=mode))


@pytest.mark.parametrize("bits", [9, 12, 15, 16])
def test_p3109_beyond_float64(bits):
    """Codes of wide exponents to each other and to float64, whatever float64 holds."""
    formats = list(grids.p3109(bits))
    rng = np.random.default_rng(bits)
    for source in formats:
        if source.exponent_bits > 13:  # exact, and slow in the specification
            continue
        target = formats[rng.integers(len(formats))]
        codes = grids.codes(source, rng, 60)
        for fmt in (source, fe.dtype("float64"), *([target] if target.exponent_bits <= 13 else [])):
            assert_encodes(codes, fmt, profile(fmt, rounding=DETERMINISTIC[rng.integers(10)]), source=source)


@pytest.mark.parametrize("fmt", [fmt for fmt in FORMATS if held_by_float64(fmt)], ids=str)
def test_cast_is_decode_of_encode(fmt):
    """Values: of the source's own type, of float32 or of float64, whichever holds them."""
    for dtype in (np.float64, np.float32, np.float16):
        x = grids.near(fmt, seeded(fmt, 9), 200, dtype)
        for mode in ("nearest_even", "toward_positive"):
            rules = profile(fmt, rounding=mode)
            codes = spec.encode(spec.numbers(x), fmt, rules)
            numbers = [spec.decode(code, fmt) for code in codes.tolist()]
            values = [abs(spec.as_float(n)) for n in numbers if n.kind == "finite"]
            cast = fe.cast(x, fmt, profile=rules, dtype=np.float64 if fmt.bits > 53 else None)
            if fmt.kind == "int":  # +0 where integers have one zero
                np.testing.assert_array_equal(cast.astype(np.float64), [spec.as_float(n) for n in numbers])
            else:
                assert_values(cast, numbers)
            assert max(values) <= np.finfo(cast.dtype).max


def test_values_in_the_sources_own_type():
    """A codebook in float16 and bfloat16, whose entries both hold."""
    book = fe.TableFormat("halves", [0.5, -1.5, 0, 3])
    for name in ("float16", "bfloat16"):
        x = number_sources.sample(getattr(number_sources, name)(), 2_000, 1)
        cast = fe.cast(x, book)
        assert cast.dtype == x.dtype
        codes = spec.encode(spec.numbers(x), book, profile(book))
        assert_values(cast, [spec.decode(code, book) for code in codes.tolist()])

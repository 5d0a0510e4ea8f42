"""The specification itself against others' implementations, and its two ways to find neighbours against each other."""

from __future__ import annotations

import itertools
from fractions import Fraction

import gfloat
import gfloat.formats
import gmpy2
import ml_dtypes
import numpy as np
import pytest

import fpemu as fe
from tests.cases import number_sources
from tests.oracle import spec

ML_DTYPES = [
    "bfloat16",
    "float8_e3m4",
    "float8_e4m3",
    "float8_e4m3fn",
    "float8_e4m3fnuz",
    "float8_e4m3b11fnuz",
    "float8_e5m2",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
    "float6_e2m3fn",
    "float6_e3m2fn",
    "float4_e2m1fn",
]
GFLOAT = {
    "float8_e4m3fn": gfloat.formats.format_info_ocp_e4m3,
    "float8_e5m2": gfloat.formats.format_info_ocp_e5m2,
    "float6_e2m3fn": gfloat.formats.format_info_ocp_e2m3,
    "float6_e3m2fn": gfloat.formats.format_info_ocp_e3m2,
    "float4_e2m1fn": gfloat.formats.format_info_ocp_e2m1,
    "float16": gfloat.formats.format_info_binary16,
    "bfloat16": gfloat.formats.format_info_bfloat16,
}
GFLOAT_MODES = {
    "toward_zero": gfloat.RoundMode.TowardZero,
    "toward_positive": gfloat.RoundMode.TowardPositive,
    "toward_negative": gfloat.RoundMode.TowardNegative,
    "nearest_even": gfloat.RoundMode.TiesToEven,
    "nearest_away": gfloat.RoundMode.TiesToAway,
    fe.Stochastic("A", 5): gfloat.RoundMode.StochasticFastest,
    fe.Stochastic("B", 5): gfloat.RoundMode.StochasticFast,
    fe.Stochastic("C", 5): gfloat.RoundMode.Stochastic,
}


def values(codes, fmt):
    """What codes stand for, as float64."""
    found, index = np.unique(codes, return_inverse=True)
    return np.array([spec.as_float(spec.decode(int(code), fmt)) for code in found])[index]


def assert_same_bits(actual, expected):
    """Equal float64 values, signs of zeros too; NaNs are equal."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    same = (actual == expected) & (np.signbit(actual) == np.signbit(expected)) | (np.isnan(actual) & np.isnan(expected))
    assert same.all(), f"{(~same).sum()} differ, first {actual[~same][:5]} for {expected[~same][:5]}"


@pytest.mark.parametrize("name", ML_DTYPES)
def test_decode_is_ml_dtypes(name):
    """Every code of every float of ml_dtypes."""
    fmt = fe.dtype(name)
    dtype = np.dtype(getattr(ml_dtypes, name))
    codes = np.arange(1 << fmt.bits)
    with np.errstate(invalid="ignore"):
        expected = codes.astype(f"u{dtype.itemsize}").view(dtype).astype(np.float64)
    assert_same_bits(values(codes, fmt), expected)


@pytest.mark.parametrize("name", ML_DTYPES)
def test_encode_is_ml_dtypes(name):
    """Codes, NaNs' too, from float32 with every exponent field."""
    fmt, x = fe.dtype(name), number_sources.sample(number_sources.float32(), 30_000, 1)
    if not fe.dtype(name).has("nan"):  # a NaN becomes -0; but ml_dtypes flips the sign of that for a negative NaN
        x = x[~(np.isnan(x) & np.signbit(x))]
    if name == "float8_e8m0fnu":  # ml_dtypes rounds everything just above 2^-127 up, a float32 subnormal there
        x = x[(x <= 2.0**-127) | (x >= 1.5 * 2.0**-127) | np.isnan(x)]
    dtype = np.dtype(getattr(ml_dtypes, name))
    with np.errstate(invalid="ignore", over="ignore"):
        expected = x.astype(dtype).view(f"u{dtype.itemsize}")
    actual = spec.encode(spec.numbers(x), fmt, fe.profile("ml_dtypes"))
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("name", ["int2", "int4", "uint2", "uint4"])
def test_integers_truncate_and_wrap_as_ml_dtypes(name):
    fmt = fe.dtype(name)
    x = np.arange(-600, 600, dtype=np.float32) / 8
    if name.startswith("u"):
        x = x[x >= 0]
    expected = x.astype(getattr(ml_dtypes, name)).view(np.uint8) & ((1 << fmt.bits) - 1)
    np.testing.assert_array_equal(spec.encode(spec.numbers(x), fmt, fe.profile("ml_dtypes")), expected)


@pytest.mark.parametrize(("name", "x"), [("float16", "float32"), ("float16", "float64"), ("float32", "float64")])
def test_encode_is_numpy(name, x):
    """float64 to float16 and float32 in one rounding; a NaN's payload as numpy has it."""
    x = number_sources.sample(getattr(number_sources, x)(), 20_000, 2)
    with np.errstate(all="ignore"):
        expected = x.astype(name)
    rules = fe.profile("numpy").for_codes(fe.dtype(name).codes_key, fe.dtype(x.dtype).codes_key)
    actual = spec.encode(spec.numbers(x), fe.dtype(name), rules)
    np.testing.assert_array_equal(actual, expected.view(f"u{expected.itemsize}"))


def test_ties_to_float16_are_numpys():
    x = number_sources.midpoints(fe.dtype("float16"), np.float64)
    with np.errstate(all="ignore"):
        expected = x.astype(np.float16).view(np.uint16)
    np.testing.assert_array_equal(spec.encode(spec.numbers(x), fe.dtype("float16"), fe.profile("ieee")), expected)


@pytest.mark.parametrize("mode", GFLOAT_MODES, ids=str)
@pytest.mark.parametrize("name", GFLOAT)
def test_rounding_is_gfloats(name, mode):
    """Values under five directions and three stochastic variants, overflow too."""
    fmt, saturate = fe.dtype(name), not fe.dtype(name).has("nan")
    x = np.concatenate(
        [number_sources.midpoints(fmt, np.float64)[:6_000], number_sources.float16()[::7].astype(np.float64)]
    )
    if not fmt.has("nan"):
        x = x[~np.isnan(x)]
    random = number_sources.random_bits(x.size, 5, 3) if isinstance(mode, fe.Stochastic) else None
    with np.errstate(invalid="ignore"):
        expected = gfloat.round_ndarray(
            GFLOAT[name],
            x,
            GFLOAT_MODES[mode],
            sat=saturate,
            **({} if random is None else {"srbits": random.astype(np.int64), "srnumbits": 5}),
        )
    actual = spec.encode(spec.numbers(x), fmt, fe.profile("ieee").replace(rounding=mode), random)
    assert_same_bits(values(actual, fmt), expected)


MPFR_MODES = {
    "nearest_even": gmpy2.RoundToNearest,
    "toward_zero": gmpy2.RoundToZero,
    "toward_positive": gmpy2.RoundUp,
    "toward_negative": gmpy2.RoundDown,
    "away_from_zero": gmpy2.RoundAwayZero,
}


@pytest.mark.parametrize("mode", MPFR_MODES)
@pytest.mark.parametrize("name", ["e5m30", "e11m20", "e3m12", "e8m1", "e2m5", "e8m23", "float64"])
def test_wide_formats_are_mpfrs(name, mode):
    """IEEE-like formats with precisions that nobody else has, as GNU MPFR rounds to them."""
    fmt, rules = fe.dtype(name), fe.profile("ieee").replace(rounding=mode)
    x = number_sources.sample(number_sources.float64(), 3_000, 5)
    x = np.concatenate(
        [x[~np.isnan(x)], np.ldexp(np.random.default_rng(6).normal(size=2_000), np.arange(2_000) % 40 - 20)]
    )
    emin, emax = 1 - fmt.bias, (1 << fmt.exponent_bits) - 2 - fmt.bias
    there = gmpy2.context(
        precision=fmt.precision,
        emax=emax + 1,
        emin=emin - fmt.precision + 2,
        subnormalize=True,
        round=MPFR_MODES[mode],
    )
    with there:
        expected = [gmpy2.mpfr(v) for v in x.tolist()]
    codes = spec.encode(spec.numbers(x), fmt, rules)
    for v, code, other in zip(x, codes, expected, strict=True):
        number = spec.decode(int(code), fmt)
        assert spec.as_float(number) == float(other), (v, other)
        assert number.negative == other.is_signed(), (v, other)


def p3109_oracle(x, fmt, mode, random, saturation):
    """Interim report 4.0 written down once more, over Fractions: the value that x goes to, or None for NaN."""
    precision, bias = fmt.precision, fmt.bias
    signed, extended = fmt.signed, fmt.infinities
    finite = [spec.decode(code, fmt) for code in range(1 << fmt.bits)]
    exact = [
        (-1 if n.negative else 1) * n.significand * Fraction(2) ** n.exponent for n in finite if n.kind == "finite"
    ]
    least, most = min(exact), max(exact)
    result = x
    if x not in (0, float("inf"), float("-inf")):
        x = Fraction(x)
        log2 = 0
        while Fraction(2) ** log2 > abs(x):
            log2 -= 1
        while Fraction(2) ** (log2 + 1) <= abs(x):
            log2 += 1
        q = max(log2, 1 - bias) - precision + 1
        scaled = abs(x) / Fraction(2) ** q
        floor = scaled.numerator // scaled.denominator
        nu = scaled - floor
        even = floor % 2 == 0 if precision > 1 else (floor == 0 or (q + bias) % 2 == 0)
        half = Fraction(1, 2)
        if isinstance(mode, fe.Stochastic):
            one = 2**mode.bits
            away = {
                "A": lambda: int(nu * one) + random >= one,
                "B": lambda: int(nu * 2 * one) + 2 * random + 1 >= 2 * one,
                "C": lambda: round(nu * one) + random >= one,
            }[mode.variant]()
        else:
            away = {
                "toward_zero": False,
                "toward_positive": nu > 0 and x > 0,
                "toward_negative": nu > 0 and x < 0,
                "nearest_away": nu >= half,
                "nearest_even": nu > half or (nu == half and not even),
                "to_odd": nu > 0 and even,
            }[mode]
        result = (floor + away) * Fraction(2) ** q * (1 if x > 0 else -1)
    if least <= result <= most:
        return result
    infinite = result in (float("inf"), float("-inf"))
    clamped = max(least, min(most, result))
    if saturation == "satfinite":
        return clamped
    if saturation == "satpropagate":
        return result if infinite and extended and (signed or result > 0) else clamped
    if infinite:
        if result > 0:
            return result if extended else most
        return (result if extended else least) if signed else None
    if mode == "to_odd" and not signed and extended and result > most:
        return most
    if mode in ("toward_zero", "toward_negative") and result > most:
        return most
    if mode in ("toward_zero", "toward_positive") and result < least:
        return least
    if result < least:
        return (float("-inf") if extended else least) if signed else None
    return float("inf") if extended else most


P3109_MODES = [
    "toward_zero",
    "toward_positive",
    "toward_negative",
    "nearest_away",
    "nearest_even",
    "to_odd",
    fe.Stochastic("A", 2),
    fe.Stochastic("B", 2),
    fe.Stochastic("C", 2),
]


@pytest.mark.parametrize("saturation", ["satfinite", "satpropagate", "satnone"])
@pytest.mark.parametrize(
    "name",
    [f"binary{k}p{p}{s}{d}" for k in (3, 4) for s in "su" for d in "ef" for p in range(1, k + (s == "u"))],
)
def test_p3109_projection(name, saturation):
    """Small formats, every quarter of a quantum, far above too, all modes, all random bits."""
    fmt, rules = fe.dtype(name), fe.profile(f"p3109-{saturation}")
    edges = [Fraction(s) * Fraction(2) ** e for s, e in number_sources.magnitudes(fmt)]
    edges += [edges[-1] * 2, edges[-1] * 7]
    xs = {float("inf")}
    for low, high in itertools.pairwise(edges):
        for part in (0, 1, 2, 3, 4, 5, 7, 8):
            xs.add(low + (high - low) * part / 8)
    xs |= {-x for x in xs}
    for mode in P3109_MODES if fmt.bits == 3 else P3109_MODES[:-3]:
        for random in range(4) if isinstance(mode, fe.Stochastic) else [None]:
            numbers = [spec.Number("infinite", x < 0) if abs(x) == float("inf") else of_fraction(x) for x in xs]
            drawn = None if random is None else np.full(len(numbers), random)
            codes = spec.encode(numbers, fmt, rules.replace(rounding=mode), drawn)
            for x, code in zip(xs, codes, strict=True):
                expected = p3109_oracle(x, fmt, mode, random, saturation)
                actual = spec.as_float(spec.decode(int(code), fmt))
                assert (actual == expected) if expected is not None else np.isnan(actual), (x, mode, random, code)


def of_fraction(x):
    """A dyadic Fraction as a Number."""
    return spec.Number("finite", x < 0, abs(x.numerator), 1 - x.denominator.bit_length())


def test_p3109_decodes_as_gfloat():
    """Every format of up to 10 bits."""
    for k, s, d in itertools.product(range(3, 11), "su", "ef"):
        for p in range(1, k + (s == "u")):
            fmt = fe.dtype(f"binary{k}p{p}{s}{d}")
            info = gfloat.formats.format_info_p3109(
                k,
                p,
                gfloat.Signedness.Signed if s == "s" else gfloat.Signedness.Unsigned,
                gfloat.Domain.Extended if d == "e" else gfloat.Domain.Finite,
            )
            codes = np.arange(1 << k)
            assert_same_bits(values(codes, fmt), [gfloat.decode_float(info, int(c)).fval for c in codes])


@pytest.mark.parametrize("name", [*ML_DTYPES, "float16", "binary9p3ue", "binary8p1uf", "binary10p1se"])
def test_table_and_arithmetic_find_the_same_neighbours(name):
    fmt = fe.dtype(name)
    target = spec.target(fmt, fe.profile("ieee"))
    ties = number_sources.midpoints(fmt, np.float64)
    for number in spec.numbers(number_sources.sample(ties, 2_000, 7)):
        if number.kind == "finite" and number.significand:
            low = target.below(number)
            assert min(low, target.max_code + 1) == min(target.computed_below(number), target.max_code + 1)


def test_neighbours_are_neighbours():
    """No number is below the neighbour below, and all are below the one above."""
    for name in ("float8_e4m3fn", "float32", "float64", "e7m30", "q3.12"):
        target = spec.target(fe.dtype(name), fe.profile("ieee"))
        for number in spec.numbers(number_sources.sample(number_sources.float64(), 500, 8)):
            if number.kind != "finite" or number.significand == 0:
                continue
            low = target.below(number)
            if fe.dtype(name).kind == "float" and low > target.max_code:
                continue
            x = number.significand * Fraction(2) ** number.exponent
            below, above = (s * Fraction(2) ** e for s, e in target.neighbours(low))
            assert below <= x < above


@pytest.mark.parametrize(
    ("name", "profile", "x", "code"),
    [
        ("float8_e4m3fn", "ml_dtypes", 464.0, 0x7E),
        ("float8_e4m3fn", "ml_dtypes", 465.0, 0x7F),
        ("float8_e4m3fn", "torch-2.14", 1000.0, 0x7E),
        ("float8_e4m3fn", "torch-2.14", np.inf, 0x7E),
        ("float8_e4m3fn", "torch-2.11", -1000.0, 0xFF),
        ("float8_e4m3fn", "ieee", -431.99999999999994, 0xFD),
        ("float8_e4m3fn", "ml_dtypes", -431.99999999999994, 0xFE),
        ("float8_e5m2", "onnx-saturate", np.inf, 0x7B),
        ("float8_e5m2", "onnx", 61440.0, 0x7C),
        ("float8_e5m2", "torch-2.14", np.nan, 0x7F),
        ("float8_e4m3fnuz", "onnx-saturate", 1e9, 0x7F),
        ("float8_e4m3fnuz", "torch-2.14", 1e9, 0x80),
        ("float8_e4m3fnuz", "ieee", -1e-9, 0x00),
        ("float4_e2m1fn", "ml_dtypes", np.nan, 0x8),
        ("float4_e2m1fn", "cuda-satfinite", np.nan, 0x7),
        ("bfloat16", "torch-2.14", np.nan, 0xFFFF),
        ("bfloat16", "ieee", 1 + 2.0**-8 + 2.0**-40, 0x3F81),
        ("bfloat16", "torch-2.14", 1 + 2.0**-8 + 2.0**-40, 0x3F80),
        ("float8_e8m0fnu", "ml_dtypes", 3.0, 0x81),
        ("float8_e8m0fnu", "ieee", 3.0, 0x80),
        ("float8_e8m0fnu", "ml_dtypes", 0.0, 0xFF),
        ("float8_e8m0fnu", "torch-2.14", 0.0, 0x00),
        ("float8_e8m0fnu", "torch-2.14", -2.0, 0x80),
        ("float8_e8m0fnu", "onnx-saturate", 3e38, 0xFE),
        ("int4", "ml_dtypes", 100.0, 0x4),
        ("int4", "ieee", 100.0, 0x7),
        ("int4", "ieee", -100.0, 0x8),
    ],
)
def test_known_rows(name, profile, x, code):
    """Lines that were measured on other tools."""
    assert spec.encode(spec.numbers(np.array([x])), fe.dtype(name), fe.profile(profile)) == [code]

"""Quantizing to element and scale formats that few use, each number against fractions."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

import fpemu as fe
from tests.oracle.spec_roundings import round_ratio

BOOKS = {
    "decimals": fe.TableFormat("decimals", (-1.0, -0.3, 0.0, 0.2, 0.9)),
    "few": fe.TableFormat("few", (-0.7, 0.1, 0.11, 3.3)),
}
ELEMENTS = ("int2", "int4", "int16", "int24", "int32", "uint8", "q1.6", "q3.12", "uq0.8", "e4m3", "e2m1")
SCALES = ("float32", "bfloat16", "float16", "float8_e4m3fn", "float8_e8m0fnu", "float64")


def numbers(dtype, seed=0):
    draw = np.random.default_rng(seed)
    x = draw.normal(size=64) * draw.choice([1, 1, 30, 1e-3], 64)
    x[40:48] = np.round(x[40:48] * 4) / 4  # ties
    return x.astype(dtype)


def over(number, scale):
    """The exact quotient; 0 where a scale was rounded to 0."""
    return Fraction(number) / Fraction(scale) if scale else Fraction(0)


def nearest(quotient, element, values):
    """The exact value of an element: nearest; integers' ties go to even, floats' to even codes, codebooks' to lower."""
    if isinstance(element, fe.IntFormat):
        unit = Fraction(2) ** -element.fraction_bits
        return min(max(round(quotient / unit), element.min_int), element.max_int) * unit
    distance, _, found = min(
        (abs(value - quotient), code % 2 if isinstance(element, fe.FloatFormat) else code, value)
        for value, code in values
    )
    assert distance == abs(found - quotient)
    return found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", [*ELEMENTS, *BOOKS])
def test_elements_and_scales(name, scale, dtype):
    """Each element is the value nearest to the exact quotient of a number and its block's scale."""
    element, block = BOOKS.get(name) or fe.dtype(name), 8
    x = numbers(dtype)
    q = fe.quantize(x, fe.ScaledFormat(element, block, scale))
    values = []
    if not isinstance(element, fe.IntFormat):
        codes = [code for code in range(element.code_count) if np.isfinite(element.value(code))]
        values = [(element.exact(code), code) for code in codes]
    scales = np.repeat(q.scale_values, block)
    for number, by, code in zip(x.tolist(), scales.tolist(), q.codes.tolist(), strict=True):
        want = nearest(over(number, by), element, values)
        assert element.exact(code) == want, (number, by)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("element", "scale"), [*itertools.product(["int32", "uint32", "int17", "uint8"], SCALES)])
def test_zero_points_of_wide_integers(element, scale, dtype):
    fmt = fe.dtype(element)
    scheme = fe.ScaledFormat(element, 8, scale, "minmax", zero_point=element)
    x = numbers(dtype, 3) + np.repeat([0, 1, -1, 20, -20, 3, 0, 0], 8).astype(dtype)
    q = fe.quantize(x, scheme)
    back = q.dequantize(np.float64)
    for i, (number, code) in enumerate(zip(x.tolist(), q.elements.tolist(), strict=True)):
        block = x[i // 8 * 8 : i // 8 * 8 + 8].tolist()
        by, zero = Fraction(float(q.scale_values[i // 8])), int(q.zero_points[i // 8])
        first = fmt.min_int - round(over(min(*block, 0), by))
        assert zero == min(max(first, fmt.min_int), fmt.max_int)
        want = min(max(round(over(number, by)) + zero, fmt.min_int), fmt.max_int)
        assert code == want, (number, by, zero)
        exact = (want - zero) * by
        significand, last = round_ratio(*abs(exact).as_integer_ratio(), 53, -1022) if exact else (0, 0)
        assert abs(back[i]) == significand * Fraction(2) ** last


def test_far_away_with_zero_points():
    """What is far beyond the range is its end, whatever the zero point."""
    for far, dtype in itertools.product([1e30, np.inf, 2.0**40], [np.float32, np.float64]):
        x = np.array([far, -far, 1], dtype)
        for how in ({}, {"rounding": "stochastic", "rng": 0}, {"rounding": "toward_zero"}):
            q = fe.quantize(x, "zeropoint_uint8", scales=1.0, zero_points=3, **how)
            assert q.elements.tolist() == [255, 0, 4]


@pytest.mark.parametrize("zero_point", ["uint8", 128])
def test_symmetric_unsigned(zero_point):
    """The middle integer is the zero point, and the largest magnitude becomes the largest integer less it."""
    scheme = fe.ScaledFormat("uint8", "tensor", zero_point=zero_point)
    q = fe.quantize(np.float32([-1, 0.25, 1, 0]), scheme)
    assert q.scale_values.item() == np.float32(1) / np.float32(127)
    assert q.elements.tolist() == [1, 160, 255, 128]
    assert q.zero_points.tolist() == [128]


def test_scales_without_nan():
    """A block with a NaN or an infinity is refused where its scale cannot say so."""
    scheme = fe.ScaledFormat("int8", 4, "float6_e3m2fn")
    for lost in (np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match="but float6_e3m2fn has no NaN"):
            fe.quantize(np.float32([lost, 1, 2, 3]), scheme)
    kept = scheme.replace(profile=scheme.profile.replace(infinite_block="saturate"))
    assert fe.quantize(np.float32([np.inf, 1, 2, 3]), kept).scale_values.tolist() == [28.0]


@pytest.mark.parametrize("rule", ["rceil", "absmax"])
def test_scales_of_53_digits(rule):
    """float64 scales are rounded once."""
    x = numbers(np.float32, 5)
    q = fe.quantize(x, fe.ScaledFormat("float8_e4m3fn", 4, "float64", rule))
    for block, scale in zip(x.reshape(-1, 4).tolist(), q.scale_values.tolist(), strict=True):
        exact = max(abs(Fraction(number)) for number in block) / 448
        if rule == "rceil":
            assert np.nextafter(scale, 0) < exact <= Fraction(scale)
        else:
            significand, last = round_ratio(*exact.as_integer_ratio(), 53, -1022)
            assert scale == significand * 2.0**last
    with pytest.raises(ValueError, match="at most 24 digits"):
        fe.ScaledFormat("float8_e4m3fn", 4, "float32", second_level="float64")


def test_even_of_one_digit():
    """The rule "even" for elements of one digit: the power of two nearest to the largest magnitude, ties upward."""
    x = np.float32([1, 1.49, 1.5, 2.9, 3, 0.0, 3.0e38])
    scheme = fe.ScaledFormat("int2", 1, "float8_e8m0fnu", "even")
    assert fe.quantize(x, scheme).scale_values.tolist() == [1, 1, 2, 2, 4, 2.0**-127, 2.0**127]
    lost = fe.quantize(np.float32([np.inf, np.nan]), scheme).scale_values
    assert np.isnan(lost).all()


def test_integers_with_zero_points_have_32_bits():
    for word in ("int33", "uint64"):
        with pytest.raises(ValueError, match="at most 32 bits"):
            fe.scheme(f"{word}_asym_tensor")


@pytest.mark.parametrize(
    ("element", "block", "others"),
    [
        *((element, 32, {}) for element in ("e15m40", "e24m20", "int64", "int55", "uint54", "uq1100.-1090")),
        ("int4", 32, {"scale_rule": fe.ScaleRule("mine", divisor="span"), "element": "e11m45"}),
        ("float4_e2m1fn", 16, {"scale": "e15m40", "second_level": "float32"}),
    ],
)
def test_divisors_are_float64(element, block, others):
    """The largest value that scales are divided by is a float64, or nothing is quantized."""
    scheme = fe.ScaledFormat(**{"element": element, "block": block, **others})
    for function in (fe.quantize, fe.fake_quantize, fe.report):
        with pytest.raises(ValueError, match="which is not a float64 value"):
            function([1.0] * 32, scheme)
    for divisor in (2**60 + 1, 10**400):
        with pytest.raises(ValueError, match="which is not a float64 value"):
            fe.ScaleRule("mine", divisor=divisor)
    assert fe.ScaledFormat("int53", 32).divisor == 2**52 - 1


MANY = [("uint2", "float64"), ("int32", "float32"), ("uint8", "float64"), ("int28", "float32"), ("int4", "float32")]


@pytest.mark.parametrize(("element", "scale"), MANY)
def test_ranges_of_many_digits(element, scale):
    """A range that no float64 is, over a span of many digits: rounded once."""
    draw, fmt = np.random.default_rng(7), fe.dtype(element)
    x = np.stack([-np.abs(draw.normal(size=60)), np.abs(draw.normal(size=60))], axis=-1)
    x *= 2.0 ** np.stack([draw.integers(-80, 20, 60), draw.integers(-20, 20, 60)], axis=-1)
    x[0], x[1] = (-(2.0**-54), 3), (-5e-324, 2432.015738010348)
    q = fe.quantize(x, fe.ScaledFormat(element, "row", scale, "minmax", zero_point=element))
    digits, emin = (53, -1022) if scale == "float64" else (24, -126)
    for (low, high), found in zip(x.tolist(), q.scale_values[:, 0].tolist(), strict=True):
        exact = (Fraction(high) - Fraction(low)) / (fmt.max_int - fmt.min_int)
        significand, last = round_ratio(*exact.as_integer_ratio(), digits, emin)
        assert Fraction(found) == significand * Fraction(2) ** last, (low, high)


def test_second_levels_of_many_digits():
    scheme = fe.ScaledFormat("int32", 2, "float32", second_level="float32")
    q = fe.quantize(np.float64([742407660.1183932, 0]), scheme, second_scale=0.5061768293380737)
    assert q.scale_values.item() == np.float32(0.6829836368560791)
    wide = fe.quantize(np.ones(8), fe.ScaledFormat("int8", 8, "float64", second_level="float32"))
    assert wide.second_scale == 2.0**-149
    np.testing.assert_allclose(wide.dequantize(), np.ones(8))


def test_ends_of_float64():
    """Ranges beyond float64's, and its largest numbers under each rule: the largest scale, and no NaN."""
    largest = float(np.finfo(np.float32).max)
    assert fe.quantize(np.float64([-1e308, 1e308]), "zeropoint_uint8").scale_values.tolist() == [largest]
    wide = fe.ScaledFormat("uint8", "tensor", "float64", "minmax", zero_point="uint8")
    q = fe.quantize(np.float64([-1.5e308, 1.5e308]), wide)
    assert q.scale_values.item() == float(Fraction(1.5e308) * 2 / 255)
    assert q.elements.tolist() == [0, 255]
    for rule in ("floor", "ceil", "even", "rceil"):
        found = fe.quantize(np.full(32, 1.79e308), "mxfp4", scale_rule=rule)
        assert found.scale_values.tolist() == [2.0**127]
        assert found.elements.tolist() == [6] * 32
    with pytest.raises(ValueError, match="out of range in float32"):
        fe.quantize(np.ones(2), "absmax_int8", scales=1.79e308)

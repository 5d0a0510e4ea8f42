"""Numbers back from codes and scales, rounded once: against fractions, for schemes of all sorts, under FPU modes."""

from __future__ import annotations

import contextlib
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

import fpemu as fe
from fpemu.quantization import quantizer
from fpemu.quantization.blocks import Layout, block_shape
from tests.cases import float_environment
from tests.oracle.spec_roundings import round_ratio

ELEMENTS = [
    *("float8_e4m3fn", "float8_e5m2", "float4_e2m1fn", "float6_e2m3fn", "bfloat16", "float16", "float32", "float64"),
    *("int4", "int8", "uint8", "int16", "int32", "int64", "uint64", "q1.6", "q3.12", "uq4.4", "nf4"),
    fe.IntFormat("coarse", 8, fraction_bits=-40),
    fe.IntFormat("fine", 16, fraction_bits=140),
    fe.IntFormat("magnitudes", 4, encoding="sign_magnitude"),
    fe.IntFormat("wide magnitudes", 40, encoding="sign_magnitude"),
    fe.IntFormat("fixed magnitudes", 8, fraction_bits=6, encoding="sign_magnitude"),
    fe.FloatFormat("without subnormals", 8, 4, subnormals=False),
    fe.FloatFormat("far", 16, 6, bias=600),
    fe.TableFormat("book", (-1.0, -0.3, 0.0, 0.2, 0.9)),
]
SCALES = ["float8_e8m0fnu", "float8_e4m3fn", "bfloat16", "float16", "float32", "float64"]
SECONDS = [None, "float32", "bfloat16", "float16", "float8_e4m3fn", "float8_e8m0fnu"]
ZEROS = [None, "own", "int32", "int64", "fixed"]  # of elements that are integers
OUT = {np.float32: (24, -126, 128), np.float64: (53, -1022, 1024)}


def value(code, fmt):
    """What a code stands for, by the formats' definitions: a fraction, or a float that is no finite number or -0."""
    if isinstance(fmt, fe.TableFormat):
        return Fraction(fmt.entries[code])
    if isinstance(fmt, fe.IntFormat):
        number = code & ((1 << (fmt.bits - fmt.signed)) - 1)
        if code >> (fmt.bits - 1) and fmt.signed:
            number = -number if fmt.encoding == "sign_magnitude" else number - (1 << (fmt.bits - 1))
            if number == 0:
                return -0.0
        return number / Fraction(2) ** fmt.fraction_bits
    trailing = fmt.precision - 1
    width = fmt.bits - fmt.signed
    minus, magnitude = code >> width, code & ((1 << width) - 1)
    top = (1 << (width - trailing)) - 1
    e, t = magnitude >> trailing, magnitude & ((1 << trailing) - 1)
    if (fmt.nan == "all_ones" and magnitude == (1 << width) - 1) or (fmt.nan == "ieee" and e == top and t):
        return math.nan
    if fmt.infinities and e == top and (t == 0 or fmt.nan != "ieee"):
        return -math.inf if minus else math.inf
    if (e == 0 and t == 0 and fmt.zero) or (e == 0 and fmt.subnormals):
        number = Fraction(t) * Fraction(2) ** (1 - fmt.bias - trailing)
    else:
        number = Fraction((1 << trailing) + t) * Fraction(2) ** (e - fmt.bias - trailing)
    return -number if minus and number else -0.0 if minus else number


def rounded(product, minus, dtype):
    """A magnitude to nearest even in float32 or float64."""
    precision, emin, top = OUT[dtype]
    if product:
        significand, last = round_ratio(*product.as_integer_ratio(), precision, emin)
        product = math.inf if significand.bit_length() + last > top else math.ldexp(significand, last)
    return math.copysign(product, -1 if minus else 1)


def expected(element, zero, scale, second, dtype):
    """(element - zero) x scale x second, rounded once."""
    if zero is not None:
        element = Fraction(element) - zero
    factors = element, scale, second
    if any(v != v for v in factors):
        return math.nan
    minus = sum(math.copysign(1, 1 if v > 0 else -1 if v < 0 else v) < 0 for v in factors) % 2
    if any(abs(v) == math.inf for v in factors):
        return math.nan if 0 in factors else -math.inf if minus else math.inf
    return rounded(abs(Fraction(element) * Fraction(scale) * Fraction(second)), minus, dtype)


def scheme(element, scale, second, zero):
    """One of these parts, or None if they do not fit together."""
    element = fe.dtype(element)
    if zero is not None and not (
        isinstance(element, fe.IntFormat) and element.fraction_bits == 0 and element.bits <= 32
    ):
        return None
    point = element if zero == "own" else element.min_int + 3 if zero == "fixed" else zero
    return fe.ScaledFormat(element, 8, scale, "absmax", zero_point=point, second_level=second)


def anything(found, draw, shape=(2, 16)):
    """A quantized array of a scheme, with random codes, scales, zero points; many of them extreme."""
    layout = Layout(shape, block_shape(found.block, found.axis, shape))
    codes, scales = np.zeros(shape, found.element.code_dtype), np.zeros(layout.blocks, found.scale.code_dtype)
    zeros = None if found.zero_point is None else np.full(layout.blocks, found.fixed_zero_point or 0, np.int64)
    q = fe.Quantized(found, codes, scales, zeros, found.second_level and 1.0, layout)
    for part, fmt in ((q.codes, found.element), (q.scales, found.scale)):
        codes = draw.integers(0, fmt.code_count - 1, part.shape, dtype=np.uint64, endpoint=True)
        near = draw.integers(0, 3, part.shape, dtype=np.uint64)
        width = fmt.bits - fmt.signed if not isinstance(fmt, fe.TableFormat) else 1
        ends = np.array([0, 1, (1 << width) - 1, 1 << (width - 1), fmt.code_count - 1], np.uint64)
        codes = np.where(draw.random(part.shape) < 0.3, ends[draw.integers(0, 5, part.shape)] ^ near, codes)
        part[...] = np.minimum(codes, np.uint64(fmt.code_count - 1)).astype(part.dtype)
    if isinstance(found.zero_point, fe.IntFormat):
        low, high = found.zero_point.min_int, min(found.zero_point.max_int, (1 << 63) - 1)
        q.zero_points[...] = draw.integers(low, high, q.zero_points.shape, endpoint=True)
    if found.second_level is not None:
        fmt = found.second_level
        second = math.nan
        while not 0 < second < math.inf:
            second = float(value(int(draw.integers(0, fmt.code_count - 1, dtype=np.uint64, endpoint=True)), fmt))
        q.second_scale = second
    return q


def check(q, dtype, mode=None):
    """Each number of a quantized array, dequantized under a mode of the FPU."""
    with float_environment.changed(mode) if mode else contextlib.nullcontext():
        found = q.dequantize(dtype)
    scales = q.layout.per_element(q.scales)
    zeros = [None] * q.size if q.zero_points is None else q.layout.per_element(q.zero_points).ravel().tolist()
    second = 1 if q.second_scale is None else Fraction(q.second_scale)
    want = np.array(
        [
            expected(value(code, q.scheme.element), zero, value(scale, q.scheme.scale), second, dtype)
            for code, zero, scale in zip(q.codes.ravel().tolist(), zeros, scales.ravel().tolist(), strict=True)
        ],
        dtype,
    ).reshape(q.shape)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, want)
    np.testing.assert_array_equal(np.signbit(found) | np.isnan(found), np.signbit(want) | np.isnan(want))


EVERY = [
    found for parts in itertools.product(ELEMENTS, SCALES, SECONDS, ZEROS) if (found := scheme(*parts)) is not None
]


def some(seed, count):
    """So many of all schemes, and a source of randomness."""
    draw = np.random.default_rng(seed)
    return [EVERY[place] for place in draw.choice(len(EVERY), count, replace=False)], draw


@pytest.mark.parametrize("dtype", OUT)
def test_any_scheme(dtype):
    schemes, draw = some(2, 120)
    for found in schemes:
        check(anything(found, draw), dtype)


def test_blocks_that_lie_apart():
    schemes, draw = some(3, 40)
    for found in schemes:
        for changes in ({"axis": 0}, {"block": (3, 2)}, {"block": "channel"}):
            check(anything(found.replace(**changes), draw, (5, 6)), np.float32)


@float_environment.needed
@pytest.mark.parametrize("mode", ["denormals_are_zero", "both", "toward_negative"])
def test_any_scheme_under_modes(mode):
    schemes, draw = some(4, 40)
    for found in schemes:
        for dtype in OUT:
            check(anything(found, draw), dtype, mode)


# -- and quantized ----------------------------------------------------------------------------------------------------

SMALL = np.float32(1.5 * 2.0**-119) * np.arange(-16, 16, dtype=np.float32) * np.ones((16, 1), np.float32)


@float_environment.needed
@pytest.mark.parametrize("x", [SMALL, SMALL * np.float32(2.0**-20), SMALL.astype(np.float64) * 2.0**-950], ids="nsd")
def test_subnormal_scales_under_modes(x):
    """Every scheme: with scales that are subnormal in float32; and numbers, under all profiles; and in float64."""
    subnormal = (np.abs(x[x != 0]) < 2.0**-126).all() and x.dtype == np.float32
    for found in fe.schemes():
        for profile in found.profiles() if subnormal else ["exact"]:
            want = results(x, found, profile)
            with float_environment.changed("both"):
                got = results(x, found, profile)
            assert got == want, (found.name, profile)


def results(x, found, profile):
    """Bits of all that comes of a quantization, NaNs' signs apart."""
    q = fe.quantize(x, found, profile=profile, pad=True)
    numbers = [np.where(np.isnan(back), np.nan, back) for back in (q.dequantize(), np.asarray(q, np.float64))]
    level = [] if isinstance(q.second_scale, fe.Quantized) else [q.second_scale]
    return [part.tobytes() for part in (q.codes, q.scales, *numbers)] + level


@float_environment.needed
def test_a_subnormal_scale():
    """2^-127 as E8M0 has it is subnormal in float32."""
    x = np.full(32, 1.5 * 2.0**-119, np.float32)
    with float_environment.changed("both"):
        q = fe.quantize(x, "mxfp8_e4m3")
        given = fe.quantize(x, "mxfp8_e4m3", scales=2.0**-127)
        back = q.dequantize()
    assert (q.scales == 0).all()
    assert (q.codes == 124).all()  # 1.5 x 2^8
    assert (given.codes == 124).all()
    np.testing.assert_array_equal(back, x)


NAN_ERROR = fe.ScaleProfile("strict").replace(nan="error")


@pytest.mark.parametrize("dtype", OUT)
@pytest.mark.parametrize("name", ["mxfp8_e4m3", "absmax_int8", "nvfp4", "nf4_64", "zeropoint_int8"])
def test_nan_is_an_error_either_way(name, dtype, monkeypatch):
    """By FPU, and by the general division: of NaN, of an infinity whose block would be NaN, and of nothing else."""
    x = np.random.default_rng(0).normal(size=(64, 64)).astype(dtype)
    want = fe.quantize(x, name)
    for fit in (True, False):
        if not fit:
            monkeypatch.setattr(quantizer, "fpu_is_fit", lambda: False)
        got = fe.quantize(x, name, profile=NAN_ERROR)
        np.testing.assert_array_equal(got.codes, want.codes)
        for bad, words in ((np.nan, "x contains a NaN"), (np.inf, "x contains an infinity")):
            x[3, 3] = bad
            with pytest.raises(ValueError, match=words):
                fe.quantize(x, name, profile=NAN_ERROR)
        kept = NAN_ERROR.replace(infinite_block="saturate")
        assert fe.quantize(np.where(np.isnan(x), np.inf, x), name, profile=kept).size == x.size
        x[3, 3] = want.dequantize()[3, 3]


def test_nan_is_an_error_of_stochastic_rounding_too():
    x = np.ones((32, 32), np.float32)
    assert (fe.quantize(x, "mxfp4", axis=0, profile="gfloat", rounding="stochastic", rng=0).dequantize() == 1).all()


# -- two levels -------------------------------------------------------------------------------------------------------

NUMBERS = np.float32([1, 2, 3, -6, 0.5, 0, 1.5, 4])


@pytest.mark.parametrize("second", ["float32", "bfloat16", "float16", "float8_e8m0fnu"])
@pytest.mark.parametrize("parts", [("e2m1", "bfloat16"), ("int8", "float8_e8m0fnu", "rceil"), ("e4m3", "float32")])
def test_two_levels_whose_scales_are_far(parts, second):
    """Scales near their format's end, a second one near its own: the product is a plain number."""
    element, scale, *rule = parts
    found = fe.ScaledFormat(element, 8, scale, *(rule or ["absmax"]), second_level=second)
    q = fe.quantize(NUMBERS, found)
    assert q.second_scale > 0
    for dtype in OUT:
        check(q, dtype)
    back = fe.fake_quantize(NUMBERS, found)
    assert abs(back - NUMBERS).max() <= 6 * 2.0**-2  # a step of e2m1 at most, its scale being right


def test_a_second_scale_that_would_round_to_zero():
    """It is the smallest one of its format, and scales follow from that."""
    found = fe.ScaledFormat("e2m1", 8, "bfloat16", second_level="float16")
    q = fe.quantize(NUMBERS, found)
    assert q.second_scale == 2.0**-24
    assert q.scale_values[0] == 2.0**24  # 6 / 6 over that
    np.testing.assert_array_equal(q.dequantize(), NUMBERS)
    tiny = fe.quantize(NUMBERS * np.float32(1e-44), "nvfp4", pad=True)
    assert tiny.second_scale == 2.0**-149
    assert tiny.dequantize().any()
    assert fe.quantize(NUMBERS * np.float32(1e30), found.replace(scale="e4m3")).second_scale == 65504
    with pytest.raises(ValueError, match="second_scale: 1e-10 rounds to 0 in float16"):
        fe.quantize(NUMBERS, found, second_scale=1e-10)
    with pytest.raises(ValueError, match=r"second_scale: 1e\+10 is out of range in float16"):
        fe.quantize(NUMBERS, found, second_scale=1e10)
    assert fe.quantize(NUMBERS, found, second_scale=65519.0).second_scale == 65504


# -- sign-magnitude ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fraction_bits", [0, 2])
def test_sign_magnitude(fraction_bits):
    element = fe.IntFormat("magnitudes", 4, fraction_bits=fraction_bits, encoding="sign_magnitude")
    q = fe.quantize(np.float32([-7, 3, -0.0, 0.4]), fe.ScaledFormat(element, 4))
    assert q.codes.tolist() == [0b1111, 3, 0b1000, 0]
    np.testing.assert_array_equal(q.dequantize(), np.float32([-7, 3, 0, 0]))
    assert np.signbit(q.dequantize()).tolist() == [True, False, True, False]

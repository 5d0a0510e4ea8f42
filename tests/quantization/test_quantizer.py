"""Scaled formats: scales and elements rounded once, against fractions; layouts, sources, ways that must agree."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

import fpemu as fe
from fpemu.quantization import dequantizer, exact_scales, quantizer, statistics
from fpemu.quantization.definition.scale_rules import RULES
from tests.cases import float_environment
from tests.oracle.spec_roundings import ELEMENTS, round_ratio
from tests.oracle.spec_scaled import largest_of, quantize_exact, shared_exponent
from tests.peers.witness.blocks import blocks

MX = {
    "mxfp8_e4m3": "float8_e4m3fn", "mxfp8_e5m2": "float8_e5m2", "mxfp6_e2m3": "float6_e2m3fn",
    "mxfp6_e3m2": "float6_e3m2fn", "mxfp4": "float4_e2m1fn",
}  # fmt: skip
POWERS = ("floor", "ceil", "even", "rceil")
FLOATS = {"float8_e4m3fn": (4, -6, 448), "float32": (24, -126, (2 - 2**-23) * 2**127), "float16": (11, -14, 65504),
          "bfloat16": (8, -126, (2 - 2**-7) * 2**127)}  # fmt: skip


def float_value(ratio, fmt):
    """A positive ratio to nearest even in a float format that saturates, as a ratio."""
    precision, emin, largest = FLOATS[fmt]
    if not ratio:
        return Fraction(0)
    significand, last = round_ratio(*ratio.as_integer_ratio(), precision, emin)
    return min(Fraction(significand) * Fraction(2) ** last, Fraction(largest))


def exact_code(ratio, element, negative):
    """The code of a ratio's magnitude in one of ELEMENTS, from the exact ratio."""
    sign = 1 << (element.bits - 1) if negative else 0
    if not ratio:
        return sign
    significand, last = round_ratio(*ratio.as_integer_ratio(), element.precision, element.emin)
    return sign | element.magnitude(float(min(Fraction(significand) * Fraction(2) ** last, Fraction(element.largest))))


def is_number(row):
    return bool(np.isfinite(row).all())


# -- exactness --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", POWERS)
@pytest.mark.parametrize("name", MX)
def test_mx(name, rule):
    element = ELEMENTS[MX[name]]
    for source in ("specials", "edges", "random"):
        x = blocks(source, 32, MX[name])[:: 1 if source != "edges" else 7]
        q = fe.quantize(x, name, scale_rule=rule)
        values = q.dequantize()
        for row, codes, scale, back in zip(x, q.codes, q.scales[:, 0].tolist(), values, strict=True):
            amax = largest_of(row.tolist())
            if not math.isfinite(amax):  # a NaN or an infinity: the scale is NaN, and so is the block
                assert scale == 255
                assert np.isnan(back).all()
                continue
            if amax == 0:
                assert scale == 0
            else:
                e = exact_exponent(Fraction(amax), rule, element)
                assert scale == min(max(e, -127), 127) + 127
            by = Fraction(2) ** (scale - 127)
            for v, code, number in zip(row.tolist(), codes.tolist(), back.tolist(), strict=True):
                want = exact_code(abs(Fraction(v)) / by, element, math.copysign(1, v) < 0)
                assert code == want, (v, scale)
                assert number == float32_of(Fraction(element.value(code)) * by)


def exact_exponent(amax, rule, element):
    """As the specification has it, but "rceil" of the exact quotient, which CUDA rounds to float32 first."""
    if rule != "rceil":
        return shared_exponent(amax, rule, element.emax, element.trailing, Fraction(element.largest))
    ratio, e = amax / Fraction(element.largest), -300
    while Fraction(2) ** e < ratio:
        e += 1
    return e


def test_mxint8():
    x = blocks("edges", 32, "int8")[::5]
    q = fe.quantize(x, "mxint8")
    assert q.elements.dtype == np.float32
    for row, codes, scale in zip(x, q.codes.view(np.int8), q.scales[:, 0].tolist(), strict=True):
        amax = largest_of(row.tolist())
        e = min(max(shared_exponent(Fraction(amax), "floor", 0, 6, Fraction(127, 64)), -127), 127) if amax else -127
        assert scale == e + 127
        want = [quantize_exact(v, Fraction(2) ** (e - 6), 0, -128, 127) for v in row.tolist()]
        assert codes.tolist() == want
    np.testing.assert_array_equal(q.dequantize(), np.float32(q.codes.view(np.int8) * np.exp2(q.scales - 133.0)))


@pytest.mark.parametrize("scale", FLOATS)
@pytest.mark.parametrize("element", ["float8_e4m3fn", "float8_e5m2", "float4_e2m1fn", "float6_e2m3fn"])
def test_any_float_element_with_any_scale(element, scale):
    """The scale is amax / largest rounded once, each element x / scale rounded once, from the exact ratios."""
    scheme, spec = fe.ScaledFormat(element, 16, scale, name="own"), ELEMENTS[element]
    x = np.concatenate([blocks("edges", 16, element)[::9], blocks("random", 16)])
    x = x[np.isfinite(x).all(axis=1)]
    q = fe.quantize(x, scheme)
    values = q.dequantize()
    for row, codes, got, back in zip(x, q.codes, q.scale_values[:, 0].tolist(), values, strict=True):
        amax = largest_of(row.tolist())
        by = float_value(Fraction(amax) / Fraction(spec.largest), scale)
        assert Fraction(got) == by
        for v, code, number in zip(row.tolist(), codes.tolist(), back.tolist(), strict=True):
            want = exact_code(abs(Fraction(v)) / by, spec, math.copysign(1, v) < 0) if by else code & 0x80
            assert code & ~(1 << (spec.bits - 1)) == want & ~(1 << (spec.bits - 1)), (v, got)
            assert number == float32_of(Fraction(spec.value(code)) * by)


def float32_of(ratio):
    """A ratio as a float32 number, rounded once."""
    precision, emin, _ = FLOATS["float32"]
    if not ratio:
        return 0.0
    significand, last = round_ratio(*abs(ratio).as_integer_ratio(), precision, emin)
    magnitude = math.inf if significand.bit_length() + last > 128 else math.ldexp(significand, last)
    return math.copysign(magnitude, ratio)


@pytest.mark.parametrize("name", ["nvfp4", "nvfp4_tile"])
def test_two_levels(name):
    """Second scale, scales, elements, and numbers back: each rounded once."""
    rng = np.random.default_rng(4)
    x = (rng.normal(size=(32, 64)) * 2.0 ** rng.integers(-20, 20, (32, 64))).astype(np.float32)
    x[:2, :16] = 0
    q = fe.quantize(x, name)
    g = float_value(Fraction(float(abs(x).max())) / 2688, "float32")
    assert Fraction(q.second_scale) == g
    rows, columns = q.layout.block_shape
    values, spec = q.dequantize(), ELEMENTS["float4_e2m1fn"]
    for i, j in np.ndindex(q.scales.shape):
        part = np.s_[i * rows : (i + 1) * rows, j * columns : (j + 1) * columns]
        amax = Fraction(largest_of(x[part].ravel().tolist()))
        scale = float_value(amax / (6 * g), "float8_e4m3fn")
        assert Fraction(float(q.scale_values[i, j])) == scale
        for v, code, back in zip(x[part].flat, q.codes[part].flat, values[part].flat, strict=True):
            ratio = abs(Fraction(float(v))) / (scale * g) if scale else Fraction(0)
            assert code & 7 == exact_code(ratio, spec, False)
            assert back == float32_of(Fraction(spec.value(int(code))) * scale * g)


@pytest.mark.parametrize(("name", "low", "high"), [
    ("zeropoint_int8", -128, 127), ("zeropoint_uint8", 0, 255), ("zeropoint_int4", -8, 7), ("zeropoint_uint4", 0, 15),
])  # fmt: skip
def test_zero_points(name, low, high):
    x = np.concatenate([blocks("edges", 32, "int8")[::11], blocks("random", 32), abs(blocks("random", 32))])
    for row in x[np.isfinite(x).all(axis=1)]:
        q = fe.quantize(row, name)
        least, most = (Fraction(v) for v in (min(*row.tolist(), 0.0), max(*row.tolist(), 0.0)))
        scale = float_value((most - least) / (high - low), "float32")
        assert Fraction(float(q.scale_values[0])) == scale
        zero = min(max(low - round(least / scale), low), high) if scale else low
        assert q.zero_points[0] == zero
        assert q.elements.tolist() == [quantize_exact(v, scale, zero, low, high) for v in row.tolist()]
        back = [float32_of((int(n) - zero) * scale) for n in q.elements]
        assert q.dequantize().tolist() == back


@pytest.mark.parametrize(("name", "largest"), [("absmax_int8", 127), ("absmax_int4", 7)])
def test_absmax(name, largest):
    for row in blocks("edges", 32, "int8")[::11]:
        q = fe.quantize(row, name)
        scale = float_value(Fraction(largest_of(row.tolist())) / largest, "float32")
        assert Fraction(float(q.scale_values[0])) == scale
        assert q.elements.tolist() == [quantize_exact(v, scale, 0, -largest - 1, largest) for v in row.tolist()]


def test_nf4():
    x = blocks("edges", 64, "nf4")[::9]
    q, book = fe.quantize(x, "nf4_64"), [Fraction(v) for v in fe.dtype("nf4").entries]
    for row, codes, scale in zip(x, q.codes, q.scale_values[:, 0].tolist(), strict=True):
        assert scale == largest_of(row.tolist())
        for v, code in zip(row.tolist(), codes.tolist(), strict=True):
            ratio = Fraction(v) / Fraction(scale)
            assert code == min(range(16), key=lambda c: (abs(book[c] - ratio), c))


# -- ways that must agree ---------------------------------------------------------------------------------------------

ALL = [found.name for found in fe.schemes()]
NUMBERS = np.random.default_rng(1).standard_t(2, (256, 256)).astype(np.float32)


def same(a, b):
    np.testing.assert_array_equal(a.scales, b.scales)
    np.testing.assert_array_equal(a.codes, b.codes)
    if a.zero_points is not None:
        np.testing.assert_array_equal(a.zero_points, b.zero_points)
    if isinstance(a.second_scale, fe.Quantized):
        same(a.second_scale, b.second_scale)
        np.testing.assert_equal(a.second_scale.offset, b.second_scale.offset)
    else:
        assert a.second_scale == b.second_scale


@pytest.mark.parametrize("name", ALL)
def test_the_general_kernels_agree(name, monkeypatch):
    """Without the FPU: all by integers, forwards and back."""
    x = NUMBERS[:128, :128].copy()
    x[0, :3] = np.nan, 0.0, -0.0
    fast = fe.quantize(x, name)
    back = fast.dequantize()
    for module in (exact_scales, statistics, quantizer, dequantizer):
        monkeypatch.setattr(module, "fpu_is_fit", lambda: False)
    slow = fe.quantize(x, name)
    same(fast, slow)
    np.testing.assert_array_equal(slow.dequantize(), back)
    assert fe.quantize(x[:0], name, pad=True).size == 0


@pytest.mark.parametrize("rounding", ["nearest_away", "toward_zero", "toward_positive", "away_from_zero", "to_odd"])
@pytest.mark.parametrize("name", ["mxfp8_e4m3", "mxfp4", "nvfp4", "absmax_int8", "zeropoint_int8", "nf4_64"])
def test_other_roundings(name, rounding, monkeypatch):
    fast = fe.quantize(NUMBERS, name, rounding=rounding)
    even = fe.quantize(NUMBERS, name)
    np.testing.assert_array_equal(fast.scales, even.scales)  # the elements' rounding alone changes
    assert (fast.codes != even.codes).any() or rounding == "nearest_away"
    monkeypatch.setattr(quantizer._Quantization, "_elements", lambda self, own: None)
    same(fast, fe.quantize(NUMBERS, name, rounding=rounding))


@pytest.mark.parametrize("name", ["mxfp8_e4m3", "nvfp4", "absmax_int8", "zeropoint_uint8", "fp8_e4m3_128x128"])
def test_stochastic_rounding(name, monkeypatch):
    x = NUMBERS[:, :128]
    q = fe.quantize(x, name, rounding="stochastic", rng=5)
    bits = np.random.default_rng(0).integers(0, 1 << 32, x.shape)
    given = fe.quantize(x, name, rounding="stochastic", random_bits=bits)
    mean = np.mean([fe.quantize(x, name, rounding="stochastic", rng=k).dequantize() for k in range(40)], axis=0)
    step = q.layout.per_element(q.scale_values * (q.second_scale or 1))
    inside = abs(x) < 0.9 * abs(x).max()
    assert abs(np.mean((mean - x)[inside] / step[inside])) < 0.03
    part = slice(64, 128)
    if name == "mxfp8_e4m3":  # an element's place decides, not the call
        tail = fe.quantize(x[part], name, rounding="stochastic", rng=5, rng_offset=64 * 128)
        np.testing.assert_array_equal(tail.codes, q.codes[part])
    monkeypatch.setattr(quantizer._Quantization, "_elements", lambda self, own: None)
    same(q, fe.quantize(x, name, rounding="stochastic", rng=5))
    same(given, fe.quantize(x, name, rounding="stochastic", random_bits=bits))


def test_threads_change_nothing():
    x = np.random.default_rng(2).normal(size=(3, 1_500_000)).astype(np.float32)
    threads = fe.get_num_threads()
    names = ["mxfp4", "absmax_int8", "zeropoint_uint8", "int8_channel", "nvfp4", "fp8_e5m2_row"]
    try:
        fe.set_num_threads(1)
        one = [fe.quantize(x, name, pad=True) for name in names]
        fe.set_num_threads(3)
        for name, q in zip(names, one, strict=True):
            again = fe.quantize(x, name, pad=True)
            same(q, again)
            fe.set_num_threads(1)
            back = q.dequantize()
            fe.set_num_threads(3)
            np.testing.assert_array_equal(again.dequantize(), back)
    finally:
        fe.set_num_threads(threads)


# -- layouts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["mxfp8_e4m3", "absmax_int8", "zeropoint_int8"])
@pytest.mark.parametrize(
    ("block", "axis", "steps"),
    [
        (4, -1, (1, 1, 4)), (4, 0, (4, 1, 1)), (5, 1, (1, 5, 1)), ((2, 4), -1, (1, 2, 4)), ((4, 5), 1, (4, 5, 1)),
        ("tensor", 0, (8, 10, 12)), ("row", 2, (1, 1, 12)), ("row", 0, (8, 1, 1)), ("channel", 0, (1, 10, 12)),
        ("channel", 1, (8, 1, 12)), (7, 2, (1, 1, 7)), ((3, 5), 2, (1, 3, 5)),
    ],
)  # fmt: skip
def test_layouts(scheme, block, axis, steps):
    """Each block is quantized as it would be alone."""
    x = NUMBERS.ravel()[:960].reshape(8, 10, 12)
    q = fe.quantize(x, scheme, block=block, axis=axis, pad=True)
    assert q.scales.shape == tuple(-(-n // s) for n, s in zip(x.shape, steps, strict=True))
    values = q.dequantize()
    for place in itertools.product(*map(range, q.scales.shape)):
        part = tuple(slice(i * s, (i + 1) * s) for i, s in zip(place, steps, strict=True))
        alone = fe.quantize(x[part].ravel(), scheme, block="tensor")
        assert alone.scales[0] == q.scales[place]
        np.testing.assert_array_equal(alone.codes, q.codes[part].ravel())
        np.testing.assert_array_equal(alone.dequantize(), values[part].ravel())
        if q.zero_points is not None:
            assert alone.zero_points[0] == q.zero_points[place]


def test_slices():
    q = fe.quantize(NUMBERS, "mxfp4")
    part = q[10:20, 64:128]
    assert part.shape == (10, 64)
    np.testing.assert_array_equal(part.dequantize(), q.dequantize()[10:20, 64:128])
    np.testing.assert_array_equal(q[3].dequantize(), q.dequantize()[3])
    np.testing.assert_array_equal(q[..., :32].codes, q.codes[:, :32])
    np.testing.assert_array_equal(q[-1, 32:].codes, q.codes[-1, 32:])
    assert len(q[5:5]) == 0
    ragged = fe.quantize(NUMBERS[:2, :40], "mxfp4", pad=True)
    np.testing.assert_array_equal(ragged[:, 32:].dequantize(), ragged.dequantize()[:, 32:])
    for index, kind, words in [
        (np.s_[:, 16:32], ValueError, "cuts a block of axis 1, whose blocks have 32 elements"),
        (np.s_[:, 3], ValueError, "cuts a block"),
        (np.s_[::2], ValueError, "would split blocks"),
        ([1, 2], TypeError, "slices and integers"),
        (np.s_[300], IndexError, "out of range"),
        (np.s_[0, 0, 0], IndexError, "too many indices"),
    ]:
        with pytest.raises(kind, match=words):
            q[index]


def test_what_is_stored():
    q = fe.quantize(NUMBERS, "mxfp4")
    assert q.bits_per_element == 4.25
    assert q.nbytes == NUMBERS.size // 2 + NUMBERS.size // 32
    packed = q.pack()
    assert packed.elements.nbytes + packed.scales.nbytes == q.nbytes
    np.testing.assert_array_equal(fe.unpack(packed.elements, "float4_e2m1fn", q.shape), q.codes)
    two = fe.quantize(NUMBERS, "nvfp4")
    assert two.bits_per_element == 4.5 + 32 / NUMBERS.size
    assert two.pack().second_scale == two.second_scale
    zeros = fe.quantize(NUMBERS, "zeropoint_int8", block="row")
    assert zeros.bits_per_element == 8 + 40 / 256
    np.testing.assert_array_equal(zeros.pack("high_first").zero_points.view(np.int8), zeros.zero_points[:, 0])
    np.testing.assert_array_equal(np.asarray(q), q.dequantize())
    assert np.asarray(q, np.float64).dtype == np.float64


def test_memory_of_ones_own():
    q, x = fe.quantize(NUMBERS, "nvfp4"), NUMBERS * np.float32(3)
    codes, scales, back = q.codes, q.scales, np.empty_like(x)
    again = fe.quantize(x, "nvfp4", out=q)
    assert np.shares_memory(again.codes, codes)
    np.testing.assert_array_equal(codes, fe.quantize(x, "nvfp4").codes)
    assert np.shares_memory(again.scales, scales)
    assert again.dequantize(out=back) is back
    np.testing.assert_array_equal(back, again.dequantize())
    with pytest.raises(ValueError, match="out must have shape"):
        fe.quantize(x[:4], "nvfp4", out=q)
    with pytest.raises(TypeError, match="out must be of dtype uint32, not uint8"):
        fe.quantize(x, fe.scheme("nvfp4").replace(scale="float32"), out=fe.quantize(x, "nvfp4"))
    with pytest.raises(TypeError, match="float32 or float64"):
        q.dequantize(np.float16)


# -- sources ----------------------------------------------------------------------------------------------------------


def test_sources():
    x = (NUMBERS[:4, :64] * 16).astype(np.float16)
    q = fe.quantize(x.astype(np.float32), "mxfp8_e4m3")
    for other in (x, x.astype(np.float64), x.astype(">f4"), fe.array(x, "float16"), x.tolist()):
        same(q, fe.quantize(other, "mxfp8_e4m3"))
    same(q, fe.quantize(x.view(np.uint16), "mxfp8_e4m3", source="float16"))
    wide = NUMBERS[:4, :128].copy()
    same(fe.quantize(wide[:, ::2].copy(), "nvfp4"), fe.quantize(wide[:, ::2], "nvfp4"))
    narrow = wide.astype(ml_dtypes.bfloat16)
    same(fe.quantize(narrow.astype(np.float32), "absmax_int8"), fe.quantize(narrow, "absmax_int8"))
    whole = np.arange(-32, 32)
    same(fe.quantize(whole.astype(np.float64), "absmax_int8"), fe.quantize(whole, "absmax_int8"))
    assert fe.quantize(3.0, "absmax_int8").elements == 127
    with pytest.raises(ValueError, match="some of these numbers are not exact in float64"):
        fe.quantize(np.array([2**53 + 1]), "zeropoint_uint8")
    same(fe.quantize(np.array([2**53]), "absmax_int8"), fe.quantize([2.0**53], "absmax_int8"))


def test_float64_sources_round_once():
    """A quotient that float64 rounds onto a tie of the element."""
    rng = np.random.default_rng(3)
    scheme = fe.ScaledFormat("int8", "row", "float64", name="own")
    x = rng.normal(size=(40, 50))
    q = fe.quantize(x, scheme)
    for row, codes, scale in zip(x, q.elements, q.scale_values[:, 0].tolist(), strict=True):
        assert codes.tolist() == [quantize_exact(v, Fraction(scale), 0, -128, 127) for v in row.tolist()]


def test_codebooks_of_float64_sources():
    x = np.random.default_rng(5).normal(size=(3, 64))
    q, book = fe.quantize(x, "nf4_64"), [Fraction(v) for v in fe.dtype("nf4").entries]
    for row, codes, scale in zip(x, q.codes, q.scale_values[:, 0].tolist(), strict=True):
        ratios = [Fraction(v) / Fraction(scale) for v in row.tolist()]
        assert codes.tolist() == [min(range(16), key=lambda c: (abs(book[c] - r), c)) for r in ratios]
    fine = fe.ScaledFormat(fe.TableFormat("fine", [-1.0, 2.0**-60, 1.0]), 4)
    with pytest.raises(ValueError, match="fine's values lie too close"):
        fe.quantize(np.float32([1, 0.2, 0.7, -1]), fine)


def test_fake_quantize():
    x = NUMBERS[:2, :64]
    y = fe.fake_quantize(x, "mxfp4", scale_rule="rceil")
    np.testing.assert_array_equal(y, fe.quantize(x, "mxfp4", scale_rule="rceil").dequantize())
    assert y.dtype == np.float32
    assert fe.fake_quantize(x.astype(np.float64), "mxfp4").dtype == np.float64
    assert fe.fake_quantize([[1, 2]], "absmax_int8").dtype == np.float32


# -- scales that are known --------------------------------------------------------------------------------------------


def test_given_scales():
    x = NUMBERS[:4, :64]
    q = fe.quantize(x, "zeropoint_int8", block="row")
    again = fe.quantize(x, "zeropoint_int8", block="row", scales=q.scale_values, zero_points=q.zero_points)
    same(q, again)
    q = fe.quantize(x, "nvfp4")
    same(q, fe.quantize(x, "nvfp4", scales=q.scale_values, second_scale=q.second_scale))
    one = fe.quantize(x, "absmax_int8", scales=0.5)
    np.testing.assert_array_equal(one.elements, np.clip(np.round(x / 0.5), -128, 127))
    tiny = fe.quantize([1e30, 1.0], "mxfp8_e4m3", scales=2.0**-100, pad=True)  # overflows float32 on the way
    assert tiny.codes.tolist() == [0x7E, 0x7E]
    assert fe.quantize(x, "mxfp4", scales=[3.0])[0, :32].scale_values == 2.0  # a tie, to the even code


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda x: fe.quantize(x, "mxfp5"), ValueError, "unknown scheme 'mxfp5'; did you mean"),
        (lambda x: fe.quantize(x, "e4m3"), ValueError, "'e4m3' is a format of single numbers, without scales"),
        (lambda x: fe.quantize(x, 3), TypeError, "scheme must be a name or a ScaledFormat"),
        (lambda x: fe.cast(x, "mxfp4"), ValueError, "mxfp4 is a scaled format"),
        (lambda x: fe.quantize(x[:, :40], "mxfp4"), ValueError, "blocks of 1 x 32 do not divide .* pad=True"),
        (lambda x: fe.quantize(x, "mxfp4", axis=2), ValueError, "axis 2 is out of range for 2 dimensions"),
        (lambda x: fe.quantize(x[0], "nvfp4_tile"), ValueError, "needs an axis before"),
        (lambda x: fe.quantize(x, "mxfp4", scale_rule="flor"), ValueError, "unknown scale rule 'flor'.*'floor'"),
        (lambda x: fe.quantize(x, "mxfp4", scale_rule="minmax"), ValueError, "needs zero points"),
        (lambda x: fe.quantize(x, "mxfp4", block=0), ValueError, "1 or more"),
        (lambda x: fe.quantize(x, "mxfp4", block=2.5), TypeError, "a block is a length"),
        (lambda x: fe.quantize(x, "mxfp4", block="rows"), ValueError, "unknown block 'rows'"),
        (lambda x: fe.quantize(x, "mxfp4", profile="exactly"), ValueError, "unknown profile .*'exact'"),
        (lambda x: fe.quantize(x, "mxfp4", rounding="nearest"), ValueError, "nearest_even"),
        (lambda x: fe.quantize(x, "nf4_64", rounding="stochastic"), ValueError, "a codebook has no quantum"),
        (lambda x: fe.quantize(x, "absmax_int8", scales=0.0), ValueError, "scales must be positive and finite"),
        (lambda x: fe.quantize(x, "absmax_int8", scales=np.nan), ValueError, "scales must be positive and finite"),
        (lambda x: fe.quantize(x, "absmax_int8", scales=[1.0, 2.0, 3.0]), ValueError, "do not fit blocks of shape"),
        (lambda x: fe.quantize(x, "absmax_int8", scales=1e-60), ValueError, "rounds to 0 in float32"),
        (lambda x: fe.quantize(x, "absmax_int8", scales=1.0, zero_points=1), ValueError, "has no zero points"),
        (lambda x: fe.quantize(x, "zeropoint_int8", scales=1.0), ValueError, "needs zero_points"),
        (lambda x: fe.quantize(x, "zeropoint_int8", zero_points=1), ValueError, "needs scales"),
        (lambda x: fe.quantize(x, "zeropoint_int8", scales=1.0, zero_points=200), ValueError, "-128 to 127"),
        (lambda x: fe.quantize(x, "zeropoint_int8", scales=1.0, zero_points=0.5), TypeError, "must be integers"),
        (lambda x: fe.quantize(x, "mxfp4", second_scale=1.0), ValueError, "has no second level"),
        (lambda x: fe.quantize(x, "nvfp4", scales=1.0), ValueError, "needs second_scale"),
        (lambda x: fe.quantize(x, "mxfp4", rounding="stochastic", rng=3.5), TypeError, "rng must be"),
        (lambda x: fe.quantize("abc", "mxfp4"), ValueError, "is not a number"),
        (lambda x: fe.register(fe.scheme("mxfp4").replace(name="int8")), ValueError, "taken by another format"),
        (lambda x: fe.register(fe.scheme("mxfp4").replace(name="nvfp4")), ValueError, "taken by another format"),
        (lambda x: fe.ScaledFormat("int8", 4, "int8"), ValueError, "scales must have a float format"),
        (lambda x: fe.ScaledFormat("e4m3", 4, zero_point="int8"), ValueError, "only for integer elements"),
        (lambda x: fe.ScaledFormat("int8", 4, zero_point="float16"), ValueError, "must be an integer format"),
        (lambda x: fe.ScaledFormat("int8", 4, name=""), ValueError, "must not be empty"),
        (lambda x: fe.ScaledFormat("int8", 4, name=3), TypeError, "must be a str"),
        (lambda x: fe.ScaledFormat("int8", 4, axis=1.0), TypeError, "axis must be an int"),
        (lambda x: fe.scheme("mxfp4").replace(blok=3), TypeError, "a scheme has no parameter 'blok'.*'block'"),
        (lambda x: fe.ScaleRule("a", "max"), ValueError, "unknown statistic"),
        (lambda x: fe.ScaleRule("a", divisor=0), ValueError, "above 0"),
        (lambda x: fe.ScaleRule("a", divisor=None), TypeError, "a word or a number"),
        (lambda x: fe.ScaleRule("a", rounding="stochastic"), ValueError, "cannot be rounded stochastically"),
        (lambda x: fe.ScaleProfile("a", infinite_block="inf"), ValueError, "unknown infinite_block"),
        (lambda x: fe.quantize(np.array([np.nan]), "absmax_int8",
                               profile=fe.ScaleProfile("a").replace(nan="error")), ValueError, "x contains a NaN"),
    ],
)  # fmt: skip
def test_errors_at_the_door(call, kind, words):
    with pytest.raises(kind, match=words):
        call(NUMBERS[:4, :64])


# -- schemes as data --------------------------------------------------------------------------------------------------


def test_schemes_are_formats_manners():
    mine = fe.ScaledFormat("e2m1", 8, "e4m3", "rceil", name="mine4")
    assert mine == fe.ScaledFormat("float4_e2m1fn", 8, "float8_e4m3fn", RULES["rceil"], name="other")
    assert hash(mine) == hash(fe.ScaledFormat("e2m1", 8, "e4m3", "rceil", name="other"))
    assert mine != mine.replace(block=16)
    assert fe.register(mine, "four of mine") is mine
    assert fe.scheme("FourOfMine") is mine
    assert fe.schemes()[-1] is mine
    assert fe.register(fe.ScaledFormat("e2m1", 8, "e4m3", "rceil", name="mine4")) is mine
    assert str(mine) == "mine4"
    assert eval(repr(mine), {"ScaledFormat": fe.ScaledFormat}) == mine
    for found in fe.schemes():
        registered = isinstance(found.element, fe.TableFormat) <= (found.element in fe.dtypes()) and not found.nested
        if found.profile == fe.ScaleProfile("exact") and registered:
            assert eval(repr(found), {"ScaledFormat": fe.ScaledFormat}) == found
    assert {"mxfp4", "nvfp4"} <= {found.name for found in fe.schemes()}


def test_special_blocks():
    inf = np.float32([np.inf, 1, 2, -3])
    nan = np.float32([np.nan, 1, 2, -3])
    for name in ("mxfp8_e4m3", "nvfp4", "absmax_int8"):
        for x in (inf, nan):
            q = fe.quantize(x, name, block=4)
            assert np.isnan(q.scale_values).all()
            assert np.isnan(q.dequantize()).all()
    both = np.concatenate([inf, np.float32([1, 2, 3, 4])])
    q = fe.quantize(both, "nvfp4", block=4)
    np.testing.assert_array_equal(np.isnan(q.dequantize()), [True] * 4 + [False] * 4)
    kept = fe.ScaleProfile("kept", infinite_block="saturate")
    assert fe.quantize(inf, "mxfp8_e4m3", block=4, profile=kept).scales[0] == 254
    bits = fe.ScaleProfile("bits", infinite_block="power")
    q = fe.quantize(inf, "mxfp8_e4m3", block=4, profile=bits)
    assert (q.scales[0], q.codes[0]) == (247, 0x7E)  # torchao's floor: 448 times 2^120
    zeros = fe.quantize(np.zeros(32, np.float32), "nvfp4")
    assert (zeros.second_scale, zeros.scales.tolist()) == (1.0, [0, 0])
    assert not zeros.dequantize().any()


@pytest.mark.parametrize("wide", [np.float32, np.float64])
def test_ranges_and_zero_points_by_fpu(wide):
    """At ties and beside, and of numbers far apart: as the general kernels have them."""
    draw = np.random.default_rng(6)
    high, low = (abs(draw.normal(size=3000)) * 2.0 ** draw.integers(-60, 60, 3000) for _ in "hl")
    found = statistics.Extremes(-low.astype(wide).astype(np.float64), high.astype(wide).astype(np.float64))
    odd = fe.subtract(found.high, found.low, result="float64", rounding="to_odd")
    np.testing.assert_array_equal(statistics.extent_of(found), odd)
    divisors = abs(draw.normal(size=3000)).astype(np.float32).astype(np.float64)
    ties = -(draw.integers(0, 300, 3000) + 0.5) * divisors
    for numbers in (found.low, ties, np.nextafter(ties, 0), np.nextafter(ties, -np.inf), ties.astype(np.float32)):
        numbers = np.asarray(numbers, np.float64)
        want = np.asarray(fe.divide(numbers, divisors, result="int64", rounding="nearest_even"))
        got = exact_scales.rounded_quotients(numbers, divisors, 24 + 28)
        np.testing.assert_array_equal(np.clip(got, -(1 << 27), 1 << 27), np.clip(want, -(1 << 27), 1 << 27))
    ends = exact_scales.rounded_quotients(np.array([np.nan, -1.0, -np.inf]), np.array([1.0, np.inf, 1.0]), 24 + 28)
    assert ends.tolist() == [0, 0, -(1 << 40)]


@float_environment.needed
@pytest.mark.parametrize("scheme", ["nvfp4", "nvfp4_tile"])
def test_four_over_six_of_short_blocks(scheme):
    """As though zeros followed, whatever the FPU's modes are."""
    x = blocks("random", 40)[:24] * np.float32(3)
    wide = np.zeros((32, 48), np.float32)
    wide[:24, :40] = x
    for error in ("mae", "mse"):
        q = fe.quantize(x, scheme, profile=f"transformer-engine-4over6-{error}", pad=True)
        whole = fe.quantize(wide, scheme, profile=f"transformer-engine-4over6-{error}")
        np.testing.assert_array_equal(q.codes, whole.codes[:24, :40])
        np.testing.assert_array_equal(q.scales, whole.scales[: len(q.scales)])
        with float_environment.changed("toward_zero"):
            again = fe.quantize(x, scheme, profile=f"transformer-engine-4over6-{error}", pad=True)
        np.testing.assert_array_equal(again.codes, q.codes)
        np.testing.assert_array_equal(again.scales, q.scales)

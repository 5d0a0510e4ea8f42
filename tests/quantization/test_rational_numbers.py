"""Scaled formats, reports and calibrations of numbers that float64 does not hold: as from exact fractions."""

from __future__ import annotations

import itertools
import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import fpemu as fe
from fpemu.arithmetic.doubles import doubles
from fpemu.casting.inputs import as_numbers
from tests.oracle import spec
from tests.oracle.exact_numbers import THIRD, N, number

TINY = THIRD**90
SCHEMES = ["mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e2m3", "mxfp4", "mxint8", "absmax_int8", "absmax_int4", "int8_group"]
SCHEMES += ["fp8_e4m3_1x128", "fp8_e4m3_1x128_pow2", "nvfp4_one_level", "nf4_64", "gguf_q8_0", "nvfp4"]


def rounded(x, fmt, rules):
    """The value and the code of a fraction in a format."""
    code = int(spec.encode([number(x)], fmt, fmt.check_profile(rules))[0])
    return Fraction(*fmt.exact(code).as_integer_ratio()), code


def exactly(blocks, scheme, second=None):
    """Codes, scales and the second level's scale by definition: each rounded once, in fractions."""
    rule = scheme.scale_rule
    rules = fe.profile("ieee").replace(rounding=rule.rounding, overflow="saturate")
    divisor = Fraction(scheme.divisor)
    if scheme.second_level is None:
        second = Fraction(1)
    elif second is None:
        most = max(abs(x) for block in blocks for x in block) / divisor / scheme.scale.exact(scheme.scale.max_code)
        second, _ = rounded(most, scheme.second_level, fe.profile("ieee"))
    codes, scales = [], []
    for block in blocks:
        scale, code = rounded(max(map(abs, block)) / divisor / second, scheme.scale, rules)
        scales.append(code)
        quotients = [x / (scale * second) if scale else math.copysign(0.0, x) for x in block]
        codes.append([rounded(x, scheme.element, scheme.own_profile.elements)[1] for x in quotients])
    return codes, scales, second


def hard_blocks(scheme, size, rng):
    """Blocks whose numbers lie just beside what decides: largest ones at thresholds of scales, others of elements."""
    element, scale = scheme.element, scheme.scale
    values = sorted(
        {
            Fraction(*element.exact(c).as_integer_ratio())
            for c in range(element.code_count)
            if c not in getattr(element, "nan_codes", ()) and np.isfinite(element.value(c))
        }
    )
    marks = [*values, *((a + b) / 2 for a, b in itertools.pairwise(values))]
    middle = int(fe.encode(1.0, scale))
    for _ in range(6):
        code = middle + int(rng.integers(-8, 8))
        low, high = (Fraction(scale.value(c)) for c in (code, code + 1))
        top = (low if rng.random() < 0.3 else (low + high) / 2) * Fraction(scheme.divisor)
        top *= 1 + int(rng.integers(-1, 2)) * TINY
        for s in (low, high):
            chosen = [
                marks[i] * s * (1 + int(rng.integers(-1, 2)) * TINY) for i in rng.integers(0, len(marks), size - 1)
            ]
            yield [top, *(x if abs(x) < top else top / 3 for x in chosen)]


@pytest.mark.parametrize("name", SCHEMES)
def test_quantize(name):
    """Beside thresholds of scales and elements, nearer than float64 tells apart; of text and other kinds too."""
    scheme = fe.scheme(name)
    size = scheme.block if isinstance(scheme.block, int) else 16
    scheme = scheme.replace(block=size)
    blocks = list(hard_blocks(scheme, size, np.random.default_rng(0)))
    blocks += [] if name == "nvfp4" else [[N, *[THIRD] * (size - 1)], [Fraction(1, 10**30) + TINY] * size]
    how = {"second_scale": 1} if scheme.second_level is not None else {}
    codes, scales, _ = exactly(blocks, scheme, *how.values())
    q = fe.quantize(blocks, scheme, **how)
    np.testing.assert_array_equal(q.scales.reshape(-1), scales)
    np.testing.assert_array_equal(q.codes, codes)
    near = fe.quantize(np.array(blocks, np.float64), scheme, **how)
    assert not (np.array_equal(near.codes, q.codes) and np.array_equal(near.scales, q.scales))  # the blocks are hard
    decimals = [[Decimal("0.1"), "1e-400", 2**60 + 1, *[np.longdouble(1) / 3] * (size - 3)]]
    fractions = [
        [Fraction(1, 10), Fraction(10) ** -400, 2**60 + 1, *[Fraction(*_third().as_integer_ratio())] * (size - 3)]
    ]
    assert np.array_equal(fe.quantize(decimals, scheme).codes, exactly(fractions, scheme)[0])


def test_quantize_with_two_levels():
    rng = np.random.default_rng(2)
    blocks = [[Fraction(int(n), 3) * 2 ** int(e) for n in rng.integers(-999, 999, 16)] for e in rng.integers(-4, 4, 8)]
    codes, scales, second = exactly(blocks, fe.scheme("nvfp4"))
    q = fe.quantize(blocks, "nvfp4")
    assert q.second_scale == second
    np.testing.assert_array_equal(q.scales.reshape(-1), scales)
    np.testing.assert_array_equal(q.codes, codes)


def _third():
    return np.longdouble(1) / 3


def test_quantize_other_numbers():
    """Integers of many digits, and values beyond float64, of formats."""
    blocks = [[2**60 + k for k in range(32)], [3 * 2**59 + 2**53 - 1] * 32]
    want = exactly([[Fraction(x) for x in block] for block in blocks], fe.scheme("mxfp8_e4m3"))
    for x in (np.array(blocks), fe.array(blocks, "int64"), blocks):
        q = fe.quantize(x, "mxfp8_e4m3")
        assert np.array_equal(q.codes, want[0])
        assert np.array_equal(q.scales.reshape(-1), want[1])
    huge = fe.array(["1e400"] * 32, "e15m40")
    assert fe.quantize(huge, "mxfp8_e4m3").scales == 254
    assert fe.fake_quantize([[THIRD] * 32], "mxfp8_e4m3").dtype == np.float64


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: fe.quantize(x, "zeropoint_uint8"), "the scale rule minmax compares or subtracts two numbers"),
        (lambda x: fe.quantize(x, "gguf_q4_0"), "the scale rule signed_absmax compares or subtracts two numbers"),
        (lambda x: fe.quantize(x, "bnb_fp4"), "rounding boundaries of bnb_fp4 have 53 digits"),
        (lambda x: fe.quantize(x, "mxfp8", rounding="stochastic", rng=1), "stochastic rounding depends on all"),
        (lambda x: fe.quantize(x, "mxfp8", profile="torchao"), "computes in float32"),
        (lambda x: fe.calibrate([x], "zeropoint_uint8"), "the scale rule minmax compares or subtracts two numbers"),
        (lambda x: fe.report(x, "zeropoint_uint8"), "the scale rule minmax compares or subtracts two numbers"),
        (lambda x: fe.report(x, "mxfp8", rounding="stochastic", rng=1), "stochastic rounding depends on all"),
    ],
)
def test_what_is_refused(call, words):
    """In words, and what they say to do works."""
    x = [THIRD, Fraction(2, 3)] * 128
    for wide in (x, np.array([2**53 + 1, 1] * 128)):
        with pytest.raises(ValueError, match=f"not exact in float(32|64).*{words}") as refusal:
            call(wide)
        assert len(str(refusal.value)) <= 300
        advice = str(refusal.value).rsplit("use ", 1)[1].removesuffix(" first")
        assert advice in ("fe.cast(x, 'float64')", "fe.cast(x, 'float32')")
        assert call(fe.cast(wide, advice[-9:-2])) is not None


@pytest.mark.parametrize("name", ["absmax_int8", "int8_channel", "fp8_e4m3_row", "mxfp4", "nvfp4"])
def test_calibrate(name):
    """Scales of the smallest and largest numbers, bit for bit those of `quantize`."""
    rng = np.random.default_rng(1)
    scheme = fe.scheme(name)
    x = [[Fraction(int(n), 3) * (2**9 + TINY) for n in rng.integers(-(2**62), 2**62, 32)] for _ in range(4)]
    for numbers in (x, rng.integers(2**53, 2**62, (4, 32)) | 1):
        q, found = fe.quantize(numbers, scheme), fe.calibrate(numbers, scheme)
        assert q.second_scale == found.second_scale
        if found.scales is not None:
            assert np.array_equal(np.ravel(found.scales), np.ravel(q.scale_values))
        assert np.array_equal(found.quantize(numbers).codes, q.codes)


# -- reports ----------------------------------------------------------------------------------------------------------


def statistics(x, y):
    """The exact errors, as floats at the end."""
    errors = [abs(b - a) for a, b in zip(x, y, strict=True)]
    mse = sum(e * e for e in errors) / len(x)
    signal, noise = sum(a * a for a in x), sum(e * e for e in errors)
    sqnr = 10 * (math.log10(signal) - math.log10(noise)) if noise else math.inf
    return float(mse), float(max(errors)), float(max(e / abs(a) for a, e in zip(x, errors, strict=True) if a)), sqnr


@pytest.mark.parametrize("name", ["float64", "bfloat16", "float16", "int64", "q15.16", "e15m40", "mxfp8_e4m3", "nf4"])
def test_report(name):
    """Errors of exact numbers: where float64 would see none, and elsewhere; of text, fractions and integers."""
    for x in (
        [2**40 + THIRD, 2**40 + 1],
        [2**40 + TINY, -(2**39) - TINY * 2**70] if name != "nf4" else [TINY, -TINY],
        [THIRD, Fraction(-2, 3), Fraction(1, 10)],
        [2**60 + 1, -(2**53) - 1],
        [2**60 + 1],
    ):
        if name in ("float16", "q15.16", "nf4"):  # in range
            x = [Fraction(a) / 2**61 for a in x]
        (row,) = fe.report(x, name, pad=name == "mxfp8_e4m3").rows
        if name == "mxfp8_e4m3":
            y = fe.quantize(x, name, pad=True).dequantize(np.float64)
            y = [Fraction(float(each)) for each in y]
        else:
            y = [Fraction(fe.dtype(name).exact(int(code))) for code in fe.encode(x, name)]
        want = statistics(list(map(Fraction, x)), y)
        assert (row.mse, row.max_error, row.max_relative_error) == pytest.approx(want[:3], rel=1e-12, abs=0), x
        assert row.sqnr == pytest.approx(want[3], rel=1e-9), x
        assert row.overflow == row.saturation == row.nan == 0


def test_report_of_arrays_and_files(tmp_path):
    """Integers of more digits than float64 has, in numpy's arrays too."""
    x = np.array([2**60 + 1, 2**53 + 1])
    assert [row.max_error for row in fe.report(x, ["float64", "int64", "bfloat16"]).rows] == [1, 0, 1]
    assert [row.max_error for row in fe.report(x, ["mxfp8"], pad=True).rows] == [1]
    far = fe.report(["1e-400", "1e300", -THIRD, np.nan, np.inf], ["float64", "bfloat16"])
    assert [row.underflow for row in far.rows] == [1 / 3, 1 / 3]
    assert (far.nan, far.infinite) == (1, 1)
    with pytest.raises(ValueError, match=r"element \[1\] is 1000.*, beyond float64, in which errors are summed"):
        fe.report([THIRD, 10**400], "bfloat16")
    with pytest.raises(ValueError, match="too far away"):
        fe.report(["1e-100000000"], "bfloat16")


def test_report_with_scales():
    x = [2**60 + 1, THIRD, Fraction(-7, 3)]
    for scale in (3.0, [3.0, 0.5, 1e-3]):
        (row,) = fe.report(x, "float8_e4m3fn", scale=scale).rows
        near = fe.report(np.array(x, np.float64), "float8_e4m3fn", scale=scale).rows[0]
        assert row.mse == pytest.approx(near.mse, rel=1e-12)
        assert row.saturation == near.saturation
    top = 2**60 + 1
    (row,) = fe.report([top], "float8_e4m3fn", scale="absmax").rows
    assert (row.overflow, row.saturation) == (0, 0)
    with fe.errstate(all="raise"):
        assert fe.report([THIRD, np.inf], "float16", scale=3.0).count == 2


def test_two_halves_are_the_number():
    x = [2**60 + 1, THIRD, -THIRD, 0.5, Fraction(1, 10) ** 200]
    values, more = doubles(as_numbers(x))
    for a, b, exact in zip(values.tolist(), more.tolist(), map(Fraction, x), strict=True):
        assert abs(Fraction(a) + Fraction(b) - exact) <= abs(exact) / 2**100
    assert doubles(as_numbers([0.5, 3])).more is None

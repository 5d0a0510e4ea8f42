"""GGUF's blocks: under their profile as the package gguf answered, else as fractions say; scales that have a sign."""

from fractions import Fraction

import numpy as np
import pytest

import fpemu as fe
import fpemu.quantization.blocks
from fpemu.quantization.definition.text import scheme_cells, scheme_lines
from tests.oracle import spec_scaled as spec
from tests.peers.witness.blocks import blocks
from tests.peers.witness.scaled import recorded, values_digest

SCHEMES = {"Q8_0": "gguf_q8_0", "Q4_0": "gguf_q4_0", "Q5_0": "gguf_q5_0"}
ROWS = 230  # of each
INF, NAN = np.inf, np.nan


def test_recorded():
    """Codes, scales with their signs, numbers, of all rows: also of those that C leaves undefined, as on x86."""
    rows = dict.fromkeys(SCHEMES, 0)
    for name, found in recorded("gguf").items():
        kind = found.scheme["kind"]
        if kind not in SCHEMES:
            continue
        q = fe.quantize(found.x, SCHEMES[kind], profile="gguf-0.19")
        np.testing.assert_array_equal(q.codes, found.codes, name)
        scales = q.scale_values.astype(np.float32)
        np.testing.assert_array_equal(scales, found.scales, name)
        signs, theirs = (np.signbit(part) & ~np.isnan(part) for part in (scales, found.scales))
        np.testing.assert_array_equal(signs, theirs, name)
        assert values_digest(q.dequantize()) == found.values, name
        rows[kind] += len(found.x)
    assert set(rows.values()) == {ROWS}


@pytest.mark.parametrize("wide", [np.float32, np.float64])
@pytest.mark.parametrize("name", SCHEMES.values())
def test_exact(name, wide):
    scheme = fe.scheme(name)
    zero, low, high = scheme.fixed_zero_point or 0, scheme.element.min_int, scheme.element.max_int
    x = np.concatenate([blocks(source, 32, "int8") for source in ("specials", "edges", "random", "ties")])
    x = x[np.isfinite(x).all(axis=1)][:: 1 if wide is np.float32 else 6].astype(wide)
    q = fe.quantize(x, name)
    values, wider = q.dequantize(), q.dequantize(np.float64)
    scales = q.scale_values.astype(np.float64)[:, 0].tolist()
    for i, (row, codes, scale) in enumerate(zip(x.tolist(), q.elements.tolist(), scales, strict=True)):
        statistic = spec.signed_largest(row) if zero else spec.largest_of(row)
        exact = spec.signed_scale(row, zero) if zero else spec.absmax_scale(row)
        want = spec.FLOAT16.of(abs(exact).numerator, exact.denominator, 1)
        assert abs(scale) == min(want, 65504.0)
        assert np.signbit(scale) == np.signbit(statistic) ^ (zero != 0)
        assert codes == [spec.quantize_exact(v, Fraction(scale), zero, low, high) for v in row]
        back = [Fraction(code - zero) * Fraction(scale) for code in codes]
        assert wider[i].tolist() == back
        assert values[i].tolist() == [float(np.float32(float(v))) for v in back]


@pytest.mark.parametrize(
    ("scheme", "x", "exact", "theirs"),
    [
        # integers, then scales: d is float32 for the codes and rounds later; ties; d that float16 does not hold
        ("gguf_q8_0", [127, 0.5, 1.5, -2.5], ([127, 0, 2, -2], 1.0), ([127, 1, 2, -3], 1.0)),
        ("gguf_q8_0", [127 * 1.0004, 63.5], ([127, 64, 0, 0], 1.0), ([127, 63, 0, 0], 1.0)),
        ("gguf_q8_0", [1e-6, 5e-7], ([0, 0, 0, 0], 0.0), ([127, 63, 0, 0], 0.0)),
        ("gguf_q8_0", [1e7, 5e6], ([127, 76, 0, 0], 65504.0), ([127, 64, 0, 0], INF)),
        ("gguf_q8_0", [INF, 1], ([0, 0, 0, 0], NAN), ([0, 0, 0, 0], INF)),
        ("gguf_q8_0", [NAN, 1], ([0, 0, 0, 0], NAN), ([0, 0, 0, 0], NAN)),
        ("gguf_q4_0", [-8, 0.5, -0.5, 8], ([0, 8, 8, 15], 1.0), ([0, 9, 8, 15], 1.0)),
        ("gguf_q4_0", [8, 0.5, -0.5, -8], ([0, 8, 8, 15], -1.0), ([0, 8, 9, 15], -1.0)),
        ("gguf_q4_0", [2.0**-129, 0], ([8, 8, 8, 8], -0.0), ([0, 0, 0, 0], -0.0)),
        ("gguf_q5_0", [0, -0.0, -16.5, 16.5], ([16, 16, 0, 31], 1.03125), ([16, 16, 0, 31], 1.03125)),
        ("gguf_q5_0", [0, -0.0, 0, 0], ([16] * 4, -0.0), ([16] * 4, -0.0)),
        ("gguf_q5_0", [-0.0, 0, 0, 0], ([16] * 4, 0.0), ([16] * 4, 0.0)),
        ("gguf_q5_0", [-INF, 1, INF, 0], ([16] * 4, NAN), ([0, 16, 0, 16], INF)),
    ],
)
def test_by_hand(scheme, x, exact, theirs):
    for profile, (codes, scale) in (("exact", exact), ("gguf", theirs)):
        q = fe.quantize(np.float32(x), scheme, profile=profile, pad=True)
        assert q.elements.tolist() == codes[: len(x)]
        np.testing.assert_array_equal(q.scale_values, np.float16([scale]))
        assert np.isnan(scale) or np.signbit(q.scale_values[0]) == np.signbit(scale)


def test_bytes():
    """The page's recipe, against a block written down by hand; and there are 18, 34 and 22 bytes to a block."""
    x = np.concatenate([np.arange(-8, 8), np.arange(8)[::-1], np.arange(-8, 0)]).astype(np.float32)
    for kind in ("gguf_q8_0", "gguf_q4_0", "gguf_q5_0"):
        q = fe.quantize(x, kind, profile="gguf")
        assert q.nbytes == {"gguf_q8_0": 34, "gguf_q4_0": 18, "gguf_q5_0": 22}[kind]
        assert q.pack().zero_points is None
    q = fe.quantize(x, "gguf_q4_0", profile="gguf")
    low, high = q.codes.reshape(-1, 2, 16).swapaxes(0, 1)
    whole = np.concatenate([q.scales.reshape(-1, 1).astype("<u2").view(np.uint8), low | high << 4], axis=1)
    assert whole.tobytes().hex() == "003c" + "f0e1d2c3b4a5968708192a3b4c5d6e7f"


# -- scales with a sign -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["exact", "gguf"])
def test_which_is_first(profile, monkeypatch):
    """The sign is that of the first of equals, also where a block is cut, shorter, gathered, or float64."""
    draw = np.random.default_rng(3)
    x = draw.integers(-3, 4, (40, 64)).astype(np.float32)
    x[5], x[6], x[7, ::2] = 0.0, -0.0, -0.0
    first = np.take_along_axis(x, abs(x).argmax(axis=1)[:, None], axis=1)
    scheme = fe.scheme("gguf_q4_0").replace(block=64, profile=profile)
    q = fe.quantize(x, scheme)
    np.testing.assert_array_equal(q.scale_values, (first / -8).astype(np.float16))
    np.testing.assert_array_equal(np.signbit(q.scale_values), ~np.signbit(first))
    turned = fe.quantize(np.ascontiguousarray(x.T), scheme, axis=0)
    np.testing.assert_array_equal(turned.codes.T, q.codes)
    np.testing.assert_array_equal(fe.quantize(x.astype(np.float64), scheme).codes, q.codes)
    short = fe.quantize(x[:, :61], scheme, block=20, pad=True)
    np.testing.assert_array_equal(short[:, 60:].scale_values[:, 0], (x[:, 60] / -8).astype(np.float16))
    if profile == "exact":
        whole = [fe.quantize(row, scheme, block="tensor") for row in x]
        monkeypatch.setattr(fpemu.quantization.blocks, "CHUNK_ELEMENTS", 16)
        monkeypatch.setattr(fpemu.quantization.blocks, "LONGEST_BLOCK", 8)
        for row, before in zip(x, whole, strict=True):
            after = fe.quantize(row, scheme, block="tensor")
            assert after.scales == before.scales
            np.testing.assert_array_equal(after.codes, before.codes)
        assert np.isnan(fe.quantize(np.append(x[0], [NAN] * 8), scheme, block="tensor").scale_values)


@pytest.mark.parametrize("scale", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("element", ["float8_e4m3fn", "float4_e2m1fn", "nf4", "int8", "int12", "q1.6"])
def test_both_signs(element, scale):
    """The numbers' negatives have the same codes under the negative scales, whichever way quotients come about."""
    x = np.random.default_rng(4).standard_t(2, (64, 96)).astype(np.float32)
    x[::3, ::5] = np.rint(x[::3, ::5])
    scheme = fe.ScaledFormat(element, 32, scale, "signed_absmax")
    one, other = fe.quantize(x, scheme), fe.quantize(-x, scheme)
    assert 0.3 < np.signbit(one.scale_values).mean() < 0.7
    np.testing.assert_array_equal(one.codes, other.codes)
    np.testing.assert_array_equal(one.scale_values, -other.scale_values)
    np.testing.assert_array_equal(one.dequantize(), -other.dequantize())
    positive = np.where(np.repeat(np.signbit(one.scale_values), 32, axis=1), -x, x)
    given = fe.quantize(positive, scheme.replace(scale_rule="absmax"), scales=np.abs(one.scale_values))
    np.testing.assert_array_equal(one.codes, given.codes)


def test_infinite_blocks():
    x = np.float32([1, -INF, INF, 2])
    scheme = fe.scheme("gguf_q4_0").replace(block=4)
    assert np.isnan(fe.quantize(x, scheme).scale_values)
    kept = fe.ScaleProfile("kept", infinite_block="saturate")
    q = fe.quantize(x, scheme, profile=kept)
    assert (q.scale_values.item(), q.codes.tolist()) == (65504.0, [8, 0, 15, 8])
    power = fe.ScaleProfile("power", infinite_block="power")
    assert fe.quantize(-x, scheme.replace(scale="float32"), profile=power).scale_values == -(2.0**125)


def test_any_element():
    """The rule is for floats, codebooks and signed integers too; the others' scales under a fixed zero point."""
    x = np.float32([1.0, -6.0, 3.0, 6.0])
    q = fe.quantize(x, fe.ScaledFormat("e2m1", 4, "float32", "signed_absmax"))
    assert (q.scale_values.item(), q.dequantize().tolist()) == (1.0, x.tolist())
    q = fe.quantize(x, fe.ScaledFormat("nf4", 4, "bfloat16", "signed_absmax"))
    assert (q.scale_values.item(), q.dequantize()[[1, 3]].tolist()) == (6.0, [-6.0, 6.0])
    q = fe.quantize(x, fe.ScaledFormat("int4", 4, "float16", "signed_absmax"))
    assert (q.scale_values.item(), q.elements.tolist()) == (0.75, [1, -8, 4, 7])
    middle = fe.ScaledFormat("uint8", 4, zero_point=128)
    q, plain = fe.quantize(x, middle), fe.quantize(x, fe.ScaledFormat("int8", 4))
    np.testing.assert_array_equal(q.codes, plain.elements.astype(int) + 128)
    np.testing.assert_array_equal(q.dequantize(), plain.dequantize())
    assert q.zero_points.tolist() == [128]
    assert (q.nbytes, middle.bits_per_block) == (8, 32)
    found = fe.calibrate(x, middle.replace(block="tensor"), "mse")
    assert found.zero_points is None
    np.testing.assert_array_equal(found.quantize(x).codes, fe.quantize(x, middle, scales=found.scales).codes)
    given = fe.quantize(x, middle, scales=0.5)
    assert given.elements.tolist() == [130, 116, 134, 140]
    given = fe.quantize(x, "gguf_q4_0", profile="gguf", scales=-0.5, pad=True)
    assert given.elements.tolist() == [6, 15, 2, 0]
    product = fe.quantized_matmul(fe.quantize(x[None], "gguf_q4_0", block=4), fe.quantize(x[:, None], middle, axis=0))
    other = q.dequantize(np.float64) @ fe.quantize(x, "gguf_q4_0", block=4).dequantize(np.float64)
    assert product.item() == np.float32(other)


def test_words():
    scheme = fe.scheme("gguf_q4_0")
    assert repr(scheme) == (
        "ScaledFormat('uint4', block=32, scale='float16', scale_rule='signed_absmax', zero_point=8, name='gguf_q4_0')"
    )
    assert scheme == scheme.replace(zero_point=np.int64(8)) != scheme.replace(zero_point=7)
    assert scheme_cells(scheme)[4:] == ["signed_absmax", "8", "-", "4.5"]
    lines = "\n".join(scheme_lines(scheme))
    assert "float16: signed_absmax / lowest, rounded nearest_even" in lines
    assert "zero point    8\n" in lines
    assert f"largest       {8 * 65504}\n" in lines
    assert f"largest       {127 * 65504:.6g}\n" in "\n".join(scheme_lines(fe.scheme("gguf_q8_0")))
    assert scheme.profiles() == ["exact", "onnx-1.23", "onnxruntime-1.32", "gguf-0.19"]


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: fe.scheme("gguf_q4_1"), ValueError, "did you mean 'gguf_q4_0'"),
        (lambda: fe.quantize([1.0] * 40, "gguf_q4_0"), ValueError, "blocks of 32 do not divide"),
        (lambda: fe.ScaledFormat("int4", 4, "e8m0", "signed_absmax"), ValueError, "needs signed scales"),
        (lambda: fe.ScaledFormat("uint4", 4, "float16", "signed_absmax"), ValueError, "use an integer as zero_point="),
        (
            lambda: fe.ScaledFormat(fe.TableFormat("t", [0.0, 1.0]), 4, "float16", "signed_absmax"),
            ValueError,
            "no negative value to scale to",
        ),
        (lambda: fe.ScaledFormat("e8m0", 4, "float16", "signed_absmax"), ValueError, "no negative value"),
        (
            lambda: fe.scheme("nvfp4").replace(scale_rule="signed_absmax"),
            ValueError,
            "scales of one level: use second_level=None",
        ),
        (lambda: fe.ScaledFormat("uint4", 4, zero_point=15), ValueError, "must be 0 to 14, .*, not 15"),
        (lambda: fe.ScaledFormat("uint4", 4, zero_point=-1), ValueError, "must be 0 to 14, .*, not -1"),
        (lambda: fe.ScaledFormat("e4m3", 4, zero_point=1), ValueError, "only for integer elements"),
        (lambda: fe.ScaledFormat("uint4", 4, zero_point=True), TypeError, "not True"),
        (lambda: fe.scheme("gguf_q4_0").replace(scale_rule="minmax"), ValueError, "needs zero points"),
        (
            lambda: fe.quantize([1.0] * 32, "gguf_q4_0", scales=1.0, zero_points=8),
            ValueError,
            "has the zero point 8 in all blocks: leave zero_points out",
        ),
        (lambda: fe.quantize([1.0] * 32, "gguf_q4_0", scales=0.0), ValueError, "scales must be finite and not 0"),
        (lambda: fe.quantize([1.0] * 32, "gguf_q4_0", scales=-1e-9), ValueError, "rounds to 0 in float16"),
        (lambda: fe.quantize([1.0] * 32, "gguf_q8_0", scales=-1.0), ValueError, "must be positive and finite"),
        (lambda: fe.quantize([0.1] * 32, "gguf_q8_0", profile="gguf"), ValueError, "computes in float32"),
        (lambda: fe.quantize([1.0] * 32, "mxfp4", profile="gguf"), ValueError, "it is for Q8_0; Q4_0 and Q5_0"),
        (
            lambda: fe.Calibration(fe.scheme("gguf_q4_0").replace(block="tensor")),
            ValueError,
            "depend on the order of the numbers: use quantize",
        ),
    ],
)
def test_bad_input(call, kind, words):
    with pytest.raises(kind, match=words):
        call()

"""What quantize and its results refuse, and in which words."""

from __future__ import annotations

import re

import numpy as np
import pytest

import fpemu as fe

X = np.random.default_rng(0).normal(size=(4, 64)).astype(np.float32)


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: fe.quantize(X, "mxfp4", out=np.zeros(32)), TypeError, "out must be a Quantized, .*, not ndarray"),
        (lambda: fe.quantize(X, "mxfp4", out=(X, X)), TypeError, "not tuple"),
        (lambda: fe.quantize(fe.quantize(X, "mxfp4"), "mxfp4"), TypeError, r"already quantized: .*x\.dequantize\(\)"),
        (lambda: fe.fake_quantize(fe.quantize(X, "mxfp4"), "nvfp4"), TypeError, "already quantized"),
        (lambda: fe.quantize(X, "nvfp4", second_scale=[1, 2]), ValueError, r"one number .* shape \(2,"),
        (lambda: fe.quantize(X, "bnb_nf4", second_scale=[1.0]), ValueError, r"not an array of shape \(1,\)"),
        (lambda: fe.quantize(X, "nvfp4", second_scale=object()), TypeError, "no exact value"),
        (lambda: fe.quantize(X, "nvfp4", second_scale=-1.0), ValueError, "must be positive"),
        (lambda: fe.quantize(X, "nvfp4", second_scale=1e-60), ValueError, "second_scale: 1e-60 rounds to 0 in float32"),
        (lambda: fe.quantize(X, "nvfp4", second_scale=1e60), ValueError, r"1e\+60 is out of range in float32"),
        *(
            (lambda name=name, bad=bad: fe.quantize(X, name, second_scale=bad), ValueError, "must be finite")
            for name in ("bnb_nf4", "bnb_fp4", "nvfp4")
            for bad in (np.nan, np.inf, -np.inf)
        ),
        (lambda: fe.quantize(X, "bnb_nf4", second_scale=1e39), ValueError, "must be finite, not inf"),
        (
            lambda: fe.quantize(
                np.ones(1 << 17, np.float32),
                fe.scheme("nvfp4").replace(block=1 << 17),
                profile="transformer-engine-4over6-mae",
            ),
            ValueError,
            "profile transformer-engine-4over6-mae .* at most 65,536 elements",
        ),
        (lambda: fe.scheme("uint64_tensor"), ValueError, "zero points are only for integers of at most 32 bits"),
        (lambda: fe.scheme("uint64_asym_row"), ValueError, "zero points are only for integers of at most 32 bits"),
    ],
)  # fmt: skip
def test_bad_input(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


LEAST = {"mxfp4": 2.0**-127, "absmax_int8": 2.0**-149, "gguf_q4_0": 2.0**-24}
MOST = {"mxfp4": 2.0**127, "absmax_int8": 2.0**128 - 2.0**104, "gguf_q4_0": 65504.0}


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("mxfp4", {0.8: LEAST, 1.4: MOST}, {0.7: LEAST, 1.6: MOST, 2.0: MOST, 1e40: MOST, 1e-40: LEAST}),
        ("absmax_int8", {0.6: LEAST, 1 + 2.0**-26: MOST}, {0.5: LEAST, 1e-20: LEAST, 1 + 2.0**-24: MOST, 1e20: MOST}),
        ("gguf_q4_0", {0.6: LEAST, -0.6: LEAST, -1.0002: MOST}, {0.5: LEAST, -0.5: LEAST, -1.0003: MOST, 1e9: MOST}),
    ],
)
def test_given_scales_at_the_ends(name, good, bad):
    """What rounds to a scale of the format is taken, whatever lies beyond is not."""
    for factor, ends in good.items():
        end = ends[name]
        for scale in (end, factor * end):
            found = fe.quantize(X, name, scales=scale).scale_values
            assert (np.asarray(found, np.float64) == np.copysign(end, scale)).all()
    for factor, ends in bad.items():
        words = rf"(rounds to 0|is out of range) in {fe.scheme(name).scale}, which has [\d.e-]+ to [\d.e+]+"
        with pytest.raises(ValueError, match=words):
            fe.quantize(X, name, scales=factor * ends[name])


def test_parts_of_scales_of_scales():
    q = fe.quantize(np.tile(X, (8, 256)), "bnb_nf4")  # 256 scales in each row
    np.testing.assert_array_equal(q[3:5].dequantize(), q.dequantize()[3:5])
    with pytest.raises(ValueError, match=r"has the scales 0:4, .* must begin and end at multiples of 256 scales"):
        q[0, :256]
    with pytest.raises(ValueError, match="are not consecutive in C order"):
        q[:, :64]
    with pytest.raises(ValueError, match="0:32 cuts a block of axis 1, whose blocks have 64 elements"):
        q[:, :32]


@pytest.mark.parametrize("pad", ["no", "", None, [], 1.0, (1,)])
def test_pad_is_true_or_false(pad):
    x = np.ones((4, 40), np.float32)
    for call in (fe.quantize, fe.fake_quantize, fe.calibrate, fe.report):
        with pytest.raises(
            TypeError, match=rf"^(quantize|calibrate|report): pad must be True or False, not {re.escape(repr(pad))}"
        ):
            call(x, "mxfp4", pad=pad)
        for yes in (True, 1, np.True_, np.int64(1)):
            call(x, "mxfp4", pad=yes)


def test_memory_of_other_shapes_is_told():
    """What is wrong with `out` is told in the words of scales and schemes."""
    x = np.ones((4, 64), np.float32)
    for out in (fe.quantize(x, "nvfp4"), fe.quantize(x[:2], "mxfp4"), fe.quantize(x, "mxfp4", axis=0, pad=True)):
        with pytest.raises(
            ValueError, match=r"for mxfp4 out must have shape \(4, 64\) and scales of shape \(4, 2\), not <Q"
        ):
            fe.quantize(x, "mxfp4", out=out)

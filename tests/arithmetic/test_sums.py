"""Reductions as users call them: axes, what goes in, what comes out, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import fpemu as fe
from fpemu.kernels import threads

E4M3 = "float8_e4m3fn"
X = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4) % 7 - 2


@pytest.mark.parametrize("accumulate", [None, "float32"])
@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 2), (2, 0), (1,), (0, 1, 2), ()])
def test_axes(axis, accumulate):
    """As numpy has them, with the dimensions and without."""
    for x in (X, X.transpose(2, 0, 1), X[:, ::-1], X[:0], X.astype(">f4")):
        for keepdims in (False, True):
            how = {"axis": axis, "keepdims": keepdims}
            found = fe.sum(x, result="float32", accumulate=accumulate, **how)
            np.testing.assert_array_equal(found, np.sum(x, **how), strict=True)
            if x.size:
                found = fe.mean(x, result="float64", accumulate=accumulate, **how)
                np.testing.assert_array_equal(found, np.mean(x, dtype=np.float64, **how))


@pytest.mark.parametrize("accumulate", [None, "float32"])
@pytest.mark.parametrize("axis", [None, 0, 1, 2, -1, -3])
def test_running_axes(axis, accumulate):
    for x in (X, X.transpose(2, 0, 1), X[:0], X[:, :, :0]):
        found = fe.cumsum(x, axis=axis, result="float32", accumulate=accumulate)
        np.testing.assert_array_equal(found, np.cumsum(x, axis=axis), strict=True)


@pytest.mark.parametrize("accumulate", [None, "float32"])
def test_dot_axes(accumulate):
    how = {"result": "float32", "accumulate": accumulate}
    np.testing.assert_array_equal(fe.vecdot(X, X, **how), np.sum(X * X, -1))
    np.testing.assert_array_equal(fe.vecdot(X, X[0, 0], **how), X @ X[0, 0])
    np.testing.assert_array_equal(fe.vecdot(X[:, :1], X[0], **how), np.sum(X[:, :1] * X[0], -1))
    np.testing.assert_array_equal(fe.vecdot(X, X[0], axis=-2, **how), np.sum(X * X[0], -2))
    np.testing.assert_array_equal(fe.vecdot(X, X, axis=0, **how), np.sum(X * X, 0))
    assert fe.dot(X[0, 0], X[0, 1], **how) == X[0, 0] @ X[0, 1]
    assert fe.dot(np.uint8([255, 255]), np.int64([1, 2**62]), result="float64") == 255 * 2**62


def test_what_comes_out():
    a = fe.array([[1.0, 2.0], [3.0, 4.0]], E4M3, profile="onnx-saturate")
    assert fe.sum(a).format == fe.dtype(E4M3)
    assert fe.sum(a).profile == a.profile
    assert fe.sum(a, axis=0).shape == (2,)
    assert fe.sum(a).values == 10
    assert fe.sum(fe.array([448.0] * 3, E4M3, profile="onnx-saturate")).values == 448
    assert fe.vecdot(a, [1, 1]).values.tolist() == [3, 7]
    assert type(fe.sum([1.0, 2.0], result="float16")) is np.float32
    assert fe.sum(5, result="int8") == 5
    assert fe.cumsum(5, result="int8").tolist() == [5]
    book = fe.TableFormat("thirds", [-1.0, 1 / 3])
    assert fe.sum(fe.Array([1, 1, 1], book), result="float64").values == 1
    out = np.zeros(2, np.uint8)
    assert fe.sum(a, axis=1, out=out) is out
    np.testing.assert_array_equal(out, fe.encode([3.0, 7.0], E4M3))
    for empty in (fe.sum([], result="float16"), fe.sum([], result="float16", accumulate="float16")):
        assert empty == 0
        assert not np.signbit(empty)
    assert np.isnan(fe.mean([], result="float16", accumulate="float16"))


def test_steps_have_rules_of_their_own():
    """The named profile's; the result's for its own format; else their format's."""
    many = fe.array([448.0] * 3, E4M3, profile="cuda-satfinite")
    assert fe.sum(many, accumulate=E4M3).values == 448
    assert np.isnan(fe.sum(many, accumulate=E4M3, profile="ieee").values)
    assert fe.sum(many, accumulate=E4M3, profile="ieee", overflow="saturate").values == 448
    assert fe.sum(many, accumulate="float16", result="float32").values == 1344
    assert fe.sum(many, accumulate=E4M3, result="float32").values == 448  # an Array's, where it has their format
    ones = [1.0, 2**-8, 2**-8]
    how = {"result": "bfloat16", "accumulate": "bfloat16"}
    assert fe.sum(ones, **how) == 1
    assert fe.sum(ones, rounding="toward_positive", **how) == 1 + 2**-6


def test_rounding_twice():
    """A profile that goes through float32 does so here, too, once."""
    x = [1.0, 2**-11, 2**-40]  # above a tie of float16, on it in float32
    twice = fe.profile("ieee").replace(through="float32")
    assert fe.sum(x, result="float16") == 1 + 2**-10
    assert fe.sum(x, result="float16", profile=twice) == 1
    with pytest.raises(ValueError, match="has no flags"):
        fe.sum(x, result="float16", profile=twice, return_flags=True)
    with pytest.raises(ValueError, match="round twice"):
        fe.sum(x, result="float16", profile=twice, accumulate="float16")


@pytest.mark.parametrize("name", ["sum", "cumsum"])
def test_random_places(name, monkeypatch):
    """A result's integer is that of its place in C order, whatever the axis and the pieces."""
    x = np.random.default_rng(1).standard_normal((30, 5, 20))
    how = {"result": E4M3, "rounding": "stochastic"}
    for axis in (0, 1, 2):
        exact = np.asarray(getattr(np, name)(np.round(x * 2**20), axis=axis) / 2**20)
        expected = fe.cast(exact, E4M3, rounding="stochastic", rng=3, rng_offset=11)
        given = np.round(x * 2**20) / 2**20
        found = getattr(fe, name)(given, axis=axis, rng=3, rng_offset=11, **how)
        np.testing.assert_array_equal(found, expected)
        randoms = np.random.default_rng(2).integers(0, 1 << 32, expected.shape)
        expected = fe.cast(exact, E4M3, rounding="stochastic", random_bits=randoms)
        np.testing.assert_array_equal(getattr(fe, name)(given, axis=axis, random_bits=randoms, **how), expected)


@pytest.mark.parametrize("how", [{}, {"accumulate": "bfloat16"}, {"accumulate": "bfloat16", "rounding": "toward_zero"}])
def test_pieces(how, monkeypatch):
    """Many rows over several threads."""
    monkeypatch.setattr(threads, "CHUNK", 1000)
    x = np.random.default_rng(1).standard_normal((1 << 16 | 5, 3)).astype(np.float32)
    for name in ("sum", "cumsum"):
        whole, flags = getattr(fe, name)(x, axis=1, result="bfloat16", return_flags=True, **how)
        part, some = getattr(fe, name)(x[-7:], axis=1, result="bfloat16", return_flags=True, **how)
        np.testing.assert_array_equal(whole[-7:], part)
        np.testing.assert_array_equal(flags.bits[-7:], some.bits)
        np.testing.assert_array_equal(whole, getattr(fe, name)(x, axis=1, result="bfloat16", **how))


def test_wide_ranges():
    """An accumulator as long as it must be."""
    wide = fe.FloatFormat("wide", 20, 4, bias=(1 << 15) - 1)
    x = fe.Array([wide.max_code, 1, wide.max_code | wide.sign_mask], wide)
    assert fe.sum(x).codes == 1
    assert fe.dot(x, x).codes == wide.infinity_code
    widest = fe.FloatFormat("widest", 30, 6)  # 24 exponent bits
    x = fe.Array([widest.max_code, 1, widest.max_code | widest.sign_mask], widest)
    assert fe.sum(x).codes == 1
    assert fe.sum(x, accumulate=widest).codes == 0
    assert fe.dot(x, x, result="float32").values == np.inf


def test_bad_input():
    a, b = fe.array([1.0, 2.0], E4M3), fe.array([1.0, 2.0], "float8_e5m2")
    with pytest.raises(ValueError, match=r"specify the result's format: sum\("):
        fe.sum([1.0])
    with pytest.raises(ValueError, match="use result="):
        fe.dot(a, b)
    with pytest.raises(ValueError, match="2 and 3 numbers along the axis"):
        fe.dot(a, [1, 2, 3])
    with pytest.raises(ValueError, match="do not broadcast"):
        fe.vecdot(np.ones((2, 2)), np.ones((3, 2)), result="int8")
    with pytest.raises(ValueError, match=r"use fpemu.multiply"):
        fe.dot(a, 1.0)
    with pytest.raises(ValueError, match="axis 1 is out of range"):
        fe.sum(a, axis=1)
    with pytest.raises(ValueError, match="stands twice"):
        fe.sum(np.ones((2, 2)), axis=(0, -2), result="int8")
    for wrong in (1.0, True, "0", (0.5,)):
        with pytest.raises(TypeError, match="axis must be"):
            fe.sum(a, axis=wrong)
    for wrong in ((0,), None, 0.0):
        with pytest.raises(TypeError, match="axis must be"):
            fe.vecdot(a, a, axis=wrong)
    with pytest.raises(TypeError, match="axis must be"):
        fe.cumsum(a, axis=(0,))
    with pytest.raises(ValueError, match=r"'sequential', 'pairwise' or an int.*did you mean 'pairwise'"):
        fe.sum(a, accumulate=E4M3, summation="pairwize")
    with pytest.raises(ValueError, match="1 or more"):
        fe.sum(a, accumulate=E4M3, summation=0)
    with pytest.raises(TypeError, match="summation"):
        fe.sum(a, accumulate=E4M3, summation=2.0)
    with pytest.raises(ValueError, match="allowed are exact, rounded"):
        fe.dot(a, a, accumulate=E4M3, products="fused")
    with pytest.raises(TypeError, match="products of dot must be a str"):
        fe.dot(a, a, accumulate=E4M3, products=True)
    for how in ({"summation": "pairwise"}, {"products": "rounded"}):
        with pytest.raises(ValueError, match="without accumulate="):
            fe.dot(a, a, **how)
    with pytest.raises(ValueError, match="a codebook"):
        fe.sum(a, accumulate="nf4")
    with pytest.raises(ValueError, match="a codebook"):
        fe.sum(a, result="nf4")
    with pytest.raises(TypeError, match="unexpected keyword argument 'dtype'"):
        fe.sum(a, dtype="float32")
    with pytest.raises(ValueError, match="use rng"):
        fe.sum(a, accumulate=E4M3, rounding="stochastic", random_bits=np.uint32(1))
    with pytest.raises(ValueError, match="sums and products of integers"):
        fe.mean([1, 2], result="int8", overflow="wrap")
    with pytest.raises((TypeError, ValueError), match="out"):
        fe.sum(a, out=np.zeros(3, np.uint8))


@pytest.mark.parametrize("through", ["none", "float32"])
@pytest.mark.parametrize("name", ["sum", "mean", "dot", "vecdot", "cumsum"])
def test_subnormal_operands_as_zero(name, through):
    """`subnormals_in` is a rule for operands, also where the result is rounded through float32."""
    rules = fe.profile("ieee").replace(subnormals_in="zero", through=through)
    x = fe.array([2.0**-16, 2.0**-14, 3 * 2.0**-24, 1.0], "float16")  # two subnormals
    without = fe.array([0.0, 2.0**-14, 0.0, 1.0], "float16")
    ones = (fe.array(np.ones(4), "float16"),) if "dot" in name else ()
    reduction = getattr(fe, name)
    actual = reduction(x, *ones, result="float32", profile=rules)
    np.testing.assert_array_equal(actual.values, reduction(without, *ones, result="float32").values)

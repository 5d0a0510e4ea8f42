"""Operations as users call them: what goes in, what comes out, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import fpemu as fe

E4M3, E5M2 = "float8_e4m3fn", "float8_e5m2"


def test_what_comes_out():
    assert type(fe.add(1, 2, result="float16")) is np.float32
    assert fe.add(1, 2, result="int8").dtype == np.int8
    assert fe.add([1.0], 2, result="float64").dtype == np.float64
    a = fe.array([1.0, 2.0], E4M3)
    assert isinstance(fe.add(a, 1.0), fe.Array)
    assert fe.add(1.0, a).format == fe.dtype(E4M3)
    assert fe.add(a, a, result="float16").format == fe.dtype("float16")
    assert fe.multiply(a, np.ones((3, 1))).shape == (3, 2)
    assert fe.add(a, np.empty((0, 2))).shape == (0, 2)
    assert fe.sqrt(fe.array(4.0, E4M3)).shape == ()


def test_plain_numbers_are_exact():
    """No operand is rounded to the result's format first."""
    assert fe.subtract(1 + 2**-40, 1, result=E4M3, rounding="away_from_zero") == 2**-9
    assert fe.add(np.int64(2**62 + 1), -(2**62), result="float16") == 1
    assert fe.add(np.uint64(2**64 - 1), np.int64(-1), result="uint64") == 2**64 - 2
    book = fe.TableFormat("two thirds", [-1.0, 2 / 3])
    assert fe.multiply(fe.Array([1], book), 3.0, result="float64").values == 2.0


def test_strides_and_byte_orders():
    x = np.arange(24, dtype=">f4").reshape(4, 6)[::2, ::-3]
    expected = np.asarray(x, np.float32) + 0.5
    np.testing.assert_array_equal(fe.add(x, 0.5, result="float32"), expected)
    np.testing.assert_array_equal(fe.add(x.T, 0.5, result="float32"), expected.T)


def test_out():
    codes = np.zeros(2, np.uint8)
    assert fe.add([1.0, 2.0], 1.0, result=E4M3, out=codes) is codes
    np.testing.assert_array_equal(codes, fe.encode([2.0, 3.0], E4M3))
    a = fe.Array(codes, E4M3)
    fe.add(a, a, out=codes)  # in place
    np.testing.assert_array_equal(a.values, [4.0, 6.0])
    some = np.arange(2000, dtype=np.uint8) & 0x3F
    expected = fe.add(fe.Array(some[:-1], E4M3), 1.0).codes
    overlapping = some.copy()
    fe.add(fe.Array(overlapping[:-1], E4M3), 1.0, out=overlapping[1:])
    np.testing.assert_array_equal(overlapping[1:], expected)
    every_other = np.zeros((1999, 2), np.uint8)
    fe.add(fe.Array(some[:-1], E4M3), 1.0, out=every_other[:, 1])
    np.testing.assert_array_equal(every_other[:, 1], expected)
    for wrong in (np.zeros(3, np.uint8), np.zeros(2, np.uint16), [0, 0]):
        with pytest.raises((TypeError, ValueError), match="out"):
            fe.add(a, a, out=wrong)


def test_many_elements_are_the_same_as_few():
    x = np.random.default_rng(1).standard_normal(1_100_000).astype(np.float32)
    whole, flags = fe.multiply(x, x, result="bfloat16", return_flags=True)
    some, part = fe.multiply(x[-100:], x[-100:], result="bfloat16", return_flags=True)
    np.testing.assert_array_equal(whole[-100:], some)
    np.testing.assert_array_equal(flags.bits[-100:], part.bits)


def test_profiles():
    a = fe.array([448.0], E4M3, profile="onnx-saturate")
    assert fe.add(a, a).values == 448.0  # its profile saturates
    assert fe.add(a, a).profile == fe.profile("onnx-saturate")
    assert np.isnan(fe.add(a, a, profile="ieee").values)
    assert fe.add(a, a, overflow="saturate", profile="ieee").values == 448.0
    with pytest.raises(ValueError, match="profiles, onnx-saturate and ieee, differ"):
        fe.add(a, fe.array([1.0], E4M3, profile="ieee"))


def test_rounding_twice():
    """A profile that goes through float32 does so here, too."""
    x, y = 1 + 2**-11, 2**-40  # above a tie of float16, on it in float32
    assert fe.add(x, y, result="float16") == 1 + 2**-10
    twice = fe.profile("ieee").replace(through="float32")
    assert fe.add(x, y, result="float16", profile=twice) == 1
    out = np.zeros((), np.uint16)
    assert fe.add(x, y, result="float16", profile=twice, out=out) == fe.encode(1.0, "float16")
    a = fe.array(x, "float64")
    assert fe.add(a, y, result="float16", profile=twice).values == 1
    b = fe.array(1 + 2**-10, "float16", profile=twice)
    assert fe.add(b, y, rounding="toward_zero").profile == twice  # the keyword is this call's alone
    with pytest.raises(ValueError, match="has no flags"):
        fe.add(x, y, result="float16", profile=twice, return_flags=True)


def test_flags():
    _, flags = fe.divide([1.0, 1.0, 0.0, 1e4, 1.0], [3.0, 0.0, 0.0, 1e-4, 2**16], result="float16", return_flags=True)
    assert flags.inexact.tolist() == [True, False, False, True, False]
    assert flags.divide_by_zero.tolist() == [False, True, False, False, False]
    assert flags.invalid.tolist() == [False, False, True, False, False]
    assert flags.overflow.tolist() == [False, False, False, True, False]
    assert not flags.underflow.any()  # 2^-16 is subnormal and exact
    assert repr(flags) == "Flags(inexact: 2, overflow: 1, divide_by_zero: 1, invalid: 1 of 5)"
    _, flags = fe.multiply(2**-14, [1.0, 2**-12 + 2**-20], result="float16", return_flags=True)
    assert flags.underflow.tolist() == [False, True]
    _, none = fe.add(1.0, 1.0, result="float16", return_flags=True)
    assert repr(none) == "Flags(none of 1)"
    assert none == fe.sqrt(4.0, result="float16", return_flags=True)[1]
    assert none != flags
    signalling = fe.Array([0x7D01], "float16")
    result, flags = fe.add(signalling, 1.0, return_flags=True)
    assert flags.invalid.all()
    assert result.codes == 0x7E00


def test_bad_input():
    a, b = fe.array([1.0, 2.0], E4M3), fe.array([1.0, 2.0], E5M2)
    with pytest.raises(ValueError, match=r"specify the result's format: add\(\.\.\., result='bfloat16'\)"):
        fe.add(1.0, 2.0)
    with pytest.raises(ValueError, match="float8_e4m3fn and float8_e5m2: use result="):
        fe.multiply(a, b)
    with pytest.raises(ValueError, match=r"the shapes \(2,\) and \(3,\) do not broadcast"):
        fe.add(a, [1, 2, 3])
    with pytest.raises(ValueError, match="a codebook"):
        fe.add(a, a, result="nf4")
    with pytest.raises(ValueError, match="unknown"):
        fe.add(a, a, result="float17")
    with pytest.raises(ValueError, match="toward_zero"):
        fe.add(a, a, rounding="towards_zero")
    with pytest.raises(TypeError, match=r"add\(\) got an unexpected keyword argument 'roundin'.*'rounding'"):
        fe.add(a, a, roundin="toward_zero")
    with pytest.raises(TypeError, match="complex"):
        fe.add(1j, a)
    with pytest.raises(ValueError, match="stochastic"):
        fe.add(a, a, random_bits=[1, 2])
    with pytest.raises(ValueError, match="sums and products of integers"):
        fe.divide(1, 3, result="int8", overflow="wrap")
    with pytest.raises(ValueError, match="sums and products of integers"):
        fe.add(1.0, 3, result="int8", overflow="wrap")
    fine = fe.array(0.0, fe.IntFormat("fine", 8, True, fraction_bits=61))
    with pytest.raises(ValueError, match="fraction bits differ by 60"):
        fe.add(fine, 3, result="int8", overflow="wrap")
    with pytest.raises(ValueError, match="raise the flag invalid"):
        fe.add(a, a, profile=fe.profile("ieee").replace(nan="error"))

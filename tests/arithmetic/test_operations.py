"""Operations beside arithmetic as users call them: what goes in, what comes out, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import fpemu as fe

E4M3 = "float8_e4m3fn"


def test_what_comes_out():
    """One's own format where a result needs none; plain numbers for plain numbers."""
    assert type(fe.round_to_integral(2.5)) is np.float64
    assert fe.absolute(np.float32([-1])).dtype == np.float32
    assert fe.negative(np.int8(-128)) == 127
    assert fe.negative(np.uint8(3)) == 0  # as a cast of -3
    assert fe.negative(np.uint8(3), overflow="wrap") == 253
    assert fe.scaleb(3, [1, -1], result="float16").tolist() == [6.0, 1.5]
    a = fe.array([1.5, -2.5], E4M3)
    assert fe.round_to_integral(a).format == fe.dtype(E4M3)
    assert fe.copysign(a, np.float64(-0.0)).values.tolist() == [-1.5, -2.5]
    assert fe.copysign(2.0, a).format == fe.dtype("float64")
    assert fe.convert(a, "int8").values.tolist() == [2, -2]
    assert type(fe.convert(2.5, "int8")) is np.int8
    assert fe.minimum(a, 1.25).values.tolist() == [1.25, -2.5]
    book = fe.Array([0, 15], "nf4")
    assert fe.absolute(book, result="float16").values.tolist() == [1.0, 1.0]
    with pytest.raises(ValueError, match="codebook"):
        fe.absolute(book)
    codes = np.zeros(2, np.uint8)
    assert fe.fmod(a, 1.0, out=codes) is codes
    assert codes.tolist() == fe.encode([0.5, -0.5], E4M3).tolist()


def test_rounding_to_integers():
    x = np.array([0.5, -0.5, 2.5, 2**52 + 0.5, np.inf])
    found, flags = fe.round_to_integral(x, exact=True, return_flags=True)
    assert found.tolist() == [0, 0, 2, 2**52, np.inf]
    assert np.signbit(found).tolist() == [False, True, False, False, False]
    assert flags.inexact.tolist() == [True, True, True, False, False]  # 2^52 + 0.5 is 2^52
    assert not fe.round_to_integral(x, return_flags=True)[1].bits.any()
    narrow = fe.FloatFormat("below one", 6, 3, bias=8)
    found, flags = fe.round_to_integral(fe.array(0.4, narrow), rounding="toward_positive", return_flags=True)
    assert flags.overflow
    assert np.isinf(found.values)
    found, flags = fe.round_to_integral([300.5, np.nan, 1.5], result="int8", exact=True, return_flags=True)
    assert found.tolist() == [127, 0, 2]
    assert flags.bits.tolist() == [16, 16, 1]


def test_scaling_far():
    for n in (2**62, np.uint64(2**64 - 1)):
        found, flags = fe.scaleb([1.0, -0.0, np.inf], n, return_flags=True)
        assert found.tolist() == [np.inf, 0.0, np.inf]
        assert flags.overflow.tolist() == [True, False, False]
    found, flags = fe.scaleb(-1.0, -(2**63), return_flags=True)
    assert found == 0
    assert np.signbit(found)
    assert flags.underflow
    far = fe.FloatFormat("far", 28, 4)
    top = fe.Array([far.max_code], far)
    assert fe.logb(top, result="int32").values.tolist() == [far.bias]
    assert fe.scaleb(top, -far.bias, result="float16").values.tolist() == [1.875]
    eleven = far.min_code + 10  # quanta
    found = fe.ieee_remainder(top, fe.Array([eleven], far))
    (fifteen, exponent), (_, least) = far.scaled(far.max_code), far.scaled(eleven)
    rest = fifteen * pow(2, exponent - least, 11) % 11
    code = min(rest, 11 - rest) | (far.sign_mask if rest > 5 else 0)
    assert found.codes.tolist() == [code]


def test_exponents():
    found, flags = fe.logb([0.0, np.inf, -8.0], return_flags=True)
    assert found.tolist() == [-np.inf, np.inf, 3.0]
    assert flags.bits.tolist() == [8, 0, 0]
    found, flags = fe.logb([0.0, -np.inf, np.nan, 8.0], result="int16", return_flags=True)
    assert found.tolist() == [-(2**15), 2**15 - 1, 0, 3]
    assert flags.bits.tolist() == [16, 16, 16, 0]
    assert fe.logb(fe.Array([1], "float16")).values == [-24]  # subnormals count


def test_signalling_nan():
    nan = fe.Array([0x7D01], "float16")
    found, flags = fe.minimum_number(nan, 1.0, return_flags=True)
    assert found.values == 1.0
    assert flags.invalid.all()
    assert fe.negative(nan).codes == 0xFD01  # not an arithmetic operation
    found, flags = fe.negative(nan, result="float32", return_flags=True)
    assert flags.invalid.all()
    assert np.isnan(found.values)
    found, flags = fe.convert(nan, "float16", return_flags=True)
    assert found.codes == 0x7E00
    assert flags.invalid.all()


def test_comparisons():
    assert type(fe.less(1, 2)) is np.bool_
    assert fe.less(np.zeros((2, 1)), np.ones(3)).shape == (2, 3)
    out = np.zeros(2, bool)
    assert fe.equal([1, 2], fe.array([1, 3], E4M3), out=out) is out
    assert out.tolist() == [True, False]
    assert fe.equal(np.uint64(2**64 - 1), 2.0**64) == False  # noqa: E712
    assert fe.greater(np.uint64(2**63), np.int64(-1))
    assert fe.equal(fe.Array([7], "nf4"), 0.0).tolist() == [True]
    assert fe.less(np.zeros(70_000), 1).all()
    with pytest.raises(ValueError, match=r"less: the shapes \(2,\) and \(3,\) do not broadcast"):
        fe.less([1, 2], [1, 2, 3])
    with pytest.raises(TypeError, match="out must be of dtype bool"):
        fe.less([1, 2], 1, out=np.zeros(2, np.uint8))


def test_classes():
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324, -1.0])
    found = {
        "is_nan": "1000000",
        "is_infinite": "0110000",
        "is_finite": "0001111",
        "is_zero": "0001100",
        "is_subnormal": "0000010",
        "is_normal": "0000001",
        "is_sign_minus": "0010101",
        "is_signaling": "0000000",
        "is_canonical": "1111111",
    }
    for name, wanted in found.items():
        assert getattr(fe, name)(x).tolist() == [digit == "1" for digit in wanted], name
        assert getattr(fe, name)(x.astype(">f8")).tolist() == [digit == "1" for digit in wanted], name
    assert type(fe.is_nan(1.0)) is np.bool_
    assert fe.is_sign_minus(fe.Array([0x80, 0xFF], "float8_e4m3fnuz")).tolist() == [False, True]
    assert fe.is_sign_minus(fe.Array([0xFF], E4M3)).tolist() == [True]  # a NaN
    lowest = fe.Array([0x80, 0], fe.IntFormat("symmetric", 8, symmetric=True))
    assert fe.is_normal(lowest).tolist() == [True, False]
    assert fe.is_canonical(lowest).tolist() == [False, True]
    book = fe.Array([0, 1, 2, 3], fe.TableFormat("twice", [0.0, 2.0, 0.0, -1.0]))
    assert fe.is_zero(book).tolist() == [True, False, True, False]
    assert fe.is_sign_minus(book).tolist() == [False, False, False, True]
    assert fe.is_canonical(book).tolist() == [True, True, False, True]


def test_bad_input():
    with pytest.raises(TypeError, match="scaleb: n must be integers, not of float64"):
        fe.scaleb(1.0, 0.5)
    with pytest.raises(TypeError, match=r"left_shift: x must be of an integer or fixed-point format.*scaleb"):
        fe.left_shift(1.0, 1)
    with pytest.raises(ValueError, match="right_shift: n must not be negative, but is -1"):
        fe.right_shift(1, [-1, 2])
    with pytest.raises(TypeError, match=r"convert\(\) got an unexpected keyword argument 'result'"):
        fe.convert(1.0, "float16", result="float16")
    with pytest.raises(TypeError, match="exact must be a bool, not int"):
        fe.round_to_integral(1.5, exact=1)
    with pytest.raises(ValueError, match="specify the result's format"):
        fe.minimum(1.0, 2.0)
    with pytest.raises(TypeError, match=r"fmod\(\) got an unexpected keyword argument 'exact'"):
        fe.fmod(1.0, 2.0, result="float16", exact=True)
    with pytest.raises(ValueError, match="unknown nan_result 'second'"):
        fe.profile("ieee").replace(nan_result="second")
    with pytest.raises(ValueError, match="a codebook"):
        fe.convert(1.0, "nf4")

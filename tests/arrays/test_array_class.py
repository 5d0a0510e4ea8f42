"""Array as a container and a number: operators, elements, copies, other arrays on the same memory."""

from __future__ import annotations

import copy
import pickle

import ml_dtypes
import numpy as np
import pytest

import fpemu as fe
from tests.cases.families import ML_DTYPES

E4M3 = "float8_e4m3fn"


def test_operators():
    a = fe.array([1.5, -2.0, 3.0], E4M3)
    assert ((a + a * 2) / 3 - 1).values.tolist() == [0.5, -3, 2]
    assert (1 - a).values.tolist() == [-0.5, 3, -2]
    assert (3 / a).values.tolist() == [2, -1.5, 1]
    assert (np.float64(2) * a).values.tolist() == (a * [2, 2, 2]).values.tolist() == [3, -4, 6]
    assert (np.arange(3) + a).values.tolist() == [1.5, -1, 5]
    assert (-a).values.tolist() == [-1.5, 2, -3]
    assert abs(a).values.tolist() == [1.5, 2, 3]
    assert (+a).values.tolist() == a.values.tolist()
    assert (a[:, None] + a).shape == (3, 3)
    assert isinstance(a[0] + a[1], fe.Array)
    assert (a == a).all()
    assert type(a[0] == 1.5) is np.bool_


def test_operators_round_once():
    a = fe.array([1.0], E4M3)
    assert (a + (1 / 16 + 2**-40)).values == 1.125  # above the tie: 1/16 + 2^-40 is not rounded first
    assert (a + 1 / 16).values == 1.0
    saturating = fe.array([448.0], E4M3, profile="torch")
    assert (saturating * 2).values == 448
    assert np.isnan((fe.array([448.0], E4M3) * 2).values)
    assert (-fe.array([-8], "int4")).values == 7
    assert (fe.array([2**62 + 1], "int64") - 2**62).values == 1


def test_in_place():
    a = fe.array([1.0, 2.0], E4M3)
    codes, same = a.codes, a
    a += 1
    a *= [2, 3]
    a -= a[0]
    a /= 5
    assert a is same
    assert a.codes is codes
    assert a.values.tolist() == [0, 1]
    with pytest.raises(ValueError, match=r"must have the shape"):
        a += np.ones((2, 2))
    with pytest.raises(ValueError, match="use result="):
        a += fe.array([1.0], "bfloat16")
    x = np.ones(2)
    with pytest.raises(TypeError, match="out must be an Array"):
        x += a
    codes.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        a += 1


def test_operators_that_are_refused():
    a, three = fe.array([1.0, 2.0], E4M3), [1, 2, 3]
    for call, error, match in (
        (lambda: a + fe.array([1.0], "bfloat16"), ValueError, "use result="),
        (lambda: a + a.with_profile("torch"), ValueError, "with_profile"),
        (lambda: a + "1", TypeError, "unsupported operand"),
        (lambda: a + None, TypeError, "unsupported operand"),
        (lambda: a + 1j, TypeError, "complex"),
        (lambda: a & 1, TypeError, "np.bitwise_and does not work on Arrays: use"),
        (lambda: np.bitwise_and(a, 1), TypeError, "bitwise_and does not work"),
        (lambda: a @ a, TypeError, r"fpemu.vecdot\(A, B\)"),
        (lambda: a + three, ValueError, "do not broadcast"),
    ):
        with pytest.raises(error, match=match):
            call()


def test_elements():
    a = fe.array([[1.5, -2.0, 3.0], [0.0, 0.5, 7.0]], E4M3, profile="torch")
    assert len(a) == 2
    assert a[1, 2].shape == ()
    assert a[1, 2].item() == a.item(1, 2) == 7
    assert a[1].tolist() == [0, 0.5, 7]
    assert [row.shape for row in a] == [(3,), (3,)]
    assert a[a > 1].tolist() == [1.5, 3, 7]
    assert a[..., -1].profile == a.profile
    assert 0.5 in a
    assert 0.6 not in a
    assert a.nbytes == 6
    assert fe.array([1, 2], "int4").item(1) == 2
    assert type(fe.array([1, 2], "int4").item(1)) is int
    with pytest.raises(TypeError, match="no dimension"):
        iter(a[0, 0])
    with pytest.raises(AttributeError, match=r"\.format"):
        a.dtype  # noqa: B018


def test_assignment_casts():
    a = fe.array([[1.5, -2.0, 3.0], [0.0, 0.5, 7.0]], E4M3, profile="torch")
    a[0] = [0.3, 1e9, -0.0]
    assert a[0].tolist() == [0.3125, 448, 0]
    assert np.signbit(a[0, 2])
    a[1, ::2] = a[0, :2]
    assert a[1].tolist() == [0.3125, 0.5, 448]
    a[a > 100] = 1
    a[0, 0] += 1
    assert a.tolist() == [[1.25, 1, 0], [0.3125, 0.5, 1]]
    with pytest.raises(ValueError, match="astype"):
        a[0] = fe.array([1.0, 2.0, 3.0], "bfloat16")
    with pytest.raises(ValueError, match="with_profile"):
        a[0] = fe.array([1.0, 2.0, 3.0], E4M3)
    with pytest.raises(ValueError, match="not a number"):
        a[0] = "x"
    with pytest.raises(TypeError, match="NoneType"):
        a[0] = None


def test_one_number():
    one = fe.array([2.5], "float16")
    assert (float(one), int(one), bool(one)) == (2.5, 2, True)
    assert int(-one) == -2
    assert not fe.array(-0.0, "float16")
    assert fe.array(np.nan, "float16")
    assert int(fe.Array(np.array([2**64 - 1], np.uint64), "uint64")) == 2**64 - 1
    assert int(fe.array(2.0**100, "bfloat16")) == 2**100
    assert int(fe.Array([1], fe.IntFormat("coarse", 8, fraction_bits=-3))) == 8
    assert f"{one[0]:.3f}" == "2.500"
    assert f"{one}" == repr(one) == "Array([2.5], format='float16')"
    wide = fe.Array(np.array([(1 << 63) - (1 << 50)], np.uint64), fe.FloatFormat("wide", 64, 42))
    with pytest.raises(OverflowError, match="exact"):
        float(wide)
    with pytest.raises(OverflowError):
        int(fe.array(np.inf, "float16"))
    with pytest.raises(ValueError, match="NaN"):
        int(fe.array(np.nan, "float16"))
    two = fe.array([1.0, 2.0], "float16")
    for convert in (float, int, "{:.2f}".format):
        with pytest.raises(TypeError, match=r"one element.*\(2,\)"):
            convert(two)
    for several in (two, two[:0]):
        with pytest.raises(ValueError, match=r"np\.any"):
            bool(several)


def test_text_of_values_beyond_float64():
    """Printing never fails: it shows the codes."""
    wide = fe.Array(np.array([0, 1], np.uint64), fe.FloatFormat("wide", 64, 42))
    assert repr(wide) == "Array(codes=[0, 1], format='wide')"


def test_bits():
    assert fe.array(-3, "int4").bits() == "1.101"
    assert fe.array([[2.0]], "float8_e8m0fnu").bits().tolist() == [["10000000"]]
    assert fe.array([0.25], "q3.12").bits().tolist() == ["0.000.010000000000"]
    assert fe.array([1.0, 0.0], "nf4").bits().tolist() == ["1111", "0111"]
    assert fe.array(np.zeros((0, 2)), "int4").bits().shape == (0, 2)


def test_astype():
    a = fe.array([1.1, 300.0], "bfloat16", profile="torch")
    b = a.astype(E4M3)
    assert b.profile == fe.dtype(E4M3).profile
    assert b.codes.tolist() == fe.encode(a, E4M3).tolist()
    assert a.astype("bfloat16").profile == a.profile
    c = a.astype(E4M3, profile="torch", rounding="toward_zero")
    assert c.profile == fe.profile("torch")
    assert c.tolist() == [1.0, 288]
    assert a.astype(np.float32).format == fe.dtype("float32")
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'roundin'.*'rounding'"):
        a.astype(E4M3, roundin="toward_zero")
    with pytest.raises(TypeError, match="source"):
        a.astype(E4M3, source="bfloat16")


def test_copies_keep_format_and_profile():
    mine = fe.FloatFormat("mine", 6, 3, infinities=False, nan="none", profile=fe.Profile("p", overflow="saturate"))
    a = fe.array([[1.0, 3.2]], mine, profile=fe.Profile("q", rounding=fe.Stochastic("B", 8)))
    for b in (pickle.loads(pickle.dumps(a)), copy.copy(a), copy.deepcopy([a])[0], a.copy(), a.T.T.copy()):
        assert b.format == a.format
        assert b.profile == a.profile
        assert b.codes.tolist() == a.codes.tolist()
        assert not np.shares_memory(a, b)
    table = fe.array([1.0], "nf4")
    assert pickle.loads(pickle.dumps(table)).format == table.format


# -- other arrays on the same memory ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*ML_DTYPES, "float16", "float32", "float64", "int8", "uint16", "int64"])
def test_the_same_memory(name):
    dtype = ML_DTYPES.get(name, None) or np.dtype(name)
    x = np.zeros((2, 3), dtype)
    a = fe.asarray(x)
    assert a.format == fe.dtype(dtype)
    below_a_byte = a.format.bits < 8
    assert np.shares_memory(a.codes, x) != below_a_byte
    back = a.view(dtype)
    assert back.dtype == dtype
    assert np.shares_memory(a.codes, back)
    a[1, 2] = 1
    assert back[1, 2] == 1
    assert (x[1, 2] == 1) != below_a_byte
    assert fe.asarray(a).codes is a.codes


def test_asarray():
    swapped = np.array([1.0, 2.0], ">f4")
    assert not np.shares_memory(fe.asarray(swapped).codes, swapped)
    assert fe.asarray(swapped).tolist() == [1, 2]
    assert fe.asarray([1.0, 0.3], "bfloat16").tolist() == fe.array([1.0, 0.3], "bfloat16").tolist()
    x = np.ones(2, ml_dtypes.float8_e4m3fnuz)
    same = fe.asarray(x, "binary8p4sf")  # the same codes with other rules
    assert same.format == fe.dtype("binary8p4sf")
    assert np.shares_memory(same.codes, x)
    a = fe.array([1.0], E4M3, profile="torch")
    assert fe.asarray(a).profile == a.profile
    assert fe.asarray(a, profile="ieee").profile == fe.profile("ieee")
    assert fe.asarray(a, "bfloat16").profile == fe.dtype("bfloat16").profile
    assert fe.asarray("1.5").tolist() == 1.5
    with pytest.raises(TypeError, match="NoneType"):
        fe.asarray(None)


def test_views_that_are_refused():
    a = fe.array([1.0], E4M3)
    for dtype in (np.uint8, ml_dtypes.float8_e5m2, np.float16):
        with pytest.raises(ValueError, match=r"astype for other formats, \.codes"):
            a.view(dtype)
    with pytest.raises(TypeError, match="numpy, ml_dtypes or torch"):
        a.view("fp8e4nv")


def test_tensors():
    torch = pytest.importorskip("torch")
    for dtype in (torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2, torch.float16, torch.float32, torch.int8):
        tensor = torch.zeros(3).to(dtype)
        a = fe.asarray(tensor)
        a[1] = 2
        assert tensor.to(torch.float32).tolist() == [0, 2, 0]
        back = a.view(dtype)
        assert back.dtype == dtype
        tensor[2] = 1
        assert back.to(torch.float32).tolist() == a.tolist() == [0, 2, 1]
    assert (torch.ones(3) + fe.array([1.0], "bfloat16")).tolist() == [2, 2, 2]

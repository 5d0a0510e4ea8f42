"""Numpy's manners: layouts, byte orders, shapes, out=, what is refused, and inputs that nobody changes."""

from __future__ import annotations

import sys
import types

import ml_dtypes
import numpy as np
import pytest

import fpemu as fe

X = np.random.default_rng(0).normal(size=(6, 10)).astype(np.float32) * 3
X[0, :5] = [np.nan, np.inf, -np.inf, 0.0, -0.0]

LAYOUTS = {
    "fortran": np.asfortranarray,
    "transposed": lambda x: np.ascontiguousarray(x.T).T,
    "every_other": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "backwards": lambda x: np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1],
    "swapped": lambda x: x.astype(x.dtype.newbyteorder()),
    "swapped_fortran": lambda x: np.asfortranarray(x.astype(x.dtype.newbyteorder())),
    "inside": lambda x: np.pad(x, 2)[2:-2, 2:-2],
    "three_dimensions": lambda x: (
        np.ascontiguousarray(x.reshape(2, 3, 10).swapaxes(0, 1)).swapaxes(0, 1).reshape(6, 10)
    ),
    "unaligned": lambda x: np.frombuffer(b"x" + x.tobytes(), x.dtype, offset=1).reshape(x.shape),
    "read_only": lambda x: np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape),
    "subclass": lambda x: x.view(type("Sub", (np.ndarray,), {})),
}
CALLS = {
    "cast": lambda x, **rest: fe.cast(x, "float8_e4m3fn", **rest),
    "encode": lambda x, **rest: fe.encode(x, "float8_e4m3fn", **rest),
    "codebook": lambda x, **rest: fe.encode(x, "nf4", **rest),
    "decode": lambda x, **rest: fe.decode(
        x.view(f"{x.dtype.byteorder}u{x.dtype.itemsize}"), f"float{8 * x.itemsize}", **rest
    ),
}


def bits(x):
    return np.ascontiguousarray(x).view(f"u{x.dtype.itemsize}")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout, call, dtype):
    """Any layout in, a contiguous array of native bytes out; the input as it was."""
    x = X.astype(dtype)
    given = LAYOUTS[layout](x)
    before = given.tobytes()
    result = CALLS[call](given)
    expected = CALLS[call](x)
    assert type(result) is np.ndarray
    assert result.dtype == expected.dtype
    assert result.dtype.isnative
    np.testing.assert_array_equal(bits(result), bits(expected))
    assert given.tobytes() == before
    out = LAYOUTS[layout](np.zeros_like(expected))
    if out.dtype == expected.dtype and out.flags.writeable and type(out) is np.ndarray:
        assert CALLS[call](given, out=out) is out
        np.testing.assert_array_equal(bits(out), bits(expected))


def test_broadcast_inputs():
    x = np.broadcast_to(X[0], (3, 10))
    np.testing.assert_array_equal(fe.encode(x, "float8_e5m2"), np.tile(fe.encode(X[0], "float8_e5m2"), (3, 1)))
    one = np.broadcast_to(np.float32(1.1), (70_000,))
    assert set(fe.encode(one, "float8_e5m2").tolist()) == {0x3C}


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 4, 2), (), (1,), (1, 1, 1)])
@pytest.mark.parametrize("order", ["=", "S"])
def test_few_elements(shape, order):
    """Empty arrays, arrays of no dimension (whose results are scalars, as ufuncs' are)."""
    x = np.ones(shape, np.dtype(np.float32).newbyteorder(order))
    for call in ("cast", "encode"):
        result = CALLS[call](x)
        assert result.shape == shape
        assert np.ndim(result) == len(shape)
        out = np.zeros(shape, result.dtype)
        assert CALLS[call](x, out=out) is out
        np.testing.assert_array_equal(out, result)


@pytest.mark.parametrize("number", [1.3, 2, True, np.float32(1.3), np.float64(1.3), np.int8(-3), np.bool_(True)])
def test_numbers(number):
    """A scalar in, a numpy scalar out."""
    assert isinstance(fe.encode(number, "float8_e4m3fn"), np.uint8)
    value = fe.cast(number, "float8_e4m3fn")
    assert isinstance(value, np.floating)
    assert value.dtype == (np.float64 if isinstance(number, float) else np.float32)
    assert value == fe.cast([number], "float8_e4m3fn")[0]
    assert isinstance(fe.decode(0x38, "float8_e4m3fn"), np.float32)
    assert isinstance(fe.decode(np.uint8(0x38), "float8_e4m3fn"), np.float32)


def test_lists():
    assert fe.encode([[1, 2], [3, 4]], "int4").tolist() == [[1, 2], [3, 4]]
    assert fe.encode((1.5, 2), "float4_e2m1fn").tolist() == [3, 4]
    assert fe.encode([], "int4").shape == (0,)


# -- out --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fmt", ["bfloat16", "nf4", "float8_e8m0fnu"])
@pytest.mark.parametrize("size", [100, 80_000])
def test_out_that_overlaps(fmt, size):
    """Itself, shifted both ways, backwards, of other width: as if the input had been copied before."""
    start = np.random.default_rng(1).normal(size=size + 8).astype(np.float32)
    views = {
        "itself": (lambda a: a, lambda a: a),
        "ahead": (lambda a: a[:-3], lambda a: a[3:]),
        "behind": (lambda a: a[3:], lambda a: a[:-3]),
        "backwards": (lambda a: a, lambda a: a[::-1]),
        "both_backwards": (lambda a: a[::-1], lambda a: a[::-1]),
        "halves": (lambda a: a[::2], lambda a: a[: a.size // 2]),
        "columns": (lambda a: a.reshape(-1, 4)[:, 0], lambda a: a.reshape(-1, 4)[:, 1]),
        "transposed": (lambda a: a[:64].reshape(8, 8), lambda a: a[:64].reshape(8, 8).T),
    }
    for name, (into, onto) in views.items():
        a = start.copy()
        expected = fe.cast(into(a).copy(), fmt)
        out = onto(a)
        assert fe.cast(into(a), fmt, out=out) is out
        np.testing.assert_array_equal(bits(out), bits(expected), err_msg=name)
    a = start.copy()
    codes = a.view(np.uint8)[2 : size + 2]
    expected = fe.encode(a[:size].copy(), "float8_e4m3fn")
    fe.encode(a[:size], "float8_e4m3fn", out=codes)
    np.testing.assert_array_equal(codes, expected)


def test_an_input_read_only_beside_a_writable_out():
    x = X.copy()
    x.flags.writeable = False
    out = np.empty_like(X)
    np.testing.assert_array_equal(bits(fe.cast(x, "bfloat16", out=out)), bits(fe.cast(X, "bfloat16")))


@pytest.mark.parametrize("call", ["cast", "encode"])
def test_wrong_outs(call):
    expected = CALLS[call](X)
    other = np.uint16 if call == "encode" else np.float64
    with pytest.raises(TypeError, match="out must be of dtype"):
        CALLS[call](X, out=np.empty(X.shape, other))
    with pytest.raises(TypeError, match="out must be of dtype"):
        CALLS[call](X, out=np.empty(X.shape, np.float16))
    with pytest.raises(TypeError, match="numpy array"):
        CALLS[call](X, out=expected.tolist())
    for shape in ((10, 6), (60,), (1, 6, 10), (6, 1)):
        with pytest.raises(ValueError, match="shape"):
            CALLS[call](X, out=np.empty(shape, expected.dtype))
    expected.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        CALLS[call](X, out=expected)
    with pytest.raises(TypeError, match="numpy array"):
        CALLS[call](1.0, out=expected.dtype.type(0))


def test_an_out_that_is_refused_is_left_alone():
    out = np.full(2, 7, np.uint8)
    with pytest.raises(ValueError, match="NaN"):
        fe.encode([1.0, np.nan], "int8", profile=fe.profile("ieee").replace(nan="error"), out=out)
    assert out.tolist() == [7, 7]


# -- other types ------------------------------------------------------------------------------------------------------

ML_DTYPES = [
    *[
        "bfloat16",
        "float8_e3m4",
        "float8_e4m3",
        "float8_e4m3b11fnuz",
        "float8_e4m3fn",
        "float8_e4m3fnuz",
        "float8_e5m2",
    ],
    *["float8_e5m2fnuz", "float8_e8m0fnu", "float6_e2m3fn", "float6_e3m2fn", "float4_e2m1fn", "int4", "uint4", "int2"],
    *["uint2"],
]


@pytest.mark.parametrize("name", ML_DTYPES)
def test_ml_dtypes(name):
    """Their arrays are their values, in any layout; a cast of what a format holds gives the values back."""
    dtype = np.dtype(getattr(ml_dtypes, name))
    fmt = fe.dtype(dtype)
    codes = np.arange(fmt.code_count, dtype=fmt.code_dtype)
    x = codes.view(dtype)
    expected = fe.decode(codes, fmt)
    for given in (x, x[::-1][::-1], np.repeat(x, 3)[::3], x.reshape(2, -1)):
        values = fe.cast(given, "float32")
        np.testing.assert_array_equal(values.ravel(), expected.astype(np.float32))
    np.testing.assert_array_equal(fe.cast(x[1:2][0], "float32"), expected[1])


def test_values_in_ml_dtypes():
    x = np.array([1.1, -2.7, 300], ml_dtypes.bfloat16)
    assert fe.cast(x, "float8_e4m3fn").dtype == x.dtype
    assert fe.cast(x, "float8_e4m3fn").tolist() == [1.125, -2.75, 288]


REFUSED = {
    "complex": (np.ones(2, complex), "real"),
    "complex_number": (1j, "real"),
    "objects": (np.array([1, None], object), "NoneType"),
    "bytes": (b"1", "decode"),
    "bytes_array": (np.array([b"1"]), "dtype"),
    "times": (np.array(["2020-01-01"], "M8[D]"), "dtype"),
    "durations": (np.array([1], "m8[s]"), "dtype"),
    "records": (np.zeros(2, [("a", "f4")]), "dtype"),
    "masked": (np.ma.masked_array([1.0, 2.0], [0, 1]), "filled"),
    "nothing": (None, "NoneType"),
}


@pytest.mark.parametrize("call", [fe.cast, fe.encode])
@pytest.mark.parametrize("name", REFUSED)
def test_refused(name, call):
    x, match = REFUSED[name]
    with pytest.raises(TypeError, match=match):
        call(x, "float8_e4m3fn")


def test_codes_that_are_none():
    with pytest.raises(TypeError, match="unsigned integers"):
        fe.decode([1.0], "float8_e4m3fn")
    for wrong in (-1, 256, [3, 1 << 40], np.array([-1], np.int8)):
        with pytest.raises(ValueError, match="out of range"):
            fe.decode(wrong, "float8_e4m3fn")
    with pytest.raises(ValueError, match="out of range"):
        fe.encode(np.array([16], np.uint8), "float32", source="float4_e2m1fn")


# -- torch, as far as fpemu sees it -----------------------------------------------------------------------------------


class FakeTensor:
    """A CPU tensor over a numpy array, with the attributes and methods that fpemu asks for."""

    requires_grad = is_quantized = False
    layout = "strided"
    device = types.SimpleNamespace(type="cpu")

    def __init__(self, codes, dtype, numpy_dtype=None, **attributes):
        self.codes, self.dtype, self.numpy_dtype = codes, dtype, numpy_dtype
        for name, value in attributes.items():
            setattr(self, name, value)

    def is_conj(self):
        return False

    is_neg = is_conj

    def element_size(self):
        return self.codes.itemsize

    def numpy(self):
        if self.numpy_dtype is None:
            raise TypeError("Got unsupported ScalarType")
        return self.codes.view(self.numpy_dtype)

    def view(self, dtype):
        return FakeTensor(self.codes, dtype, {"uint8": np.uint8, "int16": np.int16}[dtype.name])


@pytest.fixture
def torch(monkeypatch):
    """A module that looks like torch where fpemu looks."""

    class Dtype:
        is_complex = False

        def __init__(self, name):
            self.name = name

        def __repr__(self):
            return f"torch.{self.name}"

    Dtype.__name__, Dtype.__module__ = "dtype", "torch"
    monkeypatch.setattr(FakeTensor, "__module__", "torch")
    module = types.ModuleType("torch")
    module.Tensor, module.strided = FakeTensor, "strided"
    for name in ("float32", "bfloat16", "float8_e4m3fn", "uint8", "int16", "float4_e2m1fn_x2"):
        setattr(module, name, Dtype(name))
    monkeypatch.setitem(sys.modules, "torch", module)
    return module


def test_tensors(torch):
    values = np.array([1.3, -2.0, 448], np.float32)
    tensor = torch.Tensor(values.view(np.uint32), torch.float32, np.float32)
    np.testing.assert_array_equal(fe.encode(tensor, "float8_e4m3fn"), fe.encode(values, "float8_e4m3fn"))
    for name in ("bfloat16", "float8_e4m3fn"):
        codes = fe.encode(values, name)
        np.testing.assert_array_equal(fe.encode(torch.Tensor(codes, getattr(torch, name)), name), codes)


@pytest.mark.parametrize(
    ("attributes", "match"),
    [
        ({"requires_grad": True}, "detach"),
        ({"device": types.SimpleNamespace(type="cuda")}, "cpu"),
        ({"layout": "sparse_coo"}, "dense"),
        ({"is_quantized": True}, "dequantize"),
    ],
)
def test_tensors_that_are_refused(torch, attributes, match):
    tensor = torch.Tensor(np.zeros(2, np.uint32), torch.float32, np.float32, **attributes)
    with pytest.raises(TypeError, match=match):
        fe.cast(tensor, "float8_e4m3fn")


def test_packed_tensors_are_refused(torch):
    with pytest.raises(TypeError, match="source="):
        fe.cast(torch.Tensor(np.zeros(2, np.uint8), torch.float4_e2m1fn_x2), "float32")

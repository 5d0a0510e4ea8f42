"""Arrays handed over by DLPack: the type that the capsule names, the memory, and what DLPack cannot say."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

import fpemu as fe
from fpemu.arrays.dlpack import data_type

# dlpack.h, version 1.1: DLDataTypeCode
RIGHT = {
    **{"float16": (2, 16), "float32": (2, 32), "float64": (2, 64), "bfloat16": (4, 16)},
    **{"float8_e3m4": (7, 8), "float8_e4m3": (8, 8), "float8_e4m3b11fnuz": (9, 8), "float8_e4m3fn": (10, 8)},
    **{"float8_e4m3fnuz": (11, 8), "float8_e5m2": (12, 8), "float8_e5m2fnuz": (13, 8), "float8_e8m0fnu": (14, 8)},
    **{"float6_e2m3fn": (15, 6), "float6_e3m2fn": (16, 6), "float4_e2m1fn": (17, 4)},
    **{"int2": (0, 2), "int4": (0, 4), "int8": (0, 8), "int16": (0, 16), "int32": (0, 32), "int64": (0, 64)},
    **{"uint2": (1, 2), "uint4": (1, 4), "uint8": (1, 8), "uint16": (1, 16), "uint32": (1, 32), "uint64": (1, 64)},
}
VERSIONED = np.lib.NumpyVersion(np.__version__) >= "2.1.0"


class Tensor(ctypes.Structure):
    """DLTensor, written down once more from dlpack.h."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class Versioned(ctypes.Structure):
    """DLManagedTensorVersioned."""

    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("manager", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("tensor", Tensor),
    )


def opened(capsule):
    """The tensor in a capsule, and its flags."""
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.argtypes, get.restype = [ctypes.py_object, ctypes.c_char_p], ctypes.c_void_p
    if "dltensor_versioned" in repr(capsule):
        whole = Versioned.from_address(get(capsule, b"dltensor_versioned"))
        return whole.tensor, whole.flags
    return Tensor.from_address(get(capsule, b"dltensor")), 0


@pytest.mark.parametrize("version", [None, (1, 1)])
@pytest.mark.parametrize("name", RIGHT)
def test_capsules_name_the_format(name, version):
    """The format's own type, never unsigned integers in its place, on the codes' own memory."""
    fmt = fe.dtype(name)
    a = fe.array([[1, 0, 1], [0, 1, 1]], fmt).T
    if fmt.bits < 8 and (version is None or not VERSIONED):
        with pytest.raises(BufferError):
            a.__dlpack__(max_version=version)
        return
    capsule = a.__dlpack__(max_version=version)
    tensor, flags = opened(capsule)
    assert (tensor.code, tensor.bits, tensor.lanes) == (*RIGHT[name], 1)
    assert (tensor.device_type, tensor.device_id, tensor.ndim) == (1, 0, 2)
    assert tensor.data + tensor.byte_offset == a.codes.__array_interface__["data"][0]
    assert tensor.shape[:2] == [3, 2]
    assert tensor.strides[:2] == [1, 3]
    assert bool(flags & 4) == (fmt.bits < 8)


def test_every_other_format_is_refused():
    """Formats that DLPack lacks: an error that names the ways."""
    known = {fe.dtype(name).codes_key for name in RIGHT}
    refused = 0
    for fmt in fe.dtypes():
        if fmt.codes_key not in known:
            with pytest.raises(BufferError, match=r"A\.values.*A\.codes"):
                fe.Array(np.zeros(2, fmt.code_dtype), fmt).__dlpack__()
            refused += 1
        else:
            assert data_type(fmt)[1] == fmt.bits
    assert refused > 5


@pytest.mark.parametrize("name", ["float16", "float32", "float64", "int8", "uint16", "int64"])
def test_numpy_takes_it(name):
    a = fe.array([1, 2, 3], name)
    x = np.from_dlpack(a)
    assert x.dtype == np.dtype(name)
    assert np.shares_memory(x, a.codes)
    np.testing.assert_array_equal(x, a.values)


def test_what_is_asked_for():
    a = fe.array([1, 2, 3], "bfloat16")
    assert a.__dlpack_device__() == (1, 0)
    copied, _ = opened(capsule := a.__dlpack__(copy=True))
    assert copied.data != a.codes.__array_interface__["data"][0]
    del capsule
    with pytest.raises(BufferError, match="stream must be None"):
        a.__dlpack__(stream=1)
    with pytest.raises(BufferError, match="dl_device must be"):
        a.__dlpack__(dl_device=(2, 0))
    a.codes.flags.writeable = False
    with pytest.raises(BufferError):
        a.__dlpack__()


TORCH = ["float16", "bfloat16", "float32", "float64", "int8", "uint8", "int16", "int32", "int64"]
TORCH += ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"]


@pytest.mark.parametrize("name", TORCH)
def test_torch_takes_it(name):
    """from_dlpack, as_tensor, tensor, asarray: the format's own dtype, the same codes."""
    torch = pytest.importorskip("torch")
    a = fe.array([[1, 2], [4, 8]], name)
    for function, shares in ((torch.from_dlpack, True), (torch.as_tensor, True), (torch.tensor, False)):
        tensor = function(a)
        assert tensor.dtype is getattr(torch, name)
        np.testing.assert_array_equal(fe.asarray(tensor).codes, a.codes)
        assert (tensor.data_ptr() == a.codes.__array_interface__["data"][0]) == shares
    empty = fe.array(np.zeros((0, 3)), name)
    assert torch.from_dlpack(empty).shape == (0, 3)
    assert torch.as_tensor(fe.array(2.0, name)).item() == 2

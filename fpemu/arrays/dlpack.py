"""DLPack export of Arrays: the codes' memory, with DLPack's data type for their format."""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu.formats import Format
from fpemu.formats import dtype as find_format

__all__ = ["CPU", "data_type", "export"]

CPU = 1, 0  # kDLCPU, device number

# DLDataTypeCode in dlpack.h, version 1.1
_FLOAT, _BFLOAT, _INT, _UINT, _BOOL = 2, 4, 0, 1, 6
_CODES = {
    **{"float16": _FLOAT, "float32": _FLOAT, "float64": _FLOAT, "bfloat16": _BFLOAT},
    **{"float8_e3m4": 7, "float8_e4m3": 8, "float8_e4m3b11fnuz": 9, "float8_e4m3fn": 10, "float8_e4m3fnuz": 11},
    **{"float8_e5m2": 12, "float8_e5m2fnuz": 13, "float8_e8m0fnu": 14},
    **{"float6_e2m3fn": 15, "float6_e3m2fn": 16, "float4_e2m1fn": 17},
    **{f"int{bits}": _INT for bits in (2, 4, 8, 16, 32, 64)},
    **{f"uint{bits}": _UINT for bits in (2, 4, 8, 16, 32, 64)},
}
_PADDED = 1 << 2  # DLPACK_FLAG_BITMASK_IS_SUBBYTE_TYPE_PADDED: each element below 8 bits fills a byte
# DLManagedTensor begins with the tensor; in DLManagedTensorVersioned version, context, deleter and flags precede it
_PLAIN, _VERSIONED = b"dltensor", b"dltensor_versioned"
_FLAGS_OFFSET, _TENSOR_OFFSET = 24, {_PLAIN: 0, _VERSIONED: 32}
_TYPE_OFFSET = 20  # of the data type in DLTensor, after data, device and number of dimensions


@functools.cache
def _data_types() -> dict[tuple[Any, ...], tuple[int, int]]:
    """DLPack's type code and bits for each format that it has, by `codes_key`."""
    formats = {find_format(name): code for name, code in _CODES.items()}
    return {fmt.codes_key: (code, fmt.bits) for fmt, code in formats.items()}


def data_type(fmt: Format) -> tuple[int, int]:
    """DLPack's type code and bits for a format.

    Parameters
    ----------
    fmt : Format

    Returns
    -------
    tuple of int

    Raises
    ------
    BufferError
        If DLPack has no type for the format.

    Notes
    -----
    DLDataTypeCode of dlpack.h, version 1.1.

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.arrays.dlpack import data_type
    >>> data_type(fe.dtype("float8_e5m2"))
    (12, 8)
    """
    entry = _data_types().get(fmt.codes_key)
    if entry is None:
        raise BufferError(
            f"DLPack has no type for {fmt.name}: hand over the numbers, A.values, or the codes as integers, A.codes"
        )
    return entry


def export(
    codes: NDArray[Any],
    fmt: Format,
    *,
    stream: Any = None,
    max_version: tuple[int, int] | None = None,
    dl_device: tuple[int, int] | None = None,
    copy: bool | None = None,
) -> Any:
    """A DLPack capsule on the codes' memory.

    Parameters
    ----------
    codes : numpy.ndarray
    fmt : Format
        The codes' format.
    stream, max_version, dl_device, copy
        As in the array API standard's ``__dlpack__``.

    Returns
    -------
    PyCapsule

    Raises
    ------
    BufferError
        If DLPack has no type for the format, the consumer's version cannot mark elements below 8 bits as one byte each,
        the memory is read-only and the consumer's version cannot mark that, or the device is not the CPU.
    """
    code, bits = data_type(fmt)
    if stream is not None:
        raise BufferError(f"an Array is in the CPU's memory, which has no streams: stream must be None, not {stream!r}")
    if dl_device is not None and tuple(dl_device) != CPU:
        raise BufferError(f"an Array is in the CPU's memory: dl_device must be {CPU}, not {dl_device!r}")
    if bits < 8 and (max_version is None or tuple(max_version) < (1, 1)):
        raise BufferError(
            f"the consumer's version of DLPack packs elements of {bits} bits, and an Array of {fmt.name} has a byte "
            "for each: hand over fpemu.pack(A.codes, A.format), or the numbers, A.values"
        )
    if copy:
        codes = codes.copy()
    # numpy makes the capsule and owns the memory; then the data type is overwritten.
    options: dict[str, Any] = {} if max_version is None else {"max_version": tuple(max_version)}
    try:
        capsule = codes.__dlpack__(**options)
    except TypeError:  # numpy 2.0 has no versioned capsules
        if bits < 8:
            raise BufferError(f"numpy {np.__version__} knows no versions of DLPack: update it") from None
        capsule = codes.__dlpack__()
    _retype(capsule, code, bits)
    return capsule


def _retype(capsule: Any, code: int, bits: int) -> None:
    """Overwrite the data type of a capsule's tensor."""
    api = ctypes.pythonapi
    valid, pointer = api.PyCapsule_IsValid, api.PyCapsule_GetPointer
    valid.argtypes, valid.restype = [ctypes.py_object, ctypes.c_char_p], ctypes.c_int
    pointer.argtypes, pointer.restype = [ctypes.py_object, ctypes.c_char_p], ctypes.c_void_p
    name = _VERSIONED if valid(capsule, _VERSIONED) else _PLAIN
    start = pointer(capsule, name)
    type_bytes = ctypes.cast(start + _TENSOR_OFFSET[name] + _TYPE_OFFSET, ctypes.POINTER(ctypes.c_uint8))
    type_bytes[0], type_bytes[1] = code, bits
    if bits < 8:
        if name != _VERSIONED:
            raise BufferError(f"numpy {np.__version__} gives no versioned capsule: elements of {bits} bits need one")
        ctypes.cast(start + _FLAGS_OFFSET, ctypes.POINTER(ctypes.c_uint64))[0] |= _PADDED

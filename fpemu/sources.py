"""What people hand to a cast: arrays, numbers, tensors, codes; all become codes of a format."""

from __future__ import annotations

import functools
import sys
from typing import Any, NamedTuple, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from fpemu.formats import Format
from fpemu.profiles import Profile
from fpemu.registry import dtype as find_format
from fpemu.storage import cleared, in_range, truths

_UNSIGNED: dict[int, np.dtype[Any]] = {size: np.dtype(f"u{size}") for size in (1, 2, 4, 8)}
# numpy's own types that hold real numbers: booleans, integers, floats
_KINDS = "biuf"


class Source(NamedTuple):
    """An array as codes of a format.

    `codes`: unsigned integers of x's shape, possibly of another byte order or not contiguous; `dtype`: x's, None where
    numpy has none for it; `scalar`: x was a number, not an array.
    """

    codes: NDArray[Any]
    format: Format
    dtype: np.dtype[Any] | None
    scalar: bool


class Coded(Protocol):
    """What has codes, their format and the rules for casts to it, and whose class makes another from the same three."""

    codes: NDArray[Any]
    format: Format
    profile: Profile

    def __init__(self, codes: NDArray[Any], fmt: Format, profile: Profile) -> None: ...


def carries_codes(x: Any) -> TypeGuard[Coded]:
    """Whether `x` is an object with codes and a format, as `Array` is."""
    return hasattr(x, "codes") and hasattr(x, "format") and hasattr(x, "profile")


def codes_of(x: Coded) -> NDArray[Any]:
    """The codes of an object that carries some: unsigned integers, none of which is beyond its format.

    Looked at each time: the memory may have been written to since the object was made.

    Raises
    ------
    TypeError
        If they are no array of unsigned integers.
    ValueError
        If a code is out of range.
    """
    codes = x.codes
    if not isinstance(codes, np.ndarray) or codes.dtype.kind != "u":
        what = codes.dtype if isinstance(codes, np.ndarray) else type(codes).__name__
        raise TypeError(f"the codes of a {type(x).__name__} are an array of unsigned integers, not {what}")
    return in_range(codes, x.format)


def as_source(x: Any, source: Any = None) -> Source:
    """`x` as codes of a format: its own exact values' format, or `source`'s.

    Parameters
    ----------
    x : array_like
        Numbers, or codes of `source`.
    source : format, optional
        The format that x's unsigned integers are codes of.

    Returns
    -------
    Source

    Raises
    ------
    TypeError
        If `x` holds no real numbers (or with `source` no integers).
    ValueError
        If a code is out of range.
    """
    if source is not None:
        return _from_codes(x, find_format(source))
    if type(x) is np.ndarray:
        return _from_array(x, False)
    if carries_codes(x):
        codes = codes_of(x)
        return Source(codes, x.format, None, codes.ndim == 0)
    if type(x).__module__.partition(".")[0] == "torch":
        return _from_tensor(x)
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError("masked arrays have no values to cast under the mask: use x.filled(value)")
    array = np.asarray(x)
    return _from_array(array, array.ndim == 0 and not isinstance(x, np.ndarray))


def _from_array(array: NDArray[Any], scalar: bool) -> Source:
    known = _layout(array.dtype)
    if known is None:
        return _from_other(array, scalar)
    bits, fmt, boolean = known
    return Source(truths(array) if boolean else array.view(bits), fmt, array.dtype, scalar)


@functools.lru_cache(maxsize=256)
def _layout(dtype: np.dtype[Any]) -> tuple[np.dtype[Any], Format, bool] | None:
    """For numpy's own real numbers: the unsigned type of their bits, in their byte order; their format; if booleans."""
    if dtype.kind not in _KINDS or dtype.itemsize > 8:
        return None
    return _UNSIGNED[dtype.itemsize].newbyteorder(dtype.byteorder), find_format(dtype), dtype.kind == "b"


def _from_other(array: NDArray[Any], scalar: bool) -> Source:
    """Arrays of ml_dtypes' types; everything else is refused."""
    if array.dtype.kind == "V" and array.dtype.type.__module__.partition(".")[0] == "ml_dtypes":
        fmt = find_format(array.dtype)
        return Source(cleared(array.view(_UNSIGNED[array.dtype.itemsize]), fmt), fmt, array.dtype, scalar)
    hint = {
        "c": "cast x.real and x.imag apart",
        "O": "convert it to a numeric dtype first (integers beyond 64 bits have none)",
        "f": "numpy's long double differs from machine to machine: convert it to float64 first",
    }.get(array.dtype.kind, "allowed are booleans, integers, floats, ml_dtypes' types and CPU torch tensors")
    raise TypeError(f"cannot cast an array of dtype {array.dtype}: {hint}")


def _from_codes(x: Any, fmt: Format) -> Source:
    codes = codes_of(x) if carries_codes(x) else _integers(x)
    if codes.dtype.kind not in "iu":
        raise TypeError(f"codes of {fmt.name} are unsigned integers, not {codes.dtype}")
    in_range(codes, fmt)
    if codes.dtype.kind == "i" or codes.itemsize < np.dtype(fmt.code_dtype).itemsize:
        codes = codes.astype(np.dtype(fmt.code_dtype))
    return Source(codes, fmt, None, not isinstance(x, np.ndarray) and codes.ndim == 0)


def _integers(x: Any) -> NDArray[Any]:
    """An array of codes; lists of Python integers that numpy would make floats or nothing of stay integers."""
    codes = np.asarray(x)
    if isinstance(x, np.ndarray) or codes.dtype.kind in "iu":
        return codes
    exact = np.asarray(x, dtype=object)
    if all(isinstance(code, int) and not isinstance(code, bool) and 0 <= code < 1 << 64 for code in exact.flat):
        return exact.astype(np.uint64)
    return codes


def _from_tensor(tensor: Any) -> Source:
    """A torch tensor in the CPU's memory, through its bits; torch is imported by whoever made the tensor."""
    torch = sys.modules["torch"]
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"cannot cast a {type(tensor).__module__}.{type(tensor).__name__}")
    if tensor.requires_grad:
        raise TypeError("the tensor requires grad, which a cast would lose: use tensor.detach()")
    if tensor.device.type != "cpu":
        raise TypeError(f"the tensor is on {tensor.device}: use tensor.cpu()")
    if tensor.layout is not torch.strided or tensor.is_quantized:
        raise TypeError("only dense tensors can be cast: use tensor.to_dense() or tensor.dequantize()")
    if tensor.is_conj() or tensor.is_neg():
        tensor = tensor.resolve_conj().resolve_neg()
    try:
        array = tensor.numpy()
    except TypeError:  # bfloat16 and the 8-bit floats: numpy has no dtype for them
        fmt = find_format(tensor.dtype)
        size = tensor.element_size()
        if size != np.dtype(fmt.code_dtype).itemsize or tensor.dtype.is_complex or "_x2" in str(tensor.dtype):
            raise TypeError(
                f"cannot cast a tensor of {tensor.dtype}: view it as torch.uint8, unpack the codes, and say source="
            ) from None
        bits = tensor.view({1: torch.uint8, 2: torch.int16}[size]).numpy()
        return Source(cleared(bits.view(_UNSIGNED[size]), fmt), fmt, None, False)
    return as_source(array)

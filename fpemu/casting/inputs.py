"""Accepted inputs (arrays, tensors, numbers, Arrays), read as codes of a format."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from typing import Any, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from fpemu.casting.sequences import Group, Source, assemble, flatten, groups_of, in_format, quick
from fpemu.casting.storage import cleared, in_range, truths
from fpemu.formats import Format, Profile
from fpemu.formats import dtype as find_format
from fpemu.formats.facts.literals import Literal
from fpemu.formats.facts.reals import exact_text, real

_UNSIGNED: dict[int, np.dtype[Any]] = {size: np.dtype(f"u{size}") for size in (1, 2, 4, 8)}
# numpy's own types that hold real numbers: booleans, integers, floats
_KINDS = "biuf"
_PLAIN = frozenset((bool, int, float))


class Coded(Protocol):
    """An object with codes, their format and the rules of casts to it, whose class takes the same three."""

    codes: NDArray[Any]
    format: Format
    profile: Profile

    def __init__(self, codes: NDArray[Any], fmt: Format, profile: Profile) -> None: ...


def carries_codes(x: Any) -> TypeGuard[Coded]:
    """Whether `x` is an object with codes and a format, as `Array` is."""
    return hasattr(x, "codes") and hasattr(x, "format") and hasattr(x, "profile")


def codes_of(x: Coded) -> NDArray[Any]:
    """The codes of an object that carries codes: unsigned integers within its format.

    They are checked each time, as the memory may have changed since the object was made.

    Raises
    ------
    TypeError
        If they are not an array of unsigned integers.
    ValueError
        If a code is out of range.
    """
    codes = x.codes
    if not isinstance(codes, np.ndarray) or codes.dtype.kind != "u":
        kind = codes.dtype if isinstance(codes, np.ndarray) else type(codes).__name__
        raise TypeError(f"the codes of a {type(x).__name__} are an array of unsigned integers, not {kind}")
    return in_range(codes, x.format)


def as_source(x: Any, source: Any = None) -> Source:
    """`x` as codes of one format: its own exact values' format, or `source`'s.

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
        If `x` does not consist of real numbers, or with `source` of integers.
    ValueError
        If a code is out of range, or no single format holds the numbers exactly.
    """
    numbers = as_numbers(x, source)
    if numbers.rest is not None:
        index = np.unravel_index(int(numbers.rest.indices[0]), numbers.codes.shape)
        element = f"element [{', '.join(str(int(i)) for i in index)}] is " if index else ""
        raise ValueError(
            f"{element}{exact_text(numbers.rest.numbers[0])}, which {numbers.format.name} does not hold: round it "
            f"to a format first, fe.array(x, {numbers.format.name!r}), or specify result="
        )
    return numbers


def as_numbers(x: Any, source: Any = None) -> Source:
    """As `as_source`, but `rest` has the exact numbers that a single format does not hold.

    They come from sequences, text, longdouble and object arrays, whose format is int64 or uint64 if all numbers are
    integers, else float64.

    Examples
    --------
    >>> from fpemu.casting.inputs import as_numbers
    >>> found = as_numbers([0.5, 2**60 + 1, "0.1"])
    >>> found.format.name, found.rest.indices, found.rest.numbers
    ('float64', array([1, 2]), [Fraction(1152921504606846977, 1), Fraction(1, 10)])
    """
    if source is not None:
        return _from_codes(x, find_format(source))
    kind = type(x)
    if kind is np.ndarray:
        return _from_array(x, False)
    if isinstance(x, Source):
        return x
    if carries_codes(x):
        codes = codes_of(x)
        return Source(codes, x.format, None, codes.ndim == 0)
    if kind is list or kind is tuple:
        return _from_sequence(x)
    if kind.__module__.partition(".")[0] == "torch":
        return _from_tensor(x)
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError("masked arrays have no values to cast under the mask: use x.filled(value)")
    if isinstance(x, np.ndarray):
        return _from_array(np.asarray(x), False)
    if isinstance(x, np.generic) and not isinstance(x, str):
        return _from_array(np.asarray(x), True)
    if _is_array(x):
        array = np.asarray(x)
        return _from_array(array, array.ndim == 0)
    if isinstance(x, Sequence) and _contains(kind):
        return _from_sequence(list(x))
    return _from_number(x)


def as_array(x: Any) -> NDArray[Any]:
    """Numbers as a numpy array that preserves each exactly, of objects if necessary."""
    if isinstance(x, np.ndarray):
        return x
    source = as_numbers(x)
    if source.dtype is None:
        return np.asarray(x)
    if source.rest is None:
        return source.codes.view(source.dtype)
    objects = source.codes.view(source.dtype).astype(object)
    for index, number in zip(source.rest.indices.tolist(), source.rest.numbers, strict=True):
        objects.flat[index] = number
    return objects


def _is_array(x: Any) -> bool:
    """Whether an object shares its memory with numpy or converts itself to an array."""
    if hasattr(x, "__array__") or hasattr(x, "__array_interface__") or hasattr(x, "__array_struct__"):
        return True
    return isinstance(x, memoryview) or type(x).__module__ == "array"


def _from_number(x: Any) -> Source:
    """A Python number, or an object that is a number; raise TypeError for anything else."""
    number = real(x)
    if isinstance(number, float) or (isinstance(number, int) and -(1 << 63) <= number < 1 << 64):
        return _from_array(np.asarray(x if isinstance(x, bool) else number), True)
    return assemble((), [], {0: number})._replace(scalar=True)


def _from_sequence(x: Sequence[Any]) -> Source:
    """Nested lists and tuples of numbers, arrays and tensors."""
    shape, members, kinds = flatten(x)
    if not any(map(_contains, kinds)):
        array = quick(members, kinds)
        if array is not None:
            return _from_array(array.reshape(shape), False)
        groups, rest = groups_of(members, kinds, shape)
    else:
        given = [as_numbers(each) for each in members]
        own = given[0].codes.shape
        for other in given:
            if other.codes.shape != own:
                raise ValueError(f"elements of the shapes {own} and {other.codes.shape} make no array")
        groups, rest, size = [], {}, given[0].codes.size
        for number, member in enumerate(given):
            indices = np.arange(number * size, (number + 1) * size)
            codes = np.asarray(member.codes, member.codes.dtype.newbyteorder("=")).reshape(-1)
            if member.rest is not None:
                rest.update(zip((member.rest.indices + number * size).tolist(), member.rest.numbers, strict=True))
            groups.append(Group(indices, codes, member.format, member.dtype))
        shape = shape + own
    return assemble(shape, groups, rest)


def _contains(kind: type) -> bool:
    """Whether members of this type are arrays, tensors or sequences, not numbers."""
    if kind in _PLAIN or issubclass(kind, np.generic | str | bytes | bytearray | Literal):
        return False
    if kind.__module__.partition(".")[0] == "torch" or issubclass(kind, Sequence):
        return True
    names = ("__array__", "__array_interface__", "codes", "typecode")
    return any(hasattr(kind, name) for name in names) or "codes" in getattr(kind, "__annotations__", {})


def _from_array(array: NDArray[Any], scalar: bool) -> Source:
    known = _layout(array.dtype)
    if known is None:
        return _from_other(array, scalar)
    bits, fmt, boolean = known
    return Source(truths(array) if boolean else array.view(bits), fmt, array.dtype, scalar)


@functools.lru_cache(maxsize=256)
def _layout(dtype: np.dtype[Any]) -> tuple[np.dtype[Any], Format, bool] | None:
    """The unsigned type of the bits, the format, and whether the type is bool; None unless numpy's real numbers."""
    if dtype.kind not in _KINDS or dtype.itemsize > 8:
        return None
    return _UNSIGNED[dtype.itemsize].newbyteorder(dtype.byteorder), find_format(dtype), dtype.kind == "b"


def _from_other(array: NDArray[Any], scalar: bool) -> Source:
    """Arrays of ml_dtypes' types, objects, text and longdouble; others are refused."""
    if array.dtype.kind == "V" and array.dtype.type.__module__.partition(".")[0] == "ml_dtypes":
        fmt = find_format(array.dtype)
        return Source(cleared(array.view(_UNSIGNED[array.dtype.itemsize]), fmt), fmt, array.dtype, scalar)
    if array.dtype.kind == "O" and array.ndim == 0:
        return _from_number(array.item())
    if array.dtype.kind == "O" and array.size and any(_contains(type(member)) for member in array.flat):
        members = [as_numbers(member) if _contains(type(member)) else member for member in array.flat]
        for member in members:
            if isinstance(member, Source) and member.codes.ndim:
                raise TypeError("an array of objects has a sequence or an array in it: stack them first, np.stack(x)")
        source = _from_sequence(list(array.flat))
        return source._replace(codes=source.codes.reshape(array.shape))
    return assemble(array.shape, *in_format(array))._replace(scalar=scalar)


def _from_codes(x: Any, fmt: Format) -> Source:
    codes = codes_of(x) if carries_codes(x) else _integers(x)
    if codes.dtype.kind not in "iu":
        raise TypeError(f"codes of {fmt.name} are unsigned integers, not {codes.dtype}")
    in_range(codes, fmt)
    if codes.dtype.kind == "i" or codes.itemsize < np.dtype(fmt.code_dtype).itemsize:
        codes = codes.astype(np.dtype(fmt.code_dtype))
    return Source(codes, fmt, None, not isinstance(x, np.ndarray) and codes.ndim == 0)


def _integers(x: Any) -> NDArray[Any]:
    """An array of codes; lists of large Python integers, which numpy does not read as integers, stay integers."""
    codes = np.asarray(x)
    if isinstance(x, np.ndarray) or codes.dtype.kind in "iu":
        return codes
    exact = np.asarray(x, dtype=object)
    if not all(hasattr(code, "__index__") and not isinstance(code, bool) for code in exact.flat):
        return codes
    integers = [int(code) for code in exact.flat]
    if all(0 <= code < 1 << 64 for code in integers):
        return np.array(integers, np.uint64).reshape(exact.shape)
    return codes


def _from_tensor(tensor: Any) -> Source:
    """A torch tensor in the CPU's memory, by its bits; torch is imported, as there is a tensor."""
    torch = sys.modules["torch"]
    if not isinstance(tensor, torch.Tensor):
        own = f"cannot cast a {type(tensor).__module__}.{type(tensor).__name__}"
        if hasattr(tensor, "state_dict"):
            own += ": cast each of its tensors, {name: fe.cast(x, fmt) for name, x in module.state_dict().items()}"
        raise TypeError(own)
    if tensor.requires_grad:
        raise TypeError("the tensor requires grad, which a cast would lose: use tensor.detach()")
    if tensor.device.type == "meta":
        raise TypeError("the tensor is on meta, where tensors have no numbers: make it on the CPU")
    if tensor.device.type != "cpu":
        raise TypeError(f"the tensor is on {tensor.device}: use tensor.cpu()")
    if getattr(tensor, "is_nested", False):
        raise TypeError("a nested tensor has rows of several lengths: cast each of tensor.unbind()")
    if tensor.layout is not torch.strided or tensor.is_quantized:
        raise TypeError("only dense tensors can be cast: use tensor.to_dense() or tensor.dequantize()")
    try:
        return _from_dense(tensor, torch)
    except RuntimeError:  # torch's message is about its internals
        raise TypeError(
            f"a {type(tensor).__name__} of torch that is fake, or inside torch.vmap, has no memory to read: hand over "
            "a plain one"
        ) from None


def _from_dense(tensor: Any, torch: Any) -> Source:
    if tensor.is_conj() or tensor.is_neg():
        tensor = tensor.resolve_conj().resolve_neg()
    try:
        array = tensor.numpy()
    except TypeError:  # bfloat16 and the 8-bit floats: numpy has no dtype for them
        fmt = find_format(tensor.dtype)
        size = tensor.element_size()
        if size != np.dtype(fmt.code_dtype).itemsize or tensor.dtype.is_complex or "_x2" in str(tensor.dtype):
            raise TypeError(
                f"cannot cast a tensor of {tensor.dtype}: view it as torch.uint8, unpack the codes, and use source="
            ) from None
        bits = tensor.view({1: torch.uint8, 2: torch.int16}[size]).numpy()
        return Source(cleared(bits.view(_UNSIGNED[size]), fmt), fmt, None, False)
    return as_source(array)

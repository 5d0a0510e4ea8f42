"""Saving and loading of arrays with their formats: .npz and .safetensors; .npy is read too."""

from __future__ import annotations

import dataclasses
import json
import os
import warnings
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from fpemu.arrays import Array, asarray
from fpemu.casting import as_source
from fpemu.files import safetensors
from fpemu.files.atomic import replacing
from fpemu.files.boundary import Budget, file_path, reading, shown
from fpemu.files.containers import UnknownEndingError, file_kind, kind_by_name, kind_of_input
from fpemu.files.data_files import (
    Outgoing,
    StoredArray,
    element_type,
    member_named,
    open_arrays,
    readable,
    stored_arrays,
    stored_tensors,
    write_arrays,
)
from fpemu.formats import Format, same_codes
from fpemu.formats.lookup import caller_level, checked_int
from fpemu.formats.serialize import format_from, format_of, profile_from, profile_of
from fpemu.quantization import Packed, Quantized, quantized_from, quantized_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

ItemT = TypeVar("ItemT")

ARRAY_VERSION = 1  # of the descriptions of Arrays
QUANTIZED_VERSION = 2  # narrow codes and zero points are packed; not in version 1

SAVED_KINDS = (".npz", ".safetensors")
_MUST = "the ending must be .npz, .safetensors or .npy,"


def save(path: str | os.PathLike[str], /, *unnamed: Any, **arrays: Any) -> None:
    """Write Arrays and Quantized with their formats and profiles, and numpy arrays, to one file, atomically.

    Parameters
    ----------
    path : path-like
        .npz or .safetensors.
    *unnamed
        Not allowed: each array needs a name.
    **arrays : Array, Quantized or array_like
        By name; other names than identifiers are given by ``**{"layer.0": A}``.  Arrays of ml_dtypes and torch whose
        dtype numpy lacks become Arrays.

    Raises
    ------
    OSError
        If the file cannot be written.
    TypeError
        If something is not an array of real numbers.
    ValueError
        If the path has another ending, two names mean the same member, or a name is impossible in the file.

    See Also
    --------
    load : the reverse.

    Notes
    -----
    A format is written by its parameters, so that an unregistered one is restored equal.  In an .npz file an Array's
    codes are ``name.codes``, and its description, JSON in bytes, is ``name.format``.  In a .safetensors file codes have
    the safetensors type of their format (BF16, F8_E4M3, ...) if there is one, else they are unsigned integers; the
    descriptions are in the metadata under ``fpemu``.  The scales of a Quantized are ``name.scales``, its zero points
    ``name.zero_points``, and scales of scales ``name.second_scales``; codes narrower than their bytes, and zero points,
    are packed by `Quantized.pack`, so that the file has `Quantized.nbytes` for all of them.

    Examples
    --------
    >>> import fpemu as fe, tempfile
    >>> a = fe.array([1.0, 0.3], "float8_e4m3fn", profile="torch")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fe.save(f"{folder}/x.npz", a=a)
    ...     fe.load(f"{folder}/x.npz")
    {'a': Array([1.    , 0.3125], format='float8_e4m3fn', profile='torch-2.14')}
    """
    if unnamed:
        raise TypeError("save takes arrays by name: fe.save(path, w=x); of a dict, fe.save(path, **arrays)")
    path = file_path(path)
    kind = file_kind(path)
    if kind not in SAVED_KINDS:
        raise ValueError(f"{path}: the ending must be .npz or .safetensors, not {path.suffix!r}")
    saved = {name: _array(x) for name, x in arrays.items()}
    if kind == ".npz":
        write_arrays(path, _npz_members(saved))
    else:
        with replacing(path) as stream:
            _write_safetensors(stream, saved)


def load(path: str | os.PathLike[str], name: str | None = None, *, max_bytes: int | None = None) -> Any:
    """Load the arrays of a file written by `save`, numpy or safetensors; or one of them, without reading the rest.

    Parameters
    ----------
    path : path-like
        .npz, .safetensors or .npy; the file's first bytes decide.
    name : str, optional
        The one array to load; default: all.
    max_bytes : int, optional
        The most memory of the arrays; default: a gibibyte, and sixteen bytes for each byte of the file, which only a
        compressed file can exceed.

    Returns
    -------
    dict of str to Array, Quantized or numpy.ndarray
        In the file's order.  Arrays and Quantized as they were saved; members without a description become numpy
        arrays, or Arrays if numpy lacks their dtype (BF16, F8_E4M3, F4, ...).  With `name`, and for an .npy file, the
        array itself.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If the file is damaged or of another kind, has no array of that name, or needs more memory than allowed; the
        message begins with the path.

    Warns
    -----
    UserWarning
        If an array has an unsupported type (C64, texts); it is named and left out.

    Notes
    -----
    A .safetensors file is refused if safetensors itself refuses it: offsets with holes or overlaps, bytes after the
    last tensor, duplicate names.  Nothing is unpickled.

    Examples
    --------
    >>> import fpemu as fe, numpy as np, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fe.save(f"{folder}/x.safetensors", plain=np.arange(3), a=fe.array([1, -2], "int4"))
    ...     fe.load(f"{folder}/x.safetensors")
    ...     fe.load(f"{folder}/x.safetensors", "a")
    {'plain': array([0, 1, 2]), 'a': Array([ 1, -2], format='int4')}
    Array([ 1, -2], format='int4')
    """
    file = file_path(path)
    if name is not None and not isinstance(name, str):
        raise TypeError(f"name must be a str, not {type(name).__name__}")
    if max_bytes is not None:
        max_bytes = checked_int(max_bytes, "max_bytes")
    if kind_by_name(file) is None and not file.exists():
        raise ValueError(f"{file}: no such file; {_MUST} not {file.suffix!r}")
    with reading(file):
        try:
            kind = kind_of_input(file)
        except UnknownEndingError:
            kind = "raw"
        if kind == "raw":
            raise ValueError(f"{file}: {_MUST} not {file.suffix!r}")
        if kind == ".npy" and name is not None:
            raise ValueError(f"{file}: an .npy file has one array, without a name; {name!r} cannot be selected")
        budget = Budget.of(file, max_bytes=max_bytes)
    with reading(file, "not written by fpemu.save, or damaged"):
        if kind == ".npy":
            (stored,) = stored_arrays(file, kind)
            return stored.whole(budget)
        arrays = (_load_npz if kind == ".npz" else _load_safetensors)(file, name, budget)
    return arrays if name is None else arrays[name]


def open_saved(
    path: str | os.PathLike[str],
    *,
    dtype: Any = None,
    shape: tuple[int, ...] | None = None,
    member: str | None = None,
    raw: bool = False,
) -> list[StoredArray]:
    """`fpemu.files.data_files.open_arrays` for files of `save`, too: an Array is one array of codes.

    Parameters
    ----------
    path, shape, raw
        As in `open_arrays`.
    dtype : str, numpy.dtype or Format, optional
        As in `open_arrays`; for an Array only its own format.
    member : str, optional
        The name of a saved array, or of its codes in the file.

    Returns
    -------
    list of StoredArray

    Raises
    ------
    OSError, ValueError
        As in `open_arrays`; also if `member` is a Quantized, or all arrays are.

    Warns
    -----
    UserWarning
        If elements cannot be read or belong to a Quantized; they are left out.

    Examples
    --------
    >>> import fpemu as fe, tempfile
    >>> from fpemu.files.saving import open_saved
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fe.save(f"{folder}/x.npz", a=fe.array([1, -2], "int4"))
    ...     (a,) = open_saved(f"{folder}/x.npz")
    ...     print(a.name, a.format, next(a.chunks()))
    a int4 [ 1 14]
    """
    file = file_path(path)
    with reading(file):
        kind = kind_of_input(file, raw)
    marks = {}
    if kind in SAVED_KINDS:
        with reading(file, "not written by fpemu.save, or damaged"):
            marks = _npz_marks(file) if kind == ".npz" else _safetensors_marks(file, member)
    if not marks:
        return open_arrays(file, dtype=dtype, shape=shape, member=member, raw=raw)
    if shape is not None:
        raise ValueError(f"{file}: shape is for raw files; {kind} files know theirs")
    members = {stored.name: stored for stored in stored_arrays(file, kind)}
    arrays: list[StoredArray] = []
    for name, stored in members.items():
        mark = marks.get(name)
        if member is not None and member != name and (mark is None or member != mark.name):
            continue
        if mark is None:
            arrays += [stored] if dtype is None else stored_arrays(file, kind, member=name, dtype=dtype)
        elif mark.name or member is not None:
            arrays.append(_marked(stored, mark, dtype))
    if member is not None and not arrays:
        names = [marks[name].name if name in marks else name for name in members]
        member_named(file, dict.fromkeys(filter(None, names)), member)
    return readable(arrays, member is not None)


class _Mark(NamedTuple):
    """A member's description: the array's name ("" for members other than codes), its format, or why it has none."""

    name: str
    format: Format | None
    why: str = ""


def _marked(stored: StoredArray, mark: _Mark, dtype: Any) -> StoredArray:
    """A member of a file with the name and the format of its description."""
    if mark.format is None:
        return dataclasses.replace(stored, name=mark.name or stored.name, unknown=mark.why)
    code_dtype = np.dtype(mark.format.code_dtype)
    if stored.dtype.kind not in "uif" or stored.dtype.itemsize != code_dtype.itemsize:
        raise ValueError(f"{stored.where}: codes of {mark.format.name} are {code_dtype}, not {stored.dtype}")
    bits = code_dtype.newbyteorder(stored.dtype.byteorder)
    array = dataclasses.replace(stored, name=mark.name, format=mark.format, dtype=bits)
    if dtype is not None:
        element = element_type(dtype)
        if isinstance(element, np.dtype) or not same_codes(element, mark.format):
            raise ValueError(f"{array.where}: an Array of {mark.format}, not of {element}: leave dtype out")
    return array


def _marks_of(path: Path, name: str, codes: str, data: dict[str, Any]) -> dict[str, _Mark]:
    """The marks of a description's members; `codes` is the member with the codes."""
    _check_version(f"{path}, {shown(name)}", data)
    if "scheme" not in data:
        return {codes: _Mark(name, format_from(data["format"]))}
    call = f"fe.load({str(path)!r}, {name!r}).dequantize()"
    why = f"a Quantized, which has no numbers of its own in the file: save them first, np.save('numbers.npy', {call})"
    others = {f"{name}.{field}": _Mark("", None, f"a part of {shown(name)}, {why}") for field in _fields(data)[1:]}
    return {codes: _Mark(name, None, why), **others}


def _npz_marks(path: Path) -> dict[str, _Mark]:
    members = {stored.name: stored for stored in stored_arrays(path, ".npz")}
    budget = Budget.of(path)
    marks: dict[str, _Mark] = {}
    for stem in _stems(members):
        marks |= _marks_of(path, stem, f"{stem}.codes", _read_description(members, stem, budget))
        marks[f"{stem}.format"] = _Mark("", None, f"the description of {shown(stem)}, not numbers")
    return marks


def _safetensors_marks(path: Path, member: str | None) -> dict[str, _Mark]:
    budget = Budget.of(path)
    marks: dict[str, _Mark] = {}
    metadata, _ = safetensors.contents(path, budget, member)
    for name, data in budget.json(metadata.get("fpemu", "{}").encode(), "its descriptions", constants=True).items():
        marks |= _marks_of(path, name, name, data)
    return marks


Saved = Array | Quantized | NDArray[Any]
Fields = dict[str, Array | NDArray[Any]]  # the codes first, under "codes"


def _array(x: Any) -> Saved:
    """An Array, a Quantized, or a numpy array."""
    if isinstance(x, Array | Quantized):
        return x
    if isinstance(x, Packed):
        raise TypeError("a Packed is not saved: save what it unpacks to, unpack()")
    source = as_source(x)
    if source.dtype is not None and source.dtype.kind in "biuf":
        return source.codes.view(source.dtype)
    return asarray(x)


def _description(x: Array | Quantized) -> tuple[Fields, dict[str, Any]]:
    """The arrays of an Array or a Quantized, and its description."""
    if isinstance(x, Array):
        if x.rng is not None:
            warnings.warn(
                "the Array's Generator is not saved: the loaded Array draws from the system's entropy until with_rng "
                "sets another",
                UserWarning,
                stacklevel=caller_level(),
            )
        return {"codes": x}, {"version": ARRAY_VERSION, "format": format_of(x.format), "profile": profile_of(x.profile)}
    fields, data = quantized_of(x)
    return fields, {"version": QUANTIZED_VERSION, "parts": list(fields)[1:], **data}


def _fields(data: dict[str, Any]) -> tuple[str, ...]:
    return ("codes", *data.get("parts", ()))


def _check_version(where: str, data: dict[str, Any]) -> None:
    readable_versions = (ARRAY_VERSION, QUANTIZED_VERSION) if "scheme" in data else (ARRAY_VERSION,)
    if data["version"] not in readable_versions:
        versions = " and ".join(map(str, readable_versions))
        raise ValueError(f"{where}: a description of version {data['version']}: this fpemu reads version {versions}")


def _restored(where: str, codes: dict[str, NDArray[Any]], data: dict[str, Any]) -> Array | Quantized:
    """The array of a description and its codes."""
    _check_version(where, data)
    if "scheme" in data:
        return quantized_from(codes, data)
    return Array(codes["codes"], format_from(data["format"]), profile_from(data["profile"]))


def _with_distinct_names(items: Iterable[tuple[str, ItemT]]) -> dict[str, ItemT]:
    """A dict of pairs whose names must differ."""
    members: dict[str, ItemT] = {}
    for name, x in items:
        if name in members:
            raise ValueError(f"two arrays would be written as {name}: rename one")
        members[name] = x
    return members


# -- .npz -------------------------------------------------------------------------------------------------------------


def _npz_members(arrays: dict[str, Saved]) -> list[Outgoing]:
    def items() -> Iterator[tuple[str, NDArray[Any]]]:
        for name, x in arrays.items():
            if not isinstance(x, Array | Quantized):
                yield name, x
                continue
            fields, data = _description(x)
            yield from ((f"{name}.{field}", x.codes if isinstance(x, Array) else x) for field, x in fields.items())
            yield f"{name}.format", np.frombuffer(json.dumps(data).encode(), np.uint8)

    members = _with_distinct_names(items())
    for name in arrays:
        stem = name.removesuffix(".codes")
        if stem != name and f"{stem}.format" in arrays:
            raise ValueError(f"{name} and {stem}.format would be taken for the codes of {stem}: rename one")
    return [Outgoing(name, x.shape, x.dtype, [x]) for name, x in members.items()]


def _stems(members: Collection[str]) -> list[str]:
    """The names of arrays with a description among an archive's members."""
    split = (member.rpartition(".") for member in members)
    return [stem for stem, _, field in split if field == "codes" and f"{stem}.format" in members]


def _read_description(members: dict[str, StoredArray], stem: str, budget: Budget) -> Any:
    """The description of an array in an archive."""
    text = members[f"{stem}.format"].whole(budget).tobytes()
    return budget.json(text, f"the description of {shown(stem)}", constants=True)


def _load_npz(path: Path, name: str | None, budget: Budget) -> dict[str, Any]:
    members = {stored.name: stored for stored in stored_arrays(path, ".npz", under=name)}
    described = _stems(members)
    descriptions = {stem: _read_description(members, stem, budget) for stem in described if name in (None, stem)}
    inner = {f"{stem}.{field}" for stem, data in descriptions.items() for field in ("format", *_fields(data)[1:])}
    stems = {member: member.removesuffix(".codes") for member in members}
    names = {stem if stem in described else member: member for member, stem in stems.items()}
    names = {stem: member for stem, member in names.items() if member not in inner - {name}}
    arrays: dict[str, Any] = {}
    for stem in _names_to_load(path, name, {stem: members[member] for stem, member in names.items()}):
        if stem in descriptions:
            data = descriptions[stem]
            codes = {field: members[f"{stem}.{field}"].whole(budget) for field in _fields(data)}
            arrays[stem] = _restored(f"{path}, {shown(stem)}", codes, data)
        else:
            arrays[stem] = members[names[stem]].whole(budget)
    return arrays


def _names_to_load(path: Path, name: str | None, arrays: dict[str, StoredArray]) -> list[str]:
    """The names to load: the given one, else all readable ones."""
    if name is not None:
        member_named(path, arrays, name)
        return [name]
    for stored in arrays.values():
        if stored.unknown:
            warnings.warn(f"{stored.where}, left out: {stored.unknown}", stacklevel=caller_level())
    return [name for name, stored in arrays.items() if not stored.unknown]


# -- .safetensors: the header's length in 8 bytes, the header in JSON, the elements -----------------------------------


def _tensor(x: Array | NDArray[Any]) -> tuple[safetensors.TensorType, list[NDArray[Any]]]:
    """An array's type and shape in safetensors, and its elements."""
    if not isinstance(x, Array) and x.dtype == np.bool_:
        return safetensors.TensorType("BOOL", x.shape), [x]
    source = as_source(x)
    assert isinstance(source.codes, np.ndarray)
    word = safetensors.word_of(source.format, source.codes.size)
    return safetensors.TensorType(word, source.codes.shape), [source.codes]


def _write_safetensors(stream: IO[bytes], arrays: dict[str, Saved]) -> None:
    descriptions: dict[str, Any] = {}

    def items() -> Iterator[tuple[str, Array | NDArray[Any]]]:
        for name, x in arrays.items():
            if not isinstance(x, Array | Quantized):
                yield name, x
                continue
            fields, descriptions[name] = _description(x)
            yield from ((name if field == "codes" else f"{name}.{field}", codes) for field, codes in fields.items())

    tensors = {name: _tensor(x) for name, x in _with_distinct_names(items()).items()}
    metadata = {"fpemu": json.dumps(descriptions)} if descriptions else {}
    types = {name: tensor_type for name, (tensor_type, _) in tensors.items()}
    safetensors.write_tensors(stream, types, {name: x for name, (_, x) in tensors.items()}, metadata)


def _load_safetensors(path: Path, name: str | None, budget: Budget) -> dict[str, Any]:
    metadata, entries = safetensors.contents(path, budget, name)
    members = {stored.name: stored for stored in stored_tensors(path, entries)}
    descriptions = budget.json(metadata.get("fpemu", "{}").encode(), "its descriptions", constants=True)
    inner = {f"{stem}.{field}" for stem, data in descriptions.items() for field in _fields(data)[1:]}
    outer = {member: stored for member, stored in members.items() if member not in inner - {name}}
    arrays: dict[str, Any] = {}
    for stem in _names_to_load(path, name, outer):
        if stem in descriptions:
            data = descriptions[stem]
            names = {field: stem if field == "codes" else f"{stem}.{field}" for field in _fields(data)}
            fields = {field: members[member].whole(budget) for field, member in names.items()}
            codes = {field: x.view(f"u{x.dtype.itemsize}") for field, x in fields.items()}
            arrays[stem] = _restored(f"{path}, {shown(stem)}", codes, data)
        else:
            numbers, fmt = members[stem].whole(budget), members[stem].format
            arrays[stem] = numbers if fmt is None else Array(numbers, fmt)
    return arrays

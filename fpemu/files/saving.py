"""Arrays in files with their formats: .npz and .safetensors; .npy is read too."""

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
    named,
    open_arrays,
    readable,
    stored_arrays,
    stored_tensors,
    write_arrays,
)
from fpemu.formats import Format, same_codes
from fpemu.formats.serialize import format_from, format_of, profile_from, profile_of
from fpemu.quantization import Packed, Quantized, quantized_from, quantized_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

__all__ = ["load", "open_saved", "save"]

T = TypeVar("T")

VERSION = 1  # of the descriptions of Arrays
PACKED_VERSION = 2  # of a Quantized's: narrow codes and zero points are packed; in version 1 each has bytes of its own

# safetensors' words for the types of whole bytes.
WORDS = {word: name for word, name in safetensors.FORMATS.items() if safetensors.BITS[word] >= 8}
SAVED = (".npz", ".safetensors")
_MUST = "the ending must be .npz, .safetensors or .npy,"


def save(path: str | os.PathLike[str], /, *unnamed: Any, **arrays: Any) -> None:
    """Write Arrays and Quantized with their formats and profiles, and plain arrays, to one file, whole or not at all.

    Parameters
    ----------
    path : path-like
        .npz or .safetensors.
    *unnamed
        None: each array has a name.
    **arrays : Array, Quantized or array_like
        By name; names that are no identifiers go in by ``**{"layer.0": A}``.  Arrays of ml_dtypes and torch that numpy
        has no dtype for become Arrays.

    Raises
    ------
    OSError
        If the file cannot be written.
    TypeError
        If something is no array of real numbers.
    ValueError
        If the path has another ending, two names would mean the same member, or a file cannot have a name.

    See Also
    --------
    load : the way back.

    Notes
    -----
    A format is written by its parameters, so that one which is registered nowhere comes back equal.  An .npz file has
    an Array's codes as ``name.codes`` and its description, JSON in bytes, as ``name.format``.  A .safetensors file has
    codes under safetensors' own type where there is one for the format (BF16, F8_E4M3, ...), else as unsigned integers,
    and the descriptions in its metadata under ``fpemu``.  Of a Quantized the scales are ``name.scales``, the zero
    points ``name.zero_points``, and scales of scales ``name.second_scales``; codes narrower than their bytes, and zero
    points, are packed as `Quantized.pack` packs them, so that the file has `Quantized.nbytes` of them all.

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
    kind = _kind_to_save(path)
    found = {name: _array(x) for name, x in arrays.items()}
    if kind == ".npz":
        write_arrays(path, _members(found))
    else:
        with replacing(path) as stream:
            _write_safetensors(stream, found)


def load(path: str | os.PathLike[str], name: str | None = None, *, max_bytes: int | None = None) -> Any:
    """The arrays of a file that `save` wrote, or numpy or safetensors; or one of them, without reading the rest.

    Parameters
    ----------
    path : path-like
        .npz, .safetensors or .npy: the file's first bytes tell.
    name : str, optional
        The one array that is wanted.
    max_bytes : int, optional
        How much memory the arrays may take; default a gibibyte, and sixteen bytes for each byte of the file, which only
        a compressed file can go beyond.

    Returns
    -------
    dict of str to Array, Quantized or numpy.ndarray
        In the file's order.  Arrays and Quantized as they were saved; what has no description is a numpy array, or an
        Array if numpy has no dtype for it (BF16, F8_E4M3, F4, ...).  With `name`, and of an .npy file: the array.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is damaged or of another kind, has no array of that name, or takes more memory than it may; the message
        begins with the path.

    Warns
    -----
    UserWarning
        If an array is of a type that fpemu has no format for (C64, texts): it is named and left out.

    Notes
    -----
    A .safetensors file is refused where safetensors itself refuses it: offsets with holes or overlaps, bytes after the
    last tensor, names that are there twice.  Nothing is unpickled.

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
    _check_limits(name, max_bytes)
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
        found = (_load_npz if kind == ".npz" else _load_safetensors)(file, name, budget)
    return found if name is None else found[name]


def open_saved(
    path: str | os.PathLike[str],
    *,
    dtype: Any = None,
    shape: tuple[int, ...] | None = None,
    member: str | None = None,
    raw: bool = False,
) -> list[StoredArray]:
    """As `fpemu.files.data_files.open_arrays`, but what `save` wrote of an Array is one array, of its format's codes.

    Parameters
    ----------
    path, shape, raw
        As `open_arrays` takes them.
    dtype : str, numpy.dtype or Format, optional
        As there; of an Array its own format alone.
    member : str, optional
        The name under which an array was saved, or that of its codes in the file.

    Returns
    -------
    list of StoredArray

    Raises
    ------
    OSError, ValueError
        As `open_arrays`; also if `member` is a Quantized, or nothing but such is there.

    Warns
    -----
    UserWarning
        If elements cannot be read, or are a Quantized's: they are left out.

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
    if kind in SAVED:
        with reading(file, "not written by fpemu.save, or damaged"):
            marks = _npz_marks(file) if kind == ".npz" else _safetensors_marks(file, member)
    if not marks:
        return open_arrays(file, dtype=dtype, shape=shape, member=member, raw=raw)
    if shape is not None:
        raise ValueError(f"{file}: shape is for raw files; {kind} files know theirs")
    members = {stored.name: stored for stored in stored_arrays(file, kind)}
    found: list[StoredArray] = []
    for name, stored in members.items():
        mark = marks.get(name)
        if member is not None and member != name and (mark is None or member != mark.name):
            continue
        if mark is None:
            found += [stored] if dtype is None else stored_arrays(file, kind, member=name, dtype=dtype)
        elif mark.name or member is not None:
            found.append(_marked(stored, mark, dtype))
    if member is not None and not found:
        names = [marks[name].name if name in marks else name for name in members]
        named(file, dict.fromkeys(filter(None, names)), member)
    return readable(found, member is not None)


class _Mark(NamedTuple):
    """What a description says of a file's member: the array's name, "" for its other parts; its format, or why not."""

    name: str
    format: Format | None
    why: str = ""


def _marked(stored: StoredArray, mark: _Mark, dtype: Any) -> StoredArray:
    """A member of a file as what its description says."""
    if mark.format is None:
        return dataclasses.replace(stored, name=mark.name or stored.name, unknown=mark.why)
    code_dtype = np.dtype(mark.format.code_dtype)
    if stored.dtype.kind not in "uif" or stored.dtype.itemsize != code_dtype.itemsize:
        raise ValueError(f"{stored.where}: codes of {mark.format.name} are {code_dtype}, not {stored.dtype}")
    bits = code_dtype.newbyteorder(stored.dtype.byteorder)
    found = dataclasses.replace(stored, name=mark.name, format=mark.format, dtype=bits)
    if dtype is not None:
        element = element_type(dtype)
        if isinstance(element, np.dtype) or not same_codes(element, mark.format):
            raise ValueError(f"{found.where}: an Array of {mark.format}, not of {element}: leave dtype out")
    return found


def _marks(path: Path, name: str, codes: str, data: dict[str, Any]) -> dict[str, _Mark]:
    """What a description says of its members; `codes`: the one that has the codes."""
    _check_version(f"{path}, {shown(name)}", data)
    if "scheme" not in data:
        return {codes: _Mark(name, format_from(data["format"]))}
    call = f"fe.load({str(path)!r}, {name!r}).dequantize()"
    why = f"a Quantized, which has no numbers of its own in the file: save them first, np.save('numbers.npy', {call})"
    parts = {f"{name}.{part}": _Mark("", None, f"a part of {shown(name)}, {why}") for part in _parts(data)[1:]}
    return {codes: _Mark(name, None, why), **parts}


def _npz_marks(path: Path) -> dict[str, _Mark]:
    members = {stored.name: stored for stored in stored_arrays(path, ".npz")}
    budget = Budget.of(path)
    found: dict[str, _Mark] = {}
    for stem in _stems(members):
        found |= _marks(path, stem, f"{stem}.codes", _read_description(members, stem, budget))
        found[f"{stem}.format"] = _Mark("", None, f"the description of {shown(stem)}, not numbers")
    return found


def _safetensors_marks(path: Path, member: str | None) -> dict[str, _Mark]:
    budget = Budget.of(path)
    found: dict[str, _Mark] = {}
    metadata, _ = safetensors.contents(path, budget, member)
    for name, data in budget.json(metadata.get("fpemu", "{}").encode(), "its descriptions", constants=True).items():
        found |= _marks(path, name, name, data)
    return found


def _check_limits(name: Any, max_bytes: Any) -> None:
    if name is not None and not isinstance(name, str):
        raise TypeError(f"name must be a str, not {type(name).__name__}")
    if max_bytes is not None and (isinstance(max_bytes, bool) or not hasattr(max_bytes, "__index__")):
        raise TypeError(f"max_bytes must be an int, not {type(max_bytes).__name__}")
    if max_bytes is not None and max_bytes < 0:
        raise ValueError(f"max_bytes must be 0 or more, not {max_bytes}")


def _kind_to_save(path: str | os.PathLike[str]) -> str:
    if file_kind(path) not in SAVED:
        raise ValueError(f"{path}: the ending must be .npz or .safetensors, not {Path(path).suffix!r}")
    return file_kind(path)


Saved = Array | Quantized | NDArray[Any]
Parts = dict[str, Array | NDArray[Any]]  # the codes first, under "codes"


def _array(x: Any) -> Saved:
    """An Array, a Quantized, or a plain array that numpy has a dtype for."""
    if isinstance(x, Array | Quantized):
        return x
    if isinstance(x, Packed):
        raise TypeError("a Packed is not saved: save what it unpacks to, unpack()")
    given = as_source(x)
    if given.dtype is not None and given.dtype.kind in "biuf":
        return given.codes.view(given.dtype)
    return asarray(x)


def _description(x: Array | Quantized) -> tuple[Parts, dict[str, Any]]:
    """What is written of an array that has more than numbers: its parts, and the rest."""
    if isinstance(x, Array):
        if x.rng is not None:
            warnings.warn(
                "the Array's Generator is not saved: what load gives draws from the system's entropy until with_rng "
                "gives it another",
                UserWarning,
                stacklevel=4,
            )
        return {"codes": x}, {"version": VERSION, "format": format_of(x.format), "profile": profile_of(x.profile)}
    parts, data = quantized_of(x)
    return parts, {"version": PACKED_VERSION, "parts": list(parts)[1:], **data}


def _parts(data: dict[str, Any]) -> tuple[str, ...]:
    return ("codes", *data.get("parts", ()))


def _check_version(where: str, data: dict[str, Any]) -> None:
    known = (VERSION, PACKED_VERSION) if "scheme" in data else (VERSION,)
    if data["version"] not in known:
        versions = " and ".join(map(str, known))
        raise ValueError(f"{where}: a description of version {data['version']}: this fpemu reads version {versions}")


def _described(where: str, codes: dict[str, NDArray[Any]], data: dict[str, Any]) -> Array | Quantized:
    """The array of a description and its parts' codes."""
    _check_version(where, data)
    if "scheme" in data:
        return quantized_from(codes, data)
    return Array(codes["codes"], format_from(data["format"]), profile_from(data["profile"]))


def _codes(x: Array | NDArray[Any]) -> NDArray[Any]:
    return x.codes if isinstance(x, Array) else x


def _joined(named: Iterable[tuple[str, T]]) -> dict[str, T]:
    """A dict of names that must differ."""
    found: dict[str, T] = {}
    for name, x in named:
        if name in found:
            raise ValueError(f"two arrays would be written as {name}: rename one")
        found[name] = x
    return found


# -- .npz -------------------------------------------------------------------------------------------------------------


def _members(arrays: dict[str, Saved]) -> list[Outgoing]:
    def named() -> Iterator[tuple[str, NDArray[Any]]]:
        for name, x in arrays.items():
            if not isinstance(x, Array | Quantized):
                yield name, x
                continue
            parts, data = _description(x)
            yield from ((f"{name}.{part}", _codes(codes)) for part, codes in parts.items())
            yield f"{name}.format", np.frombuffer(json.dumps(data).encode(), np.uint8)

    members = _joined(named())
    for name in arrays:
        stem = name.removesuffix(".codes")
        if stem != name and f"{stem}.format" in arrays:
            raise ValueError(f"{name} and {stem}.format would be taken for the codes of {stem}: rename one")
    return [Outgoing(name, x.shape, x.dtype, [x]) for name, x in members.items()]


def _stems(members: Collection[str]) -> list[str]:
    """The names of arrays that have a description among an archive's members."""
    parts = (each.rpartition(".") for each in members)
    return [stem for stem, _, part in parts if part == "codes" and f"{stem}.format" in members]


def _read_description(members: dict[str, StoredArray], stem: str, budget: Budget) -> Any:
    """What an archive says of one of its arrays."""
    text = members[f"{stem}.format"].whole(budget).tobytes()
    return budget.json(text, f"the description of {shown(stem)}", constants=True)


def _load_npz(path: Path, name: str | None, budget: Budget) -> dict[str, Any]:
    members = {stored.name: stored for stored in stored_arrays(path, ".npz", under=name)}
    described = _stems(members)
    descriptions = {stem: _read_description(members, stem, budget) for stem in described if name in (None, stem)}
    inside = {f"{stem}.{part}" for stem, data in descriptions.items() for part in ("format", *_parts(data)[1:])}
    names = {
        each.removesuffix(".codes") if each.removesuffix(".codes") in described else each: each for each in members
    }
    names = {own: each for own, each in names.items() if each not in inside - {name}}
    found: dict[str, Any] = {}
    for own in _chosen(path, name, {stem: members[each] for stem, each in names.items()}):
        if own in descriptions:
            data = descriptions[own]
            codes = {part: members[f"{own}.{part}"].whole(budget) for part in _parts(data)}
            found[own] = _described(f"{path}, {shown(own)}", codes, data)
        else:
            found[own] = members[names[own]].whole(budget)
    return found


def _chosen(path: Path, name: str | None, arrays: dict[str, StoredArray]) -> list[str]:
    """The names to load: the one that is wanted, else all whose elements can be read."""
    if name is not None:
        named(path, arrays, name)
        return [name]
    for stored in arrays.values():
        if stored.unknown:
            warnings.warn(f"{stored.where}, left out: {stored.unknown}", stacklevel=4)
    return [each for each, stored in arrays.items() if not stored.unknown]


# -- .safetensors: the header's length in 8 bytes, the header in JSON, the elements -----------------------------------


def _elements(x: Array | NDArray[Any]) -> tuple[safetensors.Place, list[NDArray[Any]]]:
    """An array's type in safetensors' word with its shape, and its elements."""
    if not isinstance(x, Array) and x.dtype == np.bool_:
        return safetensors.Place("BOOL", x.shape), [x]
    given = as_source(x)
    assert isinstance(given.codes, np.ndarray)
    return safetensors.Place(safetensors.word_of(given.format, given.codes.size), given.codes.shape), [given.codes]


def _write_safetensors(stream: IO[bytes], arrays: dict[str, Saved]) -> None:
    descriptions: dict[str, Any] = {}

    def named() -> Iterator[tuple[str, Array | NDArray[Any]]]:
        for name, x in arrays.items():
            if not isinstance(x, Array | Quantized):
                yield name, x
                continue
            own, descriptions[name] = _description(x)
            yield from ((name if part == "codes" else f"{name}.{part}", codes) for part, codes in own.items())

    found = {name: _elements(x) for name, x in _joined(named()).items()}
    metadata = {"fpemu": json.dumps(descriptions)} if descriptions else {}
    safetensors.write(
        stream,
        {name: place for name, (place, _) in found.items()},
        {name: x for name, (_, x) in found.items()},
        metadata,
    )


def _as_codes(x: NDArray[Any]) -> NDArray[Any]:
    """The elements' bits as unsigned integers."""
    return x.view(f"u{x.dtype.itemsize}")


def _load_safetensors(path: Path, name: str | None, budget: Budget) -> dict[str, Any]:
    metadata, entries = safetensors.contents(path, budget, name)
    members = {stored.name: stored for stored in stored_tensors(path, entries)}
    descriptions = budget.json(metadata.get("fpemu", "{}").encode(), "its descriptions", constants=True)
    inside = {f"{each}.{part}" for each, data in descriptions.items() for part in _parts(data)[1:]}
    found: dict[str, Any] = {}
    for own in _chosen(path, name, {each: stored for each, stored in members.items() if each not in inside - {name}}):
        if own in descriptions:
            data = descriptions[own]
            parts = {part: own if part == "codes" else f"{own}.{part}" for part in _parts(data)}
            codes = {part: _as_codes(members[each].whole(budget)) for part, each in parts.items()}
            found[own] = _described(f"{path}, {shown(own)}", codes, data)
        else:
            numbers, fmt = members[own].whole(budget), members[own].format
            found[own] = numbers if fmt is None else Array(numbers, fmt)
    return found

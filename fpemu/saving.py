"""Arrays in files with their formats: .npz and .safetensors."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from fpemu.array import Array, asarray
from fpemu.files import Outgoing, StoredArray, open_arrays, replacing, write_arrays
from fpemu.formats import Format, same_codes
from fpemu.portable import format_from, format_of, profile_from, profile_of
from fpemu.registry import dtype as find_format
from fpemu.sources import as_source

__all__ = ["load", "save"]

VERSION = 1  # of the descriptions

# safetensors' words for types: numpy's own, and the formats that it has beside them.
NUMPY_WORDS = {
    **{f"F{bits}": f"float{bits}" for bits in (64, 32, 16)},
    **{
        f"{letter}{bits}": f"{name}{bits}" for letter, name in (("I", "int"), ("U", "uint")) for bits in (8, 16, 32, 64)
    },
}
WORDS = {
    **NUMPY_WORDS,
    **{"BF16": "bfloat16", "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "F8_E8M0": "float8_e8m0fnu"},
}
LONGEST_HEADER = 100_000_000  # bytes, as safetensors itself has it


def save(path: str | os.PathLike[str], /, **arrays: Any) -> None:
    """Write Arrays with their formats and profiles, and plain arrays, to one file; it is written whole or not at all.

    Parameters
    ----------
    path : path-like
        .npz or .safetensors.
    **arrays : Array or array_like
        By name; names that are no identifiers go in by ``**{"layer.0": A}``.  Arrays of ml_dtypes and torch that numpy
        has no dtype for become Arrays.

    Raises
    ------
    OSError
        If the file cannot be written.
    TypeError
        If something is no array of real numbers.
    ValueError
        If the path has another ending, or two names would mean the same member.

    See Also
    --------
    load : the way back.

    Notes
    -----
    A format is written by its parameters, so that one which is registered nowhere comes back equal.  An .npz file has
    an Array's codes as ``name.codes`` and its description, JSON in bytes, as ``name.format``.  A .safetensors file has
    codes under safetensors' own type where there is one for the format (BF16, F8_E4M3, ...), else as unsigned integers,
    and the descriptions in its metadata under ``fpemu``.

    Examples
    --------
    >>> import fpemu as fe, tempfile
    >>> a = fe.array([1.0, 0.3], "float8_e4m3fn", profile="torch")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fe.save(f"{folder}/x.npz", a=a)
    ...     fe.load(f"{folder}/x.npz")
    {'a': Array([1.    , 0.3125], format='float8_e4m3fn', profile='torch-2.14')}
    """
    kind = _kind(path)
    found = {name: _array(x) for name, x in arrays.items()}
    if kind == ".npz":
        write_arrays(path, _members(found))
    else:
        with replacing(path) as stream:
            _write_safetensors(stream, found)


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The arrays of a file that `save` wrote, or numpy or safetensors.

    Parameters
    ----------
    path : path-like
        .npz or .safetensors.

    Returns
    -------
    dict of str to Array or numpy.ndarray
        In the file's order.  Arrays as they were saved; what has no description is a numpy array, or an Array if numpy
        has no dtype for it (BF16, F8_E4M3, ...).

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is damaged, or the path has another ending.

    Examples
    --------
    >>> import fpemu as fe, numpy as np, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fe.save(f"{folder}/x.safetensors", plain=np.arange(3), a=fe.array([1, -2], "int4"))
    ...     fe.load(f"{folder}/x.safetensors")
    {'plain': array([0, 1, 2]), 'a': Array([ 1, -2], format='int4')}
    """
    try:
        return _load_npz(path) if _kind(path) == ".npz" else _load_safetensors(Path(path))
    except (KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: damaged, or not written by fpemu.save: {error!r}") from None


def _kind(path: str | os.PathLike[str]) -> str:
    suffix = Path(path).suffix.lower()
    if suffix not in (".npz", ".safetensors"):
        raise ValueError(f"{path}: the ending must be .npz or .safetensors, not {suffix!r}")
    return suffix


def _array(x: Any) -> Array | NDArray[Any]:
    """An Array, or a plain array that numpy has a dtype for."""
    if isinstance(x, Array):
        return x
    given = as_source(x)
    if given.dtype is not None and given.dtype.kind in "biuf":
        return given.codes.view(given.dtype)
    return asarray(x)


def _description(x: Array) -> dict[str, Any]:
    return {"version": VERSION, "format": format_of(x.format), "profile": profile_of(x.profile)}


def _described(codes: NDArray[Any], data: dict[str, Any]) -> Array:
    if data["version"] != VERSION:
        raise ValueError(f"a description of version {data['version']}: this fpemu reads version {VERSION}")
    return Array(codes, format_from(data["format"]), profile_from(data["profile"]))


# -- .npz -------------------------------------------------------------------------------------------------------------


def _members(arrays: dict[str, Array | NDArray[Any]]) -> list[Outgoing]:
    members: dict[str, NDArray[Any]] = {}
    for name, x in arrays.items():
        if isinstance(x, Array):
            text = json.dumps(_description(x)).encode()
            parts = {f"{name}.codes": x.codes, f"{name}.format": np.frombuffer(text, np.uint8)}
        else:
            parts = {name: x}
        if members.keys() & parts.keys():
            raise ValueError(f"two arrays would be written as {', '.join(members.keys() & parts.keys())}: rename one")
        members |= parts
    return [Outgoing(name, x.shape, x.dtype, [x]) for name, x in members.items()]


def _load_npz(path: str | os.PathLike[str]) -> dict[str, Any]:
    members = {stored.name: stored for stored in open_arrays(path)}
    found: dict[str, Any] = {}
    for name, stored in members.items():
        stem, _, part = name.rpartition(".")
        if part == "codes" and f"{stem}.format" in members:
            text = _whole(members[f"{stem}.format"]).tobytes()
            found[stem] = _described(_whole(stored), json.loads(text))
        elif part != "format" or f"{stem}.codes" not in members:
            found[name] = _whole(stored)
    return found


def _whole(stored: StoredArray) -> NDArray[Any]:
    pieces = list(stored.chunks())
    flat = np.concatenate(pieces) if pieces else np.empty(0, stored.dtype)
    return flat.astype(stored.dtype.newbyteorder("="), copy=False).reshape(stored.shape)


# -- .safetensors: the header's length in 8 bytes, the header in JSON, the elements -----------------------------------


def _word(fmt: Format) -> str:
    for word, name in WORDS.items():
        if same_codes(fmt, find_format(name)):
            return word
    return f"U{8 * np.dtype(fmt.code_dtype).itemsize}"


def _little(x: Array | NDArray[Any]) -> tuple[str, NDArray[Any]]:
    """An array's type in safetensors' word, and its elements in C order and little endian."""
    word, elements = ("BOOL", x) if not isinstance(x, Array) and x.dtype == np.bool_ else ("", x)
    if not word:
        given = as_source(x)
        word, elements = _word(given.format), given.codes
    assert isinstance(elements, np.ndarray)
    return word, np.ascontiguousarray(elements, elements.dtype.newbyteorder("<"))


def _write_safetensors(stream: IO[bytes], arrays: dict[str, Array | NDArray[Any]]) -> None:
    if "__metadata__" in arrays:
        raise ValueError("safetensors keeps the name '__metadata__' for itself: rename that array")
    parts = {name: _little(x) for name, x in arrays.items()}
    descriptions = {name: _description(x) for name, x in arrays.items() if isinstance(x, Array)}
    header: dict[str, Any] = {"__metadata__": {"fpemu": json.dumps(descriptions)}} if descriptions else {}
    places, end = {}, 0
    for name in sorted(parts, key=lambda name: -parts[name][1].itemsize):  # the widest first: all are aligned
        places[name] = (end, end + parts[name][1].nbytes)
        end += parts[name][1].nbytes
    for name, (word, _) in parts.items():
        header[name] = {"dtype": word, "shape": list(np.shape(arrays[name])), "data_offsets": places[name]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    stream.write(len(text).to_bytes(8, "little") + text)
    for name in places:
        stream.write(parts[name][1].reshape(-1).view(np.uint8).data)


def _load_safetensors(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > min(size - 8, LONGEST_HEADER):
            raise ValueError(f"{path}: not a safetensors file: its header does not fit into {size} bytes")
        header = json.loads(stream.read(length))
        descriptions = json.loads(header.pop("__metadata__", {}).get("fpemu", "{}"))
        return {
            name: _read(stream, path, name, 8 + length, size, entry, descriptions.get(name))
            for name, entry in header.items()
        }


def _read(stream: IO[bytes], path: Path, name: str, base: int, size: int, entry: Any, description: Any) -> Any:
    word, shape, (start, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
    if word != "BOOL" and word not in WORDS:
        raise ValueError(f"{path}, {name}: elements of type {word!r}; known are BOOL, {', '.join(WORDS)}")
    fmt = find_format(WORDS.get(word, "uint8"))
    dtype = np.dtype(fmt.code_dtype)
    if not (0 <= start <= end <= size - base and math.prod(shape) * dtype.itemsize == end - start):
        raise ValueError(f"{path}, {name}: {shape} elements of {word} are not at bytes {start} to {end} of the data")
    stream.seek(base + start)
    codes = np.fromfile(stream, dtype.newbyteorder("<"), math.prod(shape)).astype(dtype, copy=False).reshape(shape)
    if description is not None:
        return _described(codes, description)
    if word == "BOOL":
        return codes.view(np.bool_)
    return codes.view(np.dtype(fmt.name)) if word in NUMPY_WORDS else Array(codes, fmt)

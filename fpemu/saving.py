"""Arrays in files with their formats: .npz and .safetensors."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fpemu.array import Array, asarray
from fpemu.files import Outgoing, StoredArray, open_arrays, replacing, write_arrays
from fpemu.formats import Format, same_codes
from fpemu.portable import format_from, format_of, profile_from, profile_of
from fpemu.registry import dtype as find_format
from fpemu.scaling.portable import quantized_from, quantized_of
from fpemu.scaling.quantized import Packed, Quantized
from fpemu.sources import as_source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["load", "save"]

T = TypeVar("T")

VERSION = 1  # of the descriptions of Arrays
PACKED_VERSION = 2  # of a Quantized's: narrow codes and zero points are packed; in version 1 each has bytes of its own

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
    """Write Arrays and Quantized with their formats and profiles, and plain arrays, to one file, whole or not at all.

    Parameters
    ----------
    path : path-like
        .npz or .safetensors.
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
        If the path has another ending, or two names would mean the same member.

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
    dict of str to Array, Quantized or numpy.ndarray
        In the file's order.  Arrays and Quantized as they were saved; what has no description is a numpy array, or an
        Array if numpy has no dtype for it (BF16, F8_E4M3, ...).

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
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: damaged, or not written by fpemu.save: {error!r}") from None


def _kind(path: str | os.PathLike[str]) -> str:
    suffix = Path(path).suffix.lower()
    if suffix not in (".npz", ".safetensors"):
        raise ValueError(f"{path}: the ending must be .npz or .safetensors, not {suffix!r}")
    return suffix


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
        return {"codes": x}, {"version": VERSION, "format": format_of(x.format), "profile": profile_of(x.profile)}
    parts, data = quantized_of(x)
    return parts, {"version": PACKED_VERSION, "parts": list(parts)[1:], **data}


def _parts(data: dict[str, Any]) -> tuple[str, ...]:
    return ("codes", *data.get("parts", ()))


def _described(codes: dict[str, NDArray[Any]], data: dict[str, Any]) -> Array | Quantized:
    """The array of a description and its parts' codes."""
    known = (VERSION, PACKED_VERSION) if "scheme" in data else (VERSION,)
    if data["version"] not in known:
        versions = " and ".join(map(str, known))
        raise ValueError(f"a description of version {data['version']}: this fpemu reads version {versions}")
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

    return [Outgoing(name, x.shape, x.dtype, [x]) for name, x in _joined(named()).items()]


def _load_npz(path: str | os.PathLike[str]) -> dict[str, Any]:
    members = {stored.name: stored for stored in open_arrays(path)}
    stems = [name.removesuffix(".codes") for name in members if name.endswith(".codes")]
    texts = {stem: _whole(members[f"{stem}.format"]) for stem in stems if f"{stem}.format" in members}
    descriptions = {stem: json.loads(text.tobytes()) for stem, text in texts.items()}
    inside = {f"{stem}.{part}" for stem, data in descriptions.items() for part in ("format", *_parts(data))}
    found: dict[str, Any] = {}
    for name, stored in members.items():
        stem, _, part = name.rpartition(".")
        if part == "codes" and stem in descriptions:
            data = descriptions[stem]
            found[stem] = _described({part: _whole(members[f"{stem}.{part}"]) for part in _parts(data)}, data)
        elif name not in inside:
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


def _write_safetensors(stream: IO[bytes], arrays: dict[str, Saved]) -> None:
    if "__metadata__" in arrays:
        raise ValueError("safetensors keeps the name '__metadata__' for itself: rename that array")
    descriptions: dict[str, Any] = {}

    def named() -> Iterator[tuple[str, Array | NDArray[Any]]]:
        for name, x in arrays.items():
            if not isinstance(x, Array | Quantized):
                yield name, x
                continue
            own, descriptions[name] = _description(x)
            yield from ((name if part == "codes" else f"{name}.{part}", codes) for part, codes in own.items())

    members = _joined(named())
    parts = {name: _little(x) for name, x in members.items()}
    header: dict[str, Any] = {"__metadata__": {"fpemu": json.dumps(descriptions)}} if descriptions else {}
    places, end = {}, 0
    for name in sorted(parts, key=lambda name: -parts[name][1].itemsize):  # the widest first: all are aligned
        places[name] = (end, end + parts[name][1].nbytes)
        end += parts[name][1].nbytes
    for name, (word, _) in parts.items():
        header[name] = {"dtype": word, "shape": list(np.shape(members[name])), "data_offsets": places[name]}
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
        inside = {f"{name}.{part}" for name, data in descriptions.items() for part in _parts(data)[1:]}

        def read(name: str) -> NDArray[Any]:
            return _read(stream, f"{path}, {name}", 8 + length, size, header[name])

        found: dict[str, Any] = {}
        for name, entry in header.items():
            if name in descriptions:
                data = descriptions[name]
                codes = {part: read(name if part == "codes" else f"{name}.{part}") for part in _parts(data)}
                found[name] = _described(codes, data)
            elif name not in inside:
                found[name] = _plain(read(name), entry["dtype"])
        return found


def _read(stream: IO[bytes], where: str, base: int, size: int, entry: Any) -> NDArray[Any]:
    """The codes of an array."""
    word, shape, (start, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
    if word != "BOOL" and word not in WORDS:
        raise ValueError(f"{where}: elements of type {word!r}; known are BOOL, {', '.join(WORDS)}")
    dtype = np.dtype(find_format(WORDS.get(word, "uint8")).code_dtype)
    if not (0 <= start <= end <= size - base and math.prod(shape) * dtype.itemsize == end - start):
        raise ValueError(f"{where}: {shape} elements of {word} are not at bytes {start} to {end} of the data")
    stream.seek(base + start)
    return np.fromfile(stream, dtype.newbyteorder("<"), math.prod(shape)).astype(dtype, copy=False).reshape(shape)


def _plain(codes: NDArray[Any], word: str) -> Array | NDArray[Any]:
    """An array without a description."""
    if word == "BOOL":
        return codes.view(np.bool_)
    return codes.view(np.dtype(NUMPY_WORDS[word])) if word in NUMPY_WORDS else Array(codes, WORDS[word])

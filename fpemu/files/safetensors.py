"""The safetensors format: the header's length in 8 bytes, the header in JSON, the elements."""

from __future__ import annotations

import json
import math
import os
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fpemu.casting import pack, unpack
from fpemu.files.boundary import shown
from fpemu.formats import Format, dtype, same_codes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from fpemu.files.boundary import Budget

MOST_HEADER_BYTES = 100_000_000  # as in safetensors itself
METADATA = "__metadata__"
UNPACKED = 1 << 16  # codes unpacked at a time, a multiple of 8
_FIELDS = {"dtype", "shape", "data_offsets"}

# safetensors' words for numpy's types and for other formats; C64 is not supported
NUMPY_TYPES = {
    **{f"F{bits}": f"float{bits}" for bits in (64, 32, 16)},
    **{
        f"{letter}{bits}": f"{name}{bits}" for letter, name in (("I", "int"), ("U", "uint")) for bits in (8, 16, 32, 64)
    },
}
WORD_FORMATS = {
    **NUMPY_TYPES,
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E8M0": "float8_e8m0fnu",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F6_E2M3": "float6_e2m3fn",
    "F6_E3M2": "float6_e3m2fn",
    "F4": "float4_e2m1fn",
}
TYPE_BITS = {"BOOL": 8, "C64": 64, **{word: dtype(name).bits for word, name in WORD_FORMATS.items()}}


class Entry(NamedTuple):
    """A tensor in a header: the word for its type, its shape, and the position of its bytes in the file."""

    word: str
    shape: tuple[int, ...]
    start: int
    stop: int

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def is_known(self) -> bool:
        """Whether fpemu can read the elements."""
        return self.word in WORD_FORMATS or self.word == "BOOL"

    @property
    def format(self) -> Format | None:
        """The format of the elements; None for truth values and unsupported types."""
        return dtype(WORD_FORMATS[self.word]) if self.word in WORD_FORMATS else None


class Contents(NamedTuple):
    """A file's metadata, and its tensors by name."""

    metadata: dict[str, str]
    entries: dict[str, Entry]


def contents(path: Path, budget: Budget, only: str | None = None) -> Contents:
    """Read and check the header of a file.

    Parameters
    ----------
    path : Path
    budget : Budget
    only : str, optional
        The one tensor to read; unknown types of other tensors are then ignored.

    Returns
    -------
    Contents

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If safetensors would refuse it: a header that is too long or not JSON, duplicate names or fields, offsets with
        holes, overlaps or trailing bytes, a size that does not fit.

    References
    ----------
    safetensors' README, "Format"; its tensor.rs.
    """
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > min(size - 8, MOST_HEADER_BYTES):
            raise ValueError(f"{path}: not a safetensors file: its header does not fit into {size} bytes")
        text = stream.read(length)
    header = budget.json(text, "its header")
    if not isinstance(header, dict):
        raise ValueError(f"{path}: its header: damaged: it is not a map of names")
    metadata = header.pop(METADATA, None)
    if metadata is None:
        metadata = {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError(f"{path}: its header: damaged: {METADATA} is not a map of texts")
    base = 8 + length
    entries = {
        name: _entry(f"{path}, {shown(name)}", fields, base, size - base, only not in (None, name))
        for name, fields in header.items()
    }
    end, last = base, ""
    for name, entry in sorted(entries.items(), key=lambda item: item[1][2:]):
        if entry.start != end:
            problem = "leave a hole before them" if entry.start > end else f"overlap those of {shown(last)}"
            raise ValueError(f"{path}, {shown(name)}: bytes {entry.start - base} to {entry.stop - base} {problem}")
        end, last = entry.stop, name
    if end != size:
        raise ValueError(f"{path}: {size - end} bytes follow the last tensor's")
    return Contents(metadata, entries)


def _entry(where: str, fields: Any, base: int, room: int, lenient: bool) -> Entry:
    if not isinstance(fields, dict) or not fields.keys() >= _FIELDS:
        raise ValueError(f"{where}: damaged: a tensor has dtype, shape and data_offsets")
    word, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
    if not isinstance(word, str) or not (lenient or word in TYPE_BITS):
        known = ", ".join(TYPE_BITS)
        raise ValueError(
            f"{where}: elements of type {str(word)[:40]!r}; there are {known}; others can be loaded by name"
        )
    misplaced = f"{where}: {str(shape)[:60]} elements of {word} are not at bytes {_range_text(offsets)} of the data"
    if not (_are_sizes(shape) and _are_sizes(offsets) and len(offsets) == 2 and offsets[0] <= offsets[1] <= room):
        raise ValueError(misplaced)
    start, stop = offsets
    size = 1
    for length in shape:
        size *= length
        if size >= 1 << 64:
            raise ValueError(f"{where}: shape {str(shape)[:60]} has too many elements")
    if word in TYPE_BITS and (size * TYPE_BITS[word] >= 1 << 64 or size * TYPE_BITS[word] != 8 * (stop - start)):
        raise ValueError(misplaced)
    return Entry(word, tuple(shape), base + start, base + stop)


def iter_elements(path: Path, entry: Entry, size: int) -> Iterator[NDArray[Any]]:
    """The elements of a tensor in one-dimensional chunks of `size`: numbers, truth values, or codes.

    The file is mapped into memory; unsupported types are bytes.
    """
    if not entry.size:
        return
    raw = np.memmap(path, np.uint8, "r", entry.start, (entry.stop - entry.start,))
    fmt, width = entry.format, TYPE_BITS[entry.word]
    if fmt is not None and width < 8:
        yield from _unpacked(raw, fmt, entry.size, size)
        return
    stored = np.dtype(NUMPY_TYPES.get(entry.word, "uint8" if fmt is None else fmt.code_dtype)).newbyteorder("<")
    for start in range(0, raw.size, size * stored.itemsize):
        chunk = raw[start : start + size * stored.itemsize]
        yield chunk != 0 if entry.word == "BOOL" else chunk.view(stored)


def _unpacked(raw: NDArray[np.uint8], fmt: Format, count: int, size: int) -> Iterator[NDArray[Any]]:
    for start in range(0, count, UNPACKED):
        stop = min(start + UNPACKED, count)
        codes = unpack(np.asarray(raw[start * fmt.bits // 8 : stop * fmt.bits // 8]), fmt, stop - start)
        for first in range(0, stop - start, size):
            yield codes[first : first + size]


def _range_text(offsets: Any) -> str:
    return " to ".join(str(each)[:20] for each in offsets) if isinstance(offsets, list) else str(offsets)[:20]


def _are_sizes(sizes: Any) -> bool:
    return isinstance(sizes, list) and all(type(size) is int and size >= 0 for size in sizes)


# -- writing ----------------------------------------------------------------------------------------------------------


class TensorType(NamedTuple):
    """A tensor to write: the word for its type, and its shape."""

    word: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """The bytes of its elements."""
        return math.prod(self.shape) * TYPE_BITS[self.word] // 8


def word_of(fmt: Format, size: int) -> str:
    """The word for `size` codes of a format; if it has none, that of unsigned integers.

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.files.safetensors import word_of
    >>> word_of(fe.dtype("bfloat16"), 3), word_of(fe.dtype("float4_e2m1fn"), 4), word_of(fe.dtype("float4_e2m1fn"), 3)
    ('BF16', 'F4', 'U8')
    """
    for word, name in WORD_FORMATS.items():
        if same_codes(fmt, dtype(name)) and size * TYPE_BITS[word] % 8 == 0:
            return word
    return f"U{8 * np.dtype(fmt.code_dtype).itemsize}"


def _offsets(tensors: Mapping[str, TensorType]) -> dict[str, tuple[int, int]]:
    """The positions of tensors in the file, in order: the widest types first, so that all are aligned without gaps."""
    offsets, end = {}, 0
    for name in sorted(tensors, key=lambda name: -TYPE_BITS[tensors[name].word]):
        offsets[name] = end, end + tensors[name].nbytes
        end += tensors[name].nbytes
    return offsets


def write_tensors(
    stream: IO[bytes],
    tensors: Mapping[str, TensorType],
    elements: Mapping[str, Iterable[NDArray[Any]]],
    metadata: Mapping[str, str],
) -> None:
    """Write a file.

    Parameters
    ----------
    stream : binary file
    tensors : mapping of str to TensorType
    elements : mapping of str to iterable of numpy.ndarray
        For each tensor its numbers, truth values, or codes, in C order and in chunks.
    metadata : mapping of str to str

    Raises
    ------
    OSError
        If the stream cannot be written.
    ValueError
        If a name is reserved by safetensors, or the header would be too long.
    """
    stream.write(_header_text(tensors, metadata))
    for name in _offsets(tensors):
        word = tensors[name].word
        for chunk in (
            elements[name] if TYPE_BITS[word] >= 8 else _packed_chunks(elements[name], dtype(WORD_FORMATS[word]))
        ):
            stream.write(np.ascontiguousarray(chunk, chunk.dtype.newbyteorder("<")).reshape(-1).view(np.uint8).data)


def _packed_chunks(elements: Iterable[NDArray[Any]], fmt: Format) -> Iterator[NDArray[Any]]:
    rest = np.empty(0, fmt.code_dtype)
    for chunk in elements:
        codes = np.concatenate([rest, chunk.reshape(-1)])
        whole = codes.size - codes.size % 8
        yield pack(codes[:whole], fmt)
        rest = codes[whole:]
    yield pack(rest, fmt)


def encoded(name: str) -> bytes:
    """An array's name in UTF-8; raise ValueError for lone surrogates."""
    try:
        return name.encode()
    except UnicodeEncodeError:
        raise ValueError(f"an array's name must be Unicode text, not {shown(name)}: it has a lone surrogate") from None


def _header_text(tensors: Mapping[str, TensorType], metadata: Mapping[str, str]) -> bytes:
    """The header with its length, padded with blanks to a multiple of 8 bytes."""
    if METADATA in tensors:
        raise ValueError(f"safetensors reserves the name {METADATA!r}: rename that array")
    header: dict[str, Any] = {METADATA: dict(metadata)} if metadata else {}
    offsets = _offsets(tensors)
    for name, (word, shape) in tensors.items():
        encoded(name)
        header[name] = {"dtype": word, "shape": list(shape), "data_offsets": offsets[name]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MOST_HEADER_BYTES:
        raise ValueError(f"the header would have {len(text):,} bytes; safetensors reads {MOST_HEADER_BYTES:,}")
    return len(text).to_bytes(8, "little") + text

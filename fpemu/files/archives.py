"""numpy's files: headers of .npy files, and members of zip archives such as .npz, read within a budget."""

from __future__ import annotations

import ast
import contextlib
import math
import re
import zipfile
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from fpemu.files.boundary import Budget

MAGIC = b"\x93NUMPY"
MOST_NPY_HEADER = 1 << 16  # bytes; numpy itself reads 10,000
MOST_BYTES = 1 << 62  # of an array
DIMENSIONS = 64  # numpy's limit
EXPANSION = 1100  # deflate's largest ratio of sizes
READ_SIZE = 1 << 24  # bytes of a member
_NESTING = 8
_TYPE = re.compile(r"[<>|=]?[biufcSUVOmM]\d{0,9}(\[\w{1,9}\])?|[a-z]{3,10}\d{0,3}")
_OLD_INTEGER = re.compile(r"(?<=\d)L(?=\s*[,)])")  # of Python 2


class Header(NamedTuple):
    """The header of a .npy file."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return math.prod(self.shape) * self.dtype.itemsize


@contextlib.contextmanager
def writing_archive(stream: IO[bytes]) -> Iterator[zipfile.ZipFile]:
    """A zip archive to write to a stream, whose directory is written when the block ends.

    After an error or an interrupt the directory is not written, as that could raise a second error, which would hide
    the first.
    """
    archive = zipfile.ZipFile(stream, "w")
    try:
        yield archive
        archive.close()
    except BaseException:
        archive.fp = None
        raise


def read_header(stream: IO[bytes]) -> Header:
    """Read and check the header of a .npy file of any version.

    Parameters
    ----------
    stream : binary file
        Left at the first element.

    Returns
    -------
    Header

    Raises
    ------
    ValueError
        If it is damaged.

    References
    ----------
    NEP 1, "A Simple File Format for NumPy Arrays".

    Examples
    --------
    >>> import io, numpy as np
    >>> from fpemu.files.archives import read_header
    >>> np.save(stream := io.BytesIO(), np.ones((2, 3)))
    >>> read_header(io.BytesIO(stream.getvalue()))
    Header(shape=(2, 3), fortran_order=False, dtype=dtype('float64'))
    """
    start = stream.read(8)
    if len(start) < 8 or start[:6] != MAGIC:
        raise ValueError(f"it does not begin as a .npy file does, but with {start[:8]!r}" if start else "it is empty")
    version = start[6]
    if version not in (1, 2, 3):
        raise ValueError(f"version {version} of the .npy format is unknown")
    width = 2 if version == 1 else 4
    length = int.from_bytes(_read_exactly(stream, width), "little")
    if length > MOST_NPY_HEADER:
        raise ValueError(f"its header has {length:,} bytes; {MOST_NPY_HEADER:,} are read")
    raw = _read_exactly(stream, length)
    return _parsed_header(raw.decode("utf-8" if version == 3 else "latin1"))


def _read_exactly(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise ValueError("it ends within the header")
    return data


def _parsed_header(text: str) -> Header:
    if _nesting(text) > _NESTING:
        raise ValueError("its header is not a description of an array")
    try:
        fields = ast.literal_eval(_OLD_INTEGER.sub("", text.strip()))
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        raise ValueError(f"its header is not a description of an array: {text.strip()[:60]!r}") from None
    if not isinstance(fields, dict) or set(fields) != {"descr", "fortran_order", "shape"}:
        raise ValueError(
            "its header is not a description of an array: it must have descr, fortran_order and shape only"
        )
    shape, fortran_order = fields["shape"], fields["fortran_order"]
    if not isinstance(shape, tuple) or not all(type(length) is int and length >= 0 for length in shape):
        raise ValueError(f"its header has an impossible shape: {str(shape)[:60]}")
    if type(fortran_order) is not bool:
        raise ValueError(f"its header has an impossible fortran_order: {str(fortran_order)[:60]}")
    if not _is_plain_type(fields["descr"]):
        raise ValueError(f"its header has an impossible descr: {str(fields['descr'])[:60]}")
    try:
        dtype: np.dtype[Any] = np.lib.format.descr_to_dtype(fields["descr"])
    except (TypeError, ValueError, SyntaxError, OverflowError, RecursionError, MemoryError, AttributeError):
        raise ValueError(f"its header has an impossible descr: {str(fields['descr'])[:60]}") from None
    if len(shape) > DIMENSIONS or math.prod(length for length in shape if length) * max(dtype.itemsize, 1) > MOST_BYTES:
        raise ValueError(f"its header has an impossible shape: {str(shape)[:60]}")
    return Header(shape, fortran_order, dtype)


def _is_plain_type(descr: Any) -> bool:
    """Whether a descr is a type as numpy writes it, or a list of fields with such types."""
    if isinstance(descr, str):
        return _TYPE.fullmatch(descr) is not None
    if isinstance(descr, tuple):  # a type and the shape of its elements
        return len(descr) == 2 and _is_plain_type(descr[0])
    if not isinstance(descr, list) or not descr:
        return False
    return all(isinstance(field, tuple) and len(field) in (2, 3) and _is_plain_type(field[1]) for field in descr)


def _nesting(text: str) -> int:
    """The depth of nested brackets; beyond the limit if there are signs of arithmetic."""
    depth = deepest = 0
    for character in re.sub(r"'[^']*'|\"[^\"]*\"", "", text):
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character in "+-~":
            return _NESTING + 1
        deepest = max(deepest, depth)
    return deepest


@contextlib.contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive; `entries` checks its members."""
    with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
        yield archive


def entries(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """The members of an archive by name, checked.

    Parameters
    ----------
    archive : zipfile.ZipFile
    size : int
        Bytes of the file, which limit the bytes of all members.

    Raises
    ------
    ValueError
        If two members have the same name, one is encrypted or not compressed by deflate, or their declared sizes are
        larger than the file allows.
    """
    members: dict[str, zipfile.ZipInfo] = {}
    for entry in archive.infolist():
        if entry.filename in members:
            raise ValueError(f"it has two members {entry.filename[:60]!r}")
        if entry.flag_bits & 1:
            raise ValueError(f"its member {entry.filename[:60]!r} is encrypted")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"its member {entry.filename[:60]!r} is compressed by a method that numpy does not use")
        members[entry.filename] = entry
    total = sum(entry.file_size for entry in members.values())
    if total > EXPANSION * size:
        raise ValueError(f"its members are said to have {total:,} bytes, which {size:,} bytes cannot hold")
    return members


def member_array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, budget: Budget) -> NDArray[Any]:
    """Read a member of an .npz archive, whose memory is counted first.

    Raises
    ------
    ValueError
        If it is not an array, ends early, or needs more memory than the budget allows.
    """
    with archive.open(entry) as stream:
        header = read_header(stream)
        if header.dtype.hasobject:
            raise ValueError(f"member {entry.filename!r} holds Python objects, which are not unpickled")
        if header.nbytes > entry.file_size:
            raise ValueError(f"member {entry.filename!r} ends early")
        budget.take(header.nbytes, "its arrays")
        raw = np.empty(header.nbytes, np.uint8)
        for start in range(0, header.nbytes, READ_SIZE):
            block = stream.read(min(READ_SIZE, header.nbytes - start))
            raw[start : start + len(block)] = np.frombuffer(block, np.uint8)
            if len(block) < min(READ_SIZE, header.nbytes - start):
                raise ValueError(f"member {entry.filename!r} ends early")
        stream.read(1)  # zipfile checks the checksum at the end
    order: Any = "F" if header.fortran_order else "C"
    return np.ndarray(header.shape, header.dtype, raw, order=order)

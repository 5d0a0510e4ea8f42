"""Arrays in files (.npy, .npz, .safetensors, raw): mapped or streamed when read, written atomically."""

from __future__ import annotations

import dataclasses
import math
import os
import warnings
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import numpy as np

from fpemu.casting import in_range
from fpemu.casting.buffers import CHUNK, iter_chunks
from fpemu.files import archives, safetensors
from fpemu.files.atomic import replacing
from fpemu.files.boundary import Budget, file_path, reading, shown
from fpemu.files.containers import file_kind, kind_by_bytes, kind_of_input, kind_of_output
from fpemu.formats import Format, same_codes
from fpemu.formats import dtype as find_format
from fpemu.formats.lookup import brief, caller_level, near

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from zipfile import ZipFile, ZipInfo

    from numpy.typing import NDArray

MOST_NAME_BYTES = (1 << 16) - 5  # of a member of a zip archive, without the ending
MemberT = TypeVar("MemberT")
Element = np.dtype[Any] | Format


def element_type(name: Any) -> Element:
    """The type of a file's elements: a numpy dtype of numbers, or the format of codes.

    Parameters
    ----------
    name : str, numpy.dtype or Format
        A numpy dtype of real numbers ("float32", ">f8", "int16"), else the name of a format ("bfloat16", "int4").

    Returns
    -------
    numpy.dtype or Format

    Raises
    ------
    ValueError
        If the name is unknown.

    Examples
    --------
    >>> from fpemu.files.data_files import element_type
    >>> element_type("<f4"), element_type("bf16").name
    (dtype('float32'), 'bfloat16')
    """
    try:
        dtype: np.dtype[Any] = np.dtype(name)
    except TypeError:
        return find_format(name)
    if dtype.kind in "fiub" and dtype.itemsize <= 8:
        return dtype
    return find_format(name)


@dataclasses.dataclass(frozen=True)
class StoredArray:
    """An array in a file: its shape and type, and its elements, which are read on request.

    Parameters
    ----------
    path : Path
    name : str
        The member's name in a file with members, else "".
    shape : tuple of int
    dtype : numpy.dtype
        Of the numbers, or of the codes if there is a `format`.
    format : Format, optional
        The format whose codes the elements are; None for numbers.
    unknown : str, optional
        The reason why the elements cannot be read, if they cannot.
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    format: Format | None
    _read_chunks: Callable[[int], Iterator[NDArray[Any]]] = dataclasses.field(repr=False)
    unknown: str = ""

    @property
    def where(self) -> str:
        """The path and the name, for messages."""
        return f"{self.path}, {shown(self.name)}" if self.name else f"{self.path}"

    def checked(self) -> StoredArray:
        """The array itself; raise ValueError if the elements cannot be read."""
        if self.unknown:
            raise ValueError(f"{self.where}: {self.unknown}")
        return self

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def chunks(self, size: int = CHUNK) -> Iterator[NDArray[Any]]:
        """The elements in C order, in one-dimensional arrays of at most `size` elements; each call starts anew.

        Parameters
        ----------
        size : int

        Yields
        ------
        numpy.ndarray

        Raises
        ------
        ValueError
            If the file is damaged.
        """
        with reading(self.path, _unreadable(self.path)):
            for chunk in self.checked()._read_chunks(size):
                yield self._in_range(chunk.view(self.dtype))

    def _in_range(self, chunk: NDArray[Any]) -> NDArray[Any]:
        """The chunk itself; raise ValueError with the file's name for codes out of range."""
        if self.format is not None:
            try:
                return in_range(chunk, self.format)
            except ValueError as error:
                raise ValueError(f"{self.where}: {error}") from None
        return chunk

    def whole(self, budget: Budget) -> NDArray[Any]:
        """Read all elements into memory, in the machine's byte order.

        Parameters
        ----------
        budget : Budget
            The file's budget; memory is counted before reading.

        Returns
        -------
        numpy.ndarray

        Raises
        ------
        ValueError
            If the file is damaged, or needs more memory than the budget allows.
        """
        budget.take(self.size * self.dtype.itemsize, "its arrays")
        elements = np.empty(self.size, self.dtype.newbyteorder("="))
        start = 0
        for chunk in self.chunks():
            elements[start : start + chunk.size] = chunk
            start += chunk.size
        return elements.reshape(self.shape)


def open_arrays(
    path: str | os.PathLike[str],
    *,
    dtype: Any = None,
    shape: tuple[int, ...] | None = None,
    member: str | None = None,
    raw: bool = False,
) -> list[StoredArray]:
    """Open the arrays of a file without reading their elements.

    The first bytes decide the kind of the file; if they are not known, the ending.  .npy, .safetensors and raw files
    are mapped into memory, .npz files are read as streams (an .npz member in Fortran order is read whole).  Nothing is
    unpickled.

    Parameters
    ----------
    path : path-like
        .npy, .npz, .safetensors; or raw numbers in C order: .bin, .raw, .dat, any other unknown ending with `raw`.
    dtype : str, numpy.dtype or Format, optional
        The type of the elements, as in `element_type`.  Raw files need it; for others it is the format of codes stored
        as unsigned integers (or as the opaque bytes in which numpy saves ml_dtypes arrays).
    shape : tuple of int, optional
        Raw files only; default: one dimension.
    member : str, optional
        The one array of an .npz or .safetensors file to open; default: all.
    raw : bool
        The file holds raw numbers, although its ending is unknown.

    Returns
    -------
    list of StoredArray

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If the file is of another kind, is damaged, does not hold real numbers, or disagrees with `dtype`, `shape` or
        `member`.

    Warns
    -----
    UserWarning
        If a tensor of a .safetensors file has an unsupported type; it is left out.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from fpemu.files.data_files import open_arrays
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/x.npy", np.ones((2, 3), np.float32))
    ...     (x,) = open_arrays(f"{folder}/x.npy")
    ...     print(x.shape, x.dtype, next(x.chunks(4)))
    (2, 3) float32 [1. 1. 1. 1.]
    """
    path = file_path(path)
    with reading(path):
        kind = kind_of_input(path, raw)
    if kind in ("raw", ".npy") and member is not None:
        raise ValueError(f"{path}: only .npz and .safetensors files have members; {member!r} cannot be selected")
    if kind != "raw" and shape is not None:
        raise ValueError(f"{path}: shape is for raw files; {kind} files know theirs")
    return readable(stored_arrays(path, kind, member=member, dtype=dtype, shape=shape), member is not None)


def readable(arrays: list[StoredArray], chosen: bool) -> list[StoredArray]:
    """The readable arrays, with warnings for the others; raise ValueError if a chosen array, or all, cannot be read."""
    if chosen or all(stored.unknown for stored in arrays):
        return [stored.checked() for stored in arrays]
    for stored in arrays:
        if stored.unknown:
            warnings.warn(f"{stored.where}, left out: {stored.unknown}", stacklevel=caller_level())
    return [stored for stored in arrays if not stored.unknown]


def stored_arrays(
    path: Path,
    kind: str,
    *,
    member: str | None = None,
    under: str | None = None,
    dtype: Any = None,
    shape: tuple[int, ...] | None = None,
) -> list[StoredArray]:
    """The arrays of a file of a known kind, as in `open_arrays`, including unreadable ones.

    `under` selects, in an .npz file, the member of that name and those whose names begin with it and a point.
    """
    element = None if dtype is None else element_type(dtype)
    with reading(path, _unreadable(path)):
        if kind == "raw":
            if element is None:
                raise ValueError(f"{path}: a raw file needs dtype: a numpy dtype, or the format whose codes it holds")
            return [_open_raw(path, element, shape)]
        if kind == ".npy":
            return [_open_npy(path, element)]
        if kind == ".npz":
            return _open_npz(path, element, member, under)
        return _open_safetensors(path, element, member)


def _unreadable(path: Path) -> str:
    """The problem of a file, for messages."""
    return f"not a readable {file_kind(path)} file"


def _stored(
    path: Path,
    name: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    element: Element | None,
    chunks: Callable[[int], Iterator[NDArray[Any]]],
) -> StoredArray:
    """A StoredArray whose stored dtype is checked against the caller's type of elements."""
    where = f"{path}, {shown(name)}" if name else f"{path}"
    stored = "Python objects" if dtype.hasobject else dtype
    unknown = ""
    if isinstance(element, np.dtype):
        if dtype != element:
            raise ValueError(f"{where}: the elements are {stored}, not {element}")
    elif element is not None:
        if dtype.kind not in "uV" or dtype.itemsize != np.dtype(element.code_dtype).itemsize:
            raise ValueError(f"{where}: the elements are {stored}; codes of {element.name} are {element.code_dtype}")
        code_dtype = np.dtype(element.code_dtype)
        return StoredArray(path, name, shape, dtype if dtype.kind == "u" else code_dtype, element, chunks)
    elif dtype.kind == "V" and dtype.names is None and dtype.itemsize <= 8:
        unknown = (
            f"the elements are {dtype.itemsize} opaque bytes (as numpy saves ml_dtypes arrays); "
            "pass the format of the codes as dtype"
        )
    elif dtype.kind not in "fiub" or dtype.itemsize > 8:
        unknown = f"the elements are {stored}; only real numbers up to 64 bits can be cast"
    return StoredArray(path, name, shape, dtype, None, chunks, unknown)


def _open_raw(path: Path, element: Element, shape: tuple[int, ...] | None) -> StoredArray:
    dtype = element if isinstance(element, np.dtype) else np.dtype(element.code_dtype)
    with path.open("rb") as stream:  # raises for a folder or a file without permission
        length = stream.seek(0, os.SEEK_END)
    if length % dtype.itemsize:
        raise ValueError(f"{path}: {length} bytes are not a whole number of {dtype} ({dtype.itemsize} bytes each)")
    count = length // dtype.itemsize
    shape = (count,) if shape is None else shape
    if min(shape, default=0) < 0 or math.prod(shape) != count:
        raise ValueError(f"{path}: holds {count} elements of {dtype}; shape {shape} has {math.prod(shape)}")
    mapped = np.memmap(path, dtype, mode="r") if count else np.empty(0, dtype)
    return _stored(path, "", shape, dtype, element, lambda size: iter_chunks(mapped, size))


def _open_npy(path: Path, element: Element | None) -> StoredArray:
    with path.open("rb") as stream:
        header = archives.read_header(stream)
        start = stream.tell()
        size = stream.seek(0, os.SEEK_END)
    shape, fortran_order, dtype = header
    if header.nbytes > size - start and not dtype.hasobject:
        raise ValueError(f"{shape} elements of {dtype} have {header.nbytes:,} bytes, the file {size - start:,} of them")

    def chunks(size: int) -> Iterator[NDArray[Any]]:
        if header.nbytes:
            yield from iter_chunks(np.memmap(path, dtype, "r", start, shape, "F" if fortran_order else "C"), size)

    return _stored(path, "", shape, dtype, element, chunks)


def _open_npz(path: Path, element: Element | None, member: str | None, under: str | None) -> list[StoredArray]:
    size = path.stat().st_size
    with archives.open_archive(path) as archive:
        members = {name.removesuffix(".npy"): entry for name, entry in archives.entries(archive, size).items()}
        if member is not None:
            members = {member: member_named(path, members, member)}
        if under is not None:
            if f"{under}.codes" not in members:
                member_named(path, members, under)
            members = {name: entry for name, entry in members.items() if f"{name}.".startswith(f"{under}.")}
        return [_open_member(path, archive, entry, element) for entry in members.values()]


def member_named(path: Path, members: Mapping[str, MemberT], member: str) -> MemberT:
    """The member with a name; raise ValueError with the names if there is none."""
    if member not in members:
        names = ", ".join(map(shown, list(members)[:20])) + ", ..." * (len(members) > 20)
        close = near(member, list(members)[:1000])
        raise ValueError(f"{path}: no array {brief(member)}; there are {names or 'none'}{close}")
    return members[member]


def _open_member(path: Path, archive: ZipFile, entry: ZipInfo, element: Element | None) -> StoredArray:
    if not entry.filename.endswith(".npy"):
        why = f"member {entry.filename!r} is not an array; select an array by its name"
        return StoredArray(path, entry.filename, (), np.dtype("V"), None, lambda size: iter(()), why)
    name = entry.filename.removesuffix(".npy")
    with archive.open(entry) as stream:
        header = archives.read_header(stream)
    shape, fortran_order, dtype = header
    if header.nbytes > entry.file_size and not dtype.hasobject:
        raise ValueError(f"member {name!r} ends early")

    def chunks(size: int) -> Iterator[NDArray[Any]]:
        with archives.open_archive(path) as archive:
            if fortran_order and len(shape) > 1:
                yield from iter_chunks(archives.member_array(archive, entry, Budget.of(path)), size)
                return
            with archive.open(entry) as stream:
                archives.read_header(stream)
                left = math.prod(shape)
                while left:
                    count = min(size, left)
                    block = stream.read(count * dtype.itemsize)
                    if len(block) < count * dtype.itemsize:
                        raise ValueError(f"member {name!r} ends early")
                    yield np.frombuffer(block, dtype)
                    left -= count
                stream.read(1)  # zipfile checks the checksum at the end

    return _stored(path, name, shape, dtype, element, chunks)


def _open_safetensors(path: Path, element: Element | None, member: str | None) -> list[StoredArray]:
    entries = safetensors.contents(path, Budget.of(path), member).entries
    if member is not None:
        entries = {member: member_named(path, entries, member)}
    return stored_tensors(path, entries, element)


def stored_tensors(
    path: Path, entries: Mapping[str, safetensors.Entry], element: Element | None = None
) -> list[StoredArray]:
    """The tensors of a .safetensors file, including unreadable ones."""
    return [_stored_tensor(path, name, entry, element) for name, entry in entries.items()]


def _stored_tensor(path: Path, name: str, entry: safetensors.Entry, element: Element | None) -> StoredArray:
    if not entry.is_known:
        why = f"elements of type {entry.word}: fpemu has no format for it"
        return StoredArray(path, name, entry.shape, np.dtype("V"), None, lambda size: iter(()), why)

    def chunks(size: int) -> Iterator[NDArray[Any]]:
        return safetensors.iter_elements(path, entry, size)

    if entry.word in safetensors.NUMPY_TYPES or entry.word == "BOOL":
        dtype = np.dtype(safetensors.NUMPY_TYPES.get(entry.word, "bool")).newbyteorder("<")
        return _stored(path, name, entry.shape, dtype, element, chunks)
    fmt = entry.format
    assert fmt is not None
    if element is not None and (isinstance(element, np.dtype) or not same_codes(element, fmt)):
        raise ValueError(f"{path}, {name}: the elements are codes of {fmt}, not {element}")
    return StoredArray(path, name, entry.shape, np.dtype(fmt.code_dtype).newbyteorder("<"), fmt, chunks)


@dataclasses.dataclass(frozen=True)
class Outgoing:
    """An array to write, whose elements are made during writing.

    Parameters
    ----------
    name : str
        The member's name in an .npz or .safetensors file; unused in others.
    shape : tuple of int
    dtype : numpy.dtype
    chunks : iterable of numpy.ndarray
        The elements in C order, in one-dimensional chunks.
    format : Format, optional
        The format whose codes the elements are; None for numbers.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunks: Iterable[NDArray[Any]]
    format: Format | None = None


def metadata_of(path: str | os.PathLike[str]) -> dict[str, str]:
    """The metadata of a .safetensors file, without those of fpemu; none for other files.

    Parameters
    ----------
    path : path-like

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If the file is damaged.

    Examples
    --------
    >>> import fpemu as fe, tempfile
    >>> from fpemu.files.data_files import metadata_of
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fe.save(f"{folder}/x.safetensors", a=fe.array([1.0], "bfloat16"))
    ...     metadata_of(f"{folder}/x.safetensors")
    {}
    """
    path = file_path(path)
    with reading(path):
        if kind_by_bytes(path) != ".safetensors":
            return {}
        metadata = safetensors.contents(path, Budget.of(path)).metadata
        return {name: text for name, text in metadata.items() if name != "fpemu"}


def write_arrays(
    path: str | os.PathLike[str],
    arrays: list[Outgoing],
    *,
    raw: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write arrays chunk by chunk; afterwards the file is complete or unchanged.

    Parameters
    ----------
    path : path-like
        .npy (one array), .npz or .safetensors (any number); .bin, .raw, .dat, a device: one array, raw, in C order.
    arrays : list of Outgoing
    raw : bool
        Write one array raw, although the ending is unknown.
    metadata : mapping of str to str, optional
        Texts for a .safetensors file.

    Raises
    ------
    OSError
        If the file cannot be written, or the disk is full.
    ValueError
        If the ending is that of another kind of file, or unknown; if this kind of file holds one array and there are
        several; or if two have the same name.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from fpemu.files.data_files import Outgoing, write_arrays
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     halves = (np.full(2, i / 2) for i in range(3))
    ...     write_arrays(f"{folder}/x.npy", [Outgoing("x", (3, 2), np.dtype("float64"), halves)])
    ...     print(np.load(f"{folder}/x.npy").tolist())
    [[0.0, 0.0], [0.5, 0.5], [1.0, 1.0]]
    """
    path = file_path(path)
    kind = kind_of_output(path, raw)
    if kind in ("raw", ".npy") and len(arrays) != 1:
        raise ValueError(f"{path}: a file of this kind holds one array, not {len(arrays)}; use .npz")
    if len({array.name for array in arrays}) < len(arrays):
        raise ValueError(f"{path}: two arrays have the same name: {', '.join(array.name for array in arrays)}")
    with replacing(path) as stream:
        if kind == ".npz":
            _write_npz_arrays(stream, arrays)
        elif kind == ".safetensors":
            _write_tensors(stream, arrays, metadata or {})
        else:
            _write_array(stream, arrays[0], header=kind == ".npy")


def _write_array(stream: IO[bytes], array: Outgoing, header: bool = True) -> None:
    if header:
        descr = np.lib.format.dtype_to_descr(array.dtype)
        fields = {"descr": descr, "fortran_order": False, "shape": array.shape}
        np.lib.format.write_array_header_1_0(stream, fields)
    for chunk in array.chunks:
        stream.write(np.ascontiguousarray(chunk, array.dtype).data)


def _write_npz_arrays(stream: IO[bytes], arrays: list[Outgoing]) -> None:
    import zipfile

    for array in arrays:
        if "\0" in array.name or len(safetensors.encoded(array.name)) > MOST_NAME_BYTES:
            raise ValueError(f"an .npz file cannot have the name {shown(array.name)}: it has a NUL, or is too long")
    with archives.writing_archive(stream) as archive:
        for array in arrays:
            # A ZipInfo without a date, so that equal arrays give equal files.
            with archive.open(zipfile.ZipInfo(f"{array.name}.npy"), "w", force_zip64=True) as member:
                _write_array(member, array)


def _write_tensors(stream: IO[bytes], arrays: list[Outgoing], metadata: Mapping[str, str]) -> None:
    def tensor_type(array: Outgoing) -> safetensors.TensorType:
        if array.format is not None:
            return safetensors.TensorType(safetensors.word_of(array.format, math.prod(array.shape)), array.shape)
        words = {np.dtype(name): word for word, name in safetensors.NUMPY_TYPES.items()}
        return safetensors.TensorType({**words, np.dtype(bool): "BOOL"}[array.dtype.newbyteorder("=")], array.shape)

    elements = {array.name: array.chunks for array in arrays}
    safetensors.write_tensors(stream, {array.name: tensor_type(array) for array in arrays}, elements, metadata)

"""Arrays in files (.npy, .npz, raw): read by map or as a stream, written whole or not at all."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from fpemu.chunks import CHUNK, flat_chunks
from fpemu.formats import Format
from fpemu.registry import dtype as lookup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

__all__ = ["Outgoing", "StoredArray", "element_type", "file_kind", "open_arrays", "replacing", "write_arrays"]

Element = np.dtype[Any] | Format


def file_kind(path: str | os.PathLike[str]) -> str:
    """What kind of file a name means: ".npy", ".npz", or "raw" for every other ending.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    {".npy", ".npz", "raw"}

    Examples
    --------
    >>> from fpemu.files import file_kind
    >>> file_kind("weights.npz"), file_kind("weights.bin")
    ('.npz', 'raw')
    """
    suffix = Path(path).suffix.lower()
    return suffix if suffix in (".npy", ".npz") else "raw"


def element_type(name: Any) -> Element:
    """What the elements of a file are: numbers of a numpy dtype, or codes of a format.

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
        If it is neither.

    Examples
    --------
    >>> from fpemu.files import element_type
    >>> element_type("<f4"), element_type("bf16").name
    (dtype('float32'), 'bfloat16')
    """
    try:
        plain: np.dtype[Any] = np.dtype(name)
    except TypeError:
        return lookup(name)
    if plain.kind in "fiub" and plain.itemsize <= 8:
        return plain
    return lookup(name)


@dataclasses.dataclass(frozen=True)
class StoredArray:
    """An array in a file: shape and type are known, the elements are read when they are asked for.

    Parameters
    ----------
    path : Path
    name : str
        The member's name in an .npz file, else "".
    shape : tuple of int
    dtype : numpy.dtype
        Of the numbers, or of the codes where there is a `format`.
    format : Format, optional
        The format whose codes the elements are; None for numbers.
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    format: Format | None
    _pieces: Callable[[int], Iterator[NDArray[Any]]] = dataclasses.field(repr=False)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def chunks(self, size: int = CHUNK) -> Iterator[NDArray[Any]]:
        """The elements in C order, as one-dimensional arrays of at most `size` elements; each call begins anew.

        Parameters
        ----------
        size : int

        Yields
        ------
        numpy.ndarray

        Raises
        ------
        ValueError
            If the file turns out to be damaged on the way.
        """
        with _damage(self.path):
            for piece in self._pieces(size):
                yield piece.view(self.dtype)


def open_arrays(
    path: str | os.PathLike[str],
    *,
    dtype: Any = None,
    shape: tuple[int, ...] | None = None,
    member: str | None = None,
) -> list[StoredArray]:
    """The arrays of a file, none of them read yet.

    .npy and raw files are mapped into memory, .npz files read as streams (an .npz member in Fortran order is read
    whole).  Nothing is unpickled.

    Parameters
    ----------
    path : path-like
        .npy, .npz, or anything else: raw numbers in C order.
    dtype : str, numpy.dtype or Format, optional
        What the elements are, see `element_type`.  Raw files need it; for the others it says which format's codes the
        file's unsigned integers (or the opaque bytes that numpy makes of ml_dtypes arrays) are.
    shape : tuple of int, optional
        Raw files only; one dimension without it.
    member : str, optional
        The one array of an .npz file to open, instead of all.

    Returns
    -------
    list of StoredArray

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is damaged, holds no real numbers, or disagrees with `dtype`, `shape` or `member`.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from fpemu.files import open_arrays
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/x.npy", np.ones((2, 3), np.float32))
    ...     (x,) = open_arrays(f"{folder}/x.npy")
    ...     print(x.shape, x.dtype, next(x.chunks(4)))
    (2, 3) float32 [1. 1. 1. 1.]
    """
    path, kind = Path(path), file_kind(path)
    element = None if dtype is None else element_type(dtype)
    if kind != ".npz" and member is not None:
        raise ValueError(f"{path}: only .npz files have members; {member!r} cannot be selected")
    if kind != "raw" and shape is not None:
        raise ValueError(f"{path}: shape is for raw files; {kind} files know theirs")
    if kind == "raw":
        if element is None:
            raise ValueError(f"{path}: a raw file needs dtype: a numpy dtype, or the format whose codes it holds")
        return [_open_raw(path, element, shape)]
    if kind == ".npy":
        with _damage(path):
            mapped = np.lib.format.open_memmap(path, mode="r")
        return [_stored(path, "", mapped.shape, mapped.dtype, element, lambda size: flat_chunks(mapped, size))]
    return _open_npz(path, element, member)


@contextlib.contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Whatever a damaged file makes numpy, zipfile and zlib raise becomes a ValueError that names the file."""
    import zipfile
    import zlib

    try:
        yield
    except (
        ValueError,
        EOFError,
        SyntaxError,
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise ValueError(f"{path}: not a readable {file_kind(path)} file: {error}") from error


def _stored(
    path: Path,
    name: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    element: Element | None,
    pieces: Callable[[int], Iterator[NDArray[Any]]],
) -> StoredArray:
    """A StoredArray whose stored dtype is checked against what the caller says that the elements are."""
    where = f"{path}, {name}" if name else f"{path}"
    if isinstance(element, np.dtype):
        if dtype != element:
            raise ValueError(f"{where}: the elements are {dtype}, not {element}")
    elif element is not None:
        if dtype.kind not in "uV" or dtype.itemsize != np.dtype(element.code_dtype).itemsize:
            raise ValueError(f"{where}: the elements are {dtype}; codes of {element.name} are {element.code_dtype}")
        code_dtype = np.dtype(element.code_dtype)
        return StoredArray(path, name, shape, dtype if dtype.kind == "u" else code_dtype, element, pieces)
    elif dtype.kind == "V" and dtype.names is None and dtype.itemsize <= 8:
        raise ValueError(
            f"{where}: the elements are {dtype.itemsize} opaque bytes (numpy saves ml_dtypes arrays so); "
            "say with dtype which format's codes they are"
        )
    if dtype.kind not in "fiub" or dtype.itemsize > 8:
        raise ValueError(f"{where}: the elements are {dtype}; only real numbers up to 64 bits can be cast")
    return StoredArray(path, name, shape, dtype, None, pieces)


def _open_raw(path: Path, element: Element, shape: tuple[int, ...] | None) -> StoredArray:
    dtype = element if isinstance(element, np.dtype) else np.dtype(element.code_dtype)
    with path.open("rb") as stream:  # says what is wrong with a folder or a file that may not be read
        length = stream.seek(0, os.SEEK_END)
    if length % dtype.itemsize:
        raise ValueError(f"{path}: {length} bytes are no whole number of {dtype} ({dtype.itemsize} bytes each)")
    count = length // dtype.itemsize
    shape = (count,) if shape is None else shape
    if min(shape, default=0) < 0 or math.prod(shape) != count:
        raise ValueError(f"{path}: holds {count} elements of {dtype}; shape {shape} has {math.prod(shape)}")
    mapped = np.memmap(path, dtype, mode="r") if count else np.empty(0, dtype)
    return _stored(path, "", shape, dtype, element, lambda size: flat_chunks(mapped, size))


def _open_npz(path: Path, element: Element | None, member: str | None) -> list[StoredArray]:
    import zipfile

    with _damage(path), zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    members = {name.removesuffix(".npy"): name for name in names}
    if member is not None:
        if member not in members:
            raise ValueError(f"{path}: no array {member!r}; there are {', '.join(members) or 'none'}")
        members = {member: members[member]}
    return [_open_member(path, entry, element) for entry in members.values()]


def _open_member(path: Path, entry: str, element: Element | None) -> StoredArray:
    import zipfile

    if not entry.endswith(".npy"):
        raise ValueError(f"{path}: member {entry!r} is no array; select an array by its name")
    with _damage(path), zipfile.ZipFile(path) as archive, archive.open(entry) as stream:
        shape, fortran_order, dtype = _read_header(stream)
    name = entry.removesuffix(".npy")

    def pieces(size: int) -> Iterator[NDArray[Any]]:
        with zipfile.ZipFile(path) as archive, archive.open(entry) as stream:
            if fortran_order and len(shape) > 1:
                yield from flat_chunks(np.lib.format.read_array(stream, allow_pickle=False), size)
                return
            _read_header(stream)
            left = math.prod(shape)
            while left:
                count = min(size, left)
                block = stream.read(count * dtype.itemsize)
                if len(block) < count * dtype.itemsize:
                    raise ValueError(f"member {name!r} ends early")
                yield np.frombuffer(block, dtype)
                left -= count
            stream.read(1)  # at the member's end zipfile checks the checksum

    return _stored(path, name, shape, dtype, element, pieces)


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(stream)
    raise ValueError(f"version {version} of the .npy format is for structured arrays")


@dataclasses.dataclass(frozen=True)
class Outgoing:
    """An array to write, made while it is written.

    Parameters
    ----------
    name : str
        The member's name in an .npz file; of no meaning elsewhere.
    shape : tuple of int
    dtype : numpy.dtype
    chunks : iterable of numpy.ndarray
        The elements in C order, in one-dimensional pieces.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunks: Iterable[NDArray[Any]]


def write_arrays(path: str | os.PathLike[str], arrays: list[Outgoing]) -> None:
    """Write arrays piece by piece; the file is there in the end, whole, or it is as it was before.

    Parameters
    ----------
    path : path-like
        .npy (one array), .npz (any number), or anything else: one array, raw and in C order.
    arrays : list of Outgoing

    Raises
    ------
    OSError
        If the file cannot be written, or the disk is full.
    ValueError
        If this kind of file holds one array and `arrays` has another number of them.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from fpemu.files import Outgoing, write_arrays
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     halves = (np.full(2, i / 2) for i in range(3))
    ...     write_arrays(f"{folder}/x.npy", [Outgoing("x", (3, 2), np.dtype("float64"), halves)])
    ...     print(np.load(f"{folder}/x.npy").tolist())
    [[0.0, 0.0], [0.5, 0.5], [1.0, 1.0]]
    """
    kind = file_kind(path)
    if kind != ".npz" and len(arrays) != 1:
        raise ValueError(f"{path}: a file of this kind holds one array, not {len(arrays)}; use .npz")
    with replacing(path) as stream:
        if kind == ".npz":
            _write_npz(stream, arrays)
        else:
            _write_array(stream, arrays[0], header=kind == ".npy")


def _write_array(stream: IO[bytes], array: Outgoing, header: bool = True) -> None:
    if header:
        descr = np.lib.format.dtype_to_descr(array.dtype)
        fields = {"descr": descr, "fortran_order": False, "shape": array.shape}
        np.lib.format.write_array_header_1_0(stream, fields)
    for chunk in array.chunks:
        stream.write(np.ascontiguousarray(chunk, array.dtype).data)


def _write_npz(stream: IO[bytes], arrays: list[Outgoing]) -> None:
    import zipfile

    with zipfile.ZipFile(stream, "w") as archive:
        for array in arrays:
            # A ZipInfo without a date, so that equal arrays give equal files.
            with archive.open(zipfile.ZipInfo(f"{array.name}.npy"), "w", force_zip64=True) as member:
                _write_array(member, array)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file to write that takes the place of `path` when the block ends well, and vanishes when it does not.

    What is written goes to a new file in the same folder.  A pipe or a device (``/dev/stdout``) cannot be replaced and
    is written to directly.

    Parameters
    ----------
    path : path-like

    Yields
    ------
    binary file

    Raises
    ------
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import os, tempfile
    >>> from fpemu.files import replacing
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(f"{folder}/a.txt") as stream:
    ...         _ = stream.write(b"whole")
    ...     print(os.listdir(folder))
    ['a.txt']
    """
    target = Path(path).resolve()  # through links: the file that a link points to is what gets replaced
    if target.exists() and not target.is_file():
        with _named(target), target.open("wb") as stream:
            yield stream
        return
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{target.parent}: no such folder")
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
    try:
        with _named(target):
            with os.fdopen(handle, "wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(temporary, _mode(target))
            os.replace(temporary, target)
    except BaseException:  # an interrupt too
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


@contextlib.contextmanager
def _named(target: Path) -> Iterator[None]:
    """A full disk is reported without the file's name: add it."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(target)
        raise


def _mode(target: Path) -> int:
    """The permissions that `target` has, or would have if it were made by `open`."""
    if target.exists():
        return target.stat().st_mode & 0o7777
    umask = os.umask(0o077)
    os.umask(umask)
    return 0o666 & ~umask

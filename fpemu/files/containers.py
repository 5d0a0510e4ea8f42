"""The kind of a file by its first bytes and its ending: supported, known but unsupported, or raw."""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path
from typing import NamedTuple

from fpemu.files.boundary import check_regular

READ = (".npy", ".npz", ".safetensors")
RAW_ENDINGS = (".bin", ".raw", ".dat")
HEAD = 512  # bytes read to recognize a file

# Kinds that are not supported: the name, the endings, the first bytes (or an offset and the bytes there)
_OTHERS: tuple[tuple[str, str, tuple[bytes | tuple[int, bytes], ...]], ...] = (
    ("a GGUF file", "gguf", (b"GGUF",)),
    ("a GGML file", "ggml ggjt", (b"lmgg", b"tjgg", b"fmgg", b"algg")),
    ("an ONNX file", "onnx ort", ((4, b"ORTM"),)),
    ("a PyTorch file", "pt pth ckpt pt2 ptl", (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19",)),
    ("a pickle", "pkl pickle pck joblib dill", ()),
    ("an HDF5 file", "h5 hdf5 hdf he5 nc4", (b"\x89HDF\r\n\x1a\n",)),
    ("a Keras file", "keras", ()),
    ("a netCDF file", "nc cdf", (b"CDF\x01", b"CDF\x02", b"CDF\x05")),
    ("a Parquet file", "parquet pq", (b"PAR1", b"PARE")),
    ("an Arrow file", "arrow feather ipc", (b"ARROW1",)),
    ("an ORC file", "orc", (b"ORC",)),
    ("an Avro file", "avro", (b"Obj\x01",)),
    ("a TensorFlow Lite file", "tflite", ((4, b"TFL3"),)),
    ("a TensorFlow file", "pb pbtxt tfrecord tfrecords", ()),
    ("an executable of ExecuTorch", "pte", ((4, b"ET12"),)),
    ("a Core ML file", "mlmodel mlpackage mlmodelc", ()),
    ("a TensorRT engine", "engine trt", (b"ptrt", b"ftrt")),
    ("a MessagePack file", "msgpack flax mpk", ()),
    ("a MATLAB file", "mat", (b"MATLAB 5.0 MAT-file", b"MATLAB 7.3 MAT-file")),
    ("a FITS file", "fits fit fts", (b"SIMPLE  =",)),
    ("a Zarr store", "zarr", ()),
    ("a zip archive", "zip", (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")),
    ("a gzip file", "gz tgz", (b"\x1f\x8b\x08",)),
    ("a bzip2 file", "bz2 tbz2", (b"BZh",)),
    ("an xz file", "xz txz lzma", (b"\xfd7zXZ\x00",)),
    ("a Zstandard file", "zst zstd", (b"\x28\xb5\x2f\xfd",)),
    ("an LZ4 file", "lz4", (b"\x04\x22\x4d\x18",)),
    ("a 7-Zip archive", "7z", (b"7z\xbc\xaf\x27\x1c",)),
    ("a RAR archive", "rar", (b"Rar!\x1a\x07",)),
    ("a tar archive", "tar", ((257, b"ustar"),)),
    ("a recording of fpemu's", "probe", ()),
    ("a JSON file", "json jsonl ndjson", ()),
    ("a text file", "csv tsv txt md tv hex mem yaml yml toml xml ini", ()),
    ("a Python file", "py pyc ipynb", ()),
    ("a test bench", "v sv vhd vhdl", ()),
    ("an SQLite database", "sqlite sqlite3", (b"SQLite format 3\x00",)),
    ("a PNG picture", "png", (b"\x89PNG\r\n\x1a\n",)),
    ("a JPEG picture", "jpg jpeg", (b"\xff\xd8\xff",)),
    ("a GIF picture", "gif", (b"GIF87a", b"GIF89a")),
    ("a TIFF picture", "tif tiff", (b"II*\x00", b"MM\x00*")),
    ("a picture", "bmp webp svg exr", ()),
    ("a PDF document", "pdf", (b"%PDF-",)),
    ("a sound file", "wav flac mp3 ogg", (b"RIFF", b"fLaC", b"OggS")),
    ("a program", "so dll exe dylib", (b"\x7fELF", b"MZ\x90\x00")),
    ("a page of HTML", "html htm", (b"<!DOCTYPE html", b"<!doctype html", b"<html")),
    ("a pointer of Git LFS, not the file itself", "", (b"version https://git-lfs.github.com/spec/",)),
)
_KNOWN = "it {} .npy, .npz, .safetensors and raw numbers"
_CONTRADICTION = (
    "{}: its name says that it is {}, raw=True (--raw) that it holds raw numbers: rename it, or leave raw out"
)
_PICKLE = re.compile(rb"\x80[\x03-\x05](\x95.{8})?[\x8c\x8a\x8b\]}(cKMX)]|\x80\x02[\]}(c]", re.DOTALL)
_ONNX_START = re.compile(rb"\x08[\x01-\x14]\x12([\x03-\x40])([A-Za-z][\w.+ -]*)[\x1a\x22\x2a\x32\x3a\x42]", re.DOTALL)


class UnknownEndingError(ValueError):
    """A file of unknown ending, without `raw`."""


class _Other(NamedTuple):
    name: str
    endings: tuple[str, ...]
    magic: tuple[tuple[int, bytes], ...]


_UNSUPPORTED = tuple(
    _Other(
        name,
        tuple(f".{ending}" for ending in endings.split()),
        tuple((0, start) if isinstance(start, bytes) else start for start in magic),
    )
    for name, endings, magic in _OTHERS
)


def kind_by_name(path: str | os.PathLike[str]) -> str | None:
    """A file's kind by its ending: one of `READ`, a name ("a GGUF file"), or None for other endings.

    Examples
    --------
    >>> from fpemu.files.containers import kind_by_name
    >>> kind_by_name("w.NPZ"), kind_by_name("w.gguf"), kind_by_name("w.bin")
    ('.npz', 'a GGUF file', None)
    """
    suffix = Path(path).suffix.lower()
    if file_kind(path) in READ:
        return suffix
    return next((other.name for other in _UNSUPPORTED if suffix in other.endings), None)


def file_kind(path: str | os.PathLike[str]) -> str:
    """The kind in which fpemu writes a file: ".npy", ".npz", ".safetensors" by the ending, else "raw".

    Examples
    --------
    >>> from fpemu.files.containers import file_kind
    >>> file_kind("weights.npz"), file_kind("weights.bin")
    ('.npz', 'raw')
    """
    suffix = Path(path).suffix.lower()
    return suffix if suffix in READ else "raw"


def kind_by_bytes(path: str | os.PathLike[str]) -> str | None:
    """A file's kind by its first bytes: one of `READ`, a name, or None for others.

    Parameters
    ----------
    path : path-like
        An existing file.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    with open(path, "rb") as stream:
        head = stream.read(HEAD)
        size = stream.seek(0, os.SEEK_END)
        if head.startswith(b"\x93NUMPY"):
            return ".npy"
        if _begins_as_safetensors(head, size):
            stream.seek(7 + int.from_bytes(head[:8], "little"))
            if stream.read(1) in (b"}", b" ", b"\n", b"\t", b"\r"):
                return ".safetensors"
        if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            return _zip_kind(path)
        for other in _UNSUPPORTED:
            if any(head.startswith(magic, offset) for offset, magic in other.magic):
                return other.name
        if _PICKLE.match(head) and size > 4:
            stream.seek(-1, os.SEEK_END)
            if stream.read(1) == b".":
                return "a pickle"
    onnx = _ONNX_START.match(head)
    if onnx and len(onnx[2]) >= onnx[1][0]:
        return "an ONNX file"
    return None


def _begins_as_safetensors(head: bytes, size: int) -> bool:
    """Whether a file begins with a possible length and a map of names."""
    length = int.from_bytes(head[:8], "little")
    return len(head) >= 10 and 2 <= length <= size - 8 and re.match(rb'\s*\{\s*["}]', head[8:]) is not None


def _zip_kind(path: str | os.PathLike[str]) -> str:
    """The kind of a zip archive, by its members."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, UnicodeDecodeError):
        return "a zip archive" if kind_by_name(path) != ".npz" else ".npz"  # damaged
    if any(name.endswith("/data.pkl") or name == "data.pkl" for name in names):
        return "a PyTorch file"
    if "recording.json" in names:
        return "a recording of fpemu's"
    if "model.weights.h5" in names:
        return "a Keras file"
    if any(name.endswith(".npy") for name in names) or kind_by_name(path) == ".npz":
        return ".npz"
    return "a zip archive"


def kind_of_input(path: str | os.PathLike[str], raw: bool = False) -> str:
    """The kind of a file to read: ".npy", ".npz", ".safetensors" or "raw".

    The first bytes decide; if they are not known, the ending.

    Parameters
    ----------
    path : path-like
    raw : bool
        The file holds raw numbers, although its ending is unknown or its first bytes look like those of another kind.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If its kind is not supported, or its ending is unknown and `raw` is false.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from fpemu.files.containers import kind_of_input
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "x.f32")
    ...     _ = path.write_bytes(bytes(8))
    ...     kind_of_input(path, raw=True)
    'raw'
    """
    by_name = kind_by_name(path)
    check_regular(path)
    if raw:
        if by_name is not None:
            raise ValueError(_CONTRADICTION.format(path, _article(by_name)))
        with open(path, "rb"):
            return "raw"
    by_bytes = kind_by_bytes(path)
    kind = by_name if by_bytes is None else by_bytes
    if kind in READ:
        return str(kind)
    if kind is not None:
        if by_name in READ:
            raise ValueError(f"{path}: not a readable {by_name} file: its first bytes are those of {kind}")
        raise ValueError(f"{path}: {kind}, which fpemu does not read; {_KNOWN.format('reads')}")
    if Path(path).suffix.lower() in RAW_ENDINGS:
        return "raw"
    raise UnknownEndingError(f"{path}: {_unknown_ending(path)} if it holds raw numbers")


def kind_of_output(path: str | os.PathLike[str], raw: bool = False) -> str:
    """The kind of a file to write: ".npy", ".npz", ".safetensors" or "raw", by its ending.

    Parameters
    ----------
    path : path-like
        A device or a pipe gets raw numbers.
    raw : bool
        Write raw numbers, although the ending is unknown.

    Raises
    ------
    ValueError
        If the ending is that of an unsupported kind, or unknown and `raw` is false.

    Examples
    --------
    >>> from fpemu.files.containers import kind_of_output
    >>> kind_of_output("y.npz"), kind_of_output("y.bin"), kind_of_output("y.f32", raw=True)
    ('.npz', 'raw', 'raw')
    """
    kind = kind_by_name(path)
    if raw and kind is not None:
        raise ValueError(_CONTRADICTION.format(path, _article(kind)))
    if kind in READ:
        return str(kind)
    if kind is not None:
        raise ValueError(f"{path}: {kind}, which fpemu does not write; {_KNOWN.format('writes')}")
    if raw or Path(path).suffix.lower() in RAW_ENDINGS or (os.path.exists(path) and not os.path.isfile(path)):
        return "raw"
    raise UnknownEndingError(f"{path}: {_unknown_ending(path)} for raw numbers")


def _unknown_ending(path: str | os.PathLike[str]) -> str:
    suffix = Path(path).suffix
    problem = f"its ending {suffix} is unknown" if suffix else "it has no ending"
    return f"{problem}; known are {', '.join(READ + RAW_ENDINGS)} (raw); use raw=True (--raw)"


def _article(kind: str) -> str:
    return f"a {kind} file" if kind in READ else kind

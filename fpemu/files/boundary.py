"""The boundary around readers of files: errors that name the file, and limits of memory."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

from fpemu.formats.strict_json import DEPTH, parsed

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOM = 1 << 30  # bytes of memory for a file of any size
GROWTH = 16  # more bytes of memory for each byte of the file
LONGEST_MESSAGE = 500  # characters
TOKEN = 64  # bytes of memory for each list, map or entry of JSON, about and at most


def file_path(path: str | os.PathLike[str]) -> Path:
    """Check the path of a file.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    Path

    Raises
    ------
    TypeError
        If it is not a str or a path: a stream, bytes, a number.
    ValueError
        If no file can have that name.

    Examples
    --------
    >>> from fpemu.files.boundary import file_path
    >>> import io
    >>> file_path("x.npz").suffix
    '.npz'
    >>> file_path(io.BytesIO())
    Traceback (most recent call last):
    ...
    TypeError: path must be a str or a pathlib.Path, not BytesIO: a file is named, not handed over open
    """
    name = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(name, str):
        why = "use os.fsdecode(path)" if isinstance(name, bytes) else "a file is named, not handed over open"
        raise TypeError(f"path must be a str or a pathlib.Path, not {type(name).__name__}: {why}")
    if not name or "\0" in name:
        raise ValueError(f"{name!r}: no file can have this name")
    return Path(name)


@contextlib.contextmanager
def reading(path: str | os.PathLike[str], problem: str = "") -> Iterator[None]:
    """Convert errors in the block to a ValueError that begins with the path, or an OSError with the path.

    Parameters
    ----------
    path : path-like
        The file that the block reads.
    problem : str, optional
        Text such as "not a readable .npy file", for messages that do not name the file.

    Raises
    ------
    OSError
        The error itself, with the file's name if it had none; for a lack of memory, ENOMEM.
    ValueError
        For every other error: the file is damaged or of another kind.

    Examples
    --------
    >>> from fpemu.files.boundary import reading
    >>> with reading("x.json", "not a readable file"):
    ...     {}["key"]
    Traceback (most recent call last):
    ...
    ValueError: x.json: not a readable file: KeyError: 'key'
    """
    name = os.fsdecode(path)
    try:
        yield
    except OSError as error:
        if error.errno is None:  # raised by a library for wrong contents
            _raise_refusal(name, problem, error)
        if error.filename is None:
            error.filename = name
        raise
    except MemoryError as error:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM), name) from error
    except Exception as error:
        if isinstance(error, ValueError) and str(error).startswith(name):
            message = str(error).removeprefix(name)
            if message == _line(message):
                raise
            raise ValueError(name + _line(message)) from error
        _raise_refusal(name, problem, error)


def _line(text: str) -> str:
    """An untrusted text on one line, shortened, with control characters escaped."""
    cut = text if len(text) <= LONGEST_MESSAGE else f"{text[: LONGEST_MESSAGE - 3]}..."
    return "".join(c if c.isprintable() else " " if c.isspace() else repr(c)[1:-1] for c in cut)


def visible(text: str) -> str:
    r"""An untrusted text of several lines, with control characters escaped.

    Examples
    --------
    >>> from fpemu.files.boundary import visible
    >>> print(visible("layer\x1b[31m\n  0"))
    layer\x1b[31m
      0
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def _raise_refusal(name: str, problem: str, error: Exception) -> NoReturn:
    message = _line(str(error)).strip()
    is_clear = isinstance(error, ValueError | EOFError | OSError) or type(error).__module__ in ("zipfile", "zlib")
    if not (is_clear and message):
        message = f"{type(error).__name__}: {message}".removesuffix(": ")
    raise ValueError(f"{name}: {f'{problem}: ' if problem else ''}{message}") from error


def line(text: str) -> str:
    r"""An untrusted text for a report: on one line, shortened, with control characters escaped.

    Examples
    --------
    >>> from fpemu.files.boundary import line
    >>> print(line("no\x1b[31m\nresult"))
    no\x1b[31m result
    """
    return _line(text).strip()


def check_regular(path: str | os.PathLike[str]) -> None:
    """Raise ValueError for a pipe or a device, which may never end.

    Folders, circular links and missing files are left to the system's errors.
    """
    if not (stat.S_ISREG(mode := os.stat(path).st_mode) or stat.S_ISDIR(mode)):
        raise ValueError(
            f"{os.fsdecode(path)}: a pipe or a device, which fpemu does not read: write it to a file first"
        )


def check_file(path: str | os.PathLike[str]) -> None:
    """`check_regular`, and raise IsADirectoryError for a folder."""
    check_regular(path)
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fsdecode(path))


def shown(name: str) -> str:
    r"""An untrusted name for a message: on one line, shortened, with control characters escaped.

    Examples
    --------
    >>> from fpemu.files.boundary import shown
    >>> shown("layer.0"), shown("a\x1b[2J")
    ('layer.0', "'a\\x1b[2J'")
    """
    cut = name if len(name) <= 80 else f"{name[:77]}..."
    return cut if cut.isprintable() else repr(cut)


class Budget:
    """The limits of reading one file: memory and nesting.

    Parameters
    ----------
    path : path-like
    size : int
        Bytes of the file.
    max_bytes : int, optional
        Bytes of memory; default: a gibibyte, and sixteen bytes for each byte of the file.
    depth : int
        The most levels of nested lists and maps in JSON.

    Examples
    --------
    >>> from fpemu.files.boundary import Budget
    >>> budget = Budget("x.npz", 1000)
    >>> budget.take(1 << 20, "its arrays")
    >>> budget.take(1 << 31, "its arrays")
    Traceback (most recent call last):
    ...
    ValueError: x.npz: its arrays take 2,148,532,224 bytes of memory; a file of 1,000 bytes may take 1,073,757,824
    """

    def __init__(
        self, path: str | os.PathLike[str], size: int, *, max_bytes: int | None = None, depth: int = DEPTH
    ) -> None:
        self.path, self.size, self.depth = os.fsdecode(path), size, depth
        self.limit = ROOM + GROWTH * size if max_bytes is None else max_bytes
        self.taken = 0

    @classmethod
    def of(cls, path: str | os.PathLike[str], **limits: Any) -> Budget:
        """The budget of a regular file."""
        check_regular(path)
        return cls(path, os.stat(path).st_size, **limits)

    def take(self, count: int, purpose: str) -> None:
        """Count bytes of memory; raise ValueError beyond the limit."""
        self.taken += count
        if self.taken > self.limit:
            raise ValueError(
                f"{self.path}: {purpose} take {self.taken:,} bytes of memory; a file of {self.size:,} bytes may take "
                f"{self.limit:,}"
            )

    def json(self, text: bytes, name: str, *, constants: bool = False) -> Any:
        """Parse JSON, whose memory is counted first; raise ValueError if it is damaged or too deep."""
        self.take(len(text) + TOKEN * sum(map(text.count, (b"[", b"{", b","))), f"the parts of {name}")
        try:
            return parsed(text, self.depth, constants=constants)
        except ValueError as error:
            raise ValueError(f"{self.path}: {name}: damaged: {error}") from None


def line_blocks(stream: IO[bytes], size: int, longest: int) -> Iterator[bytes]:
    r"""Read a file in blocks of whole lines.

    Parameters
    ----------
    stream : binary file
    size : int
        Bytes of a block, about.
    longest : int
        The most bytes of a line; the rest of a longer one is not read.

    Yields
    ------
    bytes
        Each ends with a line feed, except perhaps the last.

    Raises
    ------
    ValueError
        If a line is longer than `longest`.

    Examples
    --------
    >>> import io
    >>> from fpemu.files.boundary import line_blocks
    >>> list(line_blocks(io.BytesIO(b"one\ntwo\nthree"), 5, 10))
    [b'one\n', b'two\n', b'three']
    """
    rest, number = b"", 1
    while block := stream.read(size):
        whole, feed, rest = (rest + block).rpartition(b"\n")
        if feed:
            yield whole + feed
            number += whole.count(b"\n") + 1
        if len(rest) > longest:
            raise ValueError(f"line {number} has more than {longest:,} bytes")
    if rest:
        yield rest

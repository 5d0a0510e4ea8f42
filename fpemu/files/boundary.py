"""The boundary around every reader of files: what is wrong with a file is an error that names it, and costs little."""

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

__all__ = ["Budget", "check_file", "check_regular", "file_path", "line", "line_blocks", "reading", "shown", "visible"]

ROOM = 1 << 30  # bytes of memory that a file may take however small it is
GROWTH = 16  # bytes of memory for each byte of a file
LONGEST = 500  # signs of a message
TOKEN = 64  # bytes of memory, at most and about, for each list, map or entry of JSON


def file_path(path: str | os.PathLike[str]) -> Path:
    """The path of a file that a caller names.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    Path

    Raises
    ------
    TypeError
        If it is no text and stands for none: a stream, bytes, a number.
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
    given = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(given, str):
        known = isinstance(given, bytes)
        why = "say os.fsdecode(path)" if known else "a file is named, not handed over open"
        raise TypeError(f"path must be a str or a pathlib.Path, not {type(given).__name__}: {why}")
    if not given or "\0" in given:
        raise ValueError(f"{given!r}: no file can have this name")
    return Path(given)


@contextlib.contextmanager
def reading(path: str | os.PathLike[str], what: str = "") -> Iterator[None]:
    """Whatever goes wrong in the block becomes a ValueError that begins with the path, or an OSError that has it.

    Parameters
    ----------
    path : path-like
        The file that the block reads.
    what : str, optional
        What the file is not: "not a readable .npy file".  It stands in messages that do not name the file yet.

    Raises
    ------
    OSError
        As it was raised: class and errno are kept, the file's name is added where there is none.  A lack of memory is
        an OSError too, ENOMEM.
    ValueError
        For every other error: the file is damaged, or is something else.

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
        if error.errno is None:  # not the system's: libraries say so that a file's content is wrong
            _refuse(name, what, error)
        if error.filename is None:
            error.filename = name
        raise
    except MemoryError as error:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM), name) from error
    except Exception as error:
        if isinstance(error, ValueError) and str(error).startswith(name):
            told = str(error).removeprefix(name)
            if told == _line(told):
                raise
            raise ValueError(name + _line(told)) from error
        _refuse(name, what, error)


def _line(text: str) -> str:
    """A text that may have come from a file on one line, without signs that a terminal would obey, not too long."""
    cut = text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
    return "".join(sign if sign.isprintable() else " " if sign.isspace() else repr(sign)[1:-1] for sign in cut)


def visible(text: str) -> str:
    r"""A text of lines that may have come from a file or a program, without signs that a terminal would obey.

    Examples
    --------
    >>> from fpemu.files.boundary import visible
    >>> print(visible("layer\x1b[31m\n  0"))
    layer\x1b[31m
      0
    """
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() or sign == "\n" else repr(sign)[1:-1] for sign in text)


def _refuse(name: str, what: str, error: Exception) -> NoReturn:
    told = _line(str(error)).strip()
    speaks = isinstance(error, ValueError | EOFError | OSError) or type(error).__module__ in ("zipfile", "zlib")
    if not (speaks and told):
        told = f"{type(error).__name__}: {told}".removesuffix(": ")
    raise ValueError(f"{name}: {f'{what}: ' if what else ''}{told}") from error


def line(text: str) -> str:
    r"""A text that may have come from a program or a device as reports have it: on one line, not too long.

    Examples
    --------
    >>> from fpemu.files.boundary import line
    >>> print(line("no\x1b[31m\nresult"))
    no\x1b[31m result
    """
    return _line(text).strip()


def check_regular(path: str | os.PathLike[str]) -> None:
    """A ValueError if a path is a pipe or a device, which has no end that one could wait for.

    Of folders, links in circles and files that are not there the system tells.
    """
    if not (stat.S_ISREG(mode := os.stat(path).st_mode) or stat.S_ISDIR(mode)):
        raise ValueError(
            f"{os.fsdecode(path)}: a pipe or a device, which fpemu does not read: write it to a file first"
        )


def check_file(path: str | os.PathLike[str]) -> None:
    """As `check_regular`; of a folder an IsADirectoryError too."""
    check_regular(path)
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fsdecode(path))


def shown(name: str) -> str:
    r"""A name out of a file as messages have it: on one line, without signs that a terminal would obey, not too long.

    Examples
    --------
    >>> from fpemu.files.boundary import shown
    >>> shown("layer.0"), shown("a\x1b[2J")
    ('layer.0', "'a\\x1b[2J'")
    """
    cut = name if len(name) <= 80 else f"{name[:77]}..."
    return cut if cut.isprintable() else repr(cut)


class Budget:
    """What the reading of one file may use up: memory, nesting, work.

    Parameters
    ----------
    path : path-like
    size : int
        Bytes of the file.
    max_bytes : int, optional
        Bytes of memory; default a gibibyte, and sixteen bytes for each byte of the file.
    depth : int
        How deep lists and maps of JSON may lie in each other.

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
        """The budget of the file at a path, which must be one."""
        check_regular(path)
        return cls(path, os.stat(path).st_size, **limits)

    def take(self, count: int, what: str) -> None:
        """Count bytes of memory; a ValueError where the file takes more than it may."""
        self.taken += count
        if self.taken > self.limit:
            raise ValueError(
                f"{self.path}: {what} take {self.taken:,} bytes of memory; a file of {self.size:,} bytes may take "
                f"{self.limit:,}"
            )

    def json(self, text: bytes, what: str, *, constants: bool = False) -> Any:
        """What JSON stands for, its memory counted first; a ValueError where it is damaged or too deep."""
        self.take(len(text) + TOKEN * sum(map(text.count, (b"[", b"{", b","))), f"the parts of {what}")
        try:
            return parsed(text, self.depth, constants=constants)
        except ValueError as error:
            raise ValueError(f"{self.path}: {what}: damaged: {error}") from None


def line_blocks(stream: IO[bytes], size: int, longest: int) -> Iterator[bytes]:
    r"""Whole lines of a file, in blocks of about so many bytes.

    Parameters
    ----------
    stream : binary file
    size : int
        Bytes of a block.
    longest : int
        Bytes of a line; a longer one is an error, and is not read to its end.

    Yields
    ------
    bytes
        Each ends with a line feed, but perhaps the last.

    Raises
    ------
    ValueError
        If a line is longer.

    Examples
    --------
    >>> import io
    >>> from fpemu.files.boundary import line_blocks
    >>> list(line_blocks(io.BytesIO(b"one\ntwo\nthree"), 5, 10))
    [b'one\n', b'two\n', b'three']
    """
    rest, number = b"", 1
    while block := stream.read(size):
        whole, found, rest = (rest + block).rpartition(b"\n")
        if found:
            yield whole + found
            number += whole.count(b"\n") + 1
        if len(rest) > longest:
            raise ValueError(f"line {number} has more than {longest:,} bytes")
    if rest:
        yield rest

"""Files written whole or not at all: what is written takes the place of the old file when it is complete."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["replacing", "replacing_together"]

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)  # the last on Windows
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)  # file systems without hard links


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
    >>> from fpemu.files.atomic import replacing
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(f"{folder}/a.txt") as stream:
    ...         _ = stream.write(b"whole")
    ...     print(os.listdir(folder))
    ['a.txt']
    """
    with replacing_together(path) as streams:
        yield streams[0]


@contextlib.contextmanager
def replacing_together(*paths: str | os.PathLike[str]) -> Iterator[list[IO[bytes]]]:
    """As `replacing`, of files that belong together: all of them are replaced, or none.

    Parameters
    ----------
    *paths : path-like

    Yields
    ------
    list of binary file

    Raises
    ------
    OSError
        If one of the files cannot be written.

    Examples
    --------
    >>> import os, tempfile
    >>> from fpemu.files.atomic import replacing_together
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing_together(f"{folder}/a.txt", f"{folder}/b.txt") as (a, b):
    ...         _ = a.write(b"one"), b.write(b"two")
    ...     print(sorted(os.listdir(folder)))
    ['a.txt', 'b.txt']
    """
    files = [_File(path) for path in paths]
    try:
        try:
            for file in files:
                file.open()
            with _named(files[0].target):  # a full disk is reported without the file's name
                yield [file.stream for file in files if file.stream is not None]
            for file in files:
                file.complete()
            for file in files[:-1]:
                file.keep_old()
            for file in files:
                file.replace()
        except BaseException:  # an interrupt too
            if not files[-1].is_replaced:  # else all of them are
                for file in files:
                    file.undo()
            raise
        finally:
            _clear(files)
    except BaseException:  # an interrupt of the clearing: once more
        _clear(files)
        raise


def _clear(files: list[_File]) -> None:
    for file in files:
        file.clear()


class _File:
    """A file on its way: where it is written, and what it takes the place of.

    Every name is known before there is a file of that name, so that an interrupt leaves none behind.
    """

    stream: IO[bytes] | None = None

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.target, self._direct = _target(path)
        self._replacing = self._was_there = False
        if self._direct:
            return
        hidden = f".{self.target.name[:40]}.{secrets.token_hex(6)}"
        self._new, self._old = (self.target.with_name(f"{hidden}.{word}") for word in ("tmp", "old"))

    @property
    def is_replaced(self) -> bool:
        """Whether the new file is in its place."""
        return self._replacing and not self._new.exists()

    def open(self) -> None:
        """Begin the new file."""
        with _named(self.target):
            if self._direct:
                self.stream = self.target.open("wb")
                return
            if not self.target.parent.is_dir():
                raise FileNotFoundError(f"{self.target.parent}: no such folder")
            self.stream = os.fdopen(os.open(self._new, _FLAGS, 0o600), "wb")

    def complete(self) -> None:
        """All of it on the disk, with the old file's permissions."""
        assert self.stream is not None
        with _named(self.target):
            if not self._direct:
                self.stream.flush()
                os.fsync(self.stream.fileno())
            self.stream.close()
            if not self._direct:
                os.chmod(self._new, _mode(self.target))

    def keep_old(self) -> None:
        """The old file under another name too, for `undo`."""
        self._was_there = not self._direct and self.target.exists()
        if self._was_there:
            with _named(self.target):
                try:
                    os.link(self.target, self._old)
                except OSError as error:
                    if error.errno not in _NO_LINKS:
                        raise
                    shutil.copy2(self.target, self._old)

    def replace(self) -> None:
        """The new file in the old one's place."""
        if not self._direct:
            with _named(self.target):
                self._replacing = True
                os.replace(self._new, self.target)

    def undo(self) -> None:
        """The old file in its place again."""
        if self.is_replaced:
            with contextlib.suppress(OSError):
                if self._was_there:
                    os.replace(self._old, self.target)
                else:
                    os.unlink(self.target)

    def clear(self) -> None:
        """Nothing open, and no file under another name."""
        with contextlib.suppress(OSError):  # what could not be written cannot be flushed either
            if self.stream is not None:
                self.stream.close()
        for path in () if self._direct else (self._new, self._old):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def _target(path: str | os.PathLike[str]) -> tuple[Path, bool]:
    """The file that a path means, through links, and whether it is none that could be replaced."""
    given = Path(path)
    try:
        found = os.stat(given)  # of links in a circle this is an error that names them
    except FileNotFoundError:
        return Path(os.path.realpath(given)), False
    return (Path(os.path.realpath(given)), False) if stat.S_ISREG(found.st_mode) else (given, True)


@contextlib.contextmanager
def _named(target: Path) -> Iterator[None]:
    """An error of the system has the file's name."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(target)
        raise


def _mode(target: Path) -> int:
    """The permissions that `target` has, or would have if it were made by `open`."""
    if target.exists():
        return target.stat().st_mode & 0o7777
    umask = os.umask(0o077)
    os.umask(umask)
    return 0o666 & ~umask

"""Atomic writing: a new file replaces the old one when it is complete."""

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

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)  # Windows
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)  # file systems without hard links


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A new file that replaces `path` when the block ends, and is removed if the block raises.

    It is written in the same folder.  A pipe or a device (``/dev/stdout``) cannot be replaced and is written directly.

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
    """`replacing` for several files: either all are replaced or none.

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
            with _error_names(files[0].target):  # a full disk is reported without the file's name
                yield [file.stream for file in files if file.stream is not None]
            for file in files:
                file.complete()
            for file in files[:-1]:
                file.keep_old()
            for file in files:
                file.replace()
        except BaseException:  # interrupts too
            if not files[-1].is_replaced:  # else all files are
                for file in files:
                    file.undo()
            raise
        finally:
            _clear(files)
    except BaseException:  # the clearing was interrupted
        _clear(files)
        raise


def _clear(files: list[_File]) -> None:
    for file in files:
        file.clear()


class _File:
    """A file being written, and the file that it will replace.

    Every name is stored before a file of that name is made, so that an interrupt leaves no file behind.
    """

    stream: IO[bytes] | None = None

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.target, self._direct = _target(path)
        self._replacing = self._had_old = False
        if self._direct:
            return
        hidden = f".{self.target.name[:40]}.{secrets.token_hex(6)}"
        self._new, self._old = (self.target.with_name(f"{hidden}.{word}") for word in ("tmp", "old"))

    @property
    def is_replaced(self) -> bool:
        """Whether the new file has replaced the old one."""
        return self._replacing and not self._new.exists()

    def open(self) -> None:
        """Create the new file."""
        with _error_names(self.target):
            if self._direct:
                self.stream = self.target.open("wb")
                return
            if not self.target.parent.is_dir():
                raise FileNotFoundError(f"{self.target.parent}: no such folder")
            self.stream = os.fdopen(os.open(self._new, _FLAGS, 0o600), "wb")

    def complete(self) -> None:
        """Flush the new file to the disk and give it the old file's permissions."""
        assert self.stream is not None
        with _error_names(self.target):
            if not self._direct:
                self.stream.flush()
                os.fsync(self.stream.fileno())
            self.stream.close()
            if not self._direct:
                os.chmod(self._new, _permissions(self.target))

    def keep_old(self) -> None:
        """Give the old file a second name, for `undo`."""
        self._had_old = not self._direct and self.target.exists()
        if self._had_old:
            with _error_names(self.target):
                try:
                    os.link(self.target, self._old)
                except OSError as error:
                    if error.errno not in _NO_LINKS:
                        raise
                    shutil.copy2(self.target, self._old)

    def replace(self) -> None:
        """Replace the old file by the new one."""
        if not self._direct:
            with _error_names(self.target):
                self._replacing = True
                os.replace(self._new, self.target)

    def undo(self) -> None:
        """Restore the old file."""
        if self.is_replaced:
            with contextlib.suppress(OSError):
                if self._had_old:
                    os.replace(self._old, self.target)
                else:
                    os.unlink(self.target)

    def clear(self) -> None:
        """Close the new file and remove the temporary names."""
        with contextlib.suppress(OSError):  # unwritten data may fail again at the flush
            if self.stream is not None:
                self.stream.close()
        for path in () if self._direct else (self._new, self._old):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def _target(path: str | os.PathLike[str]) -> tuple[Path, bool]:
    """The file of a path, after links, and whether it must be written directly."""
    file = Path(path)
    try:
        mode = os.stat(file).st_mode  # raises an error with the name for circular links
    except FileNotFoundError:
        return Path(os.path.realpath(file)), False
    return (Path(os.path.realpath(file)), False) if stat.S_ISREG(mode) else (file, True)


@contextlib.contextmanager
def _error_names(target: Path) -> Iterator[None]:
    """Add the file's name to system errors."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(target)
        raise


def _permissions(target: Path) -> int:
    """The permissions of `target`, or of a file that `open` would create."""
    if target.exists():
        return target.stat().st_mode & 0o7777
    umask = os.umask(0o077)
    os.umask(umask)
    return 0o666 & ~umask

"""Running a program on an input, with limits on its time and its output."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import IO, NamedTuple

__all__ = ["Ran", "run"]

_SHOWN = 400  # bytes of what a program says on standard error
_MARK = "FPEMU_AUDIT"  # a variable by which the processes that a program starts are known
_ROUNDS = 20


class Ran(NamedTuple):
    """What a program printed, and what went wrong, or None."""

    output: bytes
    problem: str | None


def run(command: Sequence[str], given: bytes, limit: int, timeout: float) -> Ran:
    """Run a program on an input.

    Parameters
    ----------
    command : sequence of str
        The program and its arguments.
    given : bytes
        Its standard input.
    limit : int
        Bytes that it may print; one that prints more is ended.
    timeout : float
        Seconds that it may take; one that takes more is ended, with all that it started: its session, on Linux also
        the processes that have left it and kept its environment.

    Returns
    -------
    Ran

    Examples
    --------
    >>> import sys
    >>> from fpemu.verification.audits.processes import run
    >>> run([sys.executable, "-c", "raise SystemExit(3)"], b"", 100, 60.0).problem
    'ended with status 3'
    """
    name = uuid.uuid4().hex
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as errors:
        source.write(given)
        source.seek(0)
        try:
            process = subprocess.Popen(
                command,
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                env={**os.environ, _MARK: name},
            )
        except OSError as error:
            return Ran(b"", f"could not be started: {error.strerror or error}")
        deadline = time.monotonic() + timeout
        status = None
        try:
            assert process.stdout is not None
            with process.stdout as stream:
                output, late = _read(stream, limit + 1, deadline)
                if not late and len(output) <= limit:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        status = process.wait(max(deadline - time.monotonic(), 0))
        finally:
            _kill(process, f"{_MARK}={name}")  # what it started and left behind; an interrupt comes here too
            process.wait()
        if len(output) > limit:
            return Ran(output[:limit], f"printed more than {limit} bytes")
        if status is None:
            return Ran(output, f"gave no answer within {timeout:g} s")
        return Ran(output, _ending(status, errors))


def _read(stream: IO[bytes], most: int, deadline: float) -> tuple[bytes, bool]:
    """What a program prints, up to so many bytes, and whether it had not ended at the deadline.

    A process that it started may have its output open for ever: nothing here waits for the end of the output alone.
    """
    if sys.platform == "win32":  # no select on pipes
        found: list[bytes] = []
        reader = threading.Thread(target=lambda: found.append(stream.read(most)), daemon=True)
        reader.start()
        reader.join(max(deadline - time.monotonic(), 0))
        return found[0] if found else b"", not found
    parts: list[bytes] = []
    size = 0
    with selectors.DefaultSelector() as ready:
        ready.register(stream, selectors.EVENT_READ)
        while size < most:
            left = deadline - time.monotonic()
            if left <= 0 or not ready.select(left):
                return b"".join(parts), True
            part = os.read(stream.fileno(), min(most - size, 1 << 20))
            if not part:
                break
            parts.append(part)
            size += len(part)
    return b"".join(parts), False


def _kill(process: subprocess.Popen[bytes], token: str) -> None:
    """End a program and what it started, where the system says so also what left its session."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    for _ in range(_ROUNDS):  # what is ended may just have started more
        if not _kill_marked(token.encode()):
            break


def _kill_marked(token: bytes) -> bool:
    """End the processes that have a token in their environment (Linux); whether there were any."""
    found = False
    if not hasattr(os, "pidfd_open"):
        return found
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):  # it has ended, or is somebody else's
            number = int(folder.name)
            if number == os.getpid() or token not in (folder / "environ").read_bytes().split(b"\0"):
                continue
            handle = os.pidfd_open(number)  # no other process of the same number from here on
            try:
                if token in (folder / "environ").read_bytes().split(b"\0"):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                    found = True
            finally:
                os.close(handle)
    return found


def _ending(status: int, errors: IO[bytes]) -> str | None:
    """How a program ended, with the last that it said; None if well."""
    if status == 0:
        return None
    how = f"ended with status {status}"
    if status < 0:
        with contextlib.suppress(ValueError):
            how = f"was ended by {signal.Signals(-status).name}"
    size = errors.seek(0, os.SEEK_END)
    errors.seek(max(size - _SHOWN, 0))
    words = " ".join(errors.read().decode(errors="replace").split())
    return f"{how}: {words}" if words else how

"""Programs run on an input, with limits on their time and their output."""

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

__all__ = ["Completed", "run_program"]

_ERROR_BYTES = 400  # of standard error, in a problem's text
_MARK = "FPEMU_AUDIT"  # environment variable that marks a program and its descendants
_KILL_ROUNDS = 20


class Completed(NamedTuple):
    """A program's standard output, and the problem, or None."""

    output: bytes
    problem: str | None


def run_program(command: Sequence[str], stdin: bytes, limit: int, timeout: float) -> Completed:
    """Run a program on an input.

    Parameters
    ----------
    command : sequence of str
        The program and its arguments.
    stdin : bytes
        Its standard input.
    limit : int
        The most bytes that it may print; a program that prints more is killed.
    timeout : float
        The most seconds that it may take; a slower program is killed with its descendants: all processes of its
        session, on Linux also processes that left the session and still have its environment.

    Returns
    -------
    Completed

    Examples
    --------
    >>> import sys
    >>> from fpemu.verification.audits.processes import run_program
    >>> run_program([sys.executable, "-c", "raise SystemExit(3)"], b"", 100, 60.0).problem
    'ended with status 3'
    """
    token = uuid.uuid4().hex
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as errors:
        source.write(stdin)
        source.seek(0)
        try:
            process = subprocess.Popen(
                command,
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                env={**os.environ, _MARK: token},
            )
        except OSError as error:
            return Completed(b"", f"could not be started: {error.strerror or error}")
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
            _kill(process, f"{_MARK}={token}")  # with its descendants; also after an interrupt
            process.wait()
        if len(output) > limit:
            return Completed(output[:limit], f"printed more than {limit} bytes")
        if status is None:
            return Completed(output, f"did not answer within {timeout:g} s")
        return Completed(output, _exit_problem(status, errors))


def _read(stream: IO[bytes], most: int, deadline: float) -> tuple[bytes, bool]:
    """Read at most `most` bytes; also return whether the deadline came before the end of the output.

    A descendant may never close the output, so reading does not wait beyond the deadline.
    """
    if sys.platform == "win32":  # no select on pipes
        received: list[bytes] = []
        reader = threading.Thread(target=lambda: received.append(stream.read(most)), daemon=True)
        reader.start()
        reader.join(max(deadline - time.monotonic(), 0))
        return received[0] if received else b"", not received
    chunks: list[bytes] = []
    size = 0
    with selectors.DefaultSelector() as ready:
        ready.register(stream, selectors.EVENT_READ)
        while size < most:
            left = deadline - time.monotonic()
            if left <= 0 or not ready.select(left):
                return b"".join(chunks), True
            chunk = os.read(stream.fileno(), min(most - size, 1 << 20))
            if not chunk:
                break
            chunks.append(chunk)
            size += len(chunk)
    return b"".join(chunks), False


def _kill(process: subprocess.Popen[bytes], mark: str) -> None:
    """Kill a program and its descendants, including marked processes outside its session."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    for _ in range(_KILL_ROUNDS):  # a killed process may just have started another
        if not _kill_marked(mark.encode()):
            break


def _kill_marked(mark: bytes) -> bool:
    """Kill the processes with a mark in their environment (Linux); return whether there were any."""
    killed = False
    if not hasattr(os, "pidfd_open"):
        return killed
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):  # the process has ended, or belongs to another user
            pid = int(folder.name)
            if pid == os.getpid() or mark not in (folder / "environ").read_bytes().split(b"\0"):
                continue
            handle = os.pidfd_open(pid)  # protects against reuse of the pid
            try:
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                    killed = True
            finally:
                os.close(handle)
    return killed


def _exit_problem(status: int, errors: IO[bytes]) -> str | None:
    """A failed program's exit status or signal, and the end of its standard error; None for status 0."""
    if status == 0:
        return None
    problem = f"ended with status {status}"
    if status < 0:
        with contextlib.suppress(ValueError):
            problem = f"was ended by {signal.Signals(-status).name}"
    size = errors.seek(0, os.SEEK_END)
    errors.seek(max(size - _ERROR_BYTES, 0))
    words = " ".join(errors.read().decode(errors="replace").split())
    return f"{problem}: {words}" if words else problem

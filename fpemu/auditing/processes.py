"""Running a program on an input, with limits on its time and its output."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from typing import IO, NamedTuple

__all__ = ["Ran", "run"]

_SHOWN = 400  # bytes of what a program says on standard error


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
        Seconds that it may take; one that takes more is ended, with all that it started.

    Returns
    -------
    Ran

    Examples
    --------
    >>> import sys
    >>> from fpemu.auditing.processes import run
    >>> run([sys.executable, "-c", "raise SystemExit(3)"], b"", 100, 60.0).problem
    'ended with status 3'
    """
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as errors:
        source.write(given)
        source.seek(0)
        try:
            process = subprocess.Popen(
                command, stdin=source, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
            )
        except OSError as error:
            return Ran(b"", f"could not be started: {error.strerror or error}")
        late = threading.Event()

        def too_late() -> None:
            late.set()
            _kill(process)

        timer = threading.Timer(timeout, too_late)
        timer.start()
        try:
            assert process.stdout is not None
            with process.stdout as stream:
                output = stream.read(limit + 1)
                if len(output) > limit:
                    _kill(process)
            status = process.wait()
        finally:
            timer.cancel()
            _kill(process)  # what it started and left behind; an interrupt comes here too
            process.wait()
        if late.is_set():
            return Ran(output, f"gave no answer within {timeout:g} s")
        if len(output) > limit:
            return Ran(output[:limit], f"printed more than {limit} bytes")
        return Ran(output, _ending(status, errors))


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a program and what it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


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

"""The `fpemu` command; `fpemu.cli.app` lists its subcommands, each in a module of its name."""

from __future__ import annotations

import codecs
import importlib
import io
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

__all__ = ["main"]

NEEDS = """\
fpemu: the command line needs typer and rich, which are not installed. Install them with

    python -m pip install 'fpemu[cli]'

or, in a clone of the project, python -m pip install '.[all]'
"""


def main(args: list[str] | None = None) -> NoReturn:
    """Run the `fpemu` command and exit without a traceback: status 0 if done, 2 for wrong usage, 1 for other failures.

    Parameters
    ----------
    args : list of str, optional
        The arguments; default: the arguments of the process.
    """
    try:
        for package in ("typer", "rich"):
            importlib.import_module(package)
        from fpemu.cli.app import app
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("typer", "click", "rich"):
            raise
        sys.stderr.write(NEEDS)
        sys.exit(2)
    for name in ("SIGTERM", "SIGHUP", "SIGQUIT"):
        number = getattr(signal, name, None)  # Windows has only the first
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, _terminated)
    _replace_missing_characters()
    try:
        from fpemu.kernels import threads

        threads.requested_count()  # a wrong environment variable is refused before any output
        try:
            app(args=args, prog_name="fpemu")
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
    except Exception as error:
        from fpemu.files.boundary import visible

        sys.stderr.write(f"fpemu: error: {visible(_message(error))}\n")
        _discard_output()
    sys.exit(1)


# Replacements of characters that an encoding lacks
_ASCII = {"…": "...", "─": "-", "│": "|", "┼": "+", "≤": "<=", "≥": ">=", "\u2013": "-", "\u2212": "-", "\u00d7": "x"}
_ASCII |= dict.fromkeys("█▇▆▅▄▃▂▁▉▊▋▌▍▎▏", "#") | dict.fromkeys("░▒▓·", ".") | dict.fromkeys("┴┬├┤╭╮╰╯└┘┌┐", "+")


def _replace_missing_characters() -> None:
    """Make the output streams replace characters that their encoding lacks, instead of raising."""
    codecs.register_error("fpemu", _replaced)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="fpemu")


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_ASCII.get(character, "?") for character in error.object[error.start : error.end]), error.end


def _discard_output() -> None:
    """Discard output that cannot be written; otherwise Python would try again at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _terminated(number: int, frame: FrameType | None) -> NoReturn:
    """Exit by an exception, which removes unfinished files."""
    sys.exit(128 + number)


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, MemoryError):
        return f"not enough memory: {error}" if str(error) else "not enough memory"
    if isinstance(error, OSError | ValueError | TypeError | OverflowError | ImportError):
        return str(error)
    return f"{type(error).__name__}: {error} (please report this: it should have been a clear message)"

"""Implementations under test: a Python callable, a program, a function of a shared library, recorded answers."""

from __future__ import annotations

import os
import re
import shlex
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from fpemu.casting import decode
from fpemu.files.boundary import check_file, file_path
from fpemu.formats import dtype, same_codes
from fpemu.verification.audits import processes
from fpemu.verification.differences import ALL_FLAGS, codes_in, codes_of_values, flag_bits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from fpemu.formats import Format
    from fpemu.verification.claims import Batch, Claim

__all__ = [
    "Answer",
    "CallStyle",
    "Recorded",
    "Runner",
    "Subject",
    "as_subject",
    "function",
    "library",
    "program",
    "recorded",
]

_HEX_WORD = re.compile(rb"(0[xX])?[0-9a-fA-F]{1,32}")  # int() accepts signs and underscores too
TIMEOUT = 60.0  # seconds that a program or a library may take for a batch


class Answer(NamedTuple):
    """A subject's answer to a batch.

    `codes`: the results, up to the problem if there was one; `flags`: in TestFloat's numbering, or None; `problem`: the
    reason why there are no more results, or None.
    """

    codes: NDArray[Any]
    flags: NDArray[np.uint8] | None = None
    problem: str | None = None


Runner = Callable[..., Answer]  # takes each operand's codes, which it may overwrite


class CallStyle(NamedTuple):
    """The way to call a subject: its claim, whether it takes and returns values (else codes), and flags."""

    claim: Claim
    takes_values: bool = False
    gives_values: bool = False
    flags: bool = False


class Subject(Protocol):
    """An implementation under test."""

    name: str

    def runner(self, style: CallStyle) -> Runner:
        """The runner for a style of call."""


def as_subject(subject: Any) -> Subject | Recorded:
    """Return a subject unchanged, or make a subject of a callable.

    Parameters
    ----------
    subject : Subject, Recorded or callable

    Returns
    -------
    Subject or Recorded

    Raises
    ------
    TypeError
        If it is neither.
    """
    if isinstance(subject, Recorded) or callable(getattr(subject, "runner", None)):
        return subject  # type: ignore[no-any-return]
    if callable(subject):
        return function(subject)
    raise TypeError(
        f"a subject is a callable, program(...), library(...) or recorded(...), not {type(subject).__name__}"
    )


# -- a Python callable ------------------------------------------------------------------------------------------------


class _PythonFunction:
    """A Python callable on arrays."""

    def __init__(self, call: Callable[..., Any], timeout: float | None) -> None:
        self._call, self._timeout = call, timeout
        self.name = str(getattr(call, "__qualname__", None) or repr(call))

    def runner(self, style: CallStyle) -> Runner:
        def run(*operands: NDArray[Any]) -> Answer:
            empty = np.zeros(0, style.claim.result_dtype)
            arguments = list(operands)
            if style.takes_values:
                arguments = [values_of(codes, fmt) for codes, fmt in zip(operands, style.claim.operands, strict=True)]
            try:
                returned = self._call_in_time(arguments)
            except KeyboardInterrupt:  # the user's; a subject's arrives as a RuntimeError if it has a timeout
                raise
            except BaseException as error:  # anything else is the subject's fault
                return Answer(empty, None, f"raised {_error_text(error)}")
            try:
                return _as_answer(returned, style, operands[0].size)
            except (TypeError, ValueError) as error:
                return Answer(empty, None, f"returned a malformed answer: {error}")
            except Exception as error:  # from an object of the subject's own class
                return Answer(empty, None, f"returned an answer that raised {_error_text(error)}")

        return run

    def _call_in_time(self, arguments: list[Any]) -> Any:
        """Call the subject; after the timeout its thread is abandoned, as a thread cannot be stopped."""
        if self._timeout is None:
            return self._call(*arguments)
        outcome: list[Any] = []

        def call() -> None:
            try:
                outcome.append((self._call(*arguments), None))
            except BaseException as error:
                outcome.append((None, error))

        thread = threading.Thread(target=call, daemon=True)
        thread.start()
        thread.join(self._timeout)
        if not outcome:
            raise TimeoutError(f"no answer within {self._timeout:g} s")
        returned, error = outcome[0]
        if isinstance(error, KeyboardInterrupt):  # the subject's: the user's arrives in the main thread
            raise RuntimeError(_error_text(error)) from error
        if error is not None:
            raise error
        return returned


def function(call: Callable[..., Any], timeout: float | None = None) -> Subject:
    """Make a subject of a Python callable; `audit` takes a callable as it is, without a timeout.

    Parameters
    ----------
    call : callable
        Takes one-dimensional arrays, one for each operand, and returns an array of results; with flags a pair of
        results and flags.
    timeout : float, optional
        Seconds for one call.

    Returns
    -------
    Subject

    Raises
    ------
    TypeError
        If `call` is not callable.

    Examples
    --------
    >>> from fpemu.verification.audits import function
    >>> function(len, timeout=2.0).name
    'len'
    """
    if not callable(call):
        raise TypeError(f"a function must be callable, not {type(call).__name__}")
    return _PythonFunction(call, timeout)


def _error_text(error: BaseException) -> str:
    """An error's class and message; the class alone if its message raises."""
    try:
        text = str(error)
    except Exception:  # the subject's own class
        text = ""
    return f"{type(error).__name__}: {text}".removesuffix(": ")


def values_of(codes: NDArray[Any], fmt: Format) -> NDArray[Any]:
    """Codes as values: of numpy's type for the format if there is one, else as from `decode`."""
    for name in ("float16", "float32", "float64"):
        if same_codes(fmt, dtype(name)):
            return codes.view(name)
    return np.asarray(decode(codes, fmt))


def _as_answer(returned: Any, style: CallStyle, size: int) -> Answer:
    """Codes and flags from a callable's return value; a TypeError or ValueError if it is malformed."""
    result, flags = returned, None
    if style.flags:
        if not isinstance(returned, tuple) or len(returned) != 2:
            raise TypeError(f"with flags it must be a pair (results, flags), not {type(returned).__name__}")
        result, raised = returned
        flags = flag_bits(raised, "the flags")[0]
    fmt = style.claim.result
    if fmt is None:
        codes = _truth_codes(result)
    elif style.gives_values:
        codes = codes_of_values(result, fmt, "the result")
    else:
        codes = codes_in(result, fmt, "the result")
    for name, array in (("the result", codes), ("the flags", flags)):
        if array is not None and array.shape != (size,):
            raise ValueError(f"{name} must be of shape {(size,)}, not {array.shape}")
    return Answer(codes, flags)


def _truth_codes(result: Any) -> NDArray[np.uint8]:
    """Truth values as 0 and 1."""
    truth = np.asarray(result)
    if truth.dtype != np.bool_ and not (truth.dtype.kind in "iu" and np.isin(truth, (0, 1)).all()):
        raise TypeError(f"the result must be of bool, or of integers 0 and 1, not of {truth.dtype}")
    return truth.astype(np.uint8)


# -- a program --------------------------------------------------------------------------------------------------------


class _Program:
    """A program that prints one line for each line of its input."""

    def __init__(self, command: Sequence[str], timeout: float) -> None:
        self._command, self._timeout = list(command), timeout
        self.name = shlex.join(command)

    def runner(self, style: CallStyle) -> Runner:
        claim, count = style.claim, style.claim.result_count
        widths = [-(-fmt.bits // 4) for fmt in claim.operands]
        longest = 8 + len(f"{count - 1:x}") + 8 * style.flags

        def run(*operands: NDArray[Any]) -> Answer:
            size = operands[0].size
            columns = [
                [f"{code:0{width}x}" for code in codes.tolist()] for codes, width in zip(operands, widths, strict=True)
            ]
            text = "\n".join(map(" ".join, zip(*columns, strict=True))) + "\n"
            ran = processes.run_program(self._command, text.encode(), longest * size + 4096, self._timeout)
            codes, flags, problem = _parse_lines(ran.output, size, count, style.flags)
            if ran.problem is not None:
                problem = ran.problem if problem is None else f"{problem}; it {ran.problem}"
            elif problem is None and len(codes) < size:
                problem = f"answered {len(codes)} of {size} lines, then ended"
            raised = np.array(flags, np.uint8) if style.flags else None
            return Answer(np.array(codes, claim.result_dtype), raised, problem)

        return run


def _parse_lines(output: bytes, size: int, count: int, with_flags: bool) -> tuple[list[int], list[int], str | None]:
    """Codes and flags of the lines before the first malformed one, and the problem with that one, or None."""
    codes: list[int] = []
    flags: list[int] = []
    lines = output.split(b"\n")
    unfinished = lines.pop()  # after the last newline
    if unfinished and len(lines) < size:
        lines.append(unfinished)
    for number, line in enumerate(lines[:size], 1):
        words = line.split()
        numbers = [int(word, 16) for word in words] if all(map(_HEX_WORD.fullmatch, words)) else []
        if len(numbers) != 1 + with_flags or numbers[0] >= count or (with_flags and numbers[1] > ALL_FLAGS):
            shown = line[:40].decode(errors="replace")
            wanted = "a result and flags" if with_flags else "a result"
            return codes, flags, f"printed {shown!r} as line {number}: not {wanted} in hexadecimal, below {count:#x}"
        codes.append(numbers[0])
        flags.extend(numbers[1:])
    if len(lines) > size:
        return codes, flags, f"printed {len(lines)} lines for {size}"
    return codes, flags, None


def program(command: str | Sequence[str], timeout: float = TIMEOUT) -> Subject:
    """Make a subject of a program that reads operands on standard input and prints results on standard output.

    The program is started for each batch.  Each line of its input has the operands' codes in hexadecimal, separated
    by blanks; for each line it prints one with the result's code in hexadecimal and, if flags are audited, a blank and
    the flags in TestFloat's numbering.  It exits with status 0 at the end of its input.

    Parameters
    ----------
    command : str or sequence of str
        The program and its arguments.
    timeout : float
        Seconds for one batch.

    Returns
    -------
    Subject

    Raises
    ------
    ValueError
        If there is no command.

    Examples
    --------
    >>> from fpemu.verification.audits import program
    >>> program(["./a.out", "-x"]).name
    './a.out -x'
    """
    words = shlex.split(command) if isinstance(command, str) else [os.fspath(word) for word in command]
    if not words:
        raise ValueError("a program needs a command: program(['./a.out'])")
    return _Program(words, timeout)


# -- a shared library -------------------------------------------------------------------------------------------------


class _Library:
    """A function of a shared library, called in a separate process, as it may crash."""

    def __init__(self, path: Path, symbol: str, timeout: float) -> None:
        self._path, self._symbol, self._timeout = path, symbol, timeout
        self.name = f"{symbol} of {path}"

    def runner(self, style: CallStyle) -> Runner:
        kind, limit = style.claim.result_dtype, style.claim.result_count
        host = str(Path(processes.__file__).with_name("library_host.py"))

        def run(*operands: NDArray[Any]) -> Answer:
            size = operands[0].size
            sizes = ",".join(str(codes.itemsize) for codes in operands)
            words = [str(self._path), self._symbol, str(size), sizes, str(kind.itemsize), str(int(style.flags))]
            expected = size * (kind.itemsize + style.flags)
            stdin = b"".join(codes.tobytes() for codes in operands)
            ran = processes.run_program([sys.executable, "-I", host, *words], stdin, expected, self._timeout)
            if ran.problem is not None or len(ran.output) != expected:
                return Answer(np.zeros(0, kind), None, ran.problem or f"returned {len(ran.output)} of {expected} bytes")
            codes = np.frombuffer(ran.output, kind, size)
            flags = np.frombuffer(ran.output, np.uint8, size, size * kind.itemsize) if style.flags else None
            if int(codes.max(initial=0)) >= limit or (flags is not None and int(flags.max(initial=0)) > ALL_FLAGS):
                return Answer(np.zeros(0, kind), None, f"returned a code of {limit:#x} or more, or unknown flags")
            return Answer(codes, flags)

        return run


def library(path: str | os.PathLike[str], symbol: str, timeout: float = TIMEOUT) -> Subject:
    """Make a subject of a function in a shared library, called through ctypes in a separate process, as it may crash.

    In C: ``void symbol(size_t count, const T *x, ..., R *result, uint8_t *flags)``, with a pointer for each operand to
    unsigned integers of the codes' width (uint8_t, uint16_t, uint32_t, uint64_t; for float32 and float64 also
    ``float`` and ``double``), and `flags`, in TestFloat's numbering, only if they are audited.

    Parameters
    ----------
    path : path-like
        The library.
    symbol : str
        The function's name.
    timeout : float
        Seconds for one batch.

    Returns
    -------
    Subject

    Raises
    ------
    OSError
        If there is no such file, or it is a folder.
    ValueError
        If it is a pipe or a device.

    Examples
    --------
    >>> from fpemu.verification.audits import library
    >>> library("no/libhalf.so", "convert")
    Traceback (most recent call last):
    ...
    FileNotFoundError: no/libhalf.so: no such file
    """
    file = file_path(path)
    try:
        check_file(file)
    except FileNotFoundError:
        raise FileNotFoundError(f"{file}: no such file") from None
    return _Library(file.resolve(), symbol, timeout)


# -- recorded answers -------------------------------------------------------------------------------------------------


class Recorded:
    """Answers recorded elsewhere: inputs and results as codes, with flags if there are any.

    Parameters
    ----------
    name : str
        The origin of the answers.
    batches : iterable of Batch
    claim : Claim, optional
        The claim that they should satisfy.
    """

    def __init__(self, name: str, batches: Iterable[Batch], claim: Claim | None = None) -> None:
        self.name, self._batches, self.claim = name, batches, claim

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._batches)


def recorded(source: Iterable[Batch], claim: Claim | None = None) -> Recorded:
    """Make a subject of recorded answers.

    Parameters
    ----------
    source : iterable of Batch
        Operands, results and flags (or None), as codes.
    claim : Claim, optional
        The claim that they should satisfy; default: the claim of `audit`.

    Returns
    -------
    Recorded

    Raises
    ------
    TypeError
        If `source` is not iterable.

    Examples
    --------
    >>> import numpy as np
    >>> import fpemu as fe
    >>> from fpemu.verification.audits import recorded
    >>> from fpemu.verification.claims import Batch
    >>> answers = [Batch((np.uint8([0x3C, 0x40]),), np.uint8([0x3C, 0x3D]), None)]
    >>> fe.audit(recorded(answers), "sqrt", "float8_e5m2").differences
    [Difference(operands=(64,), expected=62, actual=61, expected_flags=None, actual_flags=None)]
    """
    if not isinstance(source, Iterable):
        raise TypeError(f"recorded answers are batches, not {type(source).__name__}")
    return Recorded("recorded answers", source, claim)

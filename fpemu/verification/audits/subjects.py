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

_HEXADECIMAL = re.compile(rb"(0[xX])?[0-9a-fA-F]{1,32}")  # int() takes signs and underscores too
TIMEOUT = 60.0  # seconds for a batch that a program or a library may take


class Answer(NamedTuple):
    """What a subject answered.

    `codes`: results, as many as there are before the problem; `flags`: in TestFloat's numbering, or None; `problem`:
    why nothing more came, or None.
    """

    codes: NDArray[Any]
    flags: NDArray[np.uint8] | None = None
    problem: str | None = None


class CallStyle(NamedTuple):
    """How a subject is asked: about what, whether it takes and gives values instead of codes, whether it has flags."""

    claim: Claim
    takes_values: bool = False
    gives_values: bool = False
    flags: bool = False


# Asks about operands' codes, which the subject may spoil
Runner = Callable[..., Answer]


class Subject(Protocol):
    """An implementation under test."""

    name: str

    def runner(self, style: CallStyle) -> Runner:
        """The way to ask it."""


def as_subject(subject: Any) -> Subject | Recorded:
    """A subject as it is, a callable as one.

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


class _Function:
    """A Python callable on arrays."""

    def __init__(self, call: Callable[..., Any], timeout: float | None) -> None:
        self._call, self._timeout = call, timeout
        self.name = str(getattr(call, "__qualname__", None) or repr(call))

    def runner(self, style: CallStyle) -> Runner:
        claim = style.claim

        def ask(*operands: NDArray[Any]) -> Answer:
            nothing = np.zeros(0, np.uint8 if claim.result is None else claim.result.code_dtype)
            given = list(operands)
            if style.takes_values:
                given = [values_of(part, fmt) for part, fmt in zip(operands, claim.operands, strict=True)]
            try:
                found = self._in_time(given)
            except KeyboardInterrupt:  # the user's; a subject's own is told of where it has a thread of its own
                raise
            except BaseException as error:  # whatever the subject raises is about the subject
                return Answer(nothing, None, f"raised {_words(error)}")
            try:
                return _understood(found, style, operands[0].size)
            except (TypeError, ValueError) as error:
                return Answer(nothing, None, f"gave a wrong answer: {error}")
            except Exception as error:  # what it gave may be an object of its own
                return Answer(nothing, None, f"gave an answer that raised {_words(error)}")

        return ask

    def _in_time(self, given: list[Any]) -> Any:
        """The call; one that takes too long is left behind in its thread, which cannot be ended."""
        if self._timeout is None:
            return self._call(*given)
        outcome: list[Any] = []

        def work() -> None:
            try:
                outcome.append((self._call(*given), None))
            except BaseException as error:
                outcome.append((None, error))

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(self._timeout)
        if not outcome:
            raise TimeoutError(f"no answer within {self._timeout:g} s")
        found, error = outcome[0]
        if isinstance(error, KeyboardInterrupt):  # not the user's, who interrupts the main thread
            raise RuntimeError(_words(error)) from error
        if error is not None:
            raise error
        return found


def function(call: Callable[..., Any], timeout: float | None = None) -> Subject:
    """A Python callable as a subject: for a time limit, which a bare callable has none of.

    Parameters
    ----------
    call : callable
        Takes one-dimensional arrays, one for each operand, and gives an array of results; with flags a pair of results
        and flags.
    timeout : float, optional
        Seconds for one call.

    Returns
    -------
    Subject

    Raises
    ------
    TypeError
        If it cannot be called.

    Examples
    --------
    >>> from fpemu.verification.audits import function
    >>> function(len, timeout=2.0).name
    'len'
    """
    if not callable(call):
        raise TypeError(f"a function must be callable, not {type(call).__name__}")
    return _Function(call, timeout)


def _words(error: BaseException) -> str:
    """An error's class and text, whatever the text does."""
    try:
        text = str(error)
    except Exception:  # a subject's class
        text = ""
    return f"{type(error).__name__}: {text}".removesuffix(": ")


def values_of(codes: NDArray[Any], fmt: Format) -> NDArray[Any]:
    """Codes as values: by their bits where numpy has the type, else as `decode` gives them."""
    for name in ("float16", "float32", "float64"):
        if same_codes(fmt, dtype(name)):
            return codes.view(name)
    return np.asarray(decode(codes, fmt))


def _understood(found: Any, style: CallStyle, size: int) -> Answer:
    """What a callable gave as codes and flags; a TypeError or ValueError says what is wrong with it."""
    flags = None
    if style.flags:
        if not isinstance(found, tuple) or len(found) != 2:
            raise TypeError(f"with flags it must be a pair (results, flags), not {type(found).__name__}")
        found, raised = found
        flags = flag_bits(raised, "the flags")[0]
    fmt = style.claim.result
    if fmt is None:
        codes = _truth(found)
    elif style.gives_values:
        codes = codes_of_values(found, fmt, "the result")
    else:
        codes = codes_in(found, fmt, "the result")
    for what, array in (("the result", codes), ("the flags", flags)):
        if array is not None and array.shape != (size,):
            raise ValueError(f"{what} must be of shape {(size,)}, not {array.shape}")
    return Answer(codes, flags)


def _truth(found: Any) -> NDArray[np.uint8]:
    """Truth values as 0 and 1."""
    truth = np.asarray(found)
    if truth.dtype != np.bool_ and not (truth.dtype.kind in "iu" and np.isin(truth, (0, 1)).all()):
        raise TypeError(f"the result must be of bool, or of integers 0 and 1, not of {truth.dtype}")
    return truth.astype(np.uint8)


# -- a program --------------------------------------------------------------------------------------------------------


class _Program:
    """A program that answers each line of its input with a line."""

    def __init__(self, command: Sequence[str], timeout: float) -> None:
        self._command, self._timeout = list(command), timeout
        self.name = shlex.join(command)

    def runner(self, style: CallStyle) -> Runner:
        claim = style.claim
        count = 2 if claim.result is None else claim.result.code_count
        kind = np.dtype(np.uint8 if claim.result is None else claim.result.code_dtype)
        widths = [-(-fmt.bits // 4) for fmt in claim.operands]
        longest = 8 + len(f"{count - 1:x}") + 8 * style.flags

        def ask(*operands: NDArray[Any]) -> Answer:
            columns = [
                [f"{code:0{width}x}" for code in part.tolist()] for part, width in zip(operands, widths, strict=True)
            ]
            text = "\n".join(map(" ".join, zip(*columns, strict=True))) + "\n"
            ran = processes.run(self._command, text.encode(), longest * operands[0].size + 4096, self._timeout)
            codes, flags, problem = _answers(ran.output, operands[0].size, count, style.flags)
            if ran.problem is not None:
                problem = ran.problem if problem is None else f"{problem}; it {ran.problem}"
            elif problem is None and len(codes) < operands[0].size:
                problem = f"answered {len(codes)} of {operands[0].size} lines, then ended"
            return Answer(np.array(codes, kind), np.array(flags, np.uint8) if style.flags else None, problem)

        return ask


def _answers(output: bytes, size: int, count: int, with_flags: bool) -> tuple[list[int], list[int], str | None]:
    """Codes and flags of the lines as far as they are right, and what is wrong with the first that is not."""
    codes: list[int] = []
    flags: list[int] = []
    lines = output.split(b"\n")
    rest = lines.pop()  # after the last end of line: nothing, or a line that the program did not finish
    if rest and len(lines) < size:
        lines.append(rest)
    for number, line in enumerate(lines[:size], 1):
        words = line.split()
        try:
            if len(words) != 1 + with_flags:
                raise ValueError
            if not all(map(_HEXADECIMAL.fullmatch, words)):
                raise ValueError
            found = [int(word, 16) for word in words]
            if not 0 <= found[0] < count or (with_flags and not 0 <= found[1] <= ALL_FLAGS):
                raise ValueError
        except ValueError:
            shown = line[:40].decode(errors="replace")
            wanted = "a result and flags" if with_flags else "a result"
            return codes, flags, f"printed {shown!r} as line {number}: not {wanted} in hexadecimal, below {count:#x}"
        codes.append(found[0])
        flags.extend(found[1:])
    if len(lines) > size:
        return codes, flags, f"printed {len(lines)} lines for {size}"
    return codes, flags, None


def program(command: str | Sequence[str], timeout: float = TIMEOUT) -> Subject:
    """A program that reads vectors on standard input and answers on standard output.

    It is started for each batch.  A line of its input has the operands' codes in hexadecimal, with a blank between; for
    each it prints a line with the result's code in hexadecimal, and where flags are audited a blank and the flags, in
    TestFloat's numbering.  At the end of its input it ends, with status 0.

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
    """A function of a shared library, called in a process of its own: it may crash."""

    def __init__(self, path: Path, symbol: str, timeout: float) -> None:
        self._path, self._symbol, self._timeout = path, symbol, timeout
        self.name = f"{symbol} of {path}"

    def runner(self, style: CallStyle) -> Runner:
        claim = style.claim
        kind = np.dtype(np.uint8 if claim.result is None else claim.result.code_dtype)
        host = str(Path(processes.__file__).with_name("library_host.py"))

        def ask(*operands: NDArray[Any]) -> Answer:
            size = operands[0].size
            sizes = ",".join(str(part.itemsize) for part in operands)
            words = [str(self._path), self._symbol, str(size), sizes, str(kind.itemsize), str(int(style.flags))]
            wanted = size * (kind.itemsize + style.flags)
            given = b"".join(part.tobytes() for part in operands)
            ran = processes.run([sys.executable, "-I", host, *words], given, wanted, self._timeout)
            if ran.problem is not None or len(ran.output) != wanted:
                return Answer(np.zeros(0, kind), None, ran.problem or f"gave {len(ran.output)} bytes of {wanted}")
            codes = np.frombuffer(ran.output, kind, size)
            flags = np.frombuffer(ran.output, np.uint8, size, size * kind.itemsize) if style.flags else None
            limit = 2 if claim.result is None else claim.result.code_count
            if int(codes.max(initial=0)) >= limit or (flags is not None and int(flags.max(initial=0)) > ALL_FLAGS):
                return Answer(np.zeros(0, kind), None, f"gave a code of {limit:#x} or more, or flags beyond the five")
            return Answer(codes, flags)

        return ask


def library(path: str | os.PathLike[str], symbol: str, timeout: float = TIMEOUT) -> Subject:
    """A function of a shared library, called through ctypes in a process of its own, which may crash.

    In C: ``void symbol(size_t count, const T *x, ..., R *result, uint8_t *flags)`` with a pointer for each operand, to
    unsigned integers of the codes' width (uint8_t, uint16_t, uint32_t, uint64_t; of float32 and float64 as well
    ``float`` and ``double``), and `flags`, in TestFloat's numbering, only where they are audited.

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
    found = file_path(path)
    try:
        check_file(found)
    except FileNotFoundError:
        raise FileNotFoundError(f"{found}: no such file") from None
    return _Library(found.resolve(), symbol, timeout)


# -- recorded answers -------------------------------------------------------------------------------------------------


class Recorded:
    """Answers that were recorded elsewhere: inputs and results as codes, and the flags if there are any.

    Parameters
    ----------
    name : str
        Where they come from.
    batches : iterable of Batch
    claim : Claim, optional
        What they are said to be.
    """

    def __init__(self, name: str, batches: Iterable[Batch], claim: Claim | None = None) -> None:
        self.name, self._batches, self.claim = name, batches, claim

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._batches)


def recorded(source: Iterable[Batch], claim: Claim | None = None) -> Recorded:
    """Recorded answers as a subject.

    Parameters
    ----------
    source : iterable of Batch
        Operands, results and flags (or None), as codes.
    claim : Claim, optional
        What they are said to be; default what `audit` is told.

    Returns
    -------
    Recorded

    Raises
    ------
    TypeError
        If `source` cannot be read.

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

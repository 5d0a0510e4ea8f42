"""Flags, the exceptions of IEEE 754-2019 clause 7, element by element; `errstate`, which turns them into errors."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from fpemu.formats import Format, IntFormat
from fpemu.formats.facts.codes import NumberClass, classes_of
from fpemu.formats.facts.text import dyadic_text
from fpemu.formats.lookup import caller_level, check_word
from fpemu.kernels import opcodes

__all__ = [
    "FlagError",
    "FlagWarning",
    "Flags",
    "Modes",
    "active_modes",
    "errstate",
    "flag_names",
    "listed",
    "raise_or_warn",
    "value_text",
]


class Flags:
    """The flags that an operation raised, element by element.

    Parameters
    ----------
    bits : numpy.ndarray of uint8
        1 inexact, 2 underflow, 4 overflow, 8 divide by zero, 16 invalid, the numbers of Berkeley TestFloat.

    Attributes
    ----------
    bits : numpy.ndarray of uint8
        Of the result's shape.

    Notes
    -----
    IEEE 754-2019 clause 7.  Underflow is raised where a result is tiny (after rounding, unless the profile's
    `tininess` is "before") and inexact.  Formats without infinity or NaN raise the same flags; only their results
    differ.

    Examples
    --------
    >>> import fpemu as fe
    >>> _, flags = fe.divide([1.0, 1.0, 1.0], [3.0, 2.0, 0.0], result="float8_e5m2", return_flags=True)
    >>> flags.inexact
    array([ True, False, False])
    >>> flags
    Flags(inexact: 1, divide_by_zero: 1 of 3)
    """

    NAMES = ("inexact", "underflow", "overflow", "divide_by_zero", "invalid")

    def __init__(self, bits: NDArray[np.uint8]) -> None:
        self.bits = bits

    def _raised(self, bit: int) -> NDArray[np.bool_]:
        raised: NDArray[np.bool_] = (self.bits & np.uint8(bit)) != 0
        return raised

    @property
    def inexact(self) -> NDArray[np.bool_]:
        """Whether the result differs from the exact one (7.6)."""
        return self._raised(opcodes.INEXACT_FLAG)

    @property
    def underflow(self) -> NDArray[np.bool_]:
        """Whether the result is tiny and inexact (7.5)."""
        return self._raised(opcodes.UNDERFLOW_FLAG)

    @property
    def overflow(self) -> NDArray[np.bool_]:
        """Whether the rounded magnitude exceeds the largest finite number (7.4)."""
        return self._raised(opcodes.OVERFLOW_FLAG)

    @property
    def divide_by_zero(self) -> NDArray[np.bool_]:
        """Whether finite operands give an exact infinity (7.3)."""
        return self._raised(opcodes.DIVIDE_BY_ZERO_FLAG)

    @property
    def invalid(self) -> NDArray[np.bool_]:
        """Whether no number is a meaningful result, or an operand is a signalling NaN (7.2)."""
        return self._raised(opcodes.INVALID_FLAG)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Flags):
            return NotImplemented
        return bool(np.array_equal(self.bits, other.bits))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        counts = [(name, int(getattr(self, name).sum())) for name in self.NAMES]
        raised = ", ".join(f"{name}: {count}" for name, count in counts if count)
        return f"Flags({raised or 'none'} of {self.bits.size})"


def flag_names(bits: int) -> list[str]:
    """Return the names of the flags in a mask."""
    return [name for bit, name in enumerate(Flags.NAMES) if bits >> bit & 1]


MODES = ("ignore", "warn", "raise")
LISTED_TERMS = 3  # terms of a sum in a message
# (name, bit) of each flag, the most serious first, as messages list them
_GRAVEST_FIRST = [(name, 1 << bit) for bit, name in reversed(list(enumerate(Flags.NAMES)))]

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])


class _FlagReport(Exception):  # noqa: N818 - a warning too
    """Flags raised by an operation, as an error or a warning."""

    def __init__(
        self, message: str = "", operation: str = "", flags: Flags | None = None, index: tuple[int, ...] = ()
    ) -> None:
        super().__init__(message)
        self.operation, self.flags, self.index = operation, flags, index


class FlagError(_FlagReport, FloatingPointError):
    """An operation raised a flag that is an error under `errstate`.

    Parameters
    ----------
    message : str
    operation : str
        The function's name.
    flags : Flags, optional
        All flags that it raised, of all elements.
    index : tuple of int
        Index of the first element that the message is about.

    Attributes
    ----------
    operation : str
    flags : Flags or None
    index : tuple of int

    Examples
    --------
    >>> import fpemu as fe
    >>> try:
    ...     with fe.errstate(overflow="raise"):
    ...         fe.multiply([1.0, 300.0], 2.0, result="float8_e4m3fn")
    ... except fe.FlagError as error:
    ...     print(error)
    ...     print(error.operation, error.index, error.flags)
    multiply: overflow in 1 of 2 elements, first at [1]: multiply(300.0, 2.0) = nan in float8_e4m3fn
    multiply (1,) Flags(inexact: 1, overflow: 1 of 2)
    """


class FlagWarning(_FlagReport, RuntimeWarning):
    """An operation raised a flag that is a warning under `errstate`.

    Parameters
    ----------
    message : str
    operation : str
        The function's name.
    flags : Flags, optional
        All flags that it raised, of all elements.
    index : tuple of int
        Index of the first element that the message is about.

    Attributes
    ----------
    operation : str
    flags : Flags or None
    index : tuple of int

    Examples
    --------
    >>> import fpemu as fe, warnings
    >>> with warnings.catch_warnings(record=True) as caught, fe.errstate(divide_by_zero="warn"):
    ...     warnings.simplefilter("always")
    ...     fe.divide(1.0, 0.0, result="float16")
    np.float32(inf)
    >>> print(caught[0].message)
    divide: divide_by_zero: divide(1.0, 0.0) = inf in float16
    """


class Modes(NamedTuple):
    """The modes of a context: the bits of the flags that are errors and that are warnings, and the outer context.

    The outer context is stored here and not in the `errstate`, so that one `errstate` can serve several threads and be
    nested in itself.
    """

    errors: int
    warnings: int
    outer: Modes | None


_CONTEXT_MODES: ContextVar[Modes | None] = ContextVar("fpemu.errstate", default=None)


def active_modes() -> Modes | None:
    """The current context's modes, or None if it ignores all flags."""
    modes = _CONTEXT_MODES.get()
    return None if modes is None or not modes.errors | modes.warnings else modes


class errstate:  # noqa: N801 - as numpy's
    """A context in which operations that raise a flag of IEEE 754 raise an error or warn.

    Parameters
    ----------
    all : "ignore", "warn" or "raise", optional
        For all flags that are not named.
    invalid : "ignore", "warn" or "raise", optional
        Default: as outside the context; "ignore" outside all contexts.
    divide_by_zero : "ignore", "warn" or "raise", optional
    overflow : "ignore", "warn" or "raise", optional
    underflow : "ignore", "warn" or "raise", optional
    inexact : "ignore", "warn" or "raise", optional

    Raises
    ------
    TypeError
        If a mode is not a string, or a generator function is decorated.
    ValueError
        If a mode is unknown.

    See Also
    --------
    Flags : the flags raised, element by element, of an operation called with ``return_flags=True``.
    numpy.errstate : the same for numpy's own operations.

    Notes
    -----
    It changes no bit of a result.  An operation that ends in a `FlagError` has written nothing: its `out`, or
    Array on the left of ``+=``, is unchanged.  It raises one error for all its elements, or gives one `FlagWarning`.

    All operations with `return_flags` are affected, called as functions, operators or numpy's ufuncs.  Casts (`cast`,
    `encode`, `Array.astype`, `array`, assignment to elements) are not operations; `convert` is.  Under a profile that
    rounds through float32 there are no flags: operations raise ValueError.

    A context belongs to its thread and its asynchronous task, as with `contextvars`: new threads begin without one, new
    tasks with the one that they are created in.  It is also a decorator of functions and coroutine functions.

    Examples
    --------
    >>> import fpemu as fe
    >>> a = fe.array([1.0, 448.0], "float8_e4m3fn")
    >>> with fe.errstate(overflow="raise", invalid="raise"):
    ...     a *= 4
    Traceback (most recent call last):
    fpemu.arithmetic.flags.FlagError: multiply: overflow in 1 of 2 elements, first at [1]:
    multiply(448.0, 4) = nan in float8_e4m3fn
    >>> a
    Array([  1., 448.], format='float8_e4m3fn')
    """

    def __init__(
        self,
        *,
        all: str | None = None,
        invalid: str | None = None,
        divide_by_zero: str | None = None,
        overflow: str | None = None,
        underflow: str | None = None,
        inexact: str | None = None,
    ) -> None:
        named = {
            "invalid": invalid,
            "divide_by_zero": divide_by_zero,
            "overflow": overflow,
            "underflow": underflow,
            "inexact": inexact,
        }
        for name, mode in (("all", all), *named.items()):
            if mode is not None:
                check_word(mode, MODES, f"errstate mode of {name}")
        self._modes = {name: all if mode is None else mode for name, mode in named.items()}

    def __enter__(self) -> errstate:
        outer = _CONTEXT_MODES.get()
        errors, warned = (0, 0) if outer is None else outer[:2]
        for name, bit in _GRAVEST_FIRST:
            mode = self._modes[name]
            if mode is not None:
                errors = errors | bit if mode == "raise" else errors & ~bit
                warned = warned | bit if mode == "warn" else warned & ~bit
        _CONTEXT_MODES.set(Modes(errors, warned, outer))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        inner = _CONTEXT_MODES.get()
        _CONTEXT_MODES.set(None if inner is None else inner.outer)

    def __call__(self, function: _Decorated) -> _Decorated:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError("errstate cannot decorate a generator function: use `with errstate(...)` around the loop")
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*args: Any, **keywords: Any) -> Any:
                with self:
                    return await function(*args, **keywords)

            return awaited  # type: ignore[return-value]

        @functools.wraps(function)
        def called(*args: Any, **keywords: Any) -> Any:
            with self:
                return function(*args, **keywords)

        return called  # type: ignore[return-value]

    def __repr__(self) -> str:
        return f"errstate({', '.join(f'{name}={mode!r}' for name, mode in self._modes.items() if mode is not None)})"


def raise_or_warn(
    modes: Modes, operation: str, bits: NDArray[np.uint8], describe: Callable[[tuple[int, ...]], str]
) -> None:
    """Raise an error or warn if an operation raised flags that the context treats as errors or warnings.

    Parameters
    ----------
    modes : Modes
    operation : str
    bits : numpy.ndarray of uint8
        The flags, of the result's shape.
    describe : callable
        A function that returns the operands and the result at an index as text.

    Raises
    ------
    FlagError
        Or FlagWarning, if the warning filters turn it into an error: call this before anything is written.
    """
    raised = int(np.bitwise_or.reduce(bits, axis=None)) if bits.size else 0
    if raised & modes.errors:
        raise FlagError(*_message_and_flags(operation, bits, raised & modes.errors, describe))
    if raised & modes.warnings:
        warning = FlagWarning(*_message_and_flags(operation, bits, raised & modes.warnings, describe))
        warnings.warn(warning, stacklevel=caller_level())


def _message_and_flags(
    operation: str, bits: NDArray[np.uint8], mask: int, describe: Callable[[tuple[int, ...]], str]
) -> tuple[str, str, Flags, tuple[int, ...]]:
    """The arguments of an error or a warning about the flags of a mask."""
    (name, bit), *others = [(name, bit) for name, bit in _GRAVEST_FIRST if bit & mask]
    raised = (bits & np.uint8(bit)) != 0
    index = tuple(int(i) for i in np.unravel_index(int(raised.argmax()), bits.shape))
    text = f"{operation}: {name}"
    if bits.ndim:
        text += f" in {np.count_nonzero(raised)} of {bits.size} elements, first at {list(index)}"
    text += f": {describe(index)}"
    if others:
        counts = [(other, np.count_nonzero(bits & np.uint8(one))) for other, one in others]
        text += "; also " + ", ".join(f"{other} in {count}" if bits.ndim else other for other, count in counts)
    return text, operation, Flags(bits), index


def value_text(code: Any, fmt: Format) -> str:
    """A code's value as text: "448.0", "-3", "signalling nan", "3 * 2**5000"."""
    number = int(code)
    if classes_of(np.array([number], fmt.code_dtype), fmt)[0] == NumberClass.SIGNALING_NAN:
        return "signalling nan"
    if isinstance(fmt, IntFormat) and fmt.fraction_bits == 0:
        return str(fmt.scaled(number)[0])
    try:
        return repr(fmt.value(number))
    except OverflowError:
        return dyadic_text(*fmt.scaled(number))


def listed(codes: NDArray[Any], fmt: Format, others: Sequence[str] = (), which: Sequence[int] = ()) -> str:
    """The first values of a row: "[448.0, 1.0, 2.0, ... (512 numbers)]".

    `others`: numbers that the format does not contain; `which`: the index in `others` of each value, counted from 1;
    0 for values that the format contains.
    """
    texts = [value_text(code, fmt) for code in codes[:LISTED_TERMS]]
    texts = [others[n - 1] if n else text for text, n in zip(texts, which, strict=False)] if others else texts
    more = [f"... ({codes.size} numbers)"] if codes.size > LISTED_TERMS else []
    return f"[{', '.join(texts + more)}]"

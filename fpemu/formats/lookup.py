"""Checks of what callers hand over: words, which messages complete with similar ones, integers; and the callers."""

from __future__ import annotations

import difflib
import enum
import os
import reprlib
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

E = TypeVar("E", bound=enum.Enum)
T = TypeVar("T")

LONGEST_NAME = 1000  # characters; a profile's name lists every rule that was changed
TEXT = 300  # characters of an error's message
_PACKAGE = str(Path(__file__).parents[1]) + os.sep
_BRIEF = reprlib.Repr()
_BRIEF.maxlevel, _BRIEF.maxstring, _BRIEF.maxother, _BRIEF.maxlong = 2, 60, 60, 40
_BRIEF.maxlist = _BRIEF.maxtuple = _BRIEF.maxset = _BRIEF.maxfrozenset = _BRIEF.maxdict = 4


def brief(x: Any) -> str:
    """A short `repr` of an argument, for error messages.

    Examples
    --------
    >>> from fpemu.formats.lookup import brief
    >>> brief("nearest"), brief(tuple(range(1000)))
    ("'nearest'", '(0, 1, 2, 3, ...)')
    """
    text = " ".join(_BRIEF.repr(x).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def near(name: str, known: Mapping[str, Any] | list[str], count: int = 3) -> str:
    """The end of an error message: the known names most similar to `name`, or nothing."""
    close = difflib.get_close_matches(name[:TEXT].lower(), sorted(known), n=count, cutoff=0.6)
    return f"; did you mean {' or '.join(repr(c) for c in close)}?" if close else ""


def unknown(what: str, x: str, known: Iterable[str], others: Iterable[str] = (), listed: str = "") -> str:
    """The error message for an unknown name: the allowed names, or `listed`, which returns them; and similar names.

    Examples
    --------
    >>> from fpemu.formats.lookup import unknown
    >>> unknown("order", "low_last", ["low_first", "high_first"])
    "unknown order 'low_last': allowed are low_first, high_first; did you mean 'low_first'?"
    """
    names = list(known)
    allowed = f": allowed are {', '.join(names)}"
    for count in (3, 1):
        text = f"unknown {what} {brief(x)}{allowed}{near(x, [*names, *others], count)}"
        if len(text) <= TEXT:
            return text
    if not listed:
        return text
    return f"unknown {what} {brief(x)}: {listed} lists the allowed ones{near(x, [*names, *others])}"


def check_name(value: Any, what: str) -> None:
    """Raise TypeError or ValueError unless a value is a printable str, not empty, and short enough for tables."""
    if not isinstance(value, str):
        raise TypeError(f"{what} must be a str, not {type(value).__name__}")
    if not value.strip():
        raise ValueError(f"{what} must not be empty")
    if not value.isprintable() or len(value) > LONGEST_NAME:
        raise ValueError(f"{what} must be at most {LONGEST_NAME} printable characters, not {value[:40]!r}")


def check_word(word: object, allowed: tuple[str, ...], what: str) -> None:
    """Raise TypeError or ValueError if a word is not allowed for `what`."""
    if not isinstance(word, str):
        raise TypeError(f"{what} must be a str, not {type(word).__name__}")
    if word not in allowed:
        raise ValueError(f"unknown {what} {brief(word)}: allowed are {', '.join(allowed)}{near(word, list(allowed))}")


def choose(kind: type[E], value: str | E, what: str) -> E:
    """Return the member of an enum with a name, or the member itself; raise ValueError with the allowed names."""
    if isinstance(value, kind):
        return value
    if not isinstance(value, str):
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        raise TypeError(f"{what} must be a name or {article} {kind.__name__}, not {type(value).__name__}")
    try:
        return kind(value.lower())
    except ValueError:
        names = [m.value for m in kind]
        raise ValueError(unknown(what, value, names)) from None


def named(
    x: Any,
    kind: type[T],
    known: Mapping[str, T],
    what: str,
    aliases: Mapping[str, str] | None = None,
    listed: str = "",
) -> T:
    """Return `x` if it is a `kind`, else the member with that name or alias; raise ValueError with the names."""
    if isinstance(x, kind):
        return x
    if not isinstance(x, str):
        raise TypeError(f"a {what} is a name or a {kind.__name__}, not {type(x).__name__}")
    others = aliases or {}
    member = known.get(others.get(x.lower(), x.lower()))
    if member is None:
        raise ValueError(unknown(what, x, known, others, listed))
    return member


def as_int(value: Any, what: str) -> int:
    """An integer of any type as an int; raise a TypeError that names `what` for anything else."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{what} must be an int, not {type(value).__name__}")
    return int(value.__index__())


def checked_int(value: Any, what: str, least: int = 0, bits: int | None = None) -> int:
    """An integer of any type, at least `least` and of at most `bits` bits; raise TypeError or ValueError otherwise."""
    number = as_int(value, what)
    if bits is not None and not least <= number < 1 << bits:
        raise ValueError(f"{what} must be {least} to 2**{bits} - 1, not {number}")
    if number < least:
        raise ValueError(f"{what} must be {least} or more, not {number}")
    return number


def caller_level() -> int:
    """The `stacklevel` of a warning for the first caller outside fpemu."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    return level

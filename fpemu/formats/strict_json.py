"""A JSON reader stricter than Python's, without deep recursion."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

import numpy as np

DEPTH = 100  # of nested lists and maps


_TEXT = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


def parsed(text: bytes | str, depth: int = DEPTH, *, constants: bool = False) -> Any:
    """The value of a JSON text, read more strictly than by Python.

    Parameters
    ----------
    text : bytes or str
        In UTF-8.
    depth : int
        The allowed nesting depth of lists and maps.
    constants : bool
        Whether NaN, Infinity and -Infinity are numbers, as Python itself writes them.

    Returns
    -------
    Any
        None, bool, int, float, str, lists and dicts of these.

    Raises
    ------
    ValueError
        If it is not JSON or nested too deeply; also for repeated names, NaN, numbers beyond float64 or 64 bits, and
        invalid Unicode.

    Examples
    --------
    >>> from fpemu.formats.strict_json import parsed
    >>> parsed('{"a": [1, 2]}')
    {'a': [1, 2]}
    >>> parsed('{"a": 1, "a": 2}')
    Traceback (most recent call last):
    ...
    ValueError: the name 'a' occurs twice
    """
    raw = text.encode() if isinstance(text, str) else text
    if _depth_of(raw) > depth:
        raise ValueError(f"lists and maps are nested more than {depth} deep")
    plain = raw.decode("utf-8")
    try:
        value = json.loads(
            plain,
            object_pairs_hook=_map,
            parse_constant=float if constants else _no_number,
            parse_int=_whole,
            parse_float=_float,
        )
    except RecursionError:  # invalid JSON may be deeper than `_depth_of` finds
        raise ValueError("lists and maps are nested too deep") from None
    if b"\\u" in raw:
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # lone surrogates fail here
    return value


def _depth_of(raw: bytes) -> int:
    """The nesting depth of lists and maps."""
    signs = np.frombuffer(_TEXT.sub(b"", raw), np.uint8) & 0xDF  # brackets like braces
    steps = (signs == ord("[")).astype(np.int8) - (signs == ord("]"))
    return int(np.cumsum(steps, dtype=np.int32).max(initial=0))


def _map(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"the name {twice[:60]!r} occurs twice")
    return members


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number in JSON")


def _whole(text: str) -> int:
    if len(text) > 20 or text == "-0" or not -(1 << 63) <= int(text) < 1 << 64:
        raise ValueError(f"{text[:40]} is not an integer of 64 bits")
    return int(text)


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:40]} is beyond float64")
    return number

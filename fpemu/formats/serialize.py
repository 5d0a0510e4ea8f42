"""Formats and profiles as JSON-compatible data and back, by all their parameters, never by name alone."""

from __future__ import annotations

import dataclasses
import enum
import json
from typing import Any

from fpemu.formats.codebook import TableFormat
from fpemu.formats.floats import FloatFormat
from fpemu.formats.integers import IntFormat
from fpemu.formats.kinds import Format
from fpemu.formats.profiles import Profile
from fpemu.formats.registry import dtype, known_everywhere
from fpemu.formats.rules import Stochastic
from fpemu.formats.strict_json import parsed

_KINDS: dict[str, type[FloatFormat | IntFormat]] = {"float": FloatFormat, "int": IntFormat}


def format_of(fmt: Format) -> dict[str, Any]:
    """A format's parameters as JSON-compatible data.

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.formats.serialize import format_of
    >>> del (found := format_of(fe.dtype("int4")))["profile"]
    >>> found
    {'kind': 'int', 'name': 'int4', 'bits': 4, 'signed': True, 'fraction_bits': 0, 'symmetric': False,
     'encoding': 'twos_complement'}
    """
    if isinstance(fmt, TableFormat):
        parameters: dict[str, Any] = {"name": fmt.name, "values": list(fmt.entries)}
    else:
        parameters = {field.name: getattr(fmt, field.name) for field in dataclasses.fields(fmt)}
    return {"kind": fmt.kind, **parameters, "profile": profile_of(fmt.profile)}


def format_from(data: dict[str, Any]) -> Format:
    """The format with these parameters, as `format_of` returns them.

    Raises
    ------
    ValueError
        If they do not describe a format.

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.formats.serialize import format_from, format_of
    >>> format_from(format_of(fe.dtype("nf4"))) == fe.dtype("nf4")
    True
    """
    try:
        parameters = {**data, "profile": profile_from(data["profile"])}
        kind = parameters.pop("kind")
        return TableFormat(**parameters) if kind == "table" else _KINDS[kind](**parameters)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a format's parameters: {error!r}") from None


def format_text(fmt: Format) -> str:
    """A format in one line: its name if every process finds the format by it, else its parameters as JSON.

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.formats.serialize import format_text
    >>> format_text(fe.dtype("e4m3")), format_text(fe.dtype("e3m9"))
    ('float8_e4m3fn', 'float13_e3m9')
    >>> format_text(fe.TableFormat("signs", [-1, 1]))[:39]
    '{"kind":"table","name":"signs","values"'
    """
    return fmt.name if known_everywhere(fmt) else json.dumps(format_of(fmt), separators=(",", ":"))


def format_from_text(text: str) -> Format:
    """The format for a text from `format_text`, or for a name.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.formats.serialize import format_from_text, format_text
    >>> signs = fe.TableFormat("signs", [-1, 1])
    >>> format_from_text(format_text(signs)) == signs
    True
    """
    if not text.startswith("{"):
        return dtype(text)
    try:
        data = parsed(text, constants=True)
    except ValueError as error:
        raise ValueError(f"not a format's parameters: {error}") from None
    return format_from(data)


def profile_of(profile: Profile) -> dict[str, Any]:
    """A profile's rules and rows as JSON-compatible data.

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.formats.serialize import profile_of
    >>> profile_of(fe.profile("x86-sse"))["nan_payload"]
    {'enum': 'quiet'}
    """
    return {field.name: _plain(getattr(profile, field.name)) for field in dataclasses.fields(profile)}


def profile_from(data: dict[str, Any]) -> Profile:
    """The profile with these rules and rows, as `profile_of` returns them.

    Raises
    ------
    ValueError
        If they do not describe a profile.

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.formats.serialize import profile_from, profile_of
    >>> all(profile_from(profile_of(fe.profile(name))) == fe.profile(name) for name in fe.profile_names())
    True
    """
    try:
        rows = tuple(
            (_tuples(who), tuple((rule, _rule_value(rule, value)) for rule, value in row)) for who, row in data["rows"]
        )
        rules = {rule: _rule_value(rule, value) for rule, value in data.items() if rule != "rows"}
        return Profile(**rules, rows=rows)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a profile's knobs: {error!r}") from None


def _plain(value: Any) -> Any:
    """The value of a rule, or rows of values, as lists, dicts, strings and numbers."""
    if isinstance(value, enum.Enum):
        return {"enum": value.value}  # a row may have the string instead, which compares unequal
    if isinstance(value, Stochastic):
        return dataclasses.asdict(value)
    return [_plain(entry) for entry in value] if isinstance(value, tuple) else value


def _rule_value(rule: str, value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return getattr(Profile(**{rule: value["enum"]}), rule) if "enum" in value else Stochastic(**value)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(entry) for entry in value) if isinstance(value, list) else value

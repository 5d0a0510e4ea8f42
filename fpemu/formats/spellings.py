"""Spellings of names (torch.float8_e4m3fn, FP8-E4M3, int4_g128) and the known names they mean."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

# Module prefixes of pasted names
_PLACES = re.compile(r"(?:torch|numpy|np|ml_dtypes|jax\.numpy|jnp|triton\.language|tl|tf|mx|mlx\.core)\.(?=[a-z])")
_GROUP = re.compile(r"_?(?:group_?size|group|gs|g)_?([0-9]+)$")

_NEGATIVE_GROUP = re.compile(r"(?:group[\s_-]?size|group|gs|g)[\s_]*-([0-9]+)$")

# Ambiguous spellings: numpy counts bytes, safetensors and others count bits
_AMBIGUOUS = {
    "f4": ("float32", "float4_e2m1fn"),
    "f8": ("float64", "float8_e4m3fn", "float8_e5m2"),
    "F8": ("float8_e4m3fn", "float8_e5m2"),
    "fp8e4": ("float8_e4m3fn", "float8_e4m3fnuz"),
    "float8": ("float8_e4m3fn", "float8_e5m2"),
    "float6": ("float6_e3m2fn", "float6_e2m3fn"),
    "mxfp": ("mxfp4", "mxfp6", "mxfp8"),
}


def key(name: str) -> str:
    """A name in lower case, without spaces."""
    return "".join(name.split()).lower()


def plain(name: str) -> str:
    """A name in lower case without its module prefix, its words joined by underscores."""
    return re.sub(r"[\s_-]+", "_", _PLACES.sub("", name.strip().lower(), count=1))


def _loose(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name)


def meant(name: str, known: Mapping[str, T]) -> T | None:
    """The entry of a name in a table of lower-case names: as written, else with any separators between its words.

    Parameters
    ----------
    name : str
    known : mapping of str

    Returns
    -------
    object or None
        None if the name is unknown.

    Raises
    ------
    ValueError
        If it is ambiguous; the message lists the meanings.

    Examples
    --------
    >>> from fpemu.formats.spellings import meant
    >>> meant("torch.float16", {"float16": 1}), meant("FLOAT-16", {"float16": 1}), meant("float17", {"float16": 1})
    (1, 1, None)
    """
    if name.strip() in _AMBIGUOUS:
        raise ValueError(_several(name, _AMBIGUOUS[name.strip()]))
    for spelled in (name.strip().lower(), plain(name), key(name)):
        if spelled in known:
            return known[spelled]
    if plain(name).endswith("_"):
        return None
    loose = _loose(plain(name))
    matches: list[Any] = []
    for other, value in known.items():
        if _loose(other) == loose and not any(value is one for one in matches):
            matches.append(value)
    if len(matches) > 1:
        raise ValueError(_several(name, [getattr(one, "name", one) for one in matches]))
    return matches[0] if matches else None


def unambiguous(names: Iterable[str]) -> list[str]:
    """The names that are not ambiguous."""
    return [name for name in names if name not in _AMBIGUOUS]


def ends_negative(name: str) -> bool:
    """Whether a scheme's name ends with a negative group length, which means a whole row in other tools.

    Examples
    --------
    >>> from fpemu.formats.spellings import ends_negative
    >>> ends_negative("int4_g-1"), ends_negative("INT4-G128"), ends_negative("int4_g128")
    (True, False, False)
    """
    group = _NEGATIVE_GROUP.search(name.strip().lower())
    return group is not None and (group[1] == "1" or "_" in name)


def _several(name: str, names: Any) -> str:
    return f"{name!r} may mean {' or '.join(map(str, names))}: specify which"


def with_group(name: str) -> str:
    """A scheme's name with its group as fpemu spells it: int4_group128 for int4_g128.

    Examples
    --------
    >>> from fpemu.formats.spellings import with_group
    >>> with_group("int4_g128"), with_group("int8-per-channel")
    ('int4_group128', 'int8_channel')
    """
    return _GROUP.sub(r"_group\1", plain(name)).replace("_per_", "_")

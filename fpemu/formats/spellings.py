"""How people write names: torch.float8_e4m3fn, FP8-E4M3, int4_g128; and which known name they mean."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

__all__ = ["ends_negative", "key", "meant", "plain", "unambiguous", "with_group"]

T = TypeVar("T")

# Where names live that are pasted with their place
_PLACES = re.compile(r"(?:torch|numpy|np|ml_dtypes|jax\.numpy|jnp|triton\.language|tl|tf|mx|mlx\.core)\.(?=[a-z])")
_GROUP = re.compile(r"_?(?:group_?size|group|gs|g)_?([0-9]+)$")

_NEGATIVE_GROUP = re.compile(r"(?:group[\s_-]?size|group|gs|g)[\s_]*-([0-9]+)$")

# What may mean two things, as it is written: numpy's number of bytes, or safetensors' and others' number of bits
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
    """The same without the place that it was copied from, its words parted by underscores."""
    return re.sub(r"[\s_-]+", "_", _PLACES.sub("", name.strip().lower(), count=1))


def _loose(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name)


def meant(name: str, known: Mapping[str, T]) -> T | None:
    """What a name means in a table of names in lower case: as it is written, else however its words are parted.

    Parameters
    ----------
    name : str
    known : mapping of str

    Returns
    -------
    object or None
        None if it means none.

    Raises
    ------
    ValueError
        If it may mean several; the message says which.

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
    found: list[Any] = []
    for other, value in known.items():
        if _loose(other) == loose and not any(value is one for one in found):
            found.append(value)
    if len(found) > 1:
        raise ValueError(_several(name, [getattr(one, "name", one) for one in found]))
    return found[0] if found else None


def unambiguous(names: Iterable[str]) -> list[str]:
    """The names that mean one thing alone."""
    return [name for name in names if name not in _AMBIGUOUS]


def ends_negative(name: str) -> bool:
    """Whether a name of a scheme ends with a group of a negative length: what other tools say for a whole row.

    Examples
    --------
    >>> from fpemu.formats.spellings import ends_negative
    >>> ends_negative("int4_g-1"), ends_negative("INT4-G128"), ends_negative("int4_g128")
    (True, False, False)
    """
    found = _NEGATIVE_GROUP.search(name.strip().lower())
    return found is not None and (found[1] == "1" or "_" in name)


def _several(name: str, names: Any) -> str:
    return f"{name!r} may mean {' or '.join(map(str, names))}: say which"


def with_group(name: str) -> str:
    """A name of a scheme with its group as schemes have it: int4_g128 is int4_group128.

    Examples
    --------
    >>> from fpemu.formats.spellings import with_group
    >>> with_group("int4_g128"), with_group("int8-per-channel")
    ('int4_group128', 'int8_channel')
    """
    return _GROUP.sub(r"_group\1", plain(name)).replace("_per_", "_")

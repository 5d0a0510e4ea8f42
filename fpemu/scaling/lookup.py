"""A name of either kind: of a format, or of a scaled format."""

from __future__ import annotations

from typing import Any

from fpemu.formats import Format
from fpemu.knobs import near
from fpemu.registry import aliases, dtype, dtypes
from fpemu.scaling.names import scheme, schemes
from fpemu.scaling.scheme import ScaledFormat

__all__ = ["format_or_scheme"]


def format_or_scheme(x: Any) -> Format | ScaledFormat:
    """The format or the scaled format that a name means, or `x` itself.

    Parameters
    ----------
    x : str, Format, ScaledFormat or dtype

    Returns
    -------
    Format or ScaledFormat

    Raises
    ------
    ValueError
        If the name is unknown, with the names near it.
    TypeError
        If `x` is nothing of the kind.

    Examples
    --------
    >>> from fpemu.scaling.lookup import format_or_scheme
    >>> str(format_or_scheme("mxfp4")), str(format_or_scheme("e4m3"))
    ('mxfp4', 'float8_e4m3fn')
    >>> format_or_scheme("mxfp3")
    Traceback (most recent call last):
    ...
    ValueError: unknown format 'mxfp3'; did you mean 'mxfp4' or 'mxfp8_e4m3' or 'mxfp6_e3m2'?
    """
    if isinstance(x, ScaledFormat):
        return x
    if not isinstance(x, str):
        return dtype(x)
    try:
        return dtype(x)
    except ValueError as error:
        no_format = error
    try:
        return scheme(x)
    except ValueError as error:
        if not str(error).startswith("unknown scheme"):
            raise
    if not str(no_format).startswith("unknown format"):
        raise no_format
    names = [name for fmt in dtypes() for name in (fmt.name, *aliases(fmt))]
    raise ValueError(f"unknown format {x!r}{near(x.lower(), [*(known.name for known in schemes()), *names])}")

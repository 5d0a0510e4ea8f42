"""`Format`: any of the three kinds of formats; and `same_codes`, which compares two formats of any kind."""

from __future__ import annotations

from fpemu.formats.codebook import TableFormat
from fpemu.formats.floats import FloatFormat
from fpemu.formats.integers import IntFormat

Format = FloatFormat | IntFormat | TableFormat


def same_codes(a: Format, b: Format) -> bool:
    """Whether two formats have the same codes with the same meanings, whatever their names and profiles.

    Parameters
    ----------
    a, b : Format

    Returns
    -------
    bool

    Raises
    ------
    TypeError
        If one is not a Format; `dtype` returns the Format for a name.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.same_codes(fe.dtype("float8_e4m3fnuz"), fe.dtype("binary8p4sf"))
    True
    >>> fe.dtype("float8_e4m3fnuz") == fe.dtype("binary8p4sf")
    False
    """
    for fmt in (a, b):
        if not isinstance(fmt, FloatFormat | IntFormat | TableFormat):
            raise TypeError(f"same_codes takes two Formats, which fpemu.dtype(x) returns, not {type(fmt).__name__}")
    return a.codes_key == b.codes_key

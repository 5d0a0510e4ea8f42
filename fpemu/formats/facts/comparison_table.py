"""Formats side by side: `compare`."""

from __future__ import annotations

import dataclasses
from typing import Any

from fpemu.formats.facts.info import describe
from fpemu.formats.facts.limits import FloatInfo
from fpemu.formats.facts.text import decimal_text, text_table
from fpemu.formats.floats import FloatFormat
from fpemu.formats.kinds import Format
from fpemu.formats.registry import dtype

# Field of a row -> heading of its column.
COLUMNS = {
    "format": "format",
    "bits": "bits",
    "precision": "p",
    "max": "max",
    "smallest_normal": "smallest normal",
    "smallest_subnormal": "smallest subnormal",
    "eps": "eps",
    "dynamic_range_db": "dB",
    "decades": "decades",
    "infinity_codes": "Inf",
    "nan_codes": "NaN",
}


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The result of `compare`; it prints as a table, in a notebook as HTML.

    Parameters
    ----------
    formats : tuple of Format
    """

    formats: tuple[Format, ...]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One dict for each format: None for missing values, exact text for values beyond float64."""
        return [_row(fmt) for fmt in self.formats]

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """The rows by the format's name.

        Returns
        -------
        dict of dict

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.compare("float16", "bfloat16").to_dict()["float16"]["max"]
        65504.0
        """
        return {row.pop("format"): row for row in self.rows}

    def cells(self) -> list[list[str]]:
        """The table as text, cell by cell: its header, and a row for each format.

        Returns
        -------
        list of list of str
        """
        return [list(COLUMNS.values()), *([_cell(row[field], field) for field in COLUMNS] for row in self.rows)]

    def __str__(self) -> str:
        return text_table(self.cells())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        import html  # imported late: `import fpemu` stays light

        head, *body = ([html.escape(cell) for cell in line] for line in self.cells())
        rows = ("<tr>" + "".join(f"<td>{cell}</td>" for cell in line) + "</tr>" for line in body)
        return f"<table><tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr>{''.join(rows)}</table>"


def compare(*fmts: Any) -> Comparison:
    """Formats side by side: width, precision, range, smallest values and special codes.

    Parameters
    ----------
    *fmts : str, Format or dtype
        Formats of any kind, as `dtype` takes them.

    Returns
    -------
    Comparison
        Prints as a table; `rows` and `to_dict()` give the numbers.

    Raises
    ------
    ValueError
        If there is no format, or two different ones have the same name.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.compare("float16", "bfloat16", "float8_e4m3fn", "int8")
    format         bits   p          max  smallest normal  smallest subnormal          eps      dB  decades  Inf   NaN
    -------------  ----  --  -----------  ---------------  ------------------  -----------  ------  -------  ---  ----
    float16          16  11        65504      6.10352e-05         5.96046e-08  0.000976562   240.8     12.0    2  2046
    bfloat16         16   8  3.38953e+38      1.17549e-38         9.18355e-41    0.0078125  1571.3     78.6    2   254
    float8_e4m3fn     8   4          448         0.015625          0.00195312        0.125   107.2      5.4    0     2
    int8              8   -          127                -                   -            -    42.1      2.1    0     0
    """
    formats = tuple(dtype(fmt) for fmt in fmts)
    if not formats:
        raise ValueError("compare takes one format or more")
    by_name: dict[str, Format] = {}
    for fmt in formats:
        if by_name.setdefault(fmt.name, fmt) != fmt:
            raise ValueError(f"two different formats are called {fmt.name!r}: give one of them another name")
    return Comparison(formats)


def _row(fmt: Format) -> dict[str, Any]:
    info = describe(fmt)
    fields = info.to_dict()
    row = {field: fields.get(field) for field in (*COLUMNS, "min")}
    row |= {"format": fmt.name, "infinity_codes": info.infinity_count, "nan_codes": info.nan_count}
    row["precision"] = fmt.precision if isinstance(fmt, FloatFormat) else None
    if isinstance(info, FloatInfo) and info.subnormal_count == 0:
        row["smallest_subnormal"] = None
    return row


def _cell(value: Any, field: str) -> str:
    if field in ("dynamic_range_db", "decades") and value is not None:
        return f"{value:.1f}"
    return str(value) if isinstance(value, int) and value.bit_length() < 32 else decimal_text(value)

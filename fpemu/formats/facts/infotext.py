"""The text of `fpemu.formats.facts.info`: numbers in full, and the block that an info prints as."""

from __future__ import annotations

import dataclasses
import textwrap
from typing import TYPE_CHECKING

from fpemu.formats.codebook import TableFormat
from fpemu.formats.floats import FloatFormat
from fpemu.formats.kinds import Format
from fpemu.formats.profiles import Profile

if TYPE_CHECKING:
    pass

__all__ = ["decimal_text", "dyadic_text", "fields", "text_table"]

WIDTH = 110

# The label of a field, where it is not the field's name with spaces for underscores.
_WORDS = {"nan": "NaN", "infinity": "infinite", "smallest_positive": "smallest positive"}


def fields(fmt: Format) -> list[tuple[str, int]]:
    """The fields of a code from its top bit, with their widths; none is empty.

    Parameters
    ----------
    fmt : Format

    Returns
    -------
    list of (str, int)

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.formats.facts.infotext import fields
    >>> fields(fe.dtype("float8_e5m2"))
    [('sign', 1), ('exponent', 5), ('trailing', 2)]
    """
    if isinstance(fmt, TableFormat):
        return [("index", fmt.bits)]
    if isinstance(fmt, FloatFormat):
        found = [("sign", int(fmt.signed)), ("exponent", fmt.exponent_bits), ("trailing", fmt.trailing_bits)]
    else:
        magnitude = fmt.bits - fmt.signed
        fraction = fmt.fraction_bits if 0 < fmt.fraction_bits <= magnitude else 0
        found = [("sign", int(fmt.signed)), ("integer", magnitude - fraction), ("fraction", fraction)]
    return [(name, width) for name, width in found if width]


def dyadic_text(significand: int, exponent: int) -> str:
    """A number exactly, as odd significand * 2**exponent: "7 * 2**6", "2**-9", "0"."""
    if significand == 0:
        return "0"
    zeros = (significand & -significand).bit_length() - 1
    odd, exponent = significand >> zeros, exponent + zeros
    if exponent == 0:
        return str(odd)
    power = f"2**{exponent}"
    return {1: power, -1: f"-({power})"}.get(odd, f"{odd} * {power}")


def decimal_text(number: float | str | None) -> str:
    """A number in a table's cell: six digits; "-" where there is none; the exact text where there is no float64."""
    if number is None:
        return "-"
    return number if isinstance(number, str) else f"{number:.6g}"


def text_table(lines: list[list[str]]) -> str:
    """A header and rows of cells as text: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    texts = [
        "  ".join([cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))])
        for cells in lines
    ]
    return "\n".join([texts[0], "  ".join("-" * width for width in widths), *texts[1:]])


def _wrap(text: str, first: str, later: str) -> str:
    return textwrap.fill(
        text, WIDTH, initial_indent=first, subsequent_indent=later, break_long_words=False, break_on_hyphens=False
    )


def _rules(fmt: Format) -> str:
    """The rules of a cast by default, each with what it comes to in this format."""
    rules = fmt.check_profile(fmt.profile)
    nan = "NaN" if fmt.has("nan") else None
    beyond = "infinity" if fmt.has("infinity") else nan or "the largest value"
    meaning = {
        ("overflow", "standard"): f"to nearest: {beyond}" if fmt.kind == "float" else "saturates",
        ("overflow", "p3109"): "infinity" if fmt.has("infinity") else "the largest value",
        ("infinity", "standard"): beyond,
        ("infinity", "p3109"): "infinity" if fmt.has("infinity") else "the largest value",
        ("nan", "standard"): nan or ("-0" if fmt.has("negative_zero") and fmt.kind == "float" else "0"),
        ("unsigned_negative", "standard"): nan or "0",
        ("missing_zero", "standard"): f"zero: {nan or 'the smallest value'}",
    }
    knobs = ["overflow", "infinity", "nan"]
    knobs += ["unsigned_negative"] * (not fmt.has("negative")) + ["missing_zero"] * (not fmt.has("zero"))
    usual = Profile()
    texts = [f"rounding {getattr(rules.rounding, 'value', rules.rounding)}"]
    for knob in (f.name for f in dataclasses.fields(Profile) if f.name not in ("name", "rounding", "rows")):
        value = getattr(rules, knob)
        word = getattr(value, "value", value)
        if knob in knobs or value != getattr(usual, knob):
            comes_to = meaning.get((knob, word))
            texts.append(f"{knob} {word}" + (f" ({comes_to})" if comes_to else ""))
    return ", ".join(texts)

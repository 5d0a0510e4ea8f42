"""Descriptions of scaled formats, as text and as data for JSON."""

from __future__ import annotations

from typing import Any

from fpemu.formats import FloatFormat, IntFormat
from fpemu.formats.facts.exactness import finite_range
from fpemu.formats.facts.info import describe
from fpemu.formats.facts.text import decimal_text
from fpemu.quantization.definition.scaled_format import ScaledFormat

__all__ = ["SCHEME_HEADER", "scheme_cells", "scheme_facts", "scheme_lines"]

# The columns of `scheme_cells`.
SCHEME_HEADER = ("scaled format", "elements", "block", "scale", "rule", "zero point", "second level", "bits")


def scheme_facts(scheme: ScaledFormat) -> dict[str, Any]:
    """Return the properties of a scheme as data for JSON.

    Parameters
    ----------
    scheme : ScaledFormat

    Returns
    -------
    dict

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.quantization.definition.text import scheme_facts
    >>> scheme_facts(fe.scheme("mxfp4"))["bits_per_element"]
    4.25
    """
    return {
        "name": scheme.name,
        "element": scheme.element.name,
        "block": scheme.block,
        "axis": scheme.axis,
        "scale": scheme.scale.name,
        "scale_rule": scheme.scale_rule.name,
        "zero_point": getattr(scheme.zero_point, "name", scheme.zero_point),
        "second_level": None if scheme.second_level is None else scheme.second_level.name,
        "bits_per_element": _bits(scheme),
        "largest": _largest(scheme),
        "profile": scheme.profile.name,
    }


def scheme_cells(scheme: ScaledFormat) -> list[str]:
    """Return a scheme's row of a table with the columns `SCHEME_HEADER`."""
    facts = scheme_facts(scheme)
    bits = facts["bits_per_element"]
    words = [
        "-" if facts[key] is None else str(facts[key])
        for key in ("element", "scale", "scale_rule", "zero_point", "second_level")
    ]
    return [
        scheme.name,
        words[0],
        _block(scheme),
        *words[1:],
        f"{scheme.element.bits} +" if bits is None else f"{bits:g}",
    ]


def scheme_lines(scheme: ScaledFormat) -> list[str]:
    """Return a scheme's name and properties as lines of text.

    Parameters
    ----------
    scheme : ScaledFormat

    Returns
    -------
    list of str
    """
    facts = scheme_facts(scheme)
    rule = scheme.scale_rule
    bits = facts["bits_per_element"]
    ends = [decimal_text(describe(scheme.element).to_dict()[end]) for end in ("min", "max")]
    fixed = f"{scheme.element.bits}, and {scheme.bits_per_block} for each block"
    second = scheme.second_level
    over = f"; {second.bits} for the whole array" if isinstance(second, FloatFormat) else ""
    lines = [
        ("elements", f"{scheme.element}: {ends[0]} to {ends[1]}"),
        ("block", _block(scheme)),
        ("scale", f"{scheme.scale}: {rule.statistic} / {rule.divisor}, rounded {rule.rounding.value}"),
        ("rule", rule.name),
        ("zero point", "none" if scheme.zero_point is None else str(facts["zero_point"])),
        ("second level", facts["second_level"] or "none"),
        ("bits", (fixed if bits is None else f"{bits:g} to an element") + over),
        ("largest", facts["largest"]),
        ("profile", facts["profile"]),
    ]
    return [scheme.name, *(f"  {name:<12}  {text}" for name, text in lines)]


def _bits(scheme: ScaledFormat) -> float | None:
    """The stored bits of an element in an array of whole blocks; None if they depend on the array."""
    if isinstance(scheme.block, str):
        return None
    rows, columns = scheme.block if isinstance(scheme.block, tuple) else (1, scheme.block)
    return scheme.element.bits + scheme.bits_per_block / (rows * columns)


def _block(scheme: ScaledFormat) -> str:
    block = scheme.block
    along = "" if scheme.axis == -1 or block == "tensor" else f", axis {scheme.axis}"
    return (
        block if isinstance(block, str) else " x ".join(map(str, block)) if isinstance(block, tuple) else str(block)
    ) + along


def _largest(scheme: ScaledFormat) -> str:
    """The largest product of an element and a scale, as text."""
    low, high = finite_range(scheme.element)
    zero = low if isinstance(scheme.zero_point, IntFormat) else scheme.fixed_zero_point or 0
    product = max(high - zero, zero - low if scheme.scale_rule.signed else 0) * finite_range(scheme.scale)[1]
    two = isinstance(scheme.second_level, FloatFormat)
    return f"{product:.6g}" + (" times the second level's scale" if two else "")

"""How close elementary functions come to boundaries of rounding: ``python -m tests.proofs.margins``.

For every operand of a format whose value lies in the format's range: the distance of the exact value, as a part of the
result's ulp, from the nearest value of the same format (where directed modes turn) and from the nearest midpoint (where
nearest modes do).  The smallest ones go to docs/reference/elementary.md.  Counted apart: values that are the format's
own; exact midpoints; and limits, where the nearest value is 1/2, 1, -1 or the operand: a series or a limit says how
near.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

import fpemu as fe
from fpemu.arithmetic.elementary import tables
from fpemu.arithmetic.elementary.ziv import FUNCTIONS
from fpemu.kernels import columns
from fpemu.kernels.spec import NO_RULES

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "elementary.md"
START, END = "<!-- margins -->", "<!-- end -->"
FORMATS = ("float8_e4m3fn", "float8_e5m2", "bfloat16", "float16")


class Nearest(NamedTuple):
    """A smallest distance, 2^-bits ulp, and the operand's code."""

    bits: float
    code: int


class Margins(NamedTuple):
    """The distances for one function and format."""

    value: Nearest
    midpoint: Nearest
    exact: int
    ties: int
    limits: int


def margins(name, format_name):
    """The smallest distances of a function's values, and the number of values without one."""
    fmt = fe.dtype(format_name)
    values = tables._exact_values(name, (fmt,) * (1 + (name == "pow")), NO_RULES)
    codes = np.arange(values.known.size)
    values.fill(codes)
    operands = fe.decode(codes >> (fmt.bits if name == "pow" else 0), fmt).tolist()
    emax = sum(math.frexp(fe.decode(fmt.max_code, fmt))[1:]) - 1
    counts = {"exact": 0, "ties": 0, "limits": 0}
    to_value, to_midpoint = [], []
    for code, (what, exponent, high, low) in enumerate(values.rows.tolist()):
        top = exponent - (exponent >> 63 << 64)
        shift = 128 - fmt.precision + max(fmt.emin - top, 0)  # digits below the ulp
        if what & columns.KINDS != columns.NUMBER or top > emax or shift > 128:
            continue  # special; overflow; below the smallest subnormal: nothing is near
        digits = high << 64 | low
        one = 2 << shift  # an ulp, in halves of the last digit: `more` is one of them
        kept, part = digits >> shift, (digits & ((1 << shift) - 1)) << 1 | bool(what & columns.MORE)
        nearest = math.ldexp(kept + (2 * part > one), top - 127 + shift)
        if part == 0:
            counts["exact"] += 1
        elif 2 * part == one:
            counts["ties"] += 1
        else:
            to_midpoint.append(Nearest(math.log2(one) - math.log2(abs(part - (one >> 1))), code))
            if nearest in (0.5, 1.0, abs(operands[code])):
                counts["limits"] += 1
            else:
                to_value.append(Nearest(math.log2(one) - math.log2(min(part, one - part)), code))
    return Margins(max(to_value), max(to_midpoint), **counts)


def operand(name, code, fmt):
    """An operand as text; both of a pair."""
    codes = (code >> fmt.bits, code & ((1 << fmt.bits) - 1)) if name == "pow" else (code,)
    return ", ".join(f"{fe.decode(code, fmt):.6g}" for code in codes)


def lines(format_name):
    """The table's lines for one format."""
    fmt = fe.dtype(format_name)
    for name in [*FUNCTIONS, "pow"] if fmt.bits <= 8 else FUNCTIONS:
        found = margins(name, format_name)
        cells = [f"2^-{where.bits:.1f} at {operand(name, where.code, fmt)}" for where in found[:2]]
        yield f"| {format_name} | `{name}` | {' | '.join([*cells, *map(str, found[2:])])} |"


def main():
    text = PAGE.read_text(encoding="utf-8")
    head = "| format | function | ulp to a value | ulp to a midpoint | exact | ties | limits |"
    table = [head, "|---|---|---|---|---|---|---|", *(line for name in FORMATS for line in lines(name))]
    pattern = re.compile(f"{START}.*?{END}", re.DOTALL)
    assert pattern.search(text), f"{PAGE} has no {START} ... {END}"
    PAGE.write_text(pattern.sub(lambda _: "\n".join([START, *table, END]), text), encoding="utf-8")


if __name__ == "__main__":
    main()

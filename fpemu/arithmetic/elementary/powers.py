"""Powers x^y: by tables for operands of few bits; of any others each pair by itself, squares and roots by their loops.

x^n of |n| <= 8 is an integer power or one division, which takes little time, and the root is sqrt, but for its special
values.  Other powers of operands of many bits are worked out for some distinct pairs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu.arithmetic.elementary import tables as tabulation
from fpemu.arithmetic.operation import Call, compute_by_loop
from fpemu.casting import significands
from fpemu.casting.significands import operands_of
from fpemu.formats import FloatFormat
from fpemu.kernels import columns
from fpemu.kernels import spec as places

__all__ = ["LARGEST", "compute_powers"]

LARGEST = 8  # of the whole exponents of operands of many bits


def compute_powers(call: Call) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Powers of arrays of codes.

    Parameters
    ----------
    call : Work

    Returns
    -------
    tuple of numpy.ndarray
        Codes of the result's shape, and flags (an empty array where nobody asks).

    Raises
    ------
    ValueError
        If an operand has many bits, exponents are others than those, and there are too many pairs.
    """
    if call.rests:
        call = _without_ones(call)
    if all(fmt.bits <= tabulation.MAX_BITS[2] for _, fmt in call.sources):
        return tabulation.compute_by_tables(call)
    y, y_format = call.sources[1]
    exponents = operands_of(np.unique(y), y_format, call.task.rules)
    if len(exponents) == 1:
        faster = _as_operation(call, exponents[0])
        if faster is not None:
            return compute_by_loop(faster)
    return tabulation.compute_each(call, limited=not all(map(_is_easy_exponent, exponents)))


def _without_ones(call: Call) -> Call:
    """The same with 2 or -2 in place of numbers that no format holds: 1^y is another 1 than theirs, of NaN too."""
    sources = []
    for (codes, fmt), rest in zip(call.sources, call.rests, strict=True):
        if rest is not None:
            numbers = codes.reshape(-1).astype(np.uint64).view("f8" if isinstance(fmt, FloatFormat) else "i8")
            numbers[rest.places] *= 2
            codes = numbers.view(np.uint64).reshape(codes.shape)
        sources.append((codes, fmt))
    return call._replace(sources=sources)


def _is_easy_exponent(y: significands.Dyadic) -> bool:
    """Whether an exponent is a small whole number, or 1/2."""
    if y.kind != columns.NUMBER:
        return False
    return y.m == 0 or (0 <= y.e < 4 and y.m << y.e <= LARGEST) or (y.m, y.e, y.negative) == (1, -1, False)


def _as_operation(call: Call, y: significands.Dyadic) -> Call | None:
    """A square or a square root as an operation that has a loop of its own; None for any other power."""
    (x, fmt), _ = call.sources
    if y.negative or call.task.rules[places.SUBNORMAL_SOURCES_ARE_ZERO]:
        return None
    if (y.m, y.e) == (1, 1):
        return call._replace(name="multiply", sources=[(x, fmt), (x, fmt)])
    if (y.m, y.e) == (1, -1) and isinstance(fmt, FloatFormat):
        if fmt.signed and fmt.has("negative_zero"):
            x = np.where(x == fmt.sign_mask, np.zeros_like(x), x)
        if fmt.signed and fmt.infinity_code is not None:
            x = np.where(x == fmt.infinity_code | fmt.sign_mask, np.asarray(fmt.infinity_code, x.dtype), x)
        return call._replace(name="sqrt", sources=[(x, fmt)])
    return None

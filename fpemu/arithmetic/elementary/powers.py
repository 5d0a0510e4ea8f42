"""Powers x^y: by tables for operands of few bits; else squares and square roots by their loops, others pair by pair.

x^n of |n| <= 8 is an integer power or one division, which is fast, and x^(1/2) is sqrt but for its special values.
Other powers of operands of many bits are computed for a limited number of distinct pairs.
"""

from __future__ import annotations

import numpy as np

from fpemu.arithmetic.elementary.tables import MAX_TABLE_BITS, compute_by_tables, compute_each
from fpemu.arithmetic.operation import OperationCall, Results, compute_by_loop
from fpemu.casting.significands import Dyadic, operands_of
from fpemu.formats import FloatFormat
from fpemu.kernels import columns
from fpemu.kernels.spec import SUBNORMAL_SOURCES_ARE_ZERO

__all__ = ["LARGEST_INTEGER_EXPONENT", "compute_powers"]

LARGEST_INTEGER_EXPONENT = 8  # that operands of many bits may have without limit


def compute_powers(call: OperationCall) -> Results:
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
        If an operand has many bits, an exponent is not such a small integer or 1/2, and there are too many pairs.
    """
    if call.rests:
        call = _without_ones(call)
    if all(fmt.bits <= MAX_TABLE_BITS[2] for fmt in call.formats):
        return compute_by_tables(call)
    y, y_format = call.sources[1]
    exponents = operands_of(np.unique(y), y_format, call.target.rules)
    if len(exponents) == 1:
        faster = _as_operation(call, exponents[0])
        if faster is not None:
            return compute_by_loop(faster)
    return compute_each(call, limited=not all(map(_is_easy_exponent, exponents)))


def _without_ones(call: OperationCall) -> OperationCall:
    """The call with 2 or -2, not 1 or -1, for numbers that no format holds: 1^y is 1, of a NaN too."""
    sources = []
    for (codes, fmt), rest in zip(call.sources, call.rests, strict=True):
        if rest is not None:
            numbers = codes.reshape(-1).astype(np.uint64).view("f8" if isinstance(fmt, FloatFormat) else "i8")
            numbers[rest.indices] *= 2
            codes = numbers.view(np.uint64).reshape(codes.shape)
        sources.append((codes, fmt))
    return call._replace(sources=sources)


def _is_easy_exponent(y: Dyadic) -> bool:
    """Whether an exponent is a small integer, or 1/2."""
    if y.kind != columns.NUMBER:
        return False
    small_integer = y.m == 0 or (0 <= y.e < 4 and y.m << y.e <= LARGEST_INTEGER_EXPONENT)
    return small_integer or (y.m, y.e, y.negative) == (1, -1, False)


def _as_operation(call: OperationCall, y: Dyadic) -> OperationCall | None:
    """A square or a square root as a call of multiply or sqrt; None for any other power."""
    (x, fmt), _ = call.sources
    if y.negative or call.target.rules[SUBNORMAL_SOURCES_ARE_ZERO]:
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

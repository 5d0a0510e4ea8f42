"""Powers x^y: by tables for operands of few bits; of any others with small whole exponents, and square roots.

These have exact values of few digits, whatever the format: x^n of |n| <= 8 is an integer power or one division, and the
root is sqrt, but for its special values.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu import digits, tabulation
from fpemu.formats import FloatFormat
from fpemu.kernels import columns, operations
from fpemu.kernels import spec as places
from fpemu.knobs import Stochastic
from fpemu.operating import Work, by_loop, may_write
from fpemu.shortcuts import general
from fpemu.significands import operands_of

__all__ = ["LARGEST", "carry_out"]

LARGEST = 8  # of the whole exponents of operands of many bits
_PIECE = 1 << 16  # elements whose exact values are kept at the same time


def carry_out(work: Work) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Powers of arrays of codes.

    Parameters
    ----------
    work : Work

    Returns
    -------
    tuple of numpy.ndarray
        Codes of the result's shape, and flags (an empty array where nobody asks).

    Raises
    ------
    ValueError
        If an operand has many bits, and an exponent is another than those.
    """
    if all(fmt.bits <= tabulation.MAX_BITS[2] for _, fmt in work.sources):
        return tabulation.carry_out(work)
    exponents = _exponents(work)
    if len(exponents) == 1:
        faster = _as_operation(work, exponents[0])
        if faster is not None:
            return by_loop(faster)
    return _one_by_one(work)


def _exponents(work: Work) -> list[digits.Operand]:
    """The exponents that there are; a ValueError if an exact value may have digits without end."""
    (x, x_format), (y, y_format) = work.sources
    found = operands_of(np.unique(y), y_format, work.task.rules)
    for exponent in found:
        m, e = exponent.m, exponent.e
        number = exponent.kind == columns.NUMBER
        whole = number and (m == 0 or (0 <= e < 4 and m << e <= LARGEST))
        root = number and (m, e, exponent.negative) == (1, -1, False)
        if not (whole or root):
            raise ValueError(_refusal(x, x_format, y_format))
    return found


def _refusal(x: NDArray[Any], x_format: Any, y_format: Any) -> str:
    wide = x_format if x_format.bits > tabulation.MAX_BITS[2] else y_format
    text = (
        f"pow of more than 8 bits ({wide.name}) takes the exponents -{LARGEST} to {LARGEST} and 0.5; all others take "
        "two operands of 8 bits or fewer, as fe.array(x, 'float8_e4m3fn')"
    )
    if x.size == 1 and x_format.kind != "table" and x_format.value(int(x.reshape(-1)[0])) == 2:
        text += "; 2**y is fpemu.exp2(y)"
    return text


def _as_operation(work: Work, y: digits.Operand) -> Work | None:
    """A square or a square root as an operation that has a loop of its own; None for any other power."""
    (x, fmt), _ = work.sources
    if y.negative or work.task.rules[places.SUBNORMAL_SOURCES_ARE_ZERO]:
        return None
    if (y.m, y.e) == (1, 1):
        return work._replace(name="multiply", sources=[(x, fmt), (x, fmt)])
    if (y.m, y.e) == (1, -1) and isinstance(fmt, FloatFormat):
        if fmt.signed and fmt.has("negative_zero"):
            x = np.where(x == fmt.sign_mask, np.zeros_like(x), x)
        if fmt.signed and fmt.infinity_code is not None:
            x = np.where(x == fmt.infinity_code | fmt.sign_mask, np.asarray(fmt.infinity_code, x.dtype), x)
        return work._replace(name="sqrt", sources=[(x, fmt)])
    return None


def _one_by_one(work: Work) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """The exact values of all pairs of operands that there are, rounded."""
    task, codes = work.task, work.codes()
    out = np.empty(codes[0].size, task.target.code_dtype)
    flags = np.empty(out.size if work.flags_wanted else 0, np.uint8)
    for start in range(0, out.size, _PIECE):
        stop = min(start + _PIECE, out.size)
        out[start:stop], raised = _piece(work, [part[start:stop] for part in codes], start)
        if flags.size:
            flags[start:stop] = raised
    if work.out is not None and may_write(work.out, codes):
        work.out.reshape(-1)[...] = out
        return work.out, flags.reshape(work.shape if work.flags_wanted else (0,))
    return out.reshape(work.shape), flags.reshape(work.shape if work.flags_wanted else (0,))


def _piece(work: Work, codes: list[NDArray[Any]], start: int) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    task, formats = work.task, tuple(fmt for _, fmt in work.sources)
    (xs, x_places), (ys, y_places) = (np.unique(part, return_inverse=True) for part in codes)
    pairs, where = np.unique(x_places.reshape(-1) * ys.size + y_places.reshape(-1), return_inverse=True)
    x_operands, y_operands = (operands_of(met, fmt, task.rules) for met, fmt in zip((xs, ys), formats, strict=True))
    x_of, y_of = (pairs // ys.size).tolist(), (pairs % ys.size).tolist()
    values = [digits.power(x_operands[i], y_operands[j]) for i, j in zip(x_of, y_of, strict=True)]
    rows = where.reshape(-1).astype(np.uint16)
    if isinstance(task.profile.rounding, Stochastic):  # each element by its own random integer
        randoms = work.randoms[start : start + rows.size] if work.randoms.size else None
        out, flags = tabulation.rounded(values, rows, task, randoms, work.key, work.first + start)
    else:
        found, raised = tabulation.rounded(values, np.arange(pairs.size, dtype=np.uint16), task)
        out, flags = found[rows], raised[rows]
    if task.knobs[operations.NAN_RESULT] != operations.NAN_RESULT_CANONICAL:
        nans = [np.array([one.kind == columns.NOT_A_NUMBER for one in some], bool) for some in (x_operands, y_operands)]
        made = np.array([value.kind == columns.NOT_A_NUMBER for value in values], bool)
        passed = np.flatnonzero((made & (nans[0][x_of] | nans[1][y_of]))[rows])
        if passed.size:  # as a product has it
            some, happened = np.empty(passed.size, out.dtype), np.empty(passed.size, np.uint8)
            general("multiply", formats, task, [part[passed] for part in codes], some, happened)
            out[passed], flags[passed] = some, happened
    return out, flags

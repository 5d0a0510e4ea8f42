"""Elementary functions by tables of exact and of rounded values; operands of many bits one by one.

A table has a row for each code of the operand (for each pair of codes, where there are two) and is filled for the codes
that occur.  Exact values are kept for each function and operand formats, rounded ones for each target too, so a call
over many elements looks codes up.  Stochastic rounding rounds the exact values, element by element.  Operands of many
bits have no table: each distinct one is computed once.
"""

from __future__ import annotations

import functools
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu.arithmetic.elementary import ziv
from fpemu.arithmetic.operation import OperationCall, Results, compute_by_loop
from fpemu.arithmetic.task import Formats, Target, general
from fpemu.casting.buffers import can_write_in_place, for_each_chunk
from fpemu.casting.lowering import Rules, operand_rules, zeroes_subnormals
from fpemu.casting.significands import Digits128, Dyadic, operands_of, row
from fpemu.casting.stochastic import NO_RANDOMS, Randoms
from fpemu.formats import FLOAT64, Profile
from fpemu.formats.rules import Stochastic
from fpemu.kernels import columns
from fpemu.kernels.spec import NAN_RESULT, NAN_RESULT_CANONICAL, NO_RULES

MAX_TABLE_BITS = {1: 16, 2: 8}  # of an operand that has a table, by the number of operands
MOST_DISTINCT = 1 << 18  # distinct operands without a table: some seconds, and as many as an audit keeps of its inputs
VALUES_CHUNK = 1 << 16  # elements whose exact values are kept at the same time
SMALL_TABLE = 256  # rows that are all filled at once...
LONG_ARRAY = 1 << 21  # ...as all rows are, in less than a second, for an array of this many elements
_FLOAT64_ONE = np.ones((), np.float64).view(np.uint64)


class _Table:
    """Rows computed so far; a lock guards additions."""

    def __init__(self, count: int) -> None:
        self.known = np.zeros(count, np.bool_)
        self.complete = False
        self.lock = threading.Lock()

    def fill(self, rows: NDArray[Any]) -> None:
        """Compute those of these rows that are missing."""
        if self.complete:
            return
        with self.lock:
            if self.known.size <= SMALL_TABLE or rows.size >= LONG_ARRAY:
                rows = np.arange(self.known.size)
            elif rows.size > self.known.size and _take_rows(self.known.view(np.uint8), rows).all():
                return
            met = np.zeros(self.known.size, np.bool_)
            met[rows] = True
            missing = np.flatnonzero(met & ~self.known)
            if missing.size:
                self._add(missing.astype(np.uint16))
                self.known[missing] = True
                self.complete = bool(self.known.all())

    def _add(self, rows: NDArray[np.uint16]) -> None:
        raise NotImplementedError


class ExactValues(_Table):
    """The exact values of a function at codes; in rows with the columns of `fpemu.kernels.columns`.

    Parameters
    ----------
    name : str
    formats : tuple of FloatFormat or IntFormat
        The operands'.
    rules : tuple of int
        A cast's rules, which decide whether subnormal operands are zeros.
    """

    def __init__(self, name: str, formats: Formats, rules: Rules) -> None:
        super().__init__(1 << sum(fmt.bits for fmt in formats))
        self.name, self.formats, self.rules = name, formats, rules
        self.rows = np.zeros((self.known.size, 4), np.uint64)

    def _add(self, rows: NDArray[np.uint16]) -> None:
        if len(self.formats) == 1:
            values = self._of_one(operands_of(rows, self.formats[0], self.rules))
        else:
            bits = self.formats[1].bits
            x = operands_of(rows >> bits, self.formats[0], self.rules)
            y = operands_of(rows & ((1 << bits) - 1), self.formats[1], self.rules)
            values = list(map(ziv.dyadic_power, x, y))
        self.rows[rows] = [row(value) for value in values]

    def _of_one(self, operands: list[Dyadic]) -> list[Digits128]:
        """The values at operands; of odd and even functions one value serves both signs."""
        symmetry = ziv.FUNCTIONS[self.name].symmetry
        if not symmetry:
            return [ziv.value_at_dyadic(self.name, x) for x in operands]
        computed: dict[Dyadic, Digits128] = {}
        values = []
        for x in operands:
            positive = x._replace(negative=False)
            value = computed.get(positive)
            if value is None:
                value = computed[positive] = ziv.value_at_dyadic(self.name, positive)
            if x.negative and symmetry == "odd" and value.kind != columns.NOT_A_NUMBER:
                value = value._replace(negative=not value.negative)
            values.append(value)
        return values


class RoundedValues(_Table):
    """A function's exact values rounded to a target: codes and flags."""

    def __init__(self, values: ExactValues, target: Target) -> None:
        super().__init__(values.known.size)
        self.values, self.target = values, target
        self.codes = np.zeros(self.known.size, target.format.code_dtype)
        self.flags = np.zeros(self.known.size, np.uint8)

    def _add(self, rows: NDArray[np.uint16]) -> None:
        self.values.fill(rows)
        self.codes[rows], self.flags[rows] = round_rows(self.values, rows, self.target)


def round_rows(values: ExactValues, rows: NDArray[np.uint16], target: Target, randoms: Randoms = NO_RANDOMS) -> Results:
    """Codes and flags of exact values, rounded one by one; the rows must be filled.

    Parameters
    ----------
    values : ExactValues
    rows : numpy.ndarray of uint16
    target : Target
    randoms : Randoms
        For stochastic rounding.

    Returns
    -------
    tuple of numpy.ndarray
        Codes of the target, and flags.
    """
    out, flags = _round_table(values.rows, rows, target, randoms)
    if target.rules[NAN_RESULT] != NAN_RESULT_CANONICAL:
        _propagate_nans(values, rows, target, out, flags)
    return out, flags


def _round_table(
    table: NDArray[np.uint64], rows: NDArray[np.uint16], target: Target, randoms: Randoms = NO_RANDOMS
) -> Results:
    """Codes and flags of rows of a table of exact values; a NaN is the invalid one."""
    from fpemu.kernels.cpu.elementary import round_values_array

    given, key, first = randoms
    out, flags = np.empty(rows.size, target.format.code_dtype), np.empty(rows.size, np.uint8)

    def round_chunk(start: int, stop: int) -> None:
        codes = np.empty(stop - start, np.uint64)  # one compiled loop for all targets
        round_values_array(
            *(rows[start:stop], table, target.format.spec, target.rules),
            *(given[start:stop], np.uint64(key), np.uint64(first + start), codes, flags[start:stop]),
        )
        out[start:stop] = codes

    for_each_chunk(round_chunk, rows.size)
    return out, flags


def _propagate_nans(
    values: ExactValues, rows: NDArray[np.uint16], target: Target, out: NDArray[Any], flags: NDArray[np.uint8]
) -> None:
    """Propagate operand NaNs as multiplication does."""
    nans = np.flatnonzero(values.rows[rows, columns.STATUS] & columns.KINDS == columns.NOT_A_NUMBER)
    x_format, y_format = values.formats[0], values.formats[-1]
    bits = y_format.bits if len(values.formats) == 2 else 0
    x, y = rows[nans] >> bits, rows[nans] & ((1 << y_format.bits) - 1)
    operands = zip(operands_of(x, x_format, values.rules), operands_of(y, y_format, values.rules), strict=True)
    propagated = np.array([columns.NOT_A_NUMBER in (one.kind, other.kind) for one, other in operands], np.bool_)
    nans = nans[propagated]
    out[nans], flags[nans] = _product((x_format, y_format), target, [x[propagated], y[propagated]])


def _product(formats: Formats, target: Target, codes: list[NDArray[Any]]) -> Results:
    out, flags = np.empty(codes[0].size, target.format.code_dtype), np.empty(codes[0].size, np.uint8)
    general("multiply", (formats[0], formats[-1]), target, [codes[0], codes[-1]], out, flags)
    return out, flags


def compute_each(call: OperationCall, limited: bool = True) -> Results:
    """One function on arrays of codes of any width, computed once for each distinct operand or pair.

    Parameters
    ----------
    call : Call
    limited : bool
        Whether there may be no more distinct ones than take some seconds.

    Returns
    -------
    tuple of numpy.ndarray
        Codes of the result's shape, and flags (an empty array where nobody asks).

    Raises
    ------
    ValueError, ArithmeticError
        If there are too many, or a value cannot be computed: the sine of a number that is too large.
    """
    codes = call.codes()
    if limited and codes[0].size > MOST_DISTINCT:
        _check_count(call, codes)
    out = np.empty(codes[0].size, call.target.format.code_dtype)
    flags = np.empty(out.size if call.flags_wanted else 0, np.uint8)
    for start in range(0, out.size, VALUES_CHUNK):
        stop = min(start + VALUES_CHUNK, out.size)
        out[start:stop], raised = _compute_chunk(call, [each[start:stop] for each in codes], start)
        if flags.size:
            flags[start:stop] = raised
    flags = flags.reshape(call.shape if call.flags_wanted else (0,))
    if call.out is not None and can_write_in_place(call.out, codes):
        call.out.reshape(-1)[...] = out
        return call.out, flags
    return out.reshape(call.shape), flags


def _check_count(call: OperationCall, codes: list[NDArray[Any]]) -> None:
    """Raise ValueError if there are too many distinct operands."""
    count = np.unique(_pair_numbers([np.unique(each, return_inverse=True)[1] for each in codes])).size
    if count > MOST_DISTINCT:
        narrow = "float16" if len(codes) == 1 else "float8_e4m3fn"
        example = f"fe.{call.name}({', '.join(f'fe.array({x}, {narrow!r})' for x in 'xy'[: len(codes)])})"
        bits = MAX_TABLE_BITS[len(codes)]
        raise ValueError(
            f"{call.name} works out operands of more than {bits} bits one by one, {MOST_DISTINCT} of them at most, and "
            f"here are {count}: give them in pieces, or cast first, as in {example}"
        )


def _pair_numbers(indices: list[NDArray[np.intp]]) -> NDArray[np.intp]:
    """One number for each element's operand, or pair of operands, from indices of distinct operands."""
    numbers = indices[0].reshape(-1)
    for more in indices[1:]:
        numbers = numbers * (int(more.max(initial=0)) + 1) + more.reshape(-1)
    return numbers


def _compute_chunk(call: OperationCall, codes: list[NDArray[Any]], start: int) -> Results:
    """The exact values of all distinct operands, or pairs, of a chunk, rounded."""
    target, formats = call.target, call.formats
    rules = _rules_of_operands(formats, target.profile)
    met, indices = zip(*(np.unique(each, return_inverse=True) for each in codes), strict=True)
    distinct, inverse = np.unique(_pair_numbers(list(indices)), return_inverse=True)
    operands = [operands_of(each, fmt, rules) for each, fmt in zip(met, formats, strict=True)]
    which = np.unravel_index(distinct, [each.size for each in met])
    pairs = list(zip(*([of[i] for i in at.tolist()] for of, at in zip(operands, which, strict=True)), strict=True))
    values = [ziv.dyadic_power(*each) if len(each) == 2 else ziv.value_at_dyadic(call.name, *each) for each in pairs]
    table = np.array([row(value) for value in values], np.uint64).reshape(-1, 4)
    rows = inverse.reshape(-1).astype(np.uint16)
    if isinstance(target.profile.rounding, Stochastic):  # each element by its own random integer
        out, flags = _round_table(table, rows, target, call.randoms.chunk(start, start + rows.size))
    else:
        distinct_codes, raised = _round_table(table, np.arange(distinct.size, dtype=np.uint16), target)
        out, flags = distinct_codes[rows], raised[rows]
    if target.rules[NAN_RESULT] != NAN_RESULT_CANONICAL:
        of_nan = [
            value.kind == columns.NOT_A_NUMBER and any(x.kind == columns.NOT_A_NUMBER for x in each)
            for value, each in zip(values, pairs, strict=True)
        ]
        propagated = np.flatnonzero(np.array(of_nan, np.bool_)[rows])
        if propagated.size:  # as multiplication does
            out[propagated], flags[propagated] = _product(formats, target, [each[propagated] for each in codes])
    return out, flags


def compute_by_tables(call: OperationCall) -> Results:
    """One function on arrays of codes, by tables; of operands of many bits one by one.

    Parameters
    ----------
    call : Call

    Returns
    -------
    tuple of numpy.ndarray
        Codes of the result's shape, and flags (an empty array where nobody asks).

    Raises
    ------
    ValueError
        If there are too many operands of many bits.
    """
    formats, target = call.formats, call.target
    if any(fmt.bits > MAX_TABLE_BITS[len(formats)] for fmt in formats):
        if call.name == "reciprocal":
            return compute_by_loop(call._replace(name="divide", sources=[(_FLOAT64_ONE, FLOAT64), *call.sources]))
        return compute_each(call)
    values = _exact_values(call.name, formats, _rules_of_operands(formats, target.profile))
    codes = call.codes()
    rows = codes[0] if len(codes) == 1 else codes[0].astype(np.uint16) << formats[1].bits | codes[1]
    flags = np.empty(0, np.uint8)
    if isinstance(target.profile.rounding, Stochastic):
        values.fill(rows)
        out, raised = round_rows(values, rows.astype(np.uint16, copy=False), target, call.randoms)
        flags = raised if call.flags_wanted else flags
    else:
        table = _rounded_values(values, target)
        table.fill(rows)
        in_place = call.out is not None and can_write_in_place(call.out, codes)
        out = _take_rows(table.codes, rows, call.out if in_place else None)
        flags = _take_rows(table.flags, rows) if call.flags_wanted else flags
    return out if out is call.out else out.reshape(call.shape), flags.reshape(call.shape if call.flags_wanted else (0,))


def _rules_of_operands(formats: Formats, rules: Profile) -> Rules:
    """The only rule that affects how operands are read: subnormals are zeros."""
    return operand_rules(rules) if any(zeroes_subnormals(fmt, rules) for fmt in formats) else NO_RULES


@functools.lru_cache(maxsize=24)
def _exact_values(name: str, formats: Formats, rules: Rules) -> ExactValues:
    return ExactValues(name, formats, rules)


@functools.lru_cache(maxsize=128)
def _rounded_values(values: ExactValues, target: Target) -> RoundedValues:
    return RoundedValues(values, target)


def _take_rows(table: NDArray[Any], rows: NDArray[Any], out: NDArray[Any] | None = None) -> NDArray[Any]:
    """A table's entries at rows, in `out` if given."""
    from fpemu.kernels.cpu.lookup import take_array

    taken = np.empty(rows.size, table.dtype) if out is None else out
    flat = taken.reshape(-1)
    for_each_chunk(lambda start, stop: take_array(table, rows[start:stop], flat[start:stop]), rows.size)
    return taken

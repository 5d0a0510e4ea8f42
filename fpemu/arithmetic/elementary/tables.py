"""Functions of operands of few bits, by tables: the exact value at each code, and what it is rounded to; of others.

A table has a row for each code of the operand (for each pair of codes, where there are two) and is filled for the codes
that are met.  Exact values are kept for each function and operand formats, results for each result format and rules
too; so a call over many elements looks codes up.  Stochastic rounding rounds the exact values, element by element.
Operands of many bits are worked out one by one, each distinct one once.
"""

from __future__ import annotations

import functools
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu.arithmetic.elementary import ziv as digits
from fpemu.arithmetic.operation import Call, compute_by_loop
from fpemu.arithmetic.task import Target, general
from fpemu.casting import significands
from fpemu.casting.buffers import can_write_in_place, for_each_chunk
from fpemu.casting.lowering import Rules, operand_rules, zeroes_subnormals
from fpemu.casting.significands import operands_of, row
from fpemu.casting.stochastic import NO_RANDOMS, Randoms
from fpemu.formats import FLOAT64, FloatFormat, IntFormat, Profile
from fpemu.formats.rules import Stochastic
from fpemu.kernels import columns
from fpemu.kernels import spec as places

Formats = tuple[FloatFormat | IntFormat, ...]

MAX_BITS = {1: 16, 2: 8}  # of an operand that has a table, by how many there are
MOST = 1 << 18  # distinct operands without one: some seconds, and as many as an audit keeps of its inputs
PIECE = 1 << 16  # elements whose exact values are kept at the same time
FEW = 256  # rows that are all made at once...
MANY = 1 << 21  # ...as all rows are (in less than a second) for an array of so many elements
_ONE = np.ones((), np.float64).view(np.uint64)


class _Table:
    """Rows that are known, and a lock for those who add more."""

    def __init__(self, count: int) -> None:
        self.known = np.zeros(count, np.bool_)
        self.complete = False
        self.lock = threading.Lock()

    def fill(self, rows: NDArray[Any]) -> None:
        """Make these rows known."""
        if self.complete:
            return
        with self.lock:
            if self.known.size <= FEW or rows.size >= MANY:
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


class Values(_Table):
    """The exact values of a function at codes; in rows as `fpemu.kernels.columns` has them.

    Parameters
    ----------
    name : str
    formats : tuple of FloatFormat or IntFormat
        The operands'.
    rules : tuple of int
        A cast's rules, which say whether subnormal operands are zeros.
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
            values = list(map(digits.power, x, y))
        self.rows[rows] = [row(value) for value in values]

    def _of_one(self, operands: list[significands.Dyadic]) -> list[significands.Digits128]:
        """Of odd and even functions one value serves both signs."""
        symmetry = digits.FUNCTIONS[self.name].symmetry
        if not symmetry:
            return [digits.value_of(self.name, x) for x in operands]
        found: dict[significands.Dyadic, significands.Digits128] = {}
        values = []
        for x in operands:
            positive = x._replace(negative=False)
            value = found.get(positive)
            if value is None:
                value = found[positive] = digits.value_of(self.name, positive)
            if x.negative and symmetry == "odd" and value.kind != columns.NOT_A_NUMBER:
                value = value._replace(negative=not value.negative)
            values.append(value)
        return values


class Results(_Table):
    """What a function's exact values are rounded to: codes and flags."""

    def __init__(self, values: Values, task: Target) -> None:
        super().__init__(values.known.size)
        self.values, self.task = values, task
        self.codes = np.zeros(self.known.size, task.target.code_dtype)
        self.flags = np.zeros(self.known.size, np.uint8)

    def _add(self, rows: NDArray[np.uint16]) -> None:
        self.values.fill(rows)
        self.codes[rows], self.flags[rows] = round_values(self.values, rows, self.task)


def round_values(
    values: Values,
    rows: NDArray[np.uint16],
    task: Target,
    randoms: Randoms = NO_RANDOMS,
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Codes and flags of exact values, rounded one by one.

    Parameters
    ----------
    values : Values
    rows : numpy.ndarray of uint16
        Which ones; known.
    task : Task
    randoms : Randoms
        For stochastic rounding.

    Returns
    -------
    tuple of numpy.ndarray
        Codes of the target, and flags.
    """
    out, flags = _round_rows(values.rows, rows, task, randoms)
    if task.rules[places.NAN_RESULT] != places.NAN_RESULT_CANONICAL:
        _propagate_nans(values, rows, task, out, flags)
    return out, flags


def rounded(
    values: list[significands.Digits128],
    rows: NDArray[np.uint16],
    task: Target,
    randoms: Randoms = NO_RANDOMS,
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """The same of exact values that stand in no table; a NaN is the invalid one.

    Parameters
    ----------
    values : list of significands.Value
    rows, task, randoms
        As in `round_values`.

    Returns
    -------
    tuple of numpy.ndarray
    """
    table = np.array([row(value) for value in values], np.uint64).reshape(-1, 4)
    return _round_rows(table, rows, task, randoms)


def _round_rows(
    table: NDArray[np.uint64],
    rows: NDArray[np.uint16],
    task: Target,
    randoms: Randoms,
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Codes and flags of rows of a table of exact values."""
    from fpemu.kernels.cpu.elementary import round_values_array

    out, flags = np.empty(rows.size, task.target.code_dtype), np.empty(rows.size, np.uint8)

    def piece(start: int, stop: int) -> None:
        codes = np.empty(stop - start, np.uint64)  # one compiled loop for all targets
        round_values_array(
            *(rows[start:stop], table, task.target.spec, task.rules),
            *(randoms.given[start:stop], np.uint64(randoms.key), np.uint64(randoms.first + start)),
            *(codes, flags[start:stop]),
        )
        out[start:stop] = codes

    for_each_chunk(piece, rows.size)
    return out, flags


def _propagate_nans(
    values: Values, rows: NDArray[np.uint16], task: Target, out: NDArray[Any], flags: NDArray[np.uint8]
) -> None:
    """Where a NaN comes of an operand that is one: that NaN, as a product has it."""
    where = np.flatnonzero(values.rows[rows, columns.STATUS] & columns.KINDS == columns.NOT_A_NUMBER)
    x_format, y_format = values.formats[0], values.formats[-1]
    bits = y_format.bits if len(values.formats) == 2 else 0
    x, y = rows[where] >> bits, rows[where] & ((1 << y_format.bits) - 1)
    operands = zip(operands_of(x, x_format, values.rules), operands_of(y, y_format, values.rules), strict=True)
    passed = np.array([columns.NOT_A_NUMBER in (one.kind, other.kind) for one, other in operands], np.bool_)
    where = where[passed]
    out[where], flags[where] = _product((x_format, y_format), task, [x[passed], y[passed]])


def _product(formats: Formats, task: Target, codes: list[NDArray[Any]]) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    found, raised = np.empty(codes[0].size, task.target.code_dtype), np.empty(codes[0].size, np.uint8)
    general("multiply", (formats[0], formats[-1]), task, [codes[0], codes[-1]], found, raised)
    return found, raised


def compute_each(call: Call, limited: bool = True) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """One function on arrays of codes of any width, each operand (each pair) that there is worked out by itself.

    Parameters
    ----------
    call : Work
    limited : bool
        Whether there may be only so many as take some seconds.

    Returns
    -------
    tuple of numpy.ndarray
        Codes of the result's shape, and flags (an empty array where nobody asks).

    Raises
    ------
    ValueError, ArithmeticError
        If there are too many, or a value cannot be worked out: the sine of what is too large.
    """
    codes = call.codes()
    if limited and codes[0].size > MOST:
        _check_count(call, codes)
    out = np.empty(codes[0].size, call.task.target.code_dtype)
    flags = np.empty(out.size if call.flags_wanted else 0, np.uint8)
    for start in range(0, out.size, PIECE):
        stop = min(start + PIECE, out.size)
        out[start:stop], raised = _piece(call, [part[start:stop] for part in codes], start)
        if flags.size:
            flags[start:stop] = raised
    if call.out is not None and can_write_in_place(call.out, codes):
        call.out.reshape(-1)[...] = out
        return call.out, flags.reshape(call.shape if call.flags_wanted else (0,))
    return out.reshape(call.shape), flags.reshape(call.shape if call.flags_wanted else (0,))


def _check_count(call: Call, codes: list[NDArray[Any]]) -> None:
    """A ValueError if there are too many distinct operands to be worked out one by one."""
    count = np.unique(_paired([np.unique(part, return_inverse=True)[1] for part in codes])).size
    if count > MOST:
        narrow = "float16" if len(codes) == 1 else "float8_e4m3fn"
        example = f"fe.{call.name}({', '.join(f'fe.array({x}, {narrow!r})' for x in 'xy'[: len(codes)])})"
        raise ValueError(
            f"{call.name} works out operands of more than {MAX_BITS[len(codes)]} bits one by one, {MOST} of them at "
            f"most, and here are {count}: give them in pieces, or cast first, as in {example}"
        )


def _paired(places: list[NDArray[np.intp]]) -> NDArray[np.intp]:
    """Each element's place among the operands, or pairs of them, that there may be."""
    paired = places[0].reshape(-1)
    for more in places[1:]:
        paired = paired * (int(more.max(initial=0)) + 1) + more.reshape(-1)
    return paired


def _piece(call: Call, codes: list[NDArray[Any]], start: int) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """The exact values of all operands, or pairs, that there are, rounded."""
    task, formats = call.task, tuple(fmt for _, fmt in call.sources)
    rules = _reading(formats, task.profile)
    met, places = zip(*(np.unique(part, return_inverse=True) for part in codes), strict=True)
    distinct, where = np.unique(_paired(list(places)), return_inverse=True)
    operands = [operands_of(each, fmt, rules) for each, fmt in zip(met, formats, strict=True)]
    here = np.unravel_index(distinct, [each.size for each in met])
    given = list(zip(*([of[i] for i in at.tolist()] for of, at in zip(operands, here, strict=True)), strict=True))
    values = [digits.power(*each) if len(each) == 2 else digits.value_of(call.name, *each) for each in given]
    rows = where.reshape(-1).astype(np.uint16)
    if isinstance(task.profile.rounding, Stochastic):  # each element by its own random integer
        out, flags = rounded(values, rows, task, call.randoms.chunk(start, start + rows.size))
    else:
        found, raised = rounded(values, np.arange(distinct.size, dtype=np.uint16), task)
        out, flags = found[rows], raised[rows]
    if task.rules[places.NAN_RESULT] != places.NAN_RESULT_CANONICAL:
        of_nan = [
            value.kind == columns.NOT_A_NUMBER and any(x.kind == columns.NOT_A_NUMBER for x in each)
            for value, each in zip(values, given, strict=True)
        ]
        passed = np.flatnonzero(np.array(of_nan, np.bool_)[rows])
        if passed.size:  # as a product has it
            out[passed], flags[passed] = _product(formats, task, [part[passed] for part in codes])
    return out, flags


def compute_by_tables(call: Call) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """One function on arrays of codes, by tables; of operands of many bits one by one.

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
        If there are too many operands of many bits.
    """
    formats = tuple(fmt for _, fmt in call.sources)
    if any(fmt.bits > MAX_BITS[len(formats)] for fmt in formats):
        if call.name == "reciprocal":
            return compute_by_loop(call._replace(name="divide", sources=[(_ONE, FLOAT64), *call.sources]))
        return compute_each(call)
    values = _values(call.name, formats, _reading(formats, call.task.profile))
    codes = call.codes()
    rows = codes[0] if len(codes) == 1 else codes[0].astype(np.uint16) << formats[1].bits | codes[1]
    flags = np.empty(0, np.uint8)
    if isinstance(call.task.profile.rounding, Stochastic):
        values.fill(rows)
        rows = rows.astype(np.uint16, copy=False)
        out, raised = round_values(values, rows, call.task, call.randoms)
        flags = raised if call.flags_wanted else flags
    else:
        results = _results(call.name, values, call.task)
        results.fill(rows)
        place = call.out if call.out is not None and can_write_in_place(call.out, codes) else None
        out = _take_rows(results.codes, rows, place)
        flags = _take_rows(results.flags, rows) if call.flags_wanted else flags
    return out if out is call.out else out.reshape(call.shape), flags.reshape(call.shape if call.flags_wanted else (0,))


def _reading(formats: Formats, rules: Profile) -> Rules:
    """Rules of how operands are read, the same wherever they are read the same."""
    return operand_rules(rules) if any(zeroes_subnormals(fmt, rules) for fmt in formats) else places.NO_RULES


@functools.lru_cache(maxsize=24)
def _values(name: str, formats: Formats, rules: Rules) -> Values:
    return Values(name, formats, rules)


@functools.lru_cache(maxsize=128)
def _results(name: str, values: Values, task: Target) -> Results:
    return Results(values, task)


def _take_rows(table: NDArray[Any], rows: NDArray[Any], place: NDArray[Any] | None = None) -> NDArray[Any]:
    """A table's entries at rows, in new memory or in the place given."""
    from fpemu.kernels.cpu.lookup import take_array

    out = np.empty(rows.size, table.dtype) if place is None else place
    flat = out.reshape(-1)
    for_each_chunk(lambda start, stop: take_array(table, rows[start:stop], flat[start:stop]), rows.size)
    return out

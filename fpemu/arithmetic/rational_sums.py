"""Sums of numbers that no format holds: rows of them in fractions, or step by step."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from fpemu.arithmetic.accumulation import DOTS, STEPS_KEY, Rows, Summation, as_rows, run_length
from fpemu.arithmetic.operation import Call, Rests, compute_with_rests
from fpemu.arithmetic.rationals import fraction_of, goes_down, reals_at
from fpemu.casting import Rest
from fpemu.casting.significands import round_values, zero
from fpemu.casting.stochastic import NO_RANDOMS, Randoms
from fpemu.formats import INT8, FloatFormat, IntFormat

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fpemu.arithmetic.axes import Axis
    from fpemu.arithmetic.task import Target

    # An operand of one step: its code, its format, and the number itself where that does not hold it
    Term = tuple[NDArray[Any], FloatFormat | IntFormat, Rest | None]

__all__ = ["exact_rows", "rest_rows", "stepped_rows"]

Formats = tuple[FloatFormat | IntFormat, ...]


def rest_rows(name: str, shapes: list[tuple[int, ...]], rests: Rests, axis: Axis) -> list[NDArray[np.intp]]:
    """For each number of each operand's rows: which of the operand's rest it is, counted from 1, or 0."""
    slots = []
    for shape, rest in zip(shapes, rests, strict=True):
        numbers = np.zeros(int(np.prod(shape, dtype=int)), np.intp)
        if rest is not None:
            numbers[rest.places] = np.arange(1, len(rest.numbers) + 1)
        slots.append(numbers.reshape(shape))
    return as_rows(name, slots, axis, False).codes


def _rows_with(slots: list[NDArray[np.intp]], length: int) -> list[int]:
    """The numbers of the rows that have such a number."""
    if not length:
        return []
    met = np.any([part.reshape(-1, length).any(axis=1) for part in slots], axis=0)
    found: list[int] = np.flatnonzero(met).tolist()
    return found


def exact_rows(
    name: str,
    rows: Rows,
    formats: Formats,
    rests: Rests,
    slots: list[NDArray[np.intp]],
    found: tuple[NDArray[Any], NDArray[np.uint8]],
    *,
    task: Target,
    randoms: Randoms,
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Exact sums, each rounded once: those of rows with such numbers are put right in what was `found`."""
    numbers: list[Any] = []
    places: list[int] = []
    minus = goes_down(task)
    for row in _rows_with(slots, rows.length):
        part = slice(row * rows.length, (row + 1) * rows.length)
        operands = [
            reals_at(codes[part], fmt, rest, slot[part], task.rules)
            for codes, fmt, rest, slot in zip(rows.codes, formats, rests, slots, strict=True)
        ]
        total, signs = Fraction(0), set[bool]()
        outer, inner = divmod(row, rows.inner)
        for k, terms in enumerate(zip(*operands, strict=True)):
            if not all(x.finite for x in terms):
                break  # what infinities and NaN give does not depend on the numbers beside them
            product = fraction_of(terms[0])
            for other in terms[1:]:
                product *= fraction_of(other)
            total += product
            signs.add(terms[0].negative != (len(terms) == 2 and terms[1].negative))
            if name != "cumsum" and k < rows.length - 1:
                continue
            mean = total / rows.length if name == "mean" else total
            numbers.append(mean if mean else zero(minus if len(signs) == 2 else True in signs))
            step = k * rows.inner if name == "cumsum" else 0
            results = rows.length if name == "cumsum" else 1
            places.append(outer * results * rows.inner + inner + step)
    at = np.array(places, np.intp)
    codes, flags = round_values(numbers, at, task.target, task.rules, randoms)
    out, bits = np.array(found[0], order="C"), np.array(found[1], order="C")
    out.reshape(-1)[at] = codes.astype(out.dtype)
    if bits.size:
        bits.reshape(-1)[at] = flags
    return out, bits


def stepped_rows(
    name: str,
    rows: Rows,
    formats: Formats,
    rests: Rests,
    slots: list[NDArray[np.intp]],
    found: tuple[NDArray[Any], NDArray[np.uint8]],
    task: Target,
    steps: Summation,
    randoms: Randoms,
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """As `exact_rows`, of sums rounded at every step, as `fpemu.kernels.cpu.sums.accumulate_array` has them."""
    out, bits = np.array(found[0], order="C"), np.array(found[1], order="C")
    for row in _rows_with(slots, rows.length):
        operands = list(zip(rows.codes, formats, rests, slots, strict=True))
        terms = [
            [_term(codes[place], fmt, rest, int(slot[place])) for codes, fmt, rest, slot in operands]
            for place in range(row * rows.length, (row + 1) * rows.length)
        ]
        totals, raised = _steps(name, terms, task, steps, randoms.key ^ STEPS_KEY, randoms.first + row)
        outer, inner = divmod(row, rows.inner)
        if name == "cumsum":
            at = outer * rows.length * rows.inner + inner + np.arange(rows.length) * rows.inner
        else:
            at, totals, raised = np.array([row]), totals[-1:], raised[-1:]
        out.reshape(-1)[at] = totals
        if bits.size:
            bits.reshape(-1)[at] = raised
    return out, bits


def _term(code: Any, fmt: FloatFormat | IntFormat, rest: Rest | None, slot: int) -> Term:
    one = None
    if slot:
        assert rest is not None
        one = Rest(np.zeros(1, np.intp), [rest.numbers[slot - 1]])
    return np.array(code), fmt, one


def _steps(
    name: str, terms: list[list[Term]], task: Target, steps: Summation, key: int, row: int
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """The sums after each number (in pairs: the last one alone counts), and what was raised until then."""
    raised = 0

    def do(operation: str, operands: list[Term], at: int) -> Term:
        nonlocal raised
        sources = [(code, fmt) for code, fmt, _ in operands]
        rests = [rest for _, _, rest in operands]
        call = Call(operation, sources, task, (), NO_RANDOMS._replace(key=key, first=at), True, None, rests)
        code, flags = compute_with_rests(
            call if any(rest is not None for rest in rests) else call._replace(rests=()), None
        )
        raised |= int(flags)
        return np.array(code), task.target, None

    length, block, pairwise = len(terms), run_length(steps, len(terms)), steps.summation == "pairwise"
    out, flags = np.zeros(length, task.target.code_dtype), np.zeros(length, np.uint8)
    waiting: dict[int, Term] = {}
    runs = -(-length // block)
    total: Term = terms[0][0]
    for run in range(runs + 1):
        joins = 0
        if run < runs:
            for k in range(run * block, min((run + 1) * block, length)):
                at = row * 2 * length + 2 * k
                factors = terms[k] if name in DOTS else [terms[k][0], _ONE]
                if k == run * block or steps.products == "rounded":
                    factors = [do("multiply", factors, at), _ONE]
                total = factors[0] if k == run * block else do("fma", [*factors, total], at + 1)
                out[k], flags[k] = total[0], raised
            joins = run & ~(run + 1) if pairwise else int(run > 0)
        elif pairwise:
            joins = runs & (runs - 1)
            total = waiting[(runs & -runs).bit_length() - 1]
        level = 0
        while joins >> level:
            if joins >> level & 1:
                at = row * 2 * length + 2 * ((run >> level) << level) * block + 1
                total = do("add", [waiting[level], total], at)
            level += 1
        waiting[level if pairwise and run < runs else 0] = total
    out[-1], flags[-1] = total[0], raised
    return out, flags


_ONE: Term = np.array(1, np.uint8), INT8, None

"""Sums of numbers that no format holds: rows of them in fractions, or step by step."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from fpemu.arithmetic.accumulation import DOT_PRODUCTS, STEPS_KEY, Summation, SumRows
from fpemu.arithmetic.operation import OperationCall, Results, compute_by_loop, compute_with_rests
from fpemu.arithmetic.rationals import fraction_of, goes_down, reals_at
from fpemu.casting import Rest
from fpemu.casting.significands import round_values, zero
from fpemu.casting.stochastic import NO_RANDOMS
from fpemu.formats import INT8, FloatFormat, IntFormat

if TYPE_CHECKING:
    from numpy.typing import NDArray

    # An operand of one step: its code, its format, and the number itself where that does not hold it
    Term = tuple[NDArray[Any], FloatFormat | IntFormat, Rest | None]

__all__ = ["exact_rows", "stepped_rows"]


def exact_rows(call: OperationCall, rows: SumRows, slots: list[NDArray[np.intp]], results: Results) -> Results:
    """Exact sums, each rounded once, corrected in the rows with numbers that no format holds."""
    target = call.target

    def round_row(row: slice, positions: NDArray[np.intp]) -> tuple[NDArray[np.intp], Results]:
        operands = [
            reals_at(codes[row], fmt, rest, slot[row], target.rules)
            for codes, fmt, rest, slot in zip(rows.codes, call.formats, call.rests, slots, strict=True)
        ]
        sums = _exact_sums(call, operands)
        positions = positions[: len(sums)]
        rounded = round_values(sums, positions, target.format, target.rules, call.randoms)
        return positions, rounded

    return _correct_rows(call, rows, slots, results, round_row)


def _exact_sums(call: OperationCall, operands: list[list[Any]]) -> list[Any]:
    """A row's partial sums (`cumsum`) before the first infinity or NaN; else its sum, or none if it has one."""
    sums: list[Any] = []
    total, signs, length = Fraction(0), set[bool](), len(operands[0])
    for k, terms in enumerate(zip(*operands, strict=True)):
        if not all(x.finite for x in terms):
            break  # infinities and NaN decide the sum, whatever the numbers are
        product = fraction_of(terms[0])
        for other in terms[1:]:
            product *= fraction_of(other)
        total += product
        signs.add(terms[0].negative != (len(terms) == 2 and terms[1].negative))
        if call.name == "cumsum" or k == length - 1:
            mean = total / length if call.name == "mean" else total
            sums.append(mean if mean else zero(goes_down(call.target) if len(signs) == 2 else True in signs))
    return sums


def stepped_rows(
    call: OperationCall, rows: SumRows, slots: list[NDArray[np.intp]], results: Results, summation: Summation
) -> Results:
    """As `exact_rows`, for sums rounded at every step, as `fpemu.kernels.cpu.sums.accumulate_array` computes them."""
    operands = list(zip(rows.codes, call.formats, call.rests, slots, strict=True))

    def sum_row(row: slice, positions: NDArray[np.intp]) -> tuple[NDArray[np.intp], Results]:
        terms = [
            [_term(codes[i], fmt, rest, int(slot[i])) for codes, fmt, rest, slot in operands]
            for i in range(row.start, row.stop)
        ]
        sums, raised = _steps(call, terms, summation, call.randoms.first + row.start // rows.length)
        return positions, (sums[-positions.size :], raised[-positions.size :])

    return _correct_rows(call, rows, slots, results, sum_row)


def _correct_rows(
    call: OperationCall,
    rows: SumRows,
    slots: list[NDArray[np.intp]],
    results: Results,
    sum_row: Callable[[slice, NDArray[np.intp]], tuple[NDArray[np.intp], Results]],
) -> Results:
    """Results, corrected in the rows with numbers that no format holds.

    `sum_row`: takes a row in `rows.codes` and the positions of its results; gives positions to correct, and results.
    """
    codes, bits = (np.array(each, order="C") for each in results)
    length = rows.length
    affected = np.any([each.reshape(-1, length).any(axis=1) for each in slots], axis=0) if length else np.zeros(0)
    for row in np.flatnonzero(affected).tolist():
        positions = np.array([row])
        if call.name == "cumsum":
            outer, inner = divmod(row, rows.inner)
            positions = (outer * length + np.arange(length)) * rows.inner + inner
        corrected, (sums, raised) = sum_row(slice(row * length, (row + 1) * length), positions)
        codes.reshape(-1)[corrected] = sums.astype(codes.dtype)
        if bits.size:
            bits.reshape(-1)[corrected] = raised
    return codes, bits


def _term(code: Any, fmt: FloatFormat | IntFormat, rest: Rest | None, slot: int) -> Term:
    one = None
    if slot:
        assert rest is not None
        one = Rest(np.zeros(1, np.intp), [rest.numbers[slot - 1]])
    return np.array(code), fmt, one


def _steps(call: OperationCall, terms: list[list[Term]], summation: Summation, row: int) -> Results:
    """The sums after each term (in pairwise order only the last one counts), and the flags raised up to it."""
    raised = 0

    def compute(operation: str, operands: list[Term], at: int) -> Term:
        nonlocal raised
        sources = [(code, fmt) for code, fmt, _ in operands]
        rests = [rest for _, _, rest in operands]
        randoms = NO_RANDOMS._replace(key=call.randoms.key ^ STEPS_KEY, first=at)
        rests = rests if any(rest is not None for rest in rests) else []
        step = OperationCall(operation, sources, rests, call.target, (), randoms, True)
        code, flags = compute_with_rests(compute_by_loop, step)
        raised |= int(flags)
        return np.array(code), call.target.format, None

    length, block, pairwise = len(terms), summation.run_length(len(terms)), summation.order == "pairwise"
    out, flags = np.zeros(length, call.target.format.code_dtype), np.zeros(length, np.uint8)
    waiting: dict[int, Term] = {}
    runs = -(-length // block)
    total: Term = terms[0][0]
    for run in range(runs + 1):
        joins = 0
        if run < runs:
            for k in range(run * block, min((run + 1) * block, length)):
                at = row * 2 * length + 2 * k
                factors = terms[k] if call.name in DOT_PRODUCTS else [terms[k][0], _INT8_ONE]
                if k == run * block or summation.products == "rounded":
                    factors = [compute("multiply", factors, at), _INT8_ONE]
                total = factors[0] if k == run * block else compute("fma", [*factors, total], at + 1)
                out[k], flags[k] = total[0], raised
            joins = run & ~(run + 1) if pairwise else int(run > 0)
        elif pairwise:
            joins = runs & (runs - 1)
            total = waiting[(runs & -runs).bit_length() - 1]
        level = 0
        while joins >> level:
            if joins >> level & 1:
                at = row * 2 * length + 2 * ((run >> level) << level) * block + 1
                total = compute("add", [waiting[level], total], at)
            level += 1
        waiting[level if pairwise and run < runs else 0] = total
    out[-1], flags[-1] = total[0], raised
    return out, flags


_INT8_ONE: Term = np.array(1, np.uint8), INT8, None

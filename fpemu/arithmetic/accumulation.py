"""Sums of rows: exact and rounded once, or rounded at every step."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fpemu.arithmetic.axes import Axis, axes_of
from fpemu.arithmetic.flags import listed, value_text
from fpemu.arithmetic.operation import NO_FLAGS, OperationCall, Rests, Results, compute_by_loop
from fpemu.arithmetic.task import Target
from fpemu.casting import encode
from fpemu.casting.buffers import for_each_chunk
from fpemu.casting.fpu import FPU_PROBE
from fpemu.formats import FLOAT32, FLOAT64, INT8, INT64, FloatFormat, Format, IntFormat, Profile, TableFormat
from fpemu.formats import dtype as find_format
from fpemu.formats.facts.exactness import holds, span, sums_round_once
from fpemu.formats.facts.reals import exact_text
from fpemu.formats.lookup import brief, check_word, near
from fpemu.formats.rules import NegativeZero, Rounding, SubnormalsIn, SubnormalsOut

DOT_PRODUCTS = ("dot", "vecdot")  # reductions of two operands
MATRICES = "fpemu.vecdot(A, B) for products of rows, fpemu.vecdot(A[:, None, :], B.T) for the product of two matrices"
NUMBERS = "to multiply by a number, use fpemu.multiply"
_OFTEN = 1 << 30  # terms after which the accumulator propagates its carries
STEPS_KEY = 0x9E6C63D0876A9A63  # makes the steps' random integers a separate stream


class Summation(NamedTuple):
    """The computation of a sum: exact, or in steps of a format, in an order."""

    accumulate: Any = None
    order: str | int = "sequential"
    products: str = "exact"

    def checked(self, name: str) -> Summation:
        """Return self; raise TypeError or ValueError if a field is not allowed."""
        known = ("sequential", "pairwise")
        if isinstance(self.order, bool) or not isinstance(self.order, str | int | np.integer):
            raise TypeError(f"{name}: summation is 'sequential', 'pairwise' or an int, not {brief(self.order)}")
        if isinstance(self.order, str) and self.order not in known:
            raise ValueError(
                f"{name}: summation is 'sequential', 'pairwise' or an int, not {brief(self.order)}"
                f"{near(self.order, list(known))}"
            )
        if not isinstance(self.order, str) and self.order < 1:
            raise ValueError(f"{name}: summation by runs needs runs of 1 or more terms, not {brief(self.order)}")
        check_word(self.products, ("exact", "rounded"), f"products of {name}")
        if self.accumulate is None and (self.order, self.products) != ("sequential", "exact"):
            raise ValueError(
                f"{name}: without accumulate= the exact result is rounded once: summation= and products= have no effect"
            )
        return self

    def format(self, name: str) -> FloatFormat | IntFormat | None:
        """The steps' format."""
        if self.accumulate is None:
            return None
        fmt: Format = find_format(self.accumulate)
        if isinstance(fmt, TableFormat):
            raise ValueError(f"{name}: a codebook ({fmt.name}) cannot accumulate")
        return fmt

    def run_length(self, length: int) -> int:
        """The number of terms that are added sequentially."""
        if self.order == "pairwise":
            return 1
        if self.order == "sequential":
            return max(length, 1)
        return min(int(self.order), max(length, 1))


class SumRows(NamedTuple):
    """Operands of a reduction as rows, and how results of rows become results of the call."""

    codes: list[NDArray[Any]]  # of each operand, row after row
    length: int
    shape: tuple[int, ...]  # of the result
    inner: int  # distance in C order between two results of one row

    def back(self, results: NDArray[Any], every: bool) -> NDArray[Any]:
        """Rearrange results that are ordered row by row into the result's shape."""
        if not every:
            return results.reshape(self.shape)
        outer = results.size // (self.inner * self.length) if results.size else 0
        return results.reshape(outer, self.inner, self.length).swapaxes(1, 2).reshape(self.shape)

    def terms(self, index: tuple[int, ...], every: bool) -> tuple[slice, int]:
        """The row in `codes` of the result at an index, and the result's index in the row, -1 for the last."""
        row, step = int(np.ravel_multi_index(index, self.shape)) if index else 0, -1
        if every:
            outer, inside = divmod(row, self.inner * self.length)
            step, inner = divmod(inside, self.inner)
            row = outer * self.inner + inner
        return slice(row * self.length, (row + 1) * self.length), step

    def results_per_row(self, every: bool) -> tuple[int, int]:
        """The number of results of a row, and the number of rows with results."""
        each = self.length if every else 1
        return each, math.prod(self.shape) // each if each else 0


def as_rows(name: str, codes: list[NDArray[Any]], axis: Axis, keepdims: bool) -> SumRows:
    """Operands as rows."""
    inner = 1
    if name in DOT_PRODUCTS:
        assert isinstance(axis, int)
        codes = _broadcast_vectors(name, codes, axis)
        shape, length = codes[0].shape[:-1], codes[0].shape[-1]
    elif name == "cumsum":
        (x,) = codes
        if axis is None:
            x, axis = x.reshape(-1), 0
        (along,) = axes_of(name, axis, x.ndim)
        shape, length, inner = x.shape, x.shape[along], math.prod(x.shape[along + 1 :])
        codes = [np.moveaxis(x, along, -1)]
    else:
        (x,) = codes
        summed = axes_of(name, axis, x.ndim)
        others = [i for i in range(x.ndim) if i not in summed]
        length = math.prod(x.shape[i] for i in summed)
        shape = tuple(x.shape[i] for i in others)
        codes = [x.transpose(*others, *summed)]
        if keepdims:
            shape = tuple(1 if i in summed else n for i, n in enumerate(x.shape))
    flat = [np.ascontiguousarray(x, x.dtype.newbyteorder("=")).reshape(-1) for x in codes]
    return SumRows(flat, length, shape, inner)


def _broadcast_vectors(name: str, codes: list[NDArray[Any]], axis: int) -> list[NDArray[Any]]:
    """Two operands broadcast against each other, with their vectors in the last axis."""
    shapes = " and ".join(str(x.shape) for x in codes)
    if name == "dot" and any(x.ndim != 1 for x in codes):
        number = any(x.ndim == 0 for x in codes)
        raise ValueError(f"dot takes two vectors, not {shapes}: {NUMBERS if number else f'use {MATRICES}'}")
    if any(x.ndim == 0 for x in codes):
        raise ValueError(f"{name}: a number has no axis: {NUMBERS}")
    codes = [np.moveaxis(x, axes_of(name, axis, x.ndim)[0], -1) for x in codes]
    lengths = [x.shape[-1] for x in codes]
    shapes = " and ".join(str(x.shape) for x in codes)
    if lengths[0] != lengths[1]:
        raise ValueError(f"{name}: {lengths[0]} and {lengths[1]} numbers along the axis do not fit together")
    try:
        return list(np.broadcast_arrays(*codes))
    except ValueError:
        raise ValueError(f"{name}: the shapes {shapes} (the axis last) do not broadcast") from None


def rest_rows(name: str, shapes: list[tuple[int, ...]], rests: Rests, axis: Axis) -> list[NDArray[np.intp]]:
    """Slots: the index of each code of the operands' rows in the operand's rest, counted from 1, or 0."""
    slots = []
    for shape, rest in zip(shapes, rests, strict=True):
        numbers = np.zeros(math.prod(shape), np.intp)
        if rest is not None:
            numbers[rest.indices] = np.arange(1, len(rest.numbers) + 1)
        slots.append(numbers.reshape(shape))
    return as_rows(name, slots, axis, False).codes


def describe_sum(
    rows: SumRows, slots: Sequence[NDArray[np.intp]], call: OperationCall, codes: NDArray[Any], index: tuple[int, ...]
) -> str:
    """One result as text: "sum([300.0, 300.0]) = nan in float8_e4m3fn"."""
    row, step = rows.terms(index, call.name == "cumsum")
    texts = []
    for i, (terms, fmt) in enumerate(zip(rows.codes, call.formats, strict=True)):
        rest = call.rests[i] if call.rests else None
        numbers = [] if rest is None else [exact_text(number) for number in rest.numbers]
        texts.append(listed(terms[row], fmt, numbers, slots[i][row].tolist() if numbers else ()))
    element = "" if step < 0 else f"[{step}]"
    fmt = call.target.format
    return f"{call.name}({', '.join(texts)}){element} = {value_text(codes[index], fmt)} in {fmt.name}"


def _accumulator_words(formats: tuple[FloatFormat | IntFormat, ...], length: int) -> int:
    """The accumulator's number of 32-bit words: for all terms, carries, a sign, and the words that a term touches."""
    bits = sum(span(fmt).bits for fmt in formats)
    return max(bits + length.bit_length() + 2, bits + 5 * 32) // 32 + 2


def exact_sums(call: OperationCall, rows: SumRows) -> Results:
    """Exact sums, each rounded once: codes and flags."""
    from fpemu.kernels.cpu.sums import exact_loop

    every = call.name == "cumsum"
    target, (given, key, first) = call.target, call.randoms
    loop = exact_loop(call.name in DOT_PRODUCTS)
    results, count = rows.results_per_row(every)
    digits = _accumulator_words(call.formats, rows.length)
    out = np.empty(count * results, np.uint64)  # for all code types, which saves compiling a loop for each
    flags = np.zeros(out.size if call.flags_wanted else 0, np.uint8)
    specs = call.formats[0].spec, call.formats[-1].spec

    def compute_chunk(start: int, stop: int) -> None:
        x, y = (codes[start * rows.length : stop * rows.length] for codes in (rows.codes[0], rows.codes[-1]))
        chunk = slice(start * results, stop * results)
        loop(
            *(x, y, rows.length, *specs, digits, _OFTEN, every, call.name == "mean"),
            *(target.format.spec, target.rules, given, np.uint64(key), np.uint64(first)),
            *(rows.inner, start, out[chunk], flags[chunk]),
        )

    for_each_chunk(compute_chunk, count)
    return _in_shape(call, rows, out, flags)


def _in_shape(call: OperationCall, rows: SumRows, out: NDArray[np.uint64], flags: NDArray[np.uint8]) -> Results:
    """Results of rows as codes of the target and flags, in the result's shape."""
    every, codes = call.name == "cumsum", out.astype(call.target.format.code_dtype)
    return rows.back(codes, every), rows.back(flags, every) if call.flags_wanted else NO_FLAGS


def sum_in_steps(call: OperationCall, rows: SumRows, summation: Summation) -> Results:
    """Sums rounded at every step to the call's target: codes in the result's shape, and flags."""
    name, every = call.name, call.name == "cumsum"
    results, count = rows.results_per_row(every)
    out = np.empty(count * results, np.uint64)
    flags = np.zeros(out.size if call.flags_wanted else 0, np.uint8)
    left = np.ones(count, bool)
    if name not in DOT_PRODUCTS and not call.flags_wanted and summation.order != "pairwise" and rows.length:
        left = _sum_by_fpu(call, rows, summation.run_length(rows.length), out, left)
    if left.all():
        _sum_by_general_kernel(call, rows, summation, 0, out, flags)
    else:
        for row in np.flatnonzero(left).tolist():
            codes = [each[row * rows.length : (row + 1) * rows.length] for each in rows.codes]
            one = out[row * results : (row + 1) * results]
            _sum_by_general_kernel(call, rows._replace(codes=codes), summation, row, one, flags)
    return _in_shape(call, rows, out, flags)


def _sum_by_general_kernel(
    call: OperationCall,
    rows: SumRows,
    summation: Summation,
    row: int,
    out: NDArray[np.uint64],
    flags: NDArray[np.uint8],
) -> None:
    """Compute steps by the kernel for all formats and rules; `row`: the index of the first row."""
    from fpemu.kernels.cpu.sums import accumulate_array

    length, every, codes, target = rows.length, call.name == "cumsum", rows.codes, call.target
    one = np.ones(1, codes[0].dtype)  # int8's code of 1
    x, y = (codes[0], codes[1]) if call.name in DOT_PRODUCTS else (codes[0], one)
    specs = call.formats[0].spec, call.formats[1].spec if call.name in DOT_PRODUCTS else INT8.spec
    step = int(call.name in DOT_PRODUCTS)
    results = length if every else 1
    key, first = call.randoms.key, call.randoms.first

    def compute_chunk(start: int, stop: int) -> None:
        terms = slice(start * length, stop * length)
        chunk = slice(start * results, stop * results)
        accumulate_array(
            *(x[terms], y[terms] if step else y, step, length, *specs, np.uint64(1), INT8.spec),
            *(summation.run_length(length), summation.order == "pairwise", summation.products == "rounded", every),
            *(target.format.spec, target.rules),
            *(np.uint64(key ^ STEPS_KEY), np.uint64(first + row + start), out[chunk], flags[chunk]),
        )

    for_each_chunk(compute_chunk, out.size // results if results else 0)


class Carrier(NamedTuple):
    """A float type of the FPU in which a format's steps are computed, and the constants of `float_steps_array`."""

    float: FloatFormat
    constants: NDArray[Any]


@functools.lru_cache(maxsize=256)
def carrier(by: FloatFormat | IntFormat, rules: Profile, source: FloatFormat | IntFormat) -> Carrier | None:
    """The FPU's float in which sums of a format's values can be rounded first; see `fpemu.kernels.cpu.sums`."""
    if not isinstance(by, FloatFormat) or not (by.signed and by.subnormals and by.zero and by.has("negative_zero")):
        return None
    plain = (rules.rounding, rules.subnormals_in, rules.subnormals_out, rules.negative_zero) == (
        *(Rounding.NEAREST_EVEN, SubnormalsIn.KEEP, SubnormalsOut.KEEP, NegativeZero.KEEP),
    )
    if not plain or by.precision < 2 or not holds(by, source):
        return None
    for wide in (FLOAT32, FLOAT64):
        shift = wide.precision - by.precision
        same = by.codes_key == wide.codes_key
        if not same and (not sums_round_once(wide, by) or by.quantum_exponent < wide.quantum_exponent + shift):
            continue
        if not holds(wide, by):
            continue
        largest = int(encode(by.max_code, wide, source=by))
        mask = (1 << shift) - 1
        limit = largest + (mask >> 1) + (shift > 0 and not (largest >> shift) & 1)  # a tie rounds down to an even code
        return Carrier(wide, np.array([shift, shift > 0, limit, *_binade_constants(by, wide)], wide.code_dtype))
    return None


def _binade_constants(by: FloatFormat, wide: FloatFormat) -> list[int]:
    """Constants of `steps_in_binade` for a format and its carrier."""
    shift, digits = wide.precision - by.precision, wide.precision - 1
    bias = (1 << (wide.bits - wide.precision - 1)) - 1
    significand, exponent = by.scaled(by.max_code)
    beyond = min(exponent + significand.bit_length() - 1, bias - shift - 1)  # the last binade may lack numbers
    least = by.emin if shift else beyond
    first, scale = (max(least, -bias + 1) + bias) << digits, (shift + bias) << digits | 1 << (digits - 1)
    return [wide.max_code + 1, first, max(beyond + bias, 0) << digits, scale, wide.bits - 1]


def _sum_by_fpu(
    call: OperationCall, rows: SumRows, block: int, out: NDArray[np.uint64], left: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Sequential sums by the FPU where it computes the same; which rows are left to compute."""
    target, source, every = call.target, call.formats[0], call.name == "cumsum"
    chosen = carrier(target.format, target.profile, source)
    if chosen is None:
        return left
    from fpemu.kernels.cpu.sums import float_steps_array

    x = np.asarray(encode(rows.codes[0], chosen.float, source=source))
    sums = np.empty(out.size, x.dtype)
    undone = np.zeros(left.size, bool)
    results = rows.length if every else 1
    fit = []

    def compute_chunk(start: int, stop: int) -> None:
        terms, chunk = slice(start * rows.length, stop * rows.length), slice(start * results, stop * results)
        done = float_steps_array(
            x[terms], rows.length, block, every, chosen.constants, FPU_PROBE, sums[chunk], undone[start:stop]
        )
        fit.append(done)

    for_each_chunk(compute_chunk, left.size)
    if not all(fit):
        return left
    out[...] = encode(sums, target.format, source=chosen.float, profile=target.profile)
    return undone


def round_to_result(call: OperationCall, length: int, steps: Target, sums: Results) -> Results:
    """Sums in the steps' format, rounded to the call's target."""
    codes, raised = sums
    if call.name != "mean" and call.target[:2] == steps[:2]:
        return sums
    last, number = ("divide", length) if call.name == "mean" else ("multiply", 1)
    sources = [(codes, steps.format), (np.array(number, np.int64).view(np.uint64), INT64)]
    results, flags = compute_by_loop(call._replace(name=last, sources=sources, rests=()))
    return results, flags | raised if raised.size else raised

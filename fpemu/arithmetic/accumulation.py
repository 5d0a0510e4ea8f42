"""How sums are carried out: arrays as rows, exact sums of them, and sums in steps of a format."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fpemu.arithmetic.axes import Axis, axes_of
from fpemu.arithmetic.flags import listed, value_text
from fpemu.arithmetic.operation import NO_FLAGS, Call, Rests, compute_by_loop
from fpemu.arithmetic.task import Target
from fpemu.casting import encode
from fpemu.casting.buffers import for_each_chunk
from fpemu.casting.fpu import FPU_PROBE
from fpemu.casting.stochastic import Randoms
from fpemu.formats import FLOAT32, FLOAT64, INT8, INT64, FloatFormat, Format, IntFormat, Profile, TableFormat
from fpemu.formats import dtype as find_format
from fpemu.formats.facts.exactness import holds, span, sums_round_once
from fpemu.formats.facts.reals import exact_text
from fpemu.formats.lookup import brief, near
from fpemu.formats.rules import NegativeZero, Rounding, SubnormalsIn, SubnormalsOut

DOTS = ("dot", "vecdot")  # reductions of two operands
MATRICES = "fpemu.vecdot(A, B) for products of rows, fpemu.vecdot(A[:, None, :], B.T) for the product of two matrices"
NUMBERS = "to multiply by a number, use fpemu.multiply"
_OFTEN = 1 << 30  # terms after which the accumulator passes its carries on
STEPS_KEY = 0x9E6C63D0876A9A63  # the steps' random numbers are of another stream than the results'


class Summation(NamedTuple):
    """How a sum is made: exactly, or in steps of a format."""

    accumulate: Any = None
    summation: str | int = "sequential"
    products: str = "exact"

    def checked(self, name: str) -> Summation:
        """Itself, or an error that says what is allowed."""
        known = ("sequential", "pairwise")
        if isinstance(self.summation, bool) or not isinstance(self.summation, str | int | np.integer):
            raise TypeError(f"{name}: summation is 'sequential', 'pairwise' or an int, not {brief(self.summation)}")
        if isinstance(self.summation, str) and self.summation not in known:
            raise ValueError(
                f"{name}: summation is 'sequential', 'pairwise' or an int, not {brief(self.summation)}"
                f"{near(self.summation, list(known))}"
            )
        if not isinstance(self.summation, str) and self.summation < 1:
            raise ValueError(
                f"{name}: summation by blocks needs 1 or more numbers in each, not {brief(self.summation)}"
            )
        if not isinstance(self.products, str):
            raise TypeError(f"{name}: products is 'exact' or 'rounded', not {brief(self.products)}")
        if self.products not in ("exact", "rounded"):
            raise ValueError(f"{name}: products is 'exact' or 'rounded', not {brief(self.products)}")
        if self.accumulate is None and (self.summation, self.products) != ("sequential", "exact"):
            raise ValueError(
                f"{name}: without accumulate= the exact result is rounded once: no order and no product matters"
            )
        return self

    def format(self, name: str) -> FloatFormat | IntFormat | None:
        """The steps' format."""
        if self.accumulate is None:
            return None
        found: Format = find_format(self.accumulate)
        if isinstance(found, TableFormat):
            raise ValueError(f"{name}: a codebook ({found.name}) cannot accumulate")
        return found


class Rows(NamedTuple):
    """Operands with what is added up in the last axis, and the way back."""

    codes: list[NDArray[Any]]  # of each operand: one row after the other
    length: int
    shape: tuple[int, ...]  # the result's
    inner: int  # results of one row lie this far apart, in C order

    def back(self, results: NDArray[Any], every: bool) -> NDArray[Any]:
        """Results row by row, in the result's shape."""
        if not every:
            return results.reshape(self.shape)
        outer = results.size // (self.inner * self.length) if results.size else 0
        return results.reshape(outer, self.inner, self.length).swapaxes(1, 2).reshape(self.shape)

    def terms(self, index: tuple[int, ...], every: bool) -> tuple[slice, int]:
        """What is added up to the result at an index: where it is in `codes`, and the place in it; -1 for the last."""
        row, step = int(np.ravel_multi_index(index, self.shape)) if index else 0, -1
        if every:
            outer, inside = divmod(row, self.inner * self.length)
            step, inner = divmod(inside, self.inner)
            row = outer * self.inner + inner
        return slice(row * self.length, (row + 1) * self.length), step


def as_rows(name: str, codes: list[NDArray[Any]], axis: Axis, keepdims: bool) -> Rows:
    """Operands as rows."""
    if name in DOTS:
        shapes = " and ".join(str(part.shape) for part in codes)
        if name == "dot" and any(part.ndim != 1 for part in codes):
            number = any(part.ndim == 0 for part in codes)
            raise ValueError(f"dot takes two vectors, not {shapes}: {NUMBERS if number else f'use {MATRICES}'}")
        for part in codes:
            if part.ndim == 0:
                raise ValueError(f"{name}: a number has no axis: {NUMBERS}")
        assert isinstance(axis, int)
        codes = [np.moveaxis(part, axes_of(name, axis, part.ndim)[0], -1) for part in codes]
        lengths = [part.shape[-1] for part in codes]
        shapes = " and ".join(str(part.shape) for part in codes)
        if lengths[0] != lengths[1]:
            raise ValueError(f"{name}: {lengths[0]} and {lengths[1]} numbers along the axis do not fit together")
        try:
            codes = list(np.broadcast_arrays(*codes))
        except ValueError:
            raise ValueError(f"{name}: the shapes {shapes} (the axis last) do not broadcast") from None
        shape, length, inner = codes[0].shape[:-1], lengths[0], 1
    elif name == "cumsum":
        (part,) = codes
        if axis is None:
            part, axis = part.reshape(-1), 0
        (place,) = axes_of(name, axis, part.ndim)
        shape, length, inner = part.shape, part.shape[place], int(np.prod(part.shape[place + 1 :], dtype=int))
        codes = [np.moveaxis(part, place, -1)]
    else:
        (part,) = codes
        places = axes_of(name, axis, part.ndim)
        kept = [i for i in range(part.ndim) if i not in places]
        length, inner = int(np.prod([part.shape[i] for i in places], dtype=int)), 1
        shape = tuple(part.shape[i] for i in kept)
        codes = [part.transpose(*kept, *places)]
        if keepdims:
            shape = tuple(1 if i in places else n for i, n in enumerate(part.shape))
    flat = [np.ascontiguousarray(part, part.dtype.newbyteorder("=")).reshape(-1) for part in codes]
    return Rows(flat, length, shape, inner)


def describe_sum(
    name: str,
    rows: Rows,
    formats: tuple[FloatFormat | IntFormat, ...],
    codes: NDArray[Any],
    target: FloatFormat | IntFormat,
    index: tuple[int, ...],
    rests: Rests = (),
    slots: Sequence[NDArray[np.intp]] = (),
) -> str:
    """One result in words: "sum([300.0, 300.0]) = nan in float8_e4m3fn".

    `slots`: for each number of `rows.codes` which of the operand's rest it is, counted from 1, or 0.
    """
    where, step = rows.terms(index, name == "cumsum")
    texts = []
    for i, (part, fmt) in enumerate(zip(rows.codes, formats, strict=True)):
        rest = rests[i] if rests else None
        numbers = [] if rest is None else [exact_text(number) for number in rest.numbers]
        texts.append(listed(part[where], fmt, numbers, slots[i][where].tolist() if numbers else ()))
    operands = ", ".join(texts)
    which = "" if step < 0 else f"[{step}]"
    return f"{name}({operands}){which} = {value_text(codes[index], target)} in {target.name}"


def _digits(formats: tuple[FloatFormat | IntFormat, ...], length: int) -> int:
    """The accumulator's digits of 32 bits: for all terms, their number's carries, a sign, and what a term touches."""
    bits = sum(span(fmt).bits for fmt in formats)
    return max(bits + length.bit_length() + 2, bits + 5 * 32) // 32 + 2


def exact_sums(
    name: str,
    rows: Rows,
    formats: tuple[FloatFormat | IntFormat, ...],
    *,
    task: Target,
    randoms: Randoms,
    flags_wanted: bool,
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Exact sums, each rounded once: codes and flags."""
    drawn, key, start_of_stream = randoms
    from fpemu.kernels.cpu.sums import exact_loop

    loop = exact_loop(name in DOTS)
    every = name == "cumsum"
    results = rows.length if every else 1
    count = int(np.prod(rows.shape, dtype=int))
    digits = _digits(formats, rows.length)
    out = np.empty(count, np.uint64)  # whatever the codes' type is: the loops are compiled for fewer
    flags = np.zeros(count if flags_wanted else 0, np.uint8)
    specs = formats[0].spec, formats[-1].spec

    def piece(start: int, stop: int) -> None:
        x, y = (codes[start * rows.length : stop * rows.length] for codes in (rows.codes[0], rows.codes[-1]))
        here = slice(start * results, stop * results)
        loop(
            *(x, y, rows.length, *specs, digits, _OFTEN, every, name == "mean"),
            *(task.target.spec, task.rules, drawn, np.uint64(key), np.uint64(start_of_stream)),
            *(rows.inner, start, out[here], flags[here]),
        )

    for_each_chunk(piece, count // results if results else 0)
    codes = out.astype(task.target.code_dtype)
    return rows.back(codes, every), rows.back(flags, every) if flags_wanted else NO_FLAGS


def sum_in_steps(
    name: str,
    rows: Rows,
    formats: tuple[FloatFormat | IntFormat, ...],
    task: Target,
    steps: Summation,
    randoms: Randoms,
    flags_wanted: bool,
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Sums rounded at every step: codes of the steps' format, in the result's shape, and flags."""
    every = name == "cumsum"
    results = rows.length if every else 1
    count = int(np.prod(rows.shape, dtype=int))
    number = count // results if results else 0
    out = np.empty(count, np.uint64)
    flags = np.zeros(count if flags_wanted else 0, np.uint8)
    again = np.ones(number, bool)
    if name not in DOTS and not flags_wanted and steps.summation != "pairwise" and rows.length:
        again = _sum_by_fpu(rows, formats[0], task, run_length(steps, rows.length), every, out, again)
    if again.all():
        _sum_by_general_kernel(name, rows.codes, rows.length, formats, task, steps, every, randoms, 0, out, flags)
    else:
        for row in np.flatnonzero(again).tolist():
            place = slice(row * rows.length, (row + 1) * rows.length)
            codes = [part[place] for part in rows.codes]
            here = out[row * results : (row + 1) * results]
            _sum_by_general_kernel(name, codes, rows.length, formats, task, steps, every, randoms, row, here, flags)
    codes_found = out.astype(task.target.code_dtype)
    return rows.back(codes_found, every), rows.back(flags, every) if flags_wanted else NO_FLAGS


def run_length(steps: Summation, length: int) -> int:
    """How many numbers are added up one after the other."""
    if steps.summation == "pairwise":
        return 1
    if steps.summation == "sequential":
        return max(length, 1)
    return min(int(steps.summation), max(length, 1))


def _sum_by_general_kernel(
    name: str,
    codes: list[NDArray[Any]],
    length: int,
    formats: tuple[FloatFormat | IntFormat, ...],
    task: Target,
    steps: Summation,
    every: bool,
    randoms: Randoms,
    row: int,
    out: NDArray[Any],
    flags: NDArray[np.uint8],
) -> None:
    """Steps by the kernel for all formats and rules, for some rows from number `row` on."""
    key, first = np.uint64(randoms.key ^ STEPS_KEY), randoms.first + row
    from fpemu.kernels.cpu.sums import accumulate_array

    one = np.ones(1, codes[0].dtype)  # int8's code of 1
    x, y = (codes[0], codes[1]) if name in DOTS else (codes[0], one)
    specs = formats[0].spec, formats[1].spec if name in DOTS else INT8.spec
    step = int(name in DOTS)
    results = length if every else 1

    def piece(start: int, stop: int) -> None:
        numbers = slice(start * length, stop * length)
        here = slice(start * results, stop * results)
        accumulate_array(
            *(x[numbers], y[numbers] if step else y, step, length, *specs, np.uint64(1), INT8.spec),
            *(run_length(steps, length), steps.summation == "pairwise", steps.products == "rounded", every),
            *(task.target.spec, task.rules, key, np.uint64(first + start)),
            *(out[here], flags[here]),
        )

    for_each_chunk(piece, out.size // results if results else 0)


class Carrier(NamedTuple):
    """A float of the FPU that does a format's steps, and the numbers that `float_steps_array` takes."""

    float: FloatFormat
    words: NDArray[Any]


@functools.lru_cache(maxsize=256)
def carrier(by: FloatFormat | IntFormat, rules: Profile, source: FloatFormat | IntFormat) -> Carrier | None:
    """The FPU's float whose sums of the format's values may be rounded twice; see `fpemu.kernels.cpu.sums`."""
    if not isinstance(by, FloatFormat) or not (by.signed and by.subnormals and by.zero and by.has("negative_zero")):
        return None
    kept = (rules.rounding, rules.subnormals_in, rules.subnormals_out, rules.negative_zero) == (
        *(Rounding.NEAREST_EVEN, SubnormalsIn.KEEP, SubnormalsOut.KEEP, NegativeZero.KEEP),
    )
    if not kept or by.precision < 2 or not holds(by, source):
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
        limit = largest + (mask >> 1) + (shift > 0 and not (largest >> shift) & 1)  # a tie goes down from an even code
        return Carrier(wide, np.array([shift, shift > 0, limit, *_binades(by, wide)], wide.code_dtype))
    return None


def _binades(by: FloatFormat, wide: FloatFormat) -> list[int]:
    """What `steps_in_binade` knows of a format and its carrier."""
    shift, digits = wide.precision - by.precision, wide.precision - 1
    bias = (1 << (wide.bits - wide.precision - 1)) - 1
    significand, exponent = by.scaled(by.max_code)
    beyond = min(exponent + significand.bit_length() - 1, bias - shift - 1)  # the last binade may have holes
    least = by.emin if shift else beyond
    first, scale = (max(least, -bias + 1) + bias) << digits, (shift + bias) << digits | 1 << (digits - 1)
    return [wide.max_code + 1, first, max(beyond + bias, 0) << digits, scale, wide.bits - 1]


def _sum_by_fpu(
    rows: Rows,
    source: FloatFormat | IntFormat,
    task: Target,
    block: int,
    every: bool,
    out: NDArray[Any],
    again: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Sequential sums by the FPU where that is as good; which rows are still to be done."""
    assert not isinstance(task.target, TableFormat)
    found = carrier(task.target, task.profile, source)
    if found is None:
        return again
    from fpemu.kernels.cpu.sums import float_steps_array

    x = np.asarray(encode(rows.codes[0], found.float, source=source))
    sums = np.empty(out.size, x.dtype)
    left = np.zeros(again.size, bool)
    results = rows.length if every else 1
    fit = []

    def piece(start: int, stop: int) -> None:
        numbers, here = slice(start * rows.length, stop * rows.length), slice(start * results, stop * results)
        done = float_steps_array(
            x[numbers], rows.length, block, every, found.words, FPU_PROBE, sums[here], left[start:stop]
        )
        fit.append(done)

    for_each_chunk(piece, again.size)
    if not all(fit):
        return again
    out[...] = encode(sums, task.target, source=found.float, profile=task.profile)
    return left


def round_to_result(
    name: str,
    length: int,
    codes: NDArray[Any],
    raised: NDArray[np.uint8],
    by: Target,
    shape: tuple[int, ...],
    *,
    task: Target,
    randoms: Randoms,
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """What has been accumulated, in the result's format."""
    if name != "mean" and task[:2] == by[:2]:
        return codes, raised
    last, number = ("divide", length) if name == "mean" else ("multiply", 1)
    sources = [(codes, by.target), (np.array(number, np.int64).view(np.uint64), INT64)]
    found, happened = compute_by_loop(Call(last, sources, task, shape, randoms, raised.size > 0, None))
    return found, happened | raised if raised.size else raised

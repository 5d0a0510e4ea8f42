"""Sums, means, dot products and running sums: exact and rounded once, or rounded at every step in a stated order."""

from __future__ import annotations

import builtins
import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpemu.casting import decode, encode
from fpemu.flags import Flags
from fpemu.formats import FloatFormat, Format, IntFormat, TableFormat
from fpemu.knobs import NegativeZero, Rounding, SubnormalsIn, SubnormalsOut, Through, near
from fpemu.operating import (
    _NO_FLAGS,
    _PARAMETERS,
    DEFAULTS,
    Options,
    Task,
    _check_wrap,
    _operand,
    _run,
    _task,
    _where,
)
from fpemu.plans import _PROBE, holds
from fpemu.profiles import Profile
from fpemu.profiles import profile as find_profile
from fpemu.registry import dtype as find_format
from fpemu.running import check_out, in_pieces, randomness
from fpemu.sources import Coded, carries_codes

__all__ = ["cumsum", "dot", "mean", "sum"]

Axis = int | tuple[int, ...] | None

_OFTEN = 1 << 30  # terms after which the accumulator passes its carries on
_DIGITS = 1 << 16  # of 32 bits: formats whose sums need more are refused
_STEPS_KEY = 0x9E6C63D0876A9A63  # the steps' random numbers are of another stream than the results'

_AXIS = """axis : None, int or tuple of int
        Along which axes; default all.
    keepdims : bool
        Keep them, of length 1."""
_RUNNING_AXIS = """axis : None or int
        Along which axis; default the elements in C order, where there is more than one axis."""
_DOT_AXIS = """axis : int
        Along which axis of both, broadcast against each other; default the last."""
_STEPS = """accumulate : str, Format or dtype, optional
        Round every step to this format, instead of the exact result once.  Its rules are `profile`'s where that is
        given, else the result's where that has this format, else its own; `rounding` and `overflow` count for them."""
_SUMMATION = """summation : "sequential", "pairwise" or int
        The order of the steps: acc = round(acc + x) by index, from the rounded first one; in pairs of neighbours, the
        sums in pairs again, a last one without a neighbour waits; or runs of this many, each sequentially, then their
        sums sequentially."""
_PRODUCTS = """products : "exact" or "rounded"
        With `accumulate`: acc = fma(x, y, acc), or each product rounded first, then added."""
_TEXTS = {"{axis}": _AXIS, "{running axis}": _RUNNING_AXIS, "{dot axis}": _DOT_AXIS, "{products}": _PRODUCTS}


def _documented(function: Callable[..., Any]) -> Callable[..., Any]:
    """Fill in what reductions and all operations have in common, in the docstring and in the signature."""
    own = [p for p in inspect.signature(function).parameters.values() if p.kind is not p.VAR_KEYWORD]
    kinds = Options.__annotations__
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kinds[name])
        for name, default in DEFAULTS.items()
    ]
    text = function.__doc__
    assert text is not None
    start = _PARAMETERS.index("    result : str")
    for mark, said in {**_TEXTS, "{steps}": _STEPS, "{summation}": _SUMMATION, "{options}": _PARAMETERS[start:]}.items():
        text = text.replace(mark, said.lstrip())
    function.__doc__ = text
    function.__signature__ = inspect.Signature([*own, *options], return_annotation="Any")  # type: ignore[attr-defined]
    return function


class Steps(NamedTuple):
    """How a sum is made: exactly, or in steps of a format."""

    accumulate: Any = None
    summation: str | int = "sequential"
    products: str = "exact"

    def checked(self, name: str) -> Steps:
        """Itself, or an error that says what is allowed."""
        known = ("sequential", "pairwise")
        if isinstance(self.summation, bool) or not isinstance(self.summation, str | int | np.integer):
            raise TypeError(f"{name}: summation is 'sequential', 'pairwise' or an int, not {self.summation!r}")
        if isinstance(self.summation, str) and self.summation not in known:
            raise ValueError(
                f"{name}: summation is 'sequential', 'pairwise' or an int, not {self.summation!r}"
                f"{near(self.summation, list(known))}"
            )
        if not isinstance(self.summation, str) and self.summation < 1:
            raise ValueError(f"{name}: summation by blocks needs 1 or more numbers in each, not {self.summation}")
        if not isinstance(self.products, str):
            raise TypeError(f"{name}: products is 'exact' or 'rounded', not {self.products!r}")
        if self.products not in ("exact", "rounded"):
            raise ValueError(f"{name}: products is 'exact' or 'rounded', not {self.products!r}")
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


@_documented
def sum(
    x: ArrayLike | Coded,
    *,
    axis: Axis = None,
    keepdims: bool = False,
    accumulate: Any = None,
    summation: str | int = "sequential",
    **options: Unpack[Options],
) -> Any:
    """The sum of an array's elements, rounded once from the exact sum, or at every step.

    Parameters
    ----------
    x : array_like or Array
        Numbers, which are exactly their values, or codes with a format.
    {axis}
    {steps}
    {summation}
    {options}

    See Also
    --------
    add : of two numbers.
    cumsum : the sums on the way.

    Notes
    -----
    IEEE 754-2019 clause 9.4, which leaves the order and the rounding open.  The exact sum does not depend on the order,
    nor do its flags.  An empty sum is +0; a sum that is exactly zero has the terms' sign where they all have the same,
    else it is +0, toward negative -0, as 6.3 has it of two.  With `accumulate` the flags are those of all steps.

    Stochastic rounding of an exact sum takes the random integer at the result's place; steps take theirs from a stream
    of their own.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.sum([1.0] + [2**-9] * 512, result="bfloat16")
    np.float32(2.0)
    >>> fe.sum([1.0] + [2**-9] * 512, result="bfloat16", accumulate="bfloat16")
    np.float32(1.0)
    >>> fe.sum([[1e30, 1.0], [-1e30, 1.0]], axis=0, result="float16")
    array([0., 2.], dtype=float32)
    """
    return _reduce("sum", (x,), axis, keepdims, Steps(accumulate, summation), options)


@_documented
def mean(
    x: ArrayLike | Coded,
    *,
    axis: Axis = None,
    keepdims: bool = False,
    accumulate: Any = None,
    summation: str | int = "sequential",
    **options: Unpack[Options],
) -> Any:
    """The mean of an array's elements: the exact sum divided by their number, rounded once.

    Parameters
    ----------
    x : array_like or Array
        Numbers, which are exactly their values, or codes with a format.
    {axis}
    {steps}
    {summation}
    {options}

    See Also
    --------
    sum : without the division.

    Notes
    -----
    With `accumulate` the sum is in that format, and divided once into the result's.  The mean of nothing, 0 / 0, is
    invalid.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.mean([1.0, 2.0, 2.0], result="float16")
    np.float32(1.6669922)
    >>> fe.mean(fe.array([[448.0, 448.0], [448.0, 0.0]], "float8_e4m3fn"), axis=1)
    Array([448., 224.], format='float8_e4m3fn')
    """
    return _reduce("mean", (x,), axis, keepdims, Steps(accumulate, summation), options)


@_documented
def dot(
    x: ArrayLike | Coded,
    y: ArrayLike | Coded,
    *,
    axis: int = -1,
    accumulate: Any = None,
    summation: str | int = "sequential",
    products: str = "exact",
    **options: Unpack[Options],
) -> Any:
    """The dot product along an axis: the exact sum of the exact products, rounded once, or step by step.

    Of vectors it is numpy's `dot`, of arrays of more dimensions numpy's `vecdot` (without complex conjugation).

    Parameters
    ----------
    x, y : array_like or Array
        Numbers, which are exactly their values, or codes with a format.
    {dot axis}
    {steps}
    {summation}
    {products}
    {options}

    See Also
    --------
    fma : one step.

    Notes
    -----
    IEEE 754-2019 clause 9.4.  Zero times infinity is invalid.  With `accumulate` the first step is the first product,
    rounded.

    Examples
    --------
    >>> import fpemu as fe
    >>> x, y = fe.array([448.0, 1.0, 448.0], "float8_e4m3fn"), fe.array([448.0, 1.0, -448.0], "float8_e4m3fn")
    >>> fe.dot(x, y, result="float16")
    Array(1., format='float16')
    >>> fe.dot(x, y, result="float16", accumulate="float32")
    Array(1., format='float16')
    >>> fe.dot(x, y, result="float16", accumulate="bfloat16")
    Array(0., format='float16')
    """
    if isinstance(axis, bool) or not isinstance(axis, int | np.integer):
        raise TypeError(f"dot: axis must be an int, not {axis!r}")
    return _reduce("dot", (x, y), int(axis), False, Steps(accumulate, summation, products), options)


@_documented
def cumsum(
    x: ArrayLike | Coded, *, axis: int | None = None, accumulate: Any = None, **options: Unpack[Options]
) -> Any:
    """The sums of an array's first elements, one for each element: each rounded once from the exact sum.

    Parameters
    ----------
    x : array_like or Array
        Numbers, which are exactly their values, or codes with a format.
    {running axis}
    {steps}
    {options}

    See Also
    --------
    sum : the last one.

    Notes
    -----
    With `accumulate` each step is rounded, sequentially, and an element's flags are those of all steps to there.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.cumsum([0.1, 0.2, 0.3], result="bfloat16")
    array([0.10009766, 0.30078125, 0.6015625 ], dtype=float32)
    >>> fe.cumsum([256.0, 1.0, 1.0, 1.0], result="bfloat16", accumulate="bfloat16")
    array([256., 256., 256., 256.], dtype=float32)
    """
    if axis is not None and (isinstance(axis, bool) or not isinstance(axis, int | np.integer)):
        raise TypeError(f"cumsum: axis must be None or an int, not {axis!r}")
    return _reduce("cumsum", (x,), axis, False, Steps(accumulate), options)


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


def _rows(name: str, codes: list[NDArray[Any]], axis: Axis, keepdims: bool) -> Rows:
    """Operands as rows."""
    if name == "dot":
        for part in codes:
            if part.ndim == 0:
                raise ValueError("dot: a number has no axis: use multiply")
        assert isinstance(axis, int)
        codes = [np.moveaxis(part, _axes(name, axis, part.ndim)[0], -1) for part in codes]
        lengths = [part.shape[-1] for part in codes]
        shapes = " and ".join(str(part.shape) for part in codes)
        if lengths[0] != lengths[1]:
            raise ValueError(f"dot: {lengths[0]} and {lengths[1]} numbers along the axis do not fit together")
        try:
            codes = list(np.broadcast_arrays(*codes))
        except ValueError:
            raise ValueError(f"dot: the shapes {shapes} (the axis last) do not broadcast") from None
        shape, length, inner = codes[0].shape[:-1], lengths[0], 1
    elif name == "cumsum":
        (part,) = codes
        if axis is None:
            part, axis = part.reshape(-1), 0
        (place,) = _axes(name, axis, part.ndim)
        shape, length, inner = part.shape, part.shape[place], int(np.prod(part.shape[place + 1 :], dtype=int))
        codes = [np.moveaxis(part, place, -1)]
    else:
        (part,) = codes
        places = _axes(name, axis, part.ndim)
        kept = [i for i in range(part.ndim) if i not in places]
        length, inner = int(np.prod([part.shape[i] for i in places], dtype=int)), 1
        shape = tuple(part.shape[i] for i in kept)
        codes = [part.transpose(*kept, *places)]
        if keepdims:
            shape = tuple(1 if i in places else n for i, n in enumerate(part.shape))
    flat = [np.ascontiguousarray(part, part.dtype.newbyteorder("=")).reshape(-1) for part in codes]
    return Rows(flat, length, shape, inner)


def _axes(name: str, axis: Axis, ndim: int) -> tuple[int, ...]:
    """The axes that are meant, in order, from 0 on."""
    if axis is None:
        return tuple(range(ndim))
    given = axis if isinstance(axis, tuple) else (axis,)
    for one in given:
        if isinstance(one, bool) or not isinstance(one, int | np.integer):
            raise TypeError(f"{name}: axis must be None, an int or a tuple of ints, not {axis!r}")
        if not -ndim <= one < ndim:
            raise ValueError(f"{name}: axis {one} is out of range: there are {ndim}")
    found = tuple(sorted(int(one) % ndim for one in given))
    if len(set(found)) < len(found):
        raise ValueError(f"{name}: an axis stands twice in {axis}")
    return found


def _reduce(
    name: str, operands: tuple[Any, ...], axis: Axis, keepdims: bool, steps: Steps, options: Options
) -> Any:
    """One reduction."""
    for option in options:
        if option not in DEFAULTS:
            raise TypeError(f"{name}() got an unexpected keyword argument {option!r}{near(option, list(DEFAULTS))}")
    given: dict[str, Any] = {**DEFAULTS, **options}
    sources = [_operand(x) for x in operands]
    formats = [fmt for _, fmt in sources]
    arrays = [x for x in operands if carries_codes(x)]
    by = steps.checked(name).format(name)
    target, profile = _where(name, arrays, given["result"], given["profile"])
    task = _task(target, profile, given["rounding"], given["overflow"])
    through = task.profile.through is Through.FLOAT32
    if through and given["return_flags"]:
        raise ValueError(f"{name}: a profile with through='float32' rounds twice: it has no flags")
    inexact = {"mean": "divide", "dot": "multiply"}.get(name, "add")
    _check_wrap(inexact, formats if by is None else [by], task)
    rows = _rows(name, [codes for codes, _ in sources], axis, keepdims)
    out = given["out"]
    if out is not None:
        check_out(out, rows.shape, np.dtype(target.code_dtype))
    offset = given["rng_offset"]
    randoms, key = randomness(task.profile.rounding, given["rng"], given["random_bits"], offset, rows.shape)
    work = functools.partial(_sums, name, rows, formats, flags_wanted=given["return_flags"])
    if by is not None:
        own = find_profile(given["profile"]) if given["profile"] is not None else _rules_of(by, target, profile, arrays)
        by_task = _task(by, own, given["rounding"], given["overflow"])
        if by_task.profile.through is Through.FLOAT32:
            raise ValueError(f"{name}: steps in {by.name} with through='float32' round twice: say another profile=")
        _check_wrap("fma" if name == "dot" else "add", [*formats, by], by_task)
        if randoms.size:
            raise ValueError(f"{name}: random_bits are one for each result, not for each step: use rng")
        partial, raised = _steps(name, rows, formats, by_task, steps, key, offset, given["return_flags"])
        work = functools.partial(_finish, name, rows.length, partial, raised, by_task, rows.shape)
    if through:  # for tools that round twice: the result in float32 to nearest even, which is then cast
        float32 = _task(_FLOAT32, find_profile("ieee"), None, None)
        first, _ = work(task=float32, randoms=randoms[:0], key=0, first=0)
        how = {option: given[option] for option in ("rng", "random_bits", "rng_offset")}
        plain = task.profile.replace(through="none")
        codes, bits = encode(first, target, source="float32", profile=plain, **how), _NO_FLAGS
    else:
        codes, bits = work(task=task, randoms=randoms, key=key, first=offset)
    if out is not None:
        out[...] = codes
        found: Any = out
    elif arrays:
        found = arrays[0].__class__(codes, target, profile)
    else:
        found = decode(codes, target)
    return (found, Flags(bits)) if given["return_flags"] else found


def _rules_of(by: Format, target: Format, profile: Profile, arrays: list[Coded]) -> Profile:
    """The steps' rules where the caller names none."""
    if by == target:
        return profile
    alike = [array.profile for array in arrays if array.format == by]
    return alike[0] if alike else by.profile


def _span(fmt: FloatFormat | IntFormat) -> int:
    """How many bits the values of a format take as multiples of its quantum."""
    if isinstance(fmt, IntFormat):
        return fmt.bits
    significand, exponent = fmt.scaled(fmt.max_code)
    return exponent + significand.bit_length() - fmt.quantum_exponent


def _digits(name: str, formats: list[FloatFormat | IntFormat], length: int) -> int:
    """The accumulator's digits of 32 bits: for all terms, their number's carries, a sign, and what a term touches."""
    bits = builtins.sum(_span(fmt) for fmt in formats)
    found = max(bits + length.bit_length() + 2, bits + 5 * 32) // 32 + 2
    if found > _DIGITS:
        names = " and ".join(fmt.name for fmt in formats)
        raise ValueError(f"{name}: exact sums of {names} need {bits} bits: use accumulate=")
    return found


def _sums(
    name: str,
    rows: Rows,
    formats: list[FloatFormat | IntFormat],
    *,
    task: Task,
    randoms: NDArray[Any],
    key: int,
    first: int,
    flags_wanted: bool,
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Exact sums, each rounded once: codes and flags."""
    from fpemu.kernels.reductions import exact_loop

    loop = exact_loop(name == "dot")
    every = name == "cumsum"
    results = rows.length if every else 1
    count = int(np.prod(rows.shape, dtype=int))
    digits = _digits(name, formats, rows.length)
    out = np.empty(count, task.target.code_dtype)
    flags = np.zeros(count if flags_wanted else 0, np.uint8)
    specs = formats[0].spec, formats[-1].spec

    def piece(start: int, stop: int) -> None:
        x, y = (codes[start * rows.length : stop * rows.length] for codes in (rows.codes[0], rows.codes[-1]))
        here = slice(start * results, stop * results)
        loop(
            *(x, y, rows.length, *specs, digits, _OFTEN, every, name == "mean"),
            *(task.target.spec, task.rules, task.tiny, randoms, np.uint64(key), np.uint64(first)),
            *(rows.inner, start, out[here], flags[here]),
        )

    in_pieces(piece, count // results if results else 0)
    return rows.back(out, every), rows.back(flags, every) if flags_wanted else _NO_FLAGS


def _steps(
    name: str,
    rows: Rows,
    formats: list[FloatFormat | IntFormat],
    task: Task,
    steps: Steps,
    key: int,
    first: int,
    flags_wanted: bool,
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Sums rounded at every step: codes of the steps' format, in the result's shape, and flags."""
    every = name == "cumsum"
    results = rows.length if every else 1
    count = int(np.prod(rows.shape, dtype=int))
    number = count // results if results else 0
    out = np.empty(count, task.target.code_dtype)
    flags = np.zeros(count if flags_wanted else 0, np.uint8)
    again = np.ones(number, bool)
    if name != "dot" and not flags_wanted and steps.summation != "pairwise" and rows.length:
        again = _by_fpu(rows, formats[0], task, _block(steps, rows.length), every, out, again)
    if again.all():
        _general(name, rows.codes, rows.length, formats, task, steps, every, key, first, 0, out, flags)
    else:
        for row in np.flatnonzero(again).tolist():
            place = slice(row * rows.length, (row + 1) * rows.length)
            codes = [part[place] for part in rows.codes]
            here = out[row * results : (row + 1) * results]
            _general(name, codes, rows.length, formats, task, steps, every, key, first, row, here, flags)
    return rows.back(out, every), rows.back(flags, every) if flags_wanted else _NO_FLAGS


def _block(steps: Steps, length: int) -> int:
    """How many numbers are added up one after the other."""
    if steps.summation == "pairwise":
        return 1
    if steps.summation == "sequential":
        return max(length, 1)
    return min(int(steps.summation), max(length, 1))


def _general(
    name: str,
    codes: list[NDArray[Any]],
    length: int,
    formats: list[FloatFormat | IntFormat],
    task: Task,
    steps: Steps,
    every: bool,
    key: int,
    first: int,
    row: int,
    out: NDArray[Any],
    flags: NDArray[np.uint8],
) -> None:
    """Steps by the kernel for all formats and rules, for some rows from number `row` on."""
    from fpemu.kernels.reductions import accumulate_array

    one = np.array([_ONE], np.uint32)
    x, y = (codes[0], codes[1]) if name == "dot" else (codes[0], one)
    specs = formats[0].spec, formats[1].spec if name == "dot" else _FLOAT32.spec
    step = int(name == "dot")
    results = length if every else 1

    def piece(start: int, stop: int) -> None:
        numbers = slice(start * length, stop * length)
        here = slice(start * results, stop * results)
        accumulate_array(
            *(x[numbers], y[numbers] if step else y, step, length, *specs, np.uint64(_ONE), _FLOAT32.spec),
            *(_block(steps, length), steps.summation == "pairwise", steps.products == "rounded", every),
            *(task.target.spec, task.rules, task.tiny, np.uint64(key ^ _STEPS_KEY), np.uint64(first + row + start)),
            *(out[here], flags[here]),
        )

    in_pieces(piece, out.size // results if results else 0)


class Carrier(NamedTuple):
    """A float of the FPU that does a format's steps: the format it is, and the numbers that `float_steps_array` takes."""

    float: FloatFormat
    words: NDArray[Any]


@functools.lru_cache(maxsize=256)
def _carrier(by: FloatFormat | IntFormat, rules: Profile, source: FloatFormat | IntFormat) -> Carrier | None:
    """The FPU's float whose sums of the format's values may be rounded twice; see `fpemu.kernels.reductions`."""
    if not isinstance(by, FloatFormat) or not (by.signed and by.subnormals and by.zero and by.has("negative_zero")):
        return None
    kept = (rules.rounding, rules.subnormals_in, rules.subnormals_out, rules.negative_zero) == (
        *(Rounding.NEAREST_EVEN, SubnormalsIn.KEEP, SubnormalsOut.KEEP, NegativeZero.KEEP),
    )
    if not kept or by.precision < 2 or not holds(by, source):
        return None
    for wide in (_FLOAT32, _FLOAT64):
        shift = wide.precision - by.precision
        same = by.codes_key == wide.codes_key
        if not same and (wide.precision < 2 * by.precision + 2 or by.quantum_exponent < wide.quantum_exponent + shift):
            continue
        if not holds(wide, by):
            continue
        largest = int(encode(by.max_code, wide, source=by))
        mask = (1 << shift) - 1
        limit = largest + (mask >> 1) + (shift > 0 and not (largest >> shift) & 1)  # a tie goes down from an even code
        return Carrier(wide, np.array([shift, shift > 0, limit], wide.code_dtype))
    return None


def _by_fpu(
    rows: Rows,
    source: FloatFormat | IntFormat,
    task: Task,
    block: int,
    every: bool,
    out: NDArray[Any],
    again: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Sequential sums by the FPU where that is as good; which rows are still to be done."""
    assert not isinstance(task.target, TableFormat)
    found = _carrier(task.target, task.profile, source)
    if found is None:
        return again
    from fpemu.kernels.reductions import float_steps_array

    x = np.asarray(encode(rows.codes[0], found.float, source=source))
    sums = np.empty(out.size, x.dtype)
    left = np.zeros(again.size, bool)
    results = rows.length if every else 1
    fit = []

    def piece(start: int, stop: int) -> None:
        numbers, here = slice(start * rows.length, stop * rows.length), slice(start * results, stop * results)
        done = float_steps_array(
            x[numbers], rows.length, block, every, found.words, _PROBE, sums[here], left[start:stop]
        )
        fit.append(done)

    in_pieces(piece, again.size)
    if not all(fit):
        return again
    out[...] = encode(sums, task.target, source=found.float, profile=task.profile)
    return left


def _finish(
    name: str,
    length: int,
    codes: NDArray[Any],
    raised: NDArray[np.uint8],
    by: Task,
    shape: tuple[int, ...],
    *,
    task: Task,
    randoms: NDArray[Any],
    key: int,
    first: int,
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """What has been accumulated, in the result's format."""
    if name != "mean" and task[:2] == by[:2]:
        return codes, raised
    second: tuple[NDArray[Any], FloatFormat | IntFormat] = (np.array(_ONE, np.uint32), _FLOAT32)
    if name == "mean":
        second = np.array(length, np.uint64), _UINT64
    last = "divide" if name == "mean" else "multiply"
    sources = [(codes, by.target), second]
    found, happened = _run(last, sources, task, shape, randoms, key, first, raised.size > 0)
    return found, happened | raised if raised.size else raised


def _known(name: str) -> Any:
    return find_format(name)


_ONE = 0x3F800000  # float32's code of 1
_FLOAT32: FloatFormat = _known("float32")
_FLOAT64: FloatFormat = _known("float64")
_UINT64: IntFormat = _known("uint64")

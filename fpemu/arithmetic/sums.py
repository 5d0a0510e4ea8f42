"""Sums, means, dot products and running sums: exact and rounded once, or rounded at every step in a stated order."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpemu.arithmetic.accumulation import (
    DOTS,
    Summation,
    as_rows,
    describe_sum,
    exact_sums,
    round_to_result,
    sum_in_steps,
)
from fpemu.arithmetic.axes import Axis, one_axis, switch
from fpemu.arithmetic.flags import Flags, active_modes, check
from fpemu.arithmetic.operation import NO_FLAGS, as_operands, refuse_flags_of_double_rounding, resolve_result
from fpemu.arithmetic.options import DEFAULTS, OPTIONS_TEXT, Options, check_options
from fpemu.arithmetic.task import refuse_inexact_wrap, resolve_target
from fpemu.casting import Coded, carries_codes, decode, encode
from fpemu.casting.buffers import check_out
from fpemu.casting.stochastic import NO_RANDOMS, randomness, shared_generator, sharing
from fpemu.formats import FLOAT32, Format, Profile
from fpemu.formats import profile as find_profile
from fpemu.formats.rules import Stochastic, Through

__all__ = ["cumsum", "dot", "mean", "sum", "vecdot"]

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
# Parameters that reductions have beside the options of operations
_OWN = {
    **dict.fromkeys(("sum", "mean"), ("axis", "keepdims", "accumulate", "summation")),
    "cumsum": ("axis", "accumulate"),
    "dot": ("accumulate", "summation", "products"),
    "vecdot": ("axis", "accumulate", "summation", "products"),
}
_TEXTS = {"{axis}": _AXIS, "{running axis}": _RUNNING_AXIS, "{dot axis}": _DOT_AXIS, "{products}": _PRODUCTS}


def _documented(function: Callable[..., Any]) -> Callable[..., Any]:
    """Fill in what reductions and all operations have in common, in the docstring and in the signature."""
    own = [p for p in inspect.signature(function).parameters.values() if p.kind is not p.VAR_KEYWORD]
    kinds = Options.__annotations__
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kinds[name])
        for name, default in DEFAULTS.items()
    ]
    text = function.__doc__ or ""  # python -OO leaves none
    for mark, said in {
        **_TEXTS,
        "{steps}": _STEPS,
        "{summation}": _SUMMATION,
        "{options}": OPTIONS_TEXT,
    }.items():
        text = text.replace(mark, said.lstrip())
    function.__doc__ = text
    function.__signature__ = inspect.Signature([*own, *options], return_annotation="Any")  # type: ignore[attr-defined]
    return function


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
    return _reduce("sum", (x,), axis, keepdims, Summation(accumulate, summation), options)


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
    return _reduce("mean", (x,), axis, keepdims, Summation(accumulate, summation), options)


@_documented
def dot(
    x: ArrayLike | Coded,
    y: ArrayLike | Coded,
    *,
    accumulate: Any = None,
    summation: str | int = "sequential",
    products: str = "exact",
    **options: Unpack[Options],
) -> Any:
    """The dot product of two vectors: the exact sum of the exact products, rounded once, or step by step.

    It is numpy's `dot` of operands of one dimension; all others are refused.

    Parameters
    ----------
    x, y : array_like or Array
        Numbers, which are exactly their values, or codes with a format; of one dimension.
    {steps}
    {summation}
    {products}
    {options}

    See Also
    --------
    vecdot : of arrays of more dimensions, along an axis.
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
    if "axis" in options:
        raise TypeError("dot: vectors have one axis: along an axis of more, use vecdot(x, y, axis=...)")
    return _reduce("dot", (x, y), -1, False, Summation(accumulate, summation, products), options)


@_documented
def vecdot(
    x: ArrayLike | Coded,
    y: ArrayLike | Coded,
    *,
    axis: int = -1,
    accumulate: Any = None,
    summation: str | int = "sequential",
    products: str = "exact",
    **options: Unpack[Options],
) -> Any:
    """The dot products of the vectors along an axis: exact sums of exact products, rounded once, or step by step.

    It is numpy's and the array API's `vecdot`; formats have no complex numbers, so nothing is conjugated.

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
    dot : of two vectors.
    fma : one step.

    Notes
    -----
    Python array API standard 2023.12, vecdot; IEEE 754-2019 clause 9.4.  Zero times infinity is invalid.  With
    `accumulate` the first step is the first product, rounded.  A matrix product is this of A[:, np.newaxis, :] and B.T.

    Examples
    --------
    >>> import fpemu as fe, numpy as np
    >>> a, b = fe.array([[1.0, 2.0], [3.0, 4.0]], "float16"), fe.array([[5.0, 6.0], [7.0, 8.0]], "float16")
    >>> fe.vecdot(a, b)
    Array([17., 53.], format='float16')
    >>> fe.vecdot(a[:, np.newaxis, :], b.T)  # the matrix product
    Array([[19., 22.],
           [43., 50.]], format='float16')
    """
    along = one_axis("vecdot", axis, none=False)
    return _reduce("vecdot", (x, y), along, False, Summation(accumulate, summation, products), options)


@_documented
def cumsum(x: ArrayLike | Coded, *, axis: int | None = None, accumulate: Any = None, **options: Unpack[Options]) -> Any:
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
    return _reduce("cumsum", (x,), one_axis("cumsum", axis), False, Summation(accumulate), options)


def _reduce(
    name: str, operands: tuple[Any, ...], axis: Axis, keepdims: bool, steps: Summation, options: Options
) -> Any:
    """One reduction."""
    check_options(name, options, [*DEFAULTS, *_OWN[name]])
    given: dict[str, Any] = {**DEFAULTS, **options}
    sources, rests = as_operands(operands)
    formats = tuple(fmt for _, fmt in sources)
    arrays = [x for x in operands if carries_codes(x)]
    by = steps.checked(name).format(name)
    target, profile = resolve_result(name, arrays, given["result"], given["profile"])
    task = resolve_target(name, formats, target, profile, given["rounding"], given["overflow"])
    through, wanted = task.profile.through is Through.FLOAT32, active_modes()
    switch(name, "return_flags", given["return_flags"])
    refuse_flags_of_double_rounding(name, task.profile, given["return_flags"], wanted)
    flags_wanted = given["return_flags"] or wanted is not None
    inexact = {"mean": "divide", "dot": "multiply", "vecdot": "multiply"}.get(name, "add")
    refuse_inexact_wrap(inexact, formats if by is None else (by,), task)
    rows = as_rows(name, [codes for codes, _ in sources], axis, switch(name, "keepdims", keepdims))
    out = given["out"]
    if out is not None:
        check_out(out, rows.shape, np.dtype(target.code_dtype))
    rounding, by_task = task.profile.rounding, None
    if by is not None:
        own = find_profile(given["profile"]) if given["profile"] is not None else _rules_of(by, target, profile, arrays)
        by_task = resolve_target(name, formats, by, own, given["rounding"], given["overflow"])
        if by_task.profile.through is Through.FLOAT32:
            raise ValueError(f"{name}: steps in {by.name} with through='float32' round twice: say another profile=")
        refuse_inexact_wrap("fma" if name in DOTS else "add", (*formats, by), by_task)
        if given["random_bits"] is not None:
            raise ValueError(f"{name}: random_bits are one for each result, not for each step: use rng")
        if isinstance(by_task.profile.rounding, Stochastic):  # then rng is used, whatever the last rounding is
            rounding = by_task.profile.rounding
    drawn = given["random_bits"] if given["rng"] is None else given["rng"]
    offset, generator = given["rng_offset"], shared_generator(name, arrays, drawn)
    if given["rng"] is None and given["random_bits"] is None and isinstance(rounding, Stochastic):
        given["rng"] = generator
    randoms = randomness(rounding, given["rng"], given["random_bits"], offset, rows.shape)
    work = functools.partial(exact_sums, name, rows, formats, flags_wanted=flags_wanted)
    slots: list[NDArray[np.intp]] = []
    if rests:
        from fpemu.arithmetic import rational_sums

        slots = rational_sums.rest_rows(name, [codes.shape for codes, _ in sources], rests, axis)
        work = functools.partial(_right, work, rational_sums.exact_rows, name, rows, formats, rests, slots)
    if by_task is not None:
        partial, raised = sum_in_steps(name, rows, formats, by_task, steps, randoms, flags_wanted)
        if rests:
            done = partial, raised
            partial, raised = rational_sums.stepped_rows(
                name, rows, formats, rests, slots, done, by_task, steps, randoms
            )
        work = functools.partial(round_to_result, name, rows.length, partial, raised, by_task, rows.shape)
    if through:  # for tools that round twice: the result in float32 to nearest even, which is then cast
        float32 = resolve_target(name, formats, FLOAT32, find_profile("ieee"), None, None)
        first, _ = work(task=float32, randoms=NO_RANDOMS)
        plain = task.profile.replace(through="none")
        how = {option: given[option] for option in ("rng", "random_bits", "rng_offset")}
        if not isinstance(plain.rounding, Stochastic):
            how = {}
        codes, bits = encode(first, target, source="float32", profile=plain, **how), NO_FLAGS
    else:
        codes, bits = work(task=task, randoms=randoms)
    if wanted is not None:
        check(wanted, name, bits, lambda index: describe_sum(name, rows, formats, codes, target, index, rests, slots))
    if out is not None:
        out[...] = codes
        found: Any = out
    elif arrays:
        found = sharing(arrays[0].__class__(codes, target, profile), generator)
    else:
        found = decode(codes, target)
    return (found, Flags(bits)) if given["return_flags"] else found


def _right(work: Callable[..., Any], put_right: Callable[..., Any], *given: Any, **how: Any) -> Any:
    """Exact sums, those of rows with numbers that no format holds worked out in fractions."""
    return put_right(*given, work(**how), **how)


def _rules_of(by: Format, target: Format, profile: Profile, arrays: list[Coded]) -> Profile:
    """The steps' rules where the caller names none."""
    if by == target:
        return profile
    alike = [array.profile for array in arrays if array.format == by]
    return alike[0] if alike else by.profile

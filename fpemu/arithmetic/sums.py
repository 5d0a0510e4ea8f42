"""Sums, means, dot products and running sums: exact and rounded once, or rounded at every step in a stated order."""

from __future__ import annotations

import functools
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpemu.arithmetic.accumulation import (
    DOT_PRODUCTS,
    Summation,
    SumRows,
    as_rows,
    describe_sum,
    exact_sums,
    rest_rows,
    round_to_result,
    sum_in_steps,
)
from fpemu.arithmetic.axes import Axis, one_axis, switch
from fpemu.arithmetic.operation import Computation, OperationCall, Request, Results, run_rounded_operation
from fpemu.arithmetic.options import DEFAULTS, OPERAND, OPTIONS_TEXT, Options, fill
from fpemu.arithmetic.task import Target, refuse_inexact_wrap, resolve_target
from fpemu.casting import Coded
from fpemu.formats import FloatFormat, Format, IntFormat, Profile
from fpemu.formats import profile as find_profile
from fpemu.formats.keywords import F
from fpemu.formats.rules import Stochastic, Through

__all__ = ["cumsum", "dot", "mean", "sum", "vecdot"]

# Parameters that reductions have and other operations lack
_OWN_OPTIONS = {
    **dict.fromkeys(("sum", "mean"), ("axis", "keepdims", "accumulate", "summation")),
    "cumsum": ("axis", "accumulate"),
    "dot": ("accumulate", "summation", "products"),
    "vecdot": ("axis", "accumulate", "summation", "products"),
}
_REDUCTION_TEXTS = {
    "x": f"x : {OPERAND}.",
    "axis": """axis : None, int or tuple of int
        Axes to sum along; default all.
    keepdims : bool
        Whether to keep these axes, of length 1.""",
    "running axis": """axis : None or int
        Axis to sum along; default the elements in C order, where there is more than one axis.""",
    "dot axis": """axis : int
        Axis of the vectors in both operands, which are broadcast against each other; default the last.""",
    "steps": """accumulate : str, Format or dtype, optional
        Round every step to this format, instead of the exact result once.  Its rules are `profile`'s if given, else
        the result's if that has this format, else its own; `rounding` and `overflow` apply to them.""",
    "summation": """summation : "sequential", "pairwise" or int
        The order of the steps: acc = round(acc + x) by index, from the rounded first term; pairs of neighbours, then
        pairs of their sums, where a last one without a neighbour waits; or runs of this many terms, each sequentially,
        then their sums sequentially.""",
    "products": """products : "exact" or "rounded"
        With `accumulate`: acc = fma(x, y, acc), or each product rounded first, then added.""",
    "options": OPTIONS_TEXT,
}


def _reduction_documented(function: F) -> F:
    """Fill in the texts that reductions share, and the options in the signature."""
    return fill(function, _REDUCTION_TEXTS, DEFAULTS)


@_reduction_documented
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
    {x}
    {axis}
    {steps}
    {summation}
    {options}

    See Also
    --------
    add : the sum of two numbers.
    cumsum : the partial sums.

    Notes
    -----
    IEEE 754-2019 clause 9.4, which leaves the order and the rounding open.  The exact sum and its flags do not depend
    on the order.  An empty sum is +0; a sum that is exactly zero has its terms' sign if they all have the same, else it
    is +0, or -0 when rounding toward negative, as 6.3 has it for two terms.  With `accumulate` the flags are those of
    all steps.

    Stochastic rounding of an exact sum takes the random integer at the result's index; steps have a separate stream.

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
    return _reduce("sum", (x,), options, Summation(accumulate, summation), axis, keepdims)


@_reduction_documented
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
    {x}
    {axis}
    {steps}
    {summation}
    {options}

    See Also
    --------
    sum : without the division.

    Notes
    -----
    With `accumulate` the sum is rounded to that format, and its quotient once to the result's.  The mean of no numbers,
    0 / 0, is invalid.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.mean([1.0, 2.0, 2.0], result="float16")
    np.float32(1.6669922)
    >>> fe.mean(fe.array([[448.0, 448.0], [448.0, 0.0]], "float8_e4m3fn"), axis=1)
    Array([448., 224.], format='float8_e4m3fn')
    """
    return _reduce("mean", (x,), options, Summation(accumulate, summation), axis, keepdims)


@_reduction_documented
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

    This is numpy's `dot` for one-dimensional operands; other operands are refused.

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
    vecdot : along an axis of arrays of more dimensions.
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
    return _reduce("dot", (x, y), options, Summation(accumulate, summation, products), -1)


@_reduction_documented
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

    This is numpy's and the array API's `vecdot`; there are no complex numbers, so no operand is conjugated.

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
    `accumulate` the first step is the first product, rounded.  A matrix product is
    ``vecdot(A[:, np.newaxis, :], B.T)``.

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
    return _reduce("vecdot", (x, y), options, Summation(accumulate, summation, products), along)


@_reduction_documented
def cumsum(x: ArrayLike | Coded, *, axis: int | None = None, accumulate: Any = None, **options: Unpack[Options]) -> Any:
    """The partial sums of an array's elements, each rounded once from the exact sum.

    Parameters
    ----------
    {x}
    {running axis}
    {steps}
    {options}

    See Also
    --------
    sum : the last of them.

    Notes
    -----
    With `accumulate` each step is rounded, sequentially, and an element's flags are those of all steps up to it.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.cumsum([0.1, 0.2, 0.3], result="bfloat16")
    array([0.10009766, 0.30078125, 0.6015625 ], dtype=float32)
    >>> fe.cumsum([256.0, 1.0, 1.0, 1.0], result="bfloat16", accumulate="bfloat16")
    array([256., 256., 256., 256.], dtype=float32)
    """
    return _reduce("cumsum", (x,), options, Summation(accumulate), one_axis("cumsum", axis))


def _reduce(
    name: str,
    operands: tuple[Any, ...],
    options: Options,
    summation: Summation,
    axis: Axis = None,
    keepdims: bool = False,
) -> Any:
    """One reduction: the exact result rounded once, or every step."""
    by = summation.checked(name).format(name)

    def prepare(request: Request, target: Target, profile: Profile) -> Computation:
        inexact = {"mean": "divide", "dot": "multiply", "vecdot": "multiply"}.get(name, "add")
        refuse_inexact_wrap(inexact, request.formats if by is None else (by,), target)
        rows = as_rows(name, [codes for codes, _ in request.sources], axis, switch(name, "keepdims", keepdims))
        slots: list[NDArray[np.intp]] = []
        if request.rests:
            slots = rest_rows(name, [codes.shape for codes, _ in request.sources], request.rests, axis)
        rounding, steps = target.profile.rounding, None
        if by is not None:
            steps = _steps_target(request, by, target.format, profile, options)
            if isinstance(steps.profile.rounding, Stochastic):  # then rng is used, whatever the last rounding
                rounding = steps.profile.rounding
        compute = functools.partial(_compute_sums, rows, slots, summation, steps)
        return Computation(rows.shape, rounding, compute, functools.partial(describe_sum, rows, slots))

    return run_rounded_operation(name, operands, options, prepare, _OWN_OPTIONS[name])


def _compute_sums(
    rows: SumRows, slots: list[NDArray[np.intp]], summation: Summation, steps: Target | None, call: OperationCall
) -> Results:
    """Exact sums, or sums in steps; those of rows with numbers that no format holds in fractions."""
    if slots:
        from fpemu.arithmetic import rational_sums
    if steps is None:
        results = exact_sums(call, rows)
        return rational_sums.exact_rows(call, rows, slots, results) if slots else results
    in_steps = call._replace(target=steps)
    results = sum_in_steps(in_steps, rows, summation)
    if slots:
        results = rational_sums.stepped_rows(in_steps, rows, slots, results, summation)
    return round_to_result(call, rows.length, steps, results)


def _steps_target(
    request: Request, by: FloatFormat | IntFormat, fmt: Format, profile: Profile, options: Options
) -> Target:
    """The target of the steps: the caller's profile, else the result's or the Arrays' one if they have its format."""
    name, given = request.name, options.get("profile")
    if given is not None:
        profile = find_profile(given)
    elif by != fmt:
        profile = next((array.profile for array in request.arrays if array.format == by), by.profile)
    steps = resolve_target(name, request.formats, by, profile, options.get("rounding"), options.get("overflow"))
    if steps.profile.through is Through.FLOAT32:
        raise ValueError(f"{name}: steps in {by.name} with through='float32' round twice: use another profile=")
    refuse_inexact_wrap("fma" if name in DOT_PRODUCTS else "add", (*request.formats, by), steps)
    if options.get("random_bits") is not None:
        raise ValueError(f"{name}: random_bits are one for each result, not for each step: use rng")
    return steps

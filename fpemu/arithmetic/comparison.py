"""Exact comparisons of numbers of any formats: predicates, total order, minimum and maximum."""

from __future__ import annotations

import functools
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpemu.arithmetic.operation import (
    NO_FLAGS,
    Procedure,
    Request,
    Results,
    broadcast,
    operands_text,
    operate,
    run_operation,
)
from fpemu.arithmetic.options import OPERAND, Options, checked_bool, documented, fill
from fpemu.arithmetic.task import Variant
from fpemu.casting import Coded
from fpemu.casting.buffers import cache_chunks, flat, for_each_chunk
from fpemu.casting.lowering import Rules, operand_rules
from fpemu.formats import Profile
from fpemu.formats import profile as find_profile
from fpemu.formats.keywords import F
from fpemu.formats.lookup import choose
from fpemu.formats.rules import Extremum
from fpemu.kernels import columns, opcodes
from fpemu.kernels.spec import NO_RULES

__all__ = [
    "equal",
    "greater",
    "greater_equal",
    "less",
    "less_equal",
    "maximum",
    "maximum_number",
    "minimum",
    "minimum_number",
    "not_equal",
    "total_order",
    "total_order_magnitude",
    "unordered",
]

# Which operands are invalid
_SIGNALLING, _NAN, _NONE = "a signalling NaN", "a NaN, quiet or signalling", "nothing"

# Comparisons of two kinds, and whether a quiet NaN is invalid by default
SIGNALING = {
    **{"equal": False, "not_equal": False},
    **{"less": True, "less_equal": True, "greater": True, "greater_equal": True},
}

_LESS_EQUAL = opcodes.LESS, opcodes.EQUAL
# name -> (kernel, orders for which the predicate is true, invalid operands)
_PREDICATES: dict[str, tuple[int, tuple[int, ...], str]] = {
    "equal": (opcodes.COMPARE, (opcodes.EQUAL,), _SIGNALLING),
    "not_equal": (opcodes.COMPARE, (opcodes.LESS, opcodes.GREATER, opcodes.UNORDERED), _SIGNALLING),
    "less": (opcodes.COMPARE, (opcodes.LESS,), _NAN),
    "less_equal": (opcodes.COMPARE, _LESS_EQUAL, _NAN),
    "greater": (opcodes.COMPARE, (opcodes.GREATER,), _NAN),
    "greater_equal": (opcodes.COMPARE, (opcodes.GREATER, opcodes.EQUAL), _NAN),
    "unordered": (opcodes.COMPARE, (opcodes.UNORDERED,), _SIGNALLING),
    "total_order": (opcodes.TOTAL_ORDER, _LESS_EQUAL, _NONE),
    "total_order_magnitude": (opcodes.TOTAL_ORDER_MAGNITUDE, _LESS_EQUAL, _NONE),
}

_COMPARISON_TEXT = f"""Parameters
    ----------
    x, y : {OPERAND}; broadcast against each other.
    {{options}}return_flags : bool
        Whether to return the flags too.
    out : numpy.ndarray of bool, optional
        Array for the result.

    Returns
    -------
    numpy.ndarray of bool or numpy.bool
        Where x or y is NaN: {{nan}}.
    Flags
        Only with `return_flags`; invalid is {{invalid}}.

    Raises
    ------
    TypeError
        If an operand holds no real numbers, or `out` is not an array of bool.
    ValueError
        If the shapes do not broadcast, a name is unknown, or `out` does not fit.{{error}}"""

_PROFILE = """profile : str or Profile, optional
        Its `subnormals_in` decides which subnormals count as zero; default: none, whatever profile an Array has.
    """

_SIGNALING = """signaling : bool
        Whether a quiet NaN raises invalid too; a signalling one always does.
    """
# IEEE 754-2019's other names for negations of the predicates, table 5.2
_NEGATED = {
    "less": ("compareSignalingNotLess", "compareQuietNotLess"),
    "less_equal": ("compareSignalingGreaterUnordered", "compareQuietGreaterUnordered"),
    "greater": ("compareSignalingNotGreater", "compareQuietNotGreater"),
    "greater_equal": ("compareSignalingLessUnordered", "compareQuietLessUnordered"),
}
_ERROR = """
    FloatingPointError
        If invalid is raised and is an error in this context; see `errstate`."""


def _compared(function: F) -> F:
    """Fill in the texts that comparisons share."""
    name = function.__name__
    _, true_orders, invalid = _PREDICATES[name]
    nan = "ordered by its sign and payload" if invalid == _NONE else str(opcodes.UNORDERED in true_orders)
    if name in SIGNALING:
        invalid = f"{_NAN} with `signaling`, else {_SIGNALLING}"
    options = _SIGNALING + _PROFILE if name in SIGNALING else ""
    error = "" if invalid == _NONE else _ERROR
    negated = "  Their negations are {} and {}.".format(*_NEGATED[name]) if name in _NEGATED else ""
    parameters = _COMPARISON_TEXT.format(nan=nan, invalid=invalid, error=error, options=options)
    return fill(function, {"parameters": parameters, "negated": negated})


@_compared
def equal(
    x: ArrayLike | Coded,
    y: ArrayLike | Coded,
    *,
    signaling: bool = False,
    profile: str | Profile | None = None,
    return_flags: bool = False,
    out: NDArray[Any] | None = None,
) -> Any:
    """Equal: x == y; -0 equals +0.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clause 5.11: compareQuietEqual, with ``signaling=True`` compareSignalingEqual.{negated}

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.equal(fe.array([0.1, 0.5], "bfloat16"), [0.1, 0.5])
    array([False,  True])
    """
    return _compare("equal", x, y, return_flags, out, signaling, profile)


@_compared
def not_equal(
    x: ArrayLike | Coded,
    y: ArrayLike | Coded,
    *,
    signaling: bool = False,
    profile: str | Profile | None = None,
    return_flags: bool = False,
    out: NDArray[Any] | None = None,
) -> Any:
    """Not equal: x != y.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clause 5.11: compareQuietNotEqual, with ``signaling=True`` compareSignalingNotEqual.{negated}

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.not_equal([1.0, float("nan")], [1, float("nan")])
    array([False,  True])
    """
    return _compare("not_equal", x, y, return_flags, out, signaling, profile)


@_compared
def less(
    x: ArrayLike | Coded,
    y: ArrayLike | Coded,
    *,
    signaling: bool = True,
    profile: str | Profile | None = None,
    return_flags: bool = False,
    out: NDArray[Any] | None = None,
) -> Any:
    """Less: x < y.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clause 5.11: compareSignalingLess, with ``signaling=False`` compareQuietLess.{negated}

    Examples
    --------
    >>> import fpemu as fe
    >>> import numpy as np
    >>> fe.less(2**53, np.int64(2**53 + 1))
    np.True_
    """
    return _compare("less", x, y, return_flags, out, signaling, profile)


@_compared
def less_equal(
    x: ArrayLike | Coded,
    y: ArrayLike | Coded,
    *,
    signaling: bool = True,
    profile: str | Profile | None = None,
    return_flags: bool = False,
    out: NDArray[Any] | None = None,
) -> Any:
    """Less or equal: x <= y.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clause 5.11: compareSignalingLessEqual, with ``signaling=False`` compareQuietLessEqual.{negated}

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.less_equal([1.0, 2.0, -0.0], [1.0, 1.0, 0.0])
    array([ True, False,  True])
    """
    return _compare("less_equal", x, y, return_flags, out, signaling, profile)


@_compared
def greater(
    x: ArrayLike | Coded,
    y: ArrayLike | Coded,
    *,
    signaling: bool = True,
    profile: str | Profile | None = None,
    return_flags: bool = False,
    out: NDArray[Any] | None = None,
) -> Any:
    """Greater: x > y.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clause 5.11: compareSignalingGreater, with ``signaling=False`` compareQuietGreater.{negated}

    Examples
    --------
    >>> import fpemu as fe
    >>> larger, flags = fe.greater([2.0, float("nan")], 1.0, return_flags=True)
    >>> larger, flags.invalid
    (array([ True, False]), array([False,  True]))
    """
    return _compare("greater", x, y, return_flags, out, signaling, profile)


@_compared
def greater_equal(
    x: ArrayLike | Coded,
    y: ArrayLike | Coded,
    *,
    signaling: bool = True,
    profile: str | Profile | None = None,
    return_flags: bool = False,
    out: NDArray[Any] | None = None,
) -> Any:
    """Greater or equal: x >= y.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clause 5.11: compareSignalingGreaterEqual, with ``signaling=False`` compareQuietGreaterEqual.{negated}

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.greater_equal(fe.array(1.0, "int8"), fe.array(0.75, "float16"))
    np.True_
    """
    return _compare("greater_equal", x, y, return_flags, out, signaling, profile)


@_compared
def unordered(
    x: ArrayLike | Coded, y: ArrayLike | Coded, *, return_flags: bool = False, out: NDArray[Any] | None = None
) -> Any:
    """Unordered: whether x or y is NaN.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clause 5.11, compareQuietUnordered.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.unordered([1.0, float("nan")], 2.0)
    array([False,  True])
    """
    return _compare("unordered", x, y, return_flags, out)


@_compared
def total_order(
    x: ArrayLike | Coded, y: ArrayLike | Coded, *, return_flags: bool = False, out: NDArray[Any] | None = None
) -> Any:
    """Total order: whether x precedes y or is identical to it.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clause 5.10: -0 before +0; -NaN before and +NaN after all numbers, the signalling nearer to them than
    the quiet, the smaller payload nearer than the larger; payloads of two formats are compared from their upper ends.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.total_order([-0.0, 0.0, float("nan")], [0.0, -0.0, 1.0])
    array([ True, False, False])
    """
    return _compare("total_order", x, y, return_flags, out)


@_compared
def total_order_magnitude(
    x: ArrayLike | Coded, y: ArrayLike | Coded, *, return_flags: bool = False, out: NDArray[Any] | None = None
) -> Any:
    """Total order of the absolute values: whether abs(x) precedes abs(y) or is identical to it.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clause 5.10.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.total_order_magnitude([-0.0, -2.0], [0.0, 1.0])
    array([ True, False])
    """
    return _compare("total_order_magnitude", x, y, return_flags, out)


@documented
def minimum(
    x: ArrayLike | Coded, y: ArrayLike | Coded, *, extremum: str | Extremum = "2019", **options: Unpack[Options]
) -> Any:
    """The smaller of x and y; NaN if either is.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clause 9.6, minimum: -0 is less than +0, and NaN if either is NaN.  ``extremum="2008"`` is
    minNum of IEEE 754-2008 clause 5.3.1: of a number and a quiet NaN the number, of a number and a signalling NaN a
    quiet NaN.  ``"arm"`` is FMINNM, which does the same and orders -0 below +0 (Arm Architecture Reference Manual,
    FPMinNum).  ``"x86"`` is MINPS: y where x or y is NaN, and where both are zeros; every NaN raises invalid,
    and y's NaN stays as it is (Intel 64 and IA-32 Software Developer's Manual, volume 2).

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.minimum([0.0, 1.0, float("nan")], [-0.0, 2.0, 3.0], result="float16")
    array([-0.,  1., nan], dtype=float32)
    >>> fe.minimum(1.0, float("nan"), result="float16", extremum="x86"), fe.minimum(
    ...     float("nan"), 1.0, result="float16", extremum="x86"
    ... )
    (np.float32(nan), np.float32(1.0))
    """
    return operate("minimum", (x, y), options, variant=Variant(extremum=choose(Extremum, extremum, "extremum")))


@documented
def maximum(
    x: ArrayLike | Coded, y: ArrayLike | Coded, *, extremum: str | Extremum = "2019", **options: Unpack[Options]
) -> Any:
    """The larger of x and y; NaN if either is.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clause 9.6, maximum: -0 is less than +0, and NaN if either is NaN.  ``extremum`` as in
    `minimum`: maxNum, FMAXNM and MAXPS.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.maximum([-0.0, 1.0, float("nan")], [0.0, 2.0, 3.0], result="float16")
    array([ 0.,  2., nan], dtype=float32)
    """
    return operate("maximum", (x, y), options, variant=Variant(extremum=choose(Extremum, extremum, "extremum")))


@documented
def minimum_number(x: ArrayLike | Coded, y: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """The smaller of x and y; a number rather than NaN.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clause 9.6, minimumNumber: -0 is less than +0; of a number and a NaN the result is the
    number, and a signalling NaN still raises invalid.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.minimum_number([2.0, float("nan")], [1.0, 3.0], result="float16")
    array([1., 3.], dtype=float32)
    """
    return operate("minimum_number", (x, y), options)


@documented
def maximum_number(x: ArrayLike | Coded, y: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """The larger of x and y; a number rather than NaN.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clause 9.6, maximumNumber: -0 is less than +0; of a number and a NaN the result is the
    number, and a signalling NaN still raises invalid.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.maximum_number([2.0, float("nan")], [1.0, 3.0], result="float16")
    array([2., 3.], dtype=float32)
    """
    return operate("maximum_number", (x, y), options)


@functools.cache
def _truth_table(orders: tuple[int, ...]) -> NDArray[np.bool_]:
    """For each order code, signalling or not, whether it is one of these orders."""
    return np.isin(np.arange(opcodes.SIGNALS * 2) % opcodes.SIGNALS, orders)


def _compare(
    name: str,
    x: Any,
    y: Any,
    return_flags: bool,
    out: NDArray[Any] | None,
    signaling: bool | None = None,
    profile: str | Profile | None = None,
) -> Any:
    """Whether x and y stand in one of a predicate's orders.

    `signaling`: whether a quiet NaN is invalid, None where the predicate decides; `profile`: for its `subnormals_in`.
    """
    which, true_orders, invalid = _PREDICATES[name]
    if name in SIGNALING:
        invalid = _NAN if checked_bool("signaling", signaling) else _SIGNALLING

    def procedure_for(request: Request) -> Procedure:
        (x_codes, _), (y_codes, _) = request.sources
        shape = broadcast(name, [x_codes, y_codes])

        def compute(_: NDArray[Any] | None) -> Results:
            rules = NO_RULES if profile is None else operand_rules(find_profile(profile))
            orders = _orders(which, request, shape, rules)
            bits = NO_FLAGS
            if request.flags_wanted:
                signals = orders >= opcodes.SIGNALS
                nans = orders % opcodes.SIGNALS == opcodes.UNORDERED
                raised = {_SIGNALLING: signals, _NAN: nans, _NONE: np.zeros(orders.size, np.bool_)}[invalid]
                bits = (raised * np.uint8(opcodes.INVALID_FLAG)).reshape(shape)
            return _truth_table(true_orders)[orders].reshape(shape), bits

        def describe(truth: NDArray[Any], index: tuple[int, ...]) -> str:
            return f"{name}({operands_text(request.sources, request.rests, shape, index)}) = {truth[index]}"

        return Procedure(shape, np.bool_, compute, describe, lambda truth: truth if truth.ndim else truth[()])

    return run_operation(name, (x, y), return_flags, out, procedure_for)


def _orders(which: int, request: Request, shape: tuple[int, ...], rules: Rules) -> NDArray[np.uint8]:
    """The order code of each pair of operands, one-dimensional."""
    from fpemu.kernels.cpu.operations import order_loop

    (x_codes, x_format), (y_codes, y_format) = request.sources
    x, y = flat(x_codes, shape), flat(y_codes, shape)
    orders = np.empty(x.size, np.uint8)
    loop = order_loop(which)

    def compute_chunk(start: int, stop: int) -> None:
        for begin, end in cache_chunks(start, stop):
            wide = (codes[begin:end].astype(np.uint64, copy=False) for codes in (x, y))
            loop(*wide, x_format.spec, y_format.spec, rules, orders[begin:end])

    for_each_chunk(compute_chunk, orders.size)
    if request.rests:
        _correct_orders(which, request, shape, rules, orders)
    return orders


def _correct_orders(
    which: int, request: Request, shape: tuple[int, ...], rules: Rules, orders: NDArray[np.uint8]
) -> None:
    """Correct the orders of numbers that no format holds; with a NaN they are right."""
    from fpemu.arithmetic.rationals import order, reals_at, slots_of

    sources, rests = request.sources, request.rests
    slots = [slots_of(rest, codes.shape, shape) for (codes, _), rest in zip(sources, rests, strict=True)]
    positions = np.flatnonzero(np.any(slots, axis=0) & (orders % opcodes.SIGNALS != opcodes.UNORDERED))
    operands = [
        reals_at(flat(codes, shape)[positions], fmt, rest, slot[positions], rules)
        for (codes, fmt), rest, slot in zip(sources, rests, slots, strict=True)
    ]
    order_codes = {-1: opcodes.LESS, 0: opcodes.EQUAL, 1: opcodes.GREATER}
    for position, x, y in zip(positions.tolist(), *operands, strict=True):
        if columns.NOT_A_NUMBER in (x.kind, y.kind):  # has its position in the total orders
            continue
        if which == opcodes.TOTAL_ORDER_MAGNITUDE:
            x, y = x.unsigned, y.unsigned
        orders[position] = order_codes[order(x, y)]

"""Comparisons of numbers of any formats, exact: the predicates, the total order, minimum and maximum."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpemu.arithmetic.axes import switch
from fpemu.arithmetic.flags import Flags, active_modes, check
from fpemu.arithmetic.operation import Rests, as_operands, broadcast, operands_text, operate
from fpemu.arithmetic.options import Options, checked_bool, documented
from fpemu.casting import Coded
from fpemu.casting.buffers import cache_chunks, check_out, flat, for_each_chunk
from fpemu.casting.lowering import Rules, operand_rules
from fpemu.formats import FloatFormat, IntFormat, Profile
from fpemu.formats import profile as find_profile
from fpemu.formats.lookup import choose
from fpemu.formats.rules import Extremum
from fpemu.kernels import columns
from fpemu.kernels import opcodes as operations
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

# Which NaN are invalid
_SIGNALLING, _NAN, _NONE = "a signalling NaN", "a NaN, quiet or signalling", "nothing"

# The comparisons that come in two kinds, and whether a quiet NaN is invalid if nobody says which
SIGNALING = {
    **{"equal": False, "not_equal": False},
    **{"less": True, "less_equal": True, "greater": True, "greater_equal": True},
}

_LESS_EQUAL = operations.LESS, operations.EQUAL
# name -> (which order, what of it is wanted, what is invalid)
_PREDICATES: dict[str, tuple[int, tuple[int, ...], str]] = {
    "equal": (operations.COMPARE, (operations.EQUAL,), _SIGNALLING),
    "not_equal": (operations.COMPARE, (operations.LESS, operations.GREATER, operations.UNORDERED), _SIGNALLING),
    "less": (operations.COMPARE, (operations.LESS,), _NAN),
    "less_equal": (operations.COMPARE, _LESS_EQUAL, _NAN),
    "greater": (operations.COMPARE, (operations.GREATER,), _NAN),
    "greater_equal": (operations.COMPARE, (operations.GREATER, operations.EQUAL), _NAN),
    "unordered": (operations.COMPARE, (operations.UNORDERED,), _SIGNALLING),
    "total_order": (operations.TOTAL_ORDER, _LESS_EQUAL, _NONE),
    "total_order_magnitude": (operations.TOTAL_ORDER_MAGNITUDE, _LESS_EQUAL, _NONE),
}

_PARAMETERS = """Parameters
    ----------
    x, y : array_like or Array
        Numbers, which are exactly their values, or codes with a format; broadcast against each other.
    {options}return_flags : bool
        Also give the flags.
    out : numpy.ndarray of bool, optional
        Where to put the result.

    Returns
    -------
    numpy.ndarray of bool or numpy.bool
        Where x or y is NaN: {nan}.
    Flags
        Only with `return_flags`; invalid is {invalid}.

    Raises
    ------
    TypeError
        If an operand holds no real numbers, or `out` is no array of bool.
    ValueError
        If the shapes do not broadcast, a name is unknown, or `out` does not fit.{error}"""

_PROFILE = """profile : str or Profile, optional
        Whose `subnormals_in` says which subnormals count as zero; default: none do, whatever profile an Array has.
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


def _compared(function: Callable[..., Any]) -> Callable[..., Any]:
    """Fill in what all comparisons have in common."""
    name = function.__name__
    _, wanted, invalid = _PREDICATES[name]
    total = "ordered by its sign and payload"
    nan = total if invalid == _NONE else str(operations.UNORDERED in wanted)
    if name in SIGNALING:
        invalid = f"{_NAN} with `signaling`, else {_SIGNALLING}"
    options = _SIGNALING + _PROFILE if name in SIGNALING else ""
    error = "" if invalid == _NONE else _ERROR
    text = _PARAMETERS.format(nan=nan, invalid=invalid, error=error, options=options)
    others = _NEGATED.get(name)
    negated = "" if others is None else f"  Their negations are {others[0]} and {others[1]}."
    doc = function.__doc__ or ""  # python -OO leaves none
    function.__doc__ = doc.replace("{parameters}", text).replace("{negated}", negated)
    return function


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
    """Equal: x == y; -0 and +0 are.

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
    return _ordered("equal", x, y, return_flags, out, signaling, profile)


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
    return _ordered("not_equal", x, y, return_flags, out, signaling, profile)


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
    return _ordered("less", x, y, return_flags, out, signaling, profile)


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
    return _ordered("less_equal", x, y, return_flags, out, signaling, profile)


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
    >>> found, flags = fe.greater([2.0, float("nan")], 1.0, return_flags=True)
    >>> found, flags.invalid
    (array([ True, False]), array([False,  True]))
    """
    return _ordered("greater", x, y, return_flags, out, signaling, profile)


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
    return _ordered("greater_equal", x, y, return_flags, out, signaling, profile)


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
    return _ordered("unordered", x, y, return_flags, out)


@_compared
def total_order(
    x: ArrayLike | Coded, y: ArrayLike | Coded, *, return_flags: bool = False, out: NDArray[Any] | None = None
) -> Any:
    """Total order: whether x comes before y or is the same.

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
    return _ordered("total_order", x, y, return_flags, out)


@_compared
def total_order_magnitude(
    x: ArrayLike | Coded, y: ArrayLike | Coded, *, return_flags: bool = False, out: NDArray[Any] | None = None
) -> Any:
    """Total order of the absolute values: whether abs(x) comes before abs(y) or is the same.

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
    return _ordered("total_order_magnitude", x, y, return_flags, out)


@documented
def minimum(
    x: ArrayLike | Coded, y: ArrayLike | Coded, *, extremum: str | Extremum = "2019", **options: Unpack[Options]
) -> Any:
    """The smaller one; NaN if either is.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clause 9.6, minimum: -0 is less than +0; of a number and a NaN it is NaN.  ``extremum="2008"`` is
    minNum of IEEE 754-2008 clause 5.3.1: of a number and a quiet NaN the number, of a number and a signalling NaN a
    quiet NaN.  ``"arm"`` is FMINNM, which does the same and says that -0 is less than +0 (Arm Architecture Reference
    Manual, FPMinNum).  ``"x86"`` is MINPS: y where x or y is NaN, and where both are zeros; every NaN raises invalid,
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
    return operate("minimum", (x, y), options, extremum=choose(Extremum, extremum, "extremum"))


@documented
def maximum(
    x: ArrayLike | Coded, y: ArrayLike | Coded, *, extremum: str | Extremum = "2019", **options: Unpack[Options]
) -> Any:
    """The larger one; NaN if either is.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clause 9.6, maximum: -0 is less than +0; of a number and a NaN it is NaN.  ``extremum`` as in
    `minimum`: maxNum, FMAXNM and MAXPS.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.maximum([-0.0, 1.0, float("nan")], [0.0, 2.0, 3.0], result="float16")
    array([ 0.,  2., nan], dtype=float32)
    """
    return operate("maximum", (x, y), options, extremum=choose(Extremum, extremum, "extremum"))


@documented
def minimum_number(x: ArrayLike | Coded, y: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """The smaller one; a number rather than NaN.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clause 9.6, minimumNumber: -0 is less than +0; of a number and a NaN it is the number, and
    a signalling NaN still raises invalid.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.minimum_number([2.0, float("nan")], [1.0, 3.0], result="float16")
    array([1., 3.], dtype=float32)
    """
    return operate("minimum_number", (x, y), options)


@documented
def maximum_number(x: ArrayLike | Coded, y: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """The larger one; a number rather than NaN.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clause 9.6, maximumNumber: -0 is less than +0; of a number and a NaN it is the number, and
    a signalling NaN still raises invalid.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.maximum_number([2.0, float("nan")], [1.0, 3.0], result="float16")
    array([2., 3.], dtype=float32)
    """
    return operate("maximum_number", (x, y), options)


@functools.cache
def _truth(wanted: tuple[int, ...]) -> NDArray[np.bool_]:
    """Of each order whether it is wanted, signalling or not."""
    return np.isin(np.arange(operations.SIGNALS * 2) % operations.SIGNALS, wanted)


def _ordered(
    name: str,
    x: Any,
    y: Any,
    return_flags: bool,
    out: NDArray[Any] | None,
    signaling: bool | None = None,
    profile: str | Profile | None = None,
) -> Any:
    """Whether x and y stand in one of the orders that a predicate names.

    `signaling`: whether a quiet NaN is invalid; None where the predicate says it.  `profile`: which subnormals are 0.
    """
    from fpemu.kernels.cpu.operations import order_loop

    switch(name, "return_flags", return_flags)
    if name in SIGNALING:
        checked_bool("signaling", signaling)
    ((x_codes, x_format), (y_codes, y_format)), rests = as_operands((x, y))
    shape = broadcast(name, [x_codes, y_codes])
    if out is not None:
        check_out(out, shape, np.dtype(bool))
    left, right = flat(x_codes, shape), flat(y_codes, shape)
    found = np.empty(left.size, np.uint8)
    which, wanted, invalid = _PREDICATES[name]
    if signaling is not None:
        invalid = _NAN if signaling else _SIGNALLING
    loop = order_loop(which)
    rules = NO_RULES if profile is None else operand_rules(find_profile(profile))

    def piece(start: int, stop: int) -> None:
        for begin, end in cache_chunks(start, stop):
            wide = (part[begin:end].astype(np.uint64, copy=False) for part in (left, right))
            loop(*wide, x_format.spec, y_format.spec, rules, found[begin:end])

    for_each_chunk(piece, found.size)
    if rests:
        sources = (left, x_format), (right, y_format)
        _order_rests(which, sources, rests, (x_codes.shape, y_codes.shape, shape), rules, found)
    result = _truth(wanted)[found].reshape(shape)
    context = active_modes()
    bits = np.zeros(0, np.uint8)
    if return_flags or context is not None:
        signals = found >= operations.SIGNALS
        nans = found % operations.SIGNALS == operations.UNORDERED
        raised = signals if invalid == _SIGNALLING else nans if invalid == _NAN else np.zeros(found.size, np.bool_)
        bits = (raised * np.uint8(operations.INVALID_FLAG)).reshape(shape)
    if context is not None:

        def told(index: tuple[int, ...]) -> str:
            sources = (x_codes, x_format), (y_codes, y_format)
            return f"{name}({operands_text(sources, rests, shape, index)}) = {result[index]}"

        check(context, name, bits, told)
    if out is not None:
        out[...] = result
        result = out
    answer = result if out is not None or result.ndim else result[()]
    return (answer, Flags(bits)) if return_flags else answer


def _order_rests(
    which: int,
    sources: tuple[tuple[NDArray[Any], FloatFormat | IntFormat], ...],
    rests: Rests,
    shapes: tuple[tuple[int, ...], ...],
    rules: Rules,
    found: NDArray[np.uint8],
) -> None:
    """Put the orders right of numbers that no format holds: with a NaN they are right."""
    from fpemu.arithmetic.rationals import order, reals_at, slots_of

    slots = [slots_of(rest, shape, shapes[-1]) for rest, shape in zip(rests, shapes[:-1], strict=True)]
    places = np.flatnonzero(np.any(slots, axis=0) & (found % operations.SIGNALS != operations.UNORDERED))
    operands = [
        reals_at(codes[places], fmt, rest, slot[places], rules)
        for (codes, fmt), rest, slot in zip(sources, rests, slots, strict=True)
    ]
    orders = {-1: operations.LESS, 0: operations.EQUAL, 1: operations.GREATER}
    for place, x, y in zip(places.tolist(), *operands, strict=True):
        if columns.NOT_A_NUMBER in (x.kind, y.kind):  # has its place in the total orders
            continue
        if which == operations.TOTAL_ORDER_MAGNITUDE:
            x, y = x.unsigned, y.unsigned
        found[place] = orders[order(x, y)]

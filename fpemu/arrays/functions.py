"""numpy's functions on Arrays: a closed table that gives each function a rule."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu import arithmetic
from fpemu.arithmetic import Axis, axes_of, equal, greater, is_nan, less, one_axis, switch
from fpemu.arithmetic.flags import errstate
from fpemu.arrays.advice import numpy_refusal
from fpemu.arrays.ufuncs import check_same
from fpemu.casting import Coded, as_array, as_numbers, carries_codes, cast, codes_of, encode
from fpemu.casting.stochastic import sharing
from fpemu.formats.facts.codes import ranks, zero_mask

NumpyFunction = Callable[..., Any]
Rule = Callable[..., Any]  # called with numpy's function and its arguments


def call_function(function: NumpyFunction, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """Call one of numpy's functions with at least one Array among its arguments."""
    rule = NUMPY_FUNCTIONS.get(function)
    if rule is None:
        raise TypeError(numpy_refusal(_numpy_name(function).removeprefix("np.")))
    return rule(function, *args, **keywords)


def _numpy_name(function: NumpyFunction) -> str:
    return f"{function.__module__}.{function.__name__}".replace("numpy", "np", 1)


# -- codes and Arrays -------------------------------------------------------------------------------------------------


def as_arrays(codes: Any, like: Any) -> Any:
    """Codes, or lists and tuples of codes, as Arrays with the format, profile and Generator of `like`."""
    if isinstance(codes, list | tuple):
        return type(codes)(as_arrays(element, like) for element in codes)
    return sharing(type(like)(np.asarray(codes), like.format, like.profile), getattr(like, "rng", None))


def codes_for(x: Any, like: Coded, caller: str) -> NDArray[Any]:
    """Codes of an operand next to an Array: an Array of the same format and profile, or numbers cast to them."""
    if not carries_codes(x):
        rng = getattr(like, "rng", None)
        return np.asarray(encode(x, like.format, profile=like.profile, rng=rng))
    check_same(caller, like, x)
    return codes_of(x)


def _no_arrays(function: NumpyFunction, *others: Any) -> None:
    """Raise TypeError if an argument after the first is an Array, or complex."""
    for other in others:
        if carries_codes(other):
            raise TypeError(f"{_numpy_name(function)}: only the first argument can be an Array; give A.values")
        if isinstance(other, complex | np.complexfloating | np.ndarray) and np.iscomplexobj(other):
            raise TypeError(f"{_numpy_name(function)}: places and counts are integers, not complex numbers")


_NOT_GIVEN: Any = np._NoValue  # the default in numpy's signatures
# Values without effect of the options that do not work on Arrays
_NEUTRAL_OPTIONS: dict[str, tuple[Any, ...]] = {
    "where": (True,),
    "casting": ("same_kind",),
    "initial": (),
    "subok": (True,),
}


def _no_options(function: NumpyFunction, **options: Any) -> None:
    """Raise TypeError for an option that would change the result."""
    for option, value in options.items():
        neutral = _NEUTRAL_OPTIONS.get(option, (None,))
        if value is not _NOT_GIVEN and not any(type(value) is type(same) and value == same for same in neutral):
            raise TypeError(f"{_numpy_name(function)}: {option}= does not work on Arrays")


def _keeps_dimensions(function: NumpyFunction, keepdims: Any) -> bool:
    return keepdims is not _NOT_GIVEN and switch(_numpy_name(function), "keepdims", keepdims)


@functools.lru_cache(maxsize=256)
def _first_parameter(function: NumpyFunction) -> str:
    """The name of a function's first parameter."""
    return next(iter(inspect.signature(function).parameters))


def _out_codes(out: Any, function: NumpyFunction, like: Coded) -> dict[str, Any]:
    """The keyword `out` for a function of codes, if it is given."""
    if out is None:
        return {}
    if not carries_codes(out):
        raise TypeError(
            f"{_numpy_name(function)}: out must be an Array of {like.format.name}, not a {type(out).__name__}"
        )
    check_same(_numpy_name(function), like, out)
    return {"out": out.codes}


# -- the rules --------------------------------------------------------------------------------------------------------


def _rearrange(function: NumpyFunction, *args: Any, out: Any = None, **keywords: Any) -> Any:
    """Rearrange the codes of the first argument."""
    if args:
        like, args = args[0], args[1:]
    else:
        like = keywords.pop(_first_parameter(function))
    if not carries_codes(like):
        raise TypeError(f"{_numpy_name(function)}: the first argument must be the Array; give A.values for the others")
    _no_arrays(function, *args, *keywords.values())
    try:
        codes = function(like.codes, *args, **_out_codes(out, function, like), **keywords)
    except AttributeError as error:  # raised by numpy where it expects an array
        raise TypeError(f"{_numpy_name(function)}: {error}") from None
    return as_arrays(codes, like) if out is None else out


def _join(
    function: NumpyFunction,
    arrays: Any,
    *args: Any,
    out: Any = None,
    dtype: Any = None,
    casting: Any = "same_kind",
    **keywords: Any,
) -> Any:
    """Join the codes of several Arrays; numbers among them are cast."""
    _no_options(function, dtype=dtype, casting=casting)
    codes: Any
    if carries_codes(arrays):
        like, codes = arrays, arrays.codes
    else:
        like = next((x for x in arrays if carries_codes(x)), out)
        codes = [codes_for(x, like, _numpy_name(function)) for x in arrays]
    codes = function(codes, *args, **_out_codes(out, function, like), **keywords)
    return as_arrays(codes, like) if out is None else out


def _each(function: NumpyFunction, *arrays: Any, **keywords: Any) -> Any:
    """Treat each array separately: the codes of Arrays, other arrays unchanged."""
    _no_options(function, subok=keywords.pop("subok", _NOT_GIVEN) or _NOT_GIVEN)
    results = function(*map(_codes_or_same, arrays), **keywords)
    if len(arrays) == 1 and not isinstance(results, list | tuple):
        return as_arrays(results, arrays[0])
    return type(results)(as_arrays(y, x) if carries_codes(x) else y for x, y in zip(arrays, results, strict=True))


def _on_codes(function: NumpyFunction, *args: Any, **keywords: Any) -> Any:
    """Call the function on codes, about whose memory or shape it asks."""
    return function(*map(_codes_or_same, args), **{name: _codes_or_same(value) for name, value in keywords.items()})


def _codes_or_same(x: Any) -> Any:
    return x.codes if carries_codes(x) else x


def _on_values(function: NumpyFunction, *args: Any, **keywords: Any) -> Any:
    """Call the function on values; numbers for which numpy has no dtype are rounded to float64."""
    return function(*map(_plain_values, args), **{name: _plain_values(value) for name, value in keywords.items()})


def _plain_values(x: Any) -> Any:
    if carries_codes(x):
        return np.asarray(x)
    if isinstance(x, str | type | dict | float | None) or callable(x):
        return x
    if isinstance(x, int) and -(1 << 63) <= x < 1 << 63:
        return x
    numbers = as_array(x)
    return numbers if numbers.dtype.kind != "O" else cast(numbers, "float64")


def _of_truth(function: NumpyFunction, a: Any, *args: Any, **keywords: Any) -> Any:
    """Call the function on the mask of nonzero elements."""
    _first_is(function, a)
    _no_arrays(function, *args, *keywords.values())
    return function(truth(a), *args, **keywords)


def truth(x: Any) -> Any:
    """Mask of the nonzero elements, which count as true."""
    return ~zero_mask(codes_of(x), x.format) if carries_codes(x) else np.asarray(x) != 0


def _empty(
    function: NumpyFunction,
    a: Any,
    dtype: Any = None,
    order: Any = "K",
    subok: Any = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> Any:
    """An Array of codes 0, which every format has."""
    _no_options(function, dtype=dtype, subok=subok)
    _first_is(function, a)
    return as_arrays(np.zeros_like(a.codes, order=order, shape=shape, device=device), a)


def _filled(value: int) -> Rule:
    """The rule for Arrays of one value, cast under the profile."""

    def rule(function: NumpyFunction, a: Any, *args: Any, **keywords: Any) -> Any:
        return _full(function, a, value, *args, **keywords)

    return rule


def _full(function: NumpyFunction, a: Any, fill_value: Any, *args: Any, **keywords: Any) -> Any:
    """An Array of one value, or of values broadcast, cast under the profile."""
    array = _empty(function, a, *args, **keywords)
    array.codes[...] = codes_for(fill_value, a, _numpy_name(function))
    return array


def _first_is(function: NumpyFunction, a: Any) -> None:
    """Raise TypeError if the first argument is not an Array."""
    if not carries_codes(a):
        raise TypeError(f"{_numpy_name(function)}: the first argument must be the Array, not a {type(a).__name__}")


def _select(function: NumpyFunction, condition: Any, *choices: Any) -> Any:
    """Select codes of either operand; numbers are cast under the Array's profile."""
    if not choices:
        return function(truth(condition))
    like = next((x for x in choices if carries_codes(x)), None)
    if like is None:
        return function(truth(condition), *choices)
    return as_arrays(function(truth(condition), *(codes_for(x, like, _numpy_name(function)) for x in choices)), like)


def _sort(
    function: NumpyFunction, a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None
) -> Any:
    """Sort by value, -0 before +0, NaN last; equal codes stay in order, as every `kind` allows."""
    _no_options(function, order=order)
    axis = one_axis(_numpy_name(function), axis)
    function(np.zeros(1), kind=kind, **({} if stable is None else {"stable": stable}))  # numpy checks the words
    codes = codes_of(a)
    if axis is None:
        codes, axis = codes.reshape(-1), -1
    numbers, nans = ranks(codes, a.format)
    indices = np.lexsort((np.where(nans, np.uint64(0), numbers), nans), axis=axis)
    return indices if function is np.argsort else as_arrays(np.take_along_axis(codes, indices, axis), a)


def _extreme_rule(largest: bool) -> Rule:
    """The rule of max or min: +0 is above -0, and the result is a NaN if an element is."""

    def rule(
        function: NumpyFunction,
        a: Any,
        axis: Axis = None,
        out: Any = None,
        keepdims: Any = _NOT_GIVEN,
        initial: Any = _NOT_GIVEN,
        where: Any = _NOT_GIVEN,
    ) -> Any:
        _no_options(function, out=out, initial=initial, where=where)
        _first_is(function, a)
        axes, keeps = axes_of(_numpy_name(function), axis, a.codes.ndim), _keeps_dimensions(function, keepdims)
        codes = np.moveaxis(codes_of(a), axes, range(-len(axes), 0))
        outer = codes.shape[: codes.ndim - len(axes)]
        codes = codes.reshape(*outer, math.prod(codes.shape[len(outer) :]))
        codes = np.take_along_axis(codes, _extreme_index(codes, a, largest)[..., np.newaxis], -1)[..., 0]
        return as_arrays(np.expand_dims(codes, axes) if keeps else codes, a)

    return rule


def _arg_extreme_rule(largest: bool) -> Rule:
    """The rule of argmax or argmin: the position of the first extreme code, or of the first NaN."""

    def rule(function: NumpyFunction, a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = _NOT_GIVEN) -> Any:
        _no_options(function, out=out)
        _first_is(function, a)
        axis, keeps = one_axis(_numpy_name(function), axis), _keeps_dimensions(function, keepdims)
        codes = codes_of(a).reshape(-1) if axis is None else np.moveaxis(codes_of(a), axis, -1)
        index = _extreme_index(codes, a, largest)
        if not keeps:
            return index[()]
        return index.reshape((1,) * a.codes.ndim) if axis is None else np.expand_dims(index, axis)

    return rule


def _extreme_index(codes: NDArray[Any], like: Coded, largest: bool) -> NDArray[np.intp]:
    """The index along the last axis of the first extreme code, or of the first NaN."""
    numbers, nans = ranks(codes, like.format)
    index = np.asarray(numbers.argmax(-1) if largest else numbers.argmin(-1))
    return np.where(nans.any(-1), nans.argmax(-1), index)


@errstate(all="ignore")  # clip selects codes and is not an operation
def _clip(
    function: NumpyFunction,
    a: Any,
    a_min: Any = _NOT_GIVEN,
    a_max: Any = _NOT_GIVEN,
    out: Any = None,
    *,
    min: Any = _NOT_GIVEN,
    max: Any = _NOT_GIVEN,
    **options: Any,
) -> Any:
    """Limit values to bounds, which are cast; values are compared exactly, and a NaN bound gives NaN."""
    _no_options(function, **options)
    _first_is(function, a)
    if (a_min is _NOT_GIVEN) is not (a_max is _NOT_GIVEN):
        raise TypeError("np.clip: give both a_min and a_max, one of them may be None; or min= or max= alone")
    if a_min is not _NOT_GIVEN and (min is not _NOT_GIVEN or max is not _NOT_GIVEN):
        raise ValueError("np.clip: min= and max= are other names of a_min and a_max: give one of them")
    low, high = (min, max) if a_min is _NOT_GIVEN else (a_min, a_max)
    result = a
    for bound, beyond in ((low, less), (high, greater)):
        if bound is not None and bound is not _NOT_GIVEN:
            exceeds = beyond(result, bound) | is_nan(bound)
            result = as_arrays(np.where(exceeds, codes_for(bound, a, "np.clip"), result.codes), a)
    if out is None:
        return result if result is not a else as_arrays(a.codes.copy(), a)
    _out_codes(out, function, a)["out"][...] = result.codes
    return out


@errstate(all="ignore")
def _array_equal(function: NumpyFunction, a1: Any, a2: Any, equal_nan: Any = False) -> bool:
    """Whether shapes and exact values are equal, in any formats."""
    equal_nan = switch("np.array_equal", "equal_nan", equal_nan)
    if as_numbers(a1).codes.shape != as_numbers(a2).codes.shape:
        return False
    same = equal(a1, a2)
    return bool(np.all(same | (is_nan(a1) & is_nan(a2)) if equal_nan else same))


def _text(
    function: NumpyFunction, arr: Any, max_line_width: Any = None, precision: Any = None, suppress_small: Any = None
) -> str:
    """The Array's text, with its format."""
    _no_options(function, max_line_width=max_line_width, precision=precision, suppress_small=suppress_small)
    return repr(arr)


def _sum_rule(reduction: Callable[..., Any]) -> Rule:
    """The rule of fpemu's own sums: exact, rounded once to the Array's format by its profile."""

    def rule(
        function: NumpyFunction,
        a: Any,
        axis: Axis = None,
        dtype: Any = None,
        out: Any = None,
        keepdims: Any = _NOT_GIVEN,
        initial: Any = _NOT_GIVEN,
        where: Any = _NOT_GIVEN,
    ) -> Any:
        _no_options(function, dtype=dtype, initial=initial, where=where)
        _first_is(function, a)
        options = {} if keepdims is _NOT_GIVEN else {"keepdims": keepdims}
        result = reduction(a, axis=axis, **options, **_out_codes(out, function, a))
        return result if out is None else out

    return rule


def _dot(function: NumpyFunction, a: Any, b: Any, out: Any = None) -> Any:
    """The exact sum of the exact products of two vectors, rounded once."""
    if not (carries_codes(a) or carries_codes(b)):
        raise TypeError("np.dot: no operand is an Array: give result=out.format to fpemu.dot")
    like = a if carries_codes(a) else b
    result = arithmetic.dot(a, b, **_out_codes(out, function, like))
    return result if out is None else out


NUMPY_FUNCTIONS: dict[Any, Rule] = {
    **dict.fromkeys(
        [np.reshape, np.ravel, np.transpose, np.moveaxis, np.swapaxes, np.squeeze, np.expand_dims], _rearrange
    ),
    **dict.fromkeys(
        [np.broadcast_to, np.repeat, np.tile, np.flip, np.fliplr, np.flipud, np.rot90, np.roll], _rearrange
    ),
    **dict.fromkeys([np.take, np.take_along_axis, np.diagonal, np.delete, np.copy], _rearrange),
    **dict.fromkeys([np.split, np.array_split, np.vsplit, np.hsplit, np.dsplit], _rearrange),
    **dict.fromkeys([np.concatenate, np.stack, np.vstack, np.hstack, np.dstack, np.column_stack], _join),
    **dict.fromkeys([np.broadcast_arrays, np.atleast_1d, np.atleast_2d, np.atleast_3d], _each),
    **dict.fromkeys([np.shape, np.ndim, np.size, np.shares_memory, np.may_share_memory], _on_codes),
    **dict.fromkeys([np.isclose, np.allclose, np.array2string], _on_values),
    **dict.fromkeys([np.any, np.all, np.nonzero, np.flatnonzero, np.count_nonzero, np.argwhere], _of_truth),
    **dict.fromkeys([np.sort, np.argsort], _sort),
    **dict.fromkeys([np.max, np.amax], _extreme_rule(True)),
    **dict.fromkeys([np.min, np.amin], _extreme_rule(False)),
    **dict.fromkeys([np.array_repr, np.array_str], _text),
    np.empty_like: _empty,
    np.zeros_like: _filled(0),
    np.ones_like: _filled(1),
    np.full_like: _full,
    np.where: _select,
    np.argmax: _arg_extreme_rule(True),
    np.argmin: _arg_extreme_rule(False),
    np.clip: _clip,
    np.array_equal: _array_equal,
    np.sum: _sum_rule(arithmetic.sum),
    np.mean: _sum_rule(arithmetic.mean),
    np.cumsum: _sum_rule(arithmetic.cumsum),
    np.dot: _dot,
}

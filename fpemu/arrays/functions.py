"""numpy's functions on Arrays: a closed table, in which each function has one of a few rules."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu.arithmetic import sums as reductions
from fpemu.arithmetic.axes import Axis, axes_of, one_axis, switch
from fpemu.arithmetic.comparison import equal, greater, less
from fpemu.arithmetic.flags import errstate
from fpemu.arithmetic.predicates import is_nan
from fpemu.arrays.advice import refusal
from fpemu.arrays.ufuncs import check_same
from fpemu.casting.casts import cast, encode
from fpemu.casting.inputs import Coded, as_array, as_numbers, carries_codes, codes_of
from fpemu.casting.stochastic import sharing
from fpemu.formats.facts.codes import nonzero, ranks

Function = Callable[..., Any]
Rule = Callable[..., Any]  # called with numpy's function, and its arguments


def call(function: Function, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """One of numpy's functions on arguments of which one at least is an Array."""
    rule = TABLE.get(function)
    if rule is None:
        raise TypeError(refusal(_name(function).removeprefix("np.")))
    return rule(function, *args, **keywords)


def _name(function: Function) -> str:
    return f"{function.__module__}.{function.__name__}".replace("numpy", "np", 1)


# -- codes and Arrays -------------------------------------------------------------------------------------------------


def _wrap(found: Any, like: Any) -> Any:
    """Arrays of codes, in lists and tuples too, as Arrays like another."""
    if isinstance(found, list | tuple):
        return type(found)(_wrap(part, like) for part in found)
    return sharing(type(like)(np.asarray(found), like.format, like.profile), getattr(like, "rng", None))


def joined(x: Any, like: Coded, what: str) -> NDArray[Any]:
    """Codes of what joins an Array: its own format's and profile's, or plain values cast under its profile."""
    if not carries_codes(x):
        rng = getattr(like, "rng", None)
        return np.asarray(encode(x, like.format, profile=like.profile, rng=rng))
    check_same(what, like, x)
    return codes_of(x)


def _plain(function: Function, *others: Any) -> None:
    for other in others:
        if carries_codes(other):
            raise TypeError(f"{_name(function)}: only the first argument can be an Array; give A.values")
        if isinstance(other, complex | np.complexfloating | np.ndarray) and np.iscomplexobj(other):
            raise TypeError(f"{_name(function)}: places and counts are integers, not complex numbers")


_NOT_GIVEN: Any = np._NoValue  # what numpy's signatures have for it
# What changes nothing, of the options that do not work on Arrays
_NEUTRAL: dict[str, tuple[Any, ...]] = {"where": (True,), "casting": ("same_kind",), "initial": (), "subok": (True,)}


def _no_options(function: Function, **options: Any) -> None:
    """A TypeError for options that would change what is computed."""
    for option, value in options.items():
        neutral = _NEUTRAL.get(option, (None,))
        if value is not _NOT_GIVEN and not any(type(value) is type(one) and value == one for one in neutral):
            raise TypeError(f"{_name(function)}: {option}= does not work on Arrays")


def _keeps(function: Function, keepdims: Any) -> bool:
    return keepdims is not _NOT_GIVEN and switch(_name(function), "keepdims", keepdims)


@functools.lru_cache(maxsize=256)
def _first(function: Function) -> str:
    """The name of a function's first parameter."""
    return next(iter(inspect.signature(function).parameters))


def _into(out: Any, function: Function, like: Coded) -> dict[str, Any]:
    """The keyword out= for codes, if there is one."""
    if out is None:
        return {}
    if not carries_codes(out):
        raise TypeError(f"{_name(function)}: out must be an Array of {like.format.name}, not a {type(out).__name__}")
    check_same(_name(function), like, out)
    return {"out": out.codes}


# -- the rules --------------------------------------------------------------------------------------------------------


def _moves(function: Function, *args: Any, out: Any = None, **keywords: Any) -> Any:
    """Codes change their places: the first argument's, which may have one of several names."""
    if args:
        like, args = args[0], args[1:]
    else:
        like = keywords.pop(_first(function))
    if not carries_codes(like):
        raise TypeError(f"{_name(function)}: the first argument must be the Array; give A.values for the others")
    _plain(function, *args, *keywords.values())
    try:
        found = function(like.codes, *args, **_into(out, function, like), **keywords)
    except AttributeError as error:  # numpy's own, where an array is asked for
        raise TypeError(f"{_name(function)}: {error}") from None
    return _wrap(found, like) if out is None else out


def _joins(
    function: Function,
    arrays: Any,
    *args: Any,
    out: Any = None,
    dtype: Any = None,
    casting: Any = "same_kind",
    **keywords: Any,
) -> Any:
    """Codes of several Arrays in one; plain values among them are cast."""
    _no_options(function, dtype=dtype, casting=casting)
    codes: Any
    if carries_codes(arrays):
        like, codes = arrays, arrays.codes
    else:
        like = next((x for x in arrays if carries_codes(x)), out)
        codes = [joined(x, like, _name(function)) for x in arrays]
    found = function(codes, *args, **_into(out, function, like), **keywords)
    return _wrap(found, like) if out is None else out


def _each(function: Function, *arrays: Any, **keywords: Any) -> Any:
    """Each array by itself: Arrays' codes, and plain arrays as they are."""
    _no_options(function, subok=keywords.pop("subok", _NOT_GIVEN) or _NOT_GIVEN)
    found = function(*(x.codes if carries_codes(x) else x for x in arrays), **keywords)
    if len(arrays) == 1 and not isinstance(found, list | tuple):
        return _wrap(found, arrays[0])
    return type(found)(_wrap(y, x) if carries_codes(x) else y for x, y in zip(arrays, found, strict=True))


def _asks(function: Function, *args: Any, **keywords: Any) -> Any:
    """A question about the codes' memory or shape."""
    return function(*map(_codes, args), **{name: _codes(value) for name, value in keywords.items()})


def _codes(x: Any) -> Any:
    return x.codes if carries_codes(x) else x


def _on_values(function: Function, *args: Any, **keywords: Any) -> Any:
    """The function of numpy itself, on the values; numbers that are none of numpy's are float64 there."""
    return function(*map(_values, args), **{name: _values(value) for name, value in keywords.items()})


def _values(x: Any) -> Any:
    if carries_codes(x):
        return np.asarray(x)
    if isinstance(x, str | type | dict | float | None) or callable(x):
        return x
    if isinstance(x, int) and -(1 << 63) <= x < 1 << 63:
        return x
    numbers = as_array(x)
    return numbers if numbers.dtype.kind != "O" else cast(numbers, "float64")


def _of_truth(function: Function, a: Any, *args: Any, **keywords: Any) -> Any:
    """The function of numpy itself, on which elements are not zero."""
    _first_is(function, a)
    _plain(function, *args, *keywords.values())
    return function(truth(a), *args, **keywords)


def truth(x: Any) -> Any:
    """Which elements count as true: all but zeros."""
    return nonzero(codes_of(x), x.format) if carries_codes(x) else np.asarray(x) != 0


def _empty(
    function: Function,
    a: Any,
    dtype: Any = None,
    order: Any = "K",
    subok: Any = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> Any:
    """An Array of code 0, which is in range everywhere."""
    _no_options(function, dtype=dtype, subok=subok)
    _first_is(function, a)
    return _wrap(np.zeros_like(a.codes, order=order, shape=shape, device=device), a)


def _filled(value: int) -> Rule:
    """Arrays of one value, cast under the profile."""

    def rule(function: Function, a: Any, *args: Any, **keywords: Any) -> Any:
        return _full(function, a, value, *args, **keywords)

    return rule


def _full(function: Function, a: Any, fill_value: Any, *args: Any, **keywords: Any) -> Any:
    """An Array of one value or several, cast under the profile."""
    found = _empty(function, a, *args, **keywords)
    found.codes[...] = joined(fill_value, a, _name(function))
    return found


def _first_is(function: Function, a: Any) -> None:
    """A TypeError if the first argument is no Array."""
    if not carries_codes(a):
        raise TypeError(f"{_name(function)}: the first argument must be the Array, not a {type(a).__name__}")


def _where(function: Function, condition: Any, *choices: Any) -> Any:
    """Codes of either; plain values are cast under the Array's profile."""
    if not choices:
        return function(truth(condition))
    like = next((x for x in choices if carries_codes(x)), None)
    if like is None:
        return function(truth(condition), *choices)
    return _wrap(function(truth(condition), *(joined(x, like, _name(function)) for x in choices)), like)


def _sort(
    function: Function, a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None
) -> Any:
    """By value, -0 before +0, NaN last; equal codes stay in order, as all kinds allow."""
    _no_options(function, order=order)
    axis = one_axis(_name(function), axis)
    function(np.zeros(1), kind=kind, **({} if stable is None else {"stable": stable}))  # numpy's checks of the words
    codes = codes_of(a)
    if axis is None:
        codes, axis = codes.reshape(-1), -1
    numbers, nans = ranks(codes, a.format)
    places = np.lexsort((np.where(nans, np.uint64(0), numbers), nans), axis=axis)
    return places if function is np.argsort else _wrap(np.take_along_axis(codes, places, axis), a)


def _extreme(largest: bool) -> Rule:
    """The largest or smallest value; +0 is above -0, and a NaN is the result where there is one."""

    def rule(
        function: Function,
        a: Any,
        axis: Axis = None,
        out: Any = None,
        keepdims: Any = _NOT_GIVEN,
        initial: Any = _NOT_GIVEN,
        where: Any = _NOT_GIVEN,
    ) -> Any:
        _no_options(function, out=out, initial=initial, where=where)
        _first_is(function, a)
        axes, keeps = axes_of(_name(function), axis, a.codes.ndim), _keeps(function, keepdims)
        codes = np.moveaxis(codes_of(a), axes, range(-len(axes), 0))
        kept = codes.shape[: codes.ndim - len(axes)]
        codes = codes.reshape(*kept, math.prod(codes.shape[len(kept) :]))
        place = _place(codes, a, largest)
        found = np.take_along_axis(codes, place[..., np.newaxis], -1)[..., 0]
        return _wrap(np.expand_dims(found, axes) if keeps else found, a)

    return rule


def _arg_extreme(largest: bool) -> Rule:
    """Where the first of the largest or smallest codes is, or the first NaN."""

    def rule(function: Function, a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = _NOT_GIVEN) -> Any:
        _no_options(function, out=out)
        _first_is(function, a)
        axis, keeps = one_axis(_name(function), axis), _keeps(function, keepdims)
        codes = codes_of(a).reshape(-1) if axis is None else np.moveaxis(codes_of(a), axis, -1)
        place = _place(codes, a, largest)
        if not keeps:
            return place[()]
        return place.reshape((1,) * a.codes.ndim) if axis is None else np.expand_dims(place, axis)

    return rule


def _place(codes: NDArray[Any], like: Coded, largest: bool) -> NDArray[np.intp]:
    """Where along the last axis the first extreme code is, or the first NaN."""
    numbers, nans = ranks(codes, like.format)
    place = np.asarray(numbers.argmax(-1) if largest else numbers.argmin(-1))
    return np.where(nans.any(-1), nans.argmax(-1), place)


@errstate(all="ignore")  # codes are chosen: no operation
def _clip(
    function: Function,
    a: Any,
    a_min: Any = _NOT_GIVEN,
    a_max: Any = _NOT_GIVEN,
    out: Any = None,
    *,
    min: Any = _NOT_GIVEN,
    max: Any = _NOT_GIVEN,
    **options: Any,
) -> Any:
    """Values beyond a bound become that bound, cast; the comparison is of exact values, and a NaN bound counts."""
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
            reached = beyond(result, bound) | is_nan(bound)
            result = _wrap(np.where(reached, joined(bound, a, "np.clip"), result.codes), a)
    if out is None:
        return result if result is not a else _wrap(a.codes.copy(), a)
    _into(out, function, a)["out"][...] = result.codes
    return out


@errstate(all="ignore")
def _array_equal(function: Function, a1: Any, a2: Any, equal_nan: Any = False) -> bool:
    """The same shape and the same exact values, of whatever formats."""
    equal_nan = switch("np.array_equal", "equal_nan", equal_nan)
    if as_numbers(a1).codes.shape != as_numbers(a2).codes.shape:
        return False
    same = equal(a1, a2)
    return bool(np.all(same | (is_nan(a1) & is_nan(a2)) if equal_nan else same))


def _text(
    function: Function, arr: Any, max_line_width: Any = None, precision: Any = None, suppress_small: Any = None
) -> str:
    """How an Array prints, with its format."""
    _no_options(function, max_line_width=max_line_width, precision=precision, suppress_small=suppress_small)
    return repr(arr)


def _summed(own: Function) -> Rule:
    """A sum of fpemu's own: exact, and rounded once to the Array's format by its profile."""

    def rule(
        function: Function,
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
        kept = {} if keepdims is _NOT_GIVEN else {"keepdims": keepdims}
        found = own(a, axis=axis, **kept, **_into(out, function, a))
        return found if out is None else out

    return rule


def _dot(function: Function, a: Any, b: Any, out: Any = None) -> Any:
    """Of vectors: the exact sum of the exact products, rounded once."""
    if not (carries_codes(a) or carries_codes(b)):
        raise TypeError("np.dot: no operand is an Array: give result=out.format to fpemu.dot")
    like = a if carries_codes(a) else b
    found = reductions.dot(a, b, **_into(out, function, like))
    return found if out is None else out


def _rows(functions: Sequence[Function], rule: Rule) -> dict[Any, Rule]:
    return dict.fromkeys(functions, rule)


TABLE: dict[Any, Rule] = {
    **_rows([np.reshape, np.ravel, np.transpose, np.moveaxis, np.swapaxes, np.squeeze, np.expand_dims], _moves),
    **_rows([np.broadcast_to, np.repeat, np.tile, np.flip, np.fliplr, np.flipud, np.rot90, np.roll], _moves),
    **_rows([np.take, np.take_along_axis, np.diagonal, np.delete, np.copy], _moves),
    **_rows([np.split, np.array_split, np.vsplit, np.hsplit, np.dsplit], _moves),
    **_rows([np.concatenate, np.stack, np.vstack, np.hstack, np.dstack, np.column_stack], _joins),
    **_rows([np.broadcast_arrays, np.atleast_1d, np.atleast_2d, np.atleast_3d], _each),
    **_rows([np.shape, np.ndim, np.size, np.shares_memory, np.may_share_memory], _asks),
    **_rows([np.isclose, np.allclose, np.array2string], _on_values),
    **_rows([np.any, np.all, np.nonzero, np.flatnonzero, np.count_nonzero, np.argwhere], _of_truth),
    **_rows([np.sort, np.argsort], _sort),
    **_rows([np.max, np.amax], _extreme(True)),
    **_rows([np.min, np.amin], _extreme(False)),
    **_rows([np.array_repr, np.array_str], _text),
    np.empty_like: _empty,
    np.zeros_like: _filled(0),
    np.ones_like: _filled(1),
    np.full_like: _full,
    np.where: _where,
    np.argmax: _arg_extreme(True),
    np.argmin: _arg_extreme(False),
    np.clip: _clip,
    np.array_equal: _array_equal,
    np.sum: _summed(reductions.sum),
    np.mean: _summed(reductions.mean),
    np.cumsum: _summed(reductions.cumsum),
    np.dot: _dot,
}

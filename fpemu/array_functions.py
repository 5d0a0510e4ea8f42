"""numpy's functions on Arrays: a closed table, in which each function has one of a few rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu import reductions
from fpemu.array_ufuncs import check_same
from fpemu.casting import encode
from fpemu.comparisons import equal, greater, less
from fpemu.errstate import errstate
from fpemu.knobs import near
from fpemu.ordering import nonzero, ranks
from fpemu.predicates import is_nan
from fpemu.sources import Coded, carries_codes, codes_of

Function = Callable[..., Any]
Rule = Callable[..., Any]  # called with numpy's function, and its arguments


def call(function: Function, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """One of numpy's functions on arguments of which one at least is an Array."""
    rule = TABLE.get(function)
    if rule is None:
        raise TypeError(_refusal(function))
    return rule(function, *args, **keywords)


def _refusal(function: Function) -> str:
    name = _name(function)
    if function in (np.save, np.savez, np.savez_compressed):
        return f"{name} would lose the format of an Array: use fpemu.save(path, name=A), and fpemu.load"
    names = [known.__name__ for known in TABLE]
    return (
        f"{name} does not work on Arrays{near(function.__name__, names)}; on values: {name}(A.values). "
        f"What works: {', '.join(sorted(names))}"
    )


def _name(function: Function) -> str:
    return f"{function.__module__}.{function.__name__}".replace("numpy", "np", 1)


# -- codes and Arrays -------------------------------------------------------------------------------------------------


def _wrap(found: Any, like: Any) -> Any:
    """Arrays of codes, in lists and tuples too, as Arrays like another."""
    if isinstance(found, list | tuple):
        return type(found)(_wrap(part, like) for part in found)
    return type(like)(np.asarray(found), like.format, like.profile)


def joined(x: Any, like: Coded, what: str) -> NDArray[Any]:
    """Codes of what joins an Array: its own format's and profile's, or plain values cast under its profile."""
    if not carries_codes(x):
        return np.asarray(encode(x, like.format, profile=like.profile))
    check_same(what, like, x)
    return codes_of(x)


def _plain(function: Function, *others: Any) -> None:
    for other in others:
        if carries_codes(other):
            raise TypeError(f"{_name(function)}: only the first argument can be an Array; give A.values")


def _no_options(function: Function, **options: Any) -> None:
    for option, value in options.items():
        if value is not None:
            raise TypeError(f"{_name(function)}: {option}= does not work on Arrays")


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
        like = keywords.pop(next(iter(keywords)))
    if not carries_codes(like):
        raise TypeError(f"{_name(function)}: the first argument must be the Array; give A.values for the others")
    _plain(function, *args, *keywords.values())
    found = function(like.codes, *args, **_into(out, function, like), **keywords)
    return _wrap(found, like) if out is None else out


def _joins(
    function: Function,
    arrays: Any,
    *args: Any,
    out: Any = None,
    dtype: Any = None,
    casting: Any = None,
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
    """The function of numpy itself, on the values."""
    return function(*map(_values, args), **{name: _values(value) for name, value in keywords.items()})


def _values(x: Any) -> Any:
    return np.asarray(x) if carries_codes(x) else x


def _of_truth(function: Function, a: Any, *args: Any, **keywords: Any) -> Any:
    """The function of numpy itself, on which elements are not zero."""
    return function(truth(a), *args, **keywords)


def truth(x: Any) -> Any:
    """Which elements count as true: all but zeros."""
    return nonzero(codes_of(x), x.format) if carries_codes(x) else np.asarray(x) != 0


def _filled(value: int | None) -> Rule:
    """Arrays of one value, cast under the profile."""

    def rule(
        function: Function,
        a: Any,
        fill_value: Any = value,
        dtype: Any = None,
        order: Any = "K",
        subok: bool = True,
        shape: Any = None,
        device: Any = None,
    ) -> Any:
        _no_options(function, dtype=dtype)
        codes = np.zeros_like(a.codes, order=order, shape=shape, device=device)  # code 0 is in range everywhere
        if fill_value is not None:
            codes[...] = joined(fill_value, a, _name(function))
        return _wrap(codes, a)

    return rule


def _where(function: Function, condition: Any, *choices: Any) -> Any:
    """Codes of either; plain values are cast under the Array's profile."""
    if not choices:
        return function(truth(condition))
    like = next((x for x in choices if carries_codes(x)), None)
    if like is None:
        return function(truth(condition), *choices)
    return _wrap(function(truth(condition), *(joined(x, like, _name(function)) for x in choices)), like)


def _sort(function: Function, a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, **stable: Any) -> Any:
    """By value, -0 before +0, NaN last; equal codes stay in order."""
    _no_options(function, order=order)
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
        axis: int | tuple[int, ...] | None = None,
        out: Any = None,
        keepdims: Any = False,
        **options: Any,
    ) -> Any:
        _no_options(function, out=out, **options)
        axes = range(a.codes.ndim) if axis is None else np.atleast_1d(axis).tolist()
        codes = np.moveaxis(codes_of(a), axes, range(-len(axes), 0))
        codes = codes.reshape(*codes.shape[: codes.ndim - len(axes)], -1)
        place = _place(codes, a, largest)
        found = np.take_along_axis(codes, place[..., np.newaxis], -1)[..., 0]
        return _wrap(np.expand_dims(found, tuple(axes)) if keepdims is True else found, a)

    return rule


def _arg_extreme(largest: bool) -> Rule:
    """Where the first of the largest or smallest codes is, or the first NaN."""

    def rule(function: Function, a: Any, axis: int | None = None, out: Any = None, keepdims: Any = False) -> Any:
        _no_options(function, out=out)
        codes = codes_of(a).reshape(-1) if axis is None else np.moveaxis(codes_of(a), axis, -1)
        place = _place(codes, a, largest)
        if keepdims is not True:
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
    a_min: Any = None,
    a_max: Any = None,
    out: Any = None,
    *,
    min: Any = None,
    max: Any = None,
    **options: Any,
) -> Any:
    """Values beyond a bound become that bound, cast; the comparison is of exact values, and a NaN bound counts."""
    _no_options(function, **options)
    result = a
    for bound, beyond in ((a_min if min is None else min, less), (a_max if max is None else max, greater)):
        if bound is not None:
            reached = beyond(result, bound) | is_nan(bound)
            result = _wrap(np.where(reached, joined(bound, a, "np.clip"), result.codes), a)
    if out is None:
        return result if result is not a else _wrap(a.codes.copy(), a)
    _into(out, function, a)["out"][...] = result.codes
    return out


@errstate(all="ignore")
def _array_equal(function: Function, a1: Any, a2: Any, equal_nan: bool = False) -> bool:
    """The same shape and the same exact values, of whatever formats."""
    if np.shape(a1) != np.shape(a2):
        return False
    same = equal(a1, a2)
    return bool(np.all(same | (is_nan(a1) & is_nan(a2)) if equal_nan else same))


def _text(function: Function, arr: Any, *args: Any, **keywords: Any) -> str:
    """How an Array prints, with its format."""
    return repr(arr)


def _summed(own: Function) -> Rule:
    """A sum of fpemu's own: exact, and rounded once to the Array's format by its profile."""

    def rule(
        function: Function,
        a: Any,
        axis: int | tuple[int, ...] | None = None,
        dtype: Any = None,
        out: Any = None,
        keepdims: Any = False,
        **options: Any,
    ) -> Any:
        _no_options(function, dtype=dtype, **options)
        kept = {"keepdims": True} if keepdims is True else {}
        found = own(a, axis=axis, **kept, **_into(out, function, a))
        return found if out is None else out

    return rule


def _dot(function: Function, a: Any, b: Any, out: Any = None) -> Any:
    """Of vectors: the exact sum of the exact products, rounded once."""
    if np.ndim(_codes(a)) != 1 or np.ndim(_codes(b)) != 1:
        raise TypeError(
            "np.dot works on two Arrays of one dimension: fpemu.dot multiplies and adds along an axis of more"
        )
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
    np.empty_like: _filled(None),
    np.zeros_like: _filled(0),
    np.ones_like: _filled(1),
    np.full_like: _filled(None),
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

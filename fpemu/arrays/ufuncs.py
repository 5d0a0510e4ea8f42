"""numpy's ufuncs on Arrays: a closed table of what each one means here."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from fpemu.arithmetic import basic as arithmetic
from fpemu.arithmetic import comparison as comparisons
from fpemu.arithmetic import conversion as integral
from fpemu.arithmetic import predicates
from fpemu.arithmetic import sums as reductions
from fpemu.arithmetic.elementary import functions as elementary
from fpemu.arrays.advice import refusal
from fpemu.casting.inputs import as_array, carries_codes
from fpemu.formats.profiles import apart


def _positive(x: Any) -> Any:
    """A copy."""
    return x.copy()


def _square(x: Any) -> Any:
    return arithmetic.multiply(x, x)


def _to_integral(rounding: str) -> Callable[[Any], Any]:
    return functools.partial(integral.round_to_integral, rounding=rounding)


# ufunc -> the function that computes it, exactly and rounded once.
TABLE: dict[Any, Callable[..., Any]] = {
    np.add: arithmetic.add,
    np.subtract: arithmetic.subtract,
    np.multiply: arithmetic.multiply,
    np.divide: arithmetic.divide,
    np.sqrt: arithmetic.sqrt,
    np.square: _square,
    np.fmod: arithmetic.fmod,
    np.positive: _positive,
    np.negative: arithmetic.negative,
    np.absolute: arithmetic.absolute,
    np.fabs: arithmetic.absolute,
    np.copysign: arithmetic.copysign,
    np.rint: _to_integral("nearest_even"),
    np.floor: _to_integral("toward_negative"),
    np.ceil: _to_integral("toward_positive"),
    np.trunc: _to_integral("toward_zero"),
    np.ldexp: integral.scaleb,
    np.equal: comparisons.equal,
    np.not_equal: comparisons.not_equal,
    np.less: comparisons.less,
    np.less_equal: comparisons.less_equal,
    np.greater: comparisons.greater,
    np.greater_equal: comparisons.greater_equal,
    np.maximum: comparisons.maximum,
    np.minimum: comparisons.minimum,
    np.fmax: comparisons.maximum_number,
    np.fmin: comparisons.minimum_number,
    np.isnan: predicates.is_nan,
    np.isinf: predicates.is_infinite,
    np.isfinite: predicates.is_finite,
    np.signbit: predicates.is_sign_minus,
    np.exp: elementary.exp,
    np.exp2: elementary.exp2,
    np.log: elementary.log,
    np.log2: elementary.log2,
    np.sin: elementary.sin,
    np.cos: elementary.cos,
    np.tanh: elementary.tanh,
    np.reciprocal: elementary.reciprocal,
    np.power: elementary.pow,
    np.vecdot: reductions.vecdot,
}

_REDUCED: dict[Any, str] = {np.maximum: "max", np.minimum: "min", np.add: "sum"}


def function_of(ufunc: np.ufunc) -> Callable[..., Any]:
    """What computes a ufunc on Arrays; a TypeError that says what to call instead for every other."""
    found = TABLE.get(ufunc)
    if found is not None:
        return found
    raise TypeError(refusal(ufunc.__name__))


def call(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """A ufunc, or its `outer`, on operands of which one at least is an Array."""
    out = keywords.pop("out", None)
    if method not in ("__call__", "outer"):
        raise TypeError(_method_hint(ufunc, method))
    function = function_of(ufunc)
    if not any(carries_codes(operand) for operand in inputs):
        raise TypeError(f"np.{ufunc.__name__}: no operand is an Array: give result=out.format to fpemu's own function")
    if method == "outer":
        x, y = (_as_array(operand) for operand in inputs)
        inputs = (_with_ones(x, len(y.shape)), y)
    if ufunc is np.vecdot and "axis" in keywords:
        function = functools.partial(function, axis=keywords.pop("axis"))
    for keyword, value in keywords.items():
        _refuse(keyword, value)
    if out is None:
        return function(*inputs)
    return _into(ufunc, function, inputs, out[0])


def _as_array(x: Any) -> Any:
    """What has a shape: an Array, or an array of the very numbers."""
    return x if carries_codes(x) else as_array(x)


def _with_ones(x: Any, ones: int) -> Any:
    return x.reshape(*x.shape, *(1 for _ in range(ones)))


def _method_hint(ufunc: np.ufunc, method: str) -> str:
    name = ufunc.__name__
    if method == "reduce" and ufunc in _REDUCED:
        return f"np.{name}.reduce does not work on Arrays: use np.{_REDUCED[ufunc]}(A)"
    if method == "at":
        return f"np.{name}.at does not work on Arrays: where no index repeats, use A[i] = np.{name}(A[i], x)"
    return f"np.{name}.{method} does not work on Arrays: state the order of the operations in a loop"


# Of the keywords of ufuncs, what changes nothing: results are C-ordered Arrays of their operands' class.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    **{"where": (True,), "dtype": (None,), "casting": ("same_kind",), "subok": (True,)},
    **{"order": ("K", "C"), "signature": (None,), "sig": (None,)},
}
_INSTEAD = {
    "where": "use np.where(mask, result, A)",
    "dtype": "fpemu's own functions take result='bfloat16'",
    "order": "results are in C order",
    "casting": "results have the Array's format",
}


def _refuse(keyword: str, value: Any) -> None:
    """A TypeError for a keyword that would change what is computed."""
    if any(type(value) is type(one) and value == one for one in _NEUTRAL.get(keyword, ())):
        return
    instead = _INSTEAD.get(keyword, "fpemu's own functions have more options")
    raise TypeError(f"{keyword}= does not work on Arrays: {instead}")


def _into(ufunc: np.ufunc, function: Callable[..., Any], inputs: tuple[Any, ...], out: Any) -> Any:
    """A result put into an Array of its own format and profile, or truth values into an array of them."""
    if not carries_codes(out):
        if not (isinstance(out, np.ndarray) and out.dtype == np.bool_):
            raise TypeError(
                f"np.{ufunc.__name__}: out must be an Array of the result's format, not {_words(out)}; a plain array "
                "takes values: x[...] = np.asarray(result)"
            )
        found = function(*inputs)
        if carries_codes(found):
            raise TypeError(f"np.{ufunc.__name__}: out must be an Array of {found.format.name}, not {_words(out)}")
        out[...] = found
        return out
    found = function(*inputs)
    if not carries_codes(found):
        raise TypeError(f"np.{ufunc.__name__}: out must be an array of truth values, not an Array")
    check_same(f"np.{ufunc.__name__}: out", found, out)
    if found.codes.shape != out.codes.shape:
        raise ValueError(f"np.{ufunc.__name__}: out must have the shape {found.codes.shape}, not {out.codes.shape}")
    out.codes[...] = found.codes
    return out


def check_same(what: str, one: Any, other: Any) -> None:
    """A ValueError if two Arrays differ in format or profile."""
    if one.format != other.format:
        raise ValueError(
            f"{what}: the Arrays are of {one.format.name} and {other.format.name}: convert one, "
            f"A.astype({one.format.name!r})"
        )
    if one.profile != other.profile:
        raise ValueError(
            f"{what}: the Arrays' profiles, {' and '.join(apart(one.profile, other.profile))}, differ: use with_profile"
        )


def _words(x: Any) -> str:
    return f"an array of {x.dtype}" if isinstance(x, np.ndarray) else f"a {type(x).__name__}"

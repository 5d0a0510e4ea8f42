"""numpy's ufuncs on Arrays: a closed table of the functions that compute them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from fpemu import arithmetic
from fpemu.arithmetic import vecdot
from fpemu.arithmetic.elementary import functions
from fpemu.arrays.advice import numpy_refusal
from fpemu.casting import as_array, carries_codes
from fpemu.formats import apart


def _to_integral(rounding: str) -> Callable[[Any], Any]:
    return functools.partial(arithmetic.round_to_integral, rounding=rounding)


# ufunc -> the function that computes it
UFUNCS: dict[Any, Callable[..., Any]] = {
    np.add: arithmetic.add,
    np.subtract: arithmetic.subtract,
    np.multiply: arithmetic.multiply,
    np.divide: arithmetic.divide,
    np.sqrt: arithmetic.sqrt,
    np.square: lambda x: arithmetic.multiply(x, x),
    np.fmod: arithmetic.fmod,
    np.positive: lambda x: x.copy(),
    np.negative: arithmetic.negative,
    np.absolute: arithmetic.absolute,
    np.fabs: arithmetic.absolute,
    np.copysign: arithmetic.copysign,
    np.rint: _to_integral("nearest_even"),
    np.floor: _to_integral("toward_negative"),
    np.ceil: _to_integral("toward_positive"),
    np.trunc: _to_integral("toward_zero"),
    np.ldexp: arithmetic.scaleb,
    np.equal: arithmetic.equal,
    np.not_equal: arithmetic.not_equal,
    np.less: arithmetic.less,
    np.less_equal: arithmetic.less_equal,
    np.greater: arithmetic.greater,
    np.greater_equal: arithmetic.greater_equal,
    np.maximum: arithmetic.maximum,
    np.minimum: arithmetic.minimum,
    np.fmax: arithmetic.maximum_number,
    np.fmin: arithmetic.minimum_number,
    np.isnan: arithmetic.is_nan,
    np.isinf: arithmetic.is_infinite,
    np.isfinite: arithmetic.is_finite,
    np.signbit: arithmetic.is_sign_minus,
    np.exp: functions.exp,
    np.exp2: functions.exp2,
    np.log: functions.log,
    np.log2: functions.log2,
    np.sin: functions.sin,
    np.cos: functions.cos,
    np.tanh: functions.tanh,
    np.reciprocal: functions.reciprocal,
    np.power: functions.pow,
    np.vecdot: vecdot,
}

_REDUCTIONS: dict[Any, str] = {np.maximum: "max", np.minimum: "min", np.add: "sum"}


def ufunc_function(ufunc: np.ufunc) -> Callable[..., Any]:
    """The function that computes a ufunc on Arrays; a TypeError that names an alternative for ufuncs without one."""
    if ufunc not in UFUNCS:
        raise TypeError(numpy_refusal(ufunc.__name__))
    return UFUNCS[ufunc]


def call_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """Call a ufunc, or its `outer`, with at least one Array among its operands."""
    out = keywords.pop("out", None)
    if method not in ("__call__", "outer"):
        raise TypeError(_method_hint(ufunc, method))
    function = ufunc_function(ufunc)
    if not any(carries_codes(operand) for operand in inputs):
        raise TypeError(f"np.{ufunc.__name__}: no operand is an Array: give result=out.format to fpemu's own function")
    if method == "outer":
        arrays: list[Any] = [operand if carries_codes(operand) else as_array(operand) for operand in inputs]
        x, y = arrays
        inputs = (x.reshape(*x.shape, *(1,) * len(y.shape)), y)
    if ufunc is np.vecdot and "axis" in keywords:
        function = functools.partial(function, axis=keywords.pop("axis"))
    for keyword, value in keywords.items():
        _check_keyword(keyword, value)
    if out is None:
        return function(*inputs)
    return _store(ufunc, function, inputs, out[0])


def _method_hint(ufunc: np.ufunc, method: str) -> str:
    name = ufunc.__name__
    if method == "reduce" and ufunc in _REDUCTIONS:
        return f"np.{name}.reduce does not work on Arrays: use np.{_REDUCTIONS[ufunc]}(A)"
    if method == "at":
        return f"np.{name}.at does not work on Arrays: where no index repeats, use A[i] = np.{name}(A[i], x)"
    return f"np.{name}.{method} does not work on Arrays: state the order of the operations in a loop"


# Values of the keywords of ufuncs that have no effect: results are C-ordered Arrays of their operands' class.
_NEUTRAL_KEYWORDS: dict[str, tuple[Any, ...]] = {
    **{"where": (True,), "dtype": (None,), "casting": ("same_kind",), "subok": (True,)},
    **{"order": ("K", "C"), "signature": (None,), "sig": (None,)},
}
_INSTEAD = {
    "where": "use np.where(mask, result, A)",
    "dtype": "fpemu's own functions take result='bfloat16'",
    "order": "results are in C order",
    "casting": "results have the Array's format",
}


def _check_keyword(keyword: str, value: Any) -> None:
    """Raise TypeError for a keyword that would change the result."""
    if any(type(value) is type(same) and value == same for same in _NEUTRAL_KEYWORDS.get(keyword, ())):
        return
    instead = _INSTEAD.get(keyword, "fpemu's own functions have more options")
    raise TypeError(f"{keyword}= does not work on Arrays: {instead}")


def _store(ufunc: np.ufunc, function: Callable[..., Any], inputs: tuple[Any, ...], out: Any) -> Any:
    """Write a result into an Array of its format and profile, or truth values into an array of bool."""
    if not carries_codes(out):
        if not (isinstance(out, np.ndarray) and out.dtype == np.bool_):
            raise TypeError(
                f"np.{ufunc.__name__}: out must be an Array of the result's format, not {_kind_text(out)}; a plain "
                "array takes values: x[...] = np.asarray(result)"
            )
        result = function(*inputs)
        if carries_codes(result):
            raise TypeError(f"np.{ufunc.__name__}: out must be an Array of {result.format.name}, not {_kind_text(out)}")
        out[...] = result
        return out
    result = function(*inputs)
    if not carries_codes(result):
        raise TypeError(f"np.{ufunc.__name__}: out must be an array of truth values, not an Array")
    check_same(f"np.{ufunc.__name__}: out", result, out)
    if result.codes.shape != out.codes.shape:
        raise ValueError(f"np.{ufunc.__name__}: out must have the shape {result.codes.shape}, not {out.codes.shape}")
    out.codes[...] = result.codes
    return out


def check_same(caller: str, one: Any, other: Any) -> None:
    """Raise ValueError if two Arrays differ in format or profile."""
    if one.format != other.format:
        raise ValueError(
            f"{caller}: the Arrays are of {one.format.name} and {other.format.name}: convert one, "
            f"A.astype({one.format.name!r})"
        )
    if one.profile != other.profile:
        names = " and ".join(apart(one.profile, other.profile))
        raise ValueError(f"{caller}: the Arrays' profiles, {names}, differ: use with_profile")


def _kind_text(x: Any) -> str:
    return f"an array of {x.dtype}" if isinstance(x, np.ndarray) else f"a {type(x).__name__}"

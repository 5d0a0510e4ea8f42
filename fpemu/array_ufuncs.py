"""numpy's ufuncs on Arrays: a closed table of what each one means here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fpemu import arithmetic, elementwise
from fpemu.sources import carries_codes

# Where the table's functions are looked up: a later module wins.
MODULES = (elementwise, arithmetic)

# ufunc -> the function that computes it, exactly and rounded once.  A new function is one line; one that no module has
# yet is refused like a ufunc that is not here.
TABLE: dict[Any, str] = {
    np.add: "add",
    np.subtract: "subtract",
    np.multiply: "multiply",
    np.divide: "divide",
    np.sqrt: "sqrt",
    np.positive: "positive",
    np.negative: "negative",
    np.absolute: "absolute",
    np.fabs: "absolute",
    np.copysign: "copysign",
    np.equal: "equal",
    np.not_equal: "not_equal",
    np.less: "less",
    np.less_equal: "less_equal",
    np.greater: "greater",
    np.greater_equal: "greater_equal",
    np.isnan: "isnan",
    np.isinf: "isinf",
    np.isfinite: "isfinite",
    np.signbit: "signbit",
    np.maximum: "maximum",
    np.minimum: "minimum",
    np.fmax: "maximum_number",
    np.fmin: "minimum_number",
    np.remainder: "remainder",
    np.fmod: "fmod",
    np.exp: "exp",
    np.exp2: "exp2",
    np.expm1: "expm1",
    np.log: "log",
    np.log2: "log2",
    np.log10: "log10",
    np.log1p: "log1p",
    np.sin: "sin",
    np.cos: "cos",
    np.tan: "tan",
    np.arcsin: "arcsin",
    np.arccos: "arccos",
    np.arctan: "arctan",
    np.arctan2: "arctan2",
    np.sinh: "sinh",
    np.cosh: "cosh",
    np.tanh: "tanh",
    np.arcsinh: "arcsinh",
    np.arccosh: "arccosh",
    np.arctanh: "arctanh",
    np.cbrt: "cbrt",
    np.hypot: "hypot",
    np.power: "pow",
    np.matmul: "matmul",
}

_HINTS: dict[Any, str] = {
    np.matmul: "an accumulation has to be stated: multiply and add in the order that you mean, or use A.values",
}
_REDUCED: dict[Any, str] = {np.maximum: "max", np.minimum: "min"}


def find(name: str) -> Callable[..., Any] | None:
    """The function of this name; None if no module has it."""
    for module in reversed(MODULES):
        if name in module.__all__:
            return getattr(module, name)  # type: ignore[no-any-return]
    return None


FOUND: dict[Any, Callable[..., Any]] = {ufunc: f for ufunc, name in TABLE.items() if (f := find(name)) is not None}


def function_of(ufunc: np.ufunc) -> Callable[..., Any]:
    """What computes a ufunc on Arrays; a TypeError that lists what there is for every other."""
    found = FOUND.get(ufunc)
    if found is not None:
        return found
    names = sorted(known.__name__ for known in FOUND)
    hint = _HINTS.get(ufunc, f"for numpy's own, on values: np.{ufunc.__name__}(A.values)")
    raise TypeError(f"np.{ufunc.__name__} does not work on Arrays; {hint}. What works: {', '.join(names)}")


def call(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """A ufunc, or its `outer`, on operands of which one at least is an Array."""
    out = keywords.pop("out", None)
    if method not in ("__call__", "outer"):
        raise TypeError(_method_hint(ufunc, method))
    function = function_of(ufunc)
    if not any(carries_codes(operand) for operand in inputs):
        raise TypeError(f"np.{ufunc.__name__}: no operand is an Array: fpemu.{TABLE[ufunc]}(..., result=out.format)")
    if method == "outer":
        x, y = (_as_array(operand) for operand in inputs)
        inputs = (_with_ones(x, len(y.shape)), y)
    for keyword, value in keywords.items():
        _refuse(ufunc, keyword, value)
    if out is None:
        return function(*inputs)
    return _into(ufunc, function, inputs, out[0])


def _as_array(x: Any) -> Any:
    return x if carries_codes(x) else np.asarray(x)


def _with_ones(x: Any, ones: int) -> Any:
    return x.reshape(*x.shape, *(1 for _ in range(ones)))


def _method_hint(ufunc: np.ufunc, method: str) -> str:
    name = ufunc.__name__
    if method == "reduce" and ufunc in _REDUCED:
        return f"np.{name}.reduce does not work on Arrays: use np.{_REDUCED[ufunc]}(A)"
    if method == "at":
        return f"np.{name}.at does not work on Arrays: where no index repeats, use A[i] = np.{name}(A[i], x)"
    return f"np.{name}.{method} does not work on Arrays: state the order of the operations in a loop"


def _refuse(ufunc: np.ufunc, keyword: str, value: Any) -> None:
    """A TypeError for a keyword that would change what is computed."""
    if keyword == "where" and value is not True:
        raise TypeError("where= does not work on Arrays: use np.where(mask, result, A)")
    if keyword == "dtype" and value is not None:
        raise TypeError(f"dtype= does not work on Arrays: fpemu.{TABLE[ufunc]}(..., result='bfloat16') says the format")
    if keyword not in ("where", "dtype", "casting", "order", "subok"):
        raise TypeError(f"{keyword}= does not work on Arrays: call fpemu.{TABLE[ufunc]} itself for more options")


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
            f"{what}: the Arrays' profiles, {one.profile.name} and {other.profile.name}, differ: use with_profile"
        )


def _words(x: Any) -> str:
    return f"an array of {x.dtype}" if isinstance(x, np.ndarray) else f"a {type(x).__name__}"

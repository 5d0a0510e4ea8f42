"""Options of operations, and the text about them that docstrings share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpemu.formats import Profile
from fpemu.formats.keywords import F, refusal
from fpemu.formats.rules import Overflow, Rounding, Stochastic


class Options(TypedDict, total=False):
    """The keywords of every operation."""

    result: Any
    profile: str | Profile | None
    rounding: str | Rounding | Stochastic | None
    overflow: str | Overflow | None
    rng: int | np.random.Generator | None
    random_bits: ArrayLike | None
    rng_offset: int
    return_flags: bool
    out: NDArray[Any] | None


DEFAULTS = Options(
    result=None,
    profile=None,
    rounding=None,
    overflow=None,
    rng=None,
    random_bits=None,
    rng_offset=0,
    return_flags=False,
    out=None,
)

OPERAND = """array_like or Array
        Numbers, which are exactly their values, or codes with a format"""
_RESULT = """result : str, Format or dtype, optional
        The result's format; default {default}.
    """
_COMMON_TEXT = """profile : str or Profile, optional
        The rules; default the Arrays' one if the result has their format, else the result format's own.
    rounding : str, Rounding or Stochastic, optional
        Overrides the profile's rounding.
    overflow : str or Overflow, optional
        Overrides the profile's overflow.
    rng : None, int or numpy.random.Generator
        Stochastic rounding: the seed; see `cast`.
    random_bits : array_like of int, optional
        Stochastic rounding: the random integers themselves, of the result's shape, below 2^bits.
    rng_offset : int
        Stochastic rounding: the index in the stream of the result's first element (in C order).
    return_flags : bool
        Whether to return the flags too.
    out : numpy.ndarray, optional
        Array for the result's codes, of the result's shape and the codes' dtype.

    Returns
    -------
    Array, numpy.ndarray or numpy scalar
        An Array if an operand is one, else values as `decode` gives them; with `out` that array.
    Flags
        Only with `return_flags`.

    Raises
    ------
    TypeError
        If an operand or an option is of the wrong kind.
    ValueError
        If there is no format for the result or two Arrays disagree about it, a name is unknown, a rule does not apply,
        shapes do not broadcast, or `out` does not fit.
    FloatingPointError
        If a flag is raised that is an error in this context; see `errstate`."""
OPTIONS_TEXT = _RESULT.format(default="the Arrays' one") + _COMMON_TEXT

# Parameters that only some operations have
_OWN_PARAMETERS = {
    "n": """n : array_like of int
        Integers, broadcast against x.
    """,
    "fmt": """fmt : str, Format or dtype
        The result's format; see `dtype`.
    """,
    "exact": """exact : bool
        Whether a number that is not an integer raises inexact.
    """,
    "extremum": """extremum : {"2019", "2008", "x86", "arm"} or Extremum
        Which operation of this name: IEEE 754-2019's, IEEE 754-2008's, an x86 CPU's or an Arm CPU's; see the notes.
    """,
}


def fill(function: F, texts: Mapping[str, str], options: Collection[str] = ()) -> F:
    """Replace marks in a docstring, {name} by the text of that name, and add options to the signature."""
    doc = function.__doc__ or ""  # python -OO leaves none
    for name, text in texts.items():
        doc = doc.replace(f"{{{name}}}", text)
    function.__doc__ = doc
    if options:
        kinds = {name: kind.__forward_arg__ for name, kind in Options.__annotations__.items()}  # as they are written
        added = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kinds[name])
            for name, default in DEFAULTS.items()
            if name in options
        ]
        signature = inspect.Signature([*_named_parameters(function), *added], return_annotation="Any")
        function.__signature__ = signature  # type: ignore[attr-defined]
    return function


def _named_parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    return [p for p in inspect.signature(function).parameters.values() if p.kind is not p.VAR_KEYWORD]


def documented(function: F) -> F:
    """Fill in the parameters of an operation, and its options in the signature.

    The docstring's mark is {parameters}, or {parameters of x} where the result's format is x's by default.
    """
    names = [p.name for p in _named_parameters(function)]
    operands = ", ".join(name for name in names if name not in _OWN_PARAMETERS)
    special = "".join(_OWN_PARAMETERS[name] for name in names if name in _OWN_PARAMETERS)

    def parameters(default: str) -> str:
        result = "" if "fmt" in names else _RESULT.format(default=default)
        operand = f"{operands} : {OPERAND}; broadcast against each other."
        return f"Parameters\n    ----------\n    {operand}\n    {special}{result}{_COMMON_TEXT}"

    texts = {"parameters": parameters("the Arrays' one"), "parameters of x": parameters("x's")}
    return fill(function, texts, [name for name in DEFAULTS if name != "result" or "fmt" not in names])


def checked_bool(name: str, value: Any) -> bool:
    """An argument that is a bool; raises TypeError for anything else."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be a bool, not {type(value).__name__}")
    return bool(value)


def check_options(name: str, options: Options, known: Collection[str]) -> None:
    """Raise TypeError, with the option that may be meant, if a keyword is not an option; `known`: all options."""
    for option, value in options.items():
        if option not in DEFAULTS:
            raise TypeError(refusal(name, option, value, known))

"""Options of operations, and the text about them that docstrings share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from typing import Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpemu.formats import Profile
from fpemu.formats.keywords import refusal
from fpemu.formats.rules import Overflow, Rounding, Stochastic


class Options(TypedDict, total=False):
    """What every operation takes beside its operands."""

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

_PARAMETERS = """Parameters
    ----------
    {operands} : array_like or Array
        Numbers, which are exactly their values, or codes with a format; broadcast against each other.
    {more}profile : str or Profile, optional
        The rules; default the Arrays' one if the result has their format, else the result format's own.
    rounding : str, Rounding or Stochastic, optional
        Instead of the profile's.
    overflow : str or Overflow, optional
        Instead of the profile's.
    rng : None, int or numpy.random.Generator
        Stochastic rounding: the seed; see `cast`.
    random_bits : array_like of int, optional
        Stochastic rounding: the random integers themselves, of the result's shape, below 2^bits.
    rng_offset : int
        Stochastic rounding: the place of the result's first element (in C order) in the stream.
    return_flags : bool
        Also give the flags.
    out : numpy.ndarray, optional
        Where to put the result's codes: the result's shape, the codes' dtype.

    Returns
    -------
    Array, numpy.ndarray or numpy scalar
        An Array where an operand is one, else values as `decode` gives them; with `out` that array.
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

# Parameters that some operations have beside their operands
_OWN = {
    "n": """n : array_like of int
        Integers, broadcast against x.
    """,
    "fmt": """fmt : str, Format or dtype
        The result's format; see `dtype`.
    """,
    "exact": """exact : bool
        Whether a number that is no integer raises inexact.
    """,
    "extremum": """extremum : {"2019", "2008", "x86", "arm"} or Extremum
        Which operation of this name: IEEE 754-2019's, IEEE 754-2008's, an x86 CPU's or an Arm CPU's; see the notes.
    """,
}

_RESULT = """result : str, Format or dtype, optional
        The result's format; default {default}.
    """

# The options in a docstring
OPTIONS_TEXT = _RESULT.format(default="the Arrays' one") + _PARAMETERS[_PARAMETERS.index("profile : str") :]


def documented(function: Callable[..., Any]) -> Callable[..., Any]:
    """Fill in what all operations have in common: the parameters, in the docstring and in the signature.

    In the docstring {parameters} stands for them; {parameters of x} where the result's format is x's by default.
    """
    named = [p for p in inspect.signature(function).parameters.values() if p.kind is not p.VAR_KEYWORD]
    kinds = Options.__annotations__
    names = [name for name in DEFAULTS if not (name == "result" and any(p.name == "fmt" for p in named))]
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=DEFAULTS[name], annotation=kinds[name])  # type: ignore[literal-required]
        for name in names
    ]
    doc = function.__doc__ or ""  # python -OO leaves none
    own = "".join(_OWN[p.name] for p in named if p.name in _OWN)
    operands = ", ".join(p.name for p in named if p.name not in _OWN)
    for place, default in (("{parameters}", "the Arrays' one"), ("{parameters of x}", "x's")):
        result = _RESULT.format(default=default) if "result" in names else ""
        doc = doc.replace(place, _PARAMETERS.format(operands=operands, more=own + result))
    function.__doc__ = doc
    function.__signature__ = inspect.Signature([*named, *options], return_annotation="Any")  # type: ignore[attr-defined]
    return function


def checked_bool(name: str, value: Any) -> bool:
    """An argument that is a bool; a TypeError for everything else."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be a bool, not {type(value).__name__}")
    return bool(value)


def check_options(name: str, options: Options, known: Collection[str]) -> None:
    """A TypeError that says what is meant, if a keyword is no option of operations; `known`: all that there are."""
    for option, value in options.items():
        if option not in DEFAULTS:
            raise TypeError(refusal(name, option, value, known))

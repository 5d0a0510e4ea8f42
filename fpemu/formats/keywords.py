"""Hints for other libraries' keywords: they raise a TypeError that names fpemu's keyword and value."""

from __future__ import annotations

import enum
import functools
import inspect
import re
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from fpemu.formats.lookup import brief, near

F = TypeVar("F", bound=Callable[..., Any])
Kind = TypeVar("Kind", bound=type)

_UNEXPECTED = re.compile(r"got an unexpected keyword argument '(\w+)'")


def _as_it_is(parameter: str) -> Callable[[Any], str]:
    return lambda value: f"{parameter}={_short(value)}"


def _if_true(yes: str, no: str) -> Callable[[Any], str]:
    return lambda value: yes if value is True or value == 1 else no


def _group(value: Any) -> str:
    return f"block={_short(value)}, or a scheme whose name says it, as 'int4_group{value}'"


_SYMMETRIC = _if_true(
    "a scheme without zero points, as 'int8_channel'", "a scheme with zero points, 'int8_asym_channel'"
)
_SATURATE = _if_true("overflow='saturate'", "overflow='standard', or 'infinity', 'nan' or 'wrap'")

Advice = tuple[tuple[str, Callable[[Any], str]], ...]


def _renamed(*parameters: str) -> Advice:
    return tuple((parameter, _as_it_is(parameter)) for parameter in parameters)


# Other libraries' keywords -> fpemu's parameters, each with the advice for a value; the first match is used.
_WORDS: dict[str, Advice] = {
    word: advice
    for words, advice in (
        ("seed random_state generator key prng", _renamed("rng")),
        ("rounding_mode round_mode round mode rmode rnd", _renamed("rounding")),
        ("dim dims axes", _renamed("axis")),
        ("keepdim", _renamed("keepdims")),
        ("random noise bits_random", _renamed("random_bits")),
        ("offset", _renamed("rng_offset")),
        ("scale_method scaling", _renamed("scale_rule")),
        ("zero_point zp", _renamed("zero_points")),
        ("scale", _renamed("scales")),
        ("block_size blocksize blocks", _renamed("block")),
        ("flags", _renamed("return_flags")),
        ("acc acc_dtype accumulator accum", _renamed("accumulate")),
        ("rules", _renamed("profile")),
        ("width", _renamed("bits")),
        (
            "dtype fmt format to qtype out_dtype output_dtype torch_dtype target result scheme quant_type",
            _renamed("fmt", "scheme", "result", "formats"),
        ),
        ("group_size groupsize group", (("block", _group), ("scheme", _group))),
        (
            "bits nbits n_bits num_bits wbits bit_width",
            (
                ("scheme", lambda value: f"the width in the scheme's name, as 'int{value}_group128'"),
                ("fmt", lambda value: f"the width in the format's name, as fmt='int{value}'"),
            ),
        ),
        ("symmetric sym", (("scheme", _SYMMETRIC),)),
        ("asymmetric", (("scheme", lambda value: _SYMMETRIC(not value)),)),
        ("saturate saturation saturating saturate_cast sat", (("overflow", _SATURATE),)),
        ("wrap wraparound", (("overflow", lambda value: "overflow='wrap'"),)),
        (
            "stochastic stochastic_rounding",
            (("rounding", _if_true("rounding='stochastic', and rng=", "rounding='nearest_even'")),),
        ),
    )
    for word in words.split()
}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else "..."


def refusal(name: str, option: str, value: Any, known: Collection[str]) -> str:
    """The error message for a keyword that a function lacks.

    Parameters
    ----------
    name : str
        The name of the function.
    option : str
        The keyword.
    value : object
        Its value.
    known : collection of str
        The function's parameters.

    Returns
    -------
    str

    Examples
    --------
    >>> from fpemu.formats.keywords import refusal
    >>> refusal("cast", "seed", 0, ["x", "fmt", "rng"])
    "cast() got an unexpected keyword argument 'seed': use rng=0"
    >>> refusal("cast", "roundin", "to_odd", ["rounding"])
    "cast() got an unexpected keyword argument 'roundin'; did you mean 'rounding'?"
    """
    text = f"{name}() got an unexpected keyword argument {brief(option)}"
    for parameter, words in _WORDS.get(option.lower(), ()):
        if parameter in known:
            return f"{text}: use {words(value)}"
    return f"{text}{near(option, list(known))}"


def hinted(function: F) -> F:
    """Wrap a function so that errors about keywords name the right keyword.

    Parameters
    ----------
    function : callable
        A function without **kwargs.

    Returns
    -------
    callable

    Examples
    --------
    >>> from fpemu.formats.keywords import hinted
    >>> @hinted
    ... def halve(x, *, rng=None):
    ...     return x / 2
    >>> halve(3)
    1.5
    >>> halve(3, seed=1)
    Traceback (most recent call last):
    ...
    TypeError: halve() got an unexpected keyword argument 'seed': use rng=1
    """

    @functools.wraps(function)
    def call(*args: Any, **keywords: Any) -> Any:
        try:
            return function(*args, **keywords)
        except TypeError as error:
            trace = error.__traceback__
            if trace is None or trace.tb_next is not None:  # raised inside, not by the call itself
                raise
            text = _explained(function, keywords, str(error))
        raise TypeError(text)

    return call  # type: ignore[return-value]


def _explained(function: Callable[..., Any], keywords: dict[str, Any], text: str) -> str:
    """The message of an error about a call's arguments, with advice added."""
    known = [name for name in inspect.signature(function).parameters if name != "self"]
    match = _UNEXPECTED.search(text)
    name = function.__qualname__.removesuffix(".__init__").rpartition(".")[2]
    if match is not None:
        return refusal(name, match[1], keywords.get(match[1]), known)
    if "missing" in text and "'fmt'" in text and isinstance(keywords.get("dtype"), str):
        return f"{text}: use fmt={keywords['dtype']!r}; dtype is the result's own, float32 or float64"
    return text


def hinted_methods(kind: Kind) -> Kind:
    """Apply `hinted` to the constructor and the public methods of a class, in place.

    Parameters
    ----------
    kind : type

    Returns
    -------
    type
        The class itself.

    Examples
    --------
    >>> from fpemu.formats.keywords import hinted_methods
    >>> @hinted_methods
    ... class Box:
    ...     def turn(self, axis=0):
    ...         return axis
    >>> Box().turn(dim=1)
    Traceback (most recent call last):
    ...
    TypeError: turn() got an unexpected keyword argument 'dim': use axis=1
    """
    package = kind.__module__.partition(".")[0]
    for own in kind.__mro__:
        if own.__module__.partition(".")[0] != package:
            continue
        for name, member in list(vars(own).items()):
            if inspect.isfunction(member) and _names_all(member) and (name == "__init__" or not name.startswith("_")):
                setattr(own, name, hinted(member))
    return kind


def with_hints(member: Any) -> Any:
    """Apply `hinted` to a public function or class; anything else is returned unchanged.

    Parameters
    ----------
    member : object

    Returns
    -------
    object
        A wrapper that pickles under its name in `fpemu`; a class itself.

    Examples
    --------
    >>> from fpemu.formats.keywords import with_hints
    >>> with_hints(3)
    3
    """
    if inspect.isfunction(member) and _names_all(member):
        wrapper = hinted(member)
        wrapper.__module__ = "fpemu"
        return wrapper
    return hinted_methods(member) if isinstance(member, type) and not issubclass(member, enum.Enum) else member


def _names_all(function: Callable[..., Any]) -> bool:
    """Whether a function has no **kwargs: a function that has them checks its keywords itself."""
    return not function.__code__.co_flags & inspect.CO_VARKEYWORDS and not hasattr(function, "__wrapped__")

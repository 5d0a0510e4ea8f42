"""Shared sections of the docstrings of users' cores."""

import inspect
import itertools
import textwrap

# Type and description of each parameter
_OPERAND = ("int", "A code, of any integer type.")
_PARAMETER_TEXTS = {
    "code": _OPERAND,
    "x": _OPERAND,
    "y": _OPERAND,
    "z": _OPERAND,
    "number": ("float", "The number, taken exactly."),
    "negative": ("bool", "Whether the sign is minus."),
    "significand": ("int", "Below 2^64."),
    "exponent": ("int", "Of the significand's last bit."),
    "spec": ("tuple of int", "The format: `fmt.spec`."),
    "source": ("tuple of int", "The code's format: `fmt.spec`."),
    "x_spec": ("tuple of int", "The operand's format: `fmt.spec`."),
    "y_spec": ("tuple of int", "The operand's format: `fmt.spec`."),
    "z_spec": ("tuple of int", "The operand's format: `fmt.spec`."),
    "target": ("tuple of int", "The result's format: `fmt.spec`."),
    "rules": ("tuple of int", "The result of `rules` for the result's format."),
    "random": ("int", "For stochastic rounding: a random integer below 2^bits, from `random_bits`."),
    "key": ("int", "The key of the stream, from `key`."),
    "place": ("int", "The element's index in the stream."),
}
_RETURNS = {
    "{a code}": "Returns\n-------\nint\n    The code.",
    "{a code and flags}": (
        "Returns\n-------\ncode : int\nflags : int\n"
        "    The sum of the flags raised, of INEXACT, UNDERFLOW, OVERFLOW, DIVIDE_BY_ZERO, INVALID."
    ),
}


def fill_docstring(function):
    """Fill in the parameters, and the results that many cores share."""
    text = "Parameters\n----------"
    parameters = inspect.signature(function).parameters
    for (kind, description), names in itertools.groupby(parameters, _PARAMETER_TEXTS.__getitem__):
        text += f"\n{', '.join(names)} : {kind}\n    {description}"
    doc = function.__doc__ or ""  # python -OO leaves none
    for mark, section in {"{parameters}": text, **_RETURNS}.items():
        doc = doc.replace(mark, textwrap.indent(section, "    ").lstrip())
    function.__doc__ = doc
    return function

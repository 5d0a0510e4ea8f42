"""What the docstrings of users' cores have in common."""

import inspect
import itertools
import textwrap

# What each parameter is, for all docstrings
_OPERAND = ("int", "A code, of any integer type.")
_TEXTS = {
    "code": _OPERAND,
    "x": _OPERAND,
    "y": _OPERAND,
    "z": _OPERAND,
    "number": ("float", "A number, which is exactly its value."),
    "negative": ("bool", "Whether the sign is minus."),
    "significand": ("int", "Below 2^64."),
    "exponent": ("int", "Of the significand's last bit."),
    "spec": ("tuple of int", "The format: `fmt.spec`."),
    "source": ("tuple of int", "The code's format: `fmt.spec`."),
    "x_spec": ("tuple of int", "The operand's format: `fmt.spec`."),
    "y_spec": ("tuple of int", "The operand's format: `fmt.spec`."),
    "z_spec": ("tuple of int", "The operand's format: `fmt.spec`."),
    "target": ("tuple of int", "The result's format: `fmt.spec`."),
    "rules": ("tuple of int", "What `rules` makes for the result's format."),
    "random": ("int", "Stochastic rounding: a random integer below 2^bits, as `random_bits` gives."),
    "key": ("int", "The stream's, as `key` makes it."),
    "place": ("int", "Which element of the stream."),
}
_RETURNS = {
    "{a code}": "Returns\n-------\nint\n    The code.",
    "{a code and flags}": (
        "Returns\n-------\ncode : int\nflags : int\n"
        "    The sum of INEXACT, UNDERFLOW, OVERFLOW, DIVIDE_BY_ZERO and INVALID, as far as raised."
    ),
}


def documented(function):
    """Fill in the section of parameters, and of results that many cores share."""
    text = "Parameters\n----------"
    for (kind, said), names in itertools.groupby(inspect.signature(function).parameters, _TEXTS.__getitem__):
        text += f"\n{', '.join(names)} : {kind}\n    {said}"
    doc = function.__doc__ or ""  # python -OO leaves none
    for mark, section in {"{parameters}": text, **_RETURNS}.items():
        doc = doc.replace(mark, textwrap.indent(section, "    ").lstrip())
    function.__doc__ = doc
    return function

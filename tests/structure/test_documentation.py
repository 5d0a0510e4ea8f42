"""Rules of documentation: every public name is explained, with its real parameters and an example that runs."""

from __future__ import annotations

import ast
import builtins
import enum
import inspect
import re
import textwrap

import fpemu as fe
from fpemu import cores, strategies, testing

SECTION = re.compile(r"^(\w[\w ]*)\n-+$", re.MULTILINE)


def sections(doc):
    """A numpydoc docstring's sections: title -> text."""
    parts = SECTION.split(doc)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def documented(text):
    """The names in a section of parameters; `a, b : int` has two."""
    heads = [line.partition(" : ")[0] for line in text.splitlines() if line and not line[0].isspace()]
    return [name.strip().lstrip("*") for head in heads for name in head.split(",")]


def public_callables():
    """Every public function and class, and the public methods that fpemu itself defines: name -> object."""
    modules = {"fpemu": fe, "fpemu.cores": cores, "fpemu.testing": testing, "fpemu.strategies": strategies}
    for prefix, module in modules.items():
        for name in module.__all__:
            thing = getattr(module, name)
            if not callable(thing):
                continue
            yield f"{prefix}.{name}", thing
            kinds = (
                [kind for kind in inspect.getmro(thing) if kind.__module__.startswith("fpemu")]
                if inspect.isclass(thing)
                else []
            )
            for method, member in ((name, member) for kind in kinds for name, member in vars(kind).items()):
                function = member.__func__ if isinstance(member, classmethod | staticmethod) else member
                if not method.startswith("_") and inspect.isfunction(function):
                    yield f"{prefix}.{name}.{method}", function


CALLABLES = dict(public_callables())
EXPLAINED = {
    name: thing for name, thing in CALLABLES.items() if not (inspect.isclass(thing) and issubclass(thing, enum.Enum))
}


def own_raises(function):
    """Whether a function's own body, or a class's __init__, raises."""
    if inspect.isclass(function):
        bodies = [vars(function).get(name) for name in ("__init__", "__post_init__")]
        own = [inspect.unwrap(body) for body in bodies if body is not None]
        written = [body for body in own if body.__code__.co_filename != "<string>"]
    else:
        written = [inspect.unwrap(function)]
    trees = [ast.parse(textwrap.dedent(inspect.getsource(body))) for body in written]
    return any(isinstance(node, ast.Raise) for tree in trees for node in ast.walk(tree))


def parameters(function):
    """The names of a callable's parameters, without self."""
    return [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]


DOCS = {name: inspect.getdoc(thing) or "" for name, thing in CALLABLES.items()}
SECTIONS = {name: sections(DOCS[name]) for name in EXPLAINED}


def test_public_things_are_documented():
    assert len(CALLABLES) > 150
    assert not [name for name, doc in DOCS.items() if not doc.strip().split("\n")[0].endswith((".", ":"))]


def test_documented_parameters_are_the_real_ones():
    wrong = {}
    for name, thing in EXPLAINED.items():
        listed, real = documented(SECTIONS[name].get("Parameters", "")), parameters(thing)
        if listed != real:
            wrong[name] = (listed, real)
    assert not wrong


def test_public_things_show_an_example_that_runs():
    assert not [name for name in EXPLAINED if ">>> " not in SECTIONS[name].get("Examples", "")]


def test_errors_are_documented():
    silent = [name for name, thing in EXPLAINED.items() if own_raises(thing) and not SECTIONS[name].get("Raises")]
    assert not silent
    errors = {error for titles in SECTIONS.values() for error in documented(titles.get("Raises", ""))}
    assert not [error for error in errors if not issubclass(getattr(builtins, error, int), Exception)]


def test_sections_are_read():
    found = sections("Do.\n\nParameters\n----------\na, b : int\n    More.\n*c\n\nRaises\n------\nValueError\n")
    assert documented(found["Parameters"]) == ["a", "b", "c"]
    assert list(found) == ["Parameters", "Raises"]
    assert own_raises(fe.FloatFormat)
    assert own_raises(fe.rounding_mode)
    assert not own_raises(fe.dtypes)


def test_signatures_are_as_written():
    """`help(fe.add)` names types, not typing's forward references to them."""
    wrong = [name for name, thing in CALLABLES.items() if "ForwardRef" in str(inspect.signature(thing))]
    assert not wrong

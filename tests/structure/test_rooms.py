"""Rules of structure: who imports what, what `import fpemu` loads, that documentation names the real parameters."""

from __future__ import annotations

import ast
import builtins
import enum
import inspect
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import fpemu as fe
from fpemu import cores, strategies, testing
from tests.proofs import mutants, proof

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "fpemu"
SOURCES = sorted(PACKAGE.rglob("*.py"))

# From the bottom up: a room imports only what stands before it.  A package is a room, and so is a module at the top.
ROOMS = (
    *("version", "kernels", "formats", "casting", "arithmetic", "cores", "arrays", "quantization", "inspection"),
    *("files", "reports", "verification", "vectors", "testing", "strategies", "pytest_plugin", "_public"),
    *("__init__", "demo", "cli", "__main__"),
)

# Who may import what does not come with Python; numpy anybody.
THIRD_PARTY = {
    "numba": ["kernels"],
    "llvmlite": ["kernels"],
    "hypothesis": ["strategies"],
    "pytest": ["pytest_plugin"],
    "torch": ["verification"],  # the script that is run where the device is
    "matplotlib": ["reports", "demo", "cli"],
    "typer": ["cli"],
    "click": ["cli"],
    "rich": ["cli"],
    "sklearn": ["demo"],  # the script that trained the network
}

LONGEST = 600  # lines


def room(path):
    """The room that a source file stands in."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree, annotations=False):
    """The full names of all that a module imports, in functions too; `from a import b` is "a.b"."""
    for node in ast.walk(tree):
        if not annotations and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []  # never runs
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_rooms(tree):
    """The rooms that a module imports; the public names count as __init__."""
    for name in imports(tree):
        package, _, rest = name.partition(".")
        if package == "fpemu":
            first = rest.partition(".")[0]
            yield first if first in ROOMS else "__init__"


def test_rooms_import_what_stands_below():
    wrong = []
    for path in SOURCES:
        here = room(path)
        above = {other for other in imported_rooms(ast.parse(path.read_text())) if other != here}
        wrong += [f"{path} imports {other}" for other in above if ROOMS.index(other) > ROOMS.index(here)]
    assert not wrong


def test_modules_import_each_other_in_no_circle():
    """Annotations count: what only type checkers import is an arrow too."""
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in SOURCES}
    arrows = {}
    for path in SOURCES:
        here = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        told = imports(ast.parse(path.read_text()), annotations=True)
        arrows[here] = {name if name in names else name.rpartition(".")[0] for name in told} & names - {here}
    while free := [name for name, below in arrows.items() if not below & arrows.keys()]:
        for name in free:
            del arrows[name]
    assert not arrows


def test_third_parties_stay_in_their_rooms():
    known = {"fpemu", "numpy", *sys.stdlib_module_names}
    wrong = [
        f"{path} imports {name}"
        for path in SOURCES
        for name in imports(ast.parse(path.read_text()))
        if (package := name.partition(".")[0]) not in known and room(path) not in THIRD_PARTY.get(package, [])
    ]
    assert not wrong


def test_every_room_is_there():
    assert sorted(ROOMS) == sorted({room(path) for path in SOURCES})
    assert len(ROOMS) <= 21


def test_no_module_has_the_name_of_a_public_one():
    """``fpemu.scheme`` is the function, whoever imported what first; commands are named as they are typed."""
    public = {*fe.__all__}
    wrong = [path for path in SOURCES if path.stem in public and room(path) not in ("cli", "kernels")]
    assert not wrong


def test_imports_are_found_wherever_they_stand():
    tree = ast.parse(
        "import a.b\ndef f():\n    from numba import njit\nif TYPE_CHECKING:\n    import c\nelse:\n    import d"
    )
    assert sorted(imports(tree)) == ["a.b", "d", "numba.njit"]
    tree = ast.parse("import fpemu as fe\nfrom fpemu import cast, casting\nfrom fpemu.cli.app import x")
    assert list(imported_rooms(tree)) == ["__init__", "__init__", "casting", "cli"]


def loaded_by(script):
    """The modules that a script loads beside the interpreter's own start."""
    script = f"import sys; before = set(sys.modules)\n{script}\nprint(*set(sys.modules) - before)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in run.stdout.split()}


def test_import_stays_light():
    assert loaded_by("import fpemu; fpemu.__version__") <= {"fpemu", *sys.stdlib_module_names}
    loaded = loaded_by("import numpy; before = set(sys.modules); import fpemu; fpemu.cast")
    assert "fpemu" in loaded
    heavy = {"fractions", "decimal", "statistics", "ml_dtypes", "torch", "scipy", "gmpy2", *THIRD_PARTY}
    assert not loaded & heavy
    assert loaded <= {"fpemu", "numpy", *sys.stdlib_module_names}


def test_public_names_win_over_modules():
    """All names are there at once, and those of modules are no public ones."""
    loaded_by("import fpemu; assert set(fpemu.__all__) <= set(dir(fpemu))")
    loaded_by("from fpemu import *; cast, report, Array")
    with pytest.raises(AttributeError, match="module 'fpemu' has no attribute 'nonsense'"):
        getattr(fe, "nonsense")  # noqa: B009


@pytest.mark.parametrize("path", [*SOURCES, *sorted((ROOT / "tests").rglob("*.py"))], ids=lambda path: path.name)
def test_files_stay_short(path):
    lines = path.read_text().count("\n")
    assert lines <= LONGEST, f"{path} has {lines} lines: look for the missing idea"


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no git repository to ask what belongs to it")
def test_top_level():
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    top = {name.partition("/")[0] for name in listed if name}
    assert {name for name in top if not name.startswith(".")} == {
        "LICENSE",
        "README.md",
        "docs",
        "fpemu",
        "pyproject.toml",
        "tests",
    }


# -- documentation ----------------------------------------------------------------------------------------------------

SECTION = re.compile(r"^(\w[\w ]*)\n-+$", re.MULTILINE)


def sections(doc):
    """A numpydoc docstring's sections: title -> text."""
    parts = SECTION.split(doc)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def documented(text):
    """The names in a section of parameters: `a, b : int` gives two."""
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


@pytest.mark.parametrize("name", CALLABLES)
def test_public_things_are_documented(name):
    doc = inspect.getdoc(CALLABLES[name])
    assert doc
    assert doc.strip().split("\n")[0].endswith((".", ":"))


@pytest.mark.parametrize("name", EXPLAINED)
def test_documented_parameters_are_the_real_ones(name):
    found = sections(inspect.getdoc(EXPLAINED[name]))
    assert documented(found.get("Parameters", "")) == parameters(EXPLAINED[name])


@pytest.mark.parametrize("name", EXPLAINED)
def test_public_things_show_an_example_that_runs(name):
    examples = sections(inspect.getdoc(EXPLAINED[name])).get("Examples", "")
    assert ">>> " in examples


@pytest.mark.parametrize("name", EXPLAINED)
def test_errors_are_documented(name):
    section = sections(inspect.getdoc(EXPLAINED[name])).get("Raises")
    assert section or not own_raises(EXPLAINED[name])
    for error in documented(section or ""):
        assert issubclass(getattr(builtins, error), Exception)


def test_sections_are_read():
    found = sections("Do.\n\nParameters\n----------\na, b : int\n    More.\n*c\n\nRaises\n------\nValueError\n")
    assert documented(found["Parameters"]) == ["a", "b", "c"]
    assert list(found) == ["Parameters", "Raises"]
    assert own_raises(fe.FloatFormat)
    assert own_raises(fe.rounding_mode)
    assert not own_raises(fe.dtypes)


def test_every_kernel_has_tests_and_a_proof():
    """Each kernel file has the tests that its mutants must fail, and those tests are there."""
    files = {mutants.name_of(path) for path in (PACKAGE / "kernels").rglob("*.py")}
    assert files - set(mutants.LEFT_OUT) == set(mutants.CONCERNED)
    tests = "\n".join(path.read_text() for path in (ROOT / "tests/kernels").glob("test_*.py"))
    for starts in mutants.CONCERNED.values():
        assert all(f"\ndef {start.replace('[', '(')}" in tests for start in starts), starts
    assert {f"{name}.py" for name in (*proof.CASTS, *proof.NATIVE, *proof.ARITHMETIC)} <= files


def test_digests_of_kernels_name_their_code():
    """A comment, a docstring or an import leaves the digest as it is; a number, a name or an operator does not."""
    code = proof.statements_of('"""A module."""\nimport math\nX = 1\n\n\ndef f(x):\n    """Do."""\n    return x + X\n')
    assert code == proof.statements_of("X = 1  # a unit\ndef f(x):\n    return (x + X)")
    for other in ("X = 2\ndef f(x): return x + X", "X = 1\ndef f(x): return x - X", "X = 1\ndef g(x): return x + X"):
        assert code != proof.statements_of(other)

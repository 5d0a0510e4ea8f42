"""Rules of structure: imports between rooms, lengths of files, modules that `import fpemu` loads."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import fpemu as fe

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
    """The room of a source file."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree, annotations=False):
    """The full names of all imports in a module, also in functions; `from a import b` is "a.b"."""
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
    """Imports for annotations alone count too."""
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
    """``fpemu.scheme`` is the function, in any order of imports; commands have the names that users type."""
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
    """The modules that a script loads, without those that the interpreter itself loads."""
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
    """All names exist at once, and names of modules are not public."""
    loaded_by("import fpemu; assert set(fpemu.__all__) <= set(dir(fpemu))")
    loaded_by("from fpemu import *; cast, report, Array")
    with pytest.raises(AttributeError, match="module 'fpemu' has no attribute 'nonsense'"):
        getattr(fe, "nonsense")  # noqa: B009


def test_files_stay_short():
    """If a file is longer, an idea is missing."""
    lines = {str(path): path.read_text().count("\n") for path in [*SOURCES, *(ROOT / "tests").rglob("*.py")]}
    assert not {path: count for path, count in lines.items() if count > LONGEST}


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

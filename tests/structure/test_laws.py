"""Laws of the house: faces and friends."""

from __future__ import annotations

import ast

from tests.structure.test_rooms import PACKAGE, SOURCES, room

# Modules that other rooms may import by their path; everything else they take from the room's face, its `__init__`.
# Kernels have no face: whoever needs one imports its module alone, at the first call.
FRIENDS = {
    "formats": {"facts", "keywords", "lookup", "rules", "serialize", "strict_json"},
    "casting": {
        "buffers",
        "execution",
        "fast_paths",
        "fpu",
        "lowering",
        "plans",
        "significands",
        "stochastic",
        "thresholds",
    },
    "arithmetic": {"comparison", "doubles", "elementary", "flags", "operation", "options", "predicates", "task"},
    "quantization": {"definition"},
    "inspection": {"accuracy", "operations"},
    "files": {"archives", "atomic", "boundary", "data_files", "saving"},
    "reports": {"plotting"},
    "verification": {"audits", "diagnosis", "differences", "failures", "hard_cases", "machine", "vectors"},
}
FACELESS = {"kernels", "cli", "demo", "version"}

TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}


def named(path, node):
    """A definition as a failure names it."""
    return f"{path.relative_to(PACKAGE)}:{node.lineno} {getattr(node, 'name', '')}"


def definitions(tree):
    """The names that a module defines at its top."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def test_rooms_are_entered_by_their_faces():
    wrong = []
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            names = node.module.split(".") if isinstance(node, ast.ImportFrom) and node.module else []
            if names[:1] != ["fpemu"] or len(names) < 2 or names[1] in {room(path), *FACELESS}:
                continue
            entered, friends = names[1], FRIENDS.get(names[1], set())
            if not (PACKAGE / entered).is_dir() or (len(names) > 2 and names[2] in friends):
                continue
            face = {*definitions(TREES[PACKAGE / entered / "__init__.py"])}
            face |= {
                alias.asname or alias.name
                for line in TREES[PACKAGE / entered / "__init__.py"].body
                if isinstance(line, ast.ImportFrom)
                for alias in line.names
            }
            strangers = {alias.name for alias in node.names} - face - friends
            if len(names) > 2 or strangers:
                wrong.append(f"{named(path, node)}: {ast.unparse(node)}")
    assert not wrong


def test_friends_are_there_and_needed():
    modules = {(path.relative_to(PACKAGE).parts[0], path.relative_to(PACKAGE).parts[1].removesuffix(".py"))
               for path in SOURCES if path.parent != PACKAGE}  # fmt: skip
    assert {(name, friend) for name, friends in FRIENDS.items() for friend in friends} <= modules

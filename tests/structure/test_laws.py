"""Laws of the house: faces and friends, one meaning for a name, sizes of functions, plain words."""

from __future__ import annotations

import ast
import collections
import io
import re
import tokenize

import fpemu as fe
from fpemu import strategies, testing
from fpemu.verification import Claim
from tests.structure.test_rooms import PACKAGE, SOURCES, room

# Modules that other rooms may import by their path; everything else they take from the room's face, its `__init__`.
# Kernels have no face: whoever needs one imports its module alone, at the first call.
FRIENDS = {
    "formats": {"facts", "keywords", "lookup", "rules", "serialize", "strict_json"},
    "casting": {"buffers", "execution", "fast_paths", "fpu", "lowering", "plans", "significands", "stochastic"}
    | {"thresholds"},
    "arithmetic": {"comparison", "doubles", "elementary", "flags", "operation", "options", "predicates", "task"},
    "quantization": {"definition"},
    "inspection": {"accuracy", "operations"},
    "files": {"archives", "atomic", "boundary", "data_files", "saving"},
    "reports": {"plotting"},
    "verification": {"audits", "diagnosis", "differences", "failures", "hard_cases", "machine", "vectors"},
}
FACELESS = {"kernels", "cli", "demo", "version"}

PARAMETERS, LINES = 8, 60

# Words that name nothing; the term of the thing says more.
CATCH_ALL = {"found", "how", "kept", "part", "parts", "place", "places", "told"}

# Names that stand in more than one module: functions and their enclosures, type variables and aliases, what the doors
# call a thing for their users, scripts' own.
HOMONYMS = {
    *("cos", "erf", "exp", "exp2", "log", "log2", "sigmoid", "sin", "tanh"),
    "T",
    *("read", "values"),
    *("load", "main", "split"),
}

# Public parameters and members that have such a word for their name
PUBLIC_WORDS = {("inspection", "place"), ("kernels", "place")}

SUMMARY = re.compile(r"^(What|How|Where|Which|Whose|Who)\b")
PLAIN = re.compile(
    r"\bwhat is no\b|\bthose (that|who)\b|\bby themselves\b|\bwhosever\b|\bthat is none\b|\bso many\b|\blikewise\b",
    re.IGNORECASE,
)

PUBLIC = {*fe.__all__, *testing.__all__, *strategies.__all__, *dir(fe.Array), *dir(fe.Quantized), *dir(Claim)}

TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}
FUNCTIONS = [
    (path, node) for path, tree in TREES.items() for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
]


def named(path, node):
    """The location and name of a definition, for failures."""
    return f"{path.relative_to(PACKAGE)}:{getattr(node, 'lineno', 1)} {getattr(node, 'name', '')}"


def definitions(tree):
    """The names that a module defines at its top level."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def shown(entered):
    """The names that a room's face imports or defines."""
    face = TREES[PACKAGE / entered / "__init__.py"]
    imported = {alias.name for line in face.body if isinstance(line, ast.ImportFrom) for alias in line.names}
    return imported | {*definitions(face)}


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
            strangers = {alias.name for alias in node.names} - shown(entered) - friends
            if len(names) > 2 or strangers:
                wrong.append(f"{named(path, node)}: {ast.unparse(node)}")
    assert not wrong


def test_friends_are_there_and_needed():
    modules = {(path.relative_to(PACKAGE).parts[0], path.relative_to(PACKAGE).parts[1].removesuffix(".py"))
               for path in SOURCES if path.parent != PACKAGE}  # fmt: skip
    assert {(name, friend) for name, friends in FRIENDS.items() for friend in friends} <= modules


def test_faces_show_what_other_rooms_take():
    """The public homes, which have an `__all__`, are exempt."""
    taken = {name: set() for name in ("arrays", *FRIENDS)}
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.removeprefix("fpemu.") in taken:
                taken[node.module.removeprefix("fpemu.")] |= {alias.name for alias in node.names}
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in taken:
                taken[node.value.id].add(node.attr)
    idle = []
    for name, names in taken.items():
        face = TREES[PACKAGE / name / "__init__.py"]
        if "__all__" not in definitions(face):
            idle += [f"{name}: {idle_name}" for idle_name in sorted(shown(name) - names)]
    assert not idle


def test_a_name_has_one_meaning():
    """Commands have the names that users type, and a kernel has the name of the function that calls it."""
    modules = collections.defaultdict(list)
    for path, tree in TREES.items():
        if room(path) not in ("kernels", "cores", "cli"):
            for name in {*definitions(tree)}:
                if not name.startswith("_"):
                    modules[name].append(str(path.relative_to(PACKAGE)))
    several = {name: paths for name, paths in modules.items() if len(paths) > 1}
    assert {name: paths for name, paths in several.items() if name not in HOMONYMS} == {}
    assert several.keys() >= HOMONYMS


def test_functions_have_few_parameters():
    """Public functions, commands, and the loops and cores of kernels are exempt."""
    wrong = []
    for path, node in FUNCTIONS:
        arguments = node.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        count = sum(argument is not None and argument.arg not in ("self", "cls") for argument in every)
        if count > PARAMETERS and room(path) not in ("kernels", "cli") and node.name not in PUBLIC:
            wrong.append(f"{named(path, node)} has {count}")
    assert not wrong


def test_functions_are_short():
    """Lines of code count, not docstrings and comments; the loops of kernels are exempt."""
    wrong = []
    code = {path: lines_of_code(path) for path in SOURCES}
    for path, node in FUNCTIONS:
        docstring = ast.get_docstring(node) is not None
        first = node.body[0].end_lineno + 1 if docstring else node.lineno
        count = sum(first <= line <= node.end_lineno for line in code[path]) + docstring
        if count > LINES and room(path) != "kernels":
            wrong.append(f"{named(path, node)} has {count}")
    assert not wrong


def lines_of_code(path):
    """The numbers of the lines of a file that contain more than a comment."""
    layout = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
    return {line for token in tokens if token.type not in layout for line in range(token.start[0], token.end[0] + 1)}


def test_names_say_what_they_name():
    wrong = []
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            name = node.arg if isinstance(node, ast.arg) else node.id if isinstance(node, ast.Name) else None
            bound = name in CATCH_ALL and not (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))
            if bound and (room(path), name) not in PUBLIC_WORDS:
                wrong.append(f"{named(path, node)}{name}")
    assert not wrong


def test_docstrings_and_comments_are_plain():
    wrong = []
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef):
                lines = (ast.get_docstring(node) or "").splitlines()
                wrong += [f"{named(path, node)}: {line}" for line in lines if PLAIN.search(line)]
                wrong += [f"{named(path, node)}: {line}" for line in lines[:1] if SUMMARY.search(line)]
    assert not wrong

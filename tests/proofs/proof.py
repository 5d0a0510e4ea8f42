"""docs/explanation/proof.md: the record of exhaustive runs, with their commits and kernels; the tests check it."""

from __future__ import annotations

import ast
import datetime
import hashlib
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "proof.md"
DIGEST = re.compile(r"`([0-9a-f]{16})`")
# The kernels of casts; other kernels use these, and have proofs of their own.
CASTS = (
    *("cpu/fast_casts", "cpu/float_environment", "cpu/general", "cpu/lookup", "jit", "scalar/bits", "scalar/convert"),
    *("scalar/random_bits", "scalar/rounding", "spec", "threads"),
)
# The kernels of operations: their own, and those of casts, which read operands and round results.
ARITHMETIC = (
    *("columns", "cpu/elementary", "cpu/fast_casts", "cpu/float_environment", "cpu/fpu_operations", "cpu/general"),
    *("cpu/lookup", "cpu/operations", "jit", "opcodes", "scalar/arithmetic", "scalar/bits", "scalar/comparison"),
    *("scalar/convert", "scalar/integral", "scalar/multiword", "scalar/random_bits", "scalar/results"),
    *("scalar/rounding", "spec"),
)
# The kernels of casts between float32 and float64 on an FPU that allows them; elsewhere the general kernel runs.
NATIVE = ("cpu/fast_casts", "cpu/float_environment", "jit", "scalar/bits")
# The page's sections: for each, its kernels, and the command that writes it
SECTIONS = {
    "exhaustive": (CASTS, "python -m tests.proofs.exhaustive"),
    "float32": (CASTS, "python -m tests.proofs.exhaustive float32"),
    "native": (NATIVE, "python -m tests.proofs.exhaustive native"),
    "arithmetic": (ARITHMETIC, "python -m tests.proofs.exhaustive arithmetic"),
    "triples": (ARITHMETIC, "python -m tests.proofs.triples --record"),
}


def digest(kernels: tuple[str, ...] = CASTS) -> str:
    """The first 16 hexadecimal digits of a SHA-256 of the kernels' code, which moving code does not change."""
    files = (ROOT / "fpemu" / "kernels" / f"{name}.py" for name in kernels)
    statements = sorted(text for file in files for text in statements_of(file.read_text()))
    return hashlib.sha256("\0".join(statements).encode()).hexdigest()[:16]


def statements_of(source: str) -> list[str]:
    """The syntax trees of a module's definitions as text, the same in every version of Python.

    Comments, docstrings, imports and ``__all__`` are left out.
    """
    statements = ast.parse(source).body
    return [
        _text(each) for each in statements if not isinstance(each, ast.Import | ast.ImportFrom) and not _is_aside(each)
    ]


def _is_aside(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return True
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    return isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__"


def _text(node: object) -> str:
    if isinstance(node, list):
        return "[" + " ".join(map(_text, node)) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = dict(ast.iter_fields(node))
    if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
        fields["body"] = node.body[1:]
    # Empty fields are left out, as each version of Python adds some.
    words = [f"{name}={_text(value)}" for name, value in fields.items() if value is not None and value != []]
    return f"{type(node).__name__}({' '.join(words)})"


def commit() -> str:
    """The commit that is checked out, with a mark if files of the package differ from it."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "--short=12", "HEAD") + (" with changes" if git("status", "--short", "fpemu") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def section(name: str) -> str:
    """The text of a section of the page."""
    return _split(name)[1]


def write(name: str, text: str) -> None:
    """Replace a section of the page."""
    before, _, after = _split(name)
    PAGE.write_text(f"{before}\n{text.strip()}\n{after}")


def _split(name: str) -> tuple[str, str, str]:
    page = PAGE.read_text()
    start, end = f"<!-- {name} -->", "<!-- end -->"
    before, begun, rest = page.partition(start)
    text, ended, after = rest.partition(end)
    if not (begun and ended):
        raise ValueError(f"{PAGE} has no {start} ... {end}")
    return before + start, text.strip(), end + after


def stale() -> list[str]:
    """Warnings about the page: a line for each section that is not of the present kernels."""
    lines = []
    for name, (kernels, command) in SECTIONS.items():
        recorded, now = set(DIGEST.findall(section(name))), digest(kernels)
        if recorded != {now}:
            of = ", ".join(sorted(recorded)) or "no run"
            lines.append(f"docs/explanation/proof.md, {name}: of {of}, the kernels are {now}; run {command}")
    return lines

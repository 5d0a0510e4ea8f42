"""Mutants of the kernels: small wrong edits, made mechanically; the tests must notice each one.

``python -m tests.proofs.mutants --sample 100 --seed 1 --jobs 2`` draws mutants of fpemu/kernels, at least one of each
core, loop and function.  With each, in a copy of the package, the tests of tests/kernels that concern it are run.  A
mutant that lives and that tests/proofs/mutants_equivalent.toml does not explain is a failure (exit status 1).  Left
out: fpemu/kernels/spec.py, opcodes.py and columns.py, whose numbers are names that both sides share.
"""

from __future__ import annotations

import argparse
import ast
import concurrent.futures
import copy
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.proofs import proof

ROOT = Path(__file__).parents[2]
KERNELS = Path("fpemu/kernels")
EXPLAINED = Path(__file__).with_name("mutants_equivalent.toml")
LEFT_OUT = ("__init__.py", "cpu/__init__.py", "scalar/__init__.py", "columns.py", "opcodes.py", "spec.py")

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
OPERATORS: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Add,),
    ast.FloorDiv: (ast.Mult,),
    ast.BitAnd: (ast.BitOr, ast.BitXor),
    ast.BitOr: (ast.BitAnd, ast.BitXor),
    ast.BitXor: (ast.BitOr, ast.BitAnd),
    ast.LShift: (ast.RShift,),
    ast.RShift: (ast.LShift,),
}
CALLS = {"shifted_left": "shifted_right", "shifted_right": "shifted_left", "min": "max", "max": "min"}

# The tests that concern a file, and for some functions those that most likely notice a mutant, to run first.
CONCERNED = {
    "cache.py": ["test_cache", "test_digest", "test_loops", "test_a_kept"],
    "cpu/blocks.py": [
        "test_statistics",
        "test_products_and",
        "test_quotients_near",
        "test_integers",
        "test_back_again",
        "test_power_scales",
        "test_nearest_scales",
        "test_zero_points",
        "test_moved",
        "test_errors_of_blocks",
        "test_replaced",
        "test_looked_up",
        "test_widened_times",
    ],
    "cpu/elementary.py": [
        "test_functions_of_narrow_formats",
        "test_functions_of_subnormals",
        "test_stochastic_functions",
    ],
    "cpu/fast_casts.py": [
        "test_addition_leaves",
        "test_fast_loop",
        "test_stochastic_loop",
        "test_float_env",
        "test_widening",
        "test_native",
    ],
    "cpu/float_environment.py": ["test_float_env", "test_an_unfit_fpu"],
    "cpu/fpu_operations.py": ["test_fpu", "test_table", "test_products", "test_sums", "test_triples"],
    "cpu/general.py": ["test_general", "test_stochastic["],
    "cpu/lookup.py": ["test_take", "test_codebook", "test_bins", "test_an_unfit_fpu", "test_table"],
    "cpu/operations.py": ["test_every_pair", "test_some", "test_comparisons", "test_triples", "test_stochastic["],
    "cpu/sums.py": [
        "test_fpu",
        "test_orders",
        "test_exact",
        "test_carries",
        "test_steps",
        "test_stochastic",
        "test_few",
    ],
    "jit.py": ["test_loops", "test_no_jit"],
    "scalar/accumulator.py": ["test_exact", "test_zeros", "test_carries", "test_few", "test_knobs", "test_wrapping"],
    "scalar/arithmetic.py": [
        "test_some",
        "test_cancellation",
        "test_every_pair",
        "test_mixed_formats",
        "test_knobs",
        "test_which_nan",
        "test_triples",
        "test_signs",
        "test_stochastic[",
        "test_the_cpu",
        "test_remainders",
    ],
    "scalar/bits.py": ["test_bit", "test_general"],
    "scalar/comparison.py": [
        "test_comparisons",
        "test_total_order",
        "test_every_pair",
        "test_some",
        "test_other_extrema",
    ],
    "scalar/convert.py": ["test_general", "test_codebook", "test_wrapping"],
    "scalar/integral.py": [
        "test_every_code",
        "test_some",
        "test_conversions",
        "test_shifts",
        "test_stochastic_rounding",
    ],
    "scalar/multiword.py": [
        "test_multiply",
        "test_add",
        "test_shift_words",
        "test_normalize",
        "test_divide",
        "test_root",
    ],
    "scalar/random_bits.py": ["test_random_words", "test_stochastic_loop", "test_stochastic["],
    "scalar/results.py": [
        "test_some",
        "test_every_pair",
        "test_which_nan",
        "test_nans",
        "test_floats",
        "test_wrapping",
        "test_the_fpu",
    ],
    "scalar/rounding.py": ["test_shift", "test_rounds_up", "test_general"],
    "threads.py": [
        "test_pieces",
        "test_a_piece",
        "test_the_pool",
        "test_the_number",
        "test_available",
        "test_all_threads",
        "test_nothing_is",
        "test_a_second",
        "test_threads_that",
    ],
    "user.py": ["test_cores", "test_signs_and_orders", "test_codes_are", "test_random_numbers", "test_docstrings"],
    "user_docs.py": ["test_docstrings"],
}
LIKELY = {
    "by_addition": ["test_fast_loop[addition"],
    "float_environment_is_standard": ["test_float_environment"],
    "by_uniform_shift": ["test_fast_loop[uniform", "test_stochastic_loop[True"],
    "by_shift": ["test_fast_loop[shift", "test_stochastic_loop[False"],
    "stochastic_increment": ["test_stochastic_loop[False"],
    "increment": ["test_fast_loop[shift", "test_fast_loop[uniform"],
    "finish": ["test_fast_loop[shift", "test_fast_loop[uniform"],
    "encode_nan": ["test_general_kernel_nan_payloads"],
    "convert_array": ["test_general_kernel_draws", "test_general"],
    "encode": ["test_general_kernel_flags", "test_general"],
    "is_tiny_after": ["test_general_kernel_flags"],
    "is_flushed": ["test_every_cast", "test_known_products", "test_every_operation", "test_general"],
    "counts_as_zero": ["test_integers_are_never", "test_half_precision", "test_comparisons"],
    "addition": ["test_fast_loop[addition"],
    "shift": ["test_fast_loop[shift"],
    "uniform": ["test_fast_loop[uniform"],
    "stochastic": ["test_stochastic_loop"],
    "widened": ["test_widening"],
    "widen_array": ["test_widening"],
}


# From a file's root to a node: fields, and places in those that are lists
Steps = list[tuple[str, int | None]]


class Mutant(NamedTuple):
    """One wrong edit: in which file and function, the node's text before and after, which one of equal edits."""

    file: str
    function: str
    statement: str
    before: str
    after: str
    nth: int
    path: Steps  # where the edit is made
    new: ast.AST

    @property
    def key(self) -> tuple[str, str, str, str, str, int]:
        return (self.file, self.function, self.statement, self.before, self.after, self.nth)

    def __str__(self) -> str:
        nth = f" ({self.nth + 1}.)" if self.nth else ""
        return f"{self.file}, {self.function}: {self.statement}\n      {self.before}  ->  {self.after}{nth}"


def edits(node: ast.AST) -> Iterator[ast.AST]:
    """All wrong nodes that can replace a node."""
    if isinstance(node, ast.Compare):
        for i, operator in enumerate(node.ops):
            for other in COMPARISONS.get(type(operator), ()):
                yield ast.Compare(node.left, [*node.ops[:i], other(), *node.ops[i + 1 :]], node.comparators)
    elif isinstance(node, ast.BinOp):
        for kind in OPERATORS.get(type(node.op), ()):
            yield ast.BinOp(node.left, kind(), node.right)
    elif isinstance(node, ast.AugAssign):
        for kind in OPERATORS.get(type(node.op), ()):
            yield ast.AugAssign(node.target, kind(), node.value)
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        for i in range(len(node.values)):
            rest = node.values[:i] + node.values[i + 1 :]
            yield ast.BoolOp(node.op, rest) if len(rest) > 1 else rest[0]
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            yield ast.Constant(not node.value)
        elif isinstance(node.value, int):
            yield ast.Constant(node.value + 1)
            yield ast.Constant(node.value - 1)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
        yield ast.Call(ast.Name(CALLS[node.func.id], ast.Load()), node.args, node.keywords)
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        for test in (ast.UnaryOp(ast.Not(), node.test), ast.Constant(True), ast.Constant(False)):
            if isinstance(node, ast.While) and getattr(test, "value", False):
                continue
            changed = copy.copy(node)
            changed.test = test
            yield changed


def _head(node: ast.AST) -> str:
    """A node's text; for a statement that contains others, its first line."""
    return ast.unparse(ast.fix_missing_locations(copy.deepcopy(node))).partition("\n")[0]


class _Finder(ast.NodeVisitor):
    """The places of possible edits: the path from the root to a node, the function and the statement around it."""

    def __init__(self) -> None:
        self.found: list[tuple[Steps, str, str]] = []
        self.path: Steps = []
        self.function, self.statement = "module", ""

    def visit(self, node: ast.AST) -> None:
        before = self.function, self.statement
        if isinstance(node, ast.FunctionDef):
            self.function = node.name
        if isinstance(node, ast.stmt):
            self.statement = _head(node)
        self.found.append((list(self.path), self.function, self.statement))
        for field, value in ast.iter_fields(node):
            if field in ("decorator_list", "annotation", "returns"):
                continue
            for i, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if isinstance(child, ast.AST) and not self._is_docstring(child):
                    self.path.append((field, i))
                    self.visit(child)
                    self.path.pop()
        self.function, self.statement = before

    @staticmethod
    def _is_docstring(node: ast.AST) -> bool:
        return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _at(tree: ast.AST, path: Steps) -> ast.AST:
    for field, i in path:
        tree = getattr(tree, field) if i is None else getattr(tree, field)[i]
    return tree


def source(mutant: Mutant) -> str:
    """The whole file with the edit."""
    tree = ast.parse((ROOT / KERNELS / mutant.file).read_text())
    *above, (field, i) = mutant.path
    parent = _at(tree, above)
    if i is None:
        setattr(parent, field, mutant.new)
    else:
        getattr(parent, field)[i] = mutant.new
    return ast.unparse(ast.fix_missing_locations(tree))


def name_of(file: Path) -> str:
    """A kernel file's path below the folder of kernels."""
    return file.relative_to(ROOT / KERNELS).as_posix()


def mutants() -> list[Mutant]:
    """All mutants of all kernels, in the order of the files."""
    found: list[Mutant] = []
    for file in sorted((ROOT / KERNELS).rglob("*.py")):
        if name_of(file) in LEFT_OUT:
            continue
        tree = ast.parse(file.read_text())
        finder = _Finder()
        finder.visit(tree)
        seen: dict[tuple[str, ...], int] = {}
        for path, function, statement in finder.found:
            node = _at(tree, path)
            for new in edits(node):
                words = function, statement, _head(node), _head(new)
                seen[words] = nth = seen.get(words, -1) + 1
                found.append(Mutant(name_of(file), *words, nth, path, new))
    return found


def drawn(everything: list[Mutant], count: int, seed: int) -> list[Mutant]:
    """A sample: one mutant of each function, the others from all; in the order of the files."""
    rng = random.Random(seed)
    functions: dict[tuple[str, str], list[int]] = {}
    for i, mutant in enumerate(everything):
        functions.setdefault((mutant.file, mutant.function), []).append(i)
    chosen = {rng.choice(places) for places in functions.values()}
    rest = [i for i in range(len(everything)) if i not in chosen]
    chosen.update(rng.sample(rest, min(len(rest), max(0, count - len(chosen)))))
    return [everything[i] for i in sorted(chosen)]


RUN = """
import sys, pathlib, fpemu
assert pathlib.Path(fpemu.__file__).parents[1] == pathlib.Path.cwd(), fpemu.__file__
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""


def _collected() -> list[str]:
    """The names of the tests in tests/kernels."""
    files = sorted(f"tests/kernels/{path.name}" for path in (ROOT / "tests/kernels").glob("test_*.py"))
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-o", "addopts=", *files]
    lines = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    names = [line for line in lines if "::" in line]
    assert names, lines
    return names


def _ordered(mutant: Mutant | None, names: list[str]) -> list[str]:
    """The tests that concern a mutant, the likely killers first."""
    if mutant is None:
        return names
    first = [*LIKELY.get(mutant.function, []), *CONCERNED[mutant.file]]
    return [name for start in first for name in names if f"::{start}" in name]


def run(mutant: Mutant | None, names: list[str], limit: float) -> tuple[str, str, float]:
    """("killed", "timeout" or "survived"; by which test; seconds); None: the kernels as they are."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fpemu-mutant-") as folder:
        for name in ("fpemu", "tests"):
            shutil.copytree(ROOT / name, Path(folder, name), ignore=shutil.ignore_patterns("__pycache__", "*.nb[ci]"))
        if mutant is not None:
            (Path(folder) / KERNELS / mutant.file).write_text(source(mutant))
        (Path(folder) / "order").write_text("\n".join(_ordered(mutant, names)))
        options = ["-c", os.devnull, "--rootdir", ".", "--noconftest", "-x", "-q", "-p", "no:cacheprovider", "--tb=no"]
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, *options, "@order"],
            cwd=folder,
            env={**os.environ, "NUMBA_CACHE_DIR": str(Path(folder, "cache")), "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return "timeout", "", time.monotonic() - start
    by = next((line for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))), output.strip()[-200:])
    outcome = "survived" if process.returncode == 0 else "killed"
    return outcome, by.removeprefix("FAILED tests/")[:90], time.monotonic() - start


def explanations() -> dict[tuple[str, str, str, str, str, int], str]:
    """The reasons why surviving mutants are equivalent, by `Mutant.key`."""
    with EXPLAINED.open("rb") as file:
        entries = tomllib.load(file)["mutant"]
    fields = ("file", "function", "statement", "before", "after")
    return {(*(entry[field] for field in fields), entry.get("nth", 0)): entry["reason"] for entry in entries}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.proofs.mutants", description=__doc__)
    parser.add_argument("--sample", type=int, default=100, help="how many mutants (at least one of each function)")
    parser.add_argument("--seed", type=int, default=None, help="of the sample; default: by chance, printed")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--limit", type=float, default=400, help="seconds after which a mutant counts as killed")
    parser.add_argument("--only", default="", help="only mutants whose description contains this")
    chosen = parser.parse_args()
    seed = random.randrange(1 << 32) if chosen.seed is None else chosen.seed
    everything = mutants()
    sample = drawn([mutant for mutant in everything if chosen.only in str(mutant)], chosen.sample, seed)
    reasons, names = explanations(), _collected()
    stale = set(reasons) - {mutant.key for mutant in everything}
    print(f"kernels {proof.digest()}: {len(everything)} mutants, {len(sample)} drawn by seed {seed}", flush=True)
    counts = {"killed": 0, "timeout": 0, "equivalent": 0, "survived": 0}
    with concurrent.futures.ThreadPoolExecutor(chosen.jobs) as pool:
        unchanged = pool.submit(run, None, names, 10 * chosen.limit)
        running = {pool.submit(run, mutant, names, chosen.limit): mutant for mutant in sample}
        for done in concurrent.futures.as_completed(running):
            mutant, (outcome, by, seconds) = running[done], done.result()
            reason = reasons.get(mutant.key)
            if outcome == "survived" and reason:
                outcome, by = "equivalent", reason
            elif outcome != "survived" and reason:
                print(f"explained as equivalent, yet {outcome}:")
            counts[outcome] += 1
            print(f"{outcome:10} {seconds:4.0f} s  {mutant}\n      {by}", flush=True)
    if unchanged.result()[0] != "survived":
        print("the kernels as they are do not pass:", unchanged.result()[1])
        return 1
    print(", ".join(f"{number} {word}" for word, number in counts.items()))
    for key in sorted(stale):
        print("explains no mutant of today's kernels:", key)
    return 1 if counts["survived"] or stale else 0


if __name__ == "__main__":
    sys.exit(main())

"""Rules of proof: every kernel has tests that detect its mutants, and digests of its code."""

from __future__ import annotations

from pathlib import Path

from tests.proofs import mutants, proof

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "fpemu"


def test_every_kernel_has_tests_and_a_proof():
    """Each kernel file has tests that its mutants must fail, and these tests exist."""
    files = {mutants.name_of(path) for path in (PACKAGE / "kernels").rglob("*.py")}
    assert files - set(mutants.LEFT_OUT) == set(mutants.CONCERNED)
    tests = "\n".join(path.read_text() for path in (ROOT / "tests/kernels").glob("test_*.py"))
    for starts in mutants.CONCERNED.values():
        assert all(f"\ndef {start.replace('[', '(')}" in tests for start in starts), starts
    assert {f"{name}.py" for name in (*proof.CASTS, *proof.NATIVE, *proof.ARITHMETIC)} <= files


def test_digests_of_kernels_name_their_code():
    """A comment, a docstring or an import does not change the digest; a number, a name or an operator does."""
    code = proof.statements_of('"""A module."""\nimport math\nX = 1\n\n\ndef f(x):\n    """Do."""\n    return x + X\n')
    assert code == proof.statements_of("X = 1  # a unit\ndef f(x):\n    return (x + X)")
    for other in ("X = 2\ndef f(x): return x + X", "X = 1\ndef f(x): return x - X", "X = 1\ndef g(x): return x + X"):
        assert code != proof.statements_of(other)

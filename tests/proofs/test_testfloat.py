"""`python -m tests.proofs.testfloat` itself, on a program with fpemu's results, and on one with one wrong result.

Where FPEMU_TESTFLOAT names a folder with Berkeley's `testfloat_gen`, a slice of what it says is compared.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import numpy as np
import pytest

from fpemu.verification import vectors
from fpemu.verification.claims import Claim
from tests.proofs import testfloat

ROOT = Path(__file__).parents[2]

# Square roots and sums of float16 from files, with one result replaced where the program is told to lie.
STUB = """#!{python}
import sys
words = sys.argv[1:]
if words[-1] not in ("f16_sqrt", "f16_add"):
    sys.exit(f"Invalid argument '{{words[-1]}}'.")
lines = open({folder!r} + "/" + words[-1]).read().splitlines()
if {lies} and words[-1] == "f16_add" and "-rnear_even" in words:
    lines[7] = lines[7][:-7] + "1234 00"
print("\\n".join(lines))
"""


@pytest.fixture
def stub(tmp_path):
    """Makes a `testfloat_gen` of the convention "arm"; its answers are those of one rounding, in all runs."""

    def make(lies=False, convention="arm"):
        for name in ("sqrt", "add"):
            claim = next(testfloat.runs(f"f16_{name}", convention)).claim
            codes = np.random.default_rng(1).integers(0, 1 << 16, (claim.arity, 500), np.uint16)
            codes[0, :64] = 0x7C01 + np.arange(64, dtype=np.uint16) * 31  # NaN, quiet and signalling
            path = vectors.write(tmp_path / f"{name}.tv", [claim.batch(*codes)], claim=claim)
            path.rename(tmp_path / f"f16_{name}")
        program = tmp_path / testfloat.PROGRAM
        program.write_text(STUB.format(python=sys.executable, folder=str(tmp_path), lies=lies))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return program

    return make


def test_nothing_there_is_skipped(tmp_path, capsys):
    assert testfloat.main([str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("skipped: there is no testfloat_gen in ")


@pytest.mark.skipif(sys.platform == "win32", reason="a script is the program")
@pytest.mark.parametrize("convention", testfloat.CONVENTIONS)
def test_conventions_are_found(convention, stub):
    assert testfloat.convention_of(stub(convention=convention)) == convention


@pytest.mark.skipif(sys.platform == "win32", reason="a script is the program")
def test_differences_are_told(stub, capsys, tmp_path):
    """One wrong result; and a program that always rounds to nearest, which differs in other modes."""
    even = next(testfloat.runs("f16_add", "arm"))
    assert testfloat.compared(stub(), even, 10_000, 1) == (500, 0, "")
    assert testfloat.compared(stub(), even, 100, 1).count == 100
    lie = testfloat.compared(stub(lies=True), even, 10_000, 1)
    assert lie[:2] == (500, 1)
    assert " 1234 0, but fpemu says " in lie.first
    stub()
    assert testfloat.main([str(tmp_path), "--function", "f16_add"]) == 1
    out = capsys.readouterr().out
    assert "NaN as arm" in out
    assert "f16_add: 12 runs, 6,000 vectors, " in out
    assert ", but fpemu says " in out


@pytest.mark.skipif(sys.platform == "win32", reason="a script is the program")
def test_what_a_program_says_wrongly(stub):
    with pytest.raises(ValueError, match=r"ended with status 1: Invalid argument 'f16_mul'"):
        testfloat.compared(stub(), next(testfloat.runs("f16_mul", "arm")), 100, 1)
    program = stub()
    (program.parent / "f16_add").write_text("zzzz 0001 3C00 01\n")
    with pytest.raises(ValueError, match="it is malformed"):
        testfloat.compared(program, next(testfloat.runs("f16_add", "arm")), 100, 1)
    (program.parent / "f16_add").write_text("3C00 0001 3C00\n")
    with pytest.raises(ValueError, match="lines of 18 characters are expected"):
        testfloat.compared(program, next(testfloat.runs("f16_add", "arm")), 100, 1)


def test_every_function_has_claims():
    """74 functions of float16, float32, float64, integers and bfloat16."""
    names = testfloat.functions()
    assert len(names) == len(set(names))
    for name in names:
        made = list(testfloat.runs(name, "riscv"))
        assert len({run.words for run in made}) == len(made)
        assert all(isinstance(run.claim, Claim) and run.claim.has_flags for run in made)
    assert len(names) == 12 + 6 + 12 + 2 + 3 * 14


@pytest.mark.skipif("FPEMU_TESTFLOAT" not in os.environ, reason="FPEMU_TESTFLOAT names no folder with testfloat_gen")
def test_a_slice_of_testfloat():
    assert testfloat.main([os.environ["FPEMU_TESTFLOAT"], "--lines", "200"]) == 0

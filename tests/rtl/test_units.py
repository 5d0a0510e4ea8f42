"""Three units in Verilog, compared with vectors by the bench in Icarus Verilog, and with fpemu through cocotb."""

from __future__ import annotations

import contextlib
import xml.etree.ElementTree as ElementTree

import pytest

import fpemu as fe
from fpemu.verification import vectors
from fpemu.verification.audits import recorded
from tests.rtl.units import UNITS, compiled, simulated

BUILDS = {"good": (), "planted": ("-DPLANTED",)}


@pytest.fixture(scope="module", params=UNITS)
def bench(request, icarus, tmp_path_factory):
    """A unit's name, vectors and bench: all operands of the multiplier, cells and random ones of the others."""
    name, unit = request.param, UNITS[request.param]
    folder = tmp_path_factory.mktemp(name)
    made = vectors.generate(unit.claim, per_cell=1 if unit.claim.arity == 3 else 4, random=10_000)
    path = vectors.write(folder / "vectors.hex", made, word_bits=128 if unit.claim.arity == 1 else None)
    vectors.write_bench(folder / "bench.v", path, module=name, latency=unit.latency, flags=unit.flags)
    return name, made.count, folder


def test_good_units_pass(bench):
    name, count, folder = bench
    assert count == 1 << 16 or name != "e4m3_multiply"
    done = simulated(compiled(folder, [folder / "bench.v", *UNITS[name].sources]), "+exact_nan", "+answers=good.tv")
    assert done == (0, f"PASS: all {count} vectors\n")
    claim = UNITS[name].claim
    answered = vectors.read(folder / "good.tv", claim=claim)
    assert answered.count == count
    assert fe.audit(recorded(answered), claim, flags=UNITS[name].flags, nan="exact").passed


def test_planted_bugs_are_found_and_named(bench):
    name, count, folder = bench
    done = simulated(compiled(folder, [folder / "bench.v", *UNITS[name].sources], "-DPLANTED"), "+answers=planted.tv")
    *shown, last = done.out.splitlines()
    assert done.status == 1
    assert last.startswith("FAIL: ")
    assert last.endswith(f" of {count} vectors differ")
    assert len(shown) == 11
    assert shown[0].startswith("vector ")
    assert shown[-1] == "..."
    claim = UNITS[name].claim
    found = fe.audit(recorded(vectors.read(folder / "planted.tv", claim=claim)), claim)
    assert found.checked == count
    assert found.cause == UNITS[name].cause
    assert found.different <= int(last.split()[1])  # flags may differ where results do not


@pytest.mark.parametrize("build", BUILDS)
def test_in_the_loop(bench, build, cocotb_runner, tmp_path):
    """The reference is called in the simulator, for every input."""
    name, _, folder = bench
    cocotb_runner.build(
        sources=UNITS[name].sources,
        hdl_toplevel=name,
        defines={"PLANTED": 1} if build == "planted" else {},
        build_dir=tmp_path,
        always=True,
        timescale=("1ns", "1ps"),
        log_file=tmp_path / "build.log",
    )
    with contextlib.suppress(SystemExit):  # where the unit fails
        cocotb_runner.test(
            "tests.rtl.in_the_loop",
            name,
            build_dir=tmp_path,
            test_dir=tmp_path,
            results_xml=str(tmp_path / "results.xml"),
            # Without the second, pytest's rewriting of assertions goes over numba too: seconds
            extra_env={"VECTORS": str(folder / "vectors.hex"), "COCOTB_REWRITE_ASSERTION_FILES": ""},
            log_file=tmp_path / "test.log",
        )
    cases = list(ElementTree.parse(tmp_path / "results.xml").iter("testcase"))
    failed = [failure for case in cases for failure in case.iter("failure")]
    log = (tmp_path / "test.log").read_text()
    assert len(cases) == 1, log
    assert len(failed) == (build == "planted"), log
    if build == "planted":
        assert "fpemu says" in log

"""The pytest plugin, as pytest loads it: in separate runs, through the entry point in pyproject.toml."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STRICT = "[pytest]\naddopts = --strict-markers --strict-config -p no:cacheprovider\nfilterwarnings = error\n"

REPORTS_MODULES = """
    import sys

    def pytest_unconfigure():
        print("LOADED", *({"numpy", "numba", "fpemu.pytest_plugin", "fpemu._public"} & set(sys.modules)))
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """Run pytest in another process, in which fpemu is like a package installed as a wheel."""
    about = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (name, value), *_ = about["entry-points"]["pytest11"].items()
    info = pytester.mkdir("site") / "fpemu_as_installed-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fpemu_as_installed\nVersion: 0\n")
    (info / "entry_points.txt").write_text(f"[pytest11]\n{name} = {value}\n")
    (info / "RECORD").write_text("fpemu/__init__.py,,\nfpemu/pytest_plugin.py,,\n")  # pytest rewrites its assertions
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(info.parent), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", raising=False)

    def run_pytest(*options, tests="", ini=""):
        if tests:
            pytester.makepyfile(tests)
        pytester.makeini(STRICT + ini)
        return pytester.runpytest_subprocess(*options)

    return run_pytest


def loaded(result):
    """The modules loaded at the end of a run."""
    return next(set(line.split()[1:]) for line in result.outlines if line.startswith("LOADED"))


def test_it_costs_nothing_where_nobody_uses_it(run, pytester):
    pytester.makeconftest(REPORTS_MODULES)
    result = run(tests="def test_nothing(): pass")
    result.assert_outcomes(passed=1)
    assert loaded(result) == {"fpemu.pytest_plugin"}
    assert run("--version").ret == 0
    assert loaded(run("--help")) == {"fpemu.pytest_plugin"}


def test_numba_waits_for_the_first_kernel(run, pytester):
    pytester.makeconftest(REPORTS_MODULES)
    tests = """
        import pytest

        @pytest.mark.fpemu_formats("float8_e4*", "bf16")
        def test_fields(fpemu_format, fpemu_rng):
            assert fpemu_format.bits <= 16 and fpemu_rng.random() < 1
    """
    result = run(tests=tests)
    result.assert_outcomes(passed=5)
    assert loaded(result) == {"fpemu.pytest_plugin", "numpy"}


FORMATS = """
    import pytest

    @pytest.mark.fpemu_formats("float8_e4m3*", "bf16", "e5m10", "bfloat16")
    def test_some(fpemu_format):
        pass

    def test_configured(fpemu_format):
        pass
"""


def test_formats_by_names_aliases_and_patterns(run):
    result = run("--collect-only", "-q", tests=FORMATS, ini="fpemu_formats = int4 fp8\n")
    names = [line.partition("::")[2] for line in result.outlines if "::" in line]
    fp8 = ["float8_e4m3", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e4m3b11fnuz"]
    some = [name[len("test_some[") : -1] for name in names if name.startswith("test_some")]
    assert sorted(some) == sorted([*fp8, "bfloat16", "float16"])
    assert [name for name in names if "configured" in name] == [
        "test_configured[int4]",
        "test_configured[float8_e4m3fn]",
    ]


def test_formats_that_nobody_named(run):
    result = run(tests="def test_any(fpemu_format): pass")
    result.stdout.fnmatch_lines(["*test_any uses fpemu_format: specify its formats by @pytest.mark.fpemu_formats*"])
    tests = "import pytest\n@pytest.mark.fpemu_formats('{}')\ndef test_any(fpemu_format): pass"
    run(tests=tests.format("float99*")).stdout.fnmatch_lines(["*no registered format matches 'float99?'*"])
    run(tests=tests.format("bfloat61")).stdout.fnmatch_lines(["*unknown format 'bfloat61'*"])


DRAWS = """
    import pytest

    def test_a(fpemu_rng, fpemu_seed):
        print("A", fpemu_seed, fpemu_rng.integers(1 << 62))

    def test_b(fpemu_rng, fpemu_cases):
        print("B", fpemu_cases, fpemu_rng.integers(1 << 62))

    @pytest.mark.fpemu_cases(7)
    def test_c(fpemu_cases):
        print("C", fpemu_cases)
"""


def test_seed_and_cases(run):
    def drawn(*options, ini=""):
        result = run("-s", "-q", *options, tests=DRAWS, ini=ini)
        assert result.ret == 0, result.outlines
        words = re.findall(r"\b([ABC]) (\d+)(?: (\d+))?$", "\n".join(result.outlines), re.MULTILINE)
        return {name: numbers for name, *numbers in words}, result

    first, _ = drawn()
    assert (first["A"][0], first["B"][0], first["C"][0]) == ("0", "1000", "7")
    assert first["A"][1] != first["B"][1]
    again, _ = drawn("-k", "test_b")
    assert again["B"] == first["B"]
    other, _ = drawn("--fpemu-seed", "5", "--fpemu-cases", "20")
    assert (other["A"][0], other["B"][0], other["C"][0]) == ("5", "20", "20")
    assert other["A"][1] != first["A"][1]
    configured, _ = drawn(ini="fpemu_seed = 5\nfpemu_cases = 30\n")
    assert configured["A"] == other["A"]
    assert (configured["B"][0], configured["C"][0]) == ("30", "7")
    some, result = drawn("--fpemu-seed", "random", "-v", "-v")
    assert f"fpemu: --fpemu-seed {some['A'][0]}" in result.outlines


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--fpemu-cases", "0"], "*argument --fpemu-cases: invalid*"),
        (["--fpemu-seed", "-1"], "*argument --fpemu-seed: *"),
        (["-o", "fpemu_seed=x"], "*fpemu_seed in the configuration file: invalid literal*"),
        (["-o", "fpemu_cases=0"], "*fpemu_cases in the configuration file: the number of cases must be 1 or more*"),
    ],
)
def test_bad_options(run, options, words):
    result = run(*options, tests="def test_nothing(): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([words])


FAILS = """
    import numpy as np
    import pytest

    import fpemu as fe
    from fpemu.testing import assert_same_codes

    x = np.arange(-64, 64, dtype=np.float32) / 16

    @pytest.mark.fpemu_formats("float8_e4m3fn", "float8_e5m2")
    def test_cast(fpemu_format):
        got = fe.encode(x, fpemu_format, rounding="nearest_away")
        assert_same_codes(got, fe.encode(x, fpemu_format), fpemu_format, operation="cast", operands=[x])

    def test_other():
        assert 1 == 2

    def test_right(fpemu_rng, fpemu_seed):
        assert fpemu_seed == 3
"""


@pytest.mark.parametrize("options", [(), ("-n", "2", "-p", "xdist")], ids=["alone", "xdist"])
def test_the_failure_table_is_in_the_report(run, pytester, options):
    result = run(*options, "--fpemu-seed", "3", "--junitxml", "report.xml", tests=FAILS)
    result.assert_outcomes(failed=3, passed=1)
    lines = result.outlines
    summary = [i for i, line in enumerate(lines) if line.strip("=") == " fpemu "]
    assert len(summary) == 1
    told = lines[summary[0] :]
    for fmt in ("float8_e4m3fn", "float8_e5m2"):
        at = next(i for i, line in enumerate(told) if line.endswith(f"::test_cast[{fmt}]"))
        assert f"codes of {fmt} differ" in told[at + 1]
        assert "differences are ties: looks like ties away from zero" in told[at + 2]
    assert sum("elements that differ" in line for line in lines) == 2
    assert any(line.startswith("the first ") and " of " in line for line in lines)


def test_a_failure_that_hypothesis_finds(run):
    tests = """
        from hypothesis import given, settings
        from fpemu import strategies as fst
        from fpemu.testing import assert_same_codes

        @settings(deadline=None, database=None, max_examples=20)
        @given(fst.codes("float8_e4m3fn"))
        def test_codes(code):
            assert_same_codes([code], [code ^ 1], "float8_e4m3fn")
    """
    result = run(tests=tests)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["* fpemu *", "*::test_codes", "  1 of 1 codes of float8_e4m3fn differ (100%)"])

"""`fpemu audit`: its status, its report, its errors."""

import sys

import pytest

pytest.importorskip("typer")

ADD = ("audit", "add", "-f", "e4m3fn")


def test_what_is_right_ends_well(run, weights):
    done = run(*ADD, "--python", "mymodule:add", "--rounding", "RTZ")
    assert done.code == 0
    assert "PASSED: 65,536 inputs (all there are)" in done.out
    done = run("audit", "encode", "-f", "bf16", "--program", f"{sys.executable} my_converter.py", "--random", "500")
    assert done.code == 0
    assert "chosen by cells, and at random" in done.out


def test_what_is_wrong_does_not(run, weights):
    done = run(*ADD, "--python", "mymodule:add")
    assert done.code == 1
    assert "looks like rounding toward zero (truncation) (rounding=toward_zero)" in done.out
    done = run(*ADD, "--python", "mymodule:subtract", "--json", "--seed", "3")
    assert done.code == 1
    assert done.json["cause"] == "unexplained"
    assert done.json["different"] > 0
    done = run("audit", "encode", "-f", "bf16", "--program", "./not_there")
    assert done.code == 1
    assert "could not be started" in done.out


def test_an_audit_is_kept(run, weights, tmp_path):
    line = (*ADD, "--python", "mymodule:add", "--rounding", "RTZ", "--resume", "audit.npz", "--threads", "2")
    assert run(*line).code == 0
    assert (tmp_path / "audit.npz").exists()
    assert run(*line).code == 0
    done = run(*line, "--exact-nan")
    assert done.code == 1
    assert "audit.npz belongs to another audit" in done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((*ADD,), "specify one of --program, --python, --library"),
        ((*ADD, "--program", "a", "--python", "b:c"), "specify one of"),
        ((*ADD, "--python", "mymodule"), "write MODULE:FUNCTION"),
        ((*ADD, "--library", "lib.so"), "write PATH:SYMBOL"),
        ((*ADD, "--python", "mymodule:nothing"), "nothing"),
        ((*ADD, "--python", "no_such_module:add"), "No module named"),
        ((*ADD, "--python", "ends:add"), "importing ends raised SystemExit: 0"),
        ((*ADD, "--python", "raises:add"), "importing raises raised RuntimeError: no"),
        ((*ADD, "--python", "broken:add"), "importing broken raised SyntaxError"),
        ((*ADD, "--python", "mymodule:__name__"), "must be callable, not str"),
        ((*ADD, "--program", "a 'b"), "No closing quotation"),
        (("audit", "ad", "-f", "e4m3fn", "--python", "mymodule:add"), "no operation 'ad'"),
        (("audit", "add", "-f", "e4m3nf", "--python", "mymodule:add"), "unknown format"),
        ((*ADD, "--python", "mymodule:add", "--overflow", "infinity"), "does not apply"),
    ],
)
def test_wrong_usage(run, weights, tmp_path, words, message):
    modules = {"ends": "raise SystemExit(0)", "raises": "raise RuntimeError('no')", "broken": "def f("}
    for name, text in modules.items():
        (tmp_path / f"{name}.py").write_text(text)
    done = run(*words)
    assert done.code == 2
    assert message in done.words


def test_a_library_that_is_not_there(run, weights):
    done = run(*ADD, "--library", "lib.so:add")
    assert done.code == 1
    assert "lib.so: no such file" in done.err


def test_arguments_of_operations(run, tmp_path):
    """TestFloat's -notexact conversions, quiet comparisons, a CPU's minimum: one command writes, the other audits."""
    for number, words in enumerate(
        (
            ("convert", "--from", "float16", "-f", "int8", "--notexact"),
            ("less", "-f", "float16", "--quiet"),
            ("minimum", "-f", "float16", "--extremum", "x86"),
        )
    ):
        path = tmp_path / f"{number}.csv"
        assert run("vectors", *words, "-o", path, "--random", "50", "--limit", "1000").code == 0
        assert run("audit", "--recorded", path, "--flags", "--exact-nan").code == 0
    done = run("vectors", "add", "-f", "float16", "--extremum", "x86")
    assert done.code == 2
    assert "has no argument" in done.err

"""`fpemu vectors`, and `fpemu audit` of files of vectors."""

import re

import pytest

from fpemu.verification import vectors
from fpemu.verification.claims import Claim

pytest.importorskip("typer")


def test_to_a_file_and_back(run, weights, tmp_path):
    done = run("vectors", "multiply", "-f", "e4m3fn", "-o", "a.hex", "--word-bits", "128")
    assert done.code == 0
    assert done.out == "65,536 vectors: a.hex\n"
    assert vectors.read(tmp_path / "a.hex").claim == Claim.of("multiply", "e4m3fn")
    done = run("audit", "--recorded", "a.hex")
    assert done.code == 0
    assert "a.hex: multiply of float8_e4m3fn" in done.out
    done = run("audit", "multiply", "-f", "e4m3fn", "--recorded", "a.hex", "--rounding", "RTZ")
    assert done.code == 1
    assert "looks like ties to even" in done.out


def test_a_bench(run, weights, tmp_path):
    line = ("vectors", "fma", "-f", "e4m3fn", "-o", "fma.hex", "--limit", "0", "--per-cell", "0", "--random", "9")
    done = run(*line, "--bench", "verilog", "--module", "unit_7", "--port", "x=a", "--latency", "3", "--flags")
    assert done.code == 0
    assert done.out == "9 vectors: fma.hex\ntest bench: fma_bench.v\n"
    written = (tmp_path / "fma_bench.v").read_bytes()
    vectors.write_bench("again.v", "fma.hex", module="unit_7", ports={"x": "a"}, latency=3, flags=True)
    assert written.replace(b"fma_bench.v", b"again.v") == (tmp_path / "again.v").read_bytes()
    done = run(*line, "--bench", "verilog", "--port", "a=x")
    assert done.code == 2
    assert "no port 'a': it has x, y, z, result" in done.words


def test_to_a_program(run):
    done = run("vectors", "cast", "--from", "float16", "-f", "e5m2", "--limit", "0", "--random", "3", "--seed", "1")
    assert done.code == 0
    lines = done.out.splitlines()
    assert len(lines) > 100
    assert all(re.fullmatch("[0-9A-F]{4} [0-9A-F]{2} [0-9A-F]{2}", line) for line in lines)


def test_coverage(run):
    out = run("vectors", "add", "-f", "e4m3fn", "--coverage").out
    assert "65,536 vectors, 507 cells" in out
    assert "20,789 cells are impossible" in out
    told = run("vectors", "add", "-f", "e4m3fn", "--json").json
    assert told["impossible"] == 20789
    assert len(told["cells"]) == 507
    assert told["cells"][0]["cases"] > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("vectors", "ad", "-f", "e4m3"), "no operation 'ad'"),
        (("vectors", "add", "-f", "e4m3nf"), "unknown format"),
        (("vectors", "add", "-f", "e4m3", "--rounding", "stochastic"), "no unique answer"),
        (("vectors", "add", "-f", "e4m3", "-o", "a.xyz"), "no layout has the suffix"),
        (("vectors", "add", "-f", "e4m3", "--layout", "npz"), "needs a file"),
        (("vectors", "add", "-f", "e4m3", "--word-bits", "64"), "is for the layout readmemh"),
        (("vectors", "add", "-f", "e4m3", "-o", "a.tv", "--bench", "verilog"), "layout readmemh: -o FILE.hex"),
        (("vectors", "add", "-f", "e4m3", "--layout", "readmemh", "--bench", "verilog"), "-o FILE.hex"),
        (("vectors", "add", "-f", "e4m3", "-o", "a.hex", "--bench", "vhdl"), "unknown bench 'vhdl'"),
        (("vectors", "add", "-f", "e4m3", "-o", "a.hex", "--port", "x=a"), "--port is for a bench"),
        (
            ("vectors", "add", "-f", "e4m3", "-o", "a.hex", "--bench", "verilog", "--module", "7up"),
            "not a Verilog name",
        ),
        (("vectors", "is_nan", "-f", "e4m3", "-o", "a.hex", "--bench", "verilog", "--flags"), "no flags to compare"),
        (("audit", "add", "-f", "e4m3", "--recorded", "a.hex", "--python", "a:b"), "specify one of"),
        (("audit", "--python", "a:b"), "specify the operation"),
        (("audit", "add", "--recorded", "weights.npz"), "Claim.of('add', 'float16')"),
    ],
)
def test_wrong_usage(run, weights, words, message):
    done = run(*words)
    assert done.code == 2
    assert message in done.words


def test_files_that_are_not_right(run, weights):
    done = run("audit", "--recorded", "weights.npz")
    assert done.code == 1
    assert "weights.npz: not an npz file of vectors" in done.err

"""The commands about arithmetic: calc, table, error."""

import csv
import json
import os
import re
import shlex

import numpy as np
import pytest

import fpemu as fe

pytest.importorskip("typer")

# -- calc -------------------------------------------------------------------------------------------------------------


def test_calc_prints_every_step(run):
    done = run("calc", "1.5 * 3.25 + 0x1.8p-3", "-f", "e4m3fn")
    assert done.code == 0
    lines = [re.split(r" {2,}", line.strip()) for line in done.out.splitlines()]
    assert ["1", "1.5 * 3.25", "4.875", "up", "0.125", "0.25", "inexact", "5", "0x4A", "0 1001 010"] in lines
    assert ["2", "5 + 0.1875", "5.1875", "down", "-0.1875", "0.375", "inexact", "5", "0x4A", "0 1001 010"] in lines
    assert "error  -0.0625 (0.125 ulp, 1.23 %)" in done.out


def test_calc_puts_formats_side_by_side(run):
    out = run("calc", "0.1 + 0.2", "-f", "fp16", "-f", "bf16").out
    assert out.index("0.1 + 0.2 in float16") < out.index("0.1 + 0.2 in bfloat16")
    table = out[out.index("\n        float16") :]
    rows = {line.split()[0]: re.split(r" {2,}", line.strip())[1:] for line in table.splitlines()[3:]}
    assert rows["result"] == ["0.2998046875", "0.30078125"]
    assert rows["exact"] == ["0.3", "0.3"]
    assert rows["flags"] == ["inexact", "inexact"]
    assert rows["error"][1] == "0.00078125 (0.4 ulp, 0.26 %)"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("'-1.5 * 2' -f e4m3fn", 0xC4),
        ("'-(1 + 2)' -f e4m3fn", 0xC4),
        ("'-sqrt(4)' -f e4m3fn", 0xC0),
        ("0.1 -f e4m3fn --exact-literals", 0x1D),
        ("-0.0 -f e4m3fn", 0x80),
        ("0x7E -f e4m3fn", 0x7E),
        ("'0x7E - 448' -f e4m3fn", 0x00),
        ("'0x7E * 2' -f e4m3fn", 0x7F),
        ("'0x7E * 2' -f e4m3fn --overflow saturate", 0x7E),
        ("'0x7E * 2' -f e4m3fn --profile torch", 0x7E),
        ("'1 / 3' -f e4m3fn --rounding toward_zero", 0x2A),
        ("'1 / 3' -f e4m3fn", 0x2B),
        ("'1.0625 * 1.0625' -f e4m3fn", 0x38),
        ("'1.0625 * 1.0625' -f e4m3fn --exact-literals", 0x39),
        ("'120 + 100' -f int8", 0x7F),
        ("'120 + 100' -f int8 --overflow wrap", 0xDC),
    ],
)
def test_calc_computes(run, line, code):
    (facts,) = run("calc", *shlex.split(line), "--json").json
    assert facts["result"]["code"] == code


def test_calc_in_json(run):
    (facts,) = run("calc", "0.1 + sqrt(2)", "-f", "bf16", "--json").json
    assert [step["operation"] for step in facts["steps"]] == ["literal", "sqrt", "add"]
    literal, root, _ = facts["steps"]
    assert literal["exact"] == {"text": "0.1", "ratio": "1/10", "approximate": False}
    assert root["exact"]["approximate"]
    assert root["exact"]["text"].startswith("~1.41421356237309504")
    assert (root["flags"], root["place"], root["rounding"]) == (["inexact"], [6, 13], "down")
    assert facts["result"]["code"] == int(fe.encode(1.5150, "bf16"))
    (facts,) = run("calc", "1e400 * 1e4000", "-f", "bf16", "--json").json
    assert facts["exact"]["text"] == "1e+4400"
    assert facts["exact"]["ratio"] == f"{10**4400:#x}"
    (facts,) = run("calc", "1 / 0", "-f", "bf16", "--json").json
    assert (facts["exact"], facts["error"], facts["flags"]) == (None, None, ["divide_by_zero"])


def test_calc_draws_seeds(run):
    args = ("calc", "1.3 + 2.6", "-f", "e4m3fn", "--rounding", "stochastic", "--json")
    (drawn,) = run(*args).json
    (again,) = run(*args, "--seed", drawn["seed"]).json
    assert again == drawn


def test_calc_shows_bits_in_colour(run, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[1;31m0\x1b[0m" in run("calc", "1 / 3", "-f", "e5m2").out


# -- table ------------------------------------------------------------------------------------------------------------


def test_table_on_the_screen(run):
    done = run("table", "add", "-f", "fp4")
    rows = [line.split() for line in done.out.splitlines()]
    values = fe.dtype("fp4").values()
    assert rows[2][3:] == [f"{value:g}" for value in values]
    expected = fe.add(
        fe.Array(np.arange(16, dtype=np.uint8)[:, None], "fp4"), fe.Array(np.arange(16, dtype=np.uint8), "fp4")
    )
    assert [row[1:] for row in rows[4:20]] == [[f"{x:g}" for x in row] for row in np.asarray(expected).tolist()]
    by_code = [line.split() for line in run("table", "+", "-f", "fp4", "--codes").out.splitlines()]
    assert [row[1:] for row in by_code[4:20]] == [[f"0x{code:X}" for code in row] for row in expected.codes.tolist()]


def test_table_colours(run, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = run("table", "divide", "-f", "binary4p2se").out
    assert "\x1b[33m" in out
    assert "\x1b[1;31mNaN\x1b[0m" in out


def test_table_with_flags(run):
    out = run("table", "sqrt", "-f", "fp6_e2m3", "--flags").out
    lines = [re.split(r" {2,}", line.strip()) for line in out.splitlines()]
    assert ["0x01", "0.125", "0x03", "0.375 xu"] in lines
    assert ["0x02", "0.25", "0x04", "0.5"] in lines
    assert "x inexact, u underflow, o overflow, z divide by zero, i invalid" in out


def test_table_in_files(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    a = fe.Array(np.arange(64, dtype=np.uint8), "fp6_e3m2")
    result, flags = fe.multiply(fe.Array(a.codes[:, None], "fp6_e3m2"), a, result="e5m2", return_flags=True)
    line = "table multiply -f fp6_e3m2 --result e5m2"
    assert run(*line.split(), "-o", "x.npy").out.startswith("x.npy: multiply of float6_e3m2fn to float8_e5m2, 4096")
    np.testing.assert_array_equal(np.load("x.npy"), fe.decode(result.codes, "e5m2"))
    run(*line.split(), "-o", "x.npy", "--codes")
    np.testing.assert_array_equal(np.load("x.npy"), result.codes)
    run(*line.split(), "-o", "x.csv", "--flags")
    with open("x.csv", newline="") as stream:
        head, *rows = csv.reader(stream)
    assert head == ["x", "y", "result", "flags"]
    assert [float(row[2]) for row in rows] == fe.decode(result.codes, "e5m2").ravel().tolist()
    assert [row[3] == "inexact" for row in rows] == (flags.bits == 1).ravel().tolist()
    run(*line.split(), "-o", "x.json", "--flags")
    facts = json.loads((tmp_path / "x.json").read_text())
    assert facts["codes"] == result.codes.tolist()
    assert facts["flags"][1][1] == ["inexact", "underflow"] * int(flags.bits[1, 1] == 3)
    assert facts == run(*line.split(), "--flags", "--json").json


def test_table_draws(run, tmp_path):
    done = run("table", "multiply", "-f", "e4m3fn", "--plot", tmp_path / "x.png")
    assert "65536 results, flags inexact: " in done.out
    assert (tmp_path / "x.png").read_bytes()[1:4] == b"PNG"


# -- error ------------------------------------------------------------------------------------------------------------


def test_error_measures(run):
    done = run("error", "sigmoid", "-f", "e4m3fn", "--against", "float32", "--against", "1 / (1 + exp(-x))")
    rows = [re.split(r" {2,}", line.strip()) for line in done.out.splitlines()]
    right, narrow, composed = rows[5:8]
    assert (right[0], right[4:], narrow[0]) == ("correctly rounded", ["0 %", "0", "0"], "float32")
    assert float(right[1]) <= 0.5 < float(composed[1])
    assert composed[4:] == ["34.8 %", "1", "50"]
    assert "256 results, errors of 254" in done.out


def test_error_by_binade(run):
    out = run("error", "exp", "-f", "e5m2", "--against", "float32", "--from", "-2", "--to", "0x1p3", "--binades").out
    lines = [line.split() for line in out.splitlines() if line.startswith("2**")]
    assert [line[0] for line in lines] == [f"2**{e}" for e in range(-16, 4)]
    facts = run("error", "exp", "-f", "e5m2", "--against", "float32", "--from", "-2", "--to", "8", "--json").json
    assert [str(row["count"]) for row in facts["binades"]] == [line[1] for line in lines]
    assert [method["name"] for method in facts["methods"]] == ["correctly rounded", "float32"]
    assert facts["methods"][0]["max_ulp"] <= 0.5


def test_error_draws(run, tmp_path):
    assert run("error", "divide", "-f", "fp4", "--plot", tmp_path / "x.svg").code == 0
    assert (tmp_path / "x.svg").read_bytes().startswith(b"<?xml")


# -- wrong usage ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["calc '1 / 3' -f e5m2", "table add -f int2", "error exp -f fp4"])
def test_strict_json(run, command):
    done = run(*shlex.split(command), "--json")
    assert (done.code, done.err) == (0, "")
    assert done.json


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("calc", "Missing argument"),
        ("calc 1+1", "name a format"),
        ("calc 1+1 -f nf4", "nf4 is a codebook"),
        ("calc 1+1 -f float33", "unknown format 'float33'"),
        ("calc '1 + sine(2)' -f fp16", "no function 'sine'; did you mean 'sin'"),
        ("calc '2 ^ 3' -f fp16", "a power is written **"),
        ("calc 'sin(1e30000)' -f e18m10", "sin of numbers beyond 2**65536"),
        ("calc '0x1FF' -f e5m2", "code 0x1ff is out of range: the codes of float8_e5m2 are 0 to 0xff"),
        ("calc '1e40000 * 2' -f e5m2 --exact-literals", "too large or too small for an exact operand"),
        ("calc 1 -f e5m2 --rounding up", "unknown rounding 'up'"),
        ("calc 1 -f e5m2 --seed 1", "no rounding here is stochastic"),
        ("table", "Missing"),
        ("table ad -f fp4", "did you mean"),
        ("table add -f nf4", "not codebooks"),
        ("table add -f fp16", "add of float16 has 2^32 results: too many"),
        ("table add -f e5m2", "256 x 256 results do not fit the screen: write them to a file, -o table.csv"),
        ("table exp -f fp16", "65536 results do not fit the screen"),
        ("table fma -f int4", "only operations on one or two numbers"),
        ("table add -f fp4 -o x.txt", "a table's name ends in .csv, .json, .npy"),
        ("table add -f fp4 -o x.npy --flags", "an .npy file has no flags"),
        ("table add -f e5m2 -o x.csv --flags --profile ml_dtypes", "rounds twice: it has no flags"),
        ("table add -f fp4 --rounding stochastic", "stochastic rounding"),
        ("table pow -f int4 --overflow wrap", "overflow='wrap' is for sums and products"),
        ("table add -f fp4 --plot x.doc", "a picture's name ends in"),
        ("error sine -f fp16", "did you mean 'sin'"),
        ("error sin -f float32", "a format of at most 16 bits"),
        ("error sin -f fp16 --against 'x +'", "at the end"),
        ("error erf -f fp16 --against numpy", "numpy has no erf"),
        ("error sin -f fp16 --from a", "'a' is not a number"),
        ("error sin -f fp16 --from 2 --to 1", "no value of float16 lies between 2.0 and 1.0"),
        ("error sin -f fp4 --from 7", "no value of float4_e2m1fn lies between 7.0 and inf"),
        ("error sin -f fp16 --from nan", "NaN is not a valid end of the range"),
        ("error sin -f fp16 --to -nan", "NaN is not a valid end of the range"),
        ("error sin -f fp16 --rounding stochastic", "stochastic rounding"),
        ("error sin -f nf4", "nf4 is a codebook"),
    ],
)
def test_wrong_usage_exits_with_2(run, tmp_path, monkeypatch, line, words):
    monkeypatch.chdir(tmp_path)
    done = run(*shlex.split(line))
    assert done.code == 2
    assert words in done.words
    assert done.out == ""
    assert os.listdir() == []


def test_the_place_is_shown_in_the_error(run):
    err = run("calc", "1 + sine(2)", "-f", "fp16").err
    lines = [line.strip("│ \n") for line in err.splitlines()]
    assert lines[lines.index("1 + sine(2)") + 1] == "^^^^"


def test_failures_exit_with_1(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for line in ("table add -f fp4 -o absent/x.csv", "error exp -f fp4 --plot absent/x.png"):
        done = run(*line.split())
        assert (done.code, "absent: no such folder" in done.words) == (1, True)

"""`fpemu probe`, and recordings replayed by `fpemu audit --recorded`."""

import shutil
from pathlib import Path

import pytest

from tests.verification.test_probe import about_edited

pytest.importorskip("typer")

CPU = Path(__file__).parents[1] / "peers/torch_cpu.probe"
REPLAY = ("audit", "--recorded", CPU)


def test_a_script_is_written(run, tmp_path):
    path = tmp_path / "probe.py"
    line = ("probe", "-o", path, "-f", "bf16", "--operation", "sqrt", "--operation", "exp")
    done = run(*line)
    assert done.code == 0
    assert f"{path}: records 2 casts and operations" in done.out
    assert "python probe.py -o recording.probe" in done.out
    assert run(*line, "--json").json == {"script": str(path), "items": ["sqrt of bfloat16", "exp of bfloat16"]}
    assert path.read_text().startswith('"""Record a device')


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-f", "e5m3x"), "unknown format"),
        (("-f", "int4"), "torch has none of these operations for int4"),
        (("--operation", "cats"), "torch has no operation 'cats'"),
    ],
)
def test_what_cannot_be_asked(run, tmp_path, words, message):
    done = run("probe", "-o", tmp_path / "probe.py", *words)
    assert done.code == 2
    assert message in done.words
    assert not list(tmp_path.iterdir())


def test_a_recording_as_a_table(run):
    done = run(*REPLAY)
    assert done.code == 1
    first, second, *rest = done.out.splitlines()
    assert "torch 2.13.0+cpu" in first
    assert second.endswith("audited under the rules of each result's format")
    rows = dict(line.split(" x.to") for line in rest if " to " in line)
    rows = {name.strip(): row.split() for name, row in rows.items()}
    assert len(rows) == 10
    assert rows["bfloat16 to float8_e4m3fn"] == [
        *("(torch.float8_e4m3fn)", "65,536", "30,512", "NaN", "infinity=saturate,", "overflow=saturate"),
    ]
    assert rows["float8_e5m2 to float32"] == ["(torch.float32)", "256", "0", "-", "passed"]
    assert rest[-1] == "5 passed, 5 differ, 0 not there"


def test_texts_of_a_recording_make_no_lines(run, tmp_path):
    """Names, calls and reasons from a file stay in their cells, whatever they contain."""
    hostile = "x\x1b[31m\r\n9 passed, 0 differ, 0 not there\n"

    def change(about):
        about["fpemu"] = about["machine"]["device name"] = hostile
        about["items"] = [each for each in about["items"] if each["name"].startswith("float8_e5m2 to")]
        for each in about["items"]:
            each["name"], each["call"] = hostile + each["name"], hostile
        about["absent"] = [{"name": hostile, "call": hostile, "why": hostile}]

    copy = shutil.copy(CPU, tmp_path / "copy.probe")
    path = about_edited(copy, change, tidy=True)
    for words in ((), ("--profile", "torch"), ("--item", "y"), ("cast", "-f", "float32")):
        done = run("audit", "--recorded", path, *words)
        text = done.out + done.err
        assert "\x1b" not in text
        assert not any(row.startswith("9 passed") for row in text.splitlines()), words


def test_other_rules(run):
    done = run(*REPLAY, "--profile", "torch-2.14")
    assert done.code == 0
    assert "audited under profile torch-2.14" in done.out
    assert "10 passed, 0 differ, 0 not there" in done.out
    done = run(*REPLAY, "-f", "float8_e5m2", "--rounding", "RTZ", "--json")
    assert done.code == 1
    assert done.json["machine"]["torch"] == "2.13.0+cpu"
    assert [each["item"] for each in done.json["items"]] == [
        f"{source} to float8_e5m2" for source in ("float32", "float64", "float16", "bfloat16")
    ]
    assert {each["claim"]["rounding"] for each in done.json["items"]} == {"toward_zero"}
    assert done.json["items"][0]["cause"] == "rounding=nearest_even"
    done = run(*REPLAY, "--item", "float64 to float8_e5m2", "--exact-nan", "--json")
    assert done.json["items"][0]["cause"] == "nan_code=0x7f, through=float32"


def test_one_item(run):
    done = run(*REPLAY, "--item", "float8_e4m3fn to float32")
    assert done.code == 0
    assert "x.to(torch.float32)\nfloat8_e4m3fn to float32: cast of" in done.out
    assert "PASSED: 256 inputs (as recorded)" in done.out
    done = run("audit", "encode", "-f", "e5m2", "--from", "fp64", "--recorded", CPU)
    assert done.code == 1
    assert "explains every difference" in done.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--item", "float8_e4m3fn to float"), "there is no item 'float8_e4m3fn to float'; did you mean"),
        (("-f", "bfloat16"), "no such item was recorded"),
        (("-f", "bfloat17x"), "unknown format"),
        (("--flags",), "do not apply to a device's recording: --flags"),
        (("--overflow", "infinity"), "float32 to float8_e4m3fn: "),
    ],
)
def test_wrong_usage(run, words, message):
    done = run(*REPLAY, *words)
    assert done.code == 2
    assert message in done.words


def test_recordings_that_are_none(run, tmp_path):
    done = run("audit", "--recorded", tmp_path / "nothing.probe")
    assert done.code == 1
    assert "nothing.probe: No such file" in done.err
    cut = tmp_path / "cut.probe"
    cut.write_bytes(CPU.read_bytes()[:5000])
    done = run("audit", "--recorded", cut)
    assert done.code == 1
    assert "cut.probe: not a recording, or a truncated one" in done.err
    whole = tmp_path / "renamed.zip"
    shutil.copy(CPU, whole)
    assert run("audit", "--recorded", whole, "--item", "float8_e5m2 to float32").code == 0
    vectors = tmp_path / "add.hex"
    assert run("vectors", "add", "-f", "e2m1fn", "-o", vectors).code == 0
    assert run("audit", "--recorded", vectors).code == 0
    done = run("audit", "--recorded", vectors, "--item", "add")
    assert done.code == 2
    assert "only a device's recording has items" in done.words

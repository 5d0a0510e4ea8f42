"""The output of commands: in every encoding, and without control sequences for a terminal."""

import os
import subprocess
import sys

import numpy as np
import pytest

from fpemu.cli.app import COMMANDS

pytest.importorskip("typer")

HOSTILE = "layer[red]0\x1b[31m\x07[/nothing]\u202e:smile:"
SEEN = "layer[red]0\\x1b[31m\\x07[/nothing]\\u202e:smile:"

# One line or more for each command
LINES = {
    "formats": ["formats"],
    "info": ["info e4m3fn", "info fp4 --values", "info mxfp4"],
    "compare": ["compare float16 bfloat16"],
    "inspect": ["inspect 0.1 -f float64", "inspect 1e-39 -f bf16", "inspect x -f bf16"],
    "calc": ["calc 1/3+0.1 -f float32", "calc 1/3 -f bf16 -f fp16", "calc 1+ -f bf16"],
    "table": ["table add -f fp4", "table sqrt -f fp6_e2m3 --flags"],
    "error": ["error sqrt -f e5m2 --binades"],
    "cast": ["cast w.npz -f bf16 -o y.npz"],
    "report": ["report w.npz -f bf16 -f mxfp4", "report w.npz -f bf16 --json"],
    "vectors": ["vectors sqrt -f fp4 -o v.csv", "vectors sqrt -f fp4 --coverage"],
    "audit": ["audit add -f fp4 --python missing:function"],
    "probe": ["probe -o p.py --random 1"],
    "doctor": [],  # it looks at the machine
    "demo": [],  # it writes pictures
}


@pytest.fixture
def weights(tmp_path):
    np.savez(tmp_path / "w.npz", **{HOSTILE: np.ones((4, 32), np.float32)})
    return tmp_path


def spoken(folder, line, **environment):
    known = {key: value for key, value in os.environ.items() if key not in ("FORCE_COLOR", "COLUMNS")}
    return subprocess.run(
        [sys.executable, "-m", "fpemu", *line.split()],
        cwd=folder,
        env={**known, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), **environment},
        capture_output=True,
        check=False,
    )


def test_every_command_is_asked():
    assert set(LINES) == set(COMMANDS)


@pytest.mark.parametrize("line", [line for lines in LINES.values() for line in lines])
def test_an_encoding_that_lacks_signs_ends_no_command(weights, line):
    found = spoken(weights, line, PYTHONIOENCODING="ascii", LANG="C")
    assert b"codec" not in found.stderr
    assert b"Traceback" not in found.stderr
    wrong = line in ("inspect x -f bf16", "calc 1+ -f bf16", "audit add -f fp4 --python missing:function")
    assert found.returncode == 2 * wrong, found.stderr
    (found.stdout + found.stderr).decode("ascii")


def test_names_out_of_files_are_shown_not_obeyed(weights, run, monkeypatch):
    monkeypatch.chdir(weights)
    lines = [line for name in ("cast", "report") for line in LINES[name]]
    lines += ["report w.npz -f bf16 --member layer0", "cast w.npz -f bf16 -o y.npy --member nothing"]
    for colour in ("", "1"):
        monkeypatch.setenv("FORCE_COLOR", colour) if colour else monkeypatch.delenv("FORCE_COLOR", raising=False)
        for line in lines:
            done = run(*line.split())
            text = done.out + done.err
            for order in ("\x1b[31m", "\x07", "\u202e"):
                assert order not in text, line
            if done.code == 0 and line.startswith("report") and "--json" not in line:
                assert SEEN in text.replace("\x1b[1m", "").replace("\x1b[0m", ""), line


def test_names_with_ends_of_lines_stay_on_their_line(tmp_path, run, monkeypatch):
    """A member's name does not break lines, in headings or in cells."""
    monkeypatch.chdir(tmp_path)
    np.savez("w.npz", **{"a\nfpemu: error: b\r\nc": np.ones(8, np.float32), "d": np.ones(8, np.float32)})
    for line in (
        "report w.npz -f bf16",
        "cast w.npz -f bf16 -o y.npz",
        "report w.npz -f mxfp4",
        "report w.npz --member x",
    ):
        done = run(*line.split())
        assert not any(part.startswith(("fpemu: error: b", "c")) for part in (done.out + done.err).splitlines()), line


def test_errors_of_programs_are_shown_not_obeyed(weights, run, monkeypatch):
    monkeypatch.chdir(weights)
    script = weights / "bad.py"
    script.write_text("import sys; sys.exit('\\x1b[2J[red]gone\\x07')")
    done = run("audit", "add", "-f", "fp4", "--program", f"{sys.executable} {script}")
    assert done.code != 0
    assert "[red]gone" in done.out + done.err
    assert not {"\x1b", "\x07"} & set(done.out + done.err)

"""Fixtures that run the `fpemu` command, and files for it to read."""

import json
import re
import shutil
import signal
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import fpemu as fe
from fpemu.cli import main

# What `fpemu audit` is shown with
MODULE = """
import fpemu as fe
from fpemu.verification.claims import Claim

add = Claim.of("add", "float8_e4m3fn", rounding="toward_zero").answer
subtract = Claim.of("subtract", "float8_e4m3fn").answer
"""
CONVERTER = """
import sys

for line in sys.stdin:
    bits = int(line, 16)
    if bits & 0x7FFFFFFF > 0x7F800000:
        print("%x" % (bits >> 16 | 0x40))
    else:
        print("%x" % (bits + 0x7FFF + (bits >> 16 & 1) >> 16))
"""


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def words(self):
        """The text on the error stream, without the frames and folds of a terminal."""
        return " ".join(re.sub(r"[│╭╮╰╯─]", " ", self.err).split())

    @property
    def json(self):
        def refuse(constant):
            raise AssertionError(f"{constant} is no JSON")

        return json.loads(self.out, parse_constant=refuse)


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """Unset the terminal's width of the calling process."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def run(capsys):
    """A function that runs the command in this process and restores the signal handlers that the command replaces."""
    signals = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in signals}

    def call(*args):
        with pytest.raises(SystemExit) as stopped:
            main([str(arg) for arg in args])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return Result(stopped.value.code, out, err)

    yield call
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A folder with files, as the current folder."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((128, 256)) * 0.02).astype(np.float32)
    np.save("weights.npy", x)
    np.savez("weights.npz", a=x[0], b=np.array([1.0, 500.0, np.nan, -np.inf]))
    x.tofile("x.f32")
    np.save("codes.npy", np.arange(0x7F, dtype=np.uint8))
    (tmp_path / "mymodule.py").write_text(MODULE)
    (tmp_path / "my_converter.py").write_text(CONVERTER)
    fe.save("model.safetensors", a=x[0], b=fe.array(x[:2], "bfloat16"))
    shutil.copy(Path(__file__).parents[1] / "peers/torch_cpu.probe", "recording.probe")
    for copy, name in (("model.npz", "weights.npz"), ("activations.f32", "x.f32")):
        with open(copy, "wb") as to, open(name, "rb") as source:
            to.write(source.read())
    return x

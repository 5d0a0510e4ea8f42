"""`fpemu.verification.machine` and `fpemu doctor`: digests, the same on every machine, and reports of others."""

from __future__ import annotations

import json

import numpy as np
import pytest

import fpemu as fe
from fpemu import cli
from fpemu.verification import machine
from tests.cases import float_environment


def found():
    return list(machine.checks())


def test_every_check_is_right_with_any_number_of_threads():
    before = fe.get_num_threads()
    try:
        for count in (1, 3):
            fe.set_num_threads(count)
            for check in found():
                assert check.problem is None
                assert check.results > 3000
            assert machine.thread_counts()[0] == count
    finally:
        fe.set_num_threads(before)


@float_environment.needed
@pytest.mark.parametrize("mode", float_environment.CHANGED)
def test_the_modes_of_the_fpu(mode):
    """The modes are reported, and change no digest."""
    with float_environment.changed(mode):
        words = machine.fpu_modes()
        problems = [check.problem for check in found()]
    direction = mode.removeprefix("both_")
    assert words[0] == f"rounds {direction.replace('_', ' ') if direction.startswith('toward') else 'to nearest even'}"
    assert ("flushes subnormal results to zero" in words) == (mode == "flush_to_zero" or mode.startswith("both"))
    assert ("takes subnormal operands for zero" in words) == (mode == "denormals_are_zero" or mode.startswith("both"))
    assert problems == [None] * len(machine.CORPUS)
    assert machine.fpu_modes() == ["rounds to nearest even", "keeps subnormal numbers"]


def test_one_wrong_bit_is_found(monkeypatch):
    """In one result of a check; an operation that fails is found too."""

    def flipped(*words, **how):
        codes = fe.encode(*words, **how)
        codes.reshape(-1)[-1] ^= 1
        return codes

    def broken(*words, **how):
        raise FloatingPointError("no")

    monkeypatch.setattr(machine, "encode", flipped)
    monkeypatch.setattr(machine, "quantize", broken)
    problems = {check.name: check.problem for check in found()}
    assert problems["threads"].endswith(f", right {machine.CORPUS['threads'][1]}")
    assert problems["threads"].startswith("digest ")
    assert problems["scaled formats"] == "FloatingPointError: no"
    assert problems["operations and flags"] is None


def test_the_kernels_cache(monkeypatch, tmp_path):
    from fpemu.kernels import cache

    monkeypatch.setattr(cache, "folder", str(tmp_path))
    (tmp_path / "a.kernel").write_bytes(b"12345")
    (tmp_path / "b.kernel").write_bytes(b"123")
    (tmp_path / "b.kernel.0123").write_bytes(b"half")
    assert machine.kernel_cache() == (tmp_path, 2, 8)
    monkeypatch.setattr(cache, "folder", None)
    assert machine.kernel_cache() == (None, 0, 0)


def test_draws_are_the_same_everywhere():
    """Half have random bits, half are near 1; in the machine's own byte order."""
    drawn = machine._random_integers("a", "u4", 3)
    assert drawn.dtype.isnative
    assert drawn.tolist() == [0xB02C7E86, 0xDC045A4F, 0x012559BD]  # SHAKE-256 of "a": 86 7e 2c b0 4f 5a 04 dc ...
    for bits in (16, 32, 64):
        x = machine._random_floats("a", bits, 1000)
        assert x.dtype.itemsize * 8 == bits
        near = np.abs(x[::2])
        assert (near >= 2.0**-8).all()
        assert (near < 2.0**8).all()
        assert len(np.unique(x[1::2])) > 300


def run(capsys, *words):
    with pytest.raises(SystemExit) as ended:
        cli.main(list(words))
    return ended.value.code, capsys.readouterr().out


def test_the_command(capsys, monkeypatch):
    code, out = run(capsys, "doctor")
    assert code == 0
    assert out.startswith(f"fpemu     {fe.__version__}\npython    3.")
    assert out.rstrip().endswith("All results are right.")
    code, out = run(capsys, "doctor", "--json")
    said = json.loads(out)
    assert code == 0
    assert said["right"] is True
    assert said["versions"]["numpy"] == np.__version__
    assert [check["name"] for check in said["checks"]] == list(machine.CORPUS)
    monkeypatch.setitem(machine.CORPUS, "sums", (machine._sums, "0123456789abcdef"))
    code, out = run(capsys, "doctor")
    assert code == 1
    assert "WRONG     sums, " in out
    assert ", right 0123456789abcdef" in out
    assert "Some results are wrong: sums. Please report this" in out
    code, out = run(capsys, "doctor", "--json")
    assert code == 1
    assert json.loads(out)["right"] is False

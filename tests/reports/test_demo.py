"""The demo: its network, its sine, its pictures and the command, compared with numbers computed here."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from typer.testing import CliRunner

from fpemu.cli.app import app
from fpemu.demo import canvas, network, sine, train

DATA = np.load(Path(network.__file__).with_name("digits.npz"))
IMAGES, LABELS = DATA["images"][DATA["test"]] / 16, DATA["labels"][DATA["test"]]
WEIGHTS = [DATA[f"weight{i}"] for i in range(3)]


def forward(cast_weight, cast_input=lambda x: x):
    """The logits of the test images."""
    x = IMAGES
    for i, weight in enumerate(WEIGHTS):
        x = cast_input(np.maximum(x, 0)) @ cast_weight(weight.astype(float)) + DATA[f"bias{i}"]
    return x


def accuracy(logits):
    return np.mean(logits.argmax(axis=1) == LABELS)


def decibels(signal, noisy):
    return 10 * np.log10(np.sum(signal**2) / np.sum((noisy - signal) ** 2))


@pytest.fixture(scope="module")
def results():
    digits = network.load()
    return {cast: network.evaluate_format(digits, *cast) for cast in network.casts()}


@pytest.mark.parametrize("name", ["float8_e4m3fn", "float8_e5m2", "bfloat16", "float4_e2m1fn"])
def test_weights_cast_as_ml_dtypes_casts_them(results, name):
    def cast(x):
        return x.astype(np.float32).astype(getattr(ml_dtypes, name)).astype(float)

    row = results[name, False]
    assert row.accuracy_weights == accuracy(forward(cast))
    w = np.concatenate([w.ravel() for w in WEIGHTS]).astype(float)
    assert row.weights.sqnr == pytest.approx(decibels(w, cast(w)))
    assert row.weights.underflow == np.mean((cast(w) == 0) & (w != 0))
    assert row.weights.overflow == 0


@pytest.mark.parametrize(("name", "largest"), [("int8", 127), ("int4", 7)])
def test_scaled_integers(results, name, largest):
    def cast(x):
        scale = np.abs(x).max() / largest
        return np.rint(x / scale) * scale

    row = results[name, True]
    logits, reference = forward(cast, cast), forward(lambda w: w, lambda x: x.astype(np.float32).astype(float))
    assert row.scale == "absmax"
    assert row.accuracy_weights == accuracy(forward(cast))
    assert row.accuracy == accuracy(logits)
    assert row.logits_sqnr == pytest.approx(decibels(reference, logits))
    assert row.agreement == np.mean(logits.argmax(axis=1) == reference.argmax(axis=1))


def test_activations_overflow_is_counted(results):
    def cast(x):
        return np.clip(np.rint(x), -8, 7)

    inputs, x = [], IMAGES
    for i, weight in enumerate(WEIGHTS):
        inputs.append(x.ravel())
        x = np.maximum(cast(x) @ cast(weight) + DATA[f"bias{i}"], 0)
    inputs = np.concatenate(inputs)
    row = results["int4", False].activations
    assert row.overflow == pytest.approx(np.mean(np.rint(inputs) > 7))
    assert row.underflow == pytest.approx(np.mean((np.rint(inputs) == 0) & (inputs != 0)))


def test_float32_is_exact_and_reads_well(results):
    row = results["float32", False]
    assert row.weights.sqnr == np.inf
    assert row.agreement == 1
    assert row.accuracy == row.accuracy_weights == accuracy(forward(lambda w: w)) > 0.97
    assert (row.smallest, row.largest) == (2.0**-149, np.finfo(np.float32).max)


def test_formats_up_to_8_bits_are_also_scaled(results):
    assert {name for name, scaled in results if scaled} == {
        "float8_e5m2", "float8_e4m3fn", "float6_e3m2fn", "float6_e2m3fn", "float4_e2m1fn", "int8", "int4",
    }  # fmt: skip


def test_scaled_formats_of_one_scale_by_hand(results):
    def cast(x):
        low, high = min(x.min(), 0), max(x.max(), 0)
        scale = np.float64(np.float32((high - low) / 15))
        zero = -8 - np.rint(low / scale)
        return (np.clip(np.rint(x / scale) + zero, -8, 7) - zero) * scale

    def single(x):
        return cast(x.astype(np.float32).astype(float))

    row = results["zeropoint_int4", False]
    logits = forward(single, single)
    assert (row.scale, row.bits) == ("own", 4)
    assert row.accuracy_weights == accuracy(forward(single))
    assert row.accuracy == accuracy(logits)
    w = np.concatenate([w.ravel() for w in WEIGHTS]).astype(float)
    y = np.concatenate([single(w).ravel() for w in WEIGHTS])
    assert row.weights.sqnr == pytest.approx(decibels(w, y), rel=1e-6)
    assert row.weights.underflow == pytest.approx(np.mean((y == 0) & (w != 0)))


def test_blocks_lie_along_the_sums(results):
    def cast(x, axis):
        """MXFP4 with powers of two from the largest magnitude: OCP MX v1.0, clause 6.3."""
        rows = np.moveaxis(x.astype(np.float32).astype(float), axis, -1)
        blocks = rows.reshape(*rows.shape[:-1], -1, 32)
        largest = np.abs(blocks).max(axis=-1, keepdims=True)
        scale = 2.0 ** np.maximum(np.floor(np.log2(np.where(largest > 0, largest, 2.0**-125))) - 2, -127)
        y = np.clip(blocks / scale, -6, 6).astype(ml_dtypes.float4_e2m1fn).astype(float) * scale
        return np.moveaxis(y.reshape(rows.shape), -1, axis)

    row = results["mxfp4", False]
    logits = forward(lambda w: cast(w, 0), lambda x: cast(x, -1))
    reference = forward(lambda w: w, lambda x: x.astype(np.float32).astype(float))
    assert row.accuracy == accuracy(logits)
    assert row.logits_sqnr == pytest.approx(decibels(reference, logits), abs=0.001)


def test_training_again_gives_the_same_network():
    training, test = train.split(len(DATA["images"]))
    np.testing.assert_array_equal(test, DATA["test"])
    assert not set(training) & set(test)
    weights, biases = train.train(DATA["images"][training] / 16, DATA["labels"][training])
    for i in range(3):  # to a tolerance: sums in another order differ in the last bits
        np.testing.assert_allclose(weights[i], DATA[f"weight{i}"], atol=1e-4)
        np.testing.assert_allclose(biases[i], DATA[f"bias{i}"], atol=1e-4)


def test_images_are_the_published_ones():
    digits = pytest.importorskip("sklearn.datasets").load_digits()
    np.testing.assert_array_equal(DATA["images"], digits.data)
    np.testing.assert_array_equal(DATA["labels"], digits.target)


@pytest.mark.parametrize("bits", sine.SINE_BITS)
def test_sine(bits):
    _, signal = sine.sample(1000)
    quantized = sine.quantize_signal(signal, bits)
    levels = np.linspace(-1, 1, 2**bits)
    nearest = levels[np.abs(signal[:, None] - levels).argmin(axis=1)]
    np.testing.assert_allclose(np.abs(quantized.error), np.abs(nearest - signal), atol=1e-12)
    assert set(quantized.values.round(9)) <= set(levels.round(9))
    assert quantized.max_error <= quantized.step / 2 + 1e-12
    assert quantized.sqnr == pytest.approx(6.02 * bits + 1.76, abs=1)
    assert quantized.sqnr == pytest.approx(decibels(signal, quantized.values))


def test_canvas():
    assert canvas.draw([1, -1], limit=1, width=1, height=1) == [chr(0x2800 + 0x01 + 0x80 + 0x08 + 0x10 + 0x20)]
    assert canvas.draw([5, -5], limit=1, width=1, height=2, joined=False) == [chr(0x2801), chr(0x2880)]
    assert canvas.draw([0, 0], limit=1, width=3, height=3, ascii_only=True) == ["   ", "***", "   "]


def fpemu(*args, **environment):
    """Run the command in a process of its own, not on a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "fpemu", *args],
        capture_output=True,
        encoding="utf-8",
        check=False,
        env=os.environ | environment,
    )


def in_process(*args):
    """Run the command in this process."""
    ran = CliRunner().invoke(app, ["demo", *map(str, args)], catch_exceptions=False)
    assert ran.exit_code == 0
    return ran.stdout


def test_command(tmp_path, results):
    out = tmp_path / "a folder"
    ran = fpemu("demo", "--out", str(out), COLUMNS="80")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert {path.name for path in out.iterdir()} == {"weights.npy", "sine.png", "formats.png"}
    np.testing.assert_array_equal(np.load(out / "weights.npy"), np.concatenate([w.ravel() for w in WEIGHTS]))
    for picture in out.glob("*.png"):
        assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        assert len(picture.read_bytes()) > 10_000
    lines = ran.stdout.splitlines()
    unscaled = [line.split()[1:] for line in lines if line.startswith("float4_e2m1fn")]
    row = results["float4_e2m1fn", False]
    assert unscaled == [
        ["0.5", "6", f"{row.weights.sqnr:.1f}", "0.0%", f"{row.weights.underflow:.1%}"],
        [
            f"{row.accuracy_weights:.1%}", f"{row.activations.overflow:.1%}", f"{row.activations.underflow:.1%}",
            f"{row.accuracy:.1%}", f"{row.logits_sqnr:.1f}", f"{row.agreement:.1%}",
        ],
    ]  # fmt: skip
    assert any("8 bits: 50.0 dB" in line for line in lines)
    for command in lines[-3:]:
        assert CliRunner().invoke(app, shlex.split(command)[1:], catch_exceptions=False).exit_code == 0


def test_narrow_terminal_without_unicode(tmp_path):
    ran = fpemu("demo", "--out", str(tmp_path), COLUMNS="40", PYTHONIOENCODING="ascii")
    assert ran.returncode == 0
    assert ran.stdout.isascii()
    tables = ran.stdout[: ran.stdout.index("Written")]
    assert max(map(len, tables.splitlines())) <= 40
    assert ran.stdout.count("float4_e2m1fn") > 2  # each table goes on in another one


def test_json(tmp_path, results):
    printed = json.loads(in_process("--json", "--out", tmp_path))
    assert [(r["format"], r["scale"] == "absmax") for r in printed["formats"]] == list(results)
    for shown, row in zip(printed["formats"], results.values(), strict=True):
        assert shown["accuracy"] == row.accuracy
        assert float(shown["weights"]["sqnr"]) == row.weights.sqnr  # "inf" is a text
    assert [q["bits"] for q in printed["sine"]] == [3, 4, 8]
    assert [Path(name).exists() for name in printed["files"]] == [True, True, True]


def test_without_matplotlib(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.startswith(("matplotlib", "fpemu.demo.pictures"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "fpemu[plot]" in in_process("--out", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["weights.npy"]


def test_unwritable_folder(tmp_path):
    (tmp_path / "file").write_text("no folder")
    ran = fpemu("demo", "--out", str(tmp_path / "file" / "demo"))
    assert (ran.returncode, ran.stdout) == (1, "")
    assert str(tmp_path / "file") in ran.stderr
    assert "Traceback" not in ran.stderr

"""`fpemu cast` and `fpemu report`: their output, the files they write, and the files left by an interruption."""

import errno
import os
import re
import signal
import tracemalloc

import numpy as np
import pytest

import fpemu as fe

pytest.importorskip("typer")

from fpemu import casting
from fpemu.cli import output
from fpemu.files import safetensors
from fpemu.files.boundary import Budget
from fpemu.files.data_files import metadata_of

# -- Arrays that were saved -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["npz", "safetensors"])
def test_saved_arrays_are_their_numbers(run, tmp_path, ending):
    """In every format and every type of codes; a Quantized is reported and left out, or refused."""
    rng = np.random.default_rng(0)
    names = [
        "bfloat16",
        "float32",
        "int32",
        "float6_e2m3fn",
        "float4_e2m1fn",
        "int4",
        "q3.12",
        "float24_e7m16f",
        "nf4",
        "e5m2",
        "float64",
    ]
    saved = {name: fe.array(rng.uniform(-1, 1, (2, 4)), name) for name in names}
    saved["mine"] = fe.array([0.5, 1.0, 2.5], fe.FloatFormat("mine", bits=6, precision=3, infinities=False, nan="none"))
    path = tmp_path / f"x.{ending}"
    fe.save(path, plain=np.float32([0.25, 3]), **saved)
    found = run("report", path, "-f", "float64", "--json").json["arrays"]
    assert [(each["name"], each["rows"][0]["mse"]) for each in found] == [(name, 0) for name in ("plain", *saved)]
    assert run("cast", path, "-f", "float64", "-o", tmp_path / "y.npz").code == 0
    with np.load(tmp_path / "y.npz") as values:
        for name, a in saved.items():
            np.testing.assert_array_equal(values[name], a.values)
    member = "int4.codes" if ending == "npz" else "int4"
    for each in ("int4", member):
        assert run("cast", path, "--member", each, "-f", "float32", "-o", tmp_path / "y.npy").code == 0
        np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), saved["int4"].values)
        assert run("report", path, "--member", each, "--dtype", "int4", "-f", "float32").code == 0
    done = run("report", path, "--member", "int4", "--dtype", "uint4", "-f", "float32")
    assert (done.code, "an Array of int4, not of uint4: leave dtype out" in done.words) == (1, True)
    done = run("report", path, "--member", "int5", "-f", "float32")
    assert (done.code, "no array 'int5'; there are plain, bfloat16" in done.words) == (1, True)


@pytest.mark.parametrize("ending", ["npz", "safetensors"])
def test_saved_quantized_are_told(run, tmp_path, ending):
    path = tmp_path / f"q.{ending}"
    fe.save(path, q=fe.quantize(np.ones(32, np.float32), "mxfp4"), x=np.float32([1.5]))
    done = run("report", path, "-f", "bf16", "--json")
    assert [each["name"] for each in done.json["arrays"]] == ["x"]
    call = f"fe.load({str(path)!r}, 'q').dequantize()"
    assert done.code == 0
    assert "q, left out: a Quantized" in done.words
    for member in ("q", "q.scales"):
        done = run("report", path, "--member", member, "-f", "bf16")
        assert done.code == 1
        assert call.replace(" ", "") in done.words.replace(" ", "")
    np.testing.assert_array_equal(eval(call), np.ones(32))  # the advice works
    fe.save(path, q=fe.quantize(np.ones(32, np.float32), "mxfp4"))
    assert run("cast", path, "-f", "bf16", "-o", tmp_path / "y.npz").code == 1


# -- cast -------------------------------------------------------------------------------------------------------------


def test_cast_writes_values_and_codes(run, weights):
    done = run("cast", "weights.npy", "-f", "e4m3fn", "-o", "values.npy")
    assert done.code == 0
    values = np.load("values.npy")
    np.testing.assert_array_equal(values, fe.cast(weights, "e4m3fn"), strict=True)
    run("cast", "weights.npy", "-f", "e4m3fn", "-o", "codes.npy", "--codes")
    codes = np.load("codes.npy")
    np.testing.assert_array_equal(codes, fe.encode(weights, "e4m3fn"), strict=True)
    run("cast", "codes.npy", "--dtype", "e4m3fn", "-f", "float32", "-o", "back.npy")
    np.testing.assert_array_equal(np.load("back.npy"), values, strict=True)
    run("cast", "x.f32", "--raw", "--dtype", "float32", "--shape", "128x256", "-f", "e4m3fn", "-o", "raw.bin")
    np.testing.assert_array_equal(np.fromfile("raw.bin", np.float32).reshape(128, 256), values)


def test_cast_of_every_array_of_an_npz(run, weights):
    assert run("cast", "weights.npz", "-f", "e5m2", "-o", "out.npz", "--codes").code == 0
    with np.load("weights.npz") as before, np.load("out.npz") as after:
        assert sorted(after) == ["a", "b"]
        for name in after:
            np.testing.assert_array_equal(after[name], fe.encode(before[name], "e5m2"), strict=True)
    assert run("cast", "weights.npz", "--member", "b", "-f", "e5m2", "-o", "b.npy").code == 0
    assert np.load("b.npy").shape == (4,)


@pytest.mark.parametrize("options", [{"rounding": "toward_zero"}, {"profile": "torch"}, {"overflow": "saturate"}])
def test_cast_obeys_the_rules(run, weights, options):
    flags = [word for name, value in options.items() for word in (f"--{name}", value)]
    x = weights * 1e6
    np.save("big.npy", x)
    assert run("cast", "big.npy", "-f", "e4m3fn", "-o", "y.npy", *flags).code == 0
    np.testing.assert_array_equal(np.load("y.npy"), fe.cast(x, "e4m3fn", **options))


def test_cast_draws_a_seed_and_tells_it(run, weights):
    args = ("cast", "weights.npy", "-f", "bf16", "--rounding", "stochastic")
    seed = run(*args, "-o", "y.npy", "--json").json["seed"]
    expected = fe.cast(weights, "bf16", rounding="stochastic", rng=seed)
    np.testing.assert_array_equal(np.load("y.npy"), expected)
    assert f"seed {seed}" in run(*args, "-o", "z.npy", "--seed", seed).out
    np.testing.assert_array_equal(np.load("z.npy"), expected)


def test_cast_of_integers_that_no_float64_is(run, tmp_path):
    """The cost of a cast is measured on the integers themselves."""
    np.save(tmp_path / "x.npy", np.array([2**60 + 1, 2**53 + 1, 5]))
    for fmt, inexact, largest in (("float64", 2, 1), ("int64", 0, 0), ("bf16", 2, 1)):
        found = run("cast", tmp_path / "x.npy", "-f", fmt, "--codes", "-o", tmp_path / "y.npy", "--json")
        (array,) = found.json["arrays"]
        assert (array["inexact"], array["max_error"]) == (inexact, largest)
        found = run("report", tmp_path / "x.npy", "-f", fmt, "--json")
        assert found.json["arrays"][0]["rows"][0]["max_error"] == largest


def test_cast_of_more_than_one_chunk(run, tmp_path):
    x = np.random.default_rng(1).standard_normal((3, 900_001)).astype(np.float32)
    for order in "CF":
        np.save(tmp_path / "x.npy", np.asarray(x, order=order))
        done = run(
            *("cast", tmp_path / "x.npy", "-f", "e5m2", "-o", tmp_path / "y.npy"),
            *("--rounding", "stochastic", "--seed", 5, "--json"),
        )
        np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), fe.cast(x, "e5m2", rounding="stochastic", rng=5))
        (facts,) = done.json["arrays"]
        expected = fe.report(x, "e5m2", rounding="stochastic", rng=5).rows[0]
        assert facts["sqnr"] == pytest.approx(expected.sqnr, rel=1e-12)


def test_cast_needs_less_memory_than_the_file_has(run, tmp_path):
    count = 16 << 20
    stored = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (count,))
    stored[::4096] = 1.1
    del stored
    run("cast", tmp_path / "x.npy", "-f", "bf16", "-o", tmp_path / "warm.npy")
    tracemalloc.start()
    try:
        assert run("cast", tmp_path / "x.npy", "-f", "bf16", "-o", tmp_path / "y.npy").code == 0
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * count / 2
    assert np.load(tmp_path / "y.npy", mmap_mode="r")[4096] == np.float32(1.1015625)


def test_the_summary_of_a_cast(run, tmp_path):
    x = np.array([0.0, 1.0, 1.1, 1e-9, -1e9, 470.0, np.nan], np.float32)
    np.save(tmp_path / "x.npy", x)
    args = ("cast", tmp_path / "x.npy", "-f", "e4m3fn", "-o", tmp_path / "y.npy")
    (facts,) = run(*args, "--json").json["arrays"]
    assert (facts["shape"], facts["dtype"], facts["inexact"]) == ([7], "float32", 4)
    assert (facts["overflow"], facts["underflow"], facts["nan"]) == (2 / 6, 1 / 6, 3)
    assert facts["max_error"] == 1e9 - 448
    out = run(*args).out
    assert f"{tmp_path / 'y.npy'}: values of float8_e4m3fn profile ieee, nearest_even" in out
    assert out.splitlines()[-1].split()[-7:] == ["33.3", "%", "16.7", "%", "33.3", "%", "3"]


def interrupt(*args, **kwargs):
    raise KeyboardInterrupt


def terminate(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGTERM)


def fill(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


def exhaust(*args, **kwargs):
    raise MemoryError


@pytest.mark.parametrize(
    ("event", "codes", "words"),
    [
        (interrupt, (1, 130), ""),
        (terminate, (143,), ""),
        (fill, (1,), "No space left on device"),
        (exhaust, (1,), "not enough memory"),
    ],
)
@pytest.mark.parametrize("old", [None, b"what was there"])
@pytest.mark.parametrize("out", ["y.npy", "y.npz"])
def test_a_cast_cut_short_leaves_no_half_of_a_file(run, tmp_path, monkeypatch, event, codes, words, old, out):
    x = np.ones(2_500_000, np.float32)
    np.save(tmp_path / "x.npy", x)
    if old:
        (tmp_path / out).write_bytes(old)
    cast = casting.cast
    calls = []

    def second_fails(piece, *args, **kwargs):
        calls.append(len(piece))
        return event() if len(calls) > 2 else cast(piece, *args, **kwargs)

    monkeypatch.setattr(casting, "cast", second_fails)
    done = run("cast", tmp_path / "x.npy", "-f", "bf16", "-o", tmp_path / out)
    assert len(calls) > 2
    assert done.code in codes
    assert words in done.words
    assert sorted(os.listdir(tmp_path)) == sorted(["x.npy", out] if old else ["x.npy"])
    assert not old or (tmp_path / out).read_bytes() == old


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_names_the_file(run, weights):
    done = run("cast", "weights.npy", "-f", "bf16", "-o", "/dev/full")
    assert (done.code, done.err) == (1, "fpemu: error: /dev/full: No space left on device\n")


@pytest.mark.parametrize("command", ["cast x.npy -f bf16 -o y.npy", "report x.npy -f bf16 --scale absmax"])
def test_progress_where_it_takes_long(run, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.ones(2_500_000, np.float32))
    monkeypatch.setattr(output, "BAR_DELAY", 0.0)
    assert "%" not in run(*command.split()).err  # no terminal
    monkeypatch.setenv("FORCE_COLOR", "1")
    done = run(*command.split())
    assert "x.npy" in done.err
    assert "%" in done.err
    monkeypatch.setattr(output, "BAR_DELAY", 1e9)
    assert run(*command.split()).err == ""


# -- report -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [None, "absmax", "0.5"])
def test_report_prints_what_the_library_says(run, weights, scale):
    formats = ["bfloat16", "float8_e4m3fn", "int8"]
    args = ["report", "weights.npy", "-f", *formats, *(["--scale", scale] if scale else [])]
    expected = fe.report(weights, formats, float(scale) if scale == "0.5" else scale)
    (array,) = run(*args, "--json").json["arrays"]
    assert array["shape"] == [128, 256]
    for row, same in zip(array["rows"], expected.to_dict()["rows"], strict=True):
        assert {k: v for k, v in row.items() if k != "mse"} == {k: v for k, v in same.items() if k != "mse"}
        assert row["mse"] == pytest.approx(same["mse"], rel=1e-12)
    out = run(*args).out
    assert "weights.npy: 128 x 256, float32" in out
    for row in expected.rows:
        assert " ".join(row.cells()[1:]) in " ".join(out.split())


def test_report_takes_scaled_formats_as_the_library_does(run, weights):
    names = ["mxfp4", "nvfp4", "e4m3fn", "int8_channel", "zeropoint_int8"]
    out = run("report", "weights.npy", "-f", *names).out
    lines = [re.split(r" {2,}", line.strip()) for line in out.splitlines()]
    for cells in fe.report(weights, names).cells():
        assert cells in lines
    (array,) = run("report", "weights.npy", *names, "--rounding", "stochastic", "--seed", 4, "--json").json["arrays"]
    expected = fe.report(weights, names, rounding="stochastic", rng=4)
    assert [row["mse"] for row in array["rows"]] == [row.mse for row in expected.rows]


def test_report_takes_profiles_and_rules_of_scaled_formats(run, weights):
    def mse(*line):
        (array,) = run("report", "weights.npy", *line, "--json").json["arrays"]
        return [row["mse"] for row in array["rows"]]

    names = ["e4m3fn", "mxfp4", "nvfp4"]
    expected = [row.mse for row in fe.report(weights, names, profile="torchao").rows]
    assert mse(*names, "--profile", "torchao") == expected
    assert mse("e4m3fn") == expected[:1]
    ruled = fe.report(weights, names[:2], profile="torchao", scale_rule="rceil").rows
    assert mse(*names[:2], "--profile", "torchao", "--scale-rule", "rceil") == [row.mse for row in ruled]
    assert ruled[1].mse != expected[1]


def test_report_takes_scales_that_are_quantized_themselves(run, weights):
    (array,) = run("report", "weights.npy", "bnb_nf4", "nf4_64", "--profile", "bitsandbytes", "--json").json["arrays"]
    expected = fe.report(weights, ["bnb_nf4", "nf4_64"], profile="bitsandbytes")
    assert [row["mse"] for row in array["rows"]] == [row.mse for row in expected.rows]


def test_report_names_the_array_that_a_scaled_format_does_not_fit(run, weights):
    np.savez("mixed.npz", a=weights, b=np.ones((8, 1, 32, 1), np.float32))
    done = run("report", "mixed.npz", "-f", "e4m3fn", "mxfp4")
    assert (done.code, done.out) == (1, "")
    assert "mixed.npz, b: mxfp4 does not fit an array of shape (8, 1, 32, 1): blocks of 1 x 1 x 1 x 32" in done.err
    assert "--pad allows shorter last blocks; x.reshape(8, 32) or --axis 2 avoids that" in done.err
    padded = run("report", "mixed.npz", "-f", "mxfp4", "--pad", "--json").json["arrays"]
    expected = fe.report(np.ones((8, 1, 32, 1), np.float32), "mxfp4", pad=True).rows[0]
    assert [array["rows"][0]["bits"] for array in padded] == [4.25, expected.bits]
    np.save("kernel.npy", np.ones((8, 1, 32, 1), np.float32))
    (array,) = run("report", "kernel.npy", "-f", "mxfp4", "--axis", 2, "--json").json["arrays"]
    assert array["rows"][0]["bits"] == 4.25
    done = run("report", "kernel.npy", "-f", "mxfp4", "--axis", 9)
    assert (done.code, "axis 9 is out of range for 4 dimensions" in done.err) == (1, True)
    for option in (["--pad"], ["--axis", 0]):
        done = run("report", "kernel.npy", "-f", "e4m3fn", *option)
        assert (done.code, "applies to scaled formats only" in done.err) == (2, True)


def test_report_marks_a_number_that_has_no_blocks(run, weights):
    np.savez("mixed.npz", step=np.float32(3), a=weights)
    done = run("report", "mixed.npz", "-f", "e4m3fn", "mxfp4", "absmax_int8")
    assert done.code == 0
    assert "mixed.npz, step: one number, float32" in done.out
    assert "mxfp4: one number has no axis for blocks (32)" in done.out
    assert re.search(r"^mxfp4( +-){9}$", done.out, re.MULTILINE)
    number, array = run("report", "mixed.npz", "-f", "e4m3fn", "mxfp4", "absmax_int8", "--json").json["arrays"]
    assert [row.get("note", "")[:10] for row in number["rows"]] == ["", "one number", ""]
    assert [row["format"] for row in array["rows"]] == [row["format"] for row in number["rows"]]
    assert [row["mse"] for row in array["rows"]] == [
        row.mse for row in fe.report(weights, ["e4m3fn", "mxfp4", "absmax_int8"]).rows
    ]
    np.save("number.npy", np.float32(3))
    assert run("report", "number.npy", "mxfp4").code == 0


def test_report_of_codes_and_of_every_array(run, weights):
    (array,) = run("report", "codes.npy", "--dtype", "e4m3fn", "-f", "e2m1", "--json").json["arrays"]
    expected = fe.report(np.arange(0x7F, dtype=np.uint8), "e2m1", source="e4m3fn")
    assert array["rows"][0]["sqnr"] == expected.rows[0].sqnr
    out = run("report", "weights.npz", "-f", "int8").out
    assert "weights.npz, a: 256, float32" in out
    assert "weights.npz, b: 4, float64" in out
    assert "left out: 1 NaN and 1 infinite" in out


def test_report_takes_the_main_formats_by_itself(run, weights):
    (array,) = run("report", "weights.npy", "--json").json["arrays"]
    assert {"bfloat16", "float8_e4m3fn", "int8"} < {row["format"] for row in array["rows"]}


def test_report_of_stochastic_rounding(run, weights):
    args = ("report", "weights.npy", "-f", "e5m2", "--rounding", "stochastic", "--seed", 3)
    (array,) = run(*args, "--json").json["arrays"]
    assert array["rows"][0]["max_error"] == fe.report(weights, "e5m2", rounding="stochastic", rng=3).rows[0].max_error
    assert "seed 3" in run(*args).out


def test_report_draws_a_picture(run, weights):
    assert run("report", "weights.npy", "-f", "e5m2", "--plot", "x.png").code == 0
    with open("x.png", "rb") as stream:
        assert stream.read(4) == b"\x89PNG"


def test_cast_keeps_what_a_checkpoint_says(run, tmp_path):
    """Other libraries read it; fpemu's own description of the old codes would be wrong for the new ones."""
    path, out = tmp_path / "m.safetensors", tmp_path / "out.safetensors"
    place = safetensors.TensorType("F32", (3,))
    for metadata in ({"format": "pt", "step": "7", "ä": "\n"}, {}, {"format": "pt", "fpemu": "{}"}):
        with open(path, "wb") as stream:
            safetensors.write_tensors(stream, {"w": place}, {"w": [np.float32([1, 2, 3])]}, metadata)
        for codes in ([], ["--codes"]):
            assert run("cast", path, "-f", "bf16", "-o", out, *codes).code == 0
            kept = {name: text for name, text in metadata.items() if name != "fpemu"}
            assert safetensors.contents(out, Budget.of(out)).metadata == kept
            assert metadata_of(out) == kept
    assert run("cast", path, "-f", "bf16", "-o", tmp_path / "out.npz").code == 0

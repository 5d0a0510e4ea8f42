"""What a file is: told by its first bytes and by its ending; read, refused by its name, or raw where one says so."""

import io
import os
import pickle
import sqlite3
import tarfile
import zipfile

import numpy as np
import pytest

import fpemu as fe
from fpemu.files.containers import READ, kind_by_bytes, kind_by_name, kind_of_input, kind_of_output
from fpemu.files.data_files import Outgoing, open_arrays, write_arrays
from fpemu.verification import vectors

X = np.arange(6, dtype=np.float32)


def zipped(**members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def tarred():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("x"))
    return stream.getvalue()


def compressed(module):
    return __import__(module).compress(bytes(100))


# The first bytes as the tools write them: name, bytes.
BEGINNINGS = [
    ("a GGUF file", b"GGUF\x03\x00\x00\x00" + bytes(20)),
    ("a PyTorch file", zipped(**{"archive/data.pkl": b"x", "archive/data/0": bytes(24)})),
    ("a PyTorch file", b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."),
    ("a Keras file", zipped(**{"config.json": b"{}", "model.weights.h5": b"x"})),
    ("a zip archive", zipped(a=b"x")),
    ("a pickle", pickle.dumps({"a": [1.0]}, 2)),
    ("a pickle", pickle.dumps({"a": np.ones(3)}, 4)),
    ("a pickle", pickle.dumps([1, 2], 5)),
    ("an HDF5 file", b"\x89HDF\r\n\x1a\n" + bytes(24)),
    ("a Parquet file", b"PAR1" + bytes(24)),
    ("an Arrow file", b"ARROW1\x00\x00" + bytes(24)),
    ("a TensorFlow Lite file", b"\x1c\x00\x00\x00TFL3" + bytes(24)),
    ("an ONNX file", b"\x08\x08\x12\x07pytorch\x1a\x052.0.0:\x10" + bytes(16)),
    ("an ONNX file", b"\x08\x0a\x12\x0bfpemu-tests:\x10" + bytes(16)),
    ("a gzip file", compressed("gzip")),
    ("a bzip2 file", compressed("bz2")),
    ("an xz file", compressed("lzma")),
    ("a Zstandard file", b"\x28\xb5\x2f\xfd" + bytes(24)),
    ("a 7-Zip archive", b"7z\xbc\xaf\x27\x1c" + bytes(24)),
    ("a tar archive", tarred()),
    ("a MATLAB file", b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + bytes(24)),
    ("a PNG picture", b"\x89PNG\r\n\x1a\n" + bytes(24)),
    ("a program", b"\x7fELF\x02\x01" + bytes(26)),
    ("a page of HTML", b"<!DOCTYPE html><html>" + bytes(11)),
    ("a pointer of Git LFS, not the file itself", b"version https://git-lfs.github.com/spec/v1\noid sha256:1234\n"),
]
ENDINGS = [
    ("a GGUF file", "gguf"),
    ("an ONNX file", "onnx"),
    ("a PyTorch file", "pt"),
    ("a PyTorch file", "pth"),
    ("a pickle", "pkl"),
    ("an HDF5 file", "h5"),
    ("a Parquet file", "parquet"),
    ("a zip archive", "zip"),
    ("a gzip file", "gz"),
    ("a tar archive", "tar"),
    ("a TensorFlow Lite file", "tflite"),
    ("a MessagePack file", "msgpack"),
    ("a JSON file", "json"),
    ("a text file", "csv"),
]


@pytest.mark.parametrize(("name", "data"), BEGINNINGS, ids=lambda each: each if isinstance(each, str) else "")
@pytest.mark.parametrize("ending", ["bin", "raw", "dat", "", "f32"])
def test_first_bytes_tell(tmp_path, name, data, ending):
    path = tmp_path / f"w.{ending}".removesuffix(".")
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f"^{path}: {name}, which fpemu does not read"):
        open_arrays(path, dtype="uint8")
    with pytest.raises(ValueError, match=f"^{path}: {name}"):
        fe.load(path)
    (stored,) = open_arrays(path, dtype="uint8", raw=True)  # first bytes may be so by chance
    assert stored.size == len(data)


@pytest.mark.parametrize(("name", "ending"), ENDINGS)
def test_endings_tell(tmp_path, name, ending):
    for path in (tmp_path / f"w.{ending}", tmp_path / f"W.{ending.upper()}"):
        path.write_bytes(X.tobytes())
        with pytest.raises(ValueError, match=f"^{path}: {name}, which fpemu does not read"):
            open_arrays(path, dtype="float32")
        with pytest.raises(ValueError, match=f"^{path}: {name}"):
            fe.load(path)
        with pytest.raises(ValueError, match=f"^{path}: its name says that it is {name}, raw=True"):
            open_arrays(path, dtype="float32", raw=True)
        path.unlink()
        for raw in (False, True):
            with pytest.raises(ValueError, match=f"^{path}: .*{name}"):
                write_arrays(path, [Outgoing("", X.shape, X.dtype, [X])], raw=raw)
        assert not path.exists()


@pytest.mark.parametrize("ending", ["npy", "npz", "safetensors"])
@pytest.mark.parametrize("given", ["bin", "pt", "", "f32", "npy", "npz", "safetensors"])
def test_what_is_read_is_read_under_every_name(tmp_path, ending, given):
    whole = tmp_path / f"x.{ending}"
    write_arrays(whole, [Outgoing("x", X.shape, X.dtype, [X])])
    path = tmp_path / f"renamed.{given}".removesuffix(".")
    path.write_bytes(whole.read_bytes())
    assert kind_of_input(path) == f".{ending}"
    (stored,) = open_arrays(path)
    np.testing.assert_array_equal(np.concatenate(list(stored.chunks(4))), X)
    loaded = fe.load(path)
    np.testing.assert_array_equal(loaded if ending == "npy" else loaded["x"], X)


def test_raw_numbers(tmp_path):
    for ending in ("bin", "raw", "dat", "BIN"):
        path = tmp_path / f"x.{ending}"
        path.write_bytes(X.tobytes())
        for raw in (False, True):
            (stored,) = open_arrays(path, dtype="float32", raw=raw)
            assert stored.shape == (6,)
    for name in ("x.f32", "x", "x.weights", "x.bin2", "x.", ".bin"):
        path = tmp_path / name
        path.write_bytes(X.tobytes())
        with pytest.raises(ValueError, match=r"^.*(its ending .* is unknown|it has no ending); known are .*\(--raw\)"):
            open_arrays(path, dtype="float32")
        (stored,) = open_arrays(path, dtype="float32", raw=True)
        assert stored.shape == (6,)
        with pytest.raises(ValueError, match="the ending must be"):
            fe.load(path)
        path.unlink()
        with pytest.raises(ValueError, match=r"\(--raw\) for raw numbers"):
            write_arrays(path, [Outgoing("", X.shape, X.dtype, [X])])
        assert not path.exists()
        write_arrays(path, [Outgoing("", X.shape, X.dtype, [X])], raw=True)
        assert path.read_bytes() == X.tobytes()
    for ending in READ:
        with pytest.raises(ValueError, match="rename it, or leave raw out"):
            kind_of_output(f"x{ending}", raw=True)
        (tmp_path / f"x{ending}").touch()
        with pytest.raises(ValueError, match="rename it, or leave raw out"):
            kind_of_input(tmp_path / f"x{ending}", raw=True)


@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int16", "int32", "int64", "uint64", "float16", "float32", "float64"]
)
def test_numbers_are_not_taken_for_containers(tmp_path, dtype):
    """Whole numbers from 0 on, ids, and noise: none looks like a file of another kind."""
    rng = np.random.default_rng(5)
    arrays = [np.arange(start, start + 200).astype(dtype) for start in range(0, 130)]
    arrays += [rng.integers(0, 60000, 100).astype(dtype) for _ in range(200)]
    arrays += [rng.standard_normal(100).astype(dtype) for _ in range(100)]
    path = tmp_path / "x.bin"
    for x in arrays:
        path.write_bytes(x.tobytes())
        assert kind_by_bytes(path) is None


def test_a_database_and_what_has_no_bytes(tmp_path):
    with sqlite3.connect(tmp_path / "x.bin") as base:
        base.execute("create table a (b)")
    base.close()
    assert kind_by_bytes(tmp_path / "x.bin") == "an SQLite database"
    (tmp_path / "empty.bin").touch()
    assert kind_by_bytes(tmp_path / "empty.bin") is None
    assert kind_by_name("model.safetensors.index.json") == "a JSON file"
    (stored,) = open_arrays(tmp_path / "empty.bin", dtype="float32")
    assert stored.size == 0


def test_pipes_and_devices_are_no_files(tmp_path):
    """They would be waited for, or have no end."""
    os.mkfifo(tmp_path / "x.npy")
    for path in (tmp_path / "x.npy", "/dev/zero"):
        for call in (
            lambda path: open_arrays(path, dtype="uint8"),
            lambda path: open_arrays(path, dtype="uint8", raw=True),
        ):
            with pytest.raises(ValueError, match=rf"^{path}: (a pipe or a device|its name says)"):
                call(path)
        with pytest.raises(ValueError, match=f"^{path}: a pipe or a device"):
            fe.load(path)
        with pytest.raises(ValueError, match=f"^{path}: a pipe or a device"):
            vectors.read(path, "csv")


def test_damage_under_a_known_name_is_damage(tmp_path):
    for ending in ("npy", "npz", "safetensors"):
        path = tmp_path / f"x.{ending}"
        for data in (b"", b"x", b"GGUF" + bytes(9), bytes(20)):
            path.write_bytes(data)
            with pytest.raises(
                ValueError, match=f"^{path}: (not a (readable \\.{ending}|safetensors) file|its header: damaged)"
            ):
                open_arrays(path)

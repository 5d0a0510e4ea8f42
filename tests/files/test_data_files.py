"""Reading arrays by map or stream, and writing them whole or not at all."""

import errno
import os
import stat
import zipfile

import ml_dtypes
import numpy as np
import pytest

import fpemu as fe
from fpemu.casting.buffers import iter_chunks
from fpemu.files.atomic import replacing
from fpemu.files.containers import file_kind
from fpemu.files.data_files import Outgoing, element_type, open_arrays, write_arrays

SHAPED = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def elements(stored, size=5):
    pieces = list(stored.chunks(size))
    assert all(piece.ndim == 1 and 0 < piece.size <= size for piece in pieces)
    return np.concatenate([*pieces, np.empty(0, stored.dtype)])


def outgoing(x, name="x", size=7):
    return Outgoing(name, x.shape, x.dtype, iter_chunks(x, size))


@pytest.mark.parametrize("size", [1, 5, 24, 100])
@pytest.mark.parametrize(
    "x",
    [SHAPED, np.asfortranarray(SHAPED), SHAPED[:, ::-1, ::2], SHAPED[0, 0, 0], SHAPED[:0], SHAPED.astype(">f4")],
    ids=["c", "fortran", "strided", "0d", "empty", "swapped"],
)
def test_chunks_are_the_elements_in_c_order(x, size):
    x = np.asarray(x)
    pieces = list(iter_chunks(x, size))
    assert [value for piece in pieces for value in piece] == x.flatten(order="C").tolist()
    assert all(piece.dtype == x.dtype for piece in pieces)


@pytest.mark.parametrize(
    ("name", "expected"), [("float32", "float32"), ("<i2", "int16"), ("half", "float16"), (np.uint8, "uint8")]
)
def test_element_type_of_numbers(name, expected):
    assert element_type(name) == np.dtype(expected)


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "int4", "q3.12"])
def test_element_type_of_codes(name):
    assert element_type(name) == fe.dtype(name)


@pytest.mark.parametrize("name", ["complex64", "O", "M8[s]", "i4,f4", "nonsense"])
def test_element_type_refuses_what_is_neither(name):
    with pytest.raises((ValueError, TypeError)):
        element_type(name)


@pytest.mark.parametrize(
    ("name", "kind"), [("a.npy", ".npy"), ("A.NPZ", ".npz"), ("a.bin", "raw"), ("npy", "raw"), ("/dev/stdout", "raw")]
)
def test_file_kind(name, kind):
    assert file_kind(name) == kind


@pytest.mark.parametrize(
    "x",
    [
        SHAPED,
        np.asfortranarray(SHAPED),
        SHAPED.astype(">f8"),
        np.array(2.5),
        np.empty((3, 0), np.int16),
        np.array([True, False]),
    ],
    ids=["c", "fortran", "swapped", "0d", "empty", "bool"],
)
class TestReading:
    def check(self, stored, x):
        assert (stored.shape, stored.dtype, stored.size, stored.format) == (x.shape, x.dtype, x.size, None)
        np.testing.assert_array_equal(elements(stored), x.flatten(order="C"))
        np.testing.assert_array_equal(elements(stored, 1000), x.flatten(order="C"))

    def test_npy(self, tmp_path, x):
        np.save(tmp_path / "x.npy", x)
        (stored,) = open_arrays(tmp_path / "x.npy")
        self.check(stored, x)

    @pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
    def test_npz(self, tmp_path, x, save):
        save(tmp_path / "x.npz", first=SHAPED + 1, second=x)
        first, second = open_arrays(tmp_path / "x.npz")
        assert (first.name, second.name) == ("first", "second")
        self.check(second, x)
        (only,) = open_arrays(tmp_path / "x.npz", member="second")
        self.check(only, x)

    def test_raw(self, tmp_path, x):
        x.tofile(tmp_path / "x.bin")  # in C order
        (stored,) = open_arrays(tmp_path / "x.bin", dtype=x.dtype, shape=x.shape)
        self.check(stored, x)


def test_raw_without_a_shape_has_one_dimension(tmp_path):
    SHAPED.tofile(tmp_path / "x.f32")
    (stored,) = open_arrays(tmp_path / "x.f32", dtype="float32", raw=True)
    assert stored.shape == (24,)


def test_npy_is_mapped_not_read(tmp_path):
    np.save(tmp_path / "x.npy", SHAPED)
    (stored,) = open_arrays(tmp_path / "x.npy")
    piece = next(stored.chunks())
    while not isinstance(piece, np.memmap):
        piece = piece.base  # ends in None, which fails, where nothing is mapped


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "int4"])
def test_ml_dtypes_arrays_are_codes(tmp_path, name):
    x = np.array([1, -2, 3], getattr(ml_dtypes, name))
    codes = x.view(np.uint16 if name == "bfloat16" else np.uint8)
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", x)
    x.tofile(tmp_path / "x.raw")
    for file in ("x.npy", "x.npz", "x.raw"):
        (stored,) = open_arrays(tmp_path / file, dtype=name)
        assert stored.format == fe.dtype(name)
        np.testing.assert_array_equal(elements(stored), codes)
    with pytest.raises(ValueError, match="opaque bytes"):
        open_arrays(tmp_path / "x.npy")


def test_unsigned_integers_may_be_codes(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(5, dtype=np.uint8))
    (stored,) = open_arrays(tmp_path / "x.npy", dtype="e5m2")
    assert stored.format == fe.dtype("float8_e5m2")
    with pytest.raises(ValueError, match=r"the elements are uint8; codes of bfloat16 are uint16"):
        open_arrays(tmp_path / "x.npy", dtype="bfloat16")
    with pytest.raises(ValueError, match=r"the elements are uint8, not float32"):
        open_arrays(tmp_path / "x.npy", dtype="float32")


@pytest.mark.parametrize("x", [np.ones(2, complex), np.array(["a"]), np.zeros(2, "i4,f4"), np.ones(2, "M8[s]")])
def test_only_real_numbers(tmp_path, x):
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(ValueError, match="only real numbers"):
        open_arrays(tmp_path / "x.npy")


def test_nothing_is_unpickled(tmp_path):
    objects = np.array([None, {}], object)
    np.save(tmp_path / "x.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "x.npz", x=objects, allow_pickle=True)
    with pytest.raises(ValueError, match="Python objects"):
        open_arrays(tmp_path / "x.npy")
    with pytest.raises(ValueError, match="only real numbers"):
        open_arrays(tmp_path / "x.npz")


def test_wrong_questions(tmp_path):
    np.save(tmp_path / "x.npy", SHAPED)
    np.savez(tmp_path / "x.npz", a=SHAPED)
    SHAPED.tofile(tmp_path / "x.bin")
    with pytest.raises(ValueError, match=r"only \.npz and \.safetensors files have members"):
        open_arrays(tmp_path / "x.npy", member="a")
    with pytest.raises(ValueError, match="shape is for raw files"):
        open_arrays(tmp_path / "x.npy", shape=(24,))
    with pytest.raises(ValueError, match="no array 'b'; there are a"):
        open_arrays(tmp_path / "x.npz", member="b")
    with pytest.raises(ValueError, match="needs dtype"):
        open_arrays(tmp_path / "x.bin")
    with pytest.raises(ValueError, match=r"holds 24 elements of float32; shape \(5, 5\) has 25"):
        open_arrays(tmp_path / "x.bin", dtype="float32", shape=(5, 5))
    with pytest.raises(ValueError, match="holds 24 elements"):
        open_arrays(tmp_path / "x.bin", dtype="float32", shape=(-1, -24))
    (tmp_path / "odd.bin").write_bytes(b"12345")
    with pytest.raises(ValueError, match="5 bytes are not a whole number of float32"):
        open_arrays(tmp_path / "odd.bin", dtype="float32")


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.bin"])
def test_missing_files_and_folders(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=name):
        open_arrays(tmp_path / name, dtype="float32")
    (tmp_path / name).mkdir()
    with pytest.raises(IsADirectoryError):
        open_arrays(tmp_path / name, dtype="float32")


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
@pytest.mark.parametrize("kept", [0, 4, 30, 100, -9])
def test_truncated_files(tmp_path, name, kept):
    path = tmp_path / name
    (np.save if name == "x.npy" else np.savez)(path, SHAPED)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=f"{name}: not a readable .{name[2:]} file"):
        open_arrays(path)


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_other_files(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x7fELF" + bytes(500))
    with pytest.raises(ValueError, match=f"{name}: not a readable .{name[2:]} file"):
        open_arrays(tmp_path / name)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_damaged_member_is_found_while_reading(tmp_path, save):
    path = tmp_path / "x.npz"
    save(path, x=np.random.default_rng(0).random(1000))
    content = bytearray(path.read_bytes())
    content[4000] ^= 0xFF
    path.write_bytes(content)
    (stored,) = open_arrays(path)
    with pytest.raises(ValueError, match=r"x.npz: not a readable \.npz file"):
        elements(stored, 100)


def test_a_member_shorter_than_its_header_says(tmp_path):
    np.save(tmp_path / "x.npy", SHAPED)
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", (tmp_path / "x.npy").read_bytes()[:-4])
        archive.writestr("notes.txt", "no array")
    with pytest.warns(UserWarning, match=r"x.npz, notes.txt, left out: member 'notes.txt' is not an array"):
        open_arrays(tmp_path / "x.npz")
    with pytest.raises(ValueError, match=r"'notes.txt' is not an array"):
        open_arrays(tmp_path / "x.npz", member="notes.txt")
    (stored,) = open_arrays(tmp_path / "x.npz", member="x")
    with pytest.raises(ValueError, match="'x' ends early"):
        elements(stored)


@pytest.mark.parametrize("x", [SHAPED, np.array(2.5), np.empty((3, 0), np.int16), SHAPED.astype(">f8")])
def test_what_is_written_is_what_numpy_reads(tmp_path, x):
    write_arrays(tmp_path / "x.npy", [outgoing(x)])
    write_arrays(tmp_path / "x.npz", [outgoing(x, "a"), outgoing(x, "b")])
    write_arrays(tmp_path / "x.raw", [outgoing(x)])
    read = np.load(tmp_path / "x.npy")
    assert (read.shape, read.dtype) == (x.shape, x.dtype)
    np.testing.assert_array_equal(read, x)
    with np.load(tmp_path / "x.npz") as archive:
        assert sorted(archive) == ["a", "b"]
        np.testing.assert_array_equal(archive["b"], x)
        assert archive["b"].dtype == x.dtype
    assert (tmp_path / "x.raw").read_bytes() == x.tobytes()
    assert sorted(os.listdir(tmp_path)) == ["x.npy", "x.npz", "x.raw"]


def test_two_arrays_fit_no_npy(tmp_path):
    with pytest.raises(ValueError, match=r"holds one array, not 2; use \.npz"):
        write_arrays(tmp_path / "x.npy", [outgoing(SHAPED), outgoing(SHAPED)])


@pytest.mark.parametrize(
    "stop", [KeyboardInterrupt, OSError(errno.ENOSPC, "No space left on device"), ValueError("bad")]
)
@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.raw"])
@pytest.mark.parametrize("old", [None, b"what was there"])
def test_a_file_is_written_whole_or_not_at_all(tmp_path, name, stop, old):
    if old:
        (tmp_path / name).write_bytes(old)

    def chunks():
        yield np.ones(3)
        raise stop

    with pytest.raises(stop if isinstance(stop, type) else type(stop)):
        write_arrays(tmp_path / name, [Outgoing("x", (6,), np.dtype("float64"), chunks())])
    assert os.listdir(tmp_path) == ([name] if old else [])
    assert not old or (tmp_path / name).read_bytes() == old


def test_a_full_disk_at_the_very_end(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_arrays(tmp_path / "x.npy", [outgoing(SHAPED)])
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_devices_are_written_to_and_stay_devices():
    with pytest.raises(OSError, match="No space left"):
        write_arrays("/dev/full", [outgoing(SHAPED)])
    write_arrays("/dev/null", [outgoing(SHAPED)])
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_places_that_cannot_be_written(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent: no such folder"), replacing(tmp_path / "absent" / "x"):
        pass
    with pytest.raises(IsADirectoryError), replacing(tmp_path):
        pass


def test_permissions_and_links_are_kept(tmp_path):
    real = tmp_path / "real"
    real.write_bytes(b"old")
    real.chmod(0o640)
    (tmp_path / "link").symlink_to(real)
    with replacing(tmp_path / "link") as stream:
        stream.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert real.read_bytes() == b"new"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    with replacing(tmp_path / "fresh"):
        pass
    (tmp_path / "plain").touch()
    assert (tmp_path / "fresh").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_input_and_output_may_be_the_same_file(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, SHAPED)
    (stored,) = open_arrays(path)
    doubled = (2 * piece for piece in stored.chunks(5))
    write_arrays(path, [Outgoing("", stored.shape, stored.dtype, doubled)])
    np.testing.assert_array_equal(np.load(path), 2 * SHAPED)

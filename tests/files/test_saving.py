"""save and load: formats and profiles come back, other programs read the codes, damage is named."""

from __future__ import annotations

import io
import json

import ml_dtypes
import numpy as np
import pytest

import fpemu as fe
from fpemu.files.data_files import open_arrays
from fpemu.files.safetensors import TYPE_BITS, WORD_FORMATS
from fpemu.formats import serialize as portable
from fpemu.verification import vectors
from tests.cases.families import small_formats

# safetensors' words for types of whole bytes
BYTE_WORDS = {word: name for word, name in WORD_FORMATS.items() if TYPE_BITS[word] >= 8}

KINDS = [".npz", ".safetensors"]
MINE = fe.FloatFormat(
    "mine", 11, 4, bias=-3, infinities=False, nan="none", profile=fe.Profile("p", overflow="saturate")
)
TABLE = fe.TableFormat("table", [-0.0, 0.1, 1e-300, -7.0])
RULES = fe.Profile("rules", rounding=fe.Stochastic("B", 7), nan_code=0x7F)
ARRAYS = {
    "e4m3": fe.array([[1.0, -448.0, np.nan], [0.3, -0.0, 1e9]], "float8_e4m3fn", profile="torch"),
    "mine": fe.array([1.0, 3.3], MINE),
    "table": fe.Array([0, 1, 2, 3], TABLE),
    "rules": fe.Array([1, 2], "float8_e5m2", RULES),
    "bits": fe.Array([1, 0, 1], "uint1"),
    "whole": fe.Array(np.array([2**64 - 1], np.uint64), "uint64"),
    "fraction": fe.Array([0x8001], "q3.12"),
    "zero-dimensional": fe.array(2.0, "bfloat16"),
    "layer.0.weight": fe.Array(np.zeros((3, 0), np.uint8), "int4"),
    "transposed": fe.array(np.arange(6.0).reshape(2, 3), "float16").T,
    "float32": np.arange(3, dtype=np.float32),
    "swapped": np.arange(3, dtype=">i8"),
    "truth": np.array([[True], [False]]),
    "a scalar": np.float64(0.1),
    "fortran": np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
    "list": [1, 2],
}


def check_same(found, expected):
    if isinstance(expected, fe.Array):
        assert isinstance(found, fe.Array)
        assert found.format == expected.format
        assert found.format.name == expected.format.name
        assert found.profile == expected.profile
        assert found.profile.name == expected.profile.name
        found, expected = found.codes, expected.codes
    expected = np.asarray(expected)
    assert found.dtype == expected.dtype.newbyteorder("=")
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_back(kind, tmp_path):
    path = tmp_path / f"x{kind}"
    fe.save(path, **ARRAYS)
    found = fe.load(path)
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        check_same(found[name], array)
    first = path.read_bytes()
    fe.save(path, **ARRAYS)
    assert path.read_bytes() == first  # equal arrays, equal files
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert found["mine"].codes.flags.writeable
    fe.save(path)
    assert fe.load(path) == {}


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_of_other_libraries(kind, tmp_path):
    path = tmp_path / f"x{kind}"
    x = np.array([1.0, 2.0], ml_dtypes.bfloat16)
    fe.save(path, x=x)
    check_same(fe.load(path)["x"], fe.asarray(x))


def test_every_kind_of_format():
    formats = [*small_formats((2, 3)), *map(fe.dtype, fe.dtypes()), MINE, TABLE]
    formats += [fe.IntFormat("i", 5, fraction_bits=-2, symmetric=True), fe.IntFormat("s", 5, encoding="sign_magnitude")]
    for fmt in formats:
        back = portable.format_from(json.loads(json.dumps(portable.format_of(fmt))))
        assert back == fmt
        assert back.name == fmt.name
        assert type(back) is type(fmt)


def test_every_kind_of_profile():
    rows = ((("float", 8), (("rounding", fe.Rounding.TO_ODD), ("overflow", "nan"))), ("int", (("nan_code", 3),)))
    rows += (("table", (("rounding", fe.Stochastic("C", 3)),)),)
    for profile in (*map(fe.profile, fe.profile_names()), RULES, fe.Profile("rows", rows=rows)):
        back = portable.profile_from(json.loads(json.dumps(portable.profile_of(profile))))
        assert back == profile
        assert back.name == profile.name


def test_numpy_reads_the_codes(tmp_path):
    fe.save(tmp_path / "x.npz", **ARRAYS)
    with np.load(tmp_path / "x.npz") as file:
        np.testing.assert_array_equal(file["mine.codes"], ARRAYS["mine"].codes)
        assert json.loads(file["mine.format"].tobytes())["format"]["name"] == "mine"
        np.testing.assert_array_equal(file["float32"], ARRAYS["float32"])
    np.savez(tmp_path / "y.npz", x=np.arange(3), **{"x.codes": np.arange(2), "y.format": np.arange(2)})
    assert list(fe.load(tmp_path / "y.npz")) == ["x", "x.codes", "y.format"]  # no codes of ours


def test_safetensors_types(tmp_path):
    """The bytes by hand: the header's length, the header, the elements, aligned and without gaps."""
    path = tmp_path / "x.safetensors"
    arrays = {name: fe.Array([1, 2], fmt) for name, fmt in BYTE_WORDS.items()}
    fe.save(path, odd=fe.Array([1, 2, 3], "int4"), **arrays)
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    assert length % 8 == 0
    header = json.loads(data[8 : 8 + length])
    assert header["odd"]["dtype"] == "U8"
    assert set(json.loads(header.pop("__metadata__")["fpemu"])) == {"odd", *BYTE_WORDS}
    end = 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        size = (entry["data_offsets"][1] - entry["data_offsets"][0]) // entry["shape"][0]
        assert entry["data_offsets"][0] == end
        assert end % size == 0
        assert entry["dtype"] == (name if name in BYTE_WORDS else "U8")
        end = entry["data_offsets"][1]
        codes = np.frombuffer(data[8 + length :][slice(*entry["data_offsets"])], f"<u{size}")
        assert codes.tolist() == [1, 2, 3][: entry["shape"][0]]
    assert len(data) == 8 + length + end


def test_safetensors_of_others(tmp_path):
    """What another program wrote has no descriptions: numpy arrays, and Arrays where numpy has no dtype."""
    path = tmp_path / "x.safetensors"
    header = {
        "a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]},
        "b": {"dtype": "I32", "shape": [1, 1], "data_offsets": [4, 8]},
        "c": {"dtype": "BOOL", "shape": [], "data_offsets": [8, 9]},
        "__metadata__": {"format": "pt"},
    }
    write(path, header, b"\x80\x3f\x00\x40\xfe\xff\xff\xff\x01")
    found = fe.load(path)
    check_same(found["a"], fe.array([1.0, 2.0], "bfloat16"))
    check_same(found["b"], np.array([[-2]], np.int32))
    check_same(found["c"], np.array(True))


def test_safetensors_itself(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "x.safetensors"
    readable = {name: array for name, array in ARRAYS.items() if name not in ("e4m3", "rules", "zero-dimensional")}
    fe.save(path, **readable)  # its numpy side has no fp8 and bfloat16
    found = safetensors.load_file(path)
    assert set(found) == set(readable)
    np.testing.assert_array_equal(found["float32"], ARRAYS["float32"])
    np.testing.assert_array_equal(found["mine"], ARRAYS["mine"].codes)
    np.testing.assert_array_equal(found["transposed"], ARRAYS["transposed"].values)
    safetensors.save_file({"x": np.arange(6, dtype=np.float16).reshape(2, 3)}, path)
    check_same(fe.load(path)["x"], np.arange(6, dtype=np.float16).reshape(2, 3))


def write(path, header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def test_damaged_files(tmp_path):
    path = tmp_path / "x.safetensors"
    entry = {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}
    for header, data, match in (
        (b"{", b"", "damaged"),
        (b"[1]", b"", "damaged"),
        ({"a": {**entry, "dtype": "F2"}}, b"1234", "elements of type 'F2'"),
        ({"a": entry}, b"123", "are not at bytes 0 to 4"),
        ({"a": {**entry, "shape": [5]}}, b"12345", "are not at bytes"),
        ({"a": {**entry, "data_offsets": [-4, 0]}}, b"1234", "are not at bytes"),
        ({"a": {"shape": [4]}}, b"1234", "damaged"),
        ({"a": entry, "__metadata__": {"fpemu": '{"a": {"version": 1}}'}}, b"1234", "damaged"),
        ({"a": entry, "__metadata__": {"fpemu": '{"a": {"version": 2}}'}}, b"1234", "version 2"),
    ):
        write(path, header, data)
        with pytest.raises(ValueError, match=match):
            fe.load(path)
    for data in (b"", b"123", (1 << 62).to_bytes(8, "little") + b"{}"):
        path.write_bytes(data)
        with pytest.raises(ValueError, match="header does not fit"):
            fe.load(path)
    archive = tmp_path / "x.npz"
    archive.write_bytes(b"no archive")
    with pytest.raises(ValueError, match="not a readable"):
        fe.load(archive)
    np.savez(archive, **{"a.codes": np.arange(3), "a.format": np.arange(3)})
    with pytest.raises(ValueError, match="damaged"):
        fe.load(archive)
    fe.save(archive, a=fe.Array([1], "int4"))
    with np.load(archive) as file:
        members = dict(file)
    np.savez(archive, **{**members, "a.codes": np.array([16], np.uint8)})
    with pytest.raises(ValueError, match="out of range"):
        fe.load(archive)


def test_what_is_refused(tmp_path):
    a = fe.array([1.0], "bfloat16")
    for call, error, match in (
        (lambda: fe.save(tmp_path / "x.npy", a=a), ValueError, r"must be \.npz or \.safetensors, not '\.npy'"),
        (lambda: fe.load(tmp_path / "x"), ValueError, "must be"),
        (lambda: fe.save(tmp_path / "x.npz", a=a, **{"a.codes": [1]}), ValueError, "a.codes"),
        (lambda: fe.save(tmp_path / "x.npz", a="text"), ValueError, "is not a number"),
        (lambda: fe.save(tmp_path / "x.safetensors", __metadata__=a), ValueError, "__metadata__"),
        (lambda: fe.save(tmp_path / "no" / "x.npz", a=a), FileNotFoundError, "no such folder"),
        (lambda: fe.load(tmp_path / "x.safetensors"), FileNotFoundError, "x.safetensors"),
        (lambda: portable.format_from({"kind": "float"}), ValueError, "not a format's parameters"),
        (lambda: portable.profile_from({"rows": [], "knob": 3}), ValueError, "not a profile's knobs"),
    ):
        with pytest.raises(error, match=match):
            call()
    assert list(tmp_path.iterdir()) == []


# Names that some kind of file cannot have, or reads as another's; and some that all can
NAMES = [
    *("a\0b", "\0", "a\ud800", "n" * 70_000, "", "a/", "/abs", "../x", "a\\b", "a.npy", ".", "ä 名", "__metadata__"),
    *("fpemu", "a.codes", "a.format", "a.scales", "a.codes.codes", "a\nb"),
]  # fmt: skip


def told_by(call):
    """The text of a ValueError, or nothing."""
    try:
        call()
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("others", [[], ["a"], ["a.format"], ["a.codes", "a"], ["a.scales"]], ids=str)
def test_a_name_comes_back_or_is_refused(kind, others, tmp_path):
    """What save writes load reads, every array under its own name; else there is no file."""
    plain, path = np.arange(4, dtype=np.uint8), tmp_path / f"x{kind}"
    written = 0
    for name in NAMES:
        for value in (plain, fe.array([1.0, 2.0], "bfloat16"), fe.quantize(np.ones(32), "mxfp4")):
            given = {**dict.fromkeys(others, plain), name: value}
            path.unlink(missing_ok=True)
            told = told_by(lambda given=given: fe.save(path, **given))
            if told:
                assert len(told) <= 300, name
                assert "encode" not in told
                assert list(tmp_path.iterdir()) == [], name
                continue
            written += 1
            found = fe.load(path)
            assert set(found) == set(given), name
            for one in given:
                assert type(found[one]) is type(given[one]), (name, one)
    assert written > 20


@pytest.mark.parametrize("call", [lambda path: fe.save(path, x=[1]), fe.load, vectors.read, open_arrays])
def test_what_is_no_path(call, tmp_path):
    for path, error in (
        *((wrong, TypeError) for wrong in (3, None, b"x.npz", io.BytesIO(), ["x.npz"], tmp_path.name.encode())),
        *((wrong, ValueError) for wrong in ("", "a\0b.npz")),
    ):
        with pytest.raises(error) as caught:
            call(path)
        assert str(caught.value).startswith(
            repr(path) if error is ValueError else "path must be a str or a pathlib.Path"
        )


def test_save_takes_arrays_by_name(tmp_path):
    """Other libraries take a dict, or arrays without names; the error says how they are written here."""
    arrays, path = {"w": np.ones(2)}, tmp_path / "x.npz"
    for unnamed in (arrays, arrays["w"]):
        with pytest.raises(TypeError, match=r"of a dict, fe\.save\(path, \*\*arrays\)"):
            fe.save(path, unnamed)
    fe.save(path, **arrays)
    assert list(fe.load(path)) == ["w"]
    with pytest.raises(ValueError, match="max_bytes must be 0 or more, not -1"):
        fe.load(path, max_bytes=-1)

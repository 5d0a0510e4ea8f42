"""Quantized arrays stored: packed tight and unpacked, saved and loaded; nothing is lost."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest

import fpemu as fe
from fpemu.quantization.definition.tool_profiles import PROFILES, scale_profile
from fpemu.quantization.quantized import Packed, Quantized
from fpemu.quantization.serialize import scheme_from, scheme_of

X = np.random.default_rng(3).standard_t(3, size=(6, 640)).astype(np.float32)
BOOK = fe.TableFormat("a book", [-1.0, -0.25, 0.0, 0.125, 1.0])
OWN = [
    fe.ScaledFormat("e2m3", 7, "ue4m3", fe.ScaleRule("own", divisor=3.25, rounding="away_from_zero")),
    fe.ScaledFormat(fe.FloatFormat("odd", 7, 4, bias=-3, nan="none", infinities=False), (2, 5), "bfloat16", axis=-1),
    fe.ScaledFormat(BOOK, 16, "float16", second_level="bfloat16", name="with a book"),
    fe.ScaledFormat("uint3", 5, "float32", "minmax", -1, "uint3", name="threes"),
    fe.ScaledFormat("int5", "row", "bfloat16", "minmax", 0, "int32"),
    fe.ScaledFormat("int6", "channel", zero_point="int6", axis=0, profile="torch"),
    fe.ScaledFormat("uint6", 3, zero_point=11),
    fe.ScaledFormat("int8", 32, second_level=fe.ScaledFormat("float8_e5m2", 50, "e8m0", "floor", name="inner")),
    fe.scheme("mxfp4").replace(profile=scale_profile("torchao").replace(rounding="toward_zero")),
    fe.scheme("int8_group").replace(profile="torchao-0.18-no_clipping"),
]


def quantized():
    found = {scheme.name: fe.quantize(X, scheme, pad=True) for scheme in fe.schemes()}
    for k, scheme in enumerate(OWN):
        found[f"own {k}"] = fe.quantize(X, scheme, pad=True)
    nested = found["bnb_nf4"]
    small = fe.quantize(X[:, :1].copy(), "uint4_asym_group1", axis=0)
    return found | {
        "bnb's": fe.quantize(X, "bnb_nf4", profile="bitsandbytes"),
        "level": nested.second_scale,
        "part": fe.quantize(np.tile(X[:, :256], 64), "bnb_fp4")[1:3],
        "row": found["int5_group64" if "int5_group64" in found else "int8_channel"][2],
        "column": found["mxfp8_e4m3"][:, 32:96],
        "zero-dimensional": fe.quantize(np.float32(3), "zeropoint_int4"),
        "narrow": small,
        "empty": found["mxfp4"][:0],
        "empty nested": nested[:0],
        "no zero": fe.quantize(np.zeros((2, 16), np.float32), "nvfp4"),
        "lost": fe.quantize(np.float32([np.nan] * 16), "nvfp4"),
    }


@pytest.fixture(scope="module")
def arrays():
    return quantized()


def check_same(found, expected):
    assert isinstance(found, Quantized)
    assert found.scheme == expected.scheme
    assert found.scheme.name == expected.scheme.name
    assert found.layout == expected.layout
    for part in ("codes", "scales", "zero_points"):
        got, want = getattr(found, part), getattr(expected, part)
        assert (got is None) == (want is None)
        if want is not None:
            assert (got.dtype, got.shape) == (want.dtype, want.shape)
            np.testing.assert_array_equal(got, want)
    np.testing.assert_equal(found.offset, expected.offset)
    if isinstance(expected.second_scale, Quantized):
        check_same(found.second_scale, expected.second_scale)
    else:
        np.testing.assert_equal(found.second_scale, expected.second_scale)


# -- packed -----------------------------------------------------------------------------------------------------------


def bytes_of(packed):
    """Of all that is stored once: a packed second level has the scales as its elements."""
    total = sum(part.nbytes for part in packed[:3] if part is not None)
    if isinstance(packed.second_scale, Packed):
        total += bytes_of(packed.second_scale) - packed.second_scale.elements.nbytes
    elif packed.second_scale is not None:
        total += packed.scheme.second_level.bits // 8
    return total + 4 * (packed.offset is not None)


def test_packed_and_back(arrays):
    for name, q in arrays.items():
        for order in ("low_first", "high_first"):
            packed = q.pack(order)
            assert bytes_of(packed) == packed.nbytes == q.nbytes, name
            check_same(packed.unpack(), q)
    assert {scheme.name for scheme in fe.schemes()} <= set(arrays)


def test_bytes_by_hand():
    q = fe.quantize(X, "uint4_asym_group32")
    assert (q.nbytes, q.bits_per_element) == (6 * 640 // 2 + 120 * 4 + 60, 4 + 36 / 32)
    q = fe.quantize(X[:, :33].copy(), "uint3_asym_row")  # 99 bits in each row, 18 bits of zero points
    assert q.nbytes == 6 * 13 + 6 * 4 + 3
    q = fe.quantize(X[:, :64].copy(), "nf4")
    assert q.nbytes == 6 * 32 + 6 * 4


def test_zero_points_are_packed():
    x = np.float32([[-1, 14], [-15, 0], [0, 15], [-3, 12], [-8, 7]])
    q = fe.quantize(x, "uint4_asym_row")
    assert q.zero_points.ravel().tolist() == [1, 15, 0, 3, 8]
    assert q.pack().zero_points.tolist() == [0xF1, 0x30, 0x08]
    assert q.pack("high_first").zero_points.tolist() == [0x1F, 0x03, 0x80]
    signed = fe.quantize(x, "int4_asym_row")
    assert signed.zero_points.ravel().tolist() == [-7, 7, -8, -5, 0]
    assert signed.pack().zero_points.tolist() == [0x79, 0xB8, 0x00]
    wide = fe.quantize(x, fe.ScaledFormat("uint4", "row", "float32", "minmax", zero_point="int32"))
    assert wide.pack().zero_points.view("<i4").tolist() == [1, 15, 0, 3, 8]


def test_zero_points_that_do_not_fit():
    q = fe.quantize(np.float32([[1, np.nan], [0, 1]]), "uint4_asym_row", profile="torchao")
    with pytest.raises(ValueError, match="the zero point -2147483648 of a block does not fit uint4"):
        q.pack()
    with pytest.raises(ValueError, match="packed must have shape"):
        fe.quantize(X, "mxfp4").pack()._replace(elements=np.zeros(3, np.uint8)).unpack()


# -- in files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [".npz", ".safetensors"])
def test_saved_and_back(kind, arrays, tmp_path):
    path = tmp_path / f"x{kind}"
    nan = fe.quantize(np.float32([[1, np.nan], [0, 1]]), "uint4_asym_row", profile="torchao")
    many = {**arrays, "nan": nan, "plain": np.arange(3), "an array": fe.array([1.0], "e4m3")}
    fe.save(path, **many)
    found = fe.load(path)
    assert list(found) == list(many)
    for name, q in many.items():
        if isinstance(q, Quantized):
            check_same(found[name], q)
            np.testing.assert_array_equal(found[name].dequantize(), q.dequantize())
    assert found["plain"].tolist() == [0, 1, 2]
    assert found["an array"].format == fe.dtype("e4m3")
    first = path.read_bytes()
    fe.save(path, **found)
    assert path.read_bytes() == first


def test_files_have_the_bytes_that_quantized_arrays_count(arrays, tmp_path):
    """Of everything but descriptions; in safetensors' own words for the parts."""
    for name, q in arrays.items():
        fe.save(tmp_path / "x.npz", q=q)
        with np.load(tmp_path / "x.npz") as file:
            stored = sum(file[member].nbytes for member in file.files if member != "q.format")
            data = json.loads(file["q.format"].tobytes())
        assert data["version"] == 2
        beside = [x for x in (data["offset"], data["second_scale"]) if x is not None]  # numbers of the description
        second = q.scheme.second_level.bits // 8 if isinstance(q.second_scale, float) else 4
        assert stored + second * len(beside) == q.nbytes, name
    q = fe.quantize(X[:2, :64].copy(), "uint4_asym_group32")
    fe.save(tmp_path / "x.npz", q=q)
    with np.load(tmp_path / "x.npz") as file:
        np.testing.assert_array_equal(file["q.codes"], q.codes[:, ::2] | q.codes[:, 1::2] << 4)
        points = q.zero_points.reshape(-1)
        np.testing.assert_array_equal(file["q.zero_points"], points[::2] | points[1::2] << 4)


@pytest.mark.parametrize("kind", [".npz", ".safetensors"])
def test_damaged_parts(kind, tmp_path):
    """A file whose parts do not fit each other is a ValueError, whatever part it is."""
    q = fe.quantize(X, "uint4_asym_group32")
    path = tmp_path / f"x{kind}"
    fe.save(path, q=q)
    good = path.read_bytes()
    for old, new in (
        ('"shape": [6, 640], "steps"', '"shape": [6, 642], "steps"'),
        ('"steps": [1, 32]', '"steps": [1, 16]'),
        ('"steps": [1, 32]', '"steps": [1,0.5]'),
        ('"packed": ["codes", "zero_points"]', '"packed": ["codes", "zero_pointz"]'),
        ('"packed": ["codes", "zero_points"]', '"packed": ["kodes", "zero_points"]'),
        ('"version": 2', '"version": 3'),
    ):
        texts = [text if kind == ".npz" else text.replace('"', '\\"') for text in (old, new)]
        bad = good.replace(*(text.encode() for text in texts))
        assert bad != good
        if kind == ".npz":  # whose checksums would tell
            with zipfile.ZipFile(io.BytesIO(good)) as archive, zipfile.ZipFile(path, "w") as target:
                for name in archive.namelist():
                    target.writestr(name, archive.read(name).replace(old.encode(), new.encode()))
        else:
            path.write_bytes(bad)
        with pytest.raises(ValueError, match=r"packed|blocks|zero points|version|damaged|u?int"):
            fe.load(path)


def test_others_read_the_parts(tmp_path):
    q = fe.quantize(X, "mxfp8_e4m3")
    fe.save(tmp_path / "x.npz", q=q)
    with np.load(tmp_path / "x.npz") as file:
        np.testing.assert_array_equal(file["q.codes"], q.codes)
        np.testing.assert_array_equal(file["q.scales"], q.scales)
        assert json.loads(file["q.format"].tobytes())["scheme"]["element"]["name"] == "float8_e4m3fn"
    fe.save(tmp_path / "x.safetensors", q=q)
    data = (tmp_path / "x.safetensors").read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert {name: entry["dtype"] for name, entry in header.items() if name != "__metadata__"} == {
        "q": "F8_E4M3",
        "q.scales": "F8_E8M0",
    }


@pytest.mark.parametrize("kind", [".npz", ".safetensors"])
def test_bad_files(kind, tmp_path):
    q = fe.quantize(X, "mxfp4")
    path = tmp_path / f"x{kind}"
    with pytest.raises(ValueError, match=r"two arrays would be written as q\.scales"):
        fe.save(path, q=q, **{"q.scales": np.arange(3)})
    with pytest.raises(TypeError, match="a Packed is not saved"):
        fe.save(path, q=q.pack())
    assert not path.exists()
    fe.save(path, q=Quantized._of(q.scheme, q.codes, q.scales[:1], None, None, q.layout))  # unchecked
    with pytest.raises(ValueError, match="do not fit blocks"):
        fe.load(path)
    fe.save(path, q=fe.quantize(X, "zeropoint_uint8"))
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"parts": ["scales", "zero_points"]', b'"parts": ["scales", "other_parts"]'))
    path.write_bytes(path.read_bytes().replace(rb"\"parts\": [\"scales\"", rb"\"parts\": [\"scalez\""))
    with pytest.raises(ValueError, match=r"damaged|not a readable"):
        fe.load(path)


def test_schemes_as_data():
    for scheme in (*OWN, *fe.schemes(), *(fe.scheme("mxfp4").replace(profile=name) for name in ("torchao", "gfloat"))):
        back = scheme_from(json.loads(json.dumps(scheme_of(scheme))))
        assert back == scheme
        assert (back.name, back.profile.name) == (scheme.name, scheme.profile.name)
        assert repr(back) == repr(scheme)
        assert back.own_profile == scheme.own_profile
    for name in PROFILES:
        scheme = next(found for found in fe.schemes() if name in found.profiles())
        changed = scheme.replace(profile=name)
        assert scheme_from(json.loads(json.dumps(scheme_of(changed)))) == changed
    data = scheme_of(fe.scheme("mxfp4"))
    for wrong in ({**data, "blocks": 3}, {word: part for word, part in data.items() if word != "profile"}, {}):
        with pytest.raises(ValueError, match="not a scheme's parameters"):
            scheme_from(wrong)


# -- one for each element ---------------------------------------------------------------------------------------------


def test_spread(arrays):
    for name in (
        "uint4_asym_group",
        "zeropoint_int8",
        "int8_asym_channel",
        "gguf_q4_0",
        "own 3",
        "column",
        "nvfp4_tile",
    ):
        q = arrays[name]
        scales = q.spread(q.scale_values).astype(np.float64) * (q.second_scale or 1)
        zeros = 0 if q.zero_points is None else q.spread(q.zero_points)
        np.testing.assert_array_equal(((q.elements - zeros) * scales).astype(np.float32), q.dequantize())
    q = arrays["mxfp8_e4m3"]
    assert q.spread(q.scales)[3, 63] == q.scales[3, 1]
    assert q.spread(2.5).shape == q.shape
    with pytest.raises(ValueError, match=r"shape \(3,\) does not fit blocks of shape \(6, 20\)"):
        q.spread([1, 2, 3])
    with pytest.raises(ValueError, match="read-only"):
        q.spread(q.scales)[0, 0] = 1
    q.scales[0, 0] += 0  # the scales themselves stay as they were

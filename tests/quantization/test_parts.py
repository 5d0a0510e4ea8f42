"""Quantized arrays from their parts: what is right comes back to the bit, and each wrong part is an error."""

from __future__ import annotations

import copy
import pickle

import ml_dtypes
import numpy as np
import pytest

import fpemu as fe
from tests.quantization.test_stored import check_same, quantized

X = np.random.default_rng(5).standard_t(3, size=(4, 128)).astype(np.float32)


@pytest.fixture(scope="module")
def arrays():
    return quantized()


def from_parts(q, **changes):
    """A quantized array through its parts; where scales are quantized themselves, those too."""
    second = q.second_scale
    if isinstance(second, fe.Quantized):
        second = from_parts(second)
    parts = {"codes": q.codes, "scales": q.scales, "zero_points": q.zero_points, "second_scale": second}
    if q.offset is not None:
        parts["second_scale"] = q.offset
    return fe.Quantized.from_parts(q.scheme, **{**parts, **changes})


def is_whole(name):
    """Whether an array has its scheme's own blocks; a row or a column of another has its axes no more."""
    return name not in ("row", "narrow")


def test_what_quantize_gives_comes_back(arrays):
    for name, q in arrays.items():
        check_same(
            fe.Quantized(q.scheme, q.codes, q.scales, q.zero_points, q.second_scale, q.layout, q.offset),
            q,
        )
        if is_whole(name):
            found = from_parts(q)
            check_same(found, q)
            np.testing.assert_array_equal(found.dequantize(), q.dequantize())
            assert np.shares_memory(found.codes, q.codes) or not q.size


@pytest.mark.parametrize("order", ["low_first", "high_first"])
@pytest.mark.parametrize("word_bits", [8, 16, 32, 64])
def test_packed_words(word_bits, order):
    for scheme in ("mxfp4", "int3_asym_group8", "mxfp6_e2m3", "int8_group", "uint5_group32"):
        q = fe.quantize(X, scheme)
        words = fe.pack(q.codes, q.scheme.element, order=order, word_bits=word_bits)
        how = {"codes": None, "shape": q.shape, "order": order, "word_bits": word_bits}
        for given in (words, words.view(f"i{word_bits // 8}"), words.astype(words.dtype.newbyteorder(">"))):
            check_same(from_parts(q, packed=given, **how), q)
            check_same(from_parts(q, packed=np.asfortranarray(given), **how), q)


def test_packed_by_hand():
    """The words of a GPTQ-like file: low first, sign in the int32's own sign bit."""
    found = fe.Quantized.from_parts(
        "uint4_asym_group8",
        packed=np.int32([[-0x01234568]]),  # 0xFEDCBA98
        scales=np.float32([[0.5]]),
        zero_points=[[8]],
        shape=(1, 8),
        word_bits=32,
    )
    assert found.elements.tolist() == [[8, 9, 10, 11, 12, 13, 14, 15]]
    assert found.dequantize().tolist() == [[0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5]]
    with pytest.raises(TypeError, match="packed must be of dtype uint32, not uint8"):
        fe.Quantized.from_parts("mxfp4", packed=np.zeros(16, np.uint8), scales=[1.0], shape=32, word_bits=32)


def test_codes_keep_the_schemes_own_dtype():
    """uint16 codes of a 4-bit scheme gave wrong numbers."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 16, (8, 1024))
    right = fe.Quantized.from_parts("mxfp4", codes=codes.astype(np.uint8), scales=np.full((8, 32), 127, np.uint8))
    for dtype in (np.uint16, np.uint32, np.uint64, np.int8, np.int64, ">u2"):
        found = fe.Quantized.from_parts("mxfp4", codes=codes.astype(dtype), scales=np.full((8, 32), 127, np.uint16))
        assert found.codes.dtype == found.scales.dtype == np.uint8
        np.testing.assert_array_equal(found.dequantize(), right.dequantize())
        again = fe.Quantized(found.scheme, codes.astype(dtype), found.scales, None, None, found.layout)
        assert again.codes.dtype == np.uint8
    assert fe.Quantized.from_parts("mxfp4", codes=codes.tolist(), scales=right.scales).codes.dtype == np.uint8


def test_codes_of_the_elements_own_dtype():
    for scheme, dtype in (("mxfp4", "float4_e2m1fn"), ("mxfp8_e4m3", "float8_e4m3fn"), ("int4_group", "int4")):
        q = fe.quantize(X, scheme)
        own = q.codes.view(getattr(ml_dtypes, dtype))
        check_same(from_parts(q, codes=own), q)
        check_same(from_parts(q, codes=(q.codes | 0xF0).view(own.dtype) if dtype != "float8_e4m3fn" else own), q)
        check_same(from_parts(q, codes=fe.Array(q.codes, q.scheme.element)), q)
    q = fe.quantize(X, "int8_group")
    check_same(from_parts(q, codes=q.elements), q)  # int8
    q = fe.quantize(X, "mxfp8_e4m3")
    check_same(from_parts(q, scales=q.scales.view(ml_dtypes.float8_e8m0fnu)), q)
    check_same(from_parts(q, scales=q.scale_values), q)
    check_same(from_parts(q, scales=q.scale_values.astype(np.float64).tolist()), q)


def test_scales_that_quantize_would_not_give():
    codes = np.uint8([1, 15])
    for scale in (0.0, -0.5, -0.0, np.inf, np.nan):
        found = fe.Quantized.from_parts("int4_row", codes=codes, scales=np.float32([scale]))
        with np.errstate(invalid="ignore"):
            np.testing.assert_array_equal(found.dequantize(), np.float32([1, -1]) * np.float32(scale))
    affine = fe.ScaledFormat("uint4", "row", "bfloat16", "minmax", zero_point="uint4")
    found = fe.Quantized.from_parts(affine, codes=codes, scales=[-0.5], zero_points=[3])
    assert found.dequantize().tolist() == [1, -6]
    for scale in (0.0, -1.0):  # E8M0 has neither
        with pytest.raises(ValueError, match=f"scales: {scale} is not a value of float8_e8m0fnu"):
            fe.Quantized.from_parts("mxfp4", codes=codes, scales=[scale])


def test_zero_points_that_no_number_depends_on(tmp_path):
    q = fe.quantize(np.float32([[1, np.nan], [0, 1]]), "uint4_asym_row", profile="torchao")
    assert q.zero_points.min() < 0
    check_same(from_parts(q), q)
    with pytest.raises(ValueError, match="the zero point -2147483648 of a block is not 0 to 15"):
        from_parts(q, scales=[[1.0], [1.0]])


def int4(**changes):
    parts = {
        "codes": np.zeros((2, 8), np.uint8),
        "scales": np.ones((2, 2), np.float32),
        "zero_points": [[1, 2], [3, 4]],
    }
    return fe.Quantized.from_parts("uint4_asym_group4", **{**parts, **changes})


def nvfp4(**changes):
    parts = {"codes": np.zeros(32, np.uint8), "scales": np.uint8([56, 56]), "second_scale": 1.0}
    return fe.Quantized.from_parts("nvfp4", **{**parts, **changes})


def nested(**changes):
    scheme = fe.scheme("bnb_nf4")
    codes = np.zeros(2, np.uint8)
    level = fe.Quantized.from_parts(scheme.nested, codes=codes, scales=[2.0], second_scale=0.5)
    parts = {"codes": np.zeros(128, np.uint8), "scales": codes, "second_scale": level}
    return fe.Quantized.from_parts(scheme, **{**parts, **changes})


def test_the_parts_of_the_errors_below_are_right():
    assert int4().shape == (2, 8)
    assert nvfp4().dequantize().tolist() == [0.0] * 32
    assert nested().second_scale.offset == 0.5


WRONG = [
    (lambda: int4(codes=np.full((2, 8), 16, np.uint8)), ValueError, "codes: code 0x10 is out of range"),
    (lambda: int4(codes=np.full((2, 8), 1 << 40)), ValueError, "out of range"),
    (lambda: int4(codes=np.full((2, 8), -1)), ValueError, "out of range"),
    (
        lambda: int4(codes=np.zeros((2, 8), np.float32)),
        TypeError,
        "codes of uint4 must be unsigned integers, not float32",
    ),
    (lambda: int4(codes=np.zeros((2, 8), bool)), TypeError, "not bool"),
    (lambda: int4(codes=fe.array(np.zeros((2, 8)), "int4")), ValueError, "an Array of int4, not of uint4"),
    (lambda: int4(codes=None), ValueError, "either codes or packed"),
    (lambda: int4(packed=np.zeros((2, 4), np.uint8)), ValueError, "either codes or packed"),
    (lambda: int4(codes=None, packed=np.zeros((2, 4), np.uint8)), ValueError, "packed needs shape"),
    (
        lambda: int4(codes=None, packed=np.zeros((2, 3), np.uint8), shape=(2, 8)),
        ValueError,
        r"must have shape \(2, 4\)",
    ),
    (lambda: int4(codes=None, packed=np.zeros((2, 4)), shape=(2, 8)), TypeError, "dtype uint8, not float64"),
    (lambda: int4(codes=None, packed=np.zeros((2, 4), np.uint8), shape=(2, 8), word_bits=24), ValueError, "word_bits"),
    (lambda: int4(codes=None, packed=np.zeros((2, 4), np.uint8), shape=(2, 8), order="low"), ValueError, "order"),
    (lambda: int4(codes=None, packed=np.zeros((2, 4), np.uint8), shape=(2, -8)), ValueError, "negative"),
    (lambda: int4(codes=None, packed=np.zeros((2, 4), np.uint8), shape=(2, 8.0)), TypeError, "shape must be"),
    (lambda: int4(shape=(8, 2)), ValueError, r"codes are of shape \(2, 8\), not \(8, 2\)"),
    (lambda: int4(scales=np.ones((2, 3), np.float32)), ValueError, r"scales of shape \(2, 3\) do not fit blocks"),
    (lambda: int4(scales=np.float32(1)), ValueError, "do not fit blocks"),
    (lambda: int4(scales=np.ones((2, 2)) / 3), ValueError, "is not a value of float32; use quantize"),
    (lambda: int4(scales=np.ones((2, 2), np.int32)), TypeError, "codes .* or numbers .*, not int32"),
    (lambda: int4(scales=None), TypeError, "object|None"),
    (lambda: int4(zero_points=None), ValueError, "needs zero_points"),
    (lambda: int4(zero_points=np.full((2, 2), 3.5)), TypeError, "zero points must be integers, not float64"),
    (lambda: int4(zero_points=np.full((2, 2), True)), TypeError, "not bool"),
    (lambda: int4(zero_points=np.full((2, 2), 16)), ValueError, "the zero point 16 of a block is not 0 to 15"),
    (lambda: int4(zero_points=np.full((2, 2), -1)), ValueError, "the zero point -1 of a block"),
    (lambda: int4(zero_points=np.full((2, 2), 2**63, np.uint64)), ValueError, "the zero point 9223372036854775808 of"),
    (lambda: int4(zero_points=[1, 2]), ValueError, r"zero_points of shape \(2,\) do not fit"),
    (lambda: int4(second_scale=1.0), ValueError, "has no second level"),
    (lambda: nvfp4(zero_points=[0, 0]), ValueError, "has no zero points"),
    (lambda: nvfp4(second_scale=None), ValueError, "needs second_scale"),
    (lambda: nvfp4(second_scale=1 / 3), ValueError, "second_scale: 0.333.* is not a value of float32"),
    (lambda: nvfp4(second_scale=[1.0]), ValueError, "one number for the whole array"),
    (lambda: nvfp4(second_scale=True), TypeError, "second_scale must be a number, not bool"),
    (lambda: nvfp4(second_scale="one"), ValueError, "is not a number"),
    (lambda: nvfp4(scales=np.uint8([56, 256 - 1, 1])), ValueError, "do not fit blocks"),
    (lambda: nested(second_scale=1.0), TypeError, "its scales as a Quantized"),
    (lambda: nested(second_scale=nvfp4()), ValueError, "quantized to nvfp4"),
    (lambda: nested(scales=np.uint8([0, 1])), ValueError, "does not have the codes of scales"),
    (lambda: fe.Quantized.from_parts(fe.scheme("bnb_nf4").nested, codes=[0], scales=[1.0]), ValueError, "its offset"),
    (lambda: fe.Quantized.from_parts("mxfp5", codes=[0], scales=[1.0]), ValueError, "mxfp4"),
    (lambda: fe.Quantized.from_parts("mxfp4", codes=np.uint8(0), scales=[1.0]), ValueError, "no axis"),
    (
        lambda: fe.Quantized.from_parts("uint4_group4", codes=[0] * 4, scales=[1.0], zero_points=[7]),
        ValueError,
        "8 to 8",
    ),
]


@pytest.mark.parametrize(("call", "error", "words"), WRONG, ids=lambda x: x if isinstance(x, str) else "")
def test_wrong_parts(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_the_class_checks_too():
    """What the class did not look at: wide codes, cut zero points, what is missing."""
    q = fe.quantize(X, "uint4_asym_group32")

    def made(**changes):
        parts = {part: getattr(q, part) for part in ("codes", "scales", "zero_points", "second_scale", "layout")}
        return fe.Quantized(**{"scheme": q.scheme, **parts, **changes})

    check_same(made(), q)
    check_same(made(scheme="uint4_asym_group32"), q)
    np.testing.assert_array_equal(made(codes=q.codes.astype(np.uint16)).dequantize(), q.dequantize())
    for wrong, error in (
        ({"codes": q.codes + np.uint8(16)}, ValueError),
        ({"codes": q.codes[:2]}, ValueError),
        ({"zero_points": q.zero_points + 0.5}, TypeError),
        ({"zero_points": None}, ValueError),
        ({"zero_points": q.zero_points + 16}, ValueError),
        ({"scales": q.scales[:1]}, ValueError),
        ({"second_scale": 2.0}, ValueError),
        ({"offset": 1.0}, ValueError),
        ({"layout": (4, 128)}, TypeError),
        ({"layout": fe.quantize(X, "uint4_asym_group16").layout}, ValueError),
        ({"layout": fe.quantize(X.T, "uint4_asym_group4").layout}, ValueError),
        ({"scheme": "uint3_asym_group32"}, ValueError),
        ({"scheme": fe.dtype("uint4")}, (TypeError, ValueError)),
    ):
        with pytest.raises(error):
            made(**wrong)
    two = fe.quantize(X, "nvfp4")
    with pytest.raises(ValueError, match="needs second_scale"):
        fe.Quantized(two.scheme, two.codes, two.scales, None, None, two.layout)


def test_parts_that_are_set_are_checked():
    q = fe.quantize(X, "nvfp4")
    q.second_scale = 0.25
    assert q.second_scale == 0.25
    for part, value in (("second_scale", 1 / 3), ("codes", q.codes + np.uint8(16)), ("scales", q.scales[:1])):
        with pytest.raises(ValueError, match=r"is not a value|out of range|do not fit"):
            setattr(q, part, value)
    assert q.second_scale == 0.25
    with pytest.raises(AttributeError, match="a Quantized has no part 'scale'"):
        q.scale = 1.0
    for again in (copy.copy(q), copy.deepcopy(q), pickle.loads(pickle.dumps(q))):
        check_same(again, q)


def test_what_is_written_into_the_parts_is_looked_at(tmp_path):
    uses = {
        "dequantize": lambda q: q.dequantize(),
        "out": lambda q: q.dequantize(out=np.zeros(q.shape, np.float32)),
        "float64": lambda q: q.dequantize(np.float64),
        "array": np.asarray,
        "part": lambda q: q[:1].dequantize(),
        "pack": lambda q: q.pack(),
        "save": lambda q: fe.save(tmp_path / "x.npz", q=q),
        "product": lambda q: fe.quantized_matmul(q, fe.quantize(X.T.copy(), "int4_row", axis=0)),
        "class": lambda q: fe.Quantized(q.scheme, q.codes, q.scales, q.zero_points, q.second_scale, q.layout),
    }
    for scheme in ("mxfp4", "nf4_64", "int4_group", "uint4_asym_group32", "mxfp6_e2m3"):
        for name, use in uses.items():
            q = fe.quantize(X, scheme)
            use(q)
            q.codes[0, 0] = 0xFF
            with pytest.raises(ValueError, match="code 0xff is out of range"):
                use(q)
            assert name != "save" or not (tmp_path / "y.npz").exists()
    q = fe.quantize(X, "uint4_asym_group32")
    q.zero_points[0, 0] = 1 << 40
    for name in ("dequantize", "pack", "class"):
        with pytest.raises(ValueError, match="zero point"):
            uses[name](q)
    memory = np.zeros(32, np.uint8)
    q = fe.Quantized.from_parts("mxfp4", codes=memory, scales=[1.0])
    memory[5] = 200
    with pytest.raises(ValueError, match="code 0xc8 is out of range"):
        q.dequantize()
    out = fe.quantize(X, "mxfp4")
    out.codes[...] = 0xFF  # whose contents are lost
    check_same(fe.quantize(X, "mxfp4", out=out), fe.quantize(X, "mxfp4"))


def test_torch_parts():
    torch = pytest.importorskip("torch")
    q = fe.quantize(X, "mxfp8_e4m3")
    codes = torch.from_numpy(q.codes.copy())
    check_same(from_parts(q, codes=codes.view(torch.float8_e4m3fn)), q)
    check_same(from_parts(q, codes=codes, scales=torch.from_numpy(q.scales.copy()).view(torch.float8_e8m0fnu)), q)
    q = fe.quantize(X, "int4_group")
    words = torch.from_numpy(fe.pack(q.codes, "int4", word_bits=32).view(np.int32).copy())
    check_same(from_parts(q, codes=None, packed=words, shape=q.shape, word_bits=32), q)

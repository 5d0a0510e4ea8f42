"""Schemes as users write them: the order of their parts, their names, what names mean."""

from __future__ import annotations

import inspect
import itertools

import numpy as np
import pytest

import fpemu as fe
from fpemu.quantization.definition.targets import format_or_scheme

NAMES = {name: getattr(fe, name) for name in ("ScaledFormat", "ScaleRule", "FloatFormat", "IntFormat")}
PARTS = ("element", "block", "scale", "scale_rule", "axis", "zero_point", "second_level")


def test_parts_by_place_and_by_keyword():
    assert tuple(inspect.signature(fe.ScaledFormat).parameters)[:7] == PARTS
    by_place = fe.ScaledFormat("uint4", 32, "bfloat16", "minmax", 0, "uint4", None)
    words = ("uint4", 32, "bfloat16", "minmax", 0, "uint4", None)
    assert by_place == fe.ScaledFormat(**dict(zip(PARTS, words, strict=True)))
    assert [getattr(by_place, part) for part in ("block", "axis", "second_level")] == [32, 0, None]
    assert by_place.zero_point == by_place.element == fe.dtype("uint4")
    two = fe.ScaledFormat("e2m1", 16, "e4m3", "absmax", -1, None, "float32")
    assert two == fe.scheme("nvfp4")


@pytest.mark.parametrize(
    ("scheme", "name"),
    [
        (fe.ScaledFormat("e2m3", 8, "e4m3"), "float6_e2m3fn_8_float8_e4m3fn"),
        (fe.ScaledFormat("e2m1", 32, "e8m0", "floor"), "float4_e2m1fn_32_float8_e8m0fnu_floor"),
        (fe.ScaledFormat("e2m1", (16, 4), "e4m3", second_level="float32"),
         "float4_e2m1fn_16x4_float8_e4m3fn_over_float32"),
        (fe.ScaledFormat("nf4", "row", axis=0), "nf4_row_axis0"),
        (fe.ScaledFormat("int8", 64, profile="torchao"), "int8_group64_torchao-0.18"),
        (fe.ScaledFormat("int8", "channel"), "int8_channel_axis-1"),
        (fe.ScaledFormat("uint8", "tensor"), "uint8_tensor_zero_none"),
        (fe.ScaledFormat("uint8", "tensor", zero_point=3), "uint8_tensor_zero_3"),
        (fe.ScaledFormat("uint8", "tensor", scale_rule="minmax", zero_point="int32"),
         "uint8_tensor_minmax_zero_int32"),
        (fe.ScaledFormat("q1.6", 4), "q1.6_4"),
        (fe.ScaledFormat(fe.TableFormat("my signs", [-1, 1]), 4), "my_signs_4"),
    ],
)  # fmt: skip
def test_derived_names(scheme, name):
    assert scheme.name == str(scheme) == name
    assert "name=" not in repr(scheme)
    assert scheme.replace(axis=3).name == scheme.replace(name="mine", axis=3).replace(name=None).name != name
    assert scheme.replace(name="mine", axis=3).name == "mine"


GRAMMAR = [
    f"{element}{asym}_{block}"
    for element, asym, block in itertools.product(
        ("int2", "uint3", "int8", "uint16"), ("", "_asym"), ("tensor", "row", "channel", "group1", "group64")
    )
]


@pytest.mark.parametrize("name", GRAMMAR)
def test_names_of_integers_name_themselves(name):
    found = fe.scheme(name)
    parts = {part: getattr(found, part) for part in PARTS}
    assert fe.ScaledFormat(**parts).name == name
    assert found.element == fe.dtype(name.split("_")[0])
    middle = None if name.startswith("int") else 1 << (found.element.bits - 1)
    assert found.zero_point == (found.element if "asym" in name else middle)
    assert found.scale_rule.name == ("minmax" if "asym" in name else "absmax")
    assert (found.axis == 0) == ("channel" in name)


def test_representations_evaluate():
    odd = fe.FloatFormat("odd", 9, 4, bias=3)
    rule = fe.ScaleRule("mine", divisor=3.5, rounding="toward_positive")
    own = [
        fe.ScaledFormat(odd, (2, 8), "e4m3", rule, second_level="bfloat16"),
        fe.ScaledFormat("int5", "row", "float16", "minmax", 0, "int32", profile="onnx"),
        fe.ScaledFormat("uint4", 7, zero_point=2, name="seven's"),
        fe.ScaledFormat("e4m3", 32, scale_rule=rule, second_level=fe.ScaledFormat("int8", 16, name="inner")),
        fe.ScaledFormat("int8", 4, scale_rule=fe.ScaleRule("absmax", "minmax", "span"), zero_point="int8"),
    ]
    shipped = [found for found in fe.schemes() if "bitsandbytes" not in repr(found)]
    assert len(shipped) >= 45
    for scheme in own + shipped:
        back = eval(repr(scheme), NAMES)
        assert back == scheme
        assert back.name == scheme.name
        assert repr(back) == repr(scheme)


def test_a_name_is_a_keyword():
    for wrong in (
        lambda: fe.ScaledFormat("mine", "e2m1", 32),
        lambda: fe.ScaledFormat("mine", "e2m1"),
        lambda: fe.ScaledFormat("nf4", fe.dtype("nf4"), 64),
        lambda: fe.ScaledFormat("mine", "uint3", "tensor", "float32", "minmax"),
    ):
        with pytest.raises(
            TypeError, match=r"the name a keyword argument: use ScaledFormat\('.*', ..., name='(mine|nf4)'\)"
        ):
            wrong()
    with pytest.raises(TypeError, match="positional"):
        fe.ScaledFormat("e2m1", 32, "e4m3", "absmax", -1, None, None, "exact", "mine")
    with pytest.raises(ValueError, match="must not be empty"):
        fe.ScaledFormat("e2m1", 32, name=" ")


def test_registered_under_a_derived_name():
    mine = fe.ScaledFormat("e3m2", 24, "e5m2")
    assert fe.register(mine, "my 24") is mine
    assert fe.scheme("float6_e3m2fn_24_float8_e5m2") is fe.scheme("MY24") is mine
    assert mine in fe.schemes()


def test_names_of_the_grammar_are_taken():
    other = fe.ScaledFormat("int8", 32, name="int8_group64")
    with pytest.raises(ValueError, match="the name 'int8_group64' is taken by another format"):
        fe.register(other)
    with pytest.raises(ValueError, match="the name 'UINT3_asym_row' is taken"):
        fe.register(other.replace(name="another"), "UINT3_asym_row")
    with pytest.raises(ValueError, match="unknown scheme 'another'"):
        fe.scheme("another")
    same = fe.ScaledFormat("int9", 64)
    assert fe.register(same) is same is fe.scheme("int9_group64")


# -- names that one would guess ---------------------------------------------------------------------------------------


def test_aliases():
    for word in ("tensor", "row", "1x128", "128x128"):
        assert fe.scheme(f"fp8_{word}") is fe.scheme(f"fp8_e4m3_{word}")
        assert fe.scheme(f"fp8_{word}_pow2") is fe.scheme(f"fp8_e4m3_{word}_pow2")
    assert fe.scheme("nvfp4_16x16") is fe.scheme("nvfp4_tile")


def test_nf4_is_a_format_and_a_scheme():
    x = np.random.default_rng(0).normal(size=(2, 128)).astype(np.float32)
    assert fe.scheme("nf4") is fe.scheme("NormalFloat4") is fe.scheme("nf4_64")
    q = fe.quantize(x, "nf4")
    assert q.scales.shape == (2, 2)
    np.testing.assert_array_equal(q.codes, fe.quantize(x, "nf4_64").codes)
    assert format_or_scheme("nf4") is fe.dtype("nf4")
    assert format_or_scheme("nf4_64") is fe.scheme("nf4_64")
    np.testing.assert_array_equal(fe.cast(x, "nf4"), fe.cast(x, fe.dtype("nf4")))
    assert str(fe.report(x, ["nf4"])).splitlines()[2].split()[0] == "nf4"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("int8", "without scales; schemes of such elements: absmax_int8, zeropoint_int8, int8_channel, int8_group"),
        ("uint4", "elements: zeropoint_uint4, uint4_asym_channel, uint4_asym_group, gguf_q4_0$"),
        ("e4m3", "elements: mxfp8_e4m3, fp8_e4m3_tensor"),
        ("bf16", r"without scales: ScaledFormat\('bf16', block\) has them$"),
        ("int7", r"without scales: ScaledFormat\('int7', block\) has them$"),
    ],
)
def test_formats_are_no_schemes(name, words):
    with pytest.raises(ValueError, match=words) as caught:
        fe.quantize(np.ones(4), name)
    assert "mxfp6" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("int99", "bits must be 1 to 64, not 99"),
        ("int99_tensor", "bits must be 1 to 64, not 99"),
        ("uint1_row", "the zero point of uint1"),
        ("mxfp9", "unknown format 'mxfp9'; did you mean 'mxfp"),
    ],
)
def test_names_of_nothing(name, words):
    with pytest.raises(ValueError, match=words):
        format_or_scheme(name)


def test_symmetric_unsigned_integers():
    x = np.float32([[-2.0, 0.0, 1.0, 2.0], [0.5, -0.25, 0.125, 0.0]])
    q, signed = fe.quantize(x, "uint8_row"), fe.quantize(x, "int8_row")
    np.testing.assert_array_equal(q.scale_values, np.float32([[2], [0.5]]) / np.float32(127))
    np.testing.assert_array_equal(q.codes, signed.elements.astype(np.int64) + 128)
    np.testing.assert_array_equal(q.dequantize(), signed.dequantize())
    assert q.zero_points.tolist() == [[128], [128]]
    assert q.nbytes == signed.nbytes  # the zero point is not stored
    assert fe.quantize(x, "uint4_group2").scales.shape == (2, 2)
    with pytest.raises(ValueError, match="the zero point of uint1"):
        fe.scheme("uint1_tensor")


def test_zero_points_fit_their_format():
    for zero, rule, words in (
        ("int8", "absmax", "under absmax zero points of uint8 are 128, which int8 lacks"),
        ("uint4", "absmax", "under absmax .* 128, which uint4 lacks"),
        ("int8", "minmax", "under minmax zero points of uint8 are 0 to 255, which int8 lacks"),
    ):
        with pytest.raises(ValueError, match=words):
            fe.ScaledFormat("uint8", 4, scale_rule=rule, zero_point=zero)
    for element, zero, rule in (("uint8", "uint8", "absmax"), ("int8", "uint4", "absmax"), ("int4", "int8", "minmax")):
        assert fe.ScaledFormat(element, 4, scale_rule=rule, zero_point=zero).zero_point == fe.dtype(zero)

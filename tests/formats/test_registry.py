"""Names: the table, the grammar, dtype objects, registering."""

from __future__ import annotations

import types

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fpemu as fe
from fpemu.formats import registry
from tests.cases import families

# Each format with the names that ml_dtypes and torch, ONNX, LLVM and MLIR, Triton, CUDA, OCP and people give it.
NAMES = {
    "float8_e4m3fn": "FLOAT8E4M3FN Float8E4M3FN f8E4M3FN fp8e4nv __nv_fp8_e4m3 e4m3fn e4m3 fp8 fp8_e4m3",
    "float8_e4m3fnuz": "FLOAT8E4M3FNUZ Float8E4M3FNUZ fp8e4b8 e4m3fnuz",
    "float8_e4m3b11fnuz": "Float8E4M3B11FNUZ e4m3b11fnuz",
    "float8_e4m3": "Float8E4M3 f8E4M3",
    "float8_e3m4": "Float8E3M4 e3m4",
    "float8_e5m2": "FLOAT8E5M2 Float8E5M2 fp8e5 __nv_fp8_e5m2 e5m2",
    "float8_e5m2fnuz": "FLOAT8E5M2FNUZ Float8E5M2FNUZ fp8e5b16 e5m2fnuz",
    "float8_e8m0fnu": "FLOAT8E8M0 Float8E8M0FNU __nv_fp8_e8m0 ue8m0 e8m0 e8m0fnu",
    "float8_e5m3fnu": "Float8E5M3FNU ue5m3 e5m3fnu",
    "float6_e2m3fn": "FLOAT6E2M3 Float6E2M3FN __nv_fp6_e2m3 e2m3",
    "float6_e3m2fn": "FLOAT6E3M2 Float6E3M2FN __nv_fp6_e3m2 e3m2 fp6",
    "float4_e2m1fn": "FLOAT4E2M1 Float4E2M1FN __nv_fp4_e2m1 float4_e2m1fn_x2 e2m1 fp4",
    "bfloat16": "BFLOAT16 bf16 __nv_bfloat16",
    "tfloat32": "tf32",
    "float16": "FLOAT16 f16 fp16 half binary16",
    "float32": "FLOAT f32 fp32 float single binary32",
    "float64": "DOUBLE f64 fp64 double binary64",
    "int4": "INT4 i4",
    "uint4": "UINT4 u4",
    "int2": "INT2 i2",
    "uint2": "UINT2",
    "int8": "INT8 i8",
    "uint64": "UINT64",
    "uint1": "BOOL bool",
    "nf4": "NF4 NormalFloat4",
}


@pytest.fixture
def own_registry(monkeypatch):
    """Whatever the test registers is forgotten."""
    for table in ("_NAMES", "_ENTRIES", "_CACHE"):
        monkeypatch.setattr(registry, table, dict(getattr(registry, table)))


# -- the table ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_a_format(name):
    fmt = fe.dtype(name)
    assert fmt.name == name
    for alias in NAMES[name].split():
        assert all(fe.dtype(spelled) is fmt for spelled in (alias, alias.upper(), alias.lower(), f" {alias} ")), alias


@pytest.mark.parametrize(
    ("name", "maximum", "smallest", "nans", "infinities"),
    [
        ("float8_e4m3fn", 448, 2**-9, 2, 0),
        ("float8_e4m3", 240, 2**-9, 14, 2),
        ("float8_e4m3fnuz", 240, 2**-10, 1, 0),
        ("float8_e4m3b11fnuz", 30, 2**-13, 1, 0),
        ("float8_e3m4", 15.5, 2**-6, 30, 2),
        ("float8_e5m2", 57344, 2**-16, 6, 2),
        ("float8_e5m2fnuz", 57344, 2**-17, 1, 0),
        ("float8_e8m0fnu", 2.0**127, 2.0**-127, 1, 0),
        ("float8_e5m3fnu", 114688, 2**-17, 1, 0),
        ("float7_e4m3fnu", 448, 2**-9, 1, 0),
        ("float6_e2m3fn", 7.5, 2**-3, 0, 0),
        ("float6_e3m2fn", 28, 2**-4, 0, 0),
        ("float4_e2m1fn", 6, 0.5, 0, 0),
        ("tfloat32", (2 - 2**-10) * 2.0**127, 2.0**-136, 2046, 2),
    ],
)
def test_what_the_names_mean(name, maximum, smallest, nans, infinities):
    fmt, info = fe.dtype(name), fe.finfo(name)
    assert (fmt.value(fmt.max_code), fmt.value(fmt.min_code)) == (maximum, smallest)
    assert (info.nan_count, info.infinity_count) == (nans, infinities)


def test_nf4_is_float32_exactly():
    values = fe.dtype("nf4").values()
    np.testing.assert_array_equal(values, values.astype(np.float32))
    assert np.all(np.diff(values) > 0)
    assert values[[0, 7, 15]].tolist() == [-1, 0, 1]


def test_no_name_is_listed_for_two_formats():
    seen = {}
    for entry in registry._TABLE:
        for name in {n.lower() for n in (entry.format.name, *entry.aliases.split())}:
            assert seen.setdefault(name, entry.format) is entry.format, name
    assert len(seen) > 100


def test_dtypes_lists_the_table_in_its_order():
    names = [fmt.name for fmt in fe.dtypes()]
    assert names[: len(registry._TABLE)] == [entry.format.name for entry in registry._TABLE]
    assert all(fe.dtype(name).name == name for name in names)


def test_aliases_and_notes_are_of_registered_formats_only():
    assert "fp8e4nv" in registry.aliases(fe.dtype("e4m3"))
    assert registry.note(fe.dtype("float8_e4m3")) == "IEEE-like, max 240; torch's is float8_e4m3fn"
    stranger = fe.FloatFormat("float8_e4m3", 9, 4)
    assert (registry.aliases(stranger), registry.note(stranger)) == ([], "")


# -- dtype objects ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*families.ML_DTYPES, "int1", "int2", "int4", "uint1", "uint2", "uint4"])
def test_ml_dtypes(name):
    scalar_type = getattr(ml_dtypes, name)
    assert fe.dtype(scalar_type).name == fe.dtype(np.dtype(scalar_type)).name == name


@pytest.mark.parametrize("name", ["float16", "float32", "float64", "int8", "uint16", "int32", "uint64"])
def test_numpy_dtypes_of_both_byte_orders(name):
    dtype = np.dtype(name)
    for given_dtype in (dtype, dtype.type, dtype.newbyteorder()):
        assert fe.dtype(given_dtype).name == name


def test_python_types_and_bool():
    assert [fe.dtype(kind).name for kind in (float, int, bool, np.bool_)] == ["float64", "int64", "uint1", "uint1"]


def torch_dtype(name):
    """What torch's dtypes look like from outside."""
    kind = types.new_class("dtype", exec_body=lambda ns: ns.update(__str__=lambda self: f"torch.{name}"))
    kind.__module__ = "torch"
    return kind()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("float8_e4m3fn", "float8_e4m3fn"),
        ("bfloat16", "bfloat16"),
        ("float32", "float32"),
        ("float4_e2m1fn_x2", "float4_e2m1fn"),
        ("int3", "int3"),
        ("bool", "uint1"),
    ],
)
def test_torch_dtypes(name, expected):
    assert fe.dtype(torch_dtype(name)).name == expected


@pytest.mark.parametrize(
    "wrong",
    [None, 3, 1.5, True, [1], {}, object(), np.floating, complex, np.complex64, np.dtype("M8[s]"), np.dtype("S3"), str,
     np.dtype([("a", "f4")]), ml_dtypes.complex32, torch_dtype("complex64"), torch_dtype("qint8")],
    ids=lambda wrong: str(wrong).partition(" at ")[0],
)  # fmt: skip
def test_what_is_no_format(wrong):
    with pytest.raises(TypeError, match=r"a format is a name, a Format or a dtype|not a dtype of real numbers"):
        fe.dtype(wrong)


def test_a_format_is_itself():
    mine = fe.FloatFormat("mine", 8, 4, infinities=False, nan="all_ones")
    assert fe.dtype(mine) is mine


# -- the grammar --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("e5m10", "float16"),
        ("e8m7", "bfloat16"),
        ("e8m10", "tfloat32"),
        ("float8_e4m3b7", "float8_e4m3"),
        ("e11m52", "float64"),
        ("ap_int<4>", "int4"),
        ("sc_uint<8>", "uint8"),
        ("q7.0", "int8"),
    ],
)
def test_a_described_format_of_the_table_keeps_its_usual_name(name, expected):
    assert fe.dtype(name) is fe.dtype(expected)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("float12_e5m6", {"bits": 12, "precision": 7, "bias": 15, "nan": "ieee", "infinities": True}),
        ("e5m6", {"name": "float12_e5m6"}),
        ("E3M3FN", {"name": "float7_e3m3fn", "bias": 3, "nan": "all_ones", "infinities": False}),
        ("e3m3f", {"bits": 7, "nan": "none", "infinities": False, "negative_zero": True}),
        ("e6m3fnuz", {"bits": 10, "bias": 32, "nan": "negative_zero", "negative_zero": False}),
        ("e6m3b7fnuz", {"name": "float10_e6m3b7fnuz", "bias": 7}),
        ("e4m2b-3", {"name": "float7_e4m2b-3", "bias": -3, "nan": "ieee"}),
        ("e4m4fnu", {"bits": 8, "signed": False, "zero": True, "subnormals": True, "nan": "all_ones", "bias": 7}),
        ("ue4m4", {"name": "float8_e4m4fnu"}),
        ("ue5m0", {"bits": 5, "precision": 1, "zero": False, "subnormals": False, "bias": 15}),
        ("e1m6", {"bits": 8, "bias": 0}),
    ],
)
def test_floats_by_description(name, fields):
    fmt = fe.dtype(name)
    assert {field: getattr(fmt, field) for field in fields} == fields
    assert fe.dtype(fmt.name) == fmt


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("int5", ("int5", 5, True, 0)),
        ("i13", ("int13", 13, True, 0)),
        ("uint3", ("uint3", 3, False, 0)),
        ("ui7", ("uint7", 7, False, 0)),
        ("ap_uint<9>", ("uint9", 9, False, 0)),
        ("q3.12", ("q3.12", 16, True, 12)),
        ("uq3.12", ("uq3.12", 15, False, 12)),
        ("Q-2.9", ("q-2.9", 8, True, 9)),
        ("q9.-2", ("q9.-2", 8, True, -2)),
        ("ap_fixed<16,4>", ("ap_fixed<16,4>", 16, True, 12)),
        ("ap_ufixed<8, 10>", ("ap_ufixed<8,10>", 8, False, -2)),
        ("sc_fixed<8,-1>", ("ap_fixed<8,-1>", 8, True, 9)),
    ],
)
def test_integers_by_description(name, expected):
    fmt = fe.dtype(name)
    assert (fmt.name, fmt.bits, fmt.signed, fmt.fraction_bits) == expected
    assert fe.dtype(fmt.name) == fmt


def test_every_p3109_format_to_16_bits():
    names = list(families.p3109_names(range(3, 17)))
    assert len(names) == 504
    for name in names:
        fmt, peer = fe.dtype(name), families.gfloat_p3109(name)
        assert (fmt.name, fmt.bits, fmt.precision, fmt.bias) == (name, peer.k, peer.precision, peer.bias)
        assert (fmt.signed, fmt.infinities) == (name[-2] == "s", name[-1] == "e")
        assert fmt.nan_code == peer.code_of_nan
        assert fmt.infinity_code == (peer.code_of_posinf if fmt.infinities else None)
        assert fmt.profile == fe.profile("p3109-satnone")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("float12_e5m5", r"'float12_e5m5' is not a format: float12 and e5m5 disagree: 1 \+ 5 \+ 5 = 11 bits"),
        ("float9_e5m3fnu", r"float9 and e5m3 disagree: 5 \+ 3 = 8 bits"),
        ("e9m99", "'e9m99' is not a format: bits must be 2 to 64, not 109"),
        ("e0m3", "bits=4 and precision=4 disagree"),
        ("e5m0", "nan='ieee' and precision=1 disagree"),
        ("e30m3", "they leave 30 exponent bits, more than 24"),
        ("ue5m3fn", "the prefix u stands for the suffix fnu"),
        ("int65", "bits must be 1 to 64, not 65"),
        ("uint0", "bits must be 1 to 64, not 0"),
        ("q0.64", "bits must be 1 to 64, not 65"),
        ("uq-3.3", "bits must be 1 to 64, not 0"),
        ("ap_fixed<16,4,AP_RND>", "its rounding and overflow modes belong to the cast"),
        ("binary2p1ue", "P3109's formats have 3 bits or more, not 2"),
        ("binary8p8se", "P3109's precision is 1 to 7 for K=8, signed, not 8"),
        ("binary8p9uf", "P3109's precision is 1 to 8 for K=8, unsigned, not 9"),
        ("binary8p0uf", "not 0"),
        ("binary99p9uf", "bits must be 2 to 64, not 99"),
    ],
)
def test_impossible_descriptions(name, words):
    with pytest.raises(ValueError, match=words):
        fe.dtype(name)


@pytest.mark.parametrize(
    ("name", "near"),
    [("float8_e4m3nf", "float8_e4m3fn"), ("bfloat61", "bfloat16"), ("flaot32", "float32"), ("FP8E4NW", "fp8e4nv")],
)
def test_an_unknown_name_gets_near_ones(name, near):
    with pytest.raises(ValueError, match=f"unknown format '{name}'; did you mean .*'{near}'"):
        fe.dtype(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "zzz",
        "fp8_e4m3fnuz_",
        "e4",
        "m3",
        "e4m3fnz",
        "q3",
        "int",
        "binary8p4",
        "ap_fixed<16>",
        "4",
        "e2m\u1bb1",
        "int\uff18",
        "q\uff13.4",
    ],
)
def test_unknown_names(name):
    with pytest.raises(ValueError, match="unknown format"):
        fe.dtype(name)


GRAMMAR = st.from_regex(
    r"(float\d{1,3}_|u)?e\d{1,3}m\d{1,3}(b-?\d{1,4})?(f|fn|fnu|fnuz)?|u?int\d{1,2}|u?q-?\d{1,2}\.-?\d{1,2}"
    r"|ap_u?fixed<\d{1,2},-?\d{1,2}>|binary\d{1,2}p\d{1,2}[su][ef]",
    fullmatch=True,
)


@given(GRAMMAR | st.text())
def test_a_name_gives_a_format_of_that_name_or_a_value_error(name):
    try:
        fmt = fe.dtype(name)
    except ValueError:
        return
    assert fe.dtype(fmt.name) == fmt


# -- registering --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("own_registry")
def test_register_a_format_with_aliases():
    mine = fe.FloatFormat("Mine", 10, 5)
    assert fe.register(mine, "my own", "M10") is mine
    assert fe.dtype("mine") is fe.dtype("MYOWN") is fe.dtype("m10") is mine
    assert fe.dtypes()[-1] is mine
    assert registry.aliases(mine) == ["myown", "M10"]


@pytest.mark.usefixtures("own_registry")
def test_register_again():
    mine = fe.register(fe.FloatFormat("mine", 10, 5), "one")
    count = len(fe.dtypes())
    fe.register(fe.FloatFormat("mine", 10, 5), "two", "one")
    assert fe.dtype("two") is mine
    assert (len(fe.dtypes()), registry.aliases(mine)) == (count, ["one", "two"])
    fe.register(fe.dtype("bf16"), "brain")
    assert fe.dtype("brain") is fe.dtype("bfloat16")


@pytest.mark.usefixtures("own_registry")
@pytest.mark.parametrize(
    ("fmt", "aliases", "words"),
    [
        (
            fe.IntFormat("bfloat16", 16),
            [],
            "the name 'bfloat16' is taken by another format: FloatFormat.'bfloat16', bits=16",
        ),
        (
            fe.IntFormat("mine", 16),
            ["new", "FP8"],
            "the name 'FP8' is taken by another format: FloatFormat.'float8_e4m3fn'",
        ),
        (fe.IntFormat("mine", 16), ["e7m7"], "the name 'e7m7' is taken by another format: FloatFormat.'float15_e7m7'"),
        (fe.IntFormat("int5", 6), [], "the name 'int5' is taken by another format"),
        (fe.IntFormat("mine", 16), ["  "], "an alias must not be empty"),
    ],
)
def test_a_clash_registers_nothing(fmt, aliases, words):
    before = fe.dtypes()
    with pytest.raises(ValueError, match=words):
        fe.register(fmt, *aliases)
    assert fe.dtypes() == before
    for name in ("mine", "new"):
        with pytest.raises(ValueError, match="unknown format"):
            fe.dtype(name)


@pytest.mark.usefixtures("own_registry")
def test_an_impossible_description_is_free_to_be_a_name():
    mine = fe.register(fe.IntFormat("int99", 16))
    assert fe.dtype("int99") is mine


def test_register_takes_formats_and_strings():
    with pytest.raises(TypeError, match="register takes a Format or a ScaledFormat, not str"):
        fe.register("e4m3")
    with pytest.raises(TypeError, match="an alias must be a str, not int"):
        fe.register(fe.dtype("e4m3"), 4)

"""Formats: which combinations are consistent, what each code means, equality."""

from __future__ import annotations

import copy
import math
import pickle

import gfloat
import numpy as np
import pytest

import fpemu as fe
from tests.cases import families
from tests.oracle import spec_values


def assert_same_values(actual, expected):
    """Equal to the sign of zero; any NaN equals any other."""
    np.testing.assert_array_equal(actual, expected)
    np.testing.assert_array_equal(np.signbit(actual)[~np.isnan(actual)], np.signbit(expected)[~np.isnan(expected)])


# -- what each code means -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", families.ML_DTYPES)
def test_values_as_ml_dtypes_has_them(name):
    dtype, fmt = families.ML_DTYPES[name], fe.dtype(name)
    codes = np.arange(1 << fmt.bits, dtype=f"u{dtype.itemsize}")
    with np.errstate(invalid="ignore"):  # signaling NaNs
        assert_same_values(fmt.values(), codes.view(dtype).astype(np.float64))


def test_float16_values_as_numpy_has_them():
    codes = np.arange(1 << 16, dtype=np.uint16)
    assert_same_values(fe.dtype("float16").values(), codes.view(np.float16).astype(np.float64))


@pytest.mark.parametrize("name", families.GFLOAT)
def test_values_as_gfloat_has_them(name):
    fmt = fe.dtype(name)
    expected = gfloat.decode_ndarray(families.GFLOAT[name], np.arange(1 << fmt.bits))
    assert_same_values(fmt.values(), expected)


@pytest.mark.parametrize("name", list(families.p3109_names(range(3, 9))))
def test_p3109_values_as_gfloat_has_them(name):
    fmt = fe.dtype(name)
    assert_same_values(fmt.values(), gfloat.decode_ndarray(families.gfloat_p3109(name), np.arange(1 << fmt.bits)))


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6])
def test_values_of_every_combination(bits):
    formats = families.small_formats([bits], biases=(None, -1, 0, 5))
    assert len(formats) > 8
    for fmt in formats:
        expected = [spec_values.as_float(spec_values.decode(code, fmt)) for code in range(1 << bits)]
        assert_same_values(fmt.values(), np.array(expected))


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_wide_values_as_numpy_has_them(name):
    fmt, rng = fe.dtype(name), np.random.default_rng(7)
    edges = [0, 1, 2, fmt.min_normal_code - 1, fmt.min_normal_code, fmt.max_code, fmt.max_code + 1, fmt.max_code + 2]
    random = rng.integers(0, 1 << fmt.bits, 200, dtype=np.uint64).tolist()
    codes = [*edges, *(code | fmt.sign_mask for code in edges), *random]
    with np.errstate(invalid="ignore"):  # signaling NaNs
        expected = np.array(codes, dtype=f"u{fmt.bits // 8}").view(name).astype(np.float64)
    assert_same_values(np.array([fmt.value(code) for code in codes]), expected)


@pytest.mark.parametrize("name", ["int2", "int4", "int8", "uint2", "uint4", "uint8", "int1", "uint1"])
def test_integer_values(name):
    fmt = fe.dtype(name)
    high = 1 << (fmt.bits - fmt.signed)
    expected = [*range(high), *(range(-high, 0) if fmt.signed else ())]
    np.testing.assert_array_equal(fmt.values(), expected)


def test_fixed_point_and_sign_magnitude_values():
    assert fe.dtype("q1.2").values().tolist() == [
        0,
        0.25,
        0.5,
        0.75,
        1,
        1.25,
        1.5,
        1.75,
        -2,
        -1.75,
        -1.5,
        -1.25,
        -1,
        -0.75,
        -0.5,
        -0.25,
    ]
    signed = fe.IntFormat("signed", 3, encoding="sign_magnitude", fraction_bits=-2)
    assert_same_values(signed.values(), np.array([0, 4, 8, 12, -0.0, -4, -8, -12]))
    symmetric = fe.IntFormat("symmetric", 3, symmetric=True)
    assert (symmetric.min_int, symmetric.value(4)) == (-3, -4.0)


def test_codebook_values():
    fmt = fe.TableFormat("codes", [0.5, -0.0, 3, 3, -1e300])
    assert (fmt.bits, fmt.code_count, fmt.code_dtype) == (3, 5, "uint8")
    assert_same_values(fmt.values(), np.array([0.5, -0.0, 3, 3, -1e300]))
    with pytest.raises(ValueError, match="code 0x5 is out of range: the codes of codes are 0 to 0x4"):
        fmt.value(5)


def test_a_value_beyond_float64():
    fmt = fe.dtype("binary16p1se")
    assert fmt.exact(fmt.max_code) == 2**16382
    assert fmt.scaled(1) == (1, -16383)
    for code in (1, fmt.max_code):
        with pytest.raises(OverflowError, match=r"no float64; use \.exact"):
            fmt.value(code)
    wide = fe.FloatFormat("wide", 64, 60)
    with pytest.raises(OverflowError, match="no float64"):
        wide.value((wide.bias << 59) + 1)
    assert wide.value(wide.bias << 59) == 1.0


def test_tables_of_values_stop_at_16_bits():
    with pytest.raises(ValueError, match="tfloat32 has 2\\^19 codes: tables of values are limited to 16 bits"):
        fe.dtype("tf32").values()


@pytest.mark.parametrize(
    ("bits", "dtype"),
    [(2, "uint8"), (8, "uint8"), (9, "uint16"), (16, "uint16"), (17, "uint32"), (33, "uint64"), (64, "uint64")],
)
def test_the_smallest_unsigned_type_holds_the_codes(bits, dtype):
    assert fe.IntFormat("n", bits).code_dtype == dtype


# -- what is consistent -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", [1, 2, 3, 4, 5])
def test_a_combination_works_or_the_error_names_what_disagrees(precision):
    for fields in families.every_combination([2, 3, 4, 5], [precision]):
        expected = families.why_not(**fields)
        if not expected:
            assert fe.FloatFormat("fine", **fields).max_code >= fields["zero"]
            continue
        with pytest.raises(ValueError, match="disagree") as error:
            fe.FloatFormat("wrong", **fields)
        words = str(error.value).split(" disagree")[0]
        assert all(f"{field}=" in words for field in expected), (fields, words)


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"bits": 1}, ValueError, "bits must be 2 to 64, not 1"),
        ({"bits": 65}, ValueError, "bits must be 2 to 64, not 65"),
        ({"bits": 8.0}, TypeError, "bits must be an int, not float"),
        ({"precision": True}, TypeError, "precision must be an int, not bool"),
        ({"precision": 0}, ValueError, "bits=8 and precision=0 disagree"),
        ({"bits": 64, "precision": 2}, ValueError, "they leave 62 exponent bits, more than 24"),
        ({"bias": 1 << 40}, ValueError, "bias must be -33554432 to 33554432"),
        ({"bias": 1.5}, TypeError, "bias must be an int, not float"),
        ({"signed": 1}, TypeError, "signed must be a bool, not int"),
        ({"negative_zero": "no"}, TypeError, "negative_zero must be a bool, not str"),
        ({"nan": "many"}, ValueError, "unknown nan 'many': allowed are none, ieee, all_ones, negative_zero"),
        ({"nan": None}, ValueError, "unknown nan None"),
        ({"signed": False, "negative_zero": True}, ValueError, "negative_zero=True and signed=False disagree"),
        (
            {"zero": False, "subnormals": False, "negative_zero": True},
            ValueError,
            "negative_zero=True and zero=False disagree",
        ),
        (
            {"nan": "negative_zero", "negative_zero": True, "infinities": False},
            ValueError,
            "negative_zero=True and nan='negative_zero' disagree",
        ),
        ({"negative_zero": False}, ValueError, "negative_zero=False and nan='ieee' disagree"),
        ({"name": ""}, ValueError, "a format's name must not be empty"),
        ({"name": 3}, TypeError, "a format's name must be a str, not int"),
        ({"profile": "iee"}, ValueError, "unknown profile 'iee'.*did you mean 'ieee'"),
        ({"profile": fe.profile("ieee").replace(overflow="wrap")}, ValueError, "overflow='wrap' does not apply to f"),
    ],
)
def test_what_a_float_format_refuses(fields, error, words):
    with pytest.raises(error, match=words):
        fe.FloatFormat(**{"name": "f", "bits": 8, "precision": 4, **fields})


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"bits": 0}, ValueError, "bits must be 1 to 64, not 0"),
        ({"bits": 65}, ValueError, "bits must be 1 to 64, not 65"),
        ({"bits": "8"}, TypeError, "bits must be an int, not str"),
        ({"signed": 0}, TypeError, "signed must be a bool, not int"),
        ({"fraction_bits": 1 << 21}, ValueError, "fraction_bits must be -1048576 to 1048576"),
        ({"encoding": "ones"}, ValueError, "unknown encoding 'ones': allowed are twos_complement, sign_magnitude"),
        (
            {"encoding": "sign_magnitude", "signed": False},
            ValueError,
            "encoding='sign_magnitude' and signed=False disagree",
        ),
        ({"encoding": "sign_magnitude", "bits": 1}, ValueError, "encoding='sign_magnitude' and bits=1 disagree"),
        ({"symmetric": True, "signed": False}, ValueError, "symmetric=True and signed=False disagree"),
        (
            {"symmetric": True, "encoding": "sign_magnitude"},
            ValueError,
            "symmetric=True and encoding='sign_magnitude' disagree",
        ),
        ({"symmetric": True, "bits": 1}, ValueError, "symmetric=True and bits=1 disagree"),
        ({"profile": 5}, TypeError, "a profile is a name or a Profile, not int"),
    ],
)
def test_what_an_integer_format_refuses(fields, error, words):
    with pytest.raises(error, match=words):
        fe.IntFormat(**{"name": "i", "bits": 8, **fields})


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ([1.0], ValueError, "a codebook has 2 to 65,536 values, not 1"),
        (np.zeros(65537), ValueError, "a codebook has 2 to 65,536 values, not 65537"),
        *(
            ([0, n], ValueError, "are float64 numbers: one of them is beyond")
            for n in (10**400, -(10**6000), 1 << 1024)
        ),
        ([0.0, math.inf], ValueError, "the values of a codebook are finite: value 1 is inf"),
        ([math.nan, 0.0], ValueError, "the values of a codebook are finite: value 0 is nan"),
        ([0, 2**53 + 1], ValueError, "value 1, 9007199254740993, is not"),
        (["a", 1], TypeError, "the values of a codebook must be numbers"),
        ([None, 1], TypeError, "the values of a codebook must be numbers"),
    ],
)
def test_what_a_codebook_refuses(values, error, words):
    with pytest.raises(error, match=words):
        fe.TableFormat("t", values)


def test_a_codebook_takes_no_stochastic_rounding():
    with pytest.raises(ValueError, match="rounding='stochastic' does not apply to t: a codebook has no quantum"):
        fe.TableFormat("t", [0, 1], profile=fe.profile("ieee").replace(rounding="stochastic"))


# -- equality -----------------------------------------------------------------------------------------------------


def test_names_do_not_count_for_equality():
    mine = fe.FloatFormat("mine", 8, 4, infinities=False, nan="all_ones")
    assert mine == fe.dtype("e4m3")
    assert hash(mine) == hash(fe.dtype("e4m3"))
    assert str(mine) == "mine"


@pytest.mark.parametrize(
    "change",
    [
        {"bits": 9}, {"precision": 3}, {"bias": 8}, {"nan": "none"}, {"infinities": True},
        {"signed": False}, {"profile": "torch"}, {"zero": False, "subnormals": False}, {"subnormals": False},
    ],
)  # fmt: skip
def test_codes_and_profile_count_for_equality(change):
    fields = {"bits": 8, "precision": 4, "infinities": False, "nan": "all_ones", "bias": 7}
    assert fe.FloatFormat("a", **fields) != fe.FloatFormat("a", **{**fields, **change})


def test_profiles_with_the_same_knobs_are_equal():
    renamed = fe.profile("ieee").replace(name="mine")
    assert fe.FloatFormat("a", 8, 4, profile=renamed) == fe.FloatFormat("a", 8, 4)


def test_precision_1_with_zero_has_no_subnormals_to_tell_apart():
    fields = {"bits": 4, "precision": 1, "infinities": False, "nan": "none"}
    assert fe.FloatFormat("a", **fields, subnormals=True, bias=4) == fe.FloatFormat(
        "b", **fields, subnormals=False, bias=4
    )


def test_same_codes():
    assert fe.same_codes(fe.dtype("e4m3fnuz"), fe.dtype("binary8p4sf"))
    assert fe.dtype("e4m3fnuz") != fe.dtype("binary8p4sf")
    assert not fe.same_codes(fe.dtype("int8"), fe.dtype("uint8"))
    assert fe.dtype("int8") != "int8"


def test_codebooks_differ_by_the_sign_of_a_zero():
    assert fe.TableFormat("a", [0.0, 1]) == fe.TableFormat("b", [0, 1.0])
    assert fe.TableFormat("a", [0.0, 1]) != fe.TableFormat("a", [-0.0, 1])


@pytest.mark.parametrize("fmt", fe.dtypes(), ids=str)
def test_formats_survive_pickle_and_copy(fmt):
    for twin in (pickle.loads(pickle.dumps(fmt)), copy.deepcopy(fmt)):
        assert (twin, twin.name, hash(twin), repr(twin)) == (fmt, fmt.name, hash(fmt), repr(fmt))


def test_formats_cannot_be_changed():
    for name, field in (("e4m3", "bits"), ("int4", "signed"), ("nf4", "entries")):
        with pytest.raises(AttributeError):
            setattr(fe.dtype(name), field, 1)


def test_repr_makes_the_format_again():
    fmt = fe.FloatFormat("f", 9, 3, bias=11, signed=False, profile="p3109-satfinite", nan="all_ones")
    assert eval(repr(fmt), {"FloatFormat": fe.FloatFormat}) == fmt
    fixed = fe.IntFormat("i", 9, fraction_bits=3, symmetric=True)
    assert eval(repr(fixed), {"IntFormat": fe.IntFormat}) == fixed

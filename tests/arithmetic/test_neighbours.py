"""next_up, next_down, spacing, classify: against numpy, ml_dtypes, gfloat, and the ordered values themselves."""

from __future__ import annotations

import math
import warnings
from fractions import Fraction

import gfloat
import ml_dtypes
import numpy as np
import pytest
from gfloat.types import FloatClass

import fpemu as fe
from fpemu import NumberClass
from tests.cases import families
from tests.oracle import spec_values


def assert_same(actual, expected):
    """Equal to the sign of zero; any NaN equals any other."""
    np.testing.assert_array_equal(actual, expected)
    np.testing.assert_array_equal(np.signbit(actual)[~np.isnan(actual)], np.signbit(expected)[~np.isnan(expected)])


def neighbours_by_order(fmt):
    """The values above and below each code's, found by walking through the format's values in order."""
    numbers = [spec_values.decode(code, fmt) for code in range(fmt.code_count)]
    floats = [spec_values.as_float(number) for number in numbers]
    finite = sorted({value for value in floats if math.isfinite(value)})  # -0.0 and 0.0 are one element
    signed_zero = any(value == 0 and math.copysign(1, value) < 0 for value in floats)
    ends = {
        sign: sign * math.inf if sign * math.inf in floats else math.nan if any(map(math.isnan, floats)) else None
        for sign in (1, -1)
    }

    def beside(value, direction):
        if math.isnan(value):
            return value
        if math.isinf(value):
            return value if value * direction > 0 else finite[0 if value < 0 else -1]
        place = finite.index(value) + direction
        if not 0 <= place < len(finite):
            return value if ends[direction] is None else ends[direction]
        # Below zero and going up comes -0, where there is one; going down comes +0.
        return math.copysign(0.0, -direction if signed_zero else 1) if finite[place] == 0 else finite[place]

    return np.array(floats), [np.array([beside(value, direction) for value in floats]) for direction in (1, -1)]


INTEGERS = [
    fe.IntFormat("int3", 3),
    fe.IntFormat("magnitude", 4, encoding="sign_magnitude", fraction_bits=1),
    fe.IntFormat("fixed", 5, signed=False, fraction_bits=3),
    fe.IntFormat("one", 1),
]
CODEBOOKS = [fe.dtype("nf4"), fe.TableFormat("repeats", [1.0, -2, 1, 0.5, -2, 7])]


def family(bits):
    return [*families.small_formats([bits]), *(INTEGERS + CODEBOOKS if bits == 4 else ())]


# -- next_up, next_down -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [2, 3, 4, 5])
def test_neighbours_of_every_code_of_every_combination(bits):
    for fmt in family(bits):
        values, (above, below) = neighbours_by_order(fmt)
        codes = np.arange(fmt.code_count, dtype=fmt.code_dtype)
        for step, expected in ((fe.next_up, above), (fe.next_down, below)):
            stepped = step(fe.Array(codes, fmt))
            assert isinstance(stepped, fe.Array)
            assert_same(np.asarray(stepped.values, float), expected)
            assert_same(step(values, fmt).astype(float), expected)


def test_the_lowest_code_of_a_symmetric_integer_is_not_reached():
    fmt = fe.IntFormat("symmetric", 3, symmetric=True)
    assert fe.next_down(-3, fmt) == -3
    assert fe.next_up(fe.Array([4], fmt)).values.tolist() == [-3]


@pytest.mark.parametrize("name", ["float16", "float32", "float64"])
def test_neighbours_as_numpy_has_them(name):
    info, rng = np.finfo(name), np.random.default_rng(3)
    unsigned = f"u{info.bits // 8}"
    random = rng.integers(0, 1 << info.bits, 500, dtype=np.uint64).astype(unsigned).view(name)
    edges = np.array([0.0, 1, info.max, info.tiny, info.smallest_subnormal, np.inf, np.nan], name)
    x = np.concatenate([edges, -edges, random[~np.isnan(random)]])
    for step, direction in ((fe.next_up, np.inf), (fe.next_down, -np.inf)):
        with np.errstate(over="ignore", under="ignore"):
            expected = np.nextafter(x, np.asarray(direction, name))
        actual = step(x, name)
        assert actual.dtype == x.dtype
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("name", ["bfloat16", "float8_e5m2", "float8_e4m3", "float8_e3m4"])
def test_neighbours_as_ml_dtypes_has_them(name):
    dtype = families.ML_DTYPES[name]
    codes = np.arange(1 << fe.dtype(name).bits, dtype=f"u{dtype.itemsize}")
    x = codes.view(dtype)
    with np.errstate(invalid="ignore"):  # signaling NaNs
        wide = x.astype(np.float64)
    x = x[~np.isnan(wide)]
    for step, direction in ((fe.next_up, np.inf), (fe.next_down, -np.inf)):
        expected = np.nextafter(x, np.asarray(direction, dtype)).astype(np.float64)
        np.testing.assert_array_equal(step(x, name).astype(np.float64), expected)


def test_the_ends_of_formats_without_infinity():
    assert math.isnan(fe.next_up(448.0, "e4m3fn"))
    assert math.isnan(fe.next_down(-448.0, "e4m3fn"))
    assert fe.next_up(6.0, "e2m1") == 6.0
    assert fe.next_up(127, "int8") == 127
    assert math.isnan(fe.next_down(2.0**-127, "e8m0"))
    assert fe.next_down(0, "uint8") == 0
    assert fe.next_up(fe.Array([0xFE], "e4m3fn")).codes.tolist() == [0xFD]
    assert fe.next_down(fe.Array([0xFE], "e4m3fn")).codes.tolist() == [0xFF]


def test_zeros():
    assert_same(fe.next_up([-(2.0**-9), 0.0, -0.0], "e4m3fn"), np.array([-0.0, 2**-9, 2**-9]))
    assert_same(fe.next_up([-(2.0**-10), 0.0, -0.0], "e4m3fnuz"), np.array([0.0, 2**-10, 2**-10]))


def test_a_signaling_nan_becomes_quiet():
    found = fe.next_up(fe.Array([0x7C01, 0xFE00, 0xFD03], "float16"))
    assert found.codes.tolist() == [0x7E01, 0xFE00, 0xFF03]
    assert fe.next_down(fe.Array([0x80], "e4m3fnuz")).codes.tolist() == [0x80]


def test_dtypes_and_shapes():
    assert fe.next_up(np.float32([[1.0]]), "e4m3").dtype == np.float32
    assert fe.next_up(np.float16([[1.0]]), "e4m3").shape == (1, 1)
    assert fe.next_up(np.float16([1.0]), "e8m0").dtype == np.float32  # float16 cannot hold its values
    assert fe.next_up(np.int64([1]), "int4").dtype == np.int8
    assert fe.next_up(1.0, "int4") == 2.0
    assert fe.next_up([], "bf16").shape == (0,)
    assert isinstance(fe.next_up(1.0, "bf16"), np.float64)
    assert fe.next_up(np.asfortranarray(np.ones((2, 3))).T, "bf16").shape == (3, 2)
    assert fe.next_up(np.array([1.0]).astype(">f8"), "bf16").tolist() == [1.0078125]
    assert fe.next_up(np.ones(1, ml_dtypes.bfloat16), "bf16").dtype == ml_dtypes.bfloat16
    assert fe.next_up(1.0, "int64") == 2


def test_arrays_keep_their_profile():
    found = fe.next_up(fe.Array([0x7E, 0x01], "e4m3fn", "torch"))
    assert (found.codes.tolist(), found.profile) == ([0x7F, 0x02], fe.profile("torch"))


def test_wide_integers_are_not_rounded_on_the_way():
    assert fe.next_up(np.uint64(2**64 - 2), "uint64") == 2**64 - 1
    assert fe.next_down(-(2**62), "int64") == -(2**62) - 1
    assert fe.next_up(fe.Array([2**63 - 1], "int64")).codes.tolist() == [2**63 - 1]
    with pytest.raises(ValueError, match="9007199254740993 is not a value of float64"):
        fe.next_up(np.int64(2**53 + 1), "float64")


@pytest.mark.parametrize("nan", ["none", "all_ones"])
def test_all_64_bits_of_an_unsigned_format(nan):
    fmt = fe.FloatFormat("wide", 64, 53, signed=False, infinities=False, nan=nan)
    top = 2**64 - 1
    x = fe.Array(np.array([0, top - 1, top], np.uint64), fmt)
    up, down = fe.next_up(x), fe.next_down(x)
    assert up.codes.tolist() == [1, top, top]
    assert down.codes.tolist() == ([0, top - 2, top - 1] if nan == "none" else [top, top - 2, top])


def test_formats_beyond_float64():
    fmt = fe.dtype("binary16p1ue")
    assert fe.next_up(fe.Array([1], fmt)).codes.tolist() == [2]
    assert fe.next_up(1.0, fmt) == 2.0
    with pytest.raises(OverflowError, match="the quantum of binary16p3ue is 2"):
        fe.spacing(5e-324, "binary16p3ue")


@pytest.mark.parametrize("call", [fe.next_up, fe.next_down, fe.spacing])
@pytest.mark.parametrize(
    ("x", "fmt", "words"),
    [
        (0.1, "e5m2", r"0\.1 is not a value of float8_e5m2: cast first, fe\.cast\(x, 'float8_e5m2'\)"),
        ([1.0, 500.0], "e4m3fn", r"500\.0 is not a value of float8_e4m3fn"),
        (math.inf, "e4m3fn", "inf is not a value of float8_e4m3fn"),
        (math.inf, "e2m1", "inf is not a value of float4_e2m1fn"),
        (math.nan, "int8", "nan is not a value of int8"),
        (0.0, "e8m0", "0.0 is not a value of float8_e8m0fnu"),
        (-1.0, "uint8", "-1.0 is not a value of uint8"),
        (128, "int8", "128"),
        (7.0, "e2m1", "7.0 is not a value"),
        (0.3, "nf4", "0.3 is not a value of nf4"),
        (np.float16(0.3), fe.TableFormat("t", [0.0, 0.3, 1.0]), "0.300048828125 is not a value of t"),
        (1.0, "e4m3fnn", "unknown format"),
    ],
)
def test_what_is_no_value_of_the_format(call, x, fmt, words):
    with pytest.raises(ValueError, match=words):
        call(x, fmt)


@pytest.mark.parametrize("call", [fe.next_up, fe.next_down, fe.spacing])
def test_plain_values_need_a_format_and_arrays_their_own(call):
    with pytest.raises(TypeError, match="plain values need a format"):
        call(1.0)
    with pytest.raises(ValueError, match="x is an Array of float8_e4m3fn, not of bfloat16"):
        call(fe.Array([1], "e4m3fn"), "bf16")
    with pytest.raises(TypeError, match="complex"):
        call(1j, "bf16")


# -- spacing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [2, 3, 4, 5])
def test_spacing_of_every_code_of_every_combination(bits):
    for fmt in family(bits):
        values = [spec_values.as_float(spec_values.decode(code, fmt)) for code in range(fmt.code_count)]
        magnitudes = sorted({abs(value) for value in values if math.isfinite(value)})
        ordered = sorted({value for value in values if math.isfinite(value)})
        for code, value in enumerate(values):
            actual = float(fe.spacing(fe.Array(code, fmt)))
            if not math.isfinite(value):
                assert math.isnan(actual)
                continue
            if fmt.kind == "table":  # not symmetric about zero
                place = ordered.index(value) + (1 if value >= 0 else -1)
                place = place if 0 <= place < len(ordered) else ordered.index(value) + (1 if value < 0 else -1)
                expected = abs(ordered[place] - value)
            elif fmt.kind == "int":
                expected = 2.0**-fmt.fraction_bits
            elif abs(value) < magnitudes[-1]:
                expected = magnitudes[magnitudes.index(abs(value)) + 1] - abs(value)
            else:
                expected = 2.0 ** (max(math.floor(math.log2(abs(value))), fmt.emin) - fmt.precision + 1)
            assert actual == math.copysign(expected, value if value else 1), (fmt, value)


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_spacing_as_numpy_has_it(name):
    rng = np.random.default_rng(5)
    info = np.finfo(name)
    x = (rng.standard_normal(300) * np.exp2(rng.integers(info.minexp, info.maxexp - 3, 300))).astype(name)
    x = np.concatenate([x, np.array([0.0, -0.0, info.tiny, info.smallest_subnormal], name)])
    actual = fe.spacing(x, name)
    assert actual.dtype == x.dtype
    np.testing.assert_array_equal(actual, np.spacing(x))
    assert fe.spacing(info.max, name) == info.max - np.nextafter(info.max, np.asarray(0, name))


@pytest.mark.parametrize(("x", "quantum"), [("1e400", 1288), ("1e-400", -1369), ("0", -16422), ("1e4900", 16237)])
def test_spacing_beyond_float64_is_an_error_alone(x, quantum):
    """No warning beside it; what it names has the distance."""
    a = fe.array([x, "1"], "e15m40")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(OverflowError, match=rf"is 2\*\*{quantum} there: no float64; fe\.next_up\(x\) - x has it"):
            fe.spacing(a)
        gap = fe.next_up(a) - a
    assert gap.format.exact(int(gap.codes[0])) == Fraction(2) ** quantum


def test_spacing_finer_than_the_dtype_is_given_in_float64():
    fmt = fe.FloatFormat("f", 16, 8, bias=145, subnormals=False)
    found = fe.spacing(np.float32([2.0**-142, 2.0**-143]), fmt)
    assert (found.dtype, found.tolist()) == (np.float64, [2.0**-149, 2.0**-150])
    assert fe.spacing(np.float32([2.0**-142]), fmt).dtype == np.float32
    assert fe.spacing(np.float16([1.0]), "float64").dtype == np.float64


# -- classify -----------------------------------------------------------------------------------------------------

GFLOAT_CLASSES = {
    (FloatClass.NAN, False): {"QUIET_NAN", "SIGNALING_NAN"},
    (FloatClass.NAN, True): {"QUIET_NAN", "SIGNALING_NAN"},
    (FloatClass.INFINITE, False): {"POSITIVE_INFINITY"},
    (FloatClass.INFINITE, True): {"NEGATIVE_INFINITY"},
    (FloatClass.NORMAL, False): {"POSITIVE_NORMAL"},
    (FloatClass.NORMAL, True): {"NEGATIVE_NORMAL"},
    (FloatClass.SUBNORMAL, False): {"POSITIVE_SUBNORMAL"},
    (FloatClass.SUBNORMAL, True): {"NEGATIVE_SUBNORMAL"},
    (FloatClass.ZERO, False): {"POSITIVE_ZERO"},
    (FloatClass.ZERO, True): {"NEGATIVE_ZERO"},
}
PEERS = {
    **{name: peer for name, peer in families.GFLOAT.items() if peer.k <= 8},
    **{name: families.gfloat_p3109(name) for name in families.p3109_names([3, 4, 7])},
}


@pytest.mark.parametrize("name", PEERS)
def test_classes_as_gfloat_has_them(name):
    classes = fe.classify(np.arange(1 << PEERS[name].k), name)
    assert classes.dtype == np.uint8
    for code, number in enumerate(classes.tolist()):
        peer = gfloat.decode_float(PEERS[name], code)
        assert NumberClass(number).name in GFLOAT_CLASSES[peer.fclass, bool(peer.signbit)], hex(code)


def test_quiet_and_signaling_nans():
    codes = [0x7C00, 0x7C01, 0x7DFF, 0x7E00, 0x7FFF, 0xFC01, 0xFE00]
    assert fe.classify(codes, "float16").tolist() == [7, 8, 8, 9, 9, 8, 9]
    assert fe.classify([0x7F, 0xFF], "e4m3fn").tolist() == [9, 9]
    assert fe.classify([0x80], "e4m3fnuz").tolist() == [9]
    assert fe.classify([0b0111, 0b1111], fe.FloatFormat("p2", 4, 2)).tolist() == [9, 9]


def test_classes_number_as_riscv_numbers_them():
    ordered = [-math.inf, -1.0, -1e-310, -0.0, 0.0, 1e-310, 1.0, math.inf]
    codes = np.array(ordered).view(np.uint64)
    assert fe.classify(codes, "float64").tolist() == list(range(8))
    assert fe.classify(np.uint64([0x7FF0000000000001, 0xFFF8000000000000]), "float64").tolist() == [8, 9]


def test_classes_of_integers_and_codebooks():
    assert fe.classify(range(4), "int2").tolist() == [4, 6, 1, 1]
    assert fe.classify(range(4), "uint2").tolist() == [4, 6, 6, 6]
    assert fe.classify(range(4), fe.IntFormat("s", 2, symmetric=True)).tolist() == [4, 6, 10, 1]
    assert fe.classify(range(4), fe.IntFormat("m", 2, encoding="sign_magnitude")).tolist() == [4, 6, 3, 1]
    assert fe.classify(range(5), fe.TableFormat("t", [-0.0, 3, 0, -3, 3])).tolist() == [3, 6, 10, 1, 10]


def test_classify_takes_one_code_or_an_array_of_a_format():
    assert fe.classify(0xFC, "e5m2") is NumberClass.NEGATIVE_INFINITY
    assert fe.classify(fe.Array([[0x7C, 0x01]], "e5m2")).tolist() == [[7, 5]]
    assert fe.classify(np.zeros((0, 3), np.uint8), "e5m2").shape == (0, 3)


@pytest.mark.parametrize(
    ("codes", "fmt", "error", "words"),
    [
        ([1], None, TypeError, r"plain codes need a format: classify\(codes, fmt\)"),
        ([1.0], "e5m2", TypeError, "codes of float8_e5m2 are unsigned integers"),
        ([256], "e5m2", ValueError, "code 0x100 is out of range"),
        ([-1], "e5m2", ValueError, "out of range"),
        ([16], "nf4", ValueError, "code 0x10 is out of range"),
    ],
)
def test_what_classify_refuses(codes, fmt, error, words):
    with pytest.raises(error, match=words):
        fe.classify(codes, fmt)

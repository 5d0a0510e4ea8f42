"""fpemu.testing: arrays that pass, arrays that fail, and the messages of failures."""

from __future__ import annotations

import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest

import fpemu as fe
from fpemu.testing import assert_max_ulp, assert_same_codes

SMALL = [
    *map(
        fe.dtype,
        [
            "float8_e4m3fn",
            "float8_e5m2",
            "float8_e4m3fnuz",
            "float8_e8m0fnu",
            "float8_e5m3fnu",
            "float4_e2m1fn",
            "binary5p1se",
            "binary6p3uf",
            "int1",
            "int8",
            "uint4",
            "q3.4",
            "uq2.3",
            "nf4",
        ],
    ),
    fe.FloatFormat("no_zero", 6, 3, subnormals=False, zero=False, infinities=False, nan="none"),
    fe.FloatFormat("no_subnormals", 6, 3, subnormals=False),
    fe.IntFormat("symmetric", 5, symmetric=True),
    fe.IntFormat("sign_magnitude", 5, encoding="sign_magnitude"),
    fe.TableFormat("doubled", [3.0, -1.0, 0.0, -0.0, 3.0, 0.5]),
]
WITH_NAN = [fmt for fmt in SMALL if fmt.has("nan")]


def named(fmt):
    return fmt.name


def all_codes(fmt):
    return np.arange(fmt.code_count, dtype=fmt.code_dtype)


def all_pairs(fmt):
    """All pairs of codes: two arrays of codes, and the ranks of their values (none for NaN)."""
    codes, values = all_codes(fmt), fmt.values()
    ranks = {value: rank for rank, value in enumerate(sorted({v + 0.0 for v in values.tolist() if v == v}))}
    of_code = np.array([float(ranks.get(v, np.nan)) for v in values.tolist()])
    return np.meshgrid(codes, codes), np.meshgrid(of_code, of_code)


def failure(assertion, *args, **kwargs):
    """The message of a failing assertion."""
    with pytest.raises(AssertionError) as caught:
        assertion(*args, **kwargs)
    return str(caught.value)


def as_array(codes, fmt):
    return fe.Array.from_codes(codes, fmt)


@pytest.mark.parametrize("fmt", SMALL, ids=named)
def test_same_codes_tells_every_pair_apart(fmt):
    (a, b), _ = all_pairs(fmt)
    assert_same_codes(all_codes(fmt), all_codes(fmt), fmt, nan="exact")
    count = fmt.code_count
    message = failure(assert_same_codes, a, b, fmt, nan="exact")
    assert message.startswith(f"{count * (count - 1):,} of {count * count:,} codes of {fmt} differ")


@pytest.mark.parametrize("fmt", SMALL, ids=named)
def test_same_codes_by_class_of_nan_and_any_zero(fmt):
    (a, b), _ = all_pairs(fmt)
    values = fmt.values()
    nan, zero = np.isnan(values), values == 0
    alike = np.eye(fmt.code_count, dtype=bool) | np.outer(nan, nan) | np.outer(zero, zero)
    assert_same_codes(a[alike], b[alike], fmt, zero="any")
    if not alike.all():
        message = failure(assert_same_codes, a, b, fmt, zero="any")
        assert message.startswith(f"{np.count_nonzero(~alike):,} of ")


@pytest.mark.parametrize("fmt", WITH_NAN, ids=named)
def test_a_nan_is_no_number(fmt):
    nan = all_codes(fmt)[np.isnan(fmt.values())]
    number = np.full_like(nan, 1)
    assert "actual quiet NaN, expected " in failure(assert_same_codes, nan, number, fmt)
    message = failure(assert_max_ulp, as_array(nan, fmt), as_array(number, fmt), fmt, 2**70)
    assert message.startswith(f"{nan.size} of {nan.size} values")
    assert_max_ulp(as_array(nan, fmt), as_array(nan[::-1], fmt), fmt, 0)


@pytest.mark.parametrize("fmt", SMALL, ids=named)
def test_distance_is_the_difference_of_ranks(fmt):
    (a, b), (rank_a, rank_b) = all_pairs(fmt)
    nan_a, nan_b = np.isnan(rank_a), np.isnan(rank_b)
    apart = np.abs(np.nan_to_num(rank_a) - np.nan_to_num(rank_b))
    apart[nan_a & nan_b] = 0
    apart[nan_a != nan_b] = np.inf
    for maxulp in (0, 1, 2, 7, 8, 100):
        within = apart <= maxulp
        assert_max_ulp(as_array(a[within], fmt), as_array(b[within], fmt), fmt, maxulp)
        if not within.all():
            message = failure(assert_max_ulp, as_array(a, fmt), as_array(b, fmt), fmt, maxulp)
            head = f"{np.count_nonzero(~within):,} of {within.size:,} values of {fmt} are more than {maxulp} ulp apart"
            assert message.startswith(head)
            if np.isfinite(apart[~within]).any():
                assert f"largest distance: {int(apart[np.isfinite(apart)].max())} ulp" in message


@pytest.mark.parametrize(
    ("fmt", "low", "high", "steps"),
    [
        ("uint64", 0, 2**64 - 1, 2**64 - 1),
        ("int64", 2**63, 2**63 - 1, 2**64 - 1),
        ("int64", 2**64 - 1, 1, 2),
        ("float64", 0xFFF0000000000000, 0x7FF0000000000000, 2 * 0x7FF0000000000000),
        ("float64", 0x8000000000000001, 1, 2),
        ("float32", 0x80000000, 0, 0),
        ("float32", 0x7F7FFFFF, 0x7F800000, 1),
    ],
)
def test_distance_in_wide_formats(fmt, low, high, steps):
    a, b = (as_array(np.array([code], fe.dtype(fmt).code_dtype), fmt) for code in (low, high))
    assert_max_ulp(a, b, fmt, steps)
    assert_max_ulp(b, a, fmt, steps)
    if steps:
        assert f"largest distance: {steps} ulp at [0]" in failure(assert_max_ulp, b, a, fmt, steps - 1)


def test_a_few_differences_are_all_shown():
    message = failure(assert_same_codes, [[0x38, 0x7E], [0x00, 0x05]], [[0x38, 0x7F], [0x80, 0x88]], "float8_e4m3fn")
    assert message.splitlines() == [
        "3 of 4 codes of float8_e4m3fn differ (75%)",
        "  actual positive zero, expected negative zero: 1",
        "  actual positive subnormal, expected negative normal: 1",
        "  actual positive normal, expected quiet NaN: 1",
        "  largest distance: 13 ulp at [1, 1]",
        "all of them",
        "  index             code  sign|exponent|trailing  value        ulp",
        "  [0, 1]  actual    0x7E  0|1111|110              448          -",
        "          expected  0x7F  0|1111|111              NaN",
        "  [1, 0]  actual    0x00  0|0000|000              0            0",
        "          expected  0x80  1|0000|000              -0",
        "  [1, 1]  actual    0x05  0|0000|101              0.009765625  13",
        "          expected  0x88  1|0001|000              -0.015625",
    ]


def test_many_differences_show_the_first_and_the_worst():
    got = np.arange(100, dtype=np.uint8)
    want = got.copy()
    want[40:] += 1
    want[90] += 9
    want[95] = 0x7F
    message = failure(assert_same_codes, got.reshape(10, 10), want.reshape(10, 10), "float8_e4m3fn")
    lines = message.splitlines()
    assert lines[0] == "60 of 100 codes of float8_e4m3fn differ (60%)"
    assert "  actual positive normal, expected positive normal: 59" in lines
    assert "  largest distance: 10 ulp at [9, 0]" in lines
    first, worst = lines.index("the first 5"), lines.index("the worst 5")
    shown = [
        [line.split()[:2] for line in part if line.startswith("  [")] for part in (lines[first:worst], lines[worst:])
    ]
    assert shown[0] == [["[4,", "0]"], ["[4,", "1]"], ["[4,", "2]"], ["[4,", "3]"], ["[4,", "4]"]]
    assert shown[1] == [["[9,", "5]"], ["[9,", "0]"], ["[4,", "0]"], ["[4,", "1]"], ["[4,", "2]"]]


@pytest.mark.parametrize(
    ("fmt", "actual", "expected", "words"),
    [
        (
            "int8",
            0xFF,
            0x01,
            ["sign|integer", "1|1111111", "-1 ", "actual negative normal, expected positive normal: 1", "2"],
        ),
        ("q3.4", 0x18, 0x80, ["sign|integer|fraction", "0|001|1000", "1.5 ", "-8", "152"]),
        ("uq0.4", 0x8, 0x0, ["fraction", "1000", "0.5 ", "expected positive zero: 1", "8"]),
        ("nf4", 0x0, 0xF, ["index", "0000", "1111", "-1 ", "1", "15"]),
        ("float8_e8m0fnu", 0x7F, 0xFF, ["exponent", "01111111", "1 ", "actual positive normal, expected quiet NaN: 1"]),
        ("float8_e4m3fnuz", 0x80, 0x00, ["1|0000|000", "NaN ", "actual quiet NaN, expected positive zero: 1"]),
        ("float8_e5m3fnu", 0x01, 0x10, ["exponent|trailing", "00000|001", "7.62939453125e-6 ", "15"]),
        ("float8_e5m2", 0x7C, 0xFC, ["inf ", "-inf", "actual positive infinity, expected negative infinity: 1", "248"]),
        ("float16", 0x7C01, 0x7E00, ["0|11111|0000000001", "NaN ", "actual signaling NaN, expected quiet NaN: 1", "-"]),
        ("uint64", 2**64 - 1, 1, ["0xFFFFFFFFFFFFFFFF", "0x0000000000000001", "18446744073709551615 "]),
        ("binary16p1ue", 0xFFFD, 0x8000, ["2**32765 ", "32765"]),
    ],
)
def test_bits_values_and_classes(fmt, actual, expected, words):
    message = failure(assert_same_codes, [actual], [expected], fmt, nan="exact")
    for word in words:
        assert word in message, message


def test_no_dimensions_and_nothing():
    assert_same_codes(np.uint8(3), np.array(3, np.uint8), "e4m3fn")
    assert "()" in failure(assert_same_codes, 3, 4, "e4m3fn")
    assert_same_codes([], [], "e4m3fn")
    assert_same_codes(np.zeros((0, 3), np.uint8), np.zeros((0, 3), np.uint8), "e4m3fn")
    assert_max_ulp(1.0, 1.125, "e4m3fn", 1)
    assert_max_ulp([], [], "e4m3fn", 0)
    for fmt in ("e4m3fn", "ue5m3", "int8", "uint8", "nf4"):
        for pair in ((0, 1), (1, 0)):
            low, high = (as_array(np.array(code, np.uint8), fmt) for code in pair)
            assert_max_ulp(low, high, fmt, 1)
            assert failure(assert_max_ulp, low, high, fmt, 0).startswith("1 of 1 values")


def test_layout_does_not_matter():
    codes = np.arange(24, dtype=np.uint16).reshape(4, 6)
    assert_same_codes(codes.astype(">u2").T[::2], codes.T[::2].copy(), "float16")
    assert_max_ulp(codes.view(np.float16).astype(">f2")[:, ::-1], codes.view(np.float16)[:, ::-1], "float16", 0)


@pytest.mark.parametrize(
    "name", ["bfloat16", "float8_e4m3fn", "float8_e8m0fnu", "float6_e3m2fn", "float4_e2m1fn", "int4"]
)
def test_arrays_of_the_format_itself_are_taken_by_their_bits(name):
    fmt = fe.dtype(name)
    codes = all_codes(fmt)
    own = codes.astype(np.uint8 if fmt.bits < 8 else codes.dtype).view(getattr(ml_dtypes, name))
    assert_same_codes(own, codes, fmt, nan="exact")
    assert_same_codes(as_array(codes, fmt), own, fmt, nan="exact")
    assert_max_ulp(own, as_array(codes, fmt), fmt, 0)
    assert failure(assert_same_codes, own[:2], codes[1:3], fmt).startswith("2 of 2 codes")


def test_codes_in_wider_words_and_lists():
    assert_same_codes(np.array([1, 2], np.uint64), [1, 2], "float4_e2m1fn")
    assert_same_codes([2**64 - 1, 0], np.array([2**64 - 1, 0], np.uint64), "float64", nan="exact")
    assert_same_codes(np.array([-1], np.int8), [0xFF], "int8")
    assert_same_codes(np.array([1.0], np.float32), [0x3F800000], "float32")


def test_values_of_any_type():
    assert_max_ulp(np.array([1, 2], np.int8), [1.0, 2.0], "bfloat16", 0)
    assert_max_ulp(np.array([True, False]), [1.0, -0.0], "bfloat16", 0)
    assert_max_ulp(np.array([2**63 - 1, -(2**63)]), np.array([2**63 - 1, -(2**63)]), "int64", 0)
    assert_max_ulp(np.array([1.5, np.nan, np.inf], ml_dtypes.bfloat16), [1.75, np.nan, 57344.0], "float8_e5m2", 1)


@pytest.mark.parametrize(
    ("value", "fmt"),
    [
        (0.1, "bfloat16"),
        (464.0, "float8_e4m3fn"),
        (1000.0, "float8_e4m3fn"),
        (np.inf, "float8_e4m3fn"),
        (np.nan, "float4_e2m1fn"),
        (-1.0, "float8_e5m3fnu"),
        (0, "float8_e8m0fnu"),
        (2.0**-10, "float8_e4m3fn"),
        (300, "int8"),
        (-1, "uint8"),
        (0.5, "int8"),
        (np.nan, "int8"),
        (0.7, "nf4"),
        (2.0, "nf4"),
        (2**53 + 1, "float64"),
        (2**63 - 1, "float64"),
    ],
)
def test_a_number_that_is_no_value_is_refused(value, fmt):
    name = fe.dtype(fmt).name
    with pytest.raises(
        ValueError, match=rf"^desired\[1\] = .* is not a value of {name}; cast it first: fe.cast\(desired, "
    ):
        assert_max_ulp([1, 1], [1, value], fmt, 1)


def test_a_number_beside_a_wider_value_is_refused():
    """float16's 0.3 casts to the codebook's 0.3, which casts back to float16's."""
    codebook = fe.TableFormat("wider", [0.3, 1.0])
    with pytest.raises(ValueError, match=r"actual\(\) = 0.300048828125 is not a value of wider"):
        assert_max_ulp(np.float16(0.3), np.float16(1.0), codebook, 1)


@pytest.mark.parametrize("fmt", SMALL, ids=named)
def test_every_value_of_a_format_is_one(fmt):
    canonical = slice(None)
    if fmt.name == "symmetric":  # its lowest code is no result of a cast
        canonical = np.arange(fmt.code_count) != 16
        with pytest.raises(ValueError, match=r"actual\[16\] = -16 is not a value of symmetric"):
            assert_max_ulp(fmt.values(), fmt.values(), fmt, 0)
    assert_max_ulp(fmt.values()[canonical], as_array(all_codes(fmt)[canonical], fmt), fmt, 0)


@pytest.mark.parametrize(
    ("args", "error", "words"),
    [
        (
            ([1.0], [1], "e4m3fn"),
            TypeError,
            r"actual must be codes of float8_e4m3fn .* not floats; encode values first",
        ),
        (([1], np.array([1.0]), "e4m3fn"), TypeError, "expected must be codes .* not float64; .*fe.encode"),
        (([1], np.array([1]), "e4m3fn"), TypeError, "not int64"),
        (([True], [1], "e4m3fn"), TypeError, "not bools"),
        ((np.array([1], ml_dtypes.bfloat16), [1], "float16"), TypeError, "not bfloat16"),
        (([1], [[1]], "e4m3fn"), ValueError, r"the shapes differ: \(1,\) and \(1, 1\)"),
        ((3, [3], "e4m3fn"), ValueError, r"the shapes differ: \(\) and \(1,\)"),
        (([1, 16], [1, 1], "fp4"), ValueError, r"actual\[1\] = 0x10 is out of range: .* 0 to 0xf"),
        (([-1], [1], "fp4"), ValueError, r"actual\[0\] = -0x1 is out of range"),
        ((np.array([16], np.uint8), [1], "fp4"), ValueError, "actual: code 0x10 is out of range"),
        (([1], [1], "e4m3nf"), ValueError, "unknown format"),
    ],
)
def test_what_holds_no_codes_is_refused(args, error, words):
    with pytest.raises(error, match=words):
        assert_same_codes(*args)


def test_words_and_numbers_are_checked():
    with pytest.raises(ValueError, match="unknown nan 'any': allowed are class, exact"):
        assert_same_codes([1], [1], "fp4", nan="any")
    with pytest.raises(ValueError, match="unknown zero 'both': allowed are signed, any"):
        assert_same_codes([1], [1], "fp4", zero="both")
    with pytest.raises(ValueError, match="maxulp must be 0 or more, not -1"):
        assert_max_ulp([1], [1], "fp4", -1)
    for wrong in (1.0, True, "1"):
        with pytest.raises(TypeError, match="maxulp must be an int"):
            assert_max_ulp([1], [1], "fp4", wrong)
    with pytest.raises(ValueError, match=r"the shapes differ: \(2,\) and \(1,\)"):
        assert_max_ulp([1, 1], [1], "fp4", 1)
    other = as_array(np.array([1], np.uint8), "float8_e5m2")
    with pytest.raises(ValueError, match="actual has codes of float8_e5m2, not of float8_e4m3fn"):
        assert_same_codes(other, [1], "e4m3fn")
    with pytest.raises(ValueError, match="desired has codes of float8_e5m2, not of float8_e4m3fn"):
        assert_max_ulp([1], other, "e4m3fn", 1)


def test_another_profile_is_no_other_format():
    a = fe.Array.from_codes(np.array([0x80, 3], np.uint8), "float8_e4m3fnuz")
    assert_same_codes(a, [0x80, 3], "binary8p4sf")
    assert_max_ulp(a, a, "binary8p4sf", 0)


def test_inputs_stay_as_they_are():
    got, want = np.array([1, 2], np.uint8), np.array([1, 3], np.uint8)
    failure(assert_same_codes, got, want, "int4")
    assert got.tolist() == [1, 2]
    assert want.tolist() == [1, 3]


def test_works_without_hypothesis():
    script = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "from fpemu.testing import assert_same_codes\n"
        "assert_same_codes([1], [1], 'e4m3fn')\n"
        "try:\n    import fpemu.strategies\n"
        "except ImportError as error:\n    print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == (
        "fpemu.strategies needs hypothesis: pip install hypothesis, or pip install 'fpemu[test]'"
    )

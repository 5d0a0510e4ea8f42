"""fpemu.testing: flags, errors in ulps, and the causes in messages of failures."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

import fpemu as fe
from fpemu.testing import assert_same_codes, assert_same_flags, assert_within_ulps
from fpemu.verification.claims import Claim

E5M2_PAIRS = [part.astype(np.uint8) for part in np.divmod(np.arange(1 << 16), 256)]
FORMATS = ["float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e8m0fnu", "float4_e2m1fn", "int8", "q3.4"]


def failure(assertion, *args, **kwargs):
    """The message of a failing assertion."""
    with pytest.raises(AssertionError) as caught:
        assertion(*args, **kwargs)
    return str(caught.value)


def cause(assertion, *args, **kwargs):
    """The cause in a failure, or None."""
    named = [line for line in failure(assertion, *args, **kwargs).splitlines() if "likely cause: " in line]
    return named[0].partition("likely cause: ")[2] if named else None


# -- causes by the codes alone ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fmt", "actual", "expected", "words"),
    [
        ("float8_e5m2", [0x7B, 0xFB], [0x7C, 0xFC], "the largest value instead of infinity; looks like saturation"),
        ("float8_e5m2", [0x7C, 0xFC], [0x7B, 0xFB], "infinity instead of the largest value; looks like no saturation"),
        ("float8_e4m3fn", [0x7E, 0xFE], [0x7F, 0xFF], "the largest value instead of NaN; looks like saturation"),
        ("float8_e5m2", [0x7C, 0xFC], [0x7E, 0x7F], "infinity instead of NaN"),
        ("float8_e5m2", [0x00, 0x80], [0x03, 0x81], "zero instead of a subnormal; looks like flush to zero"),
        ("float8_e5m2", [0x80, 0x00], [0x00, 0x80], "the sign of zero"),
        ("float8_e5m2", [0x40, 0xC1], [0xC0, 0x41], "the sign bit"),
        ("float8_e5m2", [0x40, 0xC1], [0x41, 0xC2], "one ulp toward zero"),
        ("float8_e5m2", [0x41, 0xC2], [0x40, 0xC1], "one ulp away from zero"),
        ("float8_e5m2", [0x41, 0xC1], [0x40, 0xC2], "one ulp upward"),
        ("float8_e5m2", [0x40, 0xC2], [0x41, 0xC1], "one ulp downward"),
        ("float8_e5m2", [0x40, 0x42, 0xC2], [0x41, 0x41, 0xC1], "one ulp, either way"),
        ("float8_e8m0fnu", [3, 8], [4, 9], "one ulp toward zero"),
        ("int8", [0xFF, 5], [0xFE, 6], "one ulp toward zero"),
        ("int8", [0x00, 7], [0xFF, 6], "one ulp upward"),
    ],
)
def test_differences_of_one_class_are_named(fmt, actual, expected, words):
    assert cause(assert_same_codes, actual, expected, fmt) == f"all {len(actual)} differences: {words}"


def test_payloads_and_signalling_nans():
    assert cause(assert_same_codes, [0x7F, 0xFE], [0x7E, 0x7E], "float8_e5m2", nan="exact") == (
        "all 2 differences: the code of a NaN (its sign or payload)"
    )
    assert cause(assert_same_codes, [0x7D], [0x7E], "float8_e5m2", nan="exact") == (
        "the one difference: signaling NaNs that were not made quiet"
    )


def test_differences_of_two_kinds_have_no_cause():
    assert cause(assert_same_codes, [0x40, 0x7B], [0x42, 0x7C], "float8_e5m2") is None
    assert cause(assert_same_codes, [1], [2], "nf4") is None


# -- causes by rule ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "rules", "words"),
    [
        ("add", {"rounding": "nearest_away"}, "are ties: looks like ties away from zero (rounding='nearest_away')"),
        ("multiply", {"rounding": "toward_zero"}, "looks like rounding toward zero (truncation)"),
        ("divide", {"rounding": "toward_negative"}, "looks like rounding downward (rounding='toward_negative')"),
        ("multiply", {"subnormals_out": "flush_after"}, "looks like subnormals_out='flush_after'"),
        ("multiply", {"subnormals_out": "flush_tiny"}, "looks like subnormals_out='flush_tiny'"),
        ("multiply", {"subnormals_in": "zero"}, "looks like subnormals_in='zero'"),
        ("multiply", {"overflow": "saturate"}, "the largest value instead of infinity; looks like overflow='saturate'"),
        ("add", {"negative_zero": "drop"}, "the sign of zero; looks like negative_zero='drop'"),
    ],
)
def test_the_rule_that_explains_all_is_named(operation, rules, words):
    claim = Claim.of(operation, "float8_e5m2")
    expected, got = claim.answer(*E5M2_PAIRS), claim.replaced(**rules).answer(*E5M2_PAIRS)
    named = cause(assert_same_codes, got, expected, "float8_e5m2", operation=operation, operands=E5M2_PAIRS)
    assert words in named
    assert "do not tell it from" not in named
    also = cause(assert_same_codes, got, expected, "float8_e5m2", operation=claim, operands=E5M2_PAIRS)
    assert also == named


def test_one_more_fault_and_no_rule_explains_all():
    claim = Claim.of("add", "float8_e5m2")
    expected, got = claim.answer(*E5M2_PAIRS), claim.replaced(rounding="nearest_away").answer(*E5M2_PAIRS)
    got[0x3C * 256 + 0x3C] ^= 3  # 1 + 1
    named = cause(assert_same_codes, got, expected, "float8_e5m2", operation="add", operands=E5M2_PAIRS)
    assert named is None


def test_a_cast_of_values_and_its_ties():
    x = np.arange(-64, 64, dtype=np.float32) / 16
    got = fe.encode(x, "float8_e4m3fn", rounding="nearest_toward_zero")
    expected = fe.encode(x, "float8_e4m3fn")
    named = cause(assert_same_codes, got, expected, "float8_e4m3fn", operation="cast", operands=[x])
    ties = np.count_nonzero(got != expected)
    assert named == f"all {ties} differences are ties: looks like ties toward zero (rounding='nearest_toward_zero')"
    named = cause(
        assert_same_codes,
        expected,
        got,
        "float8_e4m3fn",
        operation="cast",
        operands=[x],
        rounding="nearest_toward_zero",
    )
    assert "ties to even" in named


def test_operands_that_tell_two_rules_apart_are_missing():
    named = cause(assert_same_codes, [0x3D], [0x3C], "float8_e5m2", operation="cast", operands=[[np.float32(1.125)]])
    assert "these operands do not distinguish it from" in named


def test_operation_and_operands_come_together():
    with pytest.raises(ValueError, match="together"):
        assert_same_codes([1], [1], "float16", operation="add")
    with pytest.raises(ValueError, match="takes 2 operands, not 1"):
        assert_same_codes([1], [1], "float16", operation="add", operands=[[1.0]])
    with pytest.raises(ValueError, match="takes 2 operands, not 1"):
        assert_same_codes([1], [1], "float16", operation=Claim.of("add", "float16"), operands=[[1.0]])


# -- flags ------------------------------------------------------------------------------------------------------------


def test_flags_of_every_kind_compare():
    bits = np.arange(32, dtype=np.uint8)
    named = {name: bits >> place & 1 == 1 for place, name in enumerate(fe.Flags.NAMES)}
    for x in (bits, fe.Flags(bits), named, bits.tolist()):
        for y in (bits, fe.Flags(bits), named):
            assert_same_flags(x, y)
    for place, name in enumerate(fe.Flags.NAMES):
        others = bits ^ (1 << place)
        message = failure(assert_same_flags, others, bits)
        assert message.startswith("32 of 32 elements raised other flags (100%)")
        assert f"  {name}: 16 raised needlessly, 16 not raised" in message.splitlines()
        assert_same_flags(others, bits, ignore=name)
        assert_same_flags({k: v for k, v in named.items() if k != name}, others)
        with pytest.raises(AssertionError):
            assert_same_flags({name: named[name]}, others)


def test_flags_show_operands():
    x = fe.array([1.0, 2.0, 65504.0], "float16")
    message = failure(
        assert_same_flags, [0, 0, 4], [0, 0, 5], operands=[x, np.uint16([0x3C00, 1, 0x7C00])], fmt="float16"
    )
    assert message.splitlines()[-1].split() == ["[2]", "65504,", "inf", "overflow", "inexact|overflow"]


@pytest.mark.parametrize(
    ("actual", "expected", "words"),
    [
        ([3, 3, 1], [1, 1, 1], "underflow raised beside inexact; looks like tininess detected before rounding"),
        ([1, 1, 1], [3, 3, 1], "underflow not raised; looks like tininess detected after rounding"),
        ([2, 2, 1], [0, 0, 1], "underflow raised where the result is exact"),
        ([0, 0, 0], [1, 5, 0], "no flag is ever raised"),
        ([1, 5, 5, 13], [1, 4, 0, 8], "flags of earlier elements; looks like sticky flags that are not cleared"),
        ([16, 20, 1], [1, 5, 16], "the bits are numbered the other way, as in Arm's FPSR"),
        ([0, 0, 5], [1, 1, 5], "inexact not raised"),
        ([16, 16, 5], [0, 0, 5], "invalid raised needlessly"),
    ],
)
def test_causes_of_flags(actual, expected, words):
    assert cause(assert_same_flags, actual, expected).endswith(words)


def test_flags_without_one_cause():
    assert cause(assert_same_flags, [1, 8], [0, 0]) is None


def test_tininess_is_recognised():
    codes = [part.astype(np.uint8) for part in np.divmod(np.arange(1 << 16), 256)]
    claim = Claim.of("multiply", "float8_e5m2")
    _, after = claim.answer_with_flags(*codes)
    _, before = claim.replaced(tininess="before").answer_with_flags(*codes)
    assert "tininess detected before rounding" in cause(assert_same_flags, before, after)
    assert "tininess detected after rounding" in cause(assert_same_flags, after, before)


@pytest.mark.parametrize(
    ("actual", "error", "words"),
    [
        ([1.0], TypeError, "must be fpemu.Flags"),
        ([32], ValueError, "beyond TestFloat's five: 0x20"),
        ([-1], ValueError, "beyond"),
        ({"inexact": [1]}, TypeError, "array of bool"),
        ({"inexakt": [True]}, ValueError, "unknown flag 'inexakt'"),
        ({}, ValueError, "names no flag"),
        ([1, 1], ValueError, "the shapes differ"),
        ({"inexact": [True], "invalid": [True, False]}, ValueError, "shapes differ"),
    ],
)
def test_what_holds_no_flags_is_refused(actual, error, words):
    with pytest.raises(error, match=words):
        assert_same_flags(actual, [1])
    with pytest.raises(ValueError, match="unknown flag 'x' in ignore"):
        assert_same_flags([1], [1], ignore=["x"])


# -- ulps -------------------------------------------------------------------------------------------------------------


def ulp(x, p, emin, largest):
    """Goldberg's ulp, computed by doubling and halving."""
    x = min(abs(x), largest)
    power = Fraction(2) ** emin
    while power * 2 <= x:
        power *= 2
    return power / 2 ** (p - 1)


LIMITS = {  # precision, emin, largest
    "float8_e5m2": (3, -14, 57344),
    "float8_e4m3fn": (4, -6, 448),
    "float8_e4m3fnuz": (4, -7, 240),
    "float4_e2m1fn": (2, 0, 6),
}


@pytest.mark.parametrize("name", LIMITS)
def test_errors_in_ulps_are_the_exact_ones(name):
    """Every finite value against numbers between, at and beyond its neighbours: passes at its error, fails below it."""
    values = fe.dtype(name).values()
    values = np.unique(values[np.isfinite(values)])
    exact = [Fraction(v) + Fraction(k, 3) * Fraction(values[values > 0][0]) for v in values.tolist() for k in (0, 1, 4)]
    rng = np.random.default_rng(1)
    for number in rng.permutation(np.array(exact, object))[:60]:
        for value in rng.choice(values, 3).tolist():
            error = abs(Fraction(value) - number) / ulp(number, *LIMITS[name])
            assert_within_ulps([value], [number], error, name)
            if error:
                message = failure(assert_within_ulps, [value], [number], error - Fraction(1, 10**9), name)
                assert f"largest error: {float(error):.6g} ulps at [0]" in message


def test_errors_in_ulps_far_beyond_float64():
    """Errors and limits smaller and larger than every float64 are shown in digits."""
    message = failure(assert_within_ulps, [1.0], [1 + Fraction(1, 10**400)], Fraction(1, 10**500), "bfloat16")
    assert "more than 1e-500 ulps off" in message
    assert "largest error: 1.28e-398 ulps" in message  # 2^7 of them
    message = failure(assert_within_ulps, [1.0], [Fraction(2) ** 2000], Fraction(10) ** 300, "bfloat16")
    assert "more than 1e+300 ulps off" in message
    assert "largest error: 8.63758e+565 ulps" in message  # 2^2000 in units of 2^120
    assert_within_ulps([1.0], [Fraction(1, 3)], 10**400, "bfloat16")


@pytest.mark.parametrize("name", ["float8_e5m2", "float8_e4m3fn", "float8_e8m0fnu", "int8", "q3.4"])
def test_rounding_is_within_half_an_ulp_and_truncation_below_one(name):
    fmt = fe.dtype(name)
    ends = {"float8_e8m0fnu": (2.0**-127, 2.0**127), "int8": (-128, 127), "q3.4": (-8, 7.9375)}.get(name, (-448, 448))
    x = np.random.default_rng(2).uniform(*ends, 500)
    assert_within_ulps(fe.cast(x, fmt), x, 0.5, fmt)
    assert_within_ulps(fe.cast(x, fmt, rounding="RTZ"), x, Fraction(2**60 - 1, 2**60), fmt)
    with pytest.raises(AssertionError):
        assert_within_ulps(fe.cast(x, fmt, rounding="RTZ"), x, 0.5, fmt)


def test_overflow_counts_from_the_value_after_the_largest():
    assert_within_ulps([np.inf, -np.inf, np.inf], [61440.0, -61440.0, 1e9], 0.5, "float8_e5m2")
    assert "0.6" in failure(assert_within_ulps, [np.inf], [Fraction(65536) - Fraction(3, 5) * 8192], 0.5, "float8_e5m2")
    assert_within_ulps([57344.0], [61440.0], 0.5, "float8_e5m2")
    assert "largest error: 1 ulps" in failure(assert_within_ulps, [57344.0], [65536.0], 0.5, "float8_e5m2")
    assert "ulps at" in failure(assert_within_ulps, [np.inf], [-1.0], 1000, "float8_e5m2")


def test_nan_infinity_and_zero():
    nan = math.nan
    assert_within_ulps([nan, np.inf, -np.inf, 0.0, -0.0], [nan, np.inf, -np.inf, -0.0, 0.0], 0, "float16")
    for actual, desired in ((nan, 1.0), (1.0, nan), (1.0, np.inf), (np.inf, -np.inf), (nan, np.inf)):
        message = failure(assert_within_ulps, [actual], [desired], 1e9, "float16")
        assert "NaN or infinity against a number: 1" in message
    assert_within_ulps(fe.array([0.0], "float16"), [2.0**-25], 0.5, "float16")
    assert_within_ulps([2.0**-24], [0], 1, "float16")


def test_exact_results_of_any_type():
    third = Fraction(1, 3)
    assert_within_ulps(fe.cast(1 / 3, "float16"), third, 0.5, "float16")
    assert_within_ulps(fe.cast([1 / 3, 2.0], "float16"), [third, 2], 0.5, "float16")
    assert_within_ulps(fe.cast([1 / 3], "float16"), np.array([third], object), 0.5, "float16")
    assert_within_ulps([1.0], fe.array([1.0], "bfloat16"), 0, "float16")
    assert_within_ulps([4.0], np.int64([4]), 0, "float16")
    assert_within_ulps([], [], 0, "float16")


@pytest.mark.parametrize(
    ("args", "error", "words"),
    [
        (([1.0], [1.0], True, "float16"), TypeError, "ulps must be a number, not bool"),
        (([1.0], [1.0], "1", "float16"), TypeError, "ulps must be a number, not str"),
        (([1.0], [1.0], -1, "float16"), ValueError, "ulps must be 0 or more"),
        (([1.0], [1.0], math.nan, "float16"), ValueError, "ulps must be 0 or more and finite"),
        (([1.0], [1.0], 1, "nf4"), ValueError, "nf4 is a codebook"),
        (([1.0], [1.0, 2.0], 1, "float16"), ValueError, "the shapes differ"),
        (([0.1], [0.1], 1, "float16"), ValueError, "is not a value of float16"),
        (([1.0], np.array([None], object), 1, "float16"), TypeError, "NoneType has no exact value"),
        (([1.0], ["one"], 1, "float16"), ValueError, "not a number"),
    ],
)
def test_bad_input_of_ulps(args, error, words):
    with pytest.raises(error, match=words):
        assert_within_ulps(*args)


def test_flags_that_nobody_compares_are_no_success():
    """An assertion must have something to compare."""
    for actual, expected, how in (
        ({"inexact": [True]}, {"invalid": [True]}, {}),
        ({"inexact": [True]}, np.uint8([1]), {"ignore": "inexact"}),
        (np.uint8([1]), np.uint8([2]), {"ignore": fe.Flags.NAMES}),
    ):
        with pytest.raises(ValueError, match="no flag is left to compare: actual has inexact"):
            assert_same_flags(actual, expected, **how)
    x = fe.array([1.0, 2.0], "float16")
    with pytest.raises(ValueError, match=r"operands\[1\] is of shape \(2,\), the flags are of \(1,\)"):
        assert_same_flags(np.uint8([1]), np.uint8([2]), operands=[x[:1], x])


def test_unknown_operations_are_told_briefly():
    """A message has at most 300 characters, however long the name in it is."""
    for name in ("foo", "ad", "x" * 1000):
        with pytest.raises(ValueError, match="no operation") as error:
            assert_same_codes(np.uint8([0]), np.uint8([0]), "float8_e5m2", operation=name, operands=[1])
        assert len(str(error.value)) <= 300

"""Every operation under every named profile and every rounding, against the specification and MPFR."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import fpemu as fe
from fpemu.arithmetic.options import DEFAULTS
from fpemu.inspection.operations import OPERATIONS
from tests.kernels.test_arithmetic import expected, some
from tests.kernels.test_elementary import divided, oracle
from tests.oracle import mpfr, spec
from tests.oracle.compare import DETERMINISTIC, assert_same_codes
from tests.oracle.spec import stochastic_up
from tests.oracle.spec_arithmetic import goes_up, rounded

FORMATS = [
    *("float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu", "float4_e2m1fn", "binary8p3se"),
    *("float16", "bfloat16", "float64", "int8", "q3.4"),
]
# Kept by tests of their own: signs change a bit alone (kernels.test_operations.test_signs)
SIGNS = ("absolute", "negative", "copysign")
ELEMENTARY = (*mpfr.FUNCTIONS, "pow")
OPERATIONS_ASKED = sorted({*OPERATIONS, "convert"} - {*SIGNS, *ELEMENTARY})
STOCHASTIC = fe.Stochastic("A", 8)
COUNT = 10  # operands for each operation, profile, rounding and format
N = fe.dtype("int16")


def cases():
    """Profile names and formats; a pair whose rules are those of an earlier one stands once."""
    known, found = set(), []
    for name in fe.profile_names():
        for format_name in FORMATS:
            fmt = fe.dtype(format_name)
            try:
                rules = fmt.check_profile(fe.profile(name))
            except ValueError:  # an outcome of the profile does not exist in the format
                continue
            if (fmt, rules) not in known:
                known.add((fmt, rules))
                found.append((name, format_name))
    return found


CASES = cases()


def test_all_operations_are_asked():
    """An operation that is new in the package is asked too, or named above."""
    operations = set()
    for name in fe.__all__:
        function = getattr(fe, name)
        if callable(function) and not isinstance(function, type):
            parameters = inspect.signature(function).parameters
            if set(DEFAULTS) - {"result"} <= set(parameters) and "axis" not in parameters:
                operations.add(name)
    shifts = {"left_shift", "right_shift"}  # scaleb, as integers know it
    assert operations - shifts - {"dot"} == {*OPERATIONS_ASKED, *ELEMENTARY, *SIGNS}


def numbers_without_nan_signs(codes, fmt):
    """Codes, with one number for all NaN."""
    nan = np.array([spec.decode(code, fmt).kind == "nan" for code in codes.tolist()])
    return np.where(nan, 1 << 63, codes.astype(np.uint64))


def compare(name, arrays, target, rules, codes, flags, random_bits=None):
    """Fpemu's codes and flags are these; of NaN whether there is one, where the profile passes on an operand's."""
    options = {"fmt" if name == "convert" else "result": target, "profile": rules}
    if random_bits is not None:
        options["random_bits"] = random_bits
    if rules.through.value == "none":
        actual, raised = getattr(fe, name)(*arrays, return_flags=True, **options)
        if flags is not None:
            np.testing.assert_array_equal(raised.bits, flags, f"{name}, {rules}, {[a.codes for a in arrays]}")
    else:
        actual = getattr(fe, name)(*arrays, **options)
    found = actual.codes.astype(np.uint64)
    if rules.nan_result.value != "canonical" or rules.invalid_nan.value != "positive":
        found, codes = (numbers_without_nan_signs(each, target) for each in (found, codes))
    label = np.arange(codes.size)
    assert_same_codes(found, codes.astype(np.uint64), label, target, f"{name}, {[a.codes for a in arrays]}, {rules}")


def operands_of(name, fmt, seed):
    """Codes of an operation's operands, and their formats."""
    arity = 1 if name == "convert" else OPERATIONS[name].operands
    formats = [fmt] * arity
    if name == "scaleb":
        return [some(fmt, COUNT, seed), some(N, COUNT, seed) >> np.uint16(seed % 12)], [fmt, N]
    return [some(fmt, COUNT, seed + place) for place in range(arity)], formats


@pytest.mark.parametrize(("profile_name", "format_name"), CASES, ids=lambda word: word)
def test_every_operation_under_every_profile(profile_name, format_name):
    """Results of the operands' format, and of another; every rounding in turn, with flags."""
    fmt, profile = fe.dtype(format_name), fe.profile(profile_name)
    modes = [*DETERMINISTIC, STOCHASTIC] if fmt.kind != "table" else DETERMINISTIC
    for seed, mode in enumerate(modes):
        try:
            rules = fmt.check_profile(profile.replace(rounding=mode))
        except ValueError:
            continue
        randoms = None
        if mode is STOCHASTIC:
            randoms = np.random.default_rng(seed).integers(0, 256, COUNT, dtype=np.uint64)
        for number, name in enumerate(OPERATIONS_ASKED):
            if mode is STOCHASTIC and name == "round_to_integral":
                continue  # below
            sources = [fmt] if number % 3 else [fmt, fe.dtype("float32")]
            for source in sources:
                operands, formats = operands_of(name, source, 20 * seed + number)
                if rules.overflow.value == "wrap" and not may_wrap(name, formats):
                    continue
                if rules.float_to_int_invalid.value != "standard" and fmt.kind == "int":
                    continue  # kernels.test_nans
                codes, flags = expected(name, operands, formats, fmt, rules, randoms, exact=name == "convert")
                arrays = [fe.Array(c, f) for c, f in zip(operands, formats, strict=True)]
                compare(name, arrays, fmt, rules, codes, flags, randoms)


def may_wrap(name, formats):
    """Whether an operation's exact result has digits enough for overflow="wrap" (`operation.check_wrap`)."""
    carried = ("convert", "round_to_integral", "scaleb", "logb", "fmod", "ieee_remainder")
    if name in carried or name.startswith(("minimum", "maximum")):
        return True
    return name in ("add", "subtract", "multiply", "fma") and all(fmt.kind == "int" for fmt in formats)


@pytest.mark.parametrize(("profile_name", "format_name"), CASES, ids=lambda word: word)
def test_every_function_under_every_profile(profile_name, format_name):
    """Elementary functions: MPFR's values, rounded by the specification."""
    fmt, profile = fe.dtype(format_name), fe.profile(profile_name)
    source = fmt if fmt.bits <= 8 else fe.dtype("float8_e5m2")
    for seed, mode in enumerate((*DETERMINISTIC, STOCHASTIC)):
        try:
            rules = fmt.check_profile(profile.replace(rounding=mode))
        except ValueError:
            continue
        if rules.overflow.value == "wrap" or (rules.float_to_int_invalid.value != "standard" and fmt.kind == "int"):
            continue  # refused; kernels.test_nans
        randoms = None
        if mode is STOCHASTIC:
            randoms = np.random.default_rng(seed).integers(0, 256, COUNT, dtype=np.uint64)
        for number, name in enumerate(ELEMENTARY):
            arity = 2 if name == "pow" else 1
            operands = [some(source, COUNT, 30 * seed + number + place) for place in range(arity)]
            numbers, flags = oracle(name, operands, [source] * arity, rules.subnormals_in.value)
            numbers = divided(name, numbers, flags, rules)
            codes, raised = rounded(numbers, flags, fmt, rules.replace(subnormals_in="keep"), randoms)
            arrays = [fe.Array(c, source) for c in operands]
            compare(name, arrays, fmt, rules, codes, raised, randoms)


@pytest.mark.parametrize("profile_name", ["ieee", "torch", "ml_dtypes"])
@pytest.mark.parametrize("mode", [fe.Stochastic("A", 4), fe.Stochastic("B", 3), fe.Stochastic("C", 2)], ids=str)
def test_stochastic_integers(profile_name, mode):
    """Round_to_integral draws for the integer, and what holds that integer keeps it: bfloat16 through float32 too."""
    fmt = fe.dtype("bfloat16")
    codes = np.repeat(fe.encode(np.linspace(-20, 20, 64), fmt), 1 << mode.bits)
    randoms = np.tile(np.arange(1 << mode.bits), 64)
    found = fe.round_to_integral(fe.Array(codes, fmt), rounding=mode, random_bits=randoms, profile=profile_name)
    right = []
    for code, random in zip(codes.tolist(), randoms.tolist(), strict=True):
        number = spec.decode(code, fmt)
        unit = 1 << max(-number.exponent, 0)
        integer, rest = divmod(number.significand << max(number.exponent, 0), unit)
        integer += bool(rest) and stochastic_up(rest, unit, mode, random)
        right.append(-float(integer) if number.negative else float(integer))
    np.testing.assert_array_equal(found.values, right)
    many = fe.round_to_integral(
        fe.Array(np.resize(codes, 40000), fmt), rounding=mode, profile=profile_name, rng=3, rng_offset=7
    )
    one = fe.round_to_integral(fe.Array(codes[:5], fmt), rounding=mode, profile=profile_name, rng=3, rng_offset=7)
    np.testing.assert_array_equal(many.codes[:5], one.codes)


@pytest.mark.parametrize("profile_name", ["torch", "ml_dtypes", "torch-2.11", "ieee", "numpy"])
def test_floor_and_its_kind(profile_name):
    """Numpy's roundings to integers, on Arrays, every bfloat16."""
    fmt = fe.dtype("bfloat16")
    a = fe.Array(np.arange(1 << 16, dtype=np.uint16), fmt, profile=profile_name)
    kinds = {"floor": "toward_negative", "ceil": "toward_positive", "trunc": "toward_zero", "rint": "nearest_even"}
    for name, mode in kinds.items():
        found = getattr(np, name)(a)
        with np.errstate(invalid="ignore"):
            right = getattr(np, name)(a.values)
        np.testing.assert_array_equal(found.values, right)
        number = ~np.isnan(right)
        np.testing.assert_array_equal(np.signbit(found.values)[number], np.signbit(right)[number])
        assert goes_up(mode, True, False, 1, 4) == (name == "floor")
    few = fe.array([0.3, -0.3, 0.7, 1.5], "bfloat16", profile=profile_name)
    assert np.floor(few).values.tolist() == [0, -1, 0, 1]


def test_p3109_divisions_by_zero():
    """Interim report 4.0: Divide(x, 0), Recip(0), RSqrt(0) are NaN; flags as IEEE 754 has them."""
    for name in ("binary8p4se", "binary8p3sf", "binary8p3ue"):
        x = fe.array([1.0, 0.0, 2.0], name)
        found, flags = fe.divide(x, 0.0, return_flags=True)
        assert np.isnan(found.values).all()
        assert flags.divide_by_zero.tolist() == [True, False, True]
        assert flags.invalid.tolist() == [False, True, False]
        for function in (fe.reciprocal, fe.rsqrt):
            found, flags = function(fe.array([0.0, 4.0], name), return_flags=True)
            assert np.isnan(found.values).tolist() == [True, False]
            assert flags.divide_by_zero.tolist() == [True, False]
    infinite, flags = fe.divide(float("inf"), fe.array(0.0, "binary8p4se"), return_flags=True)
    assert np.isnan(infinite.values)
    assert flags.invalid
    assert np.isnan(fe.divide(1.0, 0.0, result="binary8p4se"))
    assert fe.divide(1.0, 0.0, result="binary8p4se", profile="ieee") == np.inf
    assert fe.logb(fe.array(0.0, "binary8p4se")).values == -np.inf
    many = fe.divide(
        fe.array(np.ones(1 << 14), "float16"), 0.0, profile=fe.profile("ieee").replace(division_by_zero="nan")
    )
    assert np.isnan(many.values).all()


# -- minimum and maximum as they were, and as CPUs have them ----------------------------------------------------------


def right_extremum(rule, larger, x, y, x_code, y_code, fmt):
    """MINPS by Intel's pseudocode, minNum by IEEE 754-2008's text: a code (None: any NaN), and whether invalid."""
    x_nan, y_nan = x.kind == "nan", y.kind == "nan"
    signals = any(n.payload and n.payload[0] < 1 << (n.payload[1] - 1) for n in (x, y))
    half = 1 << (fmt.bits - 1)
    keys = [-(c - half) if c >= half else c for c in (x_code, y_code)]  # zeros alike
    if rule == "x86":
        if x_nan or y_nan or keys == [0, 0]:
            return y_code, x_nan or y_nan
        first = keys[0] > keys[1] if larger else keys[0] < keys[1]
        return (x_code if first else y_code), False
    if signals or (x_nan and y_nan):
        return None, signals
    if x_nan or y_nan:
        return (y_code if x_nan else x_code), False
    ordered = sorted([(keys[0], -(x_code >= half), x_code), (keys[1], -(y_code >= half), y_code)])
    return ordered[larger][2], False


@pytest.mark.parametrize("rule", ["2008", "x86", "arm"])
@pytest.mark.parametrize("name", ["minimum", "maximum"])
def test_other_extrema(name, rule):
    """Every pair of codes of an 8-bit format; many and few."""
    fmt = fe.dtype("float8_e5m2")
    codes = np.arange(256, dtype=np.uint8)
    x, y = np.repeat(codes, 256), np.tile(codes, 256)
    found, flags = getattr(fe, name)(fe.Array(x, fmt), fe.Array(y, fmt), extremum=rule, return_flags=True)
    numbers = [spec.decode(code, fmt) for code in range(256)]
    for i, (a, b) in enumerate(zip(x.tolist(), y.tolist(), strict=True)):
        code, invalid = right_extremum(rule, name == "maximum", numbers[a], numbers[b], a, b, fmt)
        assert found.codes[i] == (fmt.nan_code if code is None else code), (hex(a), hex(b))
        assert flags.bits[i] == 16 * invalid, (hex(a), hex(b))
    few = getattr(fe, name)(fe.Array(x[:40], fmt), fe.Array(y[:40], fmt), extremum=rule)
    np.testing.assert_array_equal(few.codes, found.codes[:40])


def test_words_of_extrema():
    with pytest.raises(ValueError, match="unknown extremum 'sse': allowed are 2019, 2008, x86, arm"):
        fe.minimum(1.0, 2.0, result="float16", extremum="sse")
    with pytest.raises(TypeError, match="extremum"):
        fe.maximum(1.0, 2.0, result="float16", extremum=2008)
    with pytest.raises(TypeError, match="extremum"):
        fe.minimum_number(1.0, 2.0, result="float16", extremum="x86")


# -- comparisons, quiet and signalling --------------------------------------------------------------------------------

COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")


@pytest.mark.parametrize("name", COMPARISONS)
@pytest.mark.parametrize("signaling", [True, False, None])
def test_quiet_and_signaling_comparisons(name, signaling):
    """IEEE 754-2019 clause 5.11: the truth is the same, a quiet NaN is invalid where the comparison is signalling."""
    fmt = fe.dtype("float8_e5m2")
    codes = np.arange(256, dtype=np.uint8)
    x, y = fe.Array(codes[:, None], fmt), fe.Array(codes, fmt)
    options = {} if signaling is None else {"signaling": signaling}
    found, flags = getattr(fe, name)(x, y, return_flags=True, **options)
    np.testing.assert_array_equal(found, getattr(np, name)(x.values, y.values))
    payloads = [spec.decode(code, fmt).payload for code in range(256)]
    nan = np.array([p is not None for p in payloads])
    signals = np.array([p is not None and p[0] < 1 << (p[1] - 1) for p in payloads])
    raises = name not in ("equal", "not_equal") if signaling is None else signaling
    kind = nan if raises else signals
    np.testing.assert_array_equal(flags.invalid, kind[:, None] | kind)
    with pytest.raises(TypeError, match="signaling must be a bool"):
        getattr(fe, name)(x, y, signaling=1)
    with pytest.raises(TypeError, match="signaling must be a bool"):
        getattr(fe, name)(x, y, signaling=None)


def test_errstate_follows_the_kind():
    with fe.errstate(invalid="raise"):
        fe.less([1.0], [float("nan")], signaling=False)
        with pytest.raises(FloatingPointError):
            fe.less([1.0], [float("nan")])
        with pytest.raises(FloatingPointError):
            fe.equal([1.0], [float("nan")], signaling=True)

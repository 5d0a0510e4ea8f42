"""Operations, sums and comparisons of numbers that no format holds, beside kernels, fractions and the specification."""

from __future__ import annotations

import itertools
from decimal import Decimal
from fractions import Fraction

import gmpy2
import numpy as np
import pytest

import fpemu as fe
from fpemu.arithmetic import operation
from fpemu.casting.sequences import Rest
from fpemu.formats.facts.literals import read
from tests.oracle import mpfr, spec
from tests.oracle.exact_numbers import HARD, THIRD, N, number
from tests.oracle.spec_arithmetic import rounded

ROUNDINGS = [rounding.value for rounding in fe.Rounding]


# -- operations -------------------------------------------------------------------------------------------------------

ONE_OPERAND = ("sqrt", "round_to_integral", "convert", "absolute", "negative", "logb")
TWO = ("add", "subtract", "multiply", "divide", "fmod", "ieee_remainder", "copysign")
TWO += ("minimum", "maximum", "minimum_number", "maximum_number")
SOME = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    1.5,
    2.5,
    -0.75,
    3.0,
    448.0,
    1e-3,
    1e5,
    -1e-40,
    2.0**-1074,
    1e300,
    np.inf,
    -np.inf,
    np.nan,
]
SOME.append(float(np.array([0x7FF4 << 48], np.uint64).view(np.float64)[0]))


def as_rests(operands):
    """As `as_operands`, but every second finite number that is not 0 is taken for one that no format holds."""
    sources, _ = operation.as_operands(operands)
    found, rests = [], []
    for codes, fmt in sources:
        if fmt != fe.dtype("float64"):
            found.append((codes, fmt))
            rests.append(None)
            continue
        flat = np.array(codes).reshape(-1)
        x = flat.view(np.float64)
        places = np.flatnonzero(np.isfinite(x) & (x != 0) & (np.arange(x.size) % 2 == 0))
        numbers = [Fraction(each) for each in x[places].tolist()]
        x[places] = np.copysign(1.0, x[places])
        found.append((flat.reshape(codes.shape), fmt))
        rests.append(Rest(places, numbers))
    return found, rests


def calls():
    """Every operation on all pairs of some numbers."""
    x, y = (np.array(each) for each in zip(*itertools.product(SOME, SOME), strict=True))
    for name in ONE_OPERAND:
        yield name, (np.array(SOME * 2 + SOME[:1]),)
    for name in TWO:
        yield name, (x, y)
    yield "fma", (x, y, np.roll(x, 5))
    with np.errstate(all="ignore"):
        yield "fma", (x, y, -(x * y))
    yield "scaleb", (x, np.resize(np.array([0, 3, -7, 2**62, -(2**62)]), x.size))


CALLS = list(calls())


@pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")
@pytest.mark.parametrize("fmt", ["float8_e4m3fn", "bfloat16", "float64", "int8", "float8_e8m0fnu", "uint4"])
@pytest.mark.parametrize(("name", "operands"), CALLS, ids=[f"{name}{i}" for i, (name, _) in enumerate(CALLS)])
def test_operations_as_in_kernels(name, operands, fmt, monkeypatch):
    """Numbers that a format does hold give the same bits and flags in fractions: specials, zeros, all rules."""
    function = getattr(fe, name)
    profiles = ["ieee", "riscv", "x86-sse", fe.profile("ieee").replace(subnormals_out="flush_before", nan="zero")]
    if name in ("absolute", "negative", "copysign") and fmt == "float64":
        profiles.pop()  # in their own format signs change no other bit: nothing is flushed
    rules = [{"rounding": rounding} for rounding in (*ROUNDINGS[::2], "toward_negative", fe.Stochastic("C", bits=5))]
    rules += [{"profile": each} for each in (*profiles, "torch")]
    if name in ("minimum", "maximum"):
        rules += [{"extremum": each} for each in ("2008", "x86", "arm")]
    for how in rules:
        how = {"rng": 3, "rng_offset": 11, **how} if isinstance(how.get("rounding"), fe.Stochastic) else how
        for exact in (True, False) if name in ("convert", "round_to_integral") else (None,):
            how = how if exact is None else {**how, "exact": exact}
            at = (fmt,) if name == "convert" else ()
            to = {} if name == "convert" else {"result": fmt}
            out = [np.zeros(operands[0].shape, fe.dtype(fmt).code_dtype) for _ in range(2)]
            flags = {} if how.get("profile") == "torch" else {"return_flags": True}
            try:
                want = function(*operands, *at, **to, **how, **flags, out=out[0])
            except ValueError:
                continue
            with monkeypatch.context() as patch:
                patch.setattr(operation, "as_operands", lambda x, real=operation.as_operands: _forced(x, real))
                got = function(*operands, *at, **to, **how, **flags, out=out[1])
            np.testing.assert_array_equal(out[1], out[0], str(how))
            if flags:
                np.testing.assert_array_equal(got[1].bits, want[1].bits, str(how))


def _forced(operands, real):
    patched = operation.as_operands
    operation.as_operands = real
    try:
        return as_rests(operands)
    finally:
        operation.as_operands = patched


@pytest.mark.parametrize("fmt", ["float8_e4m3fn", "bfloat16", "float64", "int8"])
def test_operations_on_hard_numbers(fmt):
    """Against the specification, and fractions: operands that no format holds, beside others."""
    found = fe.dtype(fmt)
    few = [*[x for x in HARD if abs(x.numerator) < 2**130 and x.denominator < 2**150][:24], 0.5, -3.0]
    x, y = (list(each) for each in zip(*itertools.product(few, few), strict=True))
    for rounding in ("nearest_even", "toward_negative", "to_odd"):
        rules = found.check_profile(found.profile.replace(rounding=rounding))
        for name, exact in [
            ("add", lambda a, b: a + b),
            ("subtract", lambda a, b: a - b),
            ("multiply", lambda a, b: a * b),
            ("divide", lambda a, b: a / b),
            ("minimum", min),
            ("maximum", max),
            ("fmod", lambda a, b: a - b * int(a / b)),
        ]:
            pairs = [(a, b) for a, b in zip(map(Fraction, x), map(Fraction, y), strict=True) if exact(a, b)]
            got = getattr(fe, name)(*zip(*pairs, strict=True), result=fmt, rounding=rounding, out=None)
            codes = fe.encode(got, fmt) if fmt != "float64" else np.asarray(got).view(np.uint64)
            want = spec.encode([number(exact(a, b)) for a, b in pairs], found, rules)
            np.testing.assert_array_equal(codes, want, name)


def test_exact_cancellation():
    """Sums and products that end at 0 or far below their operands: x + y is 0, and its sign, from no float64."""
    for rounding, minus in (("nearest_even", False), ("toward_negative", True)):
        found, flags = fe.add([N, THIRD], [-N, -THIRD], result="float32", rounding=rounding, return_flags=True)
        assert np.signbit(found).tolist() == [minus] * 2
        assert not flags.bits.any()
        assert np.signbit(fe.fma(THIRD, 3, -1, result="float32", rounding=rounding)) == minus
        assert np.signbit(fe.sum([THIRD, -THIRD], result="float32", rounding=rounding)) == minus
    assert fe.fma(THIRD, 3, [-1, 1, np.inf], result="float32").tolist() == [0, 2, np.inf]
    assert fe.subtract(2**100 + 1, 2**100, result="float16") == 1
    assert fe.subtract(fe.array(N, "int64"), [N - 1, 0.5], result="int64").values.tolist()[0] == 1
    assert fe.fmod(2**70, 3, result="float16") == 2**70 % 3
    roots = [fe.sqrt(Fraction(1, 9), result="float64", rounding=f"toward_{way}") for way in ("negative", "positive")]
    assert Fraction(float(roots[0])) < THIRD < Fraction(float(roots[1]))
    assert np.nextafter(*roots) == roots[1]
    found, flags = fe.sqrt([Fraction(4, 9), 2**200, Fraction(-1, 9)], result="float64", return_flags=True)
    assert found[1] == 2.0**100
    assert flags.bits.tolist() == [1, 0, 16]


def test_flags_and_errstate():
    found, flags = fe.convert([10**30, THIRD, "300.5"], "int8", return_flags=True)
    assert found.tolist() == [127, 0, 127]
    assert flags.bits.tolist() == [16, 1, 16]  # they count as floats
    found, flags = fe.convert([10**30, 2], "int8", return_flags=True)
    assert flags.bits.tolist() == [5, 0]  # integers alone are integers
    assert fe.add("1e400", 0, result="float64", return_flags=True)[1].bits == 5
    assert fe.add("1e-400", 0, result="float64", return_flags=True)[1].bits == 3
    out = np.full(2, 7, np.uint32)
    with fe.errstate(inexact="raise"), pytest.raises(FloatingPointError, match=r"add\(1/3, 2\)"):
        fe.add([0.5, THIRD], [1, 2], result="float32", out=out)
    assert out.tolist() == [7, 7]
    a = fe.array([1.0, 2.0], "bfloat16")
    fe.add(a, [THIRD, N], out=a.codes)
    assert a.codes.tolist() == fe.encode([THIRD + 1, N + 2], "bfloat16").tolist()
    with fe.errstate(inexact="raise"):
        assert fe.add([THIRD, N], [-THIRD, -N], result="float32").tolist() == [0, 0]


# -- elementary functions ---------------------------------------------------------------------------------------------

# Where digits cancel: beside 1 and multiples of pi, and so small that values lie beside 1, 1/2 or the operand
NEAR = [
    *(s * (1 + t * THIRD / 2**k) for k in (1, 20, 140, 600) for s in (1, -1) for t in (1, -1)),
    *(s * (1 + THIRD / 2**k) / 2**50 for k in (3, 200) for s in (1, -1)),
    *(Fraction(n, d) * s for n, d in ((355, 113), (245850922, 78256779)) for s in (1, -1, Fraction(1, 2))),
    Fraction(245850922, 78256779) * 2**70,
]
RATIONALS = [x for x in [*HARD, *NEAR] if x not in (1, -1)]
TARGETS = ["bfloat16", "float8_e4m3fn", "float64", "int8", "e15m40", "float8_e8m0fnu"]


def check(name, operands, exact, fmt, rounding):
    """Fpemu gives these numbers, rounded by the specification, and their flags."""
    found = fe.dtype(fmt)
    rules = found.check_profile(found.profile.replace(rounding=rounding))
    numbers, flags = zip(*exact, strict=True)
    codes, flags = rounded(list(numbers), list(flags), found, rules)
    out = np.zeros(len(codes), found.code_dtype)
    raised = getattr(fe, name)(*operands, result=fmt, rounding=rounding, return_flags=True, out=out)[1]
    np.testing.assert_array_equal(out, codes, f"{name}, {rounding}")
    if flags is not None:
        np.testing.assert_array_equal(raised.bits, flags, f"{name}, {rounding}")


def exact_value(name, *x):
    """A function's value: a fraction where it is one, else MPFR's digits."""
    if name == "reciprocal":
        return number(1 / x[0]), 0
    if name == "pow" and x[1].denominator == 1:
        return number(x[0] ** int(x[1])), 0
    if name in ("rsqrt", "pow") and x[0] > 0:
        power = Fraction(-1, 2) if name == "rsqrt" else x[1]
        degree = min(power.denominator, 10**6)  # there is no other root of so high a degree than 1
        roots = [gmpy2.iroot(int(n), degree) for n in (x[0].numerator, x[0].denominator)]
        if all(exact for _, exact in roots):
            return number(Fraction(*(int(n) for n, _ in roots)) ** power.numerator), 0
    return mpfr.of_fractions(name, *x)


@pytest.mark.parametrize("name", mpfr.FUNCTIONS)
def test_elementary_functions(name):
    """Of numbers that no format holds, rounded once: beside MPFR, every target and mode."""
    x = [*RATIONALS, Fraction(1, 9), Fraction(4, 25), Fraction(9, 2)]
    exact = [exact_value(name, each) for each in x]
    for fmt, rounding in itertools.product(TARGETS, ROUNDINGS):
        check(name, (x,), exact, fmt, rounding)


def test_powers():
    bases = [THIRD, Fraction(1, 9), Fraction(8, 27), Fraction(4), N, 1 - THIRD / 2**200, Fraction(1, 10), 10**30]
    exponents = [
        2,
        -3,
        9,
        Fraction(1, 2),
        Fraction(-2, 3),
        Fraction(3, 2),
        THIRD,
        Fraction(1, 10),
        -THIRD / 2**150,
        1000,
    ]
    x, y = (list(map(Fraction, each)) for each in zip(*itertools.product(bases, exponents), strict=True))
    exact = [exact_value("pow", *each) for each in zip(x, y, strict=True)]
    for fmt, rounding in itertools.product(TARGETS, ROUNDINGS):
        check("pow", (x, y), exact, fmt, rounding)


def test_powers_special_values():
    """IEEE 754-2019 clause 9.2.1, where one of the two is a number that no format holds."""
    inf, nan = np.inf, np.nan
    signalling = float(np.array([0x7FF4 << 48], np.uint64).view(np.float64)[0])
    odd, even, far = 2**70 + 1, 2**70 + 2**9, "1e1000000"
    for x, y, want, flag in [
        (THIRD, inf, 0, 0),
        (THIRD, -inf, inf, 0),
        (-N, inf, inf, 0),
        (far, inf, inf, 0),
        (far, -inf, 0, 0),
        (inf, -THIRD, 0, 0),
        (-inf, odd, -inf, 0),
        (-inf, -odd, -0.0, 0),
        (-inf, even, inf, 0),
        (-inf, THIRD, inf, 0),
        (0.0, THIRD, 0, 0),
        (-0.0, odd, -0.0, 0),
        (-0.0, -odd, -inf, 8),
        (-0.0, -even, inf, 8),
        (0.0, -THIRD, inf, 8),
        (-1.0, odd, -1, 0),
        (-1.0, even, 1, 0),
        (1.0, THIRD, 1, 0),
        (1.0, far, 1, 0),
        (THIRD, 0.0, 1, 0),
        (far, -0.0, 1, 0),
        (nan, THIRD, nan, 0),
        (THIRD, nan, nan, 0),
        (THIRD, signalling, nan, 16),
        (-THIRD, THIRD, nan, 16),
        (-THIRD, 0.5, nan, 16),
        (2.0, odd, inf, 5),
        (0.5, odd, 0, 3),
        (-3.0, odd, -inf, 5),
        (THIRD, 2**400 + 1, 0, 3),
        (THIRD, -(2**400) - 1, inf, 5),
    ]:
        found, flags = fe.pow([x, 0.1], [y, THIRD], result="float64", return_flags=True)
        np.testing.assert_array_equal(found[0], want, f"{x}, {y}")
        assert np.signbit(found[0]) == np.signbit(want) or np.isnan(want), (x, y)
        assert flags.bits[0] == flag, (x, y)
    with pytest.raises(ValueError, match="too far away"):
        fe.pow(far, 2, result="float64")
    first = fe.profile("x86-sse")
    payload = np.array([0x7FF8000000000123], np.uint64).view(np.float64)
    assert fe.pow([THIRD], payload, result=fe.dtype("float64"), profile=first).view(np.uint64) == 0x7FF8000000000123


@pytest.mark.parametrize("name", [*mpfr.FUNCTIONS, "pow"])
def test_elementary_functions_beside_others(name):
    """Each element is what it is alone: beside numbers of float64, in any place, with stochastic rounding too."""
    x = [THIRD, 0.5, np.inf, np.nan, -0.0, "1e-400", -2.5, np.float32(0.1), 3]
    more = [[0.75] * len(x)] if name == "pow" else []
    function = getattr(fe, name)
    for how in ({}, {"rounding": "stochastic", "rng": 5}):
        found, flags = function(x, *more, result="bfloat16", return_flags=True, **how)
        for i, each in enumerate(x):
            at = {"rng_offset": i} if how else {}
            one, flag = function(each, *(m[i] for m in more), result="bfloat16", return_flags=True, **how, **at)
            np.testing.assert_array_equal(found[i], one)
            assert flags.bits[i] == flag.bits
    randoms = np.arange(len(x), dtype=np.uint32)
    rule = fe.Stochastic("A", bits=4)
    found = function(x, *more, result="bfloat16", rounding=rule, random_bits=randoms)
    assert np.isfinite(found[0])
    with pytest.raises(ValueError, match="sums and products"):
        function(x, *more, result="int8", overflow="wrap")


# -- sums -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sum", "mean", "cumsum", "vecdot"])
def test_sums_as_in_kernels(name, monkeypatch):
    """In fractions, and step by step, as the kernels: axes, orders, specials, zeros, all random numbers."""
    rng = np.random.default_rng(0)
    for trial in range(16):
        shape = tuple(rng.integers(1, 5, rng.integers(1, 4)))
        x, y = rng.standard_normal(shape) * 2.0 ** rng.integers(-6, 6, shape), rng.standard_normal(shape)
        x.flat[0] = [np.inf, np.nan, -0.0, 0.5, 0.25, -0.0][trial % 6]
        if trial % 5 == 0:
            x, y = np.round(x * 4) / 4, np.sign(y)
        ways = [{}, {"accumulate": "bfloat16"}]
        if name != "cumsum":
            ways += [{"accumulate": "float8_e4m3fn", "summation": order} for order in ("pairwise", 2)]
        if name == "vecdot":
            ways += [{"accumulate": "bfloat16", "products": "rounded"}]
        for way, rounding in itertools.product(ways, ("nearest_even", "toward_negative", "stochastic")):
            how = {**way, "axis": int(rng.integers(len(shape))), "result": "float16", "rounding": rounding}
            how |= {"rng": 5, "rng_offset": 7} if rounding == "stochastic" else {}
            operands = (x, y) if name == "vecdot" else (x,)
            want, flags = getattr(fe, name)(*operands, **how, return_flags=True)
            with monkeypatch.context() as patch:
                patch.setattr(operation, "as_operands", lambda x, real=operation.as_operands: _forced(x, real))
                got, raised = getattr(fe, name)(*operands, **how, return_flags=True)
            np.testing.assert_array_equal(fe.encode(got, "float16"), fe.encode(want, "float16"), str(how))
            np.testing.assert_array_equal(raised.bits, flags.bits, str(how))


def test_sums_of_hard_numbers():
    rows = [[N, -N + 1, 0.5], [THIRD, THIRD, THIRD], ["0.1", Decimal("0.2"), np.float32(0.5)], [2**100, 1, -(2**100)]]
    exact = [
        [Fraction(str(x)) if isinstance(x, str | Decimal) else Fraction(x) for x in map(_plain, row)] for row in rows
    ]
    found = fe.sum(rows, axis=1, result="float64")
    assert found.tolist() == [float(sum(row)) for row in exact]
    assert fe.mean(rows, axis=1, result="float64").tolist() == [float(sum(row) / 3) for row in exact]
    assert fe.cumsum(rows, axis=1, result="float64").tolist() == [
        [float(sum(row[: i + 1])) for i in range(3)] for row in exact
    ]
    assert fe.vecdot(rows, [3, 2, Fraction(1, 7)], result="float64").tolist() == [
        float(3 * a + 2 * b + c / 7) for a, b, c in exact
    ]
    assert fe.sum([N, 0.25], result="float64", accumulate="bfloat16") == float(fe.cast(N, "bfloat16"))
    assert fe.sum([THIRD, np.inf], result="float16") == np.inf


def _plain(x):
    return float(x) if isinstance(x, np.generic) else x


# -- comparisons and classes ------------------------------------------------------------------------------------------


def test_comparisons():
    """All pairs, against fractions; with infinities and NaN among them."""
    few = [*HARD, 0.0, -0.0, 1.0, float(N), 1e300, -0.1, float(Fraction(1, 10))]
    x, y = (list(each) for each in zip(*itertools.product(few, few), strict=True))
    for name, compare in [
        ("equal", lambda a, b: a == b),
        ("not_equal", lambda a, b: a != b),
        ("less", lambda a, b: a < b),
        ("less_equal", lambda a, b: a <= b),
        ("greater", lambda a, b: a > b),
        ("greater_equal", lambda a, b: a >= b),
        ("unordered", lambda a, b: False),
    ]:
        want = [compare(Fraction(a), Fraction(b)) for a, b in zip(x, y, strict=True)]
        assert getattr(fe, name)(x, y).tolist() == want, name
    specials = [np.inf, -np.inf, np.nan]
    found, flags = fe.less([THIRD] * 3, specials, return_flags=True)
    assert found.tolist() == [True, False, False]
    assert flags.bits.tolist() == [0, 0, 16]
    assert fe.total_order([THIRD] * 3, [np.nan, -np.nan, np.inf]).tolist() == [True, False, True]
    assert fe.total_order_magnitude([-THIRD, N], [THIRD, -N - 1]).tolist() == [True, True]
    assert fe.minimum([THIRD] * 4, [np.inf, -np.inf, np.nan, -0.0], result="float64").tolist()[:2] == [1 / 3, -np.inf]
    assert fe.minimum_number(THIRD, np.nan, result="float64") == 1 / 3


def test_classes():
    x = [THIRD, -N, np.nan, np.inf, -0.0, "1e-400"]
    assert fe.is_finite(x).tolist() == [True, True, False, False, True, True]
    assert fe.is_normal(x).tolist() == [True, True, False, False, False, True]
    assert fe.is_zero(x).tolist() == [False] * 4 + [True, False]
    assert fe.is_sign_minus(x).tolist() == [False, True, False, False, True, False]
    assert fe.is_nan(x).tolist() == [False, False, True, False, False, False]
    assert fe.is_subnormal(THIRD) is np.False_
    assert fe.is_canonical(THIRD) is np.True_


# -- shifts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.dtype(f"{kind}{size}").type for kind in "iu" for size in (1, 2, 4, 8)])
def test_counts_of_every_dtype(dtype):
    a = fe.array([5, -5], "int32")
    one = dtype(1)
    assert fe.right_shift(a, one).tolist() == [2, -3]
    assert fe.left_shift(a, np.array([1, 2], dtype)).tolist() == [10, -20]
    assert fe.scaleb(a, one).tolist() == [10, -10]
    assert fe.right_shift(a, fe.array(1, "uint2")).tolist() == [2, -3]
    most = np.iinfo(dtype).max
    assert fe.right_shift(a, dtype(most)).tolist() == [0, -1]
    assert fe.left_shift(a, dtype(most)).tolist() == [2**31 - 1, -(2**31)]


def test_counts_beyond_64_bits():
    a = fe.array([5, -5], "int32")
    assert fe.right_shift(a, 2**70).tolist() == [0, -1]
    assert fe.left_shift(a, [2**70, 1]).tolist() == [2**31 - 1, -10]
    assert fe.scaleb(fe.array([1.0, 2.0], "bfloat16"), [2**70, -(2**70)]).tolist() == [np.inf, 0]
    with pytest.raises(ValueError, match="other way"):
        fe.right_shift(a, -(2**70))
    with pytest.raises(TypeError, match="integers"):
        fe.right_shift(a, Fraction(1, 2))
    with pytest.raises(ValueError, match=f"is {-(2**70)}:"):
        fe.right_shift(a, [1, -(2**70)])
    with pytest.raises(ValueError, match=f"is {-(2**62)}:"):
        fe.left_shift(a, np.array([1, -(2**62)]))


@pytest.mark.parametrize("fmt", ["int64", "uint64", "int8", "q3.12", "uq20.12"])
def test_scaled_numbers_wrap(fmt):
    """Of numbers that are longer than any rounding looks at the lower digits count where overflow wraps."""
    target, rng = fe.dtype(fmt), np.random.default_rng(25)
    x = [Fraction(2**300 + 5), Fraction(2**200 + 3) + THIRD, THIRD, Fraction(-(2**130)) - THIRD, Fraction(10) ** 40]
    x += [Fraction(int.from_bytes(rng.bytes(40)), int(d)) for d in rng.integers(1, 1000, 20)]
    for n in (0, 1, 64, 200, -1, -70, -300, 70000, *rng.integers(-250, 250, 10).tolist()):
        scaled = [each * Fraction(2) ** (n + target.fraction_bits) for each in x]
        want = [int(each) % target.code_count for each in scaled]  # int() rounds toward zero
        codes, how = np.zeros(len(x), target.code_dtype), {"rounding": "toward_zero", "overflow": "wrap"}
        _, flags = fe.scaleb(x, n, result=fmt, out=codes, return_flags=True, **how)
        assert codes.tolist() == want, n
        alike = np.zeros_like(codes)
        _, same = fe.convert([each * Fraction(2) ** n for each in x], fmt, out=alike, return_flags=True, **how)
        assert alike.tolist() == want
        assert (flags.bits == same.bits).all()
        whole = [int(each) for each in x]
        if n >= 0 and not target.fraction_bits:
            shifted = fe.left_shift(whole, n, result=fmt, out=np.zeros_like(codes), overflow="wrap")
            assert shifted.tolist() == [(each << n) % target.code_count for each in whole]
            shifted = fe.right_shift(whole, n, result=fmt, out=np.zeros_like(codes), overflow="wrap")
            assert shifted.tolist() == [(each >> n) % target.code_count for each in whole]


@pytest.mark.parametrize("text", ["1e300000000", "-1e-300000000", "0x1.8p1073741823", "-0x1p-1073741823"])
def test_far_numbers_have_their_exponents(text):
    literal = read(text)
    top = literal.leading().top
    assert fe.logb(text, result="float64") == top
    for beside in (-1, 0, 1):
        found = fe.scaleb(text, beside - top, result="float64")
        assert np.frexp(found)[1] - 1 == beside
        assert (found < 0) == literal.negative
    for n in (-(2**31), 2**31, -(2**63), 2**63 - 1, -(2**70), 2**70):
        assert abs(fe.scaleb(text, n, result="float64")) == (np.inf if n > 0 else 0)


@pytest.mark.parametrize("text", ["1e1000000000", "-1e-1000000000", "0x1p1073741825", "1e999999999999"])
def test_where_the_exponent_is_not_known_there_is_no_result_of_it(text):
    for call in (lambda: fe.scaleb(text, 5, result="float64"), lambda: fe.logb(text, result="float64")):
        with pytest.raises(ValueError, match="too far away for an exact result"):
            call()


LONG = 10**6000 + 1
LONG_NUMBERS = [
    LONG,
    -LONG,
    Fraction(LONG, 3),
    Fraction(3, LONG),
    "7" * 6000,
    f"{'7' * 6000}e80000",
    f"-0.{'7' * 6000}",
]


@pytest.mark.parametrize("x", LONG_NUMBERS, ids=range(len(LONG_NUMBERS)))
def test_numbers_longer_than_python_writes(x):
    """Python writes integers of 4300 digits at most: an error says its own words, and a flag is a FlagError."""
    for call in (
        lambda: fe.absolute(x),
        lambda: fe.next_up(x, "bfloat16"),
        lambda: fe.logb(f"{'7' * 6000}e{10**20}", result="float64"),
    ):
        with pytest.raises(ValueError, match=r"about -?[0-9.]+") as caught:
            call()
        assert len(str(caught.value)) <= 300
        assert "4300" not in str(caught.value)
    if x in LONG_NUMBERS[:4]:
        for call in (lambda: fe.add(x, 1, result="bfloat16"), lambda: fe.sum([x, 1], result="bfloat16")):
            with fe.errstate(all="raise"), pytest.raises(fe.FlagError, match=r"about -?[0-9.]+"):
                call()


def test_exponents_that_are_read_alike_are_not_compared():
    near, far, farther = "1e400000", "1e" + "9" * 40, "1e" + "9" * 41
    for low, high in ((near, far), (far.replace("e", "e-"), near.replace("e", "e-")), (far.replace("e", "e-"), far)):
        assert [bool(do(low, high)) for do in (fe.less, fe.equal, fe.greater)] == [True, False, False]
        assert [bool(do("-" + low, "-" + high)) for do in (fe.less, fe.equal, fe.greater)] == [False, False, True]
    assert fe.equal(near, "10e399999")
    for pair in ((far, farther), (farther, far), ("-" + far, "-" + farther), (far.replace("e", "e-"),) * 2):
        with pytest.raises(ValueError, match="too far away to be compared"):
            fe.less(*pair)

"""Elementary functions as users call them; their special values as the standard lists them; the enclosures below."""

from __future__ import annotations

import math
import threading

import gmpy2
import ml_dtypes
import numpy as np
import pytest

import fpemu as fe
from fpemu.arithmetic.elementary import enclosures, tables, ziv
from fpemu.kernels.spec import NO_RULES
from tests.oracle import mpfr
from tests.oracle.spec import Number

E4M3, E5M2 = "float8_e4m3fn", "float8_e5m2"
INF, NAN = math.inf, math.nan


def test_what_comes_out():
    a = fe.array([0.0, 1.0], "bfloat16")
    assert isinstance(fe.exp(a), fe.Array)
    assert fe.exp(a, result="float64").values.tolist() == [1.0, math.e]
    assert type(fe.exp(np.float16(1), result="float32")) is np.float32
    assert fe.log2(np.uint8(8), result="int8").dtype == np.int8
    assert fe.sin(ml_dtypes.bfloat16(1), result="bfloat16") == fe.cast(math.sin(1), "bfloat16")
    np.testing.assert_array_equal(fe.exp2(np.arange(-3, 3, dtype=np.int8), result="float32"), 2.0 ** np.arange(-3, 3))
    assert fe.tanh(fe.array(np.empty((0, 3)), E4M3)).shape == (0, 3)
    assert fe.erf(fe.array(0.5, E4M3)).shape == ()
    assert fe.pow(fe.array(np.ones((3, 1)), E4M3), fe.array(np.ones(2), E4M3)).shape == (3, 2)
    assert fe.pow(fe.array([3.0], "int8"), np.int8(2), result="int16").values.tolist() == [9]
    x = np.arange(1, 25, dtype=">f2").reshape(4, 6)[::2, ::-3]
    np.testing.assert_array_equal(fe.reciprocal(x, result="float32"), 1 / x.astype(np.float32))


def test_out():
    codes = np.zeros(2, np.uint8)
    assert fe.exp(fe.array([0.0, 1.0], E4M3), out=codes) is codes
    np.testing.assert_array_equal(codes, fe.encode([1.0, math.e], E4M3))
    fe.reciprocal(fe.Array(codes, E4M3), out=codes)  # in place
    assert fe.decode(codes, E4M3)[0] == 1
    with pytest.raises(ValueError, match="out"):
        fe.exp(fe.array([0.0], E4M3), out=codes)


def test_many_elements_are_the_same_as_few():
    codes = np.random.default_rng(1).integers(0, 1 << 16, 1_100_000, dtype=np.uint16)
    x = fe.Array(codes, "float16")
    whole, flags = fe.sigmoid(x, return_flags=True)
    some, part = fe.sigmoid(fe.Array(codes[-100:], "float16"), return_flags=True)
    np.testing.assert_array_equal(whole.codes[-100:], some.codes)
    np.testing.assert_array_equal(flags.bits[-100:], part.bits)
    mode = fe.Stochastic("A", 12)
    whole = fe.sigmoid(x, rounding=mode, rng=3).codes
    tail = fe.sigmoid(fe.Array(codes[-100:], "float16"), rounding=mode, rng=3, rng_offset=codes.size - 100).codes
    np.testing.assert_array_equal(whole[-100:], tail)


def test_tables_are_filled_for_the_codes_that_are_met():
    """And by any number of threads at the same time."""
    fmt = fe.FloatFormat("ours", 12, 6)
    values = tables._exact_values("exp", (fmt,), NO_RULES)
    fe.exp(fe.Array([3, 700, 3], fmt))
    assert np.flatnonzero(values.known).tolist() == [3, 700]
    every = np.arange(1 << 12, dtype=np.uint16)
    found: list[np.ndarray] = []
    jobs = [threading.Thread(target=lambda: found.append(fe.exp(fe.Array(every, fmt)).codes)) for _ in range(4)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert values.complete
    assert len(found) == 4
    for codes in found:
        np.testing.assert_array_equal(codes, fe.encode(fe.exp(fe.Array(every, fmt), result="float64"), fmt))


def test_rules():
    x = fe.array([4.0, 8.0], E4M3)
    assert np.isnan(fe.exp(x).values[1])
    assert fe.exp(x, overflow="saturate").values[1] == 448
    assert fe.exp(fe.array(8.0, E4M3, profile="onnx-saturate")).values == 448
    assert fe.exp(x, rounding="toward_zero").values[0] == 52
    assert fe.log(fe.array(0.0, E4M3), overflow="saturate").codes == 0xFF  # no infinity: NaN, of infinity's sign
    assert fe.log(fe.array(0.0, E4M3), result="float4_e2m1fn").values == -6
    # exp(2^-12) - 1 is a little above a tie of float16: through float32 it is rounded to the tie
    twice = fe.profile("ieee").replace(through="float32")
    tiny = fe.array(2.0**-11, "bfloat16")
    assert fe.exp(tiny, result="float16").values == 1 + 2**-10
    assert fe.exp(fe.array(2.0**-15, "bfloat16"), result="float16", profile=twice).values == 1


def test_bad_input():
    many = np.arange(262_145, dtype=np.float32)
    with pytest.raises(ValueError, match=r"exp .* 16 bits one by one, .* 262145: .*fe.exp\(fe.array\(x, 'float16'\)\)"):
        fe.exp(many, result=E4M3)
    with pytest.raises(ValueError, match=r"pow .* 8 bits .*fe.pow\(fe.array\(x, 'float8_e4m3fn'\), fe.array\(y, "):
        fe.pow(many, 0.3, result=E4M3)
    with pytest.raises(ValueError, match="specify the result's format"):
        fe.exp(np.float16(1))
    with pytest.raises(ValueError, match="codebook"):
        fe.exp(np.float16(1), result="nf4")
    with pytest.raises(ValueError, match="sums and products of integers"):
        fe.exp2(np.int8(1), result="int8", overflow="wrap")
    with pytest.raises(TypeError, match="unexpected keyword argument 'roundin'"):
        fe.pow(np.int8(1), np.int8(1), result="int8", roundin="to_odd")
    with pytest.raises(TypeError, match="complex"):
        fe.exp(1j, result=E4M3)
    with pytest.raises(ValueError, match="random_bits"):
        fe.exp(fe.array([1.0], E4M3), random_bits=[1])
    with pytest.raises(ValueError, match=r"sin of numbers beyond 2\*\*65536 would need as many digits of pi"):
        fe.sin(fe.Array([1], fe.IntFormat("huge", 8, fraction_bits=-65536)), result="float16")


# -- special values ---------------------------------------------------------------------------------------------------

# IEEE 754-2019 clause 9.2.1 (sigmoid, erf and reciprocal: clause 6.1 and limits): operand, result, flags
SPECIAL = {
    "exp": [(0.0, 1.0, ""), (-0.0, 1.0, ""), (INF, INF, ""), (-INF, 0.0, "")],
    "exp2": [(0.0, 1.0, ""), (-0.0, 1.0, ""), (INF, INF, ""), (-INF, 0.0, ""), (-3.0, 0.125, "")],
    "log": [(1.0, 0.0, ""), (0.0, -INF, "z"), (-0.0, -INF, "z"), (-1.0, NAN, "v"), (-INF, NAN, "v"), (INF, INF, "")],
    "log2": [(1.0, 0.0, ""), (0.0, -INF, "z"), (-0.0, -INF, "z"), (-1.0, NAN, "v"), (INF, INF, ""), (0.25, -2.0, "")],
    "sin": [(0.0, 0.0, ""), (-0.0, -0.0, ""), (INF, NAN, "v"), (-INF, NAN, "v")],
    "cos": [(0.0, 1.0, ""), (-0.0, 1.0, ""), (INF, NAN, "v"), (-INF, NAN, "v")],
    "tanh": [(0.0, 0.0, ""), (-0.0, -0.0, ""), (INF, 1.0, ""), (-INF, -1.0, ""), (64.0, 1.0, "x")],
    "erf": [(0.0, 0.0, ""), (-0.0, -0.0, ""), (INF, 1.0, ""), (-INF, -1.0, ""), (-64.0, -1.0, "x")],
    "sigmoid": [(0.0, 0.5, ""), (-0.0, 0.5, ""), (INF, 1.0, ""), (-INF, 0.0, ""), (64.0, 1.0, "x")],
    "rsqrt": [(0.0, INF, "z"), (-0.0, -INF, "z"), (INF, 0.0, ""), (-1.0, NAN, "v"), (-INF, NAN, "v"), (4.0, 0.5, "")],
    "reciprocal": [(0.0, INF, "z"), (-0.0, -INF, "z"), (INF, 0.0, ""), (-INF, -0.0, ""), (-4.0, -0.25, "")],
}
LETTERS = {"x": 1, "u": 2, "o": 4, "z": 8, "v": 16}


def assert_special(found, flags, result, letters):
    assert flags.bits.item() == sum(map(LETTERS.get, letters))
    assert np.array_equal(found.values, result, equal_nan=True)
    assert math.isnan(result) or np.signbit(found.values) == np.signbit(result)


@pytest.mark.parametrize("name", mpfr.FUNCTIONS)
def test_special_values(name):
    function = getattr(fe, name)
    for operand, result, letters in SPECIAL[name]:
        found, flags = function(fe.array(operand, E5M2), return_flags=True)
        assert_special(found, flags, result, letters)
    for code, letters in ((0x7E, ""), (0xFE, ""), (0x7D, "v"), (0xFD, "v")):  # quiet, signalling NaN
        found, flags = function(fe.Array(code, E5M2), return_flags=True)
        assert_special(found, flags, NAN, letters)
        assert found.codes == 0x7E


POWERS = [
    *((x, y, 1.0, "") for x in (3.0, 0.0, -0.0, INF, -INF, NAN, -2.0) for y in (0.0, -0.0)),
    *((0.0, -y, INF, "z") for y in (1.0, 2.0, 0.5, 3.0)),
    *((-0.0, -y, -INF, "z") for y in (1.0, 3.0)),
    *((-0.0, -y, INF, "z") for y in (2.0, 0.5, 1.5, 16.0)),
    *((x, -INF, INF, "") for x in (0.0, -0.0)),
    *((x, INF, 0.0, "") for x in (0.0, -0.0)),
    *((-0.0, y, -0.0, "") for y in (1.0, 3.0)),
    *((x, y, 0.0, "") for x in (0.0, -0.0) for y in (2.0, 0.5, 1.5)),
    (0.0, 3.0, 0.0, ""),
    *((-1.0, y, 1.0, "") for y in (INF, -INF, 2.0, 16.0)),
    *((-1.0, y, -1.0, "") for y in (3.0, -5.0)),
    *((1.0, y, 1.0, "") for y in (INF, -INF, NAN, 0.5, -3.0)),
    *((x, INF, 0.0, "") for x in (0.5, -0.5)),
    *((x, INF, INF, "") for x in (1.25, -1.25, INF, -INF)),
    *((x, -INF, INF, "") for x in (0.5, -0.5)),
    *((x, -INF, 0.0, "") for x in (1.25, -1.25, INF, -INF)),
    *((INF, y, 0.0, "") for y in (-1.0, -0.5)),
    *((INF, y, INF, "") for y in (1.0, 0.5)),
    (-INF, -3.0, -0.0, ""),
    (-INF, 3.0, -INF, ""),
    *((-INF, y, 0.0, "") for y in (-2.0, -0.5)),
    *((-INF, y, INF, "") for y in (2.0, 0.5)),
    *((x, y, NAN, "v") for x in (-2.0, -1.0) for y in (0.5, -1.5)),
    *((x, NAN, NAN, "") for x in (2.0, 0.0, -1.0, INF)),
    *((NAN, y, NAN, "") for y in (2.0, INF)),
    (4.0, 0.5, 2.0, ""),
    (0.0625, -0.75, 8.0, ""),
    (-3.0, 2.0, 8.0, "x"),
]


@pytest.mark.parametrize(("x", "y", "result", "letters"), POWERS, ids=str)
def test_special_powers(x, y, result, letters):
    found, flags = fe.pow(fe.array(x, E5M2), fe.array(y, E5M2), return_flags=True)
    assert_special(found, flags, result, letters)


def test_powers_of_signalling_nan():
    signalling = fe.Array(0x7D, E5M2)
    for x, y in ((signalling, 0.0), (1.0, signalling)):
        x, y = (fe.array(n, E5M2) if isinstance(n, float) else n for n in (x, y))
        assert_special(*fe.pow(x, y, return_flags=True), NAN, "v")


# -- formats of extreme exponents -------------------------------------------------------------------------------------


def of(fmt, code, name):
    """A function of one code: its top digit's exponent, the digits (1.0 to 2.0), and whether more follow."""
    values = tables._exact_values(name, (fmt,), NO_RULES)
    values.fill(np.array([code]))
    what, top, high, _ = values.rows[code].tolist()
    return top - (top >> 63 << 64), high / 2.0**63, bool(what & 8)


def test_extreme_formats():
    """Integers of 2^-(2^20) and 2^(2^20), and 16-bit floats that are exponent for the most part."""
    tiny = fe.IntFormat("tiny", 8, fraction_bits=1 << 20)
    huge = fe.IntFormat("huge", 8, fraction_bits=-(1 << 20))
    below, above = (-1, 2.0, True), (0, 1.0, True)
    for name in ("exp", "exp2"):
        assert of(tiny, 1, name) == above
        assert of(tiny, 255, name) == below
        assert of(huge, 1, name)[0] >= 1 << 30
        assert of(huge, 255, name)[0] <= -(1 << 30)
    assert of(tiny, 1, "cos") == below
    assert of(tiny, 3, "sin") == (1 - (1 << 20), 1.5, True)
    assert of(tiny, 2, "sin")[0] == -(1 << 20)  # below 2
    assert of(tiny, 2, "tanh")[0] == -(1 << 20)
    assert of(tiny, 2, "erf")[0] == 1 - (1 << 20)
    assert of(tiny, 1, "sigmoid") == (-1, 1.0, True)
    assert of(tiny, 255, "sigmoid") == (-2, 2.0, True)
    assert of(huge, 1, "sigmoid") == below
    assert of(huge, 255, "sigmoid")[0] == -(1 << 30)
    assert of(tiny, 4, "rsqrt") == ((1 << 19) - 1, 1.0, False)
    assert of(tiny, 4, "reciprocal") == ((1 << 20) - 2, 1.0, False)
    assert of(tiny, 1, "log2") == (20, 1.0, False)
    assert of(huge, 1, "log")[:2] == (19, pytest.approx(2 * math.log(2)))
    with mpfr.CUT:
        for fmt in (fe.FloatFormat("e11m4", 16, 5), fe.FloatFormat("e14m1", 16, 2)):
            for code in (fmt.max_code, fmt.max_code // 2 + 7, fmt.max_code - 3):
                significand, exponent = fmt.scaled(code)
                x = Number("finite", False, significand, exponent)
                for name in ("sin", "cos"):
                    found = of(fmt, code, name)
                    value = abs(mpfr.BY_MPFR[name](mpfr.as_mpfr(x)))
                    assert math.ldexp(found[1], found[0]) == pytest.approx(float(value), rel=1e-15)


# -- enclosures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("w", [160, 200, 333, 1024, 1025])
def test_constants(w):
    """Within two units from below."""
    with gmpy2.context(precision=2 * w + 60, round=gmpy2.RoundToNearest):
        pi, ln2 = gmpy2.const_pi(), gmpy2.const_log2()
        for found, true in (
            (enclosures.pi(w), pi),
            (enclosures.ln2(w), ln2),
            (enclosures.two_over_pi(w), 2 / pi),
            (enclosures.two_over_root_pi(w), 2 / gmpy2.sqrt(pi)),
        ):
            assert 0 <= gmpy2.mul_2exp(true, w) - found < 2


SIGNED = ("exp", "exp2", "sigmoid")


@pytest.mark.parametrize("name", [*SIGNED, "log", "log2", "sin", "cos", "tanh", "erf"])
def test_enclosures_hold_the_value(name):
    """Strictly, at several precisions, for arguments of many sizes; and they narrow."""
    rng = np.random.default_rng(4)
    context = gmpy2.context(precision=1500, round=gmpy2.RoundToNearest)
    for w in (160, 250, 320):
        for _ in range(120):
            m = int(rng.integers(1 << 10, 1 << 15)) * 2 + 1
            e = int(rng.integers(-60, 5 if name == "erf" else 9)) - m.bit_length()
            negative = bool(rng.integers(2)) and name in SIGNED
            function = getattr(enclosures, name)
            found = function(negative, m, e, w) if name in SIGNED else function(m, e, w)
            low, high, exponent = found[1] if name in ("log", "log2", "sin", "cos") else found
            with context:
                x = gmpy2.div_2exp(gmpy2.mpfr(-m if negative else m), -e)
                value = 1 / (1 + gmpy2.exp(-x)) if name == "sigmoid" else getattr(gmpy2, name)(x)
                scale = gmpy2.exp2(gmpy2.mpfr(exponent))
                assert low * scale < abs(value) < high * scale, (m, e, w)
                if name not in ("log", "log2", "sin", "cos"):  # those may be near a zero
                    assert high - low <= max(high >> (w - 22), 1 << 16), (m, e, w)


def test_values_that_no_digits_settle():
    """An error, not a wrong digit: here an enclosure that always holds 1."""
    with pytest.raises(ArithmeticError, match="16384 digits do not tell"):
        ziv.ziv_loop(lambda w: (False, ((1 << w) - 1, (1 << w) + 1, -w)))
    assert ziv.decided_digits(False, (-3, 5, 0)) is None
    assert ziv.decided_digits(False, (5, 6, 0)) is None
    assert ziv.decided_digits(True, ((1 << 200), (1 << 200) + 1, -200)) == (0, True, 0, 1 << 127, True, 0)


def test_nan_operands_are_passed_on():
    """Where the profile says so, a NaN result is the operand's, made quiet; an invalid one is the profile's own."""
    x = fe.Array([0x7D2A, 0xFE11, 0xBC00], "float16")  # signalling, quiet, -1
    found, flags = fe.log(x, profile="x86-sse", return_flags=True)
    assert [f"{code:#x}" for code in found.codes] == ["0x7f2a", "0xfe11", "0xfe00"]
    np.testing.assert_array_equal(flags.invalid, [True, False, True])
    assert [f"{code:#x}" for code in fe.log(x).codes] == ["0x7e00"] * 3
    a, b = fe.Array([0x7E, 0x7E, 0x3C], "float8_e5m2"), fe.Array([0x7F, 0x7D, 0xFF], "float8_e5m2")
    for rules, expected in (("x86-sse", [0x7E, 0x7E, 0x3C]), ("arm", [0x7E, 0x7F, 0x3C])):  # 1 to any power is 1
        assert fe.pow(a, b, profile=rules).codes.tolist() == expected

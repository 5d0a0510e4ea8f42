"""Numbers come in exactly, everywhere: in casts, of every type, by every public function."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import gmpy2
import ml_dtypes
import numpy as np
import pytest

import fpemu as fe
from fpemu.arithmetic import comparison as comparisons
from tests.oracle import spec
from tests.oracle.exact_numbers import HARD, THIRD, N, kinds, number

FORMATS = ["bfloat16", "float16", "float8_e4m3fn", "float8_e5m2fnuz", "float32", "float64", "float8_e8m0fnu", "e15m40"]
INTEGERS = ["int8", "uint8", "int64", "uint64", "q3.12", "int4"]
ROUNDINGS = [rounding.value for rounding in fe.Rounding]


# -- the cases that were wrong ----------------------------------------------------------------------------------------


def test_listed_cases():
    assert fe.encode([N, 0.5], "bfloat16")[0] == 0x5D81
    assert fe.encode([2**63 + 2**55 + 1, -1], "bfloat16")[0] == 0x5F01
    assert fe.array([2**53 + 1, 0.5], "int64").tolist() == [2**53 + 1, 0]
    wrapped = fe.encode([2**63 + 1, -1], "int64", overflow="wrap")
    assert wrapped.tolist() == [2**63 + 1, 2**64 - 1]
    assert fe.equal([N, 0.5], [N - 1, 0.5]).tolist() == [False, True]
    assert fe.sum([N, -N + 1, 0.5], result="float64") == 1.5
    a = fe.array([1.0, 2.0], "bfloat16")
    for same in (a * 0 + [N, 0.5], np.concatenate([a, [N, 0.5]])[2:], np.where([False, False], a, [N, 0.5])):
        assert same.codes.tolist() == [0x5D81, 0x3F00]
    assert np.full_like(a, N).codes.tolist() == [0x5D81, 0x5D81]
    b = a.copy()
    b[:] = [N, 0.5]
    assert b.codes.tolist() == [0x5D81, 0x3F00]
    wide = fe.array([N, 1], "int64")
    assert np.clip(wide, [N - 1, 0.5], [N - 1, 3.5]).tolist() == [N - 1, 1]
    assert np.array_equal(wide, [N, 1.0])
    assert not np.array_equal(wide, [N - 1, 1.0])
    assert (wide - [N - 1, 0.5]).tolist() == [1, 0]
    assert np.add.outer(a, [N, 0.5])[0].codes[0] == 0x5D81
    assert fe.array([np.int64(N), np.float32(0.5)], "bfloat16").codes.tolist() == [0x5D81, 0x3F00]
    assert fe.array([np.array([N]), np.array([0.5])], "bfloat16").codes.tolist() == [[0x5D81], [0x3F00]]
    several = [fe.array(N, "int64"), fe.array(0.5, "float8_e4m3fn"), fe.array(2.0, "float64")]
    assert fe.array(several, "bfloat16").codes.tolist() == [0x5D81, 0x3F00, 0x4000]
    alike = [fe.array([1.5], "bfloat16"), fe.array([2.5], "bfloat16")]
    assert fe.asarray(alike).format == fe.dtype("bfloat16")


def test_equality_of_arrays():
    a = fe.array([1.0, 2.0], "bfloat16")
    one = fe.array(1.0, "bf16")
    assert (one == Fraction(1)) is np.True_
    assert (a == 2**64).tolist() == [False, False]
    large = fe.array(2.0**64, "bfloat16")
    assert large == 2**64
    assert large != 2**64 + 1
    assert large < 2**64 + 1
    assert large > Decimal("18446744073709551615.99999")
    assert Fraction(1) == one
    assert Decimal("1.0000000000000000000001") != one
    assert one > THIRD
    assert gmpy2.mpq(4, 3) > one
    assert (a >= [Fraction(5, 3), Decimal(2)]).tolist() == [False, True]
    assert Fraction(2) in a
    assert THIRD not in a
    assert (one == None) is False  # noqa: E711
    assert (one == "1") is False
    assert (THIRD + one).values == fe.cast(Fraction(4, 3), "bfloat16")
    assert (one / Decimal(3)).values == fe.cast(THIRD, "bfloat16")
    assert (10**400 - one).values == np.inf
    b = a.copy()
    b += THIRD
    assert b.codes.tolist() == fe.encode([Fraction(4, 3), Fraction(7, 3)], "bfloat16").tolist()


# -- casts, against the specification ---------------------------------------------------------------------------------


@pytest.mark.parametrize("fmt", [*FORMATS, *INTEGERS, "nf4"])
def test_casts(fmt):
    """Every rounding and overflow: numbers of no format as the specification rounds them."""
    found = fe.dtype(fmt)
    numbers = [number(x) for x in HARD]
    into = spec.target(found, found.check_profile(found.profile))
    known = spec.classify(numbers, into)
    for rounding in ROUNDINGS:
        rules = found.check_profile(found.profile.replace(rounding=rounding))
        got = fe.encode(HARD, fmt, rounding=rounding)
        np.testing.assert_array_equal(got, spec.encode(known, found, rules), rounding)
    for overflow in ("saturate", "infinity", "nan", "wrap"):
        try:
            rules = found.check_profile(found.profile.replace(overflow=overflow))
        except ValueError:
            continue
        got = fe.encode(HARD, fmt, overflow=overflow)
        np.testing.assert_array_equal(got, spec.encode(numbers, found, rules), overflow)


@pytest.mark.parametrize("profile", fe.profile_names())
def test_profiles(profile):
    for fmt in ("bfloat16", "float8_e4m3fn", "float8_e5m2", "int8", "float32", "nf4", "float8_e8m0fnu"):
        found = fe.dtype(fmt)
        try:
            rules = found.check_profile(fe.profile(profile).for_codes(found.codes_key, fe.dtype("float64").codes_key))
        except ValueError:
            continue
        got = fe.encode(HARD, fmt, profile=profile)
        numbers = [number(x) for x in HARD]
        if found.kind == "int":  # of floats: what is out of range is the profile's
            numbers = [n for n, x in zip(numbers, HARD, strict=True) if -128 <= x <= 127]
            got = fe.encode([x for x in HARD if -128 <= x <= 127], fmt, profile=profile)
        np.testing.assert_array_equal(got, spec.encode(numbers, found, rules))


@pytest.mark.parametrize("variant", "ABC")
def test_stochastic_casts(variant):
    """With given random integers, and in the stream: each element at its own place, whatever is beside it."""
    rounding = fe.Stochastic(variant, bits=8)
    x = [0.3, *HARD, 0.1]
    random = np.random.default_rng(1).integers(0, 256, len(x))
    for fmt in ("bfloat16", "float8_e4m3fn", "int8", "float64"):
        found = fe.dtype(fmt)
        rules = found.check_profile(found.profile.replace(rounding=rounding))
        want = spec.encode([number(each) for each in x], found, rules, random)
        np.testing.assert_array_equal(fe.encode(x, fmt, rounding=rounding, random_bits=random), want)
        near = [float(each) if abs(each) < 2**1000 else 1.0 for each in x]
        streamed = fe.encode(near, fmt, rounding=rounding, rng=7, rng_offset=5)
        held = fe.encode([*near[:3], THIRD, *near[4:]], fmt, rounding=rounding, rng=7, rng_offset=5)
        np.testing.assert_array_equal(np.delete(held, 3), np.delete(streamed, 3))
        own = fe.encode([THIRD], fmt, rounding=rounding, rng=7, rng_offset=8)
        assert own[0] == held[3]


def test_special_values_keep_their_kind():
    signalling = np.array([0x7FF4 << 48, 0xFFF4 << 48], np.uint64).view(np.float64).tolist()
    for x, kind in [
        *[(each, fe.NumberClass.SIGNALING_NAN) for each in (*signalling, Decimal("sNaN"), Decimal("-sNaN"))],
        *[(each, fe.NumberClass.QUIET_NAN) for each in ("nan", "-nan", Decimal("NaN"), gmpy2.mpfr("nan"), np.nan)],
        *[(each, fe.NumberClass.POSITIVE_INFINITY) for each in ("inf", Decimal("inf"), gmpy2.mpfr("inf"), np.inf)],
        *[(each, fe.NumberClass.NEGATIVE_ZERO) for each in ("-0", "-0x0p0", Decimal("-0"), gmpy2.mpfr("-0"), -0.0)],
        *[(each, fe.NumberClass.POSITIVE_ZERO) for each in ("0", False, 0, Fraction(0), Decimal(0), gmpy2.mpz(0))],
        *[(np.longdouble(each), fe.NumberClass.NEGATIVE_ZERO) for each in (-0.0,)],
        *[(t(-0.0), fe.NumberClass.NEGATIVE_ZERO) for t in (np.float16, np.float32, ml_dtypes.bfloat16)],
    ]:
        for given in (x, [x, THIRD], [[x], [0.5]], np.array([x, N], object)):
            code = np.asarray(fe.encode(given, "float64", profile=fe.profile("ieee").replace(nan_payload="keep")))
            assert fe.classify(int(code.flat[0]), "float64") == kind, (x, given)
    minus = fe.encode([Decimal("-NaN"), "-nan", THIRD], "float32")
    assert (minus >> 31).tolist() == [1, 1, 0]
    for dtype, bits in ((np.float16, 0x7C01), (np.float32, 0x7F800001)):
        snan = np.array([bits], f"u{np.dtype(dtype).itemsize}").view(dtype)[0]
        assert fe.is_signaling([snan, THIRD, 0.5]).tolist() == [True, False, False]
        assert fe.is_signaling([snan, 0.5]).tolist() == [True, False]
    if np.finfo(np.longdouble).nmant == 63:
        words = np.array([0xA000000000000000, 0x7FFF, 0xC000000000000000, 0xFFFF], np.uint64)
        assert fe.is_signaling(words.view(np.longdouble)).tolist() == [True, False]
        assert fe.is_sign_minus(words.view(np.longdouble)).tolist() == [False, True]


# -- every type of number ---------------------------------------------------------------------------------------------

HELD = [Fraction(n) for n in (0, 1, 3, -2)] + [Fraction(1, 2), Fraction(-5, 4), Fraction(1, 1024), Fraction(2) ** 40]


@pytest.mark.parametrize("x", [*HELD, *HARD], ids=str)
def test_types(x):
    """A number is the same in every type: alone, in lists of several kinds, nested, in an array of objects."""
    want = int(fe.encode([x, THIRD], "float64", rounding="toward_negative")[0])
    narrow = int(fe.encode([x, THIRD], "float8_e4m3fn")[0])
    for kind, given in kinds(x).items():
        for row in (given, [given], [given, 0.5], [[given, THIRD]], (given, N), np.array([given, None], object)[:1]):
            code = np.asarray(fe.encode(row, "float64", rounding="toward_negative"))
            assert int(code.flat[0]) == want, (kind, row)
            assert int(np.asarray(fe.encode(row, "float8_e4m3fn")).flat[0]) == narrow, (kind, row)
    every = list(kinds(x).values())
    assert set(fe.encode(every, "float64", rounding="toward_negative").tolist()) == {want}


def test_mpmath():
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workprec(300):
        third = mpmath.mpf(1) / 3
    for x in (third, mpmath.mpf("-1e-400"), mpmath.mpf(2) ** 70 + 1):
        sign, significand, exponent, _ = x._mpf_
        exact = Fraction(int(significand)) * Fraction(2) ** int(exponent) * (-1 if sign else 1)
        for fmt in ("bfloat16", "float64"):
            assert fe.encode([x, 1], fmt).tolist() == fe.encode([exact, 1], fmt).tolist()
    assert fe.cast([mpmath.inf, -mpmath.inf, mpmath.mpf(0)], "float16").tolist() == [np.inf, -np.inf, 0]
    assert np.isnan(fe.cast(mpmath.nan, "float16"))
    with pytest.raises(TypeError, match="working precision"):
        fe.cast(mpmath.pi, "float16")


def test_mpmaths_tuples():
    """What mpmath's numbers carry, without mpmath."""
    mpf = type("mpf", (), {"__float__": lambda self: {-456: np.inf, -789: -np.inf}.get(self._mpf_[2], np.nan)})

    def of(*parts):
        made = mpf()
        made._mpf_ = parts
        return made

    x = [of(0, 2**70 + 1, 0, 71), of(1, 1, -500, 1), of(0, 0, 0, 0), of(0, 0, -456, -2), of(1, 0, -789, -3)]
    assert fe.cast(x, "float64", rounding="toward_positive").tolist()[1:] == [-(2.0**-500), 0, np.inf, -np.inf]
    assert fe.equal(x[:1], [2**70 + 1]).all()
    assert np.isnan(fe.cast(of(0, 0, -123, -1), "float16"))


def test_far_numbers():
    """Bounded work for exponents without end; what needs the whole number is refused."""
    far = ["1e-1000000000", "-0x1p1000000000", Decimal("1e999999"), Decimal("-1e-999999")]
    up = fe.encode(far, "bfloat16", rounding="toward_positive")
    assert up.tolist() == [1, 0xFF7F, 0x7F80, 0x8000]
    assert fe.encode("12345e100000000", "uint8", overflow="wrap") == 0
    assert fe.encode([10**30 + 7, "1e30"], "uint8", overflow="wrap").tolist() == [(10**30 + 7) % 256, 10**30 % 256]
    assert fe.less(far, [1e-300, -1e300, np.inf, 0]).all()
    assert fe.equal(["1e-1000000000", "1e1000000000"], ["1e-1000000000", "2e1000000000"]).tolist() == [True, False]
    assert fe.equal(Decimal("1e-100000"), Decimal("10e-100001"))
    assert fe.less("1e1000000000000000000000000", "1e1000000000000000000001000").all()
    assert fe.less("1e1000000000000000000000000", "1e1000000000000000999999999").all()
    assert fe.maximum(far, 0, result="float64").tolist() == [0, 0, np.inf, 0]
    assert fe.cast(far[0], "nf4") == 0
    assert fe.logb("0x1p-1000000000", result="int32") == -1000000000
    assert fe.scaleb("0x1.8p-1000000", 1000000, result="float16") == 1.5
    with pytest.raises(ValueError, match="too far away"):
        fe.add(far, 1, result="float64")


# -- what has no exact value ------------------------------------------------------------------------------------------

WITHOUT = {
    "none": (None, "float\\('nan'\\)"),
    "dict": ({"weight": [1.0]}, "fe.cast\\(x, fmt\\) for name"),
    "generator": ((x for x in [1.0]), "list\\(x\\)"),
    "set": ({1.0}, "sorted"),
    "complex": (1j, "real"),
    "bytes": (b"1", "decode"),
    "object": (object(), "numbers are"),
    "mpc": (gmpy2.mpc(1), "real"),
}


@pytest.mark.parametrize("name", WITHOUT)
def test_without_exact_value(name):
    x, match = WITHOUT[name]
    for call in (
        lambda x: fe.cast(x, "bfloat16"),
        lambda x: fe.encode([1.0, x], "bfloat16"),
        lambda x: fe.add(x, 1.0, result="bfloat16"),
        lambda x: fe.equal([[x]], 1.0),
        lambda x: fe.sum([x, THIRD], result="bfloat16"),
        lambda x: fe.is_nan([x]),
        lambda x: fe.array([1.0], "bfloat16").__setitem__(slice(None), [x]),
    ):
        with pytest.raises(TypeError, match=match):
            call(x)


def test_text_that_is_no_number():
    for wrong in ("one", "", "1e", "0x", "1/3", "٣,5"):
        with pytest.raises(ValueError, match="not a number"):
            fe.cast([0.5, wrong], "bfloat16")
    with pytest.raises(ValueError, match=r"126.*source="):
        fe.cast("0x7E", "bfloat16")
    with pytest.raises(ValueError, match=r"element \[1, 0\]"):
        fe.cast([[1.0], ["x"]], "bfloat16")
    with pytest.raises(TypeError, match="astype"):
        fe.cast(np.array([b"1"]), "bfloat16")


def test_sequences_that_are_no_arrays():
    for wrong in ([[1, 2], [3]], [[1, 2], 3], [np.ones(2), [1.0]], [fe.array([1.0], "bfloat16"), 1.0]):
        with pytest.raises(ValueError, match="no array"):
            fe.cast(wrong, "bfloat16")
    endless: list = []
    endless.append(endless)
    with pytest.raises(ValueError, match="64 deep"):
        fe.cast(endless, "bfloat16")
    with pytest.raises(TypeError, match="stack"):
        fe.cast(np.array([np.ones(2), None], object)[:1], "bfloat16")


def test_own_format_of_several():
    """Where the result's format is the numbers' own there has to be one."""
    for call in (fe.asarray, fe.round_to_integral, lambda x: fe.scaleb(x, 1), fe.logb):
        with pytest.raises(ValueError, match="does not hold"):
            call([N, 0.5])
    assert fe.asarray([np.float32(0.5), np.float16(2)]).format == fe.dtype("float32")
    assert fe.asarray([1, 2**63]).format == fe.dtype("uint64")
    assert fe.asarray(["0.5", 2]).format == fe.dtype("float64")
    assert fe.asarray([N, 0.5], "bfloat16").codes.tolist() == [0x5D81, 0x3F00]


def test_dtypes_of_results():
    """What the documentation of `cast` says of sequences."""
    assert fe.cast([np.float32(1), np.float32(2)], "bfloat16").dtype == np.float32
    assert fe.cast([np.float16(1), np.float16(2)], "float8_e4m3fn").dtype == np.float16
    assert fe.cast([np.float32(1), 2.0], "bfloat16").dtype == np.float64
    assert fe.cast(["0.1", THIRD], "bfloat16").dtype == np.float64
    assert fe.cast(THIRD, "bfloat16").dtype == np.float64
    assert fe.cast(2**70, "bfloat16").dtype == np.float32
    assert fe.cast([1, 2], "bfloat16").dtype == np.float32
    assert fe.cast(THIRD, "bfloat16", dtype="float32").dtype == np.float32
    assert type(fe.cast(THIRD, "bfloat16")) is np.float64
    assert type(fe.encode(N, "bfloat16")) is np.uint16
    assert fe.cast(np.longdouble([1, 3]) / 3, "bfloat16").dtype == np.float64
    assert fe.cast(np.array([], object), "bfloat16").dtype == np.float64
    assert fe.encode(np.zeros((2, 0), "U3"), "bfloat16").shape == (2, 0)
    out = np.zeros(2, np.float32)
    assert fe.cast([THIRD, N], "bfloat16", dtype="float32", out=out) is out
    assert out.tolist() == [fe.cast(THIRD, "bfloat16"), fe.cast(N, "bfloat16")]


def test_nan_error_and_out():
    with pytest.raises(ValueError, match="element 1 is NaN"):
        fe.encode([THIRD, np.nan], "bfloat16", profile=fe.profile("ieee").replace(nan="error"))
    out = np.zeros((2, 2), np.uint16)[:, 1]
    assert fe.encode([THIRD, N], "bfloat16", out=out) is out
    assert out.tolist() == fe.encode([THIRD, N], "bfloat16").tolist()


# -- every public function --------------------------------------------------------------------------------------------

X, Y = [Fraction(1, 2), Fraction(2), Fraction(-1)], [Fraction(1), Fraction(2), Fraction(4)]
SINGLE = {"sqrt", "absolute", "negative", "round_to_integral", "logb"}
PAIRS = {"vecdot", "add", "subtract", "multiply", "divide", "fmod", "ieee_remainder", "copysign", "dot", "pow"}
PAIRS |= {"minimum", "maximum", "minimum_number", "maximum_number"}
ELEMENTARY = {"cos", "erf", "exp", "exp2", "log", "log2", "reciprocal", "rsqrt", "sigmoid", "sin", "tanh"}
OF_NUMBERS = {
    **{name: (lambda f, x: f(x, result="float64")) for name in (*SINGLE, *ELEMENTARY, "sum", "mean", "cumsum")},
    **{name: (lambda f, x: f(x, _like(x, Y), result="float64")) for name in PAIRS},
    **{name: (lambda f, x: f(x, _like(x, Y))) for name in fe.__all__ if name in comparisons._PREDICATES},
    **{name: (lambda f, x: f(x)) for name in fe.__all__ if name.startswith("is_")},
    **{name: (lambda f, x: f(x, "bfloat16")) for name in ("array", "asarray", "cast", "convert", "encode")},
    **{name: (lambda f, x: f(x, "bfloat16")) for name in ("next_up", "next_down", "spacing")},
    "fma": lambda f, x: f(x, x, _like(x, Y), result="float64"),
    "scaleb": lambda f, x: f(x, 1, result="float64"),
    "report": lambda f, x: f(x, "float8_e4m3fn").to_dict(),
    "quantize": lambda f, x: f(x, "absmax_int8").dequantize(),
    "fake_quantize": lambda f, x: f(x, "absmax_int8").astype(np.float32),
    "calibrate": lambda f, x: f([x], "fp8_e4m3_tensor").scales,
}
# What takes codes, integers alone, or files
OTHERS = {
    "Array",
    "Quantized",
    "classify",
    "decode",
    "pack",
    "unpack",
    "save",
    "left_shift",
    "right_shift",
}


def _like(x, numbers):
    """Numbers of the kind that the first one of a list is."""
    return [_of_kind(type(x[0]), each) for each in numbers] if isinstance(x, list) else np.array(numbers, np.float64)


def _of_kind(kind, x):
    for given in kinds(x).values():
        if type(given) is kind:
            return given
    return float(x)


def test_every_public_function_is_asked():
    public = {name for name in fe.__all__ if "array_like" in (getattr(fe, name).__doc__ or "")}
    assert public == set(OF_NUMBERS) | OTHERS


def same(a, b):
    if hasattr(a, "codes"):
        return a.format == b.format and np.array_equal(a.codes, b.codes)
    if isinstance(a, dict):
        return str(a) == str(b)
    return np.array_equal(np.asarray(a, np.float64), np.asarray(b, np.float64), equal_nan=True)


KINDS = ["float", "fraction", "decimal", "text", "hexadecimal", "mpq", "mpfr", "float16", "float32", "float64"]


@pytest.mark.parametrize("name", sorted(set(OF_NUMBERS) - OTHERS))
@pytest.mark.parametrize("kind", [*KINDS, "longdouble", "objects", "strings", "longdoubles", "several"])
def test_every_public_function(name, kind):
    """Numbers that float64 holds, in lists of each kind, give what an array of float64 gives."""
    function, call = getattr(fe, name), OF_NUMBERS[name]
    want = call(function, np.array(X, kind if kind in ("float16", "float32") else "float64"))
    if kind == "several":
        x = [kinds(X[0])["text"], kinds(X[1])["int"], kinds(X[2])["decimal"]]
    elif kind == "objects":
        x = np.array([*map(float, X[:2]), X[2]], object)
    elif kind == "strings":
        x = np.array(["0.5", "2", "-1"])
    elif kind == "longdoubles":
        x = np.array(X, np.float64).astype(np.longdouble)
    else:
        x = [kinds(each)[kind] for each in X]
    assert same(call(function, x), want)


BEYOND = [N, THIRD, Decimal("0.1"), "1e-400", np.longdouble(1) / 3]


@pytest.mark.parametrize("name", sorted(set(OF_NUMBERS) - OTHERS))
def test_every_public_function_beyond_formats(name):
    """Numbers that no format holds: computed from what they are, the same of every kind, or refused in words."""
    function, call = getattr(fe, name), OF_NUMBERS[name]
    if name in ("next_up", "next_down", "spacing"):  # of a format's own values
        with pytest.raises(ValueError, match=r"is not a value of bfloat16: cast first, fe\.cast"):
            call(function, BEYOND)
        assert call(function, fe.cast(BEYOND, "bfloat16")) is not None
        return
    assert same(call(function, BEYOND[:3]), call(function, [Fraction(each) for each in BEYOND[:3]]))
    for i in range(len(BEYOND)):
        alone = [BEYOND[i]] * 3
        ratio = BEYOND[i].as_integer_ratio() if isinstance(BEYOND[i], np.generic) else (BEYOND[i],)
        exact = [Fraction(*ratio)] * 3
        assert same(call(function, alone), call(function, exact)), BEYOND[i]


def test_refused_beyond_formats(tmp_path):
    """What keeps numbers in their own format has to be told one; the advice works."""
    for call in (fe.asarray, lambda x: fe.save(tmp_path / "x.npz", x=x)):
        with pytest.raises(ValueError, match=r"does not hold: .*fe.array\(x, 'float64'\)"):
            call(BEYOND)
        call(fe.array(BEYOND, "float64"))


def test_neighbours_of_numbers_without_a_format():
    far = fe.dtype("e15m40")
    assert fe.next_up(fe.array(2**70, far)).format == far
    assert fe.next_up([2**60 + 2**20, "0.5"], "float64").tolist() == [2.0**60 + 2**20 + 256, 0.5 + 2.0**-53]
    assert fe.spacing("0x1p-1000", "float64") == 2.0**-1052


# -- torch ------------------------------------------------------------------------------------------------------------


def test_torch_numbers():
    torch = pytest.importorskip("torch")
    several = [torch.tensor(N), torch.tensor(0.5, dtype=torch.bfloat16), np.float32(3), 2, THIRD]
    want = fe.encode([N, 0.5, 3, 2, THIRD], "bfloat16")
    assert fe.encode(several, "bfloat16").tolist() == want.tolist()
    rows = [torch.tensor([N, 1]), torch.tensor([0.5, 2.0])]
    assert fe.encode(rows, "bfloat16").tolist() == fe.encode([[N, 1], [0.5, 2]], "bfloat16").tolist()
    assert fe.sum(several[:4], result="float64") == float(N + Fraction(11, 2))


def test_tensors_without_numbers_are_told_what_to_do():
    """No words of torch's inside; what the error names can be done."""
    torch = pytest.importorskip("torch")
    fake = pytest.importorskip("torch._subclasses.fake_tensor")
    with fake.FakeTensorMode():
        fakes = [torch.ones(3), torch.ones(3).bfloat16(), torch.ones(3).to(torch.float8_e5m2)]
    rows = [torch.ones(2), torch.ones(3)]
    nested = [torch.nested.nested_tensor(rows), torch.nested.nested_tensor(rows, layout=torch.jagged)]
    calls = [
        lambda x: fe.cast(x, "float16"),
        lambda x: fe.quantize(x, "absmax_int8"),
        fe.asarray,
        lambda x: fe.array([x], "int8"),
    ]
    for call in calls:
        for tensor in fakes:
            with pytest.raises(TypeError, match=r"FakeTensor .* has no memory to read: hand over a plain one"):
                call(tensor)
        for tensor in nested:
            with pytest.raises(TypeError, match=r"cast each of tensor\.unbind\(\)"):
                call(tensor)
        with pytest.raises(TypeError, match="on meta, where tensors have no numbers"):
            call(torch.ones(2, device="meta"))
        with pytest.raises(TypeError, match="has no memory to read"):
            torch.vmap(lambda row, call=call: call(row) and row)(torch.ones(2, 2))
        module = torch.nn.Linear(2, 2)
        with pytest.raises(
            TypeError, match=r"\{name: fe\.cast\(x, fmt\) for name, x in module\.state_dict\(\)\.items\(\)\}"
        ):
            call(module)
    assert [fe.cast(part, "float16").tolist() for part in nested[0].unbind()] == [[1, 1], [1, 1, 1]]
    with pytest.raises(TypeError, match=r"np\.stack joins a list"):
        torch.tensor([fe.array(1.0, "bfloat16")])


@pytest.mark.parametrize("kind", [float, int, bool, str, np.float32, Fraction])
def test_types_are_not_numbers(kind):
    for wrong in (kind, [1.0, kind]):
        with pytest.raises(TypeError, match="no exact value"):
            fe.cast(wrong, "bfloat16")

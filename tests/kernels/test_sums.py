"""Sums and dot products against the exact specification: values and flags."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import fpemu as fe
from fpemu.arithmetic import accumulation
from tests.cases import float_environment
from tests.kernels.test_arithmetic import some
from tests.kernels.test_kernels import expected_word
from tests.oracle import spec
from tests.oracle.compare import DETERMINISTIC, assert_same_codes, profile
from tests.oracle.spec_reductions import ONE, Steps, rounded, total


def pairs_of(rows, formats):
    """Rows of codes of one format or two as rows of pairs of numbers."""
    x = [[spec.decode(code, formats[0]) for code in row] for row in rows[0].tolist()]
    if len(rows) == 1:
        return [[(number, ONE) for number in row] for row in x]
    y = [[spec.decode(code, formats[1]) for code in row] for row in rows[1].tolist()]
    return [list(zip(a, b, strict=True)) for a, b in zip(x, y, strict=True)]


def some_rows(fmt, rows, length, seed):
    """Codes in rows: at first tame ones, finite and of both signs, then any; then some that cancel."""
    codes = some(fmt, rows * length, seed).reshape(rows, length)
    if fmt.kind == "float":
        rng = np.random.default_rng(seed)
        finite = rng.integers(0, fmt.max_code, (rows, length), dtype=np.uint64, endpoint=True)
        sign = rng.integers(0, 2, (rows, length), dtype=np.uint64) << np.uint64(fmt.bits - 1)
        tame = (finite | (sign if fmt.signed else 0)).astype(fmt.code_dtype)
        codes = np.where(np.arange(rows)[:, None] % 4 != 3, tame, codes)
        if fmt.signed and length > 1:  # the second half takes away the first, but for little
            half = length // 2
            codes[1::4, half : 2 * half] = codes[1::4, :half] ^ fmt.sign_mask
    return codes


def assert_flags(found, flags, label):
    if flags is not None:
        wrong = np.flatnonzero(found.bits.ravel() != flags)[:5]
        assert not wrong.size, [(label, i, found.bits.ravel()[i], flags[i]) for i in wrong.tolist()]


def assert_exact(name, rows, formats, target, rules, random_bits=None):
    """The last axis, exactly."""
    arrays = [fe.Array(part, fmt) for part, fmt in zip(rows, formats, strict=True)]
    expected = [total(row, rules, name == "mean") for row in pairs_of(rows, formats)]
    if name == "cumsum":
        expected = [total(row[: k + 1], rules) for row in pairs_of(rows, formats) for k in range(len(row))]
    shape = rows[0].shape if name == "cumsum" else rows[0].shape[:1]
    more = {} if random_bits is None else {"random_bits": random_bits.reshape(shape)}
    found, flags = getattr(fe, name)(*arrays, axis=-1, result=target, profile=rules, return_flags=True, **more)
    codes, happened = rounded(expected, target, rules, random_bits)
    assert found.codes.shape == shape
    assert_same_codes(found.codes.ravel().astype(np.uint64), codes, np.arange(codes.size), target, (name, rules))
    assert_flags(flags, happened, (name, rules))


EXACT = [
    ("float8_e4m3fn", "float8_e4m3fn"),
    ("float8_e5m2", "float16"),
    ("float16", "float8_e5m2"),
    ("bfloat16", "bfloat16"),
    ("float32", "float16"),
    ("float64", "float64"),
    ("float64", "float32"),
    ("int64", "float64"),
    ("uint64", "int32"),
    ("q3.12", "bfloat16"),
    ("float8_e8m0fnu", "float32"),
    ("float4_e2m1fn", "float6_e3m2fn"),
]


@pytest.mark.parametrize("name", ["sum", "mean", "vecdot", "cumsum"])
@pytest.mark.parametrize(("source", "target"), EXACT)
def test_exact(name, source, target):
    """Every mode, rows of several lengths."""
    source, target = fe.dtype(source), fe.dtype(target)
    for i, (mode, length) in enumerate(zip(DETERMINISTIC, itertools.cycle((1, 2, 3, 7, 12)), strict=False)):
        rows = [some_rows(source, 12, length, 7 * i + place) for place in range(2 if name == "vecdot" else 1)]
        assert_exact(name, rows, [source] * len(rows), target, profile(target, rounding=mode))


@pytest.mark.parametrize("often", [1, 2, 5])
def test_carries(often, monkeypatch):
    """Passed on after every so many terms; all of one sign, or of both."""
    monkeypatch.setattr(accumulation, "_OFTEN", often)
    fmt = fe.dtype("float64")
    for seed, sign in itertools.product(range(3), (0, 1 << 63)):
        codes = np.random.default_rng(seed).integers(0x7FD0 << 48, fmt.max_code, (3, 40), dtype=np.uint64)
        codes[2, ::3] = np.arange(14)
        rules = profile(fe.dtype("binary8p3se"), overflow="saturate")
        assert_exact("sum", [codes | np.uint64(sign)], [fmt], fe.dtype("float64"), fmt.profile)
        assert_exact("vecdot", [codes | np.uint64(sign), codes], [fmt] * 2, fe.dtype("binary8p3se"), rules)
    few = np.full((2, 200), 0xFFFFFFFFFFFFFFFF, np.uint64)
    assert_exact("sum", [few], [fe.dtype("uint64")], fmt, profile(fmt, rounding="toward_zero"))
    few[1] = 0x8000000000000000
    assert_exact("mean", [few], [fe.dtype("int64")], fmt, fmt.profile)


def test_zeros():
    """The sign of a zero sum, in every mode: all terms', else the mode's."""
    fmt = fe.dtype("float16")
    rows = np.array(
        [[0, 0], [0x8000, 0x8000], [0, 0x8000], [0x3C00, 0xBC00], [0xBC00, 0x3C00], [0x0001, 0x8001], [0x8000, 0]],
        np.uint16,
    )
    for mode, name in itertools.product(DETERMINISTIC, ("sum", "mean", "cumsum")):
        assert_exact(name, [rows], [fmt], fmt, profile(fmt, rounding=mode))
        assert_exact("vecdot", [rows, rows[::-1].copy()], [fmt, fmt], fmt, profile(fmt, rounding=mode))


@pytest.mark.parametrize("length", [0, 1, 3])
def test_few(length):
    fmt = fe.dtype("float8_e5m2")
    rows = [some_rows(fmt, 6, length, place) for place in range(2)]
    for name in ("sum", "mean", "cumsum", "vecdot"):
        assert_exact(name, rows[: 1 + (name == "vecdot")], [fmt] * (1 + (name == "vecdot")), fmt, profile(fmt))


@pytest.mark.parametrize(
    "knobs",
    [
        *(
            {"subnormals_in": "zero"},
            {"overflow": "saturate"},
            {"tininess": "before"},
            {"subnormals_out": "flush_tiny"},
        ),
        {"subnormals_out": "flush_tiny", "flush_flags": "underflow", "tininess": "before"},
    ],
    ids=str,
)
def test_knobs(knobs):
    for source, target in itertools.product(("float8_e5m2", "uint8", "float16"), ("float8_e5m2", "float16")):
        source, target = fe.dtype(source), fe.dtype(target)
        rows = [some_rows(source, 60, 3, place) for place in range(2)]
        for name in ("sum", "vecdot"):
            given = rows[: 1 + (name == "vecdot")]
            assert_exact(name, given, [source] * len(given), target, profile(target, **knobs))


@pytest.mark.parametrize("mode", [fe.Stochastic("A", 8), fe.Stochastic("C", 32)], ids=str)
def test_stochastic(mode):
    """With random integers from outside."""
    for source, target in (("float16", "float8_e4m3fn"), ("float64", "float32"), ("int16", "int8")):
        source, target = fe.dtype(source), fe.dtype(target)
        for name in ("sum", "mean", "cumsum"):
            randoms = np.random.default_rng(3).integers(0, 1 << mode.bits, 200 if name == "cumsum" else 50)
            rows = [some_rows(source, 50, 4, 5)]
            assert_exact(name, rows, [source], target, profile(target, rounding=mode), randoms)


@pytest.mark.parametrize("name", ["int64", "uint64", "int8", "q3.12"])
def test_wrapping(name):
    """Modulo 2^bits."""
    target = fe.dtype(name)
    for source in ("int64", "uint64", "int8", "q3.12"):
        source = fe.dtype(source)
        rows = [some_rows(source, 20, 9, place) for place in range(2)]
        for mode in ("nearest_even", "toward_negative"):
            rules = profile(target, overflow="wrap", rounding=mode)
            assert_exact("sum", rows[:1], [source], target, rules)
            assert_exact("vecdot", rows, [source] * 2, target, rules)


def test_fsum():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((40, 300)) * 2.0 ** rng.integers(-300, 300, (40, 300))
    x[:20, 150:] = -x[:20, :150] * (1 + 2**-52)
    np.testing.assert_array_equal(fe.sum(x, axis=1, result="float64"), [math.fsum(row) for row in x])


# -- steps ------------------------------------------------------------------------------------------------------------


def stepped(name, rows, formats, by, rules, summation="sequential", products="exact", words=None):
    """What the steps give by the specification: numbers of each row, flags."""
    given = pairs_of(rows, formats)
    spec_steps = Steps(given, by, rules, products, words)
    sums = spec_steps.sums(summation, rows[0].shape[1])
    return spec_steps if name == "cumsum" else (sums, spec_steps.flags)


def codes_of(numbers, fmt):
    """Codes of exact results; the sign of NaN is the canonical one's."""
    return rounded([(number, 0) for number in numbers], fmt, fmt.profile)[0]


def assert_steps(name, rows, formats, by, rules, summation="sequential", products="exact"):
    """The last axis, in steps of a format, which is the result's too."""
    sums, flags = stepped("sum", rows, formats, by, rules, summation, products)
    arrays = [fe.Array(part, fmt) for part, fmt in zip(rows, formats, strict=True)]
    more = {"products": products} if name == "vecdot" else {}
    how = dict(axis=-1, result=by, accumulate=by, summation=summation, profile=rules, **more)
    found, happened = getattr(fe, name)(*arrays, return_flags=True, **how)
    label = np.arange(flags.size)
    assert_same_codes(found.codes.astype(np.uint64), codes_of(sums, by), label, by, (name, rules, summation, products))
    if by.kind == "float" and by.signed:
        assert_flags(happened, flags, (name, rules, summation, products))
    np.testing.assert_array_equal(getattr(fe, name)(*arrays, **how).codes, found.codes)  # perhaps by the FPU


ORDERS = ["sequential", "pairwise", 1, 2, 3, 5]


@pytest.mark.parametrize("summation", ORDERS)
@pytest.mark.parametrize("by", ["bfloat16", "float8_e5m2", "float16", "float32", "int16"])
def test_orders(by, summation):
    """Sums and dot products, several lengths."""
    by = fe.dtype(by)
    for source, length in itertools.product(("float8_e4m3fn", "float16"), (1, 2, 3, 7, 8, 11)):
        source = fe.dtype(source)
        rows = [some_rows(source, 8, length, length + place) for place in range(2)]
        rules = profile(by)
        assert_steps("sum", rows[:1], [source], by, rules, summation)
        for products in ("exact", "rounded"):
            assert_steps("vecdot", rows, [source] * 2, by, rules, summation, products)


@pytest.mark.parametrize("mode", DETERMINISTIC)
def test_modes_of_steps(mode):
    for by, source in (("float8_e4m3fn", "float8_e4m3fn"), ("bfloat16", "float32"), ("float64", "float64")):
        by, source = fe.dtype(by), fe.dtype(source)
        rows = [some_rows(source, 30, 5, place) for place in range(2)]
        for summation in ("sequential", "pairwise"):
            assert_steps("sum", rows[:1], [source], by, profile(by, rounding=mode), summation)
            assert_steps("vecdot", rows, [source] * 2, by, profile(by, rounding=mode), summation, "rounded")


@pytest.mark.parametrize("flags", ["underflow_inexact", "underflow"])
def test_steps_that_flush(flags):
    for by, source in (("float8_e4m3fn", "float8_e4m3fn"), ("bfloat16", "bfloat16"), ("float16", "float8_e5m2")):
        by, source = fe.dtype(by), fe.dtype(source)
        rows = [some_rows(source, 40, 5, place) for place in range(2)]
        for mode in ("nearest_even", "toward_positive"):
            rules = profile(by, rounding=mode, subnormals_out="flush_tiny", flush_flags=flags)
            assert_steps("sum", rows[:1], [source], by, rules, "sequential")
            assert_steps("vecdot", rows, [source] * 2, by, rules, "pairwise", "rounded")


@pytest.mark.parametrize("name", ["float8_e5m2", "bfloat16"])
def test_steps_of_running_sums(name):
    """Every step's sum and the flags to there."""
    fmt = fe.dtype(name)
    rows = some_rows(fmt, 40, 6, 3)
    steps = stepped("cumsum", [rows], [fmt], fmt, fmt.profile)
    found, flags = fe.cumsum(fe.Array(rows, fmt), axis=1, accumulate=fmt, return_flags=True)
    plain = fe.cumsum(fe.Array(rows, fmt), axis=1, accumulate=fmt)
    for k, (numbers, happened) in enumerate(steps.running):
        np.testing.assert_array_equal(found.codes[:, k], codes_of(numbers, fmt))
        np.testing.assert_array_equal(flags.bits[:, k], happened)
    np.testing.assert_array_equal(plain.codes, found.codes)


def test_the_last_step():
    """From the steps' format to the result's, or divided by the number of terms."""
    by, target = fe.dtype("float16"), fe.dtype("float8_e4m3fn")
    rows = some_rows(by, 200, 3, 1)
    sums, flags = stepped("sum", [rows], [by], by, profile(by))
    three = spec.Number("finite", False, 3, 0)
    for name, operation, number in (("sum", "multiply", ONE), ("mean", "divide", three)):
        last = Steps([[(value, number)] for value in sums], target, profile(target), "exact")
        expected = last.do(operation, [(value, number) for value in sums], 0)
        found, happened = getattr(fe, name)(fe.Array(rows, by), axis=1, result=target, accumulate=by, return_flags=True)
        np.testing.assert_array_equal(found.codes, codes_of(expected, target))
        np.testing.assert_array_equal(happened.bits, flags | last.flags)


@pytest.mark.parametrize("summation", ["sequential", "pairwise", 3])
def test_stochastic_steps(summation):
    """Each step has its own integer of a stream that is not the results'."""
    by, source = fe.dtype("float8_e5m2"), fe.dtype("float16")
    mode = fe.Stochastic("A", 8)
    rules = profile(by, rounding=mode)
    rows = [some_rows(source, 30, 5, place) for place in range(2)]
    key = int(np.random.default_rng(9).integers(0, 1 << 64, dtype=np.uint64)) ^ accumulation.STEPS_KEY

    def words(row, place):
        return expected_word(key, (row + 100) * 2 * 5 + place) >> 24

    for products in ("exact", "rounded"):
        sums, _ = stepped("vecdot", rows, [source] * 2, by, rules, summation, products, words)
        arrays = [fe.Array(part, source) for part in rows]
        how = {"result": by, "accumulate": by, "profile": rules, "summation": summation, "products": products, "rng": 9}
        found = fe.vecdot(*arrays, rng_offset=100, **how)
        np.testing.assert_array_equal(found.codes, codes_of(sums, by))
        tail = fe.vecdot(*(fe.Array(part[20:], source) for part in rows), rng_offset=120, **how)
        np.testing.assert_array_equal(tail.codes, found.codes[20:])


# -- the FPU's steps --------------------------------------------------------------------------------------------------


def by_kernel(monkeypatch, x, by, **how):
    """The same sums without the FPU."""
    with monkeypatch.context() as patch:
        patch.setattr(accumulation, "carrier", lambda *_: None)
        return fe.sum(x, axis=-1, accumulate=by, **how).codes


@pytest.mark.parametrize("name", ["float8_e4m3fn", "float8_e5m2", "float6_e2m3fn", "float4_e2m1fn", "e3m4"])
def test_fpu_every_pair(name, monkeypatch):
    fmt = fe.dtype(name)
    assert accumulation.carrier(fmt, profile(fmt), fmt) is not None
    codes = np.arange(fmt.code_count, dtype=fmt.code_dtype)
    x = fe.Array(np.stack(np.meshgrid(codes, codes), axis=-1), fmt)
    np.testing.assert_array_equal(fe.sum(x, axis=-1, accumulate=fmt).codes, by_kernel(monkeypatch, x, fmt))


CARRIED = {"bfloat16": "float32", "float16": "float32", "tfloat32": "float32", "e8m8": "float32", "float32": "float32"}
CARRIED |= {"e8m14": "float64", "e8m20": "float64", "float64": "float64", "e10m23": "float64"}


@pytest.mark.parametrize("name", CARRIED)
def test_fpu(name, monkeypatch):
    """Pairs of codes at edges and by chance, longer rows; sums that overflow."""
    fmt = fe.dtype(name)
    assert accumulation.carrier(fmt, profile(fmt), fmt).float.name == CARRIED[name]
    first, second = some(fmt, 100_000, 1), some(fmt, 100_000, 2)
    near = (
        first.astype(np.uint64) + np.random.default_rng(1).integers(0, 1 << fmt.precision, first.size, np.uint64)
    ) % (1 << fmt.bits - 1)  # about the same exponent: ties
    for other in (second, near.astype(fmt.code_dtype), near.astype(fmt.code_dtype) ^ fmt.sign_mask):
        x = fe.Array(np.stack([first, other], axis=-1), fmt)
        np.testing.assert_array_equal(fe.sum(x, axis=-1, accumulate=fmt).codes, by_kernel(monkeypatch, x, fmt))
    for summation in ("sequential", 1, 4):
        x = fe.Array(some_rows(fmt, 400, 13, 5), fmt)
        expected = by_kernel(monkeypatch, x, fmt, summation=summation)
        np.testing.assert_array_equal(fe.sum(x, axis=-1, accumulate=fmt, summation=summation).codes, expected)


def long_rows(fmt, rng, length):
    """Sums that grow, walk, stall, go round zero and from one binade to the next, with ties, and with what is not."""
    top, ulp = min(fmt.value(fmt.max_code), 2.0**60), 2.0 ** -(fmt.precision - 1)
    n = fmt.emin + 3 if fmt.emin > -100 else 0
    walk = rng.choice([-1, -0.5, 0.5, 1], length) * ulp
    rows = [
        rng.random(length),
        -rng.random(length),
        rng.standard_normal(length),
        np.concatenate([[1.5], walk[1:]]),  # ties and exact steps inside a binade
        np.concatenate([[-1.0], walk[1:]]),  # about a power of two
        np.concatenate([[2 - ulp], walk[1:]]),
        np.concatenate([[1.25], np.full(length - 1, ulp / 2)]),
        np.where(np.arange(length) % 100 == 70, -2.75, 0.01) + 0.0,  # to the other sign, from inside a binade
        np.where(np.arange(length) % 90 == 80, top, 0.5),  # to overflow
        np.concatenate([[1.5], np.full(length - 1, 2.0**n)]),
        np.concatenate([[2.0**fmt.emin], np.full(length - 1, 2.0**fmt.emin / 4)]),
    ]
    codes = np.array([fe.encode(row, fmt, overflow="saturate") for row in rows])
    specials = np.repeat(codes[:4], 3, axis=0)
    for row, code in zip(specials, [*fmt.nan_codes[:1], 0, fmt.sign_mask] * 6, strict=False):
        row[rng.integers(70, length)] = code
    if fmt.infinity_code is not None:
        specials[::2, length // 2] = fmt.infinity_code
    return fe.Array(np.concatenate([codes, specials]), fmt)


@pytest.mark.parametrize(
    "name", ["bfloat16", "float16", "tfloat32", "float8_e5m2", "float8_e4m3fn", "e8m14", "float32", "e3m4"]
)
def test_fpu_steps_inside_a_binade(name, monkeypatch):
    """Long rows, of which stretches are taken at once: whole, by blocks, and every sum on the way."""
    fmt = fe.dtype(name)
    assert accumulation.carrier(fmt, profile(fmt), fmt) is not None
    x = long_rows(fmt, np.random.default_rng(5), 700)
    for summation in ("sequential", 150):
        expected = by_kernel(monkeypatch, x, fmt, summation=summation)
        np.testing.assert_array_equal(fe.sum(x, axis=-1, accumulate=fmt, summation=summation).codes, expected)
    found = fe.cumsum(x, axis=-1, accumulate=fmt).codes
    expected = fe.cumsum(x, axis=-1, accumulate=fmt, return_flags=True)[
        0
    ].codes  # with flags the general kernel does it
    np.testing.assert_array_equal(found, expected)


def test_fpu_is_asked_where_it_may_be():
    """Where its sum of two numbers, rounded again, could be wrong, or the rules want something else, it is not."""
    bf16, f16 = fe.dtype("bfloat16"), fe.dtype("float16")
    assert accumulation.carrier(bf16, profile(bf16), fe.dtype("float8_e4m3fn")) is not None
    for source in ("float16", "float32", "int16", "e8m8"):
        assert accumulation.carrier(bf16, profile(bf16), fe.dtype(source)) is None
    for knobs in ({"rounding": "toward_zero"}, {"subnormals_in": "zero"}, {"subnormals_out": "flush_tiny"}):
        assert accumulation.carrier(f16, profile(f16, **knobs), f16) is None
    for name in ("float8_e4m3fnuz", "float8_e8m0fnu", "int8", "e11m26"):
        fmt = fe.dtype(name)
        assert accumulation.carrier(fmt, profile(fmt), fmt) is None
    above = fe.FloatFormat("quantum below float64's", 20, 8, bias=1060)
    assert accumulation.carrier(above, profile(above), above) is None
    assert accumulation.carrier(f16, profile(f16), fe.dtype("int8")) is not None
    assert fe.sum(np.int8([100, 27, -128]), result="float16", accumulate="float16") == -1


@float_environment.needed
@pytest.mark.parametrize("name", float_environment.CHANGED)
def test_fpu_in_other_modes(name):
    fmt = fe.dtype("bfloat16")
    x = fe.Array(some_rows(fmt, 50, 9, 3), fmt)
    expected = fe.sum(x, axis=-1, accumulate=fmt).codes
    with float_environment.changed(name):
        found = fe.sum(x, axis=-1, accumulate=fmt).codes
    np.testing.assert_array_equal(found, expected)

"""Loops over blocks, and codebooks by bins, each alone: against fractions, numpy's reductions, and a bisection."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

import fpemu as fe
from fpemu.casting.fast_paths import widening
from fpemu.casting.fpu import FPU_PROBE
from fpemu.casting.thresholds import bins, codebook
from fpemu.kernels.cpu import blocks
from fpemu.kernels.cpu.float_environment import fpu_is_standard
from fpemu.kernels.cpu.lookup import bins_array
from tests.oracle.spec_roundings import ELEMENTS, round_ratio

UNFIT = np.where(FPU_PROBE == 2.0**-24, np.float32(2.0**-20), FPU_PROBE)  # as though the FPU did not round to nearest
INF, NAN = np.inf, np.nan


def rows(seed=0, shape=(5, 37)):
    """Numbers of many magnitudes, with zeros of both signs among them."""
    draw = np.random.default_rng(seed)
    x = (draw.normal(size=shape) * 2.0 ** draw.integers(-30, 30, shape)).astype(np.float32)
    x[draw.random(shape) < 0.1] = 0.0
    x[draw.random(shape) < 0.05] = -0.0
    return x


def parts(x, block):
    """Blocks of rows, by row and place."""
    return {(i, k): x[i, k * block : (k + 1) * block] for i in range(len(x)) for k in range(-(-x.shape[1] // block))}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("block", [1, 4, 8, 37, 50])
def test_statistics(block, dtype):
    x = rows().astype(dtype)
    x[1, 2], x[2, 30], x[3, 5:7] = -INF, NAN, (INF, -NAN)
    words = x.view(f"u{x.itemsize}")
    sign = words.dtype.type(1 << (8 * x.itemsize - 1))
    shape = (len(x), -(-x.shape[1] // block))
    most, low, high = (np.empty(shape, words.dtype) for _ in range(3))
    blocks.largest_magnitudes(words, block, ~sign, most)
    blocks.extremes(words, block, sign, low, high)
    for place, part in parts(x, block).items():
        size, least, greatest = (found[place].view(dtype) for found in (most, low, high))
        if np.isnan(part).any():
            assert np.isnan(size)
            assert np.isnan(least) or np.isnan(greatest)
            continue
        assert size == np.abs(part).max()
        assert (least, greatest) == (min(part.min(), 0), max(part.max(), 0))


@pytest.mark.parametrize("block", [3, 16, 37])
def test_products_and_quotients(block):
    x = rows(1)
    factors = np.abs(rows(2, (5, -(-37 // block)))) + np.float32(0.3)
    out, wide = np.empty_like(x), np.empty(x.shape)
    blocks.multiplied(x, factors, block, np.float32(3), out)
    blocks.divided(x, factors.astype(np.float64), block, wide)
    for (i, k), part in parts(x, block).items():
        where = i, slice(k * block, (k + 1) * block)
        np.testing.assert_array_equal(out[where], part * factors[i, k] * np.float32(3))
        np.testing.assert_array_equal(wide[where], part / np.float64(factors[i, k]))
    blocks.divided(np.float32([[1, 0, -1]]), np.zeros((1, 1)), 3, wide := np.empty((1, 3)))
    assert wide[0, 0] == INF
    assert np.isnan(wide[0, 1])
    assert wide[0, 2] == -INF


def near_ties(element, divisors, block):
    """Numbers whose quotients lie at ties of an element, and at values, and up to three units beside."""
    spec = ELEMENTS[element]
    values = sorted({spec.value(code) for code in range(1 << (spec.bits - 1))} - {INF})
    values = [v for v in values if v == v]
    marks = np.array([*values, *((a + b) / 2 for a, b in itertools.pairwise(values))])
    draw = np.random.default_rng(3)
    x = (draw.choice(marks, divisors.shape[1] * block) * np.repeat(divisors, block)).astype(np.float32)
    beside = (x.view(np.int32) + draw.integers(-3, 4, x.size).astype(np.int32)).view(np.float32)[None, :]
    return beside * draw.choice(np.float32([-1, 1]), x.size)


@pytest.mark.parametrize("element", ELEMENTS)
def test_quotients_near_ties(element):
    """Rounded to nearest they are what the exact quotients are; anything at all would do elsewhere."""
    spec, block = ELEMENTS[element], 8
    draw = np.random.default_rng(4)
    divisors = (draw.random((1, 400)) + 0.5).astype(np.float32).astype(np.float64) * draw.integers(1, 15, (1, 400))
    x = near_ties(element, divisors, block)
    x[0, ::97] = draw.choice([0.0, -0.0, 1e-37, INF, -INF, NAN], x[0, ::97].size)
    fmt, out = fe.dtype(element), np.empty(x.shape, np.uint32)
    tie = 1 << (23 - spec.precision)
    words = np.uint32((spec.emin + 127) << 23), np.uint32(tie), np.uint32(tie - 1)
    blocks.float32_quotients(x, (1 / divisors).astype(np.float32), divisors, block, *words, out)
    found, signs = out.view(np.float32)[0].tolist(), np.repeat(divisors[0], block)
    for v, got, divisor in zip(x[0].tolist(), found, signs.tolist(), strict=True):
        if v != v or abs(v) == INF or v == 0:
            assert (got != got) == (v != v)
            assert abs(v) != INF or got == v
            assert v != 0 or got == 0
            continue
        exact = abs(Fraction(v)) / Fraction(divisor)
        want, have = (nearest(ratio, spec) for ratio in (exact, abs(Fraction(got))))
        assert want == have, (v, divisor)
        assert np.signbit(got) == (v < 0)
    assert fmt.precision == spec.precision


def nearest(ratio, spec):
    significand, last = round_ratio(*ratio.as_integer_ratio(), spec.precision, spec.emin) if ratio else (0, 0)
    return min(Fraction(significand) * Fraction(2) ** last, Fraction(spec.largest))


LIMITS = {
    "int8": (-128, 127, 0),
    "uint8": (0, 255, 0),
    "int4": (-8, 7, 0),
    "uint4": (0, 15, 9),
    "int12": (-2048, 2047, 5),
}


@pytest.mark.parametrize("name", LIMITS)
def test_integers(name):
    """Nearest even of the exact quotient, plus the zero point, in range; both loops."""
    low, high, nan = LIMITS[name]
    fmt, block, draw = fe.dtype(name), 8, np.random.default_rng(5)
    divisors = (draw.random((1, 150)) + 0.5).astype(np.float32).astype(np.float64)
    zeros = draw.integers(low, high + 1, divisors.shape).astype(np.int32)
    integers = draw.integers(2 * (low - high), 2 * (high - low), divisors.size * block)
    x = ((integers + draw.choice([0, 0.5, 0.25], integers.size)) * np.repeat(divisors, block)).astype(np.float32)
    x = (x.view(np.int32) + draw.integers(-2, 3, x.size).astype(np.int32)).view(np.float32)[None, :]
    x[0, ::41] = draw.choice([0.0, -0.0, INF, -INF, NAN, 3e38], x[0, ::41].size)
    mask, limits = np.uint32((1 << fmt.bits) - 1), np.array([low, high, 1.5 * 2.0**52, nan])
    out, other = (np.empty(x.shape, fmt.code_dtype) for _ in range(2))
    blocks.integers(x, (1 / divisors).astype(np.float32), divisors, zeros, block, limits, mask, out)
    blocks.shifted_integers(x / np.repeat(divisors, block), zeros, block, limits, mask, other)
    np.testing.assert_array_equal(out, other)
    each = zip(x[0].tolist(), np.repeat(divisors[0], block).tolist(), np.repeat(zeros[0], block).tolist(), strict=True)
    for got, (v, divisor, zero) in zip(out[0].tolist(), each, strict=True):
        whole = nan if v != v else round(Fraction(v) / Fraction(divisor)) if abs(v) < INF else int(np.sign(v)) << 40
        assert got == min(max(whole + zero, low), high) % (1 << fmt.bits), (v, divisor, zero)


def test_integers_of_extreme_scales():
    """Inverses that are infinite, 0, subnormal or NaN."""
    divisors = np.array([[2.0**-149, np.inf, 1.5 * 2.0**127, NAN, 2.0**-126, 2.0**-128]])
    x = np.float32(
        [[2.0**-148, 2.0**-149, 1e-3, -1e-3, 3e38, -1.5 * 2.0**126, 1, -1, 2.0**-126, 0, -(2.0**-126), 2.0**-127]]
    )
    with np.errstate(all="ignore"):
        inverses = (1 / divisors).astype(np.float32)
    zeros, limits, out = (
        np.zeros((1, 6), np.int64),
        np.array([-128, 127, 1.5 * 2.0**52, 9]),
        np.empty((1, 12), np.uint8),
    )
    blocks.integers(x, inverses, divisors, zeros, 2, limits, np.uint32(255), out)
    assert out.view(np.int8)[0].tolist() == [2, 1, 0, 0, 1, 0, 9, 9, 1, 0, -4, 2]


def spans(draw):
    """Pairs of float32 around zero: of like and of most unlike size, subnormal, the largest, each with an infinity."""
    high = np.abs(np.ldexp(draw.normal(size=3000), draw.integers(-140, 125, 3000))).astype(np.float32)
    low = -np.abs(np.ldexp(draw.normal(size=3000), draw.integers(-140, 125, 3000))).astype(np.float32)
    low[:600], high[600:800] = 0, 0
    low[1000:2000] = -(high[1000:2000] * np.ldexp(draw.normal(size=1000), draw.integers(-60, 3, 1000))).astype(
        np.float32
    )
    low[2000:2200] = -np.ldexp(np.float32(1), draw.integers(-148, 127, 200))
    low, high = -np.abs(low), np.abs(high)
    ends = np.float32([0, 1e-45, 1, 3.4028235e38])
    more = np.array([(-a, b) for a in ends for b in ends])
    return np.concatenate([low, more[:, 0]]).astype(np.float32)[None], np.concatenate([high, more[:, 1]])[None]


def to_single(ratio):
    """A fraction, not negative, to float32: nearest even, and the largest for what is beyond."""
    significand, last = round_ratio(*ratio.as_integer_ratio(), 24, -126) if ratio else (0, 0)
    return min(Fraction(significand) * Fraction(2) ** last, Fraction(float(np.finfo(np.float32).max)))


def at_ties(divisor):
    """Pairs whose sum is halfway between two float32, times a divisor; or off by as much as no float64 shows."""
    for tie in range(2**24 + 1, 2**25, 2**13 - 2):
        whole = tie * divisor.numerator
        length = whole.bit_length()
        high = whole >> max(length - 24, 0) << max(length - 24, 0)
        for much in (0, 1, -1, 3, -3, 4, -4):  # quarters of a unit in the last place
            rest = Fraction(whole - high) + much * Fraction(2) ** (length - 55)
            if rest >= 0 and Fraction(float(np.float32(float(rest)))) == rest:
                yield float(Fraction(high) / divisor.denominator), float(rest / divisor.denominator)


@pytest.mark.parametrize("divisor", [1.0, 3.0, 7.0, 127.0, 255.0, 65535.0, 0.75, 16777215.0])
def test_nearest_scales(divisor):
    """Rounded once, also where the difference is no float64, and where quotients lie at and beside ties."""
    low, high = (part.astype(np.float32) for part in spans(np.random.default_rng(int(divisor))))
    marks = np.array([(0, 0), *at_ties(Fraction(divisor))], np.float32).T
    low, high = np.concatenate([low[0], -marks[1]])[None], np.concatenate([high[0], marks[0]])[None]
    bits, inverses = np.empty(low.shape, np.uint32), np.empty(low.shape, np.float32)
    divisors = np.empty(low.shape)
    blocks.nearest_scales(low, high, divisor, np.float32(77), bits, inverses, divisors)
    for few, most, scale, own, inverse in zip(
        low[0].tolist(), high[0].tolist(), bits.view(np.float32)[0].tolist(), divisors[0], inverses[0], strict=True
    ):
        assert Fraction(scale) == to_single((Fraction(most) - Fraction(few)) / Fraction(divisor)), (few, most)
        assert own == (scale or INF)
        with np.errstate(all="ignore"):
            assert inverse == np.float32(1 / np.float64(own))
    special = np.float32([[0, -INF, -INF, NAN, -1, 0]]), np.float32([[INF, 1, INF, 1, NAN, 0]])
    few = [np.empty((1, 6), kind) for kind in (np.uint32, np.float32, np.float64)]
    blocks.nearest_scales(*special, divisor, np.float32(77), *few)
    np.testing.assert_array_equal(few[0].view(np.float32), np.float32([[77, 77, 77, NAN, NAN, 0]]))
    assert few[0][0, 3:5].tolist() == [0x7FC00000] * 2
    np.testing.assert_array_equal(few[2], [[77, 77, 77, NAN, NAN, INF]])


@pytest.mark.parametrize(("first", "least", "most"), [(-128, -128, 127), (0, 0, 255), (-8, -4, 3), (0, 0, 65535)])
def test_zero_points(first, least, most):
    """The nearest even integer of exact quotients, ties among them and numbers beside those."""
    draw = np.random.default_rng(most)
    divisors = (draw.random((1, 900)) + 0.5).astype(np.float32).astype(np.float64)
    halves = draw.integers(0, 3 * (most - least), divisors.shape) / 2
    low = -(halves * divisors).astype(np.float32)
    low = -np.abs((low.view(np.int32) + draw.integers(-1, 2, low.shape).astype(np.int32)).view(np.float32))
    low[0, :300] = -halves[0, :300]
    divisors[0, :300], low[0, 300:303], divisors[0, 303:306] = 1, (-INF, NAN, -3e38), (INF, NAN, 1e-30)
    zeros = np.empty(low.shape, np.int64)
    blocks.zero_points(low, divisors, float(first), float(least), float(most), zeros)
    for few, divisor, zero in zip(low[0].tolist(), divisors[0].tolist(), zeros[0].tolist(), strict=True):
        if few != few or divisor != divisor or divisor == INF:
            shift = 0
        else:
            shift = -(1 << 40) if few == -INF else round(Fraction(few) / Fraction(divisor))
        assert zero == min(max(first - shift, least), most), (few, divisor)


@pytest.mark.parametrize("permutes", [True, False])
@pytest.mark.parametrize("block", [1, 5, 8, 32, 100, 3000])
def test_looked_up(block, permutes):
    draw = np.random.default_rng(block)
    table = draw.normal(size=16).astype(np.float32)
    table[[3, 7, 9]] = NAN, -0.0, INF
    codes = draw.integers(0, 16, (3, 3001)).astype(np.uint8)
    factors = draw.normal(size=(3, -(-3001 // block)))
    for kind in (np.float32, np.float64):
        by, last, out = factors.astype(kind), kind(0.3), np.empty(codes.shape, np.float32)
        blocks.looked_up(codes, table, permutes, by, block, last, out)
        spread = np.repeat(by, block, axis=1)[:, :3001]
        want = (table[codes].astype(kind) * spread * last).astype(np.float32)
        np.testing.assert_array_equal(out, want)
        np.testing.assert_array_equal(np.signbit(out), np.signbit(want))


def test_looked_up_stays_within():
    """Rows of any length, in memory that others own too."""
    table, factors = np.arange(16, dtype=np.float32), np.float32([[2], [3]])
    for length in range(1, 80):
        codes, memory = np.full((2, length), 7, np.uint8), np.full(2 * length + 16, np.float32(-1))
        out = memory[: 2 * length].reshape(2, length)
        blocks.looked_up(codes, table, True, factors, length, np.float32(1), out)
        assert memory.tolist() == [14] * length + [21] * length + [-1] * 16


@pytest.mark.parametrize("name", ["e4m3", "e5m2", "e3m2", "e2m3", "float8_e3m4"])
def test_widened_times(name):
    fmt = fe.dtype(name)
    words = widening(fmt)
    codes = np.arange(fmt.code_count, dtype=np.uint8)[None].repeat(2, axis=0)
    factors = np.random.default_rng(0).normal(size=(2, -(-codes.shape[1] // 24))).astype(np.float32)
    out = np.empty(codes.shape, np.float32)
    blocks.widened_times(codes, words, factors, 24, np.float32(3), out)
    values = np.array([np.float32(fmt.value(int(code))) for code in codes[0]])
    want = values * np.repeat(factors, 24, axis=1)[:, : codes.shape[1]] * np.float32(3)
    np.testing.assert_array_equal(out, want)
    np.testing.assert_array_equal(np.signbit(out)[out == out], np.signbit(want)[out == out])


@pytest.mark.parametrize(
    ("rule", "carry"), [("floor", 0), ("ceil", (1 << 23) - 1), ("even", 1 << 19), ("rceil", (1 << 23) - 1 - (3 << 21))]
)
def test_power_scales(rule, carry):
    """For elements of e4m3fn: the four rules of powers of two and numbers beside, subnormal ones, the largest."""
    marks = np.ldexp(np.float32(1), np.arange(-126, 128)).astype(np.float32)
    more = [1.75, 1.875, 1.9375, 1.96875]
    x = np.concatenate([marks, *(marks[:-1] * np.float32(m) for m in more), np.float32([0, 1e-45, 3e38])])
    x = np.unique(np.concatenate([x, np.nextafter(x, np.float32(0)), np.nextafter(x, np.float32(INF))]))
    bits = np.concatenate([x, np.float32([INF, NAN])]).view(np.uint32)[None, :]
    codes, inverses = np.empty(bits.shape, np.uint8), np.empty(bits.shape, np.uint32)
    blocks.power_scales(bits, np.uint32(carry), np.int32(8), np.int32(77), codes, inverses)
    assert codes[0, -2:].tolist() == [77, 255]
    for infinite in (253, 254):
        few = np.empty((1, 2), np.uint32)
        blocks.power_scales(bits[:, -2:].copy(), np.uint32(carry), np.int32(8), np.int32(infinite), codes[:, -2:], few)
        assert few.view(np.float32)[0, 0] == 2.0 ** (127 - infinite)
    assert np.isnan(inverses.view(np.float32)[0, -1])
    for v, code, inverse in zip(
        x[:-1].tolist(), codes[0].tolist(), inverses.view(np.float32)[0].tolist(), strict=False
    ):
        assert Fraction(inverse) == Fraction(2) ** (127 - code)
        ratio = Fraction(v) / (448 if rule == "rceil" else 256)
        if rule == "even" and v:  # four digits first, ties away from zero
            digits, last = round_ratio(*Fraction(v).as_integer_ratio(), 4, -200)
            tie = Fraction(v) * 2 >= (2 * digits + 1) * Fraction(2) ** last
            ratio = (digits + tie) * Fraction(2) ** last / 256
        e = -127
        while e < 127 and (Fraction(2) ** (e + 1) <= ratio if rule in ("floor", "even") else Fraction(2) ** e < ratio):
            e += 1
        assert code == e + 127, v


def test_back_again():
    codes = np.arange(16, dtype=np.uint8)
    signed = np.empty(16, np.int8)
    blocks.sign_extended(codes, np.uint8(8), signed)
    assert signed.tolist() == [*range(8), *range(-8, 0)]
    wide = np.empty(4, np.int16)
    blocks.sign_extended(np.uint16([0, 2047, 2048, 4095]), np.uint16(2048), wide)
    assert wide.tolist() == [0, 2047, -2048, -1]
    out = np.empty((1, 16), np.float32)
    blocks.shifted_back(signed[None, :], np.int32([[3, -2]]), np.float32([[0.1, 7]]), 8, out)
    factors = np.repeat(np.float32([0.1, 7]), 8)
    np.testing.assert_array_equal(out[0], (signed - np.repeat([3, -2], 8)).astype(np.float32) * factors)


def test_an_unfit_fpu_is_seen():
    assert fpu_is_standard(FPU_PROBE)
    assert not fpu_is_standard(UNFIT)


BOOKS = {
    "nf4": fe.dtype("nf4"),
    "fp4": fe.TableFormat(
        "fp4", [0, 0.0052, 2 / 3, 1, 1 / 3, 0.5, 1 / 6, 0.25, -0.0, -0.0052, -2 / 3, -1, -1 / 3, -0.5]
    ),
    "signs": fe.TableFormat("signs", [-1, 1]),
    "powers": fe.TableFormat("powers", [2.0**n for n in range(8)]),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rounding", ["nearest_even", "nearest_away", "toward_zero", "toward_positive"])
@pytest.mark.parametrize("name", BOOKS)
def test_bins(name, rounding, dtype):
    """The value that a search among fractions finds, at every threshold and beside."""
    fmt = BOOKS[name]
    rules = fmt.check_profile(fe.profile("ieee").replace(rounding=rounding, nan="max"))
    book = codebook(fmt, rules)
    found = bins(book, np.dtype(dtype))
    values = np.array(sorted(fmt.entries))
    marks = np.concatenate([values, (values[1:] + values[:-1]) / 2, [-3.0, 400.0, INF, -INF, NAN, -0.0]]).astype(dtype)
    x = np.concatenate([marks, np.nextafter(marks, dtype(9e9)), np.nextafter(marks, dtype(-9e9))])
    out = np.zeros(x.size, np.uint8)
    specials = np.array(book.specials[1:], np.uint8)
    assert bins_array(x, *found, book.codes.astype(np.uint8), specials, FPU_PROBE, out)
    exact = [Fraction(v) for v in fmt.entries]
    for v, code in zip(x.tolist(), out.tolist(), strict=True):
        if v != v or abs(v) == INF:
            assert fmt.entries[code] == (values[0] if v < 0 else values[-1])
            continue
        assert exact[code] == search(Fraction(v), exact, rounding), v
    beyond, few = np.array([NAN, INF, -INF, 9e9, -9e9], dtype), np.empty(5, np.uint8)
    assert bins_array(beyond, *found, book.codes.astype(np.uint8), np.uint8([101, 102, 103]), FPU_PROBE, few)
    assert few.tolist() == [101, 102, 103, book.codes[-1], book.codes[0]]
    before = out.copy()
    assert not bins_array(x[::-1].copy(), *found, book.codes.astype(np.uint8), specials, UNFIT, out)
    np.testing.assert_array_equal(out, before)


def search(x, exact, rounding):
    """The entry that a number goes to."""
    low = max((v for v in exact if v <= x), default=min(exact))
    high = min((v for v in exact if v >= x), default=max(exact))
    if low == high:
        return low
    if rounding == "toward_positive":
        return high
    if rounding == "toward_zero" and (low >= 0 or high <= 0):
        return low if low >= 0 else high
    if 2 * x == low + high:
        if rounding in ("nearest_away", "toward_zero") and abs(low) != abs(high):
            return max(low, high, key=abs) if rounding == "nearest_away" else min(low, high, key=abs)
        return min((low, high), key=exact.index)
    return low if 2 * x < low + high else high


def test_codebooks_without_bins():
    close = fe.TableFormat("close", [0.0, 1e-9, 2e-9, 1.0])
    assert bins(codebook(close, close.check_profile(close.profile)), np.dtype(np.float32)) is None
    one = fe.TableFormat("one", [0.0, -0.0])
    assert fe.encode(np.float32([3, -1, 0]), one).tolist() == [0, 0, 0]
    assert fe.encode(np.float32([0, 0.6e-9, 1e-9, 0.4, 0.6, 2]), close).tolist() == [0, 1, 1, 2, 3, 3]


@pytest.mark.parametrize("block", [1, 8, 50])
def test_moved(block):
    """Times a factor plus a zero point: rounded once, or after each."""
    x = rows(7) % np.float32(200)
    x[0, :4] = INF, -INF, NAN, 0
    count = -(-x.shape[1] // block)
    draw = np.random.default_rng(block)
    factors = draw.uniform(0.3, 3, (len(x), count)).astype(np.float32)
    zeros = draw.integers(-128, 256, (len(x), count)).astype(np.float32)
    factor, zero = (np.repeat(each, block, axis=1)[:, : x.shape[1]] for each in (factors, zeros))
    found = {fused: np.empty_like(x) for fused in (False, True)}
    for fused, out in found.items():
        blocks.scale_and_shift(x, factors, zeros, block, fused, out)
    np.testing.assert_array_equal(found[False], x * factor + zero)
    finite = np.isfinite(x)
    for at in zip(*np.nonzero(finite), strict=True):
        exact = Fraction(float(x[at])) * Fraction(float(factor[at])) + Fraction(float(zero[at]))
        significand, last = round_ratio(abs(exact).numerator, exact.denominator, 24, -126) if exact else (0, 0)
        assert abs(float(found[True][at])) == significand * 2.0**last
        assert (exact < 0) == (found[True][at] < 0)
    np.testing.assert_array_equal(found[True][~finite], (x * factor + zero)[~finite])
    assert (found[True] != found[False])[finite].any()


def sum_of_errors(numbers, values, scale, by, shape, squared):
    """The same, number by number, in numpy's float32 scalars: sums along rows, then halves of the rows together."""
    off = [values[i] * scale * by[0] / by[1] - x for i, x in enumerate(numbers)] + [0] * shape[0] * shape[1]
    off = [x * x if squared else abs(x) for x in off]
    sums = []
    for row in range(shape[0]):
        total = np.float32(0)
        for x in off[row * shape[1] : (row + 1) * shape[1]]:
            total = total + np.float32(x)
        sums.append(total)
    while len(sums) > 1:
        sums = [a + b for a, b in zip(sums, sums[len(sums) // 2 :], strict=False)]
    return sums[0]


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("shape", [(1, 16), (4, 4), (2, 3), (8, 1)])
def test_errors_of_blocks(shape, squared):
    draw = np.random.default_rng(9)
    size = shape[0] * shape[1]
    x = (draw.normal(size=(7, 2 * size + 5 % size)) * 5).astype(np.float32)
    count = -(-x.shape[1] // size)
    codes = draw.integers(0, 16, x.shape).astype(np.uint8)
    values = np.asarray(fe.decode(np.arange(16), "float4_e2m1fn"))
    scales = draw.uniform(0.3, 3, (len(x), count)).astype(np.float32)
    x[0, 0], scales[1, 0] = NAN, INF
    by, out = np.float32([3.3, 1536]), np.empty_like(scales)
    with np.errstate(all="ignore"):
        blocks.block_errors(x, codes, values, scales, by, shape, squared, out)
        for (i, k), part in parts(x, size).items():
            own = values[codes[i, k * size : (k + 1) * size]]
            expected = sum_of_errors(part, own, scales[i, k], by, shape, squared)
            np.testing.assert_array_equal(out[i, k], expected)
    assert np.isnan(out[0, 0])


def test_replaced():
    codes = np.arange(40, dtype=np.uint8).reshape(4, 10)
    chosen = np.array([[True, False, True], [False, True, False], [False] * 3, [True, False, False]])
    blocks.replace_blocks(chosen, codes + np.uint8(100), 4, codes)
    changed = [[*range(100, 104), *range(4, 8), 108, 109], [*range(10, 14), *range(114, 118), 18, 19]]
    changed += [[*range(20, 30)], [*range(130, 134), *range(34, 40)]]
    assert codes.tolist() == changed

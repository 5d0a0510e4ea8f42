"""Golden vectors as a whole: their number, their batches, seeds, and arguments that are refused."""

from __future__ import annotations

import hashlib
from fractions import Fraction

import numpy as np
import pytest

import fpemu as fe
from fpemu.vectors import Cell, generate
from fpemu.verification import vectors
from fpemu.verification.claims import Claim
from fpemu.verification.vectors.code_classes import CLASSES, class_ranges, exponents, fine_classes
from fpemu.verification.vectors.construction import _inverse
from fpemu.verification.vectors.random_codes import RandomWords, in_classes, with_exponents
from fpemu.verification.vectors.situations import SITUATIONS, _carries, classify_cases

ADD = Claim.of("add", "float16")
FORMATS = [
    *("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float6_e3m2fn", "float4_e2m1fn", "float8_e8m0fnu", "float16"),
    *("float7_e4m3fnu", "binary8p1se", "binary8p3sf", "int8", "uint5", "int1", "q3.4", "nf4"),
    fe.IntFormat("symmetric", 6, symmetric=True),
    fe.IntFormat("signs", 6, encoding="sign_magnitude"),
    fe.TableFormat("doubled", [0.0, -1.0, 2.0, 2.0, -0.0]),
    fe.FloatFormat("no subnormals", 7, 4, subnormals=False),
    fe.FloatFormat("subnormals alone", 5, 4, infinities=False, nan="none"),
]


def joined(found):
    """All operands of vectors."""
    return [np.concatenate(parts) for parts in zip(*(batch.operands for batch in found), strict=True)]


def test_exhaustive_vectors_are_all_operands_in_order():
    found = generate(Claim.of("fma", "float4_e2m1fn"))
    assert found.exhaustive
    assert found.count == len(found) == 4096
    x, y, z = joined(found)
    np.testing.assert_array_equal(x.astype(int) << 8 | y.astype(int) << 4 | z, np.arange(4096))


def test_long_ones_come_in_batches():
    found = generate(Claim.of("add", "float6_e3m2fn", operands=["float16", "float4_e2m1fn"]), limit=1 << 20)
    sizes = [batch.result.size for batch in found]
    assert sizes == [1 << 16] * 16
    found = generate(ADD, per_cell=1, random=100_000)
    sizes = [batch.result.size for batch in found]
    assert max(sizes) <= 1 << 16
    assert sum(sizes) == found.count


def test_answers():
    for operands, result, flags in generate(ADD, per_cell=1, random=1000):
        want, raised = ADD.answer_with_flags(*operands)
        np.testing.assert_array_equal(result, want)
        np.testing.assert_array_equal(flags, raised)
    less = Claim.of("less", "bfloat16")
    assert {tuple(np.unique(batch.result)) for batch in generate(less, random=100)} == {(0, 1)}
    assert all(batch.flags is None for batch in generate(Claim.of("is_nan", "float8_e5m2")))


def test_the_same_for_a_seed():
    first = joined(generate(ADD, per_cell=1, random=70_000, seed=5))
    threads = fe.get_num_threads()
    try:
        fe.set_num_threads(1 if threads > 1 else 2)
        again = generate(ADD, per_cell=1, random=70_000, seed=5)
        for one, other, third in zip(first, joined(again), joined(again), strict=True):
            np.testing.assert_array_equal(one, other)
            np.testing.assert_array_equal(one, third)
    finally:
        fe.set_num_threads(threads)
    other = joined(generate(ADD, per_cell=1, random=70_000, seed=6))
    assert not np.array_equal(first[0][-70_000:], other[0][-70_000:])


def test_the_same_on_every_machine():
    """A digest from another machine; a change of the cases changes it, and belongs in the changelog."""
    digest = hashlib.sha256()
    for part in joined(generate(Claim.of("multiply", "bfloat16"), per_cell=2, random=1000, seed=2026)):
        digest.update(part.astype("<u2").tobytes())
    assert digest.hexdigest()[:16] == "c73d8c1629aa2a94"


def test_more_random_ones_go_on_from_fewer():
    few, many = (joined(generate(ADD, per_cell=1, random=count)) for count in (1000, 66_000))
    for one, other in zip(few, many, strict=True):
        np.testing.assert_array_equal(one, other[: one.size])


def test_random_operands_are_everywhere():
    x, y = (part[-60_000:] for part in joined(generate(ADD, per_cell=0, random=60_000)))
    assert np.unique(x).size > 25_000
    near = np.abs(exponents(x, ADD.operands[0]) - exponents(y, ADD.operands[1])) <= 13
    assert near.mean() > 0.5


def test_no_case_comes_twice():
    x, y = joined(generate(ADD, per_cell=3, random=0))
    assert np.unique(x.astype(np.uint32) << 16 | y).size == x.size


def test_cells_of_truth_values_and_codebooks():
    found = generate(Claim.of("equal", "float8_e5m2")).coverage
    assert found[Cell(("-0", "+0"), "true", "not rounded")] == 1
    found = generate(Claim.of("cast", "nf4", source="float16")).coverage
    assert found[Cell(("+largest",), "+largest", "beyond")] == 1
    assert found[Cell(("+normal",), "+largest", "exact")] == 1
    assert Cell(("+normal",), "+normal", "above tie") in found


def test_integers_and_unsigned_formats():
    found = generate(Claim.of("cast", "int8", source="float16")).coverage
    assert Cell(("+normal",), "+largest", "overflow threshold") in found
    assert Cell(("-normal",), "-largest", "beyond") in found
    assert Cell(("quiet NaN",), "+0", "not rounded") in found
    found = generate(Claim.of("divide", "int8")).coverage
    assert Cell(("+normal", "+0"), "+largest", "not rounded") in found
    assert Cell(("+0", "+0"), "+0", "not rounded") in found
    assert Cell(("+normal", "+normal"), "+normal", "tie odd") in found
    found = generate(Claim.of("cast", "float8_e8m0fnu", source="float16")).coverage
    assert Cell(("-normal",), "quiet NaN", "not rounded") in found
    assert Cell(("+normal",), "+normal", "tie even") in found


def test_daz_operands_are_zeros():
    found = generate(Claim.of("add", "float8_e5m2", subnormals_in="zero")).coverage
    assert Cell(("+subnormal", "+normal"), "+normal", "exact") in found
    assert not any("apart" in cell.situation for cell in found if "+subnormal" in cell.operands)


@pytest.mark.parametrize("fmt", FORMATS, ids=str)
def test_ranges_are_the_classes(fmt):
    fmt = fe.dtype(fmt)
    every = np.arange(fmt.code_count, dtype=fmt.code_dtype)
    coarse = fe.classify(every, fmt)
    found = np.full(every.size, -1)
    for number, members in class_ranges(fmt).items():
        for low, high in members:
            assert low <= high
            assert (found[low : high + 1] == -1).all()
            found[low : high + 1] = number
    np.testing.assert_array_equal(found, fine_classes(every, fmt))
    words = {0: "-infinity", 3: "-0", 4: "+0", 7: "+infinity", 8: "signaling NaN", 9: "quiet NaN", 10: "noncanonical"}
    for number, kind in zip(found.tolist(), coarse.tolist(), strict=True):
        name = CLASSES[number]
        if kind in words:
            assert name == words[kind]
        else:
            assert name[0] == ("-" if kind < 4 else "+")
            assert name[1:] in (
                ("subnormal", "largest") if kind in (2, 5) else ("normal", "smallest normal", "largest")
            )
    numbers = np.resize(np.array(sorted(class_ranges(fmt)), np.uint8), 3000)
    np.testing.assert_array_equal(fine_classes(in_classes(fmt, numbers, RandomWords(1, 1)), fmt), numbers)


@pytest.mark.parametrize("fmt", [fmt for fmt in FORMATS if fe.dtype(fmt).kind != "table"], ids=str)
def test_exponents(fmt):
    fmt = fe.dtype(fmt)
    found = exponents(np.arange(fmt.code_count, dtype=fmt.code_dtype), fmt)
    for code, exponent in enumerate(found.tolist()):
        try:
            value = abs(fmt.exact(code))
        except ValueError:
            continue
        assert value == 0 or Fraction(2) ** exponent <= value < Fraction(2) ** (exponent + 1)


@pytest.mark.parametrize("name", ["float16", "float8_e4m3fn", "float64"])
def test_exponents_are_set(name):
    fmt = fe.dtype(name)
    numbers = np.resize(np.array(sorted(class_ranges(fmt)), np.uint8), 5000)
    codes = in_classes(fmt, numbers, RandomWords(2, 2))
    wanted = np.random.default_rng(0).integers(fmt.emin - 5, 3, codes.size)
    moved = with_exponents(codes, fmt, wanted)
    np.testing.assert_array_equal(fine_classes(moved, fmt), numbers)
    normal = np.array([CLASSES[number][1:] == "normal" for number in numbers]) & (wanted > fmt.emin)
    np.testing.assert_array_equal(exponents(moved, fmt)[normal], wanted[normal])


def test_products_of_significands():
    draw = np.random.default_rng(3)
    x, y = (
        draw.integers(1, 1 << 63, 2000, dtype=np.uint64) >> draw.integers(0, 63, 2000).astype(np.uint64) for _ in "xy"
    )
    x, y = np.maximum(x, 1), np.maximum(y, 1)
    for a, b, carries in zip(x.tolist(), y.tolist(), _carries(x, y).tolist(), strict=True):
        assert (a * b).bit_length() == a.bit_length() + b.bit_length() - 1 + carries


def test_inverses():
    odd = RandomWords(4, 4).take(1000) | np.uint64(1)
    np.testing.assert_array_equal(odd * _inverse(odd), np.uint64(1))


def test_close_quotients_and_products_are_among_the_cases():
    """The construction finds quotients and products of float32 that are 2^-23 of a quantum from a tie."""
    for operation in ("divide", "multiply"):
        nearest = Fraction(1)
        x, y = joined(generate(Claim.of(operation, "float32"), per_cell=2, random=20_000))
        with np.errstate(all="ignore"):
            a, b = (np.abs(part.view(np.float32).astype(float)) for part in (x, y))
            usual = np.flatnonzero((a > 1e-15) & (a < 1e15) & (b > 1e-15) & (b < 1e15))
        for row in usual.tolist():
            p, q = Fraction(a[row]), Fraction(b[row])
            exact = p / q if operation == "divide" else p * q
            while exact >= 1 << 24:
                exact /= 2
            exact *= Fraction(2) ** max(0, 24 - (exact.numerator // exact.denominator).bit_length())
            rest = abs(exact - exact.numerator // exact.denominator - Fraction(1, 2))
            if rest:
                nearest = min(nearest, rest)
        assert nearest <= Fraction(1, 1 << 21)


def test_situations_of_a_cast():
    claim = Claim.of("cast", "float8_e4m3fn")
    codes = fe.encode([448.0, 464.0, 465.0, 480.0, 2.0**-10, 0.0167, 1.9375], "float32")
    found = classify_cases(claim, (codes,)).situations
    names = [[SITUATIONS[which] for which in np.flatnonzero(case)] for case in found.T]
    assert names == [
        ["exact"],
        ["tie even", "overflow threshold"],
        ["above tie", "overflow threshold"],
        ["beyond"],
        ["tie even", "to subnormal"],
        ["above tie"],
        ["tie odd", "carry"],
    ]


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: generate("add"), TypeError, "generate takes a Claim"),
        (
            lambda: generate(Claim.of("add", "float16", rounding="stochastic")),
            ValueError,
            "no unique answer",
        ),
        (lambda: generate(ADD, seed=-1), ValueError, r"seed must be 0 to 2\*\*64 - 1, not -1"),
        (lambda: generate(ADD, random=1.5), TypeError, "random must be an int, not float"),
        (lambda: generate(ADD, per_cell=True), TypeError, "per_cell must be an int, not bool"),
    ],
)
def test_errors_at_the_door(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_names():
    assert set(vectors.__all__) <= set(dir(vectors))
    assert str(Cell(("+0",), "-0", "exact")) == "+0 -> -0: exact"

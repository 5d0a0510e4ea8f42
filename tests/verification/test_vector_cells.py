"""The cells of vectors: computed exhaustively for narrow formats; for wide formats, every case is classified again."""

from __future__ import annotations

import collections
import itertools

import numpy as np
import pytest

import fpemu as fe
from fpemu.vectors import SITUATIONS, Cell, generate
from fpemu.verification.claims import Claim
from fpemu.verification.vectors.coverage_fill import fill_by_construction, input_count, operand_range
from fpemu.verification.vectors.random_codes import RandomWords
from fpemu.verification.vectors.situations import classify_cases
from tests.cases.vector_cells import by_floats, by_fractions, class_name

NARROW = ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float6_e3m2fn", "float4_e2m1fn"]
PAIRS = [
    *itertools.product(["add", "subtract", "multiply", "divide"], NARROW, ["nearest_even"]),
    *itertools.product(["add", "subtract", "multiply", "divide"], ["float6_e3m2fn"], ["toward_zero"]),
    *itertools.product(["fma"], ["float6_e3m2fn", "float6_e2m3fn", "float4_e2m1fn"], ["nearest_even"]),
]


def counted(names, codes, result, situations):
    """Cell -> number of cases."""
    found = collections.Counter()
    kinds = [names[part] for part in codes]
    for situation, where in situations.items():
        rows = np.flatnonzero(where)
        classes = np.array([*(kind[rows] for kind in kinds), result[rows]])
        for (*operands, given), count in zip(*unique_columns(classes), strict=True):
            found[Cell(tuple(map(str, operands)), str(given), situation)] = count
    return found


def unique_columns(classes):
    known, inverse = np.unique(classes, return_inverse=True)
    numbers = inverse.reshape(classes.shape)
    flat = np.ravel_multi_index(tuple(numbers), (known.size,) * len(classes))
    values, counts = np.unique(flat, return_counts=True)
    return known[np.array(np.unravel_index(values, (known.size,) * len(classes)))].T.tolist(), counts.tolist()


def universe(claim):
    """All cells: the classes of operands and result that have codes, and all situations."""
    kinds = [{class_name(code, fmt) for code in range(fmt.code_count)} for fmt in (*claim.operands, claim.result)]
    return {Cell(case[:-2], case[-2], case[-1]) for case in itertools.product(*kinds, SITUATIONS)}


@pytest.mark.parametrize(("operation", "name", "rounding"), PAIRS)
def test_cells_of_narrow_formats(operation, name, rounding):
    """Exactly the cells that no operands reach are impossible; the others are filled, each case in its cell."""
    claim, per_cell = Claim.of(operation, name, rounding=rounding), 3
    reached = counted(*by_floats(operation, fe.dtype(name), rounding))
    vectors = generate(claim, limit=0, per_cell=per_cell, random=0)
    impossible = vectors.impossible
    assert len(impossible) == len(set(impossible))
    assert set(impossible) == universe(claim) - set(reached)
    assert set(vectors.coverage) == set(reached)
    assert all(count >= min(per_cell, reached[cell]) for cell, count in vectors.coverage.items())
    whole = generate(claim, limit=input_count(claim))
    assert whole.exhaustive
    assert whole.coverage == reached
    assert whole.impossible == impossible


@pytest.mark.parametrize("name", NARROW)
@pytest.mark.parametrize("operation", ["add", "multiply", "divide"])
def test_construction_alone_reaches_every_cell(operation, name):
    claim = Claim.of(operation, name)
    reached = generate(claim, limit=input_count(claim)).coverage
    found = fill_by_construction(claim, 2, RandomWords(3, 0)).counts.filled()
    assert set(found) == set(reached)
    assert all(found[cell] >= min(2, reached[cell]) for cell in reached)


@pytest.mark.parametrize(("operation", "name", "rounding"), PAIRS)
def test_the_exhaustion_agrees_with_fractions(operation, name, rounding):
    """A sample of the cases that `by_floats` classifies, classified with exact integers."""
    fmt = fe.dtype(name)
    names, codes, result, situations = by_floats(operation, fmt, rounding)
    rows = np.random.default_rng(1).integers(0, result.size, 300)
    classes, found, _, _ = by_fractions(Claim.of(operation, name, rounding=rounding), [part[rows] for part in codes])
    for row, kinds, which in zip(rows.tolist(), classes, found, strict=True):
        assert kinds == (*(names[part[row]] for part in codes), result[row])
        assert which == {situation for situation, where in situations.items() if where[row]}


WIDE = [
    *itertools.product(["add", "subtract", "multiply", "divide"], ["float16", "bfloat16", "float32"], ["nearest_even"]),
    *[("fma", "float16", "nearest_even"), ("fma", "float32", "nearest_even"), ("fma", "bfloat16", "toward_positive")],
    *[
        ("sqrt", "float32", "nearest_even"),
        ("add", "float32", "toward_negative"),
        ("divide", "float64", "nearest_even"),
    ],
    *[("multiply", "float64", "to_odd"), ("fmod", "float32", "nearest_even"), ("scaleb", "float16", "nearest_away")],
]
CASTS = [
    *[("float8_e4m3fn", "float32"), ("float16", "float32"), ("float32", "float64"), ("float8_e4m3fnuz", "float32")],
    *[("float4_e2m1fn", "float16"), ("float32", "float16"), ("float32", "int32"), ("float16", "int64")],
]


def check_cases(claim, vectors):
    """Each case, computed again: its result, its flags, and its cells."""
    counts = collections.Counter()
    for operands, result, flags in vectors:
        classes, found, codes, raised = by_fractions(claim, operands)
        np.testing.assert_array_equal(result, codes)
        np.testing.assert_array_equal(flags, raised)
        for (*kinds, given), which in zip(classes, found, strict=True):
            counts.update(Cell(tuple(kinds), given, situation) for situation in which)
    assert counts == vectors.coverage


@pytest.mark.parametrize(("operation", "name", "rounding"), WIDE)
def test_cases_of_wide_formats(operation, name, rounding):
    claim = Claim.of(operation, name, rounding=rounding)
    vectors = generate(claim, limit=0, per_cell=1, random=0, seed=7)
    check_cases(claim, vectors)
    assert vectors.impossible is None or input_count(claim) <= 1 << 20


@pytest.mark.parametrize(("target", "source"), CASTS)
def test_cases_of_casts(target, source):
    claim = Claim.of("cast", target, source=source)
    check_cases(claim, generate(claim, limit=0, per_cell=3, random=0))


@pytest.mark.parametrize("operation", ["add", "subtract", "multiply", "divide"])
@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64"])
def test_wide_formats_reach_what_narrow_ones_do(operation, name):
    """All cells of float8_e5m2, except products that would have to be multiples of a prime number."""
    narrow = generate(Claim.of(operation, "float8_e5m2"), limit=1 << 16).coverage
    wide = generate(Claim.of(operation, name), limit=0, per_cell=1, random=0).coverage
    missing = set(narrow) - set(wide)
    if (operation, name) == ("multiply", "bfloat16"):  # halfway above the smallest normal: 257 is prime, and 9 digits
        assert len(missing) == 12
        assert all(cell.result.endswith("smallest normal") and cell.situation == "tie even" for cell in missing)
    else:
        assert not missing


def test_fma_of_wide_formats_reaches_the_hard_cells():
    """Cells that random operands never meet, in float32."""
    found = generate(Claim.of("fma", "float32"), limit=0, per_cell=1, random=0).coverage
    for cell in [
        Cell(("+normal", "+normal", "-normal"), "+normal", "cancellation"),
        Cell(("+normal", "+normal", "-normal"), "+normal", "tie odd"),
        Cell(("+normal", "-normal", "+subnormal"), "-smallest normal", "from subnormal"),
        Cell(("+largest", "+normal", "-largest"), "+normal", "exact"),
        Cell(("+largest", "+smallest normal", "+normal"), "+normal", "apart p+2"),
        Cell(("+normal", "+subnormal", "+0"), "+0", "tie even"),
    ]:
        assert cell in found, str(cell)


@pytest.mark.parametrize("operation", ["exp", "sqrt", "round_to_integral", "logb", "reciprocal"])
def test_positions_exclude_each_other(operation):
    claim = Claim.of(operation, "float8_e4m3fn")
    situations = classify_cases(claim, operand_range(claim, 0, 256)).situations
    np.testing.assert_array_equal(situations[:7].sum(axis=0), 1)

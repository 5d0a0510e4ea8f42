"""Comparisons, signs, classes and order of codes, against the specification's exact numbers."""

from __future__ import annotations

import itertools
import operator

import numpy as np
import pytest

import fpemu as fe
from fpemu.formats.facts.codes import ranks
from tests.cases.families import small_formats
from tests.oracle import spec_values

# Formats whose values meet in the middle and whose ends lie far apart: no two share a carrier that holds both.
MIXED = {
    "float64": fe.dtype("float64"),
    "int64": fe.dtype("int64"),
    "uint64": fe.dtype("uint64"),
    "wide": fe.FloatFormat("wide", 64, 42),
    "fine": fe.IntFormat("fine", 64, True, fraction_bits=70),
    "sign_magnitude": fe.IntFormat("sm", 9, True, encoding="sign_magnitude", fraction_bits=-55),
    "e8m0": fe.dtype("float8_e8m0fnu"),
    "fnuz": fe.dtype("float8_e4m3fnuz"),
    "nf4": fe.dtype("nf4"),
}
SMALL_OTHERS = [
    *(fe.IntFormat("int", bits, signed) for bits in (1, 4) for signed in (True, False)),
    fe.IntFormat("symmetric", 4, symmetric=True),
    fe.IntFormat("sm", 4, encoding="sign_magnitude"),
    fe.TableFormat("both zeros", [1.0, -0.0, 0.0, 1.0, -3.0]),
]
SMALL = [*small_formats((2, 3, 4)), *SMALL_OTHERS]
COMPARISONS = {
    "equal": operator.eq,
    "not_equal": operator.ne,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
}


def key(number):
    """An integer in the order of the values; None for NaN."""
    if number.kind == "nan":
        return None
    sign = -1 if number.negative else 1
    return sign * (
        1 << 300 if number.kind == "infinite" else spec_values.order_key(number.significand, number.exponent)
    )


def keys(a):
    return [key(spec_values.decode(code, a.format)) for code in a.codes.ravel().tolist()]


def all_codes(fmt):
    return fe.Array(np.arange(fmt.code_count, dtype=fmt.code_dtype), fmt)


def check_comparisons(a, b):
    """Every pair, by the operators."""
    for compare in COMPARISONS.values():
        found = compare(a[:, None], b)
        assert found.dtype == np.bool_
        expected = [
            compare is operator.ne if x is None or y is None else compare(x, y)
            for x, y in itertools.product(keys(a), keys(b))
        ]
        np.testing.assert_array_equal(found.ravel(), expected, err_msg=f"{a.format!r} {b.format!r} {compare}")


def test_comparisons_of_every_pair():
    for fmt in SMALL[::5] + SMALL_OTHERS:
        check_comparisons(all_codes(fmt), all_codes(fmt))


def some_codes(fmt):
    """The ends, the middle, ones of both signs and their neighbours, some by chance."""
    if fmt.kind == "table":
        return all_codes(fmt)
    random = np.random.default_rng(fmt.bits)
    last = fmt.code_count - 1
    ones = [int(fe.encode(x, fmt)) for x in (1.0, -1.0, 2.0**62, 2.0**63, 2.0**-60)]
    marks = [0, 1, 2, last, last - 1, last >> 1, (last >> 1) + 1, *ones, *(code + 1 for code in ones)]
    chance = random.integers(0, last, 6, np.uint64, endpoint=True).tolist()
    return fe.Array(np.array([code & last for code in (*marks, *chance)], np.uint64).astype(fmt.code_dtype), fmt)


@pytest.mark.parametrize(("one", "other"), [*itertools.combinations_with_replacement(MIXED, 2)])
def test_comparisons_between_formats(one, other):
    check_comparisons(some_codes(MIXED[one]), some_codes(MIXED[other]))


def test_comparisons_with_numbers():
    """No number is rounded to float64, or to the Array's format, to be compared."""
    big = fe.Array(np.array([2**53 + 1], np.uint64), "uint64")
    assert not (big == float(2**53)).any()
    assert (big > float(2**53)).all()
    assert (big == 2**53 + 1).all()
    a = fe.array([0.5], "float8_e5m2")
    assert (a < 0.5000001).all()
    assert (np.float64(0.4999999) < a).all()
    assert (np.array([0.5, np.nan]) == a).tolist() == [True, False]
    daz = fe.profile("ieee").replace(subnormals_in="zero")
    assert (fe.Array([1], "float8_e5m2", daz) > 0).all()  # a comparison takes values as they are


def test_comparing_with_what_is_no_number():
    a = fe.array([1.0], "bfloat16")
    assert a != "1.0"
    assert a.__eq__(None) is NotImplemented
    with pytest.raises(TypeError, match="not supported"):
        assert a < "1.0"
    with pytest.raises(TypeError, match="unhashable"):
        hash(a)


@pytest.mark.parametrize("fmt", SMALL, ids=repr)
def test_signs_and_classes(fmt):
    a = all_codes(fmt)
    numbers = [spec_values.decode(code, fmt) for code in a.codes.tolist()]
    assert np.isnan(a).tolist() == [n.kind == "nan" for n in numbers]
    assert np.isinf(a).tolist() == [n.kind == "infinite" for n in numbers]
    assert np.isfinite(a).tolist() == [n.kind == "finite" for n in numbers]
    assert np.signbit(a).tolist() == [bool(n.negative) for n in numbers]
    zero = [n.kind == "finite" and n.significand == 0 for n in numbers]
    assert np.nonzero(a)[0].tolist() == [i for i, z in enumerate(zero) if not z]
    assert [bool(x) for x in a] == [not z for z in zero]
    if fmt.kind == "table":
        for function in (np.negative, np.absolute):
            with pytest.raises(ValueError, match="codebook"):
                function(a)
        return
    signed_magnitude = fmt.signed and (fmt.kind == "float" or fmt.encoding == "sign_magnitude")
    for number, minus, size in zip(numbers, -a, abs(a), strict=True):
        minus, size = (spec_values.decode(x.codes.item(), fmt) for x in (minus, size))
        if signed_magnitude:
            stays = number.kind == "nan" and fmt.nan == "negative_zero"
            stays |= number.significand == 0 and number.kind == "finite" and not fmt.has("negative_zero")
            assert minus == (number if stays else number._replace(negative=not number.negative))
            assert size == number._replace(negative=False)
        else:  # 0 - x, where that is no value the profile's: here saturation, zero or NaN
            assert key(minus) == key(negated(number, fmt)), number
            assert key(size) == key(negated(number, fmt) if number.negative else number)


def negated(number, fmt):
    """What 0 - x is in a format without a sign bit, under IEEE 754's rules."""
    if fmt.kind == "int":
        value = number.significand * (1 if number.negative else -1)
        value = min(max(value, fmt.min_int), fmt.max_int)
        return spec_values.Number("finite", value < 0, abs(value), -fmt.fraction_bits)
    nan = spec_values.Number("nan", False)
    if number.kind == "finite" and number.significand == 0:
        return number
    if number.kind == "nan" or fmt.has("nan"):
        return nan
    return spec_values.Number("finite", False) if fmt.zero else spec_values.decode(0, fmt)


def place(number):
    """By value, -0 before +0, NaN last."""
    return (True, 0, True) if number.kind == "nan" else (False, key(number), not number.negative)


@pytest.mark.parametrize("fmt", [*SMALL[::7], *SMALL_OTHERS, *MIXED.values()], ids=repr)
def test_order(fmt):
    """Sorted by value, -0 before +0, NaN last and in the order that they had."""
    a = some_codes(fmt) if fmt.bits > 9 else all_codes(fmt)
    places = np.random.default_rng(0).permutation(a.size)
    a = a[places]
    numbers = [spec_values.decode(code, fmt) for code in a.codes.tolist()]
    order = sorted(range(a.size), key=lambda i: place(numbers[i]))
    assert np.argsort(a).tolist() == order
    assert np.sort(a).codes.tolist() == a.codes[order].tolist()
    nans = [i for i, n in enumerate(numbers) if n.kind == "nan"]
    tops = [i for i in order if i not in nans]
    best, least = a.codes[tops[-1]], a.codes[tops[0]]
    clean = fe.Array(a.codes[tops], fmt)
    for function, extreme in ((np.max, best), (np.min, least)):
        number, expected = (spec_values.decode(int(c), fmt) for c in (function(clean).codes, extreme))
        assert (key(number), number.negative) == (key(expected), expected.negative)
    if nans:
        assert np.isnan(np.max(a))
        assert np.argmin(a) == np.argmax(a) == nans[0]


def test_order_of_whole_words():
    """64 bits: the largest value of a format stands before its NaN."""
    fnuz = fe.FloatFormat("f", 64, 53, infinities=False, nan="negative_zero")
    a = fe.Array(np.array([1 << 63, (1 << 63) - 1, (1 << 64) - 1, 0], np.uint64), fnuz)
    assert np.argsort(a).tolist() == [2, 3, 1, 0]
    numbers, nans = ranks(a.codes, fnuz)
    assert nans.tolist() == [True, False, False, False]
    assert numbers[2] < numbers[3] < numbers[1]

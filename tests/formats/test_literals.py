"""Numbers written as text: read exactly, whatever their exponents, and without work that grows with these."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest

from fpemu.formats.facts.literals import DIGITS, FAR, LONGEST, is_code, read

LIKE_FLOAT = (
    *("0.1", "+1.", ".5", "-.5e+1_0", "1_000", "1e-400", "1E400", " 7\t\n", "00012e03", "\u0661\u0662.\u0665"),
    *("inf", "-Infinity", "iNf", "nan", "-NaN", "+nan", "-0", "0", "-0.0e5", "0e999999999999", "-.0"),
)
LIKE_FROMHEX = ("0x1.8p-3", "-0X1P+3", "0x.8p0", "0x1.p2", "0x1.8", "0x0p5", "-0x0.0p0", "0x1.01000000000000001p0")
NEITHER = (
    *("", " ", "0x", "0xp1", "1__0", "_1", "1_", "1_.0", "1e", "e5", "1e5.0", "0x1.8q", "0x1_p3", "1,5", "1 2", "--1"),
    *("infin", "nan(3)", "1.5f", "0x1p", "1.8p3", "\u22121", "abc", "1/3", "0x1.8p0x3", "1\x00"),
)


def leading(x):
    """The first 128 digits of a fraction, from its definition."""
    x, top = abs(x), 0
    top = x.numerator.bit_length() - x.denominator.bit_length()
    top += (x >= Fraction(2) ** (top + 1)) - (x < Fraction(2) ** top)
    scaled = x / Fraction(2) ** (top - DIGITS + 1)
    return top, math.floor(scaled), scaled.denominator > 1


def test_texts_are_read_as_float_reads_them():
    for text in LIKE_FLOAT:
        found, by_float = read(text), float(text)
        if found.special() is not None:
            assert math.copysign(1, found.special()) == math.copysign(1, by_float), text
            assert repr(found.special()) == repr(by_float), text
        elif math.isinf(by_float) or by_float == 0:
            assert (found.leading().top > 1000) == math.isinf(by_float), text
        else:
            assert float(found.fraction()) == by_float, text
    for text in LIKE_FROMHEX:
        found, by_float = read(text), float.fromhex(text)
        exact = found.fraction()
        assert float(exact) == by_float, text
        assert found.negative == (math.copysign(1, by_float) < 0), text
    assert read("0x1.01000000000000001p0").fraction() == 1 + Fraction(1, 256) + Fraction(1, 16**17)
    assert read("1.00048828125000000001").fraction() == Fraction("1.00048828125000000001")


@pytest.mark.parametrize("text", NEITHER)
def test_what_is_no_number_is_refused(text):
    with pytest.raises(ValueError, match=r"is not a number: write 0\.1"):
        read(text)


@pytest.mark.parametrize(("text", "integer"), [("0x7E", "126"), ("-0b101", "-5"), ("0o17", "15"), ("0XFF", "255")])
def test_codes_are_no_numbers(text, integer):
    assert is_code(text)
    with pytest.raises(ValueError, match=rf"is a code or an integer.* the int {integer},.* source="):
        read(text)


def test_long_texts_are_refused_in_few_words():
    for text in ("1" * (LONGEST + 1), "x" * LONGEST, "0x" + "f" * 5000):
        with pytest.raises(ValueError, match="number") as caught:
            read(text)
        assert len(str(caught.value)) < 300
    assert read("1" * LONGEST).fraction() == (10**LONGEST - 1) // 9


def test_digits_are_those_of_the_exact_number():
    """First digits, and digits at a place, of drawn numbers beside exact fractions."""
    draw = random.Random(18)
    for _ in range(1500):
        whole = draw.randrange(1, 10 ** draw.choice([1, 5, 20, 60]))
        power = draw.choice([draw.randint(-30, 30), draw.randint(-3000, 3000)])
        cases = [(f"{whole}e{power}", whole * Fraction(10) ** power)]
        whole, power = draw.randrange(1, 1 << draw.choice([1, 10, 60, 200])), draw.randint(-400, 400)
        cases.append((f"0x{whole:x}p{power}", whole * Fraction(2) ** power))
        for text, exact in cases:
            found = read(text)
            assert found.fraction() == exact, text
            assert found.leading() == leading(exact), text
            place, width = draw.randint(-200, 200), draw.randint(1, 130)
            units = exact / Fraction(2) ** place
            assert found.digits_at(place, width) == (math.floor(units) % 2**width, units.denominator > 1), text


@pytest.mark.parametrize("power", [5000, 20000, -5000, -20000])
def test_digits_beside_a_number_of_128(power):
    """A significand so near 128 digits over a power of ten that the first enclosure does not tell."""
    near = (1 << 127) + 12345
    quotient = Fraction(near) * Fraction(2) ** (3000 + 4 * abs(power)) / Fraction(10) ** power
    for whole in (math.floor(quotient), math.ceil(quotient)):
        assert read(f"{_decimal(whole)}e{power}").leading() == leading(whole * Fraction(10) ** power)


def _decimal(whole):
    """An integer in decimal, whatever its length."""
    pieces = []
    while whole:
        whole, piece = divmod(whole, 10**4000)
        pieces.append(f"{piece:04000d}")
    return "".join(reversed(pieces)).lstrip("0")


def test_a_quotient_by_a_power_of_five_that_divides_is_exact():
    assert read(f"{_decimal(3 * 5**6000)}e-6000").leading() == (-6000 + 1, 3 << 126, False)


@pytest.mark.parametrize("power", ["1000000000", "99999999999", "9" * 5000])
def test_far_numbers_are_two_small_integers(power):
    """No number of so many digits is ever made: what they become says how far they are."""
    for text, top in [(f"1e{power}", FAR), (f"-1e-{power}", -FAR), (f"0x1p{power}", FAR), (f"0x1p-{power}", -FAR)]:
        found = read(text)
        assert found.fraction() is None
        assert found.significand == 1
        assert found.exponent.bit_length() < 128
        if text != "0x1p1000000000" and text != "0x1p-1000000000":
            assert found.leading() == (top, 1 << 127, True)
    assert read(f"1e{power}").digits_at(-64, 128) == (0, False)
    assert read(f"1e-{power}").digits_at(-64, 128) == (0, True)
    assert read(f"0x3p-{power}").digits_at(-64, 128) == (0, True)


def test_exponents_that_wide_formats_reach_have_their_digits():
    """10^2525222 lies beside 2^(2^23), the reach of 24 exponent bits; its first digits from its logarithm."""
    for text, power in [("1e2525222", 2525222), ("1e-2525222", -2525222)]:
        found = read(text).leading()
        exponent = power * math.log2(10)
        assert found.top == math.floor(exponent)
        assert found.digits / 2**127 == pytest.approx(2 ** (exponent - math.floor(exponent)), rel=1e-7)
        assert found.more

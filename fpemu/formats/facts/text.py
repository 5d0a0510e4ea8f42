"""Exact values of any magnitude, and numbers as text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from fpemu.formats.base import odd_scaled
from fpemu.formats.facts.exactness import floor_log2, odd_bits, power_of_two
from fpemu.formats.facts.literals import DIGITS, FAR, Literal
from fpemu.kernels import columns

if TYPE_CHECKING:
    from fractions import Fraction

PRINTED = 20  # significant decimal digits of an exact value in print
FARTHEST_PRINTED = 1 << 16  # largest binary exponent of an exact value that is printed in digits
SHORT = 200  # binary digits of the integers of a ratio that is printed after decimals
LONGEST_PRINTED = 1000  # binary digits of integers that are printed in decimal; Python's limit is some thousand


class Exact(NamedTuple):
    """An exact value, number times 2^scale; `more`: whether more than its first `known` (at most 128) digits are set.

    A value beyond 2^(2^16), or below the inverse of that, has a scale and a number from 1 to 2 (or -2 to -1); others
    have scale 0.  Beyond 2^(2^30) only that fact is known (`beyond`).
    """

    number: Fraction
    more: bool = False
    scale: int = 0
    known: int = DIGITS

    @property
    def beyond(self) -> bool:
        """Whether the value is only known to be larger than 2^(2^30), or smaller than its inverse."""
        return abs(self.scale) >= FAR

    @property
    def text(self) -> str:
        """In decimal; if that is cut, also as a ratio or with a power of two; "~" marks further digits."""
        if self.scale:
            sign = "-" * (self.number < 0)
            mark = "~" if not self.beyond else "<" if (self.number < 0) == (self.scale > 0) else ">"
            return f"{mark}{sign}2**{self.scale}"
        if self.more:
            return f"~{fraction_text(self.number)}".replace("~~", "~")
        return text(self.number)


def exact_digits(negative: bool, top: int, digits: int, more: bool) -> Exact:
    """The value of a magnitude's first 128 digits; the exponent of the first one is `top`.

    Examples
    --------
    >>> from fpemu.formats.facts.text import exact_digits
    >>> exact_digits(True, 1, 3 << 126, False)
    Exact(number=Fraction(-3, 1), more=False, scale=0, known=128)
    >>> exact_digits(False, 1000000, 3 << 126, False).text
    '~2**1000000'
    """
    return _moved(power_of_two(1 - DIGITS) * (-digits if negative else digits), more, top)


def exact_literal(literal: Literal) -> Exact | None:
    """The value of a literal; None for infinities and NaN.

    Examples
    --------
    >>> from fpemu.formats.facts.text import exact_literal
    >>> from fpemu.formats.facts.literals import read
    >>> exact_literal(read("0.1")).number, exact_literal(read("1e1000000")).text
    (Fraction(1, 10), '~2**3321928')
    """
    number = literal.fraction()
    if number is not None and (not number or abs(floor_log2(abs(number))) <= FARTHEST_PRINTED):
        return Exact(number)
    if literal.kind != columns.NUMBER:
        return None
    return exact_digits(literal.negative, *literal.leading())


def _moved(one: Fraction, more: bool, top: int) -> Exact:
    """The value one 2^top, where |one| is from 1 to 2."""
    if abs(top) >= FAR:
        return Exact(power_of_two(0) * (-1 if one < 0 else 1), True, FAR if top > 0 else -FAR)
    return Exact(one, more, top) if abs(top) > FARTHEST_PRINTED else Exact(one * power_of_two(top), more)


def dyadic_in_decimal(significand: int, exponent: int) -> str:
    """A significand times 2^exponent in decimal: in full to 20 digits, else the first ones and an ellipsis.

    Examples
    --------
    >>> from fpemu.formats.facts.text import dyadic_in_decimal
    >>> dyadic_in_decimal(3, -5), dyadic_in_decimal(3602879701896397, -55)
    ('0.09375', '0.10000000000000000555…')
    """
    if significand == 0:
        return "0"
    if abs(exponent) + significand.bit_length() > 1200:
        return dyadic_text(significand, exponent)
    decimals = max(-exponent, 0)  # 2^-k is 5^k over 10^k
    digits = str(abs(significand) * (5**decimals if decimals else 2**exponent))
    return _decimal(significand < 0, digits, len(digits) - decimals)


def fraction_text(x: Fraction) -> str:
    """A rational number in decimal: in full to 20 digits, else the first ones and an ellipsis.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from fpemu.formats.facts.text import fraction_text
    >>> fraction_text(Fraction(1, 10)), fraction_text(Fraction(-2, 3))
    ('0.1', '-0.66666666666666666666…')
    """
    if x == 0:
        return "0"
    binade = floor_log2(abs(x))
    if abs(binade) > FARTHEST_PRINTED:
        return f"~{'-' if x < 0 else ''}2**{binade}"
    sign, digits, point = _leading_digits(x, PRINTED + 1)
    return _decimal(sign == "-", digits, point)


def _leading_digits(x: Fraction, count: int) -> tuple[str, str, int]:
    """A number's sign, its first `count` or `count` + 1 decimal digits, and the position of the point among them.

    A final 1 stands for further digits.
    """
    point = math.floor(floor_log2(abs(x)) * math.log10(2)) + 1  # the decimal point, or one place before it
    up: int = 10 ** abs(count - point)
    top, bottom = (x.numerator * up, x.denominator) if count >= point else (x.numerator, x.denominator * up)
    whole, rest = divmod(abs(top), bottom)
    digits = str(whole)
    return "-" * (x < 0), digits + "1" * (rest != 0), len(digits) - count + point


def ratio_text(x: Fraction) -> str:
    """A rational number exactly, as "5/3"; its integers in hexadecimal where they are long.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from fpemu.formats.facts.text import ratio_text
    >>> ratio_text(Fraction(5, 3)), len(ratio_text(Fraction(2) ** 100000))
    ('5/3', 25003)
    """
    top, bottom = x.numerator, x.denominator
    if max(abs(top), bottom).bit_length() <= LONGEST_PRINTED:
        return str(x)
    return f"{top:#x}" if bottom == 1 else f"{top:#x}/{bottom:#x}"


def number_text(x: Fraction | None, digits: int = 6) -> str:
    """A number rounded to some digits, beyond float64's range too; "-" for None.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from fpemu.formats.facts.text import number_text
    >>> number_text(Fraction(2, 3)), number_text(Fraction(10) ** 400), number_text(Fraction(-1, 3) / 10**400, 3)
    ('0.666667', '1e+400', '-3.33e-401')
    """
    if x is None:
        return "-"
    if not x or -1000 < floor_log2(abs(x)) < 1000:
        return f"{float(x):.{digits}g}"
    if abs(floor_log2(abs(x))) > FARTHEST_PRINTED:
        return fraction_text(x)
    sign, figures, point = _leading_digits(x, digits + 2)
    rounded, rest = divmod(int(figures), 10 ** (len(figures) - digits))  # the last digit is not 0 if more follow
    half = 5 * 10 ** (len(figures) - digits - 1)
    rounded += rest > half or (rest == half and rounded % 2 == 1)
    figures, point = (str(rounded), point) if rounded < 10**digits else ("1", point + 1)
    mantissa = f"{figures[0]}.{figures[1:]}".rstrip("0").rstrip(".")
    return f"{sign}{mantissa}e{point - 1:+03d}"


def number_fact(x: Fraction | None) -> float | str | None:
    """A number for JSON: the nearest float, or text beyond float64's range."""
    if x is None or not x or -1022 <= floor_log2(abs(x)) < 1023:
        return None if x is None else float(x)
    return number_text(x, 17)


def _decimal(negative: bool, digits: str, point: int) -> str:
    """Decimal digits with a point after the first `point` ones, cut to 20; with an exponent far from 1."""
    sign = "-" if negative else ""
    digits = digits.rstrip("0")
    cut = "…" if len(digits) > PRINTED else ""
    digits = digits[:PRINTED]
    if not -5 < point <= PRINTED:
        mantissa = digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "")
        return f"{sign}{mantissa}{cut}e{point - 1:+d}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}{cut}"
    whole, fraction = digits[:point].ljust(point, "0"), digits[point:]
    return f"{sign}{whole}{'.' if fraction or cut else ''}{fraction}{cut}"


def text(x: Fraction) -> str:
    """A number in decimal; if that is cut, also as an integer times a power of two, or as a ratio."""
    numerator, denominator = x.numerator, x.denominator
    if denominator & (denominator - 1) == 0 and odd_bits(abs(numerator)) <= SHORT:
        exponent = 1 - denominator.bit_length()
        decimal, dyadic = dyadic_in_decimal(numerator, exponent), dyadic_text(numerator, exponent)
        return f"{decimal} = {dyadic}" if "…" in decimal else decimal
    decimal = fraction_text(x)
    short = max(numerator.bit_length(), denominator.bit_length()) <= SHORT
    return f"{decimal} = {x}" if "…" in decimal and short else decimal


def dyadic_text(significand: int, exponent: int) -> str:
    """A number exactly, as odd significand * 2**exponent: "7 * 2**6", "2**-9", "0"."""
    odd, exponent = odd_scaled(significand, exponent)
    if exponent == 0:
        return str(odd)
    power = f"2**{exponent}"
    return {1: power, -1: f"-({power})"}.get(odd, f"{odd} * {power}")


def decimal_text(number: float | str | None) -> str:
    """A number in a table's cell: six digits; "-" for None; text unchanged."""
    if number is None:
        return "-"
    return number if isinstance(number, str) else f"{number:.6g}"


def text_table(lines: list[list[str]]) -> str:
    """A header and rows of cells as text: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    texts = [
        "  ".join([cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))])
        for cells in lines
    ]
    return "\n".join([texts[0], "  ".join("-" * width for width in widths), *texts[1:]])

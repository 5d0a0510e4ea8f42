"""The specification of scaled quantizers, its first half: numbers rounded once, and small formats that saturate.

Numbers are Python floats, which hold every number of float32 and below with zeros' signs, infinities and NaN.  Each
operation works on exact integer ratios and rounds once, to the type that `Arithmetic` names.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

INF, NAN = math.inf, math.nan


def round_ratio(numerator, denominator, precision, emin):
    """A positive ratio to nearest even with this many digits, as (significand, exponent of its last digit)."""
    exponent = numerator.bit_length() - denominator.bit_length()
    if numerator << max(-exponent, 0) < denominator << max(exponent, 0):
        exponent -= 1
    last = max(exponent, emin) - precision + 1
    kept, rest = divmod(numerator << max(-last, 0), denominator << max(last, 0))
    twice, whole = 2 * rest, denominator << max(last, 0)
    return kept + (twice > whole or (twice == whole and kept & 1)), last


def exponent_of(amax: Fraction) -> int:
    """floor(log2) of a positive ratio."""
    exponent = amax.numerator.bit_length() - amax.denominator.bit_length()
    return exponent if amax >= Fraction(2) ** exponent else exponent - 1


def nearest_integer(x: float) -> int:
    """To nearest even: Python's own round is exact."""
    return round(Fraction(x))


class Arithmetic(NamedTuple):
    """The operations of a binary floating-point type: exact, then rounded once, with IEEE 754's special cases."""

    precision: int
    emin: int
    emax: int

    def of(self, numerator, denominator, sign):
        """A positive ratio in this type, with a sign."""
        significand, last = round_ratio(numerator, denominator, self.precision, self.emin)
        if significand and significand.bit_length() + last > self.emax + 1:
            return sign * INF
        return math.copysign(math.ldexp(significand, last), sign)

    def round(self, x):
        """A float in this type."""
        if x == 0 or not math.isfinite(x):
            return x
        return self.of(*abs(x).as_integer_ratio(), math.copysign(1, x))

    def multiply(self, a, b):
        """A * b."""
        if a == 0 or b == 0 or not math.isfinite(a) or not math.isfinite(b):
            return a * b
        (an, ad), (bn, bd) = abs(a).as_integer_ratio(), abs(b).as_integer_ratio()
        return self.of(an * bn, ad * bd, math.copysign(1, a) * math.copysign(1, b))

    def divide(self, a, b):
        """A / b."""
        if b == 0:
            return NAN if a == 0 or a != a else math.copysign(INF, a) * math.copysign(1, b)
        if a == 0 or not math.isfinite(a) or not math.isfinite(b):
            return a / b
        (an, ad), (bn, bd) = abs(a).as_integer_ratio(), abs(b).as_integer_ratio()
        return self.of(an * bd, ad * bn, math.copysign(1, a) * math.copysign(1, b))

    def add(self, a, b):
        """A + b."""
        return self.multiply_add(a, 1.0, b)

    def multiply_add(self, a, b, c):
        """A * b + c, rounded once."""
        if not (math.isfinite(a) and math.isfinite(b) and math.isfinite(c)):
            return a * b + c
        (an, ad), (bn, bd), (cn, cd) = a.as_integer_ratio(), b.as_integer_ratio(), c.as_integer_ratio()
        numerator, denominator = an * bn * cd + cn * ad * bd, ad * bd * cd
        if numerator == 0:
            return a * b + c  # both zero, or opposite: +0
        return self.of(abs(numerator), denominator, 1 if numerator > 0 else -1)


FLOAT32, FLOAT16, BFLOAT16, FLOAT64 = (
    Arithmetic(*words) for words in ((24, -126, 127), (11, -14, 15), (8, -126, 127), (53, -1022, 1023))
)
TYPES = {"float32": FLOAT32, "float16": FLOAT16, "bfloat16": BFLOAT16}


def clamped(x, low, high):
    """NaN stays."""
    return x if x != x else min(max(x, low), high)


# -- elements ---------------------------------------------------------------------------------------------------------


class Element(NamedTuple):
    """A small float format that saturates."""

    bits: int
    precision: int
    emin: int
    emax: int  # the exponent of `largest`
    largest: float
    nan: int | None  # a code, without sign

    @property
    def trailing(self):
        return self.precision - 1

    def code(self, x):
        """The code of a number, to nearest even; too large ones and infinities become the largest; NaN keeps its sign.

        Zeros keep their signs too.
        """
        sign = 1 << (self.bits - 1) if math.copysign(1, x) < 0 else 0
        if x != x:
            if self.nan is None:
                raise ValueError("no NaN")
            return sign | self.nan
        if x == 0:
            return sign
        if abs(x) >= self.largest:
            return sign | self.magnitude(self.largest)
        return sign | self.magnitude(math.ldexp(*round_ratio(*abs(x).as_integer_ratio(), self.precision, self.emin)))

    def magnitude(self, x):
        """The code of a positive number of the format."""
        if x < math.ldexp(1, self.emin):
            return int(math.ldexp(x, self.trailing - self.emin))
        exponent = math.frexp(x)[1] - 1
        field = exponent - self.emin + 1
        return (field << self.trailing) + int(math.ldexp(x, self.trailing - exponent)) - (1 << self.trailing)

    def value(self, code):
        """The number that a code stands for."""
        sign = -1.0 if code >> (self.bits - 1) else 1.0
        magnitude = code & ((1 << (self.bits - 1)) - 1)
        field, trailing = divmod(magnitude, 1 << self.trailing)
        if field:
            x = math.ldexp(trailing + (1 << self.trailing), field - 1 + self.emin - self.trailing)
        else:
            x = math.ldexp(trailing, self.emin - self.trailing)
        if x > self.largest:  # e5m2's infinity, and NaN
            return sign * INF if self.nan is not None and trailing == 0 and self.bits == 8 and self.emax == 15 else NAN
        return sign * x


ELEMENTS = {
    "float8_e4m3fn": Element(8, 4, -6, 8, 448.0, 0x7F),
    "float8_e5m2": Element(8, 3, -14, 15, 57344.0, 0x7F),
    "float6_e2m3fn": Element(6, 4, 0, 2, 7.5, None),
    "float6_e3m2fn": Element(6, 3, -2, 4, 28.0, None),
    "float4_e2m1fn": Element(4, 2, 0, 2, 6.0, None),
}
E4M3, E2M1 = ELEMENTS["float8_e4m3fn"], ELEMENTS["float4_e2m1fn"]

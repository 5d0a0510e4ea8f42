"""Fractions as the specification's numbers, and one number in every type that holds it."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import gmpy2
import numpy as np

from tests.oracle.spec_arithmetic import sticky
from tests.oracle.spec_values import Number

N = 2**60 + 2**52 + 1  # of 61 digits
THIRD = Fraction(1, 3)
# Numbers that float64 does not hold: long integers, decimals, ratios, far ones; around midpoints of narrow formats
HARD = [
    *(Fraction(n) for n in (N, -N, 2**53 + 1, 2**63 + 2**55 + 1, 2**64 + 1, 10**30, -(2**100) - 1)),
    *(Fraction(n) * s for n in (THIRD, Fraction(1, 10), Fraction(-7, 3), Fraction(22, 7)) for s in (1, 64)),
    *(
        Fraction(m) + d
        for m in (Fraction(257, 256), Fraction(17, 16), Fraction(5, 2))
        for d in (-(THIRD**90), THIRD**90)
    ),
    *(Fraction(10) ** e for e in (-400, -40, -7, 400)),
    *(THIRD * Fraction(2) ** e for e in (-149, -133, -24, -10, 127, 15, 8)),
    *(Fraction(2) ** e + THIRD**700 for e in (-1074, -150, -134, -10, -9)),
    *(
        Fraction(n) + d
        for n in (448, 464, 480, 65504, 65520, 127, 128, -128, -129, 255)
        for d in (-(THIRD**60), THIRD**60)
    ),
]


def number(x):
    """A fraction, or a float, as the specification has it: cut to so many digits that no rounding sees it."""
    if isinstance(x, float) and (x != x or x in (np.inf, -np.inf)):
        return Number("nan" if x != x else "infinite", bool(np.signbit(x)))
    x, minus = Fraction(x), bool(np.signbit(x)) if isinstance(x, float) else x < 0
    top, bottom = abs(x.numerator), x.denominator
    up = bottom.bit_length() + max(200 - top.bit_length(), 0)
    whole, rest = divmod(top << up, bottom)
    significand, exponent = sticky(whole, -up, rest != 0)
    subnormal = isinstance(float(x) if abs(x) < 1 else x, float) and isinstance(x, float)
    return Number("finite", minus, significand if whole else 0, exponent if whole else 0, subnormal)


def decimal_text(x):
    """A fraction whose denominator divides a power of ten, as a decimal; None for others."""
    bottom, places = x.denominator, 0
    while 10**places % bottom:
        places += 1
        if places > 1200:
            return None
    return f"{x.numerator * 10**places // bottom}e-{places}"


def kinds(x):
    """A number in every type that holds it exactly."""
    found = {"fraction": x}
    text = decimal_text(x)
    if text is not None:
        found |= {"decimal": Decimal(text), "text": text, "plain text": f" {text} "}
    if x.denominator == 1:
        found |= {"int": int(x), "mpz": gmpy2.mpz(int(x))}
        for dtype in (np.int64, np.uint64, np.int8, np.uint16):
            if np.iinfo(dtype).min <= x <= np.iinfo(dtype).max:
                found[dtype.__name__] = dtype(int(x))
    found["mpq"] = gmpy2.mpq(x.numerator, x.denominator)
    if x.denominator & (x.denominator - 1) == 0:
        found["hexadecimal"] = f"{'-' * (x < 0)}0x{abs(x.numerator):x}p{1 - x.denominator.bit_length()}"
        with gmpy2.context(gmpy2.get_context(), precision=3000):
            found["mpfr"] = gmpy2.mpfr(gmpy2.mpq(x))
    with np.errstate(all="ignore"):
        for dtype in (np.float16, np.float32, np.float64, np.longdouble):
            if abs(x) < 2**1000 and Fraction(*_long(dtype, x).as_integer_ratio()) == x:
                found[dtype.__name__] = _long(dtype, x)
        if abs(x) < 2**1000 and Fraction(float(x)) == x:
            found["float"] = float(x)
    if x in (0, 1):
        found |= {"bool": bool(x), "bool_": np.bool_(x)}
    return found


def _long(dtype, x):
    """A number in one of numpy's float types, rounded somehow; 0 where it is infinite."""
    if dtype is np.longdouble:
        high = dtype(float(x))
        value = high + dtype(float(x - Fraction(float(x))))
    else:
        value = dtype(float(x))
    return value if np.isfinite(value) else dtype(0)

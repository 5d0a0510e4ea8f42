"""Elementary functions by MPFR (through gmpy2): the digits of their values, no code shared with fpemu.

A value is cut to 150 digits, and one more is set where anything follows, so that `tests.oracle.spec` can round it to
any format (`tests.oracle.spec_arithmetic.sticky` does the same).  MPFR rounds each of its functions correctly
(www.mpfr.org); the sigmoid, which it lacks, is worked out with so many digits that nothing of 16 bits lies nearer to a
number of 150.
"""

from __future__ import annotations

import gmpy2

from tests.oracle.spec import Number
from tests.oracle.spec_arithmetic import DIVIDE_BY_ZERO, INVALID, NAN, signals

KEPT = 150
SIGMOID_DIGITS = 1200  # of 1/2 + x/4 - x^3/48 with x = 2^-133, and some
FAR = 1 << 15  # numbers beyond 2^FAR, and below 2^-FAR, are all the same to the formats that the tests take

CUT = gmpy2.context(
    precision=KEPT, round=gmpy2.RoundToZero, emax=gmpy2.get_emax_max(), emin=gmpy2.get_emin_min(), subnormalize=False
)
LONG = CUT.copy()
LONG.precision = SIGMOID_DIGITS

RATIONAL_DIGITS = 4000
RATIONAL = CUT.copy()
RATIONAL.precision = RATIONAL_DIGITS

BY_MPFR = {
    "exp": CUT.exp,
    "exp2": CUT.exp2,
    "log": CUT.log,
    "log2": CUT.log2,
    "sin": CUT.sin,
    "cos": CUT.cos,
    "tanh": CUT.tanh,
    "erf": CUT.erf,
    "rsqrt": CUT.rec_sqrt,
    "reciprocal": lambda x: CUT.div(1, x),
}
FUNCTIONS = sorted([*BY_MPFR, "sigmoid"])

ONE = Number("finite", False, 1, 0)
ZERO = Number("finite", False, 0, 0)
INFINITE = Number("infinite", False)


def as_mpfr(number):
    """A finite number, exactly."""
    value = gmpy2.mul_2exp if number.exponent >= 0 else gmpy2.div_2exp
    significand = gmpy2.mpfr(number.significand, 64)
    with gmpy2.context(CUT):
        exact = value(significand, abs(number.exponent))
    return -exact if number.negative else exact


def far(negative, large):
    return Number("finite", negative, (1 << KEPT) + 1, FAR if large else -FAR)


def odd(value, more):
    """An mpfr as a number: KEPT digits toward zero and a last one that says whether more follow."""
    significand, exponent = value.as_mantissa_exp()
    significand, exponent = int(significand), int(exponent)
    size = abs(significand).bit_length()
    if abs(exponent + size) > FAR:
        return far(significand < 0, exponent > 0)
    up = KEPT - size
    kept = abs(significand) << up if up >= 0 else abs(significand) >> -up
    more = more or (up < 0 and kept << -up != abs(significand))
    return Number("finite", significand < 0, kept << 1 | more, exponent - up - 1)


def rounded(function, *arguments):
    """What a function of CUT gives, with a last digit."""
    CUT.clear_flags()
    value = function(*arguments)
    if CUT.overflow or CUT.underflow:
        return far(bool(gmpy2.is_signed(value)), CUT.overflow)
    return odd(value, CUT.inexact)


def of_number(name, x):
    """A function of a finite number that is not 0: (a number, flags)."""
    if name in ("log", "log2", "rsqrt") and x.negative:
        return NAN, INVALID
    if name in ("log", "log2") and is_one(x):
        return ZERO, 0
    return sigmoid(as_mpfr(x)) if name == "sigmoid" else rounded(BY_MPFR[name], as_mpfr(x)), 0


def sigmoid(x):
    """1 / (1 + exp(-x)); just below 1 where exp(-x) has nothing among many digits."""
    if x > SIGMOID_DIGITS // 2:
        return Number("finite", False, (2 << KEPT) - 1, -KEPT - 1)
    if x < -FAR:
        return rounded(CUT.exp, x)  # times 1 - exp(x), which is below every format anyway
    return odd(LONG.div(1, LONG.add(1, LONG.exp(LONG.minus(x)))), True)


def minus(number):
    return number._replace(negative=True)


def evaluate(name, x):
    """A function of one number: (a number, flags)."""
    if x.kind == "nan":
        return NAN, INVALID if signals(x) else 0
    pole = (INFINITE._replace(negative=x.negative), DIVIDE_BY_ZERO)
    own_zero = ZERO._replace(negative=x.negative)
    if x.kind == "infinite":
        if name in ("sin", "cos") or (x.negative and name in ("log", "log2", "rsqrt")):
            return NAN, INVALID
        step = ONE._replace(negative=x.negative)
        rising = ZERO if x.negative else INFINITE
        results = {"exp": rising, "exp2": rising, "log": INFINITE, "log2": INFINITE, "tanh": step, "erf": step}
        results |= {"sigmoid": ZERO if x.negative else ONE, "rsqrt": ZERO, "reciprocal": own_zero}
        return results[name], 0
    if x.significand == 0:
        half = Number("finite", False, 1, -1)
        results = {"exp": ONE, "exp2": ONE, "cos": ONE, "sigmoid": half, "sin": own_zero, "tanh": own_zero}
        if name in ("log", "log2"):
            return minus(INFINITE), DIVIDE_BY_ZERO
        return pole if name in ("rsqrt", "reciprocal") else ({**results, "erf": own_zero}[name], 0)
    return of_number(name, x)


def is_one(number):
    return number.exponent <= 0 and number.significand == 1 << -number.exponent


def is_integer(number):
    return number.exponent >= 0 or number.significand % (1 << -number.exponent) == 0


def is_odd(number):
    if number.kind != "finite" or number.exponent > 0:
        return False
    return is_integer(number) and (number.significand >> -number.exponent) % 2 == 1


def power(x, y):
    """x^y: (a number, flags); IEEE 754-2019 clause 9.2.1's list, then MPFR."""
    if signals(x) or signals(y):
        return NAN, INVALID
    one = x.kind == "finite" and is_one(x)
    if (y.kind == "finite" and y.significand == 0) or (one and not x.negative):
        return ONE, 0
    if "nan" in (x.kind, y.kind):
        return NAN, 0
    negative = x.negative and is_odd(y)
    if x.kind == "finite" and x.significand == 0:
        if y.negative:
            return Number("infinite", negative), DIVIDE_BY_ZERO if y.kind == "finite" else 0
        return Number("finite", negative), 0
    if y.kind == "infinite":
        if one:
            return ONE, 0
        below = x.kind == "finite" and abs(as_mpfr(x)) < 1
        return (INFINITE if below == y.negative else ZERO), 0
    if x.kind == "infinite":
        return Number("finite" if y.negative else "infinite", negative), 0
    if x.negative and not is_integer(y):
        return NAN, INVALID
    return rounded(CUT.pow, as_mpfr(x), as_mpfr(y)), 0


def of_fractions(name, *arguments):
    """A function of rational numbers other than 0 that is no number of few digits: (a number, flags).

    The arguments have so many digits that what they lose is nowhere near the digits that are kept.
    """
    x = [RATIONAL.div(gmpy2.mpz(each.numerator), gmpy2.mpz(each.denominator)) for each in arguments]
    if name in ("log", "log2", "rsqrt") and x[0] < 0:
        return NAN, INVALID
    if name == "sigmoid" and x[0] > RATIONAL_DIGITS // 2:
        return Number("finite", False, (2 << KEPT) - 1, -KEPT - 1), 0
    RATIONAL.clear_flags()
    if name == "sigmoid" and x[0] < -FAR:
        value = RATIONAL.exp(x[0])  # times 1 - exp(x), which is below every format anyway
    elif name == "sigmoid":
        value = RATIONAL.div(1, RATIONAL.add(1, RATIONAL.exp(RATIONAL.minus(x[0]))))
    else:
        value = getattr(RATIONAL, {"rsqrt": "rec_sqrt"}.get(name, name))(*x)
    if RATIONAL.overflow or RATIONAL.underflow:
        return far(bool(gmpy2.is_signed(value)), RATIONAL.overflow), 0
    return odd(value, True), 0

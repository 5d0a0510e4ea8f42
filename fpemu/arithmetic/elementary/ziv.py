"""Values of elementary functions to 128 digits, and whether more follow: enough for any exact rounding.

A value's digits come from an enclosure (`fpemu.arithmetic.elementary.enclosures`) whose two ends agree in them; if they
do not, a narrower one is computed (Ziv's strategy, ACM TOMS 17(3), 1991).  That terminates only if the value is not
itself a number of 128 digits or fewer, so such cases are answered beforehand:

- exp, log, sin, cos, tanh, sigmoid of a rational number other than 0 (log: 1) are transcendental (Lindemann and
  Weierstrass), so never dyadic.
- 2^x for a dyadic x that is not an integer is an irrational root of a power of 2.  log2 x = p/q means x^q = 2^p: x is
  a power of 2.
- x^y for a dyadic y = n/2^j is rational only if x is a 2^j-th power of a rational number: roots are taken as long as
  there are any.  This leaves integer powers, whose digits are counted, and irrational numbers.
- 1/x and 1/sqrt(x) are dyadic only for powers of 2 (of 4), and their digits come by integer division and root.
- Of erf no such theorem is known; its values are enclosed until they are distinguished, as all of 16 bits' are, or an
  error is raised.

Special values are IEEE 754-2019 clause 9.2.1's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from fpemu.arithmetic.elementary import enclosures
from fpemu.arithmetic.elementary.enclosures import Enclosure
from fpemu.casting.significands import Digits128, Dyadic, infinite, zero
from fpemu.formats.facts.literals import DIGITS, FAR
from fpemu.kernels import columns, opcodes

FIRST_PRECISION = DIGITS + 32
LAST_PRECISION = 1 << 14
LONGEST_POWER = 512  # digits of an integer power that is computed exactly


INVALID = Digits128(columns.NOT_A_NUMBER, flags=opcodes.INVALID_FLAG)


def dyadic(negative: bool, m: int, e: int) -> Digits128:
    """The number (-1)^negative m 2^e, m > 0."""
    size = m.bit_length()
    if size <= DIGITS:
        return Digits128(columns.NUMBER, negative, e + size - 1, m << (DIGITS - size), False)
    cut = size - DIGITS
    return Digits128(columns.NUMBER, negative, e + size - 1, m >> cut, m & ((1 << cut) - 1) != 0)


ONE = dyadic(False, 1, 0)


def out_of_range(large: bool, negative: bool = False) -> Digits128:
    """Stand-in for magnitudes beyond 2^FAR or below 2^-FAR, which every format and rule rounds alike."""
    return Digits128(columns.NUMBER, negative, FAR if large else -FAR, 1 << (DIGITS - 1), True)


def decided_digits(negative: bool, enclosure: Enclosure) -> Digits128 | None:
    """The value in an enclosure if both ends have the same 128 digits, else None."""
    low, high, exponent = enclosure
    size = low.bit_length()
    cut = size - DIGITS
    if low <= 0 or cut < 0:
        return None
    digits = low >> cut
    if high > (digits + 1) << cut:
        return None
    return Digits128(columns.NUMBER, negative, exponent + size - 1, digits, True)


def ziv_loop(
    enclose: Callable[[int], tuple[bool, Enclosure]], first: int = FIRST_PRECISION, last: int = LAST_PRECISION
) -> Digits128:
    """The value that `enclose(w)` encloses at precision w: as its sign and its magnitude's enclosure."""
    w = first
    while w <= last:
        value = decided_digits(*enclose(w))
        if value is not None:
            return value
        w *= 2
    raise ArithmeticError(f"{last} digits do not tell a value from a number of {DIGITS} digits")


def _digits_near_one(m: int, e: int) -> int:
    """First working precision for values near 1 + x, twice x's depth more than elsewhere, as x and x^2 are dyadic.

    If x is below all digits, the enclosures end at 1 itself.
    """
    depth = -e - m.bit_length()
    return FIRST_PRECISION + 2 * depth if 0 < depth <= DIGITS + 4 else FIRST_PRECISION


# -- one operand, neither zero nor special ----------------------------------------------------------------------------


def _exp(negative: bool, m: int, e: int) -> Digits128:
    if e + m.bit_length() > 30:
        return out_of_range(not negative)
    return ziv_loop(lambda w: (False, enclosures.exp(negative, m, e, w)), _digits_near_one(m, e))


def _exp2(negative: bool, m: int, e: int) -> Digits128:
    if e + m.bit_length() > 30:
        return out_of_range(not negative)
    if e >= 0:
        return dyadic(False, 1, -m << e if negative else m << e)
    return ziv_loop(lambda w: (False, enclosures.exp2(negative, m, e, w)), _digits_near_one(m, e))


def _log(negative: bool, m: int, e: int) -> Digits128:
    if negative:
        return INVALID
    if (m, e) == (1, 0):
        return zero()
    return ziv_loop(lambda w: enclosures.log(m, e, w))


def _log2(negative: bool, m: int, e: int) -> Digits128:
    if negative:
        return INVALID
    if m == 1:
        return dyadic(e < 0, abs(e), 0) if e else zero()
    return ziv_loop(lambda w: enclosures.log2(m, e, w))


def check_turns(name: str, m: int, e: int) -> None:
    if e + m.bit_length() > enclosures.MAX_TURNS:
        raise ValueError(f"{name} of numbers beyond 2**{enclosures.MAX_TURNS} would need as many digits of pi: refused")


def _sin(negative: bool, m: int, e: int) -> Digits128:
    check_turns("sin", m, e)
    value = ziv_loop(lambda w: enclosures.sin(m, e, w))
    return value._replace(negative=value.negative != negative)


def _cos(_: bool, m: int, e: int) -> Digits128:
    check_turns("cos", m, e)
    return ziv_loop(lambda w: enclosures.cos(m, e, w), _digits_near_one(m, e))


def _tanh(negative: bool, m: int, e: int) -> Digits128:
    return ziv_loop(lambda w: (negative, enclosures.tanh(m, e, w)))


def _sigmoid(negative: bool, m: int, e: int) -> Digits128:
    if negative and e + m.bit_length() > 30:
        return out_of_range(False)
    return ziv_loop(lambda w: (False, enclosures.sigmoid(negative, m, e, w)), _digits_near_one(m, e))


def _erf(negative: bool, m: int, e: int) -> Digits128:
    return ziv_loop(lambda w: (negative, enclosures.erf(m, e, w)))


def _rsqrt(negative: bool, m: int, e: int) -> Digits128:
    if negative:
        return INVALID
    if e & 1:
        m, e = 2 * m, e - 1
    if m == 1:
        return dyadic(False, 1, -e >> 1)
    # the floor of sqrt(N/m) is the root of the floor of N/m; more digits follow, as m is not a power of 4
    digits = math.isqrt((1 << (2 * DIGITS + 2 * m.bit_length())) // m)
    value = dyadic(False, digits, (-e >> 1) - DIGITS - m.bit_length())
    return value._replace(more=True)


def _reciprocal(negative: bool, m: int, e: int) -> Digits128:
    if m == 1:
        return dyadic(negative, 1, -e)
    up = DIGITS + m.bit_length()
    return dyadic(negative, (1 << up) // m, -e - up)._replace(more=True)


class Function(NamedTuple):
    """A function of one operand: its values at numbers other than 0, at zeros and infinities by sign; its symmetry."""

    of_number: Callable[[bool, int, int], Digits128]
    of_zero: tuple[Digits128, Digits128]
    of_infinity: tuple[Digits128, Digits128]
    symmetry: str = ""  # "odd", "even"


_POLE = opcodes.DIVIDE_BY_ZERO_FLAG
_MINUS_ONE = dyadic(True, 1, 0)
_SIGNED_ZEROS = zero(False), zero(True)
_LOG = (infinite(True, _POLE),) * 2, (infinite(False), INVALID)
_EXP = (ONE, ONE), (infinite(False), zero())
_STEP = _SIGNED_ZEROS, (ONE, _MINUS_ONE)
_POLES = infinite(False, _POLE), infinite(True, _POLE)

FUNCTIONS = {
    "exp": Function(_exp, *_EXP),
    "exp2": Function(_exp2, *_EXP),
    "log": Function(_log, *_LOG),
    "log2": Function(_log2, *_LOG),
    "sin": Function(_sin, _SIGNED_ZEROS, (INVALID, INVALID), "odd"),
    "cos": Function(_cos, (ONE, ONE), (INVALID, INVALID), "even"),
    "tanh": Function(_tanh, *_STEP, "odd"),
    "sigmoid": Function(_sigmoid, (dyadic(False, 1, -1),) * 2, (ONE, zero())),
    "erf": Function(_erf, *_STEP, "odd"),
    "rsqrt": Function(_rsqrt, _POLES, (zero(), INVALID)),
    "reciprocal": Function(_reciprocal, _POLES, _SIGNED_ZEROS, "odd"),
}


def value_at_dyadic(name: str, x: Dyadic) -> Digits128:
    """The value of a function of one operand."""
    function = FUNCTIONS[name]
    if x.kind == columns.NOT_A_NUMBER:
        return INVALID if x.signalling else Digits128(columns.NOT_A_NUMBER)
    if x.kind == columns.INFINITE:
        return function.of_infinity[x.negative]
    if x.m == 0:
        return function.of_zero[x.negative]
    return function.of_number(x.negative, x.m, x.e)


# -- powers -----------------------------------------------------------------------------------------------------------


def dyadic_power(x: Dyadic, y: Dyadic) -> Digits128:
    """x^y (IEEE 754-2019 clause 9.2.1, pow)."""
    if x.signalling or y.signalling:
        return INVALID
    if y.zero or (not x.negative and (x.m, x.e) == (1, 0)):  # even for quiet NaN
        return ONE
    if columns.NOT_A_NUMBER in (x.kind, y.kind):
        return Digits128(columns.NOT_A_NUMBER)
    odd = y.kind == columns.NUMBER and y.e == 0
    negative = x.negative and odd
    if x.kind == columns.INFINITE:
        return zero(negative) if y.negative else infinite(negative)
    if y.kind == columns.INFINITE:
        if (x.m, x.e) == (1, 0):
            return ONE
        large = x.m != 0 and x.e + x.m.bit_length() > 0  # |x| >= 1
        return zero() if large == y.negative else infinite(False)
    if x.m == 0:
        return infinite(negative, _POLE) if y.negative else zero(negative)
    if x.negative and y.e < 0:
        return INVALID
    return _dyadic_power(x.m, x.e, y)._replace(negative=negative)


def _dyadic_nearness(m: int, e: int) -> int:
    """An integer n >= 0 with |x - 1| >= 2^-n for x = m 2^e other than 1."""
    if e + m.bit_length() not in (0, 1) or e > 0:  # outside 1/2 to 2
        return 1
    return max(-e - abs(m - (1 << -e)).bit_length() + 1, 1)


def _dyadic_power(m: int, e: int, y: Dyadic) -> Digits128:
    """The power (m 2^e)^|y|, inverted for negative y."""
    if (m, e) == (1, 0):
        return ONE
    n, f = y.m, y.e
    while f < 0 and e % 2 == 0 and math.isqrt(m) ** 2 == m:  # terminates: m 2^e is not 1
        m, e, f = math.isqrt(m), e >> 1, f + 1
    large = (e + m.bit_length() > 0) != y.negative
    nearness = _dyadic_nearness(m, e)
    if f + n.bit_length() > nearness + 33:  # log x is at least 2^(-nearness - 1), so y log x at least 2^31
        return out_of_range(large)
    if f >= 0:
        whole = n << f
        if m == 1:
            exponent = -e * whole if y.negative else e * whole
            return dyadic(False, 1, exponent) if abs(exponent) < FAR else out_of_range(large)
        if whole * m.bit_length() <= LONGEST_POWER:
            return (_reciprocal if y.negative else dyadic)(False, m**whole, e * whole)
    if (n, f, y.negative) == (1, -1, False):  # an irrational root
        m, e = (2 * m, e - 1) if e & 1 else (m, e)
        return dyadic(False, math.isqrt(m << 2 * DIGITS), (e >> 1) - DIGITS)._replace(more=True)

    def enclose(w: int) -> tuple[bool, Enclosure]:
        guard = max(f + n.bit_length(), 0) + 8  # 4 n 2^f units of error become less than 1, and a floor
        z = enclosures.scaled(enclosures.log_at(m, e, w + guard) * (-n if y.negative else n), f, -guard)
        return False, enclosures.exp_on_one_side(z, w, 2, large)

    w = nearness + 80
    if abs(enclosures.log_at(m, e, w) * n) >> (w - f) > FAR:
        return out_of_range(large)
    return ziv_loop(enclose)

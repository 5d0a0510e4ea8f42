"""Elementary functions of dyadic numbers, enclosed between integers: no float arithmetic, the same on every machine.

A number x > 0 is m 2^e.  An enclosure is (lo, hi, exponent): lo 2^exponent < value < hi 2^exponent, both strictly,
for any working precision w; it narrows as w grows.  "At scale w" means: an integer t stands for t 2^-w, and one unit is
2^-w.  Every bound below counts the units that floors lose; if a value is known to lie on one side of 1 or of 1/2, the
enclosure ends there, which decides arguments that are too small, or too large, for any number of digits.

Sources of the series: J.-M. Muller, Elementary Functions, 3rd edition; Abramowitz and Stegun 7.1.6 (erf).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

Enclosure = tuple[int, int, int]

HALVINGS = 8  # exp of 2^-8 of the argument, then as many squarings
MAX_TURNS = 1 << 16  # sin and cos: of operands up to 2^this


def scaled(m: int, e: int, w: int) -> int:
    """The floor of m 2^e at scale w; m may be negative."""
    shift = e + w
    return m << shift if shift >= 0 else m >> -shift


# -- constants: an integer c with c <= constant 2^w < c + 2 -----------------------------------------------------------


def _constant(compute: Callable[[int], int]) -> Callable[[int], int]:
    """A constant at any scale, from its cached digits to the next power of two."""
    cached = functools.cache(compute)

    def at(w: int) -> int:
        digits = max(512, 1 << (w - 1).bit_length())
        return cached(digits) >> (digits - w)  # the floor loses less than 1, and 2 units became 1 or less

    return at


def _artanh(a: int, b: int, w: int) -> int:
    """An integer c with c <= artanh(a/b) 2^w < c + 2, for 0 <= a/b <= 1/3.

    Each power loses less than 1.2 units, each term less than 2.2, all w terms less than 3 w: less than one unit at w.
    """
    guard = w.bit_length() + 4
    power = (a << (w + guard)) // b
    total, n, a, b = power, 1, a * a, b * b
    while power:
        power = power * a // b
        n += 2
        total += power // n
    return total >> guard


@_constant
def ln2(w: int) -> int:
    return _artanh(1, 3, w + 1)


@_constant
def pi(w: int) -> int:
    """Machin's formula; fewer than w terms that lose 2.2 units each, 16 and 4 times: less than 2^40 for w < 2^34."""
    digits = w + 64
    total = 0
    for factor, k in ((16, 5), (-4, 239)):
        power, n = (factor << digits) // k, 1
        while power not in (0, -1):
            total += power // n
            power, n = -power // (k * k), n + 2
    return (total - (1 << 40)) >> 64


@_constant
def two_over_pi(w: int) -> int:
    """The divisor is at most 2 units too large: the quotient at most 2/pi 2/pi too small, and a floor."""
    return (1 << (2 * w + 1)) // (pi(w) + 2)


@_constant
def two_over_root_pi(w: int) -> int:
    """The radicand 4/pi is at most (4/pi) (2/pi) 2^w + 1 of its units too small: the root 0.4 units, and a floor."""
    return math.isqrt((4 << (3 * w)) // (pi(w) + 2))


# -- exp and log ------------------------------------------------------------------------------------------------------


def exp_at(z: int, w: int, error: int) -> Enclosure:
    """Encloses exp of a number at scale w whose distance from z is less than `error` units, |z| < 2^(w + 32).

    exp(z) = 2^k exp(r); r, taken at scale w + 8, is r/2^8; its series, then 8 squarings.  k ln2 is off by less than
    0.01 units, and a floor: r by less than error + 1.01.  Each of n terms loses less than 2.1 units, the argument's
    error counts once (exp' < 1.02), and squaring doubles the relative error and adds a floor: in units at scale w, of
    a result below 2, less than 2 (2.1 n + error + 3) + 2.
    """
    fine = ln2(w + 42)
    k = (z << 42) // fine
    r = ((z << 42) - k * fine) >> 42
    w += HALVINGS
    total = term = 1 << w
    n = 0
    while term:
        n += 1
        term = (term * r >> w) // n
        total += term
    for _ in range(HALVINGS):
        total = total * total >> w
    total >>= HALVINGS
    bound = 5 * n + 3 * error + 9
    return total - bound, total + bound, k + HALVINGS - w


def exp_on_one_side(z: int, w: int, error: int, above: bool) -> Enclosure:
    """As `exp_at`, of a number known to be positive (`above`) or negative, never 0."""
    low, high, exponent = exp_at(z, w, error)
    if 0 <= -exponent <= w + 1:  # else far from 1
        if above:
            low = max(low, 1 << -exponent)
        else:
            high = min(high, 1 << -exponent)
    return low, high, exponent


def exp(negative: bool, m: int, e: int, w: int) -> Enclosure:
    return exp_on_one_side(scaled(-m if negative else m, e, w), w, 1, not negative)


def exp2(negative: bool, m: int, e: int, w: int) -> Enclosure:
    """2^x = 2^k exp(f ln2), with k the floor of x and f the rest, at scale w; 2^f lies between 1 and 2."""
    x = scaled(-m if negative else m, e, w)
    k, f = x >> w, x & ((1 << w) - 1)
    low, high, exponent = exp_on_one_side(f * ln2(w) >> w, w, 4, True)  # f within 1, ln2 within 2, a floor
    return low, min(high, 1 << (1 - exponent)), exponent + k


@functools.lru_cache(maxsize=4096)
def _log_near_one(m: int, k: int, w: int) -> int:
    """An integer within 2 units of log(m 2^-k) at scale w, for a number between the roots of 1/2 and 2."""
    a = m - (1 << k)
    magnitude = _artanh(abs(a), m + (1 << k), w + 1)  # log x = 2 artanh((x - 1) / (x + 1))
    return -magnitude if a < 0 else magnitude


def _binade(m: int, e: int) -> tuple[int, int]:
    """(k, exponent): m 2^e is (m 2^-k) 2^exponent, the first factor between the roots of 1/2 and 2."""
    k = m.bit_length() - 1
    k += m * m >> (2 * k + 1)
    return k, e + k


def log_at(m: int, e: int, w: int) -> int:
    """An integer within 4 units of log(m 2^e) at scale w, |e| < 2^40."""
    k, exponent = _binade(m, e)
    return (exponent * ln2(w + 42) >> 42) + _log_near_one(m, k, w)


def log(m: int, e: int, w: int) -> tuple[bool, Enclosure]:
    logarithm = log_at(m, e, w)
    return logarithm < 0, (abs(logarithm) - 4, abs(logarithm) + 4, -w)


def log2(m: int, e: int, w: int) -> tuple[bool, Enclosure]:
    """The quotient by ln2: 2 units of the dividend are 2.9 of it, 2 of the divisor 1.5, and a floor."""
    k, exponent = _binade(m, e)
    logarithm = (exponent << w) + (_log_near_one(m, k, w) << w) // ln2(w)
    return logarithm < 0, (abs(logarithm) - 6, abs(logarithm) + 6, -w)


# -- sin and cos ------------------------------------------------------------------------------------------------------


def _sin_cos_series(square: int, w: int, n: int) -> tuple[int, int]:
    """1 - square/((n+1)(n+2)) + ... at scale w, square <= 0.7, n 0 or 1: the sum, and a bound of its error.

    The square may be 1 unit off.  The first term loses less than 2 units, the others 1.3, omitted terms less than 1.
    """
    total = term = 1 << w
    terms = 1
    while term:
        term = (term * square >> w) // ((n + 1) * (n + 2))
        total += -term if terms & 1 else term
        n += 2
        terms += 1
    return total, 2 * terms + 2


def _sin_cos_by_reduction(quarter: int, m: int, e: int, w: int) -> tuple[bool, Enclosure]:
    """The sine (quarter 0) or cosine (1) of x >= 1/2, by x 2/pi modulo 4 (Payne and Hanek).

    Only a window of 2/pi's digits matters: the digits above it contribute multiples of 4.
    """
    digits = max(e, 0) + w + m.bit_length() + 2
    window = two_over_pi(digits)
    if e > 0:
        window &= (1 << (digits - e + 2)) - 1
    turns = window * m >> (digits - e - w)  # within 1.5 units
    quarter += turns >> w & 3
    rest = turns & ((1 << w) - 1)
    if rest >> (w - 1):  # nearer to the next quarter: from there backwards, which swaps sin and cos
        rest = (1 << w) - rest
        swapped = not quarter & 1
    else:
        swapped = bool(quarter & 1)
    r = rest * pi(w) >> (w + 1)  # within 1.5 pi/2 + 1 + 1 < 5 units
    total, bound = _sin_cos_series(r * r >> w, w, 0 if swapped else 1)
    low, high = total - bound, min(total + bound, 1 << w)
    if swapped:  # cos; its slope is at most 1 in magnitude
        return quarter & 2 != 0, (low - 5, min(high + 5, 1 << w), -w)
    return quarter & 2 != 0, (r * low - (5 << w), r * high + (5 << w), -2 * w)


def _is_small(m: int, e: int) -> bool:
    return e + m.bit_length() < 0


def sin(m: int, e: int, w: int) -> tuple[bool, Enclosure]:
    """For small x by x (1 - x^2/6 + ...), which is below x."""
    if not _is_small(m, e):
        return _sin_cos_by_reduction(0, m, e, w)
    total, bound = _sin_cos_series(scaled(m * m, 2 * e, w), w, 1)
    return False, (m * (total - bound), m * min(total + bound, 1 << w), e - w)


def cos(m: int, e: int, w: int) -> tuple[bool, Enclosure]:
    if not _is_small(m, e):
        return _sin_cos_by_reduction(1, m, e, w)
    total, bound = _sin_cos_series(scaled(m * m, 2 * e, w), w, 0)
    return False, (total - bound, min(total + bound, 1 << w), -w)


# -- tanh, sigmoid, erf -----------------------------------------------------------------------------------------------


def _sinh_cosh_series(square: int, w: int, n: int) -> tuple[int, int]:
    """1 + square/((n+1)(n+2)) + ... at scale w, square <= 1: as `_alternating`; the sum is not above the true one.

    The first term loses less than 2 units, the others less than 1.5, the omitted terms less than 1.
    """
    total = term = 1 << w
    terms = 1
    while term:
        term = (term * square >> w) // ((n + 1) * (n + 2))
        total += term
        n += 2
        terms += 1
    return total, 2 * terms + 2


def _as_fraction(enclosure: Enclosure, w: int) -> tuple[int, int]:
    """The bounds of a number between 0 and 1, at scale w."""
    low, high, exponent = enclosure
    shift = -exponent - w
    if shift <= 0:
        return low << -shift, high << -shift
    return low >> shift, (high >> shift) + 1


def tanh(m: int, e: int, w: int) -> Enclosure:
    """For x < 1 by x (sinh(x)/x) / cosh(x), below x; else by (1 - t) / (1 + t) with t = exp(-2x), below 1."""
    one = 1 << w
    if e + m.bit_length() <= 0:
        square = scaled(m * m, 2 * e, w)
        sinh, sinh_more = _sinh_cosh_series(square, w, 1)
        cosh, cosh_more = _sinh_cosh_series(square, w, 0)
        low, high = (sinh << w) // (cosh + cosh_more), ((sinh + sinh_more) << w) // cosh + 1
        return m * low, m * min(high, one), e - w
    if e + m.bit_length() > w.bit_length():  # x > w: t < 2^-2w
        return one - 2, one, -w
    low, high = _as_fraction(exp_at(scaled(-2 * m, e, w), w, 1), w)
    return ((one - high) << w) // (one + high), min(((one - low) << w) // (one + low) + 1, one), -w


def sigmoid(negative: bool, m: int, e: int, w: int) -> Enclosure:
    """For x < 0 by t / (1 + t) with t = exp(x), below 1/2; else by 1 / (1 + t) with t = exp(-x), from 1/2 to 1."""
    one = 1 << w
    if not negative and e + m.bit_length() > w.bit_length():  # x > w: t < 2^-w
        return one - 1, one, -w
    low, high, exponent = exp_on_one_side(scaled(-m, e, w), w, 1, False)
    t_low, t_high = _as_fraction((low, high, exponent), w)
    if not negative:
        return max((one << w) // (one + t_high), one >> 1), min((one << w) // (one + t_low) + 1, one), -w
    low, high = (low << w) // (one + t_high), (high << w) // (one + t_low) + 1
    if -exponent <= w + 1:
        high = min(high, 1 << (-exponent - 1))
    return low, high, exponent


def erf(m: int, e: int, w: int) -> Enclosure:
    """2/sqrt(pi) x exp(-x^2) (1 + 2x^2/3 + (2x^2)^2/(3 5) + ...), which is below 1; for large x 1 - exp(-x^2) < it.

    Of the sum G of N terms: each term multiplies the loss of the one before and loses 2 units more; as the terms
    first grow and then decrease, a term has lost at most 2N max(term, 1) units, and the sum 2N (G + N).  The omitted
    terms, once each is at most half of the one before, are no more than the last term's 2N + 1 units.
    """
    square = m * m
    top = 2 * e + square.bit_length()
    if top > w.bit_length() + 2 or 1000 * scaled(square, 2 * e, 0) >= 694 * w:  # exp(-x^2) < 2^-w
        return (1 << w) - 1, 1 << w, -w
    four = scaled(square, 2 * e + 2, 0) + 1
    total = term = 1 << w
    n = 1
    while term or n < four:
        n += 2
        term = scaled(term * square, 2 * e + 1, 0) // n
        total += term
    terms = (n + 1) >> 1
    more = 2 * terms * ((total >> w) + terms + 3) + 4
    low, high, exponent = exp_on_one_side(scaled(-square, 2 * e, w), w, 1, False)
    factor = two_over_root_pi(w)
    low = (factor * total >> w) * low >> w
    high = (((factor + 2) * (total + more) >> w) + 1) * high >> w
    low, high, exponent = m * low, m * (high + 1), e + exponent
    if e + m.bit_length() >= 0 and exponent < 0:
        high = min(high, 1 << -exponent)
    return low, high, exponent

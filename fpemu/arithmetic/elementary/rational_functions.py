"""Elementary functions of numbers that no format holds: rational arguments, enclosed between two dyadic ones.

The value of a monotone function at a number between a and b lies between its values there; a sine or cosine differs
from that at a by less than b - a.  With a and b adjacent at some scale, the enclosure narrows as the scale grows, and
the rest is as in `fpemu.arithmetic.elementary.ziv`, whose theorems hold for rational arguments too:

- exp, log, sin, cos, tanh, sigmoid of a rational number other than 0 (log: 1) are transcendental.
- 2^(p/q) in lowest terms with q > 1 is irrational, since 2 is not a q-th power; log2 x of a rational x is rational
  only if x is a power of 2.
- x^(p/q) is rational only if x is the q-th power of a rational number: then it is an integer power of that.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

from fpemu.arithmetic.elementary import enclosures, ziv
from fpemu.arithmetic.elementary.ziv import FIRST_PRECISION, INVALID, LAST_PRECISION, ONE, out_of_range, ziv_loop
from fpemu.casting.significands import Digits128, Dyadic, value_of
from fpemu.formats.facts.literals import DIGITS, FAR
from fpemu.kernels import columns

if TYPE_CHECKING:
    from collections.abc import Callable

    from fpemu.arithmetic.elementary.enclosures import Enclosure

__all__ = ["rational_power", "root", "value_at_rational"]

GUARD = 8  # digits of an argument below the scale
LONGEST_EXACT_POWER = 1 << 16  # digits of an integer power that is computed exactly
_UNDECIDED: Enclosure = (0, 1, 0)


def value_at_rational(name: str, x: Fraction) -> Digits128:
    """The value of a function at a rational number other than 0.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from fpemu.arithmetic.elementary.rational_functions import value_at_rational
    >>> value = value_at_rational("exp", Fraction(1, 3))
    >>> value.digits * 2.0 ** (value.top - 127)
    1.3956124250860895
    """
    function = ziv.FUNCTIONS[name]
    known = _dyadic(x)
    if known is not None:
        return function.of_number(x < 0, *known)
    if name == "reciprocal":
        return value_of(1 / x)
    if x < 0 and name in ("log", "log2", "rsqrt"):
        return INVALID
    if name == "rsqrt":
        return root(1 / x)
    value = _FUNCTIONS[name](abs(x), x < 0)
    if x < 0 and function.symmetry == "odd":
        return value._replace(negative=not value.negative)
    return value


def root(x: Fraction) -> Digits128:
    """The square root of a positive number."""
    exact = math.isqrt(x.numerator), math.isqrt(x.denominator)
    if exact[0] ** 2 == x.numerator and exact[1] ** 2 == x.denominator:
        return value_of(Fraction(*exact))
    up = max(2 * DIGITS - (x.numerator.bit_length() - x.denominator.bit_length()) // 2, 0)
    return value_of(Fraction(math.isqrt((x.numerator << 2 * up) // x.denominator), 1 << up))._replace(more=True)


def _dyadic(x: Fraction) -> tuple[int, int] | None:
    """A magnitude as m 2^e with m odd; None if it is not dyadic."""
    m, d = abs(x.numerator), x.denominator
    if d & (d - 1):
        return None
    cut = (m & -m).bit_length() - 1
    return m >> cut, cut + 1 - d.bit_length()


def _top_exponent(x: Fraction) -> int:
    """The exponent of a positive number's leading digit, or one less."""
    return x.numerator.bit_length() - x.denominator.bit_length() - 1


def _below(x: Fraction, k: int) -> int:
    """The integer a with a 2^-k < x < (a + 1) 2^-k, of a number that is not dyadic."""
    return (x.numerator << k) // x.denominator if k >= 0 else x.numerator // (x.denominator << -k)


def _between(low: Enclosure, high: Enclosure) -> Enclosure:
    """From the lower end of one enclosure to the upper end of another."""
    exponent = min(low[2], high[2])
    return low[0] << (low[2] - exponent), high[1] << (high[2] - exponent), exponent


def _of_scale(x: Fraction, w: int) -> tuple[int, int]:
    """An argument's floor m 2^e at a scale, which is relative for numbers below 1 and absolute above."""
    k = w + GUARD - min(_top_exponent(x), 0)
    return _below(x, k), -k


def _by_monotony(enclose: Callable[[bool, int, int, int], Enclosure]) -> Callable[[Fraction, bool], Digits128]:
    """A function that increases and has positive values."""

    def value(x: Fraction, negative: bool) -> Digits128:
        def at(w: int) -> tuple[bool, Enclosure]:
            a, e = _of_scale(x, w)
            least, most = (a + 1, a) if negative else (a, a + 1)
            return False, _between(enclose(negative, least, e, w), enclose(negative, most, e, w))

        return ziv_loop(at)

    return value


def _exponential(enclose: Callable[[bool, int, int, int], Enclosure]) -> Callable[[Fraction, bool], Digits128]:
    """As `_by_monotony`, for a function whose large values exceed all formats."""
    in_range = _by_monotony(enclose)
    return lambda x, negative: out_of_range(not negative) if _top_exponent(x) >= 30 else in_range(x, negative)


def _sigmoid_of_rational(x: Fraction, negative: bool) -> Digits128:
    return out_of_range(False) if negative and _top_exponent(x) >= 30 else _by_monotony(enclosures.sigmoid)(x, negative)


def _logarithm(enclose: Callable[[int, int, int], tuple[bool, Enclosure]]) -> Callable[[Fraction, bool], Digits128]:
    def value(x: Fraction, _: bool) -> Digits128:
        def at(w: int) -> tuple[bool, Enclosure]:
            k = w + GUARD - _top_exponent(x)
            a = _below(x, k)
            (negative, low), (other, high) = enclose(a, -k, w), enclose(a + 1, -k, w)
            if negative != other:
                return False, _UNDECIDED
            return negative, _between(high, low) if negative else _between(low, high)

        first = FIRST_PRECISION + _nearness(x)
        return ziv_loop(at, first, max(LAST_PRECISION, 2 * first))

    return value


def _by_slope(
    name: str, enclose: Callable[[int, int, int], tuple[bool, Enclosure]]
) -> Callable[[Fraction, bool], Digits128]:
    """A sine or cosine: below 1 in magnitude, as is its slope."""

    def value(x: Fraction, _: bool) -> Digits128:
        if _top_exponent(x) >= enclosures.MAX_TURNS:
            ziv.check_turns(name, 1, _top_exponent(x) + 1)

        def at(w: int) -> tuple[bool, Enclosure]:
            a, e = _of_scale(x, w)
            negative, (low, high, exponent) = enclose(a, e, w)
            more = 1 << max(e - exponent, 0)
            high += more
            if exponent <= 0:
                high = min(high, 1 << -exponent)
            return negative, (low - more, high, exponent)

        return ziv_loop(at)

    return value


_FUNCTIONS: dict[str, Callable[[Fraction, bool], Digits128]] = {
    "exp": _exponential(enclosures.exp),
    "exp2": _exponential(enclosures.exp2),
    "log": _logarithm(enclosures.log),
    "log2": _logarithm(enclosures.log2),
    "sin": _by_slope("sin", enclosures.sin),
    "cos": _by_slope("cos", enclosures.cos),
    "tanh": lambda x, _: _by_monotony(lambda _, m, e, w: enclosures.tanh(m, e, w))(x, False),
    "sigmoid": _sigmoid_of_rational,
    "erf": lambda x, _: _by_monotony(lambda _, m, e, w: enclosures.erf(m, e, w))(x, False),
}


# -- powers -----------------------------------------------------------------------------------------------------------


def _nearness(x: Fraction) -> int:
    """An integer n >= 1 with |x - 1| >= 2^-n."""
    return max(x.denominator.bit_length() - abs(x.numerator - x.denominator).bit_length() + 1, 1)


def rational_power(x: Fraction, y: Fraction) -> Digits128:
    """The power of a positive number by a number other than 0.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from fpemu.arithmetic.elementary.rational_functions import rational_power
    >>> rational_power(Fraction(8, 27), Fraction(-1, 3)) == rational_power(Fraction(2, 3), Fraction(-1))
    True
    """
    if x == 1:
        return ONE
    base, exponent = _dyadic(x), _dyadic(y)
    if base is not None and exponent is not None:
        number = columns.NUMBER
        return ziv.dyadic_power(Dyadic(number, False, *base), Dyadic(number, y < 0, *exponent))
    n, d = y.numerator, y.denominator
    roots = _whole_root(x.numerator, d), _whole_root(x.denominator, d)
    if roots[0] is not None and roots[1] is not None:
        x, d = Fraction(roots[0], roots[1]), 1
        base = _dyadic(x)
        if base is not None:
            sign, m = y < 0, abs(n)
            cut = (m & -m).bit_length() - 1
            return ziv.dyadic_power(Dyadic(columns.NUMBER, False, *base), Dyadic(columns.NUMBER, sign, m >> cut, cut))
    if d == 1 and abs(n) * max(x.numerator, x.denominator).bit_length() <= LONGEST_EXACT_POWER:
        return value_of(x**n)
    large = (x > 1) == (n > 0)
    nearness = _nearness(x)
    size = n.bit_length() - d.bit_length() + 1  # |y| < 2^size
    if size - 2 > nearness + 33:  # log x is at least 2^(-nearness - 1), so y log x at least 2^31
        return out_of_range(large)

    def logarithm(w: int) -> int:
        """The power's logarithm at scale w, less than 2 units off."""
        guard = max(size, 0) + GUARD
        k = w + guard + GUARD - _top_exponent(x)
        return enclosures.log_at(_below(x, k), -k, w + guard) * n // d >> guard

    first = nearness + 80
    if abs(logarithm(first)) >> first > FAR:
        return out_of_range(large)
    first = max(first, FIRST_PRECISION)
    return ziv_loop(
        lambda w: (False, enclosures.exp_on_one_side(logarithm(w), w, 3, large)), first, max(LAST_PRECISION, 2 * first)
    )


def _whole_root(n: int, degree: int) -> int | None:
    """The root of a positive integer if it is an integer, else None."""
    if n == 1 or degree == 1:
        return n
    if degree >= n.bit_length():
        return None
    bound = 1 << -(-n.bit_length() // degree)  # Newton's iteration from above
    while True:
        less = ((degree - 1) * bound + n // bound ** (degree - 1)) // degree
        if less >= bound:
            return bound if bound**degree == n else None
        bound = less

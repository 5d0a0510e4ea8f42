"""Numbers in text, read exactly, at a cost independent of their exponents.

A number is stored as written: an integer significand and an exponent of two or of ten, so ``1e1000000000`` is two
small integers.  From these follow a fraction, if it is not too long; the first 128 binary digits and whether more
follow, which is enough for any rounding to any format; and the digits from a given exponent up, for overflow that
wraps.

The grammar is `float`'s for decimal numbers, infinities and NaN, and C's for hexadecimal ones (C17 clause 6.4.4.2, the
exponent may be left out where there is a point): ``0.1``, ``-1_000.5e-3``, ``0x1.8p-3``, ``-inf``, ``nan``, ``-0``.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple

from fpemu.kernels import columns

if TYPE_CHECKING:
    from fractions import Fraction

DIGITS = 128  # binary digits of a number that, with whether more follow, are enough for any rounding
FAR = 1 << 30  # no format reaches 2^FAR: exponents have 24 bits, biases 26
FARTHEST = 1 << 16  # binary exponent, or number of binary digits, of a number that becomes a fraction
LONGEST = 100_000  # characters of a number
LARGEST_EXPONENT = 10**30  # larger ones are equivalent: no text is that long
DECIMAL_CHUNK = 4000  # decimal digits that Python converts in one call

_DECIMAL = re.compile(
    r"(?P<sign>[+-]?)(?:(?P<whole>\d(?:_?\d)*)(?:\.(?P<part>(?:\d(?:_?\d)*)?))?|\.(?P<only>\d(?:_?\d)*))"
    r"(?:e(?P<power>[+-]?\d(?:_?\d)*))?",
    re.IGNORECASE,
)
_HEXADECIMAL = re.compile(
    r"(?P<sign>[+-]?)0x(?:(?P<whole>[0-9a-f](?:_?[0-9a-f])*)(?:\.(?P<part>(?:[0-9a-f](?:_?[0-9a-f])*)?))?"
    r"|\.(?P<only>[0-9a-f](?:_?[0-9a-f])*))(?:p(?P<power>[+-]?[0-9](?:_?[0-9])*))?",
    re.IGNORECASE,
)
_SPECIAL = re.compile(r"(?P<sign>[+-]?)(?:(?P<infinity>inf(?:inity)?)|nan)", re.IGNORECASE)
_CODE = re.compile(r"[+-]?(?:0x[0-9a-f](?:_?[0-9a-f])*|0b[01](?:_?[01])*|0o[0-7](?:_?[0-7])*)", re.IGNORECASE)


class Leading(NamedTuple):
    """The first 128 binary digits of a magnitude, the exponent `top` of the first one, and whether more follow."""

    top: int
    digits: int
    more: bool


class Literal(NamedTuple):
    """A number as written: (-1)^negative significand base^exponent; a zero, an infinity or NaN with its sign.

    `kind` is one of `fpemu.kernels.columns`' NUMBER, ZERO, INFINITE, NOT_A_NUMBER; the significand is positive where it
    is NUMBER, else 0; the base is 2 or 10.

    Examples
    --------
    >>> from fpemu.formats.facts.literals import read
    >>> read("-0x1.8p-3").fraction()
    Fraction(-3, 16)
    >>> far = read("1e-1000000000")
    >>> far.fraction() is None, far.leading().top
    (True, -1073741824)
    """

    kind: int
    negative: bool
    significand: int = 0
    base: int = 2
    exponent: int = 0

    def special(self) -> float | None:
        """The zero, infinity or NaN as a float, with its sign; None for another number."""
        if self.kind == columns.NUMBER:
            return None
        value = {columns.ZERO: 0.0, columns.INFINITE: math.inf, columns.NOT_A_NUMBER: math.nan}[self.kind]
        return math.copysign(value, -1.0 if self.negative else 1.0)

    def is_negative_zero(self) -> bool:
        """Whether it is -0."""
        return self.kind == columns.ZERO and self.negative

    def negated(self) -> Literal:
        """The same number with the other sign."""
        return self._replace(negative=not self.negative)

    def plain(self) -> int | float | None:
        """The number as an int of 64 bits or a float, if it is one exactly."""
        special = self.special()
        if special is not None:
            return special
        top = self.leading().top
        if not -1075 < top < 1024:
            return None
        number = self.fraction()
        assert number is not None
        if number.denominator == 1 and -(1 << 63) <= number < 1 << 64:
            return int(number)
        try:
            nearest = float(number)
        except OverflowError:  # beyond the largest, in its binade
            return None
        return nearest if number == type(number)(nearest) else None

    def fraction(self) -> Fraction | None:
        """The number exactly; None for infinities, NaN and numbers of more than some 2^16 binary digits.

        A number written with more digits than that does not count as too long.
        """
        from fractions import Fraction  # imported late: `import fpemu` stays light

        if self.kind == columns.ZERO:
            return Fraction(0)
        if self.kind != columns.NUMBER or abs(self.exponent) * (self.base.bit_length() - 1) > self._reach(FARTHEST):
            return None
        number = Fraction(self.significand)
        power: int = self.base ** abs(self.exponent)
        number = number * power if self.exponent >= 0 else number / power
        return -number if self.negative else number

    def leading(self) -> Leading:
        """The first 128 binary digits of a number's magnitude.

        Numbers beyond 2^(2^30) or below 2^-(2^30), where no format has values, become others of that magnitude,
        for which every format and rule has the same result.

        Examples
        --------
        >>> from fpemu.formats.facts.literals import read
        >>> found = read("0.1").leading()
        >>> found.top, hex(found.digits >> 100), found.more
        (-4, '0xccccccc', True)
        """
        assert self.kind == columns.NUMBER
        m, exponent = self.significand, self.exponent
        if self.base == 2:
            return _of_dyadic(m, exponent)
        about = m.bit_length() + exponent * 3.3219280948873623  # of the top digit, to one part in 2^50
        if abs(about) > FAR + 4:
            return _far(about > 0)
        if abs(exponent) <= self._reach(1024):
            if exponent >= 0:
                return _of_dyadic(m * 5**exponent, exponent)
            return leading_of(m, 5**-exponent, exponent)
        # More than 128 digits follow: 5^e alone has more, or divides no m that is shorter.
        width = DIGITS + 64
        while True:
            low, high, power = _power_of_five(abs(exponent), width)
            if exponent >= 0:
                ends = _of_dyadic(m * low, power + exponent), _of_dyadic(m * high, power + exponent)
            else:
                ends = leading_of(m, high, exponent - power), leading_of(m, low, exponent - power)
            if ends[0][:2] == ends[1][:2]:
                return ends[0]._replace(more=True)
            width *= 2

    def digits_at(self, exponent: int, width: int) -> tuple[int, bool]:
        """The magnitude's `width` binary digits from 2^exponent up, as an integer, and whether any lower one is set.

        That is floor(|x| / 2^exponent) modulo 2^width.

        Examples
        --------
        >>> from fpemu.formats.facts.literals import read
        >>> read("1e30").digits_at(0, 64), 10**30 % 2**64
        ((5076944270305263616, False), 5076944270305263616)
        >>> read("1e-1000000000").digits_at(0, 64)
        (0, True)
        """
        assert self.kind == columns.NUMBER
        m, power = self.significand, self.exponent
        if self.base == 10 and power >= 0:  # m 5^power 2^power
            up = power - exponent
            size = width - up  # of the required digits of m 5^power, counted from the last
            if size <= 0:
                return 0, False
            m = m * pow(5, power, 1 << size) % (1 << size)
        elif self.base == 10:
            if m.bit_length() + 3.3219280948873623 * power < exponent - 4:
                return 0, True
            top, bottom = (
                (m << power - exponent, 5**-power) if power >= exponent else (m, 5**-power << exponent - power)
            )
            whole, rest = divmod(top, bottom)
            return whole % (1 << width), rest != 0
        up = power - exponent
        if up >= 0:
            return (m << up) % (1 << width) if up < width else 0, False
        if -up > m.bit_length():
            return 0, True
        return (m >> -up) % (1 << width), m & ((1 << -up) - 1) != 0

    def _reach(self, least: int) -> int:
        """The largest exponent that is expanded to digits; the digits are then little longer than the text."""
        return max(least, self.significand.bit_length())


def read(text: str) -> Literal:
    """The number in a text, exactly.

    Parameters
    ----------
    text : str
        As `float` reads it, or hexadecimal with a "p" or a point; surrounding spaces are ignored.

    Returns
    -------
    Literal

    Raises
    ------
    ValueError
        If it is not a number; a code, "0x7E", is not one.

    Examples
    --------
    >>> from fpemu.formats.facts.literals import read
    >>> read("0.1").fraction(), read("-0").special(), read("0x1p-1074").leading().top
    (Fraction(1, 10), -0.0, -1074)
    >>> read("0x7E")
    Traceback (most recent call last):
    ...
    ValueError: '0x7E' is a code or an integer: give the int 126, for a code with source=; a number has a p, 0x7Ep0
    """
    plain = text.strip()
    if len(plain) > LONGEST:
        raise ValueError(f"a number of {len(plain)} characters: {LONGEST} are allowed")
    match = _DECIMAL.fullmatch(plain)
    if match is not None:
        return _finite(match, 10)
    match = _SPECIAL.fullmatch(plain)
    if match is not None:
        return Literal(columns.INFINITE if match["infinity"] else columns.NOT_A_NUMBER, match["sign"] == "-")
    if is_code(plain):
        known = f"the int {value}" if abs(value := int(plain, 0)) < 1 << 128 else "an int"
        raise ValueError(
            f"{_short(text)} is a code or an integer: give {known}, for a code with source=; a number has a p, 0x7Ep0"
        )
    match = _HEXADECIMAL.fullmatch(plain)
    if match is not None:
        return _finite(match, 16)
    raise ValueError(f"{_short(text)} is not a number: write 0.1, -1e-3, 0x1.8p3, inf, nan")


def is_code(text: str) -> bool:
    """Whether a text is an integer in hexadecimal, binary or octal, which commands take for a code: not "0x1.8p3".

    Examples
    --------
    >>> from fpemu.formats.facts.literals import is_code
    >>> is_code("0x7E"), is_code("0b101"), is_code("0x1.8p3"), is_code("126")
    (True, True, False, False)
    """
    return _CODE.fullmatch(text) is not None


def _finite(match: re.Match[str], radix: int) -> Literal:
    negative = match["sign"] == "-"
    whole, fraction = match["whole"] or "", match["part"] or match["only"] or ""
    whole, fraction = whole.replace("_", ""), fraction.replace("_", "")
    exponent = _exponent(match["power"])
    if radix == 10:
        significand, exponent, base = _integer(whole + fraction), exponent - len(fraction), 10
    else:
        significand, exponent, base = int(whole + fraction, 16), exponent - 4 * len(fraction), 2
    if not significand:
        return Literal(columns.ZERO, negative)
    return Literal(columns.NUMBER, negative, significand, base, exponent)


def _exponent(text: str | None) -> int:
    if text is None:
        return 0
    digits = text.replace("_", "").lstrip("+-").lstrip("0")
    value = int(digits or "0") if len(digits) <= 30 else LARGEST_EXPONENT
    return -value if text.startswith("-") else value


def _integer(digits: str) -> int:
    """Decimal digits as an integer, in chunks: Python converts some thousand at most in one call."""
    if len(digits) <= DECIMAL_CHUNK:
        return int(digits)
    low = len(digits) // 2
    shift: int = 10**low
    return _integer(digits[:-low]) * shift + _integer(digits[-low:])


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:40] + "…" + text[-10:])


def _far(large: bool) -> Leading:
    return Leading(FAR if large else -FAR, 1 << (DIGITS - 1), True)


def _of_dyadic(m: int, exponent: int) -> Leading:
    """The first digits of m 2^exponent."""
    size = m.bit_length()
    top = exponent + size - 1
    if abs(top) > FAR:
        return _far(top > 0)
    if size <= DIGITS:
        return Leading(top, m << (DIGITS - size), False)
    cut = size - DIGITS
    return Leading(top, m >> cut, m & ((1 << cut) - 1) != 0)


def leading_of(m: int, divisor: int, exponent: int = 0) -> Leading:
    """The first 128 binary digits of m / divisor 2^exponent, which is positive."""
    up = max(DIGITS + 1 + divisor.bit_length() - m.bit_length(), 0)
    whole, rest = divmod(m << up, divisor)  # of 129 digits or more
    leading = _of_dyadic(whole, exponent - up)
    return leading._replace(more=leading.more or rest != 0)


def _power_of_five(n: int, width: int) -> tuple[int, int, int]:
    """Two integers of some `width` digits and an exponent: 5^n lies between the integers times 2^exponent."""
    low = high = 1
    exponent = 0
    for bit in f"{n:b}":
        low, high, exponent = low * low, high * high, 2 * exponent
        if bit == "1":
            low, high = 5 * low, 5 * high
        cut = max(high.bit_length() - width, 0)
        low, high, exponent = low >> cut, -(-high >> cut), exponent + cut
    return low, high, exponent

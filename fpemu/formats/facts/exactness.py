"""Exactness: which numbers a format holds, and when rounding twice is rounding once.

All numbers are dyadic: integers times powers of two.  A `Span` bounds a set of them by three integers, which is enough
to prove that a float holds every product of two sets.

A number rounded first to P digits and then to p of them is rounded once

- if the first rounding is to odd and P >= p + 2 [2]_;
- if both are to nearest, P >= 2 p + 2, and the number is a sum of numbers of p digits [1]_ [3]_: `sums_round_once`;
- if the first rounding changes nothing, or moves the number neither onto nor across one at which the second rounding
  decides (a value, or the middle between two): `rounds_once_in`, `quotients_round_once`.

References
----------
.. [1] S. A. Figueroa, "When is double rounding innocuous?", ACM SIGNUM Newsletter 30 (3), 1995.
.. [2] S. Boldo and G. Melquiond, "Emulation of a FMA and correctly rounded sums: proved algorithms using rounding to
   odd", IEEE Transactions on Computers 57 (4), 2008.
.. [3] P. Roux, "Innocuous double rounding of basic arithmetic operations", Journal of Formalized Reasoning 7 (1), 2014.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fpemu.formats.codebook import TableFormat
from fpemu.formats.floats import FLOAT32, FLOAT64, FloatFormat
from fpemu.formats.integers import IntFormat
from fpemu.formats.kinds import Format

if TYPE_CHECKING:
    from fractions import Fraction

    from numpy.typing import NDArray

# Powers of two and binades.


def power_of_two(exponent: int) -> Fraction:
    """2^exponent, of any sign; `Fraction(2) ** exponent` takes long where the exponent is large."""
    from fractions import Fraction  # imported late: `import fpemu` stays light

    return Fraction(1 << exponent) if exponent >= 0 else Fraction(1, 1 << -exponent)


def floor_log2(x: Fraction) -> int:
    """The largest integer e with 2^e <= x, for x > 0."""
    exponent = x.numerator.bit_length() - x.denominator.bit_length()
    bound = (x.denominator << exponent) if exponent >= 0 else x.denominator
    number = x.numerator if exponent >= 0 else x.numerator << -exponent
    return exponent if number >= bound else exponent - 1


def quantum(x: Fraction, fmt: Format) -> Fraction:
    """The spacing of a format's values in a number's binade, as if its exponents had no upper end.

    Parameters
    ----------
    x : Fraction
    fmt : FloatFormat or IntFormat

    Returns
    -------
    Fraction

    Examples
    --------
    >>> from fractions import Fraction
    >>> import fpemu as fe
    >>> from fpemu.formats.facts.exactness import quantum
    >>> quantum(Fraction(1, 3), fe.dtype("bfloat16"))
    Fraction(1, 512)
    """
    if isinstance(fmt, IntFormat):
        return power_of_two(-fmt.fraction_bits)
    assert isinstance(fmt, FloatFormat)
    binade = max(floor_log2(abs(x)), fmt.emin) if x else fmt.emin
    return power_of_two(binade - fmt.trailing_bits)


def quantum_exponents(x: NDArray[np.float64], fmt: FloatFormat | IntFormat) -> NDArray[np.intp]:
    """The exponents of the quanta at finite numbers; see `quantum`."""
    if isinstance(fmt, IntFormat):
        return np.full(x.shape, -fmt.fraction_bits)
    binades = np.where(x == 0, fmt.emin, np.frexp(x)[1] - 1)
    return np.asarray(np.maximum(binades, fmt.emin) - fmt.trailing_bits)


# Digits and spans.


class Span(NamedTuple):
    """A bound of dyadic numbers: at most `digits` binary digits, multiples of 2^low, below 2^high in magnitude."""

    digits: int
    low: int
    high: int

    @property
    def bits(self) -> int:
        """The bits that the numbers take as multiples of 2^low, the sign apart."""
        return self.high - self.low

    def times(self, *others: Span) -> Span:
        """The products of these numbers and others."""
        return Span(*map(sum, zip(self, *others, strict=True)))

    def fits(self, fmt: Format) -> bool:
        """Whether a float format with subnormals, its top binade full, holds all such numbers."""
        own = span(fmt)
        return self.digits <= own.digits and self.low >= own.low and self.high <= own.high


def span_of(integer: int, exponent: int) -> Span:
    """The span of a nonzero number, integer times 2^exponent."""
    zeros = (integer & -integer).bit_length() - 1
    length = integer.bit_length()
    return Span(length - zeros, exponent + zeros, exponent + length)


@functools.lru_cache(maxsize=256)
def span(fmt: Format) -> Span:
    """The span of a format's finite values, those of noncanonical codes among them.

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.formats.facts.exactness import span
    >>> span(fe.dtype("float8_e4m3fn")), span(fe.dtype("q3.4"))
    (Span(digits=4, low=-9, high=9), Span(digits=7, low=-4, high=4))
    """
    if isinstance(fmt, FloatFormat):
        return Span(fmt.precision, fmt.quantum_exponent, span_of(*fmt.scaled(fmt.max_code)).high)
    if isinstance(fmt, IntFormat):
        low, length = -fmt.fraction_bits, max(fmt.max_int, fmt.symmetric - fmt.min_int).bit_length()
        return Span(max(fmt.max_int.bit_length(), 1), low, low + length)
    spans = [span_of(integer, exponent) for integer, exponent in map(fmt.scaled, range(fmt.code_count)) if integer]
    if not spans:
        return Span(0, 0, 0)
    every_digits, low_ends, high_ends = zip(*spans, strict=True)
    return Span(max(every_digits), min(low_ends), max(high_ends))


def span_of_array(x: NDArray[np.float64]) -> Span:
    """The span of finite numbers; their digits are taken to be as many as their bits."""
    significands, exponents = np.frexp(x[x != 0])
    if not exponents.size:
        return Span(0, 0, 0)
    integers = np.ldexp(significands, FLOAT64.precision).astype(np.int64)
    zeros = np.frexp((integers & -integers).astype(np.float64))[1] - 1
    low, high = int((exponents - FLOAT64.precision + zeros).min()), int(exponents.max())
    return Span(high - low, low, high)


def odd_bits(n: int) -> int:
    """The length of an integer n >= 0 without the zeros at its end."""
    return n.bit_length() - (n & -n).bit_length() + 1 if n else 0


def digits_of(number: float) -> int:
    """The binary digits of a number; 0 for an infinity."""
    return odd_bits(abs(number.as_integer_ratio()[0])) if math.isfinite(number) else 0


def digits(fmt: Format) -> int:
    """The most binary digits of a format's values; of an integer format its bits, the sign counted."""
    return fmt.bits if isinstance(fmt, IntFormat) else span(fmt).digits


@functools.lru_cache(maxsize=64)
def deciding_digits(fmt: Format) -> int:
    """The most binary digits of the boundaries of rounding to a format: its values and their midpoints."""
    if not isinstance(fmt, TableFormat):
        return digits(fmt) + 1
    return max(abs(number.numerator).bit_length() for number in _deciding_numbers(fmt))


def _deciding_numbers(book: TableFormat) -> list[Fraction]:
    """A codebook's values, and the midpoints between neighbours."""
    values = sorted({book.exact(code) for code in range(book.code_count)})
    return values + [(low + high) / 2 for low, high in itertools.pairwise(values)]


@functools.lru_cache(maxsize=16)
def deciding_format(book: TableFormat) -> FloatFormat:
    """A 64-bit format with one digit more than every boundary of rounding to a codebook.

    A number rounded to odd to it falls on the same side of each of these as before.

    Raises
    ------
    ValueError
        If there is none.
    """
    deciding = [(abs(x.numerator).bit_length(), x.denominator.bit_length() - 1) for x in _deciding_numbers(book)]
    deepest = max(decimals for _, decimals in deciding)
    for exponent_bits in range(4, 12):
        fmt = FloatFormat(f"{book.name[:900]} and between", 64, 64 - exponent_bits)
        fits = all(length < fmt.precision and length - decimals <= fmt.bias for length, decimals in deciding)
        if fits and -deepest > fmt.quantum_exponent:
            return fmt
    raise ValueError(f"{book}'s values lie too close to what decides between them")


@functools.lru_cache(maxsize=64)
def with_digits(digits: int) -> FloatFormat:
    """Float64 with fewer digits; without infinities and NaN, for which one digit has no room."""
    return FloatFormat("digits", 11 + digits, digits, bias=1024, nan="none", infinities=False)


# The ends of a format, and which format holds another.


def largest_code(fmt: Format, negative: bool = False) -> int:
    """The code of the largest finite value of a sign; for a sign that is missing, the code of the smallest value."""
    if isinstance(fmt, TableFormat):
        return fmt.entries.index(min(fmt.entries) if negative else max(fmt.entries))
    if isinstance(fmt, FloatFormat):
        return fmt.max_code if not negative else fmt.max_code | fmt.sign_mask if fmt.signed else 0
    if not negative:
        return fmt.max_int
    return fmt.max_int | fmt.sign_mask if fmt.encoding == "sign_magnitude" else fmt.min_int & (fmt.code_count - 1)


def end_codes(fmt: Format) -> tuple[int, int]:
    """The codes of the smallest (most negative) and the largest finite value."""
    return largest_code(fmt, True), largest_code(fmt)


def finite_ends(fmt: Format) -> tuple[Fraction, Fraction]:
    """The smallest (most negative) and the largest finite value."""
    lowest, largest = map(fmt.exact, end_codes(fmt))
    return lowest, largest


def finite_range(fmt: Format) -> tuple[float, float]:
    """The smallest (most negative) and the largest finite value, as floats; infinite where float64 cannot hold them.

    Parameters
    ----------
    fmt : Format

    Returns
    -------
    tuple of float

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.formats.facts.exactness import finite_range
    >>> finite_range(fe.dtype("int4")), finite_range(fe.dtype("float8_e4m3fn"))
    ((-8.0, 7.0), (-448.0, 448.0))
    """
    lowest, largest = (nearest_float(*fmt.scaled(code)) for code in end_codes(fmt))
    return lowest, largest


def nearest_float(significand: int, exponent: int) -> float:
    """The float nearest to significand times 2^exponent; infinite beyond float64's range."""
    try:
        return math.ldexp(significand, exponent)
    except OverflowError:
        return math.copysign(math.inf, significand)


def has_value(fmt: FloatFormat, significand: int, exponent: int) -> bool:
    """Whether significand times 2^exponent is a finite value of a float format."""
    if not significand:
        return fmt.zero
    number = abs(significand), exponent
    ends = span_of(*number)
    return (
        (significand > 0 or fmt.signed)
        and ends.digits <= fmt.precision
        and ends.low >= fmt.quantum_exponent
        and _at_most(fmt.scaled(fmt.min_code), number)
        and _at_most(number, fmt.scaled(fmt.max_code))
    )


def _at_most(x: tuple[int, int], y: tuple[int, int]) -> bool:
    """Whether x <= y, both positive, as significands and exponents; shifts no further than their digits."""
    (a, i), (b, j) = x, y
    highs = a.bit_length() + i, b.bit_length() + j
    if highs[0] != highs[1]:
        return highs[0] < highs[1]
    return a << max(i - j, 0) <= b << max(j - i, 0)


@functools.lru_cache(maxsize=1024)
def holds(wide: FloatFormat, narrow: Format) -> bool:
    """Whether a float format has every finite value that another format produces, signs of zero apart.

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.formats.facts.exactness import holds
    >>> holds(fe.dtype("float16"), fe.dtype("int12")), holds(fe.dtype("float16"), fe.dtype("bfloat16"))
    (True, False)
    """
    if isinstance(narrow, TableFormat):
        return all(has_value(wide, *narrow.scaled(code)) for code in range(narrow.code_count))
    needed = span(narrow)
    if needed.digits > wide.precision or needed.low < wide.quantum_exponent:
        return False
    codes = {*end_codes(narrow), narrow.min_code if isinstance(narrow, FloatFormat) else 1 if narrow.max_int else 0}
    if narrow.has("zero"):
        codes.add(0)
    return all(has_value(wide, *narrow.scaled(code)) for code in codes)


def carrier_of(fmt: Format) -> FloatFormat | None:
    """The narrower of float32 and float64 that holds a format; None where neither does."""
    return next((wide for wide in (FLOAT32, FLOAT64) if holds(wide, fmt)), None)


# Rounding twice.


def overflow_threshold(fmt: FloatFormat, to_nearest: bool) -> Fraction:
    """The least magnitude that overflows: the value after the largest one, or, rounding to nearest, halfway to it."""
    largest = finite_ends(fmt)[1]
    step = power_of_two(floor_log2(largest) - fmt.trailing_bits)
    return largest + (step / 2 if to_nearest else step)


def rounds_once_in(
    wide: FloatFormat,
    name: str,
    operands: tuple[FloatFormat, ...],
    target: FloatFormat,
    *,
    overflow_matters: bool = True,
    losses_matter: bool = True,
) -> bool:
    """Whether an operation in a wider float, then rounded to the target in any mode, is the operation rounded once.

    In the wider float sums are rounded to odd, quotients and roots to nearest even, and products must be exact.

    Parameters
    ----------
    wide : FloatFormat
        With subnormals, infinities and NaN.
    name : {"add", "subtract", "multiply", "fma", "divide", "sqrt"}
    operands : tuple of FloatFormat
        All held by `wide`.
    target : FloatFormat
    overflow_matters : bool
        If False, results that overflow in `wide` are assumed to overflow in the target with the same result.
    losses_matter : bool
        If False, products so small that they lose digits are assumed to be computed elsewhere.

    Returns
    -------
    bool

    Notes
    -----
    Let the target have q digits, the divisor p and `wide` P.  A rounding to the target decides at numbers m of q + 1
    digits.  Sums to odd need P >= q + 2, and no overflow.  A quotient x / y other than m is further from it than
    half an ulp of `wide`: with x, y and m in [1, 2), x - m y is a multiple of 2^-(q + p - 1) or of x's quantum, so that
    |x / y - m| > 2^-(q + p), and half an ulp is 2^-P; below 1 both are half as large.  Of roots: with x in [1, 4),
    x - m^2 is a multiple of 2^-2q or of x's quantum, and |sqrt x - m| > 2^-(2 q + 2).  So `wide` never rounds a result
    other than m to m or past m.
    """
    quanta = [power_of_two(fmt.quantum_exponent) for fmt in operands]
    largest = [finite_ends(fmt)[1] for fmt in operands]
    limit = finite_ends(wide)[1]
    precisions = [fmt.precision for fmt in operands]
    odd_is_enough = target.precision + 2 <= wide.precision
    if name in ("add", "subtract"):
        return odd_is_enough and (not overflow_matters or sum(largest) <= limit)
    if name in ("multiply", "fma"):
        all_digits = not losses_matter or quanta[0] * quanta[1] >= power_of_two(wide.quantum_exponent)
        exact = precisions[0] + precisions[1] <= wide.precision and all_digits
        if name == "multiply":
            return exact and (not overflow_matters or largest[0] * largest[1] <= limit)
        return exact and odd_is_enough and largest[0] * largest[1] + largest[2] <= limit
    if name == "divide":
        normal = quanta[0] / largest[1] >= power_of_two(wide.emin) and largest[0] / quanta[1] <= limit
        return normal and target.precision + precisions[1] <= wide.precision and precisions[0] <= wide.precision
    return max(2 * target.precision, precisions[0] - 1) + 2 <= wide.precision  # a root is normal


def sums_round_once(wide: FloatFormat, target: FloatFormat) -> bool:
    """Whether a sum of two of the target's values, rounded to nearest in a wider float, is rounded once in the target.

    The target's rounding is to nearest too, with any rule for ties; `wide` holds the operands and does not overflow.

    Notes
    -----
    Let the target have q digits and `wide` P >= 2 q + 2; let 2^e be the binade of x, |x| >= |y|, and 2^l the last bit
    of y.  Where x + y, below 2^(e + 2), has more than P digits, l <= e + 1 - P, and |y| <= 2^(l + q) - 2^l, no more
    than 2^(e - q - 1) - 2^l: a quarter of the distance of the target's values at x, so x + y rounds to x.  So does its
    rounding in `wide`: if l >= e - P - 1, that is at most 2^(e - P - 1) further away, and no more than 2^l; else y is
    below 2^(e - q - 3), and the rounding is not half as far.  A sum of P digits or fewer is exact.
    """
    return wide.precision >= 2 * target.precision + 2


def needs_round_to_odd(
    wide: FloatFormat, name: str, operands: tuple[FloatFormat, ...], target: FloatFormat, to_nearest: bool
) -> bool:
    """Whether an operation in a wider float must be rounded to odd there, as the target would round twice otherwise."""
    exempt = name in ("add", "subtract") and to_nearest and all(holds(target, fmt) for fmt in operands)
    return not (exempt and sums_round_once(wide, target))


def quotients_round_once(divisors: tuple[float, ...], fmt: FloatFormat) -> bool:
    """Whether float64 numbers rounded to odd, divided in float64 by a product of divisors, round once to a format.

    Notes
    -----
    A number t at which the rounding to the format decides, times the divisors, has 52 digits at most.  So a dividend,
    of 53 digits, is that product or off by more than 2^-53 of it: then the quotient is off t by more than half a unit
    in the last place of float64, and rounded to float64 it lies on its own side of t still.
    """
    needed = fmt.precision + 1 + sum(map(digits_of, divisors))
    return needed < FLOAT64.precision and math.isfinite(math.prod(divisors))

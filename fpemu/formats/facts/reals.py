"""Exact values of single numbers of any type: Python's, numpy's, gmpy2's, mpmath's, and text.

gmpy2 and mpmath are not imported: their numbers are recognised by their types' names.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any

from fpemu.formats.base import exact_float64
from fpemu.formats.facts.literals import Literal, read
from fpemu.kernels import columns

if TYPE_CHECKING:
    from fractions import Fraction

    # A number that float64 does not hold: a Fraction, or a Literal where that would be too long
    Exact = Fraction | Literal

LONGEST_WRITTEN = 4000  # binary digits of integers in messages; Python writes 4300 decimal ones at most

_ADVICE = {
    "NoneType": "for a missing number give float('nan')",
    "dict": "cast each value of a dict, such as a state dict: {name: fe.cast(x, fmt) for name, x in d.items()}",
    "OrderedDict": "cast each value of a dict, such as a state dict: {name: fe.cast(x, fmt) for name, x in d.items()}",
    "generator": "a generator can be read once only: give list(x)",
    "set": "a set has no order: give sorted(x)",
    "frozenset": "a set has no order: give sorted(x)",
    "complex": "cast x.real and x.imag apart",
    "mpc": "cast x.real and x.imag apart",
    "bytes": "text is a str: decode it first, x.decode()",
    "bytearray": "text is a str: decode it first, x.decode(); for codes give np.frombuffer(x, np.uint8) and source=",
    "constant": "mpmath's constants have infinitely many digits: +mpmath.pi has the working precision",
    "Quantized": "for its values give x.dequantize()",
}


def real(x: Any) -> int | float | Exact:
    """A number exactly: an int, a float, or else a Fraction or Literal.

    Parameters
    ----------
    x : object
        A bool, int, float, Fraction, Decimal or str, one of gmpy2's or mpmath's real numbers, or any other object that
        is an integer (`__index__`), a rational number or has `as_integer_ratio`; no array and none of numpy's scalars.

    Returns
    -------
    int, float, Fraction or Literal
        A float for zeros of non-integer types, infinities and NaN (signalling if `x` is).

    Raises
    ------
    TypeError
        If it has no exact value.
    ValueError
        If a text is not a number.

    Examples
    --------
    >>> from decimal import Decimal
    >>> from fpemu.formats.facts.reals import real
    >>> real("0x1.8p1"), real(Decimal("0.1")), real(Decimal("-0")), real(2**70)
    (3.0, Fraction(1, 10), -0.0, 1180591620717411303424)
    """
    kind = type(x)
    if kind is float or kind is int:
        return x  # type: ignore[no-any-return]
    if isinstance(x, int):
        return int(x)
    if isinstance(x, float):
        return float(x)
    if isinstance(x, str):
        return _of_literal(read(x))
    if kind is Literal:
        return _of_literal(x)
    family = kind.__module__.partition(".")[0]
    name = kind.__name__
    if family == "decimal" and name == "Decimal":
        return _of_decimal(x)
    if name == "mpf" and hasattr(x, "_mpf_"):
        return _of_mpf(x)
    if family == "gmpy2" and name == "mpfr":
        return _of_mpfr(x)
    if name not in _ADVICE and not isinstance(x, type):
        if hasattr(x, "__index__"):
            return int(x.__index__())
        if hasattr(x, "numerator") and hasattr(x, "denominator"):
            return _of_ratio(x.numerator, x.denominator)
        if hasattr(x, "as_integer_ratio"):
            try:
                return _of_ratio(*x.as_integer_ratio())
            except (OverflowError, ValueError):  # infinities and NaN
                return float(x)
    raise TypeError(f"an object of type {name} has no exact value: {advice(x)}")


def advice(x: Any) -> str:
    """Advice for an object that is not a number."""
    if isinstance(x, dict):
        return _ADVICE["dict"]
    if hasattr(x, "__next__"):
        return _ADVICE["generator"]
    return _ADVICE.get(
        type(x).__name__,
        "numbers are bool, int, float, Fraction, Decimal, str, numpy's, gmpy2's and mpmath's, and sequences of these",
    )


def as_float(x: int | float | Exact) -> float | None:
    """The number as a float; None if float64 does not hold it."""
    if isinstance(x, float):
        return x
    if isinstance(x, Literal):
        return None
    n, d = (x, 1) if isinstance(x, int) else (x.numerator, x.denominator)
    return None if d & (d - 1) else exact_float64(n, 1 - d.bit_length())


def exact_text(x: int | float | Exact) -> str:
    """A number in an error message, shortened if it is long.

    Examples
    --------
    >>> from fpemu.formats.facts.reals import exact_text, real
    >>> exact_text(real("0.1")), exact_text(10**9000 + 1), exact_text(real("1e-90000"))
    ('1/10', 'about 1e+9000', '1 * 10**-90000')
    """
    terms = (x.significand,) if isinstance(x, Literal) else () if isinstance(x, float) else (x.numerator, x.denominator)
    if max((term.bit_length() for term in terms), default=0) > LONGEST_WRITTEN:
        from fractions import Fraction  # imported late: `import fpemu` stays light

        from fpemu.formats.facts.text import number_text

        number = x.significand if isinstance(x, Literal) else x
        about = f"about {number_text(Fraction(number))}"
        return about if not isinstance(x, Literal) else f"{'-' * x.negative}{about} * {x.base}**{x.exponent}"
    text = str(x) if not isinstance(x, Literal) else f"{'-' * x.negative}{x.significand} * {x.base}**{x.exponent}"
    return text if len(text) <= 60 else f"{text[:40]}…{text[-10:]}"


def _of_literal(x: Literal) -> float | Exact:
    special = x.special()
    if special is not None:
        return special
    ratio = x.fraction()
    return x if ratio is None else _simplest(ratio)


def _simplest(x: Fraction) -> float | Fraction:
    known = as_float(x)
    return x if known is None else known


def _of_ratio(numerator: Any, denominator: Any) -> float | Fraction:
    from fractions import Fraction  # imported late: `import fpemu` stays light

    return _simplest(Fraction(int(numerator), int(denominator)))


def _of_decimal(x: Any) -> float | Exact:
    sign, figures, exponent = x.as_tuple()
    if exponent == "F":
        return -math.inf if sign else math.inf
    if exponent in ("n", "N"):
        return _nan(bool(sign), exponent == "N")
    significand = int(type(x)((0, figures, 0)))
    if not significand:
        return -0.0 if sign else 0.0
    return _of_literal(Literal(columns.NUMBER, bool(sign), significand, 10, exponent))


def _of_mpf(x: Any) -> float | Exact:
    """An mpmath number: sign, significand and exponent; there is no -0."""
    sign, significand, exponent, _ = x._mpf_
    if not significand:
        return 0.0 if not exponent else float(x)
    return _of_literal(Literal(columns.NUMBER, bool(sign), int(significand), 2, int(exponent)))


def _of_mpfr(x: Any) -> float | Exact:
    if x.is_nan():
        return _nan(bool(x.is_signed()), False)
    if x.is_infinite():
        return -math.inf if x < 0 else math.inf
    if x.is_zero():
        return -0.0 if x.is_signed() else 0.0
    significand, exponent = map(int, x.as_mantissa_exp())
    return _of_literal(Literal(columns.NUMBER, significand < 0, abs(significand), 2, exponent))


def _nan(negative: bool, signalling: bool) -> float:
    word = (0x7FF4 if signalling else 0x7FF8) << 48 | negative << 63
    nan: float = struct.unpack("<d", struct.pack("<Q", word))[0]
    return nan

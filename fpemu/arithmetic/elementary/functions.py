"""Elementary functions, correctly rounded to any format, with IEEE 754's flags; fast for operands of few bits."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from fpemu.arithmetic.comparison import equal
from fpemu.arithmetic.elementary import powers
from fpemu.arithmetic.elementary.tables import MAX_TABLE_BITS, compute_by_tables
from fpemu.arithmetic.flags import errstate
from fpemu.arithmetic.operation import operate
from fpemu.arithmetic.options import Options, documented
from fpemu.casting import Coded, as_numbers, carries_codes, encode

__all__ = ["cos", "erf", "exp", "exp2", "log", "log2", "pow", "reciprocal", "rsqrt", "sigmoid", "sin", "tanh"]


@documented
def exp(x: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """The exponential of x, rounded once from the exact value.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clause 9.2: exp(0) is 1, exp(-infinity) is +0.  In this and the other elementary functions
    operands of at most 16 bits are looked up; a distinct operand of more bits takes some 0.02 ms, and a call may have
    at most 262,144 of them.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.exp(fe.array([0.0, 1.0, -2.5], "bfloat16"))
    Array([1.        , 2.71875   , 0.08203125], format='bfloat16')
    >>> fe.exp(fe.array([4.0, 8.0], "float8_e4m3fn"), result="float32")
    Array([  54.59815, 2980.958  ], format='float32')
    >>> from fractions import Fraction
    >>> fe.exp([Fraction(1, 3), 0.5, "1e-400"], result="bfloat16", rounding="away_from_zero")
    array([1.3984375, 1.65625  , 1.0078125], dtype=float32)
    """
    return operate("exp", (x,), options, compute_by_tables)


@documented
def exp2(x: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """2 to the power of x, rounded once from the exact value.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clause 9.2: exp2(0) is 1, exp2(-infinity) is +0.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.exp2(fe.array([3.0, 0.5, -20.0], "float16"))
    Array([8.0000000e+00, 1.4140625e+00, 9.5367432e-07], format='float16')
    """
    return operate("exp2", (x,), options, compute_by_tables)


@documented
def log(x: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """The natural logarithm of x, rounded once from the exact value.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clause 9.2: log(1) is +0, log(0) is -infinity with divide by zero; negative numbers are invalid.

    Examples
    --------
    >>> import fpemu as fe
    >>> logarithm, flags = fe.log(fe.array([10.0, 1.0, 0.0], "bfloat16"), return_flags=True)
    >>> logarithm
    Array([2.296875, 0.      ,     -inf], format='bfloat16')
    >>> flags
    Flags(inexact: 1, divide_by_zero: 1 of 3)
    """
    return operate("log", (x,), options, compute_by_tables)


@documented
def log2(x: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """The logarithm of x to the base 2, rounded once from the exact value.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clause 9.2, as `log`; exact for powers of 2.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.log2(fe.array([8.0, 10.0], "float16"))
    Array([3.        , 3.3222656], format='float16')
    """
    return operate("log2", (x,), options, compute_by_tables)


@documented
def sin(x: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """The sine of x radians, rounded once from the exact value.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clause 9.2: sin(-0) is -0; infinities are invalid.  Operands up to 2^65536 are reduced with as many
    digits of pi as they need.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.sin(fe.array([0.5, 3.140625, 2.0**120], "bfloat16"))
    Array([0.47851562, 0.00096893, 0.37695312], format='bfloat16')
    """
    return operate("sin", (x,), options, compute_by_tables)


@documented
def cos(x: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """The cosine of x radians, rounded once from the exact value.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clause 9.2: cos(0) is 1; infinities are invalid.  Operands are reduced as in `sin`.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.cos(fe.array([1.0, 2.0**-8], "float16"), rounding="toward_zero")
    Array([0.54003906, 0.9995117 ], format='float16')
    """
    return operate("cos", (x,), options, compute_by_tables)


@documented
def tanh(x: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """The hyperbolic tangent of x, rounded once from the exact value.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clause 9.2: zeros keep their sign, infinities give 1 with their sign; the value at a finite number is
    below 1 in magnitude, though it may be rounded to 1.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.tanh(fe.array([0.5, -4.0], "float8_e4m3fn"), result="bfloat16")
    Array([ 0.46289062, -1.        ], format='bfloat16')
    """
    return operate("tanh", (x,), options, compute_by_tables)


@documented
def sigmoid(x: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """The logistic function 1 / (1 + exp(-x)) of x, rounded once from the exact value.

    {parameters}

    Notes
    -----
    IEEE 754 does not define it; in the manner of its clause 9.2, sigmoid(0) is 1/2, sigmoid(-infinity) is +0 and
    sigmoid(infinity) is 1.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.sigmoid(fe.array([0.0, 2.0, -10.0], "float16"))
    Array([5.000000e-01, 8.808594e-01, 4.541874e-05], format='float16')
    """
    return operate("sigmoid", (x,), options, compute_by_tables)


@documented
def erf(x: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """The error function of x, rounded once from the exact value.

    {parameters}

    Notes
    -----
    erf(x) = 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x (C23 clause 7.12.8.1); zeros keep their sign,
    infinities give 1 with their sign.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.erf(fe.array([0.5, 1.0], "bfloat16"))
    Array([0.51953125, 0.84375   ], format='bfloat16')
    """
    return operate("erf", (x,), options, compute_by_tables)


@documented
def rsqrt(x: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """1 / sqrt(x), rounded once from the exact value.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clause 9.2, rSqrt: zeros give an infinity with their sign and divide by zero; negative numbers are
    invalid.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.rsqrt(fe.array([4.0, 3.0, -0.0], "bfloat16"))
    Array([0.5     , 0.578125,     -inf], format='bfloat16')
    """
    return operate("rsqrt", (x,), options, compute_by_tables)


@documented
def reciprocal(x: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """1 / x, rounded once from the exact value, as `divide` but looked up.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clause 5.4.1: zeros give an infinity with their sign and divide by zero; infinities give zeros.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.reciprocal(fe.array([3.0, -8.0], "float8_e5m2"))
    Array([ 0.3125, -0.125 ], format='float8_e5m2')
    """
    return operate("reciprocal", (x,), options, compute_by_tables)


@documented
def pow(x: ArrayLike | Coded, y: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """The power x^y, rounded once from the exact value.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clause 9.2.1, pow: x^0 and 1^y are 1 even for quiet NaNs; a negative number to a power that is not an
    integer is invalid; zero to a negative power raises divide by zero; -0 and -infinity to the power 0.5 are +0 and
    +infinity.  Plain numbers of more than 8 bits are narrowed if the other operand's format or int8 holds them.  A
    distinct pair of operands of more than 8 bits takes some 0.05 ms, except squares and square roots; a call may have
    at most 262,144 such pairs unless all exponents are integers from -8 to 8 or 0.5.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.pow(fe.array([2.0, 1.5, -3.0], "float8_e4m3fn"), fe.array([0.5, -2.0, 3.0], "float8_e4m3fn"))
    Array([  1.375 ,   0.4375, -28.    ], format='float8_e4m3fn')
    >>> fe.array([1.1, -3.0], "float32") ** 3
    Array([  1.3310001, -27.       ], format='float32')
    """
    return operate("pow", (_narrow(x, y), _narrow(y, x)), options, powers.compute_powers)


def _narrow(x: Any, other: Any) -> Any:
    """Plain numbers of many bits as codes of few bits that hold all of them, so that a ** 2 is fast."""
    if carries_codes(x):
        return x
    source = as_numbers(x)
    if source.rest is not None or source.format.bits <= MAX_TABLE_BITS[2]:
        return x
    if carries_codes(other) and other.format.bits <= MAX_TABLE_BITS[2]:
        nearest = other.profile.replace(rounding="nearest_even")  # exact, or discarded below
        same = other.__class__(encode(x, other.format, profile=nearest), other.format, other.profile)
        if _all_equal(same, x):
            return same
    integers = np.asarray(encode(x, "int8")).view(np.int8)
    return integers if _all_equal(integers, x) else x


def _all_equal(x: Any, y: Any) -> bool:
    """Whether all values are equal; raises no flag that `errstate` reports."""
    with errstate(all="ignore"):
        return bool(np.all(equal(x, y)))

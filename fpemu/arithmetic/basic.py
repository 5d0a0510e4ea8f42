"""Arithmetic, remainders and signs: each exact result rounded once to any format, with IEEE 754's flags."""

from __future__ import annotations

from typing import Any, Unpack

from numpy.typing import ArrayLike

from fpemu.arithmetic.operation import operate, with_own_format
from fpemu.arithmetic.options import Options, documented
from fpemu.casting import Coded

__all__ = [
    "absolute",
    "add",
    "copysign",
    "divide",
    "fma",
    "fmod",
    "ieee_remainder",
    "multiply",
    "negative",
    "sqrt",
    "subtract",
]


@documented
def add(x: ArrayLike | Coded, y: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """Add: x + y, rounded once from the exact sum.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clauses 5.4.1, 6.1 to 6.3 and 7.  A sum that is exactly zero is +0, or -0 when rounding toward
    negative, unless both operands have the same sign.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.add(1.0, [2**-4, 2**-3], result="float8_e4m3fn")
    array([1.   , 1.125], dtype=float32)
    >>> a = fe.array([224.0, 448.0], "float8_e4m3fn")
    >>> fe.add(a, a)
    Array([448.,  nan], format='float8_e4m3fn')
    """
    return operate("add", (x, y), options)


@documented
def subtract(x: ArrayLike | Coded, y: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """Subtract: x - y, rounded once from the exact difference.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clauses 5.4.1, 6.1 to 6.3 and 7.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.subtract(1.0, 2**-12, result="float16", rounding="toward_zero")
    np.float32(0.9995117)
    """
    return operate("subtract", (x, y), options)


@documented
def multiply(x: ArrayLike | Coded, y: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """Multiply: x y, rounded once from the exact product.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clauses 5.4.1, 6.1 to 6.3 and 7.

    Examples
    --------
    >>> import fpemu as fe
    >>> a, b = fe.array([1.5, 448.0], "float8_e4m3fn"), fe.array([1.25, 57344.0], "float8_e5m2")
    >>> fe.multiply(a, b, result="float16")
    Array([1.875,   inf], format='float16')
    """
    return operate("multiply", (x, y), options)


@documented
def divide(x: ArrayLike | Coded, y: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """Divide: x / y, rounded once from the exact quotient.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clauses 5.4.1, 6.1 to 6.3 and 7.  The quotient of a number by zero is an infinity, as the
    profile's rules have it in the result's format.

    Examples
    --------
    >>> import fpemu as fe
    >>> quotient, flags = fe.divide(1.0, [3.0, 0.0], result="float16", return_flags=True)
    >>> quotient
    array([0.33325195,        inf], dtype=float32)
    >>> flags.divide_by_zero
    array([False,  True])
    """
    return operate("divide", (x, y), options)


@documented
def fma(x: ArrayLike | Coded, y: ArrayLike | Coded, z: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """Fused multiply-add: x y + z, rounded once from the exact result.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clauses 5.4.1, 6.1 to 6.3 and 7.  fma(infinity, 0, quiet NaN), which clause 7.2 leaves open, raises
    invalid, as Berkeley SoftFloat does.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.fma(1.0625, 1.0625, -1.125, result="bfloat16")
    np.float32(0.00390625)
    """
    return operate("fma", (x, y, z), options)


@documented
def sqrt(x: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """The square root of x, rounded once from the exact root.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clauses 5.4.1, 6.3 and 7.2: the root of -0 is -0; other negative numbers are invalid.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.sqrt([2.0, -1.0], result="bfloat16")
    array([1.4140625,       nan], dtype=float32)
    """
    return operate("sqrt", (x,), options)


@documented
def absolute(x: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """The absolute value: x without its sign.

    {parameters of x}

    Notes
    -----
    IEEE 754-2019 clause 5.5.1: in x's own format, if that has a sign bit, the bit is cleared, even of NaN; nothing
    else changes and no flag is raised.  In two's complement, and in another format, it is a conversion of the exact
    value, which overflows for the lowest integer.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.absolute(fe.array([-1.5, -0.0], "float16"))
    Array([1.5, 0. ], format='float16')
    >>> fe.absolute(fe.array(-128, "int8"))
    Array(127, format='int8')
    """
    return operate("absolute", (x,), with_own_format(x, options))


@documented
def negative(x: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """The negative: x with the other sign.

    {parameters of x}

    Notes
    -----
    IEEE 754-2019 clause 5.5.1: in x's own format, if that has a sign bit, the bit is flipped, even of NaN; nothing
    else changes and no flag is raised.  The only zero and the only NaN of fnuz formats stay unchanged.  In two's
    complement and in unsigned formats, and in another format, it is a conversion of the exact value.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.negative(fe.array([-1.5, 0.0], "float16"))
    Array([ 1.5, -0. ], format='float16')
    >>> fe.negative(fe.array([-1.5, 0.0], "float8_e4m3fnuz"))
    Array([1.5, 0. ], format='float8_e4m3fnuz')
    """
    return operate("negative", (x,), with_own_format(x, options))


@documented
def copysign(x: ArrayLike | Coded, y: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """Copy a sign: x with the sign of y.

    {parameters of x}

    Notes
    -----
    IEEE 754-2019 clause 5.5.1: in x's own format, if that has a sign bit, the bit is set or cleared, even of NaN;
    nothing else changes and no flag is raised.  Else it is a conversion of the exact value.  y may be of any format;
    zeros and NaN have signs if their format has them.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.copysign(fe.array([1.5, -2.0], "float16"), [-0.0, 3.0])
    Array([-1.5,  2. ], format='float16')
    """
    return operate("copysign", (x, y), with_own_format(x, options))


@documented
def fmod(x: ArrayLike | Coded, y: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """The remainder of a truncated division: x - n y, where n is x / y rounded toward zero.

    {parameters}

    See Also
    --------
    ieee_remainder : with the nearest integer n.

    Notes
    -----
    C's fmod and `numpy.fmod`.  The result has x's sign, even if it is zero, and is exact if it has x's
    and y's format.  An infinite x and a y of 0 are invalid (IEEE 754-2019 clause 7.2).

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.fmod([7.5, -7.5, 4.0], 2.0, result="float16")
    array([ 1.5, -1.5,  0. ], dtype=float32)
    """
    return operate("fmod", (x, y), options)


@documented
def ieee_remainder(x: ArrayLike | Coded, y: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """The remainder x - n y, where n is the integer nearest to x / y, ties to even.

    {parameters}

    See Also
    --------
    fmod : with x / y rounded toward zero.

    Notes
    -----
    IEEE 754-2019 clauses 5.3.1 and 7.2, `math.remainder`.  The result is at most half of y in magnitude, a zero
    has x's sign, and it is exact if it has x's and y's format.  An infinite x and a y of 0 are invalid.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.ieee_remainder([7.5, 5.0, 7.0], 2.0, result="float16")
    array([-0.5,  1. , -1. ], dtype=float32)
    """
    return operate("ieee_remainder", (x, y), options)

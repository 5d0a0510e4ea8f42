"""Arithmetic: each result rounded once, from the exact one, to any format, with IEEE 754's flags."""

from __future__ import annotations

from typing import Any, Unpack

from numpy.typing import ArrayLike

from fpemu.arithmetic.operation import Options, documented, operate
from fpemu.casting.inputs import Coded

__all__ = ["add", "divide", "fma", "multiply", "sqrt", "subtract"]


@documented
def add(x: ArrayLike | Coded, y: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """Add: x + y, rounded once from the exact sum.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clauses 5.4.1, 6.1 to 6.3 and 7.  A sum that is exactly zero is +0, toward negative -0, unless both
    operands have the same sign.

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
    IEEE 754-2019 clauses 5.4.1, 6.1 to 6.3 and 7.  A number divided by zero is what the profile makes of an infinity.

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
    IEEE 754-2019 clauses 5.4.1, 6.3 and 7.2: of -0 it is -0, of other negative numbers invalid.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.sqrt([2.0, -1.0], result="bfloat16")
    array([1.4140625,       nan], dtype=float32)
    """
    return operate("sqrt", (x,), options)

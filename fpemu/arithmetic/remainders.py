"""Remainders: exact, then rounded once to any format."""

from __future__ import annotations

from typing import Any, Unpack

from numpy.typing import ArrayLike

from fpemu.arithmetic.operation import Options, documented, operate
from fpemu.casting.inputs import Coded

__all__ = ["fmod", "ieee_remainder"]


@documented
def fmod(x: ArrayLike | Coded, y: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """The remainder of a truncated division: x - n y, where n is x / y rounded toward zero.

    {parameters}

    See Also
    --------
    ieee_remainder : n is the nearest integer.

    Notes
    -----
    C's fmod and `numpy.fmod`.  It has x's sign, a zero too; exact where the result has x's and y's format.  Of an
    infinite x, or where y is 0, invalid (IEEE 754-2019 clause 7.2).

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.fmod([7.5, -7.5, 4.0], 2.0, result="float16")
    array([ 1.5, -1.5,  0. ], dtype=float32)
    """
    return operate("fmod", (x, y), options)


@documented
def ieee_remainder(x: ArrayLike | Coded, y: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """The remainder x - n y, where n is the integer nearest to x / y, a tie to even.

    {parameters}

    See Also
    --------
    fmod : n is x / y rounded toward zero.

    Notes
    -----
    IEEE 754-2019 clauses 5.3.1 and 7.2, `math.remainder`.  At most half of y in magnitude; a zero has x's sign; exact
    where the result has x's and y's format.  Of an infinite x, or where y is 0, invalid.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.ieee_remainder([7.5, 5.0, 7.0], 2.0, result="float16")
    array([-0.5,  1. , -1. ], dtype=float32)
    """
    return operate("ieee_remainder", (x, y), options)

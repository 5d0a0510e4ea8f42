"""Operations on signs: absolute, negative, copysign."""

from __future__ import annotations

from typing import Any, Unpack

from numpy.typing import ArrayLike

from fpemu.arithmetic.operation import Options, documented, operate, with_own_format
from fpemu.casting.inputs import Coded

__all__ = ["absolute", "copysign", "negative"]


@documented
def absolute(x: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """The absolute value: x without its sign.

    {parameters of x}

    Notes
    -----
    IEEE 754-2019 clause 5.5.1: in x's own format, if that has a sign bit, the bit is cleared, of NaN too, nothing else
    changes and nothing is raised.  In two's complement, and in another format, it is a conversion of the exact value:
    of the lowest integer it overflows.

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
    IEEE 754-2019 clause 5.5.1: in x's own format, if that has a sign bit, the bit is flipped, of NaN too, nothing else
    changes and nothing is raised; the one zero and the one NaN of fnuz formats stay what they are.  In two's
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
    IEEE 754-2019 clause 5.5.1: in x's own format, if that has a sign bit, the bit is set or cleared, of NaN too,
    nothing else changes and nothing is raised.  Else it is a conversion of the exact value.  y may be of any format;
    zeros and NaN have signs where their formats have them.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.copysign(fe.array([1.5, -2.0], "float16"), [-0.0, 3.0])
    Array([-1.5,  2. ], format='float16')
    """
    return operate("copysign", (x, y), with_own_format(x, options))

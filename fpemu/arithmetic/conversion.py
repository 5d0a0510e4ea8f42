"""Conversions, rounding to integers, and scaling by powers of two."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpemu.arithmetic.operation import operate, with_own_format
from fpemu.arithmetic.options import Options, checked_bool, documented
from fpemu.arithmetic.task import Variant
from fpemu.casting import Coded, Source, as_numbers, decode, encode
from fpemu.casting.stochastic import streamed
from fpemu.formats import FLOAT64, FloatFormat, IntFormat, Profile
from fpemu.formats.facts.literals import Literal
from fpemu.formats.facts.reals import exact_text
from fpemu.formats.rules import Through

__all__ = ["convert", "left_shift", "logb", "right_shift", "round_literal", "round_to_integral", "scaleb"]

_MOST_POWERS = 1 << 32  # of two: more than any format or literal has


@documented
def convert(x: ArrayLike | Coded, fmt: Any, *, exact: bool = True, **options: Unpack[Options]) -> Any:
    """Convert x to another format as an operation: with flags and quiet NaN.

    {parameters}

    See Also
    --------
    cast, encode : the same numbers without flags, and NaN by the rules of casts.

    Notes
    -----
    IEEE 754-2019 clauses 5.4.1, 5.4.2 and 5.8.  From a float to an integer format, NaN, infinities and numbers out of
    range raise only invalid; the profile's `float_to_int_invalid` decides their results.  ``exact=False`` does not
    raise inexact: convertToInteger without Exact in its name.

    Examples
    --------
    >>> import fpemu as fe
    >>> numbers, flags = fe.convert([2.5, 300.0, -1.0], "int8", rounding="toward_zero", return_flags=True)
    >>> numbers
    array([  2, 127,  -1], dtype=int8)
    >>> flags
    Flags(inexact: 1, invalid: 1 of 3)
    """
    if "result" in options:
        raise TypeError("convert() got an unexpected keyword argument 'result'; the format is fmt")
    return operate(
        "convert", (x,), Options(**{**options, "result": fmt}), variant=Variant(exact=checked_bool("exact", exact))
    )


def round_literal(
    literal: Literal, fmt: FloatFormat | IntFormat, rules: Profile, seed: int | None = None, index: int = 0
) -> tuple[int, int | None]:
    """Code and flags of a literal, cast as a real number, to integers too; NaN keeps its sign.

    Parameters
    ----------
    literal : Literal
    fmt : FloatFormat or IntFormat
    rules : Profile
    seed, index : int
        For stochastic rounding: the seed, and the index in its stream.

    Returns
    -------
    tuple of int
        The flags are None under profiles that round twice.

    Raises
    ------
    ValueError
        If the rules refuse the number.

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.arithmetic.conversion import round_literal
    >>> from fpemu.formats.facts.literals import read
    >>> round_literal(read("0.1"), fe.dtype("float8_e4m3fn"), fe.profile("ieee"))
    (29, 1)
    """
    rules = fmt.check_profile(rules.for_codes(fmt.codes_key, FLOAT64.codes_key))
    x: Any = literal
    random = streamed(rules.rounding, seed, index)
    code = int(encode(x, fmt, profile=rules, **random))
    if rules.through is Through.FLOAT32:
        return code, None
    out = np.empty((), fmt.code_dtype)  # float64 may not hold the value
    _, flags = convert(x, fmt, profile=rules, out=out, return_flags=True, **random)
    return code, int(flags.bits)


@documented
def round_to_integral(x: ArrayLike | Coded, *, exact: bool = False, **options: Unpack[Options]) -> Any:
    """Round x to an integer, in its own format or another.

    {parameters of x}

    Notes
    -----
    IEEE 754-2019 clause 5.9: roundToIntegral, with ``exact=True`` roundToIntegralExact.  Every
    rounding mode applies, with even and odd integers.  A zero has x's sign.  A result format without the integer rounds
    it again in the same mode.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.round_to_integral([2.5, -0.25, 1e300])
    array([ 2.e+000, -0.e+000,  1.e+300])
    >>> fe.round_to_integral(fe.array([2.5, 1.25], "float16"), rounding="toward_positive")
    Array([3., 2.], format='float16')
    """
    return operate(
        "round_to_integral", (x,), with_own_format(x, options), variant=Variant(exact=checked_bool("exact", exact))
    )


@documented
def scaleb(x: ArrayLike | Coded, n: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """Scale: x 2^n, rounded once.

    {parameters of x}

    Notes
    -----
    IEEE 754-2019 clause 5.3.3.  A result that is subnormal or overflows is rounded as in every operation.
    numpy's name is `numpy.ldexp`.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.scaleb(fe.array([1.5, 1.5, 1.5], "float16"), [3, -24, 20])
    Array([1.2000000e+01, 1.1920929e-07,           inf], format='float16')
    """
    return operate("scaleb", (x, _exponent_operand("scaleb", n)), with_own_format(x, options))


@documented
def logb(x: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """The exponent of x: the integer e with 2^e <= abs(x) < 2^(e+1), for subnormals too.

    {parameters of x}

    Notes
    -----
    IEEE 754-2019 clause 5.3.3.  The result for 0 is -infinity with divide by zero, for infinities +infinity; in an
    integer format both raise invalid, as NaN does.  The exponent of `numpy.frexp` is one larger.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.logb([6.0, 0.0, 1e-320])
    array([    2.,   -inf, -1064.])
    >>> fe.logb(0.3, result="int16")
    np.int16(-2)
    """
    return operate("logb", (x,), with_own_format(x, options))


@documented
def left_shift(x: ArrayLike | Coded, n: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """Shift integers or fixed point left: x 2^n.

    {parameters of x}

    Notes
    -----
    Numbers out of range overflow by the profile's rule: they saturate, or with ``overflow="wrap"`` lose the upper
    bits, as in `numpy.left_shift`.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.left_shift(fe.array([3, -3, 100], "int8"), 2)
    Array([ 12, -12, 127], format='int8')
    >>> fe.left_shift(fe.array([3, -3, 100], "int8"), 2, overflow="wrap")
    Array([ 12, -12, -112], format='int8')
    """
    return operate(
        "scaleb", (_fixed_point("left_shift", x), _shift_counts("left_shift", n)), with_own_format(x, options)
    )


@documented
def right_shift(x: ArrayLike | Coded, n: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """Shift integers or fixed point right: x 2^-n, rounded.

    {parameters of x}

    Notes
    -----
    Rounding is toward negative by default: an arithmetic shift, as in `numpy.right_shift`.  With `rounding` it is a
    DSP's rounding shift.  Lost bits raise inexact.

    Examples
    --------
    >>> import fpemu as fe
    >>> a = fe.array([5, -5, 6], "int8")
    >>> fe.right_shift(a, 2)
    Array([ 1, -2,  1], format='int8')
    >>> fe.right_shift(a, 2, rounding="nearest_even")
    Array([ 1, -1,  2], format='int8')
    """
    own = with_own_format(x, options)
    if own.get("rounding") is None:
        own["rounding"] = "toward_negative"
    return operate("scaleb", (_fixed_point("right_shift", x), -_shift_counts("right_shift", n)), own)


def _exponent_operand(name: str, n: Any) -> Any:
    """`n` itself if its format holds it, else int64 clamped beyond all formats' exponents."""
    source = _integer_source(name, n)
    return n if source.rest is None else _clamped(source)


def _integer_source(name: str, n: Any) -> Source:
    source = as_numbers(n)
    if not isinstance(source.format, IntFormat) or source.format.fraction_bits:
        raise TypeError(f"{name}: n must be integers, not of {source.format.name}")
    return source


def _clamped(source: Source) -> NDArray[np.int64]:
    """Integers as int64, clamped to 2^32 in magnitude, which is more powers of two than any format has."""
    integers = np.asarray(decode(source.codes, source.format))
    wide = integers if integers.dtype.itemsize == 8 else integers.astype(np.int64)  # a narrow dtype has no 2^32
    clamped = np.minimum(wide, wide.dtype.type(_MOST_POWERS)).astype(np.int64)
    clamped = np.array(np.maximum(clamped, -_MOST_POWERS))
    if source.rest is not None:
        clamped.reshape(-1)[source.rest.indices] *= _MOST_POWERS
    return clamped


def _shift_counts(name: str, n: Any) -> NDArray[np.int64]:
    """Shift distances as int64."""
    source = _integer_source(name, n)
    counts = _clamped(source)
    if counts.size and counts.min() < 0:
        index = int(counts.argmin())
        negative = np.asarray(decode(source.codes, source.format)).reshape(-1)[index].item()
        if source.rest is not None and index in source.rest.indices:
            negative = source.rest.numbers[source.rest.indices.tolist().index(index)]
        raise ValueError(f"{name}: n must not be negative, but is {exact_text(negative)}: shift the other way")
    return counts


def _fixed_point(name: str, x: Any) -> Any:
    """`x`; raises TypeError unless it is of an integer or fixed-point format."""
    fmt = as_numbers(x).format
    if not isinstance(fmt, IntFormat):
        raise TypeError(f"{name}: x must be of an integer or fixed-point format, not of {fmt.name}: use scaleb")
    return x

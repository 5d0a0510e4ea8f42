"""Conversions, rounding to integers, and scaling by powers of two."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpemu.arithmetic.operation import operate, with_own_format
from fpemu.arithmetic.options import Options, checked_bool, documented
from fpemu.casting import Coded, Source, as_numbers, decode, encode
from fpemu.casting.stochastic import streamed
from fpemu.formats import FLOAT64, FloatFormat, Format, IntFormat, Profile
from fpemu.formats.facts.literals import Literal
from fpemu.formats.facts.reals import exact_text
from fpemu.formats.rules import Through

__all__ = ["convert", "left_shift", "logb", "right_shift", "round_literal", "round_to_integral", "scaleb"]

_FARTHEST = 1 << 32  # neither a format nor a number that is written out reaches so many powers of two


@documented
def convert(x: ArrayLike | Coded, fmt: Any, *, exact: bool = True, **options: Unpack[Options]) -> Any:
    """Convert x to another format, as an operation: with flags, and quiet NaN.

    {parameters}

    See Also
    --------
    cast, encode : the same numbers without flags; NaN by the casts' rules.

    Notes
    -----
    IEEE 754-2019 clauses 5.4.1, 5.4.2 and 5.8.  From a float to an integer format NaN, infinities and what is out of
    range raise invalid and nothing else; what they become the profile's `float_to_int_invalid` says.  ``exact=False``
    leaves out inexact: convertToInteger without Exact in its name.

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
    return operate("convert", (x,), Options(**{**options, "result": fmt}), exact=checked_bool("exact", exact))


def round_literal(
    literal: Literal, fmt: FloatFormat | IntFormat, rules: Profile, seed: int | None = None, place: int = 0
) -> tuple[int, int | None]:
    """Code and flags of a number that is written out, cast as a real number: to integers too; NaN keeps its sign.

    Parameters
    ----------
    literal : Literal
    fmt : FloatFormat or IntFormat
    rules : Profile
    seed, place : int
        For stochastic rounding: the seed, and the index in its stream.

    Returns
    -------
    tuple of int
        The flags are None for profiles that round twice, which have none.

    Raises
    ------
    ValueError
        If the rules forbid the number.

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.arithmetic.conversion import round_literal
    >>> from fpemu.formats.facts.literals import read
    >>> round_literal(read("0.1"), fe.dtype("float8_e4m3fn"), fe.profile("ieee"))
    (29, 1)
    """
    rules = fmt.check_profile(rules.for_codes(fmt.codes_key, FLOAT64.codes_key))
    given: Any = literal
    random = streamed(rules.rounding, seed, place)
    code = int(encode(given, fmt, profile=rules, **random))
    if rules.through is Through.FLOAT32:
        return code, None
    out = np.empty((), fmt.code_dtype)  # a value may be beyond float64
    _, flags = convert(given, fmt, profile=rules, out=out, return_flags=True, **random)
    return code, int(flags.bits)


@documented
def round_to_integral(x: ArrayLike | Coded, *, exact: bool = False, **options: Unpack[Options]) -> Any:
    """Round x to an integer, in its own format or another.

    {parameters of x}

    Notes
    -----
    IEEE 754-2019 clause 5.9: roundToIntegral, with ``exact=True`` roundToIntegralExact.  All rounding modes; ties to
    even, and to odd, mean the integer.  A zero has x's sign.  A result format that lacks the integer rounds it again,
    by the same mode.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.round_to_integral([2.5, -0.25, 1e300])
    array([ 2.e+000, -0.e+000,  1.e+300])
    >>> fe.round_to_integral(fe.array([2.5, 1.25], "float16"), rounding="toward_positive")
    Array([3., 2.], format='float16')
    """
    return operate("round_to_integral", (x,), with_own_format(x, options), exact=checked_bool("exact", exact))


@documented
def scaleb(x: ArrayLike | Coded, n: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """Scale: x 2^n, rounded once.

    {parameters of x}

    Notes
    -----
    IEEE 754-2019 clause 5.3.3.  Where the result is subnormal or overflows it is rounded as every result is;
    `numpy.ldexp`.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.scaleb(fe.array([1.5, 1.5, 1.5], "float16"), [3, -24, 20])
    Array([1.2000000e+01, 1.1920929e-07,           inf], format='float16')
    """
    return operate("scaleb", (x, _integers("scaleb", n)), with_own_format(x, options))


@documented
def logb(x: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """The exponent of x: the integer e with 2^e <= abs(x) < 2^(e+1), for subnormals too.

    {parameters of x}

    Notes
    -----
    IEEE 754-2019 clause 5.3.3.  Of 0 it is -infinity and raises divide by zero, of infinities +infinity; in an integer
    format both raise invalid, as NaN does.  `numpy.frexp` counts one more.

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
    What does not fit overflows as the profile says: it saturates, or with ``overflow="wrap"`` the upper bits are lost,
    as by `numpy.left_shift`.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.left_shift(fe.array([3, -3, 100], "int8"), 2)
    Array([ 12, -12, 127], format='int8')
    >>> fe.left_shift(fe.array([3, -3, 100], "int8"), 2, overflow="wrap")
    Array([ 12, -12, -112], format='int8')
    """
    return operate("scaleb", (_shifted("left_shift", x), _counts("left_shift", n)), with_own_format(x, options))


@documented
def right_shift(x: ArrayLike | Coded, n: ArrayLike | Coded, **options: Unpack[Options]) -> Any:
    """Shift integers or fixed point right: x 2^-n, rounded.

    {parameters of x}

    Notes
    -----
    Without `rounding` toward negative, which is an arithmetic shift and what `numpy.right_shift` does; with it what
    DSPs call a rounding shift.  Bits that are lost raise inexact.

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
    return operate("scaleb", (_shifted("right_shift", x), -_counts("right_shift", n)), own)


def _is_integer(fmt: Format) -> bool:
    return isinstance(fmt, IntFormat) and fmt.fraction_bits == 0


def _integers(name: str, n: Any) -> Any:
    """Integers as they are; as int64 where some are so large that no format has so many powers of two."""
    given = _whole(name, n)
    return n if given.rest is None else _within(given)


def _whole(name: str, n: Any) -> Source:
    given = as_numbers(n)
    if not _is_integer(given.format):
        raise TypeError(f"{name}: n must be integers, not of {given.format.name}")
    return given


def _within(given: Source) -> NDArray[np.int64]:
    """Integers as int64, those beyond 2^32 as 2^32 with their sign: nothing reaches so many powers of two."""
    found = np.asarray(decode(given.codes, given.format))
    wide = found if found.dtype.itemsize == 8 else found.astype(np.int64)  # a narrow dtype has no 2^32
    near = np.minimum(wide, wide.dtype.type(_FARTHEST)).astype(np.int64)
    near = np.array(np.maximum(near, -_FARTHEST))
    if given.rest is not None:
        near.reshape(-1)[given.rest.places] *= _FARTHEST
    return near


def _counts(name: str, n: Any) -> NDArray[np.int64]:
    """How far to shift, as int64."""
    given = _whole(name, n)
    counts = _within(given)
    if counts.size and counts.min() < 0:
        place = int(counts.argmin())
        wrong = np.asarray(decode(given.codes, given.format)).reshape(-1)[place].item()
        if given.rest is not None and place in given.rest.places:
            wrong = given.rest.numbers[given.rest.places.tolist().index(place)]
        raise ValueError(f"{name}: n must not be negative, but is {exact_text(wrong)}: shift the other way")
    return counts


def _shifted(name: str, x: Any) -> Any:
    found = as_numbers(x).format
    if not isinstance(found, IntFormat):
        raise TypeError(f"{name}: x must be of an integer or fixed-point format, not of {found.name}: use scaleb")
    return x

"""Tests of a number's class: is it NaN, infinite, zero, normal."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpemu.casting import Coded, Source, as_numbers, as_source, carries_codes
from fpemu.formats import FloatFormat, IntFormat, TableFormat, dtype
from fpemu.formats.facts.codes import NumberClass, classes_of

__all__ = [
    "classify",
    "is_canonical",
    "is_finite",
    "is_infinite",
    "is_nan",
    "is_normal",
    "is_sign_minus",
    "is_signaling",
    "is_subnormal",
    "is_zero",
]

_NANS = NumberClass.SIGNALING_NAN, NumberClass.QUIET_NAN
_INFINITE = NumberClass.NEGATIVE_INFINITY, NumberClass.POSITIVE_INFINITY


def is_nan(x: ArrayLike | Coded) -> Any:
    """Whether x is NaN.

    Parameters
    ----------
    x : array_like or Array
        Numbers, or codes with a format.

    Returns
    -------
    numpy.ndarray of bool or numpy.bool

    Raises
    ------
    TypeError
        If `x` holds no real numbers.

    Notes
    -----
    IEEE 754-2019 clause 5.7.2, isNaN; raises no flag.

    Examples
    --------
    >>> import fpemu as fe
    >>> codes = fe.Array([0x00, 0x01, 0x80, 0x3C, 0x7C, 0x7D, 0xFE], "float8_e5m2")
    >>> fe.is_nan(codes)
    array([False, False, False, False, False,  True,  True])
    """
    return _among(x, _NANS)


def is_infinite(x: ArrayLike | Coded) -> Any:
    """Whether x is infinite.

    Parameters
    ----------
    x : array_like or Array
        Numbers, or codes with a format.

    Returns
    -------
    numpy.ndarray of bool or numpy.bool

    Raises
    ------
    TypeError
        If `x` holds no real numbers.

    Notes
    -----
    IEEE 754-2019 clause 5.7.2, isInfinite; raises no flag.

    Examples
    --------
    >>> import fpemu as fe
    >>> codes = fe.Array([0x00, 0x01, 0x80, 0x3C, 0x7C, 0x7D, 0xFE], "float8_e5m2")
    >>> fe.is_infinite(codes)
    array([False, False, False, False,  True, False, False])
    """
    return _among(x, _INFINITE)


def is_finite(x: ArrayLike | Coded) -> Any:
    """Whether x is finite: zero, subnormal or normal.

    Parameters
    ----------
    x : array_like or Array
        Numbers, or codes with a format.

    Returns
    -------
    numpy.ndarray of bool or numpy.bool

    Raises
    ------
    TypeError
        If `x` holds no real numbers.

    Notes
    -----
    IEEE 754-2019 clause 5.7.2, isFinite; raises no flag.

    Examples
    --------
    >>> import fpemu as fe
    >>> codes = fe.Array([0x00, 0x01, 0x80, 0x3C, 0x7C, 0x7D, 0xFE], "float8_e5m2")
    >>> fe.is_finite(codes)
    array([ True,  True,  True,  True, False, False, False])
    """
    return _among(x, (*_NANS, *_INFINITE), False)


def is_zero(x: ArrayLike | Coded) -> Any:
    """Whether x is a zero of either sign.

    Parameters
    ----------
    x : array_like or Array
        Numbers, or codes with a format.

    Returns
    -------
    numpy.ndarray of bool or numpy.bool

    Raises
    ------
    TypeError
        If `x` holds no real numbers.

    Notes
    -----
    IEEE 754-2019 clause 5.7.2, isZero; raises no flag.

    Examples
    --------
    >>> import fpemu as fe
    >>> codes = fe.Array([0x00, 0x01, 0x80, 0x3C, 0x7C, 0x7D, 0xFE], "float8_e5m2")
    >>> fe.is_zero(codes)
    array([ True, False,  True, False, False, False, False])
    """
    return _among(x, (NumberClass.NEGATIVE_ZERO, NumberClass.POSITIVE_ZERO))


def is_normal(x: ArrayLike | Coded) -> Any:
    """Whether x is normal: neither zero, subnormal, infinite nor NaN.

    Parameters
    ----------
    x : array_like or Array
        Numbers, or codes with a format.

    Returns
    -------
    numpy.ndarray of bool or numpy.bool

    Raises
    ------
    TypeError
        If `x` holds no real numbers.

    Notes
    -----
    IEEE 754-2019 clause 5.7.2, isNormal; raises no flag.  Integers and entries of codebooks that are not 0 are normal.

    Examples
    --------
    >>> import fpemu as fe
    >>> codes = fe.Array([0x00, 0x01, 0x80, 0x3C, 0x7C, 0x7D, 0xFE], "float8_e5m2")
    >>> fe.is_normal(codes)
    array([False, False, False,  True, False, False, False])
    """
    return _among(x, (NumberClass.NEGATIVE_NORMAL, NumberClass.POSITIVE_NORMAL))


def is_subnormal(x: ArrayLike | Coded) -> Any:
    """Whether x is subnormal in its own format.

    Parameters
    ----------
    x : array_like or Array
        Numbers, or codes with a format.

    Returns
    -------
    numpy.ndarray of bool or numpy.bool

    Raises
    ------
    TypeError
        If `x` holds no real numbers.

    Notes
    -----
    IEEE 754-2019 clause 5.7.2, isSubnormal; raises no flag.

    Examples
    --------
    >>> import fpemu as fe
    >>> codes = fe.Array([0x00, 0x01, 0x80, 0x3C, 0x7C, 0x7D, 0xFE], "float8_e5m2")
    >>> fe.is_subnormal(codes)
    array([False,  True, False, False, False, False, False])
    """
    return _among(x, (NumberClass.NEGATIVE_SUBNORMAL, NumberClass.POSITIVE_SUBNORMAL))


def is_signaling(x: ArrayLike | Coded) -> Any:
    """Whether x is a signalling NaN.

    Parameters
    ----------
    x : array_like or Array
        Numbers, or codes with a format.

    Returns
    -------
    numpy.ndarray of bool or numpy.bool

    Raises
    ------
    TypeError
        If `x` holds no real numbers.

    Notes
    -----
    IEEE 754-2019 clause 5.7.2, isSignaling; raises no flag.  Only formats with nan="ieee" have them.

    Examples
    --------
    >>> import fpemu as fe
    >>> codes = fe.Array([0x00, 0x01, 0x80, 0x3C, 0x7C, 0x7D, 0xFE], "float8_e5m2")
    >>> fe.is_signaling(codes)
    array([False, False, False, False, False,  True, False])
    """
    return _among(x, (NumberClass.SIGNALING_NAN,))


def is_canonical(x: ArrayLike | Coded) -> Any:
    """Whether x's code is one that is produced.

    Parameters
    ----------
    x : array_like or Array
        Numbers, or codes with a format.

    Returns
    -------
    numpy.ndarray of bool or numpy.bool

    Raises
    ------
    TypeError
        If `x` holds no real numbers.

    Notes
    -----
    IEEE 754-2019 clause 5.7.2, isCanonical; raises no flag.  Not produced are the lowest code of a
    symmetric integer format, and all but the lowest code of equal values in a codebook.

    Examples
    --------
    >>> import fpemu as fe
    >>> symmetric = fe.IntFormat("symmetric", 8, symmetric=True)
    >>> fe.is_canonical(fe.Array([0x80, 0x81], symmetric))
    array([False,  True])
    """
    given = as_numbers(x)
    return (classes_of(_native(given), given.format) != NumberClass.NONCANONICAL)[()]


def is_sign_minus(x: ArrayLike | Coded) -> Any:
    """Whether x has a minus sign; zeros and NaN have signs, too.

    Parameters
    ----------
    x : array_like or Array
        Numbers, or codes with a format.

    Returns
    -------
    numpy.ndarray of bool or numpy.bool

    Raises
    ------
    TypeError
        If `x` holds no real numbers.

    Notes
    -----
    IEEE 754-2019 clause 5.7.2, isSignMinus; raises no flag.  The one NaN of fnuz formats has no sign.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.is_sign_minus([-0.0, 0.0, -1.0])
    array([ True, False,  True])
    """
    given = as_numbers(x)
    codes, fmt = _native(given), given.format
    if isinstance(fmt, TableFormat):
        return np.signbit(np.array(fmt.entries))[codes][()]
    minus = (codes & codes.dtype.type(fmt.sign_mask)) != 0
    if isinstance(fmt, FloatFormat) and fmt.nan == "negative_zero":
        minus &= codes != fmt.sign_mask
    return minus[()]


def _native(given: Source) -> NDArray[Any]:
    return np.asarray(given.codes, given.codes.dtype.newbyteorder("="))


def _among(x: Any, wanted: tuple[NumberClass, ...], inside: bool = True) -> Any:
    """Whether the class of x is among the wanted ones (or not among them); a noncanonical code counts as its value."""
    given = as_numbers(x)
    codes, fmt = _native(given), given.format
    kinds = classes_of(codes, fmt)
    if isinstance(fmt, IntFormat):
        kinds = np.where(kinds == NumberClass.NONCANONICAL, NumberClass.NEGATIVE_NORMAL, kinds)
    if isinstance(fmt, TableFormat):
        values = np.array(fmt.entries)[codes]
        kinds = np.where(values == 0, NumberClass.POSITIVE_ZERO, NumberClass.POSITIVE_NORMAL)
    return (np.isin(kinds, wanted) == inside)[()]


def classify(codes: Any, fmt: Any = None) -> NDArray[np.uint8] | NumberClass:
    """The class of every code: normal, subnormal, zero, infinity, NaN, with the sign.

    A NaN is signaling only in formats with ``nan="ieee"``, where the top trailing bit is clear (IEEE 754-2019 clause
    6.2.1).  Integers and codebooks have normal values and zeros; a code that decodes and is never produced (the lowest
    of a symmetric integer format, all but the lowest code of equal values in a codebook) is noncanonical.

    Parameters
    ----------
    codes : array_like of unsigned int, or Array
        Codes of `fmt`; values are encoded first.
    fmt : str, Format or dtype
        Their format; an `Array` brings its own.

    Returns
    -------
    numpy.ndarray of uint8, or NumberClass
        Numbers of `NumberClass`; for one code the member itself.

    Raises
    ------
    TypeError
        If the codes are not integers, or no format is given.
    ValueError
        If a code is out of range.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.classify(0x7D, "float8_e5m2")
    <NumberClass.SIGNALING_NAN: 8>
    >>> fe.classify([0x00, 0x01, 0x7E, 0xFF], "float8_e4m3fn")
    array([4, 5, 6, 9], dtype=uint8)
    """
    if fmt is None:
        if not carries_codes(codes):
            raise TypeError("plain codes need a format: classify(codes, fmt)")
        fmt = codes.format
    found = dtype(fmt)
    given = as_source(codes, found)
    classes = classes_of(np.asarray(given.codes), found)
    return NumberClass(int(classes)) if given.scalar else classes

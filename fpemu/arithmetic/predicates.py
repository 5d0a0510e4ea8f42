"""Classes of numbers: predicates such as `is_nan`, and `classify`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpemu.arithmetic.options import fill
from fpemu.casting import Coded, Source, as_numbers, as_source, carries_codes
from fpemu.formats import FloatFormat, IntFormat, TableFormat, dtype
from fpemu.formats.facts.codes import INFINITIES, NANS, ZEROS, NumberClass, classes_of
from fpemu.formats.keywords import F

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

_PREDICATE_TEXT = """Parameters
    ----------
    x : array_like or Array
        Numbers, or codes with a format.

    Returns
    -------
    numpy.ndarray of bool or numpy.bool

    Raises
    ------
    TypeError
        If `x` holds no real numbers."""


def _predicate(function: F) -> F:
    """Fill in the text that predicates share."""
    return fill(function, {"parameters": _PREDICATE_TEXT})


@_predicate
def is_nan(x: ArrayLike | Coded) -> Any:
    """Whether x is NaN.

    {parameters}

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
    return _has_class(x, NANS)[()]


@_predicate
def is_infinite(x: ArrayLike | Coded) -> Any:
    """Whether x is infinite.

    {parameters}

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
    return _has_class(x, INFINITIES)[()]


@_predicate
def is_finite(x: ArrayLike | Coded) -> Any:
    """Whether x is finite: zero, subnormal or normal.

    {parameters}

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
    return (~_has_class(x, (*NANS, *INFINITIES)))[()]


@_predicate
def is_zero(x: ArrayLike | Coded) -> Any:
    """Whether x is a zero of either sign.

    {parameters}

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
    return _has_class(x, ZEROS)[()]


@_predicate
def is_normal(x: ArrayLike | Coded) -> Any:
    """Whether x is normal: neither zero, subnormal, infinite nor NaN.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clause 5.7.2, isNormal; raises no flag.  Integers and codebook entries other than 0 are normal.

    Examples
    --------
    >>> import fpemu as fe
    >>> codes = fe.Array([0x00, 0x01, 0x80, 0x3C, 0x7C, 0x7D, 0xFE], "float8_e5m2")
    >>> fe.is_normal(codes)
    array([False, False, False,  True, False, False, False])
    """
    return _has_class(x, (NumberClass.NEGATIVE_NORMAL, NumberClass.POSITIVE_NORMAL))[()]


@_predicate
def is_subnormal(x: ArrayLike | Coded) -> Any:
    """Whether x is subnormal in its own format.

    {parameters}

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
    return _has_class(x, (NumberClass.NEGATIVE_SUBNORMAL, NumberClass.POSITIVE_SUBNORMAL))[()]


@_predicate
def is_signaling(x: ArrayLike | Coded) -> Any:
    """Whether x is a signalling NaN.

    {parameters}

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
    return _has_class(x, (NumberClass.SIGNALING_NAN,))[()]


@_predicate
def is_canonical(x: ArrayLike | Coded) -> Any:
    """Whether x's code is canonical: one that operations produce.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clause 5.7.2, isCanonical; raises no flag.  Noncanonical are the lowest code of a
    symmetric integer format, and all but the lowest code of equal values in a codebook.

    Examples
    --------
    >>> import fpemu as fe
    >>> symmetric = fe.IntFormat("symmetric", 8, symmetric=True)
    >>> fe.is_canonical(fe.Array([0x80, 0x81], symmetric))
    array([False,  True])
    """
    source = as_numbers(x)
    return (classes_of(_native_codes(source), source.format) != NumberClass.NONCANONICAL)[()]


@_predicate
def is_sign_minus(x: ArrayLike | Coded) -> Any:
    """Whether x has a minus sign; zeros and NaN have signs too.

    {parameters}

    Notes
    -----
    IEEE 754-2019 clause 5.7.2, isSignMinus; raises no flag.  The one NaN of fnuz formats has no sign.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.is_sign_minus([-0.0, 0.0, -1.0])
    array([ True, False,  True])
    """
    source = as_numbers(x)
    codes, fmt = _native_codes(source), source.format
    if isinstance(fmt, TableFormat):
        return np.signbit(np.array(fmt.entries))[codes][()]
    minus = (codes & codes.dtype.type(fmt.sign_mask)) != 0
    if isinstance(fmt, FloatFormat) and fmt.nan == "negative_zero":
        minus &= codes != fmt.sign_mask
    return minus[()]


def _native_codes(source: Source) -> NDArray[Any]:
    return np.asarray(source.codes, source.codes.dtype.newbyteorder("="))


def _has_class(x: Any, classes: tuple[NumberClass, ...]) -> NDArray[np.bool_]:
    """Whether each number is of one of these classes; a noncanonical code counts as its value."""
    source = as_numbers(x)
    codes, fmt = _native_codes(source), source.format
    of_codes = classes_of(codes, fmt)
    if isinstance(fmt, IntFormat):
        of_codes = np.where(of_codes == NumberClass.NONCANONICAL, NumberClass.NEGATIVE_NORMAL, of_codes)
    if isinstance(fmt, TableFormat):
        values = np.array(fmt.entries)[codes]
        of_codes = np.where(values == 0, NumberClass.POSITIVE_ZERO, NumberClass.POSITIVE_NORMAL)
    return np.isin(of_codes, classes)


def classify(codes: Any, fmt: Any = None) -> NDArray[np.uint8] | NumberClass:
    """The class of every code: normal, subnormal, zero, infinity, NaN, with the sign.

    A NaN is signaling only in formats with ``nan="ieee"``, where the top trailing bit is clear (IEEE 754-2019 clause
    6.2.1).  Integers and codebooks have normal values and zeros; a code that decodes but is never produced (the lowest
    of a symmetric integer format, all but the lowest code of equal values in a codebook) is noncanonical.

    Parameters
    ----------
    codes : array_like of unsigned int, or Array
        Codes of `fmt`; encode values first.
    fmt : str, Format or dtype
        Their format; an `Array` has its own.

    Returns
    -------
    numpy.ndarray of uint8, or NumberClass
        Numbers of `NumberClass`; for one code the member.

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
    known = dtype(fmt)
    source = as_source(codes, known)
    classes = classes_of(np.asarray(source.codes), known)
    return NumberClass(int(classes)) if source.scalar else classes

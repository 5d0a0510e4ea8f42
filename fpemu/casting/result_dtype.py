"""Dtypes of results: the float type of `cast`, the type of `decode`."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from fpemu.formats import FloatFormat, Format, IntFormat
from fpemu.formats import dtype as find_format
from fpemu.formats.facts.exactness import carrier_of, holds
from fpemu.formats.lookup import brief


@functools.lru_cache(maxsize=1024)
def value_format(dtype: np.dtype[Any]) -> FloatFormat | IntFormat:
    """The format of a numpy dtype of numbers."""
    fmt = find_format(dtype)
    assert isinstance(fmt, FloatFormat | IntFormat)
    return fmt


@functools.lru_cache(maxsize=1024)
def has_all_of(dtype: np.dtype[Any], fmt: Format) -> bool:
    """Whether a float dtype has every value of a format."""
    carrier = value_format(dtype)
    return isinstance(carrier, FloatFormat) and carrier.nan == "ieee" and holds(carrier, fmt)


def as_dtype(dtype: DTypeLike | None) -> np.dtype[Any] | None:
    """The caller's dtype, checked to be one whose numbers fpemu knows; None for None."""
    if dtype is None:
        return None
    try:
        named = named_dtype(dtype)
        value_format(named)
    except (TypeError, ValueError, AssertionError):
        raise TypeError(f"dtype must be one of numpy's float16, float32, float64, not {brief(dtype)}") from None
    return named


def named_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Numpy's dtype for a name or a type; raise TypeError if numpy warns."""
    if not isinstance(dtype, str):
        return np.dtype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return np.dtype(dtype)
        except Warning as warning:
            raise TypeError(str(warning)) from None


def _lacks_range_alone(dtype: np.dtype[Any], fmt: Format) -> bool:
    """Whether float64 lacks only the range of a format: then each element is checked."""
    return dtype == np.float64 and isinstance(fmt, FloatFormat) and fmt.precision <= 53


@functools.lru_cache(maxsize=1024)
def cast_dtype(own: np.dtype[Any] | None, fmt: Format, asked: np.dtype[Any] | None) -> np.dtype[Any]:
    """The dtype of a cast's result; `own`: the dtype of x, `asked`: the caller's."""
    if asked is not None:
        if not isinstance(value_format(asked), FloatFormat):
            raise TypeError(f"a cast's values are floats: dtype cannot be {asked}; encode gives codes")
        if not (has_all_of(asked, fmt) or _lacks_range_alone(asked, fmt)):
            raise ValueError(f"{asked} cannot hold every value of {fmt.name}; leave dtype out, or encode")
        return asked
    if own is not None and own.kind in "fV" and isinstance(value_format(own), FloatFormat) and has_all_of(own, fmt):
        return own.newbyteorder("=")
    carrier = carrier_of(fmt)
    if carrier is not None:
        return np.dtype(carrier.name)
    if _lacks_range_alone(np.dtype(np.float64), fmt):
        return np.dtype(np.float64)
    raise ValueError(f"no float type holds every value of {fmt.name}: use encode, which gives codes")


@functools.lru_cache(maxsize=1024)
def decode_dtype(fmt: Format, asked: np.dtype[Any] | None) -> np.dtype[Any]:
    """The dtype of decoded values."""
    integer = isinstance(fmt, IntFormat) and fmt.fraction_bits == 0
    if asked is None:
        if isinstance(fmt, IntFormat) and integer:
            return np.dtype(("" if fmt.signed else "u") + f"int{max(8, 1 << (fmt.bits - 1).bit_length())}")
        return cast_dtype(None, fmt, None)
    carrier = value_format(asked)
    if isinstance(carrier, FloatFormat):
        return cast_dtype(None, fmt, asked)
    lowest = -(1 << (fmt.bits - 1)) if isinstance(fmt, IntFormat) and fmt.symmetric else 0  # decodes, never produced
    fits = isinstance(fmt, IntFormat) and carrier.min_int <= min(fmt.min_int, lowest) and fmt.max_int <= carrier.max_int
    if integer and fits:
        return asked
    raise ValueError(f"{asked} cannot hold every value of {fmt.name}")

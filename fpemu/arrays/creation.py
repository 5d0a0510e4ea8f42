"""Arrays from numbers, and from arrays and tensors that already hold codes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fpemu.arrays.array_class import Array, checked_generator
from fpemu.casting import as_numbers, as_source, encode
from fpemu.casting.stochastic import sharing
from fpemu.formats import Profile, same_codes
from fpemu.formats import dtype as find_format
from fpemu.formats import profile as find_profile
from fpemu.formats.rules import Overflow, Rounding, Stochastic

__all__ = ["array", "asarray"]


def array(
    x: ArrayLike,
    fmt: Any,
    profile: str | Profile | None = None,
    *,
    rounding: str | Rounding | Stochastic | None = None,
    overflow: str | Overflow | None = None,
    rng: int | np.random.Generator | None = None,
) -> Array:
    """Round numbers to a format, as an Array.

    Parameters
    ----------
    x : array_like
        Numbers; see `cast`.
    fmt : str, Format or dtype
        The format.
    profile : str or Profile, optional
        The rules; default: the format's own.
    rounding : str, Rounding or Stochastic, optional
        Replaces the profile's, for this cast and for the operators on the Array.
    overflow : str or Overflow, optional
        Replaces the profile's, in the same way.
    rng : int or numpy.random.Generator, optional
        Stochastic rounding: this cast draws a key from the Generator, and so does each operator on the Array, its
        views and its results.  An int is the seed of a new Generator.  Default: the system's entropy.

    Returns
    -------
    Array

    Raises
    ------
    TypeError
        If `x`, `fmt` or `rng` is of the wrong kind.
    ValueError
        If the format is unknown, the profile or a rule does not apply to it, or `rng` is given but the rounding is not
        stochastic.

    See Also
    --------
    asarray : without a copy if the elements are codes already.

    Examples
    --------
    >>> import fpemu as fe, numpy as np
    >>> fe.array([1.0, 0.3], "bfloat16")
    Array([1.        , 0.30078125], format='bfloat16')
    >>> walk = fe.array(np.zeros(4), "float16", rounding="stochastic", rng=1)
    >>> for _ in range(1000):
    ...     walk += 0.001  # new random numbers at every step
    >>> np.abs(walk.values - 1.0).max() < 0.05
    np.True_
    """
    replaced = {rule: value for rule, value in (("rounding", rounding), ("overflow", overflow)) if value is not None}
    if replaced:
        profile = (find_format(fmt).profile if profile is None else find_profile(profile)).replace(**replaced)
    if rng is None:
        return Array(encode(x, fmt, profile=profile), fmt, profile)
    target = find_format(fmt)
    generator = checked_generator(rng, target, target.profile if profile is None else find_profile(profile))
    return Array(encode(x, target, profile=profile, rng=generator), target, profile, rng=generator)


def asarray(x: Any, fmt: Any = None, profile: str | Profile | None = None) -> Array:
    """An Array on the memory of `x` if its elements are codes of the format; else a cast of `x`.

    Parameters
    ----------
    x : array_like or Array
        A numpy or ml_dtypes array, a CPU torch tensor, an Array, or numbers.
    fmt : str, Format or dtype, optional
        The format; default: that of `x`, as in `cast` for sequences.
    profile : str or Profile, optional
        The rules; default: those of `x` if it is an Array, else the format's own.

    Returns
    -------
    Array
        On the same memory if the bytes of `x` are in the machine's order and hold nothing but codes.  Types below 8
        bits of ml_dtypes and torch are copied, since their bytes may hold more; so are arrays of bool with bytes other
        than 0 and 1.

    Raises
    ------
    TypeError
        If `x` or `fmt` is of the wrong kind.
    ValueError
        If the format is unknown or the profile does not apply to it.

    See Also
    --------
    Array.view : the reverse.

    Examples
    --------
    >>> import fpemu as fe, numpy as np
    >>> x = np.ones(3, np.float16)
    >>> a = fe.asarray(x)
    >>> x[1] = 5.5
    >>> a
    Array([1. , 5.5, 1. ], format='float16')
    """
    source = as_source(x) if fmt is None else as_numbers(x)
    target = source.format if fmt is None else find_format(fmt)
    if profile is None and isinstance(x, Array) and target == x.format:
        profile = x.profile
    if same_codes(source.format, target) and source.rest is None:
        return sharing(Array(source.codes, target, profile), getattr(x, "rng", None))
    return Array(encode(x, target, profile=profile), target, profile)

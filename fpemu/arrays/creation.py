"""Arrays made of numbers and of what holds codes already."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fpemu.arrays.array_class import Array, checked_generator
from fpemu.casting.casts import encode
from fpemu.casting.inputs import as_numbers, as_source
from fpemu.casting.stochastic import sharing
from fpemu.formats import Format, same_codes
from fpemu.formats.profiles import Profile
from fpemu.formats.profiles import profile as find_profile
from fpemu.formats.registry import dtype as find_format
from fpemu.formats.rules import Overflow, Rounding, Stochastic, rounding_mode

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
    """Numbers rounded to a format, as an Array.

    Parameters
    ----------
    x : array_like
        Numbers; see `cast`.
    fmt : str, Format or dtype
        The format.
    profile : str or Profile, optional
        The rules; default the format's own.
    rounding : str, Rounding or Stochastic, optional
        Instead of the profile's, for this cast and for the operators on the Array.
    overflow : str or Overflow, optional
        Instead of the profile's, likewise.
    rng : int or numpy.random.Generator, optional
        Stochastic rounding: this cast draws a key from the Generator, and so does each operator on the Array, on its
        views and on results.  An int becomes one Generator, seeded by it.  Default: the system's entropy.

    Returns
    -------
    Array

    Raises
    ------
    TypeError
        If `x`, `fmt` or `rng` is of the wrong kind.
    ValueError
        If the format is unknown, the profile or a rule does not apply to it, or there is `rng` and nothing is rounded
        stochastically.

    See Also
    --------
    asarray : without a copy where the codes are there already.

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
    if rounding is not None or overflow is not None:
        profile = _with_rules(find_format(fmt), profile, rounding, overflow)
    if rng is None:
        return Array(encode(x, fmt, profile=profile), fmt, profile)
    target = find_format(fmt)
    generator = checked_generator(rng, target, target.profile if profile is None else find_profile(profile))
    return Array(encode(x, target, profile=profile, rng=generator), target, profile, rng=generator)


def _with_rules(
    fmt: Format,
    profile: str | Profile | None,
    rounding: str | Rounding | Stochastic | None,
    overflow: str | Overflow | None,
) -> Profile:
    """A profile with another rounding or overflow."""
    rules = fmt.profile if profile is None else find_profile(profile)
    if rounding is not None:
        rules = rules.replace(rounding=rounding_mode(rounding))
    return rules if overflow is None else rules.replace(overflow=overflow)


def asarray(x: Any, fmt: Any = None, profile: str | Profile | None = None) -> Array:
    """An Array on the memory of `x` where its elements are codes of the format already; else a cast.

    Parameters
    ----------
    x : array_like or Array
        A numpy or ml_dtypes array, a CPU torch tensor, an Array, or numbers.
    fmt : str, Format or dtype, optional
        The format; default x's own, as `cast` has it for the dtype of sequences.
    profile : str or Profile, optional
        The rules; default an Array's own, else the format's.

    Returns
    -------
    Array
        Of the same memory if x's bytes are in the machine's order, and each holds nothing but a code (types below 8
        bits of ml_dtypes and torch are copied, since their bytes may hold more, and so are arrays of bool with other
        bytes than 0 and 1).

    Raises
    ------
    TypeError
        If `x` or `fmt` is of the wrong kind.
    ValueError
        If the format is unknown or the profile does not apply to it.

    See Also
    --------
    Array.view : the way back.

    Examples
    --------
    >>> import fpemu as fe, numpy as np
    >>> x = np.ones(3, np.float16)
    >>> a = fe.asarray(x)
    >>> x[1] = 5.5
    >>> a
    Array([1. , 5.5, 1. ], format='float16')
    """
    given = as_source(x) if fmt is None else as_numbers(x)
    target = given.format if fmt is None else find_format(fmt)
    if profile is None and isinstance(x, Array) and target == x.format:
        profile = x.profile
    if same_codes(given.format, target) and given.rest is None:
        return sharing(Array(given.codes, target, profile), getattr(x, "rng", None))
    return Array(encode(x, target, profile=profile), target, profile)

"""Array: codes with their format and profile."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fpemu.casting import decode, encode
from fpemu.formats import Format
from fpemu.profiles import Profile
from fpemu.profiles import profile as find_profile
from fpemu.registry import dtype as find_format
from fpemu.sources import as_source

__all__ = ["Array", "array"]


class Array:
    """An array of numbers in a format: the codes, the format, and the rules for casts to it.

    Parameters
    ----------
    codes : array_like of unsigned int
        Right-aligned bit patterns; kept without a copy where they are of the codes' dtype.
    fmt : str, Format or dtype
        Their format.
    profile : str or Profile, optional
        Default: the format's own.

    Attributes
    ----------
    codes : numpy.ndarray
    format : Format
    profile : Profile

    Raises
    ------
    TypeError
        If the codes are no integers.
    ValueError
        If a code is out of range, or the profile does not apply to the format.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.Array.from_codes([0x38, 0x7E], "float8_e4m3fn")
    Array([  1., 448.], format='float8_e4m3fn')
    """

    codes: NDArray[Any]
    format: Format
    profile: Profile

    def __init__(self, codes: ArrayLike, fmt: Any, profile: str | Profile | None = None) -> None:
        self.format = find_format(fmt)
        self.profile = self.format.profile if profile is None else find_profile(profile)
        self.format.check_profile(self.profile)
        self.codes = as_source(codes, self.format).codes.astype(self.format.code_dtype, copy=False)

    @classmethod
    def from_codes(cls, codes: ArrayLike, fmt: Any, profile: str | Profile | None = None) -> Array:
        """An Array of these codes; the same as the class itself, said in words.

        Parameters
        ----------
        codes : array_like of unsigned int
        fmt : str, Format or dtype
        profile : str or Profile, optional

        Returns
        -------
        Array

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.Array.from_codes([1, 15], "int4").values
        array([ 1, -1], dtype=int8)
        """
        return cls(codes, fmt, profile)

    @property
    def values(self) -> Any:
        """What the codes stand for, as `decode` gives it."""
        return decode(self.codes, self.format)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the codes."""
        return self.codes.shape

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self.codes.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.codes.size

    def __len__(self) -> int:
        return len(self.codes)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("the values of an Array are decoded anew each time: copy=False is impossible")
        return np.asarray(self.values, dtype=dtype)

    def __repr__(self) -> str:
        values = np.array2string(np.asarray(self.values), separator=", ", prefix="Array(")
        rules = "" if self.profile == self.format.profile else f", profile={self.profile.name!r}"
        return f"Array({values}, format={self.format.name!r}{rules})"


def array(x: ArrayLike, fmt: Any, profile: str | Profile | None = None) -> Array:
    """Numbers rounded to a format, as an Array.

    Parameters
    ----------
    x : array_like
        Numbers; see `cast`.
    fmt : str, Format or dtype
        The format.
    profile : str or Profile, optional
        The rules; default the format's own.

    Returns
    -------
    Array

    Raises
    ------
    TypeError
        If `x` or `fmt` is of the wrong kind.
    ValueError
        If the format is unknown or the profile does not apply to it.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.array([1.0, 0.3], "bfloat16")
    Array([1.        , 0.30078125], format='bfloat16')
    """
    return Array(encode(x, fmt, profile=profile), fmt, profile)

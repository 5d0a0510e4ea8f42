"""Array: codes with their format and profile, which numpy's functions accept."""

from __future__ import annotations

import functools
import itertools
import sys
import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fpemu.arrays import dlpack
from fpemu.arrays.numpy_interface import NumpyInterface
from fpemu.casting import as_source, codes_of, decode, encode
from fpemu.casting.stochastic import check_randoms, generator_of, sharing
from fpemu.formats import FloatFormat, Format, Profile, same_codes, state_of
from fpemu.formats import dtype as find_format
from fpemu.formats import profile as find_profile
from fpemu.formats.facts.codes import code_fields
from fpemu.formats.keywords import refusal
from fpemu.formats.lookup import brief, caller_level

__all__ = ["Array", "checked_generator"]

_OPTIONS = ["profile", "rounding", "overflow", "rng", "random_bits", "rng_offset"]  # of `encode`, for `astype`


@functools.lru_cache(maxsize=1024)
def _checked_profile(fmt: Format, profile: str | Profile | None) -> tuple[Profile, np.dtype[Any], bool]:
    """The profile, checked; the codes' dtype; whether every integer of that dtype is a code."""
    rules = fmt.profile if profile is None else find_profile(profile)
    fmt.check_profile(rules)
    dtype = np.dtype(fmt.code_dtype)
    return rules, dtype, fmt.code_count == 1 << (8 * dtype.itemsize)


@functools.lru_cache(maxsize=64)
def _rules_of_dtype(dtype: np.dtype[Any]) -> tuple[Format, Profile] | None:
    """Format and profile of a conversion to a float type of numpy or ml_dtypes; None for other dtypes.

    Special values convert as in the type's own `astype`, but numbers are rounded once, not through float32.
    """
    if dtype.kind not in "fV" or dtype.itemsize > 8 or dtype.names is not None:
        return None
    try:
        fmt = find_format(dtype)
    except (TypeError, ValueError):
        return None
    if not isinstance(fmt, FloatFormat):
        return None
    library = find_profile("numpy" if dtype.kind == "f" else "ml_dtypes")
    return fmt, library.replace(through="none")


class Array(NumpyInterface):
    """An array of numbers in a format: the codes, the format, and the rules for casts to it.

    Parameters
    ----------
    codes : array_like of unsigned int
        Right-aligned bit patterns; not copied if they have the codes' dtype.
    fmt : str, Format or dtype
        Their format.
    profile : str or Profile, optional
        Default: the format's own.
    rng : int or numpy.random.Generator, optional
        Stochastic rounding: the Generator of the operators; see `array`.

    Attributes
    ----------
    codes : numpy.ndarray
    format : Format
    profile : Profile

    Raises
    ------
    TypeError
        If the codes are not integers.
    ValueError
        If a code is out of range, or the profile does not apply to the format.

    Notes
    -----
    Operators and numpy's ufuncs round each result once to the Array's format, by its profile.  Numbers and numpy arrays
    are exact operands; two Arrays of different formats or profiles raise a ValueError.

    Examples
    --------
    >>> import fpemu as fe
    >>> a = fe.Array.from_codes([0x38, 0x7E], "float8_e4m3fn")
    >>> a
    Array([  1., 448.], format='float8_e4m3fn')
    >>> 2 * a[:1] + 0.0625
    Array([2.], format='float8_e4m3fn')
    >>> a > 3
    array([False,  True])
    """

    codes: NDArray[Any]
    format: Format
    profile: Profile
    _rng: np.random.Generator | None = None

    def __init__(
        self,
        codes: ArrayLike,
        fmt: Any,
        profile: str | Profile | None = None,
        *,
        rng: int | np.random.Generator | None = None,
    ) -> None:
        self.format = find_format(fmt)
        rules, dtype, full = _checked_profile(self.format, profile)
        self.profile = profile if type(profile) is Profile else rules  # an equal profile may have another name
        if not (full and type(codes) is np.ndarray and codes.dtype == dtype):
            codes = as_source(codes, self.format).codes.astype(dtype, copy=False)
        self.codes = codes
        if rng is not None:
            self._rng = checked_generator(rng, self.format, self.profile)

    def __setstate__(self, state: Any) -> None:
        """Restore a pickle or a copy, with the checks of the constructor; attributes of subclasses are not checked."""
        own = state_of("Array", state, ("codes", "format", "profile"))
        Array.__init__(self, own["codes"], own["format"], own["profile"])
        self.__dict__.update({key: value for key, value in state.items() if key not in own})

    @classmethod
    def from_codes(cls, codes: ArrayLike, fmt: Any, profile: str | Profile | None = None) -> Array:
        """An Array of codes, as the constructor makes it.

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

    # -- contents and rules -------------------------------------------------------------------------------------------

    @property
    def rng(self) -> np.random.Generator | None:
        """The Generator from which each operator draws a key for stochastic rounding; None: the system's entropy."""
        return self._rng

    def with_rng(self, rng: int | np.random.Generator) -> Array:
        """The same codes, with a Generator for the operators.

        Parameters
        ----------
        rng : int or numpy.random.Generator
            A Generator, which is shared, or the seed of a new one.

        Returns
        -------
        Array
            Its views and the results of its operators share the Generator.

        Raises
        ------
        TypeError
            If `rng` is something else.
        ValueError
            If the profile's rounding is not stochastic, or the seed is negative.

        Examples
        --------
        >>> import fpemu as fe
        >>> a = fe.array([1.0, 1.0], "bfloat16", rounding="stochastic", rng=7)
        >>> b = fe.array([2**-9, 2**-9], "bfloat16", rounding="stochastic").with_rng(a.rng)
        >>> (a + b).rng is a.rng
        True
        """
        return type(self)(self.codes, self.format, self.profile, rng=rng)

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        if state.pop("_rng", None) is not None:
            warnings.warn(
                "the Array's Generator is not pickled: the copy draws from the system's entropy until with_rng gives "
                "it another",
                UserWarning,
                stacklevel=caller_level(),
            )
        return state

    @property
    def values(self) -> Any:
        """The numbers that the codes encode, as `decode` returns them."""
        return decode(self.codes, self.format)

    def bits(self) -> Any:
        """The codes in binary, with points between the fields: sign, exponent, trailing significand.

        Returns
        -------
        numpy.ndarray of str

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.array([1.0, -448.0], "float8_e4m3fn").bits()
        array(['0.0111.000', '1.1111.110'], dtype='<U10')
        """
        widths = [width for _, width in code_fields(self.format)]

        def text(code: int) -> str:
            digits = iter(f"{code:0{self.format.bits}b}")
            return ".".join("".join(itertools.islice(digits, width)) for width in widths)

        codes, indices = np.unique(codes_of(self), return_inverse=True)
        return np.array([text(code) for code in codes.tolist()], np.str_)[indices].reshape(self.shape)

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers.

        Returns
        -------
        list, or a number for an Array of no dimension

        Raises
        ------
        ValueError
            If no float type holds the format's values.

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.array([[1, -2]], "int4").tolist()
        [[1, -2]]
        """
        return self.values.tolist()

    def with_profile(self, profile: str | Profile) -> Array:
        """The same codes with another profile.

        Parameters
        ----------
        profile : str or Profile

        Returns
        -------
        Array

        Raises
        ------
        ValueError
            If the profile is unknown or does not apply to the format.

        Examples
        --------
        >>> import fpemu as fe
        >>> a = fe.array([448.0], "float8_e4m3fn")
        >>> a.with_profile("torch") + a.with_profile("torch")
        Array([448.], format='float8_e4m3fn', profile='torch-2.14')
        """
        return sharing(type(self)(self.codes, self.format, profile), self._rng)

    # -- conversions --------------------------------------------------------------------------------------------------

    def astype(self, fmt: Any, **options: Any) -> Array:
        """The values rounded to another format.

        Parameters
        ----------
        fmt : str, Format or dtype
            The other format.  The result is always an Array; for numpy arrays see `values`.
        **options
            As in `encode`: `profile` (default: the Array's own if it already has this format, else the format's),
            `rounding`, `overflow`, `rng`, `random_bits`, `rng_offset`.

        Returns
        -------
        Array

        Raises
        ------
        TypeError
            If the format or an option is of the wrong kind.
        ValueError
            If the format is unknown or a rule does not apply to it.

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.array([1.1, 300.0], "bfloat16").astype("float8_e4m3fn", rounding="toward_zero")
        Array([  1., 288.], format='float8_e4m3fn')
        """
        for option in options:
            if option not in _OPTIONS:
                raise TypeError(refusal("astype", option, options[option], ["fmt", *_OPTIONS]))
        target = find_format(fmt)
        profile = options.pop("profile", None)
        if profile is None and target == self.format:
            profile = self.profile
        codes = np.asarray(encode(self, target, profile=profile, **options))
        return sharing(type(self)(codes, target, profile), self._rng)

    def view(self, dtype: Any) -> Any:
        """The same memory as an array of a numpy, ml_dtypes or torch dtype.

        Parameters
        ----------
        dtype : numpy, ml_dtypes or torch dtype
            A dtype with this format's codes and no unused bits.

        Returns
        -------
        numpy.ndarray or torch.Tensor

        Raises
        ------
        TypeError
            If `dtype` is not a dtype.
        ValueError
            If its codes are not those of this format.

        See Also
        --------
        asarray : the reverse.

        Examples
        --------
        >>> import fpemu as fe, numpy as np
        >>> a = fe.array([1.0, 2.0], "float16")
        >>> x = a.view(np.float16)
        >>> x += 1
        >>> a
        Array([2., 3.], format='float16')
        """
        other = find_format(dtype)
        torch = sys.modules.get("torch") if type(dtype).__module__ == "torch" else None
        if not same_codes(self.format, other) or "_x2" in str(dtype):
            raise ValueError(
                f"the codes of {self.format.name} are not those of {dtype}: use astype for other formats, "
                ".codes for the codes as integers"
            )
        if torch is not None:
            signed = self.codes.view(f"i{self.codes.itemsize}")
            return torch.from_numpy(signed).view(dtype)
        try:
            return self.codes.view(np.dtype(dtype))
        except TypeError:
            raise TypeError(f"a view needs a dtype of numpy, ml_dtypes or torch, not {brief(dtype)}") from None

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("the values of an Array are decoded anew each time: copy=False is impossible")
        target = None if dtype is None else np.dtype(dtype)
        rules = None if target is None else _rules_of_dtype(target)
        if target is None or rules is None:
            return np.asarray(self.values, dtype=target)
        native = target.newbyteorder("=")
        if native.kind == "f":
            try:
                return np.asarray(decode(self.codes, self.format, dtype=native)).astype(target, copy=False)
            except ValueError:  # the dtype lacks a value
                pass
        fmt, profile = rules
        codes = np.asarray(encode(self, fmt, profile=profile))
        return codes.view(native).astype(target, copy=False)

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        options = {"stream": stream, "max_version": max_version, "dl_device": dl_device, "copy": copy}
        return dlpack.export(self.codes, self.format, **options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return dlpack.CPU

    # -- text ---------------------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        rules = "" if self.profile == self.format.profile else f", profile={self.profile.spelled}"
        try:
            values, start = np.asarray(self.values), "Array("
        except ValueError:  # beyond float64
            values, start = self.codes, "Array(codes="
        text = np.array2string(values, separator=", ", prefix=start)
        return f"{start}{text}, format={self.format.name!r}{rules})"

    def __format__(self, spec: str) -> str:
        if not spec:
            return str(self)
        self._single_code(f"text as {spec!r} says")
        return format(self.item(), spec)


def checked_generator(rng: int | np.random.Generator, fmt: Format, profile: Profile) -> np.random.Generator:
    """The Generator for `rng`; raise ValueError if the profile's rounding would not draw from it."""
    check_randoms(profile.for_codes(fmt.codes_key).rounding, rng, None, 0)
    return generator_of(rng)

"""Array: codes with their format and profile, at home in numpy."""

from __future__ import annotations

import functools
import itertools
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fpemu.arrays.functions import joined
from fpemu.arrays.mixins import Methods
from fpemu.casting.casts import decode, encode
from fpemu.casting.inputs import as_source, codes_of
from fpemu.casting.stochastic import check_randoms, generator_of, sharing
from fpemu.formats import FloatFormat, Format, same_codes
from fpemu.formats.base import state_of
from fpemu.formats.facts.infotext import fields
from fpemu.formats.keywords import refusal
from fpemu.formats.profiles import Profile
from fpemu.formats.profiles import profile as find_profile
from fpemu.formats.registry import dtype as find_format
from fpemu.formats.rules import brief

__all__ = ["Array", "checked_generator"]

_OPTIONS = ["profile", "rounding", "overflow", "rng", "random_bits", "rng_offset"]  # of `encode`, for `astype`


@functools.lru_cache(maxsize=1024)
def _rules(fmt: Format, profile: str | Profile | None) -> tuple[Profile, np.dtype[Any], bool]:
    """The profile, checked; the codes' dtype, and whether each of its numbers is a code."""
    rules = fmt.profile if profile is None else find_profile(profile)
    fmt.check_profile(rules)
    dtype = np.dtype(fmt.code_dtype)
    return rules, dtype, fmt.code_count == 1 << (8 * dtype.itemsize)


@functools.lru_cache(maxsize=64)
def _rules_of_dtype(dtype: np.dtype[Any]) -> tuple[Format, Profile] | None:
    """The format and the rules of a conversion to one of numpy's or ml_dtypes' float types; None for other types.

    Specials become what the type's own `astype` makes of them; but the number is rounded once, not through float32.
    """
    if dtype.kind not in "fV" or dtype.itemsize > 8 or dtype.names is not None:
        return None
    try:
        fmt = find_format(dtype)
    except (TypeError, ValueError):
        return None
    if not isinstance(fmt, FloatFormat):
        return None
    own = find_profile("numpy" if dtype.kind == "f" else "ml_dtypes")
    return fmt, own.replace(through="none")


class Array(Methods):
    """An array of numbers in a format: the codes, the format, and the rules for casts to it.

    Parameters
    ----------
    codes : array_like of unsigned int
        Right-aligned bit patterns; kept without a copy where they are of the codes' dtype.
    fmt : str, Format or dtype
        Their format.
    profile : str or Profile, optional
        Default: the format's own.
    rng : int or numpy.random.Generator, optional
        Stochastic rounding: where operators draw from; see `array`.

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

    Notes
    -----
    Operators and numpy's ufuncs round each result once to the Array's format, by its profile.  Plain numbers and arrays
    join them exactly; two Arrays that disagree about format or profile raise a ValueError.

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
        rules, dtype, full = _rules(self.format, profile)
        self.profile = profile if type(profile) is Profile else rules  # which may be an equal one of another name
        if not (full and type(codes) is np.ndarray and codes.dtype == dtype):
            codes = as_source(codes, self.format).codes.astype(dtype, copy=False)
        self.codes = codes
        if rng is not None:
            self._rng = checked_generator(rng, self.format, self.profile)

    def __setstate__(self, state: Any) -> None:
        """What a pickle or a copy has, checked as the class checks it; what a subclass adds is taken as it is."""
        own = state_of("Array", state, ("codes", "format", "profile"))
        Array.__init__(self, own["codes"], own["format"], own["profile"])
        self.__dict__.update({key: value for key, value in state.items() if key not in own})

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

    # -- what it holds ------------------------------------------------------------------------------------------------

    @property
    def rng(self) -> np.random.Generator | None:
        """The Generator that operators under stochastic rounding draw a key from each; None: the system's entropy."""
        return self._rng

    def with_rng(self, rng: int | np.random.Generator) -> Array:
        """The same codes, with a Generator that operators draw from.

        Parameters
        ----------
        rng : int or numpy.random.Generator
            A seed, which becomes one Generator, or a Generator, which is shared.

        Returns
        -------
        Array
            Its views, and the results of operators on it, share the Generator.

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
                stacklevel=2,
            )
        return state

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

    @property
    def nbytes(self) -> int:
        """The bytes that the codes take, one at least for each; `pack` puts several into one."""
        return self.codes.nbytes

    @property
    def dtype(self) -> Any:
        """Missing, on purpose: numpy has no dtype for most formats."""
        raise AttributeError("an Array has no numpy dtype: see .format, .codes.dtype and .values.dtype")

    def bits(self) -> Any:
        """The codes in binary, their fields parted by points: sign, exponent, trailing significand.

        Returns
        -------
        numpy.ndarray of str

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.array([1.0, -448.0], "float8_e4m3fn").bits()
        array(['0.0111.000', '1.1111.110'], dtype='<U10')
        """
        widths = [width for _, width in fields(self.format)]

        def text(code: int) -> str:
            digits = iter(f"{code:0{self.format.bits}b}")
            return ".".join("".join(itertools.islice(digits, width)) for width in widths)

        codes, places = np.unique(codes_of(self), return_inverse=True)
        return np.array([text(code) for code in codes.tolist()], np.str_)[places].reshape(self.shape)

    def item(self, *index: int) -> int | float:
        """One element as a Python number.

        Parameters
        ----------
        *index : int
            Where it is; may be left out if there is only one.

        Returns
        -------
        int or float
            An int in integer formats.

        Raises
        ------
        ValueError
            If there are several elements and no index.
        IndexError
            If the index is out of range.
        OverflowError
            If float64 cannot hold the value; see `Format.exact`.

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.array([1.5, -3.0], "bfloat16").item(1)
        -3.0
        """
        return self._number(int(self.codes.item(*index)))

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

    # -- the same codes otherwise -------------------------------------------------------------------------------------

    @property
    def T(self) -> Array:  # noqa: N802 - numpy's name
        """The axes in reverse, on the same codes."""
        return self._like(self.codes.T)

    def reshape(self, *shape: Any, order: str = "C") -> Array:
        """The same codes in another shape, without a copy where numpy needs none.

        Parameters
        ----------
        *shape : int, or one tuple of int
        order : {"C", "F", "A"}

        Returns
        -------
        Array

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.array([1, 2, 3, 4], "int4").reshape(2, -1)
        Array([[1, 2],
               [3, 4]], format='int4')
        """
        return self._like(self.codes.reshape(*shape, order=order))  # type: ignore[call-overload]

    def ravel(self) -> Array:
        """The elements in C order in one dimension, without a copy where numpy needs none.

        Returns
        -------
        Array

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.array([[1, 2], [3, 4]], "int4").ravel()
        Array([1, 2, 3, 4], format='int4')
        """
        return self._like(self.codes.ravel())

    def flatten(self) -> Array:
        """A copy of the elements in C order in one dimension.

        Returns
        -------
        Array

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.array([[1, 2], [3, 4]], "int4").T.flatten()
        Array([1, 3, 2, 4], format='int4')
        """
        return self._like(self.codes.flatten())

    def transpose(self, *axes: Any) -> Array:
        """The axes in another order, on the same codes.

        Parameters
        ----------
        *axes : int, or one tuple of int
            Default: in reverse.

        Returns
        -------
        Array

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.array([[[1, 2]]], "int4").transpose(2, 0, 1).shape
        (2, 1, 1)
        """
        return self._like(self.codes.transpose(*axes))

    def copy(self) -> Array:
        """An Array with codes of its own.

        Returns
        -------
        Array

        Examples
        --------
        >>> import fpemu as fe
        >>> a = fe.array([1, 2], "int4")
        >>> b = a.copy()
        >>> b[0] = 7
        >>> a
        Array([1, 2], format='int4')
        """
        return self._like(self.codes.copy())

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Array:
        return self.copy()

    def with_profile(self, profile: str | Profile) -> Array:
        """The same codes under other rules.

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

    # -- other formats, other arrays ----------------------------------------------------------------------------------

    def astype(self, fmt: Any, **options: Any) -> Array:
        """The values rounded to another format.

        Parameters
        ----------
        fmt : str, Format or dtype
            The other format; always an Array comes out: `values` are for numpy.
        **options
            As `encode` has them: `profile` (default: the Array's own if it has this format already, else the format's),
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
        return sharing(
            type(self)(np.asarray(encode(self, target, profile=profile, **options)), target, profile), self._rng
        )

    def view(self, dtype: Any) -> Any:
        """The codes as an array of numpy's, ml_dtypes' or torch's own type, in the same memory.

        Parameters
        ----------
        dtype : numpy, ml_dtypes or torch dtype
            One whose codes are this format's, with nothing left over.

        Returns
        -------
        numpy.ndarray or torch.Tensor

        Raises
        ------
        TypeError
            If `dtype` is no dtype.
        ValueError
            If its codes are not this format's.

        See Also
        --------
        asarray : the way back.

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
            except ValueError:  # not every value is one of that type
                pass
        fmt, profile = rules
        codes = np.asarray(encode(self, fmt, profile=profile))
        return codes.view(native).astype(target, copy=False)

    # -- elements -----------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("an Array of no dimension has no length: item() is its number, np.stack joins a list")
        return len(self.codes)

    def __iter__(self) -> Iterator[Array]:
        if self.ndim == 0:
            raise TypeError("an Array of no dimension has no elements to go through: use item()")
        return (self._like(part) for part in self.codes)

    def __contains__(self, x: Any) -> bool:
        return bool(np.any(self == x))

    def __getitem__(self, key: Any) -> Array:
        return self._like(self.codes[key])

    def __setitem__(self, key: Any, value: Any) -> None:
        self.codes[key] = joined(value, self, "A[...] = x")

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
        self._only(f"text as {spec!r} says")
        return format(self.item(), spec)


def checked_generator(rng: int | np.random.Generator, fmt: Format, profile: Profile) -> np.random.Generator:
    """The Generator that `rng` means; a ValueError where nothing would be drawn from it."""
    check_randoms(profile.for_codes(fmt.codes_key).rounding, rng, None, 0)
    return generator_of(rng)

"""Base class of the three kinds of formats: identity, default profile, codes and their values."""

from __future__ import annotations

import dataclasses
import struct
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fpemu.formats.lookup import as_int, brief, check_name
from fpemu.formats.profiles import Profile, profile, profile_names
from fpemu.formats.rules import Stochastic

if TYPE_CHECKING:
    from collections.abc import Iterable
    from fractions import Fraction

    from numpy.typing import NDArray


# The tuple of integers that kernels read; kernels/spec.py names its elements.  They are signed 64-bit integers, and
# their number is fixed, so that all formats have the same numba type; magnitudes of 64 bits wrap.
Spec = tuple[int, ...]

SORTS = ("nan", "infinity", "zero", "negative_zero", "negative", "wrap")
# A rule and a value of it; the sorts of values of which a format must have one; the reason, for messages.
_REQUIREMENTS = (
    ("overflow", "infinity", ("infinity",), "it has no infinity"),
    ("overflow", "nan", ("nan",), "it has no NaN"),
    ("overflow", "wrap", ("wrap",), "only integers whose codes are all in use wrap"),
    ("missing_zero", "nan", ("zero", "nan"), "it has no NaN"),
    ("infinity", "nan", ("nan",), "it has no NaN"),
    ("infinity", "zero", ("zero",), "it has no zero"),
    ("nan", "zero", ("zero",), "it has no zero"),
    ("nan", "negative_zero", ("negative_zero",), "it has no negative zero"),
    ("unsigned_negative", "nan", ("negative", "nan"), "it has no NaN"),
)
_INTEGER_REQUIREMENTS = tuple(
    ("float_to_int_invalid", value, ("wrap",), "not all its codes are in use")
    for value in ("c_x86_64", "c_x86_64_long")
)


def wrap64(value: int) -> int:
    """The signed 64-bit integer with the same bits as an unsigned one."""
    return value - (1 << 64) if value >> 63 == 1 else value


def state_of(what: str, state: Any, names: Iterable[str]) -> dict[str, Any]:
    """The named fields of a pickled state; raise ValueError if one is missing."""
    if not isinstance(state, dict) or not state.keys() >= set(names):
        raise ValueError(f"not a pickled {what}: its state must have {', '.join(names)}")
    return {name: state[name] for name in names}


class BaseFormat:
    """Identity, default profile and codes of a format of any kind."""

    name: str
    bits: int
    profile: Profile
    kind: ClassVar[str]

    def _check_fields(self) -> None:
        """Check the types of the name, integers and bools, and convert integers to int; a default None is kept."""
        check_name(self.name, "a format's name")
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if value is None and field.default is None:
                continue
            if field.type == "int":
                object.__setattr__(self, field.name, as_int(value, field.name))
            elif field.type == "bool" and not isinstance(value, bool):
                raise TypeError(f"{field.name} must be a bool, not {type(value).__name__}")

    def _set_profile(self, rules: Profile | str) -> None:
        """Store the default profile; raise ValueError if it does not apply to the format."""
        object.__setattr__(self, "profile", profile(rules))
        self.check_profile(self.profile)

    def __repr__(self) -> str:
        names = [f.name for f in dataclasses.fields(self) if f.name not in ("name", "profile")]  # type: ignore[arg-type]
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__name__}({self.name!r}, {fields}, profile={self.profile.spelled})"

    @property
    def codes_key(self) -> tuple[Any, ...]:
        """The key of the codes and their values: formats with equal keys have the same codes."""
        raise AssertionError("each kind of format has its own")

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, BaseFormat):
            return NotImplemented
        return self.codes_key == other.codes_key and self.profile == other.profile

    def __hash__(self) -> int:
        # Stored in __dict__: every call looks the format up in caches.
        known = self.__dict__.get("_hash")
        if known is None:
            known = self.__dict__["_hash"] = hash((self.codes_key, self.profile))
        return int(known)

    def __getstate__(self) -> dict[str, Any]:
        # hashes differ between processes
        return {key: value for key, value in self.__dict__.items() if key not in ("_hash", "spec")}

    def __setstate__(self, state: Any) -> None:
        """Restore a pickle or a copy, checked as the constructor checks it."""
        names = [field.name for field in dataclasses.fields(self)]  # type: ignore[arg-type]
        self.__dict__.update(self._made(state_of(type(self).__name__, state, names)).__dict__)

    def _made(self, parameters: dict[str, Any]) -> BaseFormat:
        """A format of these parameters."""
        return type(self)(**parameters)

    def __str__(self) -> str:
        return self.name

    @property
    def code_count(self) -> int:
        """Number of codes: 2^bits, or the length of a codebook."""
        return 1 << self.bits

    @property
    def code_dtype(self) -> str:
        """Name of numpy's smallest unsigned integer type for the codes."""
        return "uint8" if self.bits <= 8 else f"uint{1 << (self.bits - 1).bit_length()}"

    def has(self, what: str) -> bool:
        """Whether the format has values of a sort.

        Parameters
        ----------
        what : {"nan", "infinity", "zero", "negative_zero", "negative", "wrap"}
            "wrap": whether its codes are all the integers modulo 2^bits.

        Returns
        -------
        bool

        Raises
        ------
        ValueError
            If `what` is none of these.

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.dtype("float8_e4m3fn").has("infinity")
        False
        """
        if what not in SORTS:
            raise ValueError(f"unknown sort of values {brief(what)}: allowed are {', '.join(SORTS)}")
        return self._sorts().get(what, False)

    def _sorts(self) -> dict[str, bool]:
        """The sorts of values that the format has; a missing sort counts as False."""
        raise AssertionError("each kind of format has its own")

    def check_profile(self, rules: Profile) -> Profile:
        """Return a profile's rules for this format, after checking that their outcomes exist in it.

        Parameters
        ----------
        rules : Profile

        Returns
        -------
        Profile
            The rules, without rows.

        Raises
        ------
        TypeError
            If `rules` is not a Profile.
        ValueError
            If the outcome of a rule does not exist in this format; the message names the rule.

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.dtype("float4_e2m1fn").check_profile(fe.profile("ieee").replace(overflow="nan"))
        Traceback (most recent call last):
        ...
        ValueError: overflow='nan' does not apply to float4_e2m1fn: it has no NaN
        """
        if not isinstance(rules, Profile):
            raise TypeError(f"rules must be a Profile, which fpemu.profile(name) returns, not {type(rules).__name__}")
        rules = rules.for_codes(self.codes_key)
        for rule, value, sorts, why in _REQUIREMENTS + (_INTEGER_REQUIREMENTS if self.kind == "int" else ()):
            if getattr(rules, rule).value == value and not any(map(self.has, sorts)):
                raise ValueError(f"{rule}={value!r} does not apply to {self.name}: {why}")
        if rules.nan_code is not None and not self.has("nan"):
            raise ValueError(f"nan_code={rules.nan_code:#x} does not apply to {self.name}: it has no NaN")
        if rules.nan_code is not None and not 0 <= rules.nan_code < self.code_count:
            raise ValueError(
                f"nan_code={rules.nan_code:#x} does not apply to {self.name}: its codes have {self.bits} bits"
            )
        if self.kind == "table" and isinstance(rules.rounding, Stochastic):
            raise ValueError(f"rounding='stochastic' does not apply to {self.name}: a codebook has no quantum")
        return rules

    def scaled(self, code: int) -> tuple[int, int]:
        """The finite value of a code as (significand, exponent): significand times 2^exponent.

        Parameters
        ----------
        code : int
            The code of a finite value.

        Returns
        -------
        tuple of int

        Raises
        ------
        ValueError
            If the code is out of range or has no finite value.

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.dtype("float8_e4m3fn").scaled(0x7E)
        (14, 5)
        """
        raise AssertionError("each kind of format has its own")

    def exact(self, code: int) -> Fraction:
        """The finite value of a code, exactly.

        Parameters
        ----------
        code : int

        Returns
        -------
        fractions.Fraction

        Raises
        ------
        ValueError
            If the code is out of range or has no finite value.

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.dtype("float8_e5m2").exact(0x01)
        Fraction(1, 65536)
        """
        from fractions import Fraction  # imported late: `import fpemu` stays light

        significand, exponent = self.scaled(code)
        return Fraction(significand << exponent) if exponent >= 0 else Fraction(significand, 1 << -exponent)

    def value(self, code: int) -> float:
        """The value of a code as a float, NaN and infinities included.

        Parameters
        ----------
        code : int

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If the code is out of range.
        OverflowError
            If the value is beyond float64; see `exact`.

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.dtype("float8_e5m2").value(0xFC)
        -inf
        """
        code = check_code(self, code)
        try:
            significand, exponent = self.scaled(code)
        except ValueError:
            return self._special(code)
        if significand == 0:
            return -0.0 if self._negative(code) else 0.0
        value = exact_float64(significand, exponent)
        if value is None:
            raise OverflowError(
                f"code {code:#x} of {self.name} is {significand} * 2**{exponent}: no float64; use .exact"
            )
        return value

    def values(self) -> NDArray[np.float64]:
        """The values of all codes, in the order of the codes; for formats of at most 16 bits.

        Returns
        -------
        numpy.ndarray of float64, shape (code_count,)

        Raises
        ------
        ValueError
            If the format has more than 16 bits.
        OverflowError
            If a value is beyond float64; see `exact`.

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.dtype("float4_e2m1fn").values()[:8]
        array([0. , 0.5, 1. , 1.5, 2. , 3. , 4. , 6. ])
        """
        if self.bits > 16:
            raise ValueError(
                f"{self.name} has 2^{self.bits} codes: tables of values are limited to 16 bits; decode single codes"
            )
        return np.array([self.value(code) for code in range(self.code_count)])

    def _special(self, code: int) -> float:
        raise AssertionError("only floats have values that are not finite")

    def _negative(self, code: int) -> bool:
        return False

    def profiles(self) -> list[str]:
        """The names of the named profiles that apply to this format.

        Returns
        -------
        list of str

        Examples
        --------
        >>> import fpemu as fe
        >>> "ieee" in fe.dtype("int4").profiles()
        True
        """
        names = []
        for name in profile_names():
            try:
                self.check_profile(profile(name))
            except ValueError:
                continue
            names.append(name)
        return names


def check_code(fmt: BaseFormat, code: Any) -> int:
    """A code as an int; raise TypeError or ValueError if it is not a code of the format."""
    code = as_int(code, "a code")
    if not 0 <= code < fmt.code_count:
        raise ValueError(f"code {code:#x} is out of range: the codes of {fmt.name} are 0 to {fmt.code_count - 1:#x}")
    return int(code)


def odd_scaled(significand: int, exponent: int) -> tuple[int, int]:
    """The same significand times 2^exponent with an odd significand; (0, 0) for zero."""
    if significand == 0:
        return 0, 0
    zeros = (significand & -significand).bit_length() - 1
    return significand >> zeros, exponent + zeros


def exact_float64(significand: int, exponent: int) -> float | None:
    """Significand times 2^exponent as a float64; None if it is not exactly a float64."""
    significand, exponent = odd_scaled(significand, exponent)
    width = significand.bit_length()
    if width > 53 or not -1074 <= exponent <= 1024 - width:
        return None
    if not significand:
        return 0.0
    # built from its bits: the FPU may be set to flush subnormals to zero
    field = max(exponent + width + 1022, 1)
    word = (abs(significand) << (exponent - field + 1075)) + ((field - 1) << 52)
    value: float = struct.unpack("<d", struct.pack("<Q", word | (significand < 0) << 63))[0]
    return value


class Scheme:
    """A format whose codes come in blocks with scales: `fpemu.quantization.ScaledFormat`."""

    name: str
    element: Any
    block: Any
    scale: Any
    scale_rule: Any
    zero_point: Any
    second_level: Any

    @classmethod
    def _parsed(cls, name: str) -> Scheme | None:
        """The scheme that a name describes, or None."""
        raise NotImplementedError

    def __str__(self) -> str:
        return self.name

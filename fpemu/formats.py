"""What a number format is: frozen dataclasses, no arrays, no numba.

A format is a finite set of values, each with a *code* (an unsigned, right-aligned bit pattern).
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fpemu.profiles import (
    IEEE,
    InfinityRule,
    MissingZero,
    NanRule,
    Overflow,
    Profile,
    Stochastic,
    UnsignedNegative,
    profile_names,
)
from fpemu.profiles import profile as named_profile

if TYPE_CHECKING:
    from collections.abc import Iterable
    from fractions import Fraction

    from numpy.typing import NDArray

__all__ = ["FloatFormat", "Format", "IntFormat", "TableFormat", "same_codes"]

# spec, the one fixed-length tuple of integers that kernels read (kernels/spec.py names the places).  Each entry is a
# signed 64-bit integer, so that every format has the same numba type; magnitudes of 64 bits wrap.
Spec = tuple[int, ...]

MAX_EXPONENT_BITS = 24  # 2^2^23 still prints; exponents stay far inside int64
MAX_BIAS = 1 << 25
MAX_FRACTION_BITS = 1 << 20

_NAN_KINDS = ("none", "ieee", "all_ones", "negative_zero")


def _int(value: Any, what: str) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{what} must be an int, not {type(value).__name__}")
    return int(value.__index__())


def _wrap64(value: int) -> int:
    return value - (1 << 64) if value >> 63 == 1 else value


def _name(value: Any) -> None:
    if not isinstance(value, str):
        raise TypeError(f"a format's name must be a str, not {type(value).__name__}")
    if not value:
        raise ValueError("a format's name must not be empty")


class _Base:
    """What the three kinds of format share: identity, default profile, code bounds."""

    name: str
    bits: int
    profile: Profile
    kind: ClassVar[str]

    @property
    def codes_key(self) -> tuple[Any, ...]:
        """What decides the codes and their values: equal keys, same codes."""
        raise AssertionError("each kind of format has its own")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Base):
            return NotImplemented
        return self.codes_key == other.codes_key and self.profile == other.profile

    def __hash__(self) -> int:
        # Kept in __dict__: a format is a key of every call's caches.
        known = self.__dict__.get("_hash")
        if known is None:
            known = self.__dict__["_hash"] = hash((self.codes_key, self.profile))
        return int(known)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_hash"}  # another process hashes anew

    def __str__(self) -> str:
        return self.name

    @property
    def code_count(self) -> int:
        """Number of codes that mean something (2^bits, for a codebook its length)."""
        return 1 << self.bits

    @property
    def code_dtype(self) -> str:
        """Name of the smallest numpy unsigned integer that holds a code."""
        return "uint8" if self.bits <= 8 else f"uint{1 << (self.bits - 1).bit_length()}"

    def has(self, what: str) -> bool:
        """Whether the format has "nan", "infinity", "zero", "negative_zero", "negative" values; whether it can "wrap"."""
        raise AssertionError("each kind of format has its own")

    def check_profile(self, rules: Profile) -> Profile:
        """The knobs of `rules` as they stand for this format, each outcome checked to exist here.

        Parameters
        ----------
        rules : Profile

        Returns
        -------
        Profile
            Without rows.

        Raises
        ------
        ValueError
            If a knob's outcome does not exist in this format; the message says which.

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.dtype("float4_e2m1fn").check_profile(fe.profile("ieee").replace(overflow="nan"))
        Traceback (most recent call last):
        ...
        ValueError: overflow='nan' does not apply to float4_e2m1fn: it has no NaN
        """
        rules = rules.for_codes(self.codes_key)
        lacks: list[tuple[str, Any, bool, str]] = [
            ("overflow", Overflow.INFINITY, not self.has("infinity"), "it has no infinity"),
            ("overflow", Overflow.NAN, not self.has("nan"), "it has no NaN"),
            ("overflow", Overflow.WRAP, not self.has("wrap"), "only integers whose codes are all in use wrap"),
            ("missing_zero", MissingZero.NAN, not self.has("zero") and not self.has("nan"), "it has no NaN"),
            ("infinity", InfinityRule.NAN, not self.has("nan"), "it has no NaN"),
            ("infinity", InfinityRule.ZERO, not self.has("zero"), "it has no zero"),
            ("nan", NanRule.ZERO, not self.has("zero"), "it has no zero"),
            ("nan", NanRule.NEGATIVE_ZERO, not self.has("negative_zero"), "it has no negative zero"),
            (
                "unsigned_negative",
                UnsignedNegative.NAN,
                not self.has("negative") and not self.has("nan"),
                "it has no NaN",
            ),
        ]
        for knob, value, missing, why in lacks:
            if missing and getattr(rules, knob) is value:
                raise ValueError(f"{knob}={value.value!r} does not apply to {self.name}: {why}")
        if rules.nan_code is not None and not self.has("nan"):
            raise ValueError(f"nan_code={rules.nan_code:#x} does not apply to {self.name}: it has no NaN")
        if rules.nan_code is not None and not 0 <= rules.nan_code < self.code_count:
            raise ValueError(f"nan_code={rules.nan_code:#x} does not apply to {self.name}: its codes have {self.bits} bits")
        if self.kind == "table" and isinstance(rules.rounding, Stochastic):
            raise ValueError(f"rounding='stochastic' does not apply to {self.name}: a codebook has no quantum")
        return rules

    def scaled(self, code: int) -> tuple[int, int]:
        """The finite value of a code as (significand, exponent); each kind of format has its own."""
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
            If the code is out of range or not a finite value's.

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
        """What a code stands for, as a float: NaN and infinities too.

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
            If float64 cannot hold the value; see `exact`.

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.dtype("float8_e5m2").value(0xFC)
        -inf
        """
        try:
            significand, exponent = self.scaled(code)
        except ValueError:
            _check_code(self, code)
            return self._special(code)
        if significand == 0:
            return -0.0 if self._negative(code) else 0.0
        value = exact_float64(significand, exponent)
        if value is None:
            raise OverflowError(f"code {code:#x} of {self.name} is {significand} * 2**{exponent}: no float64; use .exact")
        return value

    def values(self) -> NDArray[np.float64]:
        """What every code stands for, in the order of the codes; formats to 16 bits.

        Returns
        -------
        numpy.ndarray of float64, shape (code_count,)

        Raises
        ------
        ValueError
            If the format has more than 16 bits.
        OverflowError
            If float64 cannot hold a value; see `exact`.

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.dtype("float4_e2m1fn").values()[:8]
        array([0. , 0.5, 1. , 1.5, 2. , 3. , 4. , 6. ])
        """
        if self.bits > 16:
            raise ValueError(f"{self.name} has 2^{self.bits} codes: tables of values go to 16 bits; decode the codes you need")
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
                self.check_profile(named_profile(name))
            except ValueError:
                continue
            names.append(name)
        return names


@dataclasses.dataclass(frozen=True, eq=False)
class FloatFormat(_Base):
    """A floating-point format: sign, exponent and trailing significand fields, and what the special codes mean.

    A finite magnitude code with exponent field e and trailing significand t (m = precision - 1 bits) stands for
    (2^m + t) 2^(e - bias - m); with `subnormals`, field 0 stands for t 2^(1 - bias - m) (IEEE 754-2019 clause 3.4).

    Parameters
    ----------
    name : str
        Shown in tables and messages; not part of equality.
    bits : int
        Width of a code, 2 to 64.
    precision : int
        p, significant digits with the implicit one; the trailing significand has p - 1 bits.
    bias : int, optional
        Exponent bias; default 2^(w-1) - 1 for a w-bit exponent field (at least 0).
    signed : bool
    subnormals : bool
        False: exponent field 0 holds normals, except code 0 where `zero`.
    zero : bool
        Whether code 0 is zero.
    infinities : bool
        At top exponent, trailing significand 0 under ``nan="ieee"``, else the largest magnitude code that is not NaN.
    negative_zero : bool, optional
        Default: whether the code of -0 is free to mean it.
    nan : {"ieee", "all_ones", "negative_zero", "none"}
        Which codes are NaN: top exponent with trailing significand not 0; the largest magnitude; the code of -0; none.
    profile : Profile or str
        Rules of a cast to this format where the call gives none.

    Raises
    ------
    ValueError
        If two parameters disagree; the message names them.
    TypeError
        If a parameter is of the wrong kind.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.FloatFormat("mine", bits=8, precision=4, infinities=False, nan="all_ones") == fe.dtype("float8_e4m3fn")
    True
    """

    name: str
    bits: int
    precision: int
    bias: int = None  # type: ignore[assignment]  # worked out when the format is made
    signed: bool = True
    subnormals: bool = True
    zero: bool = True
    infinities: bool = True
    negative_zero: bool = None  # type: ignore[assignment]  # likewise
    nan: str = "ieee"
    profile: Profile = IEEE

    kind: ClassVar[str] = "float"

    def __post_init__(self) -> None:
        _name(self.name)
        for field in ("bits", "precision"):
            object.__setattr__(self, field, _int(getattr(self, field), field))
        for field in ("signed", "subnormals", "zero", "infinities"):
            if not isinstance(getattr(self, field), bool):
                raise TypeError(f"{field} must be a bool, not {type(getattr(self, field)).__name__}")
        if not isinstance(self.nan, str) or self.nan not in _NAN_KINDS:
            raise ValueError(f"unknown nan {self.nan!r}: allowed are {', '.join(_NAN_KINDS)}")
        if not 2 <= self.bits <= 64:
            raise ValueError(f"bits must be 2 to 64, not {self.bits}")
        if not 1 <= self.precision <= self.bits - self.signed:
            raise ValueError(
                f"bits={self.bits} and precision={self.precision} disagree: with signed={self.signed} and an exponent field "
                f"of one bit or more, precision is 1 to {self.bits - self.signed}"
            )
        if self.exponent_bits > MAX_EXPONENT_BITS:
            raise ValueError(
                f"bits={self.bits} and precision={self.precision} disagree: they leave {self.exponent_bits} exponent bits, "
                f"more than {MAX_EXPONENT_BITS}"
            )
        if self.bias is None:
            object.__setattr__(self, "bias", (1 << (self.exponent_bits - 1)) - 1)
        object.__setattr__(self, "bias", _int(self.bias, "bias"))
        if abs(self.bias) > MAX_BIAS:
            raise ValueError(f"bias must be -{MAX_BIAS} to {MAX_BIAS}, not {self.bias}")
        if self.nan == "ieee" and not self.infinities:
            raise ValueError("nan='ieee' and infinities=False disagree: the top exponent holds NaN and infinity; use 'all_ones'")
        if self.nan == "ieee" and self.precision == 1:
            raise ValueError("nan='ieee' and precision=1 disagree: a NaN needs a trailing significand that is not 0")
        if self.subnormals and not self.zero:
            raise ValueError("subnormals=True and zero=False disagree: exponent field 0 with trailing significand 0 is zero")
        if self.nan == "negative_zero" and not (self.signed and self.zero):
            which = "signed" if not self.signed else "zero"
            raise ValueError(f"nan='negative_zero' and {which}=False disagree: there is no code of -0")
        free = self.signed and self.zero and self.nan != "negative_zero"
        if self.negative_zero is None:
            object.__setattr__(self, "negative_zero", free)
        if not isinstance(self.negative_zero, bool):
            raise TypeError(f"negative_zero must be a bool, not {type(self.negative_zero).__name__}")
        if self.negative_zero and not free:
            which = "signed=False" if not self.signed else "zero=False" if not self.zero else "nan='negative_zero'"
            raise ValueError(f"negative_zero=True and {which} disagree: there is no code for it")
        if free and not self.negative_zero:
            raise ValueError(
                f"negative_zero=False and nan={self.nan!r} disagree: the code of -0 would mean nothing; use nan='negative_zero'"
            )
        if self.max_code < (1 if self.zero else 0):
            raise ValueError(
                f"bits={self.bits} and nan={self.nan!r}, infinities={self.infinities} disagree: no finite value but zero is left"
            )
        object.__setattr__(self, "profile", named_profile(self.profile))
        self.check_profile(self.profile)

    def __repr__(self) -> str:
        fields = ", ".join(
            f"{f.name}={getattr(self, f.name)!r}" for f in dataclasses.fields(self) if f.name not in ("name", "profile")
        )
        return f"FloatFormat({self.name!r}, {fields}, profile={self.profile.name!r})"

    @property
    def trailing_bits(self) -> int:
        """M = precision - 1, the bits of the trailing significand."""
        return self.precision - 1

    @property
    def exponent_bits(self) -> int:
        """Width of the exponent field."""
        return self.bits - self.signed - (self.precision - 1)

    @property
    def sign_mask(self) -> int:
        """The sign bit of a code; 0 in an unsigned format."""
        return 1 << (self.bits - 1) if self.signed else 0

    @property
    def magnitude_mask(self) -> int:
        """All bits of a code but the sign."""
        return (1 << (self.bits - self.signed)) - 1

    @property
    def infinity_code(self) -> int | None:
        """The magnitude code of infinity, None without one."""
        if not self.infinities:
            return None
        if self.nan == "ieee":
            return self.magnitude_mask >> self.trailing_bits << self.trailing_bits
        return self.magnitude_mask - (self.nan == "all_ones")

    @property
    def nan_codes(self) -> range:
        """Every NaN's code without its sign bit ("negative_zero": the one code, with it)."""
        top = self.magnitude_mask
        if self.nan == "ieee":
            return range((top >> self.trailing_bits << self.trailing_bits) + 1, top + 1)
        if self.nan == "all_ones":
            return range(top, top + 1)
        if self.nan == "negative_zero":
            return range(self.sign_mask, self.sign_mask + 1)
        return range(0)

    @property
    def nan_code(self) -> int | None:
        """The canonical (quiet, positive) NaN's code, None without one."""
        if self.nan == "ieee":
            return self.nan_codes[0] - 1 + (1 << (self.trailing_bits - 1))
        return self.nan_codes[0] if self.nan != "none" else None

    @property
    def max_code(self) -> int:
        """The magnitude code of the largest finite value."""
        if self.infinity_code is not None:
            return self.infinity_code - 1
        return self.magnitude_mask - (self.nan == "all_ones")

    @property
    def min_code(self) -> int:
        """The magnitude code of the smallest positive value."""
        return 1 if self.zero else 0

    @property
    def min_normal_code(self) -> int:
        """The magnitude code of the smallest normal value (above `max_code` where there is no normal)."""
        return 1 << self.trailing_bits if self.subnormals else self.min_code

    @property
    def emin(self) -> int:
        """Exponent of the smallest normal binade."""
        return (1 if self.subnormals else 0) - self.bias

    @property
    def quantum_exponent(self) -> int:
        """Exponent of the smallest quantum, the spacing in the lowest binade."""
        return self.emin - self.trailing_bits

    @property
    def codes_key(self) -> tuple[Any, ...]:
        """What decides the codes and their values: equal keys, same codes."""
        # Precision 1 has no subnormals to have or lack: with a zero, both ways of saying it give the same values.
        subnormals = self.subnormals or (self.precision == 1 and self.zero)
        return (
            "float", self.bits, self.precision, self.bias, self.signed, subnormals, self.zero, self.infinities, self.nan,
        )  # fmt: skip

    def has(self, what: str) -> bool:
        """Whether the format has "nan", "infinity", "negative_zero", "zero" or "negative" values."""
        return {
            "nan": self.nan != "none",
            "infinity": self.infinities,
            "negative_zero": self.negative_zero,
            "zero": self.zero,
            "negative": self.signed,
        }.get(what, False)

    def scaled(self, code: int) -> tuple[int, int]:
        """The finite value of a code as (significand, exponent), the value being significand times 2^exponent.

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
            If the code is out of range or not a finite value's.

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.dtype("float8_e4m3fn").scaled(0x7E)
        (14, 5)
        """
        _check_code(self, code)
        magnitude = code & self.magnitude_mask
        if magnitude > self.max_code or (self.nan == "negative_zero" and code == self.sign_mask):
            raise ValueError(f"code {code:#x} of {self.name} is not a finite value's")
        sign = -1 if code & self.sign_mask else 1
        field, trailing = magnitude >> self.trailing_bits, magnitude & ((1 << self.trailing_bits) - 1)
        if (magnitude == 0 and self.zero) or (field == 0 and self.subnormals):
            return sign * trailing, self.quantum_exponent
        return sign * (trailing + (1 << self.trailing_bits)), field - self.bias - self.trailing_bits

    def _special(self, code: int) -> float:
        if code & self.magnitude_mask == self.infinity_code:
            return -math.inf if self._negative(code) else math.inf
        return math.nan

    def _negative(self, code: int) -> bool:
        return bool(code & self.sign_mask)

    @property
    def spec(self) -> Spec:
        """The format as the kernels read it: a fixed-length tuple of integers (see `fpemu.kernels.spec`)."""
        return (
            0,
            self.bits,
            self.precision,
            self.quantum_exponent,
            int(self.signed),
            int(self.subnormals),
            int(self.zero),
            _wrap64(self.max_code),
            _wrap64(self.max_code) if self.signed else 0,
            int(self.infinities),
            _NAN_KINDS.index(self.nan),
        )


@dataclasses.dataclass(frozen=True, eq=False)
class IntFormat(_Base):
    """An integer or fixed-point format: a code's integer times 2^-fraction_bits.

    Parameters
    ----------
    name : str
        Shown in tables and messages; not part of equality.
    bits : int
        Width of a code, 1 to 64.
    signed : bool
    fraction_bits : int
        Position of the binary point; may be negative or beyond `bits`.
    symmetric : bool
        The lowest two's complement code is never produced; it decodes to its value and is called noncanonical.
    encoding : {"twos_complement", "sign_magnitude"}
    profile : Profile or str
        Rules of a cast to this format where the call gives none.

    Raises
    ------
    ValueError
        If two parameters disagree; the message names them.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.IntFormat("mine", bits=16, signed=True, fraction_bits=12) == fe.dtype("q3.12")
    True
    """

    name: str
    bits: int
    signed: bool = True
    fraction_bits: int = 0
    symmetric: bool = False
    encoding: str = "twos_complement"
    profile: Profile = IEEE

    kind: ClassVar[str] = "int"

    def __post_init__(self) -> None:
        _name(self.name)
        for field in ("bits", "fraction_bits"):
            object.__setattr__(self, field, _int(getattr(self, field), field))
        for field in ("signed", "symmetric"):
            if not isinstance(getattr(self, field), bool):
                raise TypeError(f"{field} must be a bool, not {type(getattr(self, field)).__name__}")
        if self.encoding not in ("twos_complement", "sign_magnitude"):
            raise ValueError(f"unknown encoding {self.encoding!r}: allowed are twos_complement, sign_magnitude")
        if not 1 <= self.bits <= 64:
            raise ValueError(f"bits must be 1 to 64, not {self.bits}")
        if abs(self.fraction_bits) > MAX_FRACTION_BITS:
            raise ValueError(f"fraction_bits must be -{MAX_FRACTION_BITS} to {MAX_FRACTION_BITS}, not {self.fraction_bits}")
        if self.encoding == "sign_magnitude" and not self.signed:
            raise ValueError("encoding='sign_magnitude' and signed=False disagree: there is no sign")
        if self.encoding == "sign_magnitude" and self.bits == 1:
            raise ValueError("encoding='sign_magnitude' and bits=1 disagree: no magnitude bit is left")
        if self.symmetric and not (self.signed and self.encoding == "twos_complement"):
            which = "signed=False" if not self.signed else "encoding='sign_magnitude'"
            raise ValueError(f"symmetric=True and {which} disagree: only two's complement has a lowest code to leave out")
        if self.symmetric and self.bits == 1:
            raise ValueError("symmetric=True and bits=1 disagree: no value but zero is left")
        object.__setattr__(self, "profile", named_profile(self.profile))
        self.check_profile(self.profile)

    def __repr__(self) -> str:
        fields = ", ".join(
            f"{f.name}={getattr(self, f.name)!r}" for f in dataclasses.fields(self) if f.name not in ("name", "profile")
        )
        return f"IntFormat({self.name!r}, {fields}, profile={self.profile.name!r})"

    @property
    def max_int(self) -> int:
        """The largest value times 2^fraction_bits."""
        return (1 << (self.bits - self.signed)) - 1

    @property
    def min_int(self) -> int:
        """The smallest value that is produced, times 2^fraction_bits."""
        if not self.signed:
            return 0
        return -(1 << (self.bits - 1)) + (self.symmetric or self.encoding == "sign_magnitude")

    @property
    def sign_mask(self) -> int:
        """The sign bit of a code; 0 in an unsigned format."""
        return 1 << (self.bits - 1) if self.signed else 0

    @property
    def codes_key(self) -> tuple[Any, ...]:
        """What decides the codes and their values: equal keys, same codes."""
        return ("int", self.bits, self.signed, self.fraction_bits, self.symmetric, self.encoding)

    def has(self, what: str) -> bool:
        """Whether the format has "nan", "infinity", "negative_zero", "zero" or "negative" values."""
        return {
            "negative_zero": self.encoding == "sign_magnitude",
            "zero": True,
            "negative": self.signed,
            "wrap": self.encoding == "twos_complement" and not self.symmetric,
        }.get(what, False)

    def scaled(self, code: int) -> tuple[int, int]:
        """The value of a code as (integer, exponent), the value being integer times 2^exponent.

        Parameters
        ----------
        code : int

        Returns
        -------
        tuple of int

        Raises
        ------
        ValueError
            If the code is out of range.

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.dtype("int4").scaled(0x0F)
        (-1, 0)
        """
        _check_code(self, code)
        if code & self.sign_mask:
            code = -(code ^ self.sign_mask) if self.encoding == "sign_magnitude" else code - (1 << self.bits)
        return code, -self.fraction_bits

    def _negative(self, code: int) -> bool:
        return bool(code & self.sign_mask)

    @property
    def spec(self) -> Spec:
        """The format as the kernels read it: a fixed-length tuple of integers (see `fpemu.kernels.spec`)."""
        return (
            1 if self.signed and self.encoding == "twos_complement" else 0,
            self.bits,
            64,
            -self.fraction_bits,
            int(self.signed),
            1,
            1,
            _wrap64(self.max_int),
            _wrap64(-self.min_int),
            0,
            0,
        )


@dataclasses.dataclass(frozen=True, eq=False, init=False)
class TableFormat(_Base):
    """A codebook: code i stands for ``values[i]``.

    Among equal values the lowest code is produced; a tie between two values goes to the lower code, unless the
    profile's rounding says otherwise.

    Parameters
    ----------
    name : str
        Shown in tables and messages; not part of equality.
    values : sequence of float
        2 to 65,536 finite values, in the order of their codes.
    profile : Profile or str
        Rules of a cast to this format where the call gives none.

    Raises
    ------
    ValueError
        If there are too few or too many values, or one is not finite.

    Examples
    --------
    >>> import fpemu as fe
    >>> ternary = fe.TableFormat("ternary", [-1, 0, 1])
    >>> ternary.bits
    2
    """

    name: str
    entries: tuple[float, ...]
    profile: Profile
    bits: int

    kind: ClassVar[str] = "table"

    def __init__(self, name: str, values: Iterable[float], profile: Profile | str = IEEE) -> None:
        _name(name)
        given = tuple(values)
        try:
            entries = tuple(float(v) for v in given)
        except (TypeError, ValueError) as error:
            raise TypeError(f"the values of a codebook must be numbers: {error}") from None
        if not 2 <= len(entries) <= 1 << 16:
            raise ValueError(f"a codebook has 2 to 65,536 values, not {len(entries)}")
        for code, (entry, value) in enumerate(zip(entries, given, strict=True)):
            if not math.isfinite(entry):
                raise ValueError(f"the values of a codebook are finite: value {code} is {entry}")
            if entry != value:
                raise ValueError(f"the values of a codebook are float64 numbers: value {code}, {value!r}, is not")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "entries", entries)
        object.__setattr__(self, "bits", (len(entries) - 1).bit_length())
        object.__setattr__(self, "profile", named_profile(profile))
        self.check_profile(self.profile)

    def __repr__(self) -> str:
        return f"TableFormat({self.name!r}, {len(self.entries)} values, bits={self.bits}, profile={self.profile.name!r})"

    @property
    def code_count(self) -> int:
        """Number of codes that mean something: the codebook's length."""
        return len(self.entries)

    @property
    def codes_key(self) -> tuple[Any, ...]:
        """What decides the codes and their values: equal keys, same codes."""
        return ("table", tuple((v, math.copysign(1, v)) for v in self.entries))

    def has(self, what: str) -> bool:
        """Whether the format has "nan", "infinity", "negative_zero", "zero" or "negative" values."""
        if what == "zero":
            return 0.0 in self.entries
        if what == "negative":
            return min(self.entries) < 0
        return False

    def _negative(self, code: int) -> bool:
        return math.copysign(1.0, self.entries[code]) < 0

    def scaled(self, code: int) -> tuple[int, int]:
        """The value of a code as (significand, exponent), the value being significand times 2^exponent."""
        _check_code(self, code)
        numerator, denominator = self.entries[code].as_integer_ratio()
        return numerator, 1 - denominator.bit_length()


Format = FloatFormat | IntFormat | TableFormat


def _check_code(fmt: _Base, code: int) -> None:
    if not 0 <= code < fmt.code_count:
        raise ValueError(f"code {code:#x} is out of range: the codes of {fmt.name} are 0 to {fmt.code_count - 1:#x}")


def exact_float64(significand: int, exponent: int) -> float | None:
    """The float64 that is significand times 2^exponent, None if there is none."""
    zeros = (significand & -significand).bit_length() - 1 if significand else 0
    significand, exponent = significand >> zeros, exponent + zeros  # ldexp rounds; an odd significand shows what fits
    width = significand.bit_length()
    if width > 53 or (significand and not -1074 <= exponent <= 1024 - width):
        return None
    return math.ldexp(significand, exponent)


def same_codes(a: Format, b: Format) -> bool:
    """Whether two formats have the same codes with the same meanings, whatever their names and profiles.

    Parameters
    ----------
    a, b : Format

    Returns
    -------
    bool

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.same_codes(fe.dtype("float8_e4m3fnuz"), fe.dtype("binary8p4sf"))
    True
    >>> fe.dtype("float8_e4m3fnuz") == fe.dtype("binary8p4sf")
    False
    """
    return a.codes_key == b.codes_key

"""Floating-point formats: IEEE 754, OCP's, fnuz, P3109's, and any other."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any, ClassVar

from fpemu.formats.base import BaseFormat, Spec, check_code, wrap64
from fpemu.formats.lookup import brief
from fpemu.formats.profiles import IEEE, Profile, float_key

MAX_EXPONENT_BITS = 24  # 2^2^23 still prints; exponents stay far inside int64
MAX_BIAS = 1 << 25

NAN_KINDS = ("none", "ieee", "all_ones", "negative_zero")


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class FloatFormat(BaseFormat):
    """A floating-point format: sign, exponent and trailing significand fields, and the meaning of special codes.

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
        If False, exponent field 0 encodes normal values, except code 0 if `zero`.
    zero : bool
        Whether code 0 is zero.
    infinities : bool
        Whether there are infinities: with ``nan="ieee"`` at the top exponent with trailing significand 0, otherwise at
        the largest magnitude code that is not NaN.
    negative_zero : bool, optional
        Whether there is a -0; default: True if its code has no other meaning.
    nan : {"ieee", "all_ones", "negative_zero", "none"}
        The NaN codes: top exponent and nonzero trailing significand; the largest magnitude; the code of -0; none.
    profile : Profile or str
        The default rules of casts to this format.

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
    bias: int = None  # type: ignore[assignment]  # set in __post_init__
    signed: bool = True
    subnormals: bool = True
    zero: bool = True
    infinities: bool = True
    negative_zero: bool = None  # type: ignore[assignment]  # set in __post_init__
    nan: str = "ieee"
    profile: Profile = IEEE

    kind: ClassVar[str] = "float"

    def __post_init__(self) -> None:
        self._check_fields()
        if not isinstance(self.nan, str) or self.nan not in NAN_KINDS:
            raise ValueError(f"unknown nan {brief(self.nan)}: allowed are {', '.join(NAN_KINDS)}")
        if not 2 <= self.bits <= 64:
            raise ValueError(f"bits must be 2 to 64, not {self.bits}")
        if not 1 <= self.precision <= self.bits - self.signed:
            raise ValueError(
                f"bits={self.bits} and precision={self.precision} disagree: with signed={self.signed} and an exponent "
                f"field of one bit or more, precision is 1 to {self.bits - self.signed}"
            )
        if self.exponent_bits > MAX_EXPONENT_BITS:
            raise ValueError(
                f"bits={self.bits} and precision={self.precision} disagree: they leave {self.exponent_bits} exponent "
                f"bits, more than {MAX_EXPONENT_BITS}"
            )
        if self.bias is None:
            object.__setattr__(self, "bias", (1 << (self.exponent_bits - 1)) - 1)
        if abs(self.bias) > MAX_BIAS:
            raise ValueError(f"bias must be -{MAX_BIAS} to {MAX_BIAS}, not {self.bias}")
        if self.nan == "ieee" and not self.infinities:
            raise ValueError(
                "nan='ieee' and infinities=False disagree: the top exponent encodes NaN and infinity; use 'all_ones'"
            )
        if self.nan == "ieee" and self.precision == 1:
            raise ValueError("nan='ieee' and precision=1 disagree: a NaN needs a trailing significand that is not 0")
        if self.subnormals and not self.zero:
            raise ValueError(
                "subnormals=True and zero=False disagree: exponent field 0 with trailing significand 0 is zero"
            )
        if self.nan == "negative_zero" and not (self.signed and self.zero):
            which = "signed" if not self.signed else "zero"
            raise ValueError(f"nan='negative_zero' and {which}=False disagree: there is no code of -0")
        free = self.signed and self.zero and self.nan != "negative_zero"
        if self.negative_zero is None:
            object.__setattr__(self, "negative_zero", free)
        if self.negative_zero and not free:
            which = "signed=False" if not self.signed else "zero=False" if not self.zero else "nan='negative_zero'"
            raise ValueError(f"negative_zero=True and {which} disagree: there is no code for it")
        if free and not self.negative_zero:
            raise ValueError(
                f"negative_zero=False and nan={self.nan!r} disagree: the code of -0 would mean nothing; "
                "use nan='negative_zero'"
            )
        if self.max_code < (1 if self.zero else 0):
            raise ValueError(
                f"bits={self.bits} and nan={self.nan!r}, infinities={self.infinities} disagree: "
                "no finite value but zero is left"
            )
        self._set_profile(self.profile)

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
        """The magnitude code of infinity; None if the format has none."""
        if not self.infinities:
            return None
        if self.nan == "ieee":
            return self.magnitude_mask >> self.trailing_bits << self.trailing_bits
        return self.magnitude_mask - (self.nan == "all_ones")

    @property
    def nan_codes(self) -> range:
        """The magnitude codes of NaNs; with nan="negative_zero" the single code, which includes the sign bit."""
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
        """The code of the canonical NaN (quiet, positive); None if the format has none."""
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
        """The magnitude code of the smallest normal value (above `max_code` if no value is normal)."""
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
        """The key of the codes and their values: formats with equal keys have the same codes."""
        flags = ("signed", "subnormals", "zero", "infinities", "nan")
        return float_key(self.bits, self.precision, self.bias, **{flag: getattr(self, flag) for flag in flags})

    def _sorts(self) -> dict[str, bool]:
        return {
            "nan": self.nan != "none",
            "infinity": self.infinities,
            "negative_zero": self.negative_zero,
            "zero": self.zero,
            "negative": self.signed,
        }

    def scaled(self, code: int) -> tuple[int, int]:
        code = check_code(self, code)
        magnitude = code & self.magnitude_mask
        if magnitude > self.max_code or (self.nan == "negative_zero" and code == self.sign_mask):
            raise ValueError(f"code {code:#x} of {self.name} has no finite value")
        sign = -1 if code & self.sign_mask else 1
        field, trailing = magnitude >> self.trailing_bits, magnitude & ((1 << self.trailing_bits) - 1)
        if (magnitude == 0 and self.zero) or (field == 0 and self.subnormals):
            return sign * trailing, self.quantum_exponent
        return sign * (trailing + (1 << self.trailing_bits)), field - self.bias - self.trailing_bits

    def from_float32_bits(self, bits: Any) -> Any:
        """Cut off the low bits of float32 numbers, as matrix units do to read tf32 operands.

        Nothing is rounded; `encode` rounds.  A NaN whose remaining payload is 0 becomes an infinity.

        Parameters
        ----------
        bits : int or numpy.ndarray of uint32
            float32 numbers as their bits.

        Returns
        -------
        int or numpy.ndarray
            Codes, in the type of `bits`.

        Raises
        ------
        ValueError
            If the format lacks float32's sign and exponent fields.

        Examples
        --------
        >>> import fpemu as fe
        >>> hex(fe.dtype("tfloat32").from_float32_bits(0x3F80FFFF))
        '0x1fc07'
        """
        shape = (self.signed, self.subnormals, self.nan, self.bias, self.exponent_bits)
        if shape != (True, True, "ieee", 127, 8) or self.bits > 32:
            raise ValueError(f"{self.name} does not have float32's sign and exponent fields: use encode")
        return bits >> (32 - self.bits)

    def _special(self, code: int) -> float:
        if code & self.magnitude_mask == self.infinity_code:
            return -math.inf if self._negative(code) else math.inf
        return math.nan

    def _negative(self, code: int) -> bool:
        return bool(code & self.sign_mask)

    @functools.cached_property
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
            wrap64(self.max_code),
            wrap64(self.max_code) if self.signed else 0,
            int(self.infinities),
            NAN_KINDS.index(self.nan),
        )


FLOAT16 = FloatFormat("float16", 16, 11)
BFLOAT16 = FloatFormat("bfloat16", 16, 8)
FLOAT32 = FloatFormat("float32", 32, 24)
FLOAT64 = FloatFormat("float64", 64, 53)

"""Integers and fixed point."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, ClassVar

from fpemu.formats.base import BaseFormat, Spec, check_code, wrap64
from fpemu.formats.lookup import brief
from fpemu.formats.profiles import IEEE, Profile, int_key

MAX_FRACTION_BITS = 1 << 20


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class IntFormat(BaseFormat):
    """An integer or fixed-point format: its values are integers times 2^-fraction_bits.

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
        Whether the lowest two's complement code is never produced; it still decodes, and is called noncanonical.
    encoding : {"twos_complement", "sign_magnitude"}
    profile : Profile or str
        The default rules of casts to this format.

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
        self._check_fields()
        if self.encoding not in ("twos_complement", "sign_magnitude"):
            raise ValueError(f"unknown encoding {brief(self.encoding)}: allowed are twos_complement, sign_magnitude")
        if not 1 <= self.bits <= 64:
            raise ValueError(f"bits must be 1 to 64, not {self.bits}")
        if abs(self.fraction_bits) > MAX_FRACTION_BITS:
            raise ValueError(
                f"fraction_bits must be -{MAX_FRACTION_BITS} to {MAX_FRACTION_BITS}, not {self.fraction_bits}"
            )
        if self.encoding == "sign_magnitude" and not self.signed:
            raise ValueError("encoding='sign_magnitude' and signed=False disagree: there is no sign")
        if self.encoding == "sign_magnitude" and self.bits == 1:
            raise ValueError("encoding='sign_magnitude' and bits=1 disagree: no magnitude bit is left")
        if self.symmetric and not (self.signed and self.encoding == "twos_complement"):
            which = "signed=False" if not self.signed else "encoding='sign_magnitude'"
            raise ValueError(
                f"symmetric=True and {which} disagree: only two's complement has a lowest code to leave out"
            )
        if self.symmetric and self.bits == 1:
            raise ValueError("symmetric=True and bits=1 disagree: no value but zero is left")
        self._set_profile(self.profile)

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
        """The key of the codes and their values: formats with equal keys have the same codes."""
        options = ("signed", "fraction_bits", "symmetric", "encoding")
        return int_key(self.bits, **{option: getattr(self, option) for option in options})

    def _sorts(self) -> dict[str, bool]:
        return {
            "negative_zero": self.encoding == "sign_magnitude",
            "zero": True,
            "negative": self.signed,
            "wrap": self.encoding == "twos_complement" and not self.symmetric,
        }

    def scaled(self, code: int) -> tuple[int, int]:
        """The value of a code as (integer, exponent): integer times 2^exponent.

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
        code = check_code(self, code)
        if code & self.sign_mask:
            code = -(code ^ self.sign_mask) if self.encoding == "sign_magnitude" else code - (1 << self.bits)
        return code, -self.fraction_bits

    def _negative(self, code: int) -> bool:
        return bool(code & self.sign_mask)

    @functools.cached_property
    def spec(self) -> Spec:
        """The format as the kernels read it: a fixed-length tuple of integers (see `fpemu.kernels.spec`)."""
        return (
            1 if self.signed and self.encoding == "twos_complement" else 2,
            self.bits,
            64,
            -self.fraction_bits,
            int(self.signed),
            1,
            1,
            wrap64(self.max_int),
            wrap64(-self.min_int),
            0,
            0,
        )


INT8, INT32, INT64 = (IntFormat(f"int{bits}", bits) for bits in (8, 32, 64))

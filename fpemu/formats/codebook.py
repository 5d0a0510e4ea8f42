"""Codebooks: a format that lists its values."""

from __future__ import annotations

import dataclasses
import math
import struct
from collections.abc import Iterable
from typing import Any, ClassVar

from fpemu.formats.base import BaseFormat, check_code, odd_scaled
from fpemu.formats.lookup import check_name
from fpemu.formats.profiles import IEEE, Profile


@dataclasses.dataclass(frozen=True, eq=False, init=False)
class TableFormat(BaseFormat):
    """A codebook: code i stands for ``values[i]``.

    Of equal values, only the lowest code is produced; a tie between two values goes to the lower code, unless the
    profile's rounding decides it.

    Parameters
    ----------
    name : str
        Shown in tables and messages; not part of equality.
    values : sequence of float
        2 to 65,536 finite values, in the order of their codes.
    profile : Profile or str
        The default rules of casts to this format.

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
        check_name(name, "a format's name")
        given = tuple(values)
        if any(isinstance(v, complex) or getattr(getattr(v, "dtype", None), "kind", "f") == "c" for v in given):
            raise TypeError("the values of a codebook must be real numbers, not complex")
        if any(getattr(v, "mask", False) for v in given):
            raise TypeError("the values of a codebook must be numbers, and none masked")
        try:
            entries = tuple(float(v) for v in given)
        except OverflowError:
            raise ValueError("the values of a codebook are float64 numbers: one of them is beyond 2**1024") from None
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
        self._set_profile(profile)

    def _made(self, parameters: dict[str, Any]) -> TableFormat:
        return TableFormat(parameters["name"], parameters["entries"], parameters["profile"])

    def __repr__(self) -> str:
        if len(self.entries) > 256:  # too long to read
            return f"<TableFormat {self.name!r}: {len(self.entries)} values, profile={self.profile.spelled}>"
        return f"TableFormat({self.name!r}, {list(self.entries)!r}, profile={self.profile.spelled})"

    @property
    def code_count(self) -> int:
        """Number of codes: the codebook's length."""
        return len(self.entries)

    @property
    def codes_key(self) -> tuple[Any, ...]:
        """The key of the codes and their values: formats with equal keys have the same codes."""
        return ("table", tuple((v, math.copysign(1, v)) for v in self.entries))

    def _sorts(self) -> dict[str, bool]:
        return {"zero": 0.0 in self.entries, "negative": min(self.entries) < 0}

    def _negative(self, code: int) -> bool:
        return math.copysign(1.0, self.entries[code]) < 0

    def scaled(self, code: int) -> tuple[int, int]:
        return _scaled(self.entries[check_code(self, code)])


def _scaled(value: float) -> tuple[int, int]:
    """A float as (significand, exponent): exponent 0 for whole numbers, otherwise an odd significand.

    Computed from the float's bits: the FPU may be set to flush subnormals to zero.
    """
    (word,) = struct.unpack("<Q", struct.pack("<d", value))
    field, trailing = word >> 52 & 0x7FF, word & ((1 << 52) - 1)
    magnitude = trailing + ((1 << 52) if field else 0)
    significand, exponent = odd_scaled(-magnitude if word >> 63 else magnitude, max(field, 1) - 1075)
    return (significand, exponent) if exponent < 0 else (significand << exponent, 0)

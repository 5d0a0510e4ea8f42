"""Limits of formats: `finfo`, `iinfo`, and `describe` for any format."""

from __future__ import annotations

from collections import Counter
from typing import Any

from fpemu.formats.codebook import TableFormat
from fpemu.formats.facts.limits import FloatInfo, Limits, ScaledInteger
from fpemu.formats.floats import FloatFormat
from fpemu.formats.integers import IntFormat
from fpemu.formats.kinds import Format
from fpemu.formats.registry import dtype

_RANGES = ("dynamic_range_db", "binades", "decades")
_COUNTS = ("code_count", "zero_count", "noncanonical_count")


class IntInfo(Limits):
    """The limits of an integer or fixed-point format; made by `iinfo`, where the fields are described."""

    format: IntFormat

    numbers = ("max", "min", "quantum")
    fields = ("bits", *numbers, *_RANGES, *_COUNTS)

    def dyadic(self, field: str) -> ScaledInteger | None:
        return super().dyadic(field) if field in ("max", "min") else (1, -self.format.fraction_bits)

    def _value(self, field: str) -> float:
        """The value of a field: an int for integers, a float in fixed point."""
        number = self.dyadic(field)
        return number[0] << number[1] if number and number[1] >= 0 else super()._value(field)

    @property
    def quantum(self) -> float:
        """The spacing of the values: 1, in fixed point 2^-fraction_bits."""
        return self._value("quantum")

    @property
    def kind(self) -> str:
        """The letter for the kind, as in numpy: "i" signed, "u" unsigned."""
        return "i" if self.format.signed else "u"

    @property
    def zero_count(self) -> int:
        """The number of codes that are zero."""
        return 1 + self.format.has("negative_zero")

    @property
    def noncanonical_count(self) -> int:
        """The number of codes that decode and are never produced: a symmetric format's lowest."""
        return int(self.format.symmetric)

    def _layout(self) -> str:
        fmt = self.format
        encoding = "unsigned" if not fmt.signed else fmt.encoding.replace("_", " ").replace("twos", "two's")
        point = f", {fmt.fraction_bits} fraction bits" if fmt.fraction_bits else ""
        return f"{fmt.bits} bit{'s' * (fmt.bits > 1)}: {encoding}{point}{', symmetric' if fmt.symmetric else ''}"

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.name})"


class TableInfo(Limits):
    """The limits of a codebook; made by `describe`."""

    format: TableFormat

    numbers = ("max", "min", "smallest_positive")
    fields = ("bits", *numbers, *_RANGES, *_COUNTS)

    def dyadic(self, field: str) -> ScaledInteger | None:
        if field in ("max", "min"):
            return super().dyadic(field)
        positive = [value for value in self.format.entries if value > 0]
        return self.format.scaled(self.format.entries.index(min(positive))) if positive else None

    @property
    def smallest_positive(self) -> float:
        """The smallest positive value; NaN if the format has none."""
        return self._value("smallest_positive")

    @property
    def zero_count(self) -> int:
        """The number of codes that are zero."""
        return self.format.entries.count(0.0)

    @property
    def noncanonical_count(self) -> int:
        """The number of codes that decode and are never produced: all but the lowest of equal values."""
        return sum(count - 1 for count in Counter(self.format.entries).values())

    def _layout(self) -> str:
        return f"{self.bits} bit{'s' * (self.bits > 1)}: a codebook of {self.code_count} values"

    def __repr__(self) -> str:
        return f"TableInfo(min={self.min}, max={self.max}, dtype={self.name})"


Info = FloatInfo | IntInfo | TableInfo


def finfo(fmt: Any) -> FloatInfo:
    """The limits of a floating-point format: the fields of `numpy.finfo` and more.

    Parameters
    ----------
    fmt : str, Format or dtype
        A floating-point format, as `dtype` takes it.

    Returns
    -------
    FloatInfo
        With numpy's fields in numpy's meaning: bits, dtype, eps, epsneg, iexp, machep, max, maxexp, min, minexp,
        negep, nexp, nmant, precision (decimal digits; p is the format's own `precision`), resolution, tiny,
        smallest_normal, smallest_subnormal.  Beyond numpy's: emin, emax, dynamic_range_db, binades, decades;
        code_count, nan_count, infinity_count, zero_count, subnormal_count, normal_count, noncanonical_count;
        `exact`, the same fields as Fractions; `to_dict()`.  It prints as a block of text.

    Raises
    ------
    ValueError
        If the format is not floating-point.
    OverflowError
        On access to a field whose value is beyond float64; see `exact`.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.finfo("bfloat16").eps
    0.0078125
    >>> print(fe.finfo("float8_e4m3"))
    float8_e4m3
    also Float8E4M3, f8E4M3
    IEEE-like, max 240; torch's is float8_e4m3fn
    8 bits: 1 sign, 4 exponent (bias 7, emin -6, emax 7), 3 trailing significand: precision p = 4
      max                 240           = 15 * 2**4
      min                 -240          = -15 * 2**4
      smallest normal     0.015625      = 2**-6
      smallest subnormal  0.00195312    ~ 2**-9
      eps                 0.125         = 2**-3
      epsneg              0.0625        = 2**-4
      dynamic range       101.8 dB, 17 binades, 5.09 decades
      codes               256, of them 14 NaN, 2 infinite, 2 zero, 14 subnormal, 224 normal
      cast                profile ieee: rounding nearest_even, overflow standard (to nearest: infinity), infinity
                          standard (infinity), nan standard (NaN)
    """
    info = describe(fmt)
    if not isinstance(info, FloatInfo):
        raise ValueError(
            f"{info.name} is not a floating-point format: use fe.iinfo for integers, fe.describe for any format"
        )
    return info


def iinfo(fmt: Any) -> IntInfo:
    """The limits of an integer or fixed-point format: the fields of `numpy.iinfo` and more.

    Parameters
    ----------
    fmt : str, Format or dtype
        An integer or fixed-point format, as `dtype` takes it.

    Returns
    -------
    IntInfo
        With min, max, bits, kind ("i" or "u"), dtype; beyond numpy's: quantum (the spacing of the values),
        dynamic_range_db, binades, decades; code_count, zero_count, noncanonical_count; `exact`, `to_dict()`.

    Raises
    ------
    ValueError
        If the format is neither.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.iinfo("int4")
    iinfo(min=-8, max=7, dtype=int4)
    >>> fe.iinfo("q3.12").exact.max
    Fraction(32767, 4096)
    """
    info = describe(fmt)
    if not isinstance(info, IntInfo):
        raise ValueError(f"{info.name} is not an integer format: use fe.finfo for floats, fe.describe for any format")
    return info


def describe(fmt: Any) -> Info:
    """The limits of any format, as returned by `finfo` or `iinfo`, or of a codebook.

    Parameters
    ----------
    fmt : str, Format or dtype

    Returns
    -------
    FloatInfo, IntInfo or TableInfo

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.describe("nf4")
    TableInfo(min=-1.0, max=1.0, dtype=nf4)
    """
    target: Format = dtype(fmt)
    if isinstance(target, FloatFormat):
        return FloatInfo(target)
    return IntInfo(target) if isinstance(target, IntFormat) else TableInfo(target)

"""One code taken apart: its fields, its class, its exact value, the codes of the values beside it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from fpemu.array import Array
from fpemu.classes import NumberClass, classify
from fpemu.formats import FloatFormat, Format, TableFormat
from fpemu.infotext import dyadic_text
from fpemu.neighbours import next_down, next_up

if TYPE_CHECKING:
    from fractions import Fraction

__all__ = ["Code", "exact_text", "fields", "floor_log2", "neighbour"]

DIGITS = 20  # significant decimal digits of an exact value in print


def fields(fmt: Format) -> list[tuple[str, int]]:
    """The fields of a code from its top bit, with their widths; none is empty.

    Parameters
    ----------
    fmt : Format

    Returns
    -------
    list of (str, int)

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.anatomy import fields
    >>> fields(fe.dtype("float8_e5m2"))
    [('sign', 1), ('exponent', 5), ('trailing', 2)]
    """
    if isinstance(fmt, TableFormat):
        return [("index", fmt.bits)]
    if isinstance(fmt, FloatFormat):
        found = [("sign", int(fmt.signed)), ("exponent", fmt.exponent_bits), ("trailing", fmt.trailing_bits)]
    else:
        magnitude = fmt.bits - fmt.signed
        fraction = fmt.fraction_bits if 0 < fmt.fraction_bits <= magnitude else 0
        found = [("sign", int(fmt.signed)), ("integer", magnitude - fraction), ("fraction", fraction)]
    return [(name, width) for name, width in found if width]


@dataclasses.dataclass(frozen=True)
class Code:
    """A code of a format.

    Parameters
    ----------
    format : Format
    code : int

    Raises
    ------
    ValueError
        If the code is out of range.

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.anatomy import Code
    >>> code = Code(fe.dtype("float8_e5m2"), 0x2E)
    >>> code.hex, code.fields, code.kind, code.text
    ('0x2E', [('sign', '0'), ('exponent', '01011'), ('trailing', '10')], 'positive normal', '0.09375')
    """

    format: Format
    code: int

    def __post_init__(self) -> None:
        if not 0 <= self.code < self.format.code_count:
            raise ValueError(
                f"code {self.code:#x} is out of range: the codes of {self.format.name} are "
                f"0 to {self.format.code_count - 1:#x}"
            )

    @property
    def hex(self) -> str:
        """The code in hexadecimal, as wide as the format."""
        return f"0x{self.code:0{-(-self.format.bits // 4)}X}"

    @property
    def fields(self) -> list[tuple[str, str]]:
        """The names of the fields, each with its bits."""
        bits, found = f"{self.code:0{self.format.bits}b}", []
        for name, width in fields(self.format):
            found.append((name, bits[:width]))
            bits = bits[width:]
        return found

    @property
    def special(self) -> str | None:
        """What is not finite in words, "NaN", "inf" or "-inf"; None for a finite value."""
        try:
            self.format.scaled(self.code)
        except ValueError:
            return str(self.format.value(self.code)).replace("nan", "NaN")
        return None

    @property
    def exact(self) -> Fraction | None:
        """The value, exactly; None if it is not finite."""
        return self.format.exact(self.code) if self.special is None else None

    @property
    def kind(self) -> str:
        """The class of the code as `classify` has it, "positive normal", "quiet NaN"."""
        kind = classify(self.code, self.format)
        assert isinstance(kind, NumberClass)
        return kind.name.lower().replace("_", " ").replace("nan", "NaN")

    @property
    def text(self) -> str:
        """The value in decimal, exactly where that is short; else its first digits, or as "3 * 2**-1080"."""
        if self.special is not None:
            return self.special
        significand, exponent = self.format.scaled(self.code)
        if significand == 0 and self.code != 0 and self.format.has("negative_zero"):
            return "-0"
        return exact_text(significand, exponent)

    def to_dict(self) -> dict[str, Any]:
        """Everything by name, fit for JSON."""
        exact = self.exact
        return {
            "code": self.code,
            "hex": self.hex,
            "fields": dict(self.fields),
            "kind": self.kind,
            "value": self.text,
            "exact": None if exact is None else str(exact),
        }


def exact_text(significand: int, exponent: int) -> str:
    """A significand times 2^exponent in decimal: in full to 20 digits, else the first ones and an ellipsis.

    Examples
    --------
    >>> from fpemu.anatomy import exact_text
    >>> exact_text(3, -5), exact_text(3602879701896397, -55)
    ('0.09375', '0.10000000000000000555…')
    """
    if significand == 0:
        return "0"
    if abs(exponent) + significand.bit_length() > 1200:
        return dyadic_text(significand, exponent)
    sign = "-" if significand < 0 else ""
    places = max(-exponent, 0)  # decimals: 2^-k is 5^k over 10^k
    digits = str(abs(significand) * (5**places if places else 2**exponent))
    point = len(digits) - places  # where the decimal point stands, counted from the first digit
    digits = digits.rstrip("0")
    cut = "…" if len(digits) > DIGITS else ""
    digits = digits[:DIGITS]
    if not -5 < point <= DIGITS:
        mantissa = digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "")
        return f"{sign}{mantissa}{cut}e{point - 1:+d}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}{cut}"
    whole, fraction = digits[:point].ljust(point, "0"), digits[point:]
    return f"{sign}{whole}{'.' if fraction or cut else ''}{fraction}{cut}"


def floor_log2(x: Fraction) -> int:
    """The largest integer e with 2^e <= x, for x > 0."""
    exponent = x.numerator.bit_length() - x.denominator.bit_length()
    bound = (x.denominator << exponent) if exponent >= 0 else x.denominator
    number = x.numerator if exponent >= 0 else x.numerator << -exponent
    return exponent if number >= bound else exponent - 1


def neighbour(fmt: Format, code: int, up: bool) -> int | None:
    """The code of the next value above or below a code's; infinities are values, the two zeros one.

    Parameters
    ----------
    fmt : Format
    code : int
        Not NaN's.
    up : bool

    Returns
    -------
    int or None
        None at the end of the range.

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.anatomy import neighbour
    >>> neighbour(fe.dtype("float8_e4m3fn"), 0x7E, up=True), neighbour(fe.dtype("int4"), 0, up=False)
    (None, 15)
    """
    one = Array.from_codes(np.array([code], fmt.code_dtype), fmt)
    beside = Code(fmt, int((next_up(one) if up else next_down(one)).codes[0]))
    return None if beside.code == code or beside.special == "NaN" else beside.code

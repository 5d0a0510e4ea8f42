"""One code: its fields, class, exact value and neighbours, and an explanation of its value."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any

import numpy as np

from fpemu.arithmetic import classify, next_down, next_up
from fpemu.arrays import Array
from fpemu.formats import Format, IntFormat, TableFormat
from fpemu.formats.facts.codes import NumberClass, code_fields
from fpemu.formats.facts.text import dyadic_in_decimal, number_fact, ratio_text

__all__ = ["Code", "Explanation", "ExplanationStep", "explain_code", "neighbour"]


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
    >>> from fpemu.inspection.code import Code
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
        bits, named = f"{self.code:0{self.format.bits}b}", []
        for name, width in code_fields(self.format):
            named.append((name, bits[:width]))
            bits = bits[width:]
        return named

    @property
    def special(self) -> str | None:
        """The value if it is not finite, as "NaN", "inf" or "-inf"; None for a finite value."""
        try:
            self.format.scaled(self.code)
        except ValueError:
            return str(self.format.value(self.code)).replace("nan", "NaN")
        return None

    @property
    def exact(self) -> Fraction | None:
        """The exact value; None if it is not finite."""
        return self.format.exact(self.code) if self.special is None else None

    @property
    def kind(self) -> str:
        """The class of the code in words, as `classify` gives it: "positive normal", "quiet NaN"."""
        kind = classify(self.code, self.format)
        assert isinstance(kind, NumberClass)
        return kind.words

    @property
    def text(self) -> str:
        """The value in decimal: exact if that is short, else its first digits, or "3 * 2**-1080"."""
        if self.special is not None:
            return self.special
        significand, exponent = self.format.scaled(self.code)
        if significand == 0 and self.code != 0 and self.format.has("negative_zero"):
            return "-0"
        return dyadic_in_decimal(significand, exponent)

    @property
    def data(self) -> str:
        """The value for files: `text` if that is exact, else the value as a float, else in hexadecimal.

        `fpemu` reads the same value back, and so does `float` if a float64 holds it.

        Examples
        --------
        >>> import fpemu as fe
        >>> from fpemu.inspection.code import Code
        >>> one = Code(fe.dtype("bfloat16"), 0x0001)
        >>> one.text, one.data, float(one.data) == 2.0**-133
        ('9.1835496157991211560…e-41', '9.183549615799121e-41', True)
        """
        text = self.text
        if "…" not in text and "*" not in text:
            return text
        try:
            return repr(self.format.value(self.code))
        except OverflowError:
            significand, exponent = self.format.scaled(self.code)
            return f"{'-' if significand < 0 else ''}{abs(significand):#x}p{exponent:+d}"

    def to_dict(self) -> dict[str, Any]:
        """All properties by name, ready for JSON."""
        exact = self.exact
        return {
            "code": self.code,
            "hex": self.hex,
            "fields": dict(self.fields),
            "kind": self.kind,
            "value": self.data,
            "exact": None if exact is None else ratio_text(exact),
        }


def neighbour(fmt: Format, code: int, up: bool) -> int | None:
    """Return the code of the next value above or below a code's; infinities are values, and both zeros are one value.

    Parameters
    ----------
    fmt : Format
    code : int
        Not a NaN.
    up : bool

    Returns
    -------
    int or None
        None at the end of the range.

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.inspection.code import neighbour
    >>> neighbour(fe.dtype("float8_e4m3fn"), 0x7E, up=True), neighbour(fe.dtype("int4"), 0, up=False)
    (None, 15)
    """
    one = Array.from_codes(np.array([code], fmt.code_dtype), fmt)
    beside = Code(fmt, int((next_up(one) if up else next_down(one)).codes[0]))
    return None if beside.code == code or beside.special == "NaN" else beside.code


@dataclasses.dataclass(frozen=True)
class ExplanationStep:
    """One step of an explanation.

    Parameters
    ----------
    title, text : str
    """

    title: str
    text: str


@dataclasses.dataclass(frozen=True)
class Explanation:
    """The steps from a number to a code, or from a code to its value.

    Parameters
    ----------
    result : Code
    steps : tuple of ExplanationStep
    source : Fraction, float, str or None
        The number; a float if it is not finite, text ("~2**1000000") if it has too many digits, None for a given code.
    rounded : Fraction or None
        The source rounded to the format's precision, before overflow and the other rules; None if nothing is rounded.
    """

    result: Code
    steps: tuple[ExplanationStep, ...]
    source: Fraction | float | str | None = None
    rounded: Fraction | None = None

    @property
    def error(self) -> Fraction | None:
        """The result minus the source; None if either is not finite."""
        exact = self.result.exact
        return exact - self.source if isinstance(self.source, Fraction) and exact is not None else None

    @property
    def relative_error(self) -> Fraction | None:
        """The error's magnitude divided by the source's; None if there is no such ratio."""
        if self.error is None or not isinstance(self.source, Fraction) or self.source == 0:
            return None
        return abs(self.error / self.source)

    @property
    def neighbours(self) -> tuple[Code | None, Code | None]:
        """The next values below and above the result's; None at an end of the range and for NaN."""
        if self.result.special == "NaN":
            return None, None
        fmt = self.result.format
        below, above = (neighbour(fmt, self.result.code, up) for up in (False, True))
        return (None if below is None else Code(fmt, below)), (None if above is None else Code(fmt, above))

    def _words(self) -> str | None:
        """The source in words, if it is not a fraction."""
        return self.source if self.source is None or isinstance(self.source, str) else str(self.source)

    def to_dict(self) -> dict[str, Any]:
        """All properties by name, ready for JSON; exact numbers are fractions in text."""
        below, above = self.neighbours
        return {
            "format": self.result.format.name,
            "source": ratio_text(self.source) if isinstance(self.source, Fraction) else self._words(),
            **self.result.to_dict(),
            "below": None if below is None else below.to_dict(),
            "above": None if above is None else above.to_dict(),
            "error": None if self.error is None else ratio_text(self.error),
            "relative_error": number_fact(self.relative_error),
            "steps": [dataclasses.asdict(step) for step in self.steps],
        }


def explain_code(code: int, fmt: Format) -> Explanation:
    """Explain step by step which value a code stands for.

    Parameters
    ----------
    code : int
    fmt : Format

    Returns
    -------
    Explanation

    Raises
    ------
    ValueError
        If the code is out of range.

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.inspection.code import explain_code
    >>> for step in explain_code(0x2E, fe.dtype("float8_e5m2")).steps:
    ...     print(f"{step.title}: {step.text}")
    exponent: field 11 less the bias 15: 2**-4
    significand: 1.10 in binary, 6 * 2**-2
    value: 6 * 2**-2 * 2**-4 = 0.09375
    """
    result = Code(fmt, code)
    if result.special is not None:
        return Explanation(result, (ExplanationStep("value", f"{result.hex} stands for {result.text}"),))
    significand, exponent = fmt.scaled(code)
    if isinstance(fmt, TableFormat):
        return Explanation(result, (ExplanationStep("value", f"entry {code} of the codebook: {result.text}"),))
    if isinstance(fmt, IntFormat):
        scale = f" * 2**{exponent}" if exponent else ""
        encoding = "unsigned" if not fmt.signed else fmt.encoding.replace("_", " ").replace("twos", "two's")
        return Explanation(result, (ExplanationStep("value", f"{significand}{scale} in {encoding}: {result.text}"),))
    if significand == 0:
        return Explanation(
            result, (ExplanationStep("value", f"exponent field and trailing significand 0: {result.text}"),)
        )
    m, bits = fmt.trailing_bits, dict(result.fields)
    binade = exponent + m
    field = int(bits["exponent"], 2)
    if result.kind.endswith("subnormal"):
        first = f"field 0: subnormal, the lowest exponent, 1 less the bias {fmt.bias}: 2**{binade}"
    else:
        first = f"field {field} less the bias {fmt.bias}: 2**{binade}"
    steps = [ExplanationStep("exponent", first)]
    if m:
        leading = abs(significand) >> m
        steps.append(
            ExplanationStep("significand", f"{leading}.{bits['trailing']} in binary, {abs(significand)} * 2**-{m}")
        )
    quantum = f"2**-{m} * 2**{binade}" if m else f"2**{binade}"
    steps.append(ExplanationStep("value", f"{significand} * {quantum} = {result.text}"))
    return Explanation(result, tuple(steps))

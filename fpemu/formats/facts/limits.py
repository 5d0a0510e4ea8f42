"""Fields common to all infos; `FloatInfo`; the text of an info.

Every value is computed exactly, as significand times 2^exponent, and converted to a float last.
"""

from __future__ import annotations

import dataclasses
import math
import textwrap
from typing import TYPE_CHECKING, Any, ClassVar

from fpemu.formats.base import exact_float64
from fpemu.formats.facts.exactness import end_codes
from fpemu.formats.facts.text import decimal_text, dyadic_text
from fpemu.formats.floats import FloatFormat
from fpemu.formats.kinds import Format
from fpemu.formats.profiles import Profile
from fpemu.formats.registry import aliases, note

if TYPE_CHECKING:
    from fractions import Fraction

ScaledInteger = tuple[int, int]  # significand, exponent
WIDTH = 110  # of a printed info
# The label of a field, where it is not the field's name with spaces for underscores.
_LABELS = {"nan": "NaN", "infinity": "infinite", "smallest_positive": "smallest positive"}
_DB = 20 * math.log10(2)  # decibels in a factor of two


@dataclasses.dataclass(frozen=True)
class Limits:
    """Base class of the infos of the three kinds of formats."""

    format: Any

    # Fields of `to_dict`, in order; those in `numbers` come from `dyadic`, which returns None for a missing value.
    fields: ClassVar[tuple[str, ...]] = ()
    numbers: ClassVar[tuple[str, ...]] = ()

    def dyadic(self, field: str) -> ScaledInteger | None:
        """The value of a field as significand and exponent; None if the format lacks it."""
        significand, exponent = self.format.scaled(end_codes(self.format)[field == "max"])
        return (significand, exponent) if significand else (0, 0)

    def text(self, field: str) -> str:
        """The exact value of a field as text: "7 * 2**6", or "none"."""
        number = self.dyadic(field)
        return "none" if number is None else dyadic_text(*number)

    def _value(self, field: str) -> float:
        number = self.dyadic(field)
        if number is None:
            return math.nan
        value = exact_float64(*number)
        if value is None:
            raise OverflowError(f"{field} of {self.name} is {self.text(field)}: no float64; use .exact.{field}")
        return value

    @property
    def name(self) -> str:
        """The format's name."""
        return str(self.format.name)

    @property
    def dtype(self) -> Any:
        """The format, under numpy's name for the attribute."""
        return self.format

    @property
    def bits(self) -> int:
        """The number of bits of a code."""
        return int(self.format.bits)

    @property
    def code_count(self) -> int:
        """The number of codes."""
        return int(self.format.code_count)

    @property
    def nan_count(self) -> int:
        """The number of codes that are NaN."""
        return 0

    @property
    def infinity_count(self) -> int:
        """The number of codes that are infinities."""
        return 0

    @property
    def zero_count(self) -> int:
        """The number of codes that are zero."""
        return 1

    @property
    def noncanonical_count(self) -> int:
        """The number of codes that decode and are never produced."""
        return 0

    @property
    def max(self) -> float:
        """The largest finite value."""
        return self._value("max")

    @property
    def min(self) -> float:
        """The smallest finite value, the most negative one."""
        return self._value("min")

    @property
    def exact(self) -> ExactInfo:
        """The same fields with exact values, as Fractions; never an OverflowError."""
        return ExactInfo(self)

    @property
    def _octaves(self) -> float:
        high, low = self.dyadic("max"), self.dyadic("smallest_positive")
        if high is None or low is None or high[0] <= 0:
            return math.nan
        return math.log2(high[0]) - math.log2(low[0]) + (high[1] - low[1])

    @property
    def dynamic_range_db(self) -> float:
        """Largest value over smallest positive value in decibels, 20 log10."""
        return self._octaves * _DB

    @property
    def decades(self) -> float:
        """Largest value over smallest positive value in powers of ten."""
        return self._octaves * math.log10(2)

    @property
    def binades(self) -> int:
        """The number of binades, [2^e, 2^(e+1)), from the smallest positive value's to the largest value's."""
        high, low = self.dyadic("max"), self.dyadic("smallest_positive")
        if high is None or low is None or high[0] <= 0:
            return 0
        return (high[0].bit_length() + high[1]) - (low[0].bit_length() + low[1]) + 1

    def to_dict(self) -> dict[str, Any]:
        """All fields by name, for JSON: None for a missing value, exact text for a value beyond float64.

        Returns
        -------
        dict

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.finfo("binary16p1se").to_dict()["max"]
        '2**16382'
        """
        values: dict[str, Any] = {"name": self.name, "kind": self.format.kind, "profile": self.format.profile.name}
        for field in self.fields:
            try:
                value = getattr(self, field)
            except OverflowError:
                value = self.text(field)
            values[field] = None if isinstance(value, float) and math.isnan(value) else value
        return values

    def __str__(self) -> str:
        return block(self, self._layout())

    def _layout(self) -> str:
        """The layout of a code's bits, in one line."""
        raise AssertionError("each kind of format has its own")


class ExactInfo:
    """The fields of an info with every value a `fractions.Fraction`; made by ``.exact``."""

    def __init__(self, info: Limits) -> None:
        self._info = info

    def __getattr__(self, field: str) -> Fraction | int:
        from fractions import Fraction  # imported late: `import fpemu` stays light

        info = self._info
        if field == "resolution":
            return Fraction(1, 10 ** int(self.precision))
        if field not in info.numbers:
            if field.startswith("_") or not isinstance(value := getattr(info, field), int):
                raise AttributeError(f"no exact {field!r}: there are {', '.join(dir(self))}")
            return value
        number = info.dyadic(field)
        if number is None:
            raise ValueError(f"{info.name} has no {field.replace('_', ' ')}")
        return number[0] * Fraction(2) ** number[1]

    def __dir__(self) -> list[str]:
        return [field for field in self._info.fields if field not in ("dynamic_range_db", "decades", "kind")]

    def __repr__(self) -> str:
        texts = [f"{field}={self._info.text(field)}" for field in self._info.numbers]
        return f"ExactInfo({self._info.name}: {', '.join(texts)})"


class FloatInfo(Limits):
    """The limits of a floating-point format; made by `finfo`, where the fields are described."""

    format: FloatFormat

    numbers = ("max", "min", "smallest_normal", "tiny", "smallest_subnormal", "eps", "epsneg")
    fields = (
        "bits", *numbers, "precision", "resolution", "nmant", "nexp", "iexp", "machep", "negep", "minexp", "maxexp",
        "emin", "emax", "dynamic_range_db", "binades", "decades", "code_count", "nan_count", "infinity_count",
        "zero_count", "subnormal_count", "normal_count", "noncanonical_count",
    )  # fmt: skip

    def dyadic(self, field: str) -> ScaledInteger | None:
        fmt = self.format
        if field in ("smallest_normal", "tiny"):
            return fmt.scaled(fmt.min_normal_code) if fmt.min_normal_code <= fmt.max_code else None
        if field in ("smallest_subnormal", "smallest_positive"):
            return fmt.scaled(fmt.min_code)
        if field in ("eps", "epsneg"):
            return 1, self.machep if field == "eps" else self.negep
        return super().dyadic(field)

    def _step_from_one(self, direction: int) -> int | None:
        """Exponent of the distance from 1.0 to the next code's value, a power of two; None if either is missing."""
        fmt = self.format
        field_bits, lowest = fmt.trailing_bits, -fmt.quantum_exponent
        if not fmt.subnormals or fmt.bias >= 1:
            one = fmt.bias << field_bits
        else:  # 1.0 is a subnormal, or below the smallest
            one = 1 << lowest if 0 <= lowest < field_bits else -1
        if not (fmt.min_code <= one <= fmt.max_code and 0 <= one + direction <= fmt.max_code):
            return None
        significand, exponent = fmt.scaled(one + direction)
        scale = min(exponent, 0)
        distance = abs((significand << (exponent - scale)) - (1 << -scale))
        return distance.bit_length() - 1 + scale

    @property
    def smallest_normal(self) -> float:
        """The smallest positive value with full precision; NaN in a format without normal values."""
        return self._value("smallest_normal")

    @property
    def tiny(self) -> float:
        """The same as `smallest_normal`."""
        return self._value("tiny")

    @property
    def smallest_subnormal(self) -> float:
        """The smallest positive value; the smallest normal one in a format without subnormals."""
        return self._value("smallest_subnormal")

    @property
    def eps(self) -> float:
        """The difference between 1.0 and the next larger value; 2^(1-p) if the format lacks one of them."""
        return self._value("eps")

    @property
    def epsneg(self) -> float:
        """The difference between 1.0 and the next smaller value; 2^-p if the format lacks one of them."""
        return self._value("epsneg")

    @property
    def machep(self) -> int:
        """The exponent that yields `eps`."""
        step = self._step_from_one(1)
        return 1 - self.format.precision if step is None else step

    @property
    def negep(self) -> int:
        """The exponent that yields `epsneg`."""
        step = self._step_from_one(-1)
        return -self.format.precision if step is None else step

    @property
    def precision(self) -> int:
        """Decimal digits that survive a conversion to the format and back (C's DIG)."""
        return int((self.format.precision - 1) * math.log10(2))

    @property
    def resolution(self) -> float:
        """10 to the power -`precision`."""
        return 10.0**-self.precision

    @property
    def nmant(self) -> int:
        """Bits of the trailing significand."""
        return self.format.trailing_bits

    @property
    def nexp(self) -> int:
        """Bits of the exponent field."""
        return self.format.exponent_bits

    @property
    def iexp(self) -> int:
        """The same as `nexp`."""
        return self.nexp

    @property
    def emin(self) -> int:
        """Exponent of the lowest binade of normal values."""
        return self.format.emin

    @property
    def emax(self) -> int:
        """Exponent of the largest finite value's binade."""
        return self.maxexp - 1

    @property
    def minexp(self) -> int:
        """The same as `emin`."""
        return self.emin

    @property
    def maxexp(self) -> int:
        """The exponent of the smallest power of two above the largest value's binade."""
        significand, exponent = self.format.scaled(self.format.max_code)
        return significand.bit_length() + exponent

    @property
    def nan_count(self) -> int:
        """The number of codes that are NaN."""
        both_signs = self.format.signed and self.format.nan != "negative_zero"
        return len(self.format.nan_codes) * (1 + both_signs)

    @property
    def infinity_count(self) -> int:
        """The number of codes that are infinities."""
        return int(self.format.infinities) * (1 + self.format.signed)

    @property
    def zero_count(self) -> int:
        """The number of codes that are zero."""
        return self.format.zero + bool(self.format.negative_zero)

    @property
    def subnormal_count(self) -> int:
        """The number of codes that are subnormal values."""
        fmt = self.format
        codes = min(fmt.min_normal_code, fmt.max_code + 1) - fmt.min_code
        return codes * (1 + fmt.signed)

    @property
    def normal_count(self) -> int:
        """The number of codes that are normal values."""
        fmt = self.format
        return max(fmt.max_code + 1 - fmt.min_normal_code, 0) * (1 + fmt.signed)

    def _layout(self) -> str:
        fmt = self.format
        sign = "1 sign, " if fmt.signed else "no sign, "
        return (
            f"{fmt.bits} bits: {sign}{fmt.exponent_bits} exponent (bias {fmt.bias}, emin {self.emin}, "
            f"emax {self.emax}), {fmt.trailing_bits} trailing significand: precision p = {fmt.precision}"
        )

    def __repr__(self) -> str:
        texts = {field: decimal_text(self.to_dict()[field]) for field in ("resolution", "min", "max")}
        return f"finfo({', '.join(f'{k}={v}' for k, v in texts.items())}, dtype={self.name})"


def block(info: Limits, layout: str) -> str:
    """An info as lines of text: names, layout, values, codes, and the rules of a cast by default."""
    fmt = info.format
    names = aliases(fmt)
    head = [info.name, *(["also " + ", ".join(names)] if names else []), *([note(fmt)] if note(fmt) else []), layout]
    rows = [(field.replace("_", " "), _number(info, field)) for field in info.numbers if field != "tiny"]
    reach = f"{info.dynamic_range_db:.1f} dB, {info.binades} binades, {info.decades:.2f} decades"
    rows += [("dynamic range", reach if info.binades else "none"), ("codes", _counts(info))]
    rows += [("cast", f"profile {fmt.profile.name}: {_rules(fmt)}")]
    lines = [_wrap(line, "", "  ") for line in head]
    lines += [_wrap(text, f"  {label:<20}", " " * 22) for label, text in rows]
    return "\n".join(lines)


def _number(info: Limits, field: str) -> str:
    from fractions import Fraction  # imported late: `import fpemu` stays light

    number = info.dyadic(field)
    if number is None or (field == "smallest_subnormal" and number == info.dyadic("smallest_normal")):
        return "none"
    value, exactly = exact_float64(*number), info.text(field)
    if value is None:
        return exactly
    digits = decimal_text(value)
    return (
        digits if digits == exactly else f"{digits:<14}{'=' if Fraction(digits) == Fraction(value) else '~'} {exactly}"
    )


def _counts(info: Limits) -> str:
    counts = {field.removesuffix("_count"): getattr(info, field) for field in info.fields if field.endswith("_count")}
    total = counts.pop("code")
    kinds = [f"{count} {_LABELS.get(count_name, count_name)}" for count_name, count in counts.items() if count]
    return f"{total}, of them {', '.join(kinds)}" if kinds else str(total)


def _wrap(text: str, first: str, later: str) -> str:
    return textwrap.fill(
        text, WIDTH, initial_indent=first, subsequent_indent=later, break_long_words=False, break_on_hyphens=False
    )


def _rules(fmt: Format) -> str:
    """The rules of the default profile, each with its effect in this format."""
    rules = fmt.check_profile(fmt.profile)
    nan = "NaN" if fmt.has("nan") else None
    beyond = "infinity" if fmt.has("infinity") else nan or "the largest value"
    meaning = {
        ("overflow", "standard"): f"to nearest: {beyond}" if fmt.kind == "float" else "saturates",
        ("overflow", "p3109"): "infinity" if fmt.has("infinity") else "the largest value",
        ("infinity", "standard"): beyond,
        ("infinity", "p3109"): "infinity" if fmt.has("infinity") else "the largest value",
        ("nan", "standard"): nan or ("-0" if fmt.has("negative_zero") and fmt.kind == "float" else "0"),
        ("unsigned_negative", "standard"): nan or "0",
        ("missing_zero", "standard"): f"zero: {nan or 'the smallest value'}",
    }
    always = ["overflow", "infinity", "nan"]
    always += ["unsigned_negative"] * (not fmt.has("negative")) + ["missing_zero"] * (not fmt.has("zero"))
    usual = Profile()
    texts = [f"rounding {getattr(rules.rounding, 'value', rules.rounding)}"]
    for rule in (f.name for f in dataclasses.fields(Profile) if f.name not in ("name", "rounding", "rows")):
        value = getattr(rules, rule)
        word = getattr(value, "value", value)
        if rule in always or value != getattr(usual, rule):
            comes_to = meaning.get((rule, word))
            texts.append(f"{rule} {word}" + (f" ({comes_to})" if comes_to else ""))
    return ", ".join(texts)

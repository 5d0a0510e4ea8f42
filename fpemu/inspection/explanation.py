"""Explain a cast of one number: the steps in exact arithmetic, beside the code that the kernels compute."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from fpemu.casting import as_source, encode
from fpemu.casting.stochastic import streamed
from fpemu.formats import FLOAT32, FLOAT64, IEEE, FloatFormat, Format, IntFormat, Profile, TableFormat
from fpemu.formats.facts.exactness import finite_ends, floor_log2, power_of_two, quantum
from fpemu.formats.facts.literals import DIGITS, Literal, read
from fpemu.formats.facts.text import Exact, exact_literal, fraction_text, number_text, text
from fpemu.formats.rules import (
    FloatToIntInvalid,
    NegativeZero,
    Rounding,
    Stochastic,
    SubnormalsIn,
    SubnormalsOut,
    Through,
    Tininess,
)
from fpemu.inspection.code import Code, Explanation, ExplanationStep

__all__ = ["explain"]

HALF = Fraction(1, 2)
MAX_EXPONENT = 1 << 26  # of the values of all formats: exponents have 24 bits, biases 26


def explain(x: float | Literal, fmt: Format, rules: Profile, seed: int | None = None) -> Explanation:
    """Explain step by step how a number is rounded to a format.

    Parameters
    ----------
    x : float, int or Literal
        A Literal or an int is used with all its digits.
    fmt : Format
    rules : Profile
        The rules of the cast.
    seed : int, optional
        For stochastic rounding.

    Returns
    -------
    Explanation

    Raises
    ------
    ValueError
        If a rule does not apply to the format, or forbids the number.

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.inspection.explanation import explain
    >>> e5m2 = fe.dtype("float8_e5m2")
    >>> for step in explain(0.3, e5m2, e5m2.profile).steps[1:]:
    ...     print(f"{step.title}: {step.text}")
    binade: 2**-2 <= |x| < 2**-1
    quantum: 2**-4: the spacing in this binade, 2**(-2 - 2), p = 3
    scaled: S = |x| / quantum = 4.7999999999999998223… = 5404319552844595 * 2**-50: between 4 and 5
    fraction: nu = S - 4 = 0.79999999999999982236… = 900719925474099 * 2**-50
    decision: nearest_even: nu is more than 1/2, up: 5
    value: 0.3125 (0x35)
    """
    source = FLOAT64.codes_key if isinstance(x, Literal) else as_source(x).format.codes_key
    rules = fmt.check_profile(rules.for_codes(fmt.codes_key, source))
    literal = x if isinstance(x, Literal) else read(x.hex() if isinstance(x, float) else f"{x:#x}p0")
    code = _code(x, fmt, rules, seed)
    result = Code(fmt, code)
    return _Trace(x, literal, fmt, rules, result).explanation()


def _code(x: Any, fmt: Format, rules: Profile, seed: int | None = None) -> int:
    return int(encode(x, fmt, profile=rules, **streamed(rules.rounding, seed, 0)))


class _Trace:
    """The steps of a cast, in the order of the pipeline; the outcome of the rules is read from the kernels' result."""

    def __init__(self, x: float | Literal, literal: Literal, fmt: Format, rules: Profile, result: Code) -> None:
        self.x, self.literal, self.format, self.rules, self.result = x, literal, fmt, rules, result
        self.steps: list[ExplanationStep] = []
        self.rounded: Fraction | None = None
        self.cut = False  # whether the source is cut to its first digits
        self.outcome = f"{result.text} ({result.hex})"

    def step(self, title: str, text: str) -> None:
        self.steps.append(ExplanationStep(title, text))

    def decimal(self, x: Fraction) -> str:
        """A number computed from the source, in decimal; with "~" where the source is cut to its first digits."""
        if not self.cut or (x.denominator == 1 and abs(x) < 1 << (DIGITS - 1)):
            return text(x)
        return f"~{fraction_text(x)}".replace("~~", "~")

    def explanation(self) -> Explanation:
        special = self.literal.special()
        if special is not None and not math.isfinite(special):
            self.not_finite(special)
            return Explanation(self.result, tuple(self.steps), special, self.rounded)
        exact = exact_literal(self.literal)
        assert exact is not None
        self.finite(exact)
        return Explanation(self.result, tuple(self.steps), exact.text if exact.scale else exact.number, self.rounded)

    def invalid_rule(self) -> str | None:
        """The rule for float values that an integer format lacks, where it overrides the other rules."""
        rule = self.rules.float_to_int_invalid
        integer = isinstance(self.format, IntFormat) and not isinstance(self.x, int)
        return f"float_to_int_invalid={rule.value}" if integer and rule is not FloatToIntInvalid.STANDARD else None

    def not_finite(self, source: float) -> None:
        knob = "nan" if math.isnan(source) else "infinity"
        rule = self.invalid_rule() or f"{knob}={getattr(self.rules, knob).value}"
        self.step("source", f"{'NaN' if math.isnan(source) else source}: nothing is rounded")
        self.step("rule", f"{rule} in {self.format.name}: {self.outcome}")

    def finite(self, exact: Exact) -> None:
        source: Fraction | None = exact.number
        if isinstance(self.x, float):
            origin = f"the float64 {self.x.hex()}"
        else:
            whole = not exact.scale and exact.number.denominator == 1 and not self.literal.is_negative_zero()
            origin = "an integer" if whole else "as it is written"
        minus = "-" if self.literal.is_negative_zero() else ""
        self.step("source", f"{minus}{exact.text}, {origin}")
        if self.rules.through is Through.FLOAT32:
            nearest = float(FLOAT32.value(_code(self.literal, FLOAT32, IEEE)))
            self.step("through", f"through=float32: rounded to float32 first, {nearest!r}")
            if not math.isfinite(nearest):
                self.step("rule", f"{self.invalid_rule() or f'infinity={self.rules.infinity.value}'}: {self.outcome}")
                return
            source = Fraction(nearest)
        elif exact.scale:
            source = self.stand_in(exact)
        if source is None:
            return
        if self.is_subnormal(source):
            self.step("subnormal", f"subnormals_in={self.rules.subnormals_in.value}: a subnormal source counts as zero")
            source = Fraction(0)
        if source == 0:
            self.zero()
        elif isinstance(self.format, TableFormat):
            self.codebook(source)
        else:
            self.grid(self.format, source)

    def is_subnormal(self, source: Fraction) -> bool:
        """Whether the source is a subnormal float64 that the rules replace by 0."""
        if not source or self.rules.subnormals_in is SubnormalsIn.KEEP or self.literal.plain() is None:
            return False
        return abs(source) < Fraction(1, 1 << 1022)

    def stand_in(self, exact: Exact) -> Fraction | None:
        """A number of fewer digits that rounds as the source does; None where this step is the last."""
        if abs(exact.scale) > MAX_EXPONENT:
            large = exact.scale > 0
            word = f"rounding={_mode(self.rules.rounding)}"
            rule = self.invalid_rule() or f"overflow={self.rules.overflow.value}, {word}"
            end = f"beyond the values of every format: {rule}" if large else f"next to 0, {word}"
            end = f"{end}: {self.outcome}"
            self.step("overflow" if large else "underflow", end)
            return None
        self.cut = exact.more
        half = Fraction(exact.more, 1 << DIGITS)  # half a unit of the last digit stands for the digits that follow
        return (exact.number + (-half if exact.number < 0 else half)) * power_of_two(exact.scale)

    def zero(self) -> None:
        if not self.format.has("zero"):
            self.step(
                "zero",
                f"{self.format.name} has no zero: missing_zero={self.rules.missing_zero.value} gives {self.outcome}",
            )
            return
        sign = ""
        if self.format.has("negative_zero") and self.rules.negative_zero is NegativeZero.KEEP:
            sign = ", its sign kept"
        elif self.literal.negative:
            sign = ", its sign dropped"
        self.step("zero", f"zero is exact{sign}: {self.outcome}")

    def codebook(self, source: Fraction) -> None:
        """A codebook: the two entries around the source, and the choice between them."""
        assert isinstance(self.format, TableFormat)
        entries = sorted({Fraction(value) for value in self.format.entries})
        below = max((e for e in entries if e <= source), default=None)
        above = min((e for e in entries if e >= source), default=None)
        rounding = f"rounding={_mode(self.rules.rounding)}"
        if below is None or above is None:
            self.step("range", f"beyond the codebook's last value: {self.outcome}")
        elif below == above:
            self.step("exact", f"a value of the codebook: {self.outcome}")
        else:
            self.step("between", f"{text(below)} and {text(above)}")
            self.step(
                "distance",
                f"{self.decimal(source - below)} from the lower, {self.decimal(above - source)} from the upper",
            )
            self.step("decision", f"{rounding}: {self.outcome}")

    def grid(self, fmt: FloatFormat | IntFormat, source: Fraction) -> None:
        """A float or integer format: the magnitude in units of the quantum, rounded once."""
        negative = source < 0
        magnitude = abs(source)
        rules = self.rules
        if negative and not fmt.has("negative") and rules.unsigned_negative.value == "magnitude":
            self.step("sign", f"{fmt.name} is unsigned, unsigned_negative=magnitude: the sign is dropped")
            negative = False
        smallest = _smallest_normal(fmt)
        if isinstance(fmt, FloatFormat) and magnitude < smallest and self.flushes(fmt, magnitude, negative, smallest):
            return
        quantum = self.quantum(fmt, magnitude)
        if quantum is None:
            return
        scaled = magnitude / quantum
        low = math.floor(scaled)
        nu = scaled - low
        around, floor = f"S = |x| / quantum = {self.decimal(scaled)}", text(Fraction(low))
        unknown = self.cut and low >> (DIGITS - 1) > 0  # the fraction is unknown, and does not matter
        between = f": between {floor} and {text(Fraction(low + 1))}" if nu else ": a whole number"
        self.step("scaled", around + between * (not unknown))
        if nu and not unknown:
            self.step("fraction", f"nu = S - {floor} = {self.decimal(nu)}")
        up, why = decision(rules.rounding, nu, negative, self.is_odd(fmt, low, quantum))
        if up is None:  # stochastic: the kernels drew the bits
            exact = self.result.exact
            up = exact is not None and abs(exact) > low * quantum
        if not unknown:
            self.step("decision", f"{why}: {text(Fraction(low + up))}")
        self.rounded = (-1 if negative else 1) * (low + up) * quantum
        self.apply_rules(fmt, negative, smallest)

    def flushes(self, fmt: FloatFormat, magnitude: Fraction, negative: bool, smallest: Fraction) -> bool:
        """Whether a magnitude below the smallest normal is flushed before it is rounded; adds the step."""
        rules = self.rules
        rule, below = rules.subnormals_out, f"below the smallest normal {text(smallest)}"
        if rule is SubnormalsOut.FLUSH_BEFORE:
            self.step("flush", f"subnormals_out=flush_before: {below}: {self.outcome}")
            return True
        if rule is not SubnormalsOut.FLUSH_TINY:
            return False
        if rules.tininess is Tininess.BEFORE:
            self.step("flush", f"subnormals_out=flush_tiny, tininess=before: {below} before rounding: {self.outcome}")
            return True
        quantum = Fraction(2) ** (floor_log2(magnitude) - fmt.trailing_bits)
        low = math.floor(magnitude / quantum)
        up, _ = decision(rules.rounding, magnitude / quantum - low, negative, self.is_odd(fmt, low, quantum))
        if up is None:  # stochastic: the kernels drew the bits
            up = self.result.exact is not None and abs(self.result.exact) >= smallest
        rounded = (low + up) * quantum
        word = f"{_mode(rules.rounding)} to {fmt.precision} digits, exponents unbounded, gives {self.decimal(rounded)}"
        if rounded < smallest:
            self.step("flush", f"subnormals_out=flush_tiny: {word}, {below}: {self.outcome}")
        else:
            self.step("not tiny", f"{word}, which is no longer below the smallest normal: nothing is flushed")
        return rounded < smallest

    def quantum(self, fmt: FloatFormat | IntFormat, magnitude: Fraction) -> Fraction | None:
        """The quantum at a magnitude; None, with the last step, below the range of a format without zero."""
        binade = floor_log2(magnitude)
        if isinstance(fmt, IntFormat):
            self.step("quantum", f"{_power_text(-fmt.fraction_bits)}, the spacing everywhere")
            return quantum(magnitude, fmt)
        self.step("binade", f"{_power_text(binade)} <= |x| < {_power_text(binade + 1)}")
        first = fmt.exact(fmt.min_code)
        if not fmt.subnormals and magnitude < first:
            if fmt.zero:
                self.step("quantum", f"no subnormals: below {text(first)} there is only zero; S in units of that")
                return first
            missing = self.rules.missing_zero.value
            self.step(
                "range",
                f"below the smallest value {text(first)}, and no zero: missing_zero={missing} gives {self.outcome}",
            )
            return None
        m = fmt.trailing_bits
        if binade < fmt.emin:
            self.step(
                "quantum",
                f"{_power_text(fmt.emin - m)}: below the smallest normal {_power_text(fmt.emin)} the spacing stays "
                f"2**({fmt.emin} - {m})",
            )
        else:
            self.step(
                "quantum",
                f"{_power_text(binade - m)}: the spacing in this binade, 2**({binade} - {m}), p = {fmt.precision}",
            )
        return quantum(magnitude, fmt)

    def is_odd(self, fmt: FloatFormat | IntFormat, low: int, quantum: Fraction) -> bool:
        """Whether the code of the lower candidate is odd."""
        if isinstance(fmt, FloatFormat) and fmt.precision == 1 and low:
            return (floor_log2(low * quantum) + fmt.bias) % 2 == 1
        return low % 2 == 1

    def apply_rules(self, fmt: FloatFormat | IntFormat, negative: bool, smallest: Fraction) -> None:
        """The last step: how the rules turn the rounded number into a code."""
        rounded, rules = self.rounded, self.rules
        assert rounded is not None
        invalid = self.invalid_rule()
        if negative and rounded and not fmt.has("negative") and (invalid or rules.overflow.value != "wrap"):
            rule = invalid or f"unsigned_negative={rules.unsigned_negative.value}"
            self.step("unsigned", f"negative in an unsigned format, {rule}: {self.outcome}")
            return
        limit = abs(finite_ends(fmt)[not negative])
        if abs(rounded) > limit:
            self.step(
                "overflow",
                f"{self.decimal(rounded)} is beyond the largest finite magnitude {text(limit)}; "
                f"{invalid or f'overflow={rules.overflow.value}, rounding={_mode(rules.rounding)}'}: {self.outcome}",
            )
        elif rounded and rules.subnormals_out is SubnormalsOut.FLUSH_AFTER and abs(rounded) < smallest:
            self.step("flush", f"{text(rounded)} is subnormal, subnormals_out=flush_after: {self.outcome}")
        elif rounded == 0 and not fmt.has("zero"):
            self.step("zero", f"no zero: missing_zero={rules.missing_zero.value} gives {self.outcome}")
        elif rounded == 0:
            self.step("underflow", f"what was not zero becomes {self.outcome}")
        elif abs(rounded) < smallest:
            self.step("value", f"{self.outcome}, subnormal: below the smallest normal {text(smallest)}")
        else:
            self.step("value", self.outcome)


def _smallest_normal(fmt: FloatFormat | IntFormat) -> Fraction:
    """The smallest normal number, even if the format's largest value is below it; 0 for integers."""
    if isinstance(fmt, IntFormat):
        return Fraction(0)
    return power_of_two(fmt.emin) if fmt.subnormals else fmt.exact(fmt.min_normal_code)


def _power_text(exponent: int) -> str:
    return f"2**{exponent}"


def _mode(rounding: Rounding | Stochastic) -> str:
    if isinstance(rounding, Stochastic):
        return f"stochastic {rounding.variant}, {rounding.bits} bit{'s' * (rounding.bits > 1)}"
    return rounding.value


def decision(rounding: Rounding | Stochastic, nu: Fraction, negative: bool, odd: bool) -> tuple[bool | None, str]:
    """Whether the magnitude is rounded up (None: at random), and why; "up" and "down" refer to the magnitude."""
    if nu == 0:
        return False, "exact, nothing to round"
    word = _mode(rounding)
    if isinstance(rounding, Stochastic):
        if rounding.variant == "equal":
            return None, f"{word}: up or down with a probability of 1/2"
        return None, f"{word}: up with a probability of about {number_text(nu)}"
    if rounding.value.startswith("nearest"):
        if nu != HALF:
            return (
                nu > HALF,
                f"{word}: nu is {'more' if nu > HALF else 'less'} than 1/2, {'up' if nu > HALF else 'down'}",
            )
        up = {
            Rounding.NEAREST_EVEN: odd,
            Rounding.NEAREST_AWAY: True,
            Rounding.NEAREST_TOWARD_ZERO: False,
            Rounding.NEAREST_TOWARD_POSITIVE: not negative,
            Rounding.NEAREST_TOWARD_NEGATIVE: negative,
        }[rounding]
        why = "a tie, to the even code" if rounding is Rounding.NEAREST_EVEN else "a tie"
        return up, f"{word}: {why}, {'up' if up else 'down'}"
    if rounding is Rounding.TO_ODD:
        return not odd, f"{word}: inexact, to the odd code, {'down' if odd else 'up'}"
    up = {
        Rounding.TOWARD_ZERO: False,
        Rounding.AWAY_FROM_ZERO: True,
        Rounding.TOWARD_POSITIVE: not negative,
        Rounding.TOWARD_NEGATIVE: negative,
    }[rounding]
    return up, f"{word}: inexact, the magnitude goes {'up' if up else 'down'}"

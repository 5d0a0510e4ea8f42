"""ScaleRule: how a block's scale is computed from its numbers, as data."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import TYPE_CHECKING, Any

from fpemu.formats import FloatFormat, Format, IntFormat, TableFormat
from fpemu.formats.facts.exactness import finite_ends, floor_log2, power_of_two
from fpemu.formats.lookup import check_word, named
from fpemu.formats.rules import Rounding, rounding_mode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

__all__ = ["RULES", "ScaleRule", "scale_rule"]

STATISTICS = ("absmax", "minmax", "signed_absmax")
DIVISORS = ("largest", "power", "span", "lowest")
OFFSETS = ("mean",)


@dataclasses.dataclass(frozen=True)
class ScaleRule:
    """A block's scale: a statistic of its numbers over a divisor, rounded once to the scale's format.

    Parameters
    ----------
    name : str
        Shown in tables and messages; not part of equality.
    statistic : {"absmax", "minmax", "signed_absmax"}
        The largest magnitude; the largest number minus the smallest, zero included; or the number with the largest
        magnitude, with its sign: the first in C order if there are several.
    divisor : {"largest", "power", "span", "lowest"} or float
        The element's largest value; the largest power of two that does not exceed it; the largest value minus the
        smallest; the smallest value; or the given number.  If all blocks have the same zero point, it is first
        subtracted from the values.
    rounding : Rounding or str
        The rounding of the quotient to the scale's format.
    digits : bool
        Whether the statistic is first rounded to the element's precision, ties away from zero.
    offset : {"mean"} or None
        The number that is first subtracted from all numbers, in float32: their mean; only for scales of scales.

    Raises
    ------
    ValueError
        If a word is unknown, or the divisor is not a positive number.
    TypeError
        If an argument is of the wrong kind.

    Notes
    -----
    For power-of-two scales (E8M0), the divisor `power` rounded toward zero gives 2^(floor(log2(absmax)) - emax), the
    rule of OCP MX v1.0 clause 6.3 and of "floor"; `power` rounded away from zero is "ceil"; `largest` rounded away from
    zero is "rceil", which CUDA and cuBLAS use; "floor" with `digits` is torchao's "even".

    Examples
    --------
    >>> import fpemu as fe
    >>> cautious = fe.ScaleRule("cautious", divisor="largest", rounding="away_from_zero")
    >>> q = fe.quantize([3.0, 449.0], "mxfp8_e4m3", scale_rule=cautious, pad=True)
    >>> q.scale_values
    array([2.], dtype=float32)
    """

    name: str = dataclasses.field(compare=False)
    statistic: str = "absmax"
    divisor: str | float = "largest"
    rounding: Rounding = Rounding.NEAREST_EVEN
    digits: bool = False
    offset: str | None = None

    def __post_init__(self) -> None:
        check_word(self.statistic, STATISTICS, "statistic")
        if self.offset is not None:
            check_word(self.offset, OFFSETS, "offset")
        if isinstance(self.divisor, str):
            check_word(self.divisor, DIVISORS, "divisor")
        elif isinstance(self.divisor, bool) or not isinstance(self.divisor, int | float):
            raise TypeError(f"divisor must be a word or a number, not {type(self.divisor).__name__}")
        elif not 0 < self.divisor < math.inf:
            raise ValueError(f"divisor must be above 0 and finite, not {self.divisor}")
        elif isinstance(self.divisor, int):
            exact_float(self.divisor, "the divisor")
        mode = rounding_mode(self.rounding)
        if not isinstance(mode, Rounding):
            raise ValueError("scales cannot be rounded stochastically")
        object.__setattr__(self, "rounding", mode)

    def __str__(self) -> str:
        return self.name

    @property
    def signed(self) -> bool:
        """Whether scales may be negative."""
        return self.statistic == "signed_absmax" or self.divisor == "lowest"

    def divisor_of(self, element: Format, zero_point: int = 0) -> float:
        """Return the divisor for an element format.

        Parameters
        ----------
        element : Format
        zero_point : int
            The number subtracted from all elements.

        Returns
        -------
        float

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.ScaleRule("mine", divisor="power").divisor_of(fe.dtype("e4m3"))
        256.0
        """
        return _divisor(self.divisor, element, zero_point) if isinstance(self.divisor, str) else float(self.divisor)


@functools.lru_cache(maxsize=256)
def _divisor(word: str, element: Format, zero_point: int) -> float:

    if not isinstance(element, FloatFormat | IntFormat | TableFormat):
        raise TypeError(f"element must be a Format, as returned by fpemu.dtype(x), not {type(element).__name__}")
    low, high = (end - zero_point for end in finite_ends(element))
    largest = high if isinstance(element, IntFormat) else max(high, -low)
    if word == "power":
        return exact_float(power_of_two(floor_log2(largest)), f"the power-of-two divisor for {element}")
    if word == "span":
        return exact_float(high - low, f"the span of {element}")
    return exact_float(low if word == "lowest" else largest, f"the {word} value of {element}")


def exact_float(x: Fraction | int, name: str) -> float:
    """Return a number as a float; raise ValueError if it is not a float64 value."""
    try:
        nearest = float(x)
    except OverflowError:
        nearest = math.inf
    if nearest != x:
        from fractions import Fraction

        from fpemu.formats.facts.text import number_text

        x = Fraction(x)
        raise ValueError(
            f"{name} is about {number_text(x)}, which is not a float64 value, but scales are computed in float64"
        )
    return nearest


RULES: Mapping[str, ScaleRule] = {
    rule.name: rule
    for rule in (
        ScaleRule("floor", "absmax", "power", Rounding.TOWARD_ZERO),
        ScaleRule("ceil", "absmax", "power", Rounding.AWAY_FROM_ZERO),
        ScaleRule("even", "absmax", "power", Rounding.TOWARD_ZERO, digits=True),
        ScaleRule("rceil", "absmax", "largest", Rounding.AWAY_FROM_ZERO),
        ScaleRule("absmax", "absmax", "largest", Rounding.NEAREST_EVEN),
        ScaleRule("minmax", "minmax", "span", Rounding.NEAREST_EVEN),
        ScaleRule("signed_absmax", "signed_absmax", "lowest", Rounding.NEAREST_EVEN),
    )
}


def scale_rule(rule: Any) -> ScaleRule:
    """Return the scale rule for a name; a rule is returned unchanged.

    Parameters
    ----------
    rule : str or ScaleRule

    Returns
    -------
    ScaleRule

    Raises
    ------
    ValueError
        If the name is unknown.
    TypeError
        If it is neither a name nor a rule.

    Examples
    --------
    >>> from fpemu.quantization.definition.scale_rules import scale_rule
    >>> scale_rule("rceil").rounding
    <Rounding.AWAY_FROM_ZERO: 'away_from_zero'>
    """
    return named(rule, ScaleRule, RULES, "scale rule")

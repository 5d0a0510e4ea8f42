"""ScaledFormat: codes that share scales, as data."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from fpemu.formats import FloatFormat, Format, IntFormat, TableFormat
from fpemu.formats.scheme import Scheme
from fpemu.knobs import near
from fpemu.registry import dtype
from fpemu.scaling.layout import Block, check_block
from fpemu.scaling.profiles import ScaleProfile
from fpemu.scaling.rules import ScaleRule
from fpemu.scaling.rules import scale_rule as rule_of
from fpemu.scaling.tools import PROFILES, profiles_of, scale_profile

__all__ = ["ScaledFormat"]

_FLOAT32 = dtype("float32")
ZERO_POINT_BITS = 32
SECOND_DIGITS = 24


def _second_level(x: Any) -> Any:
    return x if x is None or isinstance(x, ScaledFormat) else dtype(x)


def _zero_point(x: Any) -> Any:
    fixed = hasattr(x, "__index__") and not isinstance(x, bool)
    return int(x.__index__()) if fixed else x if x is None else dtype(x)


@dataclasses.dataclass(frozen=True)
class ScaledFormat(Scheme):
    """A scheme of quantization: a format of elements, and scales that blocks of them share.

    Parameters
    ----------
    name : str
        Shown in tables and messages; not part of equality.
    element : Format, str or dtype
        What a number over its block's scale is rounded to.
    block : int, (int, int) or str
        The numbers that share a scale: so many along `axis`; a tile of rows and columns, the latter along `axis`, the
        former along the axis before; "row", all along `axis`; "channel", all but along `axis`; "tensor", all.
    scale : Format, str or dtype
        What scales are kept in.
    scale_rule : ScaleRule or str
        How a block's scale follows from its numbers.
    axis : int
        The axis that blocks lie along.
    zero_point : IntFormat, str, dtype, int or None
        The format of the integers that are added to the rounded quotients, for integer elements; an integer: that one
        in all blocks, which is not stored; None: none are.
    second_level : Format, ScaledFormat, str, dtype or None
        A format: scales are divided by one more scale of that format for the whole tensor, so that the largest is the
        scale format's largest value.  A scheme: the scales themselves, in float32 and in C order, are quantized to it.
        None: neither.
    profile : ScaleProfile or str
        How numbers get to codes and scales; default: "exact", each rounded once; see `profiles`.

    Raises
    ------
    ValueError
        If a word is unknown, or the parts do not fit together; the message says why.
    TypeError
        If a part is of the wrong kind.

    Notes
    -----
    A number is decoded as (element - zero point) x scale x the second level's scale, the product rounded once.  OCP
    Microscaling Formats (MX) v1.0 clause 5 is the scheme of a block of 32, E8M0 scales and the rule "floor".

    Examples
    --------
    >>> import fpemu as fe
    >>> mine = fe.ScaledFormat("mine", "float6_e2m3fn", block=8, scale="float8_e4m3fn", scale_rule="absmax")
    >>> q = fe.quantize([1.0, -2.0, 3.0, 0.1], mine, pad=True)
    >>> q.dequantize()
    array([ 1.015625 , -2.03125  ,  3.046875 ,  0.1015625], dtype=float32)
    """

    name: str = dataclasses.field(compare=False)
    element: Format
    block: Block
    scale: FloatFormat
    scale_rule: ScaleRule
    axis: int = -1
    zero_point: IntFormat | int | None = None
    second_level: FloatFormat | ScaledFormat | None = None
    profile: ScaleProfile = PROFILES["exact"]

    def __init__(
        self,
        name: str,
        element: Any,
        block: Any,
        scale: Any = "float32",
        scale_rule: Any = "absmax",
        axis: int = -1,
        zero_point: Any = None,
        second_level: Any = None,
        profile: ScaleProfile | str = "exact",
    ) -> None:
        if not isinstance(name, str):
            raise TypeError(f"a scheme's name must be a str, not {type(name).__name__}")
        if not name:
            raise ValueError("a scheme's name must not be empty")
        if isinstance(axis, bool) or not hasattr(axis, "__index__"):
            raise TypeError(f"axis must be an int, not {type(axis).__name__}")
        found = {
            "name": name,
            "element": dtype(element),
            "block": check_block(block),
            "scale": dtype(scale),
            "scale_rule": rule_of(scale_rule),
            "axis": int(axis.__index__()),
            "zero_point": _zero_point(zero_point),
            "second_level": _second_level(second_level),
            "profile": scale_profile(profile),
        }
        for field, value in found.items():
            object.__setattr__(self, field, value)
        self._check()

    def _check(self) -> None:
        own = self.own_profile
        self.element.check_profile(own.elements)
        if isinstance(self.second_level, ScaledFormat):
            self._check_nested(self.second_level)
        for what, fmt in (("scale", self.scale), ("second_level", self.second_level)):
            if fmt is not None and not isinstance(fmt, ScaledFormat) and not isinstance(fmt, FloatFormat):
                raise ValueError(f"{what}: scales are floating point, but {fmt} is not")
        second = self.second_level
        if isinstance(second, FloatFormat) and second.precision > SECOND_DIGITS:
            raise ValueError(
                f"second_level: its scale has {SECOND_DIGITS} digits at most, {second}'s {second.precision}"
            )
        element = self.element
        entries = element.entries if isinstance(element, TableFormat) else ()
        if max(entries, default=element.max_int if isinstance(element, IntFormat) else 1) <= 0:
            raise ValueError(f"{self.element} has no positive value to scale to")
        if self.zero_point is not None:
            self._check_zero_point(self.zero_point)
        if self.scale_rule.statistic == "minmax" and not isinstance(self.zero_point, IntFormat):
            raise ValueError(f"the scale rule {self.scale_rule} needs zero points: zero_point={self.element.name!r}")
        if self.scale_rule.signed:
            self._check_signs()

    def _check_zero_point(self, zero_point: IntFormat | int) -> None:
        if not isinstance(zero_point, int) and not (
            isinstance(zero_point, IntFormat) and zero_point.fraction_bits == 0
        ):
            raise ValueError(f"zero points are integers, but {zero_point} are not")
        element = self.element
        if not isinstance(element, IntFormat) or element.fraction_bits != 0:
            raise ValueError(f"zero points are for elements that are integers, not for {element}")
        if element.bits > ZERO_POINT_BITS:
            raise ValueError(f"zero points are for integers of {ZERO_POINT_BITS} bits at most, not for {element}")
        if isinstance(zero_point, int) and not element.min_int <= zero_point < element.max_int:
            raise ValueError(
                f"a zero point of {element} is {element.min_int} to {element.max_int - 1}, so that there is a positive "
                f"value to scale to, not {zero_point}"
            )

    def _check_signs(self) -> None:
        """Refuse what a rule whose scales may be negative cannot have."""
        if not self.scale.signed:
            raise ValueError(f"the scale rule {self.scale_rule} needs scales with a sign, which {self.scale} has not")
        if self.second_level is not None:
            raise ValueError(f"the scale rule {self.scale_rule} is for scales of one level: second_level=None")
        element = self.element
        if isinstance(element, IntFormat):
            lowest: float = element.min_int - (self.fixed_zero_point or 0)
        else:
            lowest = min(element.entries) if isinstance(element, TableFormat) else -int(element.signed)
        if self.scale_rule.divisor == "lowest" and lowest >= 0:
            raise ValueError(f"{element} has no negative value to scale to: give it a zero_point, an integer")

    def _check_nested(self, second: ScaledFormat) -> None:
        if self.scale.codes_key != _FLOAT32.codes_key:
            raise ValueError(f"scales that are quantized themselves are float32 first, not {self.scale}")
        if second.second_level is not None or second.zero_point is not None or not isinstance(second.block, int):
            raise ValueError(
                f"scales are quantized to one level, in blocks of a length, without zero points: not {second}"
            )

    @functools.cached_property
    def own_profile(self) -> ScaleProfile:
        """The profile as it stands for this scheme: the row that fits."""
        return self.profile.of(self)

    @functools.cached_property
    def nested(self) -> ScaledFormat | None:
        """What scales are quantized to, under the same tool's profile; None where they are not."""
        if not isinstance(self.second_level, ScaledFormat):
            return None
        return self.second_level.replace(profile=self.profile) if self.profile.rows else self.second_level

    @property
    def fixed_zero_point(self) -> int | None:
        """The zero point of all blocks, where the scheme says it."""
        return self.zero_point if isinstance(self.zero_point, int) else None

    @property
    def middle(self) -> int:
        """The zero point that does not follow from a block's numbers: the one of all blocks, or the middle integer."""
        if isinstance(self.zero_point, int):
            return self.zero_point
        element = self.element
        assert isinstance(element, IntFormat)
        return 0 if element.signed else (element.max_int + 1) // 2

    @property
    def divisor(self) -> float:
        """What the scale rule divides statistics by; elements count less a zero point that all blocks have."""
        same = self.zero_point is not None and self.scale_rule.statistic != "minmax"
        return self.scale_rule.divisor_of(self.element, self.middle if same else 0)

    def profiles(self) -> list[str]:
        """The named profiles that apply to the scheme.

        Returns
        -------
        list of str

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.scheme("nvfp4").profiles()[:3]
        ['exact', 'torchao-0.18', 'transformer-engine-2026']
        """
        return profiles_of(self)

    @property
    def bits_per_block(self) -> int:
        """The bits that belong to a block beside its elements: its scale's and its zero point's."""
        return self.scale_format.bits + (self.zero_point.bits if isinstance(self.zero_point, IntFormat) else 0)

    @property
    def scale_format(self) -> Format:
        """The format of the scales' codes."""
        return self.scale if self.nested is None else self.nested.element

    def replace(self, **changes: Any) -> ScaledFormat:
        """The scheme with other parts.

        Parameters
        ----------
        **changes
            Parameters of the class.

        Returns
        -------
        ScaledFormat

        Raises
        ------
        TypeError
            If there is no such parameter.
        ValueError
            If the parts do not fit together.

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.scheme("mxfp4").replace(block=16).block
        16
        """
        parts = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        for name in changes:
            if name not in parts:
                raise TypeError(f"a scheme has no {name!r}{near(name, parts)}")
        return ScaledFormat(**{**parts, **changes})

    def __repr__(self) -> str:
        words = [f"{self.name!r}, {self.element.name!r}, block={self.block!r}, scale={self.scale.name!r}"]
        words.append(f"scale_rule={self.scale_rule.name!r}")
        if self.axis != -1:
            words.append(f"axis={self.axis}")
        levels = {"zero_point": self.zero_point, "second_level": self.second_level}
        words += [f"{field}={getattr(fmt, 'name', fmt)!r}" for field, fmt in levels.items() if fmt is not None]
        if self.profile != PROFILES["exact"]:
            words.append(f"profile={self.profile.name!r}")
        return f"ScaledFormat({', '.join(words)})"

"""ScaledFormat: a scheme of codes that share scales, as data."""

from __future__ import annotations

import dataclasses
import functools
import re
from typing import Any

from fpemu.formats import FLOAT32, FloatFormat, Format, IntFormat, Scheme, TableFormat, dtype
from fpemu.formats.facts.exactness import finite_ends
from fpemu.formats.lookup import brief, check_name, named, near
from fpemu.quantization.definition.profiles import ScaleProfile
from fpemu.quantization.definition.scale_rules import RULES, ScaleRule, exact_float
from fpemu.quantization.definition.tool_profiles import PROFILES, profiles_of, scale_profile

__all__ = ["Block", "ScaledFormat"]

Block = int | tuple[int, int] | str
BLOCK_WORDS = ("tensor", "row", "channel")

ZERO_POINT_BITS = 32
SECOND_DIGITS = 24


def check_block(block: Any) -> Block:
    """Check a block (a length, (rows, columns) or a word) and return it."""
    if isinstance(block, str):
        if block not in BLOCK_WORDS:
            raise ValueError(
                f"unknown block {brief(block)}: allowed are {', '.join(BLOCK_WORDS)}, a length, and (rows, columns)"
            )
        return block
    lengths = block if isinstance(block, tuple | list) else (block,)
    if not all(hasattr(length, "__index__") and not isinstance(length, bool) for length in lengths):
        raise TypeError(f"a block is a length, (rows, columns) or a word, not {brief(block)}")
    sizes = tuple(int(length.__index__()) for length in lengths)
    if len(sizes) not in (1, 2) or min(sizes) < 1:
        raise ValueError(f"a block has one or two lengths, each 1 or more, not {brief(block)}")
    return sizes[0] if len(sizes) == 1 else (sizes[0], sizes[1])


def _format_or_scheme(x: Any) -> Any:
    return x if x is None or isinstance(x, ScaledFormat) else dtype(x)


def _zero_point(x: Any) -> Any:
    fixed = hasattr(x, "__index__") and not isinstance(x, bool)
    return int(x.__index__()) if fixed else x if x is None else dtype(x)


def _check_order(element: Any, block: Any) -> None:
    """Raise TypeError if the block is a format, since a name was passed before the element."""
    if isinstance(block, str) and block not in BLOCK_WORDS:
        try:
            dtype(block)
        except ValueError:
            return
    elif not isinstance(block, FloatFormat | IntFormat | TableFormat):
        return
    raise TypeError(
        f"block is {brief(block)}, a format: the element is the first argument, and the name a keyword argument: use "
        f"ScaledFormat({str(block)!r}, ..., name={str(element)!r})"
    )


def _source_text(parameter: Any) -> str:
    """Python source of a scheme's parameter: its name if that means the parameter, else a constructor call."""
    if isinstance(parameter, FloatFormat | IntFormat | TableFormat):
        try:
            known = dtype(parameter.name) == parameter
        except ValueError:
            known = False
        return repr(parameter.name if known else parameter)
    if isinstance(parameter, ScaleRule):
        if RULES.get(parameter.name) == parameter:
            return repr(parameter.name)
        own = {field: getattr(parameter, field.name) for field in dataclasses.fields(parameter)[1:]}
        words = [
            f"{field.name}={getattr(value, 'value', value)!r}" for field, value in own.items() if value != field.default
        ]
        return f"ScaleRule({', '.join([repr(parameter.name), *words])})"
    if isinstance(parameter, ScaleProfile) and PROFILES.get(parameter.name) == parameter:
        return repr(parameter.name)
    return repr(parameter)


_INTEGERS = re.compile(r"(?P<element>u?int[1-9][0-9]?)(?P<asym>_asym)?_(?P<block>tensor|row|channel|group[1-9][0-9]*)")


@dataclasses.dataclass(frozen=True)
class ScaledFormat(Scheme):
    """A quantization scheme: a format of elements, and scales that blocks of elements share.

    Parameters
    ----------
    element : Format, str or dtype
        The format of the elements, which are numbers divided by their blocks' scales.
    block : int, (int, int) or str
        The numbers that share a scale: a length along `axis`; a tile of rows and columns, its columns along `axis` and
        its rows along the preceding axis; "row": all numbers along `axis`; "channel": all numbers at one index of
        `axis`; "tensor": all numbers.
    scale : Format, str or dtype
        The format of scales.
    scale_rule : ScaleRule or str
        The rule by which a block's scale is computed from its numbers.
    axis : int
        The axis that blocks lie along.
    zero_point : IntFormat, str, dtype, int or None
        For integer elements.  A format: that of the zero points, which are added to the rounded quotients; an int: the
        zero point of all blocks, which is not stored; None: no zero points.
    second_level : Format, ScaledFormat, str, dtype or None
        A format: scales are divided by one more scale of that format for the whole tensor, so that the largest scale is
        the scale format's largest value.  A scheme: the scales, in float32 and C order, are quantized to it.  None:
        there is only one level.
    profile : ScaleProfile or str
        How codes and scales are computed; by default "exact": each is rounded once; see `profiles`.
    name : str, optional
        Shown in tables and messages; not part of equality.  By default it is built from the other parameters: for
        integers it is the name that `scheme` parses, if there is one.

    Raises
    ------
    ValueError
        If a word is unknown, or parameters do not fit together; the message states the reason.
    TypeError
        If a parameter is of the wrong kind.

    Notes
    -----
    A number is decoded as (element - zero point) x scale x the second level's scale, the product rounded once.  OCP
    Microscaling Formats (MX) v1.0 clause 5 is the scheme of a block of 32, E8M0 scales and the rule "floor".

    Examples
    --------
    >>> import fpemu as fe
    >>> mine = fe.ScaledFormat("float6_e2m3fn", block=8, scale="float8_e4m3fn")
    >>> mine.name
    'float6_e2m3fn_8_float8_e4m3fn'
    >>> q = fe.quantize([1.0, -2.0, 3.0, 0.1], mine, pad=True)
    >>> q.dequantize()
    array([ 1.015625 , -2.03125  ,  3.046875 ,  0.1015625], dtype=float32)
    """

    element: Format
    block: Block
    scale: FloatFormat
    scale_rule: ScaleRule
    axis: int = -1
    zero_point: IntFormat | int | None = None
    second_level: FloatFormat | ScaledFormat | None = None
    profile: ScaleProfile = PROFILES["exact"]
    name: str = dataclasses.field(default="", compare=False)

    def __init__(
        self,
        element: Any,
        block: Any,
        scale: Any = "float32",
        scale_rule: Any = "absmax",
        axis: int = -1,
        zero_point: Any = None,
        second_level: Any = None,
        profile: ScaleProfile | str = "exact",
        *,
        name: str | None = None,
    ) -> None:
        if name is not None:
            check_name(name, "a scheme's name")
        _check_order(element, block)
        if isinstance(axis, bool) or not hasattr(axis, "__index__"):
            raise TypeError(f"axis must be an int, not {type(axis).__name__}")
        fields = {
            "element": dtype(element),
            "block": check_block(block),
            "scale": dtype(scale),
            "scale_rule": named(scale_rule, ScaleRule, RULES, "scale rule"),
            "axis": int(axis.__index__()),
            "zero_point": _zero_point(zero_point),
            "second_level": _format_or_scheme(second_level),
            "profile": scale_profile(profile),
        }
        for field, value in fields.items():
            object.__setattr__(self, field, value)
        object.__setattr__(self, "name", self._own_name if name is None else name)
        self._check()

    def _check(self) -> None:
        own = self.own_profile
        self.element.check_profile(own.elements)
        if isinstance(self.second_level, ScaledFormat):
            self._check_nested(self.second_level)
        for field, fmt in (("scale", self.scale), ("second_level", self.second_level)):
            if fmt is not None and not isinstance(fmt, ScaledFormat) and not isinstance(fmt, FloatFormat):
                raise ValueError(f"{field}: scales must have a float format, not {fmt}")
        second = self.second_level
        if isinstance(second, FloatFormat) and second.precision > SECOND_DIGITS:
            raise ValueError(
                f"second_level must have at most {SECOND_DIGITS} digits, but {second} has {second.precision}"
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
            raise ValueError(f"zero_point must be an integer format without fraction bits, not {zero_point}")
        element = self.element
        if not isinstance(element, IntFormat) or element.fraction_bits != 0:
            raise ValueError(f"zero points are only for integer elements, not for {element}")
        if element.bits > ZERO_POINT_BITS:
            raise ValueError(f"zero points are only for integers of at most {ZERO_POINT_BITS} bits, not for {element}")
        low, high = (self.middle,) * 2 if self.scale_rule.statistic != "minmax" else (element.min_int, element.max_int)
        if isinstance(zero_point, IntFormat) and not zero_point.min_int <= low <= high <= zero_point.max_int:
            ends = f"{low}" if low == high else f"{low} to {high}"
            raise ValueError(f"under {self.scale_rule} zero points of {element} are {ends}, which {zero_point} lacks")
        if isinstance(zero_point, int) and not element.min_int <= zero_point < element.max_int:
            raise ValueError(
                f"the zero point of {element} must be {element.min_int} to {element.max_int - 1}, so that there is a "
                f"positive value to scale to, not {zero_point}"
            )

    def _check_signs(self) -> None:
        """Raise ValueError if the scheme does not fit a rule whose scales may be negative."""
        if not self.scale.signed:
            raise ValueError(f"the scale rule {self.scale_rule} needs signed scales, but {self.scale} is unsigned")
        if self.second_level is not None:
            raise ValueError(f"the scale rule {self.scale_rule} is for scales of one level: use second_level=None")
        element = self.element
        if isinstance(element, IntFormat):
            lowest: float = element.min_int - (self.fixed_zero_point or 0)
        else:
            lowest = min(element.entries) if isinstance(element, TableFormat) else -int(element.signed)
        if self.scale_rule.divisor == "lowest" and lowest >= 0:
            raise ValueError(f"{element} has no negative value to scale to: use an integer as zero_point=")

    def _check_nested(self, second: ScaledFormat) -> None:
        if self.scale.codes_key != FLOAT32.codes_key:
            raise ValueError(f"scales that are themselves quantized must be float32, not {self.scale}")
        if second.second_level is not None or second.zero_point is not None or not isinstance(second.block, int):
            raise ValueError(
                f"a scheme for scales must have one level, blocks of a length and no zero points, unlike {second}"
            )

    @functools.cached_property
    def own_profile(self) -> ScaleProfile:
        """The profile that applies to this scheme: the row that selects it, or the whole profile."""
        return self.profile.of(self)

    @functools.cached_property
    def nested(self) -> ScaledFormat | None:
        """The scheme that scales are quantized to, under the same tool's profile; None if they are not quantized."""
        if not isinstance(self.second_level, ScaledFormat):
            return None
        return self.second_level.replace(profile=self.profile) if self.profile.rows else self.second_level

    @property
    def fixed_zero_point(self) -> int | None:
        """The zero point of all blocks, if the scheme has a fixed one."""
        return self.zero_point if isinstance(self.zero_point, int) else None

    @property
    def middle(self) -> int:
        """The zero point that does not depend on a block's numbers: the fixed one, or the middle integer."""
        if isinstance(self.zero_point, int):
            return self.zero_point
        element = self.element
        assert isinstance(element, IntFormat)
        return 0 if element.signed else (element.max_int + 1) // 2

    @property
    def divisor(self) -> float:
        """The divisor of the scale rule, for elements minus the zero point if all blocks have the same one.

        Raises ValueError if it is not a float64 value.
        """
        same = self.zero_point is not None and self.scale_rule.statistic != "minmax"
        return self.scale_rule.divisor_of(self.element, self.middle if same else 0)

    @property
    def largest_scale(self) -> float:
        """The scale format's largest value, a divisor of the second level's scale."""
        return exact_float(finite_ends(self.scale)[1], f"the largest value of {self.scale}")

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
        """The bits of a block besides its elements: its scale and its zero point."""
        return self.scale_format.bits + (self.zero_point.bits if isinstance(self.zero_point, IntFormat) else 0)

    @property
    def scale_format(self) -> Format:
        """The format of the scales' codes."""
        return self.scale if self.nested is None else self.nested.element

    def replace(self, **changes: Any) -> ScaledFormat:
        """Return a copy of the scheme with other parameters.

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
            If a parameter is unknown.
        ValueError
            If the parameters do not fit together.

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.scheme("mxfp4").replace(block=16).block
        16
        """
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        for name in changes:
            if name not in fields:
                raise TypeError(f"a scheme has no parameter {brief(name)}{near(name, fields)}")
        if self.name == self._own_name:
            fields["name"] = None
        return ScaledFormat(**{**fields, **changes})

    @classmethod
    def _parsed(cls, name: str) -> ScaledFormat | None:
        """Return the integer scheme for a name, as described in `scheme`; None if the name has another form."""
        match = _INTEGERS.fullmatch("".join(name.split()).lower())
        if match is None:
            return None
        word = match["block"]
        rule, zero = "absmax", cls._usual_zero_point(dtype(match["element"]))
        if match["asym"] is not None:
            rule, zero = "minmax", match["element"]
        block = int(word[5:]) if word.startswith("group") else word
        return cls(match["element"], block, "float32", rule, cls._usual_axis(block), zero)

    @staticmethod
    def _usual_axis(block: Block) -> int:
        return 0 if block == "channel" else -1

    @staticmethod
    def _usual_zero_point(element: Format) -> Any:
        """The zero point of a symmetric scheme: for unsigned integers the middle one."""
        return 1 << (element.bits - 1) if isinstance(element, IntFormat) and not element.signed else None

    @property
    def _own_name(self) -> str:
        """A name built from the parameters; for integers the name that `_parsed` accepts, if there is one."""
        element, block, rule = self.element, self.block, self.scale_rule
        whole = isinstance(element, IntFormat) and element.fraction_bits == 0
        words = [element.name]
        asymmetric = whole and rule == RULES["minmax"] and self.zero_point == element
        if asymmetric:
            words.append("asym")
        if isinstance(block, int):
            words.append(f"group{block}" if whole else str(block))
        else:
            words.append(block if isinstance(block, str) else "x".join(map(str, block)))
        if self.scale.codes_key != FLOAT32.codes_key:
            words.append(self.scale.name)
        if not asymmetric:
            if rule != RULES["absmax"]:
                words.append(rule.name)
            if self.zero_point != self._usual_zero_point(element):
                words.append(f"zero_{self.zero_point}".lower())
        if self.axis != self._usual_axis(block):
            words.append(f"axis{self.axis}")
        if self.second_level is not None:
            words.append(f"over_{self.second_level}")
        if self.profile != PROFILES["exact"]:
            words.append(self.profile.name)
        return "_".join("_".join(words).split())

    def __repr__(self) -> str:
        words = [f"{_source_text(self.element)}, block={self.block!r}, scale={_source_text(self.scale)}"]
        words.append(f"scale_rule={_source_text(self.scale_rule)}")
        if self.axis != -1:
            words.append(f"axis={self.axis}")
        levels = {"zero_point": self.zero_point, "second_level": self.second_level}
        words += [f"{field}={_source_text(level)}" for field, level in levels.items() if level is not None]
        if self.profile != PROFILES["exact"]:
            words.append(f"profile={_source_text(self.profile)}")
        if self.name != self._own_name:
            words.append(f"name={self.name!r}")
        return f"ScaledFormat({', '.join(words)})"

"""ScaleProfile: a named set of element rules, the scale of blocks with infinities, and a tool's arithmetic."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fpemu.formats import IEEE, Profile, dtype, profile
from fpemu.formats.lookup import check_word
from fpemu.quantization.definition.scale_rules import scale_rule
from fpemu.quantization.definition.tool_arithmetic import Steps

if TYPE_CHECKING:
    from fpemu.formats import Format, Scheme

__all__ = ["SCALE_RULES", "ScaleProfile", "SchemeSelector"]

# The default rules of casts to elements and to scales: no number becomes infinity.
ELEMENT_RULES = IEEE.replace(name="saturate", overflow="saturate", infinity="saturate")
SCALE_RULES = ELEMENT_RULES.replace(name="scales", missing_zero="smallest")

INFINITE_BLOCK = ("nan", "saturate", "power")


@dataclasses.dataclass(frozen=True)
class SchemeSelector:
    """Select the schemes that a profile row applies to; an empty field matches all.

    Parameters
    ----------
    description : str
        A short description of the schemes, for messages.
    elements : tuple of str or Format
        Formats; "int" matches all integer formats without fraction bits.
    scales : tuple of str
        Names of formats.
    rules : tuple of str
        Names of scale rules.
    blocks : tuple of str
        "tensor", "row", "channel", "length" or "tile".
    zero_points : bool or None
        Whether the schemes have zero points; None matches both.
    levels : tuple of str
        "one"; "two": with a second level's scale; "nested": with scales quantized to another scheme.
    """

    description: str
    elements: tuple[str | Format, ...] = ()
    scales: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()
    zero_points: bool | None = None
    levels: tuple[str, ...] = ()

    def fits(self, scheme: Scheme) -> bool:
        """Whether a scheme is selected."""
        own, second = scheme.element.codes_key, scheme.second_level
        whole = own[0] == "int" and getattr(scheme.element, "fraction_bits", 0) == 0
        block = {int: "length", tuple: "tile"}.get(type(scheme.block), scheme.block)
        level = "one" if second is None else "nested" if hasattr(second, "element") else "two"
        return (
            _is_any(self.elements, lambda name: whole if name == "int" else dtype(name).codes_key == own)
            and _is_any(self.scales, lambda name: dtype(name).codes_key == scheme.scale.codes_key)
            and _is_any(self.rules, lambda name: scale_rule(name) == scheme.scale_rule)
            and _is_any(self.blocks, lambda word: word == block)
            and _is_any(self.levels, lambda word: word == level)
            and self.zero_points in (None, scheme.zero_point is not None)
        )


def _is_any(words: tuple[Any, ...], matches: Callable[[Any], bool]) -> bool:
    return not words or any(map(matches, words))


@dataclasses.dataclass(frozen=True)
class ScaleProfile:
    """The rules for computing codes and scales that are not part of a scheme, such as those of a tool.

    Parameters
    ----------
    name : str
        Shown in messages; not part of equality.
    elements : Profile or str
        The rules of casts to elements; by default they round to nearest even and saturate.
    infinite_block : {"nan", "saturate", "power"}
        The scale of a block with an infinity: NaN; the largest scale; or the scale for 2^128, the value of the bits of
        float32's infinity if they were those of a finite number.
    steps : Steps or None
        A tool's arithmetic; None: each result is rounded once from the exact value.
    rows : tuple of (SchemeSelector, ScaleProfile)
        For tools with different rules for different schemes: the first row that selects a scheme applies to it.  The
        profile does not apply to schemes that no row selects.

    Raises
    ------
    ValueError
        If a word is unknown.
    TypeError
        If an argument is of the wrong kind.

    Examples
    --------
    >>> import fpemu as fe
    >>> careless = fe.ScaleProfile("careless", infinite_block="saturate")
    >>> fe.quantize([1.0, float("inf")], "mxfp8_e4m3", profile=careless, pad=True).scale_values
    array([1.7014118e+38], dtype=float32)
    """

    name: str = dataclasses.field(compare=False)
    elements: Profile = ELEMENT_RULES
    infinite_block: str = "nan"
    steps: Steps | None = None
    rows: tuple[tuple[SchemeSelector, ScaleProfile], ...] = ()

    def __post_init__(self) -> None:
        check_word(self.infinite_block, INFINITE_BLOCK, "infinite_block")
        if self.steps is not None and not isinstance(self.steps, Steps):
            raise TypeError(f"steps must be Steps or None, not {type(self.steps).__name__}")
        object.__setattr__(self, "elements", profile(self.elements))
        object.__setattr__(self, "rows", tuple(self.rows))

    def __str__(self) -> str:
        return self.name

    def of(self, scheme: Scheme) -> ScaleProfile:
        """Return the profile for a scheme: the first row that selects it, or this profile if there are no rows.

        Parameters
        ----------
        scheme : ScaledFormat

        Returns
        -------
        ScaleProfile

        Raises
        ------
        ValueError
            If no row selects the scheme.

        Examples
        --------
        >>> import fpemu as fe
        >>> from fpemu.quantization.definition.tool_profiles import scale_profile
        >>> scale_profile("torchao").of(fe.scheme("mxfp4")).infinite_block
        'power'
        """
        if not self.rows:
            return self
        for selector, row in self.rows:
            if selector.fits(scheme):
                return row
        known = "; ".join(dict.fromkeys(selector.description for selector, _ in self.rows))
        raise ValueError(f"the profile {self} does not apply to {scheme}: it is for {known}")

    def replace(self, **changes: Any) -> ScaleProfile:
        """Return a copy of the profile with changes, in all its rows.

        Parameters
        ----------
        **changes
            Parameters of the class, of its `Steps`, or of the elements' `Profile`; without a `name` the changes are
            appended to the old name.

        Returns
        -------
        ScaleProfile

        Raises
        ------
        ValueError
            If a rule or a word is unknown.

        Examples
        --------
        >>> from fpemu.quantization.definition.tool_profiles import scale_profile
        >>> scale_profile("exact").replace(rounding="toward_zero").elements.rounding
        <Rounding.TOWARD_ZERO: 'toward_zero'>
        """
        if "name" not in changes and changes:
            words = (f"{field}={getattr(value, 'value', value)}" for field, value in changes.items())
            changes = {"name": ", ".join([self.name, *words]), **changes}
        own, of_steps = ({field.name for field in dataclasses.fields(kind)} for kind in (ScaleProfile, Steps))
        changed = dataclasses.replace(self, **{field: value for field, value in changes.items() if field in own})
        if changed.rows:
            rest = {field: value for field, value in changes.items() if field not in ("name", "rows")}
            rows = tuple((selector, row.replace(**rest)) for selector, row in changed.rows)
            return dataclasses.replace(changed, rows=rows)
        steps = {field: value for field, value in changes.items() if field in of_steps}
        if steps:
            changed = dataclasses.replace(changed, steps=dataclasses.replace(changed.steps or Steps(), **steps))
        rules = {field: value for field, value in changes.items() if field not in own | of_steps}
        return dataclasses.replace(changed, elements=changed.elements.replace(**rules)) if rules else changed

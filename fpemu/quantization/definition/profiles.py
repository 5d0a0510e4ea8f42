"""What a scheme's name does not say: casts of elements, infinities, a tool's own arithmetic; as bundles with names."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fpemu.formats import IEEE, Profile, dtype
from fpemu.formats import profile as named
from fpemu.formats.lookup import check_word
from fpemu.quantization.definition.scale_rules import scale_rule
from fpemu.quantization.definition.tool_arithmetic import Steps

if TYPE_CHECKING:
    from fpemu.formats import Format, Scheme

__all__ = ["SCALE_RULES", "Of", "ScaleProfile"]

# What casts of elements and of scales do unless a profile says otherwise: nothing is lost to infinity.
ELEMENT_RULES = IEEE.replace(name="saturate", overflow="saturate", infinity="saturate")
SCALE_RULES = ELEMENT_RULES.replace(name="scales", missing_zero="smallest")

INFINITE_BLOCK = ("nan", "saturate", "power")


@dataclasses.dataclass(frozen=True)
class Of:
    """Which schemes a row of a profile is for: one of each kind of word, any where there are none.

    Parameters
    ----------
    what : str
        In a few words.
    elements : tuple of str or Format
        Formats; "int": integers without a fraction.
    scales : tuple of str
        Names of formats.
    rules : tuple of str
        Names of scale rules.
    blocks : tuple of str
        "tensor", "row", "channel"; "length"; "tile".
    zero_points : bool or None
        Whether there are any.
    levels : tuple of str
        "one"; "two", the second's scale a number; "nested", scales in a scheme of their own.
    """

    what: str
    elements: tuple[str | Format, ...] = ()
    scales: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()
    zero_points: bool | None = None
    levels: tuple[str, ...] = ()

    def fits(self, scheme: Scheme) -> bool:
        """Whether a scheme is one of these."""
        own, second = scheme.element.codes_key, scheme.second_level
        whole = own[0] == "int" and getattr(scheme.element, "fraction_bits", 0) == 0
        block = {int: "length", tuple: "tile"}.get(type(scheme.block), scheme.block)
        level = "one" if second is None else "nested" if hasattr(second, "element") else "two"
        return (
            _among(self.elements, lambda name: whole if name == "int" else dtype(name).codes_key == own)
            and _among(self.scales, lambda name: dtype(name).codes_key == scheme.scale.codes_key)
            and _among(self.rules, lambda name: scale_rule(name) == scheme.scale_rule)
            and _among(self.blocks, lambda word: word == block)
            and _among(self.levels, lambda word: word == level)
            and self.zero_points in (None, scheme.zero_point is not None)
        )


def _among(words: tuple[Any, ...], is_it: Callable[[Any], bool]) -> bool:
    return not words or any(map(is_it, words))


@dataclasses.dataclass(frozen=True)
class ScaleProfile:
    """How numbers get to a scheme's codes and scales, beyond the scheme itself.

    Parameters
    ----------
    name : str
        Shown in messages; not part of equality.
    elements : Profile or str
        The rules of the casts to elements; default: to nearest even, and saturating.
    infinite_block : {"nan", "saturate", "power"}
        The scale of a block with an infinity: NaN; the largest scale; or that of 2^128, which float32's bits of an
        infinity mean as a number.
    steps : Steps or None
        A tool's own arithmetic; None: everything is rounded once, from the exact value.
    rows : tuple of (Of, ScaleProfile)
        A tool that treats schemes apart: the first row that a scheme is of holds for it, and no others can be had.

    Raises
    ------
    ValueError
        If a word is unknown.
    TypeError
        If something is of the wrong kind.

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
    rows: tuple[tuple[Of, ScaleProfile], ...] = ()

    def __post_init__(self) -> None:
        check_word(self.infinite_block, INFINITE_BLOCK, "infinite_block")
        if self.steps is not None and not isinstance(self.steps, Steps):
            raise TypeError(f"steps must be Steps or None, not {type(self.steps).__name__}")
        object.__setattr__(self, "elements", named(self.elements))
        object.__setattr__(self, "rows", tuple(self.rows))

    def __str__(self) -> str:
        return self.name

    def of(self, scheme: Scheme) -> ScaleProfile:
        """What holds for a scheme: one row, or all there is.

        Parameters
        ----------
        scheme : ScaledFormat

        Returns
        -------
        ScaleProfile

        Raises
        ------
        ValueError
            If the tool has nothing of the kind.

        Examples
        --------
        >>> import fpemu as fe
        >>> from fpemu.quantization.definition.tool_profiles import scale_profile
        >>> scale_profile("torchao").of(fe.scheme("mxfp4")).infinite_block
        'power'
        """
        if not self.rows:
            return self
        for row, found in self.rows:
            if row.fits(scheme):
                return found
        known = "; ".join(dict.fromkeys(row.what for row, _ in self.rows))
        raise ValueError(f"the profile {self} does not apply to {scheme}: it is for {known}")

    def replace(self, **changes: Any) -> ScaleProfile:
        """The profile with other parts, in all its rows.

        Parameters
        ----------
        **changes
            Parameters of the class, of its `Steps`, or knobs of the elements' `Profile`; without a `name` the old one
            tells of the others.

        Returns
        -------
        ScaleProfile

        Raises
        ------
        ValueError
            If a knob or a word is unknown.

        Examples
        --------
        >>> from fpemu.quantization.definition.tool_profiles import scale_profile
        >>> scale_profile("exact").replace(rounding="toward_zero").elements.rounding
        <Rounding.TOWARD_ZERO: 'toward_zero'>
        """
        if "name" not in changes and changes:
            told = (f"{knob}={getattr(value, 'value', value)}" for knob, value in changes.items())
            changes = {"name": ", ".join([self.name, *told]), **changes}
        own, of_steps = ({field.name for field in dataclasses.fields(kind)} for kind in (ScaleProfile, Steps))
        found = dataclasses.replace(self, **{word: value for word, value in changes.items() if word in own})
        steps = {word: value for word, value in changes.items() if word in of_steps}
        knobs = {word: value for word, value in changes.items() if word not in own | of_steps}
        rest = {word: value for word, value in changes.items() if word not in ("name", "rows")}
        if found.rows:
            rows = tuple((row, part.replace(**rest)) for row, part in found.rows)
            return dataclasses.replace(found, rows=rows)
        if steps:
            found = dataclasses.replace(found, steps=dataclasses.replace(found.steps or Steps(), **steps))
        return dataclasses.replace(found, elements=found.elements.replace(**knobs)) if knobs else found

"""What a scheme's name does not say: the casts of elements, what becomes of infinities; as bundles with names."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from fpemu.knobs import near
from fpemu.profiles import IEEE, Profile
from fpemu.profiles import profile as named

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PROFILES", "SCALE_RULES", "ScaleProfile", "scale_profile"]

# What casts of elements and of scales do unless a profile says otherwise: nothing is lost to infinity.
ELEMENT_RULES = IEEE.replace(name="saturate", overflow="saturate", infinity="saturate")
SCALE_RULES = ELEMENT_RULES.replace(name="scales", missing_zero="smallest")

INFINITE_BLOCK = ("nan", "saturate", "power")


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

    def __post_init__(self) -> None:
        if not isinstance(self.infinite_block, str):
            raise TypeError(f"infinite_block must be a str, not {type(self.infinite_block).__name__}")
        if self.infinite_block not in INFINITE_BLOCK:
            raise ValueError(
                f"unknown infinite_block {self.infinite_block!r}: allowed are {', '.join(INFINITE_BLOCK)}"
                f"{near(self.infinite_block, list(INFINITE_BLOCK))}"
            )
        object.__setattr__(self, "elements", named(self.elements))

    def __str__(self) -> str:
        return self.name

    def replace(self, **changes: Any) -> ScaleProfile:
        """The profile with other parts.

        Parameters
        ----------
        **changes
            Parameters of the class, or knobs of the elements' `Profile`.

        Returns
        -------
        ScaleProfile

        Raises
        ------
        ValueError
            If a knob or a word is unknown.

        Examples
        --------
        >>> from fpemu.scaling.profiles import scale_profile
        >>> scale_profile("exact").replace(rounding="toward_zero").elements.rounding
        <Rounding.TOWARD_ZERO: 'toward_zero'>
        """
        own = {field.name for field in dataclasses.fields(self)}
        knobs = {knob: value for knob, value in changes.items() if knob not in own}
        found = dataclasses.replace(self, **{word: value for word, value in changes.items() if word in own})
        return dataclasses.replace(found, elements=found.elements.replace(**knobs)) if knobs else found


PROFILES: Mapping[str, ScaleProfile] = {profile.name: profile for profile in (ScaleProfile("exact"),)}


def scale_profile(profile: Any) -> ScaleProfile:
    """The profile that a name means, or the profile itself.

    Parameters
    ----------
    profile : str or ScaleProfile

    Returns
    -------
    ScaleProfile

    Raises
    ------
    ValueError
        If the name is unknown.
    TypeError
        If it is neither.

    Examples
    --------
    >>> from fpemu.scaling.profiles import scale_profile
    >>> scale_profile("exact").infinite_block
    'nan'
    """
    if isinstance(profile, ScaleProfile):
        return profile
    if not isinstance(profile, str):
        raise TypeError(f"a profile of scaled formats is a name or a ScaleProfile, not {type(profile).__name__}")
    if profile not in PROFILES:
        names = ", ".join(PROFILES)
        raise ValueError(f"unknown profile of scaled formats {profile!r}: allowed are {names}{near(profile, PROFILES)}")
    return PROFILES[profile]

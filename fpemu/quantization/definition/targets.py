"""Resolve names that may mean a format or a scaled format, a cast profile or a scale profile."""

from __future__ import annotations

import contextlib
from typing import Any, NamedTuple

from fpemu.formats import PROFILE_ALIASES, Format, Profile, aliases, dtype, dtypes, profile_names, unambiguous
from fpemu.formats import profile as cast_profile
from fpemu.formats.lookup import brief, near
from fpemu.quantization.definition.profiles import ScaleProfile
from fpemu.quantization.definition.registry import scheme, schemes
from fpemu.quantization.definition.scale_rules import scale_rule
from fpemu.quantization.definition.scaled_format import ScaledFormat
from fpemu.quantization.definition.tool_profiles import PROFILES, SCALE_PROFILE_ALIASES, scale_profile

__all__ = ["Targets", "format_or_scheme", "targets_under", "with_axis", "with_scale_rule"]


def format_or_scheme(x: Any) -> Format | ScaledFormat:
    """Return the format or scaled format for a name or a dtype object; formats are returned unchanged.

    Parameters
    ----------
    x : str, Format, ScaledFormat or dtype

    Returns
    -------
    Format or ScaledFormat

    Raises
    ------
    ValueError
        If the name is unknown; the message lists similar names.
    TypeError
        If `x` is of another kind.

    Examples
    --------
    >>> from fpemu.quantization.definition.targets import format_or_scheme
    >>> str(format_or_scheme("mxfp4")), str(format_or_scheme("e4m3"))
    ('mxfp4', 'float8_e4m3fn')
    >>> format_or_scheme("mxfp3")
    Traceback (most recent call last):
    ...
    ValueError: unknown format 'mxfp3'; did you mean 'mxfp4' or 'mxfp8_e4m3' or 'mxfp6_e3m2'?
    """
    if isinstance(x, ScaledFormat):
        return x
    if not isinstance(x, str):
        return dtype(x)
    try:
        return dtype(x)
    except ValueError as error:
        no_format = error
    try:
        return scheme(x)
    except ValueError as error:
        if not str(error).startswith("unknown scheme"):
            raise
    if not str(no_format).startswith("unknown format"):
        raise no_format
    names = [name for fmt in dtypes() for name in (fmt.name, *aliases(fmt))]
    close = near(x.lower(), unambiguous([*(known.name for known in schemes()), *names]))
    raise ValueError(f"unknown format {brief(x)}{close or '; fpemu.dtypes() and fpemu.schemes() list them'}")


class Targets(NamedTuple):
    """Formats and scaled formats, and the rules of casts to formats and to elements; None: each format's own."""

    targets: list[Format | ScaledFormat]
    casts: Profile | None
    elements: Profile | None


def targets_under(targets: list[Format | ScaledFormat], profile: str | Profile | ScaleProfile | None) -> Targets:
    """Return formats and scaled formats under a profile.

    If a name means both a scale profile and a cast profile, each applies to its kind of target.  If it means only a
    scale profile, formats have their own rules; if it means only a cast profile, that also applies to elements.

    Parameters
    ----------
    targets : list of Format or ScaledFormat
    profile : str, Profile, ScaleProfile or None

    Returns
    -------
    Targets

    Raises
    ------
    ValueError
        If the name is unknown, or means a scale profile that does not apply to one of the scaled formats, or there are
        no scaled formats.

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.quantization.definition.targets import targets_under
    >>> found = targets_under([fe.dtype("float16"), fe.scheme("mxfp4")], "torchao")
    >>> found.targets[1]
    ScaledFormat('float4_e2m1fn', block=32, scale='float8_e8m0fnu', scale_rule='floor', profile='torchao-0.18',
                 name='mxfp4')
    """
    casts, scaled = _casts(profile), _scaled(profile)
    if profile is not None and casts is None and scaled is None:
        names = dict.fromkeys([*profile_names(), *PROFILES, *PROFILE_ALIASES, *SCALE_PROFILE_ALIASES])
        raise ValueError(
            f"unknown profile {brief(profile)}: fpemu.profile_names() lists those of casts, "
            f"fpemu.scheme(name).profiles() those of a scaled format{near(str(profile), list(names))}"
        )
    if scaled is None:
        return Targets(targets, casts, casts)
    if casts is None and not any(isinstance(fmt, ScaledFormat) for fmt in targets):
        raise ValueError(f"{scaled} is a profile of scaled formats, but there are none")
    return Targets(
        [fmt.replace(profile=scaled) if isinstance(fmt, ScaledFormat) else fmt for fmt in targets], casts, None
    )


def _casts(profile: Any) -> Profile | None:
    if profile is None or isinstance(profile, ScaleProfile):
        return None
    with contextlib.suppress(ValueError):
        return cast_profile(profile)
    return None


def _scaled(profile: Any) -> ScaleProfile | None:
    if profile is None or isinstance(profile, Profile):
        return None
    with contextlib.suppress(ValueError):
        return scale_profile(profile)
    return None


def with_scale_rule(targets: list[Format | ScaledFormat], rule: Any) -> list[Format | ScaledFormat]:
    """Return formats unchanged, and scaled formats with another scale rule.

    Parameters
    ----------
    targets : list of Format or ScaledFormat
    rule : str or ScaleRule

    Returns
    -------
    list of Format or ScaledFormat

    Raises
    ------
    ValueError
        If the rule is unknown, does not fit one of the scaled formats, or there are no scaled formats.

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.quantization.definition.targets import with_scale_rule
    >>> with_scale_rule([fe.scheme("mxfp4")], "rceil")
    [ScaledFormat('float4_e2m1fn', block=32, scale='float8_e8m0fnu', scale_rule='rceil', name='mxfp4')]
    """
    rule = scale_rule(rule)
    check_scaled(targets, f"the scale rule {rule}")
    changed: list[Format | ScaledFormat] = []
    for fmt in targets:
        try:
            changed.append(fmt.replace(scale_rule=rule) if isinstance(fmt, ScaledFormat) else fmt)
        except ValueError as error:
            raise ValueError(f"{fmt}: {error}") from None
    return changed


def with_axis(targets: list[Format | ScaledFormat], axis: int) -> list[Format | ScaledFormat]:
    """Return formats unchanged, and scaled formats with their blocks along another axis.

    Parameters
    ----------
    targets : list of Format or ScaledFormat
    axis : int

    Returns
    -------
    list of Format or ScaledFormat

    Raises
    ------
    TypeError
        If the axis is not an int.
    ValueError
        If there are no scaled formats.

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.quantization.definition.targets import with_axis
    >>> with_axis([fe.scheme("mxfp4")], 0)[0].axis
    0
    """
    check_scaled(targets, "axis")
    return [fmt.replace(axis=axis) if isinstance(fmt, ScaledFormat) else fmt for fmt in targets]


def check_scaled(targets: list[Format | ScaledFormat], name: str) -> None:
    """Raise ValueError if there is no scaled format to which an option could apply."""
    if not any(isinstance(fmt, ScaledFormat) for fmt in targets):
        raise ValueError(f"{name} is for scaled formats, but there are none")

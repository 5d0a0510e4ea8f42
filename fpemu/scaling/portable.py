"""Schemes and quantized arrays as plain data and arrays, and back: by all their parameters, never by name alone."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from fpemu.array import Array
from fpemu.portable import format_from, format_of, profile_from, profile_of
from fpemu.scaling.layout import Layout
from fpemu.scaling.profiles import Of, ScaleProfile
from fpemu.scaling.quantized import Quantized
from fpemu.scaling.rules import ScaleRule
from fpemu.scaling.scheme import ScaledFormat
from fpemu.scaling.steps import Steps

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["quantized_from", "quantized_of", "scheme_from", "scheme_of"]


def scheme_of(scheme: ScaledFormat) -> dict[str, Any]:
    """A scheme's parameters, fit for JSON.

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.scaling.portable import scheme_of
    >>> found = scheme_of(fe.scheme("nvfp4_tile"))
    >>> found["block"], found["scale"]["name"], found["scale_rule"]["rounding"]
    ((16, 16), 'float8_e4m3fn', 'nearest_even')
    """
    found = {field.name: getattr(scheme, field.name) for field in dataclasses.fields(scheme)}
    for field in ("element", "scale", "zero_point", "second_level"):
        found[field] = _part_of(found[field])
    rule = dataclasses.asdict(scheme.scale_rule)
    return {**found, "scale_rule": {**rule, "rounding": rule["rounding"].value}, "profile": _profile_of(scheme.profile)}


def scheme_from(data: dict[str, Any]) -> ScaledFormat:
    """The scheme with these parameters, as `scheme_of` gives them.

    Raises
    ------
    ValueError
        If they are not a scheme's.

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.scaling.portable import scheme_from, scheme_of
    >>> all(scheme_from(scheme_of(scheme)) == scheme for scheme in fe.schemes())
    True
    """
    try:
        parts = {field: _part_from(data[field]) for field in ("element", "scale", "zero_point", "second_level")}
        rule, profile = ScaleRule(**data["scale_rule"]), _profile_from(data["profile"])
        return ScaledFormat(**{**data, **parts, "scale_rule": rule, "profile": profile})
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a scheme's parameters: {error!r}") from None


def _part_of(part: Any) -> Any:
    """A format, or a scheme, as plain data; an integer or None as it is."""
    if part is None or isinstance(part, int):
        return part
    return scheme_of(part) if isinstance(part, ScaledFormat) else format_of(part)


def _part_from(data: Any) -> Any:
    if not isinstance(data, dict):
        return data
    return scheme_from(data) if "element" in data else format_from(data)


def _profile_of(profile: ScaleProfile) -> dict[str, Any]:
    return {
        "name": profile.name,
        "elements": profile_of(profile.elements),
        "infinite_block": profile.infinite_block,
        "steps": None if profile.steps is None else dataclasses.asdict(profile.steps),
        "rows": [(_row_of(of), _profile_of(row)) for of, row in profile.rows],
    }


def _profile_from(data: dict[str, Any]) -> ScaleProfile:
    steps = data["steps"]
    if steps is not None:
        steps = Steps(**{**steps, "nan_codes": tuple((name, code) for name, code in steps["nan_codes"])})
    rows = tuple((_row_from(of), _profile_from(row)) for of, row in data["rows"])
    return ScaleProfile(**{**data, "elements": profile_from(data["elements"]), "steps": steps, "rows": rows})


def _row_of(of: Of) -> dict[str, Any]:
    found = {field.name: getattr(of, field.name) for field in dataclasses.fields(of)}
    return {**found, "elements": [part if isinstance(part, str) else format_of(part) for part in of.elements]}


def _row_from(data: dict[str, Any]) -> Of:
    words: dict[str, Any] = {
        word: tuple(part) if isinstance(part, list | tuple) else part for word, part in data.items()
    }
    return Of(**{**words, "elements": tuple(map(_part_from, data["elements"]))})


# -- quantized arrays -------------------------------------------------------------------------------------------------


def quantized_of(q: Quantized) -> tuple[dict[str, Array | NDArray[Any]], dict[str, Any]]:
    """A quantized array's arrays by their words, "codes" first, and all else as plain data.

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.scaling.portable import quantized_of
    >>> parts, data = quantized_of(fe.quantize([1.0, -2.0], "zeropoint_int8"))
    >>> list(parts), data["steps"]
    (['codes', 'scales', 'zero_points'], (2,))
    """
    scheme, second = q.scheme, q.second_scale
    parts: dict[str, Array | NDArray[Any]] = {
        "codes": Array(q.codes, scheme.element),
        "scales": Array(q.scales, scheme.scale_format),
    }
    if q.zero_points is not None and scheme.fixed_zero_point is None:
        parts["zero_points"] = q.zero_points
    own: Any = second
    if isinstance(second, Quantized):  # whose codes are the scales
        parts["second_scales"] = Array(second.scales, second.scheme.scale)
        own = second.offset
    data = {"scheme": scheme_of(scheme), "steps": q.layout.steps, "second_scale": own, "offset": q.offset}
    return parts, data


def quantized_from(parts: dict[str, NDArray[Any]], data: dict[str, Any]) -> Quantized:
    """The quantized array of these codes and data, as `quantized_of` gives them.

    Raises
    ------
    ValueError
        If they do not belong together.

    Examples
    --------
    >>> import fpemu as fe, numpy as np
    >>> from fpemu.scaling.portable import quantized_from, quantized_of
    >>> parts, data = quantized_of(fe.quantize([1.0, -2.0], "zeropoint_int8"))
    >>> codes = {word: getattr(part, "codes", part) for word, part in parts.items()}
    >>> quantized_from(codes, data).dequantize()
    array([ 1., -2.], dtype=float32)
    """
    scheme, codes, scales = scheme_from(data["scheme"]), parts["codes"], parts["scales"]
    layout = Layout(codes.shape, tuple(data["steps"]))
    if len(layout.steps) != codes.ndim or scales.shape != layout.blocks:
        raise ValueError(f"scales of shape {scales.shape} do not fit blocks of {layout.steps} in shape {codes.shape}")
    Array(codes, scheme.element), Array(scales, scheme.scale_format)  # an error, unless they are codes of these
    zeros = None
    if scheme.fixed_zero_point is not None:
        zeros = np.full(layout.blocks, scheme.fixed_zero_point, np.int64)
    elif scheme.zero_point is not None:
        zeros = parts["zero_points"].view(np.int64).reshape(layout.blocks)
    second: Any = data["second_scale"]
    if scheme.nested is not None:
        assert isinstance(scheme.nested.block, int)
        flat = Layout((scales.size,), (scheme.nested.block,))
        own = parts["second_scales"].reshape(flat.blocks)
        second = Quantized(scheme.nested, scales.reshape(-1), own, None, None, flat, second)
    return Quantized(scheme, codes, scales, zeros, second, layout, data["offset"])

"""Schemes and quantized arrays as plain data and arrays, and back: by all their parameters, not by names."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from fpemu.arrays import Array
from fpemu.casting import pack
from fpemu.formats import IntFormat
from fpemu.formats.serialize import format_from, format_of, profile_from, profile_of
from fpemu.quantization.blocks import Layout
from fpemu.quantization.definition.profiles import ScaleProfile, SchemeSelector
from fpemu.quantization.definition.scale_rules import ScaleRule
from fpemu.quantization.definition.scaled_format import ScaledFormat
from fpemu.quantization.definition.tool_arithmetic import steps_from
from fpemu.quantization.parts import check_layout, packed_zero_points, unpacked, unpacked_zero_points
from fpemu.quantization.quantized import Quantized

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["quantized_from", "quantized_of", "scheme_from", "scheme_of"]


def scheme_of(scheme: ScaledFormat) -> dict[str, Any]:
    """A scheme's parameters as data for JSON.

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.quantization.serialize import scheme_of
    >>> data = scheme_of(fe.scheme("nvfp4_tile"))
    >>> data["block"], data["scale"]["name"], data["scale_rule"]["rounding"]
    ((16, 16), 'float8_e4m3fn', 'nearest_even')
    """
    data = {field.name: getattr(scheme, field.name) for field in dataclasses.fields(scheme)}
    for field in ("element", "scale", "zero_point", "second_level"):
        data[field] = _level_of(data[field])
    rule = dataclasses.asdict(scheme.scale_rule)
    return {**data, "scale_rule": {**rule, "rounding": rule["rounding"].value}, "profile": _profile_of(scheme.profile)}


def scheme_from(data: dict[str, Any]) -> ScaledFormat:
    """Return the scheme for the data that `scheme_of` returns.

    Raises
    ------
    ValueError
        If the data do not describe a scheme.

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.quantization.serialize import scheme_from, scheme_of
    >>> all(scheme_from(scheme_of(scheme)) == scheme for scheme in fe.schemes())
    True
    """
    try:
        levels = {field: _level_from(data[field]) for field in ("element", "scale", "zero_point", "second_level")}
        rule, profile = ScaleRule(**data["scale_rule"]), _profile_from(data["profile"])
        return ScaledFormat(**{**data, **levels, "scale_rule": rule, "profile": profile})
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a scheme's parameters: {error!r}") from None


def _level_of(level: Any) -> Any:
    """A format or a scheme as plain data; an integer or None unchanged."""
    if level is None or isinstance(level, int):
        return level
    return scheme_of(level) if isinstance(level, ScaledFormat) else format_of(level)


def _level_from(data: Any) -> Any:
    if not isinstance(data, dict):
        return data
    return scheme_from(data) if "element" in data else format_from(data)


def _profile_of(profile: ScaleProfile) -> dict[str, Any]:
    return {
        "name": profile.name,
        "elements": profile_of(profile.elements),
        "infinite_block": profile.infinite_block,
        "steps": None if profile.steps is None else dataclasses.asdict(profile.steps),
        "rows": [(_selector_of(selector), _profile_of(row)) for selector, row in profile.rows],
    }


def _profile_from(data: dict[str, Any]) -> ScaleProfile:
    steps = data["steps"]
    if steps is not None:
        steps = steps_from({**steps, "nan_codes": tuple((name, code) for name, code in steps["nan_codes"])})
    rows = tuple((_selector_from(selector), _profile_from(row)) for selector, row in data["rows"])
    return ScaleProfile(**{**data, "elements": profile_from(data["elements"]), "steps": steps, "rows": rows})


def _selector_of(selector: SchemeSelector) -> dict[str, Any]:
    data = {field.name: getattr(selector, field.name) for field in dataclasses.fields(selector)}
    elements = [name if isinstance(name, str) else format_of(name) for name in selector.elements]
    return {"what": data.pop("description"), **data, "elements": elements}


def _selector_from(data: dict[str, Any]) -> SchemeSelector:
    fields: dict[str, Any] = {
        field: tuple(value) if isinstance(value, list | tuple) else value for field, value in data.items()
    }
    return SchemeSelector(fields.pop("what"), **{**fields, "elements": tuple(map(_level_from, data["elements"]))})


# -- quantized arrays -------------------------------------------------------------------------------------------------


def quantized_of(q: Quantized) -> tuple[dict[str, Array | NDArray[Any]], dict[str, Any]]:
    """A quantized array's arrays by name, "codes" first, and all other parts as plain data.

    Zero points, and codes narrower than their bytes, are packed as by `Quantized.pack`; `packed` lists those arrays.

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.quantization.serialize import quantized_of
    >>> arrays, data = quantized_of(fe.quantize([1.0, -2.0], "zeropoint_int4"))
    >>> arrays["codes"], data["packed"], data["shape"], data["steps"]
    (array([135], dtype=uint8), ['codes', 'zero_points'], (2,), (2,))
    """
    scheme, second = q.scheme, q.second_scale
    arrays: dict[str, Array | NDArray[Any]] = {
        "codes": Array(q.codes, scheme.element),
        "scales": Array(q.scales, scheme.scale_format),
    }
    packed = []
    if scheme.element.bits < 8 * q.codes.itemsize:
        arrays["codes"] = pack(q.codes if q.ndim else q.codes.reshape(1), scheme.element)
        packed.append("codes")
    if q.zero_points is not None and isinstance(scheme.zero_point, IntFormat):
        try:
            arrays["zero_points"] = packed_zero_points(q.zero_points, scheme.zero_point)
            packed.append("zero_points")
        except ValueError:  # out of range, such as a tool's zero point for a block with a NaN
            arrays["zero_points"] = q.zero_points
    number: Any = second
    if isinstance(second, Quantized):  # whose codes are the scales
        arrays["second_scales"] = Array(second.scales, second.scheme.scale)
        number = second.offset
    data = {
        "scheme": scheme_of(scheme),
        "shape": q.shape,
        "steps": q.layout.block_shape,
        "packed": packed,
        "second_scale": number,
        "offset": q.offset,
    }
    return arrays, data


def quantized_from(arrays: dict[str, NDArray[Any]], data: dict[str, Any]) -> Quantized:
    """Return the quantized array for the arrays and data that `quantized_of` returns.

    Data without `packed` are of version 1, in which no array is packed.

    Raises
    ------
    ValueError
        If they do not fit together.

    Examples
    --------
    >>> import fpemu as fe, numpy as np
    >>> from fpemu.quantization.serialize import quantized_from, quantized_of
    >>> arrays, data = quantized_of(fe.quantize([1.0, -2.0], "zeropoint_int8"))
    >>> codes = {name: getattr(array, "codes", array) for name, array in arrays.items()}
    >>> quantized_from(codes, data).dequantize()
    array([ 1., -2.], dtype=float32)
    """
    scheme, codes, scales, packed = (
        scheme_from(data["scheme"]),
        arrays["codes"],
        arrays["scales"],
        data.get("packed", ()),
    )
    if "codes" in packed:
        codes = unpacked(codes, scheme, tuple(data["shape"]))
    layout = Layout(codes.shape, tuple(data["steps"]))
    check_layout(layout, scheme, codes.shape)
    zeros = None
    if isinstance(scheme.zero_point, IntFormat):
        zeros = arrays["zero_points"]
        if "zero_points" in packed:
            zeros = unpacked_zero_points(zeros, scheme.zero_point, layout.blocks)
        elif zeros.itemsize != 8:
            raise ValueError(f"zero points must be int64 if they are not packed, not {zeros.dtype}")
        else:
            zeros = zeros.view(np.int64)
    second: Any = data["second_scale"]
    if scheme.nested is not None:
        assert isinstance(scheme.nested.block, int)
        flat = Layout((scales.size,), (scheme.nested.block,))
        second = Quantized(scheme.nested, scales.reshape(-1), arrays["second_scales"], None, None, flat, second)
    return Quantized(scheme, codes, scales, zeros, second, layout, data["offset"])

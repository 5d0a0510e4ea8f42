"""The schemes that ship, and the lookup of names."""

from __future__ import annotations

from typing import Any

from fpemu.registry import register, registered_scheme, registered_schemes
from fpemu.scaling.rules import ScaleRule
from fpemu.scaling.scheme import ScaledFormat

__all__ = ["scheme", "schemes"]


def scheme(x: Any) -> ScaledFormat:
    """The scaled format that a name, an alias or a scheme itself means.

    Parameters
    ----------
    x : str or ScaledFormat

    Returns
    -------
    ScaledFormat

    Raises
    ------
    ValueError
        If the name is unknown, with the names near it.
    TypeError
        If `x` is neither.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.scheme("mxfp4")
    ScaledFormat('mxfp4', 'float4_e2m1fn', block=32, scale='float8_e8m0fnu', scale_rule='floor')
    >>> fe.scheme("mxfp5")
    Traceback (most recent call last):
    ...
    ValueError: unknown scheme 'mxfp5'; did you mean 'mxfp8' or 'mxfp6' or 'mxfp4'?
    """
    if isinstance(x, ScaledFormat):
        return x
    if not isinstance(x, str):
        raise TypeError(f"a scheme is a name or a ScaledFormat, not {type(x).__name__}")
    found = registered_scheme(x)
    assert isinstance(found, ScaledFormat)
    return found


def schemes() -> list[ScaledFormat]:
    """The registered scaled formats: those that ship, then those of `register`.

    Returns
    -------
    list of ScaledFormat

    Examples
    --------
    >>> import fpemu as fe
    >>> [found.name for found in fe.schemes()][:3]
    ['mxfp8_e4m3', 'mxfp8_e5m2', 'mxfp6_e2m3']
    """
    return [found for found in registered_schemes() if isinstance(found, ScaledFormat)]


def _mx(name: str, element: Any, *aliases: str) -> None:
    """OCP Microscaling Formats (MX) v1.0, table 1: blocks of 32, E8M0 scales; clause 6.3's rule."""
    register(ScaledFormat(name, element, 32, "float8_e8m0fnu", "floor"), *aliases)


_mx("mxfp8_e4m3", "float8_e4m3fn", "mxfp8")
_mx("mxfp8_e5m2", "float8_e5m2")
_mx("mxfp6_e2m3", "float6_e2m3fn")
_mx("mxfp6_e3m2", "float6_e3m2fn", "mxfp6")
_mx("mxfp4", "float4_e2m1fn", "mxfp4_e2m1")
_mx("mxint8", "q1.6")

# NVIDIA's: blocks of 16, e4m3 scales, and one scale of the tensor; without that one; tiles, for weights.
register(ScaledFormat("nvfp4", "float4_e2m1fn", 16, "float8_e4m3fn", "absmax", second_level="float32"))
register(ScaledFormat("nvfp4_one_level", "float4_e2m1fn", 16, "float8_e4m3fn", "absmax"))
register(ScaledFormat("nvfp4_tile", "float4_e2m1fn", (16, 16), "float8_e4m3fn", "absmax", second_level="float32"))

# Affine integers. The textbook's: the absolute maximum becomes 127; the range from smallest to largest, all codes.
for _bits in (8, 4):
    register(ScaledFormat(f"absmax_int{_bits}", f"int{_bits}", "tensor"))
    register(
        ScaledFormat(f"zeropoint_int{_bits}", f"int{_bits}", "tensor", "float32", "minmax", zero_point=f"int{_bits}")
    )
    register(
        ScaledFormat(f"zeropoint_uint{_bits}", f"uint{_bits}", "tensor", "float32", "minmax", zero_point=f"uint{_bits}")
    )
    register(ScaledFormat(f"int{_bits}_channel", f"int{_bits}", "channel", axis=0))
    register(ScaledFormat(f"int{_bits}_group", f"int{_bits}", 128 if _bits == 8 else 32))

# float8 with one float32 scale for a tensor, a row, or tiles, as DeepSeek-V3 has it (arXiv 2412.19437, section 3.3.2).
for _name, _element in (("e4m3", "float8_e4m3fn"), ("e5m2", "float8_e5m2")):
    register(ScaledFormat(f"fp8_{_name}_tensor", _element, "tensor"))
    register(ScaledFormat(f"fp8_{_name}_row", _element, "row"))
    register(ScaledFormat(f"fp8_{_name}_1x128", _element, 128))
    register(ScaledFormat(f"fp8_{_name}_128x128", _element, (128, 128)))

# bitsandbytes': QLoRA (arXiv 2305.14314), section 3.
register(ScaledFormat("nf4_64", "nf4", 64, "float32", ScaleRule("absmax")))

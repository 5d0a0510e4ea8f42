"""The schemes that ship with the package, and the lookup of their names."""

from __future__ import annotations

from typing import Any

from fpemu.formats import Scheme, register, registered_scheme, registered_schemes
from fpemu.quantization.definition.codebooks import DYNAMIC, FP4
from fpemu.quantization.definition.scale_rules import ScaleRule
from fpemu.quantization.definition.scaled_format import ScaledFormat

__all__ = ["scheme", "schemes"]


def scheme(x: Any) -> ScaledFormat:
    """Return the scaled format for a name or an alias; a scaled format is returned unchanged.

    Parameters
    ----------
    x : str or ScaledFormat
        Names for integers of any width consist of an integer format, "_asym" for zero points, and "_tensor", "_row"
        (the last axis), "_channel" (the first) or "_group" and a length: "int5_group64", "uint3_asym_row".  Unsigned
        integers without "_asym" have the middle integer as the zero point of all blocks.  "nf4" means `nf4_64`.

    Returns
    -------
    ScaledFormat

    Raises
    ------
    ValueError
        If the name is unknown; the message lists similar names.
    TypeError
        If `x` is neither a name nor a scheme.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.scheme("mxfp4")
    ScaledFormat('float4_e2m1fn', block=32, scale='float8_e8m0fnu', scale_rule='floor', name='mxfp4')
    >>> fe.scheme("mxfp5")
    Traceback (most recent call last):
    ...
    ValueError: unknown scheme 'mxfp5'; did you mean 'mxfp8' or 'mxfp6' or 'mxfp4'?
    >>> fe.scheme("uint3_asym_group64").block
    64
    """
    if isinstance(x, ScaledFormat):
        return x
    if not isinstance(x, str):
        raise TypeError(f"scheme must be a name or a ScaledFormat, not {type(x).__name__}")
    scheme = registered_scheme(x, _unregistered)
    assert isinstance(scheme, ScaledFormat)
    return scheme


# Names of formats that also mean a scheme.
_FORMATS_AS_SCHEMES = {"nf4": "nf4_64", "normalfloat4": "nf4_64"}


def _unregistered(name: str) -> Scheme | None:
    """Return the scheme for an unregistered name; None if the name does not mean a scheme."""
    registered = _FORMATS_AS_SCHEMES.get(name)
    return ScaledFormat._parsed(name) if registered is None else scheme(registered)


def schemes() -> list[ScaledFormat]:
    """List the registered scaled formats: those of the package, then those added by `register`.

    Returns
    -------
    list of ScaledFormat

    Examples
    --------
    >>> import fpemu as fe
    >>> [scheme.name for scheme in fe.schemes()][:3]
    ['mxfp8_e4m3', 'mxfp8_e5m2', 'mxfp6_e2m3']
    """
    return [scheme for scheme in registered_schemes() if isinstance(scheme, ScaledFormat)]


def _mx(name: str, element: Any, *aliases: str) -> None:
    """Register a format of OCP Microscaling Formats (MX) v1.0, table 1: blocks of 32, E8M0 scales as in clause 6.3."""
    register(ScaledFormat(element, 32, "float8_e8m0fnu", "floor", name=name), *aliases)


_mx("mxfp8_e4m3", "float8_e4m3fn", "mxfp8")
_mx("mxfp8_e5m2", "float8_e5m2")
_mx("mxfp6_e2m3", "float6_e2m3fn")
_mx("mxfp6_e3m2", "float6_e3m2fn", "mxfp6")
_mx("mxfp4", "float4_e2m1fn", "mxfp4_e2m1")
_mx("mxint8", "q1.6")

# NVIDIA's NVFP4: blocks of 16 with e4m3 scales, and one scale for the tensor; without the tensor's scale; tiles, for
# weights.
register(ScaledFormat("float4_e2m1fn", 16, "float8_e4m3fn", "absmax", second_level="float32", name="nvfp4"))
register(ScaledFormat("float4_e2m1fn", 16, "float8_e4m3fn", "absmax", name="nvfp4_one_level"))
register(
    ScaledFormat("float4_e2m1fn", (16, 16), "float8_e4m3fn", "absmax", second_level="float32", name="nvfp4_tile"),
    "nvfp4_16x16",
)

# Affine integers.  First those of textbooks, for tensors: absmax maps the largest magnitude to the largest integer,
# zeropoint maps the range from the smallest to the largest number to all codes.  Then the same for channels and groups;
# `scheme` parses the names of other widths.
for _bits in (8, 4):
    register(ScaledFormat(f"int{_bits}", "tensor", name=f"absmax_int{_bits}"), f"int{_bits}_tensor")
    for _sign in ("", "u"):
        _element = f"{_sign}int{_bits}"
        register(
            ScaledFormat(_element, "tensor", "float32", "minmax", zero_point=_element, name=f"zeropoint_{_element}"),
            f"{_element}_asym_tensor",
        )
    _group = 128 if _bits == 8 else 32
    register(ScaledFormat(f"int{_bits}", "channel", axis=0, name=f"int{_bits}_channel"))
    register(ScaledFormat(f"int{_bits}", _group, name=f"int{_bits}_group"), f"int{_bits}_group{_group}")
    for _sign in ("", "u"):
        _element = f"{_sign}int{_bits}"
        _asym: dict[str, Any] = {"scale_rule": "minmax", "zero_point": _element}
        register(ScaledFormat(_element, "channel", axis=0, **_asym, name=f"{_element}_asym_channel"))
        register(
            ScaledFormat(_element, _group, **_asym, name=f"{_element}_asym_group"), f"{_element}_asym_group{_group}"
        )

# float8 with one float32 scale for a tensor, a row, or a tile, as in DeepSeek-V3 (arXiv 2412.19437, section 3.3.2);
# and with power-of-two scales, rounded up.
for _name, _element in (("e4m3", "float8_e4m3fn"), ("e5m2", "float8_e5m2")):
    for _word, _block in (("tensor", "tensor"), ("row", "row"), ("1x128", 128), ("128x128", (128, 128))):
        for _powers, _rest in (("", ()), ("_pow2", ("float8_e8m0fnu", "rceil"))):
            _usual = [f"fp8_{_word}{_powers}"] if _name == "e4m3" else []
            _usual += ["fp8_block"] if "fp8_128x128" in _usual else []  # the name in vLLM and compressed-tensors
            register(ScaledFormat(_element, _block, *_rest, name=f"fp8_{_name}_{_word}{_powers}"), *_usual)

# bitsandbytes: NF4 of QLoRA (arXiv 2305.14314), section 3, and FP4.  Then both with scales that are themselves
# quantized, minus their mean, to an 8-bit codebook.
for _name, _book in (("nf4", "nf4"), ("bnb_fp4", FP4)):
    register(ScaledFormat(_book, 64, name=f"{_name}_64"))
_ABSMAXES = ScaledFormat(DYNAMIC, 256, "float32", ScaleRule("absmax less mean", offset="mean"), name="bnb_absmax")
register(ScaledFormat("nf4", 64, second_level=_ABSMAXES, name="bnb_nf4"))
register(ScaledFormat(FP4, 64, second_level=_ABSMAXES, name="bnb_fp4"))

# GGUF blocks with a scale and no minimum, from ggml (ggml-quants.c).  In Q4_0 and Q5_0 the number with the largest
# magnitude gets the lowest code.
register(ScaledFormat("int8", 32, "float16", "absmax", name="gguf_q8_0"), "q8_0")
for _bits in (4, 5):
    _middle = 1 << (_bits - 1)
    register(
        ScaledFormat(f"uint{_bits}", 32, "float16", "signed_absmax", zero_point=_middle, name=f"gguf_q{_bits}_0"),
        f"q{_bits}_0",
    )

"""The named profiles of tools that quantize.  docs/reference/scale-profiles.md lists their sources."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from fpemu.formats import dtype
from fpemu.formats.lookup import named
from fpemu.quantization.definition.codebooks import DYNAMIC, FP4
from fpemu.quantization.definition.profiles import ELEMENT_RULES, ScaleProfile, SchemeSelector
from fpemu.quantization.definition.tool_arithmetic import Steps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fpemu.formats import Scheme

__all__ = ["PROFILES", "SCALE_PROFILE_ALIASES", "profiles_of", "scale_profile"]

ProfileRows = tuple[tuple[SchemeSelector, ScaleProfile], ...]

_FLOAT8 = ("float8_e4m3fn", "float8_e5m2")
_FLOAT4 = ("float4_e2m1fn",)
_MX = (*_FLOAT8, "float6_e2m3fn", "float6_e3m2fn", *_FLOAT4)
_E5M2_NAN: dict[str, Any] = {"rows": ((dtype("float8_e5m2").codes_key, (("nan_code", 0x7F),)),)}
_BLOCKS = {"tensor": ("tensor",), "channel": ("channel", "row")}


def _row(
    selector: SchemeSelector, steps: Steps | None = None, infinite_block: str = "nan", **rules: Any
) -> tuple[SchemeSelector, ScaleProfile]:
    elements = ELEMENT_RULES.replace(**rules) if rules else ELEMENT_RULES
    return selector, ScaleProfile(selector.description, elements, infinite_block, steps)


def _torchao() -> ProfileRows:
    """Torchao: MX (`to_mx`), NVFP4 (`nvfp4_quantize`), affine integers, float8 for training."""
    nan_codes = (("float6_e2m3fn", 12), ("float6_e3m2fn", 14), ("float4_e2m1fn", 3))
    nans = _E5M2_NAN
    block: dict[str, Any] = {"elements": _MX, "scales": ("float8_e8m0fnu",), "blocks": ("length",)}
    mx = SchemeSelector("MX blocks", rules=("floor", "ceil", "even"), **block)
    rceil = SchemeSelector("MX blocks", rules=("rceil",), **block)
    fp4: dict[str, Any] = {"elements": ("float4_e2m1fn",), "scales": ("float8_e4m3fn",), "rules": ("absmax",)}
    nvfp4 = Steps(least=2.0**-6, nan_codes=nan_codes)
    two: dict[str, Any] = {"second": "quotient", "factor": "inverse_second_over_scale", "decode": "scales_first"}
    integers = Steps(arithmetic="input", divisor="half_span", least="smallest_normal", lost_zero_point=-(1 << 31))
    whole: dict[str, Any] = {"elements": ("int",), "scales": ("float32", "bfloat16", "float16")}
    training = Steps(scale="inverse_quotient", least_statistic=1e-12, factor="scale", decode="quotient")
    float8: dict[str, Any] = {"elements": _FLOAT8, "scales": ("float32",)}
    return (
        _row(mx, Steps(scale="rule", factor="reciprocal_of_normal", nan_codes=nan_codes), "power", **nans),
        _row(rceil, Steps(factor="reciprocal_or_one", nan_codes=nan_codes), "saturate", **nans),
        _row(SchemeSelector("NVFP4", blocks=("length",), levels=("one",), **fp4), nvfp4),
        _row(SchemeSelector("NVFP4", blocks=("length",), levels=("two",), **fp4), dataclasses.replace(nvfp4, **two)),
        _row(SchemeSelector("affine integers", rules=("absmax",), levels=("one",), **whole), integers),
        _row(
            SchemeSelector("affine integers", rules=("minmax",), levels=("one",), **whole),
            dataclasses.replace(integers, divisor="rule"),
        ),
        _row(SchemeSelector("float8", rules=("absmax",), blocks=("tensor", "row"), **float8), training, **nans),
        _row(
            SchemeSelector("float8", rules=("absmax",), blocks=("length", "tile"), **float8),
            dataclasses.replace(training, factor="scale_kept_as_reciprocal", decode="product"),
            **nans,
        ),
    )


def _torchao_inference() -> ProfileRows:
    """Torchao's `_choose_scale_float8` and `_quantize_affine_float8`."""
    selector = SchemeSelector("float8", _FLOAT8, ("float32",), ("absmax",))
    return (_row(selector, Steps(factor="division"), **_E5M2_NAN),)


def _torchao_clipping() -> ProfileRows:
    """Torchao's SYMMETRIC_NO_CLIPPING_ERR."""
    steps = Steps(arithmetic="input", statistic="minmax", scale="larger_side", least="smallest_normal")
    selector = SchemeSelector(
        "symmetric integers", ("int",), ("float32", "bfloat16", "float16"), ("absmax",), zero_points=False
    )
    return (_row(selector, steps),)


def _transformer_engine(scale: str, **words: Any) -> ProfileRows:
    """Transformer Engine's reference quantizer of NVFP4 (quantization_ref_nvfp4.py)."""
    steps = Steps(
        scale=scale,
        second="inverse_quotient",
        factor="reciprocal_of_product",
        nan_codes=(("float4_e2m1fn", 0),),
        **words,
    )
    selector = SchemeSelector(
        "NVFP4 with two levels", ("float4_e2m1fn",), ("float8_e4m3fn",), ("absmax",), ("length", "tile"), None, ("two",)
    )
    return (_row(selector, steps),)


def _torch() -> ProfileRows:
    """Torch's observers, then quantize_per_tensor or quantize_per_channel, on x86."""
    rows = []
    for blocks, zero, nan in (("tensor", "fused", "max"), ("channel", "before", "zero")):
        for rule, divisor in (("absmax", "half_span"), ("minmax", "rule")):
            selector = SchemeSelector(
                "integers by tensor or channel", ("int",), ("float32",), (rule,), _BLOCKS[blocks], levels=("one",)
            )
            rows.append(_row(selector, Steps(divisor=divisor, least=2.0**-23, zero=zero), nan=nan))
    return tuple(rows)


def _torch_fake() -> ProfileRows:
    """Torch's observers, then fake_quantize_per_tensor_affine or fake_quantize_per_channel_affine."""
    rows = []
    ends: dict[str, dict[str, Any]] = {"tensor": {}, "channel": {"beyond": "lowest", "limit": 2.0**63}}
    for blocks, beyond in ends.items():
        for rule, divisor in (("absmax", "half_span"), ("minmax", "rule")):
            selector = SchemeSelector(
                "integers by tensor or channel", ("int",), ("float32",), (rule,), _BLOCKS[blocks], levels=("one",)
            )
            words: dict[str, Any] = {"divisor": divisor, "least": 2.0**-23, **beyond}
            rows.append(_row(selector, Steps(**words), nan="min"))
    return tuple(rows)


def _onnx(runtime: bool, saturate: bool) -> ProfileRows:
    """QuantizeLinear: onnx's reference evaluator, or onnxruntime's CPU provider; scales follow the scheme's rule.

    Without saturation, numbers beyond float8's largest value become infinity or NaN.
    """
    linear: dict[str, Any] = {"scale": "rule", "factor": "division", "arithmetic": "float32" if runtime else "input"}
    scales = ("float32", "float16", "bfloat16")
    wrapped: dict[str, Any] = {} if runtime else {"beyond": "wrapped", "limit": 2.0**31}
    integers = SchemeSelector("integers", ("int",), scales, levels=("one",))
    float8 = SchemeSelector("float8", _FLOAT8, scales, levels=("one",))
    rules: dict[str, Any] = {} if saturate else {"overflow": "standard", "infinity": "standard"}
    nans = _E5M2_NAN if runtime else {}
    rows = [_row(integers, Steps(**linear, **wrapped), nan="min")] if saturate else []
    rows.append(_row(float8, Steps(**linear), **rules, **nans))
    if saturate and not runtime:
        rows.append(
            _row(SchemeSelector("float4", ("float4_e2m1fn",), scales, levels=("one",)), Steps(**linear, zero="before"))
        )
    return tuple(rows)


def _bitsandbytes() -> ProfileRows:
    """Bitsandbytes' quantize_4bit on a CPU, and its quantize_blockwise of the scales."""
    nearest = Steps(least_divisor=float(_F32_1E38), codebook="midpoints", ragged=True, decode="product_plus_offset")
    books: tuple[Any, ...] = ("nf4", FP4)
    four = SchemeSelector("NF4 and its FP4", books, ("float32",), ("absmax",), ("length", "tensor"))
    selector = SchemeSelector("the codes of their scales", (DYNAMIC,), ("float32",), blocks=("length",))
    return (_row(four, nearest, nan="max"), _row(selector, Steps(codebook="grid", decode="product_plus_offset")))


_F32_1E38 = 9.999999350456404e-39  # 1e-38 in float32


def _gfloat() -> ProfileRows:
    """Gfloat's MX blocks: all results are exact; NaN is an error."""
    selector = SchemeSelector("MX blocks", _MX, ("float8_e8m0fnu",), ("floor",), ("length",))
    return (_row(selector, None, "saturate", nan="error"),)


def _gguf() -> ProfileRows:
    """The blocks without a minimum of the package gguf: the scale d is computed in float32 and stored in float16.

    In C the conversion of NaN to integers is undefined; numpy on x86 returns 0.
    """
    steps = Steps(factor="reciprocal_of_unrounded", beyond="zero")
    blocks: dict[str, Any] = {"scales": ("float16",), "blocks": ("length",)}
    eight = SchemeSelector("Q8_0", ("int8",), rules=("absmax",), zero_points=False, **blocks)
    fewer = SchemeSelector("Q4_0 and Q5_0", ("uint4", "uint5"), rules=("signed_absmax",), zero_points=True, **blocks)
    half = dataclasses.replace(steps, zero="half")
    return (_row(eight, steps, rounding="nearest_away"), _row(fewer, half, rounding="toward_zero"))


_FOUR_OVER_SIX: dict[str, Any] = {"second_top": 256.0}
PROFILES: Mapping[str, ScaleProfile] = {
    "exact": ScaleProfile("exact"),
    **{
        name: ScaleProfile(name, rows=rows)
        for name, rows in {
            "torchao-0.18": _torchao(),
            "torchao-0.18-inference": _torchao_inference(),
            "torchao-0.18-no_clipping": _torchao_clipping(),
            "transformer-engine-2026": _transformer_engine("product_with_second_over_divisor"),
            "transformer-engine-2025": _transformer_engine("quotient_times_second"),
            "transformer-engine-4over6-mae": _transformer_engine(
                "quotient_times_second", choose="mae", **_FOUR_OVER_SIX
            ),
            "transformer-engine-4over6-mse": _transformer_engine(
                "quotient_times_second", choose="mse", **_FOUR_OVER_SIX
            ),
            "torch-2.13": _torch(),
            "torch-2.13-fake": _torch_fake(),
            "onnx-1.23": _onnx(runtime=False, saturate=True),
            "onnx-1.23-no_saturate": _onnx(runtime=False, saturate=False),
            "onnxruntime-1.32": _onnx(runtime=True, saturate=True),
            "onnxruntime-1.32-no_saturate": _onnx(runtime=True, saturate=False),
            "bitsandbytes-0.50": _bitsandbytes(),
            "gfloat-0.5": _gfloat(),
            "gguf-0.19": _gguf(),
        }.items()
    },
}

# A name without a version means the newest version.
SCALE_PROFILE_ALIASES: Mapping[str, str] = {
    "torchao": "torchao-0.18",
    "transformer-engine": "transformer-engine-2026",
    "transformer-engine-4over6": "transformer-engine-4over6-mae",
    "torch": "torch-2.13",
    "torch-fake": "torch-2.13-fake",
    "onnx": "onnx-1.23",
    "onnxruntime": "onnxruntime-1.32",
    "bitsandbytes": "bitsandbytes-0.50",
    "gfloat": "gfloat-0.5",
    "gguf": "gguf-0.19",
}


def scale_profile(profile: Any) -> ScaleProfile:
    """Return the scale profile for a name; a profile is returned unchanged.

    Parameters
    ----------
    profile : str or ScaleProfile
        A name without a version means the newest version.

    Returns
    -------
    ScaleProfile

    Raises
    ------
    ValueError
        If the name is unknown.
    TypeError
        If it is neither a name nor a profile.

    Examples
    --------
    >>> from fpemu.quantization.definition.tool_profiles import scale_profile
    >>> scale_profile("torchao").name
    'torchao-0.18'
    """
    return named(
        profile,
        ScaleProfile,
        PROFILES,
        "profile of scaled formats",
        SCALE_PROFILE_ALIASES,
        "fpemu.scheme(name).profiles()",
    )


def profiles_of(scheme: Scheme) -> list[str]:
    """List the names of the profiles that apply to a scheme."""
    return [
        name for name, profile in PROFILES.items() if not profile.rows or any(r.fits(scheme) for r, _ in profile.rows)
    ]

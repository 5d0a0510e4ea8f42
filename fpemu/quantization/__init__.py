"""Scaled formats: codes in blocks that share scales, and quantization to them."""

from fpemu.quantization.blocks import layout_of
from fpemu.quantization.calibration import Calibration, calibrate
from fpemu.quantization.definition.profiles import ScaleProfile
from fpemu.quantization.definition.registry import scheme, schemes
from fpemu.quantization.definition.scale_rules import ScaleRule
from fpemu.quantization.definition.scaled_format import ScaledFormat
from fpemu.quantization.definition.tool_arithmetic import Steps
from fpemu.quantization.definition.tool_profiles import scale_profile
from fpemu.quantization.products import quantized_matmul
from fpemu.quantization.quantized import Packed, Quantized
from fpemu.quantization.quantizer import as_floats, fake_quantize, quantize
from fpemu.quantization.serialize import quantized_from, quantized_of
from fpemu.quantization.stream import Stream

__all__ = [
    "Calibration",
    "Packed",
    "Quantized",
    "ScaleProfile",
    "ScaleRule",
    "ScaledFormat",
    "Steps",
    "calibrate",
    "fake_quantize",
    "quantize",
    "quantized_matmul",
    "scale_profile",
    "scheme",
    "schemes",
]

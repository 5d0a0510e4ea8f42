"""Scaled formats: codes that come in blocks with scales, and quantization to them."""

from fpemu.scaling.calibration import Calibration, calibrate
from fpemu.scaling.names import scheme, schemes
from fpemu.scaling.products import quantized_matmul
from fpemu.scaling.profiles import ScaleProfile
from fpemu.scaling.quantized import Packed, Quantized
from fpemu.scaling.quantizing import fake_quantize, quantize
from fpemu.scaling.rules import ScaleRule
from fpemu.scaling.scheme import ScaledFormat

__all__ = [
    "Calibration",
    "Packed",
    "Quantized",
    "ScaleProfile",
    "ScaleRule",
    "ScaledFormat",
    "calibrate",
    "fake_quantize",
    "quantize",
    "quantized_matmul",
    "scheme",
    "schemes",
]

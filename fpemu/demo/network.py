"""A small network that reads handwritten digits, with its weights, or weights and activations, cast to a format.

Matrix products of the cast values are computed in float64: only the casts differ.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fpemu as fe
from fpemu.reports import Row

__all__ = [
    "DEMO_FORMATS",
    "DEMO_SCHEMES",
    "FormatResult",
    "Network",
    "casts",
    "evaluate_format",
    "load",
    "signal_to_noise",
]

DEMO_FORMATS = (
    "float32",
    "float16",
    "bfloat16",
    "float8_e5m2",
    "float8_e4m3fn",
    "float6_e3m2fn",
    "float6_e2m3fn",
    "float4_e2m1fn",
    "int8",
    "int4",
)

DEMO_SCHEMES = (
    "mxfp8_e4m3",
    "mxfp4",
    "nvfp4",
    "nf4_64",
    "absmax_int8",
    "zeropoint_int8",
    "absmax_int4",
    "zeropoint_int4",
)

FloatArray = NDArray[np.float64]
AnyFormat = fe.Format | fe.ScaledFormat


@dataclasses.dataclass(frozen=True)
class FormatResult:
    """The results with one format; accuracies and shares are from 0 to 1.

    Parameters
    ----------
    format : str
    bits : int
    scale : str or None
        "absmax": each tensor was scaled so that its largest magnitude is the format's largest value; "own": a scaled
        format, whose blocks lie along the sums of the matrix products.
    smallest, largest : float
        The format's smallest positive and its largest value; NaN for a scaled format.
    weights, activations : Row
        `fe.report` of all weights, and of all layers' inputs when both are cast.
    accuracy_weights : float
        Test accuracy with the weights cast.
    accuracy : float
        Test accuracy with weights and activations cast.
    logits_sqnr : float
        The logits' signal-to-noise ratio in dB with weights and activations cast; the signal is float32's logits.
    agreement : float
        Share of the test images whose answer is the same as in float32, with weights and activations cast.
    """

    format: str
    bits: int
    scale: str | None
    smallest: float
    largest: float
    weights: Row
    activations: Row
    accuracy_weights: float
    accuracy: float
    logits_sqnr: float
    agreement: float


@dataclasses.dataclass(frozen=True)
class Network:
    """The trained network and its test images, in float64.

    Parameters
    ----------
    weights : tuple of numpy.ndarray
        One matrix for each layer, inputs by outputs.
    biases : tuple of numpy.ndarray
    images : numpy.ndarray
        For each test image a row of 64 pixels, from 0 to 1.
    labels : numpy.ndarray
        The digits.
    """

    weights: tuple[FloatArray, ...]
    biases: tuple[FloatArray, ...]
    images: FloatArray
    labels: NDArray[np.uint8]

    @property
    def all_weights(self) -> FloatArray:
        """The weights of all layers in one dimension."""
        return _flattened(self.weights)

    @functools.cached_property
    def float32_logits(self) -> FloatArray:
        """The reference: the logits with weights and activations in float32."""
        return self.run(fe.dtype("float32"), scaled=False, activations=True)[0]

    def run(self, fmt: AnyFormat, *, scaled: bool, activations: bool) -> tuple[FloatArray, list[FloatArray]]:
        """Run the network, with its weights cast, on all test images.

        Parameters
        ----------
        fmt : Format or ScaledFormat
        scaled : bool
            Scale each tensor by its largest magnitude.
        activations : bool
            Cast each layer's input too.

        Returns
        -------
        logits : numpy.ndarray, shape (images, 10)
        inputs : list of numpy.ndarray
            Each layer's input before its cast.
        """
        inputs = [self.images]
        for weight, bias in zip(self.weights, self.biases, strict=True):
            x = _cast_tensor(inputs[-1], fmt, scaled) if activations else inputs[-1]
            logits = x @ _cast_tensor(weight, _along_inputs(fmt), scaled) + bias
            inputs.append(np.maximum(logits, 0))
        return logits, inputs[:-1]


@functools.cache
def load() -> Network:
    """Load the network and the test images from the package; README.md describes their origin."""
    with np.load(Path(__file__).with_name("digits.npz")) as data:
        test = data["test"]
        return Network(
            tuple(data[f"weight{i}"].astype(np.float64) for i in range(3)),
            tuple(data[f"bias{i}"].astype(np.float64) for i in range(3)),
            data["images"][test] / 16,
            data["labels"][test],
        )


def casts() -> list[tuple[str, bool]]:
    """The demo's casts, as (format, scaled): formats unscaled and, up to 8 bits, scaled; then scaled formats."""
    plain = [
        (name, scaled) for name in DEMO_FORMATS for scaled in (False, True) if not scaled or fe.dtype(name).bits <= 8
    ]
    return [*plain, *((name, False) for name in DEMO_SCHEMES)]


def evaluate_format(network: Network, name: str, scaled: bool) -> FormatResult:
    """Run the network with its tensors cast to one format.

    Parameters
    ----------
    network : Network
    name : str
        A format's or a scaled format's name.
    scaled : bool
        Scale each tensor by its largest magnitude.

    Returns
    -------
    FormatResult

    Examples
    --------
    >>> from fpemu.demo import network
    >>> digits = network.load()
    >>> network.evaluate_format(digits, "float32", scaled=False).agreement
    1.0
    """
    fmt = fe.scheme(name) if name in DEMO_SCHEMES else fe.dtype(name)
    reference = network.float32_logits
    by_weights, _ = network.run(fmt, scaled=scaled, activations=False)
    logits, inputs = network.run(fmt, scaled=scaled, activations=True)
    return FormatResult(
        format=name,
        bits=fmt.element.bits if isinstance(fmt, fe.ScaledFormat) else fmt.bits,
        scale="own" if isinstance(fmt, fe.ScaledFormat) else "absmax" if scaled else None,
        smallest=_smallest_positive(fmt),
        largest=math.nan if isinstance(fmt, fe.ScaledFormat) else float(fe.describe(fmt).max),
        weights=_tensor_errors(network.weights, _along_inputs(fmt), scaled),
        activations=_tensor_errors(inputs, fmt, scaled),
        accuracy_weights=_share(by_weights.argmax(axis=1) == network.labels),
        accuracy=_share(logits.argmax(axis=1) == network.labels),
        logits_sqnr=signal_to_noise(reference, logits),
        agreement=_share(logits.argmax(axis=1) == reference.argmax(axis=1)),
    )


def signal_to_noise(signal: FloatArray, noisy: FloatArray) -> float:
    """The power of a signal over the power of its error, in dB; infinite without an error."""
    noise = float(np.square(noisy - signal).sum())
    return float(10 * np.log10(np.square(signal).sum() / noise)) if noise else float("inf")


def _tensor_errors(tensors: Sequence[FloatArray], fmt: AnyFormat, scaled: bool) -> Row:
    """The errors of all tensors together, each with its own scale."""
    if isinstance(fmt, fe.ScaledFormat):
        return _combined_row([fe.report(_as_float32(t), fmt, pad=True).rows[0] for t in tensors], tensors)
    scale = _flattened([np.full(t.size, _absmax_scale(t, fmt)) for t in tensors]) if scaled else None
    return fe.report(_flattened(tensors), [fmt], scale=scale).rows[0]


def _combined_row(rows: Sequence[Row], tensors: Sequence[FloatArray]) -> Row:
    """One row for several tensors."""
    sizes = np.array([t.size for t in tensors])

    def mean(field: str) -> float:
        return float(np.average([getattr(row, field) for row in rows], weights=sizes))

    means: dict[str, Any] = {field: mean(field) for field in ("bits", "mse", "overflow", "underflow", "saturation")}
    largest: dict[str, Any] = {
        field: max(getattr(row, field) for row in rows) for field in ("max_error", "max_relative_error")
    }
    signal = float(np.square(_flattened(tensors)).mean())
    sqnr = 10 * math.log10(signal / means["mse"]) if means["mse"] else math.inf
    return dataclasses.replace(rows[0], **means, **largest, sqnr=sqnr, nan=sum(row.nan for row in rows))


def _flattened(tensors: Sequence[FloatArray]) -> FloatArray:
    return np.concatenate([t.ravel() for t in tensors])


def _share(mask: NDArray[np.bool_]) -> float:
    return float(mask.mean())


def _smallest_positive(fmt: AnyFormat) -> float:
    if isinstance(fmt, fe.ScaledFormat):
        return math.nan
    return fe.finfo(fmt).smallest_subnormal if isinstance(fmt, fe.FloatFormat) else fe.iinfo(fmt).quantum


def _absmax_scale(x: FloatArray, fmt: fe.Format) -> float:
    """The divisor that makes the largest magnitude the format's largest value."""
    return float(np.abs(x).max()) / fe.describe(fmt).max


def _along_inputs(fmt: AnyFormat) -> AnyFormat:
    """The format for weights, whose blocks lie along the inputs, axis 0."""
    return fmt.replace(axis=0) if isinstance(fmt, fe.ScaledFormat) else fmt


def _as_float32(x: FloatArray) -> NDArray[np.float32]:
    return x.astype(np.float32)


def _cast_tensor(x: FloatArray, fmt: AnyFormat, scaled: bool) -> FloatArray:
    if isinstance(fmt, fe.ScaledFormat):
        return fe.fake_quantize(_as_float32(x), fmt, pad=True).astype(np.float64)
    scale = _absmax_scale(x, fmt) if scaled else 1.0
    return np.asarray(fe.cast(x / scale, fmt) * scale)

"""A sine, sampled and then quantized to a few bits."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

import fpemu as fe
from fpemu.demo.network import signal_to_noise

__all__ = ["SAMPLES", "SINE_BITS", "QuantizedSignal", "quantize_signal", "sample"]

SINE_BITS = (3, 4, 8)
SAMPLES = 100


@dataclasses.dataclass(frozen=True)
class QuantizedSignal:
    """A quantized signal.

    Parameters
    ----------
    bits : int
    step : float
        Distance between two levels.
    values : numpy.ndarray
    error : numpy.ndarray
        `values` minus the signal.
    sqnr : float
        Signal-to-quantization-noise ratio in dB.
    """

    bits: int
    step: float
    values: NDArray[np.float64]
    error: NDArray[np.float64]
    sqnr: float

    @property
    def max_error(self) -> float:
        """The largest magnitude of the error."""
        return float(np.abs(self.error).max())


def sample(count: int = SAMPLES) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """One period of a sine of amplitude 1: the times, 0 to 1, and the samples."""
    time = np.arange(count) / count
    return time, np.sin(2 * np.pi * time)


def quantize_signal(signal: NDArray[np.float64], bits: int) -> QuantizedSignal:
    """Round a signal between -1 and 1 to the nearest of 2^bits equally spaced levels, including both ends.

    Parameters
    ----------
    signal : numpy.ndarray
    bits : int

    Returns
    -------
    QuantizedSignal

    Examples
    --------
    >>> import numpy as np
    >>> from fpemu.demo import sine
    >>> sine.quantize_signal(np.array([-1.0, 0.5, 1.0]), bits=2).values.round(3)
    array([-1.   ,  0.333,  1.   ])
    """
    step = 2 / (2**bits - 1)
    values = fe.cast((signal + 1) / step, fe.IntFormat(f"uint{bits}", bits, signed=False)) * step - 1
    return QuantizedSignal(bits, step, values, values - signal, signal_to_noise(signal, values))

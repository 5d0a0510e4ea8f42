"""Figures of audio.md."""

from __future__ import annotations

from typing import Any

import numpy as np
from figures.style import BLUE, GREEN, GREY, ORANGE, axes, title
from matplotlib.figure import Figure
from numpy.typing import NDArray

import fpemu as fe


def chords(
    time: NDArray[Any],
    chord: NDArray[Any],
    quantized: dict[int, NDArray[Any]],
    frequency: NDArray[Any],
    spectra: dict[int, NDArray[Any]],
) -> Figure:
    """Spectra of the chord by bits, and its quiet end."""
    figure, (left, right) = axes(1, 2, height=4.0)
    for colour, (bits, power) in zip((BLUE, GREEN, ORANGE), reversed(spectra.items()), strict=True):
        left.plot(frequency / 1000, power, color=colour, lw=1.2, label=f"{bits} bits")
    left.set_xlabel("frequency, kHz")
    left.set_ylabel("power, dB")
    left.set_xlim(0, 8)
    left.legend(frameon=False, fontsize=9, ncols=3)
    left.set_ylim(-135, 5)
    title(left, "The whole chord")
    part = slice(-192, None)
    milliseconds = 1000 * (time[part] - time[part][0])
    right.plot(milliseconds, chord[part], color=GREY, lw=3, alpha=0.5, label="chord")
    for colour, bits in ((BLUE, 4), (GREEN, 8)):
        right.plot(
            milliseconds, quantized[bits][part], color=colour, lw=1.3, drawstyle="steps-mid", label=f"{bits} bits"
        )
    right.set_xlabel("time, ms")
    right.set_ylabel("signal")
    right.legend(frameon=False, fontsize=9, ncols=3, loc="upper center")
    right.set_ylim(-0.05, 0.05)
    title(right, "Its last 12 ms")
    return figure


def tones(soft: NDArray[Any]) -> Figure:
    """A soft tone rounded to nearest and stochastically."""
    figure, grid = axes(1, 2, height=3.4, sharey=True)
    for axis, rounding, colour in zip(grid, ("nearest_even", "stochastic"), (ORANGE, BLUE), strict=True):
        rounded = fe.cast(soft, "q0.7", rounding=rounding, rng=None if rounding == "nearest_even" else 0)
        power = 20 * np.log10(np.abs(np.fft.rfft(rounded)) / (rounded.size / 2) + 1e-7)
        axis.plot(np.arange(power.size) / 1000, power, color=colour, lw=0.8)
        axis.set_ylim(-110, -35)
        axis.set_xlim(0, 8)
        axis.set_xlabel("frequency, kHz")
        title(axis, rounding.replace("_", " "))
    grid[0].set_ylabel("power, dB of full scale")
    grid[0].annotate("the tone", (0.44, -40), (1.2, -40), fontsize=9, va="center", arrowprops={"arrowstyle": "->"})
    return figure

"""Figures of sampling.md."""

from __future__ import annotations

from typing import Any

import numpy as np
from figures.style import BLUE, GREY, ORANGE, axes, title
from matplotlib.figure import Figure
from numpy.typing import NDArray

import fpemu as fe


def signals(time: NDArray[Any], slow: NDArray[Any], fast: NDArray[Any]) -> Figure:
    """Two sines with the same samples; a sine in three bits with its error."""
    figure, grid = axes(2, 2, height=4.4, sharex=True, height_ratios=[2, 1])
    space = grid[0, 0].get_gridspec()
    for axis in grid[:, 0]:
        axis.remove()
    left = figure.add_subplot(space[:, 0])
    left.spines[["top", "right"]].set_visible(False)
    left.grid(alpha=0.25)
    fine = np.linspace(0, 1, 801)
    left.plot(fine, -np.sin(2 * np.pi * fine), color=BLUE, lw=1.6, label="1 Hz, sign flipped")
    left.plot(fine, np.sin(2 * np.pi * 7 * fine), color=GREY, lw=0.9, label="7 Hz")
    left.plot(time, fast, "o", color=ORANGE, ms=6, label="8 samples of both")
    left.set_xlabel("time, seconds")
    left.set_ylabel("signal")
    left.legend(frameon=False, fontsize=9, loc="lower left", bbox_to_anchor=(0, 1))
    above, beneath = grid[:, 1]
    sine = 0.85 * np.sin(2 * np.pi * fine)
    rounded = fe.cast(sine, "q0.2")
    above.plot(fine, sine, color=GREY, lw=1.2, label="signal")
    above.plot(fine, rounded, color=BLUE, lw=1.6, label="in 3 bits", drawstyle="steps-mid")
    above.set_yticks(fe.dtype("q0.2").values(), minor=False)
    above.tick_params(axis="y", labelsize=8)
    above.legend(frameon=False, fontsize=9)
    above.set_ylabel("signal")
    beneath.plot(fine, rounded - sine, color=ORANGE, lw=1.2)
    beneath.set_ylim(-0.2, 0.2)
    beneath.set_yticks([-0.125, 0, 0.125])
    beneath.tick_params(axis="y", labelsize=8)
    beneath.set_ylabel("error")
    beneath.set_xlabel("time, periods")
    return figure


def ratios(bits: NDArray[Any], measured: list[float], levels: NDArray[Any], ratios: list[float]) -> Figure:
    """SQNR by bits, and by level in eight bits."""
    figure, (left, right) = axes(1, 2, height=3.8)
    left.plot(bits, 6.02 * bits + 1.76, color=GREY, lw=1.4, label="6.02 n + 1.76")
    left.plot(bits, measured, "o", color=BLUE, ms=5, label="measured")
    left.set_xlabel("bits")
    left.set_ylabel("SQNR, dB")
    left.set_xticks(range(2, 17, 2))
    title(left, "A full-scale sine")
    left.legend(frameon=False, fontsize=9)
    right.axvspan(0, 12, color=ORANGE, alpha=0.15, lw=0)
    right.text(6, 52, "clips", color=ORANGE, ha="center", fontsize=9)
    right.axvspan(-60, 20 * np.log10(2.0**-8), color=GREY, alpha=0.15, lw=0)
    right.text(-54, 52, "all zeros", color="0.35", ha="center", fontsize=9)
    fits = levels[levels <= 0]
    right.plot(fits, 6.02 * 8 + 1.76 + fits, color=GREY, lw=1.4, label="49.92 dB + level")
    right.plot(levels, ratios, color=BLUE, lw=1.6, label="measured")
    right.set_xlim(-60, 12)
    right.set_ylim(-12, 58)
    right.set_xticks(range(-60, 13, 12))
    right.set_ylabel("SQNR, dB")
    right.set_xlabel("level of the sine, dB of full scale")
    title(right, "8 bits")
    right.legend(frameon=False, fontsize=9, loc="lower right", bbox_to_anchor=(0.84, 0))
    return figure

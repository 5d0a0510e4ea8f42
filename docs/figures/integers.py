"""Figures of integers.md."""

from __future__ import annotations

from typing import Any

import numpy as np
from figures.style import BLUE, GREEN, GREY, ORANGE, axes, title
from matplotlib.figure import Figure
from numpy.typing import NDArray


def codes(codes: NDArray[Any], encodings: dict[str, Any]) -> Figure:
    """The value of each code."""
    figure, grid = axes(1, 3, height=3.6, sharey=True)
    for axis, colour, (name, fmt) in zip(grid, (BLUE, GREEN, ORANGE), encodings.items(), strict=True):
        values = fmt.values()
        axis.axhline(0, color=GREY, lw=0.8)
        axis.vlines(codes, 0, values, color=colour, lw=1, alpha=0.5)
        axis.plot(codes, values, "o", color=colour, ms=5)
        axis.set_xticks([0, 4, 7, 8, 12, 15], ["0000", "0100", "0111", "1000", "1100", "1111"], rotation=60, fontsize=8)
        axis.set_yticks([-8, -4, 0, 4, 8, 12, 15])
        axis.set_xlabel("code")
        title(axis, name)
    grid[0].set_ylabel("value")
    return figure


def overflows(loud: NDArray[Any], saturated: NDArray[Any], wrapped: NDArray[Any]) -> Figure:
    """A sine that is too large."""
    figure, grid = axes(1, 2, height=3.4, sharey=True)
    time = np.arange(loud.size) / 500
    for axis, name, values in zip(grid, ("saturated", "wrapped"), (saturated, wrapped), strict=True):
        axis.plot(time, loud, color=GREY, lw=1.2, label="signal")
        axis.plot(time, values, color=BLUE, lw=1.6, label="in q0.7")
        axis.set_xlabel("time, periods")
        title(axis, name)
    grid[0].set_ylabel("value")
    grid[1].legend(frameon=False, fontsize=9, loc="upper right", bbox_to_anchor=(1, 1.13), ncols=2)
    return figure

"""Figures of sums.md."""

from __future__ import annotations

import numpy as np
from figures.style import BLUE, axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

import fpemu as fe


def running(x: NDArray[np.float64], formats: list[str]) -> Figure:
    """Running sums of the same numbers in ten formats, every step rounded, beside the exact ones."""
    count = np.arange(1, x.size + 1)
    figure, panels = axes(2, 5, height=4.2, sharex=True, sharey=True)
    for fmt, axis in zip(formats, panels.flat, strict=True):
        axis.loglog(count, np.cumsum(x), color="0.75", lw=3)
        axis.loglog(count, fe.cumsum(fe.array(x, fmt), accumulate=fmt).values, color=BLUE, lw=1.4)
        axis.set_title(fmt, fontsize=9)
        axis.set_ylim(0.3, 4000)
    figure.supxlabel("numbers added; blue: each step rounded to the format; grey: exact", fontsize=10)
    return figure

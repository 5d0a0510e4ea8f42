"""Figures of absmax.md."""

from __future__ import annotations

from typing import Any

from figures.style import BLUE, GREY, ORANGE, axes, title
from matplotlib.figure import Figure
from numpy.typing import NDArray

import fpemu as fe


def codes(x: NDArray[Any], schemes: tuple[str, ...]) -> Figure:
    """Numbers on a line, codes on another."""
    figure, grid = axes(1, 2, height=3.4, sharey=True)
    for axis, scheme in zip(grid, schemes, strict=True):
        q = fe.quantize(x, scheme)
        low, high = int(q.elements.min()), int(q.elements.max())
        axis.axvspan(-128, low, color=GREY, alpha=0.25, lw=0)
        axis.plot([low, high], [x.min(), x.max()], color=GREY, lw=1)
        axis.plot(q.elements, x, "o", color=BLUE, ms=6)
        zero = 0 if q.zero_points is None else int(q.zero_points.item())
        axis.plot(zero, 0, "o", color=ORANGE, ms=7)
        axis.annotate(f"zero: code {zero}", (zero, 0), (12, -4), textcoords="offset points", color=ORANGE, fontsize=9)
        axis.set_xlim(-130, 130)
        axis.set_xticks([-128, -64, 0, 64, 127])
        axis.set_xlabel("code")
        title(axis, scheme)
    grid[0].set_ylabel("number")
    return figure

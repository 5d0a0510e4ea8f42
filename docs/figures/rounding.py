"""Figures of rounding.md."""

from __future__ import annotations

import numpy as np
from figures.style import BLUE, ORANGE, axes
from matplotlib.figure import Figure

import fpemu as fe


def staircases() -> Figure:
    """Numbers rounded to int4 under each rounding mode; a dot at each integer and tie."""
    x = np.linspace(-2.5, 2.5, 2001)
    special = np.arange(-2.5, 2.6, 0.5)
    figure, panels = axes(2, 5, height=4.2, sharex=True, sharey=True)
    for mode, axis in zip(fe.Rounding, panels.flat, strict=True):
        y = fe.cast(x, "int4", rounding=mode)
        steps = np.flatnonzero(np.diff(y)) + 1
        for first, last in zip([0, *steps], [*steps, x.size], strict=True):
            axis.plot(x[[first, last - 1]], y[[first, last - 1]], color=BLUE, lw=2)
        axis.plot(special, fe.cast(special, "int4", rounding=mode), ".", color=ORANGE, ms=7)
        axis.plot(x, x, color="0.8", lw=0.8, zorder=0)
        axis.set_title(mode.value.replace("_", " "), fontsize=9)
        axis.set_xticks(range(-2, 3))
        axis.set_yticks(range(-3, 4))
        axis.set_aspect("equal")
    figure.supxlabel("x; dots: integers and ties", fontsize=10)
    return figure

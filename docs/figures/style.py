"""What the figures of these pages have in common: size, colours, axes without a box."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fpemu.reports.plotting import COLOURS, GREY

BLUE, ORANGE, GREEN, PINK, AMBER, SKY, BLACK = COLOURS

__all__ = ["AMBER", "BLACK", "BLUE", "COLOURS", "GREEN", "GREY", "ORANGE", "PINK", "SKY", "axes", "title"]


def axes(rows: int = 1, columns: int = 1, *, height: float = 4.0, **how: Any) -> tuple[Figure, Any]:
    """A figure nine inches wide, and its axes: an Axes, or an array of them; `how` goes to `subplots`."""
    figure = Figure(figsize=(9, height), dpi=120, layout="constrained")
    found = figure.subplots(rows, columns, **how)
    for axis in figure.axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25)
        axis.set_axisbelow(True)
    return figure, found


def title(axis: Axes, text: str) -> None:
    """A small title at the left."""
    axis.set_title(text, fontsize=10, loc="left")

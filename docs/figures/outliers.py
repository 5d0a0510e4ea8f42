"""Figures of outliers.md."""

from __future__ import annotations

from typing import Any

import numpy as np
from figures.style import BLUE, COLOURS, GREY, ORANGE, axes, title
from matplotlib.figure import Figure
from numpy.typing import NDArray

import fpemu as fe


def histograms(before: NDArray[Any], after: NDArray[Any]) -> Figure:
    """Activations without and with the outlier, and the values of int4."""
    figure, grid = axes(1, 2, height=3.6, sharey=True)
    for axis, name, x in zip(grid, ("As trained", "One unit times 64"), (before, after), strict=True):
        edges = np.linspace(0, x.max(), 60)
        others = np.delete(x, 5, axis=1)
        axis.hist(others[others > 0], edges, color=BLUE, label="63 units")
        axis.hist(x[:, 5][x[:, 5] > 0], edges, color=ORANGE, label="unit 5")
        for value in fe.quantize(x, "absmax_int4").scale_values.item() * np.arange(8):
            axis.axvline(value, color=GREY, lw=1, ls="--")
        axis.set_yscale("log")
        axis.set_xlabel("activation")
        title(axis, name)
    grid[0].set_ylabel("number of activations")
    grid[1].legend(frameon=True, framealpha=1, edgecolor="none", fontsize=9)
    return figure


def accuracies(factors: tuple[int, ...], accuracies: dict[str, list[float]]) -> Figure:
    """Accuracy by the outlier's size."""
    figure, axis = axes(height=4.0)
    for place, (name, percent) in enumerate(accuracies.items()):
        marker = "osD^vP"[place]
        axis.plot(factors, percent, marker=marker, color=COLOURS[place], lw=1.6, ms=6, label=name)
    axis.axhline(10, color=GREY, lw=1, ls="--")
    axis.text(1, 11.5, "guessing", color="0.35", fontsize=9)
    axis.set_xscale("log", base=2)
    axis.set_xticks(factors, [f"x {factor}" for factor in factors])
    axis.set_ylim(0, 103)
    axis.set_xlabel("factor of the outlier")
    axis.set_ylabel("digits recognized, %")
    axis.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5), title="one scale per")
    return figure

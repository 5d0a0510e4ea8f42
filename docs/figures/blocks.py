"""Figures of blocks.md."""

from __future__ import annotations

from typing import Any

import numpy as np
from figures.style import BLUE, GREY, ORANGE, axes, title
from matplotlib.figure import Figure
from numpy.typing import NDArray

import fpemu as fe


def rules(x: NDArray[Any]) -> Figure:
    """The block with either scale."""
    figure, grid = axes(1, 2, height=3.6, sharey=True)
    place = np.arange(x.size)
    magnitudes = fe.dtype("float4_e2m1fn").values()[:8]
    for axis, rule, name in zip(grid, ("floor", "rceil"), ("floor", "even, rceil, ceil"), strict=True):
        q = fe.quantize(x, "mxfp4", block=8, scale_rule=rule)
        scale = float(q.scale_values.item())
        for value in scale * magnitudes:
            for side in (value, -value):
                axis.axhline(side, color=GREY, lw=0.6, alpha=0.6, zorder=0)
        axis.grid(visible=False)
        axis.bar(place - 0.2, x, width=0.38, color=GREY, label="number")
        axis.bar(place + 0.2, q.dequantize(), width=0.38, color=BLUE, label="quantized")
        axis.set_xticks(place, [f"{number:g}" for number in x], fontsize=9)
        axis.set_ylim(-7, 8.5)
        axis.set_xlabel("number")
        title(axis, f"{name}: scale {scale:g}")
    grid[0].set_ylabel("value; lines: fp4 values times the scale")
    grid[1].legend(frameon=True, framealpha=1, edgecolor="none", fontsize=9)
    return figure


def costs(tensors: dict[str, Any], costs: dict[str, float], ratios: dict[str, list[float]]) -> Figure:
    """SQNR by scheme."""
    figure, axis = axes(height=4.0)
    rows = range(len(costs))
    axis.hlines(rows, *zip(*(sorted(ratios[name]) for name in costs), strict=True), color=GREY, lw=1)
    for place, (tensor, colour, marker) in enumerate(zip(tensors, (BLUE, ORANGE), "os", strict=True)):
        axis.plot([ratios[name][place] for name in costs], rows, marker, color=colour, ms=7, label=tensor)
    axis.set_yticks(rows, [f"{name} ({bits:.4g})" for name, bits in costs.items()])
    axis.invert_yaxis()
    axis.set_xlim(0, 46)
    axis.set_xlabel("SQNR, dB")
    axis.legend(frameon=False, fontsize=9, loc="lower right")
    return figure

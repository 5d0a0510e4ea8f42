"""Figures of floats.md."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from figures.style import BLUE, COLOURS, GREY, axes, title
from matplotlib.figure import Figure

import fpemu as fe


def exchange(formats: list[str], decades: Callable[[str], float], digits: Callable[[str], float]) -> Figure:
    """Decades against digits."""
    figure, axis = axes(height=4.6)
    for bits in (4, 6, 8, 16, 32):
        line = []
        for exponent_bits in range(2, 9):
            precision = bits - exponent_bits  # the hidden bit stands for the sign's
            if precision >= 1:
                span = 2**exponent_bits - 2 + precision - 1
                line.append((precision * np.log10(2), span * np.log10(2)))
        axis.plot(*zip(*line, strict=True), color=GREY, lw=0.8, ls="--", zorder=1)
        end, above, side = (line[0], -4, "top") if bits > 8 else (line[-1], 4, "bottom")  # where there is room
        how = {"color": "0.35", "fontsize": 8, "ha": "center", "va": side, "textcoords": "offset points"}
        axis.annotate(f"{bits} bits", end, (0, above), **how)
    for name in formats:
        x, y = digits(name), decades(name)
        axis.plot(x, y, "o", color=BLUE, ms=7)
        place, side = ((-6, -10), "right") if name in ("bfloat16", "float16") else ((7, 2), "left")
        paper = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
        axis.annotate(name, (x, y), place, textcoords="offset points", fontsize=9, ha=side, bbox=paper)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlim(0.25, 28)
    axis.set_ylim(0.4, 1200)
    axis.set_xticks([0.3, 0.6, 1, 2, 4, 8, 16], ["0.3", "0.6", "1", "2", "4", "8", "16"])
    axis.set_yticks([1, 10, 100, 1000], ["1", "10", "100", "1000"])
    axis.minorticks_off()
    axis.set_xlabel("precision, decimal digits")
    axis.set_ylabel("range, decades")
    return figure


def steps() -> Figure:
    """Spacing and the largest relative error by magnitude."""
    figure, (left, right) = axes(1, 2, height=4.2)
    x = np.exp2(np.arange(-20 * 16, 18 * 16) / 16 + 1 / 64)
    for colour, name in zip(COLOURS, ("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "int8"), strict=False):
        fmt = fe.dtype(name)
        inside = x < fe.describe(fmt).max
        step = fe.spacing(fe.cast(x[inside], fmt, rounding="toward_zero"), fmt)
        style = "--" if name == "int8" else "-"
        left.plot(x[inside], step, color=colour, lw=1.5, ls=style, drawstyle="steps-post", label=name)
        relative = np.minimum(step / 2 / x[inside], 1)
        right.plot(x[inside], relative, color=colour, lw=1.2, ls=style)
    for axis in (left, right):
        axis.set_xscale("log", base=2)
        axis.set_yscale("log", base=2)
        axis.set_xlabel("magnitude")
    left.set_ylabel("step")
    right.set_ylabel("largest relative error")
    title(left, "The step")
    title(right, "Half a step over the number")
    left.legend(frameon=False, fontsize=9)
    return figure

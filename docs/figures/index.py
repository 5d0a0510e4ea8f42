"""Figures of index.md: one for each door."""

from __future__ import annotations

import numpy as np
from figures.style import BLUE, GREEN, GREY, ORANGE, axes
from matplotlib.figure import Figure

import fpemu as fe

COLOURS = {
    **dict.fromkeys(("float8_e4m3fn", "float8_e5m2"), BLUE),
    **{"absmax_int8": ORANGE, "mxfp4": GREEN, "nvfp4": GREEN, "nf4_64": GREEN, "absmax_int4": ORANGE},
}


def noise() -> Figure:
    """The signal-to-noise ratio of numbers with a long tail in seven formats."""
    x = np.random.default_rng(0).standard_t(4, size=(1000, 128)).astype(np.float32)
    report = fe.report(x, list(COLOURS))
    figure, axis = axes(height=5)
    axis.barh(list(COLOURS), [row.sqnr for row in report.rows], color=list(COLOURS.values()))
    axis.invert_yaxis()
    axis.tick_params(labelsize=15)
    axis.set_xlabel("SQNR of numbers with a long tail, dB", fontsize=15)
    return figure


def stagnation() -> Figure:
    """The running sum of ones in bfloat16 and in float32."""
    count = np.arange(1, 601)
    figure, axis = axes(height=5)
    axis.plot(count, count, color=GREY, lw=4, label="float32")
    axis.plot(
        count, fe.cumsum(np.ones(600), result="bfloat16", accumulate="bfloat16"), color=BLUE, lw=3, label="bfloat16"
    )
    axis.tick_params(labelsize=15)
    axis.set_xlabel("ones added", fontsize=15)
    axis.set_ylabel("running sum", fontsize=15)
    axis.legend(frameon=False, fontsize=15)
    return figure


def staircase() -> Figure:
    """Numbers rounded to int4 in three modes."""
    x = np.linspace(-2.6, 2.6, 2001)
    figure, axis = axes(height=5)
    for mode, colour, width in (("nearest_even", BLUE, 5), ("toward_zero", ORANGE, 3), ("to_odd", GREEN, 2)):
        axis.plot(x, fe.cast(x, "int4", rounding=mode), color=colour, lw=width, label=mode.replace("_", " "))
    axis.tick_params(labelsize=15)
    axis.set_xlabel("x", fontsize=15)
    axis.set_ylabel("x in int4", fontsize=15)
    axis.legend(frameon=False, fontsize=15)
    return figure

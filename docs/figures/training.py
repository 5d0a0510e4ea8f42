"""Figures of training.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from figures.style import BLUE, GREEN, GREY, ORANGE, axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

import fpemu as fe


def gradients(first: NDArray[Any], last: NDArray[Any]) -> Figure:
    """Magnitudes of gradients, and what formats hold."""
    figure, (bars, axis) = axes(2, 1, height=4.6, sharex=True, height_ratios=[1, 2])
    edges = np.arange(-45, 18)
    for x, colour, name in ((first, BLUE, "first steps"), (last, ORANGE, "last steps")):
        counts, _ = np.histogram(x, edges)
        axis.stairs(100 * counts / x.size, edges, color=colour, fill=True, alpha=0.35)
        axis.stairs(100 * counts / x.size, edges, color=colour, lw=1.6, label=name)
    names = ("float16", "float8_e5m2", "float8_e4m3fn")
    for row, name in enumerate(names):
        info = fe.finfo(name)
        low, normal, high = np.log2([info.smallest_subnormal, info.smallest_normal, info.max])
        bars.barh(row, normal - low, left=low, height=0.55, color=GREY, alpha=0.4)
        bars.barh(row, high - normal, left=normal, height=0.55, color=GREY)
    bars.set_yticks(range(3), names)
    axis.set_xlim(-45, 17)
    axis.set_xticks(range(-40, 17, 8), [f"$2^{{{power}}}$" for power in range(-40, 17, 8)])
    axis.set_xlabel("magnitude")
    axis.set_ylabel("share, %")
    axis.legend(frameon=False, fontsize=9, loc="upper right")
    return figure


def scales(scaled: Callable[[str, int], float], accuracy: float) -> Figure:
    """Accuracy by loss scale."""
    figure, axis = axes(height=3.8)
    powers = range(-16, 29, 4)
    axis.axhline(accuracy, color=GREY, lw=1, ls="--", label="float64, any scale")
    for name, colour, marker in (("float8_e4m3fn", ORANGE, "s"), ("float8_e5m2", BLUE, "o")):
        axis.plot(
            powers, [scaled(name, power) for power in powers], marker=marker, color=colour, lw=1.6, ms=5, label=name
        )
    axis.set_xticks(powers, [f"$2^{{{power}}}$" for power in powers])
    axis.set_ylim(0, 103)
    axis.set_xlabel("loss scale")
    axis.set_ylabel("digits recognized, %")
    axis.legend(frameon=False, fontsize=9, loc="lower center")
    return figure


def losses(results: dict[str, tuple[float, list[float]]]) -> Figure:
    """Loss by step."""
    figure, axis = axes(height=3.8)
    styles = ((GREY, "-", 3.5), (ORANGE, "-", 1.6), (BLUE, "-", 1.6), (GREEN, "--", 1.6))
    for (name, (_, values)), (colour, dashes, width) in zip(results.items(), styles, strict=True):
        means = np.mean(np.reshape(values, (-1, 50)), axis=1)
        axis.plot(np.arange(25, len(values), 50), means, color=colour, ls=dashes, lw=width, label=name)
    axis.set_ylim(0, None)
    axis.set_xlim(0, None)
    axis.set_xlabel("steps")
    axis.set_ylabel("loss")
    axis.legend(frameon=False, fontsize=9)
    return figure

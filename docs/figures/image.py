"""Figures of image.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from figures.style import BLUE, GREY, ORANGE, axes, title
from matplotlib.figure import Figure
from numpy.typing import NDArray

Images = list[NDArray[Any]]


def depths(
    depths: tuple[int, ...],
    image: NDArray[Any],
    nearest: Images,
    stochastic: Images,
    psnr: Callable[[NDArray[Any], NDArray[Any]], float],
) -> Figure:
    """The image by bits, in both roundings."""
    figure, grid = axes(2, len(depths), height=5.2)
    for row, name, images in zip(grid, ("to nearest", "stochastically"), (nearest, stochastic), strict=True):
        for axis, bits, other in zip(row, depths, images, strict=True):
            axis.imshow(other, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axis.set_axis_off()
            word = "bit" if bits == 1 else "bits"
            title(axis, f"{bits} {word} {name}\n{psnr(image, other):.1f} dB")
    return figure


def shades(grey: Callable[..., NDArray[Any]]) -> Figure:
    """Means of a ramp's columns."""
    ramp = np.linspace(0, 1, 256)
    rows = np.broadcast_to(ramp, (400, 256))
    figure, grid = axes(1, 2, height=3.6, sharey=True)
    for axis, bits in zip(grid, (1, 2), strict=True):
        axis.plot(ramp, ramp, color=GREY, lw=1, label="the ramp")
        axis.plot(ramp, grey(ramp, bits), color=ORANGE, lw=1.6, label="nearest")
        noisy = grey(rows, bits, rounding="stochastic", rng=0).mean(axis=0)
        axis.plot(ramp, noisy, ".", color=BLUE, ms=3, label="stochastic")
        axis.set_xlabel("grey")
        title(axis, "1 bit" if bits == 1 else "2 bits")
    grid[0].set_ylabel("mean of a column")
    grid[0].legend(frameon=False, fontsize=9)
    return figure

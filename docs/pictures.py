"""Draw the pictures of these pages that the demo does not draw: `python docs/pictures.py`."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import fpemu as fe

FOLDER = Path(__file__).parent / "images"
BLUE, ORANGE = "#0072B2", "#D55E00"


def staircases(path: Path) -> None:
    """What numbers become in int4 under every rounding mode; a dot where a tie goes."""
    x = np.linspace(-2.5, 2.5, 2001)
    ties = np.arange(-2.5, 2.6)
    figure, axes = plt.subplots(2, 5, figsize=(10.8, 4.9), sharex=True, sharey=True, layout="constrained")
    for mode, ax in zip(fe.Rounding, axes.flat, strict=True):
        y = fe.cast(x, "int4", rounding=mode)
        steps = np.flatnonzero(np.diff(y)) + 1
        for first, last in zip([0, *steps], [*steps, x.size], strict=True):
            ax.plot(x[[first, last - 1]], y[[first, last - 1]], color=BLUE, lw=2)
        special = np.concatenate([ties, np.arange(-2.0, 3)])
        ax.plot(special, fe.cast(special, "int4", rounding=mode), ".", color=ORANGE, ms=7)
        ax.plot(x, x, color="0.8", lw=0.8, zorder=0)
        ax.set_title(mode.value.replace("_", " "), fontsize=10)
        ax.set_xticks(range(-2, 3))
        ax.set_yticks(range(-3, 4))
        ax.grid(color="0.93")
        ax.set_aspect("equal")
    figure.supxlabel("x; dots: integers and ties", fontsize=10)
    figure.savefig(path, dpi=100, metadata={"Software": None})


SUMMED = (
    *("float32", "tfloat32", "float16", "bfloat16", "float8_e5m2", "float8_e4m3fn", "float6_e3m2fn", "float4_e2m1fn"),
    *("int16", "q7.8"),
)


def running_sums(path: Path) -> None:
    """The same numbers added up in ten formats, every step rounded."""
    x = np.random.default_rng(0).random(4096)
    count = np.arange(1, x.size + 1)
    figure, axes = plt.subplots(2, 5, figsize=(10.8, 4.6), sharex=True, sharey=True, layout="constrained")
    for fmt, ax in zip(SUMMED, axes.flat, strict=True):
        ax.loglog(count, np.cumsum(x), color="0.75", lw=3)
        ax.loglog(count, fe.cumsum(fe.array(x, fmt), accumulate=fmt).values, color=BLUE, lw=1.4)
        ax.set_title(fmt, fontsize=10)
        ax.set_ylim(0.3, 4000)
        ax.grid(color="0.93")
    figure.supxlabel("numbers added; blue: each step rounded to the format, grey: exactly", fontsize=10)
    figure.savefig(path, dpi=100, metadata={"Software": None})


if __name__ == "__main__":
    staircases(FOLDER / "rounding.png")
    running_sums(FOLDER / "sums.png")

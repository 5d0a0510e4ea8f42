"""Pictures of formats: their values, ranges and errors, drawn with matplotlib or as text."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fpemu.formats import FloatFormat, Format, dtype
from fpemu.formats.facts.exactness import finite_range
from fpemu.formats.facts.info import describe
from fpemu.reports.cast_report import cast_to_float64

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from fpemu.inspection.accuracy import Accuracy, OperationTable
    from fpemu.reports.cast_report import Report

__all__ = [
    "Binades",
    "accuracy_picture",
    "error_curve",
    "number_line",
    "operation_picture",
    "range_lines",
    "report_picture",
]

# Okabe and Ito's palette, distinct with every kind of colour vision
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
GREY = "#7F7F7F"

LINE_DOTS = 2000  # distinct positions on a number line
STEPS = 256  # points of an error curve in a binade
MAX_BINADES = 80  # shown in an error curve
FEW_BINADES = 30  # up to this number, a curve shows eight errors for each binade, beyond it the largest


def _figure(width: float, height: float) -> Figure:
    """An empty figure of a size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=120, layout="constrained")


def _reach(fmt: Format) -> tuple[float, float, float]:
    """log2 of the smallest positive, the smallest normal and the largest value."""
    limits = describe(fmt)
    smallest = limits.dyadic({"float": "smallest_subnormal", "int": "quantum"}.get(fmt.kind, "smallest_positive"))
    normal = limits.dyadic("smallest_normal") if isinstance(fmt, FloatFormat) else smallest
    largest = limits.dyadic("max")
    low, middle, high = (_log2_of(number) for number in (smallest, normal or largest, largest))
    return low, middle, high


def _log2_of(number: tuple[int, int] | None) -> float:
    """log2 of significand times 2^exponent, of any size; NaN without a positive number."""
    return math.log2(number[0]) + number[1] if number is not None and number[0] > 0 else math.nan


def _common_range(reaches: Sequence[tuple[float, float, float]]) -> tuple[float, float]:
    """The lowest and the highest end of several ranges, without NaN."""
    ends = [end for reach in reaches for end in reach if not math.isnan(end)]
    return (min(ends), max(ends)) if ends else (0.0, 1.0)


def range_lines(formats: Sequence[Any], width: int = 60, ascii_only: bool = False) -> list[str]:
    r"""Return the positive ranges of formats, one above the other, as lines of text.

    Parameters
    ----------
    formats : sequence of formats
    width : int
        Characters in a line, without the name.
    ascii_only : bool

    Returns
    -------
    list of str
        A line for each format, with subnormal values lighter than normal ones; then the powers of two.

    Examples
    --------
    >>> from fpemu.reports.plotting import range_lines
    >>> print("\n".join(range_lines(["float16", "float8_e4m3fn", "int8"], width=42)))
    float16        ░░░░░░░░░░████████████████████████████████
    float8_e4m3fn                 ░░░░████████████████
    int8                                    ████████
                   ┴       ┴       ┴        ┴       ┴       ┴
                   2^-24   2^-16   2^-8     2^0     2^8  2^16
    """
    targets = [dtype(fmt) for fmt in formats]
    light, full, mark = ("-", "#", "|") if ascii_only else ("░", "█", "┴")
    reaches = [_reach(fmt) for fmt in targets]
    left, right = _common_range(reaches)
    low, high = math.floor(left), math.ceil(right)
    cell = max(high - low, 1) / width
    indent = max(len(fmt.name) for fmt in targets)
    lines = []
    for fmt, (smallest, normal, largest) in zip(targets, reaches, strict=True):
        middles = low + (np.arange(width) + 0.5) * cell
        within = (middles > smallest - cell / 2) & (middles < largest + cell / 2)
        bar = np.where(within, np.where(middles < normal, light, full), " ")
        lines.append(f"{fmt.name:<{indent}}  {''.join(bar)}".rstrip())
    axis, labels = [" "] * width, [" "] * width
    for power in _round_powers(low, high, width):
        column = min(int((power - low) / cell), width - 1)
        axis[column] = mark
        text = f"2^{power}"
        column = min(column, width - len(text))
        if all(c == " " for c in labels[max(column - 1, 0) : column + len(text) + 1]):
            labels[column : column + len(text)] = text
    return [*lines, " " * (indent + 2) + "".join(axis).rstrip(), " " * (indent + 2) + "".join(labels).rstrip()]


def _round_powers(low: int, high: int, width: int) -> list[int]:
    """Evenly spaced exponents from `low` to `high`, multiples of a power of two."""
    step = 1
    while (high - low) / step > width / 8:
        step *= 2
    return list(range(-(-low // step) * step, high + 1, step))


def number_line(formats: Sequence[Any]) -> Figure:
    """Draw formats: above, their ranges by powers of two; below, all values near zero.

    Parameters
    ----------
    formats : sequence of formats

    Returns
    -------
    matplotlib.figure.Figure
        Not shown: ``figure.savefig("formats.png")``.

    Examples
    --------
    >>> from fpemu.reports.plotting import number_line
    >>> len(number_line(["float8_e4m3fn", "float8_e5m2"]).axes)
    2
    """
    targets = [dtype(fmt) for fmt in formats]
    if not targets:
        raise ValueError("a picture needs one format or more")
    figure = _figure(9, 1.8 + 0.62 * len(targets))
    ranges, values = figure.subplots(2, 1)
    _draw_ranges(ranges, targets)
    _draw_values(values, targets)
    for axis in (ranges, values):
        axis.set_yticks(range(len(targets)), [fmt.name for fmt in targets])
        axis.set_ylim(len(targets) - 0.4, -0.6)
        axis.tick_params(axis="y", length=0)
        axis.spines[["top", "right", "left"]].set_visible(False)
    return figure


def _draw_ranges(axis: Axes, targets: list[Format]) -> None:
    reaches = [_reach(fmt) for fmt in targets]
    left, right = _common_range(reaches)
    span = max(right - left, 1)
    for row, (low, normal, high) in enumerate(reaches):
        if math.isnan(low):  # no positive value
            continue
        colour = COLOURS[row % len(COLOURS)]
        axis.barh(row, normal - low, left=low, height=0.5, color=colour, alpha=0.35, linewidth=0)
        axis.barh(row, high - normal, left=normal, height=0.5, color=colour, linewidth=0)
        axis.text(low - span / 100, row, _power_text(low), ha="right", va="center", fontsize=8, color=GREY)
        axis.text(high + span / 100, row, _power_text(high), ha="left", va="center", fontsize=8, color=GREY)
    axis.set_xlim(left - span / 8, right + span / 8)
    axis.set_title("Range: smallest to largest positive value, subnormals pale", fontsize=10, loc="left")
    _label_powers(axis)


def _label_powers(axis: Axes) -> None:
    """Label the ticks of an axis of exponents as powers of two."""
    from matplotlib.ticker import MaxNLocator

    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.xaxis.set_major_formatter(lambda power, _: f"$2^{{{power:.0f}}}$")


def _power_text(log2: float) -> str:
    """A limit in digits if it is in the range of float64, else as a power of two."""
    if not -1000 < log2 < 1000:
        return f"$2^{{{log2:.0f}}}$"
    return f"{2**log2:.5g}" if 0 <= log2 < 20 else f"{2**log2:.3g}"


def _draw_values(axis: Axes, targets: list[Format]) -> None:
    tops = [finite_range(fmt)[1] for fmt in targets]
    end = min([8.0, *(top for top in tops if top > 0)])
    for row, (fmt, top) in enumerate(zip(targets, tops, strict=True)):
        colour = COLOURS[row % len(COLOURS)]
        values = _values_to_draw(fmt, end)
        if values is None:
            axis.barh(row, min(top, end), height=0.5, color=colour, linewidth=0)
        else:
            axis.vlines(values, row - 0.25, row + 0.25, color=colour, linewidth=0.8)
    axis.set_xlim(-end / 50, end * 1.02)
    axis.set_title(f"Every value from 0 to {end:g}", fontsize=10, loc="left")


def _values_to_draw(fmt: Format, end: float) -> NDArray[np.float64] | None:
    """A format's values from 0 to `end`, without indistinguishable ones; None for formats wider than 16 bits."""
    if fmt.bits > 16:
        return None
    values = []
    for code in range(fmt.code_count):
        with contextlib.suppress(OverflowError):  # far beyond `end`, or too close to 0
            values.append(fmt.value(code))
    inside = np.array([value for value in values if 0 <= value <= end])
    return np.unique(np.rint(inside / end * LINE_DOTS)) * (end / LINE_DOTS) if inside.size > LINE_DOTS else inside


class Binades:
    """The number of values in each binade, counted chunk by chunk.

    Examples
    --------
    >>> import numpy as np
    >>> from fpemu.reports.plotting import Binades
    >>> binades = Binades()
    >>> binades.update(np.array([1.0, -1.5, 0.25, 0.0, np.nan]))
    >>> binades.counts()
    {-2: 1, 0: 2}
    """

    _LOWEST = -1074

    def __init__(self) -> None:
        self._counts = np.zeros(1024 - self._LOWEST, np.int64)

    def update(self, x: NDArray[Any]) -> None:
        """Count the binades of the finite nonzero numbers."""
        numbers = np.asarray(x, np.float64)
        exponents = np.frexp(numbers[np.isfinite(numbers) & (numbers != 0)])[1] - 1
        self._counts += np.bincount(exponents - self._LOWEST, minlength=self._counts.size)

    def counts(self) -> dict[int, int]:
        """Counts by exponent e, for the nonempty binades [2^e, 2^(e+1))."""
        return {int(index) + self._LOWEST: int(self._counts[index]) for index in np.flatnonzero(self._counts)}


def error_curve(formats: Sequence[Any], low: int | None = None, high: int | None = None) -> Figure:
    """Draw the relative error of a cast to nearest, by the number's magnitude.

    Parameters
    ----------
    formats : sequence of formats
    low, high : int, optional
        Exponents of the smallest and the largest number; default: slightly beyond the formats' ranges.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from fpemu.reports.plotting import error_curve
    >>> len(error_curve(["float8_e4m3fn", "float8_e5m2"]).axes)
    1
    """
    targets = [dtype(fmt) for fmt in formats]
    if not targets:
        raise ValueError("a picture needs one format or more")
    left, right = _common_range([_reach(fmt) for fmt in targets])
    bottom, top = (min(max(end, -1060), 1020) for end in (math.floor(left) - 3, math.ceil(right) + 3))
    middle = min(max(0, bottom + MAX_BINADES // 2), top - MAX_BINADES // 2)  # 0 if the formats' ranges contain it
    low = max(bottom, middle - MAX_BINADES // 2) if low is None else low
    high = max(min(top, middle + MAX_BINADES // 2), low + 1) if high is None else high
    figure = _figure(9, 4)
    axis = figure.subplots()
    _draw_errors(axis, [(fmt, fmt.name, 1.0) for fmt in targets], low, high)
    return figure


def _draw_errors(axis: Axes, curves: list[tuple[Format, str, float]], low: int, high: int) -> None:
    """Draw the largest relative error in each binade, or in each eighth of it; each format has a label and a scale."""
    stride = STEPS // 8 if high - low <= FEW_BINADES else STEPS
    exponents = np.arange(low * STEPS, high * STEPS) / STEPS
    x = np.exp2(exponents + 1 / (3 * STEPS))  # avoids the values of coarse formats
    lowest = 1.0
    for index, (fmt, label, scale) in enumerate(curves):
        y = cast_to_float64(x / scale, fmt, overflow="saturate") * scale
        relative = np.nan_to_num(np.abs(y - x) / x, nan=1.0)
        largest = np.maximum(relative.reshape(-1, stride).max(axis=1), 2.0**-64)
        lowest = min(lowest, float(largest.min()))
        colour = COLOURS[index % len(COLOURS)]
        axis.stairs(largest, [*exponents[::stride], high], baseline=None, color=colour, linewidth=1.5, label=label)
    axis.set_yscale("log", base=2)
    axis.set_ylim(lowest / 4, 2)
    axis.set_xlim(low, high)
    axis.set_xlabel("magnitude of the number")
    axis.set_ylabel("largest relative error")
    _label_powers(axis)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=9, ncols=2, loc="lower left", bbox_to_anchor=(0, 1))


def report_picture(report: Report, binades: Binades) -> Figure:
    """Draw a report: above, a histogram of the numbers; below, each format's relative error.

    Parameters
    ----------
    report : Report
    binades : Binades
        The binades of the same numbers.

    Returns
    -------
    matplotlib.figure.Figure
    """
    counts = binades.counts()
    total = sum(counts.values())
    figure = _figure(9, 5.5)
    numbers, errors = figure.subplots(2, 1, sharex=True, height_ratios=[1, 2])
    low = max(min(counts, default=0) - 2, max(counts, default=0) - MAX_BINADES)
    high = max(counts, default=0) + 2
    numbers.bar(
        list(counts), [count / total for count in counts.values()], width=1, align="edge", color=GREY, edgecolor="white"
    )
    numbers.set_ylabel("share")
    numbers.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
    numbers.set_title("Where the numbers lie, by power of two", fontsize=10, loc="left")
    numbers.spines[["top", "right"]].set_visible(False)
    curves = []
    for row in report.rows:
        scaled = "" if row.scale is None else ", scaled"
        curves.append((dtype(row.format), f"{row.format}{scaled}: SQNR {row.sqnr:.1f} dB", row.scale or 1.0))
    _draw_errors(errors, curves, low, high)
    return figure


def accuracy_picture(accuracy: Accuracy) -> Figure:
    """Draw a function's errors in ulp: a plot over x or, for two operands, a map for each method.

    Parameters
    ----------
    accuracy : Accuracy

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from fpemu.inspection.accuracy import measure
    >>> from fpemu.reports.plotting import accuracy_picture
    >>> len(accuracy_picture(measure("divide", "int4", against=["float32"])).axes)  # two maps and their colours
    3
    """
    title = f"{accuracy.operation.name} of {accuracy.format.name}: error in ulp"
    if len(accuracy.operands) == 2:
        count = len(accuracy.methods)
        figure = _figure(1 + 4 * count, 4.4)
        axes = figure.subplots(1, count, squeeze=False)[0]
        worst = max([0.5, *(method.max_ulp for method in accuracy.methods if not math.isnan(method.max_ulp))])
        for axis, method in zip(axes, accuracy.methods, strict=True):
            image = _draw_map(axis, accuracy.values[0], accuracy.values[1], np.abs(method.ulps), 0, min(worst, 8))
            axis.set_title(method.name, fontsize=9, loc="left")
        figure.colorbar(image, ax=list(axes), shrink=0.8)
        figure.suptitle(title, fontsize=10)
        return figure
    figure = _figure(9, 4.5)
    axis = figure.subplots()
    x = accuracy.values[0]
    for index in reversed(range(len(accuracy.methods))):  # the correctly rounded method on top
        method, colour = accuracy.methods[index], COLOURS[index % len(COLOURS)]
        label = f"{method.name}: max {method.max_ulp:.6g}, mean {method.mean_ulp:.3g}"
        axis.plot(x, method.ulps, ".", markersize=2, color=colour, label=label, rasterized=True)
    measured = np.abs(x[accuracy.measured & (x != 0)])
    if measured.size and measured.max() > 64 * measured.min():
        axis.set_xscale("symlog", base=2, linthresh=float(measured.min()))
        axis.xaxis.set_major_locator(_symmetric_powers(measured))
        axis.xaxis.set_major_formatter(_signed_power)
    if max((np.nanmax(np.abs(m.ulps), initial=0.0) for m in accuracy.methods), default=0.0) > 16:
        axis.set_yscale("symlog", linthresh=1)
    axis.set_title(title, fontsize=10, loc="left")
    axis.set_xlabel("x")
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    handles, labels = axis.get_legend_handles_labels()
    position: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (0, -0.12), "ncols": 2}
    axis.legend(handles[::-1], labels[::-1], frameon=False, fontsize=8, markerscale=5, **position)
    return figure


def _symmetric_powers(x: NDArray[np.float64]) -> Any:
    """Ticks at 0 and at a few positive and negative powers of two."""
    from matplotlib.ticker import FixedLocator

    low, high = (math.floor(math.log2(float(end))) for end in (x.min(), x.max()))
    step = max(1, -(-(high - low) // 5))
    powers = [2.0**power for power in range(high, low + step // 2, -step)]
    return FixedLocator([*(-power for power in powers), 0.0, *powers])


def _signed_power(x: float, _: Any) -> str:
    if x == 0:
        return "0"
    return f"${'-' if x < 0 else ''}2^{{{round(math.log2(abs(x)))}}}$"


def operation_picture(table: OperationTable) -> Figure:
    """Draw the relative errors of all results of an operation: a heat map or, for one operand, a plot.

    Parameters
    ----------
    table : OperationTable

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from fpemu.inspection.accuracy import operation_table
    >>> from fpemu.reports.plotting import operation_picture
    >>> len(operation_picture(operation_table("sqrt", "float6_e2m3fn")).axes)
    1
    """
    relative = table.relative_errors()
    values = table.format.values()
    figure = _figure(7, 5.5)
    axis = figure.subplots()
    to = "" if table.result is table.format else f" to {table.result.name}"
    title = f"{table.operation.name} of {table.format.name}{to}: relative error"
    if relative.ndim == 1:
        order = np.argsort(values, kind="stable")
        axis.plot(values[order], relative[order], ".", markersize=3, color=COLOURS[0])
        axis.set_xlabel("x")
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    else:
        x, y = (grid.ravel() for grid in np.meshgrid(values, values, indexing="ij"))
        known = relative[~np.isnan(relative)]
        image = _draw_map(axis, x, y, relative.ravel(), 0, float(np.quantile(known, 0.99)) if known.size else 1)
        figure.colorbar(image, ax=axis, extend="max")
    axis.set_title(title, fontsize=10, loc="left")
    return figure


def _draw_map(
    axis: Axes, x: NDArray[np.float64], y: NDArray[np.float64], z: NDArray[np.float64], low: float, high: float
) -> Any:
    """Draw numbers for pairs of finite values as a map, with evenly spaced values and grey for missing numbers."""
    import matplotlib

    columns, rows = (np.unique(side[np.isfinite(side)]) for side in (x, y))
    grid = np.full((rows.size, columns.size), np.nan)
    inside = np.isfinite(x) & np.isfinite(y)
    grid[np.searchsorted(rows, y[inside]), np.searchsorted(columns, x[inside])] = z[inside]
    colours = matplotlib.colormaps["viridis"].with_extremes(bad="#DDDDDD")
    image = axis.imshow(
        grid, origin="lower", cmap=colours, vmin=low, vmax=high if high > low else low + 1, aspect="equal"
    )
    for side, values, ticks in (("x", columns, axis.set_xticks), ("y", rows, axis.set_yticks)):
        indices = np.unique(np.linspace(0, values.size - 1, 7).round().astype(int))
        ticks(indices, [f"{values[index] + 0.0:.3g}" for index in indices], fontsize=7)
        getattr(axis, f"set_{side}label")(side)
    return image

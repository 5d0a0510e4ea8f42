"""Printing: consoles, JSON, tables, fields of codes in colour, progress, pictures."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from fpemu.files.atomic import replacing
from fpemu.files.boundary import visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "bits",
    "console",
    "json_text",
    "picture_path",
    "print_json",
    "print_table",
    "progress",
    "save_picture",
    "summary",
    "wrong_usage",
]

FIELD_STYLES = {
    "sign": "bold red",
    "exponent": "bold green",
    "trailing": "bold blue",
    "integer": "bold green",
    "fraction": "bold blue",
    "index": "bold magenta",
}

COLUMN_GAP = 2  # spaces between the columns of a table
FOLDED = 40  # the least width of a column of folded texts
WIDE = 200  # for files and pipes, which have no width of their own
BAR_DELAY = 2.0  # seconds before a progress bar appears
PICTURES = (".png", ".svg", ".pdf")


class _Console(Console):
    """A console without markup that shows control characters instead of sending them."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text))


def console(stderr: bool = False) -> Console:
    """A console for standard output or the error stream."""
    stream = _Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not stream.is_terminal and "COLUMNS" not in os.environ:
        stream.width = WIDE
    return stream


def summary(written: Path | None) -> Console:
    """A console for a summary of a written file: the error stream if that file is standard output."""
    return console(stderr=_is_standard_output(written))


def print_json(data: Any, written: Path | None = None) -> None:
    """Print strict JSON to the stream of `summary`: NaN and infinities become the texts "nan", "inf", "-inf"."""
    (sys.stderr if _is_standard_output(written) else sys.stdout).write(json_text(data))


def _is_standard_output(path: Path | None) -> bool:
    try:
        return path is not None and os.path.samestat(os.stat(path), os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError):  # the file or the stream does not exist
        return False


def json_text(data: Any) -> str:
    """Data as strict JSON."""
    return json.dumps(_strict(data), indent=2, allow_nan=False) + "\n"


def _strict(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _strict(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_strict(value) for value in data]
    return str(data) if isinstance(data, float) and not math.isfinite(data) else data


def print_table(out: Console, lines: Sequence[Sequence[str | Text]], texts: Collection[int] = (0,)) -> None:
    """Print a header and rows; columns that do not fit are in further tables below, which repeat the first column.

    `texts` are the indices of the columns of texts; other columns have numbers, which are never folded.
    """
    plain = [[str(cell) for cell in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*plain, strict=True)]
    groups: list[list[int]] = []
    left = 0
    for column, longest in enumerate(widths[1:], 1):
        width = min(longest, FOLDED) if column in texts else longest
        if not groups or width + COLUMN_GAP > left:
            groups.append([0])
            left = out.width - widths[0]
        groups[-1].append(column)
        left -= width + COLUMN_GAP
    for index, group in enumerate(groups):
        table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, COLUMN_GAP - 1, 0, 0))
        for column in group:
            text = column in texts
            table.add_column(
                str(lines[0][column]), justify="left" if text else "right", no_wrap=not text, overflow="fold"
            )
        for line in lines[1:]:
            table.add_row(*(line[column] for column in group))
        if index:
            out.print()
        out.print(table)


def bits(fields: Sequence[tuple[str, str]], names: bool = False) -> Text:
    """The fields of a code in their colours, as bits or as names."""
    return Text(" ").join(Text(name if names else digits, FIELD_STYLES[name]) for name, digits in fields)


@contextlib.contextmanager
def wrong_usage(
    hint: str, errors: type[Exception] | tuple[type[Exception], ...] = (ValueError, TypeError)
) -> Iterator[None]:
    """Report errors as wrong usage of the arguments and options in `hint`."""
    try:
        yield
    except errors as error:
        raise typer.BadParameter(str(error), param_hint=hint) from None


@contextlib.contextmanager
def progress(description: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Yield a function to call with the number of elements done; on a terminal, a bar appears if the work takes long.

    `total` is the number of all elements, None if unknown.
    """
    errors = console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %")
    bar = Progress(*columns, TimeRemainingColumn(), console=errors, transient=True)
    task = bar.add_task(description, total=total)
    start = threading.Timer(BAR_DELAY, bar.start)  # even if the first element takes long
    if errors.is_terminal:
        start.start()
    try:
        yield lambda count: bar.advance(task, count)
    finally:
        start.cancel()
        if start.is_alive():
            start.join()
        if bar.live.is_started:
            bar.stop()


def picture_path(path: Path | None) -> None:
    """Raise an error if the picture cannot be drawn or written; called before any work."""
    if path is None:
        return
    if path.suffix.lower() not in PICTURES:
        raise typer.BadParameter(f"{path}: a picture's name ends in {', '.join(PICTURES)}", param_hint="'--plot'")
    try:
        import matplotlib  # noqa: F401  (whether it is installed)
    except ModuleNotFoundError:
        raise typer.BadParameter(
            "pictures need matplotlib: python -m pip install 'fpemu[plot]'", param_hint="'--plot'"
        ) from None


def save_picture(figure: Figure, path: Path) -> None:
    """Write a picture atomically."""
    with replacing(path) as stream:
        figure.savefig(stream, format=path.suffix[1:].lower())
    console(stderr=True).print(f"picture: {path}", soft_wrap=True)

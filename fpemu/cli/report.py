"""`fpemu report`: what casting the arrays of a file would cost."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.text import Text

from fpemu.casting import cast
from fpemu.cli.options import (
    DtypeOption,
    FileArgument,
    FormatsArgument,
    FormatsOption,
    JsonOption,
    MemberOption,
    PlotOption,
    ProfileOption,
    RoundingOption,
    SeedOption,
    ShapeOption,
    open_file,
    rules_of,
    seed_of,
    targets_of,
)
from fpemu.cli.output import console, picture_path, print_json, print_table, progress, save_picture
from fpemu.files import StoredArray
from fpemu.formats import Format
from fpemu.plotting import Binades, report_picture
from fpemu.report import Report, report_stream
from fpemu.scaling.scheme import ScaledFormat
from fpemu.scaling.streaming import Stream

__all__ = ["report"]

MAIN_FORMATS = ["float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "float4_e2m1fn", "int8", "int4"]


def report(
    file: FileArgument,
    names: FormatsArgument = None,
    format: FormatsOption = None,
    scale: Annotated[
        str | None,
        typer.Option("--scale", help="absmax, or a number: what elements are divided by before the cast."),
    ] = None,
    rounding: RoundingOption = None,
    profile: ProfileOption = None,
    seed: SeedOption = None,
    dtype: DtypeOption = None,
    shape: ShapeOption = None,
    member: MemberOption = None,
    plot: PlotOption = None,
    json: JsonOption = False,
) -> None:
    """Measure what casting a file's arrays to formats would cost: errors, SQNR, overflow, underflow, saturation.

    Errors are those under saturation, whatever a profile says. Without -f: the main formats.

    For example:

        fpemu report weights.npy -f bfloat16 -f float8_e4m3fn

        fpemu report model.npz -f e4m3fn e5m2 int8 --scale absmax

        fpemu report weights.npy -f mxfp4 -f nvfp4 -f int8_channel

        fpemu report activations.f32 --dtype float32 -f e5m2 --plot errors.png
    """
    chosen = targets_of(format, names) or targets_of(MAIN_FORMATS)
    scaled = [fmt for fmt in chosen if isinstance(fmt, ScaledFormat)]
    rules = [rules_of(fmt.element if isinstance(fmt, ScaledFormat) else fmt, profile, rounding) for fmt in chosen]
    if scaled and plot is not None:
        raise typer.BadParameter(
            f"a picture is of formats of single numbers, not of {scaled[0]}", param_hint="'--plot'"
        )
    if scale is not None and len(scaled) == len(chosen):
        raise typer.BadParameter(f"{scaled[0]} has scales of its own", param_hint="'--scale'")
    seed = seed_of(seed, rules)
    factor = _scale(scale)
    picture_path(plot)
    arrays = open_file(file, dtype, shape, member)
    if plot is not None and len(arrays) != 1:
        raise typer.BadParameter(
            f"a picture shows one array, {file} has {len(arrays)}: add --member", param_hint="'--plot'"
        )
    binades = Binades() if plot is not None else None
    reports = [_measure(stored, chosen, factor, rounding, profile, seed, binades) for stored in arrays]
    if json:
        facts = [{"name": a.name, "shape": a.shape, **r.to_dict()} for a, r in zip(arrays, reports, strict=True)]
        print_json({"file": str(file), "seed": seed, "arrays": facts})
    else:
        for stored, found in zip(arrays, reports, strict=True):
            _print(stored, found, seed)
    if plot is not None and binades is not None:
        save_picture(report_picture(reports[0], binades), plot)


def _scale(text: str | None) -> str | float | None:
    if text is None or text == "absmax":
        return text
    try:
        factor = float(text)
    except ValueError:
        factor = math.nan
    if not 0 < factor < math.inf:
        raise typer.BadParameter(f"{text!r} is no scale: write absmax, or a number above 0", param_hint="'--scale'")
    return factor


def _measure(
    stored: StoredArray,
    chosen: list[Format | ScaledFormat],
    scale: str | float | None,
    rounding: str | None,
    profile: str | None,
    seed: int | None,
    binades: Binades | None,
) -> Report:
    again = any(isinstance(fmt, ScaledFormat) and Stream(fmt, stored.shape, fmt.element).looks_first for fmt in chosen)
    passes = 1 + (scale == "absmax") + again
    with progress(f"reading {stored.path.name} {stored.name}".rstrip(), passes * stored.size) as advance:

        def pieces() -> Iterator[NDArray[Any]]:
            for piece in stored.chunks():
                yield piece
                advance(piece.size)

        how: dict[str, Any] = {
            "profile": profile,
            "rounding": rounding,
            "rng": seed,
            "source": stored.format,
            "shape": stored.shape,
        }
        found = report_stream(pieces, chosen, scale, **how)
    if binades is not None:
        for piece in stored.chunks():
            binades.update(np.asarray(cast(piece, "float64", source=stored.format)))
    return found


def _print(stored: StoredArray, found: Report, seed: int | None) -> None:
    out = console()
    shape = " x ".join(map(str, stored.shape)) or "one number"
    what = stored.dtype if stored.format is None else f"codes of {stored.format.name}"
    out.print(
        Text(f"{stored.path}{f', {stored.name}' if stored.name else ''}: {shape}, {what}", "bold"), soft_wrap=True
    )
    notes = [f"{found.nan} NaN" * (found.nan > 0), f"{found.infinite} infinite" * (found.infinite > 0)]
    if any(notes):
        out.print(f"left out: {' and '.join(n for n in notes if n)}")
    if seed is not None:
        out.print(f"seed {seed}")
    print_table(out, found.cells())
    out.print()

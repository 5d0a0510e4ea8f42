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
    RawOption,
    RoundingOption,
    SeedOption,
    ShapeOption,
    float_number,
    open_file,
    rules_of,
    seed_of,
    targets_of,
)
from fpemu.cli.output import console, picture_path, print_json, print_table, progress, save_picture
from fpemu.files import StoredArray
from fpemu.files.boundary import line, shown
from fpemu.formats import Format, Profile
from fpemu.quantization import Stream
from fpemu.quantization.definition.scaled_format import ScaledFormat
from fpemu.quantization.definition.targets import targets_under, with_axis, with_scale_rule
from fpemu.reports import Report, report_stream
from fpemu.reports.plotting import Binades, report_picture

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
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            help="Rules of the casts: ieee, torch, ml_dtypes ...; or how a tool gets to scaled formats: torchao, onnx, "
            "transformer-engine ...",
        ),
    ] = None,
    scale_rule: Annotated[
        str | None,
        typer.Option("--scale-rule", help="Of scaled formats, instead of their own: floor, ceil, even, rceil, absmax."),
    ] = None,
    axis: Annotated[
        int | None,
        typer.Option("--axis", help="The axis that blocks of scaled formats lie along, instead of their own."),
    ] = None,
    pad: Annotated[
        bool, typer.Option("--pad", help="Let the last block of an axis be shorter, in scaled formats.")
    ] = False,
    seed: SeedOption = None,
    dtype: DtypeOption = None,
    shape: ShapeOption = None,
    raw: RawOption = False,
    member: MemberOption = None,
    plot: PlotOption = None,
    json: JsonOption = False,
) -> None:
    """Measure what casting a file's arrays to formats would cost: errors, SQNR, overflow, underflow, saturation.

    Errors are those under saturation, whatever a profile says. Without -f: the main formats.

    A profile of scaled formats leaves the others as they are. A name of both kinds, as torch, is each one's own.

    Arrays that blocks do not divide are refused, as quantize refuses them, unless there is --pad. One number by itself
    gets a row that says so where blocks need an axis.

    For example:

        fpemu report weights.npy -f bfloat16 -f float8_e4m3fn

        fpemu report model.npz -f e4m3fn e5m2 int8 --scale absmax

        fpemu report weights.npy -f mxfp4 -f nvfp4 -f int8_channel

        fpemu report weights.npy -f mxfp4 -f nvfp4 --profile torchao

        fpemu report model.safetensors -f e4m3 mxfp4

        fpemu report activations.f32 --raw --dtype float32 -f e5m2 --plot errors.png
    """
    chosen = targets_of(format, names) or targets_of(MAIN_FORMATS)
    scaled = [fmt for fmt in chosen if isinstance(fmt, ScaledFormat)]
    chosen, rules = _rules(_along(chosen, axis, pad), profile, scale_rule, rounding)
    if scaled and plot is not None:
        raise typer.BadParameter(
            f"a picture is of formats of single numbers, not of {scaled[0]}", param_hint="'--plot'"
        )
    if scale is not None and len(scaled) == len(chosen):
        raise typer.BadParameter(f"{scaled[0]} has scales of its own", param_hint="'--scale'")
    seed = seed_of(seed, rules)
    factor = _scale(scale)
    picture_path(plot)
    arrays = open_file(file, dtype, shape, member, raw)
    if plot is not None and len(arrays) != 1:
        raise typer.BadParameter(
            f"a picture shows one array, {file} has {len(arrays)}: add --member", param_hint="'--plot'"
        )
    binades = Binades() if plot is not None else None
    again = [
        _needs_two_passes(stored, chosen, profile, pad) for stored in arrays
    ]  # all of them, before any is measured
    how: dict[str, Any] = {"scale": factor, "profile": profile, "rounding": rounding, "rng": seed, "pad": pad}
    reports = [_measure(stored, chosen, passes, binades, how) for stored, passes in zip(arrays, again, strict=True)]
    if json:
        facts = [{"name": a.name, "shape": a.shape, **r.to_dict()} for a, r in zip(arrays, reports, strict=True)]
        print_json({"file": str(file), "seed": seed, "arrays": facts})
    else:
        for stored, found in zip(arrays, reports, strict=True):
            _print(stored, found, seed)
    if plot is not None and binades is not None:
        save_picture(report_picture(reports[0], binades), plot)


def _rules(
    chosen: list[Format | ScaledFormat], profile: str | None, scale_rule: str | None, rounding: str | None
) -> tuple[list[Format | ScaledFormat], list[Profile]]:
    """The formats, with another scale rule if one is asked for, and the rules of the casts to them."""
    try:
        found = chosen if scale_rule is None else with_scale_rule(chosen, scale_rule)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="'--scale-rule'") from None
    try:
        under = targets_under(found, profile)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="'--profile'") from None
    rules = []
    for fmt in under.targets:
        if isinstance(fmt, ScaledFormat):
            rules.append(rules_of(fmt.element, under.elements or fmt.own_profile.elements, rounding))
        else:
            rules.append(rules_of(fmt, under.casts, rounding))
    return found, rules


def _scale(text: str | None) -> str | float | None:
    if text is None or text == "absmax":
        return text
    factor = float_number(text, "'--scale'")
    if not 0 < factor < math.inf:
        raise typer.BadParameter(f"{text!r} is no scale: write absmax, or a number above 0", param_hint="'--scale'")
    return factor


def _along(chosen: list[Format | ScaledFormat], axis: int | None, pad: bool) -> list[Format | ScaledFormat]:
    """The formats, with blocks along an axis if one is asked for."""
    for word, asked in (("--axis", axis is not None), ("--pad", pad)):
        if asked and not any(isinstance(fmt, ScaledFormat) for fmt in chosen):
            raise typer.BadParameter("is for scaled formats, of which there are none here", param_hint=f"'{word}'")
    return chosen if axis is None else with_axis(chosen, axis)


def _measure(
    stored: StoredArray,
    chosen: list[Format | ScaledFormat],
    needs_two_passes: bool,
    binades: Binades | None,
    how: dict[str, Any],
) -> Report:
    passes = 1 + (how["scale"] == "absmax") + needs_two_passes
    with progress(f"reading {stored.path.name} {stored.name}".rstrip(), passes * stored.size) as advance:

        def pieces() -> Iterator[NDArray[Any]]:
            for piece in stored.chunks():
                yield piece
                advance(piece.size)

        found = report_stream(pieces, chosen, source=stored.format, shape=stored.shape, marked=True, **how)
    if binades is not None:
        for piece in stored.chunks():
            binades.update(np.asarray(cast(piece, "float64", source=stored.format)))
    return found


def _needs_two_passes(stored: StoredArray, chosen: list[Format | ScaledFormat], profile: str | None, pad: bool) -> bool:
    """Whether a scaled format needs another pass over an array; an error where one does not fit it."""
    found = False
    for scheme in chosen:
        if not isinstance(scheme, ScaledFormat) or (not stored.shape and scheme.block != "tensor"):
            continue  # one number gets a row that is marked
        (under,) = targets_under([scheme], profile).targets
        assert isinstance(under, ScaledFormat)
        try:
            found |= Stream(under, stored.shape, scheme.element, pad).needs_two_passes
        except ValueError as error:
            words = str(error).replace("pad=True", "--pad").replace("axis=", "--axis ")
            raise ValueError(f"{_name(stored)}: {words}") from None
    return found


def _name(stored: StoredArray) -> str:
    return line(str(stored.path)) + (f", {shown(stored.name)}" if stored.name else "")


def _print(stored: StoredArray, found: Report, seed: int | None) -> None:
    out = console()
    shape = " x ".join(map(str, stored.shape)) or "one number"
    what = stored.dtype if stored.format is None else f"codes of {stored.format.name}"
    out.print(Text(f"{_name(stored)}: {shape}, {what}", "bold"), soft_wrap=True)
    notes = [f"{found.nan} NaN" * (found.nan > 0), f"{found.infinite} infinite" * (found.infinite > 0)]
    if any(notes):
        out.print(f"left out: {' and '.join(n for n in notes if n)}")
    if seed is not None:
        out.print(f"seed {seed}")
    print_table(out, found.cells())
    for row in found.rows:
        if row.note:
            out.print(Text(f"{row.format}: {row.note}"))
    out.print()

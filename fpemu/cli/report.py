"""`fpemu report`: the cost of casting the arrays of a file."""

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
    FileArgument,
    FileOptions,
    FormatsArgument,
    FormatsOption,
    JsonOption,
    PlotOption,
    RoundingOption,
    SeedOption,
    float_number,
    open_file,
    rules_of,
    seed_of,
    targets_of,
)
from fpemu.cli.output import console, picture_path, print_json, print_table, progress, save_picture, wrong_usage
from fpemu.files.boundary import line, shown
from fpemu.files.data_files import StoredArray
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
        typer.Option("--scale", help="absmax, or a number: the divisor of the elements before the cast."),
    ] = None,
    rounding: RoundingOption = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            help="Rules of the casts: ieee, torch, ml_dtypes ...; for scaled formats, a tool's: torchao, onnx, "
            "transformer-engine ...",
        ),
    ] = None,
    scale_rule: Annotated[
        str | None,
        typer.Option("--scale-rule", help="The scale rule of scaled formats: floor, ceil, even, rceil, absmax."),
    ] = None,
    axis: Annotated[
        int | None,
        typer.Option("--axis", help="The axis along which the blocks of scaled formats lie."),
    ] = None,
    pad: Annotated[bool, typer.Option("--pad", help="Let the last block of a scaled format be shorter.")] = False,
    seed: SeedOption = None,
    *,
    file_options: FileOptions,
    plot: PlotOption = None,
    json: JsonOption = False,
) -> None:
    """Measure what casting a file's arrays to formats would cost: errors, SQNR, overflow, underflow, saturation.

    Errors are measured under saturation, with every profile. Without -f, the report has the main formats.

    A profile of scaled formats does not change the others. A name that both kinds of profile have, such as torch,
    selects both.

    Arrays whose axis is not a multiple of the block are refused, as by quantize, unless there is --pad. For a single
    number, the row of a scaled format whose blocks need an axis has a note.

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
    chosen, rules = _with_rules(_along_axis(chosen, axis, pad), profile, scale_rule, rounding)
    if scaled and plot is not None:
        raise typer.BadParameter(
            f"a picture is of formats of single numbers, not of {scaled[0]}", param_hint="'--plot'"
        )
    if scale is not None and len(scaled) == len(chosen):
        raise typer.BadParameter(f"{scaled[0]} has scales of its own", param_hint="'--scale'")
    seed = seed_of(seed, rules)
    factor = _scale(scale)
    picture_path(plot)
    arrays = open_file(file, file_options)
    if plot is not None and len(arrays) != 1:
        raise typer.BadParameter(
            f"a picture shows one array, {file} has {len(arrays)}: add --member", param_hint="'--plot'"
        )
    binades = Binades() if plot is not None else None
    two_passes = [_needs_two_passes(stored, chosen, profile, pad) for stored in arrays]  # checks all before measuring
    options: dict[str, Any] = {"scale": factor, "profile": profile, "rounding": rounding, "rng": seed, "pad": pad}
    reports = [
        _measure(stored, chosen, twice, binades, options) for stored, twice in zip(arrays, two_passes, strict=True)
    ]
    if json:
        facts = [{"name": a.name, "shape": a.shape, **r.to_dict()} for a, r in zip(arrays, reports, strict=True)]
        print_json({"file": str(file), "seed": seed, "arrays": facts})
    else:
        for stored, one in zip(arrays, reports, strict=True):
            _print_report(stored, one, seed)
    if plot is not None and binades is not None:
        save_picture(report_picture(reports[0], binades), plot)


def _with_rules(
    chosen: list[Format | ScaledFormat], profile: str | None, scale_rule: str | None, rounding: str | None
) -> tuple[list[Format | ScaledFormat], list[Profile]]:
    """The formats, with the scale rule if there is one, and the rules of the casts to them."""
    with wrong_usage("'--scale-rule'"):
        targets = chosen if scale_rule is None else with_scale_rule(chosen, scale_rule)
    with wrong_usage("'--profile'"):
        under = targets_under(targets, profile)
    rules = []
    for fmt in under.targets:
        if isinstance(fmt, ScaledFormat):
            rules.append(rules_of(fmt.element, rounding, name=under.elements or fmt.own_profile.elements))
        else:
            rules.append(rules_of(fmt, rounding, name=under.casts))
    return targets, rules


def _scale(text: str | None) -> str | float | None:
    if text is None or text == "absmax":
        return text
    factor = float_number(text, "'--scale'")
    if not 0 < factor < math.inf:
        raise typer.BadParameter(f"{text!r} is not a scale: write absmax, or a number above 0", param_hint="'--scale'")
    return factor


def _along_axis(chosen: list[Format | ScaledFormat], axis: int | None, pad: bool) -> list[Format | ScaledFormat]:
    """The formats, with their blocks along the axis if there is one."""
    for word, given in (("--axis", axis is not None), ("--pad", pad)):
        if given and not any(isinstance(fmt, ScaledFormat) for fmt in chosen):
            raise typer.BadParameter("applies to scaled formats only", param_hint=f"'{word}'")
    return chosen if axis is None else with_axis(chosen, axis)


def _measure(
    stored: StoredArray,
    chosen: list[Format | ScaledFormat],
    two_passes: bool,
    binades: Binades | None,
    options: dict[str, Any],
) -> Report:
    passes = 1 + (options["scale"] == "absmax") + two_passes
    with progress(f"reading {stored.path.name} {stored.name}".rstrip(), passes * stored.size) as advance:

        def chunks() -> Iterator[NDArray[Any]]:
            for chunk in stored.chunks():
                yield chunk
                advance(chunk.size)

        measured = report_stream(chunks, chosen, source=stored.format, shape=stored.shape, marked=True, **options)
    if binades is not None:
        for chunk in stored.chunks():
            binades.update(np.asarray(cast(chunk, "float64", source=stored.format)))
    return measured


def _needs_two_passes(stored: StoredArray, chosen: list[Format | ScaledFormat], profile: str | None, pad: bool) -> bool:
    """Whether a scaled format needs two passes over an array; a ValueError if its blocks do not fit."""
    two_passes = False
    for scheme in chosen:
        if not isinstance(scheme, ScaledFormat) or (not stored.shape and scheme.block != "tensor"):
            continue  # the row of a single number has a note instead
        (under,) = targets_under([scheme], profile).targets
        assert isinstance(under, ScaledFormat)
        try:
            two_passes |= Stream(under, stored.shape, scheme.element, pad).needs_two_passes
        except ValueError as error:
            text = str(error).replace("pad=True", "--pad").replace("axis=", "--axis ")
            raise ValueError(f"{_array_name(stored)}: {text}") from None
    return two_passes


def _array_name(stored: StoredArray) -> str:
    return line(str(stored.path)) + (f", {shown(stored.name)}" if stored.name else "")


def _print_report(stored: StoredArray, measured: Report, seed: int | None) -> None:
    out = console()
    shape = " x ".join(map(str, stored.shape)) or "one number"
    contents = stored.dtype if stored.format is None else f"codes of {stored.format.name}"
    out.print(Text(f"{_array_name(stored)}: {shape}, {contents}", "bold"), soft_wrap=True)
    notes = [f"{measured.nan} NaN" * (measured.nan > 0), f"{measured.infinite} infinite" * (measured.infinite > 0)]
    if any(notes):
        out.print(f"left out: {' and '.join(n for n in notes if n)}")
    if seed is not None:
        out.print(f"seed {seed}")
    print_table(out, measured.cells())
    for row in measured.rows:
        if row.note:
            out.print(Text(f"{row.format}: {row.note}"))
    out.print()

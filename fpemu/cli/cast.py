"""`fpemu cast`: the arrays of a file, cast into another file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.text import Text

from fpemu import casting
from fpemu.arithmetic.doubles import difference, doubles
from fpemu.casting import as_source
from fpemu.casting.stochastic import streamed
from fpemu.cli.options import (
    DtypeOption,
    FileArgument,
    FormatOption,
    JsonOption,
    MemberOption,
    OverflowOption,
    ProfileOption,
    RawOption,
    RoundingOption,
    SeedOption,
    ShapeOption,
    formats_of,
    open_file,
    rounding_word,
    rules_of,
    seed_of,
)
from fpemu.cli.output import print_json, print_table, progress, summary
from fpemu.files import (
    Outgoing,
    StoredArray,
    UnknownEndingError,
    kind_by_name,
    kind_of_output,
    metadata_of,
    write_arrays,
)
from fpemu.files.boundary import shown
from fpemu.formats import Format, Profile
from fpemu.reports import HEADER, Errors

__all__ = ["cast"]


def cast(
    file: FileArgument,
    format: FormatOption,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="FILE", help=".npy, .npz, .safetensors, or raw.", show_default=False),
    ],
    codes: Annotated[bool, typer.Option("--codes", help="Write codes, not values.")] = False,
    rounding: RoundingOption = None,
    overflow: OverflowOption = None,
    profile: ProfileOption = None,
    seed: SeedOption = None,
    dtype: DtypeOption = None,
    shape: ShapeOption = None,
    raw: RawOption = False,
    member: MemberOption = None,
    json: JsonOption = False,
) -> None:
    """Cast the arrays of a file to a format and write the values, or the codes, to another file.

    Files may be larger than memory. The output is written whole or not at all. A summary says what the cast cost:
    overflow counts elements that became an infinity or NaN, errors are those under saturation.

    For example:

        fpemu cast weights.npy -f float8_e4m3fn -o rounded.npy

        fpemu cast weights.npz -f bf16 --codes -o codes.npz

        fpemu cast codes.npy --dtype e4m3fn -f float32 -o values.npy

        fpemu cast model.safetensors -f bf16 --codes -o smaller.safetensors

        fpemu cast x.f32 --raw --dtype float32 --shape 128,256 -f e5m2 --rounding stochastic --seed 0 -o y.npy
    """
    (fmt,) = formats_of([format])
    rules = rules_of(fmt, profile, rounding, overflow)
    seed = seed_of(seed, [rules])
    kind = _kind_of(out, raw, file)
    arrays = open_file(file, dtype, shape, member, raw and kind_by_name(file) is None)
    if not arrays:
        raise typer.BadParameter(f"{file} holds no arrays", param_hint="'FILE'")
    if len(arrays) != 1 and kind not in (".npz", ".safetensors"):
        raise typer.BadParameter(
            f"{file} has {len(arrays)} arrays: write an .npz or .safetensors file, or choose one with --member",
            param_hint="'-o' / '--out'",
        )
    metadata = metadata_of(file) if kind == ".safetensors" else {}
    jobs = [_Job(stored, fmt, rules, codes, seed) for stored in arrays]
    with progress(f"casting {file.name}", sum(stored.size for stored in arrays)) as advance:
        write_arrays(out, [job.outgoing(advance) for job in jobs], raw=raw and kind == "raw", metadata=metadata)
    if json:
        rule = {"profile": rules.name, "rounding": rounding_word(rules.rounding), "seed": seed}
        facts = {"file": str(out), "format": fmt.name, "codes": codes, **rule, "arrays": [j.facts() for j in jobs]}
        print_json(facts, out)
    else:
        _print(out, jobs)


def _kind_of(out: Path, raw: bool, file: Path) -> str:
    """How the output is written; an error where --raw says nothing of either file."""
    wanted = raw and kind_by_name(out) is None
    if raw and not wanted and kind_by_name(file) is not None:
        raise typer.BadParameter(f"{file} and {out} are no raw numbers by their names", param_hint="'--raw'")
    try:
        return kind_of_output(out, wanted)
    except UnknownEndingError as error:
        raise typer.BadParameter(str(error), param_hint="'-o' / '--out'") from None


class _Job:
    """One array on its way: what is written of it, and what the cast cost."""

    def __init__(self, stored: StoredArray, fmt: Format, rules: Profile, codes: bool, seed: int | None) -> None:
        self.stored, self.format, self.rules, self.codes, self.seed = stored, fmt, rules, codes, seed
        self.errors = Errors(fmt)
        nothing = np.empty(0, stored.dtype)
        try:
            values = None if codes else np.asarray(casting.cast(nothing, fmt, source=stored.format))
        except ValueError:
            raise typer.BadParameter(
                f"no float type holds every value of {fmt.name}: say --codes", param_hint="'-f' / '--format'"
            ) from None
        self.dtype: np.dtype[Any] = np.dtype(fmt.code_dtype) if values is None else values.dtype

    def outgoing(self, advance: Callable[[int], None]) -> Outgoing:
        """What is written: an array that has no name gets its file's."""
        name, fmt = self.stored.name or self.stored.path.stem, self.format if self.codes else None
        return Outgoing(name, self.stored.shape, self.dtype, self.pieces(advance), fmt)

    def pieces(self, advance: Callable[[int], None]) -> Iterator[NDArray[Any]]:
        """The results piece by piece; an element's random bits depend on its place in the array alone."""
        offset = 0
        convert = casting.encode if self.codes else casting.cast
        for piece in self.stored.chunks():
            source = self.stored.format
            random = streamed(self.rules.rounding, self.seed, offset)
            result = convert(piece, self.format, profile=self.rules, source=source, **random)
            yield result
            x = doubles(as_source(piece, source), limited=False)
            y = doubles(as_source(result, self.format if self.codes else None), limited=False)
            self.errors.update(x.values, y.values, more=difference(x, y))
            offset += piece.size
            advance(piece.size)

    def facts(self) -> dict[str, Any]:
        what = {"name": self.stored.name, "shape": self.stored.shape, "dtype": str(self.dtype)}
        return {**what, "inexact": self.errors.inexact, **self.errors.row().to_dict()}


def _print(out: Path, jobs: list[_Job]) -> None:
    screen = summary(out)
    first = jobs[0]
    what = f"{'codes' if first.codes else 'values'} of {first.format.name}"
    mode = rounding_word(first.rules.rounding) + ("" if first.seed is None else f", seed {first.seed}")
    screen.print(Text(f"{out}: {what}", "bold"), Text(f"profile {first.rules.name}, {mode}", "dim"), soft_wrap=True)
    lines: list[list[str]] = [["array", "", "inexact", *HEADER[1:]]]
    for job in jobs:
        row = job.errors.row()
        shape = " x ".join(map(str, job.stored.shape)) or "one number"
        name = shown(job.stored.name) if job.stored.name else "-"
        lines.append([name, f"{shape} {job.dtype}", str(job.errors.inexact), *row.cells()[1:]])
    print_table(screen, lines, texts=(0, 1))

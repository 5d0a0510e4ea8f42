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
    FileArgument,
    FileOptions,
    FormatOption,
    JsonOption,
    RuleOptions,
    SeedOption,
    formats_of,
    open_file,
    rounding_word,
    rule_facts,
    rules_of,
    seed_of,
)
from fpemu.cli.output import print_json, print_table, progress, summary, wrong_usage
from fpemu.files import UnknownEndingError, kind_by_name, kind_of_output
from fpemu.files.boundary import shown
from fpemu.files.data_files import Outgoing, StoredArray, metadata_of, write_arrays
from fpemu.formats import Format, Profile
from fpemu.reports import ERROR_COLUMNS, Errors

__all__ = ["cast"]


def cast(
    file: FileArgument,
    format: FormatOption,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="FILE", help=".npy, .npz, .safetensors, or raw.", show_default=False),
    ],
    codes: Annotated[bool, typer.Option("--codes", help="Write codes, not values.")] = False,
    *,
    rule_options: RuleOptions,
    seed: SeedOption = None,
    file_options: FileOptions,
    json: JsonOption = False,
) -> None:
    """Cast the arrays of a file to a format and write the values, or the codes, to another file.

    Files may be larger than memory. The output is written whole or not at all. The summary has the cost of the cast:
    overflow counts elements that became an infinity or NaN; errors are measured under saturation.

    For example:

        fpemu cast weights.npy -f float8_e4m3fn -o rounded.npy

        fpemu cast weights.npz -f bf16 --codes -o codes.npz

        fpemu cast codes.npy --dtype e4m3fn -f float32 -o values.npy

        fpemu cast model.safetensors -f bf16 --codes -o smaller.safetensors

        fpemu cast x.f32 --raw --dtype float32 --shape 128,256 -f e5m2 --rounding stochastic --seed 0 -o y.npy
    """
    (fmt,) = formats_of([format])
    rules = rules_of(fmt, *rule_options)
    seed = seed_of(seed, [rules])
    raw = file_options.raw
    kind = _output_kind(out, raw, file)
    arrays = open_file(file, file_options._replace(raw=raw and kind_by_name(file) is None))
    if not arrays:
        raise typer.BadParameter(f"{file} contains no arrays", param_hint="'FILE'")
    if len(arrays) != 1 and kind not in (".npz", ".safetensors"):
        raise typer.BadParameter(
            f"{file} has {len(arrays)} arrays: write an .npz or .safetensors file, or choose one with --member",
            param_hint="'-o' / '--out'",
        )
    metadata = metadata_of(file) if kind == ".safetensors" else {}
    jobs = [_ArrayCast(stored, fmt, rules, codes, seed) for stored in arrays]
    with progress(f"casting {file.name}", sum(stored.size for stored in arrays)) as advance:
        write_arrays(out, [job.outgoing(advance) for job in jobs], raw=raw and kind == "raw", metadata=metadata)
    if json:
        described = rule_facts(rules, seed)
        facts = {"file": str(out), "format": fmt.name, "codes": codes, **described, "arrays": [j.facts() for j in jobs]}
        print_json(facts, out)
    else:
        _print_summary(out, jobs)


def _output_kind(out: Path, raw: bool, file: Path) -> str:
    """The kind of the output file; --raw is wrong usage if neither file is raw."""
    is_raw = raw and kind_by_name(out) is None
    if raw and not is_raw and kind_by_name(file) is not None:
        raise typer.BadParameter(f"{file} and {out} are not raw files, by their names", param_hint="'--raw'")
    with wrong_usage("'-o' / '--out'", UnknownEndingError):
        return kind_of_output(out, is_raw)


class _ArrayCast:
    """The cast of one array: the results to write, and the errors so far."""

    def __init__(self, stored: StoredArray, fmt: Format, rules: Profile, codes: bool, seed: int | None) -> None:
        self.stored, self.format, self.rules, self.codes, self.seed = stored, fmt, rules, codes, seed
        self.errors = Errors(fmt)
        empty = np.empty(0, stored.dtype)
        try:
            values = None if codes else np.asarray(casting.cast(empty, fmt, source=stored.format))
        except ValueError:
            raise typer.BadParameter(
                f"no float type can represent every value of {fmt.name}: use --codes", param_hint="'-f' / '--format'"
            ) from None
        self.dtype: np.dtype[Any] = np.dtype(fmt.code_dtype) if values is None else values.dtype

    def outgoing(self, advance: Callable[[int], None]) -> Outgoing:
        """The array to write; if it has no name, its file's name is used."""
        name, fmt = self.stored.name or self.stored.path.stem, self.format if self.codes else None
        return Outgoing(name, self.stored.shape, self.dtype, self.chunks(advance), fmt)

    def chunks(self, advance: Callable[[int], None]) -> Iterator[NDArray[Any]]:
        """The results in chunks; an element's random bits depend only on its index in the array."""
        offset = 0
        convert = casting.encode if self.codes else casting.cast
        for chunk in self.stored.chunks():
            source = self.stored.format
            random = streamed(self.rules.rounding, self.seed, offset)
            result = convert(chunk, self.format, profile=self.rules, source=source, **random)
            yield result
            x = doubles(as_source(chunk, source), limited=False)
            y = doubles(as_source(result, self.format if self.codes else None), limited=False)
            self.errors.update(x.values, y.values, more=difference(x, y))
            offset += chunk.size
            advance(chunk.size)

    def facts(self) -> dict[str, Any]:
        array = {"name": self.stored.name, "shape": self.stored.shape, "dtype": str(self.dtype)}
        return {**array, "inexact": self.errors.inexact, **self.errors.row().to_dict()}


def _print_summary(out: Path, jobs: list[_ArrayCast]) -> None:
    screen = summary(out)
    first = jobs[0]
    contents = f"{'codes' if first.codes else 'values'} of {first.format.name}"
    mode = rounding_word(first.rules.rounding) + ("" if first.seed is None else f", seed {first.seed}")
    heading = Text(f"{out}: {contents}", "bold"), Text(f"profile {first.rules.name}, {mode}", "dim")
    screen.print(*heading, soft_wrap=True)
    lines: list[list[str]] = [["array", "", "inexact", *ERROR_COLUMNS[1:]]]
    for job in jobs:
        row = job.errors.row()
        shape = " x ".join(map(str, job.stored.shape)) or "one number"
        name = shown(job.stored.name) if job.stored.name else "-"
        lines.append([name, f"{shape} {job.dtype}", str(job.errors.inexact), *row.cells()[1:]])
    print_table(screen, lines, texts=(0, 1))

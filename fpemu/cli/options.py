"""Options that several commands have, and their parsing: wrong names and numbers are wrong usage."""

from __future__ import annotations

import re
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.text import Text

from fpemu.arithmetic import round_literal
from fpemu.cli.output import wrong_usage
from fpemu.files import UnknownEndingError, kind_of_input
from fpemu.files.boundary import line
from fpemu.files.data_files import StoredArray, element_type
from fpemu.files.saving import open_saved
from fpemu.formats import FLOAT64, IEEE, Format, Profile, profile
from fpemu.formats.facts.literals import Literal, is_code, read
from fpemu.formats.rules import Rounding, Stochastic, rounding_mode
from fpemu.kernels import columns
from fpemu.quantization.definition.scaled_format import ScaledFormat
from fpemu.quantization.definition.targets import format_or_scheme

__all__ = [
    "ClaimOptions",
    "FileArgument",
    "FileOptions",
    "FormatOption",
    "FormatsArgument",
    "FormatsOption",
    "JsonOption",
    "PlotOption",
    "ProfileOption",
    "RoundingOption",
    "RuleOptions",
    "SeedOption",
    "code",
    "float_number",
    "format_of_claim",
    "formats_of",
    "number",
    "open_file",
    "rounding_word",
    "rule_facts",
    "rules_of",
    "seed_of",
    "targets_of",
    "title",
]

_FORMAT = "A format's name."
FormatOption = Annotated[str, typer.Option("--format", "-f", metavar="FORMAT", help=_FORMAT, show_default=False)]
FormatsOption = Annotated[
    list[str] | None, typer.Option("--format", "-f", metavar="FORMAT", help=f"{_FORMAT} Repeatable.")
]
FormatsArgument = Annotated[list[str] | None, typer.Argument(metavar="FORMAT", help="Names of formats, like -f.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON; NaN and infinities are texts.")]
FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help=".npy, .npz, .safetensors, or raw numbers.", show_default=False)
]
ProfileOption = Annotated[
    str | None, typer.Option("--profile", help="Rules of the cast: ieee, torch, ml_dtypes, onnx, cuda-satfinite ...")
]
RoundingOption = Annotated[
    str | None,
    typer.Option("--rounding", help="Overrides the profile's: nearest_even, toward_zero, stochastic ..."),
]
OverflowOption = Annotated[
    str | None,
    typer.Option("--overflow", help="Overrides the profile's: standard, saturate, infinity, nan, wrap."),
]
format_of_claim = typer.Option(
    "--format", "-f", metavar="FORMAT", help="The format of operands and result; of a cast, the result's."
)
SeedOption = Annotated[int | None, typer.Option("--seed", min=0, help="Seed of stochastic rounding.")]
PlotOption = Annotated[
    Path | None, typer.Option("--plot", metavar="PICTURE", help="Draw a picture: a .png, .svg or .pdf file.")
]


class RuleOptions(NamedTuple):
    """Options for the rules of a cast or an operation."""

    rounding: RoundingOption = None
    overflow: OverflowOption = None
    profile: ProfileOption = None


class ClaimOptions(NamedTuple):
    """Options for a claim, besides its operation and its format."""

    source: Annotated[
        str | None, typer.Option("--from", metavar="FORMAT", help="A cast's source; default float32.")
    ] = None
    operands: Annotated[
        list[str] | None, typer.Option("--operand", metavar="FORMAT", help="An operand's format; repeat it for each.")
    ] = None
    rounding: RoundingOption = None
    overflow: OverflowOption = None
    profile: ProfileOption = None
    exact: Annotated[
        bool | None,
        typer.Option("--exact/--notexact", help="Conversions and round_to_integral: whether they raise inexact."),
    ] = None
    signaling: Annotated[
        bool | None, typer.Option("--signaling/--quiet", help="Comparisons: whether a quiet NaN raises invalid.")
    ] = None
    extremum: Annotated[
        str | None, typer.Option("--extremum", help="minimum, maximum: IEEE 754's of 2019 or 2008, x86's or Arm's.")
    ] = None

    @property
    def given(self) -> dict[str, Any]:
        """The options that were used, as arguments of `Claim.of`."""
        return {name: value for name, value in self._asdict().items() if value not in (None, [])}


class FileOptions(NamedTuple):
    """Options for reading the arrays of a file."""

    dtype: Annotated[
        str | None,
        typer.Option("--dtype", help="Type of the file's elements: a numpy dtype (raw files), or the format of codes."),
    ] = None
    shape: Annotated[str | None, typer.Option("--shape", metavar="N,N...", help="Shape of a raw file's array.")] = None
    raw: Annotated[
        bool, typer.Option("--raw", help="Files with unknown endings contain raw numbers, like .bin, .raw and .dat.")
    ] = False
    member: Annotated[
        str | None, typer.Option("--member", help="The name of the array to take from an .npz or .safetensors file.")
    ] = None


def formats_of(*names: list[str] | None) -> list[Format]:
    """The formats with these names; wrong names and scaled formats are wrong usage."""
    targets = targets_of(*names)
    for target in targets:
        if isinstance(target, ScaledFormat):
            text = f"{target} is a scaled format: `fpemu report` and `fpemu info` take them"
            raise typer.BadParameter(text, param_hint="'-f' / '--format'")
    return [target for target in targets if isinstance(target, Format)]


def targets_of(*names: list[str] | None) -> list[Format | ScaledFormat]:
    """The formats and scaled formats with these names; wrong names are wrong usage."""
    with wrong_usage("'-f' / '--format'"):
        return [format_or_scheme(name) for group in names for name in group or ()]


def rules_of(
    fmt: Format, rounding: str | None = None, overflow: str | None = None, name: str | Profile | None = None
) -> Profile:
    """The rules of a cast to a format, from the options; unknown or inapplicable rules are wrong usage."""
    with wrong_usage("'--profile', '--rounding', '--overflow'"):
        rules = fmt.profile if name is None else profile(name)
        if rounding is not None:
            rules = rules.replace(name=rules.name, rounding=rounding_mode(rounding))  # output shows it separately
        if overflow is not None:
            rules = rules.replace(overflow=overflow)
        fmt.check_profile(rules)
    return rules


def rounding_word(rounding: Rounding | Stochastic) -> str:
    """A rounding mode in words."""
    if isinstance(rounding, Stochastic):
        return f"stochastic {rounding.variant}, {rounding.bits} bit{'s' * (rounding.bits > 1)}"
    return rounding.value


def title(text: str, rules: Profile | None = None, seed: int | None = None) -> Text:
    """A heading in bold, followed by the profile, the rounding and the seed."""
    heading = Text.assemble((text, "bold"))
    if rules is not None:
        seeded = f", seed {seed}" if seed is not None and isinstance(rules.rounding, Stochastic) else ""
        heading.append(f"  profile {rules.name}, {rounding_word(rules.rounding)}{seeded}", "dim")
    return heading


def rule_facts(rules: Profile, seed: int | None) -> dict[str, Any]:
    """Profile, rounding and seed, for JSON."""
    return {"profile": rules.name, "rounding": rounding_word(rules.rounding), "seed": seed}


def seed_of(seed: int | None, rules: list[Profile]) -> int | None:
    """The seed of stochastic rounding, random by default; None if no rounding is stochastic."""
    if not any(isinstance(r.rounding, Stochastic) for r in rules):
        if seed is not None:
            raise typer.BadParameter("no rounding here is stochastic", param_hint="'--seed'")
        return None
    if seed is None:
        import secrets

        return secrets.randbits(32)
    return seed


def open_file(file: Path, options: FileOptions) -> list[StoredArray]:
    """The arrays of a file, read according to the options; warnings name the arrays that cannot be read."""
    dtype, shape, raw, member = options
    if dtype is not None:
        with wrong_usage("'--dtype'"):
            element_type(dtype)
    sizes = _parsed_shape(shape)
    with wrong_usage("'--raw'", UnknownEndingError):
        kind = kind_of_input(file, raw)
    if dtype is None and kind == "raw":
        raise typer.BadParameter(f"{file} is raw: specify its elements, --dtype float32", param_hint="'--dtype'")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", UserWarning)
        arrays = open_saved(file, dtype=dtype, shape=sizes, member=member, raw=raw)
    for warning in warned:
        sys.stderr.write(f"fpemu: warning: {line(str(warning.message))}\n")
    return arrays


def _parsed_shape(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(int(length) for length in re.split(r"[,x]", text.strip("() "))) if text.strip("() ") else ()
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a shape: write 128,256", param_hint="'--shape'") from None


def code(text: str) -> int:
    """Parse a code: 0x7E, 0b01111110, 126."""
    try:
        return int(text, 0)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not a code: write 0x7E, 0b1111110 or 126", param_hint="'VALUE'"
        ) from None


def number(text: str, hint: str = "'VALUE'") -> Literal:
    """Parse a number exactly; integers may be hexadecimal or binary."""
    plain = text.replace("\u2212", "-")
    with wrong_usage(hint):
        if is_code(plain):
            value = int(plain, 0)
            return Literal(columns.NUMBER, value < 0, abs(value)) if value else Literal(columns.ZERO, plain[0] == "-")
        return read(plain)


def float_number(text: str, hint: str, rounding: str = "nearest_even") -> float:
    """Parse a number and round it to float64."""
    return FLOAT64.value(round_literal(number(text, hint), FLOAT64, IEEE.replace(rounding=rounding_mode(rounding)))[0])

"""`fpemu audit`: hold an implementation to a claim, bit for bit."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from fpemu.cli.audit_recording import Wanted, replay
from fpemu.cli.options import (
    ExactOption,
    ExtremumOption,
    JsonOption,
    OverflowOption,
    ProfileOption,
    RoundingOption,
    SignalingOption,
)
from fpemu.cli.output import console, print_json, progress
from fpemu.files.boundary import line
from fpemu.verification import Claim, given_arguments
from fpemu.verification.audits import Recorded, function, library, program
from fpemu.verification.audits import audit as run_audit
from fpemu.verification.audits.recordings import is_recording
from fpemu.verification.vectors import generate, read
from fpemu.verification.vectors.layouts import LAYOUTS

__all__ = ["audit"]


def audit(
    operation: Annotated[
        str | None, typer.Argument(metavar="[OPERATION]", help="encode, add, fma, sqrt, less ...", show_default=False)
    ] = None,
    format: Annotated[
        str | None,
        typer.Option("--format", "-f", metavar="FORMAT", help="Of operands and result; of a cast the result's."),
    ] = None,
    program_line: Annotated[
        str | None, typer.Option("--program", metavar="COMMAND", help="It reads operands and answers, line by line.")
    ] = None,
    python: Annotated[
        str | None, typer.Option("--python", metavar="MODULE:FUNCTION", help="A function of arrays.")
    ] = None,
    shared: Annotated[
        str | None, typer.Option("--library", metavar="PATH:SYMBOL", help="A function of a shared library.")
    ] = None,
    answers: Annotated[
        Path | None,
        typer.Option("--recorded", metavar="FILE", help="Answers recorded: a file of vectors, or of a device's."),
    ] = None,
    item: Annotated[
        str | None,
        typer.Option("--item", metavar="NAME", help="One of what a device was asked, as the table names it."),
    ] = None,
    source: Annotated[
        str | None, typer.Option("--from", metavar="FORMAT", help="A cast's source; default float32.")
    ] = None,
    operands: Annotated[
        list[str] | None, typer.Option("--operand", metavar="FORMAT", help="An operand's format, for each of them.")
    ] = None,
    rounding: RoundingOption = None,
    overflow: OverflowOption = None,
    profile: ProfileOption = None,
    exact: ExactOption = None,
    signaling: SignalingOption = None,
    extremum: ExtremumOption = None,
    flags: Annotated[bool, typer.Option("--flags", help="Audit flags too, in TestFloat's numbering.")] = False,
    exact_nan: Annotated[bool, typer.Option("--exact-nan", help="Compare the codes of NaN too.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Up to so many inputs all are tried.")] = 1 << 20,
    random: Annotated[int, typer.Option("--random", min=0, help="Random inputs beside the chosen ones.")] = 100_000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the inputs.")] = 0,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Ask so many at once.")] = 1,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds for an answer to a batch.")] = 60.0,
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="FILE", help="Keep the audit there, and go on from there.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Hold an implementation to a claim, bit for bit; where it fails, name the rules that it follows instead.

    The implementation is a program (--program), a Python function (--python) or a function of a shared library
    (--library); or answers that were recorded (--recorded) in a file of vectors, or on a machine with a GPU by the
    script that fpemu probe writes: such files say themselves what they are. All of them take and give codes; a Python
    function for encode takes values. Ends with status 0 where everything is right, else with 1.

    For example:

        fpemu audit encode -f bfloat16 --program "python3 my_converter.py"

        fpemu audit add -f float8_e4m3fn --python mymodule:add --rounding toward_zero

        fpemu audit --recorded recording.probe --profile torch
    """
    if sum(each is not None for each in (program_line, python, shared, answers)) != 1:
        raise typer.BadParameter("say one of --program, --python, --library, --recorded", param_hint="'--program'")
    if operation is None and answers is None:
        raise typer.BadParameter("say what it computes: fpemu audit add -f float16 ...", param_hint="OPERATION")
    how: dict[str, Any] = {"source": source, "operands": operands or None, "rounding": rounding, "profile": profile}
    if overflow is not None:
        how["overflow"] = overflow
    own = given_arguments(exact=exact, signaling=signaling, extremum=extremum)
    how |= own
    if answers is not None and is_recording(answers):
        if flags or resume is not None or operands or own:
            options = "--flags, --resume, --operand, --exact, --signaling, --extremum"
            raise typer.BadParameter(f"a device's recording has no use for {options}")
        wanted = Wanted(item, operation, format, source)
        rules = {key: how[key] for key in ("rounding", "profile", "overflow") if how.get(key) is not None}
        if not replay(answers, wanted, rules, "exact" if exact_nan else "class", json):
            raise typer.Exit(1)
        return
    if item is not None:
        raise typer.BadParameter("only a device's recording has items", param_hint="'--item'")
    try:
        claim = None if operation is None else Claim.of(operation, format, **how)
    except (ValueError, TypeError) as wrong:
        raise typer.BadParameter(str(wrong), param_hint="OPERATION, '--format' and the rules") from None
    subject = _recorded(answers, claim) if answers is not None else _subject(program_line, python, shared, timeout)
    total = None
    if claim is not None and answers is None:
        inputs = generate(claim, limit=limit, random=random, seed=seed)
        total = inputs.count if inputs.exhaustive else None
    with progress(f"audit of {subject.name}", total) as advance:
        done = 0

        def shown(checked: int, _: int | None) -> None:
            nonlocal done
            advance(checked - done)
            done = checked

        found = run_audit(
            subject,
            operation,
            format,
            **how,
            flags=flags,
            nan="exact" if exact_nan else "class",
            limit=limit,
            random=random,
            seed=seed,
            threads=threads,
            resume=resume,
            progress=shown,
        )
    if json:
        print_json(found.to_dict())
    else:
        console().print(str(found), soft_wrap=True, markup=False)
    if not found.passed:
        raise typer.Exit(1)


def _recorded(path: Path, claim: Claim | None) -> Recorded:
    found = read(path, claim=claim if path.suffix in LAYOUTS["testfloat"].suffixes else None)
    return Recorded(str(path), found, found.claim)


def _subject(command: str | None, python: str | None, shared: str | None, timeout: float) -> Any:
    if command is not None:
        try:
            return program(command, timeout)
        except ValueError as wrong:  # quotes without an end
            raise typer.BadParameter(str(wrong), param_hint="'--program'") from None
    given = python or shared or ""
    path, found, name = given.rpartition(":")
    if not (path and found and name):
        option = "--python" if python is not None else "--library"
        raise typer.BadParameter(
            f"{given!r}: write {'MODULE:FUNCTION' if python else 'PATH:SYMBOL'}", param_hint=option
        )
    if shared is not None:
        return library(path, name, timeout)
    sys.path.insert(0, os.getcwd())
    try:
        return function(getattr(importlib.import_module(path), name), timeout)
    except (ImportError, AttributeError, TypeError) as wrong:
        raise typer.BadParameter(str(wrong), param_hint="'--python'") from None
    except (Exception, SystemExit) as wrong:  # the module's own: it must not end the command as if all were right
        text = line(f"{type(wrong).__name__}: {wrong}").removesuffix(":")
        raise typer.BadParameter(f"importing {path} raised {text}", param_hint="'--python'") from None

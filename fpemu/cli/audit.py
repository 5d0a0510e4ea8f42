"""`fpemu audit`: compare an implementation with a claim, bit for bit."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from fpemu.cli.audit_recording import Selection, audit_recording
from fpemu.cli.options import ClaimOptions, JsonOption, format_of_claim
from fpemu.cli.output import console, print_json, progress, wrong_usage
from fpemu.files.boundary import line
from fpemu.verification import Claim, audits
from fpemu.verification.audits import Recorded, function, library, program
from fpemu.verification.audits.recordings import is_recording
from fpemu.verification.vectors import generate, read
from fpemu.verification.vectors.layouts import LAYOUTS

__all__ = ["audit"]


def audit(
    operation: Annotated[
        str | None, typer.Argument(metavar="[OPERATION]", help="encode, add, fma, sqrt, less ...", show_default=False)
    ] = None,
    format: Annotated[str | None, format_of_claim] = None,
    program_line: Annotated[
        str | None,
        typer.Option("--program", metavar="COMMAND", help="A program that reads operands and prints results."),
    ] = None,
    python: Annotated[
        str | None, typer.Option("--python", metavar="MODULE:FUNCTION", help="A Python function of arrays.")
    ] = None,
    shared: Annotated[
        str | None, typer.Option("--library", metavar="PATH:SYMBOL", help="A function of a shared library.")
    ] = None,
    answers: Annotated[
        Path | None,
        typer.Option("--recorded", metavar="FILE", help="Recorded results: a vector file, or a device's recording."),
    ] = None,
    item: Annotated[
        str | None,
        typer.Option("--item", metavar="NAME", help="The name of the one item to take from a device's recording."),
    ] = None,
    *,
    claim_options: ClaimOptions,
    flags: Annotated[bool, typer.Option("--flags", help="Audit flags too, in TestFloat's numbering.")] = False,
    exact_nan: Annotated[bool, typer.Option("--exact-nan", help="Compare the codes of NaN too.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Try all inputs if there are no more than this.")] = 1
    << 20,
    random: Annotated[int, typer.Option("--random", min=0, help="Random inputs, after the chosen ones.")] = 100_000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the inputs.")] = 0,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Number of concurrent calls.")] = 1,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, help="Seconds to wait for a batch of results.")
    ] = 60.0,
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="FILE", help="Save the audit in this file, and resume from it.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Compare an implementation with a claim, bit for bit; if it fails, find the rules that it follows instead.

    The implementation is a program (--program), a Python function (--python) or a function of a shared library
    (--library). Or its results were recorded (--recorded), in a file of vectors, or on a machine with a GPU by the
    script that fpemu probe writes; such files contain the names of their operations. Operands and results are codes;
    only a Python function for encode takes values. The exit status is 0 if all results are right, else 1.

    For example:

        fpemu audit encode -f bfloat16 --program "python3 my_converter.py"

        fpemu audit add -f float8_e4m3fn --python mymodule:add --rounding toward_zero

        fpemu audit --recorded recording.probe --profile torch
    """
    if sum(option is not None for option in (program_line, python, shared, answers)) != 1:
        raise typer.BadParameter("specify one of --program, --python, --library, --recorded", param_hint="'--program'")
    if operation is None and answers is None:
        raise typer.BadParameter("specify the operation: fpemu audit add -f float16 ...", param_hint="OPERATION")
    arguments = claim_options.given
    nan = "exact" if exact_nan else "class"
    if answers is not None and is_recording(answers):
        if flags or resume is not None or arguments.keys() & {"operands", "exact", "signaling", "extremum"}:
            options = "--flags, --resume, --operand, --exact, --signaling, --extremum"
            raise typer.BadParameter(f"these options do not apply to a device's recording: {options}")
        rules: dict[str, Any] = {k: arguments[k] for k in ("rounding", "profile", "overflow") if k in arguments}
        selection = Selection(item, operation, format, claim_options.source)
        passed = audit_recording(answers, selection, rules, nan, json)
    else:
        if item is not None:
            raise typer.BadParameter("only a device's recording has items", param_hint="'--item'")
        with wrong_usage("OPERATION, '--format' and the rules"):
            claim = None if operation is None else Claim.of(operation, format, **arguments)
        subject = _recorded(answers, claim) if answers is not None else _subject(program_line, python, shared, timeout)
        inputs: dict[str, Any] = {"limit": limit, "random": random, "seed": seed}
        settings = {"operation": operation, "format": format, **arguments, "flags": flags, "nan": nan}
        settings |= {"threads": threads, "resume": resume}
        passed = _print_audit(_audit(subject, claim, inputs, settings), json)
    if not passed:
        raise typer.Exit(1)


def _audit(subject: Any, claim: Claim | None, inputs: dict[str, Any], settings: dict[str, Any]) -> audits.Audit:
    """Run an audit with a progress bar."""
    total = None
    if claim is not None and not isinstance(subject, Recorded):
        vectors = generate(claim, **inputs)
        total = vectors.count if vectors.exhaustive else None
    with progress(f"audit of {subject.name}", total) as advance:
        done = 0

        def shown(checked: int, _: int | None) -> None:
            nonlocal done
            advance(checked - done)
            done = checked

        return audits.audit(subject, **inputs, **settings, progress=shown)


def _print_audit(audit: audits.Audit, json: bool) -> bool:
    """Print an audit and return whether it passed."""
    if json:
        print_json(audit.to_dict())
    else:
        console().print(str(audit), soft_wrap=True, markup=False)
    return audit.passed


def _recorded(path: Path, claim: Claim | None) -> Recorded:
    vectors = read(path, claim=claim if path.suffix in LAYOUTS["testfloat"].suffixes else None)
    return Recorded(str(path), vectors, vectors.claim)


def _subject(command: str | None, python: str | None, shared: str | None, timeout: float) -> Any:
    if command is not None:
        with wrong_usage("'--program'"):  # an unclosed quote
            return program(command, timeout)
    text = python or shared or ""
    path, _, name = text.rpartition(":")
    if not (path and name):
        option = "--python" if python is not None else "--library"
        raise typer.BadParameter(f"{text!r}: write {'MODULE:FUNCTION' if python else 'PATH:SYMBOL'}", param_hint=option)
    if shared is not None:
        return library(path, name, timeout)
    sys.path.insert(0, os.getcwd())
    try:
        return function(getattr(importlib.import_module(path), name), timeout)
    except (ImportError, AttributeError, TypeError) as wrong:
        raise typer.BadParameter(str(wrong), param_hint="'--python'") from None
    except (Exception, SystemExit) as wrong:  # from the module; its SystemExit must not end this command with status 0
        problem = line(f"{type(wrong).__name__}: {wrong}").removesuffix(":")
        raise typer.BadParameter(f"importing {path} raised {problem}", param_hint="'--python'") from None

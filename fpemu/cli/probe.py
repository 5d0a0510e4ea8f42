"""`fpemu probe`: a script that records the results of a device."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fpemu.cli.options import FormatsOption, JsonOption
from fpemu.cli.output import print_json, progress, summary, wrong_usage
from fpemu.verification.audits import probe_script

__all__ = ["probe"]


def probe(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The script to write.", show_default=False)
    ],
    format: FormatsOption = None,
    operation: Annotated[
        list[str] | None,
        typer.Option("--operation", metavar="OPERATION", help="cast, add, fma, exp ... Repeatable."),
    ] = None,
    per_cell: Annotated[int, typer.Option("--per-cell", min=0, help="Inputs for each cell.")] = 2,
    random: Annotated[int, typer.Option("--random", min=0, help="Random inputs, after the cells.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the inputs.")] = 0,
    json: JsonOption = False,
) -> None:
    """Write a script that runs casts and operations on a GPU, with torch, and records the results.

    The script contains its inputs and needs only Python 3.9 and torch. It writes a recording, which fpemu audit
    --recorded checks on any machine. Without -f and --operation, it runs everything that torch and fpemu both have; -f
    selects casts by their narrower format.

    For example:

        fpemu probe -o probe.py -f float8_e4m3fn --operation cast

    Then, on the machine with the device:

        python probe.py -o recording.probe

    And anywhere:

        fpemu audit --recorded recording.probe --profile torch
    """
    with wrong_usage("'--format', '--operation'"):
        plan = probe_script.ProbePlan(format, operation)
    with progress("generating inputs", len(plan.claims)) as advance:
        inputs = {"per_cell": per_cell, "random": random, "seed": seed}
        names = probe_script.probe(output, format, operation, **inputs, progress=advance)
    if json:
        print_json({"script": str(output), "items": names}, output)
    else:
        out = summary(output)
        out.print(
            f"{output}: records {len(names)} casts and operations ({output.stat().st_size:,} bytes)", soft_wrap=True
        )
        out.print(f"where the device is:  python {output.name} -o recording.probe", soft_wrap=True)
        out.print("then anywhere:        fpemu audit --recorded recording.probe", soft_wrap=True)

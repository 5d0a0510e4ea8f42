"""`fpemu doctor`: what this machine is, and whether it computes right."""

from __future__ import annotations

from typing import Any

import typer
from rich.text import Text

from fpemu.cli.options import JsonOption
from fpemu.cli.output import console, print_json
from fpemu.verification import machine as diagnosis

__all__ = ["doctor"]

WIDTH = 10  # of the first column


def doctor(json: JsonOption = False) -> None:
    """Print versions, the kernels' cache, threads, the FPU's modes, and check casts and operations by digest.

    The digests are the same on every machine. Exit 0: all are right; 1: something is not.

    For example:

        fpemu doctor

        fpemu doctor --json
    """
    facts: dict[str, Any] = {"versions": diagnosis.versions()}
    cache, (threads, cpus) = _cache(), diagnosis.thread_counts()
    facts |= {"cache": cache, "threads": threads, "cpus": cpus, "fpu": diagnosis.fpu_modes()}
    out = console()
    if not json:
        for name, version in facts["versions"].items():
            _line(out, name, version)
        _line(out, "cache", _cache_words(cache))
        _line(out, "threads", f"{threads}, of {cpus} CPUs")
        _line(out, "FPU", ", ".join(facts["fpu"]))
    found = []
    for check in diagnosis.checks():  # each is printed when it is done: a cold cache takes a minute
        found.append(check._asdict())
        if not json:
            _line(out, "right" if check.problem is None else "WRONG", f"{check.name}, {check.results:,} results")
            if check.problem is not None:
                _line(out, "", check.problem)
    wrong = [check["name"] for check in found if check["problem"] is not None]
    if json:
        print_json({**facts, "checks": found, "right": not wrong})
    elif wrong:
        _line(out, "", f"Not all is right: {', '.join(wrong)}. Please report this, with all that stands above.")
    else:
        _line(out, "", "All is right.")
    if wrong:
        raise typer.Exit(1)


def _line(out: Any, name: str, words: str) -> None:
    out.print(Text(f"{name:{WIDTH}}{words}"), soft_wrap=True)


def _cache() -> dict[str, Any]:
    """The cache's facts; where the kernels cannot even be loaded, the reason."""
    try:
        found = diagnosis.kernel_cache()
    except ImportError as error:
        return {"folder": None, "problem": str(error)}
    folder = None if found.folder is None else str(found.folder)
    return {"folder": folder, "kernels": found.kernels, "bytes": found.size}


def _cache_words(cache: dict[str, Any]) -> str:
    if "problem" in cache:
        return f"none: {cache['problem']}"
    if cache["folder"] is None:
        return "none: no folder can be written, every process compiles"
    return f"{cache['folder']}: {cache['kernels']} kernels, {cache['bytes'] / 1e6:.1f} MB"

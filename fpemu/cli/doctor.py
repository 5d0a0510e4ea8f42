"""`fpemu doctor`: the machine and its settings, and whether its results are right."""

from __future__ import annotations

from typing import Any

import typer
from rich.text import Text

from fpemu.cli.options import JsonOption
from fpemu.cli.output import console, print_json
from fpemu.verification import machine

__all__ = ["doctor"]

NAME_WIDTH = 10  # columns for the names


def doctor(json: JsonOption = False) -> None:
    """Print versions, the kernels' cache, threads and the FPU's modes; check casts and operations by their digests.

    The digests are the same on every machine. The exit status is 0 if all are right, else 1.

    For example:

        fpemu doctor

        fpemu doctor --json
    """
    facts: dict[str, Any] = {"versions": machine.versions()}
    cache, (threads, cpus) = _cache(), machine.thread_counts()
    facts |= {"cache": cache, "threads": threads, "cpus": cpus, "fpu": machine.fpu_modes()}
    out = console()
    if not json:
        for name, version in facts["versions"].items():
            _print_line(out, name, version)
        _print_line(out, "cache", _cache_words(cache))
        _print_line(out, "threads", f"{threads}, of {cpus} CPUs")
        _print_line(out, "FPU", ", ".join(facts["fpu"]))
    results = []
    for check in machine.checks():  # printed one by one, as with a cold cache one takes a minute
        results.append(check._asdict())
        if not json:
            _print_line(out, "right" if check.problem is None else "WRONG", f"{check.name}, {check.results:,} results")
            if check.problem is not None:
                _print_line(out, "", check.problem)
    wrong = [check["name"] for check in results if check["problem"] is not None]
    if json:
        print_json({**facts, "checks": results, "right": not wrong})
    elif wrong:
        _print_line(out, "", f"Some results are wrong: {', '.join(wrong)}. Please report this with the output above.")
    else:
        _print_line(out, "", "All results are right.")
    if wrong:
        raise typer.Exit(1)


def _print_line(out: Any, name: str, words: str) -> None:
    out.print(Text(f"{name:{NAME_WIDTH}}{words}"), soft_wrap=True)


def _cache() -> dict[str, Any]:
    """The cache's folder and size, or the reason why the kernels cannot be loaded."""
    try:
        cache = machine.kernel_cache()
    except ImportError as error:
        return {"folder": None, "problem": str(error)}
    folder = None if cache.folder is None else str(cache.folder)
    return {"folder": folder, "kernels": cache.kernels, "bytes": cache.size}


def _cache_words(cache: dict[str, Any]) -> str:
    if "problem" in cache:
        return f"none: {cache['problem']}"
    if cache["folder"] is None:
        return "none: no folder is writable, every process compiles"
    return f"{cache['folder']}: {cache['kernels']} kernels, {cache['bytes'] / 1e6:.1f} MB"

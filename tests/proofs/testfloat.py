"""Berkeley TestFloat's `testfloat_gen`, compared with fpemu: ``python -m tests.proofs.testfloat DIR``.

DIR holds `testfloat_gen`, or folders that do, one for each of SoftFloat's specializations: 8086-SSE, ARM-VFPv2, RISCV.
Which convention of NaN a program has is found by asking it.  https://github.com/ucb-bar/berkeley-testfloat-3
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import fpemu as fe
from fpemu.verification.claims import Claim
from fpemu.verification.vectors.layouts import LAYOUTS, fields_of

PROGRAM = "testfloat_gen"
CONVENTIONS = ("riscv", "arm", "x86-sse")
FLOATS = {"f16": "float16", "f32": "float32", "f64": "float64"}
INTEGERS = {"ui32": "uint32", "ui64": "uint64", "i32": "int32", "i64": "int64"}
FORMATS = {**FLOATS, **INTEGERS, "bf16": "bfloat16"}
ROUNDINGS = {
    "near_even": "nearest_even",
    "near_maxMag": "nearest_away",
    "minMag": "toward_zero",
    "min": "toward_negative",
    "max": "toward_positive",
    "odd": "to_odd",
}
OPERATIONS = {
    **{"add": "add", "sub": "subtract", "mul": "multiply", "div": "divide", "rem": "ieee_remainder"},
    **{"sqrt": "sqrt", "mulAdd": "fma"},
}
COMPARISONS = {
    **{"eq": ("equal", False), "le": ("less_equal", True), "lt": ("less", True)},
    **{"eq_signaling": ("equal", True), "le_quiet": ("less_equal", False), "lt_quiet": ("less", False)},
}
# SoftFloat 3e shifts payloads of NaN between bfloat16 and float32 by 56 bits, for 57: 8086-SSE/s_bf16UIToCommonNaN.c,
# s_commonNaNToBF16UI.c.  FFB7 becomes FFDB8000.  There NaN are left out.
WRONG_NAN = ("x86-sse", ("bf16_to_f32", "f32_to_bf16"))
EXACT = {False: "-notexact", True: "-exact"}
LINES = 50_000  # of a run; at level 1 all but fused multiply-adds have fewer
AT_ONCE = 1 << 14


class Run(NamedTuple):
    """One run of the program: its arguments, and its claim."""

    words: tuple[str, ...]
    claim: Claim


class Result(NamedTuple):
    """The number of vectors in a run, the number that differ, and the first that differs."""

    count: int
    different: int
    first: str


def functions() -> list[str]:
    """The names of all functions of formats that fpemu has."""
    casts = [f"{x}_to_{y}" for x in (*INTEGERS, *FLOATS) for y in FLOATS if x != y]
    casts += [f"{x}_to_{y}" for x in FLOATS for y in INTEGERS]
    own = [f"{x}_{name}" for x in FLOATS for name in (*OPERATIONS, "roundToInt", *COMPARISONS)]
    return [*casts, "bf16_to_f32", "f32_to_bf16", *own]


def runs(function: str, convention: str) -> Iterator[Run]:
    """The runs of a function: each rounding and each tininess; for roundings to integers, with and without inexact."""
    source, _, name = function.partition("_")
    rules = fe.profile(convention)
    if name in COMPARISONS:
        operation, signaling = COMPARISONS[name]
        yield Run((function,), Claim.of(operation, FORMATS[source], profile=rules, signaling=signaling))
        return
    target = name.removeprefix("to_")
    whole = name == "roundToInt" or target in INTEGERS
    for word, rounding in ROUNDINGS.items():
        for tininess in ("after", "before"):
            if tininess == "before" and whole:
                continue
            for exact in (False, True) if whole else (None,):
                words = (f"-r{word}", f"-tininess{tininess}", *(() if exact is None else (EXACT[exact],)))
                how: dict[str, Any] = {"profile": rules.replace(rounding=rounding, tininess=tininess)}
                if exact is not None:
                    how["exact"] = exact
                if name in OPERATIONS:
                    claim = Claim.of(OPERATIONS[name], FORMATS[source], **how)
                elif name == "roundToInt":
                    claim = Claim.of("round_to_integral", FORMATS[source], **how)
                else:
                    claim = Claim.of("convert", FORMATS[target], source=FORMATS[source], **how)
                yield Run((*words, function), claim)


def vectors(program: Path, run: Run, lines: int, seed: int) -> Iterator[list[Any]]:
    """The columns of the program's first lines; a ValueError if one is malformed."""
    line = LAYOUTS["testfloat"].line(fields_of(run.claim, True))
    command = [str(program), "-seed", str(seed), *run.words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        while lines > 0 and (text := process.stdout.read(min(lines, AT_ONCE) * line.length)):
            if len(text) % line.length:
                raise ValueError(f"{' '.join(command)}: {text[-80:]!r}: lines of {line.length} characters are expected")
            table = np.frombuffer(text, np.uint8).reshape(-1, line.length)
            columns, right, problem = line.read(table)
            if right < len(table):
                raise ValueError(f"{' '.join(command)}: {table[right].tobytes()!r}: {problem}")
            lines -= len(table)
            yield columns
        ended = lines > 0
        if not ended:
            process.kill()
        said = process.stderr.read().decode(errors="replace").strip()
    if ended and process.returncode:
        raise ValueError(f"{' '.join(command)} ended with status {process.returncode}: {said[:200]}")


def compared(program: Path, run: Run, lines: int, seed: int, numbers: bool = False) -> Result:
    """Compare a run with its claim, results and flags; `numbers`: only operands that are not NaN."""
    count, different, first = 0, 0, ""
    arity = run.claim.arity
    for columns in vectors(program, run, lines, seed):
        if numbers:
            kept = ~fe.is_nan(fe.Array.from_codes(columns[0], run.claim.operands[0]))
            columns = [column[kept] for column in columns]
        codes, flags = run.claim.answer_with_flags(*columns[:arity])
        wrong = np.flatnonzero((codes != columns[arity]) | (flags != columns[arity + 1]))
        if wrong.size and not different:
            place = wrong[0]
            told = " ".join(f"{int(column[place]):X}" for column in columns)
            first = f"{told}, but fpemu says {int(codes[place]):X} {int(flags[place]):02X}"
        count += columns[0].size
        different += wrong.size
    return Result(count, different, first)


def convention_of(program: Path) -> str:
    """The convention for NaN of a program: the one that agrees with its square roots and sums of float16."""
    for convention in CONVENTIONS:
        asked = [next(runs(f"f16_{name}", convention)) for name in ("sqrt", "add")]
        if not any(compared(program, run, LINES, 1).different for run in asked):
            return convention
    raise ValueError(f"{program}: its NaN are by none of the conventions {', '.join(CONVENTIONS)}")


def programs(folder: Path) -> list[Path]:
    """The programs in a folder and in the folders in it."""
    return [path for path in (folder / PROGRAM, *sorted(folder.glob(f"*/{PROGRAM}"))) if path.is_file()]


def check(program: Path, lines: int, seed: int, only: list[str] | None = None) -> tuple[int, int]:
    """Check a whole program; print for each function the number of vectors and the number that differ."""
    convention = convention_of(program)
    print(f"{program}: NaN as {convention}", flush=True)
    total, wrong = 0, 0
    for function in only or functions():
        if "bf16" in function and not _has(program, function):
            print(f"  {function}: not in this program")
            continue
        numbers = convention == WRONG_NAN[0] and function in WRONG_NAN[1]
        found = [compared(program, run, lines, seed, numbers) for run in runs(function, convention)]
        count, different = sum(each.count for each in found), sum(each.different for each in found)
        if not count:
            raise ValueError(f"{program}: no vectors of {function}")
        but = "; without NaN, which SoftFloat shifts wrongly" if numbers else ""
        print(f"  {function}: {len(found)} runs, {count:,} vectors, {different:,} differ{but}", flush=True)
        for each in found:
            if each.different:
                print(f"    {each.first}")
        total, wrong = total + count, wrong + different
    return total, wrong


def _has(program: Path, function: str) -> bool:
    """Whether a program has a function; the functions of bfloat16 are optional when it is built."""
    said = subprocess.run([program, "-n", "0", function], capture_output=True, text=True, check=False).stderr
    return "Invalid argument" not in said


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.proofs.testfloat", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help=f"holds {PROGRAM}, or folders that do")
    parser.add_argument("--lines", type=int, default=LINES, help="vectors of a run, at most (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--function", action="append", choices=functions(), help="only this one; can be given again")
    given = parser.parse_args(words)
    found = programs(given.folder)
    if not found:
        print(f"skipped: there is no {PROGRAM} in {given.folder}, nor in folders in it")
        return 0
    start = time.process_time()
    total, wrong = 0, 0
    for program in found:
        count, different = check(program, given.lines, given.seed, given.function)
        total, wrong = total + count, wrong + different
    minutes = (time.process_time() - start) / 60
    print(f"{len(found)} programs, {total:,} vectors, {wrong:,} differ; {minutes:.1f} CPU minutes of fpemu's")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

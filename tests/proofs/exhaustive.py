"""Everything that the gate's tests take slices of, whole: ``python -m tests.proofs.exhaustive``.

Every format to 16 bits x every rounding and overflow x all float16 and bfloat16 sources, through the general kernel
and the fast loops, codes and values; every other knob; every code to every format; every tie.  And
``python -m tests.proofs.exhaustive float32``: all 2^32 float32 against ml_dtypes and numpy; and ``python -m
tests.proofs.exhaustive arithmetic``: every pair and every operand of narrow formats
(`tests/proofs/exhaustive_arithmetic.py`); ``... native``: float32 to float64 and back by the CPU
(`tests/proofs/exhaustive_native.py`).

The work comes in units.  Each that is done is a line of the state file, so that a run that was interrupted goes on
where it stopped; a change to the package or to the specification starts anew.  The results go to
docs/explanation/proof.md.
"""

from __future__ import annotations

import argparse
import fnmatch
import functools
import hashlib
import itertools
import json
import multiprocessing
import platform
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np

import fpemu as fe
from tests.cases import grids, number_sources
from tests.oracle import spec
from tests.oracle.compare import DETERMINISTIC, MODES, STOCHASTIC, DifferenceError, profile, set_of_sources
from tests.proofs import exhaustive_arithmetic, exhaustive_native, proof

P3109_BITS = range(3, 11)
CHUNK = 1 << 26  # float32 inputs in a unit
AGAINST = {
    "float8_e4m3fn": "ml_dtypes",
    "float8_e5m2": "ml_dtypes",
    "bfloat16": "ml_dtypes",
    "float16": "numpy",
}
WITH = ["nearest_even", "toward_zero", "toward_negative", STOCHASTIC[0]]  # beside every value of the other knobs


def compare(actual, expected, what):
    """The number of elements, all equal; else DifferenceError says where they are not."""
    wrong = np.nonzero(np.asarray(actual).astype(expected.dtype, copy=False) != expected)[0]
    if wrong.size:
        first = ", ".join(f"[{i}] {actual[i]} for {expected[i]}" for i in wrong[:5].tolist())
        raise DifferenceError(f"{what}: {wrong.size} of {expected.size} differ: {first}")
    return expected.size


@functools.cache
def formats():
    """Every format to 16 bits that is registered, odd, or P3109's with up to 10 bits, by name."""
    found = [*fe.dtypes(), *grids.ODD_FORMATS, *itertools.chain(*map(grids.p3109, P3109_BITS))]
    return {fmt.name: fmt for fmt in found if fmt.bits <= 16}


@functools.cache
def widened(name, dtype):
    """A set of sources in a wider type, which holds them."""
    with np.errstate(invalid="ignore"):  # signalling NaNs
        return getattr(number_sources, name)().astype(dtype)


def value_bits(codes, fmt):
    """The float32 bits that values of codes have, NaNs made one."""
    found, places = np.unique(codes, return_inverse=True)
    values = [spec.as_float(spec.decode(code, fmt)) for code in found.tolist()]
    return one_nan(np.array(values, np.float32))[places]


def one_nan(values):
    """Bits of float32 values, every NaN's the same."""
    return np.where(np.isnan(values), np.uint32(0x7FC00000), values.view(np.uint32))


def held_by_float32(fmt):
    try:
        return fe.cast(np.zeros(1, np.float32), fmt).dtype == np.float32
    except ValueError:
        return False


def rounding_and_overflow(name):
    """All float16 and bfloat16 under each rounding and overflow; as float32 and float64 too, and as values."""
    fmt, count = formats()[name], 0
    modes = DETERMINISTIC if fmt.kind == "table" else MODES
    values = held_by_float32(fmt)
    for source, mode in itertools.product(("float16", "bfloat16"), modes):
        up = random = None
        for word in grids.KNOBS["overflow"]:
            rules = profile(fmt, rounding=mode, overflow=word)
            if rules is None:
                continue
            known = set_of_sources(source, fmt).known(rules)
            if isinstance(mode, fe.Stochastic) and up is None:
                random = number_sources.random_bits(known.index.size, mode.bits, 1)
                up = spec.directions(known, spec.target(fmt, rules), random)
            codes = spec.encode(known, fmt, rules, up=up)
            what = f"{source} to {name}, {mode}, overflow={word}"
            for dtype in (source, "float32", "float64"):
                x = getattr(number_sources, source)() if dtype == source else widened(source, dtype)
                count += compare(fe.encode(x, fmt, profile=rules, random_bits=random), codes, f"{what}, as {dtype}")
            if values:
                cast = fe.cast(widened(source, "float32"), fmt, profile=rules, random_bits=random)
                count += compare(one_nan(cast), value_bits(codes, fmt), f"{what}, values")
    return count


def other_knobs(name):
    """All float16 and bfloat16 under every value of every other knob, four roundings; not in P3109 formats."""
    fmt, count = formats()[name], 0
    modes = WITH[:3] if fmt.kind == "table" else WITH
    for source, (knob, words), mode in itertools.product(("float16", "bfloat16"), grids.KNOBS.items(), modes):
        for word in words[1:] if knob != "overflow" else []:
            rules = profile(fmt, rounding=mode, **{knob: word})
            if rules is not None:
                known = set_of_sources(source, fmt).known(rules)
                random = None
                if isinstance(mode, fe.Stochastic):
                    random = number_sources.random_bits(known.index.size, mode.bits, 2)
                codes = spec.encode(known, fmt, rules, random)
                x = getattr(number_sources, source)()
                actual = fe.encode(x, fmt, profile=rules, random_bits=random)
                count += compare(actual, codes, f"{source} to {name}, {mode}, {knob}={word}")
    return count


def codes(name):
    """Every code: its value, itself again, and in every registered format to 16 bits."""
    fmt = formats()[name]
    every = np.arange(fmt.code_count).astype(fmt.code_dtype)
    numbers = [spec.decode(code, fmt) for code in every.tolist()]
    count = 0
    if fmt.name != "beyond_float64":
        values = np.array([spec.as_float(number) for number in numbers])
        if fmt.kind == "int":  # numpy's integers have no -0
            values = values + 0.0
        nan = np.isnan(values)
        decoded = fe.decode(every, fmt)
        with np.errstate(invalid="ignore"):
            decoded = decoded.astype(np.float64)
        if fmt.kind == "int":
            decoded = decoded + 0.0
        count += compare(np.where(nan, 1, decoded.view(np.uint64)), np.where(nan, 1, values.view(np.uint64)), name)
        count += compare(np.isnan(decoded), nan, f"{name}: NaN")
    targets = [other for other in fe.dtypes() if other.bits <= 16]
    for other, mode in itertools.product({*targets, fmt}, ("nearest_even", "toward_negative")):
        rules = profile(other, rounding=mode)
        actual = fe.encode(every, other, source=fmt, profile=rules)
        count += compare(actual, spec.encode(numbers, other, rules), f"codes of {name} to {other}, {mode}")
    return count


def ties(name):
    """Every midpoint and both its neighbours, as float64 and float32, under each rounding."""
    fmt, count = formats()[name], 0
    if fmt.kind == "table":
        return 0
    for dtype in (np.float64, np.float32):
        x = number_sources.midpoints(fmt, dtype)
        if x.size:
            known = spec.classify(spec.numbers(x), spec.target(fmt, profile(fmt)))
            for mode in DETERMINISTIC:
                rules = profile(fmt, rounding=mode)
                actual = fe.encode(x, fmt, profile=rules)
                count += compare(actual, spec.encode(known, fmt, rules), f"ties of {name} in {dtype.__name__}, {mode}")
    return count


def float32(name, start):
    """A run of float32 bit patterns: codes as ml_dtypes or numpy give them, NaNs' too, and values of those codes."""
    import ml_dtypes

    peer = np.dtype(getattr(ml_dtypes, name, name))
    rules = fe.profile(AGAINST[name])
    step = 1 << 20
    for first in range(start, start + CHUNK, step):
        x = np.arange(first, first + step, dtype=np.uint32).view(np.float32)
        with np.errstate(all="ignore"):
            expected = x.astype(peer).view(f"u{peer.itemsize}")
        actual = fe.encode(x, name, profile=rules)
        compare(actual, expected, f"float32 from {first:#x} to {name}")
        values = fe.cast(x, name, profile=rules)
        compare(one_nan(values), one_nan(fe.decode(actual, name)), f"float32 from {first:#x}: values of {name}")
    return CHUNK


PARTS = {
    "rounding and overflow": rounding_and_overflow,
    "other knobs": other_knobs,
    "codes": codes,
    "ties": ties,
}
EVERY_PART = {**PARTS, **exhaustive_arithmetic.PARTS, **exhaustive_native.PARTS}


def units(command):
    """The names of all units: "part/format", for float32 "float32/format/start"."""
    if command == "float32":
        return [f"float32/{name}/{start:#x}" for name in AGAINST for start in range(0, 1 << 32, CHUNK)]
    if command == "arithmetic":
        return exhaustive_arithmetic.units()
    if command == "native":
        return exhaustive_native.units()
    p3109 = {fmt.name for fmt in itertools.chain(*map(grids.p3109, P3109_BITS))}
    return [f"{part}/{name}" for part in PARTS for name in formats() if part != "other knobs" or name not in p3109]


def run(unit):
    """Carry out a unit: a record of what it found."""
    part, name, *start = unit.split("/")
    began, difference, count = time.process_time(), None, 0
    fe.set_num_threads(1)  # the processes are as many as the CPUs
    try:
        count = float32(name, int(start[0], 16)) if start else EVERY_PART[part](name)
    except DifferenceError as error:
        difference = str(error)
    seconds = round(time.process_time() - began, 2)
    return {"unit": unit, "count": count, "seconds": seconds, "difference": difference}


def inputs_digest(command):
    """A digest of all that a result depends on: the package, the specification, this file."""
    total = hashlib.sha256()
    names = ["proofs/exhaustive", "oracle/spec", "oracle/spec_values", "cases/number_sources", "cases/grids"]
    names += {
        "arithmetic": ["proofs/exhaustive_arithmetic", "oracle/spec_arithmetic", "oracle/mpfr"],
        "native": ["proofs/exhaustive_native"],
    }.get(command, [])
    tests = [proof.ROOT / "tests" / f"{name}.py" for name in names]
    for path in [
        *sorted((proof.ROOT / "fpemu").rglob("*.py")),
        *tests,
    ]:
        total.update(path.name.encode() + path.read_bytes())
    return total.hexdigest()[:16]


def recorded(path):
    """The records of a state file, by unit; a line that was cut off is left out."""
    done = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        done[record["unit"]] = record
    return done


def progress(records, total, already):
    """Pass records on while showing how far the work is."""
    try:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError:
        for number, record in enumerate(records, already + 1):
            print(f"{number} of {total}: {record['unit']}, {record['seconds']} s", flush=True)
            yield record
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns) as bar:
        task = bar.add_task("", total=total, completed=already)
        for record in records:
            bar.update(task, advance=1, description=record["unit"])
            yield record


def carry_out(chosen, state, jobs):
    """Run the units that the state file has not; the records of all."""
    state.parent.mkdir(parents=True, exist_ok=True)
    done = recorded(state)
    left = [unit for unit in chosen if unit not in done]
    known = {**formats(), **exhaustive_arithmetic.formats()}
    left.sort(key=lambda unit: -sum(known[n].bits for n in unit.split("/") if n in known))  # the longest first
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"))
    try:
        with state.open("a") as file:
            futures = as_completed([pool.submit(run, unit) for unit in left])
            for record in progress((future.result() for future in futures), len(chosen), len(chosen) - len(left)):
                done[record["unit"]] = record
                if record["difference"] is None:
                    file.write(json.dumps(record) + "\n")
                    file.flush()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return [done[unit] for unit in chosen]


def where(command):
    """What a run was made with."""
    from importlib.metadata import version

    tools = ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba", "ml_dtypes", "gmpy2"))
    digests = {"arithmetic": (proof.ARITHMETIC, "arithmetic"), "native": (proof.NATIVE, "native")}
    kernels, which = digests.get(command, (proof.CASTS, "kernel"))
    return (
        f"Commit {proof.commit()}, {proof.today()}, {which} digest `{proof.digest(kernels)}`; "
        f"Python {platform.python_version()}, {tools}, {platform.machine()}."
    )


def table(records, parts, what, units="formats"):
    """The rows of a section: what each part compared, and how much."""
    lines = [f"| part | what | {units} | {what} compared |", "|---|---|---|---|"]
    for part, function in parts.items():
        counts = [record["count"] for record in records if record["unit"].startswith(part + "/")]
        lines.append(f"| {part} | {function.__doc__.rstrip('.')} | {sum(map(bool, counts))} | {sum(counts):,} |")
    seconds = sum(record["seconds"] for record in records)
    total = sum(record["count"] for record in records)
    return [*lines, "", f"{total:,} {what}, no difference, in {seconds / 60:.0f} CPU minutes."]


def record_all(records):
    """Write the page's section on the specification."""
    lines = ["## Against the specification", "", where("all"), "", *table(records, PARTS, "conversions")]
    lines += [
        "",
        f"Formats: the registered ones to 16 bits, every P3109 format of {P3109_BITS[0]} to {P3109_BITS[-1]} bits, and "
        f"{sum(fmt.bits <= 16 for fmt in grids.ODD_FORMATS)} made to be odd (`tests/cases/grids.py`).",
    ]
    proof.write("exhaustive", "\n".join(lines))


def record_arithmetic(records):
    """Write the page's section on operations."""
    known = exhaustive_arithmetic.P3109_BITS
    lines = ["## Operations", "", where("arithmetic"), ""]
    lines += table(records, exhaustive_arithmetic.PARTS, "results")
    lines += [
        "",
        "All ten deterministic modes. Pairs and operands of one and the same format, results too but for conversions. "
        f"Formats: the registered ones, every P3109 format of {known[0]} to {known[-1]} bits and those of 8 bits with "
        "precision 3 and 4, odd ones (`tests/cases/grids.py`). No flags where the specification has none: results in "
        "integer and unsigned formats.",
    ]
    proof.write("arithmetic", "\n".join(lines))


def record_float32(records):
    """Write the page's section on float32: a line for each format, of those not run now the old line."""
    old = {line.split("|")[1].strip(): line for line in proof.section("float32").splitlines() if line.startswith("| ")}
    lines = [
        "## All 2^32 float32",
        "",
        "Codes, of NaNs too, as the other library gives them; values as those codes decode.",
    ]
    lines += ["", "| format | against | differences | commit | date | kernel digest |", "|---|---|---|---|---|---|"]
    from importlib.metadata import version

    for name, peer in AGAINST.items():
        counts = [record["count"] for record in records if record["unit"].startswith(f"float32/{name}/")]
        if sum(counts) == 1 << 32:
            against = f"{peer} {version(peer)}"
            row = f"| {name} | {against} | 0 | {proof.commit()} | {proof.today()} | `{proof.digest()}` |"
            lines.append(row)
        elif name in old:
            lines.append(old[name])
    proof.write("float32", "\n".join(lines))


def record_native(records):
    """Write the page's section on the CPU's own conversions."""
    from llvmlite.binding import get_host_cpu_name

    lines = ["## Float32 to float64 and back by the CPU", "", where("native"), ""]
    lines += table(records, exhaustive_native.PARTS, "results", "units")
    lines += [
        "",
        "What is right comes from integer operations on bits, or from how a source was made: a midpoint gives its even "
        "neighbour, the float64 beside it the neighbour on that side, the overflow threshold and subnormals included "
        "(`tests/proofs/exhaustive_native.py`). Float64s farther from midpoints were not all tried. The conversions "
        f"are those of one CPU, LLVM's {get_host_cpu_name()}. All float32s went through each of six rules on "
        "NaN. Where the FPU's modes are not the standard ones the general kernel does the work.",
    ]
    proof.write("native", "\n".join(lines))


RECORD = {"all": record_all, "float32": record_float32, "arithmetic": record_arithmetic, "native": record_native}


def main(words=None):
    parser = argparse.ArgumentParser(prog="python -m tests.proofs.exhaustive", description=__doc__.partition("\n")[0])
    parser.add_argument("command", nargs="?", choices=list(RECORD), default="all")
    parser.add_argument("--against", choices=sorted(set(AGAINST.values())), help="float32: only this library")
    parser.add_argument("--state", type=Path, default=Path(".fpemu-exhaustive"), help="folder for what is done already")
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count(), help="processes")
    parser.add_argument(
        "--only", metavar="PATTERN", help="units that match, such as 'ties/*' or '*/bfloat16'; records nothing"
    )
    given = parser.parse_args(words)
    every = units(given.command)
    chosen = [unit for unit in every if not given.only or fnmatch.fnmatch(unit, given.only)]
    if given.against:
        chosen = [unit for unit in chosen if AGAINST.get(unit.split("/")[1]) == given.against]
    if not chosen:
        parser.error("no unit matches")
    state = given.state / f"{given.command}-{inputs_digest(given.command)}.jsonl"
    try:
        records = carry_out(chosen, state, given.jobs)
    except (KeyboardInterrupt, BrokenProcessPool) as error:
        why = "interrupted" if isinstance(error, KeyboardInterrupt) else "a process died"
        print(f"{why}; what is done is in {state}, and the same command goes on from there", file=sys.stderr)
        return 130
    differences = [record["difference"] for record in records if record["difference"] is not None]
    print("\n".join(differences) or f"{sum(record['count'] for record in records):,} results, no difference")
    if not differences and not given.only:
        RECORD[given.command](records)
        print(f"recorded in {proof.PAGE}")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())

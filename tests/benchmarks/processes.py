"""The cost of whole processes: memory, imports, the first cast."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import NamedTuple

import fpemu
from tests.benchmarks.arrays import Setup
from tests.benchmarks.timing import Line

ROOT = pathlib.Path(fpemu.__file__).parents[1]
REPEATS = 7

# Warm up on a few elements (compiling takes memory), touch input and output, and see how far the peak goes up.
PEAK = """
import re, resource, sys
import numpy as np
import fpemu as fe

def peak():  # MiB; Linux's getrusage counts what the parent process had
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 2**10

fe.set_num_threads({threads})
n = {size}
{prepare}
few = lambda a: a if a.ndim == 0 else a[:2048].copy()
y[...] = 0
call = lambda x, y: {call}
call(few(x), few(y))
before = peak()
call(x, y)
print(peak() - before)
"""

FLOAT32 = "x = np.ones(n, np.float32); y = np.empty(n, np.float32)"
CALLS = {
    "float32 to e4m3fn values": (FLOAT32, "fe.cast(x, 'float8_e4m3fn', out=y)"),
    "float32 to float16 values": (FLOAT32, "fe.cast(x, 'float16', out=y)"),
    "the same, in place": ("x = y = np.ones(n, np.float32)", "fe.cast(x, 'float16', out=x)"),
    "float64 to bfloat16 values": (FLOAT32.replace("32", "64"), "fe.cast(x, 'bfloat16', out=y)"),
    "int64 to bfloat16 values": (
        "x = np.ones(n, np.int64); y = np.empty(n, np.float32)",
        "fe.cast(x, 'bfloat16', out=y)",
    ),
    "float32 to e4m3fn codes": (
        "x = np.ones(n, np.float32); y = np.empty(n, np.uint8)",
        "fe.encode(x, 'float8_e4m3fn', out=y)",
    ),
    "float32 to int4 codes": (
        "x = np.ones(n, np.float32); y = np.empty(n, np.uint8)",
        "fe.encode(x, 'int4', out=y)",
    ),
    "float32 to nf4 codes": (
        "x = np.ones(n, np.float32); y = np.empty(n, np.uint8)",
        "fe.encode(x, 'nf4', out=y)",
    ),
    "e4m3fn codes to float32": (
        "x = np.ones(n, np.uint8); y = np.empty(n, np.float32)",
        "fe.decode(x, 'float8_e4m3fn', out=y)",
    ),
    "e4m3fn codes to e5m2 codes": (
        "x = np.ones(n, np.uint8); y = np.empty(n, np.uint8)",
        "fe.encode(x, 'float8_e5m2', source='float8_e4m3fn', out=y)",
    ),
    "stochastic": (FLOAT32, "fe.cast(x, 'bfloat16', rounding='stochastic', rng=0, out=y)"),
    "through float32 (ml_dtypes), float64": (
        FLOAT32.replace("32", "64"),
        "fe.cast(x, 'bfloat16', profile='ml_dtypes', out=y)",
    ),
    "every second element": (
        "x = np.ones(2 * n, np.float32)[::2]; y = np.empty(n, np.float32)",
        "fe.cast(x, 'float8_e4m3fn', out=y)",
    ),
    "byte-swapped": (
        "x = np.ones(n, '>f4'); y = np.empty(n, np.float32)",
        "fe.cast(x, 'float8_e4m3fn', out=y)",
    ),
}


def output_of(command: list[str], environment: dict[str, str]) -> str:
    """The output of a process."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"{command} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def memory(setup: Setup) -> Iterator[Line]:
    """Peak memory beyond input and output."""
    for threads in (1, 2):
        for case, (prepare, call) in CALLS.items():
            program = PEAK.format(threads=threads, size=setup.size, prepare=prepare, call=call)
            printed = output_of([sys.executable, "-c", program], dict(os.environ))
            yield Line(f"{case}, threads: {threads}", float(printed), "MiB", at_most=32)


class Taken(NamedTuple):
    """The times of a process in seconds, ordered by the first."""

    wall: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.cpu:.2f} s of CPU"


def time_of(command: list[str], environment: dict[str, str]) -> Taken:
    """The time of a process from start to end."""
    before, start = os.times(), time.perf_counter()
    subprocess.run(command, check=True, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, os.times()
    return Taken(wall, after.children_user + after.children_system - before.children_user - before.children_system)


NEVER = Taken(float("inf"), float("inf"))


def bare_environment(folder: pathlib.Path) -> dict[str, str]:
    """An environment in which `python -S` finds fpemu, numpy, numba and nothing else."""
    import llvmlite
    import numba
    import numpy

    for package in (fpemu, numpy, numba, llvmlite):
        home = pathlib.Path(package.__file__).parent
        (folder / home.name).symlink_to(home)
        for extra in home.parent.glob(f"{home.name}.libs"):
            (folder / extra.name).symlink_to(extra)
    rest = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "NUMBA"))}
    return {**rest, "PYTHONPATH": str(folder)}


def imports(setup: Setup) -> Iterator[Line]:
    """Import time over numpy's, and whether numba is not loaded."""
    del setup
    with tempfile.TemporaryDirectory() as folder:
        environment = bare_environment(pathlib.Path(folder))
        python = [sys.executable, "-S", "-c"]
        taken = dict.fromkeys(("numpy", "fpemu"), NEVER)
        for _ in range(3 * REPEATS):
            for name in taken:
                taken[name] = min(taken[name], time_of([*python, f"import {name}"], environment))
        wall = taken["fpemu"].wall - taken["numpy"].wall
        note = f"numpy {taken['numpy'].wall * 1e3:.0f} ms; CPU {(taken['fpemu'].cpu - taken['numpy'].cpu) * 1e3:.0f} ms"
        yield Line("import fpemu, beyond numpy", wall * 1e3, "ms", at_most=40, note=note)
        loaded = [*python, "import fpemu, sys; print(sum(m.partition('.')[0] == 'numba' for m in sys.modules))"]
        yield Line("numba's modules after import", float(output_of(loaded, environment)), "", at_most=0)


FIRST = """
import numpy as np
import fpemu as fe
{call}
"""
FIRST_CALLS = {
    "cast to e4m3fn": "fe.cast(np.ones(4, np.float32), 'float8_e4m3fn')",
    "encode to bfloat16": "fe.encode(np.ones(4, np.float32), 'bfloat16')",
    "cast of float64 to float16, toward zero": "fe.cast(np.ones(4), 'float16', rounding='toward_zero')",
    "cast of 2 Mi to e4m3fn": "fe.cast(np.ones(2 << 20, np.float32), 'float8_e4m3fn')",
    "decode of e4m3fn": "fe.decode(np.ones(4, np.uint8), 'float8_e4m3fn')",
    "cast to bfloat16, stochastic": "fe.cast(np.ones(4, np.float32), 'bfloat16', rounding='stochastic', rng=0)",
}


def first_cast(setup: Setup) -> Iterator[Line]:
    """The whole process of a first cast, with only fpemu, numpy and numba installed."""
    del setup
    with tempfile.TemporaryDirectory() as folder:
        environment = bare_environment(pathlib.Path(folder))
        for case, call in FIRST_CALLS.items():
            command = [sys.executable, "-S", "-c", FIRST.format(call=call)]
            cold = warm = NEVER
            for _ in range(3):
                with tempfile.TemporaryDirectory() as cache:
                    placed = {**environment, "NUMBA_CACHE_DIR": cache}
                    cold = min(cold, time_of(command, placed))
                    warm = min(warm, *(time_of(command, placed) for _ in range(REPEATS)))
            yield Line(f"{case}, warm cache", warm.wall, "s", at_most=0.7, note=str(warm))
            yield Line(f"{case}, cold cache", cold.wall, "s", at_most=4, note=str(cold))

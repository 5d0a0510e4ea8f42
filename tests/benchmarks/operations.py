"""Operations, compared with other libraries' and with one another: one thread, allocated memory."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np

import fpemu as fe
from tests.benchmarks.arrays import Setup, decode, encode, nanoseconds
from tests.benchmarks.timing import Call, Line, best

SIZE = 4 << 20
LOOP = 20_000  # elements of a loop in Python
TYPES = {
    "float8_e4m3fn": ml_dtypes.float8_e4m3fn,
    "float8_e5m2": ml_dtypes.float8_e5m2,
    "bfloat16": ml_dtypes.bfloat16,
    "float16": np.float16,
    "float32": np.float32,
}
OPERANDS = {"sqrt": 1, "fma": 3}
FUNCTIONS = ["exp", "exp2", "log", "log2", "sin", "cos", "tanh", "sigmoid", "erf", "rsqrt", "reciprocal"]


def operands(setup: Setup, fmt: str, count: int) -> list[fe.Array]:
    """Arrays of normally distributed numbers."""
    x = setup.sources(size=SIZE + count)
    return [fe.array(x[i : i + SIZE], fmt) for i in range(count)]


def operation(name: str, arrays: list[fe.Array], **options: Any) -> Call:
    """One of fpemu's operations, with its result's codes in allocated memory."""
    return functools.partial(getattr(fe, name), *arrays, out=np.zeros(SIZE, arrays[0].codes.dtype), **options)


def peer(name: str, arrays: list[fe.Array], kind: Any) -> Call:
    """The same operation by numpy's ufunc, on its own type or on ml_dtypes'."""
    values = [array.codes.view(kind) for array in arrays]
    return functools.partial(getattr(np, name), *values, out=np.zeros(SIZE, kind))


def sums_and_products(setup: Setup) -> Iterator[Line]:
    """Add, multiply and the rest on codes; with flags; beside ml_dtypes and numpy."""
    limits = {"float8_e4m3fn": 20, "float8_e5m2": 20, "bfloat16": 2, "float16": 6, "float32": None}
    for fmt, kind in TYPES.items():
        arrays = operands(setup, fmt, 3)
        whose = "numpy" if fmt in ("float16", "float32") else "ml_dtypes"
        calls = {name: operation(name, arrays[: OPERANDS.get(name, 2)]) for name in ("divide", "sqrt", "fma")}
        for name in ("add", "multiply"):
            calls[name] = operation(name, arrays[:2])
            calls[f"{name} flags"] = operation(name, arrays[:2], return_flags=True)
            calls[f"{name} directed"] = operation(name, arrays[:2], return_flags=True, rounding="toward_positive")
            calls[f"{name} peer"] = peer(name, arrays[:2], kind)
        times = best(calls, setup.seconds * 4)
        for name in ("add", "multiply"):
            taken = times[name]
            yield Line(
                f"{fmt} {name}: {whose} / fpemu",
                times[f"{name} peer"] / taken,
                at_least=limits[fmt],
                note=nanoseconds(taken, SIZE),
            )
            note = nanoseconds(times[f"{name} flags"], SIZE)
            yield Line(f"{fmt} {name}: with flags / without", times[f"{name} flags"] / taken, at_most=2, note=note)
            if fmt == "float32":
                slower, note = times[f"{name} directed"], nanoseconds(times[f"{name} directed"], SIZE)
                case = f"{fmt} {name}, toward positive, flags / numpy's {name}"
                yield Line(case, slower / times[f"{name} peer"], at_most=10, note=note)
        for name, limit in (("fma", 3), ("divide", 4), ("sqrt", 4)):
            at_most = None if fmt == "float32" else limit
            note = nanoseconds(times[name], SIZE)
            yield Line(f"{fmt} {name} / add", times[name] / times["add"], at_most=at_most, note=note)


def functions(setup: Setup) -> Iterator[Line]:
    """Elementary functions beside decode plus encode."""
    for fmt, limit in (("float8_e4m3fn", 1.5), ("bfloat16", 3), ("float16", 3)):
        (x,) = operands(setup, fmt, 1)
        calls = {"decode": decode(x.codes, fmt), "encode": encode(np.asarray(x.values), fmt)}
        calls |= {name: operation(name, [x]) for name in FUNCTIONS}
        times = best(calls, setup.seconds * 4)
        both = times["decode"] + times["encode"]
        for name in FUNCTIONS:
            note = nanoseconds(times[name], SIZE)
            yield Line(f"{fmt} {name} / (decode + encode)", times[name] / both, at_most=limit, note=note)


def sequential_sum(setup: Setup) -> Iterator[Line]:
    """A sum in bfloat16, rounded at every step: beside a loop over ml_dtypes' scalars, and float32's running sum."""
    (x,) = operands(setup, "bfloat16", 1)
    scalars = x.codes[:LOOP].view(ml_dtypes.bfloat16)
    wide, sums = np.asarray(x.values, np.float32), np.zeros(SIZE, np.float32)

    def loop() -> None:
        total = ml_dtypes.bfloat16(0)
        for value in scalars:
            total = total + value

    calls = {
        "ours": functools.partial(fe.sum, x, accumulate="bfloat16"),
        "exact": functools.partial(fe.sum, x),
        "loop": loop,
        "chain": functools.partial(np.cumsum, wide, out=sums),  # one addition waits for the other
    }
    times = best(calls, setup.seconds * 2)
    ours, note = times["ours"] / SIZE, nanoseconds(times["ours"], SIZE)
    yield Line("an ml_dtypes loop / sum", times["loop"] / LOOP / ours, at_least=20, note=note)
    yield Line("sum / a chain of float32 additions", times["ours"] / times["chain"], at_most=4)
    yield Line(
        "exact sum / np.cumsum of float32", times["exact"] / times["chain"], note=nanoseconds(times["exact"], SIZE)
    )


def one_operation(setup: Setup) -> Iterator[Line]:
    """Operators of Arrays of one element, in microseconds."""
    a, b = fe.array(1.5, "bfloat16"), fe.array([2.25], "float8_e4m3fn")
    calls: dict[str, Call] = {
        "a + a": lambda: a + a,
        "b * b, one dimension": lambda: b * b,
        "a + 1.0": lambda: a + 1.0,
        "a < a": lambda: a < a,
        "-a": lambda: -a,
    }
    for name, taken in best(calls, setup.seconds).items():
        yield Line(name, taken * 1e6, "us", at_most=20)

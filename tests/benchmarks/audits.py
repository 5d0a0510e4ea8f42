"""Audits of a vectorised function, compared with the cast itself."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np

import fpemu as fe
from tests.benchmarks.arrays import Setup, nanoseconds
from tests.benchmarks.timing import Line, best

SIZE = 1 << 26  # inputs: the first of all of float32
PIECE = 1 << 20
FORMAT = "float8_e4m3fn"


class EnoughError(Exception):
    """Raised when an audit has run long enough for a measurement."""


def subject(x: np.ndarray) -> np.ndarray:
    """A vectorised converter: the cast again."""
    return np.asarray(fe.encode(x, FORMAT))


def stop(checked: int, total: int | None) -> None:
    """End an audit of all 2^32 inputs."""
    if checked >= SIZE:
        raise EnoughError


def audit(threads: int) -> None:
    """The first inputs of an audit of all of float32."""
    try:
        fe.audit(subject, "encode", FORMAT, limit=1 << 32, threads=threads, progress=stop, explained=False)
    except EnoughError:
        return
    raise AssertionError("it ended too early")


def audits(setup: Setup) -> Iterator[Line]:
    """An audit of a converter of float32: the cast's own time, piece by piece, over the audit's."""
    x, codes = np.arange(SIZE, dtype=np.uint32).view(np.float32), np.zeros(PIECE, np.uint8)

    def cast() -> None:
        for start in range(0, SIZE, PIECE):
            fe.encode(x[start : start + PIECE], FORMAT, out=codes)

    calls = {"cast": cast, "1": functools.partial(audit, 1), "2": functools.partial(audit, 2)}
    times = best(calls, setup.seconds)
    note = nanoseconds(times["1"], SIZE)
    yield Line("cast / audit of all float32", times["cast"] / times["1"], at_least=0.3, note=note)
    yield Line("audit: one thread / two", times["1"] / times["2"], note=nanoseconds(times["2"], SIZE))

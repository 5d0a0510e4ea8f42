"""Measurement of times, in turns, and the line that a benchmark prints."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

Call = Callable[[], Any]

SAMPLE = 1e-3  # one sample is at least so long: short calls are repeated


class Line(NamedTuple):
    """A measurement and its target; without a target it is for information."""

    case: str
    measured: float
    unit: str = "x"
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""

    @property
    def missed(self) -> bool:
        """Whether there is a target that is not reached."""
        if self.at_most is not None:
            return self.measured > self.at_most
        return self.at_least is not None and self.measured < self.at_least

    def __str__(self) -> str:
        target = ""
        if self.at_most is not None:
            target = f"<= {self.at_most:g}"
        if self.at_least is not None:
            target = f">= {self.at_least:g}"
        verdict = "MISS" if self.missed else "pass" if target else ""
        return f"  {self.case:<52} {self.measured:>9.3f} {self.unit:<4} {target:<8} {verdict:<4}  {self.note}".rstrip()


def run_repeatedly(call: Call, count: int) -> float:
    """Seconds for one of `count` runs."""
    start = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) / count


def best(calls: dict[str, Call], seconds: float) -> dict[str, float]:
    """The fastest of many runs of each call, taken in turns for `seconds` in all (at least five turns)."""
    for call in calls.values():
        call()  # compiles, fills tables, touches memory
    counts = {name: max(1, round(SAMPLE / run_repeatedly(call, 1))) for name, call in calls.items()}
    fastest = dict.fromkeys(calls, float("inf"))
    start, turns = time.perf_counter(), 0
    while turns < 5 or time.perf_counter() - start < seconds:
        for name, call in calls.items():
            fastest[name] = min(fastest[name], run_repeatedly(call, counts[name]))
        turns += 1
    return fastest

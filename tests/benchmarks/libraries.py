"""The table of README: the same task by fpemu and by each library that is installed, one thread."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np

import fpemu as fe
from tests.benchmarks.arrays import Setup
from tests.benchmarks.timing import Call, Line, best

SIZE = 1 << 20


def module(name: str) -> Any:
    """A library, or None if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def round_trips(x: np.ndarray) -> dict[str, Call]:
    """Float32 to the values of float8_e4m3fn, in float32."""
    calls: dict[str, Call] = {
        "fpemu": functools.partial(fe.cast, x, "float8_e4m3fn", out=np.empty_like(x)),
        "ml_dtypes": lambda: x.astype(ml_dtypes.float8_e4m3fn).astype(np.float32),
    }
    if torch := module("torch"):
        tensor = torch.from_numpy(x)
        calls["torch"] = lambda: tensor.to(torch.float8_e4m3fn).to(torch.float32)
    if gfloat := module("gfloat"):
        fmt = module("gfloat.formats").format_info_ocp_e4m3
        calls["gfloat"] = lambda: gfloat.round_ndarray(fmt, x)
    if pychop := module("pychop"):
        chop = pychop.Chop(exp_bits=4, sig_bits=3)  # IEEE-like: the nearest format that it has
        calls["pychop"] = lambda: chop(x)
    if apytypes := module("apytypes"):
        calls["apytypes"] = lambda: apytypes.APyFloatArray.from_array(x, 4, 3).to_numpy()  # IEEE-like
    return calls


def sums(x: np.ndarray, y: np.ndarray) -> dict[str, Call]:
    """Add in bfloat16: codes in, codes out."""
    a, b = fe.array(x, "bfloat16"), fe.array(y, "bfloat16")
    p, q = a.codes.view(ml_dtypes.bfloat16), b.codes.view(ml_dtypes.bfloat16)
    calls: dict[str, Call] = {
        "fpemu": functools.partial(fe.add, a, b, out=np.empty_like(a.codes)),
        "ml_dtypes": functools.partial(np.add, p, q, out=np.empty_like(p)),
    }
    if torch := module("torch"):
        s, t = (torch.from_numpy(codes.view(np.int16)).view(torch.bfloat16) for codes in (a.codes, b.codes))
        calls["torch"] = functools.partial(torch.add, s, t, out=torch.empty_like(s))
    if apytypes := module("apytypes"):
        u, v = (apytypes.APyFloatArray.from_array(each, 8, 7) for each in (x, y))
        calls["apytypes"] = lambda: u + v
    return calls


def libraries(setup: Setup) -> Iterator[Line]:
    """The other library's time over fpemu's: above 1 fpemu is faster, below 1 it is slower."""
    sources = setup.sources(size=SIZE + 1)
    x, y = sources[:-1], sources[1:]
    tasks = {
        "float32 to e4m3fn values, 2^20": round_trips(x),
        "float32 to e4m3fn values, 64": round_trips(x[:64].copy()),
        "bfloat16 add, 2^20": sums(x, y),
        "bfloat16 add, 1": sums(x[:1].copy(), y[:1].copy()),
    }
    for task, calls in tasks.items():
        times = best(calls, setup.seconds * len(calls))
        for name, taken in times.items():
            if name != "fpemu":
                yield Line(
                    f"{task}: {name} / fpemu", taken / times["fpemu"], note=f"fpemu {times['fpemu'] * 1e6:.2f} us"
                )

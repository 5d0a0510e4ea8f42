"""Quantizing with scales beside np.negative, torchao, torch, bitsandbytes and plain numpy: one thread, own memory."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Iterator

import numpy as np

import fpemu as fe
from tests.benchmarks.arrays import Setup, nanoseconds
from tests.benchmarks.timing import Call, Line, best

ROW = 4096
GROUPS = {"int8_group": (127, 128), "int4_group": (7, 32)}


def numbers(setup: Setup) -> np.ndarray:
    """Normally distributed numbers in rows."""
    return setup.sources(size=setup.size // ROW * ROW).reshape(-1, ROW)


def ours(x: np.ndarray, name: str, back: np.ndarray) -> dict[str, Call]:
    """Both directions, into allocated memory."""
    q = fe.quantize(x, name)
    return {
        "quantize": functools.partial(fe.quantize, x, name, out=q),
        "dequantize": functools.partial(q.dequantize, out=back),
    }


def torchao_calls(x: np.ndarray, name: str) -> dict[str, Call]:
    """The same scheme by torchao, if it is installed."""
    if importlib.util.find_spec("torchao") is None:
        return {}
    import torch
    from torchao.prototype.mx_formats.mx_tensor import to_mx
    from torchao.prototype.mx_formats.nvfp4_tensor import nvfp4_quantize

    t = torch.from_numpy(x)
    if name == "nvfp4":
        whole = t.abs().max() / 2688
        return {"torchao": lambda: nvfp4_quantize(t, 16, whole)}
    element = {"mxfp8_e4m3": torch.float8_e4m3fn, "mxfp4": torch.float4_e2m1fn_x2}[name]
    return {"torchao": lambda: to_mx(t, element, 32)}


def group_calls(x: np.ndarray, name: str) -> dict[str, Call]:
    """Absolute-maximum integers of groups in plain numpy, and by torch: its reductions and quantize_per_channel."""
    largest, group = GROUPS[name]
    rows = x.reshape(-1, group)

    def by_numpy() -> tuple[np.ndarray, np.ndarray]:
        scales = np.abs(rows).max(axis=1, keepdims=True) / np.float32(largest)
        return np.clip(np.rint(rows / scales), -largest - 1, largest).astype(np.int8), scales

    calls: dict[str, Call] = {"numpy": by_numpy}
    if importlib.util.find_spec("torch") is not None:
        import torch

        t, zeros = torch.from_numpy(rows), torch.zeros(len(rows), dtype=torch.int64)

        def by_torch() -> object:
            scales = t.abs().amax(dim=1) / largest
            if name.startswith("int8"):
                return torch.quantize_per_channel(t, scales, zeros, 0, torch.qint8)
            return torch.clamp(torch.round(t / scales[:, None]), -largest - 1, largest).to(torch.int8)

        calls["torch"] = by_torch
    return calls


def bitsandbytes_calls(x: np.ndarray) -> dict[str, Call]:
    """NF4 by bitsandbytes, in both directions."""
    if importlib.util.find_spec("bitsandbytes") is None:
        return {}
    import torch
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    t = torch.from_numpy(x)
    packed, state = quantize_4bit(t, blocksize=64, quant_type="nf4")
    return {
        "bitsandbytes": lambda: quantize_4bit(t, blocksize=64, quant_type="nf4"),
        "bitsandbytes back": lambda: dequantize_4bit(packed, state),
    }


def scaled(setup: Setup) -> Iterator[Line]:
    """Quantize float32 to codes and scales, and back: beside np.negative and other libraries."""
    x = numbers(setup)
    back, size = np.zeros_like(x), x.size
    negative = functools.partial(np.negative, x, out=np.zeros_like(x))
    for name, at_most, peers, at_least in (
        ("mxfp8_e4m3", 3, torchao_calls(x, "mxfp8_e4m3"), {"torchao": 3}),
        ("mxfp4", 3, torchao_calls(x, "mxfp4"), {"torchao": 3}),
        ("nvfp4", None, torchao_calls(x, "nvfp4"), {"torchao": 3}),
        ("int8_group", None, group_calls(x, "int8_group"), {"torch": 2, "numpy": 5}),
        ("int4_group", None, group_calls(x, "int4_group"), {"torch": 2, "numpy": 5}),
        ("nf4_64", None, bitsandbytes_calls(x), {"bitsandbytes": 2}),
    ):
        times = best({"negative": negative, **ours(x, name, back), **peers}, setup.seconds * 2)
        taken, there = times["quantize"], times["dequantize"]
        note = nanoseconds(taken, size)
        yield Line(f"{name}: quantize / np.negative", taken / times["negative"], at_most=at_most, note=note)
        note = nanoseconds(there, size)
        yield Line(f"{name}: dequantize / np.negative", there / times["negative"], at_most=1.5, note=note)
        for peer, limit in at_least.items():
            if peer in times:
                yield Line(f"{name}: {peer} / quantize", times[peer] / taken, at_least=limit)
            if f"{peer} back" in times:
                yield Line(f"{name}: {peer} / dequantize", times[f"{peer} back"] / there, at_least=limit)

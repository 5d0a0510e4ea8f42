"""Other people's casts, in one table: what the witnesses, the convention tests and the benchmarks call.

Nothing is imported before a peer is asked for something, so the table costs nothing where the libraries are missing.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import itertools
import platform
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

import fpemu as fe
from tests import peer_calls as calls
from tests.peer_calls import APYTYPES_MODES, FP6_FP4, GFLOAT_MODES, INTS, SMALL_INTS, Array
from tests.witness import cuda

Call = Callable[[Array, Array, str], None]

X86 = platform.machine().lower() in ("x86_64", "amd64", "i386", "i686")


def nothing(x: Array, fmt: str) -> Array:
    """No source is left out of a comparison."""
    return np.zeros(x.shape, bool)


class Peer(NamedTuple):
    """One way in which one library casts."""

    library: str  # what pip calls it
    formats: tuple[str, ...]
    encode_into: Call  # sources, memory for their codes
    rules: Mapping[str, Any] | None = None  # keywords with which fpemu does the same; None: defects (test_conventions)
    decode_into: Call | None = None  # codes, memory for their float32 values
    sources: tuple[str, ...] = ("bfloat16", "float16", "float32")  # of tests/witness: what it is asked
    nan: str = "exact"  # how NaN results compare: "exact" or "class"; "none": it refuses NaN
    nan_class: tuple[str, ...] = ()  # the formats for which "class" holds
    differs: Callable[[Array, str], Array] = nothing  # sources left out, for the reason that its docstring gives
    recorded: bool = False  # too big for the gate: tests/witness keeps its answers

    def available(self) -> bool:
        """Whether this machine has the library."""
        if self.library in (cuda.HEADERS, cuda.DEVICE):
            return cuda.available(self.library)
        return importlib.util.find_spec(self.library) is not None

    def version(self) -> str:
        """The library's version."""
        if self.library in (cuda.HEADERS, cuda.DEVICE):
            return cuda.version(self.library)
        return importlib.metadata.version(self.library)

    def encode(self, x: Array, fmt: str) -> Array:
        """The codes of `x`, in new memory."""
        codes = np.empty(x.shape, fe.dtype(fmt).code_dtype)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # overflow and NaN are what they are asked about
            self.encode_into(x, codes, fmt)
        return codes

    def decode(self, codes: Array, fmt: str) -> Array:
        """The float32 values of `codes`, in new memory."""
        assert self.decode_into is not None
        values = np.empty(codes.shape, np.float32)
        self.decode_into(codes, values, fmt)
        return values

    def compared_nan(self, fmt: str) -> str:
        """How NaN results in `fmt` compare."""
        return "class" if fmt in self.nan_class else self.nan


def beyond_int32(x: Array, fmt: str) -> Array:
    """Out of range, float to integer is undefined in C; x86, which the profiles follow, goes by way of int32."""
    if fmt not in (*INTS, *SMALL_INTS) or x.dtype.kind != "f":
        return nothing(x, fmt)
    with np.errstate(invalid="ignore"):
        if not X86:
            return np.asarray(~(abs(x) < 2.0 ** (fe.dtype(fmt).bits - 1)))
        return np.asarray(np.isfinite(x) & (abs(x) >= 2.0**31))


def nearest_differs(x: Array, fmt: str) -> Array:
    """What lies above 2^-127 and nearer to it than to 2^-126 goes up to E8M0's 2^-126; integers as `beyond_int32`."""
    if fmt == "float8_e8m0fnu":
        with np.errstate(over="ignore"):
            magnitude = abs(x.astype(np.float32))
        return np.asarray((magnitude > 2.0**-127) & (magnitude < 1.5 * 2.0**-127))
    return beyond_int32(x, fmt)


def ml_dtypes_differs(x: Array, fmt: str) -> Array:
    """A negative NaN into fp6 and fp4 becomes +0, the profile has -0 for any; the rest as `nearest_differs`."""
    if fmt in FP6_FP4 and x.dtype.kind == "f":
        return np.asarray(np.isnan(x) & np.signbit(x))
    return nearest_differs(x, fmt)


def onnx_up_differs(x: Array, fmt: str) -> Array:
    """The reference evaluator's "up" lifts 2^-127 and all below it to 2^-126; else as ml_dtypes, which it calls."""
    if fmt == "float8_e8m0fnu":
        return np.asarray((x != 0) & (abs(x) <= 2.0**-127))
    return ml_dtypes_differs(x, fmt)


def cuda_differs(x: Array, fmt: str) -> Array:
    """From float64 its fp8 functions keep a NaN's sign and payload, from float32, as in the profile, they don't."""
    return np.asarray(np.isnan(x)) if x.dtype == np.float64 else nothing(x, fmt)


FLOAT8 = ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz")
TORCH = ("bfloat16", "float16", *FLOAT8, "float8_e8m0fnu")
ML_DTYPES = (*TORCH[:1], *TORCH[2:], "float8_e4m3", "float8_e3m4", "float8_e4m3b11fnuz", *FP6_FP4, *SMALL_INTS)
ONNX = (*TORCH, "float4_e2m1fn")
CUDA = ("bfloat16", "float16", "float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu", *FP6_FP4)
GFLOAT = ("bfloat16", "float16", "float8_e4m3fn", "float8_e5m2")
APYTYPES = ("bfloat16", "float16", "float8_e5m2", "float8_e4m3", "float8_e3m4")
ALL_SOURCES = ("bfloat16", "float16", "float32", "float64", "int64")
FLOAT_SOURCES = ALL_SOURCES[:4]
QUANTIZER = fe.profile("ieee").replace(name="quantizer", overflow="saturate", infinity="saturate")

PEERS: dict[str, Peer] = {
    "ml_dtypes": Peer(
        "ml_dtypes", ML_DTYPES, calls.numpy_encode, {"profile": "ml_dtypes-0.6"}, calls.numpy_decode, ALL_SOURCES,
        differs=ml_dtypes_differs,
    ),
    "numpy": Peer(
        "numpy", ("float16", *INTS), calls.numpy_encode, {"profile": "numpy"}, calls.numpy_decode, ALL_SOURCES,
        nan_class=() if X86 else ("float16",), differs=beyond_int32,
    ),
    "torch": Peer(
        "torch", (*TORCH, "int8", "uint8", "int16"), calls.torch_encode, {"profile": "torch-2.14"}, calls.torch_decode,
        ALL_SOURCES, differs=nearest_differs, recorded=True,
    ),
    "torch-quantize": Peer(
        "torch", ("int8", "uint8"), calls.torch_quantize, {"profile": QUANTIZER.replace(nan="max")},
        sources=("float16",), recorded=True,
    ),
    "torch-fake-quantize": Peer(
        "torch", ("int8",), calls.torch_fake_quantize, {"profile": QUANTIZER.replace(nan="min")}, sources=("float16",),
        recorded=True,
    ),
    "gguf": Peer("gguf", ("bfloat16", "float16"), calls.gguf_encode, {"profile": "gguf"}, recorded=True),
    "pychop": Peer("pychop", ("float16", "float8_e4m3"), calls.pychop_encode),
    "fxpmath": Peer("fxpmath", ("q3.4",), calls.fxpmath_encode),
    "gfloat-scalar": Peer("gfloat", ("float8_e8m0fnu",), functools.partial(calls.gfloat_scalar_encode, False)),
    "gfloat-scalar-saturate": Peer("gfloat", ("float8_e8m0fnu",), functools.partial(calls.gfloat_scalar_encode, True)),
    "onnx-quantize": Peer("onnx", ("int8", "uint8"), calls.onnx_quantize),
    "onnxruntime": Peer("onnxruntime", FLOAT8, calls.onnxruntime_encode),
    "onnxruntime-quantize": Peer(
        "onnxruntime", ("int8", "uint8"), calls.onnxruntime_quantize, {"profile": QUANTIZER.replace(nan="min")},
        sources=("float16",), recorded=True,
    ),
}  # fmt: skip

# ONNX's Cast rounds up to E8M0 unless told otherwise, CUDA's __nv_fp8_e8m0 likewise; up drops the sign first.
for _profile, _saturate in (("onnx-saturate", 1), ("onnx", 0)):
    for _mode, _rounding in ((None, None), ("nearest", "nearest_away"), ("down", "toward_zero")):
        PEERS[f"{_profile}-{_mode}" if _mode else _profile] = Peer(
            "onnx",
            ("float8_e8m0fnu",) if _mode else ONNX,
            functools.partial(calls.onnx_encode, _saturate, _mode),
            {"profile": _profile, "rounding": _rounding},
            nan_class=("float16",),
            differs=ml_dtypes_differs if _mode else onnx_up_differs,
            recorded=True,
        )
for _library, _profile, _mode in itertools.product(
    (cuda.HEADERS, cuda.DEVICE), ("cuda-satfinite", "cuda-nosat"), ("", "-toward-zero")
):
    PEERS[_profile + _mode + (" on a device" if _library == cuda.DEVICE else "")] = Peer(
        _library,
        ("float8_e8m0fnu", *FP6_FP4) if _mode else CUDA,
        functools.partial(calls.cuda_encode, _library, _profile == "cuda-satfinite", bool(_mode)),
        {"profile": _profile, "rounding": "toward_zero" if _mode else None},
        sources=FLOAT_SOURCES,
        differs=cuda_differs,
        recorded=True,
    )
for _mode in GFLOAT_MODES:
    for _sat, _rules in (("", {}), ("-saturate", {"profile": QUANTIZER})):
        PEERS[f"gfloat-{_mode}{_sat}"] = Peer(
            "gfloat",
            (*GFLOAT, *FP6_FP4) if _sat else GFLOAT,
            functools.partial(calls.gfloat_encode, _mode, bool(_sat)),
            {**_rules, "rounding": _mode},
            calls.gfloat_decode,
            FLOAT_SOURCES,
            nan="none" if _sat else "class",
        )
for _mode in APYTYPES_MODES:
    PEERS[f"apytypes-{_mode}"] = Peer(
        "apytypes",
        APYTYPES,
        functools.partial(calls.apytypes_encode, _mode),
        {"profile": "ieee", "rounding": _mode},
        sources=("float32", "float64"),
        nan="class",
        recorded=True,
    )

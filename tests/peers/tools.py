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
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

import fpemu as fe
from tests.peers import calls
from tests.peers.calls import APYTYPES_MODES, FP6_FP4, GFLOAT_MODES, INTS, SMALL_INTS, Array
from tests.peers.witness import cuda
from tests.peers.witness.sources import KINDS, source

Call = Callable[[Array, Array, str], None]

X86 = platform.machine().lower() in ("x86_64", "amd64", "i386", "i686")


class Mask(NamedTuple):
    """Sources that are left out of a comparison, and why; docs/reference/profiles.md prints every one."""

    formats: tuple[str, ...]
    what: str  # the sources, in words
    where: Callable[[Array], Array]
    why: str
    example: tuple[float, str, int, tuple[int, ...]]  # a number, its dtype, how many of it, the codes that come out

    def example_text(self) -> str:
        """The example in words."""
        x, dtype, count, codes = self.example
        of = f"{count} copies of " if count > 1 else ""
        return f"{self.formats[0]} of {of}{dtype} {x!r}: {' and '.join(map(hex, codes))}"


def lengths_and_places(x: Array, shifts: int = 70) -> Iterator[tuple[slice, Array]]:
    """Every number of an array at the places of arrays of 1 to 70 elements, by turns strided: its place, the array.

    `shifts`: how many places of each at most, from there on.
    """
    for length in range(1, 71):
        for shift in range(0, length, max(1, length // shifts)):
            for start in range(shift, x.size - length + 1, length):
                piece = x[start : start + length]
                if (shift + start) % 2:
                    spread = np.empty(2 * length, x.dtype)
                    spread[::2] = piece
                    piece = spread[::2]
                yield slice(start, start + length), piece


def sample(x: Array) -> Array:
    """Of every 16-bit pattern a thousand or so, NaN and the ends of the range among them."""
    if x.size < 1 << 16:
        return x
    return np.concatenate([x[::97], x[np.isnan(as_float64(x))][::97], x[[0x7BFF, 0x7C00, 0xFC00, -1]]])


class Peer(NamedTuple):
    """One way in which one library casts."""

    library: str  # what pip calls it
    formats: tuple[str, ...]
    encode_into: Call  # sources, memory for their codes
    rules: Mapping[str, Any] | None = None  # keywords with which fpemu does the same; None: defects (test_conventions)
    decode_into: Call | None = None  # codes, memory for their float32 values
    sources: tuple[str, ...] = ("bfloat16", "float16", "float32")  # of tests/peers/witness: what it is asked
    nan: str = "exact"  # how NaN results compare: "exact" or "class"; "none": it refuses NaN
    nan_class: tuple[str, ...] = ()  # the formats for which "class" holds
    masks: tuple[Mask, ...] = ()  # sources that are left out
    places: bool = False  # asked at every place of arrays of 1 to 70 elements, too
    recorded: bool = False  # too big for the gate: tests/peers/witness keeps its answers

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

    def shown(self, mask: Mask) -> set[int]:
        """The codes that come out for a mask's example."""
        x, dtype, count, _ = mask.example
        return set(self.encode(np.full(count, x, dtype), mask.formats[0]).tolist())

    def of_places(self, fmt: str, shifts: int = 70) -> dict[str, tuple[int, int]]:
        """By source: how many numbers' codes depend on their place, and how many of these no mask leaves out."""
        found = {}
        for kind in self.sources if self.places else ():
            if kind.endswith((" array", " edges", " NaN")) and kind != "bool array":
                x = sample(source(kind, fmt))
                depends = self.depends(x, fmt, shifts)
                found[kind] = int(depends.sum()), int((depends & ~self.differs(x, fmt)).sum())
        return found

    def depends(self, x: Array, fmt: str, shifts: int = 70) -> Array:
        """Whether the code of a number depends on its place, on the array's length, or on the strides."""
        found, codes = np.zeros(x.shape, bool), self.encode(x, fmt)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            for where, piece in lengths_and_places(x, shifts):
                spread = np.empty(2 * piece.size, codes.dtype)[::2] if piece.strides[0] > x.itemsize else None
                out = np.empty(piece.shape, codes.dtype) if spread is None else spread
                self.encode_into(piece, out, fmt)
                found[where] |= out != codes[where]
        return found

    def decode(self, codes: Array, fmt: str) -> Array:
        """The float32 values of `codes`, in new memory."""
        assert self.decode_into is not None
        values = np.empty(codes.shape, np.float32)
        self.decode_into(codes, values, fmt)
        return values

    def differs(self, x: Array, fmt: str) -> Array:
        """Which sources are left out."""
        found = np.zeros(x.shape, bool)
        for mask in self.masks:
            if fmt in mask.formats:
                found |= mask.where(x)
        return found

    def compared_nan(self, fmt: str) -> str:
        """How NaN results in `fmt` compare."""
        return "class" if fmt in self.nan_class else self.nan


def floats(x: Array) -> bool:
    """Whether an array is of floats, ml_dtypes' among them."""
    return x.dtype.kind in "fV"


def as_float64(x: Array) -> Array:
    """The values in float64."""
    with np.errstate(all="ignore"):
        return np.asarray(x).astype(np.float64)


def depends_in_uint32(x: Array) -> Array:
    """In floats NaN, -infinity, and what is not from -2^31 to 2^32 and whose low bits are not 0 (2^31 below 0)."""
    with np.errstate(invalid="ignore"):
        values = np.trunc(as_float64(x))
    held = (values >= -(2.0**31)) & (values < 2.0**32)
    with np.errstate(invalid="ignore"):
        low = np.where(abs(values) < 2.0**63, np.fmod(values, 2.0**32) % 2.0**32, 0)
    return np.asarray(floats(x) & ~held & (low != np.where(values > 0, 0, 2.0**31)))


def just_below_2_31(x: Array) -> Array:
    """Above 2^31 - 1 and below 2^31."""
    values = as_float64(x)
    return np.asarray((values > 2.0**31 - 1) & (values < 2.0**31))


def narrow_integers(x: Array) -> Array:
    """Everything: used off x86-64, where C's undefined conversions give something else."""
    values = as_float64(x)
    return np.asarray(~(abs(values) < 2) & floats(x))


def near_smallest_scale(x: Array) -> Array:
    """Above 2^-127 and below 1.5 2^-127, once in float32."""
    with np.errstate(all="ignore"):
        magnitude = abs(np.asarray(x).astype(np.float32))
    return np.asarray((magnitude > 2.0**-127) & (magnitude < 1.5 * 2.0**-127))


def to_smallest_scale(x: Array) -> Array:
    """Not above 2^-127 and not 0, once in float32."""
    with np.errstate(all="ignore"):
        magnitude = abs(np.asarray(x).astype(np.float32))
    return np.asarray((magnitude != 0) & (magnitude <= 2.0**-127))


def nan_of(*kinds: str) -> Callable[[Array], Array]:
    """NaN in arrays of these dtypes."""
    return lambda x: np.asarray(np.isnan(as_float64(x)) if x.dtype.name in kinds else np.zeros(x.shape, bool))


UINT32 = Mask(
        ("uint32",),
        "floats: NaN; -infinity; 2^32 and above unless the low 32 bits are 0; below -2^31 unless they are 2^31",
        depends_in_uint32,
        "undefined in C; depends on the element's position and the array's length: no profile can reproduce it",
        (1e10, "float64", 67, (1410065408, 0)),
    )  # fmt: skip


E8M0_NEAREST = Mask(
    ("float8_e8m0fnu",), "above 2^-127 and nearer to it than to 2^-126", near_smallest_scale,
    "a defect: the result is 2^-126", (1.25 * 2.0**-127, "float32", 1, (1,)),
)  # fmt: skip
E8M0_UP = Mask(
    ("float8_e8m0fnu",), "nonzero numbers up to 2^-127", to_smallest_scale,
    "a defect: the result is 2^-126", (2.0**-127, "float32", 1, (1,)),
)  # fmt: skip
INT4_END = Mask(
    SMALL_INTS, "float64: above 2^31 - 1 and below 2^31", just_below_2_31, "out of range by the tool's comparison: 0",
    (2147483647.5, "float64", 1, (0,)),
)  # fmt: skip
TORCH_NANS = (
    Mask(
        ("bfloat16",), "NaN of float32 and float64", nan_of("float32", "float64"),
        "depends on the element's position and the array's length; the profile has the vector loop's code",
        (float("nan"), "float32", 67, (0x7FC0, 0xFFFF)),
    ),
    Mask(
        ("float32",), "NaN of float16", nan_of("float16"),
        "depends on the element's position and the array's length; the profile has the vector loop's code",
        (float("nan"), "float16", 67, (0x7FC00000, 0x7FFFFFFF)),
    ),
)  # fmt: skip


FLOAT8 = ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz")
WIDE = ("float32", "float64")
TORCH = ("bfloat16", "float16", *FLOAT8, "float8_e8m0fnu")
ML_DTYPES = (*TORCH[:1], *TORCH[2:], "float8_e4m3", "float8_e3m4", "float8_e4m3b11fnuz", *FP6_FP4, *SMALL_INTS)
ONNX = (*TORCH, *WIDE, "float4_e2m1fn", *SMALL_INTS, *INTS)
CUDA = ("bfloat16", "float16", "float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu", *FP6_FP4)
GFLOAT = ("bfloat16", "float16", "float8_e4m3fn", "float8_e5m2")
APYTYPES = ("bfloat16", "float16", "float8_e5m2", "float8_e4m3", "float8_e3m4")
FLOAT_SOURCES = ("bfloat16", "float16", "float32", "float64")
ALL_SOURCES = (*FLOAT_SOURCES, "int64")
EVERY_SOURCE = tuple(kind for kind in KINDS if kind != "bfloat16 array")
QUANTIZER = fe.profile("ieee").replace(name="quantizer", overflow="saturate", infinity="saturate")

# What C leaves undefined is the CPU's: the profiles have x86-64's.
ELSEWHERE = () if X86 else (
    Mask((*INTS, *SMALL_INTS), "floats: NaN, infinities, out of range", narrow_integers, "undefined in C; the profile "
         "has what x86-64 gives", (float("nan"), "float32", 1, (0,))),
)  # fmt: skip

PEERS: dict[str, Peer] = {
    "ml_dtypes": Peer(
        "ml_dtypes", ML_DTYPES, calls.numpy_encode, {"profile": "ml_dtypes-0.6"}, calls.numpy_decode, tuple(KINDS),
        masks=(E8M0_NEAREST, INT4_END, *ELSEWHERE),
    ),
    "numpy": Peer(
        "numpy", ("float16", *WIDE, *INTS), calls.numpy_encode, {"profile": "numpy"}, calls.numpy_decode,
        EVERY_SOURCE, places=True, nan_class=() if X86 else ("float16", *WIDE),
        masks=(UINT32, *ELSEWHERE),
    ),
    "torch": Peer(
        "torch", (*TORCH, *WIDE, *INTS), calls.torch_encode, {"profile": "torch-2.14"}, calls.torch_decode,
        tuple(KINDS), masks=(E8M0_NEAREST, *TORCH_NANS, UINT32), places=True,
        recorded=True,
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
            sources=(*ALL_SOURCES, "float32 NaN", "float64 NaN", "float32 edges", "float64 edges"),
            masks={"nearest": (E8M0_NEAREST,), "down": ()}.get(_mode or "", (E8M0_UP, INT4_END, UINT32)),
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
        sources=(*FLOAT_SOURCES, "float32 NaN", "float64 NaN") if _library == cuda.HEADERS else FLOAT_SOURCES,
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

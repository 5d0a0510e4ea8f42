"""Where the field's tools disagree, case by case: what fpemu gives under each tool's rules, as exact codes.

A row with a `peer` is what that tool gives, checked live where it is installed.  A row with `theirs` is a tool's
defect: there we differ and are exact.
"""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

import fpemu as fe
from tests.peers.tools import PEERS, X86

INF, NAN = math.inf, math.nan


@dataclasses.dataclass(frozen=True)
class Row:
    """Sources to one format under some rules, and their codes."""

    case: str
    rules: Any  # the name of a profile, or the keywords of `encode`
    fmt: str
    sources: Any
    codes: tuple[int, ...]
    peer: str | None = None
    theirs: tuple[int, ...] | None = None  # a defect
    dtype: str = "float32"

    @property
    def x(self):
        """The sources as an array."""
        return self.sources if isinstance(self.sources, np.ndarray) else np.array(self.sources, self.dtype)

    def __str__(self):
        rules = [self.rules] if isinstance(self.rules, str) else [getattr(v, "name", v) for v in self.rules.values()]
        return ":".join([self.case, self.fmt, *rules, *([self.peer] if self.peer else [])])


def f32(*bits):
    """float32 numbers by their bits: NaNs with sign and payload."""
    return np.array(bits, np.uint32).view(np.float32)


def f64(*bits):
    """float64 numbers by their bits."""
    return np.array(bits, np.uint64).view(np.float64)


QUIET = f32(0x7FC00000, 0xFFC00000)  # NaN and its negative
SIGNALLING = f32(0x7F800001, 0x7FA00000, 0x7F802000, 0xFFA00000)
QUANTIZER = fe.profile("ieee").replace(name="quantizer", overflow="saturate", infinity="saturate")
E4M3FN_TIE = (464.0, -464.0, 448.0)
E4M3FN_OVER = (465.0, 480.0, 1000.0)
E5M2_OVER = (61440.0, 65536.0, 1e30, INF, -INF)
FNUZ_OVER = (248.0, 1000.0, -1000.0, INF, -INF)

FLOATS = [
    # e4m3fn: overflow starts strictly above 464, for rounding comes first
    *(
        Row("tie below the absent 480", profile, "float8_e4m3fn", E4M3FN_TIE, (0x7E, 0xFE, 0x7E), peer)
        for profile, peer in (
            ("ieee", None), ("ml_dtypes-0.6", "ml_dtypes"), ("torch-2.14", "torch"), ("torch-2.11", None),
            ("onnx-saturate", "onnx-saturate"), ("onnx", "onnx"), ("cuda-satfinite", "cuda-satfinite"),
            ("cuda-nosat", "cuda-nosat"),
        )
    ),
    *(
        Row("e4m3fn overflow", profile, "float8_e4m3fn", E4M3FN_OVER, (0x7F,) * 3, peer)
        for profile, peer in (
            ("ieee", None), ("ml_dtypes-0.6", "ml_dtypes"), ("onnx", "onnx"), ("cuda-nosat", "cuda-nosat"),
            ("torch-2.11", None),
        )
    ),
    *(
        Row("e4m3fn overflow", profile, "float8_e4m3fn", (*E4M3FN_OVER, -1000.0), (0x7E,) * 3 + (0xFE,), profile)
        for profile in ("torch", "onnx-saturate", "cuda-satfinite")
    ),
    *(
        Row("e4m3fn infinities", profile, "float8_e4m3fn", (INF, -INF), codes, peer)
        for profile, peer, codes in (
            ("ml_dtypes-0.6", "ml_dtypes", (0x7F, 0xFF)), ("torch-2.14", "torch", (0x7E, 0xFE)),
            ("torch-2.11", None, (0x7F, 0xFF)), ("onnx-saturate", "onnx-saturate", (0x7E, 0xFE)),
            ("cuda-satfinite", "cuda-satfinite", (0x7E, 0xFE)),
        )
    ),
    *(
        Row("e5m2 overflow", profile, "float8_e5m2", E5M2_OVER, (over,) * 4 + (over | 0x80,), peer)
        for profile, peer, over in (
            ("ml_dtypes-0.6", "ml_dtypes", 0x7C), ("torch-2.14", "torch", 0x7C), ("cuda-nosat", "cuda-nosat", 0x7C),
            ("onnx-saturate", "onnx-saturate", 0x7B), ("cuda-satfinite", "cuda-satfinite", 0x7B),
        )
    ),
    Row("a NaN loses its sign, overflow not", "cuda-nosat", "float8_e4m3fn", (-1000.0, -INF, -NAN), (0xFF, 0xFF, 0x7F),
        "cuda-nosat"),
    Row("e5m2 below overflow", "ml_dtypes", "float8_e5m2", (61439.0, 57344.0), (0x7B, 0x7B), "ml_dtypes"),
    *(
        Row("beyond 240", profile, "float8_e4m3", (240.0, 247.0, 248.0, INF), (0x77, 0x77, 0x78, 0x78), peer)
        for profile, peer in (("ml_dtypes", "ml_dtypes"), ("ieee", "apytypes-nearest_even"))
    ),
    *(
        Row("fnuz overflow", profile, f"float8_{kind}fnuz", tuple(v * scale for v in FNUZ_OVER), codes, peer)
        for kind, scale in (("e4m3", 1), ("e5m2", 248))
        for profile, peer, codes in (
            ("ml_dtypes-0.6", "ml_dtypes", (0x80,) * 5), ("torch-2.14", "torch", (0x80,) * 5),
            ("onnx-saturate", "onnx-saturate", (0x7F, 0x7F, 0xFF, 0x7F, 0xFF)),
        )
    ),
    *(
        Row("fnuz zeros", profile, fmt, (-0.0, -1e-30, -1e-9, 0.0), (0,) * 4, peer)
        for fmt in ("float8_e4m3fnuz", "float8_e5m2fnuz")
        for profile, peer in (
            ("ieee", None), ("ml_dtypes-0.6", "ml_dtypes"), ("torch-2.14", "torch"), ("onnx-saturate", "onnx-saturate"),
        )
    ),
    *(
        Row("fp6 and fp4 overflow", profile, fmt, (100.0, -100.0, INF, -INF), (top, top | sign, top, top | sign), peer)
        for fmt, top, sign in (("float6_e3m2fn", 0x1F, 0x20), ("float6_e2m3fn", 0x1F, 0x20), ("float4_e2m1fn", 7, 8))
        for profile, peer in (
            ("ieee", None), ("ml_dtypes-0.6", "ml_dtypes"), ("cuda-satfinite", "cuda-satfinite"),
            ("cuda-nosat", "cuda-nosat"), ("onnx-saturate", "onnx-saturate"), ("onnx", "onnx"),
        )
        if peer is None or fmt in PEERS[peer].formats
    ),
    *(
        Row("fp6 and fp4 NaN", profile, fmt, QUIET[:count], codes[:count], peer)
        for fmt, top, sign in (("float6_e3m2fn", 0x1F, 0x20), ("float6_e2m3fn", 0x1F, 0x20), ("float4_e2m1fn", 7, 8))
        for profile, peer, count, codes in (
            ("ieee", None, 2, (sign, sign)), ("ml_dtypes-0.6", "ml_dtypes", 1, (sign,)),
            ("cuda-satfinite", "cuda-satfinite", 2, (top, top)), ("cuda-nosat", "cuda-nosat", 2, (top, top)),
        )
    ),
    Row("fp4 negative NaN", "ml_dtypes", "float4_e2m1fn", QUIET, (8, 0), "ml_dtypes"),
    Row("fp6 negative NaN", "ml_dtypes", "float6_e2m3fn", QUIET, (0x20, 0), "ml_dtypes"),
    Row("fp6 negative NaN", "ml_dtypes", "float6_e3m2fn", QUIET, (0x20, 0), "ml_dtypes"),
    *(Row("fp4 negative NaN", name, "float4_e2m1fn", QUIET, (8, 0), name) for name in ("onnx", "onnx-saturate")),
    *(
        Row("e5m2 NaN", profile, "float8_e5m2", np.concatenate([QUIET, SIGNALLING]), codes, peer)
        for profile, peer, codes in (
            ("ml_dtypes-0.6", "ml_dtypes", (0x7E, 0xFE, 0x7E, 0x7E, 0x7E, 0xFE)),
            ("torch-2.14", "torch", (0x7F, 0xFF, 0x7F, 0x7F, 0x7F, 0xFF)),
            ("cuda-satfinite", "cuda-satfinite", (0x7F,) * 6), ("cuda-nosat", "cuda-nosat", (0x7F,) * 6),
        )
    ),
    Row("e5m2 NaN from float64", "cuda-satfinite", "float8_e5m2",
        f64(0x7FF8 << 48, 0xFFF8 << 48, 0x7FF4 << 48, (0x7FF0 << 48) + 1), (0x7E, 0xFE, 0x7F, 0x7E), "cuda-satfinite"),
    *(
        Row("e4m3fn NaN's sign", rules, "float8_e4m3fn", x, codes, peer)
        for rules, peer, x, codes in (
            ("ml_dtypes-0.6", "ml_dtypes", QUIET, (0x7F, 0xFF)), ("torch-2.14", "torch", QUIET, (0x7F, 0xFF)),
            ("cuda-satfinite", "cuda-satfinite", QUIET, (0x7F, 0x7F)),
            ("cuda-satfinite", "cuda-satfinite", f64(0x7FF8 << 48, 0xFFF8 << 48), (0x7F, 0xFF)),
        )
    ),
    *(
        Row("bf16 NaN", profile, "bfloat16", np.concatenate([QUIET, SIGNALLING]), codes, peer)
        for profile, peer, codes in (
            ("torch-2.14", None, (0xFFFF,) * 6),  # its vector loop's: tests/peers/tools.py
            ("ml_dtypes-0.6", "ml_dtypes", (0x7FC0, 0xFFC0, 0x7FC0, 0x7FC0, 0x7FC0, 0xFFC0)),
            ("gguf", "gguf", (0x7FC0, 0xFFC0, 0x7FC0, 0x7FE0, 0x7FC0, 0xFFE0)),
            ("cuda-nosat", "cuda-nosat", (0x7FFF,) * 6),
        )
    ),
    *(
        Row("fp16 signalling NaN", profile, "float16", SIGNALLING, codes, peer)
        for profile, peer, codes in (
            ("numpy", "numpy", (0x7C01, 0x7D00, 0x7C01, 0xFD00)), ("gguf", "gguf", (0x7C01, 0x7D00, 0x7C01, 0xFD00)),
            ("torch-2.14", "torch", (0x7E00, 0x7F00, 0x7E01, 0xFF00)), ("cuda-nosat", "cuda-nosat", (0x7FFF,) * 4),
        )
    ),
    # rounding twice, through float32: ours is the exact answer, and theirs under their profile
    *(
        row
        for fmt, dtype, value, exact, twice, tools in (
            ("float8_e4m3fn", "float64", -431.99999999999994, 0xFD, 0xFE, ("ml_dtypes", "torch")),
            ("bfloat16", "float64", 1 + 2.0**-8 + 2.0**-40, 0x3F81, 0x3F80, ("ml_dtypes", "torch")),
            ("float16", "float64", 1 + 2.0**-11 + 2.0**-40, 0x3C01, 0x3C00, ("torch",)),
            ("bfloat16", "int64", 16973823, 0x4B81, 0x4B82, ("ml_dtypes", "torch")),
        )
        for tool in tools
        for row in (
            Row("rounded once", "ieee", fmt, (value,), (exact,), tool, (twice,), dtype),
            Row("rounded twice", tool, fmt, (value,), (twice,), tool, dtype=dtype),
        )
    ),
    Row("rounded once", "numpy", "float16", (1 + 2.0**-11 + 2.0**-40,), (0x3C01,), "numpy", dtype="float64"),
    # defects: pychop loses the carry above the largest binade; onnxruntime's overflow does not round first
    Row("beyond the range", "ieee", "float16", (65536.0, 100000.0, 131071.0), (0x7C00,) * 3, "pychop", (0, 0, 0)),
    Row("beyond the range", "ieee", "float8_e4m3", (256.0, 300.0, 511.0), (0x78,) * 3, "pychop", (0, 0, 0)),
    Row("overflow", "onnx", "float8_e4m3fn", (480.0, 495.0), (0x7F,) * 2, "onnxruntime", (0x7E,) * 2),
    Row("overflow", "onnx", "float8_e5m2", (61440.0, 65535.0), (0x7C,) * 2, "onnxruntime", (0x7E,) * 2),
    # directed overflow: IEEE 754-2019 clause 7.4, P3109 interim report 4.0
    *(
        Row("directed overflow", {"rounding": rounding}, fmt, (1e30, -1e30), codes)
        for fmt, ways in {
            "float16": {
                "nearest_even": (0x7C00, 0xFC00), "toward_zero": (0x7BFF, 0xFBFF), "toward_positive": (0x7C00, 0xFBFF),
                "toward_negative": (0x7BFF, 0xFC00), "away_from_zero": (0x7C00, 0xFC00), "to_odd": (0x7BFF, 0xFBFF),
            },
            "float8_e4m3fn": {
                "nearest_even": (0x7F, 0xFF), "toward_zero": (0x7E, 0xFE), "toward_positive": (0x7F, 0xFE),
                "toward_negative": (0x7E, 0xFF), "away_from_zero": (0x7F, 0xFF), "to_odd": (0x7E, 0xFE),
            },
            "binary8p4se": {
                "nearest_even": (0x7F, 0xFF), "toward_zero": (0x7E, 0xFE), "toward_positive": (0x7F, 0xFE),
                "toward_negative": (0x7E, 0xFF), "to_odd": (0x7F, 0xFF),
            },
            "binary8p4sf": {"nearest_even": (0x7F, 0xFF), "toward_negative": (0x7F, 0xFF), "to_odd": (0x7F, 0xFF)},
            "binary8p4ue": {
                "nearest_even": (0xFE, 0xFF), "toward_zero": (0xFD, 0), "toward_positive": (0xFE, 0),
                "to_odd": (0xFD, 0xFF),
            },
        }.items()
        for rounding, codes in ways.items()
    ),
]  # fmt: skip

INTEGERS = [
    Row("truncates and wraps", "ml_dtypes", "int4", (8.0, 100.0, -9.0, 7.9, -8.9, NAN, INF, -INF),
        (0x8, 0x4, 0x7, 0x7, 0x8, 0, 0, 0), "ml_dtypes"),
    *(
        Row("C conversion", tool, "int8", (300.0, -129.0, 1.9, -1.9, NAN, INF, -INF), (44, 127, 1, 0xFF, 0, 0, 0), tool)
        for tool in ("numpy", "torch")
    ),
    *(
        Row("quantizers", {"profile": QUANTIZER}, "int8", (0.5, 1.5, -2.5, 127.5, 300.0, -300.0),
            (0, 2, 0xFE, 0x7F, 0x7F, 0x80), peer)
        for peer in (None, "onnx-quantize", "onnxruntime-quantize", "torch-quantize", "torch-fake-quantize")
    ),
    Row("integers by default", "ieee", "int8", (0.5, 1.5, -2.5, 300.0, -300.0, NAN, INF, -INF),
        (0, 2, 0xFE, 0x7F, 0x80, 0, 0x7F, 0x80)),
    *(
        Row("quantizers' NaN", {"profile": QUANTIZER.replace(nan=rule)}, "int8", (NAN,), codes, peer)
        for rule, codes, peer in (
            ("max", (127,), "torch-quantize"), ("min", (0x80,), "torch-fake-quantize"),
            ("min", (0x80,), "onnxruntime-quantize"), ("min", (0x80,), "onnx-quantize"),
        )
    ),
    *(
        Row("quantizers' infinity", {"profile": QUANTIZER}, "int8", (INF, -INF), (0x7F, 0x80), peer, theirs)
        for peer, theirs in (("torch-quantize", None), ("onnxruntime-quantize", None), ("onnx-quantize", (0x80, 0x80)))
    ),
    Row("fxpmath", {"profile": QUANTIZER.replace(rounding="toward_zero", nan="max")}, "q3.4",
        (1.99, -1.99, -0.3, 100.0, -100.0, INF, NAN), (0x1F, 0xE1, 0xFC, 0x7F, 0x80, 0x7F, 0x7F), "fxpmath"),
]  # fmt: skip

E8M0 = "float8_e8m0fnu"
E8M0_SOURCES = (1.5, 3.0, 0.0, -1.0, -2.0, 2.0**-127, 2.0**-140, 3e38, INF)
GFLOAT_E8M0 = fe.profile("ieee").replace(missing_zero="nan")
SCALES = [
    Row("E8M0", "ml_dtypes", E8M0, E8M0_SOURCES, (0x80, 0x81, 0xFF, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF), "ml_dtypes"),
    Row("E8M0", "torch-2.14", E8M0, E8M0_SOURCES, (0x80, 0x81, 0, 0x7F, 0x80, 0, 0, 0xFF, 0xFF), "torch"),
    Row("E8M0 up", "onnx-saturate", E8M0, E8M0_SOURCES, (0x80, 0x81, 0, 0x7F, 0x80, 0, 0, 0xFE, 0xFF), "onnx-saturate",
        theirs=(0x80, 0x81, 0, 0x7F, 0x80, 1, 1, 0xFE, 0xFF)),
    Row("E8M0 down", {"profile": "onnx-saturate", "rounding": "toward_zero"}, E8M0, E8M0_SOURCES,
        (0x7F, 0x80, 0, 0x7F, 0x80, 0, 0, 0xFE, 0xFF), "onnx-saturate-down"),
    Row("E8M0 nearest", {"profile": "onnx-saturate", "rounding": "nearest_away"}, E8M0, E8M0_SOURCES,
        (0x80, 0x81, 0, 0x7F, 0x80, 0, 0, 0xFE, 0xFF), "onnx-saturate-nearest"),
    Row("E8M0 nearest", {"profile": GFLOAT_E8M0}, E8M0, E8M0_SOURCES,
        (0x80, 0x80, 0xFF, 0xFF, 0xFF, 0, 0xFF, 0xFF, 0xFF), "gfloat-scalar"),
    Row("E8M0 nearest saturating", {"profile": GFLOAT_E8M0.replace(overflow="saturate", infinity="saturate")}, E8M0,
        E8M0_SOURCES, (0x80, 0x80, 0xFF, 0xFF, 0xFF, 0, 0xFF, 0xFE, 0xFE), "gfloat-scalar-saturate"),
    Row("E8M0 toward zero", {"profile": "cuda-satfinite", "rounding": "toward_zero"}, E8M0, E8M0_SOURCES,
        (0x7F, 0x80, 0, 0x7F, 0x80, 0, 0, 0xFE, 0xFE), "cuda-satfinite-toward-zero"),
    Row("E8M0 toward zero", {"profile": "cuda-nosat", "rounding": "toward_zero"}, E8M0, E8M0_SOURCES,
        (0x7F, 0x80, 0, 0x7F, 0x80, 0, 0, 0xFE, 0xFF), "cuda-nosat-toward-zero"),
    *(
        Row("E8M0 up", profile, E8M0, E8M0_SOURCES, (0x80, 0x81, 0, 0x7F, 0x80, 0, 0, top, infinity), profile)
        for profile, top, infinity in (("cuda-satfinite", 0xFE, 0xFE), ("cuda-nosat", 0xFF, 0xFF))
    ),
    # just above 2^-127 is nearer to it than to 2^-126: float32's subnormals, which each takes for halves
    *(
        Row("E8M0 nearest to 2^-127", rules, E8M0, (1.25 * 2.0**-127, 1.5 * 2.0**-127), (0, 1), peer, (1, 1))
        for rules, peer in (
            ("ml_dtypes", "ml_dtypes"), ("torch", "torch"),
            ({"profile": "onnx", "rounding": "nearest_away"}, "onnx-nearest"),
        )
    ),
]  # fmt: skip

LEAST = 2.0**-126
JUST_BELOW = LEAST * (1 - 2.0**-26)  # rounds to the smallest normal number, with unbounded exponents too
TINY = (LEAST, JUST_BELOW, -JUST_BELOW, -LEAST * (1 - 2.0**-24), LEAST / 2, -(2.0**-1074))
FLUSHED = [
    *(
        Row("FTZ and DAZ" if profile[0] == "x" else "FZ", profile, "float32", TINY,
            (0x800000, below, below | 0x80000000 if below else 0x80000000, 0x80000000, 0, 0x80000000), dtype="float64")
        for profile, below in (("x86-sse-ftz", 0x800000), ("arm-fz", 0))
    ),
    *(Row("half precision is apart", profile, "float16", (2.0**-24, 1.5 * 2.0**-15, -(2.0**-126)), (1, 0x300, 0x8000))
      for profile in ("x86-sse-ftz", "arm-fz")),
    *(Row("the source's subnormals", profile, "float32", np.array([1, 0x8001], np.uint16).view(np.float16),
          (0x33800000, 0xB3800000)) for profile in ("x86-sse-ftz", "arm-fz")),
]  # fmt: skip

ROWS = [*FLOATS, *INTEGERS, *SCALES, *FLUSHED]
# What C leaves undefined, and what becomes of a signalling NaN, is the CPU's: the rows have x86's.
LIVE = [
    row
    for row in ROWS
    if row.peer
    and PEERS[row.peer].available()
    and (X86 or row.case not in ("C conversion", "truncates and wraps", "fp16 signalling NaN"))
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row(row):
    """Our codes, under the tool's rules."""
    rules = {"profile": row.rules} if isinstance(row.rules, str) else row.rules
    codes = tuple(fe.encode(row.x, row.fmt, **rules).tolist())
    assert [hex(code) for code in codes] == [hex(code) for code in row.codes]
    if row.theirs is not None:
        assert codes != row.theirs


@pytest.mark.parametrize("row", LIVE, ids=str)
def test_tool_does_so(row):
    """The tool's own codes, where it is installed."""
    codes = PEERS[row.peer].encode(row.x, row.fmt).tolist()
    assert [hex(code) for code in codes] == [hex(code) for code in row.theirs or row.codes]


def test_e4m3_is_not_e4m3fn():
    """Of all float16 inputs, so many get another value, and so many another code, in the two formats called e4m3."""
    x = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    fn, ieee = (fe.cast(x, fmt, profile="ieee") for fmt in ("float8_e4m3fn", "float8_e4m3"))
    assert np.sum((fn != ieee) & ~(np.isnan(fn) & np.isnan(ieee))) == 16_514
    fn, ieee = (fe.encode(x, fmt, profile="ieee") for fmt in ("float8_e4m3fn", "float8_e4m3"))
    assert np.sum(fn != ieee) == 18_302


def test_fp4_nan_may_be_an_error():
    """As gfloat has it: a NaN that the format cannot hold is refused."""
    strict = fe.profile("ieee").replace(nan="error")
    assert fe.encode(np.float32([1, 2]), "float4_e2m1fn", profile=strict).tolist() == [2, 4]
    with pytest.raises(ValueError, match=r"(?i)nan"):
        fe.encode(np.float32([1, NAN]), "float4_e2m1fn", profile=strict)


@pytest.mark.parametrize("tininess", ["after", "before"])
def test_tininess_changes_no_bit(tininess):
    """Underflow may be detected before or after rounding: both can be chosen, for flags; the codes are the same.

    Only what `flush_tiny` makes zero depends on it.
    """
    x = np.float32([2**-14 * (1 - 2**-12), 2**-14 * (1 - 2**-13), 2**-25, 6e-8])
    rules = fe.profile("ieee").replace(tininess=tininess)
    assert rules.tininess.value == tininess
    assert fe.encode(x, "float16", profile=rules).tolist() == [0x0400, 0x0400, 0, 1]
    flushed = fe.encode(x, "float16", profile=rules.replace(subnormals_out="flush_tiny")).tolist()
    assert flushed == ([0x0400, 0x0400, 0, 0] if tininess == "after" else [0, 0, 0, 0])


def test_mxint8_minus_two():
    """Two's complement has -2.0; the symmetric kind ends at -1.984375, and still decodes the lowest code."""
    full = fe.IntFormat("mxint8", 8, fraction_bits=6)
    symmetric = fe.IntFormat("mxint8_symmetric", 8, fraction_bits=6, symmetric=True)
    x = np.float32([-2, -3, 1.984375])
    assert fe.encode(x, full).tolist() == [0x80, 0x80, 0x7F]
    assert fe.encode(x, symmetric).tolist() == [0x81, 0x81, 0x7F]
    assert fe.cast(x, symmetric).tolist() == [-1.984375, -1.984375, 1.984375]
    assert fe.decode(np.uint8([0x80]), symmetric).tolist() == [-2]

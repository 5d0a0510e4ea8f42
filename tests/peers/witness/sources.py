"""The numbers that peers are asked to cast: chosen where casts go wrong, the same on every machine."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

import fpemu as fe

Array = np.ndarray[Any, Any]


# What the sources of each name are, as docs/reference/profiles.md says it.
KINDS = {
    "bfloat16": "every bfloat16 pattern, as float32",
    "float16": "every float16 pattern, as float32",
    "float32": "float32: every exponent field with 77 significands; chosen midpoints and their neighbours",
    "float64": "float64: chosen midpoints, their neighbours, and numbers 2^-30 (relative) away; extremes; no NaN",
    "float32 NaN": "float32: quiet and signaling NaNs of both signs, with each payload bit",
    "float64 NaN": "float64: the same",
    "bfloat16 array": "every bfloat16 pattern, as the tool's own bfloat16",
    "float16 array": "every float16 pattern, as float16",
    "float32 edges": "float32: around every power of two up to 2^65, also non-integers; NaN, infinities, extremes",
    "float64 edges": "float64: the same",
    "int64": "int64: small numbers; around every power of two, midpoints of formats with low precision",
    **{f"{kind} array": f"{kind}: around every power of two" for kind in (
        "int8", "uint8", "int16", "uint16", "int32", "uint32", "uint64")},
    "bool array": "bool: both values",
}  # fmt: skip


def every_bfloat16() -> Array:
    """All 65,536 bfloat16 patterns as float32."""
    return (np.arange(1 << 16, dtype=np.uint32) << 16).view(np.float32)


def every_float16() -> Array:
    """All 65,536 float16 patterns as float32, each NaN with its payload: by integers, for CPUs quieten NaNs."""
    bits = np.arange(1 << 16, dtype=np.uint16)
    wide = bits.view(np.float16).astype(np.float32)
    nan = np.isnan(wide)
    code = bits[nan].astype(np.uint32)
    wide.view(np.uint32)[nan] = (code & 0x8000) << 16 | 0x7F800000 | (code & 0x3FF) << 13
    return wide


def midpoints(fmt: str, everything: bool) -> Array:
    """What lies halfway between neighbours of `fmt`, and beyond its ends; of a large format some in each binade."""
    if fe.dtype(fmt).bits > 16:
        return wide_midpoints(fmt)
    values = fe.dtype(fmt).values()
    values = np.unique(values[np.isfinite(values)])
    halfway = values[:-1] / 2 + values[1:] / 2
    if len(halfway) > 4096 and not everything:
        place = (np.arange(len(halfway)) - np.searchsorted(halfway, 0)) % 64
        halfway = halfway[np.isin(place, (0, 1, 31, 32, 62, 63))]
    ends = np.outer(values[[0, -1]], [1, 1.03125, 1.0625, 1.125, 1.25, 1.5, 1.75, 2, 3, 4]).ravel()
    return np.unique(np.concatenate([halfway, ends]))


def wide_midpoints(fmt: str) -> Array:
    """The same for formats of too many values: halves of integers, and of float32's neighbours; float64 has none."""
    if fmt == "float32":
        low = float32_grid()
        low = low[np.isfinite(low)]
        with np.errstate(over="ignore"):
            high = np.nextafter(low, np.float32(np.inf))
        halfway = np.where(np.isfinite(high), low / 2.0 + high.astype(np.float64) / 2, 2.0**128 - 2.0**103)
        return np.unique(np.concatenate([halfway[::16], [2.0**128 - 2.0**103, -(2.0**128) + 2.0**103]]))
    return np.array([]) if fmt == "float64" else edges("float64")[1:-2]


def edges(kind: str) -> Array:
    """Numbers about the powers of two where integer formats end, in float32 or float64: -NaN, sorted, infinity, NaN."""
    dtype = np.dtype(kind)
    found = {0.0, 0.3, 0.5, 0.7, 1e10, 3e9, 1e20, 1e30, 3e38, float(np.finfo(dtype).max), np.inf}
    with np.errstate(over="ignore"):
        for power in range(66):
            one = dtype.type(2.0**power)
            near = [np.nextafter(one, dtype.type(0)), one, np.nextafter(one, dtype.type(np.inf)), one * dtype.type(1.5)]
            near += [one + dtype.type(off) for off in (-1.5, -1, -0.5, 0.5, 1, 1.5)]
            found |= {float(x) for x in near}
    numbers = sorted(found | {-x for x in found})
    return np.array([-np.nan, *numbers, np.nan], dtype)


def nans(kind: str) -> Array:
    """NaN of both signs with every payload bit alone, quiet and signalling, and all ones."""
    word, trailing = (np.uint32, 23) if kind == "float32" else (np.uint64, 52)
    infinity = ((1 << (8 if trailing == 23 else 11)) - 1) << trailing
    payloads = {1 << bit for bit in range(trailing)} | {3 << bit for bit in range(trailing - 1)}
    payloads |= {payload | 1 << (trailing - 1) for payload in payloads} | {(1 << trailing) - 1}
    sign = 1 << (8 * np.dtype(word).itemsize - 1)
    codes = [side | infinity | payload for side in (0, sign) for payload in sorted(payloads)]
    return np.array(codes, word).view(kind)


def integers(kind: str) -> Array:
    """Integers of a type about every power of two, and its ends; both truth values."""
    if kind == "bool":
        return np.array([False, True])
    info = np.iinfo(kind)
    found = {0, info.min, info.max}
    for power in range(info.bits):
        found |= {sign * (1 << power) + off for sign in (1, -1) for off in (-2, -1, 0, 1, 2)}
        found |= {sign * 3 * (1 << power) for sign in (1, -1)}
    return np.array(sorted(n for n in found if info.min <= n <= info.max), kind)


def float32_grid() -> Array:
    """Every exponent field with chosen significands, both signs: NaN, infinities, subnormals and zeros among them."""
    lows = [0, 1, 2, 3, 0x2AAAAA, 0x555555, 0x7FFFFE, 0x7FFFFF]
    halves = [(1 << bit) + off for bit in range(11, 23) for off in (-1, 0, 1)]
    odd_halves = [(3 << bit) + off for bit in range(11, 22) for off in (-1, 0, 1)]
    fields = np.arange(512, dtype=np.uint32)[:, None] << 23
    return (fields | np.array([*lows, *halves, *odd_halves], np.uint32)).ravel().view(np.float32)


def beside(x: Array) -> Array:
    """Each number with both its neighbours."""
    return np.concatenate([np.nextafter(x, x.dtype.type(-np.inf)), x, np.nextafter(x, x.dtype.type(np.inf))])


def float64_halves(fmt: str, everything: bool) -> Array:
    """Midpoints of `fmt` with what lies so near that float32 cannot tell them apart; extremes, no NaN."""
    halfway = midpoints(fmt, everything)
    near = np.concatenate([halfway * (1 + side) for side in (-(2.0**-30), 2.0**-30)])
    extremes = np.outer([-1, 1], [0, 5e-324, 1e-300, 2.0**-150, 1e-45, 1e39, 1e300, np.inf]).ravel()
    return np.concatenate([beside(halfway), near, extremes])


def int64_halves() -> Array:
    """Small integers, and around each power of two the midpoints of formats with few digits."""
    numbers = set(range(-300, 301)) | {16973823, (1 << 63) - 1, -(1 << 63)}
    for power in range(8, 63):
        for digits in (1, 2, 3, 4, 5, 8, 11, 24):
            if digits <= power:
                for middle in ((1 << power) + (1 << power - digits), (1 << power) + (3 << power - digits >> 1)):
                    beside = {middle - 1, middle, middle + 1} - {1 << 63}
                    numbers |= beside | {-number for number in beside}
    return np.array(sorted(numbers), np.int64)


def source(kind: str, fmt: str, everything: bool = False) -> Array:
    """The numbers named `kind` for a cast to `fmt`; `everything`: around every midpoint, for peers that are at hand."""
    if kind == "bfloat16":
        return every_bfloat16()
    if kind == "float16":
        return every_float16()
    if kind == "float32":
        with np.errstate(over="ignore"):
            return np.concatenate([float32_grid(), beside(midpoints(fmt, everything).astype(np.float32))])
    if kind == "float64":
        with np.errstate(over="ignore"):
            return float64_halves(fmt, everything)
    if kind == "int64":
        return int64_halves()
    dtype, _, what = kind.partition(" ")
    if what == "NaN":
        return nans(dtype)
    if what == "edges":
        return edges(dtype)
    if dtype == "float16":
        return np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    if dtype == "bfloat16":
        import ml_dtypes

        return np.arange(1 << 16, dtype=np.uint16).view(ml_dtypes.bfloat16)
    return integers(dtype)


def digest(x: Array) -> str:
    """A short name for these very numbers."""
    return hashlib.sha256(x.tobytes()).hexdigest()[:16]

"""The numbers that peers are asked to cast: chosen where casts go wrong, the same on every machine."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

import fpemu as fe

Array = np.ndarray[Any, Any]


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
    values = fe.dtype(fmt).values()
    values = np.unique(values[np.isfinite(values)])
    halfway = values[:-1] / 2 + values[1:] / 2
    if len(halfway) > 4096 and not everything:
        place = (np.arange(len(halfway)) - np.searchsorted(halfway, 0)) % 64
        halfway = halfway[np.isin(place, (0, 1, 31, 32, 62, 63))]
    ends = np.outer(values[[0, -1]], [1, 1.03125, 1.0625, 1.125, 1.25, 1.5, 1.75, 2, 3, 4]).ravel()
    return np.unique(np.concatenate([halfway, ends]))


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
        return float64_halves(fmt, everything)
    return int64_halves()


def digest(x: Array) -> str:
    """A short name for these very numbers."""
    return hashlib.sha256(x.tobytes()).hexdigest()[:16]

"""Arrays of numbers to cast, structured rather than random: every exponent, every tie, every edge."""

from __future__ import annotations

import functools
import itertools

import ml_dtypes
import numpy as np

from tests.oracle import spec
from tests.oracle.spec_values import magnitude_value, top

SIGNIFICANT_PATTERNS = 12  # of the float64 set


@functools.cache
def float16():
    """Every float16."""
    return np.arange(1 << 16, dtype=np.uint16).view(np.float16)


@functools.cache
def bfloat16():
    """Every bfloat16."""
    return np.arange(1 << 16, dtype=np.uint16).view(ml_dtypes.bfloat16)


def _patterns(trailing_bits, rng, count):
    """Trailing significands: each bit alone, each bit with its neighbours, runs of ones, random ones."""
    ones = (1 << trailing_bits) - 1
    found = {0, 1, 2, 3, ones, ones - 1, ones - 2, 0x555555555555555 & ones, 0xAAAAAAAAAAAAAAA & ones}
    for bit in range(trailing_bits):
        one = 1 << bit
        found |= {one, one + 1, one - 1, ones ^ one, ones ^ (one - 1), 3 * one & ones, (3 * one + 1) & ones}
    found |= set(rng.integers(0, ones, count).tolist())
    return np.array(sorted(found), np.uint64)


@functools.cache
def float32():
    """Each sign and exponent field of float32 with the same 150 or so trailing significands: 90,000 values."""
    patterns = _patterns(23, np.random.default_rng(32), 20).astype(np.uint32)
    signs_and_fields = np.arange(512, dtype=np.uint32) << 23
    return (signs_and_fields[:, None] | patterns[None, :]).ravel().view(np.float32)


@functools.cache
def float64():
    """Each sign and exponent field of float64 with twelve trailing significands of its own: 49,152 values."""
    rng = np.random.default_rng(64)
    patterns = _patterns(52, rng, 60)
    chosen = rng.choice(patterns, (4096, SIGNIFICANT_PATTERNS))
    chosen[:, :3] = 0, 1, (1 << 52) - 1
    signs_and_fields = np.arange(4096, dtype=np.uint64) << 52
    return (signs_and_fields[:, None] | chosen).ravel().view(np.float64)


@functools.cache
def int64():
    """Integers near every power of two and near every sum of two powers."""
    return _integers(63, np.int64)


@functools.cache
def uint64():
    """As `int64`, to 2^64."""
    return _integers(64, np.uint64)


def _integers(bits, dtype):
    found = set()
    for high in range(bits + 1):
        for low in range(high + 1):
            found |= {sign * ((1 << high) + (1 << low) + d) for sign in (1, -1) for d in (-1, 0, 1)}
    limits = np.iinfo(dtype)
    return np.array(sorted(n for n in found if limits.min <= n <= limits.max), dtype)


def sample(array, count, seed):
    """Some elements, determined by a seed, including the special values."""
    if array.size <= count:
        return array
    chosen = np.random.default_rng(seed).choice(array, count, replace=False)
    if array.dtype.kind in "iu":
        return chosen
    chosen[:5] = np.array([0.0, -0.0, np.inf, -np.inf, np.nan], array.dtype)
    return chosen


def random_bits(size, bits, seed):
    """Random integers below 2^bits, including both ends."""
    drawn = np.random.default_rng(seed).integers(0, 1 << bits, size, dtype=np.uint32)
    drawn[::7] = 0
    drawn[3::7] = (1 << bits) - 1
    return drawn


def magnitudes(fmt):
    """Exact (significand, exponent) of every magnitude of a float or integer format, one more above the largest."""
    if fmt.kind == "int":
        return [(n, -fmt.fraction_bits) for n in range((1 << (fmt.bits - fmt.signed)) + 1)]
    finite = [magnitude_value(code, fmt) for code in range(top(fmt) + 1)]
    largest = spec.target(fmt, fmt.profile).max_code
    above = magnitude_value(largest + 1, fmt)
    return [(0, 0)] * (not fmt.zero) + finite[: largest + 1] + [above]


def midpoints(fmt, dtype):
    """Every tie of a format, above its largest value too, with both neighbours of each in `dtype`, and both signs.

    Ties that `dtype` does not hold are left out.
    """
    ties = []
    values = magnitudes(fmt)
    for low, high in itertools.pairwise(values):
        exponent = min(low[1], high[1])
        total = (low[0] << (low[1] - exponent)) + (high[0] << (high[1] - exponent))
        if exponent > -1074 and exponent + total.bit_length() < 1024:
            ties.append(np.ldexp(float(total), exponent - 1))
    ties = np.array(ties)
    with np.errstate(over="ignore"):
        kept = ties.astype(dtype)
    kept = kept[kept.astype(np.float64) == ties]
    near = np.concatenate([np.nextafter(kept, dtype(0)), kept, np.nextafter(kept, dtype(np.inf))])
    return np.concatenate([near, -near])


def narrow_integers(dtype):
    """Every value of a type of up to 16 bits, edges of wider ones."""
    if dtype in ("int4", "uint4", "int2"):
        bits = int(dtype[-1])
        low = 0 if dtype.startswith("u") else -(1 << (bits - 1))
        return np.arange(low, low + (1 << bits)).astype(getattr(ml_dtypes, dtype))
    if dtype == "bool":
        return np.array([False, True])
    limits = np.iinfo(dtype)
    if limits.bits <= 16:
        return np.arange(limits.min, limits.max + 1).astype(dtype)
    wide = int64()
    return wide[(wide >= limits.min) & (wide <= limits.max)].astype(dtype)


def subnormals(dtype):
    """Subnormals of a floating-point type with the largest and the smallest, and the smallest normals."""
    info = ml_dtypes.finfo(dtype)
    bits = {16: np.uint16, 32: np.uint32, 64: np.uint64}[info.bits]
    smallest_normal = int(np.array(info.smallest_normal, dtype).view(bits))
    codes = {1, 2, 3, smallest_normal - 1, smallest_normal, smallest_normal + 1}
    codes |= set(np.random.default_rng(9).integers(1, smallest_normal, 200).tolist())
    sign = 1 << (info.bits - 1)
    return np.array(sorted(codes | {code | sign for code in codes}), bits).view(dtype)


@functools.cache
def float32_few():
    """Each sign and exponent field of float32 with 24 trailing significands of its own: 12,288 values."""
    return _few(23, 512, 24).astype(np.uint32).view(np.float32)


@functools.cache
def float64_few():
    """Each second sign and exponent field of float64, all of those near float32's, with six: 15,000 values."""
    words = _few(52, 4096, 6)
    field = words >> np.uint64(52) & np.uint64(2047)
    return words[(field % 2 == 1) | (field == 0) | ((field > 850) & (field < 1180))].view(np.float64)


def _few(trailing_bits, fields, count):
    rng = np.random.default_rng(trailing_bits)
    chosen = rng.choice(_patterns(trailing_bits, rng, 60), (fields, count))
    chosen[:, :3] = 0, 1, (1 << trailing_bits) - 1
    return (np.arange(fields, dtype=np.uint64)[:, None] << np.uint64(trailing_bits) | chosen).ravel()

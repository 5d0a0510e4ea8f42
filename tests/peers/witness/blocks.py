"""The blocks that quantizers are asked to scale: chosen where scales go wrong, the same on every machine.

Every source is an array (rows, size) of float32; a row is one block, one group, one channel or one small tensor.
"""

from __future__ import annotations

import functools

import numpy as np

from tests.peers.witness.sources import Array, midpoints

SOURCES = ("specials", "edges", "random")
SIGNIFICANDS = (1, 1 + 2**-23, 1.5, 2 - 2**-23)
FULL = (-126, 0, 127)  # exponents of amax that meet every significand
SOME = (-149, -148, -140, -135, -130, -128, -127, -125, -120, -118, -112, -111, -20, -9, -6, 1, 7, 8, 9, 100, 119, 126)
CODEBOOKS = {
    "nf4": np.array([-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
        -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634,
        0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0]),
    "fp4": np.array([-12, -8, -6, -4, -3, -2, -0.0625, 0, 0.0625, 2, 3, 4, 6, 8, 12]) / 12,
}  # fmt: skip
INTEGERS = {"int8": 127, "uint8": 255, "int4": 7, "uint4": 15}


def hashed(count: int, seed: int) -> Array:
    """Random uint64, by splitmix64: integers alone, so no library's generator can change them."""
    with np.errstate(over="ignore"):
        z = (np.arange(1, count + 1, dtype=np.uint64) + np.uint64(seed << 32)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ z >> np.uint64(31))


def normals(count: int, seed: int) -> Array:
    """Nearly normal numbers of 24 bits: the sum of twelve 20-bit integers, exact."""
    twelve = hashed(12 * count, seed).reshape(count, 12) >> np.uint64(44)
    return ((twelve.astype(np.int64).sum(axis=1) - 6 * ((1 << 20) - 1)) / 2.0**20).astype(np.float32)


def random(size: int) -> Array:
    """Twelve rows that look normal, and twelve with heavy tails in magnitudes that a row shares."""
    plain = normals(12 * size, 1).reshape(12, size)
    tails = normals(12 * size, 2) * 2.0 ** (np.bitwise_count(hashed(12 * size, 3)).astype(np.float32) - 32)
    shared = 2.0 ** np.array([-130, -126, -100, -40, -8, -1, 0, 5, 20, 60, 100, 110])
    return np.concatenate([plain, tails.reshape(12, size) * shared[:, None]]).astype(np.float32)


def specials(size: int) -> Array:
    """Zeros, spikes, subnormals, equal numbers, infinities, NaN, one sign only, float32's ends."""
    top, tiny, inf, nan = float(np.finfo(np.float32).max), 2.0**-149, np.inf, np.nan
    fill = normals(size, 4)
    rows = [np.full(size, v) for v in (0.0, -0.0, 1.0, -3.3, tiny, -5 * tiny, 2.0**-126, top, nan, inf)]
    rows.append(np.where(np.arange(size) % 2, 0.0, -0.0))
    rows.append(np.where(np.arange(size) % 2, 1.25, -1.25))
    rows.append(np.arange(size) * tiny)
    rows.append(abs(fill) + 3)
    rows.append(-abs(fill) - 3)
    rows.append(fill * 2.0**-128)
    rows.append(np.where(np.arange(size) % 2, 1e38, 1e-38))
    rows.append(np.where(np.arange(size) % 3, fill, 65519.0 + np.arange(size) % 2))
    for spike in (1.0, -1.0, tiny, 2.0**-127, 2.0**127, top, -top, inf, -inf, nan, -nan, 1e-12, 1e-13, 1e-38):
        for rest in (np.zeros(size), fill) if not abs(spike) < 1 else (np.zeros(size),):
            row = rest.astype(np.float64)
            row[size // 2 + 1] = spike
            rows.append(row)
    both = fill.astype(np.float64)
    both[[1, 2]] = inf, -inf
    rows.append(both)
    rows.append(np.where(np.arange(size) == 3, nan, both))
    return np.array(rows).astype(np.float32)


def spikes(size: int) -> Array:
    """300 rows with one number each, of many magnitudes: for quantizers of scales."""
    rows = np.zeros((300, size), np.float32)
    rows[np.arange(300), np.arange(300) % size] = normals(300, 6) * 2.0 ** (np.arange(300) % 7 - 3.0)
    return rows


def amaxes(element: str) -> Array:
    """Largest magnitudes about every threshold of a scale rule: powers of two, the element's maximum, its half ulps."""
    if element in CODEBOOKS:
        inside, scales = [], []
    elif element in INTEGERS:
        inside = [INTEGERS[element] / 2.0**7, INTEGERS[element] / 2.0**8, (INTEGERS[element] + 0.5) / 2.0**8]
        scales = []
    else:
        halfway = midpoints(element, True)
        values = halfway[halfway > 0]
        inside = [float(v) for v in values[-13:]]  # the last ones lie beyond the format's end
        scales = [6 * float(v) for v in midpoints("float8_e4m3fn", True)[-130::9]] if element == "float4_e2m1fn" else []
    inside = [float(np.frexp(v)[0]) * 2 for v in inside]
    wide = np.unique([*SIGNIFICANDS, *inside]).astype(np.float32)
    near = np.concatenate([np.nextafter(wide, np.float32(0)), wide, np.nextafter(wide, np.float32(4))])
    full = np.outer(np.unique(near[(near >= 1) & (near < 2)]).astype(np.float64), 2.0 ** np.array(FULL))
    some = np.outer([1, 1.9999998807907104], 2.0 ** np.array(SOME))
    ends = np.array([v for v in scales if v > 0], np.float32)
    ends = np.concatenate([np.nextafter(ends, np.float32(0)), ends, np.nextafter(ends, np.float32(1e9))])
    return np.unique(np.concatenate([full.ravel(), some.ravel(), ends]).astype(np.float32))


def edges(size: int, element: str) -> Array:
    """A row for each of `amaxes`, somewhere in it; the rest lies on and beside midpoints of the element."""
    tops = amaxes(element)
    count = len(tops)
    if element in CODEBOOKS:
        grid = (CODEBOOKS[element][1:] + CODEBOOKS[element][:-1]) / 2
    else:
        largest = INTEGERS.get(element, 0)
        halves = np.arange(-largest, largest) + 0.5 if largest else midpoints(element, True)
        grid = halves / abs(halves).max()
    picks = hashed(count * size, 5).reshape(count, size)
    at = picks % np.uint64(len(grid))
    with np.errstate(over="ignore", under="ignore"):
        exponent = np.exp2(np.floor(np.log2(tops.astype(np.float64))) + 1)
        rest = (grid[at] * np.where(np.arange(count) % 2, exponent, tops)[:, None]).astype(np.float32)
        bits = rest.view(np.int32) + (picks >> np.uint64(40) & np.uint64(3)).astype(np.int32) % 3 - 1
    rest = np.where((rest != 0) & (abs(rest) < 3e38), bits.view(np.float32), rest)
    rest = np.where(abs(rest) > tops[:, None], np.float32(0.3) * tops[:, None], rest).astype(np.float32)
    where = (np.arange(count) * 7) % size
    rest[np.arange(count), where] = np.where(np.arange(count) % 3, tops, -tops)
    return rest


def ties(size: int) -> Array:
    """Halves of a unit, and beside, where so many units are the largest magnitude: once, or twice with either sign.

    As many units as GGUF's scales make of it; units at both ends of float16, and one whose inverse overflows.
    """
    rows = []
    for top in (8, 16, 127, 15, 31):
        for unit in (1.0, 2.0**-14, 2.0**-24, 1 + 2.0**-23, 4 / 3, 65519.0, 65520.0, 1.25 * 2.0**-129):
            for beside in (0, 1):
                picks = hashed(size, 100 + len(rows))
                halves = (picks % np.uint64(2 * top)).astype(np.int64) - top + 0.5
                row = (halves * unit).astype(np.float32)
                row = (row.view(np.int32) + beside * ((picks >> np.uint64(40)).astype(np.int32) % 3 - 1)).view(
                    np.float32
                )
                place = int(picks[0] % np.uint64(size - 9))
                row[place] = top * unit * (-1) ** len(rows)
                row[place + 9] = -row[place] if len(rows) // 2 % 2 else row[place + 9]
                rows.append(row)
    return np.array(rows)


@functools.cache
def blocks(kind: str, size: int, element: str = "float8_e4m3fn") -> Array:
    """The rows named `kind`; "edges" depend on the element's format."""
    if kind == "edges":
        made = edges(size, element)
    else:
        made = {"specials": specials, "random": random, "spikes": spikes, "ties": ties}[kind](size)
    made.flags.writeable = False
    return made

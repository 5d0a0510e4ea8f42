"""Codebooks of bitsandbytes that are not in the registry of formats."""

from __future__ import annotations

import itertools

import numpy as np

from fpemu.formats import TableFormat

__all__ = ["DYNAMIC", "FP4"]


def _fp4() -> TableFormat:
    """The "FP4" codebook of functional.get_4bit_type, computed in twelfths; both zeros are positive."""
    magnitudes = np.array([0, 0.0625, 8, 12, 4, 6, 2, 3], np.float32) / np.float32(12)
    return TableFormat("fp4 of bitsandbytes", [float(v) + 0.0 for v in (*magnitudes, *-magnitudes)])


def _dynamic() -> TableFormat:
    """The map of functional.create_dynamic_map: signed, 8 bits, ascending.

    The values are 0, 1 and, for i = 0 to 6 and both signs, 10^(i - 6) times the midpoints of 2^i equal parts of the
    interval from 0.1 to 1.  torch.linspace computes each end of a part with one fused multiply-add from the nearer end
    of the interval; here the sum is exact in float64, then rounded to float32.
    """
    values = [0.0, 1.0]
    start, end = np.float32(0.1), np.float32(1)
    for i in range(7):
        count = 1 << i
        step = float((end - start) / np.float32(count))
        points = [
            np.float32(float(start) + step * j if j < (count + 1) // 2 else float(end) - step * (count - j))
            for j in range(count + 1)
        ]
        for a, b in itertools.pairwise(points):
            middle = float(np.float32(10.0 ** (i - 6)) * ((a + b) / np.float32(2)))
            values += [middle, -middle]
    return TableFormat("dynamic8 of bitsandbytes", sorted(values))


FP4, DYNAMIC = _fp4(), _dynamic()

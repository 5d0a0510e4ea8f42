"""Which of two quantizations of a block has the smaller error: sums in float32, one operation after the other."""

import numpy as np
from numpy import float32

from fpemu.kernels.cpu.blocks import ratio
from fpemu.kernels.jit import loop


@loop
def errors(x, codes, values, scales, numbers, shape, squared, out):
    """The sum in each block of |code's value x scale x t / d - x|, or of its square.

    `values`: of all codes, of which there are few; `scales`: of blocks; `numbers`: t and d; all float32.  `shape`: of a
    block, rows and columns of a tile that lies row after row: sums go along its rows, and then over the rows as a tree,
    a row and that half of them further on.  What a block at the end of `x` lacks adds nothing.
    """
    rows, width = shape
    factor, divisor, block = numbers[0], numbers[1], rows * width
    scaled, sums = np.zeros(values.size, float32), np.zeros(rows, float32)
    for row in range(out.shape[0]):
        for k in range(out.shape[1]):
            numbers_here, codes_here = x[row, k * block : (k + 1) * block], codes[row, k * block :]
            scale = scales[row, k]
            for code in range(values.size):
                scaled[code] = ratio(values[code] * scale * factor, divisor)
            for j in range(rows):
                total = float32(0)
                for i in range(j * width, min((j + 1) * width, numbers_here.size)):
                    off = abs(scaled[codes_here[i]] - numbers_here[i])
                    total += off * off if squared else off
                sums[j] = total
            half = rows
            while half > 1:
                half //= 2
                for j in range(half):
                    sums[j] += sums[half + j]
            out[row, k] = sums[0]


@loop
def replaced(chosen, others, block, codes):
    """The codes of chosen blocks become the others."""
    for row in range(chosen.shape[0]):
        for k in range(chosen.shape[1]):
            if chosen[row, k]:
                codes[row, k * block : (k + 1) * block] = others[row, k * block : (k + 1) * block]

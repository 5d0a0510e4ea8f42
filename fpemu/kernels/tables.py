"""Loops that look up: codes in a table, values in a codebook's thresholds."""

from numpy import int64, uint64

from fpemu.kernels.convert import INFINITE, NOT_A_NUMBER, decode, is_subnormal
from fpemu.kernels.jit import core, loop


@loop
def take_array(table, codes, out):
    """out[i] = table[codes[i]]; every code is below the table's length."""
    for i in range(codes.size):
        out[i] = table[codes[i]]


@core
def split_number(significand, exponent, negative):
    """significand 2^exponent as an unevaluated sum of two floats, the first its nearest float64.

    Exact for up to 64 bits inside float64's range, as codebooks of float64 values need.
    """
    high = float(significand >> uint64(32))
    low = float(significand & uint64(0xFFFFFFFF))
    total = high * 4294967296.0 + low
    rest = (high * 4294967296.0 - total) + low
    sign = -1.0 if negative else 1.0
    return scale(sign * total, exponent), scale(sign * rest, exponent)


@core
def scale(value, exponent):
    """value 2^exponent in steps that float64 holds."""
    while exponent > 1000:
        value *= 2.0**1000
        exponent -= 1000
    while exponent < -1000:
        value *= 2.0**-1000
        exponent += 1000
    return value * 2.0**exponent


@core
def interval(high, low, thresholds, rests, inclusive):
    """How many thresholds (sorted pairs high + low) the number is above, or on where they are inclusive."""
    first, last = int64(0), int64(thresholds.size)
    while first < last:
        middle = (first + last) >> 1
        above = high > thresholds[middle] or (
            high == thresholds[middle]
            and (low > rests[middle] or (low == rests[middle] and inclusive[middle] != 0))
        )
        if above:
            first = middle + 1
        else:
            last = middle
    return first


@loop
def codebook_array(codes, source, zero_subnormals, thresholds, rests, inclusive, results, specials, out):
    """Codes of `source` to a codebook: out[i] is `results` at the interval that the value lies in.

    Thresholds are doubled: sums of two neighbours, not their means, which float64 may not hold.  `specials`: what a
    positive and a negative NaN, +infinity and -infinity give.
    """
    for i in range(codes.size):
        category, negative, significand, exponent = decode(uint64(codes[i]), source)
        if category == NOT_A_NUMBER:
            out[i] = specials[1 if negative else 0]
        elif category == INFINITE:
            out[i] = specials[3 if negative else 2]
        else:
            if zero_subnormals and is_subnormal(significand, source):
                significand = uint64(0)
            high, low = split_number(significand, exponent + 1, negative)
            out[i] = results[interval(high, low, thresholds, rests, inclusive)]

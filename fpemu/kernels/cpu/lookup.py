"""Lookup loops: codes in tables, values in a codebook's thresholds, by bisection or by bins."""

from numpy import int32, int64, uint32, uint64

from fpemu.kernels.cpu.float_environment import float_environment_is_standard
from fpemu.kernels.jit import core, loop
from fpemu.kernels.scalar.bits import bit_length
from fpemu.kernels.scalar.convert import INFINITE, NOT_A_NUMBER, decode, is_subnormal
from fpemu.kernels.spec import BINADE_OFFSET


@loop
def take_array(table, codes, out):
    """out[i] = table[codes[i]]; all codes are below the table's length."""
    for i in range(codes.size):
        out[i] = table[codes[i]]


@core
def sort_key(negative, significand, exponent):
    """A sort key of a number: the pair (binade, digits), in the order of the numbers; zero is (0, 0)."""
    if significand == uint64(0):
        return int64(0), uint64(0)
    length = bit_length(significand)
    digits = significand << uint64(64 - length)
    binade = exponent + length + BINADE_OFFSET
    return (-binade, ~digits) if negative else (binade, digits)


@core
def interval(binade, digits, binades, thresholds, inclusive):
    """The number of thresholds (sorted keys) that a key is above, or equal to if they are inclusive."""
    first, last = int64(0), int64(thresholds.size)
    while first < last:
        middle = (first + last) >> 1
        above = binade > binades[middle] or (
            binade == binades[middle]
            and (digits > thresholds[middle] or (digits == thresholds[middle] and inclusive[middle] != 0))
        )
        if above:
            first = middle + 1
        else:
            last = middle
    return first


@loop
def codebook_array(codes, source, zero_subnormals, binades, thresholds, inclusive, results, specials, out):
    """Convert codes of `source` to a codebook: out[i] is the result of the interval in which the value lies.

    `binades` and `thresholds`: the sort keys at which intervals begin.  `specials`: the results of a positive NaN, a
    negative NaN, +infinity and -infinity.
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
            binade, digits = sort_key(negative, significand, exponent)
            out[i] = results[interval(binade, digits, binades, thresholds, inclusive)]


@loop
def take_pairs(table, x, y, width, out):
    """table[x 2^width + y]: an operation on codes by a table of all results."""
    for i in range(out.size):
        out[i] = table[(uint32(x[i]) << uint32(width)) | uint32(y[i])]


@loop
def take_pairs_with_flags(table, x, y, width, bits, out, flags):
    """As `take_pairs`; an entry is a result, with flags from bit `bits` on."""
    for i in range(out.size):
        entry = table[(uint32(x[i]) << uint32(width)) | uint32(y[i])]
        out[i] = entry
        flags[i] = entry >> bits


@loop
def bins_array(x, ends, below, thresholds, results, specials, probe, out):
    """Convert floats to a codebook by bins with at most one threshold; do nothing and return False if the FPU is unfit.

    `ends`: the range to which numbers are clamped, and the number of bins per unit.  The bin of x is (x - lowest) times
    that number, rounded by the FPU.  This is monotonic in x: thresholds in lower bins are below x, those in higher bins
    above it.  `below`: the number of thresholds in lower bins, for each bin.  `thresholds`: the threshold in each bin,
    or infinity; a number is above it if it is larger.  `results`: the result for each number of thresholds below.
    `specials`: the results of a NaN, +infinity and -infinity.
    """
    if not float_environment_is_standard(probe):
        return False
    lowest, highest, scale = ends[0], ends[1], ends[2]
    for i in range(x.size):
        number = x[i]
        clamped = number if number > lowest else lowest  # NaN too
        clamped = clamped if clamped < highest else highest
        bin_index = int32((clamped - lowest) * scale)
        interval = below[bin_index] + (1 if clamped > thresholds[bin_index] else 0)
        result = results[interval]
        result = result if number == number else specials[0]
        if abs(number) > highest:
            is_infinite = number - number != 0
            result = (specials[1] if number > 0 else specials[2]) if is_infinite else result
        out[i] = result
    return True

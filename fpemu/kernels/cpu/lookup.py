"""Loops that look up: codes in a table, values in a codebook's thresholds."""

from numpy import int32, int64, uint32, uint64

from fpemu.kernels.cpu.float_environment import float_environment_is_standard
from fpemu.kernels.jit import core, loop
from fpemu.kernels.scalar.bits import bit_length
from fpemu.kernels.scalar.convert import INFINITE, NOT_A_NUMBER, decode, is_subnormal

BINADE_OFFSET = 1 << 40  # makes every binade's number positive


@loop
def take_array(table, codes, out):
    """out[i] = table[codes[i]]; every code is below the table's length."""
    for i in range(codes.size):
        out[i] = table[codes[i]]


@core
def place(negative, significand, exponent):
    """Two integers (binade, digits) that order as numbers do: by binade, then by digits; zero is (0, 0)."""
    if significand == uint64(0):
        return int64(0), uint64(0)
    length = bit_length(significand)
    digits = significand << uint64(64 - length)
    binade = exponent + length + BINADE_OFFSET
    return (-binade, ~digits) if negative else (binade, digits)


@core
def interval(binade, digits, binades, thresholds, inclusive):
    """How many thresholds (sorted places) the number is above, or at where they are inclusive."""
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
    """Codes of `source` to a codebook: out[i] is `results` at the interval that the value lies in.

    `binades` and `thresholds` are the places where intervals begin.  `specials`: what a positive and a negative NaN,
    +infinity and -infinity give.
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
            binade, digits = place(negative, significand, exponent)
            out[i] = results[interval(binade, digits, binades, thresholds, inclusive)]


@loop
def take_pairs(table, x, y, width, out):
    """table[x 2^width + y]: an operation on codes whose every result is known."""
    for i in range(out.size):
        out[i] = table[(uint32(x[i]) << uint32(width)) | uint32(y[i])]


@loop
def take_pairs_with_flags(table, x, y, width, bits, out, flags):
    """As `take_pairs`; a table's entry is a result, and from bit `bits` on the flags."""
    for i in range(out.size):
        found = table[(uint32(x[i]) << uint32(width)) | uint32(y[i])]
        out[i] = found
        flags[i] = found >> bits


@loop
def bins_array(x, ends, below, thresholds, results, specials, probe, out):
    """Floats to what a codebook gives: False, and nothing done, where the FPU is unfit.

    `ends`: the numbers that all others are held to, and how many bins there are in a unit.  A number's bin is
    (x - lowest) times that, as the FPU rounds it, which never falls as x grows: so thresholds in lower bins are below
    x, those in higher ones above.  `below`: for each bin the thresholds in lower ones; `thresholds`: the one in it, or
    infinity; a number beyond it is above.  `results`: for each number of thresholds below.  `specials`: what a NaN,
    +infinity and -infinity give.
    """
    if not float_environment_is_standard(probe):
        return False
    lowest, highest, scale = ends[0], ends[1], ends[2]
    for i in range(x.size):
        number = x[i]
        held = number if number > lowest else lowest  # NaN too
        held = held if held < highest else highest
        place = int32((held - lowest) * scale)
        interval = below[place] + (1 if held > thresholds[place] else 0)
        result = results[interval]
        result = result if number == number else specials[0]
        if abs(number) > highest:
            beyond = number - number != 0  # an infinity
            result = (specials[1] if number > 0 else specials[2]) if beyond else result
        out[i] = result
    return True

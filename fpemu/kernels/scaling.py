"""Loops over blocks of numbers that share a scale.

`x` has rows; in each row `block` neighbours after another make a block, the last of which may be shorter.  What belongs
to a block (`factors`, `out` of the loops that look for extremes) has a column for each block of a row.
"""

from numba.extending import intrinsic
from numpy import int32, uint32

from fpemu.kernels.bits import like
from fpemu.kernels.jit import core, loop
from fpemu.kernels.lanes import float_environment_is_standard


@intrinsic
def ratio(typing_context, x, y):
    """X / y in y's type as the FPU has it, also for y = 0, where Python raises."""

    def generate(context, builder, signature, arguments):
        return builder.fdiv(context.cast(builder, arguments[0], signature.args[0], y), arguments[1])

    return y(x, y), generate


@loop
def fpu_is_standard(probe):
    """Whether the loops below round as IEEE 754 has it by default; `probe` as the core takes it."""
    return float_environment_is_standard(probe)


@loop
def largest_magnitudes(bits, block, mask, out):
    """The bits of each block's largest magnitude; a NaN's are beyond infinity's.  `mask`: all bits but the sign."""
    for row in range(bits.shape[0]):
        for k in range(out.shape[1]):
            numbers = bits[row, k * block : (k + 1) * block]
            most = like(mask, 0)
            for i in range(numbers.size):
                magnitude = like(mask, numbers[i] & mask)
                most = magnitude if magnitude > most else most
            out[row, k] = most


@core
def in_order(bits, sign):
    """Unsigned integers in the order of the numbers with these bits: -0 below +0, NaN beyond the infinities."""
    return like(sign, bits ^ (like(sign, ~like(sign, 0)) if like(sign, bits & sign) != like(sign, 0) else sign))


@core
def from_order(place, sign):
    """The bits of the number at a place of `in_order`."""
    return like(sign, place ^ (sign if like(sign, place & sign) != like(sign, 0) else like(sign, ~like(sign, 0))))


@loop
def extremes(bits, block, sign, low, high):
    """The bits of each block's smallest and largest number, zero among them; `sign`: the sign bit."""
    for row in range(bits.shape[0]):
        for k in range(low.shape[1]):
            numbers = bits[row, k * block : (k + 1) * block]
            least = most = sign  # zero's place
            for i in range(numbers.size):
                place = in_order(numbers[i], sign)
                least = place if place < least else least
                most = place if place > most else most
            low[row, k], high[row, k] = from_order(least, sign), from_order(most, sign)


@loop
def multiplied(x, factors, block, last, out):
    """Each number times its block's factor, and then `last`, in the factors' type."""
    for row in range(x.shape[0]):
        for k in range(factors.shape[1]):
            numbers, to = x[row, k * block : (k + 1) * block], out[row, k * block : (k + 1) * block]
            factor = factors[row, k]
            for i in range(numbers.size):
                to[i] = like(factor, numbers[i]) * factor * last


@loop
def divided(x, divisors, block, out):
    """Each number by its block's divisor, in the divisors' type."""
    for row in range(x.shape[0]):
        for k in range(divisors.shape[1]):
            numbers, to = x[row, k * block : (k + 1) * block], out[row, k * block : (k + 1) * block]
            divisor = divisors[row, k]
            for i in range(numbers.size):
                to[i] = ratio(numbers[i], divisor)


@core
def shifted_integer(x, zero, low, high, magic, nan):
    """A number rounded to nearest even, plus `zero`, from `low` to `high`; `nan` where it is no number.

    `magic`: 1.5 times the power of two whose ulp is 1; it is large against all the others.
    """
    within = x if x > low - zero - 1 else low - zero - 1
    within = within if within < high - zero + 1 else high - zero + 1
    moved = ((within + magic) - magic) + zero
    moved = moved if moved > low else low
    moved = moved if moved < high else high
    return int32(moved) if x == x else int32(nan)


@loop
def shifted_integers(x, zeros, block, limits, out):
    """Codes of integers: numbers rounded to nearest even, each plus its block's zero point.

    `limits`: lowest and highest integer, `magic` of the core, what NaN gives; of x's type.
    """
    low, high, magic, nan = limits[0], limits[1], limits[2], limits[3]
    mask = uint32(high - low)
    for shift in (1, 2, 4, 8):  # all ones: of a code's bits, be they fewer than those of an element of `out`
        mask |= mask >> uint32(shift)
    for row in range(x.shape[0]):
        for k in range(zeros.shape[1]):
            numbers, to = x[row, k * block : (k + 1) * block], out[row, k * block : (k + 1) * block]
            zero = like(low, zeros[row, k])
            for i in range(numbers.size):
                to[i] = uint32(shifted_integer(numbers[i], zero, low, high, magic, nan)) & mask


@loop
def sign_extended(codes, spare, out):
    """Two's complement codes as signed integers; `spare`: how many bits more than a code an element of `out` has."""
    for i in range(codes.size):
        out[i] = like(out[i], uint32(codes[i]) << spare) >> spare


@loop
def shifted_back(x, zeros, factors, block, out):
    """Integers less their block's zero point, times its factor, in the factors' type."""
    for row in range(x.shape[0]):
        for k in range(factors.shape[1]):
            numbers, to = x[row, k * block : (k + 1) * block], out[row, k * block : (k + 1) * block]
            zero, factor = int32(zeros[row, k]), factors[row, k]
            for i in range(numbers.size):
                to[i] = like(factor, int32(int32(numbers[i]) - zero)) * factor

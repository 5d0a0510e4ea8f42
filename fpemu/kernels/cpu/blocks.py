"""Loops over blocks of numbers that share a scale.

`x` has rows; in each row `block` neighbours after another make a block, the last of which may be shorter.  What belongs
to a block (`factors`, `out` of the loops that look for extremes) has a column for each block of a row.
"""

from numba.extending import intrinsic
from numpy import float32, float64, inf, int32, int64, uint32, uint64

from fpemu.kernels.cpu.moving import multiply_add
from fpemu.kernels.jit import core, loop
from fpemu.kernels.scalar.bits import bits_of, float_of, like


@intrinsic
def ratio(typing_context, x, y):
    """X / y in y's type as the FPU has it, also for y = 0, where Python raises."""

    def generate(context, builder, signature, arguments):
        return builder.fdiv(context.cast(builder, arguments[0], signature.args[0], y), arguments[1])

    return y(x, y), generate


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


@loop
def power_scales(bits, carry, emax, infinite, codes, inverses):
    """The E8M0 codes of blocks' scales from their largest magnitudes' float32 bits, and the scales' inverses' bits.

    A scale is 2^(e - emax), e being a magnitude's exponent, or one more where `carry`, added to its fraction, carries
    into the exponent.  `emax` is 1 or more, so that subnormal magnitudes have the smallest scale, and none is beyond
    2^127.  `infinite`: what a block with an infinity gets; one with a NaN gets the NaN, 255.
    """
    for row in range(bits.shape[0]):
        for k in range(bits.shape[1]):
            magnitude = bits[row, k]
            exponent = int32(uint32(magnitude + carry) >> uint32(23)) - emax
            exponent = exponent if exponent > int32(0) else int32(0)
            code = infinite if magnitude == uint32(0x7F800000) else exponent
            code = int32(255) if magnitude > uint32(0x7F800000) else code
            codes[row, k] = code
            inverse = uint32(int32(254) - code) << uint32(23)
            inverse = uint32(0x00400000) if code == int32(254) else inverse  # 2^-127 is subnormal
            inverses[row, k] = uint32(0x7FC00000) if code == int32(255) else inverse


@core
def beside(x, error):
    """A positive float64, rounded to odd: `error` is what it lacks, where it is not exact; only its sign counts."""
    up, down = uint64(bits_of(x) + uint64(1)), uint64(bits_of(x) - uint64(1))
    return float_of(up) if error > 0.0 else float_of(down) if error < 0.0 else x


@core
def odd_difference(high, low):
    """The float64 high - low, which is not negative, rounded to odd: what is rounded next is then rounded once."""
    total = high - low
    back = total - high  # TwoSum: the difference's error, exactly
    error = (high - (total - back)) + (-low - back)
    is_even = bits_of(total) & uint64(1) == uint64(0)
    return beside(total, error) if is_even else total


@loop
def nearest_scales(low, high, divisor, infinite, bits, inverses, divisors):
    """The bits of blocks' float32 scales: (high - low) / divisor, rounded to nearest once; and the scales' inverses.

    `low`, `high`: float32, around 0.  `divisor`: float64 of 24 digits at most; so the float64 quotient is on the exact
    one's side of every float32 and every middle, or on one that it is (`fpemu.quantization.ratios.quotients` says why).
    `infinite`: the scale of a block with an infinity.  `divisors`: the scales in float64, or infinity for 0, whose
    inverse is 0; inverses are rounded.
    """
    largest = float_of(uint32(0x7F7FFFFF))
    for row in range(low.shape[0]):
        for k in range(low.shape[1]):
            extent = odd_difference(float64(high[row, k]), float64(low[row, k]))
            scale = float32(ratio(extent, divisor))
            scale = scale if scale != float32(inf) else largest
            scale = scale if extent != inf else infinite
            bits[row, k] = bits_of(scale) if scale == scale else uint32(0x7FC00000)
            own = float64(scale) if scale != float32(0) else inf
            divisors[row, k] = own
            inverses[row, k] = float32(ratio(1.0, own))


@loop
def zero_points(low, divisors, first, least, most, zeros):
    """Blocks' zero points: `first` less float32 low / divisor, rounded to nearest even, within `least` and `most`.

    `divisors`: of 24 digits at most, or infinity.  `first`, `least`, `most`: integers of 16 bits, as float64.  Where a
    quotient is NaN, it counts as 0.
    """
    magic, lowest = 1.5 * 2.0**52, first - most
    for row in range(low.shape[0]):
        for k in range(low.shape[1]):
            shift = ratio(low[row, k], divisors[row, k])
            shift = shift if shift == shift else 0.0
            shift = shift if shift > lowest else lowest
            moved = first - ((shift + magic) - magic)
            zeros[row, k] = int64(moved if moved > least else least)


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
            numbers, to = x[row, k * block : (k + 1) * block], out[row, k * block :]
            factor = factors[row, k]
            for i in range(numbers.size):
                to[i] = like(factor, numbers[i]) * factor * last


@loop
def divided(x, divisors, block, out):
    """Each number by its block's divisor, in the divisors' type."""
    for row in range(x.shape[0]):
        for k in range(divisors.shape[1]):
            numbers, to = x[row, k * block : (k + 1) * block], out[row, k * block :]
            divisor = divisors[row, k]
            for i in range(numbers.size):
                to[i] = ratio(numbers[i], divisor)


@core
def truncated_to_odd(x):
    """The bits of a float64, in float32's normal range, rounded to odd to float32."""
    bits = bits_of(x)
    kept = bits >> uint64(29)
    rest = uint64(1) if bits & uint64((1 << 29) - 1) != uint64(0) else uint64(0)
    sign = uint32(bits >> uint64(32)) & uint32(0x80000000)
    magnitude = (kept & uint64(0x7FFFFFFFF)) - uint64((1023 - 127) << 23)
    return uint32(sign | uint32(magnitude | rest))


@core
def is_near_tie(bits, normal, tie, low):
    """Whether a float32 is within three units of its last place of a number halfway between two of a narrower format.

    `normal`: the bits of its smallest normal number; `tie`: the first bit that is cut off there; `low`: the bits that
    are 0 in all such numbers below, and in others.  What is below 2^-102 counts as far, and so do infinities and NaN.
    """
    three, magnitude = uint32(3), uint32(bits & uint32(0x7FFFFFFF))
    above = uint32(uint32(uint32(bits + three) & uint32(uint32(tie + tie) - uint32(1))) - tie) <= uint32(6)
    below = uint32(uint32(bits + three) & low) <= uint32(6)
    near = above if magnitude >= normal else below
    near = near if magnitude >= uint32((127 - 102) << 23) else False
    return near if magnitude < uint32(0x7F000000) else False


@loop
def quotients(x, inverses, divisors, block, normal, tie, low, out):
    """float32 numbers by their blocks' divisors, so near that rounding to nearest in a narrower format is the same.

    `inverses`: the divisors' (float64), rounded to float32, normal or 0.  A number times one is off by two units of its
    last place at most; near a tie it is divided, rounded to odd.  `normal`, `tie`, `low`: see `is_near_tie`.
    """
    for row in range(x.shape[0]):
        for k in range(inverses.shape[1]):
            numbers, to = x[row, k * block : (k + 1) * block], out[row, k * block :]
            inverse = inverses[row, k]
            unsure = uint32(0)
            for i in range(numbers.size):
                bits = bits_of(numbers[i] * inverse)
                to[i] = bits
                unsure |= uint32(1) if is_near_tie(bits, normal, tie, low) else uint32(0)
            if unsure != uint32(0):
                for i in range(numbers.size):
                    if is_near_tie(uint32(to[i]), normal, tie, low):
                        to[i] = truncated_to_odd(ratio(numbers[i], divisors[row, k]))


@core
def integer_code(x, zero, least, most, magic, mask):
    """The code of x, from `least` to `most` and rounded to nearest even, plus the integer `zero`.

    `magic`: 1.5 times the power of two whose ulp is 1, large against all the others: the last digits of its sum with a
    number are the rounded number's.
    """
    within = x if x > least else least
    within = within if within < most else most
    return uint32(uint32(bits_of(within + magic)) + zero) & mask


@loop
def integers(x, inverses, divisors, zeros, block, limits, mask, out):
    """Codes of integers: float32 numbers by their blocks' divisors, rounded to nearest even, plus their zero points.

    `inverses`: the divisors' (float64), rounded to float32; 0 where a divisor is infinity.  A number times the float32
    below one and times the one above it lie around the quotient: where both round to the same integer (the sum with a
    power of two rounds them), so does that.  Elsewhere it is divided.  `zeros`: of int32, in which LLVM does the
    sums; `limits`, `mask`: see `shifted_integers`; the integers have 16 bits at most.
    """
    magic, nan, kept = float32(1.5 * 2.0**23), limits[3], like(out[0, 0], mask)
    for row in range(x.shape[0]):
        for k in range(inverses.shape[1]):
            numbers, to = x[row, k * block : (k + 1) * block], out[row, k * block :]
            inverse, zero = inverses[row, k], zeros[row, k]
            unsure = uint32(0) if inverse == inverse else uint32(1)
            beside = uint32(0) if inverse == float32(0) else uint32(1)
            lower = float_of(uint32(bits_of(inverse) - beside))
            upper = float_of(uint32(bits_of(inverse) + beside))
            least, most = limits[0] - zero, limits[1] - zero
            lowest, highest, moved = float32(magic + least), float32(magic + most), like(kept, zero)
            for i in range(numbers.size):
                low = multiply_add(numbers[i], lower, magic)
                high = multiply_add(numbers[i], upper, magic)
                unsure = unsure if low == high else uint32(1)  # for NaN too
                held = low if low > lowest else lowest
                held = held if held < highest else highest
                to[i] = like(kept, like(kept, like(kept, bits_of(held)) + moved) & kept)
            if unsure != uint32(0):
                for i in range(numbers.size):
                    number = ratio(numbers[i], divisors[row, k])
                    number = number if number == number else nan
                    to[i] = integer_code(number, uint32(zero), least, most, limits[2], mask)


@loop
def shifted_integers(x, zeros, block, limits, mask, out):
    """Codes of integers: numbers rounded to nearest even, each plus its block's zero point.

    `limits`: lowest and highest integer, `magic` of the core, what a NaN counts as.  `mask`: the bits of a code.
    """
    nan = limits[3]
    for row in range(x.shape[0]):
        for k in range(zeros.shape[1]):
            numbers, to = x[row, k * block : (k + 1) * block], out[row, k * block :]
            zero, least, most = uint32(zeros[row, k]), limits[0] - zeros[row, k], limits[1] - zeros[row, k]
            for i in range(numbers.size):
                number = float64(numbers[i])
                number = number if number == number else nan
                to[i] = integer_code(number, zero, least, most, limits[2], mask)


@loop
def sign_extended(codes, sign, out):
    """Two's complement codes as signed integers; `sign`: the sign bit of a code."""
    for i in range(codes.size):
        out[i] = like(out[i], (codes[i] ^ sign) - sign)


@loop
def shifted_back(x, zeros, factors, block, out):
    """Integers less their block's zero point, times its factor, in the factors' type."""
    for row in range(x.shape[0]):
        for k in range(factors.shape[1]):
            numbers, to = x[row, k * block : (k + 1) * block], out[row, k * block :]
            zero, factor = int32(zeros[row, k]), factors[row, k]
            for i in range(numbers.size):
                to[i] = like(factor, int32(int32(numbers[i]) - zero)) * factor

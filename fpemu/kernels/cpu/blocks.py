"""Loops over blocks of numbers that share a scale.

Each row of `x` is divided into blocks of `block` numbers; the last one may be shorter.  Per-block values (`factors`,
`out` of the loops that find extremes) have a column for each block of a row.
"""

import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.extending import intrinsic
from numpy import float32, float64, inf, int32, int64, uint32, uint64

from fpemu.kernels.cpu.fast_casts import widened
from fpemu.kernels.jit import core, loop
from fpemu.kernels.scalar.bits import bits_of, fdiv, float_of, like

LOOKUP_CHUNK = 1024  # numbers looked up and then multiplied: they stay in the first-level cache
PERMUTES = bool(binding.get_host_cpu_features().get("avx2"))  # whether `eight_of_sixteen` is a few instructions


@intrinsic
def multiply_add(typing_context, x, y, z):
    """X * y + z, all of one type, rounded once, by the FPU or the C library."""

    def generate(context, builder, signature, arguments):
        return builder.fma(*arguments)

    return x(x, x, x), generate


@loop
def largest_magnitudes(bits, block, mask, out):
    """The bits of each block's largest magnitude, a NaN above infinity.  `mask`: all bits but the sign."""
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
    """The E8M0 codes of block scales, from the float32 bits of the largest magnitudes, and the bits of their inverses.

    A scale is 2^(e - emax), e being the magnitude's exponent, or one more if adding `carry` to the fraction carries
    into the exponent.  `emax` is 1 or more, so that subnormal magnitudes have the smallest scale, and no scale is above
    2^127.  `infinite`: the code for a block with an infinity; a block with a NaN gets the NaN, 255.
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
def round_to_odd(x, error):
    """A positive float64 with even last bit, rounded to odd; only the sign of `error`, exact minus x, counts."""
    up, down = uint64(bits_of(x) + uint64(1)), uint64(bits_of(x) - uint64(1))
    return float_of(up) if error > 0.0 else float_of(down) if error < 0.0 else x


@core
def odd_difference(high, low):
    """The float64 high - low >= 0, rounded to odd, so that a further rounding is the only one."""
    total = high - low
    addend = total - high  # TwoSum: the exact error of the difference
    error = (high - (total - addend)) + (-low - addend)
    is_even = bits_of(total) & uint64(1) == uint64(0)
    return round_to_odd(total, error) if is_even else total


@loop
def nearest_scales(low, high, divisor, infinite, bits, inverses, divisors):
    """The bits of float32 block scales, (high - low) / divisor, rounded to nearest once; and the scales' inverses.

    `low`, `high`: float32, low <= 0 <= high.  `divisor`: float64 of 24 digits at most, so that the float64 quotient
    lies on the same side as the exact one of every float32 and every midpoint
    (`fpemu.formats.facts.exactness.quotients_round_once` shows this).  `infinite`: the scale of a block with an
    infinity.  `divisors`: the scales in float64, with infinity for 0, whose inverse is 0.  Inverses are rounded.
    """
    largest = float_of(uint32(0x7F7FFFFF))
    for row in range(low.shape[0]):
        for k in range(low.shape[1]):
            extent = odd_difference(float64(high[row, k]), float64(low[row, k]))
            scale = float32(fdiv(extent, divisor))
            scale = scale if scale != float32(inf) else largest
            scale = scale if extent != inf else infinite
            bits[row, k] = bits_of(scale) if scale == scale else uint32(0x7FC00000)
            divisor_of_block = float64(scale) if scale != float32(0) else inf
            divisors[row, k] = divisor_of_block
            inverses[row, k] = float32(fdiv(1.0, divisor_of_block))


@loop
def zero_points(low, divisors, first, least, most, zeros):
    """Zero points of blocks: `first` minus low / divisor, rounded to nearest even and clamped to `least` and `most`.

    `low`: float32.  `divisors`: of 24 digits at most, or infinity.  `first`, `least`, `most`: 16-bit integers, as
    float64.  A NaN quotient counts as 0.
    """
    magic, lowest = 1.5 * 2.0**52, first - most
    for row in range(low.shape[0]):
        for k in range(low.shape[1]):
            shift = fdiv(low[row, k], divisors[row, k])
            shift = shift if shift == shift else 0.0
            shift = shift if shift > lowest else lowest
            zero_point = first - ((shift + magic) - magic)
            zeros[row, k] = int64(zero_point if zero_point > least else least)


@core
def order_key(bits, sign):
    """A sort key of the float with these bits: unsigned, -0 below +0, NaN beyond the infinities."""
    return like(sign, bits ^ (like(sign, ~like(sign, 0)) if like(sign, bits & sign) != like(sign, 0) else sign))


@core
def bits_of_key(key, sign):
    """The bits of the float with this `order_key`."""
    return like(sign, key ^ (sign if like(sign, key & sign) != like(sign, 0) else like(sign, ~like(sign, 0))))


@loop
def extremes(bits, block, sign, low, high):
    """The bits of the smallest and largest number of each block, zero included; `sign`: the sign bit."""
    for row in range(bits.shape[0]):
        for k in range(low.shape[1]):
            numbers = bits[row, k * block : (k + 1) * block]
            least = most = sign  # the key of zero
            for i in range(numbers.size):
                key = order_key(numbers[i], sign)
                least = key if key < least else least
                most = key if key > most else most
            low[row, k], high[row, k] = bits_of_key(least, sign), bits_of_key(most, sign)


@loop
def multiplied(x, factors, block, last, out):
    """Each number times its block's factor, then times `last`, in the factors' type."""
    for row in range(x.shape[0]):
        for k in range(factors.shape[1]):
            numbers, to = x[row, k * block : (k + 1) * block], out[row, k * block :]
            factor = factors[row, k]
            for i in range(numbers.size):
                to[i] = like(factor, numbers[i]) * factor * last


@loop
def divided(x, divisors, block, out):
    """Each number divided by its block's divisor, in the divisors' type."""
    for row in range(x.shape[0]):
        for k in range(divisors.shape[1]):
            numbers, to = x[row, k * block : (k + 1) * block], out[row, k * block :]
            divisor = divisors[row, k]
            for i in range(numbers.size):
                to[i] = fdiv(numbers[i], divisor)


@core
def truncated_to_odd(x):
    """A float64 in float32's normal range, rounded to odd: the bits of the float32."""
    bits = bits_of(x)
    retained = bits >> uint64(29)
    sticky = uint64(1) if bits & uint64((1 << 29) - 1) != uint64(0) else uint64(0)
    sign = uint32(bits >> uint64(32)) & uint32(0x80000000)
    magnitude = (retained & uint64(0x7FFFFFFFF)) - uint64((1023 - 127) << 23)
    return uint32(sign | uint32(magnitude | sticky))


@core
def is_near_tie(bits, normal, tie, low):
    """Whether a float32 is within three ulps of a midpoint between two numbers of a narrower format.

    `normal`: the bits of the format's smallest normal number.  `tie`: the first bit cut off in normal numbers.  `low`:
    bits that are 0 in all midpoints below `normal` (and in other numbers).  Magnitudes below 2^-102, infinities and
    NaN count as far.
    """
    three, magnitude = uint32(3), uint32(bits & uint32(0x7FFFFFFF))
    above = uint32(uint32(uint32(bits + three) & uint32(uint32(tie + tie) - uint32(1))) - tie) <= uint32(6)
    below = uint32(uint32(bits + three) & low) <= uint32(6)
    is_near = above if magnitude >= normal else below
    is_near = is_near if magnitude >= uint32((127 - 102) << 23) else False
    return is_near if magnitude < uint32(0x7F000000) else False


@loop
def float32_quotients(x, inverses, divisors, block, normal, tie, low, out):
    """float32 numbers divided by their blocks' divisors, accurate enough to round to nearest in a narrower format.

    `inverses`: of the divisors (float64), rounded to float32, normal or 0.  A number times an inverse is off by at most
    two ulps; near a midpoint the number is divided and rounded to odd.  `normal`, `tie`, `low`: see `is_near_tie`.
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
                        to[i] = truncated_to_odd(fdiv(numbers[i], divisors[row, k]))


@core
def integer_code(x, zero, least, most, magic, mask):
    """The code of x, clamped to `least` and `most` and rounded to nearest even, plus the integer `zero`.

    `magic`: 1.5 times the power of two whose ulp is 1, large against all other numbers: the last bits of its sum with a
    number are the rounded number.
    """
    clamped = x if x > least else least
    clamped = clamped if clamped < most else most
    return uint32(uint32(bits_of(clamped + magic)) + zero) & mask


@loop
def integers(x, inverses, divisors, zeros, block, limits, mask, out):
    """Integer codes of float32 numbers divided by their blocks' divisors, rounded to nearest even, plus zero points.

    `inverses`: of the divisors (float64), rounded to float32; 0 for a divisor of infinity.  The products of a number
    with the float32 below and above the inverse enclose the quotient: if both round to the same integer (by adding a
    power of two), so does the quotient.  Otherwise the number is divided.  `zeros`: int32, for LLVM's sums.  `limits`,
    `mask`: see `shifted_integers`.  The integers have 16 bits at most.
    """
    magic, nan, code_mask = float32(1.5 * 2.0**23), limits[3], like(out[0, 0], mask)
    for row in range(x.shape[0]):
        for k in range(inverses.shape[1]):
            numbers, to = x[row, k * block : (k + 1) * block], out[row, k * block :]
            inverse, zero = inverses[row, k], zeros[row, k]
            unsure = uint32(0) if inverse == inverse else uint32(1)
            ulp = uint32(0) if inverse == float32(0) else uint32(1)
            lower = float_of(uint32(bits_of(inverse) - ulp))
            upper = float_of(uint32(bits_of(inverse) + ulp))
            least, most = limits[0] - zero, limits[1] - zero
            lowest, highest, offset = float32(magic + least), float32(magic + most), like(code_mask, zero)
            for i in range(numbers.size):
                low = multiply_add(numbers[i], lower, magic)
                high = multiply_add(numbers[i], upper, magic)
                unsure = unsure if low == high else uint32(1)  # also for NaN
                clamped = low if low > lowest else lowest
                clamped = clamped if clamped < highest else highest
                to[i] = like(code_mask, like(code_mask, like(code_mask, bits_of(clamped)) + offset) & code_mask)
            if unsure != uint32(0):
                for i in range(numbers.size):
                    number = fdiv(numbers[i], divisors[row, k])
                    number = number if number == number else nan
                    to[i] = integer_code(number, uint32(zero), least, most, limits[2], mask)


@loop
def shifted_integers(x, zeros, block, limits, mask, out):
    """Integer codes of numbers, rounded to nearest even, plus their block's zero point.

    `limits`: the lowest and highest integer, `magic` of `integer_code`, the stand-in for a NaN.  `mask`: the bits of a
    code.
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
    """Integers minus their block's zero point, times its factor, in the factors' type."""
    for row in range(x.shape[0]):
        for k in range(factors.shape[1]):
            numbers, to = x[row, k * block : (k + 1) * block], out[row, k * block :]
            zero, factor = int32(zeros[row, k]), factors[row, k]
            for i in range(numbers.size):
                to[i] = like(factor, int32(int32(numbers[i]) - zero)) * factor


@loop
def scale_and_shift(x, factors, zeros, block, fused, out):
    """Per block x * factor + zero, all of one type, with two roundings, or with one if `fused`."""
    for row in range(x.shape[0]):
        for k in range(factors.shape[1]):
            numbers, to = x[row, k * block : (k + 1) * block], out[row, k * block :]
            factor, zero = factors[row, k], zeros[row, k]
            if fused:
                for i in range(numbers.size):
                    to[i] = multiply_add(numbers[i], factor, zero)
            else:
                for i in range(numbers.size):
                    to[i] = numbers[i] * factor + zero


@loop
def block_errors(x, codes, values, scales, factors, shape, squared, out):
    """The error of each block in float32, in one fixed order: the sum of |value x scale x t / d - x|, or of its square.

    `values`: of all codes, which are few.  `scales`: of blocks.  `factors`: t and d.  All are float32.  `shape`: the
    rows and columns of a block, a tile in row-major order.  Each row is summed in order; then the rows are summed as a
    tree, each row with the row half their number further on.  Missing elements of the last block add nothing.
    """
    rows, width = shape
    factor, divisor, block = factors[0], factors[1], rows * width
    scaled, sums = np.zeros(values.size, float32), np.zeros(rows, float32)
    for row in range(out.shape[0]):
        for k in range(out.shape[1]):
            block_numbers, block_codes = x[row, k * block : (k + 1) * block], codes[row, k * block :]
            scale = scales[row, k]
            for code in range(values.size):
                scaled[code] = fdiv(values[code] * scale * factor, divisor)
            for j in range(rows):
                total = float32(0)
                for i in range(j * width, min((j + 1) * width, block_numbers.size)):
                    error = abs(scaled[block_codes[i]] - block_numbers[i])
                    total += error * error if squared else error
                sums[j] = total
            half = rows
            while half > 1:
                half //= 2
                for j in range(half):
                    sums[j] += sums[half + j]
            out[row, k] = sums[0]


@loop
def replace_blocks(selected, others, block, codes):
    """Overwrite the codes of the selected blocks by those of `others`."""
    for row in range(selected.shape[0]):
        for k in range(selected.shape[1]):
            if selected[row, k]:
                codes[row, k * block : (k + 1) * block] = others[row, k * block : (k + 1) * block]


@intrinsic
def eight_of_sixteen(typing_context, table, codes, start, out):
    """out[start : start + 8] = table[codes[start : start + 8]], of float32, the table and the codes below 16.

    LLVM turns this pattern of extracts and inserts into permutations of registers if the CPU has them.
    """

    def generate(context, builder, signature, arguments):
        integer, single = ir.IntType(32), ir.FloatType()

        def eight(array, element, first):
            data = context.make_array(signature.args[array])(context, builder, arguments[array]).data
            return builder.bitcast(builder.gep(data, [first]), ir.VectorType(element, 8).as_pointer())

        def permuted(half):
            vector = ir.Constant(half.type, ir.Undefined)
            for lane in range(8):
                number = ir.Constant(integer, lane)
                element = builder.extract_element(half, builder.extract_element(within, number))
                vector = builder.insert_element(vector, element, number)
            return vector

        lower, upper = (builder.load(eight(0, single, ir.Constant(integer, half)), align=4) for half in (0, 8))
        words = ir.VectorType(integer, 8)
        indices = builder.zext(builder.load(eight(1, ir.IntType(8), arguments[2]), align=1), words)
        seven = ir.Constant(words, [7] * 8)
        within = builder.and_(indices, seven)
        result = builder.select(builder.icmp_unsigned(">", indices, seven), permuted(upper), permuted(lower))
        builder.store(result, eight(3, single, arguments[2]), align=4)
        return context.get_dummy_value()

    return types.none(table, codes, start, out), generate


@loop
def looked_up(codes, table, permutes, factors, block, last, out):
    """Look up codes in a float32 table of 16, times factors, then `last`, in the factors' type; `out`: float32."""
    step = max(LOOKUP_CHUNK // block, 1)
    for row in range(codes.shape[0]):
        for start in range(0, factors.shape[1], step):
            chunk = codes[row, start * block : (start + step) * block]
            numbers = out[row, start * block :]
            whole = chunk.size - chunk.size % 8 if permutes else 0
            for i in range(0, whole, 8):
                eight_of_sixteen(table, chunk, i, numbers)
            for i in range(whole, chunk.size):
                numbers[i] = table[chunk[i]]
            for k in range(start, min(start + step, factors.shape[1])):
                block_numbers, factor = out[row, k * block : (k + 1) * block], factors[row, k]
                for i in range(block_numbers.size):
                    block_numbers[i] = like(factor, block_numbers[i]) * factor * last


@loop
def widened_times(codes, words, factors, block, last, out):
    """Widen codes, times factors, then `last`, in the factors' type; `words`: the arguments of `widened`."""
    mask, special, shift, sign_shift = words[0], words[1], words[2], words[3]
    rebias, respecial, normal, smallest = words[4], words[5], words[6], words[7]
    for row in range(codes.shape[0]):
        for k in range(factors.shape[1]):
            block_codes, to = codes[row, k * block : (k + 1) * block], out[row, k * block :]
            factor = factors[row, k]
            for i in range(block_codes.size):
                code = uint32(block_codes[i])
                bits = widened(code, mask, special, shift, sign_shift, rebias, respecial, normal, smallest)
                to[i] = like(factor, float_of(bits)) * factor * last

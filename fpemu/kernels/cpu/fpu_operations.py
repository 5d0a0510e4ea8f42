"""Operations by the CPU's floating point, rounded to odd, so that rounding to a narrower format is the only rounding.

A float of P bits that is rounded to odd lies on the same side of every number of up to P - 1 bits as the exact result,
so that any rounding to at most P - 2 bits gives the same result for both (Boldo and Melquiond, Emulation of FMA and
correctly rounded sums: proved algorithms using rounding to odd, IEEE Transactions on Computers 57(4), 2008, theorem 1).
A sum is made odd by its error, which TwoSum computes exactly (Knuth, The Art of Computer Programming, volume 2, 4.2.2,
theorem B).  arithmetic/fast_paths.py uses these loops only for products that are exact, and shows that quotients and
roots never lie on a rounding boundary unless they are exact.
"""

import functools

from numpy import float32, float64, sqrt, uint8, uint32, uint64

from fpemu.kernels.cpu.fast_casts import widened
from fpemu.kernels.cpu.float_environment import float_environment_is_standard
from fpemu.kernels.jit import core, loop
from fpemu.kernels.opcodes import (
    ADD,
    DIVIDE,
    DIVIDE_BY_ZERO_FLAG,
    DONE,
    FMA,
    HEADS,
    INEXACT_FLAG,
    INVALID_FLAG,
    MULTIPLY,
    OVERFLOW_FLAG,
    SQRT,
    SUBTRACT,
    UNDERFLOW_FLAG,
    UNDERFLOWED,
    UNFIT,
    WIDENED,
)
from fpemu.kernels.scalar.bits import bits_of, fdiv, float_of, like, shifted_left


@core
def odd_sum(x, y, sign, zero):
    """The bits of x + y, rounded to odd.

    `zero`: the bits of a sum of 0 with different signs (+0 or -0).  `sign`: the sign bit, in the bits' type.
    """
    total = x + y
    y_rounded = total - x
    # NaN if the total is infinite or NaN: then all tests below are false
    error = (x - (total - y_rounded)) + (y - y_rounded)
    bits = bits_of(total)
    one, zero_bits = like(sign, 1), like(sign, 0)
    # One step toward the exact sum.  Selects of one comparison become vector instructions; `and` would become jumps.
    step = one if like(sign, (bits_of(error) ^ bits) & sign) == zero_bits else like(sign, ~zero_bits)
    step = step if abs(error) > 0 else zero_bits
    step = step if like(sign, bits & one) == zero_bits else zero_bits
    exact_zero = zero if like(sign, (bits_of(x) ^ bits_of(y)) & sign) != zero_bits else bits
    return exact_zero if total == 0 else like(sign, bits + step)


@core
def real_of(code, kind, words):
    """An operand, a float32 or a code, as a float32; `words`: see `widen_array`."""
    if kind == HEADS:
        return float_of(shifted_left(uint32(code), words[3]))
    if kind == WIDENED:
        return float_of(
            widened(uint32(code), words[0], words[1], words[2], words[3], words[4], words[5], words[6], words[7])
        )
    return code


@functools.cache
def fpu_loop(operation, wide, kind, odd, checked):
    """The loop of an operation on float32 operands, in float64 (`wide`) or float32: the result's bits.

    `kind`: the kind of operands.  `odd`: round sums to odd instead of to nearest.  `checked`: report products that may
    have lost digits to underflow.
    """
    real = float64 if wide else float32
    word = uint64 if wide else uint32
    sign_bit = word(1 << (63 if wide else 31))
    infinity = word(0x7FF << 52 if wide else 0xFF << 23)
    quiet = word(0x7FF8 << 48 if wide else 0x7FC << 20)
    normal = real(2.0 ** (-1022 if wide else -126))

    @core
    def sum_of(x, y, zero):
        if odd:
            return odd_sum(x, y, sign_bit, zero)
        return bits_of(x + y)

    @loop
    def operate_array(x, y, z, x_words, y_words, z_words, zero, probe, out):
        """UNFIT, UNDERFLOWED or DONE of `fpemu.kernels.opcodes`."""
        if not float_environment_is_standard(probe):
            return UNFIT
        underflowed = False
        for i in range(out.size):
            a = real(real_of(x[i], kind, x_words))
            if operation == SQRT:
                bits = bits_of(sqrt(a))
            else:
                b = real(real_of(y[i], kind, y_words))
                if operation == ADD:
                    bits = sum_of(a, b, zero)
                elif operation == SUBTRACT:
                    bits = sum_of(a, -b, zero)
                elif operation == MULTIPLY:
                    product = a * b
                    bits = bits_of(product)
                    if checked:
                        underflowed |= (abs(product) < normal) & (a != 0) & (b != 0)
                elif operation == DIVIDE:
                    bits = bits_of(fdiv(a, b))
                else:
                    bits = sum_of(a * b, real(real_of(z[i], kind, z_words)), zero)
            out[i] = quiet if like(sign_bit, bits & like(sign_bit, ~sign_bit)) > infinity else bits
        return UNDERFLOWED if underflowed else DONE

    return operate_array


@core
def signals(x):
    """Whether a float32 is a signalling NaN."""
    bits = bits_of(x)
    return x != x and like(bits, bits & uint32(1 << 22)) == uint32(0)


@functools.cache
def flags_loop(operation, wide, kind):
    """The loop of an operation's flags, from the operands and the result rounded to odd; `kind`: see `fpu_loop`."""
    real = float64 if wide else float32
    infinity = real(float("inf"))
    none = uint64(0) if wide else uint32(0)
    single_infinity = float32(float("inf"))

    @loop
    def flags_array(x, y, z, x_words, y_words, z_words, exact, cut, limits, flags):
        """The flags of results with these bits.

        `cut`: a mask of the bits below the target's last digit.  `limits`: the magnitudes from which positive and
        negative results overflow; those up to which they are tiny; the target's smallest normal and largest finite
        number; and 1.5 2^n with the target's quantum as its ulp: a smaller number is a multiple of the quantum if
        adding and subtracting it changes nothing.
        """
        special = False
        overflow, minus_overflow, tiny, minus_tiny = limits[0], limits[1], limits[2], limits[3]
        normal, most, magic = limits[4], limits[5], limits[6]
        for i in range(flags.size):  # `&` and selects, no `and`: vector instructions
            result = float_of(exact[i])
            magnitude = abs(result)
            negative = result < 0
            limit = minus_overflow if negative else overflow
            bound = minus_tiny if negative else tiny
            finite = magnitude < infinity
            special |= not finite
            between = (magnitude + magic) - magic != magnitude if magnitude < normal else exact[i] & cut != none
            inexact = finite & (between | (magnitude > most))
            raised = uint8(INEXACT_FLAG) if inexact else uint8(0)
            raised |= uint8(OVERFLOW_FLAG) if finite & (magnitude >= limit) else uint8(0)
            raised |= uint8(UNDERFLOW_FLAG) if inexact & (magnitude <= bound) else uint8(0)
            flags[i] = raised
        if not special:  # invalid operations give NaN, divisions by zero infinity
            return
        for i in range(flags.size):
            result = float_of(exact[i])
            if abs(result) < infinity:
                continue
            a = real_of(x[i], kind, x_words)
            invalid = signals(a)
            numbers = a == a
            overflows = abs(a) < single_infinity and result == result  # the float overflowed, if the result is infinite
            if operation != SQRT:
                b = real_of(y[i], kind, y_words)
                invalid |= signals(b)
                numbers &= b == b
                overflows &= abs(b) < single_infinity and (operation != DIVIDE or b != 0)
                if operation == DIVIDE and b == 0 and a != 0 and abs(a) < single_infinity:
                    flags[i] |= uint8(DIVIDE_BY_ZERO_FLAG)
            if operation == FMA:
                c = real_of(z[i], kind, z_words)
                invalid |= signals(c)
                numbers &= c == c
                overflows &= abs(c) < single_infinity
                invalid |= (abs(a) == single_infinity and b == 0) or (abs(b) == single_infinity and a == 0)
            if invalid or (result != result and numbers):
                flags[i] |= uint8(INVALID_FLAG)
            elif overflows:
                flags[i] |= uint8(OVERFLOW_FLAG | INEXACT_FLAG)

    return flags_array

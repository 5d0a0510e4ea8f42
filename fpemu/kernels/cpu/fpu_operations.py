"""Operations by the CPU's own floating point, rounded to odd: what then rounds to a narrower format rounds once.

A float of P bits that is odd where it is not exact lies on the exact result's side of every number of P - 1 bits or
fewer, so any rounding to P - 2 bits or fewer takes it for the exact result (Boldo and Melquiond, Emulation of FMA and
correctly rounded sums: proved algorithms using rounding to odd, IEEE Transactions on Computers 57(4), 2008, theorem 1).
Sums are made odd by their error, which TwoSum gives exactly (Knuth, The Art of Computer Programming, volume 2, 4.2.2,
theorem B); products are exact where arithmetic/fast_paths.py comes here; quotients and roots cannot lie where a
rounding decides without being exact, which is shown there.
"""

import functools

from numba.extending import intrinsic
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
    LOST,
    MULTIPLY,
    OVERFLOW_FLAG,
    SQRT,
    SUBTRACT,
    UNDERFLOW_FLAG,
    UNFIT,
    WIDENED,
)
from fpemu.kernels.scalar.bits import bits_of, float_of, like, shifted_left


@intrinsic
def divided(typing_context, x, y):
    """X / y as the FPU has it, also for y = 0, where Python raises."""

    def generate(context, builder, signature, arguments):
        return builder.fdiv(*arguments)

    return x(x, x), generate


@core
def odd_sum(x, y, sign, zero):
    """The bits of x + y, rounded to odd; `zero`: those of a sum that is 0 where the signs differ (+0 or -0).

    `sign`: the sign bit, in the bits' type.
    """
    total = x + y
    back = total - x
    error = (x - (total - back)) + (y - back)  # NaN where the total is no number: then nothing below is true
    bits = bits_of(total)
    one, none = like(sign, 1), like(sign, 0)
    # Selects of one comparison each become vector instructions; `and` would become jumps.
    step = one if like(sign, (bits_of(error) ^ bits) & sign) == none else like(sign, ~none)  # toward the exact sum
    step = step if abs(error) > 0 else none
    step = step if like(sign, bits & one) == none else none
    cancelled = zero if like(sign, (bits_of(x) ^ bits_of(y)) & sign) != none else bits
    return cancelled if total == 0 else like(sign, bits + step)


@core
def real_of(code, kind, words):
    """The float32 that an operand is, or that its code stands for; `words` as `widen_array` takes them."""
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

    `kind`: what operands are; `odd`: sums are rounded to odd, and not to nearest; `checked`: a product that may have
    lost digits for being small is looked for.
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
        """UNFIT, LOST or DONE of `fpemu.kernels.opcodes`."""
        if not float_environment_is_standard(probe):
            return UNFIT
        lost = False
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
                        lost |= (abs(product) < normal) & (a != 0) & (b != 0)
                elif operation == DIVIDE:
                    bits = bits_of(divided(a, b))
                else:
                    bits = sum_of(a * b, real(real_of(z[i], kind, z_words)), zero)
            out[i] = quiet if like(sign_bit, bits & like(sign_bit, ~sign_bit)) > infinity else bits
        return LOST if lost else DONE

    return operate_array


@core
def signals(x):
    """Whether a float32 is a signalling NaN."""
    bits = bits_of(x)
    return x != x and like(bits, bits & uint32(1 << 22)) == uint32(0)


@functools.cache
def flags_loop(operation, wide, kind):
    """The flags of results, from the operands and the exact result rounded to odd.

    `kind`: what operands are; see `fpu_loop`.
    """
    real = float64 if wide else float32
    infinity = real(float("inf"))
    none = uint64(0) if wide else uint32(0)
    single_infinity = float32(float("inf"))

    @loop
    def flags_array(x, y, z, x_words, y_words, z_words, exact, cut, marks, flags):
        """Flags of a result with these bits; a target's digits and limits are `cut` and `marks`.

        `cut`: a mask of the bits below its last one.  `marks`: the magnitudes from which on positive and negative
        results overflow, those up to which they are tiny, its smallest normal and largest finite number, and 1.5 2^n
        whose last digit is its quantum: a smaller number that stays as it is with that added, and taken away, has it.
        """
        special = False
        over, under, small, tiny = marks[0], marks[1], marks[2], marks[3]  # for positive, for negative results
        normal, most, magic = marks[4], marks[5], marks[6]
        for i in range(flags.size):  # `&` and selects, no `and`: vector instructions
            result = float_of(exact[i])
            magnitude = abs(result)
            negative = result < 0
            limit = under if negative else over
            bound = tiny if negative else small
            finite = magnitude < infinity
            special |= not finite
            between = (magnitude + magic) - magic != magnitude if magnitude < normal else exact[i] & cut != none
            inexact = finite & (between | (magnitude > most))
            raised = uint8(INEXACT_FLAG) if inexact else uint8(0)
            raised |= uint8(OVERFLOW_FLAG) if finite & (magnitude >= limit) else uint8(0)
            raised |= uint8(UNDERFLOW_FLAG) if inexact & (magnitude <= bound) else uint8(0)
            flags[i] = raised
        if not special:  # what is invalid gives NaN, what is divided by zero infinity
            return
        for i in range(flags.size):
            result = float_of(exact[i])
            if abs(result) < infinity:
                continue
            a = real_of(x[i], kind, x_words)
            wrong = signals(a)
            numbers = a == a
            overflows = abs(a) < single_infinity and result == result  # the float's own overflow, if it is one
            if operation != SQRT:
                b = real_of(y[i], kind, y_words)
                wrong |= signals(b)
                numbers &= b == b
                overflows &= abs(b) < single_infinity and (operation != DIVIDE or b != 0)
                if operation == DIVIDE and b == 0 and a != 0 and abs(a) < single_infinity:
                    flags[i] |= uint8(DIVIDE_BY_ZERO_FLAG)
            if operation == FMA:
                c = real_of(z[i], kind, z_words)
                wrong |= signals(c)
                numbers &= c == c
                overflows &= abs(c) < single_infinity
                wrong |= (abs(a) == single_infinity and b == 0) or (abs(b) == single_infinity and a == 0)
            if wrong or (result != result and numbers):
                flags[i] |= uint8(INVALID_FLAG)
            elif overflows:
                flags[i] |= uint8(OVERFLOW_FLAG | INEXACT_FLAG)

    return flags_array

"""Operations by the CPU's own floating point, rounded to odd: what then rounds to a narrower format rounds once.

A float of P bits that is odd where it is not exact lies on the exact result's side of every number of P - 1 bits or
fewer, so any rounding to P - 2 bits or fewer takes it for the exact result (Boldo and Melquiond, Emulation of FMA and
correctly rounded sums: proved algorithms using rounding to odd, IEEE Transactions on Computers 57(4), 2008, theorem 1).
Sums are made odd by their error, which TwoSum gives exactly (Knuth, The Art of Computer Programming, volume 2, 4.2.2,
theorem B); products are exact where fpemu/shortcuts.py comes here; quotients and roots cannot lie where a rounding
decides without being exact, which is shown there.
"""

import functools

from numba.extending import intrinsic
from numpy import float32, float64, sqrt, uint8, uint32, uint64

from fpemu.kernels.bits import bits_of, float_of, like
from fpemu.kernels.jit import core, loop
from fpemu.kernels.lanes import float_environment_is_standard, widened
from fpemu.kernels.operations import (
    ADD,
    DIVIDE,
    DIVIDE_BY_ZERO_FLAG,
    FMA,
    INEXACT_FLAG,
    INVALID_FLAG,
    MULTIPLY,
    OVERFLOW_FLAG,
    SQRT,
    SUBTRACT,
    UNDERFLOW_FLAG,
)


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
def real_of(code, narrow, words):
    """The float32 that an operand is, or that its code stands for (`narrow`; `words` as `widen_array` takes them)."""
    if narrow:
        return float_of(
            widened(uint32(code), words[0], words[1], words[2], words[3], words[4], words[5], words[6], words[7])
        )
    return code


@functools.cache
def fpu_loop(operation, wide, narrow):
    """The loop of an operation on float32 operands, in float64 (`wide`) or float32: the result's bits.

    `narrow`: the operands are codes, which become float32's by their format's words.
    """
    real = float64 if wide else float32
    word = uint64 if wide else uint32
    sign_bit = word(1 << (63 if wide else 31))
    infinity = word(0x7FF << 52 if wide else 0xFF << 23)
    quiet = word(0x7FF8 << 48 if wide else 0x7FC << 20)

    @loop
    def operate_array(x, y, z, x_words, y_words, z_words, zero, probe, out):
        """False, with nothing done, where the FPU is unfit."""
        if not float_environment_is_standard(probe):
            return False
        for i in range(out.size):
            a = real(real_of(x[i], narrow, x_words))
            if operation == SQRT:
                bits = bits_of(sqrt(a))
            else:
                b = real(real_of(y[i], narrow, y_words))
                if operation == ADD:
                    bits = odd_sum(a, b, sign_bit, zero)
                elif operation == SUBTRACT:
                    bits = odd_sum(a, -b, sign_bit, zero)
                elif operation == MULTIPLY:
                    bits = bits_of(a * b)
                elif operation == DIVIDE:
                    bits = bits_of(divided(a, b))
                else:
                    bits = odd_sum(a * b, real(real_of(z[i], narrow, z_words)), sign_bit, zero)
            out[i] = quiet if like(sign_bit, bits & like(sign_bit, ~sign_bit)) > infinity else bits
        return True

    return operate_array


@core
def signals(x):
    """Whether a float32 is a signalling NaN."""
    bits = bits_of(x)
    return x != x and like(bits, bits & uint32(1 << 22)) == uint32(0)


@functools.cache
def flags_loop(operation, wide):
    """The flags of results: from the operands, the exact result rounded to odd, and the value that was delivered."""
    real = float64 if wide else float32

    @loop
    def flags_array(x, y, z, exact, delivered, limits, tiny, flags):
        """`limits`, `tiny`: from which magnitude on results overflow, up to which they are tiny, by the sign."""
        for i in range(flags.size):
            a, b, c = x[i], y[i], z[i]
            result = float_of(exact[i])
            magnitude = abs(result)
            negative = result < 0
            finite = magnitude < real(float("inf"))
            raised = uint8(0)
            inexact = finite and real(delivered[i]) != result
            raised |= uint8(INEXACT_FLAG) if inexact else uint8(0)
            over = finite and magnitude >= (limits[1] if negative else limits[0])
            raised |= uint8(OVERFLOW_FLAG) if over else uint8(0)
            below = inexact and magnitude <= (tiny[1] if negative else tiny[0])
            raised |= uint8(UNDERFLOW_FLAG) if below else uint8(0)
            if operation == SQRT:
                wrong = signals(a) or (result != result and a == a)
            elif operation == FMA:
                times_zero = (abs(a) == float32(float("inf")) and b == 0) or (
                    abs(b) == float32(float("inf")) and a == 0
                )
                wrong = times_zero or signals(a) or signals(b) or signals(c)
                wrong = wrong or (result != result and a == a and b == b and c == c)
            else:
                wrong = signals(a) or signals(b) or (result != result and a == a and b == b)
            raised |= uint8(INVALID_FLAG) if wrong else uint8(0)
            if operation == DIVIDE:
                by_zero = b == 0 and a != 0 and abs(a) < float32(float("inf"))
                raised |= uint8(DIVIDE_BY_ZERO_FLAG) if by_zero else uint8(0)
            flags[i] = raised

    return flags_array


@loop
def take_pairs(table, x, y, width, out):
    """table[x 2^width + y]: an operation on codes whose every result is known."""
    for i in range(out.size):
        out[i] = table[(uint32(x[i]) << uint32(width)) | uint32(y[i])]

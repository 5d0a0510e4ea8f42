"""float32 to float64 and back by the CPU's own conversions."""

from fpemu.kernels.cpu.fast_casts import float_environment_is_standard
from fpemu.kernels.jit import core, loop
from fpemu.kernels.scalar.bits import bits_of, float_of, like, shifted_left

BLOCK = 512  # elements that are looked over after they are converted: they stay in the first cache
GAP = 52 - 23  # bits that a float64's fraction has more


@core
def is_special(word, infinity):
    """Whether these are the bits of an infinity or a NaN."""
    one = like(infinity, 1)
    return shifted_left(word, one) >= shifted_left(infinity, one)


@loop
def native_array(x, sign, infinity, outcomes, probe, out):
    """Bits of floats to those of the other type, to nearest even: False, and nothing done, where the FPU is unfit.

    `sign`: the sources' sign bit; `infinity`: the results'.  `outcomes`: what overflows, infinities and NaN give, each
    for both signs; then the bits that float32's NaN keep as they become float64's, none the other way.
    """
    if not float_environment_is_standard(probe):
        return False
    over, below, infinite = outcomes[0], outcomes[1], outcomes[2]
    minus_infinite, nan, minus_nan, kept = outcomes[3], outcomes[4], outcomes[5], outcomes[6]
    for start in range(0, x.size, BLOCK):
        block, to = x[start : start + BLOCK], out[start : start + BLOCK]
        special = like(infinity, 0)
        for i in range(block.size):
            word = bits_of(like(float_of(infinity), float_of(block[i])))
            to[i] = word
            special |= like(infinity, 1) if is_special(word, infinity) else like(infinity, 0)
        if special == like(infinity, 0):
            continue
        for i in range(block.size):
            number, negative = float_of(block[i]), block[i] & sign != 0
            found = minus_infinite if negative else infinite
            found = (below if negative else over) if number - number == 0 else found
            payload = like(infinity, shifted_left(like(infinity, block[i]), like(infinity, GAP)) & kept)
            found = found if number == number else like(infinity, (minus_nan if negative else nan) | payload)
            to[i] = found if is_special(to[i], infinity) else to[i]
    return True

"""The rounding decision: whether a magnitude is rounded up.  No other module decides it."""

from numpy import uint64

from fpemu.kernels.jit import core
from fpemu.kernels.scalar.bits import U0, U1
from fpemu.kernels.spec import (
    AWAY_FROM_ZERO,
    NEAREST_AWAY,
    NEAREST_EVEN,
    NEAREST_TOWARD_NEGATIVE,
    NEAREST_TOWARD_POSITIVE,
    STOCHASTIC_A,
    STOCHASTIC_B,
    STOCHASTIC_EQUAL,
    TO_ODD,
    TOWARD_NEGATIVE,
    TOWARD_POSITIVE,
)

HALF_UNIT = uint64(1 << 63)


@core
def shift_right_jam(high, low, sticky, shift):
    """Two words shifted right by `shift` (>= 0) bits, with `sticky`: whether nonzero bits lie below them.

    With the first word as the integer part, the second word is the first 64 bits that are cut off: its top bit is worth
    one half.
    """
    if shift == 0:
        return high, low, sticky
    if shift < 64:
        back = uint64(64 - shift)
        below = (low << back) != U0
        return high >> uint64(shift), (high << back) | (low >> uint64(shift)), sticky or below
    if shift == 64:
        return U0, high, sticky or low != U0
    if shift < 128:
        shifted = high >> uint64(shift - 64)
        return U0, shifted, sticky or low != U0 or (shifted << uint64(shift - 64)) != high
    return U0, U0, sticky or low != U0 or high != U0


@core
def rounds_up(odd, fraction, sticky, negative, rounding, random_bits, random):
    """Whether a magnitude between two neighbours goes to the upper one.

    IEEE 754-2019 clause 4.3, P3109 interim report 4.0.  `odd`: the lower neighbour's code is odd.  `fraction`,
    `sticky`: the cut-off part, from `shift_right_jam`.  `random`: an integer below 2^random_bits for stochastic modes.
    """
    if fraction == U0 and not sticky:
        return False
    if rounding <= NEAREST_TOWARD_NEGATIVE:
        if fraction != HALF_UNIT or sticky:
            return fraction >= HALF_UNIT
        return (
            (rounding == NEAREST_EVEN and odd)
            or rounding == NEAREST_AWAY
            or (rounding == NEAREST_TOWARD_POSITIVE and not negative)
            or (rounding == NEAREST_TOWARD_NEGATIVE and negative)
        )
    if rounding <= TO_ODD:
        return (
            rounding == AWAY_FROM_ZERO
            or (rounding == TOWARD_POSITIVE and not negative)
            or (rounding == TOWARD_NEGATIVE and negative)
            or (rounding == TO_ODD and not odd)
        )
    if rounding == STOCHASTIC_EQUAL:
        return random != U0
    count = uint64(random_bits)
    if rounding == STOCHASTIC_B:  # floor(nu 2^(N+1)) + 2R + 1 >= 2^(N+1)
        return (fraction >> (uint64(63) - count)) + (random << U1) + U1 >= U1 << (count + U1)
    steps = fraction >> (uint64(64) - count)  # floor(nu 2^N)
    if rounding != STOCHASTIC_A:  # variant C: nearest even
        remainder = fraction << count
        steps += uint64(remainder > HALF_UNIT or (remainder == HALF_UNIT and (sticky or (steps & U1) == U1)))
    return steps + random >= U1 << count

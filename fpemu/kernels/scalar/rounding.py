"""The one place that decides whether a magnitude is rounded up."""

from numpy import uint64

from fpemu.kernels.jit import core
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

HALF = uint64(1 << 63)
ONE = uint64(1)
NONE = uint64(0)


@core
def shift_right_jam(high, low, sticky, shift):
    """Two words shifted right by `shift` (>= 0) bits; `sticky`, then too, says that something lies below them.

    Where the first word is then taken as the integer part, the second one is the first 64 bits that are cut off, the
    half in its top bit.
    """
    if shift == 0:
        return high, low, sticky
    if shift < 64:
        back = uint64(64 - shift)
        lost = (low << back) != NONE
        return high >> uint64(shift), (high << back) | (low >> uint64(shift)), sticky or lost
    if shift == 64:
        return NONE, high, sticky or low != NONE
    if shift < 128:
        kept = high >> uint64(shift - 64)
        return NONE, kept, sticky or low != NONE or (kept << uint64(shift - 64)) != high
    return NONE, NONE, sticky or low != NONE or high != NONE


@core
def rounds_up(odd, fraction, sticky, negative, rounding, random_bits, random):
    """Whether a magnitude between two neighbours goes to the upper one.

    IEEE 754-2019 clause 4.3, P3109 interim report 4.0; `odd`: the lower neighbour's code is odd; `fraction` and
    `sticky`: the cut-off part as `shift_right_jam` gives it; `random`: an integer below 2^random_bits for stochastic
    modes.
    """
    if fraction == NONE and not sticky:
        return False
    if rounding <= NEAREST_TOWARD_NEGATIVE:
        if fraction != HALF or sticky:
            return fraction >= HALF
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
        return random != NONE
    count = uint64(random_bits)
    if rounding == STOCHASTIC_B:  # floor(nu 2^(N+1)) + 2R + 1 >= 2^(N+1)
        return (fraction >> (uint64(63) - count)) + (random << ONE) + ONE >= ONE << (count + ONE)
    steps = fraction >> (uint64(64) - count)  # floor(nu 2^N)
    if rounding != STOCHASTIC_A:  # variant C: nearest even
        rest = fraction << count
        steps += uint64(rest > HALF or (rest == HALF and (sticky or (steps & ONE) == ONE)))
    return steps + random >= ONE << count

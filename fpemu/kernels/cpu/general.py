"""The general cast over arrays: codes of any format to codes of any other, element by element."""

from numpy import uint64

from fpemu.kernels.jit import loop
from fpemu.kernels.scalar.bits import U0
from fpemu.kernels.scalar.convert import convert
from fpemu.kernels.scalar.random_bits import random_word
from fpemu.kernels.spec import RANDOM_BITS, ROUNDING, STOCHASTIC_A


@loop
def convert_array(codes, source, target, rules, randoms, key, first, out):
    """Convert codes of `source` to codes of `target`.

    `randoms`: an integer for each element, or empty for the stream of `key`, from its element `first` on.
    """
    stochastic = rules[ROUNDING] >= STOCHASTIC_A
    drawn = uint64(32 - rules[RANDOM_BITS])
    random = U0
    for i in range(codes.size):
        if stochastic:
            random = uint64(randoms[i]) if randoms.size else uint64(random_word(key, first + uint64(i))) >> drawn
        out[i] = convert(uint64(codes[i]), source, target, rules, random)

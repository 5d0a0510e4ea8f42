"""A counter-based stream of random integers: an element's word depends only on the key and its index."""

from numpy import uint32, uint64

from fpemu.kernels.jit import core
from fpemu.kernels.scalar.bits import U0, U1
from fpemu.kernels.spec import RANDOM_BITS, ROUNDING, STOCHASTIC_A


@core
def subkey(key, high):
    """The two 32-bit keys of the 2^32 elements whose index has `high` as its upper word (splitmix64's finaliser)."""
    z = key + (high + U1) * uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> uint64(27))) * uint64(0x94D049BB133111EB)
    z ^= z >> uint64(31)
    return uint32(z), uint32(z >> uint64(32))


@core
def word(low, first, second):
    """The 32 random bits of the element whose index has `low` as its lower word, under a subkey's two keys.

    For each subkey a bijection: C. Wellons' "triple32" (hash-prospector), keyed before and after its first round.
    """
    x = uint32(low ^ first)
    x = uint32(x ^ uint32(x >> uint32(17)))
    x = uint32(x * uint32(0xED5AD4BB))
    x = uint32(x + second)
    x = uint32(x ^ uint32(x >> uint32(11)))
    x = uint32(x * uint32(0xAC4C1B51))
    x = uint32(x ^ uint32(x >> uint32(15)))
    x = uint32(x * uint32(0x31848BAB))
    return uint32(x ^ uint32(x >> uint32(14)))


@core
def random_word(key, index):
    """The 32 random bits of element `index`."""
    first, second = subkey(key, index >> uint64(32))
    return word(uint32(index), first, second)


@core
def random_integer(key, index, rules):
    """The random integer of element `index` for these rules; 0 if the rounding is not stochastic."""
    if rules[ROUNDING] < STOCHASTIC_A:
        return U0
    return uint64(random_word(key, index)) >> uint64(32 - rules[RANDOM_BITS])

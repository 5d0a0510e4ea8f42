"""A counter-based stream of random integers: element i's word depends on the key and i alone."""

from fpemu.kernels.jit import core
from numpy import uint32, uint64


@core
def mix(x):
    """A bijection of 32 bits with low bias (C. Wellons' hash-prospector, "lowbias32")."""
    x = uint32(x ^ uint32(x >> uint32(16)))
    x = uint32(x * uint32(0x7FEB352D))
    x = uint32(x ^ uint32(x >> uint32(15)))
    x = uint32(x * uint32(0x846CA68B))
    return uint32(x ^ uint32(x >> uint32(16)))


@core
def subkey(key, high):
    """The two 32-bit keys of the 2^32 elements whose index has `high` as its upper word (splitmix64's finaliser)."""
    z = key + (high + uint64(1)) * uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> uint64(27))) * uint64(0x94D049BB133111EB)
    z ^= z >> uint64(31)
    return uint32(z), uint32(z >> uint64(32))


@core
def word(low, first, second):
    """The 32 random bits of the element whose index has `low` as its lower word, under a subkey's two keys."""
    return mix(uint32(mix(uint32(low ^ first)) + second))


@core
def random_word(key, index):
    """The 32 random bits of element `index`."""
    first, second = subkey(key, index >> uint64(32))
    return word(uint32(index), first, second)

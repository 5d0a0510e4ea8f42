"""Integers of several words beside Python's own; see tests.kernels.test_kernels."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest

from fpemu.kernels.scalar import multiword

ONES = (1 << 64) - 1
EDGES = [0, 1, ONES, ONES - 1, 1 << 63, (1 << 63) + 1, (1 << 63) - 1, 1 << 32, (1 << 32) - 1, 0xFFFFFFFF00000000]


def words(count, seed, wanted):
    """Tuples of words, edges and chance mixed."""
    rng = random.Random(seed)

    def word():
        kind = rng.randrange(4)
        return rng.choice(EDGES) if kind < 2 else rng.getrandbits(64) if kind == 2 else rng.getrandbits(33) << 31 & ONES

    return [tuple(word() for _ in range(count)) for _ in range(wanted)]


def number(parts):
    """The integer that words are, the most significant first."""
    total = 0
    for part in parts:
        total = total << 64 | int(part)
    return total


def unsigned(parts):
    return tuple(np.uint64(part) for part in parts)


def test_multiply_words():
    for x, y in [*itertools.product(EDGES, EDGES), *words(2, 1, 300)]:
        assert number(multiword.multiply_words(*unsigned((x, y)))) == x * y


def test_add_and_subtract_words():
    for six in words(6, 2, 600):
        x, y = six[:3], six[3:]
        assert number(multiword.add_words(unsigned(x), unsigned(y))) == (number(x) + number(y)) % (1 << 192)
        assert number(multiword.subtract_words(unsigned(x), unsigned(y))) == (number(x) - number(y)) % (1 << 192)
        for left, right in ((x, y), (x, x), ((*x[:2], y[2]), x), ((x[0], y[1], x[2]), x)):
            assert multiword.less_words(unsigned(left), unsigned(right)) == (number(left) < number(right))


@pytest.mark.parametrize("shift", [*range(0, 194), 200, 256, 300])
def test_shift_words(shift):
    for x in [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0), *words(3, shift, 12)]:
        found, lost = multiword.shift_words_right_jam(unsigned(x), shift)
        assert number(found) == number(x) >> shift
        assert lost == (number(x) % (1 << shift) != 0)
        assert number(multiword.shift_words_left(unsigned(x), shift)) == (number(x) << shift) % (1 << 192)


def test_normalize_words():
    for x in [*((0, 0, 1 << n) for n in range(64)), *words(3, 4, 300)]:
        for parts in (x, (0, *x[1:]), (0, 0, x[2])):
            if number(parts):
                found, shift = multiword.normalize_words(unsigned(parts))
                assert shift == 192 - number(parts).bit_length()
                assert number(found) == number(parts) << shift


def test_divide_words():
    for high, low, divisor in [*itertools.product(EDGES, EDGES, EDGES), *words(3, 5, 2_000)]:
        divisor |= 1 << 63
        high %= divisor
        quotient, rest = multiword.divide_words(*unsigned((high, low, divisor)))
        assert (int(quotient), int(rest)) == divmod(high << 64 | low, divisor)


@pytest.mark.parametrize("digits", [64, 65, 80, 96])
def test_root_words(digits):
    squares = [n * n for n in (1 << 63, (1 << 64) - 1, (1 << 63) + 1, 3 << 62, 0xB504F333F9DE6484)]
    radicands = [n + d for n in squares for d in (-1, 0, 1)] + [number(x) for x in words(2, digits, 200)]
    for radicand in radicands:
        if not 1 << 126 <= radicand < 1 << 128:
            continue
        scaled = radicand << 2 * (digits - 64)
        root = math.isqrt(scaled)
        high, low, exact = multiword.root_words(np.uint64(radicand >> 64), np.uint64(radicand & ONES), digits)
        assert number((high, low)) == root << (128 - digits)
        assert exact == (root * root == scaled)

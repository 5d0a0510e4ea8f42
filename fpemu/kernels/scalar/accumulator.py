"""An exact accumulator: a fixed-point number wide enough for all sums of a format's values, or of their products.

Its digits have 32 bits each, in signed 64-bit words, the lowest first.  The upper halves collect carries, so that a
term changes only three digits, a product five.  (U. Kulisch's long accumulator.)
"""

from numpy import int64, uint64

from fpemu.kernels.jit import core
from fpemu.kernels.opcodes import INVALID_FLAG
from fpemu.kernels.scalar.arithmetic import zero_sum
from fpemu.kernels.scalar.bits import U0, U1
from fpemu.kernels.scalar.convert import INFINITE, NOT_A_NUMBER, counts_as_zero, decode, encode_infinity, encode_zero
from fpemu.kernels.scalar.multiword import HALF_WORD, LOW_HALF, divide_words, normalize_words
from fpemu.kernels.scalar.results import invalid_result, round_exact
from fpemu.kernels.spec import INVALID_NAN, NAN, NAN_IEEE

# The terms added so far, beside their digits: a set of bits
SEEN_NAN = 1
SEEN_INVALID = 2  # a signalling NaN, or zero times infinity
SEEN_PLUS_INFINITY = 4
SEEN_MINUS_INFINITY = 8
SEEN_PLUS = 16  # a finite term of this sign, zero or not
SEEN_MINUS = 32


@core
def term(code, spec, rules):
    """Decode a term of a sum: (category, negative, significand, exponent, whether it is a signalling NaN)."""
    category, negative, significand, exponent = decode(uint64(code), spec)
    if category == NOT_A_NUMBER:
        return category, negative, U0, exponent, spec[NAN] == NAN_IEEE and significand >> uint64(63) == U0
    if counts_as_zero(significand, spec, rules):
        significand = U0
    return category, negative, significand, exponent, False


@core
def seen_of(category, negative, signals):
    """The SEEN_ bits of a term."""
    if category == NOT_A_NUMBER:
        return SEEN_NAN | SEEN_INVALID if signals else SEEN_NAN
    if category == INFINITE:
        return SEEN_MINUS_INFINITY if negative else SEEN_PLUS_INFINITY
    return SEEN_MINUS if negative else SEEN_PLUS


@core
def deposit(digits, high, low, position, negative):
    """Add a magnitude of two words, its last bit at bit `position` of the accumulator, or subtract it."""
    index = position >> 5
    up = uint64(position & 31)
    back = uint64(63) - up  # one bit less than needed: a shift by 64 would be undefined
    first = int64((low << up) & LOW_HALF)
    second = int64((low >> (HALF_WORD - up)) & LOW_HALF)
    third = int64((((low >> back) >> U1) | (high << up)) & LOW_HALF)
    fourth = int64((high >> (HALF_WORD - up)) & LOW_HALF)
    fifth = int64((high >> back) >> U1)
    if negative:
        first, second, third, fourth, fifth = -first, -second, -third, -fourth, -fifth
    digits[index] += first
    digits[index + 1] += second
    digits[index + 2] += third
    digits[index + 3] += fourth
    digits[index + 4] += fifth


@core
def carry(digits):
    """Propagate the carries: all digits but the last, which has the sign, are then 0 to 2^32 - 1."""
    carried = int64(0)
    for i in range(digits.size - 1):
        total = digits[i] + carried
        carried = total >> 32
        digits[i] = total & 0xFFFFFFFF
    digits[digits.size - 1] += carried


@core
def magnitude_digit(digits, i, negative, lowest):
    """A digit of the magnitude, after `carry`; `lowest` is the index of the lowest nonzero digit."""
    if i < lowest:
        return U0
    if not negative:
        return uint64(digits[i])
    return uint64(-digits[i] if i == lowest else ~digits[i]) & LOW_HALF


@core
def round_total(digits, bottom, seen, count, mean, target, rules, random):
    """The sum, or with `mean` the sum divided by `count`, rounded once: (code, flags).

    `bottom`: the exponent of the accumulator's last bit.  NaN, infinities and zeros have the results of successive
    additions (IEEE 754-2019 clauses 6.1 to 6.3, 7.2 and 9.4), except that infinities raise nothing beside a NaN and
    that no NaN's payload propagates; thus the order of the terms does not matter.
    """
    if seen & (SEEN_NAN | SEEN_INVALID):
        return uint64(rules[INVALID_NAN]), INVALID_FLAG if seen & SEEN_INVALID else 0
    if seen & SEEN_PLUS_INFINITY:
        return invalid_result(rules) if seen & SEEN_MINUS_INFINITY else (encode_infinity(False, rules), 0)
    if seen & SEEN_MINUS_INFINITY:
        return encode_infinity(True, rules), 0
    if mean and count == 0:
        return invalid_result(rules)
    carry(digits)
    lowest = int64(0)
    while lowest < digits.size and digits[lowest] == 0:
        lowest += 1
    if lowest == digits.size:
        if seen & SEEN_PLUS and seen & SEEN_MINUS:
            return zero_sum(True, False, rules)
        return encode_zero(seen & SEEN_MINUS != 0, rules), 0
    negative = digits[digits.size - 1] < 0
    highest = digits.size - 1
    while magnitude_digit(digits, highest, negative, lowest) == U0:
        highest -= 1
    high = magnitude_digit(digits, highest, negative, lowest) << HALF_WORD
    high |= magnitude_digit(digits, highest - 1, negative, lowest)
    middle = magnitude_digit(digits, highest - 2, negative, lowest) << HALF_WORD
    middle |= magnitude_digit(digits, highest - 3, negative, lowest)
    low = magnitude_digit(digits, highest - 4, negative, lowest) << HALF_WORD
    low |= magnitude_digit(digits, highest - 5, negative, lowest)
    sticky = lowest < highest - 5
    words, exponent = (high, middle, low), bottom + 32 * (highest - 5)
    if mean:
        words, exponent, inexact = divide_total(words, exponent, uint64(count))
        sticky = sticky or inexact
    return round_exact(negative, words, exponent, sticky, target, rules, random)


@core
def divide_total(words, exponent, divisor):
    """Three words (not all 0) by one: (quotient of at least 128 digits, its exponent, whether it is inexact)."""
    words, shift = normalize_words(words)
    exponent -= shift
    while divisor >> uint64(63) == U0:
        divisor <<= U1
        exponent += 1
    high = uint64(words[0] >= divisor)
    remainder = words[0] - divisor if high else words[0]
    middle, remainder = divide_words(remainder, words[1], divisor)
    low, remainder = divide_words(remainder, words[2], divisor)
    return (high, middle, low), exponent, remainder != U0

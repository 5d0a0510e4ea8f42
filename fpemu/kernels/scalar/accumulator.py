"""An exact accumulator: a fixed-point number wide enough for every sum of a format's values, or of their products.

Its digits are signed 64-bit words of 32 bits each, the lowest first; the upper halves hold carries that have not been
passed on yet, so that a term touches three digits (a product five) and no more.  (U. Kulisch's long accumulator.)
"""

from numpy import int64, uint64

from fpemu.kernels.jit import core
from fpemu.kernels.opcodes import INVALID_FLAG, INVALID_NAN
from fpemu.kernels.scalar.arithmetic import zero_sum
from fpemu.kernels.scalar.convert import INFINITE, NOT_A_NUMBER, counts_as_zero, decode, encode_zero
from fpemu.kernels.scalar.multiword import divide_words, normalize_words
from fpemu.kernels.scalar.results import infinite, invalid_result, round_exact
from fpemu.kernels.spec import NAN, NAN_IEEE

U0 = uint64(0)
ONE = uint64(1)
DIGIT = uint64(0xFFFFFFFF)
HALF_WORD = uint64(32)

# What has been added so far, beside the digits
SEEN_NAN = 1
SEEN_INVALID = 2  # a signalling NaN, or zero times infinity
SEEN_PLUS_INFINITY = 4
SEEN_MINUS_INFINITY = 8
SEEN_PLUS = 16  # a finite term of this sign, zero or not
SEEN_MINUS = 32


@core
def term(code, spec, rules):
    """An operand as it is added up: (category, negative, significand, exponent, whether it is a signalling NaN)."""
    category, negative, significand, exponent = decode(uint64(code), spec)
    if category == NOT_A_NUMBER:
        return category, negative, U0, exponent, spec[NAN] == NAN_IEEE and significand >> uint64(63) == U0
    if counts_as_zero(significand, spec, rules):
        significand = U0
    return category, negative, significand, exponent, False


@core
def seen_of(category, negative, signals):
    """What a term is, as one of the SEEN_ numbers."""
    if category == NOT_A_NUMBER:
        return SEEN_NAN | SEEN_INVALID if signals else SEEN_NAN
    if category == INFINITE:
        return SEEN_MINUS_INFINITY if negative else SEEN_PLUS_INFINITY
    return SEEN_MINUS if negative else SEEN_PLUS


@core
def deposit(digits, high, low, place, negative):
    """Add a magnitude of two words, its last bit at 2^place of the accumulator, or take it away."""
    at = place >> 5
    up = uint64(place & 31)
    back = uint64(63) - up  # and one bit more: a shift by 64 would be undefined
    first = int64((low << up) & DIGIT)
    second = int64((low >> (HALF_WORD - up)) & DIGIT)
    third = int64((((low >> back) >> ONE) | (high << up)) & DIGIT)
    fourth = int64((high >> (HALF_WORD - up)) & DIGIT)
    fifth = int64((high >> back) >> ONE)
    if negative:
        first, second, third, fourth, fifth = -first, -second, -third, -fourth, -fifth
    digits[at] += first
    digits[at + 1] += second
    digits[at + 2] += third
    digits[at + 3] += fourth
    digits[at + 4] += fifth


@core
def carry(digits):
    """Pass the carries on: all digits but the last, which has the sign, are then 0 to 2^32 - 1."""
    carried = int64(0)
    for i in range(digits.size - 1):
        total = digits[i] + carried
        carried = total >> 32
        digits[i] = total & 0xFFFFFFFF
    digits[digits.size - 1] += carried


@core
def magnitude_digit(digits, i, negative, lowest):
    """A digit of the magnitude of carried digits, of which `lowest` is the lowest that is not 0; 0 below the first."""
    if i < lowest:
        return U0
    if not negative:
        return uint64(digits[i])
    return uint64(-digits[i] if i == lowest else ~digits[i]) & DIGIT


@core
def round_total(digits, bottom, seen, count, mean, target, rules, knobs, random):
    """The sum, or with `mean` the sum divided by `count`, rounded once: (code, flags).

    `bottom`: the exponent of the accumulator's last bit.  Of NaN, infinities and zeros it says what additions one after
    the other do (IEEE 754-2019 clauses 6.1 to 6.3, 7.2 and 9.4), but where a NaN is among the terms infinities raise
    nothing, and no NaN is passed on, so that the order of the terms does not matter.
    """
    if seen & (SEEN_NAN | SEEN_INVALID):
        return uint64(knobs[INVALID_NAN]), INVALID_FLAG if seen & SEEN_INVALID else 0
    if seen & SEEN_PLUS_INFINITY:
        return invalid_result(knobs) if seen & SEEN_MINUS_INFINITY else (infinite(False, rules), 0)
    if seen & SEEN_MINUS_INFINITY:
        return infinite(True, rules), 0
    if mean and count == 0:
        return invalid_result(knobs)
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
        words, exponent, rest = divide_total(words, exponent, uint64(count))
        sticky = sticky or rest
    return round_exact(negative, words, exponent, sticky, target, rules, knobs, random)


@core
def divide_total(words, exponent, divisor):
    """Three words (not all 0) by one: (quotient of 128 digits or more, its exponent, whether something is left)."""
    words, shift = normalize_words(words)
    exponent -= shift
    while divisor >> uint64(63) == U0:
        divisor <<= ONE
        exponent += 1
    high = uint64(words[0] >= divisor)
    rest = words[0] - divisor if high else words[0]
    middle, rest = divide_words(rest, words[1], divisor)
    low, rest = divide_words(rest, words[2], divisor)
    return (high, middle, low), exponent, rest != U0

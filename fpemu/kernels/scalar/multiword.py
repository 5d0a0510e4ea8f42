"""Integers of several 64-bit words, the most significant first: what exact results of operations need."""

from numpy import int64, uint64

from fpemu.kernels.jit import core
from fpemu.kernels.scalar.bits import leading_zeros

NONE = uint64(0)
ONE = uint64(1)
LOW = uint64(0xFFFFFFFF)
HALF_WORD = uint64(32)


@core
def multiply_words(x, y):
    """The product of two words: (high, low)."""
    x1, x0, y1, y0 = x >> HALF_WORD, x & LOW, y >> HALF_WORD, y & LOW
    low, middle, cross, high = x0 * y0, x1 * y0, x0 * y1, x1 * y1
    carried = middle + (low >> HALF_WORD)  # at most (2^32 - 1)^2 + 2^32 - 1: no carry is lost
    crossed = cross + (carried & LOW)
    return high + (carried >> HALF_WORD) + (crossed >> HALF_WORD), (crossed << HALF_WORD) | (low & LOW)


@core
def add_words(x, y):
    """The sum of two numbers of three words, modulo 2^192."""
    low = x[2] + y[2]
    carry = ONE if low < x[2] else NONE
    partial = x[1] + y[1]
    middle = partial + carry
    carry = ONE if partial < x[1] or middle < partial else NONE
    return x[0] + y[0] + carry, middle, low


@core
def subtract_words(x, y):
    """The difference of two numbers of three words, modulo 2^192."""
    borrow = ONE if x[2] < y[2] else NONE
    partial = x[1] - y[1]
    middle = partial - borrow
    borrow_more = ONE if x[1] < y[1] or partial < borrow else NONE
    return x[0] - y[0] - borrow_more, middle, x[2] - y[2]


@core
def less_words(x, y):
    """Whether a number of three words is below another."""
    if x[0] != y[0]:
        return x[0] < y[0]
    return x[1] < y[1] or (x[1] == y[1] and x[2] < y[2])


@core
def shift_words_right_jam(x, shift):
    """Three words shifted right by `shift` (>= 0) bits: (words, whether something was lost)."""
    high, middle, low = x
    lost = NONE
    words = shift >> 6
    if words >= 1:
        lost, high, middle, low = low, NONE, high, middle
    if words >= 2:
        lost, middle, low = lost | low, NONE, middle
    if words >= 3:
        lost, low = lost | low, NONE
    rest = uint64(shift & 63)
    if rest != NONE:
        back = uint64(64) - rest
        lost |= low << back
        low = (low >> rest) | (middle << back)
        middle = (middle >> rest) | (high << back)
        high >>= rest
    return (high, middle, low), lost != NONE


@core
def shift_words_left(x, shift):
    """Three words shifted left by `shift` (>= 0) bits, modulo 2^192."""
    high, middle, low = x
    words = shift >> 6
    if words >= 1:
        high, middle, low = middle, low, NONE
    if words >= 2:
        high, middle = middle, NONE
    if words >= 3:
        high = NONE
    rest = uint64(shift & 63)
    if rest != NONE:
        back = uint64(64) - rest
        high = (high << rest) | (middle >> back)
        middle = (middle << rest) | (low >> back)
        low <<= rest
    return high, middle, low


@core
def normalize_words(x):
    """Three words (not all 0) shifted left until the top bit is set: (words, by how many bits)."""
    if x[0] != NONE:
        shift = int64(leading_zeros(x[0]))
    elif x[1] != NONE:
        shift = 64 + int64(leading_zeros(x[1]))
    else:
        shift = 128 + int64(leading_zeros(x[2]))
    return shift_words_left(x, shift), shift


@core
def divide_words(high, low, divisor):
    """Two words divided by one: (quotient, remainder); needs high < divisor and divisor's top bit set.

    Schoolbook division with 32-bit digits: an estimate of each digit is at most 2 too large (Knuth, The Art of Computer
    Programming, volume 2, 4.3.1, theorem B).
    """
    top, bottom = divisor >> HALF_WORD, divisor & LOW
    quotient = NONE
    rest = high
    for i in range(2):
        digit = (low >> HALF_WORD) if i == 0 else low & LOW
        estimate = rest // top
        left = rest - estimate * top
        while estimate > LOW or estimate * bottom > ((left << HALF_WORD) | digit):
            estimate -= ONE
            left += top
            if left > LOW:
                break
        rest = ((rest << HALF_WORD) | digit) - estimate * divisor  # modulo 2^64, as the result is below the divisor
        quotient = (quotient << HALF_WORD) | estimate
    return quotient, rest


@core
def root_words(high, low, digits):
    """The first `digits` (64 to 96) bits of the square root of a number of two words: (high, low, whether exact).

    The radicand lies in [2^126, 2^128); after its 128 bits come zeros.  One bit of the root for two of the radicand.
    The root's top bit is `high`'s.
    """
    rest_high, rest_low = NONE, NONE
    root_high, root_low = NONE, NONE
    for _ in range(digits):
        rest_high = (rest_high << uint64(2)) | (rest_low >> uint64(62))
        rest_low = (rest_low << uint64(2)) | (high >> uint64(62))
        high = (high << uint64(2)) | (low >> uint64(62))
        low <<= uint64(2)
        trial_high = (root_high << uint64(2)) | (root_low >> uint64(62))
        trial_low = (root_low << uint64(2)) | ONE
        root_high = (root_high << ONE) | (root_low >> uint64(63))
        root_low <<= ONE
        if rest_high > trial_high or (rest_high == trial_high and rest_low >= trial_low):
            borrow = ONE if rest_low < trial_low else NONE
            rest_low -= trial_low
            rest_high = rest_high - trial_high - borrow
            root_low |= ONE
    up = uint64(128 - digits)
    exact = rest_high == NONE and rest_low == NONE and high == NONE and low == NONE
    if up < uint64(64):
        root_high = (root_high << up) | (root_low >> (uint64(64) - up))
        root_low <<= up
    else:
        root_high, root_low = root_low << (up - uint64(64)), NONE
    return root_high, root_low, exact

"""Integers of several 64-bit words, the most significant first, for exact results of operations."""

from numpy import int64, uint64

from fpemu.kernels.jit import core
from fpemu.kernels.scalar.bits import U0, U1, leading_zeros

LOW_HALF = uint64(0xFFFFFFFF)
HALF_WORD = uint64(32)


@core
def multiply_words(x, y):
    """The product of two words: (high, low)."""
    x1, x0, y1, y0 = x >> HALF_WORD, x & LOW_HALF, y >> HALF_WORD, y & LOW_HALF
    low, middle, cross, high = x0 * y0, x1 * y0, x0 * y1, x1 * y1
    carried = middle + (low >> HALF_WORD)  # at most (2^32 - 1)^2 + 2^32 - 1: no overflow
    crossed = cross + (carried & LOW_HALF)
    return high + (carried >> HALF_WORD) + (crossed >> HALF_WORD), (crossed << HALF_WORD) | (low & LOW_HALF)


@core
def add_words(x, y):
    """The sum of two numbers of three words, modulo 2^192."""
    low = x[2] + y[2]
    carry = U1 if low < x[2] else U0
    partial = x[1] + y[1]
    middle = partial + carry
    carry = U1 if partial < x[1] or middle < partial else U0
    return x[0] + y[0] + carry, middle, low


@core
def subtract_words(x, y):
    """The difference of two numbers of three words, modulo 2^192."""
    borrow = U1 if x[2] < y[2] else U0
    partial = x[1] - y[1]
    middle = partial - borrow
    borrow_more = U1 if x[1] < y[1] or partial < borrow else U0
    return x[0] - y[0] - borrow_more, middle, x[2] - y[2]


@core
def less_words(x, y):
    """Whether a number of three words is below another."""
    if x[0] != y[0]:
        return x[0] < y[0]
    return x[1] < y[1] or (x[1] == y[1] and x[2] < y[2])


@core
def shift_words_right_jam(x, shift):
    """Three words shifted right by `shift` (>= 0) bits: (words, whether nonzero bits were shifted out)."""
    high, middle, low = x
    dropped = U0
    words = shift >> 6
    if words >= 1:
        dropped, high, middle, low = low, U0, high, middle
    if words >= 2:
        dropped, middle, low = dropped | low, U0, middle
    if words >= 3:
        dropped, low = dropped | low, U0
    bits = uint64(shift & 63)
    if bits != U0:
        back = uint64(64) - bits
        dropped |= low << back
        low = (low >> bits) | (middle << back)
        middle = (middle >> bits) | (high << back)
        high >>= bits
    return (high, middle, low), dropped != U0


@core
def shift_words_left(x, shift):
    """Three words shifted left by `shift` (>= 0) bits, modulo 2^192."""
    high, middle, low = x
    words = shift >> 6
    if words >= 1:
        high, middle, low = middle, low, U0
    if words >= 2:
        high, middle = middle, U0
    if words >= 3:
        high = U0
    bits = uint64(shift & 63)
    if bits != U0:
        back = uint64(64) - bits
        high = (high << bits) | (middle >> back)
        middle = (middle << bits) | (low >> back)
        low <<= bits
    return high, middle, low


@core
def normalize_words(x):
    """Three words (not all 0) shifted left until the top bit is set: (words, shift)."""
    if x[0] != U0:
        shift = int64(leading_zeros(x[0]))
    elif x[1] != U0:
        shift = 64 + int64(leading_zeros(x[1]))
    else:
        shift = 128 + int64(leading_zeros(x[2]))
    return shift_words_left(x, shift), shift


@core
def divide_words(high, low, divisor):
    """Two words divided by one: (quotient, remainder); requires high < divisor and the divisor's top bit set.

    Schoolbook division with 32-bit digits: an estimate of each digit is at most 2 too large (Knuth, The Art of Computer
    Programming, volume 2, 4.3.1, theorem B).
    """
    top, bottom = divisor >> HALF_WORD, divisor & LOW_HALF
    quotient = U0
    remainder = high
    for i in range(2):
        digit = (low >> HALF_WORD) if i == 0 else low & LOW_HALF
        estimate = remainder // top
        partial = remainder - estimate * top
        while estimate > LOW_HALF or estimate * bottom > ((partial << HALF_WORD) | digit):
            estimate -= U1
            partial += top
            if partial > LOW_HALF:
                break
        remainder = ((remainder << HALF_WORD) | digit) - estimate * divisor  # modulo 2^64: it is below the divisor
        quotient = (quotient << HALF_WORD) | estimate
    return quotient, remainder


@core
def root_words(high, low, digits):
    """The first `digits` (64 to 96) bits of the square root of a number of two words: (high, low, whether exact).

    The radicand lies in [2^126, 2^128), followed by zeros.  Two of its bits give one bit of the root, whose top bit is
    the top bit of `high`.
    """
    remainder_high, remainder_low = U0, U0
    root_high, root_low = U0, U0
    for _ in range(digits):
        remainder_high = (remainder_high << uint64(2)) | (remainder_low >> uint64(62))
        remainder_low = (remainder_low << uint64(2)) | (high >> uint64(62))
        high = (high << uint64(2)) | (low >> uint64(62))
        low <<= uint64(2)
        trial_high = (root_high << uint64(2)) | (root_low >> uint64(62))
        trial_low = (root_low << uint64(2)) | U1
        root_high = (root_high << U1) | (root_low >> uint64(63))
        root_low <<= U1
        if remainder_high > trial_high or (remainder_high == trial_high and remainder_low >= trial_low):
            borrow = U1 if remainder_low < trial_low else U0
            remainder_low -= trial_low
            remainder_high = remainder_high - trial_high - borrow
            root_low |= U1
    up = uint64(128 - digits)
    exact = remainder_high == U0 and remainder_low == U0 and high == U0 and low == U0
    if up < uint64(64):
        root_high = (root_high << up) | (root_low >> (uint64(64) - up))
        root_low <<= up
    else:
        root_high, root_low = root_low << (up - uint64(64)), U0
    return root_high, root_low, exact

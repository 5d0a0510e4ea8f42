"""Remainders x - n y, exact before they are rounded to the result's format."""

from numpy import uint64

from fpemu.kernels.jit import core
from fpemu.kernels.scalar.convert import INFINITE, NOT_A_NUMBER, encode_zero
from fpemu.kernels.scalar.multiword import divide_words, multiply_words
from fpemu.kernels.scalar.results import U0, invalid_result, operand, propagate, round_exact, round_number

ONE = uint64(1)
TWO = uint64(2)


@core
def multiply_modulo(x, y, divisor):
    """The remainder of x y by a divisor whose top bit is set; x and y are below it."""
    high, low = multiply_words(x, y)
    return divide_words(high, low, divisor)[1]


@core
def shifted_modulo(x, shift, divisor):
    """The remainder of x 2^shift by the divisor, and whether the quotient is odd; shift >= 0, both top bits are set.

    2^(shift - 1) by squaring, and the last doubling by itself: it shows the quotient's last bit.
    """
    odd = x >= divisor
    rest = x - divisor if odd else x
    if shift == 0:
        return rest, odd
    left = shift - 1
    power = TWO
    while left > 0:
        if left & 1:
            rest = multiply_modulo(rest, power, divisor)
        power = multiply_modulo(power, power, divisor)
        left >>= 1
    carry = rest >> uint64(63)
    rest <<= ONE
    odd = carry != U0 or rest >= divisor
    if odd:
        rest -= divisor  # modulo 2^64, as the result is below the divisor
    return rest, odd


@core
def remainder(x_code, y_code, nearest, x_spec, y_spec, target, rules, knobs, random):
    """X - n y, n being x / y rounded toward zero, or (`nearest`) to the nearest integer, a tie to even: (code, flags).

    A zero has x's sign.  IEEE 754-2019 clauses 5.3.1, 7.2.
    """
    x_operand, y_operand = operand(x_code, x_spec, rules), operand(y_code, y_spec, rules)
    x_kind, negative, x, exponent, _ = x_operand
    y_kind, _, y, y_exponent, _ = y_operand
    if x_kind == NOT_A_NUMBER or y_kind == NOT_A_NUMBER:
        return propagate(x_operand, y_operand, target, rules, knobs)
    if x_kind == INFINITE or (y_kind != INFINITE and y == U0):
        return invalid_result(knobs)
    shift = exponent - y_exponent
    if y_kind == INFINITE or x == U0 or shift < -1:  # n = 0
        return round_number(x_kind, negative, x, exponent, target, rules, knobs, random)
    if shift == -1:  # y / 4 < x < y, counted in halves of y's last bit
        if nearest and x > y:
            x = y - (x - y)
            negative = not negative
    else:
        x, odd = shifted_modulo(x, shift, y)
        exponent = y_exponent
        if nearest and (x > y - x or (odd and x == y - x)):
            x = y - x
            negative = not negative
    if x == U0:
        return encode_zero(negative, rules), 0
    return round_exact(negative, (x, U0, U0), exponent - 128, False, target, rules, knobs, random)

"""Operations on codes: decode, compute exactly, round once by `scalar.convert.encode`; with IEEE 754's flags.

Here are the sums, products, quotients and roots, and the loop that all operations share.
"""

from numpy import uint64

from fpemu.kernels.jit import core
from fpemu.kernels.opcodes import (
    DIVIDE_BY_ZERO_FLAG,
    DIVISION_BY_ZERO,
    FMA_QUIET,
    INVALID_FLAG,
    INVALID_NAN,
    NAN_RESULT,
    NAN_RESULT_FIRST_SIGNALING,
    SIGN_ONLY,
)
from fpemu.kernels.scalar.convert import FINITE, INFINITE, NOT_A_NUMBER, decode, encode_zero
from fpemu.kernels.scalar.multiword import (
    add_words,
    divide_words,
    less_words,
    multiply_words,
    normalize_words,
    root_words,
    shift_words_right_jam,
    subtract_words,
)
from fpemu.kernels.scalar.results import (
    U0,
    converted,
    first_nan,
    infinite,
    invalid_result,
    nan_from,
    operand,
    propagate,
    quieted,
    round_exact,
    round_number,
)
from fpemu.kernels.spec import BITS, NAN, NAN_NEGATIVE_ZERO, ROUNDING, TOWARD_NEGATIVE

ONE = uint64(1)

ROOT_DIGITS = 96  # float64's 53, 32 random bits, and some


@core
def zero_sum(x_negative, y_negative, rules):
    """The zero that a sum is (IEEE 754-2019 clause 6.3): x's sign where both agree, else + but toward negative."""
    negative = x_negative if x_negative == y_negative else rules[ROUNDING] == TOWARD_NEGATIVE
    return encode_zero(negative, rules), 0


@core
def sum_exact(x_negative, x, x_top, y_negative, y, y_top, target, rules, knobs, random):
    """The sum of two numbers that are not 0, rounded; each as normalized words and the exponent of its top bit.

    Of each the last word is 0 (products fill two).  The smaller one is shifted below the larger: where that loses
    bits, by more than 63, at most one leading bit cancels.
    """
    if x_top < y_top or (x_top == y_top and less_words(x, y)):
        x_negative, x, x_top, y_negative, y, y_top = y_negative, y, y_top, x_negative, x, x_top
    x, _ = shift_words_right_jam(x, 1)  # room for a carry
    y, lost = shift_words_right_jam(y, min(x_top - y_top, 192) + 1)
    if x_negative == y_negative:
        total = add_words(x, y)
    else:
        total = subtract_words(x, y)
        if lost:  # a little more than y is taken away: all but a little of one unit
            total = subtract_words(total, (U0, U0, ONE))
        if total[0] == U0 and total[1] == U0 and total[2] == U0:
            return zero_sum(x_negative, y_negative, rules)
    return round_exact(x_negative, total, x_top - 190, lost, target, rules, knobs, random)


@core
def add(x_code, y_code, minus, x_spec, y_spec, target, rules, knobs, random):
    """Sum x + y (or x - y) of two formats, in a third: (code, flags).  IEEE 754-2019 clause 5.4.1."""
    x_operand, y_operand = operand(x_code, x_spec, rules), operand(y_code, y_spec, rules)
    x_kind, x_negative, x, x_exponent, _ = x_operand
    y_kind, y_negative, y, y_exponent, _ = y_operand
    if x_kind == NOT_A_NUMBER or y_kind == NOT_A_NUMBER:
        return propagate(x_operand, y_operand, target, rules, knobs)
    y_negative = y_negative != minus
    if x_kind == INFINITE:
        if y_kind == INFINITE and x_negative != y_negative:
            return invalid_result(knobs)
        return infinite(x_negative, rules), 0
    if y_kind == INFINITE:
        return infinite(y_negative, rules), 0
    if x == U0 and y == U0:
        return zero_sum(x_negative, y_negative, rules)
    if x == U0:
        return round_number(y_kind, y_negative, y, y_exponent, target, rules, knobs, random)
    if y == U0:
        return round_number(x_kind, x_negative, x, x_exponent, target, rules, knobs, random)
    x_top, y_top = x_exponent + 63, y_exponent + 63
    return sum_exact(x_negative, (x, U0, U0), x_top, y_negative, (y, U0, U0), y_top, target, rules, knobs, random)


@core
def multiply(x_code, y_code, x_spec, y_spec, target, rules, knobs, random):
    """Product x y of two formats, in a third: (code, flags).  IEEE 754-2019 clause 5.4.1."""
    x_operand, y_operand = operand(x_code, x_spec, rules), operand(y_code, y_spec, rules)
    x_kind, x_negative, x, x_exponent, _ = x_operand
    y_kind, y_negative, y, y_exponent, _ = y_operand
    if x_kind == NOT_A_NUMBER or y_kind == NOT_A_NUMBER:
        return propagate(x_operand, y_operand, target, rules, knobs)
    negative = x_negative != y_negative
    if is_infinite_by_zero(x_operand, y_operand):
        return invalid_result(knobs)
    if x_kind == INFINITE or y_kind == INFINITE:
        return infinite(negative, rules), 0
    if x == U0 or y == U0:
        return encode_zero(negative, rules), 0
    high, low = multiply_words(x, y)
    return round_exact(negative, (high, low, U0), x_exponent + y_exponent - 64, False, target, rules, knobs, random)


@core
def is_infinite_by_zero(x_operand, y_operand):
    """Whether of two operands one is infinite and the other 0."""
    x_kind, _, x, _, _ = x_operand
    y_kind, _, y, _, _ = y_operand
    return (x_kind == INFINITE and y_kind == FINITE and y == U0) or (
        y_kind == INFINITE and x_kind == FINITE and x == U0
    )


@core
def divide(x_code, y_code, x_spec, y_spec, target, rules, knobs, random):
    """Quotient x / y of two formats, in a third: (code, flags).  IEEE 754-2019 clauses 5.4.1, 7.3."""
    x_operand, y_operand = operand(x_code, x_spec, rules), operand(y_code, y_spec, rules)
    x_kind, x_negative, x, x_exponent, _ = x_operand
    y_kind, y_negative, y, y_exponent, _ = y_operand
    if x_kind == NOT_A_NUMBER or y_kind == NOT_A_NUMBER:
        return propagate(x_operand, y_operand, target, rules, knobs)
    negative = x_negative != y_negative
    by_zero = y_kind == FINITE and y == U0
    if x_kind == INFINITE:
        if y_kind == INFINITE or (by_zero and knobs[DIVISION_BY_ZERO]):
            return invalid_result(knobs)
        return infinite(negative, rules), 0
    if y_kind == INFINITE:
        return encode_zero(negative, rules), 0
    if by_zero:
        if x == U0:
            return invalid_result(knobs)
        code = uint64(knobs[INVALID_NAN]) if knobs[DIVISION_BY_ZERO] else infinite(negative, rules)
        return code, DIVIDE_BY_ZERO_FLAG
    if x == U0:
        return encode_zero(negative, rules), 0
    high, rest = divide_words(x >> ONE, x << uint64(63), y)
    low, rest = divide_words(rest, U0, y)
    exponent = x_exponent - y_exponent - 63 - 128
    return round_exact(negative, (high, low, U0), exponent, rest != U0, target, rules, knobs, random)


@core
def fma_nan(x, y, z, times_zero, target, rules, knobs):
    """Fused x y + z where an operand is NaN: (code, flags); first x with y, then what they give with z.

    `times_zero`: x y is infinity times 0, whose sum with a quiet NaN IEEE 754-2019 clause 7.2 leaves open.
    """
    raised = x[4] or y[4] or z[4] or (times_zero and not knobs[FMA_QUIET])
    flags = INVALID_FLAG if raised else 0
    if times_zero:
        if knobs[FMA_QUIET] or (z[4] and knobs[NAN_RESULT] == NAN_RESULT_FIRST_SIGNALING):
            return nan_from(z, target, rules, knobs), flags
        return uint64(knobs[INVALID_NAN]), flags
    if x[0] == NOT_A_NUMBER or y[0] == NOT_A_NUMBER:
        x = quieted(first_nan(x, y, knobs))
    return nan_from(first_nan(x, z, knobs), target, rules, knobs), flags


@core
def fma(x_code, y_code, z_code, x_spec, y_spec, z_spec, target, rules, knobs, random):
    """Fused x y + z of three formats, in a fourth, rounded once: (code, flags).  IEEE 754-2019 clause 5.4.1."""
    x_operand, y_operand = operand(x_code, x_spec, rules), operand(y_code, y_spec, rules)
    z_operand = operand(z_code, z_spec, rules)
    x_kind, x_negative, x, x_exponent, _ = x_operand
    y_kind, y_negative, y, y_exponent, _ = y_operand
    z_kind, z_negative, z, z_exponent, _ = z_operand
    times_zero = is_infinite_by_zero(x_operand, y_operand)
    if x_kind == NOT_A_NUMBER or y_kind == NOT_A_NUMBER or z_kind == NOT_A_NUMBER:
        return fma_nan(x_operand, y_operand, z_operand, times_zero, target, rules, knobs)
    if times_zero:
        return invalid_result(knobs)
    negative = x_negative != y_negative
    if x_kind == INFINITE or y_kind == INFINITE:
        if z_kind == INFINITE and z_negative != negative:
            return invalid_result(knobs)
        return infinite(negative, rules), 0
    if z_kind == INFINITE:
        return infinite(z_negative, rules), 0
    if x == U0 or y == U0:
        if z == U0:
            return zero_sum(negative, z_negative, rules)
        return round_number(z_kind, z_negative, z, z_exponent, target, rules, knobs, random)
    high, low = multiply_words(x, y)
    exponent = x_exponent + y_exponent - 64
    if z == U0:
        return round_exact(negative, (high, low, U0), exponent, False, target, rules, knobs, random)
    product, shift = normalize_words((high, low, U0))
    top = exponent + 191 - shift
    return sum_exact(negative, product, top, z_negative, (z, U0, U0), z_exponent + 63, target, rules, knobs, random)


@core
def sqrt(x_code, x_spec, target, rules, knobs, random):
    """The square root of x, in another format: (code, flags).  IEEE 754-2019 clauses 5.4.1, 6.3."""
    x_operand = operand(x_code, x_spec, rules)
    kind, negative, x, exponent, _ = x_operand
    if kind == NOT_A_NUMBER:
        return propagate(x_operand, x_operand, target, rules, knobs)
    if kind != INFINITE and x == U0:
        return encode_zero(negative, rules), 0
    if negative:
        return invalid_result(knobs)
    if kind == INFINITE:
        return infinite(False, rules), 0
    # The radicand, x 2^64, must have an even exponent.
    high, low, exponent = x, U0, exponent - 64
    if exponent & 1:
        high, low, exponent = x >> ONE, x << uint64(63), exponent + 1
    high, low, exact = root_words(high, low, ROOT_DIGITS)
    return round_exact(False, (high, low, U0), (exponent >> 1) - 128, not exact, target, rules, knobs, random)


@core
def with_sign(code, negative, spec, target, rules, knobs, random):
    """A number with this sign: (code, flags); with `SIGN_ONLY`, in a format that has a sign bit, by that bit alone."""
    if knobs[SIGN_ONLY]:
        sign = ONE << uint64(spec[BITS] - 1)
        magnitude = code & ~sign
        if spec[NAN] == NAN_NEGATIVE_ZERO and magnitude == U0:  # a zero or a NaN, which have no sign
            return code, 0
        return magnitude | sign if negative else magnitude, 0
    kind, _, x, exponent, signals = operand(code, spec, rules)
    return converted((kind, negative, x, exponent, signals), target, rules, knobs, random)


@core
def is_negative(code, spec):
    """Whether a code has a sign that is minus; NaN has one, too."""
    _, negative, _, _ = decode(uint64(code), spec)
    return negative


@core
def absolute(x_code, x_spec, target, rules, knobs, random):
    """X without its sign: (code, flags)."""
    return with_sign(uint64(x_code), False, x_spec, target, rules, knobs, random)


@core
def negated(x_code, x_spec, target, rules, knobs, random):
    """-x: (code, flags)."""
    return with_sign(uint64(x_code), not is_negative(x_code, x_spec), x_spec, target, rules, knobs, random)


@core
def copysign(x_code, y_code, x_spec, y_spec, target, rules, knobs, random):
    """X with y's sign: (code, flags)."""
    return with_sign(uint64(x_code), is_negative(y_code, y_spec), x_spec, target, rules, knobs, random)


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

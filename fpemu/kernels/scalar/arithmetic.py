"""Operations on codes: decode, compute exactly, round once by `scalar.convert.encode`; with IEEE 754's flags.

Sums, products, quotients, roots, signs and remainders; the others are in `integral` and `comparison`.
"""

from numpy import uint64

from fpemu.kernels.jit import core
from fpemu.kernels.opcodes import DIVIDE_BY_ZERO_FLAG, INVALID_FLAG
from fpemu.kernels.scalar.bits import U0, U1
from fpemu.kernels.scalar.convert import FINITE, INFINITE, NOT_A_NUMBER, decode, encode_infinity, encode_zero
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
    first_nan,
    invalid_result,
    nan_from,
    propagate_nan,
    quieted,
    round_exact,
    round_number,
    round_operand,
    unpack_operand,
)
from fpemu.kernels.spec import (
    BITS,
    DIVISION_BY_ZERO,
    FMA_QUIET,
    INVALID_NAN,
    NAN,
    NAN_NEGATIVE_ZERO,
    NAN_RESULT,
    NAN_RESULT_FIRST_SIGNALING,
    ROUNDING,
    SIGN_ONLY,
    TOWARD_NEGATIVE,
)

ROOT_DIGITS = 96  # float64's 53 digits, 32 random bits, and some spare


@core
def zero_sum(x_negative, y_negative, rules):
    """The zero of a sum (IEEE 754-2019 clause 6.3): x's sign if both agree, else +, or - toward negative."""
    negative = x_negative if x_negative == y_negative else rules[ROUNDING] == TOWARD_NEGATIVE
    return encode_zero(negative, rules), 0


@core
def sum_exact(x_negative, x, x_top, y_negative, y, y_top, target, rules, random):
    """The rounded sum of two nonzero numbers, each given by normalized words and the exponent of its top bit.

    The last word of each is 0, as products fill two words.  The smaller number is shifted right to align with the
    larger.  A shift that loses bits is by more than 63, and then at most one leading bit cancels.
    """
    if x_top < y_top or (x_top == y_top and less_words(x, y)):
        x_negative, x, x_top, y_negative, y, y_top = y_negative, y, y_top, x_negative, x, x_top
    x, _ = shift_words_right_jam(x, 1)  # room for a carry
    y, sticky = shift_words_right_jam(y, min(x_top - y_top, 192) + 1)
    if x_negative == y_negative:
        total = add_words(x, y)
    else:
        total = subtract_words(x, y)
        if sticky:  # y is a little larger than its words: subtract one unit more; the rest is sticky
            total = subtract_words(total, (U0, U0, U1))
        if total[0] == U0 and total[1] == U0 and total[2] == U0:
            return zero_sum(x_negative, y_negative, rules)
    return round_exact(x_negative, total, x_top - 190, sticky, target, rules, random)


@core
def add(x_code, y_code, minus, x_spec, y_spec, target, rules, random):
    """Sum x + y (or x - y) of two formats, in a third: (code, flags).  IEEE 754-2019 clause 5.4.1."""
    x_operand, y_operand = unpack_operand(x_code, x_spec, rules), unpack_operand(y_code, y_spec, rules)
    x_kind, x_negative, x, x_exponent, _ = x_operand
    y_kind, y_negative, y, y_exponent, _ = y_operand
    if x_kind == NOT_A_NUMBER or y_kind == NOT_A_NUMBER:
        return propagate_nan(x_operand, y_operand, target, rules)
    y_negative = y_negative != minus
    if x_kind == INFINITE:
        if y_kind == INFINITE and x_negative != y_negative:
            return invalid_result(rules)
        return encode_infinity(x_negative, rules), 0
    if y_kind == INFINITE:
        return encode_infinity(y_negative, rules), 0
    if x == U0 and y == U0:
        return zero_sum(x_negative, y_negative, rules)
    if x == U0:
        return round_number(y_kind, y_negative, y, y_exponent, target, rules, random)
    if y == U0:
        return round_number(x_kind, x_negative, x, x_exponent, target, rules, random)
    x_top, y_top = x_exponent + 63, y_exponent + 63
    return sum_exact(x_negative, (x, U0, U0), x_top, y_negative, (y, U0, U0), y_top, target, rules, random)


@core
def multiply(x_code, y_code, x_spec, y_spec, target, rules, random):
    """Product x y of two formats, in a third: (code, flags).  IEEE 754-2019 clause 5.4.1."""
    x_operand, y_operand = unpack_operand(x_code, x_spec, rules), unpack_operand(y_code, y_spec, rules)
    x_kind, x_negative, x, x_exponent, _ = x_operand
    y_kind, y_negative, y, y_exponent, _ = y_operand
    if x_kind == NOT_A_NUMBER or y_kind == NOT_A_NUMBER:
        return propagate_nan(x_operand, y_operand, target, rules)
    negative = x_negative != y_negative
    if is_infinite_by_zero(x_operand, y_operand):
        return invalid_result(rules)
    if x_kind == INFINITE or y_kind == INFINITE:
        return encode_infinity(negative, rules), 0
    if x == U0 or y == U0:
        return encode_zero(negative, rules), 0
    high, low = multiply_words(x, y)
    return round_exact(negative, (high, low, U0), x_exponent + y_exponent - 64, False, target, rules, random)


@core
def is_infinite_by_zero(x_operand, y_operand):
    """Whether one of two operands is infinite and the other 0."""
    x_kind, _, x, _, _ = x_operand
    y_kind, _, y, _, _ = y_operand
    return (x_kind == INFINITE and y_kind == FINITE and y == U0) or (
        y_kind == INFINITE and x_kind == FINITE and x == U0
    )


@core
def divide(x_code, y_code, x_spec, y_spec, target, rules, random):
    """Quotient x / y of two formats, in a third: (code, flags).  IEEE 754-2019 clauses 5.4.1, 7.3."""
    x_operand, y_operand = unpack_operand(x_code, x_spec, rules), unpack_operand(y_code, y_spec, rules)
    x_kind, x_negative, x, x_exponent, _ = x_operand
    y_kind, y_negative, y, y_exponent, _ = y_operand
    if x_kind == NOT_A_NUMBER or y_kind == NOT_A_NUMBER:
        return propagate_nan(x_operand, y_operand, target, rules)
    negative = x_negative != y_negative
    by_zero = y_kind == FINITE and y == U0
    if x_kind == INFINITE:
        if y_kind == INFINITE or (by_zero and rules[DIVISION_BY_ZERO]):
            return invalid_result(rules)
        return encode_infinity(negative, rules), 0
    if y_kind == INFINITE:
        return encode_zero(negative, rules), 0
    if by_zero:
        if x == U0:
            return invalid_result(rules)
        code = uint64(rules[INVALID_NAN]) if rules[DIVISION_BY_ZERO] else encode_infinity(negative, rules)
        return code, DIVIDE_BY_ZERO_FLAG
    if x == U0:
        return encode_zero(negative, rules), 0
    high, remainder = divide_words(x >> U1, x << uint64(63), y)
    low, remainder = divide_words(remainder, U0, y)
    exponent = x_exponent - y_exponent - 63 - 128
    return round_exact(negative, (high, low, U0), exponent, remainder != U0, target, rules, random)


@core
def fma_nan(x, y, z, times_zero, target, rules):
    """Fused x y + z with a NaN operand: (code, flags); x and y are combined first, then their NaN with z.

    `times_zero`: x y is infinity times 0; IEEE 754-2019 clause 7.2 leaves its sum with a quiet NaN open.
    """
    raised = x[4] or y[4] or z[4] or (times_zero and not rules[FMA_QUIET])
    flags = INVALID_FLAG if raised else 0
    if times_zero:
        if rules[FMA_QUIET] or (z[4] and rules[NAN_RESULT] == NAN_RESULT_FIRST_SIGNALING):
            return nan_from(z, target, rules), flags
        return uint64(rules[INVALID_NAN]), flags
    if x[0] == NOT_A_NUMBER or y[0] == NOT_A_NUMBER:
        x = quieted(first_nan(x, y, rules))
    return nan_from(first_nan(x, z, rules), target, rules), flags


@core
def fma(x_code, y_code, z_code, x_spec, y_spec, z_spec, target, rules, random):
    """Fused x y + z of three formats, in a fourth, rounded once: (code, flags).  IEEE 754-2019 clause 5.4.1."""
    x_operand, y_operand = unpack_operand(x_code, x_spec, rules), unpack_operand(y_code, y_spec, rules)
    z_operand = unpack_operand(z_code, z_spec, rules)
    x_kind, x_negative, x, x_exponent, _ = x_operand
    y_kind, y_negative, y, y_exponent, _ = y_operand
    z_kind, z_negative, z, z_exponent, _ = z_operand
    times_zero = is_infinite_by_zero(x_operand, y_operand)
    if x_kind == NOT_A_NUMBER or y_kind == NOT_A_NUMBER or z_kind == NOT_A_NUMBER:
        return fma_nan(x_operand, y_operand, z_operand, times_zero, target, rules)
    if times_zero:
        return invalid_result(rules)
    negative = x_negative != y_negative
    if x_kind == INFINITE or y_kind == INFINITE:
        if z_kind == INFINITE and z_negative != negative:
            return invalid_result(rules)
        return encode_infinity(negative, rules), 0
    if z_kind == INFINITE:
        return encode_infinity(z_negative, rules), 0
    if x == U0 or y == U0:
        if z == U0:
            return zero_sum(negative, z_negative, rules)
        return round_number(z_kind, z_negative, z, z_exponent, target, rules, random)
    high, low = multiply_words(x, y)
    exponent = x_exponent + y_exponent - 64
    if z == U0:
        return round_exact(negative, (high, low, U0), exponent, False, target, rules, random)
    product, shift = normalize_words((high, low, U0))
    top = exponent + 191 - shift
    return sum_exact(negative, product, top, z_negative, (z, U0, U0), z_exponent + 63, target, rules, random)


@core
def sqrt(x_code, x_spec, target, rules, random):
    """The square root of x, in another format: (code, flags).  IEEE 754-2019 clauses 5.4.1, 6.3."""
    x_operand = unpack_operand(x_code, x_spec, rules)
    kind, negative, x, exponent, _ = x_operand
    if kind == NOT_A_NUMBER:
        return propagate_nan(x_operand, x_operand, target, rules)
    if kind != INFINITE and x == U0:
        return encode_zero(negative, rules), 0
    if negative:
        return invalid_result(rules)
    if kind == INFINITE:
        return encode_infinity(False, rules), 0
    # The radicand, x 2^64, must have an even exponent.
    high, low, exponent = x, U0, exponent - 64
    if exponent & 1:
        high, low, exponent = x >> U1, x << uint64(63), exponent + 1
    high, low, exact = root_words(high, low, ROOT_DIGITS)
    return round_exact(False, (high, low, U0), (exponent >> 1) - 128, not exact, target, rules, random)


@core
def change_sign(code, negative, spec, target, sign_only, rules, random):
    """A number with the given sign: (code, flags); `sign_only`: in its own format, by changing the sign bit alone."""
    if sign_only:
        sign = U1 << uint64(spec[BITS] - 1)
        magnitude = code & ~sign
        if spec[NAN] == NAN_NEGATIVE_ZERO and magnitude == U0:  # a zero or a NaN without a sign
            return code, 0
        return magnitude | sign if negative else magnitude, 0
    kind, _, x, exponent, signals = unpack_operand(code, spec, rules)
    return round_operand((kind, negative, x, exponent, signals), target, rules, random)


@core
def is_negative(code, spec):
    """Whether a code's sign is minus, a NaN's included."""
    _, negative, _, _ = decode(uint64(code), spec)
    return negative


@core
def absolute(x_code, x_spec, target, rules, random):
    """X without its sign: (code, flags)."""
    return change_sign(uint64(x_code), False, x_spec, target, rules[SIGN_ONLY], rules, random)


@core
def negated(x_code, x_spec, target, rules, random):
    """-x: (code, flags)."""
    negative = not is_negative(x_code, x_spec)
    return change_sign(uint64(x_code), negative, x_spec, target, rules[SIGN_ONLY], rules, random)


@core
def copysign(x_code, y_code, x_spec, y_spec, target, rules, random):
    """X with y's sign: (code, flags)."""
    negative = is_negative(y_code, y_spec)
    return change_sign(uint64(x_code), negative, x_spec, target, rules[SIGN_ONLY], rules, random)


@core
def multiply_modulo(x, y, divisor):
    """The remainder of x y by a divisor with its top bit set; x and y are below the divisor."""
    high, low = multiply_words(x, y)
    return divide_words(high, low, divisor)[1]


@core
def shifted_modulo(x, shift, divisor):
    """The remainder of x 2^shift by the divisor, and whether the quotient is odd; shift >= 0, both top bits are set.

    Squaring gives x 2^(shift - 1); a separate last doubling shows the quotient's last bit.
    """
    odd = x >= divisor
    remainder = x - divisor if odd else x
    if shift == 0:
        return remainder, odd
    exponent = shift - 1
    power = uint64(2)
    while exponent > 0:
        if exponent & 1:
            remainder = multiply_modulo(remainder, power, divisor)
        power = multiply_modulo(power, power, divisor)
        exponent >>= 1
    carry = remainder >> uint64(63)
    remainder <<= U1
    odd = carry != U0 or remainder >= divisor
    if odd:
        remainder -= divisor  # modulo 2^64: the result is below the divisor
    return remainder, odd


@core
def remainder(x_code, y_code, nearest, x_spec, y_spec, target, rules, random):
    """X - n y: (code, flags); n is x / y rounded toward zero, or with `nearest` to the nearest integer, ties to even.

    A zero has x's sign.  IEEE 754-2019 clauses 5.3.1, 7.2.
    """
    x_operand, y_operand = unpack_operand(x_code, x_spec, rules), unpack_operand(y_code, y_spec, rules)
    x_kind, negative, x, exponent, _ = x_operand
    y_kind, _, y, y_exponent, _ = y_operand
    if x_kind == NOT_A_NUMBER or y_kind == NOT_A_NUMBER:
        return propagate_nan(x_operand, y_operand, target, rules)
    if x_kind == INFINITE or (y_kind != INFINITE and y == U0):
        return invalid_result(rules)
    shift = exponent - y_exponent
    if y_kind == INFINITE or x == U0 or shift < -1:  # n = 0
        return round_number(x_kind, negative, x, exponent, target, rules, random)
    if shift == -1:  # y / 4 < x < y, in units of half of y's last bit
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
    return round_exact(negative, (x, U0, U0), exponent - 128, False, target, rules, random)

"""Operations on codes: decode, compute exactly, round once by `scalar.convert.encode`; with IEEE 754's flags.

Here are the sums, products, quotients and roots, and the loop that all operations share.
"""

import functools

from numpy import uint64

from fpemu.kernels.jit import core, loop
from fpemu.kernels.opcodes import (
    ABSOLUTE,
    ADD,
    CONVERT,
    DIVIDE,
    DIVIDE_BY_ZERO_FLAG,
    DIVISION_BY_ZERO,
    FMA,
    FMA_QUIET,
    FMOD,
    IEEE_REMAINDER,
    INTEGRAL_BITS,
    INTEGRAL_ROUNDING,
    INVALID_FLAG,
    INVALID_NAN,
    LOGB,
    MAXIMUM,
    MAXIMUM_NUMBER,
    MINIMUM,
    MINIMUM_NUMBER,
    MULTIPLY,
    NAN_RESULT,
    NAN_RESULT_FIRST_SIGNALING,
    NEGATIVE,
    ROUND_TO_INTEGRAL,
    SCALEB,
    SQRT,
    SUBTRACT,
)
from fpemu.kernels.scalar.comparison import extremum
from fpemu.kernels.scalar.convert import FINITE, INFINITE, NOT_A_NUMBER, encode_zero
from fpemu.kernels.scalar.integral import convert, logb, round_to_integral, scaleb
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
from fpemu.kernels.scalar.random_bits import random_word
from fpemu.kernels.scalar.remainders import remainder
from fpemu.kernels.scalar.results import (
    U0,
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
from fpemu.kernels.scalar.signs import absolute, copysign, negated
from fpemu.kernels.spec import RANDOM_BITS, ROUNDING, STOCHASTIC_A, TOWARD_NEGATIVE

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


@functools.cache
def operation_loop(operation):
    """The loop of one operation, over arrays of one length; operands that it does not take are not looked at."""

    @loop
    def operate_array(x, y, z, x_spec, y_spec, z_spec, target, rules, knobs, randoms, key, first, out, flags):
        """`flags`: an array for them, or an empty one where nobody asks; else as `convert_array`."""
        stochastic = rules[ROUNDING] >= STOCHASTIC_A or knobs[INTEGRAL_ROUNDING] >= STOCHASTIC_A
        drawn = uint64(32 - max(rules[RANDOM_BITS], knobs[INTEGRAL_BITS]))
        random = U0
        for i in range(x.size):
            if stochastic:
                random = uint64(randoms[i]) if randoms.size else uint64(random_word(key, first + uint64(i))) >> drawn
            if operation in (ADD, SUBTRACT):
                code, raised = add(x[i], y[i], operation == SUBTRACT, x_spec, y_spec, target, rules, knobs, random)
            elif operation == MULTIPLY:
                code, raised = multiply(x[i], y[i], x_spec, y_spec, target, rules, knobs, random)
            elif operation == DIVIDE:
                code, raised = divide(x[i], y[i], x_spec, y_spec, target, rules, knobs, random)
            elif operation == FMA:
                code, raised = fma(x[i], y[i], z[i], x_spec, y_spec, z_spec, target, rules, knobs, random)
            elif operation == SQRT:
                code, raised = sqrt(x[i], x_spec, target, rules, knobs, random)
            elif operation in (FMOD, IEEE_REMAINDER):
                nearest = operation == IEEE_REMAINDER
                code, raised = remainder(x[i], y[i], nearest, x_spec, y_spec, target, rules, knobs, random)
            elif operation == ROUND_TO_INTEGRAL:
                code, raised = round_to_integral(x[i], x_spec, target, rules, knobs, random)
            elif operation == SCALEB:
                code, raised = scaleb(x[i], y[i], x_spec, y_spec, target, rules, knobs, random)
            elif operation == LOGB:
                code, raised = logb(x[i], x_spec, target, rules, knobs, random)
            elif operation == CONVERT:
                code, raised = convert(x[i], x_spec, target, rules, knobs, random)
            elif operation in (MINIMUM, MAXIMUM, MINIMUM_NUMBER, MAXIMUM_NUMBER):
                larger = operation in (MAXIMUM, MAXIMUM_NUMBER)
                numbers = operation in (MINIMUM_NUMBER, MAXIMUM_NUMBER)
                code, raised = extremum(x[i], y[i], larger, numbers, x_spec, y_spec, target, rules, knobs, random)
            elif operation == ABSOLUTE:
                code, raised = absolute(x[i], x_spec, target, rules, knobs, random)
            elif operation == NEGATIVE:
                code, raised = negated(x[i], x_spec, target, rules, knobs, random)
            else:
                code, raised = copysign(x[i], y[i], x_spec, y_spec, target, rules, knobs, random)
            out[i] = code
            if flags.size:
                flags[i] = raised

    return operate_array

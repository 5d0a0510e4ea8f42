"""Operations on codes: decode, compute exactly, round once by `fpemu.kernels.convert.encode`; with IEEE 754's flags.

An exact result is three words and a sticky bit: products of 64-bit significands and their sums fit, and what does not
lies so far below the last bit that only its being there matters.
"""

import functools

from numpy import int64, uint64

from fpemu.kernels.bits import leading_zeros
from fpemu.kernels.convert import INFINITE, NOT_A_NUMBER, decode, encode, encode_zero, is_subnormal
from fpemu.kernels.jit import core, loop
from fpemu.kernels.operations import (
    ADD,
    DIVIDE,
    DIVIDE_BY_ZERO_FLAG,
    FMA,
    INEXACT_FLAG,
    INVALID_FLAG,
    MULTIPLY,
    OVERFLOW_FLAG,
    SUBTRACT,
    UNDERFLOW_FLAG,
)
from fpemu.kernels.spec import (
    DROP_SIGN,
    INEXACT,
    INFINITY_NEGATIVE,
    INFINITY_POSITIVE,
    NAN,
    NAN_IEEE,
    NAN_POSITIVE,
    OVERFLOW,
    QUANTUM,
    RANDOM_BITS,
    ROUNDING,
    STOCHASTIC_A,
    SUBNORMAL_SOURCES_ARE_ZERO,
    TOWARD_NEGATIVE,
    WRAP,
    WRAP_ALL,
    WRAP_POSITIVE,
)
from fpemu.kernels.stream import random_word
from fpemu.kernels.wide import (
    add_words,
    divide_words,
    less_words,
    multiply_words,
    normalize_words,
    root_words,
    shift_words_left,
    shift_words_right_jam,
    subtract_words,
)

U0 = uint64(0)
ONE = uint64(1)

ROOT_DIGITS = 96  # float64's 53, 32 random bits, and some


@core
def operand(code, spec, rules):
    """An operand decoded: (category, negative, significand, exponent, whether it is a signalling NaN).

    A significand other than 0 has its top bit set, the exponent is its last bit's.
    """
    category, negative, significand, exponent = decode(uint64(code), spec)
    if category == NOT_A_NUMBER:
        return category, negative, U0, exponent, spec[NAN] == NAN_IEEE and significand >> uint64(63) == U0
    if rules[SUBNORMAL_SOURCES_ARE_ZERO] and is_subnormal(significand, spec):
        significand = U0
    if significand != U0:
        zeros = leading_zeros(significand)
        significand <<= zeros
        exponent -= int64(zeros)
    return category, negative, significand, exponent, False


@core
def invalid(rules):
    """The result of an invalid operation (IEEE 754-2019 clause 7.2), with its flag."""
    return uint64(rules[NAN_POSITIVE]), INVALID_FLAG


@core
def quiet(signalling, rules):
    """The result where an operand is NaN (IEEE 754-2019 clause 6.2); invalid where one is signalling."""
    return uint64(rules[NAN_POSITIVE]), INVALID_FLAG if signalling else 0


@core
def infinite(negative, rules):
    """An exact infinity as the target has it (IEEE 754-2019 clause 6.1)."""
    return uint64(rules[INFINITY_NEGATIVE] if negative else rules[INFINITY_POSITIVE])


@core
def round_exact(negative, words, exponent, sticky, target, rules, tiny, random):
    """An exact result that is not 0, rounded: (code, flags).

    `words`: its three words, whose last bit is 2^exponent; `tiny`: TINY_BEFORE or TINY_AFTER, which of them counts.
    """
    words, shift = normalize_words(words)
    top = exponent + 191 - shift
    happened = 0
    above = top - target[QUANTUM] - 63
    positive = not negative or rules[DROP_SIGN] != 0
    if above > 0 and (rules[WRAP] == WRAP_ALL or (rules[WRAP] == WRAP_POSITIVE and positive)):
        # Modulo 2^64 quanta first: `encode` keeps 64 digits, the upper ones, but a wrapped result is of the lower ones.
        # Integers alone come here, whose exact results three words hold: nothing is sticky.
        happened = OVERFLOW | INEXACT
        words = shift_words_left(words, above)
        if words[0] == U0 and words[1] == U0 and words[2] == U0:
            return encode_zero(negative, rules), INEXACT_FLAG | OVERFLOW_FLAG
        words, shift = normalize_words(words)
        top -= above + shift
    code, rounded = encode(negative, top, words[0], words[1], sticky or words[2] != U0, target, rules, random)
    happened |= rounded
    flags = 0
    if happened & INEXACT:
        flags |= INEXACT_FLAG
        if happened & tiny:
            flags |= UNDERFLOW_FLAG
    if happened & OVERFLOW:
        flags |= OVERFLOW_FLAG
    return code, flags


@core
def zero_sum(x_negative, y_negative, rules):
    """The zero that a sum is (IEEE 754-2019 clause 6.3): x's sign where both agree, else + but toward negative."""
    negative = x_negative if x_negative == y_negative else rules[ROUNDING] == TOWARD_NEGATIVE
    return encode_zero(negative, rules), 0


@core
def sum_exact(x_negative, x, x_top, y_negative, y, y_top, target, rules, tiny, random):
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
    return round_exact(x_negative, total, x_top - 190, lost, target, rules, tiny, random)


@core
def add(x_code, y_code, minus, x_spec, y_spec, target, rules, tiny, random):
    """Sum x + y (or x - y) of two formats, in a third: (code, flags).  IEEE 754-2019 clause 5.4.1."""
    x_kind, x_negative, x, x_exponent, x_signals = operand(x_code, x_spec, rules)
    y_kind, y_negative, y, y_exponent, y_signals = operand(y_code, y_spec, rules)
    if x_kind == NOT_A_NUMBER or y_kind == NOT_A_NUMBER:
        return quiet(x_signals or y_signals, rules)
    y_negative = y_negative != minus
    if x_kind == INFINITE:
        if y_kind == INFINITE and x_negative != y_negative:
            return invalid(rules)
        return infinite(x_negative, rules), 0
    if y_kind == INFINITE:
        return infinite(y_negative, rules), 0
    if x == U0 and y == U0:
        return zero_sum(x_negative, y_negative, rules)
    if x == U0:
        return round_exact(y_negative, (y, U0, U0), y_exponent - 128, False, target, rules, tiny, random)
    if y == U0:
        return round_exact(x_negative, (x, U0, U0), x_exponent - 128, False, target, rules, tiny, random)
    x_top, y_top = x_exponent + 63, y_exponent + 63
    return sum_exact(x_negative, (x, U0, U0), x_top, y_negative, (y, U0, U0), y_top, target, rules, tiny, random)


@core
def multiply(x_code, y_code, x_spec, y_spec, target, rules, tiny, random):
    """Product x y of two formats, in a third: (code, flags).  IEEE 754-2019 clause 5.4.1."""
    x_kind, x_negative, x, x_exponent, x_signals = operand(x_code, x_spec, rules)
    y_kind, y_negative, y, y_exponent, y_signals = operand(y_code, y_spec, rules)
    if x_kind == NOT_A_NUMBER or y_kind == NOT_A_NUMBER:
        return quiet(x_signals or y_signals, rules)
    negative = x_negative != y_negative
    if x_kind == INFINITE or y_kind == INFINITE:
        if (x_kind != INFINITE and x == U0) or (y_kind != INFINITE and y == U0):
            return invalid(rules)
        return infinite(negative, rules), 0
    if x == U0 or y == U0:
        return encode_zero(negative, rules), 0
    high, low = multiply_words(x, y)
    return round_exact(negative, (high, low, U0), x_exponent + y_exponent - 64, False, target, rules, tiny, random)


@core
def divide(x_code, y_code, x_spec, y_spec, target, rules, tiny, random):
    """Quotient x / y of two formats, in a third: (code, flags).  IEEE 754-2019 clauses 5.4.1, 7.3."""
    x_kind, x_negative, x, x_exponent, x_signals = operand(x_code, x_spec, rules)
    y_kind, y_negative, y, y_exponent, y_signals = operand(y_code, y_spec, rules)
    if x_kind == NOT_A_NUMBER or y_kind == NOT_A_NUMBER:
        return quiet(x_signals or y_signals, rules)
    negative = x_negative != y_negative
    if x_kind == INFINITE:
        return invalid(rules) if y_kind == INFINITE else (infinite(negative, rules), 0)
    if y_kind == INFINITE:
        return encode_zero(negative, rules), 0
    if y == U0:
        return invalid(rules) if x == U0 else (infinite(negative, rules), DIVIDE_BY_ZERO_FLAG)
    if x == U0:
        return encode_zero(negative, rules), 0
    high, rest = divide_words(x >> ONE, x << uint64(63), y)
    low, rest = divide_words(rest, U0, y)
    exponent = x_exponent - y_exponent - 63 - 128
    return round_exact(negative, (high, low, U0), exponent, rest != U0, target, rules, tiny, random)


@core
def fma(x_code, y_code, z_code, x_spec, y_spec, z_spec, target, rules, tiny, random):
    """Fused x y + z of three formats, in a fourth, rounded once: (code, flags).  IEEE 754-2019 clause 5.4.1.

    Of what 7.2 leaves to the implementation, infinity times 0 plus a quiet NaN is invalid, as in Berkeley SoftFloat.
    """
    x_kind, x_negative, x, x_exponent, x_signals = operand(x_code, x_spec, rules)
    y_kind, y_negative, y, y_exponent, y_signals = operand(y_code, y_spec, rules)
    z_kind, z_negative, z, z_exponent, z_signals = operand(z_code, z_spec, rules)
    if x_kind == NOT_A_NUMBER or y_kind == NOT_A_NUMBER:
        return quiet(x_signals or y_signals or z_signals, rules)
    times_zero = (x_kind == INFINITE and y_kind != INFINITE and y == U0) or (
        y_kind == INFINITE and x_kind != INFINITE and x == U0
    )
    if times_zero:
        return invalid(rules)
    if z_kind == NOT_A_NUMBER:
        return quiet(z_signals, rules)
    negative = x_negative != y_negative
    if x_kind == INFINITE or y_kind == INFINITE:
        if z_kind == INFINITE and z_negative != negative:
            return invalid(rules)
        return infinite(negative, rules), 0
    if z_kind == INFINITE:
        return infinite(z_negative, rules), 0
    if x == U0 or y == U0:
        if z == U0:
            return zero_sum(negative, z_negative, rules)
        return round_exact(z_negative, (z, U0, U0), z_exponent - 128, False, target, rules, tiny, random)
    high, low = multiply_words(x, y)
    exponent = x_exponent + y_exponent - 64
    if z == U0:
        return round_exact(negative, (high, low, U0), exponent, False, target, rules, tiny, random)
    product, shift = normalize_words((high, low, U0))
    top = exponent + 191 - shift
    return sum_exact(negative, product, top, z_negative, (z, U0, U0), z_exponent + 63, target, rules, tiny, random)


@core
def sqrt(x_code, x_spec, target, rules, tiny, random):
    """The square root of x, in another format: (code, flags).  IEEE 754-2019 clauses 5.4.1, 6.3."""
    kind, negative, x, exponent, signals = operand(x_code, x_spec, rules)
    if kind == NOT_A_NUMBER:
        return quiet(signals, rules)
    if kind != INFINITE and x == U0:
        return encode_zero(negative, rules), 0
    if negative:
        return invalid(rules)
    if kind == INFINITE:
        return infinite(False, rules), 0
    # The radicand, x 2^64, must have an even exponent.
    high, low, exponent = x, U0, exponent - 64
    if exponent & 1:
        high, low, exponent = x >> ONE, x << uint64(63), exponent + 1
    high, low, exact = root_words(high, low, ROOT_DIGITS)
    return round_exact(False, (high, low, U0), (exponent >> 1) - 128, not exact, target, rules, tiny, random)


@functools.cache
def operation_loop(operation):
    """The loop of one operation, over arrays of one length; operands that it does not take are not looked at."""

    @loop
    def operate_array(x, y, z, x_spec, y_spec, z_spec, target, rules, tiny, randoms, key, first, out, flags):
        """`flags`: an array for them, or an empty one where nobody asks; else as `convert_array`."""
        stochastic = rules[ROUNDING] >= STOCHASTIC_A
        drawn = uint64(32 - rules[RANDOM_BITS])
        random = U0
        for i in range(x.size):
            if stochastic:
                random = uint64(randoms[i]) if randoms.size else uint64(random_word(key, first + uint64(i))) >> drawn
            if operation in (ADD, SUBTRACT):
                code, raised = add(x[i], y[i], operation == SUBTRACT, x_spec, y_spec, target, rules, tiny, random)
            elif operation == MULTIPLY:
                code, raised = multiply(x[i], y[i], x_spec, y_spec, target, rules, tiny, random)
            elif operation == DIVIDE:
                code, raised = divide(x[i], y[i], x_spec, y_spec, target, rules, tiny, random)
            elif operation == FMA:
                code, raised = fma(x[i], y[i], z[i], x_spec, y_spec, z_spec, target, rules, tiny, random)
            else:
                code, raised = sqrt(x[i], x_spec, target, rules, tiny, random)
            out[i] = code
            if flags.size:
                flags[i] = raised

    return operate_array

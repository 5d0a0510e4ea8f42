"""Operations on one number: to another format, to an integer, by a power of two, and its exponent."""

from numpy import int64, uint64

from fpemu.kernels.jit import core
from fpemu.kernels.opcodes import (
    DIVIDE_BY_ZERO_FLAG,
    EXACT,
    FLOAT_TO_INTEGER,
    INEXACT_FLAG,
    INTEGRAL_BITS,
    INTEGRAL_ROUNDING,
    INVALID_FLAG,
)
from fpemu.kernels.scalar.convert import FINITE, INFINITE, NOT_A_NUMBER, encode_zero
from fpemu.kernels.scalar.results import U0, converted, infinite, operand, round_exact
from fpemu.kernels.scalar.rounding import rounds_up, shift_right_jam

ONE = uint64(1)
FARTHEST = uint64(1 << 30)  # a power of two beyond every format's range


@core
def convert(x_code, x_spec, target, rules, knobs, random):
    """X in another format: (code, flags).  IEEE 754-2019 clauses 5.4.1, 5.4.2, 5.8."""
    code, flags = converted(operand(x_code, x_spec, rules), target, rules, knobs, random)
    return code, flags if knobs[EXACT] else flags & ~INEXACT_FLAG


@core
def round_to_integral(x_code, x_spec, target, rules, knobs, random):
    """X rounded to an integer, in another format: (code, flags).  IEEE 754-2019 clause 5.9; a zero has x's sign."""
    x_operand = operand(x_code, x_spec, rules)
    kind, negative, x, exponent, _ = x_operand
    if kind != FINITE or exponent >= 0:
        return converted(x_operand, target, rules, knobs, random)
    kept, fraction, below = shift_right_jam(x, U0, False, -exponent)
    mode, bits = knobs[INTEGRAL_ROUNDING], knobs[INTEGRAL_BITS]
    up = rounds_up(kept & ONE != U0, fraction, below, negative, mode, bits, random)
    integer = kind, negative, kept + uint64(up), int64(0), False
    code, flags = converted(integer, target, rules, knobs, random)
    if knobs[EXACT] and (fraction != U0 or below) and not flags & INVALID_FLAG:
        flags |= INEXACT_FLAG
    return code, flags


@core
def scaleb(x_code, n_code, x_spec, n_spec, target, rules, knobs, random):
    """X 2^n, n an integer: (code, flags).  IEEE 754-2019 clause 5.3.3."""
    kind, negative, x, exponent, signals = operand(x_code, x_spec, rules)
    _, down, n, n_exponent, _ = operand(n_code, n_spec, rules)
    n, _, _ = shift_right_jam(n, U0, False, -n_exponent)  # an integer's digits, back in their place
    places = int64(min(n, FARTHEST))
    exponent = exponent - places if down else exponent + places
    return converted((kind, negative, x, exponent, signals), target, rules, knobs, random)


@core
def logb(x_code, x_spec, target, rules, knobs, random):
    """The exponent of x: (code, flags).  IEEE 754-2019 clause 5.3.3."""
    x_operand = operand(x_code, x_spec, rules)
    kind, _, x, exponent, _ = x_operand
    if kind == NOT_A_NUMBER:
        return converted(x_operand, target, rules, knobs, random)
    if kind == INFINITE:
        return infinite(False, rules), INVALID_FLAG if knobs[FLOAT_TO_INTEGER] else 0
    if x == U0:
        return infinite(True, rules), INVALID_FLAG if knobs[FLOAT_TO_INTEGER] else DIVIDE_BY_ZERO_FLAG
    found = exponent + 63
    if found == 0:
        return encode_zero(False, rules), 0
    return round_exact(found < 0, (uint64(abs(found)), U0, U0), -128, False, target, rules, knobs, random)

"""Conversion to another format, rounding to an integer, scaling by a power of two, and the exponent of a number."""

from numpy import int64, uint64

from fpemu.kernels.jit import core
from fpemu.kernels.opcodes import DIVIDE_BY_ZERO_FLAG, INEXACT_FLAG, INVALID_FLAG
from fpemu.kernels.scalar.bits import U0, U1
from fpemu.kernels.scalar.convert import FINITE, INFINITE, NOT_A_NUMBER, encode_infinity, encode_zero
from fpemu.kernels.scalar.results import round_exact, round_operand, unpack_operand
from fpemu.kernels.scalar.rounding import rounds_up, shift_right_jam
from fpemu.kernels.spec import FLOAT_TO_INTEGER, INTEGRAL_BITS, INTEGRAL_ROUNDING, RAISES_INEXACT

MAX_SHIFT = uint64(1 << 30)  # beyond the range of every format


@core
def convert_number(x_code, x_spec, target, rules, random):
    """X in another format: (code, flags).  IEEE 754-2019 clauses 5.4.1, 5.4.2, 5.8."""
    code, flags = round_operand(unpack_operand(x_code, x_spec, rules), target, rules, random)
    return code, flags if rules[RAISES_INEXACT] else flags & ~INEXACT_FLAG


@core
def round_to_integral(x_code, x_spec, target, rules, random):
    """X rounded to an integer, in another format: (code, flags).  IEEE 754-2019 clause 5.9; a zero has x's sign."""
    x_operand = unpack_operand(x_code, x_spec, rules)
    kind, negative, x, exponent, _ = x_operand
    if kind != FINITE or exponent >= 0:
        return round_operand(x_operand, target, rules, random)
    retained, fraction, sticky = shift_right_jam(x, U0, False, -exponent)
    mode, bits = rules[INTEGRAL_ROUNDING], rules[INTEGRAL_BITS]
    up = rounds_up(retained & U1 != U0, fraction, sticky, negative, mode, bits, random)
    integer = kind, negative, retained + uint64(up), int64(0), False
    code, flags = round_operand(integer, target, rules, random)
    if rules[RAISES_INEXACT] and (fraction != U0 or sticky) and not flags & INVALID_FLAG:
        flags |= INEXACT_FLAG
    return code, flags


@core
def scaleb(x_code, n_code, x_spec, n_spec, target, rules, random):
    """X 2^n, n an integer: (code, flags).  IEEE 754-2019 clause 5.3.3."""
    kind, negative, x, exponent, signals = unpack_operand(x_code, x_spec, rules)
    _, n_negative, n, n_exponent, _ = unpack_operand(n_code, n_spec, rules)
    n, _, _ = shift_right_jam(n, U0, False, -n_exponent)  # the integer n itself
    shift = int64(min(n, MAX_SHIFT))
    exponent = exponent - shift if n_negative else exponent + shift
    return round_operand((kind, negative, x, exponent, signals), target, rules, random)


@core
def logb(x_code, x_spec, target, rules, random):
    """The exponent of x: (code, flags).  IEEE 754-2019 clause 5.3.3."""
    x_operand = unpack_operand(x_code, x_spec, rules)
    kind, _, x, exponent, _ = x_operand
    if kind == NOT_A_NUMBER:
        return round_operand(x_operand, target, rules, random)
    if kind == INFINITE:
        return encode_infinity(False, rules), INVALID_FLAG if rules[FLOAT_TO_INTEGER] else 0
    if x == U0:
        return encode_infinity(True, rules), INVALID_FLAG if rules[FLOAT_TO_INTEGER] else DIVIDE_BY_ZERO_FLAG
    logarithm = exponent + 63
    if logarithm == 0:
        return encode_zero(False, rules), 0
    return round_exact(logarithm < 0, (uint64(abs(logarithm)), U0, U0), -128, False, target, rules, random)

"""Loops around functions whose exact values stand in tables: operands to look up or work out, values to round."""

from numpy import int64, uint64

from fpemu.kernels.columns import (
    EXPONENT,
    FLAGS,
    HIGH,
    INFINITE,
    KINDS,
    LOW,
    MORE,
    NEGATIVE,
    NUMBER,
    WHAT,
    ZERO,
)
from fpemu.kernels.jit import loop
from fpemu.kernels.opcodes import DIVIDE_BY_ZERO_FLAG, DIVISION_BY_ZERO, INVALID_NAN
from fpemu.kernels.scalar.convert import encode_zero
from fpemu.kernels.scalar.random_bits import random_word
from fpemu.kernels.scalar.results import infinite, operand, round_exact
from fpemu.kernels.spec import RANDOM_BITS, ROUNDING, STOCHASTIC_A

U0 = uint64(0)
TOP = 191  # of three words, the exponent of the first bit beside the last one's


@loop
def operands_array(codes, spec, rules, out):
    """The numbers that codes stand for, a row each (`fpemu.kernels.columns`); `rules`: whether subnormals are 0."""
    for i in range(codes.size):
        kind, negative, significand, exponent, signalling = operand(uint64(codes[i]), spec, rules)
        out[i, WHAT] = uint64(kind) | (uint64(NEGATIVE) if negative else U0) | (uint64(MORE) if signalling else U0)
        out[i, EXPONENT] = uint64(exponent)
        out[i, HIGH] = significand


@loop
def round_values_array(places, values, target, rules, knobs, randoms, key, first, out, flags):
    """The exact values in the rows `places` of a table, rounded; the rest as `operation_loop`'s loops have it."""
    stochastic = rules[ROUNDING] >= STOCHASTIC_A
    drawn = uint64(32 - rules[RANDOM_BITS])
    random = U0
    for i in range(places.size):
        if stochastic:
            random = uint64(randoms[i]) if randoms.size else uint64(random_word(key, first + uint64(i))) >> drawn
        what = values[places[i], WHAT]
        kind = int64(what & uint64(KINDS))
        negative = what & uint64(NEGATIVE) != U0
        raised = int64(what >> uint64(FLAGS))
        if kind == NUMBER:
            words = (values[places[i], HIGH], values[places[i], LOW], U0)
            exponent = int64(values[places[i], EXPONENT]) - TOP
            more = what & uint64(MORE) != U0
            code, raised = round_exact(negative, words, exponent, more, target, rules, knobs, random)
        elif kind == ZERO:
            code = encode_zero(negative, rules)
        elif kind == INFINITE and not (knobs[DIVISION_BY_ZERO] and raised & DIVIDE_BY_ZERO_FLAG):
            code = infinite(negative, rules)
        else:
            code = uint64(knobs[INVALID_NAN])
        out[i] = code
        if flags.size:
            flags[i] = raised

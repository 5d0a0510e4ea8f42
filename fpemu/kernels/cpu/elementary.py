"""Loops for functions with tables of exact values: decode operands to rows, round the values in rows."""

from numpy import int64, uint64

from fpemu.kernels.columns import EXPONENT, FLAGS, HIGH, INFINITE, KINDS, LOW, MINUS_SIGN, MORE, NUMBER, STATUS, ZERO
from fpemu.kernels.jit import loop
from fpemu.kernels.opcodes import DIVIDE_BY_ZERO_FLAG
from fpemu.kernels.scalar.bits import U0
from fpemu.kernels.scalar.convert import encode_infinity, encode_zero
from fpemu.kernels.scalar.random_bits import random_word
from fpemu.kernels.scalar.results import round_exact, unpack_operand
from fpemu.kernels.spec import DIVISION_BY_ZERO, INVALID_NAN, RANDOM_BITS, ROUNDING, STOCHASTIC_A

TOP = 191  # of three words: the exponent of the first bit relative to the last bit


@loop
def operands_array(codes, spec, rules, out):
    """Decode codes, each to a row (`fpemu.kernels.columns`); `rules`: whether subnormals are 0."""
    for i in range(codes.size):
        kind, negative, significand, exponent, signalling = unpack_operand(uint64(codes[i]), spec, rules)
        out[i, STATUS] = uint64(kind) | (uint64(MINUS_SIGN) if negative else U0) | (uint64(MORE) if signalling else U0)
        out[i, EXPONENT] = uint64(exponent)
        out[i, HIGH] = significand


@loop
def round_values_array(rows, values, target, rules, randoms, key, first, out, flags):
    """Round the exact values in the given rows of a table; the rest as in the loops of `operation_loop`."""
    stochastic = rules[ROUNDING] >= STOCHASTIC_A
    drawn = uint64(32 - rules[RANDOM_BITS])
    random = U0
    for i in range(rows.size):
        if stochastic:
            random = uint64(randoms[i]) if randoms.size else uint64(random_word(key, first + uint64(i))) >> drawn
        status = values[rows[i], STATUS]
        kind = int64(status & uint64(KINDS))
        negative = status & uint64(MINUS_SIGN) != U0
        raised = int64(status >> uint64(FLAGS))
        if kind == NUMBER:
            words = (values[rows[i], HIGH], values[rows[i], LOW], U0)
            exponent = int64(values[rows[i], EXPONENT]) - TOP
            more = status & uint64(MORE) != U0
            code, raised = round_exact(negative, words, exponent, more, target, rules, random)
        elif kind == ZERO:
            code = encode_zero(negative, rules)
        elif kind == INFINITE and not (rules[DIVISION_BY_ZERO] and raised & DIVIDE_BY_ZERO_FLAG):
            code = encode_infinity(negative, rules)
        else:
            code = uint64(rules[INVALID_NAN])
        out[i] = code
        if flags.size:
            flags[i] = raised

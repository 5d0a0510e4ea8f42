"""Unpack operands, propagate NaN, round exact results once, raise flags: the first and last steps of operations.

An exact result is three words and a sticky bit.  Products of 64-bit significands fit, and so do their sums, except for
bits so far below the last one that only their presence matters.
"""

from numpy import int64, uint64

from fpemu.kernels.jit import core
from fpemu.kernels.opcodes import INEXACT_FLAG, INVALID_FLAG, OVERFLOW_FLAG, UNDERFLOW_FLAG
from fpemu.kernels.scalar.bits import U0, leading_zeros
from fpemu.kernels.scalar.convert import (
    FINITE,
    INFINITE,
    NOT_A_NUMBER,
    counts_as_zero,
    decode,
    encode,
    encode_infinity,
    encode_nan,
    encode_zero,
)
from fpemu.kernels.scalar.multiword import normalize_words, shift_words_left
from fpemu.kernels.spec import (
    DROP_SIGN,
    FLOAT_TO_INTEGER,
    FLUSH_FLAGS,
    FLUSHED,
    INEXACT,
    INVALID_NAN,
    NAN,
    NAN_IEEE,
    NAN_RESULT,
    NAN_RESULT_CANONICAL,
    NAN_RESULT_FIRST_SIGNALING,
    OVERFLOW,
    QUANTUM,
    TININESS,
    WRAP,
    WRAP_ALL,
    WRAP_POSITIVE,
)

QUIET_BIT = uint64(1 << 63)  # of a payload at the top of a word


@core
def unpack_operand(code, spec, rules):
    """Decode an operand: (category, negative, significand, exponent, whether it is a signalling NaN).

    A nonzero significand has its top bit set; the exponent is its last bit's.  A NaN's significand is its payload.
    """
    category, negative, significand, exponent = decode(uint64(code), spec)
    if category == NOT_A_NUMBER:
        return category, negative, significand, exponent, spec[NAN] == NAN_IEEE and significand & QUIET_BIT == U0
    if counts_as_zero(significand, spec, rules):
        significand = U0
    if significand != U0:
        zeros = leading_zeros(significand)
        significand <<= zeros
        exponent -= int64(zeros)
    return category, negative, significand, exponent, False


@core
def invalid_result(rules):
    """The result of an invalid operation (IEEE 754-2019 clause 7.2), with its flag."""
    return uint64(rules[INVALID_NAN]), INVALID_FLAG


@core
def first_nan(x, y, rules):
    """The operand, of two of which one is a NaN, whose NaN the result propagates."""
    y_goes_first = rules[NAN_RESULT] == NAN_RESULT_FIRST_SIGNALING and y[4] and not x[4]
    return x if x[0] == NOT_A_NUMBER and not y_goes_first else y


@core
def quieted(x):
    """A NaN operand made quiet."""
    category, negative, payload, exponent, _ = x
    return category, negative, payload | QUIET_BIT, exponent, False


@core
def nan_from(x, target, rules):
    """The NaN that propagates from operand x, a NaN (IEEE 754-2019 clause 6.2.3)."""
    if rules[NAN_RESULT] == NAN_RESULT_CANONICAL:
        return uint64(rules[INVALID_NAN])
    _, negative, payload, _, _ = x
    return encode_nan(negative, payload, target, rules)


@core
def propagate_nan(x, y, target, rules):
    """The result if x or y is NaN (IEEE 754-2019 clause 6.2): (code, flags); a signalling NaN is invalid."""
    code = nan_from(first_nan(x, y, rules), target, rules)
    return code, INVALID_FLAG if x[4] or y[4] else 0


@core
def round_exact(negative, words, exponent, sticky, target, rules, random):
    """Round an exact nonzero result: (code, flags).  `words`: three words, whose last bit is 2^exponent."""
    words, shift = normalize_words(words)
    top = exponent + 191 - shift
    events = 0
    above = top - target[QUANTUM] - 63
    positive = not negative or rules[DROP_SIGN] != 0
    if above > 0 and (rules[WRAP] == WRAP_ALL or (rules[WRAP] == WRAP_POSITIVE and positive)):
        # Reduce modulo 2^64 quanta first: `encode` keeps the upper 64 digits, but wrapping needs the lower ones.
        # Results that wrap are exact in three words: `sticky` is not set.
        events = OVERFLOW | INEXACT
        words = shift_words_left(words, above)
        if words[0] == U0 and words[1] == U0 and words[2] == U0:
            return encode_zero(negative, rules), INEXACT_FLAG | OVERFLOW_FLAG
        words, shift = normalize_words(words)
        top -= above + shift
    code, event = encode(negative, top, words[0], words[1], sticky or words[2] != U0, target, rules, random)
    if event & FLUSHED:
        return code, rules[FLUSH_FLAGS]
    events |= event
    flags = 0
    if events & INEXACT:
        flags |= INEXACT_FLAG
        if events & rules[TININESS]:
            flags |= UNDERFLOW_FLAG
    if events & OVERFLOW:
        flags |= OVERFLOW_FLAG
    return code, flags


@core
def round_number(category, negative, significand, exponent, target, rules, random):
    """Round a number from `unpack_operand`, an infinity or zero included: (code, flags)."""
    if category == INFINITE:
        return encode_infinity(negative, rules), 0
    if significand == U0:
        return encode_zero(negative, rules), 0
    return round_exact(negative, (significand, U0, U0), exponent - 128, False, target, rules, random)


@core
def round_operand(x, target, rules, random):
    """Round an operand unchanged: (code, flags).

    From a float to an integer format, NaN, infinities and numbers out of range raise invalid alone (IEEE 754-2019
    clauses 5.8, 7.2).
    """
    category, negative, significand, exponent, _ = x
    if category == NOT_A_NUMBER:
        code, flags = propagate_nan(x, x, target, rules)
    else:
        code, flags = round_number(category, negative, significand, exponent, target, rules, random)
    if rules[FLOAT_TO_INTEGER] and (category != FINITE or flags & OVERFLOW_FLAG):
        return code, INVALID_FLAG
    return code, flags

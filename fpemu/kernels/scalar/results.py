"""What all operations begin and end with: operands decoded, NaN passed on, exact results rounded once, with flags.

An exact result is three words and a sticky bit: products of 64-bit significands and their sums fit, and what does not
lies so far below the last bit that only its being there matters.
"""

from numpy import int64, uint64

from fpemu.kernels.jit import core
from fpemu.kernels.opcodes import (
    FLOAT_TO_INTEGER,
    FLUSH_FLAGS,
    INEXACT_FLAG,
    INVALID_FLAG,
    INVALID_NAN,
    NAN_RESULT,
    NAN_RESULT_CANONICAL,
    NAN_RESULT_FIRST_SIGNALING,
    OVERFLOW_FLAG,
    TININESS,
    UNDERFLOW_FLAG,
)
from fpemu.kernels.scalar.bits import leading_zeros
from fpemu.kernels.scalar.convert import (
    FINITE,
    INFINITE,
    NOT_A_NUMBER,
    counts_as_zero,
    decode,
    encode,
    encode_nan,
    encode_zero,
)
from fpemu.kernels.scalar.multiword import normalize_words, shift_words_left
from fpemu.kernels.spec import (
    DROP_SIGN,
    FLUSHED,
    INEXACT,
    INFINITY_NEGATIVE,
    INFINITY_POSITIVE,
    NAN,
    NAN_IEEE,
    OVERFLOW,
    QUANTUM,
    WRAP,
    WRAP_ALL,
    WRAP_POSITIVE,
)

U0 = uint64(0)
QUIET_BIT = uint64(1 << 63)  # of a payload at the top of a word


@core
def operand(code, spec, rules):
    """An operand decoded: (category, negative, significand, exponent, whether it is a signalling NaN).

    A significand other than 0 has its top bit set, the exponent is its last bit's; a NaN's is its payload.
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
def invalid_result(knobs):
    """The result of an invalid operation (IEEE 754-2019 clause 7.2), with its flag."""
    return uint64(knobs[INVALID_NAN]), INVALID_FLAG


@core
def first_nan(x, y, knobs):
    """Which of two operands, one of them a NaN, a result that is no canonical NaN comes from."""
    y_goes_first = knobs[NAN_RESULT] == NAN_RESULT_FIRST_SIGNALING and y[4] and not x[4]
    return x if x[0] == NOT_A_NUMBER and not y_goes_first else y


@core
def quieted(x):
    """A NaN operand made quiet."""
    category, negative, payload, exponent, _ = x
    return category, negative, payload | QUIET_BIT, exponent, False


@core
def nan_from(x, target, rules, knobs):
    """The NaN that a result is where operand x is the NaN that it comes from (IEEE 754-2019 clause 6.2.3)."""
    if knobs[NAN_RESULT] == NAN_RESULT_CANONICAL:
        return uint64(knobs[INVALID_NAN])
    _, negative, payload, _, _ = x
    return encode_nan(negative, payload, target, rules)


@core
def propagate(x, y, target, rules, knobs):
    """The result where x or y is NaN (IEEE 754-2019 clause 6.2): (code, flags); invalid where one is signalling."""
    code = nan_from(first_nan(x, y, knobs), target, rules, knobs)
    return code, INVALID_FLAG if x[4] or y[4] else 0


@core
def infinite(negative, rules):
    """An exact infinity as the target has it (IEEE 754-2019 clause 6.1)."""
    return uint64(rules[INFINITY_NEGATIVE] if negative else rules[INFINITY_POSITIVE])


@core
def round_exact(negative, words, exponent, sticky, target, rules, knobs, random):
    """An exact result that is not 0, rounded: (code, flags).

    `words`: its three words, whose last bit is 2^exponent.
    """
    words, shift = normalize_words(words)
    top = exponent + 191 - shift
    happened = 0
    above = top - target[QUANTUM] - 63
    positive = not negative or rules[DROP_SIGN] != 0
    if above > 0 and (rules[WRAP] == WRAP_ALL or (rules[WRAP] == WRAP_POSITIVE and positive)):
        # Modulo 2^64 quanta first: `encode` keeps 64 digits, the upper ones, but a wrapped result is of the lower ones.
        # What comes here is exact in three words: nothing is sticky.
        happened = OVERFLOW | INEXACT
        words = shift_words_left(words, above)
        if words[0] == U0 and words[1] == U0 and words[2] == U0:
            return encode_zero(negative, rules), INEXACT_FLAG | OVERFLOW_FLAG
        words, shift = normalize_words(words)
        top -= above + shift
    code, rounded = encode(negative, top, words[0], words[1], sticky or words[2] != U0, target, rules, random)
    if rounded & FLUSHED:
        return code, knobs[FLUSH_FLAGS]
    happened |= rounded
    flags = 0
    if happened & INEXACT:
        flags |= INEXACT_FLAG
        if happened & knobs[TININESS]:
            flags |= UNDERFLOW_FLAG
    if happened & OVERFLOW:
        flags |= OVERFLOW_FLAG
    return code, flags


@core
def round_number(category, negative, significand, exponent, target, rules, knobs, random):
    """A number as `operand` gives it (an infinity, a zero, any other), rounded: (code, flags)."""
    if category == INFINITE:
        return infinite(negative, rules), 0
    if significand == U0:
        return encode_zero(negative, rules), 0
    return round_exact(negative, (significand, U0, U0), exponent - 128, False, target, rules, knobs, random)


@core
def converted(x, target, rules, knobs, random):
    """An operand as it is, rounded: (code, flags).

    From a float to an integer format NaN, infinities and what is out of range are invalid and nothing else (IEEE
    754-2019 clauses 5.8, 7.2).
    """
    category, negative, significand, exponent, _ = x
    if category == NOT_A_NUMBER:
        code, flags = propagate(x, x, target, rules, knobs)
    else:
        code, flags = round_number(category, negative, significand, exponent, target, rules, knobs, random)
    if knobs[FLOAT_TO_INTEGER] and (category != FINITE or flags & OVERFLOW_FLAG):
        return code, INVALID_FLAG
    return code, flags

"""Codes of any format to codes of any other: decode, round once, handle overflow, encode.

These scalar cores are the reference for every faster kernel here: they use integers only, so the CPU's rounding mode
and its flush-to-zero bits do not matter to them.
"""

from numpy import int64, uint64

from fpemu.kernels.bits import bit_length
from fpemu.kernels.jit import core, loop
from fpemu.kernels.rounding import rounds_up, split
from fpemu.kernels.spec import (
    BITS,
    DROP_SIGN,
    FLUSH,
    FLUSH_AFTER,
    FLUSH_BEFORE,
    INFINITIES,
    INFINITY_NEGATIVE,
    INFINITY_POSITIVE,
    KIND,
    MAX_NEGATIVE,
    MAX_POSITIVE,
    NAN,
    NAN_IEEE,
    NAN_NEGATIVE,
    NAN_NEGATIVE_ZERO,
    NAN_POSITIVE,
    OVERFLOW_NEGATIVE,
    OVERFLOW_POSITIVE,
    PAYLOAD,
    PAYLOAD_DROP,
    PAYLOAD_KEEP,
    PAYLOAD_QUIET,
    PRECISION,
    QUANTUM,
    RANDOM_BITS,
    ROUNDING,
    SIGNED,
    STOCHASTIC_A,
    SUBNORMAL_SOURCES_ARE_ZERO,
    SUBNORMALS,
    TWOS_COMPLEMENT,
    UNDERFLOW_NEGATIVE,
    UNDERFLOW_POSITIVE,
    WRAP,
    WRAP_ALL,
    WRAP_POSITIVE,
    ZERO,
    ZERO_NEGATIVE,
    ZERO_POSITIVE,
)
from fpemu.kernels.stream import random_word

FINITE = 0
INFINITE = 1
NOT_A_NUMBER = 2

U0 = uint64(0)
U1 = uint64(1)


@core
def code_mask(spec):
    """All bits of a code."""
    return uint64(0xFFFFFFFFFFFFFFFF) >> uint64(64 - spec[BITS])


@core
def decode(code, spec):
    """What a code means: (category, negative, significand, exponent), a finite value being significand 2^exponent.

    For a NaN the significand is its payload, the trailing significand moved to the top of 64 bits.
    """
    trailing_bits = spec[PRECISION] - 1
    sign_bit = (U1 << uint64(spec[BITS] - 1)) if spec[SIGNED] else U0
    negative = (code & sign_bit) != U0
    if spec[KIND] == TWOS_COMPLEMENT:
        magnitude = (U0 - code) & code_mask(spec) if negative else code
        return FINITE, negative, magnitude, spec[QUANTUM]
    magnitude = code & ~sign_bit
    trailing = magnitude & ((U1 << uint64(trailing_bits)) - U1)
    if spec[NAN] == NAN_NEGATIVE_ZERO and code == sign_bit:
        return NOT_A_NUMBER, False, U0, int64(0)
    if magnitude > uint64(spec[MAX_POSITIVE]):
        if spec[INFINITIES] and magnitude == uint64(spec[MAX_POSITIVE]) + U1:
            return INFINITE, negative, U0, int64(0)
        payload = (trailing << uint64(64 - trailing_bits)) if spec[NAN] == NAN_IEEE else U0
        return NOT_A_NUMBER, negative, payload, int64(0)
    field = int64(magnitude >> uint64(trailing_bits))
    if (field == 0 and spec[SUBNORMALS]) or (magnitude == U0 and spec[ZERO]):
        return FINITE, negative, trailing, spec[QUANTUM]
    return FINITE, negative, trailing | (U1 << uint64(trailing_bits)), spec[QUANTUM] + field - spec[SUBNORMALS]


@core
def is_subnormal(significand, spec):
    """Whether a finite value decoded from this float format is subnormal there (zero is not)."""
    return (
        spec[KIND] != TWOS_COMPLEMENT
        and spec[SUBNORMALS] != 0
        and significand != U0
        and significand < U1 << uint64(spec[PRECISION] - 1)
    )


@core
def encode_nan(negative, payload, spec, rules):
    """The code of a NaN; `payload` as `decode` gives it."""
    code = uint64(rules[NAN_NEGATIVE] if negative else rules[NAN_POSITIVE])
    if rules[PAYLOAD] == PAYLOAD_DROP:
        return code
    trailing_bits = uint64(spec[PRECISION] - 1)
    trailing = payload >> (uint64(64) - trailing_bits)
    if rules[PAYLOAD] == PAYLOAD_QUIET:
        trailing |= U1 << (trailing_bits - U1)
    if rules[PAYLOAD] == PAYLOAD_KEEP and trailing == U0:
        trailing = U1  # without it the code would be infinity's
    return (code >> trailing_bits << trailing_bits) | trailing


@core
def quotient(significand, shift, divisor):
    """A quotient below 1, significand 2^shift / divisor, as `split` gives a cut-off part: (fraction, sticky)."""
    sticky = False
    shift += 64  # the quotient's 64 fraction bits are the integer part of significand 2^shift / divisor
    if shift < 0:
        kept, fraction, below = split(significand, -shift)
        sticky = fraction != U0 or below
        significand, shift = kept, 0
    result = U0
    rest = U0
    for i in range(64 + shift):
        bit = (significand >> uint64(63 - i)) & U1 if i < 64 else U0
        rest = (rest << U1) | bit
        result <<= U1
        if rest >= divisor:
            rest -= divisor
            result |= U1
    return result, sticky or rest != U0


@core
def encode_zero(negative, rules):
    """The code of a zero."""
    return uint64(rules[ZERO_NEGATIVE] if negative else rules[ZERO_POSITIVE])


@core
def with_sign(magnitude, negative, spec):
    """The code with this magnitude code and sign."""
    if not negative:
        return magnitude
    if spec[KIND] == TWOS_COMPLEMENT:
        return (U0 - magnitude) & code_mask(spec)
    return magnitude | (U1 << uint64(spec[BITS] - 1))


@core
def encode(negative, significand, exponent, spec, rules, random):
    """The code of significand 2^exponent (significand not 0), rounded once; `random` for stochastic modes.

    Rounding comes before overflow.  IEEE 754-2019 clauses 4.3 and 7.4, P3109 interim report 4.0.
    """
    if not spec[SIGNED]:
        if rules[DROP_SIGN]:
            negative = False
        elif negative and not spec[ZERO]:
            return uint64(rules[OVERFLOW_NEGATIVE])
    trailing_bits = spec[PRECISION] - 1
    length = bit_length(significand)
    top = exponent + length - 1  # floor(log2 |x|)
    emin = spec[QUANTUM] + trailing_bits
    maximum = uint64(spec[MAX_NEGATIVE] if negative else spec[MAX_POSITIVE])
    normalized = significand << uint64(64 - length)

    # Without subnormals nothing lies between zero (or nothing) and the smallest value, (2^m + 1 or 2^m) quanta.
    lowest = (U1 << uint64(trailing_bits)) + uint64(spec[ZERO])
    in_gap = not spec[SUBNORMALS] and (
        top < emin or (top == emin and spec[ZERO] != 0 and normalized >> uint64(63 - trailing_bits) < lowest)
    )
    if rules[FLUSH] == FLUSH_BEFORE and (in_gap or top < emin):
        return encode_zero(negative, rules) if spec[ZERO] else underflow(negative, rules)
    if in_gap:
        fraction, sticky = quotient(significand, exponent - spec[QUANTUM], lowest)
        up = rounds_up(False, fraction, sticky, negative, rules[ROUNDING], rules[RANDOM_BITS], random)
        if not up:
            return encode_zero(negative, rules) if spec[ZERO] else underflow(negative, rules)
        code = uint64(spec[ZERO])
        return with_sign(code, negative, spec) if code <= maximum else uint64(overflow(negative, rules))

    quantum = max(top - trailing_bits, spec[QUANTUM])
    binades = quantum - spec[QUANTUM]
    if quantum <= exponent:
        kept, fraction, sticky = significand << uint64(exponent - quantum), U0, False
    else:
        kept, fraction, sticky = split(significand, quantum - exponent)
    beyond = binades >= 1 and binades > int64(uint64(spec[MAX_POSITIVE]) >> uint64(trailing_bits)) - spec[SUBNORMALS]
    # The magnitude code below: with precision 1 its parity is the exponent field's.
    code = kept + (uint64(binades) << uint64(trailing_bits))
    if not spec[SUBNORMALS]:
        code -= U1 << uint64(trailing_bits)
    up = rounds_up((code & U1) != U0, fraction, sticky, negative, rules[ROUNDING], rules[RANDOM_BITS], random)
    code += uint64(up)
    if rules[FLUSH] == FLUSH_AFTER and spec[SUBNORMALS] and not beyond and code < U1 << uint64(trailing_bits):
        return encode_zero(negative, rules)
    if beyond or code > maximum:
        if rules[WRAP] == WRAP_ALL or (rules[WRAP] == WRAP_POSITIVE and not negative):
            wrapped = (kept + uint64(up)) << uint64(binades) if binades < 64 else U0
            return (U0 - wrapped if negative else wrapped) & code_mask(spec)
        return overflow(negative, rules)
    if code == U0 and spec[ZERO]:
        return encode_zero(negative, rules)
    return with_sign(code, negative, spec)


@core
def overflow(negative, rules):
    """The code of a value beyond the largest finite one (and of a negative one in an unsigned format)."""
    return uint64(rules[OVERFLOW_NEGATIVE] if negative else rules[OVERFLOW_POSITIVE])


@core
def underflow(negative, rules):
    """The code of what would round to zero in a format without zero."""
    return uint64(rules[UNDERFLOW_NEGATIVE] if negative else rules[UNDERFLOW_POSITIVE])


@core
def convert(code, source, target, rules, random):
    """A code of format `source` as a code of format `target`."""
    category, negative, significand, exponent = decode(code, source)
    if category == NOT_A_NUMBER:
        return encode_nan(negative, significand, target, rules)
    if category == INFINITE:
        return uint64(rules[INFINITY_NEGATIVE] if negative else rules[INFINITY_POSITIVE])
    if significand == U0 or (rules[SUBNORMAL_SOURCES_ARE_ZERO] and is_subnormal(significand, source)):
        return encode_zero(negative, rules)
    return encode(negative, significand, exponent, target, rules, random)


@loop
def convert_array(codes, source, target, rules, randoms, key, first, out):
    """Codes of `source` to codes of `target`.

    `randoms`: an integer for each element, or empty for the stream of `key`, whose element `first` is element 0 here.
    """
    stochastic = rules[ROUNDING] >= STOCHASTIC_A
    drawn = uint64(32 - rules[RANDOM_BITS])
    random = U0
    for i in range(codes.size):
        if stochastic:
            random = uint64(randoms[i]) if randoms.size else uint64(random_word(key, first + uint64(i))) >> drawn
        out[i] = convert(uint64(codes[i]), source, target, rules, random)

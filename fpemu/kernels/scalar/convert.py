"""Codes of any format to codes of any other: decode, round once, handle overflow, encode.

These scalar cores are the reference for all faster kernels.  They use integers only, so the CPU's rounding mode and
flush-to-zero bits do not affect them.
"""

from numpy import int64, uint64

from fpemu.kernels.jit import core
from fpemu.kernels.scalar.bits import U0, U1, leading_zeros
from fpemu.kernels.scalar.rounding import rounds_up, shift_right_jam
from fpemu.kernels.spec import (
    BITS,
    DROP_SIGN,
    FLUSH,
    FLUSH_AFTER,
    FLUSH_BEFORE,
    FLUSH_TINY,
    FLUSHED,
    INEXACT,
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
    OVERFLOW,
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
    SIGN_MAGNITUDE,
    SIGNED,
    SUBNORMAL_SOURCES_ARE_ZERO,
    SUBNORMALS,
    TINY_AFTER,
    TINY_BEFORE,
    TWOS_COMPLEMENT,
    UNDERFLOW_NEGATIVE,
    UNDERFLOW_POSITIVE,
    WRAP,
    WRAP_ALL,
    WRAP_POSITIVE,
    ZERO_NEGATIVE,
    ZERO_POSITIVE,
    ZEROS,
)

FINITE = 0
INFINITE = 1
NOT_A_NUMBER = 2


@core
def code_mask(spec):
    """The mask of all bits of a code."""
    return uint64(0xFFFFFFFFFFFFFFFF) >> uint64(64 - spec[BITS])


@core
def decode(code, spec):
    """Decode a code to (category, negative, significand, exponent); a finite magnitude is significand 2^exponent.

    A NaN's significand is its payload: the trailing significand at the top of 64 bits.
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
    if (field == 0 and spec[SUBNORMALS]) or (magnitude == U0 and spec[ZEROS]):
        return FINITE, negative, trailing, spec[QUANTUM]
    return FINITE, negative, trailing | (U1 << uint64(trailing_bits)), spec[QUANTUM] + field - spec[SUBNORMALS]


@core
def is_subnormal(significand, spec):
    """Whether a finite value decoded from this format is subnormal in it; zero and integers are not."""
    return (
        spec[KIND] == SIGN_MAGNITUDE
        and spec[SUBNORMALS] != 0
        and significand != U0
        and significand < U1 << uint64(spec[PRECISION] - 1)
    )


@core
def counts_as_zero(significand, spec, rules):
    """Whether a finite value decoded from this format is subnormal and the rules make it zero."""
    least = rules[SUBNORMAL_SOURCES_ARE_ZERO]
    return least != 0 and spec[BITS] >= least and is_subnormal(significand, spec)


@core
def encode_nan(negative, payload, spec, rules):
    """The code of a NaN; `payload` comes from `decode`."""
    code = uint64(rules[NAN_NEGATIVE] if negative else rules[NAN_POSITIVE])
    if rules[PAYLOAD] == PAYLOAD_DROP:
        return code
    trailing_bits = uint64(spec[PRECISION] - 1)
    trailing = payload >> (uint64(64) - trailing_bits)
    if rules[PAYLOAD] == PAYLOAD_QUIET:
        trailing |= U1 << (trailing_bits - U1)
    if rules[PAYLOAD] == PAYLOAD_KEEP and trailing == U0:
        trailing = U1  # payload 0 is the code of infinity
    return (code >> trailing_bits << trailing_bits) | trailing


@core
def quotient(high, low, sticky, divisor):
    """Two words divided by one, the result below 2^64: (quotient, whether the remainder is not 0)."""
    result = U0
    remainder = U0
    for i in range(128):
        bit = (high >> uint64(63 - i)) & U1 if i < 64 else (low >> uint64(127 - i)) & U1
        remainder = (remainder << U1) | bit
        result <<= U1
        if remainder >= divisor:
            remainder -= divisor
            result |= U1
    return result, sticky or remainder != U0


@core
def encode_infinity(negative, rules):
    """The code that an infinity becomes in the target (IEEE 754-2019 clause 6.1)."""
    return uint64(rules[INFINITY_NEGATIVE] if negative else rules[INFINITY_POSITIVE])


@core
def encode_zero(negative, rules):
    """The code of a zero."""
    return uint64(rules[ZERO_NEGATIVE] if negative else rules[ZERO_POSITIVE])


@core
def signed_code(magnitude, negative, spec):
    """The code with this magnitude code and sign."""
    if not negative:
        return magnitude
    if spec[KIND] == TWOS_COMPLEMENT:
        return (U0 - magnitude) & code_mask(spec)
    return magnitude | (U1 << uint64(spec[BITS] - 1))


@core
def is_tiny_after(negative, high, low, sticky, spec, rules, random):
    """Whether a magnitude of the binade below 2^emin stays below 2^emin when rounded with unbounded exponents."""
    retained, fraction, sticky = shift_right_jam(high, low, sticky, 64 - spec[PRECISION])
    parity = retained if spec[PRECISION] > 1 else retained - U1 - uint64(1 - spec[SUBNORMALS])
    up = rounds_up(parity & U1 != U0, fraction, sticky, negative, rules[ROUNDING], rules[RANDOM_BITS], random)
    digits = ((U1 << uint64(spec[PRECISION] - 1)) << U1) - U1  # all ones, also with 64 digits
    return not up or retained != digits


@core
def is_flushed(negative, top, high, low, sticky, in_gap, spec, rules, random):
    """Whether a magnitude below the smallest normal number is flushed to zero before it is rounded.

    With `FLUSH_TINY` the comparison is made after rounding with unbounded exponents.  `in_gap`: see `encode`.
    """
    emin = spec[QUANTUM] + spec[PRECISION] - 1
    if rules[FLUSH] == FLUSH_BEFORE:
        return in_gap or top < emin
    if rules[FLUSH] != FLUSH_TINY or not (in_gap or top < emin):
        return False
    if top < emin - 1:
        return True
    if top < emin:  # if zero has the code of 2^emin, rounding up to it is not enough
        gap = spec[ZEROS] and not spec[SUBNORMALS]
        return gap or is_tiny_after(negative, high, low, sticky, spec, rules, random)
    _, fraction, sticky = shift_right_jam(high, low, sticky, 64 - spec[PRECISION])
    return not rounds_up(False, fraction, sticky, negative, rules[ROUNDING], rules[RANDOM_BITS], random)


@core
def encode(negative, top, high, low, sticky, spec, rules, random):
    """Round a nonzero number once: (code, events), events being INEXACT, OVERFLOW, TINY_... and FLUSHED.

    The magnitude is 2^top (high + low 2^-64) / 2^63, plus less than one unit of `low` if `sticky` is set; the top bit
    of `high` is set.  `random`: for stochastic modes.

    Rounding comes before overflow.  IEEE 754-2019 clauses 4.3 and 7.4, P3109 interim report 4.0.
    """
    if not spec[SIGNED]:
        if rules[DROP_SIGN]:
            negative = False
        elif negative and not spec[ZEROS]:
            return overflow(negative, rules), OVERFLOW | INEXACT
    trailing_bits = spec[PRECISION] - 1
    emin = spec[QUANTUM] + trailing_bits
    maximum = uint64(spec[MAX_NEGATIVE] if negative else spec[MAX_POSITIVE])
    flags = 0
    if top < emin and spec[PRECISION] < 64:
        flags = TINY_BEFORE
        if top < emin - 1 or is_tiny_after(negative, high, low, sticky, spec, rules, random):
            flags |= TINY_AFTER

    # Formats without subnormals have no values between zero and the smallest one: 2^m quanta, or 2^m + 1 with a zero.
    lowest = (U1 << uint64(trailing_bits)) + uint64(spec[ZEROS])
    in_gap = not spec[SUBNORMALS] and (
        top < emin or (top == emin and spec[ZEROS] != 0 and high >> uint64(63 - trailing_bits) < lowest)
    )
    if rules[FLUSH] and is_flushed(negative, top, high, low, sticky, in_gap, spec, rules, random):
        return (encode_zero(negative, rules) if spec[ZEROS] else underflow(negative, rules)), flags | FLUSHED
    if in_gap:
        retained, fraction, sticky = shift_right_jam(high, low, sticky, 63 + spec[QUANTUM] - top)
        fraction, sticky = quotient(retained, fraction, sticky, lowest)
        up = rounds_up(False, fraction, sticky, negative, rules[ROUNDING], rules[RANDOM_BITS], random)
        flags |= INEXACT
        if not up:
            return (encode_zero(negative, rules) if spec[ZEROS] else underflow(negative, rules)), flags
        code = uint64(spec[ZEROS])
        if code <= maximum:
            return signed_code(code, negative, spec), flags
        return overflow(negative, rules), flags | OVERFLOW

    quantum = max(top - trailing_bits, spec[QUANTUM])
    binades = quantum - spec[QUANTUM]
    retained, fraction, sticky = shift_right_jam(high, low, sticky, 63 + quantum - top)
    if fraction != U0 or sticky:
        flags |= INEXACT
    last_binade = int64(uint64(spec[MAX_POSITIVE]) >> uint64(trailing_bits)) - spec[SUBNORMALS]
    overflowed = binades >= 1 and binades > last_binade
    # The code of the lower neighbour; with precision 1 its parity is the exponent field's.
    code = retained + (uint64(binades) << uint64(trailing_bits))
    if not spec[SUBNORMALS]:
        code -= U1 << uint64(trailing_bits)
    up = rounds_up((code & U1) != U0, fraction, sticky, negative, rules[ROUNDING], rules[RANDOM_BITS], random)
    code += uint64(up)
    if rules[FLUSH] == FLUSH_AFTER and spec[SUBNORMALS] and not overflowed and code < U1 << uint64(trailing_bits):
        return encode_zero(negative, rules), flags | FLUSHED
    if overflowed or code > maximum or (up and code == U0):  # the last case: 2^64 quanta
        flags |= OVERFLOW | INEXACT
        if wraps(negative, retained, up, binades, rules):
            wrapped = (retained + uint64(up)) << uint64(binades) if binades < 64 else U0
            return (U0 - wrapped if negative else wrapped) & code_mask(spec), flags
        return overflow(negative, rules), flags
    if code == U0 and spec[ZEROS]:
        return encode_zero(negative, rules), flags
    return signed_code(code, negative, spec), flags


@core
def wraps(negative, retained, up, binades, rules):
    """Whether an overflowing result, (retained + up) 2^binades, wraps modulo 2^bits."""
    wrap = rules[WRAP]
    if wrap <= WRAP_POSITIVE:
        return wrap == WRAP_ALL or (wrap == WRAP_POSITIVE and not negative)
    # retained + up is below 2^(wrap - 1), or equal to it for a negative result; retained + up may be 2^64
    limit = U1 << uint64(wrap - 1)
    return binades == 0 and (retained < limit - uint64(up) or (negative and retained == limit - uint64(up)))


@core
def overflow(negative, rules):
    """The code of a value beyond the largest finite one (and of a negative one in an unsigned format)."""
    return uint64(rules[OVERFLOW_NEGATIVE] if negative else rules[OVERFLOW_POSITIVE])


@core
def underflow(negative, rules):
    """The code of a number that would round to zero in a format without zero."""
    return uint64(rules[UNDERFLOW_NEGATIVE] if negative else rules[UNDERFLOW_POSITIVE])


@core
def convert(code, source, target, rules, random):
    """Convert a code of format `source` to a code of format `target`."""
    category, negative, significand, exponent = decode(code, source)
    if category == NOT_A_NUMBER:
        return encode_nan(negative, significand, target, rules)
    if category == INFINITE:
        return encode_infinity(negative, rules)
    if significand == U0 or counts_as_zero(significand, source, rules):
        return encode_zero(negative, rules)
    zeros = leading_zeros(significand)
    top = exponent + 63 - int64(zeros)
    return encode(negative, top, significand << zeros, U0, False, target, rules, random)[0]

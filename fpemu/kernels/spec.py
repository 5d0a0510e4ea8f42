"""The places of the integer tuples and arrays that carry formats and rules into the kernels.

Kernels know no format objects, names or strings: a format is its ``spec``, a cast's rules are ``rules``, both tuples
of signed 64-bit integers (magnitudes of 64 bits wrap), so that no format and no rule recompiles anything.
"""

# spec: what a format is
KIND = 0  # SIGN_MAGNITUDE, TWOS_COMPLEMENT or INTEGER_MAGNITUDE
BITS = 1
PRECISION = 2  # significant digits p; integers: 64, the quantum alone says where to round
QUANTUM = 3  # exponent of the smallest quantum
SIGNED = 4
SUBNORMALS = 5
ZERO = 6
MAX_POSITIVE = 7  # magnitude code of the largest finite value; infinity, if any, is the next one
MAX_NEGATIVE = 8
INFINITIES = 9
NAN = 10  # one of the NAN_ numbers

SIGN_MAGNITUDE = 0
TWOS_COMPLEMENT = 1
INTEGER_MAGNITUDE = 2  # an unsigned integer, or one of sign and magnitude: it has no subnormals

NAN_NONE = 0
NAN_IEEE = 1
NAN_ALL_ONES = 2
NAN_NEGATIVE_ZERO = 3

# rules: what a cast does; every outcome is a code of the target, worked out beforehand (fpemu.casting.lowering)
ROUNDING = 0
RANDOM_BITS = 1
OVERFLOW_POSITIVE = 2
OVERFLOW_NEGATIVE = 3
INFINITY_POSITIVE = 4
INFINITY_NEGATIVE = 5
NAN_POSITIVE = 6
NAN_NEGATIVE = 7
PAYLOAD = 8  # one of the PAYLOAD_ numbers
ZERO_POSITIVE = 9  # what a zero source gives, and in formats with zero what rounds to zero
ZERO_NEGATIVE = 10
UNDERFLOW_POSITIVE = 11  # formats without zero: what would round to zero
UNDERFLOW_NEGATIVE = 12
SUBNORMAL_SOURCES_ARE_ZERO = 13  # in formats of so many bits and more; 0: in none
FLUSH = 14  # one of the FLUSH_ numbers
DROP_SIGN = 15  # unsigned targets: the sign is dropped before rounding
WRAP = 16  # one of the WRAP_ numbers, or a width in bits

NO_RULES = (0,) * (WRAP + 1)  # where nothing is rounded and subnormals are what they are

PAYLOAD_DROP = 0
PAYLOAD_QUIET = 1
PAYLOAD_KEEP = 2

FLUSH_NEVER = 0
FLUSH_BEFORE = 1
FLUSH_AFTER = 2
FLUSH_TINY = 3  # where tininess is looked for after rounding; before, it is FLUSH_BEFORE

# WRAP: which overflows of integers are modulo 2^bits; a width of 32 or 64: those whose rounded integer a two's
# complement integer of that width holds
WRAP_NONE = 0
WRAP_ALL = 1
WRAP_POSITIVE = 2  # unsigned, with a rule of its own for negative sources

# ROUNDING
NEAREST_EVEN = 0
NEAREST_AWAY = 1
NEAREST_TOWARD_ZERO = 2
NEAREST_TOWARD_POSITIVE = 3
NEAREST_TOWARD_NEGATIVE = 4
TOWARD_ZERO = 5
TOWARD_POSITIVE = 6
TOWARD_NEGATIVE = 7
AWAY_FROM_ZERO = 8
TO_ODD = 9
STOCHASTIC_A = 10
STOCHASTIC_B = 11
STOCHASTIC_C = 12
STOCHASTIC_EQUAL = 13

# What happened as a number was rounded: bits of `encode`'s second result (IEEE 754-2019 clauses 7.4 to 7.6)
INEXACT = 1
OVERFLOW = 2
TINY_BEFORE = 4  # nonzero and below 2^emin before rounding
TINY_AFTER = 8  # nonzero and below 2^emin after rounding as though with unbounded exponents
FLUSHED = 16  # zero for being too small

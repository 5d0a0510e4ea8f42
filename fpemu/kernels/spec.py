"""Positions in the integer tuples by which kernels know formats and rules, and the numbers at these positions.

Kernels know no format objects, names or strings: a format is its ``spec``, the rules of a cast or an operation are
``rules``.  Both are tuples of signed 64-bit integers (64-bit magnitudes wrap) of fixed lengths, so that a new format or
rule recompiles nothing.
"""

# spec: the format
KIND = 0  # SIGN_MAGNITUDE, TWOS_COMPLEMENT or INTEGER_MAGNITUDE
BITS = 1
PRECISION = 2  # significant digits p; 64 for integers, which round at their quantum
QUANTUM = 3  # exponent of the smallest quantum
SIGNED = 4
SUBNORMALS = 5
ZEROS = 6
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

# rules: every outcome is a code of the target, computed by fpemu.casting.lowering
ROUNDING = 0
RANDOM_BITS = 1
OVERFLOW_POSITIVE = 2
OVERFLOW_NEGATIVE = 3
INFINITY_POSITIVE = 4
INFINITY_NEGATIVE = 5
NAN_POSITIVE = 6
NAN_NEGATIVE = 7
PAYLOAD = 8  # one of the PAYLOAD_ numbers
ZERO_POSITIVE = 9  # the code of a zero source, and in formats with zero of a number that rounds to zero
ZERO_NEGATIVE = 10
UNDERFLOW_POSITIVE = 11  # formats without zero: the code of a number that would round to zero
UNDERFLOW_NEGATIVE = 12
SUBNORMAL_SOURCES_ARE_ZERO = 13  # in formats of at least this many bits; 0: in none
FLUSH = 14  # one of the FLUSH_ numbers
DROP_SIGN = 15  # unsigned targets: drop the sign before rounding
WRAP = 16  # one of the WRAP_ numbers, or a width in bits
# rules of operations alone, 0 in casts
TININESS = 17  # TINY_BEFORE or TINY_AFTER: the tininess that raises underflow
NAN_RESULT = 18  # one of the NAN_RESULT_ numbers
INVALID_NAN = 19  # the code of an invalid operation's result, and of any NaN where the result is canonical
FMA_QUIET = 20  # infinity times 0 plus a quiet NaN gives that NaN and raises nothing
RAISES_INEXACT = 21  # conversions and roundings to integers raise inexact
FLOAT_TO_INTEGER = 22  # an operand's format is a float format, the result's is not: no integer means invalid
DIVISION_BY_ZERO = 23  # division by zero gives NaN instead of an infinity
EXTREMUM = 24  # one of the EXTREMUM_ numbers
INTEGRAL_ROUNDING = 25  # how round_to_integral rounds to an integer, numbered as ROUNDING
INTEGRAL_BITS = 26  # the random bits of that rounding
FLUSH_FLAGS = 27  # the flags of a result that is flushed to zero
SIGN_ONLY = 28  # the result has the operand's format: the code passes through, apart from its sign bit

NO_OPERATION = (0,) * (SIGN_ONLY - WRAP)  # the rules of operations in a cast
NO_RULES = (*((0,) * (WRAP + 1)), *NO_OPERATION)  # nothing is rounded, and subnormals keep their values

PAYLOAD_DROP = 0
PAYLOAD_QUIET = 1
PAYLOAD_KEEP = 2

FLUSH_NEVER = 0
FLUSH_BEFORE = 1
FLUSH_AFTER = 2
FLUSH_TINY = 3  # results that are tiny after rounding; tiny before rounding is FLUSH_BEFORE

# WRAP: the overflows of integers that wrap modulo 2^bits.  A width of 32 or 64 means: those whose rounded integer fits
# two's complement of that width.
WRAP_NONE = 0
WRAP_ALL = 1
WRAP_POSITIVE = 2  # unsigned formats that treat negative sources by another rule

NAN_RESULT_CANONICAL = 0
NAN_RESULT_FIRST = 1
NAN_RESULT_FIRST_SIGNALING = 2

EXTREMUM_2019 = 0  # IEEE 754-2019 clause 9.6
EXTREMUM_2008 = 1  # IEEE 754-2008 clause 5.3.1: the number of a number and a quiet NaN
EXTREMUM_X86 = 2  # MINPS and MAXPS: the second operand unless the first is less, or greater

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

BINADE_OFFSET = 1 << 40  # added to a binade's number in tables of thresholds: positive for every format

# Events of a rounding: bits of `encode`'s second result (IEEE 754-2019 clauses 7.4 to 7.6)
INEXACT = 1
OVERFLOW = 2
TINY_BEFORE = 4  # nonzero and below 2^emin before rounding
TINY_AFTER = 8  # nonzero and below 2^emin after rounding as though with unbounded exponents
FLUSHED = 16  # flushed to zero

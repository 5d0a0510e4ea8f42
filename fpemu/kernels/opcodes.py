"""The operations and their flags by number: names that the kernels and what calls them share."""

# The operations
ADD = 0
SUBTRACT = 1
MULTIPLY = 2
DIVIDE = 3
FMA = 4
SQRT = 5
FMOD = 6
IEEE_REMAINDER = 7
ROUND_TO_INTEGRAL = 8
SCALEB = 9
LOGB = 10
CONVERT = 11
MINIMUM = 12
MAXIMUM = 13
MINIMUM_NUMBER = 14
MAXIMUM_NUMBER = 15
ABSOLUTE = 16
NEGATIVE = 17
COPYSIGN = 18

# The orders of two operands
COMPARE = 0
TOTAL_ORDER = 1
TOTAL_ORDER_MAGNITUDE = 2

# What an order gives; SIGNALS is added where an operand is a signalling NaN
LESS = 0
EQUAL = 1
GREATER = 2
UNORDERED = 3
SIGNALS = 4

# The flags that operations raise, as Berkeley TestFloat numbers them (IEEE 754-2019 clause 7).
INEXACT_FLAG = 1
UNDERFLOW_FLAG = 2
OVERFLOW_FLAG = 4
DIVIDE_BY_ZERO_FLAG = 8
INVALID_FLAG = 16

# knobs: rules that operations have and casts have not, a tuple of integers beside the casts' `rules`
TININESS = 0  # TINY_BEFORE or TINY_AFTER of `spec`: which of them underflow counts
NAN_RESULT = 1  # one of the NAN_RESULT_ numbers
INVALID_NAN = 2  # the code that an invalid operation gives, and any NaN where the result is canonical
FMA_QUIET = 3  # whether infinity times 0 plus a quiet NaN raises nothing and gives that NaN
EXACT = 4  # conversions and roundings to integers raise inexact
FLOAT_TO_INTEGER = 5  # an operand is of a float format, the result's is not: what has no integer there is invalid
DIVISION_BY_ZERO = 6  # whether a division by zero gives NaN instead of an infinity
EXTREMUM = 7  # one of the EXTREMUM_ numbers
INTEGRAL_ROUNDING = 8  # how round_to_integral gets to an integer, as ROUNDING of `spec` has it
INTEGRAL_BITS = 9  # the random bits of that rounding, as RANDOM_BITS of `spec` has them
FLUSH_FLAGS = 10  # the flags that a result raises which is flushed to zero
SIGN_ONLY = 11  # the last one: the result's format is the operand's, and its code is passed on but for the sign bit

EXTREMUM_2019 = 0  # IEEE 754-2019 clause 9.6
EXTREMUM_2008 = 1  # IEEE 754-2008 clause 5.3.1: the number of a number and a quiet NaN
EXTREMUM_X86 = 2  # MINPS and MAXPS: the second operand unless the first is less, or greater

NAN_RESULT_CANONICAL = 0
NAN_RESULT_FIRST = 1
NAN_RESULT_FIRST_SIGNALING = 2

# The FPU's loops: how operands become float32 numbers
REALS = 0  # they are
WIDENED = 1  # codes, by their format's words
HEADS = 2  # codes that are the leading bits of float32's

# What they answer
UNFIT = 0  # the FPU's settings are no standard ones: nothing is done
DONE = 1
LOST = 2  # a product was below the float's normal numbers: the results do not count

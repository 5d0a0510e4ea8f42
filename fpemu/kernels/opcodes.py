"""Numbers of operations, orders, flags and results of loops, shared by the kernels and their callers."""

# Operations
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

# Orders of two operands
COMPARE = 0
TOTAL_ORDER = 1
TOTAL_ORDER_MAGNITUDE = 2

# Results of an order; SIGNALS is added if an operand is a signalling NaN
LESS = 0
EQUAL = 1
GREATER = 2
UNORDERED = 3
SIGNALS = 4

# Flags, numbered as in Berkeley TestFloat (IEEE 754-2019 clause 7)
INEXACT_FLAG = 1
UNDERFLOW_FLAG = 2
OVERFLOW_FLAG = 4
DIVIDE_BY_ZERO_FLAG = 8
INVALID_FLAG = 16

# Operands of the FPU's loops
REALS = 0  # float32 numbers
WIDENED = 1  # codes, widened to float32 by their format's constants
HEADS = 2  # codes that are the leading bits of float32 codes

# Results of the FPU's loops
UNFIT = 0  # the FPU is not in its default modes: nothing was computed
DONE = 1
UNDERFLOWED = 2  # a product was below the float's normal range: the results are invalid

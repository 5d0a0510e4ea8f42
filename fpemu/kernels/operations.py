"""The operations and their flags by number: names that the kernels and what calls them share."""

# The operations
ADD = 0
SUBTRACT = 1
MULTIPLY = 2
DIVIDE = 3
FMA = 4
SQRT = 5

# The flags that operations raise, as Berkeley TestFloat numbers them (IEEE 754-2019 clause 7).
INEXACT_FLAG = 1
UNDERFLOW_FLAG = 2
OVERFLOW_FLAG = 4
DIVIDE_BY_ZERO_FLAG = 8
INVALID_FLAG = 16

# What exact values are; the first three as `fpemu.kernels.convert.decode` has them.
NUMBER = 0
INFINITE = 1
NOT_A_NUMBER = 2
ZERO = 3

# The columns of tables of operands and of exact values, 64-bit words; the first has the kind and more bits.
WHAT = 0
EXPONENT = 1  # of an operand's last bit, of a value's first one
HIGH = 2
LOW = 3
KINDS = 3
NEGATIVE = 4
MORE = 8  # a value: digits follow; an operand: it is a signalling NaN
FLAGS = 4  # from this bit on, the flags

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

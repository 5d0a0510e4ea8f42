"""Tables of operands and of exact values: their columns and what stands there, for kernels and what calls them."""

# What exact values are; the first three as `fpemu.kernels.scalar.convert.decode` has them.
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

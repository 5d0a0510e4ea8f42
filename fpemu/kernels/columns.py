"""Layout of the tables of operands and exact values that pass between Python and the kernels."""

# Kinds of values; the first three are the categories of `fpemu.kernels.scalar.convert.decode`.
NUMBER = 0
INFINITE = 1
NOT_A_NUMBER = 2
ZERO = 3

# Columns, 64-bit words each; the first holds the kind and the bits below.
STATUS = 0
EXPONENT = 1  # of an operand's last bit, of a value's first bit
HIGH = 2
LOW = 3
KINDS = 3
MINUS_SIGN = 4
MORE = 8  # a value has more digits; an operand is a signalling NaN
FLAGS = 4  # the flags start at this bit

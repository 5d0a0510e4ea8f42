"""Operations and orders over arrays, element by element: the general loops, for every format and rule."""

import functools

from numpy import uint64

from fpemu.kernels.jit import core, loop
from fpemu.kernels.opcodes import (
    ABSOLUTE,
    ADD,
    COMPARE,
    CONVERT,
    DIVIDE,
    FMA,
    FMOD,
    IEEE_REMAINDER,
    LOGB,
    MAXIMUM,
    MAXIMUM_NUMBER,
    MINIMUM,
    MINIMUM_NUMBER,
    MULTIPLY,
    NEGATIVE,
    ROUND_TO_INTEGRAL,
    SCALEB,
    SIGNALS,
    SQRT,
    SUBTRACT,
    TOTAL_ORDER,
)
from fpemu.kernels.scalar.arithmetic import absolute, add, copysign, divide, fma, multiply, negated, remainder, sqrt
from fpemu.kernels.scalar.bits import U0
from fpemu.kernels.scalar.comparison import compare, extremum, total_order
from fpemu.kernels.scalar.integral import convert_number, logb, round_to_integral, scaleb
from fpemu.kernels.scalar.random_bits import random_word
from fpemu.kernels.scalar.results import unpack_operand
from fpemu.kernels.spec import INTEGRAL_BITS, INTEGRAL_ROUNDING, RANDOM_BITS, ROUNDING, STOCHASTIC_A


@functools.cache
def operation_loop(operation):
    """The loop of one operation over arrays of one length; unused operands are not read."""

    @loop
    def operate_array(x, y, z, x_spec, y_spec, z_spec, target, rules, randoms, key, first, out, flags):
        """`flags`: an array, empty if no flags are wanted; the rest as in `convert_array`."""
        stochastic = rules[ROUNDING] >= STOCHASTIC_A or rules[INTEGRAL_ROUNDING] >= STOCHASTIC_A
        drawn = uint64(32 - max(rules[RANDOM_BITS], rules[INTEGRAL_BITS]))
        random = U0
        for i in range(x.size):
            if stochastic:
                random = uint64(randoms[i]) if randoms.size else uint64(random_word(key, first + uint64(i))) >> drawn
            if operation in (ADD, SUBTRACT):
                code, raised = add(x[i], y[i], operation == SUBTRACT, x_spec, y_spec, target, rules, random)
            elif operation == MULTIPLY:
                code, raised = multiply(x[i], y[i], x_spec, y_spec, target, rules, random)
            elif operation == DIVIDE:
                code, raised = divide(x[i], y[i], x_spec, y_spec, target, rules, random)
            elif operation == FMA:
                code, raised = fma(x[i], y[i], z[i], x_spec, y_spec, z_spec, target, rules, random)
            elif operation == SQRT:
                code, raised = sqrt(x[i], x_spec, target, rules, random)
            elif operation in (FMOD, IEEE_REMAINDER):
                nearest = operation == IEEE_REMAINDER
                code, raised = remainder(x[i], y[i], nearest, x_spec, y_spec, target, rules, random)
            elif operation == ROUND_TO_INTEGRAL:
                code, raised = round_to_integral(x[i], x_spec, target, rules, random)
            elif operation == SCALEB:
                code, raised = scaleb(x[i], y[i], x_spec, y_spec, target, rules, random)
            elif operation == LOGB:
                code, raised = logb(x[i], x_spec, target, rules, random)
            elif operation == CONVERT:
                code, raised = convert_number(x[i], x_spec, target, rules, random)
            elif operation in (MINIMUM, MAXIMUM, MINIMUM_NUMBER, MAXIMUM_NUMBER):
                larger = operation in (MAXIMUM, MAXIMUM_NUMBER)
                numbers = operation in (MINIMUM_NUMBER, MAXIMUM_NUMBER)
                code, raised = extremum(x[i], y[i], larger, numbers, x_spec, y_spec, target, rules, random)
            elif operation == ABSOLUTE:
                code, raised = absolute(x[i], x_spec, target, rules, random)
            elif operation == NEGATIVE:
                code, raised = negated(x[i], x_spec, target, rules, random)
            else:
                code, raised = copysign(x[i], y[i], x_spec, y_spec, target, rules, random)
            out[i] = code
            if flags.size:
                flags[i] = raised

    return operate_array


@functools.cache
def order_loop(which):
    """The loop of one order of two operands (COMPARE, TOTAL_ORDER, TOTAL_ORDER_MAGNITUDE), over arrays of one length.

    `rules`: which subnormals are zero.  `out`: LESS to UNORDERED, plus SIGNALS if an operand is a signalling NaN.
    """

    @loop
    def order_array(x, y, x_spec, y_spec, rules, out):
        for i in range(x.size):
            x_operand, y_operand = unpack_operand(x[i], x_spec, rules), unpack_operand(y[i], y_spec, rules)
            if which == COMPARE:
                order = compare(x_operand, y_operand)
            elif which == TOTAL_ORDER:
                order = total_order(x_operand, y_operand)
            else:
                order = total_order(unsigned(x_operand), unsigned(y_operand))
            out[i] = order + (SIGNALS if x_operand[4] or y_operand[4] else 0)

    return order_array


@core
def unsigned(x_operand):
    """An operand without its sign."""
    kind, _, x, exponent, signals = x_operand
    return kind, False, x, exponent, signals

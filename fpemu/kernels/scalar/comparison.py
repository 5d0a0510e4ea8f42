"""Exact comparison of two numbers of any formats; the total order; minimum and maximum."""

from numpy import uint64

from fpemu.kernels.jit import core
from fpemu.kernels.opcodes import EQUAL, GREATER, INVALID_FLAG, LESS, UNORDERED
from fpemu.kernels.scalar.bits import U0
from fpemu.kernels.scalar.convert import INFINITE, NOT_A_NUMBER
from fpemu.kernels.scalar.results import propagate_nan, round_operand, unpack_operand
from fpemu.kernels.spec import EXTREMUM, EXTREMUM_2008, EXTREMUM_X86, SIGN_ONLY


@core
def compare_magnitudes(x_operand, y_operand):
    """Compare the magnitudes of two numbers: LESS, EQUAL or GREATER."""
    x_kind, _, x, x_exponent, _ = x_operand
    y_kind, _, y, y_exponent, _ = y_operand
    if x_kind == INFINITE or y_kind == INFINITE:
        if x_kind == y_kind:
            return EQUAL
        return GREATER if x_kind == INFINITE else LESS
    if x == U0 or y == U0:
        return GREATER if x != U0 else LESS if y != U0 else EQUAL
    if x_exponent != y_exponent:  # both top bits are set
        return GREATER if x_exponent > y_exponent else LESS
    return GREATER if x > y else LESS if x < y else EQUAL


@core
def reverse(order):
    """The order with the operands exchanged."""
    return GREATER if order == LESS else LESS if order == GREATER else order


@core
def compare(x_operand, y_operand):
    """LESS, EQUAL, GREATER or UNORDERED.  IEEE 754-2019 clause 5.11."""
    x_kind, x_negative, x, _, _ = x_operand
    y_kind, y_negative, y, _, _ = y_operand
    if x_kind == NOT_A_NUMBER or y_kind == NOT_A_NUMBER:
        return UNORDERED
    if x_negative == y_negative:
        order = compare_magnitudes(x_operand, y_operand)
        return reverse(order) if x_negative else order
    if x_kind != INFINITE and y_kind != INFINITE and x == U0 and y == U0:
        return EQUAL
    return LESS if x_negative else GREATER


@core
def total_order(x_operand, y_operand):
    """LESS, EQUAL or GREATER: -0 below +0, and NaNs at both ends, by sign and payload.  IEEE 754-2019 clause 5.10."""
    x_kind, x_negative, x, _, _ = x_operand
    y_kind, y_negative, y, _, _ = y_operand
    if x_negative != y_negative:
        return LESS if x_negative else GREATER
    if x_kind == NOT_A_NUMBER or y_kind == NOT_A_NUMBER:
        if x_kind != y_kind:
            order = GREATER if x_kind == NOT_A_NUMBER else LESS
        else:  # the top bit of a payload puts quiet NaNs above signalling ones
            order = GREATER if x > y else LESS if x < y else EQUAL
    else:
        order = compare_magnitudes(x_operand, y_operand)
    return reverse(order) if x_negative else order


@core
def second_unless(wanted, x_operand, y_operand, y_code, target, rules, random):
    """The first operand if its order to the second is the wanted one, else the second: (code, flags).

    MINPS and MAXPS of x86 (Intel SDM, volume 2): two zeros or a NaN operand give the second, a NaN unchanged; any NaN
    is invalid.
    """
    order = compare(x_operand, y_operand)
    if order == UNORDERED:
        if y_operand[0] == NOT_A_NUMBER and rules[SIGN_ONLY]:
            return uint64(y_code), INVALID_FLAG
        code, flags = round_operand(y_operand, target, rules, random)
        return code, flags | INVALID_FLAG
    return round_operand(x_operand if order == wanted else y_operand, target, rules, random)


@core
def extremum(x_code, y_code, larger, numbers, x_spec, y_spec, target, rules, random):
    """The smaller or larger of two numbers: (code, flags); -0 is below +0.  IEEE 754-2019 clause 9.6.

    `numbers`: a number and a NaN give the number; else they give NaN.
    """
    x_operand, y_operand = unpack_operand(x_code, x_spec, rules), unpack_operand(y_code, y_spec, rules)
    x_nan, y_nan = x_operand[0] == NOT_A_NUMBER, y_operand[0] == NOT_A_NUMBER
    if rules[EXTREMUM] == EXTREMUM_X86:
        return second_unless(GREATER if larger else LESS, x_operand, y_operand, y_code, target, rules, random)
    if rules[EXTREMUM] == EXTREMUM_2008:
        numbers = not (x_operand[4] or y_operand[4])
    if (x_nan or y_nan) and (not numbers or x_nan == y_nan):
        return propagate_nan(x_operand, y_operand, target, rules)
    if x_nan or y_nan:
        code, flags = round_operand(y_operand if x_nan else x_operand, target, rules, random)
        return code, flags | (INVALID_FLAG if x_operand[4] or y_operand[4] else 0)
    order = total_order(x_operand, y_operand)
    selected = y_operand if (order == LESS) == larger else x_operand
    return round_operand(selected, target, rules, random)

"""Operations: one exact result, rounded once, with flags."""

from fpemu.arithmetic.accumulation import MATRICES
from fpemu.arithmetic.axes import Axis, axes_of, one_axis, switch
from fpemu.arithmetic.basic import (
    absolute,
    add,
    copysign,
    divide,
    fma,
    fmod,
    ieee_remainder,
    multiply,
    negative,
    sqrt,
    subtract,
)
from fpemu.arithmetic.comparison import (
    equal,
    greater,
    greater_equal,
    less,
    less_equal,
    maximum,
    maximum_number,
    minimum,
    minimum_number,
    not_equal,
    total_order,
    total_order_magnitude,
    unordered,
)
from fpemu.arithmetic.conversion import convert, left_shift, logb, right_shift, round_literal, round_to_integral, scaleb
from fpemu.arithmetic.neighbours import element_value_text, exact_codes, next_down, next_up, spacing
from fpemu.arithmetic.predicates import (
    classify,
    is_canonical,
    is_finite,
    is_infinite,
    is_nan,
    is_normal,
    is_sign_minus,
    is_signaling,
    is_subnormal,
    is_zero,
)
from fpemu.arithmetic.sums import cumsum, dot, mean, sum, vecdot

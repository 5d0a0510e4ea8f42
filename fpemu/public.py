"""The public names, all at once; `fpemu` takes them from here when the first of them is asked for."""

from fpemu.arithmetic import add, divide, fma, multiply, sqrt, subtract
from fpemu.array import Array, array, asarray
from fpemu.casting import cast, decode, encode, get_num_threads, set_num_threads
from fpemu.classes import NumberClass, classify
from fpemu.comparison import compare
from fpemu.comparisons import (
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
from fpemu.elementary import cos, erf, exp, exp2, log, log2, pow, reciprocal, rsqrt, sigmoid, sin, tanh  # noqa: A004
from fpemu.errstate import FlagError, FlagWarning, errstate
from fpemu.flags import Flags
from fpemu.formats import FloatFormat, Format, IntFormat, TableFormat, same_codes
from fpemu.info import describe, finfo, iinfo
from fpemu.integral import convert, left_shift, logb, right_shift, round_to_integral, scaleb
from fpemu.knobs import Rounding, Stochastic, rounding_mode
from fpemu.neighbours import next_down, next_up, spacing
from fpemu.packing import pack, unpack
from fpemu.predicates import (
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
from fpemu.profiles import Profile, profile, profile_names
from fpemu.reductions import cumsum, dot, mean, sum  # noqa: A004
from fpemu.registry import dtype, dtypes, register
from fpemu.remainders import fmod, ieee_remainder
from fpemu.report import report
from fpemu.saving import load, save
from fpemu.scaling import Quantized, ScaledFormat, ScaleProfile, ScaleRule, fake_quantize, quantize, scheme, schemes
from fpemu.signs import absolute, copysign, negative

__all__ = [
    "Array",
    "FlagError",
    "FlagWarning",
    "Flags",
    "FloatFormat",
    "Format",
    "IntFormat",
    "NumberClass",
    "Profile",
    "Quantized",
    "Rounding",
    "ScaleProfile",
    "ScaleRule",
    "ScaledFormat",
    "Stochastic",
    "TableFormat",
    "absolute",
    "add",
    "array",
    "asarray",
    "cast",
    "classify",
    "compare",
    "convert",
    "copysign",
    "cos",
    "cumsum",
    "decode",
    "describe",
    "divide",
    "dot",
    "dtype",
    "dtypes",
    "encode",
    "equal",
    "erf",
    "errstate",
    "exp",
    "exp2",
    "fake_quantize",
    "finfo",
    "fma",
    "fmod",
    "get_num_threads",
    "greater",
    "greater_equal",
    "ieee_remainder",
    "iinfo",
    "is_canonical",
    "is_finite",
    "is_infinite",
    "is_nan",
    "is_normal",
    "is_sign_minus",
    "is_signaling",
    "is_subnormal",
    "is_zero",
    "left_shift",
    "less",
    "less_equal",
    "load",
    "log",
    "log2",
    "logb",
    "maximum",
    "maximum_number",
    "mean",
    "minimum",
    "minimum_number",
    "multiply",
    "negative",
    "next_down",
    "next_up",
    "not_equal",
    "pack",
    "pow",
    "profile",
    "profile_names",
    "quantize",
    "reciprocal",
    "register",
    "report",
    "right_shift",
    "round_to_integral",
    "rounding_mode",
    "rsqrt",
    "same_codes",
    "save",
    "scaleb",
    "scheme",
    "schemes",
    "set_num_threads",
    "sigmoid",
    "sin",
    "spacing",
    "sqrt",
    "subtract",
    "sum",
    "tanh",
    "total_order",
    "total_order_magnitude",
    "unordered",
    "unpack",
]

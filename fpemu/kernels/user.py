"""The scalar cores with few arguments, for loops that users compile; see `fpemu.cores`.

`spec` is a format's, `rules` what `fpemu.cores.rules` makes: the kernels' rules, and after them operations' knobs.
Codes may be of any unsigned type, results are uint64.
"""

import numba
from numpy import float64, int64, uint64

from fpemu.kernels import arithmetic, convert
from fpemu.kernels.bits import bits_of, float_of, leading_zeros
from fpemu.kernels.jit import core, loop
from fpemu.kernels.spec import WRAP

KNOBS = WRAP + 1  # from this place in `rules` on stand what operations have and casts have not

FLOAT64 = (0, 64, 53, -1074, 1, 1, 1, 0x7FEFFFFFFFFFFFFF, 0x7FEFFFFFFFFFFFFF, 1, 1)  # its spec
# Its rules: nearest even, overflow to infinity, one quiet NaN of either sign.
_MINUS = -(1 << 63)
TO_FLOAT64 = (
    *(0, 0, 0x7FF0000000000000, 0x7FF0000000000000 + _MINUS, 0x7FF0000000000000, 0x7FF0000000000000 + _MINUS),
    *(0x7FF8000000000000, 0x7FF8000000000000 + _MINUS, 0, 0, _MINUS, 0, _MINUS, 0, 0, 0, 0),
)


@core
def decode(code, spec):
    """What a code means: (category, negative, significand, exponent); a finite value is significand 2^exponent.

    The category is FINITE, INFINITE or NOT_A_NUMBER.
    """
    return convert.decode(uint64(code), spec)


@core
def encode(negative, significand, exponent, spec, rules, random=0):
    """The code of (-1)^negative significand 2^exponent, rounded once; the significand is an integer below 2^64."""
    significand = uint64(significand)
    if significand == uint64(0):
        return convert.encode_zero(negative, rules)
    zeros = leading_zeros(significand)
    top = int64(exponent) + 63 - int64(zeros)
    return convert.encode(negative, top, significand << zeros, uint64(0), False, spec, rules, uint64(random))[0]


@core
def recode(code, source, target, rules, random=0):
    """A code of the format `source` as a code of the format `target`, rounded once: a cast."""
    return convert.convert(uint64(code), source, target, rules, uint64(random))


@core
def from_float(x, spec, rules, random=0):
    """The code of a float, rounded once."""
    return convert.convert(bits_of(float64(x)), FLOAT64, spec, rules, uint64(random))


@core
def to_float(code, spec):
    """A code's value as a float64: exact wherever float64 has it, else rounded to nearest even."""
    return float_of(convert.convert(uint64(code), spec, FLOAT64, TO_FLOAT64, uint64(0)))


@core
def round_float(x, spec, rules, random=0):
    """A float rounded to the format's values, as a float64."""
    return to_float(from_float(x, spec, rules, random), spec)


@core
def add_mixed(x, y, x_spec, y_spec, target, rules, random=0):
    """X + y of two formats in a third: (code, flags)."""
    return arithmetic.add(uint64(x), uint64(y), False, x_spec, y_spec, target, rules, rules[KNOBS:], uint64(random))


@core
def subtract_mixed(x, y, x_spec, y_spec, target, rules, random=0):
    """X - y of two formats in a third: (code, flags)."""
    return arithmetic.add(uint64(x), uint64(y), True, x_spec, y_spec, target, rules, rules[KNOBS:], uint64(random))


@core
def multiply_mixed(x, y, x_spec, y_spec, target, rules, random=0):
    """X y of two formats in a third: (code, flags)."""
    return arithmetic.multiply(uint64(x), uint64(y), x_spec, y_spec, target, rules, rules[KNOBS:], uint64(random))


@core
def divide_mixed(x, y, x_spec, y_spec, target, rules, random=0):
    """X / y of two formats in a third: (code, flags)."""
    return arithmetic.divide(uint64(x), uint64(y), x_spec, y_spec, target, rules, rules[KNOBS:], uint64(random))


@core
def fma_mixed(x, y, z, x_spec, y_spec, z_spec, target, rules, random=0):
    """X y + z of three formats in a fourth, rounded once: (code, flags)."""
    return arithmetic.fma(
        uint64(x), uint64(y), uint64(z), x_spec, y_spec, z_spec, target, rules, rules[KNOBS:], uint64(random)
    )


@core
def sqrt_mixed(x, x_spec, target, rules, random=0):
    """The root of x in another format: (code, flags)."""
    return arithmetic.sqrt(uint64(x), x_spec, target, rules, rules[KNOBS:], uint64(random))


@core
def add(x, y, spec, rules, random=0):
    """X + y in one format."""
    return add_mixed(x, y, spec, spec, spec, rules, random)[0]


@core
def subtract(x, y, spec, rules, random=0):
    """X - y in one format."""
    return subtract_mixed(x, y, spec, spec, spec, rules, random)[0]


@core
def multiply(x, y, spec, rules, random=0):
    """X y in one format."""
    return multiply_mixed(x, y, spec, spec, spec, rules, random)[0]


@core
def divide(x, y, spec, rules, random=0):
    """X / y in one format."""
    return divide_mixed(x, y, spec, spec, spec, rules, random)[0]


@core
def fma(x, y, z, spec, rules, random=0):
    """X y + z in one format, rounded once."""
    return fma_mixed(x, y, z, spec, spec, spec, spec, rules, random)[0]


@core
def sqrt(x, spec, rules, random=0):
    """The root of x in one format."""
    return sqrt_mixed(x, spec, spec, rules, random)[0]


def njit(function):
    """Compile a function that uses these cores, cached on disk under the name of the kernels' digest.

    numba's own `cache=True` looks at the function's file alone, and after an upgrade would go on giving the old bits.
    What has no file (an interactive session) is compiled, and not kept.
    """
    try:
        return loop(function)
    except RuntimeError:
        return numba.njit(nogil=True)(function)

"""Operations on the sign of a number; in its own format nothing else changes (IEEE 754-2019 clause 5.5.1)."""

from numpy import uint64

from fpemu.kernels.jit import core
from fpemu.kernels.opcodes import SIGN_ONLY
from fpemu.kernels.scalar.convert import decode
from fpemu.kernels.scalar.results import U0, converted, operand
from fpemu.kernels.spec import BITS, NAN, NAN_NEGATIVE_ZERO

ONE = uint64(1)


@core
def with_sign(code, negative, spec, target, rules, knobs, random):
    """A number with this sign: (code, flags); with `SIGN_ONLY`, in a format that has a sign bit, by that bit alone."""
    if knobs[SIGN_ONLY]:
        sign = ONE << uint64(spec[BITS] - 1)
        magnitude = code & ~sign
        if spec[NAN] == NAN_NEGATIVE_ZERO and magnitude == U0:  # a zero or a NaN, which have no sign
            return code, 0
        return magnitude | sign if negative else magnitude, 0
    kind, _, x, exponent, signals = operand(code, spec, rules)
    return converted((kind, negative, x, exponent, signals), target, rules, knobs, random)


@core
def is_negative(code, spec):
    """Whether a code has a sign that is minus; NaN has one, too."""
    _, negative, _, _ = decode(uint64(code), spec)
    return negative


@core
def absolute(x_code, x_spec, target, rules, knobs, random):
    """X without its sign: (code, flags)."""
    return with_sign(uint64(x_code), False, x_spec, target, rules, knobs, random)


@core
def negated(x_code, x_spec, target, rules, knobs, random):
    """-x: (code, flags)."""
    return with_sign(uint64(x_code), not is_negative(x_code, x_spec), x_spec, target, rules, knobs, random)


@core
def copysign(x_code, y_code, x_spec, y_spec, target, rules, knobs, random):
    """X with y's sign: (code, flags)."""
    return with_sign(uint64(x_code), is_negative(y_code, y_spec), x_spec, target, rules, knobs, random)

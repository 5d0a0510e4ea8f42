"""Bit-level intrinsics that numba lacks, for 32 and 64 bits."""

import platform

from llvmlite import binding, ir
from numba import config, types
from numba.extending import intrinsic
from numpy import int64, uint64

from fpemu.kernels.jit import core

U0 = uint64(0)
U1 = uint64(1)

_UINT_TYPES = {32: types.uint32, 64: types.uint64}
_FLOAT_TYPES = {32: types.float32, 64: types.float64}
_LLVM_FLOAT_TYPES = {32: ir.FloatType(), 64: ir.DoubleType()}


@intrinsic
def like(typing_context, reference, value):
    """`value` converted to reference's integer type; narrows uint32 arithmetic, which numba widens to 64 bits."""

    def generate(context, builder, signature, arguments):
        return context.cast(builder, arguments[1], signature.args[1], signature.return_type)

    return reference(reference, value), generate


@intrinsic
def bits_of(typing_context, value):
    """The bits of a float32 or float64, as an unsigned integer of its width."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.IntType(value.bitwidth))

    return _UINT_TYPES[value.bitwidth](value), generate


@intrinsic
def float_of(typing_context, bits):
    """The float32 or float64 with these bits."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], _LLVM_FLOAT_TYPES[bits.bitwidth])

    return _FLOAT_TYPES[bits.bitwidth](bits), generate


@intrinsic
def shifted_left(typing_context, value, count):
    """Shift left: value << count in value's own width; both of one unsigned type, count below the width.

    numba's own shift uses 64 bits, which LLVM cannot narrow if the count is unknown.
    """

    def generate(context, builder, signature, arguments):
        return builder.shl(*arguments)

    return value(value, value), generate


@intrinsic
def shifted_right(typing_context, value, count):
    """Shift right: value >> count in value's own width; both of one unsigned type, count below the width."""

    def generate(context, builder, signature, arguments):
        return builder.lshr(*arguments)

    return value(value, value), generate


@intrinsic
def leading_zeros(typing_context, value):
    """Number of leading zero bits of an unsigned integer (its width for 0)."""

    def generate(context, builder, signature, arguments):
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return value(value), generate


@intrinsic
def fdiv(typing_context, x, y):
    """X / y in y's type as the FPU divides, also for y = 0, where Python raises."""

    def generate(context, builder, signature, arguments):
        return builder.fdiv(context.cast(builder, arguments[0], signature.args[0], y), arguments[1])

    return y(x, y), generate


@intrinsic
def half_of(typing_context, value):
    """The float16 code of a float32, by the CPU's conversion; requires `converts_halves()`."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(builder.fptrunc(arguments[0], ir.HalfType()), ir.IntType(16))

    return types.uint16(value), generate


def converts_halves():
    """Whether compiled code converts float32 to float16 in one instruction, under the FPU's rounding mode.

    On other CPUs LLVM calls a library function that numba may not find.
    """
    if platform.machine().lower() in ("aarch64", "arm64"):
        return True
    host = config.CPU_NAME in (None, "host") and not config.CPU_FEATURES and config.ENABLE_AVX
    return bool(host and binding.get_host_cpu_features().get("f16c"))


@core
def bit_length(value):
    """Number of bits of a uint64 below and including its highest set bit (0 for 0)."""
    return int64(64) - int64(leading_zeros(value))

"""Tests of the FPU's modes: the fast loops rely on the default ones."""

from fpemu.kernels.jit import core, loop


@core
def float_environment_is_standard(probe):
    """Whether the FPU rounds to nearest even and keeps subnormals.

    Other libraries can leave other modes set (a shared object built with -ffast-math flushes subnormals to zero).
    `probe` is 1, 2^-24, 1 + 2^-23, 1 + 2^-22, the smallest normal, 0.5 and 2, so that the compiler computes nothing.
    """
    one, tiny, odd, even, normal, half, two = probe[0], probe[1], probe[2], probe[3], probe[4], probe[5], probe[6]
    nearest = one + tiny == one and odd + tiny == even
    return nearest and (normal * half) * two == normal


@loop
def fpu_is_standard(probe):
    """Whether the FPU is in IEEE 754's default modes; `probe`: see `float_environment_is_standard`."""
    return float_environment_is_standard(probe)

"""Numbers times their block's factor, plus its zero point: by one rounding or by two."""

from numba.extending import intrinsic

from fpemu.kernels.jit import loop


@intrinsic
def multiply_add(typing_context, x, y, z):
    """X * y + z, all of one type, rounded once, as the FPU or the C library has it."""

    def generate(context, builder, signature, arguments):
        return builder.fma(*arguments)

    return x(x, x, x), generate


@loop
def moved(x, factors, zeros, block, fused, out):
    """Numbers times factors, plus zeros, all of one type; `fused`: rounded once."""
    for row in range(x.shape[0]):
        for k in range(factors.shape[1]):
            numbers, to = x[row, k * block : (k + 1) * block], out[row, k * block :]
            factor, zero = factors[row, k], zeros[row, k]
            if fused:
                for i in range(numbers.size):
                    to[i] = multiply_add(numbers[i], factor, zero)
            else:
                for i in range(numbers.size):
                    to[i] = numbers[i] * factor + zero

"""Codes of narrow formats to numbers times their block's factor; rows, blocks and factors are those of `scaling`."""

from llvmlite import binding, ir
from numba import types
from numba.extending import intrinsic
from numpy import uint32

from fpemu.kernels.cpu.fast_casts import widened
from fpemu.kernels.jit import loop
from fpemu.kernels.scalar.bits import float_of, like

CHUNK = 1024  # numbers that are looked up before they are multiplied: they stay in the first cache
PERMUTES = bool(binding.get_host_cpu_features().get("avx2"))  # whether `eight_of_sixteen` is a few instructions


@intrinsic
def eight_of_sixteen(typing_context, table, codes, place, out):
    """out[place : place + 8] = table[codes[place : place + 8]], of float32, the table and the codes below 16.

    The pattern of extracts and inserts is what LLVM makes permutations of registers from, where the CPU has them.
    """

    def generate(context, builder, signature, arguments):
        integer, single = ir.IntType(32), ir.FloatType()

        def eight(array, element, start):
            data = context.make_array(signature.args[array])(context, builder, arguments[array]).data
            return builder.bitcast(builder.gep(data, [start]), ir.VectorType(element, 8).as_pointer())

        def permuted(half):
            found = ir.Constant(half.type, ir.Undefined)
            for lane in range(8):
                number = ir.Constant(integer, lane)
                element = builder.extract_element(half, builder.extract_element(within, number))
                found = builder.insert_element(found, element, number)
            return found

        lower, upper = (builder.load(eight(0, single, ir.Constant(integer, half)), align=4) for half in (0, 8))
        words = ir.VectorType(integer, 8)
        found = builder.zext(builder.load(eight(1, ir.IntType(8), arguments[2]), align=1), words)
        seven = ir.Constant(words, [7] * 8)
        within = builder.and_(found, seven)
        result = builder.select(builder.icmp_unsigned(">", found, seven), permuted(upper), permuted(lower))
        builder.store(result, eight(3, single, arguments[2]), align=4)
        return context.get_dummy_value()

    return types.none(table, codes, place, out), generate


@loop
def looked_up(codes, table, permutes, factors, block, last, out):
    """The numbers of 16 codes, a float32 table, times factors and `last`, in the factors' type; `out`: of float32."""
    step = max(CHUNK // block, 1)
    for row in range(codes.shape[0]):
        for start in range(0, factors.shape[1], step):
            few = codes[row, start * block : (start + step) * block]
            numbers = out[row, start * block :]
            whole = few.size - few.size % 8 if permutes else 0
            for i in range(0, whole, 8):
                eight_of_sixteen(table, few, i, numbers)
            for i in range(whole, few.size):
                numbers[i] = table[few[i]]
            for k in range(start, min(start + step, factors.shape[1])):
                own, factor = out[row, k * block : (k + 1) * block], factors[row, k]
                for i in range(own.size):
                    own[i] = like(factor, own[i]) * factor * last


@loop
def widened_times(codes, words, factors, block, last, out):
    """The numbers of codes, `words` being what `widened` takes, times factors and `last`, in the factors' type."""
    mask, special, shift, sign_shift = words[0], words[1], words[2], words[3]
    rebias, respecial, normal, smallest = words[4], words[5], words[6], words[7]
    for row in range(codes.shape[0]):
        for k in range(factors.shape[1]):
            few, to = codes[row, k * block : (k + 1) * block], out[row, k * block :]
            factor = factors[row, k]
            for i in range(few.size):
                code = uint32(few[i])
                bits = widened(code, mask, special, shift, sign_shift, rebias, respecial, normal, smallest)
                to[i] = like(factor, float_of(bits)) * factor * last

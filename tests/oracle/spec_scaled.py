"""The executable specification of quantizing with scales: plain integers, no code shared with fpemu, slow.

Where a definition says "in float32", its roundings stand here one by one (`tests.oracle.spec_roundings`).  What a
library does differently from a definition is said in the functions that follow it, and by name in
`tests/oracle/test_spec_scaled.py`.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import math
from fractions import Fraction
from typing import NamedTuple

from tests.oracle.spec_roundings import (
    BFLOAT16,
    E2M1,
    E4M3,
    ELEMENTS,
    FLOAT16,
    FLOAT32,
    FLOAT64,
    INF,
    NAN,
    TYPES,
    clamped,
    exponent_of,
    nearest_integer,
)

__all__ = ["BFLOAT16", "E2M1", "E4M3", "ELEMENTS", "FLOAT16", "FLOAT32", "FLOAT64", "INF", "NAN", "TYPES"]

# -- MX ---------------------------------------------------------------------------------------------------------------


def shared_exponent(amax: Fraction, rule: str, emax: int, trailing_bits: int, max_element: Fraction) -> int:
    """The exponent of an MX block's scale before it is held to [-127, 127], from its largest magnitude, not zero.

    "floor" is OCP MX 1.0's, section 6.3; "ceil" and "even" are torchao's, "even" rounding amax half away to as many
    digits as the element has before it takes the exponent; "rceil" is CUDA's (cuBLAS, "1D block scaling"), with
    amax / max_element rounded to float32 first.
    """
    if rule == "rceil":
        scale = FLOAT32.of(*(amax / max_element).as_integer_ratio(), 1)
        if math.isinf(scale):
            return 128
        amax, emax, rule = Fraction(scale), 0, "ceil"
        if amax == 0:
            return -150
    exponent = exponent_of(amax)
    significand = amax / Fraction(2) ** exponent
    if rule == "ceil":
        return exponent - emax + (significand > 1)
    if rule == "even":
        return exponent - emax + (significand >= 2 - Fraction(1, 1 << (trailing_bits + 1)))
    return exponent - emax


def mx_scale(block, element, rule):
    """The E8M0 code of a block's scale: 255 with a NaN, 0 without anything but zeros.

    An infinity has exponent 128, as in float32's bits; under "rceil" it has the largest scale, 254.
    """
    amax = largest_of(block)
    if amax != amax:
        return 255
    if math.isinf(amax):
        return 254 if rule == "rceil" else 128 - element.emax + 127
    if amax == 0:
        return 0
    e = shared_exponent(Fraction(amax), rule, element.emax, element.trailing, Fraction(element.largest))
    return min(max(e, -127), 127) + 127


def mx_quantize(block, element, rule):
    """Element codes and the scale's code; with a NaN in the block, no codes that mean anything (None)."""
    scale = mx_scale(block, element, rule)
    if scale == 255:
        return None, scale
    by = math.ldexp(1, scale - 127)
    return [element.code(x / by) for x in block], scale  # by powers of two: exact in float64


def torchao_mx(block, element, rule):
    """Torchao's `to_mx`: as above, but for two scales.  Elements are None where they come from NaN without a code.

    Scale code 0 divides by 2^-126 (float32's smallest normal number; "rceil": by 1), though it means 2^-127.  Scale
    code 255 divides by infinity, so numbers become zeros ("rceil": NaN).
    """
    scale = mx_scale(block, element, rule)
    by = math.ldexp(1, scale - 127) if scale < 255 else NAN if rule == "rceil" else INF
    if scale == 0:
        by = 1.0 if rule == "rceil" else 2.0**-126
    scaled = [NAN if by != by or (math.isinf(x) and math.isinf(by)) else x / by for x in block]
    return [None if x != x and element.nan is None else element.code(x) for x in scaled], scale


TORCHAO_NAN = {
    "float6_e2m3fn": 12,
    "float6_e3m2fn": 14,
    "float4_e2m1fn": 3,
}  # what its bits make of a plain NaN, without sign


def mx_dequantize(codes, scale, element):
    """Values in float32."""
    by = math.ldexp(1, scale - 127) if scale < 255 else NAN
    return [FLOAT32.multiply(element.value(code), by) for code in codes]


def largest_of(block):
    """The largest magnitude; NaN if there is one."""
    return NAN if any(x != x for x in block) else max(abs(x) for x in block)


# -- NVFP4 ------------------------------------------------------------------------------------------------------------


def torchao_nvfp4(block, whole=None):
    """Torchao 0.18 `nvfp4_quantize`: 16 numbers to E2M1 codes and an E4M3 scale code; `whole`: the tensor's scale.

    The block's scale is at least 2^-6, E4M3's smallest normal number.  Divisions are where they stand, in float32.
    """
    f = FLOAT32
    scale = f.divide(largest_of(block), 6.0)
    if whole is not None:
        scale = f.divide(scale, whole)
    code = E4M3.code(clamped(scale, 2.0**-6, 448.0))
    by = f.divide(1.0 if whole is None else f.divide(1.0, whole), E4M3.value(code))
    return [e2m1(clamped(f.multiply(x, by), -6.0, 6.0)) for x in block], code


def torchao_nvfp4_dequantize(codes, scale, whole=None):
    """Values in float32: the two scales are multiplied first."""
    f = FLOAT32
    by = E4M3.value(scale) if whole is None else f.multiply(whole, E4M3.value(scale))
    return [f.multiply(E2M1.value(code), by) for code in codes]


def torchao_nvfp4_whole(tensor):
    """`per_tensor_amax_to_scale`."""
    return FLOAT32.divide(largest_of(tensor), 2688.0)


def e2m1(x):
    """None for NaN, for which the format has no code."""
    return None if x != x else E2M1.code(x)


def te_global_scale(amax, e4m3_max=448):
    """Transformer Engine's encode scale of a tensor: at most float32's largest number, 1 if it were 0 or amax is."""
    scale = FLOAT32.divide(6.0 * e4m3_max, amax)
    if amax == 0 or scale == 0:
        return 1.0
    return min(scale, FLOAT32_MAX)


FLOAT32_MAX = math.ldexp((1 << 24) - 1, 104)
SIXTH = FLOAT32.divide(1.0, 6.0)


def te_nvfp4(block, global_amax, folded=True, amax=None):
    """Transformer Engine's NVFP4 (its reference quantizer): E2M1 codes and an E4M3 scale code.

    `folded`: 1/6 goes into the global scale before amax, as from 2026 on; before, amax / 6 came first.  `amax`: of the
    whole 16x16 tile that the block is a row of, for weights.
    """
    f = FLOAT32
    whole = te_global_scale(global_amax)
    amax = largest_of(block) if amax is None else amax
    scale = f.multiply(amax, f.multiply(whole, SIXTH)) if folded else f.multiply(f.divide(amax, 6.0), whole)
    return te_encode(block, E4M3.code(clamped(scale, -448.0, 448.0)), whole)


def te_encode(block, code, whole):
    """The elements under a scale's code: times the reciprocal of float32(scale) * (1 / global), held to +-6."""
    f = FLOAT32
    by = min(f.divide(1.0, f.multiply(E4M3.value(code), f.divide(1.0, whole))), FLOAT32_MAX)
    return [e2m1(clamped(f.multiply(x, by), -6.0, 6.0)) for x in block], code


def te_four_over_six(rows, global_amax, error="mae", e4m3_max=448):
    """Transformer Engine's "4over6" for the rows of a tile (one, or 16): codes of each row, a scale code for all.

    Both candidates start from amax / 6 * global; "map to 4" has 1.5 times that.  Errors add up in float32 in order
    along a row, then rows as a tree (8, 4, 2, 1); the smaller error wins, "map to 6" where they are equal.
    """
    f = FLOAT32
    whole = te_global_scale(global_amax, e4m3_max)
    base = f.multiply(f.divide(largest_of([x for row in rows for x in row]), 6.0), whole)
    found = []
    for scale in (base, f.multiply(base, 1.5)):
        code = E4M3.code(clamped(scale, -448.0, 448.0))
        coded = [te_encode(row, code, whole)[0] for row in rows]
        sums = []
        for row, codes in zip(rows, coded, strict=True):
            total = 0.0
            for x, element in zip(row, codes, strict=True):
                value = f.multiply(f.multiply(E2M1.value(element), E4M3.value(code)), global_amax)
                part = f.add(f.divide(value, 6.0 * e4m3_max), -x)
                total = f.add(total, f.multiply(part, part) if error == "mse" else abs(part))
            sums.append(total)
        while len(sums) > 1:
            half = len(sums) // 2
            sums = [f.add(a, b) for a, b in zip(sums[:half], sums[half:], strict=True)]
        found.append((coded, code, sums[0]))
    (six, four) = found
    return (four if four[2] < six[2] else six)[:2]


# -- scaled float8 ----------------------------------------------------------------------------------------------------


def torchao_float8(block, element, power_of_two=False):
    """Torchao's training float8: codes and the scale that multiplies, `amax_to_scale`.

    largest / max(amax, 1e-12) in float64, then to float32; as a power of two, rounded down.
    """
    amax = largest_of(block)
    scale = FLOAT32.round(FLOAT64.divide(element.largest, amax if amax != amax else max(amax, 1e-12)))
    if power_of_two and scale > 0:
        scale = math.ldexp(1, exponent_of(Fraction(scale)))
    return torchao_float8_codes(block, scale, element), scale


def torchao_float8_codes(block, scale, element):
    """X * scale in float32, held to the range, to nearest even."""
    return [element.code(clamped(FLOAT32.multiply(x, scale), -element.largest, element.largest)) for x in block]


def torchao_float8_choose(block, element):
    """Torchao's inference float8: amax / largest in float32, by which numbers are divided: zeros by zero are NaN."""
    f, top = FLOAT32, element.largest
    scale = f.divide(largest_of(block), top)
    return [element.code(clamped(f.divide(x, scale), -top, top)) for x in block], scale


# -- affine integers --------------------------------------------------------------------------------------------------


class Affine(NamedTuple):
    """Codes (integers), a scale, a zero point."""

    codes: list
    scale: float
    zero_point: float


def extremes(block):
    """Smallest and largest, with zero between them; NaN if there is one."""
    if any(x != x for x in block):
        return NAN, NAN
    return min(*block, 0.0), max(*block, 0.0)


def absmax_scale(block, largest=127):
    """The textbook's S = max|X| / largest, exact."""
    return Fraction(largest_of(block)) / largest


def zero_point_scale(block, low=-128, high=127):
    """The textbook's S = (max - min) / (high - low) and zero point low - round(min / S), exact; zero is in range.

    Of a block of zeros both are 0.
    """
    least, most = (Fraction(x) for x in extremes(block))
    scale = (most - least) / (high - low)
    return scale, low - round(least / scale) if scale else 0


def quantize_exact(x, scale, zero_point, low, high):
    """round(x / S) + Z to nearest even, held to the range, of exact numbers; every code is Z where S is 0."""
    return min(max((round(Fraction(x) / scale) if scale else 0) + zero_point, low), high)


def torch_observer(block, low, high, symmetric, middle=0, eps=2.0**-23):
    """Torch's MinMaxObserver: scale (float32) and zero point; `middle`: the symmetric zero point, 128 for quint8."""
    f = FLOAT32
    least, most = extremes(block)
    if symmetric:
        scale = f.divide(most if least != least else max(-least, most), (high - low) / 2)
        return scale if scale != scale else max(scale, eps), middle
    scale = f.divide(f.add(most, -least), float(high - low))
    if not math.isfinite(scale):
        return scale, None
    scale = max(scale, eps)
    return scale, min(max(low - nearest_integer(f.divide(least, scale)), low), high)


def torch_quantize_per_tensor(x, scale, zero_point, low, high):
    """FBGEMM's vector code: a fused x * (1 / s) + z, rounded to float32 and then to an integer; NaN: the largest."""
    by = FLOAT32.divide(1.0, scale)
    moved = FLOAT32.multiply_add(x, by, float(zero_point))
    return high if moved != moved else integer(moved, low, high)


def torch_quantize_per_channel(x, scale, zero_point, low, high):
    """FBGEMM's scalar code: x * (1 / s) in float32, + z in float32, then to an integer; NaN: 0."""
    moved = FLOAT32.add(FLOAT32.multiply(x, FLOAT32.divide(1.0, scale)), float(zero_point))
    return 0 if moved != moved else integer(moved, low, high)


def torch_fake_quantize(x, scale, zero_point, low, high, infinity_is_low):
    """X * (1 / s) in float32, to an integer, then + z; NaN: the smallest, and per channel infinities too."""
    by = FLOAT32.multiply(x, FLOAT32.divide(1.0, scale))
    if by != by or (infinity_is_low and abs(by) >= 2.0**63):
        return low
    if math.isinf(by):
        return high if by > 0 else low
    return min(max(nearest_integer(by) + zero_point, low), high)


def integer(x, low, high):
    """To nearest even, held to the range."""
    return (
        nearest_integer(clamped(x, low - 1.0, high + 1.0))
        if low <= clamped(x, low, high) == x
        else int(clamped(x, low, high))
    )


def torchao_affine(block, mapping, low, high, kind, domain, eps):
    """Torchao's choose_qparams_affine and quantize_affine; every operation in the rows' own type.

    `domain` "int"; "int_no_zero": zero need not be in range; "float" (tinygemm): the zero point is a number, that of
    the middle code.
    """
    f = TYPES[kind]
    least, most = extremes(block) if domain == "int" else bounds(block)
    if mapping == "symmetric":
        scale = f.divide(least if least != least else max(-least, most), (high - low) / 2)
    elif mapping == "asymmetric":
        scale = f.divide(f.add(most, -least), float(high - low))
    else:
        below, above = f.divide(least, float(low)), f.divide(most, float(high))
        scale = below if below > above else above
    scale = scale if scale != scale else max(scale, eps)
    middle = (high + low + 1) / 2
    if domain == "float":
        point = f.add(least, f.multiply(scale, middle))
        start = f.add(point, -f.multiply(scale, middle))
        return Affine([torchao_code(f.divide(f.add(x, -start), scale), low, high) for x in block], scale, point)
    point = float(int(middle))
    if mapping == "asymmetric":
        ratio = f.divide(least, scale)
        point = ratio if not math.isfinite(ratio) else f.add(float(low), -float(nearest_integer(ratio)))
        point = clamped(-point if math.isinf(point) else point, low, high)
        if point != point:
            point = float(-(1 << 31))  # NaN to int32
    by = f.divide(1.0, scale)
    codes = []
    for x in block:
        moved = f.multiply(x, by)
        whole = float(nearest_integer(moved)) if math.isfinite(moved) else moved
        codes.append(torchao_code(f.add(f.round(whole), f.round(point)), low, high))
    return Affine(codes, scale, point)


def torchao_code(x, low, high):
    """Rounded and held to the range; NaN becomes 0 on its way to an integer."""
    return 0 if x != x else integer(x, low, high)


def bounds(block):
    """Smallest and largest; NaN if there is one."""
    return (NAN, NAN) if any(x != x for x in block) else (min(block), max(block))


def onnx_quantize(x, scale, zero_point, low, high, kind):
    """QuantizeLinear as onnx's reference evaluator computes it: x / s in their type, to an integer, + z.

    Beyond int32, NaN and infinities too, become its smallest number, to which z is added modulo 2^32.
    """
    ratio = TYPES[kind].divide(x, scale)
    whole = -(1 << 31) if not abs(ratio) < 2.0**31 else nearest_integer(ratio)
    moved = (whole + zero_point + (1 << 31)) % (1 << 32) - (1 << 31)
    return min(max(moved, low), high)


def onnx_float(ratio, element, saturate, nan):
    """QuantizeLinear's code of x / s in a float format; `nan` is that of ml_dtypes, which the reference calls.

    Saturating, infinities become the largest number; else what rounds beyond it becomes infinity, or NaN.
    """
    sign = 1 << (element.bits - 1) if math.copysign(1, ratio) < 0 else 0
    if ratio != ratio:
        return sign | nan
    top = element.magnitude(element.largest)
    half = math.ldexp(1, element.emax - element.trailing - 1)
    beyond = abs(ratio) >= element.largest + half if top & 1 else abs(ratio) > element.largest + half
    return element.code(ratio) if saturate or not beyond else sign | (top + 1)


def onnxruntime_quantize(x, scale, zero_point, low, high):
    """QuantizeLinear as onnxruntime's CPU provider computes it: as the standard says; NaN as the smallest number."""
    ratio = FLOAT32.divide(x, scale)
    if ratio != ratio:
        return low
    return integer(ratio, low - zero_point, high - zero_point) + zero_point


# -- GGUF -------------------------------------------------------------------------------------------------------------


GGUF = {"Q4_0": (4, False), "Q5_0": (5, False), "Q4_1": (4, True), "Q5_1": (5, True)}


def signed_largest(block):
    """The number of the largest magnitude, the first of equals."""
    return next(x for x in block if abs(x) == largest_of(block))


def signed_scale(block, middle):
    """The exact scale, with a sign, under which the number of the largest magnitude is as much below 0 as can be."""
    return Fraction(signed_largest(block)) / -middle


def gguf_block(block, kind):
    """Codes, scale and smallest number (None without one) as the package gguf gives them; scales become float16 last.

    Q8_0: d = amax / 127, x * (1 / d) to nearest, ties away.  Qn_0: d = m / -2^(n-1) of the first number m of the
    largest magnitude; x * (1 / d) + 2^(n-1) + 0.5, cut and held to the range.  Qn_1: d = (max - min) / (2^n - 1);
    (x - min) * (1 / d) + 0.5.  No codes where d or 1 / d is infinite: they are C's conversion of what is no integer.
    """
    f = FLOAT32
    if kind == "Q8_0":
        d, least = f.divide(largest_of(block), 127.0), None
    else:
        bits, offset = GGUF[kind]
        if offset:
            least = min(block)
            d = f.divide(f.add(max(block), -least), float((1 << bits) - 1))
        else:
            least = None
            d = f.divide(signed_largest(block), -float(1 << (bits - 1)))
    by = f.divide(1.0, d) if d else 0.0
    if math.isinf(by) or math.isinf(d):
        codes = None
    elif kind == "Q8_0":
        codes = [away(f.multiply(x, by)) for x in block]
    else:
        start = 0.5 if offset else 0.5 + (1 << (bits - 1))
        moved = [f.add(f.multiply(f.add(x, -least) if offset else x, by), start) for x in block]
        codes = [min(int(x), (1 << bits) - 1) for x in moved]
    return codes, FLOAT16.round(d), None if least is None else FLOAT16.round(least)


def away(x):
    """To nearest, ties away from zero."""
    return int(math.copysign(math.floor(Fraction(abs(x)) + Fraction(1, 2)), x))


# -- codebooks --------------------------------------------------------------------------------------------------------

NF4 = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip
FP4 = tuple(
    FLOAT32.divide(sign * x, 12.0) + 0.0 for sign in (1, -1) for x in (0.0, 0.0625, 8.0, 12.0, 4.0, 6.0, 2.0, 3.0)
)  # both of its zeros are positive
ORDER = {"nf4": tuple(range(16)), "fp4": (11, 10, 13, 12, 15, 14, 9, 0, 8, 1, 6, 7, 4, 5, 2, 3)}
CODEBOOKS = {"nf4": NF4, "fp4": FP4}


@functools.cache
def thresholds(codebook):
    """The midpoints of neighbours, in float32; a number on one goes down."""
    values = [CODEBOOKS[codebook][code] for code in ORDER[codebook]]
    return [FLOAT32.divide(FLOAT32.add(a, b), 2.0) for a, b in itertools.pairwise(values)]


def bitsandbytes_4bit(block, codebook, whole=True):
    """Codes and absmax as bitsandbytes' CPU code gives them: x * (1 / max(absmax, 1e-38)); a ragged end divides.

    NaN goes to the largest value.
    """
    f = FLOAT32
    absmax = largest_of(block)
    least = f.round(1e-38)
    held = absmax if absmax != absmax else max(absmax, least)
    by = f.divide(1.0, held)
    codes = []
    for x in block:
        scaled = clamped(f.multiply(x, by) if whole else f.divide(x, held), -1.0, 1.0)
        at = 15 if scaled != scaled else bisect.bisect_left(thresholds(codebook), scaled)
        codes.append(ORDER[codebook][at])
    return codes, absmax if whole else held


def dynamic_map():
    """Bitsandbytes' signed 8-bit dynamic codebook: float32, ascending.

    For i from 0 to 6, 10^(i-6) times the midpoints of 2^i equal parts of [0.1, 1], with both signs; 0 and 1.
    """
    f, found = FLOAT32, [0.0, 1.0]
    start, end = f.round(0.1), 1.0
    for i in range(7):
        count = (1 << i) + 1
        step = f.divide(f.add(end, -start), float(count - 1))
        points = [
            f.multiply_add(step, float(j), start)
            if j < count // 2
            else f.multiply_add(-step, float(count - 1 - j), end)
            for j in range(count)
        ]
        power = f.round(10.0 ** (i - 6))
        for a, b in itertools.pairwise(points):
            middle = f.multiply(power, f.divide(f.add(a, b), 2.0))
            found += [middle, -middle]
    return sorted(found)


def bitsandbytes_8bit(block, codebook):
    """Codes and absmax of a block, as bitsandbytes' CPU code gives them: by a table of 65,536 places in [-1, 1].

    The place of v = x * (1 / absmax) is ((v + 1) * 0.5) * 65535 + 0.5, cut, in float32; its code is the entry nearest
    to place * 2 / 65535 - 1.  So the entries that lie closer to zero than half a step are never used, and numbers near
    a midpoint may go to the farther entry.
    """
    f, absmax = FLOAT32, largest_of(block)
    by = f.divide(1.0, absmax)
    middles = [(Fraction(a) + Fraction(b)) / 2 for a, b in itertools.pairwise(codebook)]
    codes = []
    for x in block:
        v = clamped(f.multiply(x, by), -1.0, 1.0)
        place = int(f.add(f.multiply(f.multiply(f.add(v, 1.0), 0.5), 65535.0), 0.5))
        codes.append(bisect.bisect_left(middles, Fraction(2 * place - 65535, 65535)))
    return codes, absmax

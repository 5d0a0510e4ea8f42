"""The executable specification's first half: what codes and numbers of arrays stand for, in exact integers.

Shares no code with fpemu: it reads the numbers and flags of formats and works out values and special codes itself.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# -- exact numbers ------------------------------------------------------------------------------------------------


class Number(NamedTuple):
    """What a code stands for: (-1)^negative significand 2^exponent, an infinity or a NaN."""

    kind: str  # "finite", "infinite", "nan"
    negative: bool
    significand: int = 0
    exponent: int = 0
    subnormal: int = 0  # the width of the format it comes from, where it is subnormal there
    payload: tuple[int, int] | None = None  # a NaN's trailing significand and the width of that field


def aligned(*numbers):
    """The integers that (significand, exponent) pairs are, counted in the smallest of their exponents."""
    lowest = min([exponent for _, exponent in numbers])
    return [significand << (exponent - lowest) for significand, exponent in numbers]


def order_key(significand, exponent):
    """An integer that orders as the value does: its exponent above its significand pushed up to 160 bits."""
    if significand == 0:
        return 0
    size = abs(significand).bit_length()
    top160 = abs(significand) << 160 >> size
    assert top160 << size == abs(significand) << 160, "a significand of more than 160 bits"
    key = (exponent + size + (1 << 40) << 160) + top160
    return key if significand > 0 else -key


# -- decode -------------------------------------------------------------------------------------------------------


def top(fmt):
    """The largest code without its sign bit, whatever it means."""
    return (1 << (fmt.bits - fmt.signed)) - 1


def magnitude_kind(magnitude, fmt):
    """What a float's code without its sign bit means: "finite", "infinite" or "nan"."""
    last = top(fmt)
    if fmt.nan == "ieee":
        field, trailing = divmod(magnitude, 1 << (fmt.precision - 1))
        all_ones = last >> (fmt.precision - 1)
        return "finite" if field < all_ones else "nan" if trailing else "infinite"
    if fmt.nan == "all_ones":
        if magnitude == last:
            return "nan"
        last -= 1
    return "infinite" if fmt.infinities and magnitude == last else "finite"


def magnitude_value(magnitude, fmt):
    """The (significand, exponent) of a float's code without its sign bit, as if every code were finite."""
    trailing_bits = fmt.precision - 1
    field, trailing = divmod(magnitude, 1 << trailing_bits)
    if magnitude == 0 and fmt.zero:
        return 0, 0
    if field == 0 and fmt.subnormals:
        return trailing, 1 - fmt.bias - trailing_bits
    return trailing + (1 << trailing_bits), field - fmt.bias - trailing_bits


def decode(code, fmt):
    """What a code of a format stands for."""
    if fmt.kind == "table":
        numerator, denominator = fmt.entries[code].as_integer_ratio()
        negative = np.signbit(fmt.entries[code])
        return Number("finite", bool(negative), abs(numerator), 1 - denominator.bit_length())
    if fmt.kind == "int":
        integer = code
        if fmt.signed and code >= 1 << (fmt.bits - 1):
            integer = (1 << (fmt.bits - 1)) - code if fmt.encoding == "sign_magnitude" else code - (1 << fmt.bits)
            return Number("finite", True, -integer, -fmt.fraction_bits)
        return Number("finite", False, integer, -fmt.fraction_bits)
    negative = fmt.signed and code > top(fmt)
    magnitude = code - (1 << (fmt.bits - 1)) if negative else code
    if fmt.nan == "negative_zero" and negative and magnitude == 0:
        return Number("nan", False)
    kind = magnitude_kind(magnitude, fmt)
    if kind == "nan":
        payload = (magnitude % (1 << (fmt.precision - 1)), fmt.precision - 1) if fmt.nan == "ieee" else None
        return Number("nan", negative, payload=payload)
    if kind == "infinite":
        return Number("infinite", negative)
    significand, exponent = magnitude_value(magnitude, fmt)
    subnormal = fmt.subnormals and 0 < magnitude < 1 << (fmt.precision - 1)
    return Number("finite", negative, significand, exponent, fmt.bits if subnormal else 0)


def read(number, rule):
    """A source under a rule for subnormal ones, the word that `subnormals_in` is set to."""
    least = {"keep": 65, "zero": 1, "zero_above_16_bits": 17}[rule]  # bits
    return number._replace(significand=0) if number.subnormal >= least else number


class Layout(NamedTuple):
    """An IEEE 754 interchange format, described as formats are."""

    bits: int
    precision: int
    bias: int
    kind: str = "float"
    signed: bool = True
    subnormals: bool = True
    zero: bool = True
    infinities: bool = True
    nan: str = "ieee"


LAYOUTS = {
    "float16": Layout(16, 11, 15),
    "bfloat16": Layout(16, 8, 127),
    "float32": Layout(32, 24, 127),
    "float64": Layout(64, 53, 1023),
}


def numbers(array):
    """The `Number` of every element of an array of float16 to float64, bfloat16, integers or bools."""
    if array.dtype.name in LAYOUTS:
        layout = LAYOUTS[array.dtype.name]
        return [decode(code, layout) for code in array.ravel().view(f"u{array.itemsize}").tolist()]
    return [Number("finite", n < 0, abs(n), 0) for n in map(int, array.ravel().tolist())]


def as_float(number):
    """A number that float64 holds, as a float."""
    sign = -1.0 if number.negative else 1.0
    if number.kind != "finite":
        return sign * float("inf") if number.kind == "infinite" else float("nan")
    size = number.significand.bit_length()
    assert size <= 53 or number.significand % (1 << (size - 53)) == 0
    return sign * float(np.ldexp(float(number.significand), number.exponent))

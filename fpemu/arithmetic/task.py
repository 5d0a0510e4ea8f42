"""The target of an operation (format, profile, lowered rules), and the general kernel loop."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fpemu.casting.buffers import cache_chunks
from fpemu.casting.lowering import Rules, lower_rules, resolve_rules, rounding_numbers, with_rules
from fpemu.casting.plans import Codes
from fpemu.casting.stochastic import NO_RANDOMS, Randoms
from fpemu.formats import FloatFormat, IntFormat, Profile
from fpemu.formats.rules import (
    DivisionByZero,
    Extremum,
    FlushFlags,
    FmaInvalid,
    InvalidNan,
    NanPayload,
    NanResult,
    NanRule,
    Overflow,
    Rounding,
    Stochastic,
    Tininess,
)
from fpemu.kernels import opcodes, spec

Formats = tuple[FloatFormat | IntFormat, ...]

_NAN_RESULTS = {
    NanResult.CANONICAL: spec.NAN_RESULT_CANONICAL,
    NanResult.FIRST_OPERAND: spec.NAN_RESULT_FIRST,
    NanResult.FIRST_SIGNALING: spec.NAN_RESULT_FIRST_SIGNALING,
}
_EXTREMA = {
    Extremum.IEEE_2019: spec.EXTREMUM_2019,
    Extremum.IEEE_2008: spec.EXTREMUM_2008,
    Extremum.X86: spec.EXTREMUM_X86,
    Extremum.ARM: spec.EXTREMUM_2008,  # which of two zeros minNum gives IEEE 754-2008 leaves open
}
_FLUSH_FLAGS = {
    FlushFlags.UNDERFLOW_INEXACT: opcodes.UNDERFLOW_FLAG | opcodes.INEXACT_FLAG,
    FlushFlags.UNDERFLOW: opcodes.UNDERFLOW_FLAG,
}
# Operations that divide by an operand
_QUOTIENTS = ("divide", "reciprocal", "rsqrt")
# Operations whose exact results have finitely many digits, but more than their operands
_SUMS_AND_PRODUCTS = ("add", "subtract", "multiply", "fma")
_SIGNS = ("absolute", "negative", "copysign")
# Operations whose exact result has the digits of one operand
_CARRIED = ("convert", "round_to_integral", "scaleb", "logb", "minimum", "maximum", "minimum_number", "maximum_number")


class Target(NamedTuple):
    """The target of rounding: a format, its profile with the caller's rules, and both lowered for the kernels."""

    format: FloatFormat | IntFormat
    profile: Profile
    rules: Rules


class Variant(NamedTuple):
    """The variant of an operation that a name means.

    `exact`: whether conversions and roundings to integers raise inexact; `integral`: how `round_to_integral` rounds to
    an integer, where results are rounded otherwise.
    """

    exact: bool = True
    extremum: Extremum = Extremum.IEEE_2019
    integral: Rounding | Stochastic | None = None


USUAL = Variant()  # what an operation's name means by default

_ZERO = np.uint64(0)


def refuse_inexact_wrap(name: str, formats: Formats, target: Target) -> None:
    """Raise ValueError where overflow wraps and exact results may have infinitely many digits, or too many."""
    if target.profile.overflow is not Overflow.WRAP or name in (*_CARRIED, *_SIGNS, "fmod", "ieee_remainder"):
        return
    fraction_bits = [fmt.fraction_bits for fmt in formats if isinstance(fmt, IntFormat)]
    if len(fraction_bits) < len(formats) or name not in _SUMS_AND_PRODUCTS:
        raise ValueError(f"{name}: overflow='wrap' is for sums and products of integers and fixed point")
    if name == "fma":
        fraction_bits = [fraction_bits[0] + fraction_bits[1], fraction_bits[2]]
    least, most = min(fraction_bits), max(fraction_bits)
    if name != "multiply" and most - least > 60:
        raise ValueError(f"{name}: overflow='wrap' needs operands whose fraction bits differ by 60 at most")


@functools.lru_cache(maxsize=1024)
def resolve_target(
    name: str,
    formats: Formats,
    fmt: FloatFormat | IntFormat,
    profile: Profile,
    rounding: str | Rounding | Stochastic | None,
    overflow: str | Overflow | None,
    variant: Variant = USUAL,
) -> Target:
    """The target of an operation on operands of these formats, under a profile and keywords."""
    rules = resolve_rules(fmt, profile, rounding, overflow, formats[0] if name == "convert" else None)
    if rules.nan is NanRule.ERROR:
        raise ValueError("nan='error' is a rule of casts: operations raise the flag invalid")
    passes_on = rules.nan_result is not NanResult.CANONICAL
    made_quiet = rules.replace(nan_payload=NanPayload.QUIET) if passes_on else rules
    floats = name == "logb" or any(isinstance(operand, FloatFormat) for operand in formats)
    numbers = lower_rules(fmt, made_quiet, passes_on, floats)
    mode, random_bits = rounding_numbers(variant.integral or rules.rounding) if name == "round_to_integral" else (0, 0)
    second = variant.extremum is Extremum.X86  # MINPS passes on the second operand's code
    passed = formats[-1] if second else formats[0]
    has_sign_bit = fmt.signed and (isinstance(fmt, FloatFormat) or fmt.encoding == "sign_magnitude")
    operation_rules = {
        spec.TININESS: spec.TINY_BEFORE if rules.tininess is Tininess.BEFORE else spec.TINY_AFTER,
        spec.NAN_RESULT: _NAN_RESULTS[rules.nan_result],
        spec.INVALID_NAN: numbers[spec.NAN_NEGATIVE if rules.invalid_nan is InvalidNan.NEGATIVE else spec.NAN_POSITIVE],
        spec.FMA_QUIET: int(rules.fma_invalid is FmaInvalid.QUIET),
        spec.RAISES_INEXACT: int(variant.exact),
        spec.FLOAT_TO_INTEGER: int(floats and isinstance(fmt, IntFormat)),
        spec.DIVISION_BY_ZERO: int(rules.division_by_zero is DivisionByZero.NAN and name in _QUOTIENTS),
        spec.EXTREMUM: _EXTREMA[variant.extremum],
        spec.INTEGRAL_ROUNDING: mode,
        spec.INTEGRAL_BITS: random_bits,
        spec.FLUSH_FLAGS: _FLUSH_FLAGS[rules.flush_flags],
        spec.SIGN_ONLY: int((second or name in _SIGNS) and has_sign_bit and passed.codes_key == fmt.codes_key),
    }
    return Target(fmt, rules, with_rules(numbers, operation_rules))


def general(
    name: str,
    formats: Formats,
    target: Target,
    codes: list[Codes],
    out: Codes,
    flags: Codes,
    randoms: Randoms = NO_RANDOMS,
) -> None:
    """Compute an operation by the general kernel; `flags`: an empty array where none are wanted."""
    loop = _general_loop(name)
    x, y, z = [*codes, codes[0], codes[0]][:3]  # the kernel ignores operands that its operation lacks
    x_spec, y_spec, z_spec = [fmt.spec for fmt in (*formats, formats[0], formats[0])[:3]]
    key = np.uint64(randoms.key) if randoms.key else _ZERO
    for start, stop in cache_chunks(0, out.size):
        results = np.empty(stop - start, np.uint64)
        first = randoms.first + start
        loop(
            *(each[start:stop].astype(np.uint64, copy=False) for each in (x, y, z)),
            *(x_spec, y_spec, z_spec, target.format.spec, target.rules, randoms.given[start:stop]),
            *(key, np.uint64(first) if first else _ZERO, results, flags[start:stop]),
        )
        out[start:stop] = results


@functools.cache
def _general_loop(name: str) -> Callable[..., None]:
    """The general kernel's loop for an operation."""
    from fpemu.kernels.cpu.operations import operation_loop

    loop: Callable[..., None] = operation_loop(getattr(opcodes, name.upper()))
    return loop

"""The target of an operation (format, profile, lowered rules), and the general kernel loop."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fpemu.casting.buffers import cache_chunks
from fpemu.casting.lowering import Rules, lower_rules, resolve_rules, rounding_numbers, with_rules
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
from fpemu.kernels import opcodes as operations
from fpemu.kernels import spec as places

Codes = NDArray[Any]
Formats = tuple[FloatFormat | IntFormat, ...]

_NAN_RESULTS = {
    NanResult.CANONICAL: places.NAN_RESULT_CANONICAL,
    NanResult.FIRST_OPERAND: places.NAN_RESULT_FIRST,
    NanResult.FIRST_SIGNALING: places.NAN_RESULT_FIRST_SIGNALING,
}
_EXTREMA = {
    Extremum.IEEE_2019: places.EXTREMUM_2019,
    Extremum.IEEE_2008: places.EXTREMUM_2008,
    Extremum.X86: places.EXTREMUM_X86,
    Extremum.ARM: places.EXTREMUM_2008,  # which of two zeros minNum gives IEEE 754-2008 leaves open
}
_FLUSH_FLAGS = {
    FlushFlags.UNDERFLOW_INEXACT: operations.UNDERFLOW_FLAG | operations.INEXACT_FLAG,
    FlushFlags.UNDERFLOW: operations.UNDERFLOW_FLAG,
}
# The operations that divide by an operand
_QUOTIENTS = ("divide", "reciprocal", "rsqrt")
# What more than one operand goes into, or digits without end come out of
_SUMS_AND_PRODUCTS = ("add", "subtract", "multiply", "fma")
_SIGNS = ("absolute", "negative", "copysign")
# What one operand goes into, as it is: all digits of the exact result are there
_CARRIED = ("convert", "round_to_integral", "scaleb", "logb", "minimum", "maximum", "minimum_number", "maximum_number")


class Target(NamedTuple):
    """Where results go: the format, its profile, and what the kernels make of them."""

    target: FloatFormat | IntFormat
    profile: Profile
    rules: Rules


_ZERO = np.uint64(0)


def refuse_inexact_wrap(name: str, formats: tuple[FloatFormat | IntFormat, ...], task: Target) -> None:
    """Wrapping needs all digits of the exact result: refused where they are without end, or too many."""
    if task.profile.overflow is not Overflow.WRAP or name in (*_CARRIED, *_SIGNS, "fmod", "ieee_remainder"):
        return
    places = [fmt.fraction_bits for fmt in formats if isinstance(fmt, IntFormat)]
    if len(places) < len(formats) or name not in _SUMS_AND_PRODUCTS:
        raise ValueError(f"{name}: overflow='wrap' is for sums and products of integers and fixed point")
    least, most = (min(places), max(places)) if name != "fma" else sorted((places[0] + places[1], places[2]))
    if name != "multiply" and most - least > 60:
        raise ValueError(f"{name}: overflow='wrap' needs operands whose fraction bits differ by 60 at most")


@functools.lru_cache(maxsize=1024)
def resolve_target(
    name: str,
    formats: tuple[FloatFormat | IntFormat, ...],
    target: FloatFormat | IntFormat,
    profile: Profile,
    rounding: str | Rounding | Stochastic | None,
    overflow: str | Overflow | None,
    exact: bool = True,
    extremum: Extremum = Extremum.IEEE_2019,
    integral: Rounding | Stochastic | None = None,
) -> Target:
    """The rules as they stand for these operands, this target and these keywords.

    `integral`: how `round_to_integral` gets to an integer, where that is not how results are rounded.
    """
    rules = resolve_rules(target, profile, rounding, overflow, formats[0] if name == "convert" else None)
    if rules.nan is NanRule.ERROR:
        raise ValueError("nan='error' is a rule of casts: operations raise the flag invalid")
    passes_on = rules.nan_result is not NanResult.CANONICAL
    made_quiet = rules.replace(nan_payload=NanPayload.QUIET) if passes_on else rules
    floats = name == "logb" or any(isinstance(fmt, FloatFormat) for fmt in formats)
    numbers = lower_rules(target, made_quiet, passes_on, floats)
    mode, random_bits = rounding_numbers(integral or rules.rounding) if name == "round_to_integral" else (0, 0)
    second = extremum is Extremum.X86  # MINPS passes on the second operand's code
    passed = formats[-1] if second else formats[0]
    has_sign_bit = target.signed and (isinstance(target, FloatFormat) or target.encoding == "sign_magnitude")
    operation_rules = {
        places.TININESS: places.TINY_BEFORE if rules.tininess is Tininess.BEFORE else places.TINY_AFTER,
        places.NAN_RESULT: _NAN_RESULTS[rules.nan_result],
        places.INVALID_NAN: numbers[
            places.NAN_NEGATIVE if rules.invalid_nan is InvalidNan.NEGATIVE else places.NAN_POSITIVE
        ],
        places.FMA_QUIET: int(rules.fma_invalid is FmaInvalid.QUIET),
        places.RAISES_INEXACT: int(exact),
        places.FLOAT_TO_INTEGER: int(floats and isinstance(target, IntFormat)),
        places.DIVISION_BY_ZERO: int(rules.division_by_zero is DivisionByZero.NAN and name in _QUOTIENTS),
        places.EXTREMUM: _EXTREMA[extremum],
        places.INTEGRAL_ROUNDING: mode,
        places.INTEGRAL_BITS: random_bits,
        places.FLUSH_FLAGS: _FLUSH_FLAGS[rules.flush_flags],
        places.SIGN_ONLY: int((second or name in _SIGNS) and has_sign_bit and passed.codes_key == target.codes_key),
    }
    return Target(target, rules, with_rules(numbers, operation_rules))


def general(
    name: str,
    formats: Formats,
    task: Target,
    codes: list[Codes],
    out: Codes,
    flags: Codes,
    randoms: Randoms = NO_RANDOMS,
) -> None:
    """An operation by the general kernel; see `Way`."""
    loop = _loop(name)
    x, y, z = [*codes, codes[0], codes[0]][:3]  # what an operation does not take is not looked at
    x_spec, y_spec, z_spec = [fmt.spec for fmt in (*formats, formats[0], formats[0])[:3]]
    key = np.uint64(randoms.key) if randoms.key else _ZERO
    for start, stop in cache_chunks(0, out.size):
        found = np.empty(stop - start, np.uint64)
        place = randoms.first + start
        loop(
            *(part[start:stop].astype(np.uint64, copy=False) for part in (x, y, z)),
            *(x_spec, y_spec, z_spec, task.target.spec, task.rules, randoms.given[start:stop]),
            *(key, np.uint64(place) if place else _ZERO, found, flags[start:stop]),
        )
        out[start:stop] = found


@functools.cache
def _loop(name: str) -> Callable[..., None]:
    """The general kernel's loop."""
    from fpemu.kernels.cpu.operations import operation_loop

    loop: Callable[..., None] = operation_loop(getattr(operations, name.upper()))
    return loop

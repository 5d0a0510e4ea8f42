"""Lower a profile for one format to the integers that the kernels read."""

from __future__ import annotations

import functools

from fpemu.formats import FloatFormat, Format, IntFormat, Profile, wrap64
from fpemu.formats import profile as find_profile
from fpemu.formats.facts.exactness import largest_code
from fpemu.formats.rules import (
    FloatToIntInvalid,
    InfinityRule,
    MissingZero,
    NanPayload,
    NanRule,
    NanSign,
    NegativeZero,
    Overflow,
    Rounding,
    Stochastic,
    SubnormalsIn,
    SubnormalsOut,
    Tininess,
    UnsignedNegative,
    rounding_mode,
)
from fpemu.kernels import spec

Rules = tuple[int, ...]
Pair = tuple[int, int]  # codes for a positive and for a negative source

# The kernels' numbers have the names of the rules.
ROUNDING_NUMBERS: dict[Rounding, int] = {mode: getattr(spec, mode.name) for mode in Rounding}
_STOCHASTIC_NUMBERS = {variant: getattr(spec, f"STOCHASTIC_{variant.upper()}") for variant in ("A", "B", "C", "equal")}
_PAYLOADS = {rule: getattr(spec, f"PAYLOAD_{rule.name}") for rule in NanPayload}
_FLUSHES = {
    SubnormalsOut.KEEP: spec.FLUSH_NEVER,
    SubnormalsOut.FLUSH_BEFORE: spec.FLUSH_BEFORE,
    SubnormalsOut.FLUSH_AFTER: spec.FLUSH_AFTER,
    SubnormalsOut.FLUSH_TINY: spec.FLUSH_TINY,
}
_ZERO_FROM = {SubnormalsIn.KEEP: 0, SubnormalsIn.ZERO: 1, SubnormalsIn.ZERO_ABOVE_16_BITS: 17}


def _infinity(fmt: FloatFormat | IntFormat, negative: bool) -> int | None:
    """The code of an infinity; None if the format lacks it."""
    if not isinstance(fmt, FloatFormat) or fmt.infinity_code is None or (negative and not fmt.signed):
        return None
    return fmt.infinity_code | (fmt.sign_mask if negative else 0)


def _nan(fmt: FloatFormat | IntFormat, rules: Profile, negative: bool) -> int | None:
    """The code of the NaN that a number becomes, signed if NaNs have signs; None if the format has no NaN."""
    if not isinstance(fmt, FloatFormat) or (fmt.nan_code is None and rules.nan_code is None):
        return None
    code = fmt.nan_code if rules.nan_code is None else rules.nan_code
    assert code is not None
    signed = negative and fmt.nan in ("ieee", "all_ones")
    return code | fmt.sign_mask if signed else code


def _first(*codes: int | None) -> int:
    return next(code for code in codes if code is not None)


def _zeros(fmt: FloatFormat | IntFormat, rules: Profile) -> Pair:
    """The results of zero; in formats with zero also of numbers that round to zero."""
    if fmt.has("zero"):
        keep = fmt.has("negative_zero") and rules.negative_zero is NegativeZero.KEEP
        return 0, fmt.sign_mask if keep else 0
    smallest = 0, fmt.sign_mask
    if rules.missing_zero is MissingZero.SMALLEST:
        return smallest
    return _first(_nan(fmt, rules, False), smallest[0]), _first(_nan(fmt, rules, True), smallest[1])


def _underflows(fmt: FloatFormat | IntFormat, rules: Profile) -> Pair:
    """The results of numbers that would round to zero, in a format without zero."""
    if rules.missing_zero is MissingZero.NAN:
        return _zeros(fmt, rules)
    return 0, fmt.sign_mask


def _goes_up(rounding: Rounding | Stochastic, negative: bool) -> bool:
    """Whether an overflow in this direction gives infinity (IEEE 754-2019 clause 7.4)."""
    if rounding in (Rounding.TOWARD_ZERO, Rounding.TO_ODD):
        return False
    if rounding is Rounding.TOWARD_POSITIVE:
        return not negative
    if rounding is Rounding.TOWARD_NEGATIVE:
        return negative
    return True


def _unsigned_negative(fmt: FloatFormat | IntFormat, rules: Profile) -> int:
    """The result of a negative value in an unsigned format, if it does not round to zero."""
    nan = _nan(fmt, rules, True)
    rule = rules.unsigned_negative
    if rule is UnsignedNegative.ZERO:
        return 0
    if rule is UnsignedNegative.P3109 and rules.rounding in (Rounding.TOWARD_ZERO, Rounding.TOWARD_POSITIVE):
        return 0
    return _first(nan, 0)


def _overflow(fmt: FloatFormat | IntFormat, rules: Profile, negative: bool) -> int:
    top, infinity = largest_code(fmt, negative), _infinity(fmt, negative)
    if negative and not fmt.signed:
        return _unsigned_negative(fmt, rules)
    rule, rounding = rules.overflow, rules.rounding
    if rule in (Overflow.SATURATE, Overflow.WRAP) or isinstance(fmt, IntFormat):
        return top
    if rule is Overflow.NAN:
        return _first(_nan(fmt, rules, negative))
    if rule is Overflow.P3109:
        # to odd overflows to infinity, but in unsigned extended formats to the largest value
        to_odd = rounding is Rounding.TO_ODD
        up = fmt.signed if to_odd else _goes_up(rounding, negative)
        return _first(infinity, top) if up else top
    if rule is Overflow.STANDARD and not _goes_up(rounding, negative):
        return top
    return _first(infinity, _nan(fmt, rules, negative), top)


def _infinite(fmt: FloatFormat | IntFormat, rules: Profile, negative: bool) -> int:
    """The result of an infinity."""
    rule = rules.infinity
    if negative and not fmt.signed:
        if rules.unsigned_negative is UnsignedNegative.MAGNITUDE:
            return _infinite(fmt, rules, False)
        if rule in (InfinityRule.SATURATE, InfinityRule.PROPAGATE, InfinityRule.ZERO):
            return 0
        if rules.unsigned_negative is UnsignedNegative.ZERO and rule is InfinityRule.STANDARD:
            return 0
        return _first(_nan(fmt, rules, negative), 0)
    top, infinity = largest_code(fmt, negative), _infinity(fmt, negative)
    if rule is InfinityRule.SATURATE:
        return top
    if rule is InfinityRule.ZERO:
        return _zeros(fmt, rules)[negative]
    nan = _nan(fmt, rules, negative)
    if rule is InfinityRule.NAN:
        return _first(nan)
    if rule is InfinityRule.STANDARD:
        return _first(infinity, nan, top)
    return _first(infinity, top)


def _nans(fmt: FloatFormat | IntFormat, rules: Profile) -> Pair:
    """The results of NaN."""
    if rules.nan is NanRule.MAX:
        return (largest_code(fmt, False),) * 2
    if rules.nan is NanRule.MIN:
        return (largest_code(fmt, True),) * 2
    if rules.nan is NanRule.ZERO:
        return 0, 0
    keep = isinstance(fmt, FloatFormat) and fmt.has("negative_zero") and rules.negative_zero is NegativeZero.KEEP
    minus_zero = fmt.sign_mask if keep else 0
    if rules.nan is NanRule.NEGATIVE_ZERO:
        return (fmt.sign_mask,) * 2
    flips = rules.nan_sign is NanSign.FLIP
    positive, negative = _nan(fmt, rules, flips), _nan(fmt, rules, rules.nan_sign is NanSign.KEEP)
    return _first(positive, minus_zero), _first(negative, 0 if flips else minus_zero)


def _from_float(fmt: IntFormat, rule: FloatToIntInvalid) -> tuple[Pair, Pair, int]:
    """The results of floats that an integer format lacks (out of range or infinite; NaN), and the width that wraps."""
    most, least = largest_code(fmt, False), largest_code(fmt, True)
    if rule in (FloatToIntInvalid.C_X86_64, FloatToIntInvalid.C_X86_64_LONG):
        carrier = 32 if rule is FloatToIntInvalid.C_X86_64 and fmt.bits + (not fmt.signed) <= 32 else 64
        indefinite = (1 << (carrier - 1)) & ((1 << fmt.bits) - 1)
        # uint64: compilers subtract 2^63 from larger numbers, convert, and flip the top bit of the result
        above = 0 if fmt.bits == 64 and not fmt.signed else indefinite
        return (above, indefinite), (indefinite,) * 2, carrier
    if rule is FloatToIntInvalid.X86:
        indefinite = least if fmt.signed else most
        return (indefinite,) * 2, (indefinite,) * 2, spec.WRAP_NONE
    return (most, least), (most if rule is FloatToIntInvalid.RISCV else 0,) * 2, spec.WRAP_NONE


def _wrap(fmt: FloatFormat | IntFormat, rules: Profile) -> int:
    """The overflows that wrap modulo 2^bits."""
    if rules.overflow is not Overflow.WRAP:
        return spec.WRAP_NONE
    if fmt.has("negative") or rules.unsigned_negative is UnsignedNegative.STANDARD:
        return spec.WRAP_ALL
    return spec.WRAP_POSITIVE


def with_rules(rules: Rules, changes: dict[int, int]) -> Rules:
    """The kernels' rules with some of them changed, by their positions in `fpemu.kernels.spec`."""
    return tuple(changes.get(position, rule) for position, rule in enumerate(rules))


def operand_rules(rules: Profile) -> Rules:
    """Rules for reading operands alone: which formats' subnormals count as zero."""
    return with_rules(spec.NO_RULES, {spec.SUBNORMAL_SOURCES_ARE_ZERO: _ZERO_FROM[rules.subnormals_in]})


def zeroes_subnormals(fmt: Format, rules: Profile) -> bool:
    """Whether subnormal sources of a format count as zero."""
    least = _ZERO_FROM[rules.subnormals_in]
    return isinstance(fmt, FloatFormat) and 0 < least <= fmt.bits


def _flush(fmt: FloatFormat | IntFormat, rules: Profile) -> int:
    """Limits below which results become zero; tiny before rounding means below the smallest normal before rounding."""
    if not isinstance(fmt, FloatFormat):
        return spec.FLUSH_NEVER
    if rules.subnormals_out is SubnormalsOut.FLUSH_TINY and rules.tininess is Tininess.BEFORE:
        return spec.FLUSH_BEFORE
    return _FLUSHES[rules.subnormals_out]


def rounding_numbers(rounding: Rounding | Stochastic) -> Pair:
    """A rounding mode as kernels read it, and its random bits."""
    if isinstance(rounding, Stochastic):
        return _STOCHASTIC_NUMBERS[rounding.variant], rounding.bits
    return ROUNDING_NUMBERS[rounding], 0


@functools.lru_cache(maxsize=1024)
def lower_rules(fmt: FloatFormat | IntFormat, rules: Profile, payloads: bool, floats: bool = False) -> Rules:
    """The rules that kernels read (`fpemu.kernels.spec`) for casts to a float or integer format.

    Rules of operations alone are 0.

    Parameters
    ----------
    fmt : FloatFormat or IntFormat
    rules : Profile
        As `fmt.check_profile` returns it.
    payloads : bool
        Whether the source's NaNs have payloads.
    floats : bool
        Whether the source is of a float format.

    Returns
    -------
    tuple of int
    """
    rounding = rules.rounding
    ieee_nan = isinstance(fmt, FloatFormat) and fmt.nan == "ieee"
    payload = rules.nan_payload if payloads and ieee_nan else NanPayload.DROP
    overflow = _overflow(fmt, rules, False), _overflow(fmt, rules, True)
    infinity = _infinite(fmt, rules, False), _infinite(fmt, rules, True)
    nans, wrap = _nans(fmt, rules), _wrap(fmt, rules)
    if floats and isinstance(fmt, IntFormat) and rules.float_to_int_invalid is not FloatToIntInvalid.STANDARD:
        overflow, nans, wrap = _from_float(fmt, rules.float_to_int_invalid)
        infinity = overflow
    codes = (*overflow, *infinity, *nans)
    return (
        *rounding_numbers(rounding),
        *map(wrap64, codes),
        _PAYLOADS[payload if rules.nan is NanRule.STANDARD and rules.nan_code is None else NanPayload.DROP],
        *map(wrap64, _zeros(fmt, rules)),
        *map(wrap64, _underflows(fmt, rules)),
        _ZERO_FROM[rules.subnormals_in],
        _flush(fmt, rules),
        int(not fmt.signed and rules.unsigned_negative is UnsignedNegative.MAGNITUDE),
        wrap,
        *spec.NO_OPERATION,
    )


def resolve_rules(
    target: Format,
    profile: str | Profile | None,
    rounding: str | Rounding | Stochastic | None,
    overflow: str | Overflow | None,
    source: Format | None = None,
) -> Profile:
    """The rules of casts to a target, from a profile and the caller's keywords; `source`: the sources' one format."""
    rules = target.profile if profile is None else find_profile(profile)
    rules = rules.for_codes(target.codes_key, None if source is None else source.codes_key)
    if rounding is not None:
        rules = rules.replace(name=rules.name, rounding=rounding_mode(rounding))  # the rounding is not part of the name
    if overflow is not None:
        rules = rules.replace(overflow=overflow)
    return target.check_profile(rules)

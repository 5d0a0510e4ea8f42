"""Choose a fast loop for casts to a format under a profile, and compute its constants.

`choose_loop` returns a loop whose results are the general kernel's, bit for bit, or None.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fpemu.casting.lowering import Rules
from fpemu.formats import FLOAT32, FloatFormat, IntFormat
from fpemu.kernels import spec

if TYPE_CHECKING:
    from fractions import Fraction

# Rounding classes, for which loops are specialised: the numbers of fpemu.kernels.cpu.fast_casts
EVEN, NEAREST, DIRECTED, DOWN, UP, ODD, STOCHASTIC = range(7)


class FastLoop(NamedTuple):
    """A loop of `fpemu.kernels.cpu.fast_casts` and its constants, the fields of a Grid.

    `loop`: "addition", "shift" or "uniform"; `is_plain`, `has_gap`: whether the format lets the loop leave out the
    cases of unusual formats, and whether it has a gap below its smallest normal number.
    """

    loop: str
    rounding_class: int
    is_plain: bool
    has_gap: bool
    constants: NDArray[np.uint32] | NDArray[np.uint64]


def _bits_of_power(carrier: FloatFormat, exponent: int) -> int:
    """The bits of 2^exponent, a normal number of the carrier."""
    assert carrier.emin <= exponent <= carrier.bias
    return (exponent + carrier.bias) << carrier.trailing_bits


def _bits_of(carrier: FloatFormat, significand: int, exponent: int) -> int:
    """The bits of a magnitude that the carrier holds; in integers, as the FPU may flush subnormals to zero."""
    if significand == 0:
        return 0
    binade = max(exponent + significand.bit_length() - 1, carrier.emin)
    shift = exponent - binade + carrier.trailing_bits
    digits = significand << shift if shift >= 0 else significand >> -shift
    return ((binade - carrier.emin) << carrier.trailing_bits) + digits


def last_bits_below(carrier: FloatFormat, value: Fraction | int) -> int:
    """The bits of the carrier's largest finite non-negative number that is not above `value`."""
    low, high = 0, carrier.max_code
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if carrier.exact(middle) <= value else (low, middle - 1)
    return low


def _infinity(carrier: FloatFormat) -> int:
    """The bits of infinity, which float32 and float64 have."""
    assert carrier.infinity_code is not None
    return carrier.infinity_code


def _rounding_class(rounding: int) -> int:
    if rounding == spec.NEAREST_EVEN:
        return EVEN
    if rounding <= spec.NEAREST_TOWARD_NEGATIVE:
        return NEAREST
    if rounding >= spec.STOCHASTIC_A:
        return STOCHASTIC
    return {spec.TOWARD_ZERO: DOWN, spec.AWAY_FROM_ZERO: UP, spec.TO_ODD: ODD}.get(rounding, DIRECTED)


def _tie_goes_up(rounding: int, negative: bool) -> bool:
    """Whether a mode to nearest rounds a tie above an even code up."""
    return rounding == spec.NEAREST_AWAY or rounding == (
        spec.NEAREST_TOWARD_NEGATIVE if negative else spec.NEAREST_TOWARD_POSITIVE
    )


def _directed_up(rounding: int, negative: bool) -> bool:
    """Whether a directed mode rounds every inexact magnitude up, whatever its code."""
    return rounding in (spec.AWAY_FROM_ZERO, spec.TOWARD_NEGATIVE if negative else spec.TOWARD_POSITIVE)


def _has_simple_rules(rules: Rules) -> bool:
    """Whether no rule requires the general kernel."""
    return not (
        rules[spec.PAYLOAD]
        or rules[spec.SUBNORMAL_SOURCES_ARE_ZERO]
        or rules[spec.FLUSH]
        or rules[spec.WRAP]
        or rules[spec.ROUNDING] > spec.STOCHASTIC_A  # of the stochastic variants, the fast loops have A alone
    )


def _loop_of(fmt: FloatFormat | IntFormat, carrier: FloatFormat, rounding_class: int) -> str | None:
    """The loop whose conditions, as fpemu.kernels.cpu.fast_casts states them, are met; None where there is none."""
    trailing, emin, emax = _exponents(fmt)
    if trailing > carrier.trailing_bits - 1 or fmt.bits > carrier.bits or emax > carrier.bias:
        return None
    if isinstance(fmt, FloatFormat) and (fmt.precision == 1 or not fmt.subnormals):
        lowest = emin + (1 if fmt.precision == 1 and fmt.zero and not fmt.subnormals else 0)
        reaches = lowest >= carrier.emin or (fmt.precision == 1 and not fmt.zero and lowest == carrier.emin - 1)
        return "uniform" if reaches and rounding_class != STOCHASTIC else None
    if emin == carrier.emin and isinstance(fmt, FloatFormat):
        return "uniform"
    adder = max(emin, emax + 1) + carrier.trailing_bits - trailing
    fits = emin >= carrier.emin and adder <= carrier.bias and emax + 1 >= carrier.emin
    if rounding_class not in (NEAREST, STOCHASTIC) and fits:
        return "addition"
    deep = emin + carrier.bias >= trailing + 2 and emin <= carrier.bias
    if rounding_class == STOCHASTIC:
        deep = deep and carrier.bits == 32 and carrier.trailing_bits - trailing + emin + carrier.bias >= 56
    return "shift" if deep else None


def _exponents(fmt: FloatFormat | IntFormat) -> tuple[int, int, int]:
    """(trailing bits, emin, exponent of the largest value); an integer's significand holds all of it."""
    if isinstance(fmt, IntFormat):
        return (
            fmt.bits - 1,
            fmt.bits - 1 - fmt.fraction_bits,
            max(fmt.max_int, -fmt.min_int).bit_length() - 1 - fmt.fraction_bits,
        )
    significand, exponent = fmt.scaled(fmt.max_code)
    return fmt.trailing_bits, fmt.emin, exponent + significand.bit_length() - 1


def _values_fit(fmt: FloatFormat | IntFormat, carrier: FloatFormat) -> bool:
    quantum = -fmt.fraction_bits if isinstance(fmt, IntFormat) else fmt.quantum_exponent
    return quantum >= carrier.quantum_exponent


def _gap(
    fmt: FloatFormat | IntFormat, carrier: FloatFormat, rounding: int, to_result: Callable[[int], int]
) -> dict[str, int]:
    """The constants of the gap below the smallest normal of a format without subnormals, or of precision 1."""
    if not isinstance(fmt, FloatFormat) or (fmt.subnormals and fmt.precision > 1):
        return {}
    smallest = fmt.exact(fmt.min_code)
    if not fmt.zero and smallest >= carrier.exact(_bits_of_power(carrier, carrier.emin)):
        result = to_result(fmt.min_code)
        return {"gap": last_bits_below(carrier, smallest), "gap_low": result, "gap_high": result}
    low, high = 0 if fmt.zero else smallest, fmt.exact(1)
    middle = (low + high) / 2
    cuts = []
    for negative in (False, True):
        if _rounding_class(rounding) not in (EVEN, NEAREST):
            up = _directed_up(rounding, negative) or rounding == spec.TO_ODD  # to odd: to code 1
            cuts.append(last_bits_below(carrier, low) if up else (1 << carrier.bits) - 1)
        else:
            floor = last_bits_below(carrier, middle)
            cuts.append(floor - (carrier.exact(floor) == middle and _tie_goes_up(rounding, negative)))
    return {
        "gap": last_bits_below(carrier, high),
        "gap_cut": cuts[0],
        "gap_cut_flip": cuts[0] ^ cuts[1],
        "gap_low": 0 if fmt.zero else to_result(0),
        "gap_high": to_result(1),
    }


def _outcomes(rules: Rules, to_result: Callable[[int], int]) -> dict[str, int]:
    """The results of overflow, infinity, NaN and zero, and what a negative sign flips in each."""
    constants = {}
    for field, positive, negative in (
        ("overflow", spec.OVERFLOW_POSITIVE, spec.OVERFLOW_NEGATIVE),
        ("infinite", spec.INFINITY_POSITIVE, spec.INFINITY_NEGATIVE),
        ("nan", spec.NAN_POSITIVE, spec.NAN_NEGATIVE),
        ("zero", spec.ZERO_POSITIVE, spec.ZERO_NEGATIVE),
    ):
        constants[field] = to_result(rules[positive])
        constants[field + "_flip"] = constants[field] ^ to_result(rules[negative])
    return constants


def _to_value_bits(fmt: FloatFormat | IntFormat, carrier: FloatFormat) -> Callable[[int], int]:
    """From a code to its value's bits in the carrier, a NaN's sign kept."""

    def to_bits(code: int) -> int:
        value = fmt.value(code)
        if not math.isnan(value):
            sign = carrier.sign_mask if math.copysign(1, value) < 0 else 0
            if math.isinf(value):
                return _infinity(carrier) | sign
            significand, exponent = fmt.scaled(code)
            return _bits_of(carrier, abs(significand), exponent) | sign
        assert isinstance(fmt, FloatFormat)
        signed = fmt.nan != "negative_zero" and code & fmt.sign_mask
        payload = 1 << (carrier.trailing_bits - 1)
        if fmt.nan == "ieee":
            payload = (code & ((1 << fmt.trailing_bits) - 1)) << (carrier.trailing_bits - fmt.trailing_bits)
        return _infinity(carrier) | payload | (carrier.sign_mask if signed else 0)

    return to_bits


def choose_loop(fmt: FloatFormat | IntFormat, rules: Rules, carrier: FloatFormat, to_codes: bool) -> FastLoop | None:
    """The fast loop of a cast from float32 or float64, or None if only the general kernel can do it.

    Parameters
    ----------
    fmt : FloatFormat or IntFormat
    rules : tuple of int
        As `fpemu.casting.lowering.lower_rules` returns them.
    carrier : FloatFormat
        float32 or float64, the format of the numbers.
    to_codes : bool
        Whether the loop writes codes, not values in the carrier.

    Returns
    -------
    FastLoop or None
    """
    rounding_class = _rounding_class(rules[spec.ROUNDING])
    if not _has_simple_rules(rules) or (rounding_class == STOCHASTIC and carrier.bits != 32):
        return None
    if isinstance(fmt, FloatFormat) and not fmt.zero and rules[spec.UNDERFLOW_POSITIVE] != 0:
        return None
    loop = _loop_of(fmt, carrier, rounding_class)
    if loop is None or not (to_codes or _values_fit(fmt, carrier)):
        return None
    constants = _constants(fmt, rules, carrier, to_codes)
    is_plain = (rounding_class == EVEN or carrier.bits == 32) and _is_plain(fmt, constants, loop, to_codes)
    if rounding_class == EVEN and loop == "shift":
        rounding_class = NEAREST
    if rounding_class in (DOWN, UP, ODD) and loop != "addition":
        rounding_class = DIRECTED
    return FastLoop(loop, rounding_class, is_plain, "gap" in constants, _packed(constants, carrier.bits))


def _is_plain(fmt: FloatFormat | IntFormat, constants: dict[str, int], loop: str, to_codes: bool) -> bool:
    """Whether a sign flips only the sign bit of each result, and the other bits of a code are the source's, shifted."""
    shifted_alone = constants["offset"] == 0 and constants["sign_shift"] == constants["shift"]
    return (
        fmt.signed
        and not _is_twos_complement(fmt)
        and constants["keep_sign"] != 0
        and not constants["zero_less"]
        and not constants["zero"]
        and not constants["limit_flip"]
        and constants["zero_flip"] == constants["overflow_flip"] == constants["negative_flip"]
        and (loop != "uniform" or "gap" in constants or not to_codes or shifted_alone)
    )


def _is_twos_complement(fmt: FloatFormat | IntFormat) -> bool:
    return isinstance(fmt, IntFormat) and fmt.signed and fmt.encoding == "twos_complement"


def _limits(fmt: FloatFormat | IntFormat, carrier: FloatFormat, to_codes: bool) -> tuple[int, int]:
    """The codes, or the value's bits, after the largest finite ones of both signs; 0 for a sign without any."""
    if isinstance(fmt, FloatFormat):
        largest = fmt.max_code if to_codes else _bits_of(carrier, *fmt.scaled(fmt.max_code))
        smallest = 0 if to_codes else _bits_of(carrier, *fmt.scaled(0))
        return largest + 1, largest + 1 if fmt.signed else smallest + 1 if fmt.zero else 0
    positive, negative = (
        (n if to_codes else _bits_of(carrier, n, -fmt.fraction_bits)) + 1 for n in (fmt.max_int, -fmt.min_int)
    )
    return positive, negative


def _constants(fmt: FloatFormat | IntFormat, rules: Rules, carrier: FloatFormat, to_codes: bool) -> dict[str, int]:
    """The fields of a Grid that are not 0 for every format (see `fpemu.kernels.cpu.fast_casts`)."""
    rounding, infinity = rules[spec.ROUNDING], _infinity(carrier)
    trailing, emin, emax = _exponents(fmt)
    all_bits, sign = (1 << carrier.bits) - 1, carrier.sign_mask
    to_result: Callable[[int], int] = int if to_codes else _to_value_bits(fmt, carrier)
    complement = to_codes and _is_twos_complement(fmt)
    limits = _limits(fmt, carrier, to_codes)
    largest_code = fmt.max_code if isinstance(fmt, FloatFormat) else fmt.max_int
    shift, field = carrier.trailing_bits - trailing, max(emin + carrier.bias, 0)
    up, up_negative = _directed_up(rounding, False), _directed_up(rounding, True)
    tie, tie_negative = _tie_goes_up(rounding, False), _tie_goes_up(rounding, True)

    def power(exponent: int, otherwise: int) -> int:
        return _bits_of_power(carrier, exponent) if carrier.emin <= exponent <= carrier.bias else otherwise

    return {
        "sign": sign,
        "infinity": infinity,
        "fraction": (1 << carrier.trailing_bits) - 1,
        "hidden": 1 << carrier.trailing_bits,
        "fraction_bits": carrier.trailing_bits,
        "keep_sign": 0 if rules[spec.DROP_SIGN] else all_bits,
        "shift": shift,
        "emin": field << carrier.trailing_bits,
        "field_low": max(field - trailing - 2, 0) << carrier.trailing_bits,
        "cut_from": shift + field,
        "lift": shift << carrier.trailing_bits,
        "top": power(emax + 1, infinity),
        "quantum": power(emin - trailing, 0),
        "offset": ((carrier.bias - fmt.bias) << trailing if isinstance(fmt, FloatFormat) else 0) & all_bits,
        "limit": limits[0],
        "limit_flip": limits[0] ^ limits[1],
        "negative_flip": 0 if complement else (fmt.sign_mask if to_codes else sign),
        "complement": all_bits if complement else 0,
        "code_mask": (1 << fmt.bits) - 1 if to_codes else all_bits,
        "zero_less": 0 if fmt.has("zero") else all_bits,
        "up": all_bits if up else 0,
        "up_flip": all_bits if up != up_negative else 0,
        "odd": all_bits if rounding == spec.TO_ODD else 0,
        "tie": int(tie),
        "tie_flip": int(tie != tie_negative),
        "even": int(rounding == spec.NEAREST_EVEN),
        "drawn": (0xFFFFFFFF << (32 - rules[spec.RANDOM_BITS])) & 0xFFFFFFFF,
        "normal_below": min(last_bits_below(carrier, fmt.exact(largest_code)) + 1, infinity),
        "abnormal_sign": 0 if fmt.signed else sign,
        "sign_shift": carrier.bits - fmt.bits if to_codes else 0,
        **_outcomes(rules, to_result),
        **_gap(fmt, carrier, rounding, to_result),
    }


def widening(fmt: FloatFormat) -> NDArray[np.uint32] | None:
    """The constants of `fpemu.kernels.cpu.fast_casts.widen_array`, or None for a format too unlike float32.

    Parameters
    ----------
    fmt : FloatFormat

    Returns
    -------
    numpy.ndarray or None
        Of uint32.
    """
    one_nan = fmt.nan in ("all_ones", "none") and not fmt.infinities
    if not ((fmt.nan == "ieee" and fmt.infinities) or one_nan) or not (fmt.subnormals and fmt.zero):
        return None
    if fmt.bits > 16 or fmt.precision < 2 or not FLOAT32.emin <= fmt.emin <= FLOAT32.bias:
        return None
    same = fmt.emin == FLOAT32.emin  # then the codes of subnormals are float32's, too
    if fmt.exact(fmt.max_code) >= 2 ** (FLOAT32.bias + 1) or not (same or fmt.quantum_exponent >= FLOAT32.emin):
        return None
    shift = FLOAT32.trailing_bits - fmt.trailing_bits
    special = fmt.max_code + 1
    constants = [
        fmt.magnitude_mask,
        special,
        shift,
        FLOAT32.bits - fmt.bits,
        (FLOAT32.bias - fmt.bias) << FLOAT32.trailing_bits,
        _infinity(FLOAT32) + (0 if fmt.infinities else 1 << (FLOAT32.trailing_bits - 1)) - (special << shift),
        0 if same else 1 << FLOAT32.trailing_bits,
        _bits_of_power(FLOAT32, fmt.emin),
    ]
    return np.array([constant % (1 << FLOAT32.bits) for constant in constants], np.uint32)


def values(fmt: FloatFormat, carrier: FloatFormat) -> NDArray[Any]:
    """The bits of the values of all codes of a format, in order; NaN payloads kept.

    Parameters
    ----------
    fmt : FloatFormat
        Of few codes.
    carrier : FloatFormat
        float32 or float64, which holds them.

    Returns
    -------
    numpy.ndarray
        Of uint32 or uint64.
    """
    return np.array(list(map(_to_value_bits(fmt, carrier), range(fmt.code_count))), carrier.code_dtype)


def native(fmt: FloatFormat, rules: Rules, narrows: bool) -> NDArray[Any] | None:
    """The results of special numbers for `fpemu.kernels.cpu.fast_casts.native_array`; None if the rules require more.

    Parameters
    ----------
    fmt : FloatFormat
        float32 or float64.
    rules : tuple of int
        As `fpemu.casting.lowering.lower_rules` returns them.
    narrows : bool
        Whether it is float64 to float32, not the other way round.

    Returns
    -------
    numpy.ndarray or None
        Of the format's codes.
    """
    payload = rules[spec.PAYLOAD]
    others = (*rules[: spec.PAYLOAD], spec.PAYLOAD_DROP, *rules[spec.PAYLOAD + 1 :])
    zeros = rules[spec.ZERO_POSITIVE], rules[spec.ZERO_NEGATIVE] % (1 << 64)
    if (
        not _has_simple_rules(others)
        or zeros != (0, fmt.sign_mask)
        or _rounding_class(rules[spec.ROUNDING]) == STOCHASTIC
    ):
        return None
    if narrows and (payload or rules[spec.ROUNDING] != spec.NEAREST_EVEN):
        return None
    given = [code % (1 << 64) for code in rules[spec.OVERFLOW_POSITIVE : spec.NAN_NEGATIVE + 1]]
    fraction = (1 << fmt.trailing_bits) - 1
    if payload:
        quiet = (fraction + 1) >> 1 if payload == spec.PAYLOAD_QUIET else 0
        given[-2:] = [(code & ~fraction) | quiet for code in given[-2:]]
    return np.array([*given, fraction if payload else 0], fmt.code_dtype)


def _packed(constants: dict[str, int], width: int) -> NDArray[np.uint32] | NDArray[np.uint64]:
    """Constants in the order of the Grid's fields; fields that a loop does not use are 0."""
    from fpemu.kernels.cpu.fast_casts import FIELDS

    words = [constants.get(field, 0) for field in FIELDS]
    return np.array(words, np.uint32) if width == 32 else np.array(words, np.uint64)

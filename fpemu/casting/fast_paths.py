"""Fast loops of casts: which one does a format and a profile, and the constants that make it these.

`route` says which fast loop gives exactly what the general kernel gives, or that none does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fpemu.casting.lowering import Rules
from fpemu.formats import FloatFormat, IntFormat
from fpemu.kernels import spec as places


class Lane(NamedTuple):
    """A source's layout: its width, its fraction bits (M) and its bias."""

    width: int
    fraction_bits: int
    bias: int

    @property
    def emin(self) -> int:
        return 1 - self.bias

    @property
    def infinity(self) -> int:
        return (2 * self.bias + 1) << self.fraction_bits

    def power(self, exponent: int) -> int:
        """The bits of 2^exponent, a normal number."""
        assert self.emin <= exponent <= self.bias
        return (exponent + self.bias) << self.fraction_bits

    def bits(self, significand: int, exponent: int) -> int:
        """The bits of a magnitude that this lane holds; in integers, for the FPU may flush subnormals to zero."""
        if significand == 0:
            return 0
        binade = max(exponent + significand.bit_length() - 1, self.emin)
        shift = exponent - binade + self.fraction_bits
        digits = significand << shift if shift >= 0 else significand >> -shift
        return ((binade - self.emin) << self.fraction_bits) + digits

    def below(self, value: Fraction) -> int:
        """The bits of the largest non-negative number of the lane that is not above `value`."""
        low, high = 0, self.infinity - 1
        while low < high:
            middle = (low + high + 1) // 2
            if self.exact(middle) <= value:
                low = middle
            else:
                high = middle - 1
        return low

    def exact(self, bits: int) -> Fraction:
        """The value of a non-negative number's bits."""
        field, fraction = bits >> self.fraction_bits, bits & ((1 << self.fraction_bits) - 1)
        significand = fraction + ((1 << self.fraction_bits) if field else 0)
        return Fraction(significand) * Fraction(2) ** (max(field, 1) - self.bias - self.fraction_bits)


LANES = {"float32": Lane(32, 23, 127), "float64": Lane(64, 52, 1023)}

# what a loop is specialised for: the numbers of fpemu.kernels.cpu.fast_casts
EVEN, NEAREST, DIRECTED, DOWN, UP, ODD, STOCHASTIC = range(7)


class Route(NamedTuple):
    """A fast loop: "addition", "shift" or "uniform"; how it rounds; whether its results are plain and whether there is
    a gap, as fpemu.kernels.cpu.fast_casts has it; its Grid's words.
    """

    loop: str
    how: int
    plain: bool
    gap: bool
    words: NDArray[np.uint32] | NDArray[np.uint64]


def _how(rounding: int) -> int:
    if rounding == places.NEAREST_EVEN:
        return EVEN
    if rounding <= places.NEAREST_TOWARD_NEGATIVE:
        return NEAREST
    if rounding >= places.STOCHASTIC_A:
        return STOCHASTIC
    return {places.TOWARD_ZERO: DOWN, places.AWAY_FROM_ZERO: UP, places.TO_ODD: ODD}.get(rounding, DIRECTED)


def _tie_goes_up(rounding: int, negative: bool) -> bool:
    """In modes to nearest, an exact tie above an even code."""
    return rounding == places.NEAREST_AWAY or rounding == (
        places.NEAREST_TOWARD_NEGATIVE if negative else places.NEAREST_TOWARD_POSITIVE
    )


def _directed_up(rounding: int, negative: bool) -> bool:
    """In directed modes, whether what is inexact goes up whatever its code."""
    return rounding in (
        places.AWAY_FROM_ZERO,
        places.TOWARD_NEGATIVE if negative else places.TOWARD_POSITIVE,
    )


def _simple(rules: Rules) -> bool:
    """Whether these rules need nothing that only the general kernel has."""
    return not (
        rules[places.PAYLOAD]
        or rules[places.SUBNORMAL_SOURCES_ARE_ZERO]
        or rules[places.FLUSH]
        or rules[places.WRAP]
        or rules[places.ROUNDING] > places.STOCHASTIC_A  # of the stochastic variants the fast loops have A
    )


def _loop(fmt: FloatFormat | IntFormat, lane: Lane, how: int) -> str | None:
    """The loop that can do it, by the conditions that fpemu.kernels.cpu.fast_casts states."""
    trailing, emin, emax = _shape(fmt)
    if trailing > lane.fraction_bits - 1 or fmt.bits > lane.width or emax > lane.bias:
        return None
    if isinstance(fmt, FloatFormat) and (fmt.precision == 1 or not fmt.subnormals):
        lowest = emin + (1 if fmt.precision == 1 and fmt.zero and not fmt.subnormals else 0)
        reaches = lowest >= lane.emin or (fmt.precision == 1 and not fmt.zero and lowest == lane.emin - 1)
        return "uniform" if reaches and how != STOCHASTIC else None
    if emin == lane.emin and isinstance(fmt, FloatFormat):
        return "uniform"
    adder = max(emin, emax + 1) + lane.fraction_bits - trailing
    if how not in (NEAREST, STOCHASTIC) and emin >= lane.emin and adder <= lane.bias and emax + 1 >= lane.emin:
        return "addition"
    deep = emin + lane.bias >= trailing + 2 and emin <= lane.bias
    if how == STOCHASTIC:
        deep = deep and lane.width == 32 and lane.fraction_bits - trailing + emin + lane.bias >= 56
    return "shift" if deep else None


def _shape(fmt: FloatFormat | IntFormat) -> tuple[int, int, int]:
    """(trailing bits, emin, exponent of the largest value); an integer's significand holds all of it."""
    if isinstance(fmt, IntFormat):
        return (
            fmt.bits - 1,
            fmt.bits - 1 - fmt.fraction_bits,
            max(fmt.max_int, -fmt.min_int).bit_length() - 1 - fmt.fraction_bits,
        )
    significand, exponent = fmt.scaled(fmt.max_code)
    return fmt.trailing_bits, fmt.emin, exponent + significand.bit_length() - 1


def _values_fit(fmt: FloatFormat | IntFormat, lane: Lane) -> bool:
    quantum = -fmt.fraction_bits if isinstance(fmt, IntFormat) else fmt.quantum_exponent
    return quantum >= lane.emin - lane.fraction_bits


def _gap(fmt: FloatFormat | IntFormat, lane: Lane, rounding: int, to_word: Callable[[int], int]) -> dict[str, int]:
    """The choice of two below the smallest normal of a format without subnormals, or of precision 1."""
    if not isinstance(fmt, FloatFormat) or (fmt.subnormals and fmt.precision > 1):
        return {}
    smallest = fmt.exact(fmt.min_code)
    everything = (1 << lane.width) - 1
    if not fmt.zero and smallest >= lane.exact(lane.power(lane.emin)):
        word = to_word(fmt.min_code)
        return {"gap": lane.below(smallest), "gap_low": word, "gap_high": word}
    low_code = 0
    low = Fraction(0) if fmt.zero else smallest
    high = fmt.exact(low_code + 1)
    middle = (low + high) / 2
    cuts = []
    for negative in (False, True):
        if _how(rounding) not in (EVEN, NEAREST):
            up = _directed_up(rounding, negative) or rounding == places.TO_ODD  # to odd: to code 1
            cuts.append(lane.below(low) if up else everything)
        else:
            floor = lane.below(middle)
            cuts.append(floor - (lane.exact(floor) == middle and _tie_goes_up(rounding, negative)))
    low_word = 0 if fmt.zero else to_word(low_code)
    return {
        "gap": lane.below(high),
        "gap_cut": cuts[0],
        "gap_cut_flip": cuts[0] ^ cuts[1],
        "gap_low": low_word,
        "gap_high": to_word(low_code + 1),
    }


def _outcomes(rules: Rules, to_word: Callable[[int], int]) -> dict[str, int]:
    words = {}
    for field, positive, negative in (
        ("overflow", places.OVERFLOW_POSITIVE, places.OVERFLOW_NEGATIVE),
        ("infinite", places.INFINITY_POSITIVE, places.INFINITY_NEGATIVE),
        ("nan", places.NAN_POSITIVE, places.NAN_NEGATIVE),
        ("zero", places.ZERO_POSITIVE, places.ZERO_NEGATIVE),
    ):
        words[field] = to_word(rules[positive])
        words[field + "_flip"] = words[field] ^ to_word(rules[negative])
    return words


def _value_bits(fmt: FloatFormat | IntFormat, lane: Lane) -> Callable[[int], int]:
    """From a code to its value's bits in the lane, a NaN's sign kept."""

    def to_word(code: int) -> int:
        value = fmt.value(code)
        if not math.isnan(value):
            sign = 1 << (lane.width - 1) if math.copysign(1, value) < 0 else 0
            if math.isinf(value):
                return lane.infinity | sign
            significand, exponent = fmt.scaled(code)
            return lane.bits(abs(significand), exponent) | sign
        assert isinstance(fmt, FloatFormat)
        signed = fmt.nan != "negative_zero" and code & fmt.sign_mask
        payload = 1 << (lane.fraction_bits - 1)
        if fmt.nan == "ieee":
            payload = (code & ((1 << fmt.trailing_bits) - 1)) << (lane.fraction_bits - fmt.trailing_bits)
        return lane.infinity | payload | (1 << (lane.width - 1) if signed else 0)

    return to_word


def route(fmt: FloatFormat | IntFormat, rules: Rules, source: str, codes: bool) -> Route | None:
    """The fast loop for a cast from float32 or float64, None where there is none.

    Parameters
    ----------
    fmt : FloatFormat or IntFormat
    rules : tuple of int
        As `fpemu.casting.lowering.lower_rules` gives them.
    source : {"float32", "float64"}
    codes : bool
        Codes are wanted, not values of the source's type.

    Returns
    -------
    Route or None
    """
    lane = LANES[source]
    rounding = rules[places.ROUNDING]
    how = _how(rounding)
    if not _simple(rules) or (how == STOCHASTIC and source != "float32"):
        return None
    if isinstance(fmt, FloatFormat) and not fmt.zero and rules[places.UNDERFLOW_POSITIVE] != 0:
        return None
    loop = _loop(fmt, lane, how)
    if loop is None or not (codes or _values_fit(fmt, lane)):
        return None
    trailing, emin, emax = _shape(fmt)
    everything = (1 << lane.width) - 1
    sign = 1 << (lane.width - 1)
    to_word: Callable[[int], int] = int if codes else _value_bits(fmt, lane)
    complement = isinstance(fmt, IntFormat) and fmt.signed and fmt.encoding == "twos_complement"
    if isinstance(fmt, FloatFormat):
        largest = [fmt.max_code, fmt.max_code if fmt.signed else -1 if not fmt.zero else 0]
        limits = [(code if codes else lane.bits(*fmt.scaled(code))) + 1 if code >= 0 else 0 for code in largest]
    else:
        magnitudes = [fmt.max_int, -fmt.min_int]
        limits = [(n if codes else lane.bits(n, -fmt.fraction_bits)) + 1 for n in magnitudes]
    largest_code = fmt.max_code if isinstance(fmt, FloatFormat) else fmt.max_int
    shift = lane.fraction_bits - trailing
    field = max(emin + lane.bias, 0)
    words: dict[str, int] = {
        "sign": sign,
        "infinity": lane.infinity,
        "fraction": (1 << lane.fraction_bits) - 1,
        "hidden": 1 << lane.fraction_bits,
        "fraction_bits": lane.fraction_bits,
        "keep_sign": 0 if rules[places.DROP_SIGN] else everything,
        "shift": shift,
        "emin": field << lane.fraction_bits,
        "field_low": max(field - trailing - 2, 0) << lane.fraction_bits,
        "cut_from": shift + field,
        "lift": shift << lane.fraction_bits,
        "top": lane.power(emax + 1) if lane.emin <= emax + 1 <= lane.bias else lane.infinity,
        "quantum": lane.power(emin - trailing) if lane.emin <= emin - trailing <= lane.bias else 0,
        "offset": ((lane.bias - fmt.bias) << trailing if isinstance(fmt, FloatFormat) else 0) & everything,
        "limit": limits[0],
        "limit_flip": limits[0] ^ limits[1],
        "negative_flip": 0 if codes and complement else (fmt.sign_mask if codes else sign),
        "complement": everything if codes and complement else 0,
        "code_mask": (1 << fmt.bits) - 1 if codes else everything,
        "zero_less": 0 if fmt.has("zero") else everything,
        "up": everything if _directed_up(rounding, False) else 0,
        "up_flip": everything if _directed_up(rounding, False) != _directed_up(rounding, True) else 0,
        "odd": everything if rounding == places.TO_ODD else 0,
        "tie": int(_tie_goes_up(rounding, False)),
        "tie_flip": int(_tie_goes_up(rounding, False) != _tie_goes_up(rounding, True)),
        "even": int(rounding == places.NEAREST_EVEN),
        "drawn": (0xFFFFFFFF << (32 - rules[places.RANDOM_BITS])) & 0xFFFFFFFF,
        "normal_below": min(lane.below(fmt.exact(largest_code)) + 1, lane.infinity),
        "abnormal_sign": 0 if fmt.signed else sign,
        "sign_shift": lane.width - fmt.bits if codes else 0,
        **_outcomes(rules, to_word),
        **_gap(fmt, lane, rounding, to_word),
    }
    gap = "gap" in words
    plain = (
        (how == EVEN or source == "float32")  # elsewhere one loop does for all: not each has to be compiled
        and fmt.signed
        and not complement
        and words["keep_sign"] == everything
        and not words["zero_less"]
        and not words["zero"]
        and not words["limit_flip"]
        and words["zero_flip"] == words["overflow_flip"] == words["negative_flip"]
        and (loop != "uniform" or gap or not codes or (words["offset"] == 0 and words["sign_shift"] == shift))
    )
    if how == EVEN and loop == "shift":
        how = NEAREST
    if how in (DOWN, UP, ODD) and loop != "addition":
        how = DIRECTED
    return Route(loop, how, plain, gap, _packed(words, lane.width))


def widening(fmt: FloatFormat) -> NDArray[np.uint32] | None:
    """The words of `fpemu.kernels.cpu.fast_casts.widen_array` for a format; None where float32's codes are not so near.

    Parameters
    ----------
    fmt : FloatFormat

    Returns
    -------
    numpy.ndarray or None
        Of uint32.
    """
    lane = LANES["float32"]
    one_nan = fmt.nan in ("all_ones", "none") and not fmt.infinities
    if not ((fmt.nan == "ieee" and fmt.infinities) or one_nan) or not (fmt.subnormals and fmt.zero):
        return None
    if fmt.bits > 16 or fmt.precision < 2 or not lane.emin <= fmt.emin <= lane.bias:
        return None
    same = fmt.emin == lane.emin  # then the codes of subnormals are float32's, too
    if fmt.exact(fmt.max_code) >= 2 ** (lane.bias + 1) or not (same or fmt.quantum_exponent >= lane.emin):
        return None
    shift = lane.fraction_bits - fmt.trailing_bits
    special = fmt.max_code + 1
    words = [
        fmt.magnitude_mask,
        special,
        shift,
        lane.width - fmt.bits,
        (lane.bias - fmt.bias) << lane.fraction_bits,
        lane.infinity + (0 if fmt.infinities else 1 << (lane.fraction_bits - 1)) - (special << shift),
        0 if same else 1 << lane.fraction_bits,
        lane.power(fmt.emin),
    ]
    return np.array([word % (1 << lane.width) for word in words], np.uint32)


def values(fmt: FloatFormat, carrier: str) -> NDArray[Any]:
    """The bits of the values of all codes of a format, in order; NaN payloads kept.

    Parameters
    ----------
    fmt : FloatFormat
        Of few codes.
    carrier : {"float32", "float64"}
        A type that holds them.

    Returns
    -------
    numpy.ndarray
        Of uint32 or uint64.
    """
    lane = LANES[carrier]
    return np.array(list(map(_value_bits(fmt, lane), range(fmt.code_count))), f"u{lane.width // 8}")


def native(fmt: FloatFormat, rules: Rules, narrows: bool) -> NDArray[Any] | None:
    """The outcomes that `fpemu.kernels.cpu.fast_casts` takes; None where the rules ask for more.

    Parameters
    ----------
    fmt : FloatFormat
        float32 or float64.
    rules : tuple of int
        As `fpemu.casting.lowering.lower_rules` gives them.
    narrows : bool
        Whether it is float64 to float32, not the other way round.

    Returns
    -------
    numpy.ndarray or None
        Of the format's codes.
    """
    payload = rules[places.PAYLOAD]
    others = (*rules[: places.PAYLOAD], places.PAYLOAD_DROP, *rules[places.PAYLOAD + 1 :])
    zeros = rules[places.ZERO_POSITIVE], rules[places.ZERO_NEGATIVE] % (1 << 64)
    if not _simple(others) or zeros != (0, fmt.sign_mask) or _how(rules[places.ROUNDING]) == STOCHASTIC:
        return None
    if narrows and (payload or rules[places.ROUNDING] != places.NEAREST_EVEN):
        return None
    given = [code % (1 << 64) for code in rules[places.OVERFLOW_POSITIVE : places.NAN_NEGATIVE + 1]]
    fraction = (1 << fmt.trailing_bits) - 1
    if payload:
        quiet = (fraction + 1) >> 1 if payload == places.PAYLOAD_QUIET else 0
        given[-2:] = [(code & ~fraction) | quiet for code in given[-2:]]
    return np.array([*given, fraction if payload else 0], fmt.code_dtype)


def _packed(words: dict[str, int], width: int) -> NDArray[np.uint32] | NDArray[np.uint64]:
    """The words in the order of the Grid's fields; fields that a loop does not use are 0."""
    from fpemu.kernels.cpu.fast_casts import FIELDS

    values = [words.get(field, 0) for field in FIELDS]
    return np.array(values, np.uint32) if width == 32 else np.array(values, np.uint64)

"""The parts of ``python -m tests.proofs.exhaustive native``: float32 to float64 and back by the CPU's own conversions.

What they are held to is not computed by any FPU, nor by fpemu.  Float32s become float64 by integer operations on their
bits.  The other way each source is made so that its result is known beforehand: a float32, the midpoint of two
neighbours, the float64 on either side of that.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np

import fpemu as fe
from fpemu.casting import plans
from fpemu.casting.lowering import lower_rules
from tests.cases import grids
from tests.oracle.compare import DETERMINISTIC, DifferenceError, Sources, profile

SIGN, INFINITY = 1 << 31, 0xFF << 23  # float32's
GAP = 52 - 23  # bits that a float64's fraction has more
CHUNK, STEP = 1 << 27, 1 << 14  # codes in a unit, and at once: few enough that their arrays stay in the caches
FORMATS = {name: fe.dtype(name) for name in ("float32", "float64")}
OTHER = {"float32": "float64", "float64": "float32"}


# -- what is right ----------------------------------------------------------------------------------------------------


def widened(magnitudes):
    """Bits of float64 that have the values of float32s without sign; infinity's code counts as 2^128."""
    magnitudes = magnitudes.astype(np.uint64)
    bits = (magnitudes + np.uint64((1023 - 127) << 23)) << np.uint64(GAP)
    low = np.flatnonzero(magnitudes < 1 << 23)  # subnormals: digits 2^-149, the first of them at bit length - 1
    if low.size:
        digits = magnitudes[low]
        length = np.searchsorted(1 << np.arange(24, dtype=np.uint64), digits, side="right").astype(np.uint64)
        fields = length + np.uint64(1023 - 149 - 2)  # with the first digit, which carries into the field
        bits[low] = np.where(digits == 0, 0, (fields << np.uint64(52)) + (digits << (np.uint64(53) - length)))
    return bits


def middles(magnitudes):
    """Bits of the float64 halfway from finite float32s without sign to the next.

    Two neighbours are of one binade of float64, its upper end included, where bits are as far apart as values are.
    """
    bits = (widened(magnitudes) + widened(magnitudes + np.uint32(1))) >> np.uint64(1)
    return np.where(magnitudes == 0, np.uint64((1023 - 150) << 52), bits)


def as_float64(codes, payload, sign):
    """Float32s as float64s; NaN by the rules for payloads and signs."""
    magnitudes, minus = codes & np.uint32(SIGN - 1), (codes >> np.uint32(31)).astype(np.uint64) << np.uint64(63)
    bits = widened(magnitudes)
    bits[magnitudes == INFINITY] = 0x7FF << 52
    bits |= minus
    nan = np.flatnonzero(magnitudes > INFINITY)
    if nan.size:
        kept = (codes[nan].astype(np.uint64) & np.uint64((1 << 23) - 1)) << np.uint64(GAP)
        kept = {"drop": 1 << 51, "quiet": kept | np.uint64(1 << 51), "keep": kept}[payload]
        bits[nan] = kept | np.uint64(0x7FF << 52) | (minus[nan] if sign == "keep" else 0)
    return bits


def around(codes):
    """Float64s about finite float32s: (what they are, bits, the float32 to nearest even)."""
    magnitudes, minus = codes & np.uint32(SIGN - 1), (codes >> np.uint32(31)).astype(np.uint64) << np.uint64(63)
    half = middles(magnitudes) | minus
    one = np.uint32(1)
    yield "float32", widened(magnitudes) | minus, codes
    yield "midpoints", half, codes + (codes & one)
    yield "below midpoints", half - np.uint64(1), codes
    yield "above midpoints", half + np.uint64(1), codes + one


def with_low_bits(bits):
    """Float64s, and as many with other bits where float32 has none."""
    rng = np.random.default_rng(9)
    low = rng.integers(1, 1 << GAP, bits.size).astype(np.uint64)
    return np.concatenate([bits, bits | np.uint64(1), bits | np.uint64((1 << GAP) - 1), bits | low])


# -- what is compared -------------------------------------------------------------------------------------------------


def refuse(*_):
    raise DifferenceError("the CPU's conversion was not taken: the FPU's modes are not the standard ones")


@functools.cache
def conversion(target, rules):
    """The cast by the CPU's conversions alone; None where the rules ask for more."""
    fmt = FORMATS[target]
    return plans._native(FORMATS[OTHER[target]], fmt, lower_rules(fmt, rules, True, True), refuse)


def compare(target, rules, x, expected, what):
    """The number of elements, all equal; else DifferenceError says where they are not."""
    out = np.empty(x.size, expected.dtype)
    conversion(target, rules)(x, out, plans.NO_RANDOMS)
    if np.array_equal(out, expected):
        return x.size
    wrong = np.flatnonzero(out != expected)
    first = ", ".join(f"{x[i]:#x}: {out[i]:#x} for {expected[i]:#x}" for i in wrong[:5].tolist())
    raise DifferenceError(f"{what} to {target}: {wrong.size} of {x.size} differ: {first}")


NAN_RULES = list(itertools.product(("drop", "quiet", "keep"), ("keep", "drop")))


def widen(codes):
    """Float32s as float64, under each rule for NaN."""
    count, expected = 0, None
    special = bool(((codes & np.uint32(SIGN - 1)) > INFINITY).any())
    for payload, sign in NAN_RULES:
        rules = profile(FORMATS["float64"], nan_payload=payload, nan_sign=sign)
        if special or expected is None:
            expected = as_float64(codes, payload, sign)
        count += compare("float64", rules, codes, expected, f"payload={payload}, sign={sign}")
    return count


def narrow(codes):
    """Float64s about float32s, those about infinity and NaN left out."""
    finite = codes[(codes & np.uint32(SIGN - 1)) < INFINITY]
    rules = profile(FORMATS["float32"], nan_payload="drop")
    return sum(compare("float32", rules, x, expected, what) for what, x, expected in around(finite))


def classes(target, fractions):
    """Sources without sign whose result only the rules decide, by kind, and a number of each kind."""
    nan = fractions[fractions > 0] | np.uint32(INFINITY)
    if target == "float64":
        yield "infinity", np.inf, np.array([INFINITY], np.uint32)
        yield "NaN", np.nan, nan
        return
    yield "infinity", np.inf, np.array([0x7FF << 52], np.uint64)
    yield "NaN", np.nan, with_low_bits(as_float64(nan, "keep", "keep"))
    few = with_low_bits(fractions[:: max(1, fractions.size // 32)].astype(np.uint64) << np.uint64(GAP))
    fields = np.arange(2047, dtype=np.uint64) << np.uint64(52)
    least, most = middles(np.array([0, INFINITY - 1], np.uint32))  # both are ties
    yield "zero", 2.0**-1000, np.append((few | fields[fields < least][:, None]).ravel(), least)
    yield "overflow", 2.0**1000, np.append((few | fields[fields > most][:, None]).ravel(), most)


def rules_of_outcomes(target):
    """Each value of the knobs that decide on overflow, infinities and NaN, if it leaves casts to the CPU."""
    fmt, found = FORMATS[target], {}
    for knob, sign in itertools.product(("overflow", "infinity", "nan", "rounding"), ("keep", "drop")):
        for word in DETERMINISTIC if knob == "rounding" else grids.KNOBS[knob]:
            rules = profile(fmt, nan_payload="drop", nan_sign=sign, **{knob: word})
            if rules is not None and conversion(target, rules) is not None:
                found[rules] = f"{knob}={word}, nan_sign={sign}"
    return found


def decide(target, fractions):
    """What overflows or vanishes, infinities and NaN with these 23 bits, under each rule on what they give."""
    fmt, count = FORMATS[target], 0
    given = list(classes(target, fractions))
    for rules, words in rules_of_outcomes(target).items():
        for (kind, number, x), minus in itertools.product(given, (0, 1)):
            one = np.array([np.copysign(number, -1 if minus else 1)])
            x = x | x.dtype.type(minus << (8 * x.itemsize - 1))
            expected = np.full(x.size, Sources(one, fmt).codes(rules)[0], fmt.code_dtype)
            count += compare(target, rules, x, expected, f"{kind}, {words}")
    return count


# -- the units --------------------------------------------------------------------------------------------------------


def in_steps(function, first, size):
    """The sum of a function of all codes from `first`."""
    steps = range(first, first + size, STEP)
    return sum(function(np.arange(step, step + STEP, dtype=np.uint32)) for step in steps)


def to_float64(start):
    """Every float32: NaN's payload dropped, made quiet, kept, each with its sign kept and dropped."""
    return in_steps(widen, int(start, 16), CHUNK)


def to_float32(start):
    """Every finite float32, every midpoint of two, the float64 below and above each midpoint."""
    return in_steps(narrow, int(start, 16), CHUNK)


def outcomes(target):
    """Infinities, NaN of every 23 bits, what overflows or vanishes, under each rule on what they give."""
    return in_steps(functools.partial(decide, target), 0, 1 << 23)


PARTS = {"to float64": to_float64, "to float32": to_float32, "outcomes": outcomes}


def units():
    """The names of all units: "part/start", "outcomes/target"."""
    starts = [f"{part}/{start:#x}" for part in ("to float64", "to float32") for start in range(0, 1 << 32, CHUNK)]
    return [*starts, *(f"outcomes/{target}" for target in FORMATS)]

"""The executable specification of operations: exact integers, no code shared with fpemu; see `tests.oracle.spec`.

An operation on numbers gives a number, exact but for a sticky last bit far below anything that is kept (round to odd),
and the flags that do not depend on the result's format.  `tests.oracle.spec` rounds it; `raised` adds the other flags.
"""

from __future__ import annotations

import functools
import math

import numpy as np

import fpemu as fe
from tests.oracle import spec
from tests.oracle.spec import Number
from tests.oracle.spec_values import read

INEXACT, UNDERFLOW, OVERFLOW, DIVIDE_BY_ZERO, INVALID = 1, 2, 4, 8, 16
KEPT = 150  # bits: float64's 53 and 32 random bits are far fewer

NAN = Number("nan", False)
EXTREMA = ("minimum", "maximum", "minimum_number", "maximum_number")


def signals(number):
    """Whether a number is a signalling NaN: the first bit of its payload is 0."""
    return number.payload is not None and number.payload[1] > 0 and number.payload[0] >> (number.payload[1] - 1) == 0


def sticky(significand, exponent, more=False):
    """A significand cut to KEPT bits; its last bit is set where anything is lost."""
    cut = max(significand.bit_length() - KEPT, 0)
    kept, rest = divmod(significand, 1 << cut)
    return kept | (rest != 0 or more), exponent + cut


def signed(number):
    """A finite number as a signed integer and an exponent."""
    return (-number.significand if number.negative else number.significand), number.exponent


def exact_sum(x, y, toward_negative):
    """The exact sum of two finite numbers."""
    lowest = min(x.exponent, y.exponent)
    total = sum(significand << (exponent - lowest) for significand, exponent in map(signed, (x, y)))
    if total == 0:
        negative = x.negative if x.negative == y.negative else toward_negative
        return Number("finite", negative, 0, 0)
    return Number("finite", total < 0, *sticky(abs(total), lowest))


def product(x, y):
    """The exact product of two finite numbers."""
    return Number("finite", x.negative != y.negative, x.significand * y.significand, x.exponent + y.exponent)


def add(x, y, toward_negative):
    if "infinite" in (x.kind, y.kind):
        if x.kind == y.kind and x.negative != y.negative:
            return NAN, INVALID
        return Number("infinite", (x if x.kind == "infinite" else y).negative), 0
    return exact_sum(x, y, toward_negative), 0


def negated(x):
    return x._replace(negative=not x.negative)


def multiply(x, y):
    if "infinite" in (x.kind, y.kind):
        if any(n.kind == "finite" and n.significand == 0 for n in (x, y)):
            return NAN, INVALID
        return Number("infinite", x.negative != y.negative), 0
    exact = product(x, y)
    return exact._replace(**dict(zip(("significand", "exponent"), sticky(*exact[2:4]), strict=True))), 0


def divide(x, y):
    negative = x.negative != y.negative
    if x.kind == "infinite":
        return (NAN, INVALID) if y.kind == "infinite" else (Number("infinite", negative), 0)
    if y.kind == "infinite" or (x.significand == 0 and y.significand != 0):
        return Number("finite", negative, 0, 0), 0
    if y.significand == 0:
        return (NAN, INVALID) if x.significand == 0 else (Number("infinite", negative), DIVIDE_BY_ZERO)
    up = KEPT + y.significand.bit_length()
    quotient, rest = divmod(x.significand << up, y.significand)
    return Number("finite", negative, *sticky(quotient, x.exponent - y.exponent - up, rest != 0)), 0


def fma(x, y, z, toward_negative):
    if "nan" not in (x.kind, y.kind):
        between, flags = multiply(x, y)
        if flags:
            return between, flags
        if z.kind == "nan":
            return NAN, 0
        if between.kind == "finite" and z.kind == "finite":
            return exact_sum(product(x, y), z, toward_negative), 0
        return add(between, z, toward_negative)
    return NAN, 0


def sqrt(x):
    if x.kind == "finite" and x.significand == 0:
        return x, 0
    if x.negative:
        return NAN, INVALID
    if x.kind == "infinite":
        return x, 0
    up = 2 * KEPT + x.exponent % 2
    radicand = x.significand << up
    root = math.isqrt(radicand)
    return Number("finite", False, *sticky(root, (x.exponent - up) // 2, root * root != radicand)), 0


def remainder(x, y, nearest):
    """X - n y, n cut off or to the nearest integer, a tie to even."""
    if x.kind == "infinite" or (y.kind == "finite" and y.significand == 0):
        return NAN, INVALID
    if y.kind == "infinite" or x.significand == 0:
        return x, 0
    lowest = min(x.exponent, y.exponent)
    divisor = y.significand << (y.exponent - lowest)
    times, rest = divmod(x.significand << (x.exponent - lowest), divisor)
    if nearest and (2 * rest > divisor or (2 * rest == divisor and times % 2)):
        return Number("finite", not x.negative, divisor - rest, lowest), 0
    return Number("finite", x.negative, rest, lowest), 0


def goes_up(mode, negative, odd, twice, unit):
    """Whether a magnitude whose rest is twice / 2 of a unit goes to the integer above."""
    tie = {
        "nearest_even": odd,
        "nearest_away": True,
        "nearest_toward_zero": False,
        "nearest_toward_positive": not negative,
        "nearest_toward_negative": negative,
    }
    if mode in tie:
        return tie[mode] if twice == unit else twice > unit
    directed = {
        "toward_zero": False,
        "away_from_zero": True,
        "toward_positive": not negative,
        "toward_negative": negative,
        "to_odd": not odd,
    }
    return twice > 0 and directed[mode]


def round_to_integral(x, mode, exact):
    if x.kind == "infinite" or x.exponent >= 0:
        return x, 0
    unit = 1 << -x.exponent
    integer, rest = divmod(x.significand, unit)
    up = goes_up(mode, x.negative, integer % 2 == 1, 2 * rest, unit)
    return Number("finite", x.negative, integer + up, 0), INEXACT if exact and rest else 0


def scaleb(x, n):
    places = n.significand << n.exponent
    return x._replace(exponent=x.exponent + (-places if n.negative else places)), 0


def logb(x):
    if x.kind == "infinite":
        return Number("infinite", False), 0
    if x.significand == 0:
        return Number("infinite", True), DIVIDE_BY_ZERO
    exponent = x.significand.bit_length() - 1 + x.exponent
    return Number("finite", exponent < 0, abs(exponent), 0), 0


def order(x, y):
    """-1, 0 or 1 as the number x is below, equal to or above y."""
    if "infinite" in (x.kind, y.kind):
        ranks = [(n.kind == "infinite") * (-1 if n.negative else 1) for n in (x, y)]
        return (ranks[0] > ranks[1]) - (ranks[0] < ranks[1])
    lowest = min(x.exponent, y.exponent)
    left, right = (significand << (exponent - lowest) for significand, exponent in map(signed, (x, y)))
    return (left > right) - (left < right)


def extremum(name, x, y):
    """The smaller or larger number, -0 below +0; both may be NaN, and one where the name ends in number."""
    if "nan" in (x.kind, y.kind):
        if x.kind == y.kind or not name.endswith("number"):
            return NAN, 0
        return (y if x.kind == "nan" else x), 0
    below = order(x, y) or y.negative - x.negative
    return (x if (below < 0) == name.startswith("min") else y), 0


def divide_without_infinities(x, y):
    """P3109's Divide: whatever is divided by zero is NaN."""
    number, flags = divide(x, y)
    if y.kind == "finite" and y.significand == 0:
        return NAN, flags or INVALID
    return number, flags


def operate(name, numbers, toward_negative, subnormals="keep", mode=None, exact=True, division_by_zero="infinity"):
    """What an operation gives: (a number, flags).

    `subnormals`: what `subnormals_in` is set to; `mode`, `exact`: of roundings to integers.
    """
    numbers = [read(n, subnormals) for n in numbers]
    flags = INVALID if any(map(signals, numbers)) else 0
    if any(n.kind == "nan" for n in numbers) and not name.endswith("number"):
        return NAN, flags | (fma(*numbers, toward_negative)[1] if name == "fma" else 0)
    function = {
        "add": lambda x, y: add(x, y, toward_negative),
        "subtract": lambda x, y: add(x, negated(y), toward_negative),
        "multiply": multiply,
        "divide": divide if division_by_zero == "infinity" else divide_without_infinities,
        "fma": lambda x, y, z: fma(x, y, z, toward_negative),
        "sqrt": sqrt,
        "fmod": lambda x, y: remainder(x, y, False),
        "ieee_remainder": lambda x, y: remainder(x, y, True),
        "round_to_integral": lambda x: round_to_integral(x, mode, exact),
        "scaleb": scaleb,
        "logb": logb,
        "convert": lambda x: (x, 0),
        **{name: functools.partial(extremum, name) for name in EXTREMA},
    }[name]
    number, raised = function(*numbers)
    return number, flags | raised


@functools.cache
def unbounded(fmt):
    """A format of the same precision that goes on below 2^emin with normal numbers; codes keep their parity."""
    bits = min(fmt.bits + 1, 64)
    below = 1 << (fmt.exponent_bits + bits - fmt.bits - 1)
    name = f"{fmt.name}, unbounded"
    signed, zero = fmt.signed, True
    return fe.FloatFormat(
        name, bits, fmt.precision, bias=fmt.bias + below, infinities=False, nan="none", signed=signed, zero=zero
    )


def raised(number, case, into, beyond, before=False):
    """The flags of rounding a number: `case` in the format `into` is of; `beyond`: the one that goes on below."""
    if into.flushes(case, into.goes_up(case)):
        return {"underflow_inexact": UNDERFLOW | INEXACT, "underflow": UNDERFLOW}[into.knob("flush_flags")]
    overflow = case.low + into.goes_up(case) > into.max_code
    inexact = case.position != spec.EXACT or overflow
    below = into.fmt.emin - (number.significand.bit_length() + number.exponent - 1)  # binades
    tiny = below > 0
    if below == 1 and not before:
        far = beyond.classify(number)
        significand, exponent = beyond.value(far.low + beyond.goes_up(far))
        tiny = significand.bit_length() + exponent <= into.fmt.emin
    return INEXACT * inexact | OVERFLOW * overflow | UNDERFLOW * (tiny and inexact)


def rounded(numbers, flags, target, rules, random_bits=None):
    """Codes of exact numbers, and the flags (None where the specification has none) with those of rounding them."""
    into = spec.target(target, rules)
    known = spec.classify(numbers, into)
    codes = spec.encode(known, target, rules, random_bits)
    if target.kind != "float" or not target.signed or isinstance(rules.rounding, fe.Stochastic):
        return codes, None
    wide = unbounded(target)
    beyond = spec.target(wide, wide.check_profile(wide.profile.replace(rounding=rules.rounding)))
    before = rules.tininess.value == "before"
    kept, flags = {}, list(flags)
    for i, (number, place) in enumerate(zip(numbers, known.index.tolist(), strict=True)):
        if number.kind == "finite" and number.significand:
            if number not in kept:
                kept[number] = raised(number, known.cases[place], into, beyond, before)
            flags[i] |= kept[number]
    return codes, np.array(flags, np.uint8)

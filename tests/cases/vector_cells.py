"""The cells of a case of an operation, computed in two ways, both without fpemu's code.

`by_fractions` places one case after another by the exact integers of `tests.oracle.spec` and
`tests.oracle.spec_arithmetic`, for any format; `by_floats` all cases of a narrow format at once, in float64, which has
their sums and products exactly.  Of quotients float64 has the nearest number: two numbers of at most 5 digits have no
quotient that is nearer to a midpoint than 2^-12 of it without being it, so that every comparison is right.
"""

from __future__ import annotations

import functools

import numpy as np

from tests.oracle import spec, spec_arithmetic
from tests.oracle.spec_values import decode, magnitude_kind, top

NOT_ROUNDED, BEYOND = "not rounded", "beyond"
POSITIONS = {spec.EXACT: "exact", spec.BELOW: "below tie", spec.ABOVE: "above tie"}
APART = {-1: "apart p-1", 0: "apart p", 1: "apart p+1", 2: "apart p+2"}


@functools.lru_cache(maxsize=64)
def largest_magnitude(fmt):
    """The largest finite value's code without its sign: all codes below it are finite, none above."""
    low, high = 0, top(fmt) + 1
    while high - low > 1:
        middle = (low + high) // 2
        finite = magnitude_kind(middle, fmt) == "finite"
        low, high = (middle, high) if finite else (low, middle)
    return low


def class_name(code, fmt):
    """The class of a code."""
    number = decode(code, fmt)
    if number.kind == "nan":
        return "signaling NaN" if spec_arithmetic.signals(number) else "quiet NaN"
    sign = "-" if number.negative else "+"
    if number.kind == "infinite":
        return f"{sign}infinity"
    if number.significand == 0:
        return f"{sign}0"
    if fmt.kind == "int":
        ends = (1 << (fmt.bits - fmt.signed)) - 1, 1 << (fmt.bits - 1)
        return f"{sign}{'largest' if number.significand == ends[number.negative] else 'normal'}"
    magnitude = code & top(fmt)
    if magnitude == largest_magnitude(fmt):
        return f"{sign}largest"
    if number.subnormal:
        return f"{sign}subnormal"
    return f"{sign}{'smallest normal' if magnitude == 1 << (fmt.precision - 1) else 'normal'}"


def exponent_of(significand, exponent):
    return significand.bit_length() - 1 + exponent


def addends(operation, numbers):
    """The exponents of the addends; None if one is zero, or if the operation adds nothing."""
    if operation not in ("add", "subtract", "fma") or any(number.significand == 0 for number in numbers):
        return None
    parts = [(number.significand, number.exponent) for number in numbers]
    if operation == "fma":
        (x, x_exponent), (y, y_exponent), z = parts
        parts = [(x * y, x_exponent + y_exponent), z]
    return [exponent_of(*part) for part in parts]


def by_fractions(claim, codes):
    """The classes and the set of situations of each case, the result's code and the flags."""
    target, rules = claim.result, claim.profile
    mode = rules.rounding.value
    operation = "convert" if claim.operation == "cast" else claim.operation
    cases = [tuple(map(decode, case, claim.operands)) for case in zip(*(part.tolist() for part in codes), strict=True)]
    operated = [spec_arithmetic.operate(operation, case, mode == "toward_negative", mode=mode) for case in cases]
    numbers, raised = [number for number, _ in operated], [flags for _, flags in operated]
    results, flags = spec_arithmetic.rounded(numbers, raised, target, rules)
    if claim.operation == "cast":  # NaN by the rules of casts
        results = spec.encode([number for (number,) in cases], target, rules)
    into = spec.target(target, rules)
    least, p = 1 << (target.precision - 1), target.precision
    found = []
    for case, number, special in zip(cases, numbers, raised, strict=True):
        which = set()
        found.append(which)
        if any(operand.kind != "finite" for operand in case) or special & (8 | 16):
            which.add(NOT_ROUNDED)
            continue
        place = into.classify(number)
        rounded = place.low + into.goes_up(place)
        if number.significand == 0:
            which.add("exact")
        elif place.low > into.max_code:
            which.add(BEYOND)
        elif place.position == spec.TIE:
            which.add("tie odd" if place.low % 2 else "tie even")
        else:
            which.add(POSITIONS[place.position])
        if number.significand and place.position != spec.EXACT and place.low <= into.max_code:
            if place.low == into.max_code:
                which.add("overflow threshold")
            up = rounded != place.low
            if up and least < rounded <= into.max_code and rounded % least == 0:
                which.add("carry")
            if place.low < least:
                which.add("from subnormal" if rounded == least else "to subnormal")
        exponents = addends(operation, case)
        if exponents:
            which |= {APART[more] for more in APART if abs(exponents[0] - exponents[1]) == p + more}
            lowest = 2 - target.bias - p - 1
            own = exponent_of(number.significand, number.exponent)
            gone = number.significand == 0 or max(own, lowest) <= max(exponents) - (p - 1)
            if gone and BEYOND not in which:
                which.add("cancellation")
    names = [
        [cached_class(code, fmt) for code in part.tolist()] for part, fmt in zip(codes, claim.operands, strict=True)
    ]
    names.append([cached_class(code, target) for code in results.tolist()])
    return list(zip(*names, strict=True)), found, results, flags


@functools.lru_cache(maxsize=1 << 17)
def cached_class(code, fmt):
    return class_name(code, fmt)


def by_floats(operation, fmt, mode="nearest_even"):
    """All pairs (or triples) of codes: the names of classes by code; the codes; the result's classes; name -> mask."""
    count = fmt.code_count
    arity = 3 if operation == "fma" else 2
    codes = np.unravel_index(np.arange(count**arity), (count,) * arity)
    names = np.array([class_name(code, fmt) for code in range(count)])
    numbers = [decode(code, fmt) for code in range(count)]
    values = np.array([as_float(number) for number in numbers])
    x, y, *rest = (values[part] for part in codes)
    with np.errstate(all="ignore"):
        exact = {
            "add": lambda: x + y,
            "subtract": lambda: x - y,
            "multiply": lambda: x * y,
            "divide": lambda: x / y,
            "fma": lambda: x * y + rest[0],
        }[operation]()
    end = largest_magnitude(fmt)
    grid = [values[magnitude] for magnitude in range(end + 1)]
    grid = np.array([*grid, 2 * grid[-1] - grid[-2], 4 * grid[-1]])  # one more quantum, and what nothing reaches
    special = ~np.isfinite(exact) | ~np.isfinite([x, y, *rest]).all(axis=0)
    magnitude = np.where(special, 0.0, np.abs(exact))
    low = np.minimum(np.searchsorted(grid, magnitude, "right") - 1, end + 1)
    beyond, middle = ~special & (low > end), (grid[low] + grid[np.minimum(low + 1, end + 2)]) / 2
    inside = ~special & ~beyond
    odd, tie = low % 2 == 1, inside & (magnitude == middle)
    above = inside & (magnitude > middle)
    exactly = inside & (magnitude == grid[low])
    up = {"nearest_even": above | (tie & odd), "toward_zero": np.zeros(low.size, bool)}[mode]
    rounded = low + up
    least = 1 << (fmt.precision - 1)
    inexact = inside & ~exactly
    situations = {
        NOT_ROUNDED: special,
        "exact": exactly,
        "below tie": inexact & ~tie & ~above,
        "tie even": tie & ~odd,
        "tie odd": tie & odd,
        "above tie": above,
        BEYOND: beyond,
        "overflow threshold": inexact & (low == end),
        "carry": inexact & up & (rounded <= end) & (rounded > least) & (rounded % least == 0),
        "to subnormal": inexact & (low < least) & (rounded < least),
        "from subnormal": inexact & (low < least) & (rounded == least),
    }
    if operation in ("add", "subtract", "fma"):
        parts = [x, y] if not rest else [x * y, rest[0]]
        both = ~special & np.all([np.isfinite(part) & (part != 0) for part in [*parts, x, y]], axis=0)
        exponents = [np.where(both, np.frexp(np.where(both, part, 1))[1] - 1, 0) for part in parts]
        apart = np.abs(exponents[0] - exponents[1])
        situations |= {name: both & (apart == fmt.precision + more) for more, name in APART.items()}
        lowest = np.frexp(grid[1])[1] - 2
        own = np.where(exact == 0, -1000, np.maximum(np.frexp(np.where(both, exact, 1))[1] - 1, lowest))
        situations["cancellation"] = both & ~beyond & (own <= np.maximum(*exponents) - (fmt.precision - 1))
    # what becomes of results that are no finite value
    sign = np.where(np.signbit(exact), "-", "+")
    over = ~special & ((rounded > end) if mode == "nearest_even" else np.zeros(low.size, bool)) | np.isinf(exact)
    capped = names[np.minimum(rounded, end)].astype("U20")
    result = np.char.add(sign, np.char.lstrip(capped, "+"))
    if fmt.nan == "negative_zero":
        result[result == "-0"] = "+0"
    infinite = "infinity" if fmt.infinities else "quiet NaN" if fmt.nan != "none" else "largest"
    result[over] = infinite if "NaN" in infinite else np.char.add(sign[over], infinite)
    result[np.isnan(exact)] = "quiet NaN" if fmt.nan != "none" else "-0"
    return names, codes, result, situations


def as_float(number):
    """A number that float64 has, as float64."""
    sign = -1.0 if number.negative else 1.0
    if number.kind == "nan":
        return np.nan
    return sign * (np.inf if number.kind == "infinite" else float(number.significand) * 2.0**number.exponent)

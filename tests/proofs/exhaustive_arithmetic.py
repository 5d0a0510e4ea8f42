"""``python -m tests.proofs.exhaustive arithmetic``: every pair, every operand, every deterministic mode, flags.

Exact results come from `tests.oracle.spec_arithmetic` and `tests.oracle.mpfr`; `rounded` there rounds each different
one once for each mode.
"""

from __future__ import annotations

import functools

import numpy as np

import fpemu as fe
from tests.cases import grids
from tests.oracle import mpfr, spec
from tests.oracle.compare import DETERMINISTIC, DifferenceError, profile
from tests.oracle.spec_arithmetic import EXTREMA, operate, order, rounded, signals

PAIRS = ("add", "subtract", "multiply", "divide", "fmod", "ieee_remainder", *EXTREMA)
ONE = ("sqrt", "logb", "convert", "round_to_integral")
PAIR_BITS, ONE_BITS = 8, 16
P3109_BITS = range(3, 7)  # every format; of 8 bits those with precision 3 and 4
COMPARED = {"equal": (0,), "not_equal": (-1, 1, None), "less": (-1,), "less_equal": (-1, 0), "greater": (1,)}
COMPARED |= {"greater_equal": (0, 1), "unordered": (None,)}
QUIET = ("equal", "not_equal", "unordered")


@functools.cache
def formats():
    """The registered formats to 16 bits that are no codebooks, odd ones, and P3109's, by name."""
    found = [*fe.dtypes(), *grids.ODD_FORMATS]
    for bits in P3109_BITS:
        found += grids.p3109(bits)
    found += [fmt for fmt in grids.p3109(8) if fmt.precision in (3, 4)]
    return {fmt.name: fmt for fmt in found if fmt.bits <= ONE_BITS and fmt.kind != "table"}


def every(fmt):
    """All codes of a format, and what they stand for."""
    codes = np.arange(fmt.code_count).astype(fmt.code_dtype)
    return codes, [spec.decode(code, fmt) for code in codes.tolist()]


class Exact:
    """Exact results, each different one once: `places` says which one an element has."""

    def __init__(self, results):
        found = {}
        self.places = np.array([found.setdefault(number, len(found)) for number, _ in results], np.int64)
        self.numbers, self.flags = list(found), np.array([flags for _, flags in results], np.uint8)

    def rounded(self, target, rules):
        """Codes and flags (None where the specification has none)."""
        codes, flags = rounded(self.numbers, [0] * len(self.numbers), target, rules.replace(subnormals_in="keep"))
        codes = np.asarray(codes).astype(np.uint64)[self.places]
        return codes, None if flags is None else flags[self.places] | self.flags


def compare(found, expected, arrays, what):
    """The number of elements, all equal; else DifferenceError says where they are not."""
    codes, flags = expected
    differ = found[0].codes.astype(np.uint64) != codes
    if flags is not None:
        differ |= found[1].bits != flags
    wrong = np.flatnonzero(differ)
    if wrong.size:
        rows = [[hex(part.codes[i]) for part in arrays] + [hex(found[0].codes[i]), hex(codes[i])] for i in wrong[:5]]
        raised = [] if flags is None else [(int(found[1].bits[i]), int(flags[i])) for i in wrong[:5]]
        raise DifferenceError(f"{what}: {wrong.size} of {codes.size} differ: {rows} {raised}")
    return codes.size


def pairs(name):
    """Every pair: add, subtract, multiply, divide, remainders, minimum, maximum, comparisons; formats to 8 bits."""
    fmt, count = formats()[name], 0
    if fmt.bits > PAIR_BITS:
        return 0
    codes, numbers = every(fmt)
    arrays = [fe.Array(np.repeat(codes, codes.size), fmt), fe.Array(np.tile(codes, codes.size), fmt)]
    by_zero = profile(fmt).division_by_zero.value
    for operation in PAIRS:
        kept = {}
        for mode in DETERMINISTIC:
            rules = profile(fmt, rounding=mode)
            down = operation in ("add", "subtract") and mode == "toward_negative"  # the sign of a zero
            if down not in kept:
                results = [operate(operation, [x, y], down, division_by_zero=by_zero) for x in numbers for y in numbers]
                kept[down] = Exact(results)
            found = getattr(fe, operation)(*arrays, profile=rules, return_flags=True)
            count += compare(found, kept[down].rounded(fmt, rules), arrays, f"{operation} in {name}, {mode}")
    known = [
        (None if "nan" in (x.kind, y.kind) else order(x, y), signals(x) or signals(y)) for x in numbers for y in numbers
    ]
    for operation, wanted in COMPARED.items():
        result, flags = getattr(fe, operation)(*arrays, return_flags=True)
        invalid = [noisy if operation in QUIET else kind is None for kind, noisy in known]
        wrong = (result != [kind in wanted for kind, _ in known]) | (flags.bits != 16 * np.array(invalid))
        if wrong.any():
            raise DifferenceError(f"{operation} in {name}: {wrong.sum()} of {wrong.size} differ")
        count += wrong.size
    return count


def one_operand(name):
    """Every operand: sqrt, logb, roundings to integers, conversions to three formats; formats to 16 bits."""
    fmt, count = formats()[name], 0
    codes, numbers = every(fmt)
    array = fe.Array(codes, fmt)
    for operation in ONE:
        results = None
        for mode in DETERMINISTIC:
            if results is None or operation == "round_to_integral":
                results = Exact([operate(operation, [x], False, mode=mode) for x in numbers])
            others = ("float8_e4m3fn", "bfloat16") if operation == "convert" else ()
            for target in {fmt: None} | {fe.dtype(other): None for other in others}:
                rules = profile(target, rounding=mode)
                how = {"fmt" if operation == "convert" else "result": target, "profile": rules, "return_flags": True}
                if operation == "round_to_integral":
                    how["exact"] = True
                found = getattr(fe, operation)(array, **how)
                what = f"{operation} of {name} to {target.name}, {mode}"
                count += compare(found, results.rounded(target, rules), [array], what)
    return count


def elementary(name):
    """Every operand of every elementary function, against MPFR; formats to 16 bits."""
    fmt, count = formats()[name], 0
    codes, numbers = every(fmt)
    array = fe.Array(codes, fmt)
    for function in mpfr.FUNCTIONS:
        known = [mpfr.evaluate(function, x) for x in numbers]
        if function in ("reciprocal", "rsqrt") and profile(fmt).division_by_zero.value == "nan":
            known = [(spec.Number("nan", False) if flags & 8 else number, flags) for number, flags in known]
        results = Exact(known)
        for mode in DETERMINISTIC:
            rules = profile(fmt, rounding=mode)
            found = getattr(fe, function)(array, profile=rules, return_flags=True)
            count += compare(found, results.rounded(fmt, rules), [array], f"{function} in {name}, {mode}")
    return count


PARTS = {"pairs": pairs, "one operand": one_operand, "elementary": elementary}


def units():
    """The names of all units: "part/format"."""
    return [f"{part}/{name}" for part in PARTS for name, fmt in formats().items() if part != "pairs" or fmt.bits <= 8]

"""One assertion, fpemu against the specification, and caches of what that knows of whole sets of sources."""

from __future__ import annotations

import functools

import numpy as np

import fpemu as fe
from tests.cases import number_sources
from tests.oracle import spec

DETERMINISTIC = [mode.value for mode in fe.Rounding]
STOCHASTIC = [
    fe.Stochastic("A", 8),
    fe.Stochastic("B", 5),
    fe.Stochastic("C", 32),
    fe.Stochastic("C", 1),
    fe.Stochastic("equal"),
]
MODES = [*DETERMINISTIC, *STOCHASTIC]
MAIN = [
    "float8_e4m3fn",
    "float8_e5m2",
    "float8_e4m3fnuz",
    "float6_e2m3fn",
    "float4_e2m1fn",
    "bfloat16",
    "float16",
    "float8_e8m0fnu",
    "int8",
]


class DifferenceError(Exception):
    """fpemu and what it is compared with disagree: for the commands, which go on and say so at the end."""


def profile(fmt, **knobs):
    """The format's own profile with some knobs changed; None where an outcome does not exist there."""
    try:
        return fmt.check_profile(fmt.profile.replace(**knobs))
    except ValueError:
        return None


class Sources:
    """Numbers, or codes of the format `source`, to be cast to one format: classified once for each grid."""

    def __init__(self, x, fmt, source=None, numbers=None):
        self.x, self.fmt, self.source = x, fmt, source
        self.numbers = numbers or spec.numbers(x) if source is None else [spec.decode(c, source) for c in x.tolist()]
        self.source_key = (fe.dtype(x.dtype) if source is None else source).codes_key
        self.grids = {}

    def known(self, rules):
        """Where the sources lie under these rules."""
        rules = rules.for_codes(self.fmt.codes_key, self.source_key)
        flushes = (rules.subnormals_out, rules.tininess) if rules.subnormals_out.value == "flush_tiny" else None
        grid = rules.subnormals_in, rules.through, rules.unsigned_negative.value == "magnitude", flushes
        if grid not in self.grids:
            self.grids[grid] = spec.classify(self.numbers, spec.target(self.fmt, rules))
        return self.grids[grid]

    def random_bits(self, rules):
        """Random integers where the rounding wants them, else None."""
        mode = rules.rounding
        return number_sources.random_bits(self.x.size, mode.bits, 0) if isinstance(mode, fe.Stochastic) else None

    def codes(self, rules):
        """The codes that the specification gives."""
        resolved = rules.for_codes(self.fmt.codes_key, self.source_key)
        return spec.encode(self.known(rules), self.fmt, resolved, self.random_bits(rules))

    def assert_encodes(self, rules):
        """Fpemu gives the same; returns the codes."""
        expected = self.codes(rules)
        actual = fe.encode(self.x, self.fmt, profile=rules, source=self.source, random_bits=self.random_bits(rules))
        assert actual.dtype == self.fmt.code_dtype
        assert_same_codes(actual.astype(np.uint64), expected, self.x, self.fmt, rules)
        return expected


@functools.cache
def numbers(name):
    """The numbers of a set of `tests.cases.number_sources`."""
    return spec.numbers(getattr(number_sources, name)())


@functools.lru_cache(maxsize=4)
def set_of_sources(name, fmt):
    """A set of `tests.cases.number_sources`, to be cast to a format."""
    return Sources(getattr(number_sources, name)(), fmt, numbers=numbers(name))


def assert_encodes(x, fmt, rules, source=None):
    """Equal codes from fpemu and from the specification, for an array of numbers or of the codes of `source`."""
    Sources(x, fmt, source).assert_encodes(rules)


def assert_same_codes(actual, expected, x, fmt, rules):
    """No difference, or a message with the first ones."""
    wrong = np.nonzero(actual != expected)[0]
    lines = [f"{wrong.size} of {x.size} differ: {fmt!r} under {rules}"]
    for i in wrong[:8].tolist():
        number = float(x[i]).hex() if x.dtype.kind not in "iub" else hex(int(x[i]))
        lines.append(f"  [{i}] {number}: {int(actual[i]):#x}, but the specification says {int(expected[i]):#x}")
    assert wrong.size == 0, "\n".join(lines)

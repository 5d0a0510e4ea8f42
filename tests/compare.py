"""One assertion, fpemu against the specification, and caches of what that knows of whole sets of sources."""

from __future__ import annotations

import functools

import numpy as np

import fpemu as fe
from tests import sources, spec

DETERMINISTIC = [mode.value for mode in fe.Rounding]
STOCHASTIC = [fe.Stochastic("A", 8), fe.Stochastic("B", 5), fe.Stochastic("C", 32), fe.Stochastic("C", 1)]
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


def profile(fmt, **knobs):
    """The format's own profile with some knobs changed; None where an outcome does not exist there."""
    try:
        return fmt.check_profile(fmt.profile.replace(**knobs))
    except ValueError:
        return None


@functools.cache
def numbers(name):
    """The numbers of a set of `tests.sources`."""
    return spec.numbers(getattr(sources, name)())


@functools.lru_cache(maxsize=32)
def classified(name, fmt, subnormals_in, through, drops_sign):
    """Where a set of `tests.sources` lies on a format's grid; the last three say what else that depends on."""
    rules = fmt.profile.replace(
        rounding="nearest_even",
        subnormals_in=subnormals_in,
        through=through,
        unsigned_negative="magnitude" if drops_sign else "standard",
    )
    return spec.classify(numbers(name), spec.target(fmt, rules))


def set_of_sources(name, fmt, rules):
    """`classified` under these rules."""
    rules = rules.for_codes(fmt.codes_key)
    drops_sign = rules.unsigned_negative.value == "magnitude"
    return classified(name, fmt, rules.subnormals_in.value, rules.through.value, drops_sign)


def random_bits_for(rules, size, seed=0):
    """Random integers where the rounding wants them, else None."""
    return sources.random_bits(size, rules.rounding.bits, seed) if isinstance(rules.rounding, fe.Stochastic) else None


def assert_set_encodes(name, fmt, rules):
    """Every element of a set of `tests.sources`, encoded by fpemu and by the specification."""
    assert_encodes(getattr(sources, name)(), fmt, rules, set_of_sources(name, fmt, rules))


def assert_encodes(x, fmt, rules, known=None, source=None):
    """Equal codes from fpemu and from the specification, for an array of numbers or of the codes of `source`."""
    random = random_bits_for(rules, x.size)
    if known is None:
        known = spec.numbers(x) if source is None else [spec.decode(code, source) for code in x.ravel().tolist()]
    expected = spec.encode(known, fmt, rules, random)
    actual = fe.encode(
        x, fmt, profile=rules, source=source, random_bits=None if random is None else random.reshape(x.shape)
    )
    assert actual.dtype == fmt.code_dtype
    assert_same_codes(actual.ravel().astype(np.uint64), expected, x.ravel(), fmt, rules)


def assert_same_codes(actual, expected, x, fmt, rules):
    """No difference, or a message with the first ones."""
    wrong = np.nonzero(actual != expected)[0]
    lines = [f"{wrong.size} of {x.size} differ: {fmt!r} under {rules}"]
    for i in wrong[:8].tolist():
        number = float(x[i]).hex() if x.dtype.kind not in "iub" else hex(int(x[i]))
        lines.append(f"  [{i}] {number}: {int(actual[i]):#x}, but the specification says {int(expected[i]):#x}")
    assert wrong.size == 0, "\n".join(lines)

"""Scalar cores for loops that users compile with numba: `fpemu.cores`, loaded on first use.

A format is passed as `fmt.spec`, and the rules of its results as `rules(fmt)`: both are tuples of integers, so that a
new format recompiles nothing.  Cores take codes of any integer type and return uint64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fpemu.arithmetic.task import resolve_target
from fpemu.casting.lowering import Rules, lower_rules
from fpemu.casting.stochastic import randomness
from fpemu.formats import FloatFormat, IntFormat, Profile, TableFormat, dtype
from fpemu.formats import profile as find_profile
from fpemu.formats.rules import FloatToIntInvalid, NanPayload, NanRule, Overflow, Rounding, Stochastic, Through
from fpemu.kernels.cache import digest
from fpemu.kernels.opcodes import (
    DIVIDE_BY_ZERO_FLAG,
    EQUAL,
    GREATER,
    INEXACT_FLAG,
    INVALID_FLAG,
    LESS,
    OVERFLOW_FLAG,
    UNDERFLOW_FLAG,
    UNORDERED,
)
from fpemu.kernels.scalar.convert import FINITE, INFINITE, NOT_A_NUMBER
from fpemu.kernels.spec import TININESS
from fpemu.kernels.user import (
    absolute,
    add,
    add_mixed,
    compare,
    decode,
    divide,
    divide_mixed,
    encode,
    fma,
    fma_mixed,
    from_float,
    is_nan,
    maximum,
    minimum,
    multiply,
    multiply_mixed,
    negative,
    njit,
    random_bits,
    recode,
    round_float,
    sqrt,
    sqrt_mixed,
    subtract,
    subtract_mixed,
    to_float,
)

__all__ = [
    "DIGEST",
    "DIVIDE_BY_ZERO",
    "EQUAL",
    "FINITE",
    "GREATER",
    "INEXACT",
    "INFINITE",
    "INVALID",
    "LESS",
    "NOT_A_NUMBER",
    "OVERFLOW",
    "UNDERFLOW",
    "UNORDERED",
    "absolute",
    "add",
    "add_mixed",
    "cache_folder",
    "compare",
    "decode",
    "divide",
    "divide_mixed",
    "encode",
    "fma",
    "fma_mixed",
    "from_float",
    "is_nan",
    "key",
    "maximum",
    "minimum",
    "multiply",
    "multiply_mixed",
    "negative",
    "njit",
    "random_bits",
    "recode",
    "round_float",
    "rules",
    "sqrt",
    "sqrt_mixed",
    "subtract",
    "subtract_mixed",
    "to_float",
]

DIGEST: str = digest()  # of the kernels; it differs if any bit of a result may differ

# The flags of the `_mixed` cores, numbered as in `Flags.bits` (IEEE 754-2019 clause 7)
INEXACT, UNDERFLOW, OVERFLOW = INEXACT_FLAG, UNDERFLOW_FLAG, OVERFLOW_FLAG
DIVIDE_BY_ZERO, INVALID = DIVIDE_BY_ZERO_FLAG, INVALID_FLAG


def rules(
    fmt: Any,
    profile: str | Profile | None = None,
    rounding: str | Rounding | Stochastic | None = None,
    overflow: str | Overflow | None = None,
    source: Any = None,
) -> Rules:
    """The rules that the cores apply to results in a format.

    Parameters
    ----------
    fmt : str, Format or dtype
        The results' format.
    profile : str or Profile, optional
        Default the format's own.
    rounding : str, Rounding or Stochastic, optional
        Replaces the profile's.  If stochastic, the cores take random integers below 2^bits as `random`.
    overflow : str or Overflow, optional
        Replaces the profile's; "wrap" is only for sums and products of integers and fixed point.
    source : str, Format or dtype, optional
        The format that `recode` casts from ("float64" for `from_float` and `round_float`), or the format of the
        operands of mixed operations.  Required if the rules depend on it: from floats to integers, and if the profile
        has rules for casts between two formats or keeps the bits of NaN.

    Returns
    -------
    tuple of int
        Its length is the same for all formats and rules.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If a name is unknown, a format is a codebook, a rule does not apply or is not one of single steps, or the
        rules depend on a source that was not named.

    Examples
    --------
    >>> import fpemu as fe
    >>> e4m3 = fe.dtype("float8_e4m3fn")
    >>> rules = fe.cores.rules(e4m3, rounding="toward_zero")
    >>> code = fe.cores.from_float(0.3, e4m3.spec, rules)
    >>> hex(code), fe.cores.to_float(code, e4m3.spec)
    ('0x29', 0.28125)
    """
    target, origin = dtype(fmt), None if source is None else dtype(source)
    for each in (target, origin):
        if isinstance(each, TableFormat):
            raise ValueError(f"the cores know no codebooks ({each.name}): encode the results")
    given = target.profile if profile is None else find_profile(profile)
    if origin is not None:
        given = given.for_codes(target.codes_key, origin.codes_key)
    # "divide" reads every rule that an operation of the cores reads
    task = resolve_target("divide", (target if origin is None else origin,), target, given, rounding, overflow)
    if task.profile.through is not Through.NONE:
        raise ValueError("a profile with through='float32' rounds twice: round to float32 first, then use recode")
    if origin is None and _depends_on_source(task.format, given, task.profile):
        raise ValueError(
            f"casts to {target.name} under the profile {given.name} depend on the format that they start from: use "
            f"source='float64' for from_float, else recode's source; source={target.name!r} for operations"
        )
    payloads = isinstance(origin, FloatFormat) and origin.nan == "ieee"
    payloads = payloads or (origin is None and task.profile.nan_payload is NanPayload.QUIET)
    numbers = lower_rules(target, task.profile, True, isinstance(origin, FloatFormat)) if payloads else task.rules
    return (*numbers[:TININESS], *task.rules[TININESS:])  # rules of a cast, then those of operations alone


def _depends_on_source(target: FloatFormat | IntFormat, given: Profile, rules: Profile) -> bool:
    """Whether the rules of a cast to a format depend on the source format."""
    if isinstance(target, IntFormat) and rules.float_to_int_invalid is not FloatToIntInvalid.STANDARD:
        return True
    if any(who[0] == "from" and who[2] in (target.codes_key, target.codes_key[0]) for who, _ in given.rows):
        return True
    keeps = rules.nan_payload is NanPayload.KEEP and rules.nan is NanRule.STANDARD and rules.nan_code is None
    return keeps and isinstance(target, FloatFormat) and target.nan == "ieee"


def key(rng: int | np.random.Generator | None = None) -> np.uint64:
    """The key of a stream of random integers, for `random_bits`; `cast` makes the same key from `rng`.

    Parameters
    ----------
    rng : None, int or numpy.random.Generator
        The seed, as in SPEC 7.  One draw from a Generator gives the key.

    Returns
    -------
    numpy.uint64

    Raises
    ------
    TypeError
        If `rng` is something else.
    ValueError
        If it is negative.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.cores.key(0) == fe.cores.key(0) != fe.cores.key(1)
    np.True_
    """
    return np.uint64(randomness(Stochastic(), rng, None, 0, ()).key)


def cache_folder() -> str | None:
    """The folder in which `njit` caches compiled code; None if no folder is writable.

    The folder's name contains `DIGEST`.  For numba's own decorators with `cache=True`, first set
    `numba.config.CACHE_DIR = cache_folder()`.

    Returns
    -------
    str or None

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.cores.DIGEST in (fe.cores.cache_folder() or fe.cores.DIGEST)
    True
    """
    from fpemu.kernels import cache

    folder: str | None = cache.folder
    return folder

"""The scalar cores, for loops that users compile with numba themselves: `fpemu.cores`, loaded when it is asked for.

A format is `fmt.spec`, what to do with results is `rules(fmt)`: tuples of integers, so that another format compiles
nothing anew.  Cores take codes of any unsigned type and give uint64.
"""

from __future__ import annotations

from typing import Any

from fpemu.formats import TableFormat
from fpemu.kernels.convert import FINITE, INFINITE, NOT_A_NUMBER
from fpemu.kernels.jit import digest
from fpemu.kernels.user import (
    add,
    add_mixed,
    decode,
    divide,
    divide_mixed,
    encode,
    fma,
    fma_mixed,
    from_float,
    multiply,
    multiply_mixed,
    njit,
    recode,
    round_float,
    sqrt,
    sqrt_mixed,
    subtract,
    subtract_mixed,
    to_float,
)
from fpemu.knobs import Overflow, Rounding, Stochastic, Through
from fpemu.operating import task_for
from fpemu.outcomes import Rules
from fpemu.profiles import Profile
from fpemu.profiles import profile as find_profile
from fpemu.registry import dtype as find_format

__all__ = [
    "DIGEST",
    "FINITE",
    "INFINITE",
    "NOT_A_NUMBER",
    "add",
    "add_mixed",
    "cache_folder",
    "decode",
    "divide",
    "divide_mixed",
    "encode",
    "fma",
    "fma_mixed",
    "from_float",
    "multiply",
    "multiply_mixed",
    "njit",
    "recode",
    "round_float",
    "rules",
    "sqrt",
    "sqrt_mixed",
    "subtract",
    "subtract_mixed",
    "to_float",
]

DIGEST: str = digest()  # of the kernels: another one where any bit of a result may differ


def rules(
    fmt: Any,
    profile: str | Profile | None = None,
    rounding: str | Rounding | Stochastic | None = None,
    overflow: str | Overflow | None = None,
) -> Rules:
    """What the cores do with results in a format, as they read it.

    Parameters
    ----------
    fmt : str, Format or dtype
        The results' format.
    profile : str or Profile, optional
        Default the format's own.
    rounding : str, Rounding or Stochastic, optional
        Instead of the profile's.  Stochastic: the cores take the random integers, below 2^bits, as `random`.
    overflow : str or Overflow, optional
        Instead of the profile's; "wrap" only for sums and products of integers and fixed point.

    Returns
    -------
    tuple of int
        Of one length for all formats and rules.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If a name is unknown, the format is a codebook, or a rule does not apply or is not one of single steps.

    Examples
    --------
    >>> import fpemu as fe
    >>> e4m3 = fe.dtype("float8_e4m3fn")
    >>> rules = fe.cores.rules(e4m3, rounding="toward_zero")
    >>> code = fe.cores.from_float(0.3, e4m3.spec, rules)
    >>> hex(code), fe.cores.to_float(code, e4m3.spec)
    ('0x29', 0.28125)
    """
    target = find_format(fmt)
    if isinstance(target, TableFormat):
        raise ValueError(f"the cores know no codebooks ({target.name}): encode the results")
    task = task_for(
        "add", (target,), target, target.profile if profile is None else find_profile(profile), rounding, overflow
    )
    if task.profile.through is not Through.NONE:
        raise ValueError("a profile with through='float32' rounds twice: round to float32 first, then use recode")
    return (*task.rules, *task.knobs)


def cache_folder() -> str | None:
    """Where `njit` keeps what it compiles; None where no folder can be written to.

    The folder's name has `DIGEST` in it.  For other decorators of numba: `numba.config.CACHE_DIR = cache_folder()`
    before they are used with `cache=True`.

    Returns
    -------
    str or None

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.cores.DIGEST in (fe.cores.cache_folder() or fe.cores.DIGEST)
    True
    """
    from fpemu.kernels import jit

    folder: str | None = jit._folder
    return folder

"""Public casts: arguments, result dtypes, and the plan that does the work."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fpemu.casting.buffers import check_out
from fpemu.casting.execution import execute, refuse_nans
from fpemu.casting.inputs import as_numbers, as_source
from fpemu.casting.lowering import resolve_rules
from fpemu.casting.plans import Plan, plan
from fpemu.casting.result_dtype import as_dtype, cast_dtype, decode_dtype, has_all_of, value_format
from fpemu.casting.sequences import Source
from fpemu.casting.significands import cast_rest
from fpemu.casting.stochastic import randomness
from fpemu.formats import EXACT, FloatFormat, Format, IntFormat, Profile, as_int
from fpemu.formats import dtype as find_format
from fpemu.formats.rules import Overflow, Rounding, Stochastic
from fpemu.kernels import threads


def cast(
    x: ArrayLike,
    fmt: Any,
    *,
    profile: str | Profile | None = None,
    rounding: str | Rounding | Stochastic | None = None,
    overflow: str | Overflow | None = None,
    rng: int | np.random.Generator | None = None,
    random_bits: ArrayLike | None = None,
    rng_offset: int = 0,
    source: Any = None,
    dtype: DTypeLike | None = None,
    out: NDArray[Any] | None = None,
) -> Any:
    """Round numbers to a format's values, kept in an ordinary float type ("fake quantization").

    Each element is rounded once, from its exact value: decode, round to the format's precision, handle overflow.

    Parameters
    ----------
    x : array_like
        Numbers, each read exactly: numpy, ml_dtypes and `Array` arrays, CPU torch tensors, Python's numbers with
        Fraction and Decimal, gmpy2's and mpmath's real ones, text ("0.1", "0x1.8p-3"), nested sequences of any of them.
    fmt : str, Format or dtype
        The format; see `dtype`.
    profile : str or Profile, optional
        The rules; default the format's own (`fmt.profile`).
    rounding : str, Rounding or Stochastic, optional
        Replaces the profile's.
    overflow : str or Overflow, optional
        Replaces the profile's.
    rng : None, int or numpy.random.Generator
        Stochastic rounding: the seed, as in SPEC 7.  One draw from a Generator gives the 64-bit key.
    random_bits : array_like of int, optional
        Stochastic rounding: the random integers themselves, of x's shape, below 2^bits.
    rng_offset : int
        Stochastic rounding: the index in the stream of x's first element (in C order).
    source : str, Format or dtype, optional
        If given, x contains codes of this format.
    dtype : numpy dtype, optional
        The result's; default: x's if that is a float which holds every value of the format, else float32 if it
        does, else float64.  Sequences and single numbers have the dtype that numpy gives them where that changes no
        number, else int64 or uint64 if all are integers, else float64.
    out : numpy.ndarray, optional
        An array for the result, of x's shape and the result's dtype.

    Returns
    -------
    numpy.ndarray or numpy scalar
        Of x's shape; a scalar for a number.

    Raises
    ------
    TypeError
        If `x`, `fmt` or an option is of the wrong kind.
    ValueError
        If a name is unknown, a rule does not apply to the format, no float holds the format's values, a code is out
        of range, or `out` does not fit.

    See Also
    --------
    encode : the same, as codes.

    Notes
    -----
    IEEE 754-2019 clauses 4.3 and 7.4; OCP OFP8 1.0; IEEE P3109 interim report 4.0.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.cast([0.1, 464.0, 465.0, -0.3], "float8_e4m3fn")
    array([ 1.015625e-01,  4.480000e+02,           nan, -3.125000e-01])
    >>> fe.cast(1000.0, "float8_e4m3fn", overflow="saturate")
    np.float64(448.0)
    """
    numbers = as_numbers(x, source)
    cast_plan, result = _plan_of_cast(
        numbers.format, numbers.dtype, _hashable(fmt), profile, rounding, overflow, as_dtype(dtype)
    )
    if rng is None and random_bits is None and cast_plan.stochastic:
        rng = getattr(x, "rng", None)
    if numbers.rest is not None:
        codes = _exactly(numbers, cast_plan, rng, random_bits, rng_offset)
        return decode(codes, cast_plan.target, dtype=result, out=out)
    values = execute(numbers, cast_plan, rng, random_bits, rng_offset, out if result is not None else None, result)
    # Without a dtype the format's range exceeds float64's: decode checks each element.
    return values if result is not None else decode(values, cast_plan.target, out=out)


def encode(
    x: ArrayLike,
    fmt: Any,
    *,
    profile: str | Profile | None = None,
    rounding: str | Rounding | Stochastic | None = None,
    overflow: str | Overflow | None = None,
    rng: int | np.random.Generator | None = None,
    random_bits: ArrayLike | None = None,
    rng_offset: int = 0,
    source: Any = None,
    out: NDArray[Any] | None = None,
) -> Any:
    """Round numbers to a format and return the codes.

    Parameters
    ----------
    x : array_like
        Numbers, or codes of `source`; see `cast`.
    fmt : str, Format or dtype
        The format; see `dtype`.
    profile : str or Profile, optional
        The rules; default the format's own (`fmt.profile`).
    rounding : str, Rounding or Stochastic, optional
        Replaces the profile's.
    overflow : str or Overflow, optional
        Replaces the profile's.
    rng : None, int or numpy.random.Generator
        Stochastic rounding: the seed; see `cast`.
    random_bits : array_like of int, optional
        Stochastic rounding: the random integers themselves, of x's shape, below 2^bits.
    rng_offset : int
        Stochastic rounding: the index in the stream of x's first element (in C order).
    source : str, Format or dtype, optional
        If given, x contains codes of this format.
    out : numpy.ndarray, optional
        An array for the codes, of x's shape and the codes' dtype.

    Returns
    -------
    numpy.ndarray or numpy scalar of unsigned integers
        Right-aligned bit patterns in the smallest unsigned type that holds them (-1 in int4 is 0x0F), of x's shape.

    Raises
    ------
    TypeError
        If `x`, `fmt` or an option is of the wrong kind.
    ValueError
        If a name is unknown, a rule does not apply to the format, a code is out of range, or `out` does not fit.

    See Also
    --------
    cast : the same, as values.
    decode : the way back.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.encode([1.0, -1.0, 1e9], "float8_e5m2")
    array([ 60, 188, 124], dtype=uint8)
    >>> fe.encode(124, "float8_e4m3fn", source="float8_e5m2")
    np.uint8(127)
    """
    numbers = as_numbers(x, source)
    cast_plan = _plan_of_encode(numbers.format, _hashable(fmt), profile, rounding, overflow)
    if rng is None and random_bits is None and cast_plan.stochastic:
        rng = getattr(x, "rng", None)
    if numbers.rest is not None:
        return _exactly(numbers, cast_plan, rng, random_bits, rng_offset, out)
    return execute(numbers, cast_plan, rng, random_bits, rng_offset, out, None)


def decode(codes: ArrayLike, fmt: Any, *, dtype: DTypeLike | None = None, out: NDArray[Any] | None = None) -> Any:
    """Return the values of codes.

    Parameters
    ----------
    codes : array_like of unsigned int
        Right-aligned bit patterns.
    fmt : str, Format or dtype
        Their format.
    dtype : numpy dtype, optional
        The result's; default: float32, or float64 where float32 cannot hold every value; for integer formats the
        smallest integer type.
    out : numpy.ndarray, optional
        An array for the values, of the codes' shape and the result's dtype.

    Returns
    -------
    numpy.ndarray or numpy scalar
        Of the codes' shape.

    Raises
    ------
    TypeError
        If the codes are not integers.
    ValueError
        If a code is out of range, or the result's type cannot hold the values.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.decode(0x3C, "float16")
    np.float32(3.5762787e-06)
    >>> fe.decode([0x0F, 0x07], "int4")
    array([-1,  7], dtype=int8)
    """
    cast_plan, result, held = _plan_of_decode(_hashable(fmt), as_dtype(dtype))
    numbers = as_source(codes, cast_plan.source)
    values = execute(numbers, cast_plan, None, None, 0, out, result)
    if not held and isinstance(cast_plan.source, FloatFormat):
        _check_exact(numbers.codes, cast_plan.source, values, result)
    return values


def _exactly(
    numbers: Source,
    cast_plan: Plan,
    rng: int | np.random.Generator | None,
    random_bits: ArrayLike | None,
    rng_offset: int,
    out: NDArray[Any] | None = None,
) -> Any:
    """The codes of numbers that no single format holds: by the plan, except for the `rest`."""
    assert numbers.rest is not None
    if cast_plan.value_format is not None:
        cast_plan = plan(cast_plan.source, cast_plan.target, cast_plan.rules, None)
    if out is not None:
        check_out(out, numbers.codes.shape, cast_plan.out_dtype)
    if cast_plan.refuses_nan:
        refuse_nans(numbers)
    randoms = randomness(cast_plan.rules.rounding, rng, random_bits, rng_offset, numbers.codes.shape)
    codes = np.empty(numbers.codes.size, cast_plan.out_dtype)
    cast_plan.prepare(codes.size)
    cast_plan(np.ascontiguousarray(numbers.codes).reshape(-1), codes, randoms)
    floats = isinstance(numbers.format, FloatFormat)
    codes[numbers.rest.indices] = cast_rest(numbers.rest, cast_plan.target, cast_plan.rules, floats, randoms)
    if out is None:
        return codes.reshape(numbers.codes.shape)[()]
    out[...] = codes.reshape(numbers.codes.shape)
    return out


def set_num_threads(count: int) -> None:
    """Set the number of threads that casts of more than a million elements use; no result depends on it.

    Parameters
    ----------
    count : int
        1 to 4096.

    Raises
    ------
    TypeError
        If `count` is not an int.
    ValueError
        If it is below 1 or above 4096.

    See Also
    --------
    get_num_threads : the number in use; at first FPEMU_NUM_THREADS, else the CPUs that the process may use.

    Examples
    --------
    >>> import fpemu as fe
    >>> before = fe.get_num_threads()
    >>> fe.set_num_threads(1)
    >>> fe.get_num_threads()
    1
    >>> fe.set_num_threads(before)
    """
    count = as_int(count, "the number of threads")
    if not 1 <= count <= threads.MAX_COUNT:
        raise ValueError(f"the number of threads must be 1 to {threads.MAX_COUNT}, not {count}")
    threads.set_count(count)


def get_num_threads() -> int:
    """The number of threads that casts of more than a million elements use.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If the environment's FPEMU_NUM_THREADS is not a whole number from 1 to 4096.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.get_num_threads() >= 1
    True
    """
    return int(threads.get_count())


def _hashable(fmt: Any) -> Any:
    """A format, or its name, as the key of a cache; raise TypeError for anything else."""
    try:
        hash(fmt)
    except TypeError:
        return find_format(fmt)
    return fmt


@functools.lru_cache(maxsize=1024)
def _plan_of_cast(
    source: Format,
    own: np.dtype[Any] | None,
    fmt: Any,
    profile: str | Profile | None,
    rounding: str | Rounding | Stochastic | None,
    overflow: str | Overflow | None,
    asked: np.dtype[Any] | None,
) -> tuple[Plan, np.dtype[Any] | None]:
    """The plan of a cast and the dtype of its result; a plan to codes and None if no float type has the range."""
    target = find_format(fmt)
    rules = resolve_rules(target, profile, rounding, overflow, source)
    result = cast_dtype(own, target, asked)
    if not has_all_of(result, target):
        return plan(source, target, rules, None), None
    return plan(source, target, rules, value_format(result)), result


@functools.lru_cache(maxsize=1024)
def _plan_of_encode(
    source: Format,
    fmt: Any,
    profile: str | Profile | None,
    rounding: str | Rounding | Stochastic | None,
    overflow: str | Overflow | None,
) -> Plan:
    """The plan of an encode."""
    target = find_format(fmt)
    return plan(source, target, resolve_rules(target, profile, rounding, overflow, source), None)


@functools.lru_cache(maxsize=1024)
def _plan_of_decode(fmt: Any, asked: np.dtype[Any] | None) -> tuple[Plan, np.dtype[Any], bool]:
    """The plan of a decode, the dtype of its result, and whether that dtype holds every value."""
    target = find_format(fmt)
    result = decode_dtype(target, asked)
    carrier = value_format(result)
    # The values are exact, so nothing is rounded; NaN payloads are kept.
    exactly = carrier.check_profile(EXACT)
    return plan(target, carrier, exactly, None), result, isinstance(carrier, IntFormat) or has_all_of(result, target)


def _check_exact(codes: NDArray[Any], fmt: FloatFormat, values: Any, dtype: np.dtype[Any]) -> None:
    """Raise ValueError if a finite value exceeds the dtype, for formats whose range does."""
    values = np.asarray(values)
    encoded = np.asarray(encode(values, fmt, rounding="toward_zero"))
    magnitudes = codes & np.asarray(fmt.magnitude_mask, codes.dtype)
    finite = magnitudes <= fmt.max_code
    if fmt.nan == "negative_zero":
        finite &= codes != fmt.sign_mask
    wrong = finite & ((encoded != codes) | np.isinf(values))
    if wrong.any():
        index = int(np.flatnonzero(wrong)[0])
        significand, exponent = fmt.scaled(int(codes.reshape(-1)[index]))
        raise ValueError(
            f"element {index} is {significand} * 2**{exponent}, which {dtype} cannot hold: use encode, and "
            f"{fmt.name}'s exact(code) for exact values"
        )

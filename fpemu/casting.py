"""cast, encode and decode: numpy manners around the plans that do the work."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fpemu.formats import FloatFormat, Format, IntFormat
from fpemu.plans import NO_RANDOMS, Plan, holds, plan
from fpemu.profiles import NanRule, Overflow, Profile, Rounding, Stochastic, rounding_mode
from fpemu.profiles import profile as find_profile
from fpemu.registry import dtype as find_format
from fpemu.sources import Source, as_source

__all__ = ["cast", "decode", "encode", "get_num_threads", "set_num_threads"]

_FLOATS = ("float32", "float64")


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
        Numbers: any numpy bool, integer or float array, ml_dtypes arrays, CPU torch tensors, Python numbers, `Array`.
        A plain array's elements are exactly their values.
    fmt : str, Format or dtype
        The format; see `dtype`.
    profile : str or Profile, optional
        The rules; default the format's own (`fmt.profile`).
    rounding : str, Rounding or Stochastic, optional
        Instead of the profile's.
    overflow : str or Overflow, optional
        Instead of the profile's.
    rng : None, int or numpy.random.Generator
        Stochastic rounding: the seed, as numpy's SPEC 7 has it.  A Generator gives one 64-bit key by one draw.
    random_bits : array_like of int, optional
        Stochastic rounding: the random integers themselves, of x's shape, below 2^bits.
    rng_offset : int
        Stochastic rounding: the place of x's first element (in C order) in the stream.
    source : str, Format or dtype, optional
        x holds codes of this format.
    dtype : numpy dtype, optional
        Of the result; default: x's if that is a float which holds every value of the format, else float32 if it
        does, else float64.
    out : numpy.ndarray, optional
        Where to put the result: x's shape, the result's dtype.

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
    array([ 1.01562e-01,  4.48000e+02,          nan, -3.12500e-01])
    >>> fe.cast(1000.0, "float8_e4m3fn", overflow="saturate")
    np.float64(448.0)
    """
    given = as_source(x, source)
    target = find_format(fmt)
    rules = _rules(target, profile, rounding, overflow)
    result = _result_dtype(given.dtype, target, dtype)
    if not _held(result, target):  # the range is beyond float64's: each element has to show that it is not
        codes = _run(given, plan(given.format, target, rules, None), rules, rng, random_bits, rng_offset, None, None)
        return decode(codes, target, out=out)
    work = plan(given.format, target, rules, _value_format(result))
    return _run(given, work, rules, rng, random_bits, rng_offset, out, result)


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
    """Round numbers to a format and give the codes.

    Parameters
    ----------
    x : array_like
        Numbers, or codes of `source`; see `cast`.
    fmt : str, Format or dtype
        The format; see `dtype`.
    profile : str or Profile, optional
        The rules; default the format's own (`fmt.profile`).
    rounding : str, Rounding or Stochastic, optional
        Instead of the profile's.
    overflow : str or Overflow, optional
        Instead of the profile's.
    rng : None, int or numpy.random.Generator
        Stochastic rounding: the seed; see `cast`.
    random_bits : array_like of int, optional
        Stochastic rounding: the random integers themselves, of x's shape, below 2^bits.
    rng_offset : int
        Stochastic rounding: the place of x's first element (in C order) in the stream.
    source : str, Format or dtype, optional
        x holds codes of this format.
    out : numpy.ndarray, optional
        Where to put the codes: x's shape, the codes' dtype.

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
    given = as_source(x, source)
    target = find_format(fmt)
    rules = _rules(target, profile, rounding, overflow)
    work = plan(given.format, target, rules, None)
    return _run(given, work, rules, rng, random_bits, rng_offset, out, None)


def decode(codes: ArrayLike, fmt: Any, *, dtype: DTypeLike | None = None, out: NDArray[Any] | None = None) -> Any:
    """What codes stand for.

    Parameters
    ----------
    codes : array_like of unsigned int
        Right-aligned bit patterns.
    fmt : str, Format or dtype
        Their format.
    dtype : numpy dtype, optional
        Of the result; default: float32, or float64 where float32 cannot hold every value; for integer formats the
        smallest integer type.
    out : numpy.ndarray, optional
        Where to put the values: the codes' shape, the result's dtype.

    Returns
    -------
    numpy.ndarray or numpy scalar
        Of the codes' shape.

    Raises
    ------
    TypeError
        If the codes are no integers.
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
    target = find_format(fmt)
    given = as_source(codes, target)
    result = _decoded_dtype(target, dtype)
    # The codes are exact: what carries them into the result's type rounds nothing.
    carrier = _value_format(result)
    work = plan(target, carrier, _exactly(carrier), None)
    values = _run(given, work, carrier.profile, None, None, 0, out, result)
    if isinstance(target, FloatFormat) and not _held(result, target):
        _check_exact(given.codes, target, values, result)
    return values


def set_num_threads(count: int) -> None:
    """Set how many threads casts of more than a million elements use; no result depends on it.

    Parameters
    ----------
    count : int
        1 or more.

    Raises
    ------
    TypeError
        If `count` is no int.
    ValueError
        If it is below 1.

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
    from fpemu.kernels import threads

    if isinstance(count, bool) or not isinstance(count, int | np.integer):
        raise TypeError(f"the number of threads must be an int, not {type(count).__name__}")
    if count < 1:
        raise ValueError(f"the number of threads must be 1 or more, not {count}")
    threads.set_count(int(count))


def get_num_threads() -> int:
    """How many threads casts of more than a million elements use.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If the environment's FPEMU_NUM_THREADS is no whole number above 0.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.get_num_threads() >= 1
    True
    """
    from fpemu.kernels import threads

    return threads.get_count()


@functools.lru_cache(maxsize=1024)
def _rules(
    target: Format,
    profile: str | Profile | None,
    rounding: str | Rounding | Stochastic | None,
    overflow: str | Overflow | None,
) -> Profile:
    """The knobs as they stand for this target and these keywords."""
    rules = target.profile if profile is None else find_profile(profile)
    rules = rules.for_codes(target.codes_key)
    if rounding is not None:
        rules = rules.replace(rounding=rounding_mode(rounding))
    if overflow is not None:
        rules = rules.replace(overflow=overflow)
    return target.check_profile(rules)


@functools.lru_cache(maxsize=1024)
def _value_format(dtype: np.dtype[Any]) -> FloatFormat | IntFormat:
    """The format of a numpy dtype of numbers."""
    fmt = find_format(dtype)
    assert isinstance(fmt, FloatFormat | IntFormat)
    return fmt


@functools.lru_cache(maxsize=1024)
def _held(dtype: np.dtype[Any], fmt: Format) -> bool:
    """Whether a float dtype has every value of a format."""
    carrier = _value_format(dtype)
    return isinstance(carrier, FloatFormat) and carrier.nan == "ieee" and holds(carrier, fmt)


def _as_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """A dtype that the caller named: of numbers that fpemu knows."""
    try:
        found = np.dtype(dtype)
        _value_format(found)
    except (TypeError, ValueError, AssertionError):
        raise TypeError(f"dtype must be a float dtype, not {dtype!r}") from None
    return found


@functools.lru_cache(maxsize=1024)
def _result_dtype(own: np.dtype[Any] | None, fmt: Format, asked: DTypeLike | None) -> np.dtype[Any]:
    """The dtype of a cast's result; `own`: x's."""
    if asked is not None:
        dtype = _as_dtype(asked)
        if not isinstance(_value_format(dtype), FloatFormat):
            raise TypeError(f"a cast's values are floats: dtype cannot be {dtype}; encode gives codes")
        if not _held(dtype, fmt):
            raise ValueError(f"{dtype} cannot hold every value of {fmt.name}; leave dtype out, or encode")
        return dtype
    if own is not None and own.kind in "fV" and isinstance(_value_format(own), FloatFormat) and _held(own, fmt):
        return own.newbyteorder("=")
    for name in _FLOATS:
        if _held(np.dtype(name), fmt):
            return np.dtype(name)
    if isinstance(fmt, FloatFormat) and fmt.precision <= 53:
        return np.dtype(np.float64)  # its range is beyond float64's: the elements are checked
    raise ValueError(f"no float type holds every value of {fmt.name}: use encode, which gives codes")


@functools.lru_cache(maxsize=1024)
def _decoded_dtype(fmt: Format, asked: DTypeLike | None) -> np.dtype[Any]:
    """The dtype of decoded values."""
    integer = isinstance(fmt, IntFormat) and fmt.fraction_bits == 0
    if asked is None:
        if isinstance(fmt, IntFormat) and integer:
            return np.dtype(("" if fmt.signed else "u") + f"int{max(8, 1 << (fmt.bits - 1).bit_length())}")
        return _result_dtype(None, fmt, None)
    dtype = _as_dtype(asked)
    carrier = _value_format(dtype)
    if isinstance(carrier, FloatFormat):
        return _result_dtype(None, fmt, dtype)
    if isinstance(fmt, IntFormat) and integer and carrier.min_int <= fmt.min_int and fmt.max_int <= carrier.max_int:
        if fmt.symmetric and carrier.bits <= fmt.bits and carrier.min_int > -(1 << (fmt.bits - 1)):
            raise ValueError(f"{dtype} cannot hold every value of {fmt.name}")
        return dtype
    raise ValueError(f"{dtype} cannot hold every value of {fmt.name}")


@functools.lru_cache(maxsize=64)
def _exactly(carrier: FloatFormat | IntFormat) -> Profile:
    """Rules for carrying values into a type that holds them: NaN payloads too."""
    return carrier.check_profile(find_profile("ieee").replace(nan_payload="keep"))


def _check_exact(codes: NDArray[Any], fmt: FloatFormat, values: Any, dtype: np.dtype[Any]) -> None:
    """Raise ValueError if a finite value is beyond the dtype, for formats whose range is."""
    values = np.asarray(values)
    again = np.asarray(encode(values, fmt, rounding="toward_zero"))
    magnitudes = codes & np.asarray(fmt.magnitude_mask, codes.dtype)
    finite = magnitudes <= fmt.max_code
    if fmt.nan == "negative_zero":
        finite &= codes != fmt.sign_mask
    wrong = finite & ((again != codes) | np.isinf(values))
    if wrong.any():
        where = int(np.flatnonzero(wrong)[0])
        significand, exponent = fmt.scaled(int(codes.reshape(-1)[where]))
        raise ValueError(
            f"element {where} is {significand} * 2**{exponent}, which {dtype} cannot hold: use encode, and {fmt.name}'s "
            "exact(code) for exact values"
        )


def _key(rng: int | np.random.Generator | None) -> int:
    """One 64-bit key from what numpy's SPEC 7 calls rng."""
    if isinstance(rng, bool) or not (rng is None or isinstance(rng, int | np.integer | np.random.Generator)):
        raise TypeError(f"rng must be None, an int or a numpy Generator, not {type(rng).__name__}")
    if not isinstance(rng, np.random.Generator):
        if rng is not None and rng < 0:
            raise ValueError(f"rng must not be negative, but is {rng}")
        rng = np.random.default_rng(rng)
    return int(rng.integers(0, 1 << 64, dtype=np.uint64))


def _randoms(random_bits: ArrayLike, rounding: Rounding | Stochastic, shape: tuple[int, ...]) -> NDArray[Any]:
    """The random integers that the caller gives, checked, one-dimensional."""
    if not isinstance(rounding, Stochastic):
        raise ValueError(f"random_bits are for stochastic rounding, but rounding is {rounding.value!r}")
    given = np.asarray(random_bits)
    if given.dtype.kind not in "iu":
        raise TypeError(f"random_bits must be integers, not {given.dtype}")
    if given.shape != shape:
        raise ValueError(f"random_bits must have x's shape {shape}, not {given.shape}")
    if given.size and (given.min() < 0 or int(given.max()) >> rounding.bits):
        raise ValueError(f"random_bits must be 0 to 2**{rounding.bits} - 1, but reach {given.min()} to {given.max()}")
    return np.ascontiguousarray(given, np.uint32).reshape(-1)


def _check_out(out: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a numpy array, not {type(out).__name__}")
    if out.dtype != dtype:
        raise TypeError(f"out must be of dtype {dtype}, not {out.dtype}")
    if out.shape != shape:
        raise ValueError(f"out must have x's shape {shape}, not {out.shape}")
    if not out.flags.writeable:
        raise ValueError("out is read-only")


def _no_nan(given: Source) -> None:
    """Raise ValueError if a source is NaN, for the rule nan="error"."""
    if not isinstance(given.format, FloatFormat) or given.format.nan == "none":
        return
    nans = given.format.nan_codes
    codes = given.codes
    if given.format.nan != "negative_zero":
        codes = codes & np.asarray(given.format.magnitude_mask, codes.dtype)
    wrong = (codes >= nans[0]) & (codes <= nans[-1])
    if wrong.any():
        raise ValueError(f"element {int(np.flatnonzero(wrong)[0])} is NaN, and the profile says nan='error'")


def _run(
    given: Source,
    work: Plan,
    rules: Profile,
    rng: int | np.random.Generator | None,
    random_bits: ArrayLike | None,
    rng_offset: int,
    out: NDArray[Any] | None,
    dtype: np.dtype[Any] | None,
) -> Any:
    """Carry out a plan on all of a source; `dtype`: the result's, None for codes."""
    codes = given.codes
    dtype = work.out_dtype if dtype is None else dtype
    if out is not None:
        _check_out(out, codes.shape, dtype)
    if rules.nan is NanRule.ERROR:
        _no_nan(given)
    randoms, key = NO_RANDOMS, 0
    if random_bits is not None:
        randoms = _randoms(random_bits, rules.rounding, codes.shape)
    elif work.stochastic:
        key = _key(rng)
    if work.stochastic and (isinstance(rng_offset, bool) or not isinstance(rng_offset, int | np.integer)):
        raise TypeError(f"rng_offset must be an int, not {type(rng_offset).__name__}")
    if not 0 <= rng_offset < 1 << 63:
        raise ValueError(f"rng_offset must be 0 to 2**63 - 1, not {rng_offset}")
    result = np.empty(codes.shape, dtype) if out is None else out
    bits = result.view(work.out_dtype)
    if out is not None and np.may_share_memory(codes, bits) and not _same_places(codes, bits):
        codes = codes.copy()
    work.prepare(codes.size)
    if codes.flags.c_contiguous and bits.flags.c_contiguous and codes.dtype.isnative:
        _contiguous(codes.reshape(-1), bits.reshape(-1), work, int(rng_offset), randoms, key)
    else:
        _strided(codes, bits, work, int(rng_offset), randoms, key)
    return result[()] if out is None and result.ndim == 0 else result


def _same_places(codes: NDArray[Any], bits: NDArray[Any]) -> bool:
    """Whether each element is read from where its result is written: then nothing is overwritten too early."""
    return (
        codes.__array_interface__["data"] == bits.__array_interface__["data"]
        and codes.strides == bits.strides
        and codes.itemsize == bits.itemsize
        and codes.flags.c_contiguous
    )


def _contiguous(
    codes: NDArray[Any], bits: NDArray[Any], work: Plan, first: int, randoms: NDArray[Any], key: int
) -> None:
    if codes.size <= 1 << 16:  # not worth the threads' import
        if codes.size:
            work(codes, bits, first, randoms, key)
        return
    from fpemu.kernels import threads

    def piece(start: int, stop: int) -> None:
        work(codes[start:stop], bits[start:stop], first + start, randoms[start:stop], key)

    threads.run(piece, codes.size)


def _strided(codes: NDArray[Any], bits: NDArray[Any], work: Plan, first: int, randoms: NDArray[Any], key: int) -> None:
    """Pieces in C order through numpy's buffers: other strides and byte orders."""
    pieces = np.nditer(
        [codes, bits],
        flags=["external_loop", "buffered", "zerosize_ok"],
        op_flags=[["readonly"], ["writeonly"]],
        op_dtypes=[codes.dtype.newbyteorder("="), bits.dtype],
        order="C",
        casting="equiv",
        buffersize=1 << 16,
    )
    place = 0
    with pieces:
        for source, target in pieces:
            end = place + source.size
            if source.flags.c_contiguous and target.flags.c_contiguous:
                work(source, target, first + place, randoms[place:end], key)
            else:  # numpy hands over its operands themselves where they need no buffer
                copy = np.empty(target.shape, target.dtype)
                work(np.ascontiguousarray(source), copy, first + place, randoms[place:end], key)
                target[...] = copy
            place = end

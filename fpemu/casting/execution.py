"""A plan carried out on a whole array: numpy's manners about memory, and the random numbers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpemu.casting.buffers import flat_chunks
from fpemu.casting.plans import NO_RANDOMS, Plan
from fpemu.formats import FloatFormat, Format
from fpemu.formats.profiles import Profile
from fpemu.formats.rules import Rounding, Stochastic, brief
from fpemu.kernels import threads

if TYPE_CHECKING:
    from fpemu.casting.inputs import Coded, Source

A = TypeVar("A", bound="Coded")
SMALL = 1 << 14  # elements: their wide codes stay in the cache

threads.wished()  # a number of threads that cannot be is refused here, not first where an array is large


def run(
    given: Source,
    work: Plan,
    rng: int | np.random.Generator | None,
    random_bits: ArrayLike | None,
    rng_offset: int,
    out: NDArray[Any] | None,
    dtype: np.dtype[Any] | None,
) -> Any:
    """Carry out a plan on all of a source.

    Parameters
    ----------
    given : Source
    work : Plan
    rng : None, int or numpy.random.Generator
        For stochastic plans; see `fpemu.cast`.
    random_bits : array_like of int, optional
    rng_offset : int
    out : numpy.ndarray, optional
    dtype : numpy.dtype or None
        The result's; None for codes.

    Returns
    -------
    numpy.ndarray or numpy scalar
    """
    codes = given.codes
    dtype = work.out_dtype if dtype is None else dtype
    if out is not None:
        check_out(out, codes.shape, dtype)
    if work.refuses_nan:
        no_nan(given)
    randoms, key = NO_RANDOMS, 0
    if work.stochastic or rng is not None or random_bits is not None or type(rng_offset) is not int or rng_offset:
        randoms, key = randomness(work.rules.rounding, rng, random_bits, rng_offset, codes.shape)
    result = np.empty(codes.shape, dtype) if out is None else out
    bits = result.view(work.out_dtype)
    if out is not None and np.may_share_memory(codes, bits) and not same_places(codes, bits):
        codes = codes.copy()
    if work.looks_up:
        work.prepare(codes.size)
    if codes.flags.c_contiguous and bits.flags.c_contiguous and codes.dtype.isnative:
        if codes.ndim != 1:
            codes, bits = codes.reshape(-1), bits.reshape(-1)
        _contiguous(codes, bits, work, rng_offset, randoms, key)
    else:
        _strided(codes, bits, work, rng_offset, randoms, key)
    return result[()] if out is None and result.ndim == 0 else result


def randomness(
    rounding: Rounding | Stochastic,
    rng: int | np.random.Generator | None,
    random_bits: ArrayLike | None,
    rng_offset: int,
    shape: tuple[int, ...],
) -> tuple[NDArray[Any], int]:
    """The random integers that the caller gives, or none and the key of a stream; all checked.

    Parameters
    ----------
    rounding : Rounding or Stochastic
    rng : None, int or numpy.random.Generator
    random_bits : array_like of int or None
    rng_offset : int
    shape : tuple of int
        The result's.

    Returns
    -------
    tuple
        A one-dimensional array, empty where the stream is used, and a 64-bit key.

    Raises
    ------
    TypeError
        If one of them is of the wrong kind.
    ValueError
        If one is out of range, or is given and not used.
    """
    if rng is None and random_bits is None and type(rng_offset) is int and not rng_offset:
        return NO_RANDOMS, _key(None) if isinstance(rounding, Stochastic) else 0
    check_randoms(rounding, rng, random_bits, rng_offset)
    if random_bits is not None:
        assert isinstance(rounding, Stochastic)
        return _randoms(random_bits, rounding, shape), 0
    return NO_RANDOMS, _key(rng) if isinstance(rounding, Stochastic) else 0


def check_randoms(
    rounding: Rounding | Stochastic,
    rng: int | np.random.Generator | None,
    random_bits: ArrayLike | None,
    rng_offset: int,
) -> None:
    """An error if randomness of the wrong kind is given, or some that the rounding does not use.

    Parameters
    ----------
    rounding : Rounding or Stochastic
    rng : None, int or numpy.random.Generator
    random_bits : array_like of int or None
    rng_offset : int
    """
    _check_rng(rng)
    _check_offset(rng_offset)
    given = {"rng": rng is not None, "random_bits": random_bits is not None, "rng_offset": bool(rng_offset)}
    names = [name for name, there in given.items() if there]
    if names and not isinstance(rounding, Stochastic):
        raise ValueError(
            f"{names[0]}= is for stochastic rounding, but the rounding is {rounding.value!r}: say "
            f"rounding='stochastic', or leave {names[0]} out"
        )
    if random_bits is not None and len(names) > 1:
        other = next(name for name in names if name != "random_bits")
        raise ValueError(f"random_bits are all random integers that are used: leave {other} out")


def streamed(rounding: Rounding | Stochastic, rng: int | np.random.Generator | None, first: int) -> dict[str, Any]:
    """The keywords of a stream of random integers from a place on, where the rounding uses one; else none.

    Parameters
    ----------
    rounding : Rounding or Stochastic
    rng : None, int or numpy.random.Generator
    first : int
        The place of the first element.

    Returns
    -------
    dict
    """
    return {"rng": rng, "rng_offset": first} if isinstance(rounding, Stochastic) else {}


def is_stochastic(fmt: Format, profile: Profile) -> bool:
    """Whether results in a format are rounded stochastically under a profile."""
    return isinstance(profile.for_codes(fmt.codes_key).rounding, Stochastic)


def shared_generator(name: str, arrays: Iterable[Any], rng: Any = None) -> Any:
    """The Generator that operands draw from, or None; a ValueError where two differ, unless the caller gives numbers.

    `rng`: the caller's, or random integers; None where there are none.
    """
    shared = None
    for array in arrays:
        own = getattr(array, "rng", None)
        if own is None or own is shared:
            continue
        if shared is None:
            shared = own
        elif rng is None:
            raise ValueError(
                f"{name}: the Arrays draw their random numbers from two Generators: say rng=, or let them share one, "
                "b.with_rng(a.rng)"
            )
    return shared


def sharing(array: A, generator: np.random.Generator | None) -> A:
    """An Array that was just made, drawing from a Generator if its rounding is stochastic."""
    if generator is not None and is_stochastic(array.format, array.profile):
        array._rng = generator  # type: ignore[attr-defined]
    return array


def generator_of(rng: int | np.random.Generator) -> np.random.Generator:
    """The Generator itself, or a new one seeded by an int."""
    if isinstance(rng, np.random.Generator):
        return rng
    _check_rng(rng)
    return np.random.default_rng(int(rng))


def _key(rng: int | np.random.Generator | None) -> int:
    """One 64-bit key from what numpy's SPEC 7 calls rng."""
    if isinstance(rng, int | np.integer):
        return _key_of_seed(int(rng))
    return _draw(np.random.default_rng() if rng is None else rng)


def _check_rng(rng: Any) -> None:
    if isinstance(rng, bool) or not (rng is None or isinstance(rng, int | np.integer | np.random.Generator)):
        kind = type(rng)
        seeds = np.random.SeedSequence | np.random.BitGenerator | np.random.RandomState | np.ndarray
        advice = ": say np.random.default_rng(rng)" if isinstance(rng, seeds) else ""
        raise TypeError(f"rng must be None, an int or a numpy Generator, not {kind.__module__}.{kind.__name__}{advice}")
    if isinstance(rng, int | np.integer) and rng < 0:
        raise ValueError(f"rng must not be negative, but is {brief(int(rng))}")


@functools.lru_cache(maxsize=256)
def _key_of_seed(seed: int) -> int:
    """The key of a seed, kept: to seed a Generator takes longer than a short array's cast."""
    return _draw(np.random.default_rng(seed))


def _draw(generator: np.random.Generator) -> int:
    return int(generator.integers(0, 1 << 64, dtype=np.uint64))


def _randoms(random_bits: ArrayLike, rounding: Stochastic, shape: tuple[int, ...]) -> NDArray[Any]:
    """The random integers that the caller gives, checked, one-dimensional."""
    given = np.asarray(random_bits)
    if given.dtype.kind not in "iu":
        raise TypeError(f"random_bits must be integers, not {given.dtype}")
    if given.shape != shape:
        raise ValueError(f"random_bits must have x's shape {shape}, not {given.shape}")
    if given.size and (given.min() < 0 or int(given.max()) >> rounding.bits):
        raise ValueError(f"random_bits must be 0 to 2**{rounding.bits} - 1, but reach {given.min()} to {given.max()}")
    return np.ascontiguousarray(given, np.uint32).reshape(-1)


def _check_offset(rng_offset: Any) -> None:
    if isinstance(rng_offset, bool) or not isinstance(rng_offset, int | np.integer):
        raise TypeError(f"rng_offset must be an int, not {type(rng_offset).__name__}")
    if not 0 <= rng_offset < 1 << 63:
        raise ValueError(f"rng_offset must be 0 to 2**63 - 1, not {rng_offset}")


def check_out(out: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a numpy array, not {type(out).__name__}")
    if out.dtype != dtype:
        raise TypeError(f"out must be of dtype {dtype}, not {out.dtype}")
    if out.shape != shape:
        raise ValueError(f"out must have x's shape {shape}, not {out.shape}")
    if not out.flags.writeable:
        raise ValueError("out is read-only")


def no_nan(given: Source) -> None:
    """Raise ValueError if a source is NaN, for the rule nan="error"."""
    if not isinstance(given.format, FloatFormat) or given.format.nan == "none":
        return
    nans = given.format.nan_codes
    place = 0
    for codes in flat_chunks(given.codes):
        if given.format.nan != "negative_zero":
            codes = codes & np.asarray(given.format.magnitude_mask, codes.dtype)
        wrong = (codes >= nans[0]) & (codes <= nans[-1])
        if wrong.any():
            where = place + int(np.flatnonzero(wrong)[0])
            raise ValueError(f"element {where} is NaN, and the profile says nan='error'")
        place += codes.size


def same_places(codes: NDArray[Any], bits: NDArray[Any]) -> bool:
    """Whether each element is read from where its result is written: then nothing is overwritten too early."""
    return (
        codes.itemsize == bits.itemsize
        and codes.strides == bits.strides
        and codes.__array_interface__["data"] == bits.__array_interface__["data"]
        and codes.flags.c_contiguous
    )


def small_pieces(start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Parts so small that codes can be made 64 bits wide on the way: one compiled loop then serves all formats."""
    for begin in range(start, stop, SMALL):
        yield begin, min(begin + SMALL, stop)


def in_pieces(work: Callable[[int, int], None], size: int) -> None:
    """Call work(start, stop) for pieces that cover range(size), on several threads where it is worth it."""
    if size > 0:
        threads.run(work, size)


def _contiguous(
    codes: NDArray[Any], bits: NDArray[Any], work: Plan, first: int, randoms: NDArray[Any], key: int
) -> None:
    if codes.size == 1:
        work(codes, bits, first, randoms, key)
        return

    def piece(start: int, stop: int) -> None:
        work(codes[start:stop], bits[start:stop], first + start, randoms[start:stop], key)

    in_pieces(piece, codes.size)


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

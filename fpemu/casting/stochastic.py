"""Stochastic rounding's random integers: given by the caller, or from the stream of a key; the Generators of Arrays."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpemu.formats import Format, Profile
from fpemu.formats.lookup import brief, checked_int
from fpemu.formats.rules import Rounding, Stochastic


class Randoms(NamedTuple):
    """Random integers given by the caller (none: an empty array), or a stream's key and its first element's index."""

    given: NDArray[Any]
    key: int
    first: int

    def chunk(self, start: int, stop: int) -> Randoms:
        """The random integers of the elements from start to stop."""
        return Randoms(self.given[start:stop], self.key, self.first + start)


NO_RANDOMS = Randoms(np.empty(0, np.uint32), 0, 0)


class Ruled(Protocol):
    """An object with a format and the rules of casts to it, such as `Array`."""

    format: Format
    profile: Profile


A = TypeVar("A", bound=Ruled)


def randomness(
    rounding: Rounding | Stochastic,
    rng: int | np.random.Generator | None,
    random_bits: ArrayLike | None,
    rng_offset: int,
    shape: tuple[int, ...],
) -> Randoms:
    """The random integers of a call, from the options of public functions, which are checked.

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
    Randoms

    Raises
    ------
    TypeError
        If one of them is of the wrong kind.
    ValueError
        If one is out of range, or is given and not used.
    """
    if rng is not None or random_bits is not None or type(rng_offset) is not int or rng_offset:
        check_randoms(rounding, rng, random_bits, rng_offset)
    if not isinstance(rounding, Stochastic):
        return NO_RANDOMS
    if random_bits is not None:
        return Randoms(_checked_integers(random_bits, rounding, shape), 0, 0)
    return Randoms(NO_RANDOMS.given, _key(rng), int(rng_offset))


def check_randoms(
    rounding: Rounding | Stochastic,
    rng: int | np.random.Generator | None,
    random_bits: ArrayLike | None,
    rng_offset: int,
) -> None:
    """Raise an error for random options of the wrong kind, or that the rounding does not use.

    Parameters
    ----------
    rounding : Rounding or Stochastic
    rng : None, int or numpy.random.Generator
    random_bits : array_like of int or None
    rng_offset : int
    """
    _check_rng(rng)
    rng_offset = checked_int(rng_offset, "rng_offset", bits=63)
    given = {"rng": rng is not None, "random_bits": random_bits is not None, "rng_offset": bool(rng_offset)}
    names = [name for name, is_given in given.items() if is_given]
    if names and not isinstance(rounding, Stochastic):
        raise ValueError(
            f"{names[0]}= is for stochastic rounding, but the rounding is {rounding.value!r}: use "
            f"rounding='stochastic', or leave {names[0]} out"
        )
    if random_bits is not None and len(names) > 1:
        other = next(name for name in names if name != "random_bits")
        raise ValueError(f"random_bits replace the stream of random integers: leave {other} out")


def streamed(rounding: Rounding | Stochastic, rng: int | np.random.Generator | None, first: int) -> dict[str, Any]:
    """The options for a stream of random integers from an index on; none if the rounding is not stochastic.

    Parameters
    ----------
    rounding : Rounding or Stochastic
    rng : None, int or numpy.random.Generator
    first : int
        The index of the first element.

    Returns
    -------
    dict
    """
    return {"rng": rng, "rng_offset": first} if isinstance(rounding, Stochastic) else {}


def is_stochastic(fmt: Format, profile: Profile) -> bool:
    """Whether results in a format are rounded stochastically under a profile."""
    return isinstance(profile.for_codes(fmt.codes_key).rounding, Stochastic)


def shared_generator(name: str, arrays: Iterable[Any], rng: Any = None) -> Any:
    """The Generator of the operands, or None; raise ValueError if they have different ones and `rng` is None.

    `rng`: the caller's seed, Generator or random integers, or None.
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
                f"{name}: the Arrays draw their random numbers from two Generators: use rng=, or let them share one, "
                "b.with_rng(a.rng)"
            )
    return shared


def sharing(array: A, generator: np.random.Generator | None) -> A:
    """Return a new Array, after attaching a Generator if its rounding is stochastic."""
    if generator is not None and is_stochastic(array.format, array.profile):
        array._rng = generator  # type: ignore[attr-defined]
    return array


def generator_of(rng: int | np.random.Generator) -> np.random.Generator:
    """The Generator itself, or a new one from a seed."""
    if isinstance(rng, np.random.Generator):
        return rng
    _check_rng(rng)
    return np.random.default_rng(int(rng))


def _key(rng: int | np.random.Generator | None) -> int:
    """A 64-bit key from `rng`, which follows SPEC 7."""
    if isinstance(rng, int | np.integer):
        return _key_of_seed(int(rng))
    return _draw(np.random.default_rng() if rng is None else rng)


def _check_rng(rng: Any) -> None:
    if isinstance(rng, bool) or not (rng is None or isinstance(rng, int | np.integer | np.random.Generator)):
        kind = type(rng)
        seeds = np.random.SeedSequence | np.random.BitGenerator | np.random.RandomState | np.ndarray
        advice = ": use np.random.default_rng(rng)" if isinstance(rng, seeds) else ""
        raise TypeError(f"rng must be None, an int or a numpy Generator, not {kind.__module__}.{kind.__name__}{advice}")
    if isinstance(rng, int | np.integer) and rng < 0:
        raise ValueError(f"rng must not be negative, but is {brief(int(rng))}")


@functools.lru_cache(maxsize=256)
def _key_of_seed(seed: int) -> int:
    """The key of a seed, cached: seeding a Generator takes longer than casting a short array."""
    return _draw(np.random.default_rng(seed))


def _draw(generator: np.random.Generator) -> int:
    return int(generator.integers(0, 1 << 64, dtype=np.uint64))


def _checked_integers(random_bits: ArrayLike, rounding: Stochastic, shape: tuple[int, ...]) -> NDArray[Any]:
    """The random integers that the caller gives, checked, one-dimensional."""
    given = np.asarray(random_bits)
    if given.dtype.kind not in "iu":
        raise TypeError(f"random_bits must be integers, not {given.dtype}")
    if given.shape != shape:
        raise ValueError(f"random_bits must have x's shape {shape}, not {given.shape}")
    if given.size and (given.min() < 0 or int(given.max()) >> rounding.bits):
        raise ValueError(f"random_bits must be 0 to 2**{rounding.bits} - 1, but reach {given.min()} to {given.max()}")
    return np.ascontiguousarray(given, np.uint32).reshape(-1)

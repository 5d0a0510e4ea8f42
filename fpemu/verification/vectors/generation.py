"""Golden vectors of a claim: which cases, in batches, the same for a seed everywhere."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu.verification.claims import Batch, Claim
from fpemu.verification.vectors.construction import construct
from fpemu.verification.vectors.coverage import Cell, Counts
from fpemu.verification.vectors.coverage_fill import Codes, Fill, by_construction, census, every, from_all, tuples
from fpemu.verification.vectors.random_codes import Words, uniform

__all__ = ["Vectors", "generate"]

BATCH = 1 << 16  # vectors at once
ALL = 1 << 20  # so many ways to choose the operands are all tried: then it is known which cells are impossible
_FILLING, _RANDOM = 0, 1  # the first streams of a seed


class Vectors:
    """Inputs and right answers of a claim, made anew each time that they are gone through.

    Made by `generate`.

    Parameters
    ----------
    claim : Claim
    limit, per_cell, random, seed : int
        As `generate` takes them.
    most : int, optional
        So many vectors are enough: the cells are filled no further.

    Attributes
    ----------
    claim : Claim
    seed : int
    exhaustive : bool
        Whether these are all the operands that there are.
    """

    def __init__(
        self, claim: Claim, limit: int, per_cell: int, random: int, seed: int, most: int | None = None
    ) -> None:
        self.claim, self.limit, self.per_cell, self.random, self.seed = claim, limit, per_cell, random, seed
        self.most = most
        self.exhaustive = tuples(claim) <= limit

    @property
    def count(self) -> int:
        """How many vectors there are."""
        return tuples(self.claim) if self.exhaustive else self._fill.codes[0].size + self.random

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Batch]:
        """Batches of `BATCH` vectors and less."""
        for codes in self.operands():
            yield self.claim.batch(*codes)

    def operands(self, start: int = 0) -> Iterator[Codes]:
        """The operands alone, a batch at a time.

        Parameters
        ----------
        start : int
            How many vectors to leave out: as many as some of the first batches have.

        Yields
        ------
        tuple of numpy.ndarray
            Codes of each operand.
        """
        if self.exhaustive:
            for first in range(start, self.count, BATCH):
                yield every(self.claim, first, min(first + BATCH, self.count))
            return
        place = 0
        for codes in self._chosen():
            if place >= start:
                yield codes
            place += codes[0].size

    def _chosen(self) -> Iterator[Codes]:
        codes = self._fill.codes
        for start in range(0, codes[0].size, BATCH):
            yield tuple(part[start : start + BATCH] for part in codes)
        for number, start in enumerate(range(0, self.random, BATCH)):
            size = min(BATCH, self.random - start)
            yield tuple(part[:size] for part in self._drawn(number))

    @property
    def coverage(self) -> dict[Cell, int]:
        """The cells that have cases, and how many; those drawn at random are not counted."""
        return (self._census if self.exhaustive else self._fill.counts).filled()

    @property
    def impossible(self) -> list[Cell] | None:
        """The cells that no operands reach; None where there are too many operands to try them all."""
        return self._census.empty() if self.exhaustive or tuples(self.claim) <= ALL else None

    @functools.cached_property
    def _census(self) -> Counts:
        return census(self.claim)

    @functools.cached_property
    def _fill(self) -> Fill:
        words = Words(self.seed, _FILLING)
        fill = from_all if tuples(self.claim) <= ALL else by_construction
        return fill(self.claim, self.per_cell, words, self.most)

    @functools.cached_property
    def _ways(self) -> NDArray[np.uint8]:
        return Counts(self.claim).every_operand_class()

    def _drawn(self, number: int) -> Codes:
        """A batch of random operands: every second one any codes, the others constructed from random classes."""
        words, ways = Words(self.seed, _RANDOM + number), self._ways
        plain = [uniform(fmt, words, BATCH) for fmt in self.claim.operands]
        hard = construct(self.claim, ways[:, words.below(ways.shape[1], BATCH)], words)
        return tuple(np.where(np.arange(BATCH) % 2 == 0, a, b) for a, b in zip(plain, hard, strict=True))


def generate(claim: Claim, *, limit: int = 1 << 18, per_cell: int = 4, random: int = 10_000, seed: int = 0) -> Vectors:
    """Golden vectors: operands worth testing, with the right results and flags.

    All operands, if there are `limit` or fewer.  Otherwise first each cell filled, then random ones.  A cell is a class
    for each operand, one for the result, and a situation: where the exact result lies between two neighbours, and what
    its rounding meets.

    Parameters
    ----------
    claim : Claim
        The operation, its formats and rules.
    limit : int
        So many ways to choose the operands are all taken.
    per_cell : int
        Cases for each cell; fewer where there are not so many.
    random : int
        Random cases after those.
    seed : int
        From 0 to 2^64 - 1.  The vectors depend on it and on the other parameters, on nothing else.

    Returns
    -------
    Vectors
        Gone through as often as one likes, in batches of bounded size.

    Raises
    ------
    TypeError
        If `claim` is no Claim, or a number no int.
    ValueError
        If a number is out of range, or the claim's rounding is stochastic.

    Notes
    -----
    The random words are numpy's raw Philox 4x64-10 with the key (seed, stream): stream 0 for the cells, 1 + k for the
    k-th batch of random cases.

    Examples
    --------
    >>> from fpemu import vectors
    >>> from fpemu.verification.claims import Claim
    >>> found = vectors.generate(Claim.of("add", "float8_e4m3fn"), limit=0, per_cell=2, random=100, seed=1)
    >>> cell = vectors.Cell(("+normal", "+normal"), "+normal", "tie odd")
    >>> found.coverage[cell], cell in found.impossible
    (2, False)
    >>> vectors.Cell(("+normal", "+normal"), "+subnormal", "exact") in found.impossible
    True
    >>> x, y = next(iter(found)).operands
    >>> x.size == found.count - 100
    True
    """
    if not isinstance(claim, Claim):
        raise TypeError(f"generate takes a Claim, as Claim.of('add', 'float16') makes it, not {type(claim).__name__}")
    if claim.stochastic:
        raise ValueError("stochastic rounding has no one right answer: generate takes claims with another rounding")
    numbers = {"limit": limit, "per_cell": per_cell, "random": random, "seed": seed}
    for name, number in numbers.items():
        numbers[name] = _whole(name, number)
    return Vectors(claim, **numbers)


def _whole(name: str, number: Any) -> int:
    if isinstance(number, bool) or not hasattr(number, "__index__"):
        raise TypeError(f"{name} must be an int, not {type(number).__name__}")
    found = operator.index(number)
    if not 0 <= found < 1 << 64:
        raise ValueError(f"{name} must be 0 to 2**64 - 1, not {found}")
    return found

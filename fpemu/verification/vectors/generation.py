"""Golden vectors of a claim, generated in batches; from one seed, the same vectors on every machine."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fpemu.formats.lookup import checked_int
from fpemu.verification.claims import Batch, Claim, Operands
from fpemu.verification.vectors.construction import construct
from fpemu.verification.vectors.coverage import Cell, CellCounts
from fpemu.verification.vectors.coverage_fill import (
    Fill,
    census,
    fill_by_construction,
    fill_from_all,
    input_count,
    operand_range,
)
from fpemu.verification.vectors.random_codes import RandomWords, uniform

__all__ = ["Vectors", "generate"]

BATCH = 1 << 16  # vectors in a batch
MAX_CENSUS = 1 << 20  # if there are no more inputs, all are tried, which shows the impossible cells
_FILL_STREAM, _FIRST_RANDOM_STREAM = 0, 1  # of a seed


class Vectors:
    """Inputs and correct answers of a claim, generated anew for each iteration.

    Made by `generate`.

    Parameters
    ----------
    claim : Claim
    limit, per_cell, random, seed : int
        As for `generate`.
    most : int, optional
        Number of vectors at which no more cells are filled.

    Attributes
    ----------
    claim : Claim
    seed : int
    exhaustive : bool
        Whether the vectors cover all possible operands.
    """

    def __init__(
        self, claim: Claim, limit: int, per_cell: int, random: int, seed: int, most: int | None = None
    ) -> None:
        self.claim, self.limit, self.per_cell, self.random, self.seed = claim, limit, per_cell, random, seed
        self.most = most
        self.exhaustive = input_count(claim) <= limit

    @property
    def count(self) -> int:
        """Number of vectors."""
        return input_count(self.claim) if self.exhaustive else self._fill.codes[0].size + self.random

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Batch]:
        """Batches of at most `BATCH` vectors."""
        for codes in self.operands():
            yield self.claim.batch(*codes)

    def operands(self, start: int = 0) -> Iterator[Operands]:
        """Iterate over the operands alone, a batch at a time.

        Parameters
        ----------
        start : int
            Number of vectors to skip; must be the size of whole batches.

        Yields
        ------
        tuple of numpy.ndarray
            Codes of each operand.
        """
        if self.exhaustive:
            for first in range(start, self.count, BATCH):
                yield operand_range(self.claim, first, min(first + BATCH, self.count))
            return
        position = 0
        for codes in self._selected():
            if position >= start:
                yield codes
            position += codes[0].size

    def _selected(self) -> Iterator[Operands]:
        """The operands that fill the cells, then random ones."""
        codes = self._fill.codes
        for start in range(0, codes[0].size, BATCH):
            yield tuple(each[start : start + BATCH] for each in codes)
        for number, start in enumerate(range(0, self.random, BATCH)):
            size = min(BATCH, self.random - start)
            yield tuple(each[:size] for each in self._random_batch(number))

    @property
    def coverage(self) -> dict[Cell, int]:
        """The filled cells, and the number of cases in each, without the random ones."""
        return (self._census if self.exhaustive else self._fill.counts).filled()

    @property
    def impossible(self) -> list[Cell] | None:
        """The cells that no operands reach; None if there are too many operands to try all."""
        return self._census.empty() if self.exhaustive or input_count(self.claim) <= MAX_CENSUS else None

    @functools.cached_property
    def _census(self) -> CellCounts:
        return census(self.claim)

    @functools.cached_property
    def _fill(self) -> Fill:
        words = RandomWords(self.seed, _FILL_STREAM)
        fill = fill_from_all if input_count(self.claim) <= MAX_CENSUS else fill_by_construction
        return fill(self.claim, self.per_cell, words, self.most)

    @functools.cached_property
    def _class_combinations(self) -> NDArray[np.uint8]:
        return CellCounts(self.claim).class_combinations()

    def _random_batch(self, number: int) -> Operands:
        """A batch of random operands: uniform codes, alternating with operands constructed from random classes."""
        words, classes = RandomWords(self.seed, _FIRST_RANDOM_STREAM + number), self._class_combinations
        plain = [uniform(fmt, words, BATCH) for fmt in self.claim.operands]
        hard = construct(self.claim, classes[:, words.below(classes.shape[1], BATCH)], words)
        return tuple(np.where(np.arange(BATCH) % 2 == 0, a, b) for a, b in zip(plain, hard, strict=True))


def generate(claim: Claim, *, limit: int = 1 << 18, per_cell: int = 4, random: int = 10_000, seed: int = 0) -> Vectors:
    """Generate golden vectors: operands worth testing, with the correct results and flags.

    If there are at most `limit` combinations of operands, all of them; otherwise cases that fill each cell, then random
    cases.  A cell is a class for each operand, one for the result, and a situation, such as the position of the
    exact result between two neighbours.

    Parameters
    ----------
    claim : Claim
        The operation, its formats and rules.
    limit : int
        The largest number of combinations of operands of which all are taken.
    per_cell : int
        Number of cases for each cell; fewer if no more are found.
    random : int
        Number of random cases.
    seed : int
        From 0 to 2^64 - 1.  The vectors depend only on the parameters.

    Returns
    -------
    Vectors
        Iterable any number of times, in batches of bounded size.

    Raises
    ------
    TypeError
        If `claim` is not a Claim, or a number is not an int.
    ValueError
        If a number is out of range, or the claim's rounding is stochastic.

    Notes
    -----
    The random words are numpy's raw Philox 4x64-10 with key (seed, stream): stream 0 for the cells, 1 + k for batch k
    of random cases.

    Examples
    --------
    >>> from fpemu import vectors
    >>> from fpemu.verification.claims import Claim
    >>> generated = vectors.generate(Claim.of("add", "float8_e4m3fn"), limit=0, per_cell=2, random=100, seed=1)
    >>> cell = vectors.Cell(("+normal", "+normal"), "+normal", "tie odd")
    >>> generated.coverage[cell], cell in generated.impossible
    (2, False)
    >>> vectors.Cell(("+normal", "+normal"), "+subnormal", "exact") in generated.impossible
    True
    >>> x, y = next(iter(generated)).operands
    >>> x.size == generated.count - 100
    True
    """
    if not isinstance(claim, Claim):
        raise TypeError(f"generate takes a Claim, as Claim.of('add', 'float16') makes it, not {type(claim).__name__}")
    if claim.stochastic:
        raise ValueError("stochastic rounding has no unique answer: generate takes claims with another rounding")
    numbers = {"limit": limit, "per_cell": per_cell, "random": random, "seed": seed}
    for name, number in numbers.items():
        numbers[name] = checked_int(number, name, bits=64)
    return Vectors(claim, **numbers)

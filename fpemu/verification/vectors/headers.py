"""What a file of vectors says of itself: the claim, where the vectors come from, how many there are, a hash."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fpemu.verification.claims import Claim
from fpemu.verification.vectors.generation import Vectors
from fpemu.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from fpemu.verification.claims import Batch

__all__ = ["Hash", "claim_of", "header_of", "number_of"]

_OWN = ("fpemu", "vectors", "flags", "seed", "limit", "per cell", "random", "coverage", "layout", "word bits", "sha256")


def header_of(claim: Claim, count: int, flags: bool, vectors: Iterable[Batch]) -> dict[str, str]:
    """The words of a header but for the layout's and the hash.

    Parameters
    ----------
    claim : Claim
    count : int
    flags : bool
        Whether there are flags.
    vectors : iterable of Batch
        Where they come from: what `generate` gave says its seed and coverage.

    Returns
    -------
    dict of str to str
    """
    words = {"fpemu": __version__, **claim.described(), "vectors": str(count), "flags": "yes" if flags else "no"}
    if isinstance(vectors, Vectors):
        words |= {"seed": str(vectors.seed), "limit": str(vectors.limit)}
        words |= {"per cell": str(vectors.per_cell), "random": str(vectors.random)}
        cells = vectors.coverage
        situations: Counter[str] = Counter()
        for cell, cases in cells.items():
            situations[cell.situation] += cases
        told = ", ".join(f"{name} {cases}" for name, cases in situations.items())
        words["coverage"] = f"{len(cells)} cells: {told}" if told else "no cells"
    return words


def claim_of(words: Mapping[str, str]) -> Claim:
    """The claim that a header tells of; a ValueError where it tells of none."""
    return Claim.from_description({key: value for key, value in words.items() if key not in _OWN})


def number_of(words: Mapping[str, str], what: str) -> int:
    """A number of a header."""
    if what not in words:
        raise ValueError(f"the header does not say {what!r}")
    if not words[what].isascii() or not words[what].isdigit():
        raise ValueError(f"the header's {what!r} is no number: {words[what]!r}")
    return int(words[what])


class Hash:
    """A SHA-256 over a header and vectors, whatever their layout and batches.

    Each column's codes, little-endian in the smallest unsigned type, have a hash of their own; the whole is the hash of
    the header's words, sorted, as JSON, and of the columns' hashes, in hexadecimal, with line feeds between.
    """

    def __init__(self) -> None:
        self._columns: list[Any] = []

    def add(self, columns: Iterable[NDArray[Any]]) -> None:
        """Take a batch."""
        for place, column in enumerate(columns):
            if place == len(self._columns):
                self._columns.append(hashlib.sha256())
            self._columns[place].update(column.astype(column.dtype.newbyteorder("<"), copy=False).tobytes())

    def of(self, words: Mapping[str, str]) -> str:
        """The hash, with a header's words but the layout's and itself."""
        told = {key: value for key, value in words.items() if key not in ("sha256", "layout", "word bits")}
        lines = [json.dumps(told, sort_keys=True), *(column.hexdigest() for column in self._columns)]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

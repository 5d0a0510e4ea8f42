"""Headers of vector files: claim, origin, count, hash."""

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

__all__ = ["LAYOUT_FIELDS", "Hash", "claim_of", "header_of", "number_of"]

LAYOUT_FIELDS = ("layout", "word bits", "sha256")  # other layouts have other values
_FILE_FIELDS = (*LAYOUT_FIELDS, "fpemu", "vectors", "flags", "seed", "limit", "per cell", "random", "coverage")


def header_of(claim: Claim, count: int, flags: bool, vectors: Iterable[Batch]) -> dict[str, str]:
    """Return the fields of a header, without the layout and the hash.

    Parameters
    ----------
    claim : Claim
    count : int
    flags : bool
        Whether the vectors have flags.
    vectors : iterable of Batch
        The vectors; generated `Vectors` add their seed and coverage.

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
        counts = ", ".join(f"{name} {cases}" for name, cases in situations.items())
        words["coverage"] = f"{len(cells)} cells: {counts}" if counts else "no cells"
    return words


def claim_of(words: Mapping[str, str]) -> Claim:
    """The claim that a header describes; a ValueError if it does not describe one."""
    return Claim.from_description({key: value for key, value in words.items() if key not in _FILE_FIELDS})


def number_of(words: Mapping[str, str], field: str) -> int:
    """The number in a field of a header."""
    if field not in words:
        raise ValueError(f"the header has no {field!r}")
    if not words[field].isascii() or not words[field].isdigit():
        raise ValueError(f"the header's {field!r} is not a number: {words[field]!r}")
    return int(words[field])


class Hash:
    """A SHA-256 of a header and vectors, independent of their layout and their batches.

    Each column has a hash of its codes, little-endian in the smallest unsigned type.  The whole is the hash of these
    lines: the header's fields, sorted, as JSON; then the columns' hashes in hexadecimal.
    """

    def __init__(self) -> None:
        self._columns: list[Any] = []

    def add(self, columns: Iterable[NDArray[Any]]) -> None:
        """Add a batch."""
        for index, column in enumerate(columns):
            if index == len(self._columns):
                self._columns.append(hashlib.sha256())
            self._columns[index].update(column.astype(column.dtype.newbyteorder("<"), copy=False).tobytes())

    def of(self, words: Mapping[str, str]) -> str:
        """The hash of all batches and of the header's fields, except the layout and the hash itself."""
        hashed = {key: value for key, value in words.items() if key not in LAYOUT_FIELDS}
        lines = [json.dumps(hashed, sort_keys=True), *(column.hexdigest() for column in self._columns)]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

"""The base class of scaled formats, for rooms that know formats of single numbers alone."""

from __future__ import annotations

from typing import Any


class Scheme:
    """A format whose codes come in blocks with scales: `fpemu.quantization.ScaledFormat`."""

    name: str
    element: Any

    @classmethod
    def _parsed(cls, name: str) -> Scheme | None:
        """The scheme that a name describes; None if it describes none."""
        raise NotImplementedError

    def __str__(self) -> str:
        return self.name

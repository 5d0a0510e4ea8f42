"""What a scaled format is to those below `fpemu.scaling`: something with a name that is no format of single numbers."""

from __future__ import annotations

from typing import Any


class Scheme:
    """A format whose codes come in blocks with scales: `fpemu.scaling.ScaledFormat`."""

    name: str
    element: Any

    @classmethod
    def _parsed(cls, name: str) -> Scheme | None:
        """The scheme that a name describes; None if it describes none."""
        raise NotImplementedError

    def __str__(self) -> str:
        return self.name

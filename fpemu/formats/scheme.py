"""What a scaled format is to those below `fpemu.scaling`: something with a name that is no format of single numbers."""

from __future__ import annotations


class Scheme:
    """A format whose codes come in blocks with scales: `fpemu.scaling.ScaledFormat`."""

    name: str

    def __str__(self) -> str:
        return self.name

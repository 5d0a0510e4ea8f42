"""ScaleMethod: the interface of the methods that compute blocks' scales."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fpemu.quantization.scale_choice import ScaleChoice
from fpemu.quantization.statistics import Scales, Statistics

__all__ = ["ScaleMethod"]


class ScaleMethod(Protocol):
    """A method that computes blocks' scales: exactly, in a tool's arithmetic, or exactly for quotients in it."""

    @property
    def statistic(self) -> str:
        """The statistic of blocks from which scales are computed, as named in `ScaleRule`."""

    def second_scale(self, statistics: Statistics) -> float:
        """The second level's scale, in the form that `scales` and `given` take."""

    def stored_second_scale(self, second: float | None) -> float | None:
        """Convert the second level's scale from the form that `scales` takes to the stored form, or back."""

    def scales(self, statistics: Statistics, second: float | None, short_last: bool = False) -> Scales:
        """Each block's scale; `second`: the second level's; `short_last`: the last block of a row is shorter."""

    def given(self, codes: NDArray[Any], second: float | None) -> Scales:
        """Scales from their codes."""

    def zero_points(self, statistics: Statistics, scales: Scales) -> NDArray[np.int64]:
        """Each block's zero point: the lowest integer minus (the smallest number / the scale), rounded, in range."""

    def choice(self, statistics: Statistics, second: float | None) -> ScaleChoice | None:
        """The larger scales that are tried too; None if there are none."""

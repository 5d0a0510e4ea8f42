"""ScaleMethod: the interface of the ways to blocks' scales."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fpemu.quantization.scale_choice import ScaleChoice
from fpemu.quantization.statistics import Scales, Statistics

__all__ = ["ScaleMethod"]


class ScaleMethod(Protocol):
    """A way to blocks' scales: exact, in a tool's arithmetic, or exact ones used in a tool's arithmetic."""

    @property
    def statistic(self) -> str:
        """The statistic of blocks that scales follow from, as `ScaleRule` names it."""

    def second_scale(self, statistics: Statistics) -> float:
        """The second level's scale, as `scales` and `given` take it."""

    def stored_second_scale(self, second: float | None) -> float | None:
        """The second level's scale as it is stored, from the one that `scales` takes; and the other way round."""

    def scales(self, statistics: Statistics, second: float | None, short_last: bool = False) -> Scales:
        """Each block's scale; `second`: the second level's; `short_last`: the last block of a row is shorter."""

    def given(self, codes: NDArray[Any], second: float | None) -> Scales:
        """Scales from their codes."""

    def zero_points(self, statistics: Statistics, scales: Scales) -> NDArray[np.int64]:
        """Each block's zero point: the lowest integer less the smallest number over the scale, rounded, in range."""

    def choice(self, statistics: Statistics, second: float | None) -> ScaleChoice | None:
        """The larger scales that are tried too; None if there are none."""

"""The exceptions of IEEE 754-2019 clause 7 as arrays: what happened to each element."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fpemu.kernels import opcodes as operations

__all__ = ["Flags"]


class Flags:
    """The flags that an operation raised, element by element.

    Parameters
    ----------
    bits : numpy.ndarray of uint8
        1 inexact, 2 underflow, 4 overflow, 8 divide by zero, 16 invalid, as Berkeley TestFloat numbers them.

    Attributes
    ----------
    bits : numpy.ndarray of uint8
        Of the result's shape.

    Notes
    -----
    IEEE 754-2019 clause 7.  Underflow is raised where a result is tiny (after rounding, unless the profile's
    `tininess` says before) and inexact.  Formats without infinity or NaN raise the same flags; only what is delivered
    differs.

    Examples
    --------
    >>> import fpemu as fe
    >>> _, flags = fe.divide([1.0, 1.0, 1.0], [3.0, 2.0, 0.0], result="float8_e5m2", return_flags=True)
    >>> flags.inexact
    array([ True, False, False])
    >>> flags
    Flags(inexact: 1, divide_by_zero: 1 of 3)
    """

    NAMES = ("inexact", "underflow", "overflow", "divide_by_zero", "invalid")

    def __init__(self, bits: NDArray[np.uint8]) -> None:
        self.bits = bits

    def _raised(self, bit: int) -> NDArray[np.bool_]:
        raised: NDArray[np.bool_] = (self.bits & np.uint8(bit)) != 0
        return raised

    @property
    def inexact(self) -> NDArray[np.bool_]:
        """The result is not the exact one (7.6)."""
        return self._raised(operations.INEXACT_FLAG)

    @property
    def underflow(self) -> NDArray[np.bool_]:
        """The result is tiny and inexact (7.5)."""
        return self._raised(operations.UNDERFLOW_FLAG)

    @property
    def overflow(self) -> NDArray[np.bool_]:
        """The rounded magnitude is beyond the largest finite one (7.4)."""
        return self._raised(operations.OVERFLOW_FLAG)

    @property
    def divide_by_zero(self) -> NDArray[np.bool_]:
        """An exact infinity from finite operands (7.3)."""
        return self._raised(operations.DIVIDE_BY_ZERO_FLAG)

    @property
    def invalid(self) -> NDArray[np.bool_]:
        """No number is a sensible result, or an operand is a signalling NaN (7.2)."""
        return self._raised(operations.INVALID_FLAG)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Flags):
            return NotImplemented
        return bool(np.array_equal(self.bits, other.bits))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        counts = [(name, int(getattr(self, name).sum())) for name in self.NAMES]
        raised = ", ".join(f"{name}: {count}" for name, count in counts if count)
        return f"Flags({raised or 'none'} of {self.bits.size})"

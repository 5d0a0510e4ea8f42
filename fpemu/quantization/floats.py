"""Float32 and float64 arithmetic that does not depend on the FPU's rounding and flush modes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu.arithmetic import add, divide, multiply, subtract
from fpemu.casting import cast
from fpemu.casting.fpu import fpu_is_fit
from fpemu.formats import FLOAT32, FloatFormat, Format

__all__ = ["FLOAT32_MAX", "X86", "Arithmetic", "Floats", "Single", "in_order", "is_float_zero", "single", "wide"]

Floats = NDArray[Any]
Single = NDArray[np.float32]

FLOAT32_MAX = np.float32(np.finfo(np.float32).max)
X86 = "x86-sse"  # its NaNs have signs


def wide(x: Floats) -> NDArray[np.float64]:
    """Floats as float64; exact for subnormal numbers even where the FPU flushes them to zero."""
    if fpu_is_fit():
        return x.astype(np.float64)
    return np.asarray(cast(x, "float64"))


def single(x: Any) -> Single:
    """Numbers rounded to float32, to nearest even in any mode of the FPU."""
    if isinstance(x, np.ndarray) and x.dtype == np.float32:
        return x
    return np.asarray(x, np.float32) if fpu_is_fit() else np.asarray(cast(x, FLOAT32, dtype=np.float32))


def is_float_zero(x: Floats) -> NDArray[np.bool_]:
    """Whether floats of 32 or 64 bits are zeros; subnormal numbers are not, in any mode of the FPU."""
    words = x.view(f"u{x.itemsize}")
    return np.asarray(words << words.dtype.type(1) == 0)


class Arithmetic:
    """Operations on float32 arrays, each rounded once to a type: by the FPU if it is fit and the type is float32."""

    def __init__(self, fmt: Format) -> None:
        assert isinstance(fmt, FloatFormat)
        self.fmt = fmt
        self.native = fmt == FLOAT32 and fpu_is_fit()

    def divide(self, a: Any, b: Any) -> Single:
        return self._operate(np.divide, divide, a, b)

    def multiply(self, a: Any, b: Any) -> Single:
        return self._operate(np.multiply, multiply, a, b)

    def add(self, a: Any, b: Any) -> Single:
        return self._operate(np.add, add, a, b)

    def subtract(self, a: Any, b: Any) -> Single:
        return self._operate(np.subtract, subtract, a, b)

    def rounded(self, a: Any) -> Single:
        """Numbers of float64 rounded to the type."""
        return np.asarray(cast(np.asarray(a, np.float64), self.fmt, dtype=np.float32))

    def _operate(self, fast: Any, exact: Any, a: Any, b: Any) -> Single:
        if self.native:
            with np.errstate(all="ignore"):
                return np.asarray(fast(np.asarray(a, np.float32), np.asarray(b, np.float32)))
        return np.asarray(exact(single(a), single(b), result=self.fmt, profile=X86), np.float32)


def in_order(numbers: Single) -> NDArray[np.int32]:
    """Return integers that sort like the numbers, in any mode of the FPU."""
    bits = (numbers.view(np.int32) if numbers.flags.c_contiguous else numbers.copy().view(np.int32)).copy()
    return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)

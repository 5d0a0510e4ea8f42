"""From a piece's numbers to codes: quotients, and the plan that rounds them."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from fpemu.arithmetic import divide
from fpemu.array import Array
from fpemu.casting import encode
from fpemu.chunks import Scratch
from fpemu.formats import IntFormat, TableFormat
from fpemu.knobs import Rounding
from fpemu.plans import plan
from fpemu.registry import dtype as find_format
from fpemu.scaling.stepping import Stepped, fpu_is_fit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fpemu.scaling.scheme import ScaledFormat
    from fpemu.scaling.stages import Exact

__all__ = ["Quotients", "shifted", "to_book"]


class Quotients:
    """A piece's numbers over their blocks' scales, in a buffer of `dtype`, then rounded to codes.

    `multiply`: scales are powers of two, and numbers are multiplied by their inverses.
    """

    def __init__(
        self,
        stages: Exact | Stepped,
        block: int,
        multiply: bool,
        dtype: np.dtype[Any],
        first: int,
        randoms: NDArray[Any],
        key: int,
    ) -> None:
        self.stages, self.scheme, self.block, self.multiply, self.dtype = stages, stages.scheme, block, multiply, dtype
        self.first, self.randoms, self.key = first, randoms, key
        self.scratch = Scratch()
        element, rules = self.scheme.element, self.scheme.own_profile.elements
        self.even = rules.rounding is Rounding.NEAREST_EVEN and element.bits <= 16 and fpu_is_fit()
        self.adds = self.scheme.zero_point is not None and (stages.steps is None or stages.steps.zero == "after")
        wide = _WIDE if self.adds else element
        self.plan = plan(find_format(dtype.name), wide, wide.check_profile(rules), None)

    def __call__(
        self, x: NDArray[Any], divisors: NDArray[Any], zeros: NDArray[Any] | None, place: int, out: NDArray[Any]
    ) -> None:
        """Codes into `out`; `place`: the first element's, in C order."""
        from fpemu.kernels import scaling as kernels

        quotients = self.scratch.of("quotients", x.size, self.dtype).reshape(x.shape)
        if isinstance(self.stages, Stepped):
            self.stages.quotients(x, divisors, zeros, self.block, quotients)
            zeros = zeros if self.adds else None
            if self.stages.steps.codebook != "nearest":
                self.stages.codebook(quotients, out)
                return
        elif self.multiply:
            kernels.multiplied(x, (1.0 / divisors).astype(self.dtype), self.block, self.dtype.type(1), quotients)
        else:
            kernels.divided(x, divisors, self.block, quotients)
        if zeros is not None and self.even:
            kernels.shifted_integers(
                quotients, np.maximum(zeros, LEAST).astype(np.int32), self.block, self._limits(), out
            )
            return
        words = quotients.view(f"u{self.dtype.itemsize}").reshape(-1)
        randoms = self.randoms[place : place + x.size]
        if zeros is None:
            self.plan(words, out.reshape(-1), self.first + place, randoms, self.key)
            if isinstance(self.stages, Stepped):
                self.stages.mend(quotients, divisors, self.block, out)
            return
        wide = np.empty(words.size, self.plan.out_dtype)
        self.plan(words, wide, self.first + place, randoms, self.key)
        spread = np.repeat(zeros, self.block, axis=1)[:, : x.shape[1]]
        out[...] = shifted(wide.view(np.int32).reshape(x.shape), spread, self.scheme)
        np.copyto(out, out.dtype.type(self._nan()), where=np.isnan(quotients))

    def _nan(self) -> int:
        """The code of a NaN."""
        return int(encode(np.nan, self.scheme.element, profile=self.scheme.own_profile.elements))

    def _limits(self) -> NDArray[Any]:
        element = self.scheme.element
        assert isinstance(element, IntFormat)
        magic = 1.5 * 2.0 ** (23 if self.dtype == np.float32 else 52)
        return np.array([element.min_int, element.max_int, magic, self._nan(), element.code_count - 1], self.dtype)


def to_book(x: Array, divisors: NDArray[np.float64], scheme: ScaledFormat) -> NDArray[Any]:
    """Codes of a codebook: quotients rounded to odd in float64 lie on the exact ones' side of every threshold."""
    element = scheme.element
    assert isinstance(element, TableFormat)
    thresholds = [
        *element.entries,
        *(Fraction(a) + Fraction(b) for a, b in itertools.pairwise(sorted(element.entries))),
    ]
    if any(Fraction(each).numerator.bit_length() > ODD for each in thresholds):
        raise ValueError(
            f"the thresholds of {element} have too many digits for float64 numbers: cast them to float32 first"
        )
    quotients = divide(x, divisors, result="float64", rounding="to_odd").values
    return np.asarray(encode(quotients, element, profile=scheme.own_profile.elements))


ODD = 52  # binary digits of a number that cannot lie strictly between a float64 and one rounded to odd
_WIDE = IntFormat("int32", 32)
LEAST = -(1 << 20)  # a zero point below all integers, whose sums are exact in float32


def shifted(integers: NDArray[Any], zeros: NDArray[np.int64], scheme: ScaledFormat) -> NDArray[Any]:
    """Codes of integers plus their zero points."""
    element = scheme.element
    assert isinstance(element, IntFormat)
    moved = np.clip(integers.astype(np.int64) + zeros, element.min_int, element.max_int)
    return np.asarray(encode(moved, element))

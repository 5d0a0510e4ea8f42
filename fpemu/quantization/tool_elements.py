"""ToolElements: elements from quotients in a tool's own arithmetic."""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu.arithmetic import add, divide, fma
from fpemu.casting import cast
from fpemu.casting.plans import by_bins
from fpemu.casting.stochastic import Randoms
from fpemu.formats import FLOAT32, FloatFormat, Format, TableFormat
from fpemu.formats.rules import NanRule
from fpemu.quantization.definition.scaled_format import ScaledFormat
from fpemu.quantization.elements import Elements, QuotientMethod
from fpemu.quantization.floats import X86, Single, in_order
from fpemu.quantization.tool_scales import arithmetic_of

__all__ = ["ToolElements"]


class ToolElements(Elements):
    """Codes of numbers over their blocks' scales, the quotients in the arithmetic of the profile's `Steps`.

    Parameters
    ----------
    scheme : ScaledFormat
        Of a profile with steps.
    source : Format
        The numbers' format.
    block : int
        Elements of a block.
    randoms : Randoms
    """

    def __init__(self, scheme: ScaledFormat, source: Format, block: int, randoms: Randoms) -> None:
        super().__init__(scheme, QuotientMethod.RECIPROCAL_FLOAT32, block, randoms)
        steps = scheme.own_profile.steps
        assert steps is not None
        self.steps, self.arithmetic = steps, arithmetic_of(steps, source)
        self._rounds_integers = self._rounds_integers and self.arithmetic.native  # else by the general kernel
        self._adds_zeros_later = scheme.zero_point is not None and steps.zero == "after"
        if not self._adds_zeros_later:
            self._target = scheme.element

    def __call__(
        self, x: NDArray[Any], divisors: NDArray[Any], zeros: NDArray[Any] | None, first: int, out: NDArray[Any]
    ) -> None:
        """Write codes into `out`; `first`: the position of the first element of `x`, in C order."""
        quotients = self.scratch.of("quotients", x.size, np.float32).reshape(x.shape)
        self._divide(x, divisors, zeros, quotients)
        if self.steps.codebook != "nearest":
            self._codes_of_codebook(quotients, out)
            return
        if self._adds_zeros_later and zeros is not None:
            self._zero_for_nan(quotients, zeros)
        self._round(quotients, zeros if self._adds_zeros_later else None, first, out)
        self._replace_nan_codes(quotients, divisors, out)

    def _divide(self, x: Single, by: NDArray[Any], zeros: NDArray[Any] | None, out: Single) -> None:
        """Write numbers over their blocks' scales into `out`, plus zero points unless these are added later."""
        from fpemu.kernels.cpu import blocks

        steps, ops, block = self.steps, self.arithmetic, self.block
        divides = steps.factor == "division"
        inverted = steps.factor in ("reciprocal", "reciprocal_of_unrounded")
        factors = ops.divide(1, by) if inverted else np.ascontiguousarray(by)
        adds = steps.zero != "after"
        points = np.zeros(by.shape, np.float32) if zeros is None else zeros.astype(np.float32)
        points += np.float32(0.5 if steps.zero == "half" else 0)
        if not ops.native or (divides and adds):
            spread = functools.partial(_per_element, block=block, length=x.shape[1])
            if adds and steps.zero == "fused" and not divides:
                out[...] = fma(x, spread(factors), spread(points), result=ops.fmt, profile=X86)
            else:
                out[...] = (ops.divide if divides else ops.multiply)(x, spread(factors))
                if adds:
                    out[...] = ops.add(out, spread(points))
        elif divides:
            blocks.divided(x, factors, block, out)
        elif adds:
            blocks.scale_and_shift(x, factors, points, block, steps.zero == "fused", out)
        else:
            blocks.multiplied(x, factors, block, np.float32(1), out)
        short = x.shape[1] % block
        if steps.ragged and short:
            out[:, -short:] = ops.divide(x[:, -short:], by[:, -1:])
        if steps.beyond != "saturate":
            self._replace_large(zeros, out)

    def _replace_large(self, zeros: NDArray[Any] | None, out: Single) -> None:
        """Replace NaN and quotients of magnitude `limit` or more, as `Steps.beyond` specifies."""
        large = ~(np.abs(out) < self.steps.limit)
        if large.any():
            ends: Any = np.float32(0 if self.steps.beyond == "zero" else -np.inf)
            if self.steps.beyond == "wrapped" and zeros is not None:
                ends = _per_element(np.where(zeros < 0, np.float32(np.inf), ends), self.block, out.shape[1])
            np.copyto(out, ends, where=large)

    def _zero_for_nan(self, quotients: Single, zeros: NDArray[Any]) -> None:
        """Replace NaN by the negated zero point, which makes the integer 0, unless NaN's rule is max or min."""
        if self.scheme.own_profile.elements.nan in (NanRule.MAX, NanRule.MIN):
            return
        is_nan = np.isnan(quotients)
        if is_nan.any():
            points = _per_element(-zeros.astype(np.float32), self.block, quotients.shape[1])
            np.copyto(quotients, points, where=is_nan)

    def _replace_nan_codes(self, quotients: Single, by: Single, out: NDArray[Any]) -> None:
        """Write the tool's codes for NaN, in float formats without NaN."""
        element = self.scheme.element
        code = dict(self.steps.nan_codes).get(element.name)
        if code is None or not isinstance(element, FloatFormat) or element.nan != "none":
            return
        if np.isfinite(by).all() and (by > 0).all():
            return  # no NaN in, and none made
        signs = np.where(np.signbit(quotients), element.sign_mask, 0).astype(out.dtype)
        np.copyto(out, signs | out.dtype.type(code), where=np.isnan(quotients))

    def _codes_of_codebook(self, quotients: Single, out: NDArray[Any]) -> None:
        """Write the codes of a codebook in which the tool does not search for the nearest value."""
        book = self.scheme.element
        assert isinstance(book, TableFormat)
        if self.steps.codebook == "midpoints":
            _midpoint_search(book)(quotients.reshape(-1), out.reshape(-1))
            return
        ops = self.arithmetic
        clipped = np.clip(np.where(np.isnan(quotients), np.float32(0), quotients), np.float32(-1), np.float32(1))
        points = ops.add(ops.multiply(ops.multiply(ops.add(clipped, 1), 0.5), 65535), 0.5)
        out[...] = _codes_of_grid(book)[points.astype(np.int64)]


def _per_element(of_blocks: NDArray[Any], block: int, length: int) -> NDArray[Any]:
    """Repeat a row's per-block values for each element."""
    return np.repeat(of_blocks, block, axis=1)[:, :length]


@functools.lru_cache(maxsize=16)
def _midpoint_search(book: TableFormat) -> Any:
    """Return a loop from numbers to codes by float32 midpoints; a midpoint maps to the lower entry, NaN to the largest.

    The general kernels round the midpoints, which therefore do not depend on the FPU's modes at the first call.
    """
    from fpemu.casting.thresholds import bins_of

    # among equal values (zeros) the lower code comes first
    order = sorted(range(book.code_count), key=lambda code: (book.entries[code], code))
    values = cast(np.array(book.entries)[order], FLOAT32, dtype=np.float32)
    midpoints = np.asarray(divide(add(values[1:], values[:-1], result=FLOAT32), 2, result=FLOAT32), np.float32)
    codes = np.array(order, book.code_dtype)
    search = by_bins(lambda: bins_of(midpoints), codes, np.array([order[-1], order[-1], order[0]], book.code_dtype))

    def work(numbers: Single, out: NDArray[Any]) -> None:
        if search(numbers, out):
            return
        ranks = np.searchsorted(in_order(midpoints), in_order(numbers))
        out[...] = np.where(np.isnan(numbers), order[-1], codes[ranks])

    return work


@functools.lru_cache(maxsize=4)
def _codes_of_grid(book: TableFormat) -> NDArray[Any]:
    """The code of the entry nearest to each of 65,536 points from -1 to 1; the entries must ascend."""
    from fractions import Fraction  # imported late: `import fpemu` stays light

    points = np.arange(65536) * 2 - 65535
    ends = [math.floor((Fraction(a) + Fraction(b)) / 2 * 65535) for a, b in itertools.pairwise(book.entries)]
    return np.searchsorted(ends, points).astype(book.code_dtype)

"""ScaleChoice: for each block the one of two scales with the smaller error, summed in a tool's arithmetic."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu.casting import decode
from fpemu.formats import Format
from fpemu.formats.facts.exactness import finite_ends
from fpemu.quantization.definition.scaled_format import ScaledFormat
from fpemu.quantization.floats import Arithmetic, Single, wide
from fpemu.quantization.statistics import Scales

__all__ = ["ScaleChoice"]


class ScaleChoice:
    """Larger scales for all blocks of an array, each used where it makes its block's error smaller.

    Parameters
    ----------
    scheme : ScaledFormat
        Its profile determines how errors are measured.
    arithmetic : Arithmetic
    larger : Scales
    amax : float
        The largest magnitude of all numbers.
    """

    def __init__(self, scheme: ScaledFormat, arithmetic: Arithmetic, larger: Scales, amax: float) -> None:
        steps = scheme.own_profile.steps
        assert steps is not None
        self.scheme, self.arithmetic, self.larger = scheme, arithmetic, larger
        self.squared = steps.choose == "mse"
        largest = finite_ends(scheme.element)[1] * int(steps.second_top or scheme.largest_scale)
        self.factors = np.array([amax, np.float32(largest)], np.float32)  # a number is element x scale x first / second

    def keep_smaller_error(
        self,
        x: NDArray[Any],
        block: int,
        index: Any,
        scales: Scales,
        encode: Callable[[Scales], NDArray[Any]],
        codes: NDArray[Any],
    ) -> NDArray[Any]:
        """Replace codes of blocks with a smaller error under the larger scale; return the codes of the chosen scales.

        Parameters
        ----------
        x : numpy.ndarray
            Numbers in rows.
        block : int
            Elements of a block.
        index
            The index of the blocks of `x` among all blocks.
        scales : Scales
        encode : callable
            A function from scales to the codes of `x`.
        codes : numpy.ndarray
            The codes of `x` under `scales`.

        Returns
        -------
        numpy.ndarray
            Codes of the chosen scales.
        """
        from fpemu.kernels.cpu.blocks import replace_blocks

        larger = Scales(*(numbers[index] for numbers in self.larger))
        others = encode(larger)
        errors = (self._errors(x, *each, block) for each in ((codes, scales.values), (others, larger.values)))
        better = np.greater(*map(wide, errors))
        replace_blocks(better, others, block, codes)
        return np.where(better, larger.codes, scales.codes)

    def _errors(self, x: NDArray[Any], codes: NDArray[Any], scale: NDArray[Any], block: int) -> Single:
        """The sum of errors in each block, added in the order of `fpemu.kernels.cpu.blocks.block_errors`."""
        scale = np.ascontiguousarray(scale, np.float32)
        width = self.scheme.block[1] if isinstance(self.scheme.block, tuple) else block
        shape = block // width, width
        if not self.arithmetic.native:
            return self._errors_by_kernels(x, codes, scale, shape)
        from fpemu.kernels.cpu.blocks import block_errors

        sums = np.empty(scale.shape, np.float32)
        block_errors(x, codes, _values_of(self.scheme.element), scale, self.factors, shape, self.squared, sums)
        return sums

    def _errors_by_kernels(self, x: NDArray[Any], codes: NDArray[Any], scale: Single, shape: tuple[int, int]) -> Single:
        """The same sums by the general kernels."""
        ops, (rows, width), count = self.arithmetic, shape, scale.shape[1]
        spread = np.repeat(scale, rows * width, axis=1)[:, : x.shape[1]]
        value = ops.multiply(ops.multiply(_values_of(self.scheme.element)[codes], spread), self.factors[0])
        errors = ops.subtract(ops.divide(value, self.factors[1]), x)
        errors = ops.multiply(errors, errors) if self.squared else np.abs(errors)
        padded = np.zeros((len(x), count * rows * width), np.float32)
        padded[:, : x.shape[1]] = errors
        padded = padded.reshape(len(x), count, rows, width)
        sums: NDArray[Any] = np.zeros(padded.shape[:-1], np.float32)
        for i in range(width):
            sums = ops.add(sums, padded[..., i])
        while sums.shape[-1] > 1:
            half = sums.shape[-1] // 2
            sums = ops.add(sums[..., :half], sums[..., half:])
        return sums[..., 0]


@functools.lru_cache(maxsize=16)
def _values_of(element: Format) -> Single:
    """The values of all codes of a format."""
    return np.asarray(decode(np.arange(element.code_count, dtype=element.code_dtype), element), np.float32)

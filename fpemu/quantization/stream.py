"""Stream: quantization of an array that arrives in chunks, of which only unfinished blocks stay in memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fpemu.casting.stochastic import streamed
from fpemu.formats import FloatFormat
from fpemu.quantization.blocks import Layout, layout_of
from fpemu.quantization.calibration import Calibration
from fpemu.quantization.quantizer import quantize

if TYPE_CHECKING:
    from fpemu.formats import Format
    from fpemu.quantization.definition.scaled_format import ScaledFormat
    from fpemu.quantization.quantized import Quantized

__all__ = ["Stream"]


class Stream:
    """Quantizes an array that arrives in chunks, in C order; elements of unfinished blocks wait for the next chunk.

    All elements wait for the last chunk if their codes depend on all blocks and a first pass cannot collect what is
    needed: for scales that are themselves quantized, second levels with zero points, and profiles that choose scales.

    Parameters
    ----------
    scheme : ScaledFormat
    shape : tuple of int
        The array's shape.
    source : Format
        The format of the incoming codes.
    pad : bool
        Whether the last block of an axis may be shorter.

    Raises
    ------
    ValueError
        If the axis is out of range, or blocks do not divide it and `pad` is not set.

    Attributes
    ----------
    needs_two_passes : bool
        Whether all elements must be observed before the first is quantized: for one scale of all elements, one scale
        for each index of the last axis, and scales of two levels.
    bits_per_element : float
        As in `Quantized`.

    Examples
    --------
    >>> import fpemu as fe, numpy as np
    >>> from fpemu.quantization.stream import Stream
    >>> stream = Stream(fe.scheme("mxfp4").replace(block=2), (2, 4), fe.dtype("float32"))
    >>> bits = np.arange(8, dtype=np.float32).view(np.uint32)
    >>> [q.dequantize().tolist() for chunk in (bits[:3], bits[3:]) for _, q in stream.quantized(chunk)]
    [[0.0, 1.0], [2.0, 3.0, 4.0, 4.0, 6.0, 6.0]]
    """

    def __init__(self, scheme: ScaledFormat, shape: tuple[int, ...], source: Format, pad: bool = False) -> None:
        self.source = source
        try:
            layout = layout_of(scheme.block, scheme.axis, shape, pad)
        except ValueError as error:
            raise ValueError(f"{scheme} does not fit an array of shape {shape}: {error}") from None
        size, count = math.prod(shape), math.prod(layout.blocks)
        over = count * scheme.bits_per_block + _second_level_bits(scheme, count)
        self.bits_per_element = (size * scheme.element.bits + over) / size if size else float(scheme.element.bits)
        self.calibration: Calibration | None = None
        if _needs_all(scheme):
            self._unit, self._shape, self.scheme = max(size, 1), shape, scheme
        else:
            own = scheme.own_profile.replace(name=scheme.profile.name)  # which applies however blocks are cut
            self._unit, self._shape, self.scheme = _smallest_unit(scheme.replace(profile=own), layout)
            whole = self.scheme.block == "tensor" or (self.scheme.block == "channel" and len(shape) > 1)
            if whole or scheme.second_level is not None:
                self.calibration = Calibration(self.scheme)
        self.needs_two_passes = self.calibration is not None
        self._waiting: list[NDArray[Any]] = []
        self._waiting_size = self._done = 0

    def observe(self, codes: NDArray[Any]) -> None:
        """Observe a chunk in the first of two passes; NaN and infinities are left out."""
        for elements in self._complete(codes, last=False):
            self._update(elements)

    def freeze(self) -> None:
        """End the first of two passes."""
        for elements in self._complete(np.zeros(0, self.source.code_dtype), last=True):
            self._update(elements)

    def _update(self, elements: NDArray[Any]) -> None:
        if self.calibration is not None:
            self.calibration.update(elements.reshape(self._shape), source=self.source)

    def quantized(
        self, codes: NDArray[Any], last: bool = False, rng: int | np.random.Generator | None = None
    ) -> Iterator[tuple[NDArray[Any], Quantized]]:
        """Quantize the blocks that a chunk completes.

        Parameters
        ----------
        codes : numpy.ndarray
            Of one dimension.
        last : bool
            Whether this is the last chunk.
        rng : None, int or numpy.random.Generator
            For stochastic rounding, as for `quantize`.

        Yields
        ------
        tuple of numpy.ndarray and Quantized
            The elements in one dimension, and the same elements quantized.
        """
        for elements in self._complete(codes, last):
            x = elements.reshape(self._shape)
            options: dict[str, Any] = {"pad": True, "source": self.source}
            options |= streamed(self.scheme.own_profile.elements.rounding, rng, self._done)
            if self.calibration is None or not (self.calibration.count or isinstance(self.scheme.block, str)):
                yield elements, quantize(x, self.scheme, **options)
            elif self.calibration.count:
                yield elements, self.calibration.quantize(x, **options)
            self._done += elements.size

    def _complete(self, codes: NDArray[Any], last: bool) -> Iterator[NDArray[Any]]:
        """Yield as many whole units of waiting elements and a chunk's as there are; the rest waits."""
        self._waiting.append(codes)
        self._waiting_size += codes.size
        ready = self._waiting_size if last else self._waiting_size - self._waiting_size % self._unit
        if ready:
            every = np.concatenate(self._waiting)
            self._waiting, self._waiting_size = [every[ready:]], self._waiting_size - ready
            yield every[:ready]


def _needs_all(scheme: ScaledFormat) -> bool:
    """Whether no element can be quantized before all elements have arrived."""
    if scheme.second_level is None:
        return False
    steps = scheme.own_profile.steps
    chooses = steps is not None and steps.choose != "no"
    return scheme.nested is not None or chooses or scheme.scale_rule.statistic == "minmax"


def _second_level_bits(scheme: ScaledFormat, count: int) -> int:
    """The number of bits that the second level of `count` scales adds to the codes of the scales."""
    level = scheme.nested
    if level is not None:
        assert isinstance(level.block, int)
        return -(-count // level.block) * level.bits_per_block + 32 * (level.scale_rule.offset is not None)
    return scheme.second_level.bits if isinstance(scheme.second_level, FloatFormat) else 0


def _smallest_unit(scheme: ScaledFormat, layout: Layout) -> tuple[int, tuple[int, ...], ScaledFormat]:
    """Return the size of the smallest unit that can be quantized alone, the shape of many units, and their scheme."""
    shape, block_shape = layout.shape, layout.block_shape
    if scheme.block == "tensor" or len(shape) == 0 or math.prod(layout.blocks) <= 1:
        return 1, (-1,), scheme.replace(block="tensor", axis=-1)
    axis = scheme.axis % len(shape) - len(shape)
    if scheme.block == "channel" and axis == -1:
        return shape[-1], (-1, shape[-1]), scheme.replace(axis=-1)
    if layout.rows is not None:
        height, length, block = layout.rows
        if length % block == 0 or height == 1:
            return block, (-1,), scheme.replace(block=block, axis=-1)
        return length, (-1, length), scheme.replace(block=block, axis=-1)
    if scheme.block == "row":  # a length, so that a calibration records nothing for each row
        scheme = scheme.replace(block=block_shape[axis])
    first = next(axis for axis, step in enumerate(block_shape) if step > 1)
    inner = math.prod(shape[first + 1 :])
    if shape[first] % block_shape[first] == 0:
        return block_shape[first] * inner, (-1, *shape[first + 1 :]), scheme.replace(axis=axis)
    return shape[first] * inner, (-1, *shape[first:]), scheme.replace(axis=axis)

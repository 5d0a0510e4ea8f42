"""Quantization of an array that comes in pieces, with no more of it in memory than its blocks need."""

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
    """Quantizes the elements of an array, as they come in C order; those that blocks part are kept for the next piece.

    All are kept, for the last piece, where one number follows from all blocks and can not be known before them: scales
    that are quantized themselves, and profiles that work out the second level's scale themselves.

    Parameters
    ----------
    scheme : ScaledFormat
    shape : tuple of int
        Of the array.
    source : Format
        Of the codes that come.
    pad : bool
        Whether the last block of an axis may be shorter.

    Raises
    ------
    ValueError
        If the array has no such axis, or blocks do not divide it and `pad` is not set.

    Attributes
    ----------
    looks_first : bool
        Whether all elements must be looked at before the first is quantized: for one scale for all, scales of the last
        axis' places, and scales of two levels.
    bits_per_element : float
        As `Quantized` has it.

    Examples
    --------
    >>> import fpemu as fe, numpy as np
    >>> from fpemu.quantization.stream import Stream
    >>> stream = Stream(fe.scheme("mxfp4").replace(block=2), (2, 4), fe.dtype("float32"))
    >>> bits = np.arange(8, dtype=np.float32).view(np.uint32)
    >>> [q.dequantize().tolist() for part in (bits[:3], bits[3:]) for _, q in stream.quantized(part)]
    [[0.0, 1.0], [2.0, 3.0, 4.0, 4.0, 6.0, 6.0]]
    """

    def __init__(self, scheme: ScaledFormat, shape: tuple[int, ...], source: Format, pad: bool = False) -> None:
        self.source = source
        try:
            layout = layout_of(scheme.block, scheme.axis, shape, pad)
        except ValueError as error:
            raise ValueError(f"{scheme} does not fit an array of shape {shape}: {error}") from None
        size, count = math.prod(shape), math.prod(layout.blocks)
        over = count * scheme.bits_per_block + _second_bits(scheme, count)
        self.bits_per_element = (size * scheme.element.bits + over) / size if size else float(scheme.element.bits)
        self.known: Calibration | None = None
        if _needs_all(scheme):
            self._unit, self._shape, self.scheme = max(size, 1), shape, scheme
        else:
            own = scheme.own_profile.replace(name=scheme.profile.name)  # which fits however blocks are cut
            self._unit, self._shape, self.scheme = _cut(scheme.replace(profile=own), layout)
            whole = self.scheme.block == "tensor" or (self.scheme.block == "channel" and len(shape) > 1)
            if whole or scheme.second_level is not None:
                self.known = Calibration(self.scheme)
        self.looks_first = self.known is not None
        self._rest: list[NDArray[Any]] = []
        self._waiting = self._done = 0

    def look(self, codes: NDArray[Any]) -> None:
        """Look at a piece, the first time that all come; what is not finite is left out."""
        for part in self._whole(codes, last=False):
            self._look(part)

    def _look(self, part: NDArray[Any]) -> None:
        if self.known is not None:
            self.known.update(part.reshape(self._shape), source=self.source)

    def begin(self) -> None:
        """After the last piece of the first time."""
        for part in self._whole(np.zeros(0, self.source.code_dtype), last=True):
            self._look(part)

    def quantized(
        self, codes: NDArray[Any], last: bool = False, rng: int | np.random.Generator | None = None
    ) -> Iterator[tuple[NDArray[Any], Quantized]]:
        """Quantize what a piece completes.

        Parameters
        ----------
        codes : numpy.ndarray
            Of one dimension.
        last : bool
            Whether no other comes.
        rng : None, int or numpy.random.Generator
            For stochastic rounding, as for `quantize`.

        Yields
        ------
        tuple of numpy.ndarray and Quantized
            Elements in a row, and what they became.
        """
        for part in self._whole(codes, last):
            x = part.reshape(self._shape)
            how: dict[str, Any] = {"pad": True, "source": self.source}
            how |= streamed(self.scheme.own_profile.elements.rounding, rng, self._done)
            if self.known is None or not (self.known.count or isinstance(self.scheme.block, str)):
                yield part, quantize(x, self.scheme, **how)
            elif self.known.count:
                yield part, self.known.quantize(x, **how)
            self._done += part.size

    def _whole(self, codes: NDArray[Any], last: bool) -> Iterator[NDArray[Any]]:
        """Elements that wait and a piece's, so many that they can be quantized alone."""
        self._rest.append(codes)
        self._waiting += codes.size
        ready = self._waiting if last else self._waiting - self._waiting % self._unit
        if ready:
            every = np.concatenate(self._rest)
            self._rest, self._waiting = [every[ready:]], self._waiting - ready
            yield every[:ready]


def _needs_all(scheme: ScaledFormat) -> bool:
    """Whether no part of an array can be quantized before all of it is there."""
    if scheme.second_level is None:
        return False
    steps = scheme.own_profile.steps
    chooses = steps is not None and steps.choose != "no"
    return scheme.nested is not None or chooses or scheme.scale_rule.statistic == "minmax"


def _second_bits(scheme: ScaledFormat, count: int) -> int:
    """The bits of the second level, beside the codes of the scales, of which there are so many."""
    level = scheme.nested
    if level is not None:
        assert isinstance(level.block, int)
        return -(-count // level.block) * level.bits_per_block + 32 * (level.scale_rule.offset is not None)
    return scheme.second_level.bits if isinstance(scheme.second_level, FloatFormat) else 0


def _cut(scheme: ScaledFormat, layout: Layout) -> tuple[int, tuple[int, ...], ScaledFormat]:
    """How many elements can be quantized alone, and multiples of them; their shape (-1 once); the scheme for it."""
    shape, steps = layout.shape, layout.steps
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
    if scheme.block == "row":  # a length, so that nothing is kept of each
        scheme = scheme.replace(block=steps[axis])
    first = next(place for place, step in enumerate(steps) if step > 1)
    inner = math.prod(shape[first + 1 :])
    if shape[first] % steps[first] == 0:
        return steps[first] * inner, (-1, *shape[first + 1 :]), scheme.replace(axis=axis)
    return shape[first] * inner, (-1, *shape[first:]), scheme.replace(axis=axis)

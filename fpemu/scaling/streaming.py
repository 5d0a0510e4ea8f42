"""Quantization of an array that comes in pieces, with no more of it in memory than its blocks need."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fpemu.casting import cast
from fpemu.formats import FloatFormat
from fpemu.scaling.calibration import Calibration, narrow
from fpemu.scaling.layout import Layout, block_shape
from fpemu.scaling.quantizing import quantize

if TYPE_CHECKING:
    from fpemu.formats import Format
    from fpemu.scaling.quantized import Quantized
    from fpemu.scaling.scheme import ScaledFormat

__all__ = ["Stream"]


class Stream:
    """Quantizes the elements of an array, as they come in C order; those that blocks part are kept for the next piece.

    Parameters
    ----------
    scheme : ScaledFormat
    shape : tuple of int
        Of the array.
    source : Format
        Of the codes that come.

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
    >>> from fpemu.scaling.streaming import Stream
    >>> stream = Stream(fe.scheme("mxfp4").replace(block=2), (2, 4), fe.dtype("float32"))
    >>> bits = np.arange(8, dtype=np.float32).view(np.uint32)
    >>> [q.dequantize().tolist() for part in (bits[:3], bits[3:]) for _, q in stream.quantized(part)]
    [[0.0, 1.0], [2.0, 3.0, 4.0, 4.0, 6.0, 6.0]]
    """

    def __init__(self, scheme: ScaledFormat, shape: tuple[int, ...], source: Format) -> None:
        level = scheme.second_level
        if level is not None and not isinstance(level, FloatFormat):
            raise ValueError(f"{scheme} quantizes its scales too, all of them together: it does not come in pieces")
        self.source = source
        layout = Layout(shape, block_shape(scheme.block, scheme.axis, shape))
        size, count = math.prod(shape), math.prod(layout.blocks)
        second = 0 if level is None else level.bits
        over = count * scheme.bits_per_block + second
        self.bits_per_element = scheme.element.bits + (over / size if size else 0.0)
        self.known: Calibration | None = None
        self._unit, self._shape, self.scheme = _cut(scheme, layout)
        if self.scheme.block == "tensor" or (self.scheme.block == "channel" and len(shape) > 1):
            self.known = Calibration(self.scheme)
        self.looks_first = self.known is not None or scheme.second_level is not None
        self._largest, self._second = 0.0, None if scheme.second_level is None else 1.0
        self._rest: list[NDArray[Any]] = []
        self._waiting = self._done = 0

    def look(self, codes: NDArray[Any]) -> None:
        """Look at a piece, the first time that all come; what is not finite is left out."""
        for part in self._whole(codes, last=False):
            self._look(part)

    def _look(self, part: NDArray[Any]) -> None:
        if self.known is not None:
            self.known.update(part.reshape(self._shape), source=self.source)
            return
        values = np.abs(np.asarray(cast(part, "float64", source=self.source)))
        self._largest = max(self._largest, float(np.max(values, initial=0.0, where=np.isfinite(values))))

    def begin(self) -> None:
        """After the last piece of the first time."""
        for part in self._whole(np.zeros(0, self.source.code_dtype), last=True):
            self._look(part)
        self._done = 0
        if self.known is None and self._second is not None:
            found = quantize(
                narrow(np.array([self._largest])), self.scheme.replace(block="tensor", axis=-1)
            ).second_scale
            assert isinstance(found, float)
            self._second = found

    def quantized(
        self, codes: NDArray[Any], last: bool = False, **how: Any
    ) -> Iterator[tuple[NDArray[Any], Quantized]]:
        """Quantize what a piece completes.

        Parameters
        ----------
        codes : numpy.ndarray
            Of one dimension.
        last : bool
            Whether no other comes.
        **how
            As for `quantize`.

        Yields
        ------
        tuple of numpy.ndarray and Quantized
            Elements in a row, and what they became.
        """
        for part in self._whole(codes, last):
            x = part.reshape(self._shape)
            if self.known is None:
                yield (
                    part,
                    quantize(
                        x,
                        self.scheme,
                        pad=True,
                        source=self.source,
                        second_scale=self._second,
                        rng_offset=self._done,
                        **how,
                    ),
                )
            elif self.known.count:
                yield part, self.known.quantize(x, source=self.source, rng_offset=self._done, **how)
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
    first = next(place for place, step in enumerate(steps) if step > 1)
    inner = math.prod(shape[first + 1 :])
    if shape[first] % steps[first] == 0:
        return steps[first] * inner, (-1, *shape[first + 1 :]), scheme.replace(axis=axis)
    return shape[first] * inner, (-1, *shape[first:]), scheme.replace(axis=axis)

"""Quantized: codes with their scales."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fpemu.casting import decode, encode
from fpemu.formats import FloatFormat, IntFormat
from fpemu.packing import pack, unpack
from fpemu.scaling.dequantizing import dequantize
from fpemu.scaling.stepping import wide

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from fpemu.scaling.layout import Layout
    from fpemu.scaling.scheme import ScaledFormat

__all__ = ["Packed", "Quantized"]

OFFSET_BYTES = 4  # float32


class Packed(NamedTuple):
    """What is stored of a quantized array, and what says how to read it; made by `Quantized.pack`.

    Parameters
    ----------
    elements : numpy.ndarray of uint8
        Their codes as `fpemu.pack` packs them along the last axis.
    scales : numpy.ndarray
        As in `Quantized`.
    zero_points : numpy.ndarray of uint8 or None
        Their codes, packed in C order; None where there are none, or the scheme says them.
    second_scale : float, Packed or None
        The second level's scale.  Of scales in a scheme of their own: they, packed, the codes of `scales` once more.
    offset : float or None
        What numbers are larger by; of scales of scales alone.
    scheme : ScaledFormat
    layout : Layout
    order : {"low_first", "high_first"}
        As for `fpemu.pack`.

    Examples
    --------
    >>> import fpemu as fe
    >>> q = fe.quantize([1.0, 2.0, 3.0, 6.0], "uint4_asym_group4")
    >>> q.pack().zero_points, q.pack().nbytes == q.nbytes
    (array([0], dtype=uint8), True)
    """

    elements: NDArray[np.uint8]
    scales: NDArray[Any]
    zero_points: NDArray[np.uint8] | None
    second_scale: float | Packed | None
    offset: float | None
    scheme: ScaledFormat
    layout: Layout
    order: str

    @property
    def nbytes(self) -> int:
        """The bytes of elements, scales, zero points and the second level."""
        found = self.elements.nbytes + self.scales.nbytes
        if self.zero_points is not None:
            found += self.zero_points.nbytes
        if isinstance(self.second_scale, Packed):
            found += self.second_scale.nbytes - self.second_scale.elements.nbytes
        elif isinstance(self.scheme.second_level, FloatFormat):
            found += _bytes(self.scheme.second_level.bits)
        return found + (0 if self.offset is None else OFFSET_BYTES)

    def unpack(self) -> Quantized:
        """The quantized array that was packed.

        Returns
        -------
        Quantized

        Raises
        ------
        ValueError
            If the parts are not of the layout's shapes.

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.quantize([1.0, 2.0, 3.0, 6.0], "mxfp4", pad=True).pack().unpack()
        <Quantized (4,) mxfp4: 6 bits an element>
        """
        scheme, layout = self.scheme, self.layout
        codes = unpack(self.elements, scheme.element, layout.shape or (1,), order=self.order).reshape(layout.shape)
        second = self.second_scale
        level = second.unpack() if isinstance(second, Packed) else second
        zeros = None
        if scheme.fixed_zero_point is not None:
            zeros = np.full(layout.blocks, scheme.fixed_zero_point, np.int64)
        elif self.zero_points is not None:
            few = unpack(self.zero_points, scheme.zero_point, math.prod(layout.blocks), order=self.order)
            zeros = np.asarray(decode(few, scheme.zero_point), np.int64).reshape(layout.blocks)
        return Quantized(scheme, codes, self.scales, zeros, level, layout, self.offset)


def _bytes(bits: int) -> int:
    return -(-bits // 8)


class Quantized:
    """An array in a scheme: codes, and the scales that blocks of them share; made by `quantize`.

    Parameters
    ----------
    scheme : ScaledFormat
    codes : numpy.ndarray of unsigned int
        Bit patterns of the elements, of the array's shape.
    scales : numpy.ndarray of unsigned int
        Bit patterns of the scales; along each axis one for each block.
    zero_points : numpy.ndarray of int or None
        Of the scales' shape.
    second_scale : float, Quantized or None
        The second level's scale; the scales themselves, flat, where they have a scheme of their own.
    layout : Layout
        Where the blocks lie.
    offset : float or None
        What all numbers are larger by than codes and scales say; of scales of scales alone.

    Attributes
    ----------
    scheme : ScaledFormat
    codes, scales : numpy.ndarray
    zero_points : numpy.ndarray or None
    second_scale : float, Quantized or None
    layout : Layout
    offset : float or None

    Notes
    -----
    Scales and zero points have one place for each block.  `spread` gives each element its block's:
    ``(q.elements - q.spread(q.zero_points)) * q.spread(q.scale_values)``, times `second_scale` where that is a number.
    Where a block is the tensor, a row or a channel, they fit the elements by broadcasting.  Under torchao's profile of
    float8 training elements are divided instead: the scales are what numbers were multiplied by.

    Examples
    --------
    >>> import fpemu as fe
    >>> q = fe.quantize([[1.0, -2.0, 3.0, 4.0], [0.0, 0.1, 0.2, 0.3]], "mxfp4", block=4)
    >>> q
    <Quantized (2, 4) mxfp4: 6 bits an element>
    >>> q.codes
    array([[ 2, 12,  5,  6],
           [ 0,  3,  5,  6]], dtype=uint8)
    >>> q.scale_values
    array([[1.    ],
           [0.0625]], dtype=float32)
    >>> q[1].dequantize()
    array([0.    , 0.09375, 0.1875 , 0.25   ], dtype=float32)
    """

    def __init__(
        self,
        scheme: ScaledFormat,
        codes: NDArray[Any],
        scales: NDArray[Any],
        zero_points: NDArray[Any] | None,
        second_scale: float | Quantized | None,
        layout: Layout,
        offset: float | None = None,
    ) -> None:
        self.scheme, self.codes, self.scales = scheme, codes, scales
        self.zero_points, self.second_scale, self.layout = zero_points, second_scale, layout
        self.offset = offset

    @property
    def shape(self) -> tuple[int, ...]:
        """The array's shape."""
        return self.codes.shape

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self.codes.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.codes.size

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def elements(self) -> Any:
        """The elements before zero point and scale, as `decode` gives them: integers in integer formats."""
        return decode(self.codes, self.scheme.element)

    @property
    def scale_values(self) -> Any:
        """The scales, as `decode` gives them; without the second level's."""
        if isinstance(self.second_scale, Quantized):
            return self.second_scale.dequantize().reshape(self.scales.shape)
        return decode(self.scales, self.scheme.scale)

    def dequantize(self, dtype: DTypeLike | None = None, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """The numbers that codes and scales stand for: (element - zero point) x scales, rounded once.

        Parameters
        ----------
        dtype : numpy dtype, optional
            float32 (default) or float64.
        out : numpy.ndarray, optional
            Where to put them: of the array's shape and this dtype.

        Returns
        -------
        numpy.ndarray
            Of the array's shape.

        Raises
        ------
        TypeError
            If `dtype` is another, or `out` of another.
        ValueError
            If `out` is of another shape.

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.quantize([100.0, -3.0], "absmax_int8").dequantize()
        array([100.       ,  -3.1496062], dtype=float32)
        """
        return dequantize(self, np.dtype(np.float32 if dtype is None else dtype), out)

    def spread(self, of_blocks: ArrayLike) -> NDArray[Any]:
        """What belongs to blocks, for each element.

        Parameters
        ----------
        of_blocks : array_like
            One for each block, as `scale_values`, `zero_points` and `scales` are, or what broadcasts to that.

        Returns
        -------
        numpy.ndarray
            Of the array's shape; read-only.

        Raises
        ------
        ValueError
            If `of_blocks` has another shape.

        Examples
        --------
        >>> import fpemu as fe
        >>> q = fe.quantize([-1.0, 0.5, 2.0, 3.0], "uint8_asym_group2")
        >>> q.spread(q.zero_points)
        array([170, 170,   0,   0])
        >>> by_hand = (q.elements - q.spread(q.zero_points)) * q.spread(q.scale_values)
        >>> by_hand.astype("float32") == q.dequantize()
        array([ True,  True,  True,  True])
        """
        given = np.asarray(of_blocks)
        try:
            found = np.broadcast_to(given, self.layout.blocks)
        except ValueError:
            raise ValueError(
                f"an array of shape {given.shape} does not fit blocks of shape {self.layout.blocks}"
            ) from None
        spread = self.layout.spread(found)
        spread.flags.writeable = False
        return spread

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("a Quantized becomes an array of numbers only by a copy: dequantize()")
        found = self.dequantize()
        if dtype is None:
            return found
        return wide(found) if np.dtype(dtype) == np.float64 else found.astype(dtype)

    def __getitem__(self, index: Any) -> Quantized:
        """A part along block boundaries; integers drop an axis whose blocks have one element."""
        elements, blocks, layout = self.layout.part(index)
        zeros = None if self.zero_points is None else self.zero_points[blocks]
        second = self._scales_of_scales(self.second_scale, blocks)
        return Quantized(self.scheme, self.codes[elements], self.scales[blocks], zeros, second, layout, self.offset)

    def _scales_of_scales(self, second: float | Quantized | None, blocks: Any) -> float | Quantized | None:
        """The second level of a part: where scales have blocks of their own, those must stay whole."""
        if not isinstance(second, Quantized):
            return second
        places = np.arange(self.scales.size).reshape(self.scales.shape)[blocks].reshape(-1)
        if places.size and places[-1] - places[0] + 1 != places.size:
            raise ValueError(
                "the scales of this part do not follow one another in C order, so that it would cut the blocks in "
                "which they are quantized themselves"
            )
        if not places.size:
            return second[:0]
        start, stop, step = int(places[0]), int(places[-1]) + 1, second.layout.steps[0]
        if start % step or (stop % step and stop != second.size):
            raise ValueError(
                f"the part has the scales {start}:{stop}, in C order, which cut a block of {step} scales: they are "
                f"quantized themselves, so that a part begins and ends at multiples of {step} scales"
            )
        return second[start:stop]

    def pack(self, order: str = "low_first") -> Packed:
        """What is stored: elements packed tight, and all that belongs to blocks.

        Parameters
        ----------
        order : {"low_first", "high_first"}
            As for `fpemu.pack`.

        Returns
        -------
        Packed

        Raises
        ------
        ValueError
            If `order` is unknown, or a zero point does not fit its format, as torchao's of a block with a NaN.

        Examples
        --------
        >>> import fpemu as fe
        >>> packed = fe.quantize([1.0, 2.0, 3.0, 6.0], "mxfp4", pad=True).pack()
        >>> packed.elements, packed.scales
        (array([ 66, 117], dtype=uint8), array([127], dtype=uint8))
        """
        codes = self.codes if self.ndim else self.codes.reshape(1)
        second = self.second_scale
        level = second.pack(order) if isinstance(second, Quantized) else second
        return Packed(
            pack(codes, self.scheme.element, order=order),
            self.scales,
            self._packed_zero_points(order),
            level,
            self.offset,
            self.scheme,
            self.layout,
            order,
        )

    def _packed_zero_points(self, order: str) -> NDArray[np.uint8] | None:
        fmt = self.scheme.zero_point
        if self.zero_points is None or not isinstance(fmt, IntFormat):
            return None
        beyond = (self.zero_points < fmt.min_int) | (self.zero_points > fmt.max_int)
        if beyond.any():
            raise ValueError(f"the zero point {self.zero_points[beyond].flat[0]} of a block does not fit {fmt}")
        return pack(np.asarray(encode(self.zero_points, fmt)).reshape(-1), fmt, order=order)

    @property
    def bits_per_element(self) -> float:
        """The bits that belong to an element, its share of its block's among them; no padding."""
        if not self.size:
            return float(self.scheme.element.bits)
        return self._bits / self.size

    @property
    def nbytes(self) -> int:
        """The bytes of what `pack` gives: each row of elements, and the zero points, end with a whole byte."""
        scheme, (*rows, length) = self.scheme, self.shape or (1,)
        found = math.prod(rows) * _bytes(length * scheme.element.bits) + self.scales.nbytes
        if isinstance(scheme.zero_point, IntFormat):
            found += _bytes(self.scales.size * scheme.zero_point.bits)
        if isinstance(self.second_scale, Quantized):  # whose codes are the scales
            found += self.second_scale.nbytes - _bytes(self.scales.size * self.second_scale.scheme.element.bits)
        elif isinstance(scheme.second_level, FloatFormat):
            found += _bytes(scheme.second_level.bits)
        return found + (0 if self.offset is None else OFFSET_BYTES)

    @property
    def _bits(self) -> int:
        second = self.scheme.second_level
        own = second.bits if isinstance(second, FloatFormat) else 0
        if isinstance(self.second_scale, Quantized):  # whose codes are the scales
            own = self.second_scale._bits - self.second_scale.size * self.second_scale.scheme.element.bits
        own += 0 if self.offset is None else 8 * OFFSET_BYTES
        return self.size * self.scheme.element.bits + self.scales.size * self.scheme.bits_per_block + own

    def __repr__(self) -> str:
        return f"<Quantized {self.shape} {self.scheme}: {self.bits_per_element:.4g} bits an element>"

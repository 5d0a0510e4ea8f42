"""Quantized: codes with their scales."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fpemu.casting import decode
from fpemu.formats import FloatFormat
from fpemu.packing import pack
from fpemu.scaling.dequantizing import dequantize
from fpemu.scaling.stepping import wide

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from fpemu.scaling.layout import Layout
    from fpemu.scaling.scheme import ScaledFormat

__all__ = ["Packed", "Quantized"]


class Packed(NamedTuple):
    """What is stored of a quantized array: packed elements, scales (codes), zero points, the second level's scale.

    `elements`: as `fpemu.pack` packs them along the last axis, uint8; `scales`: as in `Quantized`; `zero_points` and
    `second_scale`: None where there are none, or the scheme says them.  `second_scale` of scales in a scheme of their
    own: they, packed, the codes of `scales` once more; `offset`: what those are larger by.
    """

    elements: NDArray[np.uint8]
    scales: NDArray[Any]
    zero_points: NDArray[Any] | None
    second_scale: float | Packed | None
    offset: float | None = None


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
            raise ValueError("the scales of this part do not follow one another, so their own blocks would be cut")
        return second[places[0] : places[-1] + 1] if places.size else second[:0]

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
            If `order` is unknown.

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.quantize([1.0, 2.0, 3.0, 6.0], "mxfp4", pad=True).pack()
        Packed(elements=array([ 66, 117], dtype=uint8), scales=array([127], dtype=uint8), zero_points=None,
               second_scale=None, offset=None)
        """
        codes = self.codes if self.ndim else self.codes.reshape(1)
        second = self.second_scale
        level = second.pack(order) if isinstance(second, Quantized) else second
        zeros = self.zero_points if self.scheme.fixed_zero_point is None else None
        return Packed(pack(codes, self.scheme.element, order=order), self.scales, zeros, level, self.offset)

    @property
    def bits_per_element(self) -> float:
        """The bits that are stored, for each element."""
        if not self.size:
            return float(self.scheme.element.bits)
        return self._bits / self.size

    @property
    def nbytes(self) -> int:
        """The bytes that are stored, everything packed tight."""
        return -(-self._bits // 8)

    @property
    def _bits(self) -> int:
        second = self.scheme.second_level
        own = second.bits if isinstance(second, FloatFormat) else 0
        if isinstance(self.second_scale, Quantized):  # whose codes are the scales
            own = self.second_scale._bits - self.second_scale.size * self.second_scale.scheme.element.bits
        own += 0 if self.offset is None else 32
        return self.size * self.scheme.element.bits + math.prod(self.scales.shape) * self.scheme.bits_per_block + own

    def __repr__(self) -> str:
        return f"<Quantized {self.shape} {self.scheme}: {self.bits_per_element:.4g} bits an element>"

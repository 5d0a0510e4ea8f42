"""Quantized: codes and the scales that blocks of them share."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fpemu.casting import decode, named_dtype, pack
from fpemu.formats import FloatFormat, IntFormat, state_of
from fpemu.formats.lookup import brief
from fpemu.quantization.blocks import Layout, block_shape
from fpemu.quantization.definition.registry import scheme as find_scheme
from fpemu.quantization.dequantizer import dequantize
from fpemu.quantization.floats import wide
from fpemu.quantization.parts import (
    check_layout,
    check_memory,
    element_codes,
    exact_number,
    offset_of,
    packed_zero_points,
    scale_codes,
    sizes_of,
    unpacked,
    unpacked_zero_points,
    zero_points_in,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from fpemu.quantization.definition.scaled_format import ScaledFormat

__all__ = ["Packed", "Quantized"]

OFFSET_BYTES = 4  # float32
PARTS = ("scheme", "codes", "scales", "zero_points", "second_scale", "layout", "offset")


class Packed(NamedTuple):
    """The stored bytes of a quantized array, with everything needed to read them; made by `Quantized.pack`.

    Parameters
    ----------
    elements : numpy.ndarray of uint8
        The elements' codes, packed along the last axis by `fpemu.pack`.
    scales : numpy.ndarray
        As in `Quantized`.
    zero_points : numpy.ndarray of uint8 or None
        Codes of zero points, packed in C order; None if there are none, or all blocks have the same one.
    second_scale : float, Packed or None
        The second level's scale.  For nested schemes the packed scales, whose codes are the same as in `scales`.
    offset : float or None
        The number added to all numbers; only for scales of scales.
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
        count = self.elements.nbytes + self.scales.nbytes
        if self.zero_points is not None:
            count += self.zero_points.nbytes
        if isinstance(self.second_scale, Packed):
            count += self.second_scale.nbytes - self.second_scale.elements.nbytes
        elif isinstance(self.scheme.second_level, FloatFormat):
            count += _bytes(self.scheme.second_level.bits)
        return count + (0 if self.offset is None else OFFSET_BYTES)

    def unpack(self) -> Quantized:
        """Return the quantized array that was packed.

        Returns
        -------
        Quantized

        Raises
        ------
        ValueError
            If a part does not have the layout's shape.

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.quantize([1.0, 2.0, 3.0, 6.0], "mxfp4", pad=True).pack().unpack()
        <Quantized (4,) mxfp4: 6 bits an element>
        """
        scheme, layout = self.scheme, self.layout
        codes = unpacked(self.elements, scheme, layout.shape, self.order)
        second = self.second_scale
        level = second.unpack() if isinstance(second, Packed) else second
        zeros: NDArray[np.int64] | None = None
        if self.zero_points is not None and isinstance(scheme.zero_point, IntFormat):
            zeros = unpacked_zero_points(self.zero_points, scheme.zero_point, layout.blocks, self.order)
        return Quantized(scheme, codes, self.scales, zeros, level, layout, self.offset)


def _bytes(bits: int) -> int:
    return -(-bits // 8)


def _checked_second_scale(x: Any, scheme: ScaledFormat, scales: NDArray[Any]) -> float | Quantized | None:
    """The second level's scale, checked; see `Quantized`."""
    if scheme.second_level is None:
        if x is not None:
            raise ValueError(f"{scheme} has no second level: leave second_scale out")
        return None
    if scheme.nested is None:
        if x is None:
            raise ValueError(f"{scheme} needs second_scale, the second level's scale")
        assert isinstance(scheme.second_level, FloatFormat)
        return exact_number(x, scheme.second_level, "second_scale")
    if not isinstance(x, Quantized):
        raise TypeError(
            f"{scheme} needs second_scale, its scales as a Quantized of {scheme.nested}, not {type(x).__name__}"
        )
    if x.scheme != scheme.nested:
        raise ValueError(f"second_scale is quantized to {x.scheme}, not to {scheme.nested} under {scheme.profile}")
    if x.ndim != 1 or not np.array_equal(x.codes, scales.reshape(-1)):
        raise ValueError("second_scale does not have the codes of scales, in one dimension and C order")
    return x


class Quantized:
    """An array in a scheme: codes and the scales that blocks of them share; made by `quantize` or `from_parts`.

    Parameters
    ----------
    scheme : str or ScaledFormat
    codes : array_like of unsigned int
        Bit patterns of the elements, in the array's shape; not copied if they have the codes' dtype.
    scales : array_like of unsigned int
        Bit patterns of the scales, one for each block along each axis; or floats that are values of their format.
    zero_points : array_like of int or None
        Of the scales' shape; None where the scheme has none, or has the same one in all blocks.
    second_scale : float, Quantized or None
        The second level's scale, a value of its format; for nested schemes the flat array of scales, quantized.
    layout : Layout
        The shape and the blocks.
    offset : float or None
        The number added to all numbers; only for scales of scales.

    Attributes
    ----------
    scheme : ScaledFormat
    codes, scales : numpy.ndarray
    zero_points : numpy.ndarray or None
    second_scale : float, Quantized or None
    layout : Layout
    offset : float or None

    Raises
    ------
    TypeError
        If a part is of the wrong kind, such as zero points that are not integers.
    ValueError
        If a part is missing, superfluous, of another shape, or out of range.

    See Also
    --------
    Quantized.from_parts : from packed words, with the layout of the scheme's blocks.

    Notes
    -----
    Setting an attribute runs the same checks.  Values written into the arrays `codes`, `scales` and `zero_points` are
    checked on dequantization.

    Scales and zero points have one entry for each block.  `spread` repeats them for each element:
    ``(q.elements - q.spread(q.zero_points)) * q.spread(q.scale_values)``, times `second_scale` where that is a number.
    If a block is the tensor, a row or a channel, they broadcast against the elements.  Under torchao's profile of
    float8 training elements are divided by the scales instead, since numbers were multiplied by them.

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

    scheme: ScaledFormat
    codes: NDArray[Any]
    scales: NDArray[Any]
    zero_points: NDArray[Any] | None
    second_scale: float | Quantized | None
    layout: Layout
    offset: float | None

    def __init__(
        self,
        scheme: str | ScaledFormat,
        codes: ArrayLike,
        scales: ArrayLike,
        zero_points: ArrayLike | None,
        second_scale: float | Quantized | None,
        layout: Layout,
        offset: float | None = None,
    ) -> None:
        own_scheme = find_scheme(scheme)
        own_codes = element_codes(codes, own_scheme.element)
        check_layout(layout, own_scheme, own_codes.shape)
        own_scales = scale_codes(scales, own_scheme, layout)
        vars(self).update(
            scheme=own_scheme,
            codes=own_codes,
            scales=own_scales,
            zero_points=zero_points_in(zero_points, own_scheme, layout, own_scales),
            second_scale=_checked_second_scale(second_scale, own_scheme, own_scales),
            layout=layout,
            offset=offset_of(offset, own_scheme),
        )

    def __setstate__(self, state: Any) -> None:
        """Restore a pickle or a copy, with the checks of the constructor."""
        Quantized.__init__(self, **state_of("Quantized", state, Quantized.__annotations__))

    @classmethod
    def from_parts(
        cls,
        scheme: str | ScaledFormat,
        *,
        codes: ArrayLike | None = None,
        packed: ArrayLike | None = None,
        scales: ArrayLike,
        zero_points: ArrayLike | None = None,
        second_scale: float | Quantized | None = None,
        shape: int | tuple[int, ...] | None = None,
        order: str = "low_first",
        word_bits: int = 8,
    ) -> Quantized:
        """Return a quantized array made of stored parts, which are checked.

        Parameters
        ----------
        scheme : str or ScaledFormat
            See `schemes`; its block and axis are those of the scales.  The last block of an axis may be shorter.
        codes : array_like of unsigned int, optional
            The elements' codes, of the array's shape; or an array of the elements' dtype (numpy's, ml_dtypes', torch's,
            an `Array`).  Either these or `packed`.
        packed : array_like of int, optional
            The codes packed along the last axis, as `fpemu.pack` packs them, in signed or unsigned words.
        scales : array_like
            One for each block: unsigned integers are codes of the scales' format; floats are values of that format.
            Zero and negative scales are accepted where the format has them.
        zero_points : array_like of int, optional
            Of the scales' shape, where the scheme has a zero point for each block.
        second_scale : float or Quantized, optional
            The second level's scale, where the scheme has one.  For a nested scheme the flat array of scales as a
            Quantized of ``scheme.nested``: its codes are `scales` again, and its own `second_scale` is its offset.
        shape : int or tuple of int, optional
            The array's shape; needed with `packed`.
        order : {"low_first", "high_first"}
            Of `packed`, as for `fpemu.pack`.
        word_bits : {8, 16, 32, 64}
            Bits of a word of `packed`.

        Returns
        -------
        Quantized

        Raises
        ------
        TypeError
            If a part is of the wrong kind, or words do not have `word_bits`.
        ValueError
            If a part is missing, superfluous, of another shape, or out of range.

        Examples
        --------
        >>> import fpemu as fe, numpy as np
        >>> words = np.int32([0x65432190, 0x7FED])
        >>> q = fe.Quantized.from_parts(
        ...     "mxfp4", packed=words, scales=np.uint8([128]), shape=12, word_bits=32
        ... )
        >>> q.dequantize()
        array([  0.,  -1.,   1.,   2.,   3.,   4.,   6.,   8.,  -6.,  -8., -12.,
                12.], dtype=float32)
        >>> fe.Quantized.from_parts("absmax_int8", codes=np.int8([127, -64]), scales=0.5).dequantize()
        array([ 63.5, -32. ], dtype=float32)
        """
        own_scheme = find_scheme(scheme)
        if (codes is None) == (packed is None):
            raise ValueError("specify either codes or packed")
        if packed is not None:
            if shape is None:
                raise ValueError("packed needs shape, the array's shape")
            own = unpacked(packed, own_scheme, shape, order, word_bits)
        else:
            own = element_codes(codes, own_scheme.element)
            if shape is not None and own.shape != sizes_of(shape):
                raise ValueError(f"codes are of shape {own.shape}, not {sizes_of(shape)}")
        layout = Layout(own.shape, block_shape(own_scheme.block, own_scheme.axis, own.shape))
        if own_scheme.scale_rule.offset is None:
            return cls(own_scheme, own, scales, zero_points, second_scale, layout)
        if second_scale is None:
            raise ValueError(f"{own_scheme} needs second_scale, its offset")
        if isinstance(second_scale, Quantized):
            raise TypeError(f"second_scale of {own_scheme} is its offset, a number, not a Quantized")
        return cls(own_scheme, own, scales, zero_points, None, layout, second_scale)

    @classmethod
    def _of(
        cls,
        scheme: ScaledFormat,
        codes: NDArray[Any],
        scales: NDArray[Any],
        zero_points: NDArray[Any] | None,
        second_scale: float | Quantized | None,
        layout: Layout,
        offset: float | None = None,
    ) -> Quantized:
        """Return a quantized array made of parts that are not checked."""
        q = cls.__new__(cls)
        vars(q).update(zip(PARTS, (scheme, codes, scales, zero_points, second_scale, layout, offset), strict=True))
        return q

    def _under(self, scheme: ScaledFormat, offset: float | None = None) -> Quantized:
        """Return the same parts with another scheme or offset."""
        q = self._of(scheme, self.codes, self.scales, self.zero_points, self.second_scale, self.layout, self.offset)
        if offset is not None:
            vars(q)["offset"] = offset
        return q

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in PARTS:
            raise AttributeError(f"a Quantized has no part {name!r}: {', '.join(PARTS)}")
        vars(self).update(vars(type(self)(**{**{field: vars(self)[field] for field in PARTS}, name: value})))

    def without_offset(self) -> Quantized:
        """The same array with no offset.

        Returns
        -------
        Quantized

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.quantize([1.0] * 4, "int4_group4").without_offset().offset is None
        True
        """
        return self._of(self.scheme, self.codes, self.scales, self.zero_points, self.second_scale, self.layout)

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
        """The elements without zero points and scales, as `decode` returns them: integers in integer formats."""
        return decode(self.codes, self.scheme.element)

    @property
    def scale_values(self) -> Any:
        """The first level's scales, as `decode` returns them."""
        if isinstance(self.second_scale, Quantized):
            return self.second_scale.dequantize().reshape(self.scales.shape)
        return decode(self.scales, self.scheme.scale)

    def dequantize(self, dtype: DTypeLike | None = None, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """The numbers of codes and scales: (element - zero point) x scales, rounded once.

        Parameters
        ----------
        dtype : numpy dtype, optional
            float32 (default) or float64.
        out : numpy.ndarray, optional
            An array of this shape and dtype for the numbers.

        Returns
        -------
        numpy.ndarray
            Of the array's shape.

        Raises
        ------
        TypeError
            If `dtype` is another dtype, or `out` has another dtype.
        ValueError
            If `out` has another shape.

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.quantize([100.0, -3.0], "absmax_int8").dequantize()
        array([100.       ,  -3.1496062], dtype=float32)
        """
        check_memory(self)
        try:
            wanted = named_dtype(np.float32 if dtype is None else dtype)
        except TypeError:
            raise TypeError(f"numbers are dequantized to numpy's float32 or float64, not {brief(dtype)}") from None
        return dequantize(self, wanted, out)

    def spread(self, of_blocks: ArrayLike) -> NDArray[Any]:
        """Repeat per-block values for each element.

        Parameters
        ----------
        of_blocks : array_like
            One value for each block, as in `scale_values`, `zero_points` and `scales`, or an array that broadcasts.

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
        values = np.asarray(of_blocks)
        try:
            spread = self.layout.per_element(np.broadcast_to(values, self.layout.blocks))
        except ValueError:
            raise ValueError(
                f"an array of shape {values.shape} does not fit blocks of shape {self.layout.blocks}"
            ) from None
        spread.flags.writeable = False
        return spread

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("numbers of a Quantized are computed anew each time: copy=False is impossible")
        numbers = self.dequantize()
        if dtype is None:
            return numbers
        return wide(numbers) if np.dtype(dtype) == np.float64 else numbers.astype(dtype)

    def __getitem__(self, index: Any) -> Quantized:
        """Return a part along block boundaries; an integer drops an axis whose blocks have length 1."""
        elements, blocks, layout = self.layout.part(index)
        zeros = None if self.zero_points is None else self.zero_points[blocks]
        second = self._scales_of_scales(self.second_scale, blocks)
        return self._of(self.scheme, self.codes[elements], self.scales[blocks], zeros, second, layout, self.offset)

    def _scales_of_scales(self, second: float | Quantized | None, blocks: Any) -> float | Quantized | None:
        """Return the second level of a part; blocks of nested scales must stay whole."""
        if not isinstance(second, Quantized):
            return second
        index = np.arange(self.scales.size).reshape(self.scales.shape)[blocks].reshape(-1)
        if index.size and index[-1] - index[0] + 1 != index.size:
            raise ValueError(
                "the scales of this part are not consecutive in C order: it would cut the blocks in which the scales "
                "are quantized"
            )
        if not index.size:
            return second[:0]
        start, stop, step = int(index[0]), int(index[-1]) + 1, second.layout.block_shape[0]
        if start % step or (stop % step and stop != second.size):
            raise ValueError(
                f"the part has the scales {start}:{stop}, in C order, which cut a block of {step} scales: scales "
                f"are themselves quantized, and a part must begin and end at multiples of {step} scales"
            )
        return second[start:stop]

    def pack(self, order: str = "low_first") -> Packed:
        """Pack elements and zero points, for storage with the scales.

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
            If `order` is unknown, or a zero point does not fit its format, such as torchao's for a block with a NaN.

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
        points, zeros = self.scheme.zero_point, None
        if self.zero_points is not None and isinstance(points, IntFormat):
            zeros = packed_zero_points(self.zero_points, points, order)
        elements = pack(codes, self.scheme.element, order=order)
        return Packed(elements, self.scales, zeros, level, self.offset, self.scheme, self.layout, order)

    @property
    def bits_per_element(self) -> float:
        """The bits of an element, including its share of its block's bits, without padding."""
        if not self.size:
            return float(self.scheme.element.bits)
        return self._bits / self.size

    @property
    def nbytes(self) -> int:
        """The bytes of the packed array: each row of elements, and the zero points, end with a whole byte."""
        scheme, (*rows, length) = self.scheme, self.shape or (1,)
        count = math.prod(rows) * _bytes(length * scheme.element.bits) + self.scales.nbytes
        if isinstance(scheme.zero_point, IntFormat):
            count += _bytes(self.scales.size * scheme.zero_point.bits)
        if isinstance(self.second_scale, Quantized):  # whose codes are the scales
            count += self.second_scale.nbytes - _bytes(self.scales.size * self.second_scale.scheme.element.bits)
        elif isinstance(scheme.second_level, FloatFormat):
            count += _bytes(scheme.second_level.bits)
        return count + (0 if self.offset is None else OFFSET_BYTES)

    @property
    def _bits(self) -> int:
        second = self.scheme.second_level
        extra = second.bits if isinstance(second, FloatFormat) else 0
        if isinstance(self.second_scale, Quantized):  # whose codes are the scales
            extra = self.second_scale._bits - self.second_scale.size * self.second_scale.scheme.element.bits
        extra += 0 if self.offset is None else 8 * OFFSET_BYTES
        return self.size * self.scheme.element.bits + self.scales.size * self.scheme.bits_per_block + extra

    def __repr__(self) -> str:
        return f"<Quantized {self.shape} {self.scheme}: {self.bits_per_element:.4g} bits an element>"

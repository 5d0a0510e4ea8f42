"""What numpy's arrays do by methods, for Arrays: sums with their options, extremes, order, truth, places."""

from __future__ import annotations

from typing import Any, Self, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpemu.arithmetic import sums as reductions
from fpemu.arithmetic.axes import Axis, one_axis
from fpemu.arithmetic.options import Options
from fpemu.arrays.functions import call
from fpemu.arrays.operators import Operators
from fpemu.casting.inputs import Coded
from fpemu.casting.stochastic import sharing

__all__ = ["Methods"]


class Methods(Operators):
    """The methods of `Array` that are functions of numpy's or fpemu's too."""

    def _like(self, codes: Any) -> Self:
        found: Self = type(self)(np.asarray(codes), self.format, self.profile)  # type: ignore[call-arg]
        return sharing(found, self.rng) if self.rng is not None else found

    # -- sums ---------------------------------------------------------------------------------------------------------

    def sum(
        self,
        axis: Axis = None,
        *,
        keepdims: bool = False,
        accumulate: Any = None,
        summation: str | int = "sequential",
        **options: Unpack[Options],
    ) -> Any:
        """The sum of the elements, rounded once from the exact sum, or at every step: `fpemu.sum`.

        Parameters
        ----------
        axis : None, int or tuple of int
            Along which axes; default all.
        keepdims : bool
            Keep them, of length 1.
        accumulate : str, Format or dtype, optional
            Round every step to this format.
        summation : "sequential", "pairwise" or int
            The order of the steps.
        **options
            As `fpemu.sum` has them: `result`, `profile`, `rounding`, `overflow`, `rng`, `random_bits`, `rng_offset`,
            `return_flags`, `out`.

        Returns
        -------
        Array
            What `fpemu.sum` gives.

        Examples
        --------
        >>> import fpemu as fe
        >>> a = fe.array([[256.0, 1.0, 1.0], [1.0, 2.0, 3.0]], "bfloat16")
        >>> a.sum(1)
        Array([258.,   6.], format='bfloat16')
        >>> a.sum(1, accumulate="bfloat16")
        Array([256.,   6.], format='bfloat16')
        """
        return reductions.sum(self, axis=axis, keepdims=keepdims, accumulate=accumulate, summation=summation, **options)

    def mean(
        self,
        axis: Axis = None,
        *,
        keepdims: bool = False,
        accumulate: Any = None,
        summation: str | int = "sequential",
        **options: Unpack[Options],
    ) -> Any:
        """The exact sum divided by the number of elements, rounded once: `fpemu.mean`.

        Parameters
        ----------
        axis : None, int or tuple of int
            Along which axes; default all.
        keepdims : bool
            Keep them, of length 1.
        accumulate : str, Format or dtype, optional
            Round every step of the sum to this format.
        summation : "sequential", "pairwise" or int
            The order of the steps.
        **options
            As `fpemu.mean` has them: `result`, `profile`, `rounding`, `overflow`, `rng`, `random_bits`, `rng_offset`,
            `return_flags`, `out`.

        Returns
        -------
        Array
            What `fpemu.mean` gives.

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.array([1.0, 2.0, 2.0], "float8_e4m3fn").mean(result="float16")
        Array(1.6669922, format='float16')
        """
        return reductions.mean(
            self, axis=axis, keepdims=keepdims, accumulate=accumulate, summation=summation, **options
        )

    def cumsum(self, axis: int | None = None, *, accumulate: Any = None, **options: Unpack[Options]) -> Any:
        """The sums of the first elements, one for each element, each rounded once: `fpemu.cumsum`.

        Parameters
        ----------
        axis : None or int
            Along which axis; default the elements in C order.
        accumulate : str, Format or dtype, optional
            Round every step to this format.
        **options
            As `fpemu.cumsum` has them: `result`, `profile`, `rounding`, `overflow`, `rng`, `random_bits`,
            `rng_offset`, `return_flags`, `out`.

        Returns
        -------
        Array
            What `fpemu.cumsum` gives.

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.array([15.0, 1.0, 2.0], "float8_e4m3fn").cumsum()
        Array([15., 16., 18.], format='float8_e4m3fn')
        """
        return reductions.cumsum(self, axis=axis, accumulate=accumulate, **options)

    def dot(
        self,
        y: ArrayLike | Coded,
        *,
        accumulate: Any = None,
        summation: str | int = "sequential",
        products: str = "exact",
        **options: Unpack[Options],
    ) -> Any:
        """Of two vectors the exact sum of the exact products, rounded once, or step by step: `fpemu.dot`.

        Parameters
        ----------
        y : array_like or Array
            What this is multiplied by.
        accumulate : str, Format or dtype, optional
            Round every step to this format.
        summation : "sequential", "pairwise" or int
            The order of the steps.
        products : "exact" or "rounded"
            With `accumulate`: fused, or each product rounded first.
        **options
            As `fpemu.dot` has them: `result`, `profile`, `rounding`, `overflow`, `rng`, `random_bits`, `rng_offset`,
            `return_flags`, `out`.

        Returns
        -------
        Array
            What `fpemu.dot` gives.

        Raises
        ------
        ValueError
            If one has another number of axes than 1: numpy's `dot` would be a matrix product; see `fpemu.vecdot`.

        Examples
        --------
        >>> import fpemu as fe
        >>> x = fe.array([448.0, 1.0, -448.0], "float8_e4m3fn")
        >>> x.dot([448.0, 1.0, 448.0])
        Array(1., format='float8_e4m3fn')
        """
        return reductions.dot(self, y, accumulate=accumulate, summation=summation, products=products, **options)

    # -- extremes and order -------------------------------------------------------------------------------------------

    def max(self, axis: Axis = None, *, keepdims: bool = False) -> Any:
        """The largest value: +0 is above -0, and a NaN is the result where there is one.

        Parameters
        ----------
        axis : None, int or tuple of int
            Along which axes; default all.
        keepdims : bool
            Keep them, of length 1.

        Returns
        -------
        Array

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.array([[1.5, -2.0], [0.25, 4.0]], "float8_e5m2").max(axis=1)
        Array([1.5, 4. ], format='float8_e5m2')
        """
        return call(np.max, (self,), {"axis": axis, "keepdims": keepdims})

    def min(self, axis: Axis = None, *, keepdims: bool = False) -> Any:
        """The smallest value: -0 is below +0, and a NaN is the result where there is one.

        Parameters
        ----------
        axis : None, int or tuple of int
            Along which axes; default all.
        keepdims : bool
            Keep them, of length 1.

        Returns
        -------
        Array

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.array([0.0, -0.0, 3.0], "float16").min()
        Array(-0., format='float16')
        """
        return call(np.min, (self,), {"axis": axis, "keepdims": keepdims})

    def argmax(self, axis: int | None = None, *, keepdims: bool = False) -> Any:
        """Where the first of the largest codes is, or the first NaN.

        Parameters
        ----------
        axis : None or int
            Along which axis; default the elements in C order.
        keepdims : bool
            Keep it, of length 1.

        Returns
        -------
        numpy.intp or numpy.ndarray of intp

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.array([1.0, 3.0, 3.0], "float16").argmax()
        np.int64(1)
        """
        return call(np.argmax, (self,), {"axis": axis, "keepdims": keepdims})

    def argmin(self, axis: int | None = None, *, keepdims: bool = False) -> Any:
        """Where the first of the smallest codes is, or the first NaN.

        Parameters
        ----------
        axis : None or int
            Along which axis; default the elements in C order.
        keepdims : bool
            Keep it, of length 1.

        Returns
        -------
        numpy.intp or numpy.ndarray of intp

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.array([[1.0, -3.0], [2.0, 5.0]], "float16").argmin(axis=1)
        array([1, 0])
        """
        return call(np.argmin, (self,), {"axis": axis, "keepdims": keepdims})

    def clip(self, min: Any = None, max: Any = None) -> Any:
        """Values beyond a bound become that bound, cast; the comparison is of exact values, and a NaN bound counts.

        Parameters
        ----------
        min, max : array_like or Array, optional
            The bounds, of this Array's format and profile, or plain; broadcast.

        Returns
        -------
        Array

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.array([-3.0, 0.5, 7.0], "float8_e5m2").clip(-1, 4)
        Array([-1. ,  0.5,  4. ], format='float8_e5m2')
        """
        return call(np.clip, (self, min, max), {})

    def sort(self, axis: int = -1) -> None:
        """Sort in place by value: -0 before +0, NaN last; `numpy.sort` gives a sorted copy.

        Parameters
        ----------
        axis : int
            Along which axis.

        Raises
        ------
        TypeError
            If the axis is no int.

        Examples
        --------
        >>> import fpemu as fe
        >>> a = fe.array([2.0, float("nan"), -1.0], "float16")
        >>> a.sort()
        >>> a
        Array([-1.,  2., nan], format='float16')
        """
        self.codes[...] = call(np.sort, (self,), {"axis": one_axis("sort", axis, none=False)}).codes

    def argsort(self, axis: int | None = -1) -> NDArray[np.intp]:
        """The places of the elements in the order of their values: -0 before +0, NaN last, equal codes as they are.

        Parameters
        ----------
        axis : int or None
            Along which axis; None for the elements in C order.

        Returns
        -------
        numpy.ndarray of intp

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.array([2.0, float("nan"), -1.0], "float16").argsort()
        array([2, 0, 1])
        """
        found: NDArray[np.intp] = call(np.argsort, (self,), {"axis": axis})
        return found

    # -- truth --------------------------------------------------------------------------------------------------------

    def any(self, axis: Axis = None, *, keepdims: bool = False) -> Any:
        """Whether any element is not zero; NaN is not.

        Parameters
        ----------
        axis : None, int or tuple of int
            Along which axes; default all.
        keepdims : bool
            Keep them, of length 1.

        Returns
        -------
        numpy.bool or numpy.ndarray of bool

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.array([[0.0, -0.0], [0.0, 2.0]], "float16").any(axis=1)
        array([False,  True])
        """
        return call(np.any, (self,), {"axis": axis, "keepdims": keepdims})

    def all(self, axis: Axis = None, *, keepdims: bool = False) -> Any:
        """Whether no element is zero; NaN is not.

        Parameters
        ----------
        axis : None, int or tuple of int
            Along which axes; default all.
        keepdims : bool
            Keep them, of length 1.

        Returns
        -------
        numpy.bool or numpy.ndarray of bool

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.array([1.0, float("nan")], "float16").all()
        np.True_
        """
        return call(np.all, (self,), {"axis": axis, "keepdims": keepdims})

    def nonzero(self) -> tuple[NDArray[np.intp], ...]:
        """The places of the elements that are not zero, an array for each axis.

        Returns
        -------
        tuple of numpy.ndarray of intp

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.array([0.0, 2.0, -0.0, 1.0], "float16").nonzero()
        (array([1, 3]),)
        """
        found: tuple[NDArray[np.intp], ...] = call(np.nonzero, (self,), {})
        return found

    # -- places -------------------------------------------------------------------------------------------------------

    def squeeze(self, axis: Axis = None) -> Self:
        """The same codes without axes of length 1.

        Parameters
        ----------
        axis : None, int or tuple of int
            Which ones; default all.

        Returns
        -------
        Array

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.array([[1, 2]], "int4").squeeze()
        Array([1, 2], format='int4')
        """
        return self._like(self.codes.squeeze(axis))

    def swapaxes(self, axis1: int, axis2: int) -> Self:
        """Two axes in each other's place, on the same codes.

        Parameters
        ----------
        axis1, axis2 : int

        Returns
        -------
        Array

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.array([[1, 2]], "int4").swapaxes(0, 1).shape
        (2, 1)
        """
        return self._like(self.codes.swapaxes(axis1, axis2))

    def take(self, indices: ArrayLike, axis: int | None = None) -> Self:
        """A copy of the elements at these places.

        Parameters
        ----------
        indices : array_like of int
        axis : None or int
            Along which axis; default the elements in C order.

        Returns
        -------
        Array

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.array([1, 2, 3], "int4").take([2, 0])
        Array([3, 1], format='int4')
        """
        found: Self = call(np.take, (self, indices), {"axis": axis})
        return found

    def repeat(self, repeats: ArrayLike, axis: int | None = None) -> Self:
        """A copy with each element several times.

        Parameters
        ----------
        repeats : array_like of int
            How often; broadcast along the axis.
        axis : None or int
            Along which axis; default the elements in C order.

        Returns
        -------
        Array

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.array([1, 2], "int4").repeat([1, 3])
        Array([1, 2, 2, 2], format='int4')
        """
        found: Self = call(np.repeat, (self, repeats), {"axis": axis})
        return found

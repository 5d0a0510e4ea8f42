"""The interface of numpy's arrays, for Array: dispatch, operators, indexing, and the methods of numpy.ndarray."""

from __future__ import annotations

import inspect
import numbers
import re
from collections.abc import Callable, Iterator
from typing import Any, Self, TypeVar, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpemu import arithmetic
from fpemu.arithmetic import Axis, one_axis
from fpemu.arithmetic.options import Options
from fpemu.arrays.functions import as_arrays, call_function, codes_for, truth
from fpemu.arrays.ufuncs import call_ufunc, ufunc_function
from fpemu.casting import Coded
from fpemu.formats import Format, IntFormat, Profile

__all__ = ["NumpyInterface"]

MethodT = TypeVar("MethodT", bound=Callable[..., Any])

# The methods' parameters in docstrings, by annotation or by name
_METHOD_PARAMETERS = {
    "Axis": "axis : None, int or tuple of int\n    The axes; default all.",
    "int | None": "axis : None or int\n    The axis; None is the elements in C order.",
    "axis": "axis : int\n    The axis.",
    "axis1": "axis1, axis2 : int\n    The two axes.",
    "axis2": "",
    "keepdims": "keepdims : bool\n    Keep these axes, with length 1.",
    "min": "min, max : array_like or Array, optional\n    The bounds: Arrays of this format and profile, or numbers; "
    "broadcast.",
    "max": "",
    "indices": "indices : array_like of int\n    The positions of the elements.",
    "repeats": "repeats : array_like of int\n    How often; broadcast along the axis.",
    "shape": "*shape : int, or one tuple of int\n    The new shape.",
    "order": 'order : {"C", "F", "A"}\n    As in `numpy.reshape`.',
    "axes": "*axes : int, or one tuple of int\n    The new order; default reversed.",
    "index": "*index : int\n    The element's position; may be left out if there is only one.",
}


def _with_sections(returns: str = "Array") -> Callable[[MethodT], MethodT]:
    """Complete a method's docstring of a summary and an example by the sections Parameters and Returns."""

    def complete(method: MethodT) -> MethodT:
        summary, _, rest = inspect.cleandoc(method.__doc__ or "").partition("\n\n")  # python -OO leaves none
        more, _, example = rest.partition(">>> ")
        parameters = list(inspect.signature(method).parameters.values())[1:]
        texts = [_METHOD_PARAMETERS.get(str(p.annotation)) or _METHOD_PARAMETERS[p.name] for p in parameters]
        sections = [summary]
        if texts:
            sections.append("\n".join(["Parameters", "-" * 10, *filter(None, texts)]))
        sections += [f"Returns\n-------\n{returns}"] if returns else []
        sections += [more.strip()] if more else []
        sections.append(f"Examples\n--------\n>>> import fpemu as fe\n>>> {example}")
        method.__doc__ = "\n\n".join(sections)
        return method

    return complete


def _documented_as(function: Callable[..., Any]) -> Callable[[MethodT], MethodT]:
    """Give a method the docstring and the options of the function that it calls on the Array, with its own example."""

    def complete(method: MethodT) -> MethodT:
        parameters = [p for p in inspect.signature(method).parameters.values() if p.kind is not p.VAR_KEYWORD]
        named = {"x", *(p.name for p in parameters)}
        options = [p for p in inspect.signature(function).parameters.values() if p.name not in named]
        method.__signature__ = inspect.Signature([*parameters, *options], return_annotation="Any")  # type: ignore[attr-defined]
        summary, _, rest = inspect.cleandoc(function.__doc__ or "").partition("\n\n")  # python -OO leaves none
        rest = re.sub(r"^x : .*\n(    .*\n)+", "", rest, flags=re.MULTILINE).replace("x, y : ", "y : ")
        method.__doc__ = (
            f"{summary}\n\n`fpemu.{function.__name__}` with the Array as `x`.\n\n"
            f"{rest.partition('Examples')[0]}Examples\n--------\n"
            f">>> import fpemu as fe\n{inspect.cleandoc(method.__doc__ or '')}"
        )
        return method

    return complete


def _is_operand(x: Any) -> bool:
    """Whether an operator computes with an operand; else it is left to the operand's class."""
    return isinstance(x, numbers.Number | list | tuple | range) or hasattr(x, "__array__")


def _operator(ufunc: np.ufunc, reflected: bool = False) -> Callable[[Any, Any], Any]:
    """The operator that calls a ufunc."""

    def operator(self: Any, other: Any, *modulus: Any) -> Any:
        if modulus or not _is_operand(other):  # pow(a, b, c)
            return NotImplemented
        operands = (other, self) if reflected else (self, other)
        return ufunc_function(ufunc)(*operands)

    return operator


def _operators(ufunc: np.ufunc) -> tuple[Callable[[Any, Any], Any], ...]:
    """The operator that calls a ufunc, and the reflected one."""
    return _operator(ufunc), _operator(ufunc, reflected=True)


def _in_place(ufunc: np.ufunc) -> Callable[[Any, Any], Any]:
    """The operator that calls a ufunc and writes the result into the left operand."""

    def operator(self: Any, other: Any) -> Any:
        if not _is_operand(other):
            return NotImplemented
        return call_ufunc(ufunc, "__call__", (self, other), {"out": (self,)})

    return operator


class NumpyInterface:
    """The part of `Array` that numpy and Python define for every array."""

    codes: NDArray[Any]
    format: Format
    profile: Profile

    def _like(self, codes: Any) -> Self:
        """An Array of other codes, with this one's format, profile and Generator."""
        array: Self = as_arrays(codes, self)
        return array

    # -- dispatch -----------------------------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        for x in (*inputs, *keywords.get("out", ())):
            own = getattr(type(x), "__array_ufunc__", np.ndarray.__array_ufunc__)
            if own is not np.ndarray.__array_ufunc__ and not isinstance(x, NumpyInterface):
                return NotImplemented
        return call_ufunc(ufunc, method, inputs, keywords)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...], keywords: dict[str, Any]
    ) -> Any:
        if not all(issubclass(kind, NumpyInterface | np.ndarray) for kind in types):
            return NotImplemented
        return call_function(function, args, keywords)

    # -- operators ----------------------------------------------------------------------------------------------------

    __add__, __radd__ = _operators(np.add)
    __sub__, __rsub__ = _operators(np.subtract)
    __mul__, __rmul__ = _operators(np.multiply)
    __truediv__, __rtruediv__ = _operators(np.divide)
    __mod__, __rmod__ = _operators(np.remainder)
    __pow__, __rpow__ = _operators(np.power)
    __iadd__, __isub__, __imul__ = _in_place(np.add), _in_place(np.subtract), _in_place(np.multiply)
    __itruediv__, __imod__, __ipow__ = _in_place(np.divide), _in_place(np.remainder), _in_place(np.power)
    __floordiv__, __rfloordiv__ = _operators(np.floor_divide)
    __divmod__, __rdivmod__ = _operators(np.divmod)
    __and__, __rand__ = _operators(np.bitwise_and)
    __or__, __ror__ = _operators(np.bitwise_or)
    __xor__, __rxor__ = _operators(np.bitwise_xor)
    __lshift__, __rlshift__ = _operators(np.left_shift)
    __rshift__, __rrshift__ = _operators(np.right_shift)
    __matmul__, __rmatmul__ = _operators(np.matmul)
    __lt__, __le__ = _operator(np.less), _operator(np.less_equal)
    __gt__, __ge__ = _operator(np.greater), _operator(np.greater_equal)
    __eq__, __ne__ = _operator(np.equal), _operator(np.not_equal)
    __hash__ = None  # type: ignore[assignment]

    def __neg__(self) -> Any:
        return ufunc_function(np.negative)(self)

    def __pos__(self) -> Any:
        return ufunc_function(np.positive)(self)

    def __abs__(self) -> Any:
        return ufunc_function(np.absolute)(self)

    def __invert__(self) -> Any:
        return ufunc_function(np.invert)(self)

    def __round__(self, digits: int | None = None) -> Any:
        return call_function(np.round, (self,), {})

    # -- one number ---------------------------------------------------------------------------------------------------

    def _single_code(self, purpose: str) -> int:
        """The code of the only element."""
        if self.codes.size != 1:
            raise TypeError(f"only an Array of one element becomes {purpose}, not one of shape {self.codes.shape}")
        return int(self.codes.item())

    def _number(self, code: int) -> int | float:
        """A code's value; an int in integer formats."""
        if isinstance(self.format, IntFormat) and self.format.fraction_bits == 0:
            return self.format.scaled(code)[0]
        return self.format.value(code)

    def __bool__(self) -> bool:
        if self.codes.size != 1:
            raise ValueError("the truth of an Array of several elements, or none, is ambiguous: use np.any or np.all")
        return bool(truth(self).item())

    def __float__(self) -> float:
        return float(self._number(self._single_code("a float")))

    def __int__(self) -> int:
        code = self._single_code("an int")
        try:
            significand, exponent = self.format.scaled(code)
        except ValueError:
            return int(self.format.value(code))  # raises what Python's own infinity and NaN raise
        if exponent >= 0:
            return significand << exponent
        whole = abs(significand) >> -exponent
        return -whole if significand < 0 else whole

    @_with_sections("int or float")
    def item(self, *index: int) -> int | float:
        """One element as a Python number, an int in integer formats.

        Raises
        ------
        ValueError
            If there are several elements and no index.
        IndexError
            If the index is out of range.
        OverflowError
            If float64 cannot hold the value; see `Format.exact`.

        >>> fe.array([1.5, -3.0], "bfloat16").item(1)
        -3.0
        """
        return self._number(int(self.codes.item(*index)))

    # -- elements -----------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the codes."""
        return self.codes.shape

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self.codes.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.codes.size

    @property
    def nbytes(self) -> int:
        """The memory of the codes in bytes, at least one for each; `pack` needs less."""
        return self.codes.nbytes

    @property
    def dtype(self) -> Any:
        """Missing on purpose: numpy has no dtype for most formats."""
        raise AttributeError("an Array has no numpy dtype: see .format, .codes.dtype and .values.dtype")

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("an Array of no dimension has no length: item() is its number, np.stack joins a list")
        return len(self.codes)

    def __iter__(self) -> Iterator[Self]:
        if self.ndim == 0:
            raise TypeError("an Array of no dimension has no elements to go through: use item()")
        return (self._like(codes) for codes in self.codes)

    def __contains__(self, x: Any) -> bool:
        return bool(np.any(self == x))

    def __getitem__(self, key: Any) -> Self:
        return self._like(self.codes[key])

    def __setitem__(self, key: Any, value: Any) -> None:
        self.codes[key] = codes_for(value, self, "A[...] = x")

    @_with_sections()
    def take(self, indices: ArrayLike, axis: int | None = None) -> Self:
        """A copy of the elements at some positions.

        >>> fe.array([1, 2, 3], "int4").take([2, 0])
        Array([3, 1], format='int4')
        """
        array: Self = call_function(np.take, (self, indices), {"axis": axis})
        return array

    @_with_sections()
    def repeat(self, repeats: ArrayLike, axis: int | None = None) -> Self:
        """A copy in which each element is repeated.

        >>> fe.array([1, 2], "int4").repeat([1, 3])
        Array([1, 2, 2, 2], format='int4')
        """
        array: Self = call_function(np.repeat, (self, repeats), {"axis": axis})
        return array

    # -- shapes -------------------------------------------------------------------------------------------------------

    @property
    def T(self) -> Self:  # noqa: N802 - numpy's name
        """The Array with its axes reversed, on the same memory."""
        return self._like(self.codes.T)

    @_with_sections()
    def transpose(self, *axes: Any) -> Self:
        """The Array with its axes in another order, on the same memory.

        >>> fe.array([[[1, 2]]], "int4").transpose(2, 0, 1).shape
        (2, 1, 1)
        """
        return self._like(self.codes.transpose(*axes))

    @_with_sections()
    def swapaxes(self, axis1: int, axis2: int) -> Self:
        """The Array with two axes interchanged, on the same memory.

        >>> fe.array([[1, 2]], "int4").swapaxes(0, 1).shape
        (2, 1)
        """
        return self._like(self.codes.swapaxes(axis1, axis2))

    @_with_sections()
    def reshape(self, *shape: Any, order: str = "C") -> Self:
        """The same codes in another shape, without a copy where numpy needs none.

        >>> fe.array([1, 2, 3, 4], "int4").reshape(2, -1)
        Array([[1, 2],
               [3, 4]], format='int4')
        """
        return self._like(self.codes.reshape(*shape, order=order))  # type: ignore[call-overload]

    @_with_sections()
    def ravel(self) -> Self:
        """The elements in C order in one dimension, without a copy where numpy needs none.

        >>> fe.array([[1, 2], [3, 4]], "int4").ravel()
        Array([1, 2, 3, 4], format='int4')
        """
        return self._like(self.codes.ravel())

    @_with_sections()
    def flatten(self) -> Self:
        """A copy of the elements in C order in one dimension.

        >>> fe.array([[1, 2], [3, 4]], "int4").T.flatten()
        Array([1, 3, 2, 4], format='int4')
        """
        return self._like(self.codes.flatten())

    @_with_sections()
    def squeeze(self, axis: Axis = None) -> Self:
        """The Array without its axes of length 1, on the same memory.

        >>> fe.array([[1, 2]], "int4").squeeze()
        Array([1, 2], format='int4')
        """
        return self._like(self.codes.squeeze(axis))

    @_with_sections()
    def copy(self) -> Self:
        """A copy with its own codes.

        >>> a = fe.array([1, 2], "int4")
        >>> b = a.copy()
        >>> b[0] = 7
        >>> a
        Array([1, 2], format='int4')
        """
        return self._like(self.codes.copy())

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.copy()

    # -- sums ---------------------------------------------------------------------------------------------------------

    @_documented_as(arithmetic.sum)
    def sum(
        self,
        axis: Axis = None,
        *,
        keepdims: bool = False,
        accumulate: Any = None,
        summation: str | int = "sequential",
        **options: Unpack[Options],
    ) -> Any:
        """
        >>> a = fe.array([[256.0, 1.0, 1.0], [1.0, 2.0, 3.0]], "bfloat16")
        >>> a.sum(1)
        Array([258.,   6.], format='bfloat16')
        >>> a.sum(1, accumulate="bfloat16")
        Array([256.,   6.], format='bfloat16')
        """
        return arithmetic.sum(self, axis=axis, keepdims=keepdims, accumulate=accumulate, summation=summation, **options)

    @_documented_as(arithmetic.mean)
    def mean(
        self,
        axis: Axis = None,
        *,
        keepdims: bool = False,
        accumulate: Any = None,
        summation: str | int = "sequential",
        **options: Unpack[Options],
    ) -> Any:
        """
        >>> fe.array([1.0, 2.0, 2.0], "float8_e4m3fn").mean(result="float16")
        Array(1.6669922, format='float16')
        """
        return arithmetic.mean(
            self, axis=axis, keepdims=keepdims, accumulate=accumulate, summation=summation, **options
        )

    @_documented_as(arithmetic.cumsum)
    def cumsum(self, axis: int | None = None, *, accumulate: Any = None, **options: Unpack[Options]) -> Any:
        """
        >>> fe.array([15.0, 1.0, 2.0], "float8_e4m3fn").cumsum()
        Array([15., 16., 18.], format='float8_e4m3fn')
        """
        return arithmetic.cumsum(self, axis=axis, accumulate=accumulate, **options)

    @_documented_as(arithmetic.dot)
    def dot(
        self,
        y: ArrayLike | Coded,
        *,
        accumulate: Any = None,
        summation: str | int = "sequential",
        products: str = "exact",
        **options: Unpack[Options],
    ) -> Any:
        """
        >>> x = fe.array([448.0, 1.0, -448.0], "float8_e4m3fn")
        >>> x.dot([448.0, 1.0, 448.0])
        Array(1., format='float8_e4m3fn')
        """
        return arithmetic.dot(self, y, accumulate=accumulate, summation=summation, products=products, **options)

    # -- order and truth ----------------------------------------------------------------------------------------------

    @_with_sections()
    def max(self, axis: Axis = None, *, keepdims: bool = False) -> Any:
        """The largest value: +0 is above -0, and the result is a NaN if an element is.

        >>> fe.array([[1.5, -2.0], [0.25, 4.0]], "float8_e5m2").max(axis=1)
        Array([1.5, 4. ], format='float8_e5m2')
        """
        return call_function(np.max, (self,), {"axis": axis, "keepdims": keepdims})

    @_with_sections()
    def min(self, axis: Axis = None, *, keepdims: bool = False) -> Any:
        """The smallest value: -0 is below +0, and the result is a NaN if an element is.

        >>> fe.array([0.0, -0.0, 3.0], "float16").min()
        Array(-0., format='float16')
        """
        return call_function(np.min, (self,), {"axis": axis, "keepdims": keepdims})

    @_with_sections("numpy.intp or numpy.ndarray of intp")
    def argmax(self, axis: int | None = None, *, keepdims: bool = False) -> Any:
        """The position of the first of the largest codes, or of the first NaN.

        >>> fe.array([1.0, 3.0, 3.0], "float16").argmax()
        np.int64(1)
        """
        return call_function(np.argmax, (self,), {"axis": axis, "keepdims": keepdims})

    @_with_sections("numpy.intp or numpy.ndarray of intp")
    def argmin(self, axis: int | None = None, *, keepdims: bool = False) -> Any:
        """The position of the first of the smallest codes, or of the first NaN.

        >>> fe.array([[1.0, -3.0], [2.0, 5.0]], "float16").argmin(axis=1)
        array([1, 0])
        """
        return call_function(np.argmin, (self,), {"axis": axis, "keepdims": keepdims})

    @_with_sections()
    def clip(self, min: Any = None, max: Any = None) -> Any:
        """The values limited to bounds, which are cast; values are compared exactly, and a NaN bound gives NaN.

        >>> fe.array([-3.0, 0.5, 7.0], "float8_e5m2").clip(-1, 4)
        Array([-1. ,  0.5,  4. ], format='float8_e5m2')
        """
        return call_function(np.clip, (self, min, max), {})

    @_with_sections("")
    def sort(self, axis: int = -1) -> None:
        """Sort in place by value: -0 before +0, NaN last; `numpy.sort` gives a sorted copy.

        Raises
        ------
        TypeError
            If the axis is not an int.

        >>> a = fe.array([2.0, float("nan"), -1.0], "float16")
        >>> a.sort()
        >>> a
        Array([-1.,  2., nan], format='float16')
        """
        self.codes[...] = call_function(np.sort, (self,), {"axis": one_axis("sort", axis, none=False)}).codes

    @_with_sections("numpy.ndarray of intp")
    def argsort(self, axis: int | None = -1) -> NDArray[np.intp]:
        """The positions of the elements in ascending order: -0 before +0, NaN last, equal codes in their order.

        >>> fe.array([2.0, float("nan"), -1.0], "float16").argsort()
        array([2, 0, 1])
        """
        indices: NDArray[np.intp] = call_function(np.argsort, (self,), {"axis": axis})
        return indices

    @_with_sections("numpy.bool or numpy.ndarray of bool")
    def any(self, axis: Axis = None, *, keepdims: bool = False) -> Any:
        """Whether any element is nonzero; NaN is nonzero.

        >>> fe.array([[0.0, -0.0], [0.0, 2.0]], "float16").any(axis=1)
        array([False,  True])
        """
        return call_function(np.any, (self,), {"axis": axis, "keepdims": keepdims})

    @_with_sections("numpy.bool or numpy.ndarray of bool")
    def all(self, axis: Axis = None, *, keepdims: bool = False) -> Any:
        """Whether all elements are nonzero; NaN is nonzero.

        >>> fe.array([1.0, float("nan")], "float16").all()
        np.True_
        """
        return call_function(np.all, (self,), {"axis": axis, "keepdims": keepdims})

    @_with_sections("tuple of numpy.ndarray of intp")
    def nonzero(self) -> tuple[NDArray[np.intp], ...]:
        """The positions of the nonzero elements, one array for each axis.

        >>> fe.array([0.0, 2.0, -0.0, 1.0], "float16").nonzero()
        (array([1, 3]),)
        """
        indices: tuple[NDArray[np.intp], ...] = call_function(np.nonzero, (self,), {})
        return indices

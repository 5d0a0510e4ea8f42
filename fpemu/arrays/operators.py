"""What Python and numpy ask of an Array: operators, ufuncs and functions, and to be one number."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu.arrays import functions as array_functions
from fpemu.arrays import ufuncs as array_ufuncs
from fpemu.formats import Format, IntFormat
from fpemu.formats.profiles import Profile

__all__ = ["Operators"]


def _joins(x: Any) -> bool:
    """Whether an operator tries its hand at an operand; else the operand's own class may."""
    return isinstance(x, numbers.Number | list | tuple | range) or hasattr(x, "__array__")


def _operator(ufunc: np.ufunc, reflected: bool = False) -> Callable[[Any, Any], Any]:
    """An operator between an Array and what joins it."""

    def operator(self: Any, other: Any, *modulus: Any) -> Any:
        if modulus or not _joins(other):  # pow(a, b, c)
            return NotImplemented
        operands = (other, self) if reflected else (self, other)
        return array_ufuncs.function_of(ufunc)(*operands)

    return operator


def _in_place(ufunc: np.ufunc) -> Callable[[Any, Any], Any]:
    """An operator whose result takes the left operand's place."""

    def operator(self: Any, other: Any) -> Any:
        if not _joins(other):
            return NotImplemented
        return array_ufuncs.call(ufunc, "__call__", (self, other), {"out": (self,)})

    return operator


class Operators:
    """The part of `Array` that Python and numpy call themselves."""

    codes: NDArray[Any]
    format: Format
    profile: Profile

    @property
    def rng(self) -> np.random.Generator | None:
        """The Generator that operators draw from."""
        raise NotImplementedError

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        for x in (*inputs, *keywords.get("out", ())):
            own = getattr(type(x), "__array_ufunc__", np.ndarray.__array_ufunc__)
            if own is not np.ndarray.__array_ufunc__ and not isinstance(x, Operators):
                return NotImplemented
        return array_ufuncs.call(ufunc, method, inputs, keywords)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...], keywords: dict[str, Any]
    ) -> Any:
        if not all(issubclass(kind, Operators | np.ndarray) for kind in types):
            return NotImplemented
        return array_functions.call(function, args, keywords)

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        from fpemu.arrays import dlpack

        options = {"stream": stream, "max_version": max_version, "dl_device": dl_device, "copy": copy}
        return dlpack.export(self.codes, self.format, **options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0  # the CPU, as `fpemu.arrays.dlpack` says

    # -- operators ----------------------------------------------------------------------------------------------------

    __add__, __radd__, __iadd__ = _operator(np.add), _operator(np.add, True), _in_place(np.add)
    __sub__, __rsub__, __isub__ = _operator(np.subtract), _operator(np.subtract, True), _in_place(np.subtract)
    __mul__, __rmul__, __imul__ = _operator(np.multiply), _operator(np.multiply, True), _in_place(np.multiply)
    __truediv__, __rtruediv__ = _operator(np.divide), _operator(np.divide, True)
    __itruediv__ = _in_place(np.divide)
    __mod__, __rmod__, __imod__ = _operator(np.remainder), _operator(np.remainder, True), _in_place(np.remainder)
    __pow__, __rpow__, __ipow__ = _operator(np.power), _operator(np.power, True), _in_place(np.power)
    __floordiv__, __rfloordiv__ = _operator(np.floor_divide), _operator(np.floor_divide, True)
    __divmod__, __rdivmod__ = _operator(np.divmod), _operator(np.divmod, True)
    __and__, __rand__ = _operator(np.bitwise_and), _operator(np.bitwise_and, True)
    __or__, __ror__ = _operator(np.bitwise_or), _operator(np.bitwise_or, True)
    __xor__, __rxor__ = _operator(np.bitwise_xor), _operator(np.bitwise_xor, True)
    __lshift__, __rlshift__ = _operator(np.left_shift), _operator(np.left_shift, True)
    __rshift__, __rrshift__ = _operator(np.right_shift), _operator(np.right_shift, True)
    __matmul__, __rmatmul__ = _operator(np.matmul), _operator(np.matmul, True)
    __lt__, __le__ = _operator(np.less), _operator(np.less_equal)
    __gt__, __ge__ = _operator(np.greater), _operator(np.greater_equal)
    __eq__, __ne__ = _operator(np.equal), _operator(np.not_equal)
    __hash__ = None  # type: ignore[assignment]

    def __neg__(self) -> Any:
        return array_ufuncs.function_of(np.negative)(self)

    def __pos__(self) -> Any:
        return array_ufuncs.function_of(np.positive)(self)

    def __abs__(self) -> Any:
        return array_ufuncs.function_of(np.absolute)(self)

    def __invert__(self) -> Any:
        return array_ufuncs.function_of(np.invert)(self)

    def __round__(self, digits: int | None = None) -> Any:
        return array_functions.call(np.round, (self,), {})

    # -- one number ---------------------------------------------------------------------------------------------------

    def _only(self, what: str) -> int:
        """The one element's code."""
        if self.codes.size != 1:
            raise TypeError(f"only an Array of one element becomes {what}, not one of shape {self.codes.shape}")
        return int(self.codes.item())

    def _number(self, code: int) -> int | float:
        """A code's value; an int in integer formats."""
        if isinstance(self.format, IntFormat) and self.format.fraction_bits == 0:
            return self.format.scaled(code)[0]
        return self.format.value(code)

    def __bool__(self) -> bool:
        if self.codes.size != 1:
            raise ValueError("the truth of an Array of several elements, or none, is ambiguous: use np.any or np.all")
        return bool(array_functions.truth(self).item())

    def __float__(self) -> float:
        return float(self._number(self._only("a float")))

    def __int__(self) -> int:
        code = self._only("an int")
        try:
            significand, exponent = self.format.scaled(code)
        except ValueError:
            return int(self.format.value(code))  # raises what Python's own infinity and NaN raise
        if exponent >= 0:
            return significand << exponent
        whole = abs(significand) >> -exponent
        return -whole if significand < 0 else whole

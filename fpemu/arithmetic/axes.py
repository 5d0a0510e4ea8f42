"""Arguments read as numpy reads them: `axis`, and options that are on or off."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from fpemu.formats.lookup import brief

__all__ = ["Axis", "axes_of", "one_axis", "switch"]

Axis = int | tuple[int, ...] | None


def switch(name: str, option: str, value: Any) -> bool:
    """An option that is on or off: a bool, or an int with its truth value.

    Parameters
    ----------
    name, option : str
        Names of the function and the option, for the error.
    value : bool or int

    Returns
    -------
    bool

    Raises
    ------
    TypeError
        If the value is neither.

    Examples
    --------
    >>> from fpemu.arithmetic.axes import switch
    >>> switch("sum", "keepdims", 1)
    True
    >>> switch("sum", "keepdims", "yes")
    Traceback (most recent call last):
    ...
    TypeError: sum: keepdims must be True or False, not 'yes'
    """
    if isinstance(value, np.bool_):
        return bool(value)
    try:
        return bool(operator.index(value))
    except TypeError:
        raise TypeError(f"{name}: {option} must be True or False, not {brief(value)}") from None


def one_axis(name: str, axis: Any, none: bool = True) -> int | None:
    """One axis: an int, or None where that is allowed.

    Parameters
    ----------
    name : str
        The function's name, for the error.
    axis : int or None
    none : bool
        Whether None is allowed.

    Returns
    -------
    int or None

    Raises
    ------
    TypeError
        If it is of another type, such as bool.

    Examples
    --------
    >>> from fpemu.arithmetic.axes import one_axis
    >>> one_axis("cumsum", -1)
    -1
    >>> one_axis("cumsum", (0, 1))
    Traceback (most recent call last):
    ...
    TypeError: cumsum: axis must be None or an int, not (0, 1)
    """
    if axis is None and none:
        return None
    index = _index(axis)
    if index is None:
        raise TypeError(f"{name}: axis must be {'None or ' if none else ''}an int, not {brief(axis)}")
    return index


def axes_of(name: str, axis: Any, ndim: int) -> tuple[int, ...]:
    """The axes as nonnegative ints in ascending order.

    Parameters
    ----------
    name : str
        The function's name, for the error.
    axis : None, int or tuple of int
    ndim : int
        The number of axes of the array.

    Returns
    -------
    tuple of int

    Raises
    ------
    TypeError
        If the axis is of another type, such as list, as in numpy.
    ValueError
        If an axis is out of range or occurs twice.

    Examples
    --------
    >>> from fpemu.arithmetic.axes import axes_of
    >>> axes_of("sum", (-1, 0), 3)
    (0, 2)
    """
    if axis is None:
        return tuple(range(ndim))
    given = axis if isinstance(axis, tuple) else (axis,)
    axes = []
    for one in map(_index, given):
        if one is None:
            raise TypeError(f"{name}: axis must be None, an int or a tuple of ints, not {brief(axis)}")
        if not -ndim <= one < ndim:
            raise np.exceptions.AxisError(f"{name}: axis {brief(one)} is out of range: there are {ndim}")
        axes.append(one % ndim)
    if len(set(axes)) < len(axes):
        raise ValueError(f"{name}: an axis stands twice in {axis}")
    return tuple(sorted(axes))


def _index(x: Any) -> int | None:
    """An int or an object that numpy takes for one; None for anything else, and for bools."""
    if isinstance(x, bool | np.bool_):
        return None
    try:
        return operator.index(x)
    except TypeError:
        return None

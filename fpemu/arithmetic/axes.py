"""Axes and options of arrays as numpy reads them: what `axis` and `keepdims` may be, and which axes they mean."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from fpemu.formats.lookup import brief

__all__ = ["Axis", "axes_of", "one_axis", "switch"]

Axis = int | tuple[int, ...] | None


def switch(name: str, option: str, value: Any) -> bool:
    """An option that is on or off: a bool, or an int, which counts as Python counts it.

    Parameters
    ----------
    name, option : str
        Of the function and the option, for the error.
    value : bool or int

    Returns
    -------
    bool

    Raises
    ------
    TypeError
        If it is anything else.

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
        Of the function, for the error.
    axis : int or None
    none : bool
        Whether None is allowed.

    Returns
    -------
    int or None

    Raises
    ------
    TypeError
        If it is anything else: a bool is no axis.

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
    found = _index(axis)
    if found is None:
        raise TypeError(f"{name}: axis must be {'None or ' if none else ''}an int, not {brief(axis)}")
    return found


def axes_of(name: str, axis: Any, ndim: int) -> tuple[int, ...]:
    """The axes that are meant, in order, from 0 on.

    Parameters
    ----------
    name : str
        Of the function, for the error.
    axis : None, int or tuple of int
    ndim : int
        How many axes there are.

    Returns
    -------
    tuple of int

    Raises
    ------
    TypeError
        If the axis is of another kind: a list is none, as in numpy.
    ValueError
        If there is no such axis, or one stands twice.

    Examples
    --------
    >>> from fpemu.arithmetic.axes import axes_of
    >>> axes_of("sum", (-1, 0), 3)
    (0, 2)
    """
    if axis is None:
        return tuple(range(ndim))
    given = axis if isinstance(axis, tuple) else (axis,)
    places = [_index(one) for one in given]
    found = []
    for one in places:
        if one is None:
            raise TypeError(f"{name}: axis must be None, an int or a tuple of ints, not {brief(axis)}")
        if not -ndim <= one < ndim:
            raise np.exceptions.AxisError(f"{name}: axis {brief(one)} is out of range: there are {ndim}")
        found.append(one % ndim)
    if len(set(found)) < len(found):
        raise ValueError(f"{name}: an axis stands twice in {axis}")
    return tuple(sorted(found))


def _index(x: Any) -> int | None:
    """An int, or what numpy takes for one; None for anything else, and for truth values."""
    if isinstance(x, bool | np.bool_):
        return None
    try:
        return operator.index(x)
    except TypeError:
        return None

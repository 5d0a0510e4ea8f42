"""Numbers as one or two float64: exact where float64 holds them, else rounded to odd, or the nearest and the rest.

A number rounded to odd lies on the same side as the number itself of all numbers with fewer digits, so decisions made
with it are right (Boldo and Melquiond, Emulation of FMA and correctly rounded sums: proved algorithms using rounding to
odd).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fpemu.arithmetic.basic import divide, subtract
from fpemu.arithmetic.flags import errstate, value_text
from fpemu.casting import Source, cast, encode
from fpemu.formats import FLOAT64, IEEE, TableFormat
from fpemu.formats.facts.exactness import holds
from fpemu.formats.facts.reals import exact_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fpemu.formats import Format

__all__ = ["Doubles", "difference", "double_quotients", "doubles", "element_text", "to_odd"]

_NEAREST_SATURATED = IEEE.replace(overflow="saturate", nan_payload="keep")
_ODD_SATURATED = IEEE.replace(rounding="to_odd", overflow="saturate", nan_payload="keep")
_LARGEST = np.finfo(np.float64).max


def to_odd(source: Source) -> tuple[NDArray[np.float64], bool]:
    """Numbers in float64, rounded to odd and saturated; and whether float64 holds all of them.

    Examples
    --------
    >>> from fpemu.arithmetic.doubles import to_odd
    >>> from fpemu.casting.inputs import as_numbers
    >>> to_odd(as_numbers(2**60 + 1))[0].item() - 2**60, to_odd(as_numbers(["0.5"]))[1]
    (256.0, True)
    """
    x: Any = source
    values = np.asarray(cast(x, "float64", profile=_ODD_SATURATED, dtype=np.float64))
    if source.rest is not None:
        return values, False
    if _held_by_float64(source.format):
        return values, True
    return values, np.array_equal(encode(values, source.format), source.codes)


def _held_by_float64(fmt: Format) -> bool:
    return isinstance(fmt, TableFormat) or holds(FLOAT64, fmt)


class Doubles(NamedTuple):
    """Numbers as float64, and their differences from it, None if float64 holds all of them."""

    values: NDArray[np.float64]
    more: NDArray[np.float64] | None


def doubles(source: Source, limited: bool = True) -> Doubles:
    """Numbers as the nearest float64 (never 0 for a number other than 0), and the float64 nearest to the rest.

    Parameters
    ----------
    source : Source
    limited : bool
        Whether numbers beyond float64 are refused; else they saturate.

    Raises
    ------
    ValueError
        If a number is beyond float64.

    Examples
    --------
    >>> from fpemu.arithmetic.doubles import doubles
    >>> from fpemu.casting.inputs import as_numbers
    >>> [each.item() for each in doubles(as_numbers(2**60 + 1))]
    [1.152921504606847e+18, 1.0]
    """
    odd, held = to_odd(source)
    if held:
        return Doubles(odd, None)
    x: Any = source
    values = np.asarray(cast(x, "float64", profile=_NEAREST_SATURATED, dtype=np.float64))
    tiny = (values == 0) & (odd != 0)
    values = np.where(tiny, odd, values)
    with errstate(all="ignore"):
        more = np.asarray(subtract(x, values, result="float64"))
    more = np.where(np.isfinite(values) & ~tiny, more, 0.0)
    beyond = (np.abs(values) == _LARGEST) & (more * np.sign(values) > 0)
    if limited and beyond.any():
        element = element_text(source, int(np.flatnonzero(beyond)[0]))
        raise ValueError(
            f"{element}, beyond float64, in which errors are summed: leave it out, or divide all numbers by a power of "
            "two first"
        )
    return Doubles(values, np.where(beyond, 0.0, more))


def difference(x: Doubles, y: Doubles) -> NDArray[np.float64] | None:
    """The rest of x minus the rest of y."""
    if y.more is None:
        return x.more
    return -y.more if x.more is None else x.more - y.more


def double_quotients(source: Source, numbers: Doubles, divisor: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Numbers divided by divisors, rounded once to float64."""
    if numbers.more is None:
        with np.errstate(over="ignore"):
            return np.asarray(numbers.values / divisor)
    with errstate(all="ignore"):
        x: Any = source
        return np.asarray(divide(x, divisor, result="float64"))


def element_text(source: Source, position: int) -> str:
    """An element in words, by its flat index (C order): "element [0, 1] is 1/3"."""
    index = np.unravel_index(position, source.codes.shape)
    prefix = f"element [{', '.join(str(int(i)) for i in index)}] is " if index else ""
    if source.rest is not None and position in source.rest.indices:
        number = source.rest.numbers[int(np.searchsorted(source.rest.indices, position))]
        return f"{prefix}{exact_text(number)}"
    code = int(source.codes.reshape(-1)[position])
    return f"{prefix}{value_text(code, source.format)}"

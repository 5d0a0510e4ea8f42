"""Numbers as one or two float64: themselves where float64 holds them, else rounded to odd, or nearest with the rest.

A number rounded to odd lies on the same side as the number itself of all numbers with fewer digits, so whatever is
decided there is decided rightly (Boldo and Melquiond, Emulation of FMA and correctly rounded sums: proved algorithms
using rounding to odd).
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

__all__ = ["Doubles", "difference", "doubles", "element_text", "quotients", "to_odd"]

_NEAREST = IEEE.replace(overflow="saturate", nan_payload="keep")
_ODD = IEEE.replace(rounding="to_odd", overflow="saturate", nan_payload="keep")
_LARGEST = np.finfo(np.float64).max


def to_odd(given: Source) -> tuple[NDArray[np.float64], bool]:
    """Numbers in float64, rounded to odd, what is beyond its range to the largest; and whether all are held.

    Examples
    --------
    >>> from fpemu.arithmetic.doubles import to_odd
    >>> from fpemu.casting.inputs import as_numbers
    >>> to_odd(as_numbers(2**60 + 1))[0].item() - 2**60, to_odd(as_numbers(["0.5"]))[1]
    (256.0, True)
    """
    x: Any = given
    values = np.asarray(cast(x, "float64", profile=_ODD, dtype=np.float64))
    if given.rest is not None:
        return values, False
    if _held(given.format):
        return values, True
    return values, np.array_equal(encode(values, given.format), given.codes)


def _held(fmt: Format) -> bool:
    return isinstance(fmt, TableFormat) or holds(FLOAT64, fmt)


class Doubles(NamedTuple):
    """Numbers as float64; what they are more than that, None where float64 holds all of them."""

    values: NDArray[np.float64]
    more: NDArray[np.float64] | None


def doubles(given: Source, limited: bool = True) -> Doubles:
    """Numbers as the nearest float64, which is no 0 where they are none, and the float64 nearest to the rest.

    Parameters
    ----------
    given : Source
    limited : bool
        Whether numbers beyond float64 are refused; else they are its largest.

    Raises
    ------
    ValueError
        If one is beyond float64.

    Examples
    --------
    >>> from fpemu.arithmetic.doubles import doubles
    >>> from fpemu.casting.inputs import as_numbers
    >>> [part.item() for part in doubles(as_numbers(2**60 + 1))]
    [1.152921504606847e+18, 1.0]
    """
    odd, held = to_odd(given)
    if held:
        return Doubles(odd, None)
    x: Any = given
    values = np.asarray(cast(x, "float64", profile=_NEAREST, dtype=np.float64))
    tiny = (values == 0) & (odd != 0)
    values = np.where(tiny, odd, values)
    with errstate(all="ignore"):
        more = np.asarray(subtract(given, values, result="float64"))
    more = np.where(np.isfinite(values) & ~tiny, more, 0.0)
    beyond = (np.abs(values) == _LARGEST) & (more * np.sign(values) > 0)
    if limited and beyond.any():
        raise ValueError(
            f"{element_text(given, int(np.flatnonzero(beyond)[0]))}, beyond float64, in which errors are summed: leave "
            "it out, or divide all numbers by a power of two first"
        )
    return Doubles(values, np.where(beyond, 0.0, more))


def difference(x: Doubles, y: Doubles) -> NDArray[np.float64] | None:
    """What is left of x less what is left of y."""
    if y.more is None:
        return x.more
    return -y.more if x.more is None else x.more - y.more


def quotients(given: Source, numbers: Doubles, divisor: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Numbers over divisors, rounded once to float64."""
    if numbers.more is None:
        with np.errstate(over="ignore"):
            return np.asarray(numbers.values / divisor)
    with errstate(all="ignore"):
        return np.asarray(divide(given, divisor, result="float64"))


def element_text(given: Source, place: int) -> str:
    """An element in words, by its place in C order: "element [0, 1] is 1/3"."""
    index = np.unravel_index(place, given.codes.shape)
    where = f"element [{', '.join(str(int(i)) for i in index)}] is " if index else ""
    if given.rest is not None and place in given.rest.places:
        number = given.rest.numbers[int(np.searchsorted(given.rest.places, place))]
        return f"{where}{exact_text(number)}"
    code = int(given.codes.reshape(-1)[place])
    return f"{where}{value_text(code, given.format)}"

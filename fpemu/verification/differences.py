"""What is to be compared: codes, exact numbers and flags, from what people hand in, and how far apart they are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from fpemu.arithmetic import element_value_text, exact_codes
from fpemu.arithmetic.flags import Flags
from fpemu.casting import as_numbers, as_source, carries_codes
from fpemu.formats import FloatFormat, IntFormat, same_codes
from fpemu.formats.facts.codes import nan_mask, positions
from fpemu.formats.facts.exactness import finite_ends, quantum
from fpemu.formats.facts.literals import Literal
from fpemu.formats.facts.reals import exact_text
from fpemu.formats.lookup import brief
from fpemu.inspection import Code

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fpemu.formats import Format

    Codes = NDArray[np.unsignedinteger[Any]]

__all__ = [
    "codes_in",
    "codes_of_values",
    "common_shape",
    "distances",
    "exact_numbers",
    "flag_bits",
    "index_text",
    "mask_of",
    "nan_mask",
    "positions",
    "ulp_error",
]

ALL_FLAGS = (1 << len(Flags.NAMES)) - 1


def common_shape(got: Codes, want: Codes) -> tuple[int, ...]:
    if got.shape != want.shape:
        raise ValueError(f"the shapes differ: {got.shape} and {want.shape}")
    return got.shape


def codes_in(x: Any, fmt: Format, what: str) -> Codes:
    """The codes of `fmt` that `x` holds, in the format's code dtype."""
    if not carries_codes(x) and not hasattr(x, "dtype"):
        return _listed_codes(x, fmt, what)
    own = as_source(x)
    if not same_codes(own.format, fmt):
        if carries_codes(x):
            raise ValueError(f"{what} has codes of {own.format}, not of {fmt}")
        if own.dtype is None or own.dtype.kind != "u":
            raise _no_codes(what, fmt, str(own.format))
        try:
            own = as_source(x, fmt)
        except ValueError as error:
            raise ValueError(f"{what}: {error}") from None
    return own.codes.astype(fmt.code_dtype, copy=False)


def _listed_codes(x: Any, fmt: Format, what: str) -> Codes:
    """Codes from Python's ints; numpy alone would make floats of [0, 2**63]."""
    listed = np.asarray(x, dtype=object)
    for position, code in enumerate(listed.flat):
        if isinstance(code, bool) or not isinstance(code, int):
            raise _no_codes(what, fmt, type(code).__name__ + "s" * (listed.ndim > 0))
        if not 0 <= code < fmt.code_count:
            raise ValueError(
                f"{what}{index_text(position, listed.shape)} = {code:#x} is out of range: the codes of {fmt} are 0 to "
                f"{fmt.code_count - 1:#x}"
            )
    return listed.astype(fmt.code_dtype)


def _no_codes(what: str, fmt: Format, found: str) -> TypeError:
    return TypeError(
        f"{what} must be codes of {fmt} (unsigned integers, an fpemu.Array, or an array of that format's own dtype), "
        f"not {found}; encode values first: fe.encode({what}, {fmt.name!r})"
    )


def distances(got: Codes, want: Codes, fmt: Format) -> tuple[NDArray[np.bool_], NDArray[np.uint64]]:
    """Whether one of two codes is NaN and the other is not, and the steps between them otherwise."""
    nan, nan_wanted = nan_mask(got, fmt), nan_mask(want, fmt)
    a, b = positions(got, fmt), positions(want, fmt)
    distance = np.where(a > b, a - b, b - a)
    distance[nan | nan_wanted] = 0
    return nan != nan_wanted, distance


def codes_of_values(x: Any, fmt: Format, what: str) -> Codes:
    """The codes of `fmt` whose values `x` holds; a ValueError if one of them is no value of `fmt`."""
    if carries_codes(x):
        return codes_in(x, fmt, what)
    given = as_numbers(x)
    codes, exact = exact_codes(x, given, fmt)
    if not exact.all():
        place = int(np.argmin(exact))
        held = given.rest is None or place not in given.rest.places
        value = Code(given.format, int(given.codes.flat[place])).text if held else element_value_text(given, place)
        raise ValueError(
            f"{what}{index_text(place, exact.shape)} = {value} is no value of {fmt}; cast it first: "
            f"fe.cast({what}, {fmt.name!r})"
        )
    return codes


def exact_numbers(x: Any) -> NDArray[np.object_]:
    """Exact numbers as objects: a Fraction, or a float where it is NaN or infinite."""
    given = as_numbers(x)
    found = np.empty(given.codes.shape, dtype=object)
    for place, code in enumerate(given.codes.flat):
        found.flat[place] = _number(given.format, int(code))
    if given.rest is not None:
        for place, number in zip(given.rest.places.tolist(), given.rest.numbers, strict=True):
            if isinstance(number, Literal):
                raise ValueError(f"{exact_text(number)} is too far away to be compared with")
            found.flat[place] = number
    return found


def _number(fmt: Format, code: int) -> Fraction | float:
    """A code's value: a Fraction, or a float where it is NaN or infinite."""
    exact = Code(fmt, code).exact
    return fmt.value(code) if exact is None else exact


def ulp_error(fmt: FloatFormat | IntFormat, code: int, desired: Fraction | float) -> Fraction | None:
    """How far a code's value is from a number, in ulps of the number; None where no number of ulps says it."""
    value = _number(fmt, code)
    if isinstance(desired, float) or (isinstance(value, float) and math.isnan(value)):
        alike = value == desired or (value != value and desired != desired)
        return Fraction(0) if alike else None
    largest = finite_ends(fmt)[1]
    ulp = quantum(min(abs(desired), largest), fmt)
    if isinstance(value, float):  # infinite: what would come after the largest
        beyond = largest + quantum(largest, fmt) - (desired if value > 0 else -desired)
        return max(beyond, Fraction(0)) / ulp
    return abs(value - desired) / ulp


def mask_of(names: Iterable[str], what: str) -> int:
    """The bits of flags by their names."""
    found = 0
    for name in names:
        if name not in Flags.NAMES:
            raise ValueError(f"unknown flag {brief(name)} in {what}: there are {', '.join(Flags.NAMES)}")
        found |= 1 << Flags.NAMES.index(name)
    return found


def flag_bits(x: Any, what: str) -> tuple[NDArray[np.uint8], int]:
    """Flags as bits in TestFloat's numbering, and which flags they tell of."""
    if isinstance(x, Mapping):
        mask = mask_of(x, what)
        if not x:
            raise ValueError(f"{what} names no flag: there are {', '.join(Flags.NAMES)}")
        parts = []
        for name, raised in x.items():
            part = np.asarray(raised)
            if part.dtype != np.bool_:
                raise TypeError(f"{what}[{name!r}] must be an array of bool, not of {part.dtype}")
            parts.append(np.where(part, np.uint8(mask_of([name], what)), np.uint8(0)))
        shapes = {part.shape for part in parts}
        if len(shapes) > 1:
            raise ValueError(f"{what}: the flags' shapes differ: {' and '.join(map(str, sorted(shapes)))}")
        return np.asarray(np.bitwise_or.reduce(parts), np.uint8), mask
    bits = np.asarray(x.bits if isinstance(x, Flags) else x)
    if bits.size == 0:
        bits = bits.astype(np.uint8)
    if bits.dtype.kind not in "iu":
        raise TypeError(
            f"{what} must be fpemu.Flags, bits as unsigned integers, or a dict of bool arrays, not {bits.dtype}"
        )
    if bits.size and not 0 <= int(bits.min()) <= int(bits.max()) <= ALL_FLAGS:
        raise ValueError(
            f"{what} has bits beyond TestFloat's five: {int(bits.max()):#x}; the flags are 0 to {ALL_FLAGS:#x}"
        )
    return bits.astype(np.uint8), ALL_FLAGS


def index_text(position: int, shape: tuple[int, ...]) -> str:
    """Where an element stands, as it is written in Python: [1, 2], or () in an array of no dimensions."""
    return str([int(i) for i in np.unravel_index(position, shape)]) if shape else "()"

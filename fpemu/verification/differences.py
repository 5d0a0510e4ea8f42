"""Codes, exact numbers and flags from the arguments of tests, and distances between codes."""

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
    "aligned",
    "codes_in",
    "codes_of_values",
    "common_shape",
    "distances",
    "exact_numbers",
    "flag_bits",
    "index_text",
    "mask_of",
    "ulp_error",
]

ALL_FLAGS = (1 << len(Flags.NAMES)) - 1


def common_shape(got: NDArray[Any], want: NDArray[Any]) -> tuple[int, ...]:
    """The shape of two arrays; a ValueError if their shapes differ."""
    if got.shape != want.shape:
        raise ValueError(f"the shapes differ: {got.shape} and {want.shape}")
    return got.shape


def codes_in(x: Any, fmt: Format, name: str) -> Codes:
    """The codes of `fmt` in an argument called `name`, in the format's code dtype."""
    if not carries_codes(x) and not hasattr(x, "dtype"):
        return _codes_in_list(x, fmt, name)
    source = as_source(x)
    if not same_codes(source.format, fmt):
        if carries_codes(x):
            raise ValueError(f"{name} has codes of {source.format}, not of {fmt}")
        if source.dtype is None or source.dtype.kind != "u":
            raise _no_codes(name, fmt, str(source.format))
        try:
            source = as_source(x, fmt)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return source.codes.astype(fmt.code_dtype, copy=False)


def _codes_in_list(x: Any, fmt: Format, name: str) -> Codes:
    """Codes from Python's ints; numpy alone would turn [0, 2**63] into floats."""
    listed = np.asarray(x, dtype=object)
    for position, code in enumerate(listed.flat):
        if isinstance(code, bool) or not isinstance(code, int):
            raise _no_codes(name, fmt, type(code).__name__ + "s" * (listed.ndim > 0))
        if not 0 <= code < fmt.code_count:
            raise ValueError(
                f"{name}{index_text(position, listed.shape)} = {code:#x} is out of range: the codes of {fmt} are 0 to "
                f"{fmt.code_count - 1:#x}"
            )
    return listed.astype(fmt.code_dtype)


def _no_codes(name: str, fmt: Format, given: str) -> TypeError:
    return TypeError(
        f"{name} must be codes of {fmt} (unsigned integers, an fpemu.Array, or an array of that format's own dtype), "
        f"not {given}; encode values first: fe.encode({name}, {fmt.name!r})"
    )


def distances(got: Codes, want: Codes, fmt: Format) -> tuple[NDArray[np.bool_], NDArray[np.uint64]]:
    """Whether exactly one of two codes is NaN, and the number of steps between them (0 if either is NaN)."""
    nan, nan_wanted = nan_mask(got, fmt), nan_mask(want, fmt)
    a, b = positions(got, fmt), positions(want, fmt)
    distance = np.where(a > b, a - b, b - a)
    distance[nan | nan_wanted] = 0
    return nan != nan_wanted, distance


def codes_of_values(x: Any, fmt: Format, name: str) -> Codes:
    """The codes of the values in an argument called `name`; a ValueError if one is not a value of `fmt`."""
    if carries_codes(x):
        return codes_in(x, fmt, name)
    numbers = as_numbers(x)
    codes, exact = exact_codes(x, numbers, fmt)
    if not exact.all():
        position = int(np.argmin(exact))
        if numbers.rest is None or position not in numbers.rest.indices:
            value = Code(numbers.format, int(numbers.codes.flat[position])).text
        else:
            value = element_value_text(numbers, position)
        raise ValueError(
            f"{name}{index_text(position, exact.shape)} = {value} is not a value of {fmt}; cast it first: "
            f"fe.cast({name}, {fmt.name!r})"
        )
    return codes


def exact_numbers(x: Any) -> NDArray[np.object_]:
    """Exact numbers as objects: Fractions, and floats for NaN and infinities."""
    numbers = as_numbers(x)
    exact = np.empty(numbers.codes.shape, dtype=object)
    for position, code in enumerate(numbers.codes.flat):
        exact.flat[position] = _exact_value(numbers.format, int(code))
    if numbers.rest is not None:
        for position, number in zip(numbers.rest.indices.tolist(), numbers.rest.numbers, strict=True):
            if isinstance(number, Literal):
                raise ValueError(f"{exact_text(number)} is too far away to be compared with")
            exact.flat[position] = number
    return exact


def _exact_value(fmt: Format, code: int) -> Fraction | float:
    """A code's value: a Fraction, or a float if it is NaN or infinite."""
    exact = Code(fmt, code).exact
    return fmt.value(code) if exact is None else exact


def ulp_error(fmt: FloatFormat | IntFormat, code: int, desired: Fraction | float) -> Fraction | None:
    """The error of a code's value in ulps of the desired number; None if NaN or infinity makes it undefined."""
    value = _exact_value(fmt, code)
    if isinstance(desired, float) or (isinstance(value, float) and math.isnan(value)):
        alike = value == desired or (value != value and desired != desired)
        return Fraction(0) if alike else None
    largest = finite_ends(fmt)[1]
    ulp = quantum(min(abs(desired), largest), fmt)
    if isinstance(value, float):  # infinity counts as the value that would follow the largest
        beyond = largest + quantum(largest, fmt) - (desired if value > 0 else -desired)
        return max(beyond, Fraction(0)) / ulp
    return abs(value - desired) / ulp


def mask_of(flags: Iterable[str], name: str) -> int:
    """The bits of the flags in an argument called `name`."""
    mask = 0
    for flag in flags:
        if flag not in Flags.NAMES:
            raise ValueError(f"unknown flag {brief(flag)} in {name}: there are {', '.join(Flags.NAMES)}")
        mask |= 1 << Flags.NAMES.index(flag)
    return mask


def flag_bits(x: Any, name: str) -> tuple[NDArray[np.uint8], int]:
    """The flags in an argument called `name`, as bits in TestFloat's numbering, and the mask of its flags."""
    if isinstance(x, Mapping):
        mask = mask_of(x, name)
        if not x:
            raise ValueError(f"{name} names no flag: there are {', '.join(Flags.NAMES)}")
        columns = []
        for flag, values in x.items():
            raised = np.asarray(values)
            if raised.dtype != np.bool_:
                raise TypeError(f"{name}[{flag!r}] must be an array of bool, not of {raised.dtype}")
            columns.append(np.where(raised, np.uint8(mask_of([flag], name)), np.uint8(0)))
        shapes = {column.shape for column in columns}
        if len(shapes) > 1:
            raise ValueError(f"{name}: the flags' shapes differ: {' and '.join(map(str, sorted(shapes)))}")
        return np.asarray(np.bitwise_or.reduce(columns), np.uint8), mask
    bits = np.asarray(x.bits if isinstance(x, Flags) else x)
    if bits.size == 0:
        bits = bits.astype(np.uint8)
    if bits.dtype.kind not in "iu":
        raise TypeError(
            f"{name} must be fpemu.Flags, bits as unsigned integers, or a dict of bool arrays, not {bits.dtype}"
        )
    if bits.size and not 0 <= int(bits.min()) <= int(bits.max()) <= ALL_FLAGS:
        raise ValueError(
            f"{name} has bits beyond TestFloat's five: {int(bits.max()):#x}; the flags are 0 to {ALL_FLAGS:#x}"
        )
    return bits.astype(np.uint8), ALL_FLAGS


def index_text(position: int, shape: tuple[int, ...]) -> str:
    """An element's index as text: [1, 2], or () in an array without dimensions."""
    return str([int(i) for i in np.unravel_index(position, shape)]) if shape else "()"


def aligned(rows: list[list[str]]) -> list[str]:
    """Rows of cells as indented lines, with columns of one width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]

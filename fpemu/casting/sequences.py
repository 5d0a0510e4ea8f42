"""Sequences of mixed numbers as one array: in a format that holds them all, or exactly beside it.

numpy would promote them, and round: int64 beside float64, Python's integers beyond 64 bits, longdouble.
"""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fpemu.casting.plans import plan
from fpemu.casting.storage import cleared
from fpemu.formats import EXACT, FLOAT64, FloatFormat, Format, IntFormat
from fpemu.formats import dtype as find_format
from fpemu.formats.facts.exactness import holds
from fpemu.formats.facts.reals import real

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from fpemu.formats.facts.reals import Exact

DEEPEST = 64  # dimensions that numpy has
_CUT = EXACT.replace(rounding="toward_zero")
_INT64, _UINT64 = np.dtype(np.int64), np.dtype(np.uint64)
_FLOAT64 = np.dtype(np.float64)


class Rest(NamedTuple):
    """The numbers that an array's format does not hold, and their ascending indices in C order.

    None of them is 0.  The array has 1 or -1 in their places, by their signs.
    """

    indices: NDArray[np.intp]
    numbers: list[Exact]


class Group(NamedTuple):
    """Numbers of one kind: their indices in C order, their codes and format, and numpy's dtype or None."""

    indices: NDArray[np.intp]
    codes: NDArray[Any]
    format: Format
    dtype: np.dtype[Any] | None


class Source(NamedTuple):
    """An array as codes of a format.

    `codes`: unsigned integers of x's shape, possibly of another byte order or not contiguous; `dtype`: x's, or None if
    numpy has none; `scalar`: whether x is a number, not an array; `rest`: the numbers that the format does not hold,
    for which `codes` has 1 or -1.  Only `as_numbers` returns a `rest`.
    """

    codes: NDArray[Any]
    format: Format
    dtype: np.dtype[Any] | None
    scalar: bool
    rest: Rest | None = None


def flatten(x: Sequence[Any]) -> tuple[tuple[int, ...], list[Any], set[type]]:
    """The shape of nested lists and tuples, their innermost members, and the types of those."""
    shape: list[int] = []
    level: list[Any] = [x]
    kinds: set[type] = {type(x)}
    while kinds and kinds <= {list, tuple}:
        lengths = set(map(len, level))
        if len(lengths) > 1:
            raise ValueError(f"rows of {' and '.join(map(str, sorted(lengths)[:4]))} numbers make no array")
        if len(shape) == DEEPEST:
            raise ValueError(f"lists are nested more than {DEEPEST} deep: no array has so many dimensions")
        shape.append(lengths.pop())
        level = list(itertools.chain.from_iterable(level))
        kinds = set(map(type, level))
    return tuple(shape), level, kinds


def quick(numbers: list[Any], kinds: set[type]) -> NDArray[Any] | None:
    """Numbers as a numpy array if that changes none of them, else None."""
    if not numbers:
        return np.zeros(0)
    if kinds == {float}:
        return np.array(numbers)
    if kinds <= {int, bool}:
        try:
            array = np.array(numbers)
        except OverflowError:
            return None
        return array if array.dtype.kind in "biu" else None
    if kinds <= {float, int, bool}:
        try:
            array = np.array(numbers, np.float64)
        except OverflowError:
            return None
        # an int below 2^53 is a float64; larger ones may be
        for index in np.flatnonzero(~(np.abs(array) < 2.0**53)).tolist():
            number = numbers[index]
            if type(number) is int and number != int(array[index]):
                return None
        return array
    if len(kinds) == 1 and issubclass(next(iter(kinds)), np.generic):
        array = np.array(numbers)
        return array if array.dtype.kind in "biufV" and array.dtype.itemsize <= 8 else None
    return None


def groups_of(
    numbers: list[Any], kinds: Iterable[type], shape: tuple[int, ...]
) -> tuple[list[Group], dict[int, int | Exact]]:
    """Numbers by type: groups that have a format, and the others by index."""
    order = {kind: number for number, kind in enumerate(kinds)}
    which = np.fromiter(map(order.__getitem__, map(type, numbers)), np.intp, len(numbers))
    groups: list[Group] = []
    rest: dict[int, int | Exact] = {}
    for kind, number in order.items():
        indices = np.flatnonzero(which == number)
        members = [numbers[index] for index in indices.tolist()] if len(order) > 1 else numbers
        if kind in (float, bool) or (issubclass(kind, np.generic) and not issubclass(kind, str)):
            of_kind, rest_of_kind = in_format(np.array(members), shape, indices)
        else:
            of_kind, rest_of_kind = _of_objects(members, indices, shape)
        groups += of_kind
        rest.update(rest_of_kind)
    return groups, rest


def in_format(
    array: NDArray[Any], shape: tuple[int, ...] | None = None, indices: NDArray[np.intp] | None = None
) -> tuple[list[Group], dict[int, int | Exact]]:
    """The elements of a numpy array of any dtype, as `groups_of` returns them."""
    flat = array.reshape(-1)
    at = np.arange(flat.size) if indices is None else indices
    dtype = flat.dtype
    if dtype.kind in "biuf" and dtype.itemsize <= 8:
        native = flat.astype(dtype.newbyteorder("="), copy=False)
        return [Group(at, native.view(f"u{dtype.itemsize}"), find_format(dtype), native.dtype)], {}
    if dtype.kind == "f":
        return _of_long_doubles(flat, at)
    if dtype.kind in "OUT":
        return _of_objects(list(flat), at, array.shape if shape is None else shape)
    if dtype.kind == "V" and dtype.type.__module__.partition(".")[0] == "ml_dtypes":
        fmt = find_format(dtype)
        return [Group(at, cleared(flat.view(f"u{dtype.itemsize}"), fmt), fmt, dtype)], {}
    hint = {
        "c": "cast x.real and x.imag apart",
        "S": "text is a str: x.astype(str)",
    }.get(dtype.kind, "allowed are booleans, integers, floats, text, ml_dtypes' types and CPU torch tensors")
    raise TypeError(f"cannot cast an array of dtype {dtype}: {hint}")


def _of_objects(
    members: list[Any], indices: NDArray[np.intp], shape: tuple[int, ...]
) -> tuple[list[Group], dict[int, int | Exact]]:
    """Python numbers and other objects."""
    integers: list[tuple[int, int]] = []
    floats: list[tuple[int, float]] = []
    others: list[tuple[int, Any]] = []
    rest: dict[int, int | Exact] = {}
    for index, member in zip(indices.tolist(), members, strict=True):
        if isinstance(member, np.generic) and not isinstance(member, str):
            others.append((index, member))
            continue
        try:
            number = real(member)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{_where(index, shape)}{error}") from None
        if isinstance(number, int):
            integers.append((index, number))
        elif isinstance(number, float):
            floats.append((index, number))
        else:
            rest[index] = number
    groups = [*_of_integers(integers)]
    if floats:
        at, values = zip(*floats, strict=True)
        groups.append(Group(np.array(at, np.intp), np.array(values).view(np.uint64), FLOAT64, _FLOAT64))
    for kind in {type(member) for _, member in others}:
        at, values = zip(*((index, member) for index, member in others if type(member) is kind), strict=True)
        of_kind, rest_of_kind = in_format(np.array(values), shape, np.array(at, np.intp))
        groups += of_kind
        rest.update(rest_of_kind)
    rest.update({index: number for index, number in integers if not -(1 << 63) <= number < 1 << 64})
    return groups, rest


def _of_integers(integers: list[tuple[int, int]]) -> Iterable[Group]:
    for low, high, dtype in ((-(1 << 63), 1 << 63, _INT64), (1 << 63, 1 << 64, _UINT64)):
        fitting = [(index, number) for index, number in integers if low <= number < high]
        if fitting:
            at, values = zip(*fitting, strict=True)
            yield Group(np.array(at, np.intp), np.array(values, dtype).view(np.uint64), find_format(dtype), dtype)


def _of_long_doubles(flat: NDArray[Any], indices: NDArray[np.intp]) -> tuple[list[Group], dict[int, int | Exact]]:
    with np.errstate(all="ignore"):
        values = flat.astype(np.float64)
        same = np.asarray(values.astype(flat.dtype) == flat)
    words = values.view(np.uint64)
    for index in np.flatnonzero(np.isnan(flat)).tolist():
        words[index] = _nan_word(flat[index])
        same[index] = True
    rest: dict[int, int | Exact] = {}
    for index in np.flatnonzero(~same).tolist():
        ratio = flat[index].as_integer_ratio()
        rest[int(indices[index])] = _fraction(*ratio)
    return [Group(indices[same], words[same], FLOAT64, _FLOAT64)], rest


def _nan_word(number: Any) -> int:
    """The float64 NaN with a long double's sign, quiet or signalling as it is."""
    negative = bool(np.signbit(number))
    quiet = True
    if np.finfo(np.longdouble).nmant == 63:
        quiet = bool(int.from_bytes(number.tobytes()[:8], "little") >> 62 & 1)
    elif np.finfo(np.longdouble).nmant == 112:
        quiet = bool(int.from_bytes(number.tobytes(), "little" if np.little_endian else "big") >> 111 & 1)
    return (0x7FF8 if quiet else 0x7FF4) << 48 | negative << 63


def _fraction(numerator: int, denominator: int = 1) -> Exact:
    from fractions import Fraction  # imported late: `import fpemu` stays light

    return Fraction(numerator, denominator)


def _where(position: int, shape: tuple[int, ...]) -> str:
    if not shape:
        return ""
    index = ", ".join(str(int(i)) for i in np.unravel_index(position, shape))
    return f"element [{index}]: "


def assemble(shape: tuple[int, ...], groups: list[Group], rest: dict[int, int | Exact]) -> Source:
    """Merge groups of numbers, and numbers without a format, into one array.

    It is of integers if all numbers are, otherwise of floats.
    """
    kinds: dict[tuple[Any, ...], list[Group]] = {}
    for group in groups:
        kinds.setdefault((group.format.codes_key, group.dtype), []).append(group)
    merged = [_merged(each) for each in kinds.values()]
    size = int(np.prod(shape, dtype=int))
    if len(merged) == 1 and not rest:
        (group,) = merged
        codes = np.empty(size, group.codes.dtype)
        codes[group.indices] = group.codes
        return Source(codes.reshape(shape), group.format, group.dtype, False)
    integers = all(isinstance(group.format, IntFormat) and not group.format.fraction_bits for group in merged)
    integers &= all(isinstance(number, int) for number in rest.values())
    dtype = _base(merged, rest, integers)
    base = find_format(dtype)
    codes = np.empty(size, f"u{dtype.itemsize}")
    for group in merged:
        codes[group.indices] = _carried(group, base, rest)
    if not rest:
        return Source(codes.reshape(shape), base, dtype, False)
    indices = np.array(sorted(rest), np.intp)
    ascending = (rest[index] for index in indices.tolist())
    numbers = [_fraction(number) if isinstance(number, int) else number for number in ascending]
    one = {False: 1, True: -1} if integers else {False: 1.0, True: -1.0}
    codes[indices] = np.array([one[is_negative(number)] for number in numbers], dtype).view(codes.dtype)
    return Source(codes.reshape(shape), base, dtype, False, Rest(indices, numbers))


def is_negative(number: Exact) -> bool:
    """Whether a number is below 0."""
    return number.negative if isinstance(number, tuple) else number < 0


def _merged(groups: list[Group]) -> Group:
    if len(groups) == 1:
        return groups[0]
    indices, codes = (np.concatenate([group[i] for group in groups]) for i in (0, 1))
    return Group(indices, codes, groups[0].format, groups[0].dtype)


def _base(groups: list[Group], rest: dict[int, int | Exact], integers: bool) -> np.dtype[Any]:
    """The dtype for groups of several formats: numpy's promotion if it holds all, else int64, uint64 or float64."""
    if not groups and not rest:
        return _FLOAT64  # as for numpy's array of an empty list
    dtypes = [group.dtype for group in groups if group.dtype is not None and group.dtype.kind in "biuf"]
    if len(dtypes) == len(groups) and not rest:
        common = np.result_type(*dtypes)
        base = find_format(common) if common.kind in "iuf" else None
        if base is not None and all(_fits(base, group.format) for group in groups):
            return common
    if not integers:
        return _FLOAT64
    least = all(isinstance(group.format, IntFormat) and not _negatives(group) for group in groups)
    return _UINT64 if least and not rest else _INT64


def _negatives(group: Group) -> bool:
    sign = group.format.sign_mask if isinstance(group.format, IntFormat) else 0
    return bool((group.codes & np.asarray(sign, group.codes.dtype)).any())


@functools.lru_cache(maxsize=256)
def _fits(base: Format, fmt: Format) -> bool:
    """Whether one format has all values of another."""
    if isinstance(base, FloatFormat):
        return holds(base, fmt)
    both = isinstance(base, IntFormat) and isinstance(fmt, IntFormat) and base.fraction_bits == fmt.fraction_bits
    return both and base.min_int <= fmt.min_int and fmt.max_int <= base.max_int  # type: ignore[union-attr]


def _carried(group: Group, base: Format, rest: dict[int, int | Exact]) -> NDArray[Any]:
    """A group's codes in the base format; numbers that it does not hold go to `rest`."""
    given = np.ascontiguousarray(group.codes, group.codes.dtype.newbyteorder("="))
    exact = _fits(base, group.format)
    carried = _cast(given, group.format, base, exact)
    if exact:
        return carried
    # Rounded toward zero, a number that the base does not hold becomes another, and does not come back.
    back = _cast(carried, base, group.format, False)
    changed = back != given
    if isinstance(base, FloatFormat):
        changed &= (carried & np.uint64(base.magnitude_mask)) <= np.uint64(base.infinity_code or 0)  # NaN stays NaN
    for index in np.flatnonzero(changed).tolist():
        significand, exponent = group.format.scaled(int(given[index]))
        number = significand << exponent if exponent >= 0 else _fraction(significand, 1 << -exponent)
        rest[int(group.indices[index])] = number
    return carried


def _cast(codes: NDArray[Any], source: Format, target: Format, exact: bool) -> NDArray[Any]:
    work = plan(source, target, target.check_profile(EXACT if exact else _CUT), None)
    out = np.empty(codes.size, target.code_dtype)
    work.prepare(codes.size)
    work(codes, out)
    return out

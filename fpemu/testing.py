"""Assertions for people who verify codes and values: bit for bit, or within steps of a format's ordered codes.

A failure is an AssertionError whose message counts the differences by class and shows the first and the worst of
them, with their bits by field and their values.  Works without hypothesis; see `fpemu.strategies` for that.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex

import numpy as np

from fpemu.anatomy import Code, fields
from fpemu.classes import NumberClass, classes_of, is_nan, split
from fpemu.formats import FloatFormat, IntFormat, TableFormat, same_codes
from fpemu.neighbours import exact_codes
from fpemu.registry import dtype
from fpemu.sources import as_source, carries_codes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike, NDArray

    from fpemu.formats import Format

    Codes = NDArray[np.unsignedinteger[Any]]

__all__ = ["assert_max_ulp", "assert_same_codes"]

_SHOWN = 5  # differences in each table of a message
_PAIRS = 8  # pairs of classes that are counted apart


def assert_same_codes(
    actual: ArrayLike,
    expected: ArrayLike,
    fmt: str | Format,
    nan: Literal["class", "exact"] = "class",
    zero: Literal["signed", "any"] = "signed",
) -> None:
    """Raise an AssertionError unless two arrays hold the same codes of a format.

    Parameters
    ----------
    actual, expected : array_like
        Codes of `fmt`: unsigned integers (or a list of Python ints), an `fpemu.Array` of that format, or an array
        whose dtype is that format (of numpy or ml_dtypes), taken by its bits.  Both of one shape.
    fmt : str or Format
        The format whose codes they are.
    nan : {"class", "exact"}
        Whether any NaN equals any other, or only the same code.
    zero : {"signed", "any"}
        Whether +0 and -0 differ, or every code of zero equals every other.

    Raises
    ------
    AssertionError
        If a code differs; the message shows how many, the first and the worst, with bits and values.
    TypeError
        If an array holds no codes of `fmt` (values: encode them first).
    ValueError
        If the shapes differ, a code is out of range, an `fpemu.Array` is of another format, or a word is unknown.

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.testing import assert_same_codes
    >>> assert_same_codes(fe.encode([1.0, 500.0], "e4m3fn"), [0x38, 0x7F], "e4m3fn")
    >>> assert_same_codes([0x38, 0x7E], [0x38, 0x7F], "e4m3fn")
    Traceback (most recent call last):
    ...
    AssertionError: 1 of 2 codes of float8_e4m3fn differ (50%)
      actual positive normal, expected quiet NaN: 1
    all of them
      index            code  sign|exponent|trailing  value  ulp
      [1]    actual    0x7E  0|1111|110              448    -
             expected  0x7F  0|1111|111              NaN
    """
    __tracebackhide__ = True
    fmt = dtype(fmt)
    _check_word(nan, ("class", "exact"), "nan")
    _check_word(zero, ("signed", "any"), "zero")
    got, want = _codes(actual, fmt, "actual"), _codes(expected, fmt, "expected")
    shape = _common_shape(got, want)
    got, want = got.ravel(), want.ravel()
    differs = got != want
    if differs.any():
        if nan == "class":
            differs &= ~(_is_nan(got, fmt) & _is_nan(want, fmt))
        if zero == "any":
            differs &= ~(_is_zero(got, fmt) & _is_zero(want, fmt))
    if differs.any():
        raise AssertionError(_message(got, want, differs, shape, fmt, f"codes of {fmt} differ"))


def assert_max_ulp(actual: ArrayLike, desired: ArrayLike, fmt: str | Format, maxulp: SupportsIndex = 1) -> None:
    """Raise an AssertionError unless two arrays of a format's values are at most `maxulp` steps apart.

    A step leads from one value of the format to the next, in their order: across binades, into the subnormals, through
    zero (+0 and -0 are one value) and from the largest value to infinity.  Any NaN equals any NaN and is apart from
    everything else, however large `maxulp`.

    Parameters
    ----------
    actual, desired : array_like
        Values of `fmt`, of any dtype, or `fpemu.Array` objects of that format.  A plain array is its values, as in
        `numpy.testing.assert_array_max_ulp`; codes become an `fpemu.Array` by ``fe.Array.from_codes``.  Both of one
        shape.
    fmt : str or Format
        The format whose values they are.
    maxulp : int
        The largest distance allowed, 0 or more.

    Raises
    ------
    AssertionError
        If two values are further apart; the message shows how many, the first and the worst, with bits and values.
    TypeError
        If `maxulp` is no int, or an array holds no numbers.
    ValueError
        If the shapes differ, `maxulp` is negative, or a number is no value of `fmt` (cast it first).

    Examples
    --------
    >>> import numpy as np
    >>> import fpemu as fe
    >>> from fpemu.testing import assert_max_ulp
    >>> x = np.linspace(-4, 4, 1000)
    >>> assert_max_ulp(fe.cast(np.sin(x), "bfloat16", rounding="RTZ"), fe.cast(np.sin(x), "bfloat16"), "bfloat16", 1)
    >>> assert_max_ulp([1.0, 448.0], [1.25, 448.0], "e4m3fn", 1)
    Traceback (most recent call last):
    ...
    AssertionError: 1 of 2 values of float8_e4m3fn are more than 1 ulp apart (50%)
      actual positive normal, expected positive normal: 1
      largest distance: 2 ulp at [0]
    all of them
      index            code  sign|exponent|trailing  value  ulp
      [0]    actual    0x38  0|0111|000              1      2
             expected  0x3A  0|0111|010              1.25
    """
    __tracebackhide__ = True
    fmt = dtype(fmt)
    if isinstance(maxulp, bool) or not hasattr(maxulp, "__index__"):
        raise TypeError(f"maxulp must be an int, not {type(maxulp).__name__}")
    allowed = operator.index(maxulp)
    if allowed < 0:
        raise ValueError(f"maxulp must be 0 or more, not {allowed}")
    got, want = _codes_of_values(actual, fmt, "actual"), _codes_of_values(desired, fmt, "desired")
    shape = _common_shape(got, want)
    got, want = got.ravel(), want.ravel()
    apart, distance = _distance(got, want, fmt)
    differs = apart | (distance > min(allowed, 2**64 - 1))
    if differs.any():
        what = f"values of {fmt} are more than {allowed} ulp apart"
        raise AssertionError(_message(got, want, differs, shape, fmt, what))


def _check_word(word: object, allowed: tuple[str, ...], what: str) -> None:
    if word not in allowed:
        raise ValueError(f"unknown {what} {word!r}: allowed are {', '.join(allowed)}")


def _common_shape(got: Codes, want: Codes) -> tuple[int, ...]:
    if got.shape != want.shape:
        raise ValueError(f"the shapes differ: {got.shape} and {want.shape}")
    return got.shape


def _codes(x: Any, fmt: Format, what: str) -> Codes:
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
            raise _no_codes(what, fmt, f"{type(code).__name__}s")
        if not 0 <= code < fmt.code_count:
            raise ValueError(
                f"{what}{_index(position, listed.shape)} = {code:#x} is out of range: the codes of {fmt} are 0 to "
                f"{fmt.code_count - 1:#x}"
            )
    return listed.astype(fmt.code_dtype)


def _no_codes(what: str, fmt: Format, found: str) -> TypeError:
    return TypeError(
        f"{what} must be codes of {fmt} (unsigned integers, an fpemu.Array, or an array of that format's own dtype), "
        f"not {found}; encode values first: fe.encode({what}, {fmt.name!r})"
    )


def _is_nan(codes: Codes, fmt: Format) -> NDArray[np.bool_]:
    return is_nan(codes, fmt) if isinstance(fmt, FloatFormat) else np.zeros(codes.shape, np.bool_)


def _is_zero(codes: Codes, fmt: Format) -> NDArray[np.bool_]:
    if not fmt.has("zero"):
        return np.zeros(codes.shape, bool)
    zero: NDArray[np.bool_]
    if isinstance(fmt, TableFormat):
        zero = np.asarray(fmt.entries)[codes] == 0
    else:
        zero = _position(codes, fmt) == np.uint64(fmt.sign_mask)
    return zero & ~_is_nan(codes, fmt)


def _position(codes: Codes, fmt: Format) -> NDArray[np.uint64]:
    """Where each code's value stands in the order of the format's values; equal values stand at one place."""
    if isinstance(fmt, TableFormat):
        ranks: NDArray[np.uint64] = np.unique(fmt.entries, return_inverse=True)[1].astype(np.uint64)
        return ranks[codes]
    sign = np.uint64(fmt.sign_mask)
    if isinstance(fmt, IntFormat) and fmt.encoding == "twos_complement":
        return codes.astype(np.uint64) ^ sign
    negative, magnitude = split(codes, fmt)
    gap = np.uint64(not fmt.has("zero"))  # without a zero, the smallest values of both signs are neighbours
    return np.where(negative, sign - magnitude - gap, sign + magnitude)


def _distance(got: Codes, want: Codes, fmt: Format) -> tuple[NDArray[np.bool_], NDArray[np.uint64]]:
    """Whether one of two codes is NaN and the other is not, and the steps between them otherwise."""
    nan, nan_wanted = _is_nan(got, fmt), _is_nan(want, fmt)
    a, b = _position(got, fmt), _position(want, fmt)
    distance = np.where(a > b, a - b, b - a)
    distance[nan | nan_wanted] = 0
    return nan != nan_wanted, distance


def _codes_of_values(x: Any, fmt: Format, what: str) -> Codes:
    """The codes of `fmt` whose values `x` holds; a ValueError if one of them is no value of `fmt`."""
    if carries_codes(x):
        return _codes(x, fmt, what)
    given = as_source(x)
    codes, exact = exact_codes(x, given, fmt)
    if not exact.all():
        place = int(np.argmin(exact))
        value = Code(given.format, int(given.codes.flat[place])).text
        raise ValueError(
            f"{what}{_index(place, exact.shape)} = {value} is no value of {fmt}; cast it first: "
            f"fe.cast({what}, {fmt.name!r})"
        )
    return codes


def _message(
    got: Codes, want: Codes, differs: NDArray[np.bool_], shape: tuple[int, ...], fmt: Format, what: str
) -> str:
    """The text of a failure: counts by class, the first differences, the worst ones."""
    where = np.flatnonzero(differs)
    a, b = got[differs], want[differs]
    apart, distance = _distance(a, b, fmt)
    lines = [f"{where.size:,} of {differs.size:,} {what} ({100 * where.size / differs.size:.3g}%)"]
    counts = np.bincount(len(NumberClass) * classes_of(a, fmt).astype(np.intp) + classes_of(b, fmt))
    pairs = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    for pair in pairs[:_PAIRS]:
        actual, expected = (NumberClass(kind).words for kind in divmod(int(pair), len(NumberClass)))
        lines.append(f"  actual {actual}, expected {expected}: {counts[pair]:,}")
    if len(pairs) > _PAIRS:
        lines.append(f"  {len(pairs) - _PAIRS} other pairs of classes: {counts[pairs[_PAIRS:]].sum():,}")
    if distance.any():
        worst = int(np.argmax(distance))
        lines.append(f"  largest distance: {distance[worst]} ulp at {_index(int(where[worst]), shape)}")

    def side(code: np.unsignedinteger[Any]) -> list[str]:
        one = Code(fmt, int(code))
        return [one.hex, "|".join(bits for _, bits in one.fields), one.text]

    def table(rows: Iterable[int]) -> list[str]:
        undefined = _is_nan(a, fmt) | _is_nan(b, fmt)
        cells = [["index", "", "code", "|".join(name for name, _ in fields(fmt)), "value", "ulp"]]
        for i in rows:
            index, steps = _index(int(where[i]), shape), "-" if undefined[i] else str(distance[i])
            cells.append([index, "actual", *side(a[i]), steps])
            cells.append(["", "expected", *side(b[i]), ""])
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        return [
            "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in cells
        ]

    if where.size <= 2 * _SHOWN:
        return "\n".join([*lines, "all of them", *table(range(where.size))])
    farthest = np.lexsort((where, ~distance, apart))[:_SHOWN]
    nans = np.flatnonzero(apart)[:2]  # NaN against a number is worst, but must not be all that one sees
    worst_rows = list(dict.fromkeys([*nans, *farthest]))[:_SHOWN]
    first = [f"the first {_SHOWN}", *table(range(_SHOWN))]
    return "\n".join([*lines, *first, f"the worst {_SHOWN}", *table(worst_rows)])


def _index(position: int, shape: tuple[int, ...]) -> str:
    """Where an element stands, as it is written in Python: [1, 2], or () in an array of no dimensions."""
    return str([int(i) for i in np.unravel_index(position, shape)]) if shape else "()"

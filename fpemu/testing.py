"""Assertions for people who verify codes and values: bit for bit, or within steps of a format's ordered codes.

A failure is an AssertionError whose message counts the differences by class and shows the first and the worst of
them, with their bits by field and their values.  Works without hypothesis; see `fpemu.strategies` for that.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex

import numpy as np

from fpemu.casting import encode
from fpemu.formats import FloatFormat, IntFormat, TableFormat, same_codes
from fpemu.infotext import dyadic_text
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
        If the shapes differ, a code is out of range, or an `fpemu.Array` or a word is not one of those allowed.

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.testing import assert_same_codes
    >>> assert_same_codes(fe.encode([1.0, 500.0], "e4m3fn"), [0x38, 0x7F], "e4m3fn")
    >>> assert_same_codes([0x38, 0x7E], [0x38, 0x7F], "e4m3fn")
    Traceback (most recent call last):
    ...
    AssertionError: 1 of 2 codes of float8_e4m3fn differ (50%)
      actual normal, expected NaN: 1
    all of them
      index            code  sign|exponent|trailing  value  ulp
      [1]    actual    0x7e  0|1111|110              448.0  NaN
             expected  0x7f  0|1111|111              nan
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
    >>> x = np.linspace(0, 1, 5)
    >>> assert_max_ulp(fe.cast(np.sin(x) + 0.01, "bfloat16"), fe.cast(np.sin(x), "bfloat16"), "bfloat16", 15000)
    >>> assert_max_ulp([1.0, 448.0], [1.25, 448.0], "e4m3fn", 1)
    Traceback (most recent call last):
    ...
    AssertionError: 1 of 2 values of float8_e4m3fn are more than 1 ulp apart (50%)
      actual normal, expected normal: 1
      largest distance: 2 ulp at [0]
    all of them
      index            code  sign|exponent|trailing  value  ulp
      [0]    actual    0x38  0|0111|000              1.0      2
             expected  0x3a  0|0111|010              1.25
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
    if not isinstance(fmt, FloatFormat) or fmt.nan == "none":
        return np.zeros(codes.shape, bool)
    unit = codes.dtype.type
    nan: NDArray[np.bool_]
    if fmt.nan == "negative_zero":
        nan = codes == unit(fmt.sign_mask)
    else:
        nan = (codes & unit(fmt.magnitude_mask)) >= unit(fmt.nan_codes[0])
    return nan


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
    sign, codes = np.uint64(fmt.sign_mask), codes.astype(np.uint64)
    if isinstance(fmt, IntFormat) and fmt.encoding == "twos_complement":
        return codes ^ sign
    magnitude = codes & ~sign
    gap = np.uint64(not fmt.has("zero"))  # without a zero, the smallest values of both signs are neighbours
    return np.where(codes & sign, sign - magnitude - gap, sign + magnitude)


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
    own = as_source(x)
    bits = own.codes.astype(own.format.code_dtype, copy=False).ravel()
    codes = np.asarray(encode(x, fmt, profile="ieee", rounding="toward_zero")).ravel()
    # A value of the format comes back unchanged whichever way it is rounded; anything else moved on its way in.
    moved = _is_nan(codes, fmt) != _is_nan(bits, own.format)
    for rounding in ("toward_zero", "away_from_zero"):
        back = np.asarray(encode(codes, own.format, source=fmt, profile="ieee", rounding=rounding))
        apart, distance = _distance(back, bits, own.format)
        moved |= apart | (distance != 0)
    if moved.any():
        position, code = int(np.argmax(moved)), int(bits[moved][0])
        raise ValueError(
            f"{what}{_index(position, own.codes.shape)} = {_value(code, own.format)} is no value of {fmt}; cast it first: "
            f"fe.cast({what}, {fmt.name!r})"
        )
    return codes.reshape(own.codes.shape)


def _message(
    got: Codes, want: Codes, differs: NDArray[np.bool_], shape: tuple[int, ...], fmt: Format, what: str
) -> str:
    """The text of a failure: counts by class, the first differences, the worst ones."""
    where = np.flatnonzero(differs)
    a, b = got[differs], want[differs]
    apart, distance = _distance(a, b, fmt)
    lines = [f"{where.size:,} of {differs.size:,} {what} ({100 * where.size / differs.size:.3g}%)"]
    counts = np.bincount(len(_CLASSES) * _classes(a, fmt) + _classes(b, fmt))
    pairs = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    for pair in pairs[:_PAIRS]:
        actual, expected = divmod(int(pair), len(_CLASSES))
        lines.append(f"  actual {_CLASSES[actual]}, expected {_CLASSES[expected]}: {counts[pair]:,}")
    if len(pairs) > _PAIRS:
        lines.append(f"  {len(pairs) - _PAIRS} other pairs of classes: {counts[pairs[_PAIRS:]].sum():,}")
    if distance.any():
        worst = int(np.argmax(distance))
        lines.append(f"  largest distance: {distance[worst]} ulp at {_index(int(where[worst]), shape)}")

    def table(rows: Iterable[int]) -> list[str]:
        undefined = _is_nan(a, fmt) | _is_nan(b, fmt)
        cells = [["index", "", "code", "|".join(name for name, _ in _fields(fmt)), "value", "ulp"]]
        for i in rows:
            index, steps = _index(int(where[i]), shape), "-" if undefined[i] else str(distance[i])
            cells.append([index, "actual", *_cells(int(a[i]), fmt), steps])
            cells.append(["", "expected", *_cells(int(b[i]), fmt), ""])
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


_UNSIGNED_CLASSES = ("zero", "subnormal", "normal", "infinity", "NaN", "positive")
_CLASSES = (*_UNSIGNED_CLASSES, "-zero", "-subnormal", "-normal", "-infinity", "NaN", "negative")


def _classes(codes: Codes, fmt: Format) -> NDArray[np.intp]:
    """Each code's class, as a place in _CLASSES."""
    classes = np.full(codes.shape, _CLASSES.index("positive"))
    if isinstance(fmt, TableFormat):
        negative = np.signbit(fmt.entries)[codes]
    else:
        negative = (codes & codes.dtype.type(fmt.sign_mask)) != 0
    if isinstance(fmt, FloatFormat):
        magnitude = codes & codes.dtype.type(fmt.magnitude_mask)
        classes[:] = _CLASSES.index("normal")
        classes[magnitude < fmt.min_normal_code] = _CLASSES.index("subnormal")
        if fmt.infinity_code is not None:
            classes[magnitude == fmt.infinity_code] = _CLASSES.index("infinity")
    classes[_is_zero(codes, fmt)] = _CLASSES.index("zero")
    classes += len(_UNSIGNED_CLASSES) * negative
    classes[_is_nan(codes, fmt)] = _CLASSES.index("NaN")
    return classes


def _cells(code: int, fmt: Format) -> list[str]:
    """A code in hex, its bits by field, its value."""
    bits, fields = f"{code:0{fmt.bits}b}", []
    for _, width in _fields(fmt):
        fields.append(bits[:width])
        bits = bits[width:]
    return [f"{code:#0{2 + -(-fmt.bits // 4)}x}", "|".join(fields), _value(code, fmt)]


def _fields(fmt: Format) -> list[tuple[str, int]]:
    """The fields of a code from its top bit, with their widths; none is empty."""
    if isinstance(fmt, TableFormat):
        return [("index", fmt.bits)]
    if isinstance(fmt, FloatFormat):
        fields = [("sign", int(fmt.signed)), ("exponent", fmt.exponent_bits), ("trailing", fmt.trailing_bits)]
    else:
        magnitude = fmt.bits - fmt.signed
        fraction = fmt.fraction_bits if 0 < fmt.fraction_bits <= magnitude else 0
        fields = [("sign", int(fmt.signed)), ("integer", magnitude - fraction), ("fraction", fraction)]
    return [(name, width) for name, width in fields if width]


def _value(code: int, fmt: Format) -> str:
    if (
        isinstance(fmt, IntFormat)
        and fmt.fraction_bits == 0
        and not (fmt.has("negative_zero") and code == fmt.sign_mask)
    ):
        return str(fmt.scaled(code)[0])
    try:
        return str(fmt.value(code))
    except OverflowError:
        return dyadic_text(*fmt.scaled(code))


def _index(position: int, shape: tuple[int, ...]) -> str:
    """Where an element stands, as it is written in Python: [1, 2], or () in an array of no dimensions."""
    return str([int(i) for i in np.unravel_index(position, shape)]) if shape else "()"

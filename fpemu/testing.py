"""Assertions for tests of number formats: equal codes and flags, or values within steps or ulps of a format.

A failure is an AssertionError whose message counts the differences by class, names the likely cause if one rule
explains all, and shows the first and the largest of them, with their bit fields and values.  Works without hypothesis;
its strategies are in `fpemu.strategies`, pytest's reports in `fpemu.pytest_plugin`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex

import numpy as np

from fpemu.arithmetic.flags import flag_names
from fpemu.casting import as_source, carries_codes
from fpemu.formats import TableFormat, dtype
from fpemu.formats.facts.codes import nan_mask, zero_mask
from fpemu.formats.facts.text import number_text
from fpemu.formats.lookup import check_word, checked_int
from fpemu.verification import Claim
from fpemu.verification.diagnosis import cause_by_class, cause_by_rule
from fpemu.verification.differences import (
    codes_in,
    codes_of_values,
    common_shape,
    distances,
    exact_numbers,
    flag_bits,
    mask_of,
    ulp_error,
)
from fpemu.verification.failures import code_failure, flag_failure, ulp_failure

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from fpemu.formats import Format, Profile
    from fpemu.formats.rules import Rounding

    Codes = NDArray[np.unsignedinteger[Any]]

__all__ = ["Claim", "assert_max_ulp", "assert_same_codes", "assert_same_flags", "assert_within_ulps"]


def assert_same_codes(
    actual: ArrayLike,
    expected: ArrayLike,
    fmt: str | Format,
    nan: Literal["class", "exact"] = "class",
    zero: Literal["signed", "any"] = "signed",
    operation: str | Claim | None = None,
    operands: Sequence[ArrayLike] | None = None,
    rounding: str | Rounding | None = None,
    profile: str | Profile | None = None,
) -> None:
    """Raise an AssertionError unless two arrays contain the same codes of a format.

    Parameters
    ----------
    actual, expected : array_like
        Codes of `fmt`: unsigned integers (or a list of Python ints), an `fpemu.Array` of that format, or an array
        whose dtype is that format (numpy's or ml_dtypes'), read by its bits.  Both of one shape.
    fmt : str or Format
        The codes' format.
    nan : {"class", "exact"}
        Whether any NaN equals any other, or only the same code.
    zero : {"signed", "any"}
        Whether +0 and -0 differ, or all codes of zero are equal.
    operation : str or Claim, optional
        The operation with the results `expected`: its name ("add", "cast"), or a whole claim.  With `operands`, a
        failure names the rule (rounding, overflow, ...) that explains all differences, if there is one.
    operands : sequence of array_like, optional
        The operation's operands: values as floats, Arrays, or codes of `fmt` as unsigned integers; broadcast to the
        codes' shape.
    rounding : str or Rounding, optional
        The rounding of `expected`; default: the profile's.
    profile : str or Profile, optional
        The rules of `expected`; default: the format's own.

    Raises
    ------
    AssertionError
        If a code differs; the message shows how many, the first and the worst, with bits and values.
    TypeError
        If an array contains no codes of `fmt` (encode values first).
    ValueError
        If the shapes differ, a code is out of range, an `fpemu.Array` is of another format, an option is unknown, or
        only one of `operation` and `operands` is not None.

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
      likely cause: the one difference: the largest value instead of NaN; looks like saturation
    all of them
      index            code  sign|exponent|trailing  value  ulp
      [1]    actual    0x7E  0|1111|110              448    -
             expected  0x7F  0|1111|111              NaN
    """
    __tracebackhide__ = True
    fmt = dtype(fmt)
    check_word(nan, ("class", "exact"), "nan")
    check_word(zero, ("signed", "any"), "zero")
    got, want = codes_in(actual, fmt, "actual"), codes_in(expected, fmt, "expected")
    shape = common_shape(got, want)
    claimed = _claim_and_operands(operation, operands, fmt, rounding, profile, shape)
    got, want = got.ravel(), want.ravel()

    def differ(a: Codes, b: Codes) -> NDArray[np.bool_]:
        differs: NDArray[np.bool_] = a != b
        if nan == "class" and differs.any():
            differs &= ~(nan_mask(a, fmt) & nan_mask(b, fmt))
        if zero == "any" and differs.any():
            differs &= ~(zero_mask(a, fmt) & zero_mask(b, fmt))
        return differs

    differs = differ(got, want)
    if differs.any():
        cause = cause_by_rule(got, want, *claimed, differ) if claimed else None
        cause = cause or cause_by_class(got[differs], want[differs], fmt)
        raise code_failure(got, want, differs, shape, fmt, f"codes of {fmt} differ", cause).error


def assert_max_ulp(actual: ArrayLike, desired: ArrayLike, fmt: str | Format, maxulp: SupportsIndex = 1) -> None:
    """Raise an AssertionError unless two arrays of a format's values are at most `maxulp` steps apart.

    A step leads from one value of the format to the next: across binades, into the subnormals, through zero (+0 and -0
    are one value) and from the largest value to infinity.  All NaNs are equal, and differ from everything else for any
    `maxulp`.

    Parameters
    ----------
    actual, desired : array_like
        Values of `fmt`, of any dtype, or `fpemu.Array` objects of that format.  Elements of a plain array are values,
        as in `numpy.testing.assert_array_max_ulp`; ``fe.Array.from_codes`` makes an `fpemu.Array` of codes.  Both of
        one shape.
    fmt : str or Format
        The values' format.
    maxulp : int
        The largest distance allowed, 0 or more.

    Raises
    ------
    AssertionError
        If two values are further apart; the message shows how many, the first and the worst, with bits and values.
    TypeError
        If `maxulp` is not an int, or an array contains no numbers.
    ValueError
        If the shapes differ, `maxulp` is negative, or a number is not a value of `fmt` (cast it first).

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
    allowed = checked_int(maxulp, "maxulp")
    got, want = codes_of_values(actual, fmt, "actual"), codes_of_values(desired, fmt, "desired")
    shape = common_shape(got, want)
    got, want = got.ravel(), want.ravel()
    apart, distance = distances(got, want, fmt)
    differs = apart | (distance > min(allowed, 2**64 - 1))
    if differs.any():
        predicate = f"values of {fmt} are more than {allowed} ulp apart"
        raise code_failure(got, want, differs, shape, fmt, predicate).error


def assert_within_ulps(actual: ArrayLike, desired: ArrayLike, ulps: float | Fraction, fmt: str | Format) -> None:
    """Raise an AssertionError unless each value of a format is within `ulps` ulps of the exact result.

    The error is abs(actual - desired) / ulp(desired), a rational number, compared exactly.  ulp(x) is the spacing of
    the values at x: 2^(e - p + 1) for 2^e <= abs(x) < 2^(e + 1), with e at least emin and at most the exponent of the
    largest value.  A correctly rounded result is within 0.5 ulps; the error of a directed rounding is below 1 ulp.  In
    contrast, `assert_max_ulp` counts steps between two values of the format.

    An infinite result counts as the value that would follow the largest, as in rounding.  A desired NaN accepts any NaN
    and nothing else; a desired infinity accepts only itself.  +0 equals -0.

    Parameters
    ----------
    actual : array_like
        Values of `fmt`, of any dtype, or an `fpemu.Array` of that format.
    desired : array_like
        The exact results, of the same shape: an array of any dtype, an `fpemu.Array` of any format, or
        `fractions.Fraction` and int objects.
    ulps : float or Fraction
        The largest error allowed, 0 or more.
    fmt : str or Format
        The format of `actual`: floating-point, integer or fixed-point.

    Raises
    ------
    AssertionError
        If an error is larger; the message shows how many, the first and the worst, in ulps.
    TypeError
        If `ulps` is not a number, or an array contains no numbers.
    ValueError
        If the shapes differ, `ulps` is negative or not finite, a number of `actual` is not a value of `fmt`, or `fmt`
        is a codebook.

    Notes
    -----
    Goldberg's definition of the ulp, for real numbers: J.-M. Muller et al., Handbook of Floating-Point Arithmetic, 2nd
    edition, section 2.3.2.

    Examples
    --------
    >>> from fractions import Fraction
    >>> import fpemu as fe
    >>> from fpemu.testing import assert_within_ulps
    >>> x = fe.divide([1.0, 2.0], 3.0, result="bfloat16")
    >>> assert_within_ulps(x, [Fraction(1, 3), Fraction(2, 3)], 0.5, "bfloat16")
    >>> assert_within_ulps(fe.cast(0.1, "e4m3fn", rounding="RTZ"), 0.1, 0.5, "e4m3fn")
    Traceback (most recent call last):
    ...
    AssertionError: 1 of 1 values of float8_e4m3fn are more than 0.5 ulps off (100%)
      largest error: 0.8 ulps at ()
    all of them
      index  actual   exact                          error in ulps
      ()     0.09375  0.10000000000000000555…        0.8
    """
    __tracebackhide__ = True
    fmt = dtype(fmt)
    if isinstance(fmt, TableFormat):
        raise ValueError(f"{fmt} is a codebook, whose values have no ulp: use assert_max_ulp, which counts steps")
    allowed = _exact_bound(ulps)
    got = codes_of_values(actual, fmt, "actual")
    exact, shape = exact_numbers(desired), got.shape
    if exact.shape != shape:
        raise ValueError(f"the shapes differ: {shape} and {exact.shape}")
    got, exact = got.ravel(), exact.ravel()
    errors = [ulp_error(fmt, int(code), number) for code, number in zip(got, exact, strict=True)]
    wrong = [i for i, error in enumerate(errors) if error is None or error > allowed]
    if wrong:
        predicate = f"values of {fmt} are more than {number_text(allowed)} ulps off"
        raise ulp_failure(fmt, got, exact, errors, wrong, shape, predicate).error


def assert_same_flags(
    actual: Any,
    expected: Any,
    operands: Sequence[ArrayLike] | None = None,
    fmt: str | Format | None = None,
    ignore: str | Iterable[str] = (),
) -> None:
    """Raise an AssertionError unless two operations raised the same flags, element by element.

    Parameters
    ----------
    actual, expected : Flags, array_like of unsigned int, or dict
        `fpemu.Flags`; bits in Berkeley TestFloat's numbering (1 inexact, 2 underflow, 4 overflow, 8 divide by zero,
        16 invalid); or a dict of bool arrays by the flags' names.  Only flags in both arguments are compared.
    operands : sequence of array_like, optional
        The operation's operands, for the message: Arrays, floats, or (with `fmt`) codes.  Broadcast to the flags'
        shape.
    fmt : str or Format, optional
        The format of unsigned integers among `operands`, which are codes.
    ignore : str or iterable of str
        Flags that are not compared.

    Raises
    ------
    AssertionError
        If a flag differs; the message counts by flag, names the likely cause if one rule explains all, and shows the
        first elements.
    TypeError
        If `actual` or `expected` contains no flags.
    ValueError
        If the shapes differ, a flag is unknown, no flag is left to compare, or a bit is beyond the five.

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.testing import assert_same_flags
    >>> x = [1.0, 1.0, 3.0]
    >>> _, flags = fe.divide(x, [2.0, 3.0, 0.0], result="float16", return_flags=True)
    >>> assert_same_flags(flags, [0, 1, 8])
    >>> assert_same_flags({"inexact": [True, True, False]}, flags, operands=[x, [2.0, 3.0, 0.0]])
    Traceback (most recent call last):
    ...
    AssertionError: 1 of 3 elements raised other flags (33.3%)
      inexact: 1 raised needlessly, 0 not raised
      likely cause: the one difference: inexact raised needlessly
    all of them
      index  operands  actual   expected
      [0]    1, 2      inexact  none
    """
    __tracebackhide__ = True
    got, actual_mask = flag_bits(actual, "actual")
    want, expected_mask = flag_bits(expected, "expected")
    shape = common_shape(got, want)
    ignored = mask_of((ignore,) if isinstance(ignore, str) else ignore, "ignore")
    compared = np.uint8(actual_mask & expected_mask & ~ignored)
    if not compared:
        in_actual, in_expected = ("|".join(flag_names(mask)) for mask in (actual_mask, expected_mask))
        raise ValueError(
            f"no flag is left to compare: actual has {in_actual}, expected has {in_expected}, ignore={ignore!r}"
        )
    got, want = got.ravel() & compared, want.ravel() & compared
    sources = [as_source(x, _code_format(x, fmt)) for x in operands or ()]
    for number, source in enumerate(sources):
        if np.broadcast_shapes(shape, source.codes.shape) != shape:
            raise ValueError(f"operands[{number}] is of shape {source.codes.shape}, the flags are of {shape}")
    shown = [(np.broadcast_to(source.codes, shape).ravel(), source.format) for source in sources]
    if (got != want).any():
        raise flag_failure(got, want, shape, shown).error


def _exact_bound(ulps: Any) -> Fraction:
    """The largest error allowed, as a Fraction."""
    if isinstance(ulps, bool) or not isinstance(ulps, int | float | Fraction | np.integer | np.floating):
        raise TypeError(f"ulps must be a number, not {type(ulps).__name__}")
    if not 0 <= ulps < math.inf:
        raise ValueError(f"ulps must be 0 or more and finite, not {ulps}")
    return Fraction(int(ulps)) if isinstance(ulps, np.integer) else Fraction(ulps)  # type: ignore[arg-type]


def _code_format(x: Any, fmt: Any) -> Any:
    """`fmt` if an operand is an array of unsigned integers, which are codes; None for other operands."""
    is_codes = fmt is not None and not carries_codes(x) and np.asarray(x).dtype.kind == "u"
    return fmt if is_codes else None


def _claim_and_operands(
    operation: str | Claim | None,
    operands: Sequence[ArrayLike] | None,
    fmt: Format,
    rounding: str | Rounding | None,
    profile: str | Profile | None,
    shape: tuple[int, ...],
) -> tuple[Claim, list[NDArray[Any]]] | None:
    """The claim about the operation and its operands' codes, or None without them."""
    if (operation is None) != (operands is None):
        raise ValueError("operation and operands are needed together, or neither")
    if operation is None or operands is None:
        return None
    formats: Sequence[Format] = [fmt] * len(operands)
    if isinstance(operation, Claim):
        formats = operation.operands
        if len(formats) != len(operands):
            raise ValueError(f"{operation.operation} takes {len(formats)} operands, not {len(operands)}")
    sources = [as_source(x, _code_format(x, each)) for x, each in zip(operands, formats, strict=True)]
    codes = [np.broadcast_to(source.codes, shape).ravel() for source in sources]
    if isinstance(operation, Claim):
        return operation, codes
    own = tuple(source.format for source in sources)
    rules: dict[str, Any] = {"rounding": rounding, "profile": profile}
    if operation in ("cast", "encode"):
        return Claim.of(operation, fmt, source=own[0], **rules), codes
    return Claim.of(operation, fmt, operands=own, **rules), codes

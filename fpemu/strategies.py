"""Hypothesis strategies: formats, their codes and values, sources that are hard to round, and arrays.

They shrink to the simplest example (the smallest format, code 0, the value 0.0) and prefer cases where casts often
fail: zeros, subnormals and the smallest normal, binade boundaries, the largest value, infinities, NaN, ties between
neighbours.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np

from fpemu.arrays import Array
from fpemu.formats import FloatFormat, IntFormat, TableFormat, dtype, dtypes
from fpemu.formats.facts.exactness import nearest_float, quantum
from fpemu.formats.lookup import brief
from fpemu.inspection.operations import find_operation
from fpemu.verification.hard_cases import SOLVED, finite_value, halfway, nearest_code, refuse_codebook, short_number

try:
    from hypothesis import strategies as st
    from hypothesis.extra.numpy import arrays as numpy_arrays
except ImportError as error:
    raise ImportError(
        "fpemu.strategies needs hypothesis: pip install hypothesis, or pip install 'fpemu[test]'"
    ) from error

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

    from fpemu.formats import Format

__all__ = ["arrays", "codes", "formats", "hard_cases", "sources", "values"]

FormatKind = Literal["float", "int", "table"]


def formats(
    kinds: FormatKind | Iterable[FormatKind] = ("float", "int", "table"), min_bits: int = 1, max_bits: int = 16
) -> SearchStrategy[Format]:
    """Formats with any consistent parameters, including the registered ones.

    Shrinks to a registered format of few bits, otherwise to the fewest bits and the simplest parameters.

    Parameters
    ----------
    kinds : {"float", "int", "table"} or iterable of these
        The kinds of format; "int" includes fixed point.
    min_bits, max_bits : int
        Widths of a code.  Floats have 2 to 64 bits, integers 1 to 64, codebooks 1 to 6.

    Returns
    -------
    hypothesis.strategies.SearchStrategy of Format

    Raises
    ------
    ValueError
        If a kind is unknown, or no format has a width in this range.

    Examples
    --------
    >>> from hypothesis import given
    >>> from fpemu import strategies as fst
    >>> @given(fst.formats("float", max_bits=8))
    ... def test_widths(fmt):
    ...     assert 2 <= fmt.bits <= 8
    >>> test_widths()
    """
    chosen: tuple[str, ...] = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    branches: list[SearchStrategy[Format]] = []
    for kind in chosen:
        if kind not in get_args(FormatKind):
            raise ValueError(f"unknown kind {brief(kind)}: allowed are {', '.join(get_args(FormatKind))}")
        lowest, highest, make = _MAKERS[kind]
        low, high = max(min_bits, lowest), min(max_bits, highest)
        if low <= high:
            branches.append(st.integers(low, high).flatmap(make))
    registered = [fmt for fmt in dtypes() if fmt.kind in chosen and min_bits <= fmt.bits <= max_bits]
    if registered:
        branches.append(st.sampled_from(sorted(registered, key=lambda fmt: fmt.bits)))
    if not branches:
        raise ValueError(f"no format of kind {' or '.join(chosen)} has {min_bits} to {max_bits} bits")
    return st.one_of(branches)


def codes(fmt: str | Format) -> SearchStrategy[int]:
    """Codes of a format, as Python ints; every code is possible, and about half are corner cases.

    Shrinks to code 0.

    Parameters
    ----------
    fmt : str or Format

    Returns
    -------
    hypothesis.strategies.SearchStrategy of int

    Raises
    ------
    ValueError
        If the format is unknown.
    TypeError
        If `fmt` is not a format.

    Examples
    --------
    >>> import fpemu as fe
    >>> from hypothesis import find
    >>> from fpemu import strategies as fst
    >>> find(fst.codes("float8_e4m3fn"), lambda code: fe.dtype("float8_e4m3fn").value(code) > 400)
    125
    """
    fmt = dtype(fmt)
    return st.one_of(st.integers(0, fmt.code_count - 1), st.sampled_from(_corners(fmt)))


def values(fmt: str | Format) -> SearchStrategy[float]:
    """Values of a format, as Python floats, including NaN, infinities and -0.0 if the format has them.

    For formats beyond float64, only values that are float64 numbers.  Shrinks to the lowest code's value.

    Parameters
    ----------
    fmt : str or Format

    Returns
    -------
    hypothesis.strategies.SearchStrategy of float

    Raises
    ------
    ValueError
        If the format is unknown.
    TypeError
        If `fmt` is not a format.

    Examples
    --------
    >>> from hypothesis import find
    >>> from fpemu import strategies as fst
    >>> find(fst.values("int4"), lambda value: value < 0)
    -8.0
    """
    fmt = dtype(fmt)
    drawn = codes(fmt).map(lambda code: _float64(code, fmt)).filter(lambda value: value is not None)
    return cast("SearchStrategy[float]", drawn)


def sources(fmt: str | Format, width: Literal[16, 32, 64] = 64) -> SearchStrategy[float]:
    """Floats that are hard to cast to a format: its values, ties between neighbours, and the floats next to both.

    Numbers beyond the largest value, whose overflow depends on the rounding, and all other floats, infinities and NaN
    are possible too.  Shrinks to 0.0.

    Parameters
    ----------
    fmt : str or Format
        The format to cast to.
    width : {16, 32, 64}
        The floats are values of float16, float32 or float64; "next to" means one step of this type.

    Returns
    -------
    hypothesis.strategies.SearchStrategy of float

    Raises
    ------
    ValueError
        If the format or the width is unknown.
    TypeError
        If `fmt` is not a format.

    Examples
    --------
    >>> import fpemu as fe
    >>> from hypothesis import given, settings
    >>> from fpemu import strategies as fst
    >>> @settings(deadline=None)  # a process's first cast loads its kernels
    ... @given(fst.sources("bfloat16", width=32))
    ... def test_cast_twice(x):
    ...     once = fe.cast(x, "bfloat16")
    ...     assert fe.cast(once, "bfloat16") == once or x != x
    >>> test_cast_twice()
    """
    fmt = dtype(fmt)
    if width not in (16, 32, 64):
        raise ValueError(f"width must be 16, 32 or 64, not {brief(width)}")
    kind = np.dtype(f"f{width // 8}").type

    def near(code: int, tie: bool, steps: int, negate: bool) -> float:
        with np.errstate(all="ignore"):  # numbers beyond the width's range become infinite, as they should
            x = kind(_tie(code, fmt) if tie else _nearest(code, fmt))
            x = np.nextafter(x, kind(math.inf * steps)) if steps else x
            return float(-x if negate else x)

    hard = st.builds(near, codes(fmt), st.booleans(), st.sampled_from([0, 1, -1]), st.booleans())
    return st.one_of(st.floats(width=width), hard)


def arrays(fmt: str | Format, shape: int | tuple[int, ...] | SearchStrategy[Any]) -> SearchStrategy[Array]:
    """`fpemu.Array` objects of a format.

    Shrinks to code 0 everywhere, and to the smallest shape if `shape` is a strategy.

    Parameters
    ----------
    fmt : str or Format
    shape : int, tuple of int, or strategy of these
        As in `hypothesis.extra.numpy.arrays`.

    Returns
    -------
    hypothesis.strategies.SearchStrategy of Array

    Raises
    ------
    ValueError
        If the format is unknown.
    TypeError
        If `fmt` is not a format.

    Examples
    --------
    >>> from hypothesis import given
    >>> from fpemu import strategies as fst
    >>> @given(fst.arrays("float4_e2m1fn", (2, 3)))
    ... def test_codes(a):
    ...     assert a.codes.max() < 16
    >>> test_codes()
    """
    fmt = dtype(fmt)
    return numpy_arrays(np.dtype(fmt.code_dtype), shape, elements=codes(fmt)).map(lambda a: Array.from_codes(a, fmt))


def hard_cases(operation: str, fmt: str | Format, source: str | Format = "float32") -> SearchStrategy[tuple[int, ...]]:
    """Operands that are hard for an operation, as codes: ties, cancellation, thresholds, subnormal results.

    Operands are constructed: choose a result (a tie between neighbours, the overflow threshold, a subnormal, zero),
    solve for an operand exactly in rationals, and draw one of the nearest codes.  Sums also have operands that nearly
    cancel, or whose exponents differ by about the precision; products have factors of few digits and exact ties;
    comparisons have neighbouring operands.  All other codes are possible too: zeros, infinities, NaN.

    Shrinks to code 0 in every operand.

    Parameters
    ----------
    operation : str
        A name, alias or symbol of the catalogue ("add", "fma", "*"), or "cast".
    fmt : str or Format
        The format of the operands and the result; for a cast, of the result.
    source : str or Format
        The format of a cast's operand.

    Returns
    -------
    hypothesis.strategies.SearchStrategy of tuple of int

    Raises
    ------
    ValueError
        If the operation or a format is unknown, or a codebook.
    TypeError
        If `fmt` or `source` is not a format.

    Notes
    -----
    In one format, a quotient or a square root in the normal range is never a tie; the solution's neighbours are the
    nearest misses.

    Examples
    --------
    >>> import numpy as np
    >>> import fpemu as fe
    >>> from hypothesis import given, settings
    >>> from fpemu import strategies as fst
    >>> @settings(deadline=None)
    ... @given(fst.hard_cases("add", "float16"))
    ... def test_commutes(operands):
    ...     x, y = (fe.Array.from_codes(np.uint16([code]), "float16") for code in operands)
    ...     assert ((x + y).codes == (y + x).codes).all() or fe.is_nan(x + y).all()
    >>> test_commutes()
    """
    fmt = refuse_codebook(dtype(fmt))
    if operation in ("cast", "encode"):
        wide = refuse_codebook(dtype(source))
        return st.one_of(st.tuples(codes(wide)), st.tuples(_codes_near(_hard_results(fmt), wide)))
    entry = find_operation(operation)
    branches: list[SearchStrategy[tuple[int, ...]]] = [st.tuples(*[codes(fmt)] * entry.operands)]
    if entry.name in SOLVED:
        branches.append(_solved_operands(entry.name, entry.operands, fmt))
    if entry.name in ("multiply", "fma", "divide", "sqrt"):
        branches.append(_short_products(entry.name, fmt))
    if entry.operands == 2:
        branches.append(_neighbours(fmt))
    if entry.name in ("add", "subtract"):
        branches.append(_far_apart(fmt))
    return st.one_of(branches)


_NEARBY_STEPS = st.sampled_from([0, 1, -1, 2, -2])  # codes from the solution


def _nonzero_codes(fmt: FloatFormat | IntFormat) -> SearchStrategy[int]:
    """Codes of finite nonzero numbers, uniformly; a third are corner cases."""
    corners = [code for code in _corners(fmt) if finite_value(code, fmt)]
    uniform = st.integers(1, fmt.code_count - 1).filter(lambda code: bool(finite_value(code, fmt)))
    return st.one_of(uniform, uniform, st.sampled_from(corners)) if corners else codes(fmt)


def _hard_results(fmt: FloatFormat | IntFormat) -> SearchStrategy[Fraction | None]:
    """Results that are hard to round: ties, the overflow threshold, values, zero."""
    numbers = _nonzero_codes(fmt)
    largest = fmt.max_code if isinstance(fmt, FloatFormat) else fmt.max_int
    signs = [1, -1] if fmt.signed else [1]
    threshold = st.sampled_from(signs).map(lambda sign: sign * (halfway(largest, fmt) or Fraction(0)))
    exact = numbers.map(lambda code: finite_value(code, fmt))
    ties = numbers.map(lambda code: halfway(code, fmt))
    return st.one_of(st.just(Fraction(0)), exact, ties, ties, threshold)


def _codes_near(numbers: SearchStrategy[Fraction | None], fmt: FloatFormat | IntFormat) -> SearchStrategy[int]:
    """Codes with values near the numbers."""

    def code(number: Fraction | None, steps: int) -> int:
        return nearest_code(Fraction(0) if number is None else number, fmt, steps)

    return st.builds(code, numbers, _NEARBY_STEPS)


@st.composite
def _solved_operands(draw: DrawFn, name: str, count: int, fmt: FloatFormat | IntFormat) -> tuple[int, ...]:
    index, solve = SOLVED[name]
    others = [draw(_nonzero_codes(fmt)) for _ in range(count - 1)]
    numbers = [finite_value(code, fmt) for code in others]
    result = draw(_hard_results(fmt))
    known = [number for number in (result, *numbers) if number is not None]
    solution = solve(*known) if len(known) == count else None
    solved = draw(codes(fmt)) if solution is None else nearest_code(solution, fmt, draw(_NEARBY_STEPS))
    return (*others[:index], solved, *others[index:])


@st.composite
def _short_products(draw: DrawFn, name: str, fmt: FloatFormat | IntFormat) -> tuple[int, ...]:
    """Factors whose product has one digit more than the format, a tie; or the operands of the inverse operation."""
    digits = fmt.precision if isinstance(fmt, FloatFormat) else fmt.bits - fmt.signed
    x_digits = draw(st.integers(1, digits))
    y_digits = max(digits + 1 - x_digits, 1)
    x_odd, y_odd = (draw(st.integers(1 << (n - 1), (1 << n) - 1)) | 1 for n in (x_digits, y_digits))
    result, near = (finite_value(draw(_nonzero_codes(fmt)), fmt) or Fraction(1) for _ in range(2))
    x = short_number(x_odd, near)
    y = short_number(y_odd, result / x)
    addend = draw(_addends(x * y, fmt))
    operands = {"multiply": (x, y), "fma": (x, y, addend), "divide": (x * y, y), "sqrt": (x * x,)}
    return tuple(nearest_code(number, fmt) for number in operands[name])


def _addends(product: Fraction, fmt: FloatFormat | IntFormat) -> SearchStrategy[Fraction]:
    """Addends for a product: zero, its negation, neighbours of that, and half a quantum."""
    step = quantum(abs(product), fmt)
    return st.sampled_from([Fraction(0), -product, -product + step, -product - step, step / 2, -step / 2])


def _neighbours(fmt: FloatFormat | IntFormat) -> SearchStrategy[tuple[int, ...]]:
    """Two operands of equal or nearly equal magnitude: they cancel, or compare closely."""

    def pair(code: int, steps: int, opposite: bool) -> tuple[int, int]:
        x = finite_value(code, fmt)
        return (code, code) if x is None else (code, nearest_code(-x if opposite else x, fmt, steps))

    return st.builds(pair, _nonzero_codes(fmt), _NEARBY_STEPS, st.booleans())


def _far_apart(fmt: FloatFormat | IntFormat) -> SearchStrategy[tuple[int, ...]]:
    """Two operands, one a number of sixteenths of the other's quantum: sums at ties and near them, p digits apart."""

    def pair(code: int, sixteenths: int, swap: bool) -> tuple[int, int]:
        x = finite_value(code, fmt) or Fraction(0)
        small = nearest_code(quantum(abs(x), fmt) * sixteenths / 16, fmt)
        return (small, code) if swap else (code, small)

    sixteenths = st.sampled_from([8, -8, 7, -7, 9, -9, 24, -24, 4, 2, 1, -1, 16, 32])
    return st.builds(pair, _nonzero_codes(fmt), sixteenths, st.booleans())


@functools.cache
def _float_flags(bits: int, precision: int, signed: bool) -> list[dict[str, Any]]:
    """The consistent choices of NaN, infinities, zero and subnormals for these widths; the simplest first."""
    consistent = []
    names = ("nan", "infinities", "zero", "subnormals")
    for choice in itertools.product(
        ("none", "negative_zero", "all_ones", "ieee"), (False, True), (True, False), (True, False)
    ):
        flags: dict[str, Any] = dict(zip(names, choice, strict=True))
        try:
            FloatFormat("tried", bits, precision, signed=signed, **flags)
        except ValueError:
            continue
        consistent.append(flags)
    return consistent


@st.composite
def _float_formats(draw: DrawFn, bits: int) -> Format:
    signed = draw(st.sampled_from([True, False]))
    widest = bits - signed
    precision = draw(st.integers(max(1, widest - 23), widest).filter(lambda p: _float_flags(bits, p, signed)))
    flags = draw(st.sampled_from(_float_flags(bits, precision, signed)))
    standard = (1 << (widest - precision)) - 1
    bias = standard + draw(st.integers(-40, 40))
    return FloatFormat(f"any_float{bits}", bits, precision, bias, signed, **flags)


@st.composite
def _int_formats(draw: DrawFn, bits: int) -> Format:
    makes: list[dict[str, Any]] = [{"signed": True}, {"signed": False}]
    if bits > 1:
        makes += [{"symmetric": True}, {"encoding": "sign_magnitude"}]
    fraction_bits = draw(st.integers(-bits, 2 * bits))
    return IntFormat(f"any_int{bits}", bits, fraction_bits=fraction_bits, **draw(st.sampled_from(makes)))


@st.composite
def _table_formats(draw: DrawFn, bits: int) -> Format:
    finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
    entries = draw(st.lists(finite, min_size=max(2, (1 << (bits - 1)) + 1), max_size=1 << bits))
    return TableFormat(f"any_table{bits}", entries)


_MAKERS: dict[str, tuple[int, int, Callable[[int], SearchStrategy[Format]]]] = {
    "float": (2, 64, _float_formats),
    "int": (1, 64, _int_formats),
    "table": (1, 6, _table_formats),
}


def _corners(fmt: Format) -> list[int]:
    """Codes of corner cases, the simplest first, without repetition."""
    if isinstance(fmt, TableFormat):
        by_value = sorted(range(fmt.code_count), key=lambda code: fmt.entries[code])
        gaps = [fmt.entries[b] - fmt.entries[a] for a, b in itertools.pairwise(by_value)]
        closest = gaps.index(min(gaps))
        near_zero = sorted(by_value, key=lambda code: abs(fmt.entries[code]))[:3]
        corners = [*near_zero, by_value[0], by_value[-1], *by_value[closest : closest + 2], fmt.code_count - 1]
    elif isinstance(fmt, FloatFormat):
        normal, one = fmt.min_normal_code, fmt.bias << fmt.trailing_bits
        edges = [0, fmt.min_code, normal, one, fmt.max_code, *(fmt.nan_codes[:1]), *(fmt.nan_codes[-1:])]
        magnitudes = [edge + step for edge in edges for step in (0, -1, 1)]
        corners = [sign | m for sign in (0, fmt.sign_mask) for m in magnitudes if 0 <= m <= fmt.magnitude_mask]
        corners += [fmt.nan_code] if fmt.nan_code is not None else []
    else:
        top, sign = (1 << fmt.bits) - 1, fmt.sign_mask
        corners = [0, 1, fmt.max_int, fmt.max_int - 1, top, top - 1, sign, sign + 1]
    return sorted({code for code in corners if 0 <= code < fmt.code_count})


def _float64(code: int, fmt: Format) -> float | None:
    """The code's value; if that is beyond float64, a related value of the format that is not, or None."""
    try:
        return fmt.value(code)
    except OverflowError:
        significand, exponent = fmt.scaled(code)
    unit = 1 << max(0, abs(significand).bit_length() - 53)
    significand -= int(math.copysign(abs(significand) % unit, significand))
    if isinstance(fmt, FloatFormat):
        binade = exponent + abs(significand).bit_length() - 1
        lowest, highest = max(fmt.emin, -1022), min((fmt.max_code >> fmt.trailing_bits) - fmt.bias - 1, 1023)
        if lowest > highest:
            return None
        if not lowest <= binade <= highest:  # the same significand in another binade
            exponent += lowest + binade % (highest - lowest + 1) - binade
    value = nearest_float(significand, exponent)
    return value if value and math.isfinite(value) else None


def _nearest(code: int, fmt: Format) -> float:
    """The float64 nearest to the code's value."""
    try:
        return fmt.value(code)
    except OverflowError:
        return nearest_float(*fmt.scaled(code))


def _tie(code: int, fmt: Format) -> float:
    """The midpoint between the code's value and the next one away from zero (in a codebook: the next greater one)."""
    value = _nearest(code, fmt)
    if not math.isfinite(value):
        return value
    if isinstance(fmt, TableFormat):
        return value / 2 + min((entry for entry in fmt.entries if entry > value), default=value) / 2
    significand, exponent = fmt.scaled(code)
    if significand == 0:
        smallest, exponent = fmt.scaled(1)
        return nearest_float(smallest, exponent - 1)
    return nearest_float(2 * significand + (1 if significand > 0 else -1), exponent - 1)

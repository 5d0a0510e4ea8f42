"""Hypothesis strategies: formats, their codes and values, sources that are hard to round, and arrays.

They shrink to the simplest (the smallest format, code 0, the value 0.0) and lean to where casts go wrong: zeros,
subnormals and the smallest normal, binade boundaries, the largest value, infinities, NaN, ties between neighbours.
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
from fpemu.formats.facts.exactness import quantum
from fpemu.formats.lookup import brief
from fpemu.inspection.operations import find_operation
from fpemu.verification.hard_cases import SOLVED, finite, halfway, nearest_code, short, without_codebooks

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

Kind = Literal["float", "int", "table"]


def formats(
    kinds: Kind | Iterable[Kind] = ("float", "int", "table"), min_bits: int = 1, max_bits: int = 16
) -> SearchStrategy[Format]:
    """Formats of every consistent make, among them the registered ones.

    Shrinks to a registered format of few bits, or else to the fewest bits and the plainest make.

    Parameters
    ----------
    kinds : {"float", "int", "table"} or iterable of these
        Which kinds of format; "int" has fixed point too.
    min_bits, max_bits : int
        Widths of a code.  Floats are made from 2 to 64 bits, integers from 1 to 64, codebooks from 1 to 6.

    Returns
    -------
    hypothesis.strategies.SearchStrategy of Format

    Raises
    ------
    ValueError
        If a kind is unknown, or no format has such a width.

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
        if kind not in get_args(Kind):
            raise ValueError(f"unknown kind {brief(kind)}: allowed are {', '.join(get_args(Kind))}")
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
    """Codes of a format, as Python ints; every code can come, and about half are corners.

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
        If `fmt` means no format.

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
    """Values of a format, as Python floats: NaN, infinities and -0.0 too where it has them.

    Of a format beyond float64 come those values that float64 can hold.  Shrinks to the lowest code's value.

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
        If `fmt` means no format.

    Examples
    --------
    >>> from hypothesis import find
    >>> from fpemu import strategies as fst
    >>> find(fst.values("int4"), lambda value: value < 0)
    -8.0
    """
    fmt = dtype(fmt)
    found = codes(fmt).map(lambda code: _float64(code, fmt)).filter(lambda value: value is not None)
    return cast("SearchStrategy[float]", found)


def sources(fmt: str | Format, width: Literal[16, 32, 64] = 64) -> SearchStrategy[float]:
    """Floats that are hard to cast to a format: its values, ties between neighbours, and the floats next to both.

    Beyond the largest value too, where rounding decides about overflow; and any other float, infinities and NaN.
    Shrinks to 0.0.

    Parameters
    ----------
    fmt : str or Format
        The format to cast to.
    width : {16, 32, 64}
        The floats are values of float16, float32 or float64, and "next to" counts in its steps.

    Returns
    -------
    hypothesis.strategies.SearchStrategy of float

    Raises
    ------
    ValueError
        If the format is unknown, or `width` is none of these.
    TypeError
        If `fmt` means no format.

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
        with np.errstate(all="ignore"):  # beyond the width's range an infinity is right
            x = kind(_tie(code, fmt) if tie else _nearest(code, fmt))
            x = np.nextafter(x, kind(math.inf * steps)) if steps else x
            return float(-x if negate else x)

    hard = st.builds(near, codes(fmt), st.booleans(), st.sampled_from([0, 1, -1]), st.booleans())
    return st.one_of(st.floats(width=width), hard)


def arrays(fmt: str | Format, shape: int | tuple[int, ...] | SearchStrategy[Any]) -> SearchStrategy[Array]:
    """`fpemu.Array` objects of a format: ``.codes`` and ``.values`` go with each other.

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
        If `fmt` means no format.

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

    They are constructed: a result is chosen (halfway between neighbours, the overflow threshold, a subnormal, zero) and
    an operand solved for, exactly in rationals; the nearest codes are drawn.  Sums are drawn with operands that nearly
    cancel, and with exponents apart by about the precision; products of few digits, which are exactly ties; operands of
    comparisons beside each other.  Beside these come all other codes: zeros, infinities, NaN.

    Shrinks to code 0 in every operand.

    Parameters
    ----------
    operation : str
        A name, alias or symbol of the catalogue ("add", "fma", "*"), or "cast".
    fmt : str or Format
        The format of operands and result; of a cast the result's.
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
        If `fmt` or `source` means no format.

    Notes
    -----
    In one format of precision p a quotient of normal size is never a tie, nor is a square root; there come the nearest
    misses that the solution's neighbours give.

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
    fmt = without_codebooks(dtype(fmt))
    if operation in ("cast", "encode"):
        wide = without_codebooks(dtype(source))
        return st.one_of(st.tuples(codes(wide)), st.tuples(_beside(_targets(fmt), wide)))
    found = find_operation(operation)
    branches: list[SearchStrategy[tuple[int, ...]]] = [st.tuples(*[codes(fmt)] * found.operands)]
    if found.name in SOLVED:
        branches.append(_solved(found.name, found.operands, fmt))
    if found.name in ("multiply", "fma", "divide", "sqrt"):
        branches.append(_short_products(found.name, fmt))
    if found.operands == 2:
        branches.append(_neighbours(fmt))
    if found.name in ("add", "subtract"):
        branches.append(_far_apart(fmt))
    return st.one_of(branches)


_STEPS = st.sampled_from([0, 1, -1, 2, -2])  # codes beside a solution


def _numbers(fmt: FloatFormat | IntFormat) -> SearchStrategy[int]:
    """Codes of numbers other than zero, all magnitudes alike; now and then the ends of the range."""
    ends = [code for code in _corners(fmt) if finite(code, fmt)]
    whole = st.integers(1, fmt.code_count - 1).filter(lambda code: bool(finite(code, fmt)))
    return st.one_of(whole, whole, st.sampled_from(ends)) if ends else codes(fmt)


def _targets(fmt: FloatFormat | IntFormat) -> SearchStrategy[Fraction | None]:
    """Results that are hard to round: halfway points, where overflow begins, values, zero."""
    numbers = _numbers(fmt)
    largest = fmt.max_code if isinstance(fmt, FloatFormat) else fmt.max_int
    signs = [1, -1] if fmt.signed else [1]
    threshold = st.sampled_from(signs).map(lambda sign: sign * (halfway(largest, fmt) or Fraction(0)))
    between = numbers.map(lambda code: halfway(code, fmt))
    return st.one_of(st.just(Fraction(0)), numbers.map(lambda code: finite(code, fmt)), between, between, threshold)


def _beside(numbers: SearchStrategy[Fraction | None], fmt: FloatFormat | IntFormat) -> SearchStrategy[int]:
    """Codes whose values lie beside numbers."""

    def code(number: Fraction | None, steps: int) -> int:
        return nearest_code(Fraction(0) if number is None else number, fmt, steps)

    return st.builds(code, numbers, _STEPS)


@st.composite
def _solved(draw: DrawFn, name: str, count: int, fmt: FloatFormat | IntFormat) -> tuple[int, ...]:
    place, solve = SOLVED[name]
    others = [draw(_numbers(fmt)) for _ in range(count - 1)]
    numbers = [finite(code, fmt) for code in others]
    target = draw(_targets(fmt))
    known = [number for number in (target, *numbers) if number is not None]
    solution = solve(*known) if len(known) == count else None
    found = draw(codes(fmt)) if solution is None else nearest_code(solution, fmt, draw(_STEPS))
    return (*others[:place], found, *others[place:])


@st.composite
def _short_products(draw: DrawFn, name: str, fmt: FloatFormat | IntFormat) -> tuple[int, ...]:
    """Factors whose product has a digit more than the format, so that it is a tie; and what undoes such a product."""
    digits = fmt.precision if isinstance(fmt, FloatFormat) else fmt.bits - fmt.signed
    width = draw(st.integers(1, digits))
    odd = draw(st.integers(1 << (width - 1), (1 << width) - 1)) | 1
    rest = max(digits + 1 - width, 1)
    other = draw(st.integers(1 << (rest - 1), (1 << rest) - 1)) | 1
    target, near = (finite(draw(_numbers(fmt)), fmt) or Fraction(1) for _ in range(2))
    x = short(odd, near)
    y = short(other, target / x)
    third = draw(_cancelling(x * y, fmt))
    operands = {"multiply": (x, y), "fma": (x, y, third), "divide": (x * y, y), "sqrt": (x * x,)}
    return tuple(nearest_code(number, fmt) for number in operands[name])


def _cancelling(product: Fraction, fmt: FloatFormat | IntFormat) -> SearchStrategy[Fraction]:
    """Addends of a product: nothing, what cancels all or nearly all of it, and half a quantum of it."""
    step = quantum(abs(product), fmt)
    return st.sampled_from([Fraction(0), -product, -product + step, -product - step, step / 2, -step / 2])


def _neighbours(fmt: FloatFormat | IntFormat) -> SearchStrategy[tuple[int, ...]]:
    """Two operands whose magnitudes are equal or nearly: they cancel, or compare closely."""

    def pair(code: int, steps: int, opposite: bool) -> tuple[int, int]:
        x = finite(code, fmt)
        return (code, code) if x is None else (code, nearest_code(-x if opposite else x, fmt, steps))

    return st.builds(pair, _numbers(fmt), _STEPS, st.booleans())


def _far_apart(fmt: FloatFormat | IntFormat) -> SearchStrategy[tuple[int, ...]]:
    """Two operands, one of them sixteenths of the other's quantum: at ties, beside them, p digits apart."""

    def pair(code: int, sixteenths: int, swap: bool) -> tuple[int, int]:
        x = finite(code, fmt) or Fraction(0)
        small = nearest_code(quantum(abs(x), fmt) * sixteenths / 16, fmt)
        return (small, code) if swap else (code, small)

    sixteenths = st.sampled_from([8, -8, 7, -7, 9, -9, 24, -24, 4, 2, 1, -1, 16, 32])
    return st.builds(pair, _numbers(fmt), sixteenths, st.booleans())


@functools.cache
def _float_flags(bits: int, precision: int, signed: bool) -> list[dict[str, Any]]:
    """What NaN, infinities, zero and subnormals can be together in floats of these widths, the simplest first."""
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
    usual = (1 << (widest - precision)) - 1
    bias = usual + draw(st.integers(-40, 40))
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
    """The codes where things change, the simplest first, without repetition."""
    if isinstance(fmt, TableFormat):
        by_value = sorted(range(fmt.code_count), key=lambda code: fmt.entries[code])
        gaps = [fmt.entries[b] - fmt.entries[a] for a, b in itertools.pairwise(by_value)]
        closest = gaps.index(min(gaps))
        near_zero = sorted(by_value, key=lambda code: abs(fmt.entries[code]))[:3]
        found = [*near_zero, by_value[0], by_value[-1], *by_value[closest : closest + 2], fmt.code_count - 1]
    elif isinstance(fmt, FloatFormat):
        normal, one = fmt.min_normal_code, fmt.bias << fmt.trailing_bits
        edges = [0, fmt.min_code, normal, one, fmt.max_code, *(fmt.nan_codes[:1]), *(fmt.nan_codes[-1:])]
        magnitudes = [edge + step for edge in edges for step in (0, -1, 1)]
        found = [sign | m for sign in (0, fmt.sign_mask) for m in magnitudes if 0 <= m <= fmt.magnitude_mask]
        found += [fmt.nan_code] if fmt.nan_code is not None else []
    else:
        top, sign = (1 << fmt.bits) - 1, fmt.sign_mask
        found = [0, 1, fmt.max_int, fmt.max_int - 1, top, top - 1, sign, sign + 1]
    return sorted({code for code in found if 0 <= code < fmt.code_count})


def _float64(code: int, fmt: Format) -> float | None:
    """The code's value; where float64 lacks it, a value of the format nearby that float64 has, or None."""
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
    value = _ldexp(significand, exponent)
    return value if value and math.isfinite(value) else None


def _ldexp(significand: int, exponent: int) -> float:
    try:
        return math.ldexp(significand, exponent)
    except OverflowError:
        return math.copysign(math.inf, significand)


def _nearest(code: int, fmt: Format) -> float:
    """The code's value as near as float64 has it."""
    try:
        return fmt.value(code)
    except OverflowError:
        return _ldexp(*fmt.scaled(code))


def _tie(code: int, fmt: Format) -> float:
    """Halfway from the code's value to the next one away from zero (a codebook: to the next greater one)."""
    value = _nearest(code, fmt)
    if not math.isfinite(value):
        return value
    if isinstance(fmt, TableFormat):
        return value / 2 + min((entry for entry in fmt.entries if entry > value), default=value) / 2
    significand, exponent = fmt.scaled(code)
    if significand == 0:
        smallest, exponent = fmt.scaled(1)
        return _ldexp(smallest, exponent - 1)
    return _ldexp(2 * significand + (1 if significand > 0 else -1), exponent - 1)

"""Neighbouring values: `next_up`, `next_down`, `spacing` (IEEE 754-2019 clause 5.3.1)."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np

from fpemu.arithmetic.options import fill
from fpemu.casting import Source, as_numbers, carries_codes, cast, decode, encode
from fpemu.casting.stochastic import sharing
from fpemu.formats import FloatFormat, Format, IntFormat, TableFormat, dtype, same_codes
from fpemu.formats.facts.codes import INFINITIES, NANS, ZEROS, classes_of, entries_in_order, nan_mask, split
from fpemu.formats.facts.reals import exact_text
from fpemu.formats.facts.text import dyadic_text
from fpemu.formats.keywords import F

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["next_down", "next_up", "spacing"]

_TOP = np.uint64((1 << 64) - 1)
_NEIGHBOUR_TEXTS = {
    "parameters": """Parameters
    ----------
    x : array_like or Array
        Values of the format.
    fmt : str, Format or dtype
        The format; an `Array` has its own.""",
    "raises": """Raises
    ------
    ValueError
        If an element is not a value of the format.
    TypeError
        If `x` holds no real numbers, or no format is given.""",
}


def _neighbour_documented(function: F) -> F:
    """Fill in the texts that these functions share."""
    return fill(function, _NEIGHBOUR_TEXTS)


@_neighbour_documented
def next_up(x: Any, fmt: Any = None) -> Any:
    """The least value of a format that is greater than `x`.

    {parameters}

    Returns
    -------
    numpy.ndarray, numpy scalar or Array
        In x's dtype if that is a float that holds the format's values, else in `decode`'s; an Array for an Array.
        Above the largest finite value: infinity, else NaN, else the same value.  Above the largest negative value: -0
        if the format has it; above both zeros: the smallest positive value.  NaN stays NaN, and becomes quiet.

    {raises}

    See Also
    --------
    next_down, spacing : `numpy.nextafter` and `numpy.spacing` do the same for numpy's own formats.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.next_up([0.0, 1.0, 57344.0], "float8_e5m2")
    array([1.52587891e-05, 1.25000000e+00,            inf])
    >>> fe.next_up(0.1, "float8_e5m2")
    Traceback (most recent call last):
    ...
    ValueError: 0.1 is not a value of float8_e5m2: cast first, fe.cast(x, 'float8_e5m2')
    """
    return _neighbour(x, fmt, True)


@_neighbour_documented
def next_down(x: Any, fmt: Any = None) -> Any:
    """The greatest value of a format that is less than `x`.

    {parameters}

    Returns
    -------
    numpy.ndarray, numpy scalar or Array
        As `next_up` gives them, mirrored.  Below the smallest value of an unsigned format: NaN, else the same value.

    {raises}

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.next_down(1.0, "bfloat16")
    np.float64(0.99609375)
    """
    return _neighbour(x, fmt, False)


@_neighbour_documented
def spacing(x: Any, fmt: Any = None) -> Any:
    """The quantum at `x`: its distance to the next value away from zero, with x's sign.

    {parameters}

    Returns
    -------
    numpy.ndarray or numpy scalar
        Floats, in x's dtype if that is a float that holds them, else float64.  The quantum at the largest value too
        (where numpy gives infinity); at zeros the smallest positive value; NaN for infinities and NaN.  In a codebook
        the distance to the next entry away from zero, at its ends to the previous one.

    {raises}
    OverflowError
        If float64 cannot hold a distance.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.spacing([1.0, -448.0, 0.0], "float8_e4m3fn")
    array([ 1.250000e-01, -3.200000e+01,  1.953125e-03])
    """
    source, codes, known = _codes_of(x, fmt)
    steps = _spacing(codes, known)
    if source.dtype is not None and isinstance(source.format, FloatFormat):
        fitting = steps.astype(source.dtype)
        if np.array_equal(fitting, steps, equal_nan=True):
            steps = fitting
    return steps[()]


def _codes_of(x: Any, fmt: Any) -> tuple[Source, NDArray[Any], Format]:
    """`x` read as numbers, its codes in the format, and the format; raises ValueError if an element is not a value."""
    source = as_numbers(x)
    if fmt is None:
        if not carries_codes(x):
            raise TypeError("plain values need a format: give fmt")
        fmt = source.format
    known = dtype(fmt)
    if same_codes(source.format, known) and source.rest is None:
        return source, np.asarray(source.codes, source.codes.dtype.newbyteorder("=")), known
    if carries_codes(x):
        raise ValueError(f"x is an Array of {source.format.name}, not of {known.name}: leave fmt out, or cast first")
    codes, exact = exact_codes(x, source, known)
    if not exact.all():
        text = element_value_text(source, int(np.argmin(exact)))
        raise ValueError(f"{text} is not a value of {known.name}: cast first, fe.cast(x, {known.name!r})")
    return source, codes, known


def element_value_text(source: Source, index: int) -> str:
    """The number at a flat index (C order) of a source, as text."""
    if source.rest is not None and index in source.rest.indices:
        return exact_text(source.rest.numbers[int(np.searchsorted(source.rest.indices, index))])
    code = int(source.codes.flat[index])
    try:
        return repr(source.format.value(code))
    except OverflowError:  # a wide integer
        return dyadic_text(*source.format.scaled(code))


def exact_codes(x: Any, source: Source, fmt: Format) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """The codes of a format for numbers, and which of the numbers are its values; `source` is ``as_numbers(x)``."""
    given = np.asarray(source.codes, source.codes.dtype.newbyteorder("="))
    codes = np.asarray(encode(x, fmt, profile="ieee", rounding="toward_zero"))
    classes, code_classes = classes_of(given, source.format), classes_of(codes, fmt)
    exact = np.array(np.isin(code_classes, NANS) == np.isin(classes, NANS))
    # A number that the cast changed comes back changed in one direction; zeros' signs and NaN payloads do not count.
    for rounding in ("toward_zero", "away_from_zero"):
        back = np.asarray(encode(codes, source.format, source=fmt, profile="ieee", rounding=rounding))
        back_classes = classes_of(back, source.format)
        same = (back == given) | (np.isin(classes, ZEROS) & np.isin(back_classes, ZEROS))
        exact &= same | (np.isin(classes, NANS) & np.isin(back_classes, NANS))
    if source.rest is not None:
        finite = ~np.isin(code_classes, (*NANS, *INFINITIES)).reshape(-1)
        for index, number in zip(source.rest.indices.tolist(), source.rest.numbers, strict=True):
            exact.flat[index] = finite[index] and fmt.exact(int(codes.flat[index])) == number
    return codes, exact


def _neighbour(x: Any, fmt: Any, up: bool) -> Any:
    source, codes, known = _codes_of(x, fmt)
    if isinstance(known, TableFormat):
        neighbours = _step_in_table(codes, known, up)
    elif isinstance(known, IntFormat) and known.encoding == "twos_complement":
        end = known.max_int if up else known.min_int & ((1 << known.bits) - 1)
        one = codes.dtype.type(1)
        mask = codes.dtype.type((1 << known.bits) - 1)
        neighbours = np.where(codes == end, codes, (codes + one if up else codes - one) & mask)
    else:
        neighbours = _step_magnitude(codes, known, up).astype(known.code_dtype)
    if carries_codes(x):
        return sharing(type(x)(neighbours, known, x.profile), getattr(x, "rng", None))
    values = decode(neighbours, known)
    if source.dtype is None or not isinstance(source.format, FloatFormat):
        return values
    with contextlib.suppress(ValueError):  # no float holds a wide integer's values
        return values.astype(cast(np.zeros(0, source.dtype), known, profile="ieee").dtype, copy=False)
    return values


def _step_magnitude(codes: NDArray[Any], fmt: FloatFormat | IntFormat, up: bool) -> NDArray[np.uint64]:
    """The neighbours of sign-magnitude codes."""
    negative, magnitude = split(codes, fmt)
    has_zero, largest = fmt.has("zero"), fmt.max_code if isinstance(fmt, FloatFormat) else fmt.max_int
    sign = np.where((magnitude == 0) & has_zero, not up, negative)  # both zeros step in this direction
    grows = sign != up
    # Sums and differences that would exceed 64 bits are replaced below.
    more, less = magnitude + (magnitude < _TOP), magnitude - np.minimum(magnitude, np.uint64(1))
    moved = np.where(grows, more, less)
    if not has_zero:  # from the smallest value to the one of the other sign
        across = ~grows & (magnitude == 0)
        sign, moved = np.where(across, not up, sign), np.where(across, np.uint64(0), moved)
    if not fmt.has("negative_zero"):
        sign = sign & ~((moved == 0) & has_zero)
    neighbours = moved | np.where(sign, np.uint64(fmt.sign_mask), np.uint64(0))
    # Infinity's code follows the largest value's; there is no code past it, nor below 0 in an unsigned format.
    past = (grows & (magnitude == largest + fmt.has("infinity"))) | (sign & (not fmt.signed))
    wide = codes.astype(np.uint64)
    if not isinstance(fmt, FloatFormat) or fmt.nan_code is None:
        return np.where(past, wide, neighbours)
    infinite = magnitude == (largest + 1 if fmt.infinities else -1)
    keeps_sign = fmt.signed and fmt.nan != "negative_zero"
    nans = np.uint64(fmt.nan_code) | np.where(sign & keeps_sign, np.uint64(fmt.sign_mask), np.uint64(0))
    neighbours = np.where(past, np.where(infinite, wide, nans), neighbours)
    quiet = wide | np.uint64(1 << (fmt.trailing_bits - 1)) if fmt.nan == "ieee" else wide
    return np.where(nan_mask(codes, fmt), quiet, neighbours)


def _step_in_table(codes: NDArray[Any], fmt: TableFormat, up: bool) -> NDArray[Any]:
    _, lowest, rank = entries_in_order(fmt)
    neighbours = np.take(rank, codes) + (1 if up else -1)
    return np.take(lowest, neighbours, mode="clip").astype(fmt.code_dtype)


def _spacing(codes: NDArray[Any], fmt: Format) -> NDArray[np.float64]:
    if isinstance(fmt, TableFormat):
        values, _, rank = entries_in_order(fmt)
        ranks = np.take(rank, codes)
        gaps = np.diff(values) if values.size > 1 else np.array([np.nan])
        negative = np.take(values, ranks) < 0
        return np.where(negative, -1.0, 1.0) * np.take(gaps, np.where(negative, ranks - 1, ranks), mode="clip")
    negative, magnitude = split(codes, fmt)
    if isinstance(fmt, IntFormat):
        exponents = np.full(codes.shape, -fmt.fraction_bits)
        zero, special = codes == 0, np.zeros(codes.shape, np.bool_)
        zero |= (magnitude == 0) & fmt.has("negative_zero")
    else:
        exponents = (magnitude >> np.uint64(fmt.trailing_bits)).astype(np.int64)
        exponents = (np.maximum(exponents, 1) if fmt.subnormals else exponents) - (fmt.bias + fmt.trailing_bits)
        zero, special = (magnitude == 0) & fmt.zero, nan_mask(codes, fmt) | (magnitude > fmt.max_code)
    with np.errstate(over="ignore", under="ignore"):  # OverflowError below for distances that float64 cannot hold
        steps = np.ldexp(1.0, np.clip(exponents, -2000, 2000))
    if isinstance(fmt, FloatFormat) and not fmt.subnormals and zero.any():
        steps = np.where(zero, fmt.value(fmt.min_code), steps)
    unheld = ~special & ((steps == 0) | np.isinf(steps))
    if unheld.any():
        quantum = f"2**{int(exponents[unheld].flat[0])}"
        raise OverflowError(f"the quantum of {fmt.name} is {quantum} there: no float64; fe.next_up(x) - x has it")
    return np.where(special, np.nan, np.where(negative & ~zero, -steps, steps))

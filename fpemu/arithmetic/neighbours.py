"""The values beside a value: `next_up`, `next_down`, `spacing` (IEEE 754-2019 clause 5.3.1)."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np

from fpemu.casting import Source, as_numbers, carries_codes, cast, decode, encode
from fpemu.casting.stochastic import sharing
from fpemu.formats import FloatFormat, Format, IntFormat, TableFormat, dtype, same_codes
from fpemu.formats.facts.codes import NumberClass, classes_of, is_nan, split
from fpemu.formats.facts.infotext import dyadic_text
from fpemu.formats.facts.reals import exact_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["next_down", "next_up", "spacing"]

_ZEROS = NumberClass.NEGATIVE_ZERO, NumberClass.POSITIVE_ZERO
_NANS = NumberClass.SIGNALING_NAN, NumberClass.QUIET_NAN
_INFINITE = NumberClass.NEGATIVE_INFINITY, NumberClass.POSITIVE_INFINITY
_TOP = np.uint64((1 << 64) - 1)


def next_up(x: Any, fmt: Any = None) -> Any:
    """The least value of a format that is greater than `x`.

    Parameters
    ----------
    x : array_like or Array
        Values of the format.
    fmt : str, Format or dtype
        The format; an `Array` brings its own.

    Returns
    -------
    numpy.ndarray, numpy scalar or Array
        In x's dtype if that is a float that holds the format's values, else in the one that `decode` gives; an Array
        for an Array.  Above the largest finite value: infinity, else NaN, else the same value.  Below zero comes -0,
        where the format has it, and after both zeros the smallest positive value.  NaN stays NaN, and becomes quiet.

    Raises
    ------
    ValueError
        If an element is no value of the format.
    TypeError
        If `x` holds no real numbers, or no format is given.

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
    ValueError: 0.1 is no value of float8_e5m2: cast first, fe.cast(x, 'float8_e5m2')
    """
    return _neighbour(x, fmt, True)


def next_down(x: Any, fmt: Any = None) -> Any:
    """The greatest value of a format that is less than `x`.

    Parameters
    ----------
    x : array_like or Array
        Values of the format.
    fmt : str, Format or dtype
        The format; an `Array` brings its own.

    Returns
    -------
    numpy.ndarray, numpy scalar or Array
        As `next_up` gives them, mirrored.  Below the smallest value of an unsigned format: NaN, else the same value.

    Raises
    ------
    ValueError
        If an element is no value of the format.
    TypeError
        If `x` holds no real numbers, or no format is given.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.next_down(1.0, "bfloat16")
    np.float64(0.99609375)
    """
    return _neighbour(x, fmt, False)


def spacing(x: Any, fmt: Any = None) -> Any:
    """The quantum at `x`: its distance to the next value away from zero, with x's sign.

    Parameters
    ----------
    x : array_like or Array
        Values of the format.
    fmt : str, Format or dtype
        The format; an `Array` brings its own.

    Returns
    -------
    numpy.ndarray or numpy scalar
        Floats, in x's dtype if that is a float which holds them, else float64.  At the largest value the quantum too
        (numpy gives infinity there), at zeros the smallest positive value, NaN for infinities and NaN.  In a codebook
        the distance to the next entry away from zero, at the two ends to the one before.

    Raises
    ------
    ValueError
        If an element is no value of the format.
    TypeError
        If `x` holds no real numbers, or no format is given.
    OverflowError
        If float64 cannot hold a distance.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.spacing([1.0, -448.0, 0.0], "float8_e4m3fn")
    array([ 1.250000e-01, -3.200000e+01,  1.953125e-03])
    """
    given, codes, found = _codes_of(x, fmt)
    steps = _spacing(codes, found)
    if given.dtype is not None and isinstance(given.format, FloatFormat):
        fitting = steps.astype(given.dtype)
        if np.array_equal(fitting, steps, equal_nan=True):
            steps = fitting
    return steps[()]


def _codes_of(x: Any, fmt: Any) -> tuple[Source, NDArray[Any], Format]:
    """`x` as given, its codes in the format, and the format; ValueError for what is no value of it."""
    given = as_numbers(x)
    if fmt is None:
        if not carries_codes(x):
            raise TypeError("plain values need a format: give fmt")
        fmt = given.format
    found = dtype(fmt)
    own = np.asarray(given.codes, given.codes.dtype.newbyteorder("="))
    if same_codes(given.format, found) and given.rest is None:
        return given, own, found
    if carries_codes(x):
        raise ValueError(f"x is an Array of {given.format.name}, not of {found.name}: leave fmt out, or cast first")
    codes, exact = exact_codes(x, given, found)
    if not exact.all():
        text = number_text(given, int(np.argmin(exact)))
        raise ValueError(f"{text} is no value of {found.name}: cast first, fe.cast(x, {found.name!r})")
    return given, codes, found


def number_text(given: Source, place: int) -> str:
    """The number at a place of a source, in C order, as text."""
    if given.rest is not None and place in given.rest.places:
        return exact_text(given.rest.numbers[int(np.searchsorted(given.rest.places, place))])
    code = int(given.codes.flat[place])
    try:
        return repr(given.format.value(code))
    except OverflowError:  # a wide integer
        return dyadic_text(*given.format.scaled(code))


def exact_codes(x: Any, given: Source, fmt: Format) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """The codes of a format for numbers, and which of the numbers are values of it; `given` is ``as_numbers(x)``."""
    own = np.asarray(given.codes, given.codes.dtype.newbyteorder("="))
    codes = np.asarray(encode(x, fmt, profile="ieee", rounding="toward_zero"))
    kinds = classes_of(own, given.format)
    exact = np.array(_among(classes_of(codes, fmt), _NANS) == _among(kinds, _NANS))
    # What the cast moved does not come back both ways, but for the sign of a zero and what a NaN carries.
    for rounding in ("toward_zero", "away_from_zero"):
        back = np.asarray(encode(codes, given.format, source=fmt, profile="ieee", rounding=rounding))
        kinds_back = classes_of(back, given.format)
        same = (back == own) | (_among(kinds, _ZEROS) & _among(kinds_back, _ZEROS))
        exact &= same | (_among(kinds, _NANS) & _among(kinds_back, _NANS))
    if given.rest is not None:
        finite = ~_among(classes_of(codes, fmt), (*_NANS, *_INFINITE)).reshape(-1)
        for place, number in zip(given.rest.places.tolist(), given.rest.numbers, strict=True):
            exact.flat[place] = finite[place] and fmt.exact(int(codes.flat[place])) == number
    return codes, exact


def _among(kinds: NDArray[np.uint8], wanted: tuple[NumberClass, ...]) -> NDArray[np.bool_]:
    return np.isin(kinds, wanted)


def _neighbour(x: Any, fmt: Any, up: bool) -> Any:
    given, codes, found = _codes_of(x, fmt)
    if isinstance(found, TableFormat):
        stepped = _step_in_table(codes, found, up)
    elif isinstance(found, IntFormat) and found.encoding == "twos_complement":
        end = found.max_int if up else found.min_int & ((1 << found.bits) - 1)
        one = codes.dtype.type(1)
        mask = codes.dtype.type((1 << found.bits) - 1)
        stepped = np.where(codes == end, codes, (codes + one if up else codes - one) & mask)
    else:
        stepped = _step_magnitude(codes, found, up).astype(found.code_dtype)
    if carries_codes(x):
        return sharing(type(x)(stepped, found, x.profile), getattr(x, "rng", None))
    values = decode(stepped, found)
    if given.dtype is None or not isinstance(given.format, FloatFormat):
        return values
    with contextlib.suppress(ValueError):  # no float holds a wide integer's values
        return values.astype(cast(np.zeros(0, given.dtype), found, profile="ieee").dtype, copy=False)
    return values


def _step_magnitude(codes: NDArray[Any], fmt: FloatFormat | IntFormat, up: bool) -> NDArray[np.uint64]:
    """The codes beside sign-magnitude codes."""
    negative, magnitude = split(codes, fmt)
    has_zero, largest = fmt.has("zero"), fmt.max_code if isinstance(fmt, FloatFormat) else fmt.max_int
    sign = np.where((magnitude == 0) & has_zero, not up, negative)  # both zeros go the way of the step
    grows = sign != up
    # Where the sum or the difference would leave 64 bits, the outcome is another, below.
    more, less = magnitude + (magnitude < _TOP), magnitude - np.minimum(magnitude, np.uint64(1))
    stepped = np.where(grows, more, less)
    if not has_zero:  # from the smallest value straight to that of the other sign
        across = ~grows & (magnitude == 0)
        sign, stepped = np.where(across, not up, sign), np.where(across, np.uint64(0), stepped)
    if not fmt.has("negative_zero"):
        sign = sign & ~((stepped == 0) & has_zero)
    beside = stepped | np.where(sign, np.uint64(fmt.sign_mask), np.uint64(0))
    # Infinity's code follows the largest value's; past it, and below an unsigned format, there is no code.
    past = (grows & (magnitude == largest + fmt.has("infinity"))) | (sign & (not fmt.signed))
    wide = codes.astype(np.uint64)
    if not isinstance(fmt, FloatFormat) or fmt.nan_code is None:
        return np.where(past, wide, beside)
    infinite = magnitude == (largest + 1 if fmt.infinities else -1)
    keeps_sign = fmt.signed and fmt.nan != "negative_zero"
    nans = np.uint64(fmt.nan_code) | np.where(sign & keeps_sign, np.uint64(fmt.sign_mask), np.uint64(0))
    beside = np.where(past, np.where(infinite, wide, nans), beside)
    quiet = wide | np.uint64(1 << (fmt.trailing_bits - 1)) if fmt.nan == "ieee" else wide
    return np.where(is_nan(codes, fmt), quiet, beside)


def _ranks(fmt: TableFormat) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.intp]]:
    """A codebook's different values in order, the lowest code of each, and each code's rank among them."""
    return np.unique(np.array(fmt.entries), return_index=True, return_inverse=True)


def _step_in_table(codes: NDArray[Any], fmt: TableFormat, up: bool) -> NDArray[Any]:
    _, lowest, rank = _ranks(fmt)
    beside = np.take(rank, codes) + (1 if up else -1)
    return np.take(lowest, beside, mode="clip").astype(fmt.code_dtype)


def _spacing(codes: NDArray[Any], fmt: Format) -> NDArray[np.float64]:
    if isinstance(fmt, TableFormat):
        values, _, rank = _ranks(fmt)
        at = np.take(rank, codes)
        gaps = np.diff(values) if values.size > 1 else np.array([np.nan])
        negative = np.take(values, at) < 0
        return np.where(negative, -1.0, 1.0) * np.take(gaps, np.where(negative, at - 1, at), mode="clip")
    negative, magnitude = split(codes, fmt)
    if isinstance(fmt, IntFormat):
        exponents = np.full(codes.shape, -fmt.fraction_bits)
        zero, special = codes == 0, np.zeros(codes.shape, np.bool_)
        zero |= (magnitude == 0) & fmt.has("negative_zero")
    else:
        exponents = (magnitude >> np.uint64(fmt.trailing_bits)).astype(np.int64)
        exponents = (np.maximum(exponents, 1) if fmt.subnormals else exponents) - (fmt.bias + fmt.trailing_bits)
        zero, special = (magnitude == 0) & fmt.zero, is_nan(codes, fmt) | (magnitude > fmt.max_code)
    with np.errstate(over="ignore", under="ignore"):  # distances that float64 cannot hold are refused below
        steps = np.ldexp(1.0, np.clip(exponents, -2000, 2000))
    if isinstance(fmt, FloatFormat) and not fmt.subnormals and zero.any():
        steps = np.where(zero, fmt.value(fmt.min_code), steps)
    unheld = ~special & ((steps == 0) | np.isinf(steps))
    if unheld.any():
        quantum = f"2**{int(exponents[unheld].flat[0])}"
        raise OverflowError(f"the quantum of {fmt.name} is {quantum} there: no float64; fe.next_up(x) - x has it")
    return np.where(special, np.nan, np.where(negative & ~zero, -steps, steps))

"""quantized_matmul: matrix products of codes, their scales applied to exact sums."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fpemu.arithmetic import add, multiply, vecdot
from fpemu.casting import decode, encode
from fpemu.formats import FLOAT32, FloatFormat, Format, IntFormat
from fpemu.formats import dtype as find_format
from fpemu.formats.facts.exactness import Span, digits, finite_ends, holds, span_of_array
from fpemu.formats.lookup import brief, near
from fpemu.quantization.quantized import Quantized

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fpemu.formats import Profile
    from fpemu.formats.rules import Rounding, Stochastic
    from fpemu.quantization.definition.scaled_format import ScaledFormat

__all__ = ["quantized_matmul"]

Matrix = NDArray[np.float64]

EXACT = 53  # bits of an integer that float64 holds, whatever the integer


def quantized_matmul(
    qa: Quantized,
    qb: Quantized,
    *,
    accumulate: Any = "exact",
    result: Any = "float32",
    rounding: str | Rounding | Stochastic | None = None,
    overflow: Any = None,
    profile: str | Profile | None = None,
    rng: int | np.random.Generator | None = None,
) -> NDArray[Any]:
    """The matrix product of two quantized matrices: exact sums of products of elements, times the scales.

    Where neither scale changes along k, the products (element - zero point) x (element - zero point) are added up
    exactly, as integer units do it; each such sum is multiplied by its two scales, and these are accumulated.

    Parameters
    ----------
    qa : Quantized
        Shape (m, k); blocks along the last axis are those that hardware knows.
    qb : Quantized
        Shape (k, n); its blocks along the first axis: `quantize(b, scheme, axis=0)`.
    accumulate : "exact", str, FloatFormat or dtype
        "exact": the exact sum, rounded once to the result.  A format, as "float32": each scaled sum is rounded to it,
        and they are added in the order of k, each addition rounded; all to nearest even.
    result : str, Format or dtype
        The format of the results.
    rounding, overflow, profile, rng
        Of the rounding to the result's format, as for `cast`.

    Returns
    -------
    numpy.ndarray
        Shape (m, n): values of the result's format, as `decode` gives them.

    Raises
    ------
    TypeError
        If `qa` or `qb` is not quantized.
    ValueError
        If the shapes do not fit, `accumulate` or `result` is unknown, or the elements' or scales' range or digits are
        beyond float32's, or beyond float64's together.

    See Also
    --------
    vecdot : of numbers.

    Notes
    -----
    Scales of the second level multiply what is accumulated, at the end, and that product is rounded once to the result.
    Scales that are quantized themselves ("bnb_nf4") count as `scale_values` has them: float32, their offset added.
    With blocks of different lengths the shorter stretches count: blocks of 32 times blocks of 16 are sums of 16.

    A sum of products is exact in float64 where float64's 53 bits span it, from its terms' lowest bit to the largest
    possible sum: then it is float64's matrix product, whatever the order.  Elements of more bits (e5m2 with a wide
    range, NF4) are parted into pieces of fewer; all pieces' products are exact.  A sum of elements that is exactly
    zero is +0.

    Examples
    --------
    >>> import fpemu as fe
    >>> a = fe.quantize([[1.0, 2.0, 3.0, -4.0]], "mxfp4", block=2)
    >>> b = fe.quantize([[1.0], [0.5], [2.0], [6.0]], "mxfp4", block=2, axis=0)
    >>> fe.quantized_matmul(a, b)
    array([[-16.]], dtype=float32)
    >>> a = fe.quantize([[1.0, -127.0]], "absmax_int8")
    >>> fe.quantized_matmul(a, fe.quantize([[127.0], [1.0]], "absmax_int8"), result="int32")
    array([[0]], dtype=int32)
    """
    for name, q in (("qa", qa), ("qb", qb)):
        if not isinstance(q, Quantized):
            raise TypeError(f"{name} must be a Quantized, not {type(q).__name__}: see quantize")
        if q.ndim != 2:
            raise ValueError(f"{name} must have 2 dimensions, not {q.ndim}: quantize x.reshape(-1, x.shape[-1])")
        _check(q)
    if qa.shape[1] != qb.shape[0]:
        raise ValueError(f"shapes {qa.shape} and {qb.shape} do not fit: there are {qa.shape[1]} columns, then rows")
    by, target = _accumulator(accumulate), find_format(result)
    how = {"rounding": rounding, "overflow": overflow, "profile": profile, "rng": rng}
    a, b = _Side(qa, 1), _Side(qb, 0)
    special = None
    if by is not None:
        parts, right = [_in_steps(a, b, by)], np.ones((1, 1))
    else:
        parts, right = _whole(a, b)
        if not (a.finite and b.finite):
            special = _all_specials(a, b)
    rights = [right]
    for second in (q.second_scale for q in (qa, qb) if isinstance(q.second_scale, float)):
        if _short(parts):
            parts = [part * second for part in parts]
        else:
            rights = _times(rights, second)
    found = _rounded(parts, rights, target, how)
    if special is None:
        return found
    return np.where(special == 0, found, decode(encode(special, target, **how), target))


def _check(q: Quantized) -> None:
    """Refuse what would not be exact in float64."""
    scheme = q.scheme
    element = scheme.element
    ends = finite_ends(element)
    unit = -element.fraction_bits if isinstance(element, IntFormat) else 0
    within = (
        unit >= -149 and max(map(abs, ends)) <= 2**128 if isinstance(element, IntFormat) else holds(FLOAT32, element)
    )
    if not within:
        raise ValueError(f"{scheme}: elements are those within float32, or integers of its range, not {element}")
    steps = scheme.own_profile.steps
    if steps is not None and steps.decode == "quotient":
        raise ValueError(f"under {scheme.profile} scales of {scheme} divide: dequantize first")
    second = q.second_scale if isinstance(q.second_scale, float) else None
    for fmt in (scheme.scale, scheme.second_level):
        if isinstance(fmt, FloatFormat) and not holds(FLOAT32, fmt):
            raise ValueError(f"{scheme}: scales are those that float32 holds, not {fmt}")
    if _digits(scheme) > EXACT:
        raise ValueError(f"{scheme}: float64 does not hold the products of {element} and a scale, {scheme.scale}")
    if np.isinf(q.scale_values).any() or not math.isfinite(second or 1):
        raise ValueError(f"{scheme}: a scale is infinite")


def _digits(scheme: ScaledFormat) -> int:
    """Of an element, less its zero point, times its scale, at most."""
    return digits(scheme.element) + (scheme.zero_point is not None) + scheme.scale.precision


def _accumulator(accumulate: Any) -> FloatFormat | None:
    """What sums are rounded to; None: nothing."""
    if isinstance(accumulate, str) and accumulate == "exact":
        return None
    try:
        found: Format = find_format(accumulate)
    except ValueError:
        raise ValueError(
            f"accumulate is 'exact' or a float format, not {brief(accumulate)}{near(accumulate, ['exact', 'float32'])}"
        ) from None
    if not isinstance(found, FloatFormat):
        raise ValueError(f"accumulate is 'exact' or a float format, not {found}")
    return found


class _Side:
    """One of the two: elements less zero points, and scales for each of its m rows (n columns) and blocks along k.

    `numbers`, `scales`: what is not finite among them being 0; `all_numbers`, `all_scales`: with that.
    """

    def __init__(self, q: Quantized, axis: int) -> None:
        self.axis, self.scheme = axis, q.scheme
        numbers = np.asarray(decode(q.codes, q.scheme.element, dtype=np.float64))
        if q.zero_points is not None:
            numbers -= q.layout.per_element(q.zero_points)
        scales = np.asarray(q.scale_values, np.float64)
        across = 1 - axis
        length = q.shape[across]
        scales = np.repeat(scales, q.layout.block_shape[across], axis=across).take(np.arange(length), axis=across)
        self.all_numbers, self.all_scales = numbers, scales
        self.numbers = np.where(np.isfinite(numbers), numbers, 0.0)
        self.scales = np.where(np.isfinite(scales), scales, 0.0)
        self.finite = bool(np.isfinite(numbers).all() and np.isfinite(scales).all())
        self.step = q.layout.block_shape[axis]

    def of(self, matrix: Matrix, place: int, stop: int) -> Matrix:
        """A part of the elements along k."""
        return matrix[:, place:stop] if self.axis else matrix[place:stop]

    def scale(self, scales: Matrix, place: int) -> Matrix:
        """The scales at a place along k: a column of them for qa, a row for qb."""
        return self.of(scales, place // self.step, place // self.step + 1)

    @property
    def folded(self) -> tuple[Matrix, Matrix]:
        """Numbers, times their scales where these change along k, and the scales of all k where they do not."""
        if self.scales.shape[self.axis] == 1:
            return self.numbers, self.scales
        length = self.numbers.shape[self.axis]
        spread = np.repeat(self.scales, self.step, axis=self.axis).take(np.arange(length), axis=self.axis)
        return self.numbers * spread, np.ones((1, 1))


def _stretches(a: _Side, b: _Side) -> Iterator[tuple[int, int]]:
    """The stretches of k where neither scale changes, in order."""
    length = a.numbers.shape[1]
    places = sorted({*range(0, length, a.step), *range(0, length, b.step), length})
    yield from itertools.pairwise(places)


def _whole(a: _Side, b: _Side) -> tuple[list[Matrix], Matrix]:
    """The exact product in parts, each to be multiplied by the other matrix."""
    (x, of_x), (y, of_y) = a.folded, b.folded
    return _products(x, y, span_of_array(x), span_of_array(y))[0], of_x * of_y


def _in_steps(a: _Side, b: _Side, by: FloatFormat) -> Matrix:
    """The product with each stretch's scaled sum rounded, and added up in order."""
    spans = span_of_array(a.numbers), span_of_array(b.numbers)
    scale_digits = a.scheme.scale.precision + b.scheme.scale.precision
    total = None
    for place, stop in _stretches(a, b):
        parts, bits = _products(a.of(a.numbers, place, stop), b.of(b.numbers, place, stop), *spans)
        scales = a.scale(a.scales, place) * b.scale(b.scales, place)
        if len(parts) == 1 and bits + scale_digits <= EXACT:
            term = _rounded([parts[0] * scales], [np.ones((1, 1))], by, {})
        else:
            term = _rounded(parts, [scales], by, {})
        if not (a.finite and b.finite):
            special = _specials(a, b, (place, stop))
            term = np.where(special == 0, term, decode(encode(special, by), by))
        total = term if total is None else add(total, term, result=by)
    if total is None:
        return np.zeros((a.numbers.shape[0], b.numbers.shape[1]))
    return np.asarray(total, np.float64)


def _products(a: Matrix, b: Matrix, of_a: Span, of_b: Span) -> tuple[list[Matrix], int]:
    """Matrices whose sum is the product, each of them exact, and the bits of an element of the only one."""
    grows = max(a.shape[1] - 1, 0).bit_length()
    room = EXACT - grows
    half = room // 2
    width = max(half, room - of_b.bits), max(half, room - of_a.bits)
    if of_a.bits + of_b.bits <= room:
        width = of_a.bits, of_b.bits
    parts = [x @ y for x in _pieces(a, of_a, width[0]) for y in _pieces(b, of_b, width[1])]
    return [np.where(part == 0, 0.0, part) for part in parts], of_a.bits + of_b.bits + grows


def _pieces(x: Matrix, span: Span, width: int) -> list[Matrix]:
    """Matrices whose sum is x, integers of `width` bits times powers of two."""
    if span.bits <= width:
        return [x]
    pieces = []
    for top in range(span.low + span.bits - width, span.low - width, -width):
        unit = math.ldexp(1.0, max(top, span.low))
        piece = np.trunc(x / unit) * unit
        x = x - piece
        pieces.append(piece)
    return [piece for piece in pieces if piece.any()] or [x]


def _specials(a: _Side, b: _Side, stretch: tuple[int, int]) -> Matrix:
    """What infinities and NaN make of a stretch's scaled sums: NaN or an infinity, 0 where they make nothing."""
    x, y = a.of(a.all_numbers, *stretch), b.of(b.all_numbers, *stretch)
    signs, infinite = [], []
    for numbers in (x, y):
        sign = np.sign(np.where(np.isnan(numbers), 0.0, numbers))
        signs.append(sign)
        infinite.append(sign * np.isinf(numbers))
    (sx, sy), (ix, iy) = signs, infinite
    # How many products are infinite, and how many more of them positive than negative.
    count = abs(ix) @ abs(sy) + abs(sx) @ abs(iy) - abs(ix) @ abs(iy)
    excess = ix @ sy + sx @ iy - ix @ iy
    clash = abs(ix) @ (y == 0).astype(np.float64) + (x == 0).astype(np.float64) @ abs(iy) + (abs(excess) != count)
    invalid = (clash > 0) | np.isnan(x).any(axis=1, keepdims=True) | np.isnan(y).any(axis=0, keepdims=True)
    scales = a.scale(a.all_scales, stretch[0]) * b.scale(b.all_scales, stretch[0])
    found = np.where(count > 0, np.copysign(np.inf, excess), 0.0)
    with np.errstate(invalid="ignore"):  # a scale of 0
        found = np.where(invalid | np.isnan(scales), np.nan, found * scales)
    return np.asarray(found)


def _all_specials(a: _Side, b: _Side) -> Matrix:
    """What they make of the whole product."""
    total = np.zeros((a.numbers.shape[0], b.numbers.shape[1]))
    with np.errstate(invalid="ignore"):  # infinities of both signs
        for stretch in _stretches(a, b):
            total += _specials(a, b, stretch)
    return total


def _short(parts: list[Matrix]) -> bool:
    """Whether 24 digits more are exact in float64."""
    return all(not np.any(part.view(np.uint64) & np.uint64((1 << 24) - 1)) for part in parts)


def _times(parts: list[Matrix], factor: float) -> list[Matrix]:
    """The same times a factor of 24 digits, exactly."""
    if _short(parts):
        return [part * factor for part in parts]
    high = [(part.view(np.uint64) & ~np.uint64((1 << 27) - 1)).view(np.float64) for part in parts]
    return [part * factor for part in [*high, *(p - h for p, h in zip(parts, high, strict=True))]]


def _rounded(parts: list[Matrix], factors: list[Matrix], target: Any, how: dict[str, Any]) -> NDArray[Any]:
    """The sum of the parts, times the sum of the factors, rounded once."""
    terms = [(part, factor) for part in parts for factor in factors]
    if len(terms) > 1:
        shape = np.broadcast_shapes(*(matrix.shape for matrix in terms[0]))
        left, right = (
            np.stack([np.broadcast_to(m, shape) for m in side], axis=-1) for side in zip(*terms, strict=True)
        )
        return np.asarray(vecdot(left, right, result=target, **how))
    ((part, factor),) = terms
    if factor.size == 1 and factor[0, 0] == 1:
        return np.asarray(decode(encode(part, target, **how), target))
    return np.asarray(multiply(part, factor, result=target, **how))

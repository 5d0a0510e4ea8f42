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

EXACT_BITS = 53  # bits of integers that are exact in float64


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
    """Return the matrix product of two quantized matrices: exact sums of products of elements, times the scales.

    Over each stretch of k in which neither scale changes, the products (element - zero point) x (element - zero point)
    are added exactly, as integer units do; each sum is multiplied by its two scales, and the scaled sums are
    accumulated.

    Parameters
    ----------
    qa : Quantized
        Shape (m, k); in hardware its blocks lie along the last axis.
    qb : Quantized
        Shape (k, n); its blocks along the first axis: `quantize(b, scheme, axis=0)`.
    accumulate : "exact", str, FloatFormat or dtype
        "exact": the exact sum, rounded once to the result.  A format such as "float32": each scaled sum is rounded to
        it, and the sums are added in the order of k, each addition rounded; all to nearest even.
    result : str, Format or dtype
        The format of the results.
    rounding, overflow, profile, rng
        The rounding to the result's format, as for `cast`.

    Returns
    -------
    numpy.ndarray
        Shape (m, n): values of the result's format, as `decode` returns them.

    Raises
    ------
    TypeError
        If `qa` or `qb` is not quantized.
    ValueError
        If the shapes do not fit, `accumulate` or `result` is unknown, the range or digits of elements or scales exceed
        float32's, or those of their products exceed float64's.

    See Also
    --------
    vecdot : dot products of numbers.

    Notes
    -----
    Scales of the second level multiply the accumulated sums at the end; that product is rounded once to the result.
    Scales that are quantized themselves ("bnb_nf4") are those of `scale_values`: float32, their offset added.  If
    blocks have different lengths, the shorter ones are the stretches: blocks of 32 and blocks of 16 give sums of 16.

    A sum of products is exact in float64 if 53 bits reach from the lowest bit of its terms to the largest possible
    sum: then it is float64's matrix product, in any order.  Elements of more bits (e5m2 with a wide range,
    NF4) are split into terms of fewer bits, whose products are exact.  A sum of elements that is exactly zero is +0.

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
            raise TypeError(f"{name} must be a Quantized, not {type(q).__name__}: use quantize")
        if q.ndim != 2:
            raise ValueError(f"{name} must have 2 dimensions, not {q.ndim}: use x.reshape(-1, x.shape[-1])")
        _check_exact(q)
    if qa.shape[1] != qb.shape[0]:
        raise ValueError(f"shapes {qa.shape} and {qb.shape} do not fit: qb must have {qa.shape[1]} rows")
    by, target = _accumulator(accumulate), find_format(result)
    rules = {"rounding": rounding, "overflow": overflow, "profile": profile, "rng": rng}
    a, b = _Side(qa, 1), _Side(qb, 0)
    special = None
    if by is not None:
        terms, right = [_accumulated(a, b, by)], np.ones((1, 1))
    else:
        terms, right = _exact_terms(a, b)
        if not (a.finite and b.finite):
            special = _all_specials(a, b)
    rights = [right]
    for second in (q.second_scale for q in (qa, qb) if isinstance(q.second_scale, float)):
        if _have_room(terms):
            terms = [term * second for term in terms]
        else:
            rights = _times(rights, second)
    product = _rounded(terms, rights, target, rules)
    if special is None:
        return product
    return np.where(special == 0, product, decode(encode(special, target, **rules), target))


def _check_exact(q: Quantized) -> None:
    """Raise ValueError if the products would not be exact in float64."""
    scheme = q.scheme
    element = scheme.element
    ends = finite_ends(element)
    unit = -element.fraction_bits if isinstance(element, IntFormat) else 0
    within = (
        unit >= -149 and max(map(abs, ends)) <= 2**128 if isinstance(element, IntFormat) else holds(FLOAT32, element)
    )
    if not within:
        raise ValueError(f"{scheme}: elements must be exact in float32 or integers in its range, unlike {element}")
    steps = scheme.own_profile.steps
    if steps is not None and steps.decode == "quotient":
        raise ValueError(f"under {scheme.profile} elements of {scheme} are divided by scales: use dequantize() first")
    second = q.second_scale if isinstance(q.second_scale, float) else None
    for fmt in (scheme.scale, scheme.second_level):
        if isinstance(fmt, FloatFormat) and not holds(FLOAT32, fmt):
            raise ValueError(f"{scheme}: scales must be exact in float32, unlike {fmt}")
    if _product_digits(scheme) > EXACT_BITS:
        raise ValueError(f"{scheme}: products of {element} and a scale, {scheme.scale}, are not exact in float64")
    if np.isinf(q.scale_values).any() or not math.isfinite(second or 1):
        raise ValueError(f"{scheme}: a scale is infinite")


def _product_digits(scheme: ScaledFormat) -> int:
    """The most digits of an element, less its zero point, times its scale."""
    return digits(scheme.element) + (scheme.zero_point is not None) + scheme.scale.precision


def _accumulator(accumulate: Any) -> FloatFormat | None:
    """The format of accumulated sums; None: they are exact."""
    if isinstance(accumulate, str) and accumulate == "exact":
        return None
    try:
        fmt: Format = find_format(accumulate)
    except ValueError:
        raise ValueError(
            f"accumulate must be 'exact' or a float format, not {brief(accumulate)}"
            f"{near(accumulate, ['exact', 'float32'])}"
        ) from None
    if not isinstance(fmt, FloatFormat):
        raise ValueError(f"accumulate must be 'exact' or a float format, not {fmt}")
    return fmt


class _Side:
    """One operand: elements less zero points, and scales for each of its m rows (n columns) and blocks along k.

    `all_numbers`, `all_scales`: unchanged; `numbers`, `scales`: 0 in place of NaN and infinities.
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

    def along_k(self, matrix: Matrix, start: int, stop: int) -> Matrix:
        """A stretch of a matrix along k."""
        return matrix[:, start:stop] if self.axis else matrix[start:stop]

    def scales_at(self, scales: Matrix, k: int) -> Matrix:
        """The scales at an index along k: a column of them for qa, a row for qb."""
        return self.along_k(scales, k // self.step, k // self.step + 1)

    @property
    def folded(self) -> tuple[Matrix, Matrix]:
        """Numbers and the scales of all k; if scales change along k, numbers times scales, and 1."""
        if self.scales.shape[self.axis] == 1:
            return self.numbers, self.scales
        length = self.numbers.shape[self.axis]
        spread = np.repeat(self.scales, self.step, axis=self.axis).take(np.arange(length), axis=self.axis)
        return self.numbers * spread, np.ones((1, 1))


def _stretches(a: _Side, b: _Side) -> Iterator[tuple[int, int]]:
    """The stretches of k in which neither scale changes, in order."""
    length = a.numbers.shape[1]
    ends = sorted({*range(0, length, a.step), *range(0, length, b.step), length})
    yield from itertools.pairwise(ends)


def _exact_terms(a: _Side, b: _Side) -> tuple[list[Matrix], Matrix]:
    """Terms whose sum, times the second matrix, is the exact product."""
    (x, of_x), (y, of_y) = a.folded, b.folded
    return _products(x, y, span_of_array(x), span_of_array(y))[0], of_x * of_y


def _accumulated(a: _Side, b: _Side, by: FloatFormat) -> Matrix:
    """The product with each stretch's scaled sum rounded to a format, and added in order."""
    spans = span_of_array(a.numbers), span_of_array(b.numbers)
    scale_digits = a.scheme.scale.precision + b.scheme.scale.precision
    total = None
    for start, stop in _stretches(a, b):
        terms, bits = _products(a.along_k(a.numbers, start, stop), b.along_k(b.numbers, start, stop), *spans)
        scales = a.scales_at(a.scales, start) * b.scales_at(b.scales, start)
        if len(terms) == 1 and bits + scale_digits <= EXACT_BITS:
            scaled = _rounded([terms[0] * scales], [np.ones((1, 1))], by, {})
        else:
            scaled = _rounded(terms, [scales], by, {})
        if not (a.finite and b.finite):
            special = _specials(a, b, (start, stop))
            scaled = np.where(special == 0, scaled, decode(encode(special, by), by))
        total = scaled if total is None else add(total, scaled, result=by)
    if total is None:
        return np.zeros((a.numbers.shape[0], b.numbers.shape[1]))
    return np.asarray(total, np.float64)


def _products(a: Matrix, b: Matrix, of_a: Span, of_b: Span) -> tuple[list[Matrix], int]:
    """Exact matrices whose sum is the product, and the bits of an element if there is one such matrix."""
    grows = max(a.shape[1] - 1, 0).bit_length()
    room = EXACT_BITS - grows
    half = room // 2
    width = max(half, room - of_b.bits), max(half, room - of_a.bits)
    if of_a.bits + of_b.bits <= room:
        width = of_a.bits, of_b.bits
    products = [x @ y for x in _split(a, of_a, width[0]) for y in _split(b, of_b, width[1])]
    return [np.where(product == 0, 0.0, product) for product in products], of_a.bits + of_b.bits + grows


def _split(x: Matrix, span: Span, width: int) -> list[Matrix]:
    """Matrices whose sum is x: integers of `width` bits times powers of two."""
    if span.bits <= width:
        return [x]
    terms = []
    for top in range(span.low + span.bits - width, span.low - width, -width):
        unit = math.ldexp(1.0, max(top, span.low))
        term = np.trunc(x / unit) * unit
        x = x - term
        terms.append(term)
    return [term for term in terms if term.any()] or [x]


def _specials(a: _Side, b: _Side, stretch: tuple[int, int]) -> Matrix:
    """NaN and infinities among a stretch's scaled sums; 0 for sums that are finite."""
    x, y = a.along_k(a.all_numbers, *stretch), b.along_k(b.all_numbers, *stretch)
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
    scales = a.scales_at(a.all_scales, stretch[0]) * b.scales_at(b.all_scales, stretch[0])
    infinities = np.where(count > 0, np.copysign(np.inf, excess), 0.0)
    with np.errstate(invalid="ignore"):  # a scale of 0
        return np.asarray(np.where(invalid | np.isnan(scales), np.nan, infinities * scales))


def _all_specials(a: _Side, b: _Side) -> Matrix:
    """NaN and infinities of the whole product; 0 for finite numbers."""
    total = np.zeros((a.numbers.shape[0], b.numbers.shape[1]))
    with np.errstate(invalid="ignore"):  # infinities of both signs
        for stretch in _stretches(a, b):
            total += _specials(a, b, stretch)
    return total


def _have_room(terms: list[Matrix]) -> bool:
    """Whether products with numbers of 24 digits are exact in float64."""
    return all(not np.any(term.view(np.uint64) & np.uint64((1 << 24) - 1)) for term in terms)


def _times(terms: list[Matrix], factor: float) -> list[Matrix]:
    """The same sum times a factor of 24 digits, exactly."""
    if _have_room(terms):
        return [term * factor for term in terms]
    high = [(term.view(np.uint64) & ~np.uint64((1 << 27) - 1)).view(np.float64) for term in terms]
    return [term * factor for term in [*high, *(t - h for t, h in zip(terms, high, strict=True))]]


def _rounded(terms: list[Matrix], factors: list[Matrix], target: Any, rules: dict[str, Any]) -> NDArray[Any]:
    """The sum of the terms, times the sum of the factors, rounded once."""
    pairs = [(term, factor) for term in terms for factor in factors]
    if len(pairs) > 1:
        shape = np.broadcast_shapes(*(matrix.shape for matrix in pairs[0]))
        left, right = (
            np.stack([np.broadcast_to(m, shape) for m in side], axis=-1) for side in zip(*pairs, strict=True)
        )
        return np.asarray(vecdot(left, right, result=target, **rules))
    ((term, factor),) = pairs
    if factor.size == 1 and factor[0, 0] == 1:
        return np.asarray(decode(encode(term, target, **rules), target))
    return np.asarray(multiply(term, factor, result=target, **rules))

"""A tool's arithmetic carried out: scales, zero points and quotients, each operation rounded as `Steps` says."""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fpemu.arithmetic import add, divide, fma, multiply, subtract
from fpemu.casting import cast, decode, encode
from fpemu.casting.fpu import fpu_is_fit
from fpemu.casting.plans import by_bins
from fpemu.formats import BFLOAT16, FLOAT16, FLOAT32, FloatFormat, Format, IntFormat, TableFormat
from fpemu.formats.facts.exactness import finite_ends
from fpemu.formats.rules import NanRule
from fpemu.quantization.definition.profiles import SCALE_RULES
from fpemu.quantization.definition.scaled_format import ScaledFormat
from fpemu.quantization.definition.tool_arithmetic import Steps

__all__ = ["Arithmetic", "Scales", "Statistics", "Stepped", "fpu_is_fit", "is_zero", "wide"]

Floats = NDArray[Any]
Single = NDArray[np.float32]

FLOAT32_MAX = np.float32(np.finfo(np.float32).max)
NARROW = (BFLOAT16, FLOAT16)
X86 = "x86-sse"  # whose NaNs have signs
_WITH_INFINITY = SCALE_RULES.replace(overflow="standard", infinity="standard")


class Statistics(NamedTuple):
    """What a rule looks at, for each block, as float64: the smallest and the largest number, or 0 and the magnitude."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]


class Scales(NamedTuple):
    """Scales as codes and values, and what numbers are divided or multiplied by, the second level's value included.

    `divisors` of exact schemes: float64; infinity where a scale is 0, so that quotients are 0.
    """

    codes: NDArray[Any]
    values: NDArray[Any]
    divisors: NDArray[Any]


def wide(x: Floats) -> NDArray[np.float64]:
    """Floats as float64 numbers; subnormal ones too where the FPU takes those for zero."""
    if fpu_is_fit():
        return x.astype(np.float64)
    return np.asarray(cast(x, "float64"))


def single(x: Any) -> Single:
    """Numbers in float32, to nearest even, whatever the FPU's modes are."""
    if isinstance(x, np.ndarray) and x.dtype == np.float32:
        return x
    return np.asarray(x, np.float32) if fpu_is_fit() else np.asarray(cast(x, FLOAT32, dtype=np.float32))


def is_zero(x: Floats) -> NDArray[np.bool_]:
    """Whether floats of 32 or 64 bits are zeros; subnormal ones are none, whatever the FPU takes them for."""
    words = x.view(f"u{x.itemsize}")
    return np.asarray(words << words.dtype.type(1) == 0)


class Arithmetic:
    """Operations on float32 arrays, each rounded once to a type: by the FPU where it is fit, and the type float32."""

    def __init__(self, fmt: Format) -> None:
        assert isinstance(fmt, FloatFormat)
        self.fmt = fmt
        self.native = fmt == FLOAT32 and fpu_is_fit()

    def divide(self, a: Any, b: Any) -> Single:
        return self._done(np.divide, divide, a, b)

    def multiply(self, a: Any, b: Any) -> Single:
        return self._done(np.multiply, multiply, a, b)

    def add(self, a: Any, b: Any) -> Single:
        return self._done(np.add, add, a, b)

    def subtract(self, a: Any, b: Any) -> Single:
        return self._done(np.subtract, subtract, a, b)

    def rounded(self, a: Any) -> Single:
        """Numbers of float64 in the type."""
        return np.asarray(cast(np.asarray(a, np.float64), self.fmt, dtype=np.float32))

    def _done(self, fast: Any, exact: Any, a: Any, b: Any) -> Single:
        if self.native:
            with np.errstate(all="ignore"):
                return np.asarray(fast(np.asarray(a, np.float32), np.asarray(b, np.float32)))
        return np.asarray(exact(single(a), single(b), result=self.fmt, profile=X86), np.float32)


class Stepped:
    """The stages of a scheme under the steps of its profile, for numbers of a format."""

    def __init__(self, scheme: ScaledFormat, steps: Steps, source: Format) -> None:
        self.scheme, self.steps = scheme, steps
        narrow = steps.arithmetic == "input" and source in NARROW
        self.ops = Arithmetic(source if narrow else FLOAT32)
        self.element = scheme.element
        self.divisor = scheme.divisor
        if isinstance(self.element, IntFormat):
            half = 2 if steps.reduce_range else 1
            self.ends = self.element.min_int // half, self.element.max_int // half
            span = self.ends[1] - self.ends[0]
            if steps.divisor == "half_span":
                self.divisor = span / 2
            elif scheme.scale_rule.divisor == "span":
                self.divisor = float(span)
        self.scale_rules = _WITH_INFINITY if scheme.scale.has("infinity") else SCALE_RULES

    # -- scales -------------------------------------------------------------------------------------------------------

    def extent(self, found: Statistics) -> Single:
        """The largest magnitude, or the largest number less the smallest; a NaN if there is one."""
        return single(found.high) if is_zero(found.low).all() else self.ops.subtract(found.high, found.low)

    def second_scale(self, found: Statistics) -> float:
        """The second level's scale, as the block's scale needs it."""
        steps, ops = self.steps, self.ops
        extent = np.max(wide(self.extent(found)))
        top = steps.second_top or self.scheme.largest_scale
        whole = np.float32(finite_ends(self.element)[1] * int(top))
        if steps.second == "divide":
            return float(wide(ops.divide(extent, whole))) or 1.0
        scale = float(wide(ops.divide(whole, extent)))
        return 1.0 if extent == 0 or scale == 0 else float(_at_most(scale))

    def kept(self, second: float | None) -> float | None:
        """The second level's scale by which elements are multiplied; from it that of `second_scale` follows again."""
        if second is None or self.steps.second != "inverse":
            return second
        return float(wide(self.ops.divide(1, second)))

    def scales(self, found: Statistics, second: float | None, ragged: bool, larger: float = 1.0) -> Scales:
        """Each block's scale; `ragged`: the last one of a row has fewer numbers; `larger`: by how much it is larger."""
        steps, ops = self.steps, self.ops
        real = self._scales(found, second)
        if larger != 1:
            real = ops.multiply(real, larger)
        least = steps.least
        if isinstance(least, str):
            least = math.ldexp(1.0, ops.fmt.emin)
        if least:
            real = _at_least(real, least)
        if steps.powers:
            powers = (wide(real).view(np.uint64) & np.uint64(0x7FF << 52)).view(np.float64)
            real = np.where(np.isfinite(real), single(powers), real)
        by = real
        if steps.factor == "scales":
            real = ops.divide(1, real)
        elif steps.factor == "wide":
            by = _without_zeros(real)
        if steps.ragged and ragged:
            real = real.copy()
            real[..., -1] = self._held(real[..., -1])
        rounding = self.scheme.scale_rule.rounding
        codes = np.asarray(encode(real, self.scheme.scale, profile=self.scale_rules, rounding=rounding))
        made = self.given(codes, second)
        return made._replace(divisors=by) if steps.factor in ("scales", "wide") else made

    def _scales(self, found: Statistics, second: float | None) -> Single:
        """The scale in the type, before anything holds it."""
        steps, ops, divisor = self.steps, self.ops, self.divisor
        extent = self.extent(found)
        if steps.scale == "two_sided":
            lost = np.isnan(found.low) | np.isnan(found.high)
            below, above = ops.divide(found.low, self.ends[0]), ops.divide(found.high, self.ends[1])
            return np.where(lost, np.float32(np.nan), np.where(below > above, below, above))
        if steps.scale == "inverse":
            least = np.maximum(wide(extent), steps.least_statistic)
            if ops.native:
                with np.errstate(all="ignore"):
                    return (divisor / least).astype(np.float32)
            return ops.rounded(divide(np.full(least.shape, divisor), least, result="float64"))
        if steps.scale == "folded":
            return ops.multiply(extent, ops.multiply(second, ops.divide(1, divisor)))
        scale = ops.divide(extent, divisor)
        if second is None:
            return scale
        return ops.multiply(scale, second) if steps.scale == "multiply" else ops.divide(scale, second)

    def given(self, codes: NDArray[Any], second: float | None) -> Scales:
        """Scales from their codes."""
        ops, factor = self.ops, self.steps.factor
        values = np.asarray(decode(codes, self.scheme.scale))
        by = single(values)
        if factor == "scales":
            by = ops.divide(1, by)
        elif factor == "wide":
            by = _without_zeros(by)
        elif factor == "nested_reciprocal":
            by = ops.divide(ops.divide(1, second), by)
        elif factor == "undone":
            by = _at_most(ops.divide(1, ops.multiply(by, ops.divide(1, second))))
        elif factor in ("normal", "rceil"):  # powers of two
            least = np.where(codes == 0, np.float32(2.0**-126 if factor == "normal" else 1), by)
            by = ops.divide(1, np.where(np.isnan(by) & (factor == "normal"), np.float32(np.inf), least))
        else:
            by = self._held(by)
        return Scales(codes, values, by)

    def _held(self, scales: Single) -> Single:
        least = self.steps.least_divisor
        return _at_least(scales, least) if least else scales

    def zero_points(self, found: Statistics, made: Scales) -> NDArray[np.int64]:
        """Each block's zero point: the lowest integer less the smallest number over the scale, rounded, in range."""
        assert isinstance(self.element, IntFormat)
        if self.scheme.scale_rule.statistic != "minmax":
            return np.full(made.values.shape, self.scheme.middle, np.int64)
        low, high = self.ends
        ratio = np.rint(wide(self.ops.divide(found.low, made.values)))
        lost = np.isnan(ratio) | np.isnan(found.high)
        moved = np.clip(low - np.where(lost, 0, ratio), low, high)
        return np.where(lost, self.steps.lost_zero_point, moved).astype(np.int64)

    # -- quotients ----------------------------------------------------------------------------------------------------

    def quotients(self, x: Single, by: NDArray[Any], zeros: NDArray[Any] | None, block: int, out: Single) -> None:
        """Numbers over their blocks' scales into `out`; the zero points too where they are not added later."""
        from fpemu.kernels.cpu import blocks as scaling

        steps, ops = self.steps, self.ops
        divides = steps.factor == "divide"
        inverted = steps.factor in ("reciprocal", "wide")
        factors = ops.divide(1, by) if inverted else np.ascontiguousarray(by)
        moves = steps.zero != "after"
        points = np.zeros(by.shape, np.float32) if zeros is None else zeros.astype(np.float32)
        points += np.float32(0.5 if steps.zero == "half" else 0)
        if not ops.native or (divides and moves):
            spread = functools.partial(_spread, block=block, length=x.shape[1])
            if moves and steps.zero == "fused" and not divides:
                out[...] = fma(x, spread(factors), spread(points), result=ops.fmt, profile=X86)
            else:
                out[...] = (ops.divide if divides else ops.multiply)(x, spread(factors))
                if moves:
                    out[...] = ops.add(out, spread(points))
        elif divides:
            scaling.divided(x, factors, block, out)
        elif moves:
            scaling.scale_and_shift(x, factors, points, block, steps.zero == "fused", out)
        else:
            scaling.multiplied(x, factors, block, np.float32(1), out)
        short = x.shape[1] % block
        if steps.ragged and short:
            out[:, -short:] = ops.divide(x[:, -short:], by[:, -1:])
        if steps.beyond != "saturate":
            self._beyond(zeros, block, out)

    def _beyond(self, zeros: NDArray[Any] | None, block: int, out: Single) -> None:
        wrong = ~(np.abs(out) < self.steps.limit)
        if wrong.any():
            ends: Any = np.float32(0 if self.steps.beyond == "zero" else -np.inf)
            if self.steps.beyond == "wrapped" and zeros is not None:
                ends = _spread(np.where(zeros < 0, np.float32(np.inf), ends), block, out.shape[1])
            np.copyto(out, ends, where=wrong)

    def zero_of_nan(self, quotients: Single, zeros: NDArray[Any], block: int) -> None:
        """Where NaN becomes the integer 0: the quotients that do with their zero points."""
        if self.scheme.own_profile.elements.nan in (NanRule.MAX, NanRule.MIN):
            return
        lost = np.isnan(quotients)
        if lost.any():
            np.copyto(quotients, _spread(-zeros.astype(np.float32), block, quotients.shape[1]), where=lost)

    def mend(self, quotients: Single, by: Single, block: int, out: NDArray[Any]) -> None:
        """The codes of NaN in float formats without it."""
        code = dict(self.steps.nan_codes).get(self.element.name)
        if code is None or not isinstance(self.element, FloatFormat) or self.element.nan != "none":
            return
        if np.isfinite(by).all() and (by > 0).all():
            return  # no NaN in, and none made
        lost = np.isnan(quotients)
        signs = np.where(np.signbit(quotients), self.element.sign_mask, 0).astype(out.dtype)
        np.copyto(out, signs | out.dtype.type(code), where=lost)

    def codebook(self, quotients: Single, out: NDArray[Any]) -> None:
        """Codes of a codebook that is not searched for the nearest value."""
        assert isinstance(self.element, TableFormat)
        if self.steps.codebook == "midpoints":
            _midpoints(self.element)(quotients.reshape(-1), out.reshape(-1))
            return
        ops = self.ops
        held = np.clip(np.where(np.isnan(quotients), np.float32(0), quotients), np.float32(-1), np.float32(1))
        place = ops.add(ops.multiply(ops.multiply(ops.add(held, 1), 0.5), 65535), 0.5)
        out[...] = _places(self.element)[place.astype(np.int64)]

    # -- the smaller error --------------------------------------------------------------------------------------------

    def error(self, x: Single, codes: NDArray[Any], scale: NDArray[Any], amax: float, block: int) -> Single:
        """The sum of errors in each block of `codes`, `scale` its value; see `kernels.cpu.blocks.block_errors`."""
        top = self.steps.second_top or self.scheme.largest_scale
        whole = np.float32(finite_ends(self.element)[1] * int(top))
        squared, scale = self.steps.choose == "mse", np.ascontiguousarray(scale, np.float32)
        width = self.scheme.block[1] if isinstance(self.scheme.block, tuple) else block
        shape = block // width, width
        if not self.ops.native:
            return self._error(x, codes, scale, (amax, whole), shape)
        from fpemu.kernels.cpu.blocks import block_errors

        sums = np.empty(scale.shape, np.float32)
        numbers = np.array([amax, whole], np.float32)
        block_errors(x, codes, _values(self.element), scale, numbers, shape, squared, sums)
        return sums

    def _error(
        self, x: Single, codes: NDArray[Any], scale: Single, numbers: tuple[float, Any], shape: tuple[int, int]
    ) -> Single:
        """The same by the general kernels."""
        ops, (rows, width), count = self.ops, shape, scale.shape[1]
        by = _spread(scale, rows * width, x.shape[1])
        value = ops.multiply(ops.multiply(_values(self.element)[codes], by), numbers[0])
        off = ops.subtract(ops.divide(value, numbers[1]), x)
        off = ops.multiply(off, off) if self.steps.choose == "mse" else np.abs(off)
        parts = np.zeros((len(x), count * rows * width), np.float32)
        parts[:, : x.shape[1]] = off
        parts = parts.reshape(len(x), count, rows, width)
        sums: NDArray[Any] = np.zeros(parts.shape[:-1], np.float32)
        for i in range(width):
            sums = ops.add(sums, parts[..., i])
        while sums.shape[-1] > 1:
            half = sums.shape[-1] // 2
            sums = ops.add(sums[..., :half], sums[..., half:])
        return sums[..., 0]


def _at_least(scales: Single, least: float) -> Single:
    """The larger of both, as numpy's maximum has it; of subnormal ones too, whatever the FPU takes them for."""
    if fpu_is_fit():
        return np.maximum(scales, np.float32(least))
    bound = single(np.full(1, least))
    return np.where((_in_order(scales) < _in_order(bound)) & ~np.isnan(scales), bound, scales)


def _at_most(scales: Any) -> Any:
    """The smaller of numbers and float32's largest."""
    return np.where(scales > FLOAT32_MAX, FLOAT32_MAX, scales)


def _without_zeros(scales: Single) -> Single:
    """Infinities in the place of zeros, so that quotients are 0; subnormal ones are none, whatever the FPU says."""
    return np.where(is_zero(scales), np.float32(np.inf), scales)


@functools.lru_cache(maxsize=16)
def _values(element: Format) -> Single:
    """The values of all codes."""
    return np.asarray(decode(np.arange(element.code_count, dtype=element.code_dtype), element), np.float32)


def _spread(of_blocks: NDArray[Any], block: int, length: int) -> NDArray[Any]:
    return np.repeat(of_blocks, block, axis=1)[:, :length]


@functools.lru_cache(maxsize=16)
def _midpoints(book: TableFormat) -> Any:
    """A loop from numbers to codes by midpoints in float32; a number on one goes down, NaN to the largest value.

    Midpoints are rounded by the general kernels: they stay, whatever the FPU's modes were when they were made.
    """
    from fpemu.casting.thresholds import bins_of

    # of equal values (zeros) the lower code comes first
    order = sorted(range(book.code_count), key=lambda code: (book.entries[code], code))
    values = cast(np.array(book.entries)[order], FLOAT32, dtype=np.float32)
    marks = np.asarray(divide(add(values[1:], values[:-1], result=FLOAT32), 2, result=FLOAT32), np.float32)
    codes = np.array(order, book.code_dtype)
    search = by_bins(lambda: bins_of(marks), codes, np.array([order[-1], order[-1], order[0]], book.code_dtype))

    def work(numbers: Single, out: NDArray[Any]) -> None:
        if search(numbers, out):
            return
        places = np.searchsorted(_in_order(marks), _in_order(numbers))
        out[...] = np.where(np.isnan(numbers), order[-1], codes[places])

    return work


def _in_order(numbers: Single) -> NDArray[np.int32]:
    """Integers in the order of the numbers, whatever the FPU takes subnormals for."""
    bits = (numbers.view(np.int32) if numbers.flags.c_contiguous else numbers.copy().view(np.int32)).copy()
    return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)


@functools.lru_cache(maxsize=4)
def _places(book: TableFormat) -> NDArray[Any]:
    """The code of the entry nearest to each of 65,536 numbers from -1 to 1; of ascending entries."""
    from fractions import Fraction  # `import fpemu` goes without it

    places = np.arange(65536) * 2 - 65535
    ends = [math.floor((Fraction(a) + Fraction(b)) / 2 * 65535) for a, b in itertools.pairwise(book.entries)]
    return np.searchsorted(ends, places).astype(book.code_dtype)

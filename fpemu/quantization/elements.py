"""Elements: codes of numbers over their blocks' scales, each quotient rounded by a cast to the element format."""

from __future__ import annotations

import enum
import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu.casting import decode, encode
from fpemu.casting.buffers import Scratch
from fpemu.casting.lowering import lower_rules
from fpemu.casting.plans import Plan, plan
from fpemu.casting.stochastic import Randoms
from fpemu.formats import INT32, FloatFormat, IntFormat
from fpemu.formats import dtype as find_format
from fpemu.formats.facts.exactness import deciding_digits, digits
from fpemu.formats.rules import Overflow, Rounding
from fpemu.kernels.spec import NAN_POSITIVE
from fpemu.quantization.definition.scaled_format import ScaledFormat

__all__ = ["Elements", "QuotientMethod", "add_zero_points", "quotient_method"]

LEAST_INVERSE = 2.0**-126  # of inverses in float32
LEAST_QUANTUM = -100  # the smallest exponent of an element's quantum for which float32 quotients suffice
SHORT_BITS = 16  # most bits of an integer that is computed through float32


class QuotientMethod(enum.Enum):
    """The ways to compute quotients of numbers and scales."""

    RECIPROCAL_FLOAT32 = "times 1 / scale in float32: exact, since scales are powers of two"
    RECIPROCAL_FLOAT64 = "times 1 / scale in float64: exact, since scales are powers of two"
    DIVISION = "divided in float64, whose quotient is on the same side of each rounding boundary as the exact one"
    NEAR_TIE_DIVISION = "times 1 / scale in float32; divided instead where the product is near a tie"
    INTEGERS = "as NEAR_TIE_DIVISION, and rounded to integers in the same loop"

    @property
    def dtype(self) -> np.dtype[Any]:
        """The float type of the quotients."""
        wide = self in (QuotientMethod.RECIPROCAL_FLOAT64, QuotientMethod.DIVISION)
        return np.dtype(np.float64 if wide else np.float32)


def quotient_method(scheme: ScaledFormat, source: np.dtype[Any], scales_follow: bool) -> QuotientMethod | None:
    """The FPU's method that computes codes from numbers of a float type; None if it would round twice.

    Parameters
    ----------
    scheme : ScaledFormat
    source : numpy.dtype
        float32 or float64.
    scales_follow : bool
        Whether scales are computed from the numbers, which bounds the quotients by about the element's largest value.

    Returns
    -------
    QuotientMethod or None
    """
    element, rounding = scheme.element, scheme.own_profile.elements.rounding
    is_float32 = source == np.float32
    nearest = isinstance(rounding, Rounding) and rounding.value.startswith("nearest")
    deep = isinstance(element, FloatFormat) and element.quantum_exponent < LEAST_QUANTUM
    two_levels = isinstance(scheme.second_level, FloatFormat)
    if scheme.zero_point is not None and element.bits > SHORT_BITS:
        return None
    if scheme.scale.precision == 1 and not two_levels:
        if not is_float32 and (not nearest or deep):
            return None
        if is_float32 and nearest and not deep and scales_follow:
            return QuotientMethod.RECIPROCAL_FLOAT32
        return QuotientMethod.RECIPROCAL_FLOAT64
    second = digits(scheme.second_level) if isinstance(scheme.second_level, FloatFormat) else 0
    needed = digits(scheme.scale) + second + deciding_digits(element)
    if not is_float32 or deep or needed > 52 or not isinstance(rounding, Rounding):
        return None
    if _is_plain_integer(scheme):
        return QuotientMethod.INTEGERS
    regular = isinstance(element, FloatFormat) and element.subnormals and 2 <= element.precision <= 12
    return QuotientMethod.NEAR_TIE_DIVISION if nearest and regular and scales_follow else QuotientMethod.DIVISION


def _is_plain_integer(scheme: ScaledFormat) -> bool:
    """Whether elements are integers of few bits, rounded to nearest even, and saturate."""
    element, rules = scheme.element, scheme.own_profile.elements
    return (
        isinstance(element, IntFormat)
        and element.bits <= SHORT_BITS
        and element.fraction_bits == 0
        and (element.encoding == "twos_complement" or not element.signed)
        and rules.rounding is Rounding.NEAREST_EVEN
        and rules.overflow is not Overflow.WRAP
        and rules == element.check_profile(rules).replace(name=rules.name)
    )


class Elements:
    """Codes of numbers over their blocks' scales, a chunk at a time.

    Parameters
    ----------
    scheme : ScaledFormat
    method : QuotientMethod
    block : int
        Elements of a block.
    randoms : Randoms
    """

    def __init__(self, scheme: ScaledFormat, method: QuotientMethod, block: int, randoms: Randoms) -> None:
        self.scheme, self.method, self.block, self.randoms = scheme, method, block, randoms
        self.scratch = Scratch()
        self._plans: dict[str, Plan] = {}
        rules = scheme.own_profile.elements
        self._target = scheme.element if scheme.zero_point is None else INT32
        short = isinstance(scheme.element, IntFormat) and scheme.element.bits <= SHORT_BITS
        self._rounds_integers = short and scheme.zero_point is not None and rules.rounding is Rounding.NEAREST_EVEN

    def __call__(
        self, x: NDArray[Any], divisors: NDArray[np.float64], zeros: NDArray[Any] | None, first: int, out: NDArray[Any]
    ) -> None:
        """Write codes into `out`; `first`: the position of the first element of `x`, in C order."""
        from fpemu.kernels.cpu import blocks

        method = self.method
        with np.errstate(over="ignore", under="ignore"):
            inverses = (1.0 / divisors).astype(method.dtype)
        if method is QuotientMethod.NEAR_TIE_DIVISION and not _are_normal(inverses, divisors):
            method = QuotientMethod.DIVISION
        if method is not QuotientMethod.DIVISION:
            self.by_inverses(x, inverses, divisors, zeros, first, out)
            return
        quotients = self.scratch.of("quotients", x.size, method.dtype).reshape(x.shape)
        blocks.divided(x, divisors, self.block, quotients)
        self._round(quotients, zeros, first, out)

    def by_inverses(
        self,
        x: NDArray[Any],
        inverses: NDArray[Any],
        divisors: NDArray[np.float64] | None,
        zeros: NDArray[Any] | None,
        first: int,
        out: NDArray[Any],
    ) -> None:
        """Write codes into `out`, from the scales' inverses, and from the scales where the inverses are not exact."""
        from fpemu.kernels.cpu import blocks

        method = self.method
        if method is QuotientMethod.INTEGERS:
            points = np.zeros(inverses.shape, np.int32) if zeros is None else zeros.astype(np.int32)
            blocks.integers(x, inverses, divisors, points, self.block, self._limits, self._mask, out)
            return
        quotients = self.scratch.of("quotients", x.size, method.dtype).reshape(x.shape)
        if method is QuotientMethod.NEAR_TIE_DIVISION:
            blocks.float32_quotients(x, inverses, divisors, self.block, *self._ties, quotients.view(np.uint32))
        else:
            blocks.multiplied(x, inverses, self.block, method.dtype.type(1), quotients)
        self._round(quotients, zeros, first, out)

    def _round(self, quotients: NDArray[Any], zeros: NDArray[Any] | None, first: int, out: NDArray[Any]) -> None:
        """Round quotients to codes and add the zero points, if any."""
        from fpemu.kernels.cpu import blocks

        if zeros is not None and self._rounds_integers:
            blocks.shifted_integers(quotients, zeros.astype(np.int32), self.block, self._limits, self._mask, out)
            return
        words = quotients.view(f"u{quotients.itemsize}")
        work = self._plan(quotients.dtype.name)
        flat = words.reshape(-1)
        randoms = self.randoms.chunk(first, first + quotients.size)
        if zeros is None:
            work(flat, out.reshape(-1), randoms)
            return
        integers = self.scratch.of("wide", flat.size, work.out_dtype)
        work(flat, integers, randoms)
        points = np.repeat(zeros, self.block, axis=1)[:, : quotients.shape[1]]
        out[...] = add_zero_points(integers.view(np.int32).reshape(quotients.shape), points, self.scheme)

    def _plan(self, source: str) -> Plan:
        """The plan from quotients to codes, looked up once, not for each chunk."""
        if source not in self._plans:
            rules = self._target.check_profile(self.scheme.own_profile.elements)
            self._plans[source] = plan(find_format(source), self._target, rules, None)
        return self._plans[source]

    @functools.cached_property
    def _limits(self) -> NDArray[np.float64]:
        """The limits that `fpemu.kernels.cpu.blocks.shifted_integers` takes."""
        element = self.scheme.element
        assert isinstance(element, IntFormat)
        rules = lower_rules(INT32, INT32.check_profile(self.scheme.own_profile.elements), False, True)
        nan = int(decode(np.uint32(rules[NAN_POSITIVE] % (1 << 32)), INT32))
        return np.array([element.min_int, element.max_int, 1.5 * 2.0**52, nan])

    @functools.cached_property
    def _mask(self) -> np.uint32:
        return np.uint32((1 << self.scheme.element.bits) - 1)

    @functools.cached_property
    def _ties(self) -> tuple[np.uint32, np.uint32, np.uint32]:
        """The constants that `fpemu.kernels.cpu.blocks.is_near_tie` takes."""
        element = self.scheme.element
        assert isinstance(element, FloatFormat)
        tie = 1 << (24 - element.precision - 1)
        return np.uint32((element.emin + 127) << 23), np.uint32(tie), np.uint32(tie - 1)


def _are_normal(inverses: NDArray[np.float32], divisors: NDArray[np.float64]) -> bool:
    """Whether each inverse is normal, NaN, or the inverse of infinity."""
    small = (np.abs(inverses) < LEAST_INVERSE) & (divisors != np.inf)
    return not (small.any() or np.isinf(inverses).any())


def add_zero_points(integers: NDArray[Any], zeros: NDArray[np.int64], scheme: ScaledFormat) -> NDArray[Any]:
    """Return the codes of integers plus their zero points, saturated.

    Parameters
    ----------
    integers : numpy.ndarray
    zeros : numpy.ndarray
        One for each integer.
    scheme : ScaledFormat

    Returns
    -------
    numpy.ndarray
    """
    element = scheme.element
    assert isinstance(element, IntFormat)
    # prevents overflow of the sums
    clipped = np.clip(integers.astype(np.int64), element.min_int - zeros, element.max_int - zeros)
    return np.asarray(encode(clipped + zeros, element))

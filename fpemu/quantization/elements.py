"""From numbers and their blocks' scales to codes: quotients, rounded to the element format by its own casts."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

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
from fpemu.kernels import spec as places
from fpemu.quantization.definition.scaled_format import ScaledFormat
from fpemu.quantization.tool_scales import Stepped

__all__ = ["Elements", "SteppedElements", "Way", "shifted", "way"]

# How quotients come about.  `MULTIPLIED`: exactly, scales being powers of two; `DIVIDED`: in float64, whose quotients
# lie on the exact ones' side of wherever a rounding decides; `NEAR`: times an inverse in float32, and divided where it
# could matter; `INTEGERS`: the same, and rounded at once.
MULTIPLIED, DIVIDED, NEAR, INTEGERS = range(4)

LEAST = 2.0**-126  # of inverses in float32
SMALLEST = -100  # the exponent of an element's quantum, for which quotients in float32 are good enough
SHORT = 16  # bits of an integer that float32 carries on the way


class Way(NamedTuple):
    """How quotients come about, and the float type that they have."""

    kind: int
    dtype: np.dtype[Any]


def way(scheme: ScaledFormat, source: np.dtype[Any], own_scales: bool) -> Way | None:
    """How to get from numbers of a float type to codes by FPU; None where that would round twice.

    Parameters
    ----------
    scheme : ScaledFormat
    source : numpy.dtype
        float32 or float64.
    own_scales : bool
        Whether scales follow from the numbers, so that no quotient is far beyond the element's largest value.

    Returns
    -------
    Way or None
    """
    element, rounding = scheme.element, scheme.own_profile.elements.rounding
    single, double = np.dtype(np.float32), np.dtype(np.float64)
    nearest = isinstance(rounding, Rounding) and rounding.value.startswith("nearest")
    deep = isinstance(element, FloatFormat) and element.quantum_exponent < SMALLEST
    two = isinstance(scheme.second_level, FloatFormat)
    if scheme.zero_point is not None and element.bits > SHORT:
        return None
    if scheme.scale.precision == 1 and not two:
        if source != single and (not nearest or deep):
            return None
        return Way(MULTIPLIED, single if source == single and nearest and not deep and own_scales else double)
    second = digits(scheme.second_level) if isinstance(scheme.second_level, FloatFormat) else 0
    needed = digits(scheme.scale) + second + deciding_digits(element)
    if source != single or deep or needed > 52 or not isinstance(rounding, Rounding):
        return None
    if _is_plain_integer(scheme):
        return Way(INTEGERS, single)
    regular = isinstance(element, FloatFormat) and element.subnormals and 2 <= element.precision <= 12
    return Way(NEAR, single) if nearest and regular and own_scales else Way(DIVIDED, double)


def _is_plain_integer(scheme: ScaledFormat) -> bool:
    """Whether elements are integers of few bits, rounded to nearest even, and saturate."""
    element, rules = scheme.element, scheme.own_profile.elements
    return (
        isinstance(element, IntFormat)
        and element.bits <= SHORT
        and element.fraction_bits == 0
        and (element.encoding == "twos_complement" or not element.signed)
        and rules.rounding is Rounding.NEAREST_EVEN
        and rules.overflow is not Overflow.WRAP
        and rules == element.check_profile(rules).replace(name=rules.name)
    )


class Elements:
    """Numbers over their blocks' scales, as codes, a piece at a time.

    Parameters
    ----------
    scheme : ScaledFormat
    how : Way
    block : int
        Elements of a block.
    randoms : Randoms
    """

    def __init__(self, scheme: ScaledFormat, how: Way, block: int, randoms: Randoms) -> None:
        self.scheme, self.how, self.block, self.randoms = scheme, how, block, randoms
        self.scratch = Scratch()
        self._plans: dict[str, Plan] = {}
        rules = scheme.own_profile.elements
        self._target = scheme.element if scheme.zero_point is None else INT32
        short = isinstance(scheme.element, IntFormat) and scheme.element.bits <= SHORT
        self._at_once = short and scheme.zero_point is not None and rules.rounding is Rounding.NEAREST_EVEN

    def __call__(
        self, x: NDArray[Any], divisors: NDArray[np.float64], zeros: NDArray[Any] | None, place: int, out: NDArray[Any]
    ) -> None:
        """Codes into `out`; `place`: the first element's, in C order."""
        from fpemu.kernels.cpu import blocks as kernels

        kind, dtype = self.how
        with np.errstate(over="ignore", under="ignore"):
            inverses = (1.0 / divisors).astype(dtype)
        if kind == NEAR and not _are_normal(inverses, divisors):
            kind, dtype = DIVIDED, np.dtype(np.float64)
        if kind != DIVIDED:
            self.by_inverses(x, inverses, divisors, zeros, place, out)
            return
        quotients = self.scratch.of("quotients", x.size, dtype).reshape(x.shape)
        kernels.divided(x, divisors, self.block, quotients)
        self._round(quotients, zeros, place, out)

    def by_inverses(
        self,
        x: NDArray[Any],
        inverses: NDArray[Any],
        divisors: NDArray[np.float64] | None,
        zeros: NDArray[Any] | None,
        place: int,
        out: NDArray[Any],
    ) -> None:
        """The same where the scales' inverses are known, and where those are not exact the scales."""
        from fpemu.kernels.cpu import blocks as kernels

        kind, dtype = self.how
        if kind == INTEGERS:
            own = np.zeros(inverses.shape, np.int32) if zeros is None else zeros.astype(np.int32)
            kernels.integers(x, inverses, divisors, own, self.block, self._limits, self._mask, out)
            return
        quotients = self.scratch.of("quotients", x.size, dtype).reshape(x.shape)
        if kind == NEAR:
            kernels.float32_quotients(x, inverses, divisors, self.block, *self._ties, quotients.view(np.uint32))
        else:
            kernels.multiplied(x, inverses, self.block, dtype.type(1), quotients)
        self._round(quotients, zeros, place, out)

    def _round(self, quotients: NDArray[Any], zeros: NDArray[Any] | None, place: int, out: NDArray[Any]) -> None:
        """Quotients, and the zero points that are yet to be added, as codes."""
        from fpemu.kernels.cpu import blocks as kernels

        if zeros is not None and self._at_once:
            kernels.shifted_integers(quotients, zeros.astype(np.int32), self.block, self._limits, self._mask, out)
            return
        words = quotients.view(f"u{quotients.itemsize}")
        work = self._plan(quotients.dtype.name)
        flat = words.reshape(-1)
        randoms = self.randoms.chunk(place, place + quotients.size)
        if zeros is None:
            work(flat, out.reshape(-1), randoms)
            return
        wide = self.scratch.of("wide", flat.size, work.out_dtype)
        work(flat, wide, randoms)
        spread = np.repeat(zeros, self.block, axis=1)[:, : quotients.shape[1]]
        out[...] = shifted(wide.view(np.int32).reshape(quotients.shape), spread, self.scheme)

    def _plan(self, source: str) -> Plan:
        """From quotients to codes; looked up once, not for each piece."""
        if source not in self._plans:
            rules = self._target.check_profile(self.scheme.own_profile.elements)
            self._plans[source] = plan(find_format(source), self._target, rules, None)
        return self._plans[source]

    @functools.cached_property
    def _limits(self) -> NDArray[np.float64]:
        """As `fpemu.kernels.cpu.blocks.shifted_integers` takes them."""
        element = self.scheme.element
        assert isinstance(element, IntFormat)
        rules = lower_rules(INT32, INT32.check_profile(self.scheme.own_profile.elements), False, True)
        nan = int(decode(np.uint32(rules[places.NAN_POSITIVE] % (1 << 32)), INT32))
        return np.array([element.min_int, element.max_int, 1.5 * 2.0**52, nan])

    @functools.cached_property
    def _mask(self) -> np.uint32:
        return np.uint32((1 << self.scheme.element.bits) - 1)

    @functools.cached_property
    def _ties(self) -> tuple[np.uint32, np.uint32, np.uint32]:
        """As `fpemu.kernels.cpu.blocks.is_near_tie` takes them."""
        element = self.scheme.element
        assert isinstance(element, FloatFormat)
        tie = 1 << (24 - element.precision - 1)
        return np.uint32((element.emin + 127) << 23), np.uint32(tie), np.uint32(tie - 1)


class SteppedElements(Elements):
    """The same under the steps of a tool: quotients in its arithmetic.

    Parameters
    ----------
    stages : Stepped
    block : int
    randoms : Randoms
    """

    def __init__(self, stages: Stepped, block: int, randoms: Randoms) -> None:
        super().__init__(stages.scheme, Way(MULTIPLIED, np.dtype(np.float32)), block, randoms)
        self.stages = stages
        self._at_once = self._at_once and stages.ops.native  # else by the general kernel
        self._later = stages.scheme.zero_point is not None and stages.steps.zero == "after"
        if not self._later:
            self._target = stages.element

    def __call__(
        self, x: NDArray[Any], divisors: NDArray[Any], zeros: NDArray[Any] | None, place: int, out: NDArray[Any]
    ) -> None:
        """Codes into `out`; `place`: the first element's, in C order."""
        stages = self.stages
        quotients = self.scratch.of("quotients", x.size, np.float32).reshape(x.shape)
        stages.quotients(x, divisors, zeros, self.block, quotients)
        if stages.steps.codebook != "nearest":
            stages.codebook(quotients, out)
            return
        if self._later and zeros is not None:
            stages.zero_of_nan(quotients, zeros, self.block)
        self._round(quotients, zeros if self._later else None, place, out)
        stages.mend(quotients, divisors, self.block, out)


def _are_normal(inverses: NDArray[np.float32], divisors: NDArray[np.float64]) -> bool:
    """Whether each inverse is normal, or NaN, or that of infinity."""
    small = (np.abs(inverses) < LEAST) & (divisors != np.inf)
    return not (small.any() or np.isinf(inverses).any())


def shifted(integers: NDArray[Any], zeros: NDArray[np.int64], scheme: ScaledFormat) -> NDArray[Any]:
    """Codes of integers plus their zero points.

    Parameters
    ----------
    integers : numpy.ndarray
    zeros : numpy.ndarray
        For each integer.
    scheme : ScaledFormat

    Returns
    -------
    numpy.ndarray
    """
    element = scheme.element
    assert isinstance(element, IntFormat)
    held = np.clip(integers.astype(np.int64), element.min_int - zeros, element.max_int - zeros)  # then no sum overflows
    return np.asarray(encode(held + zeros, element))

"""Which kernels carry out a cast: chosen once for a pair of formats and a profile, then kept.

Every plan gives the bits of the general kernel (`fpemu.kernels.scalar.convert`); the others are faster ways to them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fpemu.casting.fpu import FPU_PROBE
from fpemu.casting.lowering import Rules, lower_rules, zeroes_subnormals
from fpemu.casting.stochastic import NO_RANDOMS
from fpemu.formats import FLOAT16, FLOAT32, FLOAT64, IEEE, FloatFormat, Format, IntFormat, Profile, TableFormat
from fpemu.formats.facts.exactness import holds
from fpemu.formats.rules import NanRule, Rounding, SubnormalsIn, Through
from fpemu.kernels import spec as places

if TYPE_CHECKING:
    from fpemu.casting.fast_paths import Route
    from fpemu.casting.thresholds import Bins, Codebook

Codes = NDArray[Any]
# (codes in, codes out, the first element's place in the stream, the random integers or none, the key): one piece
Work = Callable[[Codes, Codes, int, Codes, int], None]


TABLE_BITS = 16  # sources up to this width go through a table of all their codes...
TABLE_SIZE = 1 << 14  # ...where an array is at least this large, or the width 8

_EXACT = IEEE.replace(nan_payload="keep")
_NONE = NO_RANDOMS.given


class Plan:
    """A cast from codes of one format to codes of another, and on to values (codes of a third) where asked.

    Parameters
    ----------
    source, target : Format
    rules : Profile
        As the target's `check_profile` gives it.
    final : FloatFormat or IntFormat or None
        The format of the values wanted, which holds the target's; None: the target's codes are wanted.
    """

    def __init__(self, source: Format, target: Format, rules: Profile, final: FloatFormat | IntFormat | None) -> None:
        self.source, self.target, self.rules, self.final = source, target, rules, final
        self.stochastic = not isinstance(rules.rounding, Rounding)
        self.refuses_nan = rules.nan is NanRule.ERROR
        self.out_dtype = np.dtype((final or target).code_dtype)
        self.looks_up = not self.stochastic and source.bits <= TABLE_BITS and not self._widens()
        self._table: Codes | None = None
        self._work: Work | None = None

    def __call__(self, codes: Codes, out: Codes, first: int = 0, randoms: Codes = _NONE, key: int = 0) -> None:
        """Carry out the cast on one-dimensional, contiguous arrays in native byte order."""
        if self._work is None:
            self._work = self._choose()
        self._work(codes, out, first, randoms, key)

    def prepare(self, size: int) -> None:
        """Before the pieces of an array of `size` elements: make the table of all codes where that is worth it."""
        if self._table is not None or not self.looks_up or (size < TABLE_SIZE and self.source.bits > 8):
            return
        table = self._values()
        if table is None:
            every = np.arange(self.source.code_count, dtype=self.source.code_dtype)
            table = np.empty(every.size, self.out_dtype)
            self._choose()(every, table, 0, _NONE, 0)
        self._table, self._work = table, _take(table)

    def _values(self) -> Codes | None:
        """The table where it has a short format's exact values, without the general kernel, which takes compiling."""
        from fpemu.casting.fast_paths import values

        source, target = self.source, self.target
        if not isinstance(source, FloatFormat) or not isinstance(target, FloatFormat) or self.final is not None:
            return None
        carrier = {FLOAT32.codes_key: "float32", FLOAT64.codes_key: "float64"}.get(target.codes_key)
        if carrier is None or source.bits > 8 or not holds(target, source):
            return None
        return values(source, carrier) if self.rules == target.check_profile(_EXACT) else None

    def _widens(self) -> bool:
        """Whether the codes become float32's by a loop that is faster than a table."""
        from fpemu.casting.fast_paths import widening

        if not isinstance(self.source, FloatFormat) or self.target.codes_key != FLOAT32.codes_key:
            return False
        exact = self.final is None and self.rules == FLOAT32.check_profile(_EXACT)
        return exact and widening(self.source) is not None

    def _choose(self) -> Work:
        if not isinstance(self.source, FloatFormat) and self.rules.subnormals_in is not SubnormalsIn.KEEP:
            rest = self.rules.replace(subnormals_in=SubnormalsIn.KEEP)  # only floats have subnormals
            return plan(self.source, self.target, rest, self.final)._choose()
        if isinstance(self.source, TableFormat):
            return self._from_codebook(self.source)
        if self.rules.through is Through.FLOAT32:
            rest = self.rules.replace(through="none")
            if holds(FLOAT32, self.source):
                return plan(self.source, self.target, rest, self.final)._choose()
            # what is subnormal in the source's own format counts as zero, not what becomes subnormal in float32
            first, rest = _EXACT.replace(subnormals_in=rest.subnormals_in), rest.replace(subnormals_in="keep")
            return _chain(plan(self.source, FLOAT32, first, None), plan(FLOAT32, self.target, rest, self.final))
        if isinstance(self.target, TableFormat):
            return _to_codebook(self.source, self.target, self.rules, self.final)
        payloads = isinstance(self.source, FloatFormat) and self.source.nan == "ieee"
        rules = lower_rules(self.target, self.rules, payloads, isinstance(self.source, FloatFormat))
        if self.final is not None:
            exact = self.final.check_profile(_EXACT)
            slow = _chain(plan(self.source, self.target, self.rules, None), plan(self.target, self.final, exact, None))
            return _fast(self.source, self.target, rules, self.final, slow) or slow
        if isinstance(self.source, FloatFormat) and self._widens():
            return _widen(self.source)
        slow = _general(self.source, self.target, rules)
        if self.source.codes_key == self.target.codes_key and _keeps_all(self.target, rules):
            return _copy(self.target, rules, slow)
        return (
            _native(self.source, self.target, rules, slow) or _fast(self.source, self.target, rules, None, slow) or slow
        )

    def _from_codebook(self, source: TableFormat) -> Work:
        drops = self.rules.replace(nan_payload="drop")  # a codebook has no NaN
        rest = plan(FLOAT64, self.target, drops, self.final)
        values = np.array(source.entries).view(np.uint64)

        def work(codes: Codes, out: Codes, first: int, randoms: Codes, key: int) -> None:
            rest(values[codes], out, first, randoms, key)

        return work


@functools.lru_cache(maxsize=256)
def plan(source: Format, target: Format, rules: Profile, final: FloatFormat | IntFormat | None) -> Plan:
    """The one plan for these formats and rules; see `Plan`."""
    return Plan(source, target, rules, final)


def _take(table: Codes) -> Work:
    from fpemu.kernels.cpu.lookup import take_array

    def work(codes: Codes, out: Codes, first: int, randoms: Codes, key: int) -> None:
        take_array(table, codes, out)

    return work


def _chain(before: Plan, after: Plan) -> Work:
    """One plan after another; of the two at most one is stochastic."""
    size = 1 << 14  # elements between the two stay in the cache

    def work(codes: Codes, out: Codes, first: int, randoms: Codes, key: int) -> None:
        between = np.empty(min(size, codes.size), before.out_dtype)
        before.prepare(codes.size)
        after.prepare(codes.size)
        if codes.size <= size:
            before(codes, between, first, randoms, key)
            after(between, out, first, randoms, key)
            return
        for start in range(0, codes.size, size):
            stop = min(start + size, codes.size)
            before(codes[start:stop], between[: stop - start], first + start, randoms[start:stop], key)
            after(between[: stop - start], out[start:stop], first + start, randoms[start:stop], key)

    return work


def _general(source: FloatFormat | IntFormat, target: FloatFormat | IntFormat, rules: Rules) -> Work:
    from fpemu.kernels.cpu.general import convert_array

    source_spec, target_spec = source.spec, target.spec

    def work(codes: Codes, out: Codes, first: int, randoms: Codes, key: int) -> None:
        convert_array(codes, source_spec, target_spec, rules, randoms, np.uint64(key), np.uint64(first), out)

    return work


def _widen(source: FloatFormat) -> Work:
    from fpemu.casting.fast_paths import widening
    from fpemu.kernels.cpu.fast_casts import widen_array

    words = widening(source)

    def work(codes: Codes, out: Codes, first: int, randoms: Codes, key: int) -> None:
        widen_array(codes, words, out)

    return work


def _keeps_all(fmt: FloatFormat | IntFormat, rules: Rules) -> bool:
    """Whether a cast of a format to itself leaves everything but NaN as it is."""
    if isinstance(fmt, IntFormat):
        return not fmt.symmetric
    infinity = fmt.infinity_code
    own = () if infinity is None else (infinity, infinity | fmt.sign_mask)
    given = rules[places.INFINITY_POSITIVE : places.INFINITY_NEGATIVE + 1]
    return (
        fmt.nan == "ieee"
        and fmt.signed
        and tuple(code % (1 << 64) for code in given) == own
        and rules[places.ZERO_NEGATIVE] % (1 << 64) == fmt.sign_mask
        and not rules[places.SUBNORMAL_SOURCES_ARE_ZERO]
        and not rules[places.FLUSH]
    )


def _copy(fmt: FloatFormat | IntFormat, rules: Rules, general: Work) -> Work:
    """A format to itself: copied, but for NaN where the rules do not keep it as it is."""
    signs = tuple(rules[place] & fmt.sign_mask for place in (places.NAN_POSITIVE, places.NAN_NEGATIVE))
    keeps_nan = rules[places.PAYLOAD] == places.PAYLOAD_KEEP and signs == (0, fmt.sign_mask)

    def work(codes: Codes, out: Codes, first: int, randoms: Codes, key: int) -> None:
        np.copyto(out, codes)
        if keeps_nan or isinstance(fmt, IntFormat) or fmt.infinity_code is None:
            return
        wrong = np.flatnonzero((codes & codes.dtype.type(fmt.magnitude_mask)) > fmt.infinity_code)
        if wrong.size:
            nans = np.empty(wrong.size, out.dtype)
            general(codes[wrong], nans, first, _NONE, key)
            out[wrong] = nans

    return work


def _native(source: FloatFormat | IntFormat, target: FloatFormat | IntFormat, rules: Rules, slow: Work) -> Work | None:
    """float32 to float64 and back by the CPU's own conversions."""
    if {source.codes_key, target.codes_key} != {FLOAT32.codes_key, FLOAT64.codes_key}:
        return None
    from fpemu.casting.fast_paths import native
    from fpemu.kernels.cpu.fast_casts import native_array

    assert isinstance(source, FloatFormat)
    assert isinstance(target, FloatFormat)
    outcomes = native(target, rules, target.bits < source.bits)
    if outcomes is None:
        return None
    sign, infinity = (
        np.dtype(f.code_dtype).type(code) for f, code in ((source, source.sign_mask), (target, target.infinity_code))
    )

    def work(codes: Codes, out: Codes, first: int, randoms: Codes, key: int) -> None:
        if not native_array(codes, sign, infinity, outcomes, FPU_PROBE, out):
            slow(codes, out, first, randoms, key)

    return work


def _fast(
    source: FloatFormat | IntFormat,
    target: FloatFormat | IntFormat,
    rules: Rules,
    final: FloatFormat | IntFormat | None,
    slow: Work,
) -> Work | None:
    """A loop of fpemu.kernels.cpu.fast_casts for float32 and float64, to codes or to values of their own type."""
    codes_wanted = final is None
    if source.codes_key not in (FLOAT32.codes_key, FLOAT64.codes_key):
        return None
    if not (codes_wanted or (final is not None and final.codes_key == source.codes_key)):
        return None
    from fpemu.casting.fast_paths import STOCHASTIC, route
    from fpemu.kernels.cpu import fast_casts as lanes

    found = route(target, rules, "float32" if source.bits == 32 else "float64", codes_wanted)
    if found is None:
        return None
    words = found.words
    if found.how == STOCHASTIC:
        stochastic = lanes.stochastic_loop(codes_wanted, found.loop == "uniform", found.plain)

        def draw(codes: Codes, out: Codes, first: int, randoms: Codes, key: int) -> None:
            if randoms.size:
                slow(codes, out, first, randoms, key)
                return
            start = 0
            while start < codes.size:  # the loop's elements have one upper word of their place in the stream
                stop = min(codes.size, start + (1 << 32) - (first + start) % (1 << 32))
                place = np.uint64(first + start)
                stochastic(codes[start:stop], words, np.uint64(key), place, out[start:stop])
                start = stop

        return draw
    if found.loop != "addition":
        shifting = lanes.shift_loop if found.loop == "shift" else functools.partial(lanes.uniform_loop, gap=found.gap)
        loop = shifting(codes_wanted, found.how, found.plain)

        def shift(codes: Codes, out: Codes, first: int, randoms: Codes, key: int) -> None:
            loop(codes, words, out)

        return shift
    addition = lanes.addition_loop(
        codes_wanted, found.how, found.plain, _by_hardware(source, target, found, codes_wanted)
    )

    def add(codes: Codes, out: Codes, first: int, randoms: Codes, key: int) -> None:
        if not addition(codes, words, FPU_PROBE, out):
            slow(codes, out, first, randoms, key)

    return add


def _by_hardware(source: Format, target: Format, found: Route, codes_wanted: bool) -> bool:
    """Whether the CPU itself converts what neither overflows nor is special."""
    from fpemu.casting.fast_paths import EVEN
    from fpemu.kernels.scalar.bits import converts_halves

    pair = source.codes_key == FLOAT32.codes_key and target.codes_key == FLOAT16.codes_key
    return pair and codes_wanted and found.how == EVEN and found.plain and converts_halves()


def _to_codebook(
    source: FloatFormat | IntFormat, target: TableFormat, rules: Profile, final: FloatFormat | IntFormat | None
) -> Work:
    from fpemu.casting.thresholds import codebook
    from fpemu.kernels.cpu.lookup import codebook_array

    book = codebook(target, rules)
    results, specials = book.codes, np.array(book.specials, np.uint16)
    out_type = (final or target).code_dtype
    if final is not None:
        words = np.empty(target.code_count, final.code_dtype)
        plan(FLOAT64, final, final.check_profile(_EXACT), None)(np.array(target.entries).view(np.uint64), words)
        results, specials = words[results], words[specials]
    spec, daz = source.spec, zeroes_subnormals(source, rules)

    def search(codes: Codes, out: Codes, first: int, randoms: Codes, key: int) -> None:
        codebook_array(codes, spec, daz, book.binades, book.digits, book.inclusive, results, specials, out)

    by_bins = None if daz else _by_bins(source, book, results.astype(out_type), specials.astype(out_type))
    if by_bins is None:
        return search

    def work(codes: Codes, out: Codes, first: int, randoms: Codes, key: int) -> None:
        if not by_bins(codes, out):
            search(codes, out, first, randoms, key)

    return work


def _by_bins(source: FloatFormat | IntFormat, book: Codebook, results: Codes, specials: Codes) -> Any:
    """The faster loop of a codebook for float32 and float64, if its thresholds allow it."""
    names: dict[Any, np.dtype[Any]] = {
        FLOAT32.codes_key: np.dtype(np.float32),
        FLOAT64.codes_key: np.dtype(np.float64),
    }
    if source.codes_key not in names or specials[0] != specials[1]:
        return None
    dtype = names[source.codes_key]

    def places() -> Bins | None:
        from fpemu.casting.thresholds import bins

        return bins(book, dtype)

    search = by_bins(places, results, specials[1:])
    return lambda codes, out: search(codes.view(dtype), out)


def by_bins(make: Callable[[], Bins | None], results: Codes, specials: Codes) -> Callable[[NDArray[Any], Codes], bool]:
    """A loop from floats to codes by bins: False, and nothing done, where there are none or the FPU is unfit.

    `make`: makes the bins, where the FPU is fit, once; `results`, `specials`: as `fpemu.kernels.cpu.lookup` takes them.
    """
    made = functools.cache(make)

    def work(numbers: NDArray[Any], out: Codes) -> bool:
        from fpemu.kernels.cpu.float_environment import fpu_is_standard
        from fpemu.kernels.cpu.lookup import bins_array

        if not fpu_is_standard(FPU_PROBE):
            return False
        found = made()
        return found is not None and bool(bins_array(numbers, *found, results, specials, FPU_PROBE, out))

    return work

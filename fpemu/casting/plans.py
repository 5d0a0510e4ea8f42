"""Choose the kernels that carry out a cast, once for each pair of formats and profile.

Every plan gives the bits of the general kernel (`fpemu.kernels.scalar.convert`); the other kernels are faster.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu.casting import fast_paths
from fpemu.casting.fpu import FPU_PROBE, fpu_is_fit
from fpemu.casting.lowering import Rules, lower_rules, zeroes_subnormals
from fpemu.casting.stochastic import NO_RANDOMS, Randoms
from fpemu.casting.thresholds import Bins, Codebook, bins, codebook
from fpemu.formats import EXACT, FLOAT16, FLOAT32, FLOAT64, FloatFormat, Format, IntFormat, Profile, TableFormat
from fpemu.formats.facts.exactness import holds
from fpemu.formats.rules import NanRule, Rounding, SubnormalsIn, Through
from fpemu.kernels import spec

Codes = NDArray[Any]
CastLoop = Callable[[Codes, Codes, Randoms], None]  # from codes to codes of the result, one-dimensional ones

TABLE_BITS = 16  # sources up to this width go through a table of all their codes...
TABLE_SIZE = 1 << 14  # ...where an array is at least this large, or the width 8
_CHAINED = 1 << 14  # elements: the codes between two plans stay in the cache


class Plan:
    """A cast from codes of one format to codes of another, or on to its values (codes of a third format).

    Parameters
    ----------
    source, target : Format
    rules : Profile
        As the target's `check_profile` returns it.
    value_format : FloatFormat or IntFormat or None
        For values: a format that holds the target's; None for the target's codes.
    """

    def __init__(
        self, source: Format, target: Format, rules: Profile, value_format: FloatFormat | IntFormat | None
    ) -> None:
        self.source, self.target, self.rules, self.value_format = source, target, rules, value_format
        self.stochastic = not isinstance(rules.rounding, Rounding)
        self.refuses_nan = rules.nan is NanRule.ERROR
        self.out_dtype = np.dtype((value_format or target).code_dtype)
        self.looks_up = not self.stochastic and source.bits <= TABLE_BITS and not self._widens()
        self._table: Codes | None = None
        self._loop: CastLoop | None = None

    def __call__(self, codes: Codes, out: Codes, randoms: Randoms = NO_RANDOMS) -> None:
        """Carry out the cast on one-dimensional, contiguous arrays in native byte order."""
        if self._loop is None:
            self._loop = self._choose()
        self._loop(codes, out, randoms)

    def prepare(self, size: int) -> None:
        """Make the table of all codes if an array of `size` elements, whose chunks follow, is worth it."""
        if self._table is not None or not self.looks_up or (size < TABLE_SIZE and self.source.bits > 8):
            return
        table = self._exact_table()
        if table is None:
            every = np.arange(self.source.code_count, dtype=self.source.code_dtype)
            table = np.empty(every.size, self.out_dtype)
            self._choose()(every, table, NO_RANDOMS)
        self._table, self._loop = table, _take(table)

    def _exact_table(self) -> Codes | None:
        """The exact values of a short format, without the general kernel, which would have to be compiled."""
        source, target = self.source, self.target
        if not isinstance(source, FloatFormat) or not isinstance(target, FloatFormat) or self.value_format is not None:
            return None
        if _carrier(target) is None or source.bits > 8 or not holds(target, source):
            return None
        return fast_paths.values(source, target) if self.rules == target.check_profile(EXACT) else None

    def _widens(self) -> bool:
        """Whether a loop from these codes to float32's is faster than a table."""
        if not isinstance(self.source, FloatFormat) or self.target.codes_key != FLOAT32.codes_key:
            return False
        exact = self.value_format is None and self.rules == FLOAT32.check_profile(EXACT)
        return exact and fast_paths.widening(self.source) is not None

    def _choose(self) -> CastLoop:
        source, target, value_format = self.source, self.target, self.value_format
        if not isinstance(source, FloatFormat) and self.rules.subnormals_in is not SubnormalsIn.KEEP:
            rules = self.rules.replace(subnormals_in=SubnormalsIn.KEEP)  # only floats have subnormals
            return plan(source, target, rules, value_format)._choose()
        if isinstance(source, TableFormat):
            return _from_codebook(source, target, self.rules, value_format)
        if self.rules.through is Through.FLOAT32:
            rules = self.rules.replace(through="none")
            if holds(FLOAT32, source):
                return plan(source, target, rules, value_format)._choose()
            # the rule on subnormals is about the source's own format, not about what is subnormal in float32
            first, rules = EXACT.replace(subnormals_in=rules.subnormals_in), rules.replace(subnormals_in="keep")
            return _chain(plan(source, FLOAT32, first, None), plan(FLOAT32, target, rules, value_format))
        if isinstance(target, TableFormat):
            return _to_codebook(source, target, self.rules, value_format)
        payloads = isinstance(source, FloatFormat) and source.nan == "ieee"
        lowered = lower_rules(target, self.rules, payloads, isinstance(source, FloatFormat))
        if value_format is not None:
            exact = value_format.check_profile(EXACT)
            slow = _chain(plan(source, target, self.rules, None), plan(target, value_format, exact, None))
            return _fast(source, target, lowered, value_format, slow) or slow
        if isinstance(source, FloatFormat) and self._widens():
            return _widen(source)
        slow = _general(source, target, lowered)
        if source.codes_key == target.codes_key and _keeps_all_but_nan(target, lowered):
            return _copy(target, lowered, slow)
        return _native(source, target, lowered, slow) or _fast(source, target, lowered, None, slow) or slow


@functools.lru_cache(maxsize=256)
def plan(source: Format, target: Format, rules: Profile, value_format: FloatFormat | IntFormat | None) -> Plan:
    """The one plan for these formats and rules; see `Plan`."""
    return Plan(source, target, rules, value_format)


def _carrier(fmt: Format) -> FloatFormat | None:
    """float32 or float64, by a format's codes; None for others."""
    return {FLOAT32.codes_key: FLOAT32, FLOAT64.codes_key: FLOAT64}.get(fmt.codes_key)


def _take(table: Codes) -> CastLoop:
    from fpemu.kernels.cpu.lookup import take_array

    return lambda codes, out, randoms: take_array(table, codes, out)


def _chain(before: Plan, after: Plan) -> CastLoop:
    """One plan after another; of the two at most one is stochastic."""

    def loop(codes: Codes, out: Codes, randoms: Randoms) -> None:
        between = np.empty(min(_CHAINED, codes.size), before.out_dtype)
        before.prepare(codes.size)
        after.prepare(codes.size)
        if codes.size <= _CHAINED:
            before(codes, between, randoms)
            after(between, out, randoms)
            return
        for start in range(0, codes.size, _CHAINED):
            stop = min(start + _CHAINED, codes.size)
            drawn = randoms.chunk(start, stop)
            before(codes[start:stop], between[: stop - start], drawn)
            after(between[: stop - start], out[start:stop], drawn)

    return loop


def _general(source: FloatFormat | IntFormat, target: FloatFormat | IntFormat, rules: Rules) -> CastLoop:
    from fpemu.kernels.cpu.general import convert_array

    source_spec, target_spec = source.spec, target.spec

    def loop(codes: Codes, out: Codes, randoms: Randoms) -> None:
        given, key, first = randoms
        convert_array(codes, source_spec, target_spec, rules, given, np.uint64(key), np.uint64(first), out)

    return loop


def _widen(source: FloatFormat) -> CastLoop:
    from fpemu.kernels.cpu.fast_casts import widen_array

    constants = fast_paths.widening(source)
    return lambda codes, out, randoms: widen_array(codes, constants, out)


def _keeps_all_but_nan(fmt: FloatFormat | IntFormat, rules: Rules) -> bool:
    """Whether a cast of a format to itself changes nothing but NaNs."""
    if isinstance(fmt, IntFormat):
        return not fmt.symmetric
    infinity = fmt.infinity_code
    own = () if infinity is None else (infinity, infinity | fmt.sign_mask)
    given = rules[spec.INFINITY_POSITIVE : spec.INFINITY_NEGATIVE + 1]
    return (
        fmt.nan == "ieee"
        and fmt.signed
        and tuple(code % (1 << 64) for code in given) == own
        and rules[spec.ZERO_NEGATIVE] % (1 << 64) == fmt.sign_mask
        and not rules[spec.SUBNORMAL_SOURCES_ARE_ZERO]
        and not rules[spec.FLUSH]
    )


def _copy(fmt: FloatFormat | IntFormat, rules: Rules, general: CastLoop) -> CastLoop:
    """A copy of a format's codes, with NaNs changed by the rules."""
    signs = tuple(rules[index] & fmt.sign_mask for index in (spec.NAN_POSITIVE, spec.NAN_NEGATIVE))
    keeps_nan = rules[spec.PAYLOAD] == spec.PAYLOAD_KEEP and signs == (0, fmt.sign_mask)

    def loop(codes: Codes, out: Codes, randoms: Randoms) -> None:
        np.copyto(out, codes)
        if keeps_nan or isinstance(fmt, IntFormat) or fmt.infinity_code is None:
            return
        indices = np.flatnonzero((codes & codes.dtype.type(fmt.magnitude_mask)) > fmt.infinity_code)
        if indices.size:
            nans = np.empty(indices.size, out.dtype)
            general(codes[indices], nans, NO_RANDOMS)
            out[indices] = nans

    return loop


def _native(
    source: FloatFormat | IntFormat, target: FloatFormat | IntFormat, rules: Rules, slow: CastLoop
) -> CastLoop | None:
    """float32 to float64 and back by the CPU's own conversions."""
    if {source.codes_key, target.codes_key} != {FLOAT32.codes_key, FLOAT64.codes_key}:
        return None
    from fpemu.kernels.cpu.fast_casts import native_array

    assert isinstance(source, FloatFormat)
    assert isinstance(target, FloatFormat)
    outcomes = fast_paths.native(target, rules, target.bits < source.bits)
    if outcomes is None:
        return None
    sign, infinity = (
        np.dtype(f.code_dtype).type(code) for f, code in ((source, source.sign_mask), (target, target.infinity_code))
    )

    def loop(codes: Codes, out: Codes, randoms: Randoms) -> None:
        if not native_array(codes, sign, infinity, outcomes, FPU_PROBE, out):
            slow(codes, out, randoms)

    return loop


def _fast(
    source: FloatFormat | IntFormat,
    target: FloatFormat | IntFormat,
    rules: Rules,
    value_format: FloatFormat | IntFormat | None,
    slow: CastLoop,
) -> CastLoop | None:
    """A fast loop from float32 or float64 to codes, or to values of the same type."""
    carrier, to_codes = _carrier(source), value_format is None
    if carrier is None or not (value_format is None or value_format.codes_key == source.codes_key):
        return None
    choice = fast_paths.choose_loop(target, rules, carrier, to_codes)
    if choice is None:
        return None
    from fpemu.kernels.cpu import fast_casts

    if choice.rounding_class == fast_paths.STOCHASTIC:
        return _stochastic(choice, to_codes, slow)
    constants = choice.constants
    options = to_codes, choice.rounding_class, choice.is_plain
    if choice.loop != "addition":
        uniform = choice.loop == "uniform"
        shift = fast_casts.uniform_loop(*options, choice.has_gap) if uniform else fast_casts.shift_loop(*options)
        return lambda codes, out, randoms: shift(codes, constants, out)
    add = fast_casts.addition_loop(*options, to_codes and _by_hardware(source, target, choice))

    def loop(codes: Codes, out: Codes, randoms: Randoms) -> None:
        if not add(codes, constants, FPU_PROBE, out):
            slow(codes, out, randoms)

    return loop


def _stochastic(choice: fast_paths.FastLoop, to_codes: bool, slow: CastLoop) -> CastLoop:
    """A fast loop that draws from the stream; random integers that the caller gives go the slow way."""
    from fpemu.kernels.cpu.fast_casts import stochastic_loop

    draw = stochastic_loop(to_codes, choice.loop == "uniform", choice.is_plain)

    def loop(codes: Codes, out: Codes, randoms: Randoms) -> None:
        if randoms.given.size:
            slow(codes, out, randoms)
            return
        start = 0
        while start < codes.size:  # the upper 32 bits of the index in the stream are the same for a call's elements
            index = randoms.first + start
            stop = min(codes.size, start + (1 << 32) - index % (1 << 32))
            key = np.uint64(randoms.key)
            draw(codes[start:stop], choice.constants, key, np.uint64(index), out[start:stop])
            start = stop

    return loop


def _by_hardware(source: Format, target: Format, choice: fast_paths.FastLoop) -> bool:
    """Whether the CPU converts to float16, but for overflow and special numbers."""
    from fpemu.kernels.scalar.bits import converts_halves

    pair = source.codes_key == FLOAT32.codes_key and target.codes_key == FLOAT16.codes_key
    return pair and choice.rounding_class == fast_paths.EVEN and choice.is_plain and converts_halves()


def _from_codebook(
    source: TableFormat, target: Format, rules: Profile, value_format: FloatFormat | IntFormat | None
) -> CastLoop:
    """A cast of the entries, which are float64 numbers and no NaN."""
    cast_entries = plan(FLOAT64, target, rules.replace(nan_payload="drop"), value_format)
    entries = np.array(source.entries).view(np.uint64)
    return lambda codes, out, randoms: cast_entries(entries[codes], out, randoms)


def _to_codebook(
    source: FloatFormat | IntFormat, target: TableFormat, rules: Profile, value_format: FloatFormat | IntFormat | None
) -> CastLoop:
    from fpemu.kernels.cpu.lookup import codebook_array

    book = codebook(target, rules)
    results, specials = book.codes, np.array(book.specials, np.uint16)
    out_type = (value_format or target).code_dtype
    if value_format is not None:
        values = np.empty(target.code_count, value_format.code_dtype)
        entries = np.array(target.entries).view(np.uint64)
        plan(FLOAT64, value_format, value_format.check_profile(EXACT), None)(entries, values)
        results, specials = values[results], values[specials]
    zeroes = zeroes_subnormals(source, rules)

    def search(codes: Codes, out: Codes, randoms: Randoms) -> None:
        codebook_array(codes, source.spec, zeroes, book.binades, book.digits, book.inclusive, results, specials, out)

    by_bins = None if zeroes else _bins_of_codebook(source, book, results.astype(out_type), specials.astype(out_type))
    if by_bins is None:
        return search

    def loop(codes: Codes, out: Codes, randoms: Randoms) -> None:
        if not by_bins(codes, out):
            search(codes, out, randoms)

    return loop


def _bins_of_codebook(source: FloatFormat | IntFormat, book: Codebook, results: Codes, specials: Codes) -> Any:
    """The faster loop of a codebook for float32 and float64, if its thresholds allow it."""
    carrier = _carrier(source)
    if carrier is None or specials[0] != specials[1]:
        return None
    dtype = np.dtype(f"f{carrier.bits // 8}")
    search = by_bins(lambda: bins(book, dtype), results, specials[1:])
    return lambda codes, out: search(codes.view(dtype), out)


def by_bins(make: Callable[[], Bins | None], results: Codes, specials: Codes) -> Callable[[NDArray[Any], Codes], bool]:
    """A loop from floats to codes by bins; it returns False, and does nothing, without bins or a fit FPU.

    `make`: makes the bins, once, while the FPU is fit; `results`, `specials`: as `fpemu.kernels.cpu.lookup` takes them.
    """
    make_once = functools.cache(make)

    def loop(numbers: NDArray[Any], out: Codes) -> bool:
        from fpemu.kernels.cpu.lookup import bins_array

        if not fpu_is_fit():
            return False
        made = make_once()
        return made is not None and bool(bins_array(numbers, *made, results, specials, FPU_PROBE, out))

    return loop

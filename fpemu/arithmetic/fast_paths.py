"""Fast paths with the general kernel's exact results: lookup tables and the CPU's FPU.

A fast path is chosen once for an operation, its operands' formats and the target, and cached.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from fpemu.arithmetic.task import Formats, Target, general
from fpemu.casting import encode
from fpemu.casting.fpu import FPU_PROBE
from fpemu.casting.plans import Codes, plan
from fpemu.formats import EXACT, FLOAT32, FLOAT64, FloatFormat
from fpemu.formats.facts.exactness import finite_ends, holds, needs_round_to_odd, overflow_threshold, rounds_once_in
from fpemu.formats.rules import NanPayload, Overflow, Rounding, SubnormalsIn, SubnormalsOut
from fpemu.kernels import opcodes, spec

# (operands' codes, array for the result's codes, array for its flags or an empty one): whether they were computed
FastPath = Callable[[list[Codes], Codes, Codes], bool]

RESULT_TABLE_BITS = 16  # operands of at most this many bits together are looked up in a table of all results...
RESULT_TABLE_SIZE = 1 << 13  # ...if the arrays are at least this long
FPU_SIZE = 1 << 8  # shortest arrays for which the FPU's several passes pay
FPU_CHUNK = 1 << 15  # elements that stay in the cache between the passes

NO_WORDS = np.zeros(8, np.uint32)

_NEAREST = [mode for mode in Rounding if mode.value.startswith("nearest")]
_FPU_OPERATIONS = ("add", "subtract", "multiply", "divide", "fma", "sqrt")


def fast_path(name: str, formats: Formats, target: Target, size: int, flags_wanted: bool) -> FastPath | None:
    """The fast path for arrays of this size, or None if the general kernel is fastest."""
    if size < FPU_SIZE or not isinstance(target.profile.rounding, Rounding):
        return None
    if target.rules[spec.INTEGRAL_ROUNDING] >= spec.STOCHASTIC_A:
        return None
    bits = sum(fmt.bits for fmt in formats)
    if bits <= RESULT_TABLE_BITS:
        return _table_path(name, formats, target) if size >= RESULT_TABLE_SIZE else None
    return _fpu_path(name, formats, target, flags_wanted)


@functools.lru_cache(maxsize=64)
def _table_path(name: str, formats: Formats, target: Target) -> FastPath | None:
    """Look up every result in a table."""
    from fpemu.kernels.cpu.lookup import take_array, take_pairs, take_pairs_with_flags

    if len(formats) > 2:
        return None
    pairs = np.arange(1 << sum(fmt.bits for fmt in formats), dtype=np.uint32)
    width = formats[-1].bits if len(formats) == 2 else 0
    operands = [pairs >> np.uint32(width), pairs & np.uint32((1 << width) - 1)] if width else [pairs]
    codes = [x.astype(fmt.code_dtype) for x, fmt in zip(operands, formats, strict=True)]
    results, raised = np.empty(pairs.size, target.format.code_dtype), np.empty(pairs.size, np.uint8)
    general(name, formats, target, codes, results, raised)
    twice = np.dtype(f"u{2 * results.itemsize}") if results.itemsize < 8 else None
    bits = 8 * results.itemsize
    both = None if twice is None else results.astype(twice) | raised.astype(twice) << twice.type(bits)

    def look_up(codes: list[Codes], out: Codes, flags: Codes) -> bool:
        if flags.size and width and both is not None:
            take_pairs_with_flags(both, *codes, width, both.dtype.type(bits), out, flags)
            return True
        for table, to in ((results, out), (raised, flags)):
            if to.size and width:
                take_pairs(table, *codes, width, to)
            elif to.size:
                take_array(table, *codes, to)
        return True

    return look_up


@functools.lru_cache(maxsize=256)
def _fpu_path(name: str, formats: Formats, target: Target, flags_wanted: bool) -> FastPath | None:
    """Compute in float32 or float64, rounded to odd where that matters, and cast the result to the target."""
    profile, fmt, rules = target.profile, target.format, target.rules
    if (
        profile.subnormals_in is not SubnormalsIn.KEEP
        or profile.overflow is Overflow.WRAP
        or rules[spec.PAYLOAD] != spec.PAYLOAD_DROP
        or profile.nan_payload is not NanPayload.DROP
        or name not in _FPU_OPERATIONS
        or rules[spec.NAN_RESULT] != spec.NAN_RESULT_CANONICAL
        or rules[spec.INVALID_NAN] != rules[spec.NAN_POSITIVE]
        or (rules[spec.FMA_QUIET] and name == "fma")
        or rules[spec.DIVISION_BY_ZERO]
        or not isinstance(fmt, FloatFormat)
    ):
        return None
    floats = tuple(x for x in formats if isinstance(x, FloatFormat) and holds(FLOAT32, x))
    if len(floats) < len(formats):
        return None
    plain = fmt.signed and fmt.subnormals and fmt.zero and profile.subnormals_out is SubnormalsOut.KEEP
    if flags_wanted and not (plain and holds(FLOAT32, fmt)):
        return None
    if _rounds_once(name, floats, target, FLOAT32, flags_wanted):
        return _passes(name, floats, target, FLOAT32, flags_wanted, None)
    if not _rounds_once(name, floats, target, FLOAT64, flags_wanted):
        return None
    wider = _passes(name, floats, target, FLOAT64, flags_wanted, None)
    if name == "multiply" and _rounds_once(name, floats, target, FLOAT32, flags_wanted, losses_matter=False):
        return _passes(name, floats, target, FLOAT32, flags_wanted, wider)
    return wider


def _rounds_once(
    name: str,
    formats: tuple[FloatFormat, ...],
    target: Target,
    wide: FloatFormat,
    flags_wanted: bool,
    losses_matter: bool = True,
) -> bool:
    """Whether results in a wide float, rounded to the target, are the exact results rounded once.

    `losses_matter`: False if products that lose digits because they are small are computed otherwise.
    """
    fmt, rules = target.format, target.rules
    assert isinstance(fmt, FloatFormat)
    # Where the float's own overflow is the target's overflow to infinity, it does no harm.
    to_infinity = (
        rules[spec.INFINITY_POSITIVE] == rules[spec.OVERFLOW_POSITIVE]
        and rules[spec.INFINITY_NEGATIVE] == rules[spec.OVERFLOW_NEGATIVE]
    )
    nearest = target.profile.rounding in _NEAREST
    end = overflow_threshold(fmt, nearest) if flags_wanted else finite_ends(fmt)[1]
    overflow_matters = not (to_infinity and end <= finite_ends(wide)[1])
    return rounds_once_in(wide, name, formats, fmt, overflow_matters=overflow_matters, losses_matter=losses_matter)


def _decoding_to_float32(formats: tuple[FloatFormat, ...]) -> tuple[int, list[Codes]]:
    """The way from codes to float32 numbers (`fpemu.kernels.opcodes`), and the loops' constants for it."""
    from fpemu.casting.fast_paths import widening

    constants = [widening(fmt) for fmt in formats]
    given = [NO_WORDS if words is None else words for words in constants]
    if any(words is None for words in constants):
        return opcodes.REALS, given
    heads = all(fmt.emin == FLOAT32.emin and fmt.nan == "ieee" and fmt.signed for fmt in formats)
    return opcodes.HEADS if heads else opcodes.WIDENED, given


def _passes(
    name: str,
    formats: tuple[FloatFormat, ...],
    target: Target,
    wide: FloatFormat,
    flags_wanted: bool,
    wider: FastPath | None,
) -> FastPath:
    """Decode, compute, encode and determine the flags: each a loop over a chunk.

    `wider`: computes the chunks in which a product may have lost digits.
    """
    from fpemu.kernels.cpu.fpu_operations import flags_loop, fpu_loop

    fmt, rounding = target.format, target.profile.rounding
    assert isinstance(fmt, FloatFormat)
    opcode = getattr(opcodes, name.upper())
    method, constants = _decoding_to_float32(formats)
    odd = flags_wanted or needs_round_to_odd(wide, name, formats, fmt, rounding in _NEAREST)
    loop = fpu_loop(opcode, wide is FLOAT64, method, odd, wider is not None)
    exact = FLOAT32.check_profile(EXACT)
    ready = [method != opcodes.REALS or x.codes_key == FLOAT32.codes_key for x in formats]
    decodes = [None if so else plan(x, FLOAT32, exact, None) for so, x in zip(ready, formats, strict=True)]
    to_target = plan(wide, fmt, target.profile, None)
    dtype = np.dtype(wide.code_dtype)
    zero = dtype.type(wide.sign_mask if rounding is Rounding.TOWARD_NEGATIVE else 0)
    tables = [*constants, NO_WORDS, NO_WORDS][:3]
    to_flags = flags_loop(opcode, wide is FLOAT64, method) if flags_wanted else None
    thresholds = _flag_thresholds(target, wide) if flags_wanted else (None, None)

    def run_passes(codes: list[Codes], out: Codes, flags: Codes) -> bool:
        for decode, x in zip(decodes, codes, strict=True):
            if decode is not None:
                decode.prepare(x.size)
        size = min(FPU_CHUNK, out.size)
        buffers = [np.empty(0 if decode is None else size, np.uint32) for decode in decodes]
        wide_codes = np.empty(size, dtype)
        for start in range(0, out.size, FPU_CHUNK):
            stop = min(start + FPU_CHUNK, out.size)
            chunks, to, raised = [x[start:stop] for x in codes], out[start:stop], flags[start:stop]
            operands = []
            for decode, buffer, chunk in zip(decodes, buffers, chunks, strict=True):
                singles = chunk
                if decode is not None:
                    singles = buffer[: stop - start]
                    decode(chunk, singles)
                operands.append(singles.view(np.float32) if method == opcodes.REALS else singles)
            operands = [*operands, operands[0], operands[0]][:3]
            results = wide_codes[: stop - start]
            status = loop(*operands, *tables, zero, FPU_PROBE, results)
            if status == opcodes.UNDERFLOWED and wider and wider(chunks, to, raised):
                continue
            if status != opcodes.DONE:
                return False
            to_target(results, to)
            if to_flags is not None:
                to_flags(*operands, *tables, results, *thresholds, raised)
        return True

    return run_passes


def _flag_thresholds(target: Target, wide: FloatFormat) -> tuple[Any, Codes]:
    """Constants of `flags_loop`: the mask of the bits below the target's last one; limits in the wide float."""
    fmt = target.format
    assert isinstance(fmt, FloatFormat)
    word = np.dtype(wide.code_dtype).type
    normal, magic = _power_of_two(wide, fmt.emin), _power_of_two(wide, fmt.quantum_exponent + wide.precision - 1)
    magic |= 1 << (wide.precision - 2)
    numbers = np.array([normal, int(encode(fmt.max_code, wide, source=fmt)), magic], word)
    limits = _overflow_and_tiny_limits(target, wide)
    thresholds = np.concatenate([*limits, numbers.view(limits[0].dtype)])
    return word((1 << (wide.precision - fmt.precision)) - 1), thresholds


def _overflow_and_tiny_limits(target: Target, wide: FloatFormat) -> tuple[Codes, Codes]:
    """The least magnitudes in the wide float that overflow, and the largest tiny ones; each positive, then negative.

    Determined with the general kernel, by bisection: both are monotone.
    """
    fmt = target.format
    assert isinstance(fmt, FloatFormat)

    def raises(bits: int, negative: bool, flag: int) -> bool:
        """Whether the number with these bits, rounded to the target, raises a flag."""
        sign = wide.sign_mask if negative else 0
        code, zero = np.array([bits | sign], wide.code_dtype), np.array([sign], wide.code_dtype)
        out, flags = np.empty(1, fmt.code_dtype), np.empty(1, np.uint8)
        general("add", (wide, wide), target, [code, zero], out, flags)
        return bool(flags[0] & flag)

    overflow, tiny = [], []
    for negative in (False, True):
        low, high = 0, wide.max_code + 1  # infinity: no finite number overflows
        while low < high:
            middle = (low + high) // 2
            if raises(middle, negative, opcodes.OVERFLOW_FLAG):
                high = middle
            else:
                low = middle + 1
        overflow.append(low)
        # Numbers with odd bits below 2^emin are inexact: they underflow if they are tiny.  Of those with even bits
        # above the last such number only the next can be tiny, a tie.
        low, high = _power_of_two(wide, fmt.emin - 2) | 1, _power_of_two(wide, fmt.emin) - 1
        while low < high:
            middle = ((low + high) // 2 + 1) | 1
            if raises(middle, negative, opcodes.UNDERFLOW_FLAG):
                low = middle
            else:
                high = middle - 2
        tiny.append(low + raises(low + 1, negative, opcodes.UNDERFLOW_FLAG))
    real = f"f{np.dtype(wide.code_dtype).itemsize}"
    return np.array(overflow, wide.code_dtype).view(real), np.array(tiny, wide.code_dtype).view(real)


def _power_of_two(wide: FloatFormat, exponent: int) -> int:
    """The code of 2^exponent in float32 or float64; 0 where it is below the smallest quantum."""
    real = np.float32 if wide is FLOAT32 else np.float64
    return int(real(2.0**exponent).view(np.dtype(wide.code_dtype)))

"""Faster ways to the bits of the general kernels' operations: tables, and the CPU's own arithmetic.

A way is chosen once for an operation, its operands' formats and the task, and kept.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from fpemu.arithmetic.task import Codes, Formats, Target, general
from fpemu.casting import encode as encode_codes
from fpemu.casting.fpu import FPU_PROBE
from fpemu.casting.plans import plan
from fpemu.formats import FLOAT32, FLOAT64, IEEE, FloatFormat
from fpemu.formats.facts.exactness import finite_ends, holds, needs_round_to_odd, overflow_threshold, rounds_once_in
from fpemu.formats.rules import NanPayload, Overflow, Rounding, SubnormalsIn, SubnormalsOut
from fpemu.kernels import opcodes as operations
from fpemu.kernels import spec as places

# (operands' codes, where the result's codes go, where its flags go or an empty array): whether it was done
FastPath = Callable[[list[Codes], Codes, Codes], bool]

TABLE_BITS = 16  # operands of so many bits together go through a table of all results...
TABLE_SIZE = 1 << 13  # ...where an array is at least so long
FPU_SIZE = 1 << 8  # from here on the FPU's several passes are worth it
CHUNK = 1 << 15  # elements between the passes stay in the cache

NO_WORDS = np.zeros(8, np.uint32)

_NEAREST = [mode for mode in Rounding if mode.value.startswith("nearest")]
_OF_THE_FPU = ("add", "subtract", "multiply", "divide", "fma", "sqrt")

_EXACT = IEEE.replace(nan_payload="keep")


def fast_path(name: str, formats: Formats, task: Target, size: int, flags_wanted: bool) -> FastPath | None:
    """A faster way than the general kernel's for arrays of this size, or None."""
    if size < FPU_SIZE or not isinstance(task.profile.rounding, Rounding):
        return None
    if task.rules[places.INTEGRAL_ROUNDING] >= places.STOCHASTIC_A:
        return None
    bits = sum(fmt.bits for fmt in formats)
    if bits <= TABLE_BITS:
        return _table_path(name, formats, task) if size >= TABLE_SIZE else None
    return _fpu_path(name, formats, task, flags_wanted)


@functools.lru_cache(maxsize=64)
def _table_path(name: str, formats: Formats, task: Target) -> FastPath | None:
    """Every result looked up."""
    from fpemu.kernels.cpu.lookup import take_array, take_pairs, take_pairs_with_flags

    if len(formats) > 2:
        return None
    every = np.arange(1 << sum(fmt.bits for fmt in formats), dtype=np.uint32)
    width = formats[-1].bits if len(formats) == 2 else 0
    low = every & np.uint32((1 << width) - 1) if width else every
    parts = [every >> np.uint32(width), low] if width else [every]
    codes = [part.astype(fmt.code_dtype) for part, fmt in zip(parts, formats, strict=True)]
    results, raised = np.empty(every.size, task.target.code_dtype), np.empty(every.size, np.uint8)
    general(name, formats, task, codes, results, raised)
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
def _fpu_path(name: str, formats: Formats, task: Target, flags_wanted: bool) -> FastPath | None:
    """The operation in float32 or float64, rounded to odd where that matters, and a cast of what it gives."""
    profile, target = task.profile, task.target
    if (
        profile.subnormals_in is not SubnormalsIn.KEEP
        or profile.overflow is Overflow.WRAP
        or task.rules[places.PAYLOAD] != places.PAYLOAD_DROP
        or profile.nan_payload is not NanPayload.DROP
        or name not in _OF_THE_FPU
        or task.rules[places.NAN_RESULT] != places.NAN_RESULT_CANONICAL
        or task.rules[places.INVALID_NAN] != task.rules[places.NAN_POSITIVE]
        or (task.rules[places.FMA_QUIET] and name == "fma")
        or task.rules[places.DIVISION_BY_ZERO]
        or not isinstance(target, FloatFormat)
    ):
        return None
    floats = tuple(fmt for fmt in formats if isinstance(fmt, FloatFormat) and holds(FLOAT32, fmt))
    if len(floats) < len(formats):
        return None
    plain = target.signed and target.subnormals and target.zero and profile.subnormals_out is SubnormalsOut.KEEP
    if flags_wanted and not (plain and holds(FLOAT32, target)):
        return None
    if _enough(name, floats, task, FLOAT32, flags_wanted, False):
        return _passes(name, floats, task, FLOAT32, flags_wanted, None)
    if not _enough(name, floats, task, FLOAT64, flags_wanted, False):
        return None
    wider = _passes(name, floats, task, FLOAT64, flags_wanted, None)
    if name == "multiply" and _enough(name, floats, task, FLOAT32, flags_wanted, True):
        return _passes(name, floats, task, FLOAT32, flags_wanted, wider)
    return wider


def _enough(
    name: str, formats: tuple[FloatFormat, ...], task: Target, wide: FloatFormat, flags_wanted: bool, checked: bool
) -> bool:
    """Whether a float holds enough of the operation's exact results for one rounding to the target.

    `checked`: products that may lose digits for being small are done otherwise.
    """
    target = task.target
    assert isinstance(target, FloatFormat)
    infinities = (
        (places.INFINITY_POSITIVE, places.INFINITY_NEGATIVE),
        (places.OVERFLOW_POSITIVE, places.OVERFLOW_NEGATIVE),
    )
    alike = all(task.rules[i] == task.rules[j] for i, j in zip(*infinities, strict=True))
    # Where the float's own overflow is the target's overflow to infinity, nobody sees the difference.
    nearest = task.profile.rounding in _NEAREST
    end = overflow_threshold(target, nearest) if flags_wanted else finite_ends(target)[1]
    seen = not (alike and end <= finite_ends(wide)[1])
    return rounds_once_in(wide, name, formats, target, overflow_matters=seen, losses_matter=not checked)


def _kind(formats: tuple[FloatFormat, ...]) -> tuple[int, list[Codes]]:
    """How codes become float32 numbers (`fpemu.kernels.opcodes`), and the words for it."""
    from fpemu.casting.fast_paths import widening

    words = [widening(fmt) for fmt in formats]
    known = [NO_WORDS if some is None else some for some in words]
    if any(some is None for some in words):
        return operations.REALS, known
    heads = all(fmt.emin == FLOAT32.emin and fmt.nan == "ieee" and fmt.signed for fmt in formats)
    return operations.HEADS if heads else operations.WIDENED, known


def _passes(
    name: str,
    formats: tuple[FloatFormat, ...],
    task: Target,
    wide: FloatFormat,
    flags_wanted: bool,
    wider: FastPath | None,
) -> FastPath:
    """Decode, operate, encode, and find the flags: each a loop over a chunk.

    `wider`: takes the chunks in which a product may have lost digits.
    """
    from fpemu.kernels.cpu.fpu_operations import flags_loop, fpu_loop

    number = getattr(operations, name.upper())
    kind, words = _kind(formats)
    assert isinstance(task.target, FloatFormat)
    odd = flags_wanted or needs_round_to_odd(wide, name, formats, task.target, task.profile.rounding in _NEAREST)
    loop = fpu_loop(number, wide is FLOAT64, kind, odd, wider is not None)
    exact = FLOAT32.check_profile(_EXACT)
    as_it_is = [kind != operations.REALS or fmt.codes_key == FLOAT32.codes_key for fmt in formats]
    decodes = [None if so else plan(fmt, FLOAT32, exact, None) for so, fmt in zip(as_it_is, formats, strict=True)]
    encode = plan(wide, task.target, task.profile, None)
    word = np.dtype(wide.code_dtype)
    toward_negative = task.profile.rounding is Rounding.TOWARD_NEGATIVE
    zero = word.type(wide.sign_mask if toward_negative else 0)
    tables = [*words, NO_WORDS, NO_WORDS][:3]
    to_flags = flags_loop(number, wide is FLOAT64, kind) if flags_wanted else None
    cut, marks = _flag_thresholds(task, wide) if flags_wanted else (None, None)

    def passes(codes: list[Codes], out: Codes, flags: Codes) -> bool:
        for decode, part in zip(decodes, codes, strict=True):
            if decode is not None:
                decode.prepare(part.size)
        size = min(CHUNK, out.size)
        buffers = [np.empty(0 if decode is None else size, np.uint32) for decode in decodes]
        results = np.empty(size, word)
        for start in range(0, out.size, CHUNK):
            stop = min(start + CHUNK, out.size)
            parts, to, raised = [part[start:stop] for part in codes], out[start:stop], flags[start:stop]
            operands = []
            for decode, buffer, part in zip(decodes, buffers, parts, strict=True):
                some = part
                if decode is not None:
                    some = buffer[: stop - start]
                    decode(part, some)
                operands.append(some.view(np.float32) if kind == operations.REALS else some)
            operands = [*operands, operands[0], operands[0]][:3]
            found = results[: stop - start]
            done = loop(*operands, *tables, zero, FPU_PROBE, found)
            if done == operations.UNDERFLOWED and wider and wider(parts, to, raised):
                continue
            if done != operations.DONE:
                return False
            encode(found, to)
            if to_flags is not None:
                to_flags(*operands, *tables, found, cut, marks, raised)
        return True

    return passes


def _flag_thresholds(task: Target, wide: FloatFormat) -> tuple[Any, Codes]:
    """What `flags_loop` knows of the target: the bits below its last one; limits, other numbers in the wide float."""
    target = task.target
    assert isinstance(target, FloatFormat)
    word = np.dtype(wide.code_dtype).type
    normal, magic = _power_of_two(wide, target.emin), _power_of_two(wide, target.quantum_exponent + wide.precision - 1)
    magic |= 1 << (wide.precision - 2)
    numbers = [normal, int(encode_codes(target.max_code, wide, source=target)), magic]
    marks = np.concatenate(
        [*_overflow_and_tiny_limits(task, wide), np.array(numbers, word).view(f"f{word().itemsize}")]
    )
    return word((1 << (wide.precision - target.precision)) - 1), marks


def _overflow_and_tiny_limits(task: Target, wide: FloatFormat) -> tuple[Codes, Codes]:
    """For positive and negative results in the wide float: from where on they overflow, up to where they are tiny.

    Asked of the general kernel, by bisection: both are monotone.
    """
    real = f"f{np.dtype(wide.code_dtype).itemsize}"

    def raises(bits: int, negative: bool, flag: int) -> bool:
        """Whether the number with these bits, rounded to the target, raises a flag."""
        code = np.array([bits | (wide.sign_mask if negative else 0)], wide.code_dtype)
        zero = np.array([wide.sign_mask if negative else 0], wide.code_dtype)
        out, flags = np.empty(1, task.target.code_dtype), np.empty(1, np.uint8)
        general("add", (wide, wide), task, [code, zero], out, flags)
        return bool(flags[0] & flag)

    limits, tiny = [], []
    assert isinstance(task.target, FloatFormat)
    for negative in (False, True):
        low, high = 0, wide.max_code + 1  # infinity: nothing finite overflows
        while low < high:
            middle = (low + high) // 2
            if raises(middle, negative, operations.OVERFLOW_FLAG):
                high = middle
            else:
                low = middle + 1
        limits.append(low)
        # Odd bits below 2^emin are inexact: they underflow where they are tiny.  Of the even ones above the last such
        # one only the next can, a tie.
        low, high = _power_of_two(wide, task.target.emin - 2) | 1, _power_of_two(wide, task.target.emin) - 1
        while low < high:
            middle = ((low + high) // 2 + 1) | 1
            if raises(middle, negative, operations.UNDERFLOW_FLAG):
                low = middle
            else:
                high = middle - 2
        tiny.append(low + raises(low + 1, negative, operations.UNDERFLOW_FLAG))
    return tuple(np.array(found, wide.code_dtype).view(real) for found in (limits, tiny))  # type: ignore[return-value]


def _power_of_two(wide: FloatFormat, exponent: int) -> int:
    """The code of 2^exponent in float32 or float64; 0 where it is below the smallest quantum."""
    real = np.float32 if wide is FLOAT32 else np.float64
    return int(real(2.0**exponent).view(np.dtype(wide.code_dtype)))

"""What every operation has in common: its options, its operands, where its result goes, and the way there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fpemu.arithmetic.axes import switch
from fpemu.arithmetic.fast_paths import fast_path
from fpemu.arithmetic.flags import Flags, Modes, active_modes, check, value_text
from fpemu.arithmetic.options import DEFAULTS, Options, check_options
from fpemu.arithmetic.task import Target, general, refuse_inexact_wrap, resolve_target
from fpemu.casting import Coded, Rest, as_numbers, as_source, carries_codes, codes_of, decode, encode
from fpemu.casting.buffers import can_write_in_place, check_out, flat, for_each_chunk
from fpemu.casting.stochastic import Randoms, randomness, shared_generator, sharing
from fpemu.formats import FLOAT32, IEEE, FloatFormat, Format, IntFormat, Profile, TableFormat, apart
from fpemu.formats import dtype as find_format
from fpemu.formats import profile as find_profile
from fpemu.formats.facts.reals import exact_text
from fpemu.formats.rules import (
    Extremum,
    Stochastic,
    Through,
)

Rests = Sequence[Rest | None]


class Call(NamedTuple):
    """One operation to carry out: what there is once operands and options are understood.

    `sources`: codes and format of each operand, not yet broadcast to `shape`; `flags_wanted`: whether anybody asks for
    flags; `out`: where results may be put, or None; `rests`: of each operand what its format does not hold, if any has
    such numbers.
    """

    name: str
    sources: list[tuple[NDArray[Any], FloatFormat | IntFormat]]
    task: Target
    shape: tuple[int, ...]
    randoms: Randoms
    flags_wanted: bool
    out: NDArray[Any] | None
    rests: Rests = ()

    def codes(self) -> list[NDArray[Any]]:
        """The operands' codes, broadcast, one-dimensional, in native byte order."""
        return [flat(part, self.shape) for part, _ in self.sources]


# Carries out an operation: codes of the result's shape, and flags (an empty array where nobody asks)
Compute = Callable[[Call], tuple[NDArray[Any], NDArray[np.uint8]]]

NO_FLAGS = np.zeros(0, np.uint8)


def with_own_format(x: Any, options: Options) -> Options:
    """The options, with x's own format as the result's if they name none."""
    if options.get("result") is None:
        return Options(**{**options, "result": as_source(x).format})
    return options


def operate(
    name: str,
    operands: tuple[Any, ...],
    options: Options,
    compute: Compute | None = None,
    exact: bool = True,
    extremum: Extremum = Extremum.IEEE_2019,
) -> Any:
    """One operation on broadcast operands, carried out by the kernel loop of its name unless `compute` is given.

    `exact`: conversions and roundings to integers raise inexact; `extremum`: which minimum and maximum are meant.
    """
    check_options(name, options, [*DEFAULTS, "fmt"] if name == "convert" else DEFAULTS)
    given: dict[str, Any] = {**DEFAULTS, **options}
    sources, rests = as_operands(operands)
    arrays = [x for x in operands if carries_codes(x)]
    target, profile = resolve_result(name, arrays, given["result"], given["profile"])
    formats = tuple(fmt for _, fmt in sources)
    task = resolve_target(name, formats, target, profile, given["rounding"], given["overflow"], exact, extremum)
    wanted = active_modes()
    switch(name, "return_flags", given["return_flags"])
    refuse_flags_of_double_rounding(name, task.profile, given["return_flags"], wanted)
    refuse_inexact_wrap(name, formats, task)
    shape = broadcast(name, [codes for codes, _ in sources])
    out = given["out"]
    if out is not None:
        check_out(out, shape, np.dtype(task.target.code_dtype))
    drawn = given["random_bits"] if given["rng"] is None else given["rng"]
    offset, generator = given["rng_offset"], shared_generator(name, arrays, drawn)
    if given["rng"] is None and given["random_bits"] is None and isinstance(task.profile.rounding, Stochastic):
        given["rng"] = generator
    randoms = randomness(task.profile.rounding, given["rng"], given["random_bits"], offset, shape)
    if task.profile.through is Through.FLOAT32:
        # for tools that round twice: the result in float32 to nearest even, which is then cast
        operand_rules = {rule: getattr(task.profile, rule) for rule in ("subnormals_in", "division_by_zero")}
        wide_rules = IEEE.replace(**operand_rules)
        wide = resolve_target(name, formats, FLOAT32, wide_rules, None, None, exact, extremum, task.profile.rounding)
        call = Call(name, sources, wide, shape, randoms, False, None, rests)
        first, bits = compute_with_rests(call, compute)[0], NO_FLAGS
        random_options = {option: given[option] for option in ("rng", "random_bits", "rng_offset")}
        once = task.profile.replace(through="none", subnormals_in="keep")
        codes = encode(first, task.target, source=FLOAT32, profile=once, **random_options)
    else:
        flags_wanted = given["return_flags"] or wanted is not None
        place = out if wanted is None else None  # who asks for an error wants `out` as it was
        call = Call(name, sources, task, shape, randoms, flags_wanted, place, rests)
        codes, bits = compute_with_rests(call, compute)
    if wanted is not None:
        check(wanted, name, bits, lambda index: describe_element(call, codes, index))
    if out is not None:
        if codes is not out:
            out[...] = codes
        found: Any = out
    elif arrays:
        found = sharing(arrays[0].__class__(codes, task.target, profile), generator)
    else:
        found = decode(codes, task.target)
    return (found, Flags(bits)) if given["return_flags"] else found


def compute_with_rests(call: Call, compute: Compute | None) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """An operation carried out: codes and flags, of elements too that have an operand which no format holds."""
    if not call.rests:
        return (compute or compute_by_loop)(call)
    from fpemu.arithmetic.rationals import reals_at, results, slots_of

    shapes = [part.shape for part, _ in call.sources]
    slots = [slots_of(rest, shape, call.shape) for rest, shape in zip(call.rests, shapes, strict=True)]
    places = np.flatnonzero(np.any(slots, axis=0))
    operands = [
        reals_at(part[places], fmt, rest, slot[places], call.task.rules)
        for part, (_, fmt), rest, slot in zip(call.codes(), call.sources, call.rests, slots, strict=True)
    ]
    codes, bits = (compute or compute_by_loop)(call)  # may write over the operands
    right, found, flags = results(call.name, operands, places, call.task, call.randoms)
    codes = np.ascontiguousarray(codes).reshape(call.shape)
    codes.reshape(-1)[right] = found
    if bits.size:
        bits.reshape(-1)[right] = flags
    return codes, bits


def refuse_flags_of_double_rounding(name: str, profile: Profile, return_flags: bool, wanted: Modes | None) -> None:
    """A ValueError if somebody asks for the flags of what is rounded twice."""
    if profile.through is not Through.FLOAT32 or not (return_flags or wanted):
        return
    text = f"{name}: a profile with through='float32' rounds twice: it has no flags"
    raise ValueError(text if return_flags else f"{text}, which errstate asks for: use fe.errstate(all='ignore') here")


def describe_element(call: Call, codes: NDArray[Any], index: tuple[int, ...]) -> str:
    """An operation on one element in words: "divide(1.0, 0.0) = inf in float16"."""
    target = call.task.target
    operands = operands_text(call.sources, call.rests, call.shape, index)
    return f"{call.name}({operands}) = {value_text(codes[index], target)} in {target.name}"


def operands_text(
    sources: Sequence[tuple[NDArray[Any], Format]], rests: Rests, shape: tuple[int, ...], index: tuple[int, ...]
) -> str:
    """The operands at an index of the broadcast shape, in words: "1/3, 0.0"."""
    texts = [value_text(np.broadcast_to(part, shape)[index], fmt) for part, fmt in sources]
    for i, rest in enumerate(rests):
        if rest is not None:
            places = np.arange(sources[i][0].size).reshape(sources[i][0].shape)
            found = np.flatnonzero(rest.places == np.broadcast_to(places, shape)[index])
            texts[i] = exact_text(rest.numbers[found[0]]) if found.size else texts[i]
    return ", ".join(texts)


def broadcast(name: str, arrays: list[NDArray[Any]]) -> tuple[int, ...]:
    """The shape of the result; a ValueError that says which shapes disagree."""
    shape = arrays[0].shape
    if all(codes.shape == shape for codes in arrays):
        return shape
    try:
        return np.broadcast_shapes(*(codes.shape for codes in arrays))
    except ValueError:
        shapes = " and ".join(str(codes.shape) for codes in arrays)
        raise ValueError(f"{name}: the shapes {shapes} do not broadcast") from None


def as_operands(operands: tuple[Any, ...]) -> tuple[list[tuple[NDArray[Any], FloatFormat | IntFormat]], Rests]:
    """Operands as codes of float or integer formats, and what these do not hold; () where they hold all.

    A codebook's codes become its values.
    """
    sources: list[tuple[NDArray[Any], FloatFormat | IntFormat]] = []
    rests: list[Rest | None] = []
    for x in operands:
        if carries_codes(x) and isinstance(x.format, FloatFormat | IntFormat):
            sources.append((codes_of(x), x.format))
            rests.append(None)
            continue
        source = as_numbers(x)
        if isinstance(source.format, TableFormat):
            source = as_source(decode(source.codes, source.format, dtype=np.float64))
        assert not isinstance(source.format, TableFormat)
        sources.append((source.codes, source.format))
        rests.append(source.rest)
    return sources, () if all(rest is None for rest in rests) else rests


def resolve_result(
    name: str, arrays: list[Coded], result: Any, profile: str | Profile | None
) -> tuple[FloatFormat | IntFormat, Profile]:
    """The result's format and profile, as asked for or as the Arrays have them."""
    if result is None and not arrays:
        raise ValueError(f"{name}: say the result's format: {name}(..., result='bfloat16'), or give an Array")
    target: Format = arrays[0].format if result is None else find_format(result)
    if result is None:
        for other in arrays[1:]:
            if other.format != target:
                raise ValueError(
                    f"{name}: the Arrays are of {target.name} and {other.format.name}: say result=, or cast one of them"
                )
    if isinstance(target, TableFormat):
        raise ValueError(f"{name}: a codebook ({target.name}) cannot be the result's format: encode the result")
    if profile is not None:
        return target, find_profile(profile)
    alike = [array.profile for array in arrays if array.format == target]
    for other_profile in alike[1:]:
        if other_profile is not alike[0] and other_profile != alike[0]:
            raise ValueError(
                f"{name}: the Arrays' profiles, {' and '.join(apart(alike[0], other_profile))}, differ: say profile=, "
                "or use with_profile"
            )
    return target, alike[0] if alike else target.profile


def compute_by_loop(call: Call) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """An operation's own kernel loop, or a faster way to its bits."""
    task, codes = call.task, call.codes()
    formats = tuple(fmt for _, fmt in call.sources)
    if call.out is not None and can_write_in_place(call.out, codes):
        found, out = call.out, call.out.reshape(-1)
    else:
        out = np.empty(codes[0].size, task.target.code_dtype)
        found = out.reshape(call.shape)
    flags = np.empty(out.size if call.flags_wanted else 0, np.uint8)
    faster = fast_path(call.name, formats, task, out.size, call.flags_wanted)

    def piece(start: int, stop: int) -> None:
        parts = [part[start:stop] for part in codes]
        if faster is None or not faster(parts, out[start:stop], flags[start:stop]):
            randoms = call.randoms.chunk(start, stop)
            general(call.name, formats, task, parts, out[start:stop], flags[start:stop], randoms)

    for_each_chunk(piece, out.size)
    return found, flags.reshape(call.shape if call.flags_wanted else (0,))

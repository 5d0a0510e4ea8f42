"""The operation pipeline: resolve operands, result format and rules; compute; report flags."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fpemu.arithmetic.axes import switch
from fpemu.arithmetic.fast_paths import fast_path
from fpemu.arithmetic.flags import Flags, Modes, active_modes, raise_or_warn, value_text
from fpemu.arithmetic.options import DEFAULTS, Options, check_options
from fpemu.arithmetic.task import USUAL, Target, Variant, general, refuse_inexact_wrap, resolve_target
from fpemu.casting import Coded, Rest, as_numbers, as_source, carries_codes, codes_of, decode, encode
from fpemu.casting.buffers import can_write_in_place, check_out, flat, for_each_chunk
from fpemu.casting.stochastic import NO_RANDOMS, Randoms, randomness, shared_generator, sharing
from fpemu.formats import FLOAT32, IEEE, FloatFormat, Format, IntFormat, Profile, TableFormat, apart
from fpemu.formats import dtype as find_format
from fpemu.formats import profile as find_profile
from fpemu.formats.facts.reals import exact_text
from fpemu.formats.rules import Rounding, Stochastic, Through

Sources = list[tuple[NDArray[Any], FloatFormat | IntFormat]]
Rests = Sequence[Rest | None]
# Codes of the result's shape, and flags (an empty array where nobody asks)
Results = tuple[NDArray[Any], NDArray[np.uint8]]

NO_FLAGS = np.zeros(0, np.uint8)


class Request(NamedTuple):
    """The operands of a call, and whether its flags are returned or reported."""

    name: str
    sources: Sources
    rests: Rests
    arrays: list[Coded]
    return_flags: bool
    modes: Modes | None

    @property
    def formats(self) -> tuple[FloatFormat | IntFormat, ...]:
        """The operands' formats."""
        return tuple(fmt for _, fmt in self.sources)

    @property
    def flags_wanted(self) -> bool:
        """Whether anybody asks for the flags."""
        return self.return_flags or self.modes is not None


class Procedure(NamedTuple):
    """The procedure that computes a call.

    `compute`: codes and flags; it may write the codes to the array that it is given; `describe`: one element of the
    operation in words; `deliver`: the result with these codes.
    """

    shape: tuple[int, ...]
    dtype: DTypeLike
    compute: Callable[[NDArray[Any] | None], Results]
    describe: Callable[[NDArray[Any], tuple[int, ...]], str]
    deliver: Callable[[NDArray[Any]], Any]


class OperationCall(NamedTuple):
    """A call of an operation that rounds to a format, ready to be computed.

    `sources`: codes and format of each operand, not yet broadcast to `shape`; `rests`: the numbers of each operand
    that its format does not hold, () if there are none; `out`: an array that the codes may be written to, or None.
    """

    name: str
    sources: Sources
    rests: Rests
    target: Target
    shape: tuple[int, ...]
    randoms: Randoms
    flags_wanted: bool
    out: NDArray[Any] | None = None

    @property
    def formats(self) -> tuple[FloatFormat | IntFormat, ...]:
        """The operands' formats."""
        return tuple(fmt for _, fmt in self.sources)

    def codes(self) -> list[NDArray[Any]]:
        """The operands' codes, broadcast, one-dimensional, in native byte order."""
        return [flat(codes, self.shape) for codes, _ in self.sources]


Compute = Callable[[OperationCall], Results]


class Computation(NamedTuple):
    """The characteristics of one operation that rounds to a format.

    `rounding`: the rounding that uses the random integers.
    """

    shape: tuple[int, ...]
    rounding: Rounding | Stochastic
    compute: Compute
    describe: Callable[[OperationCall, NDArray[Any], tuple[int, ...]], str]


Prepare = Callable[[Request, Target, Profile], Computation]


def run_operation(
    name: str,
    operands: tuple[Any, ...],
    return_flags: bool,
    out: NDArray[Any] | None,
    procedure_for: Callable[[Request], Procedure],
) -> Any:
    """The pipeline of all operations: read operands, choose a procedure, compute, report flags, deliver the result."""
    modes = active_modes()
    switch(name, "return_flags", return_flags)
    sources, rests = as_operands(operands)
    arrays = [x for x in operands if carries_codes(x)]
    procedure = procedure_for(Request(name, sources, rests, arrays, return_flags, modes))
    if out is not None:
        check_out(out, procedure.shape, np.dtype(procedure.dtype))
    codes, bits = procedure.compute(out if modes is None else None)  # an error that is raised leaves `out` as it was
    if modes is not None:
        raise_or_warn(modes, name, bits, lambda index: procedure.describe(codes, index))
    if out is None:
        result = procedure.deliver(codes)
    else:
        result = out
        if codes is not out:
            out[...] = codes
    return (result, Flags(bits)) if return_flags else result


def run_rounded_operation(
    name: str,
    operands: tuple[Any, ...],
    options: Options,
    prepare: Prepare,
    own_options: Collection[str] = (),
    variant: Variant = USUAL,
) -> Any:
    """The pipeline of an operation that rounds to a format; `own_options`: options that other operations lack."""
    if options:
        check_options(name, options, [*DEFAULTS, *own_options])
    given: dict[str, Any] = {**DEFAULTS, **options}

    def procedure_for(request: Request) -> Procedure:
        return _rounding_procedure(request, given, prepare, variant)

    return run_operation(name, operands, given["return_flags"], given["out"], procedure_for)


def _rounding_procedure(request: Request, options: dict[str, Any], prepare: Prepare, variant: Variant) -> Procedure:
    """The procedure for results rounded to a format: once, or through float32."""
    name, arrays, formats = request.name, request.arrays, request.formats
    fmt, profile = resolve_result(name, arrays, options["result"], options["profile"])
    target = resolve_target(name, formats, fmt, profile, options["rounding"], options["overflow"], variant)
    rules = target.profile
    refuse_flags_of_double_rounding(name, rules, request.return_flags, request.modes)
    shape, rounding, compute, describe = prepare(request, target, profile)
    random = {option: options[option] for option in ("rng", "random_bits", "rng_offset")}
    drawn = random["random_bits"] if random["rng"] is None else random["rng"]
    generator = shared_generator(name, arrays, drawn)
    if drawn is None and isinstance(rounding, Stochastic):
        random["rng"] = generator
    call = OperationCall(name, request.sources, request.rests, target, shape, NO_RANDOMS, request.flags_wanted)

    def compute_codes(out: NDArray[Any] | None) -> Results:
        randoms = randomness(rounding, random["rng"], random["random_bits"], random["rng_offset"], shape)
        if rules.through is not Through.FLOAT32:
            return compute(call._replace(randoms=randoms, out=out))
        # Tools that round twice: the result in float32 to nearest even, which is then cast
        first_rules = IEEE.replace(subnormals_in=rules.subnormals_in, division_by_zero=rules.division_by_zero)
        integral = variant._replace(integral=rules.rounding)
        single = resolve_target(name, formats, FLOAT32, first_rules, None, None, integral)
        codes, _ = compute(call._replace(target=single, randoms=randoms))
        last_rules = rules.replace(through="none", subnormals_in="keep")
        again = random if isinstance(rules.rounding, Stochastic) else {}
        return np.asarray(encode(codes, fmt, source=FLOAT32, profile=last_rules, **again)), NO_FLAGS

    def deliver(codes: NDArray[Any]) -> Any:
        return sharing(arrays[0].__class__(codes, fmt, profile), generator) if arrays else decode(codes, fmt)

    return Procedure(shape, fmt.code_dtype, compute_codes, functools.partial(describe, call), deliver)


def operate(
    name: str,
    operands: tuple[Any, ...],
    options: Options,
    compute: Compute | None = None,
    variant: Variant = USUAL,
) -> Any:
    """One operation on broadcast operands: by the kernel loop of its name, unless `compute` is given."""

    def prepare(request: Request, target: Target, _: Profile) -> Computation:
        refuse_inexact_wrap(name, request.formats, target)
        shape = broadcast(name, [codes for codes, _ in request.sources])
        by = functools.partial(compute_with_rests, compute or compute_by_loop)
        return Computation(shape, target.profile.rounding, by, describe_element)

    return run_rounded_operation(name, operands, options, prepare, ["fmt"] if name == "convert" else [], variant)


def with_own_format(x: Any, options: Options) -> Options:
    """The options, with x's own format as the result's if they name none."""
    if options.get("result") is None:
        return Options(**{**options, "result": as_source(x).format})
    return options


def compute_with_rests(compute: Compute, call: OperationCall) -> Results:
    """Compute a call, and correct the elements that have an operand which no format holds."""
    if not call.rests:
        return compute(call)
    from fpemu.arithmetic.rationals import exact_results, reals_at, slots_of

    shapes = [codes.shape for codes, _ in call.sources]
    slots = [slots_of(rest, shape, call.shape) for rest, shape in zip(call.rests, shapes, strict=True)]
    positions = np.flatnonzero(np.any(slots, axis=0))
    operands = [
        reals_at(codes[positions], fmt, rest, slot[positions], call.target.rules)
        for codes, fmt, rest, slot in zip(call.codes(), call.formats, call.rests, slots, strict=True)
    ]
    codes, bits = compute(call)  # may write over the operands
    corrected, exact_codes, flags = exact_results(call.name, operands, positions, call.target, call.randoms)
    codes = np.ascontiguousarray(codes).reshape(call.shape)
    codes.reshape(-1)[corrected] = exact_codes
    if bits.size:
        bits.reshape(-1)[corrected] = flags
    return codes, bits


def refuse_flags_of_double_rounding(name: str, profile: Profile, return_flags: bool, modes: Modes | None) -> None:
    """Raise ValueError when flags are requested under a profile that rounds twice."""
    if profile.through is not Through.FLOAT32 or not (return_flags or modes):
        return
    text = f"{name}: a profile with through='float32' rounds twice: it has no flags"
    raise ValueError(text if return_flags else f"{text}, which errstate asks for: use fe.errstate(all='ignore') here")


def describe_element(call: OperationCall, codes: NDArray[Any], index: tuple[int, ...]) -> str:
    """An operation on one element in words: "divide(1.0, 0.0) = inf in float16"."""
    fmt = call.target.format
    operands = operands_text(call.sources, call.rests, call.shape, index)
    return f"{call.name}({operands}) = {value_text(codes[index], fmt)} in {fmt.name}"


def operands_text(sources: Sources, rests: Rests, shape: tuple[int, ...], index: tuple[int, ...]) -> str:
    """The operands at an index of the broadcast shape, in words: "1/3, 0.0"."""
    texts = [value_text(np.broadcast_to(codes, shape)[index], fmt) for codes, fmt in sources]
    for i, rest in enumerate(rests):
        if rest is not None:
            codes = sources[i][0]
            position = np.broadcast_to(np.arange(codes.size).reshape(codes.shape), shape)[index]
            matches = np.flatnonzero(rest.indices == position)
            texts[i] = exact_text(rest.numbers[matches[0]]) if matches.size else texts[i]
    return ", ".join(texts)


def broadcast(name: str, arrays: list[NDArray[Any]]) -> tuple[int, ...]:
    """The shape of the result; a ValueError that names the shapes if they disagree."""
    shape = arrays[0].shape
    if all(codes.shape == shape for codes in arrays):
        return shape
    try:
        return np.broadcast_shapes(*(codes.shape for codes in arrays))
    except ValueError:
        shapes = " and ".join(str(codes.shape) for codes in arrays)
        raise ValueError(f"{name}: the shapes {shapes} do not broadcast") from None


def as_operands(operands: tuple[Any, ...]) -> tuple[Sources, Rests]:
    """Operands as codes of float or integer formats, and the numbers that these do not hold, () if there are none.

    A codebook's codes become its values.
    """
    sources: Sources = []
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
    """The result's format and profile, as named by the caller or as the Arrays have them."""
    if result is None and not arrays:
        raise ValueError(f"{name}: specify the result's format: {name}(..., result='bfloat16'), or give an Array")
    target: Format = arrays[0].format if result is None else find_format(result)
    if result is None:
        for other in arrays[1:]:
            if other.format != target:
                raise ValueError(
                    f"{name}: the Arrays are of {target.name} and {other.format.name}: use result=, or cast one of them"
                )
    if isinstance(target, TableFormat):
        raise ValueError(f"{name}: a codebook ({target.name}) cannot be the result's format: encode the result")
    if profile is not None:
        return target, find_profile(profile)
    alike = [array.profile for array in arrays if array.format == target]
    for other_profile in alike[1:]:
        if other_profile is not alike[0] and other_profile != alike[0]:
            raise ValueError(
                f"{name}: the Arrays' profiles, {' and '.join(apart(alike[0], other_profile))}, differ: use profile=, "
                "or use with_profile"
            )
    return target, alike[0] if alike else target.profile


def compute_by_loop(call: OperationCall) -> Results:
    """An operation by its kernel loop, or by a fast path with the same results."""
    target, codes, formats = call.target, call.codes(), call.formats
    if call.out is not None and can_write_in_place(call.out, codes):
        result, out = call.out, call.out.reshape(-1)
    else:
        out = np.empty(codes[0].size, target.format.code_dtype)
        result = out.reshape(call.shape)
    flags = np.empty(out.size if call.flags_wanted else 0, np.uint8)
    fast = fast_path(call.name, formats, target, out.size, call.flags_wanted)

    def compute_chunk(start: int, stop: int) -> None:
        operands = [each[start:stop] for each in codes]
        if fast is None or not fast(operands, out[start:stop], flags[start:stop]):
            randoms = call.randoms.chunk(start, stop)
            general(call.name, formats, target, operands, out[start:stop], flags[start:stop], randoms)

    for_each_chunk(compute_chunk, out.size)
    return result, flags.reshape(call.shape if call.flags_wanted else (0,))

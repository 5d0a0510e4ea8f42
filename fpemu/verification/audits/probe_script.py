"""probe: a script that asks a device, with torch, what fpemu can answer, and records it."""

from __future__ import annotations

import base64
import json
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu.casting import decode, encode
from fpemu.files.atomic import replacing
from fpemu.formats import FloatFormat, IntFormat, dtype
from fpemu.formats.lookup import near
from fpemu.inspection.operations import ALIASES, SYMBOLS
from fpemu.verification.audits import probe_template as recorder
from fpemu.verification.claims import Claim
from fpemu.verification.vectors import generate
from fpemu.version import __version__

__all__ = ["Plan", "operation_of", "probe", "recorded_name"]

HALVES = ("float16", "bfloat16")
FLOAT8 = ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu")
NARROW = (*HALVES, *FLOAT8)
_BINARY = ("add", "subtract", "multiply", "divide", "fma", "fmod", "sqrt")
_ALL = 1 << 16  # up to so many codes all are asked

# Each number of 16 bits as the upper half of a float32, the lower half so that it is what the narrower formats have, a
# tie of theirs, or a neighbour: for the formats of 8 bits, and for bfloat16, these are all the ties there are.
_AROUND = {"shift": 16, "count": 1 << 16, "add": [0, 1, 0xFFFF]}
_AROUND_HALVES = {**_AROUND, "add": [0, 1, 0xFFFF, 0x7FFF, 0x8000, 0x8001]}
_INTEGERS, _FLOATS = 6, 64  # ties of each binade of integers, and of all floats

Progress = Callable[[int], object]


def recorded_name(claim: Claim) -> str:
    """What an item of a recording is called: "float32 to float16", "add of bfloat16".

    Examples
    --------
    >>> from fpemu.verification.audits.probe_script import recorded_name
    >>> from fpemu.verification.claims import Claim
    >>> recorded_name(Claim.of("cast", "float16")), recorded_name(Claim.of("add", "bfloat16"))
    ('float32 to float16', 'add of bfloat16')
    """
    if claim.operation == "cast":
        return f"{claim.operands[0]} to {claim.result}"
    return f"{claim.operation} of {claim.result}"


class Plan:
    """What to ask a device: claims by name, narrowed down to formats and operations.

    Parameters
    ----------
    formats : sequence of str, Format or dtype, optional
        Only what has one of these as its narrowest format.
    operations : sequence of str, optional
        Only these, "cast" among them.

    Attributes
    ----------
    claims : dict of str to Claim

    Raises
    ------
    TypeError
        If something is of the wrong kind.
    ValueError
        If a name is unknown, or nothing is left to ask.
    """

    def __init__(self, formats: Sequence[Any] | None = None, operations: Sequence[str] | None = None) -> None:
        for what, given in (("formats", formats), ("operations", operations)):
            if isinstance(given, str):
                raise TypeError(f"{what} must be a sequence of them, not {given!r}")
        wanted = None if not formats else {dtype(each).name for each in formats}
        named = None if not operations else {operation_of(each) for each in operations}
        self.claims = {
            recorded_name(claim): claim
            for claim in _everything()
            if (named is None or claim.operation in named) and (wanted is None or wanted & _narrowest(claim))
        }
        if not self.claims:
            raise ValueError(
                f"torch can be asked nothing of {', '.join(sorted(wanted or ()))} by these operations: "
                f"there are casts of {', '.join(NARROW)}, and operations of {', '.join((*HALVES, 'float32'))}"
            )


def operation_of(name: Any) -> str:
    """The operation of a name, an alias or a symbol, as torch can be asked for it; else a TypeError or ValueError."""
    if not isinstance(name, str):
        raise TypeError(f"an operation is a name, not {type(name).__name__}")
    known = {"encode": "cast", **ALIASES, **SYMBOLS}.get(name, name)
    if known not in recorder.CALLS:
        names = list(recorder.CALLS)
        raise ValueError(f"no operation {name!r} to ask torch for: there are {', '.join(names)}{near(name, names)}")
    return known


def _narrowest(claim: Claim) -> set[str]:
    """The names of a claim's narrowest formats."""
    formats = [*claim.operands, *([] if claim.result is None else [claim.result])]
    least = min(fmt.bits for fmt in formats)
    return {fmt.name for fmt in formats if fmt.bits == least}


def _everything() -> Iterator[Claim]:
    pairs = [("float32", target) for target in NARROW]
    pairs += [("float64", target) for target in (*NARROW, "float32")]
    pairs += [(source, target) for source in HALVES for target in NARROW if source != target]
    pairs += [(source, "float32") for source in NARROW]
    pairs += [(source, target) for source in ("int32", "int64") for target in (*HALVES, "float32")]
    for source, target in pairs:
        yield Claim.of("cast", target, source=source)
    for operation in recorder.CALLS:
        if operation != "cast":
            for fmt in (*HALVES, *(["float32"] if operation in _BINARY else [])):
                yield Claim.of(operation, fmt)


def probe(
    path: str | os.PathLike[str],
    formats: Sequence[Any] | None = None,
    operations: Sequence[str] | None = None,
    *,
    per_cell: int = 2,
    random: int = 1000,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[str]:
    """Write a script that asks a device, with torch, for casts and operations, and records what it answers.

    The script needs Python 3.9 and torch on the other machine, and nothing else: its inputs are in it.  There
    ``python probe.py`` makes ``recording.probe``, which `fpemu.verification.audits.recordings` reads anywhere.

    Parameters
    ----------
    path : path-like
        The script.
    formats : sequence of str, Format or dtype, optional
        Only casts and operations of these (a cast is one of its narrower format); default all that torch has.
    operations : sequence of str, optional
        Only these: "cast", "add", "fma", "exp" ...; default all that both know.
    per_cell, random, seed : int
        The inputs are those of `fpemu.verification.vectors.generate`; all there are where operands have 16 bits, of
        casts from float32 also every value with 16 significant bits, every tie of the narrower format, and their
        neighbours.
    progress : callable, optional
        Called with 1 for each item done.

    Returns
    -------
    list of str
        What the script asks, by name.

    Raises
    ------
    TypeError
        If something is of the wrong kind.
    ValueError
        If a name is unknown, a number out of range, or nothing is left to ask.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from fpemu.verification.audits import probe
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     probe(f"{folder}/probe.py", ["float8_e5m2"], ["cast"], random=10)[2:]
    ['float16 to float8_e5m2', 'bfloat16 to float8_e5m2', 'float8_e5m2 to float32']
    """
    plan = Plan(formats, operations)
    with replacing(path) as stream:  # a file that cannot be written is told of before the work
        stream.write(_script(plan, {"per_cell": per_cell, "random": random, "seed": seed}, progress).encode())
    return list(plan.claims)


def _script(plan: Plan, numbers: dict[str, int], progress: Progress | None) -> str:
    """The text of the script."""
    blob = bytearray()
    items = []
    for name, claim in plan.claims.items():
        batches = list(_batches(claim, blob, numbers))
        items.append({"name": name, "claim": claim.described(), "batches": batches})
        if progress is not None:
            progress(1)
    about = {
        "fpemu": __version__,
        "inputs": {word.replace("_", " "): number for word, number in numbers.items()},
        "items": items,
    }
    text = Path(recorder.__file__).read_text(encoding="utf-8")
    for constant, data in (("PLAN", json.dumps(about).encode()), ("INPUTS", bytes(blob))):
        head, tail = text.split(f'\n{constant} = ""\n')
        text = f'{head}\n{constant} = """\n{_packed(data)}\n"""\n{tail}'
    return text


def _batches(claim: Claim, blob: bytearray, numbers: dict[str, int]) -> Iterator[dict[str, Any]]:
    """The inputs of an item, those that do not follow from a rule at the end of the blob."""
    vectors, target = generate(claim, limit=_ALL, **numbers), claim.result
    assert isinstance(target, FloatFormat)
    size = np.dtype(claim.operands[0].code_dtype).itemsize
    if vectors.exhaustive:
        yield {"size": size, "rule": {"shift": 0, "count": claim.operands[0].code_count, "add": [0]}}
        return
    places = []
    ties = [_ties(claim)] if claim.operation == "cast" else []
    for parts in zip(*vectors.operands(), strict=True):
        codes = np.concatenate([*parts, *ties])
        start = len(blob)
        blob += codes.astype(codes.dtype.newbyteorder("<")).tobytes()
        places.append([start, len(blob)])
    yield {"size": size, "operands": places}
    if claim.operation == "cast" and claim.operands[0].name == "float32":
        yield {"size": size, "rule": _AROUND if target.bits == 8 else _AROUND_HALVES}


def _ties(claim: Claim) -> NDArray[np.unsignedinteger[Any]]:
    """What lies halfway between two values of a cast's result, and beside: codes of its source, of both signs.

    A neighbour that has more digits than float32 (or float16) becomes a tie where it passes through that.
    """
    source, target = claim.operands[0], claim.result
    assert isinstance(target, FloatFormat)
    if isinstance(source, IntFormat):
        p = target.precision
        odd = np.linspace(1 << p, 2 << p, _INTEGERS, endpoint=False).astype(np.uint64) | np.uint64(1)
        shifts = np.arange(source.bits - 1 - p, dtype=np.uint64)
        middle = (odd << shifts[:, None]).ravel()
        beside = np.concatenate([middle - np.uint64(1), middle, middle + np.uint64(1)])
        return np.concatenate([beside, np.uint64(0) - beside]).astype(source.code_dtype)  # two's complement
    assert isinstance(source, FloatFormat)
    below = np.linspace(0, target.max_code - 1, _FLOATS).astype(target.code_dtype)
    low, high = (np.asarray(decode(codes, target), np.float64) for codes in (below, below + below.dtype.type(1)))
    middle = np.asarray(encode(low + (high - low) / 2, source), np.uint64)
    steps = [np.uint64(1 << step) for step in ((0, 22, 36) if source.bits == 64 else (0, 8))]
    beside = np.concatenate([middle, *(middle + step for step in steps), *(middle - step for step in steps)])
    return np.concatenate([beside, beside | np.uint64(source.sign_mask)]).astype(source.code_dtype)


def _packed(data: bytes) -> str:
    return base64.encodebytes(zlib.compress(data, 9)).decode().strip()

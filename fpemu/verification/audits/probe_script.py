"""The writer of scripts that record a device's casts and operations, with torch."""

from __future__ import annotations

import base64
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu.casting import decode, encode
from fpemu.files.atomic import replacing
from fpemu.formats import FloatFormat, IntFormat, dtype
from fpemu.formats.lookup import near
from fpemu.inspection.operations import ALIASES, SYMBOLS
from fpemu.verification.audits import probe_template
from fpemu.verification.claims import Claim
from fpemu.verification.vectors import generate
from fpemu.verification.vectors.writing import Advance
from fpemu.version import __version__

__all__ = ["ProbePlan", "operation_of", "probe", "recorded_name"]

HALVES = ("float16", "bfloat16")
FLOAT8 = ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu")
TORCH_NARROW = (*HALVES, *FLOAT8)
_IN_FLOAT32 = ("add", "subtract", "multiply", "divide", "fma", "fmod", "sqrt")
_ALL = 1 << 16  # largest number of codes at which all are inputs

# Every float32 whose lower half is zero, and its neighbours; for casts to 16 bits also codes around the middle of the
# lower half.  For formats of 8 bits and for bfloat16 these include every tie.
_AROUND = {"shift": 16, "count": 1 << 16, "add": [0, 1, 0xFFFF]}
_AROUND_HALVES = {**_AROUND, "add": [0, 1, 0xFFFF, 0x7FFF, 0x8000, 0x8001]}
_INTEGER_TIES, _FLOAT_TIES = 6, 64  # ties in each binade of integers; ties among floats


def recorded_name(claim: Claim) -> str:
    """Return the name of a recorded item: "float32 to float16", "add of bfloat16".

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


class ProbePlan:
    """The claims to record, by name, restricted to some formats and operations.

    Parameters
    ----------
    formats : sequence of str, Format or dtype, optional
        Keep the claims whose narrowest format is one of these.
    operations : sequence of str, optional
        Keep these operations; "cast" is one.

    Attributes
    ----------
    claims : dict of str to Claim

    Raises
    ------
    TypeError
        If an argument is of the wrong type.
    ValueError
        If a name is unknown, or no claim is left.
    """

    def __init__(self, formats: Sequence[Any] | None = None, operations: Sequence[str] | None = None) -> None:
        for argument, given in (("formats", formats), ("operations", operations)):
            if isinstance(given, str):
                raise TypeError(f"{argument} must be a sequence of names, not {given!r}")
        kept_formats = None if not formats else {dtype(each).name for each in formats}
        kept_operations = None if not operations else {operation_of(each) for each in operations}
        self.claims = {
            recorded_name(claim): claim
            for claim in _all_claims()
            if (kept_operations is None or claim.operation in kept_operations)
            and (kept_formats is None or kept_formats & _narrowest(claim))
        }
        if not self.claims:
            raise ValueError(
                f"torch has none of these operations for {', '.join(sorted(kept_formats or ()))}: "
                f"there are casts of {', '.join(TORCH_NARROW)}, and operations of {', '.join((*HALVES, 'float32'))}"
            )


def operation_of(name: Any) -> str:
    """The operation with this name, alias or symbol; a TypeError or ValueError if torch does not have it."""
    if not isinstance(name, str):
        raise TypeError(f"an operation is a name, not {type(name).__name__}")
    known = {"encode": "cast", **ALIASES, **SYMBOLS}.get(name, name)
    if known not in probe_template.CALLS:
        names = list(probe_template.CALLS)
        raise ValueError(f"torch has no operation {name!r}: there are {', '.join(names)}{near(name, names)}")
    return known


def _narrowest(claim: Claim) -> set[str]:
    """The names of a claim's narrowest formats."""
    formats = [*claim.operands, *([] if claim.result is None else [claim.result])]
    least = min(fmt.bits for fmt in formats)
    return {fmt.name for fmt in formats if fmt.bits == least}


def _all_claims() -> Iterator[Claim]:
    pairs = [("float32", target) for target in TORCH_NARROW]
    pairs += [("float64", target) for target in (*TORCH_NARROW, "float32")]
    pairs += [(source, target) for source in HALVES for target in TORCH_NARROW if source != target]
    pairs += [(source, "float32") for source in TORCH_NARROW]
    pairs += [(source, target) for source in ("int32", "int64") for target in (*HALVES, "float32")]
    for source, target in pairs:
        yield Claim.of("cast", target, source=source)
    for operation in probe_template.CALLS:
        if operation != "cast":
            for fmt in (*HALVES, *(["float32"] if operation in _IN_FLOAT32 else [])):
                yield Claim.of(operation, fmt)


def probe(
    path: str | os.PathLike[str],
    formats: Sequence[Any] | None = None,
    operations: Sequence[str] | None = None,
    *,
    per_cell: int = 2,
    random: int = 1000,
    seed: int = 0,
    progress: Advance | None = None,
) -> list[str]:
    """Write a script that records a device's casts and operations, with torch.

    The script contains its inputs; on the device's machine it needs only Python 3.9 and torch.  There, ``python
    probe.py`` writes ``recording.probe``, which `fpemu.verification.recordings` reads anywhere.

    Parameters
    ----------
    path : path-like
        The script.
    formats : sequence of str, Format or dtype, optional
        Keep casts and operations of these formats (of a cast, the narrower one); default: all that torch has.
    operations : sequence of str, optional
        Keep these operations: "cast", "add", "fma", "exp", ...; default: all that torch and fpemu have.
    per_cell, random, seed : int
        As for `fpemu.vectors.generate`, which returns the inputs: all codes of operands of 16 bits; casts from float32
        add every value with 16 significant bits, every tie of the narrower format, and their neighbours.
    progress : callable, optional
        Called with 1 after each item.

    Returns
    -------
    list of str
        The names of the items.

    Raises
    ------
    TypeError
        If an argument is of the wrong type.
    ValueError
        If a name is unknown, a number is out of range, or no claim is left.
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
    plan = ProbePlan(formats, operations)
    with replacing(path) as stream:  # fails before the work if the file cannot be written
        stream.write(_script(plan, {"per_cell": per_cell, "random": random, "seed": seed}, progress).encode())
    return list(plan.claims)


def _script(plan: ProbePlan, numbers: dict[str, int], progress: Advance | None) -> str:
    """The text of the script."""
    blob = bytearray()
    items = []
    for name, claim in plan.claims.items():
        batches = list(_input_batches(claim, blob, numbers))
        items.append({"name": name, "claim": claim.described(), "batches": batches})
        if progress is not None:
            progress(1)
    about = {
        "fpemu": __version__,
        "inputs": {word.replace("_", " "): number for word, number in numbers.items()},
        "items": items,
    }
    text = Path(probe_template.__file__).read_text(encoding="utf-8")
    for constant, data in (("PLAN", json.dumps(about).encode()), ("INPUTS", bytes(blob))):
        head, tail = text.split(f'\n{constant} = ""\n')
        text = f'{head}\n{constant} = """\n{_compressed(data)}\n"""\n{tail}'
    return text


def _input_batches(claim: Claim, blob: bytearray, numbers: dict[str, int]) -> Iterator[dict[str, Any]]:
    """The input batches of an item; inputs that no rule describes are appended to the blob."""
    vectors, target = generate(claim, limit=_ALL, **numbers), claim.result
    assert isinstance(target, FloatFormat)
    size = np.dtype(claim.operands[0].code_dtype).itemsize
    if vectors.exhaustive:
        yield {"size": size, "rule": {"shift": 0, "count": claim.operands[0].code_count, "add": [0]}}
        return
    spans = []
    ties = [_ties(claim)] if claim.operation == "cast" else []
    for batches in zip(*vectors.operands(), strict=True):
        codes = np.concatenate([*batches, *ties])
        start = len(blob)
        blob += codes.astype(codes.dtype.newbyteorder("<")).tobytes()
        spans.append([start, len(blob)])
    yield {"size": size, "operands": spans}
    if claim.operation == "cast" and claim.operands[0].name == "float32":
        yield {"size": size, "rule": _AROUND if target.bits == 8 else _AROUND_HALVES}


def _ties(claim: Claim) -> NDArray[np.unsignedinteger[Any]]:
    """Ties of a cast's result format, and their neighbours: codes of its source, of both signs.

    Some neighbours have more digits than float32 (or float16), so a cast through that type makes them ties.
    """
    source, target = claim.operands[0], claim.result
    assert isinstance(target, FloatFormat)
    if isinstance(source, IntFormat):
        p = target.precision
        odd = np.linspace(1 << p, 2 << p, _INTEGER_TIES, endpoint=False).astype(np.uint64) | np.uint64(1)
        shifts = np.arange(source.bits - 1 - p, dtype=np.uint64)
        ties = (odd << shifts[:, None]).ravel()
        positive = np.concatenate([ties - np.uint64(1), ties, ties + np.uint64(1)])
        return np.concatenate([positive, np.uint64(0) - positive]).astype(source.code_dtype)  # two's complement
    assert isinstance(source, FloatFormat)
    below = np.linspace(0, target.max_code - 1, _FLOAT_TIES).astype(target.code_dtype)
    low, high = (np.asarray(decode(codes, target), np.float64) for codes in (below, below + below.dtype.type(1)))
    ties = np.asarray(encode(low + (high - low) / 2, source), np.uint64)
    steps = [np.uint64(1 << exponent) for exponent in ((0, 22, 36) if source.bits == 64 else (0, 8))]
    positive = np.concatenate([ties, *(ties + step for step in steps), *(ties - step for step in steps)])
    return np.concatenate([positive, positive | np.uint64(source.sign_mask)]).astype(source.code_dtype)


def _compressed(data: bytes) -> str:
    return base64.encodebytes(zlib.compress(data, 9)).decode().strip()

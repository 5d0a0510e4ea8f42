"""audit: is this implementation what it claims?"""

from __future__ import annotations

import errno
import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fpemu.casting.buffers import Scratch
from fpemu.files.boundary import check_file, file_path
from fpemu.formats.lookup import near
from fpemu.verification.audits.findings import Comparison, Expected, Findings
from fpemu.verification.audits.result import Audit
from fpemu.verification.audits.rule_search import RuleSet, find_rules
from fpemu.verification.audits.subjects import Answer, CallStyle, Recorded, Runner, as_subject
from fpemu.verification.claims import CASTS, Batch, Claim
from fpemu.verification.vectors import Vectors, generate
from fpemu.verification.vectors.coverage_fill import every, numbered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fpemu.formats import Profile
    from fpemu.formats.rules import Rounding

__all__ = ["audit"]

BATCH = 1 << 16  # inputs at once
LONG = 1 << 24  # from so many inputs on...
LONG_BATCH = 1 << 20  # ...so many at once: Python's share of the time must be small
SAVED = 5.0  # seconds between two savings of a resumable audit
_DOMAINS = ("codes", "values")
_NANS = ("class", "exact")

Codes = tuple[NDArray[Any], ...]
Progress = Callable[[int, int | None], object]


class _Piece(NamedTuple):
    """What there was to see in a batch, and what kept the subject from answering all of it."""

    seen: Comparison
    problem: str | None


def audit(
    subject: Any,
    operation: str | Claim | None = None,
    format: Any = None,
    *,
    source: Any = None,
    operands: Sequence[Any] | None = None,
    result: Any = None,
    rounding: str | Rounding | None = None,
    profile: str | Profile | None = None,
    domain: str | None = None,
    flags: bool = False,
    nan: str = "class",
    limit: int = 1 << 20,
    per_cell: int = 4,
    random: int = 100_000,
    seed: int = 0,
    threads: int = 1,
    resume: Any = None,
    progress: Progress | None = None,
    explained: bool = True,
    **knobs: Any,
) -> Audit:
    """Hold an implementation to a claim, bit for bit; where it fails, find the rules that it follows instead.

    Parameters
    ----------
    subject : callable, Subject or Recorded
        A function of one-dimensional arrays, one for each operand, which gives an array of results (with `flags` a
        pair of results and flags, in TestFloat's numbering); or what `fpemu.verification.audits.program`, `library` or
        `recorded` give.
    operation : str or Claim
        What it is said to compute: a name ("add", "fma", "sqrt", "less"), "encode" (values to codes), "cast" (values to
        values), "convert", or a whole claim.  May be left out for recorded answers that say it.
    format : str, Format or dtype
        Of operands and result alike; of a cast the result's.
    source, operands, result, rounding, profile
        As `fpemu.verification.claims.Claim.of` takes them: a cast's source (default float32), the operands' formats and
        the result's where they differ, the rules.
    domain : {"codes", "values"}, optional
        Whether a callable takes and gives codes or values; default: values for "cast", values to codes for
        "encode", codes for everything else.  Values of float16, float32 and float64 are numpy's; of other formats
        what `decode` gives.
    flags : bool
        Whether flags are audited too.
    nan : {"class", "exact"}
        Whether any NaN equals any other, or only the same code.
    limit : int
        Up to so many ways to choose the operands all are tried: 2^32 for all of float32.
    per_cell, random, seed : int
        Else the inputs are those of `fpemu.verification.vectors.generate`: cases for each cell, and random ones.
    threads : int
        How many threads ask the subject at once, which must allow it.
    resume : path-like, optional
        A file in which the audit is kept every few seconds; where there is one, the audit goes on from it.
    progress : callable, optional
        Called with the number of inputs so far and of all (None if nobody knows).
    explained : bool
        Whether differences are to be explained.
    **knobs
        Other knobs of `Profile`.

    Returns
    -------
    Audit
        `passed`, `differences`, `explanations`; printed, it is the report.

    Raises
    ------
    TypeError
        If something is of the wrong kind.
    ValueError
        If names are unknown or do not agree, the claim is stochastic or has no flags to audit, or `resume` is of
        another audit.

    Notes
    -----
    What a subject does wrong (it raises, hangs, crashes, gives garbage, wrong shapes or dtypes) raises nothing here:
    the report says it, and what was found until then.

    Examples
    --------
    >>> import fpemu as fe
    >>> def to_bfloat16(x):
    ...     return fe.encode(x, "bfloat16", rounding="toward_zero")  # the unit under test
    >>> found = fe.audit(to_bfloat16, "encode", "bfloat16", random=10_000)
    >>> found.passed, found.explanations[0].name, found.explanations[0].share
    (False, 'rounding=toward_zero', 1.0)
    """
    claim, takes, gives = _claimed(
        subject, operation, format, domain, source, operands, result, rounding, profile, knobs
    )
    _check(claim, flags, nan, threads)
    asked = as_subject(subject)
    if isinstance(asked, Recorded):
        if resume is not None:
            raise ValueError("recorded answers are gone through at once: resume is for other subjects")
        ledger = Findings(claim, nan, flags, None)
        problem = _replay(asked, claim, flags, ledger, progress)
        return Audit(asked.name, ledger, problem, False, _explained(ledger, explained), recorded=True)
    place = None if resume is None else file_path(resume)
    if place is not None:
        _check_place(place)
    inputs = generate(claim, limit=limit, per_cell=per_cell, random=random, seed=seed)
    ledger = Findings(claim, nan, flags, inputs.count)
    ask = asked.runner(CallStyle(claim, takes, gives, flags))
    about = {**claim.described(), "subject": asked.name, "nan": nan, "flags": flags, "inputs": inputs.count}
    about |= {"limit": limit, "per_cell": per_cell, "random": random, "seed": seed}
    problem = _run(ask, inputs, ledger, flags, threads, place, about, progress)
    exhaustive = inputs.exhaustive and problem is None
    return Audit(asked.name, ledger, problem, exhaustive, _explained(ledger, explained), in_order=inputs.exhaustive)


def _check_place(path: Path) -> None:
    """An error where an audit cannot be kept, before the work."""
    try:
        check_file(path)
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, "no such folder", str(path.parent)) from None


def _explained(ledger: Findings, wanted: bool) -> list[RuleSet]:
    return find_rules(ledger.evidence) if wanted and ledger.different else []


def _claimed(
    subject: Any,
    operation: str | Claim | None,
    format: Any,
    domain: str | None,
    source: Any,
    operands: Sequence[Any] | None,
    result: Any,
    rounding: Any,
    profile: Any,
    knobs: dict[str, Any],
) -> tuple[Claim, bool, bool]:
    """The claim; whether the subject takes values, and gives them."""
    words = (format, source, operands, result, rounding, profile)
    if domain is not None and domain not in _DOMAINS:
        raise ValueError(
            f"unknown domain {domain!r}: allowed are {', '.join(_DOMAINS)}{near(str(domain), list(_DOMAINS))}"
        )
    if operation is None:
        operation = getattr(subject, "claim", None)
        if operation is None:
            raise TypeError("say what the subject is said to compute: audit(subject, 'add', 'float16')")
    if isinstance(operation, Claim):
        if knobs or any(word is not None for word in words):
            raise TypeError(
                "a Claim says all: leave format, rounding and the other rules out, or use its replaced(...)"
            )
        claim, name = operation, operation.operation
    else:
        claim = Claim.of(
            operation,
            format,
            source=source,
            operands=operands,
            result=result,
            rounding=rounding,
            profile=profile,
            **knobs,
        )
        name = operation
    values = domain == "values"
    if domain is None and claim.operation in CASTS and not isinstance(operation, Claim):
        return claim, name in ("encode", "cast"), name == "cast"
    return claim, values, values and not (name == "encode" or claim.result is None)


def _check(claim: Claim, flags: bool, nan: str, threads: int) -> None:
    if claim.stochastic:
        raise ValueError("stochastic rounding has no one right answer: there is nothing to hold a subject to")
    if flags and not claim.has_flags:
        raise ValueError(f"{claim} has no flags to audit")
    if nan not in _NANS:
        raise ValueError(f"unknown nan {nan!r}: allowed are {', '.join(_NANS)}{near(str(nan), list(_NANS))}")
    if isinstance(threads, bool) or not hasattr(threads, "__index__"):
        raise TypeError(f"threads must be an int, not {type(threads).__name__}")
    if threads < 1:
        raise ValueError(f"threads must be 1 or more, not {threads}")


def _right(claim: Claim, codes: Codes, flags: bool, memory: Scratch | None = None) -> Expected:
    if flags:
        return Expected(*claim.answer_with_flags(*codes))
    if claim.operation == "cast" and claim.result is not None and memory is not None:
        return Expected(claim.answer(*codes, out=memory.of("right", codes[0].size, claim.result.code_dtype)), None)
    return Expected(claim.answer(*codes), None)


def _at(codes: Codes) -> Callable[[NDArray[np.intp]], Codes]:
    """Operands at places."""
    return lambda rows: tuple(part[rows] for part in codes)


def _run(
    ask: Runner,
    inputs: Vectors,
    ledger: Findings,
    flags: bool,
    threads: int,
    resume: Path | None,
    about: dict[str, Any],
    progress: Progress | None,
) -> str | None:
    """All inputs through the subject, in their order; what stopped it, or None."""
    if resume is not None and resume.exists():
        ledger.restore(resume, about)

    memory, claim = Scratch(), ledger.claim

    def piece(first: int, stop: int, codes: Codes | None) -> _Piece:
        # The subject may spoil what it is given: operands that are worth keeping come from elsewhere.
        if codes is None:
            given = every(claim, first, stop, memory.of("operand", stop - first, claim.operands[0].code_dtype))
            known = lambda rows: numbered(claim, np.uint64(first) + rows.astype(np.uint64))  # noqa: E731
        else:
            given, known = tuple(part.copy() for part in codes), _at(codes)
        right = _right(claim, given, flags, memory)
        answer = ask(*given)
        return _Piece(ledger.compare(first, right, answer, known), answer.problem)

    saved = time.monotonic()
    for seen, problem in _in_order(piece, _numbered(ledger.checked, inputs), threads):
        ledger.add(seen)
        if progress is not None:
            progress(ledger.checked, inputs.count)
        if problem is not None:
            return problem
        if resume is not None and time.monotonic() - saved > SAVED:
            ledger.save(resume, about)
            saved = time.monotonic()
    if resume is not None:
        ledger.save(resume, about)
    return None


Numbered = tuple[int, int, Codes | None]


def _numbered(first: int, inputs: Vectors) -> Iterator[Numbered]:
    """From a number on: the numbers of each batch, and its operands, or None where all there are come in order."""
    if inputs.exhaustive:
        size = BATCH if inputs.count < LONG else LONG_BATCH
        for start in range(first, inputs.count, size):
            yield start, min(start + size, inputs.count), None
        return
    for codes in inputs.operands(first):
        yield first, first + codes[0].size, codes
        first += codes[0].size


def _in_order(
    piece: Callable[[int, int, Codes | None], _Piece], operands: Iterator[Numbered], threads: int
) -> Iterator[_Piece]:
    """Pieces in the order of their operands, some of them at once."""
    if threads == 1:
        yield from itertools.starmap(piece, operands)
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="fpemu-audit") as pool:
        try:
            waiting = [pool.submit(piece, *each) for each in itertools.islice(operands, 2 * threads)]
            while waiting:
                yield waiting.pop(0).result()
                waiting += [pool.submit(piece, *each) for each in itertools.islice(operands, 1)]
        finally:  # an error or Ctrl-C waits for what has begun, and begins no more
            pool.shutdown(cancel_futures=True)


def _replay(recorded: Recorded, claim: Claim, flags: bool, ledger: Findings, progress: Progress | None) -> str | None:
    """Recorded answers held to the claim; what is wrong with them, or None."""
    batches = iter(recorded)
    while True:
        try:
            batch = next(batches, None)
        except (OSError, ValueError) as error:  # a file that is damaged further on
            return str(error)
        if batch is None:
            return None
        if flags and batch.flags is None:
            return "there are no flags in what was recorded"
        problem = _misfit(batch, claim)
        if problem is not None:
            return problem
        answer = Answer(batch.result, batch.flags if flags else None)
        ledger.add(ledger.compare(ledger.checked, _right(claim, batch.operands, flags), answer, _at(batch.operands)))
        if progress is not None:
            progress(ledger.checked, None)


def _misfit(batch: Batch, claim: Claim) -> str | None:
    """Why a batch cannot be one of a claim's, or None."""
    if len(batch.operands) != claim.arity:
        return f"{claim.operation} takes {claim.arity} operands, but {len(batch.operands)} were recorded"
    counts = [*(fmt.code_count for fmt in claim.operands), 2 if claim.result is None else claim.result.code_count]
    for what, codes, count in zip(
        [*(f"operand {k}" for k in range(1, claim.arity + 1)), "the result"],
        [*batch.operands, batch.result],
        counts,
        strict=True,
    ):
        if codes.size and int(codes.max()) >= count:
            return f"{what} has a code {int(codes.max()):#x}, but the codes are below {count:#x}"
    return None

"""The comparison of an implementation with its claim, bit for bit."""

from __future__ import annotations

import errno
import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fpemu.casting.buffers import Scratch
from fpemu.files.boundary import check_file, file_path
from fpemu.formats.lookup import check_word, checked_int
from fpemu.verification.audits.findings import ComparedBatch, Findings, OperandsAt
from fpemu.verification.audits.result import Audit
from fpemu.verification.audits.rule_search import RuleSet, find_rules
from fpemu.verification.audits.subjects import Answer, CallStyle, Recorded, Runner, as_subject
from fpemu.verification.claims import CASTS, Batch, Claim, Operands, given_arguments
from fpemu.verification.vectors import Vectors, generate
from fpemu.verification.vectors.coverage_fill import numbered_operands, operand_range
from fpemu.verification.vectors.generation import BATCH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fpemu.formats import Profile
    from fpemu.formats.rules import Rounding

__all__ = ["audit"]

LONG = 1 << 24  # inputs from which on batches are larger, which reduces Python's share of the time
LONG_BATCH = 1 << 20
SAVE_INTERVAL = 5.0  # seconds

AuditProgress = Callable[[int, int | None], object]


class _Outcome(NamedTuple):
    """A compared batch, and the problem that prevented the subject from answering all of it, or None."""

    comparison: ComparedBatch
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
    progress: AuditProgress | None = None,
    explained: bool = True,
    **knobs: Any,
) -> Audit:
    """Compare an implementation with a claim, bit for bit; if it fails, find the rules that it follows instead.

    Parameters
    ----------
    subject : callable, Subject or Recorded
        A function of one-dimensional arrays, one for each operand, that returns an array of results (with `flags`: a
        pair of results and flags, in TestFloat's numbering); or a subject from `fpemu.verification.program`, `library`
        or `recorded`.
    operation : str or Claim
        The operation that the subject claims to compute: a name ("add", "fma", "sqrt", "less"), "encode" (values to
        codes), "cast" (values to values), "convert", or a whole claim.  Optional for recorded answers with a claim.
    format : str, Format or dtype
        Format of the operands and the result; for a cast, of the result.
    source, operands, result, rounding, profile
        As for `fpemu.verification.Claim.of`: a cast's source (default float32); the formats of the operands and the
        result if they differ; the rules.
    domain : {"codes", "values"}, optional
        Whether a callable takes and returns codes or values; default: values for "cast", values to codes for
        "encode", codes for everything else.  Values of float16, float32 and float64 have numpy's types; values of
        other formats are as from `decode`.
    flags : bool
        Whether to audit flags too.
    nan : {"class", "exact"}
        Whether any NaN equals any other, or only the same code.
    limit : int
        Try all combinations of operands if there are no more than this; 2^32 covers all of float32.
    per_cell, random, seed : int
        Otherwise the inputs come from `fpemu.verification.vectors.generate`: cases for each cell, and random ones.
    threads : int
        Number of threads that call the subject concurrently; the subject must allow it.
    resume : path-like, optional
        The file in which the audit is saved every few seconds; if it exists, the audit continues from there.
    progress : callable, optional
        Called with the number of inputs so far and the total (None if unknown).
    explained : bool
        Whether to search for rules that explain the differences.
    **knobs
        Other knobs of `Profile`.

    Returns
    -------
    Audit
        `passed`, `differences`, `explanations`; prints as a report.

    Raises
    ------
    TypeError
        If an argument is of the wrong type.
    ValueError
        If names are unknown or do not fit together, the claim is stochastic or has no flags to audit, or `resume` is
        the file of another audit.

    Notes
    -----
    A subject that misbehaves (raises, hangs, crashes, returns garbage, wrong shapes or dtypes) raises no error: the
    report states the problem and the findings up to that point.

    Examples
    --------
    >>> import fpemu as fe
    >>> def to_bfloat16(x):
    ...     return fe.encode(x, "bfloat16", rounding="toward_zero")  # the unit under test
    >>> found = fe.audit(to_bfloat16, "encode", "bfloat16", random=10_000)
    >>> found.passed, found.explanations[0].name, found.explanations[0].share
    (False, 'rounding=toward_zero', 1.0)
    """
    options = given_arguments(
        format=format, source=source, operands=operands, result=result, rounding=rounding, profile=profile
    )
    claim, takes_values, gives_values = _claim_and_domain(subject, operation, domain, options | knobs)
    _check_options(claim, flags, nan, threads)
    tested = as_subject(subject)
    if isinstance(tested, Recorded):
        if resume is not None:
            raise ValueError("recorded answers are compared in one pass: resume is for other subjects")
        findings = Findings(claim, nan, flags, None)
        problem = _replay(tested, findings, progress)
        return Audit(tested.name, findings, problem, False, _explanations(findings, explained), recorded=True)
    path = None if resume is None else file_path(resume)
    if path is not None:
        _check_writable(path)
    inputs = generate(claim, limit=limit, per_cell=per_cell, random=random, seed=seed)
    findings = Findings(claim, nan, flags, inputs.count)
    run = tested.runner(CallStyle(claim, takes_values, gives_values, flags))
    about = {**claim.described(), "subject": tested.name, "nan": nan, "flags": flags, "inputs": inputs.count}
    about |= {"limit": limit, "per_cell": per_cell, "random": random, "seed": seed}
    problem = _run_all(run, inputs, findings, threads, path, about, progress)
    exhaustive = inputs.exhaustive and problem is None
    explanations = _explanations(findings, explained)
    return Audit(tested.name, findings, problem, exhaustive, explanations, in_order=inputs.exhaustive)


def _check_writable(path: Path) -> None:
    """Raise an OSError if the audit cannot be saved; called before the work."""
    try:
        check_file(path)
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, "no such folder", str(path.parent)) from None


def _explanations(findings: Findings, wanted: bool) -> list[RuleSet]:
    return find_rules(findings.evidence) if wanted and findings.different else []


def _claim_and_domain(
    subject: Any, operation: str | Claim | None, domain: str | None, options: dict[str, Any]
) -> tuple[Claim, bool, bool]:
    """The claim; whether the subject takes values; whether it returns values."""
    if domain is not None:
        check_word(domain, ("codes", "values"), "domain")
    if operation is None:
        operation = getattr(subject, "claim", None)
        if operation is None:
            raise TypeError("specify the operation that the subject computes: audit(subject, 'add', 'float16')")
    if isinstance(operation, Claim):
        if options:
            raise TypeError(
                "a Claim has its own formats and rules: leave these arguments out, or use its method replaced"
            )
        claim = operation
    else:
        claim = Claim.of(operation, **options)
        if domain is None and claim.operation in CASTS:
            return claim, operation in ("encode", "cast"), operation == "cast"
    values = domain == "values"
    return claim, values, values and operation != "encode" and claim.result is not None


def _check_options(claim: Claim, flags: bool, nan: str, threads: int) -> None:
    if claim.stochastic:
        raise ValueError("stochastic rounding has no unique answer: it cannot be audited")
    if flags and not claim.has_flags:
        raise ValueError(f"{claim} has no flags to audit")
    check_word(nan, ("class", "exact"), "nan")
    checked_int(threads, "threads", 1)


def _expected(claim: Claim, codes: Operands, flags: bool, memory: Scratch | None = None) -> Answer:
    if flags:
        return Answer(*claim.answer_with_flags(*codes))
    if claim.operation == "cast" and claim.result is not None and memory is not None:
        return Answer(claim.answer(*codes, out=memory.of("expected", codes[0].size, claim.result.code_dtype)))
    return Answer(claim.answer(*codes))


def _operands_at(codes: Operands) -> OperandsAt:
    return lambda rows: tuple(each[rows] for each in codes)


def _run_all(
    run: Runner,
    inputs: Vectors,
    findings: Findings,
    threads: int,
    resume: Path | None,
    about: dict[str, Any],
    progress: AuditProgress | None,
) -> str | None:
    """Run the subject on all inputs, in their order; return the problem that stopped it, or None."""
    if resume is not None and resume.exists():
        findings.restore(resume, about)

    memory, claim = Scratch(), findings.claim

    def run_batch(first: int, stop: int, codes: Operands | None) -> _Outcome:
        # The subject may overwrite its operands: the evidence takes them from elsewhere.
        if codes is None:
            given = operand_range(claim, first, stop, memory.of("operand", stop - first, claim.operands[0].code_dtype))
            lookup: OperandsAt = lambda rows: numbered_operands(claim, np.uint64(first) + rows.astype(np.uint64))  # noqa: E731
        else:
            given, lookup = tuple(each.copy() for each in codes), _operands_at(codes)
        expected = _expected(claim, given, findings.flags, memory)
        answer = run(*given)
        return _Outcome(findings.compare(first, expected, answer, lookup), answer.problem)

    saved = time.monotonic()
    for comparison, problem in _in_input_order(run_batch, _batches_from(findings.checked, inputs), threads):
        findings.add(comparison)
        if progress is not None:
            progress(findings.checked, inputs.count)
        if problem is not None:
            return problem
        if resume is not None and time.monotonic() - saved > SAVE_INTERVAL:
            findings.save(resume, about)
            saved = time.monotonic()
    if resume is not None:
        findings.save(resume, about)
    return None


InputBatch = tuple[int, int, Operands | None]


def _batches_from(first: int, inputs: Vectors) -> Iterator[InputBatch]:
    """Batches from input `first` on: the first number, the end, and the operands (None: all inputs, in order)."""
    if inputs.exhaustive:
        size = BATCH if inputs.count < LONG else LONG_BATCH
        for start in range(first, inputs.count, size):
            yield start, min(start + size, inputs.count), None
        return
    for codes in inputs.operands(first):
        yield first, first + codes[0].size, codes
        first += codes[0].size


def _in_input_order(
    run_batch: Callable[[int, int, Operands | None], _Outcome], batches: Iterator[InputBatch], threads: int
) -> Iterator[_Outcome]:
    """Run batches on several threads; yield their outcomes in the order of the inputs."""
    if threads == 1:
        yield from itertools.starmap(run_batch, batches)
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="fpemu-audit") as pool:
        try:
            waiting = [pool.submit(run_batch, *each) for each in itertools.islice(batches, 2 * threads)]
            while waiting:
                yield waiting.pop(0).result()
                waiting += [pool.submit(run_batch, *each) for each in itertools.islice(batches, 1)]
        finally:  # after an error or Ctrl-C: wait for running batches, start no others
            pool.shutdown(cancel_futures=True)


def _replay(recorded: Recorded, findings: Findings, progress: AuditProgress | None) -> str | None:
    """Compare recorded answers with the claim; return the problem that ended it, or None."""
    claim, flags, batches = findings.claim, findings.flags, iter(recorded)
    while True:
        try:
            batch = next(batches, None)
        except (OSError, ValueError) as error:  # the file is damaged further on
            return str(error)
        if batch is None:
            return None
        if flags and batch.flags is None:
            return "the recording has no flags"
        problem = _misfit(batch, claim)
        if problem is not None:
            return problem
        answer, expected = Answer(batch.result, batch.flags if flags else None), _expected(claim, batch.operands, flags)
        findings.add(findings.compare(findings.checked, expected, answer, _operands_at(batch.operands)))
        if progress is not None:
            progress(findings.checked, None)


def _misfit(batch: Batch, claim: Claim) -> str | None:
    """The reason why a recorded batch does not fit the claim, or None."""
    if len(batch.operands) != claim.arity:
        return f"{claim.operation} takes {claim.arity} operands, but {len(batch.operands)} were recorded"
    counts = [*(fmt.code_count for fmt in claim.operands), claim.result_count]
    names = [*(f"operand {number}" for number in range(1, claim.arity + 1)), "the result"]
    for name, codes, count in zip(names, [*batch.operands, batch.result], counts, strict=True):
        largest = int(codes.max(initial=0))
        if largest >= count:
            return f"{name} has a code {largest:#x}, but the codes are below {count:#x}"
    return None

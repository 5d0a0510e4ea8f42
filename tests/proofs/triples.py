"""Operations in float16, bfloat16, tfloat32, float32 and float64 against MPFR: ``python -m tests.proofs.triples``.

Operands are drawn to be hard: exponents near one another, sums that cancel, results about the smallest normal, the
subnormal and the largest numbers, long runs of zeros and ones, perfect squares, odd multiples of half a divisor, zeros,
infinities, NaN.  Each draw is compared in all ten modes, codes and flags, by the general kernel and by the way that the
public call takes with and without flags.  ``--count`` is for each operation and format; a failure says the seed.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import multiprocessing
import platform
import sys
import time

import gmpy2
import numpy as np

import fpemu as fe
from fpemu.arithmetic import fast_paths
from fpemu.arithmetic.task import general, resolve_target
from tests.oracle import mpfr_arrays
from tests.oracle.compare import DETERMINISTIC, DifferenceError
from tests.oracle.mpfr_arrays import LAYOUTS, OPERANDS, exact, rounded
from tests.proofs import proof

BATCH = 200_000


def fields(layout, sign, exponent, trailing):
    """Codes (uint64) of fields; exponents are clipped to the format's."""
    exponent = np.clip(exponent + layout.emax, 0, 2 * layout.emax).astype(np.uint64)
    trailing = trailing & np.uint64((1 << layout.trailing) - 1)
    return sign.astype(np.uint64) << np.uint64(layout.bits - 1) | exponent << np.uint64(layout.trailing) | trailing


def trailings(layout, count, rng):
    """Trailing significands: random, of few bits, with long runs."""
    any_bits = rng.integers(0, 1 << layout.trailing, count, dtype=np.uint64)
    few = np.uint64(1) << rng.integers(0, layout.trailing, (2, count), dtype=np.uint64)
    sparse = few[0] ^ few[1]
    run = sparse - np.uint64(1)
    kind = rng.integers(0, 6, count)
    return np.choose(kind, [any_bits, any_bits, any_bits, sparse, ~sparse, run]).astype(np.uint64)


def codes_of(reals, layout, rng):
    """Codes near float64 numbers: truncated, and up to two units away."""
    with np.errstate(all="ignore"):
        if layout.bits == 16 and layout.emax == 15:
            codes = reals.astype(np.float16).view(np.uint16).astype(np.uint64)
        elif layout.bits == 64:
            codes = reals.view(np.uint64)
        else:
            codes = (reals.astype(np.float32).view(np.uint32) >> np.uint32(32 - layout.bits)).astype(np.uint64)
    near = codes + rng.integers(-2, 3, codes.size).astype(np.uint64)  # modulo 2^64
    return near & np.uint64((1 << layout.bits) - 1)


def limits(layout, count, rng):
    """Numbers near which results become subnormal, zero or overflow."""
    unit = 2.0**-layout.precision
    least, largest = 2.0**layout.emin, 2.0**layout.emax * (2 - unit)
    return rng.choice([least, least * (1 - unit), least * (1 - unit / 2), 2.0**layout.quantum, largest], count)


def draw(operation, name, count, rng):
    """Codes (uint64) of an operation's operands."""
    layout, arity = LAYOUTS[name], OPERANDS[operation]
    below, above = layout.quantum - 3, layout.emax + 3
    exponent = rng.integers(layout.emin - 1, layout.emax + 1, count)
    aim = np.where(rng.random(count) < 0.5, below, layout.emin - 3) + rng.integers(0, 6, count)  # of results
    aim = np.where(rng.random(count) < 0.3, above - rng.integers(0, 6, count), aim)
    near = rng.integers(-layout.precision - 3, layout.precision + 4, (3, count))
    other = {"divide": exponent - aim, "multiply": aim - exponent, "fma": aim - exponent}.get(operation, aim)
    second = np.where(rng.random(count) < 0.4, exponent + near[0], other)
    if operation == "fma":
        second = np.where(rng.random(count) < 0.3, rng.integers(layout.emin, layout.emax + 1, count) - exponent, second)
    third = exponent + second + near[1] + np.where(rng.random(count) < 0.3, near[2], 0)
    signs = rng.integers(0, 2, (3, count), dtype=np.uint64)
    parts = [fields(layout, signs[i], (exponent, second, third)[i], trailings(layout, count, rng)) for i in range(3)]
    aimed = rng.random(count) < 0.25
    x, y = (mpfr_arrays.values(part, name) for part in parts[:2])
    with np.errstate(all="ignore"):
        if operation in ("add", "subtract"):
            parts[1] = np.where(aimed, codes_of(np.where(rng.random(count) < 0.5, x, -x), layout, rng), parts[1])
        elif operation == "fma":
            parts[2] = np.where(aimed, codes_of(-(x * y), layout, rng), parts[2])
        elif operation == "sqrt":
            parts[0] = np.where(aimed, codes_of(np.round(x, 2) ** 2, layout, rng), parts[0])
            parts[0] = np.where(rng.random(count) < 0.9, parts[0] & np.uint64(layout.sign - 1), parts[0])
        elif operation in ("fmod", "ieee_remainder"):
            times = rng.integers(0, 1 << rng.integers(1, 9, count)) / 2
            parts[0] = np.where(aimed, codes_of(y * times, layout, rng), parts[0])
        elif operation == "divide":
            times = y * rng.integers(1, 1 << 7, count)  # exact quotients; those of the second are ties
            times = np.where(rng.random(count) < 0.5, times, np.ldexp(times, layout.quantum - 1))
            parts[0] = np.where(aimed, codes_of(times, layout, rng), parts[0])
            parts[0] = np.where(
                rng.random(count) < 0.15, codes_of(y * limits(layout, count, rng), layout, rng), parts[0]
            )
        else:
            parts[1] = np.where(aimed, codes_of(limits(layout, count, rng) / x, layout, rng), parts[1])
    ends = [0, 1, 2, layout.quiet, (1 << layout.trailing) - 1, 1 << layout.trailing, (1 << layout.trailing) + 1]
    ends += [layout.emax << layout.trailing, layout.infinity - 2, layout.infinity - 1, layout.infinity]
    ends += [layout.infinity + 1, layout.infinity | layout.quiet]
    special = np.array(ends, np.uint64)
    for place, part in enumerate(parts):
        chosen = rng.choice(special, count) | signs[place] << np.uint64(layout.bits - 1)
        parts[place] = np.where(rng.random(count) < 0.06, chosen, part)
        anything = rng.integers(0, 1 << layout.bits, count, dtype=np.uint64)
        parts[place] = np.where(rng.random(count) < 0.1, anything, parts[place])
    return parts[:arity]


def compare(operation, name, found, expected, operands, how):
    """Raise an error if codes or flags differ."""
    wrong = np.flatnonzero(np.any([a != b for a, b in zip(found, expected, strict=True)], axis=0))
    if wrong.size:
        first = [
            f"{', '.join(hex(int(part[i])) for part in operands)}: "
            + " for ".join(f"{int(codes[i]):#x} ({int(flags[i])})" for codes, flags in (found, expected))
            for i in wrong[:5].tolist()
        ]
        raise DifferenceError(f"{operation} in {name}, {how}: {wrong.size} differ: {'; '.join(first)}")


def check(operation, name, count, seed):
    """Compare an operation in all modes on seeded operands; return the number of results compared."""
    fmt = fe.dtype(name)
    rng = np.random.default_rng([seed, list(OPERANDS).index(operation), list(LAYOUTS).index(name)])
    operands = draw(operation, name, count, rng)
    codes = [part.astype(fmt.code_dtype) for part in operands]
    arrays = [fe.Array(part, fmt) for part in codes]
    results = exact(operation, operands, name)
    for number, mode in enumerate(DETERMINISTIC):
        before = (number + seed) % 3 == 0
        expected = rounded(results, name, mode, before)
        rules = fe.profile("ieee").replace(rounding=mode, tininess="before" if before else "after")
        task = resolve_target(operation, (fmt,) * len(codes), fmt, rules, None, None)
        out, raised = np.empty(count, fmt.code_dtype), np.empty(count, np.uint8)
        how = f"seed {seed}, {mode}, tininess {'before' if before else 'after'}"
        general(operation, (fmt,) * len(codes), task, codes, out, raised)
        compare(operation, name, (out, raised), expected, operands, f"{how}, general")
        if fast_paths.fast_path(operation, (fmt,) * len(codes), task, count, False) is not None:
            function = getattr(fe, operation)
            public, flags = function(*arrays, profile=rules, return_flags=True)
            compare(operation, name, (public.codes, flags.bits), expected, operands, how)
            alone = function(*arrays, profile=rules).codes
            compare(operation, name, (alone, expected[1]), expected, operands, f"{how}, without flags")
    return count * len(DETERMINISTIC)


def run(piece):
    """Do a piece of the command's work; return the number of results, or the difference."""
    fe.set_num_threads(1)
    began = time.process_time()
    try:
        return check(*piece), time.process_time() - began, None
    except DifferenceError as error:
        return 0, time.process_time() - began, str(error)


def pieces(count, seed):
    """The command's work: (operation, format, how many, seed)."""
    batches = [min(BATCH, count - start) for start in range(0, count, BATCH)]
    return [
        (operation, name, size, seed + i)
        for i, size in enumerate(batches)
        for name in LAYOUTS
        for operation in OPERANDS
    ]


def progress(done, total):
    """Yield what is done and show the progress."""
    try:
        from rich.progress import track
    except ImportError:
        yield from done
        return
    yield from track(done, "triples", total=total)


def record(count, seed, compared, seconds):
    """Write the page's section."""
    lines = [
        "## Float16 to float64 against MPFR",
        "",
        f"Commit {proof.commit()}, {proof.today()}, arithmetic digest `{proof.digest(proof.ARITHMETIC)}`; MPFR "
        f"{gmpy2.mpfr_version().removeprefix('MPFR ')} by gmpy2 {gmpy2.version()}, {platform.machine()}: "
        f"`python -m tests.proofs.triples --count {count} --seed {seed}`.",
        "",
        f"{count:,} draws for each of {', '.join(OPERANDS)} in each of {', '.join(LAYOUTS)}; ten modes, codes, flags: "
        f"{compared:,} results, no difference, in {seconds / 60:.0f} CPU minutes.",
    ]
    proof.write("triples", "\n".join(lines))


def main(words=None):
    parser = argparse.ArgumentParser(prog="python -m tests.proofs.triples", description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=10_000_000, help="draws for each operation and format")
    parser.add_argument("--seed", type=int, default=2026, help="of the first batch; the others' follow")
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count(), help="processes")
    parser.add_argument("--record", action="store_true", help="write the result to docs/explanation/proof.md")
    given = parser.parse_args(words)
    work, compared, seconds, wrong = pieces(given.count, given.seed), 0, 0.0, []
    with concurrent.futures.ProcessPoolExecutor(given.jobs, multiprocessing.get_context("spawn")) as pool:
        for count, spent, difference in progress(pool.map(run, work), len(work)):
            compared, seconds = compared + count, seconds + spent
            if difference is not None:
                wrong.append(difference)
    print("\n".join(wrong) or f"{compared:,} results, no difference, {seconds / 60:.1f} CPU minutes")
    if given.record and not wrong:
        record(given.count, given.seed, compared, seconds)
        print(f"recorded in {proof.PAGE}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

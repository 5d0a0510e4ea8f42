"""Audits: subjects of every kind that pass, that fail with an explanation, and that misbehave."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import time

import ml_dtypes
import numpy as np
import pytest

import fpemu as fe
from fpemu.verification import audits as auditing
from fpemu.verification.audits import function, library, program, recorded
from fpemu.verification.audits.rule_search import Evidence, answers, find_rules
from fpemu.verification.claims import Batch, Claim
from tests.cases import planted_faults

ADD = Claim.of("add", "float8_e5m2")
HALF = Claim.of("encode", "float16")
PYTHON = sys.executable


def halves(x):
    with np.errstate(all="ignore"):
        return x.astype(np.float16).view(np.uint16)


# -- what passes ------------------------------------------------------------------------------------------------------


def test_what_is_right_passes():
    found = fe.audit(halves, "encode", "float16", random=20_000)
    assert found.passed
    assert (found.different, found.differences, found.explanations, found.cause) == (0, [], [], None)
    assert found.checked > 20_000
    assert not found.exhaustive
    assert str(found).splitlines()[1] == f"PASSED: {found.checked:,} inputs (chosen by cells, and at random)"
    assert repr(found) == f"<Audit of halves: passed in {found.checked:,} inputs>"


def test_all_inputs_of_narrow_formats():
    def add(x, y):
        kind = ml_dtypes.float8_e5m2
        with np.errstate(all="ignore"):
            return (x.view(kind) + y.view(kind)).view(np.uint8)

    found = fe.audit(add, "+", "float8_e5m2")
    assert found.passed
    assert found.exhaustive
    assert found.checked == 1 << 16


def test_domains():
    def on_values(x, y):
        with np.errstate(all="ignore"):
            return x + y

    assert fe.audit(on_values, "add", "float16", domain="values", random=1000).passed
    assert fe.audit(lambda x: fe.cast(x, "bfloat16"), "cast", "bfloat16", random=1000).passed
    assert fe.audit(lambda x: fe.encode(x, "int8"), "encode", "int8", random=1000).passed
    assert fe.audit(
        lambda x: fe.encode(x, "float16", source="float32"), "encode", "float16", domain="codes", random=9
    ).passed
    assert fe.audit(lambda x, y: x < y, "less", "float16", domain="values", random=1000).passed
    assert fe.audit(
        lambda x: fe.convert(fe.Array.from_codes(x, "float16"), "float8_e5m2").codes,
        "convert",
        "float8_e5m2",
        source="float16",
    ).passed
    claim = Claim.of("sqrt", "bfloat16")
    assert fe.audit(claim.answer, claim).passed


def test_flags():
    claim = Claim.of("divide", "float8_e4m3fn")
    assert fe.audit(claim.answer_with_flags, claim, flags=True).passed
    silent = fe.audit(lambda x, y: (claim.answer(x, y), np.zeros(x.size, np.uint8)), claim, flags=True)
    assert not silent.passed
    assert silent.differences[0].actual_flags == 0
    assert silent.differences[0].expected_flags > 0
    assert "[]" in str(silent)


def test_nan_codes_count_where_asked():
    def torchs(x):
        return fe.encode(x, "float8_e5m2", profile="torch")

    assert fe.audit(torchs, "encode", "float8_e5m2", random=5000).passed
    found = fe.audit(torchs, "encode", "float8_e5m2", nan="exact", random=5000)
    assert found.cause == "nan_code=0x7f"


def test_the_subject_may_spoil_its_operands():
    def spoils(x, y):
        z = ADD.answer(x, y)
        x[:] = 0
        return z

    assert fe.audit(spoils, ADD).passed


# -- explanations -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", planted_faults.FAULTS, ids=lambda fault: fault.fault.replace(" ", "_"))
def test_planted_faults_are_found_and_named(fault):
    found = planted_faults.found(fault)
    assert found.different > 0
    assert found.cause == fault.cause
    assert bool(found.explanations and found.explanations[0].share == 1) == (fault.cause != planted_faults.UNEXPLAINED)


def test_enough_is_planted():
    assert len(planted_faults.FAULTS) == 32
    assert sum(fault.cause == planted_faults.UNEXPLAINED for fault in planted_faults.FAULTS) == 3
    assert len({fault.fault for fault in planted_faults.FAULTS}) == 32


def test_rules_that_nothing_tells_apart_come_together():
    claim = Claim.of("sqrt", "float8_e5m2")  # no results below zero
    found = fe.audit(claim.replaced(rounding="toward_negative").answer, claim)
    (best,) = found.explanations
    assert {best.name, *best.alike} == {"rounding=toward_zero", "rounding=toward_negative"}
    assert "which has the same results everywhere" in str(found)


def test_an_explanation_is_told_apart_from_the_claim():
    found = fe.audit(ADD.replaced(rounding="nearest_away").answer, ADD)
    (best,) = found.explanations
    assert (best.name, best.knobs, best.share) == ("rounding=nearest_away", {"rounding": "nearest_away"}, 1.0)
    operands = tuple(np.uint8([code]) for code in best.separating_input)
    assert ADD.answer(*operands) != ADD.replaced(rounding="nearest_away").answer(*operands)
    assert best.words == "ties away from zero"


def test_partial_explanations_are_ranked_and_told_apart():
    def mixed(x, y):
        return np.where(x < 0x40, ADD.replaced(rounding="toward_zero").answer(x, y), ADD.answer(x, y) ^ 1)

    found = fe.audit(mixed, ADD)
    assert found.cause == "unexplained"
    shares = [each.share for each in found.explanations]
    assert shares == sorted(shares, reverse=True)
    assert 0 < shares[0] < 1
    best, second = found.explanations[:2]
    at = tuple(np.uint8([code]) for code in best.separating_input)
    one, other = (ADD.replaced(**each.knobs).answer(*at) for each in (best, second))
    assert one != other
    assert "unexplained: no rules explain all" in str(found)
    assert sum(found.failing.values()) == found.different


def test_every_change_is_a_change():
    x, y = (part.astype(np.uint8) for part in np.divmod(np.arange(1 << 16), 256))
    right = ADD.answer(x, y)
    evidence = Evidence(ADD, (x, y), right, right, None, None, "class")
    assert find_rules(evidence) == []
    assert answers(ADD, (("rounding", "no such"),), (x, y), False) is None


def test_without_explanations():
    found = fe.audit(lambda x, y: ADD.answer(x, y) ^ 1, ADD, explained=False)
    assert found.explanations == []
    assert found.cause == "unexplained"


# -- programs, libraries, recordings ----------------------------------------------------------------------------------

ANSWERS = """
import sys, numpy as np, ml_dtypes
for line in sys.stdin:
    x, y = (np.uint8([int(word, 16)]).view(ml_dtypes.float8_e5m2) for word in line.split())
    with np.errstate(all="ignore"):
        print("%02x" % (x + y).view(np.uint8)[0])
"""

C_PROGRAM = r"""
#include <stdio.h>
#include <stdint.h>
#include <string.h>

/* float32 to bfloat16, ties to even: reads codes in hexadecimal, answers with codes in hexadecimal */
int main(void) {
    unsigned int bits;
    while (scanf("%x", &bits) == 1) {
        unsigned int odd = (bits >> 16) & 1;
        if ((bits & 0x7FFFFFFF) > 0x7F800000)
            printf("%04x\n", (bits >> 16) | 0x40);
        else
            printf("%04x\n", (bits + ROUNDING) >> 16);
    }
    return 0;
}
"""

C_LIBRARY = r"""
#include <stddef.h>
#include <stdint.h>

void add(size_t count, const float *x, const float *y, float *result) {
    for (size_t i = 0; i < count; i++) result[i] = x[i] + y[i];
}
void equal(size_t count, const uint16_t *x, const uint16_t *y, uint8_t *result, uint8_t *flags) {
    for (size_t i = 0; i < count; i++) { result[i] = x[i] == y[i]; flags[i] = 0; }
}
void crash(size_t count, const float *x, float *result) { *(volatile int *)0 = 1; }
void large(size_t count, const float *x, uint8_t *result) { for (size_t i = 0; i < count; i++) result[i] = 255; }
"""

compiler = shutil.which("gcc") or shutil.which("cc")
needs_compiler = pytest.mark.skipif(compiler is None, reason="there is no C compiler")


def compiled(folder, text, *words):
    source = folder / "unit.c"
    source.write_text(text)
    target = folder / f"unit{abs(hash(words))}"
    subprocess.run([compiler, *words, "-o", target, source], check=True)
    return target


def test_a_program(tmp_path):
    script = tmp_path / "add.py"
    script.write_text(ANSWERS)
    found = fe.audit(program([PYTHON, str(script)]), ADD, limit=0, random=300, per_cell=1)
    assert found.passed, str(found)
    assert found.subject == f"{PYTHON} {script}"


@needs_compiler
def test_a_program_in_c(tmp_path):
    right = compiled(tmp_path, C_PROGRAM, "-DROUNDING=0x7FFF+odd")
    assert fe.audit(program([right]), "encode", "bfloat16", random=20_000).passed
    away = compiled(tmp_path, C_PROGRAM, "-DROUNDING=0x8000+0*odd")
    assert fe.audit(program(str(away)), "encode", "bfloat16", random=20_000).cause == "rounding=nearest_away"


@needs_compiler
def test_a_library(tmp_path):
    path = compiled(tmp_path, C_LIBRARY, "-shared", "-fPIC", "-O0")
    assert fe.audit(library(path, "add"), "add", "float32", random=5000).passed
    found = fe.audit(library(path, "equal"), "equal", "float16", flags=True, random=500)
    assert found.different > 0
    crashed = fe.audit(library(path, "crash"), "sqrt", "float32", random=500)
    assert not crashed.passed
    assert "SIGSEGV" in crashed.problem
    assert (
        "beyond" in fe.audit(library(path, "large"), "cast", "float6_e3m2fn", random=500).problem
        or "or more" in fe.audit(library(path, "large"), "cast", "float6_e3m2fn", random=500).problem
    )
    assert "no_such" in fe.audit(library(path, "no_such"), "sqrt", "float32", random=500).problem


def batches(claim, codes, changed=0):
    right = claim.answer(*codes)
    right[:changed] ^= 1
    yield Batch(tuple(part[:100] for part in codes), right[:100], None)
    yield Batch(tuple(part[100:] for part in codes), right[100:], None)


def test_recorded_answers():
    codes = tuple(np.random.default_rng(0).integers(0, 256, (2, 5000)).astype(np.uint8))
    assert fe.audit(recorded(list(batches(ADD, codes)), ADD)).passed
    found = fe.audit(recorded(list(batches(ADD, codes, 7))), "add", "float8_e5m2")
    assert found.different == 7
    assert found.checked == 5000
    assert not found.exhaustive
    half = recorded([Batch((codes[0],), codes[0], None)])
    assert fe.audit(half, ADD).problem == "add takes 2 operands, but 1 were recorded"
    wide = recorded([Batch((codes[0].astype(np.uint16) + 200, codes[1]), codes[0], None)])
    assert "operand 1 has a code" in fe.audit(wide, ADD).problem
    assert "no flags" in fe.audit(recorded(list(batches(ADD, codes))), ADD, flags=True).problem
    with pytest.raises(TypeError, match="specify the operation"):
        fe.audit(half)


# -- subjects that misbehave ------------------------------------------------------------------------------------------


def after_the_first(wrong):
    """A subject that answers correctly once, then does something else."""
    calls = []

    def subject(x, y):
        calls.append(1)
        return ADD.answer(x, y) if len(calls) == 1 else wrong(x, y)

    return subject


def raises(x, y):
    raise RuntimeError("no more")


def throw(error):
    raise error


class Speechless(Exception):  # noqa: N818
    """An error whose message raises."""

    def __str__(self):
        raise ValueError("no words")


class Thorny:
    """An answer whose attributes raise."""

    @property
    def __array_interface__(self):
        return 1 // 0

    def __array__(self, dtype=None, copy=None):
        return 1 // 0


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (raises, "raised RuntimeError: no more"),
        (lambda x, y: x[:-1], "malformed answer: the result must be of shape"),
        (lambda x, y: x.astype(np.float32), "malformed answer: the result must be codes of float8_e5m2"),
        (lambda x, y: x.astype(np.int16) - 300, "malformed answer"),
        (lambda x, y: None, "malformed answer"),
        (lambda x, y: (x, y), "malformed answer"),
        (lambda x, y: "codes", "malformed answer"),
        (lambda x, y: time.sleep(2), "no answer within 0.3 s"),
        (lambda x, y: sys.exit(3), "raised SystemExit: 3"),
        (lambda x, y: throw(GeneratorExit()), "raised GeneratorExit"),
        (lambda x, y: throw(Speechless()), "raised Speechless"),
        (lambda x, y: throw(RuntimeError("no\x1b[31m\nPASSED")), r"raised RuntimeError: no\x1b[31m PASSED"),
        (lambda x, y: throw(RuntimeError("no" * 10_000)), "raised RuntimeError: nonono"),
        (lambda x, y: Thorny(), "returned an answer that raised ZeroDivisionError"),
    ],
)
def test_misbehaviour_is_told_and_what_was_found_is_kept(wrong, words):
    found = fe.audit(
        function(after_the_first(wrong), timeout=0.3 if "0.3" in words else None), ADD, limit=0, random=1 << 17
    )
    assert not found.passed
    assert words in found.problem
    assert 0 < found.checked < 1 << 17
    assert found.different == 0
    assert "NOT PASSED" in str(found)
    assert words in str(found)
    assert len(found.problem) <= 500
    assert all(part.isprintable() for part in str(found).split("\n"))


@pytest.mark.parametrize("error", [SystemExit(0), KeyboardInterrupt(), GeneratorExit(), Speechless()], ids=repr)
def test_what_a_subject_raises_in_its_thread_is_told(error, capfd):
    """It is not reported as a timeout, and without a traceback of the thread."""
    found = fe.audit(function(lambda x, y: throw(error), timeout=60), ADD, limit=0, random=10)
    assert type(error).__name__ in found.problem
    assert "within" not in found.problem
    assert capfd.readouterr() == ("", "")


PROGRAMS = {
    "import sys; [print('-0') for line in sys.stdin]": "printed '-0' as line 1",
    "import sys; [print('+0') for line in sys.stdin]": "printed '+0' as line 1",
    "import sys; [print('0_0') for line in sys.stdin]": "printed '0_0' as line 1",
    "import sys; sys.stdin.read()": "answered 0 of",
    "import sys; [print('zz') for line in sys.stdin]": "printed 'zz' as line 1",
    "import sys; [print('100') for line in sys.stdin]": "printed '100' as line 1",
    "import sys; [print('00') for line in sys.stdin]; print('00')": "lines for",
    "import sys\nwhile True: print('00' * 50)": "printed",
    "import time; time.sleep(60)": "did not answer within 1 s",
    "import sys; print('00'); sys.stderr.write('out of luck'); sys.exit(3)": "ended with status 3: out of luck",
    "import os; os.abort()": "SIGABRT",
}


@pytest.mark.parametrize(("script", "words"), PROGRAMS.items(), ids=range(len(PROGRAMS)))
def test_programs_that_misbehave(script, words):
    found = fe.audit(program([PYTHON, "-c", textwrap.dedent(script)], timeout=1), ADD, limit=0, per_cell=1, random=10)
    assert not found.passed
    assert words in found.problem


def test_a_program_that_is_not_there(tmp_path):
    found = fe.audit(program([str(tmp_path / "nothing")]), ADD)
    assert found.checked == 0
    assert "could not be started" in found.problem
    assert not found.passed


def test_libraries_that_are_none(tmp_path):
    """If a library cannot be loaded, the report has the system's message, not a traceback."""
    text = tmp_path / "text.so"
    text.write_text("no library")
    found = fe.audit(library(text, "add"), ADD, limit=0, random=10)
    assert "ended with status 1: " in found.problem
    assert "text.so" in found.problem
    assert "Traceback" not in found.problem
    assert "line" not in found.problem
    with pytest.raises(IsADirectoryError):
        library(tmp_path, "add")
    with pytest.raises(FileNotFoundError, match="no such file"):
        library(tmp_path / "nothing", "add")


def test_an_audit_that_cannot_be_kept_is_refused_before_the_work(tmp_path):
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for place in (tmp_path, loop, tmp_path / "no" / "audit.npz", "/dev/null"):
        with pytest.raises((OSError, ValueError), match=str(place) if place == "/dev/null" else None) as error:
            fe.audit(lambda x, y: pytest.fail("asked"), ADD, resume=place)
        named = getattr(error.value, "filename", None) or str(error.value)
        assert named.startswith((str(place), str(tmp_path / "no")))


def test_texts_of_an_audit_are_printable():
    """Names and problems in a report contain no control sequences for a terminal."""
    subject = lambda x, y: x  # noqa: E731
    subject.__qualname__ = "add\x1b[2J\nPASSED"
    found = fe.audit(subject, ADD, limit=0, random=10)
    assert str(found).startswith(r"add\x1b[2J PASSED: add of")
    assert all(part.isprintable() for part in str(found).split("\n"))
    assert repr(found).isprintable()


# -- long audits ------------------------------------------------------------------------------------------------------


def test_threads_change_nothing():
    claim = Claim.of("encode", "float8_e5m2", source="bfloat16")
    wrong = claim.replaced(rounding="toward_zero")
    one, two = (fe.audit(wrong.answer, claim, threads=threads).to_dict() for threads in (1, 2))
    assert one == two
    one, two = (fe.audit(raises, ADD, threads=threads).problem for threads in (1, 2))
    assert one == two


def test_an_audit_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("fpemu.verification.audits.auditor.BATCH", 1 << 12)
    monkeypatch.setattr("fpemu.verification.audits.auditor.SAVE_INTERVAL", 0.0)
    path = tmp_path / "audit.npz"
    claim = Claim.of("add", "float8_e4m3fn")
    subject = claim.replaced(rounding="to_odd").answer
    whole = fe.audit(subject, claim).to_dict()
    done = []

    def stop(checked, total):
        assert total == 1 << 16
        done.append(checked)
        if checked >= 1 << 14:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fe.audit(subject, claim, resume=path, progress=stop)
    assert path.exists()
    asked = []

    def counting(x, y):
        asked.append(x.size)
        return subject(x, y)

    counting.__qualname__ = subject.__qualname__
    found = fe.audit(counting, claim, resume=path).to_dict()
    assert sum(asked) < 1 << 16
    assert found == whole
    assert fe.audit(raises, claim, resume=tmp_path / "other.npz").problem
    with pytest.raises(ValueError, match="another audit: its seed is 0, here 1"):
        fe.audit(counting, claim, resume=path, seed=1)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="not an audit to resume"):
        fe.audit(counting, claim, resume=path)


def test_what_is_kept_of_many_inputs(monkeypatch):
    monkeypatch.setattr("fpemu.verification.audits.findings.MAX_EVIDENCE", 1 << 10)
    monkeypatch.setattr("fpemu.verification.audits.findings.MAX_WRONG", 1 << 9)
    found = fe.audit(ADD.replaced(rounding="toward_positive").answer, ADD)
    assert found.cause == "rounding=toward_positive"
    assert sum(found.failing.values()) < found.different
    assert "differences kept as evidence" in str(found)
    assert len(found.differences) == 100


def test_plain_data():
    found = fe.audit(ADD.replaced(rounding="toward_positive").answer, ADD).to_dict()
    assert found["claim"]["operation"] == "add"
    assert found["cause"] == "rounding=toward_positive"
    assert found["explanations"][0]["knobs"] == {"rounding": "toward_positive"}
    assert set(found["differences"][0]) == {"operands", "expected", "actual", "expected_flags", "actual_flags"}


# -- the door ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: fe.audit(3, "add", "float16"), TypeError, "a subject is a callable"),
        (lambda: fe.audit(halves), TypeError, "specify the operation that the subject computes"),
        (lambda: fe.audit(halves, "ad", "float16"), ValueError, "no operation 'ad'"),
        (lambda: fe.audit(halves, "encode", "float61"), ValueError, "float61"),
        (lambda: fe.audit(halves, "encode", "float16", domain="bits"), ValueError, "unknown domain 'bits'"),
        (lambda: fe.audit(halves, "encode", "float16", nan="any"), ValueError, "unknown nan 'any'"),
        (
            lambda: fe.audit(halves, "encode", "float16", rounding="stochastic"),
            ValueError,
            "no unique answer",
        ),
        (lambda: fe.audit(halves, "encode", "nf4", flags=True), ValueError, "has no flags to audit"),
        (lambda: fe.audit(halves, HALF, rounding="RTZ"), TypeError, "a Claim has its own formats and rules"),
        (lambda: fe.audit(halves, HALF, threads=0), ValueError, "threads must be 1 or more"),
        (lambda: fe.audit(halves, HALF, threads=1.5), TypeError, "threads must be an int"),
        (lambda: fe.audit(recorded([]), HALF, resume="x"), ValueError, "compared in one pass"),
        (lambda: program(""), ValueError, "needs a command"),
        (lambda: library("no.so", "f"), FileNotFoundError, "no such file"),
        (lambda: function(3), TypeError, "must be callable"),
        (lambda: recorded(3), TypeError, "recorded answers are batches"),
    ],
)
def test_errors_at_the_door(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


def test_names():
    assert fe.audit is auditing.audit
    assert os.path.basename(auditing.__file__) == "__init__.py"

"""Every reader of files, given valid files that were changed: it reads them, or answers with one of two errors.

A ValueError begins with the path; an OSError has errno and filename.  Memory and time are bounded, nothing is printed.
"""

import itertools
import random
import tracemalloc
import warnings

import pytest

import fpemu as fe
from fpemu.files.data_files import open_arrays
from fpemu.verification import vectors
from fpemu.verification.audits import recordings
from fpemu.verification.audits.findings import Findings
from fpemu.verification.audits.recordings import is_recording
from fpemu.verification.claims import Claim
from tests.cases.changed_files import changed, made

ROUNDS = 200  # changed files of each kind
SLOW = {"saved.npz": 80, "saved.safetensors": 80, "recording": 100}  # fewer where each takes long
MEMORY = 100 << 20  # bytes beside what the process has: a changed file of kilobytes gets along with far less

LEFT_OUT = "left out: "


def outcome(call, path):
    """What a reader gives or raises, the errors held to the promise; other exceptions pass, warnings are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", f".*{LEFT_OUT}", UserWarning)
        try:
            return call(path)
        except ValueError as error:
            assert str(error).startswith(str(path)), error  # noqa: PT017
            assert len(str(error)) < 1000  # noqa: PT017
            assert str(error).isprintable()  # noqa: PT017
            return error
        except OSError as error:
            assert error.errno  # noqa: PT017
            assert error.filename.startswith(str(path))  # noqa: PT017
            return error


def everything_of(path):
    for stored in open_arrays(path):
        for _ in stored.chunks(1000):
            pass


def one_of(path):
    fe.load(path, "a")


def vectors_of(path):
    for _ in vectors.read(path):
        pass


def foreign(path):
    for _ in vectors.read(path, "testfloat", claim=Claim.of("sqrt", "float8_e5m2")):
        pass


def resumed(path):
    claim = Claim.of("sqrt", "float8_e5m2")
    ledger = Findings(claim, "class", True, 256)
    ledger.restore(path, {"claim": claim.described()})


READERS = {
    "npy": [fe.load, everything_of],
    "npz": [fe.load, everything_of, one_of],
    "compressed": [fe.load, everything_of, one_of],
    "safetensors": [fe.load, everything_of, one_of],
    "saved.npz": [fe.load, everything_of, one_of],
    "saved.safetensors": [fe.load, everything_of, one_of],
    "testfloat": [vectors_of],
    "foreign": [foreign],
    "readmemh": [vectors_of],
    "csv": [vectors_of],
    "jsonl": [vectors_of],
    "vectors.npz": [vectors_of],
    "recording": [recordings, is_recording],
    "resume": [resumed],
}


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    """A valid file of each kind, by name."""
    return made(tmp_path_factory.mktemp("valid"))


@pytest.mark.parametrize("kind", READERS)
def test_valid_files_are_read(kind, valid):
    for call in READERS[kind]:
        found = outcome(call, valid[kind])
        assert not isinstance(found, Exception), found


@pytest.mark.parametrize("kind", READERS)
def test_changed_files(kind, valid, tmp_path):
    rng = random.Random(f"{kind} 1")
    path = tmp_path / valid[kind].name
    refused, rounds = 0, SLOW.get(kind, ROUNDS)
    tracemalloc.start()
    try:
        for files in itertools.islice(changed(rng, valid, kind), rounds):
            for name, data in files.items():
                (tmp_path / name).write_bytes(data)
            for call in READERS[kind]:
                tracemalloc.reset_peak()
                refused += isinstance(outcome(call, path), Exception)
                assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()
    assert refused > rounds // 10

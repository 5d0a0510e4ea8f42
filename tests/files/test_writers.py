"""Every writer of the package, stopped at every step: the old file is there or the new one, and nothing beside them."""

import errno
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fpemu as fe
from fpemu.files import atomic
from fpemu.files.atomic import replacing, replacing_together
from fpemu.files.data_files import Outgoing, write_arrays
from fpemu.verification import vectors
from fpemu.verification.audits import probe, probe_template
from fpemu.verification.audits.findings import Findings
from fpemu.verification.claims import Claim

X = np.arange(300, dtype=np.float32)
CLAIM = Claim.of("sqrt", "float8_e5m2")
BUFFER = 64  # bytes at once, so that even short files are many writes


def arrays(path):
    write_arrays(path, [Outgoing("x", X.shape, X.dtype, [X[:100], X[100:]])])


def saved(path):
    fe.save(path, x=X, a=fe.array([1.0, 2.0], "bfloat16"), q=fe.quantize(X[:64], "mxfp4"))


def golden(path):
    vectors.write(path, vectors.generate(CLAIM))


def bench(path):
    vectors.write_bench(path, FOLDER["hex"])


def script(path):
    probe(path, ["bfloat16"], ["sqrt"], per_cell=1, random=2)


def recording(path):
    probe_template.write_recording(str(path), {"items": []}, {"a": b"1" * 300})


def ledger(path):
    kept = Findings(CLAIM, "class", True, 256)
    kept._kept = [[np.arange(40, dtype=np.uint8)] * 5]
    kept.save(path, {"claim": CLAIM.described()})


def by_command(*words):
    def call(path):
        pytest.importorskip("typer")
        from fpemu.cli.app import app

        app([str(FOLDER.get(word, word)) for word in words] + [str(path)], standalone_mode=False)

    return call


FOLDER = {}
WRITERS = {
    "x.npy": arrays,
    "x.npz": arrays,
    "x.safetensors": arrays,
    "x.bin": arrays,
    "saved.npz": saved,
    "saved.safetensors": saved,
    "golden.tv": golden,
    "golden.hex": golden,
    "golden.csv": golden,
    "golden.jsonl": golden,
    "golden.npz": golden,
    "bench.v": bench,
    "probe.py": script,
    "recording.probe": recording,
    "audit.npz": ledger,
    "command.npy": by_command("cast", "x.npy", "-f", "bf16", "-o"),
    "table.csv": by_command("table", "sqrt", "-f", "float4_e2m1fn", "-o"),
    "table.json": by_command("table", "sqrt", "-f", "float4_e2m1fn", "-o"),
    "table.npy": by_command("table", "sqrt", "-f", "float4_e2m1fn", "-o"),
    "picture.svg": by_command("compare", "fp4", "--plot"),
}


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    """Files that writers read, and their output once as it is, by name."""
    made = tmp_path_factory.mktemp("made")
    np.save(made / "x.npy", X)
    FOLDER["x.npy"] = made / "x.npy"
    FOLDER["hex"] = vectors.write(made / "u.hex", vectors.generate(CLAIM))
    yield
    FOLDER.clear()


class Disk:
    """The system's calls of a writer, counted; the one of a number fails."""

    def __init__(self, monkeypatch, folder, fails=None, error=None):
        self.folder, self.calls, self.fails, self.error = str(folder), [], fails, error
        for name in ("open", "fdopen", "fsync", "chmod", "replace", "link"):
            monkeypatch.setattr(os, name, self.counting(name, getattr(os, name)))
        monkeypatch.setattr(os, "fdopen", self.opened)

    def step(self, name):
        self.calls.append(name)
        if len(self.calls) - 1 == self.fails:
            raise self.error

    def counting(self, name, call):
        def counted(*args, **kwargs):
            if isinstance(args[0], int) or os.fspath(args[0]).startswith(self.folder):  # not what numba caches
                self.step(name)
            return call(*args, **kwargs)

        return counted

    def opened(self, handle, mode="r", *args, **kwargs):
        raw = io.FileIO(handle, "w")
        disk = self

        class Raw(io.RawIOBase):
            def writable(self):
                return True

            def seekable(self):
                return True

            def seek(self, *args):
                return raw.seek(*args)

            def fileno(self):
                return raw.fileno()

            def write(self, data):
                disk.step("write")
                return raw.write(data)

            def close(self):
                if not self.closed:
                    raw.close()
                    super().close()
                    disk.step("close")

        return io.BufferedWriter(Raw(), BUFFER)


def everything(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def undated(found):
    """Without what differs from one writing to the next: the dates of pictures and archives."""
    import re

    return {
        name: re.sub(rb"<dc:date>.*?</dc:date>|PK.{80}", b"", data, flags=re.DOTALL) for name, data in found.items()
    }


def whole(call, path, monkeypatch):
    """The files of a writing that nothing stops, and its calls of the system."""
    with monkeypatch.context() as patch:
        disk = Disk(patch, path.parent)
        call(path)
    found = everything(path.parent)
    for each in path.parent.iterdir():
        each.unlink()
    return found, disk.calls


@pytest.mark.parametrize("old", [True, False], ids=["replaces", "new"])
@pytest.mark.parametrize("name", WRITERS)
def test_every_call_of_the_system_fails_once(tmp_path, monkeypatch, name, old, capsys):
    path = tmp_path / name
    new, calls = whole(WRITERS[name], path, monkeypatch)
    assert {"write", "fsync", "replace"} <= set(calls)
    before = dict.fromkeys(new, b"what was there") if old else {}
    # Of many equal calls after each other the first, some between, and the last are enough.
    places = [k for k, call in enumerate(calls) if call != "write" or k % max(1, len(calls) // 20) == 0]
    for place in places:
        for number in (errno.ENOSPC, errno.EIO):
            for each, data in before.items():
                (tmp_path / each).write_bytes(data)
            with monkeypatch.context() as patch:
                Disk(patch, tmp_path, place, OSError(number, os.strerror(number)))
                with pytest.raises(OSError, match=os.strerror(number)) as error:
                    WRITERS[name](path)
            assert error.value.errno == number
            assert error.value.filename is None or str(tmp_path) in str(error.value.filename)
            assert everything(tmp_path) == before, calls[place]


LINES = 40  # steps at which a writer is interrupted


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # archives that nobody closes
@pytest.mark.parametrize("name", WRITERS)
def test_an_interrupt_at_every_step(tmp_path, monkeypatch, name, capsys):
    """Ctrl-C at lines all over fpemu's own code; at each line of `replacement`, where files come and go."""
    path = tmp_path / name
    new, _ = whole(WRITERS[name], path, monkeypatch)
    before = dict.fromkeys(new, b"what was there")
    package, own = str(Path(fe.__file__).parent), atomic.__file__

    def run(stop):
        """The writer, interrupted at the lines that `stop` takes: how many there were, and whether it was."""
        seen = {"all": 0, "own": 0}

        def trace(frame, event, argument):
            if not frame.f_code.co_filename.startswith(package):
                return None
            if event == "line":
                seen["all"] += 1
                seen["own"] += frame.f_code.co_filename == own
                if stop(frame.f_code.co_filename == own, seen):
                    sys.settrace(None)
                    raise KeyboardInterrupt
            return trace

        for each, data in before.items():
            (tmp_path / each).write_bytes(data)
        previous = sys.gettrace()
        sys.settrace(trace)
        try:
            WRITERS[name](path)
        except KeyboardInterrupt:
            return seen, True
        finally:
            sys.settrace(previous)
        return seen, False

    counts, stopped = run(lambda own, seen: False)
    assert not stopped
    after = everything(tmp_path)
    steps = sorted({round(k * counts["all"] / LINES) for k in range(LINES)})
    ways = [lambda own, seen, at=at: seen["all"] == at + 1 for at in steps]
    if WRITERS[name] in (arrays, golden):  # the others go through the same lines
        ways += [lambda own, seen, at=at: own and seen["own"] == at + 1 for at in range(counts["own"])]
    outcomes = set()
    for way in ways:
        run(way)
        found = everything(tmp_path)
        assert set(found) == set(before), sorted(found)
        assert found == before or undated(found) == undated(after)
        outcomes.add(found == before)
    assert True in outcomes


@pytest.mark.parametrize("word", ["SIGTERM", "SIGHUP", "SIGQUIT", "SIGINT"])
def test_signals_of_the_command(tmp_path, word):
    pytest.importorskip("typer")
    if not hasattr(signal, word):
        pytest.skip(f"no {word} here")
    np.save(tmp_path / "x.npy", X)
    (tmp_path / "y.npy").write_bytes(b"old")
    program = (
        "import os, signal, sys\nfrom fpemu import casting\nfrom fpemu.cli import main\n"
        f"if signal.getsignal(signal.{word}) is signal.SIG_IGN:\n"  # as nohup and background jobs leave it
        f"    signal.signal(signal.{word}, signal.default_int_handler if '{word}' == 'SIGINT' else signal.SIG_DFL)\n"
        f"def stop(*a, **k):\n    os.kill(os.getpid(), signal.{word})\n    return old(*a, **k)\n"
        "old = casting.cast\ncasting.cast = stop\n"
        "import fpemu.files.data_files as files\nwrite = files._write_array\n"
        "def first(stream, *rest, **more):\n"
        "    assert any(name.endswith('.tmp') for name in os.listdir('.'))\n    return write(stream, *rest, **more)\n"
        "files._write_array = first\n"
        "main(['cast', 'x.npy', '-f', 'bf16', '-o', 'y.npy'])\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode in (128 + getattr(signal, word), 1), done.stderr
    assert "Traceback" not in done.stderr
    assert "Error" not in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["x.npy", "y.npy"]
    assert (tmp_path / "y.npy").read_bytes() == b"old"


def test_signals_that_were_ignored_stay_so(monkeypatch):
    pytest.importorskip("typer")
    from fpemu.cli import main

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
    others = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGQUIT)}
    try:
        with pytest.raises(SystemExit):
            main(["--version"])
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
        for number, handler in others.items():
            signal.signal(number, handler)


def test_a_circle_of_links(tmp_path):
    (tmp_path / "a.npy").symlink_to(tmp_path / "b.npy")
    (tmp_path / "b.npy").symlink_to(tmp_path / "a.npy")
    for path in (tmp_path / "a.npy", tmp_path / "a.npy" / "x.npy"):
        with pytest.raises(OSError, match="symbolic links") as error:
            arrays(path)
        assert (error.value.errno, error.value.filename) == (errno.ELOOP, str(path))
        with pytest.raises(OSError, match="symbolic links") as error:
            fe.load(path)
        assert (error.value.errno, error.value.filename) == (errno.ELOOP, str(path))
    assert sorted(os.listdir(tmp_path)) == ["a.npy", "b.npy"]
    (tmp_path / "c.npy").symlink_to("d.npy")  # to nothing yet
    arrays(tmp_path / "c.npy")
    assert (tmp_path / "c.npy").is_symlink()
    np.testing.assert_array_equal(np.load(tmp_path / "d.npy"), X)


@pytest.mark.parametrize("old", [True, False])
def test_files_that_belong_together(tmp_path, monkeypatch, old):
    """The second rename fails: the first one is taken back."""
    a, b = tmp_path / "a", tmp_path / "b"
    if old:
        a.write_bytes(b"old a")
        b.write_bytes(b"old b")
    rename, calls = os.replace, []

    def second_fails(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise OSError(errno.EIO, "no")
        return rename(source, target)

    monkeypatch.setattr(os, "replace", second_fails)

    def write():
        with replacing_together(a, b) as streams:
            for stream, data in zip(streams, (b"new a", b"new b"), strict=True):
                stream.write(data)

    with pytest.raises(OSError, match="no"):
        write()
    assert everything(tmp_path) == ({"a": b"old a", "b": b"old b"} if old else {})


def test_file_systems_without_hard_links(tmp_path, monkeypatch):
    def no_links(source, target):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    for each in ("old", "new"):
        with replacing_together(tmp_path / "a", tmp_path / "b") as streams:
            for stream in streams:
                stream.write(each.encode())
    assert everything(tmp_path) == {"a": b"new", "b": b"new"}


def test_long_names(tmp_path):
    for name in ("x" * 240 + ".npy", "é" * 120 + ".npy"):
        arrays(tmp_path / name)
        np.testing.assert_array_equal(np.load(tmp_path / name), X)


def test_pipes(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        with replacing(tmp_path / "pipe") as stream:
            stream.write(b"through")
        assert os.read(reader, 100) == b"through"
    finally:
        os.close(reader)
    assert os.listdir(tmp_path) == ["pipe"]

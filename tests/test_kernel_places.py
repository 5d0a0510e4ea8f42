"""The threads that kernels run in, and the folder that they are cached in; see tests.test_kernels."""

from __future__ import annotations

import os
import threading
import warnings
from pathlib import Path

import numba
import pytest

from fpemu.kernels import jit, tables, threads


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 20, 21, 35])
def test_pieces_cover_an_array(size, count, monkeypatch):
    monkeypatch.setattr(threads, "CHUNK", 10)
    monkeypatch.setattr(threads, "_count", count)
    pieces = []
    threads.run(lambda start, stop: pieces.append((start, stop)), size)
    assert sorted(pieces) == [(start, min(start + 10, size)) for start in range(0, size, 10)]


def test_a_piece_that_fails(monkeypatch):
    monkeypatch.setattr(threads, "CHUNK", 10)

    def work(start, stop):
        if start == 10:
            raise KeyError("the second")

    for count in (1, 2):
        monkeypatch.setattr(threads, "_count", count)
        with pytest.raises(KeyError, match="the second"):
            threads.run(work, 30)


def test_the_pool_has_as_many_threads(monkeypatch):
    monkeypatch.setattr(threads, "CHUNK", 1)
    for count in (2, 3, 3, 2):
        monkeypatch.setattr(threads, "_count", count)
        threads.run(lambda start, stop: None, 5)
        assert threads._pool._max_workers == count
    monkeypatch.setattr(threads, "_count", 50)
    threads.run(lambda start, stop: None, 4)
    assert threads._pool._max_workers == 4
    before = threads._executor(4)
    assert threads._executor(4) is before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_the_pool_after_a_fork(monkeypatch):
    """A child has no threads: it forgets the pool, and the lock that another thread may hold."""
    monkeypatch.setattr(threads, "CHUNK", 1)
    monkeypatch.setattr(threads, "_count", 2)
    threads.run(lambda start, stop: None, 5)
    with warnings.catch_warnings(), threads._lock:
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: of forks beside threads
        child = os.fork()
        if not child:
            forgotten = threads._pool is None and threads._lock.acquire(blocking=False)
            os._exit(0 if forgotten else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_the_number_of_threads(monkeypatch):
    monkeypatch.setattr(threads, "available_cpus", lambda: 5)
    for wish, expected in (("", 5), ("3", 3), ("1", 1), ("12", 12)):
        monkeypatch.setattr(threads, "_count", None)
        monkeypatch.setenv("FPEMU_NUM_THREADS", wish)
        assert threads.get_count() == expected
        monkeypatch.setenv("FPEMU_NUM_THREADS", "9")
        assert threads.get_count() == expected
    for wish in ("0", "-1", "two", "1.5", "\N{SUPERSCRIPT TWO}", "\N{ARABIC-INDIC DIGIT TWO}"):
        monkeypatch.setattr(threads, "_count", None)
        monkeypatch.setenv("FPEMU_NUM_THREADS", wish)
        with pytest.raises(ValueError, match="FPEMU_NUM_THREADS"):
            threads.get_count()


def test_available_cpus(monkeypatch):
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda pid: {0, 2, 5} if pid == 0 else {1}, raising=False)
    assert threads.available_cpus() == 3
    monkeypatch.delattr(threads.os, "sched_getaffinity")
    for count, expected in ((7, 7), (None, 1)):
        monkeypatch.setattr(threads.os, "cpu_count", lambda count=count: count)
        assert threads.available_cpus() == expected


def test_cache_folders(monkeypatch, tmp_path):
    """The user's folder alone where there is one; else the package's, else the user's cache."""
    kernels = Path(jit.__file__).parent
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setattr(jit.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert list(jit._candidates()) == [kernels / "__pycache__", tmp_path / "xdg" / "fpemu"]
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert list(jit._candidates()) == [kernels / "__pycache__", tmp_path / ".cache" / "fpemu"]
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert list(jit._candidates()) == [kernels / "__pycache__"]
    monkeypatch.setattr(jit.sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert list(jit._candidates()) == [kernels / "__pycache__", tmp_path / "local" / "fpemu"]
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "own"))
    assert list(jit._candidates()) == [tmp_path / "own"]
    assert jit._cache_folder() == str(tmp_path / "own" / f"fpemu-{jit.digest()}")
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "file"))
    assert jit._cache_folder() is None


def test_cache_folder_is_tidied(monkeypatch, tmp_path):
    """What is empty goes, and what nobody has used for a month; a folder in use is marked so."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    own = tmp_path / f"fpemu-{jit.digest()}"
    names = ("fpemu-0000000000000000", "fpemu-1111111111111111", "somebody else's", own.name)
    long_ago = jit.time.time() - (jit.UNUSED_DAYS + 1) * 86400
    for name in names:
        (tmp_path / name).mkdir()
        for file in ("empty.nbi", "empty.nbc", "empty.txt", "full.nbi"):
            (tmp_path / name / file).write_text("full" if file == "full.nbi" else "")
        if name != names[1]:
            os.utime(tmp_path / name, (long_ago, long_ago))
    assert jit._cache_folder() == str(own)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[1:])
    assert sorted(path.name for path in own.iterdir()) == ["empty.txt", "full.nbi"]
    assert own.stat().st_mtime > long_ago + 86400
    assert len(list((tmp_path / names[1]).iterdir())) == 4


def test_digest(monkeypatch, tmp_path):
    """Another digest for another byte, name or file; the same for the same."""
    monkeypatch.setattr(jit, "_sources", tmp_path)
    found = [jit.digest()]
    for name, text in (("a.py", "1"), ("a.py", "2"), ("b.py", ""), ("b.py", "\n")):
        (tmp_path / name).write_text(text)
        found.append(jit.digest())
    (tmp_path / "b.py").rename(tmp_path / "c.py")
    found.append(jit.digest())
    assert len(set(found)) == len(found)
    (tmp_path / "note.txt").write_text("no kernel")
    assert jit.digest() == found[-1]
    assert len(found[-1]) == 16


def test_loops_are_cached_in_the_digests_folder(monkeypatch, tmp_path):
    users = numba.config.CACHE_DIR
    monkeypatch.setattr(jit, "_folder", str(tmp_path))
    kept = jit.loop(tables.take_array.py_func)
    assert users == numba.config.CACHE_DIR
    assert Path(kept._cache.cache_path).parent == tmp_path
    assert kept.targetoptions["nogil"]  # else threads would wait for each other
    monkeypatch.setattr(jit, "_folder", None)
    assert not hasattr(jit.loop(tables.take_array.py_func)._cache, "_impl")


def test_loops_give_the_cache_folder_back(monkeypatch, tmp_path):
    """To numba, also where a loop cannot be kept; and two threads' loops never see each other's."""
    monkeypatch.setattr(jit, "_folder", str(tmp_path / "own"))
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "users"))
    names = {}
    exec("def no_file(x):\n    return x", names)
    with pytest.raises(RuntimeError, match="cannot cache"):
        jit.loop(names["no_file"])
    assert str(tmp_path / "users") == numba.config.CACHE_DIR
    done = threading.Event()
    worker = threading.Thread(target=lambda: (jit.loop(tables.take_array.py_func), done.set()))
    with jit._lock:
        worker.start()
        assert not done.wait(0.2)
        assert str(tmp_path / "users") == numba.config.CACHE_DIR
    worker.join()
    assert done.is_set()
    assert str(tmp_path / "users") == numba.config.CACHE_DIR

"""The threads that kernels run in; see tests.kernels.test_kernels."""

from __future__ import annotations

import concurrent.futures
import os
import threading
import time
import warnings

import pytest

from fpemu.kernels import threads

WRONG_COUNTS = [
    *("0", "00", "-1", "+1", "", " ", " 2", "two", "abc", "1.5", "1e3", "0x2", "1_0", "inf", "4097", "9" * 5000),
    *("\N{SUPERSCRIPT TWO}", "\N{ARABIC-INDIC DIGIT TWO}"),
]


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 20, 21, 35])
def test_pieces_cover_an_array(size, count, monkeypatch):
    monkeypatch.setattr(threads, "CHUNK", 10)
    monkeypatch.setattr(threads, "_count", count)
    pieces = []
    threads.run_chunks(lambda start, stop: pieces.append((start, stop)), size)
    assert sorted(pieces) == [(start, min(start + 10, size)) for start in range(0, size, 10)]


def test_a_piece_that_fails(monkeypatch):
    monkeypatch.setattr(threads, "CHUNK", 10)

    def work(start, stop):
        if start == 10:
            raise KeyError("the second")

    for count in (1, 2):
        monkeypatch.setattr(threads, "_count", count)
        with pytest.raises(KeyError, match="the second"):
            threads.run_chunks(work, 30)


def test_the_pool_has_as_many_threads(monkeypatch):
    """With the caller's own, which takes pieces too."""
    monkeypatch.setattr(threads, "CHUNK", 1)
    for count in (2, 3, 3, 2):
        monkeypatch.setattr(threads, "_count", count)
        threads.run_chunks(lambda start, stop: None, 5)
        assert threads._pool._max_workers == count - 1
    monkeypatch.setattr(threads, "_count", 50)
    threads.run_chunks(lambda start, stop: None, 4)
    assert threads._pool._max_workers == 3
    before = threads._executor(4)
    assert threads._executor(4) is before


def test_all_threads_work_at_once(monkeypatch):
    monkeypatch.setattr(threads, "CHUNK", 1)
    monkeypatch.setattr(threads, "_count", 3)
    together = threading.Barrier(3, timeout=60)
    found = set()

    def work(start, stop):
        together.wait()
        found.add(threading.get_ident())

    threads.run_chunks(work, 3)
    assert len(found) == 3
    assert threading.get_ident() in found


@pytest.mark.parametrize("caller", [True, False])
def test_nothing_is_written_after_an_error(caller, monkeypatch):
    """What ends one piece ends all: no other begins, and those that have begun are waited for."""
    monkeypatch.setattr(threads, "CHUNK", 1)
    monkeypatch.setattr(threads, "_count", 3)
    main = threading.get_ident()
    all_work, failed, begun, done = threading.Barrier(3, timeout=60), threading.Event(), [], []

    def work(start, stop):
        begun.append(start)
        if start < 3:
            all_work.wait()
        if (threading.get_ident() == main) == caller and not failed.is_set():
            failed.set()
            raise KeyboardInterrupt
        assert failed.wait(60)
        time.sleep(0.1)  # the others go on for a while after the error
        done.append(start)

    with pytest.raises(KeyboardInterrupt):
        threads.run_chunks(work, 1000)
    assert len(done) == len(begun) - 1 < 10
    before = len(begun)
    threads.run_chunks(lambda start, stop: None, 2)  # the pool's threads are free again
    assert len(begun) == before


def test_a_second_interrupt_waits_too(monkeypatch):
    """Whoever presses Ctrl-C again while pieces end gets no array that is still written to."""
    monkeypatch.setattr(threads, "CHUNK", 1)
    monkeypatch.setattr(threads, "_count", 2)
    main, interrupts, done = threading.get_ident(), [], []
    begun = threading.Event()
    end = threads._Work.end

    def interrupted(job):
        if len(interrupts) < 3:
            interrupts.append(job)
            raise KeyboardInterrupt
        end(job)

    def work(start, stop):
        if threading.get_ident() == main:
            assert begun.wait(60)
            return
        begun.set()
        time.sleep(0.1)
        done.append(start)

    monkeypatch.setattr(threads._Work, "end", interrupted)
    with pytest.raises(KeyboardInterrupt):
        threads.run_chunks(work, 2)
    assert len(interrupts) == 3
    assert done


def test_threads_that_the_system_does_not_give(monkeypatch):
    """The caller then does all; and a pool that another thread has shut down gives way to the newer one."""
    monkeypatch.setattr(threads, "CHUNK", 1)
    monkeypatch.setattr(threads, "_count", 4)
    pieces = []

    def refuse(self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        patch.setattr(threads, "_pool", None)
        threads.run_chunks(lambda start, stop: pieces.append(start), 7)
        assert pieces == list(range(7))
    threads._pool = None
    closed = threads._executor(3)
    closed.shutdown()
    asked = []
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        monkeypatch.setattr(threads, "_pool", pool)
        monkeypatch.setattr(threads, "_executor", lambda count: asked.append(count) or (pool, closed)[len(asked) < 3])
        threads.run_chunks(lambda start, stop: pieces.append(start), 7)
        assert asked == [3] * 5
    assert sorted(pieces[7:]) == list(range(7))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_the_pool_after_a_fork(monkeypatch):
    """A child has no threads: it forgets the pool, and the lock that another thread may hold."""
    monkeypatch.setattr(threads, "CHUNK", 1)
    monkeypatch.setattr(threads, "_count", 2)
    threads.run_chunks(lambda start, stop: None, 5)
    with warnings.catch_warnings(), threads._lock:
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: of forks beside threads
        child = os.fork()
        if not child:
            forgotten = threads._pool is None and threads._lock.acquire(blocking=False)
            os._exit(0 if forgotten else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_the_number_of_threads(monkeypatch):
    monkeypatch.setattr(threads, "available_cpus", lambda: 5)
    for wish, expected in ((None, 5), ("3", 3), ("1", 1), ("012", 12), ("4096", 4096)):
        monkeypatch.setattr(threads, "_count", None)
        monkeypatch.delenv("FPEMU_NUM_THREADS", raising=False)
        if wish is not None:
            monkeypatch.setenv("FPEMU_NUM_THREADS", wish)
        assert threads.get_count() == expected
        monkeypatch.setenv("FPEMU_NUM_THREADS", "9")
        assert threads.get_count() == expected
    for wish in WRONG_COUNTS:
        monkeypatch.setattr(threads, "_count", None)
        monkeypatch.setenv("FPEMU_NUM_THREADS", wish)
        with pytest.raises(ValueError, match="FPEMU_NUM_THREADS must be a whole number, 1 to 4096, not '") as refused:
            threads.get_count()
        assert len(str(refused.value)) < 160


def test_available_cpus(monkeypatch):
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda pid: {0, 2, 5} if pid == 0 else {1}, raising=False)
    assert threads.available_cpus() == 3
    monkeypatch.delattr(threads.os, "sched_getaffinity")
    for count, expected in ((7, 7), (None, 1)):
        monkeypatch.setattr(threads.os, "cpu_count", lambda count=count: count)
        assert threads.available_cpus() == expected

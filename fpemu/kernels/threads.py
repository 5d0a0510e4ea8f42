"""Threads, in one place: a loop's array in pieces over a pool of Python threads (the loops release the GIL)."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

CHUNK = 1 << 20  # elements: below, one thread

_lock = threading.Lock()
_pool = None
_pool_size = 0
_count = None


def available_cpus():
    """The number of CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def get_count():
    """The number of threads in use; from FPEMU_NUM_THREADS, else the CPUs that the process may use."""
    global _count
    if _count is None:
        wish = os.environ.get("FPEMU_NUM_THREADS", "")
        if wish and not (wish.isascii() and wish.isdigit() and int(wish) > 0):
            raise ValueError(f"FPEMU_NUM_THREADS must be a whole number above 0, not {wish!r}")
        _count = int(wish) if wish else available_cpus()
    return _count


def set_count(count):
    """Set the number of threads; the bits of no result depend on it."""
    global _count
    _count = count


def _executor(count):
    global _pool, _pool_size
    with _lock:
        if _pool is None or _pool_size != count:
            if _pool is not None:
                _pool.shutdown(wait=False)  # running pieces end; their caller waits for them
            _pool = ThreadPoolExecutor(count, thread_name_prefix="fpemu")
            _pool_size = count
        return _pool


def _forget():
    """After fork the child has no threads: it makes a pool of its own when it needs one."""
    global _pool, _lock
    _pool = None
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def run(work, size):
    """Call work(start, stop) for pieces that cover range(size); errors surface."""
    if size <= CHUNK:
        if size:
            work(0, size)
        return
    count = min(get_count(), -(-size // CHUNK))
    starts = range(0, size, CHUNK)
    if count == 1:
        for start in starts:
            work(start, min(start + CHUNK, size))
        return
    # A pool that another thread's new count has just shut down takes no more work: then there is a newer one.
    while True:
        try:
            pieces = [_executor(count).submit(work, start, min(start + CHUNK, size)) for start in starts]
            break
        except RuntimeError:
            continue
    for piece in pieces:
        piece.result()

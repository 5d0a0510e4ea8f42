"""Threads, in one place: a loop's array in pieces, taken by a pool of Python threads (the loops release the GIL).

The caller takes pieces too.  It comes back when no piece is being worked on, whatever ended the work: an error, or
Ctrl-C, after which nothing may be written any more.  Threads that the system does not give are done without.
"""

import os
import threading

CHUNK = 1 << 20  # elements: below, one thread
MOST = 4096  # threads

_lock = threading.Lock()
_pool = None
_pool_size = 0
_count = None


def available_cpus():
    """The number of CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def wished():
    """The number of threads that FPEMU_NUM_THREADS says, or None; a ValueError where it says none."""
    wish = os.environ.get("FPEMU_NUM_THREADS")
    if wish is None:
        return None
    if not (wish.isascii() and wish.isdigit() and len(wish) < 10 and 0 < int(wish) <= MOST):
        shown = wish if len(wish) <= 40 else f"{wish[:40]}..."
        raise ValueError(
            f"FPEMU_NUM_THREADS must be a whole number, 1 to {MOST}, not {shown!r}; unset, it means all CPUs"
        )
    return int(wish)


def get_count():
    """The number of threads in use; from FPEMU_NUM_THREADS, else the CPUs that the process may use."""
    global _count
    if _count is None:
        _count = wished() or available_cpus()
    return _count


def set_count(count):
    """Set the number of threads, 1 to MOST; the bits of no result depend on it."""
    global _count
    _count = count


def _executor(count):
    global _pool, _pool_size
    from concurrent.futures import ThreadPoolExecutor  # not before an array is large

    with _lock:
        if _pool is None or _pool_size != count:
            if _pool is not None:
                _pool.shutdown(wait=False)  # what is running ends; its caller waits for it
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


class _Job:
    """An array's pieces, taken by whoever is free."""

    def __init__(self, work, size):
        self.work, self.size = work, size
        self.error = None
        self._next = 0
        self._helpers = 0  # that are at work
        self._state = threading.Condition()

    def do(self):
        """Work until there are no more pieces."""
        while True:
            with self._state:
                start = self._next
                if start >= self.size:
                    return
                self._next = start + CHUNK
            self.work(start, min(start + CHUNK, self.size))

    def help(self):
        """The same in a thread of the pool, whose error ends the job."""
        with self._state:
            if self._next >= self.size:
                return
            self._helpers += 1
        try:
            self.do()
        except BaseException as error:
            with self._state:
                self._next = self.size
                self.error = error if self.error is None else self.error
        finally:
            with self._state:
                self._helpers -= 1
                self._state.notify_all()

    def end(self):
        """Hand out no more pieces, and wait for those that are being worked on."""
        with self._state:
            self._next = self.size
            self._state.wait_for(lambda: not self._helpers)
            self.work = None  # a helper that the pool has not started yet holds no array


def _call_helpers(job, count):
    """Let so many threads of the pool help, or as many as there can be."""
    called = 0
    while called < count:
        pool = _executor(count)
        try:
            pool.submit(job.help)
        except RuntimeError:
            if pool is _pool:  # the system gives no more threads, or the interpreter ends
                return
            continue  # another thread's new count has just shut it down: there is a newer one
        called += 1


def run(work, size):
    """Call work(start, stop) for pieces that cover range(size); errors surface."""
    if size <= CHUNK:
        if size:
            work(0, size)
        return
    job = _Job(work, size)
    interrupt = None
    try:
        _call_helpers(job, min(get_count(), -(-size // CHUNK)) - 1)
        job.do()
    finally:
        while True:  # also while this waits someone may press Ctrl-C
            try:
                job.end()
                break
            except KeyboardInterrupt as error:
                interrupt = error
    for error in (job.error, interrupt):
        if error is not None:
            raise error

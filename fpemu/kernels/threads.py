"""Threads: a pool of Python threads runs a loop over the chunks of an array (the loops release the GIL).

The calling thread takes chunks too.  It returns when no chunk is in progress, even after an error or Ctrl-C, so that
nothing is written afterwards.  If the system grants fewer threads, the others do the work.
"""

import os
import threading

CHUNK = 1 << 20  # elements; smaller arrays use one thread
MAX_COUNT = 4096  # threads

_lock = threading.Lock()
_pool = None
_pool_size = 0
_count = None


def available_cpus():
    """The number of CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def requested_count():
    """The number of threads in FPEMU_NUM_THREADS, or None if it is unset; raise ValueError if it is invalid."""
    requested = os.environ.get("FPEMU_NUM_THREADS")
    if requested is None:
        return None
    if not (requested.isascii() and requested.isdigit() and len(requested) < 10 and 0 < int(requested) <= MAX_COUNT):
        shown = requested if len(requested) <= 40 else f"{requested[:40]}..."
        raise ValueError(
            f"FPEMU_NUM_THREADS must be a whole number, 1 to {MAX_COUNT}, not {shown!r}; unset, it means all CPUs"
        )
    return int(requested)


def get_count():
    """The number of threads in use: FPEMU_NUM_THREADS, else the number of CPUs that the process may use."""
    global _count
    if _count is None:
        _count = requested_count() or available_cpus()
    return _count


def set_count(count):
    """Set the number of threads, 1 to MAX_COUNT; no result depends on it."""
    global _count
    _count = count


def _executor(count):
    global _pool, _pool_size
    from concurrent.futures import ThreadPoolExecutor  # imported when an array is large

    with _lock:
        if _pool is None or _pool_size != count:
            if _pool is not None:
                _pool.shutdown(wait=False)  # running work ends; its caller waits for it
            _pool = ThreadPoolExecutor(count, thread_name_prefix="fpemu")
            _pool_size = count
        return _pool


def _forget():
    """Forget the pool in the child of a fork: its threads do not exist there, and a new pool is made on demand."""
    global _pool, _lock
    _pool = None
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


class _Work:
    """The chunks of one array, taken by any free thread."""

    def __init__(self, work, size):
        self.work, self.size = work, size
        self.error = None
        self._next = 0
        self._helpers = 0  # threads of the pool at work
        self._state = threading.Condition()

    def do(self):
        """Work until no chunks are left."""
        while True:
            with self._state:
                start = self._next
                if start >= self.size:
                    return
                self._next = start + CHUNK
            self.work(start, min(start + CHUNK, self.size))

    def help(self):
        """Work in a thread of the pool; an error ends the work."""
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
        """Hand out no more chunks, and wait for those in progress."""
        with self._state:
            self._next = self.size
            self._state.wait_for(lambda: not self._helpers)
            self.work = None  # helpers that have not started must not keep the array alive


def _call_helpers(job, count):
    """Start up to `count` threads of the pool as helpers."""
    called = 0
    while called < count:
        pool = _executor(count)
        try:
            pool.submit(job.help)
        except RuntimeError:
            if pool is _pool:  # no more threads from the system, or the interpreter exits
                return
            continue  # another thread has set a new count and shut the pool down: use the new one
        called += 1


def run_chunks(work, size):
    """Call work(start, stop) for chunks that cover range(size); errors are raised here."""
    if size <= CHUNK:
        if size:
            work(0, size)
        return
    job = _Work(work, size)
    interrupt = None
    try:
        _call_helpers(job, min(get_count(), -(-size // CHUNK)) - 1)
        job.do()
    finally:
        while True:  # Ctrl-C may come while this waits
            try:
                job.end()
                break
            except KeyboardInterrupt as error:
                interrupt = error
    for error in (job.error, interrupt):
        if error is not None:
            raise error

"""The disk cache of compiled loops: one file for each loop, sealed by a digest; damaged files are compiled again.

numba's own cache checks only a loop's own file: after an edit of a core in another file, the cached loop would return
the old bits.  Therefore the folder's name contains a digest of all kernel files.  numba's cache also trusts its files:
a flipped bit in machine code crashes the process, an empty index ends every run, a full disk ends the first.  Here the
digest of a file is checked before use, a bad file is removed, and failures to write are ignored.
"""

import contextlib
import functools
import hashlib
import os
import pickle
import shutil
import sys
import tempfile
import time
import uuid
from pathlib import Path
from types import FunctionType

import llvmlite
import numba
import numpy

try:
    import fcntl
except ImportError:  # Windows: processes do not wait for each other's compilations
    fcntl = None

try:
    from numba.core.compiler import CompileResult
    from numba.core.serialize import dumps
except ImportError:  # an incompatible numba: no cache
    CompileResult = dumps = None

UNUSED_DAYS = 30
LONGEST_WAIT = 120  # seconds for another process's compilation of the same loop; after that this process compiles too
KERNEL_SUFFIX = ".kernel"

_sources = Path(__file__).parent
_PLAIN_TYPES = (bool, int, float, complex, str, bytes, type(None), numpy.generic)


def digest():
    """A digest of all kernel files, 16 hexadecimal digits."""
    total = hashlib.sha256()
    for path in sorted(_sources.rglob("*.py")):
        total.update(path.relative_to(_sources).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()[:16]


def _candidates():
    if numba.config.CACHE_DIR:  # the user's NUMBA_CACHE_DIR
        yield Path(numba.config.CACHE_DIR)
        return
    yield _sources / "__pycache__"
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if base and os.path.isabs(base):
        yield Path(base) / "fpemu"


def _writable(folder):
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _cache_folder():
    """The folder for loops of this digest; None if no folder is writable (every process then compiles)."""
    name = f"fpemu-{digest()}"
    base = next((base for base in _candidates() if _writable(base / name)), None)
    if base is None:
        return None
    _tidy(base, name)
    return str(base / name)


def _tidy(base, own):
    """Remove half-written files of ended processes, and folders of other digests unused for UNUSED_DAYS."""
    long_ago = time.time() - UNUSED_DAYS * 86400
    with contextlib.suppress(OSError):  # another user's folder, or another process tidies too
        os.utime(base / own)
    for path in (base / own).glob(f"*{KERNEL_SUFFIX}.*"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < time.time() - 86400:
                path.unlink()
    for path in base.glob("fpemu-*"):
        with contextlib.suppress(OSError):
            if path.name != own and path.stat().st_mtime < long_ago:
                shutil.rmtree(path, ignore_errors=True)


folder = _cache_folder() if dumps else None


class LoopCache:
    """A cache for a numba dispatcher, with the methods of numba's own caches."""

    def __init__(self, function, path):
        self.cache_path = path
        self._name = f"{function.__module__}.{function.__qualname__}".replace("<", "").replace(">", "")
        self._function = function
        self._on = True
        self._locks = {}  # path of a file that this process compiles now: the lock's descriptor

    def attach(self, dispatcher):
        """Make this the cache of a dispatcher, and let the locks go where a compilation fails."""
        dispatcher._cache = self
        compiler = dispatcher._compiler
        compile_once = compiler.compile

        def compile_or_release(*args):
            try:
                return compile_once(*args)
            except BaseException:
                self.release()
                raise

        compiler.compile = compile_or_release

    def enable(self):
        self._on = True

    def disable(self):
        self._on = False

    def flush(self):
        """Remove all cached code of the function."""
        for path in Path(self.cache_path).glob(f"{self._name}-*{KERNEL_SUFFIX}"):
            _remove(path)

    def load_overload(self, signature, target_context):
        """Load compiled code, or return None; a file that is damaged or does not load is removed."""
        target_context.refresh()
        if not self._on:
            return None
        try:
            key, path = self._key_and_path(signature, target_context.codegen())
        except Exception:  # whatever the error, compiling is the remedy
            return None
        compiled = self._read(key, path, target_context)
        if compiled is None and self._lock(path):  # another process may have been faster
            compiled = self._read(key, path, target_context)
            if compiled is not None:
                self.release()
        return compiled

    def _read(self, key, path, target_context):
        try:
            sealed = path.read_bytes()
            payload = memoryview(sealed)[32:]
            if _seal(key, payload) != sealed[:32]:
                raise ValueError("damaged")
            return CompileResult._rebuild(target_context, *pickle.loads(payload))
        except FileNotFoundError:
            return None
        except Exception:  # as above
            _remove(path)
            return None

    def save_overload(self, signature, compiled):
        """Save compiled code if possible; a full disk or an incompatible numba is not an error."""
        if not self._on:
            return
        with contextlib.suppress(Exception), contextlib.ExitStack() as stack:
            stack.callback(self.release)
            if compiled.lifted or compiled.library.has_dynamic_globals:
                return
            key, path = self._key_and_path(signature, compiled.codegen)
            payload = dumps(compiled._reduce())
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_whole(path, _seal(key, payload) + payload)

    def _lock(self, path):
        """Lock a file for the time of its compilation; True if another process held the lock before.

        A process that dies lets its locks go.  Where files cannot be locked nobody waits.
        """
        if fcntl is None:
            return False
        path = path.with_suffix(f"{KERNEL_SUFFIX}.lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:
            return False
        waited, until = False, time.monotonic() + LONGEST_WAIT
        try:
            while time.monotonic() < until:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    waited = True
                    time.sleep(0.02)
                else:
                    self._locks[path], descriptor = descriptor, None
                    break
        except OSError:  # a file system without locks
            pass
        finally:
            if descriptor is not None:
                os.close(descriptor)
        return waited

    def release(self):
        """Let other processes have the files that this one compiled."""
        while self._locks:
            path, descriptor = self._locks.popitem()
            _remove(path)
            os.close(descriptor)

    def _key_and_path(self, signature, codegen):
        """The key of everything that the code depends on beside the kernels, and the path of the file."""
        versions = sys.implementation.cache_tag, numba.__version__, llvmlite.__version__
        key = repr((versions, _fingerprint(self._function), repr(signature), codegen.magic_tuple())).encode()
        return key, Path(self.cache_path) / f"{self._name}-{hashlib.sha256(key).hexdigest()[:16]}{KERNEL_SUFFIX}"


def _seal(key, payload):
    """A digest of the code and its key, so that a renamed file fails the check too."""
    total = hashlib.sha256(key + b"\0")
    total.update(payload)
    return total.digest()


def _write_whole(path, content):
    """Write a file, completely or not at all."""
    half = path.with_name(f"{path.name}.{uuid.uuid4().hex[:16]}")
    try:
        half.write_bytes(content)
        half.replace(path)
    except BaseException:
        _remove(half)
        raise


def _remove(path):
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _fingerprint(value):
    """A text that identifies a function, or a value in its closure: equal in every process, different for other code.

    The folder's name covers the kernel files.  For users' functions the text covers the path, the file's digest and
    the plain global values, which numba compiles as constants.
    """
    value = getattr(value, "py_func", value)  # the function of a dispatcher
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, tuple):
        return f"({', '.join(map(_fingerprint, value))})"
    if isinstance(value, _PLAIN_TYPES):
        return f"{type(value).__name__} {value!r}"
    if not isinstance(value, FunctionType):
        return hashlib.sha256(dumps(value)).hexdigest()
    code = value.__code__
    closure = [_fingerprint(cell.cell_contents) for cell in value.__closure__ or ()]
    words = [
        value.__module__,
        value.__qualname__,
        code.co_firstlineno,
        hashlib.sha256(code.co_code).hexdigest(),
        closure,
    ]
    path = Path(code.co_filename)
    if _sources not in path.parents:
        values = {name: value.__globals__.get(name) for name in sorted(code.co_names)}
        words += [str(path), _file_digest(path)]
        plain = {name: value for name, value in values.items() if isinstance(value, (*_PLAIN_TYPES, tuple))}
        words += [(name, _fingerprint(value)) for name, value in plain.items()]
    return repr(words)


@functools.cache
def _file_digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()

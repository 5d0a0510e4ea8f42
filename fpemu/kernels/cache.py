"""The compiled loops' cache on disk: a file for each, sealed by a digest; what is damaged is compiled anew.

numba's own cache looks at a loop's own file only: edit a core elsewhere, and the cached loop would go on giving the old
bits.  So the folder is named by a digest of every kernel file.  numba's also trusts what it finds: one bit that flipped
in machine code crashes the process, an empty index ends every run, a full disk ends the first.  Here a file's digest is
checked before anything of it is used, what fails goes, and what cannot be written is done without.
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
    from numba.core.compiler import CompileResult
    from numba.core.serialize import dumps
except ImportError:  # another numba: then without a cache
    CompileResult = dumps = None

UNUSED_DAYS = 30
SUFFIX = ".kernel"

_sources = Path(__file__).parent
_PLAIN = (bool, int, float, complex, str, bytes, type(None), numpy.generic)


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
    """The folder for this digest's loops; None where nothing can be written (then every process compiles anew)."""
    name = f"fpemu-{digest()}"
    base = next((base for base in _candidates() if _writable(base / name)), None)
    if base is None:
        return None
    _tidy(base, name)
    return str(base / name)


def _tidy(base, own):
    """Remove what an ended process left half written, and other digests' folders that nobody has used for long."""
    long_ago = time.time() - UNUSED_DAYS * 86400
    with contextlib.suppress(OSError):  # somebody else's folder, or somebody else tidies too
        os.utime(base / own)
    for path in (base / own).glob(f"*{SUFFIX}.*"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < time.time() - 86400:
                path.unlink()
    for path in base.glob("fpemu-*"):
        with contextlib.suppress(OSError):
            if path.name != own and path.stat().st_mtime < long_ago:
                shutil.rmtree(path, ignore_errors=True)


folder = _cache_folder() if dumps else None


class Cache:
    """What a dispatcher of numba asks for compiled code, and gives it to: the methods of numba's own caches."""

    def __init__(self, function, place):
        self.cache_path = place
        self._name = f"{function.__module__}.{function.__qualname__}".replace("<", "").replace(">", "")
        self._function = function
        self._on = True

    def enable(self):
        self._on = True

    def disable(self):
        self._on = False

    def flush(self):
        """Forget all that was kept of the function."""
        for path in Path(self.cache_path).glob(f"{self._name}-*{SUFFIX}"):
            _remove(path)

    def load_overload(self, signature, target_context):
        """The compiled code, or None: of what is damaged, or does not load, nothing is left."""
        target_context.refresh()
        if not self._on:
            return None
        path = None
        try:
            key, path = self._place(signature, target_context.codegen())
            sealed = path.read_bytes()
            payload = memoryview(sealed)[32:]
            if _seal(key, payload) != sealed[:32]:
                raise ValueError("damaged")
            return CompileResult._rebuild(target_context, *pickle.loads(payload))
        except FileNotFoundError:
            return None
        except Exception:  # whatever it is, compiling is the remedy
            if path is not None:
                _remove(path)
            return None

    def save_overload(self, signature, compiled):
        """Keep compiled code, where that is possible: a full disk, or another numba, is no reason to fail."""
        if not self._on:
            return
        with contextlib.suppress(Exception):
            if compiled.lifted or compiled.library.has_dynamic_globals:
                return
            key, path = self._place(signature, compiled.codegen)
            payload = dumps(compiled._reduce())
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, _seal(key, payload) + payload)

    def _place(self, signature, codegen):
        """What the code depends on beside the kernels, and the file's path."""
        versions = sys.implementation.cache_tag, numba.__version__, llvmlite.__version__
        key = repr((versions, _described(self._function), repr(signature), codegen.magic_tuple())).encode()
        return key, Path(self.cache_path) / f"{self._name}-{hashlib.sha256(key).hexdigest()[:16]}{SUFFIX}"


def _seal(key, payload):
    """A digest of the code and of what it is: a file under another's name does not pass either."""
    total = hashlib.sha256(key + b"\0")
    total.update(payload)
    return total.digest()


def _write(path, content):
    """Write a file, whole or not at all."""
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


def _described(thing):
    """What a function, or a value that it holds, is: the same text in every process, another for other code.

    Of kernels the folder's name says the files; of users' functions the path, the file and the plain global values
    count, which numba takes for constants.
    """
    thing = getattr(thing, "py_func", thing)  # a dispatcher's function
    if isinstance(thing, type):
        return f"{thing.__module__}.{thing.__qualname__}"
    if isinstance(thing, tuple):
        return f"({', '.join(map(_described, thing))})"
    if isinstance(thing, _PLAIN):
        return f"{type(thing).__name__} {thing!r}"
    if not isinstance(thing, FunctionType):
        return hashlib.sha256(dumps(thing)).hexdigest()
    code = thing.__code__
    held = [_described(cell.cell_contents) for cell in thing.__closure__ or ()]
    words = [thing.__module__, thing.__qualname__, code.co_firstlineno, hashlib.sha256(code.co_code).hexdigest(), held]
    path = Path(code.co_filename)
    if path.parent != _sources:
        values = {name: thing.__globals__.get(name) for name in sorted(code.co_names)}
        words += [str(path), _file_digest(path)]
        words += [(name, _described(value)) for name, value in values.items() if isinstance(value, (*_PLAIN, tuple))]
    return repr(words)


@functools.cache
def _file_digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()

"""How kernels are compiled: `core` for scalar functions, `loop` for array loops, and where the loops' cache lives.

numba's disk cache stamps a loop's own file only: edit a core elsewhere, and the cached loop would go on giving the old
bits.  So the loops' cache folder is named by a digest of every kernel file.
"""

import hashlib
import os
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

import numba

UNUSED_DAYS = 30

_lock = threading.Lock()
_sources = Path(__file__).parent


def digest():
    """A digest of all kernel files, 16 hexadecimal digits."""
    total = hashlib.sha256()
    for path in sorted(_sources.glob("*.py")):
        total.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
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
    """Remove what a crash left empty, which numba would fail to read, and other digests' folders that nobody uses."""
    os.utime(base / own)
    long_ago = time.time() - UNUSED_DAYS * 86400
    for path in (base / own).glob("*.nb[ci]"):
        if path.stat().st_size == 0:
            path.unlink(missing_ok=True)
    for folder in base.glob("fpemu-*"):
        if folder.name != own and folder.stat().st_mtime < long_ago:
            shutil.rmtree(folder, ignore_errors=True)


_folder = _cache_folder()

core = numba.njit(nogil=True, forceinline=True)


def loop(function):
    """Compile an array loop on its first call, without the GIL, cached on disk where that is possible."""
    with _lock:
        users = numba.config.CACHE_DIR
        numba.config.CACHE_DIR = _folder or users
        try:
            return numba.njit(nogil=True, cache=_folder is not None)(function)
        finally:
            numba.config.CACHE_DIR = users

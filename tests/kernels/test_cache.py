"""The compiled loops' cache: its folder, what is kept in it, and what a damaged file gives."""

from __future__ import annotations

import builtins
import errno
import fcntl
import hashlib
import importlib
import importlib.util
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from fpemu.kernels import cache, jit
from fpemu.kernels.cpu import lookup


def test_cache_folders(monkeypatch, tmp_path):
    """The user's folder alone where there is one; else the package's, else the user's cache."""
    kernels = Path(cache.__file__).parent
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setattr(cache.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert list(cache._candidates()) == [kernels / "__pycache__", tmp_path / "xdg" / "fpemu"]
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert list(cache._candidates()) == [kernels / "__pycache__", tmp_path / ".cache" / "fpemu"]
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert list(cache._candidates()) == [kernels / "__pycache__"]
    monkeypatch.setattr(cache.sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert list(cache._candidates()) == [kernels / "__pycache__", tmp_path / "local" / "fpemu"]
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "own"))
    assert list(cache._candidates()) == [tmp_path / "own"]
    assert cache._cache_folder() == str(tmp_path / "own" / f"fpemu-{cache.digest()}")
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "file"))
    assert cache._cache_folder() is None


def test_cache_folder_is_tidied(monkeypatch, tmp_path):
    """What an ended process left half written goes, and what nobody has used for a month; a folder in use is marked."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    own = tmp_path / f"fpemu-{cache.digest()}"
    names = ("fpemu-0000000000000000", "fpemu-1111111111111111", "somebody else's", own.name)
    two_days_ago = cache.time.time() - 2 * 86400
    long_ago = cache.time.time() - (cache.UNUSED_DAYS + 1) * 86400
    for name in names:
        (tmp_path / name).mkdir()
        for file in ("a.kernel", "a.kernel.0123", "a.kernel.4567", "note.txt"):
            (tmp_path / name / file).write_text("")
        os.utime(tmp_path / name / "a.kernel.0123", (two_days_ago, two_days_ago))
        if name != names[1]:
            os.utime(tmp_path / name, (long_ago, long_ago))
    assert cache._cache_folder() == str(own)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[1:])
    assert sorted(path.name for path in own.iterdir()) == ["a.kernel", "a.kernel.4567", "note.txt"]
    assert own.stat().st_mtime > long_ago + 86400
    assert len(list((tmp_path / names[1]).iterdir())) == 4


def test_digest(monkeypatch, tmp_path):
    """Another digest for another byte, name or file; the same for the same."""
    monkeypatch.setattr(cache, "_sources", tmp_path)
    found = [cache.digest()]
    for name, text in (("a.py", "1"), ("a.py", "2"), ("b.py", ""), ("b.py", "\n")):
        (tmp_path / name).write_text(text)
        found.append(cache.digest())
    (tmp_path / "b.py").rename(tmp_path / "c.py")
    found.append(cache.digest())
    assert len(set(found)) == len(found)
    (tmp_path / "note.txt").write_text("no kernel")
    assert cache.digest() == found[-1]
    assert len(found[-1]) == 16


def copy_of(module):
    """A module, executed again beside itself."""
    spec = importlib.util.spec_from_file_location("copy", module.__file__)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


# -- what is kept -----------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setattr(jit, "folder", str(tmp_path))
    return tmp_path


def add(x):
    return x + 1


def made(function=add):
    """A loop as another process would make it, called once: its result, and whether it was found."""
    loop = jit.loop(function)
    found = loop(2)
    return found, sum(loop.stats.cache_hits.values())


def test_loops_are_cached_in_the_digests_folder(folder, monkeypatch):
    users = numba.config.CACHE_DIR
    assert made() == (3, 0)
    [path] = folder.iterdir()
    assert path.name.startswith("tests.kernels.test_cache.add-")
    assert path.suffix == cache.KERNEL_SUFFIX
    assert made() == (3, 1)
    assert users == numba.config.CACHE_DIR
    kept = jit.loop(lookup.take_array.py_func)
    assert kept.stats.cache_path == str(folder)
    assert kept.targetoptions["nogil"]  # else threads would wait for each other
    monkeypatch.setattr(jit, "folder", None)
    assert not isinstance(jit.loop(lookup.take_array.py_func)._cache, cache.LoopCache)


def test_a_kept_loop_is_another_for_other_code(folder, monkeypatch):
    """Another signature, closure, constant, file or version is compiled; the same is found."""
    names = {"number": 5}

    def times(factor, core=None):
        def product(x):
            return x * factor if core is None else core(x) * factor

        return product

    def constant(x):
        return x + number  # noqa: F821

    twice, thrice = jit.core(times(2)), jit.core(times(3))
    functions = [times(2), times(3), times(np.float32(2)), times(True), times(2, twice), times(2, thrice)]
    functions += [times((1, 2)[1], jit.core(times(2, twice)))]
    assert [made(each) for each in functions] == [(4, 0), (6, 0), (4, 0), (2, 0), (8, 0), (12, 0), (16, 0)]
    assert [made(each)[1] for each in functions] == [1] * 7
    loop = jit.loop(times(2))
    assert loop(2.5) == 5
    assert not loop.stats.cache_hits
    assert len(list(folder.iterdir())) == 8
    constant = type(constant)(constant.__code__, {**globals(), **names})
    assert made(constant) == (7, 0)
    constant.__globals__["number"] = 6
    assert made(constant) == (8, 0)
    assert made(constant) == (8, 1)
    with monkeypatch.context() as patch:
        patch.setattr(numba, "__version__", "0.0")
        assert made(constant) == (8, 0)
        assert made(constant) == (8, 1)
    with monkeypatch.context() as patch:
        patch.setattr(cache, "_file_digest", lambda path: "other")
        assert made(constant) == (8, 0)


def test_loops_that_cannot_be_kept(folder):
    """What has no file, and what calls itself."""
    names = {}
    exec("def no_file(x):\n    return x + 1", names)
    assert made(names["no_file"]) == (3, 0)
    assert made(names["no_file"]) == (3, 0)

    def endless():
        def own(x):
            return x if x < 3 else own(x - 1)

        own = jit.loop(own)
        return own

    assert endless()(7) == 2
    assert not list(folder.iterdir())


def _flipped(content, place):
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


class _Attack:
    def __reduce__(self):
        return exec, ("import builtins; builtins.attacked = True",)


def _attack(content):
    payload = pickle.dumps(_Attack())
    return hashlib.sha256(payload).digest() + payload


DAMAGES = {
    "empty": lambda content: b"",
    "truncated": lambda content: content[: len(content) // 2],
    "longer": lambda content: content + b"\0",
    "the digest": lambda content: _flipped(content, 3),
    "the first byte": lambda content: _flipped(content, 32),
    "the middle": lambda content: _flipped(content, len(content) // 2),
    "the last byte": lambda content: _flipped(content, len(content) - 1),
    "another pickle": _attack,
    "a folder": None,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_kept_loop_that_is_damaged(damage, folder):
    """It is compiled again, nothing of it is used, and the next process finds the new one."""
    made()
    [path] = folder.iterdir()
    content = path.read_bytes()
    if damage == "a folder":
        path.unlink()
        path.mkdir()
        assert made() == made() == (3, 0)
        return
    path.write_bytes(DAMAGES[damage](content))
    assert made() == (3, 0)
    assert not hasattr(builtins, "attacked")
    assert path.read_bytes()[:32] == cache._seal(_key(folder), path.read_bytes()[32:])
    assert made() == (3, 1)


def _key(folder):
    loop = jit.loop(add)
    loop(2)
    [signature] = loop.overloads
    return loop._cache._key_and_path(signature, loop.targetctx.codegen())[0]


def test_a_kept_loop_under_another_name(folder):
    made()
    made(lambda x: x + 2)
    one, other = folder.iterdir()
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    assert made() == (3, 0)
    assert made() == (3, 1)


def test_a_kept_loop_that_does_not_load(folder, monkeypatch):
    """Whatever goes wrong, the file goes and the loop is compiled."""
    made()
    [path] = folder.iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(cache.pickle, "loads", lambda payload: (1, 2, 3))
        assert made() == (3, 0)
    assert made() == (3, 1)
    with monkeypatch.context() as patch:

        def refuse(path, **how):
            raise PermissionError(errno.EACCES, "no")

        patch.setattr(Path, "read_bytes", refuse)
        patch.setattr(Path, "unlink", refuse)
        assert made() == (3, 0)
    assert path.exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO, errno.EMFILE])
@pytest.mark.parametrize("step", ["mkdir", "write_bytes", "replace"])
def test_cache_that_cannot_be_written(step, number, folder, monkeypatch):
    """Then without: no error, and no half of a file."""
    with monkeypatch.context() as patch:
        write = Path.write_bytes

        def fail(self, *words, **how):
            if step == "write_bytes":
                write(self, words[0][:100])
            raise OSError(number, os.strerror(number))

        patch.setattr(Path, step, fail)
        assert made() == (3, 0)
    assert not list(folder.iterdir())
    assert made() == (3, 0)
    assert made() == (3, 1)


def test_cache_of_an_interrupted_process(folder, monkeypatch):
    def interrupt(self, other):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", interrupt)
        with pytest.raises(KeyboardInterrupt):
            made()
    assert not list(folder.iterdir())


def test_cache_of_another_numba(folder, monkeypatch):
    """Whose results have other parts, or none of the names: then without."""
    with monkeypatch.context() as patch:
        patch.setattr(cache, "dumps", None)
        assert made() == (3, 0)
        assert not list(folder.iterdir())
    made()
    with monkeypatch.context() as patch:
        patch.setattr(cache, "CompileResult", None)
        assert made() == (3, 0)
    serialize = importlib.import_module("numba.core.serialize")
    assert copy_of(cache).folder == cache.folder
    monkeypatch.delattr(serialize, "dumps")
    assert copy_of(cache).folder is None


def test_cache_off_and_flushed(folder):
    loop = jit.loop(add)
    loop._cache.disable()
    assert loop(2) == 3
    assert not list(folder.iterdir())
    loop._cache.enable()
    assert loop(2.5) == 3.5
    made(lambda x: x)
    assert len(list(folder.iterdir())) == 2
    loop._cache.flush()
    [path] = folder.iterdir()
    assert "lambda" in path.name


def test_no_jit(monkeypatch):
    """Numba told not to compile: one sentence, each time."""
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    with pytest.raises(ImportError, match="NUMBA_DISABLE_JIT=1 says not to compile: unset it"):
        copy_of(jit)


# -- one compilation for all processes --------------------------------------------------------------------------------

RACE = """
import os, sys, time
from tests.kernels import test_cache
from fpemu.kernels import jit
folder, own, other = sys.argv[1:]
jit.folder = folder
loop = jit.loop(test_cache.slow)
open(own, "w").close()
while not os.path.exists(other):
    time.sleep(0.001)
print(loop(2), sum(loop.stats.cache_hits.values()))
"""


def slow(x):
    """A loop that takes a while to compile."""
    return np.sort(np.full(5, x) + np.arange(5))[-1] + np.linspace(0, x, 7).sum()


def test_two_processes_compile_a_loop_once(tmp_path):
    kernels, files = tmp_path / "kernels", [str(tmp_path / name) for name in "ab"]
    commands = [[sys.executable, "-c", RACE, str(kernels), own, other] for own, other in (files, files[::-1])]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    answers = sorted(process.communicate(timeout=300)[0].split() for process in processes)
    assert answers == [["13.0", "0"], ["13.0", "1"]]
    assert [path.suffix for path in kernels.iterdir()] == [cache.KERNEL_SUFFIX]


def test_nobody_waits_for_a_compilation_that_failed(folder):
    def wrong(x):
        return x.nothing

    loop = jit.loop(wrong)
    with pytest.raises(numba.core.errors.TypingError):
        loop(2)
    assert not loop._cache._locks
    assert not list(folder.iterdir())


def test_a_process_that_hangs_is_not_waited_for_without_end(folder, monkeypatch):
    monkeypatch.setattr(cache, "LONGEST_WAIT", 0.2)
    assert made() == (3, 0)
    (path,) = folder.iterdir()
    path.unlink()
    with open(path.with_suffix(f"{cache.KERNEL_SUFFIX}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert made() == (3, 0)
    assert path.exists()


def test_without_locks_nobody_waits(folder, monkeypatch):
    monkeypatch.setattr(cache, "fcntl", None)
    assert made() == (3, 0)
    assert made() == (3, 1)

"""What machines do to a process: damaged caches, full disks, Ctrl-C, wrong environments, Python without docstrings."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.kernels.test_threads import WRONG_COUNTS
from tests.properties.test_environment import ROOT, cached, run

# -- the kernels' cache -----------------------------------------------------------------------------------------------

# Three kernels: by addition, by bins, and codes back to numbers; how many of them were found
CASTS = """
    import gc
    import numpy as np
    import fpemu as fe
    from numba.core.dispatcher import Dispatcher
    x = np.array([1.0625, -3.3, 1e9], np.float32)
    codes = [*fe.encode(x, "float8_e4m3fn"), *fe.encode(x, "nf4")]
    codes += fe.decode(np.uint8(codes[:3]), "float8_e4m3fn").view(np.uint32).tolist()
    loops = [each for each in gc.get_objects() if isinstance(each, Dispatcher)]
    print(*codes, sum(sum(loop.stats.cache_hits.values()) for loop in loops))
"""


def casts(**environment):
    """Codes and bits, and how many kernels were found in the cache."""
    *codes, hits = map(int, run(CASTS, **environment).split())
    return codes, hits


def test_a_damaged_cache_is_repaired(tmp_path):
    """In processes of their own: bits that flip in machine code, files that are empty or cut off."""
    right, hits = casts(NUMBA_CACHE_DIR=tmp_path)
    assert hits == 0
    files = cached(tmp_path)
    assert len(files) >= 3
    whole = [path.read_bytes() for path in files]
    code = whole[0].index(b"\x7fELF") if b"\x7fELF" in whole[0] else len(whole[0]) // 2
    flipped = bytes(byte ^ (64 <= place - code < 4096) for place, byte in enumerate(whole[0]))
    for path, content in zip(files, [flipped, b"", *(each[:1000] for each in whole[2:])], strict=True):
        path.write_bytes(content)
    assert casts(NUMBA_CACHE_DIR=tmp_path) == (right, 0)
    assert cached(tmp_path) == files
    assert casts(NUMBA_CACHE_DIR=tmp_path) == (right, len(files))


def test_a_full_disk(tmp_path):
    """No file of more than a kilobyte can be written: every process compiles, and leaves nothing half written."""
    pytest.importorskip("resource")
    limit = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n    "
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))"
    code = f"\n    {limit}\n    import numpy as np, fpemu as fe\n    print(fe.encode(np.float32([2]), 'nf4')[0])"
    assert run(code, NUMBA_CACHE_DIR=tmp_path) == "15"
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


# -- environments -----------------------------------------------------------------------------------------------------


def failed(words, **environment):
    """What a Python process that fails says."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done
    assert not done.stdout
    return done.stderr


def test_a_number_of_threads_that_cannot_be():
    """Refused by the first public name, whatever it is, each time; before any array is large."""
    code = f"""
        import os
        import fpemu
        for wish in {[wish for wish in WRONG_COUNTS if wish.isascii()]!r}:
            os.environ["FPEMU_NUM_THREADS"] = wish
            for _ in range(2):
                for name in ("cast", "finfo", "get_num_threads", "__all__"):
                    try:
                        getattr(fpemu, name)
                    except ValueError as error:
                        assert str(error).startswith("FPEMU_NUM_THREADS must be a whole number, 1 to 4096, not"), error
                    else:
                        raise AssertionError(wish)
        os.environ["FPEMU_NUM_THREADS"] = "3"
        print(fpemu.get_num_threads())
    """
    assert run(code) == "3"


@pytest.mark.parametrize("words", ["formats", "info int8", "--version", "--help", "cast --help"])
def test_commands_with_a_number_of_threads_that_cannot_be(words):
    said = failed(["-m", "fpemu", *words.split()], FPEMU_NUM_THREADS="0")
    assert said == (
        "fpemu: error: FPEMU_NUM_THREADS must be a whole number, 1 to 4096, not '0'; unset, it means all CPUs\n"
    )


def test_numba_told_not_to_compile():
    """One clear sentence, where something is computed; what computes nothing works."""
    sentence = "fpemu computes with code that numba compiles, and NUMBA_DISABLE_JIT=1 says not to compile: unset it"
    said = failed(["-c", "import fpemu as fe; fe.finfo('bfloat16'); fe.cast(0.1, 'bfloat16')"], NUMBA_DISABLE_JIT="1")
    assert said.splitlines()[-1] == f"ImportError: {sentence}"
    command = ["-m", "fpemu", "inspect", "0.1", "-f", "bfloat16"]
    assert failed(command, NUMBA_DISABLE_JIT="1") == f"fpemu: error: {sentence}\n"


# -- Python without docstrings and assertions ------------------------------------------------------------------------

WITHOUT = """
import importlib, pkgutil, sys
import numpy as np
import fpemu as fe

assert False, "runs as it would without -OO"
x = np.float32([1.1, 2, 3])
found = [fe.encode(x, "bfloat16"), fe.add(x, x, result="bfloat16"), fe.less(x, 2), fe.sum(x, result="bfloat16")]
found += [fe.exp(fe.array(x, "bfloat16")).codes, (fe.array(x, "bfloat16") * 2).codes, fe.sqrt(x, result="bfloat16")]
print(len(found), [int(code) for code in found[0]], found[1].tolist(), found[2].tolist(), float(found[3]))
print(all(hasattr(fe, name) for name in fe.__all__), fe.cores.add.__doc__ or None, fe.add.__doc__ or None)
for module in pkgutil.walk_packages(fe.__path__, "fpemu."):
    if module.name.rpartition(".")[2] not in ("__main__", "train"):
        importlib.import_module(module.name)
"""


@pytest.mark.parametrize("level", ["-OO"])
def test_python_without_docstrings(level):
    command = [sys.executable, level, "-c", WITHOUT]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "7 [16269, 16384, 16448] [2.203125, 4.0, 6.0] [True, False, False] 6.09375",
        "True None None",
    ]
    for words in ("--help", "cast --help", "info bfloat16", "inspect 0.1 -f bfloat16", "calc 1+2 -f bfloat16"):
        command = [sys.executable, level, "-m", "fpemu", *words.split()]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout


# -- Ctrl-C -----------------------------------------------------------------------------------------------------------

INTERRUPTED = """
    import os, signal, threading, time
    import numpy as np
    import fpemu as fe
    from fpemu.kernels import threads

    threads.CHUNK = 20_000
    fe.set_num_threads(3)
    x = np.full(30_000_000, 1.5, np.float32)
    out = np.full(x.size, 0xEE, np.uint8)
    rounding = fe.Stochastic("C", 9)
    fe.encode(x[:2], "float8_e4m3fn", rounding=rounding, rng=1)

    def press():
        while out[0] == 0xEE:
            time.sleep(0.0002)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press).start()
    try:
        fe.encode(x, "float8_e4m3fn", rounding=rounding, rng=1, out=out)
    except KeyboardInterrupt:
        before = out.copy()
        time.sleep(0.3)
        print((before == out).all(), (before == 0xEE).any(), (before != 0xEE).any())
    print(fe.encode(x[:100_000], "float8_e4m3fn", rounding=rounding, rng=1).size)  # the pool works again
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_an_interrupt_stops_the_pieces():
    """After KeyboardInterrupt nothing is written to `out`."""
    assert run(INTERRUPTED).split() == ["True", "True", "True", "100000"]

"""`fpemu.cores` from outside: when it is loaded, what it refuses, and numba's cache of users' own loops."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import fpemu as fe
from fpemu.kernels import cache
from tests.properties.test_environment import ROOT, run


def test_loaded_when_asked_for():
    code = """
        import sys, fpemu
        before = "numba" in sys.modules
        from fpemu import cores
        print(before, "numba" in sys.modules, fpemu.cores is cores)
    """
    assert run(code) == "False True True"
    with pytest.raises(AttributeError, match="no attribute 'core'"):
        _ = fe.core


def test_rules():
    """One length for all; what steps cannot do is refused."""
    lengths = {len(fe.cores.rules(fmt)) for fmt in fe.dtypes() if not isinstance(fmt, fe.TableFormat)}
    assert len(lengths) == 1
    assert fe.cores.rules("float16") != fe.cores.rules("float16", rounding="to_odd")
    assert fe.cores.rules("float16", profile="ieee") == fe.cores.rules("float16")
    ieee = fe.profile("ieee")
    for profile, match in ((ieee.replace(through="float32"), "twice"), (ieee.replace(nan="error"), "invalid")):
        with pytest.raises(ValueError, match=match):
            fe.cores.rules("float16", profile)
    with pytest.raises(ValueError, match="no codebooks"):
        fe.cores.rules("nf4")


def test_what_has_no_file_is_compiled_all_the_same():
    names = {"fe": fe}
    exec("@fe.cores.njit\ndef twice(x):\n    return 2 * x", names)
    assert names["twice"](4) == 8
    assert fe.cores.cache_folder() == cache.folder
    assert cache.digest() == fe.cores.DIGEST


def test_keys():
    assert fe.cores.key(3) == fe.cores.key(np.random.default_rng(3)) != fe.cores.key()
    with pytest.raises(TypeError, match="must be None, an int"):
        fe.cores.key("3")
    with pytest.raises(ValueError, match="not be negative"):
        fe.cores.key(-3)


USERS = """
import os
import numba
import fpemu as fe

FMT = fe.dtype(os.environ.get("FORMAT", "float8_e4m3fn"))
SPEC, RULES = FMT.spec, fe.cores.rules(FMT)

@numba.njit(cache=True)
def by_numba(x):
    return fe.cores.from_float(x, SPEC, RULES)

@fe.cores.njit
def by_cores(x):
    return fe.cores.from_float(x, SPEC, RULES)

numba.config.CACHE_DIR = fe.cores.cache_folder()

@numba.njit(cache=True)
def by_folder(x):
    return fe.cores.from_float(x, SPEC, RULES)

def frozen(spec, rules):
    @fe.cores.njit
    def by_closure(x):
        return fe.cores.from_float(x, spec, rules)
    return by_closure

by_closure = frozen(SPEC, RULES)
"""
CALL = """
    import users_loops, fpemu
    loops = users_loops.by_numba, users_loops.by_cores, users_loops.by_folder, users_loops.by_closure
    codes = [int(loop(1.0625)) for loop in loops]
    print(fpemu.__file__, *codes, sum(sum(loop.stats.cache_hits.values()) for loop in loops))
"""


def test_users_cached_loops_after_an_upgrade(tmp_path):
    """With numba's own cache the old bits; `njit` and `cache_folder` find what is new, and else what is kept.

    numba freezes a global into what it keeps, so that its next value counts for nothing; with `njit` it counts.
    """
    shutil.copytree(ROOT / "fpemu", tmp_path / "fpemu", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "users_loops.py").write_text(USERS)

    def codes(**environment):
        file, *found = run(CALL, tmp_path, **environment).split()
        assert Path(file).parents[1] == tmp_path
        return [int(code) for code in found]

    assert codes() == [0x38, 0x38, 0x38, 0x38, 0]
    assert codes() == [0x38, 0x38, 0x38, 0x38, 4]
    assert codes(FORMAT="float8_e5m2") == [0x38, 0x3C, 0x38, 0x3C, 2]
    rounding = tmp_path / "fpemu" / "kernels" / "scalar" / "rounding.py"
    before, after = "rounding == NEAREST_EVEN and odd", "rounding == NEAREST_EVEN and not odd"
    assert before in rounding.read_text()
    rounding.write_text(rounding.read_text().replace(before, after))
    assert codes() == [0x38, 0x39, 0x39, 0x39, 1]


SIMULATED = """
    import numpy as np
    import fpemu as fe
    from numba import cuda

    fmt = fe.dtype("float8_e4m3fn")
    rules = fe.cores.rules(fmt)

    @cuda.jit
    def product(x, y, out):
        i = cuda.grid(1)
        if i < x.size:
            out[i] = fe.cores.multiply(x[i], y[i], fmt.spec, rules)

    x, y = fe.array([1.5, 448.0, 0.1], fmt), fe.array([1.25, 2.0, -3.0], fmt)
    out = np.zeros(3, np.uint8)
    product[1, 4](x.codes, y.codes, out)
    print(out.tolist() == fe.multiply(x, y).codes.tolist())
"""


@pytest.mark.skipif(importlib.util.find_spec("numba.cuda") is None, reason="numba without its CUDA simulator")
def test_in_the_cuda_simulator():
    kept = {name: folder for name, folder in os.environ.items() if name == "NUMBA_CACHE_DIR"}
    assert run(SIMULATED, NUMBA_ENABLE_CUDASIM="1", **kept) == "True"

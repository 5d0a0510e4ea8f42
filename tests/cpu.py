"""The CPU's own arithmetic with its flags: tests/cpu.c, compiled with the machine's C compiler."""

from __future__ import annotations

import ctypes
import functools
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
MACHINE = platform.machine().lower()
X86 = MACHINE in ("x86_64", "amd64")
ARM = MACHINE in ("aarch64", "arm64")
OPERATIONS = ("add", "subtract", "multiply", "divide", "fma", "sqrt")
MODES = ("nearest_even", "toward_zero", "toward_positive", "toward_negative")


@functools.cache
def library():
    """The compiled functions."""
    with tempfile.TemporaryDirectory(prefix="fpemu-cpu-") as folder:
        path = Path(folder, "cpu.so")
        options = ["-O1", "-frounding-math", "-ffp-contract=off", "-fno-builtin", "-shared", "-fPIC"]
        command = [COMPILER, *options, "-o", path, Path(__file__).with_name("cpu.c"), "-lm"]
        subprocess.run(command, check=True, capture_output=True, text=True)
        return ctypes.CDLL(str(path))


def operate(operation, mode, operands):
    """Results (floats of the operands' dtype) and flags."""
    x, y, z = ([np.ascontiguousarray(part) for part in operands] * 3)[:3]
    out, flags = np.empty_like(x), np.empty(x.size, np.uint8)
    arrays = [array.ctypes.data_as(ctypes.c_void_p) for array in (x, y, z, out, flags)]
    function = getattr(library(), f"operate_{x.dtype.name}")
    function(OPERATIONS.index(operation), MODES.index(mode), ctypes.c_size_t(x.size), *arrays)
    return out, flags

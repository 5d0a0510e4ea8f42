"""The CPU's own arithmetic with its flags: tests/oracle/cpu.c, compiled with the machine's C compiler."""

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
COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
MODES = ("nearest_even", "toward_zero", "toward_positive", "toward_negative")
# x86-64: pairs of formats that an instruction converts between, rounding as the mode says
CONVERSIONS = (
    *(("float64", "float32"), ("float32", "float64"), ("float32", "float16"), ("float16", "float32")),
    *(("float32", "int32"), ("float32", "int64"), ("float64", "int32"), ("float64", "int64")),
    *(("int32", "float32"), ("int64", "float64")),
)


@functools.cache
def library():
    """The compiled functions."""
    with tempfile.TemporaryDirectory(prefix="fpemu-cpu-") as folder:
        path = Path(folder, "cpu.so")
        options = ["-O1", "-frounding-math", "-ffp-contract=off", "-fno-builtin", "-shared", "-fPIC"]
        command = [COMPILER, *options, "-o", path, Path(__file__).with_name("cpu.c"), "-lm"]
        subprocess.run(command, check=True, capture_output=True, text=True)
        return ctypes.CDLL(str(path))


def has(extension):
    """Whether an x86-64 CPU has "half" (F16C and SSE4.1) or "fma" (FMA3)."""
    return bool(getattr(library(), f"has_{extension}")())


def operate(operation, mode, operands, flush=False):
    """Results (floats of the operands' dtype) and flags; `flush`, on x86-64: with MXCSR's FTZ and DAZ set."""
    x, y, z = ([np.ascontiguousarray(part) for part in operands] * 3)[:3]
    which = OPERATIONS.index(operation), MODES.index(mode), int(flush)
    return _called(f"operate_{x.dtype.name}", which, (x, y, z), x.dtype)


def compare(comparison, operands, flush=False):
    """What a comparison answers, and flags."""
    x, y = (np.ascontiguousarray(part) for part in operands)
    return _called(f"compare_{x.dtype.name}", (COMPARISONS.index(comparison), 0, int(flush)), (x, y), np.dtype(bool))


def extremum(operation, operands, flush=False):
    """What MINSS and its kind give for "minimum" and "maximum", and flags; on x86-64."""
    x, y = (np.ascontiguousarray(part) for part in operands)
    which = int(operation == "maximum"), 0, int(flush)
    return _called(f"extremum_{x.dtype.name}", which, (x, y), x.dtype)


def convert(target, mode, x, flush=False):
    """Numbers of one dtype in another, and flags; on x86-64."""
    dtype = np.dtype(target)
    return _called(f"convert_{x.dtype.name}_{target}", (MODES.index(mode), int(flush)), (x,), dtype)


def round_to_integral(mode, x, flush=False):
    """Numbers rounded to integers, and flags; on x86-64."""
    return _called(f"integral_{x.dtype.name}", (MODES.index(mode), int(flush)), (x,), x.dtype)


def _called(name, which, operands, dtype):
    """What a function of the library gives for arrays."""
    out, flags = np.empty(operands[0].size, dtype), np.empty(operands[0].size, np.uint8)
    arrays = [array.ctypes.data_as(ctypes.c_void_p) for array in (*operands, out, flags)]
    getattr(library(), name)(*which, ctypes.c_size_t(out.size), *arrays)
    return out, flags

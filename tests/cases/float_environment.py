"""The FPU's modes that other libraries may change: rounding, flush to zero, denormals are zero (x86-64 Linux)."""

from __future__ import annotations

import contextlib
import ctypes
import platform
import sys

import pytest

needed = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="sets MXCSR through x86-64 glibc"
)
# bits of MXCSR to set; the x87 unit's rounding goes with the first three
CHANGED = {
    "toward_negative": 0x2000,
    "toward_positive": 0x4000,
    "toward_zero": 0x6000,
    "flush_to_zero": 0x8000,
    "denormals_are_zero": 0x0040,
    "both": 0x8040,
    "both_toward_zero": 0xE040,
}
_X87_CONTROL, _MXCSR, _SIZE = 0, 28, 32  # places in glibc's fenv_t


def _word(buffer, place):
    return ctypes.c_uint32.from_buffer(buffer, place)


@contextlib.contextmanager
def changed(name):
    """Change this thread's modes, and restore them afterwards."""
    libm = ctypes.CDLL("libm.so.6")
    before, after = ctypes.create_string_buffer(_SIZE), ctypes.create_string_buffer(_SIZE)
    libm.fegetenv(before)
    libm.fegetenv(after)
    bits = CHANGED[name]
    _word(after, _MXCSR).value |= bits
    _word(after, _X87_CONTROL).value |= (bits & 0x6000) >> 3
    libm.fesetenv(after)
    try:
        yield
    finally:
        libm.fesetenv(before)

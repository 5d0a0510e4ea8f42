"""Decorators that compile kernels: `core` for scalar functions, `loop` for array loops, cached on disk."""

import numba

from fpemu.kernels.cache import LoopCache, folder

if numba.config.DISABLE_JIT:
    raise ImportError(
        "fpemu computes with code that numba compiles, and NUMBA_DISABLE_JIT=1 says not to compile: unset it"
    )

core = numba.njit(nogil=True, forceinline=True)


def loop(function):
    """Compile an array loop on its first call, without the GIL, cached on disk if possible."""
    compiled = numba.njit(nogil=True)(function)
    if folder is not None:
        LoopCache(function, folder).attach(compiled)
    return compiled

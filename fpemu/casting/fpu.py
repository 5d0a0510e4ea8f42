"""A test of the FPU's modes, which any code in the process may change."""

from __future__ import annotations

import numpy as np

# 1, 2^-24, 1 + 2^-23, 1 + 2^-22, the smallest normal, 0.5, 2
FPU_PROBE = np.array([1, 2**-24, 1 + 2**-23, 1 + 2**-22, 2**-126, 0.5, 2], np.float32)


def fpu_is_fit() -> bool:
    """Whether the FPU is in IEEE 754's default modes."""
    from fpemu.kernels.cpu.float_environment import fpu_is_standard

    return bool(fpu_is_standard(FPU_PROBE))

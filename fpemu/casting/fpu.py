"""Whether the FPU rounds as IEEE 754 has it by default: its modes belong to the process, which may change them."""

from __future__ import annotations

import numpy as np

# 1, 2^-24, 1 + 2^-23, 1 + 2^-22, the smallest normal, 0.5, 2
FPU_PROBE = np.array([1, 2**-24, 1 + 2**-23, 1 + 2**-22, 2**-126, 0.5, 2], np.float32)


def fpu_is_fit() -> bool:
    """Whether the FPU rounds as IEEE 754 has it by default."""
    from fpemu.kernels.cpu.float_environment import fpu_is_standard

    return bool(fpu_is_standard(FPU_PROBE))

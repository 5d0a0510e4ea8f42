"""Float32 and float64 as the CPU computes them: codes, NaN results too, and flags, in its four modes."""

from __future__ import annotations

import numpy as np
import pytest

import fpemu as fe
from tests.oracle import cpu
from tests.proofs.triples import draw

pytestmark = pytest.mark.skipif(
    cpu.COMPILER is None or not (cpu.X86 or cpu.ARM), reason="needs a C compiler and an x86-64 or 64-bit Arm CPU"
)
PROFILE = fe.profile("arm" if cpu.ARM else "x86-sse")


@pytest.mark.parametrize("operation", cpu.OPERATIONS)
@pytest.mark.parametrize("name", ["float32", "float64"])
def test_the_fpu(name, operation):
    """50,000 draws, the same in each mode."""
    fmt = fe.dtype(name)
    codes = [part.astype(fmt.code_dtype) for part in draw(operation, name, 50_000, np.random.default_rng(9))]
    reals = [part.view(name) for part in codes]
    rules = PROFILE.replace(fma_invalid="quiet") if cpu.X86 else PROFILE  # FMA3's; see docs/reference/arithmetic.md
    for mode in cpu.MODES:
        theirs, flags = cpu.operate(operation, mode, reals)
        ours, raised = getattr(fe, operation)(
            *(fe.Array(part, fmt) for part in codes), profile=rules, rounding=mode, return_flags=True
        )
        found, expected = ours.codes, theirs.view(fmt.code_dtype)
        differ = found != expected
        if operation == "fma":  # x y is y x to the compiler; Arm takes the addend first, which no knob says
            both = np.isnan(reals[0]) & np.isnan(reals[1])
            differ &= ~(np.isnan(ours.values) & np.isnan(theirs) & (both | cpu.ARM))
        wrong = np.flatnonzero(differ | (raised.bits != flags))
        rows = [[hex(part[i]) for part in (*codes, found, expected)] + [raised.bits[i], flags[i]] for i in wrong[:5]]
        assert not wrong.size, (mode, wrong.size, rows)

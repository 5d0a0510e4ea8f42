"""The scalar cores compiled for a GPU against the array operations: `python -m tests.proofs.cuda_cores`.

Needs an NVIDIA GPU and numba-cuda; the gate has neither and runs the cores in numba's simulator instead
(tests/kernels/test_cores.py).
"""

from __future__ import annotations

import sys

import numpy as np

import fpemu as fe

OPERATIONS = {"add": 2, "subtract": 2, "multiply": 2, "divide": 2, "fma": 3, "sqrt": 1}
FORMATS = ("float8_e4m3fn", "bfloat16", "float32")
ROUNDINGS = ("nearest_even", "toward_zero", "toward_positive")
DRAWS = 1 << 20


def kernel(cuda, name):
    """A CUDA kernel of an operation."""
    core, arity = getattr(fe.cores, name), OPERATIONS[name]

    @cuda.jit
    def compute(x, y, z, spec, rules, out):
        i = cuda.grid(1)
        if i < out.size:
            if arity == 1:
                out[i] = core(x[i], spec, rules)
            elif arity == 2:
                out[i] = core(x[i], y[i], spec, rules)
            else:
                out[i] = core(x[i], y[i], z[i], spec, rules)

    return compute


def main() -> int:
    """Compare; the number of results that differ."""
    if not hasattr(np, "row_stack"):  # numba 0.68's own list of numpy's functions has it, numpy 2.5 has not
        np.vstack = np.vstack
    from numba import cuda

    device = cuda.get_current_device()
    print(device.name.decode() if isinstance(device.name, bytes) else device.name)
    draw, wrong, total = np.random.default_rng(7), 0, 0
    for name, arity in OPERATIONS.items():
        compute = kernel(cuda, name)
        for word in FORMATS:
            fmt = fe.dtype(word)
            codes = [draw.integers(0, fmt.code_count, DRAWS).astype(fmt.code_dtype) for _ in "xyz"]
            if fmt.bits == 8 and arity == 2:
                codes[:2] = (part.astype(fmt.code_dtype) for part in np.divmod(np.arange(DRAWS) % (1 << 16), 256))
            given = [cuda.to_device(part) for part in codes]
            for rounding in ROUNDINGS:
                out = cuda.device_array(DRAWS, fmt.code_dtype)
                compute[-(-DRAWS // 256), 256](*given, fmt.spec, fe.cores.rules(fmt, rounding=rounding), out)
                want = getattr(fe, name)(*(fe.Array(part, fmt) for part in codes[:arity]), rounding=rounding)
                differ = int(np.count_nonzero(out.copy_to_host() != want.codes))
                wrong, total = wrong + differ, total + DRAWS
                print(f"{name:<9} {word:<14} {rounding:<16} {DRAWS:>10,} results, {differ:,} differ", flush=True)
    print(f"{total:,} results, {wrong:,} differ")
    return wrong


if __name__ == "__main__":
    sys.exit(main() > 0)

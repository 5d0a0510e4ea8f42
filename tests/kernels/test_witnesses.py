"""Operations as apytypes computes them, in its nine rounding modes."""

from __future__ import annotations

import operator

import numpy as np
import pytest

import fpemu as fe
from tests.kernels.test_arithmetic import pairs
from tests.peers.calls import APYTYPES_MODES
from tests.proofs.triples import draw

apytypes = pytest.importorskip("apytypes", reason="needs apytypes, of the extra `test`")

OPERATIONS = {"add": operator.add, "subtract": operator.sub, "multiply": operator.mul, "divide": operator.truediv}
FORMATS = ["float8_e5m2", "float8_e4m3", "float8_e3m4", "float16", "bfloat16", "tfloat32", "float32", "float64"]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("name", FORMATS)
def test_apytypes(name, operation):
    """Every pair of 8 bits, 20,000 draws of others; NaN as a class."""
    fmt = fe.dtype(name)
    codes = pairs(fmt) if fmt.bits == 8 else draw(operation, name, 20_000, np.random.default_rng(4))
    arrays = [fe.Array(part.astype(fmt.code_dtype), fmt) for part in codes]
    split = fmt.bits - fmt.precision, fmt.precision - 1
    theirs = [apytypes.APyFloatArray.from_bits(part.codes.tolist(), *split) for part in arrays]
    for mode, word in APYTYPES_MODES.items():
        with apytypes.APyFloatQuantizationContext(quantization=getattr(apytypes.QuantizationMode, word)):
            expected = np.array(OPERATIONS[operation](*theirs).to_bits(), np.uint64)
        found = getattr(fe, operation)(*arrays, rounding=mode).codes.astype(np.uint64)
        both_nan = [part & np.uint64(fmt.sign_mask - 1) > np.uint64(fmt.infinity_code) for part in (found, expected)]
        wrong = np.flatnonzero((found != expected) & ~(both_nan[0] & both_nan[1]))
        rows = [[hex(part[i]) for part in (*codes, found, expected)] for i in wrong[:5]]
        assert not wrong.size, (mode, wrong.size, rows)

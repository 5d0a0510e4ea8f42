"""Answers compared with recorded ones: what is shared by the specification's tests and by fpemu's."""

import collections
import math

import numpy as np

RANGES = {"int8": (-128, 127), "uint8": (0, 255), "int4": (-8, 7), "uint4": (0, 15)}
EPS = {"eps": lambda kind: 2.0**-23, "tiny": lambda kind: 2.0**-14 if kind == "float16" else 2.0**-126}

# Rows in which a library differs from its definition in tests/oracle/spec_scaled.py, all its sources together.
DIFFERENCES = {
    "torchao": {"rceil: ceil(log2(x)) in float32": 7, "power of two: floor(log2(x)) in float32": 2},
    "torch": {},
    "onnx": {},
    "onnxruntime": {"no saturation: another code beyond the largest number": 6},
    "bitsandbytes": {},
    "gguf": {
        "d or 1 / d is infinite: undefined in C": 184,
        "infinities and NaN: undefined in C": 60,
        "zeros of both signs: which of them is smallest": 2,
    },
}


def same(ours, theirs):
    """Equal numbers, zeros' signs and all, or both NaN."""
    both_nan = ours != ours and theirs != theirs
    return both_nan or (ours == theirs and math.copysign(1, ours) == math.copysign(1, theirs))


def signed(codes, low, bits=8):
    """Codes as integers: two's complement of these bits if the range has a sign."""
    codes = codes.astype(np.int64)
    return np.where(codes >> (bits - 1), codes - (1 << bits), codes) if low < 0 else codes


def alike(ours, theirs, element, plain_nans=None):
    """The same codes, but for the sign of NaN, which is the machine's; without a NaN, None stands for some codes."""
    mask = (1 << (element.bits - 1)) - 1
    return all(
        a == b if a is not None and a & mask != element.nan else b & mask in (plain_nans if a is None else {a & mask})
        for a, b in zip(ours, theirs, strict=True)
    )


class Comparison:
    """The rows of one recorded answer, compared one by one."""

    def __init__(self, found):
        self.found = found
        self.words = found.scheme
        self.differences = collections.Counter()
        self.rows = 0

    def row(self, what, agree, reason=None):
        """Count a row that differs under its reason; without one it fails."""
        self.rows += 1
        if agree:
            return
        assert reason, f"{self.words}, row {what}"
        self.differences[reason] += 1


def just_above(x):
    """Whether x lies so little above a power of two that float32's log2 does not see it."""
    return 1 < math.frexp(x)[0] * 2 < 1 + 2**-15

"""A little of torch, made of numpy and ml_dtypes: what `fpemu probe`'s script asks of it, for tests without torch.

Copied to a folder as `torch/__init__.py`.  It casts to all but float16, and lacks float8_e8m0fnu.
"""

import os

import ml_dtypes
import numpy as np

__version__ = "0.1+stub"
ACCELERATOR = os.environ.get("STUB_ACCELERATOR")

uint8, int16, int32, int64 = map(np.dtype, ("uint8", "int16", "int32", "int64"))
float16, float32, float64 = map(np.dtype, ("float16", "float32", "float64"))
bfloat16, float8_e4m3fn, float8_e5m2 = map(
    np.dtype, (ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2)
)


class accelerator:  # noqa: N801 (torch's name)
    is_available = staticmethod(lambda: ACCELERATOR is not None)
    current_accelerator = staticmethod(lambda: ACCELERATOR)


class device:  # noqa: N801
    def __init__(self, name):
        if name not in ("cpu", "stub"):
            raise RuntimeError(f"no stub of {name}\nand more")
        self.type = name

    def __str__(self):
        return self.type


class stub:  # noqa: N801
    get_device_name = staticmethod(lambda device: "A Stub")
    get_device_capability = staticmethod(lambda device: (9, 0))


class Tensor:
    def __init__(self, array):
        self.array = array
        self.dtype, self.shape = array.dtype, array.shape

    def element_size(self):
        return self.dtype.itemsize

    def to(self, target):
        if isinstance(target, device):
            return self
        if target == float16:
            raise RuntimeError('"copy_" not implemented for Half\nand more')
        with np.errstate(all="ignore"):
            return Tensor(self.array.astype(target))

    def view(self, kind):
        return Tensor(self.array.view(kind))

    def cpu(self):
        return self

    def tolist(self):
        return self.array.tolist()


def frombuffer(raw, dtype):
    return Tensor(np.frombuffer(raw, dtype))


def empty(count, dtype):
    return Tensor(np.empty(count, dtype))


zeros = empty


def add(x, y):
    with np.errstate(all="ignore"):
        return Tensor(x.array + y.array)


def exp(x):
    return x.to(float32)


def tanh(x):
    raise KeyboardInterrupt

"""Facts about this machine (versions, the kernel cache, FPU modes) and checks of its results by digest."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fpemu import arithmetic
from fpemu.arithmetic.elementary import functions
from fpemu.arrays import Array
from fpemu.casting import cast, decode, encode, get_num_threads
from fpemu.formats import dtype
from fpemu.formats.rules import Rounding, Stochastic
from fpemu.kernels.threads import available_cpus
from fpemu.quantization import quantize
from fpemu.version import __version__

__all__ = ["Cache", "Check", "checks", "fpu_modes", "kernel_cache", "thread_counts", "versions"]

PACKAGES = ("numpy", "numba", "llvmlite", "typer", "rich", "ml_dtypes")

_CAST_FORMATS = (
    *("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu", "float6_e2m3fn", "float4_e2m1fn"),
    *("int8", "uint4", "q3.12", "binary8p3sf"),
)
_FLOAT_FORMATS = ("float8_e4m3fn", "bfloat16", "float32", "float64")
_CONVENTIONS = ("ieee", "riscv", "x86-sse", "arm")


class Cache(NamedTuple):
    """The folder of compiled kernels (None if none is writable), their number and their size in bytes."""

    folder: Path | None
    kernels: int
    size: int


class Check(NamedTuple):
    """A check: its name, the number of results, and the problem, or None."""

    name: str
    results: int
    problem: str | None


def versions() -> dict[str, str]:
    """Return the versions of fpemu, Python and the packages that fpemu uses.

    Returns
    -------
    dict of str to str
        "-" for a package that is not installed.

    Examples
    --------
    >>> from fpemu.verification.machine import versions
    >>> list(versions())[:3]
    ['fpemu', 'python', 'numpy']
    """
    system = f"{platform.python_implementation()}, {platform.system()} {platform.machine()}"
    python = f"{platform.python_version()} ({system})"
    return {"fpemu": __version__, "python": python, **{name: _package_version(name) for name in PACKAGES}}


def _package_version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "-"


def thread_counts() -> tuple[int, int]:
    """Return the number of threads in use, and the number of CPUs available to the process.

    Returns
    -------
    tuple of int
    """
    return get_num_threads(), available_cpus()


def kernel_cache() -> Cache:
    """Return the folder, number and size of the compiled kernels.

    Returns
    -------
    Cache
    """
    from fpemu.kernels import cache

    if cache.folder is None:
        return Cache(None, 0, 0)
    sizes = []
    for path in Path(cache.folder).glob(f"*{cache.KERNEL_SUFFIX}"):
        with contextlib.suppress(OSError):  # another process removed it
            sizes.append(path.stat().st_size)
    return Cache(Path(cache.folder), len(sizes), sum(sizes))


def fpu_modes() -> list[str]:
    """Return the FPU's modes in this thread, in words; fpemu's results do not depend on them.

    Returns
    -------
    list of str
        The rounding, and the treatment of subnormal numbers.

    Examples
    --------
    >>> from fpemu.verification.machine import fpu_modes
    >>> fpu_modes()
    ['rounds to nearest even', 'keeps subnormal numbers']
    """
    one, little, more = np.ldexp(np.ones(3), [0, -54, -52]) * np.array([1, 1, 0.75])  # read at run time, not folded
    if one + little > one:
        rounding = "rounds toward positive"
    elif -one - little < -one:
        rounding = "rounds toward negative"
    else:
        rounding = "rounds to nearest even" if one + more > one else "rounds toward zero"
    smallest = np.array([1 << 52, 1], np.uint64).view(np.float64)  # the smallest normal and subnormal number
    flushed = [] if (smallest[:1] * 0.5).view(np.uint64)[0] else ["flushes subnormal results to zero"]
    flushed += [] if (smallest[1:] * 2.0**1000).view(np.uint64)[0] else ["takes subnormal operands for zero"]
    return [rounding, *(flushed or ["keeps subnormal numbers"])]


def checks() -> Iterator[Check]:
    """Compute a corpus of casts and operations, and check its results by their digests.

    Returns
    -------
    iterator of Check
        Each check as soon as it is finished.

    Raises
    ------
    ImportError
        If the kernels do not load.

    Examples
    --------
    >>> from fpemu.verification.machine import checks
    >>> next(iter(checks())).problem
    """
    for name, (compute, right) in CORPUS.items():
        total, count = hashlib.sha256(), 0
        try:
            for array in compute():
                bits = np.ascontiguousarray(array).reshape(-1)
                bits = bits.view(f"u{bits.itemsize}")
                total.update(bits.astype(bits.dtype.newbyteorder("<"), copy=False).tobytes())
                count += bits.size
        except ImportError:  # numba does not load or may not compile: no check can run
            raise
        except Exception as error:  # a broken installation may raise anything
            yield Check(name, count, f"{type(error).__name__}: {error}")
            continue
        digest = total.hexdigest()[:16]
        yield Check(name, count, None if digest == right else f"digest {digest}, right {right}")


def _random_integers(label: str, kind: str, count: int) -> NDArray[Any]:
    """Integers from SHAKE-256 of a label, the same on every machine."""
    integers = np.dtype(kind).newbyteorder("<")
    drawn = np.frombuffer(hashlib.shake_256(label.encode()).digest(count * integers.itemsize), integers)
    return drawn.astype(integers.newbyteorder("="))


def _random_floats(label: str, bits: int, count: int) -> NDArray[Any]:
    """Floats: half with random bits, half with moderate exponents, as else most results would be special."""
    drawn = _random_integers(label, f"u{bits // 8}", count)
    digits = {16: 10, 32: 23, 64: 52}[bits]
    bias = (1 << (bits - digits - 2)) - 1
    fractions = drawn[::2] & np.asarray(1 << (bits - 1) | (1 << digits) - 1, drawn.dtype)
    exponents = np.asarray(bias - 8, drawn.dtype) + _random_integers(f"{label}, exponents", "u1", fractions.size) % 16
    drawn[::2] = fractions | exponents.astype(drawn.dtype) << np.asarray(digits, drawn.dtype)
    return drawn.view(f"f{bits // 8}")


def _random_codes(label: str, fmt: str, count: int) -> Array:
    bits = dtype(fmt).bits
    if fmt in ("float16", "float32", "float64"):
        return Array.from_codes(_random_floats(label, bits, count).view(f"u{bits // 8}"), fmt)
    return Array.from_codes(_random_integers(label, f"u{bits // 8}", count), fmt)


def _cast_results() -> Iterator[Any]:
    """Results of casts; from float32 and float64 few, because a cold cache must compile a fast loop for each."""
    x = _random_floats("casts", 32, 2048)
    for fmt in _CAST_FORMATS:
        yield encode(x, fmt)
    for fmt in ("nf4", "tfloat32"):
        yield cast(x, fmt)
    yield encode(x, "float8_e4m3fn", rounding="toward_zero")
    yield encode(_random_floats("casts", 64, 2048), "bfloat16")
    half = _random_floats("casts", 16, 2048)
    for fmt in _CAST_FORMATS:
        for mode in Rounding:
            yield encode(half, fmt, rounding=mode)
    for kind in ("i1", "i4", "u8", "i8"):
        yield encode(_random_integers("integers", kind, 2048), "bfloat16")


def _stochastic_casts() -> Iterator[Any]:
    x = _random_floats("random", 32, 2048)
    for variant, bits in (("A", 9), ("B", 16), ("C", 32)):
        drawn = _random_integers("random bits", "u4", x.size) >> np.uint32(32 - bits)
        for fmt in ("float8_e4m3fn", "bfloat16", "int8"):
            yield encode(x, fmt, rounding=Stochastic(variant, bits), random_bits=drawn)


def _decoded() -> Iterator[Any]:
    for fmt in ("float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu", "float4_e2m1fn", "int8", "nf4", "binary8p3sf"):
        yield decode(np.arange(dtype(fmt).code_count, dtype=dtype(fmt).code_dtype), fmt)
    for fmt in ("float16", "bfloat16", "q3.12"):
        yield decode(np.arange(1 << 16, dtype=np.uint16), fmt)


def _operations() -> Iterator[Any]:
    """Results and flags: all roundings in one format, all conventions for NaN in all formats."""
    binary = (arithmetic.add, arithmetic.multiply, arithmetic.divide)
    for fmt in _FLOAT_FORMATS:
        x, y, z = (_random_codes(f"operand {name}", fmt, 512) for name in "xyz")
        for convention in _CONVENTIONS:
            for operation in (*binary, arithmetic.minimum):
                yield from _codes_and_flags(operation(x, y, profile=convention, return_flags=True))
            yield from _codes_and_flags(arithmetic.fma(x, y, z, profile=convention, return_flags=True))
            yield from _codes_and_flags(arithmetic.sqrt(x, profile=convention, return_flags=True))
        yield from _codes_and_flags(arithmetic.round_to_integral(x, return_flags=True))
        yield from _codes_and_flags(arithmetic.less(x, y, return_flags=True))
    x, y = (_random_codes(f"operand {name}", "bfloat16", 512) for name in "xy")
    for mode in Rounding:
        for operation in binary:
            yield from _codes_and_flags(operation(x, y, rounding=mode, return_flags=True))


def _codes_and_flags(returned: Any) -> Iterator[Any]:
    result, flags = returned
    yield result.codes if isinstance(result, Array) else result
    yield flags.bits


def _elementary_functions() -> Iterator[Any]:
    for fmt in ("float8_e4m3fn", "float8_e5m2"):
        x = Array.from_codes(np.arange(256, dtype=np.uint8), fmt)
        for name in ("exp", "log2", "sin", "tanh", "erf", "rsqrt"):
            yield getattr(functions, name)(x).codes


def _sums() -> Iterator[Any]:
    for fmt in ("bfloat16", "float8_e4m3fn"):
        x = Array.from_codes(encode(_random_floats("sums", 32, 8192)[::2].reshape(64, 64), fmt), fmt)
        yield arithmetic.sum(x, axis=1, result="float32").codes
        yield arithmetic.sum(x, axis=1, result="float32", accumulate="float16").codes
        yield arithmetic.cumsum(x, axis=1, result="bfloat16").codes


def _quantized() -> Iterator[Any]:
    x = _random_floats("blocks", 32, 8192)[::2].reshape(16, 256)
    for scheme in ("mxfp4", "mxfp8_e4m3", "nvfp4", "nf4_64"):
        quantized = quantize(x, scheme)
        yield quantized.codes
        yield quantized.scales


def _threads() -> Iterator[Any]:
    x = np.tile(_random_floats("threads", 32, 1 << 14), 150)  # over two million elements, for several threads
    yield encode(x, "float8_e4m3fn")


# For each check: its results, and their digest, which is the same on every machine.
CORPUS: dict[str, tuple[Callable[[], Iterator[Any]], str]] = {
    "casts": (_cast_results, "be8073737762248f"),
    "stochastic rounding": (_stochastic_casts, "c122b7aff946284e"),
    "codes to numbers": (_decoded, "64a065398a1d4bec"),
    "operations and flags": (_operations, "30f96bddc621141c"),
    "elementary functions": (_elementary_functions, "4f8bcbe7508e7335"),
    "sums": (_sums, "9417bf5e57922d2b"),
    "scaled formats": (_quantized, "504d145b5b220f0e"),
    "threads": (_threads, "9019dde022076419"),
}

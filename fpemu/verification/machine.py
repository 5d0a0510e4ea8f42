"""What a machine is, and whether it computes right: versions, the cache, the modes of the FPU, digests of results."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fpemu import arithmetic
from fpemu.arithmetic.elementary import functions as elementary
from fpemu.arrays import Array
from fpemu.casting import cast, decode, encode, get_num_threads
from fpemu.formats import dtype
from fpemu.formats.rules import Rounding, Stochastic
from fpemu.kernels.threads import available_cpus
from fpemu.quantization import quantize
from fpemu.version import __version__

__all__ = ["Cache", "Check", "checks", "fpu_modes", "kernel_cache", "thread_counts", "versions"]

PACKAGES = ("numpy", "numba", "llvmlite", "typer", "rich", "ml_dtypes")

# The digest of each check's results, the same on every machine; tests/verification/test_machine.py recomputes them.
DIGESTS = {
    "casts": "be8073737762248f",
    "stochastic rounding": "c122b7aff946284e",
    "codes to numbers": "64a065398a1d4bec",
    "operations and flags": "30f96bddc621141c",
    "elementary functions": "4f8bcbe7508e7335",
    "sums": "9417bf5e57922d2b",
    "scaled formats": "504d145b5b220f0e",
    "threads": "9019dde022076419",
}

_FORMATS = (
    *("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu", "float6_e2m3fn", "float4_e2m1fn"),
    *("int8", "uint4", "q3.12", "binary8p3sf"),
)
_FLOATS = ("float8_e4m3fn", "bfloat16", "float32", "float64")
_CONVENTIONS = ("ieee", "riscv", "x86-sse", "arm")
_MODES = tuple(Rounding)


class Cache(NamedTuple):
    """The folder of compiled kernels, None where none can be written; how many there are, their bytes."""

    folder: Path | None
    kernels: int
    size: int


class Check(NamedTuple):
    """A check: what was computed, how many results, and what went wrong, or None."""

    name: str
    results: int
    problem: str | None


def versions() -> dict[str, str]:
    """The versions of fpemu, Python and what it stands on.

    Returns
    -------
    dict of str to str
        "-" for what is not installed.

    Examples
    --------
    >>> from fpemu.verification.machine import versions
    >>> list(versions())[:3]
    ['fpemu', 'python', 'numpy']
    """
    where = f"{platform.python_implementation()}, {platform.system()} {platform.machine()}"
    python = f"{platform.python_version()} ({where})"
    return {"fpemu": __version__, "python": python, **{name: _version(name) for name in PACKAGES}}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "-"


def thread_counts() -> tuple[int, int]:
    """How many threads are in use, and how many CPUs the process may use.

    Returns
    -------
    tuple of int
    """
    return get_num_threads(), available_cpus()


def kernel_cache() -> Cache:
    """Where compiled kernels are kept, and how many.

    Returns
    -------
    Cache
    """
    from fpemu.kernels import cache

    if cache.folder is None:
        return Cache(None, 0, 0)
    sizes = []
    for path in Path(cache.folder).glob(f"*{cache.KERNEL_SUFFIX}"):
        try:
            sizes.append(path.stat().st_size)
        except OSError:  # another process removed it
            continue
    return Cache(Path(cache.folder), len(sizes), sum(sizes))


def fpu_modes() -> list[str]:
    """The FPU's modes in this thread, in words; no result of fpemu depends on them.

    Returns
    -------
    list of str
        The rounding, and what becomes of subnormal numbers.

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
    """Compute a corpus of casts and operations, and compare digests of its results.

    Returns
    -------
    iterator of Check
        Each as soon as it is done.

    Raises
    ------
    ImportError
        If nothing can be computed: the kernels do not load.

    Examples
    --------
    >>> from fpemu.verification.machine import checks
    >>> next(iter(checks())).problem
    """
    for name, compute in CORPUS.items():
        total, count = hashlib.sha256(), 0
        try:
            for part in compute():
                bits = np.ascontiguousarray(part).reshape(-1)
                bits = bits.view(f"u{bits.itemsize}")
                total.update(bits.astype(bits.dtype.newbyteorder("<"), copy=False).tobytes())
                count += bits.size
        except ImportError:  # numba does not load, or is told not to compile: so it is for all of them
            raise
        except Exception as error:  # a broken installation fails in any way
            yield Check(name, count, f"{type(error).__name__}: {error}")
            continue
        found = total.hexdigest()[:16]
        yield Check(name, count, None if found == DIGESTS[name] else f"digest {found}, right {DIGESTS[name]}")


def _draws(what: str, kind: str, count: int) -> NDArray[Any]:
    """Integers by SHAKE-256, the same on every machine."""
    dtype = np.dtype(kind).newbyteorder("<")
    drawn = np.frombuffer(hashlib.shake_256(what.encode()).digest(count * dtype.itemsize), dtype)
    return drawn.astype(dtype.newbyteorder("="))


def _floats(what: str, bits: int, count: int) -> NDArray[Any]:
    """Half of them any bits, half of moderate exponents, where results are not all special."""
    drawn = _draws(what, f"u{bits // 8}", count)
    digits = {16: 10, 32: 23, 64: 52}[bits]
    middle = (1 << (bits - digits - 2)) - 1
    near = drawn[::2] & np.asarray(1 << (bits - 1) | (1 << digits) - 1, drawn.dtype)
    spread = np.asarray(middle - 8, drawn.dtype) + _draws(f"{what}, exponents", "u1", near.size) % 16
    drawn[::2] = near | spread.astype(drawn.dtype) << np.asarray(digits, drawn.dtype)
    return drawn.view(f"f{bits // 8}")


def _codes(what: str, fmt: str, count: int) -> Array:
    if fmt in ("float16", "float32", "float64"):
        bits = dtype(fmt).bits
        return Array.from_codes(_floats(what, bits, count).view(f"u{bits // 8}"), fmt)
    return Array.from_codes(_draws(what, f"u{dtype(fmt).bits // 8}", count), fmt)


def _casts() -> Iterator[Any]:
    """From float32 and float64 the fast loops, few of them: each is compiled where the cache is cold."""
    x = _floats("casts", 32, 2048)
    for fmt in _FORMATS:
        yield encode(x, fmt)
    for fmt in ("nf4", "tfloat32"):
        yield cast(x, fmt)
    yield encode(x, "float8_e4m3fn", rounding="toward_zero")
    yield encode(_floats("casts", 64, 2048), "bfloat16")
    half = _floats("casts", 16, 2048)
    for fmt in _FORMATS:
        for mode in _MODES:
            yield encode(half, fmt, rounding=mode)
    for kind in ("i1", "i4", "u8", "i8"):
        yield encode(_draws("integers", kind, 2048), "bfloat16")


def _random() -> Iterator[Any]:
    x = _floats("random", 32, 2048)
    for variant, bits in (("A", 9), ("B", 16), ("C", 32)):
        drawn = _draws("random bits", "u4", x.size) >> np.uint32(32 - bits)
        for fmt in ("float8_e4m3fn", "bfloat16", "int8"):
            yield encode(x, fmt, rounding=Stochastic(variant, bits), random_bits=drawn)


def _numbers() -> Iterator[Any]:
    for fmt in ("float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu", "float4_e2m1fn", "int8", "nf4", "binary8p3sf"):
        yield decode(np.arange(dtype(fmt).code_count, dtype=dtype(fmt).code_dtype), fmt)
    for fmt in ("float16", "bfloat16", "q3.12"):
        yield decode(np.arange(1 << 16, dtype=np.uint16), fmt)


def _operations() -> Iterator[Any]:
    """Results and flags, each mode in one format, each convention of NaN in all."""
    binary = (arithmetic.add, arithmetic.multiply, arithmetic.divide)
    for fmt in _FLOATS:
        x, y, z = (_codes(f"operand {name}", fmt, 512) for name in "xyz")
        for convention in _CONVENTIONS:
            for operation in (*binary, arithmetic.minimum):
                yield from _parts(operation(x, y, profile=convention, return_flags=True))
            yield from _parts(arithmetic.fma(x, y, z, profile=convention, return_flags=True))
            yield from _parts(arithmetic.sqrt(x, profile=convention, return_flags=True))
        yield from _parts(arithmetic.round_to_integral(x, return_flags=True))
        yield from _parts(arithmetic.less(x, y, return_flags=True))
    x, y = (_codes(f"operand {name}", "bfloat16", 512) for name in "xy")
    for mode in _MODES:
        for operation in binary:
            yield from _parts(operation(x, y, rounding=mode, return_flags=True))


def _parts(found: Any) -> Iterator[Any]:
    result, flags = found
    yield result.codes if isinstance(result, Array) else result
    yield flags.bits


def _functions() -> Iterator[Any]:
    for fmt in ("float8_e4m3fn", "float8_e5m2"):
        x = Array.from_codes(np.arange(256, dtype=np.uint8), fmt)
        for name in ("exp", "log2", "sin", "tanh", "erf", "rsqrt"):
            yield getattr(elementary, name)(x).codes


def _sums() -> Iterator[Any]:
    for fmt in ("bfloat16", "float8_e4m3fn"):
        x = Array.from_codes(encode(_floats("sums", 32, 8192)[::2].reshape(64, 64), fmt), fmt)
        yield arithmetic.sum(x, axis=1, result="float32").codes
        yield arithmetic.sum(x, axis=1, result="float32", accumulate="float16").codes
        yield arithmetic.cumsum(x, axis=1, result="bfloat16").codes


def _blocks() -> Iterator[Any]:
    x = _floats("blocks", 32, 8192)[::2].reshape(16, 256)
    for scheme in ("mxfp4", "mxfp8_e4m3", "nvfp4", "nf4_64"):
        found = quantize(x, scheme)
        yield found.codes
        yield found.scales


def _threads() -> Iterator[Any]:
    x = np.tile(_floats("threads", 32, 1 << 14), 150)  # more than two million
    yield encode(x, "float8_e4m3fn")


CORPUS: dict[str, Callable[[], Iterator[Any]]] = {
    "casts": _casts,
    "stochastic rounding": _random,
    "codes to numbers": _numbers,
    "operations and flags": _operations,
    "elementary functions": _functions,
    "sums": _sums,
    "scaled formats": _blocks,
    "threads": _threads,
}

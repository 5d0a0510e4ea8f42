"""Thirty-two planted faults: small units with a fault each, and the explanation that an audit must find.

`python -m tests.cases.planted_faults` prints the table.  The units share no code with fpemu: values come from ml_dtypes
and numpy, results are looked up among a format's values in order, and products and sums of narrow formats are exact in
float64.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

import fpemu as fe

UNEXPLAINED = "unexplained"
TYPES = {
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
    "float8_e5m2": ml_dtypes.float8_e5m2,
    "float8_e4m3fn": ml_dtypes.float8_e4m3fn,
    "float4_e2m1fn": ml_dtypes.float4_e2m1fn,
}


class Table(NamedTuple):
    """A format's finite magnitudes in ascending order, as their codes, and its special codes."""

    bits: int
    magnitudes: np.ndarray
    infinity: int | None
    nan: int | None


@functools.cache
def table(name: str) -> Table:
    """A format as a table."""
    kind = np.dtype(TYPES[name])
    bits = 4 if name == "float4_e2m1fn" else 8 * kind.itemsize
    codes = np.arange(1 << (bits - 1)).astype(f"u{kind.itemsize}")
    values = wide(codes.view(kind))
    finite = values[np.isfinite(values)]
    infinite, nan = np.flatnonzero(np.isinf(values)), np.flatnonzero(np.isnan(values))
    quiet = {"float16": 0x7E00, "bfloat16": 0x7FC0, "float8_e5m2": 0x7E}.get(name, int(nan[0]) if nan.size else None)
    return Table(bits, finite, int(infinite[0]) if infinite.size else None, quiet)


def value(codes: np.ndarray, name: str) -> np.ndarray:
    """The values of codes."""
    return wide(codes.view(TYPES[name]))


def wide(x: np.ndarray) -> np.ndarray:
    """Values as float64; signaling NaNs may become quiet."""
    with np.errstate(invalid="ignore"):
        return x.astype(np.float64)


def into(
    x: np.ndarray,
    name: str,
    mode: str = "even",
    overflow: str = "standard",
    infinity: str = "standard",
    flush: str = "never",
    nan: int | None = None,
    nan_sign: bool = True,
    zero_sign: bool = True,
) -> np.ndarray:
    """Numbers to a format's codes, by table look-up."""
    fmt = table(name)
    negative, magnitude = np.signbit(x), np.abs(x)
    grid = np.append(fmt.magnitudes, 2 * fmt.magnitudes[-1] - fmt.magnitudes[-2])  # and where the next one would be
    finite = np.where(np.isfinite(x), magnitude, 0.0)
    low = np.minimum(np.searchsorted(grid, finite, "right") - 1, grid.size - 1)
    up = np.minimum(low + 1, grid.size - 1)
    exact, middle = grid[low] == finite, (grid[low] + grid[up]) / 2
    above, tie, odd = finite > middle, finite == middle, low % 2 == 1
    goes_up = {
        "even": above | (tie & odd),
        "away": above | tie,
        "in": above,
        "half up": above | (tie & ~negative),
        "truncate": np.zeros(x.shape, bool),
        "ceil": ~negative,
        "floor": negative,
        "outward": np.ones(x.shape, bool),
        "jam": ~odd,
    }[mode] & ~exact
    code = np.where(goes_up, up, low)
    over = code >= grid.size - 1
    normal = np.searchsorted(fmt.magnitudes, smallest_normal(name))
    if flush == "after":
        code = np.where(code < normal, 0, code)
    if flush == "before":
        code = np.where(finite < fmt.magnitudes[normal], 0, code)
    if (
        flush == "tiny"
    ):  # to nearest even: the last number with as many digits lies half a quantum below the normal ones
        half = (fmt.magnitudes[1] - fmt.magnitudes[0]) / 2
        code = np.where(finite < fmt.magnitudes[normal] - half / 2, 0, code)
    top = fmt.magnitudes.size - 1
    beyond = {"saturate": top, "nan": fmt.nan}.get(overflow, fmt.infinity)
    beyond = fmt.nan if beyond is None else beyond
    beyond = top if beyond is None else beyond
    inward = {"truncate": ~negative | negative, "ceil": negative, "floor": ~negative, "jam": ~negative | negative}
    if overflow == "standard" and mode in inward:
        beyond = np.where(inward[mode], top, beyond)
    code = np.where(over, beyond, code)
    ends = {"saturate": top, "standard": fmt.infinity}[infinity]
    ends = fmt.nan if ends is None else ends
    code = np.where(np.isinf(x), top if ends is None else ends, code)
    signed = negative & (zero_sign | (code != 0))
    given = fmt.nan if nan is None else nan
    if given is None:
        given, negative_nan = 1 << (fmt.bits - 1), np.zeros(x.shape, bool)  # without NaN: negative zero
    else:
        negative_nan = negative & nan_sign
    code = np.where(np.isnan(x), given, code)
    code = code | np.where(np.isnan(x), negative_nan, signed).astype(np.int64) << (fmt.bits - 1)
    return code.astype(f"u{np.dtype(TYPES[name]).itemsize}")


def smallest_normal(name: str) -> float:
    return float(ml_dtypes.finfo(TYPES[name]).smallest_normal)


def flushed(x: np.ndarray, name: str) -> np.ndarray:
    """Values, with zero for subnormals."""
    return np.where(np.abs(x) < smallest_normal(name), np.copysign(0.0, x), x)


def cast(name: str, **how: Any) -> Callable[..., np.ndarray]:
    """A converter of floats to codes."""
    return lambda x: into(wide(x), name, **how)


def binary(name: str, call: np.ufunc, daz: bool = False, **how: Any) -> Callable[..., np.ndarray]:
    """An adder or a multiplier of codes; its NaN has no sign."""

    def unit(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        a, b = value(x, name), value(y, name)
        if daz:
            a, b = flushed(a, name), flushed(b, name)
        with np.errstate(all="ignore"):
            return into(call(a, b), name, nan_sign=False, **how)

    return unit


def through_half(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        return into(wide(x.astype(np.float16)), "float8_e4m3fn")


def through_single(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        return into(wide(x.astype(np.float32)), "float16")


def wrapping(x: np.ndarray) -> np.ndarray:
    """A converter to int8: rounded, modulo 256; NaN and infinities as in the claim."""
    number = np.where(np.isfinite(x), x, np.where(np.isnan(x), 0.0, np.copysign(127.0, x))).astype(np.float64)
    number = np.where(np.isneginf(x), -128.0, number)
    return np.rint(np.fmod(np.rint(number), 256)).astype(np.int64).astype(np.uint8)


def fused_through_half(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    a, b, c = (value(part, "float8_e4m3fn") for part in (x, y, z))
    with np.errstate(all="ignore"):
        half = (a * b + c).astype(np.float16)  # exact in float64
        return into(half.astype(np.float64), "float8_e4m3fn", nan_sign=False)


def tiny_before(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A multiplier of float8_e5m2 that detects underflow before rounding."""
    a, b = value(x, "float8_e5m2"), value(y, "float8_e5m2")
    with np.errstate(all="ignore"):
        exact = a * b
    code = into(exact, "float8_e5m2", nan_sign=False)
    finite = np.isfinite(exact)
    inexact = finite & (value(code, "float8_e5m2") != exact)
    overflow = finite & ~np.isfinite(value(code, "float8_e5m2"))
    signaling = ((x & 0x7F) == 0x7D) | ((y & 0x7F) == 0x7D)
    invalid = signaling | (np.isnan(exact) & ~np.isnan(a) & ~np.isnan(b))
    underflow = inexact & (np.abs(exact) < smallest_normal("float8_e5m2"))
    return code, (inexact + 2 * underflow + 4 * overflow + 16 * invalid).astype(np.uint8)


def few_guard_digits(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """An adder of float8_e4m3fn that keeps one of the digits that it shifts out, and drops the others."""
    a, b = value(x, "float8_e4m3fn"), value(y, "float8_e4m3fn")
    swap = np.abs(b) > np.abs(a)
    a, b = np.where(swap, b, a), np.where(swap, a, b)
    unit = np.exp2(np.frexp(np.where(a == 0, 1.0, a))[1] - 5.0)  # half the quantum of the larger
    kept = np.where(np.isfinite(b), np.trunc(np.where(np.isfinite(b), b, 0) / unit) * unit, b)
    with np.errstate(all="ignore"):
        return into(a + kept, "float8_e4m3fn", nan_sign=False)


def lost_carry(x: np.ndarray) -> np.ndarray:
    """A converter to float8_e5m2 whose rounding never carries into the exponent."""
    right, low = (into(wide(x), "float8_e5m2", mode=mode) for mode in ("even", "truncate"))
    return np.where((right & 3 == 0) & (right != low), low & 0xFC, right).astype(np.uint8)


def stuck_bit(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A multiplier of float8_e5m2 whose last digit is stuck at 1 in one binade."""
    code = binary("float8_e5m2", np.multiply)(x, y)
    return np.where((code & 0x7C) == 0x50, code | 1, code).astype(np.uint8)


class Planted(NamedTuple):
    """A unit with a fault: its claim, and the name of the rules that it follows instead."""

    fault: str
    subject: Callable[..., Any]
    claim: dict[str, Any]
    cause: str


def _to(name: str, **more: Any) -> dict[str, Any]:
    return {"operation": "encode", "format": name, **more}


def _op(operation: str, name: str, **more: Any) -> dict[str, Any]:
    return {"operation": operation, "format": name, **more}


E5M2, E4M3 = "float8_e5m2", "float8_e4m3fn"
FAULTS = (
    Planted("ties go away from zero", cast(E5M2, mode="away"), _to(E5M2), "rounding=nearest_away"),
    Planted("ties go toward zero", cast(E4M3, mode="in"), _to(E4M3), "rounding=nearest_toward_zero"),
    Planted(
        "half is added, then floored",
        cast("bfloat16", mode="half up"),
        _to("bfloat16"),
        "rounding=nearest_toward_positive",
    ),
    Planted("digits are dropped", cast("bfloat16", mode="truncate"), _to("bfloat16"), "rounding=toward_zero"),
    Planted("rounded upward", cast(E5M2, mode="ceil"), _to(E5M2), "rounding=toward_positive"),
    Planted("rounded downward", cast("float16", mode="floor"), _to("float16"), "rounding=toward_negative"),
    Planted("rounded away from zero", cast(E5M2, mode="outward"), _to(E5M2), "rounding=away_from_zero"),
    Planted("the last digit is a sticky one", cast("bfloat16", mode="jam"), _to("bfloat16"), "rounding=to_odd"),
    Planted(
        "to nearest, where truncation is claimed",
        cast(E5M2),
        _to(E5M2, rounding="toward_zero"),
        "rounding=nearest_even",
    ),
    Planted("saturates", cast(E5M2, overflow="saturate"), _to(E5M2), "overflow=saturate"),
    Planted(
        "saturates, infinities too",
        cast(E5M2, overflow="saturate", infinity="saturate"),
        _to(E5M2),
        "infinity=saturate, overflow=saturate",
    ),
    Planted("NaN beyond, where saturation is claimed", cast(E4M3), _to(E4M3, overflow="saturate"), "overflow=standard"),
    Planted(
        "subnormal results are flushed", cast("float16", flush="after"), _to("float16"), "subnormals_out=flush_after"
    ),
    Planted("flushed before rounding", cast(E5M2, flush="before"), _to(E5M2), "subnormals_out=flush_before"),
    Planted("tiny results are flushed", cast(E5M2, flush="tiny"), _to(E5M2), "subnormals_out=flush_tiny"),
    Planted(
        "subnormals are zeros, tiny results too",
        binary(E5M2, np.multiply, daz=True, flush="tiny"),
        _op("multiply", E5M2),
        "subnormals_in=zero, subnormals_out=flush_tiny",
    ),
    Planted("rounded to float16 first", through_half, _to(E4M3), "through=float16"),
    Planted("rounded to float32 first", through_single, _to("float16", source="float64"), "through=float32"),
    Planted("negative zeros lose their sign", cast("float16", zero_sign=False), _to("float16"), "negative_zero=drop"),
    Planted("NaN loses its sign", cast(E4M3, nan_sign=False), _to(E4M3, nan="exact"), "nan_sign=drop"),
    Planted("another code of NaN", cast(E5M2, nan=0x7F), _to(E5M2, nan="exact"), "nan_code=0x7f"),
    Planted("integers wrap", wrapping, _to("int8"), "overflow=wrap"),
    Planted("the sum truncates", binary(E5M2, np.add, mode="truncate"), _op("add", E5M2), "rounding=toward_zero"),
    Planted(
        "the product's ties go away",
        binary(E4M3, np.multiply, mode="away"),
        _op("multiply", E4M3),
        "rounding=nearest_away",
    ),
    Planted("the sum saturates", binary(E4M3, np.add, overflow="saturate"), _op("add", E4M3), "overflow=saturate"),
    Planted(
        "subnormal operands are zeros",
        binary("bfloat16", np.multiply, daz=True),
        _op("multiply", "bfloat16"),
        "subnormals_in=zero",
    ),
    Planted(
        "subnormals are zeros, both ways",
        binary(E5M2, np.multiply, daz=True, flush="after"),
        _op("multiply", E5M2),
        "subnormals_in=zero, subnormals_out=flush_after",
    ),
    Planted(
        "underflow is looked for before rounding", tiny_before, _op("multiply", E5M2, flags=True), "tininess=before"
    ),
    Planted("the sum of products is rounded to float16 first", fused_through_half, _op("fma", E4M3), "through=float16"),
    Planted("one guard digit, no sticky one", few_guard_digits, _op("add", E4M3), UNEXPLAINED),
    Planted("a carry into the exponent is lost", lost_carry, _to(E5M2), UNEXPLAINED),
    Planted("a digit is stuck in one binade", stuck_bit, _op("multiply", E5M2), UNEXPLAINED),
)


def found(planted: Planted) -> Any:
    """The audit of a planted fault, with the default budget."""
    words = dict(planted.claim)
    return fe.audit(planted.subject, words.pop("operation"), words.pop("format"), **words)


def main() -> int:
    """Print the table; return the number of faults that are not found, or explained otherwise."""
    wrong = 0
    for number, planted in enumerate(FAULTS, 1):
        start = time.perf_counter()
        audited = found(planted)
        right = audited.different > 0 and audited.cause == planted.cause
        wrong += not right
        share = f"{audited.different:,} of {audited.checked:,}"
        seconds = f"{time.perf_counter() - start:.1f} s"
        print(
            f"{number:2}  {planted.fault:<48} {share:>20}  {audited.cause:<46} {seconds:>7}{'' if right else '  WRONG'}"
        )
    print(f"{len(FAULTS)} planted, {wrong} not found or named otherwise")
    return wrong


if __name__ == "__main__":
    sys.exit(main() > 0)

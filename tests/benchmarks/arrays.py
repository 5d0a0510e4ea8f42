"""Casts of arrays, compared with one pass of a plain ufunc and with other libraries; on one thread by default."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

import fpemu as fe
from tests.benchmarks.timing import Call, Line, best
from tests.peers.tools import PEERS

Array = np.ndarray[Any, Any]

SMALL = 16 << 10
DIRECTED = (
    "toward_zero", "toward_positive", "toward_negative", "away_from_zero", "to_odd", "nearest_away",
    "nearest_toward_zero", "nearest_toward_positive", "nearest_toward_negative",
)  # fmt: skip
USER = (
    fe.FloatFormat("e5m3 of a user", 9, 4),
    fe.FloatFormat("e8m3 of a user", 12, 4),
    fe.FloatFormat("e3m2, no subnormals", 6, 3, subnormals=False, infinities=False, nan="none"),
    fe.dtype("binary8p4se"),
)


class Setup(NamedTuple):
    """The size of the arrays, and the time to spend."""

    size: int
    seconds: float

    def sources(self, dtype: str = "float32", size: int | None = None) -> Array:
        """Normally distributed numbers."""
        return (np.random.default_rng(1).standard_normal(size or self.size, np.float32) * 3).astype(dtype)


def signs(fmt: Any, x: Array) -> Iterator[tuple[str, Array, bool]]:
    """(case, sources, whether a limit applies) for a format; for unsigned formats, magnitudes, then all numbers."""
    if fe.dtype(fmt).signed:
        yield str(fmt), x, True
    else:
        yield f"{fmt}, positive", np.abs(x), True
        yield f"{fmt}, both signs", x, False


def float_formats() -> list[fe.FloatFormat]:
    """Every registered float format up to 16 bits."""
    return [fmt for fmt in fe.dtypes() if isinstance(fmt, fe.FloatFormat) and fmt.bits <= 16]


def negative(x: Array) -> Call:
    """The unit: one pass of a plain ufunc over allocated memory."""
    return functools.partial(np.negative, x, out=np.zeros_like(x))


def cast(x: Array, fmt: Any, **rules: Any) -> Call:
    """Cast to values in allocated memory."""
    return functools.partial(fe.cast, x, fmt, out=np.zeros_like(x), **rules)


def encode(x: Array, fmt: Any, **rules: Any) -> Call:
    """Cast to codes in allocated memory."""
    return functools.partial(fe.encode, x, fmt, out=np.zeros(x.shape, fe.dtype(fmt).code_dtype), **rules)


def decode(codes: Array, fmt: Any) -> Call:
    """Decode codes to float32 in allocated memory."""
    return functools.partial(fe.decode, codes, fmt, out=np.zeros(codes.shape, np.float32))


def peer_encode(name: str, x: Array, fmt: str) -> Call:
    """The same cast by another library."""
    return functools.partial(PEERS[name].encode_into, x, np.zeros(x.shape, fe.dtype(fmt).code_dtype), fmt)


def peer_decode(name: str, codes: Array, fmt: str) -> Call:
    """The same in another library, back to float32."""
    into = PEERS[name].decode_into
    assert into is not None
    return functools.partial(into, codes, np.zeros(codes.shape, np.float32), fmt)


def having(fmt: str, *names: str) -> list[str]:
    """The libraries among these that are installed and have the format."""
    return [name for name in names if PEERS[name].available() and fmt in PEERS[name].formats]


def nanoseconds(seconds: float, count: int) -> str:
    """The time for one element."""
    return f"{seconds / count * 1e9:.2f} ns"


def values_from_float32(setup: Setup) -> Iterator[Line]:
    """Float32 to values of any float format to 16 bits, nearest even."""
    x = setup.sources()
    unit = negative(x)
    for fmt in [*float_formats(), *USER]:
        for case, y, limited in signs(fmt, x):
            times = best({"ours": cast(y, fmt), "unit": unit}, setup.seconds)
            limit = 1.15 if limited else None
            yield Line(case, times["ours"] / times["unit"], at_most=limit, note=nanoseconds(times["ours"], x.size))


def values_in_cache(setup: Setup) -> Iterator[Line]:
    """The same on 16 Ki elements, in cache."""
    x = setup.sources(size=SMALL)
    unit = negative(x)
    for fmt in [*float_formats(), *USER]:
        for case, y, limited in signs(fmt, x):
            times = best({"ours": cast(y, fmt), "unit": unit, "one": cast(y[:1], fmt)}, setup.seconds / 4)
            beyond = (times["ours"] - times["one"]) / times["unit"]
            note = f"{nanoseconds(times['ours'], x.size)}; {beyond:.2f} x without a call's {times['one'] * 1e6:.1f} us"
            yield Line(case, times["ours"] / times["unit"], at_most=4 if limited else None, note=note)


def codes_from_float32(setup: Setup) -> Iterator[Line]:
    """Float32 to codes."""
    x = setup.sources()
    unit = negative(x)
    others = [fmt.name for fmt in float_formats() if fmt.name not in ("bfloat16", "float16")]
    for name in ("float8_e4m3fn", "float8_e5m2", "bfloat16", "float16", *others[2:], *USER):
        fmt = str(name)
        peers = having(fmt, "torch", "ml_dtypes", "numpy")
        calls = {"ours": encode(x, name), "unit": unit, **{peer: peer_encode(peer, x, fmt) for peer in peers}}
        times = best(calls, setup.seconds * (1 + len(peers) / 2))
        note = nanoseconds(times["ours"], x.size)
        yield Line(f"{fmt} / np.negative", times["ours"] / times["unit"], note=note)
        if "torch" in times:
            limit = {"float8_e4m3fn": 1.0, "float8_e5m2": 1.0, "bfloat16": 1.1, "float16": 1.1}.get(fmt)
            note = nanoseconds(times["torch"], x.size)
            yield Line(f"{fmt} / torch", times["ours"] / times["torch"], at_most=limit, note=note)
        if "ml_dtypes" in times:
            limit = None if fmt == "bfloat16" else 10
            yield Line(f"ml_dtypes / {fmt}", times["ml_dtypes"] / times["ours"], at_least=limit)
        if "numpy" in times:
            yield Line(f"numpy / {fmt}", times["numpy"] / times["ours"], at_least=8)


def float32_from_codes(setup: Setup) -> Iterator[Line]:
    """Codes to float32."""
    for own in float_formats():
        fmt = own.name
        codes = np.random.default_rng(1).integers(0, own.code_count, setup.size).astype(own.code_dtype)
        peers = having(fmt, "torch", "ml_dtypes", "numpy")
        calls = {"ours": decode(codes, fmt), "unit": negative(np.zeros(setup.size, np.float32))}
        calls |= {peer: peer_decode(peer, codes, fmt) for peer in peers}
        times = best(calls, setup.seconds * (1 + len(peers) / 2))
        note = nanoseconds(times["ours"], codes.size)
        yield Line(f"{fmt} / np.negative", times["ours"] / times["unit"], note=note)
        targets = {"torch": 6 if fmt == "float8_e4m3fn" else None, "ml_dtypes": 10 if own.bits <= 8 else None}
        for peer in peers:
            yield Line(f"{peer} / {fmt}", times[peer] / times["ours"], at_least=targets.get(peer))


def values_from_float64(setup: Setup) -> Iterator[Line]:
    """Float64 to values, beside np.negative of float64."""
    x = setup.sources("float64")
    unit = negative(x)
    for fmt in [*float_formats(), fe.dtype("tfloat32"), fe.dtype("float32"), *USER]:
        for case, y, limited in signs(fmt, x):
            times = best({"ours": cast(y, fmt), "unit": unit}, setup.seconds)
            limit = 1.3 if limited else None
            yield Line(case, times["ours"] / times["unit"], at_most=limit, note=nanoseconds(times["ours"], x.size))


def other_roundings(setup: Setup) -> Iterator[Line]:
    """Other roundings beside nearest even: values and codes."""
    x = setup.sources()
    for fmt in ("float8_e4m3fn", "bfloat16", "float16", "float4_e2m1fn"):
        for what, call in (("values", cast), ("codes", encode)):
            calls = {"nearest_even": call(x, fmt)}
            calls |= {rounding: call(x, fmt, rounding=rounding) for rounding in DIRECTED}
            calls["stochastic"] = call(x, fmt, rounding="stochastic", rng=1)
            times = best(calls, setup.seconds * 4)
            for rounding, taken in times.items():
                if rounding != "nearest_even":
                    limit = 3 if rounding == "stochastic" else None if rounding.startswith("nearest") else 1.3
                    case = f"{fmt} {what}, {rounding}"
                    yield Line(case, taken / times["nearest_even"], at_most=limit, note=nanoseconds(taken, x.size))


def two_threads(setup: Setup) -> Iterator[Line]:
    """The speed-up by two threads, compared with that of np.negative."""
    x = setup.sources()
    y, half = np.zeros_like(x), x.size // 2

    with ThreadPoolExecutor(2) as pool:

        def negative_by_two() -> None:
            list(pool.map(lambda part: np.negative(x[part], out=y[part]), (slice(half), slice(half, None))))

        def by(count: int, call: Call) -> Call:
            def counted() -> None:
                fe.set_num_threads(count)
                call()
                fe.set_num_threads(1)

            return counted

        unit = functools.partial(np.negative, x, out=y)
        for fmt in ("float8_e4m3fn", "bfloat16", "float16"):
            for what, call in (("values", cast(x, fmt)), ("codes", encode(x, fmt))):
                calls = {"unit": unit, "unit2": negative_by_two, "ours": by(1, call), "ours2": by(2, call)}
                times = best(calls, setup.seconds * 2)
                gain, units = times["ours"] / times["ours2"], times["unit"] / times["unit2"]
                yield Line(f"{fmt} {what}", gain / units, at_least=0.9, note=f"{gain:.2f} against {units:.2f}")


def one_element(setup: Setup) -> Iterator[Line]:
    """One element, warm."""
    code, array = np.uint8(0x3C), np.ones(1, np.float32)
    calls: dict[str, Call] = {
        "cast(1.5, e4m3fn)": lambda: fe.cast(1.5, "float8_e4m3fn"),
        "cast(np.float32, e4m3fn)": lambda: fe.cast(array[0], "float8_e4m3fn"),
        "cast(array of 1, bfloat16)": lambda: fe.cast(array, "bfloat16"),
        "cast(array of 1, e4m3fn, torch, toward_zero)": lambda: fe.cast(
            array, "float8_e4m3fn", profile="torch", rounding="toward_zero"
        ),
        "cast(1.5, bfloat16, stochastic, rng=0)": lambda: fe.cast(1.5, "bfloat16", rounding="stochastic", rng=0),
        "encode(1.5, float16)": lambda: fe.encode(1.5, "float16"),
        "encode(1.5, int4)": lambda: fe.encode(1.5, "int4"),
        "encode(array of 1, e5m2)": lambda: fe.encode(array, "float8_e5m2"),
        "decode(0x3C, e4m3fn)": lambda: fe.decode(0x3C, "float8_e4m3fn"),
        "decode(np.uint8, e4m3fn)": lambda: fe.decode(code, "float8_e4m3fn"),
    }
    for case, taken in best(calls, setup.seconds * 2).items():
        yield Line(case, taken * 1e6, "us", at_most=10)

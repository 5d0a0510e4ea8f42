"""Contexts in which flags are errors or warnings: which, when, for whom, and that no bit depends on them."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import operator
import pickle
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import fpemu as fe

NAN = float("nan")
INF = float("inf")
E4M3, E5M2, E2M1 = "float8_e4m3fn", "float8_e5m2", "float4_e2m1fn"
SIGNALLING = fe.Array([0x7C01], "float16")

# flag -> an operation that raises it
RAISING = {
    "invalid": lambda **how: fe.divide([1.0, 0.0], [1.0, 0.0], result="float16", **how),
    "divide_by_zero": lambda **how: fe.divide([1.0, 1.0], [1.0, 0.0], result="float16", **how),
    "overflow": lambda **how: fe.multiply([1.0, 6e4], 2.0, result="float16", **how),
    "underflow": lambda **how: fe.multiply([1.0, 2**-24], 0.75, result="float16", **how),
    "inexact": lambda **how: fe.add([1.0, 2**-11], 1.0, result="float16", **how),
}

# an operation of each kind, what it raises first by gravity, and what its message ends with
OPERATIONS = {
    "add": (lambda: fe.add(INF, -INF, result="float16"), "invalid", r"add\(inf, -inf\) = nan in float16"),
    "fma": (lambda: fe.fma(300.0, 2.0, 1, result=E4M3), "overflow", r"fma\(300.0, 2.0, 1\) = nan in float8_e4m3fn"),
    "sqrt": (lambda: fe.sqrt(SIGNALLING), "invalid", r"\[0\]: sqrt\(signalling nan\) = nan in float16"),
    "fmod": (lambda: fe.fmod(1.5, 0, result="float16"), "invalid", r"fmod\(1.5, 0\) = nan in float16"),
    "convert": (lambda: fe.convert(300.0, "int8"), "invalid", r"convert\(300.0\) = 127 in int8"),
    "scaleb": (lambda: fe.scaleb(1.0, 2000), "overflow", r"scaleb\(1.0, 2000\) = inf in float64"),
    "logb": (lambda: fe.logb(0.0), "divide_by_zero", r"logb\(0.0\) = -inf in float64"),
    "round_to_integral": (
        lambda: fe.round_to_integral(np.float32(2.5), exact=True),
        "inexact",
        r"round_to_integral\(2.5\) = 2.0 in float32",
    ),
    "maximum": (lambda: fe.maximum(SIGNALLING, 1), "invalid", r"maximum\(signalling nan, 1\) = nan in float16"),
    "less": (lambda: fe.less(1.0, NAN), "invalid", r"less\(1.0, nan\) = False"),
    "equal": (lambda: fe.equal([0, 0.5], SIGNALLING), "invalid", r"\[0\]: equal\(0.0, signalling nan\) = False"),
    "log": (lambda: fe.log(fe.array(0.0, E5M2)), "divide_by_zero", r"log\(0.0\) = -inf in float8_e5m2"),
    "pow": (lambda: fe.array(-2.0, E5M2) ** 0.5, "invalid", r"pow\(-2.0, 0.5\) = nan in float8_e5m2"),
    "sum": (
        lambda: fe.sum([6e4, 1, 2, 6e4], result="float16"),
        "overflow",
        r"sum\(\[60000.0, 1.0, 2.0, ... \(4 numbers\)\]\) = inf in float16",
    ),
    "mean": (lambda: fe.mean([], result="float16"), "invalid", r"mean\(\[\]\) = nan in float16"),
    "vecdot": (
        lambda: fe.vecdot([[1, 1], [300, 2]], [[1, 1], [2, 1]], result=E4M3, accumulate="bfloat16"),
        "overflow",
        r"\[1\]: vecdot\(\[300, 2\], \[2, 1\]\) = nan in float8_e4m3fn",
    ),
    "cumsum": (
        lambda: fe.cumsum([[1, 5], [3, 300], [2, 300]], axis=0, result=E4M3),
        "overflow",
        r"first at \[2, 1\]: cumsum\(\[5, 300, 300\]\)\[2\] = nan in float8_e4m3fn",
    ),
}


@pytest.mark.parametrize("mode", ["ignore", "warn", "raise"])
@pytest.mark.parametrize("flag", RAISING)
@pytest.mark.parametrize("raised", RAISING)
def test_each_flag_by_itself(flag, raised, mode):
    """A mode is about its flag alone."""
    plain, flags = RAISING[raised](return_flags=True)
    assert getattr(flags, raised).tolist() == [False, True]
    happened = bool(getattr(flags, flag).any())
    with warnings.catch_warnings(record=True) as caught, fe.errstate(**{flag: mode}):
        warnings.simplefilter("always")
        if happened and mode == "raise":
            with pytest.raises(FloatingPointError, match=rf"^\w+: {flag} in 1 of 2 elements, first at \[1\]: "):
                RAISING[raised]()
        else:
            np.testing.assert_array_equal(RAISING[raised](), plain)
    assert [w.category for w in caught] == [fe.FlagWarning] * (happened and mode == "warn")


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_is_said(name):
    operation, flag, words = OPERATIONS[name]
    operation()
    with fe.errstate(all="raise"), pytest.raises(fe.FlagError, match=f"^{name}: {flag}.*{words}") as caught:
        operation()
    error = caught.value
    assert error.operation == name
    assert getattr(error.flags, flag)[error.index]
    with fe.errstate(**{flag: "warn"}), pytest.warns(fe.FlagWarning, match=f"^{name}: {flag}.*{words}") as warned:
        operation()
    assert len(warned) == 1
    assert warned[0].message.operation == name


THIRD = Fraction(1, 3)
SUM = {"result": "bfloat16"}
STEPS = {"result": "bfloat16", "accumulate": "bfloat16"}
# operations whose first flag is raised by a number that float64 does not hold -> the operands as they are said
EXACT_OPERANDS = [
    *((name, (THIRD, 4.0), SUM, "1/3, 4.0") for name in ("add", "multiply", "divide")),
    ("fmod", (4.0, "0.3"), SUM, "4.0, 3/10"),
    ("sqrt", ([4, THIRD],), SUM, "1/3"),
    ("add", ([[2.0], [THIRD]], [4.0, 8.0]), SUM, "1/3, 4.0"),
    *((name, ([[2.0], ["0.1"]], [4.0, NAN]), {"signaling": True}, "2.0, nan") for name in ("equal", "less")),
    *((name, ([2.0, "0.1"], [4.0, NAN]), {"signaling": True}, "1/10, nan") for name in ("equal", "less", "greater")),
    *(
        (name, ([[2, 4], [4, THIRD]],), {**how, "axis": 1}, "[4.0, 1/3]")
        for name in ("sum", "mean")
        for how in (SUM, STEPS)
    ),
    *(("sum", ([[2, 4], [THIRD, "0.1"]],), {**how, "axis": 0}, "[2.0, 1/3]") for how in (SUM, STEPS)),
    *(("cumsum", ([4, THIRD],), how, "[4.0, 1/3]") for how in (SUM, STEPS)),
    *(("vecdot", ([[2, 4], [2, THIRD]], [2, "0.5"]), how, "[2.0, 1/3], [2.0, 0.5]") for how in (SUM, STEPS)),
    ("dot", ([2, "0.1"], [4, THIRD]), SUM, "[2.0, 1/10], [4.0, 1/3]"),
    ("sum", ([1, 2, 3, 4, THIRD],), SUM, "[1.0, 2.0, 3.0, ... (5 numbers)]"),
]


@pytest.mark.parametrize(("name", "operands", "options", "said"), EXACT_OPERANDS)
def test_numbers_that_no_format_holds_are_said(name, operands, options, said):
    """Not 1 or -1, which stands in their place."""
    with fe.errstate(all="raise"), pytest.raises(fe.FlagError) as caught:
        getattr(fe, name)(*operands, **options)
    assert f"{name}({said})" in str(caught.value)


def test_several_flags_in_one_message():
    with fe.errstate(all="raise", divide_by_zero="ignore"), pytest.raises(fe.FlagError) as caught:
        fe.divide([[1.0, 1.0, 6e4], [0.0, 6e4, 1.0]], [[3.0, 0.0, 0.1], [0.0, 0.3, 3.0]], result="float16")
    assert str(caught.value) == (
        "divide: invalid in 1 of 6 elements, first at [1, 0]: divide(0.0, 0.0) = nan in float16; "
        "also overflow in 2, inexact in 4"
    )
    assert caught.value.index == (1, 0)
    assert caught.value.flags.divide_by_zero.sum() == 1  # all flags are there
    with fe.errstate(all="raise"), pytest.raises(fe.FlagError, match=r"= inf in float16; also inexact$"):
        fe.multiply(6e4, 2, result="float16")
    far = fe.FloatFormat("far", 28, 4)
    with fe.errstate(all="raise"), pytest.raises(fe.FlagError, match=r"multiply\(15 \* 2\*\*\d+, 2\) = inf in far"):
        fe.multiply(fe.Array(far.max_code, far), 2)


def test_every_combination_of_modes():
    """Error, warning or nothing, and the counts in the message, as the flags of every pair say."""
    codes = np.arange(256, dtype=np.uint8)
    x, y = fe.Array(codes[:, None], E5M2), fe.Array(codes[::3], E5M2)
    for modes in itertools.product(("ignore", "warn", "raise"), repeat=5):
        asked = dict(zip(fe.Flags.NAMES, modes, strict=True))
        operation = fe.divide if len(set(modes)) > 1 else fe.add  # which never divides by zero nor underflows
        flags = operation(x, y, return_flags=True)[1]
        hits = {name: getattr(flags, name) for name in reversed(fe.Flags.NAMES) if getattr(flags, name).any()}
        errors, warned = ([name for name in hits if asked[name] == mode] for mode in ("raise", "warn"))
        with warnings.catch_warnings(record=True) as caught, fe.errstate(**asked):
            warnings.simplefilter("always")
            try:
                operation(x, y)
                message = caught[0].message if caught else None
            except fe.FlagError as error:
                message = error
        assert isinstance(message, fe.FlagError if errors else fe.FlagWarning if warned else type(None))
        assert len(caught) == (not errors and bool(warned))
        if message is not None:
            first, *others = errors or warned
            assert message.index == tuple(np.argwhere(hits[first])[0])
            assert message.flags == flags
            start = f"{operation.__name__}: {first} in {hits[first].sum()} of {flags.bits.size} elements, first at "
            also = ", ".join(f"{name} in {hits[name].sum()}" for name in others)
            assert str(message).startswith(f"{start}{list(message.index)}: {operation.__name__}(")
            assert str(message).endswith(f" in {E5M2}; also {also}" if also else f" in {E5M2}")


def test_an_error_comes_before_warnings():
    """Who gets an error gets nothing else."""
    with warnings.catch_warnings(), fe.errstate(all="warn", overflow="raise"):
        warnings.simplefilter("error")
        with pytest.raises(fe.FlagError, match=r"^multiply: overflow.*float16$"):
            fe.multiply(6e4, 2, result="float16")


def test_errors_travel():
    with fe.errstate(all="raise"), pytest.raises(fe.FlagError) as caught:
        RAISING["overflow"]()
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.operation, again.index) == (str(caught.value), "multiply", (1,))
    assert again.flags == caught.value.flags


@pytest.mark.parametrize("fmt", [E4M3, E2M1, E5M2, "float8_e4m3fnuz"])
@pytest.mark.parametrize("overflow", ["standard", "saturate"])
def test_formats_without_infinity(fmt, overflow):
    """The same flags, whatever is delivered."""
    for x, y, flag in ((0.0, 0.0, "invalid"), (-1.0, 0.0, "divide_by_zero"), (1e6, 0.1, "overflow")):
        with fe.errstate(all="raise", inexact="ignore"), pytest.raises(fe.FlagError, match=f"^divide: {flag}: "):
            fe.divide(x, y, result=fmt, overflow=overflow)
    with fe.errstate(all="raise"):
        assert fe.divide(1.0, 2.0, result=fmt, overflow=overflow) == 0.5
    with fe.errstate(all="raise"), pytest.raises(fe.FlagError, match=r"^divide: inexact: "):
        fe.divide(4.0, 3.0, result=fmt, overflow=overflow)


# -- a whole result or none -------------------------------------------------------------------------------------------


def test_nothing_is_written():
    a = fe.array([1.0, 448.0, 448.0], E4M3)
    before = a.codes.copy()
    out, truths = np.full(3, 0x11, np.uint8), np.zeros(3, bool)
    with fe.errstate(overflow="raise", invalid="raise"):
        for write in (
            lambda: fe.add(a, a, out=out),
            lambda: fe.add(a, a, out=a.codes),
            lambda: fe.add(a, a, out=a.codes[::-1]),
            lambda: operator.imul(a, 2),
            lambda: np.add(a, a, out=a),
            lambda: np.cumsum(a, out=a),
            lambda: fe.cumsum(a, out=out),
            lambda: fe.exp(a, out=out),
            lambda: fe.less([1.0, 2.0, NAN], [3.0, 1.0, 0.0], out=truths),
        ):
            out[...], truths[...], a.codes[...] = 0x11, False, before
            with pytest.raises(fe.FlagError):
                write()
            assert out.tolist() == [0x11] * 3
            assert not truths.any()
            assert a.codes.tolist() == before.tolist()
    with fe.errstate(overflow="warn"), warnings.catch_warnings():
        warnings.simplefilter("error", fe.FlagWarning)
        with pytest.raises(fe.FlagWarning):
            fe.add(a, a, out=out)
        with pytest.raises(fe.FlagWarning):
            a += a
    assert out.tolist() == [0x11] * 3
    assert a.codes.tolist() == before.tolist()


def test_no_bit_depends_on_it():
    """Codes and flags in and out of a context; long arrays take faster ways."""
    x = np.random.default_rng(7).normal(size=9000).astype(np.float32) * 200
    a, h = fe.array(x, E4M3), fe.array(x, "float16")
    calls = [
        lambda **how: fe.multiply(a, a[::-1], **how),
        lambda **how: fe.add(h, h[::-1], **how),
        lambda **how: fe.divide(h, a, result="bfloat16", rounding="stochastic", rng=5, **how),
        lambda **how: fe.tanh(h, **how),
        lambda **how: fe.sum(h.reshape(90, 100), axis=0, **how),
        lambda **how: fe.sum(h.reshape(90, 100), axis=0, accumulate="float16", **how),
        lambda **how: fe.cumsum(a[:50], accumulate="bfloat16", **how),
        lambda **how: fe.round_to_integral(h, **how),
    ]
    for call in calls:
        plain = call()
        out = np.empty(plain.shape, plain.codes.dtype)
        with warnings.catch_warnings(), fe.errstate(all="warn"):
            warnings.simplefilter("ignore")
            found, flags = call(return_flags=True)
            call(out=out)
            np.testing.assert_array_equal(call().codes, plain.codes)
        np.testing.assert_array_equal(found.codes, plain.codes)
        np.testing.assert_array_equal(out, plain.codes)
        assert flags == call(return_flags=True)[1]


# -- what takes part --------------------------------------------------------------------------------------------------


def test_operators_and_ufuncs():
    a = fe.array([0.0, 1.0], E5M2)
    with fe.errstate(all="raise"):
        for call in (
            lambda: 1 / a,
            lambda: np.divide(1, a),
            lambda: np.divide.outer(a, a),
            lambda: np.reciprocal(a),
            lambda: a**-1,
            lambda: a < NAN,
            lambda: np.sum(a - INF * a),
            lambda: np.mean(a[:0]),
            lambda: np.dot(a, [1, 0.3]),
        ):
            with pytest.raises(fe.FlagError):
                call()
        assert (a == NAN).tolist() == [False, False]


def test_what_is_no_operation():
    """Casts, and what moves codes."""
    nan = fe.array([NAN, 1.0, -0.0], E5M2)
    with fe.errstate(all="raise"):
        fe.cast([0.1, 1e9, NAN], E4M3)
        fe.encode([0.1, 1e9], "int8")
        a = fe.array([0.1, 1e9, NAN], "float16").astype(E4M3)
        a[0] = 0.3
        assert np.where([True, False, True], a, 0.3).codes[1] == a.codes[0]
        assert np.isnan(np.max(nan).values)
        assert np.sort(nan).values.tolist()[:2] == [0, 1]
        assert np.clip(nan, 0, 0.3).values.tolist()[1:] == [0.3125, 0]
        assert not np.array_equal(SIGNALLING, SIGNALLING)
        assert (-SIGNALLING).codes == [0xFC01]
        assert fe.is_nan(nan).tolist() == [True, False, False]
        assert fe.total_order(1, SIGNALLING).all()
        assert fe.next_up(nan).values[1] == 1.25


def test_profiles_without_flags():
    a = fe.array([1.0], "bfloat16", profile="torch-2.11")
    for call in (lambda: a + a, lambda: fe.sum(a)):
        with fe.errstate(invalid="warn"), pytest.raises(ValueError, match=r"use fe.errstate\(all='ignore'\)"):
            call()
        with fe.errstate(invalid="warn"), fe.errstate(all="ignore"):
            assert call().values == call().values


# -- contexts ---------------------------------------------------------------------------------------------------------


def raised(flag):
    """Whether a flag is an error here."""
    try:
        RAISING[flag]()
    except fe.FlagError:
        return True
    return False


def test_nesting():
    with fe.errstate(invalid="raise"):
        assert raised("invalid")
        assert not raised("overflow")
        with fe.errstate(overflow="raise"):
            assert raised("invalid")
            assert raised("overflow")
            with fe.errstate(all="ignore", overflow="raise"):
                assert not raised("invalid")
                assert raised("overflow")
            with fe.errstate(all="ignore"):
                assert not raised("overflow")
            assert raised("invalid")
        assert not raised("overflow")
    assert not raised("invalid")


def test_one_context_many_times():
    strict = fe.errstate(all="raise")
    with strict, strict:
        with strict:
            assert raised("inexact")
        assert raised("inexact")
    assert not raised("inexact")
    with pytest.raises(KeyError), strict:
        raise KeyError
    assert not raised("inexact")
    assert repr(fe.errstate(invalid="raise", overflow="warn")) == "errstate(invalid='raise', overflow='warn')"


def test_decorator():
    @fe.errstate(invalid="raise")
    def strict(depth):
        """Has its own words."""
        assert raised("invalid")
        return strict(depth - 1) if depth else raised("overflow")

    assert not strict(2)
    assert strict.__doc__ == "Has its own words."
    assert not raised("invalid")

    def generator():
        yield 1

    async def asynchronous():
        yield 1

    for function in (generator, asynchronous):
        with pytest.raises(TypeError, match="cannot decorate a generator function"):
            fe.errstate(all="raise")(function)


def test_threads():
    """New threads begin without; each has its own; one errstate serves several."""
    strict, barrier = fe.errstate(invalid="raise"), threading.Barrier(2, timeout=60)

    def thread(which):
        first = raised("invalid")
        if which:
            with strict:
                barrier.wait()
                inside = raised("invalid")
                barrier.wait()
        else:
            barrier.wait()
            inside = raised("invalid")
            barrier.wait()
        return first, inside, raised("invalid")

    with strict, ThreadPoolExecutor(2) as pool:
        assert list(pool.map(thread, (0, 1))) == [(False, False, False), (False, True, False)]
        assert raised("invalid")
        copied = contextvars.copy_context()
        assert pool.submit(copied.run, raised, "invalid").result()
    assert not raised("invalid")


def test_tasks():
    """A task has the context that it is made in; what it enters is its own."""

    async def task(mode, turn, other):
        with fe.errstate(invalid=mode):
            turn.set()
            await other.wait()
            return raised("invalid"), raised("overflow")

    @fe.errstate(divide_by_zero="raise")
    async def decorated():
        await asyncio.sleep(0)
        return raised("divide_by_zero")

    async def main():
        one, two = asyncio.Event(), asyncio.Event()
        with fe.errstate(overflow="raise"):
            tasks = [asyncio.create_task(task("raise", one, two)), asyncio.create_task(task("ignore", two, one))]
        found = await asyncio.gather(*tasks)
        assert not raised("overflow")
        return found, await decorated(), raised("divide_by_zero")

    assert asyncio.run(main()) == ([(True, True), (False, True)], True, False)


# -- warnings ---------------------------------------------------------------------------------------------------------


def test_warnings_point_to_the_caller():
    a = fe.array([448.0], E4M3)
    calls = [lambda: a + a, lambda: fe.add(a, a), lambda: np.add(a, a), lambda: fe.sum([400, 400.0], result=E4M3)]
    calls += [lambda: np.mean(a[:0]), lambda: fe.less(a, NAN), lambda: np.cumsum(np.tile(a, 2)), lambda: a**2]
    calls.append(fe.errstate(overflow="warn")(lambda: a + a))
    for call in calls:
        with warnings.catch_warnings(record=True) as caught, fe.errstate(overflow="warn", invalid="warn"):
            warnings.simplefilter("always")
            call()
        assert [Path(warning.filename).name for warning in caught] == [Path(__file__).name]


def test_refused():
    for call, error, match in (
        (
            lambda: fe.errstate(invalid="rais"),
            ValueError,
            "mode of invalid 'rais': allowed are ignore, warn, raise; did you mean 'raise'",
        ),
        (lambda: fe.errstate(all="print"), ValueError, "unknown errstate mode of all 'print'"),
        (lambda: fe.errstate(overflow=True), TypeError, "errstate mode of overflow must be a str, not bool"),
        (lambda: fe.errstate(divide="raise"), TypeError, "divide"),
        (lambda: fe.errstate("raise"), TypeError, "positional"),
    ):
        with pytest.raises(error, match=match):
            call()

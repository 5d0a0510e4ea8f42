"""What Arrays refuse: the call to make instead is named, it can be made, and gives what numpy gives of the values."""

from __future__ import annotations

import functools
import itertools
import math
import operator
import re
from fractions import Fraction

import numpy as np
import pytest

import fpemu as fe
from fpemu.arrays import advice
from fpemu.arrays import functions as array_functions
from fpemu.arrays import ufuncs as array_ufuncs
from fpemu.inspection.expressions import parse_expression
from fpemu.inspection.operations import find_operation

A = fe.array([[3.0, -1.0, 1.0], [0.0, 6.0, -3.0]], "float16")
PARTS = np, np.linalg, np.fft, np.lib.stride_tricks, np.emath, np.char, np.polynomial.polynomial


def names(text):
    return frozenset(text.split())


STATEMENTS = names("put place putmask copyto fill_diagonal savetxt save savez savez_compressed")
OF_ONE = names(
    """trace linalg.trace prod cumprod cumulative_sum std var average ptp nanmax nanmin nansum nanmean nancumsum
    nan_to_num diff ediff1d trapezoid round around fix sign conjugate conj real imag tan log10 log1p expm1 sinh cosh
    degrees rad2deg radians deg2rad modf isposinf isneginf logical_not diag linalg.diagonal matrix_transpose
    linalg.matrix_transpose tril triu unstack unique cov linalg.norm frexp"""
)
OF_TWO = names(
    """matmul linalg.matmul outer linalg.outer vdot linalg.vecdot kron cross linalg.cross hypot heaviside floor_divide
    remainder divmod logical_and logical_or logical_xor array_equiv isin append convolve correlate inner"""
)


def values(x):
    return x.values if isinstance(x, fe.Array) else x


def dispatching():
    """Every function of numpy that asks its arguments, with its name, and every ufunc."""
    seen = {}
    for module in PARTS:
        for name in dir(module):
            member = getattr(module, name)
            if isinstance(member, np.ufunc) or type(member).__name__ == "_ArrayFunctionDispatcher":
                seen.setdefault(id(member), member)
    return list(seen.values())


def refused(member):
    ufunc = isinstance(member, np.ufunc)
    refuse = functools.partial(array_ufuncs.ufunc_function if ufunc else array_functions.call_function, member)
    with pytest.raises(TypeError) as caught:
        refuse(*(() if ufunc else ((A,), {})))
    return str(caught.value)


def test_advice_is_short_and_names_no_other_function():
    tables = {**array_functions.NUMPY_FUNCTIONS, **array_ufuncs.UFUNCS}
    others = [member for member in dispatching() if member not in tables]
    assert len(others) > 200
    for member in others:
        text = refused(member)
        assert len(text) <= 300, text
        assert "did you mean" not in text
        assert text.startswith("np.")
        assert member.__name__ in text


def test_the_table_of_advice_has_no_name_too_many():
    tables = {**array_functions.NUMPY_FUNCTIONS, **array_ufuncs.UFUNCS}
    assert len(advice.INSTEAD) >= 60
    for name in advice.INSTEAD:
        member = np
        for part in name.split("."):
            member = getattr(member, part)
        assert member not in tables, name
        assert refused(member) == advice.numpy_refusal(member.__name__ if isinstance(member, np.ufunc) else name)


@pytest.mark.parametrize("name", advice.INSTEAD)
def test_advice_works(name, tmp_path):
    """The call that is named can be made; and gives what numpy's gives of the values, where both take the same."""
    code = advice.INSTEAD[name].partition(", which ")[0]
    path = tmp_path / ("x.txt" if name == "savetxt" else "x.npz")
    theirs = functools.reduce(getattr, name.split("."), np)
    more = {"mode": "valid"} if name in ("convolve", "correlate") else {}
    done = 0
    for shape in ((3, 3), (3,), (6,)):
        rng = np.random.default_rng(0)
        x, y = (rng.integers(1, 5, shape) + np.arange(shape[-1], dtype=float) for _ in range(2))
        if shape == (6,) and more:
            y = y[:3]
        words = {"np": np, "fpemu": fe, "functools": functools, "itertools": itertools, "path": path, "q": 0.5}
        words |= {"A": fe.array(x, "float16"), "B": fe.array(y, "float16")}
        operands = (x,) if name in OF_ONE else (x, y) if name in OF_TWO else ()
        try:
            exec(f"found = {code}" if name not in STATEMENTS else code, words)
            expected = theirs(*operands, **more) if operands else None
        except (ValueError, IndexError, np.linalg.LinAlgError):  # of matrices, or of vectors
            continue
        done += 1
        if operands:
            found = words["found"] if isinstance(expected, list | tuple) else (words["found"],)
            for one, other in zip(found, expected if isinstance(expected, list | tuple) else (expected,), strict=True):
                np.testing.assert_allclose(np.asarray(values(one)), other, rtol=1e-2, err_msg=name)
    assert done


BINARY = ("floordiv", "mod", "lshift", "rshift", "and_", "or_", "xor", "matmul")
BINARY_OPERATORS = [*(getattr(operator, name) for name in BINARY), divmod]


@pytest.mark.parametrize("do", BINARY_OPERATORS, ids=lambda do: do.__name__)
@pytest.mark.parametrize("fmt", ["float16", "int8"])
def test_operators_say_what_to_do(do, fmt):
    """Every operator of Python's that Arrays have not names the call, on either side, in place."""
    a = fe.array([[1, 2], [3, 4]], fmt)
    for left, right in ((a, a), (a, 2), (2, a), (a, [[1, 2], [3, 4]]), (a, np.ones((2, 2))), (np.ones((2, 2), int), a)):
        with pytest.raises(TypeError, match=r"^np\.\w+ does not work on Arrays: use \S"):
            do(left, right)
    in_place = getattr(operator, f"i{do.__name__.strip('_')}", None)
    if in_place is not None:
        with pytest.raises(TypeError, match="use "):
            in_place(a, 2)
    with pytest.raises(TypeError, match="use "):
        operator.invert(a)
    with pytest.raises(TypeError, match=r"unsupported operand type.* pow\(\)"):
        pow(a, 2, 3)


@pytest.mark.parametrize("signs", [(1, 1), (-1, 1), (1, -1), (-1, -1)])
def test_advised_quotients_are_exact(signs):
    """The quotient that numpy's floor_divide and divmod's part are, where a rounded quotient is the next integer."""
    rng = np.random.default_rng(3)
    x = np.append(rng.integers(1, 2048, 500), [2047, 2045]).astype(float) * signs[0]
    y = np.append(rng.integers(1, 64, 500), [2048, 2046]).astype(float) * signs[1]
    a, b = fe.array(x, "float16"), fe.array(y, "float16")
    exact = [Fraction(p) / Fraction(q) for p, q in zip(x.tolist(), y.tolist(), strict=True)]
    floors, truncated = (np.array([do(each) for each in exact]) for do in (math.floor, math.trunc))
    words = {"np": np, "fpemu": fe, "A": a, "B": b}
    assert np.array_equal(eval(advice.INSTEAD["floor_divide"], words).values, floors)
    quotient, rest = eval(advice.INSTEAD["divmod"].partition(", which ")[0], words)
    assert np.array_equal(quotient.values, truncated)
    assert np.array_equal(rest.values, np.fmod(x, y))


def test_products_of_matrices():
    """What `@`, np.matmul and np.dot name instead."""
    a, b = fe.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], "float16"), fe.array(np.eye(3)[:, :2], "float16")
    assert np.array_equal(fe.vecdot(a[:, None, :], b.T).values, a.values @ b.values)
    for call in (lambda: a @ b, lambda: np.matmul(a, b), lambda: np.dot(a, b), lambda: a.values @ b):
        with pytest.raises((TypeError, ValueError), match=r"fpemu.vecdot\(A\[:, None, :\], B.T\) for the product"):
            call()
    for call in (lambda: fe.dot(a, b), lambda: a.dot(b), lambda: fe.dot(a.values, b.values, result="float16")):
        with pytest.raises(ValueError, match=r"not \(2, 3\) and \(3, 2\): use fpemu.vecdot\(A, B\).*B.T\)"):
            call()
    for call in (lambda: fe.dot(a[0], 2), lambda: np.dot(a[0], 2), lambda: fe.vecdot(2, a), lambda: fe.dot(a, a[0, 0])):
        with pytest.raises(ValueError, match=r"use fpemu.multiply"):
            call()
    vector = fe.array([1.0, 2.0, 3.0], "float16")
    assert np.array_equal(fe.vecdot(a, vector).values, a.values @ vector.values)
    assert np.array_equal(fe.vecdot(vector, a).values, vector.values @ a.values.T)


# -- errors about names, and what is echoed in them -------------------------------------------------------------------

LONG = "x" * 5000
X = np.ones(32, np.float32)
ABOUT_NAMES = {
    "dtype": fe.dtype,
    "scheme": fe.scheme,
    "profile": fe.profile,
    "rounding_mode": fe.rounding_mode,
    "cast": lambda name: fe.cast(X, name),
    "profile=": lambda name: fe.cast(X, "bf16", profile=name),
    "rounding=": lambda name: fe.cast(X, "bf16", rounding=name),
    "overflow=": lambda name: fe.cast(X, "bf16", overflow=name),
    "source=": lambda name: fe.cast(X, "bf16", source=name),
    "dtype=": lambda name: fe.cast(X, "bf16", dtype=name),
    "text": lambda name: fe.cast(name, "bf16"),
    "texts": lambda name: fe.cast([name, "1"], "bf16"),
    "scale_rule=": lambda name: fe.quantize(X, "mxfp4", scale_rule=name),
    "block=": lambda name: fe.quantize(X, "mxfp4", block=name),
    "profile= of quantize": lambda name: fe.quantize(X, "mxfp4", profile=name),
    "method": lambda name: fe.calibrate(X, "mxfp4", name),
    "report": lambda name: fe.report(X, name),
    "scale=": lambda name: fe.report(X, "bf16", name),
    "profile= of report": lambda name: fe.report(X, "bf16", profile=name),
    "order=": lambda name: fe.pack([1], "int4", order=name),
    "accumulate=": lambda name: fe.sum(X, result="bf16", accumulate=name),
    "summation=": lambda name: fe.sum(X, result="bf16", summation=name),
    "products=": lambda name: fe.vecdot(X, X, result="bf16", products=name),
    "invalid=": lambda name: fe.errstate(invalid=name),
    "extremum=": lambda name: fe.maximum(1, 2, result="bf16", extremum=name),
    "Stochastic": fe.Stochastic,
    "Profile": lambda name: fe.Profile("p", overflow=name),
    "FloatFormat": lambda name: fe.FloatFormat("a", 8, 4, nan=name),
    "ScaledFormat": lambda name: fe.ScaledFormat("int8", 32, name),
    "axis=": lambda name: fe.sum(X, axis=name, result="bf16"),
    "keepdims=": lambda name: np.max(A, keepdims=name),
    "a keyword": lambda name: fe.cast(X, "bf16", **{name if isinstance(name, str) else "x": 1}),
}
MISTAKEN = ["nearest", "float", "torch", "absmaxx", "fp8_e4m3_tensr", "stochastik", "towards_zero", "", "gptq", LONG]


@pytest.mark.parametrize("what", ABOUT_NAMES)
def test_errors_about_names_are_short(what):
    """Whatever is given is told in a few words, and with it what is allowed or who lists it."""
    told = 0
    for name in (*MISTAKEN, {LONG: 1}, [LONG] * 9, tuple(range(5000)), -(10**2000)):
        try:
            ABOUT_NAMES[what](name)
        except (TypeError, ValueError) as error:
            told += 1
            text = str(error)
            assert 0 < len(text) <= 300, name
            assert "\n" not in text
        except OverflowError:  # from Python itself
            told += 1
    assert told > 5


@pytest.mark.parametrize("name", ["f5", "f9", "<f5", "fp4x", "float9", "f48", "flt8", "mxpf"])
def test_names_that_are_near_are_names(name):
    """What an error suggests can be given in place of what was given."""
    for call in (fe.dtype, fe.scheme, lambda name: fe.report(X, name, source=None)):
        with pytest.raises(ValueError, match="unknown") as caught:
            call(name)
        near = re.findall("'([^']*)'", str(caught.value).partition("did you mean ")[2])
        for other in near:
            call(other)


@pytest.mark.parametrize(
    "call",
    [
        lambda: fe.sum([1], result="bf16", products="exact"),
        lambda: fe.errstate(zero="raise"),
        lambda: fe.dtype("foo"),
        lambda: find_operation("equal"),
        lambda: find_operation("convert"),
        lambda: parse_expression("x + 1"),
    ],
)
def test_what_is_not_near_is_not_suggested(call):
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert "did you mean" not in str(caught.value)


def test_generators_of_others_are_told_apart():
    for rng in (np.random.RandomState(0), np.random.SeedSequence(1), np.random.PCG64(2), np.arange(3)):
        with pytest.raises(TypeError, match=r"not numpy\S*\.\w+: use np\.random\.default_rng\(rng\)"):
            fe.cast(X, "bf16", rounding="stochastic", rng=rng)
        fe.cast(X, "bf16", rounding="stochastic", rng=np.random.default_rng(rng))
    other = type("Generator", (), {"__module__": "torch"})()
    with pytest.raises(TypeError, match=r"not torch\.Generator"):
        fe.cast(X, "bf16", rounding="stochastic", rng=other)


def test_operators_tell_what_ufuncs_tell():
    """Every operator of Python's that numpy's arrays have: a result, or the advice of numpy's function."""
    a = fe.array([1, 2], "int8")
    told = {
        "floor_divide": [lambda: a // 2, lambda: 2 // a],
        "divmod": [lambda: divmod(a, 2), lambda: divmod(2, a)],
        "bitwise_and": [lambda: a & 1, lambda: 1 & a],
        "bitwise_or": [lambda: a | 1, lambda: 1 | a],
        "bitwise_xor": [lambda: a ^ 1, lambda: 1 ^ a],
        "left_shift": [lambda: a << 1, lambda: 1 << a],
        "right_shift": [lambda: a >> 1, lambda: 1 >> a],
        "invert": [lambda: ~a],
        "round": [lambda: round(a), lambda: round(a[0], 1)],
        "remainder": [lambda: a % 2, lambda: 2 % a],
        "matmul": [lambda: a @ a],
    }
    for name, calls in told.items():
        for call in calls:
            with pytest.raises(TypeError) as caught:
                call()
            assert str(caught.value) == advice.numpy_refusal(name)
    operators = {name for name in dir(np.ndarray) if name.startswith("__") and callable(getattr(np.ndarray, name))}
    binary = {name for name in operators if getattr(object, name, None) is not getattr(np.ndarray, name)}
    missing = {name for name in binary if not hasattr(fe.Array, name)}
    assert not {
        name for name in missing if not name.startswith("__i") and "array" not in name and "dlpack" not in name
    } - {
        *("__class_getitem__", "__complex__", "__delitem__", "__index__", "__buffer__"),
    }

"""numpy's ufuncs and functions on Arrays: each row of docs/reference/array.md, against numpy on the values."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import fpemu as fe
from fpemu.arrays import functions as array_functions
from fpemu.arrays import ufuncs as array_ufuncs

PAGE = (Path(__file__).parents[2] / "docs/reference/array.md").read_text(encoding="utf-8")
E5M2 = "float8_e5m2"
X = fe.array([[1.5, -2.0, 3.0], [0.25, -0.0, 4.0]], E5M2)
Y = fe.array([[1.5, 0.5, -3.0], [7.0, -0.0, 0.25]], E5M2)
NAN = fe.array([[1.0, np.nan, -2.0], [np.inf, -0.0, np.nan]], E5M2)

CASES = {
    "reshape": lambda x, y: [np.reshape(x, (3, 2)), np.reshape(x, shape=(-1,), order="F")],
    "ravel": lambda x, y: [np.ravel(x), np.ravel(x, "F")],
    "transpose": lambda x, y: [np.transpose(x), np.transpose(x, (1, 0))],
    "moveaxis": lambda x, y: np.moveaxis(x, 0, 1),
    "swapaxes": lambda x, y: np.swapaxes(x, 0, -1),
    "squeeze": lambda x, y: np.squeeze(x[:1], axis=0),
    "expand_dims": lambda x, y: np.expand_dims(x, (0, 2)),
    "broadcast_to": lambda x, y: np.broadcast_to(x, (4, 2, 3)),
    "repeat": lambda x, y: np.repeat(x, [1, 2], axis=0),
    "tile": lambda x, y: np.tile(x, 2),
    "flip": lambda x, y: [np.flip(x), np.flip(m=x, axis=1)],
    "fliplr": lambda x, y: np.fliplr(x),
    "flipud": lambda x, y: np.flipud(x),
    "rot90": lambda x, y: np.rot90(x),
    "roll": lambda x, y: np.roll(x, 1, axis=1),
    "take": lambda x, y: [np.take(x, [3, 0]), np.take(x, 1, axis=1)],
    "take_along_axis": lambda x, y: np.take_along_axis(x, np.array([[1], [0]]), axis=1),
    "diagonal": lambda x, y: np.diagonal(x),
    "delete": lambda x, y: np.delete(x, 1, axis=1),
    "copy": lambda x, y: np.copy(x),
    "split": lambda x, y: np.split(x, 3, axis=1),
    "array_split": lambda x, y: np.array_split(x, 2, axis=1),
    "vsplit": lambda x, y: np.vsplit(x, 2),
    "hsplit": lambda x, y: np.hsplit(x, [1]),
    "dsplit": lambda x, y: np.dsplit(x[None], 3),
    "concatenate": lambda x, y: [np.concatenate([x, y, x], axis=1), np.concatenate((x, y), None), np.concatenate(x)],
    "stack": lambda x, y: [np.stack([x, y], axis=-1), np.stack(x)],
    "vstack": lambda x, y: np.vstack([x, y]),
    "hstack": lambda x, y: np.hstack((x, [[0.5], [2]])),
    "dstack": lambda x, y: np.dstack([x, y]),
    "column_stack": lambda x, y: np.column_stack([x[0], y[0]]),
    "broadcast_arrays": lambda x, y: np.broadcast_arrays(x, y[:1], np.arange(3.0)),
    "atleast_1d": lambda x, y: [np.atleast_1d(x[0, 0]), np.atleast_1d(x, 3.0)],
    "atleast_2d": lambda x, y: np.atleast_2d(x[0]),
    "atleast_3d": lambda x, y: np.atleast_3d(x),
    "shape": lambda x, y: np.shape(x),
    "ndim": lambda x, y: np.ndim(x),
    "size": lambda x, y: [np.size(x), np.size(x, axis=1)],
    "shares_memory": lambda x, y: [np.shares_memory(x, x[0]), np.shares_memory(x, y)],
    "may_share_memory": lambda x, y: np.may_share_memory(x, x.T),
    "empty_like": lambda x, y: np.shape(np.empty_like(x, shape=(4,))),
    "zeros_like": lambda x, y: np.zeros_like(x),
    "ones_like": lambda x, y: np.ones_like(x, shape=(2,)),
    "full_like": lambda x, y: np.full_like(x, 0.75),
    "where": lambda x, y: [np.where(x > y, x, y), np.where(x < 1, 0.5, x), np.where(x), np.where(x, 1.0, 2.0)],
    "any": lambda x, y: [np.any(x), np.any(x, axis=0, keepdims=True)],
    "all": lambda x, y: [np.all(x), np.all(x, axis=1)],
    "nonzero": lambda x, y: np.nonzero(x),
    "flatnonzero": lambda x, y: np.flatnonzero(x),
    "count_nonzero": lambda x, y: [np.count_nonzero(x), np.count_nonzero(x, axis=0)],
    "argwhere": lambda x, y: np.argwhere(x),
    "sort": lambda x, y: [np.sort(x), np.sort(x, axis=0, kind="stable"), np.sort(x, axis=None)],
    "argsort": lambda x, y: [np.argsort(x), np.argsort(x, axis=0), np.argsort(x, axis=None)],
    "max": lambda x, y: [np.max(x), np.max(x, axis=0), np.max(x, axis=(0, -1), keepdims=True), np.max(x, 1)],
    "amax": lambda x, y: np.amax(x, axis=1, keepdims=True),
    "min": lambda x, y: [np.min(x), np.min(x[None], axis=(0, 2)), np.min(x, axis=-1)],
    "amin": lambda x, y: np.amin(x, axis=0),
    "argmax": lambda x, y: [np.argmax(x), np.argmax(x, axis=1), np.argmax(x, 0, keepdims=True), np.argmax(x[0, 0])],
    "argmin": lambda x, y: [np.argmin(x), np.argmin(x, axis=0), np.argmin(x, keepdims=True)],
    "clip": lambda x, y: [np.clip(x, -1, 2), np.clip(x, None, y), np.clip(x, a_min=y, a_max=3), np.clip(x, np.nan, 3)],
    "array_equal": lambda x, y: [np.array_equal(x, x), np.array_equal(x, y), np.array_equal(x, x[0])],
    "sum": lambda x, y: [np.sum(x), np.sum(x, axis=1), np.sum(x, (0, 1), keepdims=True)],
    "mean": lambda x, y: [np.mean(x[:, :2]), np.mean(x[:, :2], 0)],
    "cumsum": lambda x, y: [np.cumsum(x), np.cumsum(x, axis=1)],
    "dot": lambda x, y: np.dot(x[0], y[1]),
    "isclose": lambda x, y: np.isclose(x, y, rtol=0.5),
    "allclose": lambda x, y: np.allclose(x, x),
    "array2string": lambda x, y: np.array2string(x, precision=1),
}


def section(title):
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(title):
    """The names in the first column of a section's table."""
    cells = re.findall(r"^\| (`[^|]*`) \|", section(title), re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


def test_the_page_lists_what_works():
    """Whoever adds a line to a table of the code adds the name to the page."""
    assert sorted(rows("Operators and ufuncs")) == sorted(ufunc.__name__ for ufunc in array_ufuncs.UFUNCS)
    assert sorted(rows("numpy's functions")) == sorted(
        function.__name__ for function in array_functions.NUMPY_FUNCTIONS
    )


def plain(found):
    """Results of Arrays as those of their values."""
    if isinstance(found, list | tuple):
        return [plain(part) for part in found]
    return np.asarray(found) if isinstance(found, fe.Array) else found


def check_same(found, expected):
    if isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            check_same(one, other)
    elif isinstance(expected, str):
        assert found == expected
    else:
        assert np.shape(found) == np.shape(expected)
        np.testing.assert_array_equal(found, expected)
        if np.asarray(expected).dtype.kind == "f":
            numbers = ~np.isnan(expected)
            np.testing.assert_array_equal(np.signbit(found)[numbers], np.signbit(expected)[numbers])


def rounded(values):
    return np.asarray(fe.cast(values, E5M2))


@pytest.mark.parametrize(
    "name", sorted({f.__name__ for f in array_functions.NUMPY_FUNCTIONS} - {"array_repr", "array_str"})
)
def test_functions(name):
    """As numpy on the values; no element is moved that numpy does not move."""
    with np.errstate(all="ignore"):
        for x, y in ((X, Y), (NAN, X)):
            expected = plain(CASES[name](x.values, y.values))
            if name in ("sum", "mean", "cumsum", "dot"):  # numpy's are exact here
                expected = [rounded(part) for part in expected] if isinstance(expected, list) else rounded(expected)
            check_same(plain(CASES[name](x, y)), expected)
    found = CASES[name](X, Y)
    for part in found if isinstance(found, list | tuple) else [found]:
        if isinstance(part, fe.Array):
            assert part.format == X.format
            assert part.profile == X.profile


OTHERWISE = {np.ldexp, np.power, np.vecdot}  # tested by themselves


@pytest.mark.parametrize(
    "ufunc", [ufunc for ufunc in array_ufuncs.UFUNCS if ufunc not in OTHERWISE], ids=lambda ufunc: ufunc.__name__
)
def test_ufuncs(ufunc):
    """As float64, rounded once more: eight bits' sums, products, quotients and roots are innocuous."""
    for x, y in ((X, Y), (NAN, X)):
        operands = (x, y)[: ufunc.nin]
        with np.errstate(all="ignore"):
            expected = ufunc(*(np.asarray(a, np.float64) for a in operands))
        found = ufunc(*operands)
        if expected.dtype != np.bool_:
            assert isinstance(found, fe.Array)
            expected = fe.cast(expected, E5M2, dtype=np.float32)
        check_same(plain(found), expected)
        if ufunc.nin == 2:
            check_same(plain(ufunc(x, np.asarray(y, np.float64))), expected)
            check_same(plain(ufunc(np.asarray(x, np.float64), y)), expected)
            check_same(plain(ufunc.outer(x, y[0])), plain(ufunc(x[..., None], y[0])))
        out = fe.array(np.zeros(x.shape), E5M2) if isinstance(found, fe.Array) else np.zeros(x.shape, np.bool_)
        assert ufunc(*operands, out=out) is out
        check_same(plain(out), expected)


def test_ufuncs_of_other_operands():
    assert np.ldexp(X, 2).values.tolist() == (X.values * 4).tolist()
    a = fe.array([2.0, 3.0, 0.5], "float8_e5m2")
    assert np.power(a, 2).values.tolist() == (a**2).values.tolist() == [4, 8, 0.25]  # 9 is a tie of 8 and 10
    assert (a**0.5).values.tolist() == fe.pow(a, fe.array(0.5, a.format)).values.tolist()
    assert (2 ** fe.array([1, 3], "int4")).values.tolist() == [2, 7]
    assert (a**0.3).values.tolist() == fe.cast(a.values**0.3, a.format).tolist()
    check_same(plain(np.vecdot(X, Y)), rounded(np.sum(X.values * Y.values, axis=-1)))


def test_text():
    a = X.with_profile("torch")
    assert np.array_repr(a) == np.array_str(a) == repr(a)
    assert "profile='torch-2.14'" in repr(a)


def test_views_share_codes():
    a = X.copy()
    for view in (np.reshape(a, -1), np.transpose(a), a.T, a[0], a[:, ::2], a.reshape(3, 2), a.ravel(), np.flip(a)):
        assert np.shares_memory(view, a)
    for copy in (a.flatten(), a.copy(), np.copy(a), a[[0, 1]], np.sort(a), np.clip(a, None, None), +a):
        assert not np.shares_memory(copy, a)


def test_plain_values_that_join_are_cast():
    a = fe.array([1.0, 2.0], "float8_e4m3fn", profile="torch")
    joined = np.concatenate([[1e9, 0.3], a])
    assert joined.profile == a.profile
    assert joined.values.tolist() == [448, 0.3125, 1, 2]  # its profile saturates
    assert np.where([True, False], a, 0.3).values.tolist() == [1, 0.3125]
    assert np.full_like(a, 0.3).values.tolist() == [0.3125, 0.3125]
    assert np.clip(a, 0, 1.03).values.tolist() == [1, 1]
    assert np.clip(a, 1.03, 9).values.tolist() == [1, 2]
    assert np.ones_like(fe.Array([3], "float8_e8m0fnu")).values == 1


def test_functions_into():
    a, out = X.copy(), np.zeros_like(X)
    assert np.clip(a, 0, 1, out=out) is out
    check_same(plain(out), np.clip(a.values, 0, 1))
    assert np.take(a, [0, 1, 2], out=out[0]).shape == (3,)
    check_same(plain(out[0]), a.values[0])
    assert np.concatenate([a[:1], a[:1]], out=out) is out
    check_same(plain(out), a.values[[0, 0]])


def test_refused():
    a, b = X, fe.array([[1.0]], "bfloat16")
    other = X.with_profile("torch")
    for call, error, match in (
        (
            lambda: np.tan(a),
            TypeError,
            r"np.tan does not work on Arrays: use fpemu.sin\(A\) / fpemu.cos\(A\)",
        ),
        (lambda: np.linalg.norm(a), TypeError, r"np.linalg.norm does not work on Arrays: use fpemu.sqrt"),
        (lambda: np.fft.fft(a), TypeError, r"np.fft.fft does not work on Arrays; on values: np.fft.fft\(A.values\)"),
        (lambda: np.median(a), TypeError, r"use np.sort\(A, axis=None\)"),
        (lambda: np.savez("x", a), TypeError, r"fpemu.save\(path, name=A\)"),
        (lambda: np.save("x", a), TypeError, r"fpemu.save"),
        (lambda: np.add.accumulate(a), TypeError, "np.add.accumulate does not work"),
        (lambda: np.maximum.reduce(a), TypeError, r"np.max\(A\)"),
        (lambda: np.add.at(a, 0, 1), TypeError, r"A\[i\] = np.add"),
        (lambda: np.add(a, a, where=[True, False, True]), TypeError, r"np.where\(mask, result, A\)"),
        (lambda: np.add(a, a, dtype=np.float64), TypeError, "result="),
        (lambda: np.add(a, a, signature="dd->d"), TypeError, "signature= does not work"),
        (lambda: np.add(a, b), ValueError, "float8_e5m2 and bfloat16: use result="),
        (lambda: np.add(a, other), ValueError, "profiles, ieee and torch-2.14, differ"),
        (lambda: np.concatenate([a, b]), ValueError, r"A.astype\('float8_e5m2'\)"),
        (lambda: np.stack([a, other]), ValueError, "with_profile"),
        (lambda: np.where(True, a, b), ValueError, "astype"),
        (lambda: np.concatenate([a, a], dtype=np.float32), TypeError, "dtype="),
        (lambda: np.zeros_like(a, dtype=np.float32), TypeError, "dtype="),
        (lambda: np.max(a, initial=3), TypeError, "initial="),
        (lambda: np.max(a[:0]), ValueError, "empty"),
        (lambda: np.take(a, fe.array([0, 1], "uint8")), TypeError, "only the first argument can be an Array"),
        (lambda: np.clip(a, 0, 1, out=np.zeros(a.shape)), TypeError, "out must be an Array of float8_e5m2"),
        (lambda: np.add(a, 1, out=np.zeros(a.shape)), TypeError, "out must be an Array.*array of float64"),
        (lambda: np.add(a, 1, out=np.zeros(a.shape, bool)), TypeError, "out must be an Array of float8_e5m2"),
        (lambda: np.add(a, 1, out=other.copy()), ValueError, "differ"),
        (lambda: np.add(a, 1, out=fe.array(np.zeros(a.shape), "bfloat16")), ValueError, "float8_e5m2 and bfloat16"),
        (lambda: np.add(a, 1, out=a[0].copy()), ValueError, r"shape \(2, 3\), not \(3,\)"),
        (lambda: np.equal(a, 1, out=a.copy()), TypeError, "truth values"),
        (lambda: np.add(1.0, 1.0, out=a.copy()), TypeError, "no operand is an Array"),
        (lambda: np.matmul(a, a.T), TypeError, "fpemu.vecdot"),
        (lambda: np.dot(a, a.T), ValueError, "two vectors.*fpemu.vecdot"),
        (lambda: np.sum(a, dtype=float), TypeError, "dtype="),
        (lambda: np.sum(a, where=a > 1), TypeError, "where="),
        (lambda: np.add.reduce(a), TypeError, r"np.sum\(A\)"),
    ):
        with pytest.raises(error, match=match):
            call()


def test_other_classes_get_their_turn():
    """A class with a rule of its own for ufuncs and functions is asked."""

    class Other:
        def __array_ufunc__(self, ufunc, method, *inputs, **keywords):
            return "other ufunc"

        def __array_function__(self, function, types, args, keywords):
            return "other function"

        def __radd__(self, other):
            return "other operator"

    assert np.add(X, Other()) == "other ufunc"
    assert np.concatenate([X, Other()]) == "other function"
    assert X + Other() == "other operator"

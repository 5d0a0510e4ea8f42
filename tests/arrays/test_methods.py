"""An Array's methods: numpy's on the values, fpemu's functions with their options, nothing else."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import numpy as np
import pytest

import fpemu as fe
from fpemu.arrays.numpy_interface import NumpyInterface

E5M2 = "float8_e5m2"
VALUES = [[1.5, -2.0, 3.0], [0.25, -0.0, 4.0]]
X = fe.array(VALUES, E5M2)
NAN = fe.array([[1.0, np.nan, -2.0], [np.inf, -0.0, np.nan]], E5M2)

# method -> calls of it, of Arrays and of numpy's arrays alike
ALIKE = {
    "max": [lambda a: a.max(), lambda a: a.max(0), lambda a: a.max(axis=(0, 1), keepdims=True)],
    "min": [lambda a: a.min(), lambda a: a.min(axis=1, keepdims=True)],
    "argmax": [lambda a: a.argmax(), lambda a: a.argmax(1), lambda a: a.argmax(0, keepdims=True)],
    "argmin": [lambda a: a.argmin(), lambda a: a.argmin(axis=0)],
    "clip": [
        lambda a: a.clip(-1, 2),
        lambda a: a.clip(max=[1.0, 2.0, 3.0]),
        lambda a: a.clip(0.5),
        lambda a: a.clip(min=a[1], max=a[1]),
    ],
    "argsort": [lambda a: a.argsort(), lambda a: a.argsort(0), lambda a: a.argsort(axis=None)],
    "any": [lambda a: a.any(), lambda a: a.any(1), lambda a: a.any(axis=0, keepdims=True)],
    "all": [lambda a: a.all(), lambda a: a.all(1)],
    "nonzero": [lambda a: a.nonzero()],
    "squeeze": [lambda a: a[:1].squeeze(), lambda a: a[:1].squeeze(0), lambda a: a[:1, :, None].squeeze(axis=(0, 2))],
    "swapaxes": [lambda a: a.swapaxes(0, 1)],
    "take": [lambda a: a.take([5, 0]), lambda a: a.take([[1, 2]], axis=1)],
    "repeat": [lambda a: a.repeat(2), lambda a: a.repeat([1, 3], axis=0)],
    "reshape": [lambda a: a.reshape(3, 2), lambda a: a.reshape((-1,), order="F")],
    "ravel": [lambda a: a.T.ravel()],
    "flatten": [lambda a: a.T.flatten()],
    "transpose": [lambda a: a.transpose(), lambda a: a.transpose(0, 1), lambda a: a.transpose((1, 0))],
    "copy": [lambda a: a.copy()],
    "item": [lambda a: a.item(1, 1), lambda a: a.item(2)],
}
SUMS = ("sum", "mean", "cumsum", "dot")


def test_every_method_is_tested_and_on_the_page():
    own = {name for name, method in vars(NumpyInterface).items() if inspect.isfunction(method) and name[0] != "_"}
    assert own == {*ALIKE, *SUMS, "sort"}
    page = (Path(__file__).parents[2] / "docs/reference/array.md").read_text(encoding="utf-8")
    section = page.partition("\n## Methods\n")[2].partition("\n## ")[0]
    assert own <= set(re.findall(r"`a\.(\w+)", section))


@pytest.mark.parametrize("name", ALIKE)
def test_as_numpy_on_the_values(name):
    for a in (X, NAN):
        for call in ALIKE[name]:
            found, expected = call(a), call(a.values)
            if isinstance(found, fe.Array):
                assert (found.format, found.profile) == (a.format, a.profile)
                found = found.values
            else:
                assert not isinstance(expected, np.ndarray) or expected.dtype.kind in "bi"
            np.testing.assert_array_equal(found, expected)
            if np.asarray(expected).dtype.kind == "f":
                numbers = ~np.isnan(expected)
                np.testing.assert_array_equal(np.signbit(found)[numbers], np.signbit(expected)[numbers])


def test_views_and_copies():
    a = X.with_profile("torch")
    for view in (a[:1].squeeze(), a.swapaxes(0, 1)):
        assert np.shares_memory(view, a)
        assert view.profile == a.profile
    for copy in (a.take([0]), a.repeat(1), a.clip()):
        assert not np.shares_memory(copy, a)
        assert copy.profile == a.profile


def test_sorting_in_place():
    a = fe.array([[3.0, np.nan, -1.0, 0.0], [1.0, -0.0, 0.0, -np.inf]], "float16")
    whole = a.copy()
    assert a.sort() is None
    np.testing.assert_array_equal(a.values, [[-1, 0, 3, np.nan], [-np.inf, 0, 0, 1]])
    assert np.signbit(a.values[1]).tolist() == [True, True, False, False]
    whole.T.sort(0)  # a view of the same codes
    np.testing.assert_array_equal(whole.codes, a.codes)
    for axis in (None, 1.0, True):
        with pytest.raises(TypeError, match="sort: axis must be an int"):
            a.sort(axis)
    a.codes.setflags(write=False)
    with pytest.raises(ValueError, match="read-only"):
        a.sort()


def same(found, expected):
    assert (found.format, found.profile) == (expected.format, expected.profile)
    np.testing.assert_array_equal(found.codes, expected.codes)


def test_sums():
    """The functions of the same names, with all that they take; that those are right is tested where they are."""
    a = fe.array(np.arange(1, 13).reshape(3, 4) * 37 % 101, "bfloat16")
    steps = {"accumulate": "float8_e5m2", "summation": "pairwise", "result": "float16", "rounding": "toward_zero"}
    for name in ("sum", "mean"):
        method, function = getattr(a, name), getattr(fe, name)
        same(method(), function(a))
        same(method(0), function(a, axis=0))
        same(method((0, -1), keepdims=True), function(a, axis=(0, 1), keepdims=True))
        same(method(axis=1, **steps), function(a, axis=1, **steps))
        assert method(1, **steps, return_flags=True)[1] == function(a, axis=1, **steps, return_flags=True)[1]
        assert (method(1, **steps).codes != method(1, result="float16").codes).any()
    same(a.cumsum(), fe.cumsum(a))
    same(a.cumsum(1, accumulate="float8_e5m2"), fe.cumsum(a, axis=1, accumulate="float8_e5m2"))
    out = np.empty(3, np.uint16)
    assert a.sum(1, out=out) is out
    assert out.tolist() == a.sum(1).codes.tolist()
    same(a[1].dot(a[0], products="rounded", **steps), fe.dot(a[1], a[0], products="rounded", **steps))
    same(a[0].dot([1, 0.5, 2, -1]), fe.dot(a[0], [1, 0.5, 2, -1]))
    same(a[0].dot(a[1], result="float32"), fe.dot(a[0], a[1], result="float32"))


def test_refused():
    a = X
    for call, error, match in (
        (
            lambda: a.dot(a),
            ValueError,
            r"two vectors, not \(2, 3\) and \(2, 3\): .*fpemu.vecdot\(A\[:, None, :\], B.T\)",
        ),
        (lambda: a[0].dot(a.values), ValueError, r"not \(3,\) and \(2, 3\)"),
        (lambda: a[0].dot(a[0], axis=0), TypeError, "use vecdot"),
        (lambda: a[0, 0].dot(a[0]), ValueError, "use fpemu.multiply"),
        (lambda: a.sum(dtype=float), TypeError, "unexpected keyword argument 'dtype'"),
        (lambda: a.sum(0, float), TypeError, "positional"),
        (lambda: a.mean(axis=2), ValueError, "axis 2 is out of range"),
        (lambda: a.cumsum((0, 1)), TypeError, "axis must be None or an int"),
        (lambda: a.max(axis=2), np.exceptions.AxisError, "axis 2 is out of range"),
        (a[:0].max, ValueError, "empty"),
        (lambda: a.clip(fe.array(1, "float16")), ValueError, r"A.astype\('float8_e5m2'\)"),
    ):
        with pytest.raises(error, match=match):
            call()


def test_contexts_hear_of_sums():
    with fe.errstate(overflow="raise"), pytest.raises(fe.FlagError, match="sum: overflow"):
        fe.array([57344.0, 57344.0], E5M2).sum()

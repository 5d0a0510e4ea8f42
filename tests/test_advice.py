"""What Arrays refuse: the call to make instead is named, it can be made, and gives what numpy gives of the values."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest

import fpemu as fe
from fpemu import advice, array_functions, array_ufuncs

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
    refuse = functools.partial(array_ufuncs.function_of if ufunc else array_functions.call, member)
    with pytest.raises(TypeError) as caught:
        refuse(*(() if ufunc else ((A,), {})))
    return str(caught.value)


def test_advice_is_short_and_names_no_other_function():
    tables = {**array_functions.TABLE, **array_ufuncs.TABLE}
    others = [member for member in dispatching() if member not in tables]
    assert len(others) > 200
    for member in others:
        text = refused(member)
        assert len(text) <= 300, text
        assert "did you mean" not in text
        assert text.startswith("np.")
        assert member.__name__ in text


def test_the_table_of_advice_has_no_name_too_many():
    tables = {**array_functions.TABLE, **array_ufuncs.TABLE}
    assert len(advice.INSTEAD) >= 60
    for name in advice.INSTEAD:
        member = np
        for part in name.split("."):
            member = getattr(member, part)
        assert member not in tables, name
        assert refused(member) == advice.refusal(member.__name__ if isinstance(member, np.ufunc) else name)


@pytest.mark.parametrize("name", advice.INSTEAD)
def test_advice_works(name, tmp_path):
    """The call that is named can be made; and gives what numpy's gives of the values, where both take the same."""
    code = advice.INSTEAD[name].removesuffix(", which keeps the format")
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

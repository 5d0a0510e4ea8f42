"""Arrays that draw from a Generator: loops, views, results, and what keeps none; rounding up or down by a coin."""

from __future__ import annotations

import copy
import itertools
import operator
import pickle
import warnings
from fractions import Fraction

import numpy as np
import pytest

import fpemu as fe
from tests.oracle.compare import MAIN

SEED = 12


def stochastic(x, fmt="bfloat16", rng=SEED, **options):
    return fe.array(x, fmt, rounding="stochastic", rng=rng, **options)


def walk(start, steps):
    """A sum of small steps, each of which float16 mostly loses."""
    for _ in range(steps):
        start = start + 2.0**-12
    return start.values


def test_a_loop_has_new_random_numbers_at_every_step():
    """An int in every step gives the same numbers again; a Generator of the Array's own doesn't."""
    start, steps = np.full(64, 1.0), 2000
    right = 1 + steps * 2.0**-12
    found = walk(stochastic(start, "float16"), steps)
    assert abs(found.mean() - right) < 0.01
    assert found.std() > 0
    np.testing.assert_array_equal(found, walk(stochastic(start, "float16", rng=np.random.default_rng(SEED)), steps))
    frozen = fe.array(start, "float16")
    for _ in range(200):
        frozen = fe.add(frozen, 2.0**-12, rounding="stochastic", rng=SEED)
    steady = set(((frozen.values - 1) / 2.0**-10).tolist())
    assert len(steady) <= 3  # frozen: an element goes up at every step or never
    assert abs(frozen.values.mean() - (1 + 200 * 2.0**-12)) > 0.01 or frozen.values.std() > 0.05


def test_the_first_cast_is_the_seed_s():
    x = np.linspace(0, 1, 50)
    np.testing.assert_array_equal(stochastic(x).codes, fe.encode(x, "bfloat16", rounding="stochastic", rng=SEED))


def test_each_operator_draws_one_key():
    """As if the keys were drawn by hand, one for each operation, whatever its size."""
    x, y = np.linspace(1, 2, 300), np.linspace(3, 4, 300)
    a = stochastic(x)
    b = fe.array(y, "bfloat16", rounding="stochastic").with_rng(a.rng)
    generator = np.random.default_rng(SEED)
    generator.integers(0, 1 << 64, dtype=np.uint64)  # the cast of x
    assert a.rng is b.rng
    plain = [fe.Array(each.codes, "bfloat16") for each in (a, b)]
    for function, operate in ((fe.add, operator.add), (fe.multiply, operator.mul), (fe.divide, operator.truediv)):
        expected = function(*plain, rounding="stochastic", rng=generator)
        found = operate(a, b)
        np.testing.assert_array_equal(found.codes, expected.codes)
        assert found.rng is a.rng


SHARES = {
    "slice": lambda a: a[1:],
    "element": lambda a: a[0],
    "iteration": lambda a: next(iter(a)),
    "reshape": lambda a: a.reshape(2, -1),
    "T": lambda a: a.T,
    "ravel": lambda a: a.ravel(),
    "copy": lambda a: a.copy(),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "negative": lambda a: -a,
    "positive": lambda a: +a,
    "abs": abs,
    "operator": lambda a: a * 3,
    "reflected": lambda a: 3 - a,
    "ufunc": lambda a: np.add(a, 1.25),
    "out": lambda a: np.add(a, 1.25, out=a.copy()),
    "function": lambda a: np.concatenate([a, [0.1]]),
    "clip": lambda a: np.clip(a, 0, 1),
    "sort": np.sort,
    "where": lambda a: np.where([True, False] * 3, a, 0.1),
    "zeros_like": np.zeros_like,
    "sum": lambda a: a.sum(),
    "mean": np.mean,
    "cumsum": lambda a: fe.cumsum(a, accumulate="bfloat16"),
    "max": lambda a: a.max(),
    "next_up": fe.next_up,
    "with_profile": lambda a: a.with_profile(a.profile),
    "astype itself": lambda a: a.astype("bfloat16"),
    "astype": lambda a: a.astype("float8_e5m2", profile=fe.profile("ieee").replace(rounding="stochastic")),
    "asarray": fe.asarray,
    "result": fe.exp,
    "round": fe.round_to_integral,
}


@pytest.mark.parametrize("name", SHARES)
def test_results_and_views_share_it(name):
    a = stochastic([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    found = SHARES[name](a)
    assert found.rng is a.rng


def test_where_nothing_is_drawn_none_is_kept():
    a = stochastic([0.1, 0.2])
    assert a.astype("float16").rng is None
    assert a.with_profile("ieee").rng is None
    assert fe.add(a, a, result="float32").rng is None
    assert fe.array([0.1], "bfloat16").rng is None
    assert fe.array([0.1], "bfloat16", rounding="stochastic").rng is None


def test_assignments_draw():
    a, b = stochastic(np.zeros(2000)), stochastic(np.zeros(2000))
    a[:] = np.full(2000, 1 + 2.0**-9)
    b[:] = np.full(2000, 1 + 2.0**-9)
    np.testing.assert_array_equal(a.codes, b.codes)
    first = a.codes.copy()
    a[:] = np.full(2000, 1 + 2.0**-9)
    assert not np.array_equal(first, a.codes)
    a += 2.0**-9
    b[:] = np.full(2000, 1 + 2.0**-9)
    b += 2.0**-9
    np.testing.assert_array_equal(a.codes, b.codes)
    casts = [fe.cast(stochastic(np.linspace(0, 1, 99)), "float8_e4m3fn", rounding="stochastic") for _ in range(2)]
    np.testing.assert_array_equal(*casts)


def test_sums_draw():
    x = np.linspace(0, 1, 500)
    for function in (fe.sum, fe.mean, lambda a, **k: fe.dot(a, a, **k)):
        results = [function(stochastic(x), accumulate="bfloat16").codes for _ in range(2)]
        assert results[0] == results[1]
        a = stochastic(x)
        assert len({int(function(a, accumulate="bfloat16").codes) for _ in range(20)}) > 1


def test_steps_draw_where_the_result_does_not():
    """Steps that round stochastically take new random numbers though the result is rounded to nearest."""
    a = stochastic(np.linspace(0, 1, 500))
    sums = {int(fe.sum(a, accumulate="bfloat16", result="float32").codes) for _ in range(20)}
    assert len(sums) > 1


def test_two_generators_are_an_error():
    a, b = stochastic([0.1]), stochastic([0.2])
    for operate in (lambda: a + b, lambda: np.multiply(a, b), lambda: fe.fma(a, 1.0, b), lambda: fe.dot(a, b)):
        with pytest.raises(ValueError, match=r"two Generators: use rng=, or let them share one, b\.with_rng\(a\.rng\)"):
            operate()
    fe.add(a, b, rng=3)
    a + b.with_rng(a.rng)
    assert (a == b).tolist() == [False]


@pytest.mark.parametrize("how", [{"rng": 3}, {"random_bits": [1, 2]}])
def test_two_generators_are_none_where_numbers_are_given(how):
    a, b = (fe.array([1.001, 2.3], "bfloat16", rounding="stochastic", rng=seed) for seed in (1, 2))
    states = [each.rng.bit_generator.state for each in (a, b)]
    want = fe.add(a.values, b.values, result="bfloat16", rounding="stochastic", **how)
    assert fe.add(a, b, **how).tolist() == want.tolist()
    want = fe.vecdot([a.values, a.values], b.values, result="bfloat16", rounding="stochastic", **how)
    found = fe.vecdot(np.stack([a, a]), b, **how)
    assert found.tolist() == want.tolist()
    assert [each.rng.bit_generator.state for each in (a, b)] == states


def test_arguments():
    with pytest.raises(ValueError, match="rng= is for stochastic rounding, but the rounding is 'nearest_even'"):
        fe.array([1.0], "bfloat16", rng=1)
    with pytest.raises(ValueError, match="rng= is for stochastic rounding"):
        fe.array([1.0], "bfloat16").with_rng(1)
    with pytest.raises(ValueError, match="rng= is for stochastic rounding"):
        fe.Array([1], "bfloat16", rng=1)
    for wrong in (1.5, "1", True, [1], np.random.RandomState(1)):
        with pytest.raises(TypeError, match="rng must be"):
            stochastic([1.0], rng=wrong)
    with pytest.raises(ValueError, match="must not be negative"):
        stochastic([1.0], rng=-1)
    assert fe.array([1.1], "float8_e4m3fn", rounding="toward_zero").profile.rounding is fe.Rounding.TOWARD_ZERO
    assert fe.array([1e9], "float8_e4m3fn", overflow="saturate").values == 448
    assert (fe.array([1.1], "float8_e4m3fn", rounding="toward_positive") + 2.0**-9).values == 1.25


def test_pickles_and_files_keep_none(tmp_path):
    a = stochastic([0.1, 0.2])
    with pytest.warns(UserWarning, match="Generator is not pickled"):
        data = pickle.dumps(a)
    again = pickle.loads(data)
    assert again.rng is None
    np.testing.assert_array_equal(again.codes, a.codes)
    assert again.profile == a.profile
    for name in ("a.npz", "a.safetensors"):
        with pytest.warns(UserWarning, match="Generator is not saved"):
            fe.save(tmp_path / name, a=a)
        assert fe.load(tmp_path / name)["a"].rng is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pickle.dumps(fe.array([0.1], "bfloat16", rounding="stochastic"))
        fe.save(tmp_path / "b.npz", b=fe.array([0.1], "bfloat16", rounding="stochastic"))


def test_old_pickles_load():
    """What has no Generator in its state has none."""
    a = fe.Array.__new__(fe.Array)
    a.__dict__.update({"codes": np.uint16([1]), "format": fe.dtype("bfloat16"), "profile": fe.profile("ieee")})
    assert a.rng is None


# -- up or down with equal probability ---------------------------------------------------------------------------------


def test_words_of_equal():
    assert fe.Stochastic("equal") == fe.Stochastic("equal", 1) == fe.rounding_mode("stochastic_equal")
    assert repr(fe.Stochastic("equal")) == "Stochastic(variant='equal', bits=1)"
    assert fe.Stochastic() == fe.Stochastic("A", 32)
    with pytest.raises(ValueError, match="'equal' has one random bit, not 8"):
        fe.Stochastic("equal", 8)
    with pytest.raises(ValueError, match="allowed are 'A', 'B', 'C', 'equal'"):
        fe.Stochastic("D")
    with pytest.raises(TypeError, match="bits must be an int"):
        fe.Stochastic("equal", 1.0)


@pytest.mark.parametrize("name", [name for name in MAIN if fe.dtype(name).kind == "float"])
def test_equal_takes_the_neighbours(name):
    """What is exact stays, all else goes to the magnitude below for 0 and above for 1, from every kind of source."""
    fmt = fe.dtype(name)
    values = np.unique(fe.decode(np.arange(fmt.code_count, dtype=fmt.code_dtype), fmt, dtype=np.float64))
    values = values[np.isfinite(values) & (values >= 0)][:400]
    low, high = values[:-1], values[1:]
    mode = fe.Stochastic("equal")
    with np.errstate(all="ignore"):
        between = low + (high - low) * np.float64(0.3)
    for dtype in (np.float64, np.float32):
        x = between.astype(dtype)
        inside = (x > low) & (x < high)
        signs = (1, -1) if fmt.signed else (1,)
        for sign, bit in itertools.product(signs, (0, 1)):
            right = sign * (high if bit else low)[inside]
            bits = np.full(right.size, bit)
            found = fe.cast(sign * x[inside], fmt, rounding=mode, random_bits=bits, dtype=np.float64)
            np.testing.assert_array_equal(found, right)
    exact = fe.cast(values, fmt, rounding=mode, random_bits=np.ones(values.size, int), dtype=np.float64)
    np.testing.assert_array_equal(exact, values)


def test_equal_in_operations_and_streams():
    """Half go up whatever the cut-off part is; operations, elementary functions and long arrays alike."""
    mode = fe.Stochastic("equal")
    x = np.full(1 << 17, 1 + 2.0**-12, np.float32)
    for found in (
        fe.cast(x, "bfloat16", rounding=mode, rng=1),
        fe.multiply(fe.array(x, "float32"), 1.0, result="bfloat16", rounding=mode, rng=2).values,
        fe.exp(fe.array(np.full(1 << 17, 2.0**-10), "float16"), result="bfloat16", rounding=mode, rng=3).values,
    ):
        assert set(found.tolist()) == {1.0, 1 + 2.0**-7}
        assert abs((found > 1).mean() - 0.5) < 0.01
    a = fe.array([1.0, 3.0], "float16")
    low, high = (fe.divide(a, 3.0, rounding=mode, random_bits=[bit, bit]) for bit in (0, 1))
    assert low.values[1] == high.values[1] == 1.0
    assert Fraction(float(low.values[0])) < Fraction(1, 3) < Fraction(float(high.values[0]))
    assert fe.next_up(low)[0].codes == high[0].codes

"""Errors of functions over all codes, against MPFR and against what is counted by hand; tables of results."""

from fractions import Fraction

import gmpy2
import numpy as np
import pytest

import fpemu as fe
from fpemu.formats.facts.exactness import quantum
from fpemu.inspection.accuracy import measure, operation_table, ulps, usual_methods
from fpemu.inspection.operations import OPERATIONS
from fpemu.reports.plotting import accuracy_picture, operation_picture


@pytest.mark.parametrize("name", ["float8_e4m3fn", "binary8p3se", "float16", "int8", "q3.4"])
def test_ulps(name):
    fmt = fe.dtype(name)
    rng = np.random.default_rng(0)
    exact = np.concatenate([rng.normal(size=200) * 2.0 ** rng.integers(-30, 9, 200), [0.0, 1.0, 2.0, -0.5]])
    values = exact + rng.normal(size=exact.size)
    expected = [(Fraction(v) - Fraction(x)) / quantum(Fraction(x), fmt) for v, x in zip(values, exact, strict=True)]
    np.testing.assert_allclose(ulps(values, exact, fmt), [float(error) for error in expected], rtol=1e-15)
    assert np.isnan(ulps(np.array([np.inf, 1.0, np.nan]), np.array([1.0, np.inf, np.nan]), fmt)).all()


@pytest.mark.parametrize("name", ["exp", "sin", "sqrt", "tanh"])
@pytest.mark.parametrize("fmt", ["float8_e4m3fn", "float8_e5m2"])
def test_errors_are_those_against_mpfr(name, fmt):
    """Each code's error, its largest and its mean, from 200 digits."""
    found = measure(name, fmt, against=[])
    fmt = fe.dtype(fmt)
    top = fmt.exact(fmt.max_code)
    expected = {}
    with gmpy2.context(precision=200):
        for code in range(fmt.code_count):
            value = fmt.value(code)
            exact = getattr(gmpy2, name)(gmpy2.mpfr(value))
            if not np.isfinite(value) or not gmpy2.is_finite(exact) or abs(exact) > top:
                continue
            exact = Fraction(*map(int, exact.as_integer_ratio()))
            result = fe.decode(found.methods[0].codes[code], fmt)
            expected[code] = float((Fraction(float(result)) - exact) / quantum(exact, fmt))
    assert np.flatnonzero(found.measured).tolist() == list(expected)
    np.testing.assert_allclose(found.methods[0].ulps[found.measured], list(expected.values()), atol=1e-9)
    (method,) = found.methods
    magnitudes = {code: abs(error) for code, error in expected.items()}
    assert method.max_ulp == pytest.approx(max(magnitudes.values()))
    assert method.mean_ulp == pytest.approx(sum(magnitudes.values()) / len(magnitudes))
    assert found.where(method.worst) == [fmt.value(max(magnitudes, key=magnitudes.get))]
    assert (method.differs, method.distance, method.special) == (0, 0, 0)


@pytest.mark.parametrize("name", [name for name, one in OPERATIONS.items() if one.operands < 3 and name != "scaleb"])
@pytest.mark.parametrize("fmt", ["float6_e3m2fn", "float4_e2m1fn", "binary6p3se", "int4"])
def test_to_nearest_half_an_ulp_is_the_most(name, fmt):
    correct, *_ = measure(name, fmt, against=[]).methods
    assert not correct.max_ulp > 0.5
    rules = fe.dtype(fmt).profile.replace(rounding="toward_zero")
    correct, *_ = measure(name, fmt, against=[], profile=rules).methods
    assert not correct.max_ulp > 1  # 1 is below 1, rounded to float64: erf(6)


def test_other_ways_are_compared():
    ways = ["1 / (1 + exp(-x))", "float32", "x"]
    found = measure("sigmoid", "float8_e4m3fn", against=ways)
    right, composed, narrow, same = found.methods
    fmt = fe.dtype("float8_e4m3fn")
    x = fe.Array(np.arange(256, dtype=np.uint8), fmt)
    one = fe.array(1.0, fmt)
    np.testing.assert_array_equal(right.codes, fe.sigmoid(x).codes)
    np.testing.assert_array_equal(composed.codes, fe.divide(one, fe.add(one, fe.exp(fe.negative(x)))).codes)
    np.testing.assert_array_equal(narrow.codes, fe.encode(fe.sigmoid(x, result="float32"), fmt))
    np.testing.assert_array_equal(same.codes, x.codes)
    assert [method.name for method in found.methods] == ["correctly rounded", *ways]
    values, exact = fe.decode(composed.codes, fmt), fe.decode(right.codes, fmt)
    finite = np.isfinite(fe.decode(x.codes, fmt))
    assert composed.special == (finite & ~np.isfinite(values)).sum() > 0
    differs = (values != exact) & ~(np.isnan(values) & np.isnan(exact))
    assert composed.differs == pytest.approx(differs.mean())
    order = sorted(set(fe.dtype(fmt).values()[np.isfinite(fmt.values())]))
    apart = [abs(order.index(a) - order.index(b)) for a, b in zip(values, exact, strict=True) if np.isfinite(a + b)]
    assert composed.distance == max(apart)


def test_numpy_as_it_is():
    found = measure("sqrt", "bfloat16", against=["numpy", "float32"])
    with np.errstate(invalid="ignore"):
        roots = np.sqrt(fe.decode(found.operands[0], "bfloat16", dtype=np.float32))
    np.testing.assert_array_equal(found.methods[1].codes, fe.encode(roots, "bfloat16"))
    assert [method.differs for method in found.methods] == [0, 0, 0]  # 24 digits are enough for a root of 8
    assert found.methods[0].max_ulp < 0.5


def test_two_operands_and_a_range():
    found = measure("divide", "float8_e5m2", against=["x * reciprocal(y)"], low=1, high=2)
    assert found.exact.size == 25
    assert {tuple(pair) for pair in zip(*found.values, strict=True)} == {
        (x, y) for x in (1, 1.25, 1.5, 1.75, 2) for y in (1, 1.25, 1.5, 1.75, 2)
    }
    np.testing.assert_array_equal(found.exact, found.values[0] / found.values[1])
    assert found.measured.all()
    assert sum(row["count"] for row in found.binades()) == 25


def test_binades():
    found = measure("exp", "float8_e4m3fn", against=["float32"])
    rows = {row["binade"]: row for row in found.binades()}
    assert list(rows) == list(range(-9, 9))
    chosen = found.measured & (np.abs(found.values[0]) >= 4) & (np.abs(found.values[0]) < 8)
    assert rows[2]["count"] == chosen.sum()
    assert rows[2]["max_ulp"][0] == np.abs(found.methods[0].ulps[chosen]).max()
    assert rows[2]["mean_ulp"][0] == np.abs(found.methods[0].ulps[chosen]).mean()


def test_progress_counts_every_result():
    counts = []
    measure("multiply", "float6_e2m3fn", against=["float32", "numpy"], advance=counts.append)
    assert sum(counts) == 3 * 64 * 64


@pytest.mark.parametrize(
    ("name", "fmt", "options", "words"),
    [
        ("sine", "bfloat16", {}, "did you mean 'sin'"),
        ("sin", "float32", {}, "format of at most 16 bits for one operand"),
        ("add", "float16", {}, "format of at most 8 bits for two operands"),
        ("fma", "float4_e2m1fn", {}, "one or two numbers"),
        ("scaleb", "float4_e2m1fn", {}, "one or two numbers"),
        ("sin", "nf4", {}, "codebook"),
        ("sin", "float16_e12m3", {}, "too large for float64"),
        ("erf", "float16", {"against": ["numpy"]}, "numpy has no erf"),
        ("sin", "float16", {"against": ["1 +"]}, "at the end"),
        ("sin", "float16", {"against": ["y"]}, "the operands' names are x"),
        ("sin", "float16", {"low": 2.0, "high": 1.0}, "no value of float16"),
        ("sin", "float16", {"profile": fe.profile("ieee").replace(rounding="stochastic")}, "stochastic rounding"),
    ],
)
def test_what_is_not_measured(name, fmt, options, words):
    with pytest.raises(ValueError, match=words):
        measure(name, fmt, **options)


def test_usual_ways_can_all_be_read():
    for name, operation in OPERATIONS.items():
        if operation.operands < 3 and name != "scaleb":
            ways = usual_methods(name, "float4_e2m1fn")
            assert len(measure(name, "float4_e2m1fn").methods) == 1 + len(ways)


# -- tables -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["add", "fmod", "pow", "minimum"])
def test_tables_hold_every_result(name):
    made = operation_table(name, "float6_e3m2fn", "float8_e5m2")
    for x, y in np.random.default_rng(0).integers(0, 64, (20, 2)).tolist():
        one, other = (fe.Array(np.array(code, np.uint8), "float6_e3m2fn") for code in (x, y))
        result, flags = OPERATIONS[name].call(one, other, result="float8_e5m2", return_flags=True)
        assert (made.codes[x, y], made.flags.bits[x, y]) == (result.codes, flags.bits)


def test_tables_obey_the_rules():
    rules = fe.profile("ieee").replace(rounding="toward_positive")
    made = operation_table("sqrt", "float6_e2m3fn", profile=rules)
    assert made.codes.shape == (64,)
    assert made.values()[1] == 0.375
    assert made.values()[3] == 0.625
    assert operation_table("sqrt", "float6_e2m3fn", profile=fe.profile("ml_dtypes")).flags is None
    with pytest.raises(ValueError, match="codebook"):
        operation_table("add", "int4", "nf4")


def test_relative_errors():
    made = operation_table("multiply", "float4_e2m1fn")
    values = fe.dtype("float4_e2m1fn").values()
    exact = np.multiply.outer(values, values)
    relative = made.relative_errors()
    np.testing.assert_array_equal(np.isnan(relative), exact == 0)
    known = exact != 0
    np.testing.assert_allclose(relative[known], np.abs(made.values() - exact)[known] / np.abs(exact)[known])


def test_pictures(tmp_path):
    pytest.importorskip("matplotlib")
    for place, figure in enumerate(
        [
            accuracy_picture(measure("sin", "float8_e5m2")),
            accuracy_picture(measure("exp", "float8_e4m3fn", against=["x"], low=1.0, high=4.0)),
            accuracy_picture(measure("sqrt", "int4", against=[], low=-4.0, high=-1.0)),  # no error at all
            accuracy_picture(measure("divide", "float4_e2m1fn")),
            operation_picture(operation_table("multiply", "int4")),
            operation_picture(operation_table("multiply", "float4_e2m1fn", "float16")),
            operation_picture(operation_table("exp", "float8_e5m2")),
        ]
    ):
        figure.savefig(tmp_path / f"{place}.png")
        assert figure.axes[0].get_title(loc="left") or figure._suptitle is not None

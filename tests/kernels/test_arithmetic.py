"""Operations against the exact specification: values and flags."""

from __future__ import annotations

import itertools

import ml_dtypes
import numpy as np
import pytest

import fpemu as fe
from tests.oracle import spec
from tests.oracle.compare import DETERMINISTIC, assert_same_codes, profile
from tests.oracle.spec_arithmetic import operate, rounded

BINARY = ("add", "subtract", "multiply", "divide")


def expected(name, operands, formats, target, rules, random_bits=None, exact=True):
    """Codes and flags by the specification, operation and rounding worked out once for equal operands."""
    # what is rounded to float32 first is so to nearest even, zeros' signs included
    toward_negative = rules.rounding is fe.Rounding.TOWARD_NEGATIVE and rules.through.value == "none"
    subnormals = rules.subnormals_in.value
    numbers, flags = [], []
    for codes in zip(*(c.tolist() for c in operands), strict=True):
        given = [spec.decode(code, fmt) for code, fmt in zip(codes, formats, strict=True)]
        mode, by_zero = getattr(rules.rounding, "value", None), rules.division_by_zero.value
        number, happened = operate(name, given, toward_negative, subnormals, mode, exact, by_zero)
        numbers.append(number)
        flags.append(happened)
    return rounded(numbers, flags, target, rules.replace(subnormals_in="keep"), random_bits)


def assert_operates(name, operands, formats, target, rules, random_bits=None, exact=True):
    """Fpemu gives the specification's codes and flags."""
    codes, flags = expected(name, operands, formats, target, rules, random_bits, exact)
    arrays = [fe.Array(c, fmt) for c, fmt in zip(operands, formats, strict=True)]
    more = {"fmt" if name == "convert" else "result": target}
    if random_bits is not None:
        more["random_bits"] = random_bits
    if name in ("convert", "round_to_integral"):
        more["exact"] = exact
    actual, found = getattr(fe, name)(*arrays, profile=rules, return_flags=True, **more)
    label = np.arange(codes.size)
    assert actual.format == target
    assert_same_codes(actual.codes.astype(np.uint64), codes, label, target, f"{name}, {rules}")
    if flags is not None:
        wrong = np.flatnonzero(found.bits != flags)
        first = wrong[:3].tolist()
        assert not first, [(name, [hex(c[i]) for c in operands], found.bits[i], flags[i], rules) for i in first]


def pairs(fmt):
    """All pairs of a format's codes."""
    codes = np.arange(fmt.code_count, dtype=fmt.code_dtype)
    return np.repeat(codes, codes.size), np.tile(codes, codes.size)


def some(fmt, count, seed):
    """Codes: special ones, those about powers of two, by chance."""
    rng = np.random.default_rng(seed)
    bits = fmt.bits
    edges = [0, 1, 2, 3, fmt.code_count - 1, fmt.code_count - 2, fmt.code_count // 2, fmt.code_count // 2 + 1]
    if fmt.kind == "float":
        step = 1 << fmt.trailing_bits
        fields = np.arange(0, fmt.code_count, max(step, fmt.code_count // 512) // step * step or 1)
        edges += [(int(f) + d) % fmt.code_count for f in rng.choice(fields, 12) for d in (-1, 0, 1)]
        edges += [fmt.max_code, fmt.max_code | fmt.sign_mask, (fmt.max_code + 1) % fmt.code_count]
    random = rng.integers(0, 1 << bits, count, dtype=np.uint64)
    near = rng.choice(np.array(edges, np.uint64), count)
    return np.where(rng.random(count) < 0.4, near, random).astype(fmt.code_dtype)


SMALL = ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float6_e2m3fn", "float4_e2m1fn"]


@pytest.mark.parametrize("operation", BINARY)
@pytest.mark.parametrize("name", SMALL)
def test_every_pair(name, operation):
    """To nearest even; other modes by a slice."""
    fmt = fe.dtype(name)
    x, y = pairs(fmt)
    assert_operates(operation, (x, y), (fmt, fmt), fmt, profile(fmt))
    few = np.random.default_rng(7).choice(x.size, min(x.size, 500), replace=False)
    for mode in DETERMINISTIC[1:]:
        assert_operates(operation, (x[few], y[few]), (fmt, fmt), fmt, profile(fmt, rounding=mode))


WIDE = ["float16", "bfloat16", "tfloat32", "float32", "float64", "float8_e3m4", "binary8p3se", "float8_e5m3fnu"]


@pytest.mark.parametrize("operation", [*BINARY, "fma", "sqrt"])
@pytest.mark.parametrize("name", WIDE)
def test_some(name, operation):
    """Codes by chance and at edges, every mode."""
    fmt = fe.dtype(name)
    arity = {"fma": 3, "sqrt": 1}.get(operation, 2)
    for i, mode in enumerate(DETERMINISTIC):
        operands = [some(fmt, 200, 10 * i + place) for place in range(arity)]
        assert_operates(operation, operands, [fmt] * arity, fmt, profile(fmt, rounding=mode))


def aimed(fmt, seed):
    """Triples whose product lies about the negative of the third: massive cancellation."""
    rng = np.random.default_rng(seed)
    x, y = (some(fmt, 400, int(s)) for s in rng.integers(0, 1000, 2))
    z = fe.multiply(fe.Array(x, fmt), fe.Array(y, fmt)).codes
    nudged = z.astype(np.uint64) + rng.integers(-1, 2, z.size).astype(np.uint64)  # modulo 2^64
    return x, y, (nudged ^ np.uint64(fmt.sign_mask)).astype(fmt.code_dtype)


@pytest.mark.parametrize("name", ["float8_e5m2", "float16", "bfloat16", "float32", "float64"])
def test_cancellation(name):
    fmt = fe.dtype(name)
    for i, mode in enumerate(("nearest_even", "toward_negative", "to_odd", "away_from_zero")):
        assert_operates("fma", aimed(fmt, i), [fmt] * 3, fmt, profile(fmt, rounding=mode))


MIXED = [
    (("float8_e4m3fn", "float8_e5m2"), "float16"),
    (("float64", "float8_e4m3fn"), "bfloat16"),
    (("int8", "float16"), "float32"),
    (("int64", "uint64"), "float64"),
    (("q3.12", "q3.12"), "int16"),
    (("float32", "uint8"), "float8_e4m3fn"),
    (("float64", "float64"), "float4_e2m1fn"),
    (("bfloat16", "float64"), "float8_e8m0fnu"),
]


@pytest.mark.parametrize(("names", "target"), MIXED, ids=str)
def test_mixed_formats(names, target):
    formats, target = [fe.dtype(name) for name in names], fe.dtype(target)
    for operation, mode in itertools.product(BINARY, ("nearest_even", "toward_positive", "to_odd")):
        rules = profile(target, rounding=mode)
        operands = [some(fmt, 300, i) for i, fmt in enumerate(formats)]
        assert_operates(operation, operands, formats, target, rules)


@pytest.mark.parametrize("mode", [fe.Stochastic("A", 8), fe.Stochastic("B", 32), fe.Stochastic("C", 5)], ids=str)
@pytest.mark.parametrize("name", ["float8_e4m3fn", "float32", "float64", "int16"])
def test_stochastic(name, mode):
    """With random integers from outside; and the stream's do not depend on pieces."""
    fmt = fe.dtype(name)
    for operation in (*BINARY, "sqrt"):
        operands = [some(fmt, 200, place) for place in range(1 if operation == "sqrt" else 2)]
        randoms = np.random.default_rng(3).integers(0, 1 << mode.bits, 200, dtype=np.uint64)
        rules = profile(fmt, rounding=mode)
        assert_operates(operation, operands, [fmt] * len(operands), fmt, rules, randoms)
    x = fe.array(np.linspace(0.1, 100, 50), fmt)
    whole = fe.multiply(x, x, rounding=mode, rng=5).codes
    tail = fe.Array(x.codes[20:], fmt)
    np.testing.assert_array_equal(fe.multiply(tail, tail, rounding=mode, rng=5, rng_offset=20).codes, whole[20:])


@pytest.mark.parametrize("name", ["float8_e5m2", "float8_e4m3fn", "float16"])
def test_knobs(name):
    fmt = fe.dtype(name)
    knobs = [
        {"subnormals_in": "zero"},
        *({"subnormals_out": rule} for rule in ("flush_before", "flush_after", "flush_tiny")),
        {"subnormals_out": "flush_tiny", "tininess": "before", "flush_flags": "underflow"},
        {"overflow": "saturate"},
        {"tininess": "before"},
        {"negative_zero": "drop"},
    ]
    for operation, turned in itertools.product(BINARY, knobs):
        operands = some(fmt, 800, 1), some(fmt, 800, 2)
        rules = profile(fmt, **turned)
        assert_operates(operation, operands, (fmt, fmt), fmt, rules)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("operation", BINARY)
def test_the_cpu(operation, dtype):
    """The CPU's own arithmetic, NaN as a class."""
    fmt = fe.dtype(dtype)
    x, y = (some(fmt, 100_000, seed).view(dtype) for seed in (1, 2))
    with np.errstate(all="ignore"):
        by_cpu = getattr(np, operation)(x, y)
    ours = getattr(fe, operation)(x, y, result=dtype)
    assert ours.dtype == dtype
    same = (ours.view(fmt.code_dtype) == by_cpu.view(fmt.code_dtype)) | (np.isnan(ours) & np.isnan(by_cpu))
    assert same.all()
    with np.errstate(all="ignore"):
        roots = np.sqrt(x)
    np.testing.assert_array_equal(fe.sqrt(x, result=dtype), roots)


ML_DTYPES = [
    *("float8_e3m4", "float8_e4m3", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e4m3b11fnuz", "float8_e5m2"),
    *("float8_e5m2fnuz", "float6_e2m3fn", "float6_e3m2fn", "float4_e2m1fn", "bfloat16"),
]


@pytest.mark.parametrize("operation", BINARY)
@pytest.mark.parametrize("name", ML_DTYPES)
def test_ml_dtypes(name, operation):
    fmt = fe.dtype(name)
    x, y = pairs(fmt) if fmt.bits <= 8 else (some(fmt, 100_000, 1), some(fmt, 100_000, 2))
    dtype = getattr(ml_dtypes, name)
    with np.errstate(all="ignore"):
        theirs = getattr(np, operation)(x.view(dtype), y.view(dtype)).astype(np.float32)
    ours = getattr(fe, operation)(fe.Array(x, fmt), fe.Array(y, fmt), profile="ml_dtypes").values
    np.testing.assert_array_equal(ours, theirs)
    # 0/0 is a NaN of either sign, and -0 or +0 where there is none: the CPU's and ml_dtypes' affair.
    numbers = ~np.isnan(theirs) & ~((operation == "divide") & (y == 0) & (x == 0))
    if fmt.nan == "none":
        numbers &= fe.Array(y, fmt).values != 0
    np.testing.assert_array_equal(np.signbit(ours[numbers]), np.signbit(theirs[numbers]))


@pytest.mark.parametrize("name", ["int64", "uint64", "int8", "uint8", "q3.12"])
def test_wrapping(name):
    """Modulo 2^bits, up to where nothing of the result is left."""
    fmt = fe.dtype(name)
    wide = [fe.dtype(other) for other in ("int64", "uint64", "q3.12")]
    operands = [some(other, 200, place) for place, other in enumerate(wide)]
    operands[0][::5] &= operands[0].dtype.type(0xFFFFFFFF00000000)  # products of which only high bits are set
    operands[1][::5] &= operands[1].dtype.type(0xFFFFFFFF00000000)
    for mode in ("toward_zero", "nearest_even", "to_odd"):
        for rule in ("standard", "magnitude"):
            rules = profile(fmt, overflow="wrap", rounding=mode, unsigned_negative=rule)
            if rules is not None:
                for operation, count in (("multiply", 2), ("add", 2), ("subtract", 2), ("fma", 3)):
                    assert_operates(operation, operands[:count], wide[:count], fmt, rules)
                assert_operates("multiply", operands[1:], wide[1:], fmt, rules)

"""The cores that users call in loops of their own, against the public operations."""

from __future__ import annotations

import inspect

import numba
import numpy as np
import pytest

import fpemu as fe
from fpemu import cores
from fpemu.casting.lowering import lower_rules
from fpemu.kernels import user
from tests.kernels.test_arithmetic import some
from tests.oracle.compare import profile

NAMES = ("add", "subtract", "multiply", "divide", "fma", "sqrt")


@cores.njit
def in_one_format(x, y, z, spec, rules, randoms, out):
    for i in range(x.size):
        random = randoms[i]
        out[i, 0] = cores.add(x[i], y[i], spec, rules, random)
        out[i, 1] = cores.subtract(x[i], y[i], spec, rules, random)
        out[i, 2] = cores.multiply(x[i], y[i], spec, rules, random)
        out[i, 3] = cores.divide(x[i], y[i], spec, rules, random)
        out[i, 4] = cores.fma(x[i], y[i], z[i], spec, rules, random)
        out[i, 5] = cores.sqrt(x[i], spec, rules, random)


@cores.njit
def in_many_formats(x, y, z, x_spec, y_spec, z_spec, target, rules, randoms, out):
    for i in range(x.size):
        a, b, c, random = x[i], y[i], z[i], randoms[i]
        out[i, 0], out[i, 6] = cores.add_mixed(a, b, x_spec, y_spec, target, rules, random)
        out[i, 1], out[i, 7] = cores.subtract_mixed(a, b, x_spec, y_spec, target, rules, random)
        out[i, 2], out[i, 8] = cores.multiply_mixed(a, b, x_spec, y_spec, target, rules, random)
        out[i, 3], out[i, 9] = cores.divide_mixed(a, b, x_spec, y_spec, target, rules, random)
        out[i, 4], out[i, 10] = cores.fma_mixed(a, b, c, x_spec, y_spec, z_spec, target, rules, random)
        out[i, 5], out[i, 11] = cores.sqrt_mixed(a, x_spec, target, rules, random)


@cores.njit
def conversions(codes, floats, source, target, rules, randoms, out, values):
    for i in range(codes.size):
        category, negative, significand, exponent = cores.decode(codes[i], source)
        if category == cores.FINITE:
            out[i, 0] = cores.encode(negative, significand, exponent, target, rules, randoms[i])
        out[i, 1] = cores.recode(codes[i], source, target, rules, randoms[i])
        out[i, 2] = cores.from_float(floats[i], target, rules, randoms[i])
        values[i, 0] = cores.to_float(codes[i], source)
        values[i, 1] = cores.round_float(floats[i], target, rules, randoms[i])


# uint64 all, so that each loop is compiled once
def operands(formats, count=300):
    return [some(fmt, count, place).astype(np.uint64) for place, fmt in enumerate(formats)]


def randoms_of(mode, count=300):
    bits = mode.bits if isinstance(mode, fe.Stochastic) else 1
    return np.random.default_rng(1).integers(0, 1 << bits, count, dtype=np.uint64)


def publicly(name, codes, formats, target, mode, randoms):
    arity = {"fma": 3, "sqrt": 1}.get(name, 2)
    arrays = [fe.Array(c, fmt) for c, fmt in zip(codes[:arity], formats[:arity], strict=True)]
    more = {"random_bits": randoms} if isinstance(mode, fe.Stochastic) else {}
    return getattr(fe, name)(*arrays, result=target, rounding=mode, return_flags=True, **more)


MODES = ["nearest_even", "toward_negative", fe.Stochastic("A", 8)]


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("name", ["float8_e4m3fn", "bfloat16", "float64", "q3.12"])
def test_cores_in_one_format(name, mode):
    fmt = fe.dtype(name)
    codes, randoms = operands([fmt] * 3), randoms_of(mode)
    out = np.empty((300, 6), np.uint64)
    in_one_format(*codes, fmt.spec, cores.rules(fmt, rounding=mode), randoms, out)
    for place, operation in enumerate(NAMES):
        expected, _ = publicly(operation, codes, [fmt] * 3, fmt, mode, randoms)
        np.testing.assert_array_equal(out[:, place], expected.codes)


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("name", ["float8_e4m3fn", "float32"])
def test_cores_in_many_formats(name, mode):
    formats, target = [fe.dtype(other) for other in ("float16", "int8", "float8_e5m2")], fe.dtype(name)
    codes, randoms = operands(formats), randoms_of(mode)
    out = np.empty((300, 12), np.uint64)
    specs = [fmt.spec for fmt in formats]
    in_many_formats(*codes, *specs, target.spec, cores.rules(target, rounding=mode), randoms, out)
    for place, operation in enumerate(NAMES):
        expected, flags = publicly(operation, codes, formats, target, mode, randoms)
        np.testing.assert_array_equal(out[:, place], expected.codes)
        np.testing.assert_array_equal(out[:, 6 + place], flags.bits)


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize(
    ("source", "target"), [("float8_e5m2", "float8_e4m3fn"), ("int16", "float16"), ("e8m20", "q3.12")]
)
def test_cores_that_convert(source, target, mode):
    source, target = fe.dtype(source), fe.dtype(target)
    (codes,), randoms = operands([source]), randoms_of(mode)
    floats = np.random.default_rng(2).standard_normal(300) * 2.0 ** np.arange(-150, 150)
    floats[:4] = np.nan, np.inf, -np.inf, -0.0
    out, values = np.zeros((300, 3), np.uint64), np.empty((300, 2))
    conversions(codes, floats, source.spec, target.spec, cores.rules(target, rounding=mode), randoms, out, values)
    more = {"random_bits": randoms} if isinstance(mode, fe.Stochastic) else {}
    expected = fe.encode(codes, target, source=source, rounding=mode, **more)
    finite = np.isfinite(fe.decode(codes, source))
    np.testing.assert_array_equal(out[:, 1], expected)
    np.testing.assert_array_equal(out[finite, 0], expected[finite])
    np.testing.assert_array_equal(out[:, 2], fe.encode(floats, target, rounding=mode, **more))
    np.testing.assert_array_equal(values[:, 0], fe.decode(codes, source))
    np.testing.assert_array_equal(values[:, 1], fe.cast(floats, target, rounding=mode, dtype="float64", **more))


@cores.njit
def recoded(codes, source, target, rules, out):
    for i in range(codes.size):
        out[i] = cores.recode(codes[i], source, target, rules)


SOURCES = ("float8_e5m2", "float8_e4m3fn", "float8_e8m0fnu", "float16", "float32", "float64", "int32", "q3.4")
TARGETS = (*SOURCES[:2], "float16", "bfloat16", "float32", "float64", "int8", "int32", "uint64", "q3.4")


def told(call, *args, **keywords):
    """What a call gives, None where it is refused."""
    try:
        return call(*args, **keywords)
    except ValueError:
        return None


def sources_of(fmt):
    """Codes of a format: of floats also NaN of many payloads, infinities, and numbers beyond every integer."""
    codes = some(fmt, 300, 0).astype(np.uint64)
    if fmt.bits < 32 or not isinstance(fmt, fe.FloatFormat):
        return codes
    trailing = fmt.precision - 1
    payloads = np.uint64(1) << np.arange(trailing, dtype=np.uint64)
    nans = np.uint64(fmt.infinity_code) + np.concatenate([payloads, payloads + np.uint64(1)])
    numbers = fe.encode([2.0**31, 3e9, 2.0**33 + 2.0**9, 2.0**64, 1e30, np.inf], fmt).astype(np.uint64)
    either = np.concatenate([nans[nans < 2 << (fmt.bits - 2)], numbers])
    return np.concatenate([codes, either, either | np.uint64(1 << (fmt.bits - 1))])


@pytest.mark.parametrize("name", fe.profile_names())
def test_casts_of_cores_follow_every_profile(name):
    """`recode` gives a cast's bits under rules of its source; without a source the same bits, or they are refused."""
    agree = 0
    for source, target in ((fe.dtype(s), fe.dtype(t)) for s in SOURCES for t in TARGETS):
        codes = sources_of(source)
        expected, out = fe.encode(codes.astype(source.code_dtype), target, source=source, profile=name), codes.copy()
        for rules in (told(cores.rules, target, name, source=source), told(cores.rules, target, name)):
            if rules is not None:
                recoded(codes, source.spec, target.spec, rules, out)
                np.testing.assert_array_equal(out, expected, f"{source} to {target}")
                agree += 1
    assert agree


@pytest.mark.parametrize("name", fe.profile_names())
def test_operations_of_cores_follow_every_profile(name):
    """Under the rules of their own format; without naming it the same bits, or it is refused."""
    for fmt in (fe.dtype(target) for target in (*TARGETS, "binary8p4se")):
        codes, out = operands([fmt] * 3), np.empty((300, 6), np.uint64)
        for rules in (told(cores.rules, fmt, name, source=fmt), told(cores.rules, fmt, name)):
            if rules is None:
                continue
            in_one_format(*codes, fmt.spec, rules, randoms_of(None), out)
            for place, operation in enumerate(NAMES):
                arrays = [fe.Array(c, fmt) for c in codes[: {"fma": 3, "sqrt": 1}.get(operation, 2)]]
                expected = told(getattr(fe, operation), *arrays, profile=name)  # no quotient wraps
                if expected is not None:
                    np.testing.assert_array_equal(out[:, place], expected.codes, f"{operation} of {fmt}")


@pytest.mark.parametrize("name", ["ieee", "riscv", "x86-sse", "arm", "arm-fz"])
@pytest.mark.parametrize("target", ["int8", "uint16", "q3.4"])
def test_mixed_cores_from_floats_to_integers(name, target):
    """Results and flags: beyond an integer format is invalid where the operands are floats."""
    source, target = fe.dtype("float16"), fe.dtype(target)
    codes, out = operands([source] * 3), np.empty((300, 12), np.uint64)
    rules = cores.rules(target, name, source=source)
    in_many_formats(*codes, *[source.spec] * 3, target.spec, rules, randoms_of(None), out)
    for place, operation in enumerate(NAMES):
        arrays = [fe.Array(c, source) for c in codes[: {"fma": 3, "sqrt": 1}.get(operation, 2)]]
        expected, flags = getattr(fe, operation)(*arrays, result=target, profile=name, return_flags=True)
        np.testing.assert_array_equal(out[:, place], expected.codes)
        np.testing.assert_array_equal(out[:, 6 + place], flags.bits)


def test_rules_that_depend_on_the_source():
    for fmt, name in (("int32", "x86-sse"), ("float32", "numpy"), ("float16", "gguf"), ("float8_e5m2", "cuda-nosat")):
        with pytest.raises(ValueError, match=rf"use source='float64' for from_float.*source='{fmt}' for operations"):
            cores.rules(fmt, name)
    with pytest.raises(ValueError, match="no codebooks"):
        cores.rules("float16", source="nf4")


def test_cores_know_float64():
    fmt = fe.dtype("float64")
    assert fmt.spec == user.FLOAT64_SPEC
    assert lower_rules(fmt, profile(fmt, **{}), False) == user.TO_FLOAT64
    wide = fe.FloatFormat("wide", 64, 60)  # beyond float64's digits, and here within its range
    codes = np.array([1 << 62, 1 << 58], np.uint64)
    assert [cores.to_float(code, wide.spec) for code in codes] == [float(wide.exact(int(code))) for code in codes]


FIXED = fe.dtype("float8_e5m2")
SPEC, RULES = FIXED.spec, cores.rules(FIXED, overflow="saturate")


@cores.njit
def running_sum(codes, spec, rules):
    total = np.uint64(0)
    for code in codes:
        total = cores.add(total, code, spec, rules)
    return total


@cores.njit
def running_sum_in_one(codes):
    total = np.uint64(0)
    for code in codes:
        total = cores.add(total, code, SPEC, RULES)
    return total


def test_another_format_compiles_nothing():
    """Nor do other rules; and numbers that are frozen into a loop give the same."""
    x = np.linspace(0, 3, 50)
    for name in ("float8_e4m3fn", "bfloat16", "int16", "float8_e5m2"):
        for rounding in ("nearest_even", "to_odd", fe.Stochastic("B", 3)):
            fmt = fe.dtype(name)
            codes = fe.encode(x, fmt).astype(np.uint64)
            found = running_sum(codes, fmt.spec, cores.rules(fmt, rounding=rounding))
            if rounding == "to_odd":
                assert found == fe.sum(fe.Array(codes, fmt), accumulate=fmt, rounding=rounding).codes
    assert len(running_sum.signatures) == 1
    assert running_sum_in_one(codes) == running_sum(codes, SPEC, RULES)


def test_one_kernel_whatever_the_types():
    """What does the work is compiled once for all types of codes, formats and rules."""
    compiled = set()
    for name in ("float8_e4m3fn", "q3.12"):
        spec, rules = fe.dtype(name).spec, cores.rules(name)
        for two in (2, np.uint8(2), np.uint64(2)):
            assert cores.add(two, two, spec, rules) == 4
            assert cores.recode(two, spec, spec, rules) == 2
            assert cores.maximum(two, 1, spec, rules) == cores.absolute(two, spec, rules) == 2
            kept = (user._add, user._convert, user._extremum, user._change_sign)
            compiled.add(tuple(len(kernel.signatures) for kernel in kept))
    assert len(compiled) == 1


def test_codes_are_integers():
    """A sum that begins with 0 and not with uint64(0) would be a float64 in numba: it does not compile."""

    @numba.njit
    def careless(codes):
        total = 0
        for code in codes:
            total = cores.add(total, code, SPEC, RULES)
        return total

    with pytest.raises(numba.TypingError, match="codes are integers, not float64"):
        careless(np.uint64([1, 2]))
    for call in (cores.add, cores.compare, cores.fma):
        operands = [1.0] * (3 if call is cores.fma else 2)
        with pytest.raises(numba.TypingError, match="codes are integers, not float64"):
            call(*operands, SPEC, SPEC if call is cores.compare else RULES)
    assert cores.to_float(True, SPEC) == 2.0**-16


@cores.njit
def signs_and_orders(x, y, x_spec, y_spec, rules, out):
    for i in range(x.size):
        out[i, 0] = cores.compare(x[i], y[i], x_spec, y_spec)
        out[i, 1] = cores.is_nan(x[i], x_spec)
        out[i, 2] = cores.negative(x[i], x_spec, rules)
        out[i, 3] = cores.absolute(x[i], x_spec, rules)
        out[i, 4] = cores.minimum(x[i], x[-1 - i], x_spec, rules)
        out[i, 5] = cores.maximum(x[i], x[-1 - i], x_spec, rules)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        *[("float8_e4m3fn", "float8_e5m2"), ("float8_e5m2fnuz", "int8"), ("int8", "float8_e4m3fn")],
        *[("magnitude8", "uint8"), ("uint8", "magnitude8"), ("float16", "float64"), ("float8_e8m0fnu", "float8_e5m2")],
    ],
)
def test_signs_and_orders(name, other):
    """Every pair of 8-bit codes."""
    own = {"magnitude8": fe.IntFormat("magnitude8", 8, encoding="sign_magnitude")}
    first, second = fe.dtype(own.get(name, name)), fe.dtype(own.get(other, other))
    if first.bits == second.bits == 8:
        x, y = (codes.astype(np.uint64).ravel() for codes in np.divmod(np.arange(1 << 16), 256))
    else:
        x, y = operands([first, second])
    out = np.empty((x.size, 6), np.uint64)
    signs_and_orders(x, y, first.spec, second.spec, cores.rules(first), out)
    a, b = fe.Array(x, first), fe.Array(y, second)
    orders = (
        (cores.LESS, fe.less),
        (cores.EQUAL, fe.equal),
        (cores.GREATER, fe.greater),
        (cores.UNORDERED, fe.unordered),
    )
    for number, relation in orders:
        np.testing.assert_array_equal(out[:, 0] == number, relation(a, b))
    np.testing.assert_array_equal(out[:, 1], fe.is_nan(a))
    np.testing.assert_array_equal(out[:, 2], fe.negative(a).codes)
    np.testing.assert_array_equal(out[:, 3], fe.absolute(a).codes)
    turned = fe.Array(x[::-1], first)
    np.testing.assert_array_equal(out[:, 4], fe.minimum(a, turned).codes)
    np.testing.assert_array_equal(out[:, 5], fe.maximum(a, turned).codes)


@cores.njit
def drawn(x, key, first, spec, rules, out):
    for i in range(x.size):
        out[i] = cores.from_float(x[i], spec, rules, cores.random_bits(key, first + i, rules))


@pytest.mark.parametrize(
    "mode", ["nearest_even", fe.Stochastic("A"), fe.Stochastic("B", 3), fe.Stochastic("C", 17)], ids=str
)
def test_random_numbers_are_those_of_casts(mode):
    x, first = np.random.default_rng(1).standard_normal(1000), (1 << 32) - 500
    fmt, out = fe.dtype("float8_e4m3fn"), np.empty(1000, np.uint8)
    drawn(x, cores.key(5), first, fmt.spec, cores.rules(fmt, rounding=mode), out)
    how = {"rng": 5, "rng_offset": first} if isinstance(mode, fe.Stochastic) else {}
    np.testing.assert_array_equal(out, fe.encode(x, fmt, rounding=mode, **how))


def test_cores_in_a_loop_without_a_file():
    """Compiled, not kept, and without the GIL as all are."""
    names = {"cores": cores}
    exec("def twice(x, spec, rules):\n    return cores.add(x, x, spec, rules)", names)
    twice = cores.njit(names["twice"])
    assert twice(3, fe.dtype("int8").spec, cores.rules("int8")) == 6
    assert twice.targetoptions["nogil"]
    assert not hasattr(twice._cache, "_impl")


def test_docstrings():
    """Every core says what its parameters are, and what comes out."""
    for name in cores.__all__:
        core = getattr(cores, name)
        if not hasattr(core, "py_func"):
            continue
        lines = [line.strip() for line in core.__doc__.splitlines()]
        parameters = lines[lines.index("Parameters") + 2 : lines.index("Returns")]
        heads = [line.partition(" : ")[0] for line in parameters if " : " in line]
        real = inspect.signature(core).parameters
        assert ", ".join(heads).split(", ") == list(real)
        assert all(line for line in parameters[:-1])
        assert "random" not in real or real["random"].default == 0
        assert "{" not in core.__doc__
        assert lines[lines.index("Returns") + 2]


def frozen(spec, rules):
    """Another function for another format, with its numbers in it."""

    @cores.njit
    def total_of(codes):
        total = np.uint64(0)
        for code in codes:
            total = cores.add(total, code, spec, rules)
        return total

    return total_of


def test_a_frozen_format():
    """The same bits, in a function of its own for each format."""
    x = np.linspace(0, 3, 50)
    made, odd = [], fe.dtype("bfloat16")
    for fmt, rules in ((FIXED, RULES), (odd, cores.rules(odd, rounding="to_odd"))):
        codes = fe.encode(x, fmt).astype(np.uint64)
        made.append(frozen(fmt.spec, rules))
        assert made[-1](codes) == running_sum(codes, fmt.spec, rules)
    assert made[0](codes) != made[1](codes)


def test_cores_in_a_ufunc():
    """And in functions that numba compiles in other ways; codes of any unsigned type."""
    spec, rules = SPEC, RULES

    @numba.vectorize(["uint8(uint8, uint8)"])
    def product(x, y):
        return cores.multiply(x, y, spec, rules)

    @numba.guvectorize(["uint8[:], uint8[:], uint8[:]"], "(n),(n)->()")
    def dot(x, y, out):
        total = np.uint64(0)
        for i in range(x.size):
            total = cores.fma(x[i], y[i], total, spec, rules)
        out[0] = total

    codes = np.arange(256, dtype=np.uint8)
    x, y = fe.Array(codes, FIXED), fe.Array(codes[:, None], FIXED)
    np.testing.assert_array_equal(product(codes, codes[:, None]), fe.multiply(x, y, overflow="saturate").codes)
    finite = np.flatnonzero(fe.is_finite(x)).astype(np.uint8)
    rows = np.random.default_rng(3).choice(finite, (2, 50, 20))
    expected = fe.vecdot(*(fe.Array(side, FIXED) for side in rows), accumulate=FIXED, overflow="saturate").codes
    np.testing.assert_array_equal(dot(*rows), expected)


def test_cores_in_a_parallel_loop():
    @numba.njit(parallel=True)
    def squares(x, spec, rules, out):
        for i in numba.prange(x.size):
            out[i] = cores.multiply(x[i], x[i], spec, rules)

    codes = np.arange(256, dtype=np.uint8)
    out = np.empty_like(codes)
    squares(codes, SPEC, RULES, out)
    x = fe.Array(codes, FIXED)
    np.testing.assert_array_equal(out, fe.multiply(x, x, overflow="saturate").codes)

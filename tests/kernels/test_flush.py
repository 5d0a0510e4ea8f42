"""Subnormals flushed to zero: the CPU with MXCSR's FTZ and DAZ set, known answers, Arm's rule in exact fractions."""

from __future__ import annotations

import itertools
import operator
from fractions import Fraction

import numpy as np
import pytest

import fpemu as fe
from fpemu.arithmetic import fast_paths
from fpemu.arithmetic.task import general
from tests.kernels.test_arithmetic import assert_operates, some
from tests.kernels.test_fpu import task
from tests.oracle import cpu, spec
from tests.oracle.compare import DETERMINISTIC, STOCHASTIC, assert_same_codes, profile
from tests.oracle.spec_arithmetic import order
from tests.oracle.spec_values import read
from tests.proofs.triples import draw

PROFILE = fe.profile("x86-sse-ftz")
FLOATS = ("float32", "float64")
needs_x86 = pytest.mark.skipif(cpu.COMPILER is None or not cpu.X86, reason="needs a C compiler and an x86-64 CPU")


def codes_near_normal(name, count, rng):
    """Codes of both signs: subnormal and the smallest normal numbers, and those about powers of two and zero."""
    fmt = fe.dtype(name)
    digits = fmt.trailing_bits
    about = rng.integers(0, 3 << digits, count, dtype=np.uint64)
    ends = (rng.integers(0, 4, count) << digits) + rng.integers(-4, 5, count)
    codes = np.where(rng.random(count) < 0.5, about, np.maximum(ends, 0).astype(np.uint64))
    signs = rng.integers(0, 2, count, dtype=np.uint64) << np.uint64(fmt.bits - 1)
    return (codes | signs).astype(fmt.code_dtype)


def operands_near_normal(operation, name, count, seed):
    """Operands whose exact results lie about the smallest normal number, and all that `draw` has."""
    rng = np.random.default_rng(seed)
    fmt = fe.dtype(name)
    drawn = [part.astype(fmt.code_dtype) for part in draw(operation, name, count, rng)]
    results = codes_near_normal(name, count, rng)
    other = fields_with_any_digits(fmt, count, rng)
    with np.errstate(all="ignore"):
        wanted, given = (part.view(name) for part in (results, other))
        aimed = {
            "add": (wanted, codes_near_normal(name, count, rng).view(name)),
            "subtract": (wanted, codes_near_normal(name, count, rng).view(name)),
            "multiply": (wanted / given, given),
            "divide": (wanted * given, given),
            "fma": (given, wanted / given, results.view(name)),
            "sqrt": (wanted,),
        }[operation]
    moved = [part.view(fmt.code_dtype) + rng.integers(0, 3, count).astype(fmt.code_dtype) for part in aimed]
    return [np.concatenate(parts) for parts in zip(drawn, moved, strict=True)]


def fields_with_any_digits(fmt, count, rng):
    """Normal numbers of moderate size."""
    field = rng.integers(fmt.bias - 40, fmt.bias + 40, count, dtype=np.uint64) << np.uint64(fmt.trailing_bits)
    digits = rng.integers(0, 1 << fmt.trailing_bits, count, dtype=np.uint64)
    return (field | digits | rng.integers(0, 2, count, dtype=np.uint64) << np.uint64(fmt.bits - 1)).astype(
        fmt.code_dtype
    )


def assert_same(found, expected, flags, expected_flags, operands, how):
    """No difference in codes or flags."""
    wrong = np.flatnonzero((found != expected) | (flags != expected_flags))
    rows = [[hex(part[i]) for part in (*operands, found, expected)] + [flags[i], expected_flags[i]] for i in wrong[:5]]
    assert not wrong.size, (how, wrong.size, rows)


@needs_x86
@pytest.mark.parametrize("operation", cpu.OPERATIONS)
@pytest.mark.parametrize("name", FLOATS)
def test_operations_of_the_cpu(name, operation):
    """100,000 operands in each of the four modes: values and flags."""
    if operation == "fma" and not cpu.has("fma"):
        pytest.skip("the CPU has no FMA3")
    fmt = fe.dtype(name)
    codes = operands_near_normal(operation, name, 50_000, 5)
    for mode in cpu.MODES:
        theirs, flags = cpu.operate(operation, mode, [part.view(name) for part in codes], flush=True)
        ours, raised = getattr(fe, operation)(
            *(fe.Array(part, fmt) for part in codes), profile=PROFILE, rounding=mode, return_flags=True
        )
        expected = theirs.view(fmt.code_dtype)
        if operation == "fma":  # x y is y x to the compiler
            unknown = (
                np.isnan(ours.values) & np.isnan(theirs) & np.isnan(codes[0].view(name)) & np.isnan(codes[1].view(name))
            )
            expected = np.where(unknown, ours.codes, expected)
        assert_same(ours.codes, expected, raised.bits, flags, codes, mode)


@needs_x86
@pytest.mark.parametrize(("source", "target"), cpu.CONVERSIONS, ids=str)
def test_conversions_of_the_cpu(source, target):
    """Float16 is neither read as zero nor flushed; integers see zeros."""
    if "float16" in (source, target) and not cpu.has("half"):
        pytest.skip("the CPU has no F16C")
    own, fmt = fe.dtype(source), fe.dtype(target)
    codes = sources_near_normal(source, target, 60_000)
    for mode in cpu.MODES:
        as_given = codes if source == "float16" else codes.view(source)
        x = as_given.view("float16") if source == "float16" else as_given
        theirs, flags = cpu.convert(target, mode, x, flush=True)
        ours, raised = fe.convert(fe.Array(codes, own), fmt, profile=PROFILE, rounding=mode, return_flags=True)
        expected = theirs.view(fmt.code_dtype)
        assert_same(ours.codes, expected, raised.bits, flags, [codes], mode)
        casted = fe.encode(codes, fmt, source=own, profile=PROFILE, rounding=mode)
        np.testing.assert_array_equal(casted, expected)


def sources_near_normal(source, target, count):
    """Codes of a format: by chance and at its edges, about its own and about the target's smallest normal number."""
    rng = np.random.default_rng(6)
    fmt, into = fe.dtype(source), fe.dtype(target)
    codes = [some(fmt, count, 7)]
    if fmt.kind == "float":
        codes.append(codes_near_normal(source, count, rng))
    if fmt.kind == "float" and into.kind == "float" and into.bits < fmt.bits:
        near = fe.encode(codes_near_normal(target, count, rng), fmt, source=into, profile="ieee")
        low = np.uint64(1) << np.uint64(fmt.trailing_bits - into.trailing_bits)
        codes.append(near + rng.integers(-int(low), int(low) + 1, count).astype(fmt.code_dtype))
    return np.concatenate(codes)


@needs_x86
@pytest.mark.parametrize("name", FLOATS)
def test_comparisons_of_the_cpu(name):
    """Subnormal numbers are zeros; invalid is raised as ever."""
    fmt, rng = fe.dtype(name), np.random.default_rng(8)
    x = np.concatenate([codes_near_normal(name, 40_000, rng), some(fmt, 20_000, 9)])
    y = np.concatenate([codes_near_normal(name, 40_000, rng), some(fmt, 20_000, 10)])
    y[::3] = x[::3]
    for comparison in cpu.COMPARISONS:
        theirs, flags = cpu.compare(comparison, [x.view(name), y.view(name)], flush=True)
        ours, raised = getattr(fe, comparison)(fe.Array(x, fmt), fe.Array(y, fmt), profile=PROFILE, return_flags=True)
        assert_same(ours.astype(int), theirs.astype(int), raised.bits, flags, [x, y], comparison)


@needs_x86
@pytest.mark.parametrize("operation", ["minimum", "maximum"])
@pytest.mark.parametrize("name", FLOATS)
def test_extrema_of_the_cpu(name, operation):
    """A subnormal operand that is passed on is passed on as zero."""
    fmt, rng = fe.dtype(name), np.random.default_rng(11)
    x = np.concatenate([codes_near_normal(name, 40_000, rng), some(fmt, 20_000, 12)])
    y = np.concatenate([codes_near_normal(name, 40_000, rng), some(fmt, 20_000, 13)])
    theirs, flags = cpu.extremum(operation, [x.view(name), y.view(name)], flush=True)
    ours, raised = getattr(fe, operation)(
        fe.Array(x, fmt), fe.Array(y, fmt), profile=PROFILE, extremum="x86", return_flags=True
    )
    assert_same(ours.codes, theirs.view(fmt.code_dtype), raised.bits, flags, [x, y], operation)


@needs_x86
@pytest.mark.parametrize("name", FLOATS)
def test_round_to_integral_of_the_cpu(name):
    if not cpu.has("half"):
        pytest.skip("the CPU has no SSE4.1")
    fmt = fe.dtype(name)
    codes = sources_near_normal(name, name, 40_000)
    for mode in cpu.MODES:
        theirs, flags = cpu.round_to_integral(mode, codes.view(name), flush=True)
        ours, raised = fe.round_to_integral(
            fe.Array(codes, fmt), profile=PROFILE, rounding=mode, exact=True, return_flags=True
        )
        assert_same(ours.codes, theirs.view(fmt.code_dtype), raised.bits, flags, [codes], mode)


@needs_x86
@pytest.mark.parametrize("operation", ["add", "multiply", "divide", "fma"])
@pytest.mark.parametrize("name", FLOATS)
def test_these_operands_tell_the_rules_apart(name, operation):
    """The comparisons with the CPU could fail: each other rule gives other codes for what they ask."""
    fmt = fe.dtype(name)
    arrays = [fe.Array(part, fmt) for part in operands_near_normal(operation, name, 50_000, 5)]
    modes = cpu.MODES if operation in ("multiply", "fma") else ()
    for mode, rule in itertools.product(modes, ("keep", "flush_before", "flush_after")):
        right, other = (
            getattr(fe, operation)(*arrays, profile=rules, rounding=mode).codes
            for rules in (PROFILE, PROFILE.replace(subnormals_out=rule))
        )
        if rule == "keep" or mode == "nearest_even":
            assert (right != other).any(), (mode, rule)
    _, raised = getattr(fe, operation)(*arrays, profile=PROFILE, return_flags=True)
    assert np.count_nonzero(raised.bits == 3) > 100  # underflow and inexact


# float32 codes, MXCSR 0x9FC0: x, y, their product as flush_tiny, flush_before and flush_after have it, and flags
KNOWN = [
    (0x899A6C6F, 0xB6543212, 0x00800000, 0x00000000, 0x00800000, 1),
    (0xBF430000, 0x00A80A80, 0x80000000, 0x80000000, 0x80800000, 3),
]


@pytest.mark.parametrize(("x", "y", "tiny", "before", "after", "raised"), KNOWN)
def test_known_products(x, y, tiny, before, after, raised):
    """By every road: alone, in arrays, as an fma, by the cores, by operators, by the command's arithmetic."""
    fmt = fe.dtype("float32")
    ieee = fe.profile("ieee")
    for rule, expected in (("flush_tiny", tiny), ("flush_before", before), ("flush_after", after)):
        for count in (1, 10_000):
            a, b = (fe.Array(np.full(count, code, np.uint32), fmt) for code in (x, y))
            rules = ieee.replace(subnormals_out=rule)
            assert set(fe.multiply(a, b, profile=rules).codes.tolist()) == {expected}
            assert set(fe.fma(a, b, -0.0, profile=rules).codes.tolist()) == {expected}
            assert set((a.with_profile(rules) * b.with_profile(rules)).codes.tolist()) == {expected}
        assert fe.cores.multiply(x, y, fmt.spec, fe.cores.rules(fmt, rules)) == expected
    product, flags = fe.multiply(a, b, profile="x86-sse-ftz", return_flags=True)
    assert set(product.codes.tolist()) == {tiny}
    assert set(flags.bits.tolist()) == {raised}
    code, bits = fe.cores.multiply_mixed(x, y, *[fmt.spec] * 3, fe.cores.rules(fmt, "x86-sse-ftz"))
    assert (code, bits) == (tiny, raised)
    product, flags = fe.multiply(a, b, profile="arm-fz", return_flags=True)
    assert set(product.codes.tolist()) == {before}
    assert set(flags.bits.tolist()) == {2}  # underflow alone


# -- Arm ---------------------------------------------------------------------------------------------------------------


def arm_rounds(exact, fmt):
    """FPRoundBase with FPCR.FZ set, to nearest: (a nonnegative result's code, flags)."""
    if exact < Fraction(2) ** fmt.emin:  # "if fpcr.FZ == '1' && exponent < minimum_exp": UFC, and no more
        return 0, 2
    low, high = 1 << fmt.trailing_bits, fmt.max_code + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fmt.exact(middle) <= exact else (low, middle)
    below, above = fmt.exact(low), fmt.exact(low + 1)
    if exact == below:
        return low, 0
    more = 2 * exact - below - above
    return low + (more > 0 or (more == 0 and low % 2 == 1)), 1


@pytest.mark.parametrize("name", FLOATS)
def test_arm(name):
    """Operands that are subnormal are zeros, results that are tiny before rounding too: underflow alone."""
    fmt = fe.dtype(name)
    for operation, call in (("add", operator.add), ("multiply", operator.mul), ("divide", operator.truediv)):
        x, y = (part & part.dtype.type(fmt.sign_mask - 1) for part in operands_near_normal(operation, name, 1500, 4))
        usable = (x <= fmt.max_code) & (y <= fmt.max_code) & (y >= 1 << fmt.trailing_bits)
        x, y = x[usable], y[usable]
        ours, raised = getattr(fe, operation)(fe.Array(x, fmt), fe.Array(y, fmt), profile="arm-fz", return_flags=True)
        tiny = 0
        for a, b, code, bits in zip(*(p.tolist() for p in (x, y, ours.codes, raised.bits)), strict=True):
            exact = call(fmt.exact(a) if a >= 1 << fmt.trailing_bits else Fraction(0), fmt.exact(b))
            if exact >= fmt.exact(fmt.max_code):
                continue
            expected = arm_rounds(exact, fmt) if exact else (0, 0)
            assert (code, bits) == expected, (operation, hex(a), hex(b))
            tiny += bits == 2
        assert tiny > 100 or operation == "add"  # a sum of positive normal numbers is none


def test_half_precision_is_apart():
    """FZ and FTZ leave float16 alone, as source and as result (FZ16 is another bit); bfloat16 is flushed."""
    for name in ("x86-sse-ftz", "arm-fz"):
        half, single = fe.dtype("float16"), fe.dtype("float32")
        subnormal = fe.Array(np.arange(1, 1 << 10, dtype=np.uint16), half)
        wide = fe.convert(subnormal, single, profile=name)
        np.testing.assert_array_equal(wide.values, subnormal.values)
        np.testing.assert_array_equal(fe.convert(wide, half, profile=name).codes, subnormal.codes)
        np.testing.assert_array_equal(fe.add(subnormal, 0.0, profile=name).codes, subnormal.codes)
        np.testing.assert_array_equal(fe.encode(wide.values, half, profile=name), subnormal.codes)
        codes = fe.encode(np.ldexp(1.0, np.arange(-140, -124)), "bfloat16", profile=name)
        np.testing.assert_array_equal(codes != 0, np.arange(-140, -124) >= -126)
        rules = fe.profile(name)
        assert rules.subnormals_out.value == "flush_tiny"
        assert rules.for_codes(half.codes_key).subnormals_out.value == "keep"


def test_integers_see_zeros():
    """To integers a subnormal operand is 0, exactly, in whatever direction: no flag."""
    x = fe.Array(np.array([1, 0x807FFFFF, 0x00800000], np.uint32), "float32")
    for name, mode in itertools.product(("x86-sse-ftz", "arm-fz"), ("toward_positive", "toward_negative")):
        found, flags = fe.convert(x, "int32", profile=name, rounding=mode, return_flags=True)
        assert found.codes.tolist() == [0, 0, int(mode == "toward_positive")]
        assert flags.bits.tolist() == [0, 0, 1]
        found, flags = fe.round_to_integral(x, profile=name, rounding=mode, return_flags=True)
        assert found.codes.tolist()[:2] == [0, 0x80000000]
        assert flags.bits.tolist()[:2] == [0, 0]


# -- the rule ----------------------------------------------------------------------------------------------------------

RULES = [
    {"subnormals_out": "flush_tiny"},
    {"subnormals_out": "flush_tiny", "tininess": "before", "flush_flags": "underflow"},
    {"subnormals_out": "flush_tiny", "flush_flags": "underflow", "subnormals_in": "zero_above_16_bits"},
    {"subnormals_out": "flush_before", "tininess": "after"},
    {"subnormals_out": "flush_after", "tininess": "before", "flush_flags": "underflow"},
]
OPERATIONS = {
    **dict.fromkeys(("add", "subtract", "multiply", "divide", "fmod", "ieee_remainder"), 2),
    **dict.fromkeys(("minimum", "maximum_number"), 2),
    **{"fma": 3, "sqrt": 1, "round_to_integral": 1, "logb": 1, "convert": 1},
}
FORMATS = ["float8_e4m3fn", "float8_e5m2fnuz", "float16", "bfloat16", "float32", "float64", "binary8p1se"]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("name", FORMATS)
def test_every_operation(name, operation):
    """Codes and flags by the specification, every mode under some rule."""
    fmt, arity = fe.dtype(name), OPERATIONS[operation]
    for number, mode in enumerate(DETERMINISTIC):
        knobs = RULES[number % len(RULES)]
        operands = [some(fmt, 120, 10 * number + place) for place in range(arity)]
        operands[0][::2] &= operands[0].dtype.type(fmt.sign_mask | (3 << fmt.trailing_bits) - 1)
        assert_operates(operation, operands, [fmt] * arity, fmt, profile(fmt, rounding=mode, **knobs))


SOURCES = [("float64", "float32"), ("float32", "bfloat16"), ("float64", "float16"), ("float16", "float8_e5m2")]
SOURCES += [("float32", "float16"), ("bfloat16", "float64"), ("uint8", "float4_e2m1fn"), ("float64", "float8_e8m0fnu")]


@pytest.mark.parametrize("names", SOURCES, ids=str)
def test_every_cast(names):
    """Numbers about the smallest normal one, in every mode; casts, conversions and the cores."""
    source, target = map(fe.dtype, names)
    codes = sources_near_normal(*names, 300)
    numbers = [spec.decode(code, source) for code in codes.tolist()]
    for mode, knobs in itertools.product([*DETERMINISTIC, *STOCHASTIC], RULES[:3]):
        rules = profile(target, rounding=mode, **knobs)
        random = None
        if isinstance(mode, fe.Stochastic):
            random = np.random.default_rng(2).integers(0, 1 << mode.bits, codes.size, dtype=np.uint64)
        expected = spec.encode(numbers, target, rules, random)
        found = fe.encode(codes, target, source=source, profile=rules, random_bits=random)
        assert_same_codes(found.astype(np.uint64), expected, codes, target, rules)
        numbers_of_it = fe.cores.rules(target, rules)
        for i in range(0, codes.size, 97):
            drawn = 0 if random is None else random[i]
            core = fe.cores.recode(codes[i], source.spec, target.spec, numbers_of_it, drawn)
            assert numbers[i].kind == "nan" or core == expected[i]


@pytest.mark.parametrize("name", ["float8_e5m2", "float16", "bfloat16", "float32", "float8_e8m0fnu"])
def test_tiny_before_rounding_is_flush_before(name):
    fmt = fe.dtype(name)
    x = sources_near_normal("float64", name, 5_000).view(np.float64)
    ways = [{"subnormals_out": "flush_before"}, {"subnormals_out": "flush_tiny", "tininess": "before"}]
    for mode in DETERMINISTIC:
        one, other = (fe.encode(x, fmt, profile=profile(fmt, rounding=mode, **knobs)) for knobs in ways)
        np.testing.assert_array_equal(one, other)
        one, other = (
            fe.multiply(x, 0.75, result=fmt, profile=profile(fmt, rounding=mode, tininess="before", **knobs))
            for knobs in ({"subnormals_out": "flush_before"}, {"subnormals_out": "flush_tiny"})
        )
        np.testing.assert_array_equal(one, other)


FAST = [("float16", "float16"), ("bfloat16", "bfloat16"), ("float8_e5m2", "float16"), ("bfloat16", "float8_e4m3fn")]
FAST += [("tfloat32", "bfloat16"), ("float8_e5m2", "float8_e5m2")]


@pytest.mark.parametrize("names", FAST, ids=str)
def test_faster_ways(names):
    """The FPU's and the tables', where they are taken, give the general kernel's bits and flags."""
    source, target = map(fe.dtype, names)
    taken = 0
    for operation in ("add", "multiply", "divide", "fma", "sqrt"):
        arity = OPERATIONS[operation]
        codes = [some(source, 9_000, place) for place in range(arity)]
        low = codes[0].dtype.type((6 << source.trailing_bits) - 1) | codes[0].dtype.type(source.sign_mask)
        codes[0][::2] &= low
        formats = (source,) * arity
        for mode, knobs in itertools.product(("nearest_even", "toward_positive", "to_odd"), RULES):
            these = task(target.name, mode, **{"tininess": "after", **knobs})
            expected, raised = np.empty(9_000, target.code_dtype), np.empty(9_000, np.uint8)
            general(operation, formats, these, codes, expected, raised)
            for wanted in (False, True):
                way = fast_paths.fast_path(operation, formats, these, 9_000, wanted)
                out, flags = np.zeros(9_000, target.code_dtype), np.zeros(9_000 if wanted else 0, np.uint8)
                if way is None or not way(codes, out, flags):
                    continue
                taken += 1
                np.testing.assert_array_equal(out, expected)
                if wanted:
                    np.testing.assert_array_equal(flags, raised)
    assert taken >= 15


COMPARISONS = {
    "equal": (0,),
    "not_equal": (-1, 1, None),
    "less": (-1,),
    "less_equal": (-1, 0),
    "greater": (1,),
    "greater_equal": (0, 1),
}


@pytest.mark.parametrize("rule", ["keep", "zero", "zero_above_16_bits"])
def test_comparisons(rule):
    """Of any two formats, each read by its own width."""
    rules = fe.profile("ieee").replace(subnormals_in=rule)
    for names in itertools.product(("float8_e5m2", "float16", "float32", "uint8"), repeat=2):
        formats = [fe.dtype(name) for name in names]
        codes = [np.resize(sources_near_normal(name, name, 60), 120) for name in names]
        codes[1][:60] = np.resize(codes[0][::-1], 60)
        numbers = [[read(spec.decode(c, f), rule) for c in p.tolist()] for p, f in zip(codes, formats, strict=True)]
        right = [None if "nan" in (x.kind, y.kind) else order(x, y) for x, y in zip(*numbers, strict=True)]
        arrays = [fe.Array(part, fmt) for part, fmt in zip(codes, formats, strict=True)]
        for name, wanted in COMPARISONS.items():
            found = getattr(fe, name)(*arrays, profile=rules)
            assert found.tolist() == [each in wanted for each in right], (name, names)
            if rule == "keep":
                np.testing.assert_array_equal(getattr(fe, name)(*arrays), found)
    for wrong, error in ((3, TypeError), ("x87", ValueError)):
        with pytest.raises(error):
            fe.less(1.0, 2.0, profile=wrong)


@pytest.mark.parametrize("name", ["uint8", "int8", "uint64", "q3.12", "uint4"])
def test_integers_are_never_subnormal(name):
    """Whatever counts as zero among floats: operands that are integers stay what they are, in every operation."""
    fmt, into = fe.dtype(name), fe.dtype("float64")
    x, y = some(fmt, 200, 1), some(fmt, 200, 2)
    for rule, (operation, arity) in itertools.product(("zero", "zero_above_16_bits"), OPERATIONS.items()):
        arrays = [fe.Array(part, fmt) for part in (x, y, x)][:arity]
        how = {"fmt" if operation == "convert" else "result": into, "return_flags": True}
        (one, raised), (other, flags) = (
            getattr(fe, operation)(*arrays, profile=fe.profile("ieee").replace(subnormals_in=word), **how)
            for word in ("keep", rule)
        )
        np.testing.assert_array_equal(one.codes, other.codes)
        np.testing.assert_array_equal(raised.bits, flags.bits)

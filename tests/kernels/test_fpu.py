"""The faster ways of operations beside the general kernel, which kernels/test_arithmetic.py holds to exact integers."""

from __future__ import annotations

import numpy as np
import pytest

import fpemu as fe
from fpemu.arithmetic import fast_paths
from fpemu.arithmetic.task import general as general_kernel
from fpemu.arithmetic.task import resolve_target
from tests.cases import float_environment

MODES = ["nearest_even", "toward_zero", "toward_negative", "toward_positive", "to_odd", "nearest_away"]
OPERANDS = {"add": 2, "subtract": 2, "multiply": 2, "divide": 2, "fma": 3, "sqrt": 1}
# (formats of the operands, in turn; the result's)
CASES = [
    (["float16"], "float16"),
    (["bfloat16"], "bfloat16"),
    (["float32"], "float32"),
    (["float16", "bfloat16"], "float8_e4m3fn"),
    (["bfloat16", "float8_e5m2fnuz", "float16"], "float16"),
    (["e5m3", "tfloat32"], "e8m20"),
    (["float8_e8m0fnu", "float16"], "float8_e5m2fnuz"),
    (["tfloat32"], "bfloat16"),
]


def task(target, mode, tininess="after", **knobs):
    """A task as `resolve_target` makes it."""
    fmt = fe.dtype(target)
    return resolve_target("add", (fmt,), fmt, fmt.profile.replace(tininess=tininess, **knobs), mode, None)


def operands(formats, size, rng):
    """Codes of all kinds: by chance; near one another, with signs that cancel; far ones, zeros, infinities and NaN."""
    codes = [rng.integers(0, fmt.code_count, size).astype(fmt.code_dtype) for fmt in formats]
    if len(codes) > 1 and formats[0] == formats[1]:
        part = size // 3
        few = rng.integers(0, 1 << (formats[0].bits // 2), part).astype(codes[0].dtype)
        codes[1][:part] = codes[0][:part] ^ few ^ codes[0].dtype.type(formats[0].sign_mask)
    for place, (some, fmt) in enumerate(zip(codes, formats, strict=True)):
        ends = [0, 1, fmt.max_code, fmt.max_code - 1, *fmt.nan_codes[:1]]
        ends += [fmt.infinity_code] if fmt.infinities else []
        ends += [code | fmt.sign_mask for code in ends if code < fmt.sign_mask]
        last = some[-(size // 4) :]
        last[:] = np.resize(np.repeat(np.array(ends, some.dtype), 1 + 5 * place), last.size)
    return codes


def run(way, codes, target, flags_wanted):
    """What a way makes of codes: the result's, and flags or an empty array."""
    out = np.full(codes[0].size, 0xA5, target.code_dtype)
    flags = np.full(out.size if flags_wanted else 0, 0xA5, np.uint8)
    return way(codes, out, flags), out, flags


def general(name, formats, these, codes):
    out, flags = np.empty(codes[0].size, these.format.code_dtype), np.empty(codes[0].size, np.uint8)
    general_kernel(name, formats, these, codes, out, flags)
    return out, flags


@pytest.mark.parametrize("name", OPERANDS)
def test_fpu(name):
    """Wherever the FPU is taken, its bits and flags are the general kernel's."""
    rng, tried = np.random.default_rng(7), {}
    for sources, target in CASES:
        formats = tuple(fe.dtype(fmt) for fmt in np.resize(sources, OPERANDS[name]).tolist())
        codes = operands(formats, 3000, rng)
        for number, mode in enumerate(MODES):
            these = task(target, mode, "before" if number % 2 else "after")
            expected, raised = general(name, formats, these, codes)
            for flags_wanted in (False, True):
                way = fast_paths._fpu_path(name, formats, these, flags_wanted)
                if way is None:
                    continue
                done, found, flags = run(way, codes, these.format, flags_wanted)
                assert done
                wrong = np.flatnonzero((found != expected) | (flags != raised if flags_wanted else False))
                words = [tuple(hex(part[i]) for part in (*codes, found, expected)) for i in wrong[:4]]
                assert wrong.size == 0, (sources, target, mode, words, flags[wrong[:4]], raised[wrong[:4]])
                tried[flags_wanted] = tried.get(flags_wanted, 0) + 1
    assert tried[False] >= 30
    assert tried[True] >= 24


def test_fpu_limits():
    """Sums that lie just about where results overflow, are tiny, or become zero, with their flags."""
    source = fe.dtype("float32"), fe.dtype("float16")  # a sum of float32s overflows float32
    for target in ("float16", "bfloat16", "float8_e4m3fn"):
        fmt = fe.dtype(target)
        near = [float(fmt.exact(fmt.max_code)), 2.0**fmt.emin, 2.0 ** (fmt.emin - 1), 2.0**fmt.quantum_exponent]
        quantum = 1 << (24 - fmt.precision)
        steps = [s + d for s in (0, quantum, quantum // 2, -quantum, -quantum // 2) for d in (-2, -1, 0, 1, 2)]
        x = (np.array(near, np.float32).view(np.uint32)[:, None] + np.array(steps)).astype(np.uint32).ravel()
        codes = [np.concatenate([x, x | np.uint32(1 << 31)]), np.zeros(2 * x.size, np.uint16)]
        for mode in MODES:
            for tininess in ("before", "after"):
                these = task(target, mode, tininess)
                expected, raised = general("add", source, these, codes)
                way = fast_paths._fpu_path("add", source, these, True)
                assert way is not None
                done, found, flags = run(way, codes, these.format, True)
                assert done
                np.testing.assert_array_equal(found, expected)
                np.testing.assert_array_equal(flags, raised)


@pytest.mark.parametrize("name", ["add", "divide", "sqrt"])
def test_table(name):
    """Operands of 16 bits together: every result."""
    sources = ["float16"] if name == "sqrt" else ["float8_e4m3fn", "float7_e3m3"]
    formats = tuple(map(fe.dtype, sources))
    codes = [part.ravel().astype(fmt.code_dtype) for part, fmt in zip(
        np.meshgrid(*(np.arange(fmt.code_count) for fmt in formats), indexing="ij"), formats, strict=True)]  # fmt: skip
    for mode in ("nearest_even", "toward_positive"):
        these = task("float8_e5m2", mode)
        expected, raised = general(name, formats, these, codes)
        way = fast_paths.fast_path(name, formats, these, codes[0].size, True)
        done, found, flags = run(way, [part[::-1].copy() for part in codes], these.format, True)
        assert done
        np.testing.assert_array_equal(found[::-1], expected)
        np.testing.assert_array_equal(flags[::-1], raised)
        np.testing.assert_array_equal(run(way, codes, these.format, False)[1], expected)


@pytest.mark.parametrize("mode", ["nearest_even", "nearest_away", "toward_negative"])
def test_products_that_lose_nothing(mode):
    """In float32 where no product is too small for it, in float64 where one is: bfloat16's range is float32's."""
    rng = np.random.default_rng(11)
    fmt = fe.dtype("bfloat16")
    these = task(fmt, mode)
    x, y = (rng.integers(64 << 7, 255 << 7, 4000) | rng.integers(0, 2, 4000) << 15 for _ in range(2))
    x[:60], y[40:90] = np.resize([0, 0x8000, 0x7F80, 0xFFC0], 60), np.resize([0x7F80, 0, 0x8000, 0x7FA0], 50)
    codes = [x.astype(np.uint16), y.astype(np.uint16)]
    small = [part.copy() for part in codes]
    small[0][-1], small[1][-1] = 0x0001, 0x3E80  # a quarter of the smallest number
    for flags_wanted in (False, True):
        way = fast_paths._fpu_path("multiply", (fmt, fmt), these, flags_wanted)
        for given in (codes, small):
            expected, raised = general("multiply", (fmt, fmt), these, given)
            done, found, flags = run(way, given, fmt, flags_wanted)
            assert done
            np.testing.assert_array_equal(found, expected)
            np.testing.assert_array_equal(flags, raised if flags_wanted else [])


@pytest.mark.parametrize("mode", ["toward_positive", "toward_zero", "nearest_even"])
def test_products_that_lose_a_digit(mode):
    """Of 24 digits below 2^-126, where float32 has 23: the FPU's are ties just beside the target's numbers."""
    left, right = fe.dtype("e8m15"), fe.dtype("bfloat16")
    odd = np.arange(129, 256, 2)
    rests = [pow(int(b), -1, 512) * sign % 512 for b in odd for sign in (1, -1)]
    b = np.repeat(odd, 2)[:, None]
    a = np.array(rests)[:, None] + 512 * np.arange(64, 128)
    kept = a * b >= 1 << 23  # in units of 2^-150
    x, y = np.broadcast_arrays(a, b)
    codes = [
        ((67 << 15) + (x[kept] - (1 << 15))).astype(left.code_dtype),
        ((59 << 7) + (y[kept] - (1 << 7))).astype(right.code_dtype),
    ]
    these = task(left, mode)
    expected, raised = general("multiply", (left, right), these, codes)
    for flags_wanted in (False, True):
        way = fast_paths._fpu_path("multiply", (left, right), these, flags_wanted)
        done, found, flags = run(way, codes, left, flags_wanted)
        assert done
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(flags, raised if flags_wanted else [])


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_sums_rounded_twice(name):
    """To nearest, the FPU's sum is as good as the exact one: numbers beside powers of two, and all others."""
    fmt = fe.dtype(name)
    one = int(fe.encode(1.0, fmt))
    every = np.arange(fmt.code_count, dtype=np.uint16)
    for mode in ("nearest_even", "nearest_toward_zero", "nearest_toward_positive"):
        these = task(fmt, mode)
        way = fast_paths._fpu_path("subtract", (fmt, fmt), these, False)
        for x in (one, one + 1, one - 1):
            codes = [np.full(every.size, x, np.uint16), every]
            np.testing.assert_array_equal(
                run(way, codes, fmt, False)[1], general("subtract", (fmt, fmt), these, codes)[0]
            )


def test_which_way():
    """The general kernel where little is to be done, where randomness is, and where rules are not the FPU's."""
    half, single = fe.dtype("float16"), fe.dtype("float32")
    these = task("float16", "nearest_even")
    many = 1 << 20
    assert fast_paths.fast_path("add", (half, half), these, many, True) is not None
    assert fast_paths.fast_path("add", (half, half), these, 10, True) is None
    assert fast_paths.fast_path("add", (half, half), task("float16", fe.Stochastic()), many, True) is None
    assert fast_paths.fast_path("add", (half, half), task("float16", None, subnormals_in="zero"), many, True) is None
    assert fast_paths.fast_path("add", (half, half), task("int8", None), many, True) is None
    assert fast_paths.fast_path("add", (fe.dtype("float64"),) * 2, these, many, True) is None
    assert fast_paths.fast_path("multiply", (fe.dtype("e8m22"),) * 2, these, many, False) is not None
    assert fast_paths.fast_path("fma", (fe.dtype("float8_e4m3fn"),) * 3, these, many, False) is not None
    assert fast_paths.fast_path("divide", (single, single), task("float64", None), many, False) is None
    assert fast_paths.fast_path("sqrt", (single,), task("e11m27", None), many, False) is None
    assert fast_paths.fast_path("add", (half, half), task("e11m51", None), many, False) is None


@float_environment.needed
def test_fpu_leaves_it_to_others():
    """Where it rounds otherwise or flushes subnormals."""
    half = fe.dtype("float16")
    these = task("float16", "nearest_even")
    way = fast_paths._fpu_path("add", (half, half), these, False)
    codes = [np.array([0x3C00, 1], np.uint16), np.array([0x0001, 1], np.uint16)]
    for name in float_environment.CHANGED:
        with float_environment.changed(name):
            assert not run(way, codes, half, False)[0]
        assert run(way, codes, half, False)[0]


def test_operations_take_them():
    """Through the public calls, whole and by pieces of more than one chunk."""
    rng = np.random.default_rng(3)
    size = fast_paths.FPU_CHUNK * 2 + 77
    for fmt in ("float16", "float32", "float8_e4m3fn"):
        codes = [part.reshape(-1, 1) for part in operands((fe.dtype(fmt),) * 2, size, rng)]
        a, b = (fe.Array(part, fmt) for part in codes)
        result, flags = fe.add(a, b, return_flags=True)
        expected, raised = general("add", (a.format, a.format), task(fmt, None), [part.ravel() for part in codes])
        np.testing.assert_array_equal(result.codes.ravel(), expected)
        np.testing.assert_array_equal(flags.bits.ravel(), raised)

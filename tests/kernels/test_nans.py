"""NaN of operations, and floats without an integer, under the profiles of CPUs: as Berkeley SoftFloat's files say.

The functions here are SoftFloat 3e's, for codes of any IEEE format: source/RISCV, source/8086-SSE, source/ARM-VFPv2,
s_propagateNaN, s_commonNaNTo and specialize.h of each, and the NaN branches of s_mulAdd.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import fpemu as fe

PROFILES = ["riscv", "x86-sse", "arm"]


def parts(fmt):
    """Of a format's codes: the sign, infinity, the quiet bit."""
    trailing = fmt.precision - 1
    return 1 << (fmt.bits - 1), ((1 << (fmt.bits - 1)) - 1) >> trailing << trailing, 1 << (trailing - 1)


def is_nan(code, fmt):
    sign, infinity, _ = parts(fmt)
    return code & (sign - 1) > infinity


def is_signaling(code, fmt):
    return is_nan(code, fmt) and not code & parts(fmt)[2]


def default_nan(name, fmt):
    sign, infinity, quiet = parts(fmt)
    return infinity | quiet | (sign if name == "x86-sse" else 0)


def propagate(name, a, b, fmt):
    """One of a and b is NaN."""
    quiet = parts(fmt)[2]
    if name == "riscv":
        return default_nan(name, fmt)
    if name == "arm" and (is_signaling(a, fmt) or is_signaling(b, fmt)):
        return (a if is_signaling(a, fmt) else b) | quiet
    return (a if is_nan(a, fmt) else b) | quiet


def fused(name, a, b, c, fmt):
    """The NaN of a b + c, or None; and whether that is invalid."""
    _, infinity, _ = parts(fmt)
    invalid = any(is_signaling(code, fmt) for code in (a, b, c))
    magnitudes = [code & (parts(fmt)[0] - 1) for code in (a, b)]
    between = 0
    if is_nan(a, fmt) or is_nan(b, fmt):
        between = propagate(name, a, b, fmt)
    elif sorted(magnitudes) == [0, infinity]:
        between, invalid = default_nan(name, fmt), True
        if not is_nan(c, fmt):
            return between, True
    elif not is_nan(c, fmt):
        return None, False
    return propagate(name, between, c, fmt), invalid


def some_nans(fmt):
    """NaN of both signs, quiet and signalling, of several payloads; and numbers."""
    sign, infinity, quiet = parts(fmt)
    payloads = {1, 2, quiet - 1, quiet, quiet | 1, 2 * quiet - 1} - {0}
    positive = [infinity + payload for payload in sorted(payloads)] + [0, 1, infinity, infinity - 1]
    return np.array([code | s for code in positive for s in (0, sign)], np.uint64)


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("kind", ["float8_e5m2", "float16", "float32", "float64"])
def test_which_nan(kind, name):
    fmt = fe.dtype(kind)
    codes = some_nans(fmt).astype(fmt.code_dtype)
    x, y = np.repeat(codes, codes.size), np.tile(codes, codes.size)
    some = np.array([is_nan(a, fmt) or is_nan(b, fmt) for a, b in zip(x.tolist(), y.tolist(), strict=True)])
    both = x[some].tolist(), y[some].tolist()
    expected = [propagate(name, a, b, fmt) for a, b in zip(*both, strict=True)]
    invalid = [is_signaling(a, fmt) or is_signaling(b, fmt) for a, b in zip(*both, strict=True)]
    for operation in ("add", "subtract", "multiply", "divide", "fmod", "ieee_remainder", "minimum"):
        arrays = fe.Array(x, fmt), fe.Array(y, fmt)
        found, flags = getattr(fe, operation)(*arrays, profile=name, return_flags=True)
        assert found.codes[some].tolist() == expected, operation
        assert flags.bits[some].tolist() == [16 * raised for raised in invalid]
        nans = np.array([is_nan(code, fmt) for code in found.codes.tolist()]) & ~some  # inf - inf and its like
        assert (found.codes[nans] == default_nan(name, fmt)).all()
        assert nans.any() == (operation != "minimum")
    own = np.array([is_nan(code, fmt) for code in codes.tolist()])
    alone = [propagate(name, code, 0, fmt) for code in codes[own].tolist()]
    for operation in ("sqrt", "round_to_integral", "logb"):
        assert getattr(fe, operation)(fe.Array(codes[own], fmt), profile=name).codes.tolist() == alone


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("kind", ["float8_e5m2", "float32"])
def test_which_nan_of_three(kind, name):
    fmt = fe.dtype(kind)
    codes = some_nans(fmt)
    triples = np.array(list(itertools.product(codes.tolist(), repeat=3)), np.uint64).astype(fmt.code_dtype).T
    triples = triples[:, :: 1 + (triples.shape[1] > 5000)]
    found, flags = fe.fma(*(fe.Array(part, fmt) for part in triples), profile=name, return_flags=True)
    for code, bits, operands in zip(found.codes.tolist(), flags.bits.tolist(), triples.T.tolist(), strict=True):
        expected, invalid = fused(name, *operands, fmt)
        if expected is not None:
            assert (code, bits) == (expected, 16 * invalid), [hex(operand) for operand in operands]


def test_fused_infinity_by_zero():
    """What clause 7.2 leaves open: x86's own instruction raises nothing and gives the addend."""
    nans = fe.Array([0x7FC01234, 0x7F801234, 0xFFC00777], "float32")
    rules = fe.profile("x86-sse").replace(fma_invalid="quiet")
    for first in ((np.float32(np.inf), np.float32(0)), (np.float32(0), np.float32(-np.inf))):
        found, flags = fe.fma(*first, nans, profile=rules, return_flags=True)
        assert found.codes.tolist() == [0x7FC01234, 0x7FC01234, 0xFFC00777]
        assert flags.invalid.tolist() == [False, True, False]
        found, flags = fe.fma(*first, 1.0, result="float32", profile=rules, return_flags=True)
        assert np.isnan(found)
        assert flags.invalid
    found, flags = fe.fma(np.inf, 0.0, nans, profile=fe.profile("ieee").replace(fma_invalid="quiet"), return_flags=True)
    assert found.codes.tolist() == [0x7FC00000] * 3
    assert flags.invalid.tolist() == [False, True, False]


@pytest.mark.parametrize("name", PROFILES)
def test_nans_between_formats(name):
    """The sign and the upper end of the payload go along; casts do the same."""
    kinds = ["float8_e5m2", "float16", "bfloat16", "float32", "float64"]
    for source, target in itertools.permutations([fe.dtype(kind) for kind in kinds], 2):
        sign, _infinity, quiet = parts(source)
        codes = [code for code in some_nans(source).tolist() if is_nan(code, source)]
        to_sign, to_infinity, to_quiet = parts(target)
        expected = []
        for code in codes:
            payload = code & (2 * quiet - 1)
            shift = target.precision - source.precision
            payload = payload << shift if shift > 0 else payload >> -shift
            passed_on = to_infinity | to_quiet | payload | (to_sign if code & sign else 0)
            expected.append(default_nan(name, target) if name == "riscv" else passed_on)
        given = fe.Array(codes, source)
        found, flags = fe.convert(given, target, profile=name, return_flags=True)
        assert found.codes.tolist() == expected
        assert flags.bits.tolist() == [16 * is_signaling(code, source) for code in codes]
        assert fe.encode(given, target, profile=name).tolist() == expected


# specialize.h: (from too much, from too little, from NaN)
WITHOUT_INTEGER = {
    "riscv": {True: ("max", "min", "max"), False: ("max", "min", "max")},
    "x86-sse": {True: ("min", "min", "min"), False: ("max", "max", "max")},
    "arm": {True: ("max", "min", 0), False: ("max", "min", 0)},
}


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("target", ["int32", "uint32", "int64", "uint64", "int8", "q3.4"])
def test_floats_without_an_integer(target, name):
    """By `convert` with its flags, and by `encode`, whose loops are others."""
    into = fe.dtype(target)
    words = {"max": into.max_int, "min": into.min_int, 0: 0}
    most, least, nan = (words[word] % (1 << into.bits) for word in WITHOUT_INTEGER[name][into.signed])
    for kind in ("float16", "float32", "float64"):
        x = np.array([1e30, np.inf, -1e30, -np.inf, np.nan, -np.nan, 1.5, -0.25, 0.0]).astype(np.float64)
        with np.errstate(over="ignore"):
            x = x.astype(kind)
        expected = [most, most, least, least, nan, nan]
        found, flags = fe.convert(x, target, profile=name, return_flags=True, rounding="toward_zero")
        codes = fe.encode(x, target, profile=name, rounding="toward_zero")
        assert codes[:6].tolist() == expected
        np.testing.assert_array_equal(found, fe.decode(codes, target))
        assert flags.bits[:6].tolist() == [16] * 6
        if into.fraction_bits == 0:
            assert codes[6:].tolist() == [1, 0, 0]
            assert flags.bits[6:].tolist() == [1, 1, 0]
    # integers overflow as ever
    assert fe.convert(2**40, "int8", profile=name) == 127
    out = fe.encode(np.float32([-1.0]), "uint8", profile=name)
    assert out.tolist() == [255 if name == "x86-sse" else 0]


def test_tininess():
    """Before rounding on Arm, after it on the others."""
    x = 2**-126 * (1 - 2**-26)
    for name, tiny in (("riscv", False), ("x86-sse", False), ("arm", True)):
        _, flags = fe.convert(x, "float32", profile=name, return_flags=True)
        assert flags.inexact
        assert flags.underflow == tiny

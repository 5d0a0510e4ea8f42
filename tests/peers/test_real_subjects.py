"""Other people's casts and arithmetic against the claims that one would make of them, and the causes of what differs.

docs/explanation/findings.md tells of the findings; each of them is checked here, where its library is installed.
"""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import fpemu as fe
from fpemu.testing import assert_max_ulp, assert_same_codes, assert_same_flags
from fpemu.verification.claims import Claim
from tests.oracle import cpu
from tests.proofs.triples import draw

FLOAT8 = [
    "float8_e4m3fn", "float8_e5m2", "float8_e4m3", "float8_e3m4", "float8_e4m3b11fnuz", "float8_e4m3fnuz",
    "float8_e5m2fnuz", "float8_e8m0fnu",
]  # fmt: skip
FOUR = ["add", "subtract", "multiply", "divide"]
TWICE = "looks like through='float32'"


def cause(assertion, *args, **kwargs):
    """The cause that a failure names."""
    with pytest.raises(AssertionError) as caught:
        assertion(*args, **kwargs)
    return str(caught.value).partition("likely cause: ")[2].partition("\n")[0]


def sources(fmt, kind):
    """Every value of a format, every midpoint, where overflow begins, and the floats beside all of these."""
    values = fe.dtype(fmt).values()
    values = np.unique(values[np.isfinite(values)])
    middles = (values[1:] + values[:-1]) / 2
    beyond = values[-1] + (values[-1] - values[-2]) * np.array([0.5, 1, 1.5, 3])
    with np.errstate(over="ignore"):
        x = np.concatenate([values, middles, beyond, -beyond, [np.inf, -np.inf, np.nan, -0.0]]).astype(kind)
        return np.concatenate([x, np.nextafter(x, kind(np.inf)), np.nextafter(x, kind(-np.inf))])


def pairs(fmt, operation="add"):
    """All pairs of codes of 8 bits; of wider formats draws that lean to the hard ones."""
    if fe.dtype(fmt).bits == 8:
        return [part.astype(np.uint8) for part in np.divmod(np.arange(1 << 16), 256)]
    found = draw(operation, fmt, 40_000, np.random.default_rng(3))
    return [part.astype(fe.dtype(fmt).code_dtype) for part in found]


def own_dtype(fmt):
    return np.dtype(getattr(ml_dtypes, fmt, fmt))


def arithmetic(operation, fmt, codes):
    """What numpy answers on arrays of its own or of ml_dtypes' type."""
    with np.errstate(all="ignore"):
        answer = getattr(np, operation)(*(part.view(own_dtype(fmt)) for part in codes))
    return answer.view(fe.dtype(fmt).code_dtype)


def astype(x, fmt):
    with np.errstate(all="ignore"):
        return x.astype(own_dtype(fmt)).view(fe.dtype(fmt).code_dtype)


# -- numpy and ml_dtypes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", [*FOUR, "sqrt", "fmod"])
@pytest.mark.parametrize("fmt", [*FLOAT8[:-1], "bfloat16", "float16"])
def test_numpy_and_ml_dtypes_arithmetic_is_right(fmt, operation):
    """Through float32, whose 24 digits are twice theirs and two more: rounding twice does no harm."""
    codes = pairs(fmt, operation if operation in (*FOUR, "sqrt") else "divide")[: 1 if operation == "sqrt" else 2]
    got, claim = arithmetic(operation, fmt, codes), Claim.of(operation, fmt)
    assert_same_codes(got, claim.answer(*codes), fmt, operation=claim, operands=codes)


@pytest.mark.parametrize("operation", FOUR)
def test_ml_dtypes_e8m0_rounds_ties_away(operation):
    codes = pairs("float8_e8m0fnu")
    got, claim = arithmetic(operation, "float8_e8m0fnu", codes), Claim.of(operation, "float8_e8m0fnu")
    named = cause(assert_same_codes, got, claim.answer(*codes), "float8_e8m0fnu", operation=claim, operands=codes)
    if operation in ("add", "subtract"):
        assert "differences are ties: looks like ties away from zero" in named
    # A product or quotient is no tie; where float32 underflows to zero, which E8M0 lacks, ml_dtypes gives NaN.
    theirs = Claim.of(operation, "float8_e8m0fnu", profile="ml_dtypes")
    assert_same_codes(got, theirs.answer(*codes), "float8_e8m0fnu")


@pytest.mark.parametrize("fmt", [*FLOAT8[:-1], "bfloat16"])
def test_ml_dtypes_casts_go_through_float32(fmt):
    x = sources(fmt, np.float32)
    assert_same_codes(astype(x, fmt), fe.encode(x, fmt), fmt)
    x = sources(fmt, np.float64)
    named = cause(assert_same_codes, astype(x, fmt), fe.encode(x, fmt), fmt, operation="cast", operands=[x])
    assert TWICE in named


def test_ml_dtypes_casts_of_integers_go_through_float32():
    ties = [(1 << 40) + (n << 33) + (1 << 32) + step for n in range(64) for step in (-1, 0, 1)]
    x = np.array(ties, np.int64)
    named = cause(
        assert_same_codes, astype(x, "bfloat16"), fe.encode(x, "bfloat16"), "bfloat16", operation="cast", operands=[x]
    )
    assert TWICE in named
    assert_same_codes(astype(x, "float16"), fe.encode(x, "float16"), "float16")


def test_the_half_conversion():
    """Numpy's astype, by the CPU's own instruction where numpy was built so: right from float32, float64 and int64."""
    for x in (sources("float16", np.float32), sources("float16", np.float64), np.arange(-70000, 70000)):
        assert_same_codes(astype(x, "float16"), fe.encode(x, "float16"), "float16")


def test_the_half_conversion_keeps_payloads():
    """As numpy's own code does, also signalling; the x86 instruction makes them quiet."""
    x = np.uint32([0x7FC00000, 0xFFC00000, 0x7F802000, 0xFFA12000]).view(np.float32)
    got, expected = astype(x, "float16"), fe.encode(x, "float16")
    quiet, kept = (
        fe.encode(x, "float16", profile=fe.profile("ieee").replace(nan_payload=p)) for p in ("quiet", "keep")
    )
    assert got.tolist() in (quiet.tolist(), kept.tolist())
    named = cause(assert_same_codes, got, expected, "float16", nan="exact", operation="cast", operands=[x])
    assert "looks like nan_payload=" in named


# -- the CPU ----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(
    cpu.COMPILER is None or not (cpu.X86 or cpu.ARM), reason="needs a C compiler and an x86-64 or 64-bit Arm CPU"
)
@pytest.mark.parametrize("operation", cpu.OPERATIONS)
@pytest.mark.parametrize("fmt", ["float32", "float64"])
def test_the_fpu_in_each_mode_with_flags(fmt, operation):
    codes = pairs(fmt, operation)[: {"sqrt": 1, "fma": 3}.get(operation, 2)]
    right = Claim.of(operation, fmt, profile="arm" if cpu.ARM else "x86-sse")
    if cpu.X86:
        right = right.replaced(fma_invalid="quiet")
    for mode in cpu.MODES:
        values, flags = cpu.operate(operation, mode, [part.view(fmt) for part in codes])
        got, claim = values.view(codes[0].dtype), right.replaced(rounding=mode)
        expected, raised = claim.answer_with_flags(*codes)
        assert_same_codes(got, expected, fmt, operation=claim, operands=codes)
        assert_same_flags(flags, raised, operands=codes, fmt=fmt)


@pytest.mark.skipif(cpu.COMPILER is None or not cpu.X86, reason="needs a C compiler and an x86-64 CPU")
def test_a_cpu_in_another_mode_is_recognised():
    codes = pairs("float32", "multiply")[:2]
    values, _ = cpu.operate("multiply", "toward_zero", [part.view(np.float32) for part in codes])
    claim = Claim.of("multiply", "float32")
    named = cause(
        assert_same_codes, values.view(np.uint32), claim.answer(*codes), "float32", operation=claim, operands=codes
    )
    assert "looks like rounding toward zero (truncation) (rounding='toward_zero')" in named


# -- apytypes ---------------------------------------------------------------------------------------------------------

APYTYPES = {
    "TIES_EVEN": "nearest_even", "TIES_AWAY": "nearest_away", "TIES_ZERO": "nearest_toward_zero",
    "TO_ZERO": "toward_zero", "TO_POS": "toward_positive", "TO_NEG": "toward_negative", "JAM_UNBIASED": "to_odd",
}  # fmt: skip


def apytypes_arithmetic(operation, fmt, codes, mode):
    """What apytypes answers, rounding once in a mode of its own."""
    apytypes = pytest.importorskip("apytypes")
    found = fe.dtype(fmt)
    x, y = (apytypes.APyFloatArray.from_bits(part.tolist(), found.exponent_bits, found.trailing_bits) for part in codes)
    with apytypes.APyFloatQuantizationContext(getattr(apytypes.QuantizationMode, mode)):
        answer = {"add": x + y, "subtract": x - y, "multiply": x * y, "divide": x / y}[operation]
    return np.array(answer.to_bits(), found.code_dtype)


@pytest.mark.parametrize("mode", APYTYPES)
@pytest.mark.parametrize("fmt", ["float8_e5m2", "float8_e4m3"])
def test_apytypes_arithmetic(fmt, mode):
    codes = pairs(fmt)
    for operation in FOUR:
        claim = Claim.of(operation, fmt, rounding=APYTYPES[mode])
        got = apytypes_arithmetic(operation, fmt, codes, mode)
        assert_same_codes(got, claim.answer(*codes), fmt, operation=claim, operands=codes)


def test_apytypes_jam_is_not_rounding_to_odd():
    """JAM sets the last bit of exact results too."""
    codes = pairs("float8_e5m2")
    claim = Claim.of("multiply", "float8_e5m2", rounding="to_odd")
    got = apytypes_arithmetic("multiply", "float8_e5m2", codes, "JAM")
    named = cause(assert_same_codes, got, claim.answer(*codes), "float8_e5m2", operation=claim, operands=codes)
    assert named.endswith("differences: one ulp away from zero")


# -- torch ------------------------------------------------------------------------------------------------------------


def torch_tensor(codes, fmt):
    torch = pytest.importorskip("torch")
    signed = torch.from_numpy(codes.view(f"i{codes.itemsize}"))
    return signed.view(getattr(torch, fmt))


def torch_codes(tensor, fmt):
    import torch

    dtype = np.dtype(fe.dtype(fmt).code_dtype)
    return tensor.view({1: torch.int8, 2: torch.int16, 4: torch.int32}[dtype.itemsize]).numpy().view(dtype)


@pytest.mark.parametrize(
    "fmt", ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "bfloat16", "float16"]
)
def test_torch_casts(fmt):
    torch = pytest.importorskip("torch")
    x = sources(fmt, np.float32)
    got = torch_codes(torch.from_numpy(x).to(getattr(torch, fmt)), fmt)
    if fmt == "float8_e4m3fn" and tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 12):
        named = cause(assert_same_codes, got, fe.encode(x, fmt), fmt, operation="cast", operands=[x])
        assert "the largest value instead of NaN; looks like saturation" in named
        x = sources(fmt, np.float64)  # two rules at once, which only the whole profile has
        got = torch_codes(torch.from_numpy(x).to(getattr(torch, fmt)), fmt)
        assert_same_codes(got, fe.encode(x, fmt, profile="torch-2.14"), fmt)
    else:
        assert_same_codes(got, fe.encode(x, fmt), fmt, operation="cast", operands=[x])
        x = sources(fmt, np.float64)
        got = torch_codes(torch.from_numpy(x).to(getattr(torch, fmt)), fmt)
        assert TWICE in cause(assert_same_codes, got, fe.encode(x, fmt), fmt, operation="cast", operands=[x])


@pytest.mark.parametrize("operation", FOUR)
@pytest.mark.parametrize("fmt", ["bfloat16", "float16"])
def test_torch_arithmetic(fmt, operation):
    torch = pytest.importorskip("torch")
    codes, claim = pairs(fmt, operation)[:2], Claim.of(operation, fmt)
    got = torch_codes(getattr(torch, operation)(*(torch_tensor(part, fmt) for part in codes)), fmt)
    assert_same_codes(got, claim.answer(*codes), fmt, operation=claim, operands=codes)


def test_torch_addcmul_rounds_twice():
    """It is a fused multiply-add in float32 (where the CPU has one), rounded to bfloat16 after."""
    torch = pytest.importorskip("torch")
    codes = [part.astype(np.uint16) for part in draw("fma", "bfloat16", 40_000, np.random.default_rng(3))]
    x, y, z = (torch_tensor(part, "bfloat16") for part in codes)
    claim = Claim.of("fma", "bfloat16")
    got = torch_codes(torch.addcmul(z, x, y), "bfloat16")
    named = cause(assert_same_codes, got, claim.answer(*codes), "bfloat16", operation=claim, operands=codes)
    assert TWICE in named


def test_torch_fmod_is_nan_where_the_quotient_overflows():
    """Its vector code divides in float32; the remainder of finite numbers is always a number."""
    torch = pytest.importorskip("torch")
    codes = pairs("bfloat16", "divide")[:2]
    claim = Claim.of("fmod", "bfloat16")
    got = torch_codes(torch.fmod(*(torch_tensor(part, "bfloat16") for part in codes)), "bfloat16")
    expected = claim.answer(*codes)
    with np.errstate(all="ignore"):
        x, y = (fe.decode(part, "bfloat16") for part in codes)
        fits = np.abs(x / y) < 2.0**127
    assert_same_codes(got[fits], expected[fits], "bfloat16")
    # Found with torch 2.14.1 on x86-64; another build or version may have it right.
    assert np.isnan(fe.decode(got[~fits & (got != expected)], "bfloat16")).all()


def test_torch_sqrt_of_float32_is_near():
    """Right, or off by one ulp in some, as torch 2.13.0's CPU build is on x86-64."""
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).random(100_000, np.float32)
    got, right = torch.sqrt(torch.from_numpy(x)).numpy(), fe.sqrt(x, result="float32")
    np.testing.assert_array_equal(right, np.sqrt(x))
    assert_max_ulp(got, right, "float32", 1)

"""Claims: their answers are the public operations' results, their descriptions can be read back, errors are refused."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import fpemu as fe
from fpemu.arithmetic import comparison, predicates
from fpemu.formats.serialize import format_text
from fpemu.inspection.operations import OPERATIONS
from fpemu.verification.claims import Claim

FLOATS = ["float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float6_e3m2fn"]
COMPARISONS = [name for name in comparison.__all__ if name not in OPERATIONS]
MINE = fe.FloatFormat("mine", bits=7, precision=3, infinities=False, nan="negative_zero", profile="torch")
CODEBOOK = fe.TableFormat("five", [-2, -0.0, 0, 1, 3])
KINDS = ["float32", "float8_e4m3fn", "float8_e8m0fnu", "int8", "uint4", "q3.4", "nf4", MINE, CODEBOOK]


def drawn(fmt, seed, size=400):
    """Codes of a format: all, or some that include the ends."""
    if fmt.code_count <= size:
        return np.resize(np.arange(fmt.code_count, dtype=fmt.code_dtype), size)
    draw = np.random.default_rng(seed)
    codes = draw.integers(0, fmt.code_count, size, dtype=np.uint64)
    codes[:4] = [0, 1, fmt.code_count - 1, fmt.code_count // 2]
    return codes.astype(fmt.code_dtype)


@pytest.mark.parametrize(
    ("operation", "name"), [(op, name) for op in OPERATIONS for name in FLOATS if op != "pow" or "16" not in name]
)
def test_answers_are_the_operations(operation, name):
    claim = Claim.of(operation, name, rounding="toward_negative")
    codes = [drawn(each, place) for place, each in enumerate(claim.operands)]
    arrays = [fe.Array.from_codes(part, each) for part, each in zip(codes, claim.operands, strict=True)]
    want, flags = getattr(fe, operation)(*arrays, result=name, rounding="toward_negative", return_flags=True)
    got, bits = claim.answer_with_flags(*codes)
    np.testing.assert_array_equal(got, want.codes)
    assert got.dtype == want.codes.dtype
    np.testing.assert_array_equal(bits, flags.bits)
    np.testing.assert_array_equal(claim.answer(*codes), got)


@pytest.mark.parametrize("operation", [*COMPARISONS, *predicates.__all__])
def test_truth_values(operation):
    claim = Claim.of(operation, "float8_e5m2")
    codes = [drawn(fmt, place) for place, fmt in enumerate(claim.operands)]
    codes[0] = codes[0][::-1].copy()
    arrays = [fe.Array.from_codes(part, "float8_e5m2") for part in codes]
    got = claim.answer(*codes)
    assert claim.result is None
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got, getattr(fe, operation)(*arrays))
    if operation in COMPARISONS:
        _, flags = getattr(fe, operation)(*arrays, return_flags=True)
        np.testing.assert_array_equal(claim.answer_with_flags(*codes)[1], flags.bits)
    else:
        assert not claim.has_flags


@pytest.mark.parametrize("target", KINDS, ids=str)
@pytest.mark.parametrize("source", [*KINDS, "float64", "int64"], ids=str)
def test_casts(source, target):
    claim = Claim.of("encode", target, source=source)
    codes = drawn(fe.dtype(source), 1)
    want = fe.encode(codes, target, source=source)
    np.testing.assert_array_equal(claim.answer(codes), want)
    if claim.has_flags:
        array = fe.Array.from_codes(codes, source)
        _, flags = fe.convert(array, target, return_flags=True)
        got, bits = claim.answer_with_flags(codes)
        np.testing.assert_array_equal(got, want)
        np.testing.assert_array_equal(bits, flags.bits)
    else:
        assert isinstance(claim.result, fe.TableFormat) or claim.profile.through.value == "float32"


def test_a_conversion_is_an_operation():
    codes = drawn(fe.dtype("float16"), 2)
    claim = Claim.of("convert", "float32", source="float16", profile="gguf")
    want, flags = fe.convert(fe.Array.from_codes(codes, "float16"), "float32", profile="gguf", return_flags=True)
    np.testing.assert_array_equal(claim.answer(codes), want.codes)
    np.testing.assert_array_equal(claim.answer_with_flags(codes)[1], flags.bits)


def test_mixed_formats():
    claim = Claim.of(
        "fma", operands=["float8_e4m3fn", "float8_e5m2", "float16"], result="bfloat16", overflow="saturate"
    )
    codes = [drawn(fmt, place) for place, fmt in enumerate(claim.operands)]
    arrays = [fe.Array.from_codes(part, fmt) for part, fmt in zip(codes, claim.operands, strict=True)]
    np.testing.assert_array_equal(claim.answer(*codes), fe.fma(*arrays, result="bfloat16", overflow="saturate").codes)


def test_names_of_operations():
    assert Claim.of("+", "float16") == Claim.of("add", "float16")
    assert Claim.of("sub", "float16").operation == "subtract"
    assert Claim.of("encode", "float16") == Claim.of("cast", "float16", source="float32")
    assert Claim.of("scaleb", "float16").operands[1] == fe.dtype("int16")
    assert Claim.of("fma", "float16").arity == 3


def test_rows_and_defaults_are_resolved():
    claim = Claim.of("cast", "float8_e5m2", profile="torch")
    assert claim.profile.nan_code == 0x7F
    assert not claim.profile.rows
    assert Claim.of("cast", "binary8p3se").profile.overflow.value == "p3109"
    assert Claim.of("add", "float16", profile="arm").profile.tininess.value == "before"
    assert Claim.of("cast", "float8_e4m3fn", profile="ml_dtypes").has_flags is False


def test_replaced():
    claim = Claim.of("add", "float8_e5m2")
    other = claim.replaced(rounding="RTZ", subnormals_out="flush_after")
    assert other == Claim.of("add", "float8_e5m2", rounding="toward_zero", subnormals_out="flush_after")
    assert claim == Claim.of("add", "float8_e5m2")
    with pytest.raises(ValueError, match=r"unknown knob .roundin.*rounding"):
        claim.replaced(roundin="RTZ")


def test_stochastic_answers_need_random_bits():
    claim = Claim.of("cast", "float8_e5m2", rounding="stochastic", random_bits=8)
    assert claim.stochastic
    codes, bits = fe.encode([1.1, 1.1], "float32"), np.array([0, 255])
    want = fe.encode([1.1, 1.1], "float8_e5m2", rounding=fe.Stochastic("A", 8), random_bits=bits)
    source = fe.encode(fe.cast([1.1, 1.1], "float32"), "float8_e5m2", rounding=fe.Stochastic("A", 8), random_bits=bits)
    np.testing.assert_array_equal(claim.answer(codes, random_bits=bits), source)
    assert want[0] != want[1]
    with pytest.raises(ValueError, match="specify random_bits"):
        claim.answer(codes)
    with pytest.raises(ValueError, match="random_bits is the number of bits"):
        Claim.of("cast", "float8_e5m2", random_bits=8)
    add = Claim.of("add", "float8_e5m2", rounding="stochasticC", random_bits=3)
    arrays = [fe.Array.from_codes(drawn(fe.dtype("float8_e5m2"), place), "float8_e5m2") for place in (0, 1)]
    bits = np.arange(400) % 8
    want = fe.add(*arrays, rounding=fe.Stochastic("C", 3), random_bits=bits)
    np.testing.assert_array_equal(add.answer(*(array.codes for array in arrays), random_bits=bits), want.codes)


def test_a_context_changes_nothing():
    claim = Claim.of("divide", "float16")
    with fe.errstate(all="raise"):
        assert claim.answer(np.uint16([0x3C00]), np.uint16([0])) == [0x7C00]


def test_batch():
    codes = drawn(fe.dtype("float16"), 3), drawn(fe.dtype("float16"), 4)
    operands, result, flags = Claim.of("add", "float16").batch(*codes)
    assert operands == codes
    np.testing.assert_array_equal(result, Claim.of("add", "float16").answer(*codes))
    assert flags is not None
    assert flags.any()
    assert Claim.of("is_nan", "float16").batch(codes[0]).flags is None


DESCRIBED = [
    Claim.of("add", "float16"),
    Claim.of("cast", MINE, source=CODEBOOK, tininess="before"),
    Claim.of("cast", "nf4", source="float64", profile="onnx"),
    Claim.of("fma", operands=["ap_fixed<16,4>", "q1.3", "int4"], result="q3.12", overflow="wrap"),
    Claim.of("less", operands=["float16", CODEBOOK]),
    Claim.of("is_nan", MINE),
    Claim.of("add", "float32", rounding="stochasticB", random_bits=7, nan_code=0x7FFFFF),
    *(Claim.of("cast", "float16", profile=name) for name in fe.profile_names()),
]


@pytest.mark.parametrize("claim", DESCRIBED, ids=str)
def test_descriptions_come_back(claim):
    words = claim.described()
    assert all(isinstance(text, str) and "\n" not in text for text in [*words, *words.values()])
    again = Claim.from_description(words)
    assert again == claim
    assert again.described() == words
    assert [fmt and fmt.name for fmt in (*again.operands, again.result)] == [
        fmt and fmt.name for fmt in (*claim.operands, claim.result)
    ]
    assert pickle.loads(pickle.dumps(claim)) == claim == copy.copy(claim)


def test_a_registered_format_is_described_by_its_parameters():
    fmt = fe.register(fe.FloatFormat("claims_test_format", bits=9, precision=4))
    assert format_text(fmt).startswith('{"kind":"float"')
    assert format_text(fe.FloatFormat("float16", bits=16, precision=11, profile="torch")).startswith("{")
    assert format_text(fe.dtype("int7")) == "int7"


def test_what_a_description_leaves_out_is_usual():
    words = {"operation": "add", "operand 1": "float16", "operand 2": "float16", "result": "float16"}
    assert Claim.from_description(words) == Claim.of("add", "float16")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"operation": "ad"}, "no operation 'ad'.*did you mean 'add'"),
        ({"operand 2": "float61"}, "unknown format 'float61'"),
        ({"operand 2": '{"kind":"float"}'}, "not a format's parameters"),
        ({"operand 2": '{"kind":"float"'}, "not a format's parameters"),
        ({"operand 3": "float16"}, "add takes 2 operands, not 3"),
        ({"overflw": "saturate"}, "unknown word 'overflw'; did you mean 'overflow'"),
        ({"overflow": "saturated"}, "unknown overflow 'saturated'.*'saturate'"),
        ({"nan_code": "many"}, "nan_code must be a number, not 'many'"),
        ({"rounding": "nearest"}, "unknown rounding 'nearest'"),
    ],
)
def test_bad_descriptions(change, message):
    with pytest.raises(ValueError, match=message):
        Claim.from_description(Claim.of("add", "float16").described() | change)


@pytest.mark.parametrize("missing", ["operation", "operand 1", "result"])
def test_incomplete_descriptions(missing):
    words = Claim.of("add", "float16").described()
    del words[missing]
    with pytest.raises(ValueError, match=f"has no '{missing}'"):
        Claim.from_description(words)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: Claim.of("fam", "float16"), ValueError, "no operation 'fam'.*did you mean 'fma'"),
        (lambda: Claim.of("encod", "float16"), ValueError, "did you mean 'encode'"),
        (lambda: Claim.of(3, "float16"), TypeError, "an operation is a name, not int"),
        (lambda: Claim.of("add"), ValueError, "add: specify the result's format"),
        (lambda: Claim.of("less"), ValueError, "less: specify the operands' formats"),
        (lambda: Claim.of("less", "float16", result="float16"), ValueError, "returns a truth value"),
        (lambda: Claim.of("add", result="float16"), ValueError, "add: specify the operands' formats"),
        (lambda: Claim.of("add", "flot16"), ValueError, "unknown format 'flot16'; did you mean 'float16'"),
        (lambda: Claim.of("add", "float16", operands=["float16"]), ValueError, "add takes 2 operands, not 1"),
        (lambda: Claim.of("add", "float16", operands="float16"), TypeError, "must be a sequence of formats"),
        (lambda: Claim.of("add", "float16", source="float16"), ValueError, "source is a cast's format"),
        (lambda: Claim.of("add", "float16", rouding="RTZ"), ValueError, "unknown knob 'rouding'.*'rounding'"),
        (lambda: Claim.of("add", "float16", rounding="nearest_evn"), ValueError, "did you mean 'nearest_even'"),
        (lambda: Claim.of("add", "float16", profile="iee"), ValueError, "unknown profile 'iee'.*'ieee'"),
        (lambda: Claim.of("cast", "float4_e2m1fn", overflow="nan"), ValueError, "it has no NaN"),
        (lambda: Claim.of("cast", "int8", nan="error"), ValueError, "nan='error' produces no code"),
        (lambda: Claim.of("add", "nf4"), ValueError, "codebook"),
        (lambda: Claim.of("add", "float16").answer(np.uint16([1])), TypeError, "takes 2 operands, not 1"),
        (lambda: Claim.of("sqrt", "float6_e3m2fn").answer(np.uint8([64])), ValueError, "code 0x40 is out of range"),
        (lambda: Claim.of("sqrt", "float16").answer([0.5]), TypeError, "are unsigned integers"),
        (lambda: Claim.of("is_nan", "float16").answer_with_flags([0]), ValueError, "has no flags"),
    ],
)
def test_errors_at_the_door(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_arguments_of_operations():
    """exact=, signaling= and extremum= are part of a claim: of its answers, its description, its equality."""
    inexact = np.uint16([0x3E00])  # 1.5
    for operation in ("convert", "cast"):
        usual, other = (Claim.of(operation, "int8", source="float16", exact=exact) for exact in (None, False))
        assert usual.answer_with_flags(inexact)[1] == [1]
        assert other.answer_with_flags(inexact)[1] == [0]
        assert usual == Claim.of(operation, "int8", source="float16", exact=True) != other
        assert "exact" not in usual.described()
        assert other.described()["exact"] == "false"
        assert Claim.from_description(other.described()) == other
        assert str(other).endswith("exact=False")
    assert Claim.of("round_to_integral", "float16", exact=True).answer_with_flags(inexact)[1] == [1]
    nan, one = np.uint16([0x7E00]), np.uint16([0x3C00])
    for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"):
        for signaling in (True, False):
            claim = Claim.of(name, "float16", signaling=signaling)
            assert claim.answer_with_flags(nan, one)[1] == [16 * signaling]
            assert Claim.from_description(claim.described()) == claim
    claim = Claim.of("minimum", "float16", extremum="x86")
    assert claim.answer(nan, one) == one
    assert claim.answer(one, nan) == nan
    assert Claim.from_description(claim.described()) == claim
    assert claim.replaced(rounding="toward_zero").arguments == (("extremum", "x86"),)
    with pytest.raises(ValueError, match="add has no argument exact: it is one of cast, convert, round_to_integral"):
        Claim.of("add", "float16", exact=True)
    with pytest.raises(TypeError, match="exact must be a bool"):
        Claim.of("convert", "float16", exact=1)
    words = Claim.of("less", "float16", signaling=False).described()
    with pytest.raises(ValueError, match="signaling must be true or false"):
        Claim.from_description({**words, "signaling": "perhaps"})


def test_comparisons_read_operands_as_their_rules_say():
    """The answers of a claim are the results of the function of that name under the same profile."""
    x = np.uint32([0, 1, 0x80000001, 0x00800000, 0x7FC00000, 0x3F800000])
    pairs = [part.ravel() for part in np.meshgrid(x, x)]
    arrays = [fe.Array(part, "float32") for part in pairs]
    for name in comparison.SIGNALING:
        for profile in ("ieee", "x86-sse-ftz", "arm-fz", "x86-sse"):
            claim = Claim.of(name, "float32", profile=profile)
            expected, flags = getattr(fe, name)(*arrays, profile=profile, return_flags=True)
            codes, bits = claim.answer_with_flags(*pairs)
            np.testing.assert_array_equal(codes, expected)
            np.testing.assert_array_equal(bits, flags.bits)
            assert Claim.from_description(claim.described()) == claim
        other = Claim.of(name, "float32").replaced(subnormals_in="zero")
        np.testing.assert_array_equal(other.answer(*pairs), Claim.of(name, "float32", profile="arm-fz").answer(*pairs))
    found = fe.audit(Claim.of("less", "float32", profile="x86-sse-ftz").answer, "less", "float32", random=100)
    assert found.cause == "subnormals_in=zero"


RULES = [
    *({"rounding": "toward_zero"}, {"rounding": "stochastic", "random_bits": 3}, {"overflow": "saturate"}),
    *({"nan_sign": "drop"}, {"through": "float32"}, {"tininess": "before"}, {"subnormals_out": "flush_tiny"}),
]


@pytest.mark.parametrize("name", [*comparison.SIGNALING, "unordered", "total_order", "is_nan", "is_subnormal"])
def test_truth_values_take_no_rules_of_results(name):
    """`of` and `replaced` refuse arguments that would be ignored."""
    more = [] if name in comparison.SIGNALING else [{"profile": "arm-fz"}, {"subnormals_in": "zero"}]
    for rules in [*RULES, *more]:
        with pytest.raises(ValueError, match=r"returns a truth value, which does not depend on"):
            Claim.of(name, "float16", **rules)
        if not rules.keys() & {"profile", "rounding"}:
            with pytest.raises(ValueError, match=r"returns a truth value, which does not depend on"):
                Claim.of(name, "float16").replaced(**rules)
    words = Claim.of(name, "float16").described() | {"rounding": "toward_zero"}  # as 0.1.0 wrote
    assert Claim.from_description(words) == Claim.of(name, "float16")

"""The story of a cast against the cast itself; codes taken apart and put together again."""

import json
import math
from fractions import Fraction

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

import fpemu as fe
from fpemu.formats.facts.codes import code_fields
from fpemu.formats.facts.exactness import finite_range, floor_log2
from fpemu.formats.facts.literals import read
from fpemu.formats.facts.text import dyadic_in_decimal
from fpemu.inspection.code import Code, explain_code, neighbour
from fpemu.inspection.explanation import explain

NAMES = """
float16 bfloat16 float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e8m0fnu float6_e2m3fn float4_e2m1fn
int4 uint4 q3.4 nf4 binary6p1se binary6p2ue binary8p4sf
"""
FORMATS = [fe.dtype(name) for name in NAMES.split()] + [
    fe.FloatFormat("no subnormals", 8, 3, subnormals=False),
    fe.FloatFormat("no zero", 8, 3, subnormals=False, zero=False),
    fe.IntFormat("sign and magnitude", 6, encoding="sign_magnitude"),
    fe.IntFormat("symmetric", 6, symmetric=True),
]
formats = st.sampled_from(FORMATS)
roundings = st.sampled_from([*fe.Rounding, fe.Stochastic("A", 3)])


@st.composite
def values_near(draw):
    """A format, and a number that is one of its values, between two of them, or anywhere."""
    fmt = draw(formats)
    values = [fmt.value(code) for code in range(fmt.code_count if fmt.bits <= 8 else 200)]
    value = draw(st.sampled_from([v for v in values if math.isfinite(v)]))
    factor = draw(st.sampled_from([1, 1.5, 1.25, 1 + 2**-40, 1 - 2**-40, 1.125]))
    return fmt, draw(st.one_of(st.just(value * factor), st.floats(), st.integers(-300, 300)))


def test_an_error_beyond_float64():
    """Relative to a tiny number, which no float holds."""
    fmt = fe.dtype("float6_e2m3fn")
    told = explain(-(2.0**-1030), fmt, fmt.profile.replace(rounding="RDN"))
    assert told.result.exact == Fraction(-0.125)
    assert told.error == Fraction(-0.125) + Fraction(1, 2**1030)
    assert told.relative_error == 2**1027 - 1
    assert json.loads(json.dumps(told.to_dict(), allow_nan=False))["relative_error"] == "1.4381545078898527e+309"


@settings(deadline=None)  # the first cast compiles
@given(values_near(), roundings)
def test_the_story_ends_where_the_cast_does(case, rounding):
    fmt, x = case
    if fmt.kind == "table" and isinstance(rounding, fe.Stochastic):
        rounding = fe.Rounding.NEAREST_EVEN
    told = explain(x, fmt, fmt.profile.replace(rounding=rounding), seed=1)
    how = {"rng": 1} if isinstance(fe.rounding_mode(rounding), fe.Stochastic) else {}
    assert told.result.code == fe.encode(x, fmt, rounding=rounding, **how)
    json.dumps(told.to_dict(), allow_nan=False)
    assert all(step.title and step.text for step in told.steps)
    low, high = finite_range(fmt)
    inside = told.rounded is not None and low <= told.rounded <= high and (told.rounded or fmt.has("zero"))
    if inside:
        assert told.result.exact == told.rounded
        assert told.error == told.rounded - Fraction(x)
    elif told.rounded is not None:
        assert {"overflow", "unsigned", "zero"} & {step.title for step in told.steps}


@pytest.mark.parametrize(
    ("x", "name", "rules", "title", "words"),
    [
        (0.1, "e5m2", {}, "decision", "nu is less than 1/2, down: 6"),
        (0.3, "e4m3fn", {}, "decision", "nu is more than 1/2, up: 10"),
        (2.5, "int4", {}, "decision", "a tie, to the even code, down: 2"),
        (3.5, "int4", {}, "decision", "a tie, to the even code, up: 4"),
        (2.5, "int4", {"rounding": "to_odd"}, "decision", "to the odd code, up: 3"),
        (-2.5, "int4", {"rounding": "RDN"}, "decision", "the magnitude goes up: 3"),
        (480.0, "e4m3fn", {}, "overflow", "480 is beyond the largest finite magnitude 448"),
        (480.0, "e4m3fn", {"overflow": "saturate"}, "overflow", "448 (0x7E)"),
        (-9, "int4", {"overflow": "wrap"}, "overflow", "7 (0x7)"),
        (1e-9, "e5m2", {}, "underflow", "becomes 0 (0x00)"),
        (1e-6, "e5m2", {}, "quantum", "2**-16: below the smallest normal 2**-14 the spacing stays"),
        (2.0**-7, "e4m3fn", {"subnormals_out": "flush_after"}, "flush", "is subnormal"),
        (2.0**-7, "e4m3fn", {"subnormals_out": "flush_before"}, "flush", "below the smallest normal"),
        (2.0**-7, "e4m3fn", {"subnormals_out": "flush_tiny"}, "flush", "exponents unbounded, gives 0.0078125, below"),
        (
            2.0**-6 - 2.0**-12,
            "e4m3fn",
            {"subnormals_out": "flush_tiny"},
            "not tiny",
            "gives 0.015625, which is no",
        ),
        (2.0**-6 - 2.0**-12, "e4m3fn", {"subnormals_out": "flush_tiny"}, "value", "0.015625 (0x08)"),
        (
            *(2.0**-6 - 2.0**-12, "e4m3fn", {"subnormals_out": "flush_tiny", "tininess": "before"}),
            *("flush", "tininess=before: below the smallest normal 0.015625 before rounding: 0 (0x00)"),
        ),
        (5e-324, "float64", {"subnormals_in": "zero"}, "subnormal", "counts as zero"),
        (5e-324, "float64", {"subnormals_in": "zero_above_16_bits"}, "subnormal", "subnormals_in=zero_above_16_bits"),
        (-431.99999999999994, "e4m3fn", {"through": "float32"}, "through", "-432.0"),
        (1e300, "e4m3fn", {"through": "float32"}, "rule", "infinity=standard: NaN"),
        (-3.0, "uint8", {}, "unsigned", "unsigned_negative=standard: 0"),
        (-3.0, "e8m0", {"unsigned_negative": "magnitude"}, "sign", "the sign is dropped"),
        (0.0, "e8m0", {}, "zero", "has no zero: missing_zero=standard gives NaN"),
        (1e-300, "e8m0", {}, "range", "and no zero"),
        (-0.0, "e5m2", {}, "zero", "its sign kept: -0 (0x80)"),
        (-0.0, "int8", {}, "zero", "its sign dropped: 0 (0x00)"),
        (math.nan, "int8", {}, "rule", "nan=standard in int8: 0 (0x00)"),
        (-math.inf, "e5m2", {}, "rule", "-inf (0xFC)"),
        (0.1, "nf4", {}, "distance", "0.020419700443744664974"),
        (1.5, "nf4", {}, "range", "beyond the codebook's last value: 1 (0xF)"),
        (1.0, "nf4", {}, "exact", "a value of the codebook"),
        (1.3, "bf16", {"rounding": "stochastic"}, "decision", "up with a probability of about 0.4"),
        (3.0, "e8m0", {"rounding": "nearest_away"}, "decision", "a tie, up: 2"),
        (9007199254740993, "float64", {}, "scaled", "between 4503599627370496 and 4503599627370497"),
    ],
)
def test_steps(x, name, rules, title, words):
    fmt = fe.dtype(name)
    steps = {step.title: step.text for step in explain(x, fmt, fmt.profile.replace(**rules), seed=0).steps}
    assert words in steps[title]


@pytest.mark.parametrize("rule", ["keep", "flush_before", "flush_after", "flush_tiny"])
@pytest.mark.parametrize("fmt", ["e1m1", "e1m2", "e2m1", "e8m0", "binary3p1ue", "float8_e8m0fnu", "nosub"])
def test_formats_at_the_edge_under_every_flush_rule(rule, fmt):
    """Formats whose exponents end below a normal number, that have no subnormals, of one digit: a story for each."""
    target = fe.FloatFormat("nosub", 6, 3, subnormals=False) if fmt == "nosub" else fe.dtype(fmt)
    for rounding in fe.Rounding:
        rules = target.profile.replace(rounding=rounding, subnormals_out=rule)
        for x in (0.1, 0.45, 0.5, 0.9, 1.3, 1.9, 2.5, 1e-9, -0.9):
            told = explain(x, target, rules)
            assert told.result.code == fe.encode(x, target, profile=rules)
            assert told.steps


def test_a_rule_that_forbids_the_number():
    fmt = fe.dtype("int8")
    with pytest.raises(ValueError, match="NaN"):
        explain(math.nan, fmt, fmt.profile.replace(nan="error"))


@pytest.mark.parametrize("fmt", FORMATS, ids=str)
def test_every_code_taken_apart(fmt):
    for code in range(min(fmt.code_count, 1000)):
        told = explain_code(code, fmt)
        result = told.result
        assert int("".join(bits for _, bits in result.fields), 2) == code == int(result.hex, 16)
        assert [(name, len(bits)) for name, bits in result.fields] == code_fields(fmt)
        value = fmt.value(code)
        assert str(value) == str(float(result.text)) if "…" not in result.text else result.exact == Fraction(value)
        assert told.steps[-1].text.replace("NaN", "nan").endswith(result.text.replace("NaN", "nan"))
        assert (told.source, told.error) == (None, None)
        json.dumps(told.to_dict(), allow_nan=False)


@pytest.mark.parametrize("fmt", FORMATS, ids=str)
def test_neighbours_are_the_values_beside(fmt):
    codes = range(fmt.code_count)
    order = sorted({fmt.value(code) for code in codes if not math.isnan(fmt.value(code))})
    place = {value: i for i, value in enumerate(order)}
    for code in codes if fmt.bits <= 8 else range(0, fmt.code_count, 251):
        value = fmt.value(code)
        if math.isnan(value) or (fmt.kind == "int" and fmt.symmetric):
            continue
        for up, beside in ((True, place[value] + 1), (False, place[value] - 1)):
            found = neighbour(fmt, code, up)
            assert (None if found is None else fmt.value(found)) == (
                order[beside] if 0 <= beside < len(order) else None
            )


def test_a_nan_has_no_neighbours():
    assert explain_code(0x7F, fe.dtype("float8_e4m3fn")).neighbours == (None, None)


def test_a_code_out_of_range():
    with pytest.raises(ValueError, match=r"code 0x10 is out of range: the codes of int4 are 0 to 0xf"):
        explain_code(16, fe.dtype("int4"))


@given(st.integers(-(1 << 64), 1 << 64), st.integers(-1100, 1000))
def test_decimals_are_exact_or_cut(significand, exponent):
    exact = significand * Fraction(2) ** exponent
    text = dyadic_in_decimal(significand, exponent)
    if "**" in text:
        assert abs(exponent) > 1000
    elif "…" in text:
        shown = Fraction(text.replace("…", ""))
        assert abs(shown) <= abs(exact) < abs(shown) * (1 + Fraction(1, 10**19))
    else:
        assert Fraction(text) == exact


@given(st.fractions(min_value=Fraction(1, 10**30)))
def test_floor_log2(x):
    exponent = floor_log2(x)
    assert Fraction(2) ** exponent <= x < Fraction(2) ** (exponent + 1)


def test_values_beyond_float64_are_told_exactly():
    told = explain_code(0x7000, fe.dtype("binary16p1se"))
    assert told.result.text == told.steps[-1].text.rsplit(" = ")[-1] == "2**12288"
    assert Code(fe.dtype("binary16p1se"), 0x7000).exact == Fraction(2) ** 12288


@pytest.mark.parametrize("profile", ["numpy", "torch", "x86-sse", "arm", "ieee"])
@pytest.mark.parametrize("text", ["1e10", "-1e10", "300.5", "inf", "nan", "1e999999999"])
@pytest.mark.parametrize("fmt", ["int8", "uint16", "int32"])
def test_the_rule_that_decides_is_named(profile, text, fmt):
    """The last step names the rule on a float's values that the integer format lacks, where the profile has one."""
    target = fe.dtype(fmt)
    rules = fe.profile(profile).for_codes(target.codes_key, fe.dtype("float64").codes_key)
    told = explain(read(text), target, fe.profile(profile))
    last = told.steps[-1].text
    assert int(fe.encode(text, target, profile=profile)) == told.result.code
    rule = rules.float_to_int_invalid.value
    if text == "300.5" and fmt != "int8":
        assert "=" not in last
    elif rule != "standard":
        assert f"float_to_int_invalid={rule}" in last
        assert "overflow=" not in last
    else:
        assert any(f"{name}=" in last for name in ("overflow", "infinity", "nan", "unsigned_negative"))
        assert "float_to_int_invalid" not in last

"""finfo, iinfo, describe, compare: against numpy, ml_dtypes, gfloat, and the values themselves."""

from __future__ import annotations

import json
import math
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

import fpemu as fe
from tests.cases import families

NUMPY_INTS = ("bits", "iexp", "machep", "maxexp", "minexp", "negep", "nexp", "nmant")
NUMPY_FLOATS = ("eps", "epsneg", "max", "min", "tiny", "smallest_normal", "smallest_subnormal")
COUNTS = ("nan_count", "infinity_count", "zero_count", "subnormal_count", "normal_count", "noncanonical_count")


# -- finfo --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["float16", "float32", "float64", *families.ML_DTYPES])
def test_fields_as_numpy_and_ml_dtypes_have_them(name):
    ours, theirs = fe.finfo(name), ml_dtypes.finfo(families.ML_DTYPES.get(name, name))
    assert {f: getattr(ours, f) for f in NUMPY_INTS} == {f: getattr(theirs, f) for f in NUMPY_INTS}
    assert {f: getattr(ours, f) for f in NUMPY_FLOATS} == {f: float(getattr(theirs, f)) for f in NUMPY_FLOATS}
    if ours.bits > 8:  # ml_dtypes writes 1 for its 8-bit formats, where no decimal digit survives
        assert ours.precision == theirs.precision
        assert type(theirs.resolution)(ours.resolution) == theirs.resolution


@pytest.mark.parametrize("precision", range(1, 64))
def test_precision_counts_the_decimal_digits_that_survive(precision):
    info = fe.finfo(fe.FloatFormat("f", min(64, precision + 9), precision, nan="none", infinities=False))
    digits = max(q for q in range(20) if 10**q <= 2 ** (precision - 1))  # C's DIG
    assert info.precision == digits
    assert info.exact.resolution == Fraction(1, 10**digits)


@pytest.mark.parametrize("name", list(families.p3109_names(range(3, 11))))
def test_p3109_limits_as_gfloat_has_them(name):
    ours, theirs = fe.finfo(name), families.gfloat_p3109(name)
    assert (ours.max, ours.min, ours.maxexp) == (theirs.max, theirs.min, theirs.maxexp)
    assert (ours.nan_count, ours.infinity_count) == (theirs.num_nans, theirs.num_infs)
    assert ours.smallest_subnormal == theirs.smallest
    assert ours.smallest_normal == theirs.smallest_normal


def by_value(fmt):
    """Positive finite values in order, and what the codes hold, counted from the values."""
    values = fmt.values()
    positive = np.unique(values[(values > 0) & np.isfinite(values)])
    nonzero = np.abs(values[np.isfinite(values) & (values != 0)])
    smallest_normal = 2.0 ** ((1 if fmt.subnormals else 0) - fmt.bias)
    subnormals = int(np.sum(nonzero < smallest_normal)) if fmt.subnormals else 0
    counts = {
        "nan_count": int(np.isnan(values).sum()),
        "infinity_count": int(np.isinf(values).sum()),
        "zero_count": int((values == 0).sum()),
        "subnormal_count": subnormals,
        "normal_count": nonzero.size - subnormals,
        "noncanonical_count": 0,
    }
    return positive, counts


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6])
def test_limits_and_counts_of_every_combination(bits):
    for fmt in families.small_formats([bits], biases=(None, -1, 0, 3)):
        info, (positive, counts) = fe.finfo(fmt), by_value(fmt)
        assert {count: getattr(info, count) for count in COUNTS} == counts, fmt
        assert sum(counts.values()) == info.code_count == 1 << bits
        finite = fmt.values()[np.isfinite(fmt.values())]
        assert (info.max, info.min, info.smallest_subnormal) == (finite.max(), finite.min(), positive[0]), fmt
        assert info.maxexp - 1 == info.emax == math.floor(math.log2(positive[-1])), fmt
        assert info.binades == info.maxexp - math.floor(math.log2(positive[0])), fmt
        assert info.decades == pytest.approx(math.log10(positive[-1] / positive[0]), abs=1e-12)
        assert info.dynamic_range_db == pytest.approx(20 * math.log10(positive[-1] / positive[0]), abs=1e-12)
        line = np.append(0.0, positive) if fmt.zero else positive
        one = np.flatnonzero(line == 1.0)
        above = line[one + 1] - 1 if one.size and one[0] + 1 < line.size else 2.0 ** (1 - fmt.precision)
        below = 1 - line[one - 1] if one.size and one[0] > 0 else 2.0**-fmt.precision
        assert (info.eps, info.epsneg) == (above, below), fmt
        assert (2.0**info.machep, 2.0**info.negep) == (above, below), fmt


def test_a_format_without_normal_values():
    info = fe.finfo(fe.FloatFormat("tiny", 3, 2))
    assert info.normal_count == 0
    assert math.isnan(info.smallest_normal)
    assert info.to_dict()["smallest_normal"] is None
    assert "smallest normal     none" in str(info)
    with pytest.raises(ValueError, match="tiny has no smallest normal"):
        _ = info.exact.smallest_normal


def test_exact_fields():
    exact = fe.finfo("float64").exact
    assert exact.max == Fraction(2**53 - 1) * 2**971
    assert exact.smallest_subnormal == Fraction(1, 2**1074)
    assert (exact.eps, exact.nmant, exact.nan_count) == (Fraction(1, 2**52), 52, 2**53 - 2)
    assert isinstance(exact.max, Fraction)
    assert {"max", "eps", "bits"} <= set(dir(exact))
    with pytest.raises(AttributeError, match="no exact 'decades': there are binades, bits"):
        _ = exact.decades
    with pytest.raises(AttributeError):
        _ = exact.nonsense


def test_fields_beyond_float64_say_where_to_look():
    info = fe.finfo("binary16p1ue")
    with pytest.raises(OverflowError, match=r"max of binary16p1ue is 2\*\*32765: no float64; use \.exact\.max"):
        _ = info.max
    with pytest.raises(OverflowError, match=r"smallest_normal .* use \.exact\.smallest_normal"):
        _ = info.smallest_normal
    assert info.exact.max == Fraction(2) ** 32765
    assert (info.eps, info.min, info.emax) == (1.0, 0.0, 32765)
    assert info.dynamic_range_db == pytest.approx(20 * math.log10(2) * (32765 + 32767))
    assert (info.to_dict()["max"], info.to_dict()["smallest_normal"]) == ("2**32765", "2**-32767")
    assert "max                 2**32765" in str(info)


def test_precision_beyond_float64():
    info = fe.finfo(fe.FloatFormat("wide", 64, 60, 7))
    with pytest.raises(OverflowError):
        _ = info.max
    assert info.exact.max == Fraction(2**60 - 1, 2**59) * 2**7
    assert info.eps == 2.0**-59


def test_every_p3109_format_prints_exactly():
    beyond = below = 0
    for name in families.p3109_names(range(3, 17)):
        info = fe.finfo(name)
        text, high, low = str(info), info.exact.max, info.exact.smallest_subnormal
        beyond += high > 2**1024 - 2**970 or low < Fraction(1, 2**1074)
        below += Fraction(1, 2**1074) <= low < Fraction(1, 2**1022)
        for label, value in (("max", high), ("eps", info.exact.eps)):
            line = next(line for line in text.splitlines() if line.startswith(f"  {label} "))
            printed = line.replace("~", "=").split("=")[-1].removeprefix(f"  {label}")
            assert exactly(printed) == value, (name, line)
    assert (beyond, below) == (50, 22)  # as P3109's own value tables have it


def exactly(text):
    """The number that "7 * 2**6", "2**-9" or "448" stands for."""
    significand, _, power = text.strip().rpartition("2**")
    if not power or "**" not in text:
        return Fraction(text.strip())
    return Fraction(significand.replace("*", "").strip() or 1) * Fraction(2) ** int(power)


def test_the_printed_block_says_what_the_name_does_not():
    assert "IEEE-like, max 240; torch's is float8_e4m3fn" in str(fe.finfo("float8_e4m3"))
    assert "profile ieee: rounding nearest_even, overflow standard (to nearest: NaN)" in str(fe.finfo("e4m3"))
    assert "overflow p3109 (the largest value)" in str(fe.finfo("binary8p4sf"))
    assert "rounding Stochastic(variant='A', bits=32)" in str(
        fe.finfo(fe.FloatFormat("f", 8, 4, profile=fe.profile("ieee").replace(rounding="stochastic")))
    )
    assert "through float32" in " ".join(str(fe.finfo(fe.FloatFormat("f", 8, 4, profile="ml_dtypes"))).split())
    assert str(fe.finfo("bf16")) == str(fe.finfo(fe.dtype("bfloat16")))
    assert repr(fe.finfo("float16")) == "finfo(resolution=0.001, min=-65504, max=65504, dtype=float16)"


def test_infos_are_frozen_and_compare_by_format():
    assert fe.finfo("bf16") == fe.finfo("bfloat16")
    assert fe.finfo("bf16") != fe.finfo("float16")
    with pytest.raises(AttributeError):
        fe.finfo("bf16").format = None


@pytest.mark.parametrize("fmt", fe.dtypes(), ids=str)
def test_every_registered_format_has_a_dict_for_json_and_a_text(fmt):
    info = fe.describe(fmt)
    found = json.loads(json.dumps(info.to_dict(), allow_nan=False))
    assert (found["name"], found["bits"], found["code_count"]) == (fmt.name, fmt.bits, fmt.code_count)
    assert str(info).startswith(fmt.name)
    assert info.dtype is fmt
    assert max(map(len, str(info).splitlines())) <= 110


# -- iinfo and codebooks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)])
def test_integers_as_numpy_has_them(name):
    ours, theirs = fe.iinfo(name), np.iinfo(name)
    assert (ours.min, ours.max, ours.bits, ours.kind) == (theirs.min, theirs.max, theirs.bits, theirs.kind)
    assert type(ours.max) is int
    assert ours.to_dict()["max"] == theirs.max


@pytest.mark.parametrize("name", ["int1", "int2", "int4", "uint1", "uint2", "uint4"])
def test_small_integers_as_ml_dtypes_has_them(name):
    ours, theirs = fe.iinfo(name), ml_dtypes.iinfo(getattr(ml_dtypes, name))
    assert (ours.min, ours.max, ours.bits, ours.kind) == (theirs.min, theirs.max, theirs.bits, theirs.kind)


def test_fixed_point():
    info = fe.iinfo("q3.12")
    assert (info.min, info.max, info.quantum) == (-8.0, 8 - 2**-12, 2**-12)
    assert (info.exact.max, info.exact.quantum) == (Fraction(32767, 4096), Fraction(1, 4096))
    assert info.binades == 15
    coarse = fe.iinfo("q70.-60")
    assert (coarse.max, coarse.quantum) == ((2**10 - 1) << 60, 1 << 60)
    with pytest.raises(OverflowError, match=r"max of q3\.60 .* use \.exact\.max"):
        _ = fe.iinfo("q3.60").max


def test_symmetric_and_sign_magnitude_integers():
    symmetric = fe.iinfo(fe.IntFormat("s", 8, symmetric=True))
    assert (symmetric.min, symmetric.max, symmetric.noncanonical_count) == (-127, 127, 1)
    magnitude = fe.iinfo(fe.IntFormat("m", 8, encoding="sign_magnitude"))
    assert (magnitude.min, magnitude.max, magnitude.zero_count, magnitude.noncanonical_count) == (-127, 127, 2, 0)


def test_one_bit_integers_have_no_dynamic_range():
    assert fe.iinfo("int1").binades == 0
    assert fe.iinfo("int1").to_dict()["decades"] is None
    assert "dynamic range       none" in str(fe.iinfo("int1"))
    assert (fe.iinfo("uint1").binades, fe.iinfo("uint1").decades) == (1, 0.0)


def test_codebooks():
    info = fe.describe(fe.TableFormat("t", [0.0, 4, -2, 0.5, 4, -0.0]))
    assert (info.max, info.min, info.smallest_positive) == (4, -2, 0.5)
    assert (info.zero_count, info.noncanonical_count, info.code_count) == (2, 2, 6)
    assert (info.binades, info.exact.smallest_positive) == (4, Fraction(1, 2))
    negative = fe.describe(fe.TableFormat("n", [-1, -2]))
    assert math.isnan(negative.smallest_positive)
    assert (negative.binades, negative.to_dict()["smallest_positive"]) == (0, None)


@pytest.mark.parametrize(
    ("call", "name", "words"),
    [
        (fe.finfo, "int8", "int8 is not a floating-point format: use fe.iinfo"),
        (fe.finfo, "nf4", "nf4 is not a floating-point format: .*fe.describe"),
        (fe.iinfo, "bf16", "bfloat16 is not an integer format: use fe.finfo"),
        (fe.describe, "bf61", "unknown format"),
    ],
)
def test_the_wrong_kind_of_format(call, name, words):
    with pytest.raises(ValueError, match=words):
        call(name)


# -- compare ------------------------------------------------------------------------------------------------------


def test_compare():
    found = fe.compare("float16", "int8", "nf4", "binary16p1ue", "e8m0")
    rows = found.to_dict()
    assert list(rows) == ["float16", "int8", "nf4", "binary16p1ue", "float8_e8m0fnu"]
    half = rows["float16"]
    assert (half["precision"], half["max"], half["eps"]) == (11, 65504.0, 2**-10)
    assert (half["infinity_codes"], half["nan_codes"]) == (2, 2046)
    assert (rows["int8"]["precision"], rows["int8"]["max"], rows["int8"]["min"]) == (None, 127, -128)
    assert rows["nf4"]["smallest_normal"] is None
    assert rows["binary16p1ue"]["max"] == "2**32765"
    assert rows["float8_e8m0fnu"]["smallest_subnormal"] is None
    json.dumps(rows, allow_nan=False)


def test_compare_prints_an_aligned_table():
    lines = str(fe.compare("bf16", "binary16p1ue", "int4")).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[0].split()[:4] == ["format", "bits", "p", "max"]
    assert lines[2].split()[:4] == ["bfloat16", "16", "8", "3.38953e+38"]
    assert lines[3].split()[3] == "2**32765"
    assert repr(fe.compare("int4")) == str(fe.compare("int4"))


def test_compare_in_a_notebook_escapes_names():
    html = fe.compare("ap_fixed<16,4>")._repr_html_()
    assert "<td>ap_fixed&lt;16,4&gt;</td>" in html
    assert html.count("<tr>") == 2


def test_compare_refuses():
    with pytest.raises(ValueError, match="one format or more"):
        fe.compare()
    with pytest.raises(ValueError, match="two different formats are called 'x'"):
        fe.compare(fe.IntFormat("x", 4), fe.IntFormat("x", 5))
    assert len(fe.compare("bf16", "bfloat16").rows) == 2

"""Reports, compared with sums in exact arithmetic, roundings of other libraries, and thresholds computed by hand."""

import json
import math
import re
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

import fpemu as fe
from fpemu.casting.buffers import iter_chunks
from fpemu.formats.facts.exactness import finite_range
from fpemu.quantization.definition.tool_profiles import scale_profile
from fpemu.reports.cast_errors import ERROR_COLUMNS, Errors
from fpemu.reports.cast_report import report_stream

# format: its largest value, the magnitude from which it overflows to nearest, whether that magnitude itself does,
# and somebody else's rounding of numbers in range
KNOWN = {
    "float16": (65504, 65520, True, lambda x: x.astype(np.float16)),
    "bfloat16": (float(ml_dtypes.finfo("bfloat16").max), 2.0**128 - 2.0**119, True, lambda x: x.astype("bfloat16")),
    "float8_e4m3fn": (448, 464, False, lambda x: x.astype("float8_e4m3fn")),
    "float8_e5m2": (57344, 61440, True, lambda x: x.astype("float8_e5m2")),
    "float4_e2m1fn": (6, 7, True, lambda x: x.astype("float4_e2m1fn")),
    "int8": (127, 127.5, True, np.rint),
}


def numbers(seed, count=3000):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(count) * np.exp2(rng.integers(-20, 18, count))
    edges = [edge for _, limit, _, _ in KNOWN.values() if limit < 1e30 for edge in (limit, limit + 1, limit - 1)]
    return np.array([*x, *edges, 0.0, -0.0], np.float32)


def rounded(x, name):
    """Each number as a value of the format, saturated, by the table above."""
    largest, *_, other = KNOWN[name]
    lowest = -128 if name == "int8" else -largest
    return other(np.clip(x, lowest, largest).astype(np.float32)).astype(np.float64)


@pytest.mark.parametrize("name", KNOWN)
def test_every_number_of_a_row(name):
    x = numbers(0)
    y = rounded(x, name)
    (row,) = fe.report(x, name).rows
    errors = [Fraction(float(b)) - Fraction(float(a)) for a, b in zip(x, y, strict=True)]
    squares, signal = sum(e * e for e in errors), sum(Fraction(float(a)) ** 2 for a in x)
    relative = [abs(e / Fraction(float(a))) for a, e in zip(x, errors, strict=True) if a]
    largest, limit, itself, _ = KNOWN[name]
    lowest = -128 if name == "int8" else -largest
    assert (row.format, row.scale, row.nan) == (name, None, 0)
    assert row.mse == pytest.approx(float(squares / x.size), rel=1e-12)
    assert row.max_error == float(max(map(abs, errors)))
    assert row.max_relative_error == pytest.approx(float(max(relative)), rel=1e-12)
    assert row.sqnr == pytest.approx(10 * math.log10(signal / squares), abs=1e-9)
    beyond = (x >= limit) if itself else (x > limit)
    below = x < -128.5 if name == "int8" else (-x >= limit) if itself else (-x > limit)
    assert row.overflow == pytest.approx(np.mean(beyond | below), abs=1e-15)
    assert row.saturation == pytest.approx(np.mean((x > largest) | (x < lowest)), abs=1e-15)
    assert row.underflow == pytest.approx(np.mean((x != 0) & (y == 0)), abs=1e-15)
    if name != "bfloat16":  # it holds all of them
        assert row.overflow > 0
        assert row.saturation > 0


@pytest.mark.parametrize(
    ("name", "x", "overflow", "saturation"),
    [
        ("float8_e4m3fn", [464.0, np.nextafter(464.0, 500), 449.0, 448.0], 0.25, 0.75),
        ("float8_e4m3fn", [-464.0, -np.nextafter(464.0, 500), 0.0, 0.0], 0.25, 0.5),
        ("int8", [127.25, 127.5, -128.5, -128.75], 0.5, 1.0),
        ("uint4", [15.5, 15.25, -0.25, -3.0], 0.25, 1.0),
        ("float8_e8m0fnu", [2.0**127, 1.4 * 2.0**127, 2.0**128, 1.0], 0.25, 0.5),
        ("nf4", [1.5, -2.0, 0.9, -1.0], 0.0, 0.5),
        ("float64", [1.0, 2.0, 3.0, 4.0], 0.0, 0.0),
        ("binary8p4sf", [1e9, 1.0, 1.0, 1.0], 0.25, 0.25),
    ],
)
def test_overflow_is_what_rounds_beyond_the_range(name, x, overflow, saturation):
    (row,) = fe.report(x, name).rows
    assert (row.overflow, row.saturation) == (overflow, saturation)


def test_integers_keep_all_their_digits():
    x = np.array([2**63 - 1, -(2**63), 5], np.int64)
    (row,) = fe.report(x, "int64").rows
    assert (row.overflow, row.saturation, row.max_error) == (0, 0, 0)
    (row,) = fe.report(np.array([2**53 + 1, 0, 0, 0], np.int64), "int32").rows
    assert (row.overflow, row.saturation) == (0.25, 0.25)


def test_numbers_that_are_not_finite_are_counted_and_left_out():
    found = fe.report([1.1, np.nan, np.inf, -np.inf, np.nan], ["float8_e4m3fn", "int8"])
    assert (found.count, found.nan, found.infinite) == (5, 2, 2)
    alone = fe.report([1.1], ["float8_e4m3fn", "int8"])
    for row, same, nan in zip(found.rows, alone.rows, (2, 0), strict=True):
        assert row.nan == nan
        assert {**row.to_dict(), "nan": 0} == same.to_dict()


def test_what_becomes_nan_is_no_overflow_where_it_is_invalid():
    (row,) = fe.report([-1.0, 0.0, 1.0, 2.0], "float8_e8m0fnu").rows
    assert (row.nan, row.overflow, row.saturation, row.underflow) == (2, 0, 0, 0)
    assert row.max_error == 0


@pytest.mark.parametrize("x", [[], [np.nan], [0.0]])
def test_nothing_to_measure(x):
    (row,) = fe.report(x, "float16").rows
    assert math.isnan(row.sqnr)
    assert "-" in str(fe.report(x, "float16")).splitlines()[2].split()


def test_exact_numbers_have_no_noise():
    (row,) = fe.report([1.0, 0.5], "float16").rows
    assert (row.sqnr, row.mse) == (math.inf, 0)


@pytest.mark.parametrize("factor", [2.0**-1000, 2.0**-1030, 2.0**-500, 2.0**1000])
def test_sums_of_squares_neither_overflow_nor_underflow(factor):
    x = np.random.default_rng(1).standard_normal(100)
    wide = fe.FloatFormat("wide", bits=24, precision=5)
    (expected,) = fe.report(x, wide).rows
    (row,) = fe.report(x * factor, wide).rows
    assert row.sqnr == pytest.approx(expected.sqnr, abs=1e-6)


def test_large_beside_small():
    x = np.array([1e-200, 1e200, 3e150])
    (row,) = fe.report(x, "float16").rows
    assert row.sqnr == pytest.approx(0, abs=1e-9)
    assert row.mse == math.inf  # 3e399
    (row,) = report_stream(lambda: iter([x[1:], x[:1]]), "float16").rows
    assert row.sqnr == pytest.approx(0, abs=1e-9)


class TestScale:
    x = np.random.default_rng(2).standard_normal(500).astype(np.float32) * 3e-4

    def test_absmax_by_the_textbook(self):
        (row,) = fe.report(self.x, "int8", scale="absmax").rows
        wide = self.x.astype(np.float64)
        scale = np.abs(wide).max() / 127
        assert row.scale == pytest.approx(scale, rel=1e-15)
        assert row.mse == pytest.approx(np.mean((np.rint(wide / scale) * scale - wide) ** 2), rel=1e-9)
        assert (row.overflow, row.saturation) == (0, 0)

    @pytest.mark.parametrize("name", ["float16", "float8_e4m3fn", "float4_e2m1fn", "int4", "nf4", "uint8", "float32"])
    @pytest.mark.parametrize("factor", [1e-40, 1e-3, 1.0, 1e30])
    def test_absmax_takes_the_largest_to_the_largest(self, name, factor):
        for seed in range(20):
            amax = abs(np.random.default_rng(seed).standard_normal()) * factor
            (row,) = fe.report(np.array([amax, amax / 3]), name, scale="absmax").rows
            assert row.saturation == 0
            assert amax / row.scale <= finite_range(fe.dtype(name))[1]
            if row.scale > 1e-300:
                assert amax / row.scale == pytest.approx(finite_range(fe.dtype(name))[1], rel=1e-12)

    def test_numbers_and_arrays(self):
        x = self.x.reshape(50, 10)
        scale = np.linspace(1e-5, 1e-4, 10)
        (row,) = fe.report(x, "int8", scale=scale).rows
        error = np.clip(np.rint(x / scale), -128, 127) * scale - x
        assert row.mse == pytest.approx(np.mean(error**2), rel=1e-9)
        assert row.max_error == pytest.approx(np.abs(error).max(), rel=1e-9)
        assert row.scale is None
        (row,) = fe.report(x, "int8", scale=1e-5).rows
        error = np.clip(np.rint(x / 1e-5), -128, 127) * 1e-5 - x
        assert (row.scale, row.mse) == (1e-5, pytest.approx(np.mean(error**2), rel=1e-9))

    def test_zeros_and_numbers_that_are_not_finite(self):
        (row,) = fe.report([0.0, 0.0], "int8", scale="absmax").rows
        assert (row.scale, row.max_error) == (1.0, 0)
        (row,) = fe.report([127.0, np.inf, np.nan], "int8", scale="absmax").rows
        assert row.scale == 1.0

    def test_what_leaves_float64_by_scaling_is_an_overflow(self):
        (row,) = fe.report([1e300, 1.0], "float16", scale=1e-300).rows
        assert (row.overflow, row.saturation) == (1.0, 1.0)

    @pytest.mark.parametrize("scale", ["amax", 0, -1.0, np.nan, [1.0, np.inf]])
    def test_wrong_scales(self, scale):
        with pytest.raises(ValueError, match="scale"):
            fe.report([1.0, 2.0], "int8", scale=scale)
        with pytest.raises(ValueError, match=r"binary16p1ue"):
            fe.report([1.0], "binary16p1ue", scale="absmax")


@pytest.mark.parametrize("rounding", ["toward_zero", "to_odd", "stochastic"])
@pytest.mark.parametrize("scale", [None, "absmax"])
def test_pieces_make_no_difference(rounding, scale):
    x = numbers(3)
    names = ["float8_e4m3fn", "int8", "bfloat16"]
    how = {"rounding": rounding} | ({"rng": 7} if rounding == "stochastic" else {})
    whole = fe.report(x, names, scale, **how)
    for size in (1, 999, 10**6):
        pieces = [x[start : start + size] for start in range(0, x.size, size)]
        if size == 1:
            pieces = [*pieces[:50], x[50:]]
        found = report_stream(lambda p=pieces: iter(p), names, scale, **how)
        assert (found.count, found.nan, found.infinite) == (whole.count, whole.nan, whole.infinite)
        for row, expected in zip(found.rows, whole.rows, strict=True):
            assert row.cells() == expected.cells()
            assert row.mse == pytest.approx(expected.mse, rel=1e-12)


def test_a_report_of_more_than_one_chunk():
    x = np.random.default_rng(4).standard_normal((3, 700_001)).astype(np.float32)
    y = np.clip(np.rint(x), -8, 7)
    (row,) = fe.report(x, "int4").rows
    assert row.mse == pytest.approx(np.mean((y.astype(float) - x) ** 2), rel=1e-6)
    (other,) = fe.report(np.asfortranarray(x), "int4", rounding="stochastic", rng=1).rows
    (same,) = fe.report(x, "int4", rounding="stochastic", rng=1).rows
    assert other == same


def test_rounding_and_profile_are_those_of_a_cast():
    x = numbers(5)
    x = x[np.abs(x) < 400]
    for options in ({"rounding": "toward_positive"}, {"profile": "torch"}, {"rounding": "stochastic", "rng": 3}):
        y = fe.cast(x, "float8_e4m3fn", **options).astype(np.float64)
        (row,) = fe.report(x, "float8_e4m3fn", **options).rows
        assert row.max_error == np.abs(y - x).max()
    key = np.random.default_rng(9)
    assert fe.report(x, "int8", rounding="stochastic", rng=key) != fe.report(x, "int8", rounding="stochastic", rng=key)


def test_codes_and_other_arrays_are_sources_too():
    codes = np.arange(0x7F, dtype=np.uint8)
    values = fe.decode(codes, "float8_e4m3fn")
    expected = fe.report(values, "float4_e2m1fn")
    assert fe.report(codes, "float4_e2m1fn", source="float8_e4m3fn") == expected
    assert fe.report(values.astype("float8_e4m3fn"), "float4_e2m1fn") == expected
    assert fe.report(fe.Array.from_codes(codes, "float8_e4m3fn"), "float4_e2m1fn") == expected


def test_wrong_arguments():
    with pytest.raises(ValueError, match="unknown format"):
        fe.report([1.0], "float8_e4m3fm")
    with pytest.raises(ValueError, match="one format or more"):
        fe.report([1.0], [])
    with pytest.raises(TypeError, match="complex"):
        fe.report([1j], "int8")
    with pytest.raises(ValueError, match="unknown rounding"):
        fe.report([1.0], "int8", rounding="up")


def test_the_printed_table_and_the_dictionary():
    found = fe.report([1.0, 300.0], ["float8_e4m3fn", "int8"], scale=2.0)
    lines = str(found).splitlines()
    assert lines[0].split()[:2] == ["format", "scale"]
    assert [line.split()[:2] for line in lines[2:]] == [["float8_e4m3fn", "2"], ["int8", "2"]]
    assert len({len(line) for line in lines}) == 1
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["rows"][1]["saturation"] == 0.5
    assert [row["format"] for row in plain["rows"]] == ["float8_e4m3fn", "int8"]
    assert len(found.rows[0].cells()) == len(ERROR_COLUMNS)


def test_errors_of_results_that_are_not_finite():
    errors = Errors(fe.dtype("float8_e5m2"))
    errors.update(np.array([1e6, -1e6, 3.0, 1e-9]), np.array([np.inf, np.nan, 3.0, 0.0]))
    row = errors.row()
    assert (row.overflow, row.saturation, row.underflow, row.nan) == (0.5, 0.5, 0.25, 1)
    assert row.max_error == 1e6 - 57344
    assert errors.inexact == 3


SCALED = [
    ("mxfp4", (10, 64)), ("mxfp8", (3, 50)), ("mxfp6", (100,)), ("nvfp4", (6, 40)), ("nvfp4_tile", (40, 50)),
    ("nf4_64", (5, 128)), ("absmax_int8", (7, 9)), ("zeropoint_int4", (11, 13)), ("zeropoint_uint8", (4, 5, 6)),
    ("int8_channel", (6, 5, 8)), ("fp8_e4m3_row", (6, 37)), ("fp8_e5m2_128x128", (130, 140)), ("mxint8", (64,)),
    ("absmax_int8", ()),
]  # fmt: skip
AXES = [("mxfp4", 0, (64, 10)), ("mxfp4", 0, (50, 3)), ("int8_channel", 1, (9, 17)), ("int8_channel", 1, (4, 6, 5)),
        ("fp8_e4m3_row", 0, (8, 9)), ("mxfp8", -2, (2, 40, 6)), ("int8_channel", -1, (12,))]  # fmt: skip


@pytest.mark.parametrize(
    ("scheme", "shape"), [*SCALED, *((fe.scheme(n).replace(axis=a), s) for n, a, s in AXES)], ids=str
)
def test_scaled_formats_are_as_quantize_has_them(scheme, shape):
    x = (np.random.default_rng(6).standard_t(3, shape) * 5).astype(np.float32)
    q = fe.quantize(x, scheme, pad=True)
    error = q.dequantize(np.float64) - x
    flat = x.reshape(-1)
    for size in (1 << 20, 17):
        found = report_stream(lambda s=size: iter_chunks(flat, s), [scheme], shape=shape, pad=True)
        (row,) = found.rows
        assert (row.format, row.bits, row.scale, row.nan) == (str(q.scheme), q.bits_per_element, None, 0)
        assert row.mse == pytest.approx(np.mean(error**2), rel=1e-12)
        assert row.max_error == np.abs(error).max()
        assert row.underflow == pytest.approx(np.mean((q.dequantize() == 0) & (x != 0)))
    assert (
        fe.report(x, scheme, pad=True).rows == report_stream(lambda: iter([flat]), scheme, shape=shape, pad=True).rows
    )


UNDER = [
    ("bnb_nf4", "exact", (40, 50)), ("bnb_fp4", "bitsandbytes", (5, 90, 60)), ("nvfp4", "torchao", (7, 32)),
    ("nvfp4", "transformer-engine-4over6", (9, 48)), ("nvfp4_tile", "transformer-engine", (40, 50)),
    ("mxfp8", "torchao", (3, 50)), ("mxfp4", "gfloat", (64,)), ("int8_channel", "torch", (6, 5, 8)),
    ("zeropoint_uint8", "torch-fake", (11, 13)), ("int8_row", "onnx", (6, 37)), ("gguf_q4_0", "gguf", (4, 64)),
    ("fp8_e4m3_tensor", "torchao", (8, 9)), ("fp8_e4m3_row", "onnxruntime-1.32-no_saturate", (3, 10)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "profile", "shape"), UNDER)
def test_profiles_of_scaled_formats_are_as_quantize_has_them(name, profile, shape):
    x = (np.random.default_rng(7).standard_t(3, shape) * 5).astype(np.float32)
    q = fe.quantize(x, name, pad=True, profile=profile)
    error = q.dequantize(np.float64) - x
    for size in (1 << 20, 17):
        found = report_stream(
            lambda s=size: iter_chunks(x.reshape(-1), s), [name], profile=profile, shape=shape, pad=True
        )
        (row,) = found.rows
        assert (row.bits, row.nan) == (q.bits_per_element, 0)
        assert row.mse == pytest.approx(np.mean(error**2), rel=1e-12)
        assert row.max_error == np.abs(error).max()
        assert row.underflow == pytest.approx(np.mean((q.dequantize() == 0) & (x != 0)))


def test_scales_that_are_quantized_themselves_stand_beside_others():
    x = (np.random.default_rng(8).standard_normal((64, 64)) * np.tile([[1], [30]], (32, 1))).astype(np.float32)
    found = fe.report(x, ["nf4_64", "bnb_nf4", "mxfp4"])
    assert found.rows[::2] == fe.report(x, ["nf4_64", "mxfp4"]).rows
    plain, row = found.rows[:2]
    assert (row.overflow, row.saturation) == (plain.overflow, plain.saturation)  # over the scales before
    assert plain.mse != row.mse
    assert row.bits == fe.quantize(x, "bnb_nf4").bits_per_element == 4 + 8 / 64 + (32 + 32) / 4096


def test_scale_rules_of_scaled_formats():
    x = numbers(6)[:640]
    for rule in ("floor", "ceil", fe.ScaleRule("mine", divisor=5.0)):
        row, plain, fmt = fe.report(
            x, ["mxfp4", fe.scheme("mxfp4").replace(scale_rule=rule), "bf16"], scale_rule=rule
        ).rows
        assert row == plain
        assert row.max_error == np.abs(fe.fake_quantize(x, "mxfp4", scale_rule=rule).astype(np.float64) - x).max()
        assert fmt == fe.report(x, "bf16").rows[0]
    (row,) = fe.report(x, "mxfp4", scale_rule="rceil", profile="torchao").rows
    y = fe.fake_quantize(x, "mxfp4", scale_rule="rceil", profile="torchao")
    assert row.max_error == np.abs(y.astype(np.float64) - x).max()


def test_profiles_mean_casts_to_formats_and_tools_for_scaled_formats():
    x = np.float32([127.5, 1.0, 0.3, -300.0])
    whole, scaled = fe.report(x, ["float8_e4m3fn", "absmax_int8"], profile="torch").rows
    assert whole == fe.report(x, "float8_e4m3fn", profile=fe.profile("torch")).rows[0]
    y = fe.quantize(x, "absmax_int8", profile="torch").dequantize(np.float64)
    assert scaled.max_error == np.abs(y - x).max() != fe.report(x, "absmax_int8").rows[0].max_error
    x = np.tile(x, 8)
    (casts,) = fe.report(x, "mxfp8", profile=fe.profile("ieee").replace(rounding="toward_zero")).rows
    assert casts.mse == fe.report(x, "mxfp8", rounding="toward_zero").rows[0].mse
    own = scale_profile("exact").replace(rounding="toward_zero")
    assert fe.report(x, "mxfp8", profile=own).rows == (casts,)
    with pytest.raises(ValueError, match=r"torchao-0\.18 is a profile of scaled formats, but there are none"):
        fe.report(x, "int8", profile="torchao")
    with pytest.raises(ValueError, match=r"gguf-0\.19 does not apply to mxfp4"):
        fe.report(x, ["gguf_q8_0", "mxfp4"], profile="gguf")
    with pytest.raises(ValueError, match=r"unknown profile 'torcha': .* lists those of casts.* did you mean 'torchao'"):
        fe.report(x, "mxfp4", profile="torcha")
    with pytest.raises(ValueError, match="rule floor is for scaled formats, but there are none"):
        fe.report(x, "int8", scale_rule="floor")
    with pytest.raises(ValueError, match="mxfp4: the scale rule minmax needs zero points"):
        fe.report(x, "mxfp4", scale_rule="minmax")


def test_overflow_in_blocks_is_of_numbers_over_their_scale():
    x = [[6.5, 7.0, -7.5, 6.0], [4.0, 0.01, 1.0, 0.5]]  # both scales are 1
    (row,) = fe.report(x, fe.scheme("mxfp4").replace(block=4)).rows
    assert (row.saturation, row.overflow, row.underflow, row.max_error) == (3 / 8, 2 / 8, 1 / 8, 1.5)
    (row,) = fe.report([0.0, 1.0, 254.0, -1.0], "zeropoint_uint8").rows  # to 254 + 1
    assert (row.saturation, row.overflow, row.max_error) == (0, 0, 0)
    double = fe.ScaleRule("double", divisor=255)
    (row,) = fe.report([-1.0, 5.0], fe.scheme("zeropoint_uint8").replace(scale_rule=double)).rows  # 128 is zero
    assert (row.saturation, row.overflow) == (0.5, 0.5)


def test_scaled_formats_beside_others():
    x = numbers(3)[:1000]
    found = fe.report(x, ["float8_e4m3fn", "mxfp8", "int8"], scale="absmax", pad=True)
    alone = fe.report(x, ["float8_e4m3fn", "int8"], scale="absmax")
    assert found.rows[::2] == alone.rows
    lines = str(found).splitlines()
    assert lines[0].split()[:3] == ["format", "bits", "scale"]
    assert [line.split()[:2] for line in lines[2:]] == [["float8_e4m3fn", "8"], ["mxfp8_e4m3", "8.256"], ["int8", "8"]]
    assert "bits" not in str(alone)


def test_scaled_formats_and_numbers_that_are_not_finite():
    x = np.ones(64, np.float32)
    x[[3, 40, 41]] = np.nan, np.inf, -np.inf
    found = fe.report(x, ["mxfp8", "absmax_int8", "nvfp4"])
    assert (found.nan, found.infinite) == (1, 2)
    assert [row.nan for row in found.rows] == [64, 0, 32]
    assert found.rows[1].mse < 1e-10
    assert fe.report(np.full(4, np.nan), "absmax_int8").rows[0].bits == 16


def test_scaled_formats_round_as_they_are_told():
    x = numbers(5)[:640]
    for options in ({"rounding": "toward_zero"}, {"rounding": "stochastic", "rng": 3}):
        scheme = fe.scheme("mxfp8")
        y = fe.fake_quantize(x, scheme, **options)
        (row,) = fe.report(x, scheme, **options).rows
        assert row.max_error == np.abs(y.astype(np.float64) - x).max()


def test_wrong_arguments_of_scaled_formats():
    with pytest.raises(ValueError, match="did you mean 'mxfp4'"):
        fe.report([1.0], "mxfp5")
    with pytest.raises(ValueError, match="without scales of their own"):
        fe.report([1.0], "mxfp4", scale=2.0)
    with pytest.raises(ValueError, match="shape="):
        report_stream(lambda: iter([np.ones(3)]), "mxfp4")
    with pytest.raises(ValueError, match=r"mxfp4 does not fit an array of shape \(1,\): axis 1 is out of range"):
        fe.report([1.0], fe.scheme("mxfp4").replace(axis=1))
    with pytest.raises(ValueError, match=r"the profile torchao-0\.18 computes in float32, but some of these"):
        fe.report(np.ones(64) / 3, "mxfp4", profile="torchao")


def test_scaled_formats_of_nothing():
    for x in (np.zeros((0, 64), np.float32), np.zeros((64, 0))):
        found = fe.report(x, ["mxfp4", "nvfp4", "bnb_nf4", "absmax_int8", "bf16"])
        assert (found.count, [row.nan for row in found.rows]) == (0, [0] * 5)


# -- arrays that blocks do not divide ----------------------------------------------------------------------------------

UNFIT = [
    ("nf4_64", (128, 1, 512, 1), "x.reshape(128, 512), axis=0 or axis=2 avoids that"),
    ("mxfp4", (64, 32, 3, 3), "x.reshape(64, 288), axis=0 or axis=1 avoids that"),
    ("mxfp4", (4, 24), "x.reshape(96) avoids that"),
    ("nvfp4", (5, 7), "pad=True allows shorter last blocks"),
    ("nvfp4_tile", (16, 1, 16), "x.reshape(16, 16) avoids that"),
    ("fp8_e4m3_128x128", (130, 140), "pad=True allows shorter last blocks"),
    (fe.scheme("int4_group").replace(axis=0, block=16), (3, 32), "axis=1 avoids that"),
]


@pytest.mark.parametrize(("scheme", "shape", "ends"), UNFIT, ids=str)
def test_report_refuses_what_quantize_refuses(scheme, shape, ends):
    x = np.ones(shape, np.float32)
    said = []
    for function in (fe.quantize, fe.fake_quantize, fe.report):
        with pytest.raises(ValueError, match="do not divide an array of shape") as caught:
            function(x, scheme)
        said.append(str(caught.value))
    with pytest.raises(ValueError, match="do not divide an array of shape"):
        fe.report(x, ["float16", scheme])
    assert said[0] == said[1]
    assert said[2] == f"{fe.scheme(scheme)} does not fit an array of shape {shape}: {said[0]}"
    assert said[0].endswith(ends)
    for way in re.findall(r"x\.reshape\([^)]*\)|axis=\d+", said[0]):  # each does what it says
        given, how = (eval(way, {"x": x}), {}) if way.startswith("x") else (x, {"axis": int(way[5:])})
        (row,) = fe.report(given, scheme, **how).rows
        assert row.bits == fe.quantize(given, scheme, **how).bits_per_element
    (row,) = fe.report(x, scheme, pad=True).rows
    assert row.bits == fe.quantize(x, scheme, pad=True).bits_per_element


def test_report_along_an_axis():
    x = (np.random.default_rng(9).standard_t(3, (64, 10)) * 5).astype(np.float32)
    found = fe.report(x, ["float16", "mxfp4", "int8_channel"], axis=0)
    for row, name in zip(found.rows[1:], ("mxfp4", "int8_channel"), strict=True):
        q = fe.quantize(x, name, axis=0)
        assert row.bits == q.bits_per_element
        assert row.max_error == np.abs(q.dequantize(np.float64) - x).max()
    with pytest.raises(ValueError, match=r"axis 2 is out of range for 2 dimensions"):
        fe.report(x, "mxfp4", axis=2)
    with pytest.raises(TypeError, match="axis must be an int"):
        fe.report(x, "mxfp4", axis=0.0)
    for how in ({"axis": 0}, {"pad": True}):
        with pytest.raises(ValueError, match=f"{next(iter(how))} is for scaled formats, but there are none"):
            fe.report(x, ["float16", "int8"], **how)


def test_one_number_has_no_blocks():
    for function in (fe.quantize, fe.report, fe.calibrate):
        for scheme in ("mxfp4", "fp8_e4m3_row", "int8_channel"):
            with pytest.raises(ValueError, match=r"one number has no axis .* use x\.reshape\(1\)"):
                function(np.float32(3), scheme)
    names = ["float16", "mxfp4", "absmax_int8", "int8_channel"]
    found = report_stream(lambda: iter([np.ones(1, np.float32)]), names, shape=(), marked=True)
    assert [bool(row.note) for row in found.rows] == [False, True, False, True]
    assert [row.format for row in found.rows] == names
    assert found.rows[::2] == fe.report(np.float32(1), names[::2]).rows
    assert found.rows[1].cells() == ["mxfp4", *["-"] * (len(ERROR_COLUMNS) - 1)]
    assert "note" in found.to_dict()["rows"][1]
    assert "note" not in found.to_dict()["rows"][0]
    alone = report_stream(lambda: iter([np.ones(1, np.float32)]), ["mxfp4"], shape=(), marked=True)
    assert (alone.count, alone.nan, len(alone.rows)) == (1, 0, 1)


def test_scales_that_do_not_fit():
    for scale in (np.ones(63), np.ones((2, 8, 64)), [1, 2]):
        with pytest.raises(ValueError, match=r"scale of shape \(.*\) does not fit x of shape \(8, 64\)"):
            fe.report(np.ones((8, 64)), "bf16", scale)

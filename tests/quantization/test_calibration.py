"""Scales of many batches: against numpy's extremes and percentiles, a search of limits, merging in any order."""

import ml_dtypes
import numpy as np
import pytest

import fpemu as fe
from tests.cases import float_environment

METHODS = ["minmax", "percentile", "mse"]


def batches(seed=0, count=5, shape=(6, 40)):
    rng = np.random.default_rng(seed)
    return [(rng.standard_t(4, shape) * 0.3 + 0.1).astype(np.float32) for _ in range(count)]


def same(one, other):
    """Whether two calibrations give the same bits."""
    pairs = [(one.scales, other.scales), (one.zero_points, other.zero_points)]
    known = all((a is None and b is None) or (a.tobytes(), a.shape) == (b.tobytes(), b.shape) for a, b in pairs)
    return known and (one.second_scale, one.count, one.nan) == (other.second_scale, other.count, other.nan)


def test_absmax_by_hand():
    found = fe.calibrate(batches(), "absmax_int8")
    largest = np.float32(max(np.abs(x).max() for x in batches()))
    assert found.scales == np.float32(np.float64(largest) / 127)
    assert (found.zero_points, found.second_scale, found.count) == (None, None, 5 * 240)


def test_zero_points_by_hand():
    found = fe.calibrate(batches(), "zeropoint_uint8")
    low, high = min(x.min() for x in batches()), max(x.max() for x in batches())
    scale = np.float32((np.float64(high) - np.float64(low)) / 255)
    assert found.scales == scale
    assert found.zero_points == np.rint(-np.float64(low) / np.float64(scale))


@pytest.mark.parametrize(
    ("name", "axis", "shape"),
    [
        ("int8_channel", 0, (6, 1)),
        ("int8_channel", 1, (1, 40)),
        ("fp8_e4m3_row", -1, (6, 1)),
        ("fp8_e4m3_row", 0, (1, 40)),
    ],
)
def test_scales_along_axes(name, axis, shape):
    scheme = fe.scheme(name).replace(axis=axis)
    found = fe.calibrate(batches(), scheme)
    largest = np.max(np.abs(np.stack(batches())), axis=0).max(axis=shape.index(1), keepdims=True)
    np.testing.assert_array_equal(
        found.scales, np.float32(largest.astype(np.float64) / (127 if "int8" in name else 448))
    )
    assert found.scales.shape == shape


@pytest.mark.parametrize("name", ["absmax_int8", "zeropoint_int4", "fp8_e4m3_tensor", "int8_channel", "fp8_e5m2_row"])
def test_one_batch_is_as_quantize_has_it(name):
    x = batches()[0]
    found, direct = fe.calibrate(x, name), fe.quantize(x, name)
    np.testing.assert_array_equal(np.broadcast_to(found.scales, direct.scales.shape), direct.scale_values)
    q = found.quantize(x)
    assert (q.codes.tobytes(), q.scales.tobytes()) == (direct.codes.tobytes(), direct.scales.tobytes())
    assert (q.zero_points is None) == (direct.zero_points is None)


def test_two_levels():
    scheme = fe.scheme("nvfp4").replace(block="row")
    x = np.concatenate(batches(), axis=1)
    found, direct = fe.calibrate(batches(), scheme), fe.quantize(x, scheme)
    np.testing.assert_array_equal(found.scales, direct.scale_values)
    assert found.second_scale == direct.second_scale
    assert found.quantize(x).codes.tobytes() == direct.codes.tobytes()


@pytest.mark.parametrize("name", ["absmax_int4", "zeropoint_int8", "int8_channel"])
@pytest.mark.parametrize("method", METHODS)
def test_order_and_merging_change_no_bit(name, method):
    several = batches(1)
    several[2][0, 0] = np.nan
    whole = fe.calibrate(several, name, method)
    assert same(whole, fe.calibrate(reversed(several), name, method))
    assert same(whole, fe.calibrate(np.concatenate(several, axis=1), name, method))
    workers = [fe.calibrate(several[start::2], name, method) for start in (0, 1)]
    merged = fe.Calibration(name, method).merge(workers[1]).merge(workers[0])
    assert same(whole, merged)
    assert same(whole, merged.merge(fe.Calibration(name, method)))
    assert merged.nan == 1


@pytest.mark.parametrize("percentile", [50, 90, 99.9, 100])
def test_percentiles(percentile):
    x = np.concatenate(batches(2, 20)).astype(np.float64)
    found = fe.calibrate(iter(batches(2, 20)), "absmax_int8", "percentile", percentile=percentile)
    exact = np.percentile(np.abs(x), percentile, method="inverted_cdf")
    low, high = found.ranges
    limit = max(-low, high)
    assert exact <= limit <= exact * (1 + 1 / 128)
    assert found.scales == np.float32(limit / 127)
    if percentile == 100:
        assert limit == np.abs(x).max()


@pytest.mark.parametrize("percentile", [50, 99, 100])
def test_percentiles_of_both_ends(percentile):
    x = np.concatenate(batches(3, 20)).astype(np.float64)
    low, high = fe.calibrate(batches(3, 20), "zeropoint_int8", "percentile", percentile=percentile).ranges
    exact = np.percentile(x, (100 + percentile) / 2, method="inverted_cdf")
    below = np.percentile(-x, (100 + percentile) / 2, method="inverted_cdf")
    assert exact <= high <= exact * (1 + 1 / 128)
    assert below <= -low <= below * (1 + 1 / 128)


def test_percentiles_are_decimals():
    # 99.9 percent of a thousand are 999.
    few = fe.calibrate(np.repeat([1.0, 1000.0], [999, 1]), "absmax_int8", "percentile", percentile=99.9)
    assert few.ranges[1] == 1 + 1 / 128


def test_one_sided_numbers_have_no_range_below_zero():
    for x in (np.array([1.0, 2.0, 3.0, 50.0]), -np.array([1.0, 2.0, 3.0, 50.0])):
        low, high = fe.calibrate(x, "zeropoint_int8", "percentile", percentile=50).ranges
        assert 0 in (low, high)
        assert low < high


def squared_error(x, low, high, bits, zero_point):
    """The mean squared error of integers, by numpy."""
    least, most = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    if not zero_point:
        scale = np.float64(np.float32(max(-low, high) / most))
        return np.mean((np.clip(np.rint(x / scale), least, most) * scale - x) ** 2)
    scale = np.float64(np.float32((high - low) / (most - least)))
    zero = np.clip(least - np.rint(low / scale), least, most)
    return np.mean(((np.clip(np.rint(x / scale) + zero, least, most) - zero) * scale - x) ** 2)


@pytest.mark.parametrize("tail", [3, 30])
@pytest.mark.parametrize("name", ["absmax_int4", "zeropoint_int4"])
def test_the_least_squared_error(name, tail):
    x = np.random.default_rng(tail).standard_t(tail, 20_000).astype(np.float32).astype(np.float64)
    zero_point = "zero" in name
    found = fe.calibrate(x.astype(np.float32), name, "mse")
    low, high = found.ranges
    error = squared_error(x, low, high, 4, zero_point)
    limits = np.geomspace(0.02, 1, 200) * np.abs(x).max()
    tried = [squared_error(x, max(x.min(), -t), min(x.max(), t), 4, zero_point) for t in limits]
    assert error <= min(tried) * 1.002
    assert error < tried[-1] * 0.9  # clipping helps
    assert np.mean((found.quantize(x).dequantize(np.float64) - x) ** 2) == pytest.approx(error, rel=1e-6)


def test_mse_of_floats_of_a_channel():
    x = batches(4)[0]
    scheme = fe.scheme("fp8_e4m3_row").replace(element="float4_e2m1fn")
    found = fe.calibrate(x, scheme, "mse")
    plain = np.square(fe.fake_quantize(x, scheme) - x).mean(axis=1)
    better = np.square(found.quantize(x).dequantize() - x).mean(axis=1)
    assert (better <= plain * 1.01).all()
    assert (better < plain * 0.9).any()


def test_what_is_not_finite_counts_for_nothing():
    for method in METHODS:
        found = fe.calibrate([1.0, np.nan, np.inf, -np.inf, -2.0], "absmax_int8", method)
        assert same_but_nan(found, fe.calibrate([1.0, -2.0], "absmax_int8", method))
        assert (found.count, found.nan, found.infinite) == (2, 1, 2)
        assert repr(found) == f"<Calibration absmax_int8 {method}: 2 numbers, 1 NaN and 2 infinite left out>"
        q = found.quantize([np.inf, -np.inf, np.nan, 1.0])  # to the ends; integers have no NaN
        assert q.elements.tolist()[:3] == [127, -128, 0]
        assert fe.calibrate([1.0, np.nan], "fp8_e4m3_tensor", method).quantize([np.nan, np.inf]).codes.tolist() == [
            *(0x7F, 0x7E),
        ]
    assert repr(fe.calibrate([1.0, np.inf], "absmax_int8")).endswith(": 1 numbers, 1 infinite left out>")
    nothing = fe.calibrate([[np.nan] * 32, [448.0] + [np.inf] * 31], "mxfp8")  # a block without a number is zeros
    assert nothing.scales.tolist() == [[1.0], [1.0]]


def same_but_nan(one, other):
    return one.scales.tobytes() == other.scales.tobytes()


@pytest.mark.parametrize("method", METHODS)
def test_zeros_and_the_smallest_numbers(method):
    found = fe.calibrate(np.array([[0.0, 0.0], [1e-45, 0.0], [1.0, 2.0]], np.float32), "int8_channel", method)
    assert found.scales[0, 0] == 1
    assert found.scales[1, 0] == np.float32(1e-45)
    assert found.quantize(np.ones((3, 2))).elements[0].tolist() == [1, 1]


def test_blocks_of_zeros_and_of_numbers_that_are_not_finite():
    x = np.zeros((3, 32))
    x[1], x[2, 7] = np.nan, 3.0
    for method in METHODS:
        assert fe.calibrate(x, "mxfp4", method).scales[:, 0].tolist() == [1, 1, 0.5]


@pytest.mark.filterwarnings("error")
def test_the_search_bears_the_largest_numbers():
    for name in ("mxfp4", "int4_group32"):
        found = fe.calibrate(np.array([[1e308, -1e308] * 16]), name, "mse")
        assert found.scales.dtype == np.float32
        assert 0 < found.scales[0, 0] < np.inf


def test_float64_beyond_float32_is_counted_at_its_end():
    found = fe.calibrate([1e300, 1.0, 1.0, 1.0], "absmax_int8", "percentile", percentile=75)
    assert found.ranges[1] == 1 + 1 / 128
    assert fe.calibrate([1e30, 1.0], "absmax_int8").ranges[1] == 1e30


def test_many_channels_are_counted_in_groups():
    x = np.random.default_rng(5).standard_normal((67, 50))
    (_, high), want = fe.calibrate(x, "int8_channel", "percentile", percentile=80).ranges, np.abs(x)
    exact = np.percentile(want, 80, axis=1, method="inverted_cdf")
    low, _ = fe.calibrate(x, "int8_channel", "percentile", percentile=80).ranges
    limit = np.maximum(-low, high)[:, 0]
    assert ((exact <= limit) & (limit <= exact * (1 + 1 / 128))).all()


def test_codes_and_arrays_are_batches_too():
    codes = np.arange(0x7F, dtype=np.uint8)
    found = fe.calibrate(codes, "absmax_int8", source="float8_e4m3fn")
    assert found.scales == np.float32(448 / 127)
    assert same(found, fe.calibrate([fe.Array.from_codes(codes, "float8_e4m3fn")], "absmax_int8"))


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"blocks of 32 do not divide an array of shape \(1,\): pad=True"):
        fe.calibrate([1.0], "mxfp4")
    with pytest.raises(ValueError, match=r"\(3, 2\) do not fit .* \(2, 2\); for blocks of 32 all batches"):
        fe.calibrate([np.ones((2, 64)), np.ones((3, 64))], "mxfp4")
    with pytest.raises(ValueError, match=r"scales of shape \(2, 1\) do not fit blocks of shape \(2, 2\)"):
        fe.calibrate(np.ones((2, 32)), "mxfp4").quantize(np.ones((2, 64)))
    with pytest.raises(ValueError, match="signed scales, which depend on the order of the numbers"):
        fe.calibrate(np.ones(32), "gguf_q4_0")
    with pytest.raises(ValueError, match="transformer-engine-4over6-mae computes the second level's scale itself"):
        fe.calibrate(np.ones(32), fe.scheme("nvfp4").replace(profile="transformer-engine-4over6"))
    asymmetric = {"scale_rule": "minmax", "zero_point": "int4", "element": "int4"}
    with pytest.raises(ValueError, match="depends on each block's range"):
        fe.calibrate(np.ones(32), fe.scheme("nvfp4").replace(**asymmetric))
    with pytest.raises(ValueError, match="nvfp4 has scales of two levels, which 'mse' cannot find"):
        fe.calibrate(np.ones(32), "nvfp4", "mse")
    with pytest.raises(ValueError, match="two levels, which 'mse' cannot find"):
        fe.calibrate([1.0], fe.scheme("nvfp4").replace(block="tensor"), "mse")
    with pytest.raises(ValueError, match="unknown method 'minmix': allowed are minmax"):
        fe.calibrate([1.0], "absmax_int8", "minmix")
    with pytest.raises(TypeError, match="method must be a str"):
        fe.calibrate([1.0], "absmax_int8", 3)
    for percentile in (0, 101, np.nan):
        with pytest.raises(ValueError, match="above 0 and at most 100"):
            fe.calibrate([1.0], "absmax_int8", "percentile", percentile=percentile)
    with pytest.raises(ValueError, match="unknown scheme"):
        fe.calibrate([1.0], "absmax_int9")
    with pytest.raises(ValueError, match="no numbers yet"):
        fe.Calibration("absmax_int8").scales  # noqa: B018
    with pytest.raises(ValueError, match="no numbers yet"):
        fe.calibrate([np.nan], "absmax_int8").quantize([1.0])
    with pytest.raises(ValueError, match=r"\(3, 1\) do not fit those of earlier batches, \(2, 1\)"):
        fe.calibrate([np.ones((2, 4)), np.ones((3, 4))], "int8_channel")
    with pytest.raises(ValueError, match="axis 3 is out of range"):
        fe.calibrate(np.ones((2, 2)), fe.scheme("int8_channel").replace(axis=3))
    with pytest.raises(ValueError, match="must match"):
        fe.Calibration("absmax_int8").merge(fe.Calibration("absmax_int4"))
    with pytest.raises(TypeError, match="other must be a Calibration"):
        fe.Calibration("absmax_int8").merge(fe.scheme("absmax_int8"))
    with pytest.raises(TypeError, match="complex"):
        fe.calibrate([1j], "absmax_int8")


# -- blocks that have their places -------------------------------------------------------------------------------------

BLOCKS = ["mxfp4", "mxint8", "nvfp4_one_level", "int4_group32", "uint4_asym_group32", "nf4_64", "fp8_e4m3_128x128",
          "fp8_e5m2_1x128_pow2", "gguf_q8_0"]  # fmt: skip


def weights(seed=11, shape=(20, 140)):
    rng = np.random.default_rng(seed)
    return (rng.standard_t(3, shape) * np.exp(2 * rng.standard_normal(shape))).astype(np.float32)


@pytest.mark.parametrize("axis", [-1, 0])
@pytest.mark.parametrize("name", BLOCKS)
def test_blocks_of_one_array_are_as_quantize_has_them(name, axis):
    scheme = fe.scheme(name)
    if isinstance(scheme.block, tuple):
        scheme, axis = scheme.replace(block=(8, 32)), -1
    x = weights()
    found = fe.calibrate(x, scheme.replace(axis=axis), pad=True)
    direct = fe.quantize(x, scheme, axis=axis, pad=True)
    np.testing.assert_array_equal(found.scales, direct.scale_values)
    q = found.quantize(x, pad=True)
    np.testing.assert_array_equal(q.codes, direct.codes)
    assert (q.zero_points is None) == (direct.zero_points is None)
    if q.zero_points is not None:
        np.testing.assert_array_equal(q.zero_points, direct.zero_points)


def test_blocks_under_a_tools_profile():
    for name, profile in (("mxfp4", "torchao"), ("nvfp4_one_level", "torchao"), ("nf4_64", "bitsandbytes")):
        scheme = fe.scheme(name).replace(profile=profile)
        direct = fe.quantize(weights(), scheme, pad=True)
        q = fe.calibrate(weights(), scheme, pad=True).quantize(weights(), pad=True)
        np.testing.assert_array_equal(q.scales, direct.scales)
        np.testing.assert_array_equal(q.codes, direct.codes)


def test_blocks_of_batches_span_all_of_them():
    several = [weights(seed, (4, 64)) for seed in range(3)]
    found = fe.calibrate(several, "int4_group32")
    largest = np.abs(np.stack(several)).reshape(3, 4, 2, 32).max(axis=(0, 3))
    np.testing.assert_array_equal(found.scales, np.float32(largest.astype(np.float64) / 7))
    tiles = fe.calibrate(several, fe.scheme("fp8_e4m3_128x128").replace(block=(2, 32)))
    largest = np.abs(np.stack(several)).reshape(3, 2, 2, 2, 32).max(axis=(0, 2, 4))
    np.testing.assert_array_equal(tiles.scales, np.float32(largest.astype(np.float64) / 448))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["mxfp4", "uint4_asym_group32"])
def test_order_and_merging_change_no_bit_of_blocks(name, method):
    several = [weights(seed, (3, 64)) for seed in range(4)]
    several[1][2, 5] = np.nan
    how = {"percentile": 90} if method == "percentile" else {}
    whole = fe.calibrate(several, name, method, **how)
    assert same(whole, fe.calibrate(reversed(several), name, method, **how))
    workers = [fe.calibrate(several[start::2], name, method, **how) for start in (0, 1)]
    assert same(whole, workers[1].merge(workers[0]))
    assert whole.scales.shape == (3, 2)


def test_percentiles_of_blocks():
    x = weights(12, (6, 256))
    found = fe.calibrate(x, "int8_group128", "percentile", percentile=75)
    exact = np.percentile(np.abs(x).reshape(6, 2, 128), 75, axis=-1, method="inverted_cdf")
    limit = np.maximum(*(np.abs(end) for end in found.ranges))
    assert ((exact <= limit) & (limit <= exact * (1 + 1 / 128))).all()
    # What pads a shorter block counts for nothing.
    short = fe.calibrate(x[:, :160], "int8_group128", "percentile", percentile=75, pad=True).ranges[1][:, 1]
    part = fe.calibrate(x[:, 128:160], fe.scheme("int8_group128").replace(block=32), "percentile", percentile=75)
    np.testing.assert_array_equal(short, part.ranges[1][:, 0])


def powers_error(x, exponent):
    """The squared error of e2m1 elements times a power of two, by ml_dtypes."""
    scaled = np.clip(x.astype(np.float64) / 2.0**exponent, -6, 6)
    return np.sum((scaled.astype(ml_dtypes.float4_e2m1fn).astype(np.float64) * 2.0**exponent - x) ** 2)


def test_the_least_squared_error_of_blocks_of_powers_of_two():
    x = np.random.default_rng(13).standard_normal((8, 128)).astype(np.float32)
    found = fe.calibrate(x, "mxfp4", "mse")
    chosen = set()
    for block, scale in zip(x.reshape(-1, 32), found.scales.reshape(-1), strict=True):
        plain = int(np.floor(np.log2(np.abs(block).max()))) - 2
        errors = [powers_error(block, plain - k) for k in range(-1, 12)]
        assert powers_error(block, int(np.log2(scale))) == min(errors)
        chosen.add(plain - int(np.log2(scale)))
    assert chosen >= {-1, 0}  # twice the scale that clips, and the rule's


def int4_error(x, limit):
    """The squared errors of symmetric int4 along the last axis, by numpy."""
    scale = np.float32(limit / 7).astype(np.float64)[..., None]
    return np.sum((np.clip(np.rint(x / scale), -8, 7) * scale - x) ** 2, axis=-1)


def test_the_least_squared_error_of_groups_is_never_above_that_of_the_whole_range():
    x = weights(14, (64, 32)).astype(np.float64)
    found = fe.calibrate(x.astype(np.float32), "int4_group32", "mse")
    largest = np.abs(x).max(axis=-1)
    error = int4_error(x, np.maximum(*(np.abs(end) for end in found.ranges))[:, 0])
    assert (error <= int4_error(x, largest) * (1 + 1e-12)).all()  # a bin has one number here
    tried = np.min([int4_error(x, largest * t) for t in np.geomspace(0.02, 1, 150)], axis=0)
    assert (error <= tried * 1.08).all()
    assert np.sum(error) <= np.sum(tried)
    assert np.sum(error) < 0.95 * np.sum(int4_error(x, largest))
    made = found.quantize(x.astype(np.float32)).dequantize(np.float64)
    np.testing.assert_allclose(np.sum((made - x) ** 2, axis=-1), error, rtol=1e-6)


@pytest.mark.parametrize("name", ["absmax_int8", "zeropoint_uint8", "fp8_e4m3_row", "mxfp8", "mxint8", "nf4_64"])
def test_the_least_squared_error_is_not_above_that_of_the_whole_range(name):
    x = np.random.default_rng(16).uniform(-1, 1, (16, 256)).astype(np.float32)  # where clipping hardly helps
    plain, least = (fe.calibrate(x, name, method).quantize(x).dequantize(np.float64) for method in ("minmax", "mse"))
    assert np.sum((least - x) ** 2) <= np.sum((plain - x) ** 2)


def test_a_bin_counts_as_the_mean_of_its_numbers():
    # 127 of them lie at one end of a bin, on a level of the scale 1: its middle would be off by half of a level.
    x = np.repeat(np.float32([127, 100]), [1, 127])
    found = fe.calibrate(x, "absmax_int8", "mse")
    assert np.abs(found.quantize(x).dequantize(np.float64) - x).max() == 0


def test_scales_that_are_quantized_themselves():
    x = weights(15, (16, 128))
    for method in METHODS:
        how = {"percentile": 95} if method == "percentile" else {}
        plain = fe.calibrate(x, "nf4_64", method, **how)
        found = fe.calibrate(x, "bnb_nf4", method, **how)
        np.testing.assert_array_equal(found.scales, plain.scales)
        q, same_codes = found.quantize(x), plain.quantize(x)
        np.testing.assert_array_equal(q.codes, same_codes.codes)
        assert q.scales.dtype == np.uint8
    direct = fe.quantize(x, "bnb_nf4")
    q = fe.calibrate(x, "bnb_nf4").quantize(x)
    np.testing.assert_array_equal(q.scales, direct.scales)
    assert q.second_scale.offset == direct.second_scale.offset


# -- the second level's scale -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nvfp4", "nvfp4_tile"])
def test_the_second_level_of_batches_of_any_shape(name):
    several = [weights(16, (16, 32)), weights(17, (32, 48)), weights(18, (48, 16))]
    found = fe.calibrate(several, name)
    largest = max(np.abs(x).max() for x in several)
    assert found.second_scale == np.float32(np.float64(largest) / (6 * 448))
    assert (found.scales, found.zero_points) == (None, None)
    for x in several:
        q, known = found.quantize(x), fe.quantize(x, name, second_scale=found.second_scale)
        np.testing.assert_array_equal(q.codes, known.codes)
        np.testing.assert_array_equal(q.scales, known.scales)
    assert found.quantize(several[0][:, :20], pad=True).shape == (16, 20)
    merged = fe.calibrate(several[:1], name).merge(fe.calibrate(several[1:], name))
    assert same_second(merged, found)


def same_second(one, other):
    return (one.second_scale, one.count) == (other.second_scale, other.count)


@pytest.mark.parametrize("profile", ["torchao", "transformer-engine"])
def test_the_second_level_under_a_profile(profile):
    scheme = fe.scheme("nvfp4").replace(profile=profile)
    x = weights(19, (8, 64))
    direct, q = fe.quantize(x, scheme), fe.calibrate([x[:3], x[3:]], scheme).quantize(x)
    assert q.second_scale == direct.second_scale
    np.testing.assert_array_equal(q.codes, direct.codes)
    np.testing.assert_array_equal(q.scales, direct.scales)


def test_the_second_level_of_a_percentile():
    x = weights(20, (64, 64))
    found = fe.calibrate(x, "nvfp4", "percentile", percentile=99)
    exact = np.percentile(np.abs(x), 99, method="inverted_cdf") / (6 * 448)
    assert exact * (1 - 1e-6) <= found.second_scale <= exact * (1 + 1 / 128)


@float_environment.needed
def test_subnormal_scales_where_the_fpu_flushes():
    x = np.full((2, 32), 1.5 * 2.0**-119, np.float32)
    for name in ("mxfp8_e4m3", "int8_group32"):
        want = fe.calibrate(x, name).scales
        with float_environment.changed("both"):
            got = fe.calibrate(x, name).scales
        assert got.tobytes() == want.tobytes()
        assert want.tobytes() == fe.quantize(x, name).scale_values.tobytes()


class Loader:
    """What goes through batches anew each time, as torch's DataLoader does: no iterator, no sequence, no array."""

    def __init__(self, parts):
        self.parts = parts

    def __iter__(self):
        return iter(self.parts)


def test_whatever_gives_batches():
    parts = batches(4, 3)
    expected = fe.calibrate(parts, "absmax_int8").scales
    for given in (Loader(parts), dict(enumerate(parts)).values(), iter(parts), tuple(parts), map(np.copy, parts)):
        found = fe.calibrate(given, "absmax_int8")
        assert found.scales == expected
        assert found.count == sum(part.size for part in parts)
    for whole in (np.concatenate([part.ravel() for part in parts]), fe.array(parts[0], "float32"), range(3), "1.5"):
        assert fe.calibrate(whole, "absmax_int8").count == np.size(np.asarray(whole))
    for wrong in ({1.0, 2.0}, {"a": parts[0]}, b"12"):
        with pytest.raises(TypeError, match="has no exact value"):
            fe.calibrate(wrong, "absmax_int8")


def test_arguments_of_calibrations_are_obeyed_or_refused():
    x = batches(5, 1)[0]
    for method in ("minmax", "mse"):
        for call in (lambda method=method: fe.calibrate(x, "absmax_int8", method, percentile=50),
                     lambda method=method: fe.Calibration("absmax_int8", method, percentile=99.9)):  # fmt: skip
            with pytest.raises(ValueError, match=f"is for the method 'percentile', not for '{method}'"):
                call()
    assert fe.calibrate(x, "absmax_int8", "percentile").percentile == 99.9
    found = fe.calibrate(x, "int8_channel")
    for word, value in (("scales", 1.0), ("zero_points", 0), ("second_scale", 1.0), ("axis", 1), ("block", 4),
                        ("scale_rule", "ceil")):  # fmt: skip
        with pytest.raises(TypeError, match=f"the calibration determines {word}:"):
            found.quantize(x, **{word: value})
    assert found.quantize(x, rounding="toward_zero").codes.shape == x.shape


@pytest.mark.parametrize("number", [2**53 + 1, 2**60 - 1, 2**63 - 1, -(2**62) - 1, 2**64 - 1])
@pytest.mark.parametrize("name", ["mxfp4", "absmax_int8", "fp8_e4m3_tensor_pow2"])
def test_numbers_that_float64_lacks(number, name):
    """What quantize makes of them: rounded to float64, 2^60 - 1 would get the scale of 2^60."""
    x = [number] * 32
    assert np.array_equal(np.ravel(fe.calibrate(x, name).scales), np.ravel(fe.quantize(x, name).scale_values))


def test_fake_quantize_has_no_result_of_its_own():
    x = batches(6, 1)[0]
    for word, value in (("dtype", "float64"), ("out", np.zeros_like(x))):
        with pytest.raises(TypeError, match=rf"use fpemu\.quantize\(x, scheme\)\.dequantize\({word}=\.\.\.\)"):
            fe.fake_quantize(x, "absmax_int8", **{word: value})
        assert fe.quantize(x, "absmax_int8").dequantize(**{word: value}).shape == x.shape
    for wrong in ("bfloat16", "fp8", np.longdouble, object):
        with pytest.raises(TypeError, match=r"dequantized to (numpy's )?float32 or float64"):
            fe.quantize(x, "absmax_int8").dequantize(wrong)

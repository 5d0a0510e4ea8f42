"""Stochastic rounding under tools' profiles where blocks do not lie in one piece: by each element's place in x."""

import numpy as np
import pytest

import fpemu as fe


def bits_for(x, seed=8):
    return np.random.default_rng(seed).integers(0, 1 << 32, x.shape, dtype=np.uint32)


def spread_numbers(shape, seed=9):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) * np.exp(2 * rng.standard_normal(shape))).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "profile", "shape"),
    [
        ("mxfp4", "torchao", (64, 9)),
        ("mxfp8_e5m2", "torchao", (45, 3)),
        ("nvfp4", "torchao", (48, 5)),
        ("nvfp4", "transformer-engine", (32, 7)),
        ("nvfp4", "transformer-engine-4over6", (32, 9)),
        ("int8_group32", "torchao", (64, 4)),
        ("uint8_asym_group32", "onnx", (40, 4)),
        ("uint8_asym_row", "torch", (50, 4)),
    ],
)
def test_stochastic_rounding_under_a_profile_goes_by_place_in_c_order(name, profile, shape):
    x = spread_numbers(shape)
    bits = bits_for(x)
    how = {"profile": profile, "rounding": "stochastic", "pad": True}
    across = fe.quantize(x, name, axis=0, random_bits=bits, **how)
    along = fe.quantize(np.ascontiguousarray(x.T), name, axis=-1, random_bits=bits.T, **how)
    np.testing.assert_array_equal(across.codes, along.codes.T)
    np.testing.assert_array_equal(across.scales, along.scales.T)
    nearest = fe.quantize(x, name, axis=0, profile=profile, pad=True)
    assert (across.codes != nearest.codes).mean() > 0.05


@pytest.mark.parametrize("name", ["transformer-engine", "transformer-engine-4over6-mse"])
def test_tiles_round_stochastically_as_their_elements_in_a_row(name):
    x = spread_numbers((32, 48))
    x[16:, 16:32] = 6.0  # whose errors are 0 with either scale: the sums' order does not matter
    bits = bits_for(x)

    def in_rows(of_elements):
        return of_elements.reshape(2, 16, 3, 16).transpose(0, 2, 1, 3).reshape(6, 256)

    how = {"profile": name, "rounding": "stochastic"}
    tiles = fe.quantize(x, "nvfp4_tile", random_bits=bits, **how)
    rows = fe.quantize(in_rows(x), "nvfp4", block=256, random_bits=in_rows(bits), **how)
    np.testing.assert_array_equal(in_rows(tiles.codes), rows.codes)
    np.testing.assert_array_equal(tiles.scales.reshape(-1), rows.scales.reshape(-1))
    assert tiles.second_scale == rows.second_scale


def test_a_seed_means_the_same_numbers_under_a_profile_and_without():
    # With scales that are powers of two torchao's products are exact, so the exact scheme's codes are its own.
    x = spread_numbers((64, 64))
    how = {"axis": 0, "rounding": "stochastic", "rng": 5}
    exact = fe.quantize(x, "mxfp8", **how, rng_offset=77)
    steps = fe.quantize(x, "mxfp8", **how, rng_offset=77, profile="torchao")
    np.testing.assert_array_equal(exact.codes, steps.codes)
    assert (steps.codes != fe.quantize(x, "mxfp8", **how, profile="torchao").codes).any()


def test_the_larger_scale_is_tried_with_each_elements_own_random_bits():
    y = spread_numbers(1 << 18)  # as long as a piece
    one, other = bits_for(y, 1), bits_for(y, 2)
    how = {"profile": "transformer-engine-4over6", "rounding": "stochastic"}
    first = fe.quantize(np.concatenate([y, y]), "nvfp4", random_bits=np.concatenate([one, other]), **how)
    second = fe.quantize(np.concatenate([y, y]), "nvfp4", random_bits=np.concatenate([other, one]), **how)
    np.testing.assert_array_equal(first.codes[: y.size], second.codes[y.size :])
    np.testing.assert_array_equal(first.codes[y.size :], second.codes[: y.size])

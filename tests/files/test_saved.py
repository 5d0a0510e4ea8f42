"""Files of former versions load: `fe.save` wrote tests/cases/saved at commit a923413 (version 0.1.0)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import fpemu as fe

FOLDER = Path(__file__).parents[1] / "cases/saved"
KINDS = (".npz", ".safetensors")
FACTS = json.loads((FOLDER / "version1.json").read_text())  # what was saved, in numbers, written at the same commit


def check_bits(found, expected):
    """An array's dtype, shape and bits."""
    found = np.asarray(found)
    assert found.dtype.name == expected["dtype"]
    assert list(found.shape) == expected["shape"]
    bits = np.ascontiguousarray(found).reshape(-1).view(f"u{found.itemsize}")
    assert bits.tolist() == expected["bits"]


def check_number(found, expected):
    np.testing.assert_equal(found, None if expected is None else float.fromhex(expected))


def check_quantized(found, expected):
    assert isinstance(found, fe.Quantized)
    assert found.scheme.name == expected["scheme"]
    assert found.scheme.profile.name == expected["profile"]
    assert list(found.layout.block_shape) == expected["steps"]
    check_bits(found.codes, expected["codes"])
    check_bits(found.scales, expected["scales"])
    assert (found.zero_points is None) == (expected["zero_points"] is None)
    if found.zero_points is not None:
        check_bits(found.zero_points, expected["zero_points"])
    if isinstance(expected["second_scale"], dict):
        check_quantized(found.second_scale, expected["second_scale"])
    else:
        check_number(found.second_scale, expected["second_scale"])
    check_number(found.offset, expected["offset"])
    check_bits(found.dequantize(), expected["values"])


def check(found, expected):
    if expected["kind"] == "Quantized":
        check_quantized(found, expected)
    elif expected["kind"] == "Array":
        assert isinstance(found, fe.Array)
        assert (found.format.name, found.profile.name) == (expected["format"], expected["profile"])
        check_bits(found.codes, expected["codes"])
        check_bits(found.values, expected["values"])
    else:
        check_bits(found, expected["values"])


@pytest.mark.parametrize("kind", KINDS)
def test_version_1_loads(kind):
    found = fe.load(FOLDER / f"version1{kind}")
    assert list(found) == list(FACTS)
    for name, expected in FACTS.items():
        check(found[name], expected)


@pytest.mark.parametrize("kind", KINDS)
def test_version_1_saved_again(kind, tmp_path):
    """What was loaded from an old file goes into a new one, and comes back."""
    fe.save(tmp_path / f"x{kind}", **fe.load(FOLDER / f"version1{kind}"))
    found = fe.load(tmp_path / f"x{kind}")
    for name, expected in FACTS.items():
        check(found[name], expected)


def test_the_facts_are_of_all_kinds():
    kinds = {facts["kind"] for facts in FACTS.values()}
    assert kinds == {"Array", "Quantized", "numpy"}
    quantized = [facts for facts in FACTS.values() if facts["kind"] == "Quantized"]
    assert any(facts["zero_points"] for facts in quantized)
    assert any(isinstance(facts["second_scale"], str) for facts in quantized)
    assert any(isinstance(facts["second_scale"], dict) for facts in quantized)

"""The part of test_units.py in the simulator, under cocotb: a unit compared with fpemu, one input at a time."""

from __future__ import annotations

import os
from collections import deque

import cocotb
import numpy as np
from cocotb.triggers import Timer

from fpemu.verification import vectors
from tests.rtl.units import UNITS

TRIED = 1000


def operands():
    """Some of a file's vectors: hard and random ones."""
    batches = list(vectors.read(os.environ["VECTORS"]))
    columns = [np.concatenate(parts) for parts in zip(*(batch.operands for batch in batches), strict=True)]
    chosen = np.random.default_rng(1).choice(columns[0].size, TRIED, replace=False)
    return list(zip(*(column[chosen].tolist() for column in columns), strict=True))


def answer(claim, codes):
    """The result in fpemu."""
    result = claim.answer(*(np.array([code], fmt.code_dtype) for code, fmt in zip(codes, claim.operands, strict=True)))
    return int(result[0])


@cocotb.test()
async def agrees_with_fpemu(dut):
    unit = UNITS[dut._name]
    latency = unit.latency or 0
    ports = [dut[name] for name in "xyz"[: unit.claim.arity]]
    tried = operands()
    on_the_way = deque()  # through the pipeline
    for codes in [*tried, *tried[:latency]]:
        for port, code in zip(ports, codes, strict=True):
            port.value = code
        on_the_way.append(codes)
        await Timer(1, "ns")
        if len(on_the_way) > latency:
            asked = on_the_way.popleft()
            found, right = dut.result.value.to_unsigned(), answer(unit.claim, asked)
            given = " ".join(f"{code:x}" for code in asked)
            assert found == right, f"{given}: fpemu says {right:x}, {dut._name} {found:x}"
        if latency:
            dut.clk.value = 1
            await Timer(1, "ns")
            dut.clk.value = 0
    assert len(on_the_way) == latency

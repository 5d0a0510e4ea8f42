"""The units in Verilog: each unit's claim, its files, its latency, and the audit's explanation of its bug."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

from fpemu.verification.claims import Claim

HERE = Path(__file__).parent


class Unit(NamedTuple):
    claim: Claim
    files: tuple[str, ...]
    latency: int | None
    flags: bool
    cause: str

    @property
    def sources(self):
        return [HERE / name for name in self.files]


SHARED = ("float_parts.v", "float_round.v")
UNITS = {
    "e4m3_multiply": Unit(
        Claim.of("multiply", "float8_e4m3fn"), ("e4m3_multiply.v", *SHARED), None, True, "rounding=nearest_away"
    ),
    "bf16_fma": Unit(Claim.of("fma", "bfloat16"), ("bf16_fma.v", *SHARED), 3, True, "subnormals_out=flush_after"),
    "f32_to_e5m2": Unit(Claim.of("cast", "float8_e5m2"), ("f32_to_e5m2.v",), None, False, "through=float16"),
}


class Simulation(NamedTuple):
    status: int
    out: str


def compiled(folder, sources, *words):
    """Compile a simulation; every warning is a failure."""
    target = folder / f"{'_'.join(['simulation', *words]).replace('-', '')}.vvp"
    line = ["iverilog", "-Wall", "-g2001", *words, "-o", str(target), *map(str, sources)]
    done = subprocess.run(line, check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    return target


def simulated(path, *plusargs):
    """Run a simulation in its file's folder."""
    line = ["vvp", path.name, *plusargs]
    done = subprocess.run(line, check=False, cwd=path.parent, capture_output=True, text=True, timeout=120)
    return Simulation(done.returncode, done.stdout + done.stderr)

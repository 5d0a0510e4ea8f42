"""The table of benchmarks: `python -m tests.benchmarks [--only WORD ...] [--size N] [--seconds S]`."""

import argparse
import os
import platform
import sys

import numpy as np

import fpemu as fe
from tests.benchmarks import arrays, audits, libraries, operations, processes, scaling
from tests.peers.tools import PEERS

ROWS = {
    "values": arrays.values_from_float32,
    "cache": arrays.values_in_cache,
    "codes": arrays.codes_from_float32,
    "decode": arrays.float32_from_codes,
    "float64": arrays.values_from_float64,
    "roundings": arrays.other_roundings,
    "threads": arrays.two_threads,
    "operations": operations.sums_and_products,
    "functions": operations.functions,
    "sum": operations.sequential_sum,
    "operator": operations.one_operation,
    "scaled": scaling.scaled,
    "libraries": libraries.libraries,
    "audit": audits.audits,
    "memory": processes.memory,
    "one": arrays.one_element,
    "import": processes.imports,
    "first": processes.first_cast,
}


def machine():
    """The machine and the versions of the measurement."""
    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            name = next(line.partition(":")[2].strip() for line in info if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    peers = [f"{p} {PEERS[p].version()}" for p in ("torch", "ml_dtypes", "numpy") if PEERS[p].available()]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{name}, {cores} CPUs{load}; Python {platform.python_version()}, fpemu {fe.__version__}, {', '.join(peers)}"


def main():
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS), help="rows; default: all")
    parser.add_argument("--size", type=int, default=16 << 20, help="elements of a large array (default 16 Mi)")
    parser.add_argument("--seconds", type=float, default=1.5, help="for each comparison (default 1.5)")
    words = parser.parse_args()
    setup = arrays.Setup(words.size, words.seconds)
    fe.set_num_threads(1)
    if PEERS["torch"].available():
        import torch

        torch.set_num_threads(1)
    np.seterr(all="ignore")
    print(machine())
    misses = []
    for name in words.only:
        row = ROWS[name]
        print(f"\n{name}: {row.__doc__.strip()}", flush=True)
        for line in row(setup):
            print(line, flush=True)
            if line.missed:
                misses.append(f"{name}:{line}")
    print(f"\n{len(misses)} missed" + "".join(f"\n{line}" for line in misses))


if __name__ == "__main__":
    sys.exit(main())

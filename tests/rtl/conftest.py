"""Icarus Verilog, if it is installed; FPEMU_RTL=required makes its absence a failure."""

from __future__ import annotations

import functools
import shutil

import pytest

from tests.cases import requirements

collect_ignore = ["in_the_loop.py"]  # cocotb's own: the simulator loads it


missing = functools.partial(requirements.missing, "FPEMU_RTL")


@pytest.fixture(scope="session")
def icarus():
    if shutil.which("iverilog") is None or shutil.which("vvp") is None:
        missing("Icarus Verilog (iverilog, vvp) is not on the PATH")


@pytest.fixture(scope="session")
def cocotb_runner(icarus):
    try:
        from cocotb_tools.runner import get_runner
        from find_libpython import find_libpython
    except ImportError as error:
        missing(f"cocotb is not installed ({error})")
    if find_libpython() is None:
        missing("this Python has no shared libpython, which cocotb needs")
    return get_runner("icarus")

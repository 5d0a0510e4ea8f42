"""docs/guides/rtl.md: its unit is the tested one, and its commands have the output on the page."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sysconfig

from tests.docs.test_docs import BLOCK, ROOT
from tests.rtl.units import HERE

PAGE = (ROOT / "docs/guides/rtl.md").read_text(encoding="utf-8")
BLOCKS = BLOCK.findall(PAGE)
MARK = "-- next --"


def test_the_unit_is_the_tested_one():
    (shown,) = [text for kind, text in BLOCKS if kind == "verilog"]
    assert shown == (HERE / "f32_to_e5m2.v").read_text(encoding="utf-8")


def said(block, folder, env):
    """The commands of a block, run in one shell; each with its output on the page and its real output."""
    commands = [command.partition("\n")[::2] for command in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    script = "".join(f"{line}\nstatus=$?; echo; echo '{MARK}'; (exit $status)\n" for line, _ in commands)
    done = subprocess.run(
        ["bash", "-c", f"exec 2>&1\n{script}"], check=False, cwd=folder, env=env, capture_output=True, text=True
    )
    printed = done.stdout.split(f"{MARK}\n")
    return [(line, want, got) for (line, want), got in zip(commands, printed, strict=False)]


def tidy(text):
    return "".join(f"{line.rstrip()}\n" for line in text.strip("\n").splitlines())


def test_what_its_commands_print(cocotb_runner, tmp_path):
    (tmp_path / "f32_to_e5m2.v").write_text((HERE / "f32_to_e5m2.v").read_text())
    env = {name: value for name, value in os.environ.items() if name not in ("PYTEST_CURRENT_TEST", "COLUMNS")}
    env["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), env["PATH"]])
    ran = 0
    for kind, text in BLOCKS:
        if kind == "py":
            name = text.partition("\n")[0].removeprefix("# ")
            (tmp_path / name).write_text(text)
        elif kind == "text":
            for line, want, got in said(text, tmp_path, env):
                same = doctest.OutputChecker().check_output(tidy(want), tidy(got), doctest.ELLIPSIS)
                assert same, f"$ {line}\n{got}"
                ran += 1
    assert ran == 10

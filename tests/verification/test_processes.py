"""Programs under audit: processes that they start neither delay the audit nor outlive it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from fpemu.verification.audits.processes import run_program

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sessions of POSIX")
LINUX = sys.platform == "linux"

# A program that starts another one in a session of its own, which writes its number to a file and sleeps.
LEAVES = """
    import os, subprocess, sys, time
    sleeper = "import os, sys, time; part, file = sys.argv[1:]; open(part, 'w').write(str(os.getpid()))"
    sleeper += "; os.rename(part, file); time.sleep(600)"
    file = {file!r}
    subprocess.Popen([sys.executable, "-c", sleeper, file + ".part", file], start_new_session=True, {how})
    while not os.path.exists(file):
        time.sleep(0.01)
    {then}
"""


def leaves(file, how="", then=""):
    script = textwrap.dedent(LEAVES).format(file=str(file), how=how, then=textwrap.dedent(then))
    return [sys.executable, "-c", script]


def alive(file):
    """Whether the process with the number in a file still runs after a moment."""
    number = int(file.read_text())
    for _ in range(500):
        try:
            os.kill(number, 0)
            with open(f"/proc/{number}/stat") as stat:
                if stat.read().rpartition(")")[2].split()[0] == "Z":
                    return False
        except (ProcessLookupError, FileNotFoundError):
            return False
        time.sleep(0.01)
    os.kill(number, signal.SIGKILL)
    return True


@pytest.mark.parametrize("then", ["print('00', flush=True)", "time.sleep(600)", "os._exit(3)"])
def test_a_descendant_in_its_own_session_that_holds_the_output(then, tmp_path):
    """The audit ends at the timeout, with the output so far; the descendant ends too if the system can identify it."""
    file = tmp_path / "number"
    found = run_program(leaves(file, then=then), b"", 1000, 3)
    assert found.problem == "did not answer within 3 s"
    assert found.output == (b"00\n" if "print" in then else b"")
    assert not alive(file) or not LINUX


def test_a_descendant_that_was_left_behind(tmp_path):
    """The program answers and ends; its descendants end with it."""
    file = tmp_path / "number"
    found = run_program(leaves(file, "stdout=subprocess.DEVNULL", "print('00')"), b"", 1000, 60)
    assert found == (b"00\n", None)
    assert not alive(file) or not LINUX


def test_a_descendant_that_cannot_be_told(tmp_path):
    """A descendant with another environment survives; the audit ends at the timeout all the same."""
    file = tmp_path / "number"
    found = run_program(leaves(file, "env={}", "print('00', flush=True)"), b"", 1000, 3)
    assert found == (b"00\n", "did not answer within 3 s")
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(file.read_text()), signal.SIGKILL)


def test_other_processes_of_the_caller_live_on():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        assert run_program([sys.executable, "-c", "import time; time.sleep(600)"], b"", 100, 0.5).problem
        assert other.poll() is None
        other.communicate(b"\n")
    assert other.returncode == 0


def test_output_and_status():
    echo = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"
    given = bytes(range(256)) * 10_000
    assert run_program([sys.executable, "-c", echo], given, len(given), 60) == (given, None)
    assert run_program([sys.executable, "-c", echo], given, len(given) - 1, 60) == (
        given[:-1],
        f"printed more than {len(given) - 1} bytes",
    )
    closed = "import os, time; os.close(1); time.sleep(600)"  # no output any more, and no end
    assert run_program([sys.executable, "-c", closed], b"", 100, 1) == (b"", "did not answer within 1 s")
    assert run_program([sys.executable, "-c", "import os; os.close(1); os._exit(0)"], b"", 100, 60) == (b"", None)

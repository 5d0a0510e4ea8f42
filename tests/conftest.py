"""What every run of the tests says at its end."""

from __future__ import annotations

from tests import proof


def pytest_terminal_summary(terminalreporter):
    """Whether docs/proof.md is of today's kernels: a warning, no failure."""
    for line in proof.stale():
        terminalreporter.write_line(f"warning: {line}", yellow=True)

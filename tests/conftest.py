"""What every run of the tests says at its end."""

from __future__ import annotations

import pytest

import fpemu.quantization.definition.registry  # noqa: F401 - registers the schemes that ship, before the registry is copied
from fpemu.casting import casts
from fpemu.formats import registry
from tests.proofs import proof

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True, scope="module")
def module_registry():
    """Formats and schemes that a file's tests register are gone after it, and so are the plans that were kept."""
    with pytest.MonkeyPatch.context() as patch:
        for table in ("_NAMES", "_ENTRIES", "_SCHEMES", "_CACHE"):
            patch.setattr(registry, table, dict(getattr(registry, table)))
        yield
    for kept in (casts._plan_of_cast, casts._plan_of_encode, casts._plan_of_decode):
        kept.cache_clear()


def pytest_terminal_summary(terminalreporter):
    """Whether docs/explanation/proof.md is of today's kernels: a warning, no failure."""
    for line in proof.stale():
        terminalreporter.write_line(f"warning: {line}", yellow=True)

"""docs/reference/elementary.md: its margins are up to date, and correctly measured."""

import pytest

from tests.proofs import margins

PAGE = margins.PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("format_name", ["float8_e4m3fn", "float8_e5m2"])
def test_page(format_name):
    """The lines of the narrow formats; the others take longer: python -m tests.proofs.margins."""
    rows = [line for line in PAGE.splitlines() if line.startswith(f"| {format_name} |")]
    assert rows == list(margins.lines(format_name))


def test_page_is_complete():
    for format_name in margins.FORMATS:
        for name in margins.FUNCTIONS:
            assert PAGE.count(f"| {format_name} | `{name}` |") == 1


def test_reciprocals():
    """Of float6_e3m2fn by hand: 1/14 is 8/7 of the smallest value, 1/28 is 4/7 of it; powers of 2 are exact."""
    found = margins.margins("reciprocal", "float6_e3m2fn")
    assert 2.0**-found.value.bits == pytest.approx(1 / 7)
    assert 2.0**-found.midpoint.bits == pytest.approx(1 / 14)
    assert (found.exact, found.ties) == (18, 0)

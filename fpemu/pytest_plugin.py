"""The pytest plugin: fixtures, options and reports for tests of number formats.

pytest loads it in every run of every project in the environment; it imports numpy, numba and the rest of fpemu only
when a test uses it.

Options: ``--fpemu-cases N`` and ``--fpemu-seed S``; in the configuration file ``fpemu_cases``, ``fpemu_seed`` and
``fpemu_formats``.  Markers: ``fpemu_formats("float8*", "bfloat16")`` and ``fpemu_cases(10)``.  Fixtures:
`fpemu_format`, `fpemu_rng`, `fpemu_cases`, `fpemu_seed`.  A failed assertion of `fpemu.testing` adds its table to the
test's report and a line to a summary at the end, also under pytest-xdist.
"""

from __future__ import annotations

import fnmatch
import secrets
import zlib
from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import numpy as np

    from fpemu.formats import Format
    from fpemu.verification.failures import Failure

_CASES = 1000
_SECTION = "fpemu: elements that differ"
_MARKERS = (
    "fpemu_formats(*names): run the test for these formats, as the fixture fpemu_format: names, aliases, "
    "patterns such as 'float8*'",
    "fpemu_cases(n): the value of the fixture fpemu_cases in this test, unless --fpemu-cases is given",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the command-line options, and their counterparts in the configuration file."""
    group = parser.getgroup("fpemu", "number formats (fpemu)")
    group.addoption(
        "--fpemu-cases", type=_case_count, metavar="N", help="number of cases, the value of the fixture fpemu_cases"
    )
    group.addoption(
        "--fpemu-seed", type=_seed_option, metavar="S", help="the seed of the fixture fpemu_rng: a number, or 'random'"
    )
    parser.addini("fpemu_cases", f"as --fpemu-cases; default {_CASES}", default=str(_CASES))
    parser.addini("fpemu_seed", "as --fpemu-seed; default 0", default="0")
    parser.addini("fpemu_formats", "formats of tests that have no marker fpemu_formats", type="args", default=[])


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, check the configuration file, and set one seed for all processes of the run."""
    for line in _MARKERS:
        config.addinivalue_line("markers", line)
    for name, read in (("fpemu_seed", _seed_option), ("fpemu_cases", _case_count)):
        try:
            read(config.getini(name))
        except ValueError as error:
            raise pytest.UsageError(f"{name} in the configuration file: {error}") from None
    if config.option.fpemu_seed is None:
        config.option.fpemu_seed = _seed_option(config.getini("fpemu_seed"))  # xdist passes it to its workers


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Report a seed other than 0."""
    return [f"fpemu: --fpemu-seed {config.option.fpemu_seed}"] if config.option.fpemu_seed else []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test for each format in the test's marker or, without one, in the configuration file."""
    if "fpemu_format" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("fpemu_formats")
    names = marker.args if marker else metafunc.config.getini("fpemu_formats")
    if not names:
        raise pytest.UsageError(
            f"{metafunc.definition.nodeid} uses fpemu_format: specify its formats by "
            "@pytest.mark.fpemu_formats('float8*', 'bfloat16'), or by fpemu_formats in the configuration file"
        )
    try:
        formats = _formats(names)
    except (TypeError, ValueError) as error:
        raise pytest.UsageError(f"{metafunc.definition.nodeid}: fpemu_formats: {error}") from None
    metafunc.parametrize("fpemu_format", formats, ids=[fmt.name for fmt in formats])


@pytest.fixture(scope="session")
def fpemu_seed(request: pytest.FixtureRequest) -> int:
    """The seed of this run: --fpemu-seed, else fpemu_seed in the configuration file, else 0."""
    seed: int = request.config.option.fpemu_seed
    return seed


@pytest.fixture
def fpemu_rng(request: pytest.FixtureRequest, fpemu_seed: int) -> np.random.Generator:
    """A numpy Generator that depends on the seed and the test alone, not on earlier tests or the process."""
    import numpy as np

    return np.random.default_rng([fpemu_seed, zlib.crc32(request.node.nodeid.encode())])


@pytest.fixture
def fpemu_cases(request: pytest.FixtureRequest) -> int:
    """The number of cases: --fpemu-cases, else the marker fpemu_cases, else the configuration file, else 1000."""
    option: int | None = request.config.option.fpemu_cases
    if option is not None:
        return option
    marker = request.node.get_closest_marker("fpemu_cases")
    return _case_count(marker.args[0] if marker and marker.args else request.config.getini("fpemu_cases"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the table of a failed assertion of fpemu.testing to the test's report."""
    report = yield
    if call.excinfo is not None:
        failures = list(_failures(call.excinfo.value))
        for failure in failures:
            report.sections.append((_SECTION, failure.listing))
        # plain lists, which xdist can send
        report.__dict__["fpemu_failures"] = [[failure.summary, failure.cause or ""] for failure in failures]
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Summarise each failed assertion of fpemu.testing: the number of differences, and the likely cause."""
    failures = [
        (report.nodeid, summary, cause)
        for outcome in ("failed", "error")
        for report in terminalreporter.stats.get(outcome, ())
        for summary, cause in getattr(report, "fpemu_failures", ())
    ]
    if failures:
        terminalreporter.section("fpemu")
        for nodeid, summary, cause in failures:
            terminalreporter.write_line(nodeid)
            terminalreporter.write_line(f"  {summary}")
            if cause:
                terminalreporter.write_line(f"  likely cause: {cause}")


def _failures(error: BaseException) -> Iterator[Failure]:
    """The failures in an exception's attributes; hypothesis raises several exceptions in a group."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _failures(each)
    elif hasattr(error, "fpemu_failure"):
        yield error.fpemu_failure


def _formats(names: Iterable[Any]) -> list[Format]:
    """The formats that names, aliases and patterns select, each once."""
    from fpemu.formats import dtype, dtypes

    selected: dict[str, Format] = {}
    for name in names:
        if isinstance(name, str) and set(name) & set("*?["):
            matches = [fmt for fmt in dtypes() if fnmatch.fnmatchcase(fmt.name, name)]
            if not matches:
                raise ValueError(f"no registered format matches {name!r}")
        else:
            matches = [dtype(name)]
        selected.update((fmt.name, fmt) for fmt in matches)
    return list(selected.values())


def _case_count(word: Any) -> int:
    count = int(word)
    if count < 1:
        raise ValueError(f"the number of cases must be 1 or more, not {count}")
    return count


def _seed_option(word: str) -> int:
    seed = secrets.randbits(32) if word == "random" else int(word)
    if seed < 0:
        raise ValueError(f"the seed must be 0 or more, or 'random', not {seed}")
    return seed

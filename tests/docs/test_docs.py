"""README and docs: what they print is what comes out, where they point is something, what they list is complete."""

import contextlib
import doctest
import importlib
import io
import re
import shlex
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import fpemu as fe
from fpemu import cores, strategies, testing
from tests.structure.test_rooms import PACKAGE, ROOMS

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
MADE = {DOCS / "_build", DOCS / "reference/api"}  # by the build
PAGES = [README, *(path for path in sorted(DOCS.rglob("*.md")) if MADE.isdisjoint(path.parents))]
NAMES = [path.relative_to(ROOT).as_posix() for path in PAGES]

BLOCK = re.compile(r"^```(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
SAME = doctest.OutputChecker()

DEMO = "python3 -m venv .venv && .venv/bin/python -m pip install '.[all]' && .venv/bin/fpemu demo"
TESTS = "python3 -m venv .venv && .venv/bin/python -m pip install -e '.[all,test]' && .venv/bin/python -m pytest"


@pytest.fixture(autouse=True)
def reproducible_examples():
    """Examples of hypothesis that depend on nothing but the page."""
    before = settings.default
    settings.register_profile("pages", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("pages")
    yield
    settings.register_profile("before", before)
    settings.load_profile("before")


def run_session(text, where, names):
    """A ```pycon block: each >>> and what it prints."""
    test = doctest.DocTestParser().get_doctest(text, names, str(where), None, 0)
    assert test.examples, f"{where}: a pycon block without >>>"
    report = io.StringIO()
    failed, _ = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=report.write, clear_globs=False)
    names.update(test.globs)
    assert not failed, report.getvalue()


def run_file(text, where, names):
    """A ```python block: a file's text; what it defines as tests is called."""
    own = dict(names, __name__="docs")
    exec(compile(text, str(where), "exec"), own)
    names.update(own)
    for name in [name for name in own if name.startswith("test_") and name in text]:
        own[name]()


def run_console(text, where):
    """A ```console block: each `$ fpemu ...` and what it prints; what follows without output prints nothing here."""
    from fpemu.cli.app import app

    commands = re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]
    assert commands, f"{where}: a console block without $"
    for command in commands:
        line, _, want = command.partition("\n")
        program, *words = shlex.split(line, comments=True)
        assert program == "fpemu", f"{where}: only fpemu is run here: {line}"
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
            app(words, standalone_mode=False)
        got = "\n".join(row.rstrip() for row in printed.getvalue().strip("\n").splitlines()) + "\n"
        want = want.strip("\n") + "\n"
        assert SAME.check_output(want, got, doctest.ELLIPSIS), f"{where}: $ {line}\n{got}"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_what_a_page_prints(page, tmp_path, monkeypatch):
    """Every block of a page in order, in one namespace and one empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    names = {}
    for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        where = page.name
        if kind == "pycon":
            run_session(text, where, names)
        elif kind == "python":
            run_file(text, where, names)
        elif kind == "console":
            run_console(text, where)


def anchors(page):
    """The names of a page's headings, as GitHub and MyST make them."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page):
    """Links within the project: the file is there, and the heading in it."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in LINK.findall(text):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{page.name}: {link}"


def test_every_page_is_in_one_table_of_contents():
    entries = []
    for page in PAGES:
        for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")):
            if kind == "{toctree}":
                names = [line for line in text.splitlines() if line and not line.startswith(":")]
                entries += [(page.parent / f"{name}.md").resolve() for name in names]
    assert sorted(entries) == sorted(path for path in PAGES if path not in (README, DOCS / "index.md"))


def test_every_figure_has_its_page():
    """The directives `drawn` name the functions of docs/figures, each once; that they draw, the build shows."""
    named = [
        name for page in PAGES for name in re.findall(r"^```\{drawn\} (\S+)$", page.read_text("utf-8"), re.MULTILINE)
    ]
    defined = [
        f"{path.stem}.{name}"
        for path in (DOCS / "figures").glob("*.py")
        for name in re.findall(r"^def (\w+)\(", path.read_text("utf-8"), re.MULTILINE)
        if path.stem != "style"
    ]
    assert sorted(named) == sorted(defined)


def test_readme_opens_for_a_fresh_clone():
    """The two lines, exactly."""
    lines = README.read_text(encoding="utf-8").splitlines()
    assert DEMO in lines
    assert TESTS in lines


def test_api_lists_every_public_name(monkeypatch):
    """Of fpemu, fpemu.cores, fpemu.testing and fpemu.strategies; `python docs/_ext/api.py` writes the page."""
    monkeypatch.syspath_prepend(DOCS / "_ext")
    api = importlib.import_module("api")
    listed = api.objects() | api.CONSTANTS
    public = {f"{module.__name__}.{name}" for module in (fe, cores, strategies) for name in module.__all__}
    assert public <= set(listed), sorted(public - set(listed))
    assert {*testing.__all__} <= {name.rpartition(".")[2] for name in listed}
    assert (DOCS / "reference/api.md").read_text(encoding="utf-8") == api.table()


def test_profiles_tells_of_every_profile():
    """Each named profile has a row that says where it was measured or read."""
    text = (DOCS / "reference/profiles.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)
    assert sorted(rows) == sorted(fe.profile_names())


@pytest.mark.parametrize("page", ["explanation/design.md", "contributing.md"])
def test_the_drawing_has_every_room(page):
    """Rooms stand in the drawing as high as in the order of imports."""
    text = (DOCS / page).read_text(encoding="utf-8")
    drawing = re.search(r"^```\n(cli .*?)^```", text, re.MULTILINE | re.DOTALL)[1]
    words = [word for line in drawing.splitlines() for word in line[:28].split()]
    assert set(ROOMS) - {"__init__", "_public", "version"} <= set(words)
    rooms = [word for word in words if word in ROOMS and (PACKAGE / word / "__init__.py").exists()]
    assert [word for word in dict.fromkeys(rooms) if word != "vectors"] == sorted(
        {*rooms} - {"vectors"}, key=ROOMS.index, reverse=True
    )

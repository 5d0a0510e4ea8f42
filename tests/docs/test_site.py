"""The built site: links lead somewhere, figures are there, and Chromium shows each page at phone width.

Skipped where the site was not built (`sphinx-build -W -b html docs docs/_build`) or a browser is missing;
FPEMU_SITE=required makes the skip a failure.
"""

import functools
import html.parser
import shutil
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.cases import requirements

SITE = Path(__file__).parents[2] / "docs/_build"
PAGES = sorted(path for path in SITE.rglob("*.html") if "_static" not in path.parts)
PHONE = {"width": 390, "height": 844, "pixelRatio": 2.0}


missing = functools.partial(requirements.missing, "FPEMU_SITE")


class Page(html.parser.HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors = [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        """Collect `href`, `src` and `id`."""
        for name, value in attributes:
            if name in ("href", "src") and value:
                self.links.append(value)
            elif name == "id":
                self.anchors.add(value)


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window, as wide as a phone."""
    try:
        from selenium import webdriver
    except ImportError:
        missing("selenium is not installed")
    if not PAGES:
        missing("the site was not built")
    binary, driver = (shutil.which(name) for name in ("chromium", "chromedriver"))
    if binary is None or driver is None:
        missing("there is no chromium with its chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    options.add_argument("--headless=new")
    options.add_argument("--no-sandbox")
    options.add_argument("--disable-dev-shm-usage")
    options.add_experimental_option("mobileEmulation", {"deviceMetrics": PHONE})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    session = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield session
    session.quit()


def test_links_of_the_site_lead_somewhere():
    if not PAGES:
        missing("the site was not built")
    pages = {path: Page(path) for path in PAGES}
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchors = pages[target].anchors if target in pages else set()
            if not target.is_file() or (parts.fragment and target in pages and unquote(parts.fragment) not in anchors):
                broken.append(f"{path.relative_to(SITE)}: {link}")
    assert not broken


def test_a_browser_shows_every_page_at_phone_width(browser):
    faults = []
    for path in PAGES:
        browser.get(path.as_uri())
        width, blank, size = browser.execute_script(
            "return [document.documentElement.scrollWidth,"
            " [...document.images].filter(image => !(image.complete && image.naturalWidth)).map(image => image.src),"
            " parseFloat(getComputedStyle(document.querySelector('article') || document.body).fontSize)]"
        )
        messages = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
        if width > PHONE["width"]:
            faults.append(f"{path.relative_to(SITE)} is {width} px wide")
        if size < 14:
            faults.append(f"{path.relative_to(SITE)}: text of {size} px")
        faults += [f"{path.relative_to(SITE)}: {fault}" for fault in (*blank, *messages)]
    assert not faults


def test_the_search_finds_a_function(browser):
    browser.get((SITE / "search.html").as_uri() + "?q=stochastic")
    browser.implicitly_wait(20)
    assert browser.find_elements("css selector", "#search-results li a")

"""The documentation site builds without warnings, and works in a browser."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.browser import PATIENCE, Browser, browsing
from tests.meta.test_api_reference import public_names

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material", reason="mkdocs-material is not installed")
    pytest.importorskip("mkdocstrings", reason="mkdocstrings-python is not installed")
    folder = tmp_path_factory.mktemp("site")
    # With --quiet, warnings are not counted, so --strict has no effect.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


class Links(HTMLParser):
    """Addresses that a page loads, and those that it links to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []
        self.language = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "html":
            self.language = values["lang"]
        if tag == "a" and "href" in values:
            self.linked.append(values["href"])
        elif tag == "link" and values.get("rel") in ("stylesheet", "icon", "preconnect"):
            self.loaded.append(values["href"])
        elif "src" in values:
            self.loaded.append(values["src"])


def test_every_page_of_the_documentation_is_in_the_site(site: Path) -> None:
    names = [path.stem for path in (ROOT / "docs").glob("*.md")]
    assert len(names) > 30
    assert [name for name in names if not (site / name / "index.html").exists()] == []


def test_pages_load_nothing_from_other_servers(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    loaded = {address for page in pages for address in Links(page.read_text(encoding="utf-8")).loaded}
    assert loaded
    assert [address for address in loaded if re.match(r"(https?:)?//", address)] == []


def test_reference_shows_the_docstrings_of_exactly_the_public_names(site: Path) -> None:
    shown = []
    for page in (site / "api").glob("*/index.html"):
        text = page.read_text(encoding="utf-8")
        names = re.findall(r'<h2 id="([\w.]+)" class="doc doc-heading"', text)
        # Each has a text, not a signature alone.
        parts = re.split(r'<h2 id="[\w.]+" class="doc doc-heading"', text)[1:]
        assert [name for name, part in zip(names, parts, strict=True) if "<p>" not in part] == []
        assert {name.rpartition(".")[0] for name in names} <= {page.parent.name}
        shown += names
    assert len(shown) == len(set(shown))
    assert set(shown) == public_names()


def test_overview_of_the_api_links_each_name_to_its_docstring(site: Path) -> None:
    linked = Links((site / "api" / "index.html").read_text(encoding="utf-8")).linked
    assert {
        address.partition("#")[2] for address in linked if address.startswith("vecload") and "#" in address
    } == public_names()


def test_links_of_the_site_lead_to_files(site: Path) -> None:
    missing = []
    # The page for missing files links from the root of the server.
    for page in set(site.rglob("*.html")) - {site / "404.html"}:
        for address in Links(page.read_text(encoding="utf-8")).linked:
            name = address.partition("#")[0].partition("?")[0]
            if name and ":" not in name:
                target = page.parent / name
                if not (target / "index.html" if target.is_dir() else target).exists():
                    missing.append(f"{page.relative_to(site)}: {address}")
    assert missing == []


@pytest.mark.parametrize(
    ("page", "language", "switches"),
    [
        ("glossary", "en", ["./", "../glossary.ja/"]),
        ("glossary.ja", "ja", ["../glossary/", "./"]),
        ("layers", "en", ["./", "../index.ja/"]),
        ("index.ja", "ja", ["../", "./"]),
    ],
)
def test_language_switch_leads_to_the_translation(site: Path, page: str, language: str, switches: list[str]) -> None:
    text = (site / page / "index.html").read_text(encoding="utf-8")
    assert Links(text).language == language
    assert re.findall(r'<a href="([^"]*)" hreflang', text) == switches


def test_llms_txt_lists_every_page_once() -> None:
    text = (ROOT / "docs" / "llms.txt").read_text(encoding="utf-8")
    title, quote = text.split("\n\n")[:2]
    assert title == "# vecload"
    assert quote.startswith("> ")
    links = re.findall(r"^- \[[^\]]+\]\(([^)]+)\)(?:: .+)?$", text, flags=re.M)
    assert len(links) == len(set(links)) == text.count("](")
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
    pages = {
        path.relative_to(ROOT / "docs").as_posix()
        for path in (ROOT / "docs").rglob("*")
        if path.suffix in (".md", ".ipynb")
    }
    assert pages - set(links) == set()


def test_llms_txt_of_the_site_links_to_markdown_that_is_served(site: Path) -> None:
    links = re.findall(r"\]\(([^)]+)\)", (site / "llms.txt").read_text(encoding="utf-8"))
    assert len(links) > 30
    assert [link for link in links if "# " not in (site / link).read_text(encoding="utf-8")] == []


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as found:
        yield found


def visit(browser: Browser, address: str, width: int = 1280) -> None:
    browser.renew()
    browser.screen(width, 900, phone=width < 600)
    browser.send("Page.navigate", url=address)
    browser.wait(f"location.href === {json.dumps(address)} && document.readyState === 'complete'")


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize(
    "page", ["", "formats/", "glossary.ja/", "benchmarks/RESULTS/", "api/", "api/vecload/", "CHANGELOG/"]
)
def test_page_does_not_scroll_sideways(browser: Browser, address: str, page: str, width: int) -> None:
    visit(browser, address + page, width)
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run("innerWidth") == width
    others = [url for url in browser.requests() if not url.startswith(address)]
    assert others == []


def test_dark_mode_toggles_and_is_kept(browser: Browser, address: str) -> None:
    visit(browser, address)
    light = browser.run("getComputedStyle(document.body).backgroundColor")
    browser.run("document.querySelector('label[title=\"Dark mode\"]').click()")
    browser.wait("document.body.dataset.mdColorScheme === 'slate'")
    assert browser.run("getComputedStyle(document.body).backgroundColor") != light
    visit(browser, address + "layers/")
    browser.wait("document.body.dataset.mdColorScheme === 'slate'")


@pytest.mark.parametrize(
    ("page", "query", "expected"), [("", "pooler", "/pooling/"), ("index.ja/", "埋め込み", "/glossary.ja/")]
)
def test_search_finds_word(browser: Browser, address: str, page: str, query: str, expected: str) -> None:
    visit(browser, address + page)
    browser.run("document.querySelector('.md-search__input').focus()")
    browser.type(query)
    found = "[...document.querySelectorAll('a.md-search-result__link')].map(link => link.href).join(' ')"
    browser.wait(f"({found}).includes({json.dumps(expected)})")


def test_language_switch_opens_the_translation(browser: Browser, address: str) -> None:
    visit(browser, address + "glossary/")
    # The click happens after the answer, and nothing is evaluated in a page that is being replaced.
    browser.run("void setTimeout(() => document.querySelector('a.md-select__link[hreflang=ja]').click(), 50)")
    until = time.monotonic() + PATIENCE
    while address_shown(browser) != address + "glossary.ja/" and time.monotonic() < until:
        time.sleep(0.05)
    assert address_shown(browser) == address + "glossary.ja/"


def address_shown(browser: Browser) -> str:
    history = browser.send("Page.getNavigationHistory")
    return history["entries"][history["currentIndex"]]["url"]

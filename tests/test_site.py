"""The documentation site builds without warnings, and works in a browser."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material", reason="mkdocs-material is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
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
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert pages - set(links) == set()


def test_llms_txt_of_the_site_links_to_markdown_that_is_served(site: Path) -> None:
    links = re.findall(r"\]\(([^)]+)\)", (site / "llms.txt").read_text(encoding="utf-8"))
    assert len(links) > 30
    assert [link for link in links if "# " not in (site / link).read_text(encoding="utf-8")] == []

"""Hooks of MkDocs: the site has pages from outside docs/, notebooks, docstrings, and a language switch on each page.

`mkdocs.yml` names this file. In Markdown files, links are relative to the repository. The hooks rewrite those that
differ in the site, such as `docs/layers.md` in README.md and `../SECURITY.md` in a guide.
"""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path
from typing import Any

from make_api import reference_pages
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
# Files outside docs/ that pages link to. README.md is the front page.
OUTSIDE = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE", "benchmarks/RESULTS.md"]
FRONT = {"en": "README.md", "ja": "index.ja.md"}
LANGUAGES = {"en": "English", "ja": "日本語"}
LINK = re.compile(r"(\]\()([^)\s#:]+)((?:#[^)\s]*)?\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files outside docs/, and a page for each notebook and namespace; rewrite the links of llms.txt."""
    if unchanged := files.get_file_from_path("llms.txt"):
        files.remove(unchanged)
    for name in [
        *OUTSIDE,
        "docs/llms.txt",
        *(f"examples/{path.name}" for path in sorted((ROOT / "examples").glob("*.py"))),
    ]:
        text = (
            with_site_links((ROOT / name).read_text(encoding="utf-8"), name)
            if name.endswith((".md", "llms.txt"))
            else None
        )
        source = {"abs_src_path": str(ROOT / name)} if text is None else {"content": text}
        files.append(File.generated(config, in_site(name), **source))
    for path in sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")):
        name = f"notebooks/{path.stem}.md"
        files.append(File.generated(config, name, content=with_site_links(notebook(path), f"docs/{name}")))
    for name, text in reference_pages():
        files.append(File.generated(config, f"api/{name}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: Any) -> str:
    """Rewrite the links of a page of docs/, and serve its Markdown, which llms.txt links to."""
    if page.file.generated_by is None:
        markdown = with_site_links(markdown, f"docs/{page.file.src_uri}")
    if page.file.src_uri.startswith("api/"):
        return markdown  # names alone: mkdocstrings adds the docstrings to the HTML
    copy = Path(config.site_dir, page.file.src_uri)
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_text(markdown, encoding="utf-8")
    if page.file.src_uri == "api.md":
        # Link the names to their docstrings.
        markdown = re.sub(r"^\| `(([\w.]+)\.\w+)` ", r"| [`\1`](api/\2.md#\1) ", markdown, flags=re.M)
    return markdown


def on_page_context(context: dict[str, Any], page: Page, config: MkDocsConfig, **_: Any) -> dict[str, Any]:
    """Set the language of the page, and point the language switch to its translation or to the front page."""
    addresses = {file.src_uri: file.url for file in context["pages"]}
    name = page.file.src_uri
    language = "ja" if name.endswith(".ja.md") else "en"
    stem = name.removesuffix(".md").removesuffix(".ja")
    pages = FRONT if name in FRONT.values() else {"en": f"{stem}.md", "ja": f"{stem}.ja.md"}
    # The theme reads both settings while it renders the page, and pages are rendered one after the other.
    config.theme["language"] = language
    config.extra["alternate"] = [
        {"name": title, "lang": code, "link": addresses.get(pages[code], addresses[FRONT[code]])}
        for code, title in LANGUAGES.items()
    ]
    return context


def with_site_links(markdown: str, source: str) -> str:
    """Rewrite relative links of a file of the repository so that they work in the site."""
    here = posixpath.dirname(in_site(source))

    def rewritten(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), match[2]))
        return f"{match[1]}{posixpath.relpath(in_site(target), here or '.')}{match[3]}"

    # Code is left alone.
    parts = re.split(r"(^```.*?^```)", markdown, flags=re.M | re.S)
    return "".join(part if part.startswith("```") else LINK.sub(rewritten, part) for part in parts)


def in_site(name: str) -> str:
    """Return the path in the site of a file of the repository."""
    return re.sub(r"\.ipynb$", ".md", name.removeprefix("docs/"))


def notebook(path: Path) -> str:
    """Return a notebook and its stored outputs as Markdown."""
    parts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
        for output in cell.get("outputs", ()):
            shown = "".join(output.get("text") or output["data"]["text/plain"]).rstrip("\n")
            parts.append(f"```text\n{shown}\n```")
    return "\n\n".join(parts) + "\n"

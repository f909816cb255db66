"""The format of docs/adding-a-format.md."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from vecload.formats import Format

PAGE = Path(__file__).parents[2] / "docs" / "adding-a-format.md"


def blocks(language: str) -> list[str]:
    """Return the code blocks of the page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)


def documented_format() -> Format:
    """Return the format that the page defines."""
    (source,) = blocks("python")
    namespace: dict[str, object] = {"__name__": "json_pairs"}
    exec(compile(source, "json_pairs.py", "exec"), namespace)
    form = namespace["FORMAT"]
    assert isinstance(form, Format)
    return form


def entry_points() -> dict[str, dict[str, str]]:
    """Return the entry points that the page declares, by group."""
    (settings,) = blocks("toml")
    groups: dict[str, dict[str, str]] = tomllib.loads(settings)["project"]["entry-points"]
    return groups

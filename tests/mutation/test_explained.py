"""Explanations of mutants that survive are about code that exists."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.meta.checkout import ROOT

ENTRIES = json.loads(Path(__file__).with_name("explained.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["line"])
def test_explained_line_exists(entry: dict[str, str]) -> None:
    source = (ROOT / "vecload" / entry["module"]).read_text(encoding="utf-8")
    assert entry["line"] in " ".join(line.strip() for line in source.splitlines())
    assert entry.get("mutant") != entry["line"]
    assert entry["reason"]

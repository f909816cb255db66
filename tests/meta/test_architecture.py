"""docs/architecture.md agrees with the import contract, and the paths that it names exist."""

from __future__ import annotations

import re

import pytest

from tests.meta import architecture
from tests.meta.checkout import ROOT, file_of_checkout


def test_diagram_shows_the_import_contract() -> None:
    page = file_of_checkout("docs/architecture.md")
    assert page == architecture.updated(), "run python -m tests.meta.architecture"


def test_every_package_is_described() -> None:
    page = file_of_checkout("docs/architecture.md")
    table = page[page.index("| package |") : page.index("## A walk through `load`")]
    described = set(re.findall(r"`(\w+)`", "\n".join(line.split("|")[1] for line in table.splitlines() if line)))
    packages = {name for layer in architecture.layers() for name in layer if not name.startswith("_")}
    assert described == packages


@pytest.mark.parametrize("name", ["docs/architecture.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_paths_in_the_page_exist(name: str) -> None:
    paths = re.findall(r"`((?:tests|vecload|benchmarks|docs)/[\w./-]+)`", file_of_checkout(name))
    assert [path for path in paths if not (ROOT / path).exists()] == []

"""The notebooks of the documentation run, and print their stored outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent.parent / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
by_name = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def outputs(notebook: dict[str, Any]) -> list[list[Any]]:
    """Return the shown texts of each code cell."""
    return [
        ["".join(one.get("text") or one["data"]["text/plain"]) for one in cell["outputs"]]
        for cell in code_cells(notebook)
    ]


def test_notebooks_are_found() -> None:
    assert len(NOTEBOOKS) == 3


@by_name
def test_notebook_has_outputs_and_nothing_of_the_machine_that_ran_it(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert set(notebook["metadata"]) == {"kernelspec"}
    assert all(cell["metadata"] == {} for cell in notebook["cells"])
    cells = code_cells(notebook)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert sum(map(bool, outputs(notebook))) >= 2


@pytest.mark.campaign
@by_name
def test_notebook_prints_its_stored_outputs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    monkeypatch.setenv("PYTHONPATH", str(FOLDER.parent.parent))
    stored = json.loads(path.read_text(encoding="utf-8"))
    executed = nbformat.read(path, as_version=4)
    client.NotebookClient(executed, timeout=60, kernel_name="python3").execute()
    assert outputs(executed) == outputs(stored)

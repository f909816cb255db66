"""Names of the catalog, and other sources. tests/catalog and tests/hub test downloads."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.builders import small_vectors
from vecload.resolving import input_files, resolve_dataset, resolve_source, stated_by_catalog

LOADED = (
    "import json, sys, vecload\n"
    "vecload.load(sys.argv[1])\n"
    "print(json.dumps([name for name in sys.modules if name.startswith('vecload.') or name == 'numba']))\n"
)


def modules_after_load(path: Path) -> set[str]:
    done = subprocess.run([sys.executable, "-c", LOADED, str(path)], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_existing_file_takes_precedence_over_the_catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = "glove.6B.50d"
    Path(name).touch()
    with resolve_source(name) as found:
        assert found == name
    assert resolve_dataset(name) == name
    assert stated_by_catalog(name) == {}
    assert input_files(name) == [name]


@pytest.mark.parametrize("source", ["-", Path("missing.txt"), io.BytesIO(), "https://example.org/v.txt", "no name"])
def test_other_sources_are_returned_unchanged(source: Any) -> None:
    with resolve_source(source) as found:
        assert found is source
    assert resolve_dataset(source) is source
    assert stated_by_catalog(source) == {}
    assert input_files(source) == [source]


def test_native_file_needs_neither_the_catalog_nor_other_readers_nor_numba(tmp_path: Path) -> None:
    path = tmp_path / "vectors.safetensors"
    small_vectors().save(path)
    loaded = modules_after_load(path)
    assert "vecload.formats.native" in loaded
    for name in ("numba", "vecload.catalog", "vecload.kernels", "vecload.formats.text", "vecload.formats.gensim"):
        assert name not in loaded


def test_small_text_needs_neither_numba_nor_the_catalog_nor_readers_of_models(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    small_vectors(20, dim=8).save(path)
    loaded = modules_after_load(path)
    assert "vecload.formats.text" in loaded
    for name in ("numba", "vecload.catalog", "vecload.formats.pytorch", "vecload.formats.gensim", "vecload.tokenizers"):
        assert name not in loaded

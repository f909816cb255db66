"""Every golden file is read as it was written, whatever version wrote it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.formats.battery import cases
from tests.golden.files import FOLDER, digest, golden_files, manifest
from vecload.formats import all_formats

ENTRIES = manifest()
GOLDEN = golden_files()


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry['version']}/{entry['name']}")
def test_golden_file_is_read_as_it_was_written(entry: dict[str, str]) -> None:
    path = FOLDER / entry["version"] / entry["name"]
    assert digest(path) == entry["sha256"], "golden files never change"
    golden = GOLDEN[entry["name"]]
    found, expected = golden.read(path), golden.expected()
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert_equal(found[key], value, golden.rounding)


def assert_equal(found: Any, expected: Any, rounding: float) -> None:
    if isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=rounding, atol=rounding)
    else:
        assert found == expected


def test_every_format_that_is_written_has_a_golden_file() -> None:
    missing = {name.replace(" ", "-") for name in cases(all_formats())} - {entry["name"] for entry in ENTRIES}
    assert missing == set(), "run python -m tests.golden.write"
    assert set(GOLDEN) == {entry["name"] for entry in ENTRIES}


def test_every_file_is_listed() -> None:
    listed = {FOLDER / entry["version"] / entry["name"] for entry in ENTRIES}
    files = {path for path in FOLDER.rglob("*") if path.is_file() and path.name != "manifest.json"}
    assert {path for path in files if not listed & {path, *path.parents}} == set()
    assert sum(path.stat().st_size for path in files) < 300_000

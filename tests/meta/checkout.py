"""Files of a checkout, for tests that compare them with the package."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

import vecload

PACKAGE = Path(vecload.__file__).parent
ROOT = PACKAGE.parent


def file_of_checkout(name: str) -> str:
    """Return the text of a file, or skip the test where only the installed package is there."""
    path = ROOT / name
    if not path.exists():
        pytest.skip(f"not a checkout: no {name} next to the package")
    return path.read_text(encoding="utf-8")


def settings() -> dict[str, Any]:
    """Return pyproject.toml."""
    return tomllib.loads(file_of_checkout("pyproject.toml"))


def modules() -> dict[str, Path]:
    """Return the path of each module by its dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found

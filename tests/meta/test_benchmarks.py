"""The benchmarks, which run rarely, match the package: their imports and the names they use exist."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.meta.checkout import ROOT

BENCHMARKS = sorted((ROOT / "benchmarks").glob("*.py"))
QUICK = [path for path in BENCHMARKS if "[--quick]" in path.read_text(encoding="utf-8")]


def import_statements(source: str) -> list[ast.ImportFrom]:
    """Return the imports from vecload in a program and in the programs that it has as strings."""
    statements = re.findall(r"from vecload[\w.]* import (?:\([^)]*\)|[\w, ]+)", source)
    return [node for text in statements for node in ast.parse(text).body if isinstance(node, ast.ImportFrom)]


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_names_that_a_benchmark_imports_exist(path: Path) -> None:
    for statement in import_statements(path.read_text(encoding="utf-8")):
        module = importlib.import_module(statement.module or "")
        for alias in statement.names:
            if not hasattr(module, alias.name):
                importlib.import_module(f"{statement.module}.{alias.name}")


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_attributes_of_vecload_that_a_benchmark_uses_exist(path: Path) -> None:
    import vecload

    for name in set(re.findall(r"(?<![\w.\"'])vecload((?:\.\w+)+)\(", path.read_text(encoding="utf-8"))):
        value = vecload
        for part in name.strip(".").split("."):
            value = getattr(value, part)


@pytest.mark.campaign
@pytest.mark.parametrize("path", QUICK, ids=lambda path: path.stem)
def test_quick_benchmark_runs(path: Path, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, path, "--quick"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr

"""The package keeps its structure: what an import costs, which way imports go, how long a module may be.

Each check is also shown to fail.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import vecload
from tests.meta.checkout import PACKAGE, file_of_checkout, modules

HEAVY = ("torch", "numba", "gensim", "numpy", "safetensors", "requests", "rich", "tqdm", "typer", "polars")


def imported_by(statement: str) -> set[str]:
    """Return the heavy packages that a statement imports, in a process of its own."""
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name for name in HEAVY if name in done.stdout.split()}


def test_import_vecload_imports_nothing_heavy() -> None:
    assert imported_by("import vecload") == set()


def test_heavy_import_is_detected() -> None:
    assert imported_by("import vecload; vecload.load") == {"numpy"}


def test_public_names_agree_with_types_and_dir() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {alias.asname for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert set(vecload.__all__) == typed
    assert {*vecload.__all__, "__version__"} == set(dir(vecload))
    for name in vecload.__all__:
        assert getattr(vecload, name) is not None


def test_unknown_public_name_raises_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = vecload.nothing


def test_public_function_never_has_the_name_of_a_submodule() -> None:
    """Importing `vecload.report` would replace a function `report` in the namespace of `vecload` by the module."""
    submodules = {name.split(".")[1] for name in modules() if name.count(".") == 1}
    functions = {name for name in vecload.__all__ if callable(getattr(vecload, name))}
    assert functions & submodules == set()


def test_no_module_is_longer_than_400_lines() -> None:
    sizes = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in modules().items()}
    assert {name: size for name, size in sizes.items() if size > 400} == {}


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the import contract of pyproject.toml in a folder."""
    tool = Path(sys.executable).with_name("lint-imports")
    if not tool.exists():
        pytest.skip("import-linter is not installed")
    return subprocess.run([tool, "--no-cache"], cwd=folder, capture_output=True, text=True)


def test_upward_import_breaks_the_import_contract(tmp_path: Path) -> None:
    """`make test` checks the contract itself; here a copy passes, and fails once a module imports from above."""
    copied = tmp_path / "vecload"
    for path in modules().values():
        copy = copied / path.relative_to(PACKAGE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(file_of_checkout("pyproject.toml"))
    assert lint_imports(tmp_path).returncode == 0
    low = copied / "text_input" / "lines.py"
    low.write_text(low.read_text(encoding="utf-8") + "\n\ndef climb():\n    import vecload.loading\n", encoding="utf-8")
    assert lint_imports(tmp_path).returncode == 1

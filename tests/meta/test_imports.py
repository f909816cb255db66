"""Imports go one way: the import contract covers packages, and these tests cover modules and functions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import pytest

import vecload

grimp = pytest.importorskip("grimp")

ROOT = Path(vecload.__file__).parent


def cycles(package: str) -> list[list[str]]:
    """Return the groups of modules that import each other, imports for type checkers and in functions included."""
    graph = grimp.build_graph(package, exclude_type_checking_imports=False, cache_dir=None)
    imported = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    groups = nx.strongly_connected_components(nx.DiGraph(imported))
    return [sorted(group) for group in groups if len(group) > 1]


def test_no_two_modules_import_each_other() -> None:
    assert cycles("vecload") == []


@pytest.mark.parametrize(
    "statement",
    [
        "import planted_cycle.a",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from planted_cycle import a",
        "def f():\n    from planted_cycle.a import b",
    ],
)
def test_a_planted_cycle_is_found(statement: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "planted_cycle"
    package.mkdir()
    modules = {"__init__": "", "a": "from planted_cycle import b\n", "b": "from planted_cycle import c\n"}
    for name, text in {**modules, "c": f"{statement}\n"}.items():
        (package / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    assert cycles("planted_cycle") == [["planted_cycle.a", "planted_cycle.b", "planted_cycle.c"]]


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield the full name of each import of a module, and whether it is inside a function."""

    def visit(node: ast.AST, *, inside: bool) -> Iterator[tuple[str, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((alias.name, inside) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                yield from ((f"{child.module}.{alias.name}", inside) for alias in child.names)
            elif not is_for_type_checkers(child):
                yield from visit(child, inside=inside or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)))

    yield from visit(ast.parse(path.read_text(encoding="utf-8")), inside=False)


def is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def misplaced_imports(root: Path) -> set[tuple[str, str]]:
    """Return imports of vecload's own modules inside functions where there is no reason for them, by module.

    Kernels are imported when the first of them is called, because numba takes long to import. `alignment` imports torch
    only through `layers` and `pooling`. Each command of `cli` imports its own libraries.
    """
    found = set()
    for path in root.rglob("*.py"):
        package = path.relative_to(root).parts[0].removesuffix(".py")
        allowed = {"alignment": ("vecload.kernels", "vecload.layers", "vecload.pooling")}.get(
            package, ("vecload.kernels",)
        )
        if package == "cli":
            continue
        for name, inside in imports(path):
            if inside and name.startswith("vecload") and not name.startswith(allowed):
                found.add((path.relative_to(root).as_posix(), name))
    return found


def test_functions_import_only_kernels_and_what_needs_torch() -> None:
    assert misplaced_imports(ROOT) == set()


def test_torch_is_imported_by_few_modules() -> None:
    """Reading and aligning vectors works without loading torch, which takes seconds."""
    above = {"compat", "demo", "distributed", "layers", "pooling", "reports"}
    found = {}
    for path in ROOT.rglob("*.py"):
        name = path.relative_to(ROOT).as_posix()
        if path.relative_to(ROOT).parts[0].removesuffix(".py") in above:
            continue
        torch = [inside for imported, inside in imports(path) if imported.split(".")[0] == "torch"]
        if torch:
            found[name] = all(torch)
    assert found == {"arrays.py": True, "formats/pytorch/writer.py": True, "search/quantized.py": True}


def test_a_misplaced_import_is_found(tmp_path: Path) -> None:
    (tmp_path / "words.py").write_text(
        "def f():\n    from vecload.vocab import Vocab\n    import vecload.kernels.hashing\n"
    )
    assert misplaced_imports(tmp_path) == {("words.py", "vecload.vocab.Vocab")}

"""The tests mirror the packages, use public names, and are named in ordinary words."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator

import pytest

from tests.meta.checkout import PACKAGE, ROOT

TESTS = ROOT / "tests"

# Folders that test the whole package from one point of view.
CROSSCUTTING = {"fuzz", "golden", "meta", "mutation", "reference", "robustness"}

# Packages and top-level modules without tests of their own name, and the tests that cover them.
COVERED_ELSEWHERE = {
    "arrays": "tests/transforms, tests/layers",
    "demo": "tests/cli/test_commands.py",
    "inspection": "tests/cli, tests/formats",
    "lazy": "tests/meta/test_structure.py",
    "loading": "tests/formats, tests/alignment",
    "message_text": "tests/test_errors.py",
    "reading": "tests/formats, tests/conversion",
    "row_status": "tests/kernels, tests/formats/text",
}

HOUSE_WORDS = re.compile(r"(?:^|_)(?:room|floor|door|stair|upstairs|downstairs|house)s?(?:_|$)")


def syntax_trees() -> dict[str, ast.Module]:
    """Return the syntax tree of each Python file of the tests."""
    return {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(TESTS.rglob("*.py"))
    }


TREES = syntax_trees() if TESTS.exists() else {}


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name != "_"


def private_uses(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield (line, name) of each private name of vecload that a test imports, reads or patches."""
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            source = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                if f"{source}.{alias.name}".strip(".").startswith("vecload"):
                    imported.add(alias.asname or alias.name.split(".")[0])
                    if private(alias.name):
                        yield node.lineno, alias.name
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and private(node.attr):
            owner: ast.expr = node
            while isinstance(owner, ast.Attribute):
                owner = owner.value
            if isinstance(owner, ast.Name) and owner.id in imported:
                yield node.lineno, node.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "setattr":
            target, *rest = node.args
            if isinstance(target, ast.Constant):
                name = str(target.value).rpartition(".")[2]
            elif isinstance(target, ast.Name) and target.id in imported and isinstance(rest[0], ast.Constant):
                name = str(rest[0].value)
            else:
                continue
            if private(name):
                yield node.lineno, name


def dotted_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield (line, name) of each dotted name of vecload that a test patches."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("setattr", "patch")
        ):
            target = node.args[0]
            if isinstance(target, ast.Constant) and str(target.value).startswith("vecload."):
                yield node.lineno, str(target.value)


@pytest.mark.parametrize("path", [path for path, tree in TREES.items() if list(dotted_names(tree))])
def test_names_that_a_file_patches_exist(path: str) -> None:
    missing = []
    for line, name in dotted_names(TREES[path]):
        try:
            pkgutil.resolve_name(name)
        except (AttributeError, ImportError):
            missing.append(f"{path}:{line}: {name}")
    assert missing == []


def own_imports(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """Yield (line, module, name) of each import from vecload or from the tests, imports in functions included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("tests", "vecload"):
            for alias in node.names:
                yield node.lineno, node.module or "", alias.name


def exists(module: str, name: str) -> bool:
    """Return whether a module has a name. Modules of the tests are not imported: they may need optional packages."""
    if module.startswith("tests"):
        path = ROOT.joinpath(*module.split("."))
        return path.with_suffix(".py").exists() or (path / "__init__.py").exists()
    try:
        return hasattr(importlib.import_module(module), name) or bool(importlib.import_module(f"{module}.{name}"))
    except ImportError:
        return False


@pytest.mark.parametrize("path", [path for path, tree in TREES.items() if list(own_imports(tree))])
def test_names_that_a_file_imports_exist(path: str) -> None:
    imports = own_imports(TREES[path])
    assert [f"{path}:{line}: {module}.{name}" for line, module, name in imports if not exists(module, name)] == []


def test_every_package_and_top_level_module_has_tests_of_its_name() -> None:
    names = {path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("_")}
    names |= {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    tested = {path.stem.removeprefix("test_") for path in TESTS.glob("test_*.py")}
    tested |= {path.name for path in TESTS.iterdir() if list(path.rglob("test_*.py"))}
    assert names - tested - set(COVERED_ELSEWHERE) == set(), "add tests, or name those that cover it"


def test_every_folder_of_tests_has_the_name_of_a_package() -> None:
    names = {path.stem for path in PACKAGE.iterdir()} | CROSSCUTTING
    folders = {path.name for path in TESTS.iterdir() if list(path.glob("*.py"))}
    assert folders - names == set()


@pytest.mark.parametrize("path", TREES)
def test_file_uses_only_public_names_of_vecload(path: str) -> None:
    used = [f"{path}:{line}: {name}" for line, name in private_uses(TREES[path])]
    assert used == [], "test public behavior instead"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("from vecload.words import _hash", ["_hash"]),
        ("import vecload\nvecload.words._hash()", ["_hash"]),
        ("from vecload import words\nm.setattr(words, '_MANY', 3)", ["_MANY"]),
        ("m.setattr('vecload.words._MANY', 3)", ["_MANY"]),
        ("import torch\ntorch._dynamo.reset()", []),
    ],
)
def test_private_name_is_found(code: str, expected: list[str]) -> None:
    assert [name for _, name in private_uses(ast.parse(code))] == expected


@pytest.mark.parametrize("path", TREES)
def test_names_of_tests_are_ordinary_words(path: str) -> None:
    names = [node.name for node in ast.walk(TREES[path]) if isinstance(node, ast.FunctionDef)]
    assert [name for name in names if name.startswith("test_") and HOUSE_WORDS.search(name)] == []

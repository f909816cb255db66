"""The house keeps its shape: floors, sizes, public names, what an import costs. The checks are shown to fail too."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest

import vecload

ROOT = Path(vecload.__file__).parent
HEAVY = ("torch", "numba", "gensim", "numpy", "safetensors", "requests", "rich", "tqdm", "typer", "polars")


def imported_by(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name for name in HEAVY if name in done.stdout.split()}


def test_importing_vecload_imports_nothing_heavy() -> None:
    assert imported_by("import vecload") == set()


def test_that_check_can_fail() -> None:
    assert imported_by("import vecload; vecload.load") == {"numpy"}


def test_public_names_agree() -> None:
    tree = ast.parse((ROOT / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {alias.asname for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert set(vecload._PUBLIC) == set(vecload.__all__) == typed
    assert {*vecload.__all__, "__version__"} == set(dir(vecload))
    for name in vecload.__all__:
        assert getattr(vecload, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = vecload.nothing


def test_no_public_verb_is_also_a_room() -> None:
    rooms = {path.stem for path in ROOT.glob("*.py")} | {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert {name for name, room in vecload._PUBLIC.items() if name != room} & rooms == set()


def test_no_room_is_over_400_lines() -> None:
    sizes = {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in ROOT.rglob("*.py")}
    assert {name: size for name, size in sizes.items() if size > 400} == {}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    tool = Path(sys.executable).with_name("lint-imports")
    if not tool.exists():
        pytest.skip("import-linter is not installed")
    return subprocess.run([tool, "--no-cache"], cwd=folder, capture_output=True, text=True)


def test_a_broken_floor_would_be_noticed(tmp_path: Path) -> None:
    """The floors themselves are checked by `make test`; here a copy with an upward import fails the same contract."""
    toy = tmp_path / "vecload"
    for path in ROOT.rglob("*.py"):
        copy = toy / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text())
    settings = ROOT.parent / "pyproject.toml"
    if not settings.exists():
        pytest.skip("not a checkout")
    (tmp_path / "pyproject.toml").write_text(settings.read_text())
    assert lint(tmp_path).returncode == 0
    lines = toy / "text_input" / "lines.py"
    lines.write_text(lines.read_text() + "\n\ndef f():\n    import vecload.loading\n")
    assert lint(tmp_path).returncode == 1


def test_every_pin_meets_the_published_range() -> None:
    settings = ROOT.parent / "pyproject.toml"
    if not settings.exists():
        pytest.skip("not a checkout")
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    lines = (line.split("==") for line in (ROOT.parent / "constraints.txt").read_text().split())
    pins = {canonicalize_name(name): version for name, version in lines}
    project = tomllib.loads(settings.read_text())["project"]

    for text in chain(project["dependencies"], *project["optional-dependencies"].values()):
        requirement = Requirement(text)
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), text


def required() -> set[tuple[str, str]]:
    """(package, extra) of each `require` in the house."""
    found = set()
    for path in ROOT.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        named = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "require":
                package, extra = (named[one.id] if isinstance(one, ast.Name) else one.value for one in call.args)
                found.add((package.partition(".")[0], extra))
    return found


def test_an_extra_brings_what_its_error_says() -> None:
    settings = ROOT.parent / "pyproject.toml"
    if not settings.exists():
        pytest.skip("not a checkout")
    from importlib.metadata import packages_distributions

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    extras = {
        extra: {canonicalize_name(Requirement(text).name) for text in texts}
        for extra, texts in tomllib.loads(settings.read_text())["project"]["optional-dependencies"].items()
    }
    packages = packages_distributions()
    asked = required()
    assert {extra for _, extra in asked} == set(extras)
    for package, extra in asked:
        if package in packages:  # installed: tests of it run too
            assert extras[extra] & set(map(canonicalize_name, packages[package])), (package, extra)

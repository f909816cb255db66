"""Installation: pinned versions, optional packages, make targets."""

from __future__ import annotations

import ast
import re
import tomllib
from itertools import chain

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import vecload
from tests.meta.checkout import ROOT, file_of_checkout, modules, settings


def local_versions(constraints: str) -> list[str]:
    """Return the pins with a local version ("2.13.0+cpu"), which no public index has."""
    pins = (Requirement(line) for line in constraints.splitlines() if line.strip())
    return [str(pin) for pin in pins if any(Version(one.version).local is not None for one in pin.specifier)]


def test_constraints_pin_no_local_version() -> None:
    assert local_versions(file_of_checkout("constraints.txt")) == []


def test_local_version_in_constraints_is_found() -> None:
    assert local_versions("numpy==2.4.6\ntorch==2.13.0+cpu\n") == ["torch==2.13.0+cpu"]


def test_constraints_pin_every_package_exactly() -> None:
    pins = [Requirement(line) for line in file_of_checkout("constraints.txt").splitlines()]
    assert [str(pin) for pin in pins if [one.operator for one in pin.specifier] != ["=="]] == []


def pinned() -> dict[str, str]:
    """Return the version of each package in constraints.txt."""
    lines = (line.split("==") for line in file_of_checkout("constraints.txt").split())
    return {canonicalize_name(name): version for name, version in lines}


def test_lock_has_the_pinned_versions_and_all_hashes() -> None:
    pins = pinned()
    packages = tomllib.loads(file_of_checkout("pylock.toml"))["packages"]
    locked = {package["name"]: package["version"] for package in packages}
    # The other packages are those that torch needs on Linux with CUDA.
    assert {name: version for name, version in locked.items() if pins.get(name, version) != version} == {}
    assert {canonicalize_name(Requirement(text).name) for text in settings()["project"]["dependencies"]} <= set(locked)
    for package in packages:
        assert package["wheels"], package["name"]
        for wheel in package["wheels"]:
            assert set(wheel) == {"path", "hashes"}, wheel
            assert re.fullmatch("wheels/[^/:]+[.]whl", wheel["path"]), wheel
            assert re.fullmatch("[0-9a-f]{64}", wheel["hashes"]["sha256"]), wheel


def test_every_pin_is_in_the_range_that_users_get() -> None:
    pins = pinned()
    project = settings()["project"]
    for text in chain(project["dependencies"], *project["optional-dependencies"].values()):
        requirement = Requirement(text)
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), text


def required_extras() -> set[tuple[str, str]]:
    """Return (package, extra) of each call of `require` in vecload."""
    found = set()
    for path in modules().values():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "require":
                package, extra = (constants[one.id] if isinstance(one, ast.Name) else one.value for one in call.args)
                found.add((package.partition(".")[0], extra))
    return found


def test_extra_named_by_an_error_installs_the_missing_package() -> None:
    from importlib.metadata import packages_distributions

    extras = {
        extra: {canonicalize_name(Requirement(text).name) for text in texts}
        for extra, texts in settings()["project"]["optional-dependencies"].items()
    }
    required = required_extras()
    assert {extra for _, extra in required} == set(extras)
    distributions = packages_distributions()
    for package, extra in required:
        if package in distributions:  # the distribution of a missing package is unknown
            assert extras[extra] & set(map(canonicalize_name, distributions[package])), (package, extra)


def test_every_make_target_is_listed_by_make_help() -> None:
    lines = file_of_checkout("Makefile").splitlines()
    phony = next(line for line in lines if line.startswith(".PHONY:")).split()[1:]
    described = [line.partition(":")[0] for line in lines if "## " in line and not line.startswith("\t")]
    assert sorted(described) == sorted(phony)


@pytest.mark.parametrize("target", ["demo", "test", "test-fast", "test-all", "lint", "format", "bench", "docs", "help"])
def test_documented_make_target_exists(target: str) -> None:
    assert f"\n{target}:" in file_of_checkout("Makefile")


def test_every_path_of_make_test_fast_exists() -> None:
    makefile = file_of_checkout("Makefile").replace("\\\n", " ")
    paths = next(line for line in makefile.splitlines() if line.startswith("FAST :=")).split()[2:]
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_version_is_the_same_everywhere() -> None:
    version = settings()["project"].get("version")
    cited = re.search(r"^version: (.+)$", file_of_checkout("CITATION.cff"), re.MULTILINE)
    assert cited is not None
    assert vecload.__version__ == cited[1]
    assert version in (None, vecload.__version__)  # None: hatch reads it from the package


def test_changelog_has_the_version_and_its_date() -> None:
    sections = re.findall("^## (.+)$", file_of_checkout("CHANGELOG.md"), re.MULTILINE)
    released = re.search("^date-released: (.+)$", file_of_checkout("CITATION.cff"), re.MULTILINE)
    assert released is not None
    # A version with a development suffix is not in the list yet.
    if not Version(vecload.__version__).is_devrelease:
        assert sections[:2] == ["Unreleased", f"{vecload.__version__} - {released[1]}"]

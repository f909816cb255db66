"""The core works without any optional package, and an error names the extra that has a missing one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.meta.checkout import ROOT
from tests.meta.test_install import required_extras

OPTIONAL = sorted({package for package, _ in required_extras()})
PROGRAM = str(ROOT / "tests" / "smoke.py")


def run(*missing: str) -> subprocess.CompletedProcess[str]:
    """Run the program of a new user in a process in which packages are missing."""
    return subprocess.run([sys.executable, PROGRAM, *missing], capture_output=True, text=True)


@pytest.mark.parametrize("also", [(), ("torch", "gensim")], ids=["all", "all, torch and gensim"])
def test_the_core_works_without_optional_packages(also: tuple[str, ...]) -> None:
    done = run(*OPTIONAL, *also)
    assert done.returncode == 0, done.stderr


@pytest.mark.campaign
@pytest.mark.parametrize("package", [*OPTIONAL, "isal"])
def test_the_core_works_without_one_package(package: str) -> None:
    done = run(package)
    assert done.returncode == 0, done.stderr


def test_a_missing_package_of_the_core_is_an_error() -> None:
    done = run("numpy")
    assert done.returncode != 0
    assert "No module named 'numpy'" in done.stderr


@pytest.mark.parametrize(("package", "extra"), sorted(required_extras()))
def test_error_about_a_missing_package_names_its_extra(
    package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vecload.errors import MissingDependencyError, require

    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match=rf"\[{extra}\]"):
        require(package, extra)

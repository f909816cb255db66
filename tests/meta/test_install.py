"""The pinned set has to resolve on any machine, and every make target has to exist."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import vecload

ROOT = Path(vecload.__file__).parent.parent


def local_versions(constraints: str) -> list[str]:
    """Return the pins with a local version ("2.13.0+cpu"), which no public index has."""
    pins = (Requirement(line) for line in constraints.splitlines() if line.strip())
    return [str(pin) for pin in pins if any(Version(one.version).local is not None for one in pin.specifier)]


def file_of_checkout(name: str) -> str:
    path = ROOT / name
    if not path.exists():
        pytest.skip("not a checkout")
    return path.read_text(encoding="utf-8")


def test_constraints_pin_no_local_version() -> None:
    assert local_versions(file_of_checkout("constraints.txt")) == []


def test_local_version_in_constraints_is_found() -> None:
    assert local_versions("numpy==2.4.6\ntorch==2.13.0+cpu\n") == ["torch==2.13.0+cpu"]


def test_constraints_pin_every_package_exactly() -> None:
    pins = [Requirement(line) for line in file_of_checkout("constraints.txt").splitlines()]
    assert [str(pin) for pin in pins if [one.operator for one in pin.specifier] != ["=="]] == []


def test_every_make_target_is_listed_by_make_help() -> None:
    lines = file_of_checkout("Makefile").splitlines()
    phony = next(line for line in lines if line.startswith(".PHONY:")).split()[1:]
    described = [line.partition(":")[0] for line in lines if "## " in line and not line.startswith("\t")]
    assert sorted(described) == sorted(phony)

"""The workflows of a forge and the conda recipe agree with the checkout. They run elsewhere; here they are read."""

from __future__ import annotations

import re
from typing import Any

import pytest
from packaging.requirements import Requirement

import vecload
from tests.meta.checkout import ROOT, file_of_checkout, settings

yaml = pytest.importorskip("yaml")

WORKFLOWS = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / ".github" / "workflows").glob("*.yml")}
CONDA_NAMES = {"torch": "pytorch", "isal": "python-isal"}


def jobs(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(WORKFLOWS[name])["jobs"]
    return found


def steps() -> list[dict[str, Any]]:
    return [step for name in WORKFLOWS for job in jobs(name).values() for step in job["steps"]]


def test_there_are_workflows() -> None:
    assert set(WORKFLOWS) == {"release.yml", "test.yml"}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_actions_are_pinned_by_hash_and_name_their_version(name: str) -> None:
    used = re.findall(r"uses: (.*)", WORKFLOWS[name])
    assert used
    assert [text for text in used if not re.fullmatch(r"[\w/.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", text)] == []


def test_an_action_has_one_hash() -> None:
    used = {text for source in WORKFLOWS.values() for text in re.findall(r"uses: (\S+)", source)}
    assert len(used) == len({text.partition("@")[0] for text in used})


@pytest.mark.parametrize("name", WORKFLOWS)
def test_jobs_have_few_rights_and_end(name: str) -> None:
    assert yaml.safe_load(WORKFLOWS[name])["permissions"] == {}
    for job in jobs(name).values():
        assert job["timeout-minutes"] <= 120
        assert set(job["permissions"].values()) == {"read"} or set(job["permissions"]) == {"id-token"}


def test_checkouts_keep_no_credentials() -> None:
    checkouts = [step for step in steps() if step.get("uses", "").startswith("actions/checkout")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_every_make_target_of_the_workflows_exists() -> None:
    targets = {target for step in steps() for target in re.findall(r"make ([\w-]+)", step.get("run", ""))}
    assert {"test", "core", "oldest", "docs", "wheel"} <= targets
    assert [target for target in targets if f"\n{target}:" not in file_of_checkout("Makefile")] == []


def test_python_versions_are_those_of_the_package() -> None:
    tested = {version for job in jobs("test.yml").values() for version in python_versions(job)}
    classifiers = settings()["project"]["classifiers"]
    declared = {text.rpartition(" ")[2] for text in classifiers if re.search(r"Python :: 3\.\d+$", text)}
    assert tested == declared
    assert (
        f">={min(declared, key=lambda text: int(text.partition('.')[2]))}" == settings()["project"]["requires-python"]
    )


def python_versions(job: dict[str, Any]) -> list[str]:
    versions: list[str] = job.get("strategy", {}).get("matrix", {}).get("python", [])
    return versions


def test_the_recipe_requires_what_the_package_requires() -> None:
    recipe = yaml.safe_load(file_of_checkout("conda/recipe.yaml"))
    assert recipe["context"]["version"] == vecload.__version__
    expected = {f"python {settings()['project']['requires-python']}"}
    for text in settings()["project"]["dependencies"]:
        requirement = Requirement(text)
        expected.add(f"{CONDA_NAMES.get(requirement.name, requirement.name)} {requirement.specifier}")
    assert set(recipe["requirements"]["run"]) == expected
    backend = Requirement(settings()["build-system"]["requires"][0])
    assert f"{backend.name} {backend.specifier}" in recipe["requirements"]["host"]
    (script,) = settings()["project"]["scripts"].items()
    assert recipe["build"]["python"]["entry_points"] == [" = ".join(script)]

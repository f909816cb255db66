"""Interrupted, limited and competing writers: a target is complete, old or new, without leftover files."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

if os.name != "posix":
    pytest.skip("needs fork", allow_module_level=True)

from tests.robustness.writers import FOLDERS, WRITERS, ForkServer, digest, fork_server

NAMES = sorted(WRITERS)
SAMPLE = ["aligned.safetensors", "convert.vec.gz", "native.safetensors", "pool.npy", "pooler", "vocab.json"]
KILLS = 200
NOBODY = 65534


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    with fork_server(tmp_path_factory.mktemp("sample"), SAMPLE) as found:
        yield found


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    with fork_server(tmp_path_factory.mktemp("every"), NAMES) as found:
        yield found


def left_over(folder: Path, name: str) -> list[str]:
    """Return the names in a folder other than the target and the files that `write` creates."""
    expected = (name, "old", f"{name}.words.json")  # the last has the words of a .npy file
    return sorted(path.name for path in folder.iterdir() if path.name not in expected)


def check_kills(found: ForkServer, names: list[str], folder: Path, times: int) -> None:
    rng = random.Random(times)
    for number in range(times):
        name = names[number % len(names)]
        place = folder / str(number)
        place.mkdir()
        found.run("killed", name, place / name, rng.uniform(0.001, 0.12))
        assert digest(place / name) in ("", *found.digests[name]), f"{name} is neither old nor new"
        assert len(left_over(place, name)) <= 1
        assert found.run("written", name, place / name) == "done"
        assert digest(place / name) == found.digests[name][1]
        assert left_over(place, name) == []


def test_two_sample_values_of_a_writer_give_different_files(sample: ForkServer) -> None:
    assert all(first != second for first, second in sample.digests.values())


def test_killed_writer_leaves_a_whole_target(sample: ForkServer, tmp_path: Path) -> None:
    check_kills(sample, SAMPLE, tmp_path, 2 * len(SAMPLE))


@pytest.mark.campaign
def test_every_writer_killed_at_random_moments_leaves_a_whole_target(every: ForkServer, tmp_path: Path) -> None:
    check_kills(every, NAMES, tmp_path, KILLS)


def check_limit(found: ForkServer, name: str, folder: Path, size: int) -> None:
    target = folder / name
    if name not in FOLDERS:
        assert found.run("written", name, target) == "done"
    before = digest(target)
    answer = found.run("limited", name, target, size)
    assert answer.startswith("OSError"), answer
    assert digest(target) == before
    assert left_over(folder, name) == []


@pytest.mark.parametrize("name", SAMPLE)
def test_full_disk_is_reported_and_keeps_the_old_file(name: str, sample: ForkServer, tmp_path: Path) -> None:
    check_limit(sample, name, tmp_path, 1000)


@pytest.mark.campaign
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [0, 100, 1000])
def test_every_writer_reports_a_full_disk(name: str, size: int, every: ForkServer, tmp_path: Path) -> None:
    check_limit(every, name, tmp_path, size)


@pytest.mark.campaign
@pytest.mark.parametrize("name", NAMES)
def test_every_writer_on_a_full_file_system(name: str, every: ForkServer, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("may not mount a small file system")
    try:
        answer = every.run("written", name, disk / name)
        assert answer == "done" or answer.startswith("OSError"), answer
        if answer != "done":
            assert digest(disk / name) == ""
        assert left_over(disk, name) == []
    finally:
        subprocess.run(["umount", disk], check=True)


def check_together(found: ForkServer, name: str, folder: Path, writers: int, times: int) -> None:
    assert found.run("together", name, folder / name, writers, times) == ["0"] * writers
    assert digest(folder / name) in found.digests[name]
    assert left_over(folder, name) == []


@pytest.mark.parametrize("name", SAMPLE)
def test_writers_of_one_target_succeed(name: str, sample: ForkServer, tmp_path: Path) -> None:
    check_together(sample, name, tmp_path, 3, 8)


# Two files cannot be replaced at once, so that an array with its words needs a single writer.
@pytest.mark.campaign
@pytest.mark.parametrize("name", [name for name in NAMES if name != "npy.npy"])
@pytest.mark.parametrize("writers", [2, 3, 4])
def test_all_writers_of_one_target_succeed(name: str, writers: int, every: ForkServer, tmp_path: Path) -> None:
    check_together(every, name, tmp_path, writers, 2 if name == "report.html" else 20)


def check_places(found: ForkServer, name: str, folder: Path) -> None:
    begin = time.monotonic()
    answer = found.run("written", name, folder / "missing" / name)
    assert answer.startswith("OSError"), answer
    assert "no such folder to write to" in answer
    assert not (folder / "missing").exists()
    if os.geteuid() == 0:
        (folder / "closed").mkdir(mode=0o755)
        answer = found.run("written", name, folder / "closed" / name, NOBODY)
    else:
        (folder / "closed").mkdir(mode=0o555)
        answer = found.run("written", name, folder / "closed" / name)
    assert answer.startswith("OSError"), answer
    assert list((folder / "closed").iterdir()) == []
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize("name", SAMPLE)
def test_missing_and_read_only_folders_are_reported(name: str, sample: ForkServer, tmp_path: Path) -> None:
    check_places(sample, name, tmp_path)


@pytest.mark.campaign
@pytest.mark.parametrize("name", NAMES)
def test_every_writer_reports_missing_and_read_only_folders(name: str, every: ForkServer, tmp_path: Path) -> None:
    check_places(every, name, tmp_path)

"""Tests of `atomic_write`: files and folders appear complete or not at all, even if the process is killed."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vecload.errors import OptionError
from vecload.sources import atomic_write


def test_atomic_write_keeps_the_old_file_on_error(tmp_path: Path) -> None:
    target = tmp_path / "v.txt"
    target.write_text("old")

    def fail() -> None:
        with atomic_write(target) as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [file.name for file in tmp_path.iterdir()] == ["v.txt"]
    assert target.read_text() == "old"


def test_atomic_write_follows_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("old")
    link = tmp_path / "link.txt"
    link.symlink_to("real.txt")
    with atomic_write(link) as part:
        part.write_text("new")
    assert link.is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


def test_atomic_write_of_a_file_refuses_a_directory(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="is a directory; choose the path of a file"), atomic_write(tmp_path):
        pass


def test_atomic_write_names_a_missing_folder(tmp_path: Path) -> None:
    with (
        pytest.raises(FileNotFoundError, match=r"no such folder to write to: '.*none'$"),
        atomic_write(tmp_path / "none/v"),
    ):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_atomic_write_keeps_the_old_file_if_killed(tmp_path: Path) -> None:
    target = tmp_path / "v.txt"
    target.write_text("old")
    code = (
        f"import time; from vecload.sources import atomic_write\nwith atomic_write({str(target)!r}) as part:\n"
        "    part.write_text('half'); print('ready', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert target.read_text() == "old"


def test_atomic_write_of_a_folder_never_replaces_one_with_content(tmp_path: Path) -> None:
    target = tmp_path / "model"
    for make in (lambda: None, target.mkdir):
        make()
        with atomic_write(target, folder=True) as part:
            (part / "sub").mkdir(parents=True)
            (part / "sub" / "file").write_text("new")
        assert (target / "sub" / "file").read_text() == "new"
        with pytest.raises(OptionError, match="is a directory that is not empty"), atomic_write(target, folder=True):
            pass
        assert (target / "sub" / "file").read_text() == "new"
        shutil.rmtree(target)
    target.mkdir()
    with pytest.raises(OptionError, match="is a directory"), atomic_write(target):
        pass
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("folder", [False, True])
def test_atomic_write_removes_the_work_folder_of_a_killed_process(folder: bool, tmp_path: Path) -> None:
    target = tmp_path / "v.[1]"
    code = (
        f"import time; from vecload.sources import atomic_write\nwith atomic_write({str(target)!r}, folder={folder}):\n"
        "    print('ready', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        others = tmp_path / ".v.[1].notes.part"
        others.write_text("a file of the user")
        with atomic_write(target, folder=folder) as part:
            part.mkdir() if folder else None
            parts = list(tmp_path.iterdir())
        process.send_signal(signal.SIGKILL)
    assert len(parts) == 3  # the folder of the running process is kept
    assert len(list(tmp_path.iterdir())) == 3
    with atomic_write(target, folder=folder) as part:
        part.mkdir(exist_ok=True) if folder else None
    assert {file.name for file in tmp_path.iterdir()} == {target.name, others.name}

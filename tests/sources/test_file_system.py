"""Files on Linux, macOS and Windows. Tests without a skip run on each; `windows` plays Windows on the other systems."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.builders import small_vectors
from vecload import convert, load
from vecload.errors import FormatError, OptionError
from vecload.sources import atomic, atomic_write, check_target, file_system

NAMES = ["北海道", "caf\u00e9", unicodedata.normalize("NFD", "café"), "with space", "🙂"]
ON_WINDOWS = sys.platform == "win32"


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the branches for Windows."""
    for module in (file_system, atomic):
        monkeypatch.setattr(module, "WINDOWS", True)
    monkeypatch.setattr(file_system, "RENAME_SECONDS", 0.2)


def refuse_rename(monkeypatch: pytest.MonkeyPatch, times: int) -> list[Path]:
    """Let the first renames fail as those over an open file do on Windows; return the targets."""
    seen: list[Path] = []
    rename = os.replace

    def replace(source: Path, target: Path) -> None:
        seen.append(Path(target))
        if len(seen) <= times:
            raise PermissionError(errno.EACCES, "Access is denied", str(source))
        rename(source, target)

    monkeypatch.setattr(os, "replace", replace)
    return seen


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("suffix", [".safetensors", ".txt", ".npz", ".csv.gz"])
def test_names_of_any_script_are_written_and_read(tmp_path, name, suffix):
    vectors = small_vectors(["cat", "北海道"], 3)
    target = tmp_path / name / (name + suffix)
    target.parent.mkdir()
    vectors.save(target)
    assert load(target)["北海道"].tolist() == vectors["北海道"].tolist()
    assert load(str(target)).meta["source"] == str(target)


@pytest.mark.skipif(sys.platform != "linux", reason="names that are not UTF-8 exist only on Linux")
def test_names_that_are_not_utf8_are_written_and_read(tmp_path):
    target = tmp_path / os.fsdecode(b"caf\xe9.txt")
    small_vectors(["cat"], 3).save(target)
    assert len(load(target)) == 1


def test_text_is_utf8_with_line_feeds_on_each_system(tmp_path):
    small_vectors(["北海道", "café"], 1).save(tmp_path / "v.txt")
    raw = (tmp_path / "v.txt").read_bytes()
    assert "北海道".encode() in raw
    assert b"\r" not in raw


def test_empty_file_is_not_mapped(tmp_path):
    (tmp_path / "v.bin").write_bytes(b"")
    with pytest.raises(FormatError):
        load(tmp_path / "v.bin")


def test_file_is_replaced_after_its_map_is_gone(tmp_path):
    target = tmp_path / "v.safetensors"
    small_vectors(["cat"], 3).save(target)
    for seed in range(3):
        load(target)  # not kept
        small_vectors(["dog"], 3, seed=seed).save(target)
    assert list(load(target)) == ["dog"]


@pytest.mark.skipif(ON_WINDOWS, reason="Windows does not rename over a mapped file")
def test_rename_over_mapped_file_keeps_the_map(tmp_path):
    target = tmp_path / "v.safetensors"
    old = small_vectors(["cat"], 3)
    old.save(target)
    mapped = load(target)
    small_vectors(["dog"], 3, seed=1).save(target)
    np.testing.assert_array_equal(mapped.matrix, old.matrix)
    assert list(load(target)) == ["dog"]


@pytest.mark.skipif(not ON_WINDOWS, reason="other systems rename over a mapped file")
def test_rename_over_mapped_file_names_the_cause(tmp_path):
    target = tmp_path / "v.safetensors"
    small_vectors(["cat"], 3).save(target)
    mapped = load(target)
    with pytest.raises(PermissionError, match="has this file open or mapped"):
        small_vectors(["dog"], 3, seed=1).save(target)
    assert list(mapped) == ["cat"]
    assert [file.name for file in tmp_path.iterdir()] == ["v.safetensors"]


def test_rename_is_tried_again_while_a_scanner_has_the_file(tmp_path, windows, monkeypatch):
    (tmp_path / "v.txt").write_text("old")
    seen = refuse_rename(monkeypatch, times=3)
    small_vectors(["cat"], 3).save(tmp_path / "v.txt")
    assert len(seen) == 4
    assert list(load(tmp_path / "v.txt")) == ["cat"]


def test_rename_over_open_file_fails_with_cause_on_windows(tmp_path, windows, monkeypatch):
    (tmp_path / "v.txt").write_text("old")
    refuse_rename(monkeypatch, times=1000)
    with pytest.raises(PermissionError, match=r"delete vectors that were loaded from it.*v\.txt"):
        convert(_source(tmp_path), tmp_path / "v.txt")
    assert (tmp_path / "v.txt").read_text() == "old"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["source.txt", "v.txt"]


@pytest.mark.skipif(ON_WINDOWS, reason="there, renames are tried again")
def test_rename_without_permission_fails_at_once_elsewhere(tmp_path, monkeypatch):
    seen = refuse_rename(monkeypatch, times=1000)
    with pytest.raises(PermissionError), atomic_write(tmp_path / "v.txt"):
        pass
    assert len(seen) == 1


def _source(folder: Path) -> Path:
    source = folder / "source.txt"
    source.write_text("cat 0.1\ndog 0.2\n")
    return source


def test_empty_folder_is_replaced(tmp_path, windows):
    (tmp_path / "v").mkdir()
    with atomic_write(tmp_path / "v", folder=True) as part:
        part.mkdir()
        (part / "a").touch()
    assert (tmp_path / "v" / "a").exists()


def test_folder_written_in_the_meantime_is_kept(tmp_path, windows):
    def write() -> None:
        with atomic_write(tmp_path / "v", folder=True) as part:
            part.mkdir()
            (tmp_path / "v").mkdir()
            (tmp_path / "v" / "theirs").touch()

    with pytest.raises(OptionError, match="written by another process in the meantime"):
        write()
    assert [file.name for file in (tmp_path / "v").iterdir()] == ["theirs"]


def test_work_folder_in_use_is_not_removed(tmp_path):
    with atomic_write(tmp_path / "café.txt") as first:
        first.write_text("first")
        with atomic_write(tmp_path / "café.txt") as second:
            second.write_text("second")
            assert first.exists()
        assert (tmp_path / "café.txt").read_text() == "second"
    assert (tmp_path / "café.txt").read_text() == "first"


@pytest.mark.parametrize("name", ["café.txt", "v.txt"])
def test_work_folder_of_killed_process_is_removed(tmp_path, name):
    code = (
        "import os, sys; from vecload.sources import atomic_write\n"
        "with atomic_write(sys.argv[1]) as part: part.write_text('half'); os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / name)], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    with atomic_write(tmp_path / name) as part:
        part.write_text("whole")
    assert [composed.name for composed in _composed(tmp_path)] == [name]


def _composed(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        yield path.with_name(unicodedata.normalize("NFC", path.name))


@pytest.mark.parametrize("lock", [True, False])
def test_abandoned_work_folder_of_windows_is_removed(tmp_path, windows, lock):
    work = tmp_path / ".v.txt.0123abcd.part"
    work.mkdir()
    if lock:
        (work / ".lock").touch()
        (work / "v.txt").write_text("half")
    with atomic_write(tmp_path / "v.txt") as part:
        assert (part.parent / ".lock").exists()
        part.write_text("whole")
    assert [file.name for file in tmp_path.iterdir()] == ["v.txt"]


def test_locked_work_folder_of_windows_is_kept(tmp_path, windows, monkeypatch):
    work = tmp_path / ".v.txt.0123abcd.part"
    work.mkdir()
    (work / ".lock").touch()
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path.parent == work:
            raise PermissionError(errno.EACCES, "The process cannot access the file", str(path))
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    with atomic_write(tmp_path / "v.txt") as part:
        part.write_text("whole")
    assert (work / ".lock").exists()


def test_work_folder_of_decomposed_name_is_removed(tmp_path):
    # HFS+ lists names with decomposed letters.
    work = tmp_path / unicodedata.normalize("NFD", ".café.txt.0123abcd.part")
    work.mkdir()
    if ON_WINDOWS:
        (work / ".lock").touch()
    with atomic_write(tmp_path / unicodedata.normalize("NFC", "café.txt")) as part:
        part.write_text("whole")
    assert not work.exists()


@pytest.mark.skipif(ON_WINDOWS, reason="fcntl is a module of POSIX")
def test_macos_flushes_the_cache_of_the_disk(tmp_path, monkeypatch):
    calls: list[object] = []
    monkeypatch.setattr(file_system.fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(file_system.fcntl, "fcntl", lambda number, command: calls.append(command))
    monkeypatch.setattr(os, "fsync", lambda number: calls.append("fsync"))
    small_vectors(["cat"], 3).save(tmp_path / "v.txt")
    assert calls == [51, 51]  # the file, and its folder

    def fails(number: int, command: int) -> None:
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr(file_system.fcntl, "fcntl", fails)
    file_system.flush_file(1)
    assert calls[2:] == ["fsync"]


def test_windows_counts_code_units_of_names(windows):
    assert not file_system.name_is_too_long("北" * 250, ".")
    assert not file_system.name_is_too_long("🙂" * 127, ".")
    assert file_system.name_is_too_long("🙂" * 128, ".")


def test_too_long_name_is_refused_before_writing(tmp_path):
    with pytest.raises(OSError, match=os.strerror(errno.ENAMETOOLONG)):
        check_target(tmp_path / ("x" * 300 + ".txt"))


def test_locks_of_downloads_work_on_each_system(tmp_path):
    from filelock import FileLock, Timeout

    with FileLock(tmp_path / ".v.lock"), contextlib.ExitStack() as held, pytest.raises(Timeout):
        held.enter_context(FileLock(tmp_path / ".v.lock", timeout=0, is_singleton=False))

"""Errors of the disk name the path that the user gave, not a temporary one."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

import vecload
from vecload.sources import atomic_write

resource = pytest.importorskip("resource")  # POSIX

# A limit on the size of files stands for a full disk: a write ends with an error that names no file. It is larger than
# the files in which numba caches compiled code.
LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))
sys.argv = ["vecload", *sys.argv[1:]]
from vecload.cli import main
main()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    values = " 0.0625" * 50
    (tmp_path / "a.vec").write_text("".join(f"w{at}{values}\n" for at in range(20_000)))
    (tmp_path / "words.txt").write_text("".join(f"w{at}\n" for at in range(20_000)))
    return tmp_path


@pytest.mark.parametrize(
    ("command", "output"),
    [
        ("convert a.vec -o o.txt", "o.txt"),
        ("convert a.vec -o o.safetensors", "o.safetensors"),
        ("transform a.vec -o t.vec --step unit", "t.vec"),
        ("embed a.vec --vocab words.txt -o e.safetensors", "e.safetensors"),
        ("pool a.vec words.txt -o p.npy", "p.npy"),
    ],
)
def test_full_disk_error_names_the_path_of_the_user(command: str, output: str, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *command.split()],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"vecload: {output}: {os.strerror(errno.EFBIG)}"
    assert not [path for path in folder.iterdir() if path.name.endswith(".part")]


def test_error_about_the_temporary_path_names_the_target(tmp_path: Path) -> None:
    with pytest.raises(PermissionError) as caught, atomic_write(tmp_path / "o.txt") as part:
        raise PermissionError(errno.EACCES, "Permission denied", str(part))
    assert caught.value.filename == str(tmp_path / "o.txt")


def test_error_about_an_input_keeps_its_path(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"in\.vec") as caught, atomic_write(tmp_path / "o.txt"):
        raise OSError(errno.EIO, "Input/output error", "in.vec")
    assert caught.value.filename == "in.vec"
    with pytest.raises(OSError, match="Input/output") as caught, atomic_write(tmp_path / "o.txt"):
        raise OSError(errno.EIO, "Input/output error")
    assert caught.value.filename is None


def test_full_disk_error_of_save_names_the_path(folder: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    vectors = vecload.load(folder / "a.vec")
    import signal

    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, hard))
    try:
        with pytest.raises(OSError, match="too large") as caught:
            vectors.save(folder / "o.npz")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert caught.value.filename == str(folder / "o.npz")

"""`replacing`: files and folders appear whole or not at all."""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from vecload.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], *, folder: bool = False) -> Iterator[Path]:
    """A temporary neighbour of `path` to write to; it takes the name when the block ends well, else it goes.

    The bytes are on the disk before the name changes, so after a crash `path` is the old file or the new one, whole.
    What a killed process left behind is removed by the next that writes the same target: a lock tells it from the
    neighbour of one that is still at work.

    Parameters
    ----------
    path
        The file to be.
    folder
        Whether it is a folder instead, which the block makes. One that holds anything is never replaced.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "vectors.txt"
    >>> with replacing(target) as part:
    ...     _ = part.write_text("cat 0.1")
    >>> target.read_text()
    'cat 0.1'
    """
    target = Path(os.path.realpath(path))  # through a link, not over it
    if not target.parent.is_dir():
        raise FileNotFoundError(2, "no such folder to write to", str(target.parent))
    if target.exists() and target.is_dir() != folder:
        there, asked = ("file", "folder") if folder else ("directory", "file")
        raise OptionError(f"{path} is a {there}: name the {asked} to write")
    if folder and target.exists() and any(target.iterdir()):
        raise OptionError(
            f"{path} is a folder with something in it: name one that is not there yet, or remove it first"
        )
    for left in target.parent.glob(f".{glob.escape(target.name)}.????????.part"):
        lock = _locked(left)
        if lock is not None:
            with lock:
                _remove(left)
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    made = part / target.name if folder else part
    if folder:
        part.mkdir()
    else:
        part.open("xb").close()  # never over somebody's file, and with the permissions the umask gives
    with _locked(part) or contextlib.nullcontext():
        try:
            yield made
            for written in (made, *made.rglob("*")):
                _sync(written)
            made.replace(target)
            if folder:
                part.rmdir()
        except BaseException:
            _remove(part)
            raise


def _locked(path: Path) -> contextlib.AbstractContextManager[object] | None:
    """Hold the file or folder until closed, or None if another process holds it. Without locks, nobody does."""
    try:
        import fcntl
    except ImportError:  # Windows: there, an open file cannot be removed anyway
        return contextlib.nullcontext()
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    held = contextlib.ExitStack()
    held.callback(os.close, handle)
    return held


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    if path.is_file():
        with path.open("rb+") as written:
            os.fsync(written.fileno())

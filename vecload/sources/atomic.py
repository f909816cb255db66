"""`atomic_write`: write files and folders that appear complete or not at all.

The content is written to a temporary path in the same folder, flushed to the disk with fsync, and renamed. A rename
within a file system is atomic (POSIX), so other processes see the old file or the new one, and so do readers after a
crash, because the content is on the disk before the name changes.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from vecload.errors import OptionError
from vecload.sources.file_system import (
    WINDOWS,
    claim_folder,
    composed,
    flush_file,
    is_abandoned,
    make_private_folder,
    replace_path,
    sync_folder,
)
from vecload.sources.targets import check_target

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST_STEM = 200  # bytes: with the characters around it, a work folder's name must stay below the usual limit, 255


@contextlib.contextmanager
def atomic_write(
    path: str | os.PathLike[str],
    *,
    folder: bool = False,
    suffixes: tuple[str, ...] = (),
    beside: tuple[str, ...] = (),
) -> Iterator[Path]:
    """Yield a temporary path to write to; rename it to `path` on success, remove it on error.

    After a crash, `path` is the complete old file or the complete new one. Several processes may write one target at
    the same time: the last one to finish wins.

    Parameters
    ----------
    path
        The target. Symbolic links are followed. The new file gets the permissions of the file that it replaces and, if
        this process may set it, its owner.
    folder
        Whether the target is a folder, which the ``with`` block creates. A folder with content is never replaced.
    suffixes
        Suffixes that the target's name must end in; empty for any.
    beside
        Endings of the names of files that belong to the target, after its own name. The block may write them next to
        the temporary path. They are put next to the target; those of an older target are removed.

    Raises
    ------
    OptionError, OSError
        As `vecload.sources.check_target` does, before anything is written.

    Notes
    -----
    The temporary path is in a hidden work folder next to the target. The process holds a lock on that folder. If it is
    killed, the system releases the lock, and the next process that writes the same target removes the folder.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "vectors.txt"
    >>> with atomic_write(target) as part:
    ...     _ = part.write_text("cat 0.1")
    >>> target.read_text()
    'cat 0.1'
    """
    check_target(path, folder=folder, suffixes=suffixes)
    target = Path(os.path.realpath(path))
    for suffix in beside:
        check_target(f"{target}{suffix}")
    stem = _stem(target.name)
    _remove_abandoned(target.parent, stem)
    work = target.with_name(f".{stem}.{secrets.token_hex(4)}.part")
    with contextlib.ExitStack() as held:
        try:
            _claim(work, held)
            part = work / target.name
            if not folder:
                # The umask determines the permissions, whichever library opens the file for writing.
                part.touch()
            yield part
            _finish(part, target, folder=folder, beside=beside)
        except OSError as error:
            _name_target(error, work, path)
            raise
        finally:
            if WINDOWS:  # the lock is an open file in the folder
                held.close()
            shutil.rmtree(work, ignore_errors=True)
    sync_folder(target.parent)


def _name_target(error: OSError, work: Path, path: str | os.PathLike[str]) -> None:
    """Put the user's path into an error that names the temporary path, or no path because the disk is full."""
    hidden = error.filename is not None and str(error.filename).startswith(str(work))
    # Only writing raises these errors. Others without a path may be about an input that is read in the same block.
    full = error.filename is None and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    if hidden or full:
        error.filename, error.filename2 = os.fspath(path), None


def _stem(name: str) -> str:
    """Return the name to use in a target's work folders: its own, or a digest if that would be too long."""
    raw = os.fsencode(name)
    return name if len(raw) <= _LONGEST_STEM else hashlib.sha256(raw).hexdigest()[:32]


def _claim(work: Path, held: contextlib.ExitStack) -> None:
    """Create a work folder and lock it until `held` is closed."""
    while True:
        make_private_folder(work)
        with contextlib.ExitStack() as opened:
            if claim_folder(work, opened):
                held.push(opened.pop_all())
                return


def _remove_abandoned(parent: Path, stem: str) -> None:
    """Remove the work folders of killed processes, which no process has locked."""
    ours = re.compile(rf"\.{re.escape(composed(stem))}\.[0-9a-f]{{8}}\.part")
    with contextlib.suppress(PermissionError):  # a folder that is writable, but not readable
        for work in filter(lambda path: ours.fullmatch(composed(path.name)), parent.iterdir()):
            with contextlib.ExitStack() as held, contextlib.suppress(OSError):
                if is_abandoned(work, held):
                    shutil.rmtree(work, ignore_errors=True)


def _finish(part: Path, target: Path, *, folder: bool, beside: tuple[str, ...]) -> None:
    """Flush the written files to the disk, and rename them to the target.

    A target with files beside it cannot be replaced by one rename. So an older target of that kind is removed first,
    and the new one is renamed last: at no time is there a target with the files of another one.
    """
    sides = [(Path(f"{part}{suffix}"), Path(f"{target}{suffix}")) for suffix in beside]
    new = [(written, side) for written, side in sides if written.exists()]
    for written in (part, *part.rglob("*"), *(written for written, _ in new)):
        if written.is_dir():
            sync_folder(written)
        else:
            with written.open("rb+") as file:
                flush_file(file.fileno())
    if not folder and target.exists():
        _copy_ownership(target.stat(), part)
    for written, side in new:
        if side.exists():
            _copy_ownership(side.stat(), written)
            target.unlink(missing_ok=True)
            sync_folder(target.parent)
        replace_path(written, side)
    try:
        replace_path(part, target)
    except OSError as error:
        if folder and error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise OptionError(f"{target} was written by another process in the meantime; choose a new folder") from None
        raise
    for written, side in sides:
        if (written, side) not in new:
            side.unlink(missing_ok=True)


def _copy_ownership(replaced: os.stat_result, part: Path) -> None:
    """Give a file the permissions of the file it replaces and, if this process may set them, its owner and group."""
    # Owner and group are set separately, because a process may be allowed to set the group but not the owner.
    if hasattr(os, "chown"):
        for owner in ((-1, replaced.st_gid), (replaced.st_uid, -1)):
            with contextlib.suppress(OSError):
                os.chown(part, *owner)
    with contextlib.suppress(OSError):  # file systems without permissions
        part.chmod(stat.S_IMODE(replaced.st_mode))

"""`atomic_write`: files and folders appear whole or not at all."""

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
from vecload.sources.targets import check_target

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST_STEM = 200  # bytes of the target's name that the name of its work folder repeats


@contextlib.contextmanager
def atomic_write(
    path: str | os.PathLike[str], *, folder: bool = False, suffixes: tuple[str, ...] = ()
) -> Iterator[Path]:
    """Yield a temporary path to write to; rename it to `path` on success, remove it on error.

    The bytes are on the disk before the name changes, so after a crash `path` is the old file or the new one, whole.
    Several processes may write one target at the same time: the last one wins.

    Parameters
    ----------
    path
        The target. A symbolic link is followed. A file that is replaced passes on its permissions and, where this
        process may set it, its owner.
    folder
        Whether the target is a folder, which the block creates. A folder with content is never replaced.
    suffixes
        Suffixes that the target's name must end in; empty for any.

    Raises
    ------
    OptionError, OSError
        As `vecload.sources.check_target` does, before anything is written.

    Notes
    -----
    The path is in a hidden work folder next to the target. A lock on that folder tells one in use from one that a
    killed process left; the next process that writes the same target removes the latter.

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
    stem = _stem(target.name)
    _remove_abandoned(target.parent, stem)
    work = target.with_name(f".{stem}.{secrets.token_hex(4)}.part")
    with contextlib.ExitStack() as held:
        try:
            _claim(work, held)
            part = work / target.name
            if not folder:
                part.touch()  # so that its permissions are those of the umask, whichever library writes it
            yield part
            _finish(part, target, folder=folder)
        except OSError as error:
            _name_target(error, work, path)
            raise
        finally:
            shutil.rmtree(work, ignore_errors=True)
    sync_folder(target.parent)


def _name_target(error: OSError, work: Path, path: str | os.PathLike[str]) -> None:
    """Name the user's path in an error that names a temporary one, or none because the disk is full."""
    hidden = error.filename is not None and str(error.filename).startswith(str(work))
    # Only writing raises these. Others without a name may come from an input that is read in the same block.
    full = error.filename is None and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    if hidden or full:
        error.filename, error.filename2 = os.fspath(path), None


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system can."""
    if os.name != "posix":
        return
    try:
        number = os.open(folder, os.O_RDONLY)
    except PermissionError:  # a folder that may be written to, but not listed
        return
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems that cannot do it for folders
            raise
    finally:
        os.close(number)


def _stem(name: str) -> str:
    """Return what work folders of a target are named after: its name, or a digest where that would be too long."""
    raw = os.fsencode(name)
    return name if len(raw) <= _LONGEST_STEM else hashlib.sha256(raw).hexdigest()[:32]


def _claim(work: Path, held: contextlib.ExitStack) -> None:
    """Create a work folder and lock it until `held` is closed.

    Another process may remove the folder before it is locked, taking it for one that was left over. It holds the lock
    while it does so. This process therefore waits for the lock, then looks whether the folder is still there.
    """
    while True:
        work.mkdir(mode=0o700)
        with contextlib.ExitStack() as opened:
            try:
                number = _locked(work, opened, wait=True)
                there = number is None or os.path.samestat(os.fstat(number), work.stat())
            except FileNotFoundError:
                there = False
            if there:
                held.push(opened.pop_all())
                return


def _locked(work: Path, held: contextlib.ExitStack, *, wait: bool) -> int | None:
    """Open a folder and lock it until `held` is closed; return None where there are no locks.

    Raises
    ------
    BlockingIOError
        If another process holds the lock and this one does not wait.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    number = os.open(work, os.O_RDONLY)
    held.callback(os.close, number)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        raise
    except OSError:  # a file system without locks
        return None
    return number


def _remove_abandoned(parent: Path, stem: str) -> None:
    """Remove the work folders of killed processes, which nobody has locked."""
    ours = re.compile(rf"\.{re.escape(stem)}\.[0-9a-f]{{8}}\.part")
    with contextlib.suppress(PermissionError):  # a folder that may be written to, but not listed
        for work in filter(lambda path: ours.fullmatch(path.name), parent.iterdir()):
            with contextlib.ExitStack() as held, contextlib.suppress(OSError):
                if _locked(work, held, wait=False) is not None:
                    shutil.rmtree(work, ignore_errors=True)


def _finish(part: Path, target: Path, *, folder: bool) -> None:
    """Bring what was written to the disk, and rename it."""
    for written in (part, *part.rglob("*")):
        if written.is_dir():
            sync_folder(written)
        else:
            with written.open("rb+") as file:
                os.fsync(file.fileno())
    if not folder and target.exists():
        _pass_on(target.stat(), part)
    try:
        part.replace(target)
    except OSError as error:
        if folder and error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise OptionError(f"{target} was written by another process in the meantime; choose a new folder") from None
        raise


def _pass_on(replaced: os.stat_result, part: Path) -> None:
    """Give a file the owner, as far as this process may, and the permissions of the one it replaces."""
    if hasattr(os, "chown"):
        for owner in ((-1, replaced.st_gid), (replaced.st_uid, -1)):
            with contextlib.suppress(OSError):
                os.chown(part, *owner)
    with contextlib.suppress(OSError):  # file systems without permissions
        part.chmod(stat.S_IMODE(replaced.st_mode))

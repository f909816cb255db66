"""Operations on files that differ between Linux, macOS and Windows: flush, rename, lock a folder, limit a name.

- Linux and macOS rename over a file that is open or mapped. Windows refuses that, and also for a moment after a file is
  closed, while a virus scanner or indexer reads it.
- ``fsync`` of macOS leaves the data in the cache of the disk; ``F_FULLFSYNC`` writes it out.
- Windows cannot flush folders or lock them. There, an open file in the folder is the lock: it cannot be removed.
- Linux limits the bytes of a name, Windows its UTF-16 code units, and HFS+ of macOS decomposes accented letters.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
import unicodedata
from typing import TYPE_CHECKING, Any

try:
    import fcntl as _fcntl
except ImportError:  # Windows
    fcntl: Any = None
else:
    fcntl = _fcntl

if TYPE_CHECKING:
    from pathlib import Path

WINDOWS = os.name == "nt"

RENAME_SECONDS = 2.0
"""Seconds for which Windows tries a rename again while another program has the file open."""
_LOCK = ".lock"


def flush_file(number: int) -> None:
    """Flush an open file to the disk."""
    full = getattr(fcntl, "F_FULLFSYNC", None)  # macOS
    if full is not None:
        with contextlib.suppress(OSError):  # a file system without it, such as that of a network
            fcntl.fcntl(number, full)
            return
    os.fsync(number)


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk, if the system supports it."""
    if WINDOWS:
        return
    try:
        number = os.open(folder, os.O_RDONLY)
    except PermissionError:  # a folder that is writable, but not readable
        return
    try:
        flush_file(number)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems without fsync for folders
            raise
    finally:
        os.close(number)


def replace_path(part: Path, target: Path) -> None:
    """Rename a file or folder; an existing file, or an empty folder, is replaced.

    Raises
    ------
    PermissionError
        If Windows does not replace the file because it is open or mapped in a process.
    """
    if WINDOWS and target.is_dir():  # raises if it is not empty, as a rename does elsewhere
        target.rmdir()
    deadline, wait = time.monotonic() + RENAME_SECONDS, 0.01
    while True:
        try:
            os.replace(part, target)  # noqa: PTH105 - patched in tests
        except PermissionError as error:
            if not WINDOWS:
                raise
            if time.monotonic() > deadline:
                reason = (
                    "a program has this file open or mapped, and Windows does not replace such files; "
                    "close it there, delete vectors that were loaded from it, or choose another path"
                )
                raise PermissionError(errno.EACCES, reason, str(target)) from error
        else:
            return
        time.sleep(wait)
        wait *= 2


def make_private_folder(folder: Path) -> None:
    """Create a folder that other users cannot list."""
    # Windows would give the access rights of such a folder to the files that are made in it and moved out later.
    folder.mkdir(mode=0o777 if WINDOWS else 0o700)


def claim_folder(folder: Path, held: contextlib.ExitStack) -> bool:
    """Lock a new folder until `held` is closed; return False if it was removed before that.

    Before the folder is locked, another process may mistake it for an abandoned one, lock it and remove it.
    """
    try:
        if WINDOWS:
            held.enter_context((folder / _LOCK).open("xb"))
            return True
        number = _locked(folder, held, wait=True)
        return number is None or os.path.samestat(os.fstat(number), folder.stat())
    except FileNotFoundError:
        return False


def is_abandoned(folder: Path, held: contextlib.ExitStack) -> bool:
    """Return whether no process has locked a folder, and lock it until `held` is closed.

    Raises
    ------
    OSError
        If a process has locked it, or it was removed.
    """
    if not WINDOWS:
        return _locked(folder, held, wait=False) is not None
    try:
        (folder / _LOCK).unlink()
    except FileNotFoundError:
        folder.rmdir()  # succeeds only if it is empty; a process that just made it makes another one
    return True


def _locked(folder: Path, held: contextlib.ExitStack, *, wait: bool) -> int | None:
    """Open a folder and lock it until `held` is closed; return None if the file system has no locks.

    Raises
    ------
    BlockingIOError
        If another process holds the lock and `wait` is false.
    """
    number = os.open(folder, os.O_RDONLY)
    held.callback(os.close, number)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        raise
    except OSError:  # a file system without locks
        return None
    return number


def composed(name: str) -> str:
    r"""Return a name with composed letters, to compare one that a folder lists with one that was written.

    Examples
    --------
    >>> composed("cafe\u0301.vec") == composed("caf\u00e9.vec")
    True
    """
    return unicodedata.normalize("NFC", name)


def name_is_too_long(name: str, folder: str) -> bool:
    """Return whether the file system of a folder cannot store a name."""
    if WINDOWS:
        return len(name.encode("utf-16-le", "surrogatepass")) // 2 > 255
    try:
        longest = os.pathconf(folder, "PC_NAME_MAX")
    except (OSError, ValueError):  # file systems without this value
        longest = 255
    return len(os.fsencode(name)) > longest

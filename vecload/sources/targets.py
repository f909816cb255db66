"""Check outputs before anything is read or computed.

All writers call `check_target`. It makes sure that no output replaces an input, a device, or a file that the user did
not want to replace. A mistake in a path is reported before the work begins, not after it.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
import stat
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from vecload.errors import OptionError
from vecload.sources.file_system import name_is_too_long

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Input = str | os.PathLike[str] | IO[bytes]

_DESCRIPTOR = re.compile(r"(?:/dev|/proc/self)/(?:fd/(\d+)|(stdout)|(stderr))")
_LOCAL_URL = re.compile(r"(?:file|local)://(.*)")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://|[a-z]+::")
_KINDS = {
    stat.S_IFBLK: "a block device",
    stat.S_IFCHR: "a character device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}
_STREAMS = (stat.S_IFCHR, stat.S_IFIFO)


def check_target(
    path: str | os.PathLike[str],
    *,
    inputs: Iterable[Input] = (),
    folder: bool = False,
    streams: bool = False,
    overwrite: bool = True,
    suffixes: tuple[str, ...] = (),
) -> None:
    """Check that `path` can be written and that writing it destroys nothing.

    Nothing is created or changed. `atomic_write` makes the same checks again when the writing begins.

    Parameters
    ----------
    path
        The file or folder to be written.
    inputs
        Sources of the output: paths, archive members, URLs or open files. The target must not be one of them under any
        name or link, nor the archive that contains one.
    folder
        Whether a folder is to be written. An existing folder must be empty.
    streams
        Whether the content can be written to a pipe or a character device. Block devices and sockets are never allowed.
    overwrite
        Whether an existing file may be replaced.
    suffixes
        Suffixes that the file's name must end in; empty for any.

    Raises
    ------
    OptionError
        If the target is an input, exists and may not be replaced, is a hard link or not a regular file, or has another
        suffix.
    OSError
        If its folder is missing or not writable, or links form a loop.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp(), "vectors.txt")
    >>> _ = target.write_text("cat 0.1")
    >>> check_target(target, inputs=["other.txt"])
    >>> check_target(target, inputs=[target])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    vecload.errors.OptionError: ...vectors.txt is also an input; choose another output
    """
    name = os.fspath(path)
    if not name:
        raise OptionError("the output has an empty name")
    if suffixes and not name.casefold().endswith(suffixes):
        raise OptionError(f"{name} does not end in {' or '.join(suffixes)}, the format that will be written")
    # Inputs are compared by device and inode, so links and different spellings of a path are recognized.
    status = _status(name)
    if status is not None:
        _check_inputs(name, status, inputs)
    if descriptor_of(name) is not None or (status is not None and stat.S_IFMT(status.st_mode) in _KINDS):
        _check_stream(name, status, streams=streams and not folder)
        return
    real = os.path.realpath(name)
    if status is None:
        _check_parent(real)
    elif stat.S_ISDIR(status.st_mode):
        _check_folder(name, real, folder=folder)
    else:
        _check_file(name, real, status, folder=folder, overwrite=overwrite)


def check_outputs_differ(paths: Iterable[str | os.PathLike[str]]) -> None:
    """Check that no two outputs of one command are the same file.

    Raises
    ------
    OptionError
        If an output occurs twice; the message names it.
    """
    seen: set[str] = set()
    for path in paths:
        real = os.path.realpath(path)
        if real in seen:
            raise OptionError(f"{os.fspath(path)} is used for two outputs; choose another path for one of them")
        seen.add(real)


def check_inputs(inputs: Iterable[Input]) -> None:
    """Check that the files among the inputs exist and can be read, without reading them.

    Raises
    ------
    OptionError
        If standard input is named twice: it can be read only once.
    FileNotFoundError, PermissionError
        For the first file that does not exist, or cannot be read.
    """
    inputs = list(inputs)
    if sum(isinstance(source, (str, os.PathLike)) and os.fspath(source) == "-" for source in inputs) > 1:
        raise OptionError("standard input (-) is used for two inputs, but can be read only once; use a file for one")
    for source in inputs:
        path = _path_of(source)
        if path is None:
            continue
        found = _holder(path)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, "no such file", os.fspath(path))
        if not os.access(found, os.R_OK):
            raise PermissionError(errno.EACCES, "cannot be read", os.fspath(found))


def descriptor_of(path: str | os.PathLike[str]) -> int | None:
    """Return the number of the open file that a path such as ``/dev/stdout`` refers to.

    Examples
    --------
    >>> descriptor_of("/dev/stdout"), descriptor_of("/dev/fd/3"), descriptor_of("out.txt")
    (1, 3, None)
    """
    found = _DESCRIPTOR.fullmatch(os.path.normpath(path))
    if found is None:
        return None
    return int(found[1]) if found[1] else 1 if found[2] else 2


def _status(name: str) -> os.stat_result | None:
    """Return the status of a file, following links, or None if it does not exist."""
    number = descriptor_of(name)
    try:
        return os.stat(name) if number is None else os.fstat(number)  # noqa: PTH116 - also of "", which Path makes "."
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.EBADF:
            return None
        if error.errno == errno.ELOOP:
            raise OptionError(f"{name} is a symbolic link that points back to itself; choose another output") from error
        raise


def _check_inputs(name: str, status: os.stat_result, inputs: Iterable[Input]) -> None:
    target = status.st_dev, status.st_ino
    if stat.S_ISCHR(status.st_mode):  # reading from and writing to the same terminal destroys nothing
        return
    for source in inputs:
        if any((one.st_dev, one.st_ino) == target for one in _read_for(source)):
            raise OptionError(f"{name} is also an input; choose another output")


def _check_stream(name: str, status: os.stat_result | None, *, streams: bool) -> None:
    kind = stat.S_IFREG if status is None else stat.S_IFMT(status.st_mode)
    if not streams or (kind in _KINDS and kind not in _STREAMS):
        what = _KINDS.get(kind, "an open file")
        raise OptionError(f"{name} is {what}, which this output cannot be written to; choose a file")
    if status is None:
        raise OptionError(f"{name} is not open; choose a file")


def _check_folder(name: str, real: str, *, folder: bool) -> None:
    if not folder:
        raise OptionError(f"{name} is a directory; choose the path of a file")
    if any(Path(real).iterdir()):
        raise OptionError(f"{name} is a directory that is not empty; choose a new one, or remove it first")
    _check_parent(real)


def _check_file(name: str, real: str, status: os.stat_result, *, folder: bool, overwrite: bool) -> None:
    if folder:
        raise OptionError(f"{name} is a file; choose the path of a directory")
    if not overwrite:
        raise OptionError(f"{name} already exists; use --force to replace it")
    # A rename would replace one of the links, and the others would keep the old content.
    if status.st_nlink > 1:
        links = f"{status.st_nlink} hard links to a file"
        raise OptionError(f"{name} is one of {links}, and replacing it would separate them; choose another output")
    if not os.access(real, os.W_OK):
        raise PermissionError(errno.EACCES, "is read-only", name)
    _check_parent(real, status)


def _check_parent(real: str, replaced: os.stat_result | None = None) -> None:
    """Check that a file can be created in the target's folder, and renamed over the one it replaces."""
    parent = os.path.dirname(real)  # noqa: PTH120 - a string as given
    if not os.path.isdir(parent):  # noqa: PTH112
        raise FileNotFoundError(errno.ENOENT, "no such folder to write to", parent)
    if not os.access(parent, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "this folder cannot be written to", parent)
    if name_is_too_long(os.path.basename(real), parent):  # noqa: PTH119
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), real)
    if replaced is None or not hasattr(os, "geteuid"):
        return
    # In a folder with the sticky bit, such as /tmp, only the owner of a file (or of the folder) may rename over it.
    above = os.stat(parent)  # noqa: PTH116
    if above.st_mode & stat.S_ISVTX and os.geteuid() not in (0, above.st_uid, replaced.st_uid):
        raise PermissionError(
            errno.EPERM, "belongs to another user, and only the owner can replace it in this folder", real
        )


def _path_of(source: Any) -> Path | None:
    """Return the local path that a source is read from, if it has one."""
    if not isinstance(source, (str, os.PathLike)):
        return None
    name = os.fspath(source)
    local = _LOCAL_URL.fullmatch(name.rpartition("::")[2])
    if local is not None:
        return Path(local[1])
    return None if name == "-" or (isinstance(source, str) and _URL.match(name)) else Path(name)


def _holder(path: Path) -> Path | None:
    """Return the path itself if it exists, else the archive if the path names a member of one."""
    if path.exists():
        return path
    return next((parent for parent in path.parents if parent.is_file()), None)


def _read_for(source: Input) -> Iterator[os.stat_result]:
    """Yield the status of every file that reading a source may open."""
    path = _path_of(source)
    if path is None:
        stdin = isinstance(source, (str, os.PathLike)) and os.fspath(source) == "-"
        file: Any = sys.stdin if stdin else source
        try:
            yield os.fstat(file.fileno())
        except (AttributeError, OSError, ValueError):  # not a file of the operating system, such as io.BytesIO
            return
        return
    found = _holder(path)
    if found is None:
        return
    yield found.stat()
    # A folder is read as a whole. gensim stores large arrays in files "NAME.*.npy" next to the file NAME, and the words
    # of an array NAME are in "NAME.words.json".
    name = _escaped(found.name)
    beside = [found.parent.glob(f"{name}.{end}") for end in ("*.npy", "words.json")]
    for one in found.rglob("*") if found.is_dir() else itertools.chain(*beside):
        try:
            yield one.stat()
        except OSError:  # a dangling link
            continue


def _escaped(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)

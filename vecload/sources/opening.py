"""`open_source`: make a `Source` from a path, URL, archive member or open file."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

from vecload.errors import FormatError, MissingDependencyError, OptionError, as_format_errors, install_command, require
from vecload.sources.archives import candidates, detect_archive, several_members
from vecload.sources.compression import decompressed
from vecload.sources.extraction import Selection, open_extracted
from vecload.sources.stream import Source
from vecload.sources.tar_archives import TarArchive
from vecload.sources.zip_archives import ZipArchive, holds_arrays

if TYPE_CHECKING:
    from collections.abc import Callable

    from vecload.sources.archives import Archive
    from vecload.sources.extraction import Choose

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://|[a-z]+::")
_HEAD = 512  # bytes that identify a compression or an archive
_ARCHIVE = re.compile(r"\.(?:zip|tgz|tar(?:\.\w+)?)(?=/.)", re.IGNORECASE)


def open_source(
    source: str | os.PathLike[str] | IO[bytes], *, folders: bool = False, choose: Choose | None = None
) -> Source:
    """Open a source of bytes, and decompress it.

    Parameters
    ----------
    source
        A path; a URL of any file system that fsspec knows (extra "remote"); ``-`` for standard input; a member of a zip
        or tar archive as ``archive.zip/member``; or a file opened in binary mode, which is left open. gzip, bzip2, xz,
        lzma, lz4, zstd, zip and tar are detected from the first bytes. For an archive of one file, the member can be
        omitted.
    folders
        Whether to accept a folder: its source has no bytes, only a `path`.
    choose
        A function that chooses what to open in an archive. Without one, it is the file that was named, or the only one
        that does not merely describe the archive, as README and LICENSE do.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        For a directory, a damaged archive, an archive of several members if none is named, and a member whose name
        points outside its folder.
    OSError
        If an archive must be written to the temporary folder, which does not have enough space.
    MissingDependencyError
        For a URL if fsspec, or a package that it needs for the protocol, is not installed.

    Examples
    --------
    >>> import gzip, io
    >>> with open_source(io.BytesIO(gzip.compress(b"cat 0.1 0.2"))) as source:
    ...     source.compression, source.head(3)
    ('gzip', b'cat')
    """
    if not isinstance(source, (str, os.PathLike)):
        return _open_member(_from_file(source, getattr(source, "name", None) or "<stream>"), source, "", choose)
    if source == "-":
        return _open_member(_from_file(sys.stdin.buffer, "<stdin>"), sys.stdin.buffer, "", choose)
    member = ""
    if isinstance(source, str) and _URL.match(source):
        file, name, member = _remote_or_member(source)
        path = None
    else:
        path = Path(source)
        if not path.exists():
            archive = next((parent for parent in path.parents if parent.is_file()), None)
            if archive is None:
                raise FileNotFoundError(2, "no such file", str(path))
            path, member = archive, path.relative_to(archive).as_posix()
        if path.is_dir() and folders:
            return Source(str(path), lambda _count: b"", path=path)
        if path.is_dir():
            raise FormatError("a directory, not a file", file=str(path), hint="Name a file in it.")
        file, name = path.open("rb", buffering=0), str(path)
    try:
        plain = _from_file(file, name, close=file.close)
        opened = _open_member(plain, file, member, choose)
    except BaseException:
        file.close()
        raise
    if opened is plain and path is not None and path.is_file():
        plain.path = path
    return opened


def _remote_or_member(url: str) -> tuple[IO[bytes], str, str]:
    """Open a URL; return the file, its URL, and the archive member that the rest of the URL names, or "".

    A folder may be named ``x.zip``, so the whole URL is tried first, then the longest part that names an archive.
    """
    ends = [len(url), *(found.end() for found in reversed([*_ARCHIVE.finditer(url)]))]
    for end in ends[:-1]:
        with contextlib.suppress(OSError):
            return _remote(url[:end]), url[:end], url[end + 1 :]
    end = ends[-1]
    return _remote(url[:end]), url[:end], url[end + 1 :]


def _remote(url: str) -> IO[bytes]:
    fsspec = require("fsspec", "remote")
    try:
        file: IO[bytes] = fsspec.open(url, "rb").open()
    except ImportError as error:  # the message of fsspec names the package that this protocol needs
        raise MissingDependencyError(f"{error}: {install_command('remote')}, or what fsspec names") from error
    except ValueError as error:  # unknown protocol
        raise OptionError(f"{url}: {error}") from error
    return file


def _from_file(file: IO[bytes], name: object, *, close: Callable[[], object] = lambda: None) -> Source:
    if not hasattr(file, "read") or isinstance(file.read(0), str):
        raise OptionError(f"{name} is not a file opened in binary mode: open it with mode 'rb', or pass its path")
    size = None
    try:
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode):
            size = status.st_size - file.tell()
    except (AttributeError, OSError):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # no descriptor: io.BytesIO, fsspec
            here = file.tell()
            size = file.seek(0, os.SEEK_END) - here
            file.seek(here)
    return Source(str(name), file.read, size=size, readinto=getattr(file, "readinto", None), close=close)


def _open_member(plain: Source, file: IO[bytes], member: str, choose: Choose | None) -> Source:
    """Open the data in a source as `_open_data` does, and raise only documented errors."""
    with as_format_errors(plain.name, plain.size):
        return _open_data(plain, file, member, choose)


def _open_data(plain: Source, file: IO[bytes], member: str, choose: Choose | None) -> Source:
    """Return the source itself, its decompressed data, or a member of its archive, which is decompressed too."""
    inner = decompressed(plain)
    kind = detect_archive(inner)
    if kind is None:
        if member:
            found = f"a request for member {member!r}"
            raise FormatError("not a zip or tar archive, so it has no members", file=plain.name, found=found)
        return inner
    if inner is plain and hasattr(file, "seekable") and file.seekable():
        # The archive is a seekable file, so its members can be read in place. Detection has already read up to `_HEAD`
        # bytes into the source, so the file position is moved back by that number.
        inspected = len(plain.head(_HEAD))
        file.seek(-inspected, os.SEEK_CUR)
        if kind == "zip" and not member and holds_arrays(file):
            file.seek(inspected, os.SEEK_CUR)
            return inner
        chosen = _open_chosen(_archive(kind, inner, file, member), member, choose)
        chosen.archive_size = plain.size
        return _closing(chosen, plain.close)
    if kind == "tar" and member:
        return decompressed(TarArchive(inner, None, member).open(member))
    # A zip archive keeps its directory at the end, and a tar archive must be read to the end to know all its files. So
    # a stream, or an archive that is compressed itself, is first written to a temporary file.
    spool = inner.spooled()
    if kind == "zip" and not member and holds_arrays(spool):
        return _from_file(spool, plain.name, close=lambda: (spool.close(), inner.close()))
    try:
        chosen = _open_chosen(_archive(kind, inner, spool, member), member, choose)
    except BaseException:
        spool.close()
        raise
    chosen.archive_size = inner.consumed()
    return _closing(chosen, spool.close, inner.close)


def _archive(kind: str, source: Source, file: IO[bytes], member: str) -> Archive:
    return ZipArchive(source, file) if kind == "zip" else TarArchive(source, file, member)


def _closing(source: Source, *others: Callable[[], object]) -> Source:
    """Let `close` of a source call other functions, too."""
    close = source.close
    source.close = lambda: [function() for function in (close, *others)]
    return source


def _open_chosen(archive: Archive, member: str, choose: Choose | None) -> Source:
    """Open the requested member of an archive, or the one to choose."""
    chosen = None if choose is None else choose(archive, member)
    if chosen is None and not member and len(names := candidates(archive)) == 1:
        chosen = Selection(names[0])
    if chosen is None:
        if not member:
            raise several_members(archive)
        chosen = Selection(member)
    if chosen.files:
        return open_extracted(archive, chosen)
    return decompressed(archive.open(chosen.path))
